"""What becomes of an application that does not keep to the contract: what its client sees, and what the log says."""

import asyncio
import re
import threading
from collections.abc import Callable
from typing import Any

import pytest

from portway.testing import Raw, Response, serve
from portway.types import ASGIApp, Receive, Scope, Send

Ask = Callable[..., Response]

GET = b"GET /a%0Ab HTTP/1.1\r\nhost: a\r\n\r\n"
OLD = b"GET /a%0Ab HTTP/1.0\r\n\r\n"
OK = {"type": "http.response.start", "status": 200}
DONE = {"type": "http.response.body", "body": b"ok"}
MORE = DONE | {"more_body": True}
SIZED = OK | {"headers": [(b"content-length", b"4")]}
ERROR = b"Internal Server Error\n"


class Quit(BaseException):
    """As pytest's and trio's own that are no Exception."""


def ends(*messages: Any, by: BaseException | None = None) -> ASGIApp:
    """Sends the messages and then raises, or returns."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)
        if by is not None:
            raise by

    return app


def seen(app: ASGIApp, request: bytes = GET, **settings: Any) -> bytes:
    """All that a client sees of it until the connection ends."""
    with serve(app, lifespan="off", **settings) as served, Raw(served.host, served.port) as raw:
        raw.send(request)
        return raw.rest()


def read_to_the_end(raw: Raw) -> None:
    """As `rest`, for a reset not to pass for an end."""
    while raw.socket.recv(65536):
        pass


# --- it raises ---


@pytest.mark.parametrize("before", [[], [OK]], ids=["at once", "after the start"])
@pytest.mark.parametrize(
    "error", [ZeroDivisionError("oh"), OSError("oh"), Quit("oh"), ExceptionGroup("oh", [KeyError()])]
)
def test_an_error_before_the_first_body_is_a_clean_500(  # ASGI 7, 26
    log: Any, before: list[Any], error: BaseException
) -> None:
    written = seen(ends(*before, by=error))
    assert written.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert written.endswith(b"\r\n\r\n" + ERROR)
    assert log.error.startswith(f"GET /a%0Ab: the application raised {type(error).__name__}\n")
    assert "oh" in log.error


def test_nothing_of_a_held_start_is_in_the_500(ask: Ask) -> None:  # ASGI 26
    start = OK | {"headers": [(b"set-cookie", b"a=1"), (b"content-length", b"99")]}
    response = ask(ends(start, by=ZeroDivisionError()), lifespan="off")
    assert (response.status, response.header("set-cookie"), response.body) == (500, None, ERROR)


def test_the_connection_ends_with_the_500(ask: Ask) -> None:  # ASGI 7
    with serve(ends(by=ZeroDivisionError()), lifespan="off") as served, Raw(served.host, served.port) as raw:
        raw.send(GET + GET)
        assert raw.response().header("connection") == "close"
        assert raw.rest() == b""


def test_an_error_within_the_body_cuts_the_response_off(log: Any) -> None:  # ASGI 7
    written = seen(ends(OK, MORE, MORE, by=ZeroDivisionError("oh")))
    assert written.startswith(b"HTTP/1.1 200 OK\r\n")
    assert written.endswith(b"\r\n\r\n2\r\nok\r\n2\r\nok\r\n")  # and no last chunk
    assert log.error.startswith("GET /a%0Ab: the application raised ZeroDivisionError\n")


def test_with_a_length_the_missing_bytes_tell_it(log: Any) -> None:  # ASGI 7, 27
    written = seen(ends(SIZED, MORE, by=ZeroDivisionError("oh")))
    assert written.endswith(b"content-length: 4\r\n\r\nok")
    assert "ZeroDivisionError" in log.error


def test_where_the_end_of_the_connection_ends_the_response_it_is_reset(log: Any) -> None:  # ASGI 7
    with (
        serve(ends(OK, MORE, by=ZeroDivisionError("oh")), lifespan="off") as served,
        Raw(served.host, served.port) as raw,
    ):
        raw.send(OLD)
        # That is the one sign there is; it may overtake what was written before it.
        with pytest.raises(ConnectionResetError):
            read_to_the_end(raw)
    assert "ZeroDivisionError" in log.error


@pytest.mark.parametrize("request_", [GET, OLD])
def test_an_error_after_the_response_is_logged_and_hurts_no_one(log: Any, request_: bytes) -> None:  # ASGI 7
    keep = request_.replace(b"\r\n\r\n", b"\r\nconnection: keep-alive\r\n\r\n")
    app = ends(OK, DONE, by=ZeroDivisionError())
    with serve(app, lifespan="off") as served, Raw(served.host, served.port) as raw:
        assert raw.ask(keep).body == b"ok"
        assert raw.ask(keep).body == b"ok"
    assert [line.split("\n")[0] for line in log.errors] == ["GET /a%0Ab: the application raised ZeroDivisionError"] * 2


def test_the_traceback_begins_in_the_application(log: Any) -> None:  # ASGI 7
    seen(ends(by=ZeroDivisionError("oh")))
    files = re.findall(r'File "([^"]+)"', log.error)
    assert files == [__file__]


def test_other_requests_go_on(log: Any) -> None:  # ASGI 7
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/bad":
            raise ZeroDivisionError
        await receive()
        await send(OK)
        await send(DONE)

    with serve(app, lifespan="off") as served, Raw(served.host, served.port) as good:
        good.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\n")
        for _ in range(3):
            with Raw(served.host, served.port) as bad:
                assert bad.ask(GET.replace(b"/a%0Ab", b"/bad")).status == 500
        assert good.ask(b"x").body == b"ok"
    assert len(log.errors) == 3


@pytest.mark.parametrize("error", [SystemExit(7), KeyboardInterrupt()])
def test_an_application_cannot_end_the_server_by_an_exit(log: Any, error: BaseException) -> None:  # ASGI 7
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/bad":
            raise error
        await send(OK)
        await send(DONE)

    with serve(app, lifespan="off") as served:
        with Raw(served.host, served.port) as bad:
            assert bad.ask(GET.replace(b"/a%0Ab", b"/bad")).status == 500
        with Raw(served.host, served.port) as good:
            assert good.ask(GET).body == b"ok"
    assert type(error).__name__ in log.error


# --- an error of ours, or of the client's leaving ---


def test_a_wrong_message_is_one_line_that_says_where_it_came_from(log: Any) -> None:  # ASGI 8
    written = seen(ends(DONE))
    assert written.endswith(ERROR)
    assert re.fullmatch(
        r"GET /a%0Ab: wrong ASGI message: http\.response\.body came out of order; "
        rf"expected was http\.response\.start \(sent from {re.escape(__file__)}:\d+\)",
        log.error,
    )


def test_so_it_is_from_within_an_exception_group(log: Any) -> None:  # ASGI 8
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(ends(DONE)(scope, receive, send))

    assert seen(app).endswith(ERROR)
    assert log.error.startswith("GET /a%0Ab: wrong ASGI message: ")
    assert "\n" not in log.error


def test_a_group_with_an_error_of_the_application_is_the_applications(log: Any) -> None:  # ASGI 7, 8
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send(DONE)
        except RuntimeError as error:
            raise ExceptionGroup("both", [error, ZeroDivisionError()]) from None

    assert seen(app).endswith(ERROR)
    assert log.error.startswith("GET /a%0Ab: the application raised ExceptionGroup\n")


# --- it returns ---


@pytest.mark.parametrize("before", [[], [OK]], ids=["at once", "after the start"])
def test_returning_without_a_response_is_a_500(log: Any, before: list[Any]) -> None:  # ASGI 31
    written = seen(ends(*before))
    assert written.startswith(b"HTTP/1.1 500 ")
    assert written.endswith(ERROR)
    assert log.error == "GET /a%0Ab: the application returned without a response"


@pytest.mark.parametrize(("messages", "end"), [([OK, MORE], b"\r\n\r\n2\r\nok\r\n"), ([SIZED, MORE], b"\r\n\r\nok")])
def test_returning_within_the_body_cuts_the_response_off(  # ASGI 7, 31
    log: Any, messages: list[Any], end: bytes
) -> None:
    assert seen(ends(*messages)).endswith(end)
    assert log.error == "GET /a%0Ab: the application returned before its response was complete"


def test_a_client_is_never_answered_and_goes(log: Any) -> None:  # ASGI 29
    waiting = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        waiting.set()
        while (await receive())["type"] != "http.disconnect":
            pass

    with serve(app, lifespan="off", access_log=True) as served, Raw(served.host, served.port) as raw:
        raw.send(GET)
        assert waiting.wait(10)
        raw.close()
    assert log.errors == []
    assert " 499 " in log.lines[-1]  # as nginx has it


# --- it lies about the length ---


def test_a_body_longer_than_declared_is_refused_before_a_byte_of_it(log: Any) -> None:  # ASGI 27
    written = seen(ends(SIZED, DONE | {"body": b"12345"}))
    assert written.startswith(b"HTTP/1.1 500 ")
    assert b"12345" not in written
    assert "1 bytes more than the content-length" in log.error


@pytest.mark.parametrize("request_", [GET, OLD])
def test_a_further_piece_that_is_too_much_is_refused_and_ends_it(log: Any, request_: bytes) -> None:  # ASGI 27
    written = seen(ends(SIZED, MORE, DONE | {"body": b"345"}), request_)
    assert written.endswith(b"content-length: 4\r\n" + b"connection: close\r\n" * (request_ is OLD) + b"\r\nok")
    assert "1 bytes more than the content-length" in log.error


def test_an_application_that_goes_on_after_the_refusal_may_still_be_right(ask: Ask, log: Any) -> None:  # ASGI 27
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(SIZED)
        with pytest.raises(RuntimeError, match="content-length"):
            await send(DONE | {"body": b"12345"})
        await send(MORE)
        with pytest.raises(RuntimeError, match="content-length"):
            await send(DONE | {"body": b"345"})
        await send(DONE)

    assert ask(app, lifespan="off").body == b"okok"
    assert log.errors == []


@pytest.mark.parametrize("request_", [GET, OLD])
@pytest.mark.parametrize("bodies", [[DONE], [MORE, {"type": "http.response.body"}], [MORE, DONE | {"body": b"x"}]])
def test_a_body_shorter_than_declared_aborts_the_connection(  # ASGI 27
    log: Any, request_: bytes, bodies: list[Any]
) -> None:
    written = seen(ends(SIZED, *bodies), request_)
    head, _, body = written.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"content-length: 4" in head
    assert body == b"".join(each.get("body", b"") for each in bodies)
    assert "short of its content-length" in log.error


def test_it_is_logged_even_if_the_application_looks_away(log: Any) -> None:  # ASGI 27
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(SIZED)
        with pytest.raises(RuntimeError, match="2 bytes short"):
            await send(DONE)

    assert seen(app).endswith(b"\r\n\r\nok")
    assert "short of its content-length" in log.error


@pytest.mark.parametrize("value", [b"-1", b"+4", b"4.0", b"", b"0x4", b"4 4", "4", b"9" * 19])
def test_a_length_that_is_no_number_is_refused(log: Any, value: Any) -> None:  # ASGI 5, 27
    start = OK | {"headers": [(b"content-length", value)]}
    assert seen(ends(start, DONE)).startswith(b"HTTP/1.1 500 ")
    assert "http.response.start: headers" in log.error


def test_two_lengths_must_agree(ask: Ask, log: Any) -> None:  # ASGI 27
    twice = OK | {"headers": [(b"content-length", b"2"), (b"Content-Length", b"2")]}
    assert ask(ends(twice, DONE), lifespan="off").header("content-length") == "2"
    assert log.errors == []
    other = OK | {"headers": [(b"content-length", b"2"), (b"content-length", b"3")]}
    assert ask(ends(other, DONE), lifespan="off").status == 500
    assert "two content-length headers" in log.error


# --- it sends after the end ---


def test_what_is_sent_after_the_end_raises_and_reaches_no_one(log: Any) -> None:  # ASGI 5, 7
    app = ends(OK, DONE, DONE | {"body": b"late"})
    with serve(app, lifespan="off") as served, Raw(served.host, served.port) as raw:
        assert raw.ask(GET).body == b"ok"
        raw.send(GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
        assert b"late" not in raw.rest()
    assert len(log.errors) == 2
    assert "came out of order; expected was nothing more: the response is complete" in log.errors[0]


def test_one_that_keeps_send_cannot_write_into_the_next_response() -> None:  # ASGI 11
    kept: list[Send] = []
    texts: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for earlier in kept:
            for message in (OK, DONE | {"body": b"forged"}):
                with pytest.raises(RuntimeError) as caught:
                    await earlier(message)
                texts.append(str(caught.value))
        kept.append(send)
        await send(OK)
        await send(DONE)

    with serve(app, lifespan="off") as served, Raw(served.host, served.port) as raw:
        for _ in range(3):
            assert raw.ask(GET).body == b"ok"
    assert len(texts) == 6


# --- cancelling ---


def test_a_cancelled_error_of_its_own_is_an_error_like_any_other(log: Any) -> None:  # ASGI 7
    assert seen(ends(by=asyncio.CancelledError())).endswith(ERROR)
    assert log.error.startswith("GET /a%0Ab: the application raised CancelledError")


def test_so_it_is_if_it_awaits_a_task_that_was_cancelled(log: Any) -> None:  # ASGI 7
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.ensure_future(asyncio.sleep(60))
        asyncio.get_running_loop().call_soon(task.cancel)
        await task

    assert seen(app).endswith(ERROR)
    assert "CancelledError" in log.error


def test_within_the_body_it_cuts_the_response_off(log: Any) -> None:  # ASGI 7
    assert seen(ends(OK, MORE, by=asyncio.CancelledError())).endswith(b"\r\n\r\n2\r\nok\r\n")
    assert "CancelledError" in log.error


def test_an_application_that_swallows_its_cancelling_is_waited_for(log: Any) -> None:
    waiting = threading.Event()
    ended: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        waiting.set()
        for _ in range(2):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                await asyncio.sleep(0.01)
                break
        ended.append(True)

    with serve(app, lifespan="off", timeout_graceful_shutdown=0.1) as served, Raw(served.host, served.port) as raw:
        raw.send(GET)
        assert waiting.wait(10)
    assert ended == [True]
    assert any("Cancelled after the grace: GET /a%0Ab" in line for line in log.errors)


def test_a_request_that_is_cancelled_at_the_end_is_told_to_the_log_once(log: Any) -> None:
    waiting = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        waiting.set()
        await asyncio.sleep(60)

    with serve(app, lifespan="off", timeout_graceful_shutdown=0.1) as served, Raw(served.host, served.port) as raw:
        raw.send(GET)
        assert waiting.wait(10)
    assert [line for line in log.errors if "GET /a%0Ab" in line] == ["Cancelled after the grace: GET /a%0Ab"]
