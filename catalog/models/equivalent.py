from __future__ import annotations

from datetime import date

from django.db import models
from django.db.models import F, Q

from catalog.models.product import Variant


class EquivalentQuerySet(models.QuerySet["Equivalent"]):
    def of(self, variant_ids: list[int], *, on: date) -> EquivalentQuerySet:
        """What may be taken instead of these on a day: their successors, and what is interchangeable with them."""
        valid = Q(valid_from__isnull=True) | Q(valid_from__lte=on)
        either = Q(relation=Equivalent.Relation.INTERCHANGEABLE, other__in=variant_ids)
        return self.filter(valid).filter(Q(variant__in=variant_ids) | either)


class Equivalent(models.Model):
    """One part may be taken for another: it superseded it, or the two are interchangeable.

    Supersession goes one way, from the old part to its successor; interchange is said once and holds both ways.
    """

    class Relation(models.TextChoices):
        SUPERSEDED = "superseded", "Superseded by"
        INTERCHANGEABLE = "interchangeable", "Interchangeable with"

    variant = models.ForeignKey(Variant, on_delete=models.CASCADE, related_name="equivalents")
    other = models.ForeignKey(Variant, on_delete=models.CASCADE, related_name="equivalent_of")
    relation = models.CharField(max_length=15, choices=Relation)
    valid_from = models.DateField(null=True, blank=True)

    objects = EquivalentQuerySet.as_manager()

    class Meta:
        ordering = ["variant_id", "id"]
        constraints = [
            models.UniqueConstraint(fields=["variant", "other"], name="equivalent_said_once"),
            models.CheckConstraint(condition=~Q(variant=F("other")), name="equivalent_is_another"),
        ]

    def __str__(self) -> str:
        return f"{self.get_relation_display()} {self.other_id}"
