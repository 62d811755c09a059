from __future__ import annotations

from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from catalog.models import ProductType, Variant
from partners.models.history import Traced
from stock.costing import AVERAGE, FIFO
from stock.models.warehouse import Warehouse


class Method(models.TextChoices):
    FIFO = FIFO, "First in, first out"
    AVERAGE = AVERAGE, "Moving average"


class CostingRule(models.Model):
    """By which method the cost of products is followed: of one product, of a type, or of all that have none.

    Without any it is first in, first out. It counts for products nothing came of yet; for others see `Revaluation`.
    """

    variant = models.ForeignKey(Variant, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    product_type = models.ForeignKey(ProductType, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    method = models.CharField(max_length=7, choices=Method)

    history = HistoricalRecords(bases=[Traced])

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(variant__isnull=True) | Q(product_type__isnull=True), name="costing_rule_product_or_type"
            ),
            models.UniqueConstraint(
                fields=["variant", "product_type"], name="costing_rule_said_once", nulls_distinct=False
            ),
        ]

    def __str__(self) -> str:
        return self.get_method_display()


class ValuedUpTo(models.Model):
    """How far the follower has read the ledger. One row; every figure of cost carries it."""

    movement_id = models.BigIntegerField(default=0)
    valued_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="valued_up_to_one_row")]

    def __str__(self) -> str:
        return f"Valued up to movement {self.movement_id}"


class CostBook(models.Model):
    """The method a product is followed by, from the first units that came; and what its last shipment cost."""

    variant = models.OneToOneField(Variant, on_delete=models.PROTECT, primary_key=True, related_name="+")
    method = models.CharField(max_length=7, choices=Method)
    sold_quantity = models.BigIntegerField(default=0)
    sold_value = models.DecimalField(default=0, max_digits=32, decimal_places=4)

    def __str__(self) -> str:
        return self.get_method_display()


class CostPool(models.Model):
    """What lies of a product in a warehouse (none: on the road between two), and what it is worth."""

    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, db_index=False, related_name="+")
    warehouse = models.ForeignKey(Warehouse, on_delete=models.PROTECT, null=True, related_name="+")
    quantity = models.BigIntegerField()
    value = models.DecimalField(max_digits=32, decimal_places=4)

    class Meta:
        ordering = ["variant_id", "warehouse_id"]
        verbose_name = "inventory value"
        constraints = [
            models.UniqueConstraint(fields=["variant", "warehouse"], name="cost_pool_once", nulls_distinct=False),
            models.CheckConstraint(condition=Q(quantity__gte=0), name="cost_pool_quantity_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} worth {self.value}"


class CostNote(models.Model):
    """What a document says a movement cost: the price of what came, or freight and duty, also later.

    Written with the document; the follower books it once the movement is valued. Only `is_booked` ever changes.
    """

    class Kind(models.TextChoices):
        PRICE = "price", "Price"
        LANDED = "landed", "Freight or duty"

    movement_id = models.BigIntegerField(help_text="The ledger's row that brought the units.")
    kind = models.CharField(max_length=6, choices=Kind)
    amount = models.DecimalField(max_digits=32, decimal_places=4)
    currency = models.CharField(max_length=3, help_text="Of another than the books' it waits unbooked.")
    reference = models.CharField(max_length=120, blank=True)
    is_booked = models.BooleanField(default=False)
    told_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["movement_id"], name="cost_note_to_book", condition=Q(is_booked=False))]
        constraints = [
            models.UniqueConstraint(
                fields=["movement_id"], condition=Q(kind="price"), name="cost_note_one_price_per_movement"
            ),
            models.CheckConstraint(condition=Q(amount__gte=0), name="cost_note_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.amount} {self.currency}"


class Revaluation(models.Model):
    """Somebody set what a product is worth, or how its cost is followed. The only way either ever changes."""

    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="+")
    method_before = models.CharField(max_length=7, choices=Method)
    method_after = models.CharField(max_length=7, choices=Method)
    unit_cost = models.DecimalField(max_digits=14, decimal_places=4, null=True, help_text="None: the value stayed.")
    quantity = models.BigIntegerField()
    value_before = models.DecimalField(max_digits=32, decimal_places=4)
    value_after = models.DecimalField(max_digits=32, decimal_places=4)
    reason = models.CharField(max_length=200)
    actor = models.CharField(max_length=160)
    booked_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.value_before} to {self.value_after}"


class CostLayer(models.Model):
    """Units that came to a warehouse (none: to the road) together, and their worth; `root` is what they came to us as.

    Only what is left of it ever changes.
    """

    variant = models.ForeignKey(
        Variant, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    warehouse = models.ForeignKey(
        Warehouse, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, null=True, related_name="+"
    )
    root = models.ForeignKey("self", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    movement_id = models.BigIntegerField(help_text="The ledger's row that brought them.")
    revaluation = models.ForeignKey(Revaluation, on_delete=models.PROTECT, null=True, db_index=False, related_name="+")
    quantity = models.BigIntegerField()
    value = models.DecimalField(max_digits=32, decimal_places=4)
    left_quantity = models.BigIntegerField()
    left_value = models.DecimalField(max_digits=32, decimal_places=4)
    is_estimated = models.BooleanField(default=False, help_text="No document said what they cost.")
    acquired_at = models.DateTimeField(help_text="When they came to us; their age counts from there.")
    recorded_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["variant", "id"], name="cost_layer_open", condition=Q(left_quantity__gt=0)),
            models.Index(fields=["movement_id"], name="cost_layer_by_movement"),
            models.Index(fields=["variant", "recorded_at"], name="cost_layer_by_time"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(quantity__gte=1), name="cost_layer_quantity_positive"),
            models.CheckConstraint(
                condition=Q(left_quantity__gte=0, left_quantity__lte=models.F("quantity")),
                name="cost_layer_left_within_quantity",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.left_quantity} of {self.quantity}"


class CostDraw(models.Model):
    """Units that left a layer by a movement, and what they cost: to a customer, cost of goods. Never changed."""

    layer = models.ForeignKey(CostLayer, on_delete=models.PROTECT, related_name="draws")
    movement_id = models.BigIntegerField(help_text="The ledger's row that took them.")
    revaluation = models.ForeignKey(Revaluation, on_delete=models.PROTECT, null=True, db_index=False, related_name="+")
    quantity = models.BigIntegerField()
    value = models.DecimalField(max_digits=32, decimal_places=4)
    recorded_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["movement_id"], name="cost_draw_by_movement")]
        constraints = [models.CheckConstraint(condition=Q(quantity__gte=1), name="cost_draw_quantity_positive")]

    def __str__(self) -> str:
        return f"{self.quantity} worth {self.value}"


class CostLanding(models.Model):
    """Cost that came after the units: so much on what was left of a layer; without a layer, for what had gone: a
    variance. Never changed."""

    note = models.ForeignKey(CostNote, on_delete=models.PROTECT, related_name="landings")
    layer = models.ForeignKey(CostLayer, on_delete=models.PROTECT, null=True, related_name="landings")
    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="+")
    amount = models.DecimalField(max_digits=32, decimal_places=4)
    recorded_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["note", "layer"], name="cost_landing_once", nulls_distinct=False)
        ]

    def __str__(self) -> str:
        return str(self.amount)
