"""One call of a WSGI application on a thread, and the coroutine on the loop that it answers through.

  the loop                                      the thread
  serve ── submit ────────────────────────────► run: app(environ, start_response)
     ◄──── tell: pieces, or all at once ──────────   each piece, `close`, the end
     send … and room again ───────────────────►   it waits when HIGH is queued
  _listen: receive … into the inbox ──────────►   wsgi.input reads, and waits
     http.disconnect ─────────────────────────►   `gone`: read and write raise, iteration stops

A common request crosses twice: there, and back with all of its response. What both sides touch is a deque, a flag, or
a number that one side alone writes, so that there is no lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Coroutine
from contextvars import Context, copy_context
from time import monotonic
from typing import IO, Any

from portway.errors import ClientDisconnected, WSGIError
from portway.types import Receive, Scope, Send, WSGIApp
from portway.wsgi.body import HIGH, LOW, Inbox, shut, streamed
from portway.wsgi.desk import Desk
from portway.wsgi.files import FileWrapper, Region, region_of, takes_files
from portway.wsgi.reply import ANY, Reply
from portway.wsgi.threads import Threads

log = logging.getLogger("portway")

# Pieces that are found together are sent as one, up to so much.
JOIN_MOST = 64 * 1024

EAGER = sys.version_info >= (3, 12)


def begin(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Run it in a Task, whose first step is taken at once where Python can."""
    if EAGER and loop.get_task_factory() is None:
        return asyncio.Task(coroutine, loop=loop, eager_start=True)  # type: ignore[call-arg]  # from 3.12 on
    return loop.create_task(coroutine)


def too_late(data: bytes) -> None:
    raise WSGIError("write was called when the request was over")


