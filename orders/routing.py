"""From which warehouses an order is sent. Pure: demands, free stock and what is known of each warehouse in; picks,
and why, out.

As few warehouses as can send it; of those sets the one worth most; of equals the first by code. What a warehouse is
worth is a strategy's answer to the points it has in each term. Points are whole numbers from 0 to 1000, so the same
question has the same answer, in whatever order it is told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from stock import allocation
from stock.allocation import Candidate, Demand, Plan

FULL = 1000
HALF_KM, HALF_MINUTES, HALF_DAYS = 500, 24 * 60, 30
"""Where a term has half its points: so far away, leaving so much later, expiring so much later than the first."""
FIGURES_MAX = 400_000
"""Of free stock, looked at for one order while its levels are locked; the sets worth most are looked at first."""

TERMS = ("inFull", "distance", "cutoff", "cost", "shelfLife", "balance", "preference")
Points = Mapping[str, int]


# -- Strategies: what the points of a warehouse make it worth.

Strategy = Callable[[Points, Mapping[str, int]], int]


def weighted(points: Points, weights: Mapping[str, int]) -> int:
    """All terms, each by its weight."""
    return sum(weights.get(term, 0) * points[term] for term in TERMS)


def led_by(term: str) -> Strategy:
    """One term before all others, which only tell equals apart by their weights."""
    return lambda points, weights: points[term] * 10**9 + weighted(points, weights)


STRATEGIES: Mapping[str, Strategy] = {
    "weighted": weighted,
    "nearest": led_by("distance"),
    "soonest": led_by("cutoff"),
    "cheapest": led_by("cost"),
    "firstExpired": led_by("shelfLife"),
    "level": led_by("balance"),
    "preferred": led_by("preference"),
}
WEIGHTS: Mapping[str, int] = {
    "inFull": 10, "distance": 30, "cutoff": 20, "cost": 20, "shelfLife": 15, "balance": 5, "preference": 0,
}  # fmt: skip


# -- Questions and answers


@dataclass(frozen=True, kw_only=True)
class Site:
    """A warehouse as one destination sees it; None is not known, or that no service goes there."""

    code: str
    distance_km: int | None = None
    leaves_in_minutes: int | None = None
    arrives_on: date | None = None
    parcel_cost: Decimal = Decimal(0)
    unit_cost: Decimal = Decimal(0)


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How a channel's orders are routed."""

    name: str = ""
    strategy: str = "weighted"
    weights: Mapping[str, int] = field(default_factory=lambda: WEIGHTS)
    warehouses_max: int = 3
    prefers: Sequence[str] = ()
    """Codes of warehouses, the dearest first."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is wanted and what is free. A warehouse that is barred refused the order; those that take part already
    may send more without being one more."""

    demands: Sequence[Demand]
    candidates: Sequence[Candidate]
    policy: Policy
    sites: Mapping[str, Site] = field(default_factory=dict)
    limits: Mapping[tuple[int, str], int] = field(default_factory=dict)
    """As `allocation.allocate` takes them."""
    barred: Collection[str] = ()
    taking_part: Collection[str] = ()


class Term(NamedTuple):
    """What a warehouse has in one term, and the fact it has it for."""

    name: str
    points: int
    weight: int
    fact: str


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A warehouse that has any of it."""

    code: str
    worth: int
    terms: tuple[Term, ...]

    @property
    def score(self) -> int:
        """0 to 1000: its points by their weights."""
        in_all = sum(term.weight for term in self.terms)
        return sum(term.weight * term.points for term in self.terms) // in_all if in_all else 0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A plan for each demand, the warehouses they are picked from, and all that were looked at, best first."""

    plans: list[Plan]
    chosen: tuple[str, ...]
    ranked: tuple[Scored, ...]
    is_cut: bool
    """More warehouses than may take part would have had more of it."""


