"""Statements of the hot path, planned once per connection by PostgreSQL itself.

Planning the large statements costs more than running them, so these are prepared on the server; everything else
goes through Django's cursors. They speak libpq through psycopg, without its cursors, which take a third of the
time of the smallest statement. Behind a pooler that shares connections between transactions set
DATABASE_PREPARE=0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections
from psycopg import pq
from psycopg.adapt import PyFormat, Transformer

BIGINTS = "CAST((SELECT %s::bigint[]) AS bigint[])"
"""A place for `bigints` into which the planner cannot look. Where it sees how many there are it hopes to do better by
planning anew each time, and planning costs more than running."""
DONE = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK)


class Line:
    """One connection: what it has prepared, and how it reads and writes values."""

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        self.raw, self.pgconn = raw, raw.pgconn
        self.transformer = Transformer(raw)
        self.names: dict[tuple[str, tuple[int, ...] | None], bytes] = {}
        self.is_preparing = raw.prepare_threshold is not None

    def fetch(self, statement: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        values = self.transformer.dump_sequence(parameters, [PyFormat.TEXT] * len(parameters))
        types = self.transformer.types
        self._begin()
        if self.is_preparing:
            # psycopg's own stub forgets that a value may be null.
            result = self.pgconn.exec_prepared(self._name(statement, types), values)  # type: ignore[arg-type]
        else:
            result = self.pgconn.exec_params(_numbered(statement), values, types)
        self.transformer.set_pgresult(self._checked(result))
        return self.transformer.load_rows(0, result.ntuples, tuple)

    def command(self, statement: str) -> None:
        self._begin()
        self._checked(self.pgconn.exec_(statement.encode()))

    def _begin(self) -> None:
        """As a cursor would, before the first statement of a transaction."""
        if not self.raw.autocommit and self.pgconn.transaction_status == pq.TransactionStatus.IDLE:
            self._checked(self.pgconn.exec_(b"BEGIN"))

    def _name(self, statement: str, types: tuple[int, ...] | None) -> bytes:
        name = self.names.get((statement, types))
        if name is None:
            name = b"backstock_%d" % len(self.names)
            self._checked(self.pgconn.prepare(name, _numbered(statement), types))
            self.names[statement, types] = name
        return name

    def _checked(self, result: pq.abc.PGresult) -> pq.abc.PGresult:
        if result.status in DONE:
            return result
        if self.pgconn.status != pq.ConnStatus.OK:
            raise psycopg.OperationalError("The connection to the database is lost.")
        raise psycopg.errors.error_from_result(result)


def _numbered(statement: str) -> bytes:
    """With PostgreSQL's own placeholders: $1, $2 …"""
    first, *rest = statement.split("%s")
    return (first + "".join(f"${place}{text}" for place, text in enumerate(rest, 1))).encode()


_lines: WeakKeyDictionary[psycopg.Connection[Any], Line] = WeakKeyDictionary()


def fetch(statement: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    """All rows of a statement, run in whatever transaction the connection is in."""
    here = connections[DEFAULT_DB_ALIAS]  # asked for once: Django's own `connection` asks at each word
    with here.wrap_database_errors:
        return _line(here).fetch(statement, parameters)


def command(statement: str) -> None:
    """A statement without values that answers nothing."""
    here = connections[DEFAULT_DB_ALIAS]
    with here.wrap_database_errors:
        _line(here).command(statement)


def _line(here: Any) -> Line:
    if here.connection is None:
        here.ensure_connection()
    raw = here.connection
    line = _lines.get(raw)
    if line is None:
        line = _lines[raw] = Line(raw)
    return line


def bigints(numbers: Iterable[int | None]) -> str:
    """An array as a literal: one type whatever the numbers' size, so that there is one plan."""
    return "{" + ",".join("NULL" if number is None else str(number) for number in numbers) + "}"
