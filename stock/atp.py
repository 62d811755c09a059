"""How much of one variant can be promised, to one channel, on which day. Pure: lists in, an answer out, no database.

Available to promise on a day is what can leave on that day while every promise already made stays kept:
(the most that can be served when the channel asks without limit on that day) - (what is promised already).

- Where nothing grows too old, that is the cumulative figure with look-ahead: the smallest net supply from
  that day on. (IBM Sterling and most planning systems compute it so.)
- Where stock grows too old, that sum is wrong: a batch that is too old on Friday takes nothing from Monday,
  yet as negative supply it would. There promises are matched with supply, each supply being an interval of
  days. In the order of their days, first expired first, is optimal where no promise names a node (Glover 1967
  for intervals). Where some do, and when the channel asks on a day before promises already matched, shortest
  augmenting paths (Edmonds and Karp 1972) move promises to other supply to make room. A promise once served
  stays served: the sets of demand that can be served are a transversal matroid (Edmonds and Fulkerson 1965).

Then the rules of the channel, in this order: safety stock of each node, their sum, safety stock of the pool,
what other channels are guaranteed and have not used, the channel's cap, its buffer, and what it may oversell.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

HORIZON_DAYS = 90


@dataclass(frozen=True, kw_only=True)
class Supply:
    """Units at a node from a day on, until they are too old."""

    node: str
    quantity: int
    available_from: date
    expires_on: date | None = None
    source: str = "onHand"
    """onHand, transfer or purchaseOrder: the name of its term."""
    label: str = ""
    """The number of its batch or document."""
    promised: int = 0
    """Of its units, those already allocated to somebody: they stay theirs. Not to be given as a Demand, too."""
    barred: str = ""
    """Why it does not count at all (quarantined, recalled), in the words of its term."""

    def __post_init__(self) -> None:
        if not 0 <= self.promised <= self.quantity:
            raise ValueError(f"Of {self.quantity} units, {self.promised} cannot be promised.")

    @property
    def free(self) -> int:
        return self.quantity - self.promised

    def last_day(self, minimum_days: int) -> date:
        """The last day, included, on which it may leave to who wants so many days of remaining shelf life."""
        if self.expires_on is None:
            return date.max
        if minimum_days >= self.expires_on.toordinal():
            return date.min
        return self.expires_on - timedelta(days=minimum_days)

    def is_eligible(self, *, on: date, minimum_days: int) -> bool:
        return self.available_from <= on <= self.last_day(minimum_days)


@dataclass(frozen=True, kw_only=True)
class Demand:
    """A promise already made, to leave on a day, from one node or ("") from any of the pool.

    A promise that is overdue is one for today.
    """

    quantity: int
    need_on: date
    node: str = ""
    minimum_days: int = 0
    """The remaining shelf life its channel wants on that day."""
    channel: str = ""

    def __post_init__(self) -> None:
        _refuse_negative(quantity=self.quantity, minimum_days=self.minimum_days)


@dataclass(frozen=True, kw_only=True)
class Amount:
    """So many units, and so many percent (rounded up to whole units) of a quantity."""

    units: int = 0
    percent: Decimal | int = 0

    def __post_init__(self) -> None:
        _refuse_negative(units=self.units, percent=self.percent)

    def of(self, quantity: int) -> int:
        return self.units + math.ceil(Fraction(self.percent) * max(quantity, 0) / 100)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What the asking channel must leave, and what it may exceed."""

    channel: str = ""
    minimum_days: int = 0
    """The remaining shelf life it wants on the day its units leave."""
    node_safety: Mapping[str, Amount] = field(default_factory=dict)
    """By node; a percentage is one of the units there that are eligible that day and not allocated."""
    pool_safety: Amount | None = None
    guarantees: Mapping[str, int] = field(default_factory=dict)
    """By channel. Of other channels', the part they do not hold already is kept from this one."""
    cap: int | None = None
    """The most this channel may hold in all, backorders included."""
    buffer: Amount | None = None
    kept_back: Amount | None = None
    """What its disclosure hides from the asking partner."""
    oversell: int = 0
    held: Mapping[str, int] = field(default_factory=dict)
    """By channel, what it holds beyond the demands given: the promised units of supplies."""

    def __post_init__(self) -> None:
        _refuse_negative(minimum_days=self.minimum_days, cap=self.cap or 0, oversell=self.oversell)
        _refuse_negative(**{f"the guarantee of {channel}": units for channel, units in self.guarantees.items()})


