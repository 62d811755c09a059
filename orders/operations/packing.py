"""What was fetched is closed into boxes, and boxes leave: all of a request, or some of them now and the rest later.

Lock order: order → SSCC series. Sending locks what `fulfilment.ship` does.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction

from catalog.models import Variant
from orders.models import FulfilmentItem, FulfilmentRequest, Order, OrderLine, Package, PackageLine, PickLine, Shipment
from orders.operations import fulfilment, labelling, picking, requesting
from orders.operations.fulfilment import Leaving
from partners.actors import Actor
from partners.problems import Conflict, IllegalStep, InvalidInput, Problem
from stock.models import Batch

Status = Package.Status


class SsccTaken(Conflict):
    """This number stands on another package. Data: sscc."""

    code = "sscc_taken"
    title = "This SSCC is on another package"
    remedy = "Read the SSCC from the label again, or leave it out and one is given."


class NothingToPack(Problem):
    """Nothing that was picked for the request is still outside a package. Data: fulfillmentRequestId."""

    code = "nothing_to_pack"
    title = "Nothing is left to pack"
    remedy = "Nothing; all that was picked is packed."


@dataclass(frozen=True, kw_only=True)
class Packed:
    """So many of an order line, of one batch, go into a box."""

    line: OrderLine
    quantity: int
    batch_number: str = ""
    serial_numbers: tuple[str, ...] = ()


@transaction.atomic
def pack(
    *, request: FulfilmentRequest, contents: Sequence[Packed], actor: Actor, at: datetime, sscc: str = "",
    tracking_number: str = "",
) -> Package:  # fmt: skip
    """Close a box with these contents; it gets the next SSCC of the warehouse unless one is named.

    Locks the order. Packed twice there are two boxes: doors make sure that a message which arrives twice is one.
    Raises IllegalStep once nothing of the request is open, InvalidInput for more than is open and not packed, a batch
    or serial number that is missing, SsccTaken, and what `labelling.next_sscc` raises.
    """
    Order.objects.lock().get(pk=request.order_id)
    locked = FulfilmentRequest.objects.select_related("warehouse").get(pk=request.pk)
    requesting.must_live(locked, verb="packed")
    items = {item.order_line_id: item for item in locked.items.select_related("order_line__variant")}
    _check_outside(locked, items, contents)
    batches = [_batch_of(row, f"lines[{place}]") for place, row in enumerate(contents)]
    package = Package(
        fulfilment_request=locked, sscc=sscc or labelling.next_sscc(warehouse=locked.warehouse), tracking_number=tracking_number,
        packed_by=actor.label, packed_at=at,
    )  # fmt: skip
    _save(package, "package packed")
    PackageLine.objects.bulk_create(
        PackageLine(
            package=package, order_line=row.line, batch=batch, quantity=row.quantity, serial_numbers=list(row.serial_numbers)
        )
        for row, batch in zip(contents, batches, strict=True)
    )  # fmt: skip
    return package


@transaction.atomic
def pack_picked(*, request: FulfilmentRequest, actor: Actor, at: datetime, tracking_number: str = "") -> Package:
    """Close a box with all that was picked for a request and is not in one yet.

    Raises NothingToPack where that is nothing, so a second call after the first is refused; and what `pack` raises.
    """
    Order.objects.lock().get(pk=request.order_id)
    contents = _picked(request)
    if not contents:
        raise NothingToPack(
            f"Nothing that was picked for {request} is outside a package.", fulfillmentRequestId=request.number
        )
    return pack(request=request, contents=contents, tracking_number=tracking_number, actor=actor, at=at)


@transaction.atomic
def unpack(*, package: Package, actor: Actor, at: datetime) -> Package:
    """Open a box again; its contents may be packed anew, its SSCC is never used again. Twice answers the same.

    Locks the order. Raises IllegalStep for one that has left.
    """
    Order.objects.lock().get(fulfilment_requests__packages=package.pk)
    locked = Package.objects.get(pk=package.pk)
    if locked.status == Status.UNPACKED:
        return locked
    if locked.status == Status.SHIPPED:
        raise IllegalStep(
            "It has left and cannot be unpacked.", currentStatus=locked.status, allowedFrom=[str(Status.PACKED)]
        )
    locked.status = Status.UNPACKED
    locked.version += 1
    _save(locked, "package unpacked")
    return locked


@transaction.atomic
def send(
    *, request: FulfilmentRequest, actor: Actor, at: datetime, packages: Sequence[Package] | None = None,
    carrier: str = fulfilment.HANDOVER, tracking_number: str = "", service: str = "",
) -> Shipment:  # fmt: skip
    """Packages leave with a carrier, all that are packed for a request or those named: their contents are booked out.

    The shipment goes by the tracking number said, else by that of its first package that has one, else by that
    package's own number. Raises IllegalStep once the request is over, where none is packed or one of them left
    before, and what `fulfilment.ship` raises; nothing has left then. Sent twice the second is refused.
    """
    order = Order.objects.lock().get(pk=request.order_id)
    locked = FulfilmentRequest.objects.select_related("warehouse").get(pk=request.pk)
    requesting.must_live(locked, verb="sent")
    rows = locked.packages.order_by("id").prefetch_related(
        "lines__order_line__reservation_line__variant", "lines__batch"
    )
    wanted = None if packages is None else {package.pk for package in packages}
    leaving = [row for row in rows if row.status == Status.PACKED and (wanted is None or row.pk in wanted)]
    if not leaving or (wanted is not None and len(leaving) != len(wanted)):
        raise IllegalStep(
            "Only what is packed and has not left can be sent.", currentStatus=locked.status,
            allowedFrom=[str(Status.PACKED)],
        )  # fmt: skip
    named = next((package.tracking_number for package in leaving if package.tracking_number), leaving[0].number)
    shipment = fulfilment.ship(
        order=order, warehouse=locked.warehouse, leaving=_contents(leaving), carrier=carrier, service=service,
        tracking_number=tracking_number or named, sscc=leaving[0].sscc if len(leaving) == 1 else "", actor=actor, at=at,
    )  # fmt: skip
    for package in leaving:
        package.shipment, package.status = shipment, Status.SHIPPED
        package.version += 1
        _save(package, "package sent")
    return shipment


def _contents(packages: Sequence[Package]) -> list[Leaving]:
    """What is in these boxes, each line and batch once."""
    units: Counter[tuple[OrderLine, str]] = Counter()
    named: dict[tuple[OrderLine, str], list[str]] = defaultdict(list)
    for line in (line for package in packages for line in package.lines.all()):
        key = (line.order_line, line.batch.number if line.batch else "")
        units[key] += line.quantity
        named[key] += line.serial_numbers
    return [
        Leaving(line=key[0], quantity=count, batch_number=key[1], serial_numbers=tuple(named[key]))
        for key, count in units.items()
    ]


def _check_outside(request: FulfilmentRequest, items: Mapping[int, FulfilmentItem], contents: Sequence[Packed]) -> None:
    """Demand is summed by line first: two rows of one line are one demand."""
    inside = requesting.in_packages(request)
    units: Counter[int] = Counter()
    for row in contents:
        units[row.line.pk] += row.quantity
    for line_id, count in units.items():
        outside = (items[line_id].open_quantity if line_id in items else 0) - inside.get(line_id, 0)
        if count > outside:
            raise InvalidInput.at("lines", f"{count:,} would be packed, {outside:,} are open and in no package.")


def _batch_of(row: Packed, field: str) -> Batch | None:
    """The batch a row names. A kit's rows say none: which batches its parts are of, the ledger says."""
    variant = row.line.variant
    kept = row.line.reservation_line
    if kept and kept.components.exists():
        return None
    if variant.tracking == Variant.Tracking.SERIAL and len(set(row.serial_numbers)) != row.quantity:
        raise InvalidInput.at(
            f"{field}.serialNumbers", f"{row.quantity:,} units of {variant.sku}: name each of them once."
        )
    if not row.batch_number:
        if variant.tracking == Variant.Tracking.BATCH:
            raise InvalidInput.at(f"{field}.batchNumber", f"{variant.sku} is tracked by batch; name the batch.")
        return None
    batch = Batch.objects.filter(variant=variant, number=row.batch_number).first()
    if batch is None:
        raise InvalidInput.at(f"{field}.batchNumber", f"There is no batch {row.batch_number} of {variant.sku}.")
    return batch


