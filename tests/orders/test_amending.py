"""Orders change while they are under way, and their promises with them, unit by unit."""

from __future__ import annotations

import pytest

from orders.models import FulfilmentRequest, OrderLine
from partners.models import OutboxEvent, Partner
from tests.orders.steps import book, confirmed, leaving


@pytest.fixture
def buyer(api, retailer, shop):
    return api(retailer)


def amend(client, order: dict, *lines: dict, tag: str | None = None):
    path = f"/orders/{order['orderId']}"
    return client.patch(path, {"lines": list(lines)}, headers={"If-Match": tag or client.get(path)["ETag"]})


def reserved() -> int:
    return sum(units for _, units in book().values())


def test_fewer_are_wanted_and_exactly_those_are_free_again(buyer):
    order = confirmed(buyer)
    answer = amend(buyer, order, {"lineId": "1", "quantity": 4})
    assert (answer.status_code, answer.json()["lines"][0]["quantity"], reserved()) == (200, 4, 4)
    [request] = FulfilmentRequest.objects.all()
    assert [item.open_quantity for item in request.items.all()] == [4]
    assert OutboxEvent.objects.filter(type="order.amended").count() == 1


def test_more_are_wanted_and_promised(buyer):
    order = confirmed(buyer)
    assert amend(buyer, order, {"lineId": "1", "quantity": 12}).status_code == 200
    assert reserved() == 12
    assert sum(item.open_quantity for row in FulfilmentRequest.objects.all() for item in row.items.all()) == 12


def test_more_than_there_is_is_refused_and_nothing_changes(buyer):
    order = confirmed(buyer)
    before = book()
    answer = amend(buyer, order, {"lineId": "1", "quantity": 36})
    assert (answer.status_code, answer.json()["code"]) == (409, "insufficient_stock")
    assert answer.json()["shortages"] == [{"productId": "SAUCE", "requested": 36, "available": 35}]
    assert (book(), OrderLine.objects.get().quantity) == (before, 7)
    assert amend(buyer, order, {"lineId": "1", "quantity": 35}).status_code == 200


def test_of_what_left_and_what_others_hold_a_shortage_says_how_many_may_be_ordered(buyer):
    order = confirmed(buyer)
    buyer.post("/shipments", leaving(order, 5))
    buyer.post("/reservations", {"reference": "cart", "lines": [{"productId": "SAUCE", "quantity": 20}]})
    answer = amend(buyer, order, {"lineId": "1", "quantity": 16})
    assert answer.json()["shortages"] == [{"productId": "SAUCE", "requested": 16, "available": 15}]
    assert amend(buyer, order, {"lineId": "1", "quantity": 15}).status_code == 200


def test_what_is_free_besides_is_told_as_far_as_the_partner_may_know(api, retailer, buyer):
    order = confirmed(buyer)
    Partner.objects.filter(pk=retailer.pk).update(disclosure="capped", disclosure_cap=20)
    answer = amend(buyer, order, {"lineId": "1", "quantity": 36})
    assert answer.json()["shortages"] == [{"productId": "SAUCE", "requested": 36, "available": 27}]


def test_what_lies_in_one_warehouse_more_than_may_send_it_is_called_so(buyer):
    order = confirmed(buyer, allowSplit=False)
    before = book()
    answer = amend(buyer, order, {"lineId": "1", "quantity": 30})
    assert (answer.status_code, answer.json()["code"], answer.json()["warehousesMax"]) == (409, "too_many_shipments", 1)
    [short] = answer.json()["shortages"]
    assert (short["requested"], short["available"] + short["elsewhere"]) == (30, 30)
    assert short["available"] in {15, 20}
    assert (book(), OrderLine.objects.get().quantity) == (before, 7)
    assert amend(buyer, order, {"lineId": "1", "quantity": short["available"]}).status_code == 200


def test_a_line_comes_and_another_goes(buyer):
    order = confirmed(buyer)
    answer = amend(buyer, order, {"lineId": "2", "productId": "ROTOR", "quantity": 3}, {"lineId": "1", "quantity": 0})
    assert [(line["productId"], line["reservedQuantity"]) for line in answer.json()["lines"]] == [("ROTOR", 3)]
    assert reserved() == 3


def test_nothing_left_is_no_amendment_but_a_cancellation(buyer):
    order = confirmed(buyer)
    before = book()
    answer = amend(buyer, order, {"lineId": "1", "quantity": 0})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "lines")
    assert book() == before


def test_what_has_left_is_not_taken_off(buyer):
    order = confirmed(buyer)
    buyer.post("/shipments", leaving(order, 5))
    answer = amend(buyer, order, {"lineId": "1", "quantity": 4})
    assert (answer.status_code, answer.json()["code"], answer.json()["shipped"]) == (409, "already_shipped", 5)
    assert OrderLine.objects.get().quantity == 7


def test_the_rest_taken_off_the_order_is_shipped(buyer):
    order = confirmed(buyer)
    buyer.post("/shipments", leaving(order, 5))
    answer = amend(buyer, order, {"lineId": "1", "quantity": 5})
    assert (answer.json()["status"], reserved()) == ("shipped", 0)


def test_said_twice_it_changes_nothing_the_second_time(buyer):
    order = confirmed(buyer)
    amend(buyer, order, {"lineId": "1", "quantity": 4})
    version = buyer.get(f"/orders/{order['orderId']}").json()["version"]
    assert amend(buyer, order, {"lineId": "1", "quantity": 4}).json()["version"] == version


def test_another_product_is_another_line(buyer):
    order = confirmed(buyer)
    answer = amend(buyer, order, {"lineId": "1", "productId": "ROTOR", "quantity": 7})
    assert answer.status_code == 422
    assert OrderLine.objects.get().variant.sku == "SAUCE"


def test_from_a_stale_look_nothing_is_changed(buyer):
    order = confirmed(buyer)
    stale = buyer.get(f"/orders/{order['orderId']}")["ETag"]
    amend(buyer, order, {"lineId": "1", "quantity": 4})
    assert amend(buyer, order, {"lineId": "1", "quantity": 6}, tag=stale).status_code == 412
    assert OrderLine.objects.get().quantity == 4


def test_a_cancelled_order_is_not_amended(buyer):
    order = confirmed(buyer)
    buyer.post(f"/orders/{order['orderId']}/cancel")
    answer = amend(buyer, order, {"lineId": "1", "quantity": 4})
    assert (answer.status_code, answer.json()["code"]) == (409, "illegal_step")
