"""The composition root: the only file that knows every room. Settings become objects here."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import portway
from portway import _modes
from portway.asgi.forwarded import Trust
from portway.config import Address, Fd, Unix, addresses, check
from portway.config.settings import Settings
from portway.errors import BindError, LifespanFailed, PortwayError, SettingsError
from portway.hooks import Hooks, together
from portway.link.context import Deadlines
from portway.observe import logs
from portway.observe.access import AccessLog
from portway.server import listen
from portway.server.serve import Plan, Service
from portway.target import asgi2_to_asgi3, detect, locate
from portway.types import ASGIApp
from portway.wire.http1.encode import Preamble
from portway.wire.port import Limits

log = logging.getLogger("portway")

# Exit codes. 2 is click's for a wrong call; 3 is uvicorn's for an application that does not start.
ENDED = 0
UNUSABLE = 2
NO_START = 3
INTERRUPTED = 130


class Server:
    """Serves an application inside a running event loop.

        server = portway.Server(app, portway.Settings(port=8080))
        await server.serve()

    `started` is True while connections are accepted. Signals and logging are left alone; `portway.run`
    takes care of both.
    """

    def __init__(self, app: Any, settings: Settings | None = None) -> None:
        """`app` is an application (ASGI 3 or 2) or a target such as "main:app".

        Raises SettingsError for settings that contradict each other, LoadError for a target that cannot
        be loaded.
        """
        self.settings = settings or Settings()
        check(self.settings)
        self._service = Service(application(app, self.settings), plan(self.settings))

    @property
    def started(self) -> bool:
        """Whether connections are accepted."""
        return self._service.started

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """The listening sockets, once `serve` was called; with port 0 they know the port."""
        return tuple(self._service.sockets)

    @property
    def urls(self) -> tuple[str, ...]:
        """Where the server is reached."""
        return tuple(listen.url(sock) for sock in self._service.sockets)

    async def serve(self, on_started: Callable[[], None] | None = None) -> None:
        """Serve until `stop`. Raises BindError, and LifespanFailed if the application cannot start."""
        await self._service.serve(bind(self.settings), on_started)

    def stop(self, force: bool = False) -> None:
        """End: accept no more, finish what is under way within the grace; with `force`, at once.

        May be called from any thread.
        """
        self._service.stop(force)


def run(app: Any, settings: Settings | None = None, **changes: Any) -> None:
    """Serve `app` until SIGTERM or SIGINT, in a loop of its own, and return when all is ended.

    `changes` are settings by name: `portway.run(app, port=8080, log_level="debug")`. Raises what
    `Server` raises.
    """
    settings = Settings(**(vars(settings) if settings else {}) | changes)
    serve(app, settings)


def main(settings: Settings) -> int:
    """Serve the target of the settings; the exit code for the process."""
    try:
        return serve(settings.target, settings)
    except LifespanFailed as failed:
        log.error("%s", failed)
        return NO_START


def serve(app: Any, settings: Settings) -> int:
    logs.set_up(settings.log_level, settings.log_config, settings.use_colors)
    server = Server(app, settings)
    with asyncio.Runner(loop_factory=loop_factory(settings.loop)) as runner:
        return runner.run(_serve(server, settings))


async def _serve(server: Server, settings: Settings) -> int:
    loop = asyncio.get_running_loop()
    stops = Stops(server, loop)
    stops.listen()
    try:
        await server.serve(lambda: announce(server, settings))
    finally:
        stops.ignore()
    log.info("Stopped")
    return ENDED


class Stops:
    """What signals do: the first SIGINT or SIGTERM ends in good order, the second SIGINT at once."""

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._loop = loop

    def listen(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._loop.add_signal_handler(number, self._first, number)
            except NotImplementedError:  # Windows
                signal.signal(number, lambda number, frame: self._first(number))

    def ignore(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._loop.remove_signal_handler(number)
            except NotImplementedError:
                signal.signal(number, signal.SIG_DFL)

    def _first(self, number: int) -> None:
        log.info("Stopping (%s)%s", signal.Signals(number).name, "; press Ctrl+C again to end at once" * (number == 2))
        self._server.stop()
        if number == signal.SIGINT:
            # Not through the loop, which the application may be blocking.
            self._loop.remove_signal_handler(number)
            signal.signal(number, self._second)

    @staticmethod
    def _second(number: int, frame: FrameType | None) -> None:
        log.warning("Ended at once")
        logging.shutdown()
        os._exit(INTERRUPTED)


# --- settings to objects ---


def application(app: Any, settings: Settings) -> ASGIApp:
    """The application as ASGI 3."""
    target = app if isinstance(app, str) else None
    if target is not None:
        app = locate(target, settings.app_dir, settings.factory)
    elif settings.factory:
        app = app()
    spoken = detect(app) if settings.interface == "auto" else settings.interface
    if spoken == "wsgi":
        raise SettingsError(
            f"{target or app!r} is a WSGI application, and this version serves ASGI; "
            "wrap it, for example in a2wsgi.WSGIMiddleware, or set --interface if it is ASGI"
        )
    return asgi2_to_asgi3(app) if spoken == "asgi2" else app


def plan(settings: Settings) -> Plan:
    allowed = settings.forwarded_allow_ips if settings.proxy_headers else ""
    extra = b"".join(line.encode("latin-1") for line in header_lines(settings.header))
    return Plan(
        limits=Limits(
            line=settings.limit_request_line,
            head=settings.limit_request_head,
            fields=settings.limit_request_fields,
            body=settings.limit_request_body or 0,
        ),
        deadlines=Deadlines(
            idle=settings.timeout_keep_alive,
            head=settings.timeout_request_head,
            body=settings.timeout_request_body,
            write=settings.timeout_response,
        ),
        hooks=hooks(settings),
        preamble=Preamble(b"portway" if settings.server_header else b"", extra),
        trust=Trust(allowed) if allowed else None,
        dated=settings.date_header,
        root_path=settings.root_path.rstrip("/"),
        lifespan=settings.lifespan,
        startup=settings.timeout_startup,
        shutdown=settings.timeout_shutdown,
        grace=settings.timeout_graceful_shutdown,
        backlog=settings.backlog,
        concurrency=settings.limit_concurrency or 0,
        requests=settings.limit_max_requests or 0,
        cancel_on_disconnect=settings.cancel_on_disconnect,
    )


def header_lines(headers: tuple[str, ...]) -> list[str]:
    pairs = (header.partition(":") for header in headers)
    return [f"\r\n{name.strip()}: {value.strip()}" for name, _, value in pairs]


def hooks(settings: Settings) -> Hooks:
    return together([AccessLog(settings.access_log_format)] if settings.access_log else [])


def bind(settings: Settings) -> list[socket.socket]:
    """A bound socket for each address; all or none."""
    bound: list[socket.socket] = []
    try:
        for address in addresses(settings):
            bound += bind_one(address)
    except BindError:
        for sock in bound:
            listen.close(sock)
        raise
    return bound


def bind_one(address: Address) -> list[socket.socket]:
    if isinstance(address, Unix):
        return [listen.unix(address.path)]
    if isinstance(address, Fd):
        return [listen.inherited(address.number)]
    return listen.tcp(address.host, address.port)


def loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    if name == "asyncio":
        return asyncio.new_event_loop
    try:
        import uvloop
    except ImportError:
        if name == "uvloop":
            raise SettingsError("loop: uvloop is not installed; pip install uvloop, or choose asyncio") from None
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def announce(server: Server, settings: Settings) -> None:
    """What is served, where and how: for the person at the terminal."""
    loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    python = ".".join(map(str, sys.version_info[:3]))
    target = settings.target or "the application"
    log.info("Portway %s serves %s (%s, CPython %s, %s)", portway.__version__, target, _modes.mode(), python, loop)
    for url in server.urls:
        log.info("Listening on %s (press Ctrl+C to stop)", url)


__all__ = ["PortwayError", "Server", "Settings", "main", "run"]
