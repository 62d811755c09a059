from __future__ import annotations

from datetime import date

from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords

from catalog.models.product import ProductType, Variant
from partners.models.history import Traced


class RegulatoryNoteQuerySet(models.QuerySet["RegulatoryNote"]):
    def valid(self, on: date) -> RegulatoryNoteQuerySet:
        """In force on a day; both ends count."""
        return self.filter(
            Q(valid_from__isnull=True) | Q(valid_from__lte=on), Q(valid_to__isnull=True) | Q(valid_to__gte=on)
        )


class RegulatoryNote(models.Model):
    """What the law of a place asks of a product, or of every product of a type, and which document says so."""

    product_type = models.ForeignKey(
        ProductType, on_delete=models.CASCADE, null=True, blank=True, related_name="regulatory_notes"
    )
    variant = models.ForeignKey(
        Variant, on_delete=models.CASCADE, null=True, blank=True, related_name="regulatory_notes"
    )
    jurisdiction = models.CharField(
        max_length=6, blank=True, help_text="EU, a country or a part of one (ISO 3166: US, US-CA); empty: everywhere."
    )
    text = models.TextField(max_length=2_000)
    document = models.CharField(max_length=250, blank=True, help_text="Where it is written: a law, a file, an address.")
    valid_from = models.DateField(null=True, blank=True)
    valid_to = models.DateField(null=True, blank=True, help_text="The last day.")

    history = HistoricalRecords(bases=[Traced])
    objects = RegulatoryNoteQuerySet.as_manager()

    class Meta:
        ordering = ["jurisdiction", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(product_type__isnull=True) ^ Q(variant__isnull=True), name="regulatory_note_of_one"
            ),
            models.CheckConstraint(
                condition=Q(valid_from__isnull=True) | Q(valid_to__isnull=True) | Q(valid_to__gte=F("valid_from")),
                name="regulatory_note_days_in_order",
            ),
            models.CheckConstraint(
                condition=Q(jurisdiction__regex=r"^([A-Z]{2}(-[A-Z0-9]{1,3})?)?$"),
                name="regulatory_note_jurisdiction",
                violation_error_message="Jurisdiction: EU, a country or a part of one (ISO 3166: US, US-CA).",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.jurisdiction or 'Everywhere'}: {self.text[:60]}"
