"""Batches and recalls as partners see them, and who may hold what back."""

from __future__ import annotations

from datetime import date
from urllib.parse import quote

import pytest

from partners.models import OutboxEvent
from stock.models import Batch, Level, Recall
from tests import make


@pytest.fixture
def house(db):
    return make.make_partner(code="SHOP", kind="channel")


@pytest.fixture
def shelf(supplier):
    """A sauce in two batches in W1, of which the first lies in W2 as well."""
    sauce = make.make_variant(sku="SAUCE", suppliers=[supplier], tracking="batch")
    near, far = (make.make_warehouse(code=code) for code in ("W1", "W2"))
    for warehouse, number, year in ((near, "B1", 2090), (near, "B2", 2091), (far, "B1", 2090)):
        make.make_level(variant=sauce, warehouse=warehouse, batch_number=number, expires_on=date(year, 1, 1))
    Batch.objects.update(supplier=supplier)
    return sauce


def say(client, verb: str, number: str = "B1", reason: str = "smells odd"):
    return client.post(f"/batches/SAUCE/{number}/{verb}", {"reason": reason})


def state() -> tuple:
    events = OutboxEvent.objects.exclude(type="inventory.updated").count()
    return list(Batch.objects.order_by("pk").values_list("number", "hold_state")), Recall.objects.count(), events


def numbers(answer) -> list[str]:
    return [row["batchNumber"] for row in answer.json()["items"]]


def buy(client, quantity: int, reference: str = "PO-1"):
    lines = [{"productId": "SAUCE", "quantity": quantity, "warehouseLocation": "W1"}]
    held = client.post("/reservations", {"reference": reference, "lines": lines}).json()
    assert client.post(f"/reservations/{held['reservationId']}/commit").status_code == 200


def test_batches_are_listed_newest_first_and_filtered(api, house, shelf):
    client = api(house)
    make.make_level(
        variant=make.make_variant(sku="HONEY", tracking="batch"), warehouse=make.make_warehouse(), batch_number="H1"
    )
    say(client, "quarantine", "B2")
    assert numbers(client.get("/batches")) == ["H1", "B2", "B1"]
    for query, found in (
        ("productId=SAUCE", ["B2", "B1"]),
        ("batchNumber=B1", ["B1"]),
        ("holdState=quarantined", ["B2"]),
        ("expiresBefore=2090-06-01", ["B1"]),
        ("productId=NONE", []),
    ):
        assert numbers(client.get(f"/batches?{query}")) == found, query
    first = client.get("/batches?limit=2").json()
    assert numbers(client.get(f"/batches?limit=2&cursor={first['nextCursor']}")) == ["B1"]
    for query in ("holdState=lost", "expiresBefore=soon"):
        assert client.get(f"/batches?{query}").status_code == 400


def test_a_batch_says_where_it_lies_and_how_much_may_be_promised(api, retailer, house, shelf):
    lines = [{"productId": "SAUCE", "quantity": 3, "warehouseLocation": "W1"}]
    api(retailer).post("/reservations", {"reference": "cart", "lines": lines})
    body = api(house).get("/batches/SAUCE/B1").json()
    assert body == {
        "productId": "SAUCE", "batchNumber": "B1", "expirationDate": "2090-01-01", "holdState": "released",
        "supplierId": "SUP-1", "recallId": None,
        "warehouses": [
            {"warehouseLocation": "W1", "inventoryLevel": 10, "reservedQuantity": 3, "availableQuantity": 7,
             "availability": "7"},
            {"warehouseLocation": "W2", "inventoryLevel": 10, "reservedQuantity": 0, "availableQuantity": 10,
             "availability": "10"},
        ],
    }  # fmt: skip
    held = say(api(house), "quarantine").json()
    assert (held["holdState"], held["warehouses"][0]["inventoryLevel"]) == ("quarantined", 10)
    assert {row["availableQuantity"] for row in held["warehouses"]} == {0}


