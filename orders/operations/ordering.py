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

from django.db import IntegrityError, transaction

from catalog.models import SupplierItem, Variant
from orders.models import Order, OrderLine
from partners import outbox
from partners.actors import Actor
from partners.models import Partner
from partners.problems import Conflict, IllegalStep, InvalidInput
from stock.models import Reservation
from stock.operations import reservations
from stock.operations.reservations import InsufficientStock, Wanted

Status = Order.Status
STEPS: dict[str, tuple[Status, ...]] = {
    Status.CONFIRMED: (Status.PENDING,),
    Status.PACKED: (Status.CONFIRMED,),
    Status.SHIPPED: (Status.CONFIRMED, Status.PACKED),
    Status.DELIVERED: (Status.SHIPPED,),
    Status.CANCELLED: (Status.PENDING, Status.CONFIRMED, Status.PACKED),
}


class OrderReferenceReused(Conflict):
    """The partner's reference stands for another order. Data: orderId."""

    code = "reference_reused"
    title = "This reference stands for something else"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One line of an order."""

    line_id: str
    variant: Variant
    quantity: int
    unit_price: Decimal | None = None


@transaction.atomic
def place(
    *,
    partner: Partner,
    external_reference: str,
    asked: Sequence[Asked],
    ship_to: dict[str, Any],
    actor: Actor,
    at: datetime,
    order_type: str = Order.Type.SALE,
    reservation: Reservation | None = None,
    requested_delivery_date: date | None = None,
    allow_split: bool = True,
    allow_backorder: bool = False,
) -> tuple[Order, bool]:
    """Take an order and promise its stock in the same transaction. Returns (order, whether it is new).

    With `reservation` the order takes that promise over; otherwise stock is reserved, all of it or, with
    `allow_backorder`, what there is: the rest waits. Placed again with the same reference and content, it
    answers the order already there. Raises InsufficientStock (nothing is kept), OrderReferenceReused (data:
    orderId), InvalidInput where the reservation does not cover the lines.
    """
    mark = _fingerprint(asked, ship_to, order_type)
    order = Order(
        partner=partner,
        external_reference=external_reference,
        fingerprint=mark,
        type=order_type,
        ship_to=ship_to,
        requested_delivery_date=requested_delivery_date,
        allow_split=allow_split,
        allow_backorder=allow_backorder,
        created_at=at,
    )
    try:
        with transaction.atomic():
            order.save()
    except IntegrityError as error:
        if "order_reference_once_per_partner" not in str(error):
            raise
        return _earlier(partner, external_reference, mark), False
    order.reservation = _promise(order, asked, reservation, actor=actor, at=at)
    if order.reservation:
        order.skip_history_when_saving = True  # type: ignore[attr-defined]  # one row tells of the placing
        order.save(update_fields=["reservation"])
        del order.skip_history_when_saving  # type: ignore[attr-defined]
    promised = list(order.reservation.lines.order_by("id")) if order.reservation else []
    OrderLine.objects.bulk_create(
        OrderLine(
            order=order,
            line_id=line.line_id,
            variant=line.variant,
            quantity=line.quantity,
            unit_price=line.unit_price,
            reservation_line=promised[place] if promised else None,
        )
        for place, line in enumerate(asked)
    )
    tell(order=order, event_type="order.created", actor=actor, at=at)
    return order, True


@transaction.atomic
def confirm(*, order: Order, actor: Actor, at: datetime) -> Order:
    """Accept an order for fulfilment. Confirmed twice answers the same. Raises IllegalStep."""
    return advance(order=order, status=Status.CONFIRMED, actor=actor, at=at)


@transaction.atomic
def pack(*, order: Order, actor: Actor, at: datetime) -> Order:
    """Say that all of an order stands packed. Packed twice answers the same. Raises IllegalStep."""
    return advance(order=order, status=Status.PACKED, actor=actor, at=at)


@transaction.atomic
def cancel(*, order: Order, actor: Actor, at: datetime) -> Order:
    """Call an order off; exactly what it still holds is free again. Cancelled twice answers the same.

    Raises IllegalStep once anything of it has left the building.
    """
    locked = Order.objects.lock().get(pk=order.pk)
    if locked.status != Status.CANCELLED and locked.lines.filter(shipped__gt=0).exists():
        raise IllegalStep("Part of it is shipped; let the rest come back as a return.", currentStatus=locked.status)
    done = advance(order=locked, status=Status.CANCELLED, actor=actor, at=at)
    if done.reservation:
        reservations.release(reservation=done.reservation, actor=actor, at=at)
    return done


@transaction.atomic
def advance(*, order: Order, status: str, actor: Actor, at: datetime) -> Order:
    """Take the step to `status` if STEPS allows it, and tell the feed; already there, do nothing.

    Locks the order. Raises IllegalStep (data: currentStatus, allowedFrom).
    """
    locked = Order.objects.lock().get(pk=order.pk)
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
    locked._change_reason = f"order {status}"  # type: ignore[attr-defined]  # read by the history
    locked.save()
    tell(order=locked, event_type=f"order.{status}", actor=actor, at=at)
    return locked


def tell(
    *, order: Order, event_type: str, actor: Actor, at: datetime, also: Sequence[int | None] = (), **facts: Any
) -> None:
    """Record a fact of an order for its partner and the suppliers of its products, who learn no lines."""
    suppliers = SupplierItem.objects.filter(variant__in=order.lines.values("variant")).values_list(
        "supplier", flat=True
    )
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
        addressee_ids=[order.partner_id, *suppliers, *also],
    )


def _promise(
    order: Order, asked: Sequence[Asked], reservation: Reservation | None, *, actor: Actor, at: datetime
) -> Reservation | None:
    if reservation is not None:
        return _take_over(reservation, asked, actor=actor, at=at)
    try:
        promised, _ = reservations.reserve(
            reference=f"order:{order.number}",
            wanted=[Wanted(variant=line.variant, quantity=line.quantity) for line in asked],
            partner=order.partner,
            seconds=None,
            is_all_or_nothing=not order.allow_backorder,
            actor=actor,
            at=at,
        )
    except InsufficientStock:
        if not order.allow_backorder:
            raise
        return None
    return promised


def _take_over(reservation: Reservation, asked: Sequence[Asked], *, actor: Actor, at: datetime) -> Reservation:
    held = reservations.hold_for_order(reservation=reservation, actor=actor, at=at)
    lines = [(line.variant_id, line.quantity) for line in held.lines.order_by("id")]
    if lines != [(line.variant.pk, line.quantity) for line in asked]:
        raise InvalidInput.at("reservationId", "The order's lines are not those of the reservation, in its order.")
    return held


def _earlier(partner: Partner, external_reference: str, mark: str) -> Order:
    earlier = Order.objects.get(partner=partner, external_reference=external_reference)
    if earlier.fingerprint != mark:
        raise OrderReferenceReused(
            f"The reference {external_reference} stands for another order.", orderId=earlier.number
        )
    return earlier


def _fingerprint(asked: Sequence[Asked], ship_to: dict[str, Any], order_type: str) -> str:
    lines = Counter((line.line_id, line.variant.sku, line.quantity, str(line.unit_price)) for line in asked)
    canonical = json.dumps([sorted(lines.items()), ship_to, order_type], sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
