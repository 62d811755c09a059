from __future__ import annotations

from django.db import models

from catalog.models import Variant
from partners.models import Partner
from stock.models.batch import Batch
from stock.models.level import Level
from stock.models.warehouse import Location


class Seal(models.Model):
    """A block of ledger rows nobody can change unseen: each row's digest, and a root that chains to the last.

    root = SHA-256(previous root ‖ digests), digests in the order of `movement_ids`. Append-only.
    """

    root = models.BinaryField(max_length=32)
    movement_ids = models.BinaryField(help_text="Eight bytes a row, big-endian, ascending.")
    digests = models.BinaryField(help_text="Thirty-two bytes a row.")
    rows = models.PositiveIntegerField()
    first_id = models.BigIntegerField()
    last_id = models.BigIntegerField(unique=True)
    sealed_at = models.DateTimeField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.first_id}–{self.last_id}"


class Snapshot(models.Model):
    """What every level held when all movements up to `last_id` were booked: a near place to count from."""

    last_id = models.BigIntegerField(unique=True)
    taken_at = models.DateTimeField()

    class Meta:
        ordering = ["-taken_at"]

    def __str__(self) -> str:
        return f"{self.taken_at:%Y-%m-%d}"


class SnapshotLevel(models.Model):
    """One level in a snapshot."""

    snapshot = models.ForeignKey(Snapshot, on_delete=models.CASCADE, related_name="levels")
    variant = models.ForeignKey(Variant, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+")
    location = models.ForeignKey(
        Location, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    batch = models.ForeignKey(
        Batch, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, null=True, related_name="+"
    )
    condition = models.CharField(max_length=10, choices=Level.Condition)
    owner = models.ForeignKey(
        Partner, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, null=True, related_name="+"
    )
    on_hand = models.BigIntegerField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return str(self.on_hand)
