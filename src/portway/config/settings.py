"""Every setting of Portway, once: its name, type, default, bounds and explanation.

A group of settings is a frozen dataclass; `Settings` inherits them all and is flat, so that
`Settings(host="::1", port=80)` works and is typed. Options, variables, the keys of the file, `--help`
and `portway config` are derived from here, through `catalogue()`; none of them keeps a second list.
A room gets the group it needs, never the whole: `settings.part(Timeouts)`.

The annotation of a field decides how its value is read (see `facts.Kind`), a Literal is a choice, and
`| None` means that the setting may be left open.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import Literal, TypeVar, get_type_hints

from portway.config.facts import Group, Setting, read, setting

G = TypeVar("G", bound="Group")

Interface = Literal["auto", "asgi3", "asgi2", "wsgi"]
Lifespan = Literal["auto", "on", "off"]
MountFailure = Literal["stop", "isolate"]
LogLevel = Literal["critical", "error", "warning", "info", "debug", "trace"]
Loop = Literal["auto", "uvloop", "asyncio"]
HTTPVersion = Literal["auto", "1.1", "2", "h11", "httptools"]
WebSocketProtocol = Literal["auto", "none", "websockets", "websockets-sansio", "wsproto"]


@dataclass(frozen=True, kw_only=True)
class Application(Group):
    target: str | None = setting(
        None,
        "The application: module:attribute, a module, a file or the folder of a package.",
        env=("PORTWAY_APP",),
        example="main:app",
    )
    app_dir: str = setting(".", "Look for the application here first.", metavar="FOLDER", empty=True, example="src")
    factory: bool = setting(False, "The target is a function that returns the application.")
    interface: Interface = setting("auto", "What the application speaks; auto looks at the object itself.")
    lifespan: Lifespan = setting("auto", "Run the application's startup and shutdown; auto asks it whether it has any.")
    root_path: str = setting(
        "", "The path under which a proxy shows the application.", metavar="PATH", empty=True, example="/api"
    )
    env_file: str | None = setting(
        None,
        "Read variables from this file of NAME=VALUE lines; those already set stay as they are.",
        metavar="FILE",
        example=".env",
    )


@dataclass(frozen=True, kw_only=True)
class Mounts(Group):
    """Other applications in the same process."""

    mount: tuple[str, ...] = setting(
        (),
        "Serve another application below this path, on this host, or both; may be repeated. In a file it is a table "
        "of paths and targets. Separated by commas or new lines in the variable.",
        metavar="PREFIX=TARGET",
        table=True,
        split=r"[,\r\n]+",
        example="/old=legacy.wsgi:application",
    )
    mount_failure: MountFailure = setting(
        "stop", "A startup that fails stops the server; isolate lets only that application answer 503."
    )
    fallback: str | None = setting(
        None,
        "The application that gets what the main one answers with 404.",
        metavar="TARGET",
        example="legacy.wsgi:application",
    )
    fallback_on: tuple[int, ...] = setting(
        (404,), "The statuses that lead to the fallback, separated by commas.", metavar="LIST", example="404,405"
    )
    fallback_buffer: int = setting(
        64 * 1024 * 1024,
        "What is kept of a request's body for the fallback, on disk beyond 1 MiB; a longer one stays with the main "
        "application.",
        metavar="SIZE",
        unit="bytes",
        least=0,
        example="64MiB",
    )


@dataclass(frozen=True, kw_only=True)
class Binding(Group):
    bind: tuple[str, ...] = setting(
        (),
        "Listen here: host:port, [v6]:port, unix:path or fd://3; may be repeated. "
        "Separated by commas or spaces in the variable.",
        flags=("-b",),
        metavar="ADDRESS",
        split=r"[,\s]+",
        example="127.0.0.1:8000",
    )
    host: str = setting("127.0.0.1", "Listen on this address or name; :: and 0.0.0.0 are all.", metavar="HOST")
    port: int = setting(8000, "Listen on this port; 0 takes a free one.", metavar="PORT", least=0, most=65535)
    uds: str | None = setting(
        None,
        "Listen on this Unix socket instead of host and port.",
        metavar="PATH",
        example="/run/portway.sock",
    )
    fd: int | None = setting(
        None,
        "Listen on the socket behind this file descriptor instead of host and port.",
        metavar="NUMBER",
        least=0,
        example="3",
    )
    backlog: int = setting(2048, "Connections that the kernel keeps waiting to be accepted.", metavar="NUMBER", least=1)
    workers: int = setting(
        1,
        "Processes; this version runs one.",
        flags=("-w",),
        env=("WEB_CONCURRENCY",),
        metavar="NUMBER",
        least=1,
    )


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


@dataclass(frozen=True, kw_only=True)
class Limits(Group):
    limit_concurrency: int | None = setting(
        None, "Answer 503 beyond this many requests at once.", metavar="NUMBER", least=1, example="1000"
    )
    limit_max_requests: int | None = setting(
        None, "Stop after this many requests.", metavar="NUMBER", least=1, example="100000"
    )
    # nginx has 8 KiB for the line (large_client_header_buffers); 64 KiB for all of the head is Node's
    # 16 KiB four times over, for the cookies of single sign-on.
    limit_request_line: int = setting(
        8192, "The longest request line.", metavar="SIZE", unit="bytes", least=64, example="8KiB"
    )
    limit_request_head: int = setting(
        65536,
        "The longest request line and headers together.",
        metavar="SIZE",
        unit="bytes",
        least=256,
        example="64KiB",
    )
    # Apache's LimitRequestFields and gunicorn's limit_request_fields have 100 as well.
    limit_request_fields: int = setting(100, "The most headers of one request.", metavar="NUMBER", least=1)
    limit_request_body: int | None = setting(
        None, "The longest request body.", metavar="SIZE", unit="bytes", least=1, example="10M"
    )


@dataclass(frozen=True, kw_only=True)
class Timeouts(Group):
    # nginx's keepalive_timeout is 75; a proxy in front must give up its idle connections first.
    timeout_keep_alive: float = setting(
        75, "Close a connection that has been idle for this long.", metavar="SECONDS", least=0
    )
    timeout_tls_handshake: float = setting(10, "For the whole handshake of TLS.", metavar="SECONDS", least=0.1)
    timeout_request_head: float = setting(
        10,
        "For a request's line and headers, from the first byte.",
        metavar="SECONDS",
        least=0.1,
    )
    timeout_request_body: float = setting(30, "For the next bytes of a request's body.", metavar="SECONDS", least=0.1)
    timeout_response: float = setting(
        30, "For a client to take the next bytes of its response.", metavar="SECONDS", least=0.1
    )
    timeout_graceful_shutdown: float = setting(
        30, "For open requests to end when the server stops.", metavar="SECONDS", least=0
    )
    timeout_startup: float = setting(120, "For the application's lifespan startup.", metavar="SECONDS", least=0.1)
    timeout_shutdown: float = setting(30, "For the application's lifespan shutdown.", metavar="SECONDS", least=0.1)


@dataclass(frozen=True, kw_only=True)
class Logs(Group):
    log_level: LogLevel = setting("info", "Log from this level up.")
    log_config: str | None = setting(
        None,
        "Configure logging from this file, a dictConfig in TOML, JSON or YAML.",
        metavar="FILE",
        example="logging.toml",
    )
    access_log: bool = setting(True, "Log each request.")
    access_log_format: str | None = setting(
        None, "The line of the access log: a format string, or `json`.", metavar="FORMAT", example="json"
    )
    use_colors: bool | None = setting(None, "Colour the log; otherwise the terminal decides.")


@dataclass(frozen=True, kw_only=True)
class Process(Group):
    loop: Loop = setting("auto", "The event loop; auto is uvloop where it is installed.")


@dataclass(frozen=True, kw_only=True)
class Settings(Application, Mounts, Binding, HTTP, HTTP2, WebSocket, WSGI, TLS, Limits, Timeouts, Logs, Process):
    """All settings, flat. `config.check` says whether they can be used."""

    def part(self, group: type[G]) -> G:
        """The settings of one group alone, for the room that needs them."""
        return group(**{each.name: getattr(self, each.name) for each in fields(group)})


GROUPS: tuple[type[Group], ...] = (
    Application,
    Mounts,
    Binding,
    HTTP,
    HTTP2,
    WebSocket,
    WSGI,
    TLS,
    Limits,
    Timeouts,
    Logs,
    Process,
)


@cache
def catalogue() -> dict[str, Setting]:
    """Every setting by name, in the order of the groups."""
    return {each.name: each for group in GROUPS for each in _settings_of(group)}


def _settings_of(group: type[Group]) -> list[Setting]:
    hints = get_type_hints(group)
    return [
        Setting(each.name, group.__name__, *read(hints[each.name], facts.unit), default=each.default, facts=facts)
        for each in fields(group)
        for facts in [each.metadata["facts"]]
    ]
