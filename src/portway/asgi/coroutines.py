"""The coroutines that `receive` and `send` return when their answer is not Nothing.

Interpreted on purpose: a compiled coroutine is slower than an interpreted one since CPython 3.12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from portway.asgi.arrivals import Arrivals
    from portway.asgi.http import Cycle
    from portway.asgi.ready import Source
    from portway.asgi.websocket import WebSocket


async def nothing() -> None:
    """What `ready.Nothing` is, in the interpreted mode, where a coroutine is cheaper than that class."""


async def receiving(cycle: Cycle | Arrivals) -> dict[str, Any]:
    """The next message of a request: taken when this runs, so that a `receive` that is cancelled before, or
    called in another thread, takes nothing from anyone.
    """
    while (message := cycle.take()) is None:
        await cycle.arrival()
    return message


async def sending(cycle: Cycle | WebSocket, message: Any) -> None:
    """A `send` that was called in another thread."""
    await cycle.send(message)


async def waiting(source: Source) -> Any:
    """The value that `source` will give."""
    while not source.settled():
        await source.watch()
    return source.result()
