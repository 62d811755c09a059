"""Goods of an order leave a warehouse, and arrive."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import F, Q

from orders.models import FulfilmentRequest, Order, OrderLine, Shipment, ShipmentLine
from orders.operations import ordering, requesting
from orders.operations.ticking import Part, Ticks
from partners.actors import Actor
from partners.problems import Conflict, IllegalStep, InvalidInput, Problem
from stock.models import Level, Reservation, Warehouse
from stock.operations import reservations
from stock.operations.departures import Departure
from stock.operations.promising import InsufficientStock

HANDOVER = "handover"
"""The carrier of goods nobody carries: they are handed over, or the warehouse names none."""


class OverShipment(Problem):
    """More would leave than is ordered and not yet shipped. Data: lineId, productId, requested, open."""

    code = "over_shipment"
    title = "More than is open on the order"
    remedy = "Ship no more than is open; amend the order first where more is wanted."


class TrackingTaken(Conflict):
    """A shipment with this tracking number (or SSCC) is booked. Data: carrier, trackingNumber, sscc, and shipmentId
    where it is of the same partner's order."""

    code = "tracking_taken"
    title = "This tracking number is booked"
    remedy = "Check the number; the shipment that has it is under GET /shipments."


@dataclass(frozen=True, kw_only=True)
class Leaving:
    """So many of an order line, of a batch ("" = as promised)."""

    line: OrderLine
    quantity: int
    batch_number: str = ""
    serial_numbers: tuple[str, ...] = ()


@transaction.atomic
def ship(
    *,
    order: Order,
    warehouse: Warehouse,
    leaving: Sequence[Leaving],
    carrier: str,
    tracking_number: str,
    actor: Actor,
    at: datetime,
    service: str = "",
    sscc: str = "",
) -> Shipment:
    """Book goods out of a warehouse: on hand and reserved fall, the shipment says which batches left.

    Where another batch or warehouse than promised ships, the promise is moved there first. The warehouse's requests
    are completed by what left, and others withdrawn where their promise moved. Locks order, reservation, levels, and
    the clocks of the warehouses. Raises OverShipment, InsufficientStock, IllegalStep, TrackingTaken, and InvalidInput
    where serial numbers leave in several batches; nothing has left then.
    """
    locked = Order.objects.lock().get(pk=order.pk)
    if locked.status not in ordering.STEPS[Order.Status.SHIPPED]:
        raise IllegalStep(
            f"It is {locked.status} and cannot be shipped.",
            currentStatus=locked.status,
            allowedFrom=[str(step) for step in ordering.STEPS[Order.Status.SHIPPED]],
        )
    _check_open(leaving)
    shipment = _header(
        Shipment(
            order=locked, warehouse=warehouse, carrier=carrier, service=service, tracking_number=tracking_number,
            sscc=sscc, shipped_at=at,
        )
    )  # fmt: skip
    is_last, gone = _book_out(locked, shipment, leaving, actor=actor, at=at)
    ordering.tell(
        order=locked, event_type="shipment.created", actor=actor, at=at, also=[warehouse.operator_id], shipmentId=shipment.number,
        warehouseLocation=warehouse.code, carrier=carrier, trackingNumber=tracking_number,
    )  # fmt: skip
    ticks = Ticks(actor=actor, at=at)
    requesting.left(order=locked, warehouse=warehouse, units=_by_line(leaving), gone=gone, ticks=ticks)
    requesting.follow(order=locked, ticks=ticks)
    if is_last:
        ordering.advance(order=locked, status=Order.Status.SHIPPED, actor=actor, at=at)
    else:
        Order.objects.filter(pk=locked.pk).update(version=F("version") + 1)
    ticks.write()
    return shipment


@transaction.atomic
def complete(
    *,
    request: FulfilmentRequest,
    actor: Actor,
    at: datetime,
    done: Sequence[Leaving] | None = None,
    carrier: str = HANDOVER,
    tracking_number: str = "",
    service: str = "",
    sscc: str = "",
) -> FulfilmentRequest:
    """The warehouse fulfilled its request, all that is open or what is `done`: the goods are booked out as `ship` does.

    Without a tracking number the shipment goes by the request's own. Raises IllegalStep once nothing is open of it,
    InvalidInput for more than is open and in no package (those leave by `packing.send`), and what `ship` raises.
    """
    order = Order.objects.lock().get(pk=request.order_id)
    requesting.must_live(request, verb="completed")
    items = {item.order_line_id: item for item in request.items.select_related(*requesting.OF_LINE)}
    leaving = done
    if leaving is None:
        leaving = [Leaving(line=item.order_line, quantity=item.open_quantity) for item in items.values()]
        leaving = [row for row in leaving if row.quantity]
    packed = requesting.in_packages(request)
    requesting.check_open(items, units=_by_line(leaving), verb="completed", packed=packed)
    ship(
        order=order, warehouse=request.warehouse, leaving=leaving, carrier=carrier, service=service, sscc=sscc,
        tracking_number=tracking_number or f"{request.number}-{order.shipments.count() + 1}", actor=actor, at=at,
    )  # fmt: skip
    return FulfilmentRequest.objects.get(pk=request.pk)


