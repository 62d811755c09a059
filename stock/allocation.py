"""Which stock to promise for a demand. Pure: lists in, lists out, no database.

First expired, first out (FEFO), within one warehouse where one can fill the whole demand, so that an
order is not split without need.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, kw_only=True)
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


@dataclass(frozen=True, kw_only=True)
class Demand:
    """So many units of a variant, from one warehouse or ("") from any."""

    variant_id: int
    quantity: int
    warehouse_code: str = ""


@dataclass(frozen=True, kw_only=True)
class Pick:
    level_id: int
    quantity: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The picks for one demand, and what is missing of it."""

    picks: list[Pick]
    missing: int


def allocate(demands: Sequence[Demand], candidates: Iterable[Candidate]) -> list[Plan]:
    """A plan for each demand, in their order. Demands share the candidates: no unit is picked twice.

    Demands that name their warehouse choose first, since the others can go elsewhere.
    """
    stock = sorted(candidates, key=lambda candidate: candidate.fefo)
    free = {candidate.level_id: candidate.available for candidate in stock}
    plans: dict[int, Plan] = {}
    for place in sorted(range(len(demands)), key=lambda place: demands[place].warehouse_code == ""):
        demand = demands[place]
        eligible = [
            candidate
            for candidate in stock
            if candidate.variant_id == demand.variant_id
            and free[candidate.level_id] > 0
            and demand.warehouse_code in ("", candidate.warehouse_code)
        ]
        plans[place] = _fill(demand.quantity, _one_warehouse(demand.quantity, eligible, free) or eligible, free)
    return [plans[place] for place in range(len(demands))]


def _one_warehouse(quantity: int, eligible: list[Candidate], free: dict[int, int]) -> list[Candidate]:
    """The candidates of the first warehouse, in FEFO order, that can fill the demand alone; else none."""
    for code in dict.fromkeys(candidate.warehouse_code for candidate in eligible):
        here = [candidate for candidate in eligible if candidate.warehouse_code == code]
        if sum(free[candidate.level_id] for candidate in here) >= quantity:
            return here
    return []


def _fill(quantity: int, candidates: list[Candidate], free: dict[int, int]) -> Plan:
    picks = []
    for candidate in candidates:
        taken = min(quantity, free[candidate.level_id])
        if taken:
            picks.append(Pick(level_id=candidate.level_id, quantity=taken))
            free[candidate.level_id] -= taken
            quantity -= taken
    return Plan(picks=picks, missing=quantity)
