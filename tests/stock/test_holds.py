"""Batches and units held back: nothing of them is promised, nothing of them leaves."""

from __future__ import annotations

from datetime import date

import pytest
from django.utils import timezone

from partners.models import OutboxEvent
from partners.problems import IllegalStep
from stock import proof
from stock.models import Batch, Level, Movement, Recall
from stock.operations import holds, movements
from stock.operations.blocks import BatchBlocked
from tests import make


@pytest.fixture
def shelf(supplier):
    """A sauce in two batches: 10 that expire first, 10 later."""
    sauce = make.make_variant(sku="SAUCE", suppliers=[supplier], tracking="batch")
    warehouse = make.make_warehouse(code="W1")
    for number, year in (("EARLY", 2090), ("LATE", 2091)):
        make.make_level(variant=sauce, warehouse=warehouse, batch_number=number, expires_on=date(year, 1, 1))
    Batch.objects.update(supplier=supplier)
    return sauce, warehouse


def hold(verb, number: str = "EARLY"):
    batch = Batch.objects.get(number=number)
    return getattr(holds, verb)(batch=batch, reason="smells odd", actor=make.TESTER, at=timezone.now())


def move(kind: str, quantity: int, shelf, number: str = "EARLY"):
    return movements.book(
        kind=kind, variant=shelf[0], warehouse=shelf[1], quantity=quantity, batch_number=number, actor=make.TESTER,
        at=timezone.now(),
    )  # fmt: skip


def book() -> dict[str, tuple[int, int]]:
    rows = Level.objects.select_related("batch")
    return {f"{row.batch.number}/{row.condition}": (row.on_hand, row.reserved) for row in rows}


def told(event_type: str) -> list[list[int]]:
    return list(OutboxEvent.objects.filter(type=event_type).values_list("addressee_ids", flat=True))


def cart(client, quantity: int = 6, reference: str = "cart"):
    lines = [{"productId": "SAUCE", "quantity": quantity}]
    return client.post("/reservations", {"reference": reference, "lines": lines})


def test_nothing_new_is_promised_of_a_quarantined_batch_and_what_is_promised_stays(api, retailer, shelf):
    cart(api(retailer))
    hold("quarantine_batch")
    assert book() == {"EARLY/sellable": (10, 6), "LATE/sellable": (10, 0)}
    cart(api(retailer), 4, "second")
    assert book() == {"EARLY/sellable": (10, 6), "LATE/sellable": (10, 4)}
    refused = cart(api(retailer), 7, "third")
    assert refused.json()["shortages"] == [{"productId": "SAUCE", "requested": 7, "available": 6}]


def test_nothing_of_a_quarantined_batch_leaves_until_it_is_lifted(api, retailer, shelf):
    client = api(retailer)
    path = f"/reservations/{cart(client).json()['reservationId']}/commit"
    hold("quarantine_batch")
    before = (book(), Movement.objects.count())
    answer = client.post(path)
    assert (answer.status_code, answer.json()["code"]) == (409, "batch_blocked")
    facts = {name: answer.json()[name] for name in ("productId", "batchNumber", "holdState")}
    assert facts == {"productId": "SAUCE", "batchNumber": "EARLY", "holdState": "quarantined"}
    assert (book(), Movement.objects.count()) == before
    hold("lift_batch")
    assert client.post(path).status_code == 200
    assert book() == {"EARLY/sellable": (4, 0), "LATE/sellable": (10, 0)}


def test_an_order_promised_a_held_batch_ships_another_one(api, retailer, shelf):
    client = api(retailer)
    lines = [{"productId": "SAUCE", "quantity": 6}]
    ship_to = {"name": "x", "country": "US", "postalCode": "1"}
    order = client.post("/orders", {"externalReference": "PO", "shipTo": ship_to, "lines": lines}).json()
    client.post(f"/orders/{order['orderId']}/confirm")
    hold("quarantine_batch")
    sent = {"orderId": order["orderId"], "warehouseLocation": "W1", "carrier": "UPS", "trackingNumber": "1Z"}
    refused = client.post("/shipments", sent | {"lines": lines})
    assert (refused.status_code, refused.json()["code"]) == (409, "batch_blocked")
    assert book() == {"EARLY/sellable": (10, 6), "LATE/sellable": (10, 0)}
    other = [lines[0] | {"batchNumber": "LATE"}]
    assert client.post("/shipments", sent | {"lines": other}).status_code == 201
    assert book() == {"EARLY/sellable": (10, 0), "LATE/sellable": (4, 0)}
    assert proof.prove_ledger().differences == []