def test_quantities_are_told_as_disclosed_and_of_granted_warehouses_alone(api, shelf):
    discreet = make.make_partner(disclosure="capped", disclosure_cap=5, granted_warehouses=["W1"])
    [row] = api(discreet).get("/batches/SAUCE/B1").json()["warehouses"]
    assert row == {
        "warehouseLocation": "W1", "inventoryLevel": None, "reservedQuantity": None, "availableQuantity": 5,
        "availability": "5+",
    }  # fmt: skip
    elsewhere = make.make_partner(granted_warehouses=["W2"])
    assert numbers(api(elsewhere).get("/batches")) == ["B1"]
    assert api(elsewhere).get("/batches/SAUCE/B2").status_code == 404


def test_a_batch_that_lies_nowhere_in_sight_is_not_there(api, supplier, retailer, house, shelf):
    """It lies as another owner's stock, which nobody but the owner and we ourselves may see; or nowhere at all."""
    Batch.objects.create(variant=shelf, number="PAPER")
    sent = {"type": "receipt", "quantity": 5, "warehouseLocation": "W1", "ownerId": "SUP-1", "batchNumber": "OWNED"}
    assert api(supplier).post("/inventory/SUP-1/SAUCE", sent).status_code == 201
    for partner, found in ((retailer, 404), (house, 200)):
        for number in ("OWNED", "PAPER"):
            assert api(partner).get(f"/batches/SAUCE/{number}").status_code == found, (partner, number)
    assert api(supplier).get("/batches/SAUCE/OWNED").status_code == 200
    assert api(supplier).get("/batches/SAUCE/PAPER").status_code == 404


def test_who_else_supplies_a_product_is_not_told(api, shelf, house):
    other = make.make_partner(code="SUP-2", kind="supplier")
    shelf.supplier_items.create(supplier=other)
    assert api(other).get("/batches/SAUCE/B1").json()["supplierId"] is None
    assert api(house).get("/batches/SAUCE/B1").json()["supplierId"] == "SUP-1"


@pytest.mark.parametrize("number", ["A/7", "50%", "a b", "+#?&", "Ä-é", "B1/", ".", "A//B", "quarantine"])
def test_odd_numbers_are_found_held_back_and_let_go(api, house, supplier, number):
    sauce = make.make_variant(sku="SAUCE", suppliers=[supplier], tracking="batch")
    make.make_level(variant=sauce, warehouse=make.make_warehouse(code="W1"), batch_number=number)
    client, path = api(house), f"/batches/SAUCE/{quote(number, safe='')}"
    assert client.get(path).json()["batchNumber"] == number
    assert client.post(f"{path}/quarantine", {"reason": "x"}).json()["holdState"] == "quarantined"
    assert client.post(f"{path}/lift").json()["holdState"] == "released"
    for other in (f"{path}x", f"{path}x/quarantine", "/batches/SAUCE/%EF%BF%BE", f"/batches/SAUCE/{'x' * 300}"):
        answer = client.post(other, {"reason": "x"}) if "/quarantine" in other[-11:] else client.get(other)
        assert answer.status_code == 404, other


def test_its_supplier_holds_a_batch_back_and_the_house_lets_it_go(api, supplier, house, shelf):
    assert say(api(supplier), "quarantine").json()["holdState"] == "quarantined"
    assert say(api(supplier), "quarantine").status_code == 200, "said twice, it answers the same"
    before = state()
    refused = say(api(supplier), "lift")
    assert (refused.status_code, refused.json()["code"], state()) == (403, "left_to_the_house", before)
    assert api(house).post("/batches/SAUCE/B1/lift").json()["holdState"] == "released"


@pytest.mark.parametrize("verb", ["quarantine", "recall"])
@pytest.mark.parametrize("kind", ["retailer", "marketplace", "logistics", "supplier"])
def test_nobody_else_holds_a_batch_back(api, shelf, kind, verb):
    """Not even another supplier of the same product: it answers for its own batches."""
    other = make.make_partner(kind=kind)
    shelf.supplier_items.create(supplier=other)
    before = state()
    answer = say(api(other), verb)
    assert (answer.status_code, answer.json()["code"], state()) == (403, "left_to_the_house", before)


def test_a_supplier_whose_assortment_it_is_not_any_more_finds_nothing(api, supplier, shelf):
    shelf.supplier_items.all().delete()
    before = state()
    assert say(api(supplier), "recall").status_code == 404
    assert state() == before


