"""Orders over the API: placing, the steps, and who sees what."""

from __future__ import annotations

import pytest

from orders.models import Order, Shipment
from partners.models import OutboxEvent
from stock.models import Reservation
from tests import make
from tests.orders.steps import SHIP_TO, book, come_back, keeper, leaving, order_of, shipped


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
    assert client.get(f"/reservations/{held['reservationId']}").json()["expiresAt"] is None


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
        ({"lines": [{"productId": "SAUCE", "quantity": 1, "currency": "EUR"}]}, "lines[0].currency"),
        ({"lines": [{"productId": "SAUCE", "quantity": 1, "unitPrice": "1", "currency": "eur"}]}, "lines[0].currency"),
        (
            {"lines": [{"productId": "SAUCE", "quantity": 1}, {"productId": "PARENT", "quantity": 1}]},
            "lines[1].productId",
        ),
        ({"lines": [{"lineId": "a", "productId": "SAUCE", "quantity": 1}] * 2}, "lines[1].lineId"),
        ({"lines": [{"productId": "SAUCE", "quantity": 1}] * 10_000}, "lines"),
    ],
)
def test_an_order_that_cannot_be_understood_is_refused_by_field(api, retailer, shop, change, field):
    make.make_variant(sku="PARENT", is_parent=True)
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
    packed = keeper().post(f"{path}/pack")
    assert (packed.status_code, packed.json()["code"]) == (409, "illegal_step")
    refused = client.post("/shipments", leaving(order, 7))
    assert (refused.status_code, refused.json()["currentStatus"]) == (409, "pending")
    assert client.get(path).json()["status"] == "pending"
    assert Shipment.objects.count() == 0


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


def test_a_carrier_sees_orders_of_its_warehouses_only(api, retailer, shop):
    order = api(retailer).post("/orders", order_of()).json()
    for granted, status in ((["W1"], 200), (["W2"], 404), (None, 200)):
        carrier = make.make_partner(kind="logistics", granted_warehouses=granted)
        assert api(carrier).get(f"/orders/{order['orderId']}").status_code == status


@pytest.mark.parametrize("path", ["/orders", "/shipments", "/returns"])
def test_a_page_costs_the_same_few_queries_however_long(api, retailer, shop, django_assert_num_queries, path):
    client = api(retailer)
    queries = {"/orders": 5, "/shipments": 4, "/returns": 3}[path]
    for number in range(6):
        order = client.post("/orders", order_of(1, f"PO-{number}")).json()
        client.post(f"/orders/{order['orderId']}/confirm")
        client.post("/shipments", leaving(order, 1, f"1Z{number}"))
        assert come_back(client, order, 1).status_code == 201
        if number in (1, 5):
            with django_assert_num_queries(queries):
                assert len(client.get(path).json()["items"]) == number + 1
