"""Begins the Task of a request: always one of its own, since libraries keep things for `current_task()`.

Except for an application that is not async, and offers what `call.Prompt` describes: it has no use for a Task.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
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


def _at_once(act: Callable[..., Any], cycle: Cycle, scope: Scope | None) -> Any:
    """Let an application answer without a Task, by its prompt, or by what that has left; what is left now."""
    try:
        rest = act() if scope is None else act(scope, cycle)
    except BaseException as error:
        call.raised(cycle, error)
    else:
        if rest is not None:
            return rest
        if not cycle.whole:
            call.returned(cycle)
    cycle.ended = True
    return None


class Errand:
    """In the place of a Task: a request whose answer comes from elsewhere. It becomes a Task if it needs one."""

    __slots__ = ("_context", "_cycle", "_later", "_scope", "_starter")

    def __init__(self, starter: Starter, context: Context, scope: Scope, cycle: Cycle, later: call.Later) -> None:
        self._starter = starter
        self._context = context
        self._scope = scope
        self._cycle = cycle
        self._later = later

    def go_on(self) -> None:
        """There is something to send."""
        cycle = self._cycle
        rest = self._context.run(_at_once, self._later.answer, cycle, None)
        self._starter.forget(cycle)
        if rest is not None:
            self._starter.call(_going_on(rest), self._scope, cycle, self._context)

    def become(self) -> asyncio.Task[None] | None:
        """A Task, which someone wants to wait for; None if it has ended at once."""
        self.go_on()
        task: asyncio.Task[None] | None = self._cycle.task
        return task

    def cancel(self) -> None:
        """As a Task's."""
        task = self.become()
        if task is not None:  # and has taken its first step by then, as CPython 3.11 has it do in the loop's next turn
            self._cycle.loop.call_soon(task.cancel)


def task_of(cycle: Cycle | WebSocket) -> asyncio.Task[None] | None:
    """What runs its application, to be waited for; None if that has ended."""
    task = cycle.task
    return task.become() if isinstance(task, Errand) else task


class Starter:
    """Begins Tasks on one loop, each in a copy of one context."""

    __slots__ = ("_context", "_loop", "_options", "_plain", "_prompt", "_running")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, context: Context, running: set[Cycle | WebSocket], prompt: Any = None
    ) -> None:
        """`running` gets the requests whose Task did not end in its first step; `prompt` is what the application
        offers as `portway_prompt` (see `call.Prompt`).
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
            rest = context.run(_at_once, self._prompt, cycle, scope)
            if rest is None:
                return
            if hasattr(rest, "answer"):
                errand = cycle.task = Errand(self, context, scope, cycle, rest)
                self._running.add(cycle)
                rest.wait(errand.go_on)
                return
            app = _going_on(rest)
        self.call(app, scope, cycle, context)

    def forget(self, cycle: Cycle) -> None:
        """Its errand is over."""
        cycle.task = None
        self._running.discard(cycle)

    def call(self, app: ASGIApp, scope: Scope, cycle: Cycle, context: Context) -> None:
        """Call it in a Task."""
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
