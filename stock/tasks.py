"""Work the stock book does by itself: what ran out is ended, what moved is valued, every night the book is proved."""

from __future__ import annotations

import logging

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.db import OperationalError
from django.utils import timezone

from partners import actors, tasks
from stock import proof, queries, seals, valuation
from stock.models import Snapshot
from stock.operations import lookups, reservations, sealing, snapshots, stating, stating_work, valuing

log = logging.getLogger(__name__)

# Of ten thousand rows each: an hour's task ends within minutes, and keeps up with whoever reads everything every day.
FORGETTINGS_MAX = 50


@shared_task
def expire_reservations() -> int:
    """End reservations that ran out, until none is left."""
    actor = actors.job("expire_reservations")
    total = 0
    with actors.acting(actor):
        while ended := reservations.expire_due(actor=actor, at=timezone.now()):
            total += ended
    if total:
        tasks.wake_after_commit(tasks.relay_events)
    return total


@shared_task
def forget_lookups() -> int:
    """Forget who looked up what after the time it is kept, in bounded steps and a bounded number of them."""
    total = 0
    for _ in range(FORGETTINGS_MAX):
        if not (gone := lookups.forget(at=timezone.now())):
            break
        total += gone
    return total


@shared_task
def audit_ledger() -> int:
    """Prove the book and its seals, and shout; never repair. Returns how many differences were found."""
    with proof.one_snapshot():
        differences = proof.prove_ledger().differences + seals.prove_seals().differences + valuation.differences()
    for difference in differences:
        log.error("The stock book disagrees: %s", difference)
    return len(differences)


@shared_task
def value_ledger() -> int:
    """Value what was booked since the last time; what could not be valued now is valued the next time."""
    return valuing.follow(at=timezone.now()) or 0


@shared_task
def seal_ledger() -> int:
    """Seal what was booked since yesterday; what could not be sealed now is sealed the next time."""
    sealed = sealing.seal(at=timezone.now())
    if sealed is None:
        log.warning("The ledger was not sealed: another sealer is at work, or a transaction went on writing.")
    return sealed or 0


@shared_task
def take_snapshot() -> None:
    """Once in a calendar month; looked for every day, so that a day without a worker costs a day."""
    now = timezone.now()
    if not Snapshot.objects.filter(taken_at__gte=now.replace(day=1, hour=0, minute=0, second=0)).exists():
        snapshots.take_snapshot(at=now)


@shared_task
def work_on_stock_imports() -> int:
    """Files that wait are taken in and imports that were started applied, the oldest first; how many there were.

    Two workers may come to the same import: chunks are locked and counted, so each is applied once.
    """
    waiting = queries.stock_imports_waiting()
    for row in sorted(waiting, key=lambda row: (row.started_at is not None, row.started_at or row.created_at, row.pk)):
        actor = stating_work.actor_of(stock_import=row)
        try:
            with actors.acting(actor):
                stating_work.work_on(stock_import=row, actor=actor, at=timezone.now())
        except OperationalError as error:
            log.warning("%s waits for somebody else (%s); it is tried again.", row.number, error)
        except SoftTimeLimitExceeded:
            log.info("%s goes on where it is the next time.", row.number)
            break
        except Exception:
            log.exception("%s cannot be worked on", row.number)
            stating.fail(stock_import=row, reason="It went wrong on our side; the log says more.", at=timezone.now())
    return len(waiting)
