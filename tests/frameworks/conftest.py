"""Serves what people build, as they do it: by the path of the file, on either event loop."""

import logging
import sys
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
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def errors() -> Iterator[list[str]]:
    """What was logged as an error until now; at the end of the test and of its server it must be empty."""
    handler = Errors()
    logger = logging.getLogger("portway")
    logger.addHandler(handler)
    yield handler.lines
    logger.removeHandler(handler)
    assert handler.lines == []


@pytest.fixture(params=["uvloop", "asyncio"])
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def framework(request: pytest.FixtureRequest) -> str:
    """Which one is served; a module says it in FRAMEWORK, or a parameter."""
    return str(getattr(request.module, "FRAMEWORK", None) or request.param)


@pytest.fixture
def served(framework: str, loop: str, errors: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """The server of the framework's application."""
    monkeypatch.setattr(sys, "path", sys.path[:])
    with serve(str(APPS / f"on_{framework}.py"), app_dir=str(APPS), loop=loop) as served:
        yield served


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    """An HTTP client with one connection that is kept alive."""
    with httpx.Client(base_url=served.url, limits=httpx.Limits(max_connections=1), timeout=20) as client:
        yield client


@pytest.fixture
def until(client: httpx.Client) -> Callable[[str, str], None]:
    """Ask `path` until its list has `key` in it; there is no event across the wire."""

    def until(path: str, key: str) -> None:
        for _ in range(1000):
            if key in client.get(path).json():
                return
        raise AssertionError(f"{key} never came to {path}")

    return until
