"""What the log says of refused requests: who, why, the first bytes; and not too often."""

import logging
import select
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from portway.testing import Raw, Served, serve

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Lines(logging.Handler):
    """The warnings of the server."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def log() -> Iterator[Lines]:
    handler = Lines()
    logger = logging.getLogger("portway")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise RuntimeError("no lifespan here")
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def served() -> Iterator[Served]:
    with serve(app) as server:
        yield server


def refuse(served: Served, *pieces: bytes) -> str:
    """Be refused; who the server takes us for."""
    with Raw(served.host, served.port) as raw:
        for piece in pieces:
            raw.send(piece)
        assert raw.response().status >= 400
        assert raw.rest() == b""
        name = raw.socket.getsockname()
        return f"{name[0]}:{name[1]}"


def test_a_refusal_is_logged_with_the_peer_the_reason_and_the_first_bytes(served: Served, log: Lines) -> None:
    peer = refuse(served, b"GET / HTTP/1.1\r\n\r\n")
    assert log.lines == [f"{peer}: refused with 400: the Host header is missing: " + repr(b"GET / HTTP/1.1\r\n\r\n")]


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="there are no Unix sockets here")
def test_a_peer_without_an_address_is_named_too(tmp_path: Path, log: Lines) -> None:
    path = str(tmp_path / "socket")
    with serve(app, uds=path), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(path)
        client.sendall(b"\0")
        assert client.recv(1000).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    (line,) = log.lines
    assert line.startswith("a client on a Unix socket: refused with 400: ")


def test_what_a_peer_sent_can_forge_no_line(served: Served, log: Lines) -> None:
    refuse(served, b"GET / HTTP/1.1\r\nX: \x1b[31m\x00\nERROR: all is lost\r\n" + b"\xff" * 1000)
    (line,) = log.lines
    assert "\\x1b[31m\\x00\\nERROR: all" in line
    assert line.isprintable()
    assert len(line) < 300


def test_a_good_request_is_not_logged_as_refused(served: Served, log: Lines) -> None:
    with Raw(served.host, served.port) as raw:
        assert raw.ask(GET).status == 200
    assert log.lines == []


def test_the_first_bytes_are_those_of_the_request_that_is_refused(served: Served, log: Lines) -> None:
    with Raw(served.host, served.port) as raw:
        assert raw.ask(GET + GET + b"BAD\r\n" + GET).status == 200
        assert raw.response().status == 200
        assert raw.response().status == 400
    (line,) = log.lines
    assert line.endswith(repr(b"BAD\r\n" + GET))


def test_the_first_bytes_are_there_when_the_head_came_in_pieces(served: Served, log: Lines) -> None:
    refuse(served, b"GET /a", b" HTTP/1.1\r\n", b"Host: a\r", b"\nX", b" : b\r\n\r\n")
    (line,) = log.lines
    assert repr(b"GET /a HTTP/1.1\r\nHost: a\r\nX : b")[:-1] in line


def test_the_first_bytes_of_a_body_are_those_that_were_wrong(served: Served, log: Lines) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
    refuse(served, head + b"secret\r\n")
    (line,) = log.lines
    assert "a chunk has no size" in line
    assert "POST" not in line


def test_a_client_that_was_slow_to_read_its_last_response_is_not_refused(log: Lines) -> None:
    async def large(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body", "body": b"x" * (16 << 20)})

    with serve(large, lifespan="off", timeout_response=0.5) as served, Raw(served.host, served.port) as raw:
        raw.send(GET + GET)
        while raw.socket.recv(1 << 20):
            pass
        patience = time.monotonic() + 10
        with pytest.raises(OSError, match=r"(?i)reset|aborted|pipe"):  # it hears us out, for a while
            while time.monotonic() < patience:
                raw.send(b"x")
                select.select([], [], [], 0.05)
    assert log.lines == []


def test_a_request_that_does_not_come_in_time_is_logged(log: Lines) -> None:
    with serve(app, timeout_request_head=0.3) as served:
        peer = refuse(served, b"GET / HTTP/1.1\r\n")
    (line,) = log.lines
    assert line.startswith(f"{peer}: refused with 408: the request's head did not come in time")


def test_a_flood_of_refusals_is_no_flood_of_lines(log: Lines) -> None:
    count = 60
    with serve(app) as served:
        for _ in range(count):
            refuse(served, b"\0")
        told = [line for line in log.lines if "refused with 400" in line]
        # As many as 10 a second; a slow machine needs a few seconds for all of them.
        assert 10 <= len(told) < count
        # What was left out is counted, when the next one comes in a later second.
        for _ in range(10_000):
            if any("were not logged" in line for line in log.lines):
                break
            refuse(served, b"\0")
    (summary, *_) = [line for line in log.lines if "were not logged" in line]
    assert int(summary.split()[0]) >= 1
    assert summary.endswith("more refused requests were not logged")


# --- TLS on a plain port ---

TLS = "this port speaks plain HTTP, and what came is the start of TLS (https)"


def test_a_client_hello_is_named_in_the_log(served: Served, log: Lines) -> None:
    context = ssl.create_default_context()
    with Raw(served.host, served.port) as raw, pytest.raises(ssl.SSLError, match=r"(?i)wrong.version"):
        context.wrap_socket(raw.socket, server_hostname="localhost")
    (line,) = log.lines
    shown = line.partition(f"refused with 400: {TLS}: b")[2]
    assert shown[1:].startswith("\\x16\\x03")  # after a quote, of which repr() has two


def test_a_client_hello_is_named_even_if_one_byte_of_it_comes_alone(served: Served, log: Lines) -> None:
    refuse(served, b"\x16", b"\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    (line,) = log.lines
    assert TLS in line
