"""Goods are ordered from a supplier, the order is sent, confirmed, cancelled or closed short.

What an order may become is one table (`awaiting.STEPS`); what is still to come of it is said to stock at each step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.db import transaction

from catalog.models import SupplierItem, Variant
from catalog.operations import offers
from orders import deliveries
from orders.models import PurchaseOrder, PurchaseOrderLine, ReceiptLine
from orders.operations import awaiting
from partners.actors import Actor
from partners.models import Partner
from partners.problems import IllegalStep, InvalidInput, Problem
from stock.models import Warehouse

Status = PurchaseOrder.Status
Closing = PurchaseOrderLine.Closing


class OfferNotMet(Problem):
    """The supplier takes no such quantity. Data: lines[{productId, quantity, minimumQuantity, orderMultiple,
    packQuantity, proposedQuantity}]."""

    code = "offer_not_met"
    title = "The supplier takes no such quantity"
    remedy = "Order proposedQuantity instead."


@dataclass(frozen=True, kw_only=True)
class Needed:
    """So many stock units of a variant are wanted; the cost of one where it is not the offer's."""

    variant: Variant
    quantity: int
    unit_cost: Decimal | None = None


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What the supplier says of a line: how many it will deliver, and when (none: as asked)."""

    line_number: int
    quantity: int | None = None
    expected_on: date | None = None


@transaction.atomic
def order(
    *,
    supplier: Partner,
    warehouse: Warehouse,
    needed: Sequence[Needed],
    actor: Actor,
    at: datetime,
    currency: str = "",
    expected_on: date | None = None,
    reference: str = "",
    is_forced: bool = False,
) -> PurchaseOrder:
    """Write down what is wanted from a supplier, as a draft; nobody outside is told yet.

    Costs, packs and the supplier's own numbers are taken from its offers as they are today. Called twice it
    makes two orders. Raises OfferNotMet where a quantity is below the supplier's minimum or not in whole
    multiples and packs, unless `is_forced`; InvalidInput for what the supplier does not offer and for costs in
    several currencies.
    """
    if supplier.kind != Partner.Kind.SUPPLIER or not supplier.is_active:
        raise InvalidInput.at("supplierId", f"Nothing is ordered from {supplier.code}.")
    items = _offers(supplier, needed)
    if not is_forced:
        _check_offers(needed, items)
    written = PurchaseOrder(
        supplier=supplier,
        warehouse=warehouse,
        currency=_currency(currency, needed, items),
        expected_on=expected_on,
        reference=reference,
        is_forced=is_forced,
        actor=actor.label,
        created_at=at,
    )
    awaiting.save(order=written, reason="purchase order drafted")
    PurchaseOrderLine.objects.bulk_create(
        _line(written, number, row, items[row.variant.pk]) for number, row in enumerate(needed, 1)
    )
    return written


@transaction.atomic
def send(*, order: PurchaseOrder, actor: Actor, at: datetime) -> PurchaseOrder:
    """The supplier gets to see it and is told; what is to come shows as not confirmed yet.

    Sent twice answers the same. Raises IllegalStep.
    """
    locked, lines = awaiting.lock(order)
    if locked.status == Status.SENT:
        return locked
    awaiting.check_step(order=locked, status=Status.SENT)
    locked.sent_at = at
    awaiting.step(order=locked, status=Status.SENT, reason="purchase order sent")
    awaiting.expect(order=locked, lines=lines, received={})
    awaiting.tell(order=locked, event_type="purchase_order.sent", actor=actor, at=at)
    return locked


@transaction.atomic
def confirm(
    *, order: PurchaseOrder, actor: Actor, at: datetime, answers: Sequence[Answered] | None = None,
    expected_on: date | None = None,
) -> PurchaseOrder:  # fmt: skip
    """The supplier says what it will deliver and when: all as ordered, or line by line; it may say so again.

    From now on it is promised to customers by its day. Lines not named stay as they are, or are confirmed as
    ordered. A line of which nothing will come is confirmed with 0; when that is so of every line there is
    nothing to wait for, and the order is cancelled. Locks the order and its lines. Raises IllegalStep, and
    InvalidInput for an unknown line, for more than was ordered, for less than came already, and for a day that is
    over where it is to be delivered.
    """
    locked, lines = awaiting.lock(order)
    awaiting.check_step(order=locked, status=Status.CONFIRMED)
    received = ReceiptLine.objects.received(order_line__order=locked)
    said = {row.line_number: row for row in answers or ()}
    _check_answers(answers or (), {line.line_number: line for line in lines}, received)
    _check_days(answers or (), expected_on, today=at.astimezone(ZoneInfo(locked.warehouse.time_zone)).date())
    for line in lines:
        row = said.get(line.line_number)
        if row is not None and row.quantity is not None:
            line.confirmed_quantity = row.quantity
        elif line.confirmed_quantity is None:
            line.confirmed_quantity = line.quantity
        line.confirmed_on = (row.expected_on if row else None) or expected_on or line.confirmed_on
    PurchaseOrderLine.objects.bulk_update(lines, ["confirmed_quantity", "confirmed_on"])
    if not any(line.confirmed_quantity for line in lines):
        return _end(locked, lines, received, Closing.CANCELLED, actor=actor, at=at)
    awaiting.finish(
        order=locked, lines=lines, received=received, reason="purchase order confirmed", status=Status.CONFIRMED
    )
    awaiting.tell(order=locked, event_type="purchase_order.confirmed", actor=actor, at=at)
    return locked


@transaction.atomic
def cancel(*, order: PurchaseOrder, actor: Actor, at: datetime) -> PurchaseOrder:
    """Call off what has not come; where a part came, the order ends as received. Cancelled twice answers the same.

    Locks the order and its lines. Raises IllegalStep once all of it came or nothing is waited for.
    """
    locked, lines = awaiting.lock(order)
    if locked.status == Status.CANCELLED:
        return locked
    awaiting.check_step(order=locked, status=Status.CANCELLED)
    received = ReceiptLine.objects.received(order_line__order=locked)
    return _end(locked, lines, received, Closing.CANCELLED, actor=actor, at=at)


@transaction.atomic
def close(
    *, order: PurchaseOrder, actor: Actor, at: datetime, line_numbers: Sequence[int] | None = None
) -> PurchaseOrder:
    """What is missing will not come: wait no longer, for the whole order or for these lines.

    Closed twice answers the same. Raises IllegalStep where nothing was sent or nothing came (such an order is
    cancelled), and InvalidInput for an unknown line.
    """
    locked, lines = awaiting.lock(order)
    if locked.status == Status.RECEIVED:
        return locked
    awaiting.check_step(order=locked, status=Status.RECEIVED)
    known = {line.line_number for line in lines}
    if unknown := [number for number in line_numbers or () if number not in known]:
        raise InvalidInput.at("lines", f"The order has no line {unknown[0]}.")
    received = ReceiptLine.objects.received(order_line__order=locked)
    if not received:
        raise IllegalStep("Nothing of it came; cancel it.", currentStatus=locked.status, allowedFrom=[])
    return _end(locked, lines, received, Closing.SHORT, actor=actor, at=at, only=line_numbers)


def propose(*, supplier: Partner, needed: Sequence[Needed]) -> list[int]:
    """For each row the least quantity the supplier takes. Two queries. Raises InvalidInput."""
    items = _offers(supplier, needed)
    return [_proposed(row, items[row.variant.pk]) for row in needed]


# -- Deciding


def _check_offers(needed: Sequence[Needed], items: Mapping[int, SupplierItem]) -> None:
    short = [
        {
            "productId": row.variant.sku,
            "quantity": row.quantity,
            "minimumQuantity": items[row.variant.pk].minimum_quantity,
            "orderMultiple": items[row.variant.pk].order_multiple,
            "packQuantity": _pack_quantity(items[row.variant.pk]),
            "proposedQuantity": proposed,
        }
        for row in needed
        if (proposed := _proposed(row, items[row.variant.pk])) != row.quantity
    ]
    if short:
        named = ", ".join(
            f"{row['productId']}: {row['proposedQuantity']} instead of {row['quantity']}" for row in short[:5]
        )
        raise OfferNotMet(f"The supplier's minimum, multiple or pack is not met. It would take {named}.", lines=short)


def _proposed(row: Needed, item: SupplierItem) -> int:
    return deliveries.orderable(
        row.quantity, minimum=item.minimum_quantity, multiple=item.order_multiple, pack=_pack_quantity(item)
    )


def _pack_quantity(item: SupplierItem) -> int | None:
    return item.pack.quantity if item.pack else None


def _check_answers(
    answers: Sequence[Answered], lines: Mapping[int, PurchaseOrderLine], received: Mapping[int, int]
) -> None:
    wrong = []
    for place, row in enumerate(answers):
        line = lines.get(row.line_number)
        if line is None or line.closing:
            wrong.append((f"lines[{place}].lineNumber", f"The order has no open line {row.line_number}."))
        elif row.quantity is not None and row.quantity > line.quantity:
            wrong.append((f"lines[{place}].quantity", f"No more than the {line.quantity} ordered can be confirmed."))
        elif row.quantity is not None and row.quantity < received.get(line.pk, 0):
            wrong.append((f"lines[{place}].quantity", f"{received[line.pk]} of it came already."))
    if wrong:
        raise InvalidInput.of(wrong)


def _check_days(answers: Sequence[Answered], expected_on: date | None, *, today: date) -> None:
    """What will come, comes today or later: a day that is over is a slip, and customers would be promised by it."""
    days = [("expectedDate", expected_on)]
    days += [(f"lines[{place}].expectedDate", row.expected_on) for place, row in enumerate(answers)]
    if wrong := [
        (field, f"{day} is over; it is {today} at the warehouse.") for field, day in days if day and day < today
    ]:
        raise InvalidInput.of(wrong)


def _currency(named: str, needed: Sequence[Needed], items: Mapping[int, SupplierItem]) -> str:
    """The one currency of all costs. Raises InvalidInput."""
    if named:
        return offers.check_currency(named, field="currency")
    found = {items[row.variant.pk].currency for row in needed} - {""}
    if len(found) > 1 or (not found and any(row.unit_cost is not None for row in needed)):
        raise InvalidInput.at("currency", "In which currency? The offers do not say it in one word.")
    return next(iter(found), "")


# -- Looking and writing


def _offers(supplier: Partner, needed: Sequence[Needed]) -> dict[int, SupplierItem]:
    """The supplier's offer of each variant. One query. Raises InvalidInput for what it does not offer.

    A kit is never bought: its components are what lies on a shelf.
    """
    rows = SupplierItem.objects.filter(supplier=supplier, variant__in=[row.variant.pk for row in needed])
    rows = rows.filter(variant__components=None)
    items = {item.variant_id: item for item in rows.select_related("pack")}
    wrong = [
        (f"lines[{place}].productId", f"{supplier.code} does not offer {row.variant.sku}.")
        for place, row in enumerate(needed)
        if row.variant.pk not in items
    ]
    if wrong:
        raise InvalidInput.of(wrong)
    return items


def _line(order: PurchaseOrder, number: int, row: Needed, item: SupplierItem) -> PurchaseOrderLine:
    cost = item.cost if item.currency == order.currency else None
    return PurchaseOrderLine(
        order=order,
        line_number=number,
        variant=row.variant,
        supplier_code=item.supplier_code,
        quantity=row.quantity,
        pack_name=item.pack.name if item.pack else "",
        pack_quantity=_pack_quantity(item) or 1,
        unit_cost=cost if row.unit_cost is None else row.unit_cost,
    )


def _end(
    order: PurchaseOrder, lines: Sequence[PurchaseOrderLine], received: Mapping[int, int], closing: Closing, *,
    actor: Actor, at: datetime, only: Sequence[int] | None = None,
) -> PurchaseOrder:  # fmt: skip
    """Wait no longer for what is open of the order (or of `only` these lines)."""
    ended = [line for line in lines if line.open_quantity(received.get(line.pk, 0))]
    ended = [line for line in ended if only is None or line.line_number in only]
    for line in ended:
        line.closing = closing
    PurchaseOrderLine.objects.bulk_update(ended, ["closing"])
    if received or closing == Closing.SHORT:
        reason = "closed short" if closing == Closing.SHORT else "the rest cancelled"
        awaiting.finish(order=order, lines=lines, received=received, reason=reason)
    else:
        awaiting.step(order=order, status=Status.CANCELLED, reason="purchase order cancelled")
        awaiting.expect(order=order, lines=lines, received=received)
    if closing == Closing.CANCELLED and order.sent_at:
        awaiting.tell(order=order, event_type="purchase_order.cancelled", actor=actor, at=at)
    return order
