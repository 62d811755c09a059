from __future__ import annotations

from functools import partial

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from catalog.models import Variant
from orders.models.purchase import PurchaseOrderLine
from partners import numbers
from partners.models import Partner
from partners.models.history import Traced
from stock.models import Warehouse


class AdvanceShipNoticeQuerySet(models.QuerySet["AdvanceShipNotice"]):
    def for_partner(self, partner: Partner) -> AdvanceShipNoticeQuerySet:
        """A supplier's own; those to the warehouses a 3PL or our own channel is granted; nobody else's."""
        if partner.kind == Partner.Kind.SUPPLIER:
            return self.filter(supplier=partner)
        if partner.kind not in {Partner.Kind.LOGISTICS, Partner.Kind.CHANNEL}:
            return self.none()
        codes = partner.granted_warehouses
        return self if codes is None else self.filter(warehouse__code__in=codes)

    def lock(self) -> AdvanceShipNoticeQuerySet:
        return self.order_by("id").select_for_update(no_key=True, of=("self",))


class AdvanceShipNotice(models.Model):
    """What a supplier says is on its truck, before the truck is here."""

    class Status(models.TextChoices):
        ANNOUNCED = "announced", "Announced"
        RECEIVED = "received", "Received"
        WITHDRAWN = "withdrawn", "Withdrawn"

    number = models.CharField(max_length=20, unique=True, default=partial(numbers.new_number, "ASN"), editable=False)
    supplier = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="+")
    despatch_number = models.CharField(max_length=80, help_text="The supplier's own number for it.")
    fingerprint = models.CharField(max_length=64, editable=False)
    warehouse = models.ForeignKey(Warehouse, on_delete=models.PROTECT, related_name="+")
    carrier = models.CharField(max_length=60, blank=True)
    tracking_number = models.CharField(max_length=80, blank=True)
    shipped_at = models.DateTimeField(null=True, blank=True)
    expected_on = models.DateField(null=True, blank=True, help_text="When it should be here.")
    status = models.CharField(max_length=9, choices=Status, default=Status.ANNOUNCED)
    announced_at = models.DateTimeField()
    version = models.PositiveIntegerField(default=1, editable=False)

    history = HistoricalRecords(bases=[Traced])
    objects = AdvanceShipNoticeQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["supplier", "despatch_number"], name="notice_despatch_once_per_supplier"),
        ]

    def __str__(self) -> str:
        return self.number


class NoticePackage(models.Model):
    """A logistic unit on the truck: a pallet, or a carton that stands on one."""

    notice = models.ForeignKey(AdvanceShipNotice, on_delete=models.CASCADE, related_name="packages")
    sscc = models.CharField("SSCC", max_length=18, help_text="18 digits, with GS1 check digit.")
    parent = models.ForeignKey("self", on_delete=models.CASCADE, null=True, blank=True, related_name="inside")
    is_on_its_way = models.BooleanField(default=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["notice", "sscc"], name="notice_package_sscc_once"),
            # GS1 lets a number be used again a year later; two trucks at once cannot carry it.
            models.UniqueConstraint(
                fields=["sscc"], condition=Q(is_on_its_way=True), name="notice_package_sscc_on_one_truck"
            ),
        ]

    def __str__(self) -> str:
        return self.sscc


class NoticeLine(models.Model):
    """Units of one variant and batch on the truck, and the order's line they are for."""

    notice = models.ForeignKey(AdvanceShipNotice, on_delete=models.CASCADE, related_name="lines")
    package = models.ForeignKey(NoticePackage, on_delete=models.PROTECT, null=True, blank=True, related_name="lines")
    order_line = models.ForeignKey(
        PurchaseOrderLine, on_delete=models.PROTECT, null=True, blank=True, related_name="notice_lines"
    )
    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="+")
    quantity = models.BigIntegerField()
    batch_number = models.CharField(max_length=60, blank=True)
    expires_on = models.DateField(null=True, blank=True)
    serial_numbers = ArrayField(models.CharField(max_length=60), default=list, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.CheckConstraint(condition=Q(quantity__gte=1), name="notice_line_quantity_positive")]

    def __str__(self) -> str:
        return str(self.quantity)
