"""What the order book is asked by others. Each says what it costs."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Count, F, QuerySet

from orders.models import FoundAtSale, Order, OrderLine
from stock.models import Warehouse

# What still wants to leave us; the rest is history.
OPEN = (Order.Status.PENDING, Order.Status.CONFIRMED, Order.Status.PACKED)


def open_lines(variant_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """How many lines of each product still wait to be shipped. One query, by the index over the lines' products."""
    rows = OrderLine.objects.filter(variant__in=variant_ids, order__status__in=OPEN, shipped__lt=F("quantity"))
    counted = rows.order_by().values_list("variant").annotate(Count("pk"))
    return {variant_id: {"openOrderLines": count} for variant_id, count in counted}


def found_at_sale(*, warehouse: Warehouse | None = None) -> QuerySet[FoundAtSale]:
    """What shops sold without the book having it and nobody has counted since, the youngest first. One query."""
    rows = FoundAtSale.objects.open().select_related("sale__device", "variant", "warehouse", "batch", "count")
    return rows.filter(warehouse=warehouse) if warehouse else rows
