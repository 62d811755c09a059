"""The ledger is sealed: what was booked can no longer be changed unseen, not even by who owns the database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from stock import seals, settled

BLOCK_ROWS = 10_000
# A writer that takes longer is waited for the next time.
WAIT_SECONDS = 20.0
# One sealer at a time: two would chain to the same root. Any number, the same for all.
SEALER = 0x5EA1

SEAL = f"""
    INSERT INTO stock_seal (root, movement_ids, digests, rows, first_id, last_id, sealed_at)
    SELECT sha256(coalesce((SELECT root FROM stock_seal ORDER BY last_id DESC LIMIT 1), '') || digests),
           ids, digests, rows, first_id, last_id, %(at)s
      FROM (SELECT string_agg(digest, '' ORDER BY id) AS digests, string_agg(int8send(id), '' ORDER BY id) AS ids,
                   count(*) AS rows, min(id) AS first_id, max(id) AS last_id
              FROM (SELECT m.id, {seals.digest_sql("m")} AS digest FROM stock_movement m
                     WHERE m.id > coalesce((SELECT max(last_id) FROM stock_seal), -9223372036854775808)
                       AND m.id <= %(up_to)s
                     ORDER BY m.id LIMIT %(block_rows)s) block) sealed
     WHERE rows > 0
    RETURNING rows
"""


def seal(
    *,
    at: datetime,
    wait_seconds: float = WAIT_SECONDS,
    progress: Callable[[int], Any] = lambda rows: None,
) -> int | None:
    """Seal every movement that is final and not sealed yet; how many that were.

    Takes no lock a booking would wait for. Each block is a transaction of its own: what broke off goes on with
    the next call. None, and nothing done, when another sealer is at work or some transaction went on writing for
    `wait_seconds`.
    """
    with settled.alone(SEALER) as is_alone:
        up_to = settled.up_to(wait_seconds=wait_seconds) if is_alone else None
        if up_to is None:
            return None
        total = 0
        while rows := _seal_block(up_to=up_to, at=at):
            total += rows
            progress(rows)
        return total


@transaction.atomic
def _seal_block(*, up_to: int, at: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(SEAL, {"up_to": up_to, "at": at, "block_rows": BLOCK_ROWS})
        made = cursor.fetchone()
    return made[0] if made else 0
