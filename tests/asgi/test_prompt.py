"""Applications that offer `prompt`: a request has a Task only if it needs one, and all else is as ever."""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from portway.testing import Raw, Served, serve
from portway.types import Dialogue, Receive, Scope, Send

PATIENCE = 20.0
GET = b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n"
START = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
BODY = {"type": "http.response.body", "body": b"ok"}

Answer = Callable[["Elsewhere"], Coroutine[Any, Any, None] | None]


class Elsewhere:
    """An application that answers when it is told to, as if a thread had come back with an answer."""

    def __init__(self, act: Answer) -> None:
        self.act = act
        self.asked = threading.Semaphore(0)
        self.waiting = True
        self.send: Any = None
        self.loop: Any = None
        self.waiter: Any = None
        self.go = asyncio.Event()
        self.ends: list[Any] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.send = send  # it is asked in this way where a Task is needed from the start
        self.asked.release()
        await self.stay()

    def portway_prompt(self, scope: Scope, dialogue: Dialogue) -> "Elsewhere":
        self.loop = asyncio.get_running_loop()
        self.send = dialogue.send
        self.respond = dialogue.respond
        return self

    def wait(self, waiter: Callable[[], None]) -> None:
        self.waiter = waiter
        self.asked.release()

    def answer(self) -> Coroutine[Any, Any, None] | None:
        self.waiting = False
        return self.act(self)

    def tell(self) -> None:
        """There is an answer."""
        assert self.asked.acquire(timeout=PATIENCE)
        self.loop.call_soon_threadsafe(self.wake)

    def wake(self) -> None:
        if self.waiting:
            self.waiter()
        self.go.set()

    async def stay(self) -> None:
        """What is left: to wait for the answer, and to give it."""
        self.ends.append(asyncio.current_task() is not None)
        try:
            await self.go.wait()
            await self.send(START)
            await self.send(BODY)
        except BaseException as error:
            self.ends.append(type(error))
            raise


def at_once(app: Elsewhere) -> None:
    app.respond(200, [(b"content-length", b"2")], b"ok")


def asked(served: Served) -> Raw:
    raw = Raw(served.host, served.port, PATIENCE)
    raw.send(GET)
    return raw


def test_an_answer_from_elsewhere_needs_no_task() -> None:
    tasks: list[Any] = []

    def act(app: Elsewhere) -> None:
        tasks.append(asyncio.current_task())
        at_once(app)

    app = Elsewhere(act)
    with serve(app, lifespan="off") as served, asked(served) as raw:
        for _ in range(2):
            app.tell()
            assert raw.response().body == b"ok"
            raw.send(GET)
            app.waiting = True
        app.tell()
        raw.response()
    assert tasks == [None, None, None]


def test_what_cannot_be_answered_at_once_is_a_tasks() -> None:
    app = Elsewhere(Elsewhere.stay)
    with serve(app, lifespan="off") as served, asked(served) as raw:
        app.tell()
        assert raw.response().body == b"ok"
    assert app.ends == [True]


def test_an_error_in_it_is_a_500_and_a_line(log: Any) -> None:
    def act(app: Elsewhere) -> None:
        raise ZeroDivisionError("oh")

    app = Elsewhere(act)
    with serve(app, lifespan="off") as served, asked(served) as raw:
        app.tell()
        assert raw.response().status == 500
    assert log.error.startswith("GET /a: the application raised ZeroDivisionError\nTraceback ")
    assert log.error.split("\n")[2].endswith("in answer")  # its first frame is the application's


@pytest.mark.parametrize("sent", [0, 1])
def test_no_end_of_it_is_a_500_and_a_line(log: Any, sent: int) -> None:
    app = Elsewhere(lambda app: app.send(START).close() if sent else None)
    with serve(app, lifespan="off") as served, asked(served) as raw:
        app.tell()
        assert raw.response().status == 500
    assert log.error == "GET /a: the application returned without a response"


def test_the_server_waits_for_it(log: Any) -> None:
    app = Elsewhere(Elsewhere.stay)
    with serve(app, lifespan="off", timeout_graceful_shutdown=PATIENCE) as served, asked(served) as raw:
        assert app.asked.acquire(timeout=PATIENCE)
        served.server.stop()
        app.asked.release()
        app.tell()
        assert raw.response().body == b"ok"
    assert log.errors == []


def test_after_the_grace_it_is_cancelled(log: Any) -> None:
    app = Elsewhere(Elsewhere.stay)
    with serve(app, lifespan="off", timeout_graceful_shutdown=0.01) as served, asked(served) as raw:
        assert app.asked.acquire(timeout=PATIENCE)
        served.server.stop()
        raw.rest()
    assert app.ends == [True, asyncio.CancelledError]
    assert log.errors == ["Cancelled after the grace: GET /a"]


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_it_is_cancelled_if_its_client_goes_and_that_is_wanted(loop: str, log: Any) -> None:
    app = Elsewhere(Elsewhere.stay)
    with serve(app, lifespan="off", loop=loop, cancel_on_disconnect=True, timeout_graceful_shutdown=PATIENCE) as served:
        raw = asked(served)
        assert app.asked.acquire(timeout=PATIENCE)
        raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()
    assert app.ends == [True, asyncio.CancelledError]
    assert log.errors == []
