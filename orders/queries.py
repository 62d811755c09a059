"""What the order book is asked by others. Each says what it costs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Count, F, Prefetch, QuerySet

from orders.models import (
    FoundAtSale,
    FulfilmentRequest,
    Order,
    OrderLine,
    Package,
    PackageLine,
    Receipt,
    Shipment,
    ShipmentLine,
    WarehouseClock,
)
from orders.papers.facts import Address, Box, Consignment, Row, address_of
from stock import costing, valuation
from stock.models import ReservationLine, Warehouse

# What still wants to leave us; the rest is history.
OPEN = (Order.Status.PENDING, Order.Status.CONFIRMED, Order.Status.PACKED)


def open_lines(variant_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """How many lines of each product still wait to be shipped. One query, by the index over the lines' products."""
    rows = OrderLine.objects.filter(variant__in=variant_ids, order__status__in=OPEN, shipped__lt=F("quantity"))
    counted = rows.order_by().values_list("variant").annotate(Count("pk"))
    return {variant_id: {"openOrderLines": count} for variant_id, count in counted}


def currencies_of(receipt: Receipt) -> set[str]:
    """In which currencies its goods were ordered at a cost, and charges came. No query where both are prefetched."""
    lines = [line.order_line for line in receipt.lines.all() if line.order_line]
    ordered = {line.order.currency for line in lines if line.unit_cost is not None}
    return ordered | {charge.currency for charge in receipt.charges.all()}


def papers_of_shipment(shipment: Shipment, *, mine: QuerySet[OrderLine] | None = None) -> Consignment:
    """What the papers of a shipment say, of these order lines; goods that left in no package of ours stand in
    one. At most six queries."""
    boxes = _boxes(shipment.packages.all(), mine)
    if not boxes:
        left = _of(ShipmentLine.objects.filter(shipment=shipment), mine)
        boxes = [
            Box(number=shipment.number, sscc=shipment.sscc, tracking_number=shipment.tracking_number, rows=_rows(left))
        ]
    return _consignment(
        shipment.number, shipment.order, shipment.warehouse, boxes, day=shipment.shipped_at.date(),
        carrier=shipment.carrier, service=shipment.service,
    )  # fmt: skip


def papers_of_package(package: Package, *, mine: QuerySet[OrderLine] | None = None) -> Consignment:
    """What the papers of one package say, of these order lines. At most four queries."""
    request, shipment = package.fulfilment_request, package.shipment
    return _consignment(
        package.number, request.order, request.warehouse, _boxes(Package.objects.filter(pk=package.pk), mine),
        day=package.packed_at.date(), carrier=shipment.carrier if shipment else "",
        service=shipment.service if shipment else "",
    )  # fmt: skip


def papers_of_request(request: FulfilmentRequest) -> Consignment:
    """What the papers of all that is packed for a request and has not left say. At most four queries."""
    packed = request.packages.filter(status=Package.Status.PACKED)
    return _consignment(
        request.number, request.order, request.warehouse, _boxes(packed, None), day=request.assigned_at.date()
    )


def _consignment(
    number: str, order: Order, warehouse: Warehouse, boxes: Sequence[Box], *, day: date, carrier: str = "",
    service: str = "",
) -> Consignment:  # fmt: skip
    city = " ".join(part for part in (warehouse.postal_code, warehouse.city, warehouse.region) if part)
    ship_from = Address(
        name=warehouse.name, lines=tuple(line for line in (warehouse.street, city, warehouse.country) if line)
    )
    return Consignment(
        number=number, order_number=order.number, external_reference=order.external_reference, ship_from=ship_from,
        ship_to=address_of(order.ship_to), carrier=carrier, service=service, day=day, boxes=tuple(boxes),
    )  # fmt: skip


def _boxes(packages: QuerySet[Package], mine: QuerySet[OrderLine] | None) -> list[Box]:
    """The packages in which something of these lines is, the first packed first."""
    contents = Prefetch("lines", _of(PackageLine.objects.all(), mine))
    return [
        Box(number=row.number, sscc=row.sscc, tracking_number=row.tracking_number, rows=rows)
        for row in packages.order_by("id").prefetch_related(contents)
        if (rows := _rows(row.lines.all()))
    ]


def _of(lines: QuerySet[Any], mine: QuerySet[OrderLine] | None) -> QuerySet[Any]:
    seen = lines if mine is None else lines.filter(order_line__in=mine)
    return seen.select_related("order_line__variant", "batch").order_by("id")


def _rows(lines: Iterable[PackageLine | ShipmentLine]) -> tuple[Row, ...]:
    return tuple(
        Row(
            sku=line.order_line.variant.sku,
            name=line.order_line.variant.name,
            quantity=line.quantity,
            unit=line.order_line.variant.unit,
            batch_number=line.batch.number if line.batch else "",
            expires_on=line.batch.expires_on if line.batch else None,
            serial_numbers=tuple(line.serial_numbers),
        )
        for line in lines
    )


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


def found_at_sale(*, warehouse: Warehouse | None = None) -> QuerySet[FoundAtSale]:
    """What shops sold without the book having it and nobody has counted since, the youngest first. One query."""
    rows = FoundAtSale.objects.open().select_related("sale__device", "variant", "warehouse", "batch", "count")
    return rows.filter(warehouse=warehouse) if warehouse else rows


def clocks(*, warehouse_ids: Sequence[int]) -> dict[int, int]:
    """The last logical timestamp each of these warehouses gave; none for one that gave none. One query."""
    return dict(WarehouseClock.objects.filter(warehouse__in=warehouse_ids).values_list("warehouse_id", "last"))


# Only requests that are open or were touched later can have been open then.
PROMISED_AS_OF = """
    WITH request AS (
        SELECT id FROM orders_fulfilmentrequest WHERE warehouse_id = %(warehouse)s AND status IN ('assigned', 'accepted')
        UNION
        SELECT request_id FROM orders_stamp WHERE warehouse_id = %(warehouse)s AND logical_timestamp > %(timestamp)s
    ), item AS (
        SELECT item.order_line_id, item.quantity - coalesce((
                   SELECT sum(done.quantity) FROM orders_stamp done
                    WHERE done.request_id = item.request_id AND done.item_id = item.id
                      AND done.logical_timestamp <= %(timestamp)s), 0) AS units
          FROM request
          JOIN orders_stamp assigned ON assigned.request_id = request.id AND assigned.kind = 'assigned'
           AND assigned.logical_timestamp <= %(timestamp)s
          JOIN orders_fulfilmentitem item ON item.request_id = request.id
    )
    SELECT coalesce(part.variant_id, line.variant_id),
           CAST(sum(item.units * coalesce(part.quantity / kit.quantity, 1)) AS bigint)
      FROM item
      JOIN orders_orderline line ON line.id = item.order_line_id
      LEFT JOIN stock_reservationline kit ON kit.id = line.reservation_line_id
      LEFT JOIN stock_reservationline part ON part.kit_line_id = kit.id
     WHERE item.units > 0
     GROUP BY 1
"""


def promised_as_of(*, warehouse_id: int, timestamp: int) -> dict[int, int]:
    """What a warehouse had been asked for and had neither sent nor refused at one of its timestamps, by variant's id; a
    kit by its components. One query over requests that are open or were touched since."""
    with connection.cursor() as cursor:
        cursor.execute(PROMISED_AS_OF, {"warehouse": warehouse_id, "timestamp": timestamp})
        return dict(cursor.fetchall())
