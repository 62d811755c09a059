"""Every route of the document: whose thing it names, who may take the step, with which body, and which names in the
body are another's. A route that is not here fails `test_authority`.
"""

from __future__ import annotations

import copy
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from drf_spectacular.generators import SchemaGenerator

from tests.conftest import ApiClient
from tests.gate.world import HERE, SHIP_TO, Side, World, sscc

METHODS = ("get", "post", "put", "patch", "delete")
BASE = "/api/v1"


@cache
def document() -> dict[str, Any]:
    return SchemaGenerator().get_schema(request=None, public=True)


@cache
def routes() -> dict[tuple[str, str], str]:
    """The scope of each (method, path below /api/v1)."""
    return {
        (method.upper(), path.removeprefix(BASE)): operation["security"][0]["oauth2"][0]
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    }


def unknown(path: str) -> str:
    """The path of a thing nobody has."""
    return re.sub(r"\{\w+\}", lambda found: str(uuid.uuid4()), path)


Body = Callable[[Side], Any]


@dataclass(frozen=True)
class Write:
    """A step that `by` (supplier, retailer, keeper, house) may take with the `body`.

    `foreign`: places of the body, and what the other side would be named by there. `thing`: which of the side's ids
    (or, in capitals, of its products) the path names, if not its noun's; `status`: the answer when all is well.
    """

    by: str
    body: Body = lambda side: None
    foreign: dict[str, Body] | None = None
    thing: str = ""
    status: tuple[int, ...] = (200, 201, 202)
    needs_match: bool = False
    is_public: bool = False  # what it is asked about is not anybody's

    def client(self, world: World, side: Side) -> ApiClient:
        return world.house if self.by == "house" else side.clients[self.by]


def _sauce(side: Side) -> str:
    return side.called("SAUCE")


def _place(side: Side) -> str:
    return side.called("W1")


def _lines(side: Side) -> dict[str, Any]:
    return {"lines": [side.line()]}


def _booking(side: Side) -> dict[str, Any]:
    return {"type": "adjustment", "quantity": 1, "warehouseLocation": _place(side), "reason": "found"}


def _notice(side: Side) -> dict[str, Any]:
    line = side.line() | {"purchaseOrderId": side.ids["purchaseOrders"]}
    return {"despatchNumber": side.called("D-2"), "warehouseLocation": _place(side), "lines": [line]}


def _order(side: Side) -> dict[str, Any]:
    return {"externalReference": side.called("PO-2"), "shipTo": SHIP_TO, **_lines(side)}


def _product(side: Side) -> dict[str, Any]:
    return {"productId": side.called("FRESH"), "name": "Fresh", "productType": "general"}


def _changed(side: Side) -> dict[str, Any]:
    return {"productId": side.called("NEXT"), "name": "Next anew"}


def _shipment(side: Side) -> dict[str, Any]:
    sent = {"orderId": side.ids["confirmedOrder"], "warehouseLocation": _place(side), "carrier": "UPS"}
    return sent | {"trackingNumber": side.called("1Z2"), **_lines(side)}


def _transfer(side: Side) -> dict[str, Any]:
    return {"sourceWarehouse": _place(side), "targetWarehouse": side.called("W2"), **_lines(side)}


def _return(side: Side) -> dict[str, Any]:
    return {"orderId": side.ids["soldOrder"], "lines": [side.line(reason="broken")]}


def _receipt(side: Side) -> dict[str, Any]:
    return {"purchaseOrderId": side.ids["purchaseOrders"], "warehouseLocation": _place(side), **_lines(side)}


def _sale(side: Side) -> dict[str, Any]:
    when = "2026-01-01T00:00:00Z"
    sale = {"saleId": side.called("2"), "occurredAt": when, "warehouseLocation": _place(side), **_lines(side)}
    return {"deviceId": side.called("TILL"), "deviceSequence": 2, "sales": [sale]}


def _endpoint(side: Side) -> dict[str, Any]:
    return {"url": "https://hooks.example.com/new", "productIds": [_sauce(side)], "description": side.called("New")}


