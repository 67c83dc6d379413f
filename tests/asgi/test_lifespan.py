"""The lifespan of an application: before the first connection, after the last, and what becomes of a refusal."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import portway
from portway.testing import Raw, serve
from portway.types import ASGIApp, Receive, Scope, Send

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
OK = {"type": "http.response.start", "status": 200}
DONE = {"type": "http.response.body", "body": b"ok"}
COMPLETE = {"type": "lifespan.startup.complete"}
FAILED = {"type": "lifespan.startup.failed"}
ENDED = {"type": "lifespan.shutdown.complete"}
MODES = ["auto", "on"]
LOOPS = ["uvloop", "asyncio"]

Lifespan = Callable[[Scope, Receive, Send], Any]


def living(lifespan: Lifespan) -> ASGIApp:
    """An application with this lifespan that answers each request."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(scope, receive, send)
        else:
            await send(OK)
            await send(DONE)

    return app


def answers(app: ASGIApp, **settings: Any) -> bool:
    """Whether it is served, from its startup to its shutdown."""
    with serve(app, **settings) as served, Raw(served.host, served.port) as raw:
        return raw.ask(GET).body == b"ok"


def refusal(app: ASGIApp, **settings: Any) -> str:
    """Why it is not."""
    with pytest.raises(portway.LifespanFailed) as caught, serve(app, **settings):
        pass
    return str(caught.value)


# --- its course ---


