"""Every route of the OpenAPI document: 401 without a token, 403 without the scope, 404 for strangers."""

from __future__ import annotations

import re
import uuid
from functools import cache

import pytest
from drf_spectacular.generators import SchemaGenerator

from partners import scopes
from tests import make
from tests.conftest import ApiClient, api_of
from tests.orders.steps import keeper

# A thing named by one parameter, or by two: a supplier's product, a product's batch.
TWO_WORDS = r"\{\w+\}(/\{\w+\})?"
# What retailers have no part in.
BUYING = {"purchaseOrders", "advanceShipNotices", "receipts"}
METHODS = ("get", "post", "put", "patch", "delete")


@cache
def routes() -> list[tuple[str, str, str]]:
    """(method, path below /api/v1, the scope it needs)."""
    document = SchemaGenerator().get_schema(request=None, public=True)
    return [
        (method.upper(), path.removeprefix("/api/v1"), operation["security"][0]["oauth2"][0])
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    ]


def filled(path: str, **known: str) -> str:
    """The path with its parameters replaced; what is not known names nothing that exists."""
    return re.sub(r"\{(\w+)\}", lambda found: known.get(found[1], str(uuid.uuid4())), path)


def test_the_document_names_every_route_with_one_scope_that_exists(db):
    assert len(routes()) > 30
    assert {scope for _, _, scope in routes()} <= set(scopes.TEXTS)


def test_no_route_answers_without_a_good_token(db):
    expired = ApiClient("a-token-nobody-issued")
    for method, path, _ in routes():
        for client, code in ((api_of(None), "not_authenticated"), (expired, "invalid_token")):
            answer = client.request(method, filled(path), {})
            assert (answer.status_code, answer.json()["code"]) == (401, code), (method, path)
            assert answer["WWW-Authenticate"].startswith("Bearer"), (method, path)


def test_no_route_opens_without_its_scope(retailer):
    for method, path, scope in routes():
        others = " ".join(name for name in scopes.TEXTS if name != scope)
        answer = api_of(retailer, others).request(method, filled(path), {})
        assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope"), (method, path)
        assert answer.json()["requiredScope"] == scope, (method, path)


def test_a_suspended_partner_gets_nothing(db):
    client = api_of(make.make_partner(status="suspended"))
    for method, path, _ in routes():
        answer = client.request(method, filled(path), {})
        assert (answer.status_code, answer.json()["code"]) == (403, "partner_suspended"), (method, path)


@pytest.mark.parametrize("path", ["/nothing", "/suppliers/", "/orders/x/y/z", "/products/a%00b", "/orders/a%00b"])
def test_an_address_that_is_not_there_is_a_404(retailer, path):
    assert api_of(retailer).get(path).status_code == 404


