"""Each application has a lifespan and a state of its own, though one server sees only one application.

A `Member` is one application with what its startup left: `scope["state"]`, and context variables. An `Ensemble` is
several of them that are one ASGI application: it starts them in the order given and stops them in reverse.

    an ensemble is given a lifespan ──► starts its members, one after the other ──► … ──► stops them
    it never is (Starlette's Mount) ──► each member starts at its first request, and ends with the loop

An application may be a member of several ensembles, or of one twice, and has one life on each event loop (ASGI 47): the
first to start it does, the last to stop it does.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import weakref
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

from portway.asgi.lifespan import Lifespan
from portway.compose.answers import unavailable
from portway.errors import LifespanFailed, SettingsError
from portway.target import Interface
from portway.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("portway")

Failure = Literal["stop", "isolate"]
Context = contextvars.Context

# In `scope["extensions"]`: where the server wants to read which application answered.
APPLICATION = "portway.application"


@dataclass(frozen=True, slots=True)
class Course:
    """How lifespans are run, as the settings `lifespan`, `timeout_startup` and `timeout_shutdown` say."""

    mode: str = "auto"
    startup: float = 120.0
    shutdown: float = 30.0


class Row(NamedTuple):
    """One application in the table of what is mounted where; `statuses` are those that lead to a fallback."""

    host: str
    prefix: str
    name: str
    interface: str
    statuses: tuple[int, ...] = ()


class Life:
    """One application from its startup to its shutdown, on one loop.

    `reason` is why it could not start, `told` whether that was said; `holders` is how many have started it.
    """

    __slots__ = ("_lifespan", "_startup", "holders", "reason", "state", "told", "variables")

    def __init__(self, lifespan: Lifespan, loop: asyncio.AbstractEventLoop, context: Context) -> None:
        self.holders = 0
        self.reason: str | None = None
        self.told = False
        self.state: dict[str, Any] | None = None
        self.variables: list[tuple[contextvars.ContextVar[Any], Any]] = []
        self._lifespan = lifespan
        self._startup = loop.create_task(self._start(context), name="portway-startup", context=context)

    @property
    def begun(self) -> bool:
        """Whether its startup is over, well or not."""
        return self._startup.done()

    async def wait(self) -> None:
        """Until then. Who is cancelled while waiting does not end it for others."""
        await asyncio.wait([self._startup])

    async def give_up(self) -> None:
        """Cancel the startup."""
        self._startup.cancel()
        await asyncio.wait([self._startup])

    async def shutdown(self) -> None:
        await self._lifespan.shutdown()

    async def _start(self, context: Context) -> None:
        before = dict(context.items())
        try:
            await self._lifespan.startup()
        except LifespanFailed as failed:
            self.reason = str(failed)
            return
        except asyncio.CancelledError:
            self.reason = "the application's startup was cancelled"
            await self._lifespan.cancel()
            raise
        self.state = self._lifespan.state
        left = self._lifespan.context.items()
        self.variables = [(each, value) for each, value in left if each not in before or before[each] is not value]


class Lives:
    """The lives of one application, wherever it is mounted: one for each event loop."""

    __slots__ = ("__weakref__", "_by_loop", "_context", "app")

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._context = contextvars.copy_context()  # for a startup that a request begins, which is no part of it
        self._by_loop: dict[asyncio.AbstractEventLoop, Life] = {}

    def now(self) -> Life | None:
        """The one on this loop."""
        return self._by_loop.get(asyncio.get_running_loop())

    def begin(self, course: Course) -> Life:
        """As a part of the lifespan that is running."""
        return self._begin(self.app, contextvars.copy_context(), course)

    def begin_late(self, course: Course) -> Life:
        """Since a request is there."""
        return self._begin(until_the_end(self.app), self._context.copy(), course)

    def end(self) -> None:
        """Forget the one on this loop."""
        self._by_loop.pop(asyncio.get_running_loop(), None)

    def _begin(self, app: ASGIApp, context: Context, course: Course) -> Life:
        for each in [each for each in list(self._by_loop) if each.is_closed()]:
            self._by_loop.pop(each, None)
        loop = asyncio.get_running_loop()
        lifespan = context.run(Lifespan, app, course.mode, course.startup, course.shutdown)
        life = self._by_loop[loop] = Life(lifespan, loop, context)
        return life


# Of all applications that are mounted somewhere, by their id. While its lives are there, so is the application.
LIVES: weakref.WeakValueDictionary[int, Lives] = weakref.WeakValueDictionary()


def lives_of(app: ASGIApp) -> Lives:
    """The same for the same application: whoever mounts it twice means one."""
    found = LIVES.get(id(app))
    if found is None:
        found = LIVES[id(app)] = Lives(app)
    return found


class Member:
    """One application of several in its place, itself an ASGI application.

    `name` is what logs call it, `where` what errors call its place.
    """

    __slots__ = ("_course", "_lives", "app", "interface", "name", "where")

    def __init__(
        self, app: ASGIApp, name: str, where: str, interface: Interface = "asgi3", course: Course | None = None
    ) -> None:  # fmt: skip
        self.app = app
        self.name = name
        self.where = where
        self.interface = interface
        self._course = course or Course()
        self._lives = lives_of(app)

    def __repr__(self) -> str:
        return f"<Member {self.name} ({self.interface}) {self.where}>"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A request, whose scope is ours to change."""
        life = self._lives.now() or self._lives.begin_late(self._course)
        if not life.begun:
            await self._begun_late(life)
        told = (scope.get("extensions") or {}).get(APPLICATION)
        if told is not None:
            told["name"] = self.name
        if life.reason is not None:
            await unavailable(scope, send)
            return
        scope.pop("state", None)
        if life.state is not None:
            scope["state"] = life.state.copy()
        for variable, value in life.variables:
            variable.set(value)
        await self.app(scope, receive, send)

    async def start(self) -> None:
        """Once for all who hold it; LifespanFailed says which application cannot start, and why."""
        life = self._lives.now() or self._lives.begin(self._course)
        life.holders += 1
        try:
            await life.wait()
        except asyncio.CancelledError:
            self._lives.end()
            await life.give_up()
            raise
        if life.reason is not None:
            life.told = True
            raise LifespanFailed(self.told(life.reason))

    async def stop(self) -> None:
        """When the last does who holds it; LifespanFailed if it does not end well."""
        life = self._lives.now()
        if life is None:
            return
        life.holders -= 1
        if life.holders > 0:
            return
        self._lives.end()
        if life.reason is not None:
            return
        try:
            await life.shutdown()
        except LifespanFailed as failed:
            raise LifespanFailed(self.told(str(failed))) from None

    def told(self, reason: str) -> str:
        """A reason, with the application it is of."""
        for article in ("the application's ", "the application "):
            reason = reason.removeprefix(article)
        return f"{self.where} ({self.name}): {reason}"

    async def _begun_late(self, life: Life) -> None:
        """Wait for a startup that no lifespan has begun, but a request."""
        await life.wait()
        if life.reason is not None and not life.told:
            life.told = True
            log.error("%s; it answers 503", self.told(life.reason))


