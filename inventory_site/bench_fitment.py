# ruff: noqa: S311, S608  (chance that needs no secrecy; our own statements)
"""Fitments of a vehicle: the house's look-up beside its bare SQL, by the slowest of twenty.

Made up by the database, set by set: parts for two thousand models of sixty makes, a few of which have most of them,
as it is with cars. Half of the questions name an engine; each asks for the first page.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable

import psycopg
from django.db import connection

from catalog import fitting
from catalog.fitting import Asked
from catalog.models import Variant

MAKES, MODELS = 60, 2_000
ROWS = 50
SLICE_ROWS = 500_000
# Of n fitments the first's model is asked about most: numbers near 0 come most often from a squared chance.
FILL = f"""
    INSERT INTO catalog_fitment (variant_id, make, model, year_from, year_to, engine, "position", quantity, note)
    SELECT variant.id, 'Make ' || model %% {MAKES}, 'Model-' || model, first, least(first + span, 2026),
           CASE WHEN turn %% 3 = 0 THEN '' ELSE 1 + turn %% 5 || '.' || turn %% 10 || 'L' END, '', 1, ''
      FROM (SELECT n, n / %(variants)s AS turn, n %% %(variants)s AS place,
                   floor({MODELS} * pow(hashint8(n)::bigint / 4294967296.0 + 0.5, 2))::int AS model,
                   1985 + (hashint8(n * 7 + 1)::bigint & 31)::int AS first,
                   (hashint8(n * 13 + 5)::bigint & 7)::int AS span
              FROM generate_series(%(start)s, %(stop)s::bigint - 1) n) made
      JOIN (SELECT id, row_number() OVER (ORDER BY id) - 1 AS place FROM catalog_variant WHERE NOT is_parent) variant
        ON variant.place = made.place
    ON CONFLICT DO NOTHING
"""
BARE = """
    SELECT f.id, variant.sku, f.make, f.model, f.submodel, f.year_from, f.year_to, f.engine, f.qualifiers, f."position",
           f.quantity, f.note
      FROM catalog_fitment f JOIN catalog_variant variant ON variant.id = f.variant_id
     WHERE f.make_key = %s AND f.model_key = %s AND (f.year_to, f.id) > (%s, 0) AND f.year_from <= %s
       AND (%s = '' OR f.engine_key IN ('', %s))
     ORDER BY f.year_to, f.id LIMIT %s
"""


def fill(fitments: int, *, say: Callable[[str], None]) -> None:
    """Make so many fitments up, where there are none yet."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM catalog_fitment)")
        if cursor.fetchone()[0]:
            return
        say(f"Making up {fitments:,} fitments")
        variants = Variant.objects.stocked().count()
        for start in range(0, fitments, SLICE_ROWS):
            stop = min(start + SLICE_ROWS, fitments)
            cursor.execute(FILL, {"variants": variants, "start": start, "stop": stop})
        cursor.execute("VACUUM ANALYZE catalog_fitment")


def ask(seconds: float) -> float:
    """Look-ups a second of one asker, were each as slow as the slowest of twenty."""
    return 1 / p95(seconds, question, lambda asked: fitting.fitments(asked=asked, visible=None, limit=ROWS))


def read_bare(seconds: float) -> float:
    """The same pages by a hand-written statement, prepared, through psycopg."""
    connection.ensure_connection()

    def once(asked: Asked) -> None:
        year, engine = asked.year, asked.engine.replace(".", "").lower()
        key, name = asked.make.replace(" ", "").lower(), asked.model.replace("-", "").lower()
        with psycopg.Cursor(connection.connection) as cursor:
            cursor.execute(BARE, [key, name, year, year, engine, engine, ROWS], prepare=True).fetchall()

    return 1 / p95(seconds, question, once)


def p95[T](seconds: float, ask: Callable[[random.Random], T], once: Callable[[T], object]) -> float:
    """How long the slowest of twenty takes, in seconds."""
    chance = random.Random(1)
    taken: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(taken) < 2:
        asked = ask(chance)
        began = time.perf_counter()
        once(asked)
        taken.append(time.perf_counter() - began)
    return statistics.quantiles(taken, n=20)[-1]


def question(chance: random.Random) -> Asked:
    model = int(MODELS * chance.random() ** 2)
    engine = f"{chance.randint(1, 5)}.{chance.randint(0, 9)}L" if chance.random() < 0.5 else ""
    return Asked(make=f"Make {model % MAKES}", model=f"Model-{model}", year=chance.randint(1990, 2022), engine=engine)
