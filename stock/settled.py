"""Up to where the ledger is final: no movement with a lower id will ever appear.

Ids are given before the commit, so a transaction may commit id 90 after everybody has read id 100. Whoever
wants to say "all up to here" must wait for those still writing, as CREATE INDEX CONCURRENTLY does:

1. Read the highest id, H.
2. List the transactions that hold the lock every INSERT takes on the table before it is given an id.
3. Wait until these have ended. Those that begin later get ids above H (the sequence caches none).

Whoever was given an id up to H when H was read had either ended, and is seen by the next statement, or is in the
list. The writers wait for nobody and notice nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

POLL_SECONDS = 0.05

WRITERS = """
    SELECT DISTINCT virtualtransaction FROM pg_locks
     WHERE locktype = 'relation' AND relation = 'stock_movement'::regclass
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND mode = 'RowExclusiveLock' AND granted AND pid IS DISTINCT FROM pg_backend_pid()
"""


def up_to(*, wait_seconds: float) -> int | None:
    """The highest id such that all movements up to it are final; 0 for an empty ledger.

    None when some transaction went on writing for `wait_seconds`; then try again another time.
    """
    until = time.monotonic() + wait_seconds
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(id), 0) FROM stock_movement")
        highest: int = cursor.fetchone()[0]
        cursor.execute(WRITERS)
        waited_for = {row[0] for row in cursor.fetchall()}
        while waited_for:
            if time.monotonic() > until:
                return None
            time.sleep(POLL_SECONDS)
            cursor.execute(WRITERS)
            waited_for &= {row[0] for row in cursor.fetchall()}
    return highest


@contextmanager
def alone(key: int) -> Iterator[bool]:
    """Whether nobody else holds this key; held to the end of the block.

    A lock of the session, since it outlives the transactions within; gone with the connection if we die.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [key])
        [is_alone] = cursor.fetchone()
        try:
            yield is_alone
        finally:
            if is_alone:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [key])
