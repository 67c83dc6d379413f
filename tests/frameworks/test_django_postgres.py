"""Django's database connections: how many a PostgreSQL sees, when they are kept (CONN_MAX_AGE) and many ask at once."""

import signal
from collections.abc import Callable
from typing import Any

import pytest

Project = Callable[..., Any]
Load = Callable[..., list[dict[str, Any]]]

REQUESTS = 2000
CONCURRENCY = 8

LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])


@LOOPS
def test_concurrency_8_holds_8_connections_under_asgi(loop: str, project: Project, load: Load, postgres: Any) -> None:
    served = project("asgi", "--loop", loop)
    answers = load(served.port, "/backend", requests=REQUESTS, concurrency=CONCURRENCY)
    assert len(answers) == REQUESTS
    assert len({answer["pid"] for answer in answers}) <= CONCURRENCY
    assert len({answer["thread"] for answer in answers}) <= CONCURRENCY
    assert max(answer["open"] for answer in answers) <= CONCURRENCY
    assert served.ends(signal.SIGTERM) == 0
    assert postgres.empties()


@LOOPS
def test_concurrency_8_holds_8_connections_under_wsgi(loop: str, project: Project, load: Load, postgres: Any) -> None:
    served = project("wsgi", "--loop", loop)
    answers = load(served.port, "/backend", requests=REQUESTS, concurrency=CONCURRENCY)
    assert len(answers) == REQUESTS
    assert 1 < len({answer["pid"] for answer in answers}) <= CONCURRENCY
    assert len({answer["thread"] for answer in answers}) <= CONCURRENCY
    assert max(answer["open"] for answer in answers) <= CONCURRENCY
    assert served.ends(signal.SIGTERM) == 0
    assert postgres.empties()


def test_without_it_each_request_has_a_connection_of_its_own(project: Project, load: Load) -> None:
    served = project("asgi", "--thread-sensitive", "off")
    answers = load(served.port, "/backend", requests=200, concurrency=CONCURRENCY)
    assert len({answer["pid"] for answer in answers}) > 100
    assert served.ends(signal.SIGTERM) == 0


def test_a_connection_that_is_not_to_be_kept_is_closed_with_its_request(project: Project, load: Load) -> None:
    served = project("asgi", CONN_MAX_AGE="0")
    answers = load(served.port, "/backend", requests=200, concurrency=CONCURRENCY)
    assert len({answer["pid"] for answer in answers}) == 200
    assert len({answer["thread"] for answer in answers}) <= CONCURRENCY
    assert served.ends(signal.SIGTERM) == 0
