"""`wsgi.input`: a request's content as a file (PEP 3333, ASGI 59).

A body of known length is read by a thread while it comes: the loop puts pieces in, up to HIGH, and the thread takes
them. One of unknown length is gathered first, for applications look at CONTENT_LENGTH alone.
"""

from __future__ import annotations

import asyncio
import io
import tempfile
import threading
from collections import deque
from collections.abc import Callable
from typing import IO, Any

from portway.errors import ClientDisconnected
from portway.types import Receive

# What is held of a body before its application reads it, and of a response before its client does.
HIGH = 256 * 1024
LOW = HIGH // 2

# Of a gathered body so much is kept in memory; nginx has 16 KiB (client_body_buffer_size), Django 2.5 MiB.
MEMORY_MOST = 1024 * 1024

BUFFER = 64 * 1024


class Inbox:
    """Where the loop leaves pieces of a body for the one thread that reads it.

    Each counter is written by one side alone, so that none needs a lock.
    """

    def __init__(self, length: int, ask: Callable[[], None]) -> None:
        """`ask` is called in the thread: before it waits, and when it has taken so much that there is room again."""
        self._whole = length
        self._length = length  # that the thread has yet to take
        self._ask = ask
        self._pieces: deque[bytes] = deque()
        self._put = 0
        self._taken = 0
        self._came = threading.Event()
        self._gone = False

    # --- on the loop ---

    def put(self, data: bytes, more: bool) -> None:
        """A piece has come."""
        self._pieces.append(data)
        self._put += len(data)
        if not more and self._put < self._whole:
            self._gone = True  # it is said to be over, and is not whole
        self._came.set()

    def whole(self) -> bytes | None:
        """All of the body, if it is here and nobody has read of it."""
        return b"".join(self._pieces) if self._put == self._whole else None

    def full(self) -> bool:
        """Whether the thread should read first."""
        return self._put - self._taken >= HIGH

    def leave(self) -> None:
        """The client has gone: what has not come never will."""
        self._gone = True
        self._came.set()

    # --- on the thread ---

    def take(self, most: int) -> bytes:
        """The next bytes; b"" at the end. ClientDisconnected if the client went before."""
        if self._length <= 0:
            return b""
        piece = self._next()
        if len(piece) > most:
            self._pieces.appendleft(piece[most:])
            piece = piece[:most]
        self._taken += len(piece)
        self._length -= len(piece)
        if self._put - self._taken <= LOW and self._length:
            self._ask()
        return piece

    def _next(self) -> bytes:
        while True:
            if self._pieces:
                piece = self._pieces.popleft()
                if piece:
                    return piece
                continue
            if self._gone:
                raise ClientDisconnected("the client went before it had sent the whole body")
            self._came.clear()
            if not self._pieces and not self._gone:
                self._ask()
                self._came.wait()


class Raw(io.RawIOBase):
    """An inbox as a raw file; io.BufferedReader makes read, readline and iteration of it."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._inbox.take(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def streamed(inbox: Inbox) -> io.BufferedReader:
    return io.BufferedReader(Raw(inbox), BUFFER)


def shut(file: IO[bytes]) -> None:
    """Close it; that the application still has a hand on it, or the disk a fault, is no matter any more."""
    try:
        file.close()
    except (BufferError, OSError):
        pass


async def gather(receive: Receive, first: bytes = b"", more: bool = True) -> tuple[IO[bytes], int]:
    """The whole body as a file, and its size: in memory, or past MEMORY_MOST on disk, which is written off the loop.

    ClientDisconnected if the client goes before; OSError if the disk does not take it.
    """
    pieces = [first] if first else []
    held = size = len(first)
    file: IO[bytes] | None = None
    loop = asyncio.get_running_loop()
    try:
        while more:
            message = await receive()
            if message["type"] != "http.request":
                raise ClientDisconnected("the client went before it had sent the whole body")
            data = message.get("body", b"")
            more = message.get("more_body", False)
            pieces.append(data)
            held += len(data)
            size += len(data)
            if held > MEMORY_MOST:
                file = await loop.run_in_executor(None, _spool, file, pieces)
                pieces = []
                held = 0
        if file is None:
            return io.BytesIO(pieces[0] if len(pieces) == 1 else b"".join(pieces)), size
        return await loop.run_in_executor(None, _rewound, file, pieces), size
    except BaseException:
        if file is not None:
            file.close()
        raise


def _spool(file: IO[bytes] | None, pieces: list[bytes]) -> IO[bytes]:
    if file is None:
        file = tempfile.TemporaryFile(prefix="portway-")  # noqa: SIM115  # closed by who reads it
    try:
        file.writelines(pieces)
        file.flush()
    except BaseException:
        file.close()
        raise
    return file


def _rewound(file: IO[bytes], pieces: list[bytes]) -> IO[bytes]:
    _spool(file, pieces)
    file.seek(0)
    return file
