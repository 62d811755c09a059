"""Readings of the stock book. Each says what it costs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from partners.models import Partner
from stock import prepared, serials
from stock.allocation import Candidate
from stock.models import Location
from stock.models.level import FROM_SQL, SELLABLE_SQL
from stock.models.ownership import GRANTED_SQL


def database_now() -> datetime:
    """The database's clock at this moment, not at the start of the transaction. One query."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment


@dataclass(frozen=True, kw_only=True)
class Offer(Candidate):
    """A candidate with the words people know it by."""

    batch_number: str


CANDIDATES = f"""
    SELECT level.id, level.variant_id, warehouse.code, batch.expires_on, level.on_hand - level.reserved,
           coalesce(batch.number, '')
      FROM {FROM_SQL}
     WHERE level.variant_id = ANY(%s::bigint[]) AND level.on_hand > level.reserved AND {SELLABLE_SQL}
       AND {GRANTED_SQL} AND (%s::text[] IS NULL OR warehouse.code = ANY(%s::text[]))
"""


def candidates(
    *, variant_ids: Iterable[int], partner: Partner | None, at: datetime, minimum_days: int = 0
) -> list[Offer]:
    """Free, sellable units a partner (None: we ourselves) may be promised, level by level.

    One query, index level_one_per_place.
    """
    granted = partner.granted_warehouses if partner else None
    partner_id = partner.pk if partner else None
    rows = prepared.fetch(
        CANDIDATES,
        [prepared.bigints(sorted(set(variant_ids))), at, minimum_days, partner_id, partner_id, granted, granted],
    )
    return [
        Offer(
            level_id=level_id,
            variant_id=variant_id,
            warehouse_code=code,
            expires_on=expires_on,
            available=available,
            batch_number=number,
        )
        for level_id, variant_id, code, expires_on, available, number in rows
    ]


@dataclass(frozen=True, kw_only=True)
class Position:
    """One level as partners see it: where, which batch, in what condition, how much."""

    level_id: int
    variant_id: int
    sku: str
    warehouse_code: str
    batch_number: str | None
    expires_on: Any
    hold_state: str | None
    condition: str
    owner_id: int | None
    owner_code: str | None
    is_sellable: bool
    on_hand: int
    reserved: int
    version: int
    updated_at: datetime


def positions(
    *,
    variant_ids: Iterable[int],
    at: datetime,
    partner: Partner | None = None,
    warehouse_code: str | None = None,
    batch_number: str | None = None,
) -> list[Position]:
    """The levels of these variants a partner may see (None: all), by warehouse, expiry and batch. One query."""
    granted = partner.granted_warehouses if partner else None
    partner_id = partner.pk if partner else None
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT level.id AS level_id, level.variant_id, variant.sku, warehouse.code AS warehouse_code,
                   batch.number AS batch_number, batch.expires_on, batch.hold_state, level.condition,
                   level.owner_id, owner.code AS owner_code,
                   ({SELLABLE_SQL}) AS is_sellable, level.on_hand, level.reserved, level.version, level.updated_at
              FROM {FROM_SQL} JOIN catalog_variant variant ON variant.id = level.variant_id
              LEFT JOIN partners_partner owner ON owner.id = level.owner_id
             WHERE level.variant_id = ANY(%s) AND (%s OR {GRANTED_SQL})
               AND (%s::text[] IS NULL OR warehouse.code = ANY(%s::text[]))
               AND (%s::text IS NULL OR warehouse.code = %s::text)
               AND (%s::text IS NULL OR batch.number = %s::text)
             ORDER BY level.variant_id, warehouse.code, batch.expires_on NULLS LAST, batch.number, level.id
            """,
            [
                at,
                0,
                sorted(set(variant_ids)),
                partner is None,
                partner_id,
                partner_id,
                granted,
                granted,
                warehouse_code,
                warehouse_code,
                batch_number,
                batch_number,
            ],
        )
        names = [column.name for column in cursor.description or []]
        return [Position(**dict(zip(names, row, strict=True))) for row in cursor.fetchall()]


KEEPING = """
    SELECT DISTINCT other.id
      FROM stock_reservationline line
      JOIN stock_allocation kept ON kept.line_id = line.id AND kept.quantity > kept.consumed + kept.freed
      JOIN stock_level level ON level.id = kept.level_id
      JOIN stock_location bin ON bin.id = level.location_id
      JOIN stock_level other ON other.variant_id = level.variant_id AND other.condition = level.condition
       AND other.batch_id IS NOT DISTINCT FROM level.batch_id AND other.owner_id IS NOT DISTINCT FROM level.owner_id
      JOIN stock_location beside ON beside.id = other.location_id AND beside.warehouse_id = bin.warehouse_id
     WHERE line.reservation_id = %s
