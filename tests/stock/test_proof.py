"""The proof of the book finds what is wrong, and nothing else, also while others book."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, connections
from django.utils import timezone

from stock import made_up, proof
from stock.models import Allocation, Level, Movement, Reservation
from tests import make
from tests.conftest import api_of


@pytest.fixture
def held(db, retailer) -> Reservation:
    """Three of ten units promised to a retailer."""
    make.make_level(variant=make.make_variant(sku="SAUCE"), warehouse=make.make_warehouse(), on_hand=10)
    lines = [{"productId": "SAUCE", "quantity": 3}]
    assert api_of(retailer).post("/reservations", {"reference": "cart", "lines": lines}).status_code == 201
    assert proof.prove_ledger().differences == []
    return Reservation.objects.get()


def test_every_slice_is_proved_and_their_movements_add_up(db, monkeypatch):
    made_up.fill(variants=20, warehouses=2, levels=100, movements=1_000, at=timezone.now())
    monkeypatch.setattr(proof, "SLICE_ROWS", 150)
    levels = [Level.objects.order_by("id").first(), Level.objects.order_by("id").last()]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE stock_level SET on_hand = on_hand + 1 WHERE id = ANY(%s)", [[row.pk for row in levels]])
    slices: list[int] = []
    found = proof.prove_ledger(progress=slices.append)
    assert len(slices) == 7
    assert (sum(slices), found.movements, found.levels) == (1_000, 1_000, 100)
    assert [text.split(" (")[0] for text in found.differences] == [f"level {row.pk}" for row in levels]


def test_a_movement_of_a_variant_that_is_not_there_is_named(held):
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO stock_movement (variant_id, quantity, from_location_id, from_condition, to_location_id,
                to_condition, kind, reason, reference, actor, request_id, occurred_at, recorded_at)
            VALUES (987654321, 1, -1, '', -2, '', 'shipment', '', '', 'x', '', now(), now()) RETURNING id
            """
        )
        [movement_id] = cursor.fetchone()
    [difference] = proof.prove_ledger().differences
    assert difference.startswith(f"movement {movement_id} names a variant")


def test_an_ended_reservation_that_still_holds_stock_is_named(held):
    Reservation.objects.update(state="released", ended_at=timezone.now())
    [difference] = proof.prove_ledger().differences
    assert difference == f"reservation {held.public_id} is released and still holds stock"


def test_an_allocation_of_no_level_is_named(held):
    Allocation.objects.update(level_id=987654321)
    differences = proof.prove_ledger().differences
    assert [text for text in differences if "names level 987654321 that is not there" in text]


@pytest.mark.races
def test_bookings_while_it_runs_are_no_false_alarm(own_database, monkeypatch):
    made_up.fill(variants=40, warehouses=2, levels=200, movements=2_000, at=timezone.now())
    variant, warehouse = make.make_variant(), make.make_warehouse()
    monkeypatch.setattr(proof, "SLICE_ROWS", 100)
    is_over = threading.Event()

    def book() -> None:
        while not is_over.is_set():
            make.make_level(variant=variant, warehouse=warehouse, on_hand=1)
        connections.close_all()

    clerk = threading.Thread(target=book)
    clerk.start()
    try:
        proofs = [proof.prove_ledger() for _ in range(3)]
    finally:
        is_over.set()
        clerk.join(timeout=60)
    assert [found.differences for found in proofs] == [[], [], []]
    assert Movement.objects.count() > 2_000
