"""Fitments are written by thousands: as many as a file says in one statement, or all that a source says of a brand."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import batched
from typing import Any

from django.db import connection, transaction

from catalog.models import Fitment
from partners.actors import Actor
from partners.problems import InvalidInput, NotFound

YEAR_MIN, YEAR_MAX = 1880, 2200
QUANTITY_MAX = 1_000
STATEMENT_ROWS = 10_000
"""So many fitments are one statement: what is staged stays in memory, and what is locked is soon let go."""
FAULTS_MAX = 100
QUALIFIERS_MAX = 50
JSON_CHARACTERS_MAX = 5_000
# What jsonb cannot hold: NUL, as JSON writes it, and half of a surrogate pair.
NOT_KEPT = re.compile(r"\\u0000|[\ud800-\udfff]")
LENGTHS = {
    "make": 60, "model": 100, "submodel": 60, "engine": 60, "position": 60, "note": 250, "base_vehicle_id": 20,
    "part_type_id": 20, "brand_aaia_id": 10,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Fits:
    """That a part fits: the vehicle by name and years, or by the numbers of ACES alone.

    Texts that narrow the vehicle, as ACES' notes do, belong to `qualifiers` ([{"text": …}, {"id": …, "text": …}]);
    `note` narrows nothing. Years are inclusive.
    """

    variant_id: int
    make: str = ""
    model: str = ""
    year_from: int | None = None
    year_to: int | None = None
    submodel: str = ""
    engine: str = ""
    position: str = ""
    quantity: int = 1
    note: str = ""
    qualifiers: Sequence[Mapping[str, Any]] = ()
    base_vehicle_id: str = ""
    part_type_id: str = ""
    brand_aaia_id: str = ""
    aces_ids: Mapping[str, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class Outcome:
    """How many fitments were new, changed (pieces or note), as they were already, and taken away."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    dropped: int = 0
    of_each: list[str] = field(default_factory=list)
    """`created`, `changed` or `unchanged` for each fitment given to `put_many`, in order."""


