"""Warehouses and their bins are opened; batches get to know their dates."""

from __future__ import annotations

import re
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
LOCATION_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


class BatchDiffers(Conflict):
    """The batch is known with another expiry date. Data: batchNumber, expirationDate."""

    code = "batch_differs"
    title = "The batch is known with another date"
    remedy = "Check the date on the goods; the one that is known is told."


class LocationExists(Conflict):
    """The warehouse has a bin of this code. Data: warehouseLocation, location."""

    code = "location_exists"
    title = "There is such a bin already"
    remedy = "Use the bin that is there, or another code."


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


@transaction.atomic
def open_location(*, warehouse: Warehouse, code: str, actor: Actor, pick_sequence: int = 0) -> Location:
    """A new bin in a warehouse. Two who open the same at once: the second is refused.

    Raises InvalidInput for a code nobody could print on a label, and LocationExists.
    """
    if not LOCATION_CODE.fullmatch(code):
        raise InvalidInput.at("code", "A bin's code takes up to 40 letters, digits, dots, dashes and underscores.")
    bin_, is_new = Location.objects.get_or_create(
        warehouse=warehouse, code=code, defaults={"pick_sequence": pick_sequence}
    )
    if not is_new:
        raise LocationExists(f"{warehouse.code} has a bin {code}.", warehouseLocation=warehouse.code, location=code)
    return bin_


def default_location(warehouse: Warehouse) -> Location:
    """The bin goods go to when nobody names one. One query."""
    return Location.objects.get(warehouse=warehouse, is_default=True)


def known_batch(*, variant: Variant, number: str) -> Batch | None:
    """The batch with this number; null where none is named of a variant that needs none. One query.

    Raises InvalidInput where it is not known, or not named and the variant is tracked by batch.
    """
    if not number:
        if variant.tracking == Variant.Tracking.BATCH:
            raise InvalidInput.at("batchNumber", f"{variant.sku} is tracked by batch; name the batch.")
        return None
    batch = Batch.objects.filter(variant=variant, number=number).first()
    if batch is None:
        raise InvalidInput.at("batchNumber", f"There is no batch {number} of {variant.sku}.")
    return batch


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
