"""What tests of orders do again and again: ask, confirm, ship, send back, and look at the book."""

from __future__ import annotations

from partners.models import Partner
from stock.models import Level
from tests import make
from tests.conftest import ApiClient, api_of

SHIP_TO = {"name": "Store 12", "country": "US", "postalCode": "38103"}


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


def confirmed(client, quantity: int = 7, **more) -> dict:
    order = client.post("/orders", order_of(quantity, **more)).json()
    client.post(f"/orders/{order['orderId']}/confirm")
    return order


def shipped(client, quantity: int = 7) -> dict:
    order = confirmed(client, quantity)
    assert client.post("/shipments", leaving(order, quantity)).status_code == 201
    return order


def come_back(client, order: dict, quantity: int = 2, **more):
    line = {"productId": "SAUCE", "quantity": quantity, "reason": "not wanted"} | more
    return client.post("/returns", {"orderId": order["orderId"], "lines": [line]})


def keeper() -> ApiClient:
    """A program of the 3PL that keeps the goods of every warehouse: it says what came back."""
    found = Partner.objects.filter(code="KEEPER").first()
    return api_of(found or make.make_partner(code="KEEPER", kind="logistics"))
