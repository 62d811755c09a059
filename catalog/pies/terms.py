"""On which terms an Item is sold: how few may be ordered, at which prices, and what does the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from catalog.pies import pieces
from catalog.pies.pieces import LABEL_MAX, PART_MAX, QUANTITY_MAX, Part, Sheet, Standing
from catalog.records import Record
from catalog.wording import Unusable, Wording
from partners.xml import Element

FOR_EVER = "9999-01-01"  # what expires then does not
EACH_PRICES = {"PE", "EA"}  # PCdb price units: per each
RENUMBERED = {"6", "7"}  # EXPI LIS: this part gave way to the one it is interchanged with


def supply(minimum: Element, part: Part, product: Mapping[str, Any]) -> Record:
    """How few may be ordered; a minimum of 0 is one of 1."""
    wording, values, fault = Wording(), dict[str, Any](), ""
    values |= {"partNumber": part.number, "brandAaiaId": part.brand}
    try:
        quantity = wording.whole(minimum.text, "MinimumOrderQuantity", least=0, most=QUANTITY_MAX)
        values |= {"minimumOrderQuantity": max(quantity, 1)}
        values |= pieces.attributes(minimum, {"UOM": "minimumOrderUnit"}, wording)
        values |= {"packs": product["packs"]} if "packs" in product else {}
    except Unusable as unusable:
        fault = str(unusable)
    return pieces.record("supply", minimum, part, values, (part.number, part.brand), wording, fault)


def price(pricing: Element, part: Part, standing: Standing) -> Record:
    """A price for each piece, from a quantity on, valid from a day until a day (not included, the one after the
    ExpirationDate, which is read as the last it holds).

    What it does not say itself, its price sheet says, or else the Header. A price per anything but one piece, or
    one to be multiplied, is not taken: as a price per piece it would be wrong.
    """
    wording, values, fault = Wording(), dict[str, Any](), ""
    values |= {"partNumber": part.number, "brandAaiaId": part.brand}
    try:
        pieces.check_maintenance(pricing)
        values["priceList"] = wording.text(
            pricing.attributes.get("PriceType", ""), "PriceType", LABEL_MAX, is_required=True
        )
        values |= pieces.said(pricing, {"PriceSheetNumber": "priceSheet", "PriceTypeDescription": "text"}, wording)
        sheet = standing.sheets.get(values.get("priceSheet", ""), Sheet())
        values["currency"] = wording.text(
            pricing.said("CurrencyCode") or sheet.currency or standing.currency, "CurrencyCode", 3, is_required=True
        )
        values["fromQuantity"] = _from_quantity(pricing, wording)
        if effective := pricing.said("EffectiveDate") or sheet.effective or standing.effective:
            values["validFrom"] = wording.day(effective, "EffectiveDate")
        if expiration := pricing.said("ExpirationDate") or sheet.expiration:
            last = wording.day(expiration, "ExpirationDate")
            if last < values.get("validFrom", ""):
                raise Unusable(f"it expires on {last}, before it is effective on {values['validFrom']}")
            if last < FOR_EVER:
                values["validUntil"] = (date.fromisoformat(last) + timedelta(days=1)).isoformat()
        values["unitPrice"] = _unit_price(pricing, wording)
    except Unusable as unusable:
        fault = str(unusable)
    told = (str(values.get(name, "")) for name in ("priceList", "priceSheet", "currency", "fromQuantity", "validFrom"))
    return pieces.record("price", pricing, part, values, (part.number, part.brand, *told), wording, fault)


def _from_quantity(pricing: Element, wording: Wording) -> int:
    quantity = pricing.child("PriceBreak")
    if quantity is None or not quantity.text.strip():
        return 1
    if (unit := quantity.attributes.get("UOM", "EA")) != "EA":
        raise Unusable(f"its break is counted in {unit[:20]}, not in pieces (EA)")
    return wording.whole(quantity.text, "PriceBreak", least=1, most=QUANTITY_MAX)


def _unit_price(pricing: Element, wording: Wording) -> str:
    amount = pricing.child("Price")
    if amount is None:
        raise Unusable("<Price> is missing")
    if (unit := amount.attributes.get("UOM", "PE")) not in EACH_PRICES:
        raise Unusable(f"it is a price per {unit[:20]}, not per piece (PE)")
    factor = pricing.said("PriceMultiplier")
    if factor and Decimal(wording.decimal(factor, "PriceMultiplier")) != 1:
        raise Unusable("it is to be multiplied (PriceMultiplier), which is not read here")
    return wording.decimal(amount.text, "Price")


def equivalents(interchange: Element, part: Part, life_cycle: str) -> Iterator[Record]:
    """What else does the same.

    A number of another brand is interchangeable. One of the same brand is a supersession: where this part is
    renumbered or superseded (EXPI LIS), the other took its place; or else this part took the place of the other.
    The standard itself does not say which way since 7.0; this is our reading of it.
    """
    for number in interchange.all("PartNumber"):
        wording, values, fault = Wording(), dict[str, Any](), ""
        try:
            pieces.check_maintenance(interchange)
            other = wording.text(number.text, "PartNumber", PART_MAX, is_required=True)
            told = interchange.attributes.get("BrandAAIAID") or interchange.said("BrandAAIAID") or part.brand
            brand = wording.text(told, "BrandAAIAID", 4)
            if (other, brand) == (part.number, part.brand):
                raise Unusable("it is interchanged with itself")
            values |= _pair((part.number, part.brand), (other, brand), life_cycle)
            values |= pieces.attributes(
                number, {"InterchangeQuantity": "quantity", "UOM": "unit", "InterchangeNotes": "note"}, wording
            ) | pieces.attributes(interchange, {"QualityGradeLevel": "grade", "BrandLabel": "brandLabel"}, wording)
        except Unusable as unusable:
            fault = str(unusable)
        names = ("partNumber", "brandAaiaId", "relation", "otherPartNumber", "otherBrandAaiaId")
        key = tuple(values.get(name, "") for name in names) if values else (part.number, part.brand)
        yield pieces.record("equivalent", interchange, part, values, key, wording, fault)


def _pair(this: tuple[str, str], other: tuple[str, str], life_cycle: str) -> dict[str, str]:
    relation = "superseded" if this[1] == other[1] else "interchangeable"
    if relation == "superseded" and life_cycle not in RENUMBERED:
        this, other = other, this
    return {
        "partNumber": this[0],
        "brandAaiaId": this[1],
        "relation": relation,
        "otherPartNumber": other[0],
        "otherBrandAaiaId": other[1],
    }
