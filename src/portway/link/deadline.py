"""A Port with one deadline on the wheel of the clock (see `clock`)."""

from __future__ import annotations

from portway.link.clock import Clock
from portway.wire.port import Port


class Deadline(Port):
    """`_arm` sets the deadline; what inherits this is told by `_expire`."""

    __slots__ = ("_clock", "_deadline", "_slot")

    def _begin_time(self, clock: Clock) -> None:
        self._clock = clock
        self._deadline = 0
        self._slot = 0  # where the wheel has us: at the deadline, or before it

    def _arm(self, span: int) -> None:
        """So many ticks from now; 0 is never."""
        if not span:
            self._deadline = 0
            return
        clock = self._clock
        deadline = clock.now + span
        self._deadline = deadline
        slot = self._slot
        if slot == 0 or deadline < slot:
            if slot:
                clock.take(self, slot)
            self._slot = deadline
            clock.put(self, deadline)

    def _end_time(self) -> None:
        self._deadline = 0
        if self._slot:
            self._clock.take(self, self._slot)
            self._slot = 0

    def visit(self, now: int) -> int:
        """The clock's call, see `clock.Timed`."""
        self._slot = 0
        if self._deadline and now < self._deadline:
            self._slot = self._deadline
        elif self._deadline:
            self._deadline = 0
            self._expire()
        return self._slot

    def _expire(self) -> None:
        raise NotImplementedError
