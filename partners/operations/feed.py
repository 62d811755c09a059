"""The relay: gives each committed event its place in the feed.

Writers take an id at INSERT but are seen at COMMIT, so a reader that follows ids skips whoever commits
late. The relay finds events by *state* (no position yet), never by a cursor, and is the only one to
number them; whatever it numbers is committed, and nothing can later appear before it.
"""

from __future__ import annotations

import uuid

from django.db import connection, transaction

from partners.models import Feed

BATCH_MAX = 1_000
LEADER_LOCK = 7_316_001


@transaction.atomic
def relay_events() -> int:
    """Number up to BATCH_MAX waiting events, in the order they were written; return how many.

    One leader at a time: a second relay returns 0 at once. Killed half way, nothing is numbered.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LEADER_LOCK])
        if not cursor.fetchone()[0]:
            return 0
        Feed.objects.get_or_create(id=1)
        cursor.execute(
            """
            WITH fresh AS (
                SELECT id, subject,
                       row_number() OVER (ORDER BY id) AS place,
                       row_number() OVER (PARTITION BY subject ORDER BY id) AS step
                  FROM (SELECT id, subject FROM partners_outboxevent
                         WHERE position IS NULL ORDER BY id LIMIT %(limit)s) waiting
            ), subjects AS (
                INSERT INTO partners_subjectversion (subject, version)
                SELECT subject, count(*) FROM fresh GROUP BY subject
                ON CONFLICT (subject) DO UPDATE SET version = partners_subjectversion.version + excluded.version
                RETURNING subject, version
            ), feed AS (
                UPDATE partners_feed SET head = head + (SELECT count(*) FROM fresh)
                 WHERE id = 1 RETURNING head
            )
            UPDATE partners_outboxevent event
               SET position = feed.head - (SELECT count(*) FROM fresh) + fresh.place,
                   subject_version = subjects.version
                       - (SELECT count(*) FROM fresh f WHERE f.subject = fresh.subject) + fresh.step
              FROM fresh JOIN subjects USING (subject) CROSS JOIN feed
             WHERE event.id = fresh.id
            """,
            {"limit": BATCH_MAX},
        )
        return int(cursor.rowcount)


@transaction.atomic
def begin_epoch() -> uuid.UUID:
    """Start the feed's next epoch after a restore: cursors from before it are answered with 410."""
    feed, _ = Feed.objects.select_for_update().get_or_create(id=1)
    feed.epoch = uuid.uuid4()
    feed.save()
    return feed.epoch
