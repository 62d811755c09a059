"""What the columns of a catalog file say of offers and further numbers."""

from __future__ import annotations

from typing import Any

from catalog.models import Identifier, Variant
from catalog.operations.compliance import NoteOf
from catalog.operations.identifiers import VALUE_MAX, IdentifierOf
from catalog.operations.packs import QUANTITY_MAX, PackOf
from partners import loading
from partners.models import Partner
from partners.problems import InvalidInput

UNITS_MAX = 1_000_000_000
OFFER = {
    "pack": "pack",
    "supplierpack": "pack",
    "minimumorderquantity": "minimumOrderQuantity",
    "moq": "minimumOrderQuantity",
    "ordermultiple": "orderMultiple",
    "leadtimedays": "leadTimeDays",
    "leadtimedeviationdays": "leadTimeDeviationDays",
    "cost": "cost",
    "currency": "currency",
    "lastconfirmedon": "lastConfirmedOn",
}
# One number a column; several are written with semicolons between.
NUMBERS = {"asin": "asin", "brandpart": "brandPart", "partnumber": "brandPart", "oe": "oe", "oenumber": "oe"}

# What a column can be emptied of by naming it under `clear`: an empty cell says nothing.
CLEARED: dict[str, tuple[str, Any]] = {
    "brand": ("brand", ""),
    "shelfLifeDays": ("shelf_life_days", None),
    "warrantyMonths": ("warranty_months", None),
    "warrantyPer": ("warranty_per", ""),
    "warrantyTerms": ("warranty_terms", ""),
}
CLEARED_MAX = 100


