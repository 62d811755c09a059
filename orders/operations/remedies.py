"""What is short is seen to: sent from elsewhere, substituted, split off, put off, or cancelled.

Each remedy is one transaction under the order's lock, takes no more units than are short there and then, and leaves
a row that tells of it; so of two who see to the same units the second is refused. Lock order: order, reservation,
levels, and last of all the clocks of the warehouses.
"""

from __future__ import annotations

from datetime import date, datetime
from itertools import count

from django.db import transaction
from django.db.models import F

from catalog.models import Variant
from orders import shortages
from orders.models import Order, OrderLine, Remedy
from orders.operations import amending, ordering, sourcing, waiting
from orders.operations.ordering import Asked
from partners import outbox
from partners.actors import Actor
from partners.problems import IllegalStep, InvalidInput, Problem
from stock.models import Allocation, ReservationLine, Warehouse
from stock.operations import changing
from stock.operations.changing import More
from stock.operations.promising import InsufficientStock

Kind = Remedy.Kind
LINE_ID_MAX = 40
REFERENCE_MAX = 120


class NotShort(Problem):
    """Fewer units are short by now: they were promised, put off, or somebody saw to them. Data: lineId, requested,
    short."""

    code = "not_short"
    title = "That many are not short"
    remedy = "Read the line again and see to what is still short."


class NoSubstitute(Problem):
    """It is neither equal to what was ordered nor its successor, or who ordered may not buy it. Data: productId,
    substituteId."""

    code = "no_substitute"
    title = "It cannot be sent instead"
    remedy = "Choose an equal part or a successor."


class MayNotSplit(Problem):
    """The order is to come whole. Data: orderId."""

    code = "may_not_split"
    title = "The order comes in one or not at all"
    remedy = "Wait for all of it, or amend the order."


@transaction.atomic
def re_source(*, line: OrderLine, quantity: int, warehouse: Warehouse, actor: Actor, at: datetime) -> Remedy:
    """Promise units that are short from this warehouse instead, which is asked for them at once.

    Raises NotShort, InsufficientStock where it has not all of them free or refused this order before, MayNotSplit
    where an order that comes whole would leave two warehouses, and IllegalStep; nothing has changed then.
    """
    order, mine = _short(line, quantity, at=at)
    if order.reservation is None or mine.reservation_line is None or warehouse.code in sourcing.refused_by(order):
        raise _insufficient(mine, quantity, available=0)
    before = _warehouses(order)
    lacking = _lacking(mine, at=at)
    more = _demands(order, mine.reservation_line, warehouse, left=lacking - quantity)
    kept = changing.keep_more(reservation=order.reservation, more=more, actor=actor, at=at)
    if any(kept.get(one.line.pk, 0) < one.quantity for one in more):
        raise _insufficient(mine, quantity, available=lacking - _lacking(mine, at=at))
    _check_whole(order, before)
    Order.objects.filter(pk=order.pk).update(version=F("version") + 1)
    remedy = _write(Remedy(order_line=mine, kind=Kind.RE_SOURCE, quantity=quantity, warehouse=warehouse), actor, at)
    ordering.ask(order=order, actor=actor, at=at)
    return remedy


@transaction.atomic
def substitute(*, line: OrderLine, quantity: int, variant: Variant, actor: Actor, at: datetime) -> Remedy:
    """Take units that are short off the line and promise as many of another product, at the price agreed.

    It has to be a successor or an equal of what was ordered, and who ordered must be allowed to buy it. All of them
    are promised or none. Raises NotShort, NoSubstitute, InsufficientStock, MayNotSplit and IllegalStep; nothing has
    changed then.
    """
    order, mine = _short(line, quantity, at=at)
    if variant not in shortages.substitutes(line=mine, on=at.date()):
        raise NoSubstitute(
            f"{variant.sku} cannot be sent instead of {mine.variant.sku}.",
            productId=mine.variant.sku,
            substituteId=variant.sku,
        )
    before = _warehouses(order)
    rest = Asked(
        line_id=_new_line_id(mine), variant=variant, quantity=quantity, unit_price=mine.unit_price,
        currency=mine.currency,
    )  # fmt: skip
    amending.amend(order=order, changes=[_less(mine, quantity), rest], actor=actor, at=at)
    order.refresh_from_db()
    if order.reservation is None:
        ordering.promise_anew(order=order, actor=actor, at=at)
        ordering.ask(order=order, actor=actor, at=at)
    new = OrderLine.objects.select_related("variant", "order").get(order=order, line_id=rest.line_id)
    if missing := _lacking(new, at=at):
        raise _insufficient(new, quantity, available=quantity - missing)
    _check_whole(order, before)
    return _write(Remedy(order_line=mine, kind=Kind.SUBSTITUTE, quantity=quantity, substitute=new), actor, at)


