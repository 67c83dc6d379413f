"""One call of a WSGI application on a thread, and what comes of it on the loop.

  the loop                                      the thread
  Pool.begin: submit ─────────────────────────► run: app(environ, start_response)
     ◄──── tell: pieces, or all at once ──────────   each piece, `close`, the end
     send … and room again ───────────────────►   it waits when HIGH is queued
  listen: receive … into the inbox ───────────►   wsgi.input reads, and waits
     http.disconnect ─────────────────────────►   `gone`: read and write raise, iteration stops

A common request crosses twice: there, and back with all of its response. What both sides touch is a deque, a flag, or
a number that one side alone writes, so that there is no lock. Compiled; the coroutines on the loop are in `serving`.
"""

from __future__ import annotations

import asyncio
import io
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from time import monotonic
from typing import IO, Any

from portway.errors import ClientDisconnected, WSGIError
from portway.types import Dialogue, Scope, WSGIApp
from portway.wsgi import serving
from portway.wsgi.answers import busy
from portway.wsgi.body import HIGH, Inbox, shut
from portway.wsgi.desk import Desk
from portway.wsgi.environ import environ_of
from portway.wsgi.files import FileWrapper, Region, region_of, takes_files
from portway.wsgi.reply import ANY, Reply
from portway.wsgi.threads import Threads

log = logging.getLogger("portway")

# Pieces that are found together are sent as one, up to so much.
JOIN_MOST = 64 * 1024

_BytesIO = io.BytesIO
_deque = deque
_monotonic = monotonic


def too_late(data: bytes) -> None:
    raise WSGIError("write was called when the request was over")


class Threaded:
    """An application on threads; called as `asgi.call.Prompt` says, for a request without a body."""

    __slots__ = ("_app", "_base", "_desk", "_threads", "_timeout")

    def __init__(self, app: WSGIApp, base: dict[str, Any], threads: Threads, timeout: float) -> None:
        """`base` is what `environ.base_of` gives; for `timeout` see `Desk`."""
        self._app = app
        self._base = base
        self._threads = threads
        self._timeout = timeout
        self._desk: Desk | None = None  # of the loop that was seen last

    def __call__(self, scope: Scope, dialogue: Dialogue) -> Call | Coroutine[Any, Any, None]:
        environ = environ_of(scope, self._base)
        environ["wsgi.input"] = _BytesIO()
        call = self.call(environ, scope, dialogue)
        return call if self.submit(call) else busy(dialogue.send)

    def call(self, environ: dict[str, Any], scope: Scope, dialogue: Dialogue) -> Call:
        """One that is yet to be submitted."""
        loop = asyncio.get_running_loop()
        desk = self._desk
        if desk is None or desk.loop is not loop:
            desk = self._desk = Desk(loop, self._threads, self._timeout)
        return Call(self._app, environ, self._threads, desk, scope, dialogue)

    def submit(self, call: Call) -> bool:
        """Have it run; False if too many wait."""
        threads = self._threads
        desk = call.desk
        if not threads.submit(call):
            call.close()
            desk.busy()
            return False
        desk.enter(call)
        if threads.crowded():
            call.listen()  # who goes while it waits is never run
        return True


