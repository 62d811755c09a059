"""What the catalog's rooms ask of several tables at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from catalog import schemas
from catalog.models import CatalogImport, CatalogImportRow, ProductType, ProductTypeSchema, RegulatoryNote, Variant
from catalog.schemas import FieldError, Schemas, Validator
from partners import prepared
from partners.models import Partner

# So many products of a type are tried against a schema before it is saved: some tenths of a second.
TRIED_MAX = 2_000
NAMED_MAX = 20


STOCKED = """
    SELECT variant.id, variant.sku, EXISTS (SELECT FROM catalog_kitcomponent part WHERE part.kit_id = variant.id)
      FROM catalog_variant variant
     WHERE variant.sku = ANY(%s::text[]) AND NOT variant.is_parent
       AND (%s::bigint IS NULL OR EXISTS (
           SELECT FROM catalog_supplieritem item WHERE item.variant_id = variant.id AND item.supplier_id = %s))
       AND (NOT %s::boolean OR variant.status = 'active')
"""


class Stocked(NamedTuple):
    """As much of a variant as it takes to ask for its stock."""

    pk: int
    sku: str
    is_kit: bool


def stocked_named(skus: Iterable[str], *, partner: Partner, is_active: bool = False) -> dict[str, Stocked]:
    """`Variant.objects.for_partner(partner).stocked()` by SKU, for the hot path. One query, prepared."""
    supplier_id = None if partner.assortment == Partner.Assortment.ALL else partner.pk
    rows = prepared.fetch(STOCKED, [list(skus), supplier_id, supplier_id, is_active])
    return {row[1]: Stocked(*row) for row in rows}


def newest_schemas(codes: Iterable[str] | None = None) -> Schemas:
    """The newest schema of these types, or of all. One query."""
    rows = ProductTypeSchema.objects.order_by("product_type_id", "-version").distinct("product_type_id")
    if codes is not None:
        rows = rows.filter(product_type__in=list(codes))
    found = rows.values_list("product_type", "version", "schema")
    return Schemas({code: (version, schemas.understood(schema)) for code, version, schema in found})


def newest_schema(*, code: str) -> Validator | None:
    """The newest schema of the type that is called so, whatever the capitals; None where it has none. One query."""
    row = ProductTypeSchema.objects.filter(product_type__code__iexact=code).order_by("-version").first()
    return schemas.understood(row.schema) if row else None


def type_codes() -> dict[str, str]:
    """The codes of the types there are, by how they read in small letters. One query."""
    return {code.lower(): code for code in ProductType.objects.values_list("code", flat=True)}


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What a schema would refuse of the products there are: of the first so many, how many, and some of them."""

    tried: int
    is_all: bool
    failing: int
    named: list[tuple[str, list[FieldError]]]


def try_schema(*, code: str, schema: Mapping[str, Any]) -> Trial:
    """Check a type's products (the youngest first) against a schema. One query, at most 2,001 rows."""
    validator = schemas.understood(schema)
    rows = (
        Variant.objects.filter(product_type=code).order_by("-pk").values_list("sku", "attributes", "is_parent", "axes")
    )
    found = list(rows[: TRIED_MAX + 1])
    wrong = [
        (sku, errors)
        for sku, attributes, is_parent, axes in islice(found, TRIED_MAX)
        if (errors := validator.errors_of(attributes, is_parent=is_parent or bool(axes)))
    ]
    return Trial(
        tried=min(len(found), TRIED_MAX), is_all=len(found) <= TRIED_MAX, failing=len(wrong), named=wrong[:NAMED_MAX]
    )


@dataclass(frozen=True, kw_only=True)
class Warranty:
    """How long, for what, and in which words."""

    months: int
    per: str
    terms: str
    said_by: str


@dataclass(frozen=True, kw_only=True)
class Compliance:
    """What counts for a product on a day: its own words first, then those of its type."""

    shelf_life_days: int | None
    requires_batch: bool
    requires_expiry: bool
    warranty: Warranty | None
    notes: list[RegulatoryNote]


def compliance_of(variant: Variant, *, on: date, jurisdiction: str = "") -> Compliance:
    """What counts for a product whose type is at hand. One query, at most as many notes as both may have.

    With a `jurisdiction`, the notes of that place, of what it is part of, and of everywhere.
    """
    kind = variant.product_type
    notes = RegulatoryNote.objects.valid(on).filter(Q(variant=variant) | Q(product_type=kind))
    if jurisdiction:
        places = {"", jurisdiction, jurisdiction.partition("-")[0]}
        notes = notes.filter(jurisdiction__in=places)
    return Compliance(
        shelf_life_days=kind.shelf_life_days if variant.shelf_life_days is None else variant.shelf_life_days,
        requires_batch=kind.requires_batch,
        requires_expiry=kind.requires_expiry,
        warranty=warranty_of(variant, kind),
        notes=list(notes),
    )


def warranty_of(variant: Variant, kind: ProductType) -> Warranty | None:
    """The product's own terms where it names months, else its type's; none where neither does. Pure."""
    for said_by, one in (("product", variant), ("productType", kind)):
        if one.warranty_months is not None:
            return Warranty(
                months=one.warranty_months, per=one.warranty_per or "unit", terms=one.warranty_terms, said_by=said_by
            )
    return None


