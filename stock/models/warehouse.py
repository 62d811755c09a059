from __future__ import annotations

import zoneinfo

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from partners.models import Partner
from partners.models.history import Traced


def validate_time_zone(name: str) -> None:
    if name not in zoneinfo.available_timezones():
        raise ValidationError(f"{name} is not a time zone; write it like Europe/Berlin.")


class WarehouseQuerySet(models.QuerySet["Warehouse"]):
    def for_partner(self, partner: Partner) -> WarehouseQuerySet:
        """The warehouses the partner's grants name; null grants all."""
        if partner.granted_warehouses is None:
            return self
        return self.filter(code__in=partner.granted_warehouses)


class Warehouse(models.Model):
    """A building with stock. Its time zone decides when a day, and a best-before date, is over."""

    class SystemOfRecord(models.TextChoices):
        OWN = "own", "Backstock"
        EXTERNAL = "external", "Another system"

    code = models.CharField(
        max_length=40, unique=True, help_text="Called warehouseLocation by partners; never changes."
    )
    name = models.CharField(max_length=120)
    time_zone = models.CharField(max_length=60, default="UTC", validators=[validate_time_zone])
    gln = models.CharField("GLN", max_length=13, blank=True)
    street = models.CharField(max_length=120, blank=True)
    city = models.CharField(max_length=80, blank=True)
    region = models.CharField(max_length=40, blank=True)
    postal_code = models.CharField(max_length=20, blank=True)
    country = models.CharField(max_length=2, blank=True, help_text="Two letters, ISO 3166.")
    latitude = models.DecimalField(max_digits=9, decimal_places=6, null=True, blank=True)
    longitude = models.DecimalField(max_digits=9, decimal_places=6, null=True, blank=True)
    operator = models.ForeignKey(
        Partner, on_delete=models.PROTECT, null=True, blank=True, help_text="The 3PL that runs it; empty: ourselves."
    )
    system_of_record = models.CharField(max_length=8, choices=SystemOfRecord, default=SystemOfRecord.OWN)
    is_active = models.BooleanField(default=True, help_text="Off: nothing is promised from here.")

    history = HistoricalRecords(bases=[Traced])
    objects = WarehouseQuerySet.as_manager()

    class Meta:
        ordering = ["code"]
        constraints = [
            models.CheckConstraint(
                condition=Q(code__regex=r"^[A-Za-z0-9][A-Za-z0-9._-]*$"), name="warehouse_code_readable"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code} · {self.name}"


class Location(models.Model):
    """A bin in a warehouse; or one of the virtual places where units come from and go to.

    Virtual places have no warehouse and no levels: they make every unit come from somewhere.
    """

    class Kind(models.TextChoices):
        BIN = "bin", "Bin"
        SUPPLIER = "supplier", "Supplier"
        CUSTOMER = "customer", "Customer"
        FOUND = "found", "Found"
        LOST = "lost", "Lost"
        SCRAP = "scrap", "Scrap"
        IN_TRANSIT = "in_transit", "In transit"
        CONSUMED = "consumed", "Used by ourselves"
        CONVERSION = "conversion", "Conversion"

    # Virtual places have fixed negative ids, so that the ledger need not look them up.
    VIRTUAL_IDS = {
        Kind.SUPPLIER: -1,
        Kind.CUSTOMER: -2,
        Kind.FOUND: -3,
        Kind.LOST: -4,
        Kind.SCRAP: -5,
        Kind.IN_TRANSIT: -6,
        Kind.CONSUMED: -7,
        Kind.CONVERSION: -8,
    }

    warehouse = models.ForeignKey(Warehouse, on_delete=models.PROTECT, null=True, blank=True, related_name="locations")
    code = models.CharField(max_length=40)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.BIN)
    is_default = models.BooleanField(default=False)
    pick_sequence = models.PositiveIntegerField(default=0, help_text="A picker's way: lower ones first, then by code.")

    history = HistoricalRecords(bases=[Traced])

    class Meta:
        ordering = ["warehouse_id", "code"]
        constraints = [
            models.UniqueConstraint(fields=["warehouse", "code"], name="location_code_once", nulls_distinct=False),
            models.UniqueConstraint(fields=["kind"], condition=~Q(kind="bin"), name="location_virtual_once"),
            models.UniqueConstraint(
                fields=["warehouse"], condition=Q(is_default=True), name="location_one_default_per_warehouse"
            ),
            models.CheckConstraint(
                condition=Q(kind="bin", warehouse__isnull=False)
                | (~Q(kind="bin") & Q(warehouse__isnull=True, is_default=False)),
                name="location_bin_has_warehouse",
            ),
            models.CheckConstraint(
                condition=Q(kind="bin", id__gt=0) | (~Q(kind="bin") & Q(id__lt=0)), name="location_virtual_id_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.warehouse.code}/{self.code}" if self.warehouse else self.code
