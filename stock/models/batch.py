from __future__ import annotations

from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from catalog.models import Variant
from partners.models import Partner
from partners.models.history import Traced
from stock.models.ownership import visible_to


class BatchQuerySet(models.QuerySet["Batch"]):
    def for_partner(self, partner: Partner) -> BatchQuerySet:
        """Batches of the partner's assortment that it supplied or sees a level of; our own channels see all of them."""
        batches = self.filter(variant__in=Variant.objects.for_partner(partner))
        if partner.kind == Partner.Kind.CHANNEL:
            return batches
        # A batch without levels has no owner either, and must not be taken for ours.
        seen = Q(levels__isnull=False) & visible_to(partner, "levels__")
        if partner.granted_warehouses is not None:
            seen &= Q(levels__location__warehouse__code__in=partner.granted_warehouses)
        lying = Batch.objects.filter(seen, variant__in=Variant.objects.for_partner(partner))
        return batches.filter(Q(supplier=partner) | Q(pk__in=lying.values("pk")))


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
    objects = BatchQuerySet.as_manager()

    class Meta:
        ordering = ["variant_id", "expires_on", "number"]
        verbose_name_plural = "batches"
        constraints = [models.UniqueConstraint(fields=["variant", "number"], name="batch_number_once_per_variant")]

    def __str__(self) -> str:
        return self.number
