from __future__ import annotations

from django.db import models
from django.db.models import Q

from orders.models.order import Order, OrderLine
from stock.models import Warehouse


class Remedy(models.Model):
    """What was done about units of an order line that were ordered and not promised. Never changed.

    Units put off wait with the customer's leave until `expected_on` has passed; then they are short again.
    """

    class Kind(models.TextChoices):
        RE_SOURCE = "reSource", "Sent from elsewhere"
        SUBSTITUTE = "substitute", "Substituted"
        SPLIT = "split", "Split off"
        BACKORDER = "backorder", "Put off"
        CANCEL = "cancel", "Cancelled"

    order_line = models.ForeignKey(OrderLine, on_delete=models.PROTECT, related_name="remedies")
    kind = models.CharField(max_length=10, choices=Kind)
    quantity = models.BigIntegerField()
    warehouse = models.ForeignKey(
        Warehouse, on_delete=models.PROTECT, null=True, blank=True, related_name="+", help_text="Sent from there."
    )
    substitute = models.ForeignKey(
        OrderLine, on_delete=models.PROTECT, null=True, blank=True, related_name="+", help_text="Instead of it."
    )
    follow_up = models.ForeignKey(
        Order, on_delete=models.PROTECT, null=True, blank=True, related_name="+", help_text="The order of what waits."
    )
    expected_on = models.DateField(null=True, blank=True)
    actor = models.CharField(max_length=160)
    resolved_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "remedies"
        constraints = [
            models.CheckConstraint(condition=Q(quantity__gte=1), name="remedy_quantity_positive"),
            *(
                models.CheckConstraint(
                    condition=Q(kind=kind, **{f"{field}__isnull": False})
                    | (~Q(kind=kind) & Q(**{f"{field}__isnull": True})),
                    name=f"remedy_{field}_of_its_kind",
                )
                for field, kind in [
                    ("warehouse", "reSource"),
                    ("substitute", "substitute"),
                    ("follow_up", "split"),
                    ("expected_on", "backorder"),
                ]
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.quantity}"
