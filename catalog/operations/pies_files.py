"""A PIES file becomes products, with their prices and what they are interchanged with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import batched
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import prefetch_related_objects
from django.utils import timezone

from catalog import parts, pies
from catalog.models import PriceList, Variant
from catalog.operations import interchange_files, prices
from catalog.operations.imports import CatalogFile
from catalog.operations.price_files import PriceFile
from catalog.records import Book, Record
from catalog.wording import Unusable
from partners import files
from partners.actors import Actor
from partners.problems import Problem

NEW_TYPE = "auto"
# PCdb units of packages. Whatever else holds several is a case.
LEVELS = {"IP": "inner", "PL": "pallet", "PT": "pallet"}
HAZARDOUS = "Hazardous material, says its brand."
HAZARD_SOURCE = "PIES HazardousMaterialCode"
SAID_ELSEWHERE = {"LIS", "CTO", "WS1"}  # of the extended information: life cycle, country of origin, warranty
PLAIN = {
    "brand": "brand", "name": "name", "gtin": "gtin", "status": "status", "warrantyMonths": "warrantyMonths",
    "warranty": "warrantyTerms",
}  # fmt: skip
KEPT_AS_ATTRIBUTES = (
    "subBrand", "subBrandAaiaId", "lifeCycle", "countryOfOrigin", "isHazardous", "container", "categoryCode", "unspsc",
    "vmrsCode", "baseItemId", "availableFrom", "effectiveFrom",
)  # fmt: skip


@dataclass(frozen=True)
class ItemRow(files.Row):
    """An Item as a row of products, with the records of its prices."""

    prices: Sequence[Record] = ()


class PiesFile(CatalogFile):
    """Each Item says what a part is, what it costs and what it gives way to; loading a file twice changes nothing.

    A part is the product that bears its brand's number (`parts.find`), or else a new one of the SKU `parts.sku_of`.
    What an Item does not say stays. An Item that is deleted is discontinued, never taken out of the catalog; that
    a FULL file does not name a product changes nothing of it, and the report says how many there are.
    """

    place = "line"
    record = "Item"
    book: Book

    def __init__(self, *, actor: Actor) -> None:
        super().__init__(actor=actor)
        self.lines: dict[parts.PartKey, int] = {}
        self.has_links = False
        self.prices = PriceFile(actor=actor, at=timezone.now())
        self.prices.place, self.prices.record = "line", "Pricing"

    def rows(self, path: Path, *, encoding: str = "utf-8-sig") -> Iterator[files.Row]:
        """The Items with the columns of CatalogFile. Proves the file whole before the first; raises Unreadable."""
        self.path, self.book = path, pies.read(path)
        return self._rows(self.book.records)

    def take_all(self, rows: Iterator[files.Row], progress: Callable[[], object]) -> None:
        super().take_all(rows, progress)
        if self.has_links:
            # Parts may be linked to those that come after them in the file; so this is a walk of its own.
            links = interchange_files.Links(actor=self.actor, report=self.report, refuse=self.refuse)
            found = (record for record in pies.read(self.path).records if record.kind == "equivalent")
            for chunk in batched(found, self.chunk_rows):
                with transaction.atomic():
                    links.take(chunk)
        told = self.prices.report
        self.report.refusals += told.refusals
        for outcome, count in told.outcomes.items():
            self.report.outcomes["refused" if outcome == "refused" else f"prices {outcome}"] += count
        self._tell_absent()

    def take(self, rows: Iterable[files.Row], progress: Callable[[], object]) -> None:
        rows = list(rows)
        super().take(rows, progress)
        of_prices = [
            price_row(sku=row.values["productId"], price=price)
            for row in rows
            if isinstance(row, ItemRow) and self.seen.get(row.values.get("productId", ""), (0,))[0] == row.number
            for price in row.prices
        ]
        for code, currency in open_lists(rows=of_prices, actor=self.actor).items():
            self.report.notes.append(
                f"opened price list {code} in {currency}; it is inactive until staff say whom it is for"
            )
        for chunk in batched(of_prices, self.prices.chunk_rows):
            self.prices.take(chunk, lambda: None)

    def _rows(self, records: Iterator[Record]) -> Iterator[files.Row]:
        for found in batched(items(records), self.chunk_rows):
            there = There(item[0].values for item in found if not item[0].fault)
            for item in found:
                if row := self.row_of(item, there):
                    yield row

    def row_of(self, item: Sequence[Record], there: There) -> ItemRow | None:
        """An Item by the columns of products; none where there is nothing to discontinue."""
        product, others = item[0], item[1:]
        self.report.notes += [f"line {record.line}: {note}" for record in item for note in record.notes]
        if product.fault:
            return ItemRow(product.line, {}, product.fault)
        said = product.values
        brand, number = said["brandAaiaId"], said["partNumber"]
        key = parts.key(brand, number)
        if key in self.lines:
            return ItemRow(product.line, {}, f"line {self.lines[key]} is of the same part")
        self.lines[key] = product.line
        try:
            variant = there.product_of(said)
        except Unusable as unusable:
            return ItemRow(product.line, {}, str(unusable))
        if product.is_drop:
            if variant is None:
                self.report.notes.append(f"line {product.line}: {number} is no product here, nothing to discontinue")
                return None
            return ItemRow(product.line, {"productId": variant.sku, "status": "discontinued"})
        self.has_links = self.has_links or any(record.kind == "equivalent" for record in others)
        values = {"productId": variant.sku if variant else parts.sku_of(brand, number)} | _values(said, variant)
        if not there.is_numbered(said):
            values["identifiers"] = [*_numbers(variant), {"scheme": "brandPart", "value": number}]
        return ItemRow(product.line, values, prices=[record for record in others if record.kind == "price"])

    def _tell_absent(self) -> None:
        if self.book.replaces is not None:
            self.report.notes += absent(brands=self.book.replaces.brands, named=self.seen.keys())


def absent(*, brands: Collection[str], named: Container[str]) -> list[str]:
    """A FULL file of one line of a brand is common, so what it does not name is told and left. One query."""
    listed = Variant.objects.filter(attributes__brandAaiaId__in=brands, status=Variant.Status.ACTIVE)
    skus = listed.filter(identifiers__scheme="brandPart").order_by("sku").values_list("sku", flat=True)
    found = list(dict.fromkeys(sku for sku in skus if sku not in named))
    if not found:
        return []
    first = f"{', '.join(found[:5])}{' …' if len(found) > 5 else ''}"
    return [f"{len(found)} products of {', '.join(brands)} are not in this FULL file and stay as they are: {first}"]


def open_lists(*, rows: Sequence[files.Row], actor: Actor) -> dict[str, str]:
    """Open the price lists some rows name that are not there yet, for nobody; their currencies by their codes.

    The reason of those that cannot be opened PriceFile tells.
    """
    wanted = {row.values["priceList"]: row.values["currency"] for row in rows if not row.fault}
    there = set(PriceList.objects.filter(code__in=wanted).values_list("code", flat=True))
    opened = {}
    for code in sorted(set(wanted) - there):
        try:
            opened[code] = prices.open_list(code=code, currency=wanted[code], actor=actor).currency
        except Problem:
            continue
    return opened


class There:
    """Which of some Items are products already. Five queries, however many Items."""

    def __init__(self, items: Iterable[dict[str, Any]]) -> None:
        numbers = [(said["brandAaiaId"], said["partNumber"]) for said in items]
        self.parts = parts.find(parts.key(*number) for number in numbers)
        self.of_sku = parts.with_skus({parts.sku_of(*number) for number in numbers})
        by_number = (*self.parts.of_brand.values(), *self.parts.of_no_brand.values())
        wanted = {known.pk for many in (*by_number, self.of_sku.values()) for known in many}
        self.variants = Variant.objects.in_bulk(wanted)
        prefetch_related_objects(list(self.variants.values()), "packs", "regulatory_notes")

    def is_numbered(self, said: dict[str, Any]) -> bool:
        return bool(self._numbered(said))

    def _numbered(self, said: dict[str, Any]) -> list[parts.Known]:
        return self.parts.found(parts.key(said["brandAaiaId"], said["partNumber"]), said.get("brand", ""))

    def product_of(self, said: dict[str, Any]) -> Variant | None:
        """The product an Item is of, None where it is new. Raises Unusable where that cannot be told."""
        brand, number = said["brandAaiaId"], said["partNumber"]
        products = self._numbered(said)
        if len(products) > 1:
            which = ", ".join(known.sku for known in products)
            raise Unusable(f"{number} of the brand {brand} is several products: {which}")
        if products:
            return self.variants[products[0].pk]
        taken = self.of_sku.get(parts.sku_of(brand, number))
        if taken is None:
            return None
        if taken.is_numbered or taken.aaia_id not in ("", brand.upper()):
            raise Unusable(f"the SKU {taken.sku} is another part; give that its own part number and brandAaiaId")
        return self.variants[taken.pk]


def items(records: Iterator[Record]) -> Iterator[list[Record]]:
    """The records of each Item, the product first; an App is one by itself."""
    item: list[Record] = []
    for record in records:
        if record.kind in ("product", "fitment") and item:
            yield item
            item = []
        item.append(record)
    if item:
        yield item


def _values(said: dict[str, Any], variant: Variant | None) -> dict[str, Any]:
    """What an Item says, by the columns of CatalogFile."""
    values = {column: said[name] for name, column in PLAIN.items() if name in said}
    values["attributes"] = _attributes(said)
    if variant is None:
        values["productType"] = NEW_TYPE
    if "packs" in said:
        values["packs"] = _packs(said, variant)
    if "isHazardous" in said:
        notes = _notes(variant, is_hazardous=said["isHazardous"])
        if notes is not None:
            values["regulatoryNotes"] = notes
    return values


def _attributes(said: dict[str, Any]) -> dict[str, Any]:
    """The brand's own attributes, and what of the Item has no column: measures with the unit behind the number."""
    told: dict[str, Any] = {"brandAaiaId": said["brandAaiaId"], "brandPartNumber": said["partNumber"]}
    told |= {name: said[name] for name in KEPT_AS_ATTRIBUTES if name in said}
    if (kind := said.get("partTerminologyId", "")).isdigit():
        told["partTerminologyId"] = int(kind)
    for name in ("itemQuantity", "quantityPerApplication"):
        if measure := said.get(name):
            told[name] = f"{measure['quantity']} {measure.get('unit', '')}".strip()
    for one in said.get("extendedInformation", ()):
        if one["code"] not in SAID_ELSEWHERE:
            told.setdefault(f"EXPI {one['code']}", one["text"])
    single: dict[str, Any] = next((package for package in said.get("packages", ()) if package["quantity"] == 1), {})
    for measures in (single.get("dimensions", {}), single.get("weights", {})):
        unit = measures.get("unit", "")
        told |= {name: f"{value} {unit}".strip() for name, value in measures.items() if name != "unit"}
    return {**said.get("attributes", {}), **told}


