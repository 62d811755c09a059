"""A file of products or fitments becomes the catalog; dirty data is mended by proof or refused by name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

from stdnum import ean

from catalog.models import Fitment, Variant
from catalog.operations import products
from catalog.operations.products import PackOf, Source
from partners import files, loading
from partners.actors import Actor
from partners.models import Partner
from partners.problems import InvalidInput

SKU = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]*")
YEAR_MIN, YEAR_MAX = 1880, 2200


def loader_for(path: Path, *, actor: Actor) -> loading.Loader:
    """The loader a file's columns ask for: a make and a model make it one of fitments."""
    first = next(files.rows(path, encoding="latin-1"), None)
    names = {files.canonical(name, FitmentFile.columns) for name in (first.values if first else {})}
    return FitmentFile(actor=actor) if {"make", "model"} <= names else CatalogFile(actor=actor)


class CatalogFile(loading.Loader):
    """Each row says what a product is; only the columns that are there are changed.

    A parent may come in the same file before its variants. A GTIN that lost leading zeros is restored where
    filling them in proves its check digit, and the report says so.
    """

    columns: ClassVar = {
        "productid": "productId",
        "sku": "productId",
        "name": "name",
        "brand": "brand",
        "producttype": "productType",
        "parentid": "parentId",
        "gtin": "gtin",
        "barcode": "gtin",
        "ean": "gtin",
        "upc": "gtin",
        "tracking": "tracking",
        "shelflifedays": "shelfLifeDays",
        "warrantymonths": "warrantyMonths",
        "unit": "unit",
        "status": "status",
        "supplierid": "supplierId",
        "suppliercode": "supplierCode",
        "suppliers": "suppliers",
        "packs": "packs",
        "attributes": "attributes",
    }
    texts: ClassVar = {"brand": ("brand", 120), "unit": ("unit", 20)}

    def __init__(self, *, actor: Actor) -> None:
        super().__init__()
        self.actor = actor
        self.seen: dict[str, int] = {}

    def field_of(self, column: str) -> str | None:
        name = column.strip()
        return name if name.startswith("attributes.") and len(name) > len("attributes.") else super().field_of(column)

    def apply(self, values: dict[str, Any], row_number: int) -> str:
        sku = loading.text(values, "productId", 64)
        if not SKU.fullmatch(sku):
            raise InvalidInput.at("productId", f"{sku!r}: letters, digits and . _ / + - only")
        if sku in self.seen:
            raise InvalidInput.at("productId", f"row {self.seen[sku]} is of the same product")
        variant = Variant.objects.filter(sku=sku).first()
        fields = self.fields(values, variant, row_number)
        if variant is None:
            loading.text(values, "name", 250)
            products.create(sku=sku, fields=fields, actor=self.actor)
            outcome = "created"
        else:
            revised = products.revise(variant=variant, fields=fields, actor=self.actor)
            outcome = "unchanged" if revised.version == variant.version else "revised"
        self.seen[sku] = row_number
        return outcome

    def fields(self, values: dict[str, Any], variant: Variant | None, row_number: int) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        if "name" in values:
            fields["name"] = loading.text(values, "name", 250)
        for column, (name, most) in self.texts.items():
            if value := loading.text(values, column, most, is_required=False):
                fields[name] = value
        if kind := loading.text(values, "productType", 40, is_required=False):
            fields["product_type"] = self.slug(kind)
        if parent := loading.text(values, "parentId", 64, is_required=False):
            fields["parent_sku"] = parent
        if gtin := loading.text(values, "gtin", 40, is_required=False):
            fields["gtin"] = self.gtin(gtin, row_number)
        for column, choices in (("tracking", Variant.Tracking), ("status", Variant.Status)):
            if value := loading.text(values, column, 20, is_required=False).lower():
                if value not in choices.values:
                    raise InvalidInput.at(column, f"{value!r} is none of {', '.join(choices.values)}")
                fields[column] = value
        for column, name, most in (
            ("shelfLifeDays", "shelf_life_days", 36_500),
            ("warrantyMonths", "warranty_months", 1_200),
        ):
            if (count := loading.number(values, column, most)) is not None:
                fields[name] = count
        attributes = self.attributes(values)
        if attributes is not None:
            fields["attributes"] = (variant.attributes if variant else {}) | attributes
        if sources := self.sources(values):
            kept = {} if variant is None else self.kept_sources(variant)
            # An empty number, like any empty cell, leaves the one there is.
            named = {row.supplier.pk: row for row in sources if row.supplier_code or row.supplier.pk not in kept}
            fields["sources"] = list((kept | named).values())
        packs = values.get("packs")
        if isinstance(packs, list):
            fields["packs"] = [self.pack(pack) for pack in packs]
        elif packs not in (None, ""):
            raise InvalidInput.at("packs", "is no list of packs; send packs as JSON lines")
        return fields

    def slug(self, kind: str) -> str:
        slug = re.sub(r"[\s_]+", "-", kind).lower()
        if not re.fullmatch(r"[a-z0-9-]+", slug):
            raise InvalidInput.at("productType", f"{kind!r}: letters, digits and dashes only")
        return slug

    def gtin(self, text: str, row_number: int) -> str:
        if not text.isascii() or not text.isdigit() or ean.is_valid(text) or len(text) > 13:
            products.normalise_gtin(text)
            return text
        for length in (8, 12, 13, 14):
            if len(text) < length and ean.is_valid(filled := text.zfill(length)):
                self.report.notes.append(f"row {row_number}: gtin: {text} lost its leading zeros, restored to {filled}")
                return filled
        raise InvalidInput.at("gtin", f"the check digit of {text} is wrong, with and without leading zeros")

    def attributes(self, values: dict[str, Any]) -> dict[str, Any] | None:
        given = values.get("attributes")
        if given is not None and not isinstance(given, dict):
            raise InvalidInput.at("attributes", "is no object; in a table write columns attributes.<name>")
        named = {
            name: value for name, value in values.items() if name.startswith("attributes.") and value not in ("", None)
        }
        for name, value in named.items():
            if isinstance(value, str):
                named[name] = loading.text(values, name, 5_000)
        if given is None and not named:
            return None
        return (given or {}) | {name.removeprefix("attributes."): value for name, value in named.items()}

    def sources(self, values: dict[str, Any]) -> list[Source]:
        asked = values.get("suppliers")
        if isinstance(asked, list):
            rows = [{"supplierId": row} if isinstance(row, str) else row for row in asked]
            if not all(isinstance(row, dict) for row in rows):
                raise InvalidInput.at("suppliers", "is no list of suppliers")
            return [self.source(row) for row in rows]
        if asked not in (None, ""):
            raise InvalidInput.at("suppliers", "is no list of suppliers; in a table write the column supplierId")
        return [self.source(values)] if loading.text(values, "supplierId", 40, is_required=False) else []

    def source(self, values: dict[str, Any]) -> Source:
        code = loading.text(values, "supplierId", 40)
        supplier = Partner.objects.suppliers().filter(code=code).first()
        if supplier is None:
            raise InvalidInput.at("supplierId", f"there is no supplier {code}")
        return Source(supplier=supplier, supplier_code=loading.text(values, "supplierCode", 64, is_required=False))

    def kept_sources(self, variant: Variant) -> dict[int, Source]:
        items = variant.supplier_items.select_related("supplier")
        return {row.supplier_id: Source(supplier=row.supplier, supplier_code=row.supplier_code) for row in items}

    def pack(self, values: Any) -> PackOf:
        if not isinstance(values, dict):
            raise InvalidInput.at("packs", "is no list of packs")
        quantity = loading.number(values, "quantity", 1_000_000)
        if quantity is None or quantity < 2:
            raise InvalidInput.at("packs", "a pack holds two stock units or more")
        gtin = loading.text(values, "gtin", 14, is_required=False)
        return PackOf(name=loading.text(values, "name", 20), quantity=quantity, gtin=gtin)


