"""WebSockets on streams of HTTP/2 (RFC 8441), beside requests on the others; the client is wsproto over h2."""

import asyncio
import gc
import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import wsproto
from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import CloseReason

from portway.link.tunnel import Tunnel
from portway.testing import serve
from portway.types import Receive, Scope, Send

LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
CANCEL = 8


class Socket:
    """A WebSocket of a client; what comes is in `got`."""

    def __init__(self, client: Any, path: str = "/", *headers: tuple[str, str], deflate: bool = False) -> None:
        extensions = [PerMessageDeflate()] if deflate else []
        if deflate:
            headers = (*headers, ("sec-websocket-extensions", "permessage-deflate"))
        self.client = client
        client.until(lambda: client.talk.h2.remote_settings.enable_connect_protocol)
        self.stream = client.talk.connect(path, *headers)
        client.flush()
        self.answer = client.answers[self.stream]
        client.until(lambda: self.answer.status)
        for extension in extensions:
            extension.finalize(self.answer.header("sec-websocket-extensions") or "")
        self.wire = wsproto.connection.Connection(wsproto.ConnectionType.CLIENT, extensions)
        self.taken = 0
        self._events = self._come()

    def say(self, message: Any, end: bool = False) -> None:
        """A message, or another event of wsproto's."""
        if isinstance(message, str):
            message = wsproto.events.TextMessage(message)
        elif isinstance(message, bytes):
            message = wsproto.events.BytesMessage(message)
        self.client.content(self.stream, self.wire.send(message), end)

    def _come(self) -> Iterator[Any]:
        while True:
            yield from self.wire.events()
            self.client.until(lambda: len(self.answer.body) > self.taken or self.answer.over)
            data = self.answer.body[self.taken :]
            if not data:
                raise EOFError(self.answer)
            self.taken += len(data)
            self.wire.receive_data(data)

    def hear(self) -> Any:
        """The next message, or the event that is none."""
        whole: Any = None
        for event in self._events:
            if not isinstance(event, wsproto.events.Message):
                return event
            whole = event.data if whole is None else whole + event.data
            if event.message_finished:
                return whole
        raise EOFError

    def close(self, code: int = 1000, reason: str = "") -> tuple[int, str | None]:
        """Close, and take the answer."""
        self.say(wsproto.events.CloseConnection(code, reason), True)
        return self.closed()

    def closed(self) -> tuple[int, str | None]:
        event = self.hear()
        assert isinstance(event, wsproto.events.CloseConnection), event
        return event.code, event.reason

    def agree(self) -> None:
        """Answer their close, and end the stream."""
        self.client.content(self.stream, self.wire.send(wsproto.events.CloseConnection(CloseReason(1000))), True)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What was logged from WARNING up, each without its traceback."""
    return lambda: [record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


@LOOPS
@pytest.mark.parametrize("tls", [False, True])
def test_messages_of_all_kinds_come_back(
    app: Any, dial: Any, authority: Any, localhost: Any, loop: str, tls: bool
) -> None:  # fmt: skip
    context = authority.context() if tls else None
    messages = ["", b"", "wörld 🥇", bytes(range(256)), random.Random(1).randbytes(300_000), "x" * 200_000]
    with (
        serve(app, lifespan="off", loop=loop, **(localhost if tls else {})) as served,
        dial(served, tls=context) as client,
    ):
        socket = Socket(client, "/a?b")
        assert socket.answer.status == 200
        assert client.ask("/beside").body == b"/beside"
        for message in messages:
            socket.say(message)
            assert socket.hear() == message
        assert socket.close(4001, "enough") == (4001, "")
        assert client.answer(socket.stream).ended
        assert client.ask("/after").body == b"/after"
    assert app.ends == [{"type": "websocket.disconnect", "code": 4001, "reason": "enough"}]
    scope = app.scopes[0]
    assert (scope["type"], scope["http_version"], scope["scheme"]) == ("websocket", "2", "wss" if tls else "ws")
    assert (scope["path"], scope["query_string"]) == ("/a", b"b")


@LOOPS
def test_many_of_them_share_a_connection(app: Any, http2: Any, loop: str) -> None:
    with http2(app, loop=loop) as client:
        sockets = [Socket(client, f"/{number}") for number in range(30)]
        for number, socket in enumerate(sockets):
            socket.say(f"{number} " * 1000)
        for number, socket in reversed(list(enumerate(sockets))):
            assert socket.hear() == f"{number} " * 1000
        assert [socket.close() for socket in sockets] == [(1000, "")] * 30
    assert [end["code"] for end in app.ends] == [1000] * 30


@LOOPS
@pytest.mark.parametrize("window", [1, 100, 5000])
def test_large_messages_pass_through_small_windows(app: Any, dial: Any, loop: str, window: int) -> None:
    text = "".join(chr(48 + number % 70) for number in range(window * 50 + 5000))
    with (
        serve(
            app, lifespan="off", loop=loop, http2_initial_stream_window_size=1024, limit_http2_glitches=100_000
        ) as served,
        dial(served, window=window) as client,
    ):
        socket = Socket(client)
        for _ in range(2):
            socket.say(text)
            assert socket.hear() == text
        assert socket.close() == (1000, "")


@LOOPS
def test_messages_are_compressed_if_both_can(app: Any, http2: Any, loop: str) -> None:
    text = "a line that comes again\n" * 5000
    with http2(app, loop=loop) as client:
        socket = Socket(client, deflate=True)
        for _ in range(3):
            socket.say(text)
            assert socket.hear() == text
        assert len(socket.answer.body) < 3000
        assert socket.close() == (1000, "")
    with http2(app, loop=loop, ws_per_message_deflate=False) as client:
        assert Socket(client, deflate=False).answer.header("sec-websocket-extensions") is None


def test_an_accept_brings_subprotocol_and_headers(http2: Any) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        headers = [(b"x-b", b"1"), (b"set-cookie", b"a=b"), (b"connection", b"upgrade"), (b"content-length", b"5")]
        await send({"type": "websocket.accept", "subprotocol": scope["subprotocols"][-1], "headers": headers})

    with http2(app) as client:
        socket = Socket(client, "/", ("sec-websocket-protocol", "a, b"))
        names = [name for name, _ in socket.answer.headers]
        assert names[-3:] == ["sec-websocket-protocol", "x-b", "set-cookie"]
        assert socket.answer.header("sec-websocket-protocol") == "b"
        assert not {"connection", "upgrade", "content-length", "sec-websocket-accept"} & set(names)
        assert socket.closed() == (1000, "")


# --- ends ---


@LOOPS
def test_a_close_of_the_applications_is_answered(app: Any, http2: Any, loop: str) -> None:
    with http2(app, loop=loop) as client:
        socket = Socket(client, "/bye")
        socket.say("please")
        assert socket.closed() == (4000, "")
        assert not socket.answer.over
        socket.agree()
        assert client.answer(socket.stream).ended
        assert socket.answer.code is None
    assert app.ends == [{"type": "websocket.disconnect", "code": 1000, "reason": ""}]


@LOOPS
@pytest.mark.parametrize("path", ["/", "/late", "/hold"])
@pytest.mark.parametrize("leave", ["reset", "end", "close"])
def test_a_socket_that_is_reset_or_cut_is_lost(
    app: Any, http2: Any, log: Any, loop: str, path: str, leave: str
) -> None:
    with http2(app, loop=loop) as client:
        client.ping()
        stream = client.talk.connect(path)
        client.flush()
        if path == "/":
            client.until(lambda: client.answers[stream].status)
        else:
            assert app.entered.wait(10)
        if leave == "reset":
            client.talk.h2.reset_stream(stream, CANCEL)
        elif leave == "end":
            client.talk.h2.end_stream(stream)
        if leave == "close":
            client.close()
        else:
            client.flush()
            client.ping()
        app.go.set()
        if path != "/late":
            assert app.ended.wait(10)
        if leave != "close":
            assert client.ask("/beside").body == b"/beside"
    assert app.ends == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}][: path != "/late"]
    assert log() == []


@LOOPS
@pytest.mark.parametrize("half", [b"\x82", b"\x82\x85\0\0", b"\x82\x85\0\0\0\0abc"])
def test_one_that_ends_amid_a_frame_is_lost(app: Any, dial: Any, loop: str, half: bytes) -> None:
    with serve(app, lifespan="off", loop=loop, ws_ping_interval=0) as served, dial(served) as client:
        socket = Socket(client)
        socket.say("whole")
        assert socket.hear() == "whole"
        client.content(socket.stream, half, True)
        assert app.ended.wait(10)
        assert client.answer(socket.stream).ended
    assert app.ends == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]


@LOOPS
def test_one_that_raises_closes_with_1011(http2: Any, log: Any, loop: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        raise ZeroDivisionError

    with http2(app, loop=loop) as client:
        socket = Socket(client)
        socket.say("divide")
        assert socket.closed() == (1011, "")
        socket.agree()
        assert client.answer(socket.stream).ended
    assert log() == ["WebSocket /: the application raised ZeroDivisionError"]


def test_a_fault_closes_the_socket_and_not_the_connection(app: Any, http2: Any, log: Any) -> None:
    with http2(app, ws_max_size=1000) as client:
        for data, code in ((b"\x81\2hi", 1002), (b"\x82\xfe\3\xe9" + bytes(4 + 1001), 1009)):
            socket = Socket(client)
            client.content(socket.stream, data)
            assert socket.closed()[0] == code
            assert client.answer(socket.stream).ended
        assert client.ask("/beside").body == b"/beside"
    assert [end["code"] for end in app.ends] == [1002, 1009]
    assert len(log()) == 2


@LOOPS
def test_a_server_that_stops_closes_with_1012_and_finishes_its_requests(app: Any, dial: Any, loop: str) -> None:
    go = threading.Event()

    async def both(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/slow":
            await asyncio.to_thread(go.wait, 10)
        await app(scope, receive, send)

    with serve(both, lifespan="off", loop=loop) as served, dial(served) as client:
        socket = Socket(client)
        slow = client.begin("/slow")
        client.ping()
        served.server.stop()
        assert socket.closed()[0] == 1012
        socket.agree()
        assert client.answer(socket.stream).ended
        go.set()
        assert client.answer(slow).body == b"/slow"
        client.until(lambda: len(client.talk.goaways) == 2)
    assert [end["code"] for end in app.ends] == [1000]
    assert [code for _, code, _ in client.talk.goaways] == [0, 0]


@LOOPS
def test_a_peer_that_answers_no_ping_loses_the_stream_alone(app: Any, http2: Any, loop: str) -> None:
    with http2(app, loop=loop, ws_ping_interval=0.1, ws_ping_timeout=0.3) as client:
        socket = Socket(client)
        assert isinstance(socket.hear(), wsproto.events.Ping)
        assert client.answer(socket.stream).code == CANCEL
        assert client.ask("/beside").body == b"/beside"
    assert [end["code"] for end in app.ends] == [1006]


# --- not accepted ---


def test_a_denial_is_a_response(http2: Any, log: Any) -> None:
    go = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/close":
            await send({"type": "websocket.close"})
        elif scope["path"] == "/streamed":
            deny = {"type": "websocket.http.response.start", "status": 401, "headers": [(b"x", b"y")]}
            await send(deny)
            body = {"type": "websocket.http.response.body"}
            await send(body | {"body": b"who ", "more_body": True})
            await asyncio.to_thread(go.wait, 10)
            await send(body | {"body": b"are you?"})
            assert (await receive())["type"] == "websocket.connect"
            assert (await receive())["type"] == "websocket.disconnect"

    with http2(app) as client:
        for path, status in (("/close", 403), ("/return", 500)):
            stream = Socket(client, path).stream
            answer = client.answer(stream)
            assert (answer.status, answer.ended) == (status, True)
        streamed = Socket(client, "/streamed")
        client.until(lambda: streamed.answer.body == b"who ")
        go.set()
        answer = client.answer(streamed.stream)
        assert (answer.status, answer.body, answer.header("x")) == (401, b"who are you?", "y")
    assert log() == ["WebSocket /return: the application returned without a response"]


def test_denials_leave_nothing_behind(dial: Any) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.close"})

    with serve(app, lifespan="off") as served, dial(served) as client:
        for _ in range(20):
            assert client.answer(Socket(client).stream).status == 403
        client.ping()
        gc.collect()
        assert [each for each in gc.get_objects() if type(each) is Tunnel and "DENIED" in repr(each)] == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([("sec-websocket-version", "8")], 426),
        ([], 426),
        ([("sec-websocket-version", "13"), ("origin", "https://evil.example")], 403),
    ],
)
def test_a_wrong_handshake_is_answered(app: Any, http2: Any, headers: Any, status: int) -> None:
    with http2(app, ws_origins=["https://a.example"]) as client:
        client.ping()
        stream = client.begin("/", (":protocol", "websocket"), *headers, method="CONNECT", end=False)
        answer = client.answer(stream)
        assert answer.status in (status, 400)
        if answer.status == 426:
            assert answer.header("sec-websocket-version") == "13"
    assert app.scopes == []


def test_without_websockets_there_is_no_connect(app: Any, http2: Any) -> None:
    with http2(app, ws="none") as client:
        client.ping()
        assert client.talk.h2.remote_settings.enable_connect_protocol == 0
        stream = client.talk.connect()
        client.flush()
        assert client.answer(stream).code == 1
        assert client.ask("/beside").body == b"/beside"
    assert app.kinds == ["http"]


# --- backpressure ---


@LOOPS
def test_who_does_not_receive_stops_his_peer_and_no_other(app: Any, http2: Any, loop: str) -> None:
    texts = [str(number).rjust(1000) for number in range(3000)]
    with http2(app, loop=loop, ws_max_queue=4) as client:
        socket = Socket(client, "/hold")
        assert app.entered.wait(10)
        data = b"".join(socket.wire.send(wsproto.events.TextMessage(text)) for text in texts)
        h2, at = client.talk.h2, 0
        while room := min(h2.local_flow_control_window(socket.stream), 16384, len(data) - at):
            h2.send_data(socket.stream, data[at : at + room])
            at += room
            client.flush()
            client.ping()
        assert at < 1_500_000
        assert client.ask("/beside").body == b"/beside"
        app.go.set()
        client.content(socket.stream, data[at:])
        assert socket.close(1001) == (1001, "")
    assert app.held == texts


@LOOPS
def test_send_waits_while_the_peer_opens_no_window(dial: Any, loop: str) -> None:
    waits = threading.Event()
    sent = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"hello"})
            return
        await receive()
        await send({"type": "websocket.accept"})
        while not waits.is_set():
            sending = asyncio.ensure_future(send({"type": "websocket.send", "bytes": b"%08d" % sent + bytes(20_000)}))
            await asyncio.wait([sending], timeout=0.3)
            sent += 1
            if not sending.done():
                waits.set()
            await sending

    with serve(app, lifespan="off", loop=loop) as served, dial(served, wide=True) as client:
        client.talk.reads = False
        socket = Socket(client)
        assert waits.wait(20)
        assert sent < 20
        assert client.ask().body == b"hello"
        client.talk.reads = True
        client.talk.h2.increment_flow_control_window(1 << 20, socket.stream)
        client.flush()
        for number in range(sent):
            assert socket.hear()[:8] == b"%08d" % number
        assert socket.closed() == (1000, "")
