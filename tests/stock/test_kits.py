"""A kit is sold as one and kept as its components: promised, shipped and returned as such."""

from __future__ import annotations

from datetime import date

import pytest
from django.db import connection, transaction

from catalog.models import KitComponent, Variant
from catalog.operations import kits
from catalog.operations.kits import KitHoldsKits, KitIsStocked, Part
from partners.models import OutboxEvent
from stock import proof
from stock.ledger import KitNeverStocked
from stock.models import Level, Movement, Reservation
from tests import make
from tests.orders.steps import keeper
from tests.races.crowd import all_at_once

SHIP_TO = {"name": "x", "country": "US", "postalCode": "1"}


@pytest.fixture
def shop(supplier):
    """A gift box is two sauces and a spoon. W1: 10 sauces, 3 spoons; W2: 4 sauces, 9 spoons."""
    box, sauce, spoon = (make.make_variant(sku=sku, suppliers=[supplier]) for sku in ("BOX", "SAUCE", "SPOON"))
    for code, sauces, spoons in (("W1", 10, 3), ("W2", 4, 9)):
        warehouse = make.make_warehouse(code=code)
        make.make_level(variant=sauce, warehouse=warehouse, on_hand=sauces)
        make.make_level(variant=spoon, warehouse=warehouse, on_hand=spoons)
    compose(box, (sauce, 2), (spoon, 1))
    return box, sauce, spoon


def compose(kit: Variant, *parts: tuple[Variant, int]) -> Variant:
    named = [Part(component=component, quantity=quantity) for component, quantity in parts]
    return kits.compose(kit=kit, parts=named, actor=make.TESTER)


def book() -> dict[str, tuple[int, int]]:
    rows = Level.objects.select_related("variant", "location__warehouse", "batch")
    return {
        f"{row.variant.sku}@{row.location.warehouse.code}"
        f"{'' if row.condition == 'sellable' else '/' + row.condition}": (row.on_hand, row.reserved)
        for row in rows
    }


def reserve(client, *lines: tuple[str, int], reference: str = "cart"):
    asked = [{"productId": sku, "quantity": quantity} for sku, quantity in lines]
    return client.post("/reservations", {"reference": reference, "lines": asked})


def makes(client, quantity: int = 1) -> dict:
    return client.post("/availability", {"lines": [{"productId": "BOX", "quantity": quantity}]}).json()["lines"][0]


# -- What it is made of


def test_a_kit_is_composed_and_read_with_its_etag(api, shop):
    channel = make.make_partner(kind="channel")
    client, path = api(channel), "/products/BOX/components"
    first = client.get(path)
    assert [(row["productId"], row["quantity"]) for row in first.json()["components"]] == [("SAUCE", 2), ("SPOON", 1)]
    sent = {"components": [{"productId": "SPOON", "quantity": 3}]}
    assert client.put(path, sent).status_code == 428
    assert client.put(path, sent, headers={"If-Match": '"99"'}).status_code == 412
    changed = client.put(path, sent, headers={"If-Match": first["ETag"]})
    assert (changed.status_code, changed.json()) == (200, sent)
    assert changed["ETag"] != first["ETag"] == f'"{shop[0].version + 1}"'
    again = client.put(path, sent, headers={"If-Match": changed["ETag"]})
    assert again["ETag"] == changed["ETag"], "said again, nothing changes"
    empty = client.put(path, {"components": []}, headers={"If-Match": changed["ETag"]})
    assert (empty.json(), KitComponent.objects.count()) == ({"components": []}, 0)


