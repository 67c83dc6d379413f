"""What a supervisor does about its workers: events and the time come in, actions come out. It starts nothing itself.

  start ──► STARTING ──ready──► READY ──retire, stop──► LEAVING ──► gone
                │                 │                        │
                └── fails ────────┴── dies, is blocked ────┴── too late: killed

1. A slot is a place for one worker, with sockets of its own. While a worker is replaced, its slot holds two.
2. Replacement comes first: the old one is told to go when the new one is ready. One is replaced at a time.
3. A worker that dies is replaced at once; again soon after, with a pause that doubles.
4. A replacement that cannot start leaves the old one where it is. Where nobody serves, or not all did yet, all end.
5. Who is blocked, or late, is asked for its stacks first, and killed then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from portway.workers.actions import (
    Action,
    Ask,
    Child,
    Elect,
    End,
    Kill,
    Level,
    Retire,
    Rolled,
    Say,
    Start,
    Terms,
    Up,
)
from portway.workers.fosters import Fosters

# A worker that lived so long (seconds) has started well: its death is the first one again.
SETTLED = 60.0

# The longest pause before a worker is started again, in seconds; systemd and Kubernetes have minutes.
LONGEST_PAUSE = 30.0

# For a worker to write down its stacks, in seconds.
STACKS = 2.0

# A look that comes so much too late, in seconds, was held up itself: the machine slept, or all of us were frozen.
OVERSLEPT = 2.0


@dataclass(slots=True)
class Slot:
    """`again` is when a worker is started in it again, if it has none."""

    number: int
    deaths: int = 0
    again: float | None = None


class Plan:
    """`children` are those that live, by key."""

    def __init__(
        self, count: int, terms: Terms, *, patient: bool = False, elects: bool = False, fosters: bool = False
    ) -> None:  # fmt: skip
        """`patient`: a worker that cannot start waits for the next `roll`, and never ends the server. `elects`: there
        is something that one worker runs for all. `fosters`: workers can accept for others.
        """
        self.children: dict[int, Child] = {}
        self.slots: list[Slot] = [Slot(number) for number in range(count)]
        self.elected: Child | None = None
        self.stopping = False
        self.up = False
        self.terms = terms  # of the workers that will be started
        self._patient = patient
        self._elects = elects
        self._fosters = Fosters() if fosters else None
        self._elect_at = 0.0
        self._keys = 0
        self._worn: list[Child] = []  # to be replaced
        self._rolling = False
        self._failed = False
        self._ended = False
        self._seen = 0.0  # the time, as it was last
        self._due = float("inf")
        self._out: list[Action] = []

    # --- what happens ---

    def begin(self, now: float) -> list[Action]:
        self._wake(now)
        for slot in self.slots:
            self._start(slot, now)
        return self._settle(now)

    def ready(self, child: Child, now: float) -> list[Action]:
        """Its application is up, and it serves."""
        self._wake(now)
        if child.phase == "starting" and not child.killed:
            child.phase = "ready"
            child.heard = child.ready_at = now
            self._unask(child)
            old = child.replaces
            child.replaces = None
            if old is not None:
                self._leave(old, now)
        return self._settle(now)

    def heard(self, child: Child, figures: dict[str, Any], now: float) -> list[Action]:
        """Its loop turns; `figures` are requests, connections and whatever else it tells."""
        self._wake(now)
        child.figures = figures
        child.heard = now
        if child.asked and child.phase == "ready" and not child.killed:
            self._unask(child)
            self._say("info", f"{self.name(child)} goes on")
        return self._settle(now)

    def worn(self, child: Child, reason: str, now: float) -> list[Action]:
        """It is to be replaced when its turn comes."""
        self._wake(now)
        if child.phase == "ready" and child not in self._worn and self._successor(child) is None:
            self._say("info", f"{self.name(child)} is replaced: {reason}")
            self._worn.append(child)
        return self._settle(now)

    def failed(self, child: Child, reason: str) -> None:
        """It has said why it cannot start; its end is to follow."""
        child.reason = reason

    def exited(self, child: Child, how: str, now: float) -> list[Action]:
        """It is gone; `how` is what is said of it."""
        if self.children.pop(child.key, None) is None:
            return []
        self._wake(now)
        if child is self.elected:
            self.elected = None
        if child in self._worn:
            self._worn.remove(child)
        heir = self._successor(child)
        if heir is not None:
            heir.replaces = None
        if self._failed:
            pass  # why it ends was told
        elif child.phase == "leaving" or self.stopping:
            why = f" ({child.reason})" if child.killed else ""
            self._say("warning" if child.killed else "info", f"{self.name(child)} {how}{why}")
        elif child.phase == "starting":
            self._not_started(child, how, now)
        else:
            self._say("error", f"{self.name(child)} {how}")
            self._again(child, now)
        return self._settle(now)

    def resigned(self, child: Child, done: bool, pause: float, now: float) -> list[Action]:
        """It no longer runs what runs once; if not `done`, someone does, after a pause in seconds."""
        self._wake(now)
        if child is self.elected:
            self.elected = None
            self._elects = self._elects and not done
            self._elect_at = now + pause
        return self._settle(now)

    def look(self, now: float) -> list[Action]:
        """See who is late; to be called when `due` has come."""
        self._wake(now)
        for child in list(self.children.values()):
            self._look_at_one(child, now)
        return self._settle(now)

    # --- what is wanted ---

    def roll(self, now: float) -> list[Action]:
        """Replace all workers, so that they run what the code is now."""
        self._wake(now)
        if self.stopping:
            return []
        self._rolling = True
        self._worn.clear()
        for child in self.children.values():
            if child.phase == "starting":  # with what the code was
                self._drop(child, "it started with what has changed meanwhile")
            elif child.phase == "ready":
                self._worn.append(child)
        for slot in self.slots:
            if slot.again is not None or not self._held(slot):
                slot.deaths = 0
                slot.again = now
        return self._settle(now)

    def scale(self, count: int, now: float) -> list[Action]:
        """Have so many workers, one at least."""
        self._wake(now)
        count = max(1, count)
        if self.stopping:
            return []
        for slot in self.slots[count:]:
            for child in [each for each in self.children.values() if each.slot == slot.number]:
                if child.phase == "starting":
                    self._drop(child, "it is not needed any more")
                elif child.phase == "ready":
                    self._leave(child, now, last=True)
        del self.slots[count:]
        for number in range(len(self.slots), count):
            self.slots.append(Slot(number))
            self._start(self.slots[-1], now)
        return self._settle(now)

    def stop(self, now: float) -> list[Action]:
        """End, in good order."""
        return self._finish(now, last=True)

    def elect(self, now: float) -> list[Action]:
        """There is something that one worker runs for all, from now on."""
        self._elects = True
        return self._settle(now)

    def retire(self, now: float) -> list[Action]:
        """End, while somebody else goes on with all the sockets."""
        return self._finish(now, last=False)

    def quit(self, now: float) -> list[Action]:
        """End at once."""
        self._wake(now)
        self.stopping = True
        for child in self.children.values():
            self._kill(child, "the server ends at once")
        return self._settle(now)

    # --- what is known ---

    @property
    def count(self) -> int:
        """How many workers are wanted."""
        return len(self.slots)

    @property
    def due(self) -> float:
        """When to `look` next; infinity is never."""
        return self._due

    @staticmethod
    def name(child: Child) -> str:
        return f"Worker {child.slot + 1}"

    # --- inside ---

    def _wake(self, now: float) -> None:
        """Where all of us were held up, the time since we last knew counts for nobody."""
        lost = now - self._seen
        self._seen = now
        if now - self._due > OVERSLEPT:
            for child in self.children.values():
                child.heard += lost
                child.since += lost
                child.until += lost if child.until else 0.0

    def _times(self) -> list[float]:
        times = [slot.again for slot in self.slots if slot.again is not None and not self.stopping]
        if self._elects and self.elected is None and self._elect_at and not self.stopping:
            times.append(self._elect_at)
        return times + [self._late_at(child) for child in self.children.values() if not child.killed]

    def _late_at(self, child: Child) -> float:
        if child.until:
            return child.until
        if child.phase == "starting":
            return child.since + child.terms.startup
        return child.heard + child.terms.blocked

    def _standing(self) -> list[Child]:
        """Those who serve, or will."""
        return [child for child in self.children.values() if child.phase != "leaving" and not child.killed]

    def _held(self, slot: Slot) -> bool:
        """Whether somebody stands there, or will in a while."""
        return slot.again is not None or any(child.slot == slot.number for child in self._standing())

    def _successor(self, child: Child) -> Child | None:
        return next((each for each in self.children.values() if each.replaces is child), None)

    def _start(self, slot: Slot, now: float, replaces: Child | None = None) -> None:
        self._keys += 1
        child = Child(self._keys, slot.number, now, self.terms, heard=now, replaces=replaces)
        self.children[child.key] = child
        slot.again = None
        self._out.append(Start(child))

    def _leave(self, child: Child, now: float, last: bool = False) -> None:
        if child.phase != "leaving" and not child.killed:
            child.phase = "leaving"
            self._unask(child)
            child.until = now + (child.terms.stopping if self.stopping and last else child.terms.leaving)
            self._out.append(Retire(child, last))

    def _finish(self, now: float, last: bool) -> list[Action]:
        self._wake(now)
        if not self.stopping:
            self.stopping = True
            self._worn.clear()
            for child in self.children.values():
                self._leave(child, now, last)
        return self._settle(now)

    def _kill(self, child: Child, reason: str) -> None:
        if not child.killed:
            child.killed = True
            child.reason = child.reason or reason
            self._out.append(Kill(child))

    def _drop(self, child: Child, reason: str) -> None:
        """Its start is of no use any more, and that it was late says nothing."""
        self._unask(child)
        self._kill(child, reason)
        child.reason = reason

    def _say(self, level: Level, text: str) -> None:
        self._out.append(Say(level, text))

    def _look_at_one(self, child: Child, now: float) -> None:
        if child.killed or now < self._late_at(child):
            return
        if child.asked:
            self._kill(child, child.reason)
        elif child.phase == "leaving":
            self._ask(child, "it did not end in time", now)
        elif child.phase == "starting":
            self._ask(child, f"it was not ready within {child.terms.startup:g} s", now)
        else:
            self._ask(child, f"its event loop has been blocked for {child.terms.blocked:g} s", now)

    def _ask(self, child: Child, why: str, now: float) -> None:
        child.asked = True
        child.reason = child.reason or why
        child.until = now + STACKS
        self._say("error", f"{self.name(child)}: {why}")
        self._out.append(Ask(child))

    @staticmethod
    def _unask(child: Child) -> None:
        if child.asked:
            child.asked = False
            child.reason = ""
            child.until = 0.0

    def _not_started(self, child: Child, how: str, now: float) -> None:
        why = child.reason or how
        dropped = child.killed and not child.asked
        if dropped or (child.replaces is None and self._held(self.slots[child.slot])):  # another is there, or will be
            return self._say("info", f"{self.name(child)} {how} ({child.reason})")
        if child.replaces is not None:
            self._end_roll(f"{self.name(child)} could not be replaced: {why}")
        elif self._patient:
            self._end_roll(f"{self.name(child)} could not start: {why}")
        elif self.up and any(other.phase == "ready" for other in self._standing()):
            self._end_roll(f"{self.name(child)} could not start: {why}")
            self._pause(self.slots[child.slot], now)
        else:
            self._say("error", why)
            self._failed = self.stopping = True
            for other in self.children.values():  # of one reason, one is told
                self._kill(other, "another worker could not start")

    def _end_roll(self, error: str) -> None:
        self._say("error", error)
        if self._rolling:
            self._rolling = False
            self._worn.clear()
            self._out.append(Rolled(error))

    def _again(self, child: Child, now: float) -> None:
        """Have another one in its place, unless there is."""
        if child.slot >= len(self.slots) or self._held(self.slots[child.slot]):
            return
        slot = self.slots[child.slot]
        if now - child.ready_at >= SETTLED:
            slot.deaths = 0
        self._pause(slot, now)

    def _pause(self, slot: Slot, now: float) -> None:
        pause = min(LONGEST_PAUSE, 2.0 ** (slot.deaths - 1)) if slot.deaths else 0.0
        slot.deaths = min(slot.deaths + 1, 10)  # from here on it is the longest
        slot.again = now + pause
        if pause:
            self._say("info", f"Worker {slot.number + 1} is started again in {pause:g} s")

    def _settle(self, now: float) -> list[Action]:
        """What follows from how things stand; all actions since the last time."""
        if not self.stopping:
            self._fill(now)
            self._replace(now)
            self._announce()
            self._elect(now)
        elif not self.children and not self._ended:
            self._ended = True
            self._out.append(End(self._failed))
        times = self._times()
        if self._fosters is not None and self.up and not self.stopping:
            children = self.children.values()
            self._out += self._fosters.settle(range(len(self.slots)), children, now)
            times += self._fosters.due(children, now)
        self._due = min(times, default=float("inf"))
        out = self._out
        self._out = []
        return out

    def _fill(self, now: float) -> None:
        """Start a worker where one is missing and its time has come."""
        for slot in self.slots:
            if slot.again is not None and now >= slot.again:
                self._start(slot, now)

    def _replace(self, now: float) -> None:
        """Begin with the next one that is to be replaced."""
        if any(child.phase == "starting" for child in self.children.values()):
            return
        while self._worn:
            old = self._worn.pop(0)
            if old.phase == "ready" and not old.killed:
                self._start(self.slots[old.slot], now, old)
                return
        if self._rolling and all(slot.again is None for slot in self.slots):
            self._rolling = False
            self._out.append(Rolled())

    def _announce(self) -> None:
        serving = {child.slot for child in self._standing() if child.phase == "ready"}
        if not self.up and len(serving) == len(self.slots):
            self.up = True
            self._out.append(Up())

    def _elect(self, now: float) -> None:
        if not self._elects or self.elected is not None or now < self._elect_at:
            return
        self._elect_at = 0.0
        able = [each for each in self._standing() if each.phase == "ready" and self._successor(each) is None]
        chosen = min((each for each in able if each not in self._worn), key=lambda each: each.key, default=None)
        if chosen is not None:
            self.elected = chosen
            self._out.append(Elect(chosen))
