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

from orders.splits import Limits, Market, free_of, wanted_of
from stock import allocation
from stock.allocation import Candidate, Demand, Plan

FULL = 1000
HALF_KM, HALF_MINUTES, HALF_DAYS = 500, 24 * 60, 30
"""Where a term has half its points: so far away, leaving so much later, expiring so much later than the first."""

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
    parcel_cost: Decimal | None = None
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
    limits: Limits = field(default_factory=dict)
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
    """All of it is there, but in more warehouses than may take part."""


def route(question: Question) -> Answer:
    """The picks for an order: all of it where the warehouses allowed have it, else as much as they have.

    A warehouse whose goods would be past their date on arrival is asked only where the others have too little.
    """
    demands = [
        replace(demand, warehouse_code="") if demand.warehouse_code in question.barred else demand
        for demand in question.demands
    ]
    free = [row for row in question.candidates if row.available > 0 and row.warehouse_code not in question.barred]
    fresh = [row for row in free if not _is_spoiled(row, question.sites)]
    ranked = rank(replace(question, demands=demands, candidates=free))
    worths = {row.code: row.worth for row in ranked}
    rows, market = fresh, _market(question, demands, fresh)
    codes = good = market.best(worths)
    if len(fresh) < len(free) and not market.is_whole(codes):
        everything = _market(question, demands, free)
        if everything.units(others := everything.best(worths)) > market.units(codes):
            rows, market, codes = free, everything, others
    order = [code for code in worths if code in market.base or code in codes]
    order.sort(key=lambda code: (code not in market.base, code not in good))
    offered = [row for row in rows if row.warehouse_code in order]
    plans = allocation.allocate(demands, offered, strategy=allocation.in_order(order), limits=question.limits)
    places = {row.level_id: row.warehouse_code for row in offered}
    used = {places[pick.level_id] for plan in plans for pick in plan.picks}
    return Answer(
        plans=plans,
        chosen=tuple(code for code in order if code in used),
        ranked=tuple(ranked),
        is_cut=not market.is_whole(codes) and market.is_whole(worths.keys()),
    )


def _market(question: Question, demands: Sequence[Demand], rows: Sequence[Candidate]) -> Market:
    return Market(
        demands=demands, rows=rows, limits=question.limits, taking_part=question.taking_part,
        warehouses_max=question.policy.warehouses_max,
    )  # fmt: skip


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
    wanted = wanted_of(question.demands)
    free = free_of(question.candidates, wanted, question.limits)
    codes = sorted({code for units in free.values() for code in units})
    sites = {code: question.sites.get(code, Site(code=code)) for code in codes}
    in_all = sum(wanted.values())
    costs = {
        code: site.parcel_cost + site.unit_cost * in_all for code, site in sites.items() if site.parcel_cost is not None
    }
    soonest = _soonest(question.candidates, question.sites)
    first = {variant_id: min(here.values()) for variant_id, here in soonest.items()}
    had = {variant_id: sum(free[variant_id].values()) for variant_id in wanted}
    found: dict[str, dict[str, tuple[int, str]]] = {}
    for code, site in sites.items():
        here = sum(min(free[variant_id].get(code, 0), units) for variant_id, units in wanted.items())
        found[code] = {
            "inFull": (FULL * here // in_all, f"{here} of {in_all} units"),
            "distance": _distance(site.distance_km),
            "cutoff": _cutoff(site.leaves_in_minutes),
            "cost": _cost(costs.get(code), costs.values()),
            "shelfLife": _shelf_life(code, soonest, first),
            "balance": _balance(code, free, had),
            "preference": _preference(code, question.policy.prefers),
        }
    return found


def _distance(km: int | None) -> tuple[int, str]:
    return (0, "no place on the map") if km is None else (_halved(km, HALF_KM), f"{km} km")


def _cutoff(minutes: int | None) -> tuple[int, str]:
    if minutes is None:
        return 0, "no service goes there"
    days, rest = divmod(minutes, 24 * 60)
    parts = [f"{count} {unit}" for count, unit in ((days, "d"), (rest // 60, "h"), (rest % 60, "min")) if count]
    return _halved(minutes, HALF_MINUTES), f"leaves in {' '.join(parts)}" if parts else "leaves at once"


def _halved(amount: int, half: int) -> int:
    return FULL * half // (half + max(0, amount))


def _cost(cost: Decimal | None, costs: Iterable[Decimal]) -> tuple[int, str]:
    """The cheapest has all points, one that is twice as dear half of them."""
    if cost is None:
        return 0, "not known"
    least = min(costs)
    return FULL if cost <= least else int(FULL * least / cost), f"{cost:.2f}"


def _soonest(candidates: Iterable[Candidate], sites: Mapping[str, Site]) -> dict[int, dict[str, date]]:
    """By product and warehouse, when the first of it expires that arrives good."""
    found: dict[int, dict[str, date]] = defaultdict(dict)
    for row in candidates:
        if not _is_spoiled(row, sites):
            here = found[row.variant_id]
            day = row.expires_on or date.max
            here[row.warehouse_code] = min(day, here.get(row.warehouse_code, day))
    return found


def _shelf_life(code: str, soonest: Mapping[int, Mapping[str, date]], first: Mapping[int, date]) -> tuple[int, str]:
    """What expires first goes first: of each product how much later its goods expire than the first of all do."""
    mine = [(here[code], first[variant_id]) for variant_id, here in soonest.items() if code in here]
    if not mine:
        return 0, "past its date on arrival"
    points = [FULL * HALF_DAYS // (HALF_DAYS + (day - earliest).days) for day, earliest in mine]
    day = min(day for day, _ in mine)
    return sum(points) // len(points), "no date" if day == date.max else f"first expires {day}"


def _balance(code: str, free: Mapping[int, Mapping[str, int]], had: Mapping[int, int]) -> tuple[int, str]:
    """Who has most of what there is, by product `had`, gives it, so that stocks stay level."""
    mine = {variant_id: free[variant_id].get(code, 0) for variant_id in had}
    shares = [FULL * units // had[variant_id] if had[variant_id] else 0 for variant_id, units in mine.items()]
    return sum(shares) // len(shares), f"{sum(mine.values())} of {sum(had.values())} units free"


def _preference(code: str, prefers: Sequence[str]) -> tuple[int, str]:
    if code not in prefers:
        return 0, "not named"
    place = list(prefers).index(code)
    return FULL * (len(prefers) - place) // len(prefers), f"number {place + 1}"


def _is_spoiled(row: Candidate, sites: Mapping[str, Site]) -> bool:
    arrives_on = sites[row.warehouse_code].arrives_on if row.warehouse_code in sites else None
    return bool(arrives_on and row.expires_on and row.expires_on < arrives_on)
