"""What an application learns when its client goes, and what the log says of it, which is nothing."""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

import pytest

import portway
from portway.testing import Raw, serve
from portway.types import Message, Receive, Scope, Send

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
OLD = b"GET / HTTP/1.0\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n"
OK = {"type": "http.response.start", "status": 200}
MORE = {"type": "http.response.body", "body": b"ok", "more_body": True}
LOOPS = ["uvloop", "asyncio"]


def reset(raw: Raw) -> None:
    """Go with a reset, as a crashed client does."""
    raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()


def close(raw: Raw) -> None:
    raw.close()


LEAVE = pytest.mark.parametrize("leave", [close, reset])


async def until_gone(send: Send, message: Message) -> BaseException:
    """Send until it raises, and what it raised."""
    while True:
        try:
            await send(message)
        except BaseException as error:
            return error
        await asyncio.sleep(0)


# --- send ---


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("request_", [GET, OLD])
@LEAVE
def test_send_raises_an_oserror_once_the_client_has_gone(  # ASGI 28
    log: Any, loop: str, request_: bytes, leave: Callable[[Raw], None]
) -> None:
    raised: list[BaseException] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(OK)
        raised.append(await until_gone(send, MORE))
        raised.append(await until_gone(send, MORE))
        raise raised[0]

    with serve(app, loop=loop, lifespan="off") as served:
        raw = Raw(served.host, served.port)
        raw.send(request_)
        assert raw.interim().status == 200
        leave(raw)
    assert [type(error) for error in raised] == [portway.ClientDisconnected] * 2
    assert isinstance(raised[0], OSError)
    assert log.errors == []


@LEAVE
def test_so_does_a_send_of_anything_after_it(log: Any, leave: Callable[[Raw], None]) -> None:  # ASGI 28
    raised: list[BaseException] = []
    waiting = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        waiting.set()
        assert (await receive())["type"] == "http.disconnect"
        if leave is close:
            await send(OK)  # that is held, and the client may have closed only its side
        raised.append(await until_gone(send, OK if leave is reset else MORE))
        raised.append(await until_gone(send, {"type": "http.response.early_hint", "links": []}))
        raise raised[0]

    with serve(app, lifespan="off") as served:
        raw = Raw(served.host, served.port)
        raw.send(GET)
        assert waiting.wait(10)
        leave(raw)
    assert [type(error) for error in raised] == [portway.ClientDisconnected] * 2
    assert log.errors == []


@pytest.mark.parametrize("loop", LOOPS)
@LEAVE
def test_a_send_that_waits_for_a_slow_reader_is_woken_when_it_goes(  # ASGI 28
    log: Any, loop: str, leave: Callable[[Raw], None]
) -> None:
    waiting = threading.Event()
    raised: list[BaseException] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(OK)
        while True:
            sending = asyncio.ensure_future(
                send({"type": "http.response.body", "body": bytes(65536), "more_body": True})
            )
            done, _ = await asyncio.wait([sending], timeout=0.3)
            if not done:
                break
        both = [sending, asyncio.ensure_future(send(MORE))]
        await asyncio.sleep(0)
        waiting.set()
        raised.extend(await asyncio.gather(*both, return_exceptions=True))  # type: ignore[arg-type]
        raise raised[0]

    with serve(app, loop=loop, lifespan="off") as served:
        raw = Raw(served.host, served.port)
        raw.send(GET)
        assert waiting.wait(30)
        leave(raw)
    assert [type(error) for error in raised] == [portway.ClientDisconnected] * 2
    assert log.errors == []


# --- what it raises then ---


def raiser(then: Callable[[BaseException], BaseException]) -> Any:
    """Finds out that its client has gone and raises what `then` makes of it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(OK)
        try:
            while True:
                await send(MORE)
                await asyncio.sleep(0)
        except OSError as error:
            raise then(error)  # noqa: B904 - as it happens

    return app


def told_of(app: Any, leave: Callable[[Raw], None] = reset) -> None:
    """Ask, see the response begin and go."""
    with serve(app, lifespan="off") as served:
        raw = Raw(served.host, served.port)
        raw.send(GET)
        assert raw.interim().status == 200
        leave(raw)


@pytest.mark.parametrize(
    "then",
    [
        lambda error: error,
        lambda error: ConnectionResetError("of its own"),
        lambda error: ExceptionGroup("one", [error]),
        lambda error: ExceptionGroup("two", [ExceptionGroup("one", [error]), error]),
    ],
)
def test_it_is_never_logged_as_an_error(log: Any, then: Callable[[BaseException], BaseException]) -> None:  # ASGI 28
    told_of(raiser(then))
    assert [line for line in log.lines if "GET" in line] == []


class Gone(Exception):
    """As Starlette's ClientDisconnect, which it raises in answer to an OSError of `send`."""


def test_an_error_that_answers_it_is_no_error_and_yet_visible(log: Any) -> None:  # ASGI 28
    told_of(raiser(lambda error: Gone("left")))
    assert log.errors == []
    (line,) = [line for line in log.lines if "GET" in line]
    assert line.startswith("GET /: the client went, and the application raised ")
    assert line.endswith("Gone: left")


def test_an_error_that_has_nothing_to_do_with_it_is_one(log: Any) -> None:  # ASGI 7, 28
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(OK)
        await until_gone(send, MORE)
        raise ZeroDivisionError

    told_of(app)
    assert log.error.startswith("GET /: the application raised ZeroDivisionError")


