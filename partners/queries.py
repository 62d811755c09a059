"""Readings of the gatehouse that people and monitors ask for."""

from __future__ import annotations

from datetime import datetime

from partners.models import OutboxEvent


def outbox_waiting(*, at: datetime) -> tuple[int, float]:
    """(events without a place in the feed, age of the oldest in seconds); one query on a partial index."""
    waiting = OutboxEvent.objects.filter(position__isnull=True).order_by("id")
    oldest = waiting.values_list("recorded_at", flat=True).first()
    return waiting.count(), (at - oldest).total_seconds() if oldest else 0.0
