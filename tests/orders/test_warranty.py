"""Warranty: the clock of a unit or a line, the claim that is checked against it, and the pool nothing is sold from."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from catalog.models import Variant
from orders import warranty
from orders.models import Order, Return, Shipment, WarrantyClaim
from orders.warranty import Clock, Sent
from partners.models import OutboxEvent
from stock import proof
from stock.models import Movement, Serial
from stock.operations import movements
from tests import make
from tests.orders.steps import book, come_back, keeper, leaving, order_of, shipped

JANUARY, MARCH = date(2026, 1, 31), date(2026, 3, 31)
TWO = [Sent(on=JANUARY, quantity=3, serials=("A",)), Sent(on=MARCH, quantity=2, serials=("B",))]


@pytest.mark.parametrize(
    ("starts_on", "months", "ends_on"),
    [
        (date(2026, 1, 15), 12, date(2027, 1, 15)),
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2023, 11, 30), 3, date(2024, 2, 29)),
        (date(2024, 2, 29), 12, date(2025, 2, 28)),
        (date(2026, 12, 31), 24, date(2028, 12, 31)),
        (date(2026, 1, 1), 2**31, date.max),
    ],
)
def test_a_warranty_runs_through_the_same_day_so_many_months_later(starts_on, months, ends_on):
    assert warranty.last_day(starts_on, months) == ends_on


@pytest.mark.parametrize(
    ("per", "on", "more", "clock"),
    [
        ("unit", date(2026, 2, 1), {}, (JANUARY, 5)),
        ("unit", date(2026, 2, 1), {"used": 2}, (JANUARY, 3)),
        ("unit", date(2027, 1, 31), {}, (JANUARY, 5)),
        ("unit", date(2027, 2, 1), {}, (MARCH, 2)),
        ("unit", date(2027, 2, 1), {"serial": "A"}, (JANUARY, 0)),
        ("unit", date(2027, 2, 1), {"serial": "B", "used": 9}, (MARCH, 2)),
        ("unit", date(2027, 4, 1), {}, (MARCH, 0)),
        ("orderLine", date(2027, 2, 1), {}, (MARCH, 5)),
        ("orderLine", date(2027, 4, 1), {}, (MARCH, 0)),
    ],
)
def test_the_clock_is_the_units_or_the_lines(per, on, more, clock):
    starts_on, covered = clock
    assert warranty.clock(sent=TWO, months=12, per=per, claimed_on=on, **more) == Clock(
        starts_on=starts_on, ends_on=warranty.last_day(starts_on, 12), covered=covered
    )


def inspect(client, path: str, **more):
    return keeper().post(f"{path}/inspect", {"lines": [{"productId": "SAUCE", "disposition": "warrantyClaim"} | more]})


def aged(days: int) -> None:
    Shipment.objects.update(shipped_at=timezone.now() - timedelta(days=days))


@pytest.fixture
def back(api, retailer, shop):
    """Two bottles with a year's warranty are back and wait for inspection: the client and the return's address."""
    Variant.objects.update(warranty_months=12, warranty_terms="Seal intact")
    client = api(retailer)
    path = f"/returns/{come_back(client, shipped(client), batchNumber='LATE').json()['returnId']}"
    keeper().post(f"{path}/receive")
    return client, path


def test_a_claim_within_the_year_is_replaced_and_kept_in_the_pool(back, retailer):
    client, path = back
    aged(360)
    [line] = inspect(client, path).json()["lines"]
    claim = client.get(f"/warrantyClaims/{line['warrantyClaimId']}").json()
    today = timezone.now().date()
    assert (claim["startsOn"], claim["claimedOn"]) == (str(today - timedelta(days=360)), str(today))
    assert (claim["months"], claim["per"], claim["terms"], claim["status"]) == (12, "unit", "Seal intact", "open")
    assert (claim["productId"], claim["quantity"]) == ("SAUCE", 2)
    replacement = client.get(f"/orders/{claim['replacementOrderId']}").json()
    assert (replacement["status"], replacement["replacesReturnId"]) == ("confirmed", path.rpartition("/")[2])
    assert [(row["productId"], row["reservedQuantity"]) for row in replacement["lines"]] == [("SAUCE", 2)]
    assert book()["LATE/warranty"] == (2, 0)
    stock = client.get("/inventory/SUP-1/SAUCE").json()
    assert stock["availableQuantity"] == sum(
        on_hand - reserved for place, (on_hand, reserved) in book().items() if place.endswith("sellable") and place[0] != "-"
    )  # fmt: skip
    assert proof.prove_ledger().differences == []


@pytest.mark.parametrize(("trouble", "code"), [("over", "warranty_over"), ("none", "no_warranty")])
def test_a_claim_that_is_not_covered_is_refused_with_its_days_and_terms(back, trouble, code):
    client, path = back
    if trouble == "over":
        aged(400)
    else:
        Variant.objects.update(warranty_months=None)
    before = (book(), Movement.objects.count(), OutboxEvent.objects.count())
    answer = inspect(client, path)
    assert (answer.status_code, answer.json()["code"]) == (409, code)
    if trouble == "over":
        started = timezone.now().date() - timedelta(days=400)
        told = answer.json()
        assert (told["startsOn"], told["endsOn"]) == (str(started), str(warranty.last_day(started, 12)))
        assert (told["months"], told["per"], told["terms"], told["covered"]) == (12, "unit", "Seal intact", 0)
    assert (book(), Movement.objects.count(), OutboxEvent.objects.count()) == before
    assert (Order.objects.count(), WarrantyClaim.objects.count(), Return.objects.get().status) == (1, 0, "received")
    assert inspect(client, path, disposition="damaged").status_code == 200


def test_the_day_it_was_announced_counts_not_the_day_it_was_looked_at(back):
    client, path = back
    aged(400)
    Return.objects.update(announced_at=timezone.now() - timedelta(days=50))
    assert inspect(client, path).status_code == 200


def test_where_there_is_none_to_send_the_replacement_waits(back):
    client, path = back
    client.post("/reservations", {"reference": "all", "lines": [{"productId": "SAUCE", "quantity": 28}]})
    [line] = inspect(client, path).json()["lines"]
    [waiting] = client.get(f"/orders/{line['replacementOrderId']}").json()["lines"]
    assert (waiting["reservedQuantity"], waiting["backorderedQuantity"]) == (0, 2)


def test_a_replacement_goes_on_with_the_clock_of_what_it_replaced(back):
    client, path = back
    aged(360)
    [line] = inspect(client, path).json()["lines"]
    replacement = client.get(f"/orders/{line['replacementOrderId']}").json()
    client.post("/shipments", leaving(replacement, 2, tracking="1Z2"))
    again = f"/returns/{come_back(client, replacement, 1).json()['returnId']}"
    keeper().post(f"{again}/receive")
    first = WarrantyClaim.objects.get()
    WarrantyClaim.objects.update(starts_on=first.starts_on - timedelta(days=30))
    answer = inspect(client, again)
    assert (answer.status_code, answer.json()["code"]) == (409, "warranty_over")
    WarrantyClaim.objects.update(starts_on=first.starts_on)
    assert inspect(client, again).status_code == 200
    assert {claim.starts_on for claim in WarrantyClaim.objects.all()} == {first.starts_on}


def test_settled_by_who_keeps_the_goods_they_leave_the_pool_for_good(back, api):
    client, path = back
    [line] = inspect(client, path).json()["lines"]
    claim = f"/warrantyClaims/{line['warrantyClaimId']}/settle"
    before = book()
    theirs = client.post(claim, {"outcome": "returnToVendor"})
    assert (theirs.status_code, theirs.json()["code"], book()) == (403, "left_to_the_house", before)
    ours = api(make.make_partner(kind="logistics"))
    settled = ours.post(claim, {"outcome": "returnToVendor"}).json()
    assert (settled["status"], settled["outcome"]) == ("settled", "returnToVendor")
    assert book() == before | {"LATE/warranty": (0, 0)}
    assert ours.post(claim, {"outcome": "returnToVendor"}).json() == settled
    other = ours.post(claim, {"outcome": "scrap"})
    assert (other.status_code, other.json()["code"]) == (409, "illegal_step")
    assert OutboxEvent.objects.filter(type="warranty_claim.settled").count() == 1
    assert proof.prove_ledger().differences == []


def test_the_database_itself_lets_nothing_out_of_the_pool_onto_the_shelf(back):
    client, path = back
    inspect(client, path)
    row = Movement.objects.get(to_condition="warranty")
    out = (
        "INSERT INTO stock_movement (variant_id, quantity, from_location_id, from_condition, to_location_id,"
        " to_condition, kind, reason, reference, actor, request_id, occurred_at, recorded_at)"
        " VALUES (%s, 1, %s, 'warranty', %s, %s, 'lift', '', '', 'x', '', now(), now())"
    )
    with connection.cursor() as cursor:
        cursor.execute(out, [row.variant_id, row.to_location_id, row.to_location_id, "damaged"])
        with pytest.raises(IntegrityError, match="movement_never_sells_warranty_goods"), transaction.atomic():
            cursor.execute(out, [row.variant_id, row.to_location_id, row.to_location_id, "sellable"])


def test_of_two_units_of_a_line_each_has_the_clock_of_the_day_it_left(api, retailer, shop):
    warehouse = Variant.objects.get(sku="ROTOR").levels.get().location.warehouse
    camera = make.make_variant(sku="CAMERA", tracking="serial", warranty_months=6)
    movements.book(
        kind="receipt", variant=camera, warehouse=warehouse, quantity=3, serials=("A", "B", "C"), actor=make.TESTER,
        at=timezone.now(),
    )  # fmt: skip
    client = api(retailer)
    order = client.post("/orders", order_of(lines=[{"productId": "CAMERA", "quantity": 2}])).json()
    client.post(f"/orders/{order['orderId']}/confirm")
    for number in ("A", "B"):
        line = {"productId": "CAMERA", "serialNumbers": [number]}
        assert client.post("/shipments", leaving(order, 1, tracking=number, line=line)).status_code == 201
    Shipment.objects.filter(tracking_number="A").update(shipped_at=timezone.now() - timedelta(days=300))
    both = [{"productId": "CAMERA", "quantity": 1, "reason": "dead", "serialNumber": number} for number in ("A", "B")]
    path = f"/returns/{client.post('/returns', {'orderId': order['orderId'], 'lines': both}).json()['returnId']}"
    keeper().post(f"{path}/receive")
    claimed = {"productId": "CAMERA", "disposition": "warrantyClaim"}
    scrapped = {"productId": "CAMERA", "disposition": "scrap"}
    wrong = keeper().post(f"{path}/inspect", {"lines": [claimed | {"serialNumber": "A"}, scrapped]})
    assert (wrong.status_code, wrong.json()["code"]) == (409, "warranty_over")
    right = keeper().post(f"{path}/inspect", {"lines": [claimed | {"serialNumber": "B"}, scrapped]})
    assert right.status_code == 200, right.json()
    assert WarrantyClaim.objects.get().line.serial_number == "B"
    assert Serial.objects.get(number="B").level.condition == "warranty"
    assert proof.prove_ledger().differences == []
