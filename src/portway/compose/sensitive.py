"""Code that wants to stay in one thread, under ASGI.

Django keeps its database connections for each thread, and under ASGI gives each request a thread of its own, made
for it and gone with it: no connection is ever used again. asgiref, which chooses the thread (`sync_to_async`),
can be told of another executor for all that runs within a context; here each request gets such a context, whose
executor borrows a long-lived thread.

  auto      pool for Django, off for all else
  pool      a thread for each request that has such code, lent from those that are there
  request   a new thread for each request, as Django does by itself
  off       as if this were not here: what is no Django shares one thread, one call after the other

A WebSocket is let pass: it would keep its thread for as long as it is open. Within a context that somebody has
entered already, that one stays in force, as asgiref has it.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
from collections.abc import Awaitable
from typing import Any

from portway.compose.lending import Loan, Threads
from portway.errors import SettingsError
from portway.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("portway")

ASGIREF = "pip install 'asgiref>=3.13'"

# The messages that carry content, or stand for it.
CONTENT = ("http.response.body", "http.response.zerocopysend", "http.response.pathsend")

# RFC 9110 §6.4.1
BARE = (204, 304)

# What wrappers of an application call it, and how many may lie around each other.
NAMES = ("app", "application", "inner")
DEPTH = 10


class ThreadSensitive:
    """An ASGI application around another, which chooses the threads of its thread-sensitive code."""

    def __init__(self, app: ASGIApp, mode: str = "auto", threads: Threads | None = None) -> None:
        """`mode` is auto, pool, request or off. `threads` are those to lend, which their owner closes; without, this
        makes its own, and closes them after the application's lifespan.

        Raises SettingsError where asgiref is needed and is not there, or is too old.
        """
        self.mode = chosen(app, mode)
        if self.mode != "off":
            plain, lasting, self._current = contexts()
            self._context = lasting if self.mode == "pool" else plain
        self._app = app
        self._threads = threads or made()
        self._owner = threads is None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self.mode == "request":
            async with self._context():
                await self._app(scope, receive, send)
        elif scope["type"] == "http" and self.mode == "pool" and self._current.get(None) is None:
            await self._lending(scope, receive, send)
        elif scope["type"] == "lifespan" and self._owner:
            await self._living(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _lending(self, scope: Scope, receive: Receive, send: Send) -> None:
        loan = Loan(self._threads, asyncio.get_running_loop())
        answer = Answer(loan, scope["method"], send)
        try:
            async with self._context(executor=loan):
                await self._app(scope, receive, answer.send)
        finally:
            loan.end()

    async def _living(self, scope: Scope, receive: Receive, send: Send) -> None:
        ending = False

        async def told() -> Message:
            nonlocal ending
            message = await receive()
            ending = message["type"] == "lifespan.shutdown"
            return message

        try:
            await self._app(scope, told, send)
        finally:
            if ending:
                self._threads.close()


class Answer:
    """Notes when a client has the whole response: with the last message, or with the last byte that was declared."""

    __slots__ = ("_left", "_loan", "_method", "_send")

    def __init__(self, loan: Loan, method: str, send: Send) -> None:
        self._loan = loan
        self._method = method
        self._send = send
        self._left: int | None = None

    def send(self, message: Message) -> Awaitable[None]:
        try:
            self._note(message)
        except (AttributeError, LookupError, TypeError, ValueError):
            pass  # the server will say what is wrong with it
        return self._send(message)

    def _note(self, message: Message) -> None:
        kind = message["type"]
        if kind in CONTENT:
            self._count(message)
        elif kind == "http.response.start":
            self._left = 0 if self._method == "HEAD" or message["status"] in BARE else declared(message)

    def _count(self, message: Message) -> None:
        if self._left is not None:
            self._left -= len(message.get("body", b""))
        if not message.get("more_body", False) or (self._left is not None and self._left <= 0):
            self._loan.complete()


def declared(start: Message) -> int | None:
    """The Content-Length of a response."""
    headers = start.get("headers")
    if isinstance(headers, (list, tuple)):  # another iterable may be one that can be read only once
        for name, value in headers:
            if name.lower() == b"content-length":
                return int(value) if value.isdigit() else None
    return None


# --- which mode ---


def chosen(app: ASGIApp, mode: str) -> str:
    """pool, request or off."""
    if mode == "auto":
        return automatic(app)
    if mode == "request" and contexts()[0] is None:
        raise SettingsError(f"thread_sensitive: request needs asgiref, which is not installed; {ASGIREF}")
    if mode == "pool" and (why := missing()):
        raise SettingsError(f"thread_sensitive: pool needs asgiref 3.13 or newer, and {why}; {ASGIREF}")
    return mode


def automatic(app: ASGIApp) -> str:
    if not is_django(app):
        return "off"
    if why := missing():
        log.warning(
            "Django gets a new thread, and a new database connection, for each request: "
            "to keep them needs asgiref 3.13 or newer, and %s; %s, or set --thread-sensitive off", why, ASGIREF,
        )  # fmt: skip
        return "off"
    return "pool"


def missing() -> str | None:
    """Why asgiref cannot be told of an executor."""
    context = contexts()[0]
    if context is None:
        return "it is not installed"
    return None if "executor" in inspect.signature(context).parameters else "the one that is installed is older"


def is_django(app: Any) -> bool:
    """Whether it is Django's, or lies around it: Channels' router, or a wrapper that keeps it in a plain attribute.

    Nothing is imported for that: where there is an application of Django's, its module is loaded.
    """
    module = sys.modules.get("django.core.handlers.asgi")
    for _ in range(DEPTH if module is not None else 0):
        if isinstance(app, module.ASGIHandler):  # type: ignore[union-attr]
            return True
        app = inner(app)
    return False


def inner(app: Any) -> Any:
    """The application for HTTP that this one lies around, as far as its attributes tell."""
    kept = getattr(app, "__dict__", {})
    routes = kept.get("application_mapping")  # of channels.routing.ProtocolTypeRouter
    if isinstance(routes, dict):
        return routes.get("http")
    return next((kept[name] for name in NAMES if name in kept), None)


# --- asgiref and Django, where they are ---


def contexts() -> tuple[Any, Any, Any]:
    """asgiref's ThreadSensitiveContext, one for executors that live on, and the variable that has the one in force;
    all None without asgiref.
    """
    try:
        from asgiref.sync import SyncToAsync, ThreadSensitiveContext
    except ImportError:
        return None, None, None

    class Lasting(ThreadSensitiveContext):
        """Serves those Tasks too that outlive the request. asgiref would refuse them: it cannot know that the
        executor is there as long as anyone needs it.
        """

        async def __aexit__(self, *raised: Any) -> None:
            await super().__aexit__(*raised)  # type: ignore[no-untyped-call]
            self._exited = False
            if self._executor is not None:  # kept by a weak reference to this: no longer than such a Task
                SyncToAsync.context_to_thread_executor[self] = self._executor

    return ThreadSensitiveContext, Lasting, SyncToAsync.thread_sensitive_context


def made() -> Threads:
    """Threads that part as Django would like it."""
    return Threads(farewell=close_connections)


def close_connections() -> None:
    """Close Django's database connections of this thread, which has come to its end.

    Otherwise they would stay open until Python's collector of garbage comes across them.
    """
    database = sys.modules.get("django.db")
    if database is None:
        return
    try:
        database.connections.close_all()
    except Exception as error:
        log.debug("Django's connections of a thread that ends could not be closed: %r", error)
