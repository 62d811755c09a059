"""Units with a number of their own: each is one unit for ever, and lies where the book says."""

from __future__ import annotations

import pytest
from django.utils import timezone

from catalog.models import KitComponent
from orders.models import ReturnLine
from stock import proof
from stock.models import Level, Movement, Serial, Warehouse
from stock.operations import movements
from stock.serials import SerialTaken
from tests import make
from tests.orders.steps import keeper
from tests.races.crowd import all_at_once

SHIP_TO = {"name": "x", "country": "US", "postalCode": "1"}


@pytest.fixture
def shelf(supplier):
    """Three drills, A, B and C."""
    drill = make.make_variant(sku="DRILL", suppliers=[supplier], tracking="serial")
    warehouse = make.make_warehouse(code="W1")
    receive(drill, warehouse, "A", "B", "C")
    return drill, warehouse


def receive(drill, warehouse: Warehouse, *numbers: str, kind: str = "receipt"):
    return movements.book(
        kind=kind, variant=drill, warehouse=warehouse, quantity=len(numbers), serials=numbers, actor=make.TESTER,
        at=timezone.now(),
    )  # fmt: skip


def book(client, kind: str, *numbers: str, quantity: int | None = None):
    sent = {"type": kind, "quantity": quantity or len(numbers), "warehouseLocation": "W1", "serialNumbers": numbers}
    return client.post("/inventory/SUP-1/DRILL", sent)


def lying() -> dict[str, list[str]]:
    rows = Serial.objects.filter(level__isnull=False).order_by("number").values_list("level__condition", "number")
    found: dict[str, list[str]] = {}
    for condition, number in rows:
        found.setdefault(condition, []).append(number)
    return found


def state() -> tuple:
    return lying(), list(Level.objects.order_by("pk").values_list("on_hand", "reserved")), Movement.objects.count()


def test_units_are_received_moved_and_lost_by_their_numbers(api, supplier, shelf):
    client = api(supplier)
    assert book(client, "receipt", "D", "E").status_code == 201
    assert book(client, "damage", "A").status_code == 201
    assert book(client, "adjustment", "B", quantity=-1).status_code == 201
    assert lying() == {"damaged": ["A"], "sellable": ["C", "D", "E"]}
    assert {row.on_hand for row in Level.objects.filter(condition="sellable")} == {3}
    assert proof.prove_ledger().differences == []


@pytest.mark.parametrize(
    ("kind", "numbers", "quantity", "code"),
    [
        ("receipt", ["A"], 1, "serial_taken"),
        ("receipt", ["D", "D"], 2, "serials_needed"),
        ("receipt", ["D"], 2, "serials_needed"),
        ("receipt", [], 1, "serials_needed"),
        ("damage", ["Z"], 1, "serial_not_there"),
        ("writeOff", ["A", "Z"], 2, "serial_not_there"),
        ("damage", [], 1, "serials_needed"),
    ],
)
def test_units_that_are_not_named_once_or_do_not_lie_there_are_refused(
    api, supplier, shelf, kind, numbers, quantity, code
):
    before = state()
    answer = book(api(supplier), kind, *numbers, quantity=quantity)
    assert (answer.status_code, answer.json()["code"], answer.json()["productId"]) == (409, code, "DRILL")
    assert state() == before


def test_a_level_of_numbered_units_cannot_be_set_to_a_number(api, supplier, shelf):
    client, path, before = api(supplier), "/inventory/SUP-1/DRILL", state()
    sent = {"warehouseLocation": "W1", "inventoryLevel": 2, "reason": "count"}
    answer = client.patch(path, sent, headers={"If-Match": client.get(path)["ETag"]})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "inventoryLevel")
    assert state() == before


def ordered(client, quantity: int = 2) -> dict:
    lines = [{"productId": "DRILL", "quantity": quantity}]
    order = client.post("/orders", {"externalReference": "PO", "shipTo": SHIP_TO, "lines": lines}).json()
    client.post(f"/orders/{order['orderId']}/confirm")
    return order


def ship(client, order: dict, *numbers: str, quantity: int = 2):
    lines = [{"productId": "DRILL", "quantity": quantity, "serialNumbers": numbers}]
    return client.post(
        "/shipments",
        {
            "orderId": order["orderId"],
            "warehouseLocation": "W1",
            "carrier": "UPS",
            "trackingNumber": "1Z",
            "lines": lines,
        },
    )


