"""The rows of a plan: as they come, as they are kept, and what is known of the products a chunk of them names."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection
from django.db.models import F

from catalog.models import CatalogImportRow, Identifier, KitComponent, Pack, SupplierItem, Variant
from catalog.operations.imports import CatalogFile
from catalog.operations.offers import Source
from partners.actors import Actor
from partners.models import Partner
from partners.problems import Problem

SHOWN_MAX = 500
HALF_PAIRS = re.compile(r"[\ud800-\udfff]")


@dataclass(kw_only=True)
class Planned:
    """What is to be kept of one row."""

    number: int
    said: dict[str, Any]
    sku: str = ""
    variant_id: int | None = None
    outcome: str = CatalogImportRow.Outcome.UNCHANGED
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    reasons: list[tuple[str, str]] = field(default_factory=list)
    effects: dict[str, int] = field(default_factory=dict)
    is_plain: bool = True
    base_version: int | None = None
    parent_version: int | None = None
    key: str | None = None

    def refuse(self, problem: Problem) -> None:
        self.outcome = CatalogImportRow.Outcome.REFUSED
        self.before, self.after = {}, {}
        found = problem.data.get("errors") or [{"field": problem.code, "detail": problem.detail}]
        self.reasons = [(one["field"][:80], one["detail"][:SHOWN_MAX]) for one in found[:20]]


COLUMNS = (
    "plan_id", "number", "sku", "variant_id", "outcome", "said", "before", "after", "reasons", "effects", "is_plain",
    "base_version", "parent_version", "key", "undoing",
)  # fmt: skip


def keep(*, plan_id: int, rows: Iterable[Planned]) -> None:
    """Write rows as they come, by COPY."""
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY catalog_catalogimportrow ({', '.join(COLUMNS)}) FROM STDIN") as copy,
    ):
        for row in rows:
            copy.write_row(
                (
                    plan_id, row.number, row.sku, row.variant_id, str(row.outcome), text_of(row.said),
                    text_of(row.before), text_of(row.after), text_of(row.reasons), text_of(row.effects), row.is_plain,
                    row.base_version, row.parent_version, row.key, "",
                )
            )  # fmt: skip


def count_anew() -> None:
    """Let the database know how many rows there are by now, which it would find out in its own time."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE catalog_catalogimportrow")


def text_of(value: Any) -> str:
    """JSON that PostgreSQL can keep; what a sender wrote and it cannot (NUL, half a pair, NaN) is shown as �."""
    if not value:
        return "[]" if isinstance(value, list) else "{}"
    try:
        text = json.dumps(value, ensure_ascii=False, default=str, sort_keys=True, allow_nan=False)
    except (ValueError, RecursionError, TypeError):
        text = json.dumps({str(name): str(inner)[:SHOWN_MAX] for name, inner in dict(value).items()}, sort_keys=True)
    if "\\u0000" in text or HALF_PAIRS.search(text):
        text = HALF_PAIRS.sub("�", text.replace("\\u0000", "�"))
    return text


class PlannedFile(CatalogFile):
    """Reads rows as `load_catalog` does, but knows suppliers and offers beforehand, and whose word a row is."""

    def __init__(self, *, actor: Actor, supplier: Partner | None) -> None:
        super().__init__(actor=actor)
        self.supplier = supplier
        self.suppliers: dict[str, Partner | None] = {supplier.code: supplier} if supplier else {}
        self.known = Known()

    def supplier_of(self, code: str) -> Partner | None:
        if self.supplier is not None and code != self.supplier.code:
            return None
        if code not in self.suppliers:
            self.suppliers[code] = super().supplier_of(code)
        return self.suppliers[code]

    def kept_sources(self, variant: Variant) -> dict[int, Source]:
        return {
            supplier_id: Source(supplier=item.supplier, supplier_code=item.supplier_code)
            for supplier_id, item in self.known.offers.get(variant.pk, {}).items()
            if self.supplier is None or supplier_id == self.supplier.pk
        }


@dataclass
class Known:
    """What there is of the products some rows name, and of their parents."""

    variants: dict[str, Variant] = field(default_factory=dict)
    parents: dict[str, Variant] = field(default_factory=dict)
    sold: set[int] = field(default_factory=set)
    """Parents-to-be that are sold themselves: kits, and what has a GTIN among its further numbers."""
    offers: dict[int, dict[int, SupplierItem]] = field(default_factory=dict)
    packs: dict[int, dict[str, int]] = field(default_factory=dict)
    not_its_own: set[int] = field(default_factory=set)
    unseen: set[int] = field(default_factory=set)
    """Of a supplier's rows: what is there and not in its sight."""


def findable(sku: str) -> str:
    """PostgreSQL takes neither NUL nor half a pair, not even to look for it."""
    return sku.replace("\x00", "").encode("utf-8", "ignore").decode()


def look_up(*, skus: set[str], parents: set[str], supplier: Partner | None) -> Known:
    """What is known of these products. At most eight queries, however many they are."""
    variants = {row.sku: row for row in Variant.objects.filter(sku__in=skus).select_related("parent")}
    known = Known(variants=variants)
    known.parents = {row.sku: row for row in Variant.objects.filter(sku__in=parents)} if parents else {}
    ids = [row.pk for row in variants.values()]
    above = [row.pk for row in known.parents.values()]
    if above:
        known.sold = set(KitComponent.objects.filter(kit__in=above).values_list("kit_id", flat=True))
        known.sold |= set(Identifier.objects.gtins().filter(variant__in=above).values_list("variant_id", flat=True))
    offers: defaultdict[int, dict[int, SupplierItem]] = defaultdict(dict)
    for item in SupplierItem.objects.filter(variant__in=ids).select_related("supplier"):
        offers[item.variant_id][item.supplier_id] = item
    packs: defaultdict[int, dict[str, int]] = defaultdict(dict)
    for variant_id, name, pk in Pack.objects.filter(variant__in=ids).values_list("variant_id", "name", "pk"):
        packs[variant_id][name] = pk
    known.offers, known.packs = offers, packs
    if supplier is not None:
        known.not_its_own = not_its_own(variant_ids=[*ids, *above], supplier=supplier)
        seen = Variant.objects.filter(pk__in=ids).for_partner(supplier)
        known.unseen = set(ids) - set(seen.values_list("pk", flat=True))
    return known


def not_its_own(*, variant_ids: Sequence[int], supplier: Partner) -> set[int]:
    """Those of the products that others supply too, or not the supplier, or that gather such. Two queries."""
    ids = list(variant_ids)
    shared: set[int] = set()
    for family in (Variant.objects.filter(pk__in=ids), Variant.objects.filter(parent__in=ids)):
        others = SupplierItem.objects.filter(variant__in=family).exclude(supplier=supplier).values("variant")
        without = family.exclude(supplier_items__supplier=supplier)
        for rows in (family.filter(pk__in=others), without):
            shared |= {pk for pair in rows.values_list("pk", F("parent")) for pk in pair if pk is not None}
    return shared & set(ids)
