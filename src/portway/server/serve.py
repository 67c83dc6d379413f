"""The life of a server in one process: startup, listening, serving, and an orderly end.

  bind ──► lifespan startup ──► listen ──► … stop() … ──► drain ──► lifespan shutdown

Sockets are bound first, so that a taken port is known before the application starts, and listen last, so
that nobody is let in before it is ready (ASGI 48).
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from portway.asgi.call import describe
from portway.asgi.forwarded import Trust
from portway.asgi.lifespan import Lifespan
from portway.asgi.task import task_of
from portway.asgi.websocket import Manner
from portway.errors import LifespanFailed
from portway.hooks import Hooks
from portway.link.clock import Clock
from portway.link.context import Counts, Deadlines, Shared
from portway.link.http2 import Http2Link
from portway.link.tcp import Link
from portway.link.tls import Filter
from portway.server import listen
from portway.server.certs import Certificates
from portway.server.redirect import HTTPS, Redirect
from portway.types import ASGIApp
from portway.wire.http1.encode import Preamble
from portway.wire.http2.settings import Terms
from portway.wire.port import Limits

log = logging.getLogger("portway")

# After the grace, requests are told that their client has gone; so many seconds later they are cancelled,
# and after so many more no one waits for them.
TOLD = 1.0
CANCELLED = 5.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How a server serves; all times in seconds. `redirects` is what those responses begin with that lead to https,
    `composed` says that the application is several, which say which of them answered.
    """

    limits: Limits
    deadlines: Deadlines
    websockets: Manner | None
    hooks: Hooks
    preamble: Preamble
    trust: Trust | None
    dated: bool
    root_path: str
    lifespan: str
    startup: float
    shutdown: float
    grace: float
    backlog: int
    concurrency: int
    requests: int
    cancel_on_disconnect: bool
    terms: Terms | None = None
    http1: bool = True
    composed: bool = False
    certificates: Certificates | None = None
    redirects: Preamble | None = None


