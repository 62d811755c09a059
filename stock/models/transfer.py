from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords

from catalog.models import Variant
from partners.models import Partner
from partners.models.history import Traced
from stock.models.batch import Batch
from stock.models.warehouse import Warehouse


class TransferQuerySet(models.QuerySet["Transfer"]):
    def for_partner(self, partner: Partner) -> TransferQuerySet:
        """Transfers between warehouses of which the partner is granted one, and of nothing it may not see."""
        rows = self
        if partner.granted_warehouses is not None:
            codes = partner.granted_warehouses
            rows = rows.filter(Q(source__code__in=codes) | Q(target__code__in=codes))
        if partner.assortment == Partner.Assortment.OWN:
            foreign = TransferLine.objects.exclude(variant__in=Variant.objects.for_partner(partner))
            rows = rows.exclude(pk__in=foreign.values("transfer"))
        return rows

    def lock(self) -> TransferQuerySet:
        return self.order_by("id").select_for_update(no_key=True, of=("self",))


class Transfer(models.Model):
    """Goods go from one warehouse to another; between the two they are in transit, on nobody's shelf."""

    class State(models.TextChoices):
        PLANNED = "planned", "Planned"
        DISPATCHED = "dispatched", "Dispatched"
        ARRIVED = "arrived", "Arrived"
        CANCELLED = "cancelled", "Cancelled"

    number = models.CharField(max_length=20, unique=True)
    source = models.ForeignKey(Warehouse, on_delete=models.PROTECT, related_name="+")
    target = models.ForeignKey(Warehouse, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=10, choices=State, default=State.PLANNED)
    reference = models.CharField(max_length=120, blank=True)
    expected_on = models.DateField(null=True, blank=True, help_text="When it should arrive; feeds availability.")
    actor = models.CharField(max_length=160)
    planned_at = models.DateTimeField()
    dispatched_at = models.DateTimeField(null=True)
    arrived_at = models.DateTimeField(null=True)
    version = models.PositiveIntegerField(default=1)

    history = HistoricalRecords(bases=[Traced])
    objects = TransferQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=~Q(source=F("target")), name="transfer_goes_somewhere"),
        ]

    def __str__(self) -> str:
        return self.number


class TransferLine(models.Model):
    """Units of one variant and batch on their way. What was dispatched has arrived, or is lost, or is on the road."""

    transfer = models.ForeignKey(Transfer, on_delete=models.CASCADE, related_name="lines")
    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="+")
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    owner = models.ForeignKey(Partner, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    quantity = models.BigIntegerField(help_text="Asked for.")
    dispatched = models.BigIntegerField(default=0)
    arrived = models.BigIntegerField(default=0, help_text="More than dispatched, where more was found.")
    lost = models.BigIntegerField(default=0, help_text="Given up on the way.")

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(quantity__gte=1, dispatched__gte=0, arrived__gte=0, lost__gte=0),
                name="transfer_line_quantities_positive",
            ),
            models.CheckConstraint(
                condition=Q(lost=0) | Q(dispatched__gte=F("arrived") + F("lost")), name="transfer_line_lost_was_sent"
            ),
        ]

    def __str__(self) -> str:
        return str(self.quantity)

    @property
    def on_the_road(self) -> int:
        return max(self.dispatched - self.arrived - self.lost, 0)
