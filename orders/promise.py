"""From where, when and how a cart can arrive. Pure: lines, supply by date and routes in, a plan with its reasons out.

A shipment is one parcel from one building, sent when all that is in it is there. Of all plans within the allowed
number of shipments the one is taken that arrives whole first; of those, the one with the fewest shipments, then the
lowest ranks of services, then the shortest way, then by codes, so that the same question has the same answer. Where
capacity is limited the parcels are dated with their whole load: what is promised can be done, though another
spread of the load might have been earlier.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from orders import calendars, carts, combining
from orders.calendars import Leg
from orders.carts import Cart, Offer, Order, Parcel
from orders.combining import Share
from orders.plans import Line, Part, Plan, Question, Shipment, Steps, Supply, load_of, units_on
from orders.routes import Route


def promise(question: Question, supply: Supply) -> Plan:
    """The plan for all lines; where some cannot be had at all, for the others.

    Where all could be had, but not in so few shipments, it is refused as a whole and each line dated by itself.
    """
    market = _Market(question, supply)
    missing = tuple(line.number for line in question.lines if not market.can_ever(line))
    lines = [line for line in question.lines if line.number not in missing]
    if not lines:
        return Plan(missing=missing, refused="unavailable")
    found = market.best(lines)
    if found:
        return Plan(shipments=found, missing=missing, refused="unavailable" if missing else "")
    alone = [(line, market.best([line])) for line in lines]
    missing += tuple(line.number for line, shipments in alone if not shipments)
    return Plan(
        shipments=tuple(shipment for _, shipments in alone for shipment in shipments),
        missing=missing,
        refused="unavailable" if missing or not market.is_enough(lines) else "tooManyShipments",
    )


def with_order_by(plan: Plan, question: Question) -> Plan:
    """The plan with the moment by which each shipment has to be ordered: for who shows it, since it takes a search."""
    shipments = [
        replace(
            shipment,
            order_by=calendars.last_moment(
                route=shipment.route, start=question.at, supply_on=shipment.supply_on, load=shipment.load,
                taken=question.taken.get(shipment.route.building.code, {}), made=shipment.leg,
            ),
        )
        for shipment in plan.shipments
    ]  # fmt: skip
    return replace(plan, shipments=tuple(shipments))


@dataclass(frozen=True, kw_only=True)
class _Wish:
    """The lines that shall arrive together."""

    lines: Sequence[Line]
    wanted: list[int]
    is_apart: bool
    """No product is wanted by two lines."""
    is_plenty: bool
    """All buildings together will always have more, whatever leaves when."""


class _Market:
    """All offers for one question."""

    def __init__(self, question: Question, supply: Supply) -> None:
        self.question, self.supply = question, supply
        self.today = max(question.today, question.at.date())
        self.parts = sorted({part for line in question.lines for part, _ in line.parts})
        self.days = {route.building.code: route.building.day_of(question.at) for route in question.routes}
        self.by_node: dict[int, dict[str, list[tuple[int, Steps]]]] = {}
        self.legs: dict[tuple[tuple[str, str], date, int], Leg | None] = {}
        self.offers = sorted(self._offers(), key=lambda offer: (offer.leg.delivered_on, *offer.route.preference))
        self.by_building: dict[str, list[Offer]] = defaultdict(list)
        for offer in self.offers:
            self.by_building[offer.route.building.code].append(offer)
        self.most = [_most(here) for here in self.by_building.values()]
        self.soonest = {
            code: (
                here[0].leg.delivered_on,
                min([offer.route.service.rank for offer in here]),
                min([offer.route.way_km for offer in here]),
            )
            for code, here in self.by_building.items()
        }
        self.only = {
            code for code, here in self.by_building.items() if len(here) == 1 and not here[0].route.building.is_limited
        }
        """Buildings that can send their parcel in one way only, whatever is in it."""

    def can_ever(self, line: Line) -> bool:
        """Whether the buildings together, or one where it must not be split, will ever have so much of it."""
        found = 0
        for here in self.most:
            room = combining.room(line, here)
            found = found + room if self.question.is_split_allowed else max(found, room)
            if found >= line.quantity:
                return True
        return False

    def is_enough(self, lines: Sequence[Line]) -> bool:
        return combining.spread(lines, self.most) is not None

    def best(self, lines: Sequence[Line]) -> tuple[Shipment, ...]:
        """The shipments that bring all lines soonest; none where no plan does."""
        late: Cart | None = None
        wish = self._wish(lines)
        most = self.question.shipments_max if self.question.is_split_allowed else 1
        for day in sorted({offer.leg.delivered_on for offer in self.offers}):
            if late and late.arrival <= day:
                break
            offers = self._worth_it(day)
            rows = [[combining.room(line, offer.has) for line in lines] for offer in offers]
            if any(sum(column) < units for column, units in zip(zip(*rows, strict=True), wish.wanted, strict=True)):
                continue
            buildings = [offer.route.building.code for offer in offers]
            is_each_needed = True
            for count in range(1, most + 1):
                # With limited capacity a whole load may arrive later than the first of it; the best such is kept.
                sets, is_all = combining.sets(wish.wanted, rows, buildings, count=count)
                best = self._best_cart(wish, sets, offers, rows, is_each_needed=is_each_needed)
                is_each_needed &= is_all and not sets
                if best and best.arrival <= day:
                    return self._shipments(lines, best)
                if best:
                    late = min([best, late], key=lambda cart: cart.order) if late else best
        return self._shipments(lines, late) if late else ()

    def _best_cart(
        self,
        wish: _Wish,
        sets: Sequence[Sequence[int]],
        offers: Sequence[Offer],
        rows: Sequence[Sequence[int]],
        *,
        is_each_needed: bool,
    ) -> Cart | None:
        """The best with one of these sets of offers. Where fewer would not do each sends a parcel: then what cannot be
        better than the best so far is not tried."""
        best: Cart | None = None
        bounds = [self._at_best([offers[place] for place in places]) for places in sets]
        if is_each_needed:
            sets = [places for _, places in sorted(zip(bounds, sets, strict=True), key=lambda pair: pair[0])]
            bounds.sort()
        for bound, places in zip(bounds, sets, strict=True):
            if is_each_needed and best and bound > best.order:
                break
            cart = self._cart(wish, places, offers, rows)
            if cart and (best is None or cart.order < best.order):
                best = cart
        return best

    def _at_best(self, chosen: Sequence[Offer]) -> Order:
        """The order of a cart with a parcel from each of these buildings is not below this."""
        codes = [offer.route.building.code for offer in chosen]
        arrivals, ranks, ways = zip(*[self.soonest[code] for code in codes], strict=True)
        names = [offer.route.name for offer in sorted(chosen, key=carts.as_sent)] if self.only.issuperset(codes) else []
        return max(arrivals), len(chosen), sum(ranks), sum(ways), names

    def _wish(self, lines: Sequence[Line]) -> _Wish:
        needed = _needed(lines, [(place, line.quantity) for place, line in enumerate(lines)])
        return _Wish(
            lines=lines,
            wanted=[line.quantity for line in lines],
            is_apart=len(needed) == sum(len(line.parts) for line in lines),
            is_plenty=all(self.supply.least(part, self.today) >= units for part, units in needed.items()),
        )

    def _offers(self) -> Iterator[Offer]:
        """Of each route a leg for each day on which its building has more of anything."""
        supply_days: dict[str, list[date]] = {}
        for route in self.question.routes:
            node = route.building.code
            if node not in supply_days:
                supply_days[node] = self._supply_days(node)
            for day in supply_days[node]:
                made = self._leg(route, day, 1)
                if made and (has := self._has(route, made, day)):
                    yield Offer(route=route, leg=made, supply_on=day, has=has)

    def _supply_days(self, node: str) -> list[date]:
        days = {first := self.days[node]}
        late = self._lateness(node)
        for _, steps in self._steps(node, 0):
            before = 0
            for day, units in steps:
                if units > before:
                    days.add(max(first, day + late))
                before = units
        return sorted(days)

    def _steps(self, node: str, more_days: int) -> Sequence[tuple[int, Steps]]:
        """Of each part what a building has of it by date, to who wants it to be good so many days longer."""
        if more_days not in self.by_node:
            found: dict[str, list[tuple[int, Steps]]] = defaultdict(list)
            for part in self.parts:
                for code, steps in self.supply.by_node(part, more_days).items():
                    found[code].append((part, steps))
            self.by_node[more_days] = found
        return self.by_node[more_days].get(node, ())

    def _lateness(self, node: str) -> timedelta:
        """A building whose day is ahead of ours has today's stock on its own today; of a delivery named by its own
        date we do not know which was meant, so both days have to do."""
        return max(timedelta(0), self.days[node] - self.today)

    def _has(self, route: Route, made: Leg, supply_on: date) -> dict[int, int]:
        """How many are there when work begins and may still leave when it is collected, to arrive good enough."""
        node = route.building.code
        ahead = self.days[node] - self.today
        both = (supply_on, made.leaves_on)
        days = {max(self.today, day - shift) for day in both for shift in {ahead, timedelta(0)}}
        found = self._steps(node, (made.delivered_on - made.leaves_on).days)
        return {part: units for part, steps in found if (units := min([units_on(steps, day) for day in days]))}

    def _leg(self, route: Route, supply_on: date, load: int) -> Leg | None:
        asked = route.name, supply_on, load
        if asked not in self.legs:
            taken = self.question.taken.get(route.building.code, {})
            self.legs[asked] = calendars.leg(
                route=route, start=self.question.at, supply_on=supply_on, load=load, taken=taken
            )
        return self.legs[asked]

    def _worth_it(self, day: date) -> list[Offer]:
        """What arrives by the day; of one building no offer that another covers."""
        kept: dict[str, list[Offer]] = defaultdict(list)
        for offer in self.offers:
            if offer.leg.delivered_on > day:
                break
            here = kept[offer.route.building.code]
            if not any(other.has_all(offer.has) for other in here):
                here[:] = [other for other in here if not offer.has_all(other.has)]
                here.append(offer)
        return sorted((offer for here in kept.values() for offer in here), key=lambda offer: offer.route.preference)

    def _cart(
        self, wish: _Wish, places: Sequence[int], offers: Sequence[Offer], rows: Sequence[Sequence[int]]
    ) -> Cart | None:
        """The lines with the offers at these places, each parcel by the soonest way that takes all of it; None where
        that cannot be."""
        chosen = [offers[place] for place in places]
        rooms = [rows[place] for place in places] if wish.is_apart else None
        laid_out = combining.spread(wish.lines, [offer.has for offer in chosen], rooms)
        if laid_out is None:
            return None
        parcels = []
        for offer, shares in zip(chosen, laid_out, strict=True):
            if shares:
                parcel = self._parcel(wish.lines, offer, shares)
                if parcel is None:
                    return None
                parcels.append(parcel)
        is_there = wish.is_plenty or self._is_within_pool(wish.lines, parcels)
        return Cart(parcels) if is_there else None

    def _parcel(self, lines: Sequence[Line], chosen: Offer, shares: list[Share]) -> Parcel | None:
        building = chosen.route.building
        if building.code in self.only:
            return Parcel(chosen, chosen.leg, shares)
        needed = _needed(lines, shares)
        load = load_of(building, [units for _, units in shares])
        for offer in self.by_building[building.code]:
            if offer.has_all(needed) and (made := self._loaded(offer, load, needed)):
                return Parcel(offer, made, shares)
        return None

    def _loaded(self, offer: Offer, load: int, needed: Mapping[int, int]) -> Leg | None:
        """The leg with its whole load, which may make it later, and what is in it older."""
        if not offer.route.building.is_limited:
            return offer.leg
        made = self._leg(offer.route, offer.supply_on, load)
        if made is None:
            return None
        still = self._has(offer.route, made, offer.supply_on)
        return made if all(still.get(part, 0) >= units for part, units in needed.items()) else None

    def _is_within_pool(self, lines: Sequence[Line], parcels: Sequence[Parcel]) -> bool:
        """What the buildings could promise one by one may be more than all of them together."""
        leaving: dict[int, dict[date, int]] = defaultdict(lambda: defaultdict(int))
        for parcel in parcels:
            for part, units in _needed(lines, parcel.shares).items():
                leaving[part][max(self.today, parcel.offer.supply_on)] += units
        for part, by_day in leaving.items():
            units = 0
            for day in sorted(by_day):
                units += by_day[day]
                if units > self.supply.total(part, day):
                    return False
        return True

    def _shipments(self, lines: Sequence[Line], cart: Cart) -> tuple[Shipment, ...]:
        return tuple(
            Shipment(
                route=parcel.offer.route,
                leg=parcel.leg,
                parts=tuple(Part(line=lines[place].number, quantity=units) for place, units in parcel.shares),
                supply_on=parcel.offer.supply_on,
                order_by=self.question.at,
            )
            for parcel in cart.parcels
        )


def _most(offers: Sequence[Offer]) -> Mapping[int, int]:
    """The most of each product that any of these has."""
    most = dict(offers[0].has)
    for offer in offers[1:]:
        most |= {part: max(units, most.get(part, 0)) for part, units in offer.has.items()}
    return most


def _needed(lines: Sequence[Line], shares: Iterable[Share]) -> dict[int, int]:
    needed: dict[int, int] = defaultdict(int)
    for place, units in shares:
        for part, each in lines[place].parts:
            needed[part] += each * units
    return needed
