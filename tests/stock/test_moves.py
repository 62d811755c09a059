"""Goods are put away into other bins; whoever was promised them still is."""

from __future__ import annotations

from datetime import date

import pytest
from django.utils import timezone

from partners.problems import InvalidInput
from stock import ledger, proof
from stock.models import Allocation, Level, Location, Movement, Serial
from stock.operations import movements, moving, reservations, warehouses
from stock.operations.promising import Wanted
from stock.operations.warehouses import LocationExists
from tests import make


def now():
    return {"actor": make.TESTER, "at": timezone.now()}


@pytest.fixture
def hall(db):
    warehouse = make.make_warehouse(code="HALL")
    for code in ("A-01", "A-02"):
        warehouses.open_location(warehouse=warehouse, code=code, actor=make.TESTER)
    return warehouse


@pytest.fixture
def bolts(hall):
    variant = make.make_variant(sku="BOLT")
    make.make_level(variant=variant, warehouse=hall, on_hand=10)
    return variant


def move(variant, hall, quantity, to_code="A-01", from_code="MAIN", **fields):
    return moving.move(
        variant=variant, warehouse=hall, from_code=from_code, to_code=to_code, quantity=quantity, **fields, **now()
    )


def hold(variant, reference, quantity):
    reservation, _ = reservations.reserve(
        reference=reference, wanted=[Wanted(variant=variant, quantity=quantity)], partner=None, **now()
    )
    return reservation


def bins() -> dict[str, tuple[int, int]]:
    """Bin → (on hand, reserved), where the book proves."""
    assert proof.prove_ledger().differences == []
    return {
        code: (on_hand, reserved)
        for code, on_hand, reserved in Level.objects.values_list("location__code", "on_hand", "reserved")
    }


def kept(reservation) -> dict[str, int]:
    """Bin → units promised to the reservation there."""
    rows = Allocation.objects.filter(line__reservation=reservation)
    return {row.level.location.code: row.open_quantity for row in rows if row.open_quantity}


def test_free_units_move_and_every_unit_stays_counted(bolts, hall):
    movement = Movement.objects.get(pk=move(bolts, hall, 4, reference="put away"))
    assert bins() == {"MAIN": (6, 0), "A-01": (4, 0)}
    assert (movement.kind, movement.quantity, movement.reference) == ("move", 4, "put away")
    assert (movement.from_location.code, movement.to_location.code) == ("MAIN", "A-01")


def test_promised_units_take_their_promise_along_the_youngest_first(bolts, hall):
    old, young = hold(bolts, "old", 5), hold(bolts, "young", 4)
    move(bolts, hall, 3)
    assert bins() == {"MAIN": (7, 7), "A-01": (3, 2)}
    assert (kept(old), kept(young)) == ({"MAIN": 5}, {"MAIN": 2, "A-01": 2})
    move(bolts, hall, 7, to_code="A-02")
    assert bins() == {"MAIN": (0, 0), "A-01": (3, 2), "A-02": (7, 7)}
    assert (kept(old), kept(young)) == ({"A-02": 5}, {"A-02": 2, "A-01": 2})


def test_a_promise_that_moved_is_kept_given_back_and_ended_as_any_other(bolts, hall):
    leaving, given_back = hold(bolts, "leaving", 4), hold(bolts, "given back", 5)
    move(bolts, hall, 8)
    reservations.release(reservation=given_back, **now())
    reservations.commit(reservation=leaving, reference="SO", **now())
    assert sum(on_hand for on_hand, _ in bins().values()) == 6
    assert {reserved for _, reserved in bins().values()} == {0}


def test_a_promise_that_moved_is_as_old_as_before(bolts, hall):
    old = hold(bolts, "old", 5)
    move(bolts, hall, 10)
    young = hold(bolts, "young", 5)
    move(bolts, hall, 10, from_code="A-01", to_code="MAIN")
    movements.book(kind="writeOff", variant=bolts, warehouse=hall, quantity=4, **now())
    assert (kept(old), kept(young)) == ({"MAIN": 5}, {"MAIN": 1})
    assert bins()["MAIN"] == (6, 6)


def test_what_does_not_lie_there_does_not_move(bolts, hall):
    hold(bolts, "cart", 4)
    before = bins()
    with pytest.raises(ledger.NotEnoughOnHand) as refused:
        move(bolts, hall, 11)
    [shortage] = refused.value.data["shortages"]
    assert (shortage["requested"], shortage["available"]) == (11, 10)
    assert (bins(), Movement.objects.count(), Allocation.objects.count()) == (before, 1, 1)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"from_code": "A-01"}, "toLocation"),
        ({"from_code": "Z-99"}, "fromLocation"),
        ({"to_code": "Z-99"}, "toLocation"),
        ({"batch_number": "NONE"}, "batchNumber"),
    ],
)
def test_a_move_that_cannot_be_meant_names_the_field(bolts, hall, change, field):
    before = bins()
    with pytest.raises(InvalidInput) as refused:
        move(bolts, hall, 1, **change)
    assert refused.value.data["errors"][0]["field"] == field
    assert (bins(), Movement.objects.count()) == (before, 1)


