"""Which vehicles there are, as each source spells them, and which of their names mean the same model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import batched

from django.db import connection, transaction

from catalog.models import VehicleAlias
from catalog.vehicle_files import Known
from partners.actors import Actor

STATEMENT_ROWS = 10_000

STAGE = """
    CREATE TEMP TABLE catalog_vehicle_staged (make text, model text, year int, engine text, body text, base_id text)
        ON COMMIT DROP
"""
# The spelling that came first stays; a body or a number that was not known is filled in.
LOAD = """
    INSERT INTO catalog_vehicle AS known (source, make, model, year, engine, body, base_vehicle_id)
    SELECT DISTINCT ON (catalog_plain_key(make), catalog_plain_key(model), year, catalog_plain_key(engine))
           %s, make, model, year, engine, body, base_id
      FROM catalog_vehicle_staged
     ORDER BY catalog_plain_key(make), catalog_plain_key(model), year, catalog_plain_key(engine), make, model
    ON CONFLICT (make_key, model_key, year, engine_key, source) DO UPDATE
       SET body = CASE WHEN known.body = '' THEN excluded.body ELSE known.body END,
           base_vehicle_id = CASE WHEN known.base_vehicle_id = '' THEN excluded.base_vehicle_id
                                  ELSE known.base_vehicle_id END
     WHERE known.body = '' AND excluded.body <> '' OR known.base_vehicle_id = '' AND excluded.base_vehicle_id <> ''
    RETURNING xmax = 0
"""
# A name that begins with another model's whole words is probably one of it: the longest such model is suggested.
SUGGEST = """
    INSERT INTO catalog_vehiclealias (make, model, means, status)
    WITH name AS MATERIALIZED (
        SELECT make_key, model_key, min(make) AS make, min(model) AS model FROM (
            SELECT make_key, model_key, make, model FROM catalog_vehicle
             UNION SELECT make_key, model_key, make, model FROM catalog_fitment WHERE make_key > '') every
         GROUP BY make_key, model_key
    ), beginning AS (
        SELECT name.make, name.make_key, name.model, name.model_key, words,
               catalog_plain_key(array_to_string((string_to_array(name.model, ' '))[1:words], ' ')) AS begins
          FROM name, generate_series(1, least(array_length(string_to_array(name.model, ' '), 1), 8) - 1) AS words
    )
    SELECT DISTINCT ON (beginning.make_key, beginning.model_key)
           beginning.make, beginning.model, shorter.model, 'suggested'
      FROM beginning JOIN name shorter
        ON shorter.make_key = beginning.make_key AND shorter.model_key = beginning.begins
     WHERE shorter.model_key <> beginning.model_key
     ORDER BY beginning.make_key, beginning.model_key, beginning.words DESC
    ON CONFLICT (make_key, model_key) DO NOTHING
"""
MEANT = """
    SELECT DISTINCT ON (base_vehicle_id) base_vehicle_id, make, model, year, make_key, model_key
      FROM catalog_vehicle WHERE base_vehicle_id <> '' ORDER BY base_vehicle_id, id
"""
# A fitment that came once by number and once by name is one; the named one stays.
TOLD_TWICE = f"""
    DELETE FROM catalog_fitment f USING ({MEANT}) meant, catalog_fitment twin
     WHERE f.make = '' AND f.base_vehicle_id <> '' AND f.base_vehicle_id = meant.base_vehicle_id
       AND twin.variant_id = f.variant_id AND twin.make_key = meant.make_key AND twin.model_key = meant.model_key
       AND twin.year_from = meant.year AND twin.year_to = meant.year AND twin.identity = f.identity
"""
NAME = f"""
    UPDATE catalog_fitment f
       SET make = meant.make, model = meant.model, year_from = meant.year, year_to = meant.year
      FROM ({MEANT}) meant
     WHERE f.make = '' AND f.base_vehicle_id <> '' AND f.base_vehicle_id = meant.base_vehicle_id
"""


@dataclass(kw_only=True)
class Loaded:
    """How many vehicles were new, completed or known already."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0


def load(*, vehicles: Iterable[Known], source: str, actor: Actor) -> Loaded:
    """Take in the vehicles a source knows, ten thousand a transaction; none of them is faulty.

    One of each make, model, year and engine is kept, in the spelling that came first. Loaded again it changes
    nothing. Vehicles a later list leaves out stay: they were built all the same.
    """
    loaded = Loaded()
    for rows in batched(vehicles, STATEMENT_ROWS):
        _load(rows, source, loaded)
    return loaded


@transaction.atomic
def _load(rows: Sequence[Known], source: str, loaded: Loaded) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS catalog_vehicle_staged")
        cursor.execute(STAGE)
        with cursor.copy("COPY catalog_vehicle_staged FROM STDIN") as copy:
            for row in rows:
                copy.write_row((row.make, row.model, row.year, row.engine, row.body, row.base_vehicle_id))
        cursor.execute(LOAD, [source])
        told = [is_new for (is_new,) in cursor.fetchall()]
    loaded.created += sum(told)
    loaded.changed += len(told) - sum(told)
    loaded.unchanged += len(rows) - len(told)


@transaction.atomic
def name_fitments(*, actor: Actor) -> int:
    """Give names and years to the fitments that came by ACES number, where a list said what the number means.

    How many there were. Done again it changes nothing.
    """
    with connection.cursor() as cursor:
        cursor.execute(TOLD_TWICE)
        dropped = cursor.rowcount
        cursor.execute(NAME)
        return int(cursor.rowcount + dropped)


@transaction.atomic
def suggest_aliases(*, actor: Actor) -> int:
    """Suggest that longer names mean a model they begin with: "F150 Pickup 2WD" an "F-150". How many are new.

    A suggestion counts for nothing until staff confirm it; what staff refused is not suggested again.
    """
    with connection.cursor() as cursor:
        cursor.execute(SUGGEST)
        return int(cursor.rowcount)


@transaction.atomic
def confirm_alias(*, alias: VehicleAlias, actor: Actor, at: datetime) -> VehicleAlias:
    """From now on who asks for the model is told of parts for the alias, and the other way round.

    Locks the alias; confirmed again it stays so.
    """
    return _decide(alias, VehicleAlias.Status.CONFIRMED)


@transaction.atomic
def refuse_alias(*, alias: VehicleAlias, actor: Actor, at: datetime) -> VehicleAlias:
    """The name means another model, or none; it is not suggested again. Locks the alias."""
    return _decide(alias, VehicleAlias.Status.REFUSED)


def _decide(alias: VehicleAlias, status: VehicleAlias.Status) -> VehicleAlias:
    fresh = VehicleAlias.objects.select_for_update().get(pk=alias.pk)
    fresh.status = status
    fresh.save(update_fields=["status"])
    return fresh