def test_an_oserror_of_its_own_is_one_while_the_client_is_there(log: Any) -> None:  # ASGI 7
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise FileNotFoundError("gone fishing")

    with serve(app, lifespan="off") as served, Raw(served.host, served.port) as raw:
        assert raw.ask(GET).status == 500
    assert "gone fishing" in log.error


def test_returning_when_told_is_no_error(log: Any) -> None:  # ASGI 29, 31
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(OK)
        await send(MORE)
        while (await receive())["type"] != "http.disconnect":
            pass

    told_of(app, close)
    told_of(app, reset)
    assert [line for line in log.lines if "GET" in line] == []


# --- receive ---


@pytest.mark.parametrize("loop", LOOPS)
@LEAVE
def test_a_stream_of_events_ends_when_its_client_leaves(  # ASGI 29
    log: Any, loop: str, leave: Callable[[Raw], None]
) -> None:
    ended = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(OK | {"headers": [(b"content-type", b"text/event-stream")]})

        async def write() -> None:
            while True:
                await send(MORE | {"body": b"data: tick\n\n"})
                await asyncio.sleep(0.01)

        writing = asyncio.ensure_future(write())
        while (await receive())["type"] != "http.disconnect":
            pass
        writing.cancel()
        await asyncio.wait([writing])
        ended.set()

    with serve(app, loop=loop, lifespan="off") as served:
        raw = Raw(served.host, served.port)
        raw.send(GET)
        raw.until(b"data: tick\n\n")
        raw.until(b"data: tick\n\n")
        leave(raw)
        assert ended.wait(10)
    assert log.errors == []


@LEAVE
def test_a_client_that_leaves_amid_its_request_is_told_as_gone(  # ASGI 29
    log: Any, leave: Callable[[Raw], None]
) -> None:
    got: list[Message] = []
    first = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        got.append(await receive())
        first.set()
        got.append(await receive())
        got.append(await receive())
        assert isinstance(await until_gone(send, OK), portway.ClientDisconnected)

    with serve(app, lifespan="off") as served:
        raw = Raw(served.host, served.port)
        raw.send(POST + b"abc")
        assert first.wait(10)
        leave(raw)
    assert got == [
        {"type": "http.request", "body": b"abc", "more_body": True},
        {"type": "http.disconnect"},
        {"type": "http.disconnect"},
    ]
    assert log.errors == []


def test_a_request_that_came_whole_is_told_whole_though_its_client_has_gone(log: Any) -> None:  # ASGI 22, 29
    got: list[Message] = []
    gone, begun = threading.Event(), threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await asyncio.get_running_loop().run_in_executor(None, gone.wait, 10)
        got.extend([await receive(), await receive()])

    with serve(app, lifespan="off") as served:
        raw = Raw(served.host, served.port)
        raw.send(POST + b"123456789")
        assert begun.wait(10)
        raw.close()
        gone.set()
    assert got == [{"type": "http.request", "body": b"123456789", "more_body": False}, {"type": "http.disconnect"}]
    assert log.errors == []


def test_a_client_that_only_closes_its_own_side_is_still_answered(log: Any) -> None:  # ASGI 29
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        await send(OK)
        await asyncio.sleep(0.05)
        await send(MORE | {"body": message["body"], "more_body": False})

    with serve(app, lifespan="off") as served, Raw(served.host, served.port) as raw:
        raw.send(POST + b"123456789")
        raw.half_close()
        assert raw.response().body == b"123456789"
        assert raw.rest() == b""
    assert log.errors == []


# --- --cancel-on-disconnect ---


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("begun", [False, True])
@LEAVE
def test_on_demand_the_task_is_cancelled(  # ASGI 29
    log: Any, loop: str, begun: bool, leave: Callable[[Raw], None]
) -> None:
    waiting, cancelled = threading.Event(), threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if begun:
            await send(OK)
            await send(MORE)
        waiting.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with serve(app, loop=loop, lifespan="off", cancel_on_disconnect=True) as served:
        raw = Raw(served.host, served.port)
        raw.send(GET)
        assert waiting.wait(10)
        leave(raw)
        assert cancelled.wait(10)
    assert log.errors == []


def test_otherwise_it_is_left_alone(log: Any) -> None:  # ASGI 29
    waiting, left = threading.Event(), threading.Event()
    outcome: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        waiting.set()
        assert (await receive())["type"] == "http.disconnect"
        left.set()
        await asyncio.sleep(0.05)
        outcome.append("through")

    with serve(app, lifespan="off") as served:
        raw = Raw(served.host, served.port)
        raw.send(GET)
        assert waiting.wait(10)
        raw.close()
        assert left.wait(10)
    assert outcome == ["through"]
    assert log.errors == []


def test_a_task_whose_response_is_complete_is_not_cancelled(log: Any) -> None:
    answered, gone = threading.Event(), threading.Event()
    outcome: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(OK)
        await send(MORE | {"more_body": False})
        answered.set()
        await asyncio.get_running_loop().run_in_executor(None, gone.wait, 10)
        outcome.append("through")

    with serve(app, lifespan="off", cancel_on_disconnect=True) as served:
        with Raw(served.host, served.port) as raw:
            assert raw.ask(GET).body == b"ok"
            assert answered.wait(10)
        with Raw(served.host, served.port) as raw:
            pass  # by then the first one's end has been seen
        gone.set()
    assert outcome == ["through"]
    assert log.errors == []