def test_a_batch_moves_as_itself_in_its_condition(hall):
    sauce = make.make_variant(tracking="batch")
    make.make_level(variant=sauce, warehouse=hall, batch_number="B1", expires_on=date(2090, 1, 1))
    make.make_level(variant=sauce, warehouse=hall, batch_number="B2")
    movements.book(kind="damage", variant=sauce, warehouse=hall, quantity=3, batch_number="B1", **now())
    with pytest.raises(InvalidInput):
        move(sauce, hall, 1)
    move(sauce, hall, 3, batch_number="B1", condition="damaged")
    [moved] = Level.objects.filter(location__code="A-01")
    assert (moved.batch.number, moved.condition, moved.on_hand) == ("B1", "damaged", 3)
    with pytest.raises(ledger.NotEnoughOnHand):
        move(sauce, hall, 1, batch_number="B1", condition="damaged")
    assert proof.prove_ledger().differences == []


def test_units_with_numbers_are_named(hall):
    drill = make.make_variant(tracking="serial")
    posting = ledger.Posting(
        variant_id=drill.pk, batch_id=None, quantity=2, kind=Movement.Kind.RECEIPT,
        source=ledger.virtual(Location.Kind.SUPPLIER), serials=("S1", "S2"),
        target=ledger.Place(location_id=warehouses.default_location(hall).pk, condition="sellable"),
    )  # fmt: skip
    ledger.post([posting], **now())
    move(drill, hall, 1, serials=("S2",))
    assert Serial.objects.get(number="S2").level.location.code == "A-01"
    assert proof.prove_ledger().differences == []


def test_a_bin_is_opened_once(hall):
    bin_ = warehouses.open_location(warehouse=hall, code="B.1_x-2", actor=make.TESTER)
    assert (bin_.kind, bin_.is_default) == ("bin", False)
    with pytest.raises(LocationExists):
        warehouses.open_location(warehouse=hall, code="B.1_x-2", actor=make.TESTER)
    for code in ("", "-A", "A 1", "Ä1", "A" * 41, "A\n"):
        with pytest.raises(InvalidInput):
            warehouses.open_location(warehouse=hall, code=code, actor=make.TESTER)
    assert hall.locations.count() == 4


# -- Over the API


MOVE = {"productId": "BOLT", "warehouseLocation": "HALL", "fromLocation": "MAIN", "toLocation": "A-01", "quantity": 4}


def test_a_partner_puts_goods_away(api, bolts, hall):
    client = api(make.make_partner(kind="logistics", granted_warehouses=["HALL"]))
    answer = client.post("/inventory/moves", MOVE, headers={"Idempotency-Key": "one"})
    assert (answer.status_code, answer.json()["type"], answer.json()["quantity"]) == (201, "move", 4)
    assert client.post("/inventory/moves", MOVE, headers={"Idempotency-Key": "one"}).content == answer.content
    assert bins() == {"MAIN": (6, 0), "A-01": (4, 0)}
    refused = client.post("/inventory/moves", MOVE | {"quantity": 7})
    assert (refused.status_code, refused.json()["code"]) == (409, "not_enough_on_hand")
    assert bins() == {"MAIN": (6, 0), "A-01": (4, 0)}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"productId": "NONE"}, "productId"),
        ({"warehouseLocation": "OTHER"}, "warehouseLocation"),
        ({"toLocation": "Z-99"}, "toLocation"),
        ({"toLocation": None}, "toLocation"),
        ({"quantity": -1}, "quantity"),
        ({"condition": "lost"}, "condition"),
    ],
)
def test_a_move_that_cannot_be_understood_is_refused_by_name(api, bolts, hall, change, field):
    make.make_warehouse(code="OTHER")
    client = api(make.make_partner(kind="logistics", granted_warehouses=["HALL"]))
    answer = client.post("/inventory/moves", MOVE | change)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert bins() == {"MAIN": (10, 0)}


def test_a_supplier_moves_only_what_is_its_own(api, bolts, hall, supplier):
    answer = api(supplier).post("/inventory/moves", MOVE)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "productId")
    assert bins() == {"MAIN": (10, 0)}


def test_bins_are_listed_and_opened_by_who_is_granted_the_warehouse(api, hall):
    client = api(make.make_partner(kind="logistics", granted_warehouses=["HALL"]))
    path = "/warehouses/HALL/locations"
    made = client.post(path, {"code": "C-07"})
    assert (made.status_code, made.json()) == (
        201, {"warehouseLocation": "HALL", "code": "C-07", "isDefault": False, "pickSequence": 0},
    )  # fmt: skip
    again = client.post(path, {"code": "C-07"})
    assert (again.status_code, again.json()["code"]) == (409, "location_exists")
    assert client.post(path, {"code": "no good"}).json()["errors"][0]["field"] == "code"
    first = client.get(f"{path}?limit=3").json()
    rest = client.get(f"{path}?limit=3&cursor={first['nextCursor']}").json()
    assert [row["code"] for row in first["items"] + rest["items"]] == ["A-01", "A-02", "C-07", "MAIN"]
    stranger = api(make.make_partner(kind="logistics", granted_warehouses=["ELSEWHERE"]))
    assert stranger.get(path).status_code == stranger.post(path, {"code": "X"}).status_code == 404
    assert hall.locations.count() == 4
