"""A sealed ledger cannot be changed unseen, not even by who may switch its triggers off."""

from __future__ import annotations

import hashlib
import struct
import threading
from datetime import UTC, datetime

import pytest
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.utils import timezone

from stock import seals, settled
from stock.models import Movement, Seal
from stock.operations import sealing
from tests import make

ROWS = 60
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
SWAP = """
    UPDATE stock_movement m SET variant_id = o.variant_id, quantity = o.quantity, reference = o.reference,
           occurred_at = o.occurred_at, recorded_at = o.recorded_at, kind = o.kind, reason = o.reason,
           from_location_id = o.from_location_id, to_location_id = o.to_location_id,
           from_condition = o.from_condition, to_condition = o.to_condition
      FROM stock_movement o WHERE (m.id, o.id) IN (({0}, {1}), ({1}, {0}))
"""


@pytest.fixture
def ledger(db, monkeypatch) -> list[int]:
    """Sixty movements, sealed in blocks of ten."""
    monkeypatch.setattr(sealing, "BLOCK_ROWS", 10)
    book(ROWS)
    assert seal() == ROWS
    return list(Movement.objects.order_by("id").values_list("id", flat=True))


def book(rows: int) -> None:
    variant, warehouse = make.make_variant(), make.make_warehouse()
    for quantity in range(1, rows + 1):
        make.make_level(variant=variant, warehouse=warehouse, on_hand=quantity)


def seal(wait_seconds: float = 0.2) -> int | None:
    return sealing.seal(at=timezone.now(), wait_seconds=wait_seconds)


