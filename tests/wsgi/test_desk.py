"""What is said of threads that take long, and how often a loop is woken."""

import asyncio
import re
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import pytest

import portway
from portway.testing import Raw, serve
from portway.wsgi import desk
from portway.wsgi.desk import Desk
from portway.wsgi.threads import Threads

Environ = dict[str, Any]

PATIENCE = 20.0
GET = b"GET /a%0Ab HTTP/1.1\r\nhost: a\r\n\r\n"


class Held:
    """An application that answers when it is let."""

    def __init__(self) -> None:
        self.began = threading.Semaphore(0)
        self.go = threading.Event()

    def __call__(self, environ: Environ, start_response: Any) -> list[bytes]:
        self.began.release()
        self.stuck_here()
        start_response("200 OK", [])
        return [b"ok"]

    def stuck_here(self) -> None:
        assert self.go.wait(PATIENCE)


def faults(log: Any) -> list[str]:
    """What was logged, but for a thread that took longer to wake than the time between two looks."""
    return [line for line in log.errors if "wait for one of" not in line]


class Looks:
    """Counts how often a desk has looked at its calls."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.count = threading.Semaphore(0)
        self.desk: Desk | None = None
        before = Desk._look

        def look(desk: Desk) -> None:
            before(desk)
            self.desk = desk
            self.count.release()

        patch.setattr(desk, "LOOK", 0.001)
        patch.setattr(Desk, "_look", look)

    def pass_(self, times: int = 5) -> None:
        """Wait until there were so many more."""
        for _ in range(times):
            assert self.count.acquire(timeout=PATIENCE)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    """Desks look often."""
    return Looks(monkeypatch)


def test_a_thread_that_is_stuck_is_logged_once_with_its_stack(looks: Looks, log: Any) -> None:
    held = Held()
    with serve(portway.WSGI(held, timeout=0.001)) as served, Raw(served.host, served.port) as raw:
        raw.send(GET)
        assert held.began.acquire(timeout=PATIENCE)
        looks.pass_(20)
        held.go.set()
        assert raw.response().body == b"ok"
    (fault,) = faults(log)
    assert fault.startswith("GET /a%0Ab: nothing has come for ")
    assert "in stuck_here\n" in fault
    assert __file__ in fault


def test_a_stack_is_not_logged_if_nobody_wants_it(looks: Looks, log: Any) -> None:
    held = Held()
    with serve(held, interface="wsgi", wsgi_timeout=0) as served, Raw(served.host, served.port) as raw:
        raw.send(GET)
        looks.pass_(20)
        held.go.set()
        assert raw.response().body == b"ok"
    assert faults(log) == []


def test_one_that_shows_signs_of_life_is_not_stuck(looks: Looks, log: Any) -> None:
    go = threading.Semaphore(0)

    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        for _ in range(3):
            yield b"x"
            assert go.acquire(timeout=PATIENCE)

    with serve(portway.WSGI(app, timeout=60)) as served, Raw(served.host, served.port) as raw:
        raw.send(GET)
        for _ in range(3):
            raw.until(b"\r\nx\r\n")
            looks.pass_()
            go.release()
        raw.until(b"0\r\n\r\n")
    assert faults(log) == []


def test_that_requests_wait_is_said_but_not_all_the_time(looks: Looks, log: Any) -> None:
    held = Held()
    with (
        serve(portway.WSGI(held, threads=1)) as served,
        Raw(served.host, served.port) as first,
        Raw(served.host, served.port) as second,
    ):
        first.send(GET)
        assert held.began.acquire(timeout=PATIENCE)
        second.send(GET)
        looks.pass_(20)
        held.go.set()
        assert first.response().body == second.response().body == b"ok"
    assert log.error.startswith("1 requests wait for one of 1 WSGI threads, the longest for 0.0 s; give more with")


def test_a_thread_whose_client_went_is_counted_and_named(
    looks: Looks, log: Any, reset: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "ABANDONED", 0.001)
    held = Held()
    service = portway.WSGI(held, threads=1)
    with serve(service) as served:
        raw = Raw(served.host, served.port)
        raw.send(GET)
        assert held.began.acquire(timeout=PATIENCE)
        looks.pass_()
        reset(raw)
        while looks.desk is None or not looks.desk.abandoned:
            looks.pass_(1)
        assert looks.desk.abandoned == 1
        looks.pass_(5)
        held.go.set()
        with Raw(served.host, served.port) as another:
            assert another.ask(GET).body == b"ok"
    named = [line for line in log.lines if "its client went" in line]
    assert len(named) == 1
    assert re.fullmatch("GET /a%0Ab: its client went [0-9]+ s ago, and its thread is still at it", named[0])
    assert faults(log) == []


def test_one_that_was_cancelled_is_named_too(looks: Looks, log: Any, reset: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(desk, "ABANDONED", 0.001)
    held = Held()
    service = portway.WSGI(held, threads=1)
    with serve(service, cancel_on_disconnect=True) as served:
        raw = Raw(served.host, served.port)
        raw.send(GET)
        assert held.began.acquire(timeout=PATIENCE)
        reset(raw)
        while looks.desk is None or not looks.desk.abandoned:
            looks.pass_(1)
        looks.pass_(3)
        held.go.set()
        with Raw(served.host, served.port) as another:
            assert another.ask(GET).body == b"ok"
        while service.figures().busy:  # type: ignore[union-attr]
            looks.pass_(1)
    assert [line for line in log.lines if "its client went" in line]
    assert not looks.desk._calls


def test_who_is_looked_at_is_not_heard_in_the_context_of_another(looks: Looks) -> None:
    held = Held()
    service = portway.WSGI(held, threads=4)
    path: ContextVar[str] = ContextVar("path", default="")
    heard: list[tuple[str, str]] = []

    async def around(scope: Any, receive: Any, send: Any) -> None:
        async def listening() -> Any:
            heard.append((scope["path"], path.get()))
            return await receive()

        if scope["type"] == "http":
            path.set(scope["path"])
        await service(scope, listening if scope["type"] == "http" else receive, send)

    with serve(around) as served, Raw(served.host, served.port) as first, Raw(served.host, served.port) as second:
        for raw, request in ((first, GET), (second, GET.replace(b"/a%0Ab", b"/c"))):
            raw.send(request)
            assert held.began.acquire(timeout=PATIENCE)
            looks.pass_()
        held.go.set()
        assert first.response().body == second.response().body == b"ok"
    assert {asked for asked, _ in heard} == {"/a\nb", "/c"}
    assert all(seen in ("", asked) for asked, seen in heard)


def test_nobody_is_looked_at_when_nothing_is_under_way(looks: Looks) -> None:
    held = Held()
    held.go.set()
    with serve(portway.WSGI(held)) as served, Raw(served.host, served.port) as raw:
        assert raw.ask(GET).body == b"ok"
        looks.pass_(1)
        while looks.desk is None or looks.desk._looking:
            looks.pass_(1)
        assert not looks.count.acquire(timeout=0.05)


def test_however_many_threads_leave_word_the_loop_is_woken_once() -> None:
    heeded: list[int] = []

    class Word:
        def __init__(self, number: int) -> None:
            self.number = number

        def heed(self) -> None:
            heeded.append(self.number)

    async def main() -> int:
        loop = asyncio.get_running_loop()
        woken = 0
        before = loop.call_soon_threadsafe

        def counted(*args: Any, **rest: Any) -> Any:
            nonlocal woken
            woken += 1
            return before(*args, **rest)

        loop.call_soon_threadsafe = counted  # type: ignore[method-assign]
        one = Desk(loop, Threads(1), 0)
        crowd = [threading.Thread(target=one.tell, args=(Word(number),)) for number in range(50)]
        for each in crowd:
            each.start()
        for each in crowd:
            each.join()  # the loop has no turn in between
        while len(heeded) < 50:
            await asyncio.sleep(0)
        one.tell(Word(50))  # type: ignore[arg-type]
        while len(heeded) < 51:
            await asyncio.sleep(0)
        return woken

    assert asyncio.run(main()) == 2
    assert sorted(heeded) == list(range(51))


def test_a_common_request_wakes_the_loop_once(monkeypatch: pytest.MonkeyPatch) -> None:
    wakings: list[Any] = []
    before = Desk.call

    def call(self: Desk, function: Any) -> None:
        wakings.append(function)
        before(self, function)

    monkeypatch.setattr(Desk, "call", call)

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        body = environ["wsgi.input"].read()
        start_response("200 OK", [])
        return [body + b"ok"]

    with serve(app, interface="wsgi") as served, Raw(served.host, served.port) as raw:
        for _ in range(10):
            assert raw.ask(GET).body == b"ok"
        assert raw.ask(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc").body == b"abcok"
    assert len(wakings) == 11


def test_word_for_a_loop_that_is_closed_is_for_nobody() -> None:
    loop = asyncio.new_event_loop()
    one = Desk(loop, Threads(1), 0)
    loop.close()
    one.tell(None)  # type: ignore[arg-type]
