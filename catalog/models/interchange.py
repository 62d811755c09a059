from __future__ import annotations

from django.db import models
from django.db.models import Q, Value

from catalog.models.keys import KeptKey, PlainKey
from catalog.models.product import Variant


class InterchangeGroup(models.Model):
    """Parts that are equal: each may be taken for each other, whoever makes it."""

    name = models.CharField(max_length=120, blank=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.name or f"Group {self.pk}"


class InterchangeMemberQuerySet(models.QuerySet["InterchangeMember"]):
    def numbered(self, *, brand: str, part_number: str) -> InterchangeMemberQuerySet:
        """A brand's number, however it is written."""
        return self.with_number(part_number).filter(brand_key=PlainKey(Value(brand)))

    def with_number(self, part_number: str) -> InterchangeMemberQuerySet:
        """Any brand's number, however it is written; none for what holds no letter and no digit."""
        keyed = self.filter(variant__isnull=True, number_key=PlainKey(Value(part_number)))
        return keyed.exclude(number_key="")


class InterchangeMember(models.Model):
    """One of the equal parts: a product of ours, or another brand's number that is not in the catalog.

    A part is in one group at most: what is equal to two things makes those two equal. A number finds the products of
    its group (`search`).
    """

    group = models.ForeignKey(InterchangeGroup, on_delete=models.CASCADE, related_name="members")
    variant = models.OneToOneField(Variant, on_delete=models.CASCADE, null=True, blank=True, related_name="interchange")
    brand = models.CharField(max_length=120, blank=True)
    part_number = models.CharField(max_length=64, blank=True)
    brand_key = KeptKey(expression=PlainKey("brand"))
    number_key = KeptKey(expression=PlainKey("part_number"))

    objects = InterchangeMemberQuerySet.as_manager()

    class Meta:
        ordering = ["group_id", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(variant__isnull=False, part_number="", brand="")
                | Q(variant__isnull=True) & ~Q(number_key=""),
                name="interchange_is_ours_or_a_number",
                violation_error_message="Name a product of ours, or the number of another brand; not both.",
            ),
            models.UniqueConstraint(
                fields=["number_key", "brand_key"], condition=Q(variant__isnull=True), name="interchange_number_once",
                violation_error_message="This number is in a group already.",
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return str(self.variant) if self.variant_id else f"{self.brand} {self.part_number}".strip()
