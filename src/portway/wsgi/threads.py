"""The threads that WSGI applications run on: as few as do, each long-lived, with a name.

1. A thread is made when there are more jobs than threads, never beyond `most`; it lives until `stop`. So N clients
   meet at most N threads, and what a thread keeps (a database connection) is found again.
2. Whoever waits for work sleeps on a lock of its own; the last to fall asleep is the first to be woken.
3. One thread at a time is on its way up. It takes a job, and wakes the next one if more wait: a crowd of quick jobs is
   run by one thread in a row, and one that blocks has let the next one up before.
4. What waits for a thread is bounded by `queue`.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from time import monotonic
from typing import NamedTuple, Protocol

from portway import cpus

log = logging.getLogger("portway")

_monotonic = monotonic

NAME = "portway-wsgi"

# As many wait, at most, before others are refused.
QUEUE = 1024


class Job(Protocol):
    """Something to run on a thread. It calls `Threads.freed` as its last act but one: to tell that it is done."""

    submitted: float

    def run(self) -> None: ...


class Figures(NamedTuple):
    """How the threads are: `busy` of `threads` run something, `waiting` jobs have none; times in seconds."""

    threads: int
    most: int
    busy: int
    waiting: int
    longest_wait: float


class Threads:
    """A pool of threads; used from any thread."""

    def __init__(self, most: int, queue: int = QUEUE) -> None:
        self.most = most
        self.queue = queue
        self._lock = threading.Lock()
        self._waiting: deque[Job] = deque()
        self._asleep: list[threading.Lock] = []
        self._unfinished = 0
        self._made = 0
        self._rising = False  # a thread is on its way up
        self._stopped = False

    def submit(self, job: Job) -> bool:
        """Have it run; False if too many wait already, or if the system gives no thread."""
        with self._lock:
            if self._unfinished >= self.most + self.queue:  # what waits for a thread on its way up does not count
                return False
            self._stopped = False
            job.submitted = _monotonic()
            self._waiting.append(job)
            self._unfinished += 1
            if not self._rising:
                self._raise_one()
            if not self._made:
                self._waiting.remove(job)
                self._unfinished -= 1
                return False
        return True

    def crowded(self) -> bool:
        """Whether what comes now may have to wait: a guess."""
        return not self._asleep and self._made >= self.most

    def freed(self) -> None:
        """The job of the calling thread is through: said before anyone is told of its result."""
        with self._lock:
            self._unfinished -= 1

    def withdraw(self, job: Job) -> bool:
        """Take back a job that no thread has taken; whether there was one."""
        with self._lock:
            if job not in self._waiting:
                return False
            self._waiting.remove(job)
            self._unfinished -= 1
            return True

    def figures(self) -> Figures:
        with self._lock:
            waiting = len(self._waiting)
            longest = monotonic() - self._waiting[0].submitted if waiting else 0.0
            return Figures(self._made, self.most, self._unfinished - waiting, waiting, longest)

    def stop(self) -> None:
        """Let the threads end: those that sleep now, the others when they are through. A further job makes new ones."""
        with self._lock:
            self._stopped = True
            asleep = self._asleep.copy()
            self._asleep.clear()
        for bell in asleep:
            bell.release()

    # --- inside ---

    def _raise_one(self) -> None:
        if self._asleep:
            self._rising = True
            self._asleep.pop().release()
        elif self._made < self.most and self._made < self._unfinished:
            self._rising = True
            self._made += 1
            try:
                threading.Thread(target=self._work, name=f"{NAME}-{self._made}", daemon=True).start()
            except RuntimeError as fault:  # those that there are must do
                self._rising = False
                self._made -= 1
                log.warning("no more than %d WSGI threads: %s", self._made, fault)

    def _work(self) -> None:
        bell = threading.Lock()
        bell.acquire()
        risen = True
        while True:
            with self._lock:
                if risen:
                    self._rising = False
                job = self._waiting.popleft() if self._waiting else None
                if job is None:
                    if self._stopped:
                        self._made -= 1
                        return
                    self._asleep.append(bell)
                elif self._waiting and not self._rising:
                    self._raise_one()
            risen = job is None
            if job is None:
                bell.acquire()
            else:
                job.run()
                del job  # what it holds goes now, not when the next one comes


def usual() -> int:
    """As many threads as are had when nobody says how many."""
    return min(32, 4 * cpus.usable())
