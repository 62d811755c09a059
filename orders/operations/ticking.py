"""A warehouse's own clock: what happens to its fulfilment requests is numbered without gaps, in commit order.

The row of the clock is locked from the tick to the end of the transaction: whoever commits later got a higher
number, and nobody ever sees n + 1 before n. So a snapshot of a warehouse's stock may say "what left from 10 to
12 is in it". Several warehouses tick in the order of their ids, once in a transaction and last of all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from orders.models import FulfilmentItem, FulfilmentRequest, Stamp
from partners import outbox, prepared
from partners.actors import Actor
from stock.operations import stamping
from stock.operations.stamping import Departed

EVENTS = {
    Stamp.Kind.ASSIGNED: "fulfillment_request.assigned",
    Stamp.Kind.COMPLETED: "fulfillment_request.completed",
    Stamp.Kind.FAILED: "fulfillment_request.failed",
}

STAMP = f"""
    WITH noted AS (
        SELECT note.*, row_number() OVER (PARTITION BY warehouse_id ORDER BY place) AS ticks
          FROM unnest({prepared.BIGINTS}, %s::bigint[], %s::bigint[], %s::text[], %s::bigint[])
               WITH ORDINALITY note (warehouse_id, request_id, item_id, kind, quantity, place)
    ), counted AS (
        SELECT warehouse_id, max(ticks) AS ticks FROM noted GROUP BY warehouse_id
    ), clock AS (
        INSERT INTO orders_warehouseclock AS clock (warehouse_id, last)
        SELECT warehouse_id, ticks FROM counted ORDER BY warehouse_id
        ON CONFLICT (warehouse_id) DO UPDATE SET last = clock.last + excluded.last RETURNING warehouse_id, last
    ), numbered AS (
        SELECT noted.*, clock.last - counted.ticks + noted.ticks AS number
          FROM noted JOIN clock USING (warehouse_id) JOIN counted USING (warehouse_id)
    ), stamped AS (
        INSERT INTO orders_stamp (warehouse_id, logical_timestamp, request_id, item_id, kind, quantity, at)
        SELECT warehouse_id, number, request_id, item_id, kind, quantity, %s FROM numbered ORDER BY place
    ), told AS (
        UPDATE orders_fulfilmentrequest request SET logical_timestamp = latest.number
          FROM (SELECT request_id, max(number) AS number FROM numbered GROUP BY request_id) latest
         WHERE request.id = latest.request_id
    )
    SELECT number FROM numbered ORDER BY place
"""  # noqa: S608  the parts are our own
ITEMS = f"""
    SELECT item.request_id, item.id, line.line_id, variant.sku, item.quantity
      FROM orders_fulfilmentitem item
      JOIN orders_orderline line ON line.id = item.order_line_id
      JOIN catalog_variant variant ON variant.id = line.variant_id
     WHERE item.request_id = ANY({prepared.BIGINTS})
     ORDER BY item.id
"""  # noqa: S608  the parts are our own


class Item(NamedTuple):
    """What a warehouse is asked for, as its letters name it."""

    pk: int
    line_id: str
    sku: str
    quantity: int


class Part(NamedTuple):
    """So many units of ours of one variant and batch, as they left the shelf."""

    variant_id: int
    batch_id: int | None
    quantity: int


@dataclass(frozen=True, kw_only=True)
class Note:
    request: FulfilmentRequest
    kind: Stamp.Kind
    item: FulfilmentItem | None = None
    quantity: int | None = None
    parts: Sequence[Part] = ()


class Stamped(NamedTuple):
    note: Note
    logical_timestamp: int


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
        parts: Sequence[Part] = (),
    ) -> None:
        self.notes.append(Note(request=request, kind=kind, item=item, quantity=quantity, parts=parts))

    def write(self) -> None:
        """Stamp all that was noted, and tell the feed. The last that a transaction locks; called once in it."""
        if not self.notes:
            return
        notes = sorted(self.notes, key=lambda note: note.request.warehouse_id)
        by_fact: dict[tuple[int, Stamp.Kind], list[Stamped]] = defaultdict(list)
        departed: list[Departed] = []
        for note, number in zip(notes, _stamp(notes, self.at), strict=True):
            note.request.logical_timestamp = number
            departed += [Departed(note.request.warehouse_id, number, *part) for part in note.parts]
            by_fact[note.request.pk, note.kind].append(Stamped(note, number))
        stamping.keep(departed=departed)
        items: dict[int, list[Item]] = defaultdict(list)
        for request_id, *item in prepared.fetch(ITEMS, [prepared.bigints({note.request.pk for note in notes})]):
            items[request_id].append(Item(*item))
        outbox.record_all([self._letter(found, items[request_id]) for (request_id, _), found in by_fact.items()])
        self.notes = []

    def _letter(self, stamps: list[Stamped], items: list[Item]) -> Any:
        note = stamps[0].note
        request = note.request
        told = {stamp.note.item.pk if stamp.note.item else None: stamp for stamp in stamps}
        return outbox.letter(
            EVENTS[note.kind],
            subject=f"fulfillmentRequest/{request.number}",
            payload={
                "fulfillmentRequestId": request.number,
                "orderId": request.order.number,
                "warehouseLocation": request.warehouse.code,
                "status": request.status,
                "logicalTimestamp": stamps[-1].logical_timestamp,
                **({"reason": request.failure} if note.kind == Stamp.Kind.FAILED else {}),
                "items": [
                    {
                        "lineId": item.line_id,
                        "productId": item.sku,
                        "quantity": told[item.pk].note.quantity if item.pk in told else item.quantity,
                        **({"logicalTimestamp": told[item.pk].logical_timestamp} if item.pk in told else {}),
                    }
                    for item in items
                    if None in told or item.pk in told
                ],
            },
            actor=self.actor,
            at=self.at,
            addressee_ids=[request.warehouse.operator_id, request.order.partner_id, request.order.placed_by_id],
        )


def _stamp(notes: Sequence[Note], at: datetime) -> list[int]:
    """Give each note the next timestamp of its warehouse, in their order. Locks the clocks by id."""
    rows = prepared.fetch(
        STAMP,
        [
            prepared.bigints(note.request.warehouse_id for note in notes),
            prepared.bigints(note.request.pk for note in notes),
            prepared.bigints(note.item.pk if note.item else None for note in notes),
            [str(note.kind) for note in notes],
            prepared.bigints(note.quantity for note in notes),
            at,
        ],
    )
    return [number for (number,) in rows]
