"""HTTP/1.1 over a real socket, byte for byte: what a client sees, and what the application is told."""

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from portway.testing import Raw, serve

HOST = b"Host: a\r\n"
LARGE = 200_000


class App:
    """An application with a few paths; it notes the scope of each request.

    /hold begins its response and ends it when `go` is set; /unread answers without reading.
    """

    def __init__(self) -> None:
        self.scopes: list[dict[str, Any]] = []
        self.go = threading.Event()

    @property
    def paths(self) -> list[str]:
        return [scope["path"] for scope in self.scopes]

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise RuntimeError("no lifespan here")
        self.scopes.append(scope)
        path = scope["path"]
        content = b"" if path == "/unread" else await self.content(receive)
        status = int(path[1:]) if path[1:].isdigit() else 200
        await send({"type": "http.response.start", "status": status, "headers": []})
        if path == "/hold":
            await send({"type": "http.response.body", "body": b"be", "more_body": True})
            await asyncio.get_running_loop().run_in_executor(None, self.go.wait, 10)
            await send({"type": "http.response.body", "body": b"gun"})
        elif path == "/stream":
            for piece in (b"one", b"", b"two"):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body"})
        elif path.startswith("/large"):
            if path == "/larger":
                await asyncio.sleep(0)  # so that it is not answered at once
            await send({"type": "http.response.body", "body": b"x" * LARGE})
        else:
            await send({"type": "http.response.body", "body": content or path.encode()})

    async def content(self, receive: Any) -> bytes:
        content = b""
        while True:
            message = await receive()
            content += message.get("body", b"")
            if not message.get("more_body"):
                return content


@contextmanager
def talking(app: App | None = None, **settings: Any) -> Iterator[Raw]:
    with serve(app or App(), **settings) as served, Raw(served.host, served.port) as raw:
        yield raw


def get(path: bytes, *lines: bytes, method: bytes = b"GET", version: bytes = b"1.1") -> bytes:
    fields = b"".join(line + b"\r\n" for line in lines)
    return method + b" " + path + b" HTTP/" + version + b"\r\n" + HOST + fields + b"\r\n"


def post(path: bytes, content: bytes, *lines: bytes) -> bytes:
    return get(path, b"Content-Length: %d" % len(content), *lines, method=b"POST") + content


CHUNKED = get(b"/", b"Transfer-Encoding: chunked", method=b"POST")


# --- a refusal is a complete response, and the last one ---

