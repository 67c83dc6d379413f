"""What becomes of connections when the server stops: what has come is answered, and who is about to ask is."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from portway.testing import Raw, Served, serve
from portway.types import Receive, Scope, Send

Play = Callable[..., None]

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
LAST = b"\r\nconnection: close\r\n"
LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
ALL = 2**31 - 1


class App:
    """Answers with the path; the first piece of /slow comes at once, and all else of /wait and /slow after `go`."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.begun = threading.Semaphore(0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        path = scope["path"]
        self.begun.release()
        if path == "/wait":
            await self.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(path))]})
        if path == "/slow":
            await send({"type": "http.response.body", "body": b"/", "more_body": True})
            await self.wait()
            path = "slow"
        await send({"type": "http.response.body", "body": path.encode()})

    async def wait(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self.go.wait, 20)


def stop(stage: Any, patient: bool = False) -> None:
    """What the server does to a link."""
    stage.counts.draining = True
    stage.counts.patient = patient
    stage.link.drain()


@pytest.fixture
def wire() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A socket for a transport, and the client's end."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


# --- HTTP/1.1 ---


def test_an_idle_connection_is_closed_at_once(play: Play) -> None:
    async def scene(stage: Any) -> None:
        await stage.feed(GET)
        stop(stage)
        assert stage.transport.state == "closed"

    play(App(), scene)


def test_one_with_a_request_in_the_kernel_answers_it_first(
    play: Play, wire: tuple[socket.socket, socket.socket]
) -> None:
    async def scene(stage: Any) -> None:
        stage.transport.socket, client = wire
        await stage.feed(GET)
        client.send(GET)
        stop(stage)
        stage.hand.pass_by(5)  # however long the loop is busy elsewhere
        assert stage.transport.state == "open"
        stage.transport.written = b""
        await stage.feed(wire[0].recv(1000))
        assert LAST in stage.transport.written
        assert stage.transport.state == "closed"

    play(App(), scene)


def test_a_patient_stop_closes_after_a_second_of_silence(play: Play) -> None:
    async def scene(stage: Any) -> None:
        await stage.feed(GET)
        stage.hand.pass_by(0.5)
        stop(stage, patient=True)
        stage.hand.pass_by(0.25)
        assert stage.transport.state == "open"
        stage.hand.pass_by(1)
        assert stage.transport.state == "closed"

    play(App(), scene)


def test_a_silence_that_was_there_before_counts(play: Play) -> None:
    async def scene(stage: Any) -> None:
        await stage.feed(GET)
        stage.hand.pass_by(5)
        stop(stage, patient=True)
        assert stage.transport.state == "closed"

    play(App(), scene)


def test_a_request_within_that_second_is_answered_and_told_to_be_the_last(play: Play) -> None:
    async def scene(stage: Any) -> None:
        await stage.feed(GET)
        assert LAST not in stage.transport.written
        stop(stage, patient=True)
        await stage.feed(GET)
        assert LAST in stage.transport.written
        assert stage.transport.state == "closed"

    play(App(), scene)


def test_who_was_let_in_just_now_is_waited_for_without_patience_too(play: Play) -> None:
    async def scene(stage: Any) -> None:
        stop(stage)
        stage.hand.pass_by(0.5)
        assert stage.transport.state == "open"
        await stage.feed(GET)
        assert LAST in stage.transport.written
        assert stage.transport.state == "closed"

    play(App(), scene)


def test_but_not_for_longer_than_a_second(play: Play) -> None:
    async def scene(stage: Any) -> None:
        stop(stage)
        stage.hand.pass_by(1.5)
        assert stage.transport.state == "closed"

    play(App(), scene)


def test_who_is_let_in_while_the_server_stops_is_treated_the_same(play: Play) -> None:
    async def scene(stage: Any) -> None:
        stage.counts.draining = True
        link, transport = type(stage.link)(stage.shared), type(stage.transport)()
        link.connection_made(transport)
        assert transport.state == "open"
        stage.hand.pass_by(1.5)
        assert transport.state == "closed"
        link.connection_lost(None)

    play(App(), scene)


def test_a_head_that_has_begun_has_its_own_time(play: Play) -> None:
    async def scene(stage: Any) -> None:
        stop(stage)
        await stage.feed(GET[:10])
        stage.hand.pass_by(5)
        assert stage.transport.state == "open"
        await stage.feed(GET[10:])
        assert LAST in stage.transport.written

    play(App(), scene)


