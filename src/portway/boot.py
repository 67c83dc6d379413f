"""The composition root: the only file that knows every room. Settings become objects here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import platform
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import partial
from importlib import metadata
from types import FrameType
from typing import Any, NoReturn

import portway
from portway import _modes
from portway.asgi.forwarded import Trust
from portway.asgi.websocket import Manner
from portway.compose import Fallback, Mounts
from portway.compose.adopt import adopt
from portway.compose.assembly import Assembly
from portway.compose.lifespans import Course, Member, Row, rows_of
from portway.config import Address, Fd, Peers, Settings, Tcp, Unix, addresses, catalogue, check, parse_peers
from portway.config.check import value
from portway.errors import BindError, LifespanFailed, SettingsError
from portway.hooks import Hooks, together
from portway.link.context import Deadlines
from portway.observe import logs
from portway.observe.access import AccessLog
from portway.server import listen
from portway.server.certs import Certificates, Demands, Pair
from portway.server.serve import Plan, Service
from portway.target import Interface, locate
from portway.types import ASGIApp
from portway.wire.http1.encode import Preamble
from portway.wire.http2.settings import Terms
from portway.wire.port import Limits
from portway.wsgi import WSGI

log = logging.getLogger("portway")

# Makes the context of TLS, of the settings and a function that makes the one which they describe.
ContextFactory = Callable[[Settings, Callable[[], ssl.SSLContext]], ssl.SSLContext]

# Exit codes: 1 and 3 are uvicorn's, 2 is click's for a wrong call (wrong settings, nothing to load), 130 is a
# shell's for SIGINT.
ENDED = 0
NO_ADDRESS = 1
NO_START = 3
INTERRUPTED = 130

# For the clock, 0 is never; for a person who sets --timeout-keep-alive 0, it is now.
AT_ONCE = 0.001

# By uvicorn's `--ssl-version`.
NEWEST: dict[int, ssl.TLSVersion] = {
    ssl.PROTOCOL_TLS: ssl.TLSVersion.MAXIMUM_SUPPORTED,
    ssl.PROTOCOL_TLS_SERVER: ssl.TLSVersion.MAXIMUM_SUPPORTED,
    ssl.PROTOCOL_TLSv1_2: ssl.TLSVersion.TLSv1_2,
}

SIGNALS = [signal.SIGINT, signal.SIGTERM]
if sys.platform == "win32":
    SIGNALS.append(signal.SIGBREAK)


class Server:
    """Serves an application inside a running event loop.

        server = portway.Server(app, portway.Settings(port=8080))
        await server.serve()

    `started` is True while connections are accepted. Signals and logging are left alone; `portway.run`
    takes care of both.
    """

    def __init__(
        self,
        app: ASGIApp | Callable[..., Any] | str,
        settings: Settings | None = None,
        *,
        ssl_context_factory: ContextFactory | None = None,
    ) -> None:
        """`app` is an application (ASGI 3 or 2) or a target such as "main:app".

        `ssl_context_factory(settings, default)` returns the `ssl.SSLContext` to serve with, for all that settings
        cannot say; `default()` is the one that they describe. It is called again when a certificate's file changes.

        Raises SettingsError for settings that cannot be used, LoadError for a target that cannot be loaded.
        """
        self.settings = settled(settings, {}, ssl_context_factory is not None)
        served = whole(app, self.settings).app
        composed = isinstance(served, Mounts | Fallback)
        self._service = Service(served, plan(self.settings, ssl_context_factory, composed))
        self._used = False

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
        """Where the server is reached, once `serve` was called."""
        return tuple(self._service.urls)

    @property
    def redirects(self) -> tuple[str, ...]:
        """Where plain HTTP is led to https, once `serve` was called."""
        return tuple(self._service.redirects)

    @property
    def left(self) -> int:
        """How many requests did not end with the server, even when they were cancelled."""
        return self._service.left

    async def serve(self, on_started: Callable[[], None] | None = None) -> None:
        """Serve until `stop`; once in the life of this object. `on_started` is called when all is up.

        Raises BindError, and LifespanFailed if the application cannot start. Cancelled, it ends at once.
        """
        if self._used:
            raise RuntimeError("this server has served already; make another one")
        self._used = True
        try:
            bound = bind(addresses(self.settings))
            await self._service.serve(bound, on_started, bind_redirects(self.settings, bound))
        finally:
            logs.flush()

    def stop(self, force: bool = False) -> None:
        """End: accept no more, finish what is under way within the grace; with `force`, without any grace.

        May be called from any thread, before `serve`, and more than once.
        """
        self._service.stop(force)


def run(
    app: ASGIApp | Callable[..., Any] | str,
    settings: Settings | None = None,
    *,
    ssl_context_factory: ContextFactory | None = None,
    **changes: Any,
) -> None:
    """Serve `app` until SIGTERM or SIGINT, in a loop of its own, and return when all is ended.

    `changes` are settings by name: `portway.run(app, port=8080, log_level="debug")`. Raises what
    `Server` and its `serve` raise.
    """
    chosen = settled(settings, changes, ssl_context_factory is not None)
    prepare(chosen)
    server = Server(app, chosen, ssl_context_factory=ssl_context_factory)
    with asyncio.Runner(loop_factory=loop_factory(chosen.loop)) as runner:
        stops = Stops(server, runner.get_loop())
        stops.listen()
        try:
            runner.run(_serve(server, app))
        finally:
            stops.ignore()


def main(settings: Settings) -> int:
    """Serve the target of the settings; the exit code for the process, which is over then."""
    occupy_standard_descriptors()
    prepare(settings)
    server = Server(settings.target or "", settings)
    try:
        with asyncio.Runner(loop_factory=loop_factory(settings.loop)) as runner:
            stops = Stops(server, runner.get_loop())
            stops.listen()
            runner.run(_serve(server, settings.target))
            stops.surrender()
            if server.left:  # the loop, and Python, would wait for them for ever
                leave(ENDED)
    except (BindError, LifespanFailed) as failed:
        log.error("%s", failed)
        return NO_ADDRESS if isinstance(failed, BindError) else NO_START
    return ENDED


def occupy_standard_descriptors() -> None:
    """Let no socket become standard output, where that was closed: prints would go to a client.

    libuv, besides, ends a process that closes one of the three.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)  # as the other two are, for the application's child processes
    os.close(number)


