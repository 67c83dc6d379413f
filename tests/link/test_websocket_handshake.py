"""The opening of a WebSocket over a real socket: what is answered, and what may come before and with it."""

from typing import Any

import pytest

from portway.testing import serve
from portway.types import Receive, Scope, Send

LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
LINES = b"Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
VERSION = b"Sec-WebSocket-Version: 13\r\n"
GET = b"GET /plain HTTP/1.1\r\nHost: a\r\n\r\n"


# --- the handshake ---


def test_a_handshake_is_answered_as_the_rfc_shows(app: Any, peer: Any) -> None:  # RFC 6455 §1.3
    with peer(app) as client:
        client.send(client.opening())
        head = client.until(b"\r\n\r\n").decode().lower()
    assert head.startswith("http/1.1 101 switching protocols\r\n")
    lines = head.split("\r\n")[1:-2]
    assert sorted(line for line in lines if not line.startswith(("date: ", "server: "))) == [
        "connection: upgrade",
        "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=",
        "upgrade: websocket",
    ]


REFUSALS = {
    "no version": (400, b"GET / HTTP/1.1\r\n" + LINES + KEY, "the header Sec-WebSocket-Version is missing"),
    "no key": (400, b"GET / HTTP/1.1\r\n" + LINES + VERSION, "there must be one Sec-WebSocket-Key"),
    "two keys": (400, b"GET / HTTP/1.1\r\n" + LINES + VERSION + KEY + KEY, "there must be one Sec-WebSocket-Key"),
    "short key": (
        400,
        b"GET / HTTP/1.1\r\n" + LINES + VERSION + b"Sec-WebSocket-Key: c2hvcnQ=\r\n",
        "there must be one Sec-WebSocket-Key, of 16 bytes in base64",
    ),
    "no base64": (
        400,
        b"GET / HTTP/1.1\r\n" + LINES + VERSION + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\xff\r\n",
        "there must be one Sec-WebSocket-Key, of 16 bytes in base64",
    ),
    "body": (
        400,
        b"GET / HTTP/1.1\r\n" + LINES + VERSION + KEY + b"Content-Length: 1\r\n",
        "the request for a WebSocket has a body",
    ),
    "subprotocol": (
        400,
        b"GET / HTTP/1.1\r\n" + LINES + VERSION + KEY + b"Sec-WebSocket-Protocol: a b\r\n",
        "the header Sec-WebSocket-Protocol is not a list of tokens",
    ),
    "extension": (
        400,
        b"GET / HTTP/1.1\r\n" + LINES + VERSION + KEY + b"Sec-WebSocket-Extensions: a=b\r\n",
        "the header Sec-WebSocket-Extensions is malformed",
    ),
    "method": (405, b"PUT / HTTP/1.1\r\n" + LINES + VERSION + KEY, "a WebSocket is opened by GET"),
    "version": (
        426,
        b"GET / HTTP/1.1\r\n" + LINES + KEY + b"Sec-WebSocket-Version: 8\r\n",
        "only version 13 of the WebSocket protocol is spoken here",
    ),
    "origin": (
        403,
        b"GET / HTTP/1.1\r\n" + LINES + VERSION + KEY + b"Origin: https://evil.example\r\n",
        "this origin is not let in",
    ),
}
MORE = {405: ("allow", "GET"), 426: ("sec-websocket-version", "13")}


@pytest.mark.parametrize(("status", "request_", "text"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_a_complete_response_and_then_the_end(
    app: Any, peer: Any, caplog: pytest.LogCaptureFixture, status: int, request_: bytes, text: str
) -> None:
    with peer(app, ws_origins=["https://example.org"]) as client:
        answer = client.ask(request_ + b"\r\n")
        assert answer.status == status
        assert answer.body.decode().startswith(text)
        assert answer.header("connection") == "close"
        assert answer.header("sec-websocket-accept") is None
        if status in MORE:
            assert answer.header(MORE[status][0]) == MORE[status][1]
        client.send(client.text("and yet") + GET)
        assert client.rest() == b""
    assert app.scopes == []
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert f": refused with {status}: {text}" in line


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 101),
        (b"https://example.org", 101),
        (b"https://EXAMPLE.org", 101),
        (b"http://localhost:3000", 101),
        (b"https://example.org:444", 403),
        (b"http://example.org", 403),
        (b"https://example.org.evil.example", 403),
        (b"null", 403),
        (b"", 403),
    ],
)
def test_pages_of_other_origins_are_not_let_in(app: Any, peer: Any, origin: bytes | None, status: int) -> None:
    with peer(app, ws_origins=["https://Example.org", "http://localhost:3000"]) as client:
        client.send(client.opening(b"/", *([] if origin is None else [b"Origin: " + origin])))
        assert client.interim().status == status


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /plain HTTP/1.0\r\n" + LINES + VERSION + KEY,
        b"GET /plain HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n" + VERSION + KEY,
        b"GET /plain HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n" + VERSION + KEY,
        b"GET /plain HTTP/1.1\r\nHost: a\r\n" + VERSION + KEY,
    ],
    ids=["HTTP/1.0", "no Connection", "another protocol", "no Upgrade"],
)
def test_what_does_not_ask_for_a_websocket_is_plain_http(app: Any, peer: Any, request_: bytes) -> None:
    with peer(app) as client:
        answer = client.ask(request_ + b"\r\n")
        assert (answer.status, answer.body) == (200, b"/plain")
    assert app.kinds == ["http"]


