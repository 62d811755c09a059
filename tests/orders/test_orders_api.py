"""Orders from placing to the last return, over the API."""

from __future__ import annotations

from datetime import date

import pytest

from orders.models import Order, OrderLine, Return, Shipment
from partners.models import OutboxEvent
from stock import queries
from stock.models import Batch, Level, Movement, Reservation
from tests import make

SHIP_TO = {"name": "Store 12", "country": "US", "postalCode": "38103"}


@pytest.fixture
def shop(supplier):
    """A sauce in two batches at W1 (5 early, 10 late) and one (20) at W2; a part at W1."""
    sauce = make.make_variant(sku="SAUCE", suppliers=[supplier], tracking="batch")
    rotor = make.make_variant(sku="ROTOR", suppliers=[make.make_partner(code="SUP-2", kind="supplier")])
    west, east = make.make_warehouse(code="W1"), make.make_warehouse(code="W2")
    for number, warehouse, on_hand, expires_on in [
        ("EARLY", west, 5, date(2090, 1, 1)),
        ("LATE", west, 10, date(2091, 1, 1)),
        ("EAST", east, 20, date(2092, 1, 1)),
    ]:
        make.make_level(variant=sauce, warehouse=warehouse, on_hand=on_hand, batch_number=number, expires_on=expires_on)
    make.make_level(variant=rotor, warehouse=west, on_hand=8)
    return sauce


def order_of(quantity: int = 7, reference: str = "PO-1", **more):
    lines = [{"productId": "SAUCE", "quantity": quantity}]
    return {"externalReference": reference, "shipTo": SHIP_TO, "lines": lines} | more


def leaving(order: dict, quantity: int, tracking: str = "1Z1", **more):
    line = {"productId": "SAUCE", "quantity": quantity} | more.pop("line", {})
    base = {"orderId": order["orderId"], "warehouseLocation": "W1", "carrier": "UPS", "trackingNumber": tracking}
    return base | {"lines": [line]} | more


def book() -> dict[str, tuple[int, int]]:
    """(on hand, reserved) by batch and condition, where there is anything."""
    return {
        f"{level.batch.number if level.batch else '-'}/{level.condition}": (level.on_hand, level.reserved)
        for level in Level.objects.select_related("batch")
    }


def confirmed(client, quantity: int = 7) -> dict:
    order = client.post("/orders", order_of(quantity)).json()
    client.post(f"/orders/{order['orderId']}/confirm")
    return order


def shipped(client, quantity: int = 7) -> dict:
    order = confirmed(client, quantity)
    assert client.post("/shipments", leaving(order, quantity)).status_code == 201
    return order


def test_place_promises_every_line_and_says_from_where(api, retailer, shop):
    answer = api(retailer).post("/orders", order_of())
    body = answer.json()
    assert (answer.status_code, body["status"], body["retailPartnerId"]) == (201, "pending", "RET-1")
    [line] = body["lines"]
    assert (line["lineId"], line["reservedQuantity"], line["shippedQuantity"], line["backorderedQuantity"]) == (
        "1",
        7,
        0,
        0,
    )
    assert [(row["batchNumber"], row["quantity"]) for row in line["allocations"]] == [("EARLY", 5), ("LATE", 2)]
    assert answer["Location"] == f"/api/v1/orders/{body['orderId']}"
    assert OutboxEvent.objects.filter(type="order.created").count() == 1


def test_place_refuses_when_short_and_keeps_nothing(api, retailer, shop):
    before = book()
    answer = api(retailer).post("/orders", order_of(36))
    assert (answer.status_code, answer.json()["code"]) == (409, "insufficient_stock")
    assert answer.json()["shortages"] == [{"productId": "SAUCE", "requested": 36, "available": 35}]
    assert (book(), Order.objects.count(), Reservation.objects.count()) == (before, 0, 0)


def test_with_backorder_the_rest_waits(api, retailer, shop):
    [line] = api(retailer).post("/orders", order_of(40, allowBackorder=True)).json()["lines"]
    assert (line["reservedQuantity"], line["backorderedQuantity"]) == (35, 5)


def test_the_same_reference_answers_the_same_order_and_with_other_content_conflicts(api, retailer, shop):
    client = api(retailer)
    first = client.post("/orders", order_of())
    again = client.post("/orders", order_of())
    assert (again.status_code, again.json()["orderId"]) == (200, first.json()["orderId"])
    other = client.post("/orders", order_of(8))
    assert (other.status_code, other.json()["code"]) == (409, "reference_reused")
    assert Order.objects.count() == 1
    assert sum(reserved for _, reserved in book().values()) == 7


