from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Func, Q

from catalog.models.keys import KeptKey, PlainKey
from catalog.models.product import Variant


def check_qualifiers(value: Any) -> None:
    """Of a form. The database has the same rule, fitment_qualifiers_are_listed."""
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise ValidationError('Write a list of objects: [{"text": "with 288 mm rotor"}].')


class Fitment(models.Model):
    """A part fits a vehicle: make, model, the model years from and to (both inclusive), and what narrows it.

    What is blank does not narrow: without an engine it fits every engine. A vehicle that a catalog names by the
    numbers of licensed tables alone (ACES) keeps those as they came, until somebody says what they mean.
    A set is what one `source` says of one brand; it is replaced as a whole and never mixes with others.
    """

    # The unique guard begins with it and serves as its index.
    variant = models.ForeignKey(Variant, on_delete=models.CASCADE, related_name="fitments", db_index=False)
    make = models.CharField(max_length=60, blank=True)
    model = models.CharField(max_length=100, blank=True)
    submodel = models.CharField(max_length=60, blank=True, db_default="", default="")
    year_from = models.PositiveSmallIntegerField(null=True, blank=True)
    year_to = models.PositiveSmallIntegerField(null=True, blank=True)
    engine = models.CharField(max_length=60, blank=True)
    qualifiers = models.JSONField(
        default=list, blank=True, db_default=[], validators=[check_qualifiers],
        help_text='What narrows it further: [{"text": "with 288 mm rotor"}, {"id": "12073", "text": "…"}].',
    )  # fmt: skip
    position = models.CharField(max_length=60, blank=True)
    quantity = models.PositiveSmallIntegerField(default=1, help_text="Pieces one vehicle takes.")
    note = models.CharField(max_length=250, blank=True, help_text="For people; it narrows nothing.")
    base_vehicle_id = models.CharField("ACES base vehicle", max_length=20, blank=True, default="", db_default="")
    part_type_id = models.CharField("ACES part type", max_length=20, blank=True, default="", db_default="")
    brand_aaia_id = models.CharField("ACES brand", max_length=10, blank=True, default="", db_default="")
    aces_ids = models.JSONField(
        "ACES attributes", default=dict, blank=True, db_default={},
        help_text="Numbers of licensed tables, as they came: {\"EngineBase\": \"143\"}.",
    )  # fmt: skip
    source = models.CharField(max_length=80, blank=True, default="", db_default="", help_text="Who says it; blank: we.")
    make_key = KeptKey(expression=PlainKey("make"))
    model_key = KeptKey(expression=PlainKey("model"))
    engine_key = KeptKey(expression=PlainKey("engine"))
    identity = KeptKey(
        expression=Func(
            "submodel", "engine", "position", "base_vehicle_id", "part_type_id", "brand_aaia_id", "source", "aces_ids",
            "qualifiers", function="catalog_fitment_identity", output_field=models.UUIDField(),
        ),
        output_field=models.UUIDField(),
    )  # fmt: skip
    """A digest of all that tells two fitments of one part and the same vehicles apart."""

    class Meta:
        ordering = ["make", "model", "year_from", "id"]
        indexes = [
            # By vehicle the fitments that end first come first: from the asked year on nearly every entry fits,
            # and the next page begins where the last one ended.
            models.Index(
                fields=["make_key", "model_key", "year_to", "id", "year_from", "engine_key"], name="fitment_by_vehicle"
            ),
            models.Index(fields=["year_to", "year_from"], name="fitment_by_years"),
            models.Index(fields=["source", "brand_aaia_id"], name="fitment_by_set", condition=~Q(source="")),
            models.Index(fields=["base_vehicle_id"], name="fitment_by_base_vehicle", condition=~Q(base_vehicle_id="")),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(year_to__gte=F("year_from")), name="fitment_years_in_order"),
            models.CheckConstraint(condition=Q(quantity__gte=1), name="fitment_quantity_positive"),
            models.CheckConstraint(
                condition=Q(make="", model="") & (~Q(base_vehicle_id="") | ~Q(aces_ids={}))
                | ~Q(make_key="") & ~Q(model_key="") & Q(year_from__isnull=False, year_to__isnull=False),
                name="fitment_names_a_vehicle",
            ),
            models.UniqueConstraint(
                fields=["variant", "make_key", "model_key", "year_from", "year_to", "identity"], name="fitment_once",
                nulls_distinct=False, violation_error_message="The part is said to fit this vehicle already.",
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        if not self.make:
            return f"Base vehicle {self.base_vehicle_id or self.aces_ids}"
        return f"{self.make} {self.model} {self.year_from}–{self.year_to}"
