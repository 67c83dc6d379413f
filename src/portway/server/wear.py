"""When a process has served long enough: by requests, by memory, by age. It is told once, whichever comes first.

Requests are counted as they begin; memory and age are looked at by the clock, once a second.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from portway.link.clock import TICKS_A_SECOND, Clock, ticks
from portway.memory import resident

MIB = 1024 * 1024

# Processes that were forked would draw the same lots from a generator that all of them have.
_lots = random.SystemRandom()


@dataclass(frozen=True, slots=True)
class Span:
    """So many requests, and up to `jitter` more; so many bytes; so many seconds; 0 is no limit."""

    requests: int = 0
    jitter: int = 0
    memory: int = 0
    age: float = 0


class Wear:
    """`tell` hears the reason, such as "100000 requests", and the setting that has it so."""

    def __init__(self, span: Span, tell: Callable[[str, str], None]) -> None:
        self._requests = 0
        self._span = span
        self._tell = tell
        self._end = 0  # the tick of its old age
        self._told = False

    @property
    def counts(self) -> bool:
        """Whether requests are limited."""
        return self._span.requests > 0

    def begin(self, clock: Clock) -> None:
        """From now on it serves: this process, which may have been forked."""
        if self._span.requests:
            self._requests = self._span.requests + _lots.randint(0, self._span.jitter)
        if self._span.memory or self._span.age:
            self._end = clock.now + ticks(self._span.age)
            clock.put(self, clock.now + TICKS_A_SECOND)

    def count(self, requests: int) -> None:
        """So many have begun by now."""
        if 0 < self._requests <= requests:
            self._say(f"{requests} requests", "--limit-max-requests")

    def visit(self, now: int) -> int:
        """The clock's call, see `clock.Timed`."""
        if self._span.age and now >= self._end:
            self._say(f"{self._span.age:g} s", "--limit-max-age")
        if self._span.memory and (held := resident() or 0) >= self._span.memory:
            self._say(f"{held // MIB} MiB of memory", "--limit-max-memory")
        return 0 if self._told else now + TICKS_A_SECOND

    def _say(self, reason: str, setting: str) -> None:
        if not self._told:
            self._told = True
            self._tell(reason, setting)
