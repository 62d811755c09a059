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


class ShipmentQuerySet(models.QuerySet["Shipment"]):
    def for_partner(self, partner: Partner) -> ShipmentQuerySet:
        """Shipments of the orders a partner may see; a 3PL's and a supplier's are those they take part in."""
        visible = self.filter(order__in=Order.objects.for_partner(partner))
        if partner.kind == Partner.Kind.SUPPLIER:
            mine = ShipmentLine.objects.filter(order_line__in=OrderLine.objects.for_partner(partner))
            visible = visible.filter(pk__in=mine.values("shipment"))
        if partner.kind == Partner.Kind.LOGISTICS and partner.granted_warehouses is not None:
            visible = visible.filter(warehouse__code__in=partner.granted_warehouses)
        return visible


class Shipment(models.Model):
    """Goods that left a warehouse with a carrier."""

    class Status(models.TextChoices):
        SHIPPED = "shipped", "Shipped"
        DELIVERED = "delivered", "Delivered"

    number = models.CharField(max_length=20, unique=True, default=partial(numbers.new_number, "SH"), editable=False)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="shipments")
    warehouse = models.ForeignKey(Warehouse, on_delete=models.PROTECT, related_name="+")
    carrier = models.CharField(max_length=60)
    service = models.CharField(max_length=60, blank=True)
    tracking_number = models.CharField(max_length=80)
    sscc = models.CharField("SSCC", max_length=18, blank=True, help_text="18 digits, with GS1 check digit.")
    status = models.CharField(max_length=9, choices=Status, default=Status.SHIPPED)
    shipped_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1, editable=False)

    history = HistoricalRecords(bases=[Traced])
    objects = ShipmentQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["carrier", "tracking_number"], name="shipment_tracking_once"),
            models.UniqueConstraint(fields=["sscc"], condition=~Q(sscc=""), name="shipment_sscc_once"),
            models.CheckConstraint(
                condition=Q(status="shipped", delivered_at__isnull=True)
                | Q(status="delivered", delivered_at__isnull=False),
                name="shipment_delivered_when_dated",
            ),
        ]

    def __str__(self) -> str:
        return self.number


class ShipmentLine(models.Model):
    """Units of one order line and one batch in a shipment."""

    shipment = models.ForeignKey(Shipment, on_delete=models.CASCADE, related_name="lines")
    order_line = models.ForeignKey(OrderLine, on_delete=models.PROTECT, related_name="shipment_lines")
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    quantity = models.BigIntegerField()
    serial_numbers = models.JSONField(default=list, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.CheckConstraint(condition=Q(quantity__gte=1), name="shipment_line_quantity_positive")]

    def __str__(self) -> str:
        return str(self.quantity)
