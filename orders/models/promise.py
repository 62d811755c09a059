"""What was promised, from which inputs, and what it takes of the days."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from orders.models.order import Order
from partners.models import Partner
from stock.models import Warehouse


class DeliveryPromiseQuerySet(models.QuerySet["DeliveryPromise"]):
    def for_partner(self, partner: Partner) -> DeliveryPromiseQuerySet:
        """Those it was told."""
        return self.filter(partner=partner)

    def lock(self) -> DeliveryPromiseQuerySet:
        return self.order_by("id").select_for_update(no_key=True, of=("self",))


class DeliveryPromise(models.Model):
    """A date a partner was told and may order by, with everything it was worked out from.

    Never changes but for the order that claims it. Unclaimed ones are forgotten after a while.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="+")
    order = models.OneToOneField(
        Order, on_delete=models.PROTECT, null=True, blank=True, related_name="delivery_promise"
    )
    asked = models.JSONField(help_text="The lines and the destination, as asked.")
    inputs = models.JSONField(help_text="Calendars, routes, supply and capacity at that moment.")
    answer = models.JSONField()
    version = models.PositiveSmallIntegerField(help_text="Of the way it is worked out.")
    promise_date = models.DateField()
    asked_at = models.DateTimeField()
    valid_until = models.DateTimeField()
    claimed_at = models.DateTimeField(null=True, blank=True)

    objects = DeliveryPromiseQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["partner", "-id"], name="promise_by_partner"),
            models.Index(fields=["valid_until"], name="promise_unclaimed", condition=Q(order__isnull=True)),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(order__isnull=True, claimed_at__isnull=True)
                | Q(order__isnull=False, claimed_at__isnull=False),
                name="promise_claimed_by_order",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.promise_date} for {self.partner_id}"


class PromisedLoad(models.Model):
    """What a claimed promise takes of a warehouse's day, in what its capacity counts."""

    promise = models.ForeignKey(DeliveryPromise, on_delete=models.CASCADE, related_name="loads")
    warehouse = models.ForeignKey(Warehouse, on_delete=models.PROTECT, related_name="+")
    on = models.DateField()
    amount = models.BigIntegerField()

    class Meta:
        ordering = ["warehouse_id", "on", "id"]
        constraints = [
            models.UniqueConstraint(fields=["promise", "warehouse", "on"], name="promised_load_once"),
            models.CheckConstraint(condition=Q(amount__gte=1), name="promised_load_positive"),
        ]
        indexes = [models.Index(fields=["warehouse", "on"], name="promised_load_by_day")]

    def __str__(self) -> str:
        return f"{self.amount} on {self.on}"
