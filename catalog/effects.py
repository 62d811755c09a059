"""What a change of products does to the floors above: they say here how to find out, for they know the catalog and
it does not know them.

A teller answers for many products at once, in as many queries as for one: variant ids → {what: how many}.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

Teller = Callable[[Sequence[int]], Mapping[int, Mapping[str, int]]]

_tellers: dict[str, Teller] = {}

# A change of these is felt where the product lies or is promised; a name is not.
FELT = frozenset(
    {"status", "tracking", "shelf_life_days", "unit", "packs", "product_type_id", "parent_sku", "warranty_months"}
)
NAMES = {"onHand": "on hand", "reserved": "reserved", "openOrderLines": "open order lines"}


def tell_by(name: str, teller: Teller) -> None:
    """Let a floor above tell; said again under the same name it replaces what was said."""
    _tellers[name] = teller


def on(variant_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """What is on hand, reserved, ordered … of each product that has anything at all."""
    found: dict[int, dict[str, int]] = {}
    if variant_ids:
        for teller in _tellers.values():
            for variant_id, counts in teller(variant_ids).items():
                told = {what: count for what, count in counts.items() if count}
                if told:
                    found.setdefault(variant_id, {}).update(told)
    return found
