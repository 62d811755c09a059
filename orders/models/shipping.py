"""How goods leave the warehouses: working days, collections, carriers' services, transit, and places on the map."""

from __future__ import annotations

from datetime import time
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords

from partners.models.history import Traced
from stock.models import Warehouse

WORKDAYS = [0, 1, 2, 3, 4]
WEEKDAYS = [(0, "Mon"), (1, "Tue"), (2, "Wed"), (3, "Thu"), (4, "Fri"), (5, "Sat"), (6, "Sun")]


def workdays() -> list[int]:
    return WORKDAYS.copy()


class WeekdaysField(ArrayField):  # type: ignore[type-arg]  # it takes none at run time
    """Some days of the week; Monday is 0."""

    def __init__(self, **kwargs: Any) -> None:
        usual: dict[str, Any] = {
            "base_field": models.PositiveSmallIntegerField(choices=WEEKDAYS),
            "default": workdays,
        }
        super().__init__(**usual | kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        del kwargs["base_field"]
        return name, path, args, kwargs


def are_weekdays(*fields: str) -> Q:
    """What a CHECK says of fields with weekdays: at least one day, and no other numbers."""
    condition = Q()
    for field in fields:
        condition &= Q(**{f"{field}__len__gte": 1, f"{field}__contained_by": list(range(7))})
    return condition


class CarrierService(models.Model):
    """One way a carrier offers to send a parcel. Without transit times it goes everywhere, as far as distance says."""

    code = models.CharField(max_length=40, unique=True, help_text="Like ups-ground; partners read it.")
    carrier = models.CharField(max_length=40)
    name = models.CharField(max_length=80)
    is_active = models.BooleanField(default=True)
    rank = models.PositiveSmallIntegerField(
        default=10, help_text="Of services that arrive on the same day, the lowest is taken."
    )
    cutoff = models.TimeField(
        null=True, blank=True, help_text="Orders at or after it count for the next day; empty: the warehouse's own."
    )
    moves_on = WeekdaysField(help_text="Transit days are counted on these days only.")
    delivers_on = WeekdaysField()
    keeps_holidays = models.BooleanField(
        default=True, help_text="Public holidays of the destination: it neither moves nor delivers."
    )

    history = HistoricalRecords(bases=[Traced])

    class Meta:
        ordering = ["rank", "code"]
        constraints = [
            models.CheckConstraint(
                condition=Q(code__regex=r"^[A-Za-z0-9][A-Za-z0-9._-]*$"), name="carrier_service_code_readable"
            ),
            models.CheckConstraint(condition=are_weekdays("moves_on", "delivers_on"), name="carrier_service_weekdays"),
        ]

    def __str__(self) -> str:
        return f"{self.carrier} {self.name}"


class TransitTime(models.Model):
    """Days from a warehouse to a country, or to postal codes that begin so; the closest one counts."""

    service = models.ForeignKey(CarrierService, on_delete=models.CASCADE, related_name="transit_times")
    warehouse = models.ForeignKey(
        Warehouse, on_delete=models.PROTECT, null=True, blank=True, related_name="+", help_text="Empty: from all."
    )
    country = models.CharField(max_length=2, help_text="Two letters, ISO 3166.")
    postal_prefix = models.CharField(
        max_length=10, blank=True, help_text="Postal codes that begin so; empty: the whole country."
    )
    days = models.PositiveSmallIntegerField(validators=[MaxValueValidator(60)])

    class Meta:
        ordering = ["service_id", "country", "postal_prefix", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["service", "warehouse", "country", "postal_prefix"],
                name="transit_time_said_once",
                nulls_distinct=False,
            ),
            models.CheckConstraint(condition=Q(country__regex=r"^[A-Z]{2}$"), name="transit_time_country_iso"),
            models.CheckConstraint(condition=Q(postal_prefix__regex=r"^[0-9A-Z]*$"), name="transit_time_prefix_plain"),
            models.CheckConstraint(condition=Q(days__lte=60), name="transit_time_days"),
        ]

    def __str__(self) -> str:
        return f"{self.country} {self.postal_prefix}".strip() + f": {self.days} days"


