"""The one clock of a worker: it renews the Date header, and walks a wheel of deadlines.

A connection stores a number of ticks and stands in one slot of the wheel, at its deadline or before it.
When the clock comes to that slot it asks the connection, which may have moved its deadline on in the
meantime: it is put where it belongs then. So a request that moves a deadline costs an assignment.
"""

from __future__ import annotations

import asyncio
import math
from email.utils import formatdate
from typing import Protocol

from portway.wire.http1.encode import Preamble

TICKS_A_SECOND = 4


class Timed(Protocol):
    """What stands in the wheel."""

    def visit(self, now: int) -> int:
        """The clock is here: do what is due. The tick to be asked at again, or 0."""


def ticks(seconds: float) -> int:
    """A duration in ticks, never less: rounded up, and one more, as the present tick is partly over.

    0 stays 0, which is no deadline.
    """
    return math.ceil(seconds * TICKS_A_SECOND) + 1 if seconds > 0 else 0


class Clock:
    """Ticks while it runs; `now` counts from 1."""

    def __init__(self, loop: asyncio.AbstractEventLoop, preamble: Preamble, dated: bool) -> None:
        self.now = 1
        self._loop = loop
        self._preambles = [preamble]
        self._dated = dated
        self._date = ""
        self._began = 0.0
        self._wheel: dict[int, set[Timed]] = {}
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._began = self._loop.time() - self.now / TICKS_A_SECOND
        self._renew_date()
        self._next()

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def date(self, preamble: Preamble) -> None:
        """Renew this one, too."""
        self._preambles.append(preamble)
        preamble.renew(self._date.encode())

    def put(self, timed: Timed, tick: int) -> None:
        """Ask `timed` at this tick, or at the next one if that is over."""
        tick = max(tick, self.now + 1)
        slot = self._wheel.get(tick)
        if slot is None:
            slot = self._wheel[tick] = set()
        slot.add(timed)

    def take(self, timed: Timed, tick: int) -> None:
        """Do not ask it at this tick."""
        slot = self._wheel.get(tick)
        if slot is not None:
            slot.discard(timed)
            if not slot:
                del self._wheel[tick]

    def _next(self) -> None:
        # By the loop's own clock, so that neither a late tick nor a changed system time adds up.
        at = self._began + (self.now + 1) / TICKS_A_SECOND
        self._handle = self._loop.call_at(at, self._tick)

    def _tick(self) -> None:
        target = max(self.now + 1, int((self._loop.time() - self._began) * TICKS_A_SECOND))
        while self.now < target:
            self.now += 1
            for timed in self._wheel.pop(self.now, ()):
                try:
                    again = timed.visit(self.now)
                except Exception as error:  # a log handler's, perhaps; time must go on for all others
                    what = "a deadline could not be seen to"
                    self._loop.call_exception_handler({"message": what, "exception": error})
                    continue
                if again:
                    self.put(timed, again)
        self._renew_date()
        self._next()

    def _renew_date(self) -> None:
        if self._dated:
            date = formatdate(usegmt=True)
            if date == self._date:
                return
            self._date = date
        for preamble in self._preambles:
            preamble.renew(self._date.encode())
