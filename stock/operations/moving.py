"""Goods are put away: from one bin of a warehouse into another, and what is promised of them with them."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import F

from catalog.models import Variant
from partners.actors import Actor
from partners.models import Partner
from partners.problems import InvalidInput
from stock import ledger
from stock.models import Allocation, Level, Location, Movement, Warehouse
from stock.operations import warehouses


@transaction.atomic
def move(
    *,
    variant: Variant,
    warehouse: Warehouse,
    from_code: str,
    to_code: str,
    quantity: int,
    actor: Actor,
    at: datetime,
    batch_number: str = "",
    condition: str = Level.Condition.SELLABLE,
    owner: Partner | None = None,
    reference: str = "",
    serials: tuple[str, ...] = (),
) -> int:
    """Move `quantity` stock units from one bin to another of the same warehouse; returns the movement's id.

    Free units go first. Where they do not suffice promised ones go too, and their promises with them: the
    youngest move, so that the oldest stay where they are. Nobody's promise is broken or changed. Locks all
    levels of the variant, in id order. Moved twice it moves twice.

    Raises InvalidInput for unknown bins and batches, ledger.NotEnoughOnHand when less lies there.
    """
    source, target = _bins(warehouse, from_code, to_code)
    batch = warehouses.known_batch(variant=variant, number=batch_number)
    batch_id, owner_id = batch.pk if batch else None, owner.pk if owner else None
    posting = ledger.Posting(
        variant_id=variant.pk,
        batch_id=batch_id,
        owner_id=owner_id,
        quantity=quantity,
        source=ledger.Place(location_id=source.pk, condition=condition),
        target=ledger.Place(location_id=target.pk, condition=condition),
        kind=Movement.Kind.MOVE,
        reference=reference,
        serials=serials,
    )
    ledger.ensure([posting.side(posting.source), posting.side(posting.target)])
    # All of the variant's: a promise may only go to another level while nobody else decides on one of them.
    levels = {level.key: level for level in ledger.lock_variants([variant.pk]).values()}
    here, there = levels[posting.side(posting.source)], levels[posting.side(posting.target)]
    if quantity > here.on_hand:
        raise ledger.NotEnoughOnHand(
            "There is less to take than that.",
            shortages=[{"levelId": here.id, "requested": quantity, "available": here.on_hand}],
        )
    promised = max(quantity - here.available, 0)
    _carry_promises(here.id, there.id, promised)
    ledger.promise({here.id: -promised}, actor=actor, at=at)
    [movement_id] = ledger.post([posting], actor=actor, at=at)
    ledger.promise({there.id: promised}, actor=actor, at=at)
    return movement_id


def _carry_promises(from_level: int, to_level: int, quantity: int) -> None:
    """Write so many promised units over to another level, of the youngest promises first."""
    if not quantity:
        return
    kept = Allocation.objects.filter(level=from_level, quantity__gt=F("consumed") + F("freed"))
    freed, carried = [], []
    for row in kept.order_by("-line_id", "-id"):
        units = min(row.open_quantity, quantity)
        row.freed += units
        freed.append(row)
        carried.append(Allocation(line_id=row.line_id, level_id=to_level, quantity=units))
        quantity -= units
        if not quantity:
            break
    Allocation.objects.bulk_update(freed, ["freed"])
    # In the order they were made, so that of one line's promises the older one keeps the smaller id.
    Allocation.objects.bulk_create(carried[::-1])


def _bins(warehouse: Warehouse, from_code: str, to_code: str) -> tuple[Location, Location]:
    if from_code == to_code:
        raise InvalidInput.at("toLocation", "It lies there already; name another bin.")
    bins = {bin_.code: bin_ for bin_ in warehouse.locations.filter(code__in=[from_code, to_code])}
    named = [("fromLocation", from_code), ("toLocation", to_code)]
    if unknown := [(field, f"{warehouse.code} has no bin {code}.") for field, code in named if code not in bins]:
        raise InvalidInput.of(unknown)
    return bins[from_code], bins[to_code]
