"""How connections of HTTP/2 end: by the server's stop, by a client that leaves, and by one that does both at once."""

import asyncio
import socket
import threading
from typing import Any

import pytest

from portway import ClientDisconnected
from portway.testing import serve
from portway.types import Receive, Scope, Send

LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
OK = {"type": "http.response.start", "status": 200}
BODY = {"type": "http.response.body"}
ALL = 2**31 - 1


class Gate:
    """Opened by any thread, and waited for on one loop."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def set(self) -> None:
        if self._loop is None:
            self._event.set()
        else:
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._event.wait()


class App:
    """Waits for `go` on /wait, and for ever, sending, on /flood, waiting to be told on /listen; answers with the path.

    `ends` is how each request ended.
    """

    def __init__(self, count: int = 1) -> None:
        self.go = Gate()
        self.here = threading.Event()
        self.gone = threading.Event()
        self.count = count
        self.begun = 0
        self.ends: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path == "/plain":
            await self.answer(path, send)
            return
        self.begun += 1
        if self.begun == self.count:
            self.here.set()
        try:
            await self.play(path, receive, send)
        except ClientDisconnected:
            self.ends.append("raised")
            raise
        except asyncio.CancelledError:
            self.ends.append("cancelled")
            raise
        finally:
            if len(self.ends) == self.count:
                self.gone.set()

    async def play(self, path: str, receive: Receive, send: Send) -> None:
        if path == "/wait":
            await self.go.wait()
            await self.answer(path, send)
            self.ends.append("answered")
        elif path == "/flood":
            await send(OK)
            while True:
                await send(BODY | {"body": bytes(10_000), "more_body": True})
        elif path == "/listen":
            while (await receive())["type"] != "http.disconnect":
                pass
            self.ends.append("told")

    async def answer(self, path: str, send: Send) -> None:
        await send(OK)
        await send(BODY | {"body": path.encode()})


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


def counts(served: Any) -> Any:
    return served.server.service._counts


# --- the server stops ---


@LOOPS
@pytest.mark.parametrize("tls", [False, True])
def test_what_is_under_way_is_finished_and_what_is_not_taken_can_be_told(
    dial: Any, authority: Any, localhost: Any, loop: str, tls: bool, caplog: pytest.LogCaptureFixture
) -> None:
    app = App(2)
    with (
        serve(app, lifespan="off", loop=loop, **(localhost if tls else {})) as served,
        dial(served, tls=authority.context() if tls else None) as client,
    ):
        first, second = client.begin("/wait"), client.begin("/wait")
        assert app.here.wait(10)
        served.server.stop()
        client.until(lambda: client.talk.goaways == [(ALL, 0, "")])
        client.until(lambda: client.talk.goaways[1:])  # our answer to the ping is there
        assert client.talk.goaways[1:] == [(second, 0, "")]
        late = client.begin("/plain")
        app.go.set()
        assert [client.answer(stream).body for stream in (first, second)] == [b"/wait"] * 2
        while client.look():
            pass
        assert late > client.talk.goaways[-1][0]
        assert not client.answers[late].status
    assert app.ends == ["answered"] * 2
    assert logged(caplog) == []


@LOOPS
def test_a_request_that_crosses_the_first_goodbye_is_answered(dial: Any, loop: str) -> None:
    app = App()
    with serve(app, lifespan="off", loop=loop) as served, dial(served) as client:
        slow = client.begin("/wait")
        assert app.here.wait(10)
        served.server.stop()
        crossing = client.talk.begin("/plain")  # sent before anything of the stop was seen
        client.flush()
        assert client.answer(crossing).body == b"/plain"
        app.go.set()
        assert client.answer(slow).body == b"/wait"
        while client.look():
            pass
        assert [last for last, _, _ in client.talk.goaways] == [ALL, crossing]


@LOOPS
def test_an_idle_connection_is_told_at_once(dial: Any, loop: str) -> None:
    with serve(App(), lifespan="off", loop=loop) as served, dial(served) as client:
        client.ask("/plain")
        served.server.stop()
        assert client.hang() == (1, 0, "")


@LOOPS
def test_the_grace_has_an_end(dial: Any, loop: str, caplog: pytest.LogCaptureFixture) -> None:
    app = App(3)
    with serve(app, lifespan="off", loop=loop, timeout_graceful_shutdown=0.2) as served, dial(served) as client:
        client.begin("/listen")
        client.begin("/flood")
        client.begin("/wait")
        assert app.here.wait(10)
        served.server.stop()
        client.hang()
        app.go.set()
    assert sorted(app.ends)[-2:] == ["raised", "told"]
    assert [line for line in logged(caplog) if "Cancelled after the grace: GET /wait" not in line] == []


@LOOPS
def test_a_forced_stop_waits_for_no_one(dial: Any, loop: str) -> None:
    app = App(50)
    with serve(app, lifespan="off", loop=loop, timeout_graceful_shutdown=1000) as served, dial(served) as client:
        for _ in range(50):
            client.begin("/listen")
        assert app.here.wait(10)
        served.server.stop(force=True)
        client.hang()
    assert app.ends == ["told"] * 50


# --- the client leaves ---


@LOOPS
@pytest.mark.parametrize("path", ["/listen", "/flood"])
@pytest.mark.parametrize("tls", [False, True])
def test_a_client_that_vanishes_amid_50_requests_leaves_nothing_behind(
    dial: Any, authority: Any, localhost: Any, loop: str, path: str, tls: bool, caplog: pytest.LogCaptureFixture
) -> None:
    app = App(50)
    with serve(app, lifespan="off", loop=loop, **(localhost if tls else {})) as served:
        client = dial(served, tls=authority.context() if tls else None)
        for _ in range(50):
            client.begin(path, method="POST", end=path == "/flood")
        assert app.here.wait(10)
        client.reset()
        assert app.gone.wait(10)
        with dial(served, tls=authority.context() if tls else None) as another:
            assert another.ask("/plain").body == b"/plain"
            assert len(counts(served).links) == 1
            assert len(counts(served).running) == 0
    assert set(app.ends) == {"told" if path == "/listen" else "raised"}
    assert logged(caplog) == []


@LOOPS
def test_so_does_one_that_closes_in_good_order(dial: Any, loop: str, caplog: pytest.LogCaptureFixture) -> None:
    for path in ("/listen", "/flood"):
        app = App(50)
        with serve(app, lifespan="off", loop=loop) as served:
            client = dial(served)
            for _ in range(50):
                client.begin(path)
            assert app.here.wait(10)
            client.talk.h2.close_connection()
            client.flush()
            client.close()
            assert app.gone.wait(10)
        assert set(app.ends) == {"told" if path == "/listen" else "raised"}
    assert logged(caplog) == []


@LOOPS
def test_a_client_that_only_closes_its_own_side_is_still_answered(dial: Any, loop: str) -> None:
    app = App()
    with serve(app, lifespan="off", loop=loop) as served, dial(served) as client:
        stream = client.begin("/wait")
        assert app.here.wait(10)
        client.socket.shutdown(socket.SHUT_WR)
        app.go.set()
        while client.look():
            pass
        assert (client.answers[stream].body, client.answers[stream].ended) == (b"/wait", True)


@LOOPS
def test_one_that_does_so_amid_an_upload_is_told_as_gone(dial: Any, loop: str) -> None:
    app = App()
    with serve(app, lifespan="off", loop=loop) as served, dial(served) as client:
        client.begin("/listen", method="POST", end=False)
        assert app.here.wait(10)
        client.socket.shutdown(socket.SHUT_WR)
        assert app.gone.wait(10)
        while client.look():
            pass
    assert app.ends == ["told"]


@LOOPS
def test_one_that_can_open_no_window_any_more_is_not_waited_for(dial: Any, loop: str) -> None:
    app = App()
    with serve(app, lifespan="off", loop=loop) as served, dial(served) as client:
        client.talk.reads = False
        stream = client.begin("/flood")
        client.until(lambda: len(client.answers[stream].body) == 65535)
        client.socket.shutdown(socket.SHUT_WR)
        assert app.gone.wait(10)
        assert client.answer(stream).code == 8
    assert app.ends == ["raised"]


@LOOPS
def test_after_a_goaway_of_the_client_its_requests_are_finished(dial: Any, loop: str) -> None:
    app = App()
    with serve(app, lifespan="off", loop=loop) as served, dial(served) as client:
        stream = client.begin("/wait")
        assert app.here.wait(10)
        client.send(b"\0\0\x08\x07\0\0\0\0\0" + bytes(8))  # GOAWAY, by hand: the library says nothing after it
        client.ping()
        app.go.set()
        assert client.answer(stream).body == b"/wait"
        while client.look():
            pass


def test_what_is_still_to_be_read_of_a_client_that_said_goodbye_and_left_is_answered(play2: Any) -> None:
    """More pieces than are looked at in a turn, of a request whose response does not wait for them."""
    app = App()

    async def scene(stage: Any) -> None:
        await stage.exchange()
        goodbye = b"\0\0\x08\x07\0\0\0\0\0" + bytes(8)
        stage.talk.begin("/plain", method="POST", end=False)
        upload = stage.talk.out() + b"\0\0\1\0\0\0\0\0\1x" * 198 + b"\0\0\1\0\1\0\0\0\1x"
        late = stage.talk.begin("/plain")
        stage.link.data_received(goodbye + upload + stage.talk.out())
        assert stage.transport.state == "open"
        stage.link.eof_received()
        await stage.hear()
        assert stage.talk.answers[late].body == b"/plain"
        assert stage.transport.state != "open"

    play2(app, scene)
