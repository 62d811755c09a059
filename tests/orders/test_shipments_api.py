"""Shipments over the API: what leaves, what may not, and what arrives."""

from __future__ import annotations

import pytest

from orders.models import Shipment
from partners.models import OutboxEvent
from stock import proof
from tests import make
from tests.orders.steps import book, confirmed, leaving, order_of


def test_goods_leave_in_two_shipments_and_the_order_follows(api, retailer, shop):
    client = api(retailer)
    order = confirmed(client)
    path = f"/orders/{order['orderId']}"
    first = client.post("/shipments", leaving(order, 5, "1Z1")).json()
    assert [(row["batchNumber"], row["quantity"]) for row in first["lines"]] == [("EARLY", 5)]
    assert client.get(path).json()["status"] == "partiallyShipped"
    assert client.post(f"{path}/cancel").status_code == 409
    over = client.post("/shipments", leaving(order, 3, "1Z2"))
    assert (over.status_code, over.json()["code"], over.json()["open"]) == (409, "over_shipment", 2)
    second = client.post("/shipments", leaving(order, 2, "1Z2")).json()
    assert client.get(path).json()["status"] == "shipped"
    for shipment, status in ((first, "partiallyDelivered"), (second, "delivered")):
        client.post(f"/shipments/{shipment['shipmentId']}/deliver")
        assert client.get(path).json()["status"] == status
    assert book() == {"EARLY/sellable": (0, 0), "LATE/sellable": (8, 0), "EAST/sellable": (20, 0), "-/sellable": (8, 0)}
    assert proof.prove_ledger().differences == []


def test_two_rows_of_one_line_in_one_shipment_do_not_count_on_the_same_units(api, retailer, shop):
    client = api(retailer)
    order = confirmed(client)
    body = leaving(order, 5) | {"lines": [{"productId": "SAUCE", "quantity": 5}, {"productId": "SAUCE", "quantity": 2}]}
    rows = client.post("/shipments", body).json()["lines"]
    assert [(row["batchNumber"], row["quantity"]) for row in rows] == [("EARLY", 5), ("LATE", 2)]
    assert proof.prove_ledger().differences == []


@pytest.mark.parametrize(
    ("where", "after"),
    [
        ({"warehouseLocation": "W2"}, {"EARLY/sellable": (5, 0), "LATE/sellable": (10, 0), "EAST/sellable": (13, 0)}),
        (
            {"line": {"batchNumber": "LATE"}},
            {"EARLY/sellable": (5, 0), "LATE/sellable": (3, 0), "EAST/sellable": (20, 0)},
        ),
    ],
)
def test_where_other_goods_leave_than_promised_the_promise_is_moved(api, retailer, shop, where, after):
    client = api(retailer)
    order = confirmed(client)
    assert client.post("/shipments", leaving(order, 7, **where)).status_code == 201
    assert book() == after | {"-/sellable": (8, 0)}
    assert proof.prove_ledger().differences == []


def test_a_shipment_from_where_it_does_not_lie_is_refused_and_nothing_leaves(api, retailer, shop):
    client = api(retailer)
    order = confirmed(client, 12)
    before = book()
    answer = client.post("/shipments", leaving(order, 12, line={"batchNumber": "LATE"}))
    assert (answer.status_code, answer.json()["code"]) == (409, "insufficient_stock")
    assert (book(), Shipment.objects.count()) == (before, 0)


def test_a_tracking_number_is_booked_once(api, retailer, shop):
    client = api(retailer)
    order = confirmed(client)
    first = client.post("/shipments", leaving(order, 5)).json()["shipmentId"]
    before = book()
    answer = client.post("/shipments", leaving(order, 2))
    assert (answer.status_code, answer.json()["code"], answer.json()["shipmentId"]) == (409, "tracking_taken", first)
    assert book() == before
    stranger = api(make.make_partner())
    theirs = stranger.post("/orders", order_of(2)).json()
    stranger.post(f"/orders/{theirs['orderId']}/confirm")
    told = stranger.post("/shipments", leaving(theirs, 2)).json()
    assert (told["code"], told["shipmentId"], first in told["detail"]) == ("tracking_taken", None, False)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"orderId": "SO-0000-0000-0000"}, "orderId"),
        ({"warehouseLocation": "W9"}, "warehouseLocation"),
        ({"carrier": ""}, "carrier"),
        ({"trackingNumber": None}, "trackingNumber"),
        ({"sscc": "123456789012345678"}, "sscc"),
        ({"lines": []}, "lines"),
        ({"lines": [{"quantity": 1}]}, "lines[0].lineId"),
        ({"lines": [{"lineId": "9", "quantity": 1}]}, "lines[0].lineId"),
        ({"lines": [{"productId": "ROTOR", "quantity": 1}]}, "lines[0].productId"),
        ({"lines": [{"productId": "SAUCE", "quantity": 0}]}, "lines[0].quantity"),
        ({"lines": [{"productId": "SAUCE", "quantity": 1, "serialNumbers": ["a", "b"]}]}, "lines[0].serialNumbers"),
        ({"lines": [{"productId": "SAUCE", "quantity": 2, "serialNumbers": ["a", "a"]}]}, "lines[0].serialNumbers"),
        ({"lines": [{"productId": "SAUCE", "quantity": 7, "serialNumbers": ["a"]}]}, "lines[0].batchNumber"),
        ({"lines": [{"lineId": "1", "productId": "ROTOR", "quantity": 1}]}, "lines[0].productId"),
    ],
)
def test_a_shipment_that_cannot_be_understood_is_refused_by_field(api, retailer, shop, change, field):
    client = api(retailer)
    order = confirmed(client)
    before = book()
    answer = client.post("/shipments", leaving(order, 1) | change)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert (book(), Shipment.objects.count()) == (before, 0)


