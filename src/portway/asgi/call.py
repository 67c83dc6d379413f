"""Runs the application for one request, in a Task of its own, and turns its end into what the peer sees.

Interpreted on purpose: a compiled `async def` is slower than an interpreted one since CPython 3.12.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from pathlib import Path
from types import TracebackType

from portway.asgi.http import Cycle
from portway.errors import ClientDisconnected, MessageError
from portway.types import ASGIApp, Receive, Scope, Send

log = logging.getLogger("portway")

_HERE = str(Path(__file__).parent)


async def run(app: ASGIApp, scope: Scope, cycle: Cycle, running: set[Cycle]) -> None:
    """Call the application; whatever it does, the response is brought to an end."""
    try:
        await app(scope, cycle.receive, cycle.send)
    except BaseException as error:
        raised(cycle, error)
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
    else:
        if not cycle.over:
            returned(cycle)
    finally:
        cycle.ended = True
        if cycle.task is not None:
            cycle.task = None
            running.discard(cycle)


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


def returned(cycle: Cycle) -> None:
    """It returned before its response was complete (ASGI 7, 31)."""
    if cycle.fail(500, "Internal Server Error"):
        log.error("%s: the application returned without a response", describe(cycle))
    else:
        cycle.abort()
        log.error("%s: the application returned before its response was complete", describe(cycle))


def raised(cycle: Cycle, error: BaseException) -> None:
    """It raised (ASGI 7, 8, 26)."""
    went = cycle.lost
    if isinstance(error, asyncio.CancelledError):
        if not cycle.fail(503, "Service Unavailable"):
            cycle.abort()
        return
    if not cycle.fail(500, "Internal Server Error"):
        cycle.abort()
    if isinstance(error, ClientDisconnected) or (went and isinstance(error, OSError)):
        return
    if isinstance(error, MessageError):
        log.error("%s: wrong ASGI message: %s%s", describe(cycle), error, sender(error.__traceback__))
        return
    log.error(
        "%s: the application raised %s", describe(cycle), type(error).__name__,
        exc_info=(type(error), error, without_ours(error.__traceback__)),
    )  # fmt: skip


def describe(cycle: Cycle) -> str:
    """A request for a log line, with nothing of the peer's in it that could forge one."""
    head = cycle.head
    return f"{head.method} {ascii(head.path.decode('latin-1'))[1:-1]}"


def without_ours(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the application's first frame on."""
    while trace is not None and trace.tb_next is not None and trace.tb_frame.f_code.co_filename.startswith(_HERE):
        trace = trace.tb_next
    return trace


def sender(trace: TracebackType | None) -> str:
    """Where the application called `send`."""
    theirs = [frame for frame in traceback.extract_tb(trace) if not _is_ours(frame.filename)]
    return f" (sent from {theirs[-1].filename}:{theirs[-1].lineno})" if theirs else ""


def _is_ours(filename: str) -> bool:
    return filename.startswith(_HERE) or filename.startswith("src/portway")
