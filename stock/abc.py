"""Which products are worth counting often: A, B and C, by the value that was shipped of them."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection

CLASSES = ("A", "B", "C")
DAYS = 90

# A product is in the class its value begins in, so the greatest is always an A. Without a cost a unit weighs 1.
VARIANTS_OF_CLASS = """
    WITH shipped AS (
        SELECT movement.variant_id, sum(movement.quantity * coalesce(variant.unit_cost, 1)) AS value
          FROM stock_movement movement JOIN catalog_variant variant ON variant.id = movement.variant_id
         WHERE movement.kind = 'shipment' AND movement.occurred_at > %(since)s AND movement.occurred_at <= %(at)s
         GROUP BY 1
    ), ranked AS (
        SELECT variant_id, sum(value) OVER (ORDER BY value DESC, variant_id) - value AS before,
               sum(value) OVER () AS total
          FROM shipped WHERE value > 0
    )
    SELECT variant.id FROM catalog_variant variant LEFT JOIN ranked ON ranked.variant_id = variant.id
     WHERE NOT variant.is_parent
       AND %(class)s = CASE WHEN ranked.before < 0.80 * ranked.total THEN 'A'
                            WHEN ranked.before < 0.95 * ranked.total THEN 'B' ELSE 'C' END
     ORDER BY variant.id
"""


def variant_ids(*, abc_class: str, at: datetime, days: int = DAYS) -> list[int]:
    """The products of a class: A is the first 80 % of the value shipped, B the next 15 %, C the rest.

    What never left is a C. One query: it reads the movements of these days (index movement_by_occurrence)
    and every product once.
    """
    with connection.cursor() as cursor:
        cursor.execute(VARIANTS_OF_CLASS, {"class": abc_class, "since": at - timedelta(days=days), "at": at})
        return [row[0] for row in cursor.fetchall()]