def cleared(values: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """What `clear` empties: fields with their empty value, and names of attributes. Raises InvalidInput at `clear`.

    A list of columns, or in a table with `|` between them.
    """
    said = values.get("clear")
    names = said if isinstance(said, list) else loading.text(values, "clear", 5_000, is_required=False).split("|")
    if len(names) > CLEARED_MAX:
        raise InvalidInput.at("clear", f"names more than {CLEARED_MAX} columns")
    fields: dict[str, Any] = {}
    attributes: set[str] = set()
    for name in (str(name).strip() for name in names):
        if name.startswith("attributes.") and name not in values:
            attributes.add(name.removeprefix("attributes."))
        elif name in CLEARED and values.get(name) in (None, ""):
            field, empty = CLEARED[name]
            fields[field] = empty
        elif name:
            is_said = name in CLEARED or name.startswith("attributes.")
            why = (
                "is set in the same row"
                if is_said
                else f"cannot be cleared; {', '.join(CLEARED)} and attributes.<name> can"
            )
            raise InvalidInput.at("clear", f"{name[:80]} {why}")
    return fields, attributes


def terms_of(values: dict[str, Any]) -> dict[str, Any]:
    """The terms of an offer, as operations.offers names them; an empty cell says nothing."""
    said: dict[str, Any] = {
        "pack": loading.text(values, "pack", 20, is_required=False) or None,
        "minimum_quantity": loading.number(values, "minimumOrderQuantity", UNITS_MAX),
        "order_multiple": loading.number(values, "orderMultiple", UNITS_MAX),
        "lead_time_days": loading.decimal(values, "leadTimeDays", digits=7, places=2),
        "lead_time_deviation_days": loading.decimal(values, "leadTimeDeviationDays", digits=7, places=2),
        "cost": loading.decimal(values, "cost", digits=14, places=4),
        "currency": loading.text(values, "currency", 3, is_required=False).upper() or None,
        "last_confirmed_on": loading.day(values, "lastConfirmedOn"),
    }
    for name, field in (("minimum_quantity", "minimumOrderQuantity"), ("order_multiple", "orderMultiple")):
        if said[name] == 0:
            raise InvalidInput.at(field, "is one stock unit or more")
    return {name: value for name, value in said.items() if value is not None}


def pack_of(values: Any) -> PackOf:
    """A pack as a JSON line has it."""
    if not isinstance(values, dict):
        raise InvalidInput.at("packs", "is no list of packs")
    quantity = loading.number(values, "quantity", QUANTITY_MAX)
    inside = loading.text(values, "filledWith", 20, is_required=False)
    if (quantity is None and not inside) or (quantity is not None and quantity < 2):
        raise InvalidInput.at("packs", "a pack holds two stock units or more")
    level = loading.text(values, "level", 10, is_required=False).lower()
    if level not in ("", "inner", "case", "pallet"):
        raise InvalidInput.at("packs", f"{level!r} is none of inner, case, pallet")
    return PackOf(
        name=loading.text(values, "name", 20),
        quantity=quantity,
        gtin=loading.text(values, "gtin", 40, is_required=False),
        level=level or None,
        filled_with=inside if "filledWith" in values else None,
        filled_count=loading.number(values, "filledCount", QUANTITY_MAX),
    )


def notes_of(values: dict[str, Any]) -> list[NoteOf] | None:
    """What the law asks, as a JSON line has it, replacing what was said before; None where it says nothing."""
    asked = values.get("regulatoryNotes")
    if asked in (None, ""):
        return None
    if not isinstance(asked, list) or not all(isinstance(row, dict) for row in asked):
        raise InvalidInput.at("regulatoryNotes", "is no list of notes; send notes as JSON lines")
    return [
        NoteOf(
            jurisdiction=loading.text(row, "jurisdiction", 6, is_required=False),
            text=loading.text(row, "text", 2_000),
            document=loading.text(row, "document", 250, is_required=False),
            valid_from=loading.day(row, "validFrom"),
            valid_to=loading.day(row, "validTo"),
        )
        for row in asked
    ]


def numbers_of(values: dict[str, Any], *, variant: Variant | None) -> list[IdentifierOf] | None:
    """All the further numbers a row leaves the product with, or None where it says nothing of them.

    A JSON line's list replaces those there are; a table's column those of its scheme.
    """
    asked = values.get("identifiers")
    if isinstance(asked, list):
        return [_number(row) for row in asked]
    if asked not in (None, ""):
        raise InvalidInput.at("identifiers", "is no list of identifiers; in a table write columns asin, brandPart, oe")
    columns = {scheme: loading.text(values, scheme, 500, is_required=False) for scheme in set(NUMBERS.values())}
    columns = {scheme: text for scheme, text in columns.items() if text}
    if not columns:
        return None
    return kept(variant, but=set(columns)) + [
        IdentifierOf(scheme=scheme, value=part.strip())
        for scheme, text in columns.items()
        for part in text.split(";")
        if part.strip()
    ]


def kept(variant: Variant | None, *, but: set[str]) -> list[IdentifierOf]:
    """The further numbers of a product, but for those of some schemes."""
    if variant is None:
        return []
    rows = variant.identifiers.filter(is_main=False).exclude(scheme__in=but).select_related("pack", "partner")
    return [
        IdentifierOf(scheme=row.scheme, value=row.value, pack=row.pack.name if row.pack else "", partner=row.partner)
        for row in rows
    ]


def _number(values: Any) -> IdentifierOf:
    if not isinstance(values, dict):
        raise InvalidInput.at("identifiers", "is no list of identifiers")
    scheme = loading.text(values, "scheme", 20)
    if scheme not in Identifier.Scheme.values:
        raise InvalidInput.at("identifiers", f"{scheme!r} is none of {', '.join(Identifier.Scheme.values)}")
    code = loading.text(values, "partnerId", 40, is_required=False)
    partner = Partner.objects.filter(code=code).first() if code else None
    if code and partner is None:
        raise InvalidInput.at("identifiers", f"there is no partner {code}")
    return IdentifierOf(
        scheme=scheme,
        value=loading.text(values, "value", VALUE_MAX),
        pack=loading.text(values, "pack", 20, is_required=False),
        partner=partner,
    )
