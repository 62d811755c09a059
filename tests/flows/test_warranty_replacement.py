"""A camera dies within its year: it is replaced, waits in the warranty pool, and goes back to who made it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from orders.models import Shipment
from stock import proof
from stock.models import Serial
from stock.operations import movements
from tests import make
from tests.orders.steps import SHIP_TO, keeper


@pytest.fixture
def bought(api, retailer, supplier):
    """Unit A left 300 days ago with a warranty of twelve months; units B and C are here."""
    camera = make.make_variant(sku="CAMERA", suppliers=[supplier], tracking="serial", warranty_months=12)
    movements.book(
        kind="receipt", variant=camera, warehouse=make.make_warehouse(code="W1"), quantity=3, serials=("A", "B", "C"),
        actor=make.TESTER, at=timezone.now(),
    )  # fmt: skip
    client = api(retailer)
    lines = [{"productId": "CAMERA", "quantity": 1}]
    order = client.post("/orders", {"externalReference": "PO", "shipTo": SHIP_TO, "lines": lines}).json()
    client.post(f"/orders/{order['orderId']}/confirm")
    assert ship(client, order["orderId"], "A").status_code == 201
    Shipment.objects.update(shipped_at=timezone.now() - timedelta(days=300))
    return client, order["orderId"]


def ship(client, order_id: str, serial: str):
    sent = {"orderId": order_id, "warehouseLocation": "W1", "carrier": "UPS", "trackingNumber": f"{order_id}-{serial}"}
    return client.post(
        "/shipments", sent | {"lines": [{"productId": "CAMERA", "quantity": 1, "serialNumbers": [serial]}]}
    )


def claim(client, order_id: str, serial: str):
    coming = [{"productId": "CAMERA", "quantity": 1, "reason": "dead", "serialNumber": serial}]
    path = f"/returns/{client.post('/returns', {'orderId': order_id, 'lines': coming}).json()['returnId']}"
    keeper().post(f"{path}/receive")
    verdict = {"productId": "CAMERA", "serialNumber": serial, "disposition": "warrantyClaim"}
    return keeper().post(f"{path}/inspect", {"lines": [verdict]})


def test_it_is_replaced_kept_apart_and_returned_to_the_vendor_and_its_clock_goes_on(api, bought):
    client, order_id = bought
    [line] = claim(client, order_id, "A").json()["lines"]
    first = client.get(f"/warrantyClaims/{line['warrantyClaimId']}").json()
    assert (first["serialNumber"], first["status"]) == ("A", "open")
    assert Serial.objects.get(number="A").level.condition == "warranty"
    levels = client.get("/inventory/SUP-1/CAMERA").json()
    assert (levels["availableQuantity"], levels["reservedQuantity"]) == (1, 1)

    replacement = line["replacementOrderId"]
    assert ship(client, replacement, "A").json()["code"] == "insufficient_stock"
    assert ship(client, replacement, "B").status_code == 201
    assert client.get(f"/orders/{replacement}").json()["status"] == "shipped"

    keeper = api(make.make_partner(kind="logistics"))
    settled = keeper.post(f"/warrantyClaims/{first['warrantyClaimId']}/settle", {"outcome": "returnToVendor"})
    assert settled.json()["status"] == "settled"
    assert Serial.objects.get(number="A").level is None

    [again] = claim(client, replacement, "B").json()["lines"]
    second = client.get(f"/warrantyClaims/{again['warrantyClaimId']}").json()
    assert (second["startsOn"], second["endsOn"]) == (first["startsOn"], first["endsOn"])
    assert proof.prove_ledger().differences == []
