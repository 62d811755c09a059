"""Batches are held back, let go and recalled.

Lock order: the batches by id, then all of their levels by id. The batch's row comes first, since a level that is made
while we look would be missed: who makes one holds its batch (ledger.ensure), so it is either among the levels
we lock or is made after us and reads our word. Single units are moved to quarantine by `movements.book`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import F, Q

from partners import numbers, outbox
from partners.actors import Actor
from partners.problems import IllegalStep
from stock import ledger, tracing
from stock.ledger import LockedLevel
from stock.models import Allocation, Batch, Level, Recall
from stock.operations import shortages

RELEASED, QUARANTINED, RECALLED = Batch.HoldState.RELEASED, Batch.HoldState.QUARANTINED, Batch.HoldState.RECALLED
new_number = partial(numbers.new_number, "RC")


@transaction.atomic
def quarantine_batch(*, batch: Batch, reason: str, actor: Actor, at: datetime) -> Batch:
    """Hold a batch back in every warehouse until somebody has looked at it.

    Nothing more of it is promised, and nothing of it leaves. What is promised stays promised, since the batch
    may be let go again; who must deliver meanwhile ships another batch, and the promise moves there. Tells its
    supplier, its owners and those who hold promises `batch.quarantined`. Locks the batch and all its levels.
    Quarantined twice answers the same. Raises IllegalStep for a recalled batch.
    """
    locked, levels = _lock(batch)
    if locked.hold_state == QUARANTINED:
        return locked
    if locked.hold_state == RECALLED:
        raise _illegal(locked, "quarantined", RELEASED)
    _hold(locked, QUARANTINED, reason)
    _tell(locked, "batch.quarantined", _promised_to(levels), levels, actor=actor, at=at, reason=reason)
    return locked


@transaction.atomic
def lift_batch(*, batch: Batch, reason: str, actor: Actor, at: datetime) -> Batch:
    """Let a batch go: what is sellable of it may be promised and leave again.

    Tells the same partners `batch.released`. Locks the batch and all its levels. Lifted twice answers the
    same. Raises IllegalStep while a recall of it is open.
    """
    locked, levels = _lock(batch)
    if locked.hold_state == RELEASED:
        return locked
    if locked.recalls.filter(state=Recall.State.OPEN).exists():
        raise IllegalStep(
            "Its recall is open; close the recall first.",
            currentStatus=locked.hold_state,
            allowedFrom=[str(QUARANTINED)],
        )
    _hold(locked, RELEASED, reason)
    _tell(locked, "batch.released", _promised_to(levels), levels, actor=actor, at=at, reason=reason)
    return locked


@transaction.atomic
def recall_batch(*, batch: Batch, reason: str, actor: Actor, at: datetime) -> Recall:
    """Call a batch back: it is blocked everywhere at once, and every promise of it is broken.

    The same goods may go by other SKUs: packs that were opened into units of this batch, or units that were packed.
    Their batches are recalled with it, each by a recall of its own for the same reason; a number that is merely
    the same is left alone. Lines that lose units wait again and their holders are told `inventory.shortage`;
    each batch's supplier, its owners and every partner that had a promise or got some are told `batch.recalled`.
    Counts what lies there. Locks the batches by id and all their levels. Recalled again while the recall is
    open answers that one.
    """
    locked, levels = _lock_same_goods(batch)
    if earlier := locked[batch.pk].recalls.filter(state=Recall.State.OPEN).first():
        return earlier
    still_open = set(Recall.objects.filter(state=Recall.State.OPEN, batch__in=locked).values_list("batch", flat=True))
    made: list[tuple[Recall, list[LockedLevel], set[int | None]]] = []
    for row in locked.values():
        if row.pk not in still_open:
            here = [level for level in levels if level.batch_id == row.pk]
            concerned = _promised_to(here) | _shipped_to(here)
            made.append((_block(row, here, reason, actor=actor, at=at), here, concerned))
    for recall, here, concerned in made:
        others = [other.number for other in tracing.recalled_with(recall=recall)]
        _tell(
            recall.batch, "batch.recalled", concerned, here, actor=actor, at=at, reason=reason, recallId=recall.number,
            relatedRecallIds=others,
        )  # fmt: skip
    return next(recall for recall, _, _ in made if recall.batch_id == batch.pk)


def _block(batch: Batch, levels: Sequence[LockedLevel], reason: str, *, actor: Actor, at: datetime) -> Recall:
    """Break every promise of the batch, block it, and write its recall."""
    broken = sum(
        shortages.break_promises(level_id=level.id, quantity=level.reserved, actor=actor, at=at)
        for level in levels
        if level.reserved
    )
    _hold(batch, RECALLED, reason)
    recall = Recall(
        number=new_number(), batch=batch, reason=reason, blocked=sum(level.on_hand for level in levels),
        promises_broken=broken, actor=actor.label, opened_at=at,
    )  # fmt: skip
    recall._change_reason = "batch recalled"  # type: ignore[attr-defined]  # read by the history
    recall.save()
    return recall


@transaction.atomic
def close_recall(*, recall: Recall, actor: Actor, at: datetime) -> Recall:
    """All of it is back or accounted for. The batch stays blocked until somebody lets it go.

    Locks the batch. Closed twice answers the same.
    """
    Batch.objects.select_for_update(no_key=True, of=("self",)).get(pk=recall.batch_id)
    locked = Recall.objects.get(pk=recall.pk)
    if locked.state == Recall.State.CLOSED:
        return locked
    locked.state, locked.closed_at = Recall.State.CLOSED, at
    locked._change_reason = "recall closed"  # type: ignore[attr-defined]  # read by the history
    locked.save()
    return locked


def _lock(batch: Batch) -> tuple[Batch, list[LockedLevel]]:
    locked, levels = _lock_all({batch.pk})
    return locked[batch.pk], levels


def _lock_all(batch_ids: Iterable[int]) -> tuple[dict[int, Batch], list[LockedLevel]]:
    """The batches by id, then all of their levels by id."""
    rows = Batch.objects.filter(pk__in=batch_ids).order_by("pk").select_related("variant")
    locked = {row.pk: row for row in rows.select_for_update(no_key=True, of=("self",))}
    levels = ledger.lock(Level.objects.filter(batch__in=locked).values_list("pk", flat=True))
    return locked, list(levels.values())


def _lock_same_goods(batch: Batch) -> tuple[dict[int, Batch], list[LockedLevel]]:
    """The batch and those it was opened from or packed into, and all of their levels.

    While we wait for the levels somebody may open packs into yet another batch. It is locked only after letting
    go of the others, or two who recall at once could wait for one another.
    """
    batch_ids = tracing.same_goods(batch_ids=[batch.pk])
    while True:
        with transaction.atomic():
            locked, levels = _lock_all(batch_ids)
            found = tracing.same_goods(batch_ids=batch_ids)
            if found == batch_ids:
                return locked, levels
            transaction.set_rollback(True)
        batch_ids = found


def _hold(batch: Batch, state: str, reason: str) -> None:
    batch.hold_state = state
    batch._change_reason = reason  # type: ignore[attr-defined]  # read by the history
    batch.save()


def _promised_to(levels: Iterable[LockedLevel]) -> set[int | None]:
    return _holders(levels, Q(quantity__gt=F("consumed") + F("freed")))


def _shipped_to(levels: Iterable[LockedLevel]) -> set[int | None]:
    return _holders(levels, Q(consumed__gt=0))


def _holders(levels: Iterable[LockedLevel], which: Q) -> set[int | None]:
    """The partners with such an allocation on these levels. One query, by the index made for the predicate."""
    rows = Allocation.objects.filter(which, level_id__in=[level.id for level in levels]).order_by()
    return set(rows.values_list("line__reservation__partner_id", flat=True).distinct())


def _tell(
    batch: Batch,
    event_type: str,
    partner_ids: set[int | None],
    levels: Iterable[LockedLevel],
    *,
    actor: Actor,
    at: datetime,
    **facts: Any,
) -> None:
    """No quantities: everybody concerned reads the same words, and how much others have is not theirs."""
    owners = {level.owner_id for level in levels if level.on_hand}
    outbox.record(
        event_type,
        subject=f"batch/{batch.variant.sku}/{batch.number}",
        payload={
            "productId": batch.variant.sku,
            "batchNumber": batch.number,
            "expirationDate": batch.expires_on.isoformat() if batch.expires_on else None,
            "holdState": batch.hold_state,
            **facts,
        },
        actor=actor,
        at=at,
        addressee_ids={batch.supplier_id, *owners, *partner_ids},
    )


def _illegal(batch: Batch, verb: str, *allowed: str) -> IllegalStep:
    return IllegalStep(
        f"It is {batch.hold_state} and cannot be {verb}.",
        currentStatus=batch.hold_state,
        allowedFrom=[str(state) for state in allowed],
    )
