"""Trade item numbers: one product under 8, 12, 13 or 14 digits, told apart from what merely looks like one. Pure.

Sources: GS1 General Specifications 1.4 (prefixes), 3.3 (GTIN), 7.9 (check digit). Fourteen digits, filled with
zeros on the left, are the same number whichever symbol it was printed in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from biip import ParseError
from biip.upc import Upc
from stdnum import ean

LENGTHS = (8, 12, 13, 14)
SHOWN_MAX = 40
# People and price lists write spaces, hyphens and a BOM's leftovers into numbers; they mean nothing.
NOISE = re.compile(r"[\s\u00ad\u200b-\u200f\u2010-\u2015\ufeff-]+")
SPREADSHEET = re.compile(r"\d([.,]\d{1,30})?[Ee]\+?\d{1,3}")
# Prefixes 02, 04 and 20 to 29, and GTIN-8s that begin with 0 or 2, are given by anybody to anything in a house of
# their own: two houses mean two things by one number.
RESTRICTED = r"^(.(02|04|2)|000000[02])"
_RESTRICTED = re.compile(RESTRICTED)


class NoGtin(ValueError):
    """It is no GTIN, and this sentence says why and what to do."""


@dataclass(frozen=True)
class Gtin:
    """A trade item number: `digits` as it was given, without noise, and the 14 by which it is known."""

    digits: str
    gtin14: str

    @property
    def is_restricted(self) -> bool:
        """Whether the number means something only in one company or region (restricted circulation)."""
        return is_restricted(self.gtin14)


def check_digit(body: str) -> str:
    """The last digit of a GTIN, GLN or SSCC whose other digits are `body` (modulo 10, weights 3, 1 from the right)."""
    return str(ean.calc_check_digit(body))


def is_sound(number: str) -> bool:
    """Whether the last digit is the check digit of the others; for a number of any length."""
    return number.isascii() and number.isdigit() and len(number) > 1 and check_digit(number[:-1]) == number[-1]


def is_restricted(gtin14: str) -> bool:
    return _RESTRICTED.match(gtin14) is not None


def read(text: str) -> Gtin:
    """The GTIN that a text is: GTIN-8, 12, 13 or 14, or a UPC-E, which is expanded. Raises NoGtin.

    Zeros that were lost are not guessed here: eleven digits are none of anything.
    """
    digits = NOISE.sub("", text)
    if SPREADSHEET.fullmatch(text.strip()):
        raise NoGtin(
            f"{text.strip()} is what a spreadsheet made of a long number: its digits are lost; send it as text."
        )
    if len(digits) not in LENGTHS or not digits.isascii() or not digits.isdigit():
        raise NoGtin(f"A GTIN has 8, 12, 13 or 14 digits; {_shown(digits)} has not.")
    if not digits.strip("0"):
        raise NoGtin("Zeros alone are a placeholder and no GTIN.")
    if is_sound(digits):
        return Gtin(digits, digits.zfill(14))
    if upc := upc_e(digits):
        return Gtin(digits, upc.zfill(14))
    raise NoGtin(f"The check digit of {digits} is wrong: {digits[:-1]} ends in {check_digit(digits[:-1])}.")


def upc_e(digits: str) -> str | None:
    """The twelve digits of a UPC-A that an eight-digit UPC-E is short for, or None for what is no UPC-E."""
    if len(digits) != 8 or digits[0] not in "01":
        return None
    try:
        return Upc.parse(digits).as_upc_a()
    except ParseError:
        return None


def forms(text: str) -> list[str]:
    """Every GTIN-14 a scanned or typed number may stand for, likeliest first; none for what is no GTIN.

    Eight digits may be a GTIN-8 and a UPC-E at once, where both check digits happen to fit.
    """
    try:
        found = [read(text).gtin14]
    except NoGtin:
        return []
    if upc := upc_e(NOISE.sub("", text)):
        found.append(upc.zfill(14))
    return list(dict.fromkeys(found))


def _shown(text: str) -> str:
    return repr(text if len(text) <= SHOWN_MAX else text[:SHOWN_MAX] + "…")
