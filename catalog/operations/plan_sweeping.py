"""Imports that are over give up their rows: what was sent, row by row, is not kept for ever."""

from __future__ import annotations

from datetime import datetime

from django.db import connection, transaction

from catalog import queries
from catalog.operations.plans import State, save

PLANS_MAX = 100
ROWS_MAX = 50_000
"""So many rows go in one run, some seconds' work; what is left goes the next time."""
# One statement, which holds no locks for long.
STATEMENT_ROWS = 5_000
DELETE = """
    DELETE FROM catalog_catalogimportrow
     WHERE id IN (SELECT id FROM catalog_catalogimportrow WHERE plan_id = %s LIMIT %s)
"""


def forget_rows(*, at: datetime) -> int:
    """Give up the rows of imports that are over; how many went.

    One that was never applied, or is taken back, is over `queries.KEPT_DAYS` after somebody last worked on it; a plan
    that still waited becomes outdated. An applied one keeps all its rows as long as it can be undone, for
    `queries.UNDONE_DAYS`. The import itself, its counts and the history of its products stay. Imports somebody works
    on, or plans anew from, wait for the next run. Called again it goes on where it stopped.
    """
    _close(at)
    left = ROWS_MAX
    for plan_id in queries.imports_forgotten()[:PLANS_MAX]:
        while left > 0 and (gone := _delete(plan_id, min(left, STATEMENT_ROWS))):
            left -= gone
    return ROWS_MAX - left


@transaction.atomic
def _close(at: datetime) -> None:
    """Say that they are over, before the first row goes. Locks them, those nobody else has."""
    over = queries.imports_over(at=at).order_by("pk")[:PLANS_MAX]
    ids = [plan.pk for plan in over.select_for_update(no_key=True, skip_locked=True, of=("self",)).only("pk")]
    # Under the locks nobody begins to plan anew from their rows; who had begun before is seen now.
    for plan in queries.imports_over(at=at).filter(pk__in=ids).defer("file_content"):
        if plan.state == State.PLANNED:
            why = f"Nobody applied it within {queries.KEPT_DAYS} days. Send it again."
            save(plan=plan, forgotten_at=at, state=State.OUTDATED, reason=why)
        else:
            save(plan=plan, forgotten_at=at)


def _delete(plan_id: int, count: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(DELETE, [plan_id, count])
        return int(cursor.rowcount)