Steps = list[tuple[date, int]]


class Term(NamedTuple):
    """One line of the explanation; negative where it takes away. (A tuple, since there are some for each level.)"""

    name: str
    quantity: int
    node: str = ""
    day: date | None = None
    """Of a batch its expiry date, of a promise the day it is needed, of what is coming its arrival."""
    label: str = ""
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What can be promised. `terms` add up to `quantity` exactly, always."""

    day: date
    """The day the terms, by_node and backorder are about: the day asked for, or today."""
    until: date
    """The last day looked at."""
    by_date: list[tuple[date, int]]
    """From each of these days on until the next, what stock or inbound covers if all leave on one day. The first
    is today. It can fall where batches grow too old. The quantities of two days are not to be added."""
    by_node: dict[str, int]
    """What each node could promise alone, after its own safety stock, at most what the channel gets in all. What
    one node promises may be missing at the next, so their sum can exceed the whole."""
    backorder: int
    """What may be taken on top, without stock: the channel's oversell depth as far as it is not used up."""
    short: int
    """Units already promised for which there is no supply in time; kept back from what is left."""
    terms_now: Callable[[], list[Term]] = field(repr=False, compare=False)
    """Writes the terms out, when somebody wants to read them."""
    dated_by_node: Callable[[int], dict[str, Steps]] = field(repr=False, compare=False)
    """What each node alone could promise from each day on, to who wants so many more days of remaining shelf life:
    those the goods travel. Computed when asked."""
    coming: list[Term] = field(default_factory=list)
    """What arrives after the day, until the last day looked at: for the reader, not part of the sum."""

    @cached_property
    def terms(self) -> list[Term]:
        return self.terms_now()

    @property
    def available(self) -> int:
        """Covered by stock or inbound on the day."""
        return self.on(self.day)

    @property
    def quantity(self) -> int:
        """What may be promised for the day: available, and backorder."""
        return self.available + self.backorder

    def on(self, day: date) -> int:
        """What is covered on this day; nothing is said of days before today or after the last."""
        place = bisect_right(self.by_date, day, key=lambda step: step[0])
        return self.by_date[place - 1][1] if place and day <= self.until else 0

    def earliest(self, quantity: int) -> date | None:
        """The first day on which so many can leave together. Backorders have no day."""
        return next((day for day, covered in self.by_date if covered >= quantity), None)


def available_to_promise(
    *,
    supplies: Sequence[Supply],
    demands: Sequence[Demand] = (),
    rules: Rules | None = None,
    today: date,
    horizon_days: int = HORIZON_DAYS,
    needed_by: date | None = None,
) -> Answer:
    """What can be promised to the channel of the rules on each day of the horizon, and why.

    The answer explains the day `needed_by`, today if not given. Promises and supply beyond the horizon are
    looked at, too: they bear on what is left before. All supplies are of one variant; dates are those of the
    warehouses. Linear in the supplies where none arrives or grows too old within the horizon.
    """
    day = max(today, needed_by or today)
    until = max(day, today + timedelta(days=horizon_days))
    if not rules and not demands and (answer := _plain(supplies, today, day, until)):
        return answer
    rules = rules or Rules()
    parts = _parts(supplies, _bucketed(demands, today), rules, today, until)
    short = sum(part.short for part in parts)
    held = _held(demands, rules)
    free_by_date, standings = _followed(parts, today, day)

    by_date: list[tuple[date, int]] = []
    for step, free in free_by_date:
        left = max(0, free - short)
        left += sum(term.quantity for term in _withheld(left, rules, held)[0])
        if not by_date or by_date[-1][1] != left:
            by_date.append((step, left))

    free = sum(standing.free for standing in standings)
    terms = _terms_of_supplies(supplies, day, rules.minimum_days)
    for standing in standings:
        terms += _terms_of_standing(standing)
    if short:
        terms.append(Term(name="short", quantity=-min(short, free), why=f"{short} promised units have no supply"))
    withheld, wanted = _withheld(max(0, free - short), rules, held)
    terms += withheld
    left = max(0, free - short) + sum(term.quantity for term in withheld)
    backorder = 0
    if rules.oversell:
        stock = _stock_by_node(supplies, day, rules.minimum_days)
        backorder = _backorder(
            left=left, wanted=wanted, short=short, standings=standings, stock=stock, rules=rules, held=held
        )
        terms.append(Term(name="backorder", quantity=backorder, why=f"{rules.oversell} may be sold without stock"))
    return Answer(
        day=day,
        until=until,
        by_date=by_date,
        by_node=_by_node(supplies, parts, standings, day, left),
        backorder=backorder,
        short=short,
        terms_now=lambda: terms,
        dated_by_node=lambda more_days: _dated_by_node(supplies, demands, rules, today, until, more_days),
        coming=_coming(supplies, day, until),
    )


