"""Packs are opened into their units and packed again; nothing is gained or lost on the way."""

from __future__ import annotations

from datetime import date

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from catalog.models import Pack
from stock import proof
from stock.models import Batch, Level, Movement, Warehouse
from stock.operations import holds
from tests import make

# What went into the conversion place under a reference and did not come out, packs counted as their units.
NOT_ZERO = """
    SELECT m.reference FROM stock_movement m LEFT JOIN catalog_pack p ON p.stocked_as_id = m.variant_id
     WHERE m.kind = 'conversion' GROUP BY m.reference
    HAVING sum(m.quantity * coalesce(p.quantity, 1) * CASE WHEN m.to_location_id = -8 THEN 1 ELSE -1 END) <> 0
"""


@pytest.fixture
def shelf(supplier):
    """Five cases of 24 sauces in one batch, and ten loose sauces of another."""
    case, sauce = (make.make_variant(sku=sku, suppliers=[supplier], tracking="batch") for sku in ("CASE", "SAUCE"))
    warehouse = make.make_warehouse(code="W1")
    Pack.objects.create(variant=sauce, name="case", quantity=24, stocked_as=case)
    make.make_level(variant=case, warehouse=warehouse, on_hand=5, batch_number="B1", expires_on=date(2090, 1, 1))
    make.make_level(variant=sauce, warehouse=warehouse, on_hand=10, batch_number="LOOSE", expires_on=date(2090, 1, 1))
    return case, sauce


def break_pack(client, **change):
    sent = {"productId": "CASE", "direction": "open", "quantity": 2, "warehouseLocation": "W1", "batchNumber": "B1"}
    return client.post("/inventory/breaks", sent | change)


def book() -> dict[str, tuple[int, int]]:
    rows = Level.objects.select_related("variant", "batch")
    return {f"{row.variant.sku}/{row.batch.number}": (row.on_hand, row.reserved) for row in rows}


def prove() -> None:
    assert proof.prove_ledger().differences == []
    with connection.cursor() as cursor:
        cursor.execute(NOT_ZERO)
        assert cursor.fetchall() == []


def test_opened_packs_become_units_of_the_same_batch(api, supplier, shelf):
    answer = break_pack(api(supplier), reference="night shift")
    assert (answer.status_code, answer.json()) == (
        201,
        {"reference": "night shift", "productId": "CASE", "packs": 2, "unitProductId": "SAUCE", "units": 48,
         "batchNumber": "B1"},
    )  # fmt: skip
    assert book() == {"CASE/B1": (3, 0), "SAUCE/LOOSE": (10, 0), "SAUCE/B1": (48, 0)}
    assert Batch.objects.get(variant__sku="SAUCE", number="B1").expires_on == date(2090, 1, 1)
    assert set(Movement.objects.filter(kind="conversion").values_list("reason", "reference")) == {
        ("case of 24", "night shift")
    }
    prove()


def test_units_are_packed_again_and_only_whole_packs(api, supplier, shelf):
    break_pack(api(supplier))
    before = (book(), Movement.objects.count())
    refused = break_pack(api(supplier), direction="pack", quantity=25)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "quantity")
    assert (book(), Movement.objects.count()) == before
    assert break_pack(api(supplier), direction="pack", quantity=24).json()["packs"] == 1
    assert book() == {"CASE/B1": (4, 0), "SAUCE/LOOSE": (10, 0), "SAUCE/B1": (24, 0)}
    prove()


def test_only_free_packs_are_opened_and_no_promise_is_broken(api, retailer, supplier, shelf):
    api(retailer).post("/reservations", {"reference": "c", "lines": [{"productId": "CASE", "quantity": 4}]})
    before = (book(), Movement.objects.count())
    answer = break_pack(api(supplier))
    assert (answer.status_code, answer.json()["code"]) == (409, "not_enough_on_hand")
    assert (book(), Movement.objects.count()) == before
    assert break_pack(api(supplier), quantity=1).status_code == 201
    prove()


@pytest.mark.parametrize("held", ["CASE", "SAUCE"])
def test_a_batch_that_is_held_does_not_go_on_under_another_name(api, supplier, shelf, held):
    assert break_pack(api(supplier), quantity=1).status_code == 201
    batch = Batch.objects.get(variant__sku=held, number="B1")
    holds.quarantine_batch(batch=batch, reason="smells odd", actor=make.TESTER, at=timezone.now())
    before = (book(), Movement.objects.count())
    answer = break_pack(api(supplier))
    assert (answer.status_code, answer.json()["code"], answer.json()["productId"]) == (409, "batch_blocked", held)
    assert (book(), Movement.objects.count()) == before


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"productId": "SAUCE"}, "productId"),
        ({"productId": "NONE"}, "productId"),
        ({"batchNumber": ""}, "batchNumber"),
        ({"batchNumber": "B9"}, "batchNumber"),
        ({"warehouseLocation": "W9"}, "warehouseLocation"),
        ({"location": "Z9"}, "location"),
        ({"direction": "throw"}, "direction"),
        ({"quantity": 0}, "quantity"),
        ({"quantity": 10**13}, "quantity"),
    ],
)
def test_a_break_that_cannot_be_understood_is_refused_by_field(api, supplier, shelf, change, field):
    before = (book(), Movement.objects.count(), Batch.objects.count())
    answer = break_pack(api(supplier), **change)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert (book(), Movement.objects.count(), Batch.objects.count()) == before


def test_another_supplier_breaks_nothing_of_it(api, shelf):
    before = book()
    rival = api(make.make_partner(code="SUP-2", kind="supplier"))
    assert break_pack(rival).status_code == 422
    assert book() == before


def test_revising_the_packs_keeps_the_sku_they_are_kept_under(api, supplier, shelf):
    client = api(supplier)
    packs = [{"name": "case", "quantity": 24}, {"name": "inner", "quantity": 6}]
    tag = client.get("/products/SAUCE")["ETag"]
    assert client.patch("/products/SAUCE", {"packs": packs}, headers={"If-Match": tag}).status_code == 200
    assert Pack.objects.get(name="case").stocked_as == shelf[0]


def test_a_clerk_breaks_a_pack_by_a_form(client, staff, shelf):
    client.force_login(staff)
    url = reverse("admin:stock_level_break_pack")
    assert "Open packs" in client.get(url).content.decode()
    sent = {
        "direction": "open", "sku": "CASE", "warehouse": Warehouse.objects.get().pk, "quantity": 1,
        "batch_number": "B1",
    }  # fmt: skip
    assert client.post(url, sent | {"quantity": 9}).status_code == 200
    assert book()["CASE/B1"] == (5, 0)
    assert client.post(url, sent).status_code == 302
    assert book() == {"CASE/B1": (4, 0), "SAUCE/LOOSE": (10, 0), "SAUCE/B1": (24, 0)}
