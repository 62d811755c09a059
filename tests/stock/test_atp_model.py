"""Available to promise against a tiny model that tries every way to serve every unit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date, timedelta
from functools import cache

import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from stock import atp
from stock.atp import Amount, Demand, Rules, Supply

TODAY = date(2026, 1, 1)
HORIZON_DAYS = 7
DAYS = [TODAY + timedelta(days=days) for days in range(HORIZON_DAYS + 1)]
NODES = ["A", "B"]

checked = settings(derandomize=True, deadline=None, max_examples=150, database=None)
Asked = tuple[date, int, str, int]
"""The day, the minimum and the node of one unit wanted, and what it is worth to serve it."""


def days(first: int, last: int) -> st.SearchStrategy[date]:
    return st.integers(first, last).map(lambda days: TODAY + timedelta(days=days))


minimums = st.sampled_from([0, 0, 2, 4])
anytime = days(-1, 12) | st.none()


def some_supplies(*, nodes=NODES, expiries=anytime, least=0) -> st.SearchStrategy[list[Supply]]:
    supply = st.builds(
        Supply,
        node=st.sampled_from(nodes),
        quantity=st.integers(1, 3),
        available_from=st.just(TODAY) | days(-1, 9),
        expires_on=expiries,
    )
    return st.lists(supply, min_size=least, max_size=4)


def some_demands(*, nodes=("", *NODES), wanted=minimums, least=0, most=3) -> st.SearchStrategy[list[Demand]]:
    demand = st.builds(
        Demand,
        quantity=st.integers(1, 2),
        need_on=days(-1, 9),
        node=st.sampled_from(nodes),
        minimum_days=wanted,
        channel=st.sampled_from(["mine", "shop"]),
    )
    return st.lists(demand, min_size=least, max_size=most)


def worth(supplies: list[Supply], asked: Iterable[Asked]) -> int:
    """The most that can be served of the units asked for, found by trying everything."""
    units = sorted(asked)

    def suits(supply: Supply, unit: Asked) -> bool:
        day, minimum_days, node, _ = unit
        is_fresh = supply.expires_on is None or (supply.expires_on - day).days >= minimum_days
        return node in ("", supply.node) and supply.available_from <= day and is_fresh

    @cache
    def best(place: int, left: tuple[int, ...]) -> int:
        if place == len(units):
            return 0
        found = best(place + 1, left)
        for at, supply in enumerate(supplies):
            if left[at] and suits(supply, units[place]):
                rest = (*left[:at], left[at] - 1, *left[at + 1 :])
                found = max(found, units[place][3] + best(place + 1, rest))
        return found

    return best(0, tuple(supply.quantity for supply in supplies))


def units_of(demands: Iterable[Demand], value: int = 1) -> list[Asked]:
    return [
        (max(TODAY, demand.need_on), demand.minimum_days, demand.node, value)
        for demand in demands
        for _ in range(demand.quantity)
    ]


def is_servable(supplies: list[Supply], demands: list[Demand]) -> bool:
    return worth(supplies, units_of(demands)) == sum(demand.quantity for demand in demands)


def most_to_add(supplies: list[Supply], demands: list[Demand], extra: Demand) -> int:
    """The most units of the extra demand that leave all promises servable."""
    quantity = 0
    while is_servable(supplies, [*demands, replace(extra, quantity=quantity + 1)]):
        quantity += 1
    return quantity


def matched_to_add(supplies: list[Supply], demands: list[Demand], extra: Demand) -> int:
    """What can be served in all with any number of the extra demand, less what is promised."""
    without_end = replace(extra, quantity=sum(supply.quantity for supply in supplies))
    served = worth(supplies, units_of([*demands, without_end]))
    return max(0, served - sum(demand.quantity for demand in demands))


def answer_of(
    supplies: list[Supply], demands: list[Demand], rules: Rules | None = None, needed_by: date | None = None
) -> atp.Answer:
    answer = atp.available_to_promise(
        supplies=supplies,
        demands=demands,
        rules=rules,
        today=TODAY,
        horizon_days=HORIZON_DAYS,
        needed_by=needed_by,
    )
    assert sum(term.quantity for term in answer.terms) == answer.quantity
    assert min(quantity for _, quantity in answer.by_date) >= 0
    assert answer.backorder >= 0
    return answer


def totals(answer: atp.Answer) -> Counter[str]:
    """What terms of each name take or give, those of promises with and without supply as one."""
    found: Counter[str] = Counter()
    for term in answer.terms:
        found["reserved" if term.name == "short" else term.name] += term.quantity
    return found


def told_by_day(supplies: list[Supply], demands: list[Demand], minimum_days: int) -> list[int]:
    answer = answer_of(supplies, demands, Rules(minimum_days=minimum_days))
    return [answer.on(day) for day in DAYS]


def agrees_with_the_model(by_day: Callable[[list[Supply], list[Demand], int], list[int]], **changed) -> None:
    @settings(checked, **changed)
    @given(some_supplies(least=2), some_demands(least=2), minimums)
    def agrees(supplies, demands, minimum_days):
        extras = [Demand(quantity=1, need_on=day, minimum_days=minimum_days) for day in DAYS]
        right = [matched_to_add(supplies, demands, extra) for extra in extras]
        assert by_day(supplies, demands, minimum_days) == right
        if is_servable(supplies, demands):
            assert right == [most_to_add(supplies, demands, extra) for extra in extras]

    agrees()


def test_each_day_tells_the_most_that_leaves_every_promise_servable():
    agrees_with_the_model(told_by_day, max_examples=200)


# Negative controls: the model must find out what is wrong.


def without_matching(supplies: list[Supply], demands: list[Demand], minimum_days: int) -> list[int]:
    """Expiry as negative supply, and the look-ahead over it."""
    arrivals = [(supply.available_from, supply.quantity) for supply in supplies]
    too_old = [
        (max(supply.available_from, supply.expires_on - timedelta(days=minimum_days - 1)), -supply.quantity)
        for supply in supplies
        if supply.expires_on
    ]
    changes = [*arrivals, *too_old, *((demand.need_on, -demand.quantity) for demand in demands)]
    ends = [TODAY + timedelta(days=days) for days in range(20)]
    net = {end: sum(quantity for day, quantity in changes if day <= end) for end in ends}
    return [max(0, min(net[end] for end in ends if end >= day)) for day in DAYS]


def without_look_ahead(supplies: list[Supply], demands: list[Demand], minimum_days: int) -> list[int]:
    alone = told_by_day(supplies, [], minimum_days)
    return [
        max(0, quantity - sum(demand.quantity for demand in demands if demand.need_on <= day))
        for day, quantity in zip(DAYS, alone, strict=True)
    ]


@pytest.mark.parametrize("wrong", [without_matching, without_look_ahead])
def test_the_model_finds_a_naive_formula_out(wrong):
    with pytest.raises(AssertionError):
        agrees_with_the_model(wrong, phases=[Phase.generate])


def test_the_model_finds_promises_out_that_never_move(monkeypatch):
    monkeypatch.setattr(atp._Plan, "_augment", lambda plan, demand, most: 0)
    with pytest.raises(AssertionError):
        agrees_with_the_model(told_by_day, phases=[Phase.generate])


# The ways to reckon, and the rules.


@checked
@given(
    some_supplies(expiries=st.sampled_from([None, TODAY - timedelta(days=1), TODAY + timedelta(days=60)])),
    some_demands(nodes=NODES),
    minimums,
    st.integers(0, 2),
    st.sampled_from(DAYS),
)
def test_the_cumulative_figure_and_matching_agree(supplies, demands, minimum_days, safety, day):
    rules = Rules(minimum_days=minimum_days, node_safety={"A": Amount(units=safety), "B": Amount(percent=safety * 20)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atp, "_age_matters", lambda *_: False)
        cumulative = answer_of(supplies, demands, rules, day)
        patch.setattr(atp, "_Cumulative", lambda node, *rest: atp._Matched([node], *rest))
        matched = answer_of(supplies, demands, rules, day)
    assert (matched.by_date, matched.by_node, matched.short) == (
        cumulative.by_date,
        cumulative.by_node,
        cumulative.short,
    )
    assert totals(matched) == totals(cumulative)


@checked
@given(
    some_supplies(),
    some_demands(),
    minimums,
    st.dictionaries(st.sampled_from(NODES), st.integers(1, 3)),
    st.sampled_from(DAYS),
)
def test_safety_stock_of_nodes_yields_to_promises_and_goes_before_new_ones(
    supplies, demands, minimum_days, safety, day
):
    rules = Rules(minimum_days=minimum_days, node_safety={node: Amount(units=units) for node, units in safety.items()})
    answer = answer_of(supplies, demands, rules, day)
    kept = [(day, minimum_days, node, 100) for node, units in safety.items() for _ in range(units)]
    new = [(day, minimum_days, "", 1)] * sum(supply.quantity for supply in supplies)
    promised = sum(demand.quantity for demand in demands)
    served, rest = divmod(worth(supplies, [*units_of(demands, 10_000), *kept, *new]), 10_000)
    assert answer.available == max(0, rest % 100 - (promised - served))
    assert answer.short == promised - served


@checked
@given(some_supplies(), some_demands(), minimums, st.integers(0, 2), st.sampled_from(DAYS))
def test_each_node_tells_what_it_could_promise_alone(supplies, demands, minimum_days, safety, day):
    assume(is_servable(supplies, demands))
    answer = answer_of(
        supplies,
        demands,
        Rules(minimum_days=minimum_days, node_safety={node: Amount(units=safety) for node in NODES}),
        day,
    )
    assert answer.by_node == {
        node: min(
            answer.available,
            max(0, matched_to_add(supplies, demands, Demand(quantity=1, need_on=day, node=node,
                                                            minimum_days=minimum_days)) - safety),
        )
        for node in sorted({supply.node for supply in supplies})
    }  # fmt: skip


some_rules = st.builds(
    Rules,
    channel=st.just("mine"),
    minimum_days=minimums,
    node_safety=st.dictionaries(st.sampled_from(NODES), st.builds(Amount, units=st.integers(0, 2))),
    pool_safety=st.none() | st.builds(Amount, units=st.integers(0, 2)),
    guarantees=st.dictionaries(st.sampled_from(["mine", "shop", "market"]), st.integers(0, 3)),
    cap=st.none() | st.integers(0, 6),
    buffer=st.none() | st.builds(Amount, units=st.integers(0, 2)),
    oversell=st.sampled_from([0, 0, 1, 3]),
)


@settings(checked, max_examples=300)
@given(some_supplies(), some_demands(), some_rules, st.sampled_from(DAYS))
def test_who_takes_all_that_is_told_is_told_no_more_and_every_promise_stays_servable(supplies, demands, rules, day):
    answer = answer_of(supplies, demands, rules, day)
    taken = Demand(quantity=answer.available, need_on=day, minimum_days=rules.minimum_days, channel="mine")
    held = sum(demand.quantity for demand in demands if demand.channel == "mine")
    if answer.quantity and rules.cap is not None:
        assert held + answer.quantity <= rules.cap
    if answer.available and is_servable(supplies, demands):
        shop = sum(demand.quantity for demand in demands if demand.channel == "shop")
        unused = max(0, rules.guarantees.get("shop", 0) - shop) + rules.guarantees.get("market", 0)
        others = Demand(quantity=unused, need_on=day, minimum_days=rules.minimum_days, channel="shop")
        assert is_servable(supplies, [*demands, taken, others])
    again = answer_of(supplies, [*demands, taken], rules, day)
    assert (again.available, again.short) == (0, answer.short)
    everything = replace(taken, quantity=answer.quantity)
    assert answer_of(supplies, [*demands, everything], rules, day).quantity == 0


@settings(checked, max_examples=300)
@given(some_supplies(), some_demands(), minimums, some_supplies(), some_demands(most=1))
def test_more_supply_never_tells_less_and_more_promises_or_a_longer_minimum_never_more(
    supplies, demands, minimum_days, more, promised
):
    told = told_by_day(supplies, demands, minimum_days)
    richer = told_by_day([*supplies, *more], demands, minimum_days)
    poorer = told_by_day(supplies, [*demands, *promised], minimum_days)
    stricter = told_by_day(supplies, demands, minimum_days + 1)
    assert all(now <= then for now, then in zip(told, richer, strict=True))
    assert all(then <= now for now, then in zip(told, poorer, strict=True))
    assert all(then <= now for now, then in zip(told, stricter, strict=True))


@checked
@given(some_supplies(expiries=st.none()), some_demands())
def test_what_never_grows_too_old_is_told_ever_more(supplies, demands):
    told = told_by_day(supplies, demands, 0)
    assert told == sorted(told)


@checked
@given(some_supplies(), some_demands(), some_rules, st.permutations(range(4)), st.sampled_from(DAYS))
def test_the_order_of_supplies_and_promises_does_not_matter(supplies, demands, rules, order, day):
    def shuffled(rows):
        return [rows[place] for place in order if place < len(rows)]

    answer = answer_of(supplies, demands, rules, day)
    other = answer_of(shuffled(supplies), shuffled(demands), rules, day)
    assert (other.by_date, other.by_node, other.backorder, other.short) == (
        answer.by_date,
        answer.by_node,
        answer.backorder,
        answer.short,
    )


@checked
@given(some_supplies(nodes=["A"]), some_demands(nodes=[""]), minimums, st.data())
def test_a_unit_allocated_or_promised_for_today_counts_the_same_where_it_must_come_from_there(
    supplies, demands, minimum_days, data
):
    """Allocated units are out of reach for all; an equal promise that only this supply can keep says the same."""
    supply = Supply(node="B", quantity=3, available_from=TODAY)
    promised = data.draw(st.integers(0, 3))
    allocated = [*supplies, replace(supply, promised=promised)]
    dated = [*supplies, supply]
    wanted = [*demands, Demand(quantity=promised, need_on=TODAY, node="B")]
    assert told_by_day(allocated, demands, minimum_days) == told_by_day(dated, wanted, minimum_days)


SHELF = st.builds(
    Supply,
    node=st.sampled_from(NODES),
    quantity=st.integers(1, 9),
    available_from=st.just(TODAY),
    expires_on=st.none() | days(-3, 400),
    promised=st.integers(0, 1),
    barred=st.sampled_from(["", "", "", "damaged"]),
)


@given(st.lists(SHELF, max_size=6), st.integers(0, 200))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_the_short_way_says_what_the_long_way_says(supplies, ahead):
    """One pass over plain shelves must not differ from the whole method, in no number and no term."""
    asked = {"supplies": supplies, "today": TODAY, "needed_by": TODAY + timedelta(days=ahead)}
    short, long = atp.available_to_promise(**asked), atp.available_to_promise(**asked, rules=atp.Rules())
    assert (short.available, short.by_date, short.by_node) == (long.available, long.by_date, long.by_node)
    assert Counter(short.terms) == Counter(long.terms)
    assert (short.day, short.until, short.quantity, short.coming) == (long.day, long.until, long.quantity, long.coming)
