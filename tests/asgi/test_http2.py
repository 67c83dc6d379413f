"""What the server owes an application whose requests come by HTTP/2, seen by a client that speaks it frame by frame."""

import asyncio
import threading
from typing import Any

import pytest

import portway
from portway.testing import serve
from portway.types import ASGIApp, Message, Receive, Scope, Send

LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
OK = {"type": "http.response.start", "status": 200}
BODY = {"type": "http.response.body", "body": b"ok"}
MORE = BODY | {"more_body": True}
TRAILERS = {"type": "http.response.trailers", "headers": [(b"x-sum", b"1"), (b"x-sum", b"2")]}
HINT = "http.response.early_hint"
INTERNAL_ERROR, CANCEL = 2, 8


def sends(*messages: Any) -> ASGIApp:
    """An application that sends these."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return app


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await send(OK)
    await send(BODY)


async def until_gone(send: Send, message: Message) -> BaseException:
    """Send until it raises, and what it raised."""
    while True:
        try:
            await send(message)
        except BaseException as error:
            return error
        await asyncio.sleep(0)


# --- the scope ---


def test_the_scope_is_that_of_the_specification(dial: Any) -> None:  # ASGI 1, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            scope["state"]["list"] = [1]
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        scopes.append(scope)
        await hello(scope, receive, send)

    with serve(app, lifespan="on") as served, dial(served) as client:
        headers = [("x-b", "1"), ("cookie", "a=1"), ("x_y", "2"), ("x-b", "3"), ("cookie", "b=2")]
        client.ask("/a%20b/%C3%A4?c=%20d", *headers, method="PUT")
    (scope,) = scopes
    host, port = scope.pop("client")
    assert (host, type(port)) == ("127.0.0.1", int)
    assert scope.pop("server") == ("127.0.0.1", served.port)
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "2",
        "method": "PUT",
        "scheme": "http",
        "path": "/a b/ä",
        "raw_path": b"/a%20b/%C3%A4",
        "query_string": b"c=%20d",
        "root_path": "",
        "headers": [(b"host", b"a"), (b"x-b", b"1"), (b"cookie", b"a=1; b=2"), (b"x_y", b"2"), (b"x-b", b"3")],
        "state": {"list": [1]},
        "extensions": {
            "http.response.early_hint": {},
            "http.response.pathsend": {},
            "http.response.zerocopysend": {},
        },
    }


def test_nothing_leaks_from_one_request_to_another(dial: Any) -> None:  # ASGI 11, 21
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        scopes.append(scope.copy())
        for key in ("asgi", "extensions", "headers", "state"):
            assert "leak" not in scope[key]
        for key in ("asgi", "extensions", "state"):
            scope[key]["leak"] = True
        scope["headers"].clear()
        scope["leak"] = True
        await hello(scope, receive, send)

    with serve(app, lifespan="on") as served, dial(served) as client:
        streams = [client.begin() for _ in range(5)]  # the same block each time
        assert [client.answer(stream).status for stream in streams] == [200] * 5
    assert len({tuple(sorted(scope)) for scope in scopes}) == 1


@LOOPS
def test_each_response_reaches_its_own_stream(http2: Any, loop: str) -> None:  # ASGI 11
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        number = int(scope["path"][1:])
        body = (await receive())["body"]
        for _ in range(number % 5):
            await asyncio.sleep(0)
        await send(OK | {"headers": [(b"x-number", b"%d" % number)]})
        for _ in range(number % 3):
            await send(BODY | {"body": b"%d " % number, "more_body": True})
            await asyncio.sleep(0)
        await send(BODY | {"body": body})

    with http2(app, loop=loop) as client:
        streams = {}
        for number in range(100):
            streams[number] = client.talk.begin(f"/{number}", method="POST", end=False)
            client.talk.h2.send_data(streams[number], b"body of %d" % number, end_stream=True)
        client.flush()
        for number, stream in streams.items():
            answer = client.answer(stream)
            assert answer.header("x-number") == str(number)
            assert answer.body == b"%d " % number * (number % 3) + b"body of %d" % number


# --- receive ---


@LOOPS
def test_content_is_received_with_its_end(http2: Any, loop: str) -> None:  # ASGI 22, 29
    got: list[list[Message]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        mine = [await receive()]
        got.append(mine)
        while mine[-1].get("more_body"):
            mine.append(await receive())
        await hello(scope, receive, send)
        mine.append(await receive())

    with http2(app, loop=loop) as client:
        assert client.ask().status == 200
        stream = client.begin(method="POST", end=False)
        for data in (b"ab", b"", b"cd"):
            client.talk.h2.send_data(stream, data, pad_length=7)  # padding is no content
            client.flush()
        client.talk.h2.end_stream(stream)
        client.flush()
        client.answer(stream)
        stream = client.begin(method="POST", end=False)
        client.talk.h2.send_data(stream, b"ef")
        client.talk.h2.send_headers(stream, [("x-sum", "1")], end_stream=True)  # trailers are no content either
        client.flush()
        client.answer(stream)
    empty = {"type": "http.request", "body": b"", "more_body": False}
    gone = {"type": "http.disconnect"}
    assert got[0] == [empty, gone]
    for mine, body in ((got[1], b"abcd"), (got[2], b"ef")):
        assert b"".join(message["body"] for message in mine[:-1]) == body
        assert [message["more_body"] for message in mine[:-1]] == [True] * (len(mine) - 2) + [False]
        assert mine[-1] == gone


@LOOPS
@pytest.mark.parametrize("connection", [False, True], ids=["the stream", "the connection"])
def test_a_client_that_goes_is_told_as_gone(http2: Any, log: Any, loop: str, connection: bool) -> None:  # ASGI 28, 29
    got: list[Message] = []
    raised: list[BaseException] = []
    begun, ended = threading.Event(), threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        got.append(await receive())
        begun.set()
        got.append(await receive())
        got.append(await receive())
        raised.append(await until_gone(send, OK))
        raised.append(await until_gone(send, BODY))
        ended.set()
        raise raised[0]

    with http2(app, loop=loop) as client:
        stream = client.begin(method="POST", end=False)
        client.talk.h2.send_data(stream, b"abc")
        client.flush()
        assert begun.wait(10)
        if connection:
            client.reset()
        else:
            client.talk.h2.reset_stream(stream, CANCEL)
            client.flush()
        assert ended.wait(10)
    assert got == [{"type": "http.request", "body": b"abc", "more_body": True}, *[{"type": "http.disconnect"}] * 2]
    assert [type(error) for error in raised] == [portway.ClientDisconnected] * 2
    assert isinstance(raised[0], OSError)
    assert log.errors == []


@LOOPS
@pytest.mark.parametrize("window", [None, 0])
def test_send_raises_when_the_stream_was_reset(  # ASGI 28, 7
    dial: Any, log: Any, loop: str, window: int | None
) -> None:
    raised: list[BaseException] = []
    ended = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/next":
            await hello(scope, receive, send)
            return
        await send(OK)
        raised.append(await until_gone(send, MORE | {"body": bytes(1000)}))
        ended.set()
        raise raised[0]

    with serve(app, loop=loop, lifespan="off") as served, dial(served, window=window) as client:
        stream = client.begin()
        client.until(lambda: client.answers[stream].status)
        client.talk.h2.reset_stream(stream, CANCEL)
        client.flush()
        assert ended.wait(10)
        if window is None:
            assert client.ask("/next").body == b"ok"
    assert [type(error) for error in raised] == [portway.ClientDisconnected]
    assert log.errors == []


@LOOPS
def test_on_demand_the_task_of_a_stream_is_cancelled(http2: Any, log: Any, loop: str) -> None:  # ASGI 29
    begun, cancelled = threading.Event(), threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with http2(app, loop=loop, cancel_on_disconnect=True) as client:
        stream = client.begin()
        assert begun.wait(10)
        client.talk.h2.reset_stream(stream, CANCEL)
        client.flush()
        assert cancelled.wait(10)
    assert log.errors == []


def test_100_continue_is_sent_when_the_application_receives(http2: Any) -> None:  # ASGI 32
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/read":
            await receive()
        await hello(scope, receive, send)

    with http2(app) as client:
        expect = ("expect", "100-continue")
        stream = client.begin("/read", expect, method="POST", end=False)
        client.until(lambda: client.answers[stream].interim)
        assert client.answers[stream].interim == [[(":status", "100")]]
        assert client.answers[stream].status == 0
        client.content(stream, b"ab", True)
        assert client.answer(stream).status == 200
        stream = client.begin("/", expect, method="POST", end=False)
        assert (client.answer(stream).status, client.answers[stream].interim) == (200, [])


# --- send ---


def test_the_head_waits_for_the_first_body(http2: Any, log: Any) -> None:  # ASGI 26
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(OK)
        raise ZeroDivisionError

    with http2(app) as client:
        answer = client.ask()
        assert (answer.status, answer.body) == (500, b"Internal Server Error\n")
        assert answer.header("connection") is None
        assert client.ask().status == 500
    assert len(log.errors) == 2


@LOOPS
@pytest.mark.parametrize("kind", [ZeroDivisionError, SystemExit, None])
def test_a_response_that_has_begun_is_reset_and_others_go_on(  # ASGI 7
    http2: Any, log: Any, loop: str, kind: type[BaseException] | None
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/good":
            await receive()
            await hello(scope, receive, send)
            return
        await send(OK)
        await send(MORE)
        await asyncio.sleep(0)
        if kind is not None:
            raise kind

    with http2(app, loop=loop) as client:
        good = client.begin("/good", method="POST", end=False)
        answer = client.answer(client.begin("/bad"))
        assert (answer.status, answer.body, answer.ended, answer.code) == (200, b"ok", False, INTERNAL_ERROR)
        client.content(good, b"", True)
        assert client.answer(good).body == b"ok"
    assert log.error.startswith("GET /bad: the application ")


def test_an_application_without_a_response_gives_500(http2: Any, log: Any) -> None:  # ASGI 31
    with http2(sends()) as client:
        assert [client.ask().status for _ in range(2)] == [500, 500]
    assert log.errors == ["GET /: the application returned without a response"] * 2


def test_headers_keep_their_order_and_those_of_the_connection_are_dropped(http2: Any) -> None:  # ASGI 23, 24
    names = [b"connection", b"keep-alive", b"upgrade", b"proxy-connection", b"transfer-encoding"]
    headers = [(b"X-B", b"1"), *[(name, b"close") for name in names], (b"x-a", b"2"), (b"x-b", b"3")]
    with http2(sends(OK | {"headers": iter(headers)}, BODY)) as client:
        answer = client.ask()
        assert [pair for pair in answer.headers if pair[0] not in ("date", "server")] == [
            ("x-b", "1"),
            ("x-a", "2"),
            ("x-b", "3"),
            ("content-length", "2"),
        ]


@pytest.mark.parametrize("pair", [(b"x", b"1\r\ny: 2"), (b"x\n", b"1"), (b"x", b"\0")])
def test_a_header_that_could_be_another_is_not_written(http2: Any, log: Any, pair: Any) -> None:  # ASGI 24
    with http2(sends(OK | {"headers": [pair]}, BODY)) as client:
        assert client.ask().status == 500
    assert "http.response.start: headers" in log.error


@LOOPS
@pytest.mark.parametrize(
    ("bodies", "words"),
    [
        ([BODY], "7 bytes short"),
        ([MORE, BODY], "5 bytes short"),
        ([MORE, MORE], "before its response was complete"),
    ],
)
def test_fewer_bytes_than_declared_reset_the_stream(  # ASGI 27
    http2: Any, log: Any, loop: str, bodies: Any, words: str
) -> None:
    with http2(sends(OK | {"headers": [(b"content-length", b"9")]}, *bodies), loop=loop) as client:
        answer = client.ask()
        assert (answer.ended, answer.code) == (False, INTERNAL_ERROR)
        client.ping()
    assert words in log.error


def test_more_bytes_than_declared_raise_and_are_not_written(http2: Any) -> None:  # ASGI 27
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(OK | {"headers": [(b"content-length", b"3")]})
        await send(MORE)
        with pytest.raises(portway.MessageError, match="1 bytes more"):
            await send(BODY)
        await send(BODY | {"body": b"!"})

    with http2(app) as client:
        assert client.ask().body == b"ok!"


@LOOPS
@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_what_has_no_body_gets_none(http2: Any, loop: str, method: str, status: int) -> None:  # ASGI 30
    with http2(sends(OK | {"status": status}, MORE, MORE, BODY), loop=loop) as client:
        for _ in range(2):
            answer = client.ask(method=method)
            assert (answer.status, answer.body, answer.ended, answer.code) == (status, b"", True, None)


@pytest.mark.parametrize(
    "bodies", [[BODY], [MORE, BODY], [{"type": "http.response.body"}], [MORE | {"body": bytes(99_999)}, BODY]]
)
def test_trailers_follow_the_body(http2: Any, bodies: Any) -> None:  # ASGI 25, 54
    with http2(sends(OK | {"trailers": True}, *bodies, TRAILERS)) as client:
        for _ in range(2):
            answer = client.ask("/", ("te", "trailers"))
            assert answer.body == b"".join(body.get("body", b"") for body in bodies)
            assert answer.trailers == [("x-sum", "1"), ("x-sum", "2")]
            assert (answer.ended, answer.header("content-length")) == (True, None)
        answer = client.ask()  # which did not say that it takes them
        assert (answer.ended, answer.trailers) == (True, [])


def test_trailers_wait_for_the_window_like_the_body(dial: Any) -> None:  # ASGI 25, 54
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(OK | {"trailers": True})
        await send(BODY | {"body": bytes(1000)})
        await send(TRAILERS)

    with serve(app, lifespan="off") as served, dial(served, window=100) as client:
        client.talk.reads = False
        stream = client.begin("/", ("te", "trailers"))
        answer = client.answers[stream]
        client.until(lambda: len(answer.body) == 100)
        client.talk.h2.increment_flow_control_window(900, stream)
        client.flush()
        assert client.answer(stream).trailers == [("x-sum", "1"), ("x-sum", "2")]
        assert (len(answer.body), answer.ended) == (1000, True)


def test_a_response_without_its_trailers_is_reset(http2: Any, log: Any) -> None:  # ASGI 7, 25
    with http2(sends(OK | {"trailers": True}, BODY)) as client:
        answer = client.ask("/", ("te", "trailers"))
        assert (answer.body, answer.ended, answer.code) == (b"ok", False, INTERNAL_ERROR)
    assert "before its response was complete" in log.error


def test_pseudo_headers_are_no_trailers(http2: Any, log: Any) -> None:  # ASGI 54
    trailers = {"type": "http.response.trailers", "headers": [(b":status", b"500")]}
    with http2(sends(OK | {"trailers": True}, BODY, trailers)) as client:
        answer = client.ask("/", ("te", "trailers"))
        assert (answer.trailers, answer.code) == ([], INTERNAL_ERROR)
    assert "http.response.trailers: headers" in log.error


@LOOPS
def test_each_early_hint_is_a_103_which_does_not_wait(http2: Any, loop: str) -> None:  # ASGI 55
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": HINT, "links": [b"</a.css>; rel=preload", b"</b.js>; rel=preload"]})
        await send({"type": HINT, "links": (b"</c.css>; rel=preload",)})
        message = await receive()
        await send(OK)
        await send(BODY | {"body": message["body"]})

    with http2(app, loop=loop) as client:
        for _ in range(2):
            stream = client.begin(method="POST", end=False)
            client.until(lambda: len(client.answers[stream].interim) == 2)  # noqa: B023
            status = (":status", "103")
            assert client.answers[stream].interim == [
                [status, ("link", "</a.css>; rel=preload"), ("link", "</b.js>; rel=preload")],
                [status, ("link", "</c.css>; rel=preload")],
            ]
            client.content(stream, b"hi", True)
            assert client.answer(stream).body == b"hi"


@LOOPS
@pytest.mark.parametrize("interim", ["hint", "continue"])
def test_an_interim_response_is_on_the_wire_when_send_returns(  # ASGI 32, 55
    http2: Any, loop: str, interim: str
) -> None:
    seen = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0)  # the bytes that brought the request have been looked at
        if interim == "hint":
            await send({"type": HINT, "links": [b"</a>"]})
        else:
            receiving = asyncio.ensure_future(receive())
            await asyncio.sleep(0)
        assert seen.wait(10)  # and the loop does nothing else meanwhile
        if interim == "continue":
            await receiving
        await hello(scope, receive, send)

    with http2(app, loop=loop) as client:
        expect = [("expect", "100-continue")] if interim == "continue" else []
        stream = client.begin("/", *expect, method="POST", end=False)
        client.until(lambda: client.answers[stream].interim)
        seen.set()
        client.content(stream, b"", True)
        assert client.answer(stream).status == 200


@LOOPS
def test_a_busy_server_answers_503_on_the_stream(http2: Any, loop: str) -> None:
    go = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.to_thread(go.wait, 10)
        await hello(scope, receive, send)

    with http2(app, loop=loop, limit_concurrency=2) as client:
        first = [client.begin() for _ in range(2)]
        assert client.ask().status == 503
        go.set()
        assert [client.answer(stream).status for stream in first] == [200, 200]
        assert client.ask().status == 200
