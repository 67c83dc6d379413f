"""What these tests share: a conversation with a plan."""

import pytest

from portway.workers.plan import (
    Action,
    Ask,
    Child,
    Elect,
    End,
    Kill,
    Plan,
    Retire,
    Rolled,
    Say,
    Start,
    Terms,
    Up,
)

TERMS = Terms(startup=120, blocked=60, leaving=40, stopping=45)

# From one beat to the next, in seconds.
BEAT = 5.0


class Talk:
    """A plan, the time, and the workers by their names. What the plan answers is given in words.

    Workers are called by the place they have, and by how many were there before them: 1a, 1b, 2a.
    """

    def __init__(self, count: int = 1, **options: bool) -> None:
        self.terms = TERMS
        self.plan = Plan(count, TERMS, **options)
        self.now = 1000.0
        self.workers: dict[str, Child] = {}
        self.said: list[str] = []
        self.blocked: set[str] = set()

    def up(self) -> "Talk":
        """All have started."""
        self.begin()
        for name in list(self.workers):
            self.ready(name)
        self.said.clear()
        return self

    # --- what happens ---

    def begin(self) -> list[str]:
        return self._words(self.plan.begin(self.now))

    def ready(self, name: str) -> list[str]:
        return self._words(self.plan.ready(self.workers[name], self.now))

    def beats(self, name: str) -> list[str]:
        return self._words(self.plan.heard(self.workers[name], {"requests": 1}, self.now))

    def worn(self, name: str, why: str = "it is old") -> list[str]:
        return self._words(self.plan.worn(self.workers[name], why, self.now))

    def exits(self, name: str, how: str = "is gone", why: str = "") -> list[str]:
        if why:
            self.plan.failed(self.workers[name], why)
        return self._words(self.plan.exited(self.workers[name], how, self.now))

    def resigns(self, name: str, done: bool = False, pause: float = 0.0) -> list[str]:
        return self._words(self.plan.resigned(self.workers[name], done, pause, self.now))

    def roll(self) -> list[str]:
        return self._words(self.plan.roll(self.now))

    def scale(self, count: int) -> list[str]:
        return self._words(self.plan.scale(count, self.now))

    def stop(self) -> list[str]:
        return self._words(self.plan.stop(self.now))

    def retire(self) -> list[str]:
        return self._words(self.plan.retire(self.now))

    def quit(self) -> list[str]:
        return self._words(self.plan.quit(self.now))

    def passes(self, seconds: float) -> list[str]:
        """Time does, with a look whenever one is due; those who serve beat, unless they are blocked."""
        end = self.now + seconds
        found: list[str] = []
        beat = self.now + BEAT
        while min(beat, self.plan.due) <= end:
            self.now = max(self.now, min(beat, self.plan.due))
            if self.now >= self.plan.due:
                found += self._words(self.plan.look(self.now))
            if self.now >= beat:
                beat += BEAT
                for name in self._beating():
                    found += self.beats(name)
        self.now = end
        return found

    def sleeps(self, seconds: float) -> list[str]:
        """The machine does; afterwards the look is made that was due long ago."""
        self.now += seconds
        return self._words(self.plan.look(self.now))

    def tells(self) -> list[str]:
        """What was said since it was last asked for."""
        said, self.said = self.said, []
        return said

    # --- inside ---

    def _beating(self) -> list[str]:
        live = self.plan.children.values()
        return [name for name, each in self.workers.items() if each in live and name not in self.blocked]

    def _words(self, actions: list[Action]) -> list[str]:
        return [text for each in actions if (text := self._word(each))]

    def _word(self, action: Action) -> str:
        match action:
            case Start(child):
                return f"start {self._christen(child)}"
            case Retire(child, last):
                return f"stop {self._name(child)}" if last else f"retire {self._name(child)}"
            case Ask(child) | Kill(child) | Elect(child):
                return f"{type(action).__name__.lower()} {self._name(child)}"
            case Up():
                return "up"
            case Rolled(error):
                return f"rolled, but {error}" if error else "rolled"
            case End(failed):
                return "end, failed" if failed else "end"
            case Say(level, text):
                self.said.append(f"{level}: {text}")
                return ""

    def _christen(self, child: Child) -> str:
        before = sum(each.slot == child.slot for each in self.workers.values())
        name = f"{child.slot + 1}{'abcdefghijklmnopqrstuvwxyz'[before]}"
        self.workers[name] = child
        return name

    def _name(self, child: Child) -> str:
        return next(name for name, each in self.workers.items() if each is child)


@pytest.fixture
def talk_of() -> type[Talk]:
    """A conversation about so many workers: `talk_of(3)`."""
    return Talk
