"""The settings of what is spoken: HTTP, WebSocket and TLS with clients, WSGI with applications."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from portway.config.facts import Group, setting

HTTPVersion = Literal["auto", "1.1", "2", "h11", "httptools"]
WebSocketProtocol = Literal["auto", "none", "websockets", "websockets-sansio", "wsproto"]


@dataclass(frozen=True, kw_only=True)
class HTTP(Group):
    http: HTTPVersion = setting(
        "auto", "Speak HTTP/1.1 alone, or HTTP/2 alone; auto speaks both, and uvicorn's names mean what auto means."
    )
    header: tuple[str, ...] = setting(
        (),
        "Add this header to every response; may be repeated. One a line in the variable.",
        env=("PORTWAY_HEADERS",),
        metavar="NAME:VALUE",
        split=r"[\r\n]+",
        example="X-Frame-Options:DENY",
    )
    server_header: bool = setting(True, "Send the Server header.")
    date_header: bool = setting(True, "Send the Date header.")
    proxy_headers: bool = setting(
        True, "Take the client and the scheme from the X-Forwarded headers of trusted proxies."
    )
    forwarded_allow_ips: str = setting(
        "127.0.0.1,::1",
        "Proxies to trust: addresses and networks, `unix` for those on a Unix socket, `*` for all; "
        "separated by commas.",
        env=("FORWARDED_ALLOW_IPS",),
        metavar="LIST",
        empty=True,
        example="127.0.0.1,10.0.0.0/8,unix",
    )
    health_path: str | None = setting(
        None,
        "Answer requests for this path in the application's stead: 200 when it serves, 503 while it starts or stops.",
        metavar="PATH",
        example="/healthz",
    )
    cancel_on_disconnect: bool = setting(
        False, "Cancel the application's task when its client goes; otherwise it is told by a message."
    )


@dataclass(frozen=True, kw_only=True)
class HTTP2(Group):
    # RFC 9113 §6.5.2 asks for no fewer than 100; nginx has 128, and granian 200.
    http2_max_concurrent_streams: int = setting(
        100, "The most requests that one connection may have open.", metavar="NUMBER", least=1, most=10000
    )
    http2_initial_stream_window_size: int = setting(
        256 * 1024,
        "What a client may send of a request's body before the application reads it.",
        metavar="SIZE",
        unit="bytes",
        least=1024,
        most=2**31 - 1,
        example="256KiB",
    )
    http2_initial_connection_window_size: int = setting(
        1024 * 1024,
        "The same for all requests of a connection together.",
        metavar="SIZE",
        unit="bytes",
        least=65535,
        most=2**31 - 1,
        example="1MiB",
    )
    http2_max_frame_size: int = setting(
        16384, "The largest frame of a client.", metavar="SIZE", unit="bytes", least=16384, most=2**24 - 1
    )
    # nghttp2 allows 1000 at once and 33 a second, and Go as many as there are streams.
    limit_http2_resets: int = setting(
        200,
        "Requests of a connection that its client may reset before they are answered; a twentieth more each second.",
        metavar="NUMBER",
        least=1,
    )
    limit_http2_glitches: int = setting(
        1000,
        "Frames of a connection that carry nothing, or only make the server answer; a twentieth more each second.",
        metavar="NUMBER",
        least=20,
    )


@dataclass(frozen=True, kw_only=True)
class WebSocket(Group):
    ws: WebSocketProtocol = setting(
        "auto", "The WebSocket protocol; none turns it off, and uvicorn's names of libraries mean what auto means."
    )
    # 16 MiB and 32 messages are uvicorn's defaults, and so are 20 seconds.
    ws_max_size: int = setting(
        16 * 1024 * 1024,
        "The largest message of a client, after decompression.",
        metavar="SIZE",
        unit="bytes",
        least=1,
        example="1M",
    )
    ws_max_queue: int = setting(
        32, "Stop reading when so many messages wait for the application.", metavar="NUMBER", least=1
    )
    ws_ping_interval: float = setting(
        20, "Ask a client that has been silent for this long whether it is there; 0 never.", metavar="SECONDS", least=0
    )
    ws_ping_timeout: float = setting(20, "For a client to answer a ping; 0 is for ever.", metavar="SECONDS", least=0)
    ws_per_message_deflate: bool = setting(True, "Compress large messages, if the client can (permessage-deflate).")
    ws_origins: tuple[str, ...] = setting(
        (),
        "Let in pages of this origin alone; may be repeated. Programs, which send no Origin, are let in. "
        "Separated by commas or spaces in the variable.",
        metavar="ORIGIN",
        split=r"[,\s]+",
        example="https://example.org",
    )


@dataclass(frozen=True, kw_only=True)
class WSGI(Group):
    wsgi_threads: int | None = setting(
        None,
        "Threads for WSGI applications, by default 4 for each CPU and 32 at most. 0 runs them on the event loop, "
        "which is cheaper, and right only for applications that never wait: for a database, a file or another server.",
        metavar="NUMBER",
        least=0,
        most=10000,
        example="16",
    )
    wsgi_queue: int = setting(
        1024, "Answer 503 when so many WSGI requests wait for a thread.", metavar="NUMBER", least=1
    )
    # gunicorn kills a worker that has been silent for 30 s.
    wsgi_timeout: float = setting(
        60, "Log where a WSGI request is stuck when nothing has come of it for so long; 0 never.", metavar="SECONDS",
        least=0,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TLS(Group):
    """As uvicorn has them, with its numbers of Python's `ssl`; what is more comes after them."""

    ssl_certfile: tuple[str, ...] = setting(
        (),
        "Speak TLS with the certificate (and its chain) in this PEM file; may be repeated: a client gets the one for "
        "the name it asks for, or else the first. Separated by commas in the variable.",
        metavar="FILE",
        split=r"[,\r\n]+",
        example="cert.pem",
    )
    ssl_keyfile: tuple[str, ...] = setting(
        (),
        "The key of each certificate, in the same order; left out, each stands with its certificate.",
        metavar="FILE",
        split=r"[,\r\n]+",
        example="key.pem",
    )
    ssl_keyfile_password: str | None = setting(
        None, "The password of the keys.", metavar="TEXT", secret=True, example="secret"
    )
    ssl_version: int = setting(
        17, "TLS 1.2 and newer is 17, and so is 2; TLS 1.2 alone is 5.", metavar="NUMBER", example="17"
    )
    ssl_cert_reqs: int = setting(
        0,
        "Ask clients for a certificate: 0 no, 1 let them in without one, too, 2 do not.",
        metavar="NUMBER",
        least=0,
        most=2,
    )
    ssl_ca_certs: str | None = setting(
        None, "The authorities, in PEM, that certificates of clients must be of.", metavar="FILE", example="ca.pem"
    )
    ssl_ciphers: str | None = setting(
        None,
        "The ciphers of TLS 1.2, as OpenSSL writes them; otherwise those that Python finds safe.",
        metavar="LIST",
        example="ECDHE+AESGCM",
    )
    redirect_http: int | None = setting(
        None,
        "Listen on this port, too, without TLS, and lead whoever comes there to https.",
        metavar="PORT",
        least=0,
        most=65535,
        example="80",
    )
    hsts: int | None = setting(
        None,
        "Tell browsers to use https alone for so long (Strict-Transport-Security); 0 lets them forget it.",
        metavar="SECONDS",
        least=0,
        example="31536000",
    )