def prepare(settings: Settings) -> None:
    """Set up logging."""
    by_file = settings.log_config is not None and settings.log_level == Settings.log_level
    logs.set_up(
        None if by_file else settings.log_level,
        settings.log_config,
        settings.use_colors,
        bare=settings.access_log_format is not None,
    )


async def _serve(server: Server, app: Any) -> None:
    log.info("%s", ours())
    await server.serve(lambda: announce(server, app))
    log.info("Stopped")


def leave(code: int) -> NoReturn:
    """End the process now, whatever still runs in it."""
    try:
        logs.flush()
        logging.shutdown()
    finally:
        os._exit(code)


class Stops:
    """What signals do: the first SIGINT or SIGTERM ends in good order, a second SIGINT at once.

    Handlers of Python's own, not the loop's: they run even while the application blocks the loop. What they
    interrupt may hold a lock, so they take none: the loop tells the log.
    """

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._loop = loop
        self._interrupted = False
        self._before: dict[int, Any] = {}

    def listen(self) -> None:
        """From now on; outside the main thread, where signals do not come, this does nothing."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._heed) for number in SIGNALS}

    def ignore(self) -> None:
        """Put back what was there before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def surrender(self) -> None:
        """All is ended and written: what may keep the process, a thread perhaps, is for the next signal."""
        for number in self._before:
            signal.signal(number, signal.SIG_DFL)

    def _heed(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            if self._interrupted:
                signal.signal(number, signal.SIG_DFL)  # should the log be stuck, a third one helps
                os.write(2, b"Ended at once\n")
                leave(INTERRUPTED)
            self._interrupted = True
        self._server.stop()
        hint = "; press Ctrl+C again to end at once" if self._interrupted else ""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(log.info, "Stopping (%s)%s", signal.Signals(number).name, hint)


# --- settings to objects ---


def settled(settings: Settings | None, changes: Mapping[str, object], secured: bool = False) -> Settings:
    """Settings with changes by name, each value as its field promises; SettingsError if it cannot be.

    `secured` is said if TLS has a context of its own.
    """
    known = catalogue()
    for name in changes:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            raise SettingsError(f"{name} is not a setting" + (f"; did you mean {near[0]}?" if near else ""))
    given: dict[str, Any] = {**vars(settings or Settings()), **changes}
    values: dict[str, Any] = {name: value(known[name], raw, "default") for name, raw in given.items()}
    chosen = Settings(**values)
    check(chosen, secured=secured)
    return chosen


def whole(app: Any, settings: Settings) -> Member:
    """What is served: the application, with others beside it all of them as one."""
    name = app if isinstance(app, str) else named(app)
    if isinstance(app, str):
        app = locate(app, settings.app_dir, settings.factory)
    elif settings.factory:
        app = app()
    spoken = None if settings.interface == "auto" else settings.interface
    course = Course(settings.lifespan, settings.timeout_startup, settings.timeout_shutdown)
    assembly = Assembly(partial(as_asgi3, settings=settings), settings.app_dir, course, settings.mount_failure)
    main = assembly.member(app, name, "the application at /" if settings.mount else "the main application", spoken)
    return assembly.whole(main, settings.mount, settings.fallback, settings.fallback_on, settings.fallback_buffer)


def as_asgi3(app: Any, spoken: Interface, name: str, settings: Settings) -> ASGIApp:
    """What was loaded, as ASGI 3: the way of every application that the settings name."""
    if spoken == "wsgi":
        return WSGI(app, threads=settings.wsgi_threads, queue=settings.wsgi_queue, timeout=settings.wsgi_timeout)
    return adopt(app, spoken, name)


def routes(settings: Settings) -> list[Row]:
    """What would be served where."""
    return rows_of(whole(settings.target, settings), "", "")


def named(app: Any) -> str:
    """What logs call an application that was not loaded by a name."""
    return getattr(app, "__qualname__", type(app).__qualname__)


def plan(settings: Settings, factory: ContextFactory | None = None, composed: bool = False) -> Plan:
    server = b"portway" if settings.server_header else b""
    extra = b"".join(line.encode("latin-1") for line in header_lines(settings.header))
    # RFC 6797 §7.2: not without TLS.
    hsts = b"" if settings.hsts is None else b"\r\nstrict-transport-security: max-age=%d" % settings.hsts
    several = settings.mount or settings.fallback is not None
    return Plan(
        limits=Limits(
            line=settings.limit_request_line,
            head=settings.limit_request_head,
            fields=settings.limit_request_fields,
            body=settings.limit_request_body or 0,
        ),
        deadlines=Deadlines(
            idle=settings.timeout_keep_alive or AT_ONCE,
            head=settings.timeout_request_head,
            body=settings.timeout_request_body,
            write=settings.timeout_response,
            ping=settings.ws_ping_interval,
            pong=settings.ws_ping_timeout,
            handshake=settings.timeout_tls_handshake,
        ),
        websockets=manner(settings),
        terms=terms(settings),
        http1=settings.http != "2",
        hooks=hooks(settings, composed),
        preamble=Preamble(server, extra + hsts),
        redirects=Preamble(server, extra),
        certificates=certificates(settings, factory),
        trust=trust(settings),
        dated=settings.date_header,
        root_path=settings.root_path.rstrip("/"),
        lifespan=settings.lifespan,
        startup=0 if several else settings.timeout_startup,  # of several, each has as long
        shutdown=0 if several else settings.timeout_shutdown,
        grace=settings.timeout_graceful_shutdown,
        backlog=settings.backlog,
        concurrency=settings.limit_concurrency or 0,
        requests=settings.limit_max_requests or 0,
        cancel_on_disconnect=settings.cancel_on_disconnect,
        composed=composed,
    )


def certificates(settings: Settings, factory: ContextFactory | None) -> Certificates | None:
    if not settings.ssl_certfile and factory is None:
        return None
    keys = settings.ssl_keyfile or (None,) * len(settings.ssl_certfile)
    demands = Demands(
        password=settings.ssl_keyfile_password,
        ca_certs=settings.ssl_ca_certs,
        cert_reqs=ssl.VerifyMode(settings.ssl_cert_reqs),
        ciphers=settings.ssl_ciphers,
        newest=NEWEST[settings.ssl_version],
        alpn={"1.1": ("http/1.1",), "2": ("h2",)}.get(settings.http, ("h2", "http/1.1")),
    )
    pairs = [Pair(certificate, key) for certificate, key in zip(settings.ssl_certfile, keys, strict=True)]
    return Certificates(pairs, demands, None if factory is None else partial(factory, settings))


def trust(settings: Settings) -> Trust | None:
    peers = parse_peers(settings.forwarded_allow_ips) if settings.proxy_headers else Peers()
    return Trust(peers.everybody, peers.unix, peers.networks) if peers != Peers() else None


def manner(settings: Settings) -> Manner | None:
    """How WebSockets are spoken, if at all."""
    if settings.ws == "none":
        return None
    return Manner(
        max_size=settings.ws_max_size,
        max_queue=settings.ws_max_queue,
        deflates=settings.ws_per_message_deflate,
        origins=[origin.lower() for origin in settings.ws_origins],
    )


def terms(settings: Settings) -> Terms | None:
    """How HTTP/2 is spoken, if at all."""
    if settings.http == "1.1":
        return None
    return Terms(
        streams=settings.http2_max_concurrent_streams,
        stream_window=settings.http2_initial_stream_window_size,
        connection_window=settings.http2_initial_connection_window_size,
        frame=settings.http2_max_frame_size,
        resets=settings.limit_http2_resets,
        glitches=settings.limit_http2_glitches,
        connects=settings.ws != "none",
    )


def header_lines(headers: tuple[str, ...]) -> list[str]:
    pairs = (header.partition(":") for header in headers)
    return [f"\r\n{name.strip()}: {value.strip()}" for name, _, value in pairs]


def hooks(settings: Settings, composed: bool = False) -> Hooks:
    return together([AccessLog(settings.access_log_format, composed)] if settings.access_log else [])


def bind(wanted: Iterable[Address]) -> list[socket.socket]:
    """A bound socket for each address; all or none."""
    bound: list[socket.socket] = []
    try:
        for address in wanted:
            bound += bind_one(address)
    except BindError:
        for sock in bound:
            listen.close(sock)
        raise
    return bound


def bind_redirects(settings: Settings, bound: list[socket.socket]) -> list[socket.socket]:
    """The sockets that lead to https, on the hosts where that is spoken; if they cannot be had, all are closed."""
    port = settings.redirect_http
    if port is None:
        return []
    hosts = dict.fromkeys(each.host for each in addresses(settings) if isinstance(each, Tcp)) or [settings.host]
    try:
        return bind([Tcp(host, port) for host in hosts])
    except BindError:
        for sock in bound:
            listen.close(sock)
        raise


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
            hint = "pip install uvloop, or choose asyncio"
            raise SettingsError(f"loop: uvloop is not installed; {hint}") from None
        return asyncio.new_event_loop
    return uvloop.new_event_loop


# --- for the person at the terminal ---


def ours() -> str:
    """What runs: this Portway, the Python, the loop, whether it is compiled, and the process."""
    name = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    loop = f"uvloop {metadata.version('uvloop')}" if name == "uvloop" else name
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"Portway {portway.__version__}, {python}, {loop}, {_modes.mode()}, process {os.getpid()}"


def announce(server: Server, app: Any) -> None:
    """What is served, and where."""
    what = app if isinstance(app, str) else named(app)
    if server.redirects:
        log.info("Leading %s to https", ", ".join(server.redirects))
    log.info("Serving %s on %s (press Ctrl+C to stop)", what, ", ".join(server.urls))


__all__ = ["Server", "main", "run"]
