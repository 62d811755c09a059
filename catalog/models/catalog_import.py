from __future__ import annotations

from functools import partial
from typing import Any

from django.db import models
from django.db.models import Q

from partners import numbers
from partners.models import Partner


class CatalogImportQuerySet(models.QuerySet["CatalogImport"]):
    def for_partner(self, partner: Partner) -> CatalogImportQuerySet:
        """What somebody sent in is their own business; our own channels see all."""
        return self if partner.kind == Partner.Kind.CHANNEL else self.filter(partner=partner)

    def lock(self) -> CatalogImportQuerySet:
        return self.order_by("id").select_for_update(no_key=True, of=("self",))


class CatalogImport(models.Model):
    """A change of many products or fitments: planned and looked at first, then applied whole, and undone whole.

    A plan never changes once it is made. Its rows keep what was sent, what is, what would be, and the version each
    product had; a plan is applied only while all of that is still so.
    """

    class Kind(models.TextChoices):
        PRODUCTS = "products", "Products"
        FITMENTS = "fitments", "Fitments"

    class Format(models.TextChoices):
        TABLE = "table", "Table"
        ACES = "aces", "ACES"
        PIES = "pies", "PIES"

    class Origin(models.TextChoices):
        FILE = "file", "File"
        API = "api", "API"
        BULK_EDIT = "bulkEdit", "Bulk edit"

    class State(models.TextChoices):
        PLANNING = "planning", "Planning"
        PLANNED = "planned", "Planned"
        REFUSED = "refused", "Refused"
        APPLYING = "applying", "Applying"
        APPLIED = "applied", "Applied"
        OUTDATED = "outdated", "Outdated"
        UNDONE = "undone", "Undone"
        FAILED = "failed", "Failed"

    number = models.CharField(max_length=20, unique=True, default=partial(numbers.new_number, "IM"), editable=False)
    title = models.CharField(max_length=200)
    kind = models.CharField(max_length=8, choices=Kind)
    format = models.CharField(max_length=5, choices=Format, default=Format.TABLE, db_default=Format.TABLE)
    origin = models.CharField(max_length=8, choices=Origin, default=Origin.FILE)
    state = models.CharField(max_length=8, choices=State, default=State.PLANNING)
    partner = models.ForeignKey(
        Partner, on_delete=models.PROTECT, null=True, blank=True, related_name="+", help_text="Who sent it; empty: we."
    )
    fitment_source = models.CharField(max_length=80, blank=True, help_text="Who says the fitments; blank: we.")
    brands = models.JSONField(
        default=list, db_default=[], help_text="The brands (AAIA ids) of which the file says all there is."
    )
    actor = models.CharField(max_length=160, help_text="Who had it planned.")
    applied_by = models.CharField(max_length=160, blank=True)
    undone_by = models.CharField(max_length=160, blank=True)
    planned_from = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="+",
        help_text="The outdated plan whose rows these are.",
    )  # fmt: skip
    row_count = models.PositiveIntegerField("rows", default=0)
    new_count = models.PositiveIntegerField("new", default=0)
    changed_count = models.PositiveIntegerField("changed", default=0)
    unchanged_count = models.PositiveIntegerField("unchanged", default=0)
    refused_count = models.PositiveIntegerField("refused", default=0)
    dropped_count = models.PositiveIntegerField("taken away", default=0, db_default=0)
    effects = models.JSONField(default=dict, help_text="What it does to stock and open orders, summed.")
    notes = models.JSONField(default=list, help_text="What was assumed or mended while reading, the first of it.")
    ground = models.JSONField(default=dict, help_text="The rules it was planned by: each type's schema and demands.")
    plan_hash = models.CharField(max_length=64, blank=True, help_text="SHA-256 over what would become of each row.")
    reason = models.TextField(blank=True, help_text="Why it is refused, outdated or failed.")
    file_name = models.CharField(max_length=200, blank=True)
    file_content = models.BinaryField(null=True, help_text="What was sent, until it is planned.")
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    touched_at = models.DateTimeField(null=True, help_text="When somebody last worked on it.")
    forgotten_at = models.DateTimeField(
        null=True, help_text="When its rows were given up; it is neither planned again nor undone any more."
    )
    planned_at = models.DateTimeField(null=True)
    applied_at = models.DateTimeField(null=True)
    undone_at = models.DateTimeField(null=True)

    objects = CatalogImportQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name = "import"
        indexes = [
            models.Index(fields=["partner", "-id"], name="catalog_import_by_partner"),
            models.Index(
                fields=["touched_at"], name="catalog_import_at_work", condition=Q(state__in=["planning", "applying"])
            ),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=["products", "fitments"]), name="catalog_import_kind_known"),
            models.CheckConstraint(
                condition=Q(format__in=["table", "aces", "pies"]), name="catalog_import_format_known"
            ),
            models.CheckConstraint(
                condition=Q(
                    state__in=[
                        "planning", "planned", "refused", "applying", "applied", "outdated", "undone", "failed",
                    ]
                ),
                name="catalog_import_state_known",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["applied", "undone"]) | Q(applied_at__isnull=False),
                name="catalog_import_applied_at_a_time",
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return self.number

    @property
    def place(self) -> str:
        """How people count in it."""
        return "row" if self.format == self.Format.TABLE else "line"

    @property
    def counts(self) -> dict[str, int]:
        """How many rows end how."""
        return {name: getattr(self, f"{name}_count") for name in CatalogImportRow.Outcome.values}

    @property
    def supplier(self) -> Partner | None:
        """Who it is, where the word of a supplier counts for its own products only."""
        return self.partner if self.partner is not None and self.partner.speaks_for_itself else None


