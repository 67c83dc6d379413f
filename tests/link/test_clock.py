"""The one clock: it asks at the deadline, never before it, and nothing stops it."""

import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from portway.link.clock import TICKS_A_SECOND, Clock, ticks
from portway.wire.http1.encode import Preamble

TICK = 1 / TICKS_A_SECOND


class Sleeper:
    """Stands in the wheel, notes when it is asked, and answers from `again`."""

    def __init__(self, *again: int) -> None:
        self.asked: list[int] = []
        self._again = list(again)

    def visit(self, now: int) -> int:
        self.asked.append(now)
        return self._again.pop(0) if self._again else 0


class Broken:
    def visit(self, now: int) -> int:
        raise RuntimeError("no")


@pytest.fixture
def clock(hand: Any) -> Clock:
    clock = Clock(hand, Preamble(), False)
    clock.start()
    return clock


@pytest.mark.parametrize("seconds", [0.1, 0.25, 0.3, 0.5, 1, 2.6, 75])
def test_a_duration_in_ticks_is_never_shorter_than_in_seconds(seconds: float) -> None:
    # The present tick may be over the very next moment.
    assert (ticks(seconds) - 1) * TICK >= seconds
    assert (ticks(seconds) - 2) * TICK < seconds


def test_no_duration_is_no_ticks() -> None:
    assert ticks(0) == 0


def test_it_asks_at_the_deadline_and_not_before(clock: Clock, hand: Any) -> None:
    sleeper = Sleeper()
    clock.put(sleeper, clock.now + 4)
    hand.pass_by(1 - TICK)
    assert sleeper.asked == []
    hand.pass_by(TICK)
    assert sleeper.asked == [clock.now]
    hand.pass_by(10)
    assert len(sleeper.asked) == 1


def test_who_moved_its_deadline_is_asked_again(clock: Clock, hand: Any) -> None:
    first = clock.now + 2
    sleeper = Sleeper(first + 5)
    clock.put(sleeper, first)
    hand.pass_by(10)
    assert sleeper.asked == [first, first + 5]


def test_who_was_taken_out_is_not_asked(clock: Clock, hand: Any) -> None:
    sleeper, other = Sleeper(), Sleeper()
    at = clock.now + 2
    clock.put(sleeper, at)
    clock.put(other, at)
    clock.take(sleeper, at)
    clock.take(sleeper, at + 9)  # where it never stood
    hand.pass_by(10)
    assert (sleeper.asked, other.asked) == ([], [at])


def test_a_deadline_that_is_over_is_seen_to_at_the_next_tick(clock: Clock, hand: Any) -> None:
    sleeper = Sleeper()
    clock.put(sleeper, clock.now - 3)
    hand.pass_by(TICK)
    assert sleeper.asked == [clock.now]


def test_after_a_blocked_loop_every_missed_deadline_is_seen_to_in_order(clock: Clock, hand: Any) -> None:
    began = clock.now
    sleepers = [Sleeper() for _ in range(8)]
    for number, sleeper in enumerate(sleepers, 1):
        clock.put(sleeper, began + number)
    hand.pass_by(2, steps=False)
    assert [sleeper.asked for sleeper in sleepers] == [[began + number] for number in range(1, 9)]


def test_it_does_not_lag_behind_the_loops_time(clock: Clock, hand: Any) -> None:
    began = clock.now
    for _ in range(80):
        hand.pass_by(0.375, steps=False)  # every other tick comes late
    assert clock.now == began + 30 * TICKS_A_SECOND


def test_who_raises_stops_neither_the_clock_nor_the_others(clock: Clock, hand: Any) -> None:
    at = clock.now + 1
    sleeper = Sleeper(at + 2)
    for timed in (Broken(), sleeper, Broken()):
        clock.put(timed, at)
    hand.pass_by(10)
    assert sleeper.asked == [at, at + 2]
    assert [str(fault["exception"]) for fault in hand.faults] == ["no", "no"]


def test_stopped_it_asks_nobody(clock: Clock, hand: Any) -> None:
    sleeper = Sleeper()
    clock.put(sleeper, clock.now + 1)
    clock.stop()
    clock.stop()
    hand.pass_by(10)
    assert sleeper.asked == []


def date_in(preamble: Preamble) -> datetime.datetime | None:
    lines = preamble.lines(200).decode().splitlines()
    found = [line.removeprefix("date: ") for line in lines if line.startswith("date: ")]
    return parsedate_to_datetime(found[0]) if found else None


def test_the_date_is_that_of_now(hand: Any) -> None:
    preamble = Preamble()
    Clock(hand, preamble, True).start()
    date = date_in(preamble)
    assert date is not None
    assert abs(datetime.datetime.now(datetime.UTC) - date) < datetime.timedelta(minutes=1)


def test_the_date_is_renewed_as_time_passes(hand: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = [0.0]
    monkeypatch.setattr("time.time", lambda: seconds[0])
    preamble = Preamble()
    clock = Clock(hand, preamble, True)
    clock.start()
    before = date_in(preamble)
    for _ in range(8):
        seconds[0] += TICK
        hand.pass_by(TICK)
    after = date_in(preamble)
    assert before is not None
    assert after is not None
    assert after - before == datetime.timedelta(seconds=2)


def test_without_a_date_there_is_none(hand: Any) -> None:
    preamble = Preamble()
    Clock(hand, preamble, False).start()
    assert date_in(preamble) is None
