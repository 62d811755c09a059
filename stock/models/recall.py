from __future__ import annotations

from django.db import models
from simple_history.models import HistoricalRecords

from partners.models import Partner
from partners.models.history import Traced
from stock.models.batch import Batch


class RecallQuerySet(models.QuerySet["Recall"]):
    def for_partner(self, partner: Partner) -> RecallQuerySet:
        """Recalls of the batches the partner may see."""
        return self.filter(batch__in=Batch.objects.for_partner(partner))


class Recall(models.Model):
    """A batch must come back: it is blocked everywhere, and whoever got some is to be told."""

    class State(models.TextChoices):
        OPEN = "open", "Open"
        CLOSED = "closed", "Closed"

    number = models.CharField(max_length=20, unique=True)
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, related_name="recalls")
    reason = models.CharField(max_length=250)
    state = models.CharField(max_length=6, choices=State, default=State.OPEN)
    blocked = models.BigIntegerField(default=0, help_text="Units on hand when it was recalled.")
    promises_broken = models.BigIntegerField(default=0)
    actor = models.CharField(max_length=160)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    history = HistoricalRecords(bases=[Traced])
    objects = RecallQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["batch"], condition=models.Q(state="open"), name="recall_one_open_per_batch"
            ),
        ]

    def __str__(self) -> str:
        return self.number
