"""What a connection of HTTP/2 may wait for, and how long, with a clock wound by hand."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from portway import ClientDisconnected
from portway.types import Message, Receive, Scope, Send

Play = Callable[..., None]
NO_ERROR, PROTOCOL_ERROR, CANCEL = 0, 1, 8
OK = {"type": "http.response.start", "status": 200}
BODY = {"type": "http.response.body"}


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await send(OK)
    await send(BODY | {"body": b"hello"})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more = body + message["body"], message["more_body"]
    await send(OK)
    await send(BODY | {"body": body})


class App:
    """Waits for `go`, and does then what `does` says; keeps what it is told and what was raised."""

    def __init__(self, does: str = "answer") -> None:
        self.does = does
        self.go = asyncio.Event()
        self.got: list[Message] = []
        self.raised: list[BaseException] = []
        self.sent = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/fill":
            await self.fill(send)
            return
        await self.go.wait()
        if self.does == "receive":
            while not self.got or self.got[-1]["type"] != "http.disconnect":
                self.got.append(await receive())
            return
        await hello(scope, receive, send)

    async def fill(self, send: Send) -> None:
        await send(OK)
        try:
            while True:
                await send(BODY | {"body": bytes(20_000), "more_body": True})
                self.sent += 1
                await asyncio.sleep(0)
        except ClientDisconnected as error:
            self.raised.append(error)
            raise


async def ask(stage: Any, path: str = "/", **rest: Any) -> Any:
    """A request; what came of it until now."""
    stream = stage.talk.begin(path, **rest)
    await stage.exchange()
    return stage.talk.answers[stream]


# --- the preface, and header blocks ---


def test_a_connection_on_which_nothing_comes_is_closed_without_a_fault(
    play2: Play, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(stage: Any) -> None:
        stage.hand.pass_by(9)
        assert stage.transport.state == "open"
        stage.hand.pass_by(2)
        assert stage.transport.state == "half closed"
        await stage.hear()
        assert stage.talk.goaways == [(0, NO_ERROR, "")]
        stage.hand.pass_by(3)
        assert stage.transport.state == "aborted"

    play2(hello, scene, head=10)
    assert caplog.records == []


@pytest.mark.parametrize("size", [1, 23, 24, 30])
def test_a_preface_has_one_deadline_which_dripping_bytes_do_not_move(play2: Play, size: int) -> None:
    async def scene(stage: Any) -> None:
        for byte in stage.talk.out()[:size]:
            await stage.feed(bytes([byte]))
            stage.hand.pass_by(9.5 / size)
        assert stage.transport.state == "open"
        stage.hand.pass_by(1.5)
        await stage.hear()
        assert stage.talk.goaways[0][:2] == (0, PROTOCOL_ERROR)
        assert stage.transport.state == "half closed"

    play2(hello, scene, head=10)


@pytest.mark.parametrize("beside", [False, True])
def test_so_has_a_header_block_whatever_is_under_way_beside_it(play2: Play, beside: bool) -> None:
    async def scene(stage: Any) -> None:
        await stage.exchange()
        if beside:
            await ask(stage)
        stream = 3 if beside else 1
        await stage.feed(b"\0\0\1\1\0" + stream.to_bytes(4, "big") + b"\x82")
        for _ in range(9):
            stage.hand.pass_by(1)
            await stage.feed(b"\0\0\0\x09\0" + stream.to_bytes(4, "big"))
        assert stage.transport.state == "open"
        stage.hand.pass_by(2)
        await stage.hear()
        assert stage.talk.goaways[0][1] == PROTOCOL_ERROR

    play2(App(), scene, head=10)


# --- between requests ---


def test_an_idle_connection_says_goodbye_after_its_time(play2: Play) -> None:
    async def scene(stage: Any) -> None:
        for _ in range(3):
            assert (await ask(stage)).body == b"hello"
            stage.hand.pass_by(74)
            assert stage.transport.state == "open"
        stage.hand.pass_by(2)
        await stage.hear()
        assert stage.talk.goaways == [(5, NO_ERROR, "")]
        assert stage.transport.state == "half closed"
        assert not stage.link.eof_received()

    play2(hello, scene, idle=75)


def test_what_crosses_that_goodbye_is_not_answered_and_the_client_can_tell(play2: Play) -> None:
    async def scene(stage: Any) -> None:
        await ask(stage)
        late = stage.talk.begin()
        stage.hand.pass_by(76)
        await stage.feed(stage.talk.out())
        await stage.hear()
        ((last, code, _),) = stage.talk.goaways
        assert (last, code) == (1, NO_ERROR)
        assert late > last
        assert stage.transport.state == "half closed"  # no reset, which might take the GOAWAY from its hands

    play2(hello, scene, idle=75)


def test_no_time_to_be_idle_is_no_deadline(play2: Play) -> None:
    async def scene(stage: Any) -> None:
        await ask(stage)
        stage.hand.pass_by(100_000, steps=False)
        assert stage.transport.state == "open"

    play2(hello, scene, idle=0)


def test_an_application_may_take_its_time(play2: Play) -> None:
    app = App()

    async def scene(stage: Any) -> None:
        answer = await ask(stage)
        stage.hand.pass_by(100_000, steps=False)
        stage.hand.pass_by(200)
        app.go.set()
        await stage.turns()
        await stage.hear()
        assert answer.body == b"hello"

    play2(app, scene)


# --- the body ---


def test_each_piece_of_a_body_gives_it_time_anew(play2: Play) -> None:
    async def scene(stage: Any) -> None:
        answer = await ask(stage, method="POST", end=False)
        for byte in b"0123456789":
            stage.hand.pass_by(29)
            stage.talk.h2.send_data(1, bytes([byte]), end_stream=byte == ord("9"))
            await stage.exchange()
        assert answer.body == b"0123456789"

    play2(echo, scene, body=30)


@pytest.mark.parametrize("write", [5, 20, 300])
def test_a_body_that_does_not_go_on_is_refused_and_other_streams_live(play2: Play, write: float) -> None:
    async def scene(stage: Any) -> None:
        answer = await ask(stage, method="POST", end=False)
        stage.hand.pass_by(29)
        await stage.hear()
        assert not answer.over
        assert (await ask(stage)).body == b""
        stage.hand.pass_by(33)
        await stage.hear()
        assert (answer.status, answer.ended) == (408, True)
        await stage.turns()
        assert not stage.counts.running  # the application was told
        assert (await ask(stage)).ended
        assert stage.transport.state == "open"

    play2(echo, scene, body=30, write=write)


def test_a_body_that_stops_amid_the_response_resets_the_stream(play2: Play) -> None:
    raised: list[BaseException] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(OK)
        await send(BODY | {"body": b"begun", "more_body": True})
        assert (await receive())["type"] == "http.disconnect"
        try:
            await send(BODY)
        except ClientDisconnected as error:
            raised.append(error)

    async def scene(stage: Any) -> None:
        answer = await ask(stage, method="POST", end=False)
        stage.hand.pass_by(62)
        await stage.hear()
        assert (answer.status, answer.body, answer.ended, answer.code) == (200, b"begun", False, CANCEL)
        await stage.turns()

    play2(app, scene, body=30)
    assert len(raised) == 1


def test_an_application_that_does_not_read_is_no_fault_of_the_client(play2: Play) -> None:
    async def scene(stage: Any) -> None:
        answer = await ask(stage, method="POST", end=False)
        stage.talk.h2.send_data(1, b"01234")
        await stage.exchange()
        stage.hand.pass_by(1000)
        await stage.hear()
        assert not answer.over

    play2(App(), scene, body=30)


def test_nor_is_one_that_has_not_said_continue(play2: Play) -> None:
    app = App("receive")

    async def scene(stage: Any) -> None:
        stream = stage.talk.begin("/", ("expect", "100-continue"), method="POST", end=False)
        await stage.exchange()
        answer = stage.talk.answers[stream]
        stage.hand.pass_by(1000)
        await stage.hear()
        assert not answer.over
        app.go.set()
        await stage.turns()
        stage.hand.pass_by(29)
        await stage.hear()
        assert (answer.interim, answer.over) == ([[(":status", "100")]], False)
        stage.hand.pass_by(33)
        await stage.hear()
        assert answer.status == 408

    play2(app, scene, body=30)


def test_who_may_not_send_is_not_late(play2: Play) -> None:
    """The connection's window is used up by requests that nobody reads."""

    async def scene(stage: Any) -> None:
        await stage.exchange()
        full = [stage.talk.begin(method="POST", end=False) for _ in range(4)]
        waiting = stage.talk.begin(method="POST", end=False)
        await stage.exchange()
        for stream in full:
            for _ in range(16):
                stage.talk.h2.send_data(stream, bytes(16384))
                await stage.exchange()
        assert stage.talk.h2.outbound_flow_control_window == 0
        stage.hand.pass_by(1000)
        await stage.hear()
        assert not stage.talk.answers[waiting].over

    play2(App(), scene, body=30)