def test_pipelined_requests_that_have_come_are_all_answered_and_the_last_one_says_so(play: Play) -> None:
    async def scene(stage: Any) -> None:
        await stage.feed(GET * 3 + b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n" + GET * 3)
        stop(stage)
        app.go.set()
        while stage.transport.state == "open":
            await stage.turns()
        assert stage.transport.written.count(b"HTTP/1.1 200 OK") == 7
        assert stage.transport.written.count(LAST) == 1
        assert LAST in stage.transport.written.rpartition(b"HTTP/1.1")[2]

    app = App()
    play(app, scene)


def test_those_that_are_yet_in_the_kernel_count_as_well(play: Play, wire: tuple[socket.socket, socket.socket]) -> None:
    async def scene(stage: Any) -> None:
        stage.transport.socket, client = wire
        await stage.feed(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n")
        client.send(GET)
        stop(stage)
        app.go.set()
        while not stage.transport.written.endswith(b"/wait"):
            await stage.turns()
        assert LAST not in stage.transport.written
        assert stage.transport.state == "open"
        await stage.feed(wire[0].recv(1000))
        assert LAST in stage.transport.written
        assert stage.transport.state == "closed"

    app = App()
    play(app, scene)


def test_after_a_response_that_had_begun_the_next_request_is_answered(play: Play) -> None:
    async def scene(stage: Any) -> None:
        await stage.feed(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n")
        stop(stage, patient=True)
        app.go.set()
        while not stage.transport.written.endswith(b"slow"):
            await stage.turns()
        assert stage.transport.state == "open"
        await stage.feed(GET)
        assert LAST in stage.transport.written
        assert stage.transport.state == "closed"

    app = App()
    play(app, scene)


# --- HTTP/2 ---


def test_an_idle_connection_of_http2_is_told_at_once(play2: Play) -> None:
    async def scene(stage: Any) -> None:
        first = stage.talk.begin("/")
        await stage.exchange()
        stop(stage)
        await stage.hear()
        assert stage.talk.goaways == [(first, 0, "")]

    play2(App(), scene)


def test_a_patient_stop_answers_what_was_sent_before_the_goaway_came_there(play2: Play) -> None:
    async def scene(stage: Any) -> None:
        stage.talk.begin("/")
        await stage.exchange()
        stop(stage, patient=True)
        crossing = stage.talk.begin("/crossing")
        await stage.exchange()
        assert stage.talk.answers[crossing].body == b"/crossing"
        await stage.exchange()  # our answer to the ping
        assert [last for last, _, _ in stage.talk.goaways] == [ALL, crossing]

    play2(App(), scene)


def test_what_waits_in_the_kernel_is_answered_before_the_last_goaway(
    play2: Play, wire: tuple[socket.socket, socket.socket]
) -> None:
    async def scene(stage: Any) -> None:
        stage.transport.socket, client = wire
        stage.talk.begin("/")
        await stage.exchange()
        waiting = stage.talk.begin("/waiting")
        client.send(stage.talk.out())
        stop(stage)
        stage.hand.pass_by(5)  # no answer comes to the ping
        await stage.feed(wire[0].recv(1000))
        await stage.hear()
        assert stage.talk.answers[waiting].body == b"/waiting"
        stage.hand.pass_by(5)
        await stage.hear()
        assert [last for last, _, _ in stage.talk.goaways] == [ALL, waiting]

    play2(App(), scene)


# --- the same on the wire ---


@pytest.fixture
def served(loop: str) -> Iterator[Served]:
    with serve(App(), loop=loop, timeout_graceful_shutdown=20) as served:
        yield served


def wait_for_the_drain(watch: Raw) -> None:
    """Until the server has told this connection."""
    while watch.ask(GET).header("connection") != "close":
        pass


@LOOPS
def test_a_keep_alive_client_loses_nothing(served: Served) -> None:
    with Raw(served.host, served.port) as watch, Raw(served.host, served.port) as late:
        assert late.ask(GET).status == 200
        served.server.stop(patient=True)
        wait_for_the_drain(watch)
        last = late.ask(GET)
        assert (last.status, last.header("connection")) == (200, "close")
        assert late.rest() == b""


@LOOPS
def test_who_has_connected_and_said_nothing_is_answered(served: Served) -> None:
    with Raw(served.host, served.port) as watch, Raw(served.host, served.port) as late:
        served.server.stop(patient=True)
        wait_for_the_drain(watch)
        assert late.ask(GET).header("connection") == "close"


@LOOPS
def test_a_crowd_of_pipelined_requests_is_answered_to_the_last(served: Served) -> None:
    app = served.server.service._app
    with Raw(served.host, served.port) as watch, Raw(served.host, served.port) as raw:
        raw.send(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n" + GET * 5000)  # more than is read at once
        assert app.begun.acquire(timeout=20)
        served.server.stop(patient=True)
        wait_for_the_drain(watch)
        app.go.set()
        answers = [raw.response() for _ in range(5001)]
        assert {answer.status for answer in answers} == {200}
        assert [answer.header("connection") for answer in answers] == [None] * 5000 + ["close"]
        assert raw.rest() == b""


@LOOPS
def test_a_client_that_goes_on_pipelining_has_the_grace(loop: str) -> None:
    with serve(App(), loop=loop, timeout_graceful_shutdown=0.2) as served, Raw(served.host, served.port) as raw:
        writing = threading.Thread(target=flood, args=(raw,))
        writing.start()
        assert raw.response().status == 200
        served.server.stop()
        raw.rest()
        writing.join(20)


def flood(raw: Raw) -> None:
    try:
        while True:
            raw.send(GET * 100)
    except OSError:
        pass


@LOOPS
@pytest.mark.parametrize("tls", [False, True])
def test_a_request_of_http2_that_crosses_the_goaway_is_answered(
    dial: Any, authority: Any, localhost: dict[str, str], loop: str, tls: bool
) -> None:
    with (
        serve(App(), loop=loop, **(localhost if tls else {})) as served,
        dial(served, tls=authority.context() if tls else None) as client,
    ):
        assert client.ask("/").status == 200
        served.server.stop(patient=True)
        crossing = client.talk.begin("/crossing")  # sent before anything of the stop was seen
        client.flush()
        assert client.answer(crossing).body == b"/crossing"
        while client.look():
            pass
        assert [last for last, _, _ in client.talk.goaways] == [ALL, crossing]
