"""The steps of an order and the last guards, called without a door."""

from __future__ import annotations

from itertools import product

import pytest
from django.db import IntegrityError
from django.utils import timezone

from orders.models import Order, OrderLine
from orders.operations import ordering
from orders.operations.ordering import STEPS, Asked
from partners.models import OutboxEvent
from partners.problems import IllegalStep, InvalidInput
from stock.operations import reservations
from stock.operations.promising import Wanted
from tests import make
from tests.orders.steps import book


def place(partner, variant, **more) -> Order:
    order, _ = ordering.place(
        partner=partner, external_reference="PO-1", ship_to={}, actor=make.TESTER, at=timezone.now(),
        asked=[Asked(line_id="1", variant=variant, quantity=7)], **more,
    )  # fmt: skip
    return order


@pytest.mark.parametrize(("now", "then"), list(product(Order.Status.values, STEPS)))
def test_only_the_steps_of_the_table_are_taken(retailer, shop, now, then):
    order = place(retailer, shop)
    Order.objects.filter(pk=order.pk).update(status=now)
    told, before = OutboxEvent.objects.count(), book()
    if now == then or now in STEPS[then]:
        assert ordering.advance(order=order, status=then, actor=make.TESTER, at=timezone.now()).status == then
        assert OutboxEvent.objects.count() == told + (now != then)
    else:
        with pytest.raises(IllegalStep) as refusal:
            ordering.advance(order=order, status=then, actor=make.TESTER, at=timezone.now())
        assert refusal.value.data == {"currentStatus": now, "allowedFrom": [str(step) for step in STEPS[then]]}
        assert Order.objects.get().status == now
        assert OutboxEvent.objects.count() == told
    assert book() == before


@pytest.mark.parametrize("holder", ["nobody", "stranger"])
def test_a_reservation_that_is_not_theirs_is_not_taken_over(retailer, stranger, shop, holder):
    held, _ = reservations.reserve(
        reference="cart", wanted=[Wanted(variant=shop, quantity=7)],
        partner=None if holder == "nobody" else stranger, actor=make.TESTER, at=timezone.now(),
    )  # fmt: skip
    with pytest.raises(InvalidInput) as refusal:
        place(retailer, shop, reservation=held)
    assert refusal.value.data["errors"][0]["field"] == "reservationId"
    held.refresh_from_db()
    assert held.expires_at is not None
    assert Order.objects.count() == 0


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"shipped": 8}, "order_line_returned_shipped_ordered"),
        ({"returned": 1}, "order_line_returned_shipped_ordered"),
        ({"currency": "EUR"}, "order_line_currency_has_price"),
    ],
)
def test_the_database_is_the_last_guard_of_a_line(retailer, shop, change, constraint):
    place(retailer, shop)
    with pytest.raises(IntegrityError, match=constraint):
        OrderLine.objects.update(**change)


def test_with_nothing_there_and_backorder_the_order_waits_without_a_promise(retailer):
    order = place(retailer, make.make_variant(), allow_backorder=True)
    assert (order.reservation, OrderLine.objects.get().reservation_line) == (None, None)
    assert ordering.cancel(order=order, actor=make.TESTER, at=timezone.now()).status == "cancelled"
