"""Nobody can make the server hold more than it should: not by sending, and not by not reading."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import portway
from portway.testing import Raw, serve
from portway.types import Message, Receive, Scope, Send

Portway = Callable[..., Any]
Flood = Callable[[Raw, bytes], int]

LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
UPGRADE = (
    b"GET / HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
)
KIB = 1024


@LOOPS
@pytest.mark.parametrize("coding", [b"content-length: 8000000", b"transfer-encoding: chunked"])
def test_no_more_than_64_kib_of_an_unread_body_are_held(loop: str, coding: bytes, flood: Flood) -> None:
    go = threading.Event()
    pieces: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        await asyncio.to_thread(go.wait, 20)
        more = True
        while more:
            message = await receive()
            pieces.append(len(message["body"]))
            more = message["more_body"]
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})

    body = bytes(8_000_000)
    if coding.endswith(b"chunked"):
        body = b"7a1200\r\n" + body + b"\r\n0\r\n\r\n"
    with serve(app, loop=loop) as served, Raw(served.host, served.port) as raw:
        raw.send(b"POST / HTTP/1.1\r\nhost: a\r\n" + coding + b"\r\n\r\n")
        sent = flood(raw, body)  # what the kernel holds on both sides is not ours
        go.set()
        raw.send(body[sent:])
        assert raw.response().status == 200
    assert sum(pieces) == 8_000_000
    assert max(pieces) <= 64 * KIB


@LOOPS
def test_who_does_not_receive_stops_the_client(loop: str, flood: Flood) -> None:
    forever = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        await forever.wait()

    size = 64_000_000  # more than any kernel buffers
    with serve(app, loop=loop, timeout_graceful_shutdown=0) as served, Raw(served.host, served.port) as raw:
        raw.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % size)
        assert flood(raw, bytes(size)) < size


def test_what_one_request_left_unread_does_not_stop_the_body_of_the_next(play: Callable[..., None]) -> None:
    go = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/":
            await go.wait()
            body = b"unread"
        else:
            body = (await receive())["body"]
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": body})

    async def scene(stage: Any) -> None:
        unread = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 60000\r\n\r\n" + bytes(60_000)
        await stage.feed(unread + b"POST /next HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n")
        assert not stage.transport.reading
        go.set()
        await stage.turns()
        assert stage.transport.written.endswith(b"unread")
        assert stage.transport.reading
        await stage.feed(b"next")
        assert stage.transport.written.endswith(b"next")

    play(app, scene)


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_an_application_that_does_nothing_but_send_lets_the_loop_see_that_its_client_went(
    play: Callable[..., None], kind: str
) -> None:
    go = asyncio.Event()
    sent: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begin: Message = {"type": "http.response.start", "status": 200}
        more: Message = {"type": "http.response.body", "body": b"x", "more_body": True}
        if kind == "websocket":
            begin, more = {"type": "websocket.accept"}, {"type": "websocket.send", "text": "x"}
        await send(begin)
        await go.wait()
        with pytest.raises(portway.ClientDisconnected):
            for count in range(1000):
                sent.append(count)
                await send(more)

    async def scene(stage: Any) -> None:
        await stage.feed(GET if kind == "http" else UPGRADE)
        stage.transport.state = "aborted"  # as a write to a client that went makes it
        go.set()
        await stage.turns()
        assert sent == [0]
        stage.link.connection_lost(None)
        await stage.turns()
        assert not stage.counts.running
        assert sent == [0]

    play(app, scene)


@LOOPS
def test_send_waits_while_the_client_does_not_read(loop: str) -> None:
    waits = threading.Event()
    piece = bytes(32 * KIB)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        await send({"type": "http.response.start", "status": 200})
        for _ in range(2000):  # 64 MB, if nobody waits
            sending = asyncio.ensure_future(send({"type": "http.response.body", "body": piece, "more_body": True}))
            await asyncio.wait([sending], timeout=0.3)
            if not sending.done():
                waits.set()
                await sending
                break
        await send({"type": "http.response.body", "body": b"end"})

    with serve(app, loop=loop) as served, Raw(served.host, served.port) as raw:
        raw.send(GET)
        assert waits.wait(20)
        body = raw.response().body  # and it goes on when the client does
    assert body.endswith(b"end")
    assert len(body) % len(piece) == len(b"end")


APP = """
PIECE = bytes(65536)

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise NotImplementedError
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message["body"]), message["more_body"]
    await send({"type": "http.response.start", "status": 200})
    if scope["method"] == "POST":
        await send({"type": "http.response.body", "body": b"%d" % size})
        return
    for _ in range(1600):
        await send({"type": "http.response.body", "body": PIECE, "more_body": True})
    await send({"type": "http.response.body"})
"""

SIZE = 1600 * 65536
ADDED_MOST = 60 * KIB  # in KiB, as /proc has it


def memory(process: int) -> tuple[int, int]:
    """What a process has resident, and had at most, in KiB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    found = {name: rest for name, _, rest in (line.partition(":") for line in lines)}
    return int(found["VmRSS"].split()[0]), int(found["VmHWM"].split()[0])


def upload(raw: Raw) -> None:
    raw.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % SIZE)
    piece = bytes(65536)
    for _ in range(SIZE // len(piece)):
        raw.send(piece)
    assert raw.response().body == b"%d" % SIZE


def download(raw: Raw) -> None:
    raw.send(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    size = 0
    while data := raw.socket.recv(1 << 20):
        size += len(data)
    assert size > SIZE


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@LOOPS
@pytest.mark.parametrize("transfer", [upload, download])
def test_a_large_body_passes_through_little_memory(
    portway_command: Portway, loop: str, transfer: Callable[[Raw], None]
) -> None:
    command = portway_command(APP, "--port", "0", "--loop", loop).up()
    before, _ = memory(command.process.pid)
    with Raw("127.0.0.1", command.port) as raw:
        transfer(raw)
    _, most = memory(command.process.pid)
    assert most - before < ADDED_MOST
