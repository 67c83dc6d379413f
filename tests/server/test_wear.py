"""When a process has served long enough, and who is told."""

import asyncio
import logging
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from portway import Server, Settings, SettingsError
from portway.config import check
from portway.link.clock import Clock
from portway.server.serve import Figures
from portway.server.wear import MIB, Span, Wear, resident
from portway.testing import Raw, serve
from portway.types import Receive, Scope, Send
from portway.wire.http1.encode import Preamble

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
statm = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the platform does not tell")


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        raise NotImplementedError
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"hello"})


class Time:
    """Stands in for a loop whose time passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: list[tuple[float, Callable[[], object]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], object]) -> "Time":
        self.due = [(when, callback)]
        return self

    def pass_by(self, seconds: float) -> None:
        end = self.now + seconds
        while self.due[0][0] <= end:
            self.now, callback = self.due[0]
            callback()
        self.now = end


def worn(span: Span) -> tuple[Time, Wear, list[tuple[str, str]]]:
    told: list[tuple[str, str]] = []
    wear = Wear(span, lambda *words: told.append(words))
    time = Time()
    clock = Clock(time, Preamble(), False)  # type: ignore[arg-type]
    clock.start()
    wear.begin(clock)
    return time, wear, told


# --- the limits ---


def test_without_limits_nothing_is_looked_at() -> None:
    time, wear, told = worn(Span())
    assert not wear.counts
    time.pass_by(10_000)
    assert told == []


def test_the_last_request_is_told_once() -> None:
    _, wear, told = worn(Span(requests=3))
    for number in range(1, 7):
        wear.count(number)
    assert told == [("3 requests", "--limit-max-requests")]


def test_the_jitter_is_drawn_once_and_adds_up_to_so_many() -> None:
    drawn = set()
    for _ in range(200):
        _, wear, told = worn(Span(requests=10, jitter=3))
        for number in range(1, 20):
            wear.count(number)
        drawn.add(told[0][0])
    assert drawn == {f"{number} requests" for number in (10, 11, 12, 13)}


def test_an_age_is_told_when_it_is_reached_and_once() -> None:
    time, _, told = worn(Span(age=60))
    time.pass_by(59)
    assert told == []
    time.pass_by(3)
    assert told == [("60 s", "--limit-max-age")]
    time.pass_by(1000)
    assert len(told) == 1


@statm
def test_memory_is_looked_at_once_a_second() -> None:
    held = resident()
    time, _, told = worn(Span(memory=held + 64 * MIB))
    time.pass_by(10)
    assert told == []
    more = bytearray(b"x") * (96 * MIB)
    time.pass_by(2)
    assert len(more) == 96 * MIB
    assert [setting for _, setting in told] == ["--limit-max-memory"]
    size, words = told[0][0].split(" ", 1)
    assert int(size) >= (held + 64 * MIB) // MIB
    assert words == "MiB of memory"


@statm
def test_the_first_reason_is_the_only_one() -> None:
    time, wear, told = worn(Span(requests=1, memory=1, age=1))
    wear.count(1)
    time.pass_by(5)
    assert told == [("1 requests", "--limit-max-requests")]


def test_a_platform_that_does_not_tell_of_memory_refuses_the_setting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys.modules["portway.config.check"], "RESIDENT", tmp_path / "statm")
    with pytest.raises(SettingsError, match=r"limit_max_memory: this platform has no .*statm"):
        check(Settings(limit_max_memory=512 * MIB))
    check(Settings())


# --- the server ---


def during(server: Server, scene: Callable[[Server], Awaitable[None]]) -> None:
    async def main() -> None:
        up = asyncio.Event()
        task = asyncio.create_task(server.serve(up.set))
        await up.wait()
        await scene(server)
        await asyncio.wait_for(task, 20)

    asyncio.run(main())


async def ask(server: Server, count: int = 1) -> None:
    address = server.sockets[0].getsockname()

    def asking() -> None:
        with Raw(*address) as raw:
            for _ in range(count):
                assert raw.ask(GET).status == 200

    await asyncio.to_thread(asking)


def test_whoever_replaces_the_process_is_told_and_it_serves_on(caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    caplog.set_level(logging.INFO)

    async def scene(server: Server) -> None:
        await ask(server, 20)
        assert told == ["10 requests"]
        assert server.started
        server.retire()

    during(Server(hello, Settings(port=0, limit_max_requests=10), on_worn=told.append), scene)
    assert "Stopping" not in caplog.text


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"limit_max_requests": 1}, "the limit of 1 requests is reached, as --limit-max-requests says"),
        ({"limit_max_age": 1.0}, "the limit of 1 s is reached, as --limit-max-age says"),
        pytest.param({"limit_max_memory": MIB}, "of memory is reached, as --limit-max-memory says", marks=statm),
    ],
)
def test_a_server_that_is_one_process_ends_in_good_order(
    settings: dict[str, Any], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    during(Server(hello, Settings(port=0, **settings)), ask)
    assert [line for line in caplog.messages if words in line]


def test_figures_tell_of_requests_and_connections() -> None:
    with serve(hello) as served, Raw(served.host, served.port) as raw, Raw(served.host, served.port) as other:
        assert [raw.ask(GET).status for _ in range(3)] == [200] * 3
        assert other.ask(GET).status == 200
        assert served.server.figures() == Figures(requests=4, running=0, connections=2)


def test_a_request_under_way_is_one_of_the_running(served_slowly: Any) -> None:
    served, begun, go = served_slowly
    with Raw(served.host, served.port) as raw:
        raw.send(GET)
        assert begun.wait(20)
        assert served.server.figures() == (1, 1, 1)
        go.set()
        assert raw.response().status == 200


@pytest.fixture
def served_slowly() -> Any:
    begun, go = threading.Event(), threading.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        await asyncio.sleep(0)  # its first step may be within the loop's call that brought it
        begun.set()
        await asyncio.to_thread(go.wait, 20)
        await hello(scope, receive, send)

    with serve(slow) as served:
        yield served, begun, go
