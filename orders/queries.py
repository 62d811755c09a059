"""What the order book is asked by others. Each says what it costs."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Count, F

from orders.models import Order, OrderLine

# What still wants to leave us; the rest is history.
OPEN = (Order.Status.PENDING, Order.Status.CONFIRMED, Order.Status.PACKED)


def open_lines(variant_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """How many lines of each product still wait to be shipped. One query, by the index over the lines' products."""
    rows = OrderLine.objects.filter(variant__in=variant_ids, order__status__in=OPEN, shipped__lt=F("quantity"))
    counted = rows.order_by().values_list("variant").annotate(Count("pk"))
    return {variant_id: {"openOrderLines": count} for variant_id, count in counted}
