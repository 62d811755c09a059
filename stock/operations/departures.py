"""Promised goods leave the building: which allocations are used up, and what the ledger says of it.

Works under the locks of its caller, `reservations`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from django.db import connection
from django.db.models import F

from catalog.models import Variant
from partners.actors import Actor
from stock import allocation, ledger, queries
from stock.models import Allocation, Level, Location, Movement, ReservationLine, Serial, Warehouse
from stock.operations import blocks
from stock.operations.promising import InsufficientStock
from stock.serials import NAMED_MAX, SerialNotThere, SerialsNeeded


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


@dataclass(frozen=True, kw_only=True)
class Pick:
    """So many units of an allocation leave, with their numbers where they have some."""

    row: Allocation
    quantity: int
    serials: tuple[str, ...] = ()


def parts_of(departure: Departure) -> list[Departure]:
    """A kit's departure as those of its components; any other as it is.

    The units named are told apart by where such a number is known. Raises SerialNotThere, SerialsNeeded.
    """
    kit = departure.line
    parts = [
        Departure(line=line, quantity=departure.quantity * line.quantity // kit.quantity, warehouse=departure.warehouse)
        for line in kit.components.select_related("variant").order_by("id")
    ]
    return _with_units(parts, departure.serials) if parts else [departure]


def with_units(*, allocation_ids: Iterable[int], serials: Sequence[str]) -> list[Departure]:
    """What is open of these allocations as departures of the units named, one for each line and warehouse.

    Raises SerialNotThere, SerialsNeeded.
    """
    kept = Allocation.objects.filter(pk__in=allocation_ids).order_by("id")
    leaving: Counter[tuple[ReservationLine, Warehouse | None]] = Counter()
    for row in kept.select_related("line__variant", "line__reservation__partner", "level__location__warehouse"):
        leaving[row.line, row.level.location.warehouse] += row.open_quantity
    parts = [
        Departure(line=line, quantity=quantity, warehouse=warehouse)
        for (line, warehouse), quantity in leaving.items()
        if warehouse  # only virtual places have none, and no level
    ]
    return _with_units(parts, serials)


def _with_units(parts: Sequence[Departure], serials: Sequence[str]) -> list[Departure]:
    """Each part with those of the units named that are of its variant and lie where it leaves. One query.

    Numbers are unique for a variant only: one that lies there of several goes where units are still missing.
    Raises SerialNotThere for a number that fits nowhere, SerialsNeeded where it could be of either.
    """
    tracked = [part for part in parts if part.line.variant.tracking == Variant.Tracking.SERIAL]
    if not serials or not tracked:
        return list(parts)
    missing: Counter[Side] = Counter()
    for part in tracked:
        missing[part.line.variant_id, part.warehouse.pk] += part.quantity
    units = _share_out(serials, missing)
    named = []
    for part in parts:
        mine = units[part.line.variant_id, part.warehouse.pk]
        named.append(replace(part, serials=tuple(mine[: part.quantity])))
        del mine[: part.quantity]
    return named


# variant, warehouse
Side = tuple[int, int]


def _share_out(serials: Sequence[str], missing: Counter[Side]) -> Mapping[Side, list[str]]:
    lying: dict[str, list[Side]] = defaultdict(list)
    rows = Serial.objects.filter(variant__in={variant_id for variant_id, _ in missing}, number__in=serials)
    for number, *side in rows.order_by("id").values_list("number", "variant", "level__location__warehouse"):
        if (found := (side[0], side[1])) in missing:
            lying[number].append(found)
    units: dict[Side, list[str]] = defaultdict(list)
    away = []
    # Those that are of one variant only go first, so that the others are left to choose between less.
    for number in sorted(set(serials), key=lambda number: (len(lying[number]), number)):
        open_sides = [side for side in lying[number] if missing[side]]
        if len(open_sides) > 1:
            skus = Variant.objects.filter(pk__in=[variant_id for variant_id, _ in open_sides]).values_list(
                "sku", flat=True
            )
            raise SerialsNeeded(
                f"{number} is a unit of {' and of '.join(sorted(skus))}; which one leaves cannot be told.",
                serialNumbers=[number],
            )
        if not open_sides:
            away.append(number)
            continue
        units[open_sides[0]].append(number)
        missing[open_sides[0]] -= 1
    if away:
        raise SerialNotThere("Some of the units named are none that leave here.", serialNumbers=away[:NAMED_MAX])
    return units


def take(*, departure: Departure, held: Container[int], actor: Actor, at: datetime) -> list[Pick]:
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
    picks: list[Pick] = []
    for need in _needs(departure):
        found: Rows = []
        left = need.quantity
        for row in (row for row in kept if need.is_here(row.level)):
            if units := min(left, open_units[row.pk]):
                found.append((row, units))
                open_units[row.pk] -= units
                left -= units
        if left:
            given_up = [(row, open_units[row.pk]) for row in kept if open_units[row.pk]]
            moved = _move_promise(departure, need.is_here, given_up, left, held, actor=actor, at=at)
            for row, units in given_up:
                open_units[row.pk] -= min(units, left)
                left -= min(units, left)
            found += moved
        picks += _named(found, need.serials)
    use(picks)
    return picks


def use(picks: Iterable[Pick]) -> None:
    """These units of the allocations are gone; what is promised is that much less."""
    used: Counter[int] = Counter()
    for pick in picks:
        used[pick.row.pk] += pick.quantity
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE stock_allocation kept SET consumed = kept.consumed + used.quantity
              FROM unnest(%s::bigint[], %s::bigint[]) AS used (id, quantity) WHERE kept.id = used.id
            """,
            [list(used), list(used.values())],
        )


