"""Work the gatehouse does by itself. A task only wakes; what is to be done is in the rows."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from functools import partial
from typing import Any

from celery import Task, shared_task
from django.conf import settings
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone

from partners import idempotency, sending
from partners.models import IdempotencyKey
from partners.operations import attempts, deliveries, feed

log = logging.getLogger(__name__)

# A broker that did not answer is left alone for so long: one request waits a second for it, not each.
PAUSE_SECONDS = 30
_paused_until = 0.0


def wake_after_commit(task: Task[Any, Any]) -> None:
    """Start `task` soon after this transaction commits. A broker that is down costs only the time
    until the next scheduled run, never the request."""
    transaction.on_commit(partial(_wake, task), robust=True)


def _wake(task: Task[Any, Any]) -> None:
    global _paused_until
    if time.monotonic() < _paused_until:
        return
    try:
        task.apply_async(retry=False, ignore_result=True)
    except Exception as error:  # noqa: BLE001  whatever a broker can raise, the sweep will do the work
        _paused_until = time.monotonic() + PAUSE_SECONDS
        log.warning("Could not wake %s (%s); the schedule will run it.", task.name, error)


@shared_task
def relay_events() -> int:
    """Until nothing waits: one call may find more than one batch."""
    total = 0
    while placed := feed.relay_events():
        total += placed
    if total:
        _wake(deliver_webhooks)
    return total


@shared_task
def deliver_webhooks() -> int:
    """Make out letters for whoever is behind the feed, and send what is due. Several at once share the work."""
    while deliveries.fan_out(at=timezone.now()):
        pass
    return sending.send_due()


@shared_task
def forget_webhook_deliveries() -> int:
    return deliveries.forget(at=timezone.now())


@shared_task
def purge_idempotency_keys() -> int:
    """Forget keys older than the time we promise to remember them, a bounded number at a time."""
    before = timezone.now() - timedelta(hours=idempotency.KEPT_HOURS)
    old = IdempotencyKey.objects.filter(created_at__lt=before).order_by("created_at").values("pk")[:10_000]
    return IdempotencyKey.objects.filter(pk__in=old).delete()[0]


@shared_task
def clear_expired_tokens() -> None:
    call_command("cleartokens")


@shared_task
def forget_authentication_attempts() -> int:
    """Until none is older than promised, nor more than may be kept."""
    total = 0
    before = timezone.now() - timedelta(days=settings.AUTHENTICATION_ATTEMPTS_KEPT_DAYS)
    while forgotten := attempts.forget_old(before=before):
        total += forgotten
    return total