def _plain(supplies: Sequence[Supply], today: date, day: date, until: date) -> Answer | None:
    """The common case in one pass: nothing asked but what lies there, nothing coming, nothing growing too old.

    None where it takes a closer look. The terms are those of the supplies, as in every answer.
    """
    by_node: dict[str, int] = {}
    for supply in supplies:
        if supply.available_from > today:
            return None
        free = 0
        if not supply.barred and (supply.expires_on is None or supply.expires_on >= today):
            if supply.expires_on is not None and supply.expires_on < until:
                return None
            free = supply.quantity - supply.promised
        by_node[supply.node] = by_node.get(supply.node, 0) + free
    total = sum(by_node.values())
    return Answer(
        day=day, until=until, by_date=[(today, total)], by_node=by_node, backorder=0, short=0,
        terms_now=lambda: _terms_of_supplies(supplies, day, 0),
        # Nothing here grows too old within the horizon; what does soon after is not worth a closer look.
        dated_by_node=lambda more_days: {node: [(today, units)] for node, units in by_node.items()},
    )  # fmt: skip


# The parts of the pool: a node by itself, or all nodes together where a promise may be kept from any of them.


@dataclass(frozen=True, kw_only=True)
class _Need:
    """All promises of one day, one minimum and one node."""

    day: date
    minimum_days: int
    node: str
    quantity: int


@dataclass(kw_only=True, slots=True)
class _Standing:
    """How a part stands on a day: of what is eligible then, what promises take, what is safety stock, and the rest."""

    taken: list[tuple[_Need, int]] = field(default_factory=list)
    kept: list[tuple[str, int, int]] = field(default_factory=list)
    """Node, units kept as safety stock, units wanted."""
    free: int = 0


def _bucketed(demands: Iterable[Demand], today: date) -> list[_Need]:
    """In the order of their days."""
    buckets: dict[tuple[date, int, str], int] = defaultdict(int)
    for demand in demands:
        if demand.quantity:
            buckets[max(today, demand.need_on), demand.minimum_days, demand.node] += demand.quantity
    return [
        _Need(day=day, minimum_days=minimum_days, node=node, quantity=quantity)
        for (day, minimum_days, node), quantity in sorted(buckets.items())
    ]


def _parts(
    supplies: Iterable[Supply], needs: list[_Need], rules: Rules, today: date, until: date
) -> list[_Cumulative | _Matched]:
    by_node: dict[str, list[Supply]] = {}
    for supply in supplies:
        here = by_node.setdefault(supply.node, [])
        if supply.promised < supply.quantity and not supply.barred:
            here.append(supply)
    if len(by_node) > 1 and any(need.node == "" for need in needs):
        everything = [supply for here in by_node.values() for supply in here]
        return [_Matched(list(by_node), everything, needs, rules, today, until)]
    only = next(iter(by_node), "")
    needed: dict[str, list[_Need]] = {}
    for need in needs:
        needed.setdefault(need.node or only, []).append(need)
    parts: list[_Cumulative | _Matched] = []
    for node in dict.fromkeys([*by_node, *needed]):
        here, wanted = by_node.get(node, []), needed.get(node, [])
        if wanted and _age_matters(here, wanted, rules.minimum_days, today, until):
            parts.append(_Matched([node], here, wanted, rules, today, until))
        else:
            parts.append(_Cumulative(node, here, wanted, rules, today, until))
    return parts


