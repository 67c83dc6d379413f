"""Who waits for the messages of a WebSocket: what `receive()` returns, and how the Task that awaits it is resumed.

A Task that waits when bytes come is resumed at once, within the loop's call that brought them, and not in a turn of
its own: an echo of a small message costs a tenth less so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator
from types import BuiltinFunctionType
from typing import Any

from portway.asgi import coroutines, ready

COMPILED = not __file__.endswith(".py")

_current_task = asyncio.current_task
_Future = asyncio.Future
_Task = asyncio.Task
_Builtin = BuiltinFunctionType  # what a Task of C adds as its callback, bound to itself


class Arrivals:
    """For whoever has messages to give, and says in `take` which."""

    __slots__ = (
        "_callback", "_delivering", "_over", "_run", "_spare", "_stop", "_waiter", "_waiters", "_woken", "loop", "task",
    )  # fmt: skip

    def _begin_arrivals(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.task: asyncio.Task[None] | None = None
        self._waiter: asyncio.Future[None] | None = None  # nearly always the only one
        self._waiters: list[asyncio.Future[None]] | None = None
        self._spare: asyncio.Future[None] | None = None  # waited for once, and to be had again
        self._over: asyncio.Future[None] | None = None  # a wait that is over
        self._callback: Any = None  # of `task`, which is called in its context by `_run`
        self._run: Any = None
        self._stop: Any = None  # what `Receiving` ends with
        self._delivering = False  # no Task is running: those that wait can be resumed at once, and are, at its end
        self._woken = False

    # --- what the application calls ---

    def receive(self) -> Awaitable[dict[str, Any]]:
        """The next message: taken when this is awaited, so that a `receive` that is cancelled before, or called in
        another thread, takes nothing from anyone.
        """
        if COMPILED:
            receiving = Receiving.__new__(Receiving)
            receiving.source = self
            return receiving
        return coroutines.receiving(self)

    def take(self) -> dict[str, Any] | None:
        """What `receive` gives if it is there, or None; `arrival` tells when it is worth while to ask again."""
        raise NotImplementedError

    def arrival(self) -> asyncio.Future[None]:
        """Done when something has come."""
        arrival = self._spare
        if arrival is None:
            arrival = _Future(loop=self.loop)
        self._spare = None
        if self._waiter is None or self._waiter.done():
            self._waiter = arrival
        else:
            self._waiters = ready.beside(self._waiters, arrival)
        return arrival

    # --- inside ---

    def wake(self) -> None:
        """Whoever waits is to look again."""
        if self._delivering:
            self._woken = True
            return
        if self._waiter is not None:
            for waiter in (self._waiter, *(self._waiters or ())):
                if not waiter.done():
                    waiter.set_result(None)
            self._waiter = self._waiters = None

    def _delivered(self) -> None:
        """The bytes at hand have been looked at: resume who waits, if anything was found for them."""
        self._delivering = False
        if not self._woken:
            return
        self._woken = False
        first = self._waiter
        if first is not None:
            waiters = self._waiters
            self._waiter = self._waiters = None
            self._resume(first)
            for waiter in waiters or ():
                self._resume(waiter)

    def _resume(self, waiter: asyncio.Future[None]) -> None:
        # Within a Task it is the usual way: two cannot run at once.
        if COMPILED and _current_task(self.loop) is None and self._recall(waiter):
            return
        if not waiter.done():
            waiter.set_result(None)

    def _recall(self, waiter: asyncio.Future[None]) -> bool:
        """Call the one Task back that waits for this future, if it is one: now. Whether no one else waits for it.

        It is told of another future, which is done: `Receiving` asks for no more. So this one stays as it was, and is
        waited for again; and where the application's own Task waits, its callback is known. Of an echo's 24,000
        instructions the first saves 2,000, and the second 500.
        """
        callback: Any = self._callback
        run = self._run
        if callback is None or not waiter.remove_done_callback(callback):
            callbacks: Any = waiter._callbacks  # CPython's futures have it, compiled or not
            if callbacks is None or len(callbacks) != 1:
                return False
            callback, context = callbacks[0]
            if type(callback) is not _Builtin or not isinstance(callback.__self__, _Task):
                return False
            run = context.run
            if callback.__self__ is self.task:  # no other: with a Task of one `receive` its message would be kept
                self._callback = callback
                self._run = run
            waiter.remove_done_callback(callback)
        if self._over is None:
            self._over = _Future(loop=self.loop)
            self._over.set_result(None)
        alone = not waiter._callbacks
        if alone:
            self._spare = waiter
        run(callback, self._over)
        if not alone or (self._spare is waiter and waiter._callbacks):
            # Someone else looks on, or awaits the future itself, which `__next__` gave him.
            self._spare = None
            return False
        return True


class Receiving:
    """What `coroutines.receiving` is, in compiled code, where it costs half."""

    __slots__ = ("source",)

    source: Arrivals

    def __await__(self) -> Generator[Any, Any, dict[str, Any]]:
        return self

    def __iter__(self) -> Receiving:
        return self

    def __next__(self) -> asyncio.Future[None]:
        source = self.source
        message = source.take()
        if message is None:
            if COMPILED:
                forget(source)  # type: ignore[name-defined]  # noqa: F821  # see the .pxd
            arrival = source.arrival()
            arrival._asyncio_future_blocking = True  # what a future's own __await__ does for the Task
            return arrival
        if COMPILED:
            stop(source, message)  # type: ignore[name-defined]  # noqa: F821  # see the .pxd
            raise StopIteration  # which that one is
        raise StopIteration(message)

    def send(self, value: Any) -> asyncio.Future[None]:
        """The coroutine's protocol, for a Task that is made of it."""
        return next(self)

    def throw(self, kind: Any, value: Any = None, traceback: Any = None) -> asyncio.Future[None]:
        """The coroutine's protocol; what is thrown comes out."""
        if isinstance(kind, BaseException):
            raise kind
        raise kind if value is None else value

    def close(self) -> None:
        """The coroutine's protocol; nothing is held."""