class Call:
    """`began` is 0.0 until a thread has it, `over` is said when that thread is through with it.

    `gone` says that nobody listens any more; `moved` is the time of its last sign of life. It answers by itself if
    `wait` was called, else by `serving.serve`.
    """

    __slots__ = (
        "_alone", "_app", "_context", "_error", "_left", "_threads", "_waiter", "began", "desk", "dialogue", "environ",
        "expects", "fault", "file", "gone", "input", "left_at", "listener", "moved", "over", "paused", "pieces",
        "queued_in", "queued_out", "reply", "reported", "room", "scope", "submitted", "thread",
        "told", "watching", "word",
    )  # fmt: skip

    def __init__(
        self,
        app: WSGIApp,
        environ: dict[str, Any],
        threads: Threads,
        desk: Desk,
        scope: Scope,
        dialogue: Dialogue,
    ) -> None:
        self._app = app
        self.environ = environ
        self._threads = threads
        self.desk = desk
        self.scope = scope
        self.dialogue = dialogue
        self._context: Context = copy_context()
        self.reply = Reply(environ["REQUEST_METHOD"], self._put)
        self.file: IO[bytes] | None = environ.get("wsgi.input")  # the application may put another in its place
        self.input: Inbox | None = None
        self.pieces: deque[bytes | Region] = _deque()
        self.queued_in = 0  # bytes that the thread has brought
        self.queued_out = 0  # bytes that the loop has sent
        self.room: threading.Event | None = None  # what the thread waits for
        self._alone = False  # the one piece of the response, and its end, are told of together
        self._error: BaseException | None = None  # the application's
        self.fault: BaseException | None = None  # that of `receive`
        self.expects = False  # the client waits for the application to read
        self.listener: asyncio.Task[None] | None = None
        self.paused: asyncio.Future[None] | None = None  # what the listener waits for
        self.watching = False  # whether the client goes
        self.told = False
        self._left = False  # nothing more is to be sent
        self._waiter: Callable[[], None] | None = None  # is called when the thread has left word …
        self.word: asyncio.Future[None] | None = None  # … unless this is what `serve` waits for
        self.submitted = 0.0
        self.began = 0.0
        self.moved = 0.0
        self.left_at = 0.0
        self.thread = 0
        self.reported = 0
        self.gone = False
        self.over = False

    def __repr__(self) -> str:
        return f"{self.reply.method} {ascii(self.environ.get('REQUEST_URI', '?'))[1:-1]}"

    # --- on the loop, without a Task ---

    def wait(self, waiter: Callable[[], None]) -> None:
        """See `asgi.call.Later`."""
        if self.told:  # its client has gone already
            waiter()
        else:
            self._waiter = waiter

    def answer(self) -> Coroutine[Any, Any, None] | None:
        """What is whole and in one piece is sent here and now."""
        self._waiter = None
        if not self._is_plain():
            return serving.serve(self)
        reply = self.reply
        try:
            self.dialogue.respond(reply.status, reply.headers, self.joined())  # type: ignore[misc]  # who waits has given it
        finally:
            self.close()
        self.conclude()
        return None

    def _is_plain(self) -> bool:
        """Whether all of the answer is here, and nothing but an answer."""
        if not (self.over and self.reply.whole) or self.gone or self._error is not None:
            return False
        pieces = self.pieces
        return not pieces or (len(pieces) == 1 and type(pieces[0]) is bytes)

    # --- on the loop ---

    def heed(self) -> None:
        """The thread has left word."""
        self.told = True
        if self._left and self.over:
            self.close()
        waiter = self._waiter
        if waiter is not None:
            waiter()  # which asks for the answer
            return
        word = self.word
        if word is not None:
            self.word = None
            if not word.done():
                word.set_result(None)

    def listen(self) -> None:
        """Receive what the client sends, until it goes."""
        paused = self.paused
        self.watching = True
        if self.listener is None or self.listener.done():
            if not (self.gone or self.expects):
                self.listener = serving.begin(self.desk.loop, serving.listen(self))
        elif paused is not None and not paused.done():
            paused.set_result(None)

    def joined(self) -> Any:
        """The next thing to send."""
        pieces = self.pieces
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

    def leave(self) -> None:
        """Nobody listens any more."""
        if not self.gone:
            self.gone = True
            self.left_at = _monotonic()
        if self.input is not None:
            self.input.leave()
        if self.room is not None:
            self.room.set()
        if not self.began and self._threads.withdraw(self):
            self.over = True
            self.heed()

    def close(self) -> None:
        """Nothing more is asked of the server; if the thread is still at it, the rest is done when it is through."""
        self._left = True
        if self.listener is not None:
            self.listener.cancel()
        self._drop_pieces()
        if self.over or not self.submitted:
            self.desk.leave(self)
            if self.input is not None:
                self.input.leave()  # a thread of the application's own may wait in it, and has the file's lock then
            if self.file is not None:
                shut(self.file)
            self.input = None  # that no circle is left for the garbage collector
            self.reply.sink = too_late

    def conclude(self) -> None:
        """Log what was too much, and raise what the application raised, or `receive`."""
        if self.reply.surplus:
            log.warning("%r: %s", self, self.reply.surplus_text())
        error = self._error
        if error is None or (self.gone and isinstance(error, ConnectionError)):
            error = self.fault
        if error is not None:
            self._error = self.fault = None
            if isinstance(error, Exception):
                raise error  # not `from` anything, for it may have a cause of its own
            raise RuntimeError(f"it raised {error!r}") from error

    def _drop_pieces(self) -> None:
        """On both sides, perhaps at once."""
        pieces = self.pieces
        while pieces:
            try:
                piece = pieces.popleft()
            except IndexError:
                return
            if type(piece) is Region:
                os.close(piece.descriptor)

    # --- on the thread ---

    def run(self) -> None:
        self.thread = threading.get_ident()
        self.began = self.moved = _monotonic()
        try:
            if not self.gone:
                self._context.run(self._perform)
        except BaseException as error:  # SystemExit, too: a request ends neither the thread nor the server
            self._error = error
        self._threads.freed()  # before it is over: the loop may look at any time, and the client be back at once
        self.over = True
        self.desk.tell(self)

    def _perform(self) -> None:
        result: Any = self._app(self.environ, self.reply.start_response)
        try:
            if not (type(result) is FileWrapper and self._give_file(result)):
                self._iterate(result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def _iterate(self, result: Any) -> None:
        reply = self.reply
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
        reply = self.reply
        if reply.begun or not reply.status or not takes_files(self.scope):
            return False
        region = region_of(wrapper, None if reply.left == ANY else reply.left)
        if region is None:
            return False
        reply.give(region.size)
        self.pieces.append(region)
        if self.gone:
            self._drop_pieces()
        reply.end()
        return True

    def _put(self, piece: bytes) -> None:
        if self.gone:
            raise ClientDisconnected("the client has gone; nothing more can be sent to it")
        self.pieces.append(piece)
        self.queued_in += len(piece)
        if self._alone:
            return
        self.moved = _monotonic()
        self.desk.tell(self)
        if self.queued_in - self.queued_out > HIGH:
            self._wait_for_room()

    def _wait_for_room(self) -> None:
        room = self.room
        if room is None:
            room = self.room = threading.Event()
        while self.queued_in - self.queued_out > HIGH and not self.gone:
            room.clear()
            if self.queued_in - self.queued_out > HIGH and not self.gone:
                room.wait()
        self.moved = _monotonic()

    def ask(self) -> None:
        """The inbox wants more."""
        self.moved = _monotonic()
        if self.listener is None or self.paused is not None:
            self.expects = False
            self.desk.call(self.listen)
