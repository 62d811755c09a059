"""An order takes a reservation over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db.models import Sum

from orders.models import Order, RoutingDecision
from orders.operations import sourcing
from partners.actors import Actor
from partners.problems import InvalidInput
from stock.models import Allocation, Reservation, ReservationLine
from stock.operations import changing, reservations
from stock.operations.changing import Less, More
from stock.operations.promising import Wanted


def take_over(
    *, order: Order, wanted: Sequence[Wanted], reservation: Reservation, actor: Actor, at: datetime
) -> tuple[Reservation, list[ReservationLine]]:
    """The promise, and its line for each line wanted; from now on it does not run out.

    Two orders cannot take one: its lock is held from here on. Where it lies in more warehouses than may send the
    order it is gathered. Raises InvalidInput where it is somebody else's, another order's, does not hold the lines,
    or cannot be had from so few warehouses; and what `reservations.hold_for_order` raises. The caller holds the order.
    """
    if reservation.partner_id not in {order.partner_id, order.placed_by_id} - {None}:
        raise InvalidInput.at("reservationId", "It is somebody else's reservation.")
    held = reservations.hold_for_order(reservation=reservation, actor=actor, at=at)
    if Order.objects.filter(reservation=held).exists():
        raise InvalidInput.at("reservationId", "Another order has taken this reservation over.")
    asked_for = held.lines.filter(kit_line=None).prefetch_related("allocations", "components__allocations")
    left = list(asked_for.order_by("id"))
    matched = []
    for line in wanted:
        same = (row for row in left if (row.variant_id, row.quantity) == (line.variant.pk, line.quantity))
        found = next(same, None)
        if found is None:
            raise InvalidInput.at("reservationId", f"It does not hold {line.quantity} of {line.variant.sku} in a line.")
        left.remove(found)
        matched.append(found)
    if left:
        raise InvalidInput.at("reservationId", "It holds lines that are not in the order.")
    kept_lines = [part for line in matched for part in (line.components.all() or [line])]
    is_whole = all(sum(row.open_quantity for row in line.allocations.all()) == line.quantity for line in kept_lines)
    if not is_whole and not order.allow_backorder:
        raise InvalidInput.at(
            "reservationId", "It does not hold all units of its lines; allow backorder, or reserve anew."
        )
    _gather(order, held, actor=actor, at=at)
    return held, matched


def _gather(order: Order, reservation: Reservation, *, actor: Actor, at: datetime) -> None:
    """Route a reservation anew that lies in more warehouses than may send the order; not a unit of it is lost."""
    if len(sourcing.keeping(reservation)) <= sourcing.policy_for(order=order).warehouses_max:
        return
    router = sourcing.router_for(order=order, at=at)
    rows = Allocation.objects.filter(line__reservation=reservation).values("line").annotate(units=Sum(sourcing.OPEN))
    units = dict(rows.filter(units__gt=0).order_by("line").values_list("line", "units"))
    lines = ReservationLine.objects.in_bulk(units)
    changing.give_back(
        reservation=reservation, less=[Less(line=lines[pk], quantity=count) for pk, count in units.items()],
        to_keep_anew=sourcing.variants_of(reservation), actor=actor, at=at,
    )  # fmt: skip
    more = [More(line=lines[pk], quantity=count) for pk, count in units.items()]
    if changing.keep_more(reservation=reservation, more=more, choose=router, actor=actor, at=at) != units:
        most = router.policy.warehouses_max
        raise InvalidInput.at(
            "reservationId", f"It holds what {most} {'warehouse has' if most == 1 else 'warehouses have'} not alone."
        )
    sourcing.keep_why(order=order, router=router, cause=RoutingDecision.Cause.PLACED, at=at)
