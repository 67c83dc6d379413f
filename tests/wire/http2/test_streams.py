"""A stream's queue, and whose turn it is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from portway.wire.http2.streams import Schedule, Stream


def stream(number: int, urgency: int = 3, incremental: bool = False) -> Stream:
    one = Stream(number, 65535, 1000)
    one.urgency = urgency
    one.incremental = incremental
    return one


def test_a_new_stream() -> None:
    one = Stream(1, 10, 20)
    assert (one.number, one.window, one.theirs, one.queued, one.urgency) == (1, 10, 20, 0, 3)
    assert repr(one) == "<Stream 1 OPEN window=10 queued=0>"
    assert not any((one.ending, one.answered, one.mute, one.tunnel, one.full, one.incremental, one.scheduled))


@given(pieces=st.lists(st.binary(max_size=20), max_size=6), sizes=st.lists(st.integers(1, 30), max_size=60))
def test_what_is_put_is_pulled_in_order(pieces: list[bytes], sizes: list[int]) -> None:
    one = stream(1)
    for piece in pieces:
        one.put(piece)
    found = b""
    for size in [*sizes, *[1000] * 6]:
        if not one.queued:
            break
        pulled = one.pull(size)
        assert len(pulled) <= size
        found += pulled
        assert one.queued == sum(map(len, pieces)) - len(found)
    assert found == b"".join(pieces)


def test_a_whole_piece_is_not_copied() -> None:
    one = stream(1)
    piece = b"a" * 1000
    one.put(piece)
    assert one.pull(1000) is piece


def test_what_is_dropped_is_gone() -> None:
    one = stream(1)
    one.put(b"abc")
    one.pull(1)
    one.drop()
    assert one.queued == 0
    one.put(b"xyz")
    assert one.pull(10) == b"xyz"


def turns(schedule: Schedule, count: int) -> list[int]:
    found = []
    for _ in range(count):
        first = schedule.first()
        assert first is not None
        found.append(first.number)
        schedule.turned(first)
    return found


def test_nobody_has_a_turn() -> None:
    schedule = Schedule()
    assert schedule.first() is None
    assert schedule.count == 0


def test_one_comes_after_the_other() -> None:
    schedule = Schedule()
    one, two = stream(1), stream(3)
    for each in (one, two, one):
        schedule.add(each)
    assert schedule.count == 2
    assert turns(schedule, 3) == [1, 1, 1]
    schedule.take_out(one)
    schedule.take_out(one)
    assert schedule.count == 1
    assert turns(schedule, 1) == [3]


def test_the_more_urgent_comes_first() -> None:
    schedule = Schedule()
    streams = [stream(number, urgency) for number, urgency in ((1, 7), (3, 0), (5, 3), (7, 0))]
    for each in streams:
        schedule.add(each)
    order = []
    while (first := schedule.first()) is not None:
        order.append(first.number)
        schedule.take_out(first)
    assert order == [3, 7, 5, 1]


def test_those_of_use_in_parts_take_turns() -> None:
    schedule = Schedule()
    for number in (1, 3, 5):
        schedule.add(stream(number, incremental=True))
    assert turns(schedule, 6) == [1, 3, 5, 1, 3, 5]


def test_one_of_use_in_parts_lets_others_come_first_but_not_less_urgent_ones() -> None:
    schedule = Schedule()
    for each in (stream(1, incremental=True), stream(3), stream(5, 4)):
        schedule.add(each)
    assert turns(schedule, 3) == [1, 3, 3]


def test_a_new_priority_holds_at_once() -> None:
    schedule = Schedule()
    one, two = stream(1), stream(3)
    schedule.add(one)
    schedule.add(two)
    schedule.move(two, 0, True)
    assert (two.urgency, bool(two.incremental), bool(two.scheduled)) == (0, True, True)
    assert turns(schedule, 1) == [3]
    schedule.move(two, 7, False)
    assert turns(schedule, 1) == [1]
    assert schedule.count == 2
    idle = stream(5)
    schedule.move(idle, 0, False)
    assert not idle.scheduled
    assert schedule.count == 2


@given(st.data())
def test_nobody_of_an_urgency_waits_for_ever(data: st.DataObject) -> None:
    """Of n that share, each has its turn within n frames."""
    schedule = Schedule()
    count = data.draw(st.integers(1, 10))
    for number in range(count):
        schedule.add(stream(number, incremental=True))
    for _ in range(5):
        assert sorted(turns(schedule, count)) == list(range(count))
