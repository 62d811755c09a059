"""Work orders do by themselves: what waits is filled when goods came, promises nobody took are forgotten."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from orders.operations import backorders, delivering
from partners import actors, tasks


@shared_task
def fill_backorders() -> int:
    """Promise what came in to the orders that wait for it; first, nobody is asked for what is promised no more.
    Returns the units."""
    actor = actors.job("fill_backorders")
    with actors.acting(actor):
        withdrawn = backorders.ask_no_more_than_promised(actor=actor, at=timezone.now())
        kept = backorders.fill_waiting(actor=actor, at=timezone.now())
    if kept or withdrawn:
        tasks.wake_after_commit(tasks.relay_events)
    return kept


@shared_task
def forget_unclaimed_promises() -> int:
    """Delete delivery promises no order took, until none is left."""
    total = 0
    while gone := delivering.forget_unclaimed(at=timezone.now()):
        total += gone
    return total
