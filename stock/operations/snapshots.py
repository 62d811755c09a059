"""Snapshots of the ledger are taken, so that a look far back need not count from the beginning."""

from __future__ import annotations

from datetime import datetime

from django.db import connection, transaction

from stock import settled

# A writer that takes longer is waited for the next time.
WAIT_SECONDS = 20.0

# `taken_at` is never before anything counted happened: who asks for a later moment may leave all of it unread.
SNAPSHOT = """
    INSERT INTO stock_snapshot (last_id, taken_at)
    SELECT %(up_to)s, greatest(%(at)s, (SELECT max(occurred_at) FROM stock_movement WHERE id <= %(up_to)s))
    ON CONFLICT DO NOTHING RETURNING id
"""
LEVELS = """
    WITH before AS (SELECT id, last_id FROM stock_snapshot WHERE last_id < %(up_to)s ORDER BY last_id DESC LIMIT 1),
    moved AS (
        SELECT * FROM stock_movement
         WHERE id > coalesce((SELECT last_id FROM before), -9223372036854775808) AND id <= %(up_to)s
    ), sides AS (
        SELECT variant_id, location_id, batch_id, condition, owner_id, on_hand AS quantity
          FROM stock_snapshotlevel WHERE snapshot_id = (SELECT id FROM before)
        UNION ALL
        SELECT variant_id, to_location_id, batch_id, to_condition, owner_id, quantity FROM moved WHERE to_location_id > 0
        UNION ALL
        SELECT variant_id, from_location_id, batch_id, from_condition, owner_id, -quantity
          FROM moved WHERE from_location_id > 0
    )
    INSERT INTO stock_snapshotlevel (snapshot_id, variant_id, location_id, batch_id, condition, owner_id, on_hand)
    SELECT %(snapshot)s, variant_id, location_id, batch_id, condition, owner_id, sum(quantity)
      FROM sides GROUP BY 2, 3, 4, 5, 6 HAVING sum(quantity) <> 0 ORDER BY variant_id
"""


def take_snapshot(*, at: datetime, wait_seconds: float = WAIT_SECONDS) -> int | None:
    """Write down what every place holds by the movements that are final now; the number of places.

    Counts on from the snapshot before. Takes no lock a booking would wait for. None, and nothing done, when
    nothing was booked since the last one, or some transaction went on writing for `wait_seconds`.
    """
    up_to = settled.up_to(wait_seconds=wait_seconds)
    return _write(up_to=up_to, at=at) if up_to else None


@transaction.atomic
def _write(*, up_to: int, at: datetime) -> int | None:
    with connection.cursor() as cursor:
        cursor.execute(SNAPSHOT, {"up_to": up_to, "at": at})
        made = cursor.fetchone()  # who comes second waits for the unique id here, and gets nothing
        if made is None:
            return None
        cursor.execute(LEVELS, {"up_to": up_to, "snapshot": made[0]})
        places: int = cursor.rowcount
    return places
