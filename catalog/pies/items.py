"""What an Item of PIES says, as records.

"product": partNumber, brandAaiaId, brand, subBrand, subBrandAaiaId, name, gtin and gtinQualifier, status,
  lifeCycle, warranty (its words), warrantyMonths, countryOfOrigin, partTerminologyId, isHazardous,
  attributes {name: value with its unit}, packs [{name, quantity, gtin}] of two and more, and as they are said:
  descriptions[], extendedInformation[], packages[] with dimensions and weights, components[] of a kit,
  quantityPerApplication, itemQuantity, container, categoryCode, unspsc, vmrsCode, availableFrom, effectiveFrom
"supply": minimumOrderQuantity, minimumOrderUnit, packs as above
"price": priceList (the PriceType), priceSheet, currency, unitPrice, fromQuantity, validFrom, validUntil (not included)
"equivalent": partNumber superseded by, or interchangeable with, otherPartNumber; relation, notes, quantity
Each is there only where the Item says it; amounts and measures are the digits of the file, as text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from catalog import autocare
from catalog.pies import pieces, terms
from catalog.pies.pieces import LABEL_MAX, PART_MAX, QUANTITY_MAX, TEXT_MAX, Part, Standing
from catalog.records import Record
from catalog.wording import Unusable, Wording
from partners.xml import Element

NAME_MAX = 250
ATTRIBUTES_MAX = 100  # as many as a product has
# PCdb description types, the best name first: description, short, title, extended, invoice, default, abbreviated.
NAME_CODES = ("DES", "SHO", "TLE", "EXT", "INV", "DEF", "ABR")
# EXPI LIS, life cycle status: 0 proposed, 1 released, 2 available to order, 3 and 4 announced, 5 temporarily
# unavailable, 6 renumbered, 7 superseded, 8 discontinued, 9 obsolete, A only while supplies last.
LIFE_CYCLES = {
    "proposed": "0", "released": "1", "available to order": "2", "electronically announced": "3", "announced": "4",
    "temporarily unavailable": "5", "renumbered": "6", "superseded": "7", "discontinued": "8", "obsolete": "9",
    "available only while supplies last": "A",
}  # fmt: skip
KNOWN_LIFE_CYCLES = frozenset(LIFE_CYCLES.values())
GONE = {"8", "9"}
WARRANTY = re.compile(r"\b([0-9]{1,3})[ -]?(months?|mos?|years?|yrs?)\b", re.IGNORECASE)
NO_GTIN = "0" * 14


def records(item: Element, standing: Standing, again: str) -> Iterator[Record]:
    """The records of an Item, the product first; `again` says why it is not taken a second time.

    A product that cannot be taken comes alone; a price or an interchange that cannot leaves the others standing.
    """
    wording, values, fault = Wording(), dict[str, Any](), again
    is_drop = item.attributes.get("MaintenanceType") == "D"
    try:
        values["partNumber"] = wording.text(item.said("PartNumber"), "PartNumber", PART_MAX, is_required=True)
        brand = item.said("BrandAAIAID") or standing.brand
        values["brandAaiaId"] = wording.text(brand, "BrandAAIAID", 4, is_required=True)
        pieces.check_maintenance(item)
        if not is_drop:
            _fill(values, item, standing, wording)
    except Unusable as unusable:
        fault = fault or str(unusable)
    number, brand = values.get("partNumber", ""), values.get("brandAaiaId", "")
    part = Part(number=number, brand=brand, place=f"Item {number or 'without a PartNumber'}")
    yield pieces.record("product", item, part, values, (number, brand), wording, fault)
    if fault or is_drop:
        return
    if (minimum := item.child("MinimumOrderQuantity")) is not None:
        yield terms.supply(minimum, part, values)
    for pricing in pieces.inner(item, "Prices", "Pricing"):
        yield terms.price(pricing, part, standing)
    for interchange in pieces.inner(item, "PartInterchangeInfo", "PartInterchange"):
        yield from terms.equivalents(interchange, part, values.get("lifeCycle", ""))


PLAIN = {
    "BrandLabel": "brand", "SubBrandLabel": "subBrand", "SubBrandAAIAID": "subBrandAaiaId", "ContainerType": "container",
    "PartTerminologyID": "partTerminologyId", "AAIAProductCategoryCode": "categoryCode", "UNSPSC": "unspsc",
    "VMRSCode": "vmrsCode", "BaseItemID": "baseItemId",
}  # fmt: skip
DAYS = {"ItemEffectiveDate": "effectiveFrom", "AvailableDate": "availableFrom"}
MEASURED = {"ItemQuantitySize": "itemQuantity", "QuantityPerApplication": "quantityPerApplication"}


def _fill(values: dict[str, Any], item: Element, standing: Standing, wording: Wording) -> None:
    values |= pieces.said(item, PLAIN, wording)
    for tag, name in DAYS.items():
        if text := item.said(tag):
            values[name] = wording.day(text, tag)
    for tag, name in MEASURED.items():
        if (measure := item.child(tag)) is not None and measure.text.strip():
            values[name] = {"quantity": wording.text(measure.text, tag, LABEL_MAX)} | pieces.attributes(
                measure, {"UOM": "unit", "Qualifier": "qualifier"}, wording
            )
    if (is_hazardous := item.said("HazardousMaterialCode")) in {"Y", "N"}:
        values["isHazardous"] = is_hazardous == "Y"
    _fill_gtin(values, item, wording)
    _fill_descriptions(values, item, standing, wording)
    _fill_extended(values, item, wording)
    _fill_attributes(values, item, wording)
    _fill_packages(values, item, wording)
    if components := [
        _component(component, values["brandAaiaId"], wording)
        for component in pieces.kept(item, "Kits", "KitComponent", "Kit", wording=wording)
    ]:
        values["components"] = components


def _fill_gtin(values: dict[str, Any], item: Element, wording: Wording) -> None:
    gtin = item.child("ItemLevelGTIN")
    if gtin is None or not gtin.text.strip():
        return
    if gtin.text.strip() == NO_GTIN:
        wording.notes.append("ItemLevelGTIN: fourteen zeros are no GTIN and were left out")
        return
    values["gtin"] = wording.text(gtin.text, "ItemLevelGTIN", 40)
    values |= pieces.attributes(gtin, {"GTINQualifier": "gtinQualifier"}, wording)


def _fill_descriptions(values: dict[str, Any], item: Element, standing: Standing, wording: Wording) -> None:
    names = {"DescriptionCode": "code", "LanguageCode": "language", "Sequence": "sequence"}
    descriptions = [
        {"text": wording.text(description.text, "Description", TEXT_MAX)}
        | pieces.attributes(description, names, wording)
        for description in pieces.kept(item, "Descriptions", "Description", wording=wording)
    ]
    if not descriptions:
        return
    values["descriptions"] = descriptions
    name = min(descriptions, key=lambda one: _rank(one, standing.language))["text"]
    if len(name) > NAME_MAX:
        wording.notes.append(f"name: the description has more than {NAME_MAX} characters and was cut")
    values["name"] = name[:NAME_MAX].rstrip()


def _rank(description: Mapping[str, str], language: str) -> tuple[bool, int, int]:
    """How good a name a description is: in the file's language, of the best kind, the first of its kind."""
    code, sequence = description.get("code", ""), description.get("sequence", "")
    return (
        description.get("language", language) != language,
        NAME_CODES.index(code) if code in NAME_CODES else len(NAME_CODES),
        int(sequence) if sequence.isascii() and sequence.isdigit() else 0,
    )


