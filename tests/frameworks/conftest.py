"""Serves what people build, as they do it: by the path of the file, on either event loop."""

import gc
import logging
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

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
