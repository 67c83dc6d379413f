"""Files as responses (ASGI 56, 57): `http.response.pathsend` and `http.response.zerocopysend`.

How much is sent is settled when the message comes: what the file has then, or `count`. A file that turns out to have
less breaks the response off; one that has grown is not looked at. What the disk has yet to bring is read in a thread,
piece by piece; what is in memory goes from there to the socket by `Port.splice`, where that can be had, or is read
at once. Each piece waits for room, as any body does.

Interpreted on purpose: a compiled `async def` is slower than an interpreted one since CPython 3.12.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import stat
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from portway.asgi import messages
from portway.errors import ClientDisconnected, MessageError

if TYPE_CHECKING:
    from portway.asgi.http import Cycle

PATHSEND = "http.response.pathsend"
ZEROCOPYSEND = "http.response.zerocopysend"

# What is read at once, and what is spliced at once: others have their turn in between.
PIECE = 256 * 1024
WINDOW = 1024 * 1024

# A shorter rest is cheaper read and written together with what else there is to write.
SPLICE_LEAST = 64 * 1024

# A FIFO must not keep us waiting for its writer, nor a terminal become ours.
_HOW = sum(getattr(os, name, 0) for name in ("O_RDONLY", "O_CLOEXEC", "O_NONBLOCK", "O_NOCTTY", "O_BINARY"))
_NOWAIT = getattr(os, "RWF_NOWAIT", 0)


class File:
    """An open file of which `size` bytes are sent from `offset` on. The descriptor is ours, and closed by `close`."""

    __slots__ = ("_descriptor", "_reading", "name", "offset", "size")

    def __init__(self, descriptor: int, name: str) -> None:
        """OSError if it is none that can be read at any place; the descriptor is closed then."""
        self._descriptor = descriptor
        self._reading: asyncio.Future[bytes] | None = None
        self.name = name
        self.offset = 0
        try:
            found = os.fstat(descriptor)
            if stat.S_ISDIR(found.st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.ESPIPE, "Not a regular file")
        except OSError:
            os.close(descriptor)
            raise
        self.size = found.st_size

    def close(self) -> None:
        """Not under the hands of a thread that reads: another file could get the number."""
        if self._reading is None or self._reading.done():
            os.close(self._descriptor)
        else:
            self._reading.add_done_callback(lambda _: os.close(self._descriptor))

    def narrow(self, offset: int, count: int | None) -> None:
        """Send from there on, and no more than `count`; beyond the end there is nothing."""
        self.offset = offset
        self.size = max(0, self.size - offset)
        if count is not None:
            self.size = min(self.size, count)

    def advance(self, count: int) -> None:
        self.offset += count
        self.size -= count

    def at_hand(self, count: int) -> bool:
        """Whether the next bytes are in memory, so that to read them takes no time: as the first and the last say."""
        if not _NOWAIT:
            return False
        byte = [bytearray(1)]
        try:
            os.preadv(self._descriptor, byte, self.offset + count - 1, _NOWAIT)
            os.preadv(self._descriptor, byte, self.offset, _NOWAIT)
        except OSError:  # BlockingIOError, or a file system that cannot tell
            return False
        return True

    async def read(self, loop: asyncio.AbstractEventLoop) -> bytes:
        """The next bytes, PIECE of them at most; none at the end of the file."""
        count = min(self.size, PIECE)
        if self.at_hand(count):
            return os.pread(self._descriptor, count, self.offset)
        self._reading = loop.run_in_executor(None, os.pread, self._descriptor, count, self.offset)
        return await asyncio.shield(self._reading)

    def splice(self, cycle: Cycle) -> asyncio.Future[int] | None:
        """Send the next bytes without a copy, if that can be had for them."""
        count = min(self.size, WINDOW)
        if count < SPLICE_LEAST or not self.at_hand(count):
            return None
        return cycle.splice(self._descriptor, self.offset, count)


# --- the messages ---


def send_path(cycle: Cycle, message: dict[str, Any]) -> Awaitable[None]:
    """Check a `pathsend`; what it asks for is done when the answer is awaited."""
    return _send_path(cycle, messages.as_path(PATHSEND, message))


def send_open(cycle: Cycle, message: dict[str, Any]) -> Awaitable[None]:
    """The same for a `zerocopysend`."""
    descriptor = messages.as_descriptor(ZEROCOPYSEND, message)
    offset = messages.as_count(ZEROCOPYSEND, "offset", message)
    count = messages.as_count(ZEROCOPYSEND, "count", message)
    more = messages.as_more(ZEROCOPYSEND, message)
    return _send_open(cycle, message["file"], descriptor, offset, count, not more)


async def _send_path(cycle: Cycle, path: str) -> None:
    with Transfer(cycle, PATHSEND) as transfer:
        if cycle.bare and cycle.head.method != "HEAD":
            await cycle.bring(b"", True)
            return
        with contextlib.closing(await _opened(cycle.loop, path)) as file:
            cycle.declare(file.size)
            await transfer.send(file, True)


async def _send_open(
    cycle: Cycle, theirs: Any, descriptor: int, offset: int | None, count: int | None, end: bool
) -> None:  # fmt: skip
    with Transfer(cycle, ZEROCOPYSEND) as transfer:
        if cycle.bare:
            await cycle.bring(b"", end)
            return
        with contextlib.closing(_duplicate(theirs, descriptor)) as file:
            file.narrow(_position(theirs, descriptor) if offset is None else offset, count)
            _check_count(cycle, file, count)
            if end:
                cycle.declare(file.size)
            await transfer.send(file, end)
        if offset is None:
            _move(theirs, descriptor, file.offset)


class Transfer:
    """The time in which a cycle sends a file and nothing else. If `send` does not come to its end, no one can tell what
    is missing, and the response is broken off.
    """

    __slots__ = ("_cycle", "_intact", "_kind")

    def __init__(self, cycle: Cycle, kind: str) -> None:
        self._cycle = cycle
        self._kind = kind
        self._intact = True

    def __enter__(self) -> Transfer:
        self._cycle.occupy(self._kind)
        return self

    def __exit__(self, *error: object) -> None:
        self._cycle.vacate(self._intact)

    async def send(self, file: File, end: bool) -> None:
        self._intact = False
        await _send(self._cycle, self._kind, file, end)
        self._intact = True


# --- sending ---


async def _send(cycle: Cycle, kind: str, file: File, end: bool) -> None:
    """Send what is to be sent of it; MessageError if it cannot be read, or has less than it should."""
    if cycle.bare:
        file.size = 0
    elif cycle.promised is not None:
        file.size = min(file.size, cycle.promised)
    try:
        await _send_pieces(cycle, kind, file, end)
    except MessageError:
        if not cycle.missing:
            raise
        short = f"{cycle.missing} bytes short of the content-length of the response"
        raise MessageError(f"{kind}: {file.name} ended {short}") from None
    except ClientDisconnected:
        raise
    except OSError as error:
        raise _unreadable(kind, file.name, error) from error


async def _send_pieces(cycle: Cycle, kind: str, file: File, end: bool) -> None:
    splices = file.size >= SPLICE_LEAST
    if not file.size:
        await cycle.bring(b"", end)
    elif splices and not cycle.begun:
        await cycle.bring(b"", False)
    while file.size:
        splice = file.splice(cycle) if splices else None
        if splice is None:
            data = await file.read(cycle.loop)
            if not data:
                raise MessageError(f"{kind}: {file.name} became {file.size} bytes shorter while it was sent")
            file.advance(len(data))
            await cycle.bring(data, end and not file.size)
        else:
            count = await splice
            cycle.spliced(count)
            file.advance(count)
            splices = count > 0  # else the end has come, or the kernel refuses: reading tells
            if end and not file.size:
                await cycle.bring(b"", True)
        if file.size:
            await asyncio.sleep(0)  # a client that takes it as fast as it comes must not have the loop for itself


# --- the file ---


async def _opened(loop: asyncio.AbstractEventLoop, path: str) -> File:
    opening = loop.run_in_executor(None, _open, path)
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_unwanted)
        raise
    except (OSError, ValueError) as error:  # ValueError: no file system has such a name
        raise _unreadable(PATHSEND, repr(path), error) from error


def _open(path: str) -> File:
    return File(os.open(path, _HOW), repr(path))


def _close_unwanted(opening: asyncio.Future[File]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _duplicate(theirs: Any, descriptor: int) -> File:
    """Another descriptor of the same file: the application may close its own whenever it likes."""
    name = f"the file {theirs!r:.80}"
    try:
        return File(os.dup(descriptor), name)
    except OSError as error:
        raise _unreadable(ZEROCOPYSEND, name, error) from error


def _position(theirs: Any, descriptor: int) -> int:
    """Where it stands; what a buffered file has read ahead does not count."""
    tell = getattr(theirs, "tell", None)
    return int(os.lseek(descriptor, 0, os.SEEK_CUR) if tell is None else tell())


def _move(theirs: Any, descriptor: int, offset: int) -> None:
    """Let it stand behind what was sent, as reading would."""
    if hasattr(theirs, "seek"):
        theirs.seek(offset)
    else:
        os.lseek(descriptor, offset, os.SEEK_SET)


def _check_count(cycle: Cycle, file: File, count: int | None) -> None:
    """A count is the application's own word, and held to as the size of a body is (ASGI 27)."""
    if count is not None and cycle.promised is not None and file.size > cycle.promised:
        more = file.size - cycle.promised
        raise MessageError(f"{ZEROCOPYSEND}: {more} bytes more than the content-length of the response declares")


def _unreadable(kind: str, name: str, error: OSError | ValueError) -> MessageError:
    why = error.strerror if isinstance(error, OSError) else error
    return MessageError(f"{kind}: {name} cannot be sent: {why}")
