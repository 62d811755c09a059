"""Rows of models, written and read by statements that PostgreSQL has planned before: what the hot path needs of an ORM.

The models stay the description: which columns there are, their defaults and their types are asked of them. But no
signal is sent, so what has a history writes it by `trace`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Field, Model
from django.utils import timezone

from partners import prepared

PLAIN = (datetime, date, time, Decimal, UUID)
"""What PostgreSQL reads from its text."""


def insert[M: Model](rows: Sequence[M]) -> Sequence[M]:
    """Write new rows of one model, in their order, and give them their ids. One statement; none for none."""
    if rows:
        made = prepared.fetch(_insertion(type(rows[0])), [_as_json(rows)])
        for row, (pk,) in zip(rows, made, strict=True):
            _is_written(row, pk)
    return rows


def claim(row: Model, *, columns: str) -> bool:
    """Write a row unless one with the same values in these unique columns stands there: whether it was written.

    Who claims the same at once waits here for the end of the other's transaction.
    """
    made = prepared.fetch(_insertion(type(row), f"ON CONFLICT ({columns}) DO NOTHING"), [_as_json([row])])
    for (pk,) in made:
        _is_written(row, pk)
    return bool(made)


def trace(rows: Sequence[Model], *, kind: str, reason: str | None = None) -> None:
    """Write what rows are now into their history, as saving them would: `kind` is + for a new one, ~ for a changed."""
    if not rows:
        return
    history, same, more = _history(type(rows[0]))
    user = history.get_default_history_user(rows[0])
    said = {name: field.get_default() for name, field in more.items()} | {
        "history_date": timezone.now(),
        "history_user_id": user.pk if user else None,
        "history_change_reason": reason,
        "history_type": kind,
    }
    values = [{column: getattr(row, name) for column, name in same} | said for row in rows]
    prepared.fetch(_insertion(history), [AS_JSON.encode(values)])


def read[M: Model](model: type[M], tail: str, parameters: Sequence[Any]) -> list[M]:
    """Rows of a model by the end of a statement: `WHERE id = %s FOR NO KEY UPDATE`. One statement."""
    selection, names, converters = _selection(model)
    found = prepared.fetch(f"{selection} {tail}", parameters)
    if converters:
        found = [
            tuple(
                converters[place](value, None, connection) if place in converters else value
                for place, value in enumerate(values)
            )
            for values in found
        ]
    return [model.from_db("default", names, values) for values in found]


@cache
def _history(model: type[Model]) -> tuple[Any, list[tuple[str, str]], dict[str, Field[Any, Any]]]:
    """The model of its history, the columns that say what the row is, and those that say more of the change.

    Asked once: the manager of a history is made anew at each look, which costs more than the row.
    """
    history = model.history.model  # type: ignore[attr-defined]  # of a model with a history
    same = [(field.column, field.attname) for field in history.tracked_fields]
    told = {column for column, _ in same}
    return history, same, {str(field.column): field for field in _written(history) if field.column not in told}


@cache
def _written(model: type[Model]) -> tuple[Field[Any, Any], ...]:
    return tuple(field for field in model._meta.concrete_fields if field is not model._meta.auto_field)


@cache
def _insertion(model: type[Model], unless: str = "") -> str:
    columns = ", ".join(connection.ops.quote_name(str(field.column)) for field in _written(model))
    table, pk = (connection.ops.quote_name(str(name)) for name in (model._meta.db_table, model._meta.pk.column))
    source = f"jsonb_populate_recordset(NULL::{table}, %s::jsonb)"
    return f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {source} {unless} RETURNING {pk}"  # noqa: S608  names


@cache
def _selection(model: type[Model]) -> tuple[str, list[str], dict[int, Any]]:
    fields = model._meta.concrete_fields
    table = connection.ops.quote_name(model._meta.db_table)
    columns = ", ".join(f"{table}.{connection.ops.quote_name(str(field.column))}" for field in fields)
    converters = {place: field.from_db_value for place, field in enumerate(fields) if hasattr(field, "from_db_value")}
    selection = f"SELECT {columns} FROM {table}"  # noqa: S608  names
    return selection, [field.attname for field in fields], converters


def _as_json(rows: Sequence[Model]) -> str:
    """One type whatever the columns' types, so that there is one plan."""
    fields = [(field.column, field) for field in _written(type(rows[0]))]
    return AS_JSON.encode([{column: field.pre_save(row, True) for column, field in fields} for row in rows])


def _plain(value: Any) -> str:
    if isinstance(value, PLAIN):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in a row written as JSON.")


AS_JSON = json.JSONEncoder(default=_plain, separators=(",", ":"))


def _is_written(row: Model, pk: Any) -> None:
    row.pk = pk
    row._state.adding, row._state.db = False, "default"
