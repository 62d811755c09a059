"""Why stock is set right decides where the lost units go."""

from __future__ import annotations

import pytest

from stock import proof
from stock.models import Level, Movement, Reason
from tests import make


@pytest.fixture
def shelf(supplier):
    sauce = make.make_variant(sku="SAUCE", suppliers=[supplier])
    return make.make_level(variant=sauce, warehouse=make.make_warehouse(code="W1"), on_hand=10)


def book(client, **change):
    return client.post(
        "/inventory/transactions",
        {"productId": "SAUCE", "type": "adjustment", "quantity": -2, "warehouseLocation": "W1"} | change,
    )


@pytest.mark.parametrize(
    ("kind", "words", "to", "kept"),
    [
        ("adjustment", "missing", "lost", "missing"),
        ("adjustment", "Sample", "consumed", "sample"),
        ("adjustment", "own-use", "consumed", "own-use"),
        ("writeOff", "EXPIRED", "scrap", "expired"),
        ("adjustment", "the cat ate it", "lost", "the cat ate it"),
        ("adjustment", "", "lost", ""),
        ("writeOff", "sample", "scrap", "sample"),
    ],
)
def test_a_loss_goes_where_its_reason_says_and_other_words_stay_as_they_are(
    api, supplier, shelf, kind, words, to, kept
):
    quantity = 2 if kind == "writeOff" else -2
    row = book(api(supplier), type=kind, quantity=quantity, reason=words).json()
    assert (row["to"]["warehouseLocation"], row["reason"]) == (to, kept)
    assert Level.objects.get().on_hand == 8
    assert proof.prove_ledger().differences == []


def test_a_gain_keeps_its_reason_and_comes_from_found(api, supplier, shelf):
    row = book(api(supplier), quantity=3, reason="Sample").json()
    assert (row["from"]["warehouseLocation"], row["to"]["warehouseLocation"], row["reason"]) == (
        "found",
        "W1",
        "sample",
    )


def test_a_retired_reason_is_refused_by_name_and_nothing_is_booked(api, supplier, shelf):
    Reason.objects.filter(code="theft").update(is_active=False)
    answer = book(api(supplier), reason="Theft")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "reason")
    assert (Level.objects.get().on_hand, Movement.objects.count()) == (10, 1)
    Reason.objects.filter(code="theft").update(is_active=True)
    assert book(api(supplier), reason="Theft").status_code == 201


def test_setting_a_level_may_say_its_reason_by_code(api, supplier, shelf):
    client, path = api(supplier), "/inventory/SUP-1/SAUCE"
    sent = {"warehouseLocation": "W1", "inventoryLevel": 7, "reason": "donation"}
    client.patch(path, sent, headers={"If-Match": client.get(path)["ETag"]})
    row = Movement.objects.select_related("to_location").latest("id")
    assert (row.quantity, row.to_location.kind, row.reason) == (3, "consumed", "donation")


def test_the_reasons_in_use_are_listed(api, supplier, retailer):
    Reason.objects.filter(code="theft").update(is_active=False)
    rows = api(supplier).get("/reasons?type=adjustment").json()["items"]
    assert {"code": "sample", "name": "Given away as a sample", "type": "adjustment", "to": "consumed"} in rows
    assert "theft" not in {row["code"] for row in rows}
    assert {row["type"] for row in rows} == {"adjustment"}
    assert api(retailer).get("/reasons?limit=3").json()["nextCursor"]


@pytest.mark.parametrize(("change", "field"), [({"location": "Z9"}, "location"), ({"ownerId": "RET-9"}, "ownerId")])
def test_a_bin_or_owner_that_is_not_the_callers_is_refused_by_name(api, supplier, shelf, change, field):
    answer = book(api(supplier), **change)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert (Level.objects.get().on_hand, Movement.objects.count()) == (10, 1)


def test_a_booking_may_name_its_bin(api, supplier, shelf):
    shelf.location.warehouse.locations.create(code="A-01")
    assert book(api(supplier), type="receipt", quantity=4, location="A-01").status_code == 201
    assert {row.location.code: row.on_hand for row in Level.objects.select_related("location")} == {
        "MAIN": 10,
        "A-01": 4,
    }


def test_damaged_units_are_written_off_where_they_lie(api, retailer):
    warehouse = make.make_warehouse(code="W1")
    bolt = make.make_variant(sku="BOLT")
    make.make_level(variant=bolt, warehouse=warehouse, on_hand=10)
    client = api(retailer)
    body = {"productId": "BOLT", "warehouseLocation": "W1"}
    assert client.post("/inventory/transactions", body | {"type": "damage", "quantity": 4}).status_code == 201
    scrapped = body | {"type": "writeOff", "quantity": 3, "condition": "damaged", "reason": "broken"}
    answer = client.post("/inventory/transactions", scrapped).json()
    assert (answer["from"]["condition"], answer["to"]["warehouseLocation"]) == ("damaged", "scrap")
    held = dict(Level.objects.filter(variant=bolt).values_list("condition", "on_hand"))
    assert held == {"sellable": 6, "damaged": 1}
    wrong = client.post("/inventory/transactions", body | {"type": "receipt", "quantity": 1, "condition": "damaged"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "condition")
    assert dict(Level.objects.filter(variant=bolt).values_list("condition", "on_hand")) == held
