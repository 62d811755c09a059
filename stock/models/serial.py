from __future__ import annotations

from django.db import models
from django.db.models import Q

from catalog.models import Variant
from stock.models.level import Level
from stock.models.movement import Movement


class Serial(models.Model):
    """One unit of a variant tracked by serial number; on a level while we have it.

    A number is unique per variant for ever: a unit that comes back is the same unit, by a return.
    """

    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="serials")
    number = models.CharField(max_length=60)
    level = models.ForeignKey(
        Level, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, null=True, related_name="serials",
        help_text="Empty: it is gone.",
    )  # fmt: skip
    received_at = models.DateTimeField()

    class Meta:
        ordering = ["variant_id", "number"]
        indexes = [models.Index(fields=["level"], name="serial_by_level", condition=Q(level__isnull=False))]
        constraints = [models.UniqueConstraint(fields=["variant", "number"], name="serial_number_once_per_variant")]

    def __str__(self) -> str:
        return self.number


class SerialMovement(models.Model):
    """A movement took this unit along: the life of a serial number, row by row."""

    movement = models.ForeignKey(
        Movement, on_delete=models.DO_NOTHING, db_constraint=False, related_name="serial_movements"
    )
    serial = models.ForeignKey(Serial, on_delete=models.PROTECT, related_name="movements")

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["movement", "serial"], name="serial_moves_once_per_movement")]

    def __str__(self) -> str:
        return f"{self.serial_id} in {self.movement_id}"
