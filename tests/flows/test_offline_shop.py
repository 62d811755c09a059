"""A shop sells through an evening without a connection, more than the book has; what follows is set right by all."""

from __future__ import annotations

import pytest
from django.utils import timezone

from orders import queries
from orders.models import Order
from orders.operations import backorders
from stock import proof
from stock.models import Count, Level
from stock.operations import counting, movements
from tests import make
from tests.orders.steps import SHIP_TO
from tests.orders.tills import odd, of, report, sale


@pytest.fixture
def evening(api, retailer, stranger):
    """Five lids are in the shop, says the book; three are promised to an order of the web shop, which may wait."""
    lid, shop = make.make_variant(sku="LID"), make.make_warehouse(code="SHOP")
    make.make_level(variant=lid, warehouse=shop, on_hand=5)
    web = api(stranger)
    order = {"externalReference": "WEB-1", "shipTo": SHIP_TO, "allowBackorder": True, "lines": [of("LID", 3)]}
    placed = web.post("/orders", order).json()
    assert placed["lines"][0]["reservedQuantity"] == 3
    return api(retailer), web, placed["orderId"], shop


def test_an_offline_shop_oversells_and_recovers(evening):
    till, web, order_id, shop = evening
    sales = {n: sale(f"s{n}", of("LID", quantity)) for n, quantity in ((1, 2), (2, 1), (3, 4))}

    late = report(till, 3, sales[3])
    assert [(row["from"], row["to"]) for row in late.json()["missing"]] == [(1, 2)]
    assert odd(late) == [("brokenPromises", "s3", 2, True)]
    assert report(till, 3, sales[3]).content == late.content
    assert odd(report(till, 1, sales[1])) == [("foundStock", "s1", 1, True), ("brokenPromises", "s1", 1, True)]
    last = report(till, 2, sales[2], sales[1])
    assert odd(last) == [("repeatedSale", "s1", None, False), ("foundStock", "s2", 1, True)]
    assert last.json()["missing"] == []

    level = Level.objects.get()
    assert (level.on_hand, level.reserved) == (0, 0)
    [line] = web.get(f"/orders/{order_id}").json()["lines"]
    assert (line["reservedQuantity"], line["backorderedQuantity"]) == (0, 3)
    noted = queries.found_at_sale(warehouse=shop)
    assert sorted((row.sale.sale_id, row.quantity) for row in noted) == [("s1", 1), ("s2", 1)]
    assert proof.prove_ledger().differences == []

    now = {"actor": make.TESTER, "at": timezone.now()}
    count = Count.objects.get()
    for _ in range(2):  # a box of six stood behind the counter; the second number is the recount
        counting.record(count=count, found=[counting.Found(variant=level.variant, counted=6)], **now)
    counting.post(count=count, **now)
    assert not noted.all().exists()
    assert backorders.fill_waiting(**now) == 3
    [line] = web.get(f"/orders/{order_id}").json()["lines"]
    assert (line["reservedQuantity"], line["backorderedQuantity"]) == (3, 0)
    assert Level.objects.get().on_hand == 6

    movements.book(kind="receipt", variant=level.variant, warehouse=shop, quantity=10, **now)
    today = sale("s4", of("LID", 13), at=timezone.now().isoformat())
    assert (report(till, 4, today).json()["exceptions"], Order.objects.count()) == ([], 1)
    assert (Level.objects.get().on_hand, Level.objects.get().reserved) == (3, 3)
    assert proof.prove_ledger().differences == []
