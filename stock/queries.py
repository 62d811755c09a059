"""Readings of the stock book. Each says what it costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q, Sum

from catalog.models import Variant
from partners import prepared
from partners.models import Partner
from stock.allocation import Candidate
from stock.models.level import FROM_SQL, SELLABLE_SQL, Level
from stock.models.ownership import GRANTED_SQL
from stock.models.stock_import import Acknowledged, StampedDeparture, StockImport, StockImportRange


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
     WHERE level.variant_id = ANY({prepared.BIGINTS}) AND level.on_hand > level.reserved AND {SELLABLE_SQL}
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


# What is promised is looked up first: without fresh statistics the planner would begin with all levels there are.
KEEPING = """
    WITH keeping AS MATERIALIZED (
        SELECT DISTINCT kept.level_id
          FROM stock_reservationline line
          JOIN stock_allocation kept ON kept.line_id = line.id AND kept.quantity > kept.consumed + kept.freed
         WHERE line.reservation_id = ANY(%s)
    )
    SELECT DISTINCT other.id
      FROM keeping
      JOIN stock_level level ON level.id = keeping.level_id
      JOIN stock_location bin ON bin.id = level.location_id
      JOIN stock_level other ON other.variant_id = level.variant_id AND other.condition = level.condition
       AND other.batch_id IS NOT DISTINCT FROM level.batch_id AND other.owner_id IS NOT DISTINCT FROM level.owner_id
      JOIN stock_location beside ON beside.id = other.location_id AND beside.warehouse_id = bin.warehouse_id
"""


def levels_keeping(*, reservation_ids: Iterable[int]) -> set[int]:
    """The levels that keep units for these reservations, and the other bins a move could take the promises to.

    One query, by the reservations' lines and the index level_one_per_place.
    """
    with connection.cursor() as cursor:
        cursor.execute(KEEPING, [list(reservation_ids)])
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


def held(variant_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """What is on hand and reserved of each product, wherever it lies. One query, index level_one_per_place."""
    rows = Level.objects.filter(variant__in=variant_ids).order_by().values_list("variant")
    return {
        variant_id: {"onHand": int(on_hand), "reserved": int(reserved)}
        for variant_id, on_hand, reserved in rows.annotate(Sum("on_hand"), Sum("reserved"))
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class LineShown:
    """A line of a reservation, or a component of its kit; allocations are (warehouse, batch number, quantity)."""

    sku: str
    quantity: int
    allocations: list[tuple[str, str | None, int]]
    components: list[LineShown]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReservationShown:
    public_id: UUID
    reference: str
    channel: str
    state: str
    expires_at: datetime | None
    version: int
    lines: list[LineShown]


SHOWN = """
    SELECT reservation.public_id, reservation.reference, reservation.channel, reservation.state,
           reservation.expires_at, reservation.version, line.id, line.kit_line_id, variant.sku, line.quantity,
           warehouse.code, batch.number, allocation.quantity
      FROM stock_reservation reservation
      JOIN stock_reservationline line ON line.reservation_id = reservation.id
      JOIN catalog_variant variant ON variant.id = line.variant_id
      LEFT JOIN stock_allocation allocation ON allocation.line_id = line.id
      LEFT JOIN stock_level level ON level.id = allocation.level_id
      LEFT JOIN stock_location location ON location.id = level.location_id
      LEFT JOIN stock_warehouse warehouse ON warehouse.id = location.warehouse_id
      LEFT JOIN stock_batch batch ON batch.id = level.batch_id
     WHERE reservation.public_id = ANY(CAST((SELECT %s::uuid[]) AS uuid[]))
     ORDER BY line.id, allocation.id
