"""Work the stock book does by itself: what ran out is ended, and the book is proved every night."""

from __future__ import annotations

import logging

from celery import shared_task
from django.utils import timezone

from partners import actors, tasks
from stock import queries
from stock.operations import reservations

log = logging.getLogger(__name__)


@shared_task
def expire_reservations() -> int:
    """End reservations that ran out, until none is left."""
    actor = actors.job("expire_reservations")
    total = 0
    with actors.acting(actor):
        while ended := reservations.expire_due(actor=actor, at=timezone.now()):
            total += ended
    if total:
        tasks.relay_events.delay()
    return total


@shared_task
def audit_ledger() -> int:
    """Prove the book and shout; never repair. Returns how many differences were found."""
    proof = queries.prove_ledger()
    for difference in proof.differences:
        log.error("The stock book disagrees: %s", difference)
    return len(proof.differences)
