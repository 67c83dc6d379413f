"""The life of a WebSocket as its application sees it: scope, accept or not, and the ends (ASGI 33–37, 40–46)."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

import portway
from portway.types import ASGIApp, Message, Receive, Scope, Send

ACCEPT = {"type": "websocket.accept"}
CLOSE = {"type": "websocket.close"}
DENY = {"type": "websocket.http.response.start", "status": 401}
DENIED = {"type": "websocket.http.response.body", "body": b"who are you?"}
HELLO = {"type": "websocket.send", "text": "hello"}
LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
# What is about the bytes of HTTP/1.1; everything else holds for HTTP/2, too.
ON_HTTP1 = pytest.mark.parametrize("carrier", ["HTTP/1.1"], indirect=True)


def sends(*messages: Any) -> ASGIApp:
    """An application that takes `websocket.connect` and sends these."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        for message in messages:
            await send(message)

    return app


def told(got: list[Message], *messages: Any, until: str = "websocket.disconnect") -> ASGIApp:
    """Accepts, sends these, and keeps what it is told until the end."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        for message in (ACCEPT, *messages):
            await send(message)
        while not got or got[-1]["type"] != until:
            got.append(await receive())

    return app


async def refused(send: Send, message: Message) -> BaseException:
    """What a `send` raises."""
    try:
        await send(message)
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


# --- the scope ---


class Scopes:
    """Keeps the scope of each WebSocket, and closes it."""

    def __init__(self) -> None:
        self.all: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            scope["state"]["list"] = [1]
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        self.all.append(scope)
        await receive()
        await send(ACCEPT)
        await send(CLOSE)


def scope_of(peer: Any, path: bytes = b"/", *lines: bytes, **settings: Any) -> Scope:
    scopes = Scopes()
    with peer(scopes, **settings) as client:
        client.open(path, *lines)
        client.closed()
    (scope,) = scopes.all
    return scope


@ON_HTTP1
def test_the_scope_is_that_of_the_specification(peer: Any) -> None:  # ASGI 45, 1, 15, 16, 17, 18, 20, 21
    scope = scope_of(peer, b"/a%20b/%C3%A4?c=%20d", b"X-Y: z", lifespan="on")
    client, server = scope.pop("client"), scope.pop("server")
    assert (client[0], server[0]) == ("127.0.0.1", "127.0.0.1")
    assert (type(client[1]), type(server[1])) == (int, int)
    assert scope == {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": "/a b/ä",
        "raw_path": b"/a%20b/%C3%A4",
        "query_string": b"c=%20d",
        "root_path": "",
        "headers": [
            (b"host", b"a"),
            (b"upgrade", b"websocket"),
            (b"connection", b"Upgrade"),
            (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
            (b"sec-websocket-version", b"13"),
            (b"x-y", b"z"),
        ],
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
        "state": {"list": [1]},
    }


def test_subprotocols_stand_in_the_order_of_the_client(peer: Any) -> None:  # ASGI 45
    lines = [b"Sec-WebSocket-Protocol: b, a ,", b"Sec-WebSocket-Protocol: c"]
    assert scope_of(peer, b"/", *lines)["subprotocols"] == ["b", "a", "c"]


def test_the_root_path_belongs_to_the_path(peer: Any) -> None:  # ASGI 45, 15
    scope = scope_of(peer, b"/c%20d", root_path="/a")
    assert (scope["root_path"], scope["path"], scope["raw_path"]) == ("/a", "/a/c d", b"/a/c%20d")


@pytest.mark.parametrize(
    ("lines", "allowed", "scheme"),
    [
        ([b"X-Forwarded-Proto: https"], "127.0.0.1", "wss"),
        ([b"X-Forwarded-Proto: wss"], "127.0.0.1", "wss"),
        ([b"X-Forwarded-Proto: http"], "127.0.0.1", "ws"),
        ([b"X-Forwarded-Proto: ws"], "127.0.0.1", "ws"),
        ([b"X-Forwarded-Proto: https"], "192.0.2.1", "ws"),
    ],
)
def test_behind_a_trusted_proxy_the_scheme_is_the_clients(  # ASGI 45
    peer: Any, lines: list[bytes], allowed: str, scheme: str
) -> None:
    assert scope_of(peer, b"/", *lines, forwarded_allow_ips=allowed)["scheme"] == scheme


def test_behind_a_trusted_proxy_the_client_is_who_asked_it(peer: Any) -> None:  # ASGI 45, 20
    assert scope_of(peer, b"/", b"X-Forwarded-For: 203.0.113.9")["client"] == ("203.0.113.9", 0)


def test_nothing_leaks_from_one_scope_to_the_next(peer: Any) -> None:  # ASGI 45, 11, 21
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope.copy())
        for key in ("asgi", "extensions", "headers", "subprotocols"):
            assert "leak" not in scope[key]
            scope[key].clear()
        scope["leak"] = True
        await send(CLOSE)

    for _ in range(2):
        with peer(app, lifespan="off") as client:
            client.send(client.opening())
            assert client.response().status == 403
    first, second = scopes
    assert "leak" not in second
    assert first.keys() == second.keys()


# --- connecting ---


def test_nothing_is_answered_before_the_application_says_so(peer: Any) -> None:  # ASGI 33
    got: list[Message] = []
    told_of, go = threading.Event(), threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        got.append(await receive())
        told_of.set()
        await asyncio.to_thread(go.wait, 10)
        await send(ACCEPT)

    with peer(app) as client:
        client.send(client.opening())
        assert told_of.wait(10)
        client.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.socket.recv(1)
        client.socket.settimeout(10)
        go.set()
        assert client.interim().status == 101
    assert got == [{"type": "websocket.connect"}]


def test_messages_are_told_after_the_accept_even_if_they_came_before(peer: Any) -> None:  # ASGI 33
    got: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        got.append(await receive())
        second = asyncio.ensure_future(receive())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not second.done()
        await send(ACCEPT)
        got.append(await second)

    with peer(app) as client:
        client.send(client.opening() + client.text("early"))
        assert client.interim().status == 101
        assert client.closed() == (1000, "")
    assert got == [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "early"}]


def test_it_may_accept_without_looking_at_connect(peer: Any) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        await send(HELLO)
        assert await receive() == {"type": "websocket.connect"}

    with peer(app) as client:
        client.open()
        assert client.message() == "hello"
        assert client.closed() == (1000, "")


@ON_HTTP1
@LOOPS
@pytest.mark.parametrize("leave", ["close", "reset"])
def test_a_client_that_goes_before_the_accept_is_lost(  # ASGI 33, 41
    peer: Any, log: Any, loop: str, leave: str
) -> None:
    got: list[Message] = []
    errors: list[BaseException] = []
    waiting, gone = threading.Event(), threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body"})
            return
        await receive()
        waiting.set()
        await asyncio.to_thread(gone.wait, 10)
        if leave == "reset":
            got.append(await receive())
        else:
            await send(ACCEPT)  # the client may have closed its own side only, and still read
            got.append(await receive())
        errors.append(await refused(send, ACCEPT))
        errors.append(await refused(send, HELLO))
        raise errors[0]

    with peer(app, loop=loop) as client:
        client.send(client.opening())
        assert waiting.wait(10)
        getattr(client, leave)()
        gone.set()
    assert got == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]
    assert [type(error) for error in errors] == [portway.ClientDisconnected] * 2
    assert log.errors == []


@LOOPS
@pytest.mark.parametrize("leave", ["close", "half_close"])
def test_who_waits_before_the_accept_is_told_that_the_client_went(  # ASGI 33, 41
    peer: Any, log: Any, loop: str, leave: str
) -> None:
    got: list[Message] = []
    errors: list[BaseException] = []
    waiting, over = threading.Event(), threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        waiting.set()
        got.append(await receive())
        errors.append(await refused(send, ACCEPT))
        over.set()

    with peer(app, loop=loop) as client:
        client.send(client.opening())
        assert waiting.wait(10)
        getattr(client, leave)()
        assert over.wait(10)
        if leave == "half_close":
            assert client.rest() == b""
    assert got == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]
    assert [type(error) for error in errors] == [portway.ClientDisconnected]
    assert log.errors == []


# --- accepting ---


@ON_HTTP1
def test_an_accept_brings_subprotocol_and_headers_in_their_order(peer: Any) -> None:  # ASGI 36
    headers = [(b"X-B", b"1"), (b"set-cookie", b"a=b"), (b"x-a", b"2"), (b"set-cookie", b"c=d")]
    accept = ACCEPT | {"subprotocol": "b", "headers": iter(headers)}
    with peer(sends(accept)) as client:
        answer = client.open(b"/", b"Sec-WebSocket-Protocol: a, b")
        assert answer.reason == "Switching Protocols"
        assert answer.header("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert answer.header("sec-websocket-protocol") == "b"
        assert [pair for pair in answer.headers if pair[0] in ("x-a", "x-b", "set-cookie")] == [
            ("x-b", "1"),
            ("set-cookie", "a=b"),
            ("x-a", "2"),
            ("set-cookie", "c=d"),
        ]


@ON_HTTP1
@pytest.mark.parametrize("more", [{}, {"subprotocol": None, "headers": None}, {"headers": []}, {"another": 1}])
def test_an_accept_needs_nothing_more(peer: Any, more: dict[str, Any]) -> None:  # ASGI 36, 6
    with peer(sends(ACCEPT | more)) as client:
        answer = client.open(b"/", b"Sec-WebSocket-Protocol: a")
        assert [name for name, _ in answer.headers] == [
            *("date", "server", "upgrade", "connection", "sec-websocket-accept")
        ]  # fmt: skip


@ON_HTTP1
def test_headers_that_are_not_the_applications_do_not_reach_the_wire(peer: Any) -> None:  # ASGI 23
    names = [b"connection", b"upgrade", b"transfer-encoding", b"content-length", b"keep-alive"]
    with peer(sends(ACCEPT | {"headers": [*[(name, b"1") for name in names], (b"x", b"y")]})) as client:
        answer = client.open()
        assert (answer.header("upgrade"), answer.header("connection")) == ("websocket", "upgrade")
        assert [answer.header(name) for name in ("transfer-encoding", "content-length", "keep-alive")] == [None] * 3
        assert answer.header("x") == "y"
        assert client.closed() == (1000, "")


# --- not accepting ---


@ON_HTTP1
def test_a_close_before_the_accept_is_a_403(peer: Any, log: Any) -> None:  # ASGI 34
    got: list[Message] = []
    errors: list[BaseException] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(CLOSE | {"code": 4000, "reason": "no"})
        got.append(await receive())
        for message in (ACCEPT, HELLO, CLOSE):
            errors.append(await refused(send, message))
        raise errors[0]

    with peer(app) as client:
        client.send(client.opening())
        answer = client.response()
        assert (answer.status, answer.header("connection"), answer.header("upgrade")) == (403, "close", None)
        assert client.rest() == b""
    assert got == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]
    assert [type(error) for error in errors] == [portway.ClientDisconnected] * 3
    assert log.errors == []


@ON_HTTP1
def test_an_application_that_returns_before_accepting_gives_500(peer: Any, log: Any) -> None:  # ASGI 35
    with peer(sends()) as client:
        client.send(client.opening(b"/a"))
        answer = client.response()
        assert (answer.status, answer.header("connection")) == (500, "close")
        assert client.rest() == b""
    assert log.error == "WebSocket /a: the application returned without a response"


@pytest.mark.parametrize("kind", [ZeroDivisionError, SystemExit, asyncio.CancelledError])
def test_an_application_that_raises_before_accepting_gives_500(  # ASGI 35
    peer: Any, log: Any, kind: type[BaseException]
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        raise kind("on purpose")

    with peer(app) as client:
        client.send(client.opening(b"/a"))
        assert client.response().status == 500
        assert client.rest() == b""
    assert log.error.startswith(f"WebSocket /a: the application raised {kind.__name__}\nTraceback ")
    assert log.error.endswith("on purpose")


# --- a denial that the application writes itself ---


def test_a_denial_is_a_response_of_the_applications(peer: Any, log: Any) -> None:  # ASGI 46
    deny = DENY | {"headers": [(b"www-authenticate", b"Basic"), (b"content-length", b"12")]}
    with peer(sends(deny, DENIED)) as client:
        client.send(client.opening() + b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = client.response()
        assert (answer.status, answer.body) == (401, b"who are you?")
        assert answer.header("www-authenticate") == "Basic"
        assert answer.header("sec-websocket-accept") is None
    assert [line for line in log.errors if "WebSocket" in line] == []


@ON_HTTP1
def test_a_denial_is_streamed(peer: Any) -> None:  # ASGI 46, 26
    go = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(DENY)
        await send(DENIED | {"body": b"who ", "more_body": True})
        await asyncio.to_thread(go.wait, 10)
        await send(DENIED | {"body": b"", "more_body": True})
        await send(DENIED | {"body": b"are ", "more_body": True})
        await send(DENIED | {"body": b"you?"})

    with peer(app) as client:
        client.send(client.opening())
        assert client.interim().header("transfer-encoding") == "chunked"
        assert client.until(b"who \r\n") == b"4\r\nwho \r\n"
        go.set()
        assert client.until(b"0\r\n\r\n") == b"4\r\nare \r\n4\r\nyou?\r\n0\r\n\r\n"


def test_after_a_denial_it_is_told_of_the_end(peer: Any, log: Any) -> None:  # ASGI 46, 42, 43
    got: list[Message] = []
    errors: list[BaseException] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(DENY)
        await send(DENIED)
        got.append(await receive())
        errors.extend([await refused(send, message) for message in (ACCEPT, HELLO, CLOSE)])

    with peer(app) as client:
        client.send(client.opening())
        assert client.response().status == 401
    assert got == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]
    assert [type(error) for error in errors] == [portway.ClientDisconnected] * 3
    assert log.errors == []


def test_who_waits_for_a_message_is_told_of_the_denial_by_another_task(peer: Any) -> None:  # ASGI 46, 42
    got: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        waiting = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        await send(DENY)
        await send(DENIED)
        got.append(await asyncio.wait_for(waiting, 10))

    with peer(app) as client:
        client.send(client.opening())
        assert client.response().status == 401
    assert got == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]


def test_a_denial_is_held_until_its_body_so_that_an_error_is_a_500(peer: Any, log: Any) -> None:  # ASGI 46, 26, 35
    with peer(sends(DENY)) as client:
        client.send(client.opening())
        assert client.response().status == 500
    assert log.error == "WebSocket /: the application returned without a response"


@ON_HTTP1
@pytest.mark.parametrize("ends", ["raises", "returns"])
def test_a_denial_that_breaks_off_is_not_ended_cleanly(peer: Any, log: Any, ends: str) -> None:  # ASGI 46, 7
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(DENY)
        await send(DENIED | {"more_body": True})
        if ends == "raises":
            raise ZeroDivisionError

    with peer(app) as client:
        client.send(client.opening())
        assert client.interim().status == 401
        assert client.rest() == b"c\r\nwho are you?\r\n"
    expected = {
        "raises": "WebSocket /: the application raised ZeroDivisionError",
        "returns": "WebSocket /: the application returned before its response was complete",
    }
    assert log.error.startswith(expected[ends])


def test_a_denial_for_a_client_that_has_gone_raises(peer: Any, log: Any) -> None:  # ASGI 46, 28
    errors: list[BaseException] = []
    begun = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(DENY)
        await send(DENIED | {"more_body": True})
        begun.set()
        assert (await receive())["type"] == "websocket.disconnect"
        errors.append(await refused(send, DENIED))
        raise errors[0]

    with peer(app) as client:
        client.send(client.opening())
        assert begun.wait(10)
        client.reset()
    assert [type(error) for error in errors] == [portway.ClientDisconnected]
    assert log.errors == []


# --- the end, from either side ---


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        (CLOSE, 1000, ""),
        (CLOSE | {"code": None, "reason": None}, 1000, ""),
        (CLOSE | {"code": 1001}, 1001, ""),
        (CLOSE | {"code": 3000, "reason": "müde"}, 3000, "müde"),
        (CLOSE | {"code": 4999, "reason": ""}, 4999, ""),
        (CLOSE | {"reason": "x" * 124}, 1000, "x" * 123),
        (CLOSE | {"reason": "x" * 122 + "ä"}, 1000, "x" * 122),  # cut between two characters
    ],
)
def test_a_close_sends_its_code_and_reason(peer: Any, message: Message, code: int, reason: str) -> None:  # ASGI 40
    with peer(sends(ACCEPT, message)) as client:
        client.open()
        assert client.closed() == (code, reason)
        client.send(client.closing(code))
        assert client.rest() == b""


@LOOPS
@pytest.mark.parametrize(
    ("code", "reason", "answer"),
    [(1000, "", 1000), (1001, "going", 1001), (4321, "ünter 124 bytes", 4321), (None, "", None)],
)
def test_a_disconnect_has_the_peers_code_and_reason(  # ASGI 41
    peer: Any, log: Any, loop: str, code: int | None, reason: str, answer: int | None
) -> None:
    got: list[Message] = []
    with peer(told(got), loop=loop) as client:
        client.open()
        client.send(client.text("last") + client.closing(code, reason))
        assert client.closed() == (answer, "")
        assert client.rest() == b""
    assert got == [
        {"type": "websocket.receive", "text": "last"},
        {"type": "websocket.disconnect", "code": code or 1005, "reason": reason},
    ]
    assert log.errors == []


@LOOPS
@pytest.mark.parametrize("leave", ["close", "reset", "half_close"])
def test_a_connection_that_is_lost_is_a_1006(peer: Any, log: Any, loop: str, leave: str) -> None:  # ASGI 41
    got: list[Message] = []
    with peer(told(got, HELLO), loop=loop) as client:
        client.open()
        assert client.message() == "hello"
        getattr(client, leave)()
        if leave == "half_close":
            assert client.rest() == b""
    assert got == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]
    assert log.errors == []


def test_a_disconnect_follows_a_close_of_our_own(peer: Any, log: Any) -> None:  # ASGI 42
    got: list[Message] = []
    with peer(told(got, CLOSE | {"code": 4000})) as client:
        client.open()
        assert client.closed() == (4000, "")
        client.send(client.text("dropped") + client.frame(client.PING) + client.closing(4000, "understood"))
        assert client.rest() == b""
    assert got == [{"type": "websocket.disconnect", "code": 4000, "reason": "understood"}]
    assert log.errors == []


def test_a_disconnect_follows_it_even_if_the_peer_does_not_answer(peer: Any, log: Any) -> None:  # ASGI 42, 41
    got: list[Message] = []
    with peer(told(got, CLOSE)) as client:
        client.open()
        assert client.closed() == (1000, "")
        client.close()
    assert got == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]
    assert log.errors == []


def test_a_disconnect_is_told_as_often_as_it_is_asked_for(peer: Any) -> None:  # ASGI 41
    got: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        got.extend([await receive() for _ in range(3)])

    with peer(app) as client:
        client.open()
        client.send(client.closing(1001))
        client.closed()
    assert got == [{"type": "websocket.disconnect", "code": 1001, "reason": ""}] * 3


Meet = Callable[[Any], None]


def theirs(client: Any) -> None:
    client.send(client.closing())
    client.closed()


def lost(client: Any) -> None:
    client.reset()


@LOOPS
@pytest.mark.parametrize("leave", [theirs, lost])
@pytest.mark.parametrize("message", [HELLO, CLOSE, ACCEPT, {"type": "websocket.send", "bytes": b""}])
def test_send_after_the_end_raises_and_is_no_error(  # ASGI 43
    peer: Any, log: Any, loop: str, leave: Meet, message: Message
) -> None:
    errors: list[BaseException] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await receive()
        errors.append(await refused(send, message))
        raise errors[0]

    with peer(app, loop=loop) as client:
        client.open()
        leave(client)
    assert [type(error) for error in errors] == [portway.ClientDisconnected]
    assert log.errors == []


@pytest.mark.parametrize("message", [HELLO, CLOSE, ACCEPT])
def test_send_after_our_own_close_raises_and_is_no_error(peer: Any, log: Any, message: Message) -> None:  # ASGI 43
    with peer(sends(ACCEPT, CLOSE, message)) as client:
        client.open()
        assert client.closed() == (1000, "")
        client.send(client.closing())
        assert client.rest() == b""
    assert log.lines.count("Stopped") <= 1
    assert [line for line in log.lines if "WebSocket" in line] == []


@pytest.mark.parametrize("then", [KeyError("left"), ExceptionGroup("two", [OSError(), OSError()])])
def test_an_error_in_answer_to_that_is_no_error_either(peer: Any, log: Any, then: Exception) -> None:  # ASGI 43, 8
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await receive()
        try:
            await send(HELLO)
        except portway.ClientDisconnected:
            raise then  # noqa: B904 - as it happens

    with peer(app) as client:
        client.open()
        theirs(client)
    assert log.errors == []


def test_an_application_that_ends_closes_with_1000(peer: Any, log: Any) -> None:  # ASGI 44
    with peer(sends(ACCEPT, HELLO)) as client:
        client.open()
        assert client.message() == "hello"
        assert client.closed() == (1000, "")
        client.send(client.closing())
        assert client.rest() == b""
    assert log.errors == []


@pytest.mark.parametrize("kind", [ZeroDivisionError, SystemExit, asyncio.CancelledError, OSError])
def test_one_that_raises_closes_with_1011(peer: Any, log: Any, kind: type[BaseException]) -> None:  # ASGI 44, 7
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await send(HELLO)
        raise kind("on purpose")

    with peer(app) as client:
        client.open(b"/a")
        assert client.message() == "hello"
        assert client.closed() == (1011, "")  # and not a word of what it was
        client.send(client.closing(1011))
        assert client.rest() == b""
    assert log.error.startswith(f"WebSocket /a: the application raised {kind.__name__}\nTraceback ")


def test_one_that_raises_after_the_close_is_logged_all_the_same(peer: Any, log: Any) -> None:  # ASGI 44
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await send(CLOSE)
        raise ZeroDivisionError

    with peer(app) as client:
        client.open()
        assert client.closed() == (1000, "")
    assert log.error.startswith("WebSocket /: the application raised ZeroDivisionError")


@LOOPS
def test_on_demand_the_task_is_cancelled_when_the_peer_goes(peer: Any, log: Any, loop: str) -> None:
    cancelled = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with peer(app, loop=loop, cancel_on_disconnect=True) as client:
        client.open()
        client.close()
        assert cancelled.wait(10)
    assert log.errors == []


# --- while the application does something else ---


def test_pings_are_answered_while_the_application_sleeps(peer: Any) -> None:  # ASGI 37
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await asyncio.Event().wait()

    with peer(app, timeout_graceful_shutdown=0) as client:
        client.open()
        for payload in (b"", b"are you there?", b"\0" * 125):
            client.send(client.frame(client.PING, payload))
            assert client.read() == (0x8A, payload)
        client.send(client.frame(client.PONG, b"for nothing"))
        client.send(client.closing(1001))
        assert client.closed() == (1001, "")


@LOOPS
def test_a_peer_that_does_not_answer_our_ping_is_lost(peer: Any, log: Any, loop: str) -> None:  # ASGI 37, 41
    got: list[Message] = []
    with peer(told(got), loop=loop, ws_ping_interval=0.1, ws_ping_timeout=0.1) as client:
        client.open()
        assert client.read() == (0x89, b"")
        assert client.rest() == b""
    assert got == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]
    assert log.errors == []
