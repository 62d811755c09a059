"""Goods come back: announced, received into quarantine, inspected and put where they belong."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import F

from orders.models import Order, OrderLine, Return, ReturnLine, ShipmentLine
from orders.operations import ordering
from partners.actors import Actor
from partners.problems import IllegalStep, InvalidInput, Problem
from stock import ledger
from stock.models import Batch, Level, Location, Movement, Warehouse
from stock.operations import warehouses

Disposition = ReturnLine.Disposition
QUARANTINE = Level.Condition.QUARANTINE
# Where inspected goods go; what stays in quarantine is not moved.
PLACES: dict[str, str] = {
    Disposition.RESTOCK: Level.Condition.SELLABLE,
    Disposition.DAMAGED: Level.Condition.DAMAGED,
    Disposition.SCRAP: Location.Kind.SCRAP,
    Disposition.RETURN_TO_VENDOR: Location.Kind.SUPPLIER,
}


class OverReturn(Problem):
    """More would come back than was shipped. Data: productId, requested, returnable."""

    code = "over_return"
    title = "More than was shipped"


class CannotRestock(Problem):
    """An expired or blocked batch never goes back on sale. Data: productId, batchNumber."""

    code = "cannot_restock"
    title = "This batch cannot be sold again"


@dataclass(frozen=True, kw_only=True)
class ComingBack:
    """So many of an order line, of a batch ("" = of the one shipped, where there is only one)."""

    line: OrderLine
    quantity: int
    reason: str
    batch_number: str = ""
    serial_number: str = ""
    exchange_for: str = ""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What inspection says of so many units of a product (and batch, where it says one)."""

    sku: str
    disposition: str
    quantity: int | None = None
    batch_number: str = ""


@transaction.atomic
def announce(*, order: Order, coming: Sequence[ComingBack], actor: Actor, at: datetime) -> Return:
    """Expect goods back. Locks the order, so that two cannot announce the same unit.

    Raises OverReturn (data: productId, requested, returnable) and InvalidInput for a batch not shipped.
    """
    Order.objects.lock().get(pk=order.pk)
    wanted: dict[int, int] = defaultdict(int)
    for row in coming:
        wanted[row.line.pk] += row.quantity
    for line in OrderLine.objects.filter(pk__in=wanted).select_related("variant"):
        if wanted[line.pk] > line.shipped - line.returned:
            raise OverReturn(
                f"{wanted[line.pk]} of {line.variant.sku} would come back; {line.shipped - line.returned} can.",
                productId=line.variant.sku,
                requested=wanted[line.pk],
                returnable=line.shipped - line.returned,
            )
    announced = Return.objects.create(order=order, announced_at=at)
    ReturnLine.objects.bulk_create(
        ReturnLine(
            return_of=announced,
            order_line=row.line,
            batch=_batch(row, place),
            quantity=row.quantity,
            reason=row.reason,
            serial_number=row.serial_number,
            exchange_for=row.exchange_for,
        )
        for place, row in enumerate(coming)
    )
    for line_id, quantity in wanted.items():
        OrderLine.objects.filter(pk=line_id).update(returned=F("returned") + quantity)
    return announced


