"""A second application for what the first one does not know: how routes move one at a time.

    main answers 200 ──► the answer goes out as it comes
    main answers 404 ──► held back; main is let run to its end, and all it says is thrown away
                         └──► the fallback is called, with the body from its start

Whether to fall back is known at `http.response.start`, before any of the answer was sent. The fallback gets the scope
and the context variables as main got them. What main has received of the body is kept meanwhile (`replay`): of a body
too long for that, main's own answer is given.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Collection, Generator
from http import HTTPStatus
from typing import Any

from portway.compose.adopt import adopt, spoken
from portway.compose.lifespans import SHUTDOWN, STARTUP, Course, Ensemble, Failure, Member, Mode, Row, rows_of
from portway.compose.replay import DISCONNECT, REQUEST, Recording, Replay, Source, declared_length
from portway.errors import ClientDisconnected, SettingsError
from portway.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("portway")

NOT_FOUND = HTTPStatus.NOT_FOUND.value
BUFFER = 64 * 1024 * 1024

# Of an answer that goes nowhere: no page that says 404 is so long.
THROWN_MOST = 16 * 1024 * 1024

START = "http.response.start"
BODIES = ("http.response.body", "http.response.zerocopysend", "http.response.pathsend")


class Fallback(Ensemble):
    """Two applications as one ASGI application: what the first answers with 404 goes to the second.

        app = portway.Fallback(main, legacy)

    The second is called as if the first had never been asked, with the request's body from its start. WebSockets are
    for the first alone. Each has a lifespan and a state of its own.
    """

    portway_composed = True  # the server asks which of them has answered

    def __init__(
        self,
        main: ASGIApp | Callable[..., Any],
        fallback: ASGIApp | Callable[..., Any],
        on: Collection[int] | int = (NOT_FOUND,),
        *,
        fallback_buffer: int = BUFFER,
        mount_failure: Failure = "stop",
        names: tuple[str, str] = ("main", "fallback"),
        lifespan: Mode = "auto",
        timeout_startup: float = STARTUP,
        timeout_shutdown: float = SHUTDOWN,
    ) -> None:
        """Both are ASGI or WSGI applications; `on` is the status, or has those, 400 to 599, that lead to the second.

        `fallback_buffer` is how many bytes of a request's body are kept for it; `names` is what logs call the two; all
        else is as with `Mounts`.

        Raises SettingsError for what is no such status, TypeError for what is no application.
        """
        self._on = frozenset(statuses_of((on,) if isinstance(on, int) else on))
        self._buffer = fallback_buffer
        course = Course(lifespan, timeout_startup, timeout_shutdown)
        wheres = ("the main application", "the fallback")
        self._main, self._second = [
            _member(app, name, where, course) for app, name, where in zip((main, fallback), names, wheres, strict=True)
        ]
        super().__init__((self._main, self._second), mount_failure)

    def __repr__(self) -> str:
        return f"<Fallback {self._main.name} to {self._second.name} on {', '.join(map(str, sorted(self._on)))}>"

    def rows(self) -> list[Row]:
        """Both applications, for the table of what is mounted where."""
        on = tuple(sorted(self._on))
        return [
            *rows_of(self._main, "", ""),
            *[row._replace(statuses=on) for row in rows_of(self._second, "", "")],
        ]  # fmt: skip

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._ask(scope, receive, send)
        else:
            await self._main(dict(scope), receive, send)

    async def _ask(self, scope: Scope, receive: Receive, send: Send) -> None:
        attempt = Attempt(scope, receive, send, self._on, self._buffer)
        try:
            await within(contextvars.copy_context(), self._try(attempt, copied(scope)))
            if attempt.declined:
                await self._second(dict(scope), await attempt.replay(), send)
        finally:
            await attempt.close()

    async def _try(self, attempt: Attempt, scope: Scope) -> None:
        try:
            await self._main(scope, attempt.receive, attempt.send)
        except Exception:
            if not attempt.declined:
                raise
            if not attempt.gone:
                log.exception("%s: %s raised after its answer; the fallback is asked", attempt, self._main.name)


class Attempt:
    """One request's call of the main application: its `receive` and `send`, and what became of it.

    `declined` says that it answered with one of the statuses, `gone` that the client went.
    """

    __slots__ = ("_on", "_over", "_recording", "_scope", "_send", "_source", "_started", "_thrown", "declined", "gone")

    def __init__(self, scope: Scope, receive: Receive, send: Send, on: frozenset[int], buffer: int) -> None:
        self.declined = False
        self.gone = False
        self._scope = scope
        self._send = send
        self._on = on
        self._started = False  # the answer is its own
        self._thrown = 0
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()  # its answer is complete
        self._source = Source(receive)
        self._recording = Recording(buffer)
        if declared_length(scope) > buffer:
            self._recording.give_up(f"its body is longer than the fallback buffer of {buffer} bytes")

    def __str__(self) -> str:
        return f"{self._scope['method']} {ascii(self._scope['path'])[1:-1]}"

    async def receive(self) -> Message:
        """As the server's. After the end of an answer that was thrown away, too (ASGI 29)."""
        if self._started:
            message = await self._source.next()
            assert message is not None
            return message
        await self._recording.settle()
        if self._over.done() or (self.declined and self._recording.full):
            return {"type": DISCONNECT}
        message = await self._source.next(self._over if self._recording.ended else None)
        if message is None:
            return {"type": DISCONNECT}
        if message["type"] == REQUEST and not self._started:
            self._recording.add(message)
        elif message["type"] == DISCONNECT:
            self.gone = True
        return message

    async def send(self, message: Message) -> None:
        """As the server's; what belongs to an answer that was declined goes nowhere."""
        if self.declined:
            await self._throw_away(message)
            return
        if message.get("type") == START and not self._started:
            if message.get("status") in self._on and await self._replayable():
                self.declined = self._recording.pledged = True
                return
            self._started = True
            self._recording.close()
        await self._send(message)

    async def replay(self) -> Receive:
        """What the fallback receives, now that the main application has ended."""
        if not self._over.done():
            self._over.set_result(None)
        await self._recording.settle()
        if self._recording.fault is not None:
            raise OSError(f"the request cannot be handed to the fallback: {self._recording.fault}")
        return Replay(self._recording, self._source, self.gone)

    async def close(self) -> None:
        """Leave no file and no task."""
        self._recording.close()
        await self._source.close()

    async def _throw_away(self, message: Message) -> None:
        """Others have their turn between two pieces; an answer without an end ends as if its client had gone."""
        if message.get("type") not in BODIES:
            return
        if not message.get("more_body", False):
            if not self._over.done():
                self._over.set_result(None)
            return
        self._thrown += len(message.get("body", b""))
        if self._thrown > THROWN_MOST:
            raise ClientDisconnected("the answer goes nowhere: the fallback is to be asked")
        await asyncio.sleep(0)

    async def _replayable(self) -> bool:
        await self._recording.settle()
        if self._recording.fault is not None:
            log.warning("%s: not handed to the fallback, since %s", self, self._recording.fault)
        return self._recording.fault is None


