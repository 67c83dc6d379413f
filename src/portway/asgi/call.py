"""Runs the application for one request, in a Task of its own, and turns its end into what the peer sees.

Interpreted on purpose: a compiled `async def` is slower than an interpreted one since CPython 3.12.
"""

from __future__ import annotations

import asyncio
import logging
import os
import traceback
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from portway.asgi.http import Cycle, too_short
from portway.asgi.websocket import WebSocket
from portway.errors import ClientDisconnected, MessageError
from portway.types import ASGIApp, Dialogue, Receive, Scope, Send

log = logging.getLogger("portway")


class Later(Protocol):
    """An answer that comes from elsewhere, as from a thread; for one server, and called on its loop alone."""

    def wait(self, waiter: Callable[[], None]) -> None:
        """`waiter` is called when there is something to send, unless `answer` was called before; at most once."""

    def answer(self) -> Coroutine[Any, Any, None] | None:
        """Call `respond` if the response is there; else the coroutine does what is left. Called once, at any time."""


# What an application may offer as `portway_prompt`: called in place of it for a request without a body, it may answer
# at once, as an ASGI application cannot. It returns None if it has called `respond`, or a coroutine that does what is
# left, or a Later. So a request has a Task only if it needs one.
Prompt = Callable[[Scope, Dialogue], Coroutine[Any, Any, None] | Later | None]

_HERE = f"{Path(__file__).parent.parent}{os.sep}"


async def run(app: ASGIApp, scope: Scope, cycle: Cycle | WebSocket, running: set[Cycle | WebSocket]) -> None:
    """Call the application; whatever it does, the response is brought to an end."""
    try:
        await app(scope, cycle.receive, cycle.send)
    except BaseException as error:  # SystemExit, too: one request does not end the server
        raised(cycle, error)
    else:
        if not cycle.whole:
            returned(cycle)
    finally:
        cycle.ended = True
        if cycle.task is not None:
            cycle.task = None
            running.discard(cycle)


def going_on(rest: Coroutine[Any, Any, None]) -> ASGIApp:
    """As an application what a prompt has left."""
    return lambda scope, receive, send: rest


async def unavailable(scope: Scope, receive: Receive, send: Send) -> None:
    """The application of a request that is one too many."""
    body = b"The server is busy; try again in a moment.\n"
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
        (b"retry-after", b"1"),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})


# --- the ends of an application ---


def returned(cycle: Cycle | WebSocket) -> None:
    """It returned before its response was complete (ASGI 7, 27, 31), or its WebSocket closed (ASGI 35, 44)."""
    if isinstance(cycle, WebSocket) and cycle.accepted:
        cycle.returned()
    elif cycle.missing:
        log.error("%s: wrong ASGI message: %s", describe(cycle), too_short(cycle.missing))
    elif cycle.lost or cycle.told:
        cycle.abort()
    elif cycle.fail(500, "Internal Server Error"):
        log.error("%s: the application returned without a response", describe(cycle))
    else:
        cycle.abort()
        log.error("%s: the application returned before its response was complete", describe(cycle))


def raised(cycle: Cycle | WebSocket, error: BaseException) -> None:
    """It raised (ASGI 7, 8, 26)."""
    went = cycle.lost or cycle.told
    if isinstance(error, asyncio.CancelledError) and asked_for():
        if not cycle.fail(503, "Service Unavailable"):
            cycle.abort()
        return
    if cycle.told or not cycle.fail(500, "Internal Server Error"):
        cycle.abort()
    causes = list(leaves(error))
    if all(isinstance(cause, ClientDisconnected) or (went and isinstance(cause, OSError)) for cause in causes):
        return
    if all(isinstance(cause, MessageError) for cause in causes):
        for cause in causes:
            assert isinstance(cause, MessageError)
            log.error("%s: %s: %s%s", describe(cycle), cause.what, cause, sender(cause.__traceback__))
        return
    if all(isinstance(cause, ClientDisconnected) or follows_a_disconnect(cause) for cause in causes):
        log.info("%s: the client went, and the application raised %s", describe(cycle), in_one_line(error))
        return
    log.error(
        "%s: the application raised %s", describe(cycle), type(error).__name__,
        exc_info=(type(error), error, without_ours(error.__traceback__)),
    )  # fmt: skip


def asked_for() -> bool:
    """Whether the running Task was cancelled from outside: by the server, as nothing else knows it."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors in a group, or the one that is none."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from leaves(each)
    else:
        yield error


def follows_a_disconnect(error: BaseException) -> bool:
    """Whether it was raised in answer to our ClientDisconnected, as Starlette does with its ClientDisconnect."""
    seen = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, ClientDisconnected):
            return True
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    return False


def in_one_line(error: BaseException) -> str:
    return " ".join(traceback.format_exception_only(error)[0].split())


def describe(cycle: Cycle | WebSocket) -> str:
    """A request for a log line, with nothing of the peer's in it that could forge one."""
    head = cycle.head
    what = head.method if isinstance(cycle, Cycle) else "WebSocket"
    return f"{what} {ascii(head.path.decode('latin-1'))[1:-1]}"


def without_ours(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the application's first frame on."""
    while trace is not None and trace.tb_next is not None and _is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return trace


def sender(trace: TracebackType | None) -> str:
    """Where the application called `send`."""
    theirs = [frame for frame in traceback.extract_tb(trace) if not _is_ours(frame.filename)]
    return f" (sent from {theirs[-1].filename}:{theirs[-1].lineno})" if theirs else ""


def _is_ours(filename: str) -> bool:
    return filename.startswith(_HERE) or filename.startswith("src/portway")
