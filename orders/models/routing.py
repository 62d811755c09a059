"""From where orders are sent: what counts for whom, what sending costs, and what was decided why."""

from __future__ import annotations

from functools import reduce
from operator import or_

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from orders import routing
from orders.models.order import Order
from partners.models import Partner
from partners.models.history import Traced
from stock.models import Warehouse

WEIGHT_MAX = 100
WEIGHTS = {
    "in_full": "inFull",
    "distance": "distance",
    "cutoff": "cutoff",
    "cost": "cost",
    "shelf_life": "shelfLife",
    "balance": "balance",
    "preference": "preference",
}
"""The fields that weigh a term of `routing`, and the term."""
WAREHOUSES_MAX = 10
"""Of one order. Sets of more are too many to look through while stock is locked."""


def weight(term: str, help_text: str) -> models.PositiveSmallIntegerField[int, int]:
    return models.PositiveSmallIntegerField(
        default=routing.WEIGHTS[term], validators=[MaxValueValidator(WEIGHT_MAX)], help_text=help_text
    )


class RoutingPolicy(models.Model):
    """How the orders of a channel or a partner are routed; one naming a partner beats one naming a channel, which
    beats the one for everybody."""

    class Strategy(models.TextChoices):
        WEIGHTED = "weighted", "All terms by their weights"
        NEAREST = "nearest", "Nearest first"
        SOONEST = "soonest", "First to leave first"
        CHEAPEST = "cheapest", "Cheapest first"
        FIRST_EXPIRED = "firstExpired", "First expired first"
        LEVEL = "level", "Who has most first"
        PREFERRED = "preferred", "Preferred warehouses first"

    name = models.CharField(max_length=80)
    channel = models.CharField(max_length=40, blank=True)
    partner = models.ForeignKey(Partner, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    strategy = models.CharField(max_length=12, choices=Strategy, default=Strategy.WEIGHTED)
    warehouses_max = models.PositiveSmallIntegerField(
        default=3,
        validators=[MinValueValidator(1), MaxValueValidator(WAREHOUSES_MAX)],
        help_text="So many warehouses at most send an order; 1: it is never split.",
    )
    prefers = ArrayField(
        models.CharField(max_length=40), default=list, blank=True, help_text="Codes of warehouses, the dearest first."
    )
    in_full = weight("inFull", "Has more of the order.")
    distance = weight("distance", "Lies nearer; half the points at 500 km.")
    cutoff = weight("cutoff", "Its parcel leaves sooner; half the points a day later.")
    cost = weight("cost", "Sends it cheaper.")
    shelf_life = weight("shelfLife", "Its goods expire first; half the points 30 days later.")
    balance = weight("balance", "Has more of what there is.")
    preference = weight("preference", "Is named further to the front.")

    history = HistoricalRecords(bases=[Traced])

    class Meta:
        ordering = ["name", "id"]
        verbose_name_plural = "routing policies"
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "partner"], name="routing_policy_said_once", nulls_distinct=False
            ),
            models.CheckConstraint(
                condition=Q(channel="") | Q(partner__isnull=True), name="routing_policy_channel_or_partner"
            ),
            models.CheckConstraint(
                condition=Q(warehouses_max__range=(1, WAREHOUSES_MAX)), name="routing_policy_warehouses_max"
            ),
            models.CheckConstraint(
                condition=Q(**{f"{name}__lte": WEIGHT_MAX for name in WEIGHTS}), name="routing_policy_weights"
            ),
            models.CheckConstraint(
                condition=reduce(or_, (Q(**{f"{name}__gte": 1}) for name in WEIGHTS)),
                name="routing_policy_weighs_something",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class SendingCost(models.Model):
    """What it costs to send an order from a warehouse to a country; the closest row counts, one naming the warehouse
    before one naming the country. All amounts are in one currency, the site's own."""

    warehouse = models.ForeignKey(
        Warehouse, on_delete=models.PROTECT, null=True, blank=True, related_name="+", help_text="Empty: from all."
    )
    country = models.CharField(max_length=2, blank=True, help_text="Two letters, ISO 3166; empty: everywhere.")
    per_parcel = models.DecimalField(max_digits=10, decimal_places=4, default=0, validators=[MinValueValidator(0)])
    per_unit = models.DecimalField(max_digits=10, decimal_places=4, default=0, validators=[MinValueValidator(0)])
    per_100_km = models.DecimalField(
        "per 100 km", max_digits=10, decimal_places=4, default=0, validators=[MinValueValidator(0)]
    )

    history = HistoricalRecords(bases=[Traced])

    class Meta:
        ordering = ["warehouse_id", "country", "id"]
        constraints = [
            models.UniqueConstraint(fields=["warehouse", "country"], name="sending_cost_once", nulls_distinct=False),
            models.CheckConstraint(condition=Q(country__regex=r"^([A-Z]{2})?$"), name="sending_cost_country_iso"),
            models.CheckConstraint(
                condition=Q(per_parcel__gte=0, per_unit__gte=0, per_100_km__gte=0), name="sending_cost_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.warehouse or 'All'} to {self.country or 'everywhere'}"


class RoutingDecision(models.Model):
    """From where an order, or what it still waited for, was promised, and what spoke for it. Never changed.

    Fulfilment requests name the decision that brought them.
    """

    class Cause(models.TextChoices):
        PLACED = "placed", "Placed"
        WAITED = "waited", "Stock came in"
        REJECTED = "rejected", "A warehouse rejected it"
        AMENDED = "amended", "The order was changed"

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="routing_decisions")
    cause = models.CharField(max_length=8, choices=Cause)
    policy = models.CharField(max_length=80, blank=True, help_text="Its name then; empty: the default.")
    strategy = models.CharField(max_length=12, choices=RoutingPolicy.Strategy)
    warehouses_max = models.PositiveSmallIntegerField()
    chosen = ArrayField(models.CharField(max_length=40), help_text="Codes of the warehouses it is sent from.")
    considered = models.JSONField(help_text="Warehouses with their points in each term, best first.")
    at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["order", "-id"], name="routing_by_order")]
        constraints = [
            models.CheckConstraint(condition=Q(chosen__len__gte=1), name="routing_decision_chose"),
        ]

    def __str__(self) -> str:
        return ", ".join(self.chosen)
