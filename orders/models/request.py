from __future__ import annotations

from functools import partial

from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords

from orders.models.order import Order, OrderLine
from orders.models.routing import RoutingDecision
from partners import numbers
from partners.models import Partner
from partners.models.history import Traced
from stock.models import Warehouse


class FulfilmentRequestQuerySet(models.QuerySet["FulfilmentRequest"]):
    def for_partner(self, partner: Partner) -> FulfilmentRequestQuerySet:
        """A 3PL's are those of its warehouses; anybody else's those of the orders it may see, in its warehouses."""
        visible = self
        if partner.kind != Partner.Kind.LOGISTICS:
            visible = visible.filter(order__in=Order.objects.for_partner(partner))
        if partner.kind == Partner.Kind.SUPPLIER:
            mine = FulfilmentItem.objects.filter(order_line__in=OrderLine.objects.for_partner(partner))
            visible = visible.filter(pk__in=mine.values("request"))
        if partner.granted_warehouses is None:
            return visible
        return visible.filter(warehouse__code__in=partner.granted_warehouses)

    def live(self) -> FulfilmentRequestQuerySet:
        return self.filter(status__in=FulfilmentRequest.LIVE)


class FulfilmentRequest(models.Model):
    """A warehouse is asked to send its part of an order.

    Says what the promises say: where a promise moves, its request does. `logical_timestamp` is the warehouse's own
    clock at the last thing that happened to it, see `WarehouseClock`.
    """

    class Status(models.TextChoices):
        ASSIGNED = "assigned", "Assigned"
        ACCEPTED = "accepted", "Accepted"
        COMPLETED = "completed", "Completed"
        FAILED = "failed", "Failed"

    class Failure(models.TextChoices):
        NOT_FOUND = "notFound", "Could not be found"
        DAMAGED = "damaged", "Found damaged"
        CAPACITY = "capacity", "No capacity"
        OTHER = "other", "Other"
        WITHDRAWN = "withdrawn", "Withdrawn: the order changed, or the goods leave from elsewhere"

    LIVE = (Status.ASSIGNED, Status.ACCEPTED)
    REFUSALS = (Failure.NOT_FOUND, Failure.DAMAGED, Failure.CAPACITY, Failure.OTHER)
    """What a warehouse says itself; an order that was refused is not sent there again."""

    number = models.CharField(max_length=20, unique=True, default=partial(numbers.new_number, "FR"), editable=False)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="fulfilment_requests")
    warehouse = models.ForeignKey(Warehouse, on_delete=models.PROTECT, related_name="+")
    status = models.CharField(max_length=9, choices=Status, default=Status.ASSIGNED)
    failure = models.CharField(max_length=9, choices=Failure, blank=True)
    note = models.CharField(max_length=200, blank=True, help_text="What the warehouse said.")
    routing = models.ForeignKey(
        RoutingDecision,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="requests",
        help_text="Why it was asked; empty where the promise came here without being routed.",
    )
    logical_timestamp = models.BigIntegerField(null=True, editable=False)
    assigned_at = models.DateTimeField()
    version = models.PositiveIntegerField(default=1, editable=False)

    history = HistoricalRecords(bases=[Traced])
    objects = FulfilmentRequestQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["order"], name="request_by_order"),
            models.Index(
                fields=["warehouse", "id"], name="request_to_do", condition=Q(status__in=["assigned", "accepted"])
            ),
        ]
        constraints = [
            models.CheckConstraint(condition=~Q(status="failed") | ~Q(failure=""), name="request_failed_for_a_reason"),
        ]

    def __str__(self) -> str:
        return self.number


class FulfilmentItem(models.Model):
    """So many of an order line that one request asks for, how many left, and how many will not."""

    request = models.ForeignKey(FulfilmentRequest, on_delete=models.CASCADE, related_name="items")
    order_line = models.ForeignKey(OrderLine, on_delete=models.PROTECT, related_name="fulfilment_items")
    quantity = models.BigIntegerField()
    completed = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["request", "order_line"], name="request_item_once"),
            models.CheckConstraint(
                condition=Q(quantity__gte=1, completed__gte=0, failed__gte=0)
                & Q(quantity__gte=F("completed") + F("failed")),
                name="request_item_not_done_twice",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.open_quantity} of {self.quantity}"

    @property
    def open_quantity(self) -> int:
        return self.quantity - self.completed - self.failed

    @property
    def part(self) -> tuple[int, int]:
        """The warehouse and the order line (their ids) it is about."""
        return self.request.warehouse_id, self.order_line_id


class WarehouseClock(models.Model):
    """The last logical timestamp a warehouse gave. The row is locked to the end of the transaction that ticks it,
    so timestamps have no gaps and become visible in their order."""

    warehouse = models.OneToOneField(Warehouse, on_delete=models.PROTECT, primary_key=True, related_name="+")
    last = models.BigIntegerField()

    def __str__(self) -> str:
        return str(self.last)


class Stamp(models.Model):
    """What happened to a request at one logical timestamp of its warehouse. Never changed.

    What a warehouse completed has a stamp for each item, so that a snapshot of its stock may say from which
    stamp to which it contains what left.
    """

    class Kind(models.TextChoices):
        ASSIGNED = "assigned", "Assigned"
        COMPLETED = "completed", "Completed"
        FAILED = "failed", "Failed"

    warehouse = models.ForeignKey(Warehouse, on_delete=models.PROTECT, related_name="+")
    logical_timestamp = models.BigIntegerField()
    request = models.ForeignKey(FulfilmentRequest, on_delete=models.PROTECT, related_name="stamps")
    item = models.ForeignKey(FulfilmentItem, on_delete=models.PROTECT, null=True, related_name="+")
    kind = models.CharField(max_length=9, choices=Kind)
    quantity = models.BigIntegerField(null=True)
    at = models.DateTimeField()

    class Meta:
        ordering = ["warehouse_id", "logical_timestamp"]
        constraints = [
            models.UniqueConstraint(fields=["warehouse", "logical_timestamp"], name="stamp_once_per_warehouse"),
            models.CheckConstraint(
                condition=(Q(kind="assigned") & Q(item__isnull=True)) | Q(item__isnull=False, quantity__gte=1),
                name="stamp_of_an_item",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.logical_timestamp}: {self.kind}"
