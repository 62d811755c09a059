"""A file of products becomes the catalog; dirty data is mended by proof or refused by name."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from catalog import gtins, queries
from catalog.models import Variant, WarrantyPer
from catalog.operations import columns, identifiers, products
from catalog.operations.fitment_files import FitmentFile
from catalog.operations.offers import Source
from partners import files, loading, unpacking, xml
from partners.actors import Actor
from partners.models import Partner
from partners.problems import InvalidInput

SKU = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
# One in ten numbers has a check digit that fits by chance; a GTIN-8 without its first digit is the shortest we trust.
PROVEN_DIGITS_MIN = 7
OFFERED = ("supplierCode", *dict.fromkeys(columns.OFFER.values()))


def loader_for(path: Path, *, actor: Actor, encoding: str = "latin-1") -> loading.Loader:
    """The loader a file asks for: by its root where it is XML, packed or not; else by its columns.

    A make and a model make it one of fitments. Raises files.Unreadable.
    """
    # They are built on the loaders below.
    from catalog.operations import aces_files, pies_files

    if root := root_of(path):
        return aces_files.AcesFile(actor=actor) if root == "ACES" else pies_files.PiesFile(actor=actor)
    first = next(files.rows(path, encoding=encoding), None)
    names = {files.canonical(name, FitmentFile.columns) for name in (first.values if first else {})}
    return FitmentFile(actor=actor) if {"make", "model"} <= names else CatalogFile(actor=actor)


def root_of(path: Path) -> str:
    """ACES or PIES, plain or packed, whatever the file is called; empty: a table. Raises files.Unreadable."""
    if path.suffix.lower() in files.WORKBOOKS:
        return ""
    with unpacking.opened(path) as stream:
        root = xml.root_of(stream)
    if root not in ("ACES", "PIES") and (root is not None or path.suffix.lower() == ".xml"):
        raise files.Unreadable(f"The document is {root or 'empty'}; <ACES> and <PIES> are read here.")
    return root or ""


def digest_of(values: dict[str, Any]) -> bytes:
    """What two rows that say the same have in common."""
    said = sorted((name, value.strip() if isinstance(value, str) else value) for name, value in values.items())
    try:
        text = json.dumps(said, default=str, sort_keys=True)
    except (ValueError, RecursionError, TypeError):
        text = str(said)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()


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
        "clear": "clear",
        "axes": "axes",
        "axisvalues": "axisValues",
        "warrantyper": "warrantyPer",
        "warrantyterms": "warrantyTerms",
        "identifiers": "identifiers",
        "regulatorynotes": "regulatoryNotes",
        **columns.OFFER,
        **columns.NUMBERS,
    }
    supplier: Partner | None = None
    """Whose word the rows are; none: the house's."""
    texts: ClassVar = {"brand": ("brand", 120), "unit": ("unit", 20), "warrantyTerms": ("warranty_terms", 2_000)}

    def __init__(self, *, actor: Actor) -> None:
        super().__init__()
        self.actor = actor
        self.seen: dict[str, tuple[int, bytes]] = {}
        self.schemas = queries.newest_schemas()
        self.codes = queries.type_codes()

    def field_of(self, column: str) -> str | None:
        name = column.strip()
        is_named = any(name.startswith(prefix) and len(name) > len(prefix) for prefix in ("attributes.", "axisValues."))
        return name if is_named else super().field_of(column)

    def apply(self, values: dict[str, Any], row_number: int) -> str:
        sku = loading.text(values, "productId", 64)
        if not SKU.fullmatch(sku):
            raise InvalidInput.at("productId", f"{sku!r}: letters, digits and . _ + - only")
        said = digest_of(values)
        if sku in self.seen:
            before, same = self.seen[sku]
            if said != same:
                raise InvalidInput.at("productId", f"{self.place} {before} says something else of the same product")
            return "unchanged"
        variant = Variant.objects.filter(sku=sku).first()
        fields = self.fields(values, variant, row_number)
        if variant is None:
            loading.text(values, "name", 250)
            products.create(sku=sku, fields=fields, actor=self.actor)
            outcome = "created"
        else:
            revised = products.revise(variant=variant, fields=fields, actor=self.actor)
            outcome = "unchanged" if revised.version == variant.version else "revised"
        self.seen[sku] = row_number, said
        return outcome

    def fields(self, values: dict[str, Any], variant: Variant | None, row_number: int) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        if "name" in values:
            fields["name"] = loading.text(values, "name", 250)
        for column, (name, most) in self.texts.items():
            if value := loading.text(values, column, most, is_required=False):
                fields[name] = value
        if typed := loading.text(values, "productType", 40, is_required=False):
            fields["product_type"] = self.slug(typed)
        if parent := loading.text(values, "parentId", 64, is_required=False):
            fields["parent_sku"] = parent
        if gtin := loading.text(values, "gtin", 40, is_required=False):
            fields["gtin"] = self.gtin(gtin, row_number)
        for column, name, choices in (
            ("tracking", "tracking", Variant.Tracking),
            ("status", "status", Variant.Status),
            ("warrantyPer", "warranty_per", WarrantyPer),
        ):
            if value := loading.text(values, column, 20, is_required=False).lower():
                known = {choice.lower(): choice for choice in choices.values}
                if value not in known:
                    raise InvalidInput.at(column, f"{value!r} is none of {', '.join(choices.values)}")
                fields[name] = known[value]
        for column, name, most in (
            ("shelfLifeDays", "shelf_life_days", 36_500),
            ("warrantyMonths", "warranty_months", 1_200),
        ):
            if (count := loading.number(values, column, most)) is not None:
                fields[name] = count
        kind = str(fields.get("product_type", variant.product_type_id if variant else "general"))
        emptied, gone = columns.cleared(values)
        fields |= emptied
        attributes = self.attributes(values, kind)
        if attributes is not None or gone:
            kept = {name: value for name, value in (variant.attributes if variant else {}).items() if name not in gone}
            fields["attributes"] = kept | (attributes or {})
        fields |= self.axes(values)
        if sources := self.sources(values):
            kept = {} if variant is None else self.kept_sources(variant)
            fields["sources"] = list((kept | self.said(sources, kept)).values())
        packs = values.get("packs")
        if isinstance(packs, list):
            fields["packs"] = [columns.pack_of(pack) for pack in packs]
        elif packs not in (None, ""):
            raise InvalidInput.at("packs", "is no list of packs; send packs as JSON lines")
        if (numbers := columns.numbers_of(values, variant=variant)) is not None:
            fields["identifiers"] = numbers
        if (notes := columns.notes_of(values)) is not None:
            fields["notes"] = notes
        return fields

    def slug(self, kind: str) -> str:
        """The code of a type as it is registered, or as it would be."""
        if known := self.codes.get(kind.lower()):
            return known
        slug = re.sub(r"[\s_]+", "-", kind).lower()
        if not re.fullmatch(r"[a-z0-9-]+", slug):
            raise InvalidInput.at("productType", f"{kind!r}: letters, digits and dashes only")
        return self.codes.get(slug, slug)

    def gtin(self, text: str, row_number: int) -> str:
        """The number, mended by proof where it lost zeros; what is of restricted circulation is noted, as our own."""
        digits = gtins.NOISE.sub("", text)
        if digits.isascii() and digits.isdigit() and len(digits) < 13 and not gtins.forms(digits):
            digits = self.restored(digits, row_number)
        if gtins.is_restricted(identifiers.normalise_gtin(digits)):
            self.report.notes.append(
                f"{self.place} {row_number}: gtin: {digits} is of restricted circulation, kept as a number of our own house"
            )
        return digits

    def restored(self, digits: str, row_number: int) -> str:
        """Zeros in front do not change the check digit; of a short number it proves too little."""
        if not digits.strip("0") or not gtins.is_sound(digits):
            raise InvalidInput.at("gtin", f"the check digit of {digits} is wrong, with and without leading zeros")
        if len(digits) < PROVEN_DIGITS_MIN:
            raise InvalidInput.at("gtin", f"{digits} is too short for a GTIN that lost zeros")
        filled = digits.zfill(next(length for length in gtins.LENGTHS if length > len(digits)))
        self.report.notes.append(
            f"{self.place} {row_number}: gtin: {digits} lost its leading zeros, restored to {filled}"
        )
        return filled

    def attributes(self, values: dict[str, Any], kind: str) -> dict[str, Any] | None:
        """As they are written in JSON lines; a table's cells are read as the attributes' own types."""
        given = values.get("attributes")
        if given is not None and not isinstance(given, dict):
            raise InvalidInput.at("attributes", "is no object; in a table write columns attributes.<name>")
        named = {
            name: value for name, value in values.items() if name.startswith("attributes.") and value not in ("", None)
        }
        for name, value in named.items():
            if isinstance(value, str):
                named[name] = self.typed(kind, name.removeprefix("attributes."), loading.text(values, name, 5_000))
        if given is None and not named:
            return None
        return (given or {}) | {name.removeprefix("attributes."): value for name, value in named.items()}

    def typed(self, kind: str, name: str, text: str) -> Any:
        found = self.schemas.newest.get(kind)
        return found[1].read(name, text) if found else text

    def axes(self, values: dict[str, Any]) -> dict[str, Any]:
        """`axes` as a list, or in a table with `|` between; `axisValues` as an object, or in columns of their own."""
        fields: dict[str, Any] = {}
        said = values.get("axes")
        if isinstance(said, list):
            fields["axes"] = said
        elif isinstance(said, dict):
            raise InvalidInput.at("axes", "is no list of names")
        elif text := loading.text(values, "axes", 500, is_required=False):
            fields["axes"] = [name.strip() for name in text.split("|")]
        given = values.get("axisValues")
        if given not in (None, "") and not isinstance(given, dict):
            raise InvalidInput.at("axisValues", "is no object; in a table write columns axisValues.<axis>")
        named = {
            name.removeprefix("axisValues."): loading.text(values, name, 500, is_required=False)
            for name in values
            if name.startswith("axisValues.")
        }
        named = {axis: value for axis, value in named.items() if value}
        if given or named:
            fields["axis_values"] = (given or {}) | named
        return fields

    def sources(self, values: dict[str, Any]) -> list[Source]:
        asked = values.get("suppliers")
        if isinstance(asked, list):
            rows = [{"supplierId": row} if isinstance(row, str) else row for row in asked]
            if not all(isinstance(row, dict) for row in rows):
                raise InvalidInput.at("suppliers", "is no list of suppliers")
            return [self.source(row) for row in rows]
        if asked not in (None, ""):
            raise InvalidInput.at("suppliers", "is no list of suppliers; in a table write the column supplierId")
        offered = [name for name in OFFERED if values.get(name) not in (None, "")]
        code = loading.text(values, "supplierId", 40, is_required=False)
        if not code and offered:
            if self.supplier is None:
                raise InvalidInput.at("supplierId", f"is missing; {offered[0]} is said of a supplier's offer")
            code = self.supplier.code
        return [self.source(values | {"supplierId": code})] if code else []

    def source(self, values: dict[str, Any]) -> Source:
        code = loading.text(values, "supplierId", 40)
        supplier = self.supplier_of(code)
        if supplier is None:
            raise InvalidInput.at("supplierId", f"there is no supplier {code}")
        number = loading.text(values, "supplierCode", 64, is_required=False)
        return Source(supplier=supplier, supplier_code=number, terms=columns.terms_of(values))

    def supplier_of(self, code: str) -> Partner | None:
        return Partner.objects.suppliers().filter(code=code).first()

    def said(self, sources: list[Source], kept: dict[int, Source]) -> dict[int, Source]:
        """An empty number, like any empty cell, leaves the one there is."""
        numbers = {key: row.supplier_code for key, row in kept.items()}
        return {
            row.supplier.pk: replace(row, supplier_code=row.supplier_code or numbers.get(row.supplier.pk, ""))
            for row in sources
        }

    def kept_sources(self, variant: Variant) -> dict[int, Source]:
        items = variant.supplier_items.select_related("supplier")
        return {row.supplier_id: Source(supplier=row.supplier, supplier_code=row.supplier_code) for row in items}
