from __future__ import annotations

from functools import partial

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from orders.models.order import OrderLine
from orders.models.request import FulfilmentRequest
from orders.models.shipment import Shipment
from partners import numbers
from partners.models import Partner
from partners.models.history import Traced
from stock.models import Batch, Warehouse


class SsccSeriesQuerySet(models.QuerySet["SsccSeries"]):
    def lock(self) -> SsccSeriesQuerySet:
        return self.order_by("id").select_for_update(no_key=True, of=("self",))


class SsccSeries(models.Model):
    """Where the numbers of packages come from: an extension digit, our GS1 company prefix, and how far we are.

    A serial reference is given once for ever; the database refuses to count back.
    """

    DIGITS = 16
    """Of prefix and serial reference; the extension digit goes before them, the check digit behind."""

    extension_digit = models.PositiveSmallIntegerField(default=0, validators=[MaxValueValidator(9)])
    company_prefix = models.CharField(
        max_length=12, validators=[RegexValidator(r"^[0-9]{4,12}$", "A company prefix has 4 to 12 digits.")],
        help_text="As GS1 gave it to us.",
    )  # fmt: skip
    warehouse = models.OneToOneField(
        Warehouse, on_delete=models.PROTECT, null=True, blank=True, related_name="+",
        help_text="That packs with it; empty: all that have none of their own.",
    )  # fmt: skip
    last = models.BigIntegerField(
        "last serial reference", default=0, help_text="The last one given; another system's, where it gave some."
    )
    version = models.PositiveIntegerField(default=1, editable=False)

    history = HistoricalRecords(bases=[Traced])
    objects = SsccSeriesQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        verbose_name = "SSCC series"
        verbose_name_plural = "SSCC series"
        constraints = [
            models.UniqueConstraint(fields=["extension_digit", "company_prefix"], name="sscc_series_once"),
            models.UniqueConstraint(
                fields=["warehouse"], condition=Q(warehouse__isnull=True), name="sscc_series_one_for_all",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=Q(company_prefix__regex=r"^[0-9]{4,12}$", extension_digit__lte=9, last__gte=0),
                name="sscc_series_in_digits",
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"({self.extension_digit}) {self.company_prefix}"

    @property
    def last_possible(self) -> int:
        return int(10 ** (self.DIGITS - len(self.company_prefix))) - 1


class PackageQuerySet(models.QuerySet["Package"]):
    def for_partner(self, partner: Partner) -> PackageQuerySet:
        """Those of the requests a partner may see; a supplier's are those with something of its own in them."""
        visible = self.filter(fulfilment_request__in=FulfilmentRequest.objects.for_partner(partner))
        if partner.kind == Partner.Kind.SUPPLIER:
            mine = PackageLine.objects.filter(order_line__in=OrderLine.objects.for_partner(partner))
            visible = visible.filter(pk__in=mine.values("package"))
        return visible


class Package(models.Model):
    """A closed box with its label: what is in it, and with which shipment it left."""

    class Status(models.TextChoices):
        PACKED = "packed", "Packed"
        SHIPPED = "shipped", "Shipped"
        UNPACKED = "unpacked", "Unpacked again"

    number = models.CharField(max_length=20, unique=True, default=partial(numbers.new_number, "PK"), editable=False)
    fulfilment_request = models.ForeignKey(FulfilmentRequest, on_delete=models.PROTECT, related_name="packages")
    sscc = models.CharField("SSCC", max_length=18, unique=True, help_text="18 digits, with GS1 check digit.")
    tracking_number = models.CharField(max_length=80, blank=True)
    shipment = models.ForeignKey(Shipment, on_delete=models.PROTECT, null=True, blank=True, related_name="packages")
    status = models.CharField(max_length=8, choices=Status, default=Status.PACKED)
    packed_by = models.CharField(max_length=160, editable=False)
    packed_at = models.DateTimeField()
    version = models.PositiveIntegerField(default=1, editable=False)

    history = HistoricalRecords(bases=[Traced])
    objects = PackageQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(status="shipped", shipment__isnull=False)
                | (~Q(status="shipped") & Q(shipment__isnull=True)),
                name="package_shipped_with_a_shipment",
            ),
            models.CheckConstraint(condition=Q(sscc__regex=r"^[0-9]{18}$"), name="package_sscc_in_digits"),
        ]

    def __str__(self) -> str:
        return self.number


class PackageLine(models.Model):
    """Units of one order line and one batch in a package, by name where they have serial numbers."""

    package = models.ForeignKey(Package, on_delete=models.CASCADE, related_name="lines")
    order_line = models.ForeignKey(OrderLine, on_delete=models.PROTECT, related_name="+")
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    quantity = models.BigIntegerField()
    serial_numbers = ArrayField(models.CharField(max_length=60), default=list, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.CheckConstraint(condition=Q(quantity__gte=1), name="package_line_quantity_positive")]

    def __str__(self) -> str:
        return str(self.quantity)
