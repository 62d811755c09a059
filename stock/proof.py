"""The proof of the stock book: levels against the ledger, promises against allocations, transfers
against the road, and what refers to nothing.

Finds, never repairs. Everything is read in one snapshot, so that a live system gives no false alarm, and in
slices, so that neither side needs memory for the whole ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from django.db import connection, transaction

from stock import serials
from stock.models import Location

# So many movements are summed at once, about: few enough for memory, enough that a slice is worth its scan.
SLICE_ROWS = 2_000_000
# Each sort and hash of a slice may take so much before it goes to disk.
MEMORY = "128MB"

LEVELS_AND_LEDGER = """
    WITH sides AS (
        SELECT variant_id, batch_id, owner_id, to_location_id AS location_id, to_condition AS condition, quantity
          FROM stock_movement WHERE to_location_id > 0 AND variant_id > %(after)s AND variant_id <= %(last)s
        UNION ALL
        SELECT variant_id, batch_id, owner_id, from_location_id, from_condition, -quantity
          FROM stock_movement WHERE from_location_id > 0 AND variant_id > %(after)s AND variant_id <= %(last)s
    ), booked AS (
        SELECT variant_id, batch_id, owner_id, location_id, condition, sum(quantity) AS on_hand
          FROM sides GROUP BY 1, 2, 3, 4, 5
    ), levels AS (
        SELECT * FROM stock_level WHERE variant_id > %(after)s AND variant_id <= %(last)s
    ), promised AS (
        SELECT allocation.level_id, sum(allocation.quantity - consumed - freed) AS reserved
          FROM stock_allocation allocation JOIN levels ON levels.id = allocation.level_id
         WHERE allocation.quantity > consumed + freed GROUP BY 1
    )
    SELECT level.id, coalesce(level.variant_id, booked.variant_id), level.on_hand, booked.on_hand,
           level.reserved, promised.reserved
      FROM levels level
      FULL JOIN booked ON booked.variant_id = level.variant_id AND booked.location_id = level.location_id
       AND coalesce(booked.batch_id, 0) = coalesce(level.batch_id, 0) AND booked.condition = level.condition
       AND coalesce(booked.owner_id, 0) = coalesce(level.owner_id, 0)
      LEFT JOIN promised ON promised.level_id = level.id
     WHERE coalesce(level.on_hand, 0) <> coalesce(booked.on_hand, 0)
        OR coalesce(level.reserved, 0) <> coalesce(promised.reserved, 0)
        OR level.id IS NULL
     ORDER BY 1 LIMIT %(limit)s
"""
# Each is one pass; the tables referred to are small beside the ledger.
ORPHANS = (
    """
    SELECT 'movement ' || m.id || ' names a variant, batch, owner or location that is not there'
      FROM stock_movement m
     WHERE NOT EXISTS (SELECT FROM catalog_variant v WHERE v.id = m.variant_id)
        OR NOT EXISTS (SELECT FROM stock_location l WHERE l.id = m.from_location_id)
        OR NOT EXISTS (SELECT FROM stock_location l WHERE l.id = m.to_location_id)
        OR (m.batch_id IS NOT NULL AND NOT EXISTS (SELECT FROM stock_batch b WHERE b.id = m.batch_id))
        OR (m.owner_id IS NOT NULL AND NOT EXISTS (SELECT FROM partners_partner p WHERE p.id = m.owner_id))
     LIMIT %s
    """,
    """
    SELECT 'reservation ' || r.public_id || ' names a partner that is not there' FROM stock_reservation r
     WHERE r.partner_id IS NOT NULL AND NOT EXISTS (SELECT FROM partners_partner p WHERE p.id = r.partner_id)
     LIMIT %s
    """,
    """
    SELECT DISTINCT 'reservation ' || r.public_id || ' is ' || r.state || ' and still holds stock'
      FROM stock_allocation a
      JOIN stock_reservationline line ON line.id = a.line_id
      JOIN stock_reservation r ON r.id = line.reservation_id
     WHERE a.quantity > a.consumed + a.freed AND r.state <> 'open'
     LIMIT %s
    """,
    """
    SELECT 'allocation ' || a.id || ' names level ' || a.level_id || ' that is not there' FROM stock_allocation a
     WHERE NOT EXISTS (SELECT FROM stock_level level WHERE level.id = a.level_id)
     LIMIT %s
    """,
    """
    SELECT 'serial movement ' || s.id || ' names movement ' || s.movement_id || ' that is not there'
      FROM stock_serialmovement s
     WHERE NOT EXISTS (SELECT FROM stock_movement m WHERE m.id = s.movement_id)
     LIMIT %s
    """,
)


# What a transfer's movements left on the road, against what its lines say. Movements booked by hand
# (transferOut, transferIn) have references of their own and no document to compare with.
IN_TRANSIT = """
    WITH booked AS (
        SELECT transfer.number, m.variant_id, m.batch_id, m.owner_id,
               sum(CASE WHEN m.to_location_id = %s THEN m.quantity ELSE -m.quantity END) AS units
          FROM stock_transfer transfer JOIN stock_movement m ON m.reference = transfer.number AND m.reference <> ''
         WHERE %s IN (m.from_location_id, m.to_location_id) GROUP BY 1, 2, 3, 4
    ), said AS (
        SELECT transfer.number, line.variant_id, line.batch_id, line.owner_id,
               sum(greatest(line.dispatched - line.arrived - line.lost, 0)) AS units
          FROM stock_transfer transfer JOIN stock_transferline line ON line.transfer_id = transfer.id
         GROUP BY 1, 2, 3, 4
    )
    SELECT coalesce(said.number, booked.number), variant.sku, batch.number,
           coalesce(said.units, 0), coalesce(booked.units, 0)
      FROM said
      FULL JOIN booked ON booked.number = said.number AND booked.variant_id = said.variant_id
       AND coalesce(booked.batch_id, 0) = coalesce(said.batch_id, 0)
       AND coalesce(booked.owner_id, 0) = coalesce(said.owner_id, 0)
      JOIN catalog_variant variant ON variant.id = coalesce(said.variant_id, booked.variant_id)
      LEFT JOIN stock_batch batch ON batch.id = coalesce(said.batch_id, booked.batch_id)
     WHERE coalesce(said.units, 0) <> coalesce(booked.units, 0)
     ORDER BY 1, 2, 3 LIMIT %s
