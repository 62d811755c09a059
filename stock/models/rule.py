from __future__ import annotations

from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from catalog.models import ProductType, Variant
from partners.models import Partner
from partners.models.history import Traced
from stock.models.warehouse import Warehouse


class PromiseRule(models.Model):
    """What must be left, may be kept for whom, and how long it must still be good, when stock is promised.

    A rule of a product beats one of its type, which beats one of everything; a rule naming a partner beats
    one naming a channel, which beats one naming neither.
    """

    class Kind(models.TextChoices):
        SAFETY = "safety", "Safety stock"
        GUARANTEE = "guarantee", "Guaranteed to a channel"
        CAP = "cap", "Cap of a channel"
        BUFFER = "buffer", "Buffer"
        OVERSELL = "oversell", "Oversell depth"
        SHELF_LIFE = "shelfLife", "Minimum remaining shelf life"

    kind = models.CharField(max_length=9, choices=Kind)
    variant = models.ForeignKey(Variant, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    product_type = models.ForeignKey(ProductType, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    warehouse = models.ForeignKey(
        Warehouse, on_delete=models.CASCADE, null=True, blank=True, related_name="+",
        help_text="Of safety stock: kept at this warehouse; empty: kept once over all.",
    )  # fmt: skip
    channel = models.CharField(max_length=40, blank=True)
    partner = models.ForeignKey(Partner, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    units = models.BigIntegerField(null=True, blank=True, help_text="Stock units; for shelf life: days.")
    percent = models.DecimalField(
        max_digits=5, decimal_places=2, null=True, blank=True, help_text="Instead of units; rounded up."
    )

    history = HistoricalRecords(bases=[Traced])

    class Meta:
        ordering = ["kind", "variant_id", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(units__gte=0, percent__isnull=True) | Q(units__isnull=True, percent__range=(0, 100)),
                name="promise_rule_units_or_percent",
            ),
            models.CheckConstraint(
                condition=Q(variant__isnull=True) | Q(product_type__isnull=True), name="promise_rule_product_or_type"
            ),
            models.CheckConstraint(
                condition=Q(channel="") | Q(partner__isnull=True), name="promise_rule_channel_or_partner"
            ),
            models.CheckConstraint(
                condition=Q(kind="safety", channel="", partner__isnull=True)
                | (~Q(kind="safety") & Q(warehouse__isnull=True)),
                name="promise_rule_only_safety_is_local",
            ),
            models.CheckConstraint(
                condition=~Q(kind__in=["guarantee", "cap"])
                | ((~Q(channel="") | Q(partner__isnull=False)) & Q(units__isnull=False)),
                name="promise_rule_guarantee_and_cap_name_whom",
            ),
            models.CheckConstraint(
                condition=~Q(kind__in=["oversell", "shelfLife"]) | Q(units__isnull=False),
                name="promise_rule_depth_and_days_in_units",
            ),
            models.UniqueConstraint(
                fields=["kind", "variant", "product_type", "warehouse", "channel", "partner"],
                name="promise_rule_said_once",
                nulls_distinct=False,
            ),
        ]

    def __str__(self) -> str:
        amount = f"{self.units}" if self.percent is None else f"{self.percent} %"
        return f"{self.get_kind_display()}: {amount}"
