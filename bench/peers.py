"""Who takes part, and how each is run: one worker, no access log but where that is the row, and the options that
suit it best.

Where it is not plain which of several ways is a server's cheapest, all are listed here and run
against each other before the row begins (the heats, see contest.py); the cheapest enters the row.
Why each runs as it does stands in README.md.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from certificate import CHAIN, KEY
from environments import Environment, Python
from rows import HOST, Echoes, Row, Serving, Streams

APPS = "bench"
# Installed with the peers and with Portway alike.
COMPANIONS = ("uvloop", "fastapi", "flask")


Way = tuple[str, ...]


@dataclass(frozen=True)
class Server:
    name: str
    program: str  # in its environment's bin
    options: Way  # {port} is filled in
    target: str = "{app}"
    packages: Way = ()  # the first is the server itself
    extras: Way = ()  # for some of its ways; that way drops out where one cannot be installed
    # Further options in rows of requests, of HTTP/2 and of messages; the cheapest of several is found by heats.
    requests: tuple[Way, ...] = ((),)
    streams: tuple[Way, ...] = ()  # none: it speaks no HTTP/2
    messages: tuple[Way, ...] = ((),)
    # The same in rows of WSGI, where a request at a time is answered and where there are threads.
    inline: tuple[Way, ...] = ()
    threads: tuple[Way, ...] = ()
    bridge: bool = False  # makes a WSGI application into an ASGI application, see bridges.py
    tls: Way = ()  # {certificate} and {key} are filled in; without such options it does not run where there is TLS
    quiet: Way = ()  # without access log, and with nothing below a warning
    logged: Way = ()  # with access log; without such options it does not run where there is one
    logs: bool = True  # in rows with access log
    environment: str = "peers"
    slow: bool = False  # takes part in few rows and few rounds
    floor: bool = False
    setting: Way = ()  # NAME=value, for env(1)
    unreadable: str = ""  # a package whose debug information stops valgrind

    def ways(self, row: Row) -> tuple[Way, ...]:
        if self.floor:
            return self.requests
        if row.serving is Serving.THREADS:
            return self.threads
        if row.serving in (Serving.INLINE, Serving.EITHER):
            return self.inline
        if isinstance(row, Streams):
            return self.streams
        return self.messages if isinstance(row, Echoes) else self.requests

    def command(self, python: Python, row: Row, port: int, way: Way = ()) -> list[str]:
        program = Environment(python, self.environment).bin / self.program
        filled = self._filled(row, way, port=port, certificate=CHAIN.resolve(), key=KEY.resolve())
        return [*(("env", *self.setting) if self.setting else ()), str(program), *filled]

    def shown(self, row: Row, way: Way = ()) -> str:
        """The command as the report prints it: without the environment's folder."""
        filled = self._filled(row, way, port="PORT", certificate=CHAIN.name, key=KEY.name)
        return " ".join([*self.setting, self.program, *filled])

    def _filled(self, row: Row, way: Way, **named: object) -> list[str]:
        log = self.logged if row.logged and self.logs else self.quiet
        options = (*self.options, *(self.tls if row.tls else ()), *way, *log, self.target)
        interface = "asgi" if row.serving is Serving.ASGI else "wsgi"
        return [option.format(app=row.app.format(bridge=self.name), interface=interface, **named) for option in options]

    def runs(self, row: Row) -> bool:
        if self.floor:
            return row.floor
        if row.serving is Serving.BRIDGED:
            return self.bridge
        if self.lacks(row) or (row.logged and not self.logged):
            return False
        return bool(self.ways(row)) and (row.slow or not self.slow)

    def lacks(self, row: Row) -> str:
        """What it does not speak or have, here at least, and the row needs. Nothing is told of those that
        serve no ASGI or no WSGI at all."""
        if row.serving is not Serving.ASGI:
            return "threads" if row.serving is Serving.THREADS and self.inline and not self.threads else ""
        if not self.requests:
            return ""
        if isinstance(row, Streams) and not self.streams:
            return "HTTP/2"
        return "TLS" if row.tls and not self.tls else ""

    def unlogged(self) -> "Server":
        """The same without access log, to run beside it where there is one."""
        return replace(self, name=self.name + UNLOGGED, logs=False)

    def threaded(self) -> "Server":
        """The same on threads, to run beside it where it answers a request at a time."""
        return replace(self, name=self.name + THREADED, inline=self.threads)

    def bridging(self) -> "Server":
        """What it makes of a WSGI application, under a server that is the same for all of them."""
        return replace(self, program="uvicorn", options=UNDER_UVICORN, requests=((),), quiet=QUIET)

    def installed(self, python: Python) -> bool:
        return (Environment(python, self.environment).bin / self.program).exists()

    def version(self, python: Python) -> str:
        environment = Environment(python, self.environment)
        found = environment.versions.get(self.packages[0], "missing")
        if self.bridge and self.program == "uvicorn":
            found += f" under uvicorn {environment.versions.get('uvicorn', 'missing')}"
        return found


