"""Statements of the hot path, planned once per connection by PostgreSQL itself.

Planning the large statements costs more than running them, so these are prepared on the server; everything else
goes through Django's cursors. They speak libpq through psycopg, without its cursors, which take a third of the
time of the smallest statement. Behind a pooler that shares connections between transactions set
DATABASE_PREPARE=0.
"""

from __future__ import annotations

import select
from collections.abc import Iterable, Sequence
from typing import Any, Self
from weakref import WeakKeyDictionary

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections
from psycopg import pq
from psycopg.adapt import PyFormat, Transformer

BIGINTS = "CAST((SELECT %s::bigint[]) AS bigint[])"
"""A place for `bigints` into which the planner cannot look. Where it sees how many there are it hopes to do better by
planning anew each time, and planning costs more than running."""
DONE = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK)
Step = tuple[str, Sequence[Any]]
"""A statement and its parameters."""
Rows = list[tuple[Any, ...]]


class Line:
    """One connection: what it has prepared, and how it reads and writes values."""

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        self.raw, self.pgconn = raw, raw.pgconn
        self.transformer = Transformer(raw)
        self.names: dict[tuple[str, tuple[int, ...] | None], bytes] = {}
        self.is_preparing = raw.prepare_threshold is not None
        self.ready = select.poll()

    def fetch(self, statement: str, parameters: Sequence[Any]) -> Rows:
        values, types = self._dumped(parameters)
        self._begin()
        if self.is_preparing:
            # psycopg's own stub forgets that a value may be null.
            result = self.pgconn.exec_prepared(self._name(statement, types), values)
        else:
            result = self.pgconn.exec_params(_numbered(statement), values, types)
        return self._rows(self._checked(result))

    def fetch_together(self, steps: Sequence[Step]) -> list[Rows]:
        """The rows of each step, all sent at once. Where one fails those after it are not run."""
        self._begin()
        dumped = [(statement, *self._dumped(parameters)) for statement, parameters in steps]
        names = [self._name(statement, types) if self.is_preparing else b"" for statement, _, types in dumped]
        self.pgconn.enter_pipeline_mode()
        try:
            for name, (statement, values, types) in zip(names, dumped, strict=True):
                if name:
                    self.pgconn.send_query_prepared(name, values)
                else:
                    self.pgconn.send_query_params(_numbered(statement), values, types)
            self.pgconn.pipeline_sync()
            self._flush()
            results = [self._next() for _ in steps]
            self._next()  # the end of the pipeline
            self.pgconn.exit_pipeline_mode()
        except BaseException:
            self.raw.close()  # nobody knows what would be answered next
            raise
        return [self._rows(self._checked(result)) for result in results]

    def _flush(self) -> None:
        while self.pgconn.flush():
            self._wait(select.POLLIN | select.POLLOUT)
            self.pgconn.consume_input()

    def _next(self) -> pq.abc.PGresult:
        """The result of the next step, waited for without keeping other threads from running, as libpq's own would."""
        while self.pgconn.is_busy():
            self._wait(select.POLLIN)
            self.pgconn.consume_input()
        result = self.pgconn.get_result()
        if result is None:
            raise psycopg.OperationalError("The connection to the database is lost.")
        if result.status != pq.ExecStatus.PIPELINE_SYNC:
            self.pgconn.get_result()  # the null that ends the results of a step
        return result

    def _wait(self, events: int) -> None:
        self.ready.register(self.pgconn.socket, events)
        self.ready.poll()

    def _dumped(self, parameters: Sequence[Any]) -> tuple[Sequence[Any], tuple[int, ...] | None]:
        values = self.transformer.dump_sequence(parameters, [PyFormat.TEXT] * len(parameters))
        return values, self.transformer.types

    def _rows(self, result: pq.abc.PGresult) -> Rows:
        self.transformer.set_pgresult(result)
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


def fetch(statement: str, parameters: Sequence[Any]) -> Rows:
    """All rows of a statement, run in whatever transaction the connection is in."""
    here = connections[DEFAULT_DB_ALIAS]  # asked for once: Django's own `connection` asks at each word
    with here.wrap_database_errors:
        return _line(here).fetch(statement, parameters)


def fetch_together(*steps: Step) -> list[Rows]:
    """The rows of each of several statements, sent in one trip. Raises what the first that fails says; those after it
    are not run."""
    here = connections[DEFAULT_DB_ALIAS]
    with here.wrap_database_errors:
        return _line(here).fetch_together(steps)


class TwoTrips:
    """A transaction of two trips to the database: one begins it, the other ends it. Left otherwise it is undone.

    Between the two nothing else is to be asked of the database. Within a larger transaction it is a savepoint.
    """

    def __enter__(self) -> Self:
        self.here = connections[DEFAULT_DB_ALIAS]
        self.is_open = False
        self.words = ("BEGIN", "COMMIT", "ROLLBACK")
        if self.here.in_atomic_block:
            self.words = ("SAVEPOINT two_trips", "RELEASE SAVEPOINT two_trips", "ROLLBACK TO SAVEPOINT two_trips")
        return self

    def begin(self, *steps: Step) -> list[Rows]:
        self.is_open = True
        return fetch_together((self.words[0], ()), *steps)[1:]

    def end(self, *steps: Step) -> None:
        """What is kept last, and the commit. Where this raises, the loss of the connection alone leaves it open
        whether it was done."""
        fetch_together(*steps, (self.words[1], ()))
        self.is_open = False

    def __exit__(self, *_: object) -> None:
        if self.is_open and self.here.connection is not None and not self.here.connection.closed:
            command(self.words[2])


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