@transaction.atomic
def split(*, line: OrderLine, quantity: int, actor: Actor, at: datetime) -> Remedy:
    """Let units that are short follow as an order of their own, so that the rest can leave and be done.

    The follow-up is the same partner's, as far along as the order was, waits with leave, and keeps the order's place
    in the queue. Raises NotShort, MayNotSplit, IllegalStep, and InvalidInput where nothing would be left of the
    order; nothing has changed then.
    """
    order, mine = _short(line, quantity, at=at)
    if not order.allow_split:
        raise _comes_whole(order)
    if _is_all(order, mine, quantity):
        raise InvalidInput.at("quantity", "Nothing would be left of the order; put it off or cancel it instead.")
    follow_up = _follow_up(order, mine, quantity)
    amending.amend(order=order, changes=[_less(mine, quantity)], actor=actor, at=at)
    ordering.tell(order=follow_up, event_type="order.created", actor=actor, at=at)
    if order.status != Order.Status.PENDING:
        follow_up = ordering.confirm(order=follow_up, actor=actor, at=at)
    return _write(Remedy(order_line=mine, kind=Kind.SPLIT, quantity=quantity, follow_up=follow_up), actor, at)


@transaction.atomic
def backorder(*, line: OrderLine, quantity: int, expected_on: date, actor: Actor, at: datetime) -> Remedy:
    """Put units that are short off to a day the customer agreed to; they keep their place among all that wait.

    They are promised whenever something comes. What is not by the end of that day is short again. Raises NotShort,
    IllegalStep, and InvalidInput for a day that has passed; nothing has changed then.
    """
    if expected_on < at.date():
        raise InvalidInput.at("expectedOn", "Name today or a day to come.")
    order, mine = _short(line, quantity, at=at)
    Order.objects.filter(pk=order.pk).update(version=F("version") + 1)
    return _write(Remedy(order_line=mine, kind=Kind.BACKORDER, quantity=quantity, expected_on=expected_on), actor, at)


@transaction.atomic
def cancel(*, line: OrderLine, quantity: int, actor: Actor, at: datetime) -> Remedy:
    """Take units that are short off the order; where they are all of it, the order is cancelled.

    What is promised stays promised. Raises NotShort and IllegalStep; nothing has changed then.
    """
    order, mine = _short(line, quantity, at=at)
    if _is_all(order, mine, quantity):
        ordering.cancel(order=order, actor=actor, at=at)
    else:
        amending.amend(order=order, changes=[_less(mine, quantity)], actor=actor, at=at)
    return _write(Remedy(order_line=mine, kind=Kind.CANCEL, quantity=quantity), actor, at)


def _short(line: OrderLine, quantity: int, *, at: datetime) -> tuple[Order, OrderLine]:
    """The order under lock, and its line as it is now. Raises IllegalStep, NotShort."""
    order = Order.objects.lock().select_related("partner", "placed_by", "reservation").get(pk=line.order_id)
    if order.status not in ordering.WAITING:
        raise IllegalStep(
            f"It is {order.status}; nothing of it waits.",
            currentStatus=order.status,
            allowedFrom=[str(status) for status in ordering.WAITING],
        )
    mine = OrderLine.objects.select_related("variant", "reservation_line").get(pk=line.pk)
    mine.order = order
    if quantity < 1:
        raise InvalidInput.at("quantity", "At least one unit is seen to.")
    found = _look(mine, at=at)
    short = found.short if found else 0
    if quantity > short:
        raise NotShort(
            f"{quantity} of line {mine.line_id} would be seen to, {short} are short.",
            lineId=mine.line_id,
            requested=quantity,
            short=short,
        )
    return order, mine


def _look(line: OrderLine, *, at: datetime) -> shortages.ShortLine | None:
    """What the line lacks now; None where all of it is promised."""
    return next(iter(shortages.short_lines(today=at.date(), line_ids=[line.pk], with_put_off=True)), None)


