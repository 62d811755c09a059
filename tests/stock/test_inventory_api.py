"""The inventory doors: the guide's object, bookings, absolute levels, the ledger."""

from __future__ import annotations

from datetime import date

import pytest

from stock import proof
from stock.models import Level, Movement
from tests import make

BAD_NUMBERS = ["1", 1.5, True, None, [], {}, 10**13, -(10**13), 0]


@pytest.fixture
def shelf(supplier):
    """500 of a sauce in one batch, 50 of them promised: the guide's example."""
    variant = make.make_variant(sku="HOTSAUCE789", suppliers=[supplier], tracking="batch")
    warehouse = make.make_warehouse(code="Warehouse_A")
    level = make.make_level(
        variant=variant, warehouse=warehouse, on_hand=500, batch_number="BATCH202406", expires_on=date(2095, 1, 1)
    )
    return variant, warehouse, level


def totals() -> tuple[int, int, int]:
    """What a refusal must leave alone: units, promises, ledger rows."""
    levels = Level.objects.values_list("on_hand", "reserved")
    return sum(row[0] for row in levels), sum(row[1] for row in levels), Movement.objects.count()


def test_a_retailer_reads_the_guides_object(api, retailer, shelf):
    api(retailer).post("/reservations", {"reference": "c", "lines": [{"productId": "HOTSAUCE789", "quantity": 50}]})
    answer = api(retailer).get("/inventory/SUP-1/HOTSAUCE789")
    body = answer.json()
    levels = body.pop("levels")
    updated = body.pop("lastUpdated")
    assert body == {
        "supplierId": "SUP-1",
        "retailPartnerId": "RET-1",
        "productId": "HOTSAUCE789",
        "inventoryLevel": 500,
        "reservedQuantity": 50,
        "availableQuantity": 450,
        "availability": "450",
        "warehouseLocation": "Warehouse_A",
        "batchNumber": "BATCH202406",
        "expirationDate": "2095-01-01",
        "version": 2,
    }
    assert updated.endswith("Z")
    assert [(row["inventoryLevel"], row["isSellable"], row["batchNumber"]) for row in levels] == [
        (500, True, "BATCH202406")
    ]
    assert answer["ETag"] == '"2"'


def test_an_unchanged_product_answers_304(api, retailer, shelf):
    tag = api(retailer).get("/inventory/SUP-1/HOTSAUCE789")["ETag"]
    answer = api(retailer).get("/inventory/SUP-1/HOTSAUCE789", headers={"If-None-Match": tag})
    assert (answer.status_code, answer.content) == (304, b"")


@pytest.mark.parametrize(
    ("disclosure", "cap", "told"),
    [("capped", 20, (20, "20+")), ("banded", None, (200, "200-999")), ("yesNo", None, (None, "yes"))],
)
def test_a_partner_is_told_no_more_than_its_disclosure(api, shelf, disclosure, cap, told):
    reseller = make.make_partner(code="RESELLER", disclosure=disclosure, disclosure_cap=cap)
    body = api(reseller).get("/inventory/SUP-1/HOTSAUCE789").json()
    assert (body["availableQuantity"], body["availability"]) == told
    assert (body["inventoryLevel"], body["reservedQuantity"], body["levels"]) == (None, None, [])
    [row] = api(reseller).get("/inventory").json()["items"]
    assert (row["inventoryLevel"], row["availableQuantity"]) == (None, None)
    assert api(reseller).get("/inventory/transactions").json()["items"] == []
    refusal = api(reseller).post(
        "/reservations", {"reference": "x", "lines": [{"productId": "HOTSAUCE789", "quantity": 501}]}
    )
    assert refusal.json()["shortages"][0]["available"] == told[0]


def test_another_supplier_sees_nothing_of_it(api, shelf):
    rival = make.make_partner(code="SUP-2", kind="supplier")
    assert api(rival).get("/inventory/SUP-1/HOTSAUCE789").status_code == 404
    assert api(rival).get("/inventory").json()["items"] == []
    assert api(rival).get("/inventory/transactions").json()["items"] == []
    booking = {"type": "receipt", "quantity": 1, "warehouseLocation": "Warehouse_A", "batchNumber": "B"}
    before = totals()
    assert api(rival).post("/inventory/SUP-1/HOTSAUCE789", booking).status_code == 404
    assert api(rival).post("/inventory/transactions", booking | {"productId": "HOTSAUCE789"}).status_code == 422
    assert totals() == before


def test_a_warehouse_that_is_not_granted_is_as_good_as_not_there(api, shelf):
    partner = make.make_partner(code="LOCAL", granted_warehouses=["Elsewhere"])
    body = api(partner).get("/inventory/SUP-1/HOTSAUCE789").json()
    assert (body["inventoryLevel"], body["levels"]) == (0, [])
    assert api(partner).get("/inventory/SUP-1/HOTSAUCE789?warehouse=Warehouse_A").status_code == 404
    assert api(partner).get("/inventory").json()["items"] == []


