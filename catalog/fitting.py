"""Which part fits which vehicle, and which vehicles there are parts for: read by ranges of indexes.

Names are compared as the database keys them (`catalog_plain_key`): "F-150" finds "f150", and "F150 Pickup 2WD"
only where staff confirmed that it is one. What a fitment leaves blank does not narrow it, so asking for an engine
also finds what fits every engine. Choices come from the fitments themselves, so that each leads to a part; they are
found by stepping from one name to the next in the index, whose cost goes with the names and not with the fitments.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from catalog.models import Variant
from partners import prepared

NAMES_MAX = 2_000


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is known of the vehicle and the place on it; what is blank is not asked for."""

    make: str = ""
    model: str = ""
    year: int | None = None
    engine: str = ""
    submodel: str = ""
    position: str = ""
    base_vehicle_id: str = ""

    @property
    def is_blank(self) -> bool:
        return self == Asked()


class Fit(NamedTuple):
    """One fitment as it is told, in the order of its columns; a page of fifty is made faster than of dataclasses."""

    id: int
    sku: str
    make: str
    model: str
    submodel: str
    year_from: int | None
    year_to: int | None
    engine: str
    qualifiers: list[dict[str, Any]]
    position: str
    quantity: int
    note: str
    base_vehicle_id: str
    part_type_id: str
    brand_aaia_id: str
    make_key: str
    model_key: str

    @property
    def place(self) -> Place:
        return (self.make_key, self.model_key, self.year_to or 0, self.id)


Place = tuple[str, str, int, int]
"""Where a list by vehicle goes on: make, model, last year, fitment."""


class _Sql:
    """A statement put together with its parameters in order."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.parameters: list[Any] = []

    def add(self, text: str, *parameters: Any) -> _Sql:
        self.parts.append(text)
        self.parameters += parameters
        return self

    def rows_of_plan(self) -> list[tuple[Any, ...]]:
        """The rows, by the plan the connection keeps for the statement: planning takes longer than a page does."""
        return prepared.fetch(" ".join(self.parts), self.parameters)

    def rows(self) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(" ".join(self.parts), self.parameters)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


COLUMNS = (
    "id, variant_id, make, model, submodel, year_from, year_to, engine, qualifiers, position, quantity, note,"
    " base_vehicle_id, part_type_id, brand_aaia_id, make_key, model_key"
)
TOLD = ", ".join(f"f.{name.strip()}" for name in COLUMNS.split(",") if name.strip() not in {"id", "variant_id"})
KEY = "nullif(catalog_plain_key(%s), '')"
# The name asked for, the models it is an alias of, and the aliases it has; but no other alias of those models.
TARGETS = f"""
    above AS (
        SELECT {KEY} AS make_key, {KEY} AS model_key
         UNION SELECT alias.make_key, alias.means_key FROM above JOIN catalog_vehiclealias alias
            ON alias.status = 'confirmed' AND alias.make_key = above.make_key AND alias.model_key = above.model_key
    ), below AS (
        SELECT {KEY} AS make_key, {KEY} AS model_key
         UNION SELECT alias.make_key, alias.model_key FROM below JOIN catalog_vehiclealias alias
            ON alias.status = 'confirmed' AND alias.make_key = below.make_key AND alias.means_key = below.model_key
    ), target AS (SELECT * FROM above UNION SELECT * FROM below)
"""
# From one make to the next, by fitment_by_vehicle.
MAKES = """
    (SELECT f.make_key, f.make FROM catalog_fitment f WHERE f.make_key > ''
      ORDER BY f.make_key, f.model_key, f.year_to, f.id LIMIT 1)
    UNION ALL
    SELECT next.* FROM step CROSS JOIN LATERAL (
        SELECT f.make_key, f.make FROM catalog_fitment f WHERE f.make_key > step.make_key
         ORDER BY f.make_key, f.model_key, f.year_to, f.id LIMIT 1) next
"""
# From one model to the next; `{within}` is every make, or one.
MODELS = """
    (SELECT f.make_key, f.make, f.model_key, f.model FROM catalog_fitment f WHERE {within}
      ORDER BY f.make_key, f.model_key, f.year_to, f.id LIMIT 1)
    UNION ALL
    SELECT next.* FROM step CROSS JOIN LATERAL (
        SELECT f.make_key, f.make, f.model_key, f.model FROM catalog_fitment f WHERE {within} AND {onward}
         ORDER BY f.make_key, f.model_key, f.year_to, f.id LIMIT 1) next
