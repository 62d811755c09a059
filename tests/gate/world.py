"""Two tenants alike in everything and strangers to each other, with one of everything each, and our own shop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction
from django.utils import timezone
from stdnum import ean

from catalog.models import Pack, SupplierItem
from partners.models import Application, Partner
from partners.operations import credentials, deliveries, feed
from stock.models import Level, Warehouse
from stock.operations import movements
from tests import make
from tests.conftest import ApiClient, api_of

SHIP_TO = {"name": "Store 12", "country": "US", "postalCode": "38103"}
HERE = {"country": "US", "postalCode": "38103"}


@dataclass
class Side:
    """A supplier, a retailer of its products alone, and the 3PL that keeps them; `ids` names what is theirs."""

    name: str
    supplier: Partner
    retailer: Partner
    keeper: Partner
    clients: dict[str, ApiClient]
    ids: dict[str, str] = field(default_factory=dict)

    def called(self, word: str) -> str:
        """Every name of this side bears the side's own, so that it is found wherever it leaks."""
        return f"{word}-{self.name}"

    def line(self, quantity: int = 1, **more: Any) -> dict[str, Any]:
        return {"productId": self.called("SAUCE"), "quantity": quantity} | more


@dataclass
class World:
    alpha: Side
    beta: Side
    house: ApiClient


def build() -> World:
    """Some hundred calls; build it once and go back to it after each test."""
    shop = make.make_partner(code="SHOP", kind="channel")
    house = api_of(shop)
    sides = [_settle(name) for name in ("ALPHA", "BETA")]
    for side in sides:
        _own(side, house, api_of(make.make_partner(kind="channel")))
    feed.relay_events()
    deliveries.fan_out(at=timezone.now())
    return World(alpha=sides[0], beta=sides[1], house=house)


def _settle(name: str) -> Side:
    places = [f"{word}-{name}" for word in ("W1", "W2")]
    for code in places:
        make.make_warehouse(code=code)
    supplier = make.make_partner(code=f"SUP-{name}", kind="supplier", granted_warehouses=places)
    retailer = make.make_partner(code=f"RET-{name}", kind="retailer", granted_warehouses=places, assortment="own")
    keeper = make.make_partner(code=f"3PL-{name}", kind="logistics", granted_warehouses=places)
    clients = {"supplier": api_of(supplier), "retailer": api_of(retailer), "keeper": api_of(keeper)}
    return Side(name=name, supplier=supplier, retailer=retailer, keeper=keeper, clients=clients)


def done(answer: Any) -> Any:
    assert answer.status_code < 300, (answer.status_code, answer.content)
    return answer.json()


