from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from catalog.models.product import Variant


class KitComponent(models.Model):
    """A kit is sold as one and never stocked itself: so many of each component make one.

    A component is no kit, so that one look tells all that a kit takes.
    """

    kit = models.ForeignKey(Variant, on_delete=models.CASCADE, related_name="components")
    component = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="part_of")
    quantity = models.PositiveIntegerField(help_text="Stock units of the component in one kit.")

    class Meta:
        ordering = ["kit_id", "id"]
        constraints = [
            models.UniqueConstraint(fields=["kit", "component"], name="kit_component_once"),
            models.CheckConstraint(
                condition=Q(quantity__gte=1),
                name="kit_component_quantity_positive",
                violation_error_message="Quantity: a kit holds one of a component or more.",
            ),
            models.CheckConstraint(
                condition=~Q(kit=F("component")),
                name="kit_is_not_its_own_part",
                violation_error_message="Component: a kit is not a part of itself.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} of {self.component_id}"
