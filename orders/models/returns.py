from __future__ import annotations

from functools import partial

from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from orders.models.order import Order, OrderLine
from partners import numbers
from partners.models import Partner
from partners.models.history import Traced
from stock.models import Batch, Warehouse


class ReturnQuerySet(models.QuerySet["Return"]):
    def for_partner(self, partner: Partner) -> ReturnQuerySet:
        """Returns of the orders a partner may see; a supplier's those of its products."""
        visible = self.filter(order__in=Order.objects.for_partner(partner))
        if partner.kind == Partner.Kind.SUPPLIER:
            mine = ReturnLine.objects.filter(order_line__in=OrderLine.objects.for_partner(partner))
            visible = visible.filter(pk__in=mine.values("return_of"))
        return visible


class Return(models.Model):
    """Goods on their way back, until inspection has put each unit where it belongs."""

    class Status(models.TextChoices):
        ANNOUNCED = "announced", "Announced"
        RECEIVED = "received", "Received"
        INSPECTED = "inspected", "Inspected"
        WITHDRAWN = "withdrawn", "Withdrawn"

    number = models.CharField(max_length=20, unique=True, default=partial(numbers.new_number, "RMA"), editable=False)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="returns")
    status = models.CharField(max_length=9, choices=Status, default=Status.ANNOUNCED)
    warehouse = models.ForeignKey(Warehouse, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    announced_at = models.DateTimeField()
    version = models.PositiveIntegerField(default=1, editable=False)

    history = HistoricalRecords(bases=[Traced])
    objects = ReturnQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["announced", "withdrawn"]) | Q(warehouse__isnull=False),
                name="return_received_somewhere",
            ),
        ]

    def __str__(self) -> str:
        return self.number


class ReturnLineQuerySet(models.QuerySet["ReturnLine"]):
    def coming(self) -> ReturnLineQuerySet:
        """What is back or still expected; a withdrawn return expects nothing."""
        return self.exclude(return_of__status=Return.Status.WITHDRAWN)


class ReturnLine(models.Model):
    """Units of one order line and batch that come back, what became of them, and what goes out for them."""

    class Disposition(models.TextChoices):
        RESTOCK = "restock", "Restock"
        QUARANTINE = "quarantine", "Quarantine"
        DAMAGED = "damaged", "Damaged"
        SCRAP = "scrap", "Scrap"
        RETURN_TO_VENDOR = "returnToVendor", "Return to vendor"
        WARRANTY_CLAIM = "warrantyClaim", "Warranty claim"

    return_of = models.ForeignKey(Return, on_delete=models.CASCADE, related_name="lines")
    order_line = models.ForeignKey(OrderLine, on_delete=models.PROTECT, related_name="return_lines")
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    quantity = models.BigIntegerField()
    reason = models.CharField(max_length=200)
    serial_number = models.CharField(max_length=60, blank=True)
    exchange_for = models.CharField(max_length=64, blank=True, help_text="The productId wanted instead.")
    disposition = models.CharField(max_length=14, choices=Disposition, blank=True)
    replacement = models.ForeignKey(
        OrderLine,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="replaces",
        help_text="The line of the linked order that goes out for it, in exchange or under warranty.",
    )

    objects = ReturnLineQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [models.CheckConstraint(condition=Q(quantity__gte=1), name="return_line_quantity_positive")]

    def __str__(self) -> str:
        return str(self.quantity)