@pytest.fixture
def belongings(retailer, supplier) -> dict[str, str]:
    """One of everything, belonging to one retailer and one supplier: the path parameters that name them."""
    warehouse = make.make_warehouse(code="W1")
    variant = make.make_variant(sku="SAUCE", suppliers=[supplier], warranty_months=12)
    make.make_level(variant=variant, warehouse=warehouse, on_hand=10)
    client = api_of(retailer)
    lines = [{"productId": "SAUCE", "quantity": 1}]
    held = client.post("/reservations", {"reference": "cart", "lines": lines}).json()
    ship_to = {"name": "x", "country": "US", "postalCode": "1"}
    two = [{"productId": "SAUCE", "quantity": 2}]
    order = client.post("/orders", {"externalReference": "PO", "shipTo": ship_to, "lines": two}).json()
    client.post(f"/orders/{order['orderId']}/confirm")
    [asked] = client.get("/fulfillmentRequests").json()["items"]
    box = {"sscc": "006141411234567890", "lines": lines}
    package = client.post(f"/fulfillmentRequests/{asked['fulfillmentRequestId']}/packages", box).json()
    sent = {"orderId": order["orderId"], "warehouseLocation": "W1", "carrier": "UPS", "trackingNumber": "1Z"}
    shipment = client.post("/shipments", sent | {"lines": two}).json()
    coming = [{"productId": "SAUCE", "quantity": 1, "reason": "x"}]
    where = {"country": "US", "postalCode": "1"}
    kept = client.post("/deliveryDates", {"lines": lines, "shipTo": where, "keep": True}).json()
    returned = client.post("/returns", {"orderId": order["orderId"], "lines": coming}).json()
    broken = client.post("/returns", {"orderId": order["orderId"], "lines": coming}).json()["returnId"]
    keeper().post(f"/returns/{broken}/receive")
    verdict = {"lines": [{"productId": "SAUCE", "disposition": "warrantyClaim"}]}
    [judged] = keeper().post(f"/returns/{broken}/inspect", verdict).json()["lines"]
    make.make_warehouse(code="W2")
    ends = {"sourceWarehouse": "W1", "targetWarehouse": "W2"}
    transfer = client.post("/transfers", ends | {"lines": lines}).json()
    count = client.post("/counts", {"warehouseLocation": "W1"}).json()
    ours = api_of(make.make_partner(code="OURS", kind="channel"))
    wanted = {"supplierId": "SUP-1", "warehouseLocation": "W1", "lines": lines}
    bought = ours.post("/purchaseOrders", wanted).json()["purchaseOrderId"]
    ours.post(f"/purchaseOrders/{bought}/send")
    notice = ours.post("/advanceShipNotices", wanted | {"despatchNumber": "D-1"}).json()
    receipt = ours.post("/receipts", wanted | {"purchaseOrderId": bought}).json()
    honey = make.make_variant(sku="HONEY", suppliers=[supplier], tracking="batch")
    make.make_level(variant=honey, warehouse=warehouse, batch_number="B1")
    recall = api_of(make.make_partner(kind="channel")).post("/batches/HONEY/B1/recall", {"reason": "glass"}).json()
    sale = {"saleId": "1", "occurredAt": "2026-01-01T00:00:00Z", "warehouseLocation": "W1", "lines": lines}
    sold = client.post("/pos/batches", {"deviceId": "TILL", "deviceSequence": 1, "sales": [sale]}).json()
    heard = client.post("/feedback", {"kind": "delay", "orderId": order["orderId"]}).json()
    items = [{"productId": "RELISH", "name": "Relish"}]
    sent_in = client.post("/imports", {"kind": "catalog", "items": items}).json()
    key = client.post("/apiKeys", {"name": "Till"}).json()
    webhook, _ = make.make_webhook(partner=retailer)
    return {
        "apiKeys": key["keyId"],
        "webhooks": str(webhook.webhook_id),
        "imports": sent_in["importId"],
        "feedback": heard["feedbackId"],
        "batches": "HONEY/B1",
        "recalls": recall["recallId"],
        "counts": count["countId"],
        "suppliers": "SUP-1",
        "retailPartners": "RET-1",
        "products": "SAUCE",
        "inventory": "SUP-1/SAUCE",
        "reservations": held["reservationId"],
        "orders": order["orderId"],
        "fulfillmentRequests": asked["fulfillmentRequestId"],
        "packages": package["packageId"],
        "shipments": shipment["shipmentId"],
        "returns": returned["returnId"],
        "pos": sold["batchId"],
        "warrantyClaims": judged["warrantyClaimId"],
        "transfers": transfer["transferId"],
        "promises": kept["promiseId"],
        "warehouses": "W1",
        "purchaseOrders": bought,
        "advanceShipNotices": notice["asnId"],
        "receipts": receipt["receiptId"],
    }


def test_a_strangers_token_finds_nothing_of_anothers_on_any_route(belongings):
    """The stranger is another supplier with every scope: neither products nor documents are its own.

    To a warehouse the stranger is who is not granted it.
    """
    another = api_of(make.make_partner(code="SUP-9", kind="supplier"))
    elsewhere = api_of(make.make_partner(code="3PL-9", kind="logistics", granted_warehouses=["W9"]))
    walked = set()
    for method, path, _ in routes():
        if "{" not in path:
            continue
        noun = path.strip("/").split("/")[0]
        real = re.sub(TWO_WORDS, belongings[noun], path)
        stranger = elsewhere if noun == "warehouses" else another
        answer = stranger.request(method, real, {}, headers={"If-Match": '"1"'})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (method, real)
        walked.add(noun)
    assert walked == set(belongings)


def test_a_strangers_lists_are_empty_of_anothers_things(belongings):
    stranger = api_of(make.make_partner(code="SUP-9", kind="supplier"))
    for method, path, _ in routes():
        if (
            method == "GET"
            and "{" not in path
            and path not in {"/events/types", "/suppliers", "/reasons", "/productTypes", "/credentials"}
        ):
            assert stranger.get(path).json()["items"] == [], path


def test_the_owners_reach_what_the_stranger_did_not(belongings, retailer, supplier):
    """Else the test above could pass because nothing is there."""
    for client, nouns in (
        (api_of(retailer), set(belongings) - BUYING),
        (api_of(supplier), {"suppliers", "products", "inventory", "batches", "recalls"} | BUYING),
    ):
        for noun in nouns:
            within = "/batches" if noun == "pos" else ""
            below = "/locations" if noun == "warehouses" else ""
            assert client.get(f"/{noun}{within}/{belongings[noun]}{below}").status_code == 200, noun