@transaction.atomic
def deliver(*, shipment: Shipment, actor: Actor, at: datetime) -> Shipment:
    """Say that a shipment arrived; the order is delivered with its last one. Twice answers the same."""
    order = Order.objects.lock().get(pk=shipment.order_id)
    locked = Shipment.objects.select_for_update(no_key=True, of=("self",)).get(pk=shipment.pk)
    if locked.status == Shipment.Status.DELIVERED:
        return locked
    locked.status = Shipment.Status.DELIVERED
    locked.delivered_at = at
    locked.version += 1
    locked._change_reason = "shipment delivered"  # type: ignore[attr-defined]  # read by the history
    locked.save()
    Order.objects.filter(pk=order.pk).update(version=F("version") + 1)
    is_last = not order.shipments.exclude(status=Shipment.Status.DELIVERED).exists()
    if is_last and order.status == Order.Status.SHIPPED:
        ordering.advance(order=order, status=Order.Status.DELIVERED, actor=actor, at=at)
    return locked


def _check_open(leaving: Sequence[Leaving]) -> None:
    """Demand is summed by line first: two rows of one line are one demand."""
    wanted = _by_line(leaving)
    for line in OrderLine.objects.filter(pk__in=wanted).select_related("variant"):
        if wanted[line.pk] > line.quantity - line.shipped:
            raise OverShipment(
                f"{wanted[line.pk]} of {line.variant.sku} would leave, {line.quantity - line.shipped} are open.",
                lineId=line.line_id,
                productId=line.variant.sku,
                requested=wanted[line.pk],
                open=line.quantity - line.shipped,
            )


def _by_line(leaving: Sequence[Leaving]) -> dict[int, int]:
    units: dict[int, int] = defaultdict(int)
    for row in leaving:
        units[row.line.pk] += row.quantity
    return units


def _header(shipment: Shipment) -> Shipment:
    try:
        with transaction.atomic():
            shipment.save()
    except IntegrityError as error:
        if "tracking_once" not in str(error) and "sscc_once" not in str(error):
            raise
        raise _taken(shipment) from error
    return shipment


def _taken(shipment: Shipment) -> TrackingTaken:
    """Names the shipment that has the number; not one of another partner's order, which is nobody else's business."""
    same = Q(carrier=shipment.carrier, tracking_number=shipment.tracking_number)
    if shipment.sscc:
        same |= Q(sscc=shipment.sscc)
    theirs = Shipment.objects.filter(same, order__partner=shipment.order.partner_id)
    earlier = theirs.select_related("order").order_by("id").first()
    whose = f", by {earlier.number} of {earlier.order.number}" if earlier else ""
    return TrackingTaken(
        f"A shipment with this tracking number or SSCC is booked already{whose}.",
        carrier=shipment.carrier,
        trackingNumber=shipment.tracking_number,
        sscc=shipment.sscc,
        shipmentId=earlier.number if earlier else None,
    )


def _book_out(
    order: Order, shipment: Shipment, leaving: Sequence[Leaving], *, actor: Actor, at: datetime
) -> tuple[bool, dict[int, list[Part]]]:
    """Whether that was the last of the order, and what left the shelf of ours by order line. While some of it waits for goods, its promise stays open for them."""
    kept = order.reservation if order.reservation and order.reservation.state == Reservation.State.OPEN else None
    departures = [
        Departure(
            line=row.line.reservation_line,
            quantity=row.quantity,
            warehouse=shipment.warehouse,
            batch_number=row.batch_number,
            serials=row.serial_numbers,
        )
        for row in leaving
        if row.line.reservation_line
    ]
    if kept is None or len(departures) < len(leaving):
        row = next((row for row in leaving if kept is None or row.line.reservation_line is None), leaving[0])
        raise InsufficientStock(
            f"Nothing of {row.line.variant.sku} is promised to this order yet.",
            shortages=[{"productId": row.line.variant.sku, "requested": row.quantity, "available": 0}],
        )
    units = _by_line(leaving)
    is_last = all(line.shipped + units.get(line.pk, 0) == line.quantity for line in order.lines.all())
    taken = reservations.consume(
        reservation=kept, leaving=departures, reference=shipment.number, actor=actor, at=at, is_last=is_last
    )
    gone: dict[int, list[Part]] = defaultdict(list)
    for place, (row, picks) in enumerate(zip(leaving, taken, strict=True)):
        gone[row.line.pk] += [
            Part(level.variant_id, level.batch_id, quantity) for level, quantity in picks if level.owner_id is None
        ]
        ShipmentLine.objects.bulk_create(_lines(shipment, row, picks, f"lines[{place}]"))
        OrderLine.objects.filter(pk=row.line.pk).update(shipped=F("shipped") + row.quantity)
    return is_last, gone


def _lines(shipment: Shipment, row: Leaving, picks: Sequence[tuple[Level, int]], field: str) -> list[ShipmentLine]:
    """One line for each batch that left. Raises InvalidInput where nobody can tell whose the serial numbers are."""
    by_batch: dict[int | None, int] = defaultdict(int)
    for level, quantity in picks:
        by_batch[level.batch_id] += quantity
    if any(level.variant_id != row.line.variant_id for level, _ in picks):
        by_batch = {None: row.quantity}  # a kit; which batches its parts are of, the ledger says
    if row.serial_numbers and len(by_batch) > 1:
        raise InvalidInput.at(
            f"{field}.batchNumber", "Units of several batches leave; name the batch of these serials."
        )
    return [
        ShipmentLine(
            shipment=shipment,
            order_line=row.line,
            batch_id=batch_id,
            quantity=quantity,
            serial_numbers=list(row.serial_numbers),
        )
        for batch_id, quantity in by_batch.items()
    ]
