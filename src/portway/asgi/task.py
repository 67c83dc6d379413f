"""Begins the Task of a request: always one of its own, since libraries keep things for `current_task()`.

Except for an application that is not async, offers `prompt`, and answers at once: it has no use for a Task.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from contextvars import Context
from typing import Any

from portway.asgi import call
from portway.asgi.http import Cycle
from portway.asgi.websocket import WebSocket
from portway.types import ASGIApp, Scope

EAGER = sys.version_info >= (3, 12)

_Task = asyncio.Task
_run = call.run
_going_on = call.going_on
_unavailable = call.unavailable


def _prompted(prompt: call.Prompt, scope: Scope, cycle: Cycle) -> Coroutine[Any, Any, None] | None:
    """Let an application answer without a Task. What it could not do at once is the coroutine, for a Task to run."""
    try:
        rest = prompt(scope, cycle.receive, cycle.send)
    except BaseException as error:
        call.raised(cycle, error)
    else:
        if rest is not None:
            return rest
        if not cycle.whole:
            call.returned(cycle)
    cycle.ended = True
    return None


class Starter:
    """Begins Tasks on one loop, each in a copy of one context."""

    __slots__ = ("_context", "_loop", "_options", "_plain", "_prompt", "_running")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, context: Context, running: set[Cycle | WebSocket], prompt: Any = None
    ) -> None:
        """`running` gets the requests whose Task did not end in its first step; `prompt` is what the application
        offers of that name (see `call.Prompt`).
        """
        self._prompt = prompt
        self._loop = loop
        self._context = context
        self._running = running
        # A loop that has a task factory is asked; else the Task is made directly, and begins at once where
        # Python can: that costs 3,700 instructions, where `create_task` of CPython 3.11 takes 11,700.
        self._plain = loop.get_task_factory() is None
        # Kept, because a dict that is copied for each call costs 1,700 instructions less than keywords do.
        self._options: dict[str, Any] = {"loop": loop, "context": context}
        if EAGER:
            self._options["eager_start"] = True
        else:
            self._options["name"] = "request"  # CPython 3.11 would print one: 1,000 instructions

    def start(self, app: ASGIApp, scope: dict[str, Any], cycle: Cycle) -> None:
        """Call the application for `cycle`; it may be through when this returns."""
        context = self._context.copy()
        if self._prompt is not None and cycle.head.end and app is not _unavailable:
            rest = context.run(_prompted, self._prompt, scope, cycle)
            if rest is None:
                return
            app = _going_on(rest)
        task = self._begin(_run(app, scope, cycle, self._running), context)
        if not cycle.ended:
            cycle.task = task
            self._running.add(cycle)

    def open(self, app: ASGIApp, scope: dict[str, Any], socket: WebSocket) -> None:
        """Call the application for a WebSocket."""
        task = self._begin(_run(app, scope, socket, self._running), self._context.copy())
        if not socket.ended:
            socket.task = task
            self._running.add(socket)

    def _begin(self, coroutine: Coroutine[Any, Any, None], context: Context) -> asyncio.Task[None]:
        if self._plain:
            options = self._options
            options["context"] = context
            task = _Task(coroutine, **options)
            options["context"] = self._context
            return task
        return self._loop.create_task(coroutine, context=context)
