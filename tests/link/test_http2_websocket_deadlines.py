"""What a WebSocket on a stream of HTTP/2 may wait for, and how long, with a clock wound by hand."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from portway.types import Message, Receive, Scope, Send

Play = Callable[..., None]
NO_ERROR, CANCEL = 0, 8
CLOSE = b"\x88\x82\0\0\0\0\x03\xe8"  # 1000


class App:
    """Accepts, and keeps what it is told; what it `does` it does when `go` is set."""

    def __init__(self, does: str = "") -> None:
        self.does = does
        self.go = asyncio.Event()
        self.got: list[Message] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if self.does == "accept later":
            await self.go.wait()
        await send({"type": "websocket.accept"})
        if self.does == "close":
            await self.go.wait()
            await send({"type": "websocket.close"})
        while not self.got or self.got[-1]["type"] != "websocket.disconnect":
            self.got.append(await receive())


async def opened(stage: Any) -> Any:
    await stage.exchange()
    stream = stage.talk.connect()
    await stage.exchange()
    assert stage.talk.answers[stream].status == 200
    return stage.talk.answers[stream]


LOST = {"type": "websocket.disconnect", "code": 1006, "reason": ""}


def test_a_silent_websocket_is_asked_and_given_up_if_it_does_not_answer(play2: Play) -> None:
    app = App()

    async def scene(stage: Any) -> None:
        answer = await opened(stage)
        beside = await opened(stage)
        for _ in range(3):
            stage.hand.pass_by(19)
            await stage.hear()
            count = beside.body.count(b"\x89\0")
            stage.hand.pass_by(2)
            await stage.hear()
            assert answer.body == b"\x89\0"
            assert beside.body.count(b"\x89\0") == count + 1
            stage.talk.h2.send_data(3, b"\x8a\x80\0\0\0\0")
            await stage.exchange()
            if not answer.over:
                stage.hand.pass_by(6)
                await stage.hear()
                assert (answer.body, answer.code) == (b"\x89\0", CANCEL)
                stage.talk.h2.send_data(3, b"\x8a\x80\0\0\0\0")
                await stage.exchange()
        assert not beside.over
        assert app.got == [LOST]

    play2(app, scene, ping=20, pong=5)


def test_an_application_may_take_its_time_to_accept(play2: Play) -> None:
    app = App("accept later")

    async def scene(stage: Any) -> None:
        await stage.exchange()
        answer = stage.talk.answers[stage.talk.connect()]
        await stage.exchange()
        stage.hand.pass_by(1000)
        await stage.hear()
        assert not answer.over
        app.go.set()
        await stage.turns()
        await stage.hear()
        assert (answer.status, answer.over) == (200, False)

    play2(app, scene)


def test_an_open_websocket_that_is_silent_has_no_other_deadline(play2: Play) -> None:
    async def scene(stage: Any) -> None:
        answer = await opened(stage)
        stage.hand.pass_by(1000)
        await stage.hear()
        assert not answer.over

    play2(App(), scene)


@pytest.mark.parametrize("answers", [False, True])
def test_a_close_has_a_deadline(play2: Play, answers: bool) -> None:
    app = App("close")

    async def scene(stage: Any) -> None:
        answer = await opened(stage)
        app.go.set()
        await stage.turns()
        await stage.hear()
        assert (answer.body, answer.over) == (b"\x88\x02\x03\xe8", False)
        stage.hand.pass_by(9)
        if answers:
            stage.talk.h2.send_data(1, CLOSE, end_stream=True)
            await stage.exchange()
            assert (answer.ended, answer.code) == (True, None)
        else:
            stage.hand.pass_by(2)
            await stage.hear()
            assert answer.code == CANCEL
            await stage.turns()
        assert app.got == [LOST | {"code": 1000 if answers else 1006}]
        assert stage.transport.state == "open"

    play2(app, scene, close=10)


def test_who_does_not_end_the_stream_of_a_closed_websocket_is_reset_without_a_word(
    play2: Play, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(stage: Any) -> None:
        answer = await opened(stage)
        stage.talk.h2.send_data(1, CLOSE)
        await stage.exchange()
        assert (answer.ended, answer.code) == (True, None)
        stage.hand.pass_by(62)
        await stage.hear()
        assert answer.code == NO_ERROR

    play2(App(), scene, body=30)
    assert caplog.records == []


@pytest.mark.parametrize("crossing", [False, True])
def test_one_that_is_accepted_while_the_server_stops_is_closed(play2: Play, crossing: bool) -> None:
    app = App("accept later")

    async def scene(stage: Any) -> None:
        await stage.exchange()
        stream = stage.talk.connect()
        await stage.exchange()
        stage.link.drain()
        if crossing:
            stream = stage.talk.connect()  # sent before our GOAWAY came
            await stage.feed(stage.talk.out())
        app.go.set()
        await stage.hear()
        answer = stage.talk.answers[stream]
        assert (answer.status, answer.body) == (200, b"\x88\x02\x03\xf4")

    play2(app, scene)


def test_a_lost_connection_has_no_deadline(play2: Play) -> None:
    app = App()

    async def scene(stage: Any) -> None:
        await opened(stage)
        stage.link.connection_lost(None)
        await stage.turns()
        stage.hand.pass_by(1000)
        assert stage.hand.faults == []
        assert app.got == [LOST]

    play2(app, scene, ping=20, pong=5)
