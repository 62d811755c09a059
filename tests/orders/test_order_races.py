"""Orders at the same moment on real connections: a promise has one order, a unit leaves and returns once."""

from __future__ import annotations

import itertools
import threading
from datetime import date, datetime
from functools import partial

import pytest
from django.db import connection
from django.utils import timezone

from orders.models import FulfilmentItem, Order, OrderLine, Shipment, Stamp
from orders.operations import amending, fulfilment, ordering, requesting, returning, ticking
from orders.operations.fulfilment import Leaving, OverShipment
from orders.operations.ordering import Asked
from orders.operations.returnable import ComingBack, OverReturn
from partners.problems import Problem
from stock import proof
from stock.models import Level
from stock.operations import reservations
from stock.operations.promising import Wanted
from tests import make
from tests.races.crowd import all_at_once

CALLERS = 12


@pytest.fixture
def town(own_database):
    """A retailer, and 100 sellable units of one batch in one warehouse."""
    warehouse, variant = make.make_warehouse(), make.make_variant(tracking="batch")
    make.make_level(variant=variant, warehouse=warehouse, on_hand=100, batch_number="B", expires_on=date(2090, 1, 1))
    return make.make_partner(), variant, warehouse


def place(partner, variant, reference: str, **more):
    return ordering.place(
        partner=partner, external_reference=reference, ship_to={}, actor=make.TESTER, at=timezone.now(),
        asked=[Asked(line_id="1", variant=variant, quantity=10)], **more,
    )  # fmt: skip


def ship(order, line, warehouse, quantity: int, tracking: str):
    return fulfilment.ship(
        order=order, warehouse=warehouse, leaving=[Leaving(line=line, quantity=quantity)], carrier="UPS",
        tracking_number=tracking, actor=make.TESTER, at=timezone.now(),
    )  # fmt: skip


def reserved() -> int:
    return sum(Level.objects.values_list("reserved", flat=True))


@pytest.mark.races
def test_twelve_orders_want_one_reservation_and_one_gets_it(town):
    partner, variant, _ = town
    held, _ = reservations.reserve(
        reference="cart", wanted=[Wanted(variant=variant, quantity=10)], partner=partner, actor=make.TESTER,
        at=timezone.now(),
    )  # fmt: skip
    results = all_at_once(CALLERS, lambda turn: place(partner, variant, f"PO-{turn}", reservation=held))
    assert sorted(isinstance(result, Problem) for result in results) == [False] + [True] * (CALLERS - 1)
    assert (Order.objects.count(), reserved()) == (1, 10)


@pytest.mark.races
def test_twelve_twins_place_one_order(town):
    partner, variant, _ = town
    results = all_at_once(CALLERS, lambda turn: place(partner, variant, "PO-1"))
    assert len({order.pk for order, _ in results}) == 1
    assert sum(is_new for _, is_new in results) == 1
    assert reserved() == 10


@pytest.mark.races
def test_of_ten_units_two_fives_leave_and_never_come_back_twice(town):
    partner, variant, warehouse = town
    order, _ = place(partner, variant, "PO-1")
    ordering.confirm(order=order, actor=make.TESTER, at=timezone.now())
    line = OrderLine.objects.select_related("variant", "reservation_line__variant").get()
    results = all_at_once(CALLERS, lambda turn: ship(order, line, warehouse, 5, f"1Z{turn}"))
    assert sum(isinstance(result, Shipment) for result in results) == 2
    assert all(isinstance(result, Shipment | OverShipment | Problem) for result in results)
    line.refresh_from_db()
    assert (line.shipped, Level.objects.get(batch__number="B").on_hand, reserved()) == (10, 90, 0)

    coming = [ComingBack(line=line, quantity=4, reason="not wanted")]
    backs = all_at_once(
        CALLERS, lambda turn: returning.announce(order=order, coming=coming, actor=make.TESTER, at=timezone.now())
    )
    assert sum(isinstance(back, OverReturn) for back in backs) == CALLERS - 2
    line.refresh_from_db()
    assert line.returned == 8
    assert proof.prove_ledger().differences == []


@pytest.mark.races
def test_cancel_and_ship_at_once_do_one_of_the_two(town):
    partner, variant, warehouse = town
    order, _ = place(partner, variant, "PO-1")
    ordering.confirm(order=order, actor=make.TESTER, at=timezone.now())
    line = OrderLine.objects.select_related("variant", "reservation_line__variant").get()

    def turn(number: int):
        if number % 2:
            return ordering.cancel(order=order, actor=make.TESTER, at=timezone.now())
        return ship(order, line, warehouse, 10, f"1Z{number}")

    all_at_once(CALLERS, turn)
    order.refresh_from_db()
    on_hand = Level.objects.get(batch__number="B").on_hand
    assert (order.status, on_hand) in {("cancelled", 100), ("shipped", 90)}
    assert reserved() == 0
    assert proof.prove_ledger().differences == []