def test_an_order_takes_a_reservation_over_and_it_no_longer_runs_out(api, retailer, shop):
    client = api(retailer)
    held = client.post("/reservations", {"reference": "cart", "lines": [{"productId": "SAUCE", "quantity": 7}]}).json()
    before = book()
    order = client.post("/orders", order_of(reservationId=held["reservationId"])).json()
    assert order["reservationId"] == held["reservationId"]
    assert book() == before
    path = f"/reservations/{held['reservationId']}"
    assert client.get(path).json()["expiresAt"] is None
    for verb, body in (("release", {}), ("commit", {}), ("extend", {"expiresInSeconds": 60})):
        refused = client.post(f"{path}/{verb}", body)
        assert (refused.status_code, refused.json()["code"]) == (409, "held_by_order")
    assert book() == before
    twice = client.post("/orders", order_of(reference="PO-2") | {"reservationId": held["reservationId"]})
    assert (twice.status_code, twice.json()["errors"][0]["field"]) == (422, "reservationId")
    assert Order.objects.count() == 1


@pytest.mark.parametrize("quantity", [6, 8])
def test_a_reservation_of_other_lines_is_not_taken_over(api, retailer, shop, quantity):
    client = api(retailer)
    held = client.post("/reservations", {"reference": "cart", "lines": [{"productId": "SAUCE", "quantity": 7}]}).json()
    answer = client.post("/orders", order_of(quantity, reservationId=held["reservationId"]))
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "reservationId")
    assert Order.objects.count() == 0
    assert client.get(f"/reservations/{held['reservationId']}").json()["expiresAt"] is not None


def test_a_foreign_reservation_or_partner_in_the_body_is_refused(api, retailer, stranger, shop):
    held = (
        api(retailer).post("/reservations", {"reference": "c", "lines": [{"productId": "SAUCE", "quantity": 7}]}).json()
    )
    theirs = api(stranger)
    for change, field in (
        ({"reservationId": held["reservationId"]}, "reservationId"),
        ({"retailPartnerId": "RET-1"}, "retailPartnerId"),
    ):
        answer = theirs.post("/orders", order_of(**change))
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert Order.objects.count() == 0


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"externalReference": ""}, "externalReference"),
        ({"externalReference": 7}, "externalReference"),
        ({"shipTo": None}, "shipTo"),
        ({"shipTo": {"name": "x", "postalCode": "1"}}, "shipTo.country"),
        ({"shipTo": SHIP_TO | {"country": "usa"}}, "shipTo.country"),
        ({"type": "gift"}, "type"),
        ({"reservationId": "x"}, "reservationId"),
        ({"requestedDeliveryDate": "soon"}, "requestedDeliveryDate"),
        ({"lines": []}, "lines"),
        ({"lines": [{"productId": "SAUCE", "quantity": "7"}]}, "lines[0].quantity"),
        ({"lines": [{"productId": "SAUCE", "quantity": 10**13}]}, "lines[0].quantity"),
        ({"lines": [{"productId": "NONE", "quantity": 1}]}, "lines[0].productId"),
        ({"lines": [{"productId": "SAUCE", "quantity": 1, "unitPrice": "-1"}]}, "lines[0].unitPrice"),
        ({"lines": [{"lineId": "a", "productId": "SAUCE", "quantity": 1}] * 2}, "lines[1].lineId"),
        ({"lines": [{"productId": "SAUCE", "quantity": 1}] * 10_000}, "lines"),
    ],
)
def test_an_order_that_cannot_be_understood_is_refused_by_field(api, retailer, shop, change, field):
    before = book()
    answer = api(retailer).post("/orders", order_of() | change)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert (book(), Order.objects.count()) == (before, 0)


def test_cancel_frees_exactly_what_the_order_holds_and_twice_answers_the_same(api, retailer, shop):
    client = api(retailer)
    before = book()
    kept = client.post("/orders", order_of(3, "PO-OTHER")).json()
    middle = book()
    order = client.post("/orders", order_of()).json()
    answers = [client.post(f"/orders/{order['orderId']}/cancel") for _ in range(2)]
    assert [(answer.status_code, answer.json()["status"]) for answer in answers] == [(200, "cancelled")] * 2
    assert book() == middle
    client.post(f"/orders/{kept['orderId']}/cancel")
    assert book() == before
    assert OutboxEvent.objects.filter(type="order.cancelled").count() == 2


