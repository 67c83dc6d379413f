"""Serves what people build, as they do it: by the path of the file, on either event loop."""

import contextlib
import gc
import http.client
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from portway.testing import Served, serve

APPS = Path(__file__).parent / "apps"
FRAMEWORKS = ["starlette", "fastapi", "quart", "django"]


class Errors(logging.Handler):
    """What Portway logs as something to be mended."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.setFormatter(logging.Formatter("%(message)s"))
        self.lines: list[str] = []
        self.expected: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record).splitlines()[0])

    def expect(self, line: str) -> None:
        """There will be this one, by the end of the server."""
        self.expected.append(line)


@pytest.fixture
def errors() -> Iterator[Errors]:
    """What the server logs as an error; at its end there must be what the test expected, which is nothing mostly."""
    handler = Errors()
    logger = logging.getLogger("portway")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)
    assert handler.lines == handler.expected


@pytest.fixture(params=["uvloop", "asyncio"])
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def framework(request: pytest.FixtureRequest) -> str:
    """Which one is served; a module says it in FRAMEWORK, or a parameter."""
    return str(getattr(request.module, "FRAMEWORK", None) or request.param)


@pytest.fixture
def collected() -> Iterator[None]:
    """Whatever was left lying about is found in this test, and not in another one."""
    yield
    gc.collect()


@pytest.fixture
def served(framework: str, loop: str, errors: Errors, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """The server of the framework's application."""
    monkeypatch.setattr(sys, "path", sys.path[:])
    with serve(str(APPS / f"on_{framework}.py"), app_dir=str(APPS), loop=loop) as served:
        yield served


@pytest.fixture(params=["HTTP/1.1", "HTTP/2"])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def client(served: Served, version: str) -> Iterator[httpx.Client]:
    """An HTTP client with one connection that is kept alive."""
    two = version == "HTTP/2"
    limits = httpx.Limits(max_connections=1)
    with httpx.Client(base_url=served.url, limits=limits, timeout=20, http1=not two, http2=two) as client:
        yield client


@pytest.fixture
def until(client: httpx.Client) -> Callable[[str, str], None]:
    """Ask `path` until its list has `key` in it; there is no event across the wire."""

    def until(path: str, key: str) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if key in client.get(path).json():
                return
        raise AssertionError(f"{key} never came to {path}")

    return until


# --- Django and a PostgreSQL ---


def postgres_programs() -> Path:
    """Where Debian keeps initdb and pg_ctl, or the folder of those on PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        why = "needs PostgreSQL; on Debian: apt-get install postgresql"
        if os.environ.get("REQUIRE_POSTGRES"):
            pytest.fail(why)
        pytest.skip(why)
    return found[-1].parent if found else Path(str(on_path)).resolve().parent


def unprivileged() -> tuple[str, ...]:
    """What comes before a command so that it does not run as root, which PostgreSQL refuses."""
    if os.geteuid():
        return ()
    import pwd  # not on Windows

    names = {entry.pw_name for entry in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")


class Postgres:
    """A cluster of its own in a folder of its own, on a Unix socket in it; `folder` is the host for clients."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._programs = postgres_programs()

    def start(self) -> None:
        self._run("initdb", "--auth=trust", "--username=portway", "--encoding=UTF8", "--locale=C", "--no-sync")
        listening = f"-k {self.folder} -h '' -c fsync=off -c max_connections=300"
        self._run("pg_ctl", "-w", "-o", listening, "-l", str(self.folder / "log"), "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    def ask(self, query: str) -> Any:
        """The first value of the first row."""
        import psycopg

        with psycopg.connect(host=str(self.folder), user="portway", dbname="postgres") as connection:
            row = connection.execute(query).fetchone()  # type: ignore[call-overload]
            assert row is not None
            return row[0]

    def connections(self) -> int:
        """How many of the project's are open."""
        return int(self.ask("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'project'"))

    def empties(self) -> bool:
        """Whether they all end; PostgreSQL's processes do so a moment after their clients."""
        deadline = time.monotonic() + 20
        while self.connections() and time.monotonic() < deadline:
            pass
        return not self.connections()

    def _run(self, program: str, *args: str) -> None:
        command = [*unprivileged(), str(self._programs / program), "-D", str(self.folder / "data"), *args]
        with (self.folder / "said").open("ab") as said:  # a pipe would be the server's as well, and never end
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd=self.folder)
        assert done.returncode == 0, (self.folder / "said").read_text("utf-8", "replace")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL, or the test is skipped; with REQUIRE_POSTGRES=1 it fails."""
    # The folders of pytest are closed to another user, and too long for the name of a socket.
    folder = Path(tempfile.mkdtemp(prefix="portway-pg-"))
    server = None
    try:
        server = Postgres(folder)
        if before := unprivileged():
            os.chown(folder, *(int(each.partition("=")[2]) for each in before[1:3]))
        server.start()
        yield server
    finally:
        if server is not None and (folder / "data" / "postmaster.pid").exists():
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def project(postgres: Postgres, portway_command: Callable[..., Any]) -> Callable[..., Any]:
    """`project("asgi", "--thread-sensitive", "off")` serves apps/project, in a process of its own; what is
    given by name, such as CONN_MAX_AGE="0", are its environment variables.
    """

    def start(interface: str, *options: str, **variables: str) -> Any:
        source = f"""
import os, sys
os.environ.update({variables | {"POSTGRES_FOLDER": str(postgres.folder)}!r})
sys.path.append({str(APPS)!r})
from project.{interface} import application as app
"""
        return portway_command(source, "--port", "0", "--no-access-log", *options).up()

    return start


@pytest.fixture
def load() -> Callable[..., list[dict[str, Any]]]:
    """`load(port, "/path", requests=2000, concurrency=8)`: what so many clients got, each over one connection and
    one request after the other.
    """

    def ask(port: int, path: str, requests: int) -> list[dict[str, Any]]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as client:
            return [one(client, path) for _ in range(requests)]

    def one(client: http.client.HTTPConnection, path: str) -> dict[str, Any]:
        client.request("GET", path)
        response = client.getresponse()
        body = response.read()
        assert response.status == 200, body
        return dict(json.loads(body))

    def load(port: int, path: str, *, requests: int, concurrency: int) -> list[dict[str, Any]]:
        with ThreadPoolExecutor(concurrency) as clients:
            shares = [clients.submit(ask, port, path, requests // concurrency) for _ in range(concurrency)]
            return [answer for share in shares for answer in share.result()]

    return load
