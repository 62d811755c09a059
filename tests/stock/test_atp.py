"""Available to promise: worked examples, each rule and their order, and the explanation that adds up."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from stock import atp
from stock.atp import Amount, Demand, Rules, Supply

TODAY = date(2026, 1, 1)


def jan(day: int) -> date:
    return date(2026, 1, day)


def on_hand(quantity: int, node: str = "DC1", **fields) -> Supply:
    return Supply(node=node, quantity=quantity, **{"available_from": TODAY, **fields})


def order(quantity: int, arrives: date, node: str = "DC1", **fields) -> Supply:
    return Supply(node=node, quantity=quantity, available_from=arrives, source="purchaseOrder", **fields)


def asked(supplies, demands=(), *, today=TODAY, needed_by=None, horizon_days=90, **rules) -> atp.Answer:
    answer = atp.available_to_promise(
        supplies=supplies,
        demands=demands,
        rules=Rules(**rules),
        today=today,
        horizon_days=horizon_days,
        needed_by=needed_by,
    )
    assert sum(term.quantity for term in answer.terms) == answer.quantity
    return answer


def told(answer: atp.Answer) -> list[tuple[str, int]]:
    return [(term.name, term.quantity) for term in answer.terms]


INBOUND = [on_hand(10), order(10, jan(10)), order(10, jan(20))]


def test_a_later_promise_is_kept_from_inbound_and_not_from_todays_stock():
    answer = asked(INBOUND, [Demand(quantity=6, need_on=jan(15))], node_safety={"DC1": Amount(units=2)})
    assert answer.by_date == [(jan(1), 8), (jan(10), 12), (jan(20), 22)]
    assert [answer.earliest(quantity) for quantity in (8, 9, 12, 13, 22, 23)] == [
        jan(1), jan(10), jan(10), jan(20), jan(20), None
    ]  # fmt: skip
    assert told(answer) == [("onHand", 10), ("reserved", 0), ("nodeSafety", -2)]
    assert [(term.name, term.quantity, term.day) for term in answer.coming] == [
        ("purchaseOrder", 10, jan(10)),
        ("purchaseOrder", 10, jan(20)),
    ]


def test_a_promise_before_inbound_arrives_is_kept_from_todays_stock():
    answer = asked(INBOUND, [Demand(quantity=6, need_on=jan(5))])
    assert answer.by_date == [(jan(1), 4), (jan(10), 14), (jan(20), 24)]
    safe = asked(INBOUND, [Demand(quantity=6, need_on=jan(5))], node_safety={"DC1": Amount(units=2)})
    assert safe.by_date == [(jan(1), 2), (jan(10), 12), (jan(20), 22)]
    assert told(safe) == [("onHand", 10), ("reserved", -6), ("nodeSafety", -2)]


AGEING = [on_hand(10, expires_on=jan(4)), order(10, jan(10))]


def test_stock_too_old_later_takes_nothing_from_what_can_leave_before():
    answer = asked(AGEING, [Demand(quantity=6, need_on=jan(15))])
    assert answer.by_date == [(jan(1), 10), (jan(5), 0), (jan(10), 4)]


def test_expiry_as_negative_supply_would_say_nothing_can_leave():
    """What the formula without expiry would make of it: why supply and promises are matched instead."""
    changes = {jan(1): 10, jan(5): -10, jan(10): 10, jan(15): -6}
    net = {day: sum(change for at, change in changes.items() if at <= day) for day in changes}
    assert min(net.values()) == 0
    assert asked(AGEING, [Demand(quantity=6, need_on=jan(15))]).available == 10


@pytest.mark.parametrize(("day", "available"), [(date(2026, 3, 1), 5), (date(2026, 3, 2), 0)])
def test_a_batch_of_the_month_end_is_eligible_while_just_the_minimum_is_left(day, available):
    batch = on_hand(5, expires_on=date(2026, 3, 31), label="L1")
    answer = asked([batch], needed_by=day, minimum_days=30)
    assert batch.is_eligible(on=day, minimum_days=30) == bool(available)
    assert (answer.day, answer.available) == (day, available)
    assert told(answer) == [("onHand", 5)] if available else [("onHand", 5), ("shelfLife", -5)]
    assert asked([batch], today=day, minimum_days=30).available == available


def test_a_batch_can_be_promised_through_its_expiry_date_where_no_minimum_is_wanted():
    batch = on_hand(5, expires_on=jan(4))
    assert asked([batch]).by_date == [(jan(1), 5), (jan(5), 0)]
    gone = asked([batch], today=jan(5))
    assert (gone.by_date, told(gone)) == ([(jan(5), 0)], [("onHand", 5), ("expired", -5)])


def test_the_last_day_of_a_minimum_beyond_the_calendar_is_in_the_past():
    assert on_hand(5, expires_on=jan(4)).last_day(10**9) == date.min
    assert asked([on_hand(5, expires_on=jan(4))], minimum_days=10**9).available == 0
    assert on_hand(5).last_day(10**9) == date.max


def test_a_promise_moves_to_other_stock_where_minimums_differ():
    """First expired, first out gives the fresh batch to nobody who could take the old one, whoever came first."""
    supplies = [on_hand(5, expires_on=jan(10)), on_hand(5, expires_on=date(2026, 3, 1))]
    lax, strict = Demand(quantity=5, need_on=TODAY), Demand(quantity=5, need_on=TODAY, minimum_days=30)
    for promises in ([lax], [strict]):
        assert asked(supplies, promises).available == 5
    assert asked(supplies, [lax], minimum_days=30).available == 5
    assert asked(supplies, [strict], minimum_days=30).available == 0
    both = asked(supplies, [lax, strict])
    assert (both.available, both.short) == (0, 0)


def test_promises_that_name_a_node_are_kept_there_and_others_move_away():
    supplies = [on_hand(5, "A"), on_hand(5, "B")]
    anywhere, at_a = Demand(quantity=5, need_on=TODAY), Demand(quantity=5, need_on=TODAY, node="A")
    answer = asked(supplies, [anywhere])
    assert (answer.available, answer.by_node) == (5, {"A": 5, "B": 5})
    answer = asked(supplies, [at_a])
    assert (answer.available, answer.by_node) == (5, {"A": 0, "B": 5})
    answer = asked(supplies, [anywhere, at_a])
    assert (answer.available, answer.by_node, answer.short) == (0, {"A": 0, "B": 0}, 0)


def test_an_overdue_promise_is_one_for_today():
    answer = asked([on_hand(5), order(5, jan(3))], [Demand(quantity=2, need_on=date(2025, 12, 1))])
    assert (answer.by_date, answer.short) == ([(jan(1), 3), (jan(3), 8)], 0)


def test_promises_beyond_the_horizon_bear_on_what_is_left_before():
    late = Demand(quantity=4, need_on=date(2027, 1, 1))
    assert asked([on_hand(5)], [late], horizon_days=10).by_date == [(jan(1), 1)]
    supplied = [on_hand(5), order(3, date(2026, 12, 1))]
    answer = asked(supplied, [late], horizon_days=10)
    assert (answer.by_date, answer.coming) == ([(jan(1), 4)], [])


def test_a_batch_too_old_for_a_promise_beyond_the_horizon_does_not_keep_it():
    late = Demand(quantity=5, need_on=date(2026, 6, 1))
    supplies = [on_hand(5), order(5, jan(5), expires_on=date(2026, 2, 1))]
    assert asked(supplies, [late], horizon_days=7).by_date == [(jan(1), 0), (jan(5), 5)]


def test_a_batch_good_for_the_channel_does_not_keep_a_stricter_promise():
    strict = Demand(quantity=5, need_on=jan(8), minimum_days=15)
    supplies = [on_hand(5), order(5, jan(8), expires_on=jan(20))]
    answer = asked(supplies, [strict], horizon_days=7)
    assert (answer.by_date, answer.short) == ([(jan(1), 0), (jan(8), 5)], 0)


def test_what_lacks_for_promises_is_told_and_kept_back_from_later_supply():
    answer = asked([on_hand(5), order(10, jan(10))], [Demand(quantity=8, need_on=jan(2))])
    assert (answer.by_date, answer.short) == ([(jan(1), 0), (jan(10), 7)], 3)
    assert told(answer) == [("onHand", 5), ("reserved", -5), ("short", 0)]
    assert "3 promised units" in answer.terms[-1].why
    later = asked([on_hand(5), order(10, jan(10))], [Demand(quantity=8, need_on=jan(2))], needed_by=jan(10))
    assert told(later) == [("onHand", 5), ("purchaseOrder", 10), ("reserved", -5), ("short", -3)]


def test_what_lacks_at_one_node_is_kept_back_at_the_others():
    answer = asked([on_hand(2, "A"), on_hand(10, "B")], [Demand(quantity=5, need_on=TODAY, node="A")])
    assert (answer.available, answer.short, answer.by_node) == (7, 3, {"A": 0, "B": 7})
    nowhere = asked([on_hand(10, "B")], [Demand(quantity=3, need_on=TODAY, node="C")])
    assert (nowhere.available, nowhere.short, nowhere.by_node) == (7, 3, {"B": 7})


def test_a_node_keeps_back_what_it_lacked_before_its_supply_came():
    supplies = [order(10, jan(5), "A"), on_hand(10, "B")]
    early = Demand(quantity=3, need_on=TODAY, node="A")
    answer = asked(supplies, [early], needed_by=jan(5))
    assert (answer.available, answer.short, answer.by_node) == (17, 3, {"A": 7, "B": 10})
    elsewhere = Demand(quantity=2, need_on=TODAY)
    answer = asked(supplies, [early, elsewhere], needed_by=jan(5))
    assert (answer.available, answer.short, answer.by_node) == (15, 3, {"A": 7, "B": 8})


def test_without_supply_every_promise_is_short():
    answer = asked([], [Demand(quantity=3, need_on=TODAY), Demand(quantity=0, need_on=TODAY)])
    assert (answer.by_date, answer.short, answer.by_node) == ([(TODAY, 0)], 3, {})
    assert asked([]).by_date == [(TODAY, 0)]


def test_allocated_units_stay_with_their_batch_and_barred_ones_do_not_count():
    supplies = [
        on_hand(10, label="L1", promised=4),
        on_hand(7, label="L2", barred="quarantined"),
        on_hand(3, label="L3", promised=1, expires_on=date(2025, 12, 31)),
        on_hand(0, "DC2"),
    ]
    answer = asked(supplies)
    assert (answer.available, answer.by_node) == (6, {"DC1": 6, "DC2": 0})
    assert [(term.name, term.quantity, term.label) for term in answer.terms] == [
        ("onHand", 10, "L1"),
        ("reserved", -4, "L1"),
        ("onHand", 7, "L2"),
        ("quarantined", -7, "L2"),
        ("onHand", 3, "L3"),
        ("reserved", -1, "L3"),
        ("expired", -2, "L3"),
    ]


def test_the_day_needed_is_the_one_explained_even_beyond_the_horizon():
    answer = asked([on_hand(5), order(5, jan(20))], needed_by=jan(25), horizon_days=3)
    assert (answer.day, answer.until, answer.available) == (jan(25), jan(25), 10)
    assert told(answer) == [("onHand", 5), ("purchaseOrder", 5)]
    past = asked([on_hand(5)], needed_by=date(2025, 1, 1), horizon_days=3)
    assert (past.day, past.until) == (TODAY, jan(4))
    assert [past.on(day) for day in (date(2025, 12, 31), jan(1), jan(4), jan(5))] == [0, 5, 5, 0]


# The rules, each alone and then their order.


@pytest.mark.parametrize(
    ("amount", "quantity", "of"),
    [
        (Amount(units=3), 100, 3),
        (Amount(percent=10), 25, 3),
        (Amount(percent=10), 30, 3),
        (Amount(percent=10), 31, 4),
        (Amount(percent=10), 1, 1),
        (Amount(percent=10), 0, 0),
        (Amount(percent=Decimal("0.1")), 1000, 1),
        (Amount(percent=Decimal("0.1")), 1001, 2),
        (Amount(percent=Decimal("33.3333")), 10**15, 333_333_000_000_000),
        (Amount(units=2, percent=50), 5, 5),
        (Amount(percent=150), 10, 15),
        (Amount(), 10, 0),
    ],
)
def test_a_percentage_is_rounded_up_to_whole_units(amount, quantity, of):
    assert amount.of(quantity) == of


def test_safety_stock_of_a_node_takes_at_most_what_the_node_has():
    supplies = [on_hand(1, "A"), on_hand(10, "B")]
    answer = asked(supplies, node_safety={"A": Amount(units=3), "B": Amount(percent=15), "C": Amount(units=9)})
    assert (answer.available, answer.by_node) == (8, {"A": 0, "B": 8})
    assert told(answer) == [("onHand", 1), ("onHand", 10), ("nodeSafety", -1), ("nodeSafety", -2)]


def test_safety_stock_of_the_pool_is_taken_once_and_not_at_each_node():
    supplies = [on_hand(5, "A"), on_hand(5, "B")]
    assert asked(supplies, pool_safety=Amount(units=3)).available == 7
    answer = asked(supplies, pool_safety=Amount(percent=25))
    assert (answer.available, answer.by_node) == (7, {"A": 5, "B": 5})
    assert told(answer)[-1] == ("poolSafety", -3)


def test_promises_kept_from_any_node_leave_the_safety_stock_of_each():
    supplies = [on_hand(5, "A"), on_hand(5, "B")]
    rules = {"node_safety": {"A": Amount(units=3), "B": Amount(units=3)}}
    answer = asked(supplies, [Demand(quantity=4, need_on=TODAY)], **rules)
    assert (answer.available, answer.by_node) == (0, {"A": 0, "B": 0})
    answer = asked(supplies, [Demand(quantity=3, need_on=TODAY)], **rules)
    assert (answer.available, answer.by_node) == (1, {"A": 1, "B": 1})


def test_what_other_channels_are_guaranteed_and_do_not_hold_is_kept_from_this_one():
    guarantees = {"shop": 4, "market": 3, "mine": 9}
    assert asked([on_hand(20)], channel="mine", guarantees=guarantees).available == 13
    demands = [Demand(quantity=3, need_on=jan(9), channel="shop"), Demand(quantity=5, need_on=jan(9), channel="market")]
    answer = asked([on_hand(20)], demands, channel="mine", guarantees=guarantees)
    assert answer.available == 20 - 8 - 1
    assert [(term.name, term.quantity, term.label) for term in answer.terms[-1:]] == [("guarantee", -1, "shop")]
    allocated = asked([on_hand(20, promised=3)], channel="mine", guarantees=guarantees, held={"shop": 3})
    assert allocated.available == 20 - 3 - 1 - 3


def test_the_cap_is_on_all_the_channel_holds():
    mine = Demand(quantity=3, need_on=TODAY, channel="mine")
    assert asked([on_hand(20)], [mine], channel="mine", cap=8).available == 5
    assert asked([on_hand(20)], [mine], channel="mine", cap=8, held={"mine": 4}).available == 1
    assert asked([on_hand(20)], [mine], channel="mine", cap=2).available == 0
    assert asked([on_hand(20)], [mine], channel="other", cap=8).available == 8
    roomy = asked([on_hand(6)], [mine], channel="mine", cap=8)
    assert (roomy.available, [name for name, _ in told(roomy)]) == (3, ["onHand", "reserved"])


def test_the_buffer_is_kept_off_what_the_channel_would_get():
    assert asked([on_hand(21)], buffer=Amount(units=2)).available == 19
    assert asked([on_hand(21)], buffer=Amount(percent=10)).available == 18
    assert asked([on_hand(1)], buffer=Amount(units=2)).available == 0


def test_the_rules_apply_in_their_order():
    supplies = [on_hand(60, "A"), on_hand(50, "B")]
    answer = asked(
        supplies,
        [Demand(quantity=10, need_on=TODAY, node="A", channel="mine")],
        channel="mine",
        node_safety={"A": Amount(units=5)},
        pool_safety=Amount(percent=10),
        guarantees={"shop": 10},
        cap=61,
        buffer=Amount(percent=10),
        oversell=4,
    )
    assert told(answer) == [
        ("onHand", 60),
        ("onHand", 50),
        ("reserved", -10),
        ("nodeSafety", -5),
        ("poolSafety", -10),  # a tenth of 95, up
        ("guarantee", -10),
        ("cap", -24),  # 75 are left, 51 the channel may still take
        ("buffer", -6),  # a tenth of 51, up
        ("backorder", 4),
    ]
    assert (answer.available, answer.backorder, answer.quantity) == (45, 4, 49)
    assert answer.by_node == {"A": 45, "B": 45}


def test_a_rule_takes_no_more_than_is_left():
    answer = asked([on_hand(5)], pool_safety=Amount(units=3), guarantees={"shop": 4}, buffer=Amount(units=1))
    assert told(answer) == [("onHand", 5), ("poolSafety", -3), ("guarantee", -2)]
    assert answer.available == 0


def test_rules_apply_on_each_day():
    answer = asked(INBOUND, pool_safety=Amount(percent=10), cap=25)
    assert answer.by_date == [(jan(1), 9), (jan(10), 18), (jan(20), 25)]


def test_what_may_be_oversold_comes_on_top_as_backorder_and_has_no_date():
    answer = asked([on_hand(2)], oversell=5)
    assert (answer.available, answer.backorder, answer.quantity) == (2, 5, 7)
    assert (answer.by_date, answer.earliest(7)) == ([(TODAY, 2)], None)


@pytest.mark.parametrize(("promised", "backorder"), [(0, 5), (2, 5), (4, 3), (7, 0), (9, 0)])
def test_promises_without_stock_use_the_oversell_depth_up(promised, backorder):
    answer = asked([on_hand(2)], [Demand(quantity=promised, need_on=TODAY)], oversell=5)
    assert (answer.available, answer.backorder) == (2 - min(2, promised), backorder)


def test_overselling_does_not_eat_what_is_guaranteed_to_others_again_and_again():
    rules = {"channel": "mine", "guarantees": {"shop": 10}, "oversell": 5}
    assert asked([on_hand(10)], **rules).quantity == 5
    taken = [Demand(quantity=5, need_on=TODAY, channel="mine")]
    assert asked([on_hand(10)], taken, **rules).quantity == 0
    assert asked([on_hand(10, promised=5)], held={"mine": 5}, **rules).quantity == 0


def test_safety_stock_that_is_not_there_uses_no_oversell_depth_up():
    assert asked([on_hand(0)], oversell=5, node_safety={"DC1": Amount(units=9)}).quantity == 5
    assert asked([on_hand(0)], oversell=5, pool_safety=Amount(units=9)).quantity == 5
    supplies, safety = [on_hand(1, "A"), on_hand(5, "B")], {"A": Amount(units=10)}
    assert asked(supplies, oversell=3, node_safety=safety).quantity == 5 + 3
    taken = [Demand(quantity=5, need_on=TODAY, node="B")]
    assert asked(supplies, taken, oversell=3, node_safety=safety).quantity == 3
    eaten = [*taken, Demand(quantity=1, need_on=TODAY, node="A")]
    assert asked(supplies, eaten, oversell=3, node_safety=safety).quantity == 2


def test_the_cap_holds_for_backorders_too():
    assert asked([on_hand(2)], oversell=5, cap=4).backorder == 2
    mine = [Demand(quantity=4, need_on=TODAY, channel="mine")]
    assert asked([on_hand(9)], mine, channel="mine", oversell=5, cap=4).quantity == 0


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: on_hand(-1),
        lambda: on_hand(3, promised=4),
        lambda: on_hand(3, promised=-1),
        lambda: Demand(quantity=-1, need_on=TODAY),
        lambda: Demand(quantity=1, need_on=TODAY, minimum_days=-1),
        lambda: Amount(units=-1),
        lambda: Amount(percent=Decimal("-0.1")),
        lambda: Rules(oversell=-1),
        lambda: Rules(cap=-1),
        lambda: Rules(minimum_days=-1),
        lambda: Rules(guarantees={"shop": -1}),
    ],
)
def test_negative_numbers_are_refused(wrong):
    with pytest.raises(ValueError, match=r"-1|-0\.1|4"):
        wrong()