def test_steps_that_the_table_does_not_know_are_refused(api, retailer, shop):
    client = api(retailer)
    order = client.post("/orders", order_of()).json()
    path = f"/orders/{order['orderId']}"
    packed = client.post(f"{path}/pack")
    assert (packed.status_code, packed.json()["code"]) == (409, "illegal_step")
    refused = client.post("/shipments", leaving(order, 7))
    assert (refused.status_code, refused.json()["currentStatus"]) == (409, "pending")
    assert client.get(path).json()["status"] == "pending"
    assert Shipment.objects.count() == 0


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
    assert queries.prove_ledger().differences == []


def test_two_rows_of_one_line_in_one_shipment_do_not_count_on_the_same_units(api, retailer, shop):
    client = api(retailer)
    order = confirmed(client)
    body = leaving(order, 5) | {"lines": [{"productId": "SAUCE", "quantity": 5}, {"productId": "SAUCE", "quantity": 2}]}
    rows = client.post("/shipments", body).json()["lines"]
    assert [(row["batchNumber"], row["quantity"]) for row in rows] == [("EARLY", 5), ("LATE", 2)]
    assert queries.prove_ledger().differences == []


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
    assert queries.prove_ledger().differences == []


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
    client.post("/shipments", leaving(order, 5))
    before = book()
    answer = client.post("/shipments", leaving(order, 2))
    assert (answer.status_code, answer.json()["code"]) == (409, "tracking_taken")
    assert book() == before


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
    ],
)
def test_a_shipment_that_cannot_be_understood_is_refused_by_field(api, retailer, shop, change, field):
    client = api(retailer)
    order = confirmed(client)
    before = book()
    answer = client.post("/shipments", leaving(order, 1) | change)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert (book(), Shipment.objects.count()) == (before, 0)


def come_back(client, order: dict, quantity: int = 2, **more):
    line = {"productId": "SAUCE", "quantity": quantity, "reason": "not wanted"} | more
    return client.post("/returns", {"orderId": order["orderId"], "lines": [line]})


@pytest.mark.parametrize(
    ("disposition", "after"),
    [
        ("restock", {"LATE/sellable": (10, 0), "LATE/quarantine": (0, 0)}),
        ("quarantine", {"LATE/quarantine": (2, 0)}),
        ("damaged", {"LATE/damaged": (2, 0), "LATE/quarantine": (0, 0)}),
        ("scrap", {"LATE/quarantine": (0, 0)}),
        ("returnToVendor", {"LATE/quarantine": (0, 0)}),
        ("warrantyClaim", {"LATE/quarantine": (2, 0)}),
    ],
)
def test_returned_goods_go_where_inspection_says(api, retailer, shop, disposition, after):
    client = api(retailer)
    order = shipped(client)
    returned = come_back(client, order, batchNumber="LATE").json()
    path = f"/returns/{returned['returnId']}"
    before = book()
    assert before["LATE/sellable"] == (8, 0)
    received = client.post(f"{path}/receive").json()
    assert (received["status"], received["warehouseLocation"]) == ("received", "W1")
    assert book() == before | {"LATE/quarantine": (2, 0)}
    verdict = {"lines": [{"productId": "SAUCE", "disposition": disposition}]}
    inspected = client.post(f"{path}/inspect", verdict).json()
    assert (inspected["status"], inspected["lines"][0]["disposition"]) == ("inspected", disposition)
    assert book() == before | after
    again = client.post(f"{path}/inspect", verdict)
    assert (again.status_code, again.json()["code"]) == (409, "illegal_step")
    assert queries.prove_ledger().differences == []


def test_more_than_was_shipped_never_comes_back(api, retailer, shop):
    client = api(retailer)
    order = shipped(client)
    assert come_back(client, order, 5).status_code == 201
    answer = come_back(client, order, 3)
    assert (answer.status_code, answer.json()["code"], answer.json()["returnable"]) == (409, "over_return", 2)
    assert (Return.objects.count(), OrderLine.objects.get().returned) == (1, 5)


