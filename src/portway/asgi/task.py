"""Begins the Task of a request: always one of its own, since libraries keep things for `current_task()`."""

from __future__ import annotations

import asyncio
import sys
from contextvars import Context
from typing import Any

from portway.asgi import call
from portway.asgi.http import Cycle
from portway.types import ASGIApp

EAGER = sys.version_info >= (3, 12)

_Task = asyncio.Task
_run = call.run


def start(
    app: ASGIApp, scope: dict[str, Any], cycle: Cycle, running: set[Cycle], context: Context, plain: bool
) -> None:
    """Call the application for `cycle`; it may be through when this returns.

    `plain` says that the loop has no task factory, so that the Task may be made directly: an eager one
    costs 3,700 instructions, `create_task` on CPython 3.11 takes 11,700.
    """
    coroutine = _run(app, scope, cycle, running)
    if not plain:
        task = cycle.loop.create_task(coroutine, context=context)
    elif EAGER:
        task = _Task(coroutine, loop=cycle.loop, context=context, eager_start=True)  # type: ignore[call-arg, unused-ignore]
    else:
        task = _Task(coroutine, loop=cycle.loop, context=context)
    if not cycle.ended:
        cycle.task = task
        running.add(cycle)