class Call:
    """`began` is 0.0 until a thread has it, `over` is said when that thread is through with it.

    `gone` says that nobody listens any more; `moved` is the time of its last sign of life.
    """

    __slots__ = (
        "_alone", "_app", "_context", "_desk", "_environ", "_error", "_expects", "_fault", "_file", "_files",
        "_input", "_left", "_listener", "_paused", "_pieces", "_queued_in", "_queued_out", "_receive", "_reply",
        "_room", "_threads", "_told", "_watching", "_word", "began", "gone", "left_at", "moved", "over", "reported",
        "submitted", "thread",
    )  # fmt: skip

    def __init__(self, app: WSGIApp, environ: dict[str, Any], threads: Threads, desk: Desk, receive: Receive) -> None:
        self._app = app
        self._environ = environ
        self._threads = threads
        self._desk = desk
        self._receive = receive
        self._context: Context = copy_context()
        self._reply = Reply(environ["REQUEST_METHOD"], self._put)
        self._file: IO[bytes] | None = environ.get("wsgi.input")  # the application may put another in its place
        self._input: Inbox | None = None
        self._pieces: deque[bytes | Region] = deque()
        self._queued_in = 0  # bytes that the thread has brought
        self._queued_out = 0  # bytes that the loop has sent
        self._room: threading.Event | None = None  # what the thread waits for
        self._alone = False  # the one piece of the response, and its end, are told of together
        self._files = False  # the server can send files
        self._error: BaseException | None = None  # the application's
        self._fault: BaseException | None = None  # that of `receive`
        self._expects = False  # the client waits for the application to read
        self._listener: asyncio.Task[None] | None = None
        self._paused: asyncio.Future[None] | None = None  # what the listener waits for
        self._watching = False  # whether the client goes
        self._told = False
        self._left = False  # the coroutine is through
        self._word: asyncio.Future[None] | None = None  # what `serve` waits for
        self.submitted = 0.0
        self.began = 0.0
        self.moved = 0.0
        self.left_at = 0.0
        self.thread = 0
        self.reported = 0
        self.gone = False
        self.over = False

    def __repr__(self) -> str:
        return f"{self._reply.method} {ascii(self._environ.get('REQUEST_URI', '?'))[1:-1]}"

    # --- on the loop ---

    async def expect(self, length: int) -> None:
        """A body of so many bytes is to come. The application gets what is there, and the rest while it runs."""
        inbox = self._input = Inbox(length, self._ask)
        self._expects = "HTTP_EXPECT" in self._environ
        if not self._expects:  # ASGI 32: else it is asked for when the application reads
            self._listener = begin(self._desk.loop, self._listen())
            for _ in range(2):  # once for what came with the head to be put there, and once for the listener to take it
                if not self._listener.done():
                    await asyncio.sleep(0)
        body = inbox.whole()
        if body is None:
            self._file = streamed(inbox)
        else:
            self._input = None
            self._file = io.BytesIO(body)
        self._environ["wsgi.input"] = self._file

    async def serve(self, scope: Scope, send: Send) -> None:
        """Send what the thread brings; returns, or raises what the application raised, when it is through."""
        self._files = takes_files(scope)
        try:
            await self._pass_on(send)
        except BaseException:  # it was cancelled, or what stands between here and the client has raised
            self.leave()
            raise
        finally:
            self.close()
        if self._reply.surplus:
            log.warning("%r: %s", self, self._reply.surplus_text())
        error = self._error
        if error is None or (self.gone and isinstance(error, ConnectionError)):
            error = self._fault
        if error is not None:
            self._error = self._fault = None
            if isinstance(error, Exception):
                raise error  # not `from` anything, for it may have a cause of its own
            raise RuntimeError(f"it raised {error!r}") from error

    def close(self) -> None:
        """Nothing more is asked of the server; if the thread is still at it, the rest is done when it is through."""
        self._left = True
        if self._listener is not None:
            self._listener.cancel()
        self._drop_pieces()
        if self.over or not self.submitted:
            if self._input is not None:
                self._input.leave()  # a thread of the application's own may wait in it, and has the file's lock then
            if self._file is not None:
                shut(self._file)
            self._input = None  # that no circle is left for the garbage collector
            self._reply.sink = too_late

    async def _pass_on(self, send: Send) -> None:
        reply = self._reply
        started = ended = False
        while True:
            if not self._told:
                self._word = self._desk.loop.create_future()
                await self._word
            self._told = False
            # First: what is over has all its pieces here. The end is told of when the thread is through, and not when
            # the last piece has come: else the next request of the same client would find it still at `close`.
            over = self.over
            if reply.begun:
                self._expects = False  # no 100 comes after the head
            last = over and reply.whole
            if reply.begun and not ended and not self.gone:
                try:
                    if not started:
                        started = True
                        await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
                    await self._send_pieces(send, last)
                except ConnectionError:
                    self.leave()
                ended = last
            if over:
                return
            self.listen()

    async def _send_pieces(self, send: Send, last: bool) -> None:
        while True:
            data = self._joined()
            if type(data) is Region:
                await self._send_file(send, data)
                continue
            end = last and not self._pieces
            await send({"type": "http.response.body", "body": data, "more_body": not end})
            self._queued_out += len(data)
            room = self._room
            if room is not None and self._queued_in - self._queued_out <= LOW:
                room.set()
            if not self._pieces:
                return

    def _joined(self) -> Any:
        """The next thing to send."""
        pieces = self._pieces
        if not pieces:
            return b""
        piece = pieces.popleft()
        if not pieces or type(piece) is Region:
            return piece
        joined = [piece]
        size = len(piece)
        while pieces and type(pieces[0]) is not Region and size + len(pieces[0]) <= JOIN_MOST:
            joined.append(pieces.popleft())
            size += len(joined[-1])
        return b"".join(joined)  # type: ignore[arg-type]

    async def _send_file(self, send: Send, region: Region) -> None:
        try:
            await send(
                {
                    "type": "http.response.zerocopysend",
                    "file": region.descriptor,
                    "offset": region.offset,
                    "count": region.size,
                    "more_body": True,
                }
            )
        finally:
            os.close(region.descriptor)

    def _drop_pieces(self) -> None:
        """On both sides, perhaps at once."""
        with contextlib.suppress(IndexError):
            while True:
                piece = self._pieces.popleft()
                if type(piece) is Region:
                    os.close(piece.descriptor)

    def heed(self) -> None:
        """The thread has left word."""
        self._told = True
        if self._left and self.over:
            self._desk.leave(self)
            self.close()
        word = self._word
        if word is not None:
            self._word = None
            if not word.done():
                word.set_result(None)

    def leave(self) -> None:
        """Nobody listens any more."""
        if not self.gone:
            self.gone = True
            self.left_at = monotonic()
        if self._input is not None:
            self._input.leave()
        if self._room is not None:
            self._room.set()
        if not self.began and self._threads.withdraw(self):
            self.over = True
            self.heed()

    def listen(self) -> None:
        """Receive what the client sends, until it goes."""
        paused = self._paused
        self._watching = True
        if self._listener is None or self._listener.done():
            if not (self.gone or self._expects):
                self._listener = begin(self._desk.loop, self._listen())
        elif paused is not None and not paused.done():
            paused.set_result(None)

    async def _listen(self) -> None:
        inbox = self._input
        while True:
            while inbox is not None and inbox.full():  # even if it is to be heard whether the client goes
                self._paused = self._desk.loop.create_future()
                if inbox.full():
                    await self._paused
                self._paused = None
            try:
                message = await self._receive()
            except Exception as fault:
                if not self._reply.whole:
                    self._fault = fault
                self.leave()
                return
            if message["type"] != "http.request":
                self.leave()
                return
            if inbox is not None:
                more = message.get("more_body", False)
                inbox.put(message.get("body", b""), more)
                if not more and not self._watching:
                    return

    # --- on the thread ---

    def run(self) -> None:
        self.thread = threading.get_ident()
        self.began = self.moved = monotonic()
        try:
            if not self.gone:
                self._context.run(self._perform)
        except BaseException as error:  # SystemExit, too: a request ends neither the thread nor the server
            self._error = error
        self._threads.freed()  # before it is over: the loop may look at any time, and the client be back at once
        self.over = True
        self._desk.tell(self)

    def _perform(self) -> None:
        result = self._app(self._environ, self._reply.start_response)
        try:
            if not (type(result) is FileWrapper and self._give_file(result)):
                self._iterate(result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def _iterate(self, result: Any) -> None:
        reply = self._reply
        self._alone = not reply.begun and hasattr(result, "__len__") and len(result) == 1
        for each in result:
            piece = reply.piece(each)
            if self.gone:
                return
            if piece:
                self._put(piece)
            if reply.surplus or (piece and reply.bodiless):
                break  # PEP 3333: there is no more to send
        self._alone = False
        if not self.gone:
            reply.end()

    def _give_file(self, wrapper: FileWrapper) -> bool:
        """Hand the file itself to the loop, if it can be."""
        reply = self._reply
        if not self._files or reply.begun or not reply.status:
            return False
        region = region_of(wrapper, None if reply.left == ANY else reply.left)
        if region is None:
            return False
        reply.give(region.size)
        self._pieces.append(region)
        if self.gone:
            self._drop_pieces()
        reply.end()
        return True

    def _put(self, piece: bytes) -> None:
        if self.gone:
            raise ClientDisconnected("the client has gone; nothing more can be sent to it")
        self._pieces.append(piece)
        self._queued_in += len(piece)
        if self._alone:
            return
        self.moved = monotonic()
        self._desk.tell(self)
        if self._queued_in - self._queued_out > HIGH:
            self._wait_for_room()

    def _wait_for_room(self) -> None:
        room = self._room
        if room is None:
            room = self._room = threading.Event()
        while self._queued_in - self._queued_out > HIGH and not self.gone:
            room.clear()
            if self._queued_in - self._queued_out > HIGH and not self.gone:
                room.wait()
        self.moved = monotonic()

    def _ask(self) -> None:
        """The inbox wants more."""
        self.moved = monotonic()
        if self._listener is None or self._paused is not None:
            self._expects = False
            self._desk.call(self.listen)