WRITES: dict[str, Write] = {
    "POST /advanceShipNotices": Write(
        "supplier", _notice,
        {
            "supplierId": lambda side: side.supplier.code, "warehouseLocation": _place,
            "lines.0.productId": _sauce, "lines.0.purchaseOrderId": lambda side: side.ids["purchaseOrders"],
        },
    ),
    "POST /advanceShipNotices/{asnId}/withdraw": Write("supplier"),
    "POST /apiKeys": Write("supplier", lambda side: {"name": side.called("ERP-2")}),
    "POST /apiKeys/{keyId}/revoke": Write("supplier"),
    "POST /availability": Write("retailer", _lines, {"lines.0.productId": _sauce}),
    "POST /barcodes/read": Write("retailer", lambda side: {"code": "4006381333931"}, is_public=True),
    "POST /batches/{productId}/{batchNumber}/lift": Write("house", lambda side: {"reason": "fine"}, status=(200, 409)),
    "POST /batches/{productId}/{batchNumber}/quarantine": Write("supplier", lambda side: {"reason": "smells"}),
    "POST /batches/{productId}/{batchNumber}/recall": Write("supplier", lambda side: {"reason": "glass"}),
    "POST /counts": Write("keeper", lambda side: {"warehouseLocation": _place(side)}, {"warehouseLocation": _place}),
    "POST /counts/{countId}/cancel": Write("keeper"),
    "POST /counts/{countId}/lines": Write(
        "keeper", lambda side: {"lines": [{"productId": side.called("HOT"), "counted": 60}]},
        {"lines.0.ownerId": lambda side: side.supplier.code},
    ),
    "POST /counts/{countId}/lines/{lineId}/approve": Write("house", thing="countLine"),
    "POST /counts/{countId}/lines/{lineId}/reject": Write("house", thing="countLine"),
    "POST /counts/{countId}/post": Write("keeper", lambda side: {"closeUncounted": True}),
    "POST /credentials/rotateSecret": Write("supplier", lambda side: {"clientSecret": side.ids["clientSecret"]}),
    "POST /deliveryDates": Write(
        "retailer", lambda side: _lines(side) | {"shipTo": HERE, "keep": True}, {"lines.0.productId": _sauce}
    ),
    "POST /feedback": Write(
        "retailer",
        lambda side: {
            "kind": "discrepancy", "productId": _sauce(side), "warehouseLocation": _place(side), "countedQuantity": 96,
        },
        {"productId": _sauce, "warehouseLocation": _place, "orderId": lambda side: side.ids["orders"]},
    ),
    "POST /fulfillmentRequests/{fulfillmentRequestId}/accept": Write("keeper"),
    "POST /fulfillmentRequests/{fulfillmentRequestId}/complete": Write(
        "keeper", lambda side: {"packages": [side.ids["packages"]]}, {"packages.0": lambda side: side.ids["packages"]}
    ),
    "POST /fulfillmentRequests/{fulfillmentRequestId}/packages": Write(
        "keeper", lambda side: _lines(side) | {"sscc": sscc(side, 3)}, {"lines.0.productId": _sauce}
    ),
    "POST /fulfillmentRequests/{fulfillmentRequestId}/reject": Write("keeper", lambda side: {"reason": "other"}, status=(200, 409)),
    "POST /imports": Write("supplier", lambda side: {"kind": "catalog", "items": [_changed(side)]}),
    "POST /imports/{importId}/start": Write("supplier", lambda side: {}),
    "POST /imports/{importId}/undo": Write("supplier", lambda side: {}, status=(409,)),
    "POST /inventory/{supplierId}/{productId}": Write(
        "supplier", _booking, {"warehouseLocation": _place, "ownerId": lambda side: side.supplier.code}
    ),
    "PATCH /inventory/{supplierId}/{productId}": Write(
        "supplier", lambda side: {"warehouseLocation": _place(side), "inventoryLevel": 120, "reason": "counted"},
        {"warehouseLocation": _place}, needs_match=True,
    ),
    "POST /inventory/breaks": Write(
        "supplier",
        lambda side: {
            "productId": side.called("CASE"), "direction": "open", "quantity": 1, "warehouseLocation": _place(side),
        },
        {"productId": lambda side: side.called("CASE"), "warehouseLocation": _place},
    ),
    "POST /inventory/moves": Write(
        "keeper",
        lambda side: {
            "productId": side.called("HOT"), "warehouseLocation": _place(side), "fromLocation": "MAIN",
            "toLocation": "A-01", "quantity": 1,
        },
        {"warehouseLocation": _place},
    ),
    "POST /inventory/ownership": Write(
        "house",
        lambda side: {
            "direction": "consign", "productId": side.called("HOT"), "warehouseLocation": _place(side),
            "ownerId": side.supplier.code, "quantity": 1,
        },
    ),
    "POST /inventory/transactions": Write(
        "supplier", lambda side: _booking(side) | {"productId": _sauce(side)},
        {"productId": _sauce, "warehouseLocation": _place, "ownerId": lambda side: side.supplier.code},
    ),
    "POST /orders": Write(
        "retailer", _order,
        {
            "retailPartnerId": lambda side: side.retailer.code, "reservationId": lambda side: side.ids["reservations"],
            "promiseId": lambda side: side.ids["promises"], "lines.0.productId": _sauce,
        },
    ),
    "PATCH /orders/{orderId}": Write(
        "retailer", lambda side: {"lines": [{"lineId": "9", "productId": side.called("HOT"), "quantity": 1}]},
        {"lines.0.productId": _sauce}, needs_match=True,
    ),
    "POST /orders/{orderId}/cancel": Write("retailer"),
    "POST /orders/{orderId}/confirm": Write("retailer"),
    "POST /orders/{orderId}/pack": Write("keeper", thing="confirmedOrder"),
    "POST /packages/{packageId}/unpack": Write("keeper"),
    "POST /pos/batches": Write("retailer", _sale),
    "POST /prices/lookup": Write("retailer", _lines, is_public=True),
    "POST /products": Write(
        "supplier", _product,
        {
            "parentId": lambda side: side.called("FAMILY"),
            "suppliers.0.supplierId": lambda side: side.supplier.code,
        },
    ),
    "PATCH /products/{productId}": Write(
        "supplier", lambda side: {"name": "Next anew"},
        {"parentId": lambda side: side.called("FAMILY")}, thing="NEXT", needs_match=True,
    ),
    "PUT /products/{productId}": Write(
        "supplier", _changed, {"parentId": lambda side: side.called("FAMILY")}, thing="NEXT", needs_match=True,
    ),
    "PUT /products/{productId}/components": Write(
        "supplier", lambda side: {"components": [{"productId": side.called("HOT"), "quantity": 1}]},
        {"components.0.productId": _sauce}, thing="KIT", needs_match=True,
    ),
    "PUT /products/{productId}/equivalents": Write(
        "supplier",
        lambda side: {
            "supersededBy": [{"productId": side.called("NEXT")}],
            "interchangeableWith": [{"productId": side.called("CASE")}],
        },
        {"supersededBy.0.productId": _sauce, "interchangeableWith.0.productId": _sauce},
        thing="KIT", needs_match=True,
    ),
    "POST /purchaseOrders": Write(
        "house", lambda side: {"supplierId": side.supplier.code, "warehouseLocation": _place(side), **_lines(side)}
    ),
    "POST /purchaseOrders/{purchaseOrderId}/cancel": Write("house", thing="draftOrder"),
    "POST /purchaseOrders/{purchaseOrderId}/close": Write("house", lambda side: {}),
    "POST /purchaseOrders/{purchaseOrderId}/confirm": Write("supplier", lambda side: {"expectedDate": "2090-01-01"}),
    "POST /purchaseOrders/{purchaseOrderId}/send": Write("house", thing="draftOrder"),
    "POST /recalls/{recallId}/close": Write("house"),
    "POST /receipts": Write(
        "keeper", _receipt,
        {"purchaseOrderId": lambda side: side.ids["purchaseOrders"], "warehouseLocation": _place},
    ),
    "POST /receipts/{receiptId}/charges": Write(
        "house",
        lambda side: {"kind": "freight", "reference": "F-1", "amount": "3.00", "currency": "EUR", "spreadBy": "quantity"},
    ),
    "POST /reservations": Write(
        "retailer", lambda side: {"reference": side.called("cart-2"), "lines": [side.line(warehouseLocation=_place(side))]},
        {"lines.0.productId": _sauce, "lines.0.warehouseLocation": _place},
    ),
    "POST /reservations/{reservationId}/commit": Write("retailer", lambda side: {}),
    "POST /reservations/{reservationId}/extend": Write("retailer", lambda side: {"expiresInSeconds": 60}),
    "POST /reservations/{reservationId}/release": Write("retailer"),
    "POST /retailPartners": Write("house", lambda side: {"retailPartnerId": side.called("NEW"), "name": "New"}),
    "PATCH /retailPartners/{retailPartnerId}": Write("retailer", lambda side: {"name": "Renamed"}, needs_match=True),
    "PUT /retailPartners/{retailPartnerId}": Write(
        "retailer", lambda side: {"retailPartnerId": side.retailer.code, "name": "Renamed"}, needs_match=True
    ),
    "POST /returns": Write(
        "retailer", _return,
        {
            "orderId": lambda side: side.ids["soldOrder"], "lines.0.productId": _sauce,
            "lines.0.exchangeFor": lambda side: side.called("HOT"),
        },
    ),
    "POST /returns/{returnId}/inspect": Write(
        "keeper", lambda side: {"lines": [{"productId": _sauce(side), "disposition": "restock"}]}, thing="receivedReturn",
        status=(200, 409),
    ),
    "POST /returns/{returnId}/receive": Write(
        "keeper", lambda side: {"warehouseLocation": _place(side)}, {"warehouseLocation": _place}
    ),
    "POST /returns/{returnId}/withdraw": Write("retailer"),
    "POST /shipments": Write(
        "keeper", _shipment,
        {"orderId": lambda side: side.ids["confirmedOrder"], "warehouseLocation": _place, "lines.0.productId": _sauce},
    ),
    "POST /shipments/{shipmentId}/deliver": Write("keeper"),
    "POST /suppliers": Write("house", lambda side: {"supplierId": side.called("NEW"), "name": "New"}),
    "PATCH /suppliers/{supplierId}": Write("supplier", lambda side: {"name": "Renamed"}, needs_match=True),
    "PUT /suppliers/{supplierId}": Write(
        "supplier", lambda side: {"supplierId": side.supplier.code, "name": "Renamed"}, needs_match=True
    ),
    "POST /transfers": Write("keeper", _transfer, {"sourceWarehouse": _place, "targetWarehouse": _place}),
    "POST /transfers/{transferId}/arrive": Write("keeper", lambda side: {}, thing="sentTransfer"),
    "POST /transfers/{transferId}/cancel": Write("keeper"),
    "POST /transfers/{transferId}/dispatch": Write("keeper", lambda side: {}),
    "POST /warehouses/{warehouseLocation}/locations": Write("keeper", lambda side: {"code": "B-01"}),
    "POST /warrantyClaims/{warrantyClaimId}/settle": Write("keeper", lambda side: {"outcome": "scrap"}),
    # A product in `productIds` only leaves events out: nobody is told whether it is there.
    "POST /webhooks": Write("supplier", _endpoint),
    "PATCH /webhooks/{webhookId}": Write("supplier", lambda side: {"status": "paused"}, needs_match=True),
    "DELETE /webhooks/{webhookId}": Write("supplier", needs_match=True, status=(204,)),
    "POST /webhooks/{webhookId}/replay": Write("supplier", lambda side: {"from": 1}),
    "POST /webhooks/{webhookId}/rotateSecret": Write("supplier"),
    "POST /webhooks/{webhookId}/test": Write("supplier"),
}  # fmt: skip

