"""What a plan knows of a worker, and the actions that come of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Phase = Literal["starting", "ready", "leaving"]
Level = Literal["info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Terms:
    """All in seconds: for a worker to start, to be blocked, to end once it is told to, and to end with the server."""

    startup: float
    blocked: float
    leaving: float
    stopping: float


@dataclass(slots=True, eq=False)
class Child:
    """One worker, on the terms that it was started on. Times are those of the monotonic clock, `figures` what it last
    told of itself.
    """

    key: int
    slot: int
    since: float
    terms: Terms
    phase: Phase = "starting"
    heard: float = 0.0
    ready_at: float = 0.0
    until: float = 0.0  # when its time is over, once it is leaving or asked for its stacks
    asked: bool = False  # for its stacks
    killed: bool = False
    reason: str = ""  # why it could not start, in its own words; or why it is killed
    replaces: Child | None = None
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Start:
    child: Child


@dataclass(frozen=True, slots=True)
class Retire:
    """Tell it to go, while others have its sockets; if `last`, nobody has them, and they are to be emptied."""

    child: Child
    last: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """For its stacks, which are of use until it is killed."""

    child: Child


@dataclass(frozen=True, slots=True)
class Kill:
    child: Child


@dataclass(frozen=True, slots=True)
class Elect:
    """It is to run what runs once in a server."""

    child: Child


@dataclass(frozen=True, slots=True)
class Foster:
    """It is to accept for this slot, too, whose own worker is missing or hears nothing."""

    child: Child
    slot: int


@dataclass(frozen=True, slots=True)
class Unfoster:
    """And no more; if `last`, since there is no such slot any more."""

    child: Child
    slot: int
    last: bool = False


@dataclass(frozen=True, slots=True)
class Up:
    """All workers serve, for the first time."""


@dataclass(frozen=True, slots=True)
class Rolled:
    """The replacement of all workers is over; with an error, some are the old ones still."""

    error: str = ""


@dataclass(frozen=True, slots=True)
class Say:
    level: Level
    text: str


@dataclass(frozen=True, slots=True)
class End:
    """Nothing is left to do."""

    failed: bool = False


Action = Start | Retire | Ask | Kill | Elect | Foster | Unfoster | Up | Rolled | Say | End
