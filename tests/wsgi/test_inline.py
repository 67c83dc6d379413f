"""Applications on the event loop: nothing that one of them gives keeps the others from their turn."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from portway.testing import Raw, serve
from portway.types import Message
from portway.wsgi import WSGI

Environ = dict[str, Any]

GET = b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n"
GOOD = GET.replace(b"/a", b"/good")


class Turns:
    """Gives endless pieces, but for /good."""

    def __init__(self, piece: bytes) -> None:
        self.piece = piece
        self.closed = 0

    def __call__(self, environ: Environ, start_response: Any) -> Any:
        start_response("200 OK", [])
        return [b"ok"] if environ["PATH_INFO"] == "/good" else self

    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield self.piece

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("piece", [b"x", b"x" * 1_000_000, b""])
def test_an_endless_iterable_gives_the_others_their_turn(piece: bytes) -> None:
    app = Turns(piece)
    with serve(WSGI(app, threads=0)) as served, Raw(served.host, served.port) as greedy:
        greedy.send(GET)
        with Raw(served.host, served.port) as raw:
            for _ in range(5):
                assert raw.ask(GOOD).body == b"ok"
        greedy.close()
        with Raw(served.host, served.port) as raw:
            while not app.closed:
                assert raw.ask(GOOD).body == b"ok"
    assert app.closed == 1


def test_the_loop_is_that_of_the_server() -> None:
    seen: list[Any] = []

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        seen.append((threading.current_thread().name, asyncio.get_running_loop().is_running()))
        start_response("200 OK", [])
        return [b"ok"]

    with serve(WSGI(app, threads=0)) as served, Raw(served.host, served.port) as raw:
        assert raw.ask(GET).body == b"ok"
    assert seen == [("portway-serve", True)]


def test_what_is_written_is_held_until_the_application_returns() -> None:
    order: list[str] = []
    messages: list[Message] = []

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [])
        write(b"a")
        write(b"b")
        order.append("returned")
        return [b"c"]

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        order.append(message["type"])
        messages.append(message)

    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": "/", "raw_path": b"/",
        "query_string": b"", "headers": [], "server": ("a", 80), "client": None,
    }  # fmt: skip
    asyncio.run(WSGI(app, threads=0)(scope, receive, send))
    assert order[0] == "returned"
    assert b"".join(each.get("body", b"") for each in messages) == b"abc"
    assert messages[-1]["more_body"] is False


def test_an_answer_in_one_piece_is_two_messages() -> None:
    messages: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("nothing is to be received")

    async def send(message: Message) -> None:
        messages.append(message)

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("x-a", "1")])
        return [b"ok"]

    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": "/", "raw_path": b"/",
        "query_string": b"", "headers": [], "server": ("a", 80), "client": None,
    }  # fmt: skip
    for threads in (0, 2):
        messages.clear()
        asyncio.run(WSGI(app, threads=threads)(scope, receive, send))
        assert messages == [
            {"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"1")]},
            {"type": "http.response.body", "body": b"ok", "more_body": False},
        ]


def test_one_that_is_cancelled_is_closed() -> None:
    app = Turns(b"x" * 100_000)
    with (
        serve(WSGI(app, threads=0), timeout_graceful_shutdown=0.01) as served,
        Raw(served.host, served.port) as raw,
    ):
        raw.send(GET)
        raw.exactly(100)
    assert app.closed == 1
