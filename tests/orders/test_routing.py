"""From where an order is sent, decided without a database; the split against a model that tries every set."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orders import routing, splits
from orders.models import RoutingPolicy
from orders.models.routing import WEIGHTS
from orders.routing import Policy, Question, Site
from stock.allocation import Candidate, Demand

CODES = "ABCDEFG"
SOON, LATER = date(2030, 1, 10), date(2030, 2, 9)


def shelf(level_id: int, code: str, available: int, variant_id: int = 1, expires_on: date | None = None) -> Candidate:
    return Candidate(
        level_id=level_id, variant_id=variant_id, warehouse_code=code, expires_on=expires_on, available=available
    )


def want(quantity: int, variant_id: int = 1, **more) -> Demand:
    return Demand(variant_id=variant_id, quantity=quantity, **more)


def ask(demands, shelves, sites=(), **more) -> Question:
    policy = Policy(
        **{key: more.pop(key) for key in ("strategy", "weights", "warehouses_max", "prefers") if key in more}
    )
    return Question(
        demands=demands, candidates=shelves, sites={site.code: site for site in sites}, policy=policy, **more
    )


def picked(answer: routing.Answer) -> list[list[tuple[int, int]]]:
    return [[(pick.level_id, pick.quantity) for pick in plan.picks] for plan in answer.plans]


# -- The split against every set there is


@st.composite
def questions(draw) -> Question:
    products = draw(st.integers(1, 3))
    codes = CODES[: draw(st.integers(1, len(CODES)))]
    units = st.sampled_from([0, 0, 1, 2, 3, 5, 8])
    places = list(itertools.product(range(1, products + 1), codes, [None, SOON]))
    shelves = [
        shelf(number, code, had, variant_id, day)
        for number, (variant_id, code, day) in enumerate(places)
        if (had := draw(units))
    ]
    demands = [
        want(draw(st.integers(1, 9)), draw(st.integers(1, products)), kit=draw(st.sampled_from([None, None, 1])))
        for _ in range(draw(st.integers(1, 4)))
    ]
    sites = [
        Site(
            code=code,
            distance_km=draw(st.sampled_from([None, 10, 500, 4_000])),
            leaves_in_minutes=draw(st.sampled_from([None, 60, 2_000])),
            parcel_cost=draw(st.sampled_from([None, Decimal(0), Decimal("4.5"), Decimal(9)])),
        )
        for code in codes
    ]
    limits = draw(
        st.dictionaries(
            st.tuples(st.integers(1, products), st.sampled_from(["", *codes])), st.integers(0, 9), max_size=3
        )
    )
    return ask(
        demands, shelves, sites, limits=limits,
        strategy=draw(st.sampled_from(sorted(routing.STRATEGIES))),
        warehouses_max=draw(st.integers(1, 4)),
        barred=draw(st.sets(st.sampled_from(codes), max_size=1)),
        taking_part=draw(st.sets(st.sampled_from(codes), max_size=2)),
    )  # fmt: skip


def model(question: Question) -> tuple[frozenset[str], int]:
    """The best set besides those that take part already, and how many units it has with them; by trying all."""
    wanted, has = defaultdict(int), defaultdict(int)
    for demand in question.demands:
        wanted[demand.variant_id] += demand.quantity
    for row in question.candidates:
        if row.warehouse_code not in question.barred:
            has[row.variant_id, row.warehouse_code] += row.available

    def units(codes) -> int:
        total = 0
        for variant_id, asked in wanted.items():
            here = sum(
                min(has[variant_id, code], question.limits.get((variant_id, code), 10**9))
                for code in codes | set(question.taking_part)
            )
            total += min(asked, here, question.limits.get((variant_id, ""), 10**9))
        return total

    allowed = replace(
        question, candidates=[row for row in question.candidates if row.warehouse_code not in question.barred]
    )
    worths = {row.code: row.worth for row in routing.rank(allowed)}
    others = sorted(worths.keys() - set(question.taking_part))
    left = max(0, question.policy.warehouses_max - len(question.taking_part))
    sets = [frozenset(codes) for size in range(left + 1) for codes in itertools.combinations(others, size)]
    best = min(sets, key=lambda codes: (-units(codes), len(codes), -sum(worths[code] for code in codes), sorted(codes)))
    return best, units(best)


@given(questions())
@example(ask([want(12)], [shelf(1, "A", 6), shelf(2, "B", 6), shelf(3, "C", 6)], warehouses_max=2))
def test_no_set_within_the_limit_is_better_than_the_one_chosen(question):
    best, units = model(question)
    answer = routing.route(question)
    assert sum(pick.quantity for plan in answer.plans for pick in plan.picks) == units
    assert set(answer.chosen) - set(question.taking_part) == best
    for demand, plan in zip(question.demands, answer.plans, strict=True):
        assert sum(pick.quantity for pick in plan.picks) + plan.missing == demand.quantity
    taken: dict[int, int] = defaultdict(int)
    for pick in (pick for plan in answer.plans for pick in plan.picks):
        taken[pick.level_id] += pick.quantity
    free = {row.level_id: row.available for row in question.candidates if row.warehouse_code not in question.barred}
    assert all(units <= free[level_id] for level_id, units in taken.items())


@given(questions(), st.randoms(use_true_random=False))
def test_in_whatever_order_stock_and_warehouses_are_told_the_answer_is_the_same(question, random):
    shelves, sites = list(question.candidates), list(question.sites.items())
    random.shuffle(shelves)
    random.shuffle(sites)
    assert routing.route(replace(question, candidates=shelves, sites=dict(sites))) == routing.route(question)


def test_of_sixty_warehouses_with_all_products_the_search_stays_short(monkeypatch):
    """Sixty over twelve would be a hundred million million sets; those others can stand in for are not tried."""
    looked: list[int] = []
    monkeypatch.setattr(
        splits._Search, "_look", lambda self, chosen, have, worth, look=splits._Search._look: (
            looked.append(1), look(self, chosen, have, worth)
        ),
    )  # fmt: skip
    shelves = [
        shelf(number, f"W{place:02}", 1 + place % 3, variant_id)
        for number, (place, variant_id) in enumerate(itertools.product(range(60), (1, 2, 3)))
    ]
    answer = routing.route(ask([want(9, 1), want(9, 2), want(9, 3)], shelves, warehouses_max=4))
    assert len(answer.chosen) == 3
    assert not any(plan.missing for plan in answer.plans)
    assert len(looked) < 1_000


# -- Terms and strategies

SHELVES = [shelf(1, "A", 10, expires_on=LATER), shelf(2, "B", 30, expires_on=SOON), shelf(3, "C", 4)]
SITES = [
    Site(code="A", distance_km=500, leaves_in_minutes=0, parcel_cost=Decimal(8)),
    Site(code="B", distance_km=2_000, leaves_in_minutes=1_440, parcel_cost=Decimal(4), unit_cost=Decimal("0.5")),
    Site(code="C", parcel_cost=Decimal(16)),
]


def test_a_warehouse_has_its_points_for_facts():
    ranked = routing.rank(ask([want(8)], SHELVES, SITES, prefers=["C", "B"]))
    points = {row.code: {term.name: (term.points, term.fact) for term in row.terms} for row in ranked}
    assert points["A"] == {
        "inFull": (1000, "8 of 8 units"),
        "distance": (500, "500 km"),
        "cutoff": (1000, "leaves at once"),
        "cost": (1000, "8.00"),
        "shelfLife": (500, "first expires 2030-02-09"),
        "balance": (227, "10 of 44 units free"),
        "preference": (0, "not named"),
    }
    assert points["B"] == {
        "inFull": (1000, "8 of 8 units"),
        "distance": (200, "2000 km"),
        "cutoff": (500, "leaves in 1 d"),
        "cost": (1000, "8.00"),
        "shelfLife": (1000, "first expires 2030-01-10"),
        "balance": (681, "30 of 44 units free"),
        "preference": (500, "number 2"),
    }
    assert points["C"] == {
        "inFull": (500, "4 of 8 units"),
        "distance": (0, "no place on the map"),
        "cutoff": (0, "no service goes there"),
        "cost": (500, "16.00"),
        "shelfLife": (0, "no date"),
        "balance": (90, "4 of 44 units free"),
        "preference": (1000, "number 1"),
    }


@pytest.mark.parametrize(
    ("strategy", "first"),
    [
        ("weighted", "A"),
        ("nearest", "A"),
        ("soonest", "A"),
        ("cheapest", "A"),
        ("firstExpired", "B"),
        ("level", "B"),
        ("preferred", "C"),
    ],
)
def test_each_strategy_goes_by_its_term_and_equals_go_by_weight_and_code(strategy, first):
    question = ask([want(4)], SHELVES, SITES, strategy=strategy, prefers=["C", "B"])
    if strategy == "cheapest":
        assert [row.terms[3].points for row in routing.rank(question)] != [1000] * 3
        question = replace(
            question, sites={code: replace(site, unit_cost=Decimal(1)) for code, site in question.sites.items()}
        )
        first = "B"
    assert routing.route(question).chosen == (first,)


def test_the_weights_decide_and_twins_go_by_code():
    near, soon = Site(code="B", distance_km=10), Site(code="A", leaves_in_minutes=10)
    shelves = [shelf(1, "B", 5), shelf(2, "A", 5)]
    assert routing.route(ask([want(5)], shelves, [near, soon], weights={"distance": 2, "cutoff": 1})).chosen == ("B",)
    assert routing.route(ask([want(5)], shelves, [near, soon], weights={"distance": 1, "cutoff": 2})).chosen == ("A",)
    assert routing.route(ask([want(5)], shelves)).chosen == ("A",)


def test_a_warehouse_no_service_leaves_is_not_the_cheapest():
    shelves = [shelf(1, "A", 5), shelf(2, "B", 5)]
    answer = routing.route(ask([want(5)], shelves, [Site(code="B", parcel_cost=Decimal(9))], strategy="cheapest"))
    assert answer.chosen == ("B",)


def test_one_that_has_all_is_better_than_two_that_are_nearer():
    shelves = [shelf(1, "A", 3), shelf(2, "B", 3), shelf(3, "C", 6)]
    sites = [Site(code="A", distance_km=1), Site(code="B", distance_km=2), Site(code="C", distance_km=9_000)]
    assert routing.route(ask([want(6)], shelves, sites)).chosen == ("C",)


def test_what_is_past_its_date_on_arrival_is_sent_only_where_the_others_have_too_little():
    shelves = [shelf(1, "A", 5, expires_on=SOON), shelf(2, "B", 5, expires_on=LATER)]
    sites = [Site(code="A", arrives_on=LATER, distance_km=1), Site(code="B", arrives_on=LATER, distance_km=3_000)]
    assert picked(routing.route(ask([want(5)], shelves, sites))) == [[(2, 5)]]
    assert picked(routing.route(ask([want(6)], shelves, sites))) == [[(2, 5), (1, 1)]]


def test_a_line_promised_from_one_warehouse_stays_there_until_that_refuses():
    demands, shelves = [want(5, warehouse_code="B"), want(5)], [shelf(1, "A", 20), shelf(2, "B", 7)]
    answer = routing.route(ask(demands, shelves, warehouses_max=1))
    assert (picked(answer), answer.is_cut) == ([[(2, 5)], [(2, 2)]], True)
    assert picked(routing.route(ask(demands, shelves, warehouses_max=1, barred={"B"}))) == [[(1, 5)], [(1, 5)]]


def test_too_few_in_all_is_not_called_a_matter_of_the_limit():
    shelves = [shelf(1, "A", 5), shelf(2, "B", 5)]
    assert [routing.route(ask([want(units)], shelves, warehouses_max=1)).is_cut for units in (5, 10, 11)] == [
        False,
        True,
        False,
    ]


def test_staff_can_choose_what_there_is():
    assert set(RoutingPolicy.Strategy.values) == routing.STRATEGIES.keys()
    assert set(WEIGHTS.values()) == set(routing.TERMS) == routing.WEIGHTS.keys()
