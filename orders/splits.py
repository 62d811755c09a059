"""Which warehouses send an order together. Pure: what each of them has and is worth in, the best set within a limit
out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from stock.allocation import Candidate, Demand

FIGURES_MAX = 400_000
"""Of free stock, looked at for one order while its levels are locked; the sets worth most are looked at first."""
Limits = Mapping[tuple[int, str], int]
"""As `allocation.allocate` takes them."""


def wanted_of(demands: Iterable[Demand]) -> dict[int, int]:
    """By product, how much is wanted in all."""
    wanted: dict[int, int] = defaultdict(int)
    for demand in demands:
        wanted[demand.variant_id] += demand.quantity
    return dict(wanted)


def free_of(candidates: Iterable[Candidate], wanted: Collection[int], limits: Limits) -> dict[int, dict[str, int]]:
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


class Market:
    """What the warehouses have together, product by product: the best set of them is looked for.

    At most `warehouses_max` take part; those `taking_part` already, and those a demand names, do whatever is chosen.
    """

    def __init__(
        self,
        *,
        demands: Sequence[Demand],
        rows: Sequence[Candidate],
        limits: Limits,
        taking_part: Collection[str],
        warehouses_max: int,
    ) -> None:
        self.wanted = wanted_of(demands)
        self.free = free_of(rows, self.wanted, limits)
        self.pool = {variant_id: limits.get((variant_id, "")) for variant_id in self.wanted}
        self.named: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for demand in demands:
            if demand.warehouse_code:
                self.named[demand.variant_id][demand.warehouse_code] += demand.quantity
        self.base = frozenset(taking_part) | {code for here in self.named.values() for code in here}
        self.places_left = max(0, warehouses_max - len(self.base))

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

    def best(self, worths: Mapping[str, int]) -> tuple[str, ...]:
        """The warehouses to be added to the base: most units, then fewest of them, then most worth, then codes.

        `worths` by code, those worth most first, then by code.
        """
        lacking = {
            variant_id: self._units_of(variant_id, self.base | self.free[variant_id].keys())
            - self._units_of(variant_id, self.base)
            for variant_id in self.wanted
        }
        needed = [variant_id for variant_id, units in lacking.items() if units > 0]
        gives = {
            code: tuple(min(self.free[variant_id].get(code, 0), lacking[variant_id]) for variant_id in needed)
            for code in worths
            if code not in self.base
        }
        search = _Search(
            goal=tuple(lacking[variant_id] for variant_id in needed),
            gives=_worth_trying([code for code, given in gives.items() if any(given)], gives, self.places_left),
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
