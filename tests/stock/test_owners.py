"""What lies with us and is another's: never promised, shown or told without the owner's grant."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.urls import reverse
from django.utils import timezone

from catalog.models import KitComponent
from inventory_site import roles
from partners.models import OutboxEvent
from partners.operations import feed
from partners.problems import InvalidInput
from stock import proof
from stock.ledger import NotEnoughOnHand
from stock.models import Level, Movement, OwnerGrant, Serial, Warehouse
from stock.operations import owning
from tests import make


@pytest.fixture
def shelf(supplier):
    """Ten sauces of ours, and five the supplier has consigned to us."""
    sauce = make.make_variant(sku="SAUCE", suppliers=[supplier])
    make.make_level(variant=sauce, warehouse=make.make_warehouse(code="W1"), on_hand=10)
    return sauce


@pytest.fixture
def consigned(api, supplier, shelf):
    sent = {"type": "receipt", "quantity": 5, "warehouseLocation": "W1", "ownerId": "SUP-1"}
    answer = api(supplier).post("/inventory/SUP-1/SAUCE", sent)
    assert answer.status_code == 201
    return shelf


def book() -> dict[str | None, tuple[int, int]]:
    rows = Level.objects.select_related("owner")
    return {row.owner.code if row.owner else None: (row.on_hand, row.reserved) for row in rows}


def reserve(client, quantity: int, reference: str = "cart"):
    lines = [{"productId": "SAUCE", "quantity": quantity}]
    return client.post("/reservations", {"reference": reference, "lines": lines})


def seen(client) -> dict[str | None, int]:
    return {row["ownerId"]: row["inventoryLevel"] for row in client.get("/inventory").json()["items"]}


def available(client) -> int:
    [line] = client.post("/availability", {"lines": [{"productId": "SAUCE"}]}).json()["lines"]
    return line["availableQuantity"]


def told(client) -> set[str]:
    feed.relay_events()
    return {event["subject"] for event in client.get("/events").json()["items"]}


def test_what_a_partner_consigns_lies_apart_from_ours(api, supplier, consigned):
    assert book() == {None: (10, 0), "SUP-1": (5, 0)}
    [row] = api(supplier).get("/inventory/transactions?type=receipt").json()["items"][:1]
    assert (row["ownerId"], row["quantity"]) == ("SUP-1", 5)
    assert proof.prove_ledger().differences == []


def test_without_a_grant_anothers_stock_is_not_promised_shown_or_told(api, retailer, supplier, consigned):
    client = api(retailer)
    assert (seen(client), available(client)) == ({None: 10}, 10)
    body = client.get("/inventory/SUP-1/SAUCE").json()
    assert (body["inventoryLevel"], [row["ownerId"] for row in body["levels"]]) == (10, [None])
    assert {row["ownerId"] for row in client.get("/inventory/transactions").json()["items"]} == {None}
    assert reserve(client, 11).json()["shortages"][0]["available"] == 10
    assert reserve(client, 10).status_code == 201
    assert book() == {None: (10, 10), "SUP-1": (5, 0)}
    assert told(client) == {"inventory/W1/SAUCE"}


def test_the_owner_sees_its_own_and_may_be_promised_it(api, supplier, consigned):
    client = api(supplier)
    assert (seen(client), available(client)) == ({None: 10, "SUP-1": 5}, 15)
    assert client.get("/inventory?ownerId=SUP-1").json()["items"][0]["inventoryLevel"] == 5
    assert "inventory/W1/SAUCE/SUP-1" in told(client)
    assert reserve(client, 15).status_code == 201


@pytest.mark.parametrize("to", ["RET-1", None])
def test_with_a_grant_it_is_promised_shown_and_told(api, retailer, supplier, stranger, shelf, to):
    OwnerGrant.objects.create(owner=supplier, partner=retailer if to else None)
    sent = {"type": "receipt", "quantity": 5, "warehouseLocation": "W1", "ownerId": "SUP-1"}
    api(supplier).post("/inventory/SUP-1/SAUCE", sent)
    client = api(retailer)
    assert (seen(client), available(client)) == ({None: 10, "SUP-1": 5}, 15)
    assert client.get("/inventory/SUP-1/SAUCE").json()["availableQuantity"] == 15
    assert "inventory/W1/SAUCE/SUP-1" in told(client)
    others = ("inventory/W1/SAUCE/SUP-1" in told(api(stranger)), available(api(stranger)))
    assert others == ((False, 10) if to else (True, 15))
    held = reserve(client, 15)
    assert held.status_code == 201
    client.post(f"/reservations/{held.json()['reservationId']}/commit")
    left = Movement.objects.filter(kind="shipment").values_list("owner__code", "quantity")
    assert sorted(left, key=str) == [("SUP-1", 5), (None, 10)]
    assert proof.prove_ledger().differences == []


def test_nobody_books_stock_of_another_owner(api, supplier, consigned):
    rival = make.make_partner(code="OPS", kind="logistics")
    before = (book(), Movement.objects.count())
    for owner in ("SUP-1", "NOBODY"):
        sent = {"productId": "SAUCE", "type": "writeOff", "quantity": 1, "warehouseLocation": "W1", "ownerId": owner}
        answer = api(rival).post("/inventory/transactions", sent)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "ownerId")
    assert (book(), Movement.objects.count()) == before
    tag = api(supplier).get("/inventory/SUP-1/SAUCE")["ETag"]
    sent = {"warehouseLocation": "W1", "inventoryLevel": 0, "reason": "count"}
    api(supplier).patch("/inventory/SUP-1/SAUCE", sent, headers={"If-Match": tag})
    assert book() == {None: (0, 0), "SUP-1": (5, 0)}, "a level set is ours"


def change_hands(verb, quantity: int, supplier, **more):
    return getattr(owning, verb)(
        variant=Level.objects.first().variant, warehouse=Warehouse.objects.get(), owner=supplier, quantity=quantity,
        reference="INV-7", actor=make.TESTER, at=timezone.now(), **more,
    )  # fmt: skip


def test_consigned_units_become_ours_and_ours_become_consigned(supplier, consigned):
    assert len(change_hands("take_over", 3, supplier)) == 2
    assert book() == {None: (13, 0), "SUP-1": (2, 0)}
    change_hands("consign", 4, supplier)
    assert book() == {None: (9, 0), "SUP-1": (6, 0)}
    rows = Movement.objects.filter(kind="ownership", reference="INV-7").order_by("id")
    assert [(row.owner_id, row.quantity, row.from_location_id, row.to_location_id == -8) for row in rows][2:] == [
        (None, 4, rows[2].from_location_id, True), (supplier.pk, 4, -8, False),
    ]  # fmt: skip
    assert proof.prove_ledger().differences == []


def test_what_is_promised_or_not_there_does_not_change_hands(api, supplier, consigned):
    OwnerGrant.objects.create(owner=supplier)
    reserve(api(supplier), 13)
    before = (book(), Movement.objects.count())
    for verb, quantity in (("take_over", 6), ("consign", 11)):
        with pytest.raises(NotEnoughOnHand):
            change_hands(verb, quantity, supplier)
    with pytest.raises(InvalidInput):
        change_hands("take_over", 1, supplier, batch_number="NONE")
    with pytest.raises(InvalidInput):
        change_hands("take_over", 0, supplier)
    assert (book(), Movement.objects.count()) == before


def test_a_grant_is_given_and_taken_back_by_those_who_may(client, staff, supplier):
    roles.ensure_roles()
    for name, role in (("ada", "Auditor"), ("mia", "Merchandising")):
        User.objects.create_user(name, is_staff=True).groups.add(Group.objects.get(name=role))
    sent = {"owner": supplier.pk, "partner": ""}
    client.force_login(User.objects.get(username="ada"))
    assert client.post(reverse("admin:stock_ownergrant_add"), sent).status_code == 403
    client.force_login(User.objects.get(username="mia"))
    assert client.post(reverse("admin:stock_ownergrant_add"), sent).status_code == 302
    grant = OwnerGrant.objects.get()
    assert client.post(reverse("admin:stock_ownergrant_delete", args=[grant.pk]), {"post": "yes"}).status_code == 302
    assert not OwnerGrant.objects.exists()
    assert OutboxEvent.objects.count() == 0


# -- By the API


@pytest.fixture
def house(db):
    return make.make_partner(code="SHOP", kind="channel")


def say(client, direction: str, quantity: int, **change):
    sent = {
        "direction": direction, "productId": "SAUCE", "warehouseLocation": "W1", "ownerId": "SUP-1",
        "quantity": quantity,
    }  # fmt: skip
    return client.post("/inventory/ownership", sent | change)


def test_the_house_says_that_goods_change_hands(api, house, consigned):
    answer = say(api(house), "takeOver", 3, reference="INV-7")
    rows = [(row["type"], row["quantity"], row["ownerId"]) for row in answer.json()["transactions"]]
    assert (answer.status_code, answer.json()["reference"]) == (201, "INV-7")
    assert rows == [("ownership", 3, "SUP-1"), ("ownership", 3, None)]
    assert book() == {None: (13, 0), "SUP-1": (2, 0)}
    made = say(api(house), "consign", 4, location="MAIN").json()
    assert {row["reference"] for row in made["transactions"]} == {made["reference"]} != {""}
    assert book() == {None: (9, 0), "SUP-1": (6, 0)}
    assert proof.prove_ledger().differences == []


@pytest.mark.parametrize("direction", ["takeOver", "consign"])
@pytest.mark.parametrize("kind", ["supplier", "retailer", "marketplace", "logistics"])
def test_nobody_else_says_it_not_even_the_owner(api, supplier, consigned, kind, direction):
    partner = supplier if kind == "supplier" else make.make_partner(kind=kind)
    before = (book(), Movement.objects.count())
    answer = say(api(partner), direction, 1)
    assert (answer.status_code, answer.json()["code"]) == (403, "left_to_the_house")
    assert (book(), Movement.objects.count()) == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"quantity": 6}, "not_enough_on_hand"),
        ({"direction": "consign", "quantity": 11}, "not_enough_on_hand"),
        ({"quantity": 0}, "quantity"),
        ({"direction": "give"}, "direction"),
        ({"productId": "NONE"}, "productId"),
        ({"productId": "FAMILY"}, "productId"),
        ({"warehouseLocation": "W9"}, "warehouseLocation"),
        ({"location": "Z9"}, "location"),
        ({"batchNumber": "NONE"}, "batchNumber"),
        ({"ownerId": "NOBODY"}, "ownerId"),
        ({"productId": "KIT", "direction": "consign"}, "kit_never_stocked"),
    ],
)
def test_what_cannot_change_hands_is_refused_by_name(api, house, consigned, change, said):
    make.make_variant(sku="FAMILY", is_parent=True)
    KitComponent.objects.create(kit=make.make_variant(sku="KIT"), component=consigned, quantity=1)
    before = (book(), Movement.objects.count(), Level.objects.count())
    answer = say(api(house), **({"direction": "takeOver", "quantity": 1} | change))
    body = answer.json()
    assert said == (body["errors"][0]["field"] if answer.status_code == 422 else body["code"])
    assert (book(), Movement.objects.count(), Level.objects.count()) == before


def test_units_with_a_number_change_hands_by_name(api, supplier, house, shelf):
    make.make_variant(sku="DRILL", suppliers=[supplier], tracking="serial")
    sent = {"type": "receipt", "quantity": 2, "warehouseLocation": "W1", "serialNumbers": ["A", "B"]}
    api(supplier).post("/inventory/SUP-1/DRILL", sent)
    for numbers, code in ((["Z"], "serial_not_there"), ([], "serials_needed"), (["A", "B"], "serials_needed")):
        answer = say(api(house), "consign", 1, productId="DRILL", serialNumbers=numbers)
        assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert say(api(house), "consign", 1, productId="DRILL", serialNumbers=["B"]).status_code == 201
    owners = dict(Serial.objects.values_list("number", "level__owner__code"))
    assert owners == {"A": None, "B": "SUP-1"}
    assert proof.prove_ledger().differences == []
