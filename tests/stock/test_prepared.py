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


def test_what_goes_together_is_answered_in_its_order_and_stops_where_it_fails(notes):
    _, found = prepared.fetch_together((ADD, [1, "first"]), ("SELECT told FROM stock_warehouse_note", []))
    assert found == [("first",)]
    with pytest.raises(IntegrityError):
        prepared.fetch_together((ADD, [2, "second"]), (ADD, [1, "again"]), (ADD, [3, "third"]))
    assert notes() == [(1, "first")], "what comes in one trip outside a transaction is done as a whole, or not at all"
    assert prepared.fetch("SELECT 1", []) == [(1,)]


def test_two_trips_keep_all_or_nothing(notes):
    with prepared.TwoTrips() as trips:
        assert trips.begin((ADD, [1, "stays"]), ("SELECT count(*) FROM stock_warehouse_note", [])) == [[], [(1,)]]
        trips.end((ADD, [2, "stays"]))
    with prepared.TwoTrips() as trips:
        trips.begin((ADD, [3, "left without its end"]))
    with pytest.raises(IntegrityError), prepared.TwoTrips() as trips:  # noqa: PT012  the first trip succeeds
        trips.begin((ADD, [4, "goes"]))
        trips.end((ADD, [1, "again"]))
    with pytest.raises(IntegrityError), prepared.TwoTrips() as trips:
        trips.begin((ADD, [5, "goes"]), (ADD, [1, "again"]))
    assert notes() == [(1, "stays"), (2, "stays")]


def test_two_trips_within_a_transaction_are_a_part_of_it(notes):
    with transaction.atomic():
        with prepared.TwoTrips() as trips:
            trips.begin((ADD, [1, "stays"]))
            trips.end((ADD, [2, "stays"]))
        with prepared.TwoTrips() as trips:
            trips.begin((ADD, [3, "goes"]))
    with transaction.atomic():
        with prepared.TwoTrips() as trips:
            trips.begin((ADD, [4, "goes with the whole"]))
            trips.end()
        transaction.set_rollback(True)
    assert notes() == [(1, "stays"), (2, "stays")]


def test_a_connection_that_is_lost_between_two_trips_leaves_nothing(notes):
    connection.close()
    connection.ensure_connection()
    other = connection.copy()
    try:
        with pytest.raises(OperationalError), prepared.TwoTrips() as trips:  # noqa: PT012  the first trip succeeds
            [[(pid,)]] = trips.begin(("SELECT pg_backend_pid()", []))
            with other.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
            trips.end(("SELECT 1", []))
    finally:
        other.close()
    connection.close()
    assert prepared.fetch("SELECT 1", []) == [(1,)]
