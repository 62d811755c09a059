"""Glass was found in a batch: a customer sends it back, gets another, and none of it is ever sold again."""

from __future__ import annotations

from datetime import date

import pytest

from stock import proof, tracing
from stock.models import Batch
from tests import make
from tests.orders.steps import SHIP_TO, book, keeper


@pytest.fixture
def bought(api, retailer, supplier):
    """Five jars of the batch that is recalled reached a customer; five are here, and ten of another batch."""
    honey = make.make_variant(sku="HONEY", suppliers=[supplier], tracking="batch")
    warehouse = make.make_warehouse(code="W1")
    for number, year in (("B1", 2090), ("B2", 2091)):
        make.make_level(variant=honey, warehouse=warehouse, batch_number=number, expires_on=date(year, 1, 1))
    client = api(retailer)
    lines = [{"productId": "HONEY", "quantity": 5}]
    order = client.post("/orders", {"externalReference": "PO", "shipTo": SHIP_TO, "lines": lines}).json()
    client.post(f"/orders/{order['orderId']}/confirm")
    sent = {"orderId": order["orderId"], "warehouseLocation": "W1", "carrier": "UPS", "trackingNumber": "1Z"}
    assert client.post("/shipments", sent | {"lines": lines}).status_code == 201
    return client, order


def test_a_recalled_batch_comes_back_and_is_replaced_and_never_sold_again(api, bought):
    client, order = bought
    ours = api(make.make_partner(kind="channel"))
    recall = ours.post("/batches/HONEY/B1/recall", {"reason": "glass"}).json()
    coming = {"productId": "HONEY", "quantity": 5, "reason": "recalled", "batchNumber": "B1", "exchangeFor": "HONEY"}
    announced = client.post("/returns", {"orderId": order["orderId"], "lines": [coming]}).json()
    exchange = announced["lines"][0]["replacementOrderId"]
    [held] = client.get(f"/orders/{exchange}").json()["lines"]
    assert [(row["batchNumber"], row["quantity"]) for row in held["allocations"]] == [("B2", 5)]

    path = f"/returns/{announced['returnId']}"
    assert keeper().post(f"{path}/receive").json()["status"] == "received"
    before = book()
    assert before == {"B1/sellable": (5, 0), "B2/sellable": (10, 5), "B1/quarantine": (5, 0)}
    restock = keeper().post(f"{path}/inspect", {"lines": [{"productId": "HONEY", "disposition": "restock"}]})
    assert (restock.status_code, restock.json()["code"], book()) == (409, "cannot_restock", before)
    assert (
        keeper().post(f"{path}/inspect", {"lines": [{"productId": "HONEY", "disposition": "scrap"}]}).status_code == 200
    )

    sent = {"orderId": exchange, "warehouseLocation": "W1", "carrier": "UPS", "trackingNumber": "1Z2"}
    assert client.post("/shipments", sent | {"lines": [{"productId": "HONEY", "quantity": 5}]}).status_code == 201
    assert book() == {"B1/sellable": (5, 0), "B2/sellable": (5, 0), "B1/quarantine": (0, 0)}
    assert ours.post(f"/recalls/{recall['recallId']}/close").status_code == 200
    found = tracing.trace(batch=Batch.objects.get(number="B1"))
    assert (found.shipped, found.returned, found.percent) == (5, 5, 100)
    free = client.get("/inventory/SUP-1/HONEY").json()
    assert free["availableQuantity"] == 5
    assert proof.prove_ledger().differences == []
