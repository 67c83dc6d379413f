"""What holds whatever happens to a supervisor's workers: a plan, and a world of processes that does as it likes."""

from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from portway.workers.plan import (
    OVERSLEPT,
    STACKS,
    Action,
    Ask,
    Child,
    Elect,
    End,
    Kill,
    Plan,
    Retire,
    Rolled,
    Start,
    Terms,
    Up,
)

TERMS = Terms(startup=120, blocked=60, leaving=40, stopping=45)

PICK = st.integers(0, 11)


@dataclass(eq=False)
class Process:
    """What is true of a worker, whatever the plan believes. `asked_at` is when for its stacks."""

    child: Child
    ready: bool = False
    told: bool = False
    killed: bool = False
    asked_at: float | None = None


class World(RuleBasedStateMachine):
    """Each action is checked as it comes; `alive` are the processes that run."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.alive: list[Process] = []
        self.elected: Process | None = None
        self.done = False
        self.rolling = False
        self.ups = 0
        self.ends = 0
        self.quitting = False

    @initialize(count=st.integers(1, 3), patient=st.booleans(), elects=st.booleans())
    def begins(self, count: int, patient: bool, elects: bool) -> None:
        self.plan = Plan(count, TERMS, patient=patient, elects=elects)
        self.patient = patient
        self.elects = elects
        self.does(self.plan.begin(self.now))
        assert len(self.alive) == count

    # --- what processes do ---

    @precondition(lambda self: self.alive)
    @rule(pick=PICK)
    def is_ready(self, pick: int) -> None:
        """Those that were killed, too: it may have been said just before."""
        process = self.alive[pick % len(self.alive)]
        if not process.ready:
            process.ready = True
            self.does(self.plan.ready(process.child, self.now))

    @rule()
    def all_are_ready(self) -> None:
        for _ in list(self.alive):
            for pick in range(len(self.alive)):
                self.is_ready(pick)

    @precondition(lambda self: self.alive)
    @rule(pick=PICK, said=st.booleans())
    def cannot_start(self, pick: int, said: bool) -> None:
        process = self.alive[pick % len(self.alive)]
        if not process.ready:
            if said:
                self.plan.failed(process.child, "no database")
            self.goes(process)

    @precondition(lambda self: self.alive)
    @rule(pick=PICK)
    def dies(self, pick: int) -> None:
        self.goes(self.alive[pick % len(self.alive)])

    @precondition(lambda self: self.alive)
    @rule(pick=PICK)
    def obeys(self, pick: int) -> None:
        obedient = [each for each in self.alive if each.told or each.killed]
        if obedient:
            self.goes(obedient[pick % len(obedient)])

    @precondition(lambda self: self.alive)
    @rule(pick=PICK)
    def beats(self, pick: int) -> None:
        self.does(self.plan.heard(self.alive[pick % len(self.alive)].child, {}, self.now))

    @rule()
    def all_beat(self) -> None:
        for process in list(self.alive):
            self.does(self.plan.heard(process.child, {}, self.now))

    @precondition(lambda self: self.alive)
    @rule(pick=PICK)
    def is_worn(self, pick: int) -> None:
        process = self.alive[pick % len(self.alive)]
        if process.ready:
            self.does(self.plan.worn(process.child, "it is old", self.now))

    @precondition(lambda self: self.elected is not None)
    @rule(done=st.booleans(), pause=st.sampled_from([0.0, 1.0, 20.0]))
    def resigns(self, done: bool, pause: float) -> None:
        assert self.elected is not None
        child = self.elected.child
        self.elected = None
        self.done = self.done or done
        self.does(self.plan.resigned(child, done, pause, self.now))

    # --- what is wanted ---

    @precondition(lambda self: not self.plan.stopping)
    @rule()
    def rolls(self) -> None:
        self.rolling = True
        self.does(self.plan.roll(self.now))

    @precondition(lambda self: not self.plan.stopping)
    @rule(count=st.integers(1, 4))
    def scales(self, count: int) -> None:
        self.does(self.plan.scale(count, self.now))
        assert self.plan.stopping or self.plan.count == count

    @rule(how=st.sampled_from(["stop", "retire", "quit"]), sure=st.integers(0, 9))
    def ends(self, how: str, sure: int) -> None:
        if sure == 0:  # seldom: little is to be seen after it
            self.quitting = self.quitting or how == "quit"
            self.does(getattr(self.plan, how)(self.now))
            assert self.plan.stopping

    # --- time ---

    @rule(seconds=st.sampled_from([0.5, 2.0, 10.0, 30.0, 61.0, 130.0]))
    def waits(self, seconds: float) -> None:
        """With a look whenever one is due."""
        end = self.now + seconds
        while self.plan.due <= end:
            self.now = max(self.now, self.plan.due)
            self.looks()
        self.now = end

    @precondition(lambda self: self.plan.due < float("inf"))
    @rule(longer=st.sampled_from([0.1, 20.0, 10_000.0]), pick=PICK)
    def sleeps(self, longer: float, pick: int) -> None:
        """All of it: whoever is seen first then, nobody is late."""
        self.now = self.plan.due + OVERSLEPT + longer
        late = {each.child for each in self.alive if each.asked_at is not None or each.killed}
        actions: list[Action] = []
        if pick < len(self.alive):
            actions += self.does(self.plan.heard(self.alive[pick].child, {}, self.now))
        actions += self.looks()
        assert not [each for each in actions if isinstance(each, Kill | Ask) and each.child not in late]
        assert not [each for each in actions if isinstance(each, Kill)]

    # --- what must be so ---

    @invariant()
    def looks_make_progress(self) -> None:
        if not hasattr(self, "plan"):
            return
        for _ in range(len(self.alive) + len(self.plan.slots) + 2):
            if self.plan.due > self.now:
                return
            self.looks()
        raise AssertionError("it wants to look for ever")

    @invariant()
    def both_know_the_same(self) -> None:
        if not hasattr(self, "plan"):
            return
        assert list(self.plan.children.values()) == [each.child for each in self.alive]
        assert self.plan.elected is (self.elected and self.elected.child)
        for slot in self.plan.slots:
            standing = self.standing(slot.number)
            assert len(standing) <= 2
            assert sum(each.child.phase == "ready" for each in standing) <= 1
            if slot.again is not None:
                assert not standing

    @invariant()
    def the_last_one_puts_out_the_light(self) -> None:
        if hasattr(self, "plan") and self.plan.stopping:
            assert self.ends == (not self.alive)

    def teardown(self) -> None:
        """In a world that works, all comes right; and then all ends."""
        if not hasattr(self, "plan"):
            return
        if self.patient and not self.plan.stopping:
            self.rolls()
        for _ in range(10):
            self.comes_right()
        if not self.plan.stopping:
            self.is_right()
            self.does(self.plan.stop(self.now))
        for process in list(self.alive):
            self.goes(process)
        assert self.ends == 1
        assert self.plan.due == float("inf")

    # --- inside ---

    def comes_right(self) -> None:
        for process in [each for each in self.alive if each.told or each.killed]:
            self.goes(process)
        self.all_are_ready()
        for _ in range(4):
            self.all_beat()
            self.waits(10.0)

    def is_right(self) -> None:
        assert not self.rolling
        assert self.ups == 1
        assert sorted(each.child.slot for each in self.alive) == list(range(self.plan.count))
        assert all(each.ready for each in self.alive)
        assert (self.elected is not None) == (self.elects and not self.done)

    def standing(self, slot: int) -> list[Process]:
        return [each for each in self.alive if each.child.slot == slot and not each.told and not each.killed]

    def goes(self, process: Process) -> None:
        self.alive.remove(process)
        if process is self.elected:
            self.elected = None
        self.does(self.plan.exited(process.child, "is gone", self.now))

    def looks(self) -> list[Action]:
        due = self.plan.due
        actions = self.plan.look(self.now)
        assert actions or self.plan.due > due or due > self.now
        return self.does(actions)

    def process(self, child: Child) -> Process:
        return next(each for each in self.alive if each.child is child)

    def does(self, actions: list[Action]) -> list[Action]:
        assert not actions or self.ends == 0
        for action in actions:
            self.obey(action)
        return actions

    def obey(self, action: Any) -> None:
        match action:
            case Start(child):
                self.starts(child)
            case Retire(child, last):
                self.is_told(self.process(child), last)
            case Ask(child):
                process = self.process(child)
                assert not process.killed
                process.asked_at = self.now
            case Kill(child):
                self.is_killed(self.process(child))
            case Elect(child):
                assert self.elected is None
                self.elected = self.process(child)
                assert self.elected.ready
                assert not self.elected.told
                assert not self.elected.killed
                assert self.elects
                assert not self.done
            case Up():
                self.ups += 1
                assert self.ups == 1
                assert all(self.standing(slot.number) for slot in self.plan.slots)
            case Rolled():
                assert self.rolling
                self.rolling = False
            case End():
                assert not self.alive
                self.ends += 1
                assert self.ends == 1

    def starts(self, child: Child) -> None:
        assert not self.plan.stopping
        others = self.standing(child.slot)
        assert [each.child for each in others] == ([child.replaces] if child.replaces and others else [])
        assert all(each.ready for each in others)
        self.alive.append(Process(child))

    def is_told(self, process: Process, last: bool) -> None:
        assert not process.told
        assert not process.killed
        process.told = True
        if not self.plan.stopping:  # either a successor serves, or the place goes
            others = self.standing(process.child.slot)
            assert last == (process.child.slot >= self.plan.count)
            assert last or [each.ready for each in others] == [True]

    def is_killed(self, process: Process) -> None:
        assert not process.killed
        process.killed = True
        late = process.asked_at is not None and self.now >= process.asked_at + STACKS
        assert late or self.plan.stopping or not process.ready


TestWorld = World.TestCase
TestWorld.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
