"""What `send` takes, what it refuses and what of it reaches the wire."""

import asyncio
import http
import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest

import portway
from portway.testing import Raw, Response, serve
from portway.types import ASGIApp, Message, Receive, Scope, Send

Ask = Callable[..., Response]

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
OLD = b"GET / HTTP/1.0\r\n\r\n"
START = "http.response.start"
BODY = "http.response.body"
OK = {"type": START, "status": 200}
DONE = {"type": BODY, "body": b"ok"}
LOOPS = ["uvloop", "asyncio"]


def sends(*messages: Any) -> ASGIApp:
    """An application that sends these."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        for message in messages:
            await send(message)

    return app


def with_headers(headers: Any, **more: Any) -> ASGIApp:
    return sends(OK | {"headers": headers} | more, DONE)


def ours(response: Response) -> list[tuple[str, str]]:
    """The headers that came from the application."""
    return [pair for pair in response.headers if pair[0] not in ("date", "server", "content-length")]


# --- what is wrong is refused, and the error says what ---


@pytest.fixture
def refusal_of(ask: Ask) -> Callable[..., str]:
    """The text of the error that `send` raises for the last of these messages; the client gets a clean 500."""

    def refusal_of(*messages: Any) -> str:
        texts: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            for message in messages[:-1]:
                await send(message)
            try:
                await send(messages[-1])
            except portway.MessageError as error:
                texts.append(str(error))
                raise

        assert ask(app, lifespan="off").status == 500
        (text,) = texts
        return text

    return refusal_of


RefusalOf = Callable[..., str]


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([None], ["must be a dict", "None"]),
        ([b"ok"], ["must be a dict", "b'ok'"]),
        ([{}], ["type"]),
        ([{"status": 200}], ["type", "status"]),
        ([{"type": "http.response.begin"}], ["http.response.begin", START]),
        ([{"type": None}], ["type", "None"]),
        ([{"type": b"http.response.start"}], ["type", "b'http.response.start'"]),
        ([{"type": "websocket.accept"}], ["websocket.accept", START]),
        ([DONE], [BODY, "out of order", START]),
        ([OK, OK], [START, "out of order", BODY]),
        ([{"type": START}], [START, "status", "missing"]),
        ([OK | {"status": "200"}], [START, "status", "int", "'200'"]),
        ([OK | {"status": None}], [START, "status"]),
        ([OK | {"status": True}], [START, "status", "int", "True"]),
        ([OK | {"status": 200.0}], [START, "status", "int", "200.0"]),
        ([OK | {"status": 99}], [START, "status", "200 to 999", "99"]),
        ([OK | {"status": 100}], [START, "status", "200 to 999", "100"]),
        ([OK | {"status": 1000}], [START, "status", "200 to 999", "1000"]),
        ([OK | {"status": -200}], [START, "status", "200 to 999", "-200"]),
        ([OK | {"status": 2**70}], [START, "status", "200 to 999"]),
        ([OK | {"headers": 1}], [START, "headers", "pairs"]),
        ([OK | {"headers": [1]}], [START, "headers", "pair"]),
        ([OK | {"headers": [(b"a",)]}], [START, "headers", "pair"]),
        ([OK | {"headers": [(b"a", b"b", b"c")]}], [START, "headers", "pair"]),
        ([OK | {"headers": "ab"}], [START, "headers"]),
        ([OK | {"headers": [("a", "b")]}], [START, "headers", "bytes", "str"]),
        ([OK | {"headers": [(b"a", "b")]}], [START, "headers", "bytes", "str", "b'a'"]),
        ([OK | {"headers": [(b"a", 1)]}], [START, "headers", "bytes", "int"]),
        ([OK | {"headers": [(b"a", None)]}], [START, "headers", "bytes", "NoneType"]),
        ([OK | {"headers": {"a": "b"}}], [START, "headers"]),
        ([OK | {"trailers": "no"}], [START, "trailers", "bool", "'no'"]),
        ([OK, {"type": BODY, "body": "text"}], [BODY, "body", "bytes", "str"]),
        ([OK, {"type": BODY, "body": None}], [BODY, "body", "bytes", "NoneType"]),
        ([OK, {"type": BODY, "body": [b"a"]}], [BODY, "body", "bytes", "list"]),
        ([OK, DONE | {"more_body": "no"}], [BODY, "more_body", "bool", "'no'"]),
        ([OK, DONE | {"more_body": None}], [BODY, "more_body", "bool", "None"]),
        ([OK, {"type": "http.response.trailers"}], ["http.response.trailers", "out of order", BODY]),
        ([OK, {"type": "http.response.early_hint", "links": []}], ["early_hint", "out of order", BODY]),
    ],
)
def test_the_error_says_which_message_which_key_and_what_was_expected(  # ASGI 5
    refusal_of: RefusalOf, messages: list[Any], words: list[str]
) -> None:
    text = refusal_of(*messages)
    assert [word for word in words if word not in text] == []
    assert "\n" not in text


def test_the_error_is_a_runtime_error_for_those_who_know_only_that(ask: Ask) -> None:  # ASGI 5
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(RuntimeError):
            await send(DONE)
        await send(OK)
        await send(DONE)

    assert ask(app, lifespan="off").body == b"ok"


def test_what_was_refused_changes_nothing(ask: Ask, log: Any) -> None:  # ASGI 5
    wrong = [OK | {"headers": [(b"x", b"1"), ("y", b"2")]}, DONE, OK | {"status": 0}]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in wrong:
            with pytest.raises(portway.MessageError):
                await send(message)
        await send(OK)
        with pytest.raises(portway.MessageError):
            await send({"type": BODY, "body": "text"})
        await send(DONE | {"more_body": True})
        with pytest.raises(portway.MessageError):
            await send(OK)
        await send(DONE)
        with pytest.raises(portway.MessageError, match="complete"):
            await send(DONE)

    response = ask(app, lifespan="off")
    assert (response.status, ours(response), response.body) == (200, [("transfer-encoding", "chunked")], b"okok")
    assert log.errors == []


def test_unknown_keys_are_ignored(ask: Ask) -> None:  # ASGI 6
    response = ask(sends(OK | {"reason": "x", "": 1}, DONE | {"flush": True, "status": 500}))
    assert (response.status, response.body) == (200, b"ok")


def test_a_message_may_be_any_mapping(ask: Ask) -> None:
    class Mapped(dict[str, Any]):
        """As frameworks derive their own."""

    assert ask(sends(Mapped(OK), Mapped(DONE))).body == b"ok"


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (200, "HTTP/1.1 200 OK"),
        (http.HTTPStatus.CREATED, "HTTP/1.1 201 Created"),
        (418, "HTTP/1.1 418 I'm a Teapot"),
        (299, "HTTP/1.1 299 "),
        (599, "HTTP/1.1 599 "),
        (999, "HTTP/1.1 999 "),
    ],
)
def test_any_final_status_is_sent_with_its_phrase(status: int, line: str) -> None:
    with serve(sends(OK | {"status": status}, DONE)) as served, Raw(served.host, served.port) as raw:
        raw.send(GET)
        assert raw.until(b"\r\n").decode().rstrip("\r\n").lower() == line.lower()


# --- headers ---


def test_headers_keep_their_order_their_duplicates_and_their_spelling(ask: Ask) -> None:  # ASGI 24
    pairs = [(b"x-b", b"1"), (b"set-cookie", b"a=1"), (b"x-a", b"2"), (b"Set-Cookie", b"b=2"), (b"x-b", b"3")]
    with serve(with_headers(pairs)) as served, Raw(served.host, served.port) as raw:
        raw.send(GET)
        head = raw.until(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if line.lower().startswith((b"x-", b"set-"))]
    assert lines == [b": ".join(pair) for pair in pairs]


@pytest.mark.parametrize(
    "headers",
    [
        [(b"x-a", b"1"), (b"x-b", b"2")],
        ((b"x-a", b"1"), (b"x-b", b"2")),
        [[b"x-a", b"1"], [b"x-b", b"2"]],
        {b"x-a": b"1", b"x-b": b"2"}.items(),
        [(bytearray(b"x-a"), memoryview(b"1")), (b"x-b", bytearray(b"2"))],
    ],
    ids=["list", "tuple", "lists", "items", "buffers"],
)
def test_any_iterable_of_pairs_will_do(ask: Ask, headers: Iterable[Any]) -> None:  # ASGI 24
    assert ours(ask(with_headers(headers))) == [("x-a", "1"), ("x-b", "2")]


def test_a_generator_of_pairs_will_do(ask: Ask) -> None:  # ASGI 24
    app = with_headers(pair for pair in [(b"x-a", b"1"), (b"x-b", b"2")])
    assert ours(ask(app)) == [("x-a", "1"), ("x-b", "2")]


@pytest.mark.parametrize("start", [OK, OK | {"headers": []}, OK | {"headers": None}])
def test_headers_may_be_missing(ask: Ask, start: Message) -> None:  # ASGI 24
    response = ask(sends(start, DONE))
    assert (response.status, ours(response), response.body) == (200, [], b"ok")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"x", b"1\r\ny: 2"),
        (b"x", b"1\ny: 2"),
        (b"x", b"1\ry: 2"),
        (b"x", b"\x00"),
        (b"x", b"1\n"),
        (b"x\r\ny", b"1"),
        (b"x\ny", b"1"),
        (b"x\x00", b"1"),
        (b"x: 1\r\ny", b"1"),
        (b"x ", b"1"),
        (b"x y", b"1"),
        (b":status", b"201"),
        (b"", b"1"),
    ],
)
@pytest.mark.parametrize("before", [[], [(b"x-before", b"1")]])
def test_what_could_forge_a_header_is_refused_and_nothing_of_it_is_written(  # ASGI 24
    log: Any, name: bytes, value: bytes, before: list[tuple[bytes, bytes]]
) -> None:
    app = with_headers([*before, (name, value)])
    with serve(app) as served, Raw(served.host, served.port) as raw:
        raw.send(GET)
        written = raw.rest()
    head, _, body = written.partition(b"\r\n\r\n")
    names = [line.split(b":")[0].lower() for line in head.split(b"\r\n")[1:]]
    assert head.startswith(b"HTTP/1.1 500 ")
    assert sorted(names) == [b"connection", b"content-length", b"content-type", b"date", b"server"]
    assert body == b"Internal Server Error\n"
    assert "headers" in log.error


@pytest.mark.parametrize("value", [b"", b"caf\xe9", b"a\tb", b" a ", b"\xff"])
def test_odd_values_that_forge_nothing_are_sent(ask: Ask, value: bytes) -> None:  # ASGI 24
    assert ours(ask(with_headers([(b"x", value)]))) == [("x", value.decode("latin-1").strip())]


# --- connection-specific headers ---


@pytest.mark.parametrize("value", [b"chunked", b"gzip, chunked", b"identity", b""])
def test_a_transfer_encoding_of_the_application_is_ignored(ask: Ask, value: bytes) -> None:  # ASGI 23
    response = ask(with_headers([(b"Transfer-Encoding", value), (b"x", b"1")]))
    assert ours(response) == [("x", "1")]
    assert (response.header("content-length"), response.body) == ("2", b"ok")


def test_and_a_streamed_response_has_only_ours(ask: Ask) -> None:  # ASGI 23
    start = OK | {"headers": [(b"transfer-encoding", b"identity")]}
    response = ask(sends(start, DONE | {"more_body": True}, DONE))
    assert (response.header("transfer-encoding"), response.body) == ("chunked", b"okok")


@pytest.mark.parametrize("name", [b"keep-alive", b"upgrade", b"proxy-connection", b"Keep-Alive"])
def test_headers_about_the_connection_are_dropped(ask: Ask, name: bytes) -> None:  # ASGI 23
    assert ours(ask(with_headers([(name, b"timeout=5"), (b"x", b"1")]))) == [("x", "1")]


@pytest.mark.parametrize("value", [b"close", b"Close", b"x, close"])
def test_connection_close_is_honoured(value: bytes) -> None:  # ASGI 23
    app = with_headers([(b"connection", value)])
    with serve(app) as served, Raw(served.host, served.port) as raw:
        raw.send(GET + GET)
        response = raw.response()
        assert (response.header("connection"), response.body) == ("close", b"ok")
        assert raw.rest() == b""


@pytest.mark.parametrize("value", [b"keep-alive", b"upgrade", b"x"])
def test_any_other_connection_header_is_dropped(value: bytes) -> None:  # ASGI 23
    app = with_headers([(b"connection", value)])
    with serve(app) as served, Raw(served.host, served.port) as raw:
        assert ours(raw.ask(GET)) == []
        assert ours(raw.ask(GET)) == []


# --- bodies ---


@pytest.mark.parametrize("body", [b"data", bytearray(b"data"), memoryview(b"data"), memoryview(b"xdatax")[1:5]])
def test_a_body_may_be_any_bytes(ask: Ask, body: Any) -> None:
    assert ask(sends(OK, {"type": BODY, "body": body})).body == b"data"


def test_a_buffer_may_be_used_again_once_send_has_returned() -> None:
    buffer = bytearray(b"x" * 200_000)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(OK)
        for letter in b"abc":
            buffer[:] = bytes([letter]) * len(buffer)
            await send({"type": BODY, "body": buffer, "more_body": True})
        await send({"type": BODY})

    with serve(app, lifespan="off") as served, Raw(served.host, served.port) as raw:
        assert raw.ask(GET).body == b"".join(letter * 200_000 for letter in (b"a", b"b", b"c"))


@pytest.mark.parametrize("last", [{"type": BODY}, {"type": BODY, "more_body": False}, {"type": BODY, "body": b""}])
def test_body_and_more_body_may_be_missing(ask: Ask, last: Message) -> None:
    assert ask(sends(OK, last)).body == b""
    assert ask(sends(OK, DONE | {"more_body": True}, last)).body == b"ok"


def test_a_whole_response_gets_a_content_length(ask: Ask) -> None:
    response = ask(sends(OK, DONE))
    assert (response.header("content-length"), response.header("transfer-encoding")) == ("2", None)


def test_a_streamed_one_is_chunked_and_to_an_old_client_ends_with_the_connection(ask: Ask) -> None:
    app = sends(OK, DONE | {"more_body": True}, {"type": BODY, "more_body": True}, DONE)
    response = ask(app)
    assert (response.header("content-length"), response.header("transfer-encoding")) == (None, "chunked")
    assert response.body == b"okok"
    response = ask(app, OLD)
    assert (response.header("content-length"), response.header("transfer-encoding")) == (None, None)
    assert (response.header("connection"), response.body) == ("close", b"okok")


@pytest.mark.parametrize("request_", [GET, OLD])
def test_each_piece_is_on_the_wire_when_send_returns(request_: bytes) -> None:  # ASGI 26
    seen = threading.Semaphore(0)
    pieces = [b"one", b"two", b"three"]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        await send(OK)
        for piece in pieces:
            await send({"type": BODY, "body": piece, "more_body": True})
            assert await loop.run_in_executor(None, seen.acquire, True, 10)
        await send({"type": BODY})

    with serve(app, lifespan="off") as served, Raw(served.host, served.port) as raw:
        raw.send(request_)
        assert raw.interim().status == 200
        for piece in pieces:
            raw.until(piece)
            seen.release()
        raw.until(b"0\r\n\r\n") if request_ is GET else raw.rest()


def test_a_head_alone_is_on_the_wire_with_an_empty_piece() -> None:  # ASGI 26
    seen = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(OK)
        await send({"type": BODY, "more_body": True})
        assert await asyncio.get_running_loop().run_in_executor(None, seen.wait, 10)
        await send(DONE)

    with serve(app, lifespan="off") as served, Raw(served.host, served.port) as raw:
        raw.send(GET)
        assert raw.interim().status == 200
        seen.set()
        assert raw.until(b"0\r\n\r\n") == b"2\r\nok\r\n0\r\n\r\n"


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("large", [False, True])
def test_send_waits_for_a_slow_reader_and_a_cancelled_wait_loses_nothing(loop: str, large: bool) -> None:  # ASGI 2
    # What the kernel's buffers take is some MB; beyond that, only waiting keeps memory from growing.
    piece = bytes(256 * 1024 if large else 16 * 1024)
    most = 64 * 1024 * 1024
    stalled = threading.Event()
    sent = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await send(OK)
        while sent < most:
            sent += len(piece)
            try:
                await asyncio.wait_for(send({"type": BODY, "body": piece, "more_body": True}), 0.3)
            except TimeoutError:
                break
        stalled.set()
        await send({"type": BODY, "body": b"the end"})

    with serve(app, loop=loop, lifespan="off") as served, Raw(served.host, served.port) as raw:
        raw.send(GET)
        assert stalled.wait(30)
        body = raw.response().body
        assert sent < most
        assert len(body) == sent + len(b"the end")
        assert body.endswith(b"the end")
        assert raw.ask(b"GET / HTTP/1.1\r\n\r\n").status == 400  # the connection is in order


def test_two_tasks_may_wait_in_send(ask: Ask) -> None:  # ASGI 2
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(OK)
        piece = {"type": BODY, "body": bytes(8 * 1024 * 1024), "more_body": True}
        await asyncio.gather(*(send(piece) for _ in range(3)))
        await send({"type": BODY})

    assert len(ask(app, lifespan="off").body) == 24 * 1024 * 1024


# --- responses without a body ---


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"2")]])
@pytest.mark.parametrize("messages", [[DONE], [DONE | {"more_body": True}, DONE], [{"type": BODY}]])
def test_a_response_to_head_has_no_body(headers: list[Any], messages: list[Message]) -> None:  # ASGI 30
    app = sends(OK | {"headers": headers}, *messages)
    with serve(app) as served, Raw(served.host, served.port) as raw:
        for _ in range(2):
            raw.send(GET.replace(b"GET", b"HEAD"))
            response = raw.response(head_only=True)
            assert response.status == 200
            assert response.header("content-length") in ("2", None)


def test_head_shows_the_length_that_get_has() -> None:  # ASGI 30
    with serve(sends(OK, DONE)) as served, Raw(served.host, served.port) as raw:
        raw.send(GET.replace(b"GET", b"HEAD"))
        assert raw.response(head_only=True).header("content-length") == "2"
        assert raw.ask(GET).header("content-length") == "2"


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("messages", [[DONE], [DONE | {"more_body": True}, DONE], [{"type": BODY}]])
def test_204_and_304_have_no_body(status: int, messages: list[Message]) -> None:  # ASGI 30
    app = sends(OK | {"status": status}, *messages)
    with serve(app) as served, Raw(served.host, served.port) as raw:
        for _ in range(2):
            response = raw.ask(GET)
            assert response.status == status
            assert response.header("transfer-encoding") is None
            assert response.header("content-length") is None


@pytest.mark.parametrize(("status", "length"), [(204, None), (304, "5")])
def test_a_length_of_no_body_is_that_of_the_body_there_would_be(  # ASGI 30
    status: int, length: str | None
) -> None:
    app = sends(OK | {"status": status, "headers": [(b"content-length", b"5")]}, {"type": BODY})
    with serve(app) as served, Raw(served.host, served.port) as raw:
        for _ in range(2):
            assert raw.ask(GET).header("content-length") == length
