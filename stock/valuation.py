"""What the stock is worth, how old it is, and what left for how much; and the proof that it adds up.

Every figure is as of `valued_up_to()`: the follower (`operations.valuing`) comes after the ledger.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import connection

from stock import costing
from stock.models import CostPool, ValuedUpTo

AGES = (30, 60, 90, 180)
"""Days up to which each bucket goes; the last has no end."""

# Layers less draws, with what came later, as they had been recorded at a moment.
WORTH_AT = """
    WITH changes AS (
        SELECT variant_id, warehouse_id, quantity, value FROM stock_costlayer
         WHERE recorded_at <= %(at)s AND {of_variants}
        UNION ALL
        SELECT layer.variant_id, layer.warehouse_id, -draw.quantity, -draw.value
          FROM stock_costdraw draw JOIN stock_costlayer layer ON layer.id = draw.layer_id
         WHERE draw.recorded_at <= %(at)s AND {of_variants}
        UNION ALL
        SELECT layer.variant_id, layer.warehouse_id, 0, landing.amount
          FROM stock_costlanding landing JOIN stock_costlayer layer ON layer.id = landing.layer_id
         WHERE landing.recorded_at <= %(at)s AND layer.{of_variants}
    )
    SELECT variant_id, warehouse_id, sum(quantity)::bigint, sum(value) FROM changes
     GROUP BY 1, 2 HAVING sum(quantity) <> 0 OR sum(value) <> 0 ORDER BY 1, 2
"""
AGED = """
    SELECT pool.variant_id, pool.warehouse_id, pool.quantity, pool.value, book.method = 'average',
           (SELECT count(*) FROM unnest(%(ages)s::int[]) AS age WHERE %(on)s - layer.acquired_at::date > age) AS bucket,
           sum(layer.left_quantity)::bigint, sum(layer.left_value)
      FROM stock_costpool pool
      JOIN stock_costbook book ON book.variant_id = pool.variant_id
      JOIN stock_costlayer layer ON layer.variant_id = pool.variant_id AND layer.left_quantity > 0
       AND layer.warehouse_id IS NOT DISTINCT FROM pool.warehouse_id
     WHERE {of_variants}
     GROUP BY pool.id, book.method, bucket ORDER BY pool.variant_id, pool.warehouse_id, bucket
"""
COST_OF_GOODS = """
    SELECT m.reference, m.variant_id, sum(draw.quantity)::bigint, sum(draw.value)
      FROM stock_movement m JOIN stock_costdraw draw ON draw.movement_id = m.id AND draw.revaluation_id IS NULL
     WHERE m.reference = ANY(%s) AND m.kind = 'shipment' GROUP BY 1, 2
"""
# What came and went by the ledger's own units, and by value: what came in from outside, with what came later and
# what was set by hand, less what went out of the house, is what lies there.
DIFFERENCES = """
    WITH ledger AS (
        SELECT m.variant_id, place.warehouse_id, sum(side.quantity)::bigint AS quantity
          FROM stock_movement m CROSS JOIN LATERAL (VALUES
              (m.to_location_id, m.quantity), (m.from_location_id, -m.quantity)) side (location_id, quantity)
          JOIN stock_location place ON place.id = side.location_id AND place.id > 0
         WHERE m.owner_id IS NULL AND m.id <= (SELECT movement_id FROM stock_valuedupto)
         GROUP BY 1, 2
    ), laid AS (
        SELECT layer.variant_id, layer.warehouse_id, sum(layer.quantity - coalesce(drawn.quantity, 0))::bigint AS quantity,
               sum(layer.value - coalesce(drawn.value, 0) + coalesce(landed.amount, 0)) AS value,
               bool_or(layer.left_quantity <> layer.quantity - coalesce(drawn.quantity, 0)) AS is_wrong
          FROM stock_costlayer layer
          LEFT JOIN LATERAL (SELECT sum(quantity) AS quantity, sum(value) AS value FROM stock_costdraw
                              WHERE layer_id = layer.id) drawn ON true
          LEFT JOIN LATERAL (SELECT sum(amount) AS amount FROM stock_costlanding
                              WHERE layer_id = layer.id) landed ON true
         GROUP BY 1, 2
    )
    SELECT coalesce(pool.variant_id, ledger.variant_id, laid.variant_id) AS variant_id,
           coalesce(pool.warehouse_id, ledger.warehouse_id, laid.warehouse_id) AS warehouse_id,
           coalesce(ledger.quantity, 0), coalesce(pool.quantity, 0), coalesce(laid.quantity, 0),
           coalesce(pool.value, 0), coalesce(laid.value, 0), coalesce(laid.is_wrong, false)
      FROM stock_costpool pool
      FULL JOIN ledger ON ledger.variant_id = pool.variant_id AND ledger.warehouse_id = pool.warehouse_id
      FULL JOIN laid ON laid.variant_id = pool.variant_id
                    AND coalesce(laid.warehouse_id, 0) = coalesce(pool.warehouse_id, 0)
     WHERE (ledger.quantity IS DISTINCT FROM pool.quantity AND pool.warehouse_id IS NOT NULL
            AND coalesce(ledger.quantity, 0) <> coalesce(pool.quantity, 0))
        OR (pool.id IS NULL AND coalesce(ledger.quantity, 0) <> 0)
        OR coalesce(laid.quantity, 0) <> coalesce(pool.quantity, 0) OR coalesce(laid.value, 0) <> coalesce(pool.value, 0)
        OR laid.is_wrong
     ORDER BY 1, 2 LIMIT %s
