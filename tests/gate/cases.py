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


WRITES: dict[str, Write] = {
    "POST /advanceShipNotices": Write(
        "supplier", _notice,
        {
            "supplierId": lambda side: side.supplier.code, "warehouseLocation": _place,
            "lines.0.productId": _sauce, "lines.0.purchaseOrderId": lambda side: side.ids["purchaseOrders"],
        },
    ),
    "POST /advanceShipNotices/{number}/withdraw": Write("supplier"),
    "POST /availability": Write("retailer", _lines, {"lines.0.productId": _sauce}),
    "POST /barcodes/read": Write("retailer", lambda side: {"code": "4006381333931"}, is_public=True),
    "POST /batches/{sku}/{number}/lift": Write("house", lambda side: {"reason": "fine"}, status=(200, 409)),
    "POST /batches/{sku}/{number}/quarantine": Write("supplier", lambda side: {"reason": "smells"}),
    "POST /batches/{sku}/{number}/recall": Write("supplier", lambda side: {"reason": "glass"}),
    "POST /counts": Write("keeper", lambda side: {"warehouseLocation": _place(side)}, {"warehouseLocation": _place}),
    "POST /counts/{number}/cancel": Write("keeper"),
    "POST /counts/{number}/lines": Write(
        "keeper", lambda side: {"lines": [{"productId": side.called("HOT"), "counted": 60}]},
        {"lines.0.ownerId": lambda side: side.supplier.code},
    ),
    "POST /counts/{number}/lines/{line}/approve": Write("house", thing="countLine"),
    "POST /counts/{number}/lines/{line}/reject": Write("house", thing="countLine"),
    "POST /counts/{number}/post": Write("keeper", lambda side: {"closeUncounted": True}),
    "POST /deliveryDates": Write(
        "retailer", lambda side: _lines(side) | {"shipTo": HERE, "keep": True}, {"lines.0.productId": _sauce}
    ),
    "POST /fulfillmentRequests/{number}/accept": Write("keeper"),
    "POST /fulfillmentRequests/{number}/complete": Write(
        "keeper", lambda side: {"packages": [side.ids["packages"]]}, {"packages.0": lambda side: side.ids["packages"]}
    ),
    "POST /fulfillmentRequests/{number}/packages": Write(
        "keeper", lambda side: _lines(side) | {"sscc": sscc(side, 3)}, {"lines.0.productId": _sauce}
    ),
    "POST /fulfillmentRequests/{number}/reject": Write("keeper", lambda side: {"reason": "other"}, status=(200, 409)),
    "POST /imports": Write("supplier", lambda side: {"kind": "catalog", "items": [_changed(side)]}),
    "POST /imports/{number}/start": Write("supplier", lambda side: {}),
    "POST /imports/{number}/undo": Write("supplier", lambda side: {}, status=(409,)),
    "POST /inventory/{supplier}/{sku}": Write(
        "supplier", _booking, {"warehouseLocation": _place, "ownerId": lambda side: side.supplier.code}
    ),
    "PATCH /inventory/{supplier}/{sku}": Write(
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
    "PATCH /orders/{number}": Write(
        "retailer", lambda side: {"lines": [{"lineId": "9", "productId": side.called("HOT"), "quantity": 1}]},
        {"lines.0.productId": _sauce}, needs_match=True,
    ),
    "POST /orders/{number}/cancel": Write("retailer"),
    "POST /orders/{number}/confirm": Write("retailer"),
    "POST /orders/{number}/pack": Write("retailer", thing="confirmedOrder"),
    "POST /packages/{number}/unpack": Write("keeper"),
    "POST /pos/batches": Write("retailer", _sale),
    "POST /prices/lookup": Write("retailer", _lines, is_public=True),
    "POST /products": Write(
        "supplier", _product,
        {
            "parentId": lambda side: side.called("FAMILY"),
            "suppliers.0.supplierId": lambda side: side.supplier.code,
        },
    ),
    "PATCH /products/{sku}": Write(
        "supplier", lambda side: {"name": "Next anew"},
        {"parentId": lambda side: side.called("FAMILY")}, thing="NEXT", needs_match=True,
    ),
    "PUT /products/{sku}": Write(
        "supplier", _changed, {"parentId": lambda side: side.called("FAMILY")}, thing="NEXT", needs_match=True,
    ),
    "PUT /products/{sku}/components": Write(
        "supplier", lambda side: {"components": [{"productId": side.called("HOT"), "quantity": 1}]},
        {"components.0.productId": _sauce}, thing="KIT", needs_match=True,
    ),
    "PUT /products/{sku}/equivalents": Write(
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
    "POST /purchaseOrders/{number}/cancel": Write("house", thing="draftOrder"),
    "POST /purchaseOrders/{number}/close": Write("house", lambda side: {}),
    "POST /purchaseOrders/{number}/confirm": Write("supplier", lambda side: {"expectedDate": "2090-01-01"}),
    "POST /purchaseOrders/{number}/send": Write("house", thing="draftOrder"),
    "POST /recalls/{number}/close": Write("house"),
    "POST /receipts": Write(
        "keeper", _receipt,
        {"purchaseOrderId": lambda side: side.ids["purchaseOrders"], "warehouseLocation": _place},
    ),
    "POST /receipts/{number}/charges": Write(
        "house",
        lambda side: {"kind": "freight", "reference": "F-1", "amount": "3.00", "currency": "EUR", "spreadBy": "quantity"},
    ),
    "POST /reservations": Write(
        "retailer", lambda side: {"reference": side.called("cart-2"), "lines": [side.line(warehouseLocation=_place(side))]},
        {"lines.0.productId": _sauce, "lines.0.warehouseLocation": _place},
    ),
    "POST /reservations/{public_id}/commit": Write("retailer", lambda side: {}),
    "POST /reservations/{public_id}/extend": Write("retailer", lambda side: {"expiresInSeconds": 60}),
    "POST /reservations/{public_id}/release": Write("retailer"),
    "POST /retailPartners": Write("house", lambda side: {"retailPartnerId": side.called("NEW"), "name": "New"}),
    "PATCH /retailPartners/{code}": Write("retailer", lambda side: {"name": "Renamed"}, needs_match=True),
    "PUT /retailPartners/{code}": Write(
        "retailer", lambda side: {"retailPartnerId": side.retailer.code, "name": "Renamed"}, needs_match=True
    ),
    "POST /returns": Write(
        "retailer", _return,
        {
            "orderId": lambda side: side.ids["soldOrder"], "lines.0.productId": _sauce,
            "lines.0.exchangeFor": lambda side: side.called("HOT"),
        },
    ),
    "POST /returns/{number}/inspect": Write(
        "keeper", lambda side: {"lines": [{"productId": _sauce(side), "disposition": "restock"}]}, thing="receivedReturn",
        status=(200, 409),
    ),
    "POST /returns/{number}/receive": Write(
        "keeper", lambda side: {"warehouseLocation": _place(side)}, {"warehouseLocation": _place}
    ),
    "POST /returns/{number}/withdraw": Write("retailer"),
    "POST /shipments": Write(
        "keeper", _shipment,
        {"orderId": lambda side: side.ids["confirmedOrder"], "warehouseLocation": _place, "lines.0.productId": _sauce},
    ),
    "POST /shipments/{number}/deliver": Write("keeper"),
    "POST /suppliers": Write("house", lambda side: {"supplierId": side.called("NEW"), "name": "New"}),
    "PATCH /suppliers/{code}": Write("supplier", lambda side: {"name": "Renamed"}, needs_match=True),
    "PUT /suppliers/{code}": Write(
        "supplier", lambda side: {"supplierId": side.supplier.code, "name": "Renamed"}, needs_match=True
    ),
    "POST /transfers": Write("keeper", _transfer, {"sourceWarehouse": _place, "targetWarehouse": _place}),
    "POST /transfers/{number}/arrive": Write("keeper", lambda side: {}, thing="sentTransfer"),
    "POST /transfers/{number}/cancel": Write("keeper"),
    "POST /transfers/{number}/dispatch": Write("keeper", lambda side: {}),
    "POST /warehouses/{code}/locations": Write("keeper", lambda side: {"code": "B-01"}),
    "POST /warrantyClaims/{number}/settle": Write("keeper", lambda side: {"outcome": "scrap"}),
}  # fmt: skip

# Who reads it: the supplier, unless said here.
READERS: dict[str, str] = {
    "reservations": "retailer", "orders": "retailer", "promises": "retailer", "returns": "retailer", "pos": "retailer",
    "retailPartners": "retailer", "fulfillmentRequests": "keeper", "packages": "keeper", "shipments": "keeper",
    "warrantyClaims": "keeper", "transfers": "keeper", "counts": "keeper", "warehouses": "keeper", "receipts": "keeper",
}  # fmt: skip
READS: set[str] = {
    "/advanceShipNotices", "/advanceShipNotices/{number}", "/batches", "/batches/{sku}/{number}", "/counts",
    "/counts/{number}", "/counts/{number}/lines", "/events", "/events/types", "/fitments", "/fulfillmentRequests",
    "/fulfillmentRequests/{number}", "/imports", "/imports/{number}", "/imports/{number}/rows", "/inventory",
    "/inventory/{supplier}/{sku}", "/inventory/transactions", "/orders", "/orders/{number}", "/packages",
    "/packages/{number}", "/packages/{number}/label", "/packages/{number}/packingSlip", "/pos/batches",
    "/pos/batches/{number}", "/productTypes", "/products", "/products/{sku}", "/products/{sku}/compliance",
    "/products/{sku}/components", "/products/{sku}/consolidated", "/products/{sku}/equivalents",
    "/products/{sku}/fitments", "/promises/{promise_id}", "/promises/{promise_id}/replay", "/purchaseOrders",
    "/purchaseOrders/{number}", "/reasons", "/recalls", "/recalls/{number}", "/receipts", "/receipts/{number}",
    "/reservations", "/reservations/{public_id}", "/retailPartners", "/retailPartners/{code}", "/returns",
    "/returns/{number}", "/shipments", "/shipments/{number}", "/shipments/{number}/labels",
    "/shipments/{number}/packingSlip", "/suppliers", "/suppliers/{code}", "/transfers", "/transfers/{number}",
    "/vehicles/engines", "/vehicles/makes", "/vehicles/models", "/vehicles/years", "/warehouses/{code}/locations",
    "/warrantyClaims", "/warrantyClaims/{number}",
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
