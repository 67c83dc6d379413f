"""What one worker runs for all of a server: a coroutine, which is told to end, and begun again when it fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

log = logging.getLogger("portway")

# Before it is begun again, after it failed, in seconds: the first pause, which doubles, and the longest.
PAUSE = 1.0
LONGEST_PAUSE = 60.0

Function = Callable[[], Coroutine[Any, Any, object]]


class Once:
    """On the loop that serves. `ended(done, pause)` is called when it is over, if it was not told to stop: for good, or
    to be begun again after so many seconds.
    """

    def __init__(
        self, function: Function, loop: asyncio.AbstractEventLoop, ended: Callable[[bool, float], object]
    ) -> None:  # fmt: skip
        self._function = function
        self._loop = loop
        self._ended = ended
        self._task: asyncio.Task[None] | None = None
        self._pause = PAUSE
        self._stopped = False

    @property
    def running(self) -> bool:
        return self._task is not None

    def start(self) -> None:
        """Begin it, or begin it again."""
        if self._task is None and not self._stopped:
            self._task = self._loop.create_task(self._run(), name="once_per_server")

    def stop(self) -> None:
        """Tell it to end; it is not begun again here."""
        self._stopped = True
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        done = False
        pause = 0.0
        try:
            await self._function()
            done = not self._stopped
        except asyncio.CancelledError:
            pass
        except Exception:
            pause = self._pause
            self._pause = min(LONGEST_PAUSE, pause * 2)
            log.exception("once_per_server raised; it is begun again in %g s", pause)
        finally:
            self._task = None
            self._ended(done, pause)