class within:
    """`await within(context, coroutine)`: each step of the coroutine runs in that context, in the same Task."""

    __slots__ = ("_context", "_coroutine")

    def __init__(self, context: contextvars.Context, coroutine: Any) -> None:
        self._context = context
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, None]:
        run, coroutine = self._context.run, self._coroutine
        step, given = coroutine.send, None
        while True:
            try:
                found = run(step, given)
            except StopIteration:
                return
            try:
                given = yield found
                step = coroutine.send
            except BaseException as error:  # a cancellation, or what the awaited one raised
                step, given = coroutine.throw, error


def copied(scope: Scope) -> Scope:
    """A scope of which no part that applications change is shared."""
    found = dict(scope)
    found["headers"] = list(scope["headers"])
    if scope.get("extensions"):
        found["extensions"] = dict(scope["extensions"])
    return found


def statuses_of(on: Collection[int]) -> list[int]:
    """The statuses that lead to a fallback; SettingsError if one cannot."""
    for status in on:
        if not 400 <= status <= 599:
            raise SettingsError(f"fallback_on: {status!r} is no error of HTTP; write for example 404")
    return [int(status) for status in on]


def _member(app: Any, name: str, where: str, course: Course) -> Member:
    if isinstance(app, Member):
        return app
    interface = spoken(app, where)
    return Member(adopt(app, interface), name, where, interface, course)
