"""Which rules of promising count for whom. Pure: rules in, the rules of one product and one caller out.

Of two rules about the same, the one of the product beats the one of its type, which beats the one of
everything; then the one naming the partner beats the one naming its channel, which beats the one for all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from stock.atp import Amount, Rules


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A PromiseRule as it counts: of a product, its type or everything; at a node; for a channel or a partner."""

    kind: str
    variant_id: int | None = None
    product_type: str | None = None
    node: str = ""
    whom: str = ""
    units: int | None = None
    percent: Decimal | None = None

    @property
    def amount(self) -> Amount:
        return Amount(units=self.units or 0, percent=self.percent or 0)

    @property
    def weight(self) -> tuple[int, int]:
        closeness = 2 if self.variant_id is not None else 1 if self.product_type is not None else 0
        return closeness, 2 if self.whom.startswith(PARTNER) else 1 if self.whom else 0


PARTNER = "partner "


def named(partner_code: str) -> str:
    """A partner as rules and terms name it, apart from a channel of the same word."""
    return PARTNER + partner_code


def rules_for(
    rules: Iterable[Rule],
    *,
    variant_id: int,
    product_type: str,
    channel: str,
    partner_code: str,
    held: Mapping[str, int],
    kept_back: Amount | None = None,
) -> Rules:
    """What counts for this product when this caller asks; `held` is what each channel and partner holds of it,
    `kept_back` what the caller's disclosure hides.

    The caller is known by its partner's name where a guarantee or a cap names it, else by its channel.
    """
    here = [
        rule for rule in rules if rule.variant_id in (None, variant_id) and rule.product_type in (None, product_type)
    ]
    caller = (named(partner_code), channel, "")
    best: dict[tuple[str, str], Rule] = {}
    guarantees: dict[str, Rule] = {}
    for rule in sorted(here, key=lambda rule: rule.weight):
        if rule.kind == "guarantee":
            guarantees[rule.whom] = rule
        elif rule.whom in caller:
            best[rule.kind, rule.node] = rule
    cap = best.get(("cap", ""))
    is_named = caller[0] in guarantees or (cap is not None and cap.whom == caller[0])
    return Rules(
        channel=caller[0] if is_named else channel,
        minimum_days=_units(best.get(("shelfLife", ""))),
        node_safety={node: rule.amount for (kind, node), rule in best.items() if kind == "safety" and node},
        pool_safety=_amount(best.get(("safety", ""))),
        guarantees={whom: _units(rule) for whom, rule in guarantees.items()},
        cap=cap.units if cap else None,
        buffer=_amount(best.get(("buffer", ""))),
        kept_back=kept_back,
        oversell=_units(best.get(("oversell", ""))),
        held=held,
    )


def held_by(units: Iterable[tuple[str, str, int]]) -> dict[str, int]:
    """What channels and partners hold, by the names rules use, from (channel, partner code, units)."""
    held: dict[str, int] = defaultdict(int)
    for channel, partner_code, quantity in units:
        if channel:
            held[channel] += quantity
        if partner_code:
            held[named(partner_code)] += quantity
    return dict(held)


def _units(rule: Rule | None) -> int:
    return (rule.units or 0) if rule else 0


def _amount(rule: Rule | None) -> Amount | None:
    return rule.amount if rule else None
