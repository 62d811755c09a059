"""What goes out for goods that come back: an order of its own, linked line by line to the return.

Lock order: orders by id, return, and what placing an order locks.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from catalog.models import Variant
from orders.models import Order, Return, ReturnLine
from orders.operations import ordering
from orders.operations.ordering import Asked
from partners.actors import Actor


def place(
    *,
    returned: Return,
    instead: Sequence[tuple[ReturnLine, Variant]],
    reference: str,
    may_wait: bool,
    actor: Actor,
    at: datetime,
) -> Order:
    """Order for the return's partner, to the same address, these products for these lines, unit for unit.

    What is not there is refused, unless it `may_wait`. Prices are left to who agreed on them. The caller holds the
    return. Raises InsufficientStock.
    """
    order = returned.order
    placed, _ = ordering.place(
        partner=order.partner,
        placed_by=order.placed_by,
        external_reference=reference,
        asked=[
            Asked(line_id=str(place), variant=variant, quantity=line.quantity)
            for place, (line, variant) in enumerate(instead, start=1)
        ],
        ship_to=order.ship_to,
        order_type=order.type,
        allow_split=order.allow_split,
        allow_backorder=may_wait,
        actor=actor,
        at=at,
    )
    lines = {line.line_id: line for line in placed.lines.all()}
    for place, (line, _) in enumerate(instead, start=1):
        line.replacement = lines[str(place)]
    ReturnLine.objects.bulk_update([line for line, _ in instead], ["replacement"])
    return placed


def lock_with_orders(returned: Return) -> tuple[Return, list[Order]]:
    """The return, locked after its order and the orders placed for it, which are answered as they are now."""
    placed = Order.objects.filter(lines__replaces__return_of=returned).values("pk")
    orders = list(
        Order.objects.filter(pk__in=[returned.order_id, *(row["pk"] for row in placed)])
        .select_related("partner", "placed_by")
        .lock()
    )
    locked = Return.objects.select_for_update(no_key=True, of=("self",)).select_related("order").get(pk=returned.pk)
    return locked, [order for order in orders if order.pk != locked.order_id]


def confirm(*, orders: Sequence[Order], actor: Actor, at: datetime) -> None:
    """Let those go out that are still waited for. The last an operation does: it locks the warehouses' clocks."""
    for order in orders:
        if order.status == Order.Status.PENDING:
            ordering.confirm(order=order, actor=actor, at=at)