"""
# From one span of years to the next, by fitment_by_years.
SPANS = """
    (SELECT f.year_to, f.year_from FROM catalog_fitment f WHERE f.year_to IS NOT NULL
      ORDER BY f.year_to, f.year_from LIMIT 1)
    UNION ALL
    SELECT next.* FROM step CROSS JOIN LATERAL (
        SELECT f.year_to, f.year_from FROM catalog_fitment f
         WHERE (f.year_to, f.year_from) > (step.year_to, step.year_from)
         ORDER BY f.year_to, f.year_from LIMIT 1) next
"""


def fitments(*, asked: Asked, limit: int, visible: QuerySet[Variant] | None, after: Place | None = None) -> list[Fit]:
    """The fitments of a vehicle, by make, model and last year; `after` is the `place` of the last row seen.

    `visible` are the products the asker may see; None: all. One query. With make and model a range of
    fitment_by_vehicle for each name of the model; with the make alone the range of the make; with neither in the
    order of their ids.
    """
    sql = _Sql()
    columns = f"SELECT f.id, variant.sku, {TOLD} FROM"
    if asked.model:
        sql.add("WITH RECURSIVE")
        _targets(sql, asked)
        sql.add(f"{columns} (SELECT found.* FROM target CROSS JOIN LATERAL (SELECT {COLUMNS} FROM catalog_fitment f")
        sql.add("WHERE f.make_key = target.make_key AND f.model_key = target.model_key")
        _within_model(sql, asked, after)
        _narrowed(sql, asked, visible)
        sql.add("ORDER BY f.make_key, f.model_key, f.year_to, f.id LIMIT %s) found", limit)
        if after:
            sql.add("WHERE (target.make_key, target.model_key) >= (%s, %s)", *after[:2])
        order = "f.make_key, f.model_key, f.year_to, f.id"
        sql.add("ORDER BY make_key, model_key, year_to, id LIMIT %s) f", limit)
    elif asked.make:
        sql.add(f"{columns} (SELECT {COLUMNS} FROM catalog_fitment f WHERE f.make_key = {KEY}", asked.make)
        if after:
            sql.add("AND (f.model_key, f.year_to, f.id) > (%s, %s, %s)", *after[1:])
        _in_year(sql, asked)
        _narrowed(sql, asked, visible)
        order = "f.make_key, f.model_key, f.year_to, f.id"
        sql.add(f"ORDER BY {order} LIMIT %s) f", limit)
    else:
        sql.add(f"{columns} (SELECT {COLUMNS} FROM catalog_fitment f WHERE f.id > %s", after[3] if after else 0)
        _in_year(sql, asked)
        _narrowed(sql, asked, visible)
        order = "f.id"
        sql.add("ORDER BY f.id LIMIT %s) f", limit)
    sql.add(f"JOIN catalog_variant variant ON variant.id = f.variant_id ORDER BY {order}")
    return [_fit(row) for row in sql.rows_of_plan()]


QUALIFIERS = Fit._fields.index("qualifiers")


def _fit(row: Sequence[Any]) -> Fit:
    qualifiers = row[QUALIFIERS]
    if isinstance(qualifiers, str):  # as Django's own cursor gives it
        row = (*row[:QUALIFIERS], json.loads(qualifiers), *row[QUALIFIERS + 1 :])
    return Fit._make(row)


def fitting(variants: QuerySet[Variant], asked: Asked) -> QuerySet[Variant]:
    """Of these products those with one fitment for which all that is asked holds. No query of its own."""
    if asked.is_blank:
        return variants
    sql = _Sql()
    if asked.model:
        sql.add("WITH RECURSIVE")
        _targets(sql, asked)
        sql.add("SELECT f.variant_id FROM target JOIN catalog_fitment f")
        sql.add("ON f.make_key = target.make_key AND f.model_key = target.model_key WHERE TRUE")
    else:
        sql.add("SELECT f.variant_id FROM catalog_fitment f WHERE TRUE")
        if asked.make:
            sql.add(f"AND f.make_key = {KEY}", asked.make)
    _in_year(sql, asked)
    _narrowed(sql, asked, None)
    return variants.filter(pk__in=RawSQL(" ".join(sql.parts), sql.parameters))  # noqa: S611  the parts are our own


def fits_of(*, variant_ids: Sequence[int], asked: Asked, limit: int) -> dict[int, list[Fit]]:
    """The fitments of these products for which all that is asked holds. One query, by fitment_once."""
    sql = _Sql()
    if asked.model:
        sql.add("WITH RECURSIVE")
        _targets(sql, asked)
    sql.add(f"SELECT f.variant_id, f.id, variant.sku, {TOLD} FROM catalog_fitment f")
    sql.add("JOIN catalog_variant variant ON variant.id = f.variant_id WHERE f.variant_id = ANY(%s)", list(variant_ids))
    if asked.model:
        sql.add("AND (f.make_key, f.model_key) IN (SELECT make_key, model_key FROM target)")
    elif asked.make:
        sql.add(f"AND f.make_key = {KEY}", asked.make)
    _in_year(sql, asked)
    _narrowed(sql, asked, None)
    found: dict[int, list[Fit]] = {}
    for variant_id, *row in sql.add("ORDER BY f.id LIMIT %s", limit).rows():
        found.setdefault(variant_id, []).append(_fit(row))
    return found


def makes(*, asked: Asked, visible: QuerySet[Variant] | None) -> list[str]:
    """The makes there are parts for, in the year asked. One query; see `models` for what it costs."""
    if visible is None and asked.year is None:
        return _column(_Sql().add(f"WITH RECURSIVE step AS ({MAKES}) SELECT make FROM step LIMIT %s", NAMES_MAX))
    if visible is None:
        sql = _stepping(Asked()).add("SELECT make_key, min(make) AS name FROM step")
        _has_fitment(sql, asked)
        sql.add("GROUP BY make_key ORDER BY make_key LIMIT %s", NAMES_MAX)
        return [name for _, name in sql.rows()]
    sql = _Sql().add("SELECT named.make FROM (SELECT DISTINCT f.make_key FROM catalog_fitment f WHERE f.make_key > ''")
    _in_year(sql, asked)
    _of_theirs(sql, visible)
    sql.add(") own CROSS JOIN LATERAL (SELECT f.make FROM catalog_fitment f WHERE f.make_key = own.make_key")
    sql.add("ORDER BY f.make_key, f.model_key, f.year_to, f.id LIMIT 1) named ORDER BY own.make_key")
    return _column(sql.add("LIMIT %s", NAMES_MAX))


def models(*, asked: Asked, visible: QuerySet[Variant] | None) -> list[str]:
    """The models there are parts for, of the make and in the year asked. One query.

    For who may see all it takes a step of fitment_by_vehicle for each model; for others their own products'
    entries of fitment_once.
    """
    if visible is None:
        sql = _stepping(asked).add("SELECT model FROM step")
        _has_fitment(sql, asked)
        return _without_twins(_column(sql.add("ORDER BY model_key, make_key LIMIT %s", NAMES_MAX)))
    sql = _Sql().add("SELECT named.model FROM (SELECT DISTINCT f.make_key, f.model_key FROM catalog_fitment f")
    sql.add("WHERE f.make_key > ''")
    if asked.make:
        sql.add(f"AND f.make_key = {KEY}", asked.make)
    _in_year(sql, asked)
    _of_theirs(sql, visible)
    sql.add(") own CROSS JOIN LATERAL (SELECT f.model FROM catalog_fitment f")
    sql.add("WHERE f.make_key = own.make_key AND f.model_key = own.model_key ORDER BY f.year_to, f.id LIMIT 1) named")
    return _without_twins(_column(sql.add("ORDER BY own.model_key, own.make_key LIMIT %s", NAMES_MAX)))


def years(*, asked: Asked, visible: QuerySet[Variant] | None) -> list[int]:
    """The model years there are parts for, newest first. One query, by spans of years.

    Without a make: a step of fitment_by_years for each span there is. With one: its range of fitment_by_vehicle.
    """
    sql = _Sql()
    if visible is None and not asked.make and not asked.model:
        sql.add(f"WITH RECURSIVE step AS ({SPANS}) SELECT year_from, year_to FROM step")
    else:
        if asked.model:
            sql.add("WITH RECURSIVE")
            _targets(sql, asked)
            sql.add("SELECT DISTINCT f.year_from, f.year_to FROM target JOIN catalog_fitment f")
            sql.add("ON f.make_key = target.make_key AND f.model_key = target.model_key WHERE f.make_key > ''")
        else:
            sql.add("SELECT DISTINCT f.year_from, f.year_to FROM catalog_fitment f WHERE f.year_to IS NOT NULL")
            if asked.make:
                sql.add(f"AND f.make_key = {KEY}", asked.make)
        _of_theirs(sql, visible)
    spans = sql.rows()
    return sorted({year for first, last in spans for year in range(first, last + 1)}, reverse=True)[:NAMES_MAX]


def engines(*, asked: Asked, visible: QuerySet[Variant] | None) -> list[str]:
    """The engines that parts for a model are for, in the year asked. One query over the model's fitments."""
    sql = _Sql().add("WITH RECURSIVE")
    _targets(sql, asked)
    sql.add("SELECT named.engine FROM (SELECT DISTINCT f.make_key, f.model_key, f.engine_key FROM target")
    sql.add("JOIN catalog_fitment f ON f.make_key = target.make_key AND f.model_key = target.model_key")
    sql.add("WHERE f.engine_key > ''")
    _in_year(sql, asked)
    _of_theirs(sql, visible)
    sql.add(") told CROSS JOIN LATERAL (SELECT f.engine FROM catalog_fitment f WHERE f.make_key = told.make_key")
    sql.add("AND f.model_key = told.model_key AND f.engine_key = told.engine_key")
    sql.add("ORDER BY f.year_to, f.id LIMIT 1) named ORDER BY told.engine_key, told.make_key, told.model_key")
    return _without_twins(_column(sql.add("LIMIT %s", NAMES_MAX)))


