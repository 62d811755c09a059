"""Goods come to the dock: against an order, a ship notice, or neither.

How much of an order is still open is reckoned under the lock of its lines from what was received, never copied.
Lock order: the receipt's number on the supplier's paper, purchase orders by id, their lines by id, the ship
notice, batches, levels by id.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction

from orders.deliveries import Agreed, Awaited
from orders.models import (
    AdvanceShipNotice,
    NoticeLine,
    PurchaseOrder,
    PurchaseOrderLine,
    Receipt,
    ReceiptLine,
)
from orders.operations import announcing, awaiting, sorting
from orders.operations.sorting import Arrived, Piece
from partners import outbox
from partners.actors import Actor
from partners.models import Partner
from partners.problems import Conflict, IllegalStep, InvalidInput
from stock.models import Batch, CostNote, Warehouse
from stock.operations import receiving as dock
from stock.operations import valuing
from stock.operations.receiving import Goods, Labelled
from stock.operations.valuing import Cost

Closing = PurchaseOrderLine.Closing
TAKES_GOODS = {PurchaseOrder.Status.SENT, PurchaseOrder.Status.CONFIRMED, PurchaseOrder.Status.RECEIVED}


class DeliveryNoteReused(Conflict):
    """The supplier's delivery note is booked with another content. Data: receiptId."""

    code = "delivery_note_reused"
    title = "This delivery note stands for something else"
    remedy = "Check the number of the delivery note; the receipt that has it is named."


@transaction.atomic
def receive(
    *,
    warehouse: Warehouse,
    arrived: Sequence[Arrived],
    actor: Actor,
    at: datetime,
    order: PurchaseOrder | None = None,
    notice: AdvanceShipNotice | None = None,
    supplier: Partner | None = None,
    delivery_note: str = "",
    is_over_accepted: bool = False,
) -> tuple[Receipt, bool]:
    """Book what came and where it was put. Returns (receipt, whether it is new).

    Against an order or a ship notice units are put down to what is open; without either they are received
    blind. What the supplier's terms say is held goes to quarantine, until it is lifted from there. With
    `is_over_accepted` (for staff who may) what is above the tolerance is booked too, and marked. A line that
    lacks no more than its tolerance is done. The same delivery note with the same content answers the receipt
    already there; without a delivery note twice books twice.

    Raises OverDelivery, DeliveryNoteReused (data: receiptId), IllegalStep for an order or notice that takes no
    goods, InvalidInput at `lines[…]` for what is not on it and for labels that do not fit, and what stock
    refuses. Nothing is booked then.
    """
    supplier = order.supplier if order else notice.supplier if notice else supplier
    if delivery_note and supplier is None:
        raise InvalidInput.at("supplierId", "A delivery note is a supplier's; say whose.")
    receipt = Receipt(
        supplier=supplier,
        order=order,
        notice=notice,
        warehouse=warehouse,
        delivery_note=delivery_note,
        is_over_accepted=is_over_accepted,
        actor=actor.label,
        posted_at=at,
    )
    receipt.fingerprint = _fingerprint(receipt, arrived)
    if earlier := _claim_note(receipt):
        return earlier, False
    orders, lines, announced = _lock(receipt)
    if not arrived:
        raise InvalidInput.at("lines", "Say what came.")
    arrived = [sorting.labelled(row=row, announced=announced) for row in arrived]
    terms = sorting.agreed(supplier=supplier, variants=[row.variant for row in arrived])
    received = ReceiptLine.objects.received(order_line__in=lines)
    books = {line.pk: sorting.awaited(line=line, received=received, terms=terms) for line in lines}
    pieces = sorting.pieces(receipt=receipt, arrived=arrived, lines=lines, announced=announced, books=books)
    if not is_over_accepted:
        sorting.check_over(books=books, lines={line.pk: line for line in lines})
    labels = [
        Labelled(variant=row.variant, batch_number=row.batch_number, expires_on=row.expires_on) for row in arrived
    ]
    batches = dock.know_batches(labels=labels, supplier=supplier, actor=actor)
    today = at.astimezone(ZoneInfo(warehouse.time_zone)).date()
    held = [
        part
        for piece in pieces
        for part in sorting.hold(piece=piece, batch=batches[piece.place], terms=terms, today=today)
    ]
    put_down = sorting.with_serials(held)
    movement_ids = _put_down(receipt, put_down, batches, books, actor=actor, at=at)
    _tell_costs(receipt, put_down, movement_ids, orders, at=at)
    _end_lines(orders, lines, books, received, terms)
    if receipt.notice:
        _end_notice(receipt.notice)
    _tell(receipt, held, actor=actor, at=at)
    return receipt, True


