"""What the tests of the contract share: one exchange with a real server, and what the server logged of it."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from portway.testing import Raw, Response, serve
from portway.types import ASGIApp

Ask = Callable[..., Response]


class Log(logging.Handler):
    """What the server told its log from INFO up, each with its traceback if it had one."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def errors(self) -> list[str]:
        """What is for the administrator to mend; warnings count."""
        return [self.format(record) for record in self.records if record.levelno >= logging.WARNING]

    @property
    def lines(self) -> list[str]:
        """All of it."""
        return [self.format(record) for record in self.records]

    @property
    def error(self) -> str:
        """The one thing that is to be mended."""
        (only,) = self.errors
        return only


@pytest.fixture
def log() -> Iterator[Log]:
    """The log of the servers of this test. What is logged after a response is there when `serve` has ended."""
    logger = logging.getLogger("portway")
    level = logger.level
    handler = Log()
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.fixture
def ask() -> Ask:
    """Serve the application for one request, until the server has ended: `ask(app, request, **settings)`."""

    def one(app: ASGIApp, request: bytes = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", **settings: object) -> Response:
        with serve(app, **settings) as served, Raw(served.host, served.port) as raw:
            raw.send(request)
            return raw.response(head_only=request.startswith(b"HEAD"))

    return one


@pytest.fixture(params=["HTTP/1.1", "HTTP/2"])
def carrier(request: pytest.FixtureRequest, carriers: dict[str, Any]) -> Any:
    """WebSockets are the same on either version (ASGI 33-46): `peer` is a client of each in turn."""
    return carriers[request.param]
