from __future__ import annotations

from decimal import Decimal
from functools import partial

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords

from catalog.models import Variant
from partners import numbers
from partners.models import Partner
from partners.models.history import Traced
from stock.models import Warehouse


class SupplierTerms(models.Model):
    """What was agreed with a supplier about its deliveries; a row for one product beats the one for all of them.

    Without a row nothing may be over, nothing short is enough, and nothing is looked at.
    """

    class QualityPlan(models.TextChoices):
        NONE = "none", "Straight to the shelf"
        SAMPLE = "sample", "Hold a sample"
        ALL = "all", "Hold everything"

    supplier = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="+")
    variant = models.ForeignKey(Variant, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    over_percent = models.DecimalField(
        max_digits=5, decimal_places=2, default=0, validators=[MinValueValidator(0), MaxValueValidator(100)],
        help_text="So much more than was ordered is taken without asking.",
    )  # fmt: skip
    under_percent = models.DecimalField(
        max_digits=5, decimal_places=2, default=0, validators=[MinValueValidator(0), MaxValueValidator(100)],
        help_text="A line that lacks no more than this is done.",
    )  # fmt: skip
    minimum_shelf_life_days = models.PositiveIntegerField(
        null=True, blank=True, validators=[MaxValueValidator(3_650)],
        help_text="A batch has so many days left on the day it is received, or it is held.",
    )  # fmt: skip
    quality_plan = models.CharField(max_length=6, choices=QualityPlan, default=QualityPlan.NONE)
    sample_percent = models.DecimalField(
        max_digits=5, decimal_places=2, null=True, blank=True,
        validators=[MinValueValidator(Decimal("0.01")), MaxValueValidator(100)],
        help_text="Of each row received, rounded up; for the plan that holds a sample.",
    )  # fmt: skip

    history = HistoricalRecords(bases=[Traced])

    class Meta:
        ordering = ["supplier_id", F("variant_id").asc(nulls_first=True)]
        verbose_name_plural = "supplier terms"
        constraints = [
            models.UniqueConstraint(fields=["supplier", "variant"], name="supplier_terms_once", nulls_distinct=False),
            models.CheckConstraint(
                condition=Q(over_percent__range=(0, 100), under_percent__range=(0, 100)),
                name="supplier_terms_tolerance_in_percent",
            ),
            models.CheckConstraint(
                condition=Q(quality_plan="sample", sample_percent__gt=0, sample_percent__lte=100)
                | (~Q(quality_plan="sample") & Q(sample_percent__isnull=True)),
                name="supplier_terms_sample_has_percent",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.supplier.code} · {self.variant.sku if self.variant else 'all products'}"


class PurchaseOrderQuerySet(models.QuerySet["PurchaseOrder"]):
    def for_partner(self, partner: Partner) -> PurchaseOrderQuerySet:
        """Our own channels see all; a supplier what it was sent, a 3PL what is to come to its warehouses."""
        if partner.kind == Partner.Kind.CHANNEL:
            return self.filter(self._granted(partner))
        sent = self.exclude(sent_at=None)
        if partner.kind == Partner.Kind.SUPPLIER:
            return sent.filter(supplier=partner)
        if partner.kind == Partner.Kind.LOGISTICS:
            return sent.filter(self._granted(partner))
        return self.none()

    def _granted(self, partner: Partner) -> Q:
        codes = partner.granted_warehouses
        return Q() if codes is None else Q(warehouse__code__in=codes)

    def lock(self) -> PurchaseOrderQuerySet:
        return self.order_by("id").select_for_update(no_key=True, of=("self",))


class PurchaseOrder(models.Model):
    """Goods we want from a supplier, by when and where to. Partly received is derived from what came."""

    class Status(models.TextChoices):
        DRAFT = "draft", "Draft"
        SENT = "sent", "Sent"
        CONFIRMED = "confirmed", "Confirmed"
        RECEIVED = "received", "Received"
        CANCELLED = "cancelled", "Cancelled"

    number = models.CharField(max_length=20, unique=True, default=partial(numbers.new_number, "PO"), editable=False)
    supplier = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="purchase_orders")
    warehouse = models.ForeignKey(Warehouse, on_delete=models.PROTECT, related_name="+")
    currency = models.CharField(max_length=3, blank=True, help_text="Three letters, ISO 4217.")
    status = models.CharField(max_length=9, choices=Status, default=Status.DRAFT)
    expected_on = models.DateField(null=True, blank=True, help_text="When it should be here, where no line says so.")
    reference = models.CharField(max_length=120, blank=True)
    is_forced = models.BooleanField(default=False, help_text="Ordered although it breaks the supplier's minimums.")
    actor = models.CharField(max_length=160)
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1, editable=False)

    history = HistoricalRecords(bases=[Traced])
    objects = PurchaseOrderQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["supplier", "-id"], name="purchase_by_supplier")]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["draft", "cancelled"]) | Q(sent_at__isnull=False),
                name="purchase_order_sent_when_dated",
            ),
        ]

    def __str__(self) -> str:
        return self.number