@pytest.mark.parametrize("loop", LOOPS)
def test_there_is_one_lifespan_on_the_loop_that_serves(loop: str) -> None:  # ASGI 47
    loops: list[tuple[str, Any]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        loops.append((scope["type"], asyncio.get_running_loop()))
        if scope["type"] == "lifespan":
            await receive()
            await send(COMPLETE)
            await receive()
            await send(ENDED)
            return
        await send(OK)
        await send(DONE)

    with serve(app, loop=loop) as served:
        for _ in range(2):
            with Raw(served.host, served.port) as raw:
                raw.ask(GET)
                raw.ask(GET)
    assert [kind for kind, _ in loops] == ["lifespan"] + ["http"] * 4
    assert len({id(each) for _, each in loops}) == 1


def test_its_scope_and_its_messages_are_those_of_the_specification() -> None:  # ASGI 1, 3
    told: list[Any] = []

    async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
        told.append((type(scope), dict(scope)))
        told.append(await receive())
        await send(COMPLETE)
        told.append(await receive())
        await send(ENDED)

    assert answers(living(lifespan))
    assert told == [
        (dict, {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}),
        {"type": "lifespan.startup"},
        {"type": "lifespan.shutdown"},
    ]


@pytest.mark.parametrize("loop", LOOPS)
def test_nothing_is_served_before_the_startup_is_complete(loop: str) -> None:  # ASGI 48
    outcomes: list[str] = []

    async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        outcomes.append(await asyncio.get_running_loop().run_in_executor(None, connect))
        await send(COMPLETE)
        await receive()
        await send(ENDED)

    def connect() -> str:
        try:
            socket.create_connection(server.server.sockets[0].getsockname(), timeout=10).close()
        except ConnectionRefusedError:
            return "refused"
        return "let in"

    server = serve(living(lifespan), loop=loop)
    with server as served, Raw(served.host, served.port) as raw:
        assert raw.ask(GET).body == b"ok"
    assert outcomes == ["refused"]


@pytest.mark.parametrize("loop", LOOPS)
def test_the_shutdown_comes_after_the_last_connection(loop: str) -> None:  # ASGI 51
    order: list[str] = []
    begun, stopping = threading.Event(), threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send(COMPLETE)
            await receive()
            order.append("shutdown")
            await send(ENDED)
            return
        await send(OK)
        await send(DONE | {"more_body": True})
        begun.set()
        await asyncio.get_running_loop().run_in_executor(None, stopping.wait, 10)
        await asyncio.sleep(0.05)
        await send(DONE)
        order.append("request")

    with serve(app, loop=loop) as served:
        raw, idle = Raw(served.host, served.port), Raw(served.host, served.port)
        raw.send(GET)
        assert begun.wait(10)
        served.server.stop()
        stopping.set()
        assert raw.response().body == b"okok"
        assert raw.rest() == idle.rest() == b""
        raw.close()
        idle.close()
    assert order == ["request", "shutdown"]


def test_the_end_waits_for_the_completion_of_the_shutdown() -> None:  # ASGI 51
    order: list[str] = []

    async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(COMPLETE)
        await receive()
        await asyncio.sleep(0.1)
        order.append("put away")
        await send(ENDED)

    assert answers(living(lifespan))
    assert order == ["put away"]


def test_state_is_what_the_startup_filled() -> None:  # ASGI 21, 52
    states: list[dict[str, Any]] = []
    space: dict[str, Any] = {}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            space.update(one=object(), two=[])
            scope["state"].update(space)
            await send(COMPLETE)
            await receive()
            states.append(dict(scope["state"]))
            await send(ENDED)
            return
        states.append(dict(scope["state"]))
        scope["state"]["mine"] = True
        await send(OK)
        await send(DONE)

    with serve(app) as served, Raw(served.host, served.port) as raw:
        raw.ask(GET)
        raw.ask(GET)
    assert states == [space] * 3
    assert states[0]["one"] is space["one"]


# --- a startup that fails ---


@pytest.mark.parametrize("mode", MODES)
def test_a_failed_startup_is_told_with_its_message(log: Any, mode: str) -> None:  # ASGI 49
    async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(FAILED | {"message": "no database"})

    assert refusal(living(lifespan), lifespan=mode) == "the application's startup failed: no database"
    assert "no database" in "\n".join(log.errors)


@pytest.mark.parametrize("failed", [FAILED, FAILED | {"message": ""}])
def test_the_message_may_be_missing(failed: dict[str, Any]) -> None:  # ASGI 49
    async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(failed)

    assert refusal(living(lifespan)) == "the application's startup failed"


FAILING = """
async def app(scope, receive, send):
    assert scope["type"] == "lifespan"
    await receive()
    {then}
"""


@pytest.mark.parametrize(
    ("then", "words"),
    [
        ('await send({"type": "lifespan.startup.failed", "message": "no database"})', ["no database"]),
        ("raise ZeroDivisionError('oh')", ["Traceback", "raise ZeroDivisionError('oh')", "startup raised"]),
        ("return", ["returned before lifespan.startup.complete"]),
    ],
)
def test_the_process_ends_with_3(tmp_path: Path, then: str, words: list[str]) -> None:  # ASGI 49, 50
    (tmp_path / "failing.py").write_text(FAILING.format(then=then))
    kept = {name: value for name, value in os.environ.items() if name == "PORTWAY_PURE" or "PORTWAY" not in name}
    home = str(Path(portway.__file__).parent.parent)
    ended = subprocess.run(
        [sys.executable, "-m", "portway", "serve", "failing:app", "--port", "0"],
        cwd=tmp_path,
        env=kept | {"PYTHONPATH": home},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 3
    assert [word for word in words if word not in ended.stderr] == []


# --- auto, on, off ---


async def raises_at_once(scope: Scope, receive: Receive, send: Send) -> None:
    raise TypeError("only http is spoken here")


async def returns_at_once(scope: Scope, receive: Receive, send: Send) -> None:
    return


async def asserts(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "http"


async def starts_to_respond(scope: Scope, receive: Receive, send: Send) -> None:
    await send(OK)


@pytest.mark.parametrize("lifespan", [raises_at_once, returns_at_once, asserts, starts_to_respond])
def test_auto_takes_an_early_end_for_having_none(log: Any, lifespan: Lifespan) -> None:  # ASGI 50
    assert answers(living(lifespan), lifespan="auto")
    assert log.errors == []


@pytest.mark.parametrize(
    ("lifespan", "reason"),
    [
        (raises_at_once, "the application's startup raised TypeError: only http is spoken here"),
        (returns_at_once, "the application's lifespan returned before lifespan.startup.complete"),
    ],
)
def test_on_does_not(log: Any, lifespan: Lifespan, reason: str) -> None:  # ASGI 50
    assert refusal(living(lifespan), lifespan="on") == reason


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("loop", LOOPS)
def test_an_error_after_the_first_receive_is_a_failure_with_its_traceback(  # ASGI 50
    log: Any, mode: str, loop: str
) -> None:
    async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        raise ZeroDivisionError("oh")

    reason = refusal(living(lifespan), lifespan=mode, loop=loop)
    assert reason == "the application's startup raised ZeroDivisionError: oh"
    assert 'raise ZeroDivisionError("oh")' in log.error
    assert "Traceback" in log.error


@pytest.mark.parametrize("mode", MODES)
def test_so_is_a_return_after_it(mode: str) -> None:  # ASGI 50
    async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    assert "returned before lifespan.startup.complete" in refusal(living(lifespan), lifespan=mode)


def test_off_never_asks_the_application() -> None:  # ASGI 50
    async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError

    assert answers(living(lifespan), lifespan="off")


@pytest.mark.parametrize("mode", MODES)
def test_one_that_ends_once_it_is_started_has_nothing_to_put_away(log: Any, mode: str) -> None:  # ASGI 50, 51
    async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        scope["state"]["kept"] = 1
        await send(COMPLETE)

    assert answers(living(lifespan), lifespan=mode)
    assert log.errors == []


def test_one_that_raises_while_the_server_serves_ends_nothing(log: Any) -> None:  # ASGI 50
    async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(COMPLETE)
        raise ZeroDivisionError("oh")

    assert answers(living(lifespan))
    assert 'raise ZeroDivisionError("oh")' in log.errors[0]


# --- a shutdown that fails ---


def ends_by(*steps: Any) -> Lifespan:
    async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(COMPLETE)
        await receive()
        for step in steps:
            if isinstance(step, BaseException):
                raise step
            await send(step)

    return lifespan


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([{"type": "lifespan.shutdown.failed", "message": "not flushed"}], "shutdown failed: not flushed"),
        ([ZeroDivisionError("oh")], "shutdown raised ZeroDivisionError: oh"),
    ],
)
def test_a_failed_shutdown_is_logged_and_the_end_comes_all_the_same(  # ASGI 51
    log: Any, steps: list[Any], words: str
) -> None:
    assert answers(living(ends_by(*steps)))
    assert words in log.errors[-1]


def test_returning_without_shutdown_complete_will_do(log: Any) -> None:  # ASGI 51
    assert answers(living(ends_by()))
    assert log.errors == []


# --- limits ---


def test_a_startup_that_takes_too_long_is_given_up(log: Any) -> None:  # ASGI 49
    cancelled: list[bool] = []

    async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    reason = refusal(living(lifespan), timeout_startup=0.1)
    assert reason == "the application did not complete its startup within 0.1 s"
    assert cancelled == [True]


def test_a_shutdown_that_takes_too_long_is_given_up(log: Any) -> None:  # ASGI 51
    cancelled: list[bool] = []

    async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(COMPLETE)
        await receive()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    assert answers(living(lifespan), timeout_shutdown=0.1)
    assert cancelled == [True]
    assert "did not complete its shutdown within 0.1 s" in log.error


@pytest.mark.parametrize("limit", ["timeout_startup", "timeout_shutdown"])
def test_nothing_of_it_is_left_in_a_loop_that_goes_on(log: Any, limit: str) -> None:  # ASGI 47
    async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if limit == "timeout_shutdown":
            await send(COMPLETE)
            await receive()
        await asyncio.sleep(60)

    async def main() -> None:
        with contextlib.suppress(portway.LifespanFailed):
            async with serve(living(lifespan), **{limit: 0.1}):
                pass
        await asyncio.sleep(0)  # `serve` has a Task of its own, cancelled just now
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


# --- wrong messages ---


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([None], ["must be a dict", "None"]),
        ([{}], ["type"]),
        ([OK], ["http.response.start", "lifespan.startup.complete"]),
        ([ENDED], ["lifespan.shutdown.complete", "out of order", "lifespan.startup.complete"]),
        ([COMPLETE, COMPLETE], ["lifespan.startup.complete", "out of order", "lifespan.shutdown.complete"]),
        ([COMPLETE, FAILED], ["lifespan.startup.failed", "out of order"]),
        ([FAILED | {"message": 1}], ["lifespan.startup.failed", "message", "str", "1"]),
    ],
)
def test_send_says_what_is_wrong_with_a_message(log: Any, messages: list[Any], words: list[str]) -> None:  # ASGI 5
    texts: list[str] = []

    async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        for message in messages[:-1]:
            await send(message)
        with pytest.raises(portway.MessageError) as caught:
            await send(messages[-1])
        texts.append(str(caught.value))
        if COMPLETE not in messages:
            await send(COMPLETE)
        await receive()
        await send(ENDED | {"more": "ignored"})

    assert answers(living(lifespan))
    assert [word for word in words if word not in texts[0]] == []
    assert log.errors == []
