"""Does what the plan says: starts workers, hears them, waits for their ends, and obeys signals and the control socket.

  signals, control socket, files that change ─┐
  channels of the workers, their ends ────────┼──► Plan ──► actions ──► processes, orders, the log
  the clock ──────────────────────────────────┘

It never runs the application's code; what it needs to know of the rest of the house is in `Means`.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from portway.errors import PortwayError
from portway.workers import actions, stacks
from portway.workers.actions import Action, Child
from portway.workers.channel import Channel, Message
from portway.workers.info import WorkerInfo, how_it_ended
from portway.workers.nursery import Born
from portway.workers.plan import Plan
from portway.workers.spawn import Worker, reap
from portway.workers.terminal import Terminal

log = logging.getLogger("portway")


class Words(NamedTuple):
    """How the log speaks of the replacement of all workers."""

    begin: str = "Replacing all workers"
    done: str = "All workers are replaced"
    failed: str = "Not all workers are replaced: those that could not be go on as they were"


@dataclass(frozen=True)
class Means:
    """What a supervisor works with.

    `start(slot)` starts a worker; `reaped(pid, code)` is told of child processes that are none; `fresh()` reads code
    and configuration anew, and gives the number of workers, or raises PortwayError; `release(slot)` lets the sockets
    of the last slot go, `sockets(slot)` describes them; `announce()` says that all is up; `call(hook, *args)` calls a
    hook; `reopen()` opens log files anew; `upgrade(done)` starts a successor and calls `done` when that has come up,
    or with what went wrong; `told` is for systemd: reloading, ready, or stopping; `dismiss(hurried)` ends a successor
    that is not up; `shares()` is whether another supervisor has the same sockets and may go on with them.
    """

    start: Callable[[int], Worker]
    reaped: Callable[[int, int], None]
    fresh: Callable[[], int]
    release: Callable[[int], None]
    sockets: Callable[[int], tuple[Message, list[int]]]
    announce: Callable[[], None]
    call: Callable[..., None]
    reopen: Callable[[], None]
    upgrade: Callable[[Callable[[str], None]], None]
    told: Callable[[str], None]
    dismiss: Callable[[bool], None]
    shares: Callable[[], bool]
    words: Words


@dataclass(eq=False)
class Hand:
    """A worker at work: the process, and the channel to it."""

    worker: Worker
    channel: Channel


Waiter = asyncio.Future[str]


class Supervisor:
    """On an event loop of its own, in the main thread."""

    def __init__(self, plan: Plan, means: Means) -> None:
        self.plan = plan
        self._means = means
        self._hands: dict[int, Hand] = {}  # by the key of the child
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._over: asyncio.Future[bool] | None = None
        self._rolls: list[Waiter] = []
        self._upgrading: Waiter | None = None
        self._terminal = Terminal()
        self._stays = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # nohup
        self._interrupted = False
        self._asked: set[int] = set()  # for their stacks
        self.hurried = ""  # why all ended at once, if it did

    async def run(self) -> bool:
        """Supervise until the end; False if the workers could not start."""
        self._loop = loop = asyncio.get_running_loop()
        self._over = loop.create_future()
        handlers: dict[str, Callable[[], Any]] = {
            "SIGHUP": self._hang_up,
            "SIGCHLD": self._reap,
            "SIGTERM": partial(self.stop, "SIGTERM"),
            "SIGINT": self._interrupt,
            "SIGQUIT": partial(self.quit, "SIGQUIT"),
            "SIGUSR1": self.reopen,
            "SIGUSR2": self.upgrade,
            "SIGTTIN": partial(self._more, 1),
            "SIGTTOU": partial(self._more, -1),
        }
        for name, handler in handlers.items():
            loop.add_signal_handler(getattr(signal, name), handler)
        self._do(self.plan.begin(time.monotonic()))
        try:
            return await self._over
        finally:
            for name in handlers:
                loop.remove_signal_handler(getattr(signal, name))

    # --- what is asked ---

    def roll(self, why: str) -> Waiter:
        """Replace all workers by ones with the code and configuration of now; what went wrong, if anything."""
        assert self._loop is not None
        waiter: Waiter = self._loop.create_future()
        if self.plan.stopping:
            waiter.set_result("the server is stopping")
            return waiter
        log.info("%s: %s", self._means.words.begin, why)
        self._means.told("reloading")
        try:
            count = self._means.fresh()
        except (OSError, PortwayError) as fault:
            log.error("Nothing is replaced: %s", fault)
            self._means.told("ready")
            waiter.set_result(str(fault))
            return waiter
        self._rolls.append(waiter)
        before = self.plan.count
        if self._means.shares():  # the other one counts on the sockets that there are
            count = before
        if count < before:
            self._scale(count)
        self._do(self.plan.roll(time.monotonic()))
        if count > before:
            self._scale(count)
        if count != before:
            log.info("%s from now on", self.wanted)
        return waiter

    def scale(self, count: int) -> str:
        """Have so many workers; what is wrong with that, if anything."""
        if self.plan.stopping:
            return "the server is stopping"
        if self._means.shares():
            log.warning("Workers are added and removed when the new supervisor has taken over")
            return "a new supervisor is about to take over; ask again when it has"
        self._scale(count)
        log.info("%s from now on", self.wanted)
        return ""

    def stop(self, why: str) -> None:
        """End in good order."""
        self._give_up("the server is stopping")
        if not self.plan.stopping:
            log.info("Stopping (%s)%s", why, "; press Ctrl+C again to end at once" if self._interrupted else "")
            self._means.dismiss(False)
            self._means.told("stopping")
            self._means.call("on_stopping")
            self._do(self.plan.stop(time.monotonic()))

    def quit(self, why: str) -> None:
        """End at once; `hurried` is why, from then on."""
        self.hurried = why
        log.warning("Ended at once")
        self._means.dismiss(True)
        self._do(self.plan.quit(time.monotonic()))

    def reopen(self) -> None:
        """Open log files anew, here and in the workers."""
        self._means.reopen()
        self.order("reopen")
        log.info("Log files are opened anew")

    def upgrade(self) -> Waiter:
        """Have a new supervisor take over, and end; what went wrong, if anything."""
        assert self._loop is not None
        if self._upgrading is not None:
            return self._upgrading
        waiter = self._upgrading = self._loop.create_future()
        if self.plan.stopping or not self.plan.up:
            self._upgraded("the server is starting or stopping")
        else:
            log.info("Starting a successor with the same sockets")
            self.order("share")
            try:
                self._means.upgrade(self._upgraded)
            except OSError as fault:
                self._upgraded(f"no process could be started: {fault}")
        return waiter

    def elect(self) -> None:
        """From now on, one worker runs what runs once."""
        self._do(self.plan.elect(time.monotonic()))

    def order(self, what: str) -> None:
        """To all workers."""
        for hand in self._hands.values():
            hand.channel.send({"do": what})

    @property
    def wanted(self) -> str:
        """How many workers there are to be."""
        return f"{self.plan.count} worker{'s'[: self.plan.count > 1]}"

    def infos(self) -> list[WorkerInfo]:
        """How the workers are, in the order of their numbers."""
        now = time.monotonic()
        children = sorted(self.plan.children.values(), key=lambda each: (each.slot, each.key))
        return [self._info(child, now) for child in children]

    # --- inside: what happens ---

    def _interrupt(self) -> None:
        if self._interrupted:
            self.quit("SIGINT")
        else:
            self._interrupted = True
            self.stop("SIGINT")

    def _hang_up(self) -> None:
        if self._terminal.gone and not self._stays:
            self.stop("the terminal was closed")
        else:
            self.roll("SIGHUP")

    def _more(self, change: int) -> None:
        self.scale(self.plan.count + change)

    def _scale(self, count: int) -> None:
        before = self.plan.count
        self._do(self.plan.scale(count, time.monotonic()))
        for slot in range(before - 1, self.plan.count - 1, -1):
            self._means.release(slot)

    def _upgraded(self, error: str) -> None:
        """The successor is up, or never will be."""
        waiter = self._upgrading
        self._upgrading = None
        if error:
            log.error("No successor: %s", error)
            self.order("own")
        else:
            log.info("The successor is up; this supervisor and its workers end")
            self._do(self.plan.retire(time.monotonic()))
        if waiter is not None and not waiter.done():
            waiter.set_result(error)

    def _heard(self, child: Child, message: Message) -> None:
        now = time.monotonic()
        kind = message.pop("tell")
        if not child.figures and kind == "beat" and isinstance(self._hands[child.key].worker, Born):
            self._means.call("on_worker_started", self._info(child, now))  # now that it is born
        if kind == "beat":
            self._do(self.plan.heard(child, message, now))
        elif kind == "ready":
            self._do(self.plan.ready(child, now))
            self._means.call("on_worker_ready", self._info(child, now))
        elif kind == "worn":
            self._do(self.plan.worn(child, message["why"], now))
        elif kind == "failed":
            self.plan.failed(child, message["why"])
        elif kind == "resigned":
            self._do(self.plan.resigned(child, message["done"], message["pause"], now))

    def _reap(self) -> None:
        reap(self._reaped)

    def _reaped(self, pid: int, code: int) -> None:
        worker = next((hand.worker for hand in self._hands.values() if hand.worker.pid == pid), None)
        if worker is None:
            self._means.reaped(pid, code)
        else:
            self.ended(worker, code)

    def failed(self, worker: Worker, reason: str) -> None:
        """It cannot start; its end is to follow."""
        self.plan.failed(self.plan.children[self._key(worker)], reason)

    def ended(self, worker: Worker, code: int | None) -> None:
        """A worker has; `code` is None if nobody knows it."""
        key = self._key(worker)
        self._hands[key].channel.drain()  # its last words
        hand = self._hands.pop(key)
        if code is not None:
            hand.worker.reaped(code)
        hand.worker.stacks.close()
        child = self.plan.children[key]
        now = time.monotonic()
        info = self._info(child, now, hand)._replace(exit_code=code)
        self._means.call("on_worker_exit", info)
        self._do(self.plan.exited(child, how_it_ended(info), now))

    def _key(self, worker: Worker) -> int:
        return next(key for key, hand in self._hands.items() if hand.worker is worker)

    def _look(self) -> None:
        self._timer = None
        for key in list(self._asked):
            self._read_stacks(key)
        self._do(self.plan.look(time.monotonic()))

    # --- inside: what is done ---

    def _do(self, wanted: list[Action]) -> None:
        for action in wanted:
            self._act(action)
        self._wind()

    def _act(self, action: Action) -> None:
        match action:
            case actions.Start(child):
                self._start(child)
            case actions.Retire(child, last):
                self._asked.discard(child.key)
                if child.key not in self._hands:
                    return  # it has no process, and is about to be gone
                others = not last or self._means.shares()
                order = "retire" if others else "stop" if self.plan.stopping else "leave"
                self._hands[child.key].channel.send({"do": order})
            case actions.Ask(child):
                self._ask(child)
            case actions.Kill(child):
                self._asked.discard(child.key)
                if child.key in self._hands:
                    self._hands[child.key].worker.signal(signal.SIGKILL)
            case actions.Elect(child):
                self._hands[child.key].channel.send({"do": "elect"})
            case actions.Foster(child, slot):
                message, descriptors = self._means.sockets(slot)
                self._hands[child.key].channel.send({"do": "foster", "slot": slot, **message}, descriptors)
            case actions.Unfoster(child, slot, last):
                self._hands[child.key].channel.send({"do": "unfoster", "slot": slot, "last": last})
            case actions.Up():
                self._means.announce()
            case actions.Rolled(error):
                self._rolled(error)
            case actions.Say(level, text):
                log.log(logging.getLevelNamesMapping()[level.upper()], "%s", text)
            case actions.End(failed):
                if self._over is not None and not self._over.done():
                    self._over.set_result(not failed)

    def _start(self, child: Child) -> None:
        assert self._loop is not None
        try:
            worker = self._means.start(child.slot)
        except (OSError, PortwayError) as fault:  # too many files or processes, no memory, no Python any more
            self._loop.call_soon(self._not_started, child, f"no process could be started: {fault}")
            return
        channel = Channel(worker.sock, self._loop, partial(self._heard, child), worker.silent)
        self._hands[child.key] = Hand(worker, channel)
        if worker.pid:
            self._means.call("on_worker_started", self._info(child, time.monotonic()))

    def _not_started(self, child: Child, why: str) -> None:
        self.plan.failed(child, why)
        self._do(self.plan.exited(child, "was not started", time.monotonic()))

    def _give_up(self, error: str) -> None:
        """No roll will come to an end any more."""
        for waiter in self._rolls:
            if not waiter.done():
                waiter.set_result(error)
        self._rolls.clear()

    def _rolled(self, error: str) -> None:
        words = self._means.words
        log.log(logging.WARNING if error else logging.INFO, "%s", words.failed if error else words.done)
        self._means.told("ready")
        self._give_up(error)

    def _ask(self, child: Child) -> None:
        hand = self._hands[child.key]
        stacks.read(hand.worker.stacks)  # what was there before is not what is asked for
        hand.worker.signal(stacks.ASKED)
        self._asked.add(child.key)

    def _read_stacks(self, key: int) -> None:
        """Its time is over: what has come is what there is."""
        child = self.plan.children.get(key)
        if child is not None and time.monotonic() >= child.until:
            self._asked.discard(key)
            text, _ = stacks.read(self._hands[key].worker.stacks)
            log.error("%s was here:\n%s", Plan.name(child), text or "(it did not tell)")

    def _wind(self) -> None:
        """Set the timer to when the plan wants to look."""
        assert self._loop is not None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self.plan.due
        if due != float("inf"):
            self._timer = self._loop.call_later(max(0.0, due - time.monotonic()), self._look)

    def _info(self, child: Child, now: float, hand: Hand | None = None) -> WorkerInfo:
        hand = hand or self._hands.get(child.key)
        figures = child.figures
        return WorkerInfo(
            number=child.slot + 1,
            process=0 if hand is None else hand.worker.pid,
            phase=child.phase,
            uptime=now - child.since,
            requests=figures.get("requests", 0),
            connections=figures.get("connections", 0),
            running=figures.get("running", 0),
            lag=figures.get("lag", 0.0),
            memory=figures.get("memory"),
        )