"""


@dataclass(frozen=True)
class Proof:
    """What verify_ledger found: counts, and every difference up to a bound."""

    movements: int
    levels: int
    differences: list[str]


@contextmanager
def one_snapshot() -> Iterator[None]:
    """All that is read inside is of one moment, whatever is written meanwhile.

    Inside a transaction of the caller's it is that transaction's view; there nothing can be asked of it any more.
    """
    if connection.in_atomic_block:
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute(f"SET LOCAL work_mem = '{MEMORY}'")
        yield


def prove_ledger(*, limit: int = 20, progress: Callable[[int], Any] = lambda rows: None) -> Proof:
    """Compare levels with the ledger and reserved with the open allocations, then look for orphans.

    Reads all movements three times (counted by index, summed by slices of variants, looked up); `progress` is
    told how many movements each slice had. `limit` bounds each kind of difference.
    """
    differences: list[str] = []
    movements = 0
    with one_snapshot(), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM stock_level")
        [levels] = cursor.fetchone()
        for after, last in _slices(cursor):
            bounds = {"after": after, "last": last}
            cursor.execute(LEVELS_AND_LEDGER, bounds | {"limit": limit})
            differences += [
                f"level {level_id} (variant {variant_id}): on hand {on_hand}, ledger {booked or 0};"
                f" reserved {reserved}, promised {promised or 0}"
                for level_id, variant_id, on_hand, booked, reserved, promised in cursor.fetchall()
            ][: max(limit - len(differences), 0)]
            cursor.execute(
                "SELECT count(*) FROM stock_movement WHERE variant_id > %(after)s AND variant_id <= %(last)s", bounds
            )
            [rows] = cursor.fetchone()
            movements += rows
            progress(rows)
        for orphans in ORPHANS:
            cursor.execute(orphans, [limit])
            differences += [row[0] for row in cursor.fetchall()]
        differences += serials.differences()
        differences += in_transit_differences(limit=limit)
    return Proof(movements=movements, levels=levels, differences=differences)


def expected_movements() -> int:
    """About how many movements there are, as the database's statistics say; for showing progress. One query."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'stock_movement'::regclass")
        rows: int = cursor.fetchone()[0]
    return rows


def _slices(cursor: Any) -> list[tuple[int, int]]:
    """Ranges of variant ids that cover every id there can be, known to the catalog or not."""
    cursor.execute(
        "SELECT max(id) FROM (SELECT id, ntile(%s) OVER (ORDER BY id) AS slice FROM catalog_variant) variants"
        " GROUP BY slice ORDER BY 1",
        [1 + expected_movements() // SLICE_ROWS],
    )
    inner = [row[0] for row in cursor.fetchall()][:-1]
    ends = [-(2**63), *inner, 2**63 - 1]
    return list(pairwise(ends))


def in_transit_differences(*, limit: int = 20) -> list[str]:
    """Transfers of which the ledger has another number on the road than their lines say. One query."""
    road = Location.VIRTUAL_IDS[Location.Kind.IN_TRANSIT]
    with connection.cursor() as cursor:
        cursor.execute(IN_TRANSIT, [road, road, limit])
        return [
            f"transfer {number} ({sku}{f', batch {batch}' if batch else ''}): {said} on the road, ledger {booked}"
            for number, sku, batch, said, booked in cursor.fetchall()
        ]
