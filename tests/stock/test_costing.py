"""What units cost is what a model says that moves each unit by hand."""

from __future__ import annotations

import itertools
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from stock.costing import AVERAGE, CONVERSION, CUSTOMER, FIFO, FOUND, ROAD, Books, Step, Told

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SUPPLIER, LOST = -1, -4
NUT, BOX = 1, 2
W1, W2 = 1, 2


def books(method=FIFO, **more) -> Books:
    return Books(ids=itertools.count(1), methods={NUT: method, BOX: method}, unit_costs={NUT: Decimal(7)}, **more)


def step(number, source, target, quantity, *, variant=NUT, kind="", reference="") -> Step:
    at = NOON + timedelta(days=number)
    return Step(
        id=number, variant_id=variant, quantity=quantity, source=source, target=target, kind=kind, reference=reference,
        occurred_at=at, recorded_at=at,
    )  # fmt: skip


def bought(kept: Books, number: int, quantity: int, price: int, place: int = W1) -> None:
    kept.told = {number: Told(price=Decimal(price))}
    kept.follow(step(number, SUPPLIER, place, quantity))


def drawn(kept: Books, movement: int) -> Decimal:
    return sum((draw.value for draw in kept.draws if draw.movement_id == movement), Decimal(0))


# movements: from where, to where, how many, for how much each
MOVES = some.tuples(
    some.sampled_from([SUPPLIER, W1, W2, ROAD]), some.sampled_from([W1, W2, ROAD, CUSTOMER, LOST]), some.integers(1, 6),
    some.integers(0, 9),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(moves=some.lists(MOVES, max_size=30))
def test_first_in_first_out_is_what_each_unit_by_itself_comes_to(moves):
    kept, lying, gone, expected = books(), defaultdict(list), Decimal(0), {}
    for number, (source, target, quantity, cost) in enumerate(moves, 1):
        if source == target or (source != SUPPLIER and len(lying[source]) < quantity):
            continue
        if source == SUPPLIER:
            units = [(cost, NOON + timedelta(days=number))] * quantity
            kept.told = {number: Told(price=Decimal(cost * quantity))}
        else:
            units = [lying[source].pop(0) for _ in range(quantity)]
            expected[number] = sum(each for each, _ in units)
        kept.follow(step(number, source, target, quantity))
        lying[target] += units
    for place in (W1, W2, ROAD):
        pool = kept.pools[NUT, place]
        units = [(layer.left_value / layer.left, layer.acquired_at) for layer in pool.layers for _ in range(layer.left)]
        assert (pool.quantity, pool.value, units) == (len(lying[place]), sum(each for each, _ in units), lying[place])
    gone = {draw.movement_id: drawn(kept, draw.movement_id) for draw in kept.draws}
    assert gone == expected


@settings(max_examples=150, deadline=None)
@given(moves=some.lists(MOVES, max_size=30))
def test_a_moving_average_takes_along_the_average_and_loses_nothing_to_rounding(moves):
    kept, came = books(AVERAGE), Decimal(0)
    for number, (source, target, quantity, cost) in enumerate(moves, 1):
        before = {key: (pool.quantity, pool.value) for key, pool in kept.pools.items()}
        units, value = before.get((NUT, source), (0, Decimal(0)))
        if source == target or (source != SUPPLIER and units < quantity):
            continue
        if source == SUPPLIER:
            kept.told = {number: Told(price=Decimal(cost * quantity))}
            came += cost * quantity if target not in {CUSTOMER, LOST} else 0
        kept.follow(step(number, source, target, quantity))
        if source != SUPPLIER:
            assert abs(drawn(kept, number) - value * quantity / units) <= Decimal("0.0001")
    out = sum((draw.value for draw in kept.draws if step_target(moves, draw) in {CUSTOMER, LOST}), Decimal(0))
    assert sum(pool.value for pool in kept.pools.values()) == came - out
    assert all(pool.value == 0 for pool in kept.pools.values() if not pool.quantity)
    assert all(pool.quantity == sum(layer.left for layer in pool.layers) for pool in kept.pools.values())


def step_target(moves, draw) -> int:
    return moves[draw.movement_id - 1][1]


def test_three_for_ten_leave_one_by_one_and_nothing_is_left():
    kept = books()
    bought(kept, 1, 3, 10)
    for number in (2, 3, 4):
        kept.follow(step(number, W1, CUSTOMER, 1))
    assert [draw.value for draw in kept.draws] == [Decimal("3.3333"), Decimal("3.3334"), Decimal("3.3333")]
    assert kept.pools[NUT, W1].value == 0


def test_what_comes_back_is_worth_what_it_left_for():
    kept = books()
    bought(kept, 1, 2, 10)
    bought(kept, 2, 2, 30)
    kept.follow(step(3, W1, CUSTOMER, 2))
    kept.follow(step(4, CUSTOMER, W2, 1))
    assert (kept.pools[NUT, W2].value, kept.layers[-1].is_estimated) == (5, False)


@pytest.mark.parametrize(
    ("source", "value"), [(SUPPLIER, 14), (FOUND, 10)], ids=["the catalog's cost", "what we have on average"]
)
def test_what_no_document_tells_the_cost_of_is_estimated(source, value):
    kept = books()
    bought(kept, 1, 2, 10)
    kept.told = {}
    kept.follow(step(2, source, W2, 2))
    assert (kept.pools[NUT, W2].value, kept.layers[-1].is_estimated) == (value, True)


def test_an_arrival_that_never_set_out_is_made_up_and_the_books_stay_right():
    kept = books()
    kept.follow(step(1, ROAD, W1, 2))
    assert [(pool.quantity, pool.value) for pool in kept.pools.values()] == [(0, 0), (2, 14)]


def test_what_is_made_of_something_is_worth_that_and_as_old():
    kept = books()
    bought(kept, 1, 5, 60)
    kept.follow(step(9, W1, CONVERSION, 2, kind="conversion", reference="BR-1"))
    kept.follow(step(10, CONVERSION, W1, 24, variant=BOX, kind="conversion", reference="BR-1"))
    assert (kept.pools[NUT, W1].value, kept.pools[BOX, W1].value) == (36, 24)
    assert kept.layers[-1].acquired_at == NOON + timedelta(days=1)


def test_freight_that_comes_later_is_put_on_what_is_left_wherever_it_lies_and_the_rest_is_a_variance():
    kept = books()
    bought(kept, 1, 10, 100)
    kept.follow(step(2, W1, CUSTOMER, 4))
    kept.follow(step(3, W1, W2, 2))
    landed = kept.land(note_id=1, variant_id=NUT, root_id=1, quantity=10, amount=Decimal(20))
    assert [(row.layer and row.layer.place, row.amount) for row in landed] == [(W1, 8), (W2, 4), (None, 8)]
    assert (kept.pools[NUT, W1].value, kept.pools[NUT, W2].value) == (48, 24)


def test_freight_of_what_is_gone_is_all_variance():
    kept = books()
    bought(kept, 1, 10, 100)
    kept.follow(step(2, W1, CUSTOMER, 10))
    [landing] = kept.land(note_id=1, variant_id=NUT, root_id=1, quantity=10, amount=Decimal(20))
    assert (landing.layer, landing.amount, drawn(kept, 2)) == (None, 20, 100)
