"""PIES, the Auto Care standard for what a part is, version 7.2 and those before it from 6.5.

Written after the public structure of the standard: a Header, PriceSheets, Items, a Trailer that counts them
(MarketCopy and DigitalFileInformation are counted and passed over). PartNumber and BrandAAIAID together are what
an Item is about. An Item becomes one Record of kind "product" and, as far as it says them, records of kind
"supply", "price" and "equivalent"; `items.py` says what is in them.
"""

from __future__ import annotations

from collections.abc import Iterator

from catalog import autocare
from catalog.autocare import Envelope, Source, Twin
from catalog.pies import items
from catalog.pies.pieces import Sheet, Standing
from catalog.records import Book, Record, Replaced
from catalog.wording import Unusable, Wording
from partners import xml
from partners.files import Unreadable
from partners.xml import Element

VERSIONS = {"6.5", "6.6", "6.7", "7.0", "7.1", "7.2"}
SUBMISSIONS = {"FULL", "UPDATE"}
NAMESPACES = ("http://www.autocare.org", "http://www.aftermarket.org")  # of 7, and of 6


def read(source: Source) -> Book:
    """A file of parts as a Book. It is walked twice: to prove it whole, then to give its records.

    A FULL file replaces all there is of the brands its Items name; an UPDATE adds, changes and takes away.
    Raises files.Unreadable with line and reason, before any record is given: see `autocare.survey`; also a version
    not read here (8.0), no TransactionDate, or no PCdbVersionDate from 7.0 on, by which its codes are understood.
    An Item that cannot be taken is a record with a fault, and so is one that is there again.
    """
    envelope = autocare.survey(source, FORM)
    return Book(
        records=_records(source, envelope),
        replaces=_replaced(envelope),
        about=autocare.facts(envelope.header, envelope.trailer),
        count=envelope.count,
        skipped=dict(envelope.skipped),
    )


def _check(element: Element) -> None:
    if element.name == "Header":
        version = element.said("PIESVersion")
        if version not in VERSIONS:
            raise Unreadable(f"Line {element.line}: PIES {version[:20] or 'without a version'} is not read; send 7.2.")
        autocare.submission_type(element, known=SUBMISSIONS)
        if version >= "7" and not element.said("PCdbVersionDate"):
            raise Unreadable(f"Line {element.line}: the Header has no PCdbVersionDate.")
    elif element.name == "Trailer":
        try:
            Wording().day(element.said("TransactionDate"), "TransactionDate")
        except Unusable as unusable:
            raise Unreadable(f"Line {element.line}: {unusable}.") from unusable


def _identity(item: Element) -> str | None:
    part = item.said("PartNumber")
    return f"{part}\n{item.said('BrandAAIAID')}" if part else None


def _brand(item: Element) -> str:
    return item.said("BrandAAIAID")


FORM = autocare.Form(
    shape=xml.Shape(
        root="PIES",
        namespaces=NAMESPACES,
        containers={"Items", "PriceSheets", "MarketingCopy"},
        skipped={"MarketCopy", "DigitalFileInformation"},
    ),
    record="Item",
    trailer="Trailer",
    counter="ItemCount",
    table="PriceSheet",
    proving={"PartNumber", "BrandAAIAID"},
    identity=_identity,
    brand=_brand,
    check=_check,
)


def _replaced(envelope: Envelope) -> Replaced | None:
    if autocare.submission_type(envelope.header, known=SUBMISSIONS) != "FULL":
        return None
    return Replaced(kinds=("product", "supply", "price", "equivalent"), brands=tuple(sorted(envelope.brands)))


def _records(source: Source, envelope: Envelope) -> Iterator[Record]:
    header = envelope.header
    standing = Standing(
        brand=header.said("BrandOwnerAAIAID"),
        currency=header.said("CurrencyCode"),
        language=header.said("LanguageCode") or "EN",
        effective=header.said("BlanketEffectiveDate"),
        sheets={sheet.said("PriceSheetNumber"): _sheet(sheet) for sheet in envelope.table},
    )
    twins = {twin.line: twin for twin in envelope.twins}
    for item in autocare.records(source, FORM, envelope):
        yield from items.records(item, standing, _again(twins.get(item.line)))


def _again(twin: Twin | None) -> str:
    return f"line {twin.first_line} is of the same part" if twin else ""


def _sheet(sheet: Element) -> Sheet:
    return Sheet(
        currency=sheet.said("CurrencyCode"),
        effective=sheet.said("EffectiveDate"),
        expiration=sheet.said("ExpirationDate"),
    )
