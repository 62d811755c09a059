"""What is asked about a cart, what it is worked out from, and what is answered. Pure."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from orders.calendars import Leg, Taken
from orders.routes import Building, Route

Steps = Sequence[tuple[date, int]]
VALID_MINUTES = 30
"""An answer holds no stock, so it is not good for longer than this."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """So many of one thing, made of parts (product, units of it in one); most things are their only part."""

    number: int
    parts: tuple[tuple[int, int], ...]
    quantity: int


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked, with everything else that counts. Days of supply are those of `today`."""

    lines: tuple[Line, ...]
    at: datetime
    today: date
    routes: tuple[Route, ...]
    is_split_allowed: bool = True
    shipments_max: int = 3
    taken: Mapping[str, Taken] = field(default_factory=dict)
    """By building, what its days hold already."""


class Supply:
    """What can leave each building by date; asked with the days the goods travel, so that they arrive good enough.

    Remembers every figure it gave: these are the inputs of the promise.
    """

    def __init__(
        self,
        *,
        pool: Mapping[int, Steps],
        known: Mapping[tuple[int, int], Mapping[str, Steps]] | None = None,
        look: Callable[[int, int], Mapping[str, Steps]] | None = None,
    ) -> None:
        self.pool = pool
        self.known = dict(known or {})
        self.look = look

    def by_node(self, part: int, more_days: int) -> Mapping[str, Steps]:
        if (part, more_days) not in self.known:
            # What was never asked of the stored inputs is not there: a replay may then only be worse.
            self.known[part, more_days] = self.look(part, more_days) if self.look else {}
        return self.known[part, more_days]

    def total(self, part: int, day: date) -> int:
        return units_on(self.pool.get(part, ()), day)

    def least(self, part: int, day: date) -> int:
        """The smallest total on any day from this on."""
        later = [units for on, units in self.pool.get(part, ()) if on > day]
        return min([self.total(part, day), *later])


@dataclass(frozen=True, kw_only=True)
class Part:
    """So many of a line in a shipment."""

    line: int
    quantity: int


@dataclass(frozen=True, kw_only=True)
class Shipment:
    """One parcel: what is in it, its way, and until when it has to be ordered (exclusive)."""

    route: Route
    leg: Leg
    parts: tuple[Part, ...]
    supply_on: date
    order_by: datetime

    @property
    def load(self) -> int:
        return load_of(self.route.building, [part.quantity for part in self.parts])


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All shipments, earliest first; or why there are none (`unavailable`, `tooManyShipments`)."""

    shipments: tuple[Shipment, ...] = ()
    missing: tuple[int, ...] = ()
    """Lines that cannot be promised at all."""
    refused: str = ""

    @property
    def is_whole(self) -> bool:
        return not self.missing and not self.refused

    @property
    def delivered_on(self) -> date:
        return max(shipment.leg.delivered_on for shipment in self.shipments)

    def of(self, line: int) -> list[tuple[Shipment, int]]:
        """The shipments of a line, and how many of it each takes."""
        return [
            (shipment, part.quantity) for shipment in self.shipments for part in shipment.parts if part.line == line
        ]


def load_of(building: Building, quantities: Sequence[int]) -> int:
    """What it is to a building to get ready so many of each line."""
    return len(quantities) if building.counts == "lines" else sum(quantities)


def valid_until(shipments: Iterable[Shipment], asked_at: datetime) -> datetime:
    return min([asked_at + timedelta(minutes=VALID_MINUTES), *(shipment.order_by for shipment in shipments)])


def units_on(steps: Steps, day: date) -> int:
    place = bisect_right(steps, (day, math.inf))
    return steps[place - 1][1] if place else 0
