"""What the order book is asked by others. Each says what it costs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

from django.db.models import Count, F

from orders.models import Order, OrderLine, Shipment
from stock import costing, valuation
from stock.models import ReservationLine

# What still wants to leave us; the rest is history.
OPEN = (Order.Status.PENDING, Order.Status.CONFIRMED, Order.Status.PACKED)


def open_lines(variant_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """How many lines of each product still wait to be shipped. One query, by the index over the lines' products."""
    rows = OrderLine.objects.filter(variant__in=variant_ids, order__status__in=OPEN, shipped__lt=F("quantity"))
    counted = rows.order_by().values_list("variant").annotate(Count("pk"))
    return {variant_id: {"openOrderLines": count} for variant_id, count in counted}


def cost_of_goods(*, shipment: Shipment) -> dict[str, Decimal]:
    """What the goods of a shipment cost us, by line id; lines nothing is known of yet, or of another's goods, are not
    there. A kit costs what its components do; lines of one product share its cost by their units. Three queries."""
    rows = list(shipment.lines.select_related("order_line").order_by("id"))
    parts: dict[int | None, list[tuple[int, int]]] = defaultdict(list)
    of_kits = ReservationLine.objects.filter(kit_line__in=[row.order_line.reservation_line_id for row in rows])
    for kit_id, variant_id, units, kits in of_kits.values_list("kit_line", "variant", "quantity", "kit_line__quantity"):
        parts[kit_id].append((variant_id, units // kits))
    wanted: dict[tuple[str, int], int] = defaultdict(int)
    for row in rows:
        line = row.order_line
        for variant_id, each in parts.get(line.reservation_line_id) or [(line.variant_id, 1)]:
            wanted[line.line_id, variant_id] += row.quantity * each
    left = {pk: cost for (_, pk), cost in valuation.cost_of_goods(references=[shipment.number]).items()}
    found: dict[str, Decimal] = defaultdict(Decimal)
    for (line_id, variant_id), units in wanted.items():
        there, value = left.get(variant_id, (0, Decimal(0)))
        if units := min(units, there):
            mine = costing.share(value, units, there)
            left[variant_id] = there - units, value - mine
            found[line_id] += mine
    return dict(found)
