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
from rows import HOST, Echoes, Row, Streams

APPS = "bench"
# Installed with the peers and with Portway alike.
COMPANIONS = ("uvloop", "fastapi")


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
        if isinstance(row, Streams):
            return self.streams
        return self.messages if isinstance(row, Echoes) else self.requests

    def command(self, python: Python, row: Row, port: int, way: Way = ()) -> list[str]:
        program = Environment(python, self.environment).bin / self.program
        named = {"port": port, "app": row.app, "certificate": CHAIN.resolve(), "key": KEY.resolve()}
        filled = [option.format(**named) for option in self._options(row, way)]
        return [*(("env", *self.setting) if self.setting else ()), str(program), *filled]

    def shown(self, row: Row, way: Way = ()) -> str:
        """The command as the report prints it: without the environment's folder."""
        named = {"port": "PORT", "app": row.app, "certificate": CHAIN.name, "key": KEY.name}
        filled = [option.format(**named) for option in self._options(row, way)]
        return " ".join([*self.setting, self.program, *filled])

    def _options(self, row: Row, way: Way) -> Way:
        log = self.logged if row.logged and self.logs else self.quiet
        return (*self.options, *(self.tls if row.tls else ()), *way, *log, self.target)

    def runs(self, row: Row) -> bool:
        if self.floor:
            return row.floor
        if self.lacks(row) or (row.logged and not self.logged):
            return False
        return row.slow or not self.slow

    def lacks(self, row: Row) -> str:
        """What it does not speak, here at least, and the row needs."""
        if isinstance(row, Streams) and not self.streams:
            return "HTTP/2"
        return "TLS" if row.tls and not self.tls else ""

    def unlogged(self) -> "Server":
        """The same without access log, to run beside it where there is one."""
        return replace(self, name=self.name + UNLOGGED, logs=False)

    def installed(self, python: Python) -> bool:
        return (Environment(python, self.environment).bin / self.program).exists()

    def version(self, python: Python) -> str:
        environment = Environment(python, self.environment)
        return environment.versions.get(self.packages[0], "missing")


ADDRESS = ("--host", HOST, "--port", "{port}")
QUIET = ("--no-access-log", "--log-level", "warning")
LOGGED = ("--access-log", "--log-level", "info")
UNLOGGED = "-unlogged"

SERVERS = {
    server.name: server
    for server in (
        Server(
            "portway",
            "portway",
            ("serve", "--app-dir", APPS, "--port", "{port}"),
            packages=("portway",),
            streams=((),),
            tls=("--ssl-certfile", "{certificate}", "--ssl-keyfile", "{key}"),
            quiet=QUIET,
            logged=LOGGED,
            environment="portway",
        ),
        Server(
            "peregrine",
            "peregrine",
            (*ADDRESS, "--workers", "1", "--protocol", "asgi", "--python-path", APPS),
            packages=("peregrine-server",),
            requests=((), ("--no-uvloop",)),
            streams=((), ("--no-uvloop",)),
            messages=((), ("--no-uvloop",)),
            tls=("--tls-cert", "{certificate}", "--tls-key", "{key}"),
            quiet=("--log-level", "warning"),
            logged=LOGGED,
            unreadable="peregrine",
        ),
        Server(
            "granian",
            "granian",
            ("--interface", "asgi", *ADDRESS, "--workers", "1", "--loop", "uvloop", "--working-dir", APPS),
            packages=("granian",),
            requests=(("--http", "1", "--no-ws", "--runtime-mode", "st"),
                      ("--http", "1", "--no-ws", "--runtime-mode", "mt")),
            streams=(("--http", "2", "--no-ws", "--runtime-mode", "st"),
                     ("--http", "2", "--no-ws", "--runtime-mode", "mt")),
            messages=(("--http", "1", "--ws", "--runtime-mode", "st"),
                      ("--http", "1", "--ws", "--runtime-mode", "mt")),
            tls=("--ssl-certificate", "{certificate}", "--ssl-keyfile", "{key}"),
            quiet=QUIET,
            logged=LOGGED,
        ),
        Server(
            "uvicorn",
            "uvicorn",
            ("--app-dir", APPS, *ADDRESS, "--loop", "uvloop", "--no-proxy-headers"),
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
    if not row.logged:
        return running
    return [each for server in running for each in (server, server.unlogged())]


def lacking(servers: list[Server], row: Row) -> list[Server]:
    """Those of which the table says that they cannot run in the row."""
    return [server for server in servers if server.lacks(row) and not server.slow and not server.floor]


def wanted_packages(servers: list[Server]) -> dict[str, tuple[str, ...]]:
    """What the peers' environment must hold, by the name under which a failure is reported."""
    wanted = {}
    for server in servers:
        if server.environment == "peers":
            wanted["companions"] = COMPANIONS
            wanted[server.name] = server.packages
            for extra in server.extras:
                wanted[f"{extra}, an extra of {server.name},"] = (extra,)
    return wanted
