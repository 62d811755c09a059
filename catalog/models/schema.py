from __future__ import annotations

from django.db import models
from django.db.models import Q

from catalog.models.product import ProductType
from partners import actors


class ProductTypeSchema(models.Model):
    """One version of what a type's attributes must be like, as JSON Schema (draft 2020-12).

    Append-only: a product keeps the version it was found right by, and what that version said stays known.
    An attribute with `"x-filter": true` can be asked for by partners.
    """

    product_type = models.ForeignKey(ProductType, on_delete=models.PROTECT, related_name="schemas")
    version = models.PositiveIntegerField()
    schema = models.JSONField()
    note = models.CharField(max_length=250, blank=True, help_text="What changed, and why.")
    actor = models.CharField(max_length=160, default=actors.current_label, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["product_type_id", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["product_type", "version"], name="product_type_schema_version_once"),
            models.CheckConstraint(condition=Q(version__gte=1), name="product_type_schema_version_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.product_type_id} v{self.version}"
