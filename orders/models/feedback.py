from __future__ import annotations

from functools import partial

from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from catalog.models import Variant
from orders.models.order import Order
from partners import numbers
from partners.models import Partner
from partners.models.history import Traced
from stock.models import Batch, Count, Warehouse


class FeedbackQuerySet(models.QuerySet["Feedback"]):
    def for_partner(self, partner: Partner) -> FeedbackQuerySet:
        """What a partner said is between it and us."""
        return self.filter(partner=partner)

    def open(self) -> FeedbackQuerySet:
        return self.filter(status=Feedback.Status.OPEN)

    def lock(self) -> FeedbackQuerySet:
        return self.order_by("id").select_for_update(no_key=True, of=("self",))


class Feedback(models.Model):
    """What a partner tells us went wrong, or well, and what we answered."""

    class Kind(models.TextChoices):
        DISCREPANCY = "discrepancy", "Discrepancy"
        DELAY = "delay", "Delay"
        QUALITY = "quality", "Quality"
        OTHER = "other", "Other"

    class Status(models.TextChoices):
        OPEN = "open", "Open"
        ANSWERED = "answered", "Answered"
        CLOSED = "closed", "Closed"

    number = models.CharField(max_length=20, unique=True, default=partial(numbers.new_number, "FB"), editable=False)
    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=11, choices=Kind)
    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    order = models.ForeignKey(Order, on_delete=models.PROTECT, null=True, blank=True, related_name="feedback")
    warehouse = models.ForeignKey(Warehouse, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    counted_quantity = models.BigIntegerField(null=True, blank=True, help_text="How many lie there, says the partner.")
    rating = models.PositiveSmallIntegerField(null=True, blank=True, help_text="1 (poor) to 5 (good).")
    comment = models.TextField(max_length=2_000, blank=True)
    status = models.CharField(max_length=8, choices=Status, default=Status.OPEN)
    answer = models.TextField(max_length=2_000, blank=True, help_text="What the partner was told.")
    count = models.ForeignKey(
        Count, on_delete=models.PROTECT, null=True, blank=True, related_name="+", help_text="Goes and looks."
    )
    said_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1, editable=False)

    history = HistoricalRecords(bases=[Traced])
    objects = FeedbackQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "feedback"
        indexes = [
            models.Index(fields=["partner", "-id"], name="feedback_by_partner"),
            models.Index(fields=["warehouse", "variant"], name="feedback_by_place", condition=Q(count__isnull=False)),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["partner", "order"],
                condition=Q(rating__isnull=False),
                name="feedback_one_rating_per_order",
                nulls_distinct=True,
            ),
            models.CheckConstraint(
                condition=Q(rating__isnull=True) | Q(rating__range=(1, 5)), name="feedback_rating_1_to_5"
            ),
            models.CheckConstraint(
                condition=~Q(kind="discrepancy") | Q(variant__isnull=False, warehouse__isnull=False),
                name="feedback_discrepancy_has_a_place",
            ),
            models.CheckConstraint(
                condition=~Q(kind="delay") | Q(order__isnull=False), name="feedback_delay_has_an_order"
            ),
            models.CheckConstraint(
                condition=Q(status="open", answered_at__isnull=True, closed_at__isnull=True)
                | (Q(status="answered", answered_at__isnull=False, closed_at__isnull=True) & ~Q(answer=""))
                | Q(status="closed", closed_at__isnull=False),
                name="feedback_status_has_its_times",
            ),
        ]

    def __str__(self) -> str:
        return self.number