def test_the_units_named_are_the_units_that_leave_and_come_back(api, retailer, shelf):
    client = api(retailer)
    order = ordered(client)
    shipment = ship(client, order, "C", "A")
    assert shipment.status_code == 201
    assert lying() == {"sellable": ["B"]}
    assert proof.prove_ledger().differences == []
    coming = [{"productId": "DRILL", "quantity": 1, "reason": "loud", "serialNumber": "C"}]
    returned = client.post("/returns", {"orderId": order["orderId"], "lines": coming}).json()
    path = f"/returns/{returned['returnId']}"
    assert keeper().post(f"{path}/receive").status_code == 200
    assert lying() == {"quarantine": ["C"], "sellable": ["B"]}
    verdict = {"lines": [{"productId": "DRILL", "disposition": "restock"}]}
    assert keeper().post(f"{path}/inspect", verdict).status_code == 200
    assert lying() == {"sellable": ["B", "C"]}
    assert proof.prove_ledger().differences == []


@pytest.mark.parametrize(
    ("numbers", "code"), [((), "serials_needed"), (("A",), "serial_not_there"), (("A", "Z"), "serial_not_there")]
)
def test_a_shipment_that_does_not_name_units_that_lie_there_is_refused(api, retailer, shelf, numbers, code):
    client = api(retailer)
    order = ordered(client)
    before = state()
    answer = ship(client, order, *numbers)
    assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert state() == before


def test_a_return_that_does_not_name_its_unit_waits_until_it_does(api, retailer, shelf):
    client = api(retailer)
    order = ordered(client)
    ship(client, order, "C", "A")
    coming = [{"productId": "DRILL", "quantity": 1, "reason": "loud"}]
    returned = client.post("/returns", {"orderId": order["orderId"], "lines": coming}).json()
    before = state()
    answer = keeper().post(f"/returns/{returned['returnId']}/receive")
    assert (answer.status_code, answer.json()["code"]) == (409, "serials_needed")
    assert state() == before


@pytest.mark.parametrize(
    ("numbers", "field"),
    [(["B"], 0), (["Z"], 0), (["A", "X"], 1), (["A", "A"], 1), (["THEIRS"], 0), (["C"], 0)],
)
def test_only_a_unit_that_left_on_the_order_comes_back_and_only_once(api, retailer, shelf, numbers, field):
    """A and C left on the order, and C is announced; B never left; THEIRS left on another order."""
    client = api(retailer)
    receive(*shelf, "THEIRS")
    order = ordered(client)
    ship(client, order, "C", "A")
    other = client.post(
        "/orders", {"externalReference": "PO-2", "shipTo": SHIP_TO, "lines": [{"productId": "DRILL", "quantity": 1}]}
    ).json()
    client.post(f"/orders/{other['orderId']}/confirm")
    lines = [{"productId": "DRILL", "quantity": 1, "serialNumbers": ["THEIRS"]}]
    sent = {"orderId": other["orderId"], "warehouseLocation": "W1", "carrier": "UPS", "trackingNumber": "2Z"}
    assert client.post("/shipments", sent | {"lines": lines}).status_code == 201

    def come_back(*numbers: str):
        coming = [{"productId": "DRILL", "quantity": 1, "reason": "x", "serialNumber": number} for number in numbers]
        return client.post("/returns", {"orderId": order["orderId"], "lines": coming})

    if numbers == ["C"]:
        assert come_back("C").status_code == 201
    before = (state(), ReturnLine.objects.count())
    answer = come_back(*numbers)
    assert answer.status_code == 422
    assert [row["field"] for row in answer.json()["errors"]] == [f"lines[{field}].serialNumber"]
    assert (state(), ReturnLine.objects.count()) == before
    assert come_back("A").status_code == 201


def test_what_is_not_tracked_by_serial_may_come_back_under_any_number(api, retailer, supplier, shelf):
    make.make_level(variant=make.make_variant(sku="SAUCE", suppliers=[supplier]), warehouse=shelf[1])
    client = api(retailer)
    lines = [{"productId": "SAUCE", "quantity": 1}]
    order = client.post("/orders", {"externalReference": "PO", "shipTo": SHIP_TO, "lines": lines}).json()
    client.post(f"/orders/{order['orderId']}/confirm")
    sent = {"orderId": order["orderId"], "warehouseLocation": "W1", "carrier": "UPS", "trackingNumber": "1Z"}
    client.post("/shipments", sent | {"lines": lines})
    coming = [lines[0] | {"reason": "x", "serialNumber": "SCRATCHED"}]
    assert client.post("/returns", {"orderId": order["orderId"], "lines": coming}).status_code == 201


