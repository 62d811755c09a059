"""Readings of a batch's way through the house: where it came from, what it was made into, who got some.

Each says what it costs; every list is bounded, and the totals beside it are not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Q

from stock.models import Batch, Location, Recall

ROWS_MAX = 500


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Units a partner (null: nobody known) was shipped under one reference of its own."""

    partner_id: int | None
    partner_code: str | None
    partner_name: str | None
    reference: str
    quantity: int
    last_at: datetime


@dataclass(frozen=True, kw_only=True)
class Source:
    """Units received of a batch under one reference."""

    reference: str
    quantity: int
    actor: str
    first_at: datetime


@dataclass(frozen=True, kw_only=True)
class Trace:
    """Who got units of a batch and where they came from.

    `shipped` is what the ledger says has left to customers, `traced` the part of it that a promise names a
    holder for, `returned` what came back since.
    """

    holders: list[Holder]
    sources: list[Source]
    received: int
    shipped: int
    traced: int
    returned: int

    @property
    def coverage(self) -> float | None:
        """The share of the shipped units we know the holder of; null where none was shipped."""
        return self.traced / self.shipped if self.shipped else None

    @property
    def percent(self) -> int | None:
        """The same for people, rounded down: 100 only when every unit is known."""
        return 100 * self.traced // self.shipped if self.shipped else None


# Everything that left by a promise: index allocation_gone_by_level. A promise's end is when its last unit left.
HOLDERS = """
    SELECT partner.id AS partner_id, partner.code AS partner_code, partner.name AS partner_name,
           reservation.reference, sum(gone.consumed)::bigint AS quantity,
           max(coalesce(reservation.ended_at, reservation.created_at)) AS last_at
      FROM stock_level level
      JOIN stock_allocation gone ON gone.level_id = level.id AND gone.consumed > 0
      JOIN stock_reservationline line ON line.id = gone.line_id
      JOIN stock_reservation reservation ON reservation.id = line.reservation_id
      LEFT JOIN partners_partner partner ON partner.id = reservation.partner_id
     WHERE level.batch_id = %s
     GROUP BY partner.id, reservation.reference
     ORDER BY partner.code NULLS LAST, last_at DESC, reservation.reference
     LIMIT %s
"""
SOURCES = """
    SELECT reference, sum(quantity)::bigint AS quantity, min(actor) AS actor, min(occurred_at) AS first_at
      FROM stock_movement WHERE batch_id = %s AND kind = 'receipt'
     GROUP BY reference ORDER BY first_at, reference LIMIT %s
"""
TOTALS = """
    SELECT coalesce(sum(quantity) FILTER (WHERE kind = 'receipt'), 0)::bigint,
           coalesce(sum(quantity) FILTER (WHERE kind = 'shipment'), 0)::bigint,
           coalesce(sum(quantity) FILTER (WHERE kind = 'return'), 0)::bigint,
           (SELECT coalesce(sum(gone.consumed), 0)::bigint
              FROM stock_level level JOIN stock_allocation gone ON gone.level_id = level.id AND gone.consumed > 0
             WHERE level.batch_id = %s)
      FROM stock_movement WHERE batch_id = %s
"""


# A conversion is two rows of one reference and moment, into the conversion place and out of it, of two batches of one
# number. From batch to batch, since what was opened may be packed anew. By movement_by_batch and _by_reference.
SAME_GOODS = """
    WITH RECURSIVE same (batch_id) AS (
        SELECT unnest(%s::bigint[])
        UNION
        SELECT other.batch_id
          FROM same
          JOIN stock_batch batch ON batch.id = same.batch_id
          JOIN stock_movement one ON one.batch_id = same.batch_id AND one.kind = 'conversion'
          JOIN stock_movement other ON other.reference = one.reference AND other.reference <> ''
           AND other.kind = 'conversion' AND other.occurred_at = one.occurred_at AND other.reason = one.reason
           AND (other.to_location_id = %s) <> (one.to_location_id = %s)
          JOIN stock_batch twin ON twin.id = other.batch_id AND twin.number = batch.number
    )
    SELECT batch_id FROM same
"""


def same_goods(*, batch_ids: Iterable[int]) -> set[int]:
    """These batches, and those whose packs they were opened from or packed into: the same goods. One query."""
    place = Location.VIRTUAL_IDS[Location.Kind.CONVERSION]
    with connection.cursor() as cursor:
        cursor.execute(SAME_GOODS, [sorted(batch_ids), place, place])
        return {row[0] for row in cursor.fetchall()}


def recalled_with(*, recall: Recall) -> list[Recall]:
    """The recalls of the same goods that were open while this one was. Two queries."""
    batch_ids = same_goods(batch_ids=[recall.batch_id]) - {recall.batch_id}
    others = Recall.objects.filter(Q(closed_at=None) | Q(closed_at__gte=recall.opened_at), batch__in=batch_ids)
    if recall.closed_at:
        others = others.filter(opened_at__lte=recall.closed_at)
    return list(others.order_by("id"))


def trace(*, batch: Batch, limit: int = ROWS_MAX) -> Trace:
    """Who got units of a batch, and where they came from.

    Three queries, by movement_by_batch, the level's batch and allocation_gone_by_level; they read what was
    ever moved of this batch and nothing else.
    """
    with connection.cursor() as cursor:
        cursor.execute(TOTALS, [batch.pk, batch.pk])
        received, shipped, returned, traced = cursor.fetchone()
    return Trace(
        holders=[Holder(**row) for row in _rows(HOLDERS, batch, limit)],
        sources=[Source(**row) for row in _rows(SOURCES, batch, limit)],
        received=received,
        shipped=shipped,
        traced=traced,
        returned=returned,
    )


def _rows(statement: str, batch: Batch, limit: int) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, [batch.pk, limit])
        names = [column.name for column in cursor.description or []]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
