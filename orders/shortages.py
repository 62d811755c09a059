"""The shortage desk: whose goods are not there, who is served first, and what could be done about it.

An order line is short of what is ordered, not shipped, not promised, and not put off with the customer's leave to a
day that has not passed. Whatever took the promise away (a recall, a count, damage, a short pick), it shows here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import connection
from django.db.models import Sum

from catalog import interchange
from catalog.models import KitComponent, Variant
from orders.models import OrderLine
from partners.models import Partner
from stock import queries
from stock.models import Inbound

LINES_MAX = 500

# A kit lacks as many as its scarcest component does. The rank is the place in the queue by which
# `operations.backorders` gives out what comes in.
SHORT = """
    WITH leaf AS (
        SELECT line.id, line.variant_id, coalesce(part.quantity / kit.quantity, 1) AS each,
               line.quantity - line.shipped AS wanted,
               coalesce((SELECT sum(kept.quantity - kept.consumed - kept.freed)
                           FROM stock_allocation kept WHERE kept.line_id = part.id), 0) AS promised
          FROM orders_order placed
          JOIN orders_orderline line ON line.order_id = placed.id AND line.shipped < line.quantity
          LEFT JOIN stock_reservationline part
                 ON part.reservation_id = placed.reservation_id
                AND (part.kit_line_id = line.reservation_line_id
                     OR part.id = line.reservation_line_id
                    AND NOT EXISTS (SELECT FROM stock_reservationline inner_ WHERE inner_.kit_line_id = part.id))
          LEFT JOIN stock_reservationline kit ON kit.id = part.kit_line_id
         WHERE placed.status IN ('pending', 'confirmed', 'packed')
           AND (%(lines)s::bigint[] IS NULL OR line.id = ANY(%(lines)s::bigint[]))
    ), waiting AS (
        SELECT id, variant_id, max(ceil((wanted * each - promised)::numeric / each))::bigint AS missing
          FROM leaf GROUP BY id, variant_id HAVING bool_or(wanted * each > promised)
    ), short AS (
        SELECT waiting.*, line.order_id, coalesce(put_off.units, 0)::bigint AS put_off, put_off.until,
               coalesce(promise.promise_date, placed.requested_delivery_date) AS promised_on, placed.priority,
               placed.created_at,
               row_number() OVER (PARTITION BY waiting.variant_id
                                      ORDER BY placed.priority DESC, placed.requested_delivery_date NULLS LAST,
                                               placed.created_at, placed.id, line.id) AS rank
          FROM waiting
          JOIN orders_orderline line ON line.id = waiting.id
          JOIN orders_order placed ON placed.id = line.order_id
          LEFT JOIN orders_deliverypromise promise ON promise.order_id = placed.id
          LEFT JOIN LATERAL (
              SELECT sum(quantity) AS units, min(expected_on) AS until FROM orders_remedy
               WHERE order_line_id = waiting.id AND kind = 'backorder' AND expected_on >= %(today)s
          ) put_off ON true
    )
    SELECT id, missing, least(put_off, missing) AS put_off, until, promised_on, rank
      FROM short
     WHERE %(with_put_off)s OR missing > put_off
     ORDER BY priority DESC, promised_on NULLS LAST, rank, created_at, order_id, id
     LIMIT %(limit)s
"""


@dataclass(frozen=True, kw_only=True)
class ShortLine:
    """So many units of an order line nobody has promised: `missing` in all, `put_off` of them until a day.

    `rank` is the line's place among all that wait for its product.
    """

    line: OrderLine
    missing: int
    put_off: int
    put_off_until: date | None
    promised_on: date | None
    rank: int

    @property
    def short(self) -> int:
        return self.missing - self.put_off


def short_lines(
    *,
    today: date,
    line_ids: Iterable[int] | None = None,
    with_put_off: bool = False,
    limit: int = LINES_MAX,
) -> list[ShortLine]:
    """The lines that are short, the most urgent first: by priority, by the day they were promised, by rank.

    Two queries; the first reads the lines of the orders under way (index order_under_way), or `line_ids` alone, and
    those are ranked among themselves then.
    """
    asked = {
        "today": today, "lines": None if line_ids is None else sorted(set(line_ids)), "with_put_off": with_put_off,
        "limit": limit,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(SHORT, asked)
        rows = cursor.fetchall()
    lines = OrderLine.objects.select_related("variant", "order__partner").in_bulk([row[0] for row in rows])
    names = ("missing", "put_off", "put_off_until", "promised_on", "rank")
    return [ShortLine(line=lines[line_id], **dict(zip(names, facts, strict=True))) for line_id, *facts in rows]


@dataclass(frozen=True, kw_only=True)
class Ways:
    """What could be done for a line: units free by warehouse, what comes by day, and what may be sent instead."""

    free: Mapping[str, int]
    coming: Mapping[date, int]
    instead: Mapping[Variant, int]


def ways_out(*, line: OrderLine, at: datetime) -> Ways:
    """What is free for the order's partner, what confirmed supply is to come, and free units of its equivalents.

    As it stands now, before the rules of the promise; the remedy looks again. A kit counts where it is whole. Five
    queries.
    """
    partner = line.order.partner
    free = _free([line.variant_id], partner, at)[line.variant_id]
    others = substitutes(line=line, on=at.date())
    found = _free([other.pk for other in others], partner, at)
    inbound = Inbound.objects.filter(variant=line.variant_id, is_confirmed=True).order_by("expected_on")
    coming = inbound.values_list("expected_on").annotate(Sum("quantity"))
    instead = {other: sum(found[other.pk].values()) for other in others}
    return Ways(free=free, coming=dict(coming), instead={other: units for other, units in instead.items() if units})


def substitutes(*, line: OrderLine, on: date) -> list[Variant]:
    """What may be sent instead of a line's product: successors and equals, as far as who ordered may buy them.

    Successors first, in their chain's order. Two queries.
    """
    ids = [row.other_id for row in interchange.instead_of(variant_ids=[line.variant_id], on=on)]
    known = Variant.objects.stocked().filter(status=Variant.Status.ACTIVE, pk__in=ids)
    for buyer in filter(None, (line.order.partner, line.order.placed_by)):
        known = known.for_partner(buyer)
    found = known.in_bulk()
    return [found[pk] for pk in ids if pk in found]


def _free(variant_ids: list[int], partner: Partner, at: datetime) -> Mapping[int, Mapping[str, int]]:
    """Free units by variant and warehouse; of kits, those that are whole there."""
    parts: dict[int, dict[int, int]] = {pk: {} for pk in variant_ids}
    for part in KitComponent.objects.filter(kit__in=variant_ids):
        parts[part.kit_id][part.component_id] = part.quantity
    parts = {pk: known or {pk: 1} for pk, known in parts.items()}
    lying: dict[tuple[int, str], int] = defaultdict(int)
    for offer in queries.candidates(
        variant_ids={pk for known in parts.values() for pk in known}, partner=partner, at=at
    ):
        lying[offer.variant_id, offer.warehouse_code] += offer.available
    codes = sorted({code for _, code in lying})
    found: dict[int, Any] = {}
    for pk, known in parts.items():
        whole = {code: min(lying.get((part, code), 0) // each for part, each in known.items()) for code in codes}
        found[pk] = {code: units for code, units in whole.items() if units}
    return found
