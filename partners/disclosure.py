"""What a partner is told of a quantity. Pure: numbers in, words out.

Stock figures are confidential: the same 137 units are "137" to a 3PL, "20+" to a marketplace, a band
to a reseller and a plain yes to a price-comparison site. A rule is written as in
`create_partner --disclosure`: `exact`, `capped:20`, `banded`, `yesNo`, and with `,buffer:10` or `,buffer:5%`
some units are kept back: they are neither told nor promised (see stock/availability.py, which takes them off
before anything is told).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

BANDS = (0, 1, 10, 50, 200, 1_000)
CAP_MAX = 1_000_000
BUFFER_MAX = 10**12
HOW = "write capped:N with N from 1 to 1,000,000, and buffer:N or buffer:P% behind a comma"


@dataclass(frozen=True)
class Disclosed:
    """`quantity` is safe to calculate with (never more than there is), `label` is for people."""

    quantity: int | None
    label: str


@dataclass(frozen=True)
class Rule:
    kind: Literal["exact", "capped", "banded", "yesNo"] = "exact"
    cap: int | None = None
    buffer_units: int | None = None
    buffer_percent: Decimal | None = None

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Read `exact`, `capped:N`, `banded` or `yesNo`, each with a buffer or none. Raises ValueError with the
        sentence to show."""
        word, comma, buffer = text.partition(",")
        units, percent = _buffer(buffer) if comma else (None, None)
        kind, _, cap = word.partition(":")
        if kind == "capped":
            if not cap.isascii() or not cap.isdigit() or not 1 <= int(cap) <= CAP_MAX:
                raise ValueError(f"{text!r}: {HOW}.")
            return cls("capped", int(cap), units, percent)
        if kind not in {"exact", "banded", "yesNo"} or cap:
            raise ValueError(f"{text!r} is no disclosure; it can be exact, capped:N, banded or yesNo.")
        return cls(kind, None, units, percent)  # type: ignore[arg-type]  # the line above leaves only the literal's values

    def __str__(self) -> str:
        word = f"capped:{self.cap}" if self.kind == "capped" else self.kind
        if self.buffer_percent is not None:
            return f"{word},buffer:{self.buffer_percent.normalize():f}%"
        return word if self.buffer_units is None else f"{word},buffer:{self.buffer_units}"

    @property
    def keeps_back(self) -> bool:
        return bool(self.buffer_units or self.buffer_percent)

    @property
    def is_exact(self) -> bool:
        """Whether all may be told as the book has it: every level, every movement, every term."""
        return self.kind == "exact" and not self.keeps_back

    def tell(self, quantity: int) -> Disclosed:
        """What to say of `quantity` units that may be promised; a negative number is told as none."""
        quantity = max(quantity, 0)
        match self.kind:
            case "exact":
                return Disclosed(quantity, str(quantity))
            case "capped":
                cap = self.cap or 1
                return Disclosed(min(quantity, cap), f"{cap}+" if quantity >= cap else str(quantity))
            case "banded":
                low, top = _band(quantity)
                label = f"{low}+" if top is None else str(low) if low == top else f"{low}-{top}"
                return Disclosed(low, label)
            case "yesNo":
                return Disclosed(None, "yes" if quantity else "no")

    def floor(self, quantity: int) -> int:
        """As many of `quantity` units as it is told there are; of who is told yes or no, one."""
        told = self.tell(quantity)
        return min(max(quantity, 0), 1) if told.quantity is None else told.quantity

    def bounds(self, quantity: int) -> tuple[int, int | None]:
        """The least and the most there may be, for all who is told so can know; null: no most."""
        quantity = max(quantity, 0)
        match self.kind:
            case "exact":
                return quantity, quantity
            case "capped":
                cap = self.cap or 1
                return (quantity, quantity) if quantity < cap else (cap, None)
            case "banded":
                return _band(quantity)
            case "yesNo":
                return (1, None) if quantity else (0, 0)

    def of_problem(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The facts of a refusal without what the book has: `available` and `elsewhere` of shortages are null."""
        if self.is_exact or "shortages" not in data:
            return dict(data)
        rows = [
            {
                name: None if name in {"available", "elsewhere"} else value
                for name, value in row.items()
                if name != "levelId"
            }
            for row in data["shortages"]
        ]
        return {**data, "shortages": rows}

    def of_stock_event(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """An event's data about everybody's stock: who is not told all learns what it is about, and no number."""
        if self.is_exact:
            return dict(payload)
        return {name: value for name, value in payload.items() if not _counts(value)}


def _band(quantity: int) -> tuple[int, int | None]:
    if quantity == 0:
        return 0, 0
    low = max(band for band in BANDS if band <= quantity)
    return low, min((band - 1 for band in BANDS if band > quantity), default=None)


def _counts(value: Any) -> bool:
    """Whether there is a number in it."""
    if isinstance(value, dict):
        return any(map(_counts, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_counts, value))
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _buffer(text: str) -> tuple[int | None, Decimal | None]:
    kind, _, amount = text.partition(":")
    try:
        number = Decimal(amount.removesuffix("%"))
    except InvalidOperation:
        number = Decimal(-1)
    if kind != "buffer" or not number.is_finite() or number <= 0:
        raise ValueError(f"{text!r}: {HOW}.")
    if amount.endswith("%"):
        if number > 100 or number != round(number, 2):
            raise ValueError(f"{text!r}: a percentage up to 100, with two decimals at most.")
        return None, number
    if number > BUFFER_MAX or number != int(number):
        raise ValueError(f"{text!r}: whole units, up to {BUFFER_MAX:,}.")
    return int(number), None