@pytest.mark.parametrize(
    ("path", "components", "status", "said"),
    [
        ("SAUCE", [("SPOON", 1)], 409, "kit_is_stocked"),
        ("NEW", [("BOX", 1)], 409, "kit_holds_kits"),
        ("NEW", [("FAMILY", 1)], 422, "components[0].productId"),
        ("NEW", [("NEW", 1)], 422, "components[0].productId"),
        ("NEW", [("SPOON", 1), ("SPOON", 2)], 422, "components[1].productId"),
        ("NEW", [("NONE", 1)], 422, "components[0].productId"),
        ("NEW", [("SPOON", 0)], 422, "components[0].quantity"),
        ("FAMILY", [("SPOON", 1)], 422, "productId"),
    ],
)
def test_what_cannot_be_a_kit_is_refused_and_stays_as_it_is(api, shop, path, components, status, said):
    make.make_variant(sku="NEW")
    make.make_variant(sku="FAMILY", is_parent=True)
    client = api(make.make_partner(kind="channel"))
    before = list(KitComponent.objects.values_list("kit", "component", "quantity"))
    sent = {"components": [{"productId": sku, "quantity": quantity} for sku, quantity in components]}
    answer = client.put(f"/products/{path}/components", sent, headers={"If-Match": '"1"'})
    body = answer.json()
    assert (answer.status_code, body["errors"][0]["field"] if status == 422 else body["code"]) == (status, said)
    assert list(KitComponent.objects.values_list("kit", "component", "quantity")) == before
    assert Variant.objects.get(sku=path).version == 1


def test_a_component_never_becomes_a_kit(shop):
    spoon = shop[2]
    bare = make.make_variant()
    compose(make.make_variant(), (bare, 1))
    with pytest.raises(KitHoldsKits):
        compose(bare, (spoon, 1))
    assert not bare.components.exists()


def test_a_supplier_composes_its_own_of_its_own_alone(api, supplier, shop):
    make.make_variant(sku="THEIRS", suppliers=[make.make_partner(code="SUP-2", kind="supplier")])
    client, path = api(supplier), "/products/BOX/components"
    tag = client.get(path)["ETag"]
    sent = {"components": [{"productId": "THEIRS", "quantity": 1}]}
    answer = client.put(path, sent, headers={"If-Match": tag})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "components[0].productId")
    assert client.put("/products/THEIRS/components", {"components": []}, headers={"If-Match": '"1"'}).status_code == 404
    compose(shop[0], (shop[1], 1), (Variant.objects.get(sku="THEIRS"), 1))
    tag = client.get(path)["ETag"]
    assert [row["productId"] for row in client.get(path).json()["components"]] == ["SAUCE"]
    answer = client.put(path, {"components": []}, headers={"If-Match": tag})
    assert (answer.status_code, KitComponent.objects.count()) == (422, 2)


def test_a_kit_is_never_given_a_level(api, supplier, shop):
    before = book()
    with pytest.raises(KitNeverStocked), transaction.atomic():
        make.make_level(variant=shop[0], warehouse=make.make_warehouse())
    sent = {"productId": "BOX", "type": "receipt", "quantity": 1, "warehouseLocation": "W1"}
    answer = api(supplier).post("/inventory/transactions", sent)
    assert (answer.status_code, answer.json()["code"]) == (409, "kit_never_stocked")
    assert answer.json()["productIds"] == ["BOX"]
    assert book() == before


@pytest.mark.races
def test_what_is_received_while_it_becomes_a_kit_is_the_one_or_the_other(own_database):
    spoon = make.make_variant()
    warehouse = make.make_warehouse()
    for _ in range(6):
        kit = make.make_variant()

        def act(place: int, kit: Variant = kit):
            with transaction.atomic():
                if place:
                    return compose(kit, (spoon, 1))
                level = make.make_level(variant=kit, warehouse=warehouse)
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_sleep(0.02)")
                return level

        results = all_at_once(2, act)
        refused = [result for result in results if isinstance(result, (KitIsStocked, KitNeverStocked))]
        assert len(refused) == 1, results
        assert kit.components.exists() is not Level.objects.filter(variant=kit).exists()


# -- What can be promised


