"""The hot path's own way to the database keeps the manners of Django's: transactions, refusals, lost connections."""

from __future__ import annotations

import pytest
from django.db import DataError, IntegrityError, OperationalError, connection, transaction

from partners import prepared

ADD = "INSERT INTO stock_warehouse_note VALUES (%s, %s)"


@pytest.fixture(params=[2, None], ids=["prepared", "behind a pooler"])
def notes(request, own_database):
    """A table to write to, by a connection of our own that prepares statements or not."""
    connection.close()
    connection.ensure_connection()
    connection.connection.prepare_threshold = request.param
    prepared.fetch("CREATE TEMP TABLE stock_warehouse_note (place bigint PRIMARY KEY, told text)", [])
    yield lambda: prepared.fetch("SELECT place, told FROM stock_warehouse_note ORDER BY place", [])
    connection.close()


def test_a_statement_that_comes_first_in_a_transaction_belongs_to_it(notes):
    with transaction.atomic():
        prepared.fetch(ADD, [1, "stays"])
    with transaction.atomic():
        prepared.fetch(ADD, [2, "goes"])
        transaction.set_rollback(True)
    prepared.fetch(ADD, [3, "stays, too"])
    assert notes() == [(1, "stays"), (3, "stays, too")]


def test_a_refusal_is_djangos_error_and_the_transaction_goes_on_from_its_savepoint(notes):
    with transaction.atomic():
        prepared.fetch(ADD, [1, "first"])
        with pytest.raises(IntegrityError), transaction.atomic():
            prepared.fetch(ADD, [1, "second"])
        with pytest.raises(DataError), transaction.atomic():
            prepared.fetch("SELECT 1 / %s::bigint", [0])
    assert notes() == [(1, "first")]


def test_the_same_statement_takes_values_of_any_size_and_none(notes):
    for place in (1, 70_000, 5_000_000_000):
        prepared.fetch(ADD, [place, None])
    assert notes() == [(1, None), (70_000, None), (5_000_000_000, None)]


def test_a_lost_connection_is_said_as_such_and_the_next_one_works(own_database):
    [(pid,)] = prepared.fetch("SELECT pg_backend_pid()", [])
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
    finally:
        other.close()
    with pytest.raises(OperationalError):
        prepared.fetch("SELECT pg_sleep(10)", [])  # until the word has reached it
    connection.close()
    assert prepared.fetch("SELECT 1", []) == [(1,)]