COLUMNS = (
    "id, variant_id, make, model, year_from, year_to, submodel, engine, position, quantity, note, qualifiers,"
    " base_vehicle_id, part_type_id, brand_aaia_id, aces_ids, source"
)
WRITTEN = COLUMNS.removeprefix("id, ")
# The staging table computes the keys by itself, as the real one does; a row's id in it is its place in the file.
STAGE = """
    CREATE TEMP TABLE IF NOT EXISTS catalog_fitment_staged (LIKE catalog_fitment INCLUDING DEFAULTS INCLUDING GENERATED)
        ON COMMIT DROP
"""
# What the numbers of ACES mean, where somebody has said so.
NAMED = """
    UPDATE catalog_fitment_staged staged
       SET make = known.make, model = known.model, year_from = known.year, year_to = known.year
      FROM (SELECT DISTINCT ON (base_vehicle_id) base_vehicle_id, make, model, year FROM catalog_vehicle
             WHERE base_vehicle_id <> '' ORDER BY base_vehicle_id, id) known
     WHERE staged.make = '' AND staged.base_vehicle_id <> '' AND known.base_vehicle_id = staged.base_vehicle_id
"""
SAME = """
    {one}.variant_id = {other}.variant_id AND {one}.make_key = {other}.make_key
    AND {one}.model_key = {other}.model_key AND coalesce({one}.year_from, 0) = coalesce({other}.year_from, 0)
    AND coalesce({one}.year_to, 0) = coalesce({other}.year_to, 0) AND {one}.identity = {other}.identity
"""
# Of what is said twice the last word counts. In the order of the guard, so that two writers meet in one order.
PUT = f"""
    WITH chosen AS MATERIALIZED (
        SELECT DISTINCT ON (variant_id, make_key, model_key, year_from, year_to, identity) *
          FROM catalog_fitment_staged
         ORDER BY variant_id, make_key, model_key, year_from, year_to, identity, id DESC
    ), put AS (
        INSERT INTO catalog_fitment AS f ({WRITTEN})
        SELECT {WRITTEN} FROM chosen
         ORDER BY variant_id, make_key, model_key, year_from, year_to, identity
        ON CONFLICT (variant_id, make_key, model_key, year_from, year_to, identity) DO UPDATE
           SET quantity = excluded.quantity, note = excluded.note
         WHERE (f.quantity, f.note) IS DISTINCT FROM (excluded.quantity, excluded.note)
        RETURNING variant_id, make_key, model_key, year_from, year_to, identity, xmax = 0 AS is_new
    )
"""
TELL_EACH = f"SELECT chosen.id, put.is_new FROM chosen JOIN put ON {SAME.format(one='chosen', other='put')}"
TELL_SUMS = """
    SELECT (SELECT count(*) FROM chosen), count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new) FROM put
"""
DROP = f"""
    DELETE FROM catalog_fitment f USING catalog_fitment_staged staged WHERE {SAME.format(one="f", other="staged")}
"""
FIND = f"SELECT f.id FROM catalog_fitment f, catalog_fitment_staged staged WHERE {SAME.format(one='f', other='staged')}"
DROP_OTHERS = f"""
    DELETE FROM catalog_fitment f
     WHERE f.source = %s AND f.source <> '' AND f.brand_aaia_id = ANY(%s)
       AND NOT EXISTS (SELECT FROM catalog_fitment_staged staged WHERE {SAME.format(one="staged", other="f")})
"""
FAULTS = """
    SELECT staged.id, CASE WHEN variant.id IS NULL THEN 'productId|There is no such product.'
                           WHEN variant.is_parent THEN 'productId|It only gathers its variants; name the one that fits.'
                           WHEN staged.make_key = '' THEN 'make|holds no letter and no digit'
                           ELSE 'model|holds no letter and no digit' END
      FROM catalog_fitment_staged staged LEFT JOIN catalog_variant variant ON variant.id = staged.variant_id
     WHERE variant.id IS NULL OR variant.is_parent OR staged.make <> '' AND '' IN (staged.make_key, staged.model_key)
     ORDER BY staged.id LIMIT %s
"""


@transaction.atomic
def put_many(*, fitments: Iterable[Fits], actor: Actor, source: str = "") -> Outcome:
    """Say that parts fit vehicles, ten thousand a statement; all of them or, when refused, none.

    What is there already, however its names are spelled, keeps its spelling and takes the new pieces and note; of
    what is said twice the last word counts. Numbers of ACES that are known (`vehicles.load`) become names. Said again
    it changes nothing. Locks the fitments that change, in the order of their guard.
    Raises InvalidInput naming `fitments[3].yearTo` and the like, for the first hundred.
    """
    outcome = Outcome()
    for start, rows in _in_statements(fitments):
        _stage_anew()
        _take_in(rows, start, source)
        _settle()
        with connection.cursor() as cursor:
            cursor.execute(PUT + TELL_EACH)
            put = dict(cursor.fetchall())
        said = {True: "created", False: "changed", None: "unchanged"}
        outcome.of_each += [said[put.get(place)] for place in range(start, start + len(rows))]
    outcome.created = outcome.of_each.count("created")
    outcome.changed = outcome.of_each.count("changed")
    outcome.unchanged = outcome.of_each.count("unchanged")
    return outcome


@transaction.atomic
def replace_set(*, fitments: Iterable[Fits], source: str, brand_aaia_id: str, actor: Actor) -> Outcome:
    """Make these all that `source` says of a brand: new ones come, others go, what stays is not written again.

    Fitments of other sources and brands are not touched. Waits for whoever else replaces the same set. Said again it
    changes nothing. Raises InvalidInput as `put_many` does, for a fitment of another brand, and for no source.
    """
    return replace_sets(fitments=fitments, source=source, brands=[brand_aaia_id], actor=actor)