@pytest.mark.parametrize(
    "lines",
    [
        b"Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n",
        b"upgrade: h2c, websocket\r\nconnection: UPGRADE\r\n",
        b"Upgrade: websocket\r\nConnection: keep-alive\r\nConnection: upgrade\r\n",
    ],
)
def test_upgrade_and_connection_are_lists_without_regard_to_case(app: Any, peer: Any, lines: bytes) -> None:
    with peer(app) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + lines + KEY + VERSION + b"\r\n")
        assert client.interim().status == 101


def test_without_websockets_the_request_is_plain_http(app: Any, peer: Any) -> None:
    with peer(app, ws="none") as client:
        client.send(client.opening(b"/plain") + GET)
        for _ in range(2):
            answer = client.response()
            assert (answer.status, answer.body, answer.header("connection")) == (200, b"/plain", None)
    assert app.kinds == ["http", "http"]
    assert (b"upgrade", b"websocket") in app.scopes[0]["headers"]


def test_beyond_the_limit_of_concurrency_503_is_answered(app: Any, another: Any) -> None:
    with serve(app, lifespan="off", limit_concurrency=1) as served:
        with another(served) as first:
            first.open()
            with another(served) as second:
                second.send(second.opening())
                answer = second.response()
                assert (answer.status, answer.header("retry-after"), answer.header("connection")) == (503, "1", "close")
                assert second.rest() == b""
            with another(served) as third:
                assert third.ask(GET).status == 503
            first.send(first.closing())
            first.closed()
            assert first.rest() == b""
        with another(served) as fourth:
            fourth.open()


# --- the handshake, and what comes with it ---


@LOOPS
@pytest.mark.parametrize("path", [b"/plain", b"/later"])
def test_http_may_be_pipelined_before_the_upgrade(app: Any, peer: Any, loop: str, path: bytes) -> None:
    with peer(app, loop=loop) as client:
        client.send(GET.replace(b"/plain", path) * 3 + client.opening() + client.text("first") + client.text("second"))
        assert [client.response().body for _ in range(3)] == [path] * 3
        assert client.interim().status == 101
        assert [client.message() for _ in range(2)] == ["first", "second"]
    assert app.kinds == ["http"] * 3 + ["websocket"]


@LOOPS
def test_http_may_be_spoken_before_the_upgrade_and_a_denial(peer: Any, loop: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        kind = "http" if scope["type"] == "http" else "websocket.http"
        if scope["path"] == "/open":
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.send", "text": "hello"})
            return
        await send({"type": f"{kind}.response.start", "status": 401})
        await send({"type": f"{kind}.response.body", "body": b"no"})

    with peer(app, loop=loop) as client:
        for _ in range(2):
            assert client.ask(GET).body == b"no"
            assert client.ask(client.opening()).body == b"no"
        client.open(b"/open")
        assert client.message() == "hello"


@LOOPS
def test_frames_may_come_with_the_handshake(app: Any, peer: Any, loop: str) -> None:
    with peer(app, loop=loop) as client:
        frames = client.text("one") + client.frame(client.PING, b"two") + client.text("three") + client.closing(1001)
        client.send(client.opening(b"/late") + frames[:10])
        assert app.entered.wait(10)
        client.send(frames[10:])
        assert not client.answered()
        app.go.set()
        assert client.interim().status == 101
        found = {client.read() for _ in range(2)}
        assert (0x8A, b"two") in found
        assert found <= {(0x8A, b"two"), (0x88, b"\x03\xe9"), (0x81, b"one")}
        client.rest()
    assert app.ends == [{"type": "websocket.disconnect", "code": 1001, "reason": ""}] or app.ends == []


def test_a_fault_may_come_with_the_handshake(app: Any, peer: Any) -> None:
    with peer(app) as client:
        client.send(client.opening() + client.text("not masked", mask=b""))
        assert client.interim().status == 101
        assert client.closed() == (1002, "a frame is not masked")
        assert client.rest() == b""
    assert app.ends == [{"type": "websocket.disconnect", "code": 1002, "reason": "a frame is not masked"}]


@LOOPS
def test_a_close_and_the_end_may_come_with_the_handshake(app: Any, peer: Any, loop: str) -> None:
    with peer(app, loop=loop) as client:
        client.send(client.opening(b"/late") + client.closing(1001))
        client.half_close()
        assert app.entered.wait(10)
        app.go.set()
        assert client.interim().status == 101
        assert client.closed() == (1001, "")
        assert client.rest() == b""
    assert app.ends == [{"type": "websocket.disconnect", "code": 1001, "reason": ""}]
