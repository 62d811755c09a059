"""What a partner is told of a quantity. Pure: numbers in, words out.

Stock figures are confidential: the same 137 units are "137" to a 3PL, "20+" to a marketplace, a band
to a reseller and a plain yes to a price-comparison site. A rule is written as in
`create_partner --disclosure`: `exact`, `capped:20`, `banded`, `yesNo`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

BANDS = (0, 1, 10, 50, 200, 1_000)
CAP_MAX = 1_000_000


@dataclass(frozen=True)
class Disclosed:
    """`quantity` is safe to calculate with (never more than there is), `label` is for people."""

    quantity: int | None
    label: str


@dataclass(frozen=True)
class Rule:
    kind: Literal["exact", "capped", "banded", "yesNo"] = "exact"
    cap: int | None = None

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Read `exact`, `capped:N`, `banded` or `yesNo`. Raises ValueError with the sentence to show."""
        kind, _, cap = text.partition(":")
        if kind == "capped":
            if not cap.isascii() or not cap.isdigit() or not 1 <= int(cap) <= CAP_MAX:
                raise ValueError(f"{text!r}: write capped:N with N from 1 to {CAP_MAX:,}.")
            return cls("capped", int(cap))
        if kind not in {"exact", "banded", "yesNo"} or cap:
            raise ValueError(f"{text!r} is no disclosure; it can be exact, capped:N, banded or yesNo.")
        return cls(kind)  # type: ignore[arg-type]  # the line above leaves only the literal's values

    def __str__(self) -> str:
        return f"capped:{self.cap}" if self.kind == "capped" else self.kind

    @property
    def is_exact(self) -> bool:
        return self.kind == "exact"

    def tell(self, quantity: int) -> Disclosed:
        """What to say of `quantity` units; a negative number is told as none."""
        quantity = max(quantity, 0)
        match self.kind:
            case "exact":
                return Disclosed(quantity, str(quantity))
            case "capped":
                cap = self.cap or 1
                return Disclosed(min(quantity, cap), f"{cap}+" if quantity >= cap else str(quantity))
            case "banded":
                low = max(band for band in BANDS if band <= quantity)
                above = [band for band in BANDS if band > quantity]
                label = "0" if quantity == 0 else f"{low}-{above[0] - 1}" if above else f"{low}+"
                return Disclosed(low, label)
            case "yesNo":
                return Disclosed(None, "yes" if quantity else "no")

    def of_stock_event(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """An event's data about everybody's stock: who is not told all learns what it is about, and no number."""
        if self.is_exact:
            return dict(payload)
        return {name: value for name, value in payload.items() if not _counts(value)}


def _counts(value: Any) -> bool:
    """Whether there is a number in it."""
    if isinstance(value, dict):
        return any(map(_counts, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_counts, value))
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)
