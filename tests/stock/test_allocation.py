"""Which warehouse is tried first, by each strategy; equal scores always go by code."""

from __future__ import annotations

from datetime import date

import pytest

from stock import allocation
from stock.allocation import Candidate, Demand


def shelf(level_id: int, code: str, available: int, expires_on: date | None = None) -> Candidate:
    return Candidate(level_id=level_id, variant_id=1, warehouse_code=code, expires_on=expires_on, available=available)


SHELVES = [shelf(1, "B", 5, date(2090, 1, 1)), shelf(2, "A", 9, date(2090, 6, 1)), shelf(3, "C", 9)]


def picked(strategy: allocation.Strategy, quantity: int, shelves=SHELVES) -> list[tuple[int, int]]:
    [plan] = allocation.allocate([Demand(variant_id=1, quantity=quantity)], shelves, strategy=strategy)
    return [(pick.level_id, pick.quantity) for pick in plan.picks]


@pytest.mark.parametrize(
    ("strategy", "alone", "split"),
    [
        (allocation.first_expired, [(1, 3)], [(1, 5), (2, 9), (3, 1)]),
        (allocation.fullest, [(2, 3)], [(2, 9), (3, 6)]),
        (allocation.in_order(["C", "B"]), [(3, 3)], [(3, 9), (1, 5), (2, 1)]),
        (allocation.nearest({"C": 12.5, "A": 80.0}), [(3, 3)], [(3, 9), (2, 6)]),
    ],
)
def test_each_strategy_has_its_order(strategy, alone, split):
    assert picked(strategy, 3) == alone
    assert picked(strategy, 15) == split


def test_one_warehouse_that_has_all_is_better_than_two():
    assert picked(allocation.first_expired, 7) == [(2, 7)]


@pytest.mark.parametrize("strategy", [allocation.first_expired, allocation.fullest, allocation.nearest({})])
def test_equal_warehouses_go_by_code_whatever_the_order_they_come_in(strategy):
    twins = [shelf(1, "b", 4), shelf(2, "B", 4), shelf(3, "a", 4)]
    assert picked(strategy, 4, twins) == picked(strategy, 4, twins[::-1]) == [(2, 4)]


def test_limits_and_what_is_gone_already_bound_the_picks():
    [plan] = allocation.allocate(
        [Demand(variant_id=1, quantity=20)], SHELVES, limits={(1, "A"): 4, (1, ""): 15}, taken={1: 2}
    )
    assert [(pick.level_id, pick.quantity) for pick in plan.picks] == [(1, 3), (2, 4), (3, 8)]
    assert plan.missing == 5
