"""Who accepts for a slot whose own worker is missing, or not heard."""

from portway.workers.actions import Child, Foster, Phase, Terms, Unfoster
from portway.workers.fosters import DEAF, Fosters

TERMS = Terms(startup=120, blocked=60, leaving=40, stopping=45)


def worker(slot: int, heard: float = 0.0, phase: Phase = "ready", killed: bool = False) -> Child:
    return Child(slot + 1, slot, 0.0, TERMS, phase=phase, heard=heard, killed=killed)


def test_nobody_fosters_where_all_are_heard() -> None:
    workers = [worker(0), worker(1)]
    fosters = Fosters()
    assert fosters.settle(range(2), workers, 1.0) == []
    assert fosters.due(workers, 1.0) == [DEAF, DEAF]


def test_a_slot_whose_worker_is_dead_leaving_starting_or_deaf_is_fostered_by_one_that_is_heard() -> None:
    well = worker(0, heard=10.0)
    for others in ([], [worker(1, 10.0, "leaving")], [worker(1, 10.0, "starting")], [worker(1, 10.0, killed=True)],
                   [worker(1, 10.0 - DEAF)]):  # fmt: skip
        assert Fosters().settle(range(2), [well, *others], 10.0) == [Foster(well, 1)]


def test_it_ends_when_the_own_worker_is_there_or_heard_again() -> None:
    well, deaf = worker(0, heard=10.0), worker(1, heard=0.0)
    fosters = Fosters()
    assert fosters.settle(range(2), [well, deaf], 10.0) == [Foster(well, 1)]
    assert fosters.settle(range(2), [well, deaf], 10.5) == []
    deaf.heard = 11.0
    assert fosters.settle(range(2), [well, deaf], 11.0) == [Unfoster(well, 1)]


def test_another_takes_over_from_one_that_dies_or_is_deaf_itself() -> None:
    first, second = worker(0, heard=10.0), worker(2, heard=10.0)
    fosters = Fosters()
    assert fosters.settle(range(3), [first, second], 10.0) == [Foster(first, 1)]
    assert fosters.settle(range(3), [second], 10.0) == [Foster(second, 0), Foster(second, 1)]
    fosters = Fosters()
    fosters.settle(range(3), [first, second], 10.0)
    second.heard = 10.0 + DEAF
    assert fosters.settle(range(3), [first, second], 10.0 + DEAF) == [
        Unfoster(first, 1), Foster(second, 0), Foster(second, 1),
    ]  # fmt: skip


def test_many_slots_are_spread_over_those_who_hear() -> None:
    workers = [worker(0, 1.0), worker(1, 1.0)]
    assert Fosters().settle(range(6), workers, 1.0) == [
        Foster(workers[0], 2), Foster(workers[1], 3), Foster(workers[0], 4), Foster(workers[1], 5),
    ]  # fmt: skip


def test_a_slot_that_is_removed_is_emptied() -> None:
    well = worker(0, 1.0)
    fosters = Fosters()
    assert fosters.settle(range(2), [well], 1.0) == [Foster(well, 1)]
    assert fosters.settle(range(1), [well], 1.0) == [Unfoster(well, 1, last=True)]


def test_where_nobody_hears_nobody_fosters_and_nothing_is_due_for_ever() -> None:
    workers = [worker(0), worker(1)]
    fosters = Fosters()
    assert fosters.settle(range(2), workers, DEAF) == []
    assert fosters.due(workers, DEAF) == []
