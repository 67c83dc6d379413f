"""The lines of WebSockets in the access log: one when it is accepted, one at its end, one for what was not accepted."""

import json
import logging
import re
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from portway.types import Receive, Scope, Send

Portway = Callable[..., Any]

APP = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise NotImplementedError
    await receive()
    await send({"type": "websocket.accept", "subprotocol": scope["subprotocols"][0]})
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})
"""


class Access:
    """An application whose WebSockets end in all ways, and the lines that tell of them."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "portway.access")
        self._caplog = caplog
        self.waiting = threading.Event()

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        await receive()
        if path == "/raises":
            raise ZeroDivisionError
        if path == "/denied":
            await send({"type": "websocket.http.response.start", "status": 401})
            await send({"type": "websocket.http.response.body", "body": b"12345"})
            return
        if path == "/gone":
            self.waiting.set()
            await receive()
            return
        await send({"type": "websocket.close" if path == "/closed" else "websocket.accept"})
        if path == "/fails":
            raise ZeroDivisionError
        while (message := await receive())["type"] == "websocket.receive":
            await send({**message, "type": "websocket.send"})

    @property
    def lines(self) -> list[str]:
        """Without the client's port and durations."""
        said = [each.getMessage() for each in self._caplog.records if each.name == "portway.access"]
        return [re.sub(r"(?<=127\.0\.0\.1):\d+| [\d.]+m?s\b", "", line) for line in said]


@pytest.fixture
def access(caplog: pytest.LogCaptureFixture) -> Access:
    return Access(caplog)


@pytest.mark.parametrize(
    ("send", "code", "numbers"),
    [
        (lambda c: c.closing(1001), 1001, "in 0/0 out 0/0"),
        (lambda c: c.closing(None), 1005, "in 0/0 out 0/0"),
        (lambda c: c.text("één") + c.frame(2, b"12") + c.text("") + c.closing(4000), 4000, "in 3/7 out"),
        (lambda c: c.text("not masked", mask=b""), 1002, "in 0/0 out 0/0"),
        (lambda c: c.frame(9, b"ping") + c.closing(1000), 1000, "in 0/0 out 0/0"),
    ],
    ids=["close", "no code", "messages", "fault", "ping"],
)
def test_there_is_a_line_at_its_beginning_and_one_at_its_end(
    peer: Any, access: Access, send: Callable[[Any], bytes], code: int, numbers: str
) -> None:
    with peer(access.app, access_log=True) as client:
        client.open(b'/a%20b?c=d"')
        client.send(send(client))
        client.rest()
    opened, closed = access.lines
    assert opened == '127.0.0.1 - "WebSocket /a%20b?c=d%22" open'
    assert closed.startswith(f'127.0.0.1 - "WebSocket /a%20b?c=d%22" closed {code} {numbers}')


def test_the_line_at_its_beginning_does_not_wait_for_its_end(peer: Any, access: Access) -> None:
    with peer(access.app, access_log=True) as client:
        client.open()
        client.send(client.text("hello"))
        assert client.message() == "hello"
        assert access.lines == ['127.0.0.1 - "WebSocket /" open']
        client.close()
    assert access.lines[1] == '127.0.0.1 - "WebSocket /" closed 1006 in 1/5 out 1/5'
    assert len(access.lines) == 2


def test_one_that_fails_ends_with_the_code_of_its_close(peer: Any, access: Access) -> None:
    with peer(access.app, access_log=True) as client:
        client.open(b"/fails")
        client.send(client.closing(1011))
        client.rest()
    assert access.lines[1].startswith('127.0.0.1 - "WebSocket /fails" closed 1011 ')


@pytest.mark.parametrize(
    ("path", "status", "size"),
    [(b"/closed", 403, 10), (b"/denied", 401, 5), (b"/raises", 500, 22)],
)
def test_one_that_was_not_accepted_has_the_line_of_its_response(
    peer: Any, access: Access, path: bytes, status: int, size: int
) -> None:
    with peer(access.app, access_log=True) as client:
        client.send(client.opening(path))
        assert client.response().status == status
    assert access.lines == [f'127.0.0.1 - "GET {path.decode()} HTTP/1.1" {status} {size}']


def test_a_handshake_that_is_refused_has_the_line_of_its_response(peer: Any, access: Access) -> None:
    with peer(access.app, access_log=True) as client:
        client.send(client.opening(b"/", key=b"short"))
        assert client.response().status == 400
    (line,) = access.lines
    assert line.startswith('127.0.0.1 - "GET / HTTP/1.1" 400 ')


def test_a_client_that_goes_before_the_accept_is_a_499(peer: Any, access: Access) -> None:
    with peer(access.app, access_log=True) as client:
        client.send(client.opening(b"/gone"))
        assert access.waiting.wait(10)
        client.reset()
    assert access.lines == ['127.0.0.1 - "GET /gone HTTP/1.1" 499 0 (cut off)']


def test_the_client_is_the_one_that_a_trusted_proxy_tells(peer: Any, caplog: pytest.LogCaptureFixture) -> None:
    access = Access(caplog)
    with peer(access.app, access_log=True) as client:
        client.open(b"/", b"X-Forwarded-For: 203.0.113.9")
        client.close()
    said = [each.getMessage() for each in caplog.records if each.name == "portway.access"]
    assert [line.startswith('203.0.113.9:0 - "WebSocket /" ') for line in said] == [True, True]


# --- from the command line ---


def converse(command: Any, another: Any) -> None:
    with another(command) as client:
        client.open(b"/a?b=c", b"Sec-WebSocket-Protocol: chat")
        client.send(client.text("hello"))
        assert client.message() == "hello"
        client.send(client.closing(1001, "bye"))
        client.rest()


def test_the_lines_are_written_to_standard_output(portway_command: Portway, another: Any) -> None:
    command = portway_command(APP, "--port", "0").up()
    converse(command, another)
    assert command.ends(signal.SIGTERM) == 0
    opened, closed = command.out.all().splitlines()
    assert re.fullmatch(r'INFO:     127\.0\.0\.1:\d+ - "WebSocket /a\?b=c" open chat', opened)
    assert re.fullmatch(r'INFO:     127\.0\.0\.1:\d+ - "WebSocket /a\?b=c" closed 1001 \d+\.\ds in 1/5 out 1/5', closed)


def test_the_lines_may_be_json(portway_command: Portway, another: Any) -> None:
    command = portway_command(APP, "--port", "0", "--access-log-format", "json").up()
    converse(command, another)
    assert command.ends(signal.SIGTERM) == 0
    opened, closed = [json.loads(line) for line in command.out.all().splitlines()]
    for line in (opened, closed):
        assert line.pop("time") > 1e9
        assert line.pop("client").startswith("127.0.0.1:")
    assert 0 <= closed.pop("seconds") < 10
    both = {"method": "WebSocket", "path": "/a", "query": "b=c"}
    assert opened == both | {"event": "open", "subprotocol": "chat"}
    assert closed == both | {
        "event": "closed",
        "code": 1001,
        "messages_in": 1,
        "bytes_in": 5,
        "messages_out": 1,
        "bytes_out": 5,
    }


def test_without_an_access_log_there_is_no_line(peer: Any, access: Access) -> None:
    with peer(access.app, access_log=False) as client:
        client.open()
        client.close()
    assert access.lines == []
