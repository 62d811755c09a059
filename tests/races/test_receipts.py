"""Of several who receive the same goods at once one does; without the lock they all would."""

from __future__ import annotations

import time

import pytest
from django.utils import timezone

from orders.models import PurchaseOrder, PurchaseOrderLine, Receipt
from orders.models.purchase import PurchaseOrderLineQuerySet, PurchaseOrderQuerySet
from orders.operations import purchasing, receiving, sorting
from orders.operations.sorting import Arrived, OverDelivery
from stock import proof
from stock.models import Inbound, Level
from tests import make
from tests.orders.buying import offered, sent
from tests.races.crowd import all_at_once

CLERKS = 3


def now():
    return {"actor": make.TESTER, "at": timezone.now()}


@pytest.fixture
def order(own_database):
    """A hundred were ordered and sent."""
    supplier = make.make_partner(code="SUP-1", kind="supplier")
    expected_on = timezone.now().date()
    return sent(supplier, make.make_warehouse(code="W1"), (offered(supplier), 100), expected_on=expected_on)


def receive(order, quantity=100, **more):
    arrived = [Arrived(variant=order.lines.get().variant, quantity=quantity)]
    return receiving.receive(order=order, warehouse=order.warehouse, arrived=arrived, **more, **now())


@pytest.mark.races
def test_of_those_who_book_the_whole_order_at_once_one_does(order):
    results = all_at_once(CLERKS, lambda _: receive(order))
    assert sum(isinstance(result, tuple) for result in results) == 1, results
    assert sum(isinstance(result, OverDelivery) for result in results) == CLERKS - 1
    assert (Receipt.objects.count(), Level.objects.get().on_hand, Inbound.objects.count()) == (1, 100, 0)
    assert PurchaseOrder.objects.get().status == "received"
    assert proof.prove_ledger().differences == []


@pytest.mark.races
def test_without_the_locks_they_would_book_it_more_than_once(order, monkeypatch):
    """The negative control: with the locks taken away all of them reckon from the same page."""
    monkeypatch.setattr(PurchaseOrderQuerySet, "lock", lambda rows: rows)
    monkeypatch.setattr(PurchaseOrderLineQuerySet, "lock", lambda rows: rows)
    reckon = sorting.awaited

    def reckon_slowly(**kwargs):
        time.sleep(0.5)
        return reckon(**kwargs)

    monkeypatch.setattr(sorting, "awaited", reckon_slowly)
    all_at_once(CLERKS, lambda _: receive(order))
    assert Level.objects.get().on_hand > 100, "without the locks nothing was doubled: the test above proves nothing"


@pytest.mark.races
def test_a_delivery_note_sent_by_several_at_once_is_booked_once_and_all_hear_the_same(order):
    results = all_at_once(CLERKS, lambda _: receive(order, 40, delivery_note="LS-1"))
    assert sorted(is_new for _, is_new in results) == [False] * (CLERKS - 1) + [True]
    assert {receipt.number for receipt, _ in results} == {Receipt.objects.get().number}
    assert (Level.objects.get().on_hand, Inbound.objects.get().quantity) == (40, 60)


@pytest.mark.races
def test_parts_that_come_at_once_add_up_and_what_is_left_is_waited_for(order):
    results = all_at_once(4, lambda _: receive(order, 30))
    assert sum(isinstance(result, OverDelivery) for result in results) == 1
    assert (Level.objects.get().on_hand, Inbound.objects.get().quantity) == (90, 10)
    assert proof.prove_ledger().differences == []


@pytest.mark.races
def test_who_cancels_and_who_receives_at_once_agree_on_what_came(order):
    def either(place: int):
        return purchasing.cancel(order=order, **now()) if place else receive(order, 60)

    received, _ = all_at_once(2, either)
    line = PurchaseOrderLine.objects.get()
    came = 60 if isinstance(received, tuple) else 0
    assert (PurchaseOrder.objects.get().status, line.closing) == ("received" if came else "cancelled", "cancelled")
    assert sum(Level.objects.values_list("on_hand", flat=True)) == came
    assert Inbound.objects.count() == 0