"""


def levels_keeping(*, reservation_id: int) -> set[int]:
    """The levels that keep units for a reservation, and the other bins a move could take these promises to.

    One query, by the reservation's lines and the index level_one_per_place.
    """
    with connection.cursor() as cursor:
        cursor.execute(KEEPING, [reservation_id])
        return {row[0] for row in cursor.fetchall()}


def on_hand_of_lines(line_ids: Iterable[int]) -> dict[int, int]:
    """What the book says now of the places of these lines of counts. One query, index level_one_per_place."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT line.id, level.on_hand
              FROM stock_countline line
              JOIN stock_level level ON level.variant_id = line.variant_id AND level.location_id = line.location_id
               AND level.batch_id IS NOT DISTINCT FROM line.batch_id AND level.condition = line.condition
               AND level.owner_id IS NOT DISTINCT FROM line.owner_id
             WHERE line.id = ANY(%s)
            """,
            [list(line_ids)],
        )
        return dict(cursor.fetchall())


LEVELS_AND_LEDGER = """
    WITH sides AS (
        SELECT variant_id, batch_id, owner_id, to_location_id AS location_id, to_condition AS condition, quantity
          FROM stock_movement WHERE to_location_id > 0
        UNION ALL
        SELECT variant_id, batch_id, owner_id, from_location_id, from_condition, -quantity
          FROM stock_movement WHERE from_location_id > 0
    ), booked AS (
        SELECT variant_id, batch_id, owner_id, location_id, condition, sum(quantity) AS on_hand
          FROM sides GROUP BY 1, 2, 3, 4, 5
    ), promised AS (
        SELECT level_id, sum(quantity - consumed - freed) AS reserved
          FROM stock_allocation WHERE quantity > consumed + freed GROUP BY 1
    )
    SELECT level.id, coalesce(level.variant_id, booked.variant_id), level.on_hand, booked.on_hand,
           level.reserved, promised.reserved
      FROM stock_level level
      FULL JOIN booked ON booked.variant_id = level.variant_id AND booked.location_id = level.location_id
       AND coalesce(booked.batch_id, 0) = coalesce(level.batch_id, 0) AND booked.condition = level.condition
       AND coalesce(booked.owner_id, 0) = coalesce(level.owner_id, 0)
      FULL JOIN promised ON promised.level_id = level.id
     WHERE coalesce(level.on_hand, 0) <> coalesce(booked.on_hand, 0)
        OR coalesce(level.reserved, 0) <> coalesce(promised.reserved, 0)
        OR level.id IS NULL
     ORDER BY 1 LIMIT %s
"""
ORPHANS = """
    SELECT 'movement ' || m.id FROM stock_movement m
     WHERE NOT EXISTS (SELECT FROM catalog_variant v WHERE v.id = m.variant_id)
        OR NOT EXISTS (SELECT FROM stock_location l WHERE l.id = m.from_location_id)
        OR NOT EXISTS (SELECT FROM stock_location l WHERE l.id = m.to_location_id)
        OR (m.batch_id IS NOT NULL AND NOT EXISTS (SELECT FROM stock_batch b WHERE b.id = m.batch_id))
    UNION ALL
    SELECT 'reservation ' || r.public_id FROM stock_reservation r
     WHERE r.partner_id IS NOT NULL AND NOT EXISTS (SELECT FROM partners_partner p WHERE p.id = r.partner_id)
    UNION ALL
    SELECT 'reservation ' || r.public_id || ' is ' || r.state || ' and still holds stock' FROM stock_reservation r
     WHERE r.state <> 'open' AND EXISTS (
         SELECT FROM stock_reservationline line JOIN stock_allocation a ON a.line_id = line.id
          WHERE line.reservation_id = r.id AND a.quantity > a.consumed + a.freed)
     LIMIT %s
"""
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


def prove_ledger(*, limit: int = 20) -> Proof:
    """Compare levels with the ledger and reserved with the open allocations, transfers with the road.

    Set-based, each comparison in one snapshot; reads all movements, five queries. Finds, never repairs.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT (SELECT count(*) FROM stock_movement), (SELECT count(*) FROM stock_level)")
        movements, levels = cursor.fetchone()
        cursor.execute(LEVELS_AND_LEDGER, [limit])
        differences = [
            f"level {level_id} (variant {variant_id}): on hand {on_hand}, ledger {booked or 0};"
            f" reserved {reserved}, promised {promised or 0}"
            for level_id, variant_id, on_hand, booked, reserved, promised in cursor.fetchall()
        ]
        cursor.execute(ORPHANS, [limit])
        differences += [row[0] for row in cursor.fetchall()]
    differences += serials.differences()
    differences += in_transit_differences(limit=limit)
    return Proof(movements=movements, levels=levels, differences=differences)


def in_transit_differences(*, limit: int = 20) -> list[str]:
    """Transfers of which the ledger has another number on the road than their lines say. One query."""
    road = Location.VIRTUAL_IDS[Location.Kind.IN_TRANSIT]
    with connection.cursor() as cursor:
        cursor.execute(IN_TRANSIT, [road, road, limit])
        return [
            f"transfer {number} ({sku}{f', batch {batch}' if batch else ''}): {said} on the road, ledger {booked}"
            for number, sku, batch, said, booked in cursor.fetchall()
        ]
