from __future__ import annotations

from functools import partial

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords

from catalog.models import Variant
from orders.models.request import FulfilmentItem
from partners import numbers
from partners.models.history import Traced
from stock.models import Batch, Location, Warehouse


class PickWaveQuerySet(models.QuerySet["PickWave"]):
    def lock(self) -> PickWaveQuerySet:
        return self.order_by("id").select_for_update(no_key=True, of=("self",))


class PickWave(models.Model):
    """One walk through a warehouse for the goods of several fulfilment requests."""

    class State(models.TextChoices):
        OPEN = "open", "Open"
        PICKED = "picked", "Picked"
        CANCELLED = "cancelled", "Cancelled"

    number = models.CharField(max_length=20, unique=True, default=partial(numbers.new_number, "PW"), editable=False)
    warehouse = models.ForeignKey(Warehouse, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=9, choices=State, default=State.OPEN)
    actor = models.CharField(max_length=160, editable=False)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1, editable=False)

    history = HistoricalRecords(bases=[Traced])
    objects = PickWaveQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["warehouse", "id"], name="wave_to_pick", condition=Q(state="open"))]
        constraints = [
            models.CheckConstraint(
                condition=Q(state="open", ended_at__isnull=True) | (~Q(state="open") & Q(ended_at__isnull=False)),
                name="wave_ended_when_dated",
            ),
        ]

    def __str__(self) -> str:
        return self.number


class PickLine(models.Model):
    """So many units of one variant and batch to take from one bin, and how many were there."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        PICKED = "picked", "Picked"
        SHORT = "short", "Short"
        DROPPED = "dropped", "Not wanted any more"

    wave = models.ForeignKey(PickWave, on_delete=models.CASCADE, related_name="lines")
    place = models.PositiveIntegerField(help_text="Its turn on the way through the warehouse.")
    item = models.ForeignKey(FulfilmentItem, on_delete=models.PROTECT, related_name="pick_lines")
    variant = models.ForeignKey(Variant, on_delete=models.PROTECT, related_name="+")
    location = models.ForeignKey(Location, on_delete=models.PROTECT, related_name="+")
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    quantity = models.BigIntegerField()
    picked = models.BigIntegerField(default=0)
    serial_numbers = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    state = models.CharField(max_length=7, choices=State, default=State.WAITING)
    note = models.CharField(max_length=200, blank=True)
    picked_by = models.CharField(max_length=160, blank=True)
    picked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["wave_id", "place"]
        constraints = [
            models.UniqueConstraint(fields=["wave", "place"], name="pick_line_turn_once"),
            models.UniqueConstraint(
                fields=["item", "variant", "location", "batch"], condition=Q(state="waiting"),
                name="pick_line_waits_once", nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=Q(state__in=["waiting", "dropped"], picked=0, quantity__gte=1)
                | Q(state="picked", picked=F("quantity"), quantity__gte=1)
                | Q(state="short", picked__gte=0, picked__lt=F("quantity")),
                name="pick_line_picked_as_its_state_says",
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.place}: {self.quantity}"
