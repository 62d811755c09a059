from __future__ import annotations

from functools import partial

from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords

from catalog.models import Variant
from partners import numbers
from partners.models import Partner
from partners.models.history import Traced
from stock.models import Reservation, ReservationLine


class OrderQuerySet(models.QuerySet["Order"]):
    def for_partner(self, partner: Partner) -> OrderQuerySet:
        """A partner's own orders and those it placed for others; a supplier's also those of its products; a
        3PL's those of its warehouses."""
        visible = Q(partner=partner) | Q(placed_by=partner)
        if partner.kind == Partner.Kind.SUPPLIER:
            visible |= Q(pk__in=OrderLine.objects.for_partner(partner).values("order"))
        if partner.kind == Partner.Kind.LOGISTICS:
            visible |= Q(pk__in=self._touching(partner))
        return self.filter(visible)

    def _touching(self, partner: Partner) -> models.QuerySet[Order]:
        orders = Order.objects.all()
        if partner.granted_warehouses is None:
            return orders.values("pk")  # type: ignore[return-value]  # a queryset of values, for a subquery
        codes = partner.granted_warehouses
        held = Q(reservation__lines__allocations__level__location__warehouse__code__in=codes)
        return orders.filter(held | Q(shipments__warehouse__code__in=codes)).values("pk")  # type: ignore[return-value]

    def lock(self) -> OrderQuerySet:
        return self.order_by("id").select_for_update(no_key=True, of=("self",))


class Order(models.Model):
    """What a partner wants, and the promise of stock that stands behind it."""

    class Type(models.TextChoices):
        SALE = "sale", "Sale"
        REPLENISHMENT = "replenishment", "Replenishment"

    class Status(models.TextChoices):
        PENDING = "pending", "Pending"
        CONFIRMED = "confirmed", "Confirmed"
        PACKED = "packed", "Packed"
        SHIPPED = "shipped", "Shipped"
        DELIVERED = "delivered", "Delivered"
        CANCELLED = "cancelled", "Cancelled"

    number = models.CharField(max_length=20, unique=True, default=partial(numbers.new_number, "SO"), editable=False)
    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="orders")
    placed_by = models.ForeignKey(
        Partner,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="The channel that placed it for the partner; empty: the partner.",
    )
    external_reference = models.CharField(max_length=120, help_text="The partner's own number for it.")
    channel = models.CharField(
        max_length=40, blank=True, help_text="Through which it was sold, like web: rules and routing may name it."
    )
    fingerprint = models.CharField(max_length=64, editable=False)
    type = models.CharField(max_length=13, choices=Type, default=Type.SALE)
    status = models.CharField(max_length=9, choices=Status, default=Status.PENDING)
    reservation = models.ForeignKey(Reservation, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    ship_to = models.JSONField(default=dict)
    requested_delivery_date = models.DateField(null=True, blank=True)
    allow_split = models.BooleanField(default=True)
    allow_backorder = models.BooleanField(default=False)
    priority = models.PositiveSmallIntegerField(
        default=0, validators=[MaxValueValidator(9)], help_text="0 to 9: what waits for stock gets it by this first."
    )
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField()

    history = HistoricalRecords(bases=[Traced])
    objects = OrderQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["partner", "-id"], name="order_by_partner"),
            models.Index(
                fields=["id"], name="order_under_way", condition=Q(status__in=["pending", "confirmed", "packed"])
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["partner", "external_reference"], name="order_reference_once_per_partner"),
            models.UniqueConstraint(fields=["reservation"], name="order_reservation_once"),
        ]

    def __str__(self) -> str:
        return self.number


class OrderLineQuerySet(models.QuerySet["OrderLine"]):
    def for_partner(self, partner: Partner) -> OrderLineQuerySet:
        """The lines a partner may see of an order it may see: a supplier those of its own products."""
        if partner.kind == Partner.Kind.SUPPLIER:
            return self.filter(Q(variant__supplier_items__supplier=partner) | Q(order__partner=partner)).distinct()
        return self


class OrderLine(models.Model):
    """So many of one variant, and how many of them are gone and came back. Of none: taken off the order again."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="lines")
    line_id = models.CharField(max_length=40)
    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="+")
    quantity = models.BigIntegerField()
    unit_price = models.DecimalField(max_digits=14, decimal_places=4, null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True, help_text="Three letters, ISO 4217.")
    reservation_line = models.ForeignKey(
        ReservationLine, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    shipped = models.BigIntegerField(default=0)
    returned = models.BigIntegerField(default=0)

    objects = OrderLineQuerySet.as_manager()

    class Meta:
        ordering = ["order_id", "id"]
        constraints = [
            models.UniqueConstraint(fields=["order", "line_id"], name="order_line_id_once"),
            models.CheckConstraint(
                condition=Q(quantity__gte=0, returned__gte=0)
                & Q(returned__lte=F("shipped"))
                & Q(shipped__lte=F("quantity")),
                name="order_line_returned_shipped_ordered",
            ),
            models.CheckConstraint(
                condition=Q(currency="") | Q(unit_price__isnull=False), name="order_line_currency_has_price"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.line_id}: {self.quantity}"