def _age_matters(supplies: list[Supply], needs: list[_Need], minimum_days: int, today: date, until: date) -> bool:
    """Whether a supply is eligible for one and not for the other, or on one day and no more on the next."""
    strictest = max(minimum_days, max(need.minimum_days for need in needs))
    laxest = min(minimum_days, min(need.minimum_days for need in needs))
    last = max(until, needs[-1].day)
    return any(
        supply.last_day(strictest) < last and supply.last_day(laxest) >= max(today, supply.available_from)
        for supply in supplies
        if supply.expires_on is not None
    )


def _followed(
    parts: list[_Cumulative | _Matched], today: date, day: date
) -> tuple[list[tuple[date, int]], list[_Standing]]:
    """What all parts have free, from day to day; and how each stands on the day asked for."""
    changes: dict[date, int] = defaultdict(int)
    changes[today] = 0
    standings = []
    for part in parts:
        standing = now = part.standing(today)
        changes[today] += now.free
        for step in part.later_steps:
            before, now = now.free, part.standing(step)
            changes[step] += now.free - before
            if step <= day:
                standing = now
        standings.append(standing)
    days = sorted(changes)
    return list(zip(days, accumulate(changes[step] for step in days), strict=True)), standings


def _by_node(
    supplies: Iterable[Supply],
    parts: list[_Cumulative | _Matched],
    standings: list[_Standing],
    day: date,
    most: int,
) -> dict[str, int]:
    nodes = dict.fromkeys(sorted({supply.node for supply in supplies}), 0)
    for part, standing in zip(parts, standings, strict=True):
        for node, units in part.alone(day, standing):
            if node in nodes:
                nodes[node] = max(0, min(most, units))
    return nodes


def _dated_by_node(
    supplies: Sequence[Supply], demands: Sequence[Demand], rules: Rules, today: date, until: date, more_days: int
) -> dict[str, Steps]:
    """`_by_node` for each day on which anything changes, a day being named only where the node's figure changes."""
    rules = replace(rules, minimum_days=rules.minimum_days + more_days)
    parts = _parts(supplies, _bucketed(demands, today), rules, today, until)
    short, held = sum(part.short for part in parts), _held(demands, rules)
    found: dict[str, Steps] = {}
    for step in sorted({today, *(step for part in parts for step in part.later_steps)}):
        standings = [part.standing(step) for part in parts]
        left = max(0, sum(standing.free for standing in standings) - short)
        left += sum(term.quantity for term in _withheld(left, rules, held)[0])
        for node, units in _by_node(supplies, parts, standings, step, left).items():
            steps = found.setdefault(node, [])
            if not steps or steps[-1][1] != units:
                steps.append((step, units))
    return found


def _later_steps(windows: Iterable[tuple[date, date]], today: date, until: date) -> list[date]:
    """The days on which something becomes eligible or has become too old; between them nothing changes."""
    steps = set()
    for first, last in windows:
        if today < first <= until:
            steps.add(first)
        if last < until:
            steps.add(last + timedelta(days=1))
    return sorted(steps)


