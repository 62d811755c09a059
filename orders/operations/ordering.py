"""Orders are placed, confirmed, packed and cancelled.

What an order may become is one table; stock moves by operations, never by a status. Lock order: order,
reservation, levels.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from catalog.models import Variant
from orders.models import DeliveryPromise, Order, OrderLine, RoutingDecision
from orders.operations import delivering, requesting, returnable, sourcing, takeovers
from orders.operations.ticking import Ticks
from partners import outbox, prepared, rows
from partners.actors import Actor
from partners.models import Partner
from partners.problems import Conflict, IllegalStep
from stock.models import Allocation, Reservation, ReservationLine
from stock.operations import reservations
from stock.operations.promising import InsufficientStock, Wanted

Status = Order.Status
WAITING = (Status.PENDING, Status.CONFIRMED, Status.PACKED)
"""An order that may still get goods."""
STEPS: dict[str, tuple[Status, ...]] = {
    Status.CONFIRMED: (Status.PENDING,),
    Status.PACKED: (Status.CONFIRMED,),
    Status.SHIPPED: (Status.CONFIRMED, Status.PACKED),
    Status.DELIVERED: (Status.SHIPPED,),
    Status.CANCELLED: (Status.PENDING, Status.CONFIRMED, Status.PACKED),
}

PROMISED = "UPDATE orders_order SET reservation_id = %s WHERE id = %s"
STEPPED = "UPDATE orders_order SET status = %s, version = %s WHERE id = %s"
LINES = "WHERE reservation_id = %s AND kit_line_id IS NULL ORDER BY id"
SUPPLIERS = """
    SELECT item.supplier_id
      FROM orders_orderline line JOIN catalog_supplieritem item ON item.variant_id = line.variant_id
     WHERE line.order_id = %s
"""
OPERATORS = """
    SELECT operator_id FROM stock_warehouse
     WHERE operator_id IS NOT NULL AND id IN (
        SELECT warehouse_id FROM orders_shipment WHERE order_id = %s
        UNION ALL
        SELECT location.warehouse_id
          FROM stock_reservationline line
          JOIN stock_allocation allocation ON allocation.line_id = line.id
          JOIN stock_level level ON level.id = allocation.level_id
          JOIN stock_location location ON location.id = level.location_id
         WHERE line.reservation_id = %s)
