"""What the tests of the logs share: an exchange to tell of, and loggers that are put back afterwards."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest


@dataclass
class Head:
    method: str = "GET"
    path: bytes = b"/"
    query: bytes = b""
    version: str = "1.1"
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)


@dataclass
class Exchange:
    head: Head = field(default_factory=Head)
    client: tuple[str, int | None] | None = ("192.0.2.7", 4711)
    status: int = 200
    size: int = 13
    seconds: float = 0.0123
    lost: bool = False
    application: str | None = None


@pytest.fixture
def exchange() -> Exchange:
    """What `Hooks.ended` is told of; its parts may be changed."""
    return Exchange()


@pytest.fixture
def loggers() -> Iterator[None]:
    """Whatever the test does to logging, it was not done."""
    names = ("portway", "portway.access", "")
    kept = [(logging.getLogger(name), dict(vars(logging.getLogger(name)))) for name in names]
    handlers = [list(logger.handlers) for logger, _ in kept]
    factory = logging.getLogRecordFactory()
    yield
    logging.setLogRecordFactory(factory)
    for (logger, state), before in zip(kept, handlers, strict=True):
        logger.setLevel(state["level"])
        logger.propagate, logger.disabled = state["propagate"], state["disabled"]
        logger.handlers[:], logger.filters[:] = before, []