def booked_as_announced(*, notice: AdvanceShipNotice, delivery_note: str) -> Receipt | None:
    """The receipt by which this delivery note was booked of the notice: said again without lines, it is meant."""
    return Receipt.objects.filter(notice=notice, delivery_note=delivery_note).first() if delivery_note else None


def as_announced(*, notice: AdvanceShipNotice) -> list[Arrived]:
    """All of a ship notice that has not come yet, as its labels say. Two queries."""
    came = sorting.came(notice)
    left = [
        (line, line.quantity - came.get(line.pk, 0)) for line in notice.lines.select_related("variant__product_type")
    ]
    return [
        Arrived(
            variant=line.variant,
            quantity=quantity,
            batch_number=line.batch_number,
            expires_on=line.expires_on,
            serials=tuple(line.serial_numbers[-quantity:]),
        )
        for line, quantity in left
        if quantity > 0
    ]


# -- Looking


def _lock(receipt: Receipt) -> tuple[dict[int, PurchaseOrder], list[PurchaseOrderLine], list[NoticeLine]]:
    """The orders concerned and their lines, and those of the notice, locked. Raises IllegalStep, InvalidInput."""
    order_ids = {receipt.order_id} if receipt.order_id else set()
    if receipt.notice:
        said = receipt.notice.lines.exclude(order_line=None)
        order_ids |= set(said.values_list("order_line__order", flat=True))
    orders, lines = awaiting.lock_all(pk for pk in order_ids if pk)
    for order in orders.values():
        if order.status not in TAKES_GOODS:
            raise IllegalStep(
                f"{order} is {order.status} and takes no goods.",
                currentStatus=order.status,
                allowedFrom=sorted(TAKES_GOODS),
            )
        _check_dock(receipt, order.warehouse)
    announced: list[NoticeLine] = []
    if receipt.notice:
        notice = AdvanceShipNotice.objects.select_related("warehouse").lock().get(pk=receipt.notice.pk)
        if notice.status != AdvanceShipNotice.Status.ANNOUNCED:
            raise IllegalStep(
                f"{notice} is {notice.status}.",
                currentStatus=notice.status,
                allowedFrom=[str(AdvanceShipNotice.Status.ANNOUNCED)],
            )
        _check_dock(receipt, notice.warehouse)
        receipt.notice = notice
        announced = list(notice.lines.order_by("id"))
    return orders, lines, announced


def _check_dock(receipt: Receipt, meant: Warehouse) -> None:
    if meant.pk != receipt.warehouse_id:
        raise InvalidInput.at("warehouseLocation", f"These goods go to {meant.code}; book them there.")


# -- Writing


def _claim_note(receipt: Receipt) -> Receipt | None:
    """Save the header; where the delivery note is booked, answer by which receipt. Twins wait here."""
    try:
        with transaction.atomic():
            receipt.save()
    except IntegrityError as error:
        if "receipt_delivery_note_once_per_supplier" not in str(error):
            raise
    else:
        return None
    earlier = Receipt.objects.get(supplier=receipt.supplier, delivery_note=receipt.delivery_note)
    if earlier.fingerprint != receipt.fingerprint:
        raise DeliveryNoteReused(
            f"Delivery note {receipt.delivery_note} is booked with another content.", receiptId=earlier.number
        )
    return earlier


def _put_down(
    receipt: Receipt, pieces: Sequence[Piece], batches: Sequence[Batch | None], books: Mapping[int, Awaited], *,
    actor: Actor, at: datetime,
) -> list[int]:  # fmt: skip
    """Book the pieces into the warehouse, and write a line for each; the ledger's rows."""
    movement_ids = dock.receive(
        warehouse=receipt.warehouse,
        goods=[
            Goods(
                line=piece.place,
                variant=piece.row.variant,
                batch=batches[piece.place],
                quantity=piece.quantity,
                condition=piece.condition,
                location_code=piece.row.location_code,
                serials=piece.serials,
                reason=piece.hold,
            )
            for piece in pieces
        ],
        reference=receipt.number,
        actor=actor,
        at=at,
    )
    ReceiptLine.objects.bulk_create(
        ReceiptLine(
            receipt=receipt,
            order_line=piece.order_line,
            notice_line=piece.notice_line,
            variant=piece.row.variant,
            quantity=piece.quantity,
            batch=batches[piece.place],
            condition=piece.condition,
            outcome=sorting.outcome(piece=piece, books=books),
            hold=piece.hold,
            movement_id=movement_id,
        )
        for piece, movement_id in zip(pieces, movement_ids, strict=True)
    )
    return movement_ids