@transaction.atomic
def receive(*, returned: Return, warehouse: Warehouse, actor: Actor, at: datetime) -> Return:
    """The goods are here: booked into quarantine, so that nobody sells them before they are looked at.

    Received twice in the same warehouse answers the same. Raises IllegalStep.
    """
    locked = Return.objects.select_for_update(no_key=True, of=("self",)).get(pk=returned.pk)
    if locked.status == Return.Status.RECEIVED and locked.warehouse_id == warehouse.pk:
        return locked
    _must_be(locked, Return.Status.ANNOUNCED)
    bin_ = warehouses.default_location(warehouse)
    ledger.post(
        [
            ledger.Posting(
                variant_id=line.order_line.variant_id,
                batch_id=line.batch_id,
                quantity=line.quantity,
                source=ledger.virtual(Location.Kind.CUSTOMER),
                target=ledger.Place(location_id=bin_.pk, condition=QUARANTINE),
                kind=Movement.Kind.RETURN,
                reason=line.reason,
                reference=locked.number,
            )
            for line in locked.lines.select_related("order_line")
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
    for line, disposition, quantity in _settle(locked, verdicts):
        if disposition == Disposition.RESTOCK:
            _check_restock(line, locked.warehouse, at)
        if place := PLACES.get(disposition):
            postings.append(_posting(line, quantity, bin_, place, reason=disposition, reference=locked.number))
    ledger.post(postings, actor=actor, at=at)
    return _step(locked, Return.Status.INSPECTED, actor=actor, at=at)


def _posting(
    line: ReturnLine, quantity: int, bin_: Location, place: str, *, reason: str, reference: str
) -> ledger.Posting:
    is_shelf = place in Level.Condition.values
    target = ledger.Place(location_id=bin_.pk, condition=place) if is_shelf else ledger.virtual(Location.Kind(place))
    return ledger.Posting(
        variant_id=line.order_line.variant_id,
        batch_id=line.batch_id,
        quantity=quantity,
        source=ledger.Place(location_id=bin_.pk, condition=QUARANTINE),
        target=target,
        kind=Movement.Kind.DISPOSITION,
        reason=reason,
        reference=reference,
    )


def _batch(row: ComingBack, place: int) -> Batch | None:
    """The batch that comes back: the one named, if it was shipped; else the one shipped, if only one was."""
    shipped = ShipmentLine.objects.filter(order_line=row.line).select_related("batch")
    batches = {line.batch.number: line.batch for line in shipped if line.batch}
    if row.batch_number:
        if row.batch_number not in batches:
            raise InvalidInput.at(f"lines[{place}].batchNumber", "This batch was not shipped on the order.")
        return batches[row.batch_number]
    return next(iter(batches.values())) if len(batches) == 1 else None


def _settle(returned: Return, verdicts: Sequence[Verdict]) -> list[tuple[ReturnLine, str, int]]:
    """Which units of which lines get which disposition; every unit exactly one. Raises InvalidInput."""
    left = {line: line.quantity for line in returned.lines.select_related("order_line__variant", "batch")}
    settled: list[tuple[ReturnLine, str, int]] = []
    for place, verdict in enumerate(verdicts):
        wanted = verdict.quantity
        for line in left:
            is_meant = line.order_line.variant.sku == verdict.sku and verdict.batch_number in (
                "",
                line.batch.number if line.batch else "",
            )
            if is_meant and (units := left[line] if wanted is None else min(wanted, left[line])):
                settled.append((line, verdict.disposition, units))
                left[line] -= units
                wanted = None if wanted is None else wanted - units
        if wanted or not any(line.order_line.variant.sku == verdict.sku for line in left):
            raise InvalidInput.at(f"lines[{place}]", f"Not that many of {verdict.sku} came back.")
    if open_lines := [line for line, units in left.items() if units]:
        sku = open_lines[0].order_line.variant.sku
        raise InvalidInput.at("lines", f"Say what becomes of all units; {left[open_lines[0]]} of {sku} are left.")
    for line, disposition, units in settled:
        if units == line.quantity:
            ReturnLine.objects.filter(pk=line.pk).update(disposition=disposition)
    return settled


def _check_restock(line: ReturnLine, warehouse: Warehouse, at: datetime) -> None:
    batch = line.batch
    is_unknown = batch is None and line.order_line.variant.tracking == "batch"
    today = at.astimezone(ZoneInfo(warehouse.time_zone)).date()
    is_over = batch is not None and batch.expires_on is not None and batch.expires_on < today
    is_held = batch is not None and batch.hold_state != Batch.HoldState.RELEASED
    if is_unknown or is_over or is_held:
        why = "its batch is not known" if is_unknown else "it is expired" if is_over else "its batch is blocked"
        raise CannotRestock(
            f"{line.order_line.variant.sku} cannot be sold again: {why}.",
            productId=line.order_line.variant.sku,
            batchNumber=batch.number if batch else None,
        )


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
        returnId=returned.number,
        returnStatus=status,
    )
    return returned
