"""Many streams on one connection, both ways: nobody makes the server hold much, and nobody holds up the others."""

import asyncio
import hashlib
import select
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portway import ClientDisconnected
from portway.testing import serve
from portway.types import Receive, Scope, Send

Portway = Callable[..., Any]

LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
OK = {"type": "http.response.start", "status": 200}
BODY = {"type": "http.response.body"}
KIB = 1024
WINDOW = 256 * KIB


class Holds:
    """Reads /hold when `go` is set, and everything else at once; answers with the size and the digest."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.pieces: list[int] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/hold":
            await asyncio.to_thread(self.go.wait, 20)
        digest, size, more = hashlib.sha256(), 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            digest.update(message["body"])
            size, more = size + len(message["body"]), message["more_body"]
            self.pieces.append(len(message["body"]))
        await send(OK)
        await send(BODY | {"body": b"%d " % size + digest.hexdigest().encode()})


def told(data: bytes) -> bytes:
    return b"%d " % len(data) + hashlib.sha256(data).hexdigest().encode()


def fill(client: Any, stream: int, data: bytes) -> int:
    """Send until a window is shut, and see that it stays so; how much that was."""
    h2 = client.talk.h2
    at = 0
    while room := min(h2.local_flow_control_window(stream), 16384, len(data) - at):
        h2.send_data(stream, data[at : at + room])
        at += room
        client.flush()
    client.ping()  # all of it has been looked at
    assert h2.local_flow_control_window(stream) == 0
    return at


# --- uploads ---


@LOOPS
def test_who_does_not_receive_stops_his_client_at_the_window_and_no_other(http2: Any, loop: str) -> None:
    app, data = Holds(), bytes(range(256)) * 8 * KIB
    with http2(app, loop=loop) as client:
        client.ping()
        held = client.begin("/hold", method="POST", end=False)
        assert fill(client, held, data) == WINDOW
        assert client.ask("/", method="POST", body=data).body == told(data)
        assert client.talk.h2.local_flow_control_window(held) == 0
        app.pieces.clear()
        app.go.set()
        client.content(held, data[WINDOW:], True)
        assert client.answer(held).body == told(data)
    assert max(app.pieces) <= WINDOW


def test_the_window_is_that_which_was_set(http2: Any) -> None:
    app = Holds()
    with http2(app, http2_initial_stream_window_size=70_000) as client:
        client.ping()
        stream = client.begin("/hold", method="POST", end=False)
        assert fill(client, stream, bytes(100_000)) == 70_000
        app.go.set()


def test_the_window_of_the_connection_holds_for_all_streams_together(http2: Any) -> None:
    app = Holds()
    with http2(app) as client:
        client.ping()
        streams = [client.begin("/hold", method="POST", end=False) for _ in range(5)]
        assert [fill(client, stream, bytes(WINDOW)) for stream in streams[:4]] == [WINDOW] * 4
        assert fill(client, streams[4], bytes(1)) == 0
        client.talk.h2.reset_stream(streams[0])  # what nobody will read any more is given back
        client.flush()
        client.content(streams[4], bytes(WINDOW), True)
        app.go.set()
        for stream in streams[1:4]:
            client.content(stream, b"", True)
        assert [client.answer(stream).body for stream in streams[1:]] == [told(bytes(WINDOW))] * 4


def test_what_nobody_reads_is_given_back_when_the_response_is_complete(http2: Any) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(OK)
        await send(BODY | {"body": b"enough"})

    with http2(app) as client:
        client.ping()
        for _ in range(20):  # five windows of the connection
            stream = client.begin(method="POST", end=False)
            client.talk.h2.send_data(stream, bytes(1))
            for _ in range(15):
                client.talk.h2.send_data(stream, bytes(16384))
            client.flush()
            client.until(lambda: client.answers[stream].body == b"enough")  # noqa: B023
            assert client.answer(stream).ended


# --- downloads ---


class Floods:
    """Sends on /flood until that raises, and says when it waits; answers everything else."""

    def __init__(self, piece: int = 32 * KIB) -> None:
        self.waits = threading.Event()
        self.ended = threading.Event()
        self.raised: list[BaseException] = []
        self.sent = 0
        self.piece = bytes(piece)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send(OK)
        if scope["path"] != "/flood":
            await send(BODY | {"body": b"hello"})
            return
        try:
            while True:
                sending = asyncio.ensure_future(send(BODY | {"body": self.piece, "more_body": True}))
                await asyncio.wait([sending], timeout=0.3)
                if not sending.done():
                    self.waits.set()
                await sending
                self.sent += len(self.piece)
        except ClientDisconnected as error:
            self.raised.append(error)
            self.ended.set()
            raise


@LOOPS
@pytest.mark.parametrize("piece", [1000, 32 * KIB, 1000 * KIB])
def test_send_waits_while_the_client_opens_no_window_and_others_are_answered(
    dial: Any, loop: str, piece: int
) -> None:  # fmt: skip
    app = Floods(piece)
    with serve(app, lifespan="off", loop=loop) as served, dial(served, wide=True) as client:
        client.talk.reads = False
        stream = client.begin("/flood")
        assert app.waits.wait(20)
        client.until(lambda: len(client.answers[stream].body) == 65535)
        assert app.sent <= 65535 + 64 * KIB + piece
        assert client.ask().body == b"hello"
        for number in range(1, 4):  # what waits goes on as far as the client lets it
            client.talk.h2.increment_flow_control_window(1000, stream)
            client.flush()
            client.until(lambda: len(client.answers[stream].body) == 65535 + 1000 * number)  # noqa: B023
        more = app.sent + 3 * piece
        client.talk.h2.increment_flow_control_window(more, stream)
        client.flush()
        client.until(lambda: len(client.answers[stream].body) > more)  # and so does the application
    assert [type(error) for error in app.raised] == [ClientDisconnected]


@LOOPS
@pytest.mark.parametrize("piece", [4000, 100_000])
def test_send_waits_while_the_client_reads_nothing(dial: Any, loop: str, piece: int) -> None:
    app = Floods(piece)
    with serve(app, lifespan="off", loop=loop) as served, dial(served, window=1 << 30, wide=True) as client:
        stream = client.begin("/flood")
        assert app.waits.wait(20)
        assert app.sent < 64_000_000  # more than any kernel buffers
        sent = app.sent
        client.until(lambda: len(client.answers[stream].body) > sent + 1_000_000)  # it goes on when the client does


@LOOPS
def test_who_opens_no_window_loses_the_stream(dial: Any, loop: str) -> None:
    app = Floods()
    with (
        serve(app, lifespan="off", loop=loop, timeout_response=0.6) as served,
        dial(served, wide=True) as client,
    ):
        client.talk.reads = False
        assert client.answer(client.begin("/flood")).code == 8
        assert client.ask().body == b"hello"
    assert [type(error) for error in app.raised] == [ClientDisconnected]


@LOOPS
def test_who_reads_nothing_at_all_loses_the_connection(
    dial: Any, loop: str, caplog: pytest.LogCaptureFixture
) -> None:  # fmt: skip
    caplog.set_level("INFO", "portway")
    app = Floods()
    with (
        serve(app, lifespan="off", loop=loop, timeout_response=0.6) as served,
        dial(served, window=1 << 30, wide=True) as client,
    ):
        client.begin("/flood")
        poll = select.poll()
        poll.register(client.socket, select.POLLERR)
        assert poll.poll(20_000), "the connection was not reset"
        assert app.ended.wait(10)
        with dial(served) as another:
            assert another.ask().body == b"hello"
    assert [record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


# --- 100 MB each way, on 50 streams at once ---

APP = """
import hashlib

