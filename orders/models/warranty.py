from __future__ import annotations

from functools import partial

from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords

from catalog.models import WarrantyPer
from orders.models.order import OrderLine
from orders.models.returns import Return, ReturnLine
from partners import numbers
from partners.models import Partner
from partners.models.history import Traced


class WarrantyClaimQuerySet(models.QuerySet["WarrantyClaim"]):
    def for_partner(self, partner: Partner) -> WarrantyClaimQuerySet:
        """Claims of the returns a partner may see; a supplier's those of its own products."""
        mine = OrderLine.objects.for_partner(partner)
        return self.filter(line__return_of__in=Return.objects.for_partner(partner), line__order_line__in=mine)

    def lock(self) -> WarrantyClaimQuerySet:
        return self.order_by("id").select_for_update(no_key=True, of=("self",))


class WarrantyClaim(models.Model):
    """Units that came back within their warranty, by the terms that counted then; they lie in the warranty pool."""

    class Status(models.TextChoices):
        OPEN = "open", "Open"
        SETTLED = "settled", "Settled"

    class Outcome(models.TextChoices):
        SCRAP = "scrap", "Scrapped"
        RETURN_TO_VENDOR = "returnToVendor", "Returned to vendor"

    number = models.CharField(max_length=20, unique=True, default=partial(numbers.new_number, "WC"), editable=False)
    line = models.OneToOneField(ReturnLine, on_delete=models.PROTECT, related_name="claim")
    starts_on = models.DateField(help_text="The day its goods were shipped, or those it was a replacement for.")
    ends_on = models.DateField(help_text="The last day of the warranty.")
    claimed_on = models.DateField(help_text="The day the return was announced.")
    months = models.PositiveIntegerField()
    per = models.CharField(max_length=10, choices=WarrantyPer)
    terms = models.TextField(max_length=2_000, blank=True)
    status = models.CharField(max_length=7, choices=Status, default=Status.OPEN)
    outcome = models.CharField(max_length=14, choices=Outcome, blank=True, help_text="What became of the units.")
    claimed_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1, editable=False)

    history = HistoricalRecords(bases=[Traced])
    objects = WarrantyClaimQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(starts_on__lte=F("ends_on")) & Q(claimed_on__lte=F("ends_on")),
                name="warranty_claim_in_time",
            ),
            models.CheckConstraint(
                condition=Q(status="open", outcome="", settled_at__isnull=True)
                | (Q(status="settled", settled_at__isnull=False) & ~Q(outcome="")),
                name="warranty_claim_settled_with_an_outcome",
            ),
        ]

    def __str__(self) -> str:
        return self.number
