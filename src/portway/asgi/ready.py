"""What `receive()` and `send()` return: an answer that is there already, or one to wait for.

All are coroutines to whoever looks (`asyncio.iscoroutine`, `create_task`, `wait_for`, `TaskGroup`), and
yield nothing but asyncio futures (ASGI 10).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator, Iterator
from typing import Any, NoReturn

from portway.asgi import coroutines

COMPILED = not __file__.endswith(".py")


class Source:
    """Something that can be waited for: by several tasks at once, each of which may be cancelled."""

    __slots__ = ("_first", "_futures", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._first: asyncio.Future[None] | None = None  # nearly always the only one
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
        if self._first is None or self._first.done():
            self._first = future
        else:
            self._futures = beside(self._futures, future)
        return future

    def wake(self) -> None:
        first = self._first
        if first is None:
            return
        self._first = None
        if not first.done():
            first.set_result(None)
        futures = self._futures
        if futures is not None:
            self._futures = None
            for future in futures:
                if not future.done():
                    future.set_result(None)


def beside(futures: list[asyncio.Future[None]] | None, future: asyncio.Future[None]) -> list[asyncio.Future[None]]:
    """One more that waits. Those that were cancelled go: an application may look and give up without end."""
    waiting = [each for each in futures or () if not each.done()]
    waiting.append(future)
    return waiting


# An iterator at its end, which never begins again: to `await` it costs no exception.
_END: Iterator[None] = iter(())
next(_END, None)


class Nothing:
    """A finished awaitable whose value is None; one object serves everyone.

    Compiled, an `await` of it costs a tenth of one of a coroutine. That is so because `__await__` hands out an
    exhausted iterator: a StopIteration raised by `__next__` would cost more than a coroutine.
    """

    __slots__ = ()

    def __await__(self) -> Generator[Any, Any, None]:
        return _END  # type: ignore[return-value]  # all that an `await` asks of it is __next__

    def __iter__(self) -> Iterator[None]:
        return _END

    def __next__(self) -> None:
        raise StopIteration

    def send(self, value: Any) -> NoReturn:
        """The coroutine's protocol, for a Task that is made of it."""
        raise StopIteration

    def throw(self, kind: Any, value: Any = None, traceback: Any = None) -> NoReturn:
        """The coroutine's protocol; what is thrown comes out."""
        if isinstance(kind, BaseException):
            raise kind
        raise kind if value is None else value

    def close(self) -> None:
        """The coroutine's protocol; nothing is held."""


_NOTHING = Nothing()


def nothing() -> Awaitable[None]:
    """The answer of a `send` that is through."""
    if COMPILED:
        return _NOTHING
    return coroutines.nothing()
