"""The messages of a WebSocket: what `receive` gives, what `send` takes, and what it says of others (ASGI 36–40)."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import portway
from portway.types import Message, Receive, Scope, Send

ACCEPT = {"type": "websocket.accept"}
CLOSE = {"type": "websocket.close"}
SEND = {"type": "websocket.send"}
DENY = {"type": "websocket.http.response.start", "status": 401}
DENIED = {"type": "websocket.http.response.body", "body": b"no"}


class Echo:
    """Sends back what it is told, and keeps it."""

    def __init__(self) -> None:
        self.got: list[Message] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        while (message := await receive())["type"] == "websocket.receive":
            self.got.append(message)
            await send({**message, "type": "websocket.send"})


def text(text: str) -> Message:
    return {"type": "websocket.receive", "text": text}


def data(data: bytes) -> Message:
    return {"type": "websocket.receive", "bytes": data}


# --- what is told ---


def test_messages_come_whole_and_in_their_order(peer: Any) -> None:  # ASGI 38, 3
    app = Echo()
    with peer(app) as client:
        client.open()
        client.send(client.text("één") + client.frame(client.BINARY, b"\0\xff") + client.text("🥇"))
        assert [client.message() for _ in range(3)] == ["één", b"\0\xff", "🥇"]
    assert app.got == [text("één"), data(b"\0\xff"), text("🥇")]


def test_fragments_are_one_message(peer: Any) -> None:  # ASGI 38
    app = Echo()
    more = {"fin": False}
    with peer(app) as client:
        client.open()
        for frame in (
            client.frame(client.TEXT, "ä".encode()[:1], **more),  # cut within a character
            client.frame(client.PING, b"between"),
            client.frame(client.CONTINUATION, "ä".encode()[1:], **more),
            client.frame(client.CONTINUATION, b"", **more),
            client.frame(client.CONTINUATION, b"!"),
        ):
            client.send(frame)
        assert client.read() == (0x8A, b"between")
        assert client.message() == "ä!"
        client.send(client.frame(client.BINARY, b"", **more) + client.frame(client.CONTINUATION, b""))
        assert client.message() == b""
    assert app.got == [text("ä!"), data(b"")]


def test_a_frame_may_come_byte_by_byte(peer: Any) -> None:  # ASGI 38
    with peer(Echo()) as client:
        client.open()
        for byte in client.text("slowly"):
            client.send(bytes([byte]))
        assert client.message() == "slowly"


def test_empty_messages_count(peer: Any) -> None:  # ASGI 38, 39
    app = Echo()
    with peer(app) as client:
        client.open()
        client.send(client.text("") + client.frame(client.BINARY) + client.text(""))
        assert [client.message() for _ in range(3)] == ["", b"", ""]
    assert app.got == [text(""), data(b""), text("")]


@pytest.mark.parametrize("size", [125, 126, 127, 65535, 65536, 1_000_000])
def test_messages_of_all_sizes_come_back(peer: Any, size: int) -> None:  # ASGI 38
    with peer(Echo()) as client:
        client.open()
        client.send(client.frame(client.BINARY, bytes(size)) + client.text("x" * size))
        assert client.message() == bytes(size)
        assert client.message() == "x" * size


def test_an_answer_does_not_wait_for_the_next_receive(peer: Any) -> None:  # ASGI 2
    go = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await send({**await receive(), "type": "websocket.send"})
        await go.wait()

    with peer(app, timeout_graceful_shutdown=0) as client:
        client.send(client.opening() + client.text("first") + client.text("that waits"))
        assert client.interim().status == 101
        assert client.message() == "first"


# --- receive and send are what coroutines are ---


def test_a_receive_that_is_cancelled_takes_nothing(peer: Any) -> None:  # ASGI 10, 38
    got: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        first = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await receive()
        await send(SEND | {"text": "now"})
        got.append(await asyncio.wait_for(receive(), 10))

    with peer(app) as client:
        client.open()
        assert client.message() == "now"
        client.send(client.text("whole"))
        assert client.closed() == (1000, "")
    assert got == [text("whole")]


def test_several_tasks_send_and_receive_at_once(peer: Any) -> None:  # ASGI 10, 38
    got: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)

        async def take() -> None:
            got.append((await receive())["text"])

        async with asyncio.TaskGroup() as group:
            for number in range(10):
                group.create_task(take())
                group.create_task(send(SEND | {"text": str(number)}))

    with peer(app) as client:
        client.open()
        assert sorted(client.message() for _ in range(10)) == [str(number) for number in range(10)]
        client.send(b"".join(client.text(str(number)) for number in range(10)))
        assert client.closed() == (1000, "")
    assert sorted(got) == [str(number) for number in range(10)]


def test_another_thread_may_send_and_receive(peer: Any, log: Any) -> None:  # ASGI 10
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()

        def wait_for(coroutine: Any) -> Any:
            return asyncio.run_coroutine_threadsafe(coroutine, loop).result(10)

        def talk() -> None:
            wait_for(receive())
            wait_for(send(ACCEPT))
            message = wait_for(receive())
            wait_for(send({**message, "type": "websocket.send"}))

        await asyncio.to_thread(talk)

    with peer(app) as client:
        client.open()
        client.send(client.text("across"))
        assert client.message() == "across"
        assert client.closed() == (1000, "")
    assert log.errors == []


# --- what send takes ---


@pytest.mark.parametrize(
    ("more", "payload"),
    [
        ({"text": "a"}, "a"),
        ({"text": ""}, ""),
        ({"text": "a", "bytes": None}, "a"),
        ({"bytes": b"a"}, b"a"),
        ({"bytes": b""}, b""),
        ({"bytes": b"a", "text": None}, b"a"),
        ({"bytes": bytearray(b"a")}, b"a"),
        ({"bytes": memoryview(b"abc")[1:2]}, b"b"),
        ({"text": type("Text", (str,), {})("a")}, "a"),
        ({"text": "a", "another": object()}, "a"),
    ],
)
def test_a_send_takes_text_or_bytes(peer: Any, more: dict[str, Any], payload: str | bytes) -> None:  # ASGI 39, 6
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        await send(SEND | more)

    with peer(app) as client:
        client.open()
        assert client.message() == payload


# --- and what it does not take ---


@pytest.fixture
def refusal_of(peer: Any) -> Callable[..., str]:
    """The text of the error that `send` raises for the last of these messages, to a client that offers `a` and `b`.

    It leaves the WebSocket as it was: what was to be sent next can be sent.
    """

    def refusal_of(*messages: Any) -> str:
        texts: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            for message in messages[:-1]:
                await send(message)
            try:
                await send(messages[-1])
            except portway.MessageError as error:
                texts.append(str(error))
            if DENY in messages[:-1]:
                await send(DENIED)
            elif ACCEPT not in messages[:-1]:
                await send(ACCEPT)

        with peer(app) as client:
            client.send(client.opening(b"/", b"Sec-WebSocket-Protocol: a, b"))
            if DENY in messages[:-1]:
                assert client.response().status == 401
            else:
                assert client.interim().status == 101
                assert client.closed() == (1000, "")
        (found,) = texts
        return found

    return refusal_of


RefusalOf = Callable[..., str]


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([None], ["must be a dict", "None"]),
        ([ACCEPT, b"x"], ["must be a dict", "b'x'"]),
        ([{}], ["type"]),
        ([{"type": None}], ["type", "None"]),
        ([ACCEPT, {"type": 1}], ["type", "1"]),
        ([{"type": "websocket.begin"}], ["websocket.begin", "websocket.accept", "websocket.http.response.start"]),
        ([SEND | {"text": "a"}], ["websocket.send came out of order", "websocket.accept"]),
        ([DENIED], ["websocket.http.response.body", "out of order", "websocket.http.response.start"]),
        ([ACCEPT, ACCEPT], ["websocket.accept came out of order", "websocket.send or websocket.close"]),
        ([ACCEPT, DENY], ["websocket.http.response.start came out of order", "websocket.send or websocket.close"]),
        ([ACCEPT, {"type": "http.response.start"}], ["http.response.start", "websocket.send or websocket.close"]),
        ([DENY, ACCEPT], ["websocket.accept came out of order", "websocket.http.response.body"]),
        ([DENY, CLOSE], ["websocket.close came out of order", "websocket.http.response.body"]),
        ([DENY, DENY], ["websocket.http.response.start", "out of order", "websocket.http.response.body"]),
        ([DENY, DENIED | {"body": "x"}], ["websocket.http.response.body", "body must be bytes", "str"]),
        ([DENY | {"status": "401"}], ["websocket.http.response.start", "status", "int", "'401'"]),
        ([DENY | {"headers": [("a", "b")]}], ["websocket.http.response.start", "headers"]),
    ],
)
def test_a_message_of_the_wrong_kind_is_refused_in_words(  # ASGI 5
    refusal_of: RefusalOf, messages: list[Any], words: list[str]
) -> None:
    text = refusal_of(*messages)
    assert [word for word in words if word not in text] == [], text


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"subprotocol": "c"}, ["subprotocol", "'c'", "it offered a, b"]),
        ({"subprotocol": "A"}, ["subprotocol", "'A'"]),
        ({"subprotocol": ""}, ["subprotocol", "''"]),
        ({"subprotocol": b"a"}, ["subprotocol", "b'a'"]),
        ({"headers": [(b"Sec-WebSocket-Protocol", b"a")]}, ["headers", "Sec-WebSocket-Protocol", "subprotocol"]),
        ({"headers": [(b"sec-websocket-protocol", b"a")]}, ["headers", "sec-websocket-protocol"]),
        ({"headers": [(b"sec-websocket-accept", b"a")]}, ["headers", "sec-websocket-accept"]),
        ({"headers": [(b"sec-websocket-extensions", b"a")]}, ["headers", "sec-websocket-extensions"]),
        ({"headers": 1}, ["headers must be a list of pairs of bytes", "1"]),
        ({"headers": [("a", "b")]}, ["header names and values must be bytes", "'a'"]),
        ({"headers": [(5, 6)]}, ["header names and values must be bytes", "5"]),
        ({"headers": [b"abc"]}, ["headers must be a list of pairs of bytes"]),
        ({"headers": [(b"a", b"b\r\nc: d")]}, ["headers", "b'a'", "control character"]),
        ({"headers": [(b"a b", b"c")]}, ["headers", "a header name must be a token", "b'a b'"]),
        ({"headers": [(b"a", b"b\0")]}, ["headers", "control character"]),
    ],
)
def test_a_wrong_accept_is_refused_in_words_and_can_be_mended(  # ASGI 36, 5, 24
    refusal_of: RefusalOf, more: dict[str, Any], words: list[str]
) -> None:
    text = refusal_of(ACCEPT | more)
    assert text.startswith("websocket.accept: "), text
    assert [word for word in words if word not in text] == [], text


def test_a_subprotocol_for_a_client_that_offers_none_is_refused(peer: Any, log: Any) -> None:  # ASGI 36
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(ACCEPT | {"subprotocol": "a"})

    with peer(app) as client:
        client.send(client.opening())
        assert client.response().status == 500
    assert log.error.startswith(
        "WebSocket /: wrong ASGI message: websocket.accept: the client did not offer the subprotocol 'a'; "
        f"it offered none (sent from {__file__}:"
    )


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, ["exactly one of text and bytes"]),
        ({"text": None}, ["exactly one of text and bytes"]),
        ({"bytes": None, "text": None}, ["exactly one of text and bytes"]),
        ({"bytes": b"", "text": ""}, ["exactly one of text and bytes"]),
        ({"bytes": b"a", "text": "a"}, ["exactly one of text and bytes"]),
        ({"text": b"a"}, ["text must be a str", "bytes"]),
        ({"text": 1}, ["text must be a str", "int"]),
        ({"bytes": "a"}, ["bytes must be bytes", "str"]),
        ({"bytes": 5}, ["bytes must be bytes", "int"]),
        ({"text": "\ud800"}, ["text", "surrogate"]),
    ],
)
def test_a_wrong_send_is_refused_in_words(  # ASGI 39, 5
    refusal_of: RefusalOf, more: dict[str, Any], words: list[str]
) -> None:
    text = refusal_of(ACCEPT, SEND | more)
    assert text.startswith("websocket.send: "), text
    assert [word for word in words if word not in text] == [], text


@pytest.mark.parametrize("code", [-1, 0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 1 << 70, "1000", 1000.0, True])
def test_a_code_that_may_not_be_sent_is_refused(refusal_of: RefusalOf, code: Any) -> None:  # ASGI 40, 5
    text = refusal_of(ACCEPT, CLOSE | {"code": code})
    assert text == f"websocket.close: {code!r} is no close code that may be sent (RFC 6455 §7.4)"


def test_a_reason_that_is_no_text_is_refused(refusal_of: RefusalOf) -> None:  # ASGI 40, 5
    assert refusal_of(ACCEPT, CLOSE | {"reason": b"x"}) == "websocket.close: reason must be a str, and is b'x'"


def test_a_message_after_the_denial_is_refused_in_words(peer: Any, log: Any) -> None:  # ASGI 46, 5
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in (DENY, DENIED, DENIED):
            await send(message)

    with peer(app) as client:
        client.send(client.opening())
        assert client.response().status == 401
    assert "websocket.http.response.body came out of order" in log.error
    assert "the response is complete" in log.error


def test_a_wrong_message_that_is_not_caught_closes_with_1011(peer: Any, log: Any) -> None:  # ASGI 5, 44
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        await send(SEND)

    with peer(app) as client:
        client.open()
        assert client.closed() == (1011, "")
    assert log.error.startswith(
        "WebSocket /: wrong ASGI message: websocket.send: exactly one of text and bytes must be given "
        f"(sent from {__file__}:"
    )