# A worker that touched nothing for so long is taken for dead; each chunk of rows is a touch.
LEFT_SECONDS = 120
WAITING_MAX = 20
SLICE_BYTES = 1_000_000


def import_counts(*, plan_id: int) -> dict[str, int]:
    """How many rows of an import end how. One query over its own index."""
    rows = CatalogImport.objects.filter(pk=plan_id).values_list("rows__outcome").annotate(Count("rows"))
    found = {outcome: count for outcome, count in rows if outcome}
    return {name: found.get(name, 0) for name in CatalogImportRow.Outcome.values}


EFFECTS = """
    SELECT field, told.key, sum(told.value::bigint), count(*) FROM catalog_catalogimportrow row,
           jsonb_object_keys(row.after) field, jsonb_each_text(row.effects) told
     WHERE row.plan_id = %s AND row.outcome = 'changed' AND row.effects <> '{}' AND field = ANY(%s)
     GROUP BY field, told.key ORDER BY field, told.key
"""
HASH = """
    SELECT encode(sha256(coalesce(string_agg(md5(concat_ws('|', number, sku, outcome, after, before, base_version)), ''
                                             ORDER BY id), '')::bytea), 'hex')
      FROM catalog_catalogimportrow WHERE plan_id = %s
"""
NEW_TYPES = """
    SELECT DISTINCT after->>'product_type_id' FROM catalog_catalogimportrow
     WHERE plan_id = %s AND outcome IN ('new', 'changed') AND after ? 'product_type_id'
       AND NOT EXISTS (SELECT FROM catalog_producttype WHERE code = after->>'product_type_id')
"""


def import_content(*, plan_id: int) -> Iterator[bytes]:
    """The file an import waits with, a slice at a time: a query each."""
    start = 1
    with connection.cursor() as cursor:
        while True:
            cursor.execute(
                "SELECT substring(file_content FROM %s FOR %s) FROM catalog_catalogimport WHERE id = %s",
                [start, SLICE_BYTES, plan_id],
            )
            piece = bytes(cursor.fetchone()[0] or b"")
            if not piece:
                return
            yield piece
            start += SLICE_BYTES


def import_hash(*, plan_id: int) -> str:
    """SHA-256 over what would become of each row of an import. One query over its own rows."""
    with connection.cursor() as cursor:
        cursor.execute(HASH, [plan_id])
        return str(cursor.fetchone()[0])


def import_effects(*, plan_id: int, felt: list[str]) -> dict[str, dict[str, int]]:
    """What is on hand, reserved, ordered of products whose `felt` fields change: field → what → how many. One query."""
    found: dict[str, dict[str, int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(EFFECTS, [plan_id, felt])
        for field, what, total, rows in cursor.fetchall():
            told = found.setdefault(field, {"products": 0})
            told[what] = int(total)
            told["products"] = max(told["products"], rows)
    return found


def import_new_types(*, plan_id: int) -> list[str]:
    """Types the rows name that nobody has registered. One query."""
    with connection.cursor() as cursor:
        cursor.execute(NEW_TYPES, [plan_id])
        return [code for (code,) in cursor.fetchall()]


def imports_waiting(*, at: datetime) -> QuerySet[CatalogImport]:
    """Imports to plan or apply that nobody works on, the oldest first. One query, index catalog_import_at_work."""
    left = Q(touched_at=None) | Q(touched_at__lt=at - timedelta(seconds=LEFT_SECONDS))
    rows = CatalogImport.objects.filter(left, state__in=["planning", "applying"]).defer("file_content")
    return rows.order_by("pk")[:WAITING_MAX]


# So long an import that was not applied, or was taken back, keeps its rows to be looked at and planned again;
KEPT_DAYS = 90
# and so long an applied one can be undone, and keeps them for that.
UNDONE_DAYS = 365


def imports_over(*, at: datetime) -> QuerySet[CatalogImport]:
    """Imports that can give up their rows, and have not; none that another is being planned from. One query."""
    rows = CatalogImport.objects.annotate(last_at=Coalesce("touched_at", "created_at")).filter(forgotten_at=None)
    unapplied = Q(
        state__in=["planned", "refused", "outdated", "undone", "failed"], last_at__lt=at - timedelta(days=KEPT_DAYS)
    )
    applied = Q(state="applied", applied_at__lt=at - timedelta(days=UNDONE_DAYS))
    anew = CatalogImport.objects.filter(planned_from=OuterRef("pk"), state="planning")
    return rows.filter(unapplied | applied).exclude(Exists(anew))


def imports_forgotten() -> list[int]:
    """Imports that have given up their rows, and still have some. One query, a look into the rows' index for each."""
    left = CatalogImportRow.objects.filter(plan=OuterRef("pk"))
    rows = CatalogImport.objects.filter(Exists(left), forgotten_at__isnull=False)
    return list(rows.order_by("pk").values_list("pk", flat=True))