def _own(side: Side, house: ApiClient, second: ApiClient) -> None:
    """Everything that can be somebody's, in the state in which the steps of `cases` can be taken."""
    supplier, retailer, keeper = side.clients["supplier"], side.clients["retailer"], side.clients["keeper"]
    place, other_place, ids = side.called("W1"), side.called("W2"), side.ids
    both = [side.supplier, side.retailer]
    sauce = make.make_variant(sku=side.called("SAUCE"), suppliers=both, warranty_months=12)
    hot = make.make_variant(sku=side.called("HOT"), suppliers=both)
    honey = make.make_variant(sku=side.called("HONEY"), suppliers=[side.supplier], tracking="batch")
    case = make.make_variant(sku=side.called("CASE"), suppliers=[side.supplier])
    make.make_variant(sku=side.called("FAMILY"), suppliers=[side.supplier], is_parent=True)
    make.make_variant(sku=side.called("KIT"), suppliers=[side.supplier])
    make.make_variant(sku=side.called("NEXT"), suppliers=[side.supplier])
    Pack.objects.create(variant=hot, name="case", quantity=6, stocked_as=case)
    SupplierItem.objects.filter(supplier=side.supplier).update(cost=2, currency="EUR")
    warehouse = Warehouse.objects.get(code=place)
    for variant, on_hand, batch in ((sauce, 100, ""), (hot, 60, ""), (honey, 10, "B1"), (case, 5, "")):
        movements.book(
            kind="receipt", variant=variant, warehouse=warehouse, quantity=on_hand, batch_number=side.called(batch) if batch else "",
            supplier=side.supplier, actor=make.TESTER, at=timezone.now(),
        )  # fmt: skip
    done(keeper.post(f"/warehouses/{place}/locations", {"code": "A-01"}))

    one = [side.line()]
    cart = {"reference": side.called("cart"), "lines": one}
    ids["reservations"] = done(retailer.post("/reservations", cart))["reservationId"]
    ids["promises"] = done(retailer.post("/deliveryDates", {"lines": one, "shipTo": HERE, "keep": True}))["promiseId"]
    ids["orders"] = _order(side, "pending")
    wanted = _confirmed(side, "asked", 3)
    ids["confirmedOrder"] = wanted
    [asked] = done(keeper.get(f"/fulfillmentRequests?orderId={wanted}"))["items"]
    ids["fulfillmentRequests"] = asked["fulfillmentRequestId"]
    box = {"lines": one, "sscc": sscc(side, 1)}
    path = f"/fulfillmentRequests/{ids['fulfillmentRequests']}/packages"
    ids["packages"] = done(keeper.post(path, box))["packageId"]
    sold = _confirmed(side, "sold", 5)
    sent = {"orderId": sold, "warehouseLocation": place, "carrier": "UPS", "trackingNumber": side.called("1Z")}
    sent |= {"sscc": sscc(side, 2)}
    ids["soldOrder"] = sold
    ids["shipments"] = done(keeper.post("/shipments", sent | {"lines": [side.line(5)]}))["shipmentId"]
    back = {"orderId": sold, "lines": [side.line(reason="broken")]}
    ids["returns"] = done(retailer.post("/returns", back))["returnId"]
    ids["receivedReturn"] = done(retailer.post("/returns", back))["returnId"]
    done(keeper.post(f"/returns/{ids['receivedReturn']}/receive"))
    claimed = done(retailer.post("/returns", back))["returnId"]
    done(keeper.post(f"/returns/{claimed}/receive"))
    verdict = {"lines": [{"productId": side.called("SAUCE"), "disposition": "warrantyClaim"}]}
    [judged] = done(keeper.post(f"/returns/{claimed}/inspect", verdict))["lines"]
    ids["warrantyClaims"] = judged["warrantyClaimId"]

    ends = {"sourceWarehouse": place, "targetWarehouse": other_place, "lines": one}
    ids["transfers"] = done(keeper.post("/transfers", ends))["transferId"]
    ids["sentTransfer"] = done(keeper.post("/transfers", ends))["transferId"]
    done(keeper.post(f"/transfers/{ids['sentTransfer']}/dispatch", {}))
    ids["counts"] = done(keeper.post("/counts", {"warehouseLocation": place, "productIds": [hot.sku]}))["countId"]
    strict = {"warehouseLocation": place, "productIds": [sauce.sku], "approvalValue": "0", "toleranceUnits": 1000}
    ids["strictCount"] = done(keeper.post("/counts", strict))["countId"]
    found = {"lines": [{"productId": sauce.sku, "counted": 2}]}
    [line] = done(keeper.post(f"/counts/{ids['strictCount']}/lines", found))["items"]
    ids["countLine"], ids["countLineStatus"] = line["lineId"], line["status"]

    bought = {"supplierId": side.supplier.code, "warehouseLocation": place, "lines": [side.line(10)]}
    ids["draftOrder"] = done(house.post("/purchaseOrders", bought))["purchaseOrderId"]
    ids["purchaseOrders"] = done(house.post("/purchaseOrders", bought))["purchaseOrderId"]
    done(house.post(f"/purchaseOrders/{ids['purchaseOrders']}/send"))
    coming = {"purchaseOrderId": ids["purchaseOrders"], **side.line(2)}
    notice = {"despatchNumber": side.called("D-1"), "warehouseLocation": place, "lines": [coming]}
    ids["advanceShipNotices"] = done(supplier.post("/advanceShipNotices", notice))["asnId"]
    came = {"purchaseOrderId": ids["purchaseOrders"], "warehouseLocation": place, "lines": one}
    ids["receipts"] = done(keeper.post("/receipts", came))["receiptId"]

    make.make_level(variant=honey, warehouse=warehouse, batch_number=side.called("B2"))
    path = f"/batches/{honey.sku}/{side.called('B2')}/recall"
    ids["recalls"] = done(second.post(path, {"reason": side.called("glass")}))["recallId"]
    sale = {"saleId": side.called("1"), "occurredAt": "2026-01-01T00:00:00Z", "warehouseLocation": place, "lines": one}
    report = {"deviceId": side.called("TILL"), "deviceSequence": 1, "sales": [sale]}
    ids["pos"] = done(retailer.post("/pos/batches", report))["batchId"]
    items = [{"productId": side.called("RELISH"), "name": side.called("Relish")}]
    ids["imports"] = done(supplier.post("/imports", {"kind": "catalog", "items": items}))["importId"]
    ids["appliedImport"] = done(supplier.post("/imports", {"kind": "catalog", "items": [items[0] | {"name": "x"}]}))[
        "importId"
    ]
    said = {"kind": "quality", "productId": sauce.sku, "comment": side.called("Too hot")}
    ids["feedback"] = done(retailer.post("/feedback", said))["feedbackId"]
    ids["apiKeys"] = done(supplier.post("/apiKeys", {"name": side.called("ERP")}))["keyId"]
    hook, _ = make.make_webhook(partner=side.supplier, description=side.called("ERP"))
    ids["webhooks"] = str(hook.webhook_id)
    own = Application.objects.get(partner=side.supplier)
    rotated = credentials.rotate_secret(application=own, actor=make.TESTER, at=timezone.now())
    ids["clientSecret"] = rotated.client_secret
    ids |= {
        "batches": f"{honey.sku}/{side.called('B1')}", "suppliers": side.supplier.code, "products": sauce.sku,
        "retailPartners": side.retailer.code, "inventory": f"{side.supplier.code}/{sauce.sku}", "warehouses": place,
    }  # fmt: skip


