"""Settings become the objects that rooms are made with."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any

from portway.asgi.forwarded import Trust
from portway.asgi.websocket import Manner
from portway.config import Peers, Settings, catalogue, check, parse_peers
from portway.config.check import value
from portway.errors import SettingsError
from portway.hooks import Hooks, together
from portway.link.context import Deadlines
from portway.observe.access import AccessLog
from portway.server.plan import Plan
from portway.server.wear import Span
from portway.wire.http1.encode import Preamble
from portway.wire.http2.settings import Terms
from portway.wire.port import Limits

if TYPE_CHECKING:
    from portway.server.certs import Certificates

# Makes the context of TLS, of the settings and a function that makes the one which they describe.
ContextFactory = Callable[[Settings, Callable[[], ssl.SSLContext]], ssl.SSLContext]

# For the clock, 0 is never; for a person who sets --timeout-keep-alive 0, it is now.
AT_ONCE = 0.001

# By uvicorn's `--ssl-version`.
NEWEST: dict[int, ssl.TLSVersion] = {
    ssl.PROTOCOL_TLS: ssl.TLSVersion.MAXIMUM_SUPPORTED,
    ssl.PROTOCOL_TLS_SERVER: ssl.TLSVersion.MAXIMUM_SUPPORTED,
    ssl.PROTOCOL_TLSv1_2: ssl.TLSVersion.TLSv1_2,
}


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
        cancel_on_disconnect=settings.cancel_on_disconnect,
        span=Span(
            requests=settings.limit_max_requests or 0,
            jitter=settings.limit_max_requests_jitter,
            memory=settings.limit_max_memory or 0,
            age=settings.limit_max_age or 0,
        ),
        health=settings.health_path,
        delay=settings.drain_delay,
        composed=composed,
    )


def certificates(settings: Settings, factory: ContextFactory | None) -> Certificates | None:
    if not settings.ssl_certfile and factory is None:
        return None
    from portway.server.certs import Certificates, Demands, Pair

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
