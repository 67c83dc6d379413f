"""A request on a thread has no Task, unless it needs one; whatever becomes of it, it is as if it had."""

import asyncio
import contextvars
import gc
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import portway
from portway.testing import Raw, serve
from portway.types import Receive, Scope, Send
from portway.wsgi.threaded import Call

Environ = dict[str, Any]

PATIENCE = 20.0
GET = b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\na"

mark: contextvars.ContextVar[str] = contextvars.ContextVar("mark", default="nothing")


class Looped(portway.WSGI):
    """Knows its loop, and leaves a mark in the context of its lifespan."""

    loop: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            self.loop = asyncio.get_running_loop()
            mark.set("lifespan")
        await super().__call__(scope, receive, send)

    def tasks(self) -> int:
        """How many requests have a Task now."""
        return sum(task.get_coro().__name__ == "run" for task in asyncio.all_tasks(self.loop))


def until(condition: Any) -> None:
    for _ in range(1000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never came")


def test_without_a_body_there_is_no_task() -> None:
    found: list[int] = []

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        found.append(service.tasks())
        start_response("200 OK", [])
        return [b"ok"]

    service = Looped(app, threads=1)
    with serve(service) as served, Raw(served.host, served.port) as raw:
        assert raw.ask(GET).body == b"ok"
        assert raw.ask(POST).body == b"ok"
    assert found == [0, 1]


@pytest.mark.parametrize("pieces", [[], [b"ok"], [b"", b"ok"], (b"ok",)])
def test_an_answer_in_one_piece_needs_none_either(pieces: Any) -> None:
    found: list[Any] = []

    def app(environ: Environ, start_response: Any) -> Any:
        start_response("200 OK", [("content-length", str(len(b"".join(pieces))))])
        return pieces

    class Noted:
        def __init__(self, dialogue: Any) -> None:
            self.receive, self.send = dialogue.receive, dialogue.send
            self.before = dialogue.respond

        def respond(self, *response: Any) -> None:
            found.append(asyncio.current_task())
            self.before(*response)

    service = portway.WSGI(app, threads=1)
    before: Any = service.portway_prompt
    service.portway_prompt = lambda scope, dialogue: before(scope, Noted(dialogue))  # type: ignore[assignment]
    with serve(service) as served, Raw(served.host, served.port) as raw:
        assert raw.ask(GET).body == b"".join(pieces)
    assert found == [None]


def test_from_the_second_piece_on_there_is_one() -> None:
    found: list[int] = []
    go = threading.Event()

    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        found.append(service.tasks())
        yield b"a"
        assert go.wait(PATIENCE)
        found.append(service.tasks())
        yield b"b"

    service = Looped(app, threads=1)
    with serve(service) as served, Raw(served.host, served.port) as raw:
        raw.send(GET)
        raw.until(b"\r\na\r\n")
        go.set()
        raw.until(b"\r\nb\r\n")
    assert found == [0, 1]


def test_it_runs_in_a_context_of_its_own_that_is_a_copy_of_the_lifespans() -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        found = mark.get().encode()
        mark.set("request")
        start_response("200 OK", [])
        return [found]

    with serve(Looped(app, threads=1)) as served, Raw(served.host, served.port) as raw:
        for _ in range(2):
            assert raw.ask(GET).body == b"lifespan"


class Held:
    """An application that answers when it is let."""

    def __init__(self, result: Any = (b"ok",)) -> None:
        self.result = result
        self.began, self.go = threading.Event(), threading.Event()
        self.input: Any = None

    def __call__(self, environ: Environ, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/a":
            self.input = environ["wsgi.input"]
            self.began.set()
            assert self.go.wait(PATIENCE)
        start_response("200 OK", [])
        return self.result


def test_an_answer_to_who_went_goes_nowhere_and_is_no_fault(
    threaded: Any, reset: Any, log: Any, unlooked: None
) -> None:
    held = Held([b"ok"])
    with threaded(held) as served, Raw(served.host, served.port) as other:
        raw = Raw(served.host, served.port)
        raw.send(GET)
        assert held.began.wait(PATIENCE)
        reset(raw)
        assert other.ask(GET.replace(b"/a", b"/b")).body == b"ok"  # by now the loop knows that the first one went
        held.go.set()
        until(lambda: held.input.closed)
    assert log.errors == []
    until(lambda: not any(type(each) is Call and each.file is held.input for each in gc.get_objects()))


def test_one_that_is_cancelled_is_left_and_closed_when_its_thread_is_through(
    log: Any, reset: Any, unlooked: None
) -> None:
    held = Held([b"ok"])
    service = portway.WSGI(held, threads=1)
    with serve(service, cancel_on_disconnect=True) as served:
        raw = Raw(served.host, served.port)
        raw.send(GET)
        assert held.began.wait(PATIENCE)
        reset(raw)
        until(lambda: any(type(each) is Call and each.gone for each in gc.get_objects()))
        assert not held.input.closed
        held.go.set()
        until(lambda: held.input.closed)
    assert log.errors == []


def test_the_server_waits_for_a_thread_whose_client_went_and_no_longer(log: Any, reset: Any, unlooked: None) -> None:
    held = Held([b"ok"])
    with serve(portway.WSGI(held, threads=2), timeout_graceful_shutdown=60) as served:
        raw = Raw(served.host, served.port)
        raw.send(GET)
        assert held.began.wait(PATIENCE)
        reset(raw)
        with Raw(served.host, served.port) as other:
            assert other.ask(GET.replace(b"/a", b"/b")).body == b"ok"
        served.server.stop()
        until(lambda: any(line.startswith("Waiting for 1 request") for line in log.lines))
        held.go.set()
        until(lambda: not any(each.name == "portway-serve" for each in threading.enumerate()))
    assert log.errors == []


def test_after_the_grace_a_thread_is_left_alone(log: Any) -> None:
    held = Held([b"ok"])
    with serve(portway.WSGI(held, threads=1), timeout_graceful_shutdown=0.01) as served:
        raw = Raw(served.host, served.port)
        raw.send(GET)
        assert held.began.wait(PATIENCE)
    raw.close()
    assert log.errors == ["Cancelled after the grace: GET /a"]
    held.go.set()


@pytest.mark.parametrize("pieces", [[], [b"ok"], [b"o", b"k"], [b"o" * 40_000, b"k" * 40_000], (b"ok" for _ in "a")])
def test_all_kinds_of_answers_are_whole(threaded: Any, pieces: Any, log: Any) -> None:
    held = Held(pieces := list(pieces))
    held.go.set()
    with threaded(held) as served, Raw(served.host, served.port) as raw:
        for _ in range(3):
            assert raw.ask(GET).body == b"".join(pieces)
    assert log.errors == []
