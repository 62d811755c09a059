from __future__ import annotations

from django.db import models
from django.db.models import Q

from stock.models.warehouse import Location


class Reason(models.Model):
    """Why stock is set right or destroyed, and so where the units go in the ledger.

    A loss goes to `place`; a gain always comes from `found`. Retired reasons stay, since movements name them.
    """

    class Operation(models.TextChoices):
        ADJUST = "adjustment", "Adjust"
        WRITE_OFF = "writeOff", "Write off"

    PLACES = (Location.Kind.LOST, Location.Kind.SCRAP, Location.Kind.CONSUMED)

    code = models.SlugField(max_length=40, primary_key=True)
    name = models.CharField(max_length=100)
    operation = models.CharField(max_length=10, choices=Operation)
    place = models.CharField(max_length=10, choices=[(place.value, place.label) for place in PLACES])
    is_active = models.BooleanField(default=True)

    class Meta:
        ordering = ["operation", "name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(operation__in=["adjustment", "writeOff"]), name="reason_operation_known"
            ),
            models.CheckConstraint(condition=Q(place__in=["lost", "scrap", "consumed"]), name="reason_place_known"),
        ]

    def __str__(self) -> str:
        return self.name
