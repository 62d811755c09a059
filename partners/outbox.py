"""The letter box: a fact is dropped in here by the operation that made it.

Nothing leaves the building from here. The relay (operations/feed.py) gives each event its place in the
feed after commit; consumers read the feed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from partners import actors, rows
from partners.actors import Actor
from partners.models import OutboxEvent

TYPES: dict[str, str] = {
    "inventory.updated": "A level changed. A state: it carries levels and versions and may be coalesced.",
    "inventory.low": "Available stock fell below a threshold.",
    "inventory.shortage": "Less is there than was promised; the youngest promises were broken.",
    "reservation.expired": "A reservation ran out before it was committed; its stock is free again.",
    "order.created": "An order was placed and its stock is promised.",
    "order.amended": "Lines of an order changed; what it no longer wants is free again.",
    "shortage.resolved": "Units of an order that lacked a promise were seen to: `remedy` says how.",
    "order.confirmed": "An order was accepted for fulfilment.",
    "order.packed": "All of an order is packed.",
    "order.shipped": "Goods of an order left a warehouse.",
    "order.delivered": "All shipments of an order arrived.",
    "order.cancelled": "An order was cancelled; what it still held is free again.",
    "fulfillment_request.assigned": "A warehouse was asked to fulfil.",
    "fulfillment_request.failed": "A warehouse could not fulfil.",
    "fulfillment_request.completed": "A warehouse fulfilled.",
    "shipment.created": "A shipment was booked, with its tracking number.",
    "return.received": "Returned goods arrived and wait for inspection.",
    "return.withdrawn": "Returned goods do not come after all; what was ordered in exchange is called off.",
    "return.inspected": "Returned goods were inspected and put where they belong.",
    "warranty_claim.settled": "What came back under warranty was scrapped or returned to its maker.",
    "sale.posted": "A shop's device reported sales; what the book did not have was found and is to be counted.",
    "purchase_order.sent": "A purchase order was sent to a supplier.",
    "purchase_order.confirmed": "A supplier said what it will deliver, and when.",
    "purchase_order.cancelled": "What had not come of a purchase order was called off.",
    "receipt.posted": "Goods were received.",
    "transfer.dispatched": "Goods left a warehouse for another and are in transit.",
    "transfer.arrived": "Goods of a transfer arrived; what did not is said.",
    "count.posted": "A count was posted; its differences are in the ledger.",
    "feedback.received": "Feedback was taken; of a discrepancy, the product is counted.",
    "feedback.answered": "Feedback was answered; read it at /feedback.",
    "feedback.closed": "Feedback was closed; nothing more is to be done.",
    "batch.quarantined": "A batch is held back everywhere until it is looked at.",
    "batch.released": "A batch that was held back may be promised again.",
    "batch.recalled": "A batch was recalled and is blocked everywhere.",
    "import.applied": "An import was applied.",
    "webhook.stopped": "An endpoint of yours gets no more letters until you resume it; `statusReason` says why.",
}


class NotInTransaction(RuntimeError):
    """An event was recorded outside the transaction of its fact; the two could part."""


def record_all(letters: Sequence[OutboxEvent]) -> list[OutboxEvent]:
    """Owe many facts at once, in this order. One statement."""
    if not transaction.get_connection().in_atomic_block:
        raise NotInTransaction(", ".join(sorted({event.type for event in letters})))
    return list(rows.insert(letters))


def letter(
    event_type: str,
    *,
    subject: str,
    payload: dict[str, Any],
    actor: Actor,
    at: datetime,
    addressee_ids: Iterable[int | None] = (),
    about_stock: tuple[str, Iterable[int]] | None = None,
) -> OutboxEvent:
    """What is to be recorded. `addressee_ids` are partners told by name (None is skipped).

    `about_stock` is (warehouse code, ids of the product's suppliers) and tells everybody whose grants cover both.
    """
    if event_type not in TYPES:
        raise ValueError(f"{event_type} is not in the catalogue of events.")
    warehouse_code, supplier_ids = about_stock or ("", ())
    return OutboxEvent(
        type=event_type,
        subject=subject,
        payload=payload,
        occurred_at=at,
        actor=actor.label,
        request_id=actors.current_request_id(),
        addressee_ids=sorted({partner_id for partner_id in addressee_ids if partner_id is not None}),
        is_about_stock=about_stock is not None,
        warehouse_code=warehouse_code,
        supplier_ids=sorted(set(supplier_ids)),
    )


def _at_once[**P](write: Callable[P, OutboxEvent]) -> Callable[P, OutboxEvent]:
    def record(*args: P.args, **kwargs: P.kwargs) -> OutboxEvent:
        [event] = record_all([write(*args, **kwargs)])
        return event

    return record


record = _at_once(letter)
"""Owe the outside world one fact: what `letter` says, in the transaction that made it."""
