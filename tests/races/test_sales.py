"""A device that is not sure it was heard says it again, eight times at once: one effect, one answer."""

from __future__ import annotations

import time

import pytest
from django.db import models
from django.utils import timezone

from orders.models import FoundAtSale, Sale, SalesBatch
from orders.operations import tills
from orders.operations.tills import Reported, SoldLine
from stock import proof
from stock.models import Count, Level, Movement
from tests import make
from tests.races.crowd import all_at_once

CALLERS = 8


@pytest.fixture
def shop(own_database):
    """Five of each of two products."""
    warehouse = make.make_warehouse(code="SHOP")
    for sku in ("A", "B"):
        make.make_level(variant=make.make_variant(sku=sku), warehouse=warehouse, on_hand=5)
    return make.make_partner(), warehouse


def sold(warehouse, sale_id: str, quantity: int, *skus: str) -> Reported:
    variants = {level.variant.sku: level.variant for level in Level.objects.select_related("variant")}
    lines = tuple(SoldLine(sku=sku, variant=variants[sku], quantity=quantity) for sku in skus)
    return Reported(
        sale_id=sale_id, occurred_at=timezone.now(), warehouse_code="SHOP", warehouse=warehouse, lines=lines
    )


def report(partner, sequence: int, sales, device: str = "TILL"):
    return tills.report(
        partner=partner, device_code=device, sequence=sequence, sales=sales, actor=make.TESTER, at=timezone.now()
    )


def on_hand() -> dict[str, int]:
    return dict(Level.objects.values_list("variant__sku", "on_hand"))


@pytest.mark.races
def test_a_batch_sent_eight_times_at_once_is_booked_once_and_all_hear_the_same(shop):
    partner, warehouse = shop
    sales = [sold(warehouse, "1", 2, "A"), sold(warehouse, "2", 7, "B")]
    results = all_at_once(CALLERS, lambda _: report(partner, 1, sales))
    assert sorted(is_new for _, is_new in results) == [False] * (CALLERS - 1) + [True]
    kept = SalesBatch.objects.get()
    heard = [(batch.number, batch.exceptions, batch.booked_sales, batch.missing) for batch, _ in results]
    assert heard == [(kept.number, kept.exceptions, 2, [])] * CALLERS
    assert (on_hand(), Movement.objects.filter(kind="shipment").count()) == ({"A": 3, "B": 0}, 3)
    assert (Sale.objects.count(), FoundAtSale.objects.get().quantity, Count.objects.count()) == (2, 2, 1)
    assert proof.prove_ledger().differences == []


@pytest.mark.races
def test_without_the_devices_lock_they_would_be_heard_as_several(shop, monkeypatch):
    """The negative control: with the lock taken away the twins go on to sell, and are only stopped by the database."""
    partner, warehouse = shop
    sales = [sold(warehouse, "1", 1, "A")]
    report(partner, 1, [sold(warehouse, "0", 1, "A")])
    monkeypatch.setattr(models.QuerySet, "select_for_update", lambda rows, **_: rows)
    sort_out = tills._sort_out

    def sort_out_slowly(*args):
        time.sleep(0.3)
        return sort_out(*args)

    monkeypatch.setattr(tills, "_sort_out", sort_out_slowly)
    results = all_at_once(3, lambda _: report(partner, 2, sales))
    assert any(isinstance(result, Exception) for result in results), "the test above proves nothing"


@pytest.mark.races
def test_devices_that_sell_the_same_things_in_other_orders_do_not_wait_for_one_another_for_ever(shop):
    partner, warehouse = shop

    def sell(place: int):
        skus = ("A", "B") if place % 2 else ("B", "A")
        return report(partner, 1, [sold(warehouse, "1", 1, *skus)], device=f"TILL-{place}")

    results = all_at_once(CALLERS, sell)
    assert all(is_new for _, is_new in results), results
    assert on_hand() == {"A": 0, "B": 0}
    found = sum(FoundAtSale.objects.values_list("quantity", flat=True))
    assert found == 2 * (CALLERS - 5)
    assert proof.prove_ledger().differences == []
