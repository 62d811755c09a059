# ruff: noqa: S311  (chance that needs no secrecy)
"""Search beside its bare SQL: 100,000 products named like real ones, asked for as people ask.

Names are made by the database from the words of the demo's products (real ones from Open Food Facts, Open Beauty
Facts and Ulta's shades, see demo_data/ATTRIBUTION.md) with invented names of series between them, so that there are
as many different words as in a real catalog of that size.
"""

from __future__ import annotations

import csv
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import Max, Min

from catalog import search
from catalog.models import ProductType, Variant
from catalog.search import finding
from inventory_site import bench
from inventory_site.bench import Figure

VARIANTS = 100_000
DEMO = Path(__file__).parent / "demo_data"

WORDS = """
CREATE TEMP TABLE word ON COMMIT DROP AS
SELECT row_number() OVER () - 1 AS place, * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[])
    AS word (name, brand, shade, kind)
"""
# An invented word: two to four syllables by the digits of a number.
SERIES = """
CREATE FUNCTION pg_temp.series(number bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT initcap(string_agg(substr('bodilumeranosivotakifupexagy', 1 + 2 * (number / (14 ^ place)::bigint % 14)::int, 2),
                              '' ORDER BY place))
      FROM generate_series(0, 1 + (number % 3)::int) place
$$
"""
PRODUCTS = """
INSERT INTO catalog_variant (sku, name, brand, product_type_id, is_parent, gtin, gtin14, attributes, tracking, unit,
    status, version, updated_at)
SELECT upper(left(regexp_replace(word.brand, '[^A-Za-z]', '', 'g'), 4)) || 'X-' || lpad(n::text, 7, '0'),
       left(word.name, 200) || ' ' || pg_temp.series(n * 7919 %% 40000) || ' ' || 10 * (1 + n %% 40)
           || (ARRAY[' ml', ' g', 'mm', ' oz'])[1 + n %% 4],
       word.brand, word.kind, false, code, lpad(code, 14, '0'),
       jsonb_build_object('shade', other.shade, 'finish', (ARRAY['matte', 'dewy', 'satin', 'ceramic'])[1 + n %% 4]),
       'none', 'each', 'active', 1, now()
  FROM generate_series(1, %(variants)s) n
  JOIN word ON word.place = n %% %(words)s
  JOIN word other ON other.place = n * 31 %% %(words)s,
       -- A GTIN-13 with its check digit (GS1 General Specifications 7.9.1).
       LATERAL (SELECT '29' || lpad(n::text, 10, '0') AS body) made,
       LATERAL (SELECT body || (10 - (SELECT sum(substr(body, place, 1)::int * (1 + 2 * ((place + 1) %% 2)))
                                        FROM generate_series(1, 12) place) %% 10) %% 10 AS code) whole
"""
FITMENTS = """
INSERT INTO catalog_fitment (variant_id, make, model, year_from, year_to, engine, "position", quantity, note)
SELECT variant.id, car.make, car.model, 1995 + variant.id %% 15, 2009 + variant.id %% 12, '', '', 1, ''
  FROM catalog_variant variant
  JOIN unnest(%(makes)s::text[], %(models)s::text[]) WITH ORDINALITY AS car (make, model, place)
    ON (variant.id + car.place) %% 8 = 0
 WHERE variant.product_type_id = 'auto'
"""

Row = tuple[str, str, str]
Asking = Callable[[random.Random, Row], str]
PARTS = ("brake rotor", "air filter", "rear brake", "wiper", "ceramic")
VEHICLES = ("Civic", "Accord", "Golf", "Jetta", "Corolla", "Honda Civic", "Toyota Camry")


def _mistyped(chance: random.Random, word: str) -> str:
    """One letter of the middle left out, or two of them changed about."""
    if len(word) < 5:
        return word
    place = chance.randrange(2, len(word) - 1)
    if chance.random() < 0.5:
        return word[:place] + word[place + 1 :]
    return word[: place - 1] + word[place] + word[place - 1] + word[place + 1 :]


