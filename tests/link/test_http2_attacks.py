"""Attacks on HTTP/2, each performed on a server of its own: it says good-bye, holds little, and serves the others."""

import asyncio
import contextlib
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from portway import ClientDisconnected
from portway.testing import serve
from portway.types import Message, Receive, Scope, Send

Portway = Callable[..., Any]

LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
PRIORITY_UPDATE, UNKNOWN = 0x10, 0x2A
PROTOCOL_ERROR, FLOW_CONTROL_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CALM = 1, 3, 7, 8, 9, 11
GET = b"\x82\x86\x84\x01\x01a"  # GET http / a, and nothing of it for the table
POST = b"\x83" + GET[1:]
MANY = 20_000
MIB = 1024

APP = """
import asyncio, os

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise NotImplementedError
    if scope["method"] == "POST":
        await asyncio.sleep(60)
    headers = [(b"x", os.urandom(3000).hex().encode())] if scope["method"] == "HEAD" else []
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello"})
"""


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack("!I", len(payload))[1:] + bytes([kind, flags]) + struct.pack("!I", stream) + payload


def number(value: int) -> bytes:
    return struct.pack("!I", value)


def streams(count: int = MANY) -> range:
    return range(1, 2 * count, 2)


def string(size: int) -> bytes:
    """The length of a string in a header block, of more than 126 (RFC 7541 §5.1)."""
    found, left = b"\x7f", size - 127
    while left > 127:
        found += bytes([0x80 | left & 0x7F])
        left >>= 7
    return found + bytes([left])


# --- the attacks: what is sent, and how it ends: with this code in a GOAWAY, or else that in every RST_STREAM ---


def rapid_reset() -> Iterator[bytes]:
    for stream in streams():
        yield frame(HEADERS, 5, stream, GET) + frame(RST_STREAM, 0, stream, number(CANCEL))


def rapid_reset_of_uploads() -> Iterator[bytes]:
    for stream in streams():
        yield frame(HEADERS, 4, stream, POST) + frame(DATA, 0, stream, b"x") + frame(RST_STREAM, 0, stream, number(0))


def resets_that_we_are_made_to_send() -> Iterator[bytes]:
    for stream in streams():
        yield frame(HEADERS, 4, stream, POST) + frame(WINDOW_UPDATE, 0, stream, number(0))


def malformed_requests() -> Iterator[bytes]:
    for stream in streams():
        yield frame(HEADERS, 5, stream, b"\x82")


def continuations_without_end() -> Iterator[bytes]:
    yield frame(HEADERS, 1, 1, GET)
    for _ in range(MANY):
        yield frame(CONTINUATION, 0, 1, b"\x00\x01x" + string(5000) + b"v" * 5000)


def empty_continuations() -> Iterator[bytes]:
    yield frame(HEADERS, 1, 1, GET)
    for _ in range(MANY):
        yield frame(CONTINUATION, 0, 1)


def empty_data() -> Iterator[bytes]:
    yield frame(HEADERS, 4, 1, POST)
    for _ in range(MANY):
        yield frame(DATA, 0, 1)


def padding_alone() -> Iterator[bytes]:
    yield frame(HEADERS, 4, 1, POST)
    for _ in range(MANY):
        yield frame(DATA, 8, 1, bytes([0]))


def settings() -> Iterator[bytes]:
    for _ in range(MANY):
        yield frame(SETTINGS, 0, 0, struct.pack("!HI", 4, 65535))


def settings_in_one_frame() -> Iterator[bytes]:
    for _ in range(100):
        yield frame(SETTINGS, 0, 0, struct.pack("!HI", 4, 65535) * 2700)


def sizes_of_tables() -> Iterator[bytes]:
    for _ in range(MANY):
        for size in (0, 65536):
            yield frame(SETTINGS, 0, 0, struct.pack("!HI", 1, size))


def pings() -> Iterator[bytes]:
    for _ in range(MANY):
        yield frame(PING, 0, 0, bytes(8))


def pongs() -> Iterator[bytes]:
    for _ in range(MANY):
        yield frame(PING, 1, 0, bytes(8))


def priorities() -> Iterator[bytes]:
    for at in range(MANY):
        yield frame(PRIORITY, 0, 2 * at + 3, number(1) + b"\x10")


