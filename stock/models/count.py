from __future__ import annotations

from decimal import Decimal

from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from catalog.models import Variant
from partners.models import Partner
from partners.models.history import Traced
from stock.models.batch import Batch
from stock.models.level import Level
from stock.models.warehouse import Location, Warehouse


class CountQuerySet(models.QuerySet["Count"]):
    def for_partner(self, partner: Partner) -> CountQuerySet:
        """Counts in the warehouses a partner is granted, by those who run them or see everything."""
        rows = (
            self if partner.granted_warehouses is None else self.filter(warehouse__code__in=partner.granted_warehouses)
        )
        return rows if partner.assortment == Partner.Assortment.ALL else rows.none()

    def lock(self) -> CountQuerySet:
        return self.order_by("id").select_for_update(no_key=True, of=("self",))


class Count(models.Model):
    """Somebody goes and looks what really lies there. Blind: whoever counts is not told what the book says."""

    class State(models.TextChoices):
        OPEN = "open", "Open"
        POSTED = "posted", "Posted"
        CANCELLED = "cancelled", "Cancelled"

    number = models.CharField(max_length=20, unique=True)
    warehouse = models.ForeignKey(Warehouse, on_delete=models.PROTECT, related_name="+")
    scope = models.CharField(max_length=250, help_text="What was to be counted, in words.")
    state = models.CharField(max_length=9, choices=State, default=State.OPEN)
    is_blind = models.BooleanField(default=True)
    tolerance_units = models.PositiveIntegerField(default=0, help_text="A difference up to this needs no recount.")
    tolerance_percent = models.DecimalField(max_digits=5, decimal_places=2, default=Decimal(0))
    approval_value = models.DecimalField(
        max_digits=14, decimal_places=2, null=True, blank=True,
        help_text="A difference worth more than this needs another person's approval; empty: none does.",
    )  # fmt: skip
    actor = models.CharField(max_length=160)
    opened_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    version = models.PositiveIntegerField(default=1)

    history = HistoricalRecords(bases=[Traced])
    objects = CountQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.number


class CountLine(models.Model):
    """One place to count. `balance` and `position` are the book's at the moment of counting, under the level's lock.

    The variance is counted − balance, so whatever moves before the count is posted stays right.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "To count"
        RECOUNT = "recount", "Count again"
        COUNTED = "counted", "Counted"
        APPROVAL = "approval", "Waits for approval"
        APPROVED = "approved", "Approved"
        REJECTED = "rejected", "Rejected"
        POSTED = "posted", "Posted"

    count = models.ForeignKey(Count, on_delete=models.CASCADE, related_name="lines")
    location = models.ForeignKey(Location, on_delete=models.PROTECT, related_name="+")
    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="+")
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    condition = models.CharField(max_length=10, choices=Level.Condition, default=Level.Condition.SELLABLE)
    owner = models.ForeignKey(Partner, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    first_counted = models.BigIntegerField(null=True, help_text="The blind first count, kept beside the recount.")
    counted = models.BigIntegerField(null=True)
    balance = models.BigIntegerField(null=True)
    position = models.BigIntegerField(null=True, help_text="The place's last movement when it was counted.")
    counted_by = models.CharField(max_length=160, blank=True)
    counted_at = models.DateTimeField(null=True)
    approved_by = models.CharField(max_length=160, blank=True)
    movement_id = models.BigIntegerField(null=True, help_text="The ledger's row that posted the variance.")

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["count", "location", "variant", "batch", "condition", "owner"],
                name="count_line_one_per_place",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=Q(counted__isnull=True, balance__isnull=True)
                | Q(counted__gte=0, balance__gte=0, position__isnull=False),
                name="count_line_remembers_the_book",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.variant_id} at {self.location_id}"

    @property
    def variance(self) -> int | None:
        """Counted less what the book said at that moment; null until counted."""
        return None if self.counted is None or self.balance is None else self.counted - self.balance
