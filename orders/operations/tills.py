"""Devices of shops report what they sold: late, out of turn, and more than once.

A report is known by its device and the number the device gave it, a sale by its device and its own id. Facts are
never refused: what the book cannot cover, or we do not know, is told in the answer and kept with it. Lock order:
device, batches, levels by id.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from catalog.models import Variant
from orders.models import Sale, SalesBatch, SalesDevice
from orders.operations import desk
from partners import outbox
from partners.actors import Actor
from partners.models import Partner
from partners.problems import Conflict
from stock.models import Batch, Warehouse
from stock.operations import selling
from stock.operations.selling import Basket, Told

# So many ranges of numbers that have not come are named in an answer.
GAPS_MAX = 100


class SequenceReused(Conflict):
    """The device reported something else under this number. Data: deviceId, deviceSequence, batchId."""

    code = "sequence_reused"
    title = "This number stands for another report"
    remedy = "Send new sales under the next deviceSequence."


@dataclass(frozen=True, kw_only=True)
class SoldLine:
    """So many of a product as a device calls it; null where we know none of that name for the partner."""

    sku: str
    variant: Variant | None
    quantity: int
    batch_number: str = ""
    serials: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Reported:
    """One sale, as a device tells it; the warehouse is null where we know none of that name for the partner."""

    sale_id: str
    occurred_at: datetime
    warehouse_code: str
    warehouse: Warehouse | None
    lines: tuple[SoldLine, ...]

    @property
    def fingerprint(self) -> str:
        lines = [[line.sku, line.quantity, line.batch_number, sorted(line.serials)] for line in self.lines]
        return _digest([self.occurred_at.timestamp(), self.warehouse_code, sorted(lines)])


@transaction.atomic
def report(
    *, partner: Partner, device_code: str, sequence: int, sales: Sequence[Reported], actor: Actor, at: datetime
) -> tuple[SalesBatch, bool]:
    """Book what a device sold. Returns (the batch, whether it is new).

    The same number with the same content answers the batch already there, word for word. A sale that came before
    under another number is not booked again. The answer names what was not as the book said (`exceptions`) and
    which of the device's numbers up to its highest have not come (`missing`). Whom the broken promises
    were given to is told `inventory.shortage`. Locks the device, so that its reports are booked one by one.
    Raises SequenceReused; nothing else is refused.
    """
    device = _lock_device(partner, device_code, at)
    fingerprint = _digest(sorted([sale.sale_id, sale.fingerprint] for sale in sales))
    earlier = SalesBatch.objects.filter(device=device, sequence=sequence).first()
    if earlier is not None:
        if earlier.fingerprint != fingerprint:
            raise SequenceReused(
                f"{device_code} reported other sales as {sequence}; send these under its next number.",
                deviceId=device_code,
                deviceSequence=sequence,
                batchId=earlier.number,
            )
        return earlier, False
    fresh, exceptions = _sort_out(device, sales, at)
    baskets = [_basket(device, sale, place, at) for sale, place in fresh]
    told = list(zip(fresh, selling.sell(baskets=baskets, partner=partner, actor=actor, at=at), strict=True))
    exceptions += [row for (sale, place), lines in told for line in lines for row in _odd(sale, place, line, at)]
    batch = SalesBatch.objects.create(
        device=device,
        sequence=sequence,
        fingerprint=fingerprint,
        booked_sales=len(fresh),
        exceptions=exceptions,
        missing=_note(device, sequence, at),
        actor=actor.label,
        posted_at=at,
    )
    kept = Sale.objects.bulk_create(
        Sale(
            batch=batch, device=device, sale_id=sale.sale_id, fingerprint=sale.fingerprint, occurred_at=sale.occurred_at
        )
        for sale, _ in fresh
    )
    desk.note_found(
        found=[
            desk.Found(sale=row, variant=line.line.variant, warehouse=place, quantity=line.found, batch=line.batch)
            for row, ((_, place), lines) in zip(kept, told, strict=True)
            for line in lines
            if line.found
        ],
        actor=actor,
        at=at,
    )  # fmt: skip
    _tell(batch, [place for _, place in fresh], actor=actor, at=at)
    return batch, True


def _lock_device(partner: Partner, code: str, at: datetime) -> SalesDevice:
    """Twins wait here, the first of a device on its unique name."""
    device, _ = SalesDevice.objects.get_or_create(partner=partner, code=code, defaults={"seen_at": at})
    return SalesDevice.objects.select_for_update(no_key=True).get(pk=device.pk)


def _note(device: SalesDevice, number: int, at: datetime) -> list[dict[str, int]]:
    """The device has reported under this number; answers which of its numbers are missing now, the highest ranges."""
    before = [(row["from"], row["to"]) for row in device.missing]
    ranges = gaps(before, highest=device.highest, number=number)
    missing = [{"from": first, "to": last} for first, last in ranges]
    device.missing = missing
    device.highest, device.seen_at = max(device.highest, number), at
    device.save()
    return missing[-GAPS_MAX:]


def _sort_out(
    device: SalesDevice, sales: Sequence[Reported], at: datetime
) -> tuple[list[tuple[Reported, Warehouse]], list[dict[str, Any]]]:
    """The sales that did not come before, and where they were; and what is odd about the others, or not known to us.

    A sale of a shop we do not know is not kept, so that it is booked when it comes again.
    """
    known = dict(
        Sale.objects.filter(device=device, sale_id__in=[sale.sale_id for sale in sales]).values_list(
            "sale_id", "fingerprint"
        )
    )
    fresh = []
    exceptions = []
    for sale in sales:
        if sale.sale_id in known:
            is_same = known[sale.sale_id] == sale.fingerprint
            exceptions.append(_exception(sale, "repeatedSale" if is_same else "saleDiffers", is_booked=False))
            continue
        if sale.warehouse is None:
            exceptions.append(_exception(sale, "unknownWarehouse", is_booked=False))
            continue
        known[sale.sale_id] = sale.fingerprint
        fresh.append((sale, sale.warehouse))
        if sale.occurred_at > at:
            exceptions.append(_exception(sale, "clockAhead"))
        exceptions += [
            _exception(
                sale, "unknownProduct", is_booked=False, sku=line.sku, quantity=line.quantity, batch_number=line.batch_number
            )
            for line in sale.lines
            if line.variant is None
        ]  # fmt: skip
    return fresh, exceptions


def _basket(device: SalesDevice, sale: Reported, place: Warehouse, at: datetime) -> Basket:
    lines = [
        selling.Line(variant=line.variant, quantity=line.quantity, batch_number=line.batch_number, serials=line.serials)
        for line in sale.lines
        if line.variant is not None
    ]
    return Basket(
        reference=f"{device.code}/{sale.sale_id}",
        warehouse=place,
        occurred_at=min(sale.occurred_at, at),
        lines=tuple(lines),
    )


def _odd(sale: Reported, place: Warehouse, told: Told, at: datetime) -> list[dict[str, Any]]:
    """What the desk should know of a line that was sold."""
    found: list[tuple[str, int]] = []
    if not told.is_booked:
        found.append(("serialsNeeded", told.line.quantity))
    found += [("foundStock", told.found), ("brokenPromises", told.broken), ("countedSince", told.counted)]
    found.append(("soldElsewhere", len(told.elsewhere)))
    if told.batch and told.batch.hold_state != Batch.HoldState.RELEASED:
        found.append(("heldBatch", told.line.quantity))
    if told.batch and selling.has_expired(batch=told.batch, warehouse=place, at=min(sale.occurred_at, at)):
        found.append(("expiredBatch", told.line.quantity))
    return [
        _exception(
            sale, kind, sku=told.line.variant.sku, quantity=quantity, batch_number=told.line.batch_number,
            is_booked=told.is_booked,
        )
        for kind, quantity in found
        if quantity
    ]  # fmt: skip


def _exception(
    sale: Reported, kind: str, *, is_booked: bool = True, sku: str | None = None, quantity: int | None = None,
    batch_number: str = "",
) -> dict[str, Any]:  # fmt: skip
    return {
        "kind": kind,
        "saleId": sale.sale_id,
        "warehouseLocation": sale.warehouse_code,
        "productId": sku,
        "batchNumber": batch_number or None,
        "quantity": quantity,
        "isBooked": is_booked,
    }


def gaps(missing: Sequence[tuple[int, int]], *, highest: int, number: int) -> list[tuple[int, int]]:
    """The ranges of numbers from 1 to the highest that have not come, once `number` has. Pure."""
    if number > highest:
        return [*missing, *([(highest + 1, number - 1)] if number > highest + 1 else [])]
    found = []
    for first, last in missing:
        if first <= number <= last:
            found += [(low, high) for low, high in ((first, number - 1), (number + 1, last)) if low <= high]
        else:
            found.append((first, last))
    return found


def _tell(batch: SalesBatch, places: Sequence[Warehouse], *, actor: Actor, at: datetime) -> None:
    outbox.record(
        "sale.posted",
        subject=f"salesBatch/{batch.number}",
        payload={
            "batchId": batch.number,
            "deviceId": batch.device.code,
            "deviceSequence": batch.sequence,
            "bookedSales": batch.booked_sales,
            "exceptions": len(batch.exceptions),
            "warehouseLocations": sorted({place.code for place in places}),
        },
        actor=actor,
        at=at,
        addressee_ids=[batch.device.partner_id, *(place.operator_id for place in places)],
    )


def _digest(said: Any) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