def route(question: Question) -> Answer:
    """The picks for an order: all of it where the warehouses allowed have it, else as much as they have.

    What would be past its date on arrival is sent only where nothing else will do.
    """
    demands = [
        replace(demand, warehouse_code="") if demand.warehouse_code in question.barred else demand
        for demand in question.demands
    ]
    free = [row for row in question.candidates if row.available > 0 and row.warehouse_code not in question.barred]
    fresh = [row for row in free if not _is_spoiled(row, question.sites)]
    ranked = rank(replace(question, demands=demands, candidates=free))
    market = _Market(question, demands, fresh)
    codes = market.best(ranked)
    if len(fresh) < len(free) and not market.is_whole(codes):
        market = _Market(question, demands, free)
        if (others := market.best(ranked)) and market.units(others) > market.units(codes):
            codes, fresh = others, free
    order = [row.code for row in ranked if row.code in market.base] + [
        row.code for row in ranked if row.code in codes and row.code not in market.base
    ]
    offered = [row for row in fresh if row.warehouse_code in order]
    plans = allocation.allocate(demands, offered, strategy=allocation.in_order(order), limits=question.limits)
    places = {row.level_id: row.warehouse_code for row in offered}
    used = {places[pick.level_id] for plan in plans for pick in plan.picks}
    return Answer(
        plans=plans,
        chosen=tuple(code for code in order if code in used),
        ranked=tuple(ranked),
        is_cut=market.units(codes) < market.units({row.code for row in ranked}),
    )


def rank(question: Question) -> list[Scored]:
    """The warehouses that have any of it with their points in every term, the one worth most first, then by code."""
    facts = _facts(question)
    strategy = STRATEGIES[question.policy.strategy]
    weights = question.policy.weights
    scored = [
        Scored(
            code=code,
            worth=strategy({name: points for name, (points, _) in found.items()}, weights),
            terms=tuple(Term(name, found[name][0], weights.get(name, 0), found[name][1]) for name in TERMS),
        )
        for code, found in facts.items()
    ]
    return sorted(scored, key=lambda row: (-row.worth, row.code))


# -- Points


