"""What `receive()` and `send()` return: an answer that is there already, or one to wait for.

Both are coroutines to whoever looks (`asyncio.iscoroutine`, `create_task`, `wait_for`, `TaskGroup`), and
yield nothing but asyncio futures (ASGI 10). Compiled, two small classes are 2–3 times cheaper than a
coroutine; interpreted, a coroutine is cheaper than they.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any

COMPILED = not __file__.endswith(".py")


class Source:
    """Something that can be waited for: by several tasks at once, each of which may be cancelled."""

    __slots__ = ("_futures", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._futures: list[asyncio.Future[None]] | None = None

    def settled(self) -> bool:
        """Whether `result` has something to give now."""
        raise NotImplementedError

    def result(self) -> Any:
        """What was waited for; taken by this call, so that a cancelled wait loses nothing."""
        raise NotImplementedError

    def watch(self) -> asyncio.Future[None]:
        """A future that is done when it is worth while to ask `settled` again."""
        future = self._loop.create_future()
        if self._futures is None:
            self._futures = []
        self._futures.append(future)
        return future

    def wake(self) -> None:
        futures = self._futures
        if futures is not None:
            self._futures = None
            for future in futures:
                if not future.done():
                    future.set_result(None)


class Ready:
    """A finished awaitable with a value."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def __await__(self) -> Ready:
        return self

    def __iter__(self) -> Ready:
        return self

    def __next__(self) -> Any:
        raise StopIteration(self._value)

    def send(self, value: Any) -> Any:
        raise StopIteration(self._value)

    def throw(
        self, kind: Any, value: BaseException | None = None, traceback: TracebackType | None = None
    ) -> Any:
        raise thrown(kind, value)

    def close(self) -> None:
        """Nothing is held."""


class Waiting:
    """Waits for a source, asking it again after each wake-up."""

    __slots__ = ("_future", "_source")

    def __init__(self, source: Source) -> None:
        self._source = source
        self._future: asyncio.Future[None] | None = None

    def __await__(self) -> Waiting:
        return self

    def __iter__(self) -> Waiting:
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def send(self, value: Any) -> Any:
        if self._source.settled():
            raise StopIteration(self._source.result())
        future = self._source.watch()
        self._future = future
        # What Future.__await__ does before it yields itself, for the Task that looks (PEP 3156).
        future._asyncio_future_blocking = True
        return future

    def throw(
        self, kind: Any, value: BaseException | None = None, traceback: TracebackType | None = None
    ) -> Any:
        raise thrown(kind, value)

    def close(self) -> None:
        if self._future is not None:
            self._future.cancel()


def thrown(kind: Any, value: BaseException | None) -> BaseException:
    if isinstance(kind, BaseException):
        return kind
    if value is None:
        return kind()  # type: ignore[no-any-return]
    return value


async def _coroutine(value: Any) -> Any:
    return value


async def _wait(source: Source) -> Any:
    while not source.settled():
        await source.watch()
    return source.result()


_NOTHING = Ready(None)


def nothing() -> Any:
    """The answer of a `send` that is through."""
    if COMPILED:
        return _NOTHING
    return _coroutine(None)


def ready(value: Any) -> Any:
    """A value that is there already."""
    if COMPILED:
        return Ready(value)
    return _coroutine(value)


def waiting(source: Source) -> Coroutine[Any, Any, Any]:
    """The value that `source` will give."""
    if COMPILED:
        return Waiting(source)  # type: ignore[return-value]  # a Coroutine by its methods
    return _wait(source)