# Who reads it: the supplier, unless said here.
READERS: dict[str, str] = {
    "reservations": "retailer", "orders": "retailer", "promises": "retailer", "returns": "retailer", "pos": "retailer",
    "retailPartners": "retailer", "feedback": "retailer", "fulfillmentRequests": "keeper", "packages": "keeper", "shipments": "keeper",
    "warrantyClaims": "keeper", "transfers": "keeper", "counts": "keeper", "warehouses": "keeper", "receipts": "keeper",
}  # fmt: skip
READS: set[str] = {
    "/advanceShipNotices", "/advanceShipNotices/{asnId}", "/apiKeys", "/apiKeys/{keyId}", "/batches", "/batches/{productId}/{batchNumber}", "/counts",
    "/counts/{countId}", "/counts/{countId}/lines", "/credentials", "/events", "/events/types", "/feedback", "/feedback/{feedbackId}", "/fitments", "/fulfillmentRequests",
    "/fulfillmentRequests/{fulfillmentRequestId}", "/imports", "/imports/{importId}", "/imports/{importId}/rows", "/inventory",
    "/inventory/{supplierId}/{productId}", "/inventory/transactions", "/orders", "/orders/{orderId}", "/packages",
    "/packages/{packageId}", "/packages/{packageId}/label", "/packages/{packageId}/packingSlip", "/pos/batches",
    "/pos/batches/{batchId}", "/productTypes", "/products", "/products/{productId}", "/products/{productId}/compliance",
    "/products/{productId}/components", "/products/{productId}/consolidated", "/products/{productId}/equivalents",
    "/products/{productId}/fitments", "/promises/{promiseId}", "/promises/{promiseId}/replay", "/purchaseOrders",
    "/purchaseOrders/{purchaseOrderId}", "/reasons", "/recalls", "/recalls/{recallId}", "/receipts", "/receipts/{receiptId}",
    "/reservations", "/reservations/{reservationId}", "/retailPartners", "/retailPartners/{retailPartnerId}", "/returns",
    "/returns/{returnId}", "/shipments", "/shipments/{shipmentId}", "/shipments/{shipmentId}/labels",
    "/shipments/{shipmentId}/packingSlip", "/suppliers", "/suppliers/{supplierId}", "/transfers", "/transfers/{transferId}",
    "/vehicles/engines", "/vehicles/makes", "/vehicles/models", "/vehicles/years", "/warehouses/{warehouseLocation}/locations",
    "/warrantyClaims", "/warrantyClaims/{warrantyClaimId}", "/webhooks", "/webhooks/{webhookId}",
    "/webhooks/{webhookId}/deliveries",
}  # fmt: skip
# The whole catalog, and who supplies it, is everybody's who may see all of it: a 3PL here.
OF_THE_CATALOG = {"products", "suppliers", "inventory"}


def noun_of(path: str) -> str:
    return path.strip("/").split("/")[0]


def real(path: str, side: Side, thing: str = "") -> str:
    """The path of something the side has."""
    if "{" not in path:
        return path
    if thing == "countLine":
        return re.sub(r"\{\w+\}/lines/\{\w+\}", f"{side.ids['strictCount']}/lines/{side.ids['countLine']}", path)
    name = side.called(thing) if thing.isupper() else side.ids[thing or noun_of(path)]
    return re.sub(r"\{\w+\}(/\{\w+\})?", name, path)


def reader(path: str) -> str:
    return READERS.get(noun_of(path), "supplier")


def placed(body: Any, place: str, value: Any) -> Any:
    """The body with another value at a place: `lines.0.productId`; what leads there is made where it is not."""
    changed = copy.deepcopy(body)
    *way, last = place.split(".")
    here = changed
    for index, step in enumerate(way):
        following = [*way, last][index + 1]
        made: Any = [{}] if following.isdigit() else {}
        here = here[int(step)] if isinstance(here, list) else here.setdefault(step, made)
    if isinstance(here, list):
        here[int(last)] = value
    else:
        here[last] = value
    return changed
