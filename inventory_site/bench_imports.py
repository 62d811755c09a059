"""An import of products applied, beside a bare COPY and merge of the same columns: rows a second.

Ours writes what an import owes besides: the look whether anything moved, history of every row, and the versions the
import may be taken back by. The other writes the products alone, with the same indexes and triggers on them. Both run
in a transaction that is rolled back, so that every turn finds the same catalog.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from django.core.management import call_command
from django.db import connection, transaction

from catalog.models import CatalogImport, ProductType, Variant
from catalog.operations import plans
from inventory_site import bench
from inventory_site.bench import ACTOR, Figure
from partners.files import Row

ROWS = 100_000
BARE_STAGE = "CREATE TEMP TABLE staged (sku text, name text, brand text, attributes jsonb) ON COMMIT DROP"
BARE_MERGE = """
    MERGE INTO catalog_variant variant USING staged ON variant.sku = staged.sku
    WHEN MATCHED THEN UPDATE SET name = staged.name, brand = staged.brand, attributes = staged.attributes,
                                 version = variant.version + 1, updated_at = now()
    WHEN NOT MATCHED THEN INSERT (sku, name, brand, product_type_id, is_parent, gtin, gtin14, attributes, tracking,
                                  unit, status, version, updated_at)
         VALUES (staged.sku, staged.name, staged.brand, 'general', false, '', '', staged.attributes, 'none', 'each',
                 'active', 1, now())
"""


class _TurnOver(Exception):
    """Rolls a turn back."""


def rows(count: int) -> Iterator[Row]:
    """Half of them are there already under another name."""
    for number in range(count):
        values = {
            "productId": f"IMP-{number:07}",
            "name": f"Brake pad set {number % 977}",
            "brand": f"Brand {number % 60}",
        }
        yield Row(number + 2, values | {"attributes.finish": ("matte", "satin")[number % 2]})


def fill(count: int) -> None:
    """The products that are there, and a plan to change them and add as many."""
    ProductType.objects.get_or_create(code="general", defaults={"name": "General"})
    there = [row for row in rows(count) if row.number % 2 == 0]
    first = plans.plan(
        rows=[Row(row.number, row.values | {"name": "Before"}) for row in there], kind="products", title="Ground",
        actor=ACTOR,
    )  # fmt: skip
    plans.apply(plan=first, actor=ACTOR)
    plans.plan(rows=rows(count), kind="products", title="Measured", actor=ACTOR)


def apply_plan(plan: CatalogImport) -> float:
    """Rows a second."""
    return _timed(lambda: plans.apply(plan=plan, actor=ACTOR), plan.row_count)


def merge_bare(count: int) -> float:
    def merge() -> None:
        with connection.cursor() as cursor:
            cursor.execute(BARE_STAGE)
            with cursor.copy("COPY staged FROM STDIN") as copy:
                for row in rows(count):
                    values = row.values
                    finish = f'{{"finish": "{values["attributes.finish"]}"}}'
                    copy.write_row((values["productId"], values["name"], values["brand"], finish))
            cursor.execute("ANALYZE staged")
            cursor.execute(BARE_MERGE)

    return _timed(merge, count)


def _timed(work: Callable[[], object], count: int) -> float:
    taken = 0.0
    try:
        with transaction.atomic():
            began = time.perf_counter()
            work()
            taken = time.perf_counter() - began
            raise _TurnOver
    except _TurnOver:
        return count / taken


def run(*, turns: int, only: Sequence[str], say: Callable[[str], None], count: int = ROWS) -> Iterator[Figure]:
    """In a database <name>_bench_imports beside the one it is given, or the one a run before has left."""
    name = f"imports of {count:,} products applied"
    if only and not any(word in name for word in only):
        return
    database = f"{connection.settings_dict['NAME']}_bench_imports"
    bench.make(database, say)
    with bench.database(database):
        call_command("migrate", verbosity=0)
        if not Variant.objects.exists():
            say(f"Filling {database}: {count:,} rows")
            fill(count)
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
        plan = CatalogImport.objects.get(title="Measured")
        yield bench.measure(
            name=name, beside="COPY and MERGE", reach="0.3", turns=turns, ours=lambda: apply_plan(plan),
            other=lambda: merge_bare(plan.row_count),
        )  # fmt: skip
