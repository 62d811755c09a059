"""Exchange: what is wanted instead is promised when the return is announced, and goes out when the goods are back."""

from __future__ import annotations

import pytest

from catalog.models import Variant
from orders.models import FulfilmentRequest, Order, OrderLine, Return
from partners.models import OutboxEvent
from stock import proof
from tests.orders.steps import book, come_back, keeper, shipped


@pytest.fixture
def exchanged(api, retailer, shop):
    """Two bottles are to come back for two rotors: the order, the return as announced, and the rotors' order."""
    client = api(retailer)
    order = shipped(client)
    returned = come_back(client, order, batchNumber="LATE", exchangeFor="ROTOR").json()
    [line] = returned["lines"]
    return client, order, returned, client.get(f"/orders/{line['replacementOrderId']}").json()


def test_what_is_wanted_instead_is_promised_at_once_in_an_order_of_its_own(exchanged):
    _, order, returned, replacement = exchanged
    assert (replacement["status"], replacement["replacesReturnId"]) == ("pending", returned["returnId"])
    assert (replacement["retailPartnerId"], replacement["shipTo"]) == (order["retailPartnerId"], order["shipTo"])
    [line] = replacement["lines"]
    assert (line["productId"], line["quantity"], line["reservedQuantity"]) == ("ROTOR", 2, 2)
    assert returned["lines"][0]["replacementLineId"] == line["lineId"]
    assert order["replacesReturnId"] is None


def test_it_waits_for_the_goods_and_goes_out_when_they_are_received(exchanged):
    client, _, returned, replacement = exchanged
    early = client.post(f"/orders/{replacement['orderId']}/confirm")
    assert (early.status_code, early.json()["code"]) == (409, "exchange_waits")
    assert early.json()["returnId"] == returned["returnId"]
    assert not FulfilmentRequest.objects.filter(order__number=replacement["orderId"]).exists()

    assert keeper().post(f"/returns/{returned['returnId']}/receive").status_code == 200
    assert client.get(f"/orders/{replacement['orderId']}").json()["status"] == "confirmed"
    assert FulfilmentRequest.objects.get(order__number=replacement["orderId"]).items.get().quantity == 2
    verdict = {"lines": [{"productId": "SAUCE", "disposition": "restock"}]}
    assert keeper().post(f"/returns/{returned['returnId']}/inspect", verdict).status_code == 200
    assert Order.objects.count() == 2
    assert proof.prove_ledger().differences == []


def test_what_is_not_there_is_refused_and_nothing_is_announced(api, retailer, shop):
    client = api(retailer)
    order = shipped(client)
    before = (book(), OutboxEvent.objects.count())
    Variant.objects.filter(sku="ROTOR").update(status="discontinued")
    unknown = come_back(client, order, exchangeFor="ROTOR")
    assert (unknown.status_code, unknown.json()["errors"][0]["field"]) == (422, "lines[0].exchangeFor")
    Variant.objects.filter(sku="ROTOR").update(status="active")
    too_many = [{"productId": "SAUCE", "quantity": 1, "reason": "x", "exchangeFor": "ROTOR"}] * 7
    client.post("/reservations", {"reference": "cart", "lines": [{"productId": "ROTOR", "quantity": 4}]})
    before = (book(), OutboxEvent.objects.count())
    short = client.post("/returns", {"orderId": order["orderId"], "lines": too_many})
    assert (short.status_code, short.json()["code"]) == (409, "insufficient_stock")
    assert short.json()["shortages"] == [{"productId": "ROTOR", "requested": 7, "available": 4}]
    assert (Order.objects.count(), Return.objects.count(), OrderLine.objects.get().returned) == (1, 0, 0)
    assert (book(), OutboxEvent.objects.count()) == before
    assert client.post("/returns", {"orderId": order["orderId"], "lines": too_many[:4]}).status_code == 201


def test_a_withdrawn_return_calls_its_exchange_off_and_may_be_announced_anew(exchanged):
    client, order, returned, replacement = exchanged
    path = f"/returns/{returned['returnId']}"
    withdrawn = client.post(f"{path}/withdraw").json()
    assert withdrawn["status"] == "withdrawn"
    assert client.get(f"/orders/{replacement['orderId']}").json()["status"] == "cancelled"
    assert book()["-/sellable"] == (8, 0)
    assert client.get(f"/orders/{order['orderId']}").json()["lines"][0]["returnedQuantity"] == 0
    assert client.post(f"{path}/withdraw").json() == withdrawn
    assert keeper().post(f"{path}/receive").json()["currentStatus"] == "withdrawn"
    assert come_back(client, order, batchNumber="LATE").status_code == 201


def test_what_is_received_is_not_withdrawn(exchanged):
    client, _, returned, replacement = exchanged
    path = f"/returns/{returned['returnId']}"
    keeper().post(f"{path}/receive")
    before = book()
    answer = client.post(f"{path}/withdraw")
    assert (answer.status_code, answer.json()["currentStatus"]) == (409, "received")
    assert (book(), client.get(f"/orders/{replacement['orderId']}").json()["status"]) == (before, "confirmed")


def test_an_exchange_that_was_called_off_stays_so_when_the_goods_come(exchanged):
    client, _, returned, replacement = exchanged
    client.post(f"/orders/{replacement['orderId']}/cancel")
    assert keeper().post(f"/returns/{returned['returnId']}/receive").json()["status"] == "received"
    assert client.get(f"/orders/{replacement['orderId']}").json()["status"] == "cancelled"
