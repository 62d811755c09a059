"""Readings of the gatehouse that people and monitors ask for."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Min

from partners.models import OutboxEvent, Webhook, WebhookDelivery


def outbox_waiting(*, at: datetime) -> tuple[int, float]:
    """(events without a place in the feed, age of the oldest in seconds); one query on a partial index."""
    waiting = OutboxEvent.objects.filter(position__isnull=True).order_by("id")
    oldest = waiting.values_list("recorded_at", flat=True).first()
    return waiting.count(), (at - oldest).total_seconds() if oldest else 0.0


def webhooks_waiting(*, at: datetime) -> tuple[int, float, int]:
    """(letters not delivered yet, age in seconds of the oldest to an endpoint that is served, endpoints stopped).

    Three queries, on the partial indexes of what is pending.
    """
    pending = WebhookDelivery.objects.pending()
    oldest = pending.filter(webhook__in=Webhook.objects.served()).aggregate(oldest=Min("created_at"))["oldest"]
    stopped = Webhook.objects.stopped().count()
    return pending.count(), (at - oldest).total_seconds() if oldest else 0.0, stopped
