"""Warehouses are opened; batches get to know their dates."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from django.db import transaction

from catalog.models import Variant
from partners.actors import Actor
from partners.models import Partner
from partners.operations.partners import check_gln
from partners.problems import Conflict, InvalidInput
from stock.models import Batch, Location, Warehouse
from stock.models.warehouse import validate_time_zone

DEFAULT_BIN = "MAIN"


class BatchDiffers(Conflict):
    """The batch is known with another expiry date. Data: batchNumber, expirationDate."""

    code = "batch_differs"
    title = "The batch is known with another date"


@transaction.atomic
def open_warehouse(
    *,
    code: str,
    name: str,
    actor: Actor,
    time_zone: str = "UTC",
    operator: Partner | None = None,
    gln: str = "",
    street: str = "",
    city: str = "",
    region: str = "",
    postal_code: str = "",
    country: str = "",
    latitude: Decimal | None = None,
    longitude: Decimal | None = None,
) -> Warehouse:
    """A new building with its one default bin, so that simple users never see bins."""
    validate_time_zone(time_zone)
    check_gln(gln)
    warehouse = Warehouse.objects.create(
        code=code,
        name=name,
        time_zone=time_zone,
        operator=operator,
        gln=gln,
        street=street,
        city=city,
        region=region,
        postal_code=postal_code,
        country=country,
        latitude=latitude,
        longitude=longitude,
    )
    Location.objects.create(warehouse=warehouse, code=DEFAULT_BIN, is_default=True)
    return warehouse


def default_location(warehouse: Warehouse) -> Location:
    """The bin goods go to when nobody names one. One query."""
    return Location.objects.get(warehouse=warehouse, is_default=True)


@transaction.atomic
def know_batch(
    *, variant: Variant, number: str, expires_on: date | None, actor: Actor, supplier: Partner | None = None
) -> Batch | None:
    """The batch with this number, made known on first sight; null for variants that are not tracked so.

    A date learned later is added. Raises InvalidInput where tracking and number do not agree, and
    BatchDiffers (data: batchNumber, expirationDate) for another date than the one known.
    """
    if not number:
        if variant.tracking == Variant.Tracking.BATCH:
            raise InvalidInput.at("batchNumber", f"{variant.sku} is tracked by batch; name the batch.")
        if expires_on:
            raise InvalidInput.at("expirationDate", "An expiry date belongs to a batch; name the batchNumber.")
        return None
    batch, _ = Batch.objects.get_or_create(
        variant=variant, number=number, defaults={"expires_on": expires_on, "supplier": supplier}
    )
    if expires_on and batch.expires_on is None:
        batch.expires_on = expires_on
        batch.save(update_fields=["expires_on"])
    elif expires_on and batch.expires_on != expires_on:
        raise BatchDiffers(
            f"Batch {number} of {variant.sku} expires on {batch.expires_on}.",
            batchNumber=number,
            expirationDate=batch.expires_on.isoformat() if batch.expires_on else None,
        )
    return batch
