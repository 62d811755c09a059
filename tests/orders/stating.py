"""A warehouse another system keeps the book of, orders that leave it, and what that system says of it."""

from __future__ import annotations

from django.utils import timezone

from catalog.models import Variant
from orders.models import FulfilmentRequest, WarehouseClock
from orders.operations import fulfilment, ordering, requesting, stating
from orders.operations.ordering import Asked
from partners.models import Partner
from stock.models import Level, StockImport, Warehouse
from stock.operations import stating as starting
from stock.operations import stating_work
from stock.operations.stating import Said
from tests import make

TO = {"country": "US", "postalCode": "38103"}


def external(code: str = "DC1") -> Warehouse:
    hall = make.make_warehouse(code=code)
    Warehouse.objects.filter(pk=hall.pk).update(system_of_record="external")
    return Warehouse.objects.get(pk=hall.pk)


def clock_at(hall: Warehouse, last: int) -> None:
    """As if the warehouse had had so many events already."""
    WarehouseClock.objects.update_or_create(warehouse=hall, defaults={"last": last})


def assigned(buyer: Partner, sku: str, reference: str, units: int = 1) -> FulfilmentRequest:
    """An order of so many units that its warehouse has been asked for."""
    order, _ = ordering.place(
        partner=buyer, external_reference=reference, ship_to=TO, actor=make.TESTER, at=timezone.now(),
        asked=[Asked(line_id="1", variant=Variant.objects.get(sku=sku), quantity=units)],
    )  # fmt: skip
    ordering.confirm(order=order, actor=make.TESTER, at=timezone.now())
    return FulfilmentRequest.objects.get(order=order)


def completed(request: FulfilmentRequest) -> int:
    """Its goods left; the logical timestamp they left at."""
    done = fulfilment.complete(request=request, actor=make.TESTER, at=timezone.now())
    return done.logical_timestamp


def failed(request: FulfilmentRequest) -> None:
    requesting.reject(request=request, failure="capacity", actor=make.TESTER, at=timezone.now())


def opened(hall: Warehouse, items, starts=None, ends=None, *, basis="onHand", partner=None, **more) -> StockImport:
    """Items are {sku: quantity} or rows."""
    rows = [{"productId": sku, "quantity": units} for sku, units in items.items()] if isinstance(items, dict) else items
    known = [stating.Known(warehouse=hall, starts=starts, ends=ends)] if ends else []
    said = Said(basis=basis, warehouse=hall, **more)
    return stating.open_items(said=said, known=known, items=rows, actor=make.TESTER, partner=partner)


def apply(made: StockImport) -> StockImport:
    started = starting.start(stock_import=made, actor=make.TESTER, at=timezone.now())
    return stating_work.work_on(stock_import=started, actor=make.TESTER, at=timezone.now())


def said(hall: Warehouse, items, starts=None, ends=None, **more) -> StockImport:
    """Opened, started and applied."""
    return apply(opened(hall, items, starts, ends, **more))


def book(sku: str, hall: Warehouse) -> tuple[int, int]:
    """(on hand, free) of a product in a warehouse."""
    levels = list(Level.objects.filter(variant__sku=sku, location__warehouse=hall, condition="sellable"))
    return sum(level.on_hand for level in levels), sum(level.available for level in levels)