def _lacking(line: OrderLine, *, at: datetime) -> int:
    found = _look(line, at=at)
    return found.missing if found else 0


def _demands(order: Order, line: ReservationLine, warehouse: Warehouse, *, left: int) -> list[More]:
    """All a line lacks but for `left` units, as what holds them: the line itself, or the components of its kits."""
    parts = {leaf.pk: leaf.quantity // line.quantity for leaf in line.components.all()} or {line.pk: 1}
    return [
        More(line=leaf, quantity=wanted, warehouse_code=warehouse.code)
        for leaf, units in waiting.balance(order).items()
        if leaf.pk in parts and (wanted := units - left * parts[leaf.pk]) > 0
    ]


def _less(line: OrderLine, quantity: int) -> Asked:
    return Asked(line_id=line.line_id, variant=line.variant, quantity=line.quantity - quantity)


def _is_all(order: Order, line: OrderLine, quantity: int) -> bool:
    """Whether these units are all the order is of."""
    return line.quantity == quantity and not order.lines.exclude(pk=line.pk).filter(quantity__gt=0).exists()


def _follow_up(order: Order, line: OrderLine, quantity: int) -> Order:
    """The order of what waits; its age is that of the order, and with it its place in the queue."""
    made = Order(
        partner=order.partner, placed_by=order.placed_by, channel=order.channel, type=order.type, ship_to=order.ship_to,
        requested_delivery_date=order.requested_delivery_date, allow_backorder=True, priority=order.priority,
        fingerprint=order.fingerprint, created_at=order.created_at,
    )  # fmt: skip
    made.external_reference = f"{order.external_reference[: REFERENCE_MAX - len(made.number) - 1]} {made.number}"
    made._change_reason = f"split off {order.number}"  # type: ignore[attr-defined]  # read by the history
    made.save()
    OrderLine.objects.create(
        order=made, line_id=line.line_id, variant=line.variant, quantity=quantity, unit_price=line.unit_price,
        currency=line.currency,
    )  # fmt: skip
    return made


def _new_line_id(line: OrderLine) -> str:
    """A name the order has no line by, that tells what it stands for."""
    taken = set(line.order.lines.values_list("line_id", flat=True))
    stem = line.line_id[: LINE_ID_MAX - 6]
    return next(name for turn in count(1) if (name := f"{stem}-S{turn}") not in taken)


def _warehouses(order: Order) -> set[int]:
    """Where the order's goods would leave from."""
    open_now = Allocation.objects.filter(
        line__reservation=order.reservation_id, quantity__gt=F("consumed") + F("freed")
    )
    return set(open_now.values_list("level__location__warehouse", flat=True)) if order.reservation_id else set()


def _check_whole(order: Order, before: set[int]) -> None:
    if not order.allow_split and len(_warehouses(order)) > max(1, len(before)):
        raise _comes_whole(order)


def _comes_whole(order: Order) -> MayNotSplit:
    return MayNotSplit(f"{order.number} is to come in one; it cannot leave in parts.", orderId=order.number)


def _insufficient(line: OrderLine, quantity: int, *, available: int) -> InsufficientStock:
    sku = line.variant.sku
    return InsufficientStock(
        f"Not all {quantity} of {sku} are free for this order there; nothing was changed.",
        shortages=[{"productId": sku, "requested": quantity, "available": available}],
    )


def _write(remedy: Remedy, actor: Actor, at: datetime) -> Remedy:
    """Keep what was done, and tell who ordered."""
    line, order = remedy.order_line, remedy.order_line.order
    remedy.actor, remedy.resolved_at = actor.label, at
    remedy.save()
    outbox.record(
        "shortage.resolved",
        subject=f"order/{order.number}",
        payload={
            "orderId": order.number,
            "externalReference": order.external_reference,
            "lineId": line.line_id,
            "productId": line.variant.sku,
            "quantity": remedy.quantity,
            "remedy": remedy.kind,
            "substituteId": remedy.substitute.variant.sku if remedy.substitute else None,
            "followUpOrderId": remedy.follow_up.number if remedy.follow_up else None,
            "expectedOn": remedy.expected_on.isoformat() if remedy.expected_on else None,
        },
        actor=actor,
        at=at,
        addressee_ids=[order.partner_id, order.placed_by_id],
    )
    return remedy
