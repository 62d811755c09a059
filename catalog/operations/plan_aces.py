"""What each App of an ACES file would do, and what goes because a FULL file does not name it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import batched
from typing import Any

from django.db import connection

from catalog import parts, records
from catalog.models import CatalogImport, Fitment
from catalog.operations import aces_files, plan_reading
from catalog.operations.aces_files import AcesFile
from catalog.operations.fitments import Fits
from catalog.operations.plan_fitments import KEY, Fitments, Outcome, going
from catalog.operations.plan_reading import Planned, not_its_own
from partners import files
from partners.actors import Actor
from partners.models import Partner

PAGE_ROWS = 5_000


class Apps(Fitments):
    """Plans the Apps of a file. They are kept as the reader gave them, and made rows of fitments each time they are
    planned, for which product a part is may have changed. Of what is said twice the last word counts."""

    file: AcesFile

    def __init__(self, *, actor: Actor, supplier: Partner | None, source: str, brands: Sequence[str]) -> None:
        super().__init__(actor=actor, supplier=supplier, source=source)
        self.file = AcesFile(actor=actor)
        self.brands = list(brands)

    def named(self, rows: Sequence[files.Row]) -> Sequence[files.Row]:
        """The Apps by the columns of fitments. To a supplier only what it alone supplies is a product."""
        apps = [records.record_of(row.values) for row in rows]
        known = aces_files.parts_of(apps)
        if self.supplier is not None:
            ids = [product.pk for many in known.of_brand.values() for product in many]
            known = _without(known, not_its_own(variant_ids=ids, supplier=self.supplier))
        return [self._held_to_brands(aces_files.row_of(record=app, known=known)) for app in apps]

    def _held_to_brands(self, row: aces_files.AppRow) -> files.Row:
        brand = row.values.get("brandAaiaId", "")
        if not self.brands or row.fault or brand in self.brands:
            return row
        return files.Row(row.number, {}, f"{brand!r} is not of the set of {', '.join(self.brands)}")

    def take(self, rows: Sequence[files.Row]) -> list[Planned]:
        planned = super().take(rows)
        for row in planned:
            row.reasons += [("App", note) for note in row.said.get("notes", ())]
        return planned

    def settle(self, row: Planned, fits: Fits, there: tuple[int, str] | None) -> None:
        if not row.said.get("isDrop"):
            super().settle(row, fits, there)
        elif self.brands:
            # A FULL file takes away by what it does not say.
            row.key = None
        elif there is not None:
            row.outcome, row.before = Outcome.DROPPED, going(fits, there=there)

    def finish(self, plan: CatalogImport) -> None:
        """The last word on each fitment, and what a FULL file lets go: nothing where an App is refused."""
        with connection.cursor() as cursor:
            cursor.execute(LAST_WORD, {"plan": plan.pk})
        if not self.brands:
            return
        if plan.rows.filter(outcome=Outcome.REFUSED).exists():
            self.report.notes.append("Apps are refused, so the set may not be whole: no fitment is taken away")
            return
        for page in absent(plan=plan):
            plan_reading.keep(plan_id=plan.pk, rows=[_going(row) for row in page])


def _without(known: parts.Parts, others: set[int]) -> parts.Parts:
    found = parts.Parts()
    for part, many in known.of_brand.items():
        found.of_brand[part] = [product for product in many if product.pk not in others]
    return found


LAST_WORD = """
    UPDATE catalog_catalogimportrow row
       SET outcome = 'unchanged', before = '{}', after = '{}', key = NULL,
           reasons = row.reasons || jsonb_build_array(jsonb_build_array('App', 'line ' || found.last || ' has the last word on it'))
      FROM (SELECT id, first_value(number) OVER said AS last, row_number() OVER said AS turn
              FROM catalog_catalogimportrow WHERE plan_id = %(plan)s AND outcome <> 'refused' AND key IS NOT NULL
            WINDOW said AS (PARTITION BY key ORDER BY id DESC)) found
     WHERE row.id = found.id AND found.turn > 1
"""
ABSENT = f"""
    SELECT f.id, {KEY.format(one="f")} FROM catalog_fitment f
     WHERE f.source = %(source)s AND f.source <> '' AND f.brand_aaia_id = ANY(%(brands)s)
       AND NOT EXISTS (SELECT FROM catalog_catalogimportrow row
                        WHERE row.plan_id = %(plan)s AND row.outcome <> 'refused' AND row.key = {KEY.format(one="f")})
     ORDER BY f.id
"""


def absent(*, plan: CatalogImport) -> Iterator[list[tuple[Fitment, str]]]:
    """What its source says of the brands of a FULL file and no row names, page by page, each with its key.

    Of a supplier's file, only what is of products it alone supplies. A query, and two or three for each page.
    """
    with connection.cursor() as cursor:
        cursor.execute(ABSENT, {"plan": plan.pk, "source": plan.fitment_source, "brands": plan.brands})
        found = cursor.fetchall()
    for some in batched(found, PAGE_ROWS):
        keys = dict(some)
        page = list(Fitment.objects.filter(pk__in=keys).select_related("variant").order_by("pk"))
        if plan.supplier is not None:
            others = not_its_own(variant_ids=[row.variant_id for row in page], supplier=plan.supplier)
            page = [row for row in page if row.variant_id not in others]
        yield [(row, str(keys[row.pk])) for row in page]


def _going(found: tuple[Fitment, str]) -> Planned:
    row, key = found
    said: dict[str, Any] = {name: getattr(row, name) for name in Fits.__dataclass_fields__}
    return Planned(
        number=0, said={}, sku=row.variant.sku, variant_id=row.variant_id, outcome=Outcome.DROPPED, key=key,
        before=going(Fits(**said), there=(row.quantity, row.note)),
        reasons=[("App", "the FULL file does not name it")],
    )  # fmt: skip
