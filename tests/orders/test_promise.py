"""When goods leave and arrive: the published vectors, the awkward days, and plans beside a model that tries all."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import combinations
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orders import calendars, network, plans, promise, records
from orders.plans import Line, Plan, Question, Supply
from orders.routes import Building, Days, Pickup, Route, Service, Window

ALL, WORK = frozenset(range(7)), frozenset(range(5))
WINDOWS = (Window(opens=time(9), closes=time(12)), Window(opens=time(13), closes=time(17)))
UTC_ZONE = ZoneInfo("UTC")


def days(weekdays=ALL, closed=(), opened=()) -> Days:
    return Days(weekdays=weekdays, closed=frozenset(closed), opened=frozenset(opened))


def building(**fields) -> Building:
    usual = {"code": "W1", "zone": UTC_ZONE, "days": days(), "windows": WINDOWS, "cutoff": time(16, 30)}
    return Building(**usual | fields)


def pickup(leaves: time, ready_by: time | None = None, weekdays=ALL) -> Pickup:
    return Pickup(leaves=leaves, ready_by=ready_by or leaves, weekdays=weekdays)


def route(here: Building | None = None, *, transit_days: int = 1, pickups=None, km=None, **fields) -> Route:
    service = Service(**{"code": "ground", "moves": days(), "delivers": days()} | fields)
    pickups = pickups or (pickup(time(17), time(16, 45)),)
    return Route(
        building=here or building(), service=service, pickups=pickups, transit_days=transit_days, distance_km=km
    )


def leg(way: Route, start: datetime, *, load=1, supply_on=None, taken=None):
    return calendars.leg(route=way, start=start, supply_on=supply_on, load=load, taken=taken or {})


def codes(made) -> list[str]:
    return [step.code for step in made.steps]


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


THREE_PICKUPS = (pickup(time(12), time(10)), pickup(time(16), time(14)), pickup(time(21), time(14)))


def test_vector_a_an_hour_of_lead_meets_the_first_collection():
    made = leg(route(building(lead_minutes=60), pickups=THREE_PICKUPS), utc(2026, 1, 15, 8))
    assert (made.ready_at, made.leaves_at) == (utc(2026, 1, 15, 9), utc(2026, 1, 15, 12))
    assert made.arrives_at == utc(2026, 1, 16, 12)


def test_vector_b_later_it_meets_the_second():
    made = leg(route(building(lead_minutes=60), pickups=THREE_PICKUPS), utc(2026, 1, 15, 9, 30))
    assert (made.leaves_at, made.arrives_at) == (utc(2026, 1, 15, 16), utc(2026, 1, 16, 16))


def test_vector_c_weekends_and_a_holiday_are_no_transit_days():
    holiday = date(2025, 7, 1)
    way = route(transit_days=3, moves=days(WORK, [holiday]), delivers=days(WORK, [holiday]))
    made = leg(way, utc(2025, 6, 26, 10))
    assert (made.leaves_on, made.delivered_on) == (date(2025, 6, 26), date(2025, 7, 2))
    assert "nonTransitDays" in codes(made)


def test_vector_d_the_building_s_own_clock_decides_what_is_too_late():
    zone = ZoneInfo("America/Los_Angeles")
    here = building(zone=zone, cutoff=time(16), days=days(WORK), windows=(Window(opens=time(8), closes=time(17)),))
    made = leg(route(here, pickups=(pickup(time(10), weekdays=WORK),)), utc(2026, 1, 13, 3))
    assert made.leaves_at == utc(2026, 1, 13, 18)
    assert codes(made)[0] == "afterCutoff"


@pytest.mark.parametrize(("day", "cutoff"), [(7, utc(2026, 3, 7, 19)), (8, utc(2026, 3, 8, 18))])
def test_vector_e_a_cut_off_keeps_its_time_of_day_when_clocks_change(day, cutoff):
    here = building(zone=ZoneInfo("America/New_York"), cutoff=time(14))
    way = route(here)
    start = utc(2026, 3, day, 15)
    made = leg(way, start)
    assert made.leaves_on == date(2026, 3, day)
    assert calendars.last_moment(route=way, start=start, supply_on=None, load=1, taken={}, made=made) == cutoff
    assert leg(way, cutoff).leaves_on == date(2026, 3, day + 1)


@pytest.mark.parametrize(("transit", "is_good"), [(9, True), (10, False)])
def test_vector_f_the_remaining_shelf_life_counts_on_the_day_of_delivery(transit, is_good):
    """Good until 31 March, wanted for 30 days: delivered on 1 March it is eligible, on 2 March it is not."""
    from stock import atp

    batch = atp.Supply(node="W1", quantity=5, available_from=date(2026, 2, 20), expires_on=date(2026, 3, 31))
    answer = atp.available_to_promise(
        supplies=[batch], rules=atp.Rules(minimum_days=30), today=date(2026, 2, 20), horizon_days=60
    )
    supply = Supply(pool={1: answer.by_date}, look=lambda part, more: answer.dated_by_node(more))
    plan = asked(supply, [1], routes=[route(transit_days=transit)], at=utc(2026, 2, 20, 10))
    assert bool(plan.shipments) == is_good


@pytest.mark.parametrize(("at", "left_on"), [((16, 29), 15), ((16, 30), 16)])
def test_a_cut_off_is_too_late_at_the_minute_itself(at, left_on):
    assert leg(route(), utc(2026, 1, 15, *at)).leaves_on == date(2026, 1, left_on)


def test_ready_at_the_minute_of_a_collection_s_cut_off_waits_for_the_next():
    way = route(pickups=THREE_PICKUPS)
    assert leg(way, utc(2026, 1, 15, 9, 59)).leaves_at == utc(2026, 1, 15, 12)
    assert leg(way, utc(2026, 1, 15, 10)).leaves_at == utc(2026, 1, 15, 16)


def test_friday_evening_leaves_on_monday():
    here = building(days=days(WORK))
    made = leg(route(here, moves=days(WORK), delivers=days(WORK)), utc(2026, 1, 16, 18))
    assert (made.leaves_on, made.delivered_on) == (date(2026, 1, 19), date(2026, 1, 20))
    assert codes(made) == ["afterCutoff", "pickup", "transit"]


def test_before_opening_work_begins_when_it_opens():
    assert leg(route(), utc(2026, 1, 15, 3)).ready_at == utc(2026, 1, 15, 9)


def test_over_the_year_s_end_holidays_of_both_years_count():
    closed = network.public_holidays("US", "", 2026)
    assert {date(2025, 12, 25), date(2026, 1, 1), date(2027, 1, 1)} <= closed
    way = route(
        building(days=days(WORK, closed)), transit_days=2, moves=days(WORK, closed), delivers=days(WORK, closed)
    )
    made = leg(way, utc(2026, 12, 31, 17))
    assert (made.leaves_on, made.delivered_on) == (date(2027, 1, 4), date(2027, 1, 6))


def test_a_leap_day_is_a_day():
    made = leg(route(transit_days=2), utc(2028, 2, 28, 10))
    assert made.delivered_on == date(2028, 3, 1)
    assert leg(route(transit_days=1), utc(2028, 2, 28, 10)).delivered_on == date(2028, 2, 29)


def test_an_unknown_country_has_no_holidays_we_know_of():
    assert network.public_holidays("ZZ", "", 2026) == frozenset()


LIMITED = (Window(opens=time(9), closes=time(12), capacity=4), Window(opens=time(13), closes=time(17), capacity=4))


def test_units_get_ready_one_by_one_in_the_windows():
    """Four units in three hours: 45 minutes each; the fifth is the first of the afternoon, an hour each."""
    way = route(building(windows=LIMITED))
    assert leg(way, utc(2026, 1, 15, 9), load=4).ready_at == utc(2026, 1, 15, 12)
    assert leg(way, utc(2026, 1, 15, 9), load=5).ready_at == utc(2026, 1, 15, 14)
    assert leg(way, utc(2026, 1, 15, 10), load=2).ready_at == utc(2026, 1, 15, 11, 30)


def test_a_full_day_pushes_to_the_next():
    way = route(building(windows=LIMITED))
    made = leg(way, utc(2026, 1, 15, 9), taken={date(2026, 1, 15): 8})
    assert (made.leaves_on, made.work) == (date(2026, 1, 16), ((date(2026, 1, 16), 1),))
    assert leg(way, utc(2026, 1, 15, 9), taken={date(2026, 1, 15): 7}).leaves_on == date(2026, 1, 16)
    assert leg(way, utc(2026, 1, 15, 9), taken={date(2026, 1, 15): 6}).leaves_on == date(2026, 1, 15)


def test_a_large_load_takes_several_days():
    made = leg(route(building(windows=LIMITED)), utc(2026, 1, 15, 9), load=11)
    assert made.work == ((date(2026, 1, 15), 8), (date(2026, 1, 16), 3))


def test_backlog_adds_working_days():
    here = building(days=days(WORK), backlog_days=2)
    made = leg(route(here), utc(2026, 1, 16, 10))
    assert made.leaves_on == date(2026, 1, 20)
    assert "backlog" in codes(made)


def test_lead_time_in_working_hours_sleeps_at_night():
    here = building(lead_minutes=120, lead_is_working=True)
    assert leg(route(here), utc(2026, 1, 15, 16)).ready_at == utc(2026, 1, 16, 10)


def test_what_rests_on_arrival_waits_for_a_day_that_delivers():
    made = leg(route(moves=days(), delivers=days(WORK)), utc(2026, 1, 16, 10))
    assert made.delivered_on == date(2026, 1, 19)
    assert codes(made)[-1] == "nonDeliveryDay"


def test_a_building_that_never_works_promises_nothing():
    assert leg(route(building(days=days(frozenset()))), utc(2026, 1, 15, 10)) is None
    assert leg(route(pickups=(pickup(time(12), weekdays=frozenset()),)), utc(2026, 1, 15, 10)) is None


instants = st.integers(0, 14 * 24 * 60).map(lambda minutes: utc(2026, 3, 1) + timedelta(minutes=minutes))


@settings(derandomize=True, deadline=None, max_examples=80, database=None)
@given(
    starts=st.tuples(instants, instants),
    lead=st.sampled_from([0, 45, 600]),
    is_working=st.booleans(),
    windows=st.sampled_from([WINDOWS, LIMITED]),
    load=st.integers(1, 9),
    taken=st.dictionaries(st.integers(0, 13).map(lambda day: date(2026, 3, 1 + day)), st.integers(0, 8)),
)
def test_who_asks_later_never_leaves_earlier(starts, lead, is_working, windows, load, taken):
    here = building(
        zone=ZoneInfo("America/New_York"),
        days=days(WORK),
        windows=windows,
        lead_minutes=lead,
        lead_is_working=is_working,
    )
    way = route(here, pickups=THREE_PICKUPS)
    first, second = (leg(way, start, load=load, taken=taken) for start in sorted(starts))
    assert first.leaves_at <= second.leaves_at


@settings(derandomize=True, deadline=None, max_examples=60, database=None)
@given(
    start=instants,
    lead=st.sampled_from([0, 45]),
    is_working=st.booleans(),
    windows=st.sampled_from([WINDOWS, LIMITED]),
    backlog=st.integers(0, 1),
    supply_on=st.none() | st.integers(0, 9).map(lambda day: date(2026, 3, 5 + day)),
)
def test_ordered_a_second_before_the_last_moment_it_still_leaves_and_at_it_no_more(
    start, lead, is_working, windows, backlog, supply_on
):
    here = building(
        zone=ZoneInfo("America/New_York"), days=days(WORK), windows=windows, lead_minutes=lead,
        lead_is_working=is_working, backlog_days=backlog,
    )  # fmt: skip
    way = route(here, pickups=THREE_PICKUPS)
    made = leg(way, start, supply_on=supply_on)
    last = calendars.last_moment(route=way, start=start, supply_on=supply_on, load=1, taken={}, made=made)
    assert leg(way, last, supply_on=supply_on).leaves_at > made.leaves_at
    assert leg(way, last - calendars.SECOND, supply_on=supply_on).leaves_at == made.leaves_at


# -- Plans


TODAY = date(2026, 1, 15)
NOW = utc(2026, 1, 15, 10)


def stock(pool: dict[int, list] | None = None, **nodes: dict[int, list]) -> Supply:
    """Of each building the steps of each product, as (days from today, units)."""

    def steps(rows):
        return [(TODAY + timedelta(days=day), units) for day, units in rows]

    parts = {part for have in nodes.values() for part in have}
    known = {part: {node: steps(have.get(part, [])) for node, have in nodes.items()} for part in parts}
    total = {part: steps(rows) for part, rows in (pool or {}).items()}
    # Without rules of the pool it has what the buildings have.
    changes = {part: sorted({day for have in known[part].values() for day, _ in have}) for part in parts}
    for part in parts - set(total):
        total[part] = [(day, sum(plans.units_on(have, day) for have in known[part].values())) for day in changes[part]]
    return Supply(pool=total, look=lambda part, more: known.get(part, {}))


def at(code: str, **fields) -> Route:
    return route(building(code=code, **fields.pop("here", {})), **fields)


def asked(supply, quantities, *, routes, at=NOW, lines=None, **fields) -> Plan:
    lines = lines or [
        Line(number=number, parts=((number, 1),), quantity=quantity) for number, quantity in enumerate(quantities, 1)
    ]
    question = Question(lines=tuple(lines), at=at, today=at.date(), routes=tuple(routes), **fields)
    return promise.with_order_by(promise.promise(question, supply), question)


def shown(plan) -> list[tuple[str, int, list[tuple[int, int]]]]:
    return [
        (
            shipment.route.building.code,
            (shipment.leg.delivered_on - TODAY).days,
            [(part.line, part.quantity) for part in shipment.parts],
        )
        for shipment in plan.shipments
    ]


def test_one_building_with_everything_beats_two_that_are_no_sooner():
    supply = stock(A={1: [(0, 5)]}, B={1: [(0, 5)], 2: [(0, 5)]})
    assert shown(asked(supply, [2, 2], routes=[at("A"), at("B")])) == [("B", 1, [(1, 2), (2, 2)])]


def test_two_shipments_beat_one_that_is_later():
    supply = stock(A={1: [(0, 5)]}, B={1: [(3, 5)], 2: [(0, 5)]})
    routes = [at("A"), at("B")]
    assert shown(asked(supply, [2, 2], routes=routes)) == [("A", 1, [(1, 2)]), ("B", 1, [(2, 2)])]
    assert shown(asked(supply, [2, 2], routes=routes, is_split_allowed=False)) == [("B", 4, [(1, 2), (2, 2)])]


def test_a_quantity_is_split_where_nobody_has_it_all():
    supply = stock(A={1: [(0, 5)]}, B={1: [(0, 4)]})
    assert shown(asked(supply, [7], routes=[at("A"), at("B")])) == [("A", 1, [(1, 5)]), ("B", 1, [(1, 2)])]
    refused = asked(supply, [7], routes=[at("A"), at("B")], is_split_allowed=False)
    assert (refused.shipments, refused.missing) == ((), (1,))


def test_more_shipments_than_allowed_are_refused_as_a_whole_and_dated_line_by_line():
    supply = stock(A={1: [(0, 1)]}, B={2: [(0, 1)]}, C={3: [(0, 1)]})
    routes = [at("A"), at("B"), at("C")]
    assert asked(supply, [1, 1, 1], routes=routes, shipments_max=3).is_whole
    plan = asked(supply, [1, 1, 1], routes=routes, shipments_max=2)
    assert (plan.refused, plan.missing, len(plan.shipments)) == ("tooManyShipments", (), 3)


def test_waits_for_what_is_coming_where_that_is_needed():
    supply = stock(A={1: [(0, 8), (5, 18)]})
    plan = asked(supply, [9], routes=[at("A")])
    assert shown(plan) == [("A", 6, [(1, 9)])]
    assert "waitsForStock" in codes(plan.shipments[0].leg)
    assert shown(asked(supply, [8], routes=[at("A")])) == [("A", 1, [(1, 8)])]


def test_what_all_together_may_give_bounds_what_each_could():
    supply = stock({1: [(0, 5), (4, 20)]}, A={1: [(0, 5)]}, B={1: [(0, 5)]})
    plan = asked(supply, [6], routes=[at("A"), at("B")])
    assert plan.missing == (1,)


def test_two_lines_of_one_product_do_not_get_the_same_units():
    lines = [Line(number=1, parts=((7, 1),), quantity=3), Line(number=2, parts=((7, 2),), quantity=2)]
    enough, short = stock(A={7: [(0, 7)]}), stock(A={7: [(0, 6)]})
    assert asked(enough, [], lines=lines, routes=[at("A")]).is_whole
    plan = asked(short, [], lines=lines, routes=[at("A")])
    assert (plan.is_whole, plan.refused) == (False, "unavailable")


def test_a_kit_comes_whole_from_one_building_or_in_whole_kits():
    lines = [Line(number=1, parts=((1, 1), (2, 4)), quantity=2)]
    supply = stock(A={1: [(0, 9)], 2: [(0, 7)]}, B={1: [(0, 9)], 2: [(0, 4)]})
    plan = asked(supply, [], lines=lines, routes=[at("A"), at("B")])
    assert shown(plan) == [("A", 1, [(1, 1)]), ("B", 1, [(1, 1)])]


def test_of_equal_dates_the_lower_rank_then_the_shorter_way_is_taken():
    supply = stock(A={1: [(0, 5)]}, B={1: [(0, 5)]})
    assert shown(asked(supply, [1], routes=[at("A", km=900), at("B", km=20)]))[0][0] == "B"
    assert shown(asked(supply, [1], routes=[at("A", km=900), at("B", km=20, rank=3)]))[0][0] == "A"


def test_a_load_above_the_day_s_capacity_is_dated_with_all_of_it():
    supply = stock(A={1: [(0, 50)]})
    plan = asked(supply, [11], routes=[at("A", here={"windows": LIMITED})])
    assert shown(plan) == [("A", 2, [(1, 11)])]
    lines = asked(supply, [11], routes=[at("A", here={"windows": LIMITED, "counts": "lines"})])
    assert shown(lines) == [("A", 1, [(1, 11)])]


def test_an_answer_is_good_until_the_cut_off_or_half_an_hour():
    supply = stock(A={1: [(0, 5)]})
    early = asked(supply, [1], routes=[at("A")])
    assert plans.valid_until(early.shipments, NOW) == NOW + timedelta(minutes=30)
    late = asked(supply, [1], routes=[at("A")], at=utc(2026, 1, 15, 16, 20))
    assert plans.valid_until(late.shipments, utc(2026, 1, 15, 16, 20)) == utc(2026, 1, 15, 16, 30)


nodes = ["A", "B", "C"]
some_steps = st.lists(
    st.tuples(st.sampled_from([0, 2, 4]), st.integers(1, 4)), max_size=2, unique_by=lambda step: step[0]
).map(lambda rows: [(day, sum(units for earlier, units in rows if earlier <= day)) for day, _ in sorted(rows)])


@settings(derandomize=True, deadline=None, max_examples=120, database=None)
@given(
    have=st.fixed_dictionaries({node: st.fixed_dictionaries({1: some_steps, 2: some_steps}) for node in nodes}),
    transit=st.fixed_dictionaries({node: st.integers(0, 3) for node in nodes}),
    quantities=st.lists(st.integers(1, 5), min_size=1, max_size=2),
    most=st.integers(1, 3),
)
def test_no_plan_is_sooner_or_smaller_than_ours(have, transit, quantities, most):
    routes = [at(node, transit_days=transit[node]) for node in nodes]
    plan = asked(stock(**have), quantities, routes=routes, shipments_max=most)
    expected = smallest(have, transit, quantities, most)
    if expected is None:
        assert not plan.is_whole
    else:
        arrivals = [(shipment.leg.delivered_on - TODAY).days for shipment in plan.shipments]
        assert (max(arrivals), len(arrivals)) == expected
        for number, quantity in enumerate(quantities, 1):
            assert (
                sum(part.quantity for shipment in plan.shipments for part in shipment.parts if part.line == number)
                == quantity
            )


def smallest(have, transit, quantities, most) -> tuple[int, int] | None:
    """The earliest arrival and the fewest shipments for it, by trying every set of buildings and every day."""
    for arrival in range(10):
        for count in range(1, most + 1):
            for chosen in combinations(nodes, count):
                units = [
                    sum(
                        max((u for day, u in have[node][part] if day + transit[node] <= arrival), default=0)
                        for node in chosen
                    )
                    for part in range(1, len(quantities) + 1)
                ]
                if all(u >= q for u, q in zip(units, quantities, strict=True)):
                    return arrival, count
    return None


def test_the_same_inputs_come_back_from_their_record_with_the_same_answer():
    supply = stock(A={1: [(0, 5)], 2: [(0, 1)]}, B={2: [(0, 3), (4, 9)]})
    moves = days(WORK, [date(2026, 1, 16)])  # one carrier's service has one calendar, wherever it starts
    routes = [at("A", here={"windows": LIMITED}, moves=moves), at("B", moves=moves)]
    lines = tuple(Line(number=n, parts=((n, 1),), quantity=q) for n, q in [(1, 5), (2, 4)])
    question = Question(lines=lines, at=NOW, today=TODAY, routes=tuple(routes), taken={"A": {TODAY: 2}})
    plan = promise.with_order_by(promise.promise(question, supply), question)
    kept = records.question_as_json(question, supply, days=network.horizon(TODAY))
    again, supply_again = records.question_from_json(kept)
    replayed = promise.with_order_by(promise.promise(again, supply_again), again)
    assert again == question
    assert records.plan_as_json(replayed, again) == records.plan_as_json(plan, question)
    assert plan.is_whole
