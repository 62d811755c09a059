"""What buildings offer, the parcels made of it, and which of several carts is the best. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from orders.calendars import Leg
from orders.combining import Share
from orders.routes import Route

Order = tuple[date, int, int, int, list[tuple[str, str]]]
"""How good a cart is: when it arrives, in how many shipments, their ranks, ways and names; the lowest is the best."""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What a building can send with one leg: so many of each product."""

    route: Route
    leg: Leg
    supply_on: date
    has: Mapping[int, int]

    def has_all(self, needed: Mapping[int, int]) -> bool:
        return all(self.has.get(part, 0) >= units for part, units in needed.items())


def as_sent(offer: Offer) -> tuple[date, tuple[str, str]]:
    return offer.leg.delivered_on, offer.route.name


class Parcel(NamedTuple):
    """What is sent with an offer, and its way with all of it."""

    offer: Offer
    leg: Leg
    shares: list[Share]


class Cart:
    """All lines in their parcels, earliest first. Of several carts the one of the lowest order is the best."""

    def __init__(self, parcels: Sequence[Parcel]) -> None:
        self.parcels = sorted(parcels, key=lambda parcel: (parcel.leg.delivered_on, parcel.offer.route.name))
        self.arrival = self.parcels[-1].leg.delivered_on
        routes = [parcel.offer.route for parcel in self.parcels]
        ranks = sum([route.service.rank for route in routes])
        ways = sum([route.way_km for route in routes])
        self.order: Order = self.arrival, len(routes), ranks, ways, [route.name for route in routes]