@pytest.mark.races
def test_thirty_two_writers_and_no_observer_ever_sees_a_stamp_before_the_one_before_it(town, monkeypatch):
    """Each confirms an order of its own in one warehouse while somebody looks all the time."""
    partner, variant, _ = town
    orders = [
        ordering.place(
            partner=partner, external_reference=f"PO-{turn}", ship_to={}, actor=make.TESTER, at=timezone.now(),
            asked=[Asked(line_id="1", variant=variant, quantity=1)],
        )[0]
        for turn in range(32)
    ]  # fmt: skip
    assert watched(lambda turn: ordering.confirm(order=orders[turn], actor=make.TESTER, at=timezone.now())) == []
    assert sorted(Stamp.objects.values_list("logical_timestamp", flat=True)) == list(range(1, 33))


@pytest.mark.races
def test_by_a_sequence_an_observer_would_see_gaps(town, monkeypatch):
    """The negative control: numbers that are not held to the end of the transaction."""
    partner, variant, _ = town
    orders = [
        ordering.place(
            partner=partner, external_reference=f"PO-{turn}", ship_to={}, actor=make.TESTER, at=timezone.now(),
            asked=[Asked(line_id="1", variant=variant, quantity=1)],
        )[0]
        for turn in range(32)
    ]  # fmt: skip
    numbers = itertools.count(1)
    noticed = threading.Event()

    def unlocked(notes: list[ticking.Note], at: datetime) -> list[int]:
        [note], number = notes, next(numbers)
        if number == 1:
            noticed.wait(60)  # the first until somebody has seen what came after it
        Stamp.objects.create(
            warehouse_id=note.request.warehouse_id,
            logical_timestamp=number,
            request=note.request,
            kind=note.kind,
            at=at,
        )
        return [number]

    monkeypatch.setattr(ticking, "_stamp", unlocked)
    confirm = partial(ordering.confirm, actor=make.TESTER, at=timezone.now())
    assert watched(lambda turn: confirm(order=orders[turn]), noticed)


def watched(call, noticed: threading.Event | None = None) -> list[list[int]]:
    """What an observer saw that had a gap, while 32 do it at once; `noticed` is set at the first."""
    gaps: list[list[int]] = []
    is_over = threading.Event()

    def look(_: int) -> None:
        while not is_over.is_set():
            seen = sorted(Stamp.objects.values_list("logical_timestamp", flat=True))
            if seen != list(range(1, len(seen) + 1)):
                gaps.append(seen)
                if noticed is not None:
                    noticed.set()
        connection.close()

    observer = threading.Thread(target=look, args=(0,))
    observer.start()
    try:
        results = all_at_once(32, call)
    finally:
        is_over.set()
        observer.join()
    assert not [result for result in results if isinstance(result, Exception)]
    return gaps


@pytest.mark.races
def test_confirmed_shipped_amended_and_cancelled_at_once_units_are_conserved(town):
    partner, variant, warehouse = town
    order, _ = place(partner, variant, "PO-1")
    line = OrderLine.objects.select_related("variant", "reservation_line__variant").get()

    def act(turn: int):
        match turn % 4:
            case 0:
                return ordering.confirm(order=order, actor=make.TESTER, at=timezone.now())
            case 1:
                return ship(order, line, warehouse, 2, f"1Z{turn}")
            case 2:
                asked = Asked(line_id="1", variant=variant, quantity=3 + turn % 7)
                return amending.amend(order=order, changes=[asked], actor=make.TESTER, at=timezone.now())
            case _:
                return ordering.cancel(order=order, actor=make.TESTER, at=timezone.now())

    results = all_at_once(32, act)
    assert not [row for row in results if isinstance(row, Exception) and not isinstance(row, Problem)]
    order.refresh_from_db()
    line.refresh_from_db()
    level = Level.objects.get()
    assert level.on_hand == 100 - line.shipped
    assert level.reserved == (line.quantity - line.shipped if order.status in ordering.WAITING else 0)
    still = sum(item.open_quantity for item in FulfilmentItem.objects.all())
    assert still == (level.reserved if order.status in requesting.ASKING else 0)
    assert proof.prove_ledger().differences == []
