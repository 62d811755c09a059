"""An order is changed while it is under way: lines grow, shrink, come and go."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import F

from catalog.models import KitComponent
from orders.models import Order, OrderLine, RoutingDecision
from orders.operations import ordering, sourcing, waiting
from orders.operations.ordering import Asked
from partners.actors import Actor
from partners.problems import IllegalStep, InvalidInput, Problem
from stock.models import Reservation, ReservationLine
from stock.operations import changing
from stock.operations.changing import Less
from stock.operations.promising import InsufficientStock, Wanted


class AlreadyShipped(Problem):
    """Less would be ordered than has left. Data: lineId, shipped, requested."""

    code = "already_shipped"
    title = "More has been shipped"
    remedy = "Order at least what was shipped; announce a return for the rest."


@transaction.atomic
def amend(*, order: Order, changes: Sequence[Asked], actor: Actor, at: datetime) -> Order:
    """Set the quantities of lines by `line_id`; a line not there yet is added, one of quantity 0 is taken off.

    What is no longer wanted is given back, exactly; what is wanted more is promised, all of it unless the order may
    wait. Where that was the last open line, the order is shipped. The warehouses are asked anew. Said twice, the
    second time changes nothing. Locks order, reservation, levels, clocks.

    Raises IllegalStep for an order that is over, AlreadyShipped, InsufficientStock, TooManyShipments, and InvalidInput
    where a line is of another product, or nothing would be left (cancel it instead); nothing has changed then.
    """
    locked = Order.objects.lock().get(pk=order.pk)
    if locked.status not in ordering.WAITING:
        raise IllegalStep(
            f"It is {locked.status} and cannot be amended.",
            currentStatus=locked.status,
            allowedFrom=[str(status) for status in ordering.WAITING],
        )
    lines = {line.line_id: line for line in locked.lines.select_related("variant")}
    before = {line_id: line.quantity for line_id, line in lines.items()}
    changed = [_set(lines[asked.line_id], asked) for asked in changes if asked.line_id in lines]
    OrderLine.objects.bulk_update([line for line, is_new in changed if is_new], ["quantity", "unit_price", "currency"])
    added = [asked for asked in changes if asked.line_id not in lines]
    if not added and not any(is_new for _, is_new in changed):
        return locked
    if not added and not any(line.quantity for line in lines.values()):
        raise InvalidInput.at("lines", "Nothing would be left of it; cancel the order instead.")
    grown = {
        line.reservation_line_id: before[line_id]
        for line_id, line in lines.items()
        if line.reservation_line_id and line.quantity > before[line_id]
    }
    _hold(locked, added, grown, actor=actor, at=at)
    Order.objects.filter(pk=locked.pk).update(version=F("version") + 1)
    locked.refresh_from_db()
    ordering.tell(order=locked, event_type="order.amended", actor=actor, at=at, to_operators=True)
    if not locked.lines.filter(shipped__lt=F("quantity")).exists():
        locked = _finish(locked, actor=actor, at=at)
    ordering.ask(order=locked, actor=actor, at=at)
    return locked


def _set(line: OrderLine, asked: Asked) -> tuple[OrderLine, bool]:
    if line.variant_id != asked.variant.pk:
        raise InvalidInput.at("lines", f"Line {line.line_id} is of {line.variant.sku}; add a line for another product.")
    if asked.quantity < line.shipped:
        raise AlreadyShipped(
            f"{line.shipped} of line {line.line_id} have left; fewer cannot be ordered any more.",
            lineId=line.line_id,
            shipped=line.shipped,
            requested=asked.quantity,
        )
    price = (asked.unit_price, asked.currency) if asked.unit_price is not None else (line.unit_price, line.currency)
    before = line.quantity, line.unit_price, line.currency
    line.quantity, (line.unit_price, line.currency) = asked.quantity, price
    return line, before != (asked.quantity, *price)


def _hold(order: Order, added: Sequence[Asked], grown: Mapping[int, int], *, actor: Actor, at: datetime) -> None:
    """Let the promise say what the lines say now; what waited before may go on waiting. Of the lines that have
    `grown`, by their line of the promise, how many were ordered before."""
    kept: Sequence[ReservationLine | None] = [None] * len(added)
    if order.reservation is not None:
        less = [Less(line=leaf, quantity=-units) for leaf, units in waiting.balance(order).items() if units < 0]
        changing.give_back(
            reservation=order.reservation, less=less, to_keep_anew=_touched(order.reservation, added),
            actor=actor, at=at,
        )  # fmt: skip
        router = sourcing.router_for(order=order, at=at)
        with sourcing.within_limit(router):
            waiting.keep(order=order, cause=RoutingDecision.Cause.AMENDED, actor=actor, at=at, router=router)
            if not order.allow_backorder:
                _check_kept(order, grown)
        if added:
            router = sourcing.router_for(order=order, at=at)
            with sourcing.within_limit(router):
                kept = changing.add_lines(
                    reservation=order.reservation,
                    wanted=[Wanted(variant=asked.variant, quantity=asked.quantity) for asked in added],
                    is_all_or_nothing=not order.allow_backorder,
                    choose=router,
                    actor=actor,
                    at=at,
                )
            sourcing.keep_why(order=order, router=router, cause=RoutingDecision.Cause.AMENDED, at=at)
    OrderLine.objects.bulk_create(
        OrderLine(
            order=order, line_id=asked.line_id, variant=asked.variant, quantity=asked.quantity,
            unit_price=asked.unit_price, currency=asked.currency, reservation_line=line,
        )
        for asked, line in zip(added, kept, strict=True)
    )  # fmt: skip


def _touched(reservation: Reservation, added: Sequence[Asked]) -> set[int]:
    """The variants (their ids) a change may lock levels of: those of the promise, and the added with their parts."""
    new = {asked.variant.pk for asked in added}
    parts = KitComponent.objects.filter(kit__in=new).values_list("component", flat=True)
    return sourcing.variants_of(reservation) | new | set(parts)


def _check_kept(order: Order, grown: Mapping[int, int]) -> None:
    """Raises InsufficientStock where not all of the lines that have grown is promised: product by product what is
    asked in all, and how many the order may have."""
    lacking: dict[int, int] = {}
    for leaf, units in waiting.balance(order).items():
        if units > 0:
            kit = leaf.kit_line
            each = leaf.quantity // kit.quantity if kit else 1
            whole = kit.pk if kit else leaf.pk
            lacking[whole] = max(lacking.get(whole, 0), -(-units // each))
    short = {line_id: units for line_id, units in lacking.items() if line_id in grown}
    if not short:
        return
    rule = order.partner.disclosure_rule
    asked: dict[str, int] = defaultdict(int)
    available: dict[str, int] = defaultdict(int)
    names: dict[str, None] = {}
    for line in order.lines.exclude(reservation_line=None).select_related("variant").order_by("id"):
        found = line.quantity - short.get(line.reservation_line_id or 0, 0)
        # What it had is the order's own; of what is free besides, its partner learns what it may.
        had = min(found, grown.get(line.reservation_line_id or 0, line.quantity))
        asked[line.variant.sku] += line.quantity
        available[line.variant.sku] += had + (rule.tell(found - had).quantity or 0)
        if line.reservation_line_id in short:
            names.setdefault(line.variant.sku)
    refusal = InsufficientStock(
        f"There is not enough of {', '.join(list(names)[:5])}; nothing was changed.",
        shortages=[{"productId": sku, "requested": asked[sku], "available": available[sku]} for sku in names],
    )
    refusal.is_told = True
    raise refusal


def _finish(order: Order, *, actor: Actor, at: datetime) -> Order:
    """All that is still ordered has left."""
    if order.reservation is not None:
        changing.close(reservation=order.reservation)
    return ordering.advance(order=order, status=Order.Status.SHIPPED, actor=actor, at=at)
