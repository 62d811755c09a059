"""The first page of the admin: how things stand, in one look. Nine queries, each with a bounded answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet, Sum
from django.db.models.functions import TruncDate
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from orders.models import Order
from partners.models import OutboxEvent, Webhook
from stock.models import Batch, Level, Movement, Reservation

DAYS = 60
EXPIRY_DAYS = 30
ROWS = 8


def show(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Adds to the index what this member of staff may see; who may see no stock gets the plain index."""
    may: Callable[[str], bool] = request.user.has_perm
    if not may("stock.view_level"):
        return context
    today = timezone.now().date()
    return context | {
        "tiles": tiles(today, may),
        "flow": flow(today),
        "expiring": expiring(today).select_related("variant").order_by("expires_on")[:ROWS],
        "orders": Order.objects.select_related("partner").order_by("-id")[:ROWS] if may("orders.view_order") else None,
    }


def tiles(today: date, may: Callable[[str], bool]) -> list[tuple[str, int, str]]:
    """Label, number, and the list behind it. One query a tile, but for the two sums, which share one."""
    units = Level.objects.aggregate(on_hand=Sum("on_hand"), reserved=Sum("reserved"))
    shown = [
        ("Units on hand", units["on_hand"] or 0, reverse("admin:stock_level_changelist")),
        ("Units reserved", units["reserved"] or 0, reverse("admin:stock_level_changelist")),
    ]
    for label, rows, page, chosen in (
        ("Open reservations", Reservation.objects.open(), "stock_reservation", "?state__exact=open"),
        (f"Expiring in {EXPIRY_DAYS} days", expiring(today), "stock_batch", "?o=3"),
        ("Open orders", Order.objects.filter(status__in=["pending", "confirmed", "packed"]), "orders_order", ""),
        ("Events waiting", OutboxEvent.objects.filter(position=None), "partners_outboxevent", ""),
        ("Webhooks stopped", Webhook.objects.stopped(), "partners_webhook", ""),
    ):
        app, model = page.split("_")
        if may(f"{app}.view_{model}"):
            shown.append((label, rows.count(), reverse(f"admin:{page}_changelist") + chosen))
    return shown


def expiring(today: date) -> QuerySet[Batch]:
    """Batches of which something lies somewhere and that expire soon."""
    return Batch.objects.filter(
        Exists(Level.objects.filter(batch=OuterRef("pk"), on_hand__gt=0)),
        expires_on__range=(today, today + timedelta(days=EXPIRY_DAYS)),
    )


def flow(today: date) -> str:
    """Units received and shipped on each of the last days, as the chart's data. One query, by occurrence."""
    first = today - timedelta(days=DAYS - 1)
    rows = (
        Movement.objects.filter(
            occurred_at__gte=datetime.combine(first, time(), UTC),
            kind__in=[Movement.Kind.RECEIPT, Movement.Kind.SHIPMENT],
        )
        .annotate(day=TruncDate("occurred_at"))
        .values("day", "kind")
        .annotate(units=Sum("quantity"))
    )
    units = {(row["day"], row["kind"]): row["units"] for row in rows}
    days = [first + timedelta(days=day) for day in range(DAYS)]
    datasets = [
        {
            "label": label,
            "type": shape,
            "data": [units.get((day, kind), 0) for day in days],
            "backgroundColor": colour,
            "borderColor": colour,
            "displayYAxis": True,
            "maxTicksXLimit": 12,
        }
        for kind, label, shape, colour in (
            (Movement.Kind.SHIPMENT, "Shipped", "line", "var(--color-base-500)"),
            (Movement.Kind.RECEIPT, "Received", "bar", "var(--color-primary-500)"),
        )
    ]
    return json.dumps({"labels": [f"{day:%-d %b}" for day in days], "datasets": datasets})