@pytest.mark.parametrize(
    ("booking", "sellable", "elsewhere"),
    [
        ({"type": "receipt", "quantity": 20}, 520, {}),
        ({"type": "adjustment", "quantity": 5}, 505, {}),
        ({"type": "adjustment", "quantity": -5}, 495, {}),
        ({"type": "damage", "quantity": 7}, 493, {"damaged": 7}),
        ({"type": "return", "quantity": 2}, 500, {"quarantine": 2}),
        ({"type": "writeOff", "quantity": 500}, 0, {}),
        ({"type": "transferOut", "quantity": 100}, 400, {}),
        ({"type": "transferIn", "quantity": 30}, 530, {}),
    ],
)
def test_a_supplier_books_each_kind_of_movement(api, supplier, shelf, booking, sellable, elsewhere):
    sent = booking | {"warehouseLocation": "Warehouse_A", "batchNumber": "BATCH202406", "reason": "test"}
    answer = api(supplier).post("/inventory/SUP-1/HOTSAUCE789", sent)
    assert answer.status_code == 201
    levels = {row.condition: row.on_hand for row in Level.objects.all()}
    assert levels == {"sellable": sellable} | elsewhere
    [row] = api(supplier).get(f"/inventory/transactions?type={booking['type']}").json()["items"][:1]
    assert (row["quantity"], row["actor"], row["reason"]) == (abs(booking["quantity"]), "partner:SUP-1", "test")
    assert proof.prove_ledger().differences == []


def test_the_same_booking_sent_twice_is_booked_once(api, supplier, shelf):
    sent = {"type": "receipt", "quantity": 20, "warehouseLocation": "Warehouse_A", "batchNumber": "BATCH202406"}
    client, headers = api(supplier), {"Idempotency-Key": "dock-7"}
    first = client.post("/inventory/SUP-1/HOTSAUCE789", sent, headers=headers)
    second = client.post("/inventory/SUP-1/HOTSAUCE789", sent, headers=headers)
    assert (first.status_code, second.status_code, first.content == second.content) == (201, 201, True)
    assert second["Idempotent-Replayed"] == "true"
    other = client.post("/inventory/SUP-1/HOTSAUCE789", sent | {"quantity": 21}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    missing = client.post("/inventory/SUP-1/HOTSAUCE789", sent, headers={"Idempotency-Key": None})
    assert (missing.status_code, missing.json()["code"]) == (400, "idempotency_key_missing")
    assert totals() == (520, 0, 2)


def test_a_refusal_is_kept_with_its_key(api, supplier, shelf):
    sent = {"type": "writeOff", "quantity": 501, "warehouseLocation": "Warehouse_A", "batchNumber": "BATCH202406"}
    client, headers = api(supplier), {"Idempotency-Key": "scrap-1"}
    first = client.post("/inventory/SUP-1/HOTSAUCE789", sent, headers=headers)
    assert (first.status_code, first.json()["code"]) == (409, "not_enough_on_hand")
    client.post("/inventory/SUP-1/HOTSAUCE789", sent | {"type": "receipt"})
    again = client.post("/inventory/SUP-1/HOTSAUCE789", sent, headers=headers)
    assert (again.status_code, again.content) == (409, first.content)
    assert totals() == (1001, 0, 2)


@pytest.mark.parametrize("quantity", BAD_NUMBERS)
def test_a_quantity_that_is_no_whole_number_of_units_is_refused_by_name(api, supplier, shelf, quantity):
    before = totals()
    sent = {
        "type": "adjustment",
        "quantity": quantity,
        "warehouseLocation": "Warehouse_A",
        "batchNumber": "BATCH202406",
    }
    answer = api(supplier).post("/inventory/SUP-1/HOTSAUCE789", sent)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "quantity")
    assert totals() == before


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"type": None}, "type"),
        ({"type": "shipment"}, "type"),
        ({"warehouseLocation": None}, "warehouseLocation"),
        ({"warehouseLocation": "nowhere"}, "warehouseLocation"),
        ({"warehouseLocation": 7}, "warehouseLocation"),
        ({"batchNumber": None}, "batchNumber"),
        ({"batchNumber": ""}, "batchNumber"),
        ({"batchNumber": "x" * 61}, "batchNumber"),
        ({"expirationDate": "2025-13-01"}, "expirationDate"),
        ({"expirationDate": "soon"}, "expirationDate"),
        ({"reason": "x" * 201}, "reason"),
        ({"type": "receipt", "quantity": -1}, "quantity"),
    ],
)
def test_a_booking_that_cannot_be_understood_names_the_field(api, supplier, shelf, change, field):
    before = totals()
    sent = {"type": "receipt", "quantity": 1, "warehouseLocation": "Warehouse_A", "batchNumber": "BATCH202406"}
    answer = api(supplier).post("/inventory/SUP-1/HOTSAUCE789", sent | change)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert totals() == before


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 422),
        ("{", 400),
        ("[]", 422),
        ("null", 422),
        ('{"type": "receipt", "type": "damage"}', 400),
        ('{"quantity": NaN}', 400),
        ('{"quantity": 1e999}', 400),
        ('{"quantity": ' + "9" * 5000 + "}", 400),
        ('{"reason": "a\\u0000b"}', 400),
        ('{"reason": "\\ud800"}', 400),
        ("[" * 10_000, 400),
        ('{"reason": "' + "x" * 1_000_001 + '"}', 413),
    ],
)
def test_a_body_that_is_no_plain_json_is_refused(api, supplier, shelf, body, status):
    before = totals()
    answer = api(supplier).post("/inventory/SUP-1/HOTSAUCE789", body=body)
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"
    assert totals() == before


