"""What all connections of a worker share: one object instead of many arguments. Set once, read often."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any, Protocol

from portway.asgi.forwarded import Trust
from portway.asgi.http import Cycle
from portway.asgi.task import EAGER, Starter
from portway.asgi.websocket import Manner, WebSocket
from portway.hooks import Hooks
from portway.link.clock import Clock, ticks
from portway.link.outbox import Outbox
from portway.link.plain import protocol_of
from portway.link.refusals import Refusals
from portway.types import ASGIApp
from portway.wire.http1.encode import Preamble
from portway.wire.http2.settings import Terms
from portway.wire.port import Limits

if TYPE_CHECKING:
    from portway.link.lobby import Lobby
    from portway.link.requests import Requests
    from portway.link.tls import Filter


# What is read at once, at most: of a request, which may have to be held, and of a tunnel.
READ_MOST = 64 * 1024
TUNNEL_READ_MOST = 256 * 1024

# The same of what TLS has sealed.
SEALED_READ_MOST = 128 * 1024

# For a peer to answer our close, in seconds; the library `websockets` has as much.
CLOSE = 10.0


class Deadlines:
    """How long a connection may wait, in ticks of the clock; 0 is for ever."""

    __slots__ = ("_spans", "body", "close", "handshake", "head", "idle", "linger", "ping", "pong", "write")

    def __init__(
        self,
        *,
        idle: float,
        head: float,
        body: float,
        write: float,
        linger: float = 2.0,
        ping: float = 0.0,
        pong: float = 0.0,
        close: float = CLOSE,
        handshake: float = 0.0,
    ) -> None:
        """All in seconds. `ping` is the silence after which a WebSocket's peer is asked whether it is there,
        `pong` how long it may take to answer, `close` to answer a close, `handshake` for all of TLS' handshake.
        """
        self.idle = ticks(idle)
        self.head = ticks(head)
        self.body = ticks(body)
        self.write = ticks(write)
        self.linger = ticks(linger)
        self.ping = ticks(ping)
        self.pong = ticks(pong)
        self.close = ticks(close)
        self.handshake = ticks(handshake)
        # By the numbers of `wire.waits`.
        self._spans = (self.idle, self.head, self.body, 0, self.linger, self.ping, self.pong, self.close)

    def of(self, what: int) -> int:
        """How long one of the waits in `wire.waits` may take."""
        span: int = self._spans[what]
        return span


class Counts:
    """What changes: the connections, the requests whose Task runs, how many were begun.

    `on_request` is told the number of each request that begins, `on_last_link` that no connection is open
    any more, if anyone wants to know.
    """

    __slots__ = ("draining", "links", "on_last_link", "on_request", "patient", "requests", "running")

    def __init__(self, on_request: Callable[[int], None] | None = None) -> None:
        self.draining = False  # the server stops: what is still let in is treated as what was there
        self.patient = False  # and waits for those who are about to ask for something, see `drain`
        self.links: set[Requests | Filter] = set()
        self.running: set[Cycle | WebSocket] = set()
        self.requests = 0
        self.on_request = on_request
        self.on_last_link: Callable[[], object] | None = None

    def forget(self, link: Requests | Filter) -> None:
        """It is gone, or another one has its place."""
        self.links.discard(link)
        if not self.links and self.on_last_link is not None:
            self.on_last_link()


class Health(Protocol):
    """How the server is: `path` is where that is asked, `answer` gives the whole response."""

    path: bytes

    def answer(self, cycle: Cycle) -> None: ...


class Shared:
    """What an application is served with.

    `context` is what its lifespan left in context variables, `state` what it filled; `concurrency` is the
    number of requests under way beyond which 503 is answered, or 0; `starter` begins the Tasks of requests;
    `websockets` is how they are spoken, if at all, and `terms` the same of HTTP/2; `protocol` makes of a link what
    the loop takes; `gathers` says that the loop's transports write several pieces well; `composed` says that the
    application is several, which say of each request whose it is; `health` answers in the application's stead; where
    there is a `lobby`, requests wait in it until the application is ready. All connections read into
    `buffer`, most into `view`, its first part; what is read is copied out at once; what TLS has yet to open comes into
    `sealed`. Other loops, in other threads, have their own.
    """

    __slots__ = (
        "app", "buffer", "cancel_on_disconnect", "clock", "composed", "concurrency", "context", "counts", "deadlines",
        "gathers", "health", "health_path", "hooks", "limits", "lobby", "loop", "outbox", "preamble", "protocol",
        "refusals", "root_path", "sealed", "starter", "state", "terms", "trust", "view", "websockets",
    )  # fmt: skip

    def __init__(
        self,
        app: ASGIApp,
        loop: asyncio.AbstractEventLoop,
        *,
        clock: Clock,
        preamble: Preamble,
        limits: Limits,
        deadlines: Deadlines,
        hooks: Hooks,
        counts: Counts,
        context: Context,
        state: dict[str, Any] | None,
        root_path: str,
        trust: Trust | None,
        concurrency: int,
        cancel_on_disconnect: bool,
        websockets: Manner | None = None,
        terms: Terms | None = None,
        composed: bool = False,
        health: Health | None = None,
        lobby: Lobby | None = None,
    ) -> None:
        self.app = app
        self.loop = loop
        self.clock = clock
        self.preamble = preamble
        self.limits = limits
        self.deadlines = deadlines
        self.hooks = hooks if hooks.active else None
        self.counts = counts
        self.context = context
        self.root_path = root_path
        self.trust = trust
        self.concurrency = concurrency
        self.cancel_on_disconnect = cancel_on_disconnect
        self.websockets = websockets
        self.terms = terms
        self.composed = composed
        self.health = health
        self.health_path = None if health is None else health.path
        self.protocol = protocol_of(loop)
        self.begin(state)
        self.lobby: Lobby | None = lobby
        # asyncio's own writelines joins (3.11), or does not stop at the high-water mark (before 3.13.6).
        self.gathers = type(loop).__module__.partition(".")[0] == "uvloop"
        self.outbox = Outbox(loop)
        self.refusals = Refusals(clock)
        self.buffer = bytearray(TUNNEL_READ_MOST)
        self.view = memoryview(self.buffer)[:READ_MOST]
        self.sealed = memoryview(bytearray(SEALED_READ_MOST))

    def begin(self, state: dict[str, Any] | None) -> None:
        """The application's startup is complete. It may have set the loop's task factory, which the starter heeds."""
        self.state = state
        prompt = getattr(self.app, "portway_prompt", None)
        # CPython 3.11 forgets a Task that is cancelled before its first step, as an Errand's may be.
        if self.cancel_on_disconnect and not EAGER:
            prompt = None
        self.starter = Starter(self.loop, self.context, self.counts.running, prompt)
        self.lobby = None