def leave(*, picks: Sequence[Pick], reference: str, actor: Actor, at: datetime) -> None:
    """Book units that were taken out of the door.

    Raises blocks.BatchBlocked where one is of a batch that is held back.
    """
    blocks.check_released(batch_ids=[pick.row.level.batch_id for pick in picks])
    postings = []
    for pick in picks:
        level = pick.row.level
        postings.append(
            ledger.Posting(
                variant_id=level.variant_id,
                batch_id=level.batch_id,
                owner_id=level.owner_id,
                quantity=pick.quantity,
                source=ledger.Place(location_id=level.location_id, condition=level.condition),
                target=ledger.virtual(Location.Kind.CUSTOMER),
                kind=Movement.Kind.SHIPMENT,
                reference=reference,
                from_promise=True,
                serials=pick.serials,
            )
        )
    ledger.post(postings, actor=actor, at=at)


def _named(rows: Rows, serials: Sequence[str]) -> list[Pick]:
    """Units of one level with their numbers, in order."""
    left = list(serials)
    picks = []
    for row, quantity in rows:
        picks.append(Pick(row=row, quantity=quantity, serials=tuple(left[:quantity])))
        del left[:quantity]
    return picks


Rows = list[tuple[Allocation, int]]
IsHere = Callable[[Level], bool]


@dataclass(frozen=True, kw_only=True)
class Need:
    """So much from such levels; of one level, where the units are named."""

    is_here: IsHere
    quantity: int
    serials: tuple[str, ...] = ()


def _needs(departure: Departure) -> list[Need]:
    """From where how much: where the named units lie, or anywhere in the warehouse of the batch said."""
    if not departure.serials or departure.line.variant.tracking != Variant.Tracking.SERIAL:
        return [Need(is_here=partial(_is_at, departure), quantity=departure.quantity)]
    named = Serial.objects.filter(
        variant=departure.line.variant_id, number__in=departure.serials, level__location__warehouse=departure.warehouse
    )
    lying: dict[int, list[str]] = defaultdict(list)
    for level_id, number in named.order_by("level", "number").values_list("level", "number"):
        lying[level_id].append(number)
    found = {number for numbers in lying.values() for number in numbers}
    if len(found) != departure.quantity or len(set(departure.serials)) != departure.quantity:
        away = sorted(set(departure.serials) - found)
        raise SerialNotThere(
            f"{departure.quantity} of {departure.line.variant.sku} leave {departure.warehouse.code};"
            f" {len(found)} of the serial numbers named lie there.",
            productId=departure.line.variant.sku,
            serialNumbers=away[:NAMED_MAX],
        )
    return [
        Need(is_here=partial(_is_level, level_id), quantity=len(numbers), serials=tuple(numbers))
        for level_id, numbers in lying.items()
    ]


def _is_level(level_id: int, level: Level) -> bool:
    return level.pk == level_id


def _is_at(departure: Departure, level: Level) -> bool:
    is_here = level.location.warehouse_id == departure.warehouse.pk
    return is_here and departure.batch_number in ("", level.batch.number if level.batch else "")


def _move_promise(
    departure: Departure,
    is_here: IsHere,
    given_up: Rows,
    quantity: int,
    held: Container[int],
    *,
    actor: Actor,
    at: datetime,
) -> Rows:
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
        f"{departure.quantity} of {sku} cannot leave {departure.warehouse.code}.",
        shortages=[{"productId": sku, "requested": departure.quantity, "available": available}],
    )
