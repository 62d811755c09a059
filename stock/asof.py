"""What lay where at any moment of the past, exactly, by when things happened and not by when they were booked.

A start plus the movements between it and the moment. Starts are the snapshots, the empty beginning, and today's
levels: these are a snapshot too, of everything booked. From a start that counts the movements up to id P, with
T the moment:

    held at T = start + (id > P and occurred_at <= T) - (id <= P and occurred_at > T)

so a fact booked late, or a month late, is in the right place from any start. Which start is taken changes the
work and never the answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from stock.models import Snapshot

# The places of the empty beginning and of today's levels in the ledger: before any id, and after all.
NOTHING, TODAY = -(2**63), 2**63 - 1

PLACE = "variant_id, batch_id, owner_id, location_id, condition"
HELD = f"""
    WITH changes AS (
        SELECT {PLACE}, sum(CASE WHEN m.id > %(start)s THEN side.quantity ELSE -side.quantity END)::bigint AS quantity
          FROM stock_movement m CROSS JOIN LATERAL (VALUES
              (m.to_location_id, m.to_condition, m.quantity), (m.from_location_id, m.from_condition, -m.quantity)
          ) side (location_id, condition, quantity)
         WHERE {{movements}} AND m.id > %(floor)s AND side.location_id > 0
           AND ((m.id > %(start)s AND m.occurred_at <= %(at)s) OR (m.id <= %(start)s AND m.occurred_at > %(at)s))
         GROUP BY {PLACE}
    )
    SELECT level.id, {{base}} + coalesce(change.quantity, 0)
      FROM stock_level level {{bases}}
      LEFT JOIN changes change ON {{same_place}}
     WHERE {{levels}}
"""
SAME_PLACE = """
    {0}.variant_id = level.variant_id AND {0}.location_id = level.location_id
    AND coalesce({0}.batch_id, 0) = coalesce(level.batch_id, 0) AND {0}.condition = level.condition
    AND coalesce({0}.owner_id, 0) = coalesce(level.owner_id, 0)
"""


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where to count from: everything up to `last_id` is in it. Without a snapshot: today's levels, or nothing."""

    last_id: int
    snapshot_id: int | None = None


def on_hand(*, at: datetime, variant_ids: Iterable[int] | None = None) -> dict[int, int]:
    """What each level of these variants (None: of all) held at that moment, by level id; 0 before it was made.

    Three queries, of which two look up the start. Of a variant only the movements after the last snapshot before
    the moment are read, index movement_by_variant.
    """
    start, floor = choose(at)
    chosen = None if variant_ids is None else sorted(set(variant_ids))
    return _count(start, floor=floor, at=at, variant_ids=chosen)


def choose(at: datetime) -> tuple[Start, int]:
    """The start with the fewest movements between it and the moment, and an id up to which nothing need be read.

    Ids and times mostly rise together, so the movement that happened last before the moment tells about where the
    moment is in the ledger; a late fact can make this a bad guess, which costs time and no truth.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT coalesce((SELECT id FROM stock_movement WHERE occurred_at <= %s
                              ORDER BY occurred_at DESC LIMIT 1), 0),
                   coalesce((SELECT max(id) FROM stock_movement), 0)
            """,
            [at],
        )
        near, newest = cursor.fetchone()
    snapshots = list(Snapshot.objects.order_by("last_id").values_list("id", "last_id", "taken_at"))
    # What a snapshot counts had all happened when it was taken, so none of it lies after a later moment; but a
    # start before it would miss what is left unread.
    floor = max((last_id for _, last_id, taken_at in snapshots if taken_at <= at), default=NOTHING)
    starts = [
        Start(last_id=NOTHING),
        *(Start(last_id=last_id, snapshot_id=snapshot_id) for snapshot_id, last_id, _ in snapshots),
        Start(last_id=TODAY),
    ]
    nearest = min(
        (start for start in starts if start.last_id >= floor),
        key=lambda start: abs(near - min(max(start.last_id, 0), newest)),
    )
    return nearest, floor


def _count(start: Start, *, floor: int, at: datetime, variant_ids: list[int] | None) -> dict[int, int]:
    # Said of each table, since the planner does not carry a list from one to the other.
    of_variants = "true" if variant_ids is None else "{0}.variant_id = ANY(%(variants)s)"
    base, bases = "0", ""
    if start.last_id == TODAY:
        base = "level.on_hand"
    elif start.snapshot_id is not None:
        base = "coalesce(held.on_hand, 0)"
        bases = f"""
            LEFT JOIN stock_snapshotlevel held ON held.snapshot_id = %(snapshot)s
                 AND {of_variants.format("held")} AND {SAME_PLACE.format("held")}
        """
    statement = HELD.format(
        base=base,
        bases=bases,
        movements=of_variants.format("m"),
        levels=of_variants.format("level"),
        same_place=SAME_PLACE.format("change"),
    )
    parameters: dict[str, Any] = {
        "at": at, "start": start.last_id, "floor": floor, "snapshot": start.snapshot_id, "variants": variant_ids,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return dict(cursor.fetchall())
