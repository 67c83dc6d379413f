"""The coroutines that `receive` and `send` return when their answer is not Nothing.

Interpreted on purpose: a compiled coroutine is slower than an interpreted one since CPython 3.12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from portway.asgi.ready import Source


async def nothing() -> None:
    """What `ready.Nothing` is, in the interpreted mode, where a coroutine is cheaper than that class."""


async def ready(value: Any) -> Any:
    """A value that is there already."""
    return value


async def waiting(source: Source) -> Any:
    """The value that `source` will give."""
    while not source.settled():
        await source.watch()
    return source.result()
