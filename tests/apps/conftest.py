"""Real WSGI applications and their real clients: `make test-apps`. Each is served by a Portway process of its own."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

SITES = Path(__file__).parent / "sites"
PATIENCE = 60
GITCONFIG = """\
[user]
    name = Ada
    email = ada@example.org
[init]
    defaultBranch = main
"""

Site = Callable[..., Any]
Tool = Callable[..., str]


# Between server and application, wsgiref.validate. It takes `read()` amiss, which PEP 3333 allows.
VALIDATED = """
from wsgiref import validate

validate.InputWrapper.read = lambda self, *args: self.input.read(*args)
app = validate.validator(app)
"""


@pytest.fixture(params=["threads", "inline", "validated"])
def way(request: pytest.FixtureRequest) -> str:
    """How the application is run."""
    return str(request.param)


@pytest.fixture
def site(portway_command: Any, way: str) -> Iterator[Site]:
    """Serve a file of `sites`; it stands in the test's own folder then. At the end, nothing was amiss."""
    started = []

    def serve(name: str, *args: str) -> Any:
        source = (SITES / f"{name}.py").read_text("utf-8")
        options = ["--port", "0", "--interface", "wsgi", "--wsgi-threads", "0" if way == "inline" else "8", *args]
        started.append(portway_command(source + VALIDATED * (way == "validated"), *options).up())
        return started[-1]

    yield serve
    for command in started:
        assert command.ends(15) == 0
        wrong = [line for line in command.err.all().splitlines() if line.startswith(("ERROR", "WARNING"))]
        assert wrong == []


@pytest.fixture
def tool(tmp_path: Path) -> Tool:
    """Run a program in the test's folder, with no settings but ours: what it says, if it is content."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(GITCONFIG)
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    environ = {**kept, "HOME": str(home), "HGUSER": "Ada <ada@example.org>", "GIT_TERMINAL_PROMPT": "0"}

    def run(*words: str, **more: str) -> str:
        done = subprocess.run(
            words, cwd=tmp_path, env=environ | more, capture_output=True, text=True, timeout=PATIENCE
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture(params=["HTTP/1.1", "HTTP/2"])
def ask(request: pytest.FixtureRequest) -> Iterator[Callable[[str], httpx.Client]]:
    """`ask(url)` is a client of that address, over either version of HTTP."""
    two = request.param == "HTTP/2"
    clients = []

    def client(url: str) -> httpx.Client:
        clients.append(httpx.Client(base_url=url, http1=not two, http2=two, timeout=PATIENCE))
        return clients[-1]

    yield client
    for each in clients:
        each.close()
