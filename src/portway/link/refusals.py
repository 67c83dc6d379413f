"""Tells the log of requests that were refused, at a limited rate: a flood of them must not become one of lines."""

from __future__ import annotations

import logging

from portway.link.clock import TICKS_A_SECOND, Clock
from portway.link.peers import name_of
from portway.wire.faults import ProtocolFault

log = logging.getLogger("portway")

LINES_A_SECOND = 10


class Refusals:
    """Counts by the clock: so many lines in a second, then one that says how many were left out."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._second = -1
        self._told = 0
        self._untold = 0

    def tell(self, peer: tuple[str, int | None] | None, fault: ProtocolFault) -> None:
        """One refusal: who, why, and the first bytes, escaped so that no line can be forged."""
        self.say(peer, fault.status, f"{fault.text}: {fault.seen!r}" if fault.seen else fault.text)

    def say(self, peer: tuple[str, int | None] | None, code: int, why: str) -> None:
        """The same in words, which must hold nothing of the peer's; `code` is a status or a close code."""
        if self._allowed():
            log.warning("%s: refused with %d: %s", name_of(peer), code, why)

    def mention(self, peer: tuple[str, int | None] | None, why: str) -> None:
        """What happens to every server on the internet, many times a day: the same, and no warning."""
        if self._allowed():
            log.info("%s: %s", name_of(peer), why)

    def _allowed(self) -> bool:
        second = self._clock.now // TICKS_A_SECOND
        if second != self._second:
            if self._untold:
                log.warning("%d more refused requests were not logged", self._untold)
            self._second = second
            self._told = self._untold = 0
        if self._told >= LINES_A_SECOND:
            self._untold += 1
            return False
        self._told += 1
        return True