def test_a_reason_is_needed_to_hold_back(api, house, shelf):
    before = state()
    for verb in ("quarantine", "recall"):
        for sent in ({}, {"reason": ""}, {"reason": "x" * 201}, {"reason": 7}):
            answer = api(house).post(f"/batches/SAUCE/B1/{verb}", sent)
            assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "reason")
    assert state() == before


def test_a_recall_blocks_the_batch_and_the_house_reads_who_got_some(api, retailer, supplier, house, shelf):
    buy(api(retailer), 4)
    made = say(api(house), "recall", reason="glass in it")
    body = made.json()
    assert (made.status_code, made["Location"]) == (201, f"/api/v1/recalls/{body['recallId']}")
    [holder] = body.pop("holders")
    assert holder.pop("lastAt")
    assert holder == {"partnerId": "RET-1", "reference": "PO-1", "quantity": 4}
    facts = ("status", "blockedQuantity", "promisesBroken", "shippedQuantity", "tracedQuantity", "coverage")
    assert [body[name] for name in facts] == ["open", 16, 0, 4, 4, 1.0]
    again = say(api(supplier), "recall")
    assert (again.status_code, again.json()["recallId"], Recall.objects.count()) == (200, body["recallId"], 1)
    assert api(house).get("/batches/SAUCE/B1").json()["recallId"] == body["recallId"]
    assert set(Level.objects.filter(batch__number="B1").values_list("batch__hold_state", flat=True)) == {"recalled"}


def test_who_got_some_is_for_the_house_and_auditors_alone(api, retailer, supplier, house, shelf):
    buy(api(retailer), 4)
    path = f"/recalls/{say(api(supplier), 'recall').json()['recallId']}"
    secret = ("holders", "blockedQuantity", "promisesBroken", "shippedQuantity", "tracedQuantity", "coverage")
    for partner in (retailer, supplier):
        plain = api(partner, "inventory:read")
        told = plain.get(path).json()
        assert told["reason"] == "smells odd"
        assert {told[name] for name in secret} == {None}
        [row] = plain.get("/recalls").json()["items"]
        assert (row["blockedQuantity"], row["promisesBroken"]) == (None, None)
        assert len(api(partner, "inventory:read audit:read").get(path).json()["holders"]) == 1
    assert len(api(house, "inventory:read").get(path).json()["holders"]) == 1


def test_recalls_are_listed_filtered_and_seen_by_who_sees_the_batch(api, retailer, house, shelf):
    client = api(house)
    first, second = (say(client, "recall", number).json()["recallId"] for number in ("B1", "B2"))
    assert client.post(f"/recalls/{first}/close").json()["status"] == "closed"
    found = {
        query: [row["recallId"] for row in client.get(f"/recalls?{query}").json()["items"]]
        for query in ("", "status=open", "batchNumber=B1", "productId=NONE")
    }
    assert found == {"": [second, first], "status=open": [second], "batchNumber=B1": [first], "productId=NONE": []}
    elsewhere = api(make.make_partner(granted_warehouses=["W2"]))
    assert [row["recallId"] for row in elsewhere.get("/recalls").json()["items"]] == [first]
    assert elsewhere.get(f"/recalls/{second}").status_code == 404


def test_the_house_closes_a_recall_and_only_then_lifts_the_batch(api, supplier, house, shelf):
    made = say(api(house), "recall").json()["recallId"]
    before = state()
    refused = api(house).post("/batches/SAUCE/B1/lift")
    assert (refused.status_code, refused.json()["code"]) == (409, "illegal_step")
    theirs = api(supplier).post(f"/recalls/{made}/close")
    assert (theirs.status_code, theirs.json()["code"], state()) == (403, "left_to_the_house", before)
    for _ in range(2):
        assert api(house).post(f"/recalls/{made}/close").json()["status"] == "closed"
    assert api(house).post("/batches/SAUCE/B1/lift", {"reason": "sorted out"}).json()["holdState"] == "released"


def test_a_list_of_batches_costs_the_same_for_few_and_many(api, house, shelf, django_assert_max_num_queries):
    client = api(house)
    for place in range(30):
        Batch.objects.create(variant=shelf, number=f"N{place}")
    client.get("/batches")
    with django_assert_max_num_queries(6):
        assert len(client.get("/batches").json()["items"]) == 32