def test_a_kit_is_there_as_often_as_its_scarcest_component_allows(api, retailer, shop):
    line = makes(api(retailer), 7)
    assert (line["availableQuantity"], line["isAvailable"]) == (7, True)
    assert line["byWarehouse"] == [
        {"warehouseLocation": "W1", "availableQuantity": 3}, {"warehouseLocation": "W2", "availableQuantity": 2},
    ]  # fmt: skip
    reserve(api(retailer), ("SPOON", 12))
    assert makes(api(retailer))["availableQuantity"] == 0
    banded = make.make_partner(disclosure="yesNo")
    assert makes(api(banded))["availability"] == "no"


def test_reserving_a_kit_promises_its_components_from_one_warehouse(api, retailer, shop):
    answer = reserve(api(retailer), ("BOX", 2))
    [line] = answer.json()["lines"]
    assert (answer.status_code, line["productId"], line["quantity"], line["allocations"]) == (201, "BOX", 2, [])
    assert [(part["productId"], part["quantity"], part["allocations"][0]["quantity"]) for part in line["components"]] == [
        ("SAUCE", 4, 4), ("SPOON", 2, 2),
    ]  # fmt: skip
    assert book() == {"SAUCE@W1": (10, 4), "SPOON@W1": (3, 2), "SAUCE@W2": (4, 0), "SPOON@W2": (9, 0)}
    path = f"/reservations/{answer.json()['reservationId']}/release"
    assert api(retailer).post(path).status_code == 200
    assert {reserved for _, reserved in book().values()} == {0}
    assert proof.prove_ledger().differences == []


def test_a_kit_and_a_line_that_share_a_component_are_added_up_first(api, retailer, shop):
    refused = reserve(api(retailer), ("BOX", 5), ("SAUCE", 5))
    assert refused.json()["code"] == "insufficient_stock"
    assert ({reserved for _, reserved in book().values()}, Reservation.objects.count()) == ({0}, 0)
    assert reserve(api(retailer), ("BOX", 5), ("SAUCE", 4)).status_code == 201
    assert sum(reserved for place, (_, reserved) in book().items() if place.startswith("SAUCE")) == 14
    assert proof.prove_ledger().differences == []


def test_a_refusal_says_how_many_kits_could_be_made(api, retailer, shop):
    answer = reserve(api(retailer), ("BOX", 8))
    assert answer.json()["shortages"] == [{"productId": "BOX", "requested": 8, "available": 7}]


# -- What leaves and comes back


def shipped(client, quantity: int = 3) -> dict:
    lines = [{"productId": "BOX", "quantity": quantity}]
    order = client.post("/orders", {"externalReference": "PO", "shipTo": SHIP_TO, "lines": lines}).json()
    client.post(f"/orders/{order['orderId']}/confirm")
    sent = {"orderId": order["orderId"], "warehouseLocation": "W1", "carrier": "UPS", "trackingNumber": "1Z"}
    answer = client.post("/shipments", sent | {"lines": lines})
    assert answer.status_code == 201
    assert [(row["productId"], row["quantity"]) for row in answer.json()["lines"]] == [("BOX", quantity)]
    return order


def test_an_order_takes_a_reserved_kit_over(api, retailer, shop):
    client = api(retailer)
    held = reserve(client, ("BOX", 2)).json()["reservationId"]
    lines = [{"productId": "BOX", "quantity": 2}]
    sent = {"externalReference": "PO", "shipTo": SHIP_TO, "lines": lines, "reservationId": held}
    before = book()
    assert client.post("/orders", sent).status_code == 201
    assert book() == before


def come_back(client, order: dict, quantity: int) -> str:
    lines = [{"productId": "BOX", "quantity": quantity, "reason": "not wanted"}]
    returned = client.post("/returns", {"orderId": order["orderId"], "lines": lines})
    path = f"/returns/{returned.json()['returnId']}"
    assert keeper().post(f"{path}/receive", {"warehouseLocation": "W1"}).status_code == 200
    return path


