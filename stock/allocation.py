"""Which stock to promise for a demand. Pure: lists in, lists out, no database.

First expired, first out (FEFO), within one warehouse where one can fill the whole demand, so that an
order is not split without need. Which of several such warehouses is a strategy's choice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """Free, sellable units of one level."""

    level_id: int
    variant_id: int
    warehouse_code: str
    expires_on: date | None
    available: int

    @property
    def fefo(self) -> tuple[date, str, int]:
        return self.expires_on or date.max, self.warehouse_code, self.level_id


@dataclass(frozen=True, kw_only=True, slots=True)
class Demand:
    """So many units of a variant, from one warehouse or ("") from any.

    Demands of one `kit` come from one warehouse where one has all of them.
    """

    variant_id: int
    quantity: int
    warehouse_code: str = ""
    kit: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Pick:
    level_id: int
    quantity: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The picks for one demand, and what is missing of it."""

    picks: list[Pick] = field(default_factory=list)
    missing: int

    @property
    def quantity(self) -> int:
        return sum(pick.quantity for pick in self.picks)

    def cut(self, quantity: int) -> Plan:
        """The same with so many units at most, from the first picks on."""
        picks, left = [], quantity
        for pick in self.picks:
            if units := min(left, pick.quantity):
                picks.append(Pick(level_id=pick.level_id, quantity=units))
                left -= units
        return Plan(picks=picks, missing=self.missing + self.quantity - (quantity - left))


# -- Strategies: the order in which warehouses are tried. Ties always go by code, so equal stock gives equal answers.

Strategy = Callable[[Sequence[Candidate], Mapping[int, int]], Mapping[str, float]]


def first_expired(candidates: Sequence[Candidate], free: Mapping[int, int]) -> Mapping[str, float]:
    """The warehouse where goods would expire first."""
    first: dict[str, float] = {}
    for candidate in candidates:
        day = float((candidate.expires_on or date.max).toordinal())
        first[candidate.warehouse_code] = min(day, first.get(candidate.warehouse_code, day))
    return first


def fullest(candidates: Sequence[Candidate], free: Mapping[int, int]) -> Mapping[str, float]:
    """The warehouse that has most, so that stocks stay level."""
    units: dict[str, float] = defaultdict(float)
    for candidate in candidates:
        units[candidate.warehouse_code] -= free[candidate.level_id]
    return units


def in_order(codes: Sequence[str]) -> Strategy:
    """The order somebody wrote down; warehouses not named come last."""
    ranks = {code: float(rank) for rank, code in enumerate(codes)}
    return lambda candidates, free: {
        row.warehouse_code: ranks.get(row.warehouse_code, len(codes)) for row in candidates
    }


def nearest(distances_km: Mapping[str, float]) -> Strategy:
    """The warehouse with the shortest way; one of unknown place comes last."""
    return lambda candidates, free: {
        row.warehouse_code: distances_km.get(row.warehouse_code, float("inf")) for row in candidates
    }


# -- Deciding


class Chooser(Protocol):
    """Whoever decides, under the locks of the levels, from where demands are filled: `allocate`, or a floor above.

    Pure; a plan for each demand, in their order, within what is free, less what is `taken`, and within the limits.
    """

    def __call__(
        self,
        demands: Sequence[Demand],
        candidates: Iterable[Candidate],
        *,
        limits: Mapping[tuple[int, str], int] | None = None,
        taken: Mapping[int, int] | None = None,
    ) -> list[Plan]: ...


def allocate(
    demands: Sequence[Demand],
    candidates: Iterable[Candidate],
    *,
    strategy: Strategy = first_expired,
    limits: Mapping[tuple[int, str], int] | None = None,
    taken: Mapping[int, int] | None = None,
) -> list[Plan]:
    """A plan for each demand, in their order. Demands share the candidates: no unit is picked twice.

    Demands that name their warehouse choose first, since the others can go elsewhere; kits next, since a
    kit wants one warehouse for all its parts. `limits` says how many units of (variant, warehouse) may be
    picked in all, and with the warehouse "" of the variant; what is not named is not limited. `taken` is
    what is gone of the candidates already, by level.
    """
    shelf = _Shelf(candidates, strategy, dict(limits or {}), taken or {})
    plans: dict[int, Plan] = {}
    kits: dict[int, list[int]] = defaultdict(list)
    for place, demand in enumerate(demands):
        if demand.kit is not None and not demand.warehouse_code:
            kits[demand.kit].append(place)
        elif demand.warehouse_code:
            plans[place] = shelf.fill(demand)
    for places in kits.values():
        code = shelf.one_warehouse_for([demands[place] for place in places])
        plans |= {place: shelf.fill(demands[place], code) for place in places}
    for place, demand in enumerate(demands):
        if place not in plans:
            plans[place] = shelf.fill(demand)
    return [plans[place] for place in range(len(demands))]


