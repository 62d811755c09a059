"""Stock made up for measuring adds up like real stock, and never mixes with it."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from stock import made_up, proof
from stock.models import Allocation, Batch, Level, Location, Movement, Reservation
from tests import make
from tests.conftest import api_of


def fill(seed: int = 1) -> None:
    made_up.fill(variants=50, warehouses=3, levels=400, movements=4_000, seed=seed, at=timezone.now())


def lowest_balance() -> int:
    """The least any place held after any movement of the ledger."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT min(held) FROM (
                SELECT sum(quantity) OVER (PARTITION BY variant_id, location_id, condition, batch_id ORDER BY id) AS held
                  FROM (SELECT id, variant_id, to_location_id AS location_id, to_condition AS condition, batch_id,
                               quantity
                          FROM stock_movement WHERE to_location_id > 0
                        UNION ALL
                        SELECT id, variant_id, from_location_id, from_condition, batch_id, -quantity
                          FROM stock_movement WHERE from_location_id > 0) sides) balances
            """
        )
        return cursor.fetchone()[0]


def test_made_up_stock_is_right_to_the_last_unit_and_at_every_moment(db):
    fill()
    found = proof.prove_ledger()
    assert (found.movements, found.levels, found.differences) == (4_000, 400, [])
    assert lowest_balance() >= 0
    assert Location.objects.filter(kind="bin").count() == 15
    assert Batch.objects.filter(levels__isnull=False).exists()
    assert set(Reservation.objects.values_list("state", flat=True)) == {"open"}
    assert sum(Level.objects.values_list("reserved", flat=True)) == sum(a.quantity for a in Allocation.objects.all())
    assert set(Movement.objects.values_list("kind", flat=True)) >= {"receipt", "shipment", "move", "return"}


def test_the_ledger_goes_on_where_made_up_stock_ends(db):
    fill()
    make.make_level(variant=make.make_variant(), warehouse=make.make_warehouse(), on_hand=3)
    assert Movement.objects.count() == 4_001
    assert len(api_of(make.make_partner()).get("/inventory").json()["items"]) == 50
    assert proof.prove_ledger().differences == []


def test_stock_is_not_made_up_beside_real_movements(db):
    make.make_level(variant=make.make_variant(), warehouse=make.make_warehouse(), on_hand=3)
    with pytest.raises(CommandError, match="empty"):
        call_command("make_stock", variants=10, warehouses=1, levels=10, movements=10)
    assert (Movement.objects.count(), Level.objects.count()) == (1, 1)


def test_the_indexes_of_the_ledger_are_there_again(db):
    def indexes() -> list[str]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT indexdef FROM pg_indexes WHERE tablename = 'stock_movement' ORDER BY 1")
            return [row[0] for row in cursor.fetchall()]

    before = indexes()
    fill()
    assert indexes() == before
    assert len(before) > 4