ADDRESS = ("--host", HOST, "--port", "{port}")
QUIET = ("--no-access-log", "--log-level", "warning")
LOGGED = ("--access-log", "--log-level", "info")
UNLOGGED = "-unlogged"
THREADED = "-threads"
UVICORN = ("--app-dir", APPS, *ADDRESS, "--loop", "uvloop", "--no-proxy-headers")
# Bridges are compared under the same uvicorn, its parser included: in one environment, that of Portway.
# asgiref's answers some requests with 500 where a request inherits the context of the one before.
UNDER_UVICORN = (*UVICORN, "--ws", "none", "--http", "httptools", "--reset-contextvars", "--factory")
UNDER_UVICORN_PACKAGES = ("uvicorn", "httptools")
POOL = "8"  # threads, of each server that has them

SERVERS = {
    server.name: server
    for server in (
        Server(
            "portway",
            "portway",
            ("serve", "--app-dir", APPS, "--port", "{port}"),
            packages=("portway",),
            extras=UNDER_UVICORN_PACKAGES,
            streams=((),),
            inline=(("--wsgi-threads", "0"),),
            threads=(("--wsgi-threads", POOL),),
            bridge=True,
            tls=("--ssl-certfile", "{certificate}", "--ssl-keyfile", "{key}"),
            quiet=QUIET,
            logged=LOGGED,
            environment="portway",
        ),
        Server(
            "peregrine",
            "peregrine",
            (*ADDRESS, "--workers", "1", "--protocol", "{interface}", "--python-path", APPS),
            packages=("peregrine-server",),
            requests=((), ("--no-uvloop",)),
            streams=((), ("--no-uvloop",)),
            messages=((), ("--no-uvloop",)),
            inline=(("--wsgi-threads", "1"),),
            threads=(("--wsgi-threads", POOL),),
            tls=("--tls-cert", "{certificate}", "--tls-key", "{key}"),
            quiet=("--log-level", "warning"),
            logged=LOGGED,
            unreadable="peregrine",
        ),
        Server(
            "granian",
            "granian",
            ("--interface", "{interface}", *ADDRESS, "--workers", "1", "--loop", "uvloop", "--working-dir", APPS),
            packages=("granian",),
            requests=(("--http", "1", "--no-ws", "--runtime-mode", "st"),
                      ("--http", "1", "--no-ws", "--runtime-mode", "mt")),
            streams=(("--http", "2", "--no-ws", "--runtime-mode", "st"),
                     ("--http", "2", "--no-ws", "--runtime-mode", "mt")),
            messages=(("--http", "1", "--ws", "--runtime-mode", "st"),
                      ("--http", "1", "--ws", "--runtime-mode", "mt")),
            inline=(("--http", "1", "--no-ws", "--runtime-mode", "st", "--blocking-threads", "1"),
                    ("--http", "1", "--no-ws", "--runtime-mode", "mt", "--blocking-threads", "1")),
            threads=(("--http", "1", "--no-ws", "--runtime-mode", "st", "--blocking-threads", POOL),
                     ("--http", "1", "--no-ws", "--runtime-mode", "mt", "--blocking-threads", POOL)),
            tls=("--ssl-certificate", "{certificate}", "--ssl-keyfile", "{key}"),
            quiet=QUIET,
            logged=LOGGED,
        ),
        Server(
            "uvicorn",
            "uvicorn",
            UVICORN,
            packages=("uvicorn", "httptools"),
            extras=("zttp", "websockets", "wsproto"),
            requests=(("--ws", "none", "--http", "httptools"), ("--ws", "none", "--http", "zttp")),
            messages=(("--ws", "websockets-sansio"), ("--ws", "websockets"), ("--ws", "wsproto")),
            tls=("--ssl-certfile", "{certificate}", "--ssl-keyfile", "{key}"),
            quiet=QUIET,
            logged=LOGGED,
        ),
        Server(
            "hypercorn",
            "hypercorn",
            ("--worker-class", "uvloop", "--workers", "1", "--bind", HOST + ":{port}"),
            packages=("hypercorn",),
            streams=((),),
            tls=("--certfile", "{certificate}", "--keyfile", "{key}"),
            quiet=("--log-level", "warning"),
            setting=(f"PYTHONPATH={APPS}",),
            slow=True,
        ),
        Server(
            "daphne",
            "daphne",
            ("--bind", HOST, "--port", "{port}"),
            packages=("daphne",),
            quiet=("--verbosity", "0"),
            setting=(f"PYTHONPATH={APPS}",),
            slow=True,
        ),
        Server(
            "fastpysgi",
            "fastpysgi",
            ("--host", HOST, "--port", "{port}"),
            packages=("fastpysgi",),
            requests=(),
            messages=(),
            inline=((),),
            quiet=("--loglevel", "4"),
            setting=(f"PYTHONPATH={APPS}",),
        ),
        Server(
            "gunicorn",
            "gunicorn",
            ("--pythonpath", APPS, "--bind", HOST + ":{port}", "--workers", "1", "--worker-class", "gthread",
             "--timeout", "0", "--no-control-socket", "--worker-tmp-dir", "/dev/shm"),
            packages=("gunicorn",),
            extras=("gunicorn-h1c",),
            requests=(),
            messages=(),
            inline=(("--threads", "1", "--http-parser", "fast"), ("--threads", "1", "--http-parser", "python")),
            threads=(("--threads", POOL, "--http-parser", "fast"), ("--threads", POOL, "--http-parser", "python")),
            quiet=("--log-level", "warning"),
        ),
        *(
            Server(name, "uvicorn", (), packages=(name, *UNDER_UVICORN_PACKAGES), requests=(), messages=(),
                   bridge=True, environment="portway")
            for name in ("a2wsgi", "asgiref")
        ),
        Server(
            "floor-uvloop",
            "python",
            (str(Path(APPS, "floor.py")),),
            target="{port}",
            packages=("uvloop",),
            environment="portway",
            floor=True,
        ),
    )
}  # fmt: skip
OURS = "portway"