"""


class OrderReferenceReused(Conflict):
    """The partner's reference stands for another order. Data: orderId."""

    code = "reference_reused"
    title = "This reference stands for something else"
    remedy = "Use a new externalReference, or read the order named."


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One line of an order."""

    line_id: str
    variant: Variant
    quantity: int
    unit_price: Decimal | None = None
    currency: str = ""


@transaction.atomic
def place(
    *,
    partner: Partner,
    external_reference: str,
    asked: Sequence[Asked],
    ship_to: dict[str, Any],
    actor: Actor,
    at: datetime,
    placed_by: Partner | None = None,
    order_type: str = Order.Type.SALE,
    reservation: Reservation | None = None,
    promised: DeliveryPromise | None = None,
    requested_delivery_date: date | None = None,
    allow_split: bool = True,
    allow_backorder: bool = False,
    channel: str = "",
) -> tuple[Order, bool]:
    """Take an order and promise its stock in the same transaction. Returns (order, whether it is new).

    `placed_by` is the channel that orders for the partner, `channel` the word for where it was sold. With
    `reservation` the order takes that promise over where it lies, gathered if that is too many places; otherwise it
    is routed (see `sourcing`) and its stock is reserved, all of it or, with `allow_backorder`, what there is: the
    rest waits. With `promised` that delivery promise is claimed, and lines it sends from one warehouse are reserved
    there. Placed again with the same reference and content, it answers the order already there. Raises
    InsufficientStock and TooManyShipments (nothing is kept), OrderReferenceReused (data: orderId), InvalidInput where
    the reservation is not theirs, is another order's, lies in too many warehouses or does not cover the lines, and
    what `delivering.claim` raises.
    """
    order = Order(
        partner=partner,
        placed_by=placed_by if placed_by != partner else None,
        external_reference=external_reference,
        type=order_type,
        ship_to=ship_to,
        requested_delivery_date=requested_delivery_date,
        allow_split=allow_split,
        allow_backorder=allow_backorder,
        channel=channel,
        created_at=at,
    )
    order.fingerprint = _fingerprint(order, asked, reservation, promised)
    order.channel = channel or (reservation.channel if reservation else "")
    if earlier := _claim_reference(order):
        return earlier, False
    if promised is not None:
        wanted = [(line.variant.sku, line.quantity) for line in asked]
        delivering.claim(promised=promised, order=order, wanted=wanted, actor=actor, at=at)
    lines = _promise(order, asked, reservation, promised, actor=actor, at=at)
    rows.insert(
        [
            OrderLine(
                order=order,
                line_id=line.line_id,
                variant=line.variant,
                quantity=line.quantity,
                unit_price=line.unit_price,
                currency=line.currency,
                reservation_line=kept,
            )
            for line, kept in zip(asked, lines, strict=True)
        ]
    )
    tell(order=order, event_type="order.created", actor=actor, at=at, to_operators=True)
    return order, True


@transaction.atomic
def confirm(*, order: Order, actor: Actor, at: datetime) -> Order:
    """Accept an order for fulfilment: the warehouses that hold its goods are asked to send them.

    Confirmed twice answers the same. Raises IllegalStep, and ExchangeWaits (data: returnId).
    """
    returnable.check_exchanged(order=order)
    confirmed = _step(order, Status.CONFIRMED, actor=actor, at=at)
    ask(order=confirmed, actor=actor, at=at)
    return confirmed


@transaction.atomic
def pack(*, order: Order, actor: Actor, at: datetime) -> Order:
    """Say that all of an order stands packed. Packed twice answers the same. Raises IllegalStep."""
    return advance(order=order, status=Status.PACKED, actor=actor, at=at)


@transaction.atomic
def cancel(*, order: Order, actor: Actor, at: datetime) -> Order:
    """Call an order off; exactly what it still holds is free again. Cancelled twice answers the same.

    Raises IllegalStep once anything of it has left the building: take the rest off it instead, see `amending`.
    """
    locked = Order.objects.lock().get(pk=order.pk)
    if locked.status != Status.CANCELLED and locked.lines.filter(shipped__gt=0).exists():
        raise IllegalStep(
            "Part of it is shipped. Take the rest off the order; what left comes back as a return.",
            currentStatus=locked.status,
        )
    done = advance(order=locked, status=Status.CANCELLED, actor=actor, at=at)
    if done.reservation:
        reservations.release(reservation=done.reservation, actor=actor, at=at, by_order=True)
    ask(order=done, actor=actor, at=at)
    return done


def ask(*, order: Order, actor: Actor, at: datetime) -> None:
    """Let the warehouses know what is asked of them now. The last an operation does: it locks their clocks."""
    ticks = Ticks(actor=actor, at=at)
    requesting.follow(order=order, ticks=ticks)
    ticks.write()


@transaction.atomic
def advance(*, order: Order, status: str, actor: Actor, at: datetime) -> Order:
    """Take the step to `status` if STEPS allows it, and tell the feed; already there, do nothing.

    Locks the order. Raises IllegalStep (data: currentStatus, allowedFrom).
    """
    return _step(order, status, actor=actor, at=at)


def _step(order: Order, status: str, *, actor: Actor, at: datetime) -> Order:
    [locked] = rows.read(Order, "WHERE id = %s FOR NO KEY UPDATE", [order.pk])
    locked.partner = order.partner  # never another; who asks has mostly read it
    if locked.status == status:
        return locked
    if locked.status not in STEPS[status]:
        allowed = [str(step) for step in STEPS[status]]
        raise IllegalStep(
            f"It is {locked.status}; it can be {status} from {' or '.join(allowed)}.",
            currentStatus=locked.status,
            allowedFrom=allowed,
        )
    locked.status = status
    locked.version += 1
    prepared.fetch(STEPPED, [locked.status, locked.version, locked.pk])
    rows.trace([locked], kind="~", reason=f"order {status}")
    tell(order=locked, event_type=f"order.{status}", actor=actor, at=at, to_operators=True)
    return locked


def tell(
    *,
    order: Order,
    event_type: str,
    actor: Actor,
    at: datetime,
    also: Sequence[int | None] = (),
    to_operators: bool = False,
    **facts: Any,
) -> None:
    """Record a fact of an order for those whose it is and the suppliers of its products, who learn no lines;
    `to_operators` also for those who run the warehouses that keep or shipped goods for it. Two statements."""
    if to_operators:
        concerned = prepared.fetch(f"{SUPPLIERS} UNION ALL {OPERATORS}", [order.pk, order.pk, order.reservation_id])
    else:
        concerned = prepared.fetch(SUPPLIERS, [order.pk])
    outbox.record(
        event_type,
        subject=f"order/{order.number}",
        payload={
            "orderId": order.number,
            "externalReference": order.external_reference,
            "retailPartnerId": order.partner.code,
            "status": order.status,
            **facts,
        },
        actor=actor,
        at=at,
        addressee_ids=[order.partner_id, order.placed_by_id, *(found for (found,) in concerned), *also],
    )


def _claim_reference(order: Order) -> Order | None:
    """Save the header; where the partner's reference is taken, answer whose it is. Twins wait here."""
    if rows.claim(order, columns="partner_id, external_reference"):
        rows.trace([order], kind="+")
        return None
    earlier = Order.objects.get(partner=order.partner, external_reference=order.external_reference)
    if earlier.fingerprint != order.fingerprint:
        raise OrderReferenceReused(
            f"The reference {order.external_reference} stands for another order.", orderId=earlier.number
        )
    return earlier