PIECE = bytes(range(256)) * 256

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise NotImplementedError
    digest, more = hashlib.sha256(), True
    while more:
        message = await receive()
        more = message["more_body"]
        digest.update(message["body"])
    await send({"type": "http.response.start", "status": 200})
    if scope["method"] == "POST":
        await send({"type": "http.response.body", "body": digest.hexdigest().encode()})
        return
    for number in range(32):
        await send({"type": "http.response.body", "body": b"%08d" % number + PIECE[8:], "more_body": True})
    await send({"type": "http.response.body"})
"""

PIECE = bytes(range(256)) * 256
WHOLE = b"".join(b"%08d" % number + PIECE[8:] for number in range(32))  # 2 MiB
STREAMS = 50


def memory(process: int) -> tuple[int, int]:
    """What a process has resident, and had at most, in KiB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    found = {name: rest for name, _, rest in (line.partition(":") for line in lines)}
    return int(found["VmRSS"].split()[0]), int(found["VmHWM"].split()[0])


def upload(client: Any) -> None:
    """A piece of each in turn, as the windows let it."""
    h2 = client.talk.h2
    left = {client.begin(method="POST", end=False): 0 for _ in range(STREAMS)}
    while left:
        went = False
        for stream, at in list(left.items()):
            room = min(h2.local_flow_control_window(stream), 16384, len(WHOLE) - at)
            if room:
                went = True
                h2.send_data(stream, WHOLE[at : at + room], end_stream=at + room == len(WHOLE))
                left[stream] += room
                if left[stream] == len(WHOLE):
                    del left[stream]
        client.flush()
        if not went or select.select([client.socket], [], [], 0)[0]:
            client.look()
    digest = hashlib.sha256(WHOLE).hexdigest().encode()
    assert [client.answer(stream).body for stream in client.answers][-STREAMS:] == [digest] * STREAMS


def download(client: Any) -> None:
    streams = [client.begin() for _ in range(STREAMS)]
    for stream in streams:
        assert client.answer(stream).body == WHOLE


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@LOOPS
@pytest.mark.parametrize("transfer", [upload, download])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_100_mb_on_50_streams_arrive_whole_and_pass_through_little_memory(
    portway_command: Portway, dial: Any, authority: Any, localhost: Any, loop: str, transfer: Any, tls: bool
) -> None:
    if tls and loop == "asyncio":
        pytest.skip("the filter is the same on both loops")
    options = [word for name, value in localhost.items() for word in (f"--{name.replace('_', '-')}", value)]
    command = portway_command(APP, "--port", "0", "--loop", loop, *(options if tls else [])).up()
    context = authority.context() if tls else None
    with dial(command, tls=context, window=1 << 20, wide=True) as client:
        client.ask()
        before, _ = memory(command.process.pid)
        transfer(client)
        _, most = memory(command.process.pid)
        # The windows of an upload, or a piece of each response beside the transport's buffer.
        assert most - before < 30 * KIB
