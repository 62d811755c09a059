from __future__ import annotations

from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords

from partners.models import Partner
from partners.models.history import Traced


class ProductType(models.Model):
    """What sort of thing it is: food, beauty, auto … A new type is data, not code."""

    code = models.CharField(max_length=40, primary_key=True)
    name = models.CharField(max_length=100)

    class Meta:
        ordering = ["code"]

    def __str__(self) -> str:
        return self.name


class VariantQuerySet(models.QuerySet["Variant"]):
    def for_partner(self, partner: Partner) -> VariantQuerySet:
        """The partner's assortment: a supplier's own products and their parents, or everything."""
        if partner.assortment == Partner.Assortment.ALL:
            return self
        own = SupplierItem.objects.filter(supplier=partner)
        return self.filter(
            Q(pk__in=own.values("variant_id"))
            | Q(pk__in=own.exclude(variant__parent=None).values("variant__parent_id"))
        )

    def stocked(self) -> VariantQuerySet:
        """What can lie on a shelf: everything but parents."""
        return self.filter(is_parent=False)


class Variant(models.Model):
    """A SKU, the thing that is counted; or a parent, which only gathers its variants.

    Quantities of it are whole numbers of its stock unit.
    """

    class Tracking(models.TextChoices):
        NONE = "none", "Not tracked"
        BATCH = "batch", "By batch"
        SERIAL = "serial", "By serial number"

    class Status(models.TextChoices):
        ACTIVE = "active", "Active"
        DISCONTINUED = "discontinued", "Discontinued"

    sku = models.CharField("SKU", max_length=64, unique=True, help_text="Called productId by partners; never changes.")
    name = models.CharField(max_length=250)
    brand = models.CharField(max_length=120, blank=True)
    product_type = models.ForeignKey(ProductType, on_delete=models.PROTECT, default="general")
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="variants")
    is_parent = models.BooleanField(default=False, help_text="Gathers variants and is never stocked itself.")
    gtin = models.CharField("GTIN", max_length=14, blank=True, help_text="As received: 8, 12, 13 or 14 digits.")
    gtin14 = models.CharField("GTIN-14", max_length=14, blank=True, editable=False)
    attributes = models.JSONField(default=dict, blank=True)
    tracking = models.CharField(max_length=6, choices=Tracking, default=Tracking.NONE)
    shelf_life_days = models.PositiveIntegerField(null=True, blank=True)
    warranty_months = models.PositiveIntegerField(null=True, blank=True)
    unit = models.CharField(max_length=20, default="each", help_text="The unit it is counted in.")
    unit_cost = models.DecimalField(
        max_digits=14, decimal_places=4, null=True, blank=True,
        help_text="What one costs us, in the currency of the books; weighs counts and adjustments.",
    )  # fmt: skip
    status = models.CharField(max_length=12, choices=Status, default=Status.ACTIVE)
    version = models.PositiveIntegerField(default=1, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    history = HistoricalRecords(bases=[Traced])
    objects = VariantQuerySet.as_manager()

    class Meta:
        ordering = ["sku"]
        indexes = [
            GinIndex(fields=["attributes"], name="variant_attributes", opclasses=["jsonb_path_ops"]),
            GinIndex(fields=["name"], name="variant_name_trigrams", opclasses=["gin_trgm_ops"]),
            GinIndex(fields=["sku"], name="variant_sku_trigrams", opclasses=["gin_trgm_ops"]),
            models.Index(fields=["brand"], name="variant_brand"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["gtin14"], condition=~Q(gtin14=""), name="variant_gtin_unique"),
            models.CheckConstraint(
                condition=Q(sku__regex=r"^[A-Za-z0-9][A-Za-z0-9._/+-]*$"), name="variant_sku_readable"
            ),
            models.CheckConstraint(
                condition=Q(is_parent=False) | Q(gtin14="", parent__isnull=True), name="variant_parent_is_no_sku"
            ),
            models.CheckConstraint(condition=~Q(parent=F("id")), name="variant_not_its_own_parent"),
        ]

    def __str__(self) -> str:
        return f"{self.sku} · {self.name}"


class Pack(models.Model):
    """How a variant is bundled: an inner of 6, a case of 24. A whole multiple of the stock unit."""

    variant = models.ForeignKey(Variant, on_delete=models.CASCADE, related_name="packs")
    name = models.CharField(max_length=20)
    quantity = models.PositiveIntegerField(help_text="Stock units in one pack.")
    gtin14 = models.CharField("GTIN-14", max_length=14, blank=True)
    stocked_as = models.ForeignKey(
        Variant, on_delete=models.PROTECT, null=True, blank=True, related_name="unpacks_into",
        help_text="The SKU whole packs are kept under, where they are; a break turns one into its units.",
    )  # fmt: skip

    class Meta:
        ordering = ["variant_id", "quantity"]
        constraints = [
            models.UniqueConstraint(fields=["variant", "name"], name="pack_name_once_per_variant"),
            models.UniqueConstraint(fields=["gtin14"], condition=~Q(gtin14=""), name="pack_gtin_unique"),
            models.CheckConstraint(condition=Q(quantity__gte=2), name="pack_holds_more_than_one"),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.quantity}"


class SupplierItem(models.Model):
    """A supplier's offer of a variant, under the supplier's own number."""

    supplier = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="supplier_items")
    variant = models.ForeignKey(Variant, on_delete=models.CASCADE, related_name="supplier_items")
    supplier_code = models.CharField(max_length=64, blank=True, help_text="The supplier's own number for it.")
    lead_time_days = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        ordering = ["supplier_id", "id"]
        constraints = [
            models.UniqueConstraint(fields=["supplier", "variant"], name="supplier_item_once"),
            models.UniqueConstraint(
                fields=["supplier", "supplier_code"], condition=~Q(supplier_code=""), name="supplier_item_code_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.supplier_code or self.variant_id}"
