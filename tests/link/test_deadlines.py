"""What a connection may wait for, and how long: first with a clock wound by hand, then on the wire."""

import asyncio
import errno
import select
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

import pytest

from portway import ClientDisconnected
from portway.testing import Raw, serve
from portway.types import Message, Receive, Scope, Send

Play = Callable[..., None]

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n"
LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        raise NotImplementedError
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"hello"})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        raise NotImplementedError
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more = body + message["body"], message["more_body"]
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": body})


async def sleep(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.Event().wait()


# --- the head ---


def test_a_head_has_one_deadline_which_dripping_bytes_do_not_move(play: Play) -> None:
    async def scene(stage: Any) -> None:
        for byte in GET[:10]:
            await stage.feed(bytes([byte]))
            stage.hand.pass_by(0.9)
        assert stage.transport.written == b""
        stage.hand.pass_by(1.5)
        assert stage.transport.written.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert stage.transport.state == "half closed"

    play(hello, scene, head=10)


def test_each_request_of_a_connection_has_a_new_deadline_for_its_head(play: Play) -> None:
    async def scene(stage: Any) -> None:
        for _ in range(5):
            await stage.feed(GET[:5])
            stage.hand.pass_by(9)
            await stage.feed(GET[5:])
        assert stage.transport.written.count(b"200 OK") == 5

    play(hello, scene, head=10)


def test_a_connection_on_which_nothing_comes_is_closed_without_a_word(play: Play) -> None:
    async def scene(stage: Any) -> None:
        stage.hand.pass_by(9)
        assert stage.transport.state == "open"
        stage.hand.pass_by(2)
        assert (stage.transport.state, stage.transport.written) == ("closed", b"")

    play(hello, scene, head=10)


# --- between requests ---


def test_an_idle_connection_is_closed_after_its_time_and_not_before(play: Play) -> None:
    async def scene(stage: Any) -> None:
        for _ in range(3):
            await stage.feed(GET)
            stage.hand.pass_by(74)
            assert stage.transport.state == "open"
        stage.hand.pass_by(2)
        assert stage.transport.state == "closed"

    play(hello, scene, idle=75)


def test_no_time_to_be_idle_is_no_deadline(play: Play) -> None:
    async def scene(stage: Any) -> None:
        await stage.feed(GET)
        stage.hand.pass_by(100_000, steps=False)
        assert stage.transport.state == "open"

    play(hello, scene, idle=0)


# --- the body ---


def test_each_piece_of_a_body_gives_it_time_anew(play: Play) -> None:
    async def scene(stage: Any) -> None:
        await stage.feed(POST)
        for byte in b"0123456789":
            stage.hand.pass_by(29)
            await stage.feed(bytes([byte]))
        assert stage.transport.written.endswith(b"0123456789")

    play(echo, scene, body=30)


def test_a_body_that_does_not_go_on_is_refused(play: Play) -> None:
    async def scene(stage: Any) -> None:
        await stage.feed(POST + b"01234")
        stage.hand.pass_by(31)
        assert stage.transport.written.startswith(b"HTTP/1.1 408 ")
        await stage.turns()
        assert not stage.counts.running  # the application was told

    play(echo, scene, body=30)


def test_an_application_that_does_not_read_is_no_fault_of_the_client(play: Play) -> None:
    async def scene(stage: Any) -> None:
        await stage.feed(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n")
        await stage.feed(bytes(64_000))
        assert not stage.transport.reading
        stage.hand.pass_by(1000)
        assert (stage.transport.state, stage.transport.written) == ("open", b"")

    play(sleep, scene, body=30)


def test_the_deadline_of_the_body_runs_again_when_reading_goes_on(play: Play) -> None:
    go = asyncio.Event()

    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        await go.wait()
        while (await receive())["type"] != "http.disconnect":
            pass

    async def scene(stage: Any) -> None:
        await stage.feed(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n")
        await stage.feed(bytes(64_000))
        stage.hand.pass_by(1000)
        go.set()
        await stage.turns()
        assert stage.transport.reading
        stage.hand.pass_by(31)
        assert stage.transport.written.startswith(b"HTTP/1.1 408 ")

    play(late, scene, body=30)


# --- the application, and the response ---


def test_an_application_may_take_its_time(play: Play) -> None:
    async def scene(stage: Any) -> None:
        await stage.feed(GET)
        stage.hand.pass_by(10_000, steps=False)
        assert stage.transport.state == "open"

    play(sleep, scene)


@pytest.mark.skipif(not hasattr(select, "POLLRDHUP"), reason="this kernel cannot be asked")
@pytest.mark.parametrize(("end", "state"), [("half", "closed"), ("reset", "aborted")])
def test_the_end_of_a_client_is_seen_that_is_not_read_from(play: Play, end: str, state: str) -> None:
    heard = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        heard.append((await receive())["type"])

    async def scene(stage: Any) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = socket.create_connection(listener.getsockname())
            stage.transport.socket, _ = listener.accept()
        with stage.transport.socket:
            await stage.feed(GET + GET * 1000)
            assert not stage.transport.reading
            stage.hand.pass_by(11)
            await stage.turns()
            assert (heard, stage.transport.state) == ([], "open")
            if end == "half":
                client.shutdown(socket.SHUT_WR)
            else:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()
            stage.hand.pass_by(6)
            await stage.turns()
            assert stage.transport.state == state
            assert heard == (["http.disconnect"] if end == "half" else [])
            client.close()

    play(app, scene)


def test_a_response_that_makes_progress_is_not_cut(play: Play) -> None:
    async def scene(stage: Any) -> None:
        await stage.feed(GET)
        stage.transport.unsent = 1_000_000
        stage.link.pause_writing()
        for _ in range(9):
            stage.hand.pass_by(19)
            stage.transport.unsent -= 1
            assert stage.transport.state == "open"
        stage.hand.pass_by(45)
        assert stage.transport.state == "aborted"

    play(sleep, scene, write=20)


def test_a_response_that_goes_on_has_no_deadline_any_more(play: Play) -> None:
    async def scene(stage: Any) -> None:
        await stage.feed(GET)
        stage.transport.unsent = 100_000
        stage.link.pause_writing()
        stage.hand.pass_by(10)
        stage.transport.unsent = 0
        stage.link.resume_writing()
        stage.hand.pass_by(1000)
        assert stage.transport.state == "open"

    play(sleep, scene, write=20)


@pytest.mark.parametrize("connection", [b"close", b"keep-alive"])
def test_the_end_of_a_response_must_be_read_too(play: Play, connection: bytes) -> None:
    async def scene(stage: Any) -> None:
        stage.transport.unsent = 100  # below the high-water mark: nobody waits, and nothing is full
        await stage.feed(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: %b\r\n\r\n" % connection)
        stage.hand.pass_by(100)
        assert stage.transport.state == "aborted"

    play(hello, scene, write=20, idle=75)


def test_a_client_that_does_not_hang_up_is_not_waited_for(play: Play) -> None:
    async def scene(stage: Any) -> None:
        await stage.feed(b"no request\r\n\r\n")
        assert stage.transport.state == "half closed"
        stage.hand.pass_by(5)
        assert stage.transport.state == "aborted"

    play(hello, scene)


def test_a_good_bye_to_a_client_that_has_gone_is_no_fault(play: Play) -> None:
    def not_connected() -> None:
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    async def scene(stage: Any) -> None:
        stage.transport.write_eof = not_connected
        await stage.feed(b"no request\r\n\r\n")
        assert stage.transport.written.startswith(b"HTTP/1.1 400 ")
        assert stage.transport.state == "aborted"

    play(hello, scene)


def test_a_lost_connection_has_no_deadline(play: Play) -> None:
    async def scene(stage: Any) -> None:
        await stage.feed(POST)
        stage.link.connection_lost(None)
        stage.hand.pass_by(1000)
        assert stage.hand.faults == []
        assert (stage.transport.state, stage.transport.written) == ("open", b"")

    play(echo, scene)


# --- the same on the wire, by their effects ---


@LOOPS
def test_a_slow_head_gets_408(loop: str) -> None:
    with serve(hello, loop=loop, timeout_request_head=0.1) as served, Raw(served.host, served.port) as raw:
        raw.send(GET[:10])
        response = raw.response()
        assert (response.status, response.header("connection")) == (408, "close")
        assert b"head did not come in time" in response.body
        assert raw.rest() == b""


@LOOPS
def test_a_silent_connection_is_closed(loop: str) -> None:
    with serve(hello, loop=loop, timeout_request_head=0.1) as served, Raw(served.host, served.port) as raw:
        assert raw.rest() == b""


@LOOPS
def test_an_idle_connection_is_closed(loop: str) -> None:
    with serve(hello, loop=loop, timeout_keep_alive=0.1) as served, Raw(served.host, served.port) as raw:
        assert raw.ask(GET).status == 200
        assert raw.rest() == b""


@LOOPS
def test_a_stalled_body_gets_408_and_its_application_is_told(loop: str) -> None:
    told: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        while not told or told[-1]["type"] != "http.disconnect":
            told.append(await receive())

    with serve(app, loop=loop, timeout_request_body=0.1) as served, Raw(served.host, served.port) as raw:
        raw.send(POST + b"01234")
        assert raw.response().status == 408
        assert raw.rest() == b""
    assert [message["type"] for message in told][-1] == "http.disconnect"


@LOOPS
@pytest.mark.parametrize(
    ("size", "connection"), [(40_000, b"close"), (40_000, b"keep-alive"), (1_000_000, b"keep-alive")]
)
def test_a_client_that_does_not_read_is_cut(loop: str, size: int, connection: bytes) -> None:
    """Also for what fits below the high-water mark: 40,000 bytes, where the kernel takes few."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": bytes(size)})

    with serve(app, loop=loop, timeout_response=0.1, timeout_keep_alive=0.1) as served:
        served.server.sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect((served.host, served.port))
            client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: %b\r\n\r\n" % connection)
            poll = select.poll()
            poll.register(client, select.POLLERR)
            assert poll.poll(10_000), "the connection was not reset"


@LOOPS
def test_an_application_whose_client_does_not_read_learns_of_it(loop: str) -> None:
    raised = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        await send({"type": "http.response.start", "status": 200})
        try:
            while True:
                await send({"type": "http.response.body", "body": bytes(65536), "more_body": True})
        except ClientDisconnected:
            raised.set()

    with serve(app, loop=loop, timeout_response=0.1) as served, Raw(served.host, served.port) as raw:
        raw.send(GET)
        assert raised.wait(20)
