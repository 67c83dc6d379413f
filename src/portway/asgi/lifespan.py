"""The lifespan of an application (ASGI 47–52): started once on the loop that serves, ended after the last
connection.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import traceback
from collections.abc import Mapping
from typing import Any

from portway.errors import LifespanFailed, MessageError
from portway.types import ASGIApp, Message

log = logging.getLogger("portway")

STARTUP = "lifespan.startup"
SHUTDOWN = "lifespan.shutdown"
KINDS = tuple(f"{phase}.{end}" for phase in (STARTUP, SHUTDOWN) for end in ("complete", "failed"))


class Lifespan:
    """One application's lifespan.

    `context` is what startup leaves behind in context variables; each request runs in a copy of it.
    `state` is what it filled, or None if the application has no lifespan.
    """

    def __init__(self, app: ASGIApp, mode: str, startup_limit: float, shutdown_limit: float) -> None:
        """`mode` is auto, on or off; the limits are seconds, and 0 is none."""
        self._app = app
        self._mode = mode
        self._startup_limit = startup_limit or None
        self._shutdown_limit = shutdown_limit or None
        self._received = False
        self._asked: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: dict[str, asyncio.Future[str | None]] = {}
        self._task: asyncio.Task[None] | None = None
        self.context = contextvars.copy_context()
        self.state: dict[str, Any] | None = None

    async def startup(self) -> None:
        """Returns when the application is ready to serve; LifespanFailed if it never will be."""
        if self._mode == "off":
            return
        loop = asyncio.get_running_loop()
        self._answers = {STARTUP: loop.create_future(), SHUTDOWN: loop.create_future()}
        state: dict[str, Any] = {}
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}
        self._asked.put_nowait({"type": STARTUP})
        self._task = loop.create_task(self._run(scope), name="portway-lifespan", context=self.context)
        reason = await self._answer(STARTUP, self._startup_limit)
        if reason is not None:
            await self._end_task()
            raise LifespanFailed(reason)
        if self._task is not None:
            self.state = state

    async def shutdown(self) -> None:
        """Returns when the application has put its things away; LifespanFailed if it could not."""
        if self._task is None:
            return
        self._asked.put_nowait({"type": SHUTDOWN})
        reason = await self._answer(SHUTDOWN, self._shutdown_limit)
        await self._end_task()
        if reason is not None:
            raise LifespanFailed(reason)

    async def cancel(self) -> None:
        """Give it up in the midst of its startup."""
        task = self._task
        self._task = None
        if task is not None:
            task.cancel()
            await asyncio.wait([task], timeout=1)

    async def _run(self, scope: dict[str, Any]) -> None:
        try:
            await self._app(scope, self._receive, self._send)
        except asyncio.CancelledError:
            self._settle("the lifespan was cancelled")
        except BaseException as error:
            self._raised(error)
        else:
            self._returned()

    def _returned(self) -> None:
        if self._answers[STARTUP].done():
            self._settle(None)  # after startup: nothing is left to do at shutdown
        elif self._received or self._mode == "on":
            self._settle("the application's lifespan returned before lifespan.startup.complete")
        else:
            self._has_none()

    def _raised(self, error: BaseException) -> None:
        # ASGI 50: only before its first receive may an application say so that it has no lifespan.
        if not self._received and self._mode == "auto":
            log.debug("the application has no lifespan (it raised %r)", error)
            self._has_none()
            return
        log.error("the application's lifespan raised:\n%s", told(error))
        when = "shutdown" if self._answers[STARTUP].done() else "startup"
        self._settle(f"the application's {when} raised {type(error).__name__}: {error}")

    def _has_none(self) -> None:
        self._task = None
        self._settle(None)

    def _settle(self, reason: str | None) -> None:
        for answer in self._answers.values():
            if not answer.done():
                answer.set_result(reason)

    async def _receive(self) -> Message:
        self._received = True
        return await self._asked.get()

    async def _send(self, message: Message) -> None:
        kind = kind_of(message)
        phase = SHUTDOWN if self._answers[STARTUP].done() else STARTUP
        answer = self._answers[phase]
        if kind == f"{phase}.complete" and not answer.done():
            answer.set_result(None)
        elif kind == f"{phase}.failed" and not answer.done():
            answer.set_result(self._refusal(phase, message))
        else:
            expected = "nothing more" if answer.done() else f"{phase}.complete or {phase}.failed"
            fault = "came out of order" if kind in KINDS else "is no message type of the lifespan protocol"
            raise MessageError(f"{kind} {fault}; expected was {expected}")

    @staticmethod
    def _refusal(phase: str, message: Message) -> str:
        text = message.get("message", "")
        if type(text) is not str:
            raise MessageError(f"{phase}.failed: message must be a str, and is {text!r:.80}")
        if text:
            log.error("%s", text)
        return f"the application's {phase.removeprefix('lifespan.')} failed" + (f": {text}" if text else "")

    async def _answer(self, phase: str, limit: float | None) -> str | None:
        answer = self._answers[phase]
        done, _ = await asyncio.wait([answer], timeout=limit)
        if not done:
            return f"the application did not complete its {phase.removeprefix('lifespan.')} within {limit:g} s"
        return answer.result()

    async def _end_task(self) -> None:
        """The lifespan's Task gets a moment to return, and is cancelled then."""
        task = self._task
        self._task = None
        if task is None:
            return
        _, pending = await asyncio.wait([task], timeout=1)
        for left in pending:
            left.cancel()
            await asyncio.wait([left], timeout=1)


def kind_of(message: Any) -> Any:
    """The type that a message names."""
    if not isinstance(message, Mapping) or "type" not in message:
        raise MessageError(f"a message must be a dict with the key type, and is {message!r:.80}")
    return message["type"]


def told(error: BaseException) -> str:
    """The traceback without our own first frame."""
    trace = error.__traceback__.tb_next if error.__traceback__ is not None else None
    return "".join(traceback.format_exception(type(error), error, trace)).rstrip()