def _fill_extended(values: dict[str, Any], item: Element, wording: Wording) -> None:
    told = [
        {
            "code": wording.text(one.attributes.get("EXPICode", ""), "EXPICode", LABEL_MAX),
            "text": wording.text(one.text, "EXPI", TEXT_MAX),
        }
        | pieces.attributes(one, {"LanguageCode": "language"}, wording)
        for one in pieces.kept(item, "ExtendedInformation", "ExtendedProductInformation", wording=wording)
    ]
    if not told:
        return
    values["extendedInformation"] = told
    by_code = {one["code"]: one["text"] for one in reversed(told)}
    if life_cycle := by_code.get("LIS"):
        values["lifeCycle"] = LIFE_CYCLES.get(life_cycle.lower(), life_cycle)
        if values["lifeCycle"] in KNOWN_LIFE_CYCLES:
            values["status"] = "discontinued" if values["lifeCycle"] in GONE else "active"
    if country := by_code.get("CTO"):
        values["countryOfOrigin"] = country
    if warranty := by_code.get("WS1"):
        values["warranty"] = warranty
        if found := WARRANTY.search(warranty):
            values["warrantyMonths"] = int(found[1]) * (12 if found[2].lower().startswith("y") else 1)


def _fill_attributes(values: dict[str, Any], item: Element, wording: Wording) -> None:
    """Each attribute by its name, with its unit behind its value; said several times it is a list."""
    attributes: dict[str, Any] = {}
    for one in pieces.kept(item, "ProductAttributes", "ProductAttribute", wording=wording):
        name = wording.text(one.attributes.get("AttributeID", ""), "AttributeID", LABEL_MAX, is_required=True)
        if one.attributes.get("PADBAttribute") == "Y":
            name = f"PAdb {name}"  # a number in the licensed table of attributes
        text = wording.text(f"{one.text} {one.attributes.get('AttributeUOM', '')}", name, TEXT_MAX)
        if name in attributes:
            before = attributes[name]
            attributes[name] = [*before, text] if isinstance(before, list) else [before, text]
        else:
            attributes[name] = text
    if len(attributes) > ATTRIBUTES_MAX:
        raise Unusable(f"it has more than {ATTRIBUTES_MAX} attributes")
    if attributes:
        values["attributes"] = attributes