def priority_updates() -> Iterator[bytes]:
    for at in range(MANY):
        yield frame(PRIORITY_UPDATE, 0, 0, number(2 * at + 1) + b"u=%d" % (at % 8))


def unknown_frames() -> Iterator[bytes]:
    for _ in range(MANY):
        yield frame(UNKNOWN, 0, 0, bytes(1000))


def too_many_streams() -> Iterator[bytes]:
    for stream in streams():
        yield frame(HEADERS, 4, stream, POST)


def frames_on_closed_streams() -> Iterator[bytes]:
    yield frame(HEADERS, 4, 1, POST) + frame(RST_STREAM, 0, 1, number(CANCEL))
    for _ in range(MANY):
        yield frame(DATA, 0, 1)


def a_window_too_wide() -> Iterator[bytes]:
    yield frame(WINDOW_UPDATE, 0, 0, number(2**31 - 1)) * 2


def a_table_too_large() -> Iterator[bytes]:
    yield frame(HEADERS, 5, 1, b"\x3f\xe1\xff\x3f" + GET)  # 1 MiB, where 4096 bytes are allowed


def a_bomb() -> Iterator[bytes]:
    """An entry of 4000 bytes, referred to 16,000 times in each request: 64 MB from 16 kB."""
    yield frame(HEADERS, 5, 1, GET + b"\x40\x01x" + string(3950) + b"v" * 3950)
    for stream in streams(400):
        yield frame(HEADERS, 5, stream + 2, GET + b"\xbe" * 16_000)


ATTACKS: dict[Callable[[], Iterator[bytes]], int] = {
    rapid_reset: CALM,
    rapid_reset_of_uploads: CALM,
    resets_that_we_are_made_to_send: CALM,
    malformed_requests: CALM,
    continuations_without_end: CALM,
    empty_continuations: CALM,
    empty_data: CALM,
    padding_alone: CALM,
    settings: CALM,
    settings_in_one_frame: CALM,
    sizes_of_tables: CALM,
    pings: CALM,
    pongs: CALM,
    priorities: CALM,
    priority_updates: PROTOCOL_ERROR,
    unknown_frames: CALM,
    too_many_streams: CALM,
    frames_on_closed_streams: CALM,
    a_window_too_wide: FLOW_CONTROL_ERROR,
    a_table_too_large: COMPRESSION_ERROR,
    a_bomb: CALM,
}


class Attacker(threading.Thread):
    """Sends all of it, or until the connection ends, and keeps what comes if it `reads`."""

    def __init__(self, client: Any, pieces: Iterator[bytes], reads: bool = True) -> None:
        super().__init__(daemon=True)
        self.socket: socket.socket = client.socket
        self.pieces = pieces
        self.reads = reads
        self.got = b""
        self.whole = False

    def run(self) -> None:
        self.socket.settimeout(5)
        with contextlib.suppress(ConnectionError, TimeoutError):
            block = b""
            for piece in self.pieces:
                block += piece
                if len(block) > 8192:
                    self.write(block)
                    block = b""
            self.write(block)
            self.whole = True
            while self.reads and self.take():
                pass
        with contextlib.suppress(ConnectionError, TimeoutError):
            while self.reads and self.take():
                pass

    def write(self, block: bytes) -> None:
        while block:
            wanted = [self.socket] if self.reads else []
            readable, writable, _ = select.select(wanted, [self.socket], [], 5)
            if readable and not self.take():
                raise ConnectionResetError
            if writable:
                block = block[self.socket.send(block[:4096]) :]
            elif not readable:
                raise TimeoutError

    def take(self) -> bytes:
        data = self.socket.recv(65536)
        self.got += data
        return data

    @property
    def goaway(self) -> int | None:
        """The code of their GOAWAY."""
        at = 0
        while at + 9 <= len(self.got):
            size = int.from_bytes(self.got[at : at + 3], "big")
            if self.got[at + 3] == GOAWAY:
                return int.from_bytes(self.got[at + 13 : at + 17], "big")
            at += 9 + size
        return None


