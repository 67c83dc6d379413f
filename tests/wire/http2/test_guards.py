"""Budgets, by themselves; what is spent on what is in the tests of attacks."""

import pytest

from portway.wire.http2.faults import ConnectionFault
from portway.wire.http2.guards import Budget


def test_a_budget_is_spent_to_its_end_and_no_further() -> None:
    budget = Budget(3, "crumbs")
    for count in (1, 0, 2):
        budget.spend(count)
    assert repr(budget) == "<Budget 0 of 3>"
    with pytest.raises(ConnectionFault, match="too many crumbs") as caught:
        budget.spend(1)
    assert caught.value.code == 0xB


def test_more_than_is_left_at_once_is_too_much() -> None:
    budget = Budget(3, "crumbs")
    with pytest.raises(ConnectionFault):
        budget.spend(4)


@pytest.mark.parametrize(("most", "seconds", "left"), [
    (100, 1, 5), (100, 0, 0), (100, 3, 15), (100, 20, 100), (100, 1000, 100), (39, 1, 1), (40, 1, 2), (10, 1, 1),
    (1, 1, 1),
])  # fmt: skip
def test_a_twentieth_comes_back_each_second_and_no_less_than_one(most: int, seconds: int, left: int) -> None:
    budget = Budget(most, "crumbs")
    budget.spend(most)
    budget.refill(seconds)
    assert repr(budget) == f"<Budget {left} of {most}>"


def test_a_full_budget_stays_as_it_is() -> None:
    budget = Budget(5, "crumbs")
    budget.refill(10**9)
    assert repr(budget) == "<Budget 5 of 5>"
