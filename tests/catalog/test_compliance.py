"""What the law asks, how long things last, and what a type demands of its products."""

from __future__ import annotations

from datetime import date

import pytest

from catalog.models import ProductType, RegulatoryNote, Variant
from stock.models import Batch, Level
from tests import make

NOTE = {"jurisdiction": "US-CA", "text": "Proposition 65 warning on the pack", "document": "27 CCR 25600"}
WHOLE = NOTE | {"validFrom": None, "validTo": None}


@pytest.fixture
def shop(api):
    client = api(make.make_partner(code="SHOP", kind="channel"))
    assert client.post("/products", {"productId": "SAUCE", "name": "x", "productType": "food"}).status_code == 201
    return client


def change(client, body):
    version = Variant.objects.get(sku="SAUCE").version
    return client.request("PATCH", "/products/SAUCE", body, headers={"If-Match": f'"{version}"'})


def test_notes_are_replaced_whole_and_saying_what_is_so_changes_nothing(shop):
    answer = change(shop, {"regulatoryNotes": [NOTE, {"text": "Label in French", "jurisdiction": "CA-QC"}]})
    assert (answer.status_code, answer["ETag"]) == (200, '"2"')
    assert WHOLE in answer.json()["regulatoryNotes"]
    assert change(shop, {"regulatoryNotes": answer.json()["regulatoryNotes"]})["ETag"] == '"2"'
    assert change(shop, {"name": "y"}).json()["regulatoryNotes"] == answer.json()["regulatoryNotes"]
    assert change(shop, {"regulatoryNotes": []}).json()["regulatoryNotes"] == []
    assert RegulatoryNote.history.count() == 4, "two came and two went"


@pytest.mark.parametrize(
    ("note", "field"),
    [
        ({"text": ""}, "regulatoryNotes[0].text"),
        ({"jurisdiction": "california"}, "regulatoryNotes[0].jurisdiction"),
        ({"jurisdiction": "US-"}, "regulatoryNotes[0].jurisdiction"),
        ({"validFrom": "2027-01-01", "validTo": "2026-12-31"}, "regulatoryNotes[0].validTo"),
        ({"validFrom": "soon"}, "regulatoryNotes[0].validFrom"),
        ({"text": "x" * 2_001}, "regulatoryNotes[0].text"),
    ],
)
def test_a_note_that_cannot_be_is_refused_by_field(shop, note, field):
    answer = change(shop, {"regulatoryNotes": [NOTE | note]})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert not RegulatoryNote.objects.exists()


def test_what_counts_is_the_products_word_and_else_its_types(shop, django_assert_num_queries):
    food = ProductType.objects.get(code="food")
    ProductType.objects.filter(code="food").update(
        shelf_life_days=365, warranty_months=6, warranty_per="orderLine", warranty_terms="Unopened"
    )
    RegulatoryNote.objects.create(product_type=food, jurisdiction="EU", text="Allergens in bold")
    RegulatoryNote.objects.create(product_type=food, text="Over", valid_to=date(2020, 1, 1))
    found = shop.get("/products/SAUCE/compliance").json()
    assert (found["shelfLifeDays"], found["requiresBatch"], found["requiresExpiry"]) == (365, False, False)
    assert found["warranty"] == {"months": 6, "per": "orderLine", "terms": "Unopened", "saidBy": "productType"}
    assert [(note["text"], note["saidBy"]) for note in found["regulatoryNotes"]] == [
        ("Allergens in bold", "productType")
    ]
    change(shop, {"shelfLifeDays": 90, "warrantyMonths": 12, "warrantyTerms": "Ours", "regulatoryNotes": [NOTE]})
    with django_assert_num_queries(3):
        found = shop.get("/products/SAUCE/compliance?jurisdiction=US-CA").json()
    assert found["shelfLifeDays"] == 90
    assert found["warranty"] == {"months": 12, "per": "unit", "terms": "Ours", "saidBy": "product"}
    assert [note["jurisdiction"] for note in found["regulatoryNotes"]] == ["US-CA"]
    past = shop.get("/products/SAUCE/compliance?on=2019-12-31&jurisdiction=EU").json()["regulatoryNotes"]
    assert {note["text"] for note in past} == {"Allergens in bold", "Over"}
    for query in ("on=x", "on=%00", "jurisdiction=x", "jurisdiction=%00"):
        assert shop.get(f"/products/SAUCE/compliance?{query}").status_code == 400, query
    assert shop.get("/products/NONE/compliance").status_code == 404


def test_a_type_that_demands_batches_refuses_other_tracking(shop):
    ProductType.objects.filter(code="food").update(requires_batch=True)
    renamed = change(shop, {"name": "y"})
    assert renamed.status_code == 200, "what was so before stays until it is said anew"
    for answer in (
        shop.post("/products", {"productId": "OIL", "name": "x", "productType": "food"}),
        shop.post("/products", {"productId": "OIL", "name": "x", "productType": "food", "tracking": "serial"}),
        change(shop, {"tracking": "serial"}),
    ):
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "tracking")
    assert Variant.objects.get().tracking == "none"
    assert change(shop, {"tracking": "batch"}).status_code == 200
    parent = {"productId": "OILS", "name": "x", "productType": "food", "axes": ["size"]}
    assert shop.post("/products", parent).status_code == 201, "a parent is never stocked"


def test_a_type_that_demands_expiry_dates_refuses_a_receipt_without(shop):
    make.make_warehouse(code="W1")
    make.make_variant(sku="OTHER", tracking="batch")
    supplier = make.make_partner(code="SUP-1", kind="supplier")
    change(shop, {"tracking": "batch", "suppliers": ["SUP-1"]})
    ProductType.objects.filter(code="food").update(requires_expiry=True)
    sent = {"type": "receipt", "quantity": 5, "warehouseLocation": "W1", "batchNumber": "B1"}
    refused = shop.post(f"/inventory/{supplier.code}/SAUCE", sent)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "expirationDate")
    assert (Level.objects.count(), Batch.objects.count()) == (0, 0)
    dated = shop.post(f"/inventory/{supplier.code}/SAUCE", sent | {"expirationDate": "2095-01-01"})
    assert dated.status_code == 201
    assert shop.post(f"/inventory/{supplier.code}/SAUCE", sent).status_code == 201, "the batch has its date"
    make.make_level(variant=Variant.objects.get(sku="OTHER"), warehouse=make.make_warehouse(), batch_number="B1")