"""


@dataclass(frozen=True, kw_only=True)
class Worth:
    """So many units of a product in a warehouse (None: on the road), worth so much."""

    variant_id: int
    warehouse_id: int | None
    quantity: int
    value: Decimal


@dataclass(frozen=True, kw_only=True)
class Aged(Worth):
    """A part of them that is up to so many days old; None: older than all bounds."""

    days: int | None


def valued_up_to() -> ValuedUpTo:
    """How far the ledger is valued. One query."""
    return ValuedUpTo.objects.get()


def worth(*, at: datetime | None = None, variant_ids: Iterable[int] | None = None) -> list[Worth]:
    """What lies there and what it is worth, now or as it had been recorded at a moment; nothing that is empty.

    One query: now, of one row for each product and warehouse; of a moment, all layers and draws up to it.
    """
    chosen = None if variant_ids is None else sorted(set(variant_ids))
    if at is None:
        pools = CostPool.objects.exclude(quantity=0, value=0)
        kept = pools if chosen is None else pools.filter(variant__in=chosen)
        rows: Iterable[Any] = kept.values_list("variant", "warehouse", "quantity", "value")
    else:
        statement = WORTH_AT.format(
            of_variants="variant_id IS NOT NULL" if chosen is None else "variant_id = ANY(%(ids)s)"
        )
        with connection.cursor() as cursor:
            cursor.execute(statement, {"at": at, "ids": chosen})
            rows = cursor.fetchall()
    names = ("variant_id", "warehouse_id", "quantity", "value")
    return [Worth(**dict(zip(names, row, strict=True))) for row in rows]


def ageing(*, on: date, variant_ids: Iterable[int] | None = None) -> list[Aged]:
    """What lies there by its age on a day, in buckets of AGES; units that moved are as old as when they came to us.

    Of an average the value is shared out by units. One query, by the open layers.
    """
    chosen = None if variant_ids is None else sorted(set(variant_ids))
    statement = AGED.format(of_variants="true" if chosen is None else "pool.variant_id = ANY(%(ids)s)")
    with connection.cursor() as cursor:
        cursor.execute(statement, {"on": on, "ages": list(AGES), "ids": chosen})
        rows = cursor.fetchall()
    found = []
    done: dict[tuple[int, int | None], tuple[int, Decimal]] = defaultdict(lambda: (0, costing.NOTHING))
    for variant_id, warehouse_id, pool_quantity, pool_value, is_average, bucket, quantity, value in rows:
        if is_average:
            units, given = done[variant_id, warehouse_id]
            value = costing.share(pool_value, units + quantity, pool_quantity) - given
            done[variant_id, warehouse_id] = units + quantity, given + value
        days = AGES[bucket] if bucket < len(AGES) else None
        found.append(Aged(variant_id=variant_id, warehouse_id=warehouse_id, quantity=quantity, value=value, days=days))
    return found


def cost_of_goods(*, references: Iterable[str]) -> dict[tuple[str, int], tuple[int, Decimal]]:
    """Units that left with these shipments and what they cost us, by reference and product. One query.

    What is not valued yet, or was another's, is not there.
    """
    with connection.cursor() as cursor:
        cursor.execute(COST_OF_GOODS, [sorted(set(references))])
        return {(reference, pk): (quantity, value) for reference, pk, quantity, value in cursor.fetchall()}


def differences(*, limit: int = 20) -> list[str]:
    """Where units or values disagree: the ledger, the pools, and the layers less their draws. Nothing: all is well.

    Reads everything; for the night.
    """
    with connection.cursor() as cursor:
        cursor.execute(DIFFERENCES, [limit])
        return [
            f"variant {variant_id} in warehouse {warehouse_id}: the ledger has {units}, the value is of {valued} and the"
            f" layers of {laid} units; worth {value}, by the layers {laid_value}"
            + (", and some layer has another rest than its draws leave" if is_wrong else "")
            for variant_id, warehouse_id, units, valued, laid, value, laid_value, is_wrong in cursor.fetchall()
        ]