def contestants(servers: list[Server], row: Row) -> list[Server]:
    """Those of them that run in the row."""
    running = [server for server in servers if server.runs(row)]
    if row.serving is Serving.BRIDGED:
        return [server.bridging() if server.bridge else server for server in running]
    if row.serving is Serving.EITHER:
        return [each for server in running for each in (server, server.threaded()) if each.inline]
    if row.logged:
        return [each for server in running for each in (server, server.unlogged())]
    return running


def lacking(servers: list[Server], row: Row) -> list[Server]:
    """Those of which the table says that they cannot run in the row."""
    return [server for server in servers if server.lacks(row) and not server.slow and not server.floor]


def companions(servers: list[Server]) -> Way:
    """What Portway's environment must hold beside Portway: what is asked for only where it is measured."""
    wanted = list(COMPANIONS)
    for server in servers:
        if server.environment == "portway":
            wanted += [package for package in (*server.packages, *server.extras) if package != OURS]
    return tuple(dict.fromkeys(wanted))


def wanted_packages(servers: list[Server]) -> dict[str, tuple[str, ...]]:
    """What the peers' environment must hold, by the name under which a failure is reported."""
    wanted: dict[str, tuple[str, ...]] = {}
    for server in servers:
        if server.environment == "peers":
            wanted["companions"] = COMPANIONS
            wanted[server.name] = server.packages
            for extra in server.extras:
                wanted[f"{extra}, an extra of {server.name},"] = (extra,)
    return wanted
