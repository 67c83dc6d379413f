"""The life of a server in one process: startup, listening, serving, and an orderly end.

  bind ──► lifespan startup ──► listen ──► … stop() … ──► drain ──► lifespan shutdown

Sockets are bound first, so that a taken port is known before the application starts, and listen last, so
that nobody is let in before it is ready (ASGI 48).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from portway.asgi.call import describe
from portway.asgi.forwarded import Trust
from portway.asgi.lifespan import Lifespan
from portway.errors import LifespanFailed
from portway.hooks import Hooks
from portway.link.clock import Clock
from portway.link.context import Counts, Deadlines, Shared
from portway.link.plain import Buffered
from portway.link.tcp import Link
from portway.server import listen
from portway.types import ASGIApp
from portway.wire.http1.encode import Preamble
from portway.wire.port import Limits

log = logging.getLogger("portway")

# After the grace, requests are told that their client has gone; so many seconds later they are cancelled,
# and after so many more no one waits for them.
TOLD = 1.0
CANCELLED = 5.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How a server serves; all times in seconds."""

    limits: Limits
    deadlines: Deadlines
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


class Service:
    """One application on one event loop. `serve` is called once."""

    def __init__(self, app: ASGIApp, plan: Plan) -> None:
        self.started = False
        self.sockets: list[socket.socket] = []
        self._app = app
        self._plan = plan
        self._counts = Counts(self._count if plan.requests else None)
        self._stopping: asyncio.Event | None = None
        self._stop_asked = False
        self._forced = False
        self._loop: asyncio.AbstractEventLoop | None = None

    async def serve(self, sockets: Sequence[socket.socket], on_started: Callable[[], None] | None = None) -> None:
        """Serve on bound sockets until `stop`; LifespanFailed if the application cannot start."""
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self.sockets = list(sockets)
        paths = [listen.path_of(sock) for sock in sockets]  # asked now: the loop closes them as it drains
        plan = self._plan
        lifespan = Lifespan(self._app, plan.lifespan, plan.startup, plan.shutdown)
        clock = Clock(self._loop, plan.preamble, plan.dated)
        clock.start()
        try:
            await lifespan.startup()
            servers = await self._listen(self._shared(clock, lifespan))
            self.started = True
            if on_started is not None:
                on_started()
            if self._stop_asked:
                self._stopping.set()
            await self._stopping.wait()
            await self._drain(servers)
            if not self._forced:
                await self._end(lifespan)
        finally:
            clock.stop()
            self.started = False
            for sock, path in zip(self.sockets, paths, strict=True):
                listen.close(sock, path)

    def stop(self, force: bool = False) -> None:
        """End in good order: finish what is under way, within the grace. With `force`, without any grace.

        May be called from any thread, and more than once.
        """
        self._stop_asked = True
        self._forced = self._forced or force
        if self._loop is not None and self._stopping is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: it has ended already
                self._loop.call_soon_threadsafe(self._stopping.set)

    def _count(self, requests: int) -> None:
        if requests == self._plan.requests:
            log.info("Stopping: %d requests were served, as --limit-max-requests says", requests)
            self.stop()

    def _shared(self, clock: Clock, lifespan: Lifespan) -> Shared:
        plan = self._plan
        assert self._loop is not None
        return Shared(
            self._app,
            self._loop,
            clock=clock,
            preamble=plan.preamble,
            limits=plan.limits,
            deadlines=plan.deadlines,
            hooks=plan.hooks,
            counts=self._counts,
            context=lifespan.context,
            state=lifespan.state,
            root_path=plan.root_path,
            trust=plan.trust,
            concurrency=plan.concurrency,
            cancel_on_disconnect=plan.cancel_on_disconnect,
        )

    async def _listen(self, shared: Shared) -> list[asyncio.Server]:
        loop = shared.loop
        # uvloop asks a protocol for its methods; asyncio for its class.
        by_methods = type(loop).__module__.partition(".")[0] == "uvloop"

        def link() -> Any:
            return Link(shared) if by_methods else Buffered(Link(shared))

        servers = []
        for sock in self.sockets:
            if sock.family == getattr(socket, "AF_UNIX", None):
                server = await loop.create_unix_server(link, sock=sock, backlog=self._plan.backlog)
            else:
                server = await loop.create_server(link, sock=sock, backlog=self._plan.backlog)
            servers.append(server)
        return servers

    # --- the end ---

    async def _drain(self, servers: list[asyncio.Server]) -> None:
        counts = self._counts
        for server in servers:
            server.close()
        for link in list(counts.links):
            link.drain()
        if counts.running and not self._forced:
            log.info("Waiting for %d requests to end (up to %g s)", len(counts.running), self._plan.grace)
        if await self._quiet(0 if self._forced else self._plan.grace):
            return
        for link in list(counts.links):
            link.disconnect()
        if await self._quiet(0 if self._forced else TOLD):
            return
        for cycle in list(counts.running):
            log.warning("Cancelled after the grace: %s", describe(cycle))
            if cycle.task is not None:
                cycle.task.cancel()
        await self._quiet(CANCELLED)
        for cycle in list(counts.running):
            log.error("Still running after it was cancelled: %s", describe(cycle))

    async def _quiet(self, seconds: float) -> bool:
        """Wait until no connection is open and no request's Task runs; whether that came in time."""
        counts = self._counts
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while counts.links or counts.running:
                    tasks = [cycle.task for cycle in counts.running if cycle.task is not None]
                    if tasks:
                        await asyncio.wait(tasks)
                        await asyncio.sleep(0)  # the Task's end closes its connection in the next turn
                    else:
                        await self._unlinked()
        return not (counts.links or counts.running)

    async def _unlinked(self) -> None:
        """Until the last connection is gone."""
        assert self._loop is not None
        last = self._loop.create_future()
        self._counts.on_last_link = lambda: last.done() or last.set_result(None)
        await last

    async def _end(self, lifespan: Lifespan) -> None:
        try:
            await lifespan.shutdown()
        except LifespanFailed as failed:
            log.error("%s", failed)
