"""Long-lived threads, each lent to one request at a time.

What code keeps for its thread, a database connection above all, then lives longer than a request. The thread that
came back last is lent first, so that there are no more of them than requests have run at once; one that nobody has
borrowed for a minute ends.

A request's thread may be needed for a moment after its client has the whole response: Django tidies up then. The
client's next request may come sooner than that thread comes back. So a request that finds none idle waits for
one that is only finishing, as long as no one else waits for it; and not for long, since what goes on behind a
response may take its time.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

log = logging.getLogger("portway")

# How long a request waits for a thread that is only finishing: a quarter of a second, in turns of the loop. They
# are counted, so that a machine or a loop that stands still for a while wears no patience out. With eight requests at
# once on two busy cores, such a wait was a millisecond mostly, and 31 at most.
TURNS = 25
TURN = 0.01

# When the system lets no thread be made.
AGAIN = 1.0

# As in Java's cached pool of threads.
IDLE = 60.0

# For idle threads to end with the server, before nobody waits for them any more.
FAREWELL = 1.0


class Loan(Executor):
    """The executor of one request. Its first job borrows a thread, which runs all that follow; a request without
    jobs borrows none.

    It stays usable after `end`: for Tasks that outlive their request, each job then borrows for itself.
    """

    def __init__(self, threads: Threads, loop: asyncio.AbstractEventLoop) -> None:
        self.threads = threads
        self.loop = loop
        self.worker: Worker | None = None
        self.jobs: list[Job] = []  # those that wait for a thread
        self.pending = 0
        self.completed = False
        self.ended = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """From any thread."""
        job = Job(self, partial(fn, *args, **kwargs))
        self.threads.take(self, job)
        return job.future

    def complete(self) -> None:
        """The client has the whole response: if this has a thread, that is only finishing."""
        if not self.completed:
            self.threads.complete(self)

    def end(self) -> None:
        """The request is over: the thread goes back, now or after what still runs in it."""
        self.threads.end(self)


class Job:
    """A call, and the future of its result."""

    __slots__ = ("_call", "_loan", "future")

    def __init__(self, loan: Loan, call: Callable[[], Any]) -> None:
        self.future: Future[Any] = Future()
        self._loan = loan
        self._call = call

    def run(self) -> None:
        """The thread goes back before the result is told: who hears of it may need a thread at once."""
        done = self._loan.threads.done
        if not self.future.set_running_or_notify_cancel():
            done(self._loan)
            return
        try:
            result = self._call()
        except BaseException as error:
            done(self._loan)
            self.future.set_exception(error)
        else:
            done(self._loan)
            self.future.set_result(result)


class Worker:
    """A thread that runs one job after the other, until it is given None."""

    def __init__(self, threads: Threads, number: int) -> None:
        self.jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._threads = threads
        # A daemon: a call that never returns does not keep the process from ending.
        self.thread = threading.Thread(target=self._work, name=f"portway-sensitive-{number}", daemon=True)
        self.thread.start()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            job.run()
            del job  # what it held is not to wait for the next one
        self._threads.farewell()

    def _next(self) -> Job | None:
        while True:
            try:
                return self.jobs.get(timeout=self._threads.idle)
            except Empty:
                if self._threads.dismiss(self):
                    return None


class Threads:
    """The threads that are lent. May be used from any thread, and by the loans of several loops."""

    def __init__(self, farewell: Callable[[], None] = lambda: None, idle: float = IDLE) -> None:
        """`farewell` is called in each thread at its end; after `idle` seconds without a job one ends."""
        self.farewell = farewell
        self.idle = idle
        # One that its holder may take again: the collector of garbage, which may come at any time, closes coroutines
        # that were left, and a request's then ends its loan.
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._idle: list[Worker] = []
        # In the order of their coming.
        self._waiting: dict[Loan, None] = {}
        self._finishing: dict[Loan, None] = {}
        self._closed = False

    def __repr__(self) -> str:
        with self._lock:
            counts = f"idle={len(self._idle)} waiting={len(self._waiting)} finishing={len(self._finishing)}"
            return f"<Threads {counts}{' closed' * self._closed}>"

    # --- for a loan ---

    def take(self, loan: Loan, job: Job) -> None:
        """Run `job` in the loan's thread; RuntimeError if it has none, and none can be had."""
        with self._lock:
            if loan.worker is None and not loan.jobs:
                self._provide(loan)
            loan.pending += 1
            if loan.worker is None:
                loan.jobs.append(job)
            else:
                loan.worker.jobs.put(job)

    def complete(self, loan: Loan) -> None:
        with self._lock:
            loan.completed = True
            self._observe(loan)

    def end(self, loan: Loan) -> None:
        with self._lock:
            loan.completed = loan.ended = True
            self._observe(loan)
            self._release(loan)

    def done(self, loan: Loan) -> None:
        """One of its jobs is; called in its thread."""
        with self._lock:
            loan.pending -= 1
            self._release(loan)

    # --- for a worker ---

    def dismiss(self, worker: Worker) -> bool:
        """Whether it may end, being idle."""
        with self._lock:
            if worker not in self._idle:
                return False
            self._idle.remove(worker)
            return True

    # --- the end ---

    def close(self) -> None:
        """End the idle threads, and let the others end when they come back."""
        with self._lock:
            self._closed = True
            ending, self._idle = self._idle, []
        for worker in ending:
            worker.jobs.put(None)
        until = time.monotonic() + FAREWELL
        for worker in ending:
            worker.thread.join(max(0, until - time.monotonic()))

    # --- with the lock held ---

    def _provide(self, loan: Loan) -> None:
        """A thread for it, or a place in the line."""
        if self._idle:
            self._lend(self._idle.pop(), loan)
        elif len(self._finishing) > len(self._waiting) and self._ask(loan):
            self._waiting[loan] = None
        else:
            self._lend(Worker(self, next(self._numbers)), loan)

    def _ask(self, loan: Loan) -> bool:
        try:
            loan.loop.call_soon_threadsafe(self._wait, loan, TURNS)
        except RuntimeError:  # the loop is closed
            return False
        return True

    def _lend(self, worker: Worker, loan: Loan) -> None:
        self._waiting.pop(loan, None)
        loan.worker = worker
        self._observe(loan)
        for job in loan.jobs:
            worker.jobs.put(job)
        loan.jobs.clear()

    def _observe(self, loan: Loan) -> None:
        if loan.completed and loan.worker is not None:
            self._finishing[loan] = None

    def _release(self, loan: Loan) -> None:
        """Take its thread back, unless it still needs it."""
        worker = loan.worker
        if worker is None or loan.pending or not loan.ended:
            return
        loan.worker = None
        self._finishing.pop(loan, None)
        if self._waiting:
            self._lend(worker, next(iter(self._waiting)))
        elif self._closed:
            worker.jobs.put(None)
        else:
            self._idle.append(worker)

    # --- on the loop ---

    def _wait(self, loan: Loan, turns: int) -> None:
        """Look after one that waits, and give it a thread of its own if it has waited long enough."""
        if loan not in self._waiting:
            return
        if turns:
            loan.loop.call_later(TURN, self._wait, loan, turns - 1)
            return
        with self._lock:
            if loan not in self._waiting:
                return
            try:
                worker = Worker(self, next(self._numbers))
            except RuntimeError as error:
                log.warning("A request waits for a thread that comes back, since no more can be made: %s", error)
                loan.loop.call_later(AGAIN, self._wait, loan, 0)
                return
            self._lend(worker, loan)
            # The one that it waited for takes its time: no one else waits for that.
            for slow in list(self._finishing)[:1]:
                del self._finishing[slow]
