"""Packs, further numbers, notes and offers of a planned row: tried out, kept as documents, and written from them again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from catalog.models import Pack, RegulatoryNote, SupplierItem, Variant
from catalog.operations import columns, compliance, identifiers, offers, packs
from catalog.operations.compliance import NoteOf
from catalog.operations.identifiers import IdentifierOf
from catalog.operations.offers import Source
from catalog.operations.packs import PackOf
from partners.models import Partner
from partners.problems import InvalidInput

# Terms that are not JSON's own.
DECIMALS = ("lead_time_days", "lead_time_deviation_days", "cost")


@dataclass(frozen=True, kw_only=True)
class Tried:
    """The lists that would change, before and after, and whether a number of somebody's own is among it."""

    before: dict[str, Any]
    after: dict[str, Any]
    is_own: bool


class _Undo(Exception):
    """Takes what was tried back."""


def try_out(
    *, variant: Variant, is_new: bool, frees_gtin: bool, fields: dict[str, Any], supplier: Partner | None
) -> Tried:
    """Set the lists as `products.revise` would, look, and take it back. Some ten queries.

    With `frees_gtin` the product gives up the GTIN it has, and a pack may take it.
    Raises what packs, identifiers and offers raise.
    """
    found: list[Tried] = []
    try:
        with transaction.atomic():
            row = _stand_in(variant) if is_new else variant
            before = {} if is_new else documents(row)
            if frees_gtin:
                Variant.objects.filter(pk=row.pk).update(gtin="", gtin14="")
            if "packs" in fields:
                packs.set_packs(variant=row, packs=fields["packs"])
            change = identifiers.Change()
            if "identifiers" in fields:
                rows = _visible(fields["identifiers"], supplier)
                change = identifiers.replace(variant=row, rows=rows, viewer=supplier)
            if "notes" in fields:
                compliance.set_notes(of=row, notes=fields["notes"])
            if "sources" in fields:
                offers.set_sources(variant=row, sources=fields["sources"], supplier=supplier)
            after = documents(row)
            changed = {name for name, document in after.items() if document != before.get(name, [])}
            found.append(
                Tried(
                    before={name: before.get(name, []) for name in changed},
                    after={name: after[name] for name in changed},
                    is_own=change.is_own,
                )
            )
            raise _Undo
    except _Undo:
        return found[0]


def _stand_in(variant: Variant) -> Variant:
    """A row for the lists to hang on, outside history."""
    row = Variant(
        sku=variant.sku, name=variant.name, product_type_id="general", gtin=variant.gtin, gtin14=variant.gtin14,
        updated_at=timezone.now(),
    )  # fmt: skip
    try:
        with transaction.atomic():
            Variant.objects.bulk_create([row])
    except IntegrityError as error:
        raise identifiers.understood(error, field="gtin") from error
    return row


def _visible(rows: list[IdentifierOf], supplier: Partner | None) -> list[IdentifierOf]:
    """Others' own numbers are not a supplier's to see or to say."""
    return [row for row in rows if supplier is None or row.partner is None or row.partner.pk == supplier.pk]


def documents(variant: Variant) -> dict[str, Any]:
    """The lists of a product as a row keeps them. Four queries."""
    names = dict(Pack.objects.filter(variant=variant).values_list("pk", "name"))
    return {
        "packs": [
            {
                "name": pack.name, "quantity": pack.quantity, "gtin": pack.gtin14, "level": pack.level,
                "filled_with": pack.filled_with.name if pack.filled_with else "",
            }
            for pack in Pack.objects.filter(variant=variant).select_related("filled_with").order_by("quantity", "name")
        ],
        "identifiers": [
            {
                "scheme": row.scheme, "value": row.value, "pack": row.pack,
                "partner": row.partner.pk if row.partner else None,
            }
            for row in sorted(columns.kept(variant, but=set()), key=lambda row: (row.scheme, row.value, row.pack))
        ],
        "notes": [
            {
                "jurisdiction": row.jurisdiction, "text": row.text, "document": row.document,
                "valid_from": row.valid_from and row.valid_from.isoformat(),
                "valid_to": row.valid_to and row.valid_to.isoformat(),
            }
            for row in RegulatoryNote.objects.filter(variant=variant).order_by("id")
        ],
        "sources": [
            offer(item=item, pack_names=names)
            for item in SupplierItem.objects.filter(variant=variant).order_by("supplier_id").select_related("supplier")
        ],
    }  # fmt: skip


def offer(*, item: SupplierItem, pack_names: Mapping[int, str]) -> dict[str, Any]:
    """An offer as a row keeps it; what it says nothing of is left out."""
    terms = {name: getattr(item, name) for name in offers.TERMS if name != "pack"}
    said = {
        name: value if isinstance(value, int) else str(value)
        for name, value in terms.items()
        if value not in (None, "")
    }
    if item.pack_id:
        said["pack"] = pack_names[item.pack_id]
    return {"supplier": item.supplier_id, "supplier_code": item.supplier_code} | said


def write(*, variant: Variant, wanted: Mapping[str, Any]) -> None:
    """Make the lists what a row keeps of them. The caller holds the product's lock. Raises as `try_out` does."""
    if "packs" in wanted:
        packs.set_packs(variant=variant, packs=[PackOf(**pack) for pack in wanted["packs"]])
    if "identifiers" in wanted:
        whose = Partner.objects.in_bulk([row["partner"] for row in wanted["identifiers"] if row["partner"]])
        rows = [IdentifierOf(**row | {"partner": whose.get(row["partner"])}) for row in wanted["identifiers"]]
        identifiers.replace(variant=variant, rows=rows)
    if "notes" in wanted:
        days = ("valid_from", "valid_to")
        told = [row | {day: row[day] and date.fromisoformat(row[day]) for day in days} for row in wanted["notes"]]
        compliance.set_notes(of=variant, notes=[NoteOf(**row) for row in told])
    if "sources" in wanted:
        known = Partner.objects.in_bulk([row["supplier"] for row in wanted["sources"]])
        if len(known) < len(wanted["sources"]):
            raise InvalidInput.at("suppliers", "A supplier is gone.")
        offers.set_sources(variant=variant, sources=[_source(row, known) for row in wanted["sources"]])


def _source(row: Mapping[str, Any], known: Mapping[int, Partner]) -> Source:
    terms: dict[str, Any] = {name: row.get(name) for name in offers.TERMS}
    terms |= {name: Decimal(terms[name]) for name in DECIMALS if terms[name] is not None}
    if terms["last_confirmed_on"]:
        terms["last_confirmed_on"] = date.fromisoformat(terms["last_confirmed_on"])
    terms["currency"] = terms["currency"] or ""
    return Source(supplier=known[row["supplier"]], supplier_code=row["supplier_code"], terms=terms)
