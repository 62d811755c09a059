"""Postal codes and cities are put on the map."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import batched

from django.db import connection, transaction

from orders.place_files import Known
from partners.actors import Actor

STATEMENT_ROWS = 5_000

# A place known already moves to where the file says.
LOAD = """
    INSERT INTO orders_place AS known (country, postal_code, city, region, population, latitude, longitude)
    SELECT * FROM (
        SELECT DISTINCT ON ({key}) * FROM unnest(
            %s::text[], %s::text[], %s::text[], %s::text[], %s::int[], %s::numeric[], %s::numeric[]
        ) AS row (country, postal_code, city, region, population, latitude, longitude)
    ) rows
    ON CONFLICT ({key}) WHERE postal_code {sign} '' DO UPDATE
       SET city = coalesce(nullif(excluded.city, ''), known.city),
           region = coalesce(nullif(excluded.region, ''), known.region),
           population = excluded.population, latitude = excluded.latitude, longitude = excluded.longitude
    RETURNING xmax = 0
"""
CODES = LOAD.format(key="country, postal_code", sign="<>")
CITIES = LOAD.format(key="country, region, city, latitude, longitude", sign="=")


def load(*, places: Iterable[Known], actor: Actor) -> tuple[int, int]:
    """Take places in, some thousands a transaction; loaded twice nothing changes. Returns (new, known already)."""
    new = old = 0
    for rows in batched(places, STATEMENT_ROWS):
        for statement, part in (
            (CODES, [row for row in rows if row.postal_code]),
            (CITIES, [row for row in rows if not row.postal_code]),
        ):
            if part:
                made = _write(statement, part)
                new, old = new + sum(made), old + len(made) - sum(made)
    return new, old


@transaction.atomic
def _write(statement: str, rows: list[Known]) -> list[bool]:
    columns = [
        [getattr(row, name) for row in rows]
        for name in ("country", "postal_code", "city", "region", "population", "latitude", "longitude")
    ]
    with connection.cursor() as cursor:
        cursor.execute(statement, columns)
        return [is_new for (is_new,) in cursor.fetchall()]
