"""A warehouse's own clock: what happens to its fulfilment requests is numbered without gaps, in commit order.

The row of the clock is locked from the tick to the end of the transaction: whoever commits later got a higher
number, and nobody ever sees n + 1 before n. So a snapshot of a warehouse's stock may say "what left from 10 to
12 is in it". Several warehouses tick in the order of their ids, once in a transaction and last of all.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from orders.models import FulfilmentItem, FulfilmentRequest, Stamp
from partners import outbox
from partners.actors import Actor

EVENTS = {
    Stamp.Kind.ASSIGNED: "fulfillment_request.assigned",
    Stamp.Kind.COMPLETED: "fulfillment_request.completed",
    Stamp.Kind.FAILED: "fulfillment_request.failed",
}


@dataclass(frozen=True, kw_only=True)
class Note:
    request: FulfilmentRequest
    kind: Stamp.Kind
    item: FulfilmentItem | None = None
    quantity: int | None = None


class Ticks:
    """What is to be stamped at the end of a transaction, in the order it was noted."""

    def __init__(self, *, actor: Actor, at: datetime) -> None:
        self.actor, self.at = actor, at
        self.notes: list[Note] = []

    def note(
        self,
        request: FulfilmentRequest,
        kind: Stamp.Kind,
        item: FulfilmentItem | None = None,
        quantity: int | None = None,
    ) -> None:
        self.notes.append(Note(request=request, kind=kind, item=item, quantity=quantity))

    def write(self) -> None:
        """Stamp all that was noted, and tell the feed. The last that a transaction locks; called once in it."""
        if not self.notes:
            return
        notes = sorted(self.notes, key=lambda note: note.request.warehouse_id)
        stamps: list[Stamp] = []
        free = _tick(Counter(note.request.warehouse_id for note in notes))
        for note in notes:
            warehouse_id = note.request.warehouse_id
            note.request.logical_timestamp = free[warehouse_id]
            free[warehouse_id] += 1
            stamps.append(
                Stamp(
                    warehouse_id=warehouse_id, logical_timestamp=note.request.logical_timestamp, request=note.request,
                    item=note.item, kind=note.kind, quantity=note.quantity, at=self.at,
                )
            )  # fmt: skip
        Stamp.objects.bulk_create(stamps)
        last = {stamp.request_id: stamp.logical_timestamp for stamp in stamps}
        FulfilmentRequest.objects.bulk_update(
            [FulfilmentRequest(pk=pk, logical_timestamp=number) for pk, number in last.items()], ["logical_timestamp"]
        )
        by_fact: dict[tuple[int, str], list[Stamp]] = defaultdict(list)
        for stamp in stamps:
            by_fact[stamp.request_id, stamp.kind].append(stamp)
        items: dict[int, list[FulfilmentItem]] = defaultdict(list)
        for item in (
            FulfilmentItem.objects.filter(request__in=last).select_related("order_line__variant").order_by("id")
        ):
            items[item.request_id].append(item)
        outbox.record_all([self._letter(found, items[found[0].request_id]) for found in by_fact.values()])
        self.notes = []

    def _letter(self, stamps: list[Stamp], items: list[FulfilmentItem]) -> Any:
        request = stamps[0].request
        told = {stamp.item_id: stamp for stamp in stamps}
        return outbox.letter(
            EVENTS[Stamp.Kind(stamps[0].kind)],
            subject=f"fulfillmentRequest/{request.number}",
            payload={
                "fulfillmentRequestId": request.number,
                "orderId": request.order.number,
                "warehouseLocation": request.warehouse.code,
                "status": request.status,
                "logicalTimestamp": stamps[-1].logical_timestamp,
                **({"reason": request.failure} if stamps[0].kind == Stamp.Kind.FAILED else {}),
                "items": [
                    {
                        "lineId": row.order_line.line_id,
                        "productId": row.order_line.variant.sku,
                        "quantity": told[row.pk].quantity if row.pk in told else row.quantity,
                        **({"logicalTimestamp": told[row.pk].logical_timestamp} if row.pk in told else {}),
                    }
                    for row in items
                    if None in told or row.pk in told
                ],
            },
            actor=self.actor,
            at=self.at,
            addressee_ids=[request.warehouse.operator_id, request.order.partner_id, request.order.placed_by_id],
        )


def _tick(counts: Mapping[int, int]) -> dict[int, int]:
    """Take so many of the next timestamps of each warehouse; returns the first of each. Locks the clocks by id."""
    ids = sorted(counts)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO orders_warehouseclock AS clock (warehouse_id, last)
            SELECT warehouse_id, count FROM unnest(%s::bigint[], %s::bigint[]) asked (warehouse_id, count)
             ORDER BY warehouse_id
            ON CONFLICT (warehouse_id) DO UPDATE SET last = clock.last + excluded.last RETURNING warehouse_id, last
            """,
            [ids, [counts[warehouse_id] for warehouse_id in ids]],
        )
        return {warehouse_id: last - counts[warehouse_id] + 1 for warehouse_id, last in cursor.fetchall()}