def sscc(side: Side, number: int) -> str:
    body = f"0061414112{len(side.name)}{number:06}"
    return body + str(ean.calc_check_digit(body))


def _order(side: Side, reference: str, quantity: int = 1, **more: Any) -> str:
    sent = {"externalReference": side.called(reference), "shipTo": SHIP_TO | {"name": side.called("Store")}}
    return str(
        done(side.clients["retailer"].post("/orders", sent | {"lines": [side.line(quantity)]} | more))["orderId"]
    )


def _confirmed(side: Side, reference: str, quantity: int) -> str:
    number = _order(side, reference, quantity)
    done(side.clients["retailer"].post(f"/orders/{number}/confirm"))
    return number


@contextmanager
def taken_back() -> Iterator[None]:
    """What is done within is undone at the end, so that each call starts from the same world."""
    with transaction.atomic():
        connection.atomic_blocks[-1]._from_testcase = True  # durable blocks are let in, as in a test case
        yield
        transaction.set_rollback(True)


def everything() -> dict[str, tuple[int, int]]:
    """Every row of every table of ours, as a number and a sum for each table: equal before and after a refusal.

    Keys of refusals and attempts to come in are kept by design, and what is looked at is no change.
    """
    names = sorted(name for name in connection.introspection.table_names() if name.split("_")[0] in OURS)
    names = [name for name in names if name not in NOT_LOOKED_AT]
    one = "SELECT '{0}', count(*), coalesce(sum(hashtextextended(row::text, 0)::numeric), 0) FROM {0} row"
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(one.format(name) for name in names))
        return {name: (number, content) for name, number, content in cursor.fetchall()}


OURS = {"partners", "catalog", "stock", "orders"}
NOT_LOOKED_AT = {"partners_idempotencykey", "partners_authenticationattempt"}


def on_hand() -> int:
    return sum(Level.objects.values_list("on_hand", flat=True))
