"""What was agreed with a supplier, held against what we order and what comes. Pure: numbers in, numbers out.

Quantities are stock units. Percentages are rounded so that they never help the supplier: what may be over and
what may be short down, what is looked at up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

NONE, SAMPLE, ALL = "none", "sample", "all"


@dataclass(frozen=True, kw_only=True)
class Agreed:
    """The terms that count for one product of a supplier; these defaults where none were agreed."""

    over_percent: Decimal = Decimal(0)
    under_percent: Decimal = Decimal(0)
    minimum_shelf_life_days: int | None = None
    quality_plan: str = NONE
    sample_percent: Decimal | None = None

    def most(self, ordered: int) -> int:
        """The most that is taken without asking."""
        return ordered + math.floor(ordered * self.over_percent / 100)

    def enough(self, expected: int) -> int:
        """What a line is done with, although less than expected."""
        return expected - math.floor(expected * self.under_percent / 100)

    def looked_at(self, quantity: int) -> int:
        """How many of so many that came are held until somebody has looked at them."""
        if self.quality_plan == ALL:
            return quantity
        if self.quality_plan == SAMPLE and self.sample_percent:
            return min(quantity, math.ceil(quantity * self.sample_percent / 100))
        return 0

    def is_too_old(self, expires_on: date | None, today: date, *, is_batch: bool) -> bool:
        """Whether a batch has too little shelf life left; one without a date has, where some is asked for.

        It counts as sellable through the end of the day it expires.
        """
        if expires_on is None:
            return is_batch and self.minimum_shelf_life_days is not None
        return (expires_on - today).days < (self.minimum_shelf_life_days or 0)


def orderable(asked: int, *, minimum: int | None, multiple: int | None, pack: int | None) -> int:
    """The least quantity, not below what is asked, that the supplier takes: its minimum, in whole multiples and packs."""
    step = math.lcm(multiple or 1, pack or 1)
    least = max(asked, minimum or 1)
    return -(-least // step) * step


@dataclass(kw_only=True)
class Awaited:
    """A line of an order while a delivery is settled; `taken` is what of the delivery was put down to it."""

    line_id: int
    ordered: int
    expected: int
    received: int
    most: int
    is_ended: bool = False
    taken: int = 0

    @property
    def rooms(self) -> tuple[int, int, int]:
        """How much the line takes: of what is expected, of what was ordered, with what may be over."""
        ends = (0, 0, 0) if self.is_ended else (self.expected, self.ordered, self.most)
        return tuple(max(end - self.received, 0) for end in ends)  # type: ignore[return-value]  # three, as above

    @property
    def beyond(self) -> int:
        """How much more was put down to it than may be."""
        return max(self.taken - self.rooms[2], 0)


@dataclass(frozen=True, kw_only=True)
class Share:
    """Units of a delivery that belong to a line, within what was ordered or over it."""

    line_id: int
    quantity: int
    is_over: bool = False


def settle(quantity: int, lines: Sequence[Awaited]) -> list[Share]:
    """Put a quantity that came down to the lines it may be for, in their order.

    First what each expects, then what was ordered of it, then what may be over; what is left is over on the
    last. Counts it as taken, so that the next quantity finds less room.
    """
    shares: dict[tuple[int, bool], int] = {}
    left = quantity
    for stage in range(3):
        for line in lines:
            if (units := min(left, line.rooms[stage] - line.taken)) > 0:
                _add(shares, line, units, is_over=stage == 2)
                left -= units
    if left and lines:
        _add(shares, lines[-1], left, is_over=True)
    return [Share(line_id=line_id, quantity=units, is_over=over) for (line_id, over), units in shares.items()]


def _add(shares: dict[tuple[int, bool], int], line: Awaited, units: int, *, is_over: bool) -> None:
    line.taken += units
    key = (line.line_id, is_over)
    shares[key] = shares.get(key, 0) + units


def spread(amount: Decimal, weights: Sequence[Decimal], *, places: int) -> list[Decimal]:
    """Cut an amount of money in proportion to the weights, exactly: the rest goes to the heaviest, of several the first.

    Each part has as many places as the currency. At least one weight is above zero.
    """
    unit = Decimal(1).scaleb(-places)
    total = sum(weights)
    parts = [(amount * weight / total / unit).to_integral_value(rounding="ROUND_DOWN") * unit for weight in weights]
    parts[weights.index(max(weights))] += amount - sum(parts)
    return parts