class Service:
    """One application on one event loop. `serve` is called once.

    `urls` are where it listens, `redirects` where it leads to them; `left` are the requests that did not end, even
    when they were cancelled.
    """

    def __init__(self, app: ASGIApp, plan: Plan) -> None:
        self.started = False
        self.sockets: list[socket.socket] = []
        self.urls: list[str] = []
        self.redirects: list[str] = []
        self._app = app
        self._plan = plan
        self._plain: list[socket.socket] = []
        self._counts = Counts(self._count if plan.requests else None)
        self._stopping = asyncio.Event()
        self._stop_asked = False
        self._forced = False
        self._until = 0.0
        self._patience: asyncio.Timeout | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def left(self) -> int:
        return len(self._counts.running)

    def grace_left(self) -> float:
        """How many seconds are left of the grace, once it began."""
        return 0.0 if self._forced else max(0.0, self._until - time.monotonic())

    async def serve(
        self,
        sockets: Sequence[socket.socket],
        on_started: Callable[[], None] | None = None,
        plain: Sequence[socket.socket] = (),
    ) -> None:
        """Serve on bound sockets, which are closed in the end, until `stop`; on the `plain` ones lead to https.

        Raises LifespanFailed if the application cannot start, BindError if somebody else began to listen
        meanwhile. If this is cancelled, there is no grace.
        """
        self._loop = asyncio.get_running_loop()
        self.sockets = list(sockets)
        self._plain = list(plain)
        self.urls = [listen.url(sock, "https" if self._plan.certificates else "http") for sock in sockets]
        self.redirects = [listen.url(sock) for sock in plain]
        clock = Clock(self._loop, self._plan.preamble, self._plan.dated)
        clock.start()
        try:
            if not self._stop_asked:
                await self._live(clock, on_started)
        finally:
            clock.stop()
            for sock in [*self.sockets, *self._plain]:
                listen.close(sock)

    def stop(self, force: bool = False) -> None:
        """End in good order: finish what is under way, within the grace. With `force`, without any grace.

        May be called from any thread, from a signal handler, before `serve`, and more than once.
        """
        self._stop_asked = True
        self._forced = self._forced or force
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: it has ended already
                self._loop.call_soon_threadsafe(self._heed)

    def _heed(self) -> None:
        """What `stop` asked for, on the loop."""
        self._stopping.set()
        patience = self._patience
        assert self._loop is not None
        if patience is not None and (self._forced or patience.when() is None):
            with contextlib.suppress(RuntimeError):  # it has run out this very moment
                patience.reschedule(self._loop.time() + (0 if self._forced else self._plan.grace))

    async def _live(self, clock: Clock, on_started: Callable[[], None] | None) -> None:
        plan = self._plan
        lifespan = Lifespan(self._app, plan.lifespan, plan.startup, plan.shutdown)
        if not await self._ready(lifespan):
            log.warning("Stopped before the application's startup was complete")
            return
        servers: list[asyncio.Server] = []
        try:
            if not self._stopping.is_set():
                await self._open(servers, self._shared(clock, lifespan))
                self.started = True
                if on_started is not None:
                    on_started()
                await self._stopping.wait()
        except asyncio.CancelledError:
            self._forced = True
            raise
        finally:
            self.started = False
            if plan.certificates is not None:
                plan.certificates.stop()
            await self._drain(servers)
            await self._end(lifespan)

    async def _ready(self, lifespan: Lifespan) -> bool:
        """Wait for the application's startup; when told to stop, within the grace. Whether it is complete."""
        startup = asyncio.ensure_future(lifespan.startup())
        try:
            if await self._within(None, asyncio.wait([startup])):
                startup.result()
                return True
            return False
        finally:
            if not startup.done():
                startup.cancel()
                await asyncio.wait([startup])
                await lifespan.cancel()

    def _count(self, requests: int) -> None:
        if requests == self._plan.requests:
            log.info("Stopping: %d requests were served, as --limit-max-requests says", requests)
            self.stop()

    def _shared(self, clock: Clock, lifespan: Lifespan) -> Shared:
        plan = self._plan
        return self._share(
            self._app,
            clock=clock,
            preamble=plan.preamble,
            context=lifespan.context,
            state=lifespan.state,
            root_path=plan.root_path,
            trust=plan.trust,
            websockets=plan.websockets,
            terms=plan.terms,
            composed=plan.composed,
        )

    def _share(self, app: ASGIApp, **rest: Any) -> Shared:
        plan = self._plan
        assert self._loop is not None
        return Shared(
            app,
            self._loop,
            limits=plan.limits,
            deadlines=plan.deadlines,
            hooks=plan.hooks,
            counts=self._counts,
            concurrency=plan.concurrency,
            cancel_on_disconnect=plan.cancel_on_disconnect,
            **rest,
        )

    async def _open(self, servers: list[asyncio.Server], shared: Shared) -> None:
        """Let them in."""
        certificates = self._plan.certificates
        if certificates is None:
            plain = Link if self._plan.http1 else Http2Link
            await self._listen(servers, self.sockets, shared, lambda: plain(shared))
            return

        def choose(alpn: str | None) -> Any:
            return Http2Link(shared) if alpn == "h2" or not self._plan.http1 else Link(shared)

        certificates.watch(shared.loop)
        await self._listen(servers, self.sockets, shared, lambda: Filter(shared, certificates.context, choose))
        if self._plain:
            leading = self._leading(shared)
            await self._listen(servers, self._plain, leading, lambda: Link(leading))

    def _leading(self, shared: Shared) -> Shared:
        """What the connections share that are led to https."""
        names = [sock.getsockname() for sock in self.sockets]
        preamble = self._plan.redirects
        assert preamble is not None
        shared.clock.date(preamble)
        return self._share(
            Redirect(next((name[1] for name in names if isinstance(name, tuple)), HTTPS)),
            clock=shared.clock,
            preamble=preamble,
            context=shared.context,
            state=None,
            root_path="",
            trust=None,
        )

    async def _listen(
        self,
        servers: list[asyncio.Server],
        sockets: list[socket.socket],
        shared: Shared,
        make: Callable[[], Link | Http2Link | Filter],
    ) -> None:
        loop = shared.loop

        def link() -> Any:
            return shared.protocol(make())

        # The file of a Unix socket is removed by who made it, which the loop cannot know.
        known = inspect.signature(loop.create_unix_server).parameters
        kept: dict[str, Any] = {"cleanup_socket": False} if "cleanup_socket" in known else {}
        backlog = self._plan.backlog
        for sock in sockets:
            listen.begin(sock, backlog)
            if sock.family == getattr(socket, "AF_UNIX", None):
                server = await loop.create_unix_server(link, sock=sock, backlog=backlog, **kept)
            else:
                server = await loop.create_server(link, sock=sock, backlog=backlog)
            servers.append(server)

    # --- the end ---

    async def _drain(self, servers: list[asyncio.Server]) -> None:
        counts = self._counts
        self._until = time.monotonic() + self._plan.grace
        for server in servers:
            server.close()
        counts.draining = True  # for those who were accepted, and whose link the loop begins in its next turn
        for link in list(counts.links):
            link.drain()
        if counts.running and not self._forced:
            count = len(counts.running)
            log.info("Waiting for %d request%s to end (up to %g s)", count, "s"[: count > 1], self._plan.grace)
        if await self._within(self._plan.grace, self._quiet()):
            return
        for link in list(counts.links):
            link.disconnect()
        if await self._within(TOLD, self._quiet()):
            return
        for cycle in list(counts.running):
            log.warning("Cancelled after the grace: %s", describe(cycle))
            if cycle.task is not None:
                cycle.task.cancel()
        for link in list(counts.links):
            link.sever()
        await self._within(CANCELLED, self._quiet())
        for cycle in list(counts.running):
            log.error("Still running after it was cancelled: %s", describe(cycle))

    async def _within(self, seconds: float | None, awaitable: Awaitable[object]) -> bool:
        """Wait so long; whether it came in time. `_heed` may shorten it; None is the grace after a stop."""
        try:
            async with asyncio.timeout(0 if self._forced else seconds) as self._patience:
                await awaitable
        except TimeoutError:
            return False
        finally:
            self._patience = None
        return True

    async def _quiet(self) -> None:
        """Wait until no connection is open and no request's Task runs."""
        counts = self._counts
        while counts.links or counts.running:
            tasks = [task for task in map(task_of, list(counts.running)) if task is not None]
            if tasks:
                await asyncio.wait(tasks)
                await asyncio.sleep(0)  # the Task's end closes its connection in the next turn
            else:
                await self._unlinked()

    async def _unlinked(self) -> None:
        """Until the last connection is gone."""
        last = asyncio.Event()
        self._counts.on_last_link = last.set
        await last.wait()

    async def _end(self, lifespan: Lifespan) -> None:
        try:
            await lifespan.shutdown()
        except LifespanFailed as failed:
            log.error("%s", failed)
