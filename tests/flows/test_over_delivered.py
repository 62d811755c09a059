"""A truck brings more than was ordered: within what was agreed, and beyond it, from the API to the desk of staff."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.urls import reverse
from django.utils import timezone

from inventory_site import roles
from orders.models import PurchaseOrder, Receipt
from partners.models import OutboxEvent
from stock import proof
from stock.models import Inbound
from tests import make
from tests.orders.buying import agree, everything, offered, shelf


@pytest.fixture
def ordered(api, supplier):
    """A hundred bottles and fifty lids are on their way; five in a hundred more are taken."""
    make.make_warehouse(code="W1", operator=make.make_partner(code="3PL-1", kind="logistics"))
    offered(supplier, sku="BOTTLE")
    offered(supplier, sku="LID", cost="0.10")
    agree(supplier, over_percent=5)
    ours = api(make.make_partner(code="OURS", kind="channel"))
    lines = [{"productId": "BOTTLE", "quantity": 100}, {"productId": "LID", "quantity": 50}]
    body = {"supplierId": "SUP-1", "warehouseLocation": "W1", "lines": lines}
    number = ours.post("/purchaseOrders", body).json()["purchaseOrderId"]
    ours.post(f"/purchaseOrders/{number}/send")
    day = (timezone.now().date() + timedelta(days=7)).isoformat()
    api(supplier).post(f"/purchaseOrders/{number}/confirm", {"expectedDate": day})
    return PurchaseOrder.objects.get(number=number)


@pytest.fixture
def dock(api, ordered):
    client = api(ordered.warehouse.operator)

    def deliver(bottles: int, lids: int, note: str):
        lines = [{"productId": "BOTTLE", "quantity": bottles}, {"productId": "LID", "quantity": lids}]
        body = {"purchaseOrderId": ordered.number, "warehouseLocation": "W1", "deliveryNote": note, "lines": lines}
        return client.post("/receipts", body)

    return deliver


def test_what_is_over_within_the_tolerance_is_taken_and_marked(dock, ordered):
    receipt = dock(103, 50, "LS-1")
    assert receipt.status_code == 201
    assert [(line["productId"], line["quantity"], line["outcome"]) for line in receipt.json()["lines"]] == [
        ("BOTTLE", 100, "asOrdered"), ("BOTTLE", 3, "over"), ("LID", 50, "asOrdered"),
    ]  # fmt: skip
    ordered.refresh_from_db()
    assert (ordered.status, shelf(), Inbound.objects.count()) == (
        "received", {"BOTTLE/sellable": 103, "LID/sellable": 50}, 0)  # fmt: skip
    assert OutboxEvent.objects.get(type="receipt.posted").payload["overQuantity"] == 3


def test_what_is_beyond_it_is_refused_whole_until_staff_who_may_accept_it(client, dock, ordered):
    before = everything()
    refused = dock(120, 50, "LS-1")
    assert (refused.status_code, refused.json()["code"]) == (409, "over_delivery")
    assert [(row["productId"], row["allowed"]) for row in refused.json()["lines"]] == [("BOTTLE", 105)]
    assert everything() == before

    roles.ensure_roles()
    rows = [{"sku": "BOTTLE", "quantity": 120}, {"sku": "LID", "quantity": 50}]
    rows = [row | {"batch_number": "", "expires_on": "", "condition": "sellable", "location_code": "", "serials": ""}
            for row in rows]  # fmt: skip
    page = f"{reverse('admin:orders_receipt_receive')}?of={ordered.number}"
    sent = {"do": "post", "rows": json.dumps(rows), "delivery_note": "LS-1", "is_over_accepted": "on"}
    clerk = User.objects.create_user("clerk", is_staff=True)
    clerk.groups.add(Group.objects.get(name="Warehouse"))
    client.force_login(clerk)
    answer = client.post(page, sent | {"sending": "1"})
    assert "More came than was ordered" in answer.content.decode()
    assert everything() == before

    buyer = User.objects.create_user("buyer", is_staff=True)
    buyer.groups.add(*Group.objects.filter(name__in=["Merchandising", "Warehouse"]))
    client.force_login(buyer)
    assert client.post(page, sent | {"sending": "2"}).status_code == 302
    receipt = Receipt.objects.get()
    assert (receipt.actor, receipt.is_over_accepted) == ("staff:buyer", True)
    assert list(receipt.lines.values_list("variant__sku", "quantity", "outcome")) == [
        ("BOTTLE", 100, "asOrdered"), ("BOTTLE", 20, "over"), ("LID", 50, "asOrdered"),
    ]  # fmt: skip
    assert shelf() == {"BOTTLE/sellable": 120, "LID/sellable": 50}
    assert proof.prove_ledger().differences == []

    late = dock(120, 50, "LS-1")
    assert (late.status_code, late.json()["receiptId"], Receipt.objects.count()) == (200, receipt.number, 1)
