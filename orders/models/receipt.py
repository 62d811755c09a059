from __future__ import annotations

from functools import partial
from typing import Any

from django.db import models
from django.db.models import Q, Sum

from catalog.models import Variant
from orders.models.notice import AdvanceShipNotice, NoticeLine
from orders.models.purchase import PurchaseOrder, PurchaseOrderLine
from partners import numbers
from partners.models import Partner
from stock.models import Batch, Level, Warehouse


class ReceiptQuerySet(models.QuerySet["Receipt"]):
    def for_partner(self, partner: Partner) -> ReceiptQuerySet:
        """What came from a supplier; what came to the warehouses a 3PL or our own channel is granted."""
        if partner.kind == Partner.Kind.SUPPLIER:
            return self.filter(supplier=partner)
        if partner.kind not in {Partner.Kind.LOGISTICS, Partner.Kind.CHANNEL}:
            return self.none()
        codes = partner.granted_warehouses
        return self if codes is None else self.filter(warehouse__code__in=codes)


class Receipt(models.Model):
    """Goods that came to a dock, against an order, a ship notice, or neither. Posted once, never changed."""

    number = models.CharField(max_length=20, unique=True, default=partial(numbers.new_number, "GR"), editable=False)
    supplier = models.ForeignKey(Partner, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    order = models.ForeignKey(PurchaseOrder, on_delete=models.PROTECT, null=True, blank=True, related_name="receipts")
    notice = models.ForeignKey(
        AdvanceShipNotice, on_delete=models.PROTECT, null=True, blank=True, related_name="receipts"
    )
    warehouse = models.ForeignKey(Warehouse, on_delete=models.PROTECT, related_name="+")
    delivery_note = models.CharField(max_length=80, blank=True, help_text="The number on the supplier's paper.")
    fingerprint = models.CharField(max_length=64, editable=False)
    is_over_accepted = models.BooleanField(default=False, help_text="More than agreed was taken, by who posted it.")
    actor = models.CharField(max_length=160)
    posted_at = models.DateTimeField()

    objects = ReceiptQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["warehouse", "-id"], name="receipt_by_warehouse")]
        permissions = [("accept_over_delivery", "Can accept more than was ordered")]
        constraints = [
            models.UniqueConstraint(
                fields=["supplier", "delivery_note"],
                condition=~Q(delivery_note=""),
                name="receipt_delivery_note_once_per_supplier",
            ),
            models.CheckConstraint(
                condition=Q(delivery_note="") | Q(supplier__isnull=False), name="receipt_delivery_note_is_a_suppliers"
            ),
        ]

    def __str__(self) -> str:
        return self.number


class ReceiptLineQuerySet(models.QuerySet["ReceiptLine"]):
    def received(self, **which: Any) -> dict[int, int]:
        """Stock units received by order line. One query, by the index of the order line."""
        sums = self.filter(**which).exclude(order_line=None).order_by().values("order_line").annotate(n=Sum("quantity"))
        return dict(sums.values_list("order_line", "n"))


class ReceiptLine(models.Model):
    """Units of one variant and batch that came, what they were to the order, and where they were put."""

    class Outcome(models.TextChoices):
        AS_ORDERED = "asOrdered", "As ordered"
        UNDER = "under", "Under"
        OVER = "over", "Over"
        UNORDERED = "unordered", "Not ordered"

    class Hold(models.TextChoices):
        NONE = "", "Not held"
        QUALITY_PLAN = "qualityPlan", "Quality plan"
        SHELF_LIFE = "shelfLife", "Too short a shelf life"

    receipt = models.ForeignKey(Receipt, on_delete=models.PROTECT, related_name="lines")
    order_line = models.ForeignKey(
        PurchaseOrderLine, on_delete=models.PROTECT, null=True, blank=True, related_name="receipt_lines"
    )
    notice_line = models.ForeignKey(
        NoticeLine, on_delete=models.PROTECT, null=True, blank=True, related_name="receipt_lines"
    )
    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="+")
    quantity = models.BigIntegerField()
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    condition = models.CharField(max_length=10, choices=Level.Condition, help_text="As it was put on the shelf.")
    outcome = models.CharField(max_length=9, choices=Outcome)
    hold = models.CharField(max_length=11, choices=Hold, default=Hold.NONE, blank=True)
    movement_id = models.BigIntegerField(help_text="The ledger's row.")

    objects = ReceiptLineQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(condition=Q(quantity__gte=1), name="receipt_line_quantity_positive"),
            models.UniqueConstraint(fields=["movement_id"], name="receipt_line_movement_once"),
            models.CheckConstraint(
                condition=Q(order_line__isnull=True, outcome="unordered")
                | (Q(order_line__isnull=False) & ~Q(outcome="unordered")),
                name="receipt_line_outcome_of_an_order",
            ),
            models.CheckConstraint(
                condition=Q(hold="") | Q(condition="quarantine"), name="receipt_line_held_is_in_quarantine"
            ),
        ]

    def __str__(self) -> str:
        return str(self.quantity)


class LandedCharge(models.Model):
    """What it cost beside the goods to get them here: freight, duty. Spread over the lines to the cent."""

    class Kind(models.TextChoices):
        FREIGHT = "freight", "Freight"
        DUTY = "duty", "Duty"
        INSURANCE = "insurance", "Insurance"
        OTHER = "other", "Other"

    class Spread(models.TextChoices):
        VALUE = "value", "By value"
        QUANTITY = "quantity", "By quantity"
        WEIGHT = "weight", "By weight"

    receipt = models.ForeignKey(Receipt, on_delete=models.PROTECT, related_name="charges")
    kind = models.CharField(max_length=9, choices=Kind)
    reference = models.CharField(max_length=80, help_text="The number of its invoice.")
    amount = models.DecimalField(max_digits=14, decimal_places=4)
    currency = models.CharField(max_length=3, help_text="Three letters, ISO 4217.")
    spread = models.CharField(max_length=8, choices=Spread)
    actor = models.CharField(max_length=160)
    charged_at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["receipt", "kind", "reference"], name="landed_charge_once"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="landed_charge_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.reference}"


class LandedShare(models.Model):
    """The part of a charge that one line bears."""

    charge = models.ForeignKey(LandedCharge, on_delete=models.PROTECT, related_name="shares")
    line = models.ForeignKey(ReceiptLine, on_delete=models.PROTECT, related_name="landed")
    amount = models.DecimalField(max_digits=14, decimal_places=4)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["charge", "line"], name="landed_share_once"),
            models.CheckConstraint(condition=Q(amount__gte=0), name="landed_share_not_negative"),
        ]

    def __str__(self) -> str:
        return str(self.amount)