def _column(sql: _Sql) -> list[Any]:
    return [row[0] for row in sql.rows()]


def _without_twins(names: Sequence[str]) -> list[str]:
    """Models of one name, of several makes, are one choice."""
    return list(dict.fromkeys(names))


def _targets(sql: _Sql, asked: Asked) -> None:
    """The model's names, as `target`; without a make, the name at every make there is."""
    if asked.make:
        sql.add(TARGETS, *(asked.make, asked.model) * 2)
    else:
        sql.add(f"step AS ({MAKES}), target AS (SELECT make_key, {KEY} AS model_key FROM step)", asked.model)


def _stepping(asked: Asked) -> _Sql:
    """Every model, or every one of a make, as `step`."""
    if not asked.make:
        within, onward = "f.make_key > ''", "(f.make_key, f.model_key) > (step.make_key, step.model_key)"
        return _Sql().add(f"WITH RECURSIVE step AS ({MODELS.format(within=within, onward=onward)})")
    steps = MODELS.format(within=f"f.make_key = {KEY}", onward="f.model_key > step.model_key")
    return _Sql().add(f"WITH RECURSIVE step AS ({steps})", asked.make, asked.make)


def _has_fitment(sql: _Sql, asked: Asked) -> None:
    """Of the steps those with a fitment in the year: one look into the index each."""
    if asked.year is not None:
        sql.add("WHERE EXISTS (SELECT FROM catalog_fitment f WHERE f.make_key = step.make_key")
        sql.add("AND f.model_key = step.model_key")
        _in_year(sql, asked)
        sql.add(")")


