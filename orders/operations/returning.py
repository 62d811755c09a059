"""Goods come back: announced, received into quarantine, inspected and put where they belong.

A line may ask for another product in exchange: it is ordered as the return is announced, and goes out when the goods
are here. What is claimed under warranty is replaced when it was inspected. Lock order: orders by id, return, levels
by id, and the clocks of the warehouses.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import F

from catalog.models import KitComponent
from orders.models import Order, OrderLine, Return, ReturnLine, WarrantyClaim
from orders.operations import claiming, judging, ordering, pieces, replacing, returnable
from orders.operations.judging import Disposition, Verdict
from orders.operations.pieces import Piece
from orders.operations.returnable import ComingBack
from partners.actors import Actor
from partners.problems import IllegalStep
from stock import ledger
from stock.models import Level, Location, Movement, Warehouse
from stock.operations import warehouses

QUARANTINE = Level.Condition.QUARANTINE


@transaction.atomic
def announce(*, order: Order, coming: Sequence[ComingBack], actor: Actor, at: datetime) -> Return:
    """Expect goods back, and promise at once what is wanted in exchange: a pending order, linked line by line.

    It is confirmed when the goods are received. It may wait for stock where the order it comes from might. Locks the
    order, so that two cannot announce the same unit. Announced twice is two returns, as far as there are units.

    Raises OverReturn (data: productId, requested, returnable), InsufficientStock for an exchange, and InvalidInput
    for a batch not shipped, and for the serial number of a unit that did not leave on this order or is announced
    already. Nothing is expected and nothing promised then.
    """
    locked = Order.objects.lock().get(pk=order.pk)
    wanted: dict[int, int] = defaultdict(int)
    for row in coming:
        wanted[row.line.pk] += row.quantity
    for line in OrderLine.objects.filter(pk__in=wanted).select_related("variant"):
        returnable.check_quantity(
            sku=line.variant.sku, requested=wanted[line.pk], returnable=line.shipped - line.returned
        )
    returnable.check_units(order=order, coming=coming)
    batches = returnable.batches(coming=coming)
    announced = Return.objects.create(order=locked, announced_at=at)
    lines = ReturnLine.objects.bulk_create(
        ReturnLine(
            return_of=announced,
            order_line=row.line,
            batch=batch,
            quantity=row.quantity,
            reason=row.reason,
            serial_number=row.serial_number,
            exchange_for=row.exchange_for.sku if row.exchange_for else "",
        )
        for row, batch in zip(coming, batches, strict=True)
    )
    for line_id, quantity in wanted.items():
        OrderLine.objects.filter(pk=line_id).update(returned=F("returned") + quantity)
    Order.objects.filter(pk=order.pk).update(version=F("version") + 1)
    instead = [(line, row.exchange_for) for line, row in zip(lines, coming, strict=True) if row.exchange_for]
    if instead:
        replacing.place(
            returned=announced, instead=instead, reference=announced.number, may_wait=locked.allow_backorder,
            actor=actor, at=at,
        )  # fmt: skip
    return announced


@transaction.atomic
def withdraw(*, returned: Return, actor: Actor, at: datetime) -> Return:
    """The goods do not come after all: they count as the customer's again, and what was ordered in exchange is called
    off. Withdrawn twice answers the same. Raises IllegalStep once they are received."""
    locked, exchanged = replacing.lock_with_orders(returned)
    if locked.status == Return.Status.WITHDRAWN:
        return locked
    _must_be(locked, Return.Status.ANNOUNCED)
    for line in locked.lines.all():
        OrderLine.objects.filter(pk=line.order_line_id).update(returned=F("returned") - line.quantity)
    Order.objects.filter(pk=locked.order_id).update(version=F("version") + 1)
    for order in exchanged:
        ordering.cancel(order=order, actor=actor, at=at)
    return _step(locked, Return.Status.WITHDRAWN, actor=actor, at=at)


@transaction.atomic
def receive(*, returned: Return, warehouse: Warehouse, actor: Actor, at: datetime) -> Return:
    """The goods are here: booked into quarantine, so that nobody sells them before they are looked at.

    A kit comes back as its components. What was ordered in exchange is confirmed, unless it was called off. Received
    twice in the same warehouse answers the same. Raises IllegalStep, and what the list of serial numbers refuses.
    """
    locked, exchanged = replacing.lock_with_orders(returned)
    if locked.status == Return.Status.RECEIVED and locked.warehouse_id == warehouse.pk:
        return locked
    _must_be(locked, Return.Status.ANNOUNCED)
    bin_ = warehouses.default_location(warehouse)
    ledger.post(
        [
            pieces.posting(
                piece=piece,
                source=ledger.virtual(Location.Kind.CUSTOMER),
                target=ledger.Place(location_id=bin_.pk, condition=QUARANTINE),
                kind=Movement.Kind.RETURN,
                reason=piece.line.reason,
                reference=locked.number,
            )
            for line in pieces.lines_of(locked)
            for piece in pieces.shipped(line)
        ],
        actor=actor,
        at=at,
    )
    _step(locked, Return.Status.RECEIVED, actor=actor, at=at, warehouse=warehouse)
    replacing.confirm(orders=exchanged, actor=actor, at=at)
    return locked


@transaction.atomic
def inspect(*, returned: Return, verdicts: Sequence[Verdict], actor: Actor, at: datetime) -> Return:
    """Decide for every unit; each goes from quarantine to where its disposition says.

    What is claimed under warranty goes to the warranty pool, from where nothing is sold, and the same product goes
    out for it in a linked, confirmed order, which waits where there is none; unless an exchange was ordered already.
    Verdicts must cover the return exactly. Inspected twice is an IllegalStep: what was decided stands, and
    corrections are movements. Raises CannotRestock, NoWarranty, WarrantyOver and InvalidInput; nothing has moved then.
    """
    locked, _ = replacing.lock_with_orders(returned)
    _must_be(locked, Return.Status.RECEIVED)
    if locked.warehouse is None:
        raise IllegalStep("It was received nowhere.", currentStatus=locked.status)
    settled = judging.settle(returned=locked, verdicts=verdicts)
    claims = _claims(settled)
    judged = pieces.received(returned=locked, settled=settled)
    postings = _postings(locked, warehouses.default_location(locked.warehouse), judged, claims)
    _hold_levels(postings, [claim.line for claim in claims.values() if claim.line.replacement_id is None])
    restocked = [piece for piece, disposition in judged if disposition == Disposition.RESTOCK]
    judging.check_restock(judged=restocked, warehouse=locked.warehouse, at=at)
    ledger.post(postings, actor=actor, at=at)
    claimed = []
    for line, row in zip([line for line, *_ in settled], judging.write_down(settled), strict=True):
        if row.disposition == Disposition.WARRANTY_CLAIM:
            claims[line.pk].line = row
            claimed.append(row)
    claiming.keep(claims=list(claims.values()), actor=actor, at=at)
    instead = [(row, row.order_line.variant) for row in claimed if row.replacement_id is None]
    placed = (
        replacing.place(
            returned=locked, instead=instead, reference=f"{locked.number}-W", may_wait=True, actor=actor, at=at
        )
        if instead
        else None
    )
    _step(locked, Return.Status.INSPECTED, actor=actor, at=at)
    replacing.confirm(orders=[placed] if placed else [], actor=actor, at=at)
    return locked


Settled = tuple[ReturnLine, str, int]


def _claims(settled: Sequence[Settled]) -> dict[int, WarrantyClaim]:
    """By line, what is claimed of it, checked line after line: two of one batch do not count on the same units."""
    claims: dict[int, WarrantyClaim] = {}
    used: Counter[tuple[int, int | None]] = Counter()
    for line, disposition, quantity in settled:
        if disposition == Disposition.WARRANTY_CLAIM:
            same = line.order_line_id, line.batch_id
            claims[line.pk] = claiming.check(line=line, quantity=quantity, used=used[same])
            used[same] += quantity
    return claims


def _postings(
    returned: Return, bin_: Location, judged: Sequence[tuple[Piece, str]], claims: Mapping[int, WarrantyClaim]
) -> list[ledger.Posting]:
    """What moves, under the return's number; into the warranty pool under the claim's, by which it leaves again."""
    postings = []
    for piece, disposition in judged:
        if place := judging.PLACES.get(disposition):
            is_claimed = disposition == Disposition.WARRANTY_CLAIM
            postings.append(
                pieces.posting(
                    piece=piece,
                    source=ledger.Place(location_id=bin_.pk, condition=QUARANTINE),
                    target=judging.target(place=place, bin_=bin_),
                    kind=Movement.Kind.DISPOSITION,
                    reason=disposition,
                    reference=claims[piece.line.pk].number if is_claimed else returned.number,
                )
            )
    return postings


def _hold_levels(postings: Sequence[ledger.Posting], replaced: Sequence[ReturnLine]) -> None:
    """Lock in one go, in id order, what the goods move between and what their replacements may be promised from."""
    ends = [posting.side(end) for posting in postings for end in (posting.source, posting.target) if not end.is_virtual]
    variant_ids = {line.order_line.variant_id for line in replaced}
    variant_ids |= set(KitComponent.objects.filter(kit__in=variant_ids).values_list("component", flat=True))
    promised = Level.objects.filter(variant__in=variant_ids).values_list("pk", flat=True)
    ledger.lock([*ledger.ensure(ends), *promised])


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
