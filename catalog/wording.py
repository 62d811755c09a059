"""How values of files are cleaned and checked on their way into a record; what is changed is told."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal

# Control characters, also those that only turn or hide what is read; space of any kind is only space.
UNKEPT = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufffe\uffff]"
)
DECIMAL = re.compile(r"[0-9]{1,10}(\.[0-9]{1,4}0*)?|\.[0-9]{1,4}")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})?")


class Unusable(Exception):
    """A record cannot be taken, and this is why."""


class Wording:
    """The values of one record as they are cleaned, with notes on what was changed. Each may raise Unusable."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def text(self, raw: str, what: str, most: int, *, is_required: bool = False) -> str:
        """Trimmed, every run of space one space, control characters left out."""
        kept = raw if raw.isprintable() else UNKEPT.sub("", raw)
        if kept != raw:
            self.notes.append(f"{what}: control characters were left out")
        kept = " ".join(kept.split())
        if is_required and not kept:
            raise Unusable(f"{what} is missing")
        if len(kept) > most:
            raise Unusable(f"{what} is longer than {most:,} characters")
        return kept

    def whole(self, raw: str, what: str, *, least: int, most: int) -> int:
        """A whole number; `2.0` is told as cleaned, `2.5` and `2 pieces` are refused."""
        text = raw.strip()
        digits, _, rest = text.partition(".")
        if rest and set(rest) == {"0"}:
            self.notes.append(f"{what}: {text[:40]} was read as {digits[:40]}")
            text = digits
        if not (text.isascii() and text.isdigit() and len(text) <= 18 and least <= int(text) <= most):
            comma = "," if most > 9_999 else ""  # years have none
            raise Unusable(f"{what} {text[:40]!r} is no whole number from {least:{comma}} to {most:{comma}}")
        return int(text)

    def decimal(self, raw: str, what: str) -> str:
        """A number above 0 as it is written, at most ten digits and four decimals; money is never a float."""
        text = raw.strip()
        if not DECIMAL.fullmatch(text) or Decimal(text) == 0:
            raise Unusable(f"{what} {text[:40]!r} is no number above 0 with at most 10 digits and 4 decimals")
        return text

    def day(self, raw: str, what: str) -> str:
        """A date as the standards write it (XML Schema date): `2026-09-01`, a time zone behind it is left out."""
        text = raw.strip()
        try:
            if not DAY.fullmatch(text):
                raise ValueError
            return date.fromisoformat(text[:10]).isoformat()
        except ValueError as error:
            raise Unusable(f"{what} {text[:40]!r} is not a date; it is written 2027-01-31") from error