def test_the_proof_names_a_level_that_holds_another_number_of_serials(shelf):
    Serial.objects.filter(number="A").update(level=None)
    [difference] = proof.prove_ledger().differences
    assert "DRILL" in difference
    assert "3 on hand, 2 serial numbers" in difference


@pytest.mark.races
def test_of_two_docks_that_receive_the_same_unit_one_is_refused(own_database):
    drill = make.make_variant(tracking="serial")
    docks = [make.make_warehouse() for _ in range(8)]
    results = all_at_once(8, lambda place: receive(drill, docks[place], "ONE", f"OWN-{place}"))
    refused = [result for result in results if isinstance(result, SerialTaken)]
    assert (len(refused), len(results) - len(refused)) == (7, 1)
    assert [problem.data["serialNumbers"] for problem in refused] == [["ONE"]] * 7
    assert (Serial.objects.count(), Movement.objects.count()) == (2, 1)
    assert proof.prove_ledger().differences == []


# -- Units that leave by a reservation's commit


def hold(client, *lines: tuple[str, int]) -> str:
    wanted = [{"productId": sku, "quantity": quantity} for sku, quantity in lines]
    held = client.post("/reservations", {"reference": "cart", "lines": wanted})
    assert held.status_code == 201
    return f"/reservations/{held.json()['reservationId']}"


def gone() -> list[tuple[str, str]]:
    rows = Serial.objects.filter(level=None).order_by("variant__sku", "number")
    return list(rows.values_list("variant__sku", "number"))


def test_a_reservation_is_committed_with_the_units_that_leave(api, retailer, shelf):
    client = api(retailer)
    path = hold(client, ("DRILL", 2))
    answer = client.post(f"{path}/commit", {"serialNumbers": ["C", "A"]})
    assert (answer.status_code, answer.json()["status"]) == (200, "committed")
    assert (gone(), lying()) == ([("DRILL", "A"), ("DRILL", "C")], {"sellable": ["B"]})
    assert client.post(f"{path}/commit", {"serialNumbers": ["B"]}).status_code == 200, "committed twice, the same"
    assert lying() == {"sellable": ["B"]}
    assert proof.prove_ledger().differences == []


@pytest.mark.parametrize(
    ("numbers", "code"),
    [
        ([], "serials_needed"),
        (["A"], "serial_not_there"),
        (["A", "A"], "serial_not_there"),
        (["A", "Z"], "serial_not_there"),
        (["A", "B", "C"], "serial_not_there"),
    ],
)
def test_a_commit_that_does_not_name_each_unit_once_is_refused(api, retailer, shelf, numbers, code):
    client = api(retailer)
    path = hold(client, ("DRILL", 2))
    before = state()
    answer = client.post(f"{path}/commit", {"serialNumbers": numbers})
    assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert state() == before
    assert client.get(path).json()["status"] == "open"


def test_units_leave_from_where_they_lie_and_others_with_the_same_number_stay(api, retailer, supplier, shelf):
    """A and B lie in two bins; a saw has the number A too; sauce has none and leaves beside them."""
    _, warehouse = shelf
    saw = make.make_variant(sku="SAW", suppliers=[supplier], tracking="serial")
    receive(saw, warehouse, "A", "S")
    make.make_level(variant=make.make_variant(sku="SAUCE", suppliers=[supplier]), warehouse=warehouse)
    warehouse.locations.create(code="TOP")
    moved = {"productId": "DRILL", "warehouseLocation": "W1", "fromLocation": "MAIN", "toLocation": "TOP"}
    assert api(supplier).post("/inventory/moves", moved | {"quantity": 1, "serialNumbers": ["B"]}).status_code == 201
    client = api(retailer)
    path = hold(client, ("DRILL", 2), ("SAW", 1), ("SAUCE", 4))
    assert client.post(f"{path}/commit", {"serialNumbers": ["A", "B", "S"]}).status_code == 200
    assert gone() == [("DRILL", "A"), ("DRILL", "B"), ("SAW", "S")]
    assert proof.prove_ledger().differences == []


# -- Kits of numbered units


@pytest.fixture
def tools(supplier, shelf):
    """A set of two drills, a saw and three screws; the saws are A, S and T."""
    drill, warehouse = shelf
    tools, saw, screw = (
        make.make_variant(sku=sku, suppliers=[supplier], tracking=tracking)
        for sku, tracking in (("SET", "none"), ("SAW", "serial"), ("SCREW", "none"))
    )
    receive(saw, warehouse, "A", "S", "T")
    make.make_level(variant=screw, warehouse=warehouse, on_hand=9)
    for component, quantity in ((drill, 2), (saw, 1), (screw, 3)):
        KitComponent.objects.create(kit=tools, component=component, quantity=quantity)
    return tools


