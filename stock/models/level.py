from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import F, Q
from django.db.models.expressions import RawSQL

from catalog.models import Variant
from partners.models import Partner
from stock.models.batch import Batch
from stock.models.ownership import visible_to
from stock.models.warehouse import Location

# The one predicate of what may be promised on a moment; ATP, allocation and picking all use it: condition
# sellable, warehouse active, batch released, and good through the end of its date where it lies, with so many
# days to spare. The function is in the database (migration 0004), since the ledger's door uses it there too;
# `level`, `location`, `warehouse`, `batch` are the tables' aliases, the parameters are moment and days.
SELLABLE_SQL = """
    stock_is_sellable(level.condition, warehouse.is_active, batch.hold_state, batch.expires_on, warehouse.time_zone,
                      %s, %s)
"""
FROM_SQL = """
    stock_level level
    JOIN stock_location location ON location.id = level.location_id
    JOIN stock_warehouse warehouse ON warehouse.id = location.warehouse_id
    LEFT JOIN stock_batch batch ON batch.id = level.batch_id
"""


class LevelQuerySet(models.QuerySet["Level"]):
    def for_partner(self, partner: Partner) -> LevelQuerySet:
        """Levels of the partner's assortment in the warehouses it is granted; of others' stock only what they grant."""
        levels = self.filter(visible_to(partner), variant__in=Variant.objects.for_partner(partner))
        if partner.granted_warehouses is not None:
            levels = levels.filter(location__warehouse__code__in=partner.granted_warehouses)
        return levels

    def with_sellable(self, *, at: datetime) -> LevelQuerySet:
        """Annotates `is_sellable`: whether what lies here may be promised at this moment."""
        inner = f"SELECT {SELLABLE_SQL} FROM {FROM_SQL} WHERE level.id = stock_level.id"
        return self.annotate(is_sellable=RawSQL(inner, [at, 0], output_field=models.BooleanField()))

    def lock(self) -> LevelQuerySet:
        """Locks the rows in id order, the one order of the house; foreign keys onto them may still be written."""
        return self.order_by("id").select_for_update(no_key=True, of=("self",))


class Level(models.Model):
    """How much of a variant (and batch) lies in a location, in one condition, and how much of it is promised.

    Written by `stock/ledger.py` alone. `on_hand` is the sum of the movements, `reserved` the sum of the open
    allocations; `version` counts its changes. The CHECK below is the last guard and knows no exception.
    """

    class Condition(models.TextChoices):
        SELLABLE = "sellable", "Sellable"
        QUARANTINE = "quarantine", "Quarantine"
        DAMAGED = "damaged", "Damaged"
        # Came back under warranty. No movement leads from here to the sellable shelf.
        WARRANTY = "warranty", "Warranty pool"

    # level_one_per_place begins with the variant and serves as its index.
    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="levels", db_index=False)
    location = models.ForeignKey(Location, on_delete=models.PROTECT, related_name="levels")
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, null=True, blank=True, related_name="levels")
    condition = models.CharField(max_length=10, choices=Condition, default=Condition.SELLABLE)
    owner = models.ForeignKey(
        Partner, on_delete=models.PROTECT, null=True, blank=True, related_name="+", help_text="Empty: it is ours."
    )
    on_hand = models.BigIntegerField(default=0)
    reserved = models.BigIntegerField(default=0)
    version = models.BigIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now_add=True)

    objects = LevelQuerySet.as_manager()

    class Meta:
        ordering = ["variant_id", "id"]
        # No index over on_hand, reserved, version or updated_at: it would take HOT updates away from every reserve.
        constraints = [
            models.UniqueConstraint(
                fields=["variant", "location", "batch", "condition", "owner"],
                name="level_one_per_place",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=Q(reserved__gte=0, reserved__lte=F("on_hand")), name="level_reserved_within_on_hand"
            ),
            models.CheckConstraint(condition=Q(on_hand__lte=10**15), name="level_on_hand_bounded"),
            models.CheckConstraint(
                condition=Q(condition__in=["sellable", "quarantine", "damaged", "warranty"]),
                name="level_condition_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.on_hand} ({self.reserved} reserved)"

    @property
    def available(self) -> int:
        return self.on_hand - self.reserved
