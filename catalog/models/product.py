from __future__ import annotations

from typing import Any

from django.contrib.postgres.indexes import GinIndex
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Cast, Lower, Upper
from simple_history.models import HistoricalRecords

from partners.models import Partner
from partners.models.history import Traced


class WarrantyPer(models.TextChoices):
    """What a warranty counts for: each unit by itself (its serial number), or what one order line delivered."""

    UNIT = "unit", "Unit"
    ORDER_LINE = "orderLine", "Order line"


class ProductType(models.Model):
    """What sort of thing it is: food, beauty, auto … A new type is data, not code.

    What its products' attributes must be like is said by the newest of its `schemas`. Shelf life and warranty
    count for products that say nothing of their own.
    """

    code = models.CharField(max_length=40, primary_key=True)
    name = models.CharField(max_length=100)
    requires_batch = models.BooleanField(
        default=False, db_default=False, help_text="Its products are tracked by batch; another tracking is refused."
    )
    requires_expiry = models.BooleanField(
        default=False, db_default=False, help_text="A batch is received with its expiry date, or not at all."
    )
    shelf_life_days = models.PositiveIntegerField(
        null=True, blank=True, help_text="Of products that say none of their own."
    )
    warranty_months = models.PositiveIntegerField(
        null=True, blank=True, help_text="Of products that say none of their own."
    )
    warranty_per = models.CharField(max_length=10, choices=WarrantyPer, blank=True, default="", db_default="")
    warranty_terms = models.TextField(max_length=2_000, blank=True, default="", db_default="")

    history = HistoricalRecords(bases=[Traced])

    class Meta:
        ordering = ["code"]
        constraints = [
            models.UniqueConstraint(
                Lower("code"), name="product_type_code_once",
                violation_error_message="There is a type of this code, in other capitals perhaps.",
            ),
            models.CheckConstraint(
                condition=Q(warranty_per__in=["", *WarrantyPer.values]), name="product_type_warranty_per_known"
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return self.name


class VariantQuerySet(models.QuerySet["Variant"]):
    def for_partner(self, partner: Partner) -> VariantQuerySet:
        """The partner's assortment: a supplier's own products and their parents, or everything."""
        if partner.assortment == Partner.Assortment.ALL:
            return self
        own, parents = own_products(partner)
        return self.filter(Q(pk__in=own) | Q(pk__in=parents))

    def stocked(self) -> VariantQuerySet:
        """What can lie on a shelf: everything but parents."""
        return self.filter(is_parent=False)


def own_products(partner: Partner) -> tuple[models.QuerySet[Any, Any], models.QuerySet[Any, Any]]:
    """The ids of what a partner supplies, and of the parents of that."""
    own = SupplierItem.objects.filter(supplier=partner).order_by()
    return own.values("variant_id"), own.exclude(variant__parent=None).values("variant__parent_id")


class Variant(models.Model):
    """A SKU, the thing that is counted; or a parent, which only gathers its variants.

    Quantities of it are whole numbers of its stock unit. What it hangs under is a parent, and stays one as long as
    something hangs there: triggers see to that (migration 0010).
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
    schema_version = models.PositiveIntegerField(
        null=True, blank=True, editable=False,
        help_text="The version of its type's schema the attributes were found right by; none where there was none.",
    )  # fmt: skip
    axes = models.JSONField(
        default=list, blank=True, db_default=Value([], models.JSONField()),
        help_text="Of a parent: the names by which its variants differ, in the order they are chosen.",
    )  # fmt: skip
    axis_values = models.JSONField(
        default=dict, blank=True, db_default=Value({}, models.JSONField()),
        help_text="Of a variant: its text for each axis of its parent.",
    )  # fmt: skip
    tracking = models.CharField(max_length=6, choices=Tracking, default=Tracking.NONE)
    shelf_life_days = models.PositiveIntegerField(null=True, blank=True, validators=[MaxValueValidator(36_500)])
    warranty_months = models.PositiveIntegerField(null=True, blank=True, validators=[MaxValueValidator(1_200)])
    warranty_per = models.CharField(max_length=10, choices=WarrantyPer, blank=True, default="", db_default="")
    warranty_terms = models.TextField(max_length=2_000, blank=True, default="", db_default="")
    unit = models.CharField(max_length=20, default="each", help_text="The unit it is counted in.")
    unit_cost = models.DecimalField(
        max_digits=14, decimal_places=4, null=True, blank=True, validators=[MinValueValidator(0)],
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
            GinIndex(fields=["sku"], name="variant_sku_trigrams", opclasses=["gin_trgm_ops"]),
            # As partners ask for it, whatever the capitals, page by page.
            models.Index(Upper("brand"), "sku", name="variant_brand"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["gtin14"], condition=~Q(gtin14=""), name="variant_gtin_unique"),
            models.CheckConstraint(
                condition=Q(sku__regex=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$"), name="variant_sku_readable"
            ),
            models.CheckConstraint(
                condition=Q(is_parent=False) | Q(gtin14="", parent__isnull=True), name="variant_parent_is_no_sku"
            ),
            models.CheckConstraint(condition=~Q(parent=F("id")), name="variant_not_its_own_parent"),
            models.CheckConstraint(condition=~Q(unit_cost__lt=0), name="variant_cost_not_negative"),
            models.CheckConstraint(condition=Q(axes=[]) | Q(parent__isnull=True), name="variant_axes_are_a_parents"),
            models.CheckConstraint(condition=Q(axes=[]) | Q(is_parent=True), name="variant_with_axes_is_a_parent"),
            models.CheckConstraint(condition=Q(status__in=["active", "discontinued"]), name="variant_status_known"),
            models.CheckConstraint(
                condition=Q(tracking__in=["none", "batch", "serial"]), name="variant_tracking_known"
            ),
            models.CheckConstraint(
                condition=Q(warranty_per__in=["", *WarrantyPer.values]), name="variant_warranty_per_known"
            ),
            models.CheckConstraint(
                condition=Q(axis_values={}) | Q(parent__isnull=False), name="variant_axis_values_under_a_parent"
            ),
            # "355N" and "355n" are one shade to whoever chooses.
            models.UniqueConstraint(
                F("parent"),
                Lower(Cast("axis_values", models.TextField())),
                condition=Q(status="active") & ~Q(axis_values={}),
                name="variant_axis_values_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.sku} · {self.name}"


class Pack(models.Model):
    """How a variant is bundled: an inner of 6, a case of 24. A whole multiple of the stock unit.

    It may be filled with smaller packs: a case with four inners of six. The database holds the two together:
    what it is filled with is a pack of the same product, and goes into it a whole number of times.
    """

    class Level(models.TextChoices):
        INNER = "inner", "Inner pack"
        CASE = "case", "Case"
        PALLET = "pallet", "Pallet"

    variant = models.ForeignKey(Variant, on_delete=models.CASCADE, related_name="packs")
    name = models.CharField(max_length=20)
    level = models.CharField(max_length=6, choices=Level, default=Level.CASE, db_default=Level.CASE)
    quantity = models.PositiveIntegerField(help_text="Stock units in one pack.")
    gtin14 = models.CharField("GTIN-14", max_length=14, blank=True)
    filled_with = models.ForeignKey(
        "self", on_delete=models.RESTRICT, null=True, blank=True, related_name="fills", db_constraint=False,
        help_text="The smaller pack it holds a whole number of.",
    )  # fmt: skip
    filled_quantity = models.PositiveIntegerField(null=True, editable=False)
    stocked_as = models.ForeignKey(
        Variant, on_delete=models.PROTECT, null=True, blank=True, related_name="unpacks_into",
        help_text="The SKU whole packs are kept under, where they are; a break turns one into its units.",
    )  # fmt: skip

    class Meta:
        ordering = ["variant_id", "quantity"]
        constraints = [
            models.UniqueConstraint(fields=["variant", "name"], name="pack_name_once_per_variant"),
            models.UniqueConstraint(fields=["gtin14"], condition=~Q(gtin14=""), name="pack_gtin_unique"),
            models.CheckConstraint(
                condition=Q(quantity__gte=2),
                name="pack_holds_more_than_one",
                violation_error_message="A pack holds two units or more.",
            ),
            models.CheckConstraint(condition=Q(level__in=["inner", "case", "pallet"]), name="pack_level_known"),
            models.CheckConstraint(
                condition=Q(filled_with=None, filled_quantity=None)
                | (
                    Q(filled_with__isnull=False, filled_quantity__isnull=False, filled_quantity__gte=2)
                    & Q(quantity__gt=F("filled_quantity"))
                    & Q(quantity=F("quantity") / F("filled_quantity") * F("filled_quantity"))
                ),
                name="pack_is_filled_evenly",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.quantity}"

    @property
    def filled_count(self) -> int | None:
        """How many of the smaller packs are in it."""
        return self.quantity // self.filled_quantity if self.filled_quantity else None


class SupplierItem(models.Model):
    """A supplier's offer of a variant, under the supplier's own number: how it comes, when, and for how much.

    Quantities are stock units; lead times are days from order to receipt, their mean and standard deviation.
    """

    supplier = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="supplier_items")
    variant = models.ForeignKey(Variant, on_delete=models.CASCADE, related_name="supplier_items")
    supplier_code = models.CharField(max_length=64, blank=True, help_text="The supplier's own number for it.")
    pack = models.ForeignKey(
        Pack, on_delete=models.SET_NULL, null=True, blank=True, related_name="supplier_items", db_constraint=False,
        help_text="The pack it comes in; none: single units.",
    )  # fmt: skip
    minimum_quantity = models.PositiveIntegerField(
        null=True, blank=True, help_text="The least one can order, in stock units."
    )
    order_multiple = models.PositiveIntegerField(
        null=True, blank=True, help_text="Orders are a multiple of so many stock units."
    )
    lead_time_days = models.DecimalField(
        max_digits=7, decimal_places=2, null=True, blank=True, help_text="From order to receipt, on average."
    )
    lead_time_deviation_days = models.DecimalField(
        max_digits=7, decimal_places=2, null=True, blank=True, help_text="Standard deviation of the lead time."
    )
    cost = models.DecimalField(
        max_digits=14, decimal_places=4, null=True, blank=True, help_text="What one stock unit costs us."
    )
    currency = models.CharField(max_length=3, blank=True, default="", db_default="", help_text="ISO 4217, of the cost.")
    last_confirmed_on = models.DateField(null=True, blank=True, help_text="When the supplier last said so.")

    class Meta:
        ordering = ["supplier_id", "id"]
        constraints = [
            models.UniqueConstraint(fields=["supplier", "variant"], name="supplier_item_once"),
            models.UniqueConstraint(
                fields=["supplier", "supplier_code"], condition=~Q(supplier_code=""), name="supplier_item_code_unique"
            ),
            models.CheckConstraint(
                condition=Q(minimum_quantity__isnull=True) | Q(minimum_quantity__gte=1),
                name="supplier_item_minimum_positive",
            ),
            models.CheckConstraint(
                condition=Q(order_multiple__isnull=True) | Q(order_multiple__gte=1),
                name="supplier_item_multiple_positive",
            ),
            models.CheckConstraint(
                condition=Q(lead_time_deviation_days__isnull=True)
                | Q(lead_time_days__isnull=False, lead_time_deviation_days__gte=0),
                name="supplier_item_deviation_of_a_lead_time",
            ),
            models.CheckConstraint(
                condition=Q(lead_time_days__isnull=True) | Q(lead_time_days__gte=0),
                name="supplier_item_lead_time_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(cost__isnull=True, currency="")
                | Q(cost__isnull=False, cost__gte=0, currency__regex=r"^[A-Z]{3}$"),
                name="supplier_item_cost_has_a_currency",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.supplier_code or self.variant_id}"