def test_a_batch_with_another_date_than_known_is_refused(api, supplier, shelf):
    before = totals()
    sent = {
        "type": "receipt", "quantity": 1, "warehouseLocation": "Warehouse_A", "batchNumber": "BATCH202406",
        "expirationDate": "2096-01-01T00:00:00Z",
    }  # fmt: skip
    answer = api(supplier).post("/inventory/SUP-1/HOTSAUCE789", sent)
    assert (answer.status_code, answer.json()["code"]) == (409, "batch_differs")
    assert totals() == before


def test_setting_a_level_needs_the_version_it_was_decided_on(api, supplier, shelf):
    client, path = api(supplier), "/inventory/SUP-1/HOTSAUCE789"
    sent = {"warehouseLocation": "Warehouse_A", "batchNumber": "BATCH202406", "inventoryLevel": 480, "reason": "count"}
    assert client.patch(path, sent).status_code == 428
    for stale in ('"99"', 'W/"1"', "*"):
        answer = client.patch(path, sent, headers={"If-Match": stale})
        assert (answer.status_code, answer.json()["currentEtag"]) == (412, '"1"')
    assert totals() == (500, 0, 1)
    changed = client.patch(path, sent, headers={"If-Match": client.get(path)["ETag"]})
    assert (changed.status_code, changed.json()["inventoryLevel"], changed["ETag"]) == (200, 480, '"2"')
    view = client.get(path + "?warehouse=Warehouse_A")
    assert client.patch(path, sent, headers={"If-Match": view["ETag"]}).status_code == 200
    assert totals() == (480, 0, 2)


def test_a_count_below_what_is_promised_breaks_the_youngest_promise(api, retailer, supplier, shelf):
    client = api(retailer)
    for name in ("old", "young"):
        client.post("/reservations", {"reference": name, "lines": [{"productId": "HOTSAUCE789", "quantity": 200}]})
    tag = api(supplier).get("/inventory/SUP-1/HOTSAUCE789")["ETag"]
    sent = {"warehouseLocation": "Warehouse_A", "batchNumber": "BATCH202406", "inventoryLevel": 350, "reason": "count"}
    body = api(supplier).patch("/inventory/SUP-1/HOTSAUCE789", sent, headers={"If-Match": tag}).json()
    assert (body["inventoryLevel"], body["reservedQuantity"]) == (350, 350)
    assert proof.prove_ledger().differences == []


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "cursor=%00", "cursor=e30", "expiresBefore=soon", "updatedSince=x"]
)
def test_a_query_parameter_that_cannot_be_used_is_a_400(api, retailer, shelf, query):
    answer = api(retailer).get(f"/inventory?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")


def test_pages_follow_one_another_without_gap_or_twin(api, retailer, supplier, shelf):
    warehouse = shelf[1]
    for number in range(7):
        make.make_level(variant=make.make_variant(sku=f"P{number}", suppliers=[supplier]), warehouse=warehouse)
    seen, cursor = [], ""
    while cursor is not None:
        page = api(retailer).get(f"/inventory?limit=3&cursor={cursor}").json()
        seen += [row["productId"] for row in page["items"]]
        cursor = page["nextCursor"]
    assert seen == ["HOTSAUCE789", *(f"P{number}" for number in range(7))]


def test_a_page_of_levels_costs_the_same_few_queries_however_long(
    api, retailer, supplier, shelf, django_assert_num_queries
):
    client = api(retailer)
    for number in range(30):
        make.make_level(variant=make.make_variant(sku=f"P{number}", suppliers=[supplier]), warehouse=shelf[1])
    with django_assert_num_queries(2):
        assert len(client.get("/inventory").json()["items"]) == 31


def test_a_supplier_cannot_find_out_who_else_supplies_its_products(api, supplier):
    rival = make.make_partner(code="RIVAL", kind="supplier")
    shared = make.make_variant(sku="SHARED", suppliers=[supplier, rival])
    make.make_level(variant=shared, warehouse=make.make_warehouse())
    client = api(supplier)
    assert len(client.get("/inventory?supplierId=SUP-1").json()["items"]) == 1
    assert client.get("/inventory?supplierId=RIVAL").json()["items"] == []
