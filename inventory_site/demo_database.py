"""Whose content is in the database: the demo's own, which may be thrown away, or somebody's.

The mark is a comment on the schema `public`, so it goes wherever the content goes.
"""

from __future__ import annotations

from enum import StrEnum

from django.db import connection, transaction

from partners.models import Partner

MARK = "Backstock demo content"


class State(StrEnum):
    EMPTY = "empty"
    PARTIAL = "partial"  # loading was interrupted
    LOADED = "loaded"
    FOREIGN = "foreign"  # somebody else's: never emptied, and nothing is added


def state() -> State:
    """As it is now; a database without our tables is empty."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(obj_description(to_regnamespace('public')), '')")
        note: str = cursor.fetchone()[0]
        if note.startswith(MARK):
            return State(note.removeprefix(f"{MARK}: "))
        cursor.execute("SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = 'public')")
        has_tables: bool = cursor.fetchone()[0]
        cursor.execute("SELECT to_regclass('partners_partner') IS NOT NULL")
        is_ours: bool = cursor.fetchone()[0]
    if not has_tables:
        return State.EMPTY
    return State.FOREIGN if not is_ours or Partner.objects.exists() else State.EMPTY


def mark(new: State) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"COMMENT ON SCHEMA public IS '{MARK}: {new.value}'")


@transaction.atomic
def empty() -> None:
    """Drop every table and the queue; the caller has made sure that it is the demo's."""
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA IF EXISTS pgmq CASCADE")
        cursor.execute("DROP SCHEMA public CASCADE")
        cursor.execute("CREATE SCHEMA public")