PACKAGE = {
    "PackageUOM": "unit", "PackageBarCodeCharacters": "barcode", "ElectronicProductCode": "epc",
    "WeightVariance": "weightVariance", "StackingFactor": "stackingFactor",
}  # fmt: skip


def _fill_packages(values: dict[str, Any], item: Element, wording: Wording) -> None:
    packages = [_package(one, wording) for one in pieces.kept(item, "Packages", "Package", wording=wording)]
    if not packages:
        return
    values["packages"] = packages
    packs: dict[str, dict[str, Any]] = {}
    for package in packages:
        if package["quantity"] >= 2:
            name = package.get("unit", "pack")
            name = f"{name} {package['quantity']}" if name in packs else name
            gtin = {"gtin": package["gtin"]} if "gtin" in package else {}
            packs[name] = {"name": name, "quantity": package["quantity"]} | gtin
    if packs:
        values["packs"] = list(packs.values())


def _package(one: Element, wording: Wording) -> dict[str, Any]:
    """How it is packed: units in it, its own GTIN, outer measures. IN, CM; PG pounds, GT kilograms, as said."""
    quantity = wording.whole(one.said("QuantityofEaches"), "QuantityofEaches", least=1, most=QUANTITY_MAX)
    package: dict[str, Any] = {"quantity": quantity} | pieces.said(one, PACKAGE, wording)
    if (gtin := one.said("PackageLevelGTIN")) and gtin != NO_GTIN:
        package["gtin"] = wording.text(gtin, "PackageLevelGTIN", 40)
    if (orderable := one.said("Orderable")) in {"Y", "N"}:
        package["isOrderable"] = orderable == "Y"
    if (inner := one.child("InnerQuantity")) is not None:
        package["innerQuantity"] = wording.text(inner.text, "InnerQuantity", LABEL_MAX)
        package |= pieces.attributes(inner, {"InnerQuantityUOM": "innerUnit"}, wording)
    for tag, name in (("Dimensions", "dimensions"), ("Weights", "weights")):
        if (measures := one.child(tag)) is not None:
            package[name] = pieces.attributes(measures, {"UOM": "unit"}, wording) | {
                autocare.camel(child.name): wording.decimal(child.text, child.name) for child in measures.children
            }
    return package


def _component(one: Element, brand: str, wording: Wording) -> dict[str, Any]:
    number = wording.text(one.said("ComponentPartNumber"), "ComponentPartNumber", PART_MAX)
    quantity = wording.whole(one.said("QuantityInKit"), "QuantityInKit", least=1, most=QUANTITY_MAX)
    component: dict[str, Any] = {"quantity": quantity}
    if number:
        brand = wording.text(one.said("ComponentBrand") or brand, "ComponentBrand", 4)
        component |= {"partNumber": number, "brandAaiaId": brand}
    component |= pieces.said(one, {"Description": "text"}, wording, TEXT_MAX)
    if (separately := one.said("SoldSeparately")) in {"Y", "N"}:
        component["isSoldSeparately"] = separately == "Y"
    return component
