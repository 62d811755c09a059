"""What tests of shops' sales do again and again: sell, report, and read what was odd."""

from __future__ import annotations

from typing import Any

MONDAY = "2026-01-05T10:00:00Z"


def sale(sale_id: str, *lines: dict[str, Any], at: str = MONDAY, shop: str = "SHOP") -> dict[str, Any]:
    return {"saleId": sale_id, "occurredAt": at, "warehouseLocation": shop, "lines": list(lines)}


def of(sku: str, quantity: int, **more: Any) -> dict[str, Any]:
    return {"productId": sku, "quantity": quantity} | more


def report(client: Any, sequence: int, *sales: dict[str, Any], device: str = "TILL-1", **more: Any) -> Any:
    body = {"deviceId": device, "deviceSequence": sequence, "sales": list(sales)}
    return client.post("/pos/batches", body, **more)


def odd(answer: Any) -> list[tuple[str, str, int | None, bool]]:
    """(kind, sale, quantity, whether booked) of each exception."""
    return [(row["kind"], row["saleId"], row["quantity"], row["isBooked"]) for row in answer.json()["exceptions"]]
