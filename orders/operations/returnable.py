"""What may come back of an order: never more than left, of a batch that left, and units that left, each once.

And what goes out in exchange waits for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import QuerySet

from catalog.models import Variant
from orders.models import Order, OrderLine, Return, ReturnLine, ShipmentLine
from partners import prepared
from partners.problems import IllegalStep, InvalidInput, Problem
from stock.models import Batch, Movement, ReservationLine, SerialMovement

AWAITED = """
    SELECT awaited.number
      FROM orders_orderline line
      JOIN orders_returnline coming ON coming.replacement_id = line.id
      JOIN orders_return awaited ON awaited.id = coming.return_of_id
     WHERE line.order_id = %s AND awaited.status = %s
     ORDER BY awaited.id DESC LIMIT 1
"""


class OverReturn(Problem):
    """More would come back than was shipped. Data: productId, requested, returnable; batchNumber where it is
    one batch that is exceeded."""

    code = "over_return"
    title = "More than was shipped"
    remedy = "Announce no more than returnable."


class ExchangeWaits(IllegalStep):
    """It goes out in exchange for goods that are not back yet. Data: currentStatus, returnId."""

    code = "exchange_waits"
    title = "The goods it is exchanged for are not back yet"
    remedy = "Receive the return first."


@dataclass(frozen=True, kw_only=True)
class ComingBack:
    """So many of an order line, of a batch ("" = of the one shipped, where there is only one).

    `exchange_for` is what is wanted instead; null where nothing is.
    """

    line: OrderLine
    quantity: int
    reason: str
    batch_number: str = ""
    serial_number: str = ""
    exchange_for: Variant | None = None


def check_quantity(*, sku: str, requested: int, returnable: int, **more: str) -> None:
    """Raises OverReturn (data: productId, requested, returnable, and `more`)."""
    if requested > returnable:
        raise OverReturn(
            f"{requested} of {sku} would come back; {returnable} can.",
            productId=sku,
            requested=requested,
            returnable=returnable,
            **more,
        )


def check_exchanged(*, order: Order) -> None:
    """What an order goes out in exchange for is back. One query, by the index of the replacement. Raises ExchangeWaits."""
    for (number,) in prepared.fetch(AWAITED, [order.pk, Return.Status.ANNOUNCED]):
        raise ExchangeWaits(
            f"It goes out when return {number} is received.", currentStatus=order.status, returnId=number
        )


def batches(*, coming: Sequence[ComingBack]) -> list[Batch | None]:
    """The batch of each row: the one named, if it was shipped; else the one shipped, if only one was.

    Of a batch, too, no more comes back than was shipped. Two queries. Raises InvalidInput, OverReturn.
    """
    line_ids = {row.line.pk for row in coming}
    left: dict[int, dict[Batch, int]] = defaultdict(lambda: defaultdict(int))
    for rows, sign in ((ShipmentLine.objects.all(), 1), (ReturnLine.objects.coming(), -1)):
        for line in rows.filter(order_line__in=line_ids).select_related("batch"):
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
        check_quantity(
            sku=row.line.variant.sku, requested=row.quantity, returnable=here[batch], batchNumber=batch.number
        )
        here[batch] -= row.quantity
        found.append(batch)
    return found


def check_units(*, order: Order, coming: Sequence[ComingBack]) -> None:
    """Units named by their numbers are those that left on this order, each once. Three queries; none without numbers.

    What is not tracked by serial number may be called anything. Raises InvalidInput.
    """
    if not any(row.serial_number for row in coming):
        return
    tracked = _tracked(row.line for row in coming)
    left = set(left_on(order).values_list("serial__variant", "serial__number"))
    earlier = ReturnLine.objects.coming().filter(order_line__in=tracked).exclude(serial_number="")
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


def left_on(order: Order) -> QuerySet[SerialMovement]:
    """The units that left with the order's shipments, as the ledger says."""
    return SerialMovement.objects.filter(
        movement__kind=Movement.Kind.SHIPMENT, movement__reference__in=order.shipments.values("number")
    )
