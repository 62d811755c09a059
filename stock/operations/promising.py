"""What a wish for stock comes to: kits as their components, what may be promised of it, and from where."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from catalog.models import KitComponent, Variant
from partners import prepared, rows
from partners.disclosure import Rule
from partners.models import Partner
from partners.problems import Problem
from stock import allocation, availability, ledger, queries
from stock.allocation import Chooser, Demand, Plan
from stock.operations import lookups


class InsufficientStock(Problem):
    """Less is sellable than was asked for; nothing was reserved.

    Data: shortages[{productId, requested, available}], `available` as disclosed to the partner.
    """

    code = "insufficient_stock"
    title = "Not enough stock"
    remedy = "Ask for what is available, wait, or look at POST /availability for other days and products."


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One line asked for: a variant, how many, and from where ("" = anywhere)."""

    variant: Variant
    quantity: int
    warehouse_code: str = ""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """All that one asks for at once, and who decides from where it comes."""

    wanted: tuple[Wanted, ...]
    partner: Partner | None
    is_all_or_nothing: bool
    header: ledger.Claim
    choose: Chooser = allocation.allocate

    @property
    def name(self) -> tuple[int, str]:
        """What may be claimed once only, as things in order."""
        return self.header.partner_id or 0, self.header.reference


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line as it will be kept: of a SKU, or (`is_kit`) of a kit, whose components follow and name it."""

    variant_id: int
    quantity: int
    warehouse_code: str
    line: int
    is_kit: bool = False
    kit_row: int | None = None

    @property
    def demand(self) -> Demand:
        return Demand(
            variant_id=self.variant_id, quantity=self.quantity, warehouse_code=self.warehouse_code, kit=self.kit_row
        )


def rows_of(*, wish: Wish, kits: dict[int, list[KitComponent]] | None = None) -> list[Row]:
    """The wish line by line, kits taken apart into what one look told of them."""
    rows: list[Row] = []
    for place, line in enumerate(wish.wanted):
        parts = (kits or {}).get(line.variant.pk, [])
        row = Row(
            variant_id=line.variant.pk, quantity=line.quantity, warehouse_code=line.warehouse_code, line=place,
            is_kit=bool(parts),
        )  # fmt: skip
        kit_row = len(rows)
        rows.append(row)
        rows += [
            replace(
                row, variant_id=part.component_id, quantity=part.quantity * line.quantity, is_kit=False, kit_row=kit_row
            )
            for part in parts
        ]
    return rows


def kits_among(wishes: Iterable[Wish]) -> dict[int, list[KitComponent]]:
    """The components of the kits asked for. One query."""
    found: dict[int, list[KitComponent]] = defaultdict(list)
    variant_ids = prepared.bigints(sorted({line.variant.pk for wish in wishes for line in wish.wanted}))
    for part in rows.read(KitComponent, "WHERE kit_id = ANY(%s::bigint[]) ORDER BY kit_id, id", [variant_ids]):
        found[part.kit_id].append(part)
    return dict(found)


class Desk:
    """What is left to promise while wish after wish is granted, read once for all.

    The caller holds the locks of the levels `held`; only these count, since one that was made after they were
    locked is anybody's.
    """

    def __init__(self, variant_ids: Iterable[int], held: Container[int]) -> None:
        self.variant_ids = sorted(set(variant_ids))
        self.held = held
        self.has_rules = bool(availability.rules_of(self.variant_ids))
        """Then what others hold counts, and each wish is to be written before the next is decided."""
        self._offers: dict[int | None, list[queries.Offer]] = {}
        self._taken: dict[int, int] = defaultdict(int)

    def rules_count(self, wish: Wish) -> bool:
        """Whether a rule of promising or what is kept back from the partner bounds this wish."""
        return self.has_rules or availability.kept_back_from(wish.partner) is not None

    def decide(self, wish: Wish, rows: Sequence[Row]) -> list[Plan]:
        """A plan for each row; a kit's own row has an empty one. Part of a wish that was held by its partner is as
        much as it may be told there is, or it would ask for a million and read off the rest.

        Raises InsufficientStock unless the wish is content with less; it has taken nothing then.
        """
        offers, limits = self.offers(wish)
        plans = iter(
            wish.choose([row.demand for row in rows if not row.is_kit], offers, limits=limits, taken=self._taken)
        )
        decided = [Plan(missing=0) if row.is_kit else next(plans) for row in rows]
        is_short, is_empty = any(plan.missing for plan in decided), not any(plan.picks for plan in decided)
        # So many kits want more of a component than a place may hold; part of that is no answer, nor can it be kept.
        is_absurd = any(row.quantity > ledger.ON_HAND_MAX for row in rows)
        if is_short and (wish.is_all_or_nothing or is_empty or is_absurd):
            raise _insufficient(wish, rows, decided)
        if is_short and wish.partner and wish.header.seconds is not None:
            rule = wish.partner.disclosure_rule
            decided = [plan.cut(rule.floor(plan.quantity)) if plan.missing else plan for plan in decided]
        if is_short and wish.partner:
            lookups.keep_refused(partner=wish.partner, refused=_lacking(wish, rows, decided), at=wish.header.at)
        for pick in (pick for plan in decided for pick in plan.picks):
            self._taken[pick.level_id] += pick.quantity
        return decided

    def offers(self, wish: Wish) -> tuple[list[queries.Offer], dict[tuple[int, str], int]]:
        """What may be picked, and how far: by variant and warehouse, with the warehouse "" in all."""
        return self._ruled(wish) if self.rules_count(wish) else (self._free(wish), {})

    def _free(self, wish: Wish) -> list[queries.Offer]:
        """What this partner may be promised; the same for all its wishes."""
        partner_id = wish.partner.pk if wish.partner else None
        if partner_id not in self._offers:
            self._offers[partner_id] = self._look(self.variant_ids, wish)
        return self._offers[partner_id]

    def _ruled(self, wish: Wish) -> tuple[list[queries.Offer], dict[tuple[int, str], int]]:
        """The same answer of availability that a partner gets."""
        asker = availability.Asker(partner=wish.partner, channel=wish.header.channel, at=wish.header.at)
        rules = availability.rules_counting(variant_ids=self.variant_ids, asker=asker)
        answers = availability.available(variant_ids=self.variant_ids, asker=asker, rules=rules)
        days: dict[int, list[int]] = defaultdict(list)
        for variant_id in self.variant_ids:
            days[rules[variant_id].minimum_days if variant_id in rules else 0].append(variant_id)
        offers = [offer for minimum_days, ids in days.items() for offer in self._look(ids, wish, minimum_days)]
        return offers, availability.limits(answers)

    def _look(self, variant_ids: Iterable[int], wish: Wish, minimum_days: int = 0) -> list[queries.Offer]:
        found = queries.candidates(
            variant_ids=variant_ids, partner=wish.partner, at=wish.header.at, minimum_days=minimum_days
        )
        return [offer for offer in found if offer.level_id in self.held]


def lines_of(*, rows: Sequence[Row], plans: Sequence[Plan], offset: int = 0) -> list[ledger.NewLine]:
    """Rows and plans as the ledger keeps them; `offset` lines of other wishes go before them."""
    return [
        ledger.NewLine(
            variant_id=row.variant_id,
            warehouse_code=row.warehouse_code,
            quantity=row.quantity,
            picks=[(pick.level_id, pick.quantity) for pick in plan.picks],
            kit_line=None if row.kit_row is None else offset + row.kit_row,
        )
        for row, plan in zip(rows, plans, strict=True)
    ]


def _insufficient(wish: Wish, rows: Sequence[Row], plans: Sequence[Plan]) -> InsufficientStock:
    """The refusal, with what is asked and what could be had of each product."""
    rule = wish.partner.disclosure_rule if wish.partner else Rule()
    lacking = _lacking(wish, rows, plans)
    skus = {line.variant.pk: line.variant.sku for line in wish.wanted}
    shortages: list[dict[str, Any]] = [
        {"productId": skus[variant_id], "requested": requested, "available": rule.tell(found).quantity}
        for variant_id, requested, found in lacking
    ]
    names = ", ".join(row["productId"] for row in shortages[:5])
    refusal = InsufficientStock(f"There is not enough of {names}; nothing was reserved.", shortages=shortages)
    refusal.is_told = True
    if wish.partner:
        refusal.aftermath = partial(lookups.keep_refused, partner=wish.partner, refused=lacking, at=wish.header.at)
    return refusal


def _lacking(wish: Wish, rows: Sequence[Row], plans: Sequence[Plan]) -> list[tuple[int, int, int]]:
    """What is asked and what could be had (of a kit, how many could be made) of the products there is too little of."""
    requested: dict[int, int] = defaultdict(int)
    found: dict[int, int] = defaultdict(int)
    for place, line in enumerate(wish.wanted):
        shares = [
            line.quantity * (row.quantity - plan.missing) // row.quantity
            for row, plan in zip(rows, plans, strict=True)
            if row.line == place and not row.is_kit
        ]
        requested[line.variant.pk] += line.quantity
        found[line.variant.pk] += min(shares)
    return [(pk, units, found[pk]) for pk, units in requested.items() if found[pk] < units]