def _picked(request: FulfilmentRequest) -> list[Packed]:
    """What was picked and is in no package, nor was in one that left; of a kit, as many as are whole."""
    items = {item.order_line_id: item for item in request.items.select_related(*requesting.OF_LINE)}
    inside = requesting.in_packages(request)
    boxed = PackageLine.objects.filter(package__fulfilment_request=request).exclude(package__status=Status.UNPACKED)
    units: Counter[tuple[int, int | None]] = Counter()
    numbers: set[str] = set()
    for row in boxed:
        units[row.order_line_id, row.batch_id] += row.quantity
        numbers |= set(row.serial_numbers)
    found = []
    for line_id, fetched in picking.to_pack(request).items():
        item = items[line_id]
        outside = item.open_quantity - inside.get(line_id, 0)
        kept = item.order_line.reservation_line
        ratios = {row.variant_id: row.quantity // kept.quantity for row in kept.components.all()} if kept else {}
        rows = _kits(fetched, ratios, units[line_id, None]) if ratios else _by_batch(fetched, units)
        for batch_number, count, named in rows:
            if count := min(count, outside):
                outside -= count
                left = [number for number in named if number not in numbers]
                serials = tuple(left if ratios else left[:count])
                found.append(
                    Packed(line=item.order_line, quantity=count, batch_number=batch_number, serial_numbers=serials)
                )
    return found


# batch number, units, serial numbers
Row = tuple[str, int, list[str]]


def _kits(fetched: Sequence[PickLine], ratios: Mapping[int, int], boxed: int) -> list[Row]:
    units: Counter[int] = Counter()
    for line in fetched:
        units[line.variant_id] += line.picked
    whole = min(units[variant_id] // ratio for variant_id, ratio in ratios.items())
    return [("", max(whole - boxed, 0), [number for line in fetched for number in line.serial_numbers])]


def _by_batch(fetched: Sequence[PickLine], boxed: Counter[tuple[int, int | None]]) -> list[Row]:
    """One row for each batch, whichever bins it came from."""
    found: dict[int | None, Row] = {}
    for line in fetched:
        number, count, named = found.get(line.batch_id, (line.batch.number if line.batch else "", 0, []))
        found[line.batch_id] = (number, count + line.picked, named + line.serial_numbers)
    line_id = fetched[0].item.order_line_id
    return [
        (number, max(count - boxed[line_id, batch_id], 0), named) for batch_id, (number, count, named) in found.items()
    ]


def _save(package: Package, why: str) -> None:
    package._change_reason = why  # type: ignore[attr-defined]  # read by the history
    try:
        with transaction.atomic():
            package.save()
    except IntegrityError as error:
        if "sscc" not in str(error):
            raise
        raise SsccTaken(f"{package.sscc} is on another package.", sscc=package.sscc) from error
