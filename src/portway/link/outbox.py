"""The responses of one turn of the loop, written one right after the other.

A write to a socket wakes whoever waits for it, and to wake a sleeping process costs more than all else that
the kernel does for a small response (measured on two cores: 10 µs of 75 for a FastAPI endpoint). Where one
turn answers many connections, their complete responses wait for its end: the first write wakes the reader,
the others find it awake. What is gathered waits for `LONGEST` at most, and for one step of another
application; where such a step is seen to take long, or where turns bring one response each, nothing waits.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

_now = time.perf_counter

# A larger one is written at once: its copying dwarfs the waking.
LARGEST = 128 * 1024

# In seconds: how long the first of a turn may wait, and what is a long step of an application.
LONGEST = 0.002
SLOW = 0.001

# So many responses are written directly before gathering is tried again.
DIRECTLY = 32


class Outbox:
    """One for each loop. What it holds are links with a response to write."""

    __slots__ = ("_began", "_direct", "_last", "_links", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._links: list[Any] = []
        self._direct = 0
        self._began = 0.0
        self._last = 0.0

    def takes(self, link: Any) -> bool:
        """Whether the link need not write now: its `write_out` will be called before the turn ends."""
        if self._direct:
            self._direct -= 1
            return False
        now = _now()
        if not self._links:
            self._began = now
            self._loop.call_soon(self._turned)
        elif now - self._last > SLOW:
            self._direct = DIRECTLY
            self._write()
            return False
        elif now - self._began > LONGEST:
            self._write()
            self._began = now
        self._last = now
        self._links.append(link)
        return True

    def _turned(self) -> None:
        if len(self._links) == 1:
            self._direct = DIRECTLY
        self._write()

    def _write(self) -> None:
        links = self._links
        self._links = []
        for link in links:
            link.write_out()