@pytest.mark.parametrize("trouble", ["expired", "recalled", "unknown"])
def test_what_cannot_be_sold_again_is_not_restocked(api, retailer, shop, trouble):
    client = api(retailer)
    order = shipped(client)
    named = {} if trouble == "unknown" else {"batchNumber": "LATE"}
    returned = come_back(client, order, **named).json()
    path = f"/returns/{returned['returnId']}"
    client.post(f"{path}/receive")
    if trouble == "expired":
        Batch.objects.update(expires_on=date(2020, 1, 1))
    if trouble == "recalled":
        Batch.objects.update(hold_state="recalled")
    before = (book(), Movement.objects.count())
    answer = client.post(f"{path}/inspect", {"lines": [{"productId": "SAUCE", "disposition": "restock"}]})
    assert (answer.status_code, answer.json()["code"]) == (409, "cannot_restock")
    assert (book(), Movement.objects.count()) == before


@pytest.mark.parametrize(
    "lines",
    [
        [{"productId": "SAUCE", "quantity": 1, "disposition": "scrap"}],
        [{"productId": "SAUCE", "quantity": 3, "disposition": "scrap"}],
        [{"productId": "ROTOR", "disposition": "scrap"}],
    ],
)
def test_inspection_covers_every_unit_that_came_back_and_no_other(api, retailer, shop, lines):
    client = api(retailer)
    returned = come_back(client, shipped(client)).json()
    client.post(f"/returns/{returned['returnId']}/receive")
    before = book()
    answer = client.post(f"/returns/{returned['returnId']}/inspect", {"lines": lines})
    assert answer.status_code == 422
    assert book() == before


def test_a_stranger_sees_404_on_every_document_and_changes_none(api, retailer, stranger, shop):
    client = api(retailer)
    order = shipped(client)
    shipment = client.get("/shipments").json()["items"][0]["shipmentId"]
    returned = come_back(client, order).json()["returnId"]
    theirs, before = api(stranger), book()
    number = order["orderId"]
    for path in (f"/orders/{number}", f"/shipments/{shipment}", f"/returns/{returned}"):
        assert theirs.get(path).status_code == 404
    for path in (
        f"/orders/{number}/confirm", f"/orders/{number}/pack", f"/orders/{number}/cancel",
        f"/shipments/{shipment}/deliver", f"/returns/{returned}/receive", f"/returns/{returned}/inspect",
    ):  # fmt: skip
        assert theirs.post(path, {"lines": []}).status_code == 404, path
    assert theirs.post("/shipments", leaving(order, 1)).status_code == 422
    assert come_back(theirs, order).status_code == 422
    for path in ("/orders", "/shipments", "/returns"):
        assert theirs.get(path).json()["items"] == []
    assert book() == before


def test_a_supplier_sees_of_an_order_only_the_lines_of_its_products(api, retailer, supplier, shop):
    lines = [{"productId": "SAUCE", "quantity": 1}, {"productId": "ROTOR", "quantity": 2}]
    order = api(retailer).post("/orders", order_of() | {"lines": lines}).json()
    seen = api(supplier).get(f"/orders/{order['orderId']}").json()
    assert [line["productId"] for line in seen["lines"]] == ["SAUCE"]
    other = make.make_partner(code="SUP-3", kind="supplier")
    assert api(other).get(f"/orders/{order['orderId']}").status_code == 404
    told = OutboxEvent.objects.get(type="order.created").payload
    assert set(told) == {"orderId", "externalReference", "retailPartnerId", "status"}


def test_our_own_channel_orders_for_a_retailer_and_both_see_it(api, retailer, stranger, shop):
    channel = make.make_partner(code="WEB", kind="channel")
    placed = api(channel).post("/orders", order_of(retailPartnerId="RET-1"))
    assert (placed.status_code, placed.json()["retailPartnerId"]) == (201, "RET-1")
    path = f"/orders/{placed.json()['orderId']}"
    assert [api(who).get(path).status_code for who in (channel, retailer, stranger)] == [200, 200, 404]


def test_a_carrier_sees_orders_of_its_warehouses_only(api, retailer, shop):
    order = api(retailer).post("/orders", order_of()).json()
    for granted, status in ((["W1"], 200), (["W2"], 404), (None, 200)):
        carrier = make.make_partner(kind="logistics", granted_warehouses=granted)
        assert api(carrier).get(f"/orders/{order['orderId']}").status_code == status


def test_a_page_of_orders_costs_the_same_few_queries_however_long(api, retailer, shop, django_assert_num_queries):
    client = api(retailer)
    for number in range(6):
        client.post("/orders", order_of(1, f"PO-{number}"))
    with django_assert_num_queries(5):
        assert len(client.get("/orders").json()["items"]) == 6
