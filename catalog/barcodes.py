"""What a scan says: a trade item number, GS1 element strings, a Digital Link, or a number of somebody's own. Pure.

The three characters a scanner may send first (AIM symbology identifiers, ISO/IEC 15424) say what it saw: ]E0 EAN/UPC,
]I1 ITF-14, ]C1 GS1-128, ]e0 GS1 DataBar, ]d2 GS1 DataMatrix, ]Q3 GS1 QR, ]J1 GS1 DotCode.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from catalog import gtins
from catalog.gs1 import elements, links
from catalog.gs1.elements import Element, Unreadable
from catalog.gtins import Gtin, NoGtin

CODE_MAX = 500
SYMBOLOGY = re.compile(r"\][A-Za-z][0-9A-Za-z]")
TRADE_ITEMS = {"]E0", "]E1", "]E2", "]E3", "]E4", "]I0", "]I1"}
MESSAGES = {"]C1", "]d2", "]Q3", "]e0", "]e1", "]e2", "]J1"}

Kind = Literal["gtin", "elements", "link"]


@dataclass(frozen=True)
class Scan:
    """What a code says. `gtin` is the trade item it speaks of, or that a logistic unit holds (AI 02)."""

    kind: Kind
    elements: tuple[Element, ...] = ()
    bare: Gtin | None = None

    def value(self, ai: str) -> str:
        return next((element.value for element in self.elements if element.ai == ai), "")

    def day(self, *ais: str) -> date | None:
        """The first of these dates that is there."""
        said = {element.ai: element.meaning for element in self.elements}
        days = (said.get(ai) for ai in ais)
        day = next((day for day in days if isinstance(day, date)), None)
        return day.date() if isinstance(day, datetime) else day

    @property
    def gtin14(self) -> str:
        """The item number; of pieces of one (8006, 8026) the item's own."""
        return (
            self.bare.gtin14 if self.bare
            else self.value("01") or self.value("02") or self.value("03")
            or self.value("8006")[:14] or self.value("8026")[:14]
        )  # fmt: skip

    @property
    def gtin_forms(self) -> list[str]:
        return gtins.forms(self.bare.digits) if self.bare else [self.gtin14] if self.gtin14 else []

    @property
    def count(self) -> int | None:
        """So many of the trade item: the content of a logistic unit (37), or of a variable one (30)."""
        text = self.value("37") or self.value("30")
        return int(text) if text else None

    @property
    def plain(self) -> dict[str, str | int]:
        """Each field by its AI, a measure and an amount by the first three digits of it: {"310": "1.250 kg"}."""
        return {
            element.ai[:3] if len(element.ai) == 4 and element.ai[0] == "3" else element.ai: element.plain
            for element in self.elements
        }


def read(text: str, *, today: date) -> Scan:
    """What a scanned or typed code says. Dates of two-digit years lie around `today`.

    Raises Unreadable with each fault as a sentence. A number of 8, 12, 13 or 14 digits without a symbology
    identifier is a trade item number, right or wrong, and never guessed to be anything else.
    """
    code = text.strip(" \t\r\n")
    if len(code) > CODE_MAX:
        raise Unreadable.because(f"A code has at most {CODE_MAX} characters.")
    seen = SYMBOLOGY.match(code)
    symbology = seen[0] if seen else ""
    code = code[len(symbology) :]
    if links.is_link(code):
        return Scan("link", tuple(links.read(code, today=today)))
    if symbology in MESSAGES or (symbology not in TRADE_ITEMS and _is_message(code)):
        return Scan("elements", tuple(elements.read(code, today=today)))
    try:
        return Scan("gtin", bare=gtins.read(code))
    except NoGtin as error:
        raise Unreadable.because(str(error)) from error


def _is_message(code: str) -> bool:
    digits = gtins.NOISE.sub("", code)
    return not gtins.SPREADSHEET.fullmatch(code) and not (
        digits.isascii() and digits.isdigit() and len(digits) < 15 and elements.FNC1 not in code
    )
