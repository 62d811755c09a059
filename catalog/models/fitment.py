from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from catalog.models.product import Variant


class Fitment(models.Model):
    """A part fits a vehicle: make, model, the model years from and to (both inclusive), engine."""

    variant = models.ForeignKey(Variant, on_delete=models.CASCADE, related_name="fitments")
    make = models.CharField(max_length=60)
    model = models.CharField(max_length=100)
    year_from = models.PositiveSmallIntegerField()
    year_to = models.PositiveSmallIntegerField()
    engine = models.CharField(max_length=60, blank=True)
    position = models.CharField(max_length=60, blank=True)
    quantity = models.PositiveSmallIntegerField(default=1, help_text="Pieces one vehicle takes.")
    note = models.CharField(max_length=250, blank=True)

    class Meta:
        ordering = ["make", "model", "year_from", "id"]
        indexes = [models.Index(fields=["make", "model", "year_from", "year_to"], name="fitment_by_vehicle")]
        constraints = [
            models.CheckConstraint(condition=Q(year_to__gte=F("year_from")), name="fitment_years_in_order"),
            models.CheckConstraint(condition=Q(quantity__gte=1), name="fitment_quantity_positive"),
            models.UniqueConstraint(
                fields=["variant", "make", "model", "year_from", "year_to", "engine", "position"], name="fitment_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.make} {self.model} {self.year_from}–{self.year_to}"