@transaction.atomic
def replace_sets(
    *,
    fitments: Iterable[Fits],
    source: str,
    brands: Collection[str],
    actor: Actor,
    is_whole: Callable[[], bool] = lambda: True,
) -> Outcome:
    """Make these all that `source` says of some brands, as `replace_set` does of one.

    `is_whole` is asked once the last fitment is taken: where it says no, what comes is added and nothing goes.
    """
    for brand in sorted(brands):
        lock_set(source=source, brand_aaia_id=brand)
    _stage_anew()
    for start, rows in _in_statements(fitments):
        _take_in(rows, start, source, brands)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE catalog_fitment_staged")
    # Once for the whole set: asked part by part, each part would go through all that is staged before it.
    _settle()
    dropped = 0
    with connection.cursor() as cursor:
        if is_whole():
            cursor.execute(DROP_OTHERS, [source, list(brands)])
            dropped = cursor.rowcount
        cursor.execute(PUT + TELL_SUMS)
        [(there, created, changed)] = cursor.fetchall()
    return Outcome(created=created, changed=changed, unchanged=there - created - changed, dropped=dropped)


@transaction.atomic
def drop_many(*, fitments: Iterable[Fits], source: str, actor: Actor) -> Outcome:
    """Take back what `source` said of these vehicles; what is not there is no fault. Pieces and note do not count.

    Raises InvalidInput as `put_many` does.
    """
    outcome = Outcome()
    for start, rows in _in_statements(fitments):
        _stage_anew()
        _take_in(rows, start, source)
        _settle()
        with connection.cursor() as cursor:
            cursor.execute(DROP)
            outcome.dropped += cursor.rowcount
    return outcome


@transaction.atomic
def revise(*, fitment: Fitment, fits: Fits, actor: Actor) -> Fitment:
    """Say something else of a part than before: the old statement goes, and the new one comes as it is spelled.

    It stays whose it was (its `source`). What is said already of the part is not said twice: the two become one.
    Locks the fitment. Raises NotFound where it is gone by now, and InvalidInput as `put_many` does.
    """
    locked = Fitment.objects.filter(pk=fitment.pk).select_for_update().first()
    if locked is None:
        raise NotFound("The fitment is gone; somebody has replaced it meanwhile.")
    source = locked.source
    locked.delete()
    return _put_one(fits, source=source, actor=actor)


@transaction.atomic
def say(*, fits: Fits, actor: Actor) -> Fitment:
    """Say in our own name that a part fits a vehicle; the fitment there is then, new or from before.

    Said again it changes nothing. Raises InvalidInput as `put_many` does.
    """
    return _put_one(fits, source="", actor=actor)


def _put_one(fits: Fits, *, source: str, actor: Actor) -> Fitment:
    put_many(fitments=[fits], actor=actor, source=source)
    with connection.cursor() as cursor:
        cursor.execute(FIND)
        [(found,)] = cursor.fetchall()
    return Fitment.objects.get(pk=found)


def stage(*, fitments: Sequence[Fits], source: str) -> None:
    """Put up to a statement's rows on the stage alone, to be compared with what there is.

    The caller's transaction keeps them. Raises InvalidInput as `put_many` does.
    """
    _stage_anew()
    _take_in(fitments, 0, source)
    _settle()


def lock_set(*, source: str, brand_aaia_id: str) -> None:
    """Wait for whoever else replaces what a source says of a brand, until the end of this transaction.

    Of several brands in order. Raises InvalidInput for no source.
    """
    if not source:
        raise InvalidInput.at("source", "A set belongs to somebody: name the source.")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"catalog.fitments/{source}/{brand_aaia_id}"])


def _in_statements(fitments: Iterable[Fits]) -> Iterator[tuple[int, Sequence[Fits]]]:
    start = 0
    for rows in batched(fitments, STATEMENT_ROWS):
        yield start, rows
        start += len(rows)


def _stage_anew() -> None:
    with connection.cursor() as cursor:
        cursor.execute(STAGE)
        cursor.execute("TRUNCATE catalog_fitment_staged")


