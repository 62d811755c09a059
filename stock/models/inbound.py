from __future__ import annotations

from django.db import models
from django.db.models import Q

from catalog.models import Variant
from stock.models.batch import Batch
from stock.models.warehouse import Warehouse


class Inbound(models.Model):
    """Units on their way to a warehouse, as a document says: a transfer's line, a purchase order's line.

    Written by the operation that owns the document, whenever what is still to come changes; never added up
    from anywhere else. Availability counts them from their day on.
    """

    class Kind(models.TextChoices):
        TRANSFER = "transfer", "Transfer"
        PURCHASE_ORDER = "purchaseOrder", "Purchase order"

    kind = models.CharField(max_length=13, choices=Kind)
    document = models.CharField(max_length=40)
    line = models.BigIntegerField(help_text="The document's line.")
    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="+")
    warehouse = models.ForeignKey(Warehouse, on_delete=models.PROTECT, related_name="+")
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    quantity = models.BigIntegerField(help_text="Still to come.")
    expected_on = models.DateField()
    is_confirmed = models.BooleanField(default=True, help_text="Unconfirmed supply is not promised.")

    class Meta:
        ordering = ["variant_id", "expected_on", "id"]
        constraints = [
            models.UniqueConstraint(fields=["kind", "document", "line"], name="inbound_once_per_line"),
            models.CheckConstraint(condition=Q(quantity__gte=1), name="inbound_quantity_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} by {self.document} on {self.expected_on}"