class PurchaseOrderLineQuerySet(models.QuerySet["PurchaseOrderLine"]):
    def lock(self) -> PurchaseOrderLineQuerySet:
        return self.order_by("id").select_for_update(no_key=True, of=("self",))


class PurchaseOrderLine(models.Model):
    """So many stock units of one variant, as we ordered and as the supplier confirmed.

    What of it came is not kept here: it is the sum of its receipt lines.
    """

    class Closing(models.TextChoices):
        OPEN = "", "Open"
        TOLERANCE = "tolerance", "Near enough"
        SHORT = "short", "Closed short"
        CANCELLED = "cancelled", "Cancelled"

    order = models.ForeignKey(PurchaseOrder, on_delete=models.CASCADE, related_name="lines")
    line_number = models.PositiveIntegerField()
    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="+")
    supplier_code = models.CharField(max_length=64, blank=True, help_text="The supplier's own number for it.")
    quantity = models.BigIntegerField(help_text="Ordered, in stock units.")
    pack_name = models.CharField(max_length=20, blank=True, help_text="The pack it was ordered in; empty: units.")
    pack_quantity = models.PositiveIntegerField(default=1, help_text="Stock units in one pack.")
    unit_cost = models.DecimalField(max_digits=14, decimal_places=4, null=True, blank=True)
    confirmed_quantity = models.BigIntegerField(null=True, blank=True, help_text="What the supplier will deliver.")
    confirmed_on = models.DateField(null=True, blank=True, help_text="The day the supplier confirmed.")
    closing = models.CharField(max_length=9, choices=Closing, default=Closing.OPEN, blank=True)

    objects = PurchaseOrderLineQuerySet.as_manager()

    class Meta:
        ordering = ["order_id", "line_number"]
        constraints = [
            models.UniqueConstraint(fields=["order", "line_number"], name="purchase_line_number_once"),
            models.CheckConstraint(condition=Q(quantity__gte=1), name="purchase_line_quantity_positive"),
            models.CheckConstraint(condition=Q(pack_quantity__gte=1), name="purchase_line_pack_positive"),
            models.CheckConstraint(
                condition=Q(unit_cost__isnull=True) | Q(unit_cost__gte=0), name="purchase_line_cost_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(confirmed_quantity__isnull=True)
                | Q(confirmed_quantity__gte=0, confirmed_quantity__lte=F("quantity")),
                name="purchase_line_confirmed_within_ordered",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.line_number}: {self.quantity}"

    @property
    def expected(self) -> int:
        """What is to come of it in all: as confirmed, else as ordered."""
        return self.quantity if self.confirmed_quantity is None else self.confirmed_quantity

    @property
    def packs(self) -> int | None:
        """How many packs that is; none where it is no whole number of them."""
        whole, rest = divmod(self.quantity, self.pack_quantity)
        return whole if self.pack_name and not rest else None

    def open_quantity(self, received: int) -> int:
        """What is still to come, when so many came."""
        return 0 if self.closing else max(self.expected - received, 0)
