"""What an order waits for: units that are ordered, not shipped, and not promised."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

from django.db.models import Sum

from orders.models import Order, RoutingDecision
from orders.operations import sourcing
from partners.actors import Actor
from stock.models import Allocation, ReservationLine
from stock.operations import changing
from stock.operations.changing import More


def balance(order: Order) -> dict[ReservationLine, int]:
    """By line that holds units itself (a kit's: its components): how many are to be promised yet, below zero how
    many are promised too many. Only what differs. Three queries. The caller holds the order."""
    kept = dict(
        Allocation.objects.filter(line__reservation=order.reservation_id)
        .values("line")
        .annotate(units=Sum(sourcing.OPEN))
        .values_list("line", "units")
    )
    leaves = {row.pk: row for row in ReservationLine.objects.filter(reservation=order.reservation_id).order_by("id")}
    parts: dict[int, list[ReservationLine]] = defaultdict(list)
    for leaf in leaves.values():
        if leaf.kit_line_id:
            parts[leaf.kit_line_id].append(leaf)
    found = {}
    for line in order.lines.exclude(reservation_line=None).order_by("id"):
        kit = leaves[line.reservation_line_id]  # type: ignore[index]  # excluded
        for leaf in parts.get(kit.pk, [kit]):
            wanted = (line.quantity - line.shipped) * (leaf.quantity // kit.quantity)
            if difference := wanted - kept.get(leaf.pk, 0):
                found[leaf] = difference
    return found


def keep(
    *, order: Order, cause: RoutingDecision.Cause, actor: Actor, at: datetime, router: sourcing.Router | None = None
) -> int:
    """Promise what an order waits for, as far as it is free, routed as the order was. Returns the units.

    The caller holds the order's lock. Nothing is refused; what is not there, or only in a warehouse that refused the
    order or would be one too many, goes on waiting. Who asks why afterwards brings the `router`.
    """
    if order.reservation is None:
        return 0
    wanted = [More(line=leaf, quantity=units) for leaf, units in balance(order).items() if units > 0]
    if not wanted:
        return 0
    router = router or sourcing.router_for(order=order, at=at)
    kept = changing.keep_more(reservation=order.reservation, more=wanted, choose=router, actor=actor, at=at)
    sourcing.keep_why(order=order, router=router, cause=cause, at=at)
    return sum(kept.values())
