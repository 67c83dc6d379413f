"""What a WebSocket may wait for, and how long, with a clock wound by hand."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from portway.types import Message, Receive, Scope, Send

Play = Callable[..., None]

OPENING = (
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
PING = b"\x89\x00"
PONG = b"\x8a\x80\0\0\0\0"
TEXT = b"\x81\x82\0\0\0\0hi"
CLOSE = b"\x88\x82\0\0\0\0\x03\xe8"  # 1000
OURS = b"\x88\x02\x03\xe8"


class App:
    """Accepts, and keeps what it is told. What it `holds` it does when `go` is set, and not before: to accept, to
    receive, or to close.
    """

    def __init__(self, holds: str = "") -> None:
        self.holds = holds
        self.go = asyncio.Event()
        self.got: list[Message] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if self.holds == "accept":
            await self.go.wait()
        await send({"type": "websocket.accept"})
        if self.holds == "receive":
            await self.go.wait()
        if self.holds == "close":
            await self.go.wait()
            await send({"type": "websocket.close"})
        while not self.got or self.got[-1]["type"] != "websocket.disconnect":
            self.got.append(await receive())


async def opened(stage: Any) -> None:
    """The handshake is over, and nothing is written."""
    await stage.feed(OPENING)
    assert stage.transport.written.startswith(b"HTTP/1.1 101 ")
    stage.transport.written = b""


LOST = {"type": "websocket.disconnect", "code": 1006, "reason": ""}


# --- pings ---


def test_a_silent_peer_is_asked_and_given_up_if_it_does_not_answer(play: Play) -> None:
    app = App()

    async def scene(stage: Any) -> None:
        await opened(stage)
        stage.hand.pass_by(19)
        assert stage.transport.written == b""
        stage.hand.pass_by(2)
        assert stage.transport.written == PING
        stage.hand.pass_by(4)
        assert stage.transport.state == "open"
        stage.hand.pass_by(2)
        assert (stage.transport.state, stage.transport.written) == ("aborted", PING)
        stage.link.connection_lost(None)
        await stage.turns()
        assert app.got == [LOST]
        assert not stage.counts.running

    play(app, scene, ping=20, pong=5)


@pytest.mark.parametrize("answer", [PONG, TEXT, TEXT[:1], CLOSE[:3], b"\x89\x80\0\0\0\0"])
def test_whatever_it_sends_is_an_answer(play: Play, answer: bytes) -> None:
    async def scene(stage: Any) -> None:
        await opened(stage)
        stage.hand.pass_by(21)
        assert stage.transport.written == PING
        stage.hand.pass_by(4)
        await stage.feed(answer)
        stage.hand.pass_by(19)
        assert stage.transport.state == "open"
        assert stage.transport.written.count(PING) == 1
        stage.hand.pass_by(2)
        assert stage.transport.written.count(PING) == 2
        stage.hand.pass_by(6)
        assert stage.transport.state == "aborted"

    play(App(), scene, ping=20, pong=5)


def test_a_peer_that_talks_is_not_asked(play: Play) -> None:
    async def scene(stage: Any) -> None:
        await opened(stage)
        for _ in range(10):
            stage.hand.pass_by(19)
            await stage.feed(TEXT)
        assert stage.transport.written == b""

    play(App(), scene, ping=20, pong=5)


def test_a_peer_that_answers_stays_for_ever(play: Play) -> None:
    async def scene(stage: Any) -> None:
        await opened(stage)
        for number in range(1, 100):
            stage.hand.pass_by(21)
            assert stage.transport.written == PING * number
            await stage.feed(PONG)
        assert stage.transport.state == "open"

    play(App(), scene, ping=20, pong=5)


def test_no_interval_is_no_ping_and_no_deadline(play: Play) -> None:
    async def scene(stage: Any) -> None:
        await opened(stage)
        await stage.feed(TEXT)
        stage.hand.pass_by(100_000, steps=False)
        assert (stage.transport.state, stage.transport.written) == ("open", b"")

    play(App(), scene, ping=0, pong=5)


def test_no_timeout_is_one_ping_and_no_deadline(play: Play) -> None:
    async def scene(stage: Any) -> None:
        await opened(stage)
        stage.hand.pass_by(100_000, steps=False)
        stage.hand.pass_by(1000)
        assert (stage.transport.state, stage.transport.written) == ("open", PING)

    play(App(), scene, ping=20, pong=0)


def test_a_lost_connection_has_no_deadline_though_something_was_not_written(play: Play) -> None:
    app = App()

    async def scene(stage: Any) -> None:
        await opened(stage)
        stage.transport.unsent = 1000
        stage.link.connection_lost(None)
        await stage.turns()
        assert app.got == [LOST]
        stage.hand.pass_by(1000)
        assert stage.hand.faults == []

    play(app, scene)


def test_an_application_may_take_its_time_to_accept(play: Play) -> None:
    app = App("accept")

    async def scene(stage: Any) -> None:
        await stage.feed(OPENING)
        stage.hand.pass_by(1000)
        assert (stage.transport.state, stage.transport.written) == ("open", b"")
        app.go.set()
        await stage.turns()
        stage.transport.written = b""
        stage.hand.pass_by(19)
        assert stage.transport.written == b""
        stage.hand.pass_by(2)
        assert stage.transport.written == PING

    play(app, scene, ping=20, pong=5)


def test_an_application_that_does_not_receive_is_no_fault_of_the_peer(play: Play) -> None:
    app = App("receive")

    async def scene(stage: Any) -> None:
        await opened(stage)
        await stage.feed(TEXT * 20)
        assert not stage.transport.reading
        stage.hand.pass_by(1000)
        assert (stage.transport.state, stage.transport.written) == ("open", b"")
        app.go.set()
        await stage.turns()
        assert stage.transport.reading
        assert app.got == [{"type": "websocket.receive", "text": "hi"}] * 20
        stage.hand.pass_by(21)
        assert stage.transport.written == PING
        stage.hand.pass_by(6)
        assert stage.transport.state == "aborted"

    play(app, scene, ping=20, pong=5)


def test_a_transport_without_room_has_its_own_deadline(play: Play) -> None:
    async def scene(stage: Any) -> None:
        await opened(stage)
        stage.transport.unsent = 100_000
        stage.link.pause_writing()
        for _ in range(5):
            stage.hand.pass_by(19)
            stage.transport.unsent -= 1
            assert stage.transport.state == "open"
        assert stage.transport.written == b""  # and no ping behind it
        stage.hand.pass_by(50)
        assert stage.transport.state == "aborted"

    play(App(), scene, ping=5, pong=5, write=20)


def test_after_there_is_room_again_the_peer_is_asked_as_before(play: Play) -> None:
    async def scene(stage: Any) -> None:
        await opened(stage)
        stage.transport.unsent = 100_000
        stage.link.pause_writing()
        stage.hand.pass_by(15)
        stage.transport.unsent = 0
        stage.link.resume_writing()
        stage.hand.pass_by(4)
        assert stage.transport.written == b""
        stage.hand.pass_by(2)
        assert stage.transport.written == PING

    play(App(), scene, ping=5, pong=5, write=20)


# --- the closing handshake ---


def test_a_close_that_is_answered_late_is_a_close(play: Play) -> None:
    app = App("close")

    async def scene(stage: Any) -> None:
        await opened(stage)
        app.go.set()
        await stage.turns()
        assert stage.transport.written == OURS
        stage.hand.pass_by(9)
        assert stage.transport.state == "open"
        await stage.feed(CLOSE)
        assert (stage.transport.state, stage.transport.written) == ("closed", OURS)
        assert app.got == [LOST | {"code": 1000}]

    play(app, scene, ping=3, pong=3, close=10)


def test_a_close_that_is_never_answered_has_a_deadline(play: Play) -> None:
    app = App("close")

    async def scene(stage: Any) -> None:
        await opened(stage)
        app.go.set()
        await stage.turns()
        stage.hand.pass_by(11)
        assert (stage.transport.state, stage.transport.written) == ("aborted", OURS)  # and no ping behind it
        stage.link.connection_lost(None)
        await stage.turns()
        assert app.got == [LOST]

    play(app, scene, ping=3, pong=3, close=10)


def test_so_has_one_to_a_peer_that_was_asked_already(play: Play) -> None:
    app = App("close")

    async def scene(stage: Any) -> None:
        await opened(stage)
        stage.hand.pass_by(21)
        assert stage.transport.written == PING
        app.go.set()
        await stage.turns()
        stage.hand.pass_by(9)
        assert stage.transport.state == "open"
        stage.hand.pass_by(2)
        assert (stage.transport.state, stage.transport.written) == ("aborted", PING + OURS)

    play(app, scene, ping=20, pong=60, close=10)


def test_messages_do_not_move_the_deadline_of_a_close(play: Play) -> None:
    # Else a peer that never closes, and talks on, would stay for ever.
    app = App("close")

    async def scene(stage: Any) -> None:
        await opened(stage)
        app.go.set()
        await stage.turns()
        for _ in range(5):
            stage.hand.pass_by(3)
            await stage.feed(TEXT)
        assert stage.transport.state == "aborted"

    play(app, scene, close=10)


def test_a_close_amid_messages_that_wait_reads_on(play: Play) -> None:
    app = App("close")

    async def scene(stage: Any) -> None:
        await opened(stage)
        await stage.feed(TEXT * 20)
        assert not stage.transport.reading
        app.go.set()
        await stage.turns()
        assert stage.transport.reading
        stage.hand.pass_by(9)
        await stage.feed(TEXT * 20 + CLOSE)
        assert (stage.transport.state, stage.transport.written) == ("closed", OURS)
        assert app.got == [LOST | {"code": 1000}]

    play(app, scene, close=10)


def test_a_peer_that_does_not_hang_up_after_a_fault_is_not_waited_for(play: Play) -> None:
    app = App()

    async def scene(stage: Any) -> None:
        await opened(stage)
        await stage.feed(b"\x81\x02hi")
        assert stage.transport.written.startswith(b"\x88")
        assert stage.transport.state == "half closed"
        stage.hand.pass_by(1)
        await stage.feed(TEXT)
        assert stage.transport.state == "half closed"
        stage.hand.pass_by(2)
        assert stage.transport.state == "aborted"
        assert app.got == [LOST | {"code": 1002, "reason": "a frame is not masked"}]

    play(app, scene, ping=20, pong=5)


def test_our_last_word_must_be_read(play: Play) -> None:
    async def scene(stage: Any) -> None:
        await opened(stage)
        stage.transport.unsent = 100  # below the high-water mark: nobody waits, and nothing is full
        await stage.feed(CLOSE)
        assert stage.transport.state == "closed"
        stage.hand.pass_by(21)
        assert stage.transport.state == "aborted"

    play(App(), scene, write=20)


def test_a_lost_connection_has_no_deadline(play: Play) -> None:
    app = App()

    async def scene(stage: Any) -> None:
        await opened(stage)
        stage.link.connection_lost(None)
        await stage.turns()
        stage.hand.pass_by(1000)
        assert stage.hand.faults == []
        assert app.got == [LOST]

    play(app, scene, ping=20, pong=5)


def test_no_ping_is_sent_to_a_connection_that_drains(play: Play) -> None:
    app = App()

    async def scene(stage: Any) -> None:
        await opened(stage)
        stage.link.drain()
        await stage.turns()
        assert stage.transport.written == b"\x88\x02\x03\xf4"  # 1012
        stage.hand.pass_by(11)
        assert (stage.transport.state, stage.transport.written) == ("aborted", b"\x88\x02\x03\xf4")

    play(app, scene, ping=3, pong=3, close=10)
