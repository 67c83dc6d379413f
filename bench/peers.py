"""Who takes part, and how each is run: one worker, no access log, and the options that suit it best.

Where it is not plain which of several ways is a server's cheapest, all are listed here and run
against each other before the row begins (the heats, see contest.py); the cheapest enters the row.
Why each runs as it does stands in README.md.
"""

from dataclasses import dataclass
from pathlib import Path

from environments import Environment, Python
from rows import HOST, Row

APPS = "bench"
# Installed with the peers and with Portway alike.
COMPANIONS = ("uvloop", "fastapi")


@dataclass(frozen=True)
class Server:
    name: str
    program: str  # in its environment's bin
    options: tuple[str, ...]  # {port} and {app} are filled in
    packages: tuple[str, ...] = ()  # the first is the server itself
    extras: tuple[str, ...] = ()  # for some of its ways; that way drops out where one cannot be installed
    ways: tuple[tuple[str, ...], ...] = ((),)  # further options, of which the cheapest is found by heats
    environment: str = "peers"
    slow: bool = False  # takes part in few rows and few rounds
    floor: bool = False
    setting: tuple[str, ...] = ()  # NAME=value, for env(1)
    unreadable: str = ""  # a package whose debug information stops valgrind

    def command(self, python: Python, row: Row, port: int, way: tuple[str, ...] = ()) -> list[str]:
        program = Environment(python, self.environment).bin / self.program
        filled = [option.format(port=port, app=row.app) for option in (*way, *self.options)]
        return [*(("env", *self.setting) if self.setting else ()), str(program), *filled]

    def shown(self, way: tuple[str, ...] = (), app: str = "apps:hello") -> str:
        """The command as the report prints it: without the environment's folder."""
        filled = [option.format(port="PORT", app=app) for option in (*way, *self.options)]
        return " ".join([*self.setting, self.program, *filled])

    def runs(self, row: Row) -> bool:
        if self.floor:
            return row.floor
        return row.slow or not self.slow

    def installed(self, python: Python) -> bool:
        return (Environment(python, self.environment).bin / self.program).exists()

    def version(self, python: Python) -> str:
        environment = Environment(python, self.environment)
        return environment.versions.get(self.packages[0], "missing")


ADDRESS = ("--host", HOST, "--port", "{port}")
QUIET = ("--no-access-log", "--log-level", "warning")

SERVERS = {
    server.name: server
    for server in (
        Server(
            "portway",
            "portway",
            ("serve", "{app}", "--app-dir", APPS, "--port", "{port}", *QUIET),
            packages=("portway",),
            environment="portway",
        ),
        Server(
            "peregrine",
            "peregrine",
            (*ADDRESS, "--workers", "1", "--protocol", "asgi", "--python-path", APPS,
             "--log-level", "warning", "{app}"),
            packages=("peregrine-server",),
            ways=((), ("--no-uvloop",)),
            unreadable="peregrine",
        ),
        Server(
            "granian",
            "granian",
            ("--interface", "asgi", *ADDRESS, "--workers", "1", "--loop", "uvloop", "--http", "1", "--no-ws",
             *QUIET, "--working-dir", APPS, "{app}"),
            packages=("granian",),
            ways=(("--runtime-mode", "st"), ("--runtime-mode", "mt")),
        ),
        Server(
            "uvicorn",
            "uvicorn",
            ("{app}", "--app-dir", APPS, *ADDRESS, "--loop", "uvloop", "--no-proxy-headers", *QUIET),
            packages=("uvicorn", "httptools"),
            extras=("zttp",),
            ways=(("--http", "httptools"), ("--http", "zttp")),
        ),
        Server(
            "hypercorn",
            "hypercorn",
            ("--worker-class", "uvloop", "--workers", "1", "--bind", HOST + ":{port}",
             "--log-level", "warning", "{app}"),
            packages=("hypercorn",),
            setting=(f"PYTHONPATH={APPS}",),
            slow=True,
        ),
        Server(
            "daphne",
            "daphne",
            ("--bind", HOST, "--port", "{port}", "--verbosity", "0", "{app}"),
            packages=("daphne",),
            setting=(f"PYTHONPATH={APPS}",),
            slow=True,
        ),
        Server(
            "floor-uvloop",
            "python",
            (str(Path(APPS, "floor.py")), "{port}"),
            packages=("uvloop",),
            environment="portway",
            floor=True,
        ),
    )
}  # fmt: skip
OURS = "portway"


def wanted_packages(servers: list[Server]) -> dict[str, tuple[str, ...]]:
    """What the peers' environment must hold, by the name under which a failure is reported."""
    wanted = {}
    for server in servers:
        if server.environment == "peers":
            wanted["companions"] = COMPANIONS
            wanted[server.name] = server.packages
            if server.extras:
                wanted[f"{server.name}, an extra"] = server.extras
    return wanted
