"""The life of a server in one process: startup, listening, serving, and an orderly end.

  bind ──► lifespan startup ──► listen ──► … stop() … ──► drain ──► lifespan shutdown

Sockets are bound first, so that a taken port is known before the application starts, and listen last, so
that nobody is let in before it is ready (ASGI 48). With a path for its health a server listens first, unless others
serve already: it tells there how it is, and all other requests wait until the application is ready.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from portway.asgi.call import describe
from portway.asgi.lifespan import Lifespan
from portway.asgi.task import task_of
from portway.errors import LifespanFailed
from portway.link.clock import Clock
from portway.link.context import Counts, Shared
from portway.link.lobby import Lobby
from portway.link.tcp import Link
from portway.server import listen
from portway.server.doors import Doors
from portway.server.health import FAILED, STARTING, STOPPING, Health
from portway.server.plan import Plan
from portway.server.wear import Wear
from portway.types import ASGIApp

log = logging.getLogger("portway")

# After the grace, requests are told that their client has gone; so many seconds later they are cancelled,
# and after so many more no one waits for them.
TOLD = 1.0
CANCELLED = 5.0


class Figures(NamedTuple):
    """What a server does: the requests that it began so far, those under way, and the connections that are open."""

    requests: int
    running: int
    connections: int


def _nobody() -> Any:
    """Comes before the doors are open."""
    raise AssertionError


class Service:
    """One application on one event loop. `serve` is called once.

    `urls` are where it listens, `redirects` where it leads to them; `left` are the requests that did not end, even
    when they were cancelled.
    """

    def __init__(self, app: ASGIApp, plan: Plan, on_worn: Callable[[str], None] | None = None) -> None:
        """`on_worn` is told once why this process has served long enough, such as "100000 requests"; without it,
        the service stops by itself then.
        """
        self.started = False
        self.sockets: list[socket.socket] = []
        self.urls: list[str] = []
        self.redirects: list[str] = []
        self._app = app
        self._plan = plan
        self._plain: list[socket.socket] = []
        self._doors: Doors | None = None  # as long as it serves
        self._turn = asyncio.Lock()  # of those who change them
        self._make: Callable[[], Any] = _nobody  # links, for those who come where requests are served
        self._lead: Callable[[], Any] = _nobody  # and where they are led to https
        self._on_worn = on_worn
        self._wear = Wear(plan.span, self._worn)
        self._counts = Counts(self._wear.count if self._wear.counts else None)
        self._stopping = asyncio.Event()
        self._lobby = None if plan.health is None else Lobby()
        self._ready = False  # the application is
        self._hurried = asyncio.Event()  # told to stop again: nothing is put off any more
        self._stop_asked = False
        self._patient = False
        self._shares = False  # others go on with the same sockets
        self._forced = False
        self._until = 0.0
        self._patience: asyncio.Timeout | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def left(self) -> int:
        return len(self._counts.running)

    def figures(self) -> Figures:
        counts = self._counts
        return Figures(counts.requests, len(counts.running), len(counts.links))

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
                if self._shares:
                    sock.close()
                else:
                    listen.close(sock)

    async def ending(self) -> None:
        """Wait until the end begins."""
        await self._stopping.wait()

    def stop(self, force: bool = False, patient: bool = False) -> None:
        """End in good order: finish what is under way, within the grace. With `force`, without any grace; `patient`,
        with a moment for those who are about to ask for something on a connection that they have.

        May be called from any thread, from a signal handler, before `serve`, and more than once. The second call
        ends the delay before the end begins.
        """
        self._forced = self._forced or force
        self._ask(patient)

    def retire(self) -> None:
        """The same, patiently, while others go on with the same listening sockets: nothing is done to these."""
        self._shares = self._shares or not self._stop_asked
        self._ask(True)

    def wait(self) -> None:
        """Before `serve`: even with a path for its health, listen only when the application is ready. Others serve on
        the same sockets, and answer meanwhile.
        """
        self._lobby = None

    def _ask(self, patient: bool) -> None:
        self._stop_asked = True
        self._patient = self._patient or patient
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: it has ended already
                self._loop.call_soon_threadsafe(self._heed)

    def _heed(self) -> None:
        """What `stop` asked for, on the loop."""
        if self._stopping.is_set():
            self._hurried.set()
        self._stopping.set()
        patience = self._patience
        assert self._loop is not None
        if patience is not None and (self._forced or patience.when() is None):
            with contextlib.suppress(RuntimeError):  # it has run out this very moment
                patience.reschedule(self._loop.time() + (0 if self._forced else self._plan.grace))

    async def _live(self, clock: Clock, on_started: Callable[[], None] | None) -> None:
        plan = self._plan
        lifespan = Lifespan(self._app, plan.lifespan, plan.startup, plan.shutdown)
        shared = self._shared(clock, lifespan)
        doors = Doors(shared.loop, plan.backlog)
        lobby = self._lobby
        try:
            if lobby is not None:
                await self._open(doors, shared)
            if not await self._complete(lifespan):
                log.warning("Stopped before the application's startup was complete")
                return
            self._ready = True
            shared.begin(lifespan.state)
            if lobby is not None:
                lobby.open(shared)
            elif not self._stopping.is_set():
                await self._open(doors, shared)
            if not self._stopping.is_set():
                self._doors = doors
                self.started = True
                self._wear.begin(clock)
                if on_started is not None:
                    on_started()
                await self._stopping.wait()
                await self._delay()
        except asyncio.CancelledError:
            self._forced = True
            raise
        finally:
            self.started = False
            if lobby is not None:
                lobby.close()
            if plan.certificates is not None:
                plan.certificates.stop()
            async with self._turn:  # whom they were opened for before is let in, too
                self._doors = None
            await self._drain(doors)
            await self._end(lifespan)

    async def _complete(self, lifespan: Lifespan) -> bool:
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

    def _worn(self, reason: str, setting: str) -> None:
        if self._on_worn is not None:
            self._on_worn(reason)
        else:
            log.info("Stopping: the limit of %s is reached, as %s says", reason, setting)
            self.stop(patient=True)

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
            health=None if plan.health is None else Health(plan.health, self._condition),
            lobby=self._lobby,
        )

    def _condition(self) -> tuple[str, str] | None:
        """Why not all is well, if so."""
        if self._lobby is not None and self._lobby.closed and not self._ready:
            return FAILED
        if self._stopping.is_set() and not (self._shares and self._ready):
            return STOPPING
        return None if self._ready else STARTING

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

    async def _open(self, doors: Doors, shared: Shared) -> None:
        """Let them in."""
        certificates = self._plan.certificates
        protocol = shared.protocol
        if certificates is None:
            plain: Any = Link
            if not self._plan.http1:
                from portway.link.http2 import Http2Link as plain

            self._make = lambda: protocol(plain(shared))
            await doors.open(self.sockets, self._make)
            return

        from portway.link.http2 import Http2Link
        from portway.link.tls import Filter

        def choose(alpn: str | None) -> Any:
            return Http2Link(shared) if alpn == "h2" or not self._plan.http1 else Link(shared)

        certificates.watch(shared.loop)
        self._make = lambda: protocol(Filter(shared, certificates.context, choose))
        await doors.open(self.sockets, self._make)
        if self._plain:
            leading = self._leading(shared)
            self._lead = lambda: protocol(Link(leading))
            await doors.open(self._plain, self._lead)

    async def admit(self, sockets: list[socket.socket], plain: list[socket.socket]) -> bool:
        """Serve on these as well, until `dismiss`, or the end; False if this is not the time."""
        async with self._turn:
            doors = self._doors
            if doors is None:
                return False
            self.sockets += sockets
            self._plain += plain
            await doors.open(sockets, self._make)
            await doors.open(plain, self._lead)
            return True

    async def dismiss(self, sockets: list[socket.socket], last: bool) -> None:
        """No more on these; if this is the `last` process that does, who waits there is let in before."""
        async with self._turn:
            if self._doors is not None and sockets:
                await self._doors.shut(sockets, last)
                for sock in sockets:
                    (self.sockets if sock in self.sockets else self._plain).remove(sock)
                    sock.close()

    def _leading(self, shared: Shared) -> Shared:
        """What the connections share that are led to https."""
        from portway.server.redirect import HTTPS, Redirect

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

    # --- the end ---

    async def _delay(self) -> None:
        """Go on until a balancer has noticed that no one should come any more."""
        delay = 0 if self._shares else self._plan.delay
        if delay and not self._forced:
            log.info("Serving on for %g s, as --drain-delay says", delay)
            await self._within(delay, self._hurried.wait())

    async def _drain(self, doors: Doors) -> None:
        if not doors.opened:
            return
        counts = self._counts
        self._until = time.monotonic() + self._plan.grace
        if not self._shares:
            doors.narrow()
        counts.draining = True
        counts.patient = self._patient
        for link in list(counts.links):
            link.drain()
        if counts.running and not self._forced:
            count = len(counts.running)
            log.info("Waiting for %d request%s to end (up to %g s)", count, "s"[: count > 1], self._plan.grace)
        if not self._shares and not self._forced:
            await doors.empty()
        await doors.close()
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