def _tell_costs(
    receipt: Receipt, pieces: Sequence[Piece], movement_ids: Sequence[int], orders: Mapping[int, PurchaseOrder],
    *, at: datetime,
) -> None:  # fmt: skip
    """What was agreed is what the goods are worth, until freight and duty come."""
    priced = [
        (piece.order_line, piece.order_line.unit_cost, piece.quantity, movement_id)
        for piece, movement_id in zip(pieces, movement_ids, strict=True)
        if piece.order_line and piece.order_line.unit_cost is not None
    ]
    valuing.tell(
        costs=[
            Cost(movement_id=pk, amount=each * units, currency=orders[line.order_id].currency)
            for line, each, units, pk in priced
        ],
        kind=CostNote.Kind.PRICE,
        reference=receipt.number,
        at=at,
    )


def _end_lines(
    orders: Mapping[int, PurchaseOrder], lines: Sequence[PurchaseOrderLine], books: Mapping[int, Awaited],
    received: Mapping[int, int], terms: Mapping[int, Agreed],
) -> None:  # fmt: skip
    """Lines that lack no more than their tolerance are done, and each order goes to where that takes it."""
    total = {line.pk: received.get(line.pk, 0) + books[line.pk].taken for line in lines}
    near = [
        line
        for line in lines
        if books[line.pk].taken and terms[line.variant_id].enough(line.expected) <= total[line.pk] < line.expected
        and not line.closing
    ]  # fmt: skip
    for line in near:
        line.closing = Closing.TOLERANCE
    PurchaseOrderLine.objects.bulk_update(near, ["closing"])
    for order in orders.values():
        its = [line for line in lines if line.order_id == order.pk]
        if any(books[line.pk].taken for line in its):
            so_far = {line.pk: total[line.pk] for line in its if total[line.pk]}
            awaiting.finish(order=order, lines=its, received=so_far, reason="goods received")


def _end_notice(notice: AdvanceShipNotice) -> None:
    """When all of it came, nothing of it is on its way any more. Needs its lock."""
    came = sorting.came(notice)
    if all(came.get(line.pk, 0) >= line.quantity for line in notice.lines.all()):
        announcing.end(notice=notice, status=AdvanceShipNotice.Status.RECEIVED, reason="all of it received")


def _tell(receipt: Receipt, pieces: Sequence[Piece], *, actor: Actor, at: datetime) -> None:
    """Tell the supplier and who runs the warehouse; like an order's, without lines."""
    supplier, notice = receipt.supplier, receipt.notice
    facts = {
        "receiptId": receipt.number,
        "supplierId": supplier.code if supplier else None,
        "purchaseOrderId": receipt.order.number if receipt.order else None,
        "asnId": notice.number if notice else None,
        "warehouseLocation": receipt.warehouse.code,
        "deliveryNote": receipt.delivery_note,
        "overQuantity": sum(piece.quantity for piece in pieces if piece.is_over),
        "heldQuantity": sum(piece.quantity for piece in pieces if piece.hold),
    }
    outbox.record(
        "receipt.posted",
        subject=f"receipt/{receipt.number}",
        payload=facts,
        actor=actor,
        at=at,
        addressee_ids=[receipt.supplier_id, receipt.warehouse.operator_id],
    )


def _fingerprint(receipt: Receipt, arrived: Sequence[Arrived]) -> str:
    """What a delivery note stands for. Whether more was accepted is not of the paper."""
    rows = Counter(
        (row.variant.sku, row.quantity, row.batch_number, str(row.expires_on), row.condition, row.location_code,
         row.serials)
        for row in arrived
    )  # fmt: skip
    said = [sorted(rows.items()), receipt.order_id, receipt.notice_id, receipt.warehouse.code]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