class _Shelf:
    """What is still free while demand after demand picks from it."""

    def __init__(
        self,
        candidates: Iterable[Candidate],
        strategy: Strategy,
        limits: dict[tuple[int, str], int],
        taken: Mapping[int, int],
    ) -> None:
        self.strategy, self.limits = strategy, limits
        self.stock: dict[int, list[Candidate]] = defaultdict(list)
        self.free: dict[int, int] = {}
        for candidate in candidates:
            self.stock[candidate.variant_id].append(candidate)
            self.free[candidate.level_id] = candidate.available - taken.get(candidate.level_id, 0)
        for rows in self.stock.values():
            if len(rows) > 1:
                rows.sort(key=lambda row: row.fefo)

    def fill(self, demand: Demand, code: str = "") -> Plan:
        code = demand.warehouse_code or code
        eligible = [
            row
            for row in self.stock.get(demand.variant_id, ())
            if self.free[row.level_id] > 0 and code in ("", row.warehouse_code)
        ]
        is_plain = self.strategy is first_expired and eligible and self._may_take(eligible[0]) >= demand.quantity
        if len(eligible) > 1 and not code and not is_plain:
            eligible = self._in_one_warehouse(demand, eligible)
        picks, missing = [], demand.quantity
        for row in eligible:
            if units := min(missing, self._may_take(row)):
                picks.append(Pick(level_id=row.level_id, quantity=units))
                self._take(row, units)
                missing -= units
                if not missing:
                    break
        return Plan(picks=picks, missing=missing)

    def one_warehouse_for(self, demands: Sequence[Demand]) -> str:
        """The first warehouse, in the strategy's order, that has all of these; "" where none has."""
        rows = [row for demand in demands for row in self.stock.get(demand.variant_id, ())]
        wanted: dict[int, int] = defaultdict(int)
        for demand in demands:
            wanted[demand.variant_id] += demand.quantity
        for code in self._ranked(rows):
            if all(self._free_at(variant_id, code) >= quantity for variant_id, quantity in wanted.items()):
                return code
        return ""

    def _in_one_warehouse(self, demand: Demand, eligible: list[Candidate]) -> list[Candidate]:
        """The rows of the first warehouse that can fill the demand alone; else all, in the strategy's order."""
        ranked = self._ranked(eligible)
        for code in ranked:
            if self._free_at(demand.variant_id, code) >= demand.quantity:
                return [row for row in eligible if row.warehouse_code == code]
        if self.strategy is first_expired:
            return eligible
        place = {code: rank for rank, code in enumerate(ranked)}
        return sorted(eligible, key=lambda row: (place[row.warehouse_code], row.fefo))

    def _ranked(self, rows: Sequence[Candidate]) -> list[str]:
        scores = self.strategy(rows, self.free)
        return sorted(scores, key=lambda code: (scores[code], code))

    def _free_at(self, variant_id: int, code: str) -> int:
        units = sum(self.free[row.level_id] for row in self.stock[variant_id] if row.warehouse_code == code)
        return min([units, *self._limits_of(variant_id, code)])

    def _limits_of(self, variant_id: int, code: str) -> list[int]:
        return [self.limits[key] for key in ((variant_id, code), (variant_id, "")) if key in self.limits]

    def _may_take(self, row: Candidate) -> int:
        return max(0, min([self.free[row.level_id], *self._limits_of(row.variant_id, row.warehouse_code)]))

    def _take(self, row: Candidate, units: int) -> None:
        self.free[row.level_id] -= units
        for key in ((row.variant_id, row.warehouse_code), (row.variant_id, "")):
            if key in self.limits:
                self.limits[key] -= units
