"""What the demo buys: orders that came whole or in part, one on its way with its ship notice, one nobody answered."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import transaction

from catalog.models import Variant
from catalog.operations import products
from orders.models import PurchaseOrder, PurchaseOrderLine
from orders.operations import announcing, purchasing, receiving
from orders.operations.announcing import Announced
from orders.operations.purchasing import Needed
from orders.operations.sorting import Arrived
from partners import actors
from partners.models import Partner
from stock.models import Warehouse

LINES = 4
LEAD_DAYS = 6
SHELF_DAYS = 540
COSTS = {"beauty": (900, 2_800), "food": (180, 620), "auto": (1_400, 9_500)}
"""Cents, by product type."""


@transaction.atomic
def price(*, actor: actors.Actor) -> None:
    """Say what a unit of each product costs us."""
    chance = random.Random(90_125)  # noqa: S311  the same costs each time
    for variant in Variant.objects.stocked().order_by("sku"):
        products.revise(variant=variant, fields={"unit_cost": cost(chance, variant)}, actor=actor)


@transaction.atomic
def buy(today: datetime, *, actor: actors.Actor) -> None:
    """For every supplier the life of some orders, dated back."""
    chance = random.Random(4_711)  # noqa: S311  the same orders each time
    docks = list(Warehouse.objects.filter(operator=None).order_by("code")[:2])
    suppliers = Partner.objects.filter(supplier_items__isnull=False).distinct().order_by("code")
    for number, supplier in enumerate(suppliers):
        dock = docks[number % len(docks)]
        for days_ago, share in ((41 + 3 * number, 1.0), (12 + number, 0.6)):
            at = today - timedelta(days=days_ago)
            order = confirmed(chance, supplier, dock, at=at, actor=actor)
            come(
                order,
                share,
                delivery_note=f"DN-{supplier.code[-3:]}-{days_ago}",
                at=at + timedelta(days=LEAD_DAYS),
                actor=actor,
            )
        on_its_way(confirmed(chance, supplier, dock, at=today - timedelta(days=3), actor=actor), at=today, actor=actor)
        waiting = drafted(chance, supplier, dock, at=today - timedelta(hours=5), actor=actor)
        if number:
            purchasing.send(order=waiting, actor=actor, at=today - timedelta(hours=4))


def drafted(
    chance: random.Random, supplier: Partner, dock: Warehouse, *, at: datetime, actor: actors.Actor
) -> PurchaseOrder:
    offered = Variant.objects.stocked().filter(supplier_items__supplier=supplier).exclude(tracking="serial")
    needed = [
        Needed(variant=variant, quantity=24 * chance.randint(1, 6), unit_cost=cost(chance, variant))
        for variant in chance.sample(list(offered.order_by("sku")), LINES)
    ]
    return purchasing.order(
        supplier=supplier, warehouse=dock, needed=needed, currency=settings.BOOKS_CURRENCY,
        expected_on=(at + timedelta(days=LEAD_DAYS)).date(), actor=actor, at=at,
    )  # fmt: skip


def cost(chance: random.Random, variant: Variant) -> Decimal:
    return Decimal(chance.randint(*COSTS.get(variant.product_type_id or "", (500, 5_000)))) / 100


def confirmed(
    chance: random.Random, supplier: Partner, dock: Warehouse, *, at: datetime, actor: actors.Actor
) -> PurchaseOrder:
    order = drafted(chance, supplier, dock, at=at, actor=actor)
    purchasing.send(order=order, actor=actor, at=at + timedelta(minutes=10))
    return purchasing.confirm(order=order, actor=actor, at=at + timedelta(hours=20))


def come(order: PurchaseOrder, share: float, *, delivery_note: str, at: datetime, actor: actors.Actor) -> None:
    """So much of every line is received."""
    arrived = [
        Arrived(
            variant=line.variant, quantity=round(line.quantity * share), batch_number=batch_of(line),
            expires_on=(at + timedelta(days=SHELF_DAYS)).date() if batch_of(line) else None,
        )
        for line in lines_of(order)
    ]  # fmt: skip
    receiving.receive(
        warehouse=order.warehouse, order=order, arrived=arrived, delivery_note=delivery_note, actor=actor, at=at
    )


def on_its_way(order: PurchaseOrder, *, at: datetime, actor: actors.Actor) -> None:
    announced = [
        Announced(
            variant=line.variant, quantity=line.quantity, order_line=line, batch_number=batch_of(line),
            expires_on=(at + timedelta(days=SHELF_DAYS)).date() if batch_of(line) else None,
        )
        for line in lines_of(order)
    ]  # fmt: skip
    announcing.announce(
        supplier=order.supplier, warehouse=order.warehouse, despatch_number=f"LS-{order.pk:05}", announced=announced,
        carrier="DHL Freight", shipped_at=at, expected_on=(at + timedelta(days=2)).date(), actor=actor, at=at,
    )  # fmt: skip


def lines_of(order: PurchaseOrder) -> Sequence[PurchaseOrderLine]:
    return list(order.lines.select_related("variant").order_by("line_number"))


def batch_of(line: PurchaseOrderLine) -> str:
    return f"L{line.order_id:03}{line.line_number:02}" if line.variant.tracking == "batch" else ""
