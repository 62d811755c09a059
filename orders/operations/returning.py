"""Goods come back: announced, received into quarantine, inspected and put where they belong."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import F, QuerySet

from catalog.models import Variant
from orders.models import Order, OrderLine, Return, ReturnLine, ShipmentLine
from orders.operations import ordering
from partners.actors import Actor
from partners.problems import IllegalStep, InvalidInput, Problem
from stock import ledger
from stock.models import Batch, Level, Location, Movement, ReservationLine, SerialMovement, Warehouse
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
    """More would come back than was shipped. Data: productId, requested, returnable; batchNumber where it is
    one batch that is exceeded."""

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


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Units of one SKU and batch that a return's line stands for: its own, or of a kit those of a component."""

    line: ReturnLine
    variant: Variant
    batch: Batch | None
    quantity: int
    serials: tuple[str, ...] = ()


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
        _check_returnable(line.variant.sku, wanted[line.pk], line.shipped - line.returned)
    _check_units(order, coming)
    batches = _batches(coming)
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
            _posting(
                piece,
                source=ledger.virtual(Location.Kind.CUSTOMER),
                target=ledger.Place(location_id=bin_.pk, condition=QUARANTINE),
                kind=Movement.Kind.RETURN,
                reason=piece.line.reason,
                reference=locked.number,
            )
            for line in _lines(locked)
            for piece in _shipped_pieces(line)
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
    settled = _settle(locked, verdicts)
    for piece, disposition in _received_pieces(locked, settled):
        if disposition == Disposition.RESTOCK:
            _check_restock(piece, locked.warehouse, at)
        if place := PLACES.get(disposition):
            postings.append(
                _posting(
                    piece,
                    source=ledger.Place(location_id=bin_.pk, condition=QUARANTINE),
                    target=_target(place, bin_),
                    kind=Movement.Kind.DISPOSITION,
                    reason=disposition,
                    reference=locked.number,
                )
            )
    ledger.post(postings, actor=actor, at=at)
    _write_down(settled)
    return _step(locked, Return.Status.INSPECTED, actor=actor, at=at)


def _lines(returned: Return) -> list[ReturnLine]:
    return list(returned.lines.select_related("return_of__order", "order_line__variant", "batch"))


def _components(line: ReturnLine) -> list[ReservationLine]:
    """What the line's kit was promised as; nothing for what is no kit."""
    if line.order_line.reservation_line_id is None:
        return []
    parts = ReservationLine.objects.filter(kit_line=line.order_line.reservation_line_id)
    return list(parts.select_related("variant", "kit_line").order_by("id"))


def _per_kit(part: ReservationLine) -> int:
    return part.quantity // part.kit_line.quantity if part.kit_line else 1


def _shipped_pieces(line: ReturnLine) -> list[Piece]:
    """What a line is in SKUs and batches; of a component the batch that left, where it was only one."""
    pieces = []
    for part in _components(line):
        gone = part.allocations.filter(consumed__gt=0).order_by().values_list("level__batch", flat=True).distinct()
        batch = Batch.objects.filter(pk=gone[0]).first() if len(gone) == 1 else None
        quantity = line.quantity * _per_kit(part)
        gone_units = _left_on(line.return_of.order).filter(serial__variant=part.variant, serial__level=None)
        units = set(gone_units.values_list("serial__number", flat=True))
        serials = _units_of_kit(line, part, quantity, units)
        pieces.append(Piece(line=line, variant=part.variant, batch=batch, quantity=quantity, serials=serials))
    variant = line.order_line.variant
    return pieces or [Piece(line=line, variant=variant, batch=line.batch, quantity=line.quantity, serials=_named(line))]


def _named(line: ReturnLine) -> tuple[str, ...]:
    return (line.serial_number,) if line.serial_number else ()


def _units_of_kit(line: ReturnLine, part: ReservationLine, quantity: int, units: set[str]) -> tuple[str, ...]:
    """Which of these units of a component are meant: all, where that is as many, else the one the line names.

    A line names one unit at most, and a kit may have several; where that does not tell, the ledger refuses.
    """
    if part.variant.tracking != Variant.Tracking.SERIAL:
        return ()
    return tuple(sorted(units)) if len(units) == quantity else tuple(units.intersection(_named(line)))