REFUSALS = {
    "malformed": (400, b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", "there is white space before the colon of a header"),
    "no_host": (400, b"GET / HTTP/1.1\r\n\r\n", "the Host header is missing"),
    "chunk": (400, CHUNKED + b"x\r\n", "a chunk has no size"),
    "length": (413, post(b"/", b"x" * 101), "the body is larger than is accepted here"),
    "chunks": (413, CHUNKED + b"64\r\n" + b"x" * 100 + b"\r\n1\r\n", "the body is larger than is accepted here"),
    "line": (414, get(b"/" + b"x" * 200), "the request line is longer than is accepted here"),
    "expect": (417, get(b"/", b"Expect: more"), "the only expectation that can be met is 100-continue"),
    "head": (431, get(b"/", b"X: " + b"x" * 500), "the header section is larger than is accepted here"),
    "fields": (431, get(b"/", *[b"X: y"] * 10), "there are more header fields than are accepted here"),
    "coding": (
        501,
        get(b"/", b"Transfer-Encoding: gzip, chunked"),
        "no transfer coding but chunked is understood here",
    ),
    "method": (501, get(b"a:80", method=b"CONNECT"), "CONNECT is for proxies, and this is none"),
    "version": (505, get(b"/", version=b"3.0"), "this server speaks HTTP/1.1 and HTTP/1.0"),
}  # fmt: skip
TIGHT = {"limit_request_body": 100, "limit_request_line": 100, "limit_request_head": 400, "limit_request_fields": 9}


@pytest.mark.parametrize(("status", "data", "text"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_a_complete_response_and_then_the_end(status: int, data: bytes, text: str) -> None:
    app = App()
    with talking(app, **TIGHT) as raw:
        response = raw.ask(data + get(b"/next"))
        assert (response.version, response.status) == ("HTTP/1.1", status)
        assert response.reason
        assert response.body.decode() == text + "\n"
        assert response.header("content-length") == str(len(response.body))
        assert response.header("content-type") == "text/plain; charset=utf-8"
        assert response.header("connection") == "close"
        assert response.header("server") == "portway"
        assert response.header("date")
        assert raw.rest() == b""
    assert "/next" not in app.paths


def test_a_refusal_reaches_a_client_that_is_still_sending() -> None:
    # A close with unread bytes would be a reset, and could take the refusal from the client's hands.
    with talking() as raw:
        raw.send(b"POST / HTTP/1.1\r\n" + b"\0" * 300_000)
        assert raw.response().status == 400
        raw.send(b"x" * 300_000)
        assert raw.rest() == b""


def test_a_body_that_is_refused_on_its_way_ends_the_request_under_way() -> None:
    app = App()
    with talking(app) as raw:
        raw.send(CHUNKED)
        raw.send(b"5\r\nhello\r\n")
        raw.send(b"x\r\n")
        response = raw.response()
        assert (response.status, response.body) == (400, b"a chunk has no size\n")
        assert raw.rest() == b""


def test_no_refusal_is_mixed_into_a_response_that_has_begun() -> None:
    app = App()

    async def early(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        await app.content(receive)
        await send({"type": "http.response.body", "body": b"whole"})

    with serve(early, lifespan="off") as served, Raw(served.host, served.port) as raw:
        raw.send(CHUNKED)
        raw.until(b"begun\r\n")
        raw.send(b"x\r\n")
        assert raw.rest() == b""  # and no last chunk, so that the client knows


def test_a_response_to_an_unread_body_is_the_only_one_even_if_the_body_never_comes() -> None:
    with talking(timeout_request_body=0.3) as raw:
        response = raw.ask(get(b"/unread", b"Content-Length: 5", method=b"POST"))
        assert response.status == 200
        assert raw.rest() == b""


# --- pipelining (RFC 9112 §9.3.2) ---


def test_pipelined_requests_are_answered_in_their_order() -> None:
    app = App()
    with talking(app) as raw:
        raw.send(get(b"/1x") + post(b"/2x", b"two") + get(b"/stream") + CHUNKED + b"4\r\nfour\r\n0\r\n\r\n")
        assert [raw.response().body for _ in range(4)] == [b"/1x", b"two", b"onetwo", b"four"]
    assert app.paths == ["/1x", "/2x", "/stream", "/"]


def test_a_pipelined_request_waits_for_the_response_before_it() -> None:
    app = App()
    with talking(app) as raw:
        raw.send(get(b"/hold") + get(b"/next") + b"GET /bad\r\n" + get(b"/never"))
        raw.until(b"be\r\n")
        raw.send(get(b"/never"))
        assert app.paths == ["/hold"]
        app.go.set()
        assert raw.until(b"0\r\n\r\n").startswith(b"3\r\ngun\r\n")
        assert raw.response().body == b"/next"
        refusal = raw.response()
        assert (refusal.status, refusal.header("connection")) == (400, "close")
        assert raw.rest() == b""
    assert app.paths == ["/hold", "/next"]


def send_what_fits(raw: Raw, request: bytes) -> int:
    """Send the same request again and again until no one takes more; how often it went out whole."""
    raw.socket.settimeout(0.5)
    sent = 0
    try:
        while sent < 256 << 20:  # more than any socket holds
            sent += raw.socket.send(request * 100)
    except TimeoutError:
        pass
    else:
        pytest.fail("the server reads on and on")
    finally:
        raw.socket.settimeout(10)
    return sent // len(request)


def test_reading_pauses_while_too_much_is_pipelined() -> None:
    app = App()
    with talking(app) as raw:
        raw.send(get(b"/hold"))
        raw.until(b"be\r\n")
        count = send_what_fits(raw, get(b"/many", b"X: " + b"x" * 4000))
        app.go.set()
        raw.until(b"0\r\n\r\n")
        for _ in range(count):
            assert raw.response().body == b"/many"


@pytest.mark.parametrize("batch", [1, 20, 400])
@pytest.mark.parametrize("path", [b"/large", b"/larger"])
def test_a_client_that_reads_no_responses_gets_no_further_requests_served(path: bytes, batch: int) -> None:
    # Else a few kilobytes of requests would fill the memory with their responses.
    app = App()
    count = 400
    with serve(app) as served, Raw(served.host, served.port) as raw:
        raw.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with Raw(served.host, served.port) as other:
            for _ in range(count // batch):
                raw.send(get(path) * batch)
                for _ in range(batch):
                    assert other.ask(get(b"/other")).status == 200
        assert app.paths.count(path.decode()) < count // 2
        for _ in range(count):
            assert len(raw.response().body) == LARGE
    assert app.paths.count(path.decode()) == count


def test_a_pipelined_request_is_not_begun_for_a_client_that_is_gone() -> None:
    entered, reset = threading.Event(), threading.Event()
    paths = []

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        paths.append(scope["path"])
        await asyncio.sleep(0)
        if scope["path"] == "/first":
            entered.set()
            reset.wait(10)  # blocks the loop, so that it learns from its own write that the client is gone
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    with serve(app, lifespan="off", loop="asyncio") as served:
        raw = Raw(served.host, served.port)
        raw.send(get(b"/first") + get(b"/second"))
        assert entered.wait(10)
        raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()
        reset.set()
        with Raw(served.host, served.port) as other:
            assert other.ask(get(b"/other")).body == b"ok"
    assert paths == ["/first", "/other"]


# --- HTTP/1.0 ---


def test_http_1_0_is_answered_once_and_closed() -> None:
    with talking() as raw:
        response = raw.ask(get(b"/", version=b"1.0"))
        assert (response.version, response.status, response.header("connection")) == ("HTTP/1.1", 200, "close")
        assert (response.header("content-length"), response.body) == ("1", b"/")
        assert raw.rest() == b""


def test_http_1_0_may_stay() -> None:
    with talking() as raw:
        for path in (b"/a", b"/b"):
            response = raw.ask(get(path, b"Connection: Keep-Alive", version=b"1.0"))
            assert (response.body, response.header("connection")) == (path, "keep-alive")


def test_a_stream_to_http_1_0_ends_with_the_connection() -> None:
    with talking() as raw:
        raw.send(get(b"/stream", b"Connection: keep-alive", version=b"1.0"))
        response = raw.interim()
        assert response.header("connection") == "close"
        assert response.header("transfer-encoding") is None
        assert response.header("content-length") is None
        assert raw.rest() == b"onetwo"


# --- responses without content (ASGI 30) ---


@pytest.mark.parametrize("path", [b"/a", b"/stream", b"/unread"])
def test_a_response_to_head_ends_with_its_head(path: bytes) -> None:
    with talking() as raw:
        raw.send(get(path, method=b"HEAD") + get(b"/next"))
        assert raw.response(head_only=True).status == 200
        assert raw.response().body == b"/next"


@pytest.mark.parametrize("status", [204, 304])
def test_a_response_of_these_statuses_ends_with_its_head(status: int) -> None:
    with talking() as raw:
        response = raw.ask(get(b"/%d" % status) + get(b"/next"))
        assert response.status == status
        assert response.header("transfer-encoding") is None
        assert response.header("content-length") is None
        assert raw.response().body == b"/next"


# --- forms of the target (RFC 9112 §3.2) ---


def scope_of(data: bytes) -> dict[str, Any]:
    app = App()
    with talking(app) as raw:
        assert raw.ask(data).status == 200
    (scope,) = app.scopes
    return scope


def test_an_absolute_form_is_seen_as_path_query_and_host() -> None:
    scope = scope_of(get(b"http://b.example:8000/c%20d?e=%20f"))
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/c d", b"/c%20d", b"e=%20f")
    assert scope["headers"] == [(b"host", b"b.example:8000")]
    assert scope["scheme"] == "http"


def test_an_asterisk_form_is_seen_as_it_is() -> None:
    scope = scope_of(get(b"*", method=b"OPTIONS"))
    assert (scope["method"], scope["path"], scope["raw_path"]) == ("OPTIONS", "*", b"*")


# --- Expect: 100-continue (RFC 9110 §10.1.1, ASGI 32) ---


def expecting(path: bytes) -> bytes:
    return get(path, b"Content-Length: 5", b"Expect: 100-continue", method=b"POST")


def test_the_body_is_asked_for_when_the_application_wants_it() -> None:
    with talking() as raw:
        raw.send(expecting(b"/"))
        assert raw.interim().status == 100
        assert raw.ask(b"hello" + get(b"/next")).body == b"hello"
        assert raw.response().body == b"/next"


def test_the_body_is_not_asked_for_when_no_one_wants_it() -> None:
    app = App()
    with talking(app) as raw:
        raw.send(expecting(b"/unread"))
        response = raw.interim()
        assert (response.status, response.header("connection")) == (200, "close")
        raw.exactly(7)
        raw.send(b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n")
        assert raw.rest() == b""
    assert app.paths == ["/unread"]


# --- bodies that no one reads ---


def test_a_small_body_that_no_one_reads_is_thrown_away() -> None:
    with talking() as raw:
        assert raw.ask(get(b"/unread", b"Content-Length: 60000", method=b"POST")).body == b"/unread"
        raw.send(b"x" * 60_000)
        response = raw.ask(get(b"/next"))
        assert (response.body, response.header("connection")) == (b"/next", None)


@pytest.mark.parametrize("line", [b"Content-Length: 100000", b"Transfer-Encoding: chunked"])
def test_a_large_body_that_no_one_reads_ends_the_connection(line: bytes) -> None:
    with talking() as raw:
        response = raw.ask(get(b"/unread", line, method=b"POST"))
        assert (response.body, response.header("connection")) == (b"/unread", "close")
        raw.send(b"x" * 1000 + get(b"/next"))
        assert raw.rest() == b""


@pytest.mark.parametrize("line", [b"Content-Length: 100000", b"Transfer-Encoding: chunked"])
def test_a_large_body_behind_a_streamed_response_ends_the_connection(line: bytes) -> None:
    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok", "more_body": True})
        await send({"type": "http.response.body"})

    with serve(app, lifespan="off") as served, Raw(served.host, served.port) as raw:
        assert raw.ask(get(b"/", line, method=b"POST")).body == b"ok"
        assert raw.rest() == b""


# --- a client that has said all (it may still read) ---


@pytest.mark.parametrize("path", [b"/a", b"/stream", b"/unread"])
def test_a_half_closed_client_gets_its_response(path: bytes) -> None:
    with talking() as raw:
        raw.send(get(path))
        raw.half_close()
        assert raw.response().status == 200
        assert raw.rest() == b""


def test_a_half_closed_client_gets_all_its_responses() -> None:
    with talking() as raw:
        raw.send(get(b"/a") + post(b"/b", b"two") + get(b"/stream"))
        raw.half_close()
        assert [raw.response().body for _ in range(3)] == [b"/a", b"two", b"onetwo"]
        assert raw.rest() == b""


def test_a_client_that_half_closes_within_its_response_gets_the_rest() -> None:
    app = App()
    with talking(app) as raw:
        raw.send(get(b"/hold"))
        raw.until(b"be\r\n")
        raw.half_close()
        app.go.set()
        assert raw.rest() == b"3\r\ngun\r\n0\r\n\r\n"


def test_a_client_that_half_closes_within_its_request_gets_nothing() -> None:
    told = []
    over = threading.Event()

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        while not told or told[-1]["type"] != "http.disconnect":
            told.append(await receive())
        over.set()

    with serve(app, lifespan="off") as served, Raw(served.host, served.port) as raw:
        raw.send(get(b"/", b"Content-Length: 5", method=b"POST") + b"hell")
        raw.half_close()
        assert raw.rest() == b""
        assert over.wait(10)
    assert all(message.get("more_body") for message in told[:-1])


# --- upgrades ---


@pytest.mark.parametrize(
    "lines",
    [
        [b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: AAMAAABkAAQAAP__"],
        [b"Upgrade: TLS/1.0", b"Connection: upgrade"],
        [b"Upgrade: websocket"],
        [b"Connection: upgrade"],
    ],
)
def test_another_upgrade_is_ignored(lines: list[bytes]) -> None:
    # RFC 9110 §7.8: a server MAY ignore an Upgrade header.
    with talking() as raw:
        for _ in range(2):
            response = raw.ask(get(b"/a", *lines))
            assert (response.status, response.body, response.header("upgrade")) == (200, b"/a", None)


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_pipeline_does_not_take_the_turns_of_others(loop: str) -> None:
    turns: list[int] = []
    turn = 0

    def tick() -> None:
        nonlocal turn
        turn += 1
        if len(turns) < 2000:
            asyncio.get_running_loop().call_soon(tick)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        if not turns:
            tick()
        turns.append(turn)
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"hello"})

    with serve(app, loop=loop) as served, Raw(served.host, served.port) as raw:
        raw.send(
            b"GET / HTTP/1.1\r\nhost: a\r\n\r\n" * 1999 + b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
        )
        assert raw.rest().count(b"HTTP/1.1 200") == 2000
    assert max(turns.count(each) for each in set(turns)) <= 40