def ship_set(client, *numbers: str):
    lines = [{"productId": "SET", "quantity": 1}]
    order = client.post("/orders", {"externalReference": "PO", "shipTo": SHIP_TO, "lines": lines}).json()
    client.post(f"/orders/{order['orderId']}/confirm")
    sent = {"orderId": order["orderId"], "warehouseLocation": "W1", "carrier": "UPS", "trackingNumber": "1Z"}
    return client.post("/shipments", sent | {"lines": [lines[0] | {"serialNumbers": numbers}]})


@pytest.mark.parametrize(
    ("numbers", "left"),
    [
        (("B", "C", "T"), [("DRILL", "B"), ("DRILL", "C"), ("SAW", "T")]),
        (("A", "B", "S"), [("DRILL", "A"), ("DRILL", "B"), ("SAW", "S")]),
        (("A", "B", "C"), [("DRILL", "B"), ("DRILL", "C"), ("SAW", "A")]),
    ],
)
def test_a_kit_leaves_with_the_units_of_each_component(api, retailer, tools, numbers, left):
    """A is a drill as well as a saw: it is whichever is still missing."""
    answer = ship_set(api(retailer), *numbers)
    assert (answer.status_code, answer.json()["lines"][0]["serialNumbers"]) == (201, list(numbers))
    assert gone() == left
    assert proof.prove_ledger().differences == []


@pytest.mark.parametrize(
    ("numbers", "code"),
    [
        ((), "serials_needed"),
        (("B", "C"), "serials_needed"),
        (("B", "S"), "serial_not_there"),
        (("B", "C", "Z"), "serial_not_there"),
        (("B", "S", "T"), "serial_not_there"),
        (("B", "C", "S", "T"), "serial_not_there"),
        (("A", "B"), "serials_needed"),
    ],
)
def test_a_kit_whose_units_are_not_each_named_once_stays(api, retailer, tools, numbers, code):
    client = api(retailer)
    before = (gone(), lying(), Movement.objects.count())
    answer = ship_set(client, *numbers)
    assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert (gone(), lying(), Movement.objects.count()) == before


def test_a_committed_kit_names_its_units_too(api, retailer, tools):
    client = api(retailer)
    path = hold(client, ("SET", 1))
    assert client.post(f"{path}/commit", {"serialNumbers": ["B", "C", "S"]}).status_code == 200
    assert gone() == [("DRILL", "B"), ("DRILL", "C"), ("SAW", "S")]
    assert proof.prove_ledger().differences == []


@pytest.mark.parametrize("named", ["", "B", "T"])
def test_a_kit_comes_back_with_the_units_it_left_with(api, retailer, tools, named):
    """All that left of each component come back, so that they need no naming; the line could name but one."""
    client = api(retailer)
    order = ship_set(client, "B", "C", "T").json()["orderId"]
    coming = [{"productId": "SET", "quantity": 1, "reason": "x", "serialNumber": named}]
    returned = client.post("/returns", {"orderId": order, "lines": coming})
    assert returned.status_code == 201
    path = f"/returns/{returned.json()['returnId']}"
    assert keeper().post(f"{path}/receive").status_code == 200
    assert lying() == {"quarantine": ["B", "C", "T"], "sellable": ["A", "A", "S"]}
    assert Serial.objects.count() == 6, "no unit is made up"
    verdict = {"lines": [{"productId": "SET", "disposition": "damaged"}]}
    assert keeper().post(f"{path}/inspect", verdict).status_code == 200
    assert lying() == {"damaged": ["B", "C", "T"], "sellable": ["A", "A", "S"]}
    assert proof.prove_ledger().differences == []


@pytest.mark.parametrize("number", ["A", "S", "Z"])
def test_a_kit_does_not_come_back_with_a_unit_it_did_not_leave_with(api, retailer, tools, number):
    client = api(retailer)
    order = ship_set(client, "B", "C", "T").json()["orderId"]
    coming = [{"productId": "SET", "quantity": 1, "reason": "x", "serialNumber": number}]
    answer = client.post("/returns", {"orderId": order, "lines": coming})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "lines[0].serialNumber")
    assert not ReturnLine.objects.exists()
