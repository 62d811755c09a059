"""What may be taken instead of a part: its successors down the chain, and its equals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from django.db import connection

from catalog.models import Equivalent

CHAIN_MAX = 50
"""Links of a chain that are followed; no part has been renumbered so often."""

CHAIN = """
    successor (first_id, id, steps) AS (
        SELECT variant_id, other_id, 1 FROM catalog_equivalent
         WHERE relation = 'superseded' AND variant_id = ANY(%(ids)s)
           AND (valid_from IS NULL OR valid_from <= %(on)s)
        UNION
        SELECT successor.first_id, link.other_id, successor.steps + 1
          FROM successor JOIN catalog_equivalent link ON link.variant_id = successor.id
         WHERE link.relation = 'superseded' AND (link.valid_from IS NULL OR link.valid_from <= %(on)s)
           AND successor.steps < %(chain)s
    )
"""
INSTEAD = f"""
    WITH RECURSIVE {CHAIN}, instead (first_id, id, relation, steps) AS (
        SELECT first_id, id, 'superseded', min(steps) FROM successor GROUP BY first_id, id
        UNION ALL
        SELECT variant_id, other_id, relation, 0 FROM catalog_equivalent
         WHERE relation = 'interchangeable' AND variant_id = ANY(%(ids)s)
           AND (valid_from IS NULL OR valid_from <= %(on)s)
        UNION ALL
        SELECT other_id, variant_id, relation, 0 FROM catalog_equivalent
         WHERE relation = 'interchangeable' AND other_id = ANY(%(ids)s)
           AND (valid_from IS NULL OR valid_from <= %(on)s)
        UNION ALL
        SELECT mine.variant_id, equal.variant_id, 'interchangeable', 0
          FROM catalog_interchangemember mine
          JOIN catalog_interchangemember equal
            ON equal.group_id = mine.group_id AND equal.variant_id <> mine.variant_id
         WHERE mine.variant_id = ANY(%(ids)s)
    )
    SELECT DISTINCT ON (first_id, id) first_id, id, relation, steps, NOT EXISTS (
               SELECT FROM catalog_equivalent link
                WHERE link.variant_id = instead.id AND link.relation = 'superseded'
                  AND (link.valid_from IS NULL OR link.valid_from <= %(on)s)) AS is_last
      FROM instead WHERE id <> first_id
     ORDER BY first_id, id, steps DESC
"""  # noqa: S608  the parts are our own


@dataclass(frozen=True, kw_only=True)
class Instead:
    """One product may be taken instead of another; `steps` links down the chain, 0 for an equal."""

    variant_id: int
    other_id: int
    relation: str
    steps: int
    is_last: bool
    """Nothing replaced it that day."""


def instead_of(*, variant_ids: Iterable[int], on: date) -> list[Instead]:
    """What may be taken instead of these products on a day, successors in the chain's order, then equals.

    A chain is followed to its end, over links in force that day. The equals of a successor are not among them: they
    need not fit where the old part did. One query, by the products' links.
    """
    with connection.cursor() as cursor:
        cursor.execute(INSTEAD, {"ids": sorted(set(variant_ids)), "on": on, "chain": CHAIN_MAX})
        rows = cursor.fetchall()
    names = ("variant_id", "other_id", "relation", "steps", "is_last")
    found = [Instead(**dict(zip(names, row, strict=True))) for row in rows]
    return sorted(
        found,
        key=lambda row: (row.variant_id, row.relation != Equivalent.Relation.SUPERSEDED, row.steps, row.other_id),
    )
