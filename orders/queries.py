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
    there. A kit costs what its components do; lines of one product share its cost by their units. Four queries."""
    wanted: dict[tuple[str, int], int] = defaultdict(int)
    rows = list(shipment.lines.select_related("order_line__reservation_line").order_by("id"))
    kits = [row.order_line.reservation_line_id for row in rows]
    parts: dict[int, list[ReservationLine]] = defaultdict(list)
    for part in ReservationLine.objects.filter(kit_line__in=kits):
        parts[part.kit_line_id or 0].append(part)
    for row in rows:
        line, kit = row.order_line, row.order_line.reservation_line
        for part in parts[kit.pk] if kit else []:
            wanted[line.line_id, part.variant_id] += row.quantity * part.quantity // kit.quantity  # type: ignore[union-attr]  # it has parts
        if not kit or not parts[kit.pk]:
            wanted[line.line_id, line.variant_id] += row.quantity
    known = valuation.cost_of_goods(references=[shipment.number])
    found: dict[str, Decimal] = defaultdict(Decimal)
    left = {variant_id: cost for (_, variant_id), cost in known.items()}
    for (line_id, variant_id), units in wanted.items():
        if variant_id in left and left[variant_id][0]:
            there, value = left[variant_id]
            part_value = costing.share(value, min(units, there), there)
            left[variant_id] = (there - min(units, there), value - part_value)
            found[line_id] += part_value
    return dict(found)
