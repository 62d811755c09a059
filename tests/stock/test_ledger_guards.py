"""The database is the last guard, for every code path and for SQL typed by hand."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from stock import proof
from stock.models import Level, Movement
from tests import make


@pytest.fixture
def level(db):
    return make.make_level(variant=make.make_variant(), warehouse=make.make_warehouse(), on_hand=10)


def run(sql: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # else a pending check would refuse before the guard
        cursor.execute(sql)


def refused(sql: str) -> str:
    with pytest.raises(DatabaseError) as caught:
        run(sql)
    return str(caught.value)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE stock_movement SET quantity = 99",
        "DELETE FROM stock_movement",
        "TRUNCATE stock_movement",
    ],
)
def test_the_ledger_refuses_to_be_changed(level, sql):
    assert "append-only" in refused(sql)
    assert list(Movement.objects.values_list("quantity", flat=True)) == [10]


@pytest.mark.parametrize("sql", ["DELETE FROM stock_level", "TRUNCATE stock_level"])
def test_levels_are_never_deleted(level, sql):
    assert "refer to it" in refused(sql)
    assert Level.objects.count() == 1


def test_partners_are_never_deleted(db):
    make.make_partner()
    assert "never deleted" in refused("DELETE FROM partners_partner")


@pytest.mark.parametrize("sql", ["SET reserved = 11", "SET reserved = -1", "SET on_hand = -1"])
def test_no_statement_can_promise_more_than_is_there(level, sql):
    assert "level_reserved_within_on_hand" in refused(f"UPDATE stock_level {sql}")


def test_a_parent_is_never_stocked(db):
    warehouse = make.make_warehouse()
    parent = make.make_variant(is_parent=True)
    with pytest.raises(IntegrityError, match="a parent is never stocked"):
        make.make_level(variant=parent, warehouse=warehouse)


def test_the_proof_names_a_level_that_was_changed_behind_the_ledger(level):
    assert proof.prove_ledger().differences == []
    with connection.cursor() as cursor:
        cursor.execute("UPDATE stock_level SET on_hand = 11")
    [difference] = proof.prove_ledger().differences
    assert f"level {level.pk} " in difference
    assert "on hand 11, ledger 10" in difference


def test_the_proof_names_a_promise_that_nobody_made(level):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE stock_level SET reserved = 4")
    [difference] = proof.prove_ledger().differences
    assert "reserved 4, promised 0" in difference
