"""What tests of purchasing do again and again: order, send, confirm, receive, and look at the book."""

from __future__ import annotations

from decimal import Decimal

from django.utils import timezone

from catalog.models import SupplierItem
from orders.models import AdvanceShipNotice, PurchaseOrder, PurchaseOrderLine, Receipt, ReceiptLine, SupplierTerms
from orders.operations import purchasing, receiving
from orders.operations.purchasing import Needed
from orders.operations.sorting import Arrived
from partners.models import OutboxEvent
from stock.models import Batch, Inbound, Level, Movement
from tests import make


def now():
    return {"actor": make.TESTER, "at": timezone.now()}


def offered(supplier, *, sku="OIL", cost="2.50", currency="EUR", item=None, **fields):
    """A product the supplier offers."""
    variant = make.make_variant(sku=sku, **fields)
    SupplierItem.objects.create(
        supplier=supplier,
        variant=variant,
        supplier_code=f"V-{sku}",
        cost=Decimal(cost),
        currency=currency,
        **item or {},
    )
    return variant


def agree(supplier, **terms):
    return SupplierTerms.objects.create(supplier=supplier, **terms)


def ordered(supplier, warehouse, *needed, **more):
    rows = [Needed(variant=variant, quantity=quantity) for variant, quantity in needed]
    return purchasing.order(supplier=supplier, warehouse=warehouse, needed=rows, **more, **now())


def sent(supplier, warehouse, *needed, **more):
    return purchasing.send(order=ordered(supplier, warehouse, *needed, **more), **now())


def received(order, *came, **more):
    """(variant, quantity) or Arrived, against the order."""
    rows = [row if isinstance(row, Arrived) else Arrived(variant=row[0], quantity=row[1]) for row in came]
    receipt, _ = receiving.receive(order=order, warehouse=order.warehouse, arrived=rows, **more, **now())
    return receipt


def lines_of(receipt) -> list[tuple]:
    rows = receipt.lines.order_by("id")
    return list(rows.values_list("variant__sku", "quantity", "condition", "outcome", "hold"))


def shelf() -> dict[str, int]:
    """Units by SKU and condition, where there is anything."""
    rows = Level.objects.filter(on_hand__gt=0).select_related("variant")
    return {f"{level.variant.sku}/{level.condition}": level.on_hand for level in rows}


def coming() -> list[tuple]:
    """(units, day, whether it is promised) of what is on its way."""
    return list(Inbound.objects.order_by("line").values_list("quantity", "expected_on", "is_confirmed"))


def everything():
    """All that a refusal must leave alone."""
    return (
        sorted(Level.objects.values_list("id", "on_hand", "reserved")),
        Movement.objects.count(),
        Batch.objects.count(),
        list(PurchaseOrder.objects.order_by("id").values_list("status", "version")),
        list(PurchaseOrderLine.objects.order_by("id").values_list("confirmed_quantity", "confirmed_on", "closing")),
        list(AdvanceShipNotice.objects.order_by("id").values_list("status", "version")),
        Receipt.objects.count(),
        ReceiptLine.objects.count(),
        sorted(Inbound.objects.values_list("line", "quantity", "expected_on", "is_confirmed")),
        OutboxEvent.objects.count(),
    )
