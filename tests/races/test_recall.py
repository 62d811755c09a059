"""After a recall has committed nothing of the batch is promised, whoever came at the same moment."""

from __future__ import annotations

import pytest
from django.db import connection, transaction
from django.db.models import Sum
from django.utils import timezone

from catalog.models import Pack
from stock import proof
from stock.models import Allocation, Batch, Level
from stock.operations import breaks, holds, movements, reservations
from stock.operations.promising import InsufficientStock, Wanted
from tests import make
from tests.races.crowd import all_at_once, rewrite

CALLERS = 24


@pytest.fixture
def town(own_database):
    variant = make.make_variant(tracking="batch")
    warehouses = [make.make_warehouse() for _ in range(3)]
    for warehouse in warehouses[:2]:
        make.make_level(variant=variant, warehouse=warehouse, on_hand=200, batch_number="B1")
    return variant, warehouses


def reserve(variant, place: int):
    return reservations.reserve(
        reference=f"cart-{place}",
        wanted=[Wanted(variant=variant, quantity=3)],
        partner=None,
        actor=make.TESTER,
        at=timezone.now(),
    )


def recall():
    batch = Batch.objects.get()
    return holds.recall_batch(batch=batch, reason="glass", actor=make.TESTER, at=timezone.now())


def reserved() -> int:
    return Level.objects.aggregate(sum=Sum("reserved"))["sum"]


def crowd(variant, warehouses):
    """One recalls, one receives the batch where it never lay, all others reserve until they are refused."""

    def act(place: int):
        if place == 0:
            return recall()
        if place == 1:
            return movements.book(
                kind="receipt", variant=variant, warehouse=warehouses[2], quantity=500, batch_number="B1",
                actor=make.TESTER, at=timezone.now(),
            )  # fmt: skip
        for turn in range(4):
            try:
                reserve(variant, place * 100 + turn)
            except InsufficientStock as problem:
                return problem
        return "granted"

    return all_at_once(CALLERS, act)


@pytest.mark.races
def test_recall_against_reserve_leaves_no_promise_of_the_batch(town):
    results = crowd(*town)
    assert [
        result for result in results if isinstance(result, Exception) and type(result) is not InsufficientStock
    ] == []
    assert Batch.objects.get().hold_state == "recalled"
    assert reserved() == 0
    assert not any(row.open_quantity for row in Allocation.objects.all())
    assert proof.prove_ledger().differences == []


@pytest.mark.races
@pytest.mark.parametrize("looks_again", [True, False])
def test_who_looked_before_the_recall_and_writes_after_it_is_stopped_by_looking_again(town, looks_again):
    """The same two, met at the worst moment; the second run is the negative control."""
    rewrite("stock_reserve_one", ("UPDATE stock_level", "PERFORM pg_sleep(1); UPDATE stock_level"))
    if not looks_again:
        rewrite("stock_reserve_one", ("v_stands IS NOT TRUE", "v_stands IS NULL"))
    variant, _ = town

    def act(place: int):
        if place == 0:
            return reserve(variant, 1)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.4)")
        return recall()

    all_at_once(2, act)
    assert Batch.objects.get().hold_state == "recalled"
    assert (reserved() == 0) is looks_again


@pytest.mark.races
def test_a_level_made_while_the_batch_is_recalled_waits_and_is_blocked_too(town):
    """The negative of a missed level: who makes one keeps the batch from being recalled past it."""
    variant, warehouses = town
    batch = Batch.objects.get()

    def act(place: int):
        if place == 0:
            with transaction.atomic():
                movements.book(
                    kind="receipt", variant=variant, warehouse=warehouses[2], quantity=500, batch_number="B1",
                    actor=make.TESTER, at=timezone.now(),
                )  # fmt: skip
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_sleep(0.5)")
            return None
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.2)")
        return recall()

    _, made = all_at_once(2, act)
    assert made.blocked == 900
    assert Level.objects.filter(batch=batch).count() == 3


@pytest.mark.races
@pytest.mark.parametrize("sku", ["CASE", "SAUCE"])
def test_packs_opened_while_the_batch_is_recalled_take_their_units_with_them(own_database, sku):
    """The units' batch and the conversion are not to be seen until the levels are ours."""
    case, sauce = (make.make_variant(sku=sku, tracking="batch") for sku in ("CASE", "SAUCE"))
    Pack.objects.create(variant=sauce, name="case", quantity=24, stocked_as=case)
    warehouse = make.make_warehouse()
    for variant in (case, sauce):
        make.make_level(variant=variant, warehouse=warehouse, batch_number="B1", on_hand=5)

    def act(place: int):
        if place == 0:
            with transaction.atomic():
                breaks.break_open(
                    variant=case, quantity=1, warehouse=warehouse, batch_number="B1", actor=make.TESTER,
                    at=timezone.now(),
                )  # fmt: skip
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_sleep(0.5)")
            return None
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.2)")
        batch = Batch.objects.get(variant__sku=sku)
        return holds.recall_batch(batch=batch, reason="glass", actor=make.TESTER, at=timezone.now())

    _, made = all_at_once(2, act)
    assert made.batch.variant.sku == sku
    assert set(Batch.objects.values_list("hold_state", flat=True)) == {"recalled"}
    assert proof.prove_ledger().differences == []