def _received_pieces(returned: Return, settled: Sequence[tuple[ReturnLine, str, int]]) -> list[tuple[Piece, str]]:
    """What each verdict is of in SKUs and batches: those that were booked in when the return was received.

    Lines that are no kits know their batch and go first; kits share what is left.
    """
    pieces: list[tuple[Piece, str]] = []
    left: Counter[tuple[int, int | None]] = Counter()
    for row in Movement.objects.filter(reference=returned.number, kind=Movement.Kind.RETURN).order_by("id"):
        left[row.variant_id, row.batch_id] += row.quantity
    batches = Batch.objects.in_bulk([batch_id for _, batch_id in left if batch_id])
    lying: dict[tuple[int, int | None], set[str]] = defaultdict(set)
    received = SerialMovement.objects.filter(movement__reference=returned.number, movement__kind=Movement.Kind.RETURN)
    for *side, number in received.values_list("movement__variant", "movement__batch", "serial__number"):
        lying[side[0], side[1]].add(number)
    kits = []
    for line, disposition, quantity in settled:
        if parts := _components(line):
            kits.append((line, disposition, quantity, parts))
            continue
        left[line.order_line.variant_id, line.batch_id] -= quantity
        lying[line.order_line.variant_id, line.batch_id].difference_update(_named(line))
        variant = line.order_line.variant
        piece = Piece(line=line, variant=variant, batch=line.batch, quantity=quantity, serials=_named(line))
        pieces.append((piece, disposition))
    for line, disposition, quantity, parts in kits:
        for part in parts:
            wanted = quantity * _per_kit(part)
            for variant_id, batch_id in [key for key in left if key[0] == part.variant_id]:
                if units := min(wanted, left[variant_id, batch_id]):
                    piece = Piece(
                        line=line,
                        variant=part.variant,
                        batch=batches[batch_id] if batch_id else None,
                        quantity=units,
                        serials=_units_of_kit(line, part, units, lying[variant_id, batch_id]),
                    )
                    lying[variant_id, batch_id].difference_update(piece.serials)
                    pieces.append((piece, disposition))
                    left[variant_id, batch_id] -= units
                    wanted -= units
    return pieces


def _posting(
    piece: Piece, *, source: ledger.Place, target: ledger.Place, kind: Movement.Kind, reason: str, reference: str
) -> ledger.Posting:
    return ledger.Posting(
        variant_id=piece.variant.pk,
        batch_id=piece.batch.pk if piece.batch else None,
        quantity=piece.quantity,
        source=source,
        target=target,
        kind=kind,
        reason=reason,
        reference=reference,
        serials=piece.serials,
    )


def _target(place: str, bin_: Location) -> ledger.Place:
    if place in Level.Condition.values:
        return ledger.Place(location_id=bin_.pk, condition=place)
    return ledger.virtual(Location.Kind(place))


def _check_returnable(sku: str, requested: int, returnable: int, **more: str) -> None:
    if requested > returnable:
        raise OverReturn(
            f"{requested} of {sku} would come back; {returnable} can.",
            productId=sku,
            requested=requested,
            returnable=returnable,
            **more,
        )


def _batches(coming: Sequence[ComingBack]) -> list[Batch | None]:
    """The batch of each row: the one named, if it was shipped; else the one shipped, if only one was.

    Of a batch, too, no more comes back than was shipped. Two queries. Raises InvalidInput, OverReturn.
    """
    line_ids = {row.line.pk for row in coming}
    left: dict[int, dict[Batch, int]] = defaultdict(lambda: defaultdict(int))
    for model, sign in ((ShipmentLine, 1), (ReturnLine, -1)):
        for line in model.objects.filter(order_line__in=line_ids).select_related("batch"):
            if line.batch:
                left[line.order_line_id][line.batch] += sign * line.quantity
    found: list[Batch | None] = []
    for place, row in enumerate(coming):
        here = left[row.line.pk]
        named = [batch for batch in here if row.batch_number in ("", batch.number)]
        if row.batch_number and not named:
            raise InvalidInput.at(f"lines[{place}].batchNumber", "This batch was not shipped on the order.")
        if len(named) != 1:
            found.append(None)
            continue
        [batch] = named
        _check_returnable(row.line.variant.sku, row.quantity, here[batch], batchNumber=batch.number)
        here[batch] -= row.quantity
        found.append(batch)
    return found


