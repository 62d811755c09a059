"""A promise an order has taken over ends with the order, not behind its back."""

from __future__ import annotations

import pytest

from stock.models import Reservation
from tests.orders.steps import book, order_of


@pytest.mark.parametrize(("verb", "body"), [("release", {}), ("commit", {}), ("extend", {"expiresInSeconds": 60})])
def test_a_reservation_an_order_holds_is_let_go_by_the_order_alone(api, retailer, shop, verb, body):
    client = api(retailer)
    lines = [{"productId": "SAUCE", "quantity": 7}]
    held = client.post("/reservations", {"reference": "cart", "lines": lines}).json()["reservationId"]
    order = client.post("/orders", order_of(reservationId=held)).json()
    before = book()
    refused = client.post(f"/reservations/{held}/{verb}", body)
    assert (refused.status_code, refused.json()["code"]) == (409, "held_by_order")
    assert (book(), Reservation.objects.get().state) == (before, "open")
    client.post(f"/orders/{order['orderId']}/cancel")
    assert Reservation.objects.get().state == "released"
    assert sum(reserved for _, reserved in book().values()) == 0
