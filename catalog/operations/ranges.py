"""Numbers that types let partners ask for from and to get an index each, made without stopping anybody.

The index over all attributes answers what is equal, not what lies between. So each attribute declared a number
with `x-filter` by the newest schema of any type gets one over its own values, kept for as long as it is declared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection
from psycopg import sql

from catalog import queries
from catalog.schema_check import FILTERS_MAX

PREFIX = "variant_range_"
# Each costs every write of a product a little; the types share them where they use the same names.
INDEXES_MAX = 2 * FILTERS_MAX

THERE = """
    SELECT class.relname, index.indisvalid
      FROM pg_index index JOIN pg_class class ON class.oid = index.indexrelid
     WHERE index.indrelid = 'catalog_variant'::regclass AND class.relname LIKE 'variant\\_range\\_%'
"""
# As jsonb, which orders numbers among themselves and apart from everything else: no cast can fail.
MAKE = sql.SQL(
    "CREATE INDEX CONCURRENTLY {name} ON catalog_variant ((attributes -> {attribute}))"
    " WHERE (attributes -> {attribute}) IS NOT NULL"
)
DROP = sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {name}")
# How the values are spread: of an index over some rows only, the planner does not take it.
SPREAD = sql.SQL("CREATE STATISTICS IF NOT EXISTS {name} ON (attributes -> {attribute}) FROM catalog_variant")
NO_SPREAD = sql.SQL("DROP STATISTICS IF EXISTS {name}")


def index_ranges(*, progress: Callable[[str], Any] = lambda said: None) -> tuple[int, int]:
    """Make the indexes that are missing and drop those nobody declares any more; how many of each.

    Must not run in a transaction: it waits for writers, and they do not wait for it. What broke off halfway is
    made again by the next call; twice does nothing more, and nothing while another is at it: an index half made by
    that one looks like one that broke off.
    """
    with _alone() as is_alone:
        return _index_ranges(progress) if is_alone else (0, 0)


@contextmanager
def _alone() -> Iterator[bool]:
    """Whether nobody else makes or drops these indexes meanwhile; asked of the connection, for there is no transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext('catalog.ranges'))")
        [is_alone] = cursor.fetchone()
        try:
            yield is_alone
        finally:
            if is_alone:
                cursor.execute("SELECT pg_advisory_unlock(hashtext('catalog.ranges'))")


def _index_ranges(progress: Callable[[str], Any]) -> tuple[int, int]:
    known = queries.newest_schemas().newest.values()
    attributes = sorted({name for _, validator in known for name in validator.ranges})[:INDEXES_MAX]
    wanted = {index_name(attribute): attribute for attribute in attributes}
    with connection.cursor() as cursor:
        cursor.execute(THERE)
        there: dict[str, bool] = dict(cursor.fetchall())
        dropped = [name for name, is_valid in there.items() if name not in wanted or not is_valid]
        for name in dropped:
            progress(f"dropping {name}")
            cursor.execute(DROP.format(name=sql.Identifier(name)))
            cursor.execute(NO_SPREAD.format(name=sql.Identifier(name)))
        made = [name for name in wanted if not there.get(name)]
        for name in made:
            progress(f"indexing attributes.{wanted[name]}")
            parts = {"name": sql.Identifier(name), "attribute": sql.Literal(wanted[name])}
            cursor.execute(SPREAD.format(**parts))
            cursor.execute(MAKE.format(**parts))
        if made:
            cursor.execute("ANALYZE catalog_variant")
    return len(made), len(dropped)


def index_name(attribute: str) -> str:
    """Short and plain, whatever the attribute is called."""
    return PREFIX + hashlib.sha256(attribute.encode()).hexdigest()[:16]
