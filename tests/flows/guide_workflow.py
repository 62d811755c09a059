"""The guide's example workflow over HTTP, step by step, against any running site.

    python -m tests.flows.guide_workflow URL RETAILER_ID:SECRET SUPPLIER_ID:SECRET KEEPER_ID:SECRET SUPPLIER/PRODUCT \
        WAREHOUSE BATCH

A retailer reads a product's stock and orders; the supplier books movements and ships; the retailer follows
the order, the feed tells what happened; a return is announced by the retailer, and received and inspected by the 3PL
that keeps the goods. Every quantity is checked.
"""

from __future__ import annotations

import base64
import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable
from typing import Any


class Caller:
    """One partner's program: fetches its token once and speaks JSON."""

    def __init__(self, url: str, credentials: str) -> None:
        self.url = url.rstrip("/")
        basic = base64.b64encode(credentials.encode()).decode()
        form = urllib.parse.urlencode({"grant_type": "client_credentials"}).encode()
        request = urllib.request.Request(f"{self.url}/oauth/token", form, {"Authorization": f"Basic {basic}"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            self.token = json.load(answer)["access_token"]

    def call(self, method: str, path: str, body: Any = None, *, status: int = 200, **headers: str) -> Any:
        sent = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        if method == "POST":
            sent["Idempotency-Key"] = uuid.uuid4().hex
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/api/v1{path}", data, sent | headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                got, text = answer.status, answer.read()
        except urllib.error.HTTPError as refusal:
            got, text = refusal.code, refusal.read()
        if got != status:
            raise AssertionError(f"{method} {path}: {got} instead of {status}: {text.decode()[:500]}")
        return json.loads(text) if text else None


def run(
    *,
    retailer: Caller,
    supplier: Caller,
    keeper: Caller,
    product: str,
    warehouse: str,
    batch: str,
    relay: Callable[[], Any] = lambda: time.sleep(0.5),
    say: Callable[[str], None] = print,
) -> None:
    """`product` is SUPPLIER/SKU; `relay` is called while waiting for an event to reach the feed."""
    sku = product.split("/")[1]

    def stock() -> dict[str, int]:
        row = retailer.call("GET", f"/inventory/{product}")
        assert row["availableQuantity"] == row["inventoryLevel"] - row["reservedQuantity"]
        return {"level": row["inventoryLevel"], "reserved": row["reservedQuantity"]}

    def wait_for(event_type: str, after: int) -> dict[str, Any]:
        for _ in range(60):
            page = retailer.call("GET", f"/events?after={after}&types={event_type}")
            if page["items"]:
                return dict(page["items"][0])
            relay()
        raise AssertionError(f"no {event_type} after {after}")

    head = retailer.call("GET", "/events?limit=1&types=inventory.updated")["head"]
    before = stock()
    say(f"1. {sku}: {before['level']} on hand, {before['reserved']} reserved")

    supplier.call(
        "POST",
        f"/inventory/{product}",
        {"type": "receipt", "quantity": 24, "warehouseLocation": warehouse, "batchNumber": batch, "reference": "ASN-7"},
        status=201,
    )
    assert stock() == {"level": before["level"] + 24, "reserved": before["reserved"]}
    event = wait_for("inventory.updated", head)
    assert event["data"]["productId"] == sku, event
    say(f"2. the supplier booked 24 in; the feed says so at {event['sequence']}")

    order = retailer.call(
        "POST",
        "/orders",
        {
            "externalReference": f"PO-{uuid.uuid4().hex[:8]}",
            "shipTo": {
                "name": "Store 12",
                "street": "1 Main St",
                "city": "Memphis",
                "country": "US",
                "postalCode": "38103",
            },
            "lines": [{"productId": sku, "quantity": 10}],
        },
        status=201,
    )
    path = f"/orders/{order['orderId']}"
    assert order["status"] == "pending", order
    assert stock() == {"level": before["level"] + 24, "reserved": before["reserved"] + 10}
    retailer.call("POST", f"{path}/confirm")
    say(f"3. the retailer ordered 10: {order['orderId']}")

    shipment = supplier.call(
        "POST",
        "/shipments",
        {
            "orderId": order["orderId"],
            "warehouseLocation": warehouse,
            "carrier": "UPS",
            "trackingNumber": f"1Z{uuid.uuid4().hex[:16].upper()}",
            "lines": [{"productId": sku, "quantity": 10}],
        },
        status=201,
    )
    assert stock() == {"level": before["level"] + 14, "reserved": before["reserved"]}
    seen = retailer.call("GET", path)
    assert seen["status"] == "shipped", seen
    say(f"4. shipped with tracking {shipment['trackingNumber']}")

    supplier.call("POST", f"/shipments/{shipment['shipmentId']}/deliver")
    assert retailer.call("GET", path)["status"] == "delivered"
    say("5. delivered")

    returned = retailer.call(
        "POST",
        "/returns",
        {"orderId": order["orderId"], "lines": [{"productId": sku, "quantity": 2, "reason": "wrong flavour"}]},
        status=201,
    )
    arrived = f"/returns/{returned['returnId']}/receive"
    retailer.call("POST", arrived, {"warehouseLocation": warehouse}, status=403)
    keeper.call("POST", arrived, {"warehouseLocation": warehouse})
    assert stock() == {"level": before["level"] + 14, "reserved": before["reserved"]}, (
        "what came back is not sellable yet"
    )
    keeper.call(
        "POST",
        f"/returns/{returned['returnId']}/inspect",
        {"lines": [{"productId": sku, "quantity": 2, "disposition": "restock"}]},
    )
    assert stock() == {"level": before["level"] + 16, "reserved": before["reserved"]}
    for event_type in ("order.created", "order.shipped", "shipment.created", "order.delivered", "return.inspected"):
        wait_for(event_type, head)
    say(f"6. two came back and are sellable: {stock()['level']} on hand")


if __name__ == "__main__":
    url, retailer_id, supplier_id, keeper_id, product_path, code, lot = sys.argv[1:]
    run(
        retailer=Caller(url, retailer_id),
        supplier=Caller(url, supplier_id),
        keeper=Caller(url, keeper_id),
        product=product_path,
        warehouse=code,
        batch=lot,
    )
