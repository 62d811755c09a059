"""Orders that wait get what came in, in their rank: the most urgent first, then the day they are wanted, then age."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import F

from orders.models import FillPause, Order, RoutingDecision
from orders.operations import ordering, requesting, waiting
from orders.operations.ticking import Ticks
from partners.actors import Actor

PAUSE_LEAST, PAUSE_MOST = timedelta(minutes=1), timedelta(hours=1)
# What waits is little beside what there is, so its products are looked at one by one for something free.
WAITING = """
    SELECT placed.id FROM orders_order placed
      JOIN orders_orderline line ON line.order_id = placed.id AND line.shipped < line.quantity
      LEFT JOIN stock_reservationline leaf
             ON leaf.reservation_id = placed.reservation_id
            AND (leaf.kit_line_id = line.reservation_line_id
                 OR leaf.id = line.reservation_line_id
                AND NOT EXISTS (SELECT FROM stock_reservationline part WHERE part.kit_line_id = leaf.id))
      LEFT JOIN stock_reservationline kit ON kit.id = leaf.kit_line_id
      LEFT JOIN orders_fillpause pause ON pause.order_id = placed.id
     WHERE placed.status IN ('pending', 'confirmed', 'packed')
       AND (line.quantity - line.shipped) * coalesce(leaf.quantity / kit.quantity, 1)
         > coalesce((SELECT sum(kept.quantity - kept.consumed - kept.freed)
                       FROM stock_allocation kept WHERE kept.line_id = leaf.id), 0)
       AND EXISTS (SELECT FROM stock_level level
                     JOIN stock_location place ON place.id = level.location_id
                     JOIN stock_warehouse warehouse ON warehouse.id = place.warehouse_id AND warehouse.is_active
                    WHERE level.variant_id = coalesce(leaf.variant_id, line.variant_id)
                      AND level.condition = 'sellable' AND level.on_hand > level.reserved
                      AND (pause.id IS NULL OR pause.until <= %s OR level.updated_at >= pause.tried_at))
     GROUP BY placed.id
     ORDER BY placed.priority DESC, placed.requested_delivery_date NULLS LAST, placed.created_at, placed.id
     LIMIT %s
"""


# Stock breaks promises (a recall, a count, a write-off) and knows no orders; what was asked for them is looked at here.
OVERASKED = """
    SELECT placed.id FROM orders_fulfilmentrequest request
      JOIN orders_order placed ON placed.id = request.order_id AND placed.status IN ('confirmed', 'packed')
      JOIN orders_fulfilmentitem item ON item.request_id = request.id AND item.quantity > item.completed + item.failed
      JOIN orders_orderline line ON line.id = item.order_line_id
     WHERE request.status IN ('assigned', 'accepted')
     GROUP BY placed.id, line.id
    HAVING sum(item.quantity - item.completed - item.failed) > coalesce((
            SELECT min(coalesce(kept.units, 0) / (leaf.quantity / whole.quantity))
              FROM stock_reservationline whole
              JOIN stock_reservationline leaf
                ON leaf.kit_line_id = whole.id
                OR leaf.id = whole.id AND NOT EXISTS (SELECT FROM stock_reservationline part WHERE part.kit_line_id = whole.id)
              LEFT JOIN LATERAL (SELECT sum(quantity - consumed - freed) AS units
                                   FROM stock_allocation WHERE line_id = leaf.id) kept ON true
             WHERE whole.id = line.reservation_line_id), 0)
     ORDER BY placed.id LIMIT %s
"""


def ask_no_more_than_promised(*, actor: Actor, at: datetime, limit: int = 500) -> int:
    """Withdraw from the warehouses what they are asked for and what is not promised any more; returns the orders.

    Each order in a transaction of its own. Run again it finds what was broken since.
    """
    with connection.cursor() as cursor:
        cursor.execute(OVERASKED, [limit])
        ids = list(dict.fromkeys(row[0] for row in cursor.fetchall()))
    for pk in ids:
        with transaction.atomic():
            ticks = Ticks(actor=actor, at=at)
            requesting.follow(order=Order.objects.lock().get(pk=pk), ticks=ticks)
            ticks.write()
    return len(ids)


def fill_waiting(*, actor: Actor, at: datetime, limit: int = 500) -> int:
    """Promise what is free to the orders that wait for it, each in a transaction of its own; returns the units.

    Run again it promises what came since. An order that needs a warehouse which refused it, or whose partner is
    promised fresher goods, goes on waiting and holds nobody up: it is left out until stock of its products changes or
    its pause is over.
    """
    with connection.cursor() as cursor:
        cursor.execute(WAITING, [at, limit])
        ids = [row[0] for row in cursor.fetchall()]
    orders = Order.objects.in_bulk(ids)
    return sum(fill(order=orders[pk], actor=actor, at=at) for pk in ids)


@transaction.atomic
def fill(*, order: Order, actor: Actor, at: datetime) -> int:
    """Promise an order what it waits for, as far as it is free; returns the units. Its warehouses are asked at once.

    Never refuses: what is not there goes on waiting, and an order that is over takes nothing.
    """
    locked = Order.objects.lock().get(pk=order.pk)
    if locked.status not in ordering.WAITING:
        return 0
    if locked.reservation is None:
        kept = ordering.promise_anew(order=locked, actor=actor, at=at)
    else:
        kept = waiting.keep(order=locked, cause=RoutingDecision.Cause.WAITED, actor=actor, at=at)
    _pause(locked, is_stuck=not kept, at=at)
    if kept:
        Order.objects.filter(pk=locked.pk).update(version=F("version") + 1)
        ticks = Ticks(actor=actor, at=at)
        requesting.follow(order=locked, ticks=ticks)
        ticks.write()
    return kept


def _pause(order: Order, *, is_stuck: bool, at: datetime) -> None:
    """Ask less and less often for an order that nothing can be promised to. The caller holds the order."""
    pauses = FillPause.objects.filter(order=order)
    if not is_stuck:
        pauses.delete()
        return
    tries = (pauses.values_list("tries", flat=True).first() or 0) + 1
    until = at + min(PAUSE_LEAST * 2 ** min(tries - 1, 10), PAUSE_MOST)
    FillPause.objects.update_or_create(order=order, defaults={"tries": tries, "tried_at": at, "until": until})