def _packs(said: dict[str, Any], variant: Variant | None) -> list[dict[str, Any]]:
    """The Item's packs, and those of ours it does not name: what is stocked whole or ordered hangs on them."""
    units = {package["quantity"]: package.get("unit", "") for package in said["packages"]}
    told = [pack | {"level": LEVELS.get(units.get(pack["quantity"], ""), "case")} for pack in said["packs"]]
    names = {pack["name"] for pack in told}
    kept = [pack for pack in (variant.packs.all() if variant else ()) if pack.name not in names]
    return [*told, *({"name": pack.name, "quantity": pack.quantity, "gtin": pack.gtin14} for pack in kept)]


def _notes(variant: Variant | None, *, is_hazardous: bool) -> list[dict[str, Any]] | None:
    """All the notes there will be, where the file's own comes or goes."""
    there = [
        {
            "jurisdiction": note.jurisdiction, "text": note.text, "document": note.document,
            "validFrom": note.valid_from, "validTo": note.valid_to,
        }
        for note in (variant.regulatory_notes.all() if variant else ())
    ]  # fmt: skip
    others = [note for note in there if note["document"] != HAZARD_SOURCE]
    if is_hazardous == (len(others) < len(there)):
        return None
    return [*others, {"text": HAZARDOUS, "document": HAZARD_SOURCE}] if is_hazardous else others


def _numbers(variant: Variant | None) -> list[dict[str, Any]]:
    """The further numbers of a product, as a file's row has them."""
    if variant is None:
        return []
    rows = variant.identifiers.filter(is_main=False).select_related("pack", "partner")
    return [
        {"scheme": row.scheme, "value": row.value}
        | ({"pack": row.pack.name} if row.pack else {})
        | ({"partnerId": row.partner.code} if row.partner else {})
        for row in rows
    ]


def price_row(*, sku: str, price: Record) -> files.Row:
    if price.fault:
        return files.Row(price.line, {}, price.fault)
    if price.is_drop:
        return files.Row(price.line, {}, "a price is not taken away by a file; give it an end in the admin")
    said = price.values
    values = {"productId": sku, "amount": said["unitPrice"]}
    values |= {
        name: said[name]
        for name in ("priceList", "currency", "fromQuantity", "validFrom", "validUntil")
        if name in said
    }
    return files.Row(price.line, values)