# How people ask, of a product by its SKU, barcode and name.
KINDS: dict[str, Asking] = {
    "sku": lambda chance, row: row[0],
    "prefix": lambda chance, row: row[0][: chance.randint(1, len(row[0]) - 1)],
    "barcode": lambda chance, row: row[1].lstrip("0"),
    "words": lambda chance, row: " ".join(chance.sample(row[2].split(), 2)),
    "typo": lambda chance, row: " ".join(_mistyped(chance, word) for word in row[2].split()[-4:-2]),
    "vehicle": lambda chance, row: f"{chance.randint(2000, 2012)} {chance.choice(VEHICLES)} {chance.choice(PARTS)}",
}


def fill(*, variants: int) -> None:
    """Products and what some of them fit, made set by set in an empty catalog; the same every time."""
    with (DEMO / "products.csv").open(newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if row["name"]]
    with (DEMO / "fitments.csv").open(newline="") as handle:
        cars = sorted({(row["make"], row["model"]) for row in csv.DictReader(handle)})
    with transaction.atomic(), connection.cursor() as cursor:
        for kind in sorted({row["productType"] for row in rows}):
            ProductType.objects.get_or_create(code=kind, defaults={"name": kind.capitalize()})
        columns = [[row[name] for row in rows] for name in ("name", "brand", "attributes.shade", "productType")]
        cursor.execute(WORDS, columns)
        cursor.execute(SERIES)
        cursor.execute(PRODUCTS, {"variants": variants, "words": len(rows)})
        cursor.execute(FITMENTS, {"makes": [make for make, _ in cars], "models": [model for _, model in cars]})


def asked(kind: str, count: int, seed: int) -> list[str]:
    """Questions of a kind, by chance but the same every time, of products that are there."""
    chance = random.Random(seed)
    ids = Variant.objects.aggregate(first=Min("pk"), last=Max("pk"))
    chosen = [chance.randint(ids["first"], ids["last"]) for _ in range(2 * count)]
    rows = Variant.objects.filter(pk__in=chosen).order_by("pk").values_list("sku", "gtin", "name")
    return [KINDS[kind](chance, row) for row in rows[:count]]


def bare(text: str) -> Callable[[], Any]:
    """The same two statements with the same values through psycopg alone."""
    question = finding.understand(text)
    first = finding.UNDERSTAND, {"text": question.text, "most": finding.VEHICLES_SEEN_MAX}
    steps = [first, finding.prepare(question)] if question.words else [first]

    def once() -> None:
        with psycopg.ClientCursor(connection.connection) as cursor:
            for statement, values in steps:
                cursor.execute(statement, values).fetchall()

    return once


def pace(questions: Sequence[Callable[[], Any]]) -> float:
    """Questions a second at the pace 19 of 20 keep."""
    taken = []
    for ask in questions:
        began = time.perf_counter()
        ask()
        taken.append(time.perf_counter() - began)
    return 1 / statistics.quantiles(taken, n=20)[-1]


def run(
    *, turns: int, only: Sequence[str], say: Callable[[str], None], variants: int = VARIANTS, questions: int = 200
) -> Iterator[Figure]:
    """Each kind of question beside its bare SQL: the 95th percentiles, as questions a second at that pace.

    Makes a database <name>_bench_search beside the one it is given, or takes the one a run before has left.
    """
    names = {kind: f"search by {kind}, 95th percentile of {variants:,} products" for kind in KINDS}
    wanted = {kind: name for kind, name in names.items() if not only or any(word in name for word in only)}
    if not wanted:
        return
    database = f"{connection.settings_dict['NAME']}_bench_search"
    bench.make(database, say)
    with bench.database(database):
        call_command("migrate", verbosity=0)
        if not Variant.objects.exists():
            say(f"Filling {database}: {variants:,} products")
            fill(variants=variants)
            with connection.cursor() as cursor:
                cursor.execute("VACUUM ANALYZE")
        for kind, name in wanted.items():
            texts = asked(kind, questions, seed=1)
            ours = [partial(search.find, text) for text in texts]
            other = [bare(text) for text in texts]
            yield bench.measure(
                name=name, beside="its SQL through psycopg",
                reach="0.5", turns=turns, ours=partial(pace, ours), other=partial(pace, other),
            )  # fmt: skip