class ShippingCalendar(models.Model):
    """When a warehouse works, and until when an order counts for the day. All times are its own."""

    class Counts(models.TextChoices):
        UNITS = "units", "Units"
        LINES = "lines", "Lines"

    warehouse = models.OneToOneField(Warehouse, on_delete=models.PROTECT, related_name="shipping_calendar")
    works_on = WeekdaysField()
    keeps_holidays = models.BooleanField(default=True, help_text="Closed on the public holidays of its country.")
    cutoff = models.TimeField(default=time(14), help_text="What is ordered at or after it counts for the next day.")
    lead_minutes = models.PositiveIntegerField(
        default=0, validators=[MaxValueValidator(43_200)], help_text="Before anybody can start on an order."
    )
    lead_is_working = models.BooleanField(default=False, help_text="Counted in working hours, not by the clock.")
    backlog_days = models.PositiveSmallIntegerField(
        default=0, validators=[MaxValueValidator(30)], help_text="Working days it is behind."
    )
    counts = models.CharField("capacity counts", max_length=5, choices=Counts, default=Counts.UNITS)

    history = HistoricalRecords(bases=[Traced])

    class Meta:
        ordering = ["warehouse_id"]
        constraints = [
            models.CheckConstraint(condition=are_weekdays("works_on"), name="shipping_calendar_weekdays"),
            models.CheckConstraint(
                condition=Q(lead_minutes__lte=43_200, backlog_days__lte=30), name="shipping_calendar_bounds"
            ),
        ]

    def __str__(self) -> str:
        return f"Shipping from {self.warehouse}"


class WorkingHours(models.Model):
    """A stretch of a working day; with a capacity, so much gets ready in it."""

    calendar = models.ForeignKey(ShippingCalendar, on_delete=models.CASCADE, related_name="hours")
    opens_at = models.TimeField()
    closes_at = models.TimeField()
    capacity = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text="Units or lines; empty: no limit."
    )

    class Meta:
        ordering = ["calendar_id", "opens_at"]
        verbose_name_plural = "working hours"
        constraints = [
            models.UniqueConstraint(fields=["calendar", "opens_at"], name="working_hours_once"),
            models.CheckConstraint(condition=Q(opens_at__lt=F("closes_at")), name="working_hours_open_then_close"),
            models.CheckConstraint(
                condition=Q(capacity__isnull=True) | Q(capacity__gte=1), name="working_hours_capacity_positive"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.opens_at:%H:%M}–{self.closes_at:%H:%M}"


class CalendarDay(models.Model):
    """A day that is not as its weekday or holiday says."""

    calendar = models.ForeignKey(ShippingCalendar, on_delete=models.CASCADE, related_name="exceptions")
    on = models.DateField()
    is_open = models.BooleanField(default=False)
    note = models.CharField(max_length=80, blank=True)

    class Meta:
        ordering = ["calendar_id", "on"]
        verbose_name = "exception"
        constraints = [models.UniqueConstraint(fields=["calendar", "on"], name="calendar_day_once")]

    def __str__(self) -> str:
        return f"{self.on} {'open' if self.is_open else 'closed'}"


class Pickup(models.Model):
    """A service collects at a warehouse. One that has none here is collected at the default time."""

    warehouse = models.ForeignKey(Warehouse, on_delete=models.PROTECT, related_name="+")
    service = models.ForeignKey(CarrierService, on_delete=models.PROTECT, related_name="pickups")
    leaves_at = models.TimeField()
    ready_by = models.TimeField(help_text="What is ready before it goes with this collection.")
    weekdays = WeekdaysField()

    history = HistoricalRecords(bases=[Traced])

    class Meta:
        ordering = ["warehouse_id", "service_id", "leaves_at"]
        constraints = [
            models.UniqueConstraint(fields=["warehouse", "service", "leaves_at"], name="pickup_once"),
            models.CheckConstraint(condition=Q(ready_by__lte=F("leaves_at")), name="pickup_ready_then_leaves"),
            models.CheckConstraint(condition=are_weekdays("weekdays"), name="pickup_weekdays"),
        ]

    def __str__(self) -> str:
        return f"{self.service} at {self.leaves_at:%H:%M}"


class Place(models.Model):
    """Where a postal code, or a city, lies."""

    country = models.CharField(max_length=2)
    postal_code = models.CharField(max_length=10, blank=True, help_text="Without spaces; empty: a city.")
    city = models.CharField(max_length=80, blank=True)
    region = models.CharField(max_length=40, blank=True)
    population = models.PositiveIntegerField(default=0)
    latitude = models.DecimalField(max_digits=9, decimal_places=6)
    longitude = models.DecimalField(max_digits=9, decimal_places=6)

    class Meta:
        ordering = ["country", "postal_code", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["country", "postal_code"], condition=~Q(postal_code=""), name="place_postal_code_once"
            ),
            models.UniqueConstraint(
                fields=["country", "region", "city", "latitude", "longitude"],
                condition=Q(postal_code=""),
                name="place_city_once",
            ),
            models.CheckConstraint(
                condition=Q(latitude__range=(-90, 90), longitude__range=(-180, 180)), name="place_on_the_globe"
            ),
            models.CheckConstraint(condition=Q(postal_code__regex=r"^[0-9A-Z]*$"), name="place_postal_code_plain"),
        ]
        indexes = [
            models.Index(fields=["country", "-population"], name="place_largest_city", condition=Q(postal_code=""))
        ]

    def __str__(self) -> str:
        return f"{self.country} {self.postal_code or self.city}"
