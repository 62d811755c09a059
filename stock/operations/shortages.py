"""The shelf is truth: where less lies than was promised, promises are broken, the youngest first."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import F

from partners import outbox
from partners.actors import Actor
from stock import ledger
from stock.models import Allocation


@transaction.atomic
def break_promises(*, level_id: int, quantity: int, actor: Actor, at: datetime) -> int:
    """Free `quantity` promised units of a level, the youngest promises first.

    The caller holds the level's lock. Lines that lose units wait again (their open allocations say so); each
    holder is told `inventory.shortage`. Returns how many units were freed, which is less only if less was
    promised.
    """
    kept = Allocation.objects.filter(level_id=level_id, quantity__gt=F("consumed") + F("freed"))
    broken = 0
    for row in kept.select_related("line__reservation", "line__variant").order_by("-line_id", "-id"):
        units = min(row.open_quantity, quantity - broken)
        if units <= 0:
            break
        Allocation.objects.filter(pk=row.pk).update(freed=F("freed") + units)
        broken += units
        reservation = row.line.reservation
        outbox.record(
            "inventory.shortage",
            subject=f"reservation/{reservation.public_id}",
            payload={
                "reservationId": str(reservation.public_id),
                "reference": reservation.reference,
                "productId": row.line.variant.sku,
                "quantity": units,
            },
            actor=actor,
            at=at,
            addressee_ids=[reservation.partner_id],
        )
    ledger.promise({level_id: -broken}, actor=actor, at=at)
    return broken