def test_supplier_and_holders_are_told_and_said_twice_it_is_told_once(api, retailer, supplier, stranger, shelf):
    cart(api(retailer))
    for verb in ("quarantine_batch", "quarantine_batch", "lift_batch", "lift_batch"):
        hold(verb)
    concerned = sorted([retailer.pk, supplier.pk])
    assert (told("batch.quarantined"), told("batch.released")) == ([concerned], [concerned])
    event = OutboxEvent.objects.get(type="batch.quarantined")
    assert event.payload == {
        "productId": "SAUCE", "batchNumber": "EARLY", "expirationDate": "2090-01-01", "holdState": "quarantined",
        "reason": "smells odd",
    }  # fmt: skip
    assert [row.history_change_reason for row in Batch.objects.get(number="EARLY").history.all()][:2] == [
        "smells odd", "smells odd",
    ]  # fmt: skip


def test_a_recalled_batch_is_neither_quarantined_nor_lifted_before_its_recall_is_closed(shelf):
    recall = hold("recall_batch")
    for verb in ("quarantine_batch", "lift_batch"):
        with pytest.raises(IllegalStep):
            hold(verb)
    assert Batch.objects.get(number="EARLY").hold_state == "recalled"
    holds.close_recall(recall=recall, actor=make.TESTER, at=timezone.now())
    assert Batch.objects.get(number="EARLY").hold_state == "recalled", "closing alone lets nothing go"
    assert hold("lift_batch").hold_state == "released"
    assert Recall.objects.get().state == "closed"


def test_units_go_to_quarantine_and_back_and_break_the_youngest_promise_they_need(api, retailer, shelf):
    cart(api(retailer), 6, "old")
    cart(api(retailer), 3, "young")
    move("quarantine", 3, shelf)
    assert book() == {"EARLY/sellable": (7, 7), "EARLY/quarantine": (3, 0), "LATE/sellable": (10, 0)}
    assert told("inventory.shortage") == [[retailer.pk]]
    move("lift", 2, shelf)
    assert book() == {"EARLY/sellable": (9, 7), "EARLY/quarantine": (1, 0), "LATE/sellable": (10, 0)}
    assert proof.prove_ledger().differences == []


def test_units_of_a_batch_that_is_held_are_not_put_back_on_sale(shelf):
    move("quarantine", 3, shelf)
    hold("quarantine_batch")
    before = (book(), Movement.objects.count())
    with pytest.raises(BatchBlocked):
        move("lift", 1, shelf)
    assert (book(), Movement.objects.count()) == before
    hold("lift_batch")
    move("lift", 1, shelf)
    assert book()["EARLY/sellable"] == (8, 0)


@pytest.mark.parametrize("kind", ["writeOff", "quarantine", "damage"])
def test_what_happens_to_held_units_is_still_a_fact_that_can_be_booked(shelf, kind):
    hold("recall_batch")
    move(kind, 4, shelf)
    assert book()["EARLY/sellable"] == (6, 0)
    assert proof.prove_ledger().differences == []


def test_a_partner_may_hold_units_back_and_only_staff_let_them_go(api, supplier, shelf):
    sent = {"type": "quarantine", "quantity": 4, "warehouseLocation": "W1", "batchNumber": "EARLY"}
    assert api(supplier).post("/inventory/SUP-1/SAUCE", sent).status_code == 201
    before = book()
    assert before["EARLY/quarantine"] == (4, 0)
    answer = api(supplier).post("/inventory/SUP-1/SAUCE", sent | {"type": "lift"})
    assert (answer.status_code, answer.json()["errors"][0]["field"], book()) == (422, "type", before)
