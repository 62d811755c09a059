"""What is still to come of a purchase order: reckoned under its lock from what was received, and said to stock.

Shared by those who order and those who receive. Lock order: purchase orders by id, their lines by id, and then
what stock locks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from catalog.models import SupplierItem
from orders.models import PurchaseOrder, PurchaseOrderLine
from partners import outbox
from partners.actors import Actor
from partners.problems import IllegalStep
from stock.models import Inbound
from stock.operations import supply
from stock.operations.supply import Coming

Status = PurchaseOrder.Status
STEPS: dict[str, tuple[Status, ...]] = {
    Status.SENT: (Status.DRAFT,),
    Status.CONFIRMED: (Status.SENT, Status.CONFIRMED),
    Status.RECEIVED: (Status.SENT, Status.CONFIRMED),
    Status.CANCELLED: (Status.DRAFT, Status.SENT, Status.CONFIRMED),
}


def lock(order: PurchaseOrder) -> tuple[PurchaseOrder, list[PurchaseOrderLine]]:
    """The order and its lines, locked in this order. The caller holds a transaction."""
    locked, lines = lock_all([order.pk])
    return locked[order.pk], lines


def lock_all(order_ids: Iterable[int]) -> tuple[dict[int, PurchaseOrder], list[PurchaseOrderLine]]:
    """Orders by id, then all of their lines by id; a truck may bring goods of several."""
    rows = PurchaseOrder.objects.select_related("supplier", "warehouse").filter(pk__in=set(order_ids)).lock()
    locked = {row.pk: row for row in rows}
    lines = PurchaseOrderLine.objects.filter(order__in=locked).select_related("variant__product_type").lock()
    return locked, list(lines)


def check_step(*, order: PurchaseOrder, status: Status) -> None:
    """Raises IllegalStep (data: currentStatus, allowedFrom)."""
    if order.status not in STEPS[status]:
        allowed = [str(step) for step in STEPS[status]]
        raise IllegalStep(
            f"It is {order.status}; it can be {status} from {' or '.join(allowed)}.",
            currentStatus=order.status,
            allowedFrom=allowed,
        )


def step(*, order: PurchaseOrder, status: str, reason: str) -> None:
    order.status = status
    order.version += 1
    save(order=order, reason=reason)


def expect(*, order: PurchaseOrder, lines: Sequence[PurchaseOrderLine], received: Mapping[int, int]) -> None:
    """Say to stock what is still to come, as long as anything is. Needs the order's lock.

    A line without any day (confirmed, asked for, or by the supplier's lead time) cannot be promised by one, and
    is left out.
    """
    is_waited_for = order.status in {Status.SENT, Status.CONFIRMED}
    days = _days(order, lines) if is_waited_for else {}
    supply.expect(
        kind=Inbound.Kind.PURCHASE_ORDER,
        document=order.number,
        warehouse=order.warehouse,
        coming=[
            Coming(
                line=line.pk,
                variant=line.variant,
                quantity=line.open_quantity(received.get(line.pk, 0)),
                expected_on=days[line.pk],
                is_confirmed=line.confirmed_quantity is not None,
            )
            for line in lines
            if line.pk in days
        ],
    )


def tell(*, order: PurchaseOrder, event_type: str, actor: Actor, at: datetime, **facts: Any) -> None:
    """Record a fact for the supplier and for who runs the warehouse; no lines, since their costs are not for both."""
    outbox.record(
        event_type,
        subject=f"purchaseOrder/{order.number}",
        payload={
            "purchaseOrderId": order.number,
            "supplierId": order.supplier.code,
            "warehouseLocation": order.warehouse.code,
            "status": order.status,
            "expectedDate": order.expected_on.isoformat() if order.expected_on else None,
            **facts,
        },
        actor=actor,
        at=at,
        addressee_ids=[order.supplier_id, order.warehouse.operator_id],
    )


def finish(
    *, order: PurchaseOrder, lines: Sequence[PurchaseOrderLine], received: Mapping[int, int], reason: str,
    status: str | None = None,
) -> None:  # fmt: skip
    """Take the order to where its lines are: received once something came and nothing is open any more."""
    is_open = any(line.open_quantity(received.get(line.pk, 0)) for line in lines)
    reached = (status or order.status) if is_open or not received else Status.RECEIVED
    step(order=order, status=reached, reason=reason)
    expect(order=order, lines=lines, received=received)


def _days(order: PurchaseOrder, lines: Sequence[PurchaseOrderLine]) -> dict[int, date]:
    """The day each line should be here, where anything tells. One query."""
    rows = SupplierItem.objects.filter(supplier=order.supplier_id, variant__in=[line.variant_id for line in lines])
    said = rows.exclude(lead_time_days=None).values_list("variant", "lead_time_days")
    leads = {variant_id: math.ceil(lead_days) for variant_id, lead_days in said if lead_days is not None}
    sent_on = order.sent_at.astimezone(ZoneInfo(order.warehouse.time_zone)).date() if order.sent_at else None
    days: dict[int, date] = {}
    for line in lines:
        day = line.confirmed_on or order.expected_on
        if day is None and sent_on and line.variant_id in leads:
            day = sent_on + timedelta(days=leads[line.variant_id])
        if day:
            days[line.pk] = day
    return days


def save(*, order: PurchaseOrder, reason: str) -> None:
    order._change_reason = reason  # type: ignore[attr-defined]  # read by the history
    order.save()