class _Cumulative:
    """One node where age does not tell one promise from another: the cumulative figure with look-ahead."""

    def __init__(
        self, node: str, supplies: list[Supply], needs: list[_Need], rules: Rules, today: date, until: date
    ) -> None:
        self.node = node
        self.safety = rules.node_safety.get(node)
        windows = [(supply.available_from, supply.last_day(rules.minimum_days), supply.free) for supply in supplies]
        self.arrivals = [(first, last, units) for first, last, units in windows if last >= today and last >= first]
        self.later_steps = _later_steps([(first, last) for first, last, _ in self.arrivals], today, until)
        self.needs: list[tuple[_Need, int]] = []
        self.short = 0
        if needs:
            self.arrivals.sort()
            late = self._uncovered([(need, need.quantity) for need in needs], date.min)
            self.needs = [(need, need.quantity - missing) for need, missing in late]
            self.short = sum(missing for _, missing in late)

    def standing(self, day: date) -> _Standing:
        free = sum([units for first, last, units in self.arrivals if first <= day <= last])
        wanted = self.safety.of(free) if self.safety else 0
        taken = self._uncovered(self.needs, day) if self.needs else []
        for _, units in taken:
            free -= units
        if not wanted:
            return _Standing(taken=taken, free=free)
        kept = min(wanted, free)
        return _Standing(taken=taken, kept=[(self.node, kept, wanted)], free=free - kept)

    def alone(self, day: date, standing: _Standing) -> list[tuple[str, int]]:
        return [(self.node, standing.free - self.short)]

    def _uncovered(self, needs: list[tuple[_Need, int]], after: date) -> list[tuple[_Need, int]]:
        """What of these needs, in the order of their days, the arrivals after a day do not cover in time."""
        later = [(first, units) for first, _, units in self.arrivals if first > after]
        uncovered, spare, place = [], 0, 0
        for need, quantity in needs:
            while place < len(later) and later[place][0] <= need.day:
                spare += later[place][1]
                place += 1
            covered = min(spare, quantity)
            spare -= covered
            uncovered.append((need, quantity - covered))
        return uncovered


class _Matched:
    """One node or several, where it matters which promise takes which supply."""

    def __init__(
        self, nodes: list[str], supplies: list[Supply], needs: list[_Need], rules: Rules, today: date, until: date
    ) -> None:
        self.nodes = sorted(nodes)
        self.rules = rules
        self.supplies = sorted(supplies, key=lambda supply: (supply.expires_on or date.max, supply.available_from))
        windows = [(supply.available_from, supply.last_day(rules.minimum_days)) for supply in self.supplies]
        windows = [(first, last) for first, last in windows if last >= today and last >= first]
        self.later_steps = _later_steps(windows, today, until)
        self.plan = _Plan(free=[supply.free for supply in self.supplies], uses=[{} for _ in supplies], reach=[])
        self.needs = needs
        self.missing = [need.quantity - self.plan.serve(self._eligible_for(need), need.quantity) for need in needs]
        self.short = sum(self.missing)

    def standing(self, day: date) -> _Standing:
        plan = self.plan.copy()
        eligible = self._eligible(day)
        kept = []
        for node in self.nodes:
            here = self._at(node, eligible)
            if wanted := self._safety(node, here):
                kept.append((node, plan.serve(here, wanted), wanted))
        free = plan.serve(eligible)
        taken = [
            (need, sum(plan.uses[place].get(bucket, 0) for place in eligible)) for bucket, need in enumerate(self.needs)
        ]
        return _Standing(taken=taken, kept=kept, free=free)

    def alone(self, day: date, standing: _Standing) -> list[tuple[str, int]]:
        eligible, found = self._eligible(day), []
        for node in self.nodes:
            here = self._at(node, eligible)
            found.append((node, self.plan.copy().serve(here) - self._safety(node, here) - self._short_for(node)))
        return found

    def _safety(self, node: str, here: list[int]) -> int:
        amount = self.rules.node_safety.get(node)
        return amount.of(sum(self.supplies[place].free for place in here)) if amount else 0

    def _short_for(self, node: str) -> int:
        """Units this node would serve, had it more."""
        pairs = zip(self.needs, self.missing, strict=True)
        return sum(missing for need, missing in pairs if need.node in ("", node))

    def _eligible(self, day: date) -> list[int]:
        """The supplies that may leave to the asking channel, first expired first."""
        minimum_days = self.rules.minimum_days
        supplies = enumerate(self.supplies)
        return [place for place, supply in supplies if supply.is_eligible(on=day, minimum_days=minimum_days)]

    def _eligible_for(self, need: _Need) -> list[int]:
        return [
            place
            for place, supply in enumerate(self.supplies)
            if (need.node in ("", supply.node) or len(self.nodes) == 1)
            and supply.is_eligible(on=need.day, minimum_days=need.minimum_days)
        ]

    def _at(self, node: str, places: list[int]) -> list[int]:
        return [place for place in places if self.supplies[place].node == node]


