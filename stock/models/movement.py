from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from catalog.models import Variant
from partners.models import Partner
from stock.models.batch import Batch
from stock.models.ownership import visible_to
from stock.models.warehouse import Location, Warehouse


class MovementQuerySet(models.QuerySet["Movement"]):
    def for_partner(self, partner: Partner) -> MovementQuerySet:
        """Movements of the partner's assortment that touch a warehouse it is granted."""
        rows = self.filter(visible_to(partner), variant__in=Variant.objects.for_partner(partner))
        if partner.granted_warehouses is None:
            return rows
        granted = Location.objects.filter(
            warehouse__in=Warehouse.objects.filter(code__in=partner.granted_warehouses)
        ).values("pk")
        return rows.filter(Q(from_location__in=granted) | Q(to_location__in=granted))


class Movement(models.Model):
    """One row of the ledger: so many units went from there to here, why, by whom, and when.

    Append-only: the database refuses UPDATE, DELETE and TRUNCATE. A mistake is corrected by another row
    naming it in `corrects`. It refers to variant, batch and locations without constraints, since a foreign
    key would lock the row every movement of a popular variant shares; levels, which have constraints, are
    never deleted and hold what this refers to.
    """

    class Kind(models.TextChoices):
        RECEIPT = "receipt", "Receipt"
        ADJUSTMENT = "adjustment", "Adjustment"
        DAMAGE = "damage", "Damage"
        RETURN = "return", "Return"
        WRITE_OFF = "writeOff", "Write-off"
        TRANSFER_OUT = "transferOut", "Transfer out"
        TRANSFER_IN = "transferIn", "Transfer in"
        SHIPMENT = "shipment", "Shipment"
        DISPOSITION = "disposition", "Disposition"
        MOVE = "move", "Move"
        QUARANTINE = "quarantine", "Quarantine"
        LIFT = "lift", "Lift"
        COUNT = "count", "Count"
        CONVERSION = "conversion", "Conversion"
        OWNERSHIP = "ownership", "Change of owner"

    variant = models.ForeignKey(
        Variant, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    batch = models.ForeignKey(
        Batch, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, null=True, related_name="+"
    )
    owner = models.ForeignKey(
        Partner, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, null=True, related_name="+"
    )
    quantity = models.BigIntegerField()
    from_location = models.ForeignKey(
        Location, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    from_condition = models.CharField(max_length=10, blank=True)
    to_location = models.ForeignKey(
        Location, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    to_condition = models.CharField(max_length=10, blank=True)
    kind = models.CharField(max_length=12, choices=Kind)
    reason = models.CharField(max_length=200, blank=True)
    reference = models.CharField(max_length=120, blank=True)
    actor = models.CharField(max_length=160)
    request_id = models.CharField(max_length=64, blank=True)
    corrects = models.ForeignKey(
        "self", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, null=True, related_name="corrections"
    )
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField()

    objects = MovementQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["variant", "id"], name="movement_by_variant"),
            models.Index(fields=["batch", "id"], name="movement_by_batch", condition=Q(batch__isnull=False)),
            models.Index(fields=["reference"], name="movement_by_reference", condition=~Q(reference="")),
            models.Index(fields=["occurred_at"], name="movement_by_occurrence"),
            models.Index(fields=["corrects"], name="movement_by_correction", condition=Q(corrects__isnull=False)),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(quantity__gte=1), name="movement_quantity_positive"),
            models.CheckConstraint(
                condition=~Q(from_location=F("to_location"), from_condition=F("to_condition")),
                name="movement_goes_somewhere",
            ),
            models.CheckConstraint(
                condition=~Q(from_condition="warranty", to_condition="sellable"),
                name="movement_never_sells_warranty_goods",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.quantity}"
