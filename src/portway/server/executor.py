"""The loop's default executor: where `asyncio.to_thread` and `run_in_executor(None, …)` run.

It ends in good order, and within a limit: whoever closes the loop waits for `shutdown`, and a thread that never
returns would be waited for as long.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from portway import cpus

log = logging.getLogger("portway")

# So long a thread may take to end without a word about it.
MOMENT = 1.0


class DefaultExecutor(ThreadPoolExecutor):
    """Threads named portway-executor-1 and so on."""

    def __init__(self, threads: int | None, patience: Callable[[], float]) -> None:
        """`threads` None is Python's own choice for the CPUs that this process may use; `patience` says at the end
        how many seconds may pass until all is done.
        """
        self._numbers = itertools.count(1)
        self._patience = patience
        super().__init__(threads or min(32, cpus.usable() + 4), initializer=self._name)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads; with `wait`, return when they have ended, or the patience has."""
        super().shutdown(wait=False, cancel_futures=cancel_futures)
        if not wait or self._joined(MOMENT):
            return
        patience = self._patience()
        if patience > 0:
            log.info("Waiting for %s to end (up to %.0f s)", self.names, patience)
        if not self._joined(patience):
            super().shutdown(wait=False, cancel_futures=True)
            log.error("Still running at the end: %s", self.names)

    @property
    def left(self) -> list[threading.Thread]:
        """The threads that live."""
        return [thread for thread in self._threads if thread.is_alive()]

    @property
    def names(self) -> str:
        return ", ".join(sorted(thread.name for thread in self.left))

    def _joined(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        for thread in list(self._threads):
            thread.join(max(0, until - time.monotonic()))
        return not self.left

    def _name(self) -> None:
        threading.current_thread().name = f"portway-executor-{next(self._numbers)}"