def memory(process: int) -> tuple[int, int]:
    """What a process has resident, and had at most, in KiB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    found = {name: rest for name, _, rest in (line.partition(":") for line in lines)}
    return int(found["VmRSS"].split()[0]), int(found["VmHWM"].split()[0])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_it_is_answered_with_a_goodbye_and_nobody_else_suffers(
    portway_command: Portway, dial: Any, attack: Callable[[], Iterator[bytes]]
) -> None:
    command = portway_command(APP, "--port", "0").up()
    with dial(command) as bystander, dial(command) as client:
        assert bystander.ask().body == b"hello"
        before, _ = memory(command.process.pid)
        attacker = Attacker(client, attack())
        attacker.start()
        asked = 0
        while attacker.is_alive() or asked < 10:
            assert bystander.ask().body == b"hello"
            asked += 1
        attacker.join()
        assert attacker.goaway == ATTACKS[attack]
        _, most = memory(command.process.pid)
        assert most - before < 12 * MIB


def heads() -> Iterator[bytes]:
    """Requests whose responses have no content, so that no window holds them back."""
    for stream in streams(2_000_000):
        yield frame(HEADERS, 5, stream, b"\x02\x04HEAD" + GET[1:])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_who_asks_and_asks_and_reads_nothing_is_not_heard_any_more(portway_command: Portway, dial: Any) -> None:
    command = portway_command(
        APP, "--port", "0", "--timeout-response", "1", "--http2-max-concurrent-streams", "1000"
    ).up()
    with dial(command) as bystander, dial(command) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        before, _ = memory(command.process.pid)
        attacker = Attacker(client, heads(), reads=False)
        attacker.start()
        while attacker.is_alive():
            assert bystander.ask().body == b"hello"
        assert not attacker.whole
        assert "refused" not in command.err._text
        _, most = memory(command.process.pid)
        # A turn answers 200 requests, of 6 kB here; without an end to it, there would be 100 MB a second.
        assert most - before < 30 * MIB


@LOOPS
def test_who_takes_a_response_byte_by_byte_is_told_to_calm_down(dial: Any, loop: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": bytes(2000)})

    with serve(app, lifespan="off", loop=loop) as served:
        with dial(served, window=1) as client:
            client.begin()
            assert client.hang()[1] == CALM
        with dial(served, window=400) as client:
            assert len(client.ask().body) == 2000


@LOOPS
def test_applications_learn_of_a_rapid_reset(dial: Any, loop: str) -> None:
    got: list[Message] = []
    raised: list[BaseException] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/beside":
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body"})
            return
        await receive()
        got.append(await receive())
        try:
            await send({"type": "http.response.start", "status": 200})
        except ClientDisconnected as error:
            raised.append(error)
            raise

    with (
        serve(app, lifespan="off", loop=loop, limit_http2_resets=50) as served,
        dial(served) as bystander,
        dial(served) as client,
    ):
        client.ping()
        for stream in streams(50):
            client.send(frame(HEADERS, 5, stream, GET))
        for stream in streams(50):
            client.send(frame(RST_STREAM, 0, stream, number(CANCEL)))
        client.ping()
        assert bystander.ask("/beside").status == 200
        client.send(frame(HEADERS, 5, 101, GET) + frame(RST_STREAM, 0, 101, number(CANCEL)))
        assert client.hang()[1] == CALM
        assert bystander.ask("/beside").status == 200
    assert got[:50] == [{"type": "http.disconnect"}] * 50
    assert len(raised) == len(got)


def test_a_header_list_over_the_limit_is_431_on_its_stream(http2: Any) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})

    with http2(app, limit_request_head=4096, limit_request_fields=10) as client:
        assert client.ask("/", ("x", "v" * 9000)).status == 431
        assert client.ask("/", *[(f"x-{at}", "v") for at in range(11)]).status == 431
        assert client.ask("/", ("x", "v" * 2000)).status == 200


def test_one_stream_too_many_is_refused_and_may_be_tried_again(http2: Any) -> None:
    go = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.to_thread(go.wait, 10)
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})

    with http2(app, http2_max_concurrent_streams=3) as client:
        first = [client.begin() for _ in range(4)]  # as one does who has not seen our settings yet
        assert client.answer(first[3]).code == REFUSED_STREAM
        go.set()
        assert [client.answer(stream).status for stream in first[:3]] == [200] * 3
        assert client.ask().status == 200
