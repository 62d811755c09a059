from __future__ import annotations

from django.db import models
from simple_history.models import HistoricalRecords

from catalog.models import Variant
from partners.models import Partner
from partners.models.history import Traced


class Batch(models.Model):
    """A lot of one variant: what was made together, expires together and is recalled together."""

    class HoldState(models.TextChoices):
        RELEASED = "released", "Released"
        QUARANTINED = "quarantined", "Quarantined"
        RECALLED = "recalled", "Recalled"

    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="batches")
    number = models.CharField(max_length=60)
    expires_on = models.DateField(null=True, blank=True, help_text="Sellable through the end of this day.")
    hold_state = models.CharField(max_length=11, choices=HoldState, default=HoldState.RELEASED)
    supplier = models.ForeignKey(Partner, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    history = HistoricalRecords(bases=[Traced])

    class Meta:
        ordering = ["variant_id", "expires_on", "number"]
        verbose_name_plural = "batches"
        constraints = [models.UniqueConstraint(fields=["variant", "number"], name="batch_number_once_per_variant")]

    def __str__(self) -> str:
        return self.number
