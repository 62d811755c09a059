"""Statements of the hot path, planned once per connection by PostgreSQL itself.

Planning the large statements costs more than running them, so these go through a cursor that binds and
prepares on the server; everything else uses Django's. Behind a pooler that shares connections between
transactions set DATABASE_PREPARE=0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
from django.db import connection


def fetch(statement: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    """All rows of a statement, run in whatever transaction the connection is in."""
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        return cursor.execute(statement, parameters).fetchall()


def bigints(numbers: Iterable[int | None]) -> str:
    """An array as a literal: one type whatever the numbers' size, so that there is one plan."""
    return "{" + ",".join("NULL" if number is None else str(number) for number in numbers) + "}"
