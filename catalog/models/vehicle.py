from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from catalog.models.keys import KeptKey, PlainKey


class Vehicle(models.Model):
    """A vehicle that is known to have been built, as one source spells it."""

    source = models.CharField(max_length=40, help_text="Who says so, e.g. EPA.")
    make = models.CharField(max_length=60)
    model = models.CharField(max_length=100)
    year = models.PositiveSmallIntegerField()
    engine = models.CharField(max_length=60, blank=True)
    body = models.CharField(max_length=120, blank=True)
    base_vehicle_id = models.CharField("ACES base vehicle", max_length=20, blank=True)
    make_key = KeptKey(expression=PlainKey("make"))
    model_key = KeptKey(expression=PlainKey("model"))
    engine_key = KeptKey(expression=PlainKey("engine"))

    class Meta:
        ordering = ["make_key", "model_key", "year", "id"]
        indexes = [
            models.Index(fields=["base_vehicle_id"], name="vehicle_by_base_vehicle", condition=~Q(base_vehicle_id=""))
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["make_key", "model_key", "year", "engine_key", "source"], name="vehicle_once_per_source"
            ),
            models.CheckConstraint(condition=~Q(make_key="") & ~Q(model_key=""), name="vehicle_has_a_name"),
        ]

    def __str__(self) -> str:
        return f"{self.year} {self.make} {self.model} {self.engine}".strip()


class VehicleAlias(models.Model):
    """A name of a model that means another: EPA's "F150 Pickup 2WD" is one of the makers' "F-150".

    Suggested by the names themselves, it counts only once staff have confirmed it. Who asks for the model is then
    told of parts for the alias, and who asks for the alias of parts for the model; not of those for its siblings.
    """

    class Status(models.TextChoices):
        SUGGESTED = "suggested", "Suggested"
        CONFIRMED = "confirmed", "Confirmed"
        REFUSED = "refused", "Refused"

    make = models.CharField(max_length=60)
    model = models.CharField("name", max_length=100)
    means = models.CharField("means the model", max_length=100)
    status = models.CharField(max_length=9, choices=Status, default=Status.SUGGESTED)
    make_key = KeptKey(expression=PlainKey("make"))
    model_key = KeptKey(expression=PlainKey("model"))
    means_key = KeptKey(expression=PlainKey("means"))

    class Meta:
        ordering = ["make_key", "means_key", "model_key"]
        verbose_name_plural = "vehicle aliases"
        indexes = [
            models.Index(
                fields=["make_key", "means_key"], name="vehicle_alias_by_meaning", condition=Q(status="confirmed")
            )
        ]
        constraints = [
            models.UniqueConstraint(fields=["make_key", "model_key"], name="vehicle_alias_means_one_model"),
            models.CheckConstraint(
                condition=~Q(model_key=F("means_key")) & ~Q(means_key="") & ~Q(model_key="") & ~Q(make_key=""),
                name="vehicle_alias_is_another_name",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.make} {self.model} → {self.means}"
