"""A connection without a network, a clock that is wound by hand, and an application for WebSockets."""

import asyncio
import contextvars
import ssl
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from portway.asgi.websocket import Manner
from portway.hooks import Hooks
from portway.link.clock import TICKS_A_SECOND, Clock
from portway.link.context import Counts, Deadlines, Shared
from portway.link.http2 import Http2Link
from portway.link.tcp import Link
from portway.link.tls import Filter
from portway.types import ASGIApp, Message, Receive, Scope, Send
from portway.wire.http1.encode import Preamble
from portway.wire.http2.settings import Terms
from portway.wire.port import Limits


class Hand:
    """Stands in for a loop where time is concerned: it passes when `pass_by` is called."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.due: list[tuple[float, Callable[[], object]]] = []
        self.faults: list[dict[str, Any]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], object]) -> "Hand":
        self.due.append((when, callback))
        return self

    def cancel(self) -> None:
        self.due.clear()

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.faults.append(context)

    def pass_by(self, seconds: float, steps: bool = True) -> None:
        """Let time pass, in steps of a tick or all at once."""
        end = self.now + seconds
        while steps and self.now + 1 / TICKS_A_SECOND < end:
            self.now += 1 / TICKS_A_SECOND
            self._run()
        self.now = end
        self._run()

    def _run(self) -> None:
        due = [each for each in self.due if each[0] <= self.now]
        self.due = [each for each in self.due if each[0] > self.now]
        for _, callback in due:
            callback()


class Transport:
    """Keeps what is written; `unsent` is what the client has not taken yet."""

    def __init__(self) -> None:
        self.written = b""
        self.socket: Any = None
        self.unsent = 0
        self.reading = True
        self.state = "open"

    def write(self, data: bytes) -> None:
        self.written += data

    def writelines(self, pieces: list[bytes]) -> None:
        self.written += b"".join(pieces)

    def write_eof(self) -> None:
        self.state = "half closed"

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        known = {"peername": ("192.0.2.7", 4711), "sockname": ("192.0.2.1", 80), "socket": self.socket}
        return known.get(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.state in ("closed", "aborted")

    def close(self) -> None:
        self.state = "closed"

    def abort(self) -> None:
        self.state = "aborted"


class Stage:
    """A link of an application, its transport, and its clock."""

    def __init__(
        self, app: ASGIApp, tls: ssl.SSLContext | None = None, talk: Any = None, **seconds: float
    ) -> None:  # fmt: skip
        loop = asyncio.get_running_loop()
        self.hand = Hand()
        self.clock = Clock(self.hand, Preamble(), False)  # type: ignore[arg-type]
        self.clock.start()
        spans = {"idle": 75.0, "head": 10.0, "body": 30.0, "write": 20.0, "handshake": 10.0} | seconds
        self.counts = Counts()
        shared = Shared(
            app,
            loop,
            clock=self.clock,
            preamble=Preamble(),
            limits=Limits(),
            deadlines=Deadlines(**spans),
            hooks=Hooks(),
            counts=self.counts,
            context=contextvars.copy_context(),
            state=None,
            root_path="",
            trust=None,
            concurrency=0,
            cancel_on_disconnect=False,
            websockets=Manner(max_size=1 << 20, max_queue=4, deflates=False, origins=()),
            terms=Terms(connects=True),
        )
        self.shared = shared
        self.transport = Transport()
        kind = Link if talk is None else Http2Link
        self.link: Any = kind(shared) if tls is None else Filter(shared, tls, lambda alpn: kind(shared))
        self.link.connection_made(self.transport)
        self.talk = talk  # the client, if it speaks HTTP/2

    async def feed(self, data: bytes) -> None:
        """Bytes come, and the application gets its turns."""
        self.link.data_received(data)
        await self.turns()

    async def exchange(self) -> Any:
        """What the client has to say comes, and it hears what was written; itself."""
        await self.feed(self.talk.out())
        await self.hear()
        return self.talk

    async def hear(self) -> None:
        """The client hears what was written, and what the loop has yet to write."""
        await self.turns()
        written, self.transport.written = self.transport.written, b""
        self.talk.heard(written)

    async def read(self, data: bytes) -> None:
        """The same for a link that has to give a buffer first."""
        self.link.get_buffer(-1)[: len(data)] = data
        self.link.buffer_updated(len(data))
        await self.turns()

    async def turns(self) -> None:
        """Let everything run that can."""
        for _ in range(5):
            await asyncio.sleep(0)

    async def end(self) -> None:
        """The connection is lost, and the application through."""
        self.link.connection_lost(None)
        tasks = [cycle.task for cycle in self.counts.running if cycle.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


Play = Callable[..., None]


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def play() -> Play:
    """`play(app, scene, **deadlines)` runs `await scene(stage)` with a stage for it; `tls` is a context."""

    def run(app: ASGIApp, scene: Callable[[Stage], Awaitable[None]], **rest: Any) -> None:
        async def main() -> None:
            stage = Stage(app, **rest)
            await scene(stage)
            await stage.end()

        asyncio.run(main())

    return run


@pytest.fixture
def play2(play: Play, talk: Callable[..., Any]) -> Play:
    """The same for HTTP/2: the client is `stage.talk`."""
    return lambda app, scene, **rest: play(app, scene, talk=talk(), **rest)


class Sockets:
    """Echoes on WebSockets, and keeps what it is told of their end; answers plain requests with their path.

    /hold waits for `go` before it takes messages, /late before it accepts; /bye closes at the first message.
    """

    def __init__(self) -> None:
        self.scopes: list[Scope] = []
        self.ends: list[Message] = []
        self.held: list[Any] = []
        self.entered = threading.Event()
        self.go = threading.Event()
        self.ended = threading.Event()

    @property
    def kinds(self) -> list[str]:
        return [scope["type"] for scope in self.scopes]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        if scope["type"] == "http":
            if scope["path"] == "/later":
                await asyncio.sleep(0)
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": scope["path"].encode()})
            return
        await receive()
        if scope["path"] == "/late":
            await self.wait()
        await send({"type": "websocket.accept"})
        if scope["path"] == "/hold":
            await self.wait()
        while (message := await receive())["type"] == "websocket.receive":
            if scope["path"] == "/hold":
                self.held.append(message.get("text"))
            elif scope["path"] == "/bye":
                await send({"type": "websocket.close", "code": 4000})
            else:
                await send({**message, "type": "websocket.send"})
        self.ends.append(message)
        self.ended.set()

    async def wait(self) -> None:
        self.entered.set()
        await asyncio.get_running_loop().run_in_executor(None, self.go.wait, 20)


@pytest.fixture
def app() -> Sockets:
    return Sockets()