def _promise(
    order: Order,
    asked: Sequence[Asked],
    reservation: Reservation | None,
    promised: DeliveryPromise | None,
    *,
    actor: Actor,
    at: datetime,
    cause: RoutingDecision.Cause = RoutingDecision.Cause.PLACED,
) -> list[ReservationLine | None]:
    """Put a promise behind the order; answer its line for each line asked (null where all of it waits)."""
    if reservation is not None:
        wanted = [Wanted(variant=line.variant, quantity=line.quantity) for line in asked]
        kept, lines = takeovers.take_over(order=order, wanted=wanted, reservation=reservation, actor=actor, at=at)
    else:
        places = delivering.places(promised=promised) if promised else {}
        try:
            kept, lines = _reserve(order, asked, places, cause=cause, actor=actor, at=at)
        except InsufficientStock:
            if not order.allow_backorder:
                raise
            return [None] * len(asked)
    order.reservation = kept
    prepared.fetch(PROMISED, [kept.pk, order.pk])  # no history: one row tells of the placing
    return list(lines)


def _reserve(
    order: Order,
    asked: Sequence[Asked],
    places: dict[tuple[str, int], str],
    *,
    cause: RoutingDecision.Cause,
    actor: Actor,
    at: datetime,
) -> tuple[Reservation, list[ReservationLine]]:
    """From the warehouses named for (product, quantity), or wherever its routing says."""
    router = sourcing.router_for(order=order, at=at)
    with sourcing.within_limit(router):
        kept, _ = reservations.reserve(
            reference=f"order:{order.number}",
            wanted=[
                Wanted(
                    variant=line.variant,
                    quantity=line.quantity,
                    warehouse_code=places.get((line.variant.sku, line.quantity), ""),
                )
                for line in asked
            ],
            partner=order.partner,
            channel=order.channel,
            seconds=None,
            is_all_or_nothing=not order.allow_backorder,
            choose=router,
            actor=actor,
            at=at,
        )
    sourcing.keep_why(order=order, router=router, cause=cause, at=at)
    return kept, rows.read(ReservationLine, LINES, [kept.pk])


def promise_anew(*, order: Order, actor: Actor, at: datetime) -> int:
    """Put a first promise behind an order of which nothing was there when it was placed; returns the units.

    The caller holds the order. Nothing is refused; what is not there goes on waiting.
    """
    lines = list(order.lines.filter(quantity__gt=0).select_related("variant").order_by("id"))
    asked = [Asked(line_id=line.line_id, variant=line.variant, quantity=line.quantity) for line in lines]
    found = _promise(order, asked, None, None, actor=actor, at=at, cause=RoutingDecision.Cause.WAITED)
    if order.reservation is None:
        return 0
    for line, kept in zip(lines, found, strict=True):
        line.reservation_line = kept
    OrderLine.objects.bulk_update(lines, ["reservation_line"])
    return sum(row.open_quantity for row in Allocation.objects.filter(line__reservation=order.reservation))


def _fingerprint(
    order: Order, asked: Sequence[Asked], reservation: Reservation | None, promised: DeliveryPromise | None
) -> str:
    """All a caller says of an order, and who says it: a channel does not get an order it did not place."""
    lines = Counter(
        (line.line_id, line.variant.sku, line.quantity, str(line.unit_price), line.currency) for line in asked
    )
    said = [
        sorted(lines.items()),
        order.ship_to,
        order.type,
        order.placed_by_id,
        str(order.requested_delivery_date),
        order.allow_split,
        order.allow_backorder,
        str(reservation.public_id) if reservation else None,
        *([str(promised.public_id)] if promised else []),
        *([{"channel": order.channel}] if order.channel else []),
    ]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