def _check_units(order: Order, coming: Sequence[ComingBack]) -> None:
    """Units named by their numbers are those that left on this order, each once. Three queries; none without numbers.

    What is not tracked by serial number may be called anything. Raises InvalidInput.
    """
    if not any(row.serial_number for row in coming):
        return
    tracked = _tracked(row.line for row in coming)
    left = set(_left_on(order).values_list("serial__variant", "serial__number"))
    earlier = ReturnLine.objects.filter(order_line__in=tracked).exclude(serial_number="")
    announced = set(earlier.values_list("order_line", "serial_number"))
    wrong = []
    for place, row in enumerate(coming):
        variant_ids = tracked[row.line.pk]
        if not row.serial_number or not variant_ids:
            continue
        named = f"{row.serial_number} of {row.line.variant.sku}"
        if not any((variant_id, row.serial_number) in left for variant_id in variant_ids):
            wrong.append((f"lines[{place}].serialNumber", f"No unit {named} left on this order."))
        elif (row.line.pk, row.serial_number) in announced:
            wrong.append((f"lines[{place}].serialNumber", f"Unit {named} is announced already."))
        announced.add((row.line.pk, row.serial_number))
    if wrong:
        raise InvalidInput.of(wrong)


def _tracked(lines: Iterable[OrderLine]) -> dict[int, set[int]]:
    """Of each line the variants tracked by serial number: its own, or those of its kit's components. One query."""
    variant_ids: dict[int, set[int]] = defaultdict(set)
    kits: dict[int, int] = {}
    for line in lines:
        if line.variant.tracking == Variant.Tracking.SERIAL:
            variant_ids[line.pk].add(line.variant_id)
        if line.reservation_line_id:
            kits[line.reservation_line_id] = line.pk
    parts = ReservationLine.objects.filter(kit_line__in=kits, variant__tracking=Variant.Tracking.SERIAL)
    for part in parts:
        if part.kit_line_id:
            variant_ids[kits[part.kit_line_id]].add(part.variant_id)
    return variant_ids


def _left_on(order: Order) -> QuerySet[SerialMovement]:
    """The units that left with the order's shipments, as the ledger says."""
    return SerialMovement.objects.filter(
        movement__kind=Movement.Kind.SHIPMENT, movement__reference__in=order.shipments.values("number")
    )


def _settle(returned: Return, verdicts: Sequence[Verdict]) -> list[tuple[ReturnLine, str, int]]:
    """Which units of which lines get which disposition; every unit exactly one. Raises InvalidInput."""
    left = {line: line.quantity for line in _lines(returned)}
    settled: dict[tuple[ReturnLine, str], int] = defaultdict(int)
    for place, verdict in enumerate(verdicts):
        wanted, before = verdict.quantity, sum(left.values())
        for line in left:
            is_meant = line.order_line.variant.sku == verdict.sku and verdict.batch_number in (
                "",
                line.batch.number if line.batch else "",
            )
            if is_meant and (units := left[line] if wanted is None else min(wanted, left[line])):
                settled[line, verdict.disposition] += units
                left[line] -= units
                wanted = None if wanted is None else wanted - units
        if wanted or sum(left.values()) == before:
            raise InvalidInput.at(f"lines[{place}]", f"Not that many of {verdict.sku} came back.")
    if open_lines := [line for line, units in left.items() if units]:
        sku = open_lines[0].order_line.variant.sku
        raise InvalidInput.at("lines", f"Say what becomes of all units; {left[open_lines[0]]} of {sku} are left.")
    return [(line, disposition, units) for (line, disposition), units in settled.items()]


def _write_down(settled: Sequence[tuple[ReturnLine, str, int]]) -> None:
    """A line of which units were judged differently becomes several, so that each verdict is kept."""
    judged: set[int] = set()
    for line, disposition, units in settled:
        row = copy(line)
        if line.pk in judged:
            row.pk = None  # a copy without its key is a new row
        judged.add(line.pk)
        row.disposition, row.quantity = disposition, units
        row.save()


def _check_restock(piece: Piece, warehouse: Warehouse, at: datetime) -> None:
    batch = piece.batch
    is_unknown = batch is None and piece.variant.tracking == "batch"
    today = at.astimezone(ZoneInfo(warehouse.time_zone)).date()
    is_over = batch is not None and batch.expires_on is not None and batch.expires_on < today
    is_held = batch is not None and batch.hold_state != Batch.HoldState.RELEASED
    if is_unknown or is_over or is_held:
        why = "its batch is not known" if is_unknown else "it is expired" if is_over else "its batch is blocked"
        raise CannotRestock(
            f"{piece.variant.sku} cannot be sold again: {why}.",
            productId=piece.variant.sku,
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
        also=[returned.warehouse.operator_id if returned.warehouse else None],
        returnId=returned.number,
        returnStatus=status,
    )
    return returned