"""


def reservations_as_shown(public_ids: Iterable[UUID]) -> dict[UUID, ReservationShown]:
    """Reservations with all that their owners are shown, by public id. One query, prepared, for the hot path."""
    return as_shown(prepared.fetch(*showing(public_ids)))


def showing(public_ids: Iterable[UUID]) -> prepared.Step:
    """The query of `reservations_as_shown`, for who asks more in the same trip; its rows go to `as_shown`."""
    return SHOWN, ["{" + ",".join(map(str, public_ids)) + "}"]


def as_shown(rows: prepared.Rows) -> dict[UUID, ReservationShown]:
    found: dict[UUID, ReservationShown] = {}
    lines: dict[int, LineShown] = {}
    for (
        public_id, reference, channel, state, expires_at, version, line_id, kit_line_id, sku, quantity, code,
        batch_number, held,
    ) in rows:  # fmt: skip
        shown = found.get(public_id)
        if shown is None:
            shown = found[public_id] = ReservationShown(
                public_id=public_id, reference=reference, channel=channel, state=state, expires_at=expires_at,
                version=version, lines=[],
            )  # fmt: skip
        line = lines.get(line_id)
        if line is None:
            line = lines[line_id] = LineShown(sku=sku, quantity=quantity, allocations=[], components=[])
            # A kit's line is older than those of its components.
            (lines[kit_line_id].components if kit_line_id else shown.lines).append(line)
        if code is not None:
            line.allocations.append((code, batch_number, held))
    return found


def available_at(places: Sequence[tuple[str, str, str | None]]) -> dict[tuple[str, str, str | None], int]:
    """On hand less reserved of what may be sold now, at each (product, warehouse, owner). One query.

    A place that exists and has no such level has nothing; index level_one_per_place.
    """
    if not places:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT asked.sku, asked.warehouse, asked.owner, coalesce(sum(level.on_hand - level.reserved) FILTER (
                       WHERE {SELLABLE_SQL} AND level.owner_id IS NOT DISTINCT FROM owner.id), 0)::bigint
              FROM unnest(%s::text[], %s::text[], %s::text[]) AS asked (sku, warehouse, owner)
              JOIN catalog_variant variant ON variant.sku = asked.sku
              JOIN stock_warehouse warehouse ON warehouse.code = asked.warehouse
              LEFT JOIN partners_partner owner ON owner.code = asked.owner
              LEFT JOIN (stock_level level JOIN stock_location location ON location.id = level.location_id)
                ON level.variant_id = variant.id AND location.warehouse_id = warehouse.id
              LEFT JOIN stock_batch batch ON batch.id = level.batch_id
             GROUP BY 1, 2, 3
            """,
            [database_now(), 0, *(list(column) for column in zip(*places, strict=True))],
        )
        return {(sku, warehouse, owner): quantity for sku, warehouse, owner, quantity in cursor.fetchall()}


SLICE_BYTES = 1 << 20


def stock_import_content(*, import_id: int) -> Iterator[bytes]:
    """The file a stock import waits with, a slice at a time: a query each."""
    start = 1
    with connection.cursor() as cursor:
        while True:
            cursor.execute(
                "SELECT substring(file_content FROM %s FOR %s) FROM stock_stockimport WHERE id = %s",
                [start, SLICE_BYTES, import_id],
            )
            piece = bytes(cursor.fetchone()[0] or b"")
            if not piece:
                return
            yield piece
            start += SLICE_BYTES


STOCK_IMPORTS_AT_ONCE = 20


def stock_imports_waiting() -> list[StockImport]:
    """Imports whose files are to be read or that were started, the oldest first. One query, index
    stock_import_at_work."""
    to_read = Q(state="created", taken_in_at=None)
    rows = StockImport.objects.filter(to_read | Q(state="running")).defer("file_content")
    return list(rows.order_by("pk")[:STOCK_IMPORTS_AT_ONCE])


def is_stock_import_behind(stock_import: StockImport) -> bool:
    """Whether one that was started earlier is at work on one of its warehouses. One query."""
    earlier = StockImport.objects.filter(state="running", taken_in_at__isnull=False).filter(
        Q(started_at__lt=stock_import.started_at) | Q(started_at=stock_import.started_at, pk__lt=stock_import.pk)
    )
    halls = StockImportRange.objects.filter(stock_import=stock_import).values("warehouse")
    return earlier.filter(ranges__warehouse__in=halls).exists()


def acknowledged_end(*, warehouse_id: int, partner: Partner | None) -> int:
    """The end of the last range a sender's applied import had for a warehouse; 0 before the first. One query."""
    row = Acknowledged.objects.filter(partner=partner, warehouse=warehouse_id).first()
    return row.through if row else 0


def acknowledged_through(*, warehouse_id: int, partner: Partner | None) -> int:
    """The timestamp up to which everything that left a warehouse is contained in a sender's numbers, so that its next
    range begins behind it: the end of its last range, or before the first thing that left in it and was not stated.
    Two queries."""
    through = acknowledged_end(warehouse_id=warehouse_id, partner=partner)
    left = StampedDeparture.objects.filter(warehouse=warehouse_id, contained_in=None, logical_timestamp__lte=through)
    if partner:
        left = left.filter(variant__in=Variant.objects.for_partner(partner))
    first = left.order_by("logical_timestamp").values_list("logical_timestamp", flat=True).first()
    return through if first is None else first - 1


def last_stated(spots: Sequence[tuple[int, int, int | None]]) -> dict[tuple[int, int, int | None], tuple[int, int]]:
    """Through which timestamp, and by which import, places (variant, warehouse, batch) were stated last. One query."""
    if not spots:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT last.variant_id, last.warehouse_id, last.batch_id, last.through, last.stated_by_id
              FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS place (variant_id, warehouse_id, batch_id)
              JOIN stock_laststated last ON last.variant_id = place.variant_id
               AND last.warehouse_id = place.warehouse_id AND last.batch_id IS NOT DISTINCT FROM place.batch_id
            """,
            [list(column) for column in zip(*spots, strict=True)],
        )
        return {(row[0], row[1], row[2]): (row[3], row[4]) for row in cursor.fetchall()}