class FitmentFile(loading.Loader):
    """Each row says that a part fits a vehicle; said twice, it is there once."""

    columns: ClassVar = {
        "productid": "productId",
        "sku": "productId",
        "make": "make",
        "model": "model",
        "yearfrom": "yearFrom",
        "yearto": "yearTo",
        "engine": "engine",
        "position": "position",
        "quantity": "quantity",
        "note": "note",
    }

    def __init__(self, *, actor: Actor) -> None:
        super().__init__()
        self.actor = actor

    def apply(self, values: dict[str, Any], row_number: int) -> str:
        sku = loading.text(values, "productId", 64)
        variant = Variant.objects.stocked().filter(sku=sku).first()
        if variant is None:
            raise InvalidInput.at("productId", f"there is no product {sku}")
        first, last = self.year(values, "yearFrom"), self.year(values, "yearTo")
        if first > last:
            raise InvalidInput.at("yearTo", f"{last} is before {first}")
        quantity = loading.number(values, "quantity", 1_000)
        if quantity == 0:
            raise InvalidInput.at("quantity", "a vehicle that takes the part takes one or more")
        _, is_new = Fitment.objects.update_or_create(
            variant=variant,
            make=loading.text(values, "make", 60),
            model=loading.text(values, "model", 100),
            year_from=first,
            year_to=last,
            engine=loading.text(values, "engine", 60, is_required=False),
            position=loading.text(values, "position", 60, is_required=False),
            defaults={"quantity": quantity or 1, "note": loading.text(values, "note", 250, is_required=False)},
        )
        return "created" if is_new else "unchanged"

    def year(self, values: dict[str, Any], name: str) -> int:
        year = loading.number(values, name, YEAR_MAX)
        if year is None or year < YEAR_MIN:
            raise InvalidInput.at(name, f"is no model year from {YEAR_MIN} to {YEAR_MAX}")
        return year
