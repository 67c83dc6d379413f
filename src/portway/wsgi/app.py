"""`portway.WSGI`: a WSGI application as an ASGI one."""

from __future__ import annotations

import io
import logging
from typing import Any, NamedTuple

from portway.errors import ClientDisconnected, SettingsError
from portway.types import Receive, Scope, Send, WSGIApp
from portway.wsgi import threads
from portway.wsgi.answers import busy, refuse
from portway.wsgi.body import gather, shut
from portway.wsgi.environ import base_of, environ_of
from portway.wsgi.inline import send_whole
from portway.wsgi.prompt import Prompt, begin
from portway.wsgi.serving import expect, serve
from portway.wsgi.threaded import Threaded
from portway.wsgi.threads import Figures, Threads

log = logging.getLogger("portway")

TIMEOUT = 60.0

WHERE = "make room where temporary files are, or set TMPDIR to another place"

# What a request has that tells by its head alone that no body comes.
UNFRAMED = ("1.1", "1.0")


class Plain(NamedTuple):
    """A Dialogue under any server."""

    receive: Receive
    send: Send
    respond: None = None


class WSGI:
    """A WSGI application (PEP 3333) as an ASGI application, for any ASGI server and any mount:

        app.mount("/old", portway.WSGI(flask_app))

    Each request runs on one thread, from the application's first line to `close()`.
    """

    def __init__(
        self,
        app: WSGIApp,
        *,
        threads: int | Threads | None = None,
        queue: int = threads.QUEUE,
        timeout: float = TIMEOUT,
        multiprocess: bool = False,
    ) -> None:
        """`threads` is how many there may be, by default `min(32, 4 x CPUs)`; 0 runs the application on the event
        loop itself, which is right only if it never waits long. Beyond `queue` waiting requests, others get 503.
        After `timeout` seconds without a sign of life the stack of a request's thread is logged; 0 is never.
        `multiprocess` is what `wsgi.multiprocess` says.

        Raises SettingsError for numbers that cannot be.
        """
        if not callable(app):
            raise SettingsError(f"a WSGI application must be callable, and {app!r:.80} is not")
        self.app = app
        self._threads = _threads(threads, queue)
        self._owner = not isinstance(threads, Threads)
        pool = self._threads
        self._base = base_of(pool is not None and pool.most > 1, multiprocess)
        self._threaded = None if pool is None else Threaded(app, self._base, pool, timeout)
        self.portway_prompt = self._threaded or Prompt(app, self._base)  # see `asgi.call`

    def __repr__(self) -> str:
        return f"<WSGI {self.app!r:.80}>"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            await self._answer(scope, receive, send)
        elif kind == "lifespan":
            await self._live(receive, send)
        elif kind == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})  # before accept: 403, for WSGI has none
        else:
            raise RuntimeError(f"a WSGI application cannot serve a scope of type {kind!r}")

    def figures(self) -> Figures | None:
        """How its threads are; None if it has none."""
        return None if self._threads is None else self._threads.figures()

    # --- inside ---

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        environ = environ_of(scope, self._base)
        threaded = self._threaded
        length = environ.get("CONTENT_LENGTH")
        coded = "HTTP_TRANSFER_ENCODING" in environ
        if not coded and (scope["http_version"] in UNFRAMED if length is None else not length.strip("0")):
            environ["wsgi.input"] = io.BytesIO()
        elif threaded is None or coded or length is None or not length.isdigit():
            if not await self._gather(environ, coded, receive, send):
                return
        else:
            await self._run(threaded, environ, scope, receive, send, int(length))
            return
        if threaded is None:
            body = environ["wsgi.input"]  # the application may put something else in its place
            try:
                answer = begin(self.app, environ, scope, Plain(receive, send))
                if isinstance(answer, tuple):
                    await send_whole(send, answer)
                else:
                    await answer
            finally:
                shut(body)
        else:
            await self._run(threaded, environ, scope, receive, send)

    async def _run(
        self, threaded: Threaded, environ: dict[str, Any], scope: Scope, receive: Receive, send: Send, length: int = 0
    ) -> None:
        """On a thread; `length` is that of a body which has yet to be received."""
        call = threaded.call(environ, scope, Plain(receive, send))
        if length:
            await expect(call, length)
        await (serve(call) if threaded.submit(call) else busy(send))

    async def _gather(self, environ: dict[str, Any], coded: bool, receive: Receive, send: Send) -> bool:
        """Have the whole body first; whether the application is to be called."""
        try:
            body, size = await gather(receive)
        except ClientDisconnected:
            return False
        except OSError as fault:
            method, target = environ["REQUEST_METHOD"], ascii(environ["REQUEST_URI"])[1:-1]
            log.error("%s %s: its body could not be kept on disk: %s; %s", method, target, fault, WHERE)
            await refuse(send, 507, b"There is no room to keep the request.\n", (b"connection", b"close"))
            return False
        environ["wsgi.input"] = body
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        if coded or size:
            environ["CONTENT_LENGTH"] = str(size)
        return True

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if self._owner and self._threads is not None:
            self._threads.stop()
        await send({"type": "lifespan.shutdown.complete"})


def _threads(wanted: int | Threads | None, queue: int) -> Threads | None:
    if isinstance(wanted, Threads):
        return wanted
    most = threads.usual() if wanted is None else wanted
    if most < 0 or queue < 1:
        raise SettingsError(f"threads must be 0 or more, and queue 1 or more; they are {most} and {queue}")
    return Threads(most, queue) if most else None
