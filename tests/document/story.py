"""A house, its supplier, its retailer and a forwarder, who between them use every operation of the API once.

What they send and get are the examples of the document: `RECORD_EXAMPLES=1 pytest tests/document/test_examples.py`
writes them to each floor's api/examples.json.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.test import Client
from django.utils import timezone

from catalog import tasks
from catalog.models import Pack, PriceList, Variant
from catalog.operations import fitments, prices
from catalog.operations.fitments import Fits
from catalog.operations.prices import PriceOf
from orders.models import CarrierService, TransitTime
from partners import scopes, sending
from partners.models import Partner
from partners.operations import deliveries, feed, partners
from tests import make
from tests.conftest import ApiClient, api_of
from tests.partners.receivers import all_answering

SHIP_TO = {
    "name": "Store 12", "street": "1 Main St", "city": "Memphis", "region": "TN", "country": "US", "postalCode": "38103",
}  # fmt: skip
KEPT_HEADERS = ("ETag", "Location")
SAUCE, GLAZE, PAD, ROTOR, LIPSTICK = "HOTSAUCE789", "GLAZE456", "BRAKEPAD-A", "ROTOR-280", "LIPSTICK-RED"


class Story:
    """What was sent and answered, by operation."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.told: dict[str, dict[str, Any]] = {}
        self.refused: dict[str, dict[str, Any]] = {}
        self.routes = [
            (method.upper(), re.compile(re.sub(r"\{\w+\}", "[^/]+", path.removeprefix("/api/v1"))), operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        ]
        # What is written out (`batches/read`) is meant before what is left open (`batches/{number}`).
        self.routes.sort(key=lambda route: route[1].pattern.count("["))

    def operation(self, method: str, path: str) -> dict[str, Any]:
        bare = path.partition("?")[0]
        return next(row for name, pattern, row in self.routes if name == method and pattern.fullmatch(bare))

    def keep(self, method: str, path: str, body: Any, answer: Any) -> None:
        name = self.operation(method, path)["operationId"]
        kind = answer.get("Content-Type")  # 204 has none
        if kind == "application/problem+json":
            told = json.loads(answer.content)
            self.refused.setdefault(name, {}).setdefault(told["code"], told)
            return
        said = self.told.setdefault(name, {})
        if not said:
            said["status"] = answer.status_code
            said["headers"] = [header for header in KEPT_HEADERS if header in answer]
            if body is not None:
                said["request"] = body
            if kind == "application/json":
                said["answer"] = json.loads(answer.content)

    def examples(self, operation_ids: Iterable[str]) -> dict[str, Any]:
        return {
            name: self.told.get(name, {}) | ({"refusals": self.refused[name]} if name in self.refused else {})
            for name in sorted(operation_ids)
            if name in self.told or name in self.refused
        }


class Teller:
    """A client whose calls become part of the story; `status` is what they must be answered with."""

    def __init__(self, story: Story, client: ApiClient) -> None:
        self.story, self.client = story, client

    def call(self, method: str, path: str, body: Any = None, *, status: int = 200, tag: str | None = None) -> Any:
        headers = {"If-Match": tag} if tag else {}
        answer = self.client.request(method, path, body, headers=headers)
        assert answer.status_code == status, (method, path, answer.status_code, answer.content[:800])
        self.story.keep(method, path, body, answer)
        return answer

    def get(self, path: str, **more: Any) -> Any:
        answer = self.call("GET", path, **more)
        return json.loads(answer.content) if "json" in answer["Content-Type"] else answer.content

    def post(self, path: str, body: Any = None, **more: Any) -> Any:
        return self.call("POST", path, body, **more).json()

    def tag(self, path: str) -> str:
        return str(self.call("GET", path)["ETag"])


def tell(document: dict[str, Any]) -> Story:
    """The whole story, in an empty database. Every call is checked for its status."""
    story = Story(document)
    house = Teller(story, api_of(make.make_partner(code="HOUSE", name="Our web shop", kind="channel")))
    keeper = Teller(story, api_of(make.make_partner(code="KEEPER", name="Warehouse desk", kind="channel")))
    _partners(house)
    supplier = Teller(story, api_of(_partner("SUP123")))
    retailer = Teller(story, api_of(_partner("RET456")))
    _catalog(house, supplier, retailer)
    forwarder = Teller(story, api_of(make.make_partner(code="3PL-1", name="Swift Logistics", kind="logistics")))
    _stock(house, keeper, supplier)
    _asking(retailer, supplier)
    _reserving(retailer)
    _ordering(forwarder, supplier, retailer)
    _returning(forwarder, retailer)
    _buying(house, supplier)
    _moving(house, keeper)
    _blocking(house, supplier)
    _shops(retailer)
    _imports(supplier)
    _saying(house, retailer)
    _credentials(story)
    with all_answering():
        _hooks(retailer)
    retailer.get("/events?after=0&limit=5")
    retailer.get("/events/types")
    retailer.get("/events?after=999999", status=410)
    return story


def _partner(code: str) -> Any:
    return Partner.objects.get(code=code)


def _partners(house: Teller) -> None:
    for noun, key, code, name in (
        ("suppliers", "supplierId", "SUP123", "Fire & Co"),
        ("retailPartners", "retailPartnerId", "RET456", "Corner Stores"),
    ):
        sent = {key: code, "name": name, "contactEmail": "desk@example.com", "gln": "4012345000009"}
        house.post(f"/{noun}", sent, status=201)
        house.post(f"/{noun}", sent, status=409)
        house.get(f"/{noun}")
        house.call("PATCH", f"/{noun}/{code}", {"contactEmail": "stock@example.com"}, tag=house.tag(f"/{noun}/{code}"))
        house.call("PUT", f"/{noun}/{code}", sent, tag=house.tag(f"/{noun}/{code}"))
        house.call("PUT", f"/{noun}/{code}", sent, tag='"1"', status=412)
        house.call("PUT", f"/{noun}/{code}", sent, status=428)


def _catalog(house: Teller, supplier: Teller, retailer: Teller) -> None:
    sauce = {
        "productId": SAUCE, "name": "Hot sauce, 150 ml", "brand": "Fire & Co", "tracking": "batch",
        "shelfLifeDays": 720, "unit": "bottle", "gtin": "4006381333931", "packs": [{"name": "case", "quantity": 24}],
        "suppliers": [{"supplierId": "SUP123", "supplierCode": "HS-150"}],
    }  # fmt: skip
    supplier.post("/products", sauce, status=201)
    supplier.post("/products", sauce, status=409)
    supplier.post("/products", sauce | {"productId": "OTHER"}, status=409)
    for sku, name in ((GLAZE, "Chili glaze"), (PAD, "Brake pad, front"), (ROTOR, "Brake rotor 280 mm")):
        house.post("/products", {"productId": sku, "name": name, "warrantyMonths": 24,
                                 "suppliers": [{"supplierId": "SUP123"}]}, status=201)  # fmt: skip
    house.post("/products", {"productId": LIPSTICK, "name": "Lipstick, family", "axes": ["shade"]}, status=201)
    for shade in ("ruby", "coral"):
        house.post("/products", {"productId": f"LIPSTICK-{shade.upper()}", "name": f"Lipstick {shade}", "parentId": LIPSTICK,
                                 "axisValues": {"shade": shade}}, status=201)  # fmt: skip
    house.post("/products", {"productId": "GIFT-BOX", "name": "Gift box"}, status=201)
    path = f"/products/{SAUCE}"
    supplier.call("PATCH", path, {"name": "Hot sauce 150 ml"}, tag=supplier.tag(path))
    supplier.call("PUT", path, sauce, tag=supplier.tag(path))
    supplier.post("/products", sauce | {"productId": "OTHER", "gtin": "1"}, status=422)
    retailer.get("/products?q=sauce")
    retailer.get(path)
    retailer.get("/products/NOTHING", status=404)
    retailer.get("/products?limit=0", status=400)
    retailer.get(f"/products/{SAUCE}/compliance")
    retailer.get("/productTypes")
    parts = "/products/GIFT-BOX/components"
    house.call("PUT", parts, {"components": [{"productId": GLAZE, "quantity": 2}]}, tag=house.tag(parts))
    equals = f"/products/{PAD}/equivalents"
    said = {"supersededBy": [], "interchangeableWith": [{"brand": "Brembo", "partNumber": "P 85 020"}]}
    house.call("PUT", equals, said, tag=house.tag(equals))
    pad, glaze = _variant(PAD), _variant(GLAZE)
    fits = [Fits(variant_id=pad.pk, make="Honda", model="Civic", year_from=2012, year_to=2015, engine="1.8 l")]
    fitments.put_many(fitments=fits, actor=make.TESTER)
    retailer.get(f"/products/{PAD}/fitments")
    retailer.get("/fitments?make=Honda&model=Civic&year=2014")
    retailer.get("/vehicles/makes")
    retailer.get("/vehicles/models?make=Honda")
    retailer.get("/vehicles/years?make=Honda&model=Civic")
    retailer.get("/vehicles/engines?make=Honda&model=Civic")
    general = PriceList.objects.create(code="GENERAL", currency="EUR")
    price = PriceOf(price_list=general, variant=glaze, amount=Decimal("6.40"), since=timezone.now(), until=None)
    prices.set_prices(prices=[price], actor=make.TESTER)
    retailer.post("/prices/lookup", {"lines": [{"productId": GLAZE, "quantity": 12}], "currency": "EUR"})
    retailer.post("/barcodes/read", {"code": "(01)04006381333931(10)B456(17)281130"})


def _variant(sku: str) -> Any:
    return Variant.objects.get(sku=sku)


def _stock(house: Teller, keeper: Teller, supplier: Teller) -> None:
    for code in ("WH-EAST", "WH-WEST"):
        make.make_warehouse(code=code, operator=_partner("3PL-1"))
    keeps = (date.today() + timedelta(days=400)).isoformat()  # noqa: DTZ011  a day to be sold until
    received = {
        "type": "receipt", "quantity": 240, "warehouseLocation": "WH-EAST", "batchNumber": "B456",
        "expirationDate": keeps, "reference": "ASN-7",
    }  # fmt: skip
    path = f"/inventory/SUP123/{SAUCE}"
    supplier.post(path, received, status=201)
    supplier.post("/inventory/transactions", received | {"productId": SAUCE, "quantity": 48}, status=201)
    for sku in (GLAZE, PAD, ROTOR):
        for warehouse in ("WH-EAST", "WH-WEST"):
            house.post(
                "/inventory/transactions",
                {"type": "receipt", "productId": sku, "quantity": 60, "warehouseLocation": warehouse},
                status=201,
            )
    supplier.post(path, received | {"type": "damage", "quantity": 9_999}, status=409)
    supplier.get(path)
    supplier.get("/inventory?warehouse=WH-EAST")
    supplier.get(f"/inventory/transactions?productId={SAUCE}")
    at = f"{path}?warehouse=WH-EAST"
    said = {"warehouseLocation": "WH-EAST", "batchNumber": "B456", "inventoryLevel": 280, "reason": "count"}
    supplier.call("PATCH", path, said, tag=supplier.tag(at))
    house.get("/reasons")
    house.post("/warehouses/WH-EAST/locations", {"code": "A-01-02", "pickSequence": 10}, status=201)
    house.post("/warehouses/WH-EAST/locations", {"code": "A-01-02"}, status=409)
    house.get("/warehouses/WH-EAST/locations")
    move = {
        "productId": GLAZE,
        "warehouseLocation": "WH-EAST",
        "fromLocation": "",
        "toLocation": "A-01-02",
        "quantity": 5,
    }
    move["fromLocation"] = house.client.get("/warehouses/WH-EAST/locations").json()["items"][-1]["code"]
    if move["fromLocation"] == "A-01-02":
        move["fromLocation"] = house.client.get("/warehouses/WH-EAST/locations").json()["items"][0]["code"]
    house.post("/inventory/moves", move, status=201)
    supplier.post(
        "/inventory/transactions",
        {"type": "receipt", "productId": PAD, "quantity": 30, "warehouseLocation": "WH-WEST", "ownerId": "SUP123"},
        status=201,
    )
    taken = {
        "direction": "takeOver",
        "productId": PAD,
        "warehouseLocation": "WH-WEST",
        "ownerId": "SUP123",
        "quantity": 10,
    }
    house.post("/inventory/ownership", taken, status=201)
    supplier.post("/inventory/ownership", taken, status=403)
    house.post("/products", {"productId": "GLAZE-CASE", "name": "Case of 12 glazes"}, status=201)
    Pack.objects.create(variant=_variant(GLAZE), name="case", quantity=12, stocked_as=_variant("GLAZE-CASE"))
    house.post(
        "/inventory/transactions",
        {"type": "receipt", "productId": "GLAZE-CASE", "quantity": 4, "warehouseLocation": "WH-EAST"},
        status=201,
    )
    opened = {"productId": "GLAZE-CASE", "direction": "open", "quantity": 1, "warehouseLocation": "WH-EAST"}
    house.post("/inventory/breaks", opened, status=201)
    _count(house, keeper)


def _count(house: Teller, keeper: Teller) -> None:
    asked = {
        "warehouseLocation": "WH-WEST",
        "productIds": [ROTOR, GLAZE],
        "toleranceUnits": 100,
        "approvalValue": "1.00",
    }
    count = house.post("/counts", asked, status=201)["countId"]
    house.get("/counts?status=open")
    house.get(f"/counts/{count}")
    house.get(f"/counts/{count}/lines")
    found = [{"productId": ROTOR, "counted": 58}, {"productId": GLAZE, "counted": 61}]
    first, second = house.post(f"/counts/{count}/lines", {"lines": found})["items"]
    house.post(f"/counts/{count}/lines/{first['lineId']}/approve", status=409)
    house.post(f"/counts/{count}/post", {}, status=409)
    keeper.post(f"/counts/{count}/lines/{second['lineId']}/reject")
    again = [row for row in found if row["productId"] == second["productId"]]
    house.post(f"/counts/{count}/lines", {"lines": again})
    for line in (first, second):
        keeper.post(f"/counts/{count}/lines/{line['lineId']}/approve")
    house.post(f"/counts/{count}/post", {})
    other = house.post("/counts", asked, status=201)["countId"]
    house.post(f"/counts/{other}/cancel")


def _asking(retailer: Teller, supplier: Teller) -> None:
    asked = {"lines": [{"productId": SAUCE, "quantity": 12}, {"productId": PAD}], "explain": True}
    retailer.post("/availability", asked)
    retailer.get(f"/products/{LIPSTICK}/consolidated")
    retailer.get(f"/batches/{SAUCE}/B456")
    retailer.get(f"/batches?productId={SAUCE}")
    service = CarrierService.objects.create(code="ground", carrier="UPS", name="Ground")
    TransitTime.objects.create(service=service, country="US", days=2)
    where = {"country": "US", "postalCode": "38103"}
    wanted = {"lines": [{"productId": SAUCE, "quantity": 3}], "shipTo": where, "keep": True}
    promise = retailer.post("/deliveryDates", wanted)["promiseId"]
    retailer.get(f"/promises/{promise}")
    retailer.get(f"/promises/{promise}/replay")


def _reserving(retailer: Teller) -> None:
    lines = [{"productId": SAUCE, "quantity": 3}]
    held = retailer.post("/reservations", {"reference": "cart-1", "lines": lines, "expiresInSeconds": 600}, status=201)
    retailer.post("/reservations", {"reference": "cart-1", "lines": [{"productId": PAD, "quantity": 1}]}, status=409)
    retailer.post("/reservations", {"reference": "x", "lines": [{"productId": SAUCE, "quantity": 9_999}]}, status=409)
    path = f"/reservations/{held['reservationId']}"
    retailer.get(path)
    retailer.get("/reservations")
    retailer.post(f"{path}/extend", {"expiresInSeconds": 900})
    retailer.post(f"{path}/commit", {"orderId": "WEB-1001"})
    retailer.post(f"{path}/release", status=409)
    other = retailer.post("/reservations", {"reference": "cart-2", "lines": lines}, status=201)
    retailer.post(f"/reservations/{other['reservationId']}/release")


def _order(retailer: Teller, number: str, *lines: tuple[str, int], status: int = 201, **more: Any) -> dict[str, Any]:
    wanted = [{"productId": sku, "quantity": quantity} for sku, quantity in lines]
    return dict(
        retailer.post(
            "/orders", {"externalReference": number, "shipTo": SHIP_TO, "lines": wanted} | more, status=status
        )
    )


def _ordering(forwarder: Teller, supplier: Teller, retailer: Teller) -> None:
    order = _order(retailer, "PO-1001", (SAUCE, 10), (PAD, 2))
    _order(retailer, "PO-1001", (SAUCE, 11), status=409)
    _order(retailer, "PO-1002", (SAUCE, 9_999), status=409)
    path = f"/orders/{order['orderId']}"
    changed = {"lines": [{"lineId": order["lines"][0]["lineId"], "quantity": 12}]}
    retailer.call("PATCH", path, changed, tag=retailer.tag(path))
    retailer.get("/orders?status=pending")
    retailer.post(f"{path}/confirm")
    retailer.get(f"/fulfillmentRequests?orderId={order['orderId']}")
    [request] = retailer.client.get(f"/fulfillmentRequests?orderId={order['orderId']}").json()["items"]
    asked = f"/fulfillmentRequests/{request['fulfillmentRequestId']}"
    forwarder.get(asked)
    forwarder.post(f"{asked}/accept")
    box = {
        "sscc": "006141411234567890",
        "lines": [{"productId": SAUCE, "quantity": 12, "batchNumber": "B456"}],
        "trackingNumber": "1Z999AA10123456784",
    }
    package = forwarder.post(f"{asked}/packages", box, status=201)["packageId"]
    forwarder.get("/packages")
    forwarder.get(f"/packages/{package}")
    forwarder.get(f"/packages/{package}/label")
    forwarder.get(f"/packages/{package}/packingSlip")
    spare = {"sscc": "106141411234567897", "lines": [{"productId": PAD, "quantity": 1}]}
    forwarder.post(f"/packages/{forwarder.post(f'{asked}/packages', spare, status=201)['packageId']}/unpack")
    forwarder.post(f"{asked}/complete", {"carrier": "UPS", "service": "ground", "packages": [package]})
    forwarder.post(f"{asked}/complete", {"carrier": "UPS", "trackingNumber": "1Z999AA10123456785"})
    forwarder.post(f"{asked}/accept", status=409)
    forwarder.get("/shipments")
    shipments = forwarder.client.get(f"/shipments?orderId={order['orderId']}").json()["items"]
    packed = next(row for row in shipments if row["trackingNumber"].endswith("84"))["shipmentId"]
    forwarder.get(f"/shipments/{packed}")
    forwarder.get(f"/shipments/{packed}/labels")
    forwarder.get(f"/shipments/{packed}/packingSlip")
    for row in shipments:
        forwarder.post(f"/shipments/{row['shipmentId']}/deliver")
    retailer.get(path)
    second = _order(retailer, "PO-1003", (GLAZE, 4))["orderId"]
    retailer.post(f"/orders/{second}/confirm")
    [other] = forwarder.client.get(f"/fulfillmentRequests?orderId={second}").json()["items"]
    forwarder.post(
        f"/fulfillmentRequests/{other['fulfillmentRequestId']}/reject",
        {"reason": "capacity", "note": "Closed for stock-taking"},
    )
    retailer.post(f"/orders/{second}/cancel")
    third = _order(retailer, "PO-1004", (PAD, 6))["orderId"]
    retailer.post(f"/orders/{third}/confirm")
    forwarder.post(f"/orders/{third}/pack")
    where = forwarder.client.get(f"/fulfillmentRequests?orderId={third}").json()["items"][0]["warehouseLocation"]
    sent = {"orderId": third, "warehouseLocation": where, "carrier": "UPS", "trackingNumber": "1Z999AA10123456786"}
    forwarder.post("/shipments", sent | {"lines": [{"productId": PAD, "quantity": 7}]}, status=409)
    forwarder.post("/shipments", sent | {"lines": [{"productId": PAD, "quantity": 6}]}, status=201)
    supplier.get("/orders/O-NOTHING", status=404)


def _returning(forwarder: Teller, retailer: Teller) -> None:
    order = retailer.client.get("/orders?externalReference=PO-1004").json()["items"][0]["orderId"]
    coming = {"orderId": order, "lines": [{"productId": PAD, "quantity": 1, "reason": "squeals"}]}
    back = retailer.post("/returns", coming, status=201)["returnId"]
    retailer.post("/returns", {"orderId": order, "lines": [coming["lines"][0] | {"quantity": 99}]}, status=409)
    retailer.get("/returns")
    retailer.get(f"/returns/{back}")
    forwarder.post(f"/returns/{back}/receive", {"warehouseLocation": "WH-EAST"})
    verdict = {"lines": [{"productId": PAD, "quantity": 1, "disposition": "warrantyClaim"}]}
    forwarder.post(f"/returns/{back}/inspect", verdict)
    forwarder.post(f"/returns/{back}/inspect", verdict, status=409)
    retailer.get("/warrantyClaims")
    claim = retailer.client.get("/warrantyClaims").json()["items"][0]["warrantyClaimId"]
    retailer.get(f"/warrantyClaims/{claim}")
    forwarder.post(f"/warrantyClaims/{claim}/settle", {"outcome": "scrap"})
    retailer.post(f"/warrantyClaims/{claim}/settle", {"outcome": "scrap"}, status=403)
    other = retailer.post("/returns", coming, status=201)["returnId"]
    retailer.post(f"/returns/{other}/withdraw")


def _buying(house: Teller, supplier: Teller) -> None:
    wanted = {
        "supplierId": "SUP123", "warehouseLocation": "WH-EAST", "reference": "Autumn", "currency": "EUR",
        "lines": [{"productId": GLAZE, "quantity": 100, "unitCost": "2.10"}],
    }  # fmt: skip
    soon = (timezone.now() + timedelta(days=10)).date().isoformat()

    def order() -> str:
        return f"/purchaseOrders/{house.post('/purchaseOrders', wanted, status=201)['purchaseOrderId']}"

    path = order()
    house.call("POST", f"{path}/send", tag=house.tag(path))
    supplier.get("/purchaseOrders")
    answer = {"expectedDate": soon, "lines": [{"lineNumber": 1, "quantity": 96}]}
    supplier.call("POST", f"{path}/confirm", answer, tag=supplier.tag(path))
    number = path.rsplit("/", 1)[1]
    truck = {
        "despatchNumber": "D-77", "warehouseLocation": "WH-EAST", "carrier": "DHL", "expectedDate": soon,
        "packages": [{"sscc": "340123450000000017"}],
        "lines": [{"purchaseOrderId": number, "productId": GLAZE, "quantity": 48, "sscc": "340123450000000017"}],
    }  # fmt: skip
    notice = supplier.post("/advanceShipNotices", truck, status=201)["asnId"]
    supplier.post("/advanceShipNotices", truck | {"carrier": "UPS"}, status=409)
    supplier.get("/advanceShipNotices")
    supplier.get(f"/advanceShipNotices/{notice}")
    came = {
        "asnId": notice, "warehouseLocation": "WH-EAST", "deliveryNote": "DN-77",
        "lines": [{"productId": GLAZE, "quantity": 48}],
    }  # fmt: skip
    house.post(
        "/receipts", came | {"deliveryNote": "DN-78", "lines": [{"productId": GLAZE, "quantity": 999}]}, status=409
    )
    receipt = house.post("/receipts", came, status=201)["receiptId"]
    house.get("/receipts")
    house.get(f"/receipts/{receipt}")
    freight = {"kind": "freight", "reference": "INV-5", "amount": "24.00", "currency": "EUR", "spreadBy": "quantity"}
    house.post(f"/receipts/{receipt}/charges", freight, status=201)
    house.call("POST", f"{path}/close", {"lineNumbers": [1]}, tag=house.tag(path))
    other = order()
    house.call("POST", f"{other}/cancel", tag=house.tag(other))
    wrong = truck | {"despatchNumber": "D-78", "packages": []}
    third = order()
    house.call("POST", f"{third}/send", tag=house.tag(third))
    wrong["lines"] = [{"purchaseOrderId": third.rsplit("/", 1)[1], "productId": GLAZE, "quantity": 12}]
    supplier.post(f"/advanceShipNotices/{supplier.post('/advanceShipNotices', wrong, status=201)['asnId']}/withdraw")


def _moving(house: Teller, keeper: Teller) -> None:
    plan = {
        "sourceWarehouse": "WH-EAST", "targetWarehouse": "WH-WEST", "reference": "T-1",
        "lines": [{"productId": GLAZE, "quantity": 12}],
    }  # fmt: skip
    path = f"/transfers/{house.post('/transfers', plan, status=201)['transferId']}"
    house.get("/transfers")
    house.post(f"{path}/dispatch", {})
    house.get(path)
    house.post(f"{path}/arrive", {"lines": [{"productId": GLAZE, "quantity": 11}], "isLast": True})
    house.post(f"{path}/arrive", {}, status=409)
    other = house.post("/transfers", plan, status=201)["transferId"]
    house.post(f"/transfers/{other}/cancel")


def _blocking(house: Teller, supplier: Teller) -> None:
    path = f"/batches/{SAUCE}/B456"
    supplier.post(f"{path}/quarantine", {"reason": "seal under test"})
    house.post(f"{path}/lift", {"reason": "seal is sound"})
    recall = supplier.post(f"{path}/recall", {"reason": "glass splinters"}, status=201)["recallId"]
    supplier.get("/recalls")
    supplier.get(f"/recalls/{recall}")
    house.post(f"/recalls/{recall}/close")


def _shops(retailer: Teller) -> None:
    sale = {
        "saleId": "T1-000042", "occurredAt": timezone.now().isoformat(), "warehouseLocation": "WH-WEST",
        "lines": [{"productId": ROTOR, "quantity": 2}],
    }  # fmt: skip
    sold = retailer.post("/pos/batches", {"deviceId": "TILL-1", "deviceSequence": 1, "sales": [sale]}, status=201)
    retailer.post(
        "/pos/batches", {"deviceId": "TILL-1", "deviceSequence": 1, "sales": [sale | {"saleId": "X"}]}, status=409
    )
    retailer.get("/pos/batches")
    retailer.get(f"/pos/batches/{sold['batchId']}")


def _imports(supplier: Teller) -> None:
    items = [{"productId": "RELISH-1", "name": "Tomato relish"}, {"productId": "RELISH-2"}]
    plan = supplier.post("/imports", {"kind": "catalog", "title": "Spring range", "items": items}, status=201)
    path = f"/imports/{plan['importId']}"
    supplier.get("/imports")
    supplier.get(path)
    supplier.get(f"{path}/rows")
    supplier.post(f"{path}/start", {"planHash": "0" * 64}, status=409)
    supplier.post(f"{path}/start", {"planHash": plan["planHash"]}, status=202)
    tasks.work_on_imports()
    supplier.post(f"{path}/undo", {})


def _saying(house: Teller, retailer: Teller) -> None:
    few = {
        "kind": "discrepancy", "productId": GLAZE, "warehouseLocation": "WH-WEST", "countedQuantity": 40,
        "comment": "A layer of the pallet is missing.",
    }  # fmt: skip
    said = house.post("/feedback", few, status=201)["feedbackId"]
    house.get("/feedback?kind=discrepancy")
    house.get(f"/feedback/{said}")
    order = retailer.client.get("/orders?externalReference=PO-1001").json()["items"][0]["orderId"]
    rated = {"kind": "other", "orderId": order, "rating": 5}
    retailer.post("/feedback", rated, status=201)
    retailer.post("/feedback", rated, status=409)


def _credentials(story: Story) -> None:
    """What is recorded is shown once and belongs to a partner of this story alone."""
    made = partners.issue_credentials(
        partner=_partner("RET456"), granted_scopes=scopes.OF_KIND["retailer"], actor=make.TESTER, name="Web shop"
    )
    grant = {"client_id": made.client_id, "client_secret": made.client_secret, "grant_type": "client_credentials"}
    shop = Teller(story, ApiClient(Client().post("/oauth/token", grant).json()["access_token"]))
    shop.get("/credentials")
    shop.post("/credentials/rotateSecret", {"clientSecret": "a guess"}, status=403)
    shop.post("/credentials/rotateSecret", {"clientSecret": made.client_secret, "overlapSeconds": 3600})
    wanted = {"name": "Scanner at the till", "scopes": ["inventory:read"], "allowedAddresses": ["203.0.113.0/24"]}
    key = shop.post("/apiKeys", wanted, status=201)["keyId"]
    shop.get("/apiKeys")
    shop.get(f"/apiKeys/{key}")
    shop.post(f"/apiKeys/{key}/revoke")


def _hooks(retailer: Teller) -> None:
    """The feed has not been relayed yet: all that happened in the story is sent."""
    wanted = {
        "url": "https://hooks.example.com/backstock", "description": "ERP",
        "eventTypes": ["order.confirmed", "order.shipped"], "productIds": [SAUCE],
    }  # fmt: skip
    path = f"/webhooks/{retailer.post('/webhooks', wanted, status=201)['webhookId']}"
    retailer.post("/webhooks", wanted | {"url": "http://hooks.example.com/backstock"}, status=422)
    feed.relay_events()
    deliveries.fan_out(at=timezone.now())
    assert sending.send_due() > 0
    retailer.get("/webhooks")
    retailer.call("PATCH", path, {"eventTypes": ["order.shipped"]}, tag=retailer.tag(path))
    retailer.post(f"{path}/test")
    retailer.post(f"{path}/test", status=429)
    retailer.get(f"{path}/deliveries")
    retailer.post(f"{path}/replay", {"from": 1}, status=202)
    retailer.post(f"{path}/rotateSecret")
    retailer.call("DELETE", path, tag=retailer.tag(path), status=204)
