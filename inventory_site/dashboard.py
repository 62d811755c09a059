"""The first page of the admin: how things stand, in one look. Five bounded queries."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.db.models import Sum
from django.db.models.functions import TruncDate
from django.http import HttpRequest
from django.utils import timezone

from orders.models import Order
from partners.models import OutboxEvent
from stock.models import Batch, Level, Movement, Reservation

DAYS = 60
ROWS = 8


def show(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Adds to the index what everybody may see who may see stock; others get the plain index."""
    if not request.user.has_perm("stock.view_level"):
        return context
    now = timezone.now()
    totals = Level.objects.aggregate(on_hand=Sum("on_hand"), reserved=Sum("reserved"))
    expiring = Batch.objects.filter(
        expires_on__range=(now.date(), now.date() + timedelta(days=30)), levels__on_hand__gt=0
    ).distinct()
    return context | {
        "tiles": [
            ("Units on hand", totals["on_hand"] or 0, "admin:stock_level_changelist"),
            ("Units reserved", totals["reserved"] or 0, "admin:stock_reservation_changelist"),
            ("Open reservations", Reservation.objects.open().count(), "admin:stock_reservation_changelist"),
            ("Batches expiring in 30 days", expiring.count(), "admin:stock_batch_changelist"),
            (
                "Open orders",
                Order.objects.exclude(status__in=["delivered", "cancelled"]).count(),
                "admin:orders_order_changelist",
            ),
            (
                "Events waiting",
                OutboxEvent.objects.filter(position=None).count(),
                "admin:partners_outboxevent_changelist",
            ),
        ],
        "flow": flow(now.date() - timedelta(days=DAYS)),
        "expiring": expiring.select_related("variant").order_by("expires_on")[:ROWS],
        "orders": Order.objects.select_related("partner").order_by("-id")[:ROWS],
    }


def flow(since: Any) -> str:
    """Units received and shipped on each day, as the chart's data. One query on the index by occurrence."""
    rows = (
        Movement.objects.filter(occurred_at__date__gte=since, kind__in=["receipt", "shipment"])
        .exclude(reason="opening stock")
        .annotate(day=TruncDate("occurred_at"))
        .values("day", "kind")
        .annotate(units=Sum("quantity"))
    )
    units = {(row["day"], row["kind"]): row["units"] for row in rows}
    days = [since + timedelta(days=day) for day in range(DAYS + 1)]
    datasets = [
        {
            "label": label,
            "type": shape,
            "data": [units.get((day, kind), 0) for day in days],
            "backgroundColor": colour,
            "borderColor": colour,
        }
        for kind, label, shape, colour in (
            ("shipment", "Shipped", "line", "var(--color-primary-900)"),
            ("receipt", "Received", "bar", "var(--color-primary-400)"),
        )
    ]
    return json.dumps({"labels": [f"{day:%d %b}" for day in days], "datasets": datasets})