def _take_in(rows: Sequence[Fits], start: int, source: str, brands: Collection[str] | None = None) -> None:
    """Put rows on the stage, numbered from `start`; what can be told wrong without looking is refused.

    Raises InvalidInput for the first hundred.
    """
    found = [
        (f"fitments[{place}].{name}", detail)
        for place, row in enumerate(rows, start)
        for name, detail in faults(row=row, brands=brands)
    ]
    if found:
        raise InvalidInput.of(found[:FAULTS_MAX])
    with connection.cursor() as cursor, cursor.copy(f"COPY catalog_fitment_staged ({COLUMNS}) FROM STDIN") as copy:
        for place, row in enumerate(rows, start):
            copy.write_row(
                (
                    place, row.variant_id, row.make.strip(), row.model.strip(), row.year_from, row.year_to,
                    row.submodel.strip(), row.engine.strip(), row.position.strip(), row.quantity, row.note.strip(),
                    _json(row.qualifiers), row.base_vehicle_id, row.part_type_id, row.brand_aaia_id,
                    _json(row.aces_ids), source,
                )
            )  # fmt: skip


def _settle() -> None:
    """Name what is staged by its numbers alone, and hold it against the products there are.

    Goes through the whole stage. Raises InvalidInput for the first hundred.
    """
    with connection.cursor() as cursor:
        cursor.execute(NAMED)
        cursor.execute(FAULTS, [FAULTS_MAX])
        refused = [(place, *fault.split("|")) for place, fault in cursor.fetchall()]
    if refused:
        raise InvalidInput.of([(f"fitments[{place}].{name}", detail) for place, name, detail in refused])


def faults(*, row: Fits, brands: Collection[str] | None = None) -> Iterator[tuple[str, str]]:
    """What can be told wrong of a fitment (of a set of these brands) without looking, by the contract's names."""
    for name, most in LENGTHS.items():
        text: str = getattr(row, name)
        if len(text) > most or not text.isprintable():
            yield _camel(name), f"has control characters or more than {most}"
    if bool(row.make.strip()) != bool(row.model.strip()):
        yield "model" if row.make.strip() else "make", "is missing; make and model go together"
    elif not row.make.strip() and not row.base_vehicle_id and not row.aces_ids:
        yield "make", "is missing"
    years = (row.year_from, row.year_to)
    if None in years and (row.make.strip() or years != (None, None)):
        yield "yearFrom" if row.year_from is None else "yearTo", "is missing"
    for name, year in zip(("yearFrom", "yearTo"), years, strict=True):
        if year is not None and not YEAR_MIN <= year <= YEAR_MAX:
            yield name, f"is no model year from {YEAR_MIN} to {YEAR_MAX}"
    if row.year_from is not None and row.year_to is not None and row.year_from > row.year_to:
        yield "yearTo", f"{row.year_to} is before {row.year_from}"
    if not 1 <= row.quantity <= QUANTITY_MAX:
        yield "quantity", f"is none of 1 to {QUANTITY_MAX:,}"
    if brands is not None and row.brand_aaia_id not in brands:
        yield "brandAaiaId", f"{row.brand_aaia_id!r} is not of the set of {', '.join(sorted(brands))!r}"
    for name, value in (("qualifiers", row.qualifiers), ("acesIds", row.aces_ids)):
        if value and (len(text := _json(value)) > JSON_CHARACTERS_MAX or NOT_KEPT.search(text)):
            yield name, f"is longer than {JSON_CHARACTERS_MAX:,} characters, or holds one that cannot be kept"
    if len(row.qualifiers) > QUALIFIERS_MAX:
        yield "qualifiers", f"are more than {QUALIFIERS_MAX}"


def _json(value: Sequence[Any] | Mapping[str, Any]) -> str:
    if isinstance(value, Mapping):
        return json.dumps(dict(value), ensure_ascii=False) if value else "{}"
    return json.dumps([dict(one) for one in value], ensure_ascii=False) if value else "[]"


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.title() for word in others)