@dataclass(kw_only=True)
class _Plan:
    """Which supply serves which demand. To make room, a demand moves to other supply; it is never dropped."""

    free: list[int]
    """By supply, units nobody uses."""
    uses: list[dict[int, int]]
    """By supply, units by demand."""
    reach: list[list[int]]
    """By demand, the supplies it may use, the one to take first in front."""

    def copy(self) -> _Plan:
        return _Plan(free=self.free.copy(), uses=[dict(use) for use in self.uses], reach=self.reach.copy())

    def serve(self, supplies: list[int], quantity: int | None = None) -> int:
        """How many of so many units (or of any number) a further demand gets from these supplies, besides the others."""
        demand, served = len(self.reach), 0
        self.reach.append(supplies)
        if quantity is None:
            quantity = sum(self.free)
        for supply in supplies:
            if units := min(self.free[supply], quantity - served):
                self.free[supply] -= units
                self.uses[supply][demand] = units
                served += units
        while served < quantity and (moved := self._augment(demand, quantity - served)):
            served += moved
        return served

    def _augment(self, demand: int, most: int) -> int:
        """Find the shortest chain of moves that gives the demand units nobody uses, and make it."""
        wanted_by: dict[int, int] = {}
        gives_up: dict[int, int] = {}
        seen = [demand]
        for wanting in seen:  # It grows on the way: breadth first.
            for supply in self.reach[wanting]:
                if supply in wanted_by:
                    continue
                wanted_by[supply] = wanting
                if self.free[supply]:
                    return self._move(supply, wanted_by, gives_up, most)
                for holder in self.uses[supply]:
                    if holder != demand and holder not in gives_up:
                        gives_up[holder] = supply
                        seen.append(holder)
        return 0

    def _move(self, supply: int, wanted_by: dict[int, int], gives_up: dict[int, int], most: int) -> int:
        moves = [(wanted_by[supply], supply)]
        while (given := gives_up.get(moves[-1][0])) is not None:
            moves.append((wanted_by[given], given))
        # Each demand of the chain takes a supply and leaves it by as much to the demand after it.
        leaves = [(moves[place][0], moves[place + 1][1]) for place in range(len(moves) - 1)]
        units = min([most, self.free[supply], *(self.uses[left][demand] for demand, left in leaves)])
        self.free[supply] -= units
        for demand, taken in moves:
            self.uses[taken][demand] = self.uses[taken].get(demand, 0) + units
        for demand, left in leaves:
            self.uses[left][demand] -= units
            if not self.uses[left][demand]:
                del self.uses[left][demand]
        return units


# The rules and the explanation.


def _held(demands: Iterable[Demand], rules: Rules) -> dict[str, int]:
    """What each channel holds already."""
    held: dict[str, int] = defaultdict(int, rules.held)
    for demand in demands:
        held[demand.channel] += demand.quantity
    return held


def _withheld(left: int, rules: Rules, held: Mapping[str, int]) -> tuple[list[Term], int]:
    """What the rules of the pool and the channel take of what is left, in their order; and what is kept for others
    if there were enough. A rule that takes nothing has no term."""
    terms: list[Term] = []
    wanted = 0

    def take(name: str, units: int, why: str, label: str = "") -> None:
        nonlocal left
        if taken := min(units, left):
            terms.append(Term(name=name, quantity=-taken, label=label, why=why))
            left -= taken

    if rules.pool_safety:
        wanted += (units := rules.pool_safety.of(left))
        take("poolSafety", units, f"{units} are the safety stock of the pool")
    for channel, guarantee in sorted(rules.guarantees.items()):
        if channel != rules.channel and (units := max(0, guarantee - held.get(channel, 0))):
            wanted += units
            take("guarantee", units, f"{units} of {guarantee} guaranteed are still to be taken", channel)
    if rules.cap is not None:
        mine = held.get(rules.channel, 0)
        take("cap", max(0, left - max(0, rules.cap - mine)), f"the channel holds {mine} of at most {rules.cap}")
    if rules.buffer:
        wanted += (units := rules.buffer.of(left))
        take("buffer", units, f"{units} are the buffer of the channel")
    if rules.kept_back:
        wanted += (units := rules.kept_back.of(left))
        take("keptBack", units, f"{units} are kept back from the partner")
    return terms, wanted


