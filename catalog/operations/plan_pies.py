"""What each Item of a PIES file would do: to its product, to its prices, and to the parts it is linked with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import batched
from typing import Any

from django.utils import timezone

from catalog import queries, records
from catalog.models import CatalogImport, CatalogImportRow, SupplierItem, Variant
from catalog.operations import pies_files, plan_links, plan_reading, prices
from catalog.operations.pies_files import ItemRow, PiesFile
from catalog.operations.plan_prices import Tried
from catalog.operations.plan_products import Products
from catalog.operations.plan_reading import Planned
from catalog.operations.plan_terms import LINKS, PRICES
from catalog.operations.plan_writing import Writer
from catalog.records import Record
from partners import files
from partners.actors import Actor
from partners.models import Partner
from partners.problems import Problem

Outcome = CatalogImportRow.Outcome
PAGE_ROWS = 1_000
LEFT = "Prices and interchanges are left: what they touch is kept by the house, which takes them in from a file of its own."


class Items(Products):
    """Plans the Items of a file. They are kept as the reader gave them, and made rows of products each time they are
    planned, for which product a part is, and what it has that the file does not name, may have changed.

    A price or a link that is refused has a row of its own, at its own line, and leaves its product standing.
    """

    def __init__(self, *, actor: Actor, supplier: Partner | None) -> None:
        super().__init__(actor=actor, supplier=supplier)
        self.actor = actor
        self.file.record = "Item"
        self.items = PiesFile(actor=actor)
        self.lists: dict[str, str] = {}
        self.at = timezone.now()

    @property
    def ground(self) -> dict[str, Any]:
        return super().ground | {"lists": self.lists}

    def take(self, rows: Sequence[files.Row]) -> list[Planned]:
        """Plan a chunk; its prices in a few statements."""
        found = [[records.record_of(said) for said in (row.values, *row.values.get("others", ()))] for row in rows]
        there = pies_files.There(item[0].values for item in found if not item[0].fault)
        hidden = self._hidden(there)
        told = [self._by_columns(item, there, hidden) for item in found]
        planned = iter(super().take([row for row, _ in told if row.values or row.fault]))
        kept = []
        for row, (item, notes) in zip(rows, told, strict=True):
            one = next(planned) if item.values or item.fault else Planned(number=row.number, said={})
            one.said = row.values
            one.reasons += [("Item", note) for note in notes]
            kept.append(one)
        return kept + self._priced([(item, one) for (item, _), one in zip(told, kept, strict=True)])

    def finish(self, plan: CatalogImport) -> None:
        """Refuse what clashes among all rows, and find out about the links of those that are left."""
        super().finish(plan)
        if self.supplier is None:
            self._link(plan)
        elif any("others" in row.said for row in plan.rows.all()[:PAGE_ROWS]):
            self.report.notes.append(LEFT)
        if plan.brands:
            named = set(plan.rows.values_list("sku", flat=True))
            self.report.notes += pies_files.absent(brands=plan.brands, named=named)

    def _hidden(self, there: pies_files.There) -> set[int]:
        """Products a supplier has nothing to do with: that they are there is all it is told."""
        if self.supplier is None:
            return set()
        own = SupplierItem.objects.filter(variant__in=there.variants, supplier=self.supplier)
        return set(there.variants) - set(own.values_list("variant_id", flat=True))

    def _by_columns(
        self, item: Sequence[Record], there: pies_files.There, hidden: set[int]
    ) -> tuple[ItemRow, list[str]]:
        row = self.items.row_of(item, there)
        notes = [note.partition(": ")[2] for note in self.items.report.notes]
        self.items.report.notes.clear()
        if row is None:
            row = ItemRow(item[0].line, {})
        elif hidden and not row.fault and any(there.variants[pk].sku == row.values["productId"] for pk in hidden):
            number = item[0].values["partNumber"]
            row = ItemRow(row.number, {}, f"{number} is a product that is not supplied by you")
        return row, notes

    def _priced(self, items: Sequence[tuple[ItemRow, Planned]]) -> list[Planned]:
        """Tell each row what becomes of its product's prices; rows of those that are refused."""
        if self.supplier is not None:
            return []
        standing = {row.sku: row for _, row in items if row.sku and row.outcome != Outcome.REFUSED}
        lines = [
            pies_files.price_row(sku=row.sku, price=price)
            for item, row in items
            if row.outcome != Outcome.REFUSED and item.values.get("productId") == row.sku
            for price in item.prices
        ]
        refused = []
        for some in batched(lines, prices.ROWS_MAX):
            tried = Tried(actor=self.actor, at=self.at)
            skus = {line.values["productId"] for line in some if not line.fault}
            tried.try_out(some, new={sku for sku in skus if standing[sku].outcome == Outcome.NEW})
            self.lists |= {line.values["priceList"]: line.values["currency"] for line in some if not line.fault}
            for sku in tried.after:
                _extend(standing[sku], PRICES, tried.before[sku], tried.after[sku])
            refused += [_refused(line, problem) for line, problem in tried.refused]
        return refused

    def _link(self, plan: CatalogImport) -> None:
        found = _linked(plan)
        first = next(found, None)
        if first is None:
            return
        writer = Writer(plan_id=plan.pk, number=plan.number, doc="after", actor=self.actor)
        tried = plan_links.Tried(writer=writer, actor=self.actor)
        tried.try_out(_and_the_rest(first, found), new_types=queries.import_new_types(plan_id=plan.pk))
        named = plan.rows.filter(sku__in=tried.lines).exclude(outcome=Outcome.REFUSED)
        rows = {row.sku: row for row in named.order_by("-pk").iterator()}
        for sku, row in rows.items():
            if row.outcome != Outcome.NEW:
                row.before[LINKS], row.outcome = tried.before[sku], Outcome.CHANGED
            row.after[LINKS] = tried.after[sku]
        CatalogImportRow.objects.bulk_update(rows.values(), ["before", "after", "outcome"], batch_size=PAGE_ROWS)
        others = Variant.objects.filter(sku__in=tried.lines.keys() - rows.keys()).order_by("pk")
        more = [
            Planned(
                number=tried.lines[one.sku], said={}, sku=one.sku, variant_id=one.pk, base_version=one.version,
                outcome=Outcome.CHANGED, before={LINKS: tried.before[one.sku]}, after={LINKS: tried.after[one.sku]},
            )
            for one in others
        ]  # fmt: skip
        more += [_refused(line, problem) for line, problem in tried.refused]
        plan_reading.keep(plan_id=plan.pk, rows=more)


def _linked(plan: CatalogImport) -> Iterator[Record]:
    """What the Items that are not refused are linked with, page by page."""
    last, rows = 0, plan.rows.exclude(outcome=Outcome.REFUSED).filter(said__has_key="others").order_by("pk")
    while page := list(rows.filter(pk__gt=last).values_list("pk", "said")[:PAGE_ROWS]):
        for _, said in page:
            yield from (records.record_of(one) for one in said["others"] if one["kind"] == "equivalent")
        last = page[-1][0]


def _and_the_rest(first: Record, rest: Iterator[Record]) -> Iterator[Record]:
    yield first
    yield from rest


def _extend(row: Planned, name: str, before: Any, after: Any) -> None:
    if row.outcome != Outcome.NEW:
        row.before, row.outcome = row.before | {name: before}, Outcome.CHANGED
    row.after = row.after | {name: after}


def _refused(line: int, problem: Problem) -> Planned:
    row = Planned(number=line, said={})
    row.refuse(problem)
    return row