def test_serial_numbers_stay_with_the_batch_they_left_in(api, retailer, shop):
    client = api(retailer)
    order = confirmed(client)
    body = leaving(order, 2, line={"batchNumber": "LATE", "serialNumbers": ["a", "b"]})
    [line] = client.post("/shipments", body).json()["lines"]
    assert (line["batchNumber"], line["quantity"], line["serialNumbers"]) == ("LATE", 2, ["a", "b"])


def test_what_waits_for_stock_does_not_leave(api, retailer, shop):
    client = api(retailer)
    order = client.post("/orders", order_of(40, allowBackorder=True)).json()
    client.post(f"/orders/{order['orderId']}/confirm")
    for tracking, warehouse, quantity in (("1Z1", "W1", 15), ("1Z2", "W2", 20)):
        assert (
            client.post("/shipments", leaving(order, quantity, tracking, warehouseLocation=warehouse)).status_code
            == 201
        )
    before = book()
    rest = client.post("/shipments", leaving(order, 5, "1Z3"))
    assert (rest.status_code, rest.json()["code"]) == (409, "insufficient_stock")
    assert rest.json()["shortages"] == [{"productId": "SAUCE", "requested": 5, "available": 0}]
    assert (book(), Shipment.objects.count()) == (before, 2)
    seen = client.get(f"/orders/{order['orderId']}").json()
    assert (seen["status"], seen["lines"][0]["backorderedQuantity"]) == ("partiallyShipped", 5)


def test_a_supplier_ships_its_own_lines_only(api, retailer, supplier, shop):
    lines = [{"productId": "SAUCE", "quantity": 1}, {"productId": "ROTOR", "quantity": 2}]
    client, before = api(retailer), book()
    order = client.post("/orders", order_of(lines=lines)).json()
    client.post(f"/orders/{order['orderId']}/confirm")
    promised = book()
    refused = api(supplier).post("/shipments", leaving(order, 2, lines=[{"lineId": "2", "quantity": 2}]))
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "lines[0].lineId")
    assert (book(), Shipment.objects.count()) == (promised, 0)
    shipment = api(supplier).post("/shipments", leaving(order, 1)).json()
    assert [line["productId"] for line in shipment["lines"]] == ["SAUCE"]
    assert book()["EARLY/sellable"] == (before["EARLY/sellable"][0] - 1, 0)


def test_a_shipment_is_booked_only_from_a_warehouse_that_is_granted(api, retailer, shop):
    order = confirmed(api(retailer))
    carrier = make.make_partner(kind="logistics", granted_warehouses=["W1"])
    before = book()
    refused = api(carrier).post("/shipments", leaving(order, 7, warehouseLocation="W2"))
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "warehouseLocation")
    assert book() == before
    assert api(carrier).post("/shipments", leaving(order, 7)).status_code == 201


@pytest.mark.parametrize(
    ("sscc", "status"),
    [("340123450000000000", 201), ("340123450000000001", 422), ("34012345000000000", 422), ("106141411234567897", 201)],
)
def test_an_sscc_ends_in_its_check_digit(api, retailer, shop, sscc, status):
    client = api(retailer)
    order = confirmed(client)
    answer = client.post("/shipments", leaving(order, 7, sscc=sscc))
    assert (answer.status_code, Shipment.objects.count()) == (status, int(status == 201))


def test_delivered_twice_answers_the_same(api, retailer, shop):
    client = api(retailer)
    shipment = client.post("/shipments", leaving(confirmed(client), 7)).json()
    path = f"/shipments/{shipment['shipmentId']}/deliver"
    first, again = client.post(path), client.post(path)
    assert (first.status_code, again.status_code, first.json()) == (200, 200, again.json())
    assert OutboxEvent.objects.filter(type="order.delivered").count() == 1