def _facts(question: Question) -> dict[str, dict[str, tuple[int, str]]]:
    """By warehouse and term: the points, and what they are for."""
    wanted = _wanted(question.demands)
    free = _free(question.candidates, wanted, question.limits)
    codes = sorted({code for units in free.values() for code in units})
    sites = {code: question.sites.get(code, Site(code=code)) for code in codes}
    in_all = sum(wanted.values())
    costs = {code: site.parcel_cost + site.unit_cost * in_all for code, site in sites.items()}
    soonest = _soonest(question.candidates, question.sites)
    found: dict[str, dict[str, tuple[int, str]]] = {}
    for code, site in sites.items():
        here = sum(min(free[variant_id].get(code, 0), units) for variant_id, units in wanted.items())
        found[code] = {
            "inFull": (FULL * here // in_all, f"{here} of {in_all} units"),
            "distance": _halved(site.distance_km, HALF_KM, "km", "no place on the map"),
            "cutoff": _halved(site.leaves_in_minutes, HALF_MINUTES, "minutes until it leaves", "no service goes there"),
            "cost": (_share(min(costs.values()), costs[code]), f"{costs[code]:.2f}"),
            "shelfLife": _shelf_life(code, soonest),
            "balance": _balance(code, free, wanted),
            "preference": _preference(code, question.policy.prefers),
        }
    return found


def _halved(amount: int | None, half: int, unit: str, unknown: str) -> tuple[int, str]:
    return (0, unknown) if amount is None else (FULL * half // (half + max(0, amount)), f"{amount} {unit}")


def _share(least: Decimal, cost: Decimal) -> int:
    return FULL if cost <= least else int(FULL * least / cost)


def _soonest(candidates: Iterable[Candidate], sites: Mapping[str, Site]) -> dict[int, dict[str, date]]:
    """By product and warehouse, when the first of it expires that arrives good."""
    found: dict[int, dict[str, date]] = defaultdict(dict)
    for row in candidates:
        if not _is_spoiled(row, sites):
            here = found[row.variant_id]
            day = row.expires_on or date.max
            here[row.warehouse_code] = min(day, here.get(row.warehouse_code, day))
    return found


def _shelf_life(code: str, soonest: Mapping[int, Mapping[str, date]]) -> tuple[int, str]:
    """What expires first goes first: of each product how much later its goods expire than the first of all do."""
    mine = [(here[code], min(here.values())) for here in soonest.values() if code in here]
    if not mine:
        return 0, "past its date on arrival"
    points = [FULL * HALF_DAYS // (HALF_DAYS + (day - first).days) for day, first in mine]
    day = min(day for day, _ in mine)
    return sum(points) // len(points), "no date" if day == date.max else f"first expires {day}"


def _balance(code: str, free: Mapping[int, Mapping[str, int]], wanted: Mapping[int, int]) -> tuple[int, str]:
    """Who has most of what there is gives it, so that stocks stay level."""
    shares = [
        FULL * here.get(code, 0) // sum(here.values()) if (here := free[variant_id]) else 0 for variant_id in wanted
    ]
    units = sum(free[variant_id].get(code, 0) for variant_id in wanted)
    return sum(shares) // len(shares), f"{units} of {sum(sum(here.values()) for here in free.values())} units free"


def _preference(code: str, prefers: Sequence[str]) -> tuple[int, str]:
    if code not in prefers:
        return 0, "not named"
    place = list(prefers).index(code)
    return FULL * (len(prefers) - place) // len(prefers), f"number {place + 1}"


def _is_spoiled(row: Candidate, sites: Mapping[str, Site]) -> bool:
    arrives_on = sites[row.warehouse_code].arrives_on if row.warehouse_code in sites else None
    return bool(arrives_on and row.expires_on and row.expires_on < arrives_on)


def _wanted(demands: Iterable[Demand]) -> dict[int, int]:
    wanted: dict[int, int] = defaultdict(int)
    for demand in demands:
        wanted[demand.variant_id] += demand.quantity
    return dict(wanted)


def _free(
    candidates: Iterable[Candidate], wanted: Collection[int], limits: Mapping[tuple[int, str], int]
) -> dict[int, dict[str, int]]:
    """By product and warehouse, what may be picked."""
    free: dict[int, dict[str, int]] = {variant_id: {} for variant_id in wanted}
    for row in candidates:
        if row.variant_id in free:
            here = free[row.variant_id]
            here[row.warehouse_code] = here.get(row.warehouse_code, 0) + row.available
    return {
        variant_id: {
            code: units for code, had in here.items() if (units := min(had, limits.get((variant_id, code), had))) > 0
        }
        for variant_id, here in free.items()
    }


# -- Choosing


class _Market:
    """What the warehouses have together, product by product: the best set of them is looked for."""

    def __init__(self, question: Question, demands: Sequence[Demand], rows: Sequence[Candidate]) -> None:
        self.wanted = _wanted(demands)
        self.free = _free(rows, self.wanted, question.limits)
        self.pool = {variant_id: question.limits.get((variant_id, "")) for variant_id in self.wanted}
        self.named: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for demand in demands:
            if demand.warehouse_code:
                self.named[demand.variant_id][demand.warehouse_code] += demand.quantity
        named = {code for here in self.named.values() for code in here}
        self.base = frozenset(question.taking_part) | named
        """Those that take part whatever is chosen."""
        self.places_left = max(0, question.policy.warehouses_max - len(self.base))

    def units(self, codes: Collection[str]) -> int:
        """How much of all that is wanted these, and the base, have."""
        having = self.base | set(codes)
        return sum(self._units_of(variant_id, having) for variant_id in self.wanted)

    def is_whole(self, codes: Collection[str]) -> bool:
        return self.units(codes) == sum(self.wanted.values())

    def _units_of(self, variant_id: int, having: Collection[str]) -> int:
        here, named = self.free[variant_id], self.named.get(variant_id, {})
        kept = {code: min(units, here.get(code, 0)) for code, units in named.items()}
        others = self.wanted[variant_id] - sum(named.values())
        rest = sum(here.get(code, 0) - kept.get(code, 0) for code in having)
        units = sum(kept.values()) + min(others, rest)
        pool = self.pool[variant_id]
        return units if pool is None else max(0, min(units, pool))

    def best(self, ranked: Sequence[Scored]) -> tuple[str, ...]:
        """The warehouses to be added to the base: most units, then fewest of them, then most worth, then codes."""
        worths = {row.code: row.worth for row in ranked}
        lacking = {
            variant_id: self._units_of(variant_id, self.base | self.free[variant_id].keys())
            - self._units_of(variant_id, self.base)
            for variant_id in self.wanted
        }
        needed = [variant_id for variant_id, units in lacking.items() if units > 0]
        gives = {
            row.code: tuple(min(self.free[variant_id].get(row.code, 0), lacking[variant_id]) for variant_id in needed)
            for row in ranked
            if row.code not in self.base
        }
        search = _Search(
            goal=tuple(lacking[variant_id] for variant_id in needed),
            gives=_worth_trying([row.code for row in ranked if any(gives.get(row.code, ()))], gives, self.places_left),
            worths=worths,
        )
        return search.best(self.places_left)


def _worth_trying(
    codes: Sequence[str], gives: Mapping[str, tuple[int, ...]], most: int
) -> list[tuple[str, tuple[int, ...]]]:
    """The warehouses of which an answer can be made: one that as many better ones as may take part can each stand in
    for is in none of them."""
    kept: list[tuple[str, tuple[int, ...]]] = []
    for code in codes:
        mine = gives[code]
        stand_ins = sum(all(a >= b for a, b in zip(other, mine, strict=True)) for _, other in kept)
        if stand_ins < most:
            kept.append((code, mine))
    return kept


class _Search:
    """Goes through the sets of warehouses, those worth most first, leaving out what cannot be better."""

    def __init__(
        self, *, goal: tuple[int, ...], gives: Sequence[tuple[str, tuple[int, ...]]], worths: Mapping[str, int]
    ) -> None:
        self.goal, self.gives = goal, gives
        self.worths = [worths[code] for code, _ in gives]
        self.left = FIGURES_MAX // max(1, len(goal))
        # The most that any warehouse from this place on gives of each product.
        self.most: list[tuple[int, ...]] = [(0,) * len(goal)]
        for _, given in reversed(gives):
            self.most.insert(0, tuple(max(pair) for pair in zip(given, self.most[0], strict=True)))
        self.found: tuple[int, int, list[str]] = (0, 0, [])

    def best(self, most: int) -> tuple[str, ...]:
        answer: tuple[int, int, list[str]] = (0, 0, [])
        for size in range(1, min(most, len(self.gives)) + 1):
            # One warehouse more has to bring more units; among sets that do, worth decides.
            self.found = (answer[0] + 1, 0, [])
            self._add([], (0,) * len(self.goal), 0, 0, size)
            if self.found[2]:
                answer = self.found
            if answer[0] == sum(self.goal):
                break
        return tuple(answer[2])

    def _add(self, chosen: list[int], have: tuple[int, ...], worth: int, place: int, size: int) -> None:
        """All sets of so many that begin with those chosen."""
        if self.left <= 0:
            return
        self.left -= 1
        if not size:
            self._look(chosen, have, worth)
            return
        for following in range(place, len(self.gives) - size + 1):
            units, more_worth = self._bound(have, following, size)
            if (units, worth + more_worth) < self.found[:2]:
                return  # those that follow give no more, and are worth no more
            given = self.gives[following][1]
            more = tuple(min(goal, had + units) for goal, had, units in zip(self.goal, have, given, strict=True))
            self._add([*chosen, following], more, worth + self.worths[following], following + 1, size - 1)

    def _bound(self, have: tuple[int, ...], place: int, size: int) -> tuple[int, int]:
        """The most units in all, and the most worth on top, that so many more from this place on can bring."""
        units = sum(
            min(goal, had + size * most) for goal, had, most in zip(self.goal, have, self.most[place], strict=True)
        )
        return units, sum(self.worths[place : place + size])

    def _look(self, chosen: Sequence[int], have: tuple[int, ...], worth: int) -> None:
        units, codes = sum(have), sorted(self.gives[place][0] for place in chosen)
        before = self.found
        if (units, worth) > before[:2] or ((units, worth) == before[:2] and (codes < before[2] or not before[2])):
            self.found = (units, worth, codes)
