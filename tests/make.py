"""Things to test with: plain functions, every default can be overridden."""

from __future__ import annotations

import itertools
from datetime import date
from typing import Any

from django.db import transaction
from django.utils import timezone

from catalog.models import ProductType, SupplierItem, Variant
from partners import actors, outbox
from partners.models import OutboxEvent, Partner, Webhook
from partners.operations import webhooks
from stock.models import Batch, Level, Warehouse
from stock.operations import movements, warehouses

TESTER = actors.job("tests")
_numbers = itertools.count(1)


def make_partner(*, code: str | None = None, kind: str = "retailer", **fields: Any) -> Partner:
    code = code or f"P-{next(_numbers)}"
    own = Partner.Assortment.OWN if kind == "supplier" else Partner.Assortment.ALL
    return Partner.objects.create(**{"code": code, "name": code.title(), "kind": kind, "assortment": own} | fields)


def make_variant(*, sku: str | None = None, suppliers: list[Partner] | None = None, **fields: Any) -> Variant:
    sku = sku or f"SKU-{next(_numbers)}"
    kind, _ = ProductType.objects.get_or_create(code="general", defaults={"name": "General"})
    variant = Variant.objects.create(**{"sku": sku, "name": sku.title(), "product_type": kind} | fields)
    for supplier in suppliers or []:
        SupplierItem.objects.create(supplier=supplier, variant=variant)
    return variant


def make_warehouse(*, code: str | None = None, **fields: Any) -> Warehouse:
    code = code or f"W-{next(_numbers)}"
    return warehouses.open_warehouse(**{"code": code, "name": code, "actor": TESTER} | fields)


def make_level(
    *,
    variant: Variant,
    warehouse: Warehouse,
    on_hand: int = 10,
    batch_number: str = "",
    expires_on: date | None = None,
    hold_state: str = "released",
) -> Level:
    """Receive `on_hand` sellable units, as the dock would."""
    booked = movements.book(
        kind="receipt",
        variant=variant,
        warehouse=warehouse,
        quantity=on_hand,
        batch_number=batch_number,
        expires_on=expires_on,
        actor=TESTER,
        at=timezone.now(),
    )
    if hold_state != "released":
        Batch.objects.filter(pk=booked.batch.pk).update(hold_state=hold_state)
    return Level.objects.get(variant=variant, location__warehouse=warehouse, batch=booked.batch, condition="sellable")


def make_webhook(*, partner: Partner, url: str = "https://hooks.example.com/in", **fields: Any) -> tuple[Webhook, str]:
    """An endpoint and its secret."""
    return webhooks.subscribe(partner=partner, url=url, actor=TESTER, **{"at": timezone.now()} | fields)


@transaction.atomic
def make_event(
    partner: Partner, *, subject: str = "order/1", kind: str = "order.created", **payload: Any
) -> OutboxEvent:
    """A fact told to the partner by name. It waits for the relay."""
    return outbox.record(
        kind, subject=subject, payload=payload, actor=TESTER, at=timezone.now(), addressee_ids=[partner.pk]
    )
