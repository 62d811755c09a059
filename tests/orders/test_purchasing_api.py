"""Purchasing over the API: who may order, confirm, announce and receive, and what customers are promised of it."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.utils import timezone

from orders.models import AdvanceShipNotice, PurchaseOrder, Receipt
from stock.models import Inbound
from tests import make
from tests.orders.buying import agree, everything, offered, shelf

PALLET, CARTON = "395012345678900002", "395012345678900019"


@pytest.fixture
def house(db):
    return make.make_partner(code="OURS", kind="channel")


@pytest.fixture
def keeper(db):
    return make.make_partner(code="3PL-1", kind="logistics", granted_warehouses=["W1"])


@pytest.fixture
def hall(keeper):
    return make.make_warehouse(code="W1", operator=keeper)


@pytest.fixture
def oil(supplier, hall):
    return offered(supplier, sku="OIL")


def drafted(client, quantity=100, **more):
    lines = [{"productId": "OIL", "quantity": quantity}]
    body = {"supplierId": "SUP-1", "warehouseLocation": "W1", "expectedDate": "2090-05-01", "lines": lines} | more
    return client.post("/purchaseOrders", body)


def sent(client, quantity=100, **more) -> str:
    number = drafted(client, quantity, **more).json()["purchaseOrderId"]
    assert client.post(f"/purchaseOrders/{number}/send").status_code == 200
    return number


def receive(client, quantity, number=None, line=None, **more):
    lines = [{"productId": "OIL", "quantity": quantity} | (line or {})]
    named = {"purchaseOrderId": number} if number else {}
    return client.post("/receipts", named | {"warehouseLocation": "W1", "lines": lines} | more)


def announce(client, number, quantity=40, despatch="D-1", **more):
    line = {"productId": "OIL", "quantity": quantity, "sscc": CARTON} | ({"purchaseOrderId": number} if number else {})
    packages = [{"sscc": CARTON, "parentSscc": PALLET}, {"sscc": PALLET}]
    body = {"despatchNumber": despatch, "warehouseLocation": "W1", "packages": packages, "lines": [line]}
    return client.post("/advanceShipNotices", body | more)


def test_an_order_goes_from_draft_to_received_and_each_party_does_its_part(api, house, supplier, keeper, oil):
    ours, theirs, dock = api(house), api(supplier), api(keeper)
    answer = drafted(ours)
    order = answer.json()
    page = f"/purchaseOrders/{order['purchaseOrderId']}"
    assert (answer.status_code, answer["Location"], order["status"]) == (201, f"/api/v1{page}", "draft")
    assert (order["currency"], order["lines"][0]["unitCost"], order["lines"][0]["supplierCode"]) == (
        "EUR",
        "2.5000",
        "V-OIL",
    )
    assert theirs.get(page).status_code == dock.get(page).status_code == 404
    assert ours.post(f"{page}/send").json()["status"] == "sent"
    said = {"lines": [{"lineNumber": 1, "quantity": 90, "expectedDate": "2090-06-01"}]}
    confirmed = theirs.post(f"{page}/confirm", said).json()
    assert (confirmed["status"], confirmed["lines"][0]["openQuantity"]) == ("confirmed", 90)
    receipt = receive(dock, 60, order["purchaseOrderId"], deliveryNote="LS-1")
    assert (receipt.status_code, receipt.json()["lines"][0]["outcome"]) == (201, "under")
    seen = theirs.get(page).json()
    assert (seen["status"], seen["lines"][0]["receivedQuantity"], seen["lines"][0]["openQuantity"]) == (
        "partiallyReceived", 60, 30)  # fmt: skip
    closed = ours.post(f"{page}/close").json()
    assert (closed["status"], closed["lines"][0]["closing"]) == ("received", "short")
    assert shelf() == {"OIL/sellable": 60}


def test_what_was_ordered_is_promised_by_its_day_and_no_longer_when_it_is_cancelled(
    api, house, supplier, retailer, oil
):
    ours, buyer = api(house), api(retailer)
    day = timezone.now().date() + timedelta(days=9)

    def asked() -> dict:
        return buyer.post("/availability", {"lines": [{"productId": "OIL", "quantity": 70}]}).json()["lines"][0]

    number = sent(ours, expectedDate=None)
    nothing = (0, None, [])
    told = asked()
    assert (told["availableQuantity"], told["earliestDate"]) == nothing[:2]
    api(supplier).post(f"/purchaseOrders/{number}/confirm", {"expectedDate": day.isoformat()})
    told = asked()
    assert (told["availableQuantity"], told["isAvailable"], told["earliestDate"]) == (0, False, day.isoformat())
    assert told["byDate"][-1] == {"date": day.isoformat(), "quantity": 100}
    receive(ours, 40, number)
    told = asked()
    assert (told["availableQuantity"], told["earliestDate"], told["byDate"][-1]["quantity"]) == (
        40,
        day.isoformat(),
        100,
    )
    ours.post(f"/purchaseOrders/{number}/cancel")
    told = asked()
    assert (told["availableQuantity"], told["earliestDate"], told["byDate"][-1]["quantity"]) == (40, None, 40)
    assert Inbound.objects.count() == 0


def test_a_supplier_sees_and_confirms_its_own_orders_and_no_others(api, house, supplier, oil):
    ours, other = api(house), api(make.make_partner(code="SUP-2", kind="supplier"))
    number = sent(ours)
    drafted(ours)
    assert [row["purchaseOrderId"] for row in api(supplier).get("/purchaseOrders").json()["items"]] == [number]
    assert other.get("/purchaseOrders").json()["items"] == []
    assert other.post(f"/purchaseOrders/{number}/confirm").status_code == 404
    assert PurchaseOrder.objects.get(number=number).status == "sent"


@pytest.mark.parametrize("who", ["supplier", "keeper", "retailer"])
def test_steps_are_for_those_they_are_for(api, request, house, supplier, keeper, retailer, oil, who):
    client = api(request.getfixturevalue(who))
    ours = api(house)
    number = sent(ours)
    asn = announce(ours, number, supplierId="SUP-1").json()["asnId"]
    receipt = receive(ours, 1, number).json()["receiptId"]
    before = everything()
    hidden = 404 if who == "retailer" else 403
    for path, body, status in [
        (f"/purchaseOrders/{number}/send", None, hidden),
        (f"/purchaseOrders/{number}/cancel", None, hidden),
        (f"/purchaseOrders/{number}/close", {}, hidden),
        (f"/receipts/{receipt}/charges", {}, hidden),
    ]:
        assert client.post(path, body).status_code == status, path
    assert drafted(client).status_code == 403
    if who != "supplier":
        assert client.post(f"/purchaseOrders/{number}/confirm").status_code == hidden
        assert client.post(f"/advanceShipNotices/{asn}/withdraw").status_code == hidden
        assert announce(client, number, despatch="D-2").status_code == 403
    if who != "keeper":
        assert receive(client, 1, number).status_code == 403
    assert everything() == before


def test_a_warehouse_receives_only_what_comes_to_it(api, house, oil):
    number = sent(api(house))
    elsewhere = api(make.make_partner(code="3PL-2", kind="logistics", granted_warehouses=["W2"]))
    make.make_warehouse(code="W2")
    before = everything()
    assert elsewhere.get("/purchaseOrders").json()["items"] == []
    for body in ({}, {"warehouseLocation": "W2"}):
        answer = receive(elsewhere, 5, number, **body)
        assert answer.status_code == 422, body
    assert receive(elsewhere, 5).json()["errors"][0]["field"] == "warehouseLocation"
    assert everything() == before


def test_a_3pl_does_not_learn_what_the_goods_cost(api, house, keeper, oil):
    ours, dock = api(house), api(keeper)
    number = sent(ours)
    receipt = receive(ours, 3, number).json()["receiptId"]
    bill = {"kind": "freight", "reference": "F-1", "amount": "9.99", "currency": "EUR", "spreadBy": "value"}
    charged = ours.post(f"/receipts/{receipt}/charges", bill)
    assert (charged.status_code, charged.json()["lines"][0]["landed"][0]["amount"]) == (201, "9.9900")
    assert dock.get(f"/purchaseOrders/{number}").json()["lines"][0]["unitCost"] is None
    seen = dock.get(f"/receipts/{receipt}").json()
    assert (seen["charges"], seen["lines"][0]["landed"]) == ([], [])


def test_a_quantity_the_supplier_does_not_take_is_a_409_with_what_it_would_take(api, house, oil):
    oil.supplier_items.update(minimum_quantity=50, order_multiple=20)
    answer = drafted(api(house), 30)
    assert (answer.status_code, answer.json()["code"]) == (409, "offer_not_met")
    assert answer.json()["lines"][0]["proposedQuantity"] == 60
    assert PurchaseOrder.objects.count() == 0


def test_more_than_was_agreed_is_a_409_line_by_line_and_nobody_outside_can_accept_it(api, house, supplier, oil):
    agree(supplier, over_percent=10)
    client = api(house)
    number = sent(client)
    before = everything()
    answer = receive(client, 111, number)
    assert (answer.status_code, answer.json()["code"]) == (409, "over_delivery")
    assert answer.json()["lines"][0] == {
        "productId": "OIL", "lineNumber": 1, "ordered": 100, "received": 0, "delivered": 111, "allowed": 110,
    }  # fmt: skip
    assert everything() == before
    taken = receive(client, 110, number).json()
    assert [(line["quantity"], line["outcome"]) for line in taken["lines"]] == [(100, "asOrdered"), (10, "over")]


def test_a_delivery_note_is_booked_once_whatever_the_key(api, house, oil):
    client = api(house)
    number = sent(client)
    first = receive(client, 40, number, deliveryNote="LS-1")
    again = receive(client, 40, number, deliveryNote="LS-1")
    other = receive(client, 41, number, deliveryNote="LS-1")
    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 409)
    assert again.json()["receiptId"] == first.json()["receiptId"] == other.json()["receiptId"]
    assert (other.json()["code"], shelf()) == ("delivery_note_reused", {"OIL/sellable": 40})


def test_a_key_books_once_and_answers_again(api, house, oil):
    client = api(house)
    number = sent(client)
    body = {"purchaseOrderId": number, "warehouseLocation": "W1", "lines": [{"productId": "OIL", "quantity": 40}]}
    first, twin = (client.post("/receipts", body, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert (first.content, twin["Idempotent-Replayed"], Receipt.objects.count()) == (twin.content, "true", 1)
    assert client.post("/receipts", body, headers={"Idempotency-Key": None}).status_code == 400


def test_who_decided_on_another_version_is_refused(api, house, supplier, oil):
    client = api(supplier)
    number = sent(api(house))
    seen = client.get(f"/purchaseOrders/{number}")["ETag"]
    page = f"/purchaseOrders/{number}/confirm"
    assert client.post(page, {}, headers={"If-Match": seen}).status_code == 200
    stale = client.post(page, {"expectedDate": "2091-01-01"}, headers={"If-Match": seen})
    assert (stale.status_code, stale.json()["code"]) == (412, "precondition_failed")
    assert (
        client.get(f"/purchaseOrders/{number}", headers={"If-None-Match": stale.json()["currentEtag"]}).status_code
        == 304
    )
    assert Inbound.objects.get().expected_on == date(2090, 5, 1)


def test_what_a_supplier_announced_is_received_without_naming_it_again(api, house, supplier, keeper, oil):
    number = sent(api(house))
    theirs = api(supplier)
    announced = announce(theirs, number)
    notice = announced.json()
    assert (announced.status_code, notice["status"], notice["lines"][0]["sscc"]) == (201, "announced", CARTON)
    assert {row["sscc"]: row["parentSscc"] for row in notice["packages"]} == {CARTON: PALLET, PALLET: None}
    assert announce(theirs, number).status_code == 200
    other = announce(theirs, number, quantity=41)
    assert (other.status_code, other.json()["code"], other.json()["asnId"]) == (
        409,
        "despatch_number_reused",
        notice["asnId"],
    )
    dock = api(keeper)
    assert [row["asnId"] for row in dock.get(f"/advanceShipNotices?sscc={CARTON}").json()["items"]] == [notice["asnId"]]
    said = {"asnId": notice["asnId"], "warehouseLocation": "W1", "deliveryNote": "LS-9"}
    receipt = dock.post("/receipts", said).json()
    same = dock.post("/receipts", said)
    assert (same.status_code, same.json()["receiptId"]) == (200, receipt["receiptId"])
    assert [(row["purchaseOrderId"], row["quantity"]) for row in receipt["lines"]] == [(number, 40)]
    assert theirs.get(f"/advanceShipNotices/{notice['asnId']}").json()["status"] == "received"
    assert [row["receiptId"] for row in theirs.get(f"/receipts?purchaseOrderId={number}").json()["items"]] == [
        receipt["receiptId"]
    ]
    again = dock.post("/receipts", {"asnId": notice["asnId"], "warehouseLocation": "W1"})
    assert (again.status_code, again.json()["code"], shelf()) == (409, "illegal_step", {"OIL/sellable": 40})


def test_a_notice_that_was_wrong_is_withdrawn_and_announced_anew(api, house, supplier, oil):
    number = sent(api(house))
    theirs = api(supplier)
    first = announce(theirs, number).json()["asnId"]
    taken = announce(theirs, number, despatch="D-2")
    assert (taken.status_code, taken.json()["code"], taken.json()["sscc"]) == (409, "package_on_its_way", PALLET)
    assert theirs.post(f"/advanceShipNotices/{first}/withdraw").json()["status"] == "withdrawn"
    assert announce(theirs, number, despatch="D-2").status_code == 201


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"packages": [{"sscc": "395012345678900013"}]}, "packages[0].sscc"),
        ({"warehouseLocation": "W9"}, "warehouseLocation"),
        ({"supplierId": "SUP-2"}, "supplierId"),
        ({"lines": [{"productId": "NONE", "quantity": 1}]}, "lines[0].productId"),
        ({"lines": [{"productId": "OIL", "quantity": 1, "purchaseOrderId": "PO-X"}]}, "lines[0].purchaseOrderId"),
    ],
)
def test_a_notice_that_cannot_be_meant_is_a_422_that_names_the_field(api, house, supplier, oil, change, field):
    number = sent(api(house))
    make.make_partner(code="SUP-2", kind="supplier")
    answer = announce(api(supplier), number, **change)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert AdvanceShipNotice.objects.count() == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"purchaseOrderId": "PO-X"}, "purchaseOrderId"),
        ({"asnId": "ASN-X"}, "asnId"),
        ({"supplierId": "RET-1"}, "supplierId"),
        ({"warehouseLocation": "W9"}, "warehouseLocation"),
        ({"deliveryNote": "LS-9"}, "supplierId"),
        ({"lines": [{"productId": "NONE", "quantity": 1}]}, "lines[0].productId"),
        ({"lines": [{"productId": "OIL", "quantity": 1, "location": "Z-9"}]}, "lines[0].location"),
        ({"lines": []}, "lines"),
    ],
)
def test_a_receipt_that_cannot_be_meant_is_a_422_that_names_the_field(api, house, retailer, oil, body, field):
    before = everything()
    answer = receive(api(house), 1, **body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert everything() == before


def test_goods_nobody_ordered_are_received_blind_by_the_terms_of_their_supplier(api, keeper, supplier, oil):
    agree(supplier, quality_plan="all")
    answer = receive(api(keeper), 5, supplierId="SUP-1", deliveryNote="LS-3").json()
    assert (answer["lines"][0]["outcome"], answer["lines"][0]["hold"]) == ("unordered", "qualityPlan")
    assert shelf() == {"OIL/quarantine": 5}


def test_lists_cost_the_same_however_long(api, house, oil, django_assert_max_num_queries):
    client = api(house)
    for _ in range(3):
        receive(client, 1, sent(client))
    for path in ("/purchaseOrders", "/receipts", "/advanceShipNotices"):
        with django_assert_max_num_queries(12):
            client.get(path)


def test_a_supplier_confirms_for_today_or_later_but_announces_what_is_late(api, house, supplier, oil):
    number = sent(api(house))
    client, today = api(supplier), timezone.now().date()
    over, before = (today - timedelta(days=1)).isoformat(), everything()
    page = f"/purchaseOrders/{number}/confirm"
    for body, field in (
        ({"expectedDate": over}, "expectedDate"),
        ({"lines": [{"lineNumber": 1, "expectedDate": over}]}, "lines[0].expectedDate"),
    ):
        answer = client.post(page, body)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert everything() == before
    assert client.post(page, {"expectedDate": today.isoformat()}).status_code == 200
    late = announce(client, number, expectedDate=over)
    assert (late.status_code, late.json()["expectedDate"]) == (201, over)


@pytest.mark.parametrize("currency", ["EUR", "USD"])
def test_who_buys_is_told_of_costs_that_are_not_booked_and_nobody_else(api, house, keeper, supplier, oil, currency):
    client, line = api(house), {"productId": "OIL", "quantity": 100, "unitCost": "2.00"}
    drafted_one = drafted(client, currency=currency, lines=[line]).json()
    number = drafted_one["purchaseOrderId"]
    client.post(f"/purchaseOrders/{number}/send")
    expected = [] if currency == "EUR" else [("costs_not_booked", ["USD"])]

    def told(body: dict) -> list[tuple]:
        return [(row["code"], row["currencies"]) for row in body["warnings"]]

    assert told(drafted_one) == expected
    assert api(supplier).get(f"/purchaseOrders/{number}").json()["warnings"] == []
    posted = receive(api(keeper), 100, number).json()
    assert posted["warnings"] == []
    page = f"/receipts/{posted['receiptId']}"
    assert told(client.get(page).json()) == expected
    freight = {"kind": "freight", "reference": "F-1", "amount": "10", "currency": "CHF", "spreadBy": "quantity"}
    charged = client.post(f"{page}/charges", freight).json()
    assert charged["warnings"][0]["currencies"] == sorted(["CHF", *([] if currency == "EUR" else ["USD"])])
