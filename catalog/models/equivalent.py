from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from catalog.models.product import Variant


class Equivalent(models.Model):
    """One part may be taken for another: it superseded it, or the two are interchangeable.

    Supersession goes one way, from the old part to its successor, and never comes round: a trigger sees to that.
    Interchange of two parts is said once and holds both ways; of more, `InterchangeGroup` says it.
    """

    class Relation(models.TextChoices):
        SUPERSEDED = "superseded", "Superseded by"
        INTERCHANGEABLE = "interchangeable", "Interchangeable with"

    variant = models.ForeignKey(Variant, on_delete=models.CASCADE, related_name="equivalents")
    other = models.ForeignKey(Variant, on_delete=models.CASCADE, related_name="equivalent_of")
    relation = models.CharField(max_length=15, choices=Relation)
    valid_from = models.DateField(null=True, blank=True)

    class Meta:
        ordering = ["variant_id", "id"]
        constraints = [
            models.UniqueConstraint(fields=["variant", "other"], name="equivalent_said_once"),
            models.CheckConstraint(
                condition=~Q(variant=F("other")),
                name="equivalent_is_another",
                violation_error_message="Other: a part is not equal to itself; name another.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_relation_display()} {self.other_id}"