def _within_model(sql: _Sql, asked: Asked, after: Place | None) -> None:
    """One lower bound on (year_to, id), for the index to begin at: the year asked, or the last row seen."""
    low = asked.year if asked.year is not None else -1
    if after:
        place = "CASE WHEN (target.make_key, target.model_key) = (%s, %s) THEN %s ELSE %s END"
        sql.add(f"AND (f.year_to, f.id) > ({place}, CASE WHEN (target.make_key, target.model_key) = (%s, %s)"
                " THEN %s ELSE 0 END)", *after[:2], after[2], low, *after[:2], after[3])  # fmt: skip
    else:
        sql.add("AND (f.year_to, f.id) > (%s, 0)", low)
    if asked.year is not None:
        sql.add("AND f.year_from <= %s", asked.year)


def _in_year(sql: _Sql, asked: Asked) -> None:
    if asked.year is not None:
        sql.add("AND f.year_to >= %s AND f.year_from <= %s", asked.year, asked.year)


def _of_theirs(sql: _Sql, visible: QuerySet[Variant] | None) -> None:
    """Product by product: all entries of a few thousand products are fewer than all there are."""
    if visible is not None:
        ids, parameters = visible.order_by().values("pk").query.sql_with_params()
        sql.add(f"AND f.variant_id = ANY(ARRAY({ids}))", *parameters)


def _narrowed(sql: _Sql, asked: Asked, visible: QuerySet[Variant] | None) -> None:
    """Everything but make, model and year; of the products the asker may see."""
    if asked.engine:
        sql.add("AND f.engine_key IN ('', catalog_plain_key(%s))", asked.engine)
    if asked.submodel:
        sql.add("AND catalog_plain_key(f.submodel) IN ('', catalog_plain_key(%s))", asked.submodel)
    if asked.position:
        sql.add(f"AND catalog_plain_key(f.position) = {KEY}", asked.position)
    if asked.base_vehicle_id:
        sql.add("AND f.base_vehicle_id = %s AND f.base_vehicle_id <> ''", asked.base_vehicle_id)
    if visible is not None:
        of_theirs, parameters = visible.order_by().values("pk").query.sql_with_params()
        sql.add(f"AND f.variant_id IN ({of_theirs})", *parameters)
