"""Calls a WSGI application on the event loop, and has the answer at once where it is whole with its first piece.

Compiled, since it is all that stands between the server and such an application; what takes longer is `inline`'s.
"""

from __future__ import annotations

import io
from collections.abc import Coroutine, Iterator
from typing import Any

from portway.types import Dialogue, Scope, WSGIApp
from portway.wsgi.environ import environ_of
from portway.wsgi.files import FileWrapper, takes_files
from portway.wsgi.inline import Answer, Driver, send_and_raise, warn_of_surplus
from portway.wsgi.reply import Reply

_BytesIO = io.BytesIO


class Prompt:
    """Called as `asgi.call.Prompt` says, for a request without a body."""

    __slots__ = ("_app", "_base")

    def __init__(self, app: WSGIApp, base: dict[str, Any]) -> None:
        """`base` is what `environ.base_of` gives."""
        self._app = app
        self._base = base

    def __call__(self, scope: Scope, dialogue: Dialogue) -> Coroutine[Any, Any, None] | None:
        environ = environ_of(scope, self._base)
        environ["wsgi.input"] = _BytesIO()
        answer = begin(self._app, environ, scope, dialogue)
        if not isinstance(answer, tuple):
            return answer
        dialogue.respond(answer[0], answer[1], answer[2])  # type: ignore[misc]  # who calls a Prompt has it
        return None


def begin(
    app: WSGIApp, environ: dict[str, Any], scope: Scope, dialogue: Dialogue
) -> Answer | Coroutine[Any, Any, None]:
    """Call the application. A response that is whole with its first piece is returned; else the coroutine does what is
    left. Raises what the application raises.
    """
    written: list[bytes] = []
    reply = Reply(environ["REQUEST_METHOD"], written.append)
    result: Any = app(environ, reply.start_response)
    if type(result) is list and len(result) == 1 and not written:
        first = reply.piece(result[0])
        if reply.left <= 0:
            return _whole(reply, first, environ)
        return Driver(reply, result, written, dialogue).drive(first, iter(()), False, environ)
    return _iterate(reply, result, written, environ, scope, dialogue)


def _iterate(
    reply: Reply,
    result: Any,
    written: list[bytes],
    environ: dict[str, Any],
    scope: Scope,
    dialogue: Dialogue,
) -> Answer | Coroutine[Any, Any, None]:
    """Take the first piece; close the iterable, or leave that to the coroutine."""
    first = b""
    pieces: Iterator[Any] | None = None
    try:
        if not (written or type(result) is FileWrapper):
            pieces = iter(result)
            over = True
            for each in pieces:
                first = reply.piece(each)
                over = False
                break
            if not written and (reply.whole or (over and reply.left <= 0)):
                _finish(reply, pieces)
                answer = _whole(reply, first, environ)
                error = closed(result)
                result = None
                return answer if error is None else send_and_raise(dialogue.send, answer, error)
        if written and first:  # together: with `first` the response may be whole already
            first = b"".join((*written, first))
            written.clear()
        driver = Driver(reply, result, written, dialogue)
        rest = driver.drive(first, pieces, takes_files(scope), environ)
        result = None  # from now on it is the driver's to close
        return rest
    finally:
        close = getattr(result, "close", None)
        if close is not None:
            close()


def closed(result: Any) -> Exception | None:
    """Close the iterable; what that raises."""
    close = getattr(result, "close", None)
    if close is not None:
        try:
            close()
        except Exception as error:
            return error
    return None


def _finish(reply: Reply, pieces: Iterator[Any]) -> None:
    """Let the iterable come to its end, unless it gives too much."""
    for each in pieces:
        if reply.surplus:
            break
        reply.piece(each)


def _whole(reply: Reply, data: bytes, environ: dict[str, Any]) -> Answer:
    reply.end()
    if reply.surplus:
        warn_of_surplus(reply, environ)
    return reply.status, reply.headers, data