def tamper(sql: str, table: str = "stock_movement") -> None:
    """As the owner of the tables could."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(sql)
        cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def test_every_row_is_sealed_once_and_the_roots_make_a_chain(ledger):
    assert seal() == 0
    assert [row.rows for row in Seal.objects.all()] == [10] * 6
    root = b""
    for row in Seal.objects.all():
        root = hashlib.sha256(root + bytes(row.digests)).digest()
        assert bytes(row.root) == root
    found = seals.prove_seals()
    assert (found.blocks, found.sealed, found.unsealed, found.differences) == (6, ROWS, 0, [])
    assert found.newest_root == root.hex() == seals.newest_root()


def test_the_digest_is_what_its_documentation_says(ledger):
    movement = Movement.objects.get(pk=ledger[0])
    encoded = struct.pack(">i", len(seals.COLUMNS))
    for column in seals.COLUMNS:
        value = getattr(movement, column)
        if column.endswith("_at"):
            micros = round((value - EPOCH).total_seconds() * 1_000_000)
            encoded += struct.pack(">iiq", 1184, 8, micros)
        elif isinstance(value, str):
            text = value.encode()
            encoded += struct.pack(">ii", 1043, len(text)) + text
        elif value is None:
            encoded += struct.pack(">ii", 20, -1)
        else:
            encoded += struct.pack(">iiq", 20, 8, value)
    assert bytes(Seal.objects.first().digests)[:32] == hashlib.sha256(encoded).digest()


def test_every_column_of_the_ledger_is_sealed():
    assert sorted(seals.COLUMNS) == sorted(field.column for field in Movement._meta.fields)


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("UPDATE stock_movement SET quantity = quantity + 1 WHERE id = {1}", ["movement {1} was altered"]),
        ("UPDATE stock_movement SET owner_id = 1 WHERE id = {1}", ["movement {1} was altered"]),
        ("DELETE FROM stock_movement WHERE id = {1}", ["movement {1} was deleted"]),
        ("DELETE FROM stock_movement WHERE id = {2}", ["movement {2} was deleted"]),
        (SWAP, ["movement {0} was swapped with movement {1}", "movement {1} was swapped with movement {0}"]),
        (
            "UPDATE stock_movement SET id = {0} - 1000000 WHERE id = {1}",
            [
                "movement {before} was inserted after its range was sealed",
                "movement {1} now has the number {before}",
            ],
        ),
    ],
    ids=["altered", "owner altered", "deleted", "last deleted", "swapped", "numbered anew"],
)
def test_one_tampered_row_of_many_is_found_and_named(ledger, sql, told):
    ids = (ledger[17], ledger[43], ledger[-1])
    tamper(sql.format(*ids))
    names = [text.format(*ids, before=ids[0] - 1_000_000) for text in told]
    assert seals.prove_seals().differences == names


def test_a_row_put_into_a_gap_of_a_sealed_range_is_named(ledger):
    with connection.cursor() as cursor:  # a gap, as a booking that was rolled back leaves
        cursor.execute("SELECT nextval(pg_get_serial_sequence('stock_movement', 'id'))")
        [gap] = cursor.fetchone()
    book(1)
    assert seal() == 1
    assert seals.prove_seals().differences == []
    columns = ", ".join(seals.COLUMNS[1:])
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO stock_movement (id, {columns}) SELECT %s, {columns} FROM stock_movement WHERE id = %s",
            [gap, ledger[0]],
        )
    assert seals.prove_seals().differences == [f"movement {gap} was inserted after its range was sealed"]


def test_a_seal_made_to_fit_the_changed_row_breaks_the_chain(ledger):
    tamper(f"UPDATE stock_movement SET quantity = 999 WHERE id = {ledger[5]}")
    first = Seal.objects.first()
    digests = f"(SELECT string_agg({seals.digest_sql('m')}, '' ORDER BY id) FROM stock_movement m WHERE id <= {{}})"
    tamper(f"UPDATE stock_seal SET digests = {digests.format(first.last_id)} WHERE id = {first.pk}", "stock_seal")
    [difference] = seals.prove_seals().differences
    assert f"movements {first.first_id} to {first.last_id} does not follow" in difference
    tamper(f"UPDATE stock_seal SET root = sha256(digests) WHERE id = {first.pk}", "stock_seal")
    [difference] = seals.prove_seals().differences
    assert f"movements {ledger[10]} to {ledger[19]} does not follow" in difference


def test_a_seal_taken_out_of_the_chain_is_missed(ledger):
    tamper(f"DELETE FROM stock_seal WHERE first_id = {ledger[20]}", "stock_seal")
    assert "does not follow" in seals.prove_seals().differences[0]


def test_a_chain_made_anew_is_found_by_a_root_kept_outside(ledger):
    kept = seals.newest_root()
    assert seals.prove_seals(root=kept.upper()).differences == []
    tamper(f"UPDATE stock_movement SET quantity = 999 WHERE id = {ledger[5]}")
    tamper("DELETE FROM stock_seal", "stock_seal")
    assert seal() == ROWS
    assert seals.prove_seals().differences == []
    assert seals.prove_seals(root=kept).differences == [
        f"the root {kept} is not in the chain: seals were taken away, or the chain was made anew"
    ]


def test_an_older_root_kept_outside_still_fits_after_the_ledger_grew(ledger):
    kept = seals.newest_root()
    book(3)
    assert seals.prove_seals(root=kept).unsealed == 3
    assert seal() == 3
    assert seals.newest_root() != kept
    assert seals.prove_seals(root=kept).differences == []


def test_the_command_names_the_first_difference_and_the_newest_root(ledger, capsys):
    call_command("seal_ledger")
    assert seals.newest_root() in capsys.readouterr().out
    call_command("verify_ledger")
    assert seals.newest_root() in capsys.readouterr().out
    tamper(f"UPDATE stock_movement SET reason = 'x' WHERE id = {ledger[9]}")
    with pytest.raises(SystemExit):
        call_command("verify_ledger", "--json")
    assert f'"firstDifference": "movement {ledger[9]} was altered"' in capsys.readouterr().out


@pytest.mark.races
def test_a_late_committer_with_a_lower_id_is_waited_for(own_database):
    """It was given its id before the row that is sealed, and commits after."""
    has_booked, may_commit = threading.Event(), threading.Event()

    def book_slowly() -> None:
        with transaction.atomic():
            book(1)
            has_booked.set()
            assert may_commit.wait(timeout=60)
        connections.close_all()

    slow = threading.Thread(target=book_slowly)
    slow.start()
    assert has_booked.wait(timeout=60)
    book(2)
    assert settled.up_to(wait_seconds=0.2) is None
    assert seal() is None
    assert Seal.objects.count() == 0
    threading.Timer(0.3, may_commit.set).start()
    assert seal(wait_seconds=20) == 3
    slow.join(timeout=60)
    assert seals.prove_seals().differences == []


@pytest.mark.races
def test_nobody_seals_while_another_does(own_database):
    book(2)
    is_held, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with settled.alone(sealing.SEALER):
            is_held.set()
            assert may_end.wait(timeout=60)
        connections.close_all()

    other = threading.Thread(target=hold)
    other.start()
    assert is_held.wait(timeout=60)
    assert seal() is None
    may_end.set()
    other.join(timeout=60)
    assert seal() == 2
