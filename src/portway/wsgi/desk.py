"""Where threads leave word for one event loop, and where that loop looks after its calls once a second.

Words are gathered: however many threads leave one before the loop's next turn, it is woken once.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import traceback
from collections import deque
from collections.abc import Callable
from contextvars import Context
from time import monotonic
from typing import Protocol

from portway.wsgi.threads import Threads

log = logging.getLogger("portway")

LOOK = 1.0  # seconds from one look to the next
ABANDONED = 5.0  # after so many, a thread whose client has gone is named in the log
SAY_AGAIN = 10.0  # seconds


class Watched(Protocol):
    """A call, as it is looked after. All times are those of `time.monotonic`."""

    submitted: float
    began: float
    moved: float
    left_at: float
    thread: int
    reported: int
    gone: bool
    over: bool

    def heed(self) -> None: ...

    def listen(self) -> None: ...


WAITED = 1
STUCK = 2
LEFT = 4


class Desk:
    """One loop's; `timeout` is how many seconds a call may go without a sign of life before its stack is logged."""

    def __init__(self, loop: asyncio.AbstractEventLoop, threads: Threads, timeout: float) -> None:
        self.loop = loop
        self.abandoned = 0  # calls whose client has gone, and that still hold a thread
        self._threads = threads
        self._timeout = timeout
        self._words: deque[Watched] = deque()
        self._told = False
        self._calls: set[Watched] = set()
        self._context = Context()  # looks are no request's: else they would be that of the first, for all of them
        self._looking = False
        self._said = -SAY_AGAIN

    # --- for threads ---

    def tell(self, call: Watched) -> None:
        """The loop is to look at this call."""
        self._words.append(call)
        if not self._told:
            self._told = True
            self.call(self._collect)

    def call(self, function: Callable[[], object]) -> None:
        try:
            self.loop.call_soon_threadsafe(function)
        except RuntimeError:  # the loop is closed: nobody is there any more
            pass

    # --- on the loop ---

    def _collect(self) -> None:
        self._told = False  # before: what is told from now on is another time's
        words = self._words
        while words:
            words.popleft().heed()

    def enter(self, call: Watched) -> None:
        self._calls.add(call)
        if not self._looking:
            self._looking = True
            self.loop.call_later(LOOK, self._look, context=self._context)

    def leave(self, call: Watched) -> None:
        self._calls.discard(call)

    def busy(self) -> None:
        """A request was refused since too many wait."""
        self._say(
            "requests are refused: %d wait for one of %d WSGI threads; give more with --wsgi-threads, "
            "or find what holds them", self._threads.queue, self._threads.most,
        )  # fmt: skip

    def _look(self) -> None:
        """Who takes long is asked whether its client is there; who is stuck is named."""
        self._looking = bool(self._calls)
        now = monotonic()
        self.abandoned = 0
        waiting = [now - call.submitted for call in self._calls if not call.began and not call.over]
        if waiting and max(waiting) >= LOOK:
            self._say(
                "%d requests wait for one of %d WSGI threads, the longest for %.1f s; give more with --wsgi-threads, "
                "or find what holds them", len(waiting), self._threads.most, max(waiting),
            )  # fmt: skip
        for call in list(self._calls):
            if not call.over:
                self._look_at(call, now)
        if self._looking:
            self.loop.call_later(LOOK, self._look, context=self._context)

    def _look_at(self, call: Watched, now: float) -> None:
        if now - call.submitted >= LOOK:
            call.listen()
        if not call.began:
            return
        if call.gone:
            self.abandoned += 1
            if now - call.left_at >= ABANDONED and not call.reported & LEFT:
                call.reported |= LEFT
                log.info("%r: its client went %.0f s ago, and its thread is still at it", call, now - call.left_at)
        if self._timeout and now - call.moved >= self._timeout and not call.reported & STUCK:
            call.reported |= STUCK
            log.warning("%r: nothing has come for %.0f s; its thread is here:\n%s", call, now - call.moved, stack(call))

    def _say(self, text: str, *values: object) -> None:
        """A warning, but not the same one all the time."""
        if self.loop.time() - self._said >= SAY_AGAIN:
            self._said = self.loop.time()
            log.warning(text, *values)


def stack(call: Watched) -> str:
    """What the thread of a call is doing."""
    frame = sys._current_frames().get(call.thread)
    return "".join(traceback.format_stack(frame)).rstrip() if frame is not None else "(it has ended)"