def until_the_end(app: ASGIApp) -> ASGIApp:
    """The lifespan of an application that nobody will stop: to it, the end of the loop is its shutdown."""

    async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
        async def patient() -> Message:
            try:
                return await receive()
            except asyncio.CancelledError:  # as asyncio.run does with every Task in the end, and then waits for them
                return {"type": "lifespan.shutdown"}

        await app(scope, patient, send)

    return lifespan


class Ensemble:
    """Several members that are one ASGI application; what it does with a request, its heirs say."""

    def __init__(self, members: Iterable[Member], failure: Failure) -> None:
        if failure not in ("stop", "isolate"):
            raise SettingsError(f"mount_failure: {failure!r} is not one of the choices; write stop or isolate")
        self._members = list(members)
        self._failure = failure
        self._started: dict[asyncio.AbstractEventLoop, list[Member]] = {}

    def rows(self) -> list[Row]:
        """What is mounted where, in the order in which it is asked."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        """Start all; for where no lifespan comes, `async with` does what one would."""
        started: list[Member] = []
        self._started[asyncio.get_running_loop()] = started
        try:
            for member in self._members:
                started.append(member)
                await self._start(member)
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop all that were started, in reverse."""
        reasons = await self._stop()
        if reasons:
            raise LifespanFailed("; ".join(reasons))

    async def _start(self, member: Member) -> None:
        try:
            await member.start()
        except LifespanFailed as failed:
            if self._failure == "stop":
                raise
            log.error("%s; it answers 503, the others are served", failed)

    async def _stop(self) -> list[str]:
        reasons = []
        for member in reversed(self._started.pop(asyncio.get_running_loop(), [])):
            try:
                await member.stop()
            except LifespanFailed as failed:
                reasons.append(str(failed))
        return reasons

    async def _live(self, receive: Receive, send: Send) -> None:
        """The lifespan, as the server has it run."""
        await receive()
        if not await _heard(self.__aenter__(), "lifespan.startup", send):
            return
        await receive()
        await _heard(self.__aexit__(None, None, None), "lifespan.shutdown", send)


async def _heard(phase: Awaitable[object], kind: str, send: Send) -> bool:
    try:
        await phase
    except LifespanFailed as failed:
        await send({"type": f"{kind}.failed", "message": str(failed)})
        return False
    await send({"type": f"{kind}.complete"})
    return True


def rows_of(member: Member, host: str, prefix: str) -> list[Row]:
    """The rows of one application; of one that is several, theirs."""
    app: Any = member.app
    if not isinstance(app, Ensemble):
        return [Row(host, prefix or "/", member.name, member.interface)]
    return [row._replace(host=row.host or host, prefix=(prefix + row.prefix).rstrip("/") or "/") for row in app.rows()]
