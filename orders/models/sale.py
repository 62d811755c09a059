from __future__ import annotations

from functools import partial

from django.db import models
from django.db.models import Q

from catalog.models import Variant
from partners import numbers
from partners.models import Partner
from stock.models import Batch, Count, Warehouse


class SalesDevice(models.Model):
    """A till or a tablet of a shop, which sells whether or not it can reach us and numbers what it reports."""

    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="+")
    code = models.CharField(max_length=40, help_text="Called deviceId by partners.")
    seen_at = models.DateTimeField()
    highest = models.BigIntegerField(default=0, help_text="The highest number it reported under.")
    missing = models.JSONField(default=list, help_text="The numbers below it that have not come, as ranges.")

    class Meta:
        ordering = ["partner_id", "code"]
        constraints = [models.UniqueConstraint(fields=["partner", "code"], name="sales_device_once_per_partner")]

    def __str__(self) -> str:
        return self.code


class SalesBatchQuerySet(models.QuerySet["SalesBatch"]):
    def for_partner(self, partner: Partner) -> SalesBatchQuerySet:
        """What a partner's own devices reported."""
        return self.filter(device__partner=partner)


class SalesBatch(models.Model):
    """What a device reported under one of its numbers, and what was answered. Posted once, never changed."""

    number = models.CharField(max_length=20, unique=True, default=partial(numbers.new_number, "POS"), editable=False)
    device = models.ForeignKey(SalesDevice, on_delete=models.PROTECT, related_name="batches")
    sequence = models.BigIntegerField(help_text="The device's own number for it, from 1 without gaps.")
    fingerprint = models.CharField(max_length=64, editable=False)
    booked_sales = models.PositiveIntegerField(help_text="Of its sales, those that no batch had brought before.")
    exceptions = models.JSONField(default=list, help_text="What was not as the book said.")
    missing = models.JSONField(default=list, help_text="The device's numbers that had not come by then, as ranges.")
    actor = models.CharField(max_length=160)
    posted_at = models.DateTimeField()

    objects = SalesBatchQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "sales batches"
        constraints = [
            models.UniqueConstraint(fields=["device", "sequence"], name="sales_batch_once_per_device"),
            models.CheckConstraint(condition=Q(sequence__gte=1), name="sales_batch_sequence_from_one"),
        ]

    def __str__(self) -> str:
        return self.number


class Sale(models.Model):
    """A sale a device reported. Its goods are in the ledger under the reference "device/sale"."""

    batch = models.ForeignKey(SalesBatch, on_delete=models.PROTECT, related_name="sales")
    device = models.ForeignKey(SalesDevice, on_delete=models.PROTECT, related_name="sales", db_index=False)
    sale_id = models.CharField(max_length=60)
    fingerprint = models.CharField(max_length=64, editable=False)
    occurred_at = models.DateTimeField(help_text="By the device's clock.")

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["device", "sale_id"], name="sale_once_per_device")]

    def __str__(self) -> str:
        return self.sale_id


class FoundAtSaleQuerySet(models.QuerySet["FoundAtSale"]):
    def open(self) -> FoundAtSaleQuerySet:
        """Nobody has counted since."""
        return self.filter(Q(count=None) | Q(count__state=Count.State.OPEN))


class FoundAtSale(models.Model):
    """Units a shop sold that the book did not have: found by being sold, and to be counted."""

    sale = models.ForeignKey(Sale, on_delete=models.PROTECT, related_name="found")
    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="+")
    warehouse = models.ForeignKey(Warehouse, on_delete=models.PROTECT, related_name="+")
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    quantity = models.BigIntegerField()
    count = models.ForeignKey(
        Count, on_delete=models.PROTECT, null=True, blank=True, related_name="+", help_text="The count opened for it."
    )
    noted_at = models.DateTimeField()

    objects = FoundAtSaleQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "found at sale"
        indexes = [models.Index(fields=["warehouse", "variant"], name="found_at_sale_by_place")]
        constraints = [models.CheckConstraint(condition=Q(quantity__gte=1), name="found_at_sale_positive")]

    def __str__(self) -> str:
        return str(self.quantity)
