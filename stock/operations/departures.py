"""Promised goods leave the building: which allocations are used up, and what the ledger says of it.

Works under the locks of its caller, `reservations`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.db.models import F

from partners.actors import Actor
from stock import allocation, ledger, queries
from stock.models import Allocation, Level, Location, Movement, ReservationLine, Serial, Warehouse
from stock.operations import blocks
from stock.operations.promising import InsufficientStock
from stock.serials import SerialNotThere


@dataclass(frozen=True, kw_only=True)
class Departure:
    """What is to leave for one line: from this warehouse, and ("" = as promised) of this batch.

    A kit's line leaves as its components. `serials` names the units of a variant tracked by serial number.
    """

    line: ReservationLine
    quantity: int
    warehouse: Warehouse
    batch_number: str = ""
    serials: tuple[str, ...] = ()


Picks = list[tuple[Allocation, int]]


def parts_of(departure: Departure) -> list[Departure]:
    """A kit's departure as those of its components; any other as it is."""
    kit = departure.line
    return [
        Departure(
            line=line,
            quantity=departure.quantity * line.quantity // kit.quantity,
            warehouse=departure.warehouse,
            serials=departure.serials,
        )
        for line in kit.components.order_by("id")
    ] or [departure]


def take(*, departure: Departure, held: Container[int], actor: Actor, at: datetime) -> Picks:
    """The allocations a departure uses up; promises made elsewhere are moved to where the goods leave.

    Only to levels the caller has `held`: one that was made since it locked them is anybody's.
    Raises InsufficientStock when the line has less promised than leaves, or the other place less free.
    """
    kept = list(
        Allocation.objects.filter(line=departure.line, quantity__gt=F("consumed") + F("freed"))
        .select_related("level__location", "level__batch", "level__variant")
        .order_by("id")
    )
    open_units = {row.pk: row.open_quantity for row in kept}
    if sum(open_units.values()) < departure.quantity:
        raise _short(departure, sum(open_units.values()))
    picks: Picks = []
    for is_here, quantity in _needs(departure):
        left = quantity
        for row in (row for row in kept if is_here(row.level)):
            if units := min(left, open_units[row.pk]):
                picks.append((row, units))
                open_units[row.pk] -= units
                left -= units
        if left:
            given_up = [(row, open_units[row.pk]) for row in kept if open_units[row.pk]]
            moved = _move_promise(departure, is_here, given_up, left, held, actor=actor, at=at)
            for row, units in given_up:
                open_units[row.pk] -= min(units, left)
                left -= min(units, left)
            picks += moved
    use(picks)
    return picks


def use(picks: Picks) -> None:
    """These units of the allocations are gone; what is promised is that much less."""
    for row, quantity in picks:
        Allocation.objects.filter(pk=row.pk).update(consumed=F("consumed") + quantity)


def leave(*, picks: Picks, reference: str, actor: Actor, at: datetime, serials: Sequence[str] = ()) -> None:
    """Book units that were taken out of the door, with the serial numbers named.

    Raises blocks.BatchBlocked where one is of a batch that is held back.
    """
    blocks.check_released(batch_ids=[row.level.batch_id for row, _ in picks])
    units: dict[int, list[str]] = defaultdict(list)
    lying = Serial.objects.filter(level__in={row.level_id for row, _ in picks}, number__in=serials).order_by("number")
    for level_id, number in lying.values_list("level", "number"):
        units[level_id].append(number)
    postings = []
    for row, quantity in picks:
        level = row.level
        postings.append(
            ledger.Posting(
                variant_id=level.variant_id,
                batch_id=level.batch_id,
                owner_id=level.owner_id,
                quantity=quantity,
                source=ledger.Place(location_id=level.location_id, condition=level.condition),
                target=ledger.virtual(Location.Kind.CUSTOMER),
                kind=Movement.Kind.SHIPMENT,
                reference=reference,
                from_promise=True,
                serials=tuple(units[level.pk][:quantity]),
            )
        )
        del units[level.pk][:quantity]
    ledger.post(postings, actor=actor, at=at)


IsHere = Callable[[Level], bool]


def _needs(departure: Departure) -> list[tuple[IsHere, int]]:
    """From where how much: where the named units lie, or anywhere in the warehouse of the batch said."""
    if not departure.serials or departure.line.variant.tracking != "serial":
        return [(lambda level: _is_at(level, departure), departure.quantity)]
    named = Serial.objects.filter(
        variant=departure.line.variant_id, number__in=departure.serials, level__location__warehouse=departure.warehouse
    )
    lying = Counter(named.values_list("level", flat=True))
    if sum(lying.values()) != departure.quantity or len(set(departure.serials)) != departure.quantity:
        found = set(named.values_list("number", flat=True))
        away = sorted(set(departure.serials) - found)
        raise SerialNotThere(
            f"{departure.quantity} of {departure.line.variant.sku} leave {departure.warehouse.code};"
            f" {len(found)} of the serial numbers named lie there.",
            productId=departure.line.variant.sku,
            serialNumbers=away[:20],
        )
    return [(partial(_is_level, level_id), units) for level_id, units in sorted(lying.items())]


def _is_level(level_id: int, level: Level) -> bool:
    return level.pk == level_id


def _is_at(level: Level, departure: Departure) -> bool:
    is_here = level.location.warehouse_id == departure.warehouse.pk
    return is_here and departure.batch_number in ("", level.batch.number if level.batch else "")


def _move_promise(
    departure: Departure,
    is_here: IsHere,
    given_up: Picks,
    quantity: int,
    held: Container[int],
    *,
    actor: Actor,
    at: datetime,
) -> Picks:
    """Promise `quantity` units where the goods leave, and give up as many elsewhere."""
    line = departure.line
    offers = queries.candidates(variant_ids=[line.variant_id], partner=line.reservation.partner, at=at)
    rows = Level.objects.select_related("location", "batch").in_bulk([offer.level_id for offer in offers])
    here = [offer for offer in offers if offer.level_id in held and is_here(rows[offer.level_id])]
    [plan] = allocation.allocate([allocation.Demand(variant_id=line.variant_id, quantity=quantity)], here)
    if plan.missing:
        raise _short(departure, departure.quantity - plan.missing)
    changes: dict[int, int] = defaultdict(int)
    left = quantity
    for row, open_quantity in given_up:
        if units := min(left, open_quantity):
            Allocation.objects.filter(pk=row.pk).update(freed=F("freed") + units)
            changes[row.level_id] -= units
            left -= units
    for pick in plan.picks:
        changes[pick.level_id] += pick.quantity
    moved = Allocation.objects.bulk_create(
        Allocation(line=line, level_id=pick.level_id, quantity=pick.quantity) for pick in plan.picks
    )
    ledger.promise(changes, actor=actor, at=at)
    made = Allocation.objects.filter(pk__in=[row.pk for row in moved]).select_related("level__batch")
    return [(row, row.quantity) for row in made.order_by("id")]


def _short(departure: Departure, available: int) -> InsufficientStock:
    sku = departure.line.variant.sku
    return InsufficientStock(
        f"{departure.quantity} of {sku} cannot leave {departure.warehouse.code}; {available} can.",
        shortages=[{"productId": sku, "requested": departure.quantity, "available": available}],
    )
