"""Goods come back: announced, received into quarantine, inspected and put where they belong."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import F

from orders.models import Order, OrderLine, Return, ReturnLine
from orders.operations import judging, ordering, pieces, returnable
from orders.operations.judging import Disposition, Verdict
from orders.operations.returnable import ComingBack
from partners.actors import Actor
from partners.problems import IllegalStep
from stock import ledger
from stock.models import Level, Location, Movement, Warehouse
from stock.operations import warehouses

QUARANTINE = Level.Condition.QUARANTINE


@transaction.atomic
def announce(*, order: Order, coming: Sequence[ComingBack], actor: Actor, at: datetime) -> Return:
    """Expect goods back. Locks the order, so that two cannot announce the same unit.

    Raises OverReturn (data: productId, requested, returnable) and InvalidInput for a batch not shipped, and for
    the serial number of a unit that did not leave on this order or is announced already.
    """
    Order.objects.lock().get(pk=order.pk)
    wanted: dict[int, int] = defaultdict(int)
    for row in coming:
        wanted[row.line.pk] += row.quantity
    for line in OrderLine.objects.filter(pk__in=wanted).select_related("variant"):
        returnable.check_quantity(
            sku=line.variant.sku, requested=wanted[line.pk], returnable=line.shipped - line.returned
        )
    returnable.check_units(order=order, coming=coming)
    batches = returnable.batches(coming=coming)
    announced = Return.objects.create(order=order, announced_at=at)
    ReturnLine.objects.bulk_create(
        ReturnLine(
            return_of=announced,
            order_line=row.line,
            batch=batch,
            quantity=row.quantity,
            reason=row.reason,
            serial_number=row.serial_number,
            exchange_for=row.exchange_for,
        )
        for row, batch in zip(coming, batches, strict=True)
    )
    for line_id, quantity in wanted.items():
        OrderLine.objects.filter(pk=line_id).update(returned=F("returned") + quantity)
    Order.objects.filter(pk=order.pk).update(version=F("version") + 1)
    return announced


@transaction.atomic
def receive(*, returned: Return, warehouse: Warehouse, actor: Actor, at: datetime) -> Return:
    """The goods are here: booked into quarantine, so that nobody sells them before they are looked at.

    A kit comes back as its components. Received twice in the same warehouse answers the same. Raises
    IllegalStep, and what the list of serial numbers refuses.
    """
    locked = Return.objects.select_for_update(no_key=True, of=("self",)).get(pk=returned.pk)
    if locked.status == Return.Status.RECEIVED and locked.warehouse_id == warehouse.pk:
        return locked
    _must_be(locked, Return.Status.ANNOUNCED)
    bin_ = warehouses.default_location(warehouse)
    ledger.post(
        [
            pieces.posting(
                piece=piece,
                source=ledger.virtual(Location.Kind.CUSTOMER),
                target=ledger.Place(location_id=bin_.pk, condition=QUARANTINE),
                kind=Movement.Kind.RETURN,
                reason=piece.line.reason,
                reference=locked.number,
            )
            for line in pieces.lines_of(locked)
            for piece in pieces.shipped(line)
        ],
        actor=actor,
        at=at,
    )
    return _step(locked, Return.Status.RECEIVED, actor=actor, at=at, warehouse=warehouse)


@transaction.atomic
def inspect(*, returned: Return, verdicts: Sequence[Verdict], actor: Actor, at: datetime) -> Return:
    """Decide for every unit; each goes from quarantine to where its disposition says.

    Verdicts must cover the return exactly. Inspected twice is an IllegalStep: what was decided stands, and
    corrections are movements. Raises CannotRestock and InvalidInput; nothing has moved then.
    """
    locked = Return.objects.select_for_update(no_key=True, of=("self",)).get(pk=returned.pk)
    _must_be(locked, Return.Status.RECEIVED)
    if locked.warehouse is None:
        raise IllegalStep("It was received nowhere.", currentStatus=locked.status)
    bin_ = warehouses.default_location(locked.warehouse)
    postings = []
    settled = judging.settle(returned=locked, verdicts=verdicts)
    for piece, disposition in pieces.received(returned=locked, settled=settled):
        if disposition == Disposition.RESTOCK:
            judging.check_restock(piece=piece, warehouse=locked.warehouse, at=at)
        if place := judging.PLACES.get(disposition):
            postings.append(
                pieces.posting(
                    piece=piece,
                    source=ledger.Place(location_id=bin_.pk, condition=QUARANTINE),
                    target=judging.target(place=place, bin_=bin_),
                    kind=Movement.Kind.DISPOSITION,
                    reason=disposition,
                    reference=locked.number,
                )
            )
    ledger.post(postings, actor=actor, at=at)
    judging.write_down(settled)
    return _step(locked, Return.Status.INSPECTED, actor=actor, at=at)


def _must_be(returned: Return, status: str) -> None:
    if returned.status != status:
        raise IllegalStep(
            f"It is {returned.status}; this is done to one that is {status}.",
            currentStatus=returned.status,
            allowedFrom=[status],
        )


def _step(returned: Return, status: str, *, actor: Actor, at: datetime, warehouse: Warehouse | None = None) -> Return:
    returned.status = status
    returned.warehouse = warehouse or returned.warehouse
    returned.version += 1
    returned._change_reason = f"return {status}"  # type: ignore[attr-defined]  # read by the history
    returned.save()
    ordering.tell(
        order=returned.order,
        event_type=f"return.{status}",
        actor=actor,
        at=at,
        also=[returned.warehouse.operator_id if returned.warehouse else None],
        returnId=returned.number,
        returnStatus=status,
    )
    return returned