def _backorder(
    *,
    left: int,
    wanted: int,
    short: int,
    standings: list[_Standing],
    stock: Mapping[str, int],
    rules: Rules,
    held: Mapping[str, int],
) -> int:
    """How many may still be sold without stock. Promises without supply, and those that already eat into what is
    kept for others, have used the depth up; so who takes all that is offered is offered no more. Within the cap."""
    safety = [term for standing in standings for term in standing.kept]
    wanted += sum(min(asked, stock[node]) for node, _, asked in safety)
    unpromised = sum(standing.free for standing in standings) + sum(kept for _, kept, _ in safety) - short
    used = max(0, min(wanted, sum(stock.values())) - unpromised)
    backorder = max(0, rules.oversell - used)
    if rules.cap is not None:
        backorder = min(backorder, max(0, rules.cap - held.get(rules.channel, 0) - left))
    return backorder


def _stock_by_node(supplies: Iterable[Supply], day: date, minimum_days: int) -> dict[str, int]:
    """What is eligible on the day, promised or not."""
    stock: dict[str, int] = defaultdict(int)
    for supply in supplies:
        if not supply.barred and supply.is_eligible(on=day, minimum_days=minimum_days):
            stock[supply.node] += supply.quantity
    return stock


def _coming(supplies: Iterable[Supply], day: date, until: date) -> list[Term]:
    return [
        Term(name=supply.source, quantity=supply.free, node=supply.node, day=supply.available_from, label=supply.label)
        for supply in supplies
        if day < supply.available_from <= until and supply.free and not supply.barred
    ]


def _terms_of_supplies(supplies: Iterable[Supply], day: date, minimum_days: int) -> list[Term]:
    terms = []
    for supply in supplies:
        if supply.available_from > day or not supply.quantity:
            continue
        node, expires_on, label = supply.node, supply.expires_on, supply.label
        terms.append(Term(name=supply.source, quantity=supply.quantity, node=node, day=expires_on, label=label))
        if supply.promised:
            terms.append(Term(name="reserved", quantity=-supply.promised, node=node, label=label, why="allocated"))
        if supply.free and (excluded := _why_not(supply, day, minimum_days)):
            name, why = excluded
            terms.append(Term(name=name, quantity=-supply.free, node=node, day=expires_on, label=label, why=why))
    return terms


def _why_not(supply: Supply, day: date, minimum_days: int) -> tuple[str, str] | None:
    if supply.barred:
        return supply.barred, "cannot be sold"
    if supply.expires_on is None or day <= supply.last_day(minimum_days):
        return None
    if day > supply.expires_on:
        return "expired", f"expired on {supply.expires_on}"
    return "shelfLife", f"{(supply.expires_on - day).days} days are left of {minimum_days} wanted"


def _terms_of_standing(standing: _Standing) -> list[Term]:
    """A promise that takes nothing of the day's stock is told with 0, for somebody will ask about it."""
    terms = [
        Term(
            name="reserved",
            quantity=-units,
            node=need.node,
            day=need.day,
            why=f"{units} of {need.quantity} needed on {need.day}",
        )
        for need, units in standing.taken
    ]
    for node, kept, wanted in standing.kept:
        if kept:
            why = f"{wanted} are the safety stock of the node"
            terms.append(Term(name="nodeSafety", quantity=-kept, node=node, why=why))
    return terms


def _refuse_negative(**numbers: Decimal | int) -> None:
    for name, number in numbers.items():
        if number < 0:
            raise ValueError(f"{name} is {number}, below 0.")