def test_shipping_a_kit_books_its_components_out(api, retailer, shop):
    order = shipped(api(retailer))
    assert book() == {"SAUCE@W1": (4, 0), "SPOON@W1": (0, 0), "SAUCE@W2": (4, 0), "SPOON@W2": (9, 0)}
    assert api(retailer).get(f"/orders/{order['orderId']}").json()["status"] == "shipped"
    moved = Movement.objects.filter(kind="shipment").order_by("variant__sku").values_list("variant__sku", "quantity")
    assert list(moved) == [("SAUCE", 6), ("SPOON", 3)]
    assert proof.prove_ledger().differences == []


@pytest.mark.parametrize(
    ("disposition", "place"), [("restock", ""), ("damaged", "/damaged"), ("scrap", None), ("quarantine", "/quarantine")]
)
def test_a_kit_comes_back_as_its_components(api, retailer, shop, disposition, place):
    client = api(retailer)
    path = come_back(client, shipped(client), 2)
    assert (book()["SAUCE@W1/quarantine"], book()["SPOON@W1/quarantine"]) == ((4, 0), (2, 0))
    verdict = {"lines": [{"productId": "BOX", "disposition": disposition}]}
    inspected = keeper().post(f"{path}/inspect", verdict)
    assert (inspected.status_code, inspected.json()["lines"][0]["disposition"]) == (200, disposition)
    on_the_shelf = {"": 8, None: 4}.get(place, 4)
    assert book()["SAUCE@W1"] == (on_the_shelf, 0)
    if place:
        assert (book()[f"SAUCE@W1{place}"], book()[f"SPOON@W1{place}"]) == ((4, 0), (2, 0))
    assert proof.prove_ledger().differences == []


def test_kits_judged_differently_go_to_different_places(api, retailer, shop):
    client = api(retailer)
    path = come_back(client, shipped(client), 3)
    verdicts = [
        {"productId": "BOX", "quantity": 1, "disposition": "scrap"}, {"productId": "BOX", "disposition": "restock"},
    ]  # fmt: skip
    assert keeper().post(f"{path}/inspect", {"lines": verdicts}).status_code == 200
    assert (book()["SAUCE@W1"], book()["SPOON@W1"]) == ((8, 0), (2, 0))
    assert (book()["SAUCE@W1/quarantine"], book()["SPOON@W1/quarantine"]) == ((0, 0), (0, 0))


@pytest.mark.parametrize(("batches", "status"), [(1, 200), (2, 409)])
def test_of_a_component_tracked_by_batch_only_the_one_batch_that_left_is_restocked(
    api, retailer, supplier, batches, status
):
    """Where two left, nobody can tell which came back."""
    box, honey = (make.make_variant(sku="BOX", suppliers=[supplier]), make.make_variant(sku="HONEY", tracking="batch"))
    warehouse = make.make_warehouse(code="W1")
    for number in range(batches):
        make.make_level(
            variant=honey, warehouse=warehouse, on_hand=6 // batches, batch_number=f"B{number}",
            expires_on=date(2090 + number, 1, 1),
        )  # fmt: skip
    compose(box, (honey, 2))
    client = api(retailer)
    path = come_back(client, shipped(client), 1)
    before = book()
    answer = keeper().post(f"{path}/inspect", {"lines": [{"productId": "BOX", "disposition": "restock"}]})
    assert answer.status_code == status
    if status == 409:
        assert (answer.json()["code"], answer.json()["productId"], book()) == ("cannot_restock", "HONEY", before)
    else:
        assert book()["HONEY@W1"] == (2, 0)
    assert proof.prove_ledger().differences == []


def test_what_a_kit_takes_is_told_of_its_components(api, retailer, shop):
    OutboxEvent.objects.all().delete()
    reserve(api(retailer), ("BOX", 1))
    told = OutboxEvent.objects.filter(type="inventory.updated").values_list("subject", flat=True)
    assert sorted(told) == ["inventory/W1/SAUCE", "inventory/W1/SPOON"]
