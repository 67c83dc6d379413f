"""Keeps what one application has received of a request's body, so that another one may receive it, too.

    received ──► in memory, up to 1 MiB ──► in a temporary file, up to the limit ──► given up: nothing is kept

Files are made, written and read in the loop's executor. What is handed on is never touched, and a cancelled
`receive` loses nothing: before a message is taken, the file has caught up.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from collections import deque
from collections.abc import Callable
from typing import IO, Any, TypeVar

from portway.types import Message, Receive, Scope

T = TypeVar("T")

IN_MEMORY = 1024 * 1024
READ_AT_ONCE = 256 * 1024

WHERE = "make room where temporary files are, or set TMPDIR to another place"

NAME = "portway-receive"
EAGERLY: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}

DISCONNECT = "http.disconnect"
REQUEST = "http.request"


class Recording:
    """The body of one request, as far as it was received.

    `fault` is why it cannot be replayed. Once it is `pledged`, nothing is given up for its size; who records sees to
    it that no more is received when it is `full`.
    """

    __slots__ = ("_file", "_job", "_limit", "_pieces", "_replaying", "_waiting", "ended", "fault", "pledged", "size")

    def __init__(self, limit: int) -> None:
        self.size = 0
        self.ended = False  # the last piece was received
        self.fault: str | None = None
        self.pledged = False
        self._limit = limit
        self._pieces: deque[bytes] = deque()
        self._waiting = 0  # bytes in the pieces
        self._file: IO[bytes] | None = None
        self._job: asyncio.Future[Any] | None = None  # what a thread does with the file
        self._replaying = False

    @property
    def full(self) -> bool:
        return self.size >= self._limit

    def add(self, message: Message) -> None:
        """An `http.request` has been received."""
        data = bytes(message.get("body", b""))
        self.ended = not message.get("more_body", False)
        self.size += len(data)
        if self.fault is None and self.size > self._limit and not self.pledged:
            self.give_up(f"its body is longer than the fallback buffer of {self._limit} bytes")
        if self.fault is not None or not data:
            return
        self._pieces.append(data)
        self._waiting += len(data)
        if self._waiting > IN_MEMORY and self._job is None:
            pieces, self._pieces, self._waiting = self._pieces, deque(), 0
            self._job = self._off_the_loop(lambda: self._write(pieces))

    def give_up(self, fault: str) -> None:
        """Keep nothing more."""
        self.fault = fault
        self._pieces.clear()
        self._waiting = 0

    async def settle(self) -> None:
        """Wait until what was received is kept."""
        job = self._job
        if job is None:
            return
        await asyncio.wait([job])
        if self._job is job:  # who else waited has not seen to it
            self._job = None
            failed = job.exception()
            if failed is not None and self.fault is None:
                self.give_up(f"its body could not be kept: {failed}; {WHERE}")

    async def piece(self) -> bytes | None:
        """The next piece of what was received; None after the last. Asked when all is settled."""
        if self._file is not None:
            if self._job is None:
                self._job = self._off_the_loop(self._read)
            await asyncio.wait([self._job])
            data = bytes(self._job.result())
            self._job = None
            if data:
                return data
            self._close_file()
        return self._pieces.popleft() if self._pieces else None

    @property
    def left(self) -> bool:
        """Whether there may be another piece."""
        return self._file is not None or bool(self._pieces)

    def close(self) -> None:
        """Let go of memory and file; what a thread still does with the file comes to its end first."""
        self._pieces.clear()
        if self._job is not None:
            self._job.add_done_callback(self._close_file)
        elif self._file is not None:
            self._close_file()

    def _close_file(self, job: asyncio.Future[Any] | None = None) -> None:
        if job is not None and not job.cancelled():
            job.exception()
        file, self._file = self._file, None
        if file is None:
            return
        try:
            asyncio.get_running_loop().run_in_executor(None, file.close)  # frees up to the limit, which takes time
        except RuntimeError:  # there is no loop any more, or no executor
            with contextlib.suppress(OSError):
                file.close()

    # --- in a thread ---

    @staticmethod
    def _off_the_loop(call: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(None, call)

    def _write(self, pieces: deque[bytes]) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="portway-")  # noqa: SIM115  # closed with the recording
        self._file.writelines(pieces)

    def _read(self) -> bytes:
        assert self._file is not None
        if not self._replaying:
            self._replaying = True
            self._file.seek(0)
        return self._file.read(READ_AT_ONCE)


class Source:
    """The server's `receive`, of which one call at most is under way. Who waits may give up, and another go on."""

    __slots__ = ("_receive", "_task")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._task: asyncio.Task[Message] | None = None

    async def next(self, until: asyncio.Future[None] | None = None) -> Message | None:
        """The next message, or None once `until` is done before there is one."""
        if until is None and self._task is None:
            return await self._receive()
        if self._task is None:
            # What is there at once is given at once, where Python can: who polls would be cancelled before.
            self._task = asyncio.Task(self._call(), loop=asyncio.get_running_loop(), name=NAME, **EAGERLY)
        if not self._task.done():
            waited: list[asyncio.Future[Any]] = [self._task] if until is None else [self._task, until]
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if not self._task.done():
            return None
        task, self._task = self._task, None
        return task.result()

    async def close(self) -> None:
        """Nobody will ask again."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.exception()

    async def _call(self) -> Message:
        return await self._receive()


class Replay:
    """`receive` for the second application: what was recorded, and then what comes."""

    __slots__ = ("_gone", "_recording", "_replayed", "_source")

    def __init__(self, recording: Recording, source: Source, gone: bool) -> None:
        """`gone` says that the first application was told `http.disconnect` by the server."""
        self._recording = recording
        self._source = source
        self._gone = gone
        self._replayed = recording.size == 0 and not recording.ended  # nothing was received

    async def __call__(self) -> Message:
        if not self._replayed:
            piece = await self._recording.piece()
            more = self._recording.left
            self._replayed = not more
            last = self._recording.ended and not more
            return {"type": REQUEST, "body": piece or b"", "more_body": not last}
        if self._gone:
            return {"type": DISCONNECT}
        message = await self._source.next()
        assert message is not None
        return message


def declared_length(scope: Scope) -> int:
    """The request's Content-Length; 0 if it has none that can be read."""
    texts = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(texts[0]) if texts and texts[0].isdigit() and len(texts[0]) < 19 else 0
