"""Every setting of Portway, once: its name, type, default, bounds and explanation.

A group of settings is a frozen dataclass; those of protocols stand in `protocols`. `Settings` inherits them
all and is flat, so that `Settings(host="::1", port=80)` works and is typed. Options, variables, the keys of
the file, `--help` and `portway config` are derived from here, through `catalogue()`; none of them keeps a
second list.
A room gets the group it needs, never the whole: `settings.part(Timeouts)`.

The annotation of a field decides how its value is read (see `facts.Kind`), a Literal is a choice, and
`| None` means that the setting may be left open.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import Literal, TypeVar, get_type_hints

from portway.config.facts import Group, Setting, read, setting
from portway.config.protocols import HTTP, HTTP2, TLS, WSGI, WebSocket

G = TypeVar("G", bound="Group")

Interface = Literal["auto", "asgi3", "asgi2", "wsgi"]
Lifespan = Literal["auto", "on", "off"]
MountFailure = Literal["stop", "isolate"]
Sensitive = Literal["auto", "pool", "request", "off"]
LogLevel = Literal["critical", "error", "warning", "info", "debug", "trace"]
Loop = Literal["auto", "uvloop", "asyncio"]


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
    thread_sensitive: Sensitive = setting(
        "auto",
        "Where an ASGI application's thread-sensitive code runs (Django, sync_to_async): in a thread that is lent from "
        "a pool for the length of a request, in a new one for each request, or as asgiref has it; "
        "auto is pool for Django.",
    )
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


@dataclass(frozen=True, kw_only=True)
class Limits(Group):
    limit_concurrency: int | None = setting(
        None, "Answer 503 beyond this many requests at once.", metavar="NUMBER", least=1, example="1000"
    )
    limit_max_requests: int | None = setting(
        None,
        "Replace a worker after this many requests; a server that is one process stops.",
        metavar="NUMBER",
        least=1,
        example="100000",
    )
    limit_max_requests_jitter: int = setting(
        0, "Add a random number of requests up to this one, so that workers differ.", metavar="NUMBER", least=0
    )
    limit_max_memory: int | None = setting(
        None,
        "The same when it holds so much memory (its resident set).",
        metavar="SIZE",
        unit="bytes",
        least=1024 * 1024,
        example="512M",
    )
    limit_max_age: float | None = setting(
        None, "The same when it has served for so long.", metavar="SECONDS", least=1, example="86400"
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
    drain_delay: float = setting(
        0,
        "Go on for so long when told to stop, while --health-path says 503: until a balancer has noticed.",
        metavar="SECONDS",
        least=0,
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
class Workers(Group):
    """Several processes for one server."""

    workers: int = setting(
        1,
        "Processes that serve; auto is one for each CPU. With more than one, a supervisor watches them.",
        flags=("-w",),
        env=("WEB_CONCURRENCY",),
        metavar="NUMBER",
        least=1,
        most=1024,
        auto=True,
    )
    preload: bool = setting(
        False, "Load the application once and fork the workers: less memory, and they are up at once."
    )
    # uvicorn's name for it, and its purpose; gunicorn has 30 seconds.
    timeout_worker: float = setting(
        60,
        "Replace a worker whose event loop has been blocked for so long; the log tells where.",
        flags=("--timeout-worker-healthcheck",),
        metavar="SECONDS",
        least=2,
    )
    pid: str | None = setting(
        None,
        "Write the number of the process here; `portway reload` and its like find the server by it.",
        metavar="FILE",
        example="/run/portway.pid",
    )
    hooks: str | None = setting(
        None,
        "The module with functions to call when the server and its workers start and end, and with once_per_server.",
        metavar="MODULE",
        example="project.hooks",
    )


@dataclass(frozen=True, kw_only=True)
class Reload(Group):
    """For development: uvicorn's options."""

    reload: bool = setting(False, "Restart when a file of the code changes.")
    reload_dir: tuple[str, ...] = setting(
        (),
        "Look for changes in this folder; may be repeated. Otherwise where the application is looked for. "
        "Separated by commas in the variable.",
        env=("PORTWAY_RELOAD_DIRS",),
        metavar="FOLDER",
        split=r"[,\r\n]+",
        example="src",
    )
    reload_include: tuple[str, ...] = setting(
        (),
        "Files like this one count, too, besides *.py; may be repeated. Separated by commas in the variable.",
        env=("PORTWAY_RELOAD_INCLUDES",),
        metavar="PATTERN",
        split=r"[,\r\n]+",
        example="*.html",
    )
    reload_exclude: tuple[str, ...] = setting(
        (),
        "Files and folders like this one do not count; may be repeated. Separated by commas in the variable.",
        env=("PORTWAY_RELOAD_EXCLUDES",),
        metavar="PATTERN",
        split=r"[,\r\n]+",
        example="tests",
    )
    reload_delay: float = setting(
        0.1, "Wait so long for further changes, which one restart is for.", metavar="SECONDS", least=0, most=60
    )


@dataclass(frozen=True, kw_only=True)
class Process(Group):
    loop: Loop = setting("auto", "The event loop; auto is uvloop where it is installed.")
    executor_threads: int | None = setting(
        None,
        "Threads of the loop's executor, for asyncio.to_thread and the like; otherwise CPUs + 4, and 32 at most.",
        metavar="NUMBER",
        least=1,
        example="16",
    )


@dataclass(frozen=True, kw_only=True)
class Settings(
    Application, Mounts, Binding, Workers, Reload, HTTP, HTTP2, WebSocket, WSGI, TLS, Limits, Timeouts, Logs, Process
):
    """All settings, flat. `config.check` says whether they can be used."""

    def part(self, group: type[G]) -> G:
        """The settings of one group alone, for the room that needs them."""
        return group(**{each.name: getattr(self, each.name) for each in fields(group)})


GROUPS: tuple[type[Group], ...] = (
    Application,
    Mounts,
    Binding,
    Workers,
    Reload,
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