@pytest.mark.parametrize("how", ["a header block", "a full transport"])
def test_nothing_puts_off_the_end_of_a_stream_on_which_nothing_comes(play2: Play, how: str) -> None:
    async def scene(stage: Any) -> None:
        await ask(stage, method="POST", end=False)
        (cycle,) = stage.counts.running
        for turn in range(8):
            stage.hand.pass_by(9)
            stream = (3 + 2 * turn).to_bytes(4, "big")
            if how == "a header block":
                await stage.feed(b"\0\0\1\1\0" + stream + b"\x82")
            else:
                stage.link.pause_writing()
            stage.hand.pass_by(9)
            if how == "a header block":
                await stage.feed(b"\0\0\5\x09\4" + stream + b"\x86\x84\x01\x01a")
            else:
                stage.link.resume_writing()
        stage.hand.pass_by(1)
        await stage.turns()
        assert (cycle.status, cycle.ended) == (408, True)

    play2(echo, scene, head=10, body=30, write=20)


def test_who_never_ends_a_request_that_was_answered_is_reset_without_a_word(
    play2: Play, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(stage: Any) -> None:
        stream = stage.talk.begin("/", ("content-length", "3"), method="POST", end=False)
        await stage.exchange()
        assert stage.talk.answers[stream].body == b"hello"
        assert stage.talk.answers[stream].code is None
        stage.hand.pass_by(62)
        await stage.hear()
        assert "StreamReset" in stage.talk.kinds
        stage.hand.pass_by(75)
        assert stage.transport.state == "half closed"

    play2(hello, scene, body=30)
    assert caplog.records == []


# --- the response ---


@pytest.mark.parametrize("body", [5, 30, 300])
def test_a_client_that_opens_no_window_loses_its_stream_and_no_other(play2: Play, body: float) -> None:
    app = App()
    app.go.set()

    async def scene(stage: Any) -> None:
        stage.talk.reads = False
        stage.talk.h2.increment_flow_control_window(1 << 20)
        answer = await ask(stage, "/fill")
        assert len(answer.body) == 65535
        stage.hand.pass_by(19)
        assert (await ask(stage)).body == b"hello"
        assert not answer.over
        stage.hand.pass_by(23)
        await stage.hear()
        assert answer.code == CANCEL
        await stage.turns()
        assert [type(error) for error in app.raised] == [ClientDisconnected]
        assert (await ask(stage)).body == b"hello"
        assert stage.transport.state == "open"

    play2(app, scene, write=20, body=body)


def test_one_that_opens_it_a_little_at_a_time_keeps_it(play2: Play) -> None:
    app = App()

    async def scene(stage: Any) -> None:
        stage.talk.reads = False
        stage.talk.h2.increment_flow_control_window(1 << 20)
        answer = await ask(stage, "/fill")
        for _ in range(10):
            stage.hand.pass_by(19)
            stage.talk.h2.increment_flow_control_window(1000, 1)
            await stage.exchange()
        assert not answer.over
        assert len(answer.body) == 65535 + 10_000

    play2(app, scene, write=20)


def test_a_connection_without_a_window_loses_its_streams(play2: Play) -> None:
    app = App()

    async def scene(stage: Any) -> None:
        stage.talk.reads = False
        answers = [await ask(stage, "/fill") for _ in range(3)]
        stage.hand.pass_by(43)
        await stage.hear()
        assert [answer.code for answer in answers] == [CANCEL] * 3
        assert stage.transport.state == "open"

    play2(app, scene, write=20)


def test_who_only_waits_for_its_turn_is_not_given_up(play2: Play) -> None:
    app = App()

    async def scene(stage: Any) -> None:
        stage.talk.reads = False
        stage.talk.h2.increment_flow_control_window((1 << 20) - 65535)
        stage.talk.h2.update_settings({4: 1 << 20})
        urgent = stage.talk.begin("/fill", ("priority", "u=0"))
        await stage.exchange()
        patient = await ask(stage, "/fill")
        for _ in range(20):
            stage.hand.pass_by(10)
            stage.talk.h2.increment_flow_control_window(1000)
            stage.talk.h2.increment_flow_control_window(1000, urgent)
            await stage.exchange()
        assert not patient.over
        assert not stage.talk.answers[urgent].over

    play2(app, scene, write=20)


def test_one_that_reads_nothing_at_all_loses_its_connection(play2: Play) -> None:
    app = App()

    async def scene(stage: Any) -> None:
        stage.talk.h2.update_settings({4: (1 << 31) - 1})
        stage.talk.h2.increment_flow_control_window(1 << 30)
        await stage.exchange()
        stage.talk.begin("/fill")
        stage.transport.unsent = 100_000
        stage.link.pause_writing()
        await stage.feed(stage.talk.out())
        assert app.sent < 3
        stage.hand.pass_by(19)
        stage.transport.unsent -= 1
        stage.hand.pass_by(19)
        assert stage.transport.state == "open"
        stage.hand.pass_by(24)
        assert stage.transport.state == "aborted"

    play2(app, scene, write=20)


def test_after_there_is_room_again_it_goes_on(play2: Play) -> None:
    app = App()

    async def scene(stage: Any) -> None:
        stage.talk.h2.update_settings({4: (1 << 31) - 1})
        stage.talk.h2.increment_flow_control_window(1 << 30)
        await stage.exchange()
        sent = 0
        stage.transport.unsent = 100_000
        stage.link.pause_writing()
        stage.talk.begin("/fill")
        await stage.feed(stage.talk.out())
        for _ in range(3):
            assert stage.transport.written == b""
            stage.link.resume_writing()
            await stage.turns()
            assert app.sent > sent
            stage.link.pause_writing()
            await stage.turns()
            sent = app.sent
            await stage.turns()
            assert app.sent == sent
            stage.transport.written = b""

    play2(app, scene, write=20)


def test_answers_are_not_heaped_up_for_who_reads_none(play2: Play) -> None:
    async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
        await send(OK | {"status": 204})
        await send(BODY)

    async def scene(stage: Any) -> None:
        await stage.exchange()
        stage.transport.unsent = 100_000
        stage.link.pause_writing()
        count = 0
        while stage.transport.reading:
            get = b"\x82\x86\x84\x41\x01a"
            await stage.feed(b"\0\0\6\1\5" + (2 * count + 1).to_bytes(4, "big") + get)
            count += 1
            assert count < 10_000, "the server reads on and on"
        assert stage.transport.written == b""
        stage.link.resume_writing()
        await stage.turns()
        assert stage.transport.reading
        assert stage.transport.written.count(b"\1\5\0\0") == count  # HEADERS that end their streams

    play2(nothing, scene)


# --- the end of the server ---


@pytest.mark.parametrize("answers", [False, True])
def test_a_server_that_stops_says_so_twice(play2: Play, answers: bool) -> None:
    app = App()

    async def scene(stage: Any) -> None:
        first = await ask(stage)
        stage.link.drain()
        assert stage.link.drain() is None  # as often as one likes
        await stage.hear()
        assert stage.talk.goaways == [(2**31 - 1, NO_ERROR, "")]
        pong = stage.talk.out()
        second = stage.talk.begin()
        await stage.feed(stage.talk.out())
        if answers:
            await stage.feed(pong)
        else:
            stage.hand.pass_by(2)
        await stage.hear()
        assert stage.talk.goaways[1:] == [(3, NO_ERROR, "")]
        third = stage.talk.begin()
        await stage.feed(stage.talk.out())
        app.go.set()
        await stage.turns()
        await stage.hear()
        assert (first.body, stage.talk.answers[second].body) == (b"hello", b"hello")
        assert not stage.talk.answers[third].over
        assert third > stage.talk.goaways[-1][0]
        assert stage.transport.state == "half closed"

    play2(app, scene)