class CatalogImportRow(models.Model):
    """One row: what it said, what would become of it, and what it did.

    `before` and `after` hold the same fields, those that change; of what is new, `after` holds all, of what is taken
    away, `before`. Of a fitment that stays, `before` holds what it was found with. Refers to the variant without a
    constraint: a row outlives it.
    """

    class Outcome(models.TextChoices):
        NEW = "new", "New"
        CHANGED = "changed", "Changed"
        UNCHANGED = "unchanged", "Unchanged"
        REFUSED = "refused", "Refused"
        DROPPED = "dropped", "Taken away"

    # The index by outcome begins with it.
    plan = models.ForeignKey(CatalogImport, on_delete=models.CASCADE, related_name="rows", db_index=False)
    number = models.PositiveIntegerField(
        help_text="As people count; the header of a table is row 1. 0: what a FULL file does not name."
    )
    sku = models.CharField("SKU", max_length=64, blank=True)
    variant_id = models.BigIntegerField(null=True)
    outcome = models.CharField(max_length=9, choices=Outcome)
    said = models.JSONField(default=dict, help_text="The row as it came, to plan it again.")
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    reasons = models.JSONField(
        default=list, help_text="Why it is refused, or what is to be known: [[field, sentence]]."
    )
    effects = models.JSONField(default=dict, help_text="What is on hand, reserved and ordered of what changes so.")
    is_plain = models.BooleanField(default=True, help_text="Applied with all others in one statement.")
    base_version = models.PositiveIntegerField(null=True, help_text="The product's version when it was planned.")
    parent_version = models.PositiveIntegerField(null=True, help_text="That of the parent it goes under.")
    applied_version = models.PositiveIntegerField(null=True, help_text="The product's version when it was applied.")
    key = models.UUIDField(null=True, help_text="A digest of what tells two fitments apart.")
    undoing = models.CharField(max_length=12, blank=True, help_text="How it was taken back.")

    class Meta:
        ordering = ["id"]
        verbose_name = "row of an import"
        verbose_name_plural = "rows of imports"
        indexes = [
            models.Index(fields=["plan", "outcome", "id"], name="catalog_import_row_by_outcome"),
            models.Index(fields=["plan", "sku"], name="catalog_import_row_by_sku"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(outcome__in=["new", "changed", "unchanged", "refused", "dropped"]),
                name="catalog_import_row_outcome_known",
            ),
        ]

    def __str__(self) -> str:
        return f"row {self.number}: {self.sku}"

    @property
    def changes(self) -> list[tuple[str, Any, Any]]:
        """(field, from, to), as people and partners call the fields."""
        if self.outcome == self.Outcome.DROPPED:
            return [(FIELDS.get(name, name), value, None) for name, value in self.before.items() if name not in UNSEEN]
        return [
            (FIELDS.get(name, name), self.before.get(name), value)
            for name, value in self.after.items()
            if name not in UNSEEN and (self.before or value not in (None, "", [], {}))
        ]


FIELDS = {
    "product_type_id": "productType", "parent_sku": "parentId", "axis_values": "axisValues",
    "shelf_life_days": "shelfLifeDays", "warranty_months": "warrantyMonths", "warranty_per": "warrantyPer",
    "warranty_terms": "warrantyTerms", "unit_cost": "unitCost", "sources": "suppliers", "year_from": "yearFrom",
    "year_to": "yearTo", "base_vehicle_id": "baseVehicleId", "part_type_id": "partTypeId",
    "brand_aaia_id": "brandAaiaId", "aces_ids": "acesIds", "notes": "regulatoryNotes",
}  # fmt: skip
# What follows from other fields.
UNSEEN = frozenset({"gtin14", "schema_version", "variant_id"})
