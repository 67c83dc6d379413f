"""WebSockets under pressure, and at the end of the server: nobody makes us hold much, nobody goes without a word."""

import asyncio
import select
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from portway import ClientDisconnected
from portway.testing import serve
from portway.types import Message, Receive, Scope, Send

LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
GET = b"GET /plain HTTP/1.1\r\nHost: a\r\n\r\n"
OPENING = (
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
EMPTY = b"\x81\x80\0\0\0\0"
MEBIBYTE = b"\x82\xff" + (1 << 20).to_bytes(8, "big") + bytes(4) + bytes(1 << 20)


# --- backpressure, both ways ---


def flood(client: Any, frames: list[bytes]) -> int:
    """Send as much as is taken; how many bytes that was."""
    data = b"".join(frames)
    client.socket.setblocking(False)
    sent = 0
    while sent < len(data) and select.select([], [client.socket], [], 0.5)[1]:
        sent += client.socket.send(data[sent : sent + 65536])
    client.socket.setblocking(True)
    client.socket.settimeout(20)
    return sent


@LOOPS
@pytest.mark.parametrize(("queue", "size"), [(1, 1000), (100_000, 100_000)])
def test_who_does_not_receive_stops_the_client_and_then_gets_all(
    app: Any, peer: Any, loop: str, queue: int, size: int
) -> None:
    """Messages that wait are counted, and weighed as well: 100,000 of 100 kB would be 10 GB."""
    with peer(app, loop=loop, ws_max_queue=queue) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        client.open(b"/hold")
        assert app.entered.wait(10)
        texts = [str(number).rjust(size) for number in range(30_000_000 // size)]
        frames = [client.text(text) for text in texts]
        sent = flood(client, frames)
        assert sent < sum(map(len, frames)), "the server reads on and on"
        app.go.set()
        client.send(b"".join(frames)[sent:] + client.closing(1001))
        assert client.closed() == (1001, "")
        assert client.rest() == b""
    assert app.held == texts
    assert app.ends == [{"type": "websocket.disconnect", "code": 1001, "reason": ""}]


@LOOPS
def test_a_client_that_was_stopped_and_goes_is_noticed(app: Any, peer: Any, loop: str) -> None:
    with peer(app, loop=loop, ws_max_queue=1) as client:
        client.open(b"/hold")
        assert app.entered.wait(10)
        client.send(b"".join(client.text(str(number)) for number in range(1000)))
        client.close()
        app.go.set()
        assert app.ended.wait(10)
    assert app.held == [str(number) for number in range(1000)]
    assert [end["code"] for end in app.ends] == [1006]


@pytest.mark.parametrize(("message", "count"), [(EMPTY, 1000), (MEBIBYTE, 6)])
def test_not_all_that_a_client_sends_at_once_is_read_in_one_turn(
    play: Callable[..., None], message: bytes, count: int
) -> None:
    got: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (last := await receive())["type"] == "websocket.receive":
            got.append(last)

    async def scene(stage: Any) -> None:
        await stage.feed(OPENING)
        stage.link.data_received(message * count)
        assert not stage.transport.reading
        assert len(got) <= count // 3
        for _ in range(count):
            await stage.turns()
        assert len(got) == count
        assert stage.transport.reading

    play(app, scene)


class Flood:
    """Sends until that waits, and says so; then until it raises, or as much as it was asked for."""

    def __init__(self) -> None:
        self.waits = threading.Event()
        self.raised: list[BaseException] = []
        self.sent = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        try:
            while not self.waits.is_set():
                piece = b"%08d" % self.sent + bytes(32 * 1024)
                self.sent += 1
                sending = asyncio.ensure_future(send({"type": "websocket.send", "bytes": piece}))
                await asyncio.wait([sending], timeout=0.3)
                if not sending.done():
                    self.waits.set()
                await sending
        except ClientDisconnected as error:
            self.raised.append(error)
            raise


@LOOPS
def test_send_waits_while_the_client_does_not_read(peer: Any, loop: str) -> None:
    app = Flood()
    with peer(app, loop=loop) as client:
        client.open()
        assert app.waits.wait(20)
        assert app.sent < 2000  # 64 MB: nobody holds so much
        for number in range(app.sent):  # and goes on when the client does
            assert client.message()[:8] == b"%08d" % number
        assert client.closed() == (1000, "")


@LOOPS
def test_a_client_that_does_not_read_is_cut(peer: Any, caplog: pytest.LogCaptureFixture, loop: str) -> None:
    caplog.set_level("INFO", "portway")
    app = Flood()
    with peer(app, loop=loop, timeout_response=0.6) as client:
        client.open()
        poll = select.poll()
        poll.register(client.socket, select.POLLERR)
        assert poll.poll(10_000), "the connection was not reset"
    assert app.waits.is_set()
    assert [type(error) for error in app.raised] == [ClientDisconnected]
    assert [record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


@LOOPS
@pytest.mark.parametrize("leave", ["close", "reset"])
def test_a_send_that_waits_is_woken_when_the_client_goes(peer: Any, loop: str, leave: str) -> None:
    app = Flood()
    with peer(app, loop=loop) as client:
        client.open()
        assert app.waits.wait(20)
        getattr(client, leave)()
    assert [type(error) for error in app.raised] == [ClientDisconnected]


@LOOPS
def test_a_client_that_sends_much_and_reads_nothing_is_stopped(app: Any, peer: Any, loop: str) -> None:
    # Else each of its messages would add its echo to what we hold.
    with peer(app, loop=loop, timeout_graceful_shutdown=0) as client:
        client.open()
        frames = [client.text("x" * 60_000)] * 1000
        assert flood(client, frames) < 60_000_000


@LOOPS
def test_so_is_one_that_pings_much_and_reads_no_pong(app: Any, peer: Any, loop: str) -> None:
    with peer(app, loop=loop, timeout_graceful_shutdown=0) as client:
        client.open()
        pings = client.frame(client.PING, bytes(125)) * 300_000
        assert flood(client, [pings]) < len(pings)


@LOOPS
def test_an_application_that_closes_while_the_client_is_stopped_still_hears_its_close(peer: Any, loop: str) -> None:
    done = threading.Event()
    full = threading.Event()
    got: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await asyncio.get_running_loop().run_in_executor(None, full.wait, 20)
        await send({"type": "websocket.close", "code": 4000})
        got.append(await receive())
        done.set()

    with peer(app, loop=loop, ws_max_queue=1) as client:
        client.open()
        frames = b"".join([client.text("x" * 1000)] * 30_000)
        sent = flood(client, [frames])
        assert sent < len(frames)
        full.set()
        client.send(frames[sent:] + client.closing(4000, "heard"))
        assert client.closed() == (4000, "")
        assert client.rest() == b""
        assert done.wait(10)
    assert got == [{"type": "websocket.disconnect", "code": 4000, "reason": "heard"}]


# --- the end of the server ---


@LOOPS
def test_a_server_that_stops_says_1012_and_waits_for_the_answer(app: Any, another: Any, loop: str) -> None:
    with (
        serve(app, lifespan="off", loop=loop) as served,
        another(served) as client,
        another(served) as silent,
    ):
        client.open()
        assert silent.ask(GET).status == 200
        served.server.stop()
        assert client.closed() == (1012, "")
        assert silent.rest() == b""
        client.send(client.closing(1012))
        assert client.rest() == b""
    assert app.ends == [{"type": "websocket.disconnect", "code": 1012, "reason": ""}]


@LOOPS
def test_what_came_before_the_stop_is_still_for_the_application(app: Any, another: Any, loop: str) -> None:
    with serve(app, lifespan="off", loop=loop) as served, another(served) as client, another(served) as silent:
        client.open(b"/hold")
        assert app.entered.wait(10)
        client.send(client.text("a") + client.text("b"))
        assert silent.ask(GET).status == 200  # and so the two have come
        served.server.stop()
        assert client.closed() == (1012, "")
        client.send(client.closing(1012))
        app.go.set()
        assert client.rest() == b""
    assert app.held == ["a", "b"]
    assert app.ends == [{"type": "websocket.disconnect", "code": 1012, "reason": ""}]


@LOOPS
def test_after_the_grace_who_does_not_answer_is_cut(app: Any, peer: Any, another: Any, loop: str) -> None:
    with serve(app, lifespan="off", loop=loop, timeout_graceful_shutdown=0.3) as served:
        client = another(served)
        client.open()
    with client:  # the server has ended, long before it would have given the client up by itself
        assert client.closed() == (1012, "")
        assert client.rest() == b""
    assert app.ends == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]


@LOOPS
def test_a_websocket_that_is_accepted_while_the_server_stops_is_closed(app: Any, another: Any, loop: str) -> None:
    with (
        serve(app, lifespan="off", loop=loop) as served,
        another(served) as client,
        another(served) as silent,
    ):
        assert silent.ask(GET).status == 200
        client.send(client.opening(b"/late"))
        assert app.entered.wait(10)
        served.server.stop()
        assert silent.rest() == b""
        app.go.set()
        assert client.interim().status == 101
        assert client.closed() == (1012, "")
        client.send(client.closing(1012))
        assert client.rest() == b""
    assert app.ends == [{"type": "websocket.disconnect", "code": 1012, "reason": ""}]


def test_a_task_that_does_not_heed_the_end_is_cancelled(peer: Any, caplog: pytest.LogCaptureFixture) -> None:
    cancelled = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with peer(app, timeout_graceful_shutdown=0) as client:
        client.open(b"/a")
        client.close()
    assert cancelled.is_set()
    assert "Cancelled after the grace: WebSocket /a" in [record.getMessage() for record in caplog.records]


def test_a_websocket_counts_as_a_request(app: Any, peer: Any) -> None:
    with peer(app, limit_max_requests=1) as client:
        client.open()
        assert client.closed() == (1012, "")
        client.send(client.closing(1012))
        assert client.rest() == b""
