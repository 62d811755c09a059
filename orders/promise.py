"""From where, when and how a cart can arrive. Pure: lines, supply by date and routes in, a plan with its reasons out.

A shipment is one parcel from one building, sent when all that is in it is there. Of all plans within the allowed
number of shipments the one is taken that arrives whole first; of those, the one with the fewest shipments, then the
lowest ranks of services, then the shortest way, then by codes, so that the same question has the same answer. Where
capacity is limited the parcels are dated with their whole load: what is promised can be done, though another
spread of the load might have been earlier.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from orders import calendars
from orders.calendars import Leg, Route, Taken

Steps = Sequence[tuple[date, int]]
TRIES_MAX = 3_000
"""Combinations of buildings looked at for one arrival day, the nearest first."""
VALID_MINUTES = 30
"""An answer holds no stock, so it is not good for longer than this."""
FAR_KM = 100_000


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

    def steps(self, part: int, node: str, more_days: int) -> Steps:
        if (part, more_days) not in self.known:
            # What was never asked of the stored inputs is not there: a replay may then only be worse.
            self.known[part, more_days] = self.look(part, more_days) if self.look else {}
        return self.known[part, more_days].get(node, ())

    def total(self, part: int, day: date) -> int:
        return units_on(self.pool.get(part, ()), day)


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
        return load_of(self.route, self.parts)


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


def load_of(route: Route, parts: Sequence[Part]) -> int:
    return len(parts) if route.building.counts == "lines" else sum(part.quantity for part in parts)


def valid_until(shipments: Iterable[Shipment], asked_at: datetime) -> datetime:
    return min([asked_at + timedelta(minutes=VALID_MINUTES), *(shipment.order_by for shipment in shipments)])


def units_on(steps: Steps, day: date) -> int:
    place = bisect_right(steps, day, key=lambda step: step[0])
    return steps[place - 1][1] if place else 0


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


@dataclass(frozen=True, kw_only=True)
class _Offer:
    """What a building can send with one leg: so many of each product."""

    route: Route
    leg: Leg
    supply_on: date
    has: Mapping[int, int]

    @property
    def preference(self) -> tuple[int, int, str, str]:
        km = self.route.distance_km
        return self.route.service.rank, FAR_KM if km is None else km, *self.route.name

    def covers(self, other: _Offer) -> bool:
        return all(self.has.get(part, 0) >= units for part, units in other.has.items())


class _Market:
    """All offers for one question."""

    def __init__(self, question: Question, supply: Supply) -> None:
        self.question, self.supply = question, supply
        self.parts = sorted({part for line in question.lines for part, _ in line.parts})
        self.days = {route.building.code: route.building.day_of(question.at) for route in question.routes}
        self.offers = sorted(self._offers(), key=lambda offer: (offer.leg.delivered_on, *offer.preference))
        self.most: dict[str, dict[int, int]] = defaultdict(dict)
        for offer in self.offers:
            here = self.most[offer.route.building.code]
            here |= {part: max(units, here.get(part, 0)) for part, units in offer.has.items()}

    def can_ever(self, line: Line) -> bool:
        """Whether the buildings together, or one where it must not be split, will ever have so much of it."""
        if self.question.is_split_allowed:
            return self.is_enough([line])
        return any(_room(line, [here]) >= line.quantity for here in self.most.values())

    def is_enough(self, lines: Sequence[Line]) -> bool:
        return _spread(lines, list(self.most.values())) is not None

    def best(self, lines: Sequence[Line]) -> tuple[Shipment, ...]:
        """The shipments that bring all lines soonest; none where no plan does."""
        late: tuple[Shipment, ...] = ()
        most = self.question.shipments_max if self.question.is_split_allowed else 1
        for day in sorted({offer.leg.delivered_on for offer in self.offers}):
            if late and _arrival(late) <= day:
                break
            offers = self._worth_it(day)
            have = [offer.has for offer in offers]
            if any(_room(line, have) < line.quantity for line in lines):
                continue
            for count in range(1, most + 1):
                # With limited capacity a whole load may arrive later than the first of it; the best such is kept.
                found = [plan for chosen in _sets(lines, offers, count) if (plan := self._shipped(lines, chosen))]
                if found:
                    best = min(found, key=_order)
                    if _arrival(best) <= day:
                        return best
                    late = min([best, late], key=_order) if late else best
        return late

    def _offers(self) -> Iterator[_Offer]:
        """Of each route a leg for each day on which its building has more of anything."""
        for route in self.question.routes:
            node = route.building.code
            first = self.days[node]
            for day in self._supply_days(node, first):
                made = self._leg(route, day, 1)
                if made is None:
                    continue
                has = {part: units for part in self.parts if (units := self._units(part, route, made, day))}
                if has:
                    yield _Offer(route=route, leg=made, supply_on=day, has=has)

    def _supply_days(self, node: str, first: date) -> list[date]:
        days = {first}
        late = self._lateness(node)
        for part in self.parts:
            before = 0
            for day, units in self.supply.steps(part, node, 0):
                if units > before:
                    days.add(max(first, day + late))
                before = units
        return sorted(days)

    def _lateness(self, node: str) -> timedelta:
        """A building whose day is ahead of ours has today's stock on its own today; of a delivery named by its own
        date we do not know which was meant, so both days have to do."""
        return max(timedelta(0), self.days[node] - self._today)

    @property
    def _today(self) -> date:
        return max(self.question.today, self.question.at.date())

    def _units(self, part: int, route: Route, made: Leg, supply_on: date) -> int:
        """How many are there when work begins and may still leave when it is collected, to arrive good enough."""
        node = route.building.code
        steps = self.supply.steps(part, node, (made.delivered_on - made.leaves_on).days)
        ahead = self.days[node] - self._today
        days = {day - shift for day in (supply_on, made.leaves_on) for shift in (ahead, timedelta(0))}
        return min(units_on(steps, max(self._today, day)) for day in days)

    def _leg(self, route: Route, supply_on: date, load: int) -> Leg | None:
        taken = self.question.taken.get(route.building.code, {})
        return calendars.leg(route=route, start=self.question.at, supply_on=supply_on, load=load, taken=taken)

    def _worth_it(self, day: date) -> list[_Offer]:
        """What arrives by the day; of one building no offer that another covers."""
        kept: dict[str, list[_Offer]] = defaultdict(list)
        for offer in self.offers:
            if offer.leg.delivered_on > day:
                break
            here = kept[offer.route.building.code]
            if not any(other.covers(offer) for other in here):
                here[:] = [other for other in here if not offer.covers(other)]
                here.append(offer)
        return sorted((offer for here in kept.values() for offer in here), key=lambda offer: offer.preference)

    def _shipped(self, lines: Sequence[Line], chosen: Sequence[_Offer]) -> tuple[Shipment, ...]:
        """The parcels of chosen offers, each by the soonest way that takes all of it; none where that cannot be."""
        spread = _spread(lines, [offer.has for offer in chosen])
        if spread is None:
            return ()
        shipments = []
        for offer, parts in zip(chosen, spread, strict=True):
            if parts:
                shipment = self._shipment(lines, offer, tuple(parts))
                if shipment is None:
                    return ()
                shipments.append(shipment)
        shipments.sort(key=lambda shipment: (shipment.leg.delivered_on, shipment.route.name))
        return tuple(shipments) if self._is_within_pool(lines, shipments) else ()

    def _shipment(self, lines: Sequence[Line], chosen: _Offer, parts: tuple[Part, ...]) -> Shipment | None:
        needed = _needed(lines, parts)
        load = load_of(chosen.route, parts)
        for offer in self.offers:
            if offer.route.building.code != chosen.route.building.code:
                continue
            if any(offer.has.get(part, 0) < units for part, units in needed.items()):
                continue
            if made := self._loaded(offer, load, needed):
                return Shipment(
                    route=offer.route, leg=made, parts=parts, supply_on=offer.supply_on, order_by=self.question.at
                )
        return None

    def _loaded(self, offer: _Offer, load: int, needed: Mapping[int, int]) -> Leg | None:
        """The leg with its whole load, which may make it later, and what is in it older."""
        if not offer.route.building.is_limited:
            return offer.leg
        made = self._leg(offer.route, offer.supply_on, load)
        if made is None:
            return None
        still = all(self._units(part, offer.route, made, offer.supply_on) >= units for part, units in needed.items())
        return made if still else None

    def _is_within_pool(self, lines: Sequence[Line], shipments: Sequence[Shipment]) -> bool:
        """What the buildings could promise one by one may be more than all of them together."""
        leaving: dict[int, dict[date, int]] = defaultdict(lambda: defaultdict(int))
        for shipment in shipments:
            for part, units in _needed(lines, shipment.parts).items():
                leaving[part][max(self._today, shipment.supply_on)] += units
        for part, by_day in leaving.items():
            units = 0
            for day in sorted(by_day):
                units += by_day[day]
                if units > self.supply.total(part, day):
                    return False
        return True


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


def _needed(lines: Sequence[Line], parts: Iterable[Part]) -> dict[int, int]:
    made_of = {line.number: line.parts for line in lines}
    needed: dict[int, int] = defaultdict(int)
    for part in parts:
        for product, each in made_of[part.line]:
            needed[product] += each * part.quantity
    return needed


def _spread(lines: Sequence[Line], has: Sequence[Mapping[int, int]]) -> list[list[Part]] | None:
    """The lines laid out over what several have, each in as few places as can be, the first places first."""
    left = [dict(units) for units in has]
    spread: list[list[Part]] = [[] for _ in has]
    for line in lines:
        rooms = [min(here.get(part, 0) // each for part, each in line.parts) for here in left]
        if sum(rooms) < line.quantity:
            return None
        whole = next((place for place, room in enumerate(rooms) if room >= line.quantity), None)
        places = [whole] if whole is not None else sorted(range(len(rooms)), key=lambda place: -rooms[place])
        wanted = line.quantity
        for place in places:
            if units := min(wanted, rooms[place]):
                wanted -= units
                spread[place].append(Part(line=line.number, quantity=units))
                for part, each in line.parts:
                    left[place][part] -= each * units
    return spread


def _sets(lines: Sequence[Line], offers: Sequence[_Offer], count: int) -> list[list[_Offer]]:
    """Offers of so many different buildings that have all lines together: each set once, in order of preference."""
    found: list[list[_Offer]] = []
    seen: set[frozenset[int]] = set()
    tries = TRIES_MAX

    def add(chosen: list[int]) -> None:
        nonlocal tries
        tries -= 1
        have = [offers[place].has for place in chosen]
        lacking = next((line for line in lines if _room(line, have) < line.quantity), None)
        if lacking is None:
            key = frozenset(chosen)
            if len(chosen) == count and key not in seen:
                seen.add(key)
                found.append([offers[place] for place in sorted(chosen)])
            return
        if len(chosen) == count:
            return
        buildings = {offers[place].route.building.code for place in chosen}
        for place, offer in enumerate(offers):
            if tries <= 0:
                return
            if offer.route.building.code not in buildings and _room(lacking, [offer.has]):
                add([*chosen, place])

    add([])
    return found


def _room(line: Line, have: Sequence[Mapping[int, int]]) -> int:
    return sum(min(here.get(part, 0) // each for part, each in line.parts) for here in have)


def _arrival(shipments: Sequence[Shipment]) -> date:
    return max(shipment.leg.delivered_on for shipment in shipments)


def _order(shipments: Sequence[Shipment]) -> tuple[date, int, int, int, list[tuple[str, str]]]:
    ranks = sum(shipment.route.service.rank for shipment in shipments)
    ways = sum(FAR_KM if shipment.route.distance_km is None else shipment.route.distance_km for shipment in shipments)
    return _arrival(shipments), len(shipments), ranks, ways, [shipment.route.name for shipment in shipments]
