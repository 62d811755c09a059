"""Stock is promised, the promise is kept, given back or runs out.

Lock order of the house: order, then reservation, then levels by id. A reservation of an order has no
`expires_at`; any other ends by itself, judged by the database's clock under the lock.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import DateTimeField, F, Func

from catalog.models import Variant
from partners import outbox
from partners.actors import Actor
from partners.models import Partner
from partners.problems import Conflict, IllegalStep, Problem
from stock import allocation, ledger, queries
from stock.models import Allocation, Level, Location, Movement, Reservation, ReservationLine, Warehouse

SECONDS_MAX = 30 * 60
SECONDS_DEFAULT = 15 * 60
EXTENSIONS_MAX = 2


class InsufficientStock(Problem):
    """Less is sellable than was asked for; nothing was reserved.

    Data: shortages[{productId, requested, available}], `available` as disclosed to the partner.
    """

    code = "insufficient_stock"
    title = "Not enough stock"


class ReferenceReused(Conflict):
    """The reference stands for another reservation. Data: reservationId."""

    code = "reference_reused"
    title = "This reference stands for something else"


class ReservationExpired(Problem):
    """It ran out before this; its stock is free for others."""

    code = "reservation_expired"
    title = "The reservation ran out"


class HeldByOrder(Problem):
    """An order has taken this promise over; it ends with the order. Data: reservationId."""

    code = "held_by_order"
    title = "An order holds this reservation"


class ExtensionsUsedUp(Problem):
    code = "extensions_used_up"
    title = "It cannot be extended again"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One line asked for: a variant, how many, and from where ("" = anywhere)."""

    variant: Variant
    quantity: int
    warehouse_code: str = ""


@transaction.atomic
def reserve(
    *,
    reference: str,
    wanted: Sequence[Wanted],
    partner: Partner | None,
    actor: Actor,
    at: datetime,
    seconds: int | None = SECONDS_DEFAULT,
    channel: str = "",
    is_all_or_nothing: bool = True,
) -> tuple[Reservation, bool]:
    """Promise stock to `reference`; nothing moves yet. Returns (reservation, whether it is new).

    Batches that expire first are promised first, from one warehouse where one can fill a line. With
    `seconds` null the promise does not run out. Asking again with the same reference and content returns
    the promise already made; twins wait for one another on the unique index. Locks the variants' levels
    in id order, after claiming the reference.

    Raises InsufficientStock (nothing is reserved; without `is_all_or_nothing` only when not a single unit
    is there) and ReferenceReused (other content).
    """
    mark = _fingerprint(wanted, channel)
    reservation, is_new = _claim_reference(
        reference=reference, partner=partner, mark=mark, seconds=seconds, channel=channel, actor=actor, at=at
    )
    if not is_new:
        return reservation, False
    plans = _plan(wanted, partner=partner, at=at)
    if any(plan.missing for plan in plans) and (is_all_or_nothing or not any(plan.picks for plan in plans)):
        raise _insufficient(wanted, plans, partner)
    lines = ReservationLine.objects.bulk_create(
        ReservationLine(
            reservation=reservation, variant=line.variant, warehouse_code=line.warehouse_code, quantity=line.quantity
        )
        for line in wanted
    )
    _keep(lines, plans, actor=actor, at=at)
    return reservation, True


@transaction.atomic
def extend(*, reservation: Reservation, seconds: int, actor: Actor, at: datetime) -> Reservation:
    """Let a living reservation run `seconds` from now, at most EXTENSIONS_MAX times; never shortens it.

    Raises ReservationExpired, IllegalStep (data: currentStatus, allowedFrom), HeldByOrder, ExtensionsUsedUp.
    """
    locked, now = _lock_living(reservation)
    _check_free(locked)
    if locked.state != Reservation.State.OPEN:
        raise _illegal(locked, "extended")
    if locked.extensions >= EXTENSIONS_MAX:
        raise ExtensionsUsedUp(f"It was extended {EXTENSIONS_MAX} times; commit it, or release it and reserve anew.")
    longer = now + timedelta(seconds=seconds)
    locked.expires_at = max(locked.expires_at or longer, longer)
    locked.extensions += 1
    locked.version += 1
    locked.save(update_fields=["expires_at", "extensions", "version"])
    return locked


@transaction.atomic
def commit(*, reservation: Reservation, reference: str, actor: Actor, at: datetime) -> Reservation:
    """The promise becomes a departure: the goods leave, on hand and reserved both fall.

    `reference` is written on the movements. Committed twice, the second time changes nothing and answers
    the same. To turn a hold into an order, place the order with the reservation instead.
    Raises ReservationExpired, IllegalStep and HeldByOrder.
    """
    locked, _ = _lock_living(reservation)
    if locked.state == Reservation.State.COMMITTED:
        return locked
    _check_free(locked)
    if locked.state != Reservation.State.OPEN:
        raise _illegal(locked, "committed")
    picks = _use([(kept, kept.open_quantity) for kept in _open_allocations(locked)])
    _depart(picks, reference=reference or locked.reference, actor=actor, at=at)
    return _end(locked, Reservation.State.COMMITTED)


@transaction.atomic
def release(*, reservation: Reservation, actor: Actor, at: datetime, by_order: bool = False) -> Reservation:
    """Give the promise back; what was not yet consumed is free again. Released twice answers the same.

    Raises IllegalStep for a committed one, and HeldByOrder unless it is the order that lets it go.
    """
    locked = Reservation.objects.lock().get(pk=reservation.pk)
    if locked.state in {Reservation.State.RELEASED, Reservation.State.EXPIRED}:
        return locked
    if not by_order:
        _check_free(locked)
    if locked.state != Reservation.State.OPEN:
        raise _illegal(locked, "released")
    _free(_open_allocations(locked), actor=actor, at=at)
    return _end(locked, Reservation.State.RELEASED)


@transaction.atomic
def expire_due(*, actor: Actor, at: datetime, limit: int = 200) -> int:
    """End what has run out by the database's clock, skipping what somebody holds; return how many."""
    due = (
        Reservation.objects.open()
        .filter(expires_at__lte=Func(function="clock_timestamp", output_field=DateTimeField()))
        .order_by("expires_at")
        .select_for_update(no_key=True, skip_locked=True, of=("self",))[:limit]
    )
    ended = [_expire(reservation, actor=actor, at=at) for reservation in sorted(due, key=lambda row: row.pk)]
    return len(ended)


@transaction.atomic
def hold_for_order(*, reservation: Reservation, actor: Actor, at: datetime) -> Reservation:
    """An order takes the promise over: from now on it does not run out.

    Raises ReservationExpired and IllegalStep; the caller holds the order's lock.
    """
    locked, _ = _lock_living(reservation)
    if locked.state != Reservation.State.OPEN:
        raise _illegal(locked, "taken over by an order")
    locked.expires_at = None
    locked.version += 1
    locked.save(update_fields=["expires_at", "version"])
    return locked


@dataclass(frozen=True, kw_only=True)
class Departure:
    """What is to leave for one line: from this warehouse, and ("" = as promised) of this batch."""

    line: ReservationLine
    quantity: int
    warehouse: Warehouse
    batch_number: str = ""


@transaction.atomic
def consume(
    *, reservation: Reservation, departures: Sequence[Departure], reference: str, actor: Actor, at: datetime
) -> list[list[tuple[Level, int]]]:
    """Part of a promise leaves the building. Returns, for each departure, the levels and quantities taken.

    Where the goods leave from another batch or warehouse than promised, the promise is moved there first.
    When nothing of the reservation is left open it is committed. Raises InsufficientStock (data: shortages)
    when the line has less promised than leaves, or the other place less free; nothing has left then.
    """
    locked, _ = _lock_living(reservation)
    if locked.state != Reservation.State.OPEN:
        raise _illegal(locked, "shipped from")
    ledger.lock_variants({departure.line.variant_id for departure in departures})
    # One after the other: two departures of one line must not count on the same units.
    taken = [_use(_take(departure, actor=actor, at=at)) for departure in departures]
    _depart([pick for picks in taken for pick in picks], reference=reference, actor=actor, at=at)
    if not any(kept.open_quantity for kept in Allocation.objects.filter(line__reservation=locked)):
        _end(locked, Reservation.State.COMMITTED)
    return [[(kept.level, quantity) for kept, quantity in picks] for picks in taken]


@transaction.atomic
def break_promises(*, level_id: int, quantity: int, actor: Actor, at: datetime) -> int:
    """The shelf is truth: free `quantity` promised units of a level, the youngest promises first.

    The caller holds the level's lock. Lines that lose units wait again (their open allocations say so); the
    feed is told. Returns how many units were freed, which is less only if less was promised.
    """
    kept = Allocation.objects.filter(level_id=level_id, quantity__gt=F("consumed") + F("freed"))
    broken = 0
    for row in kept.select_related("line__reservation", "line__variant").order_by("-id"):
        units = min(row.open_quantity, quantity - broken)
        if units <= 0:
            break
        Allocation.objects.filter(pk=row.pk).update(freed=F("freed") + units)
        broken += units
        reservation = row.line.reservation
        outbox.record(
            "inventory.shortage",
            subject=f"reservation/{reservation.public_id}",
            payload={
                "reservationId": str(reservation.public_id),
                "reference": reservation.reference,
                "productId": row.line.variant.sku,
                "quantity": units,
            },
            actor=actor,
            at=at,
            addressee_ids=[reservation.partner_id],
        )
    ledger.promise({level_id: -broken}, actor=actor, at=at)
    return broken


def _claim_reference(
    *,
    reference: str,
    partner: Partner | None,
    mark: str,
    seconds: int | None,
    channel: str,
    actor: Actor,
    at: datetime,
) -> tuple[Reservation, bool]:
    """Insert the header first: the unique index makes twins wait, and tells whose it is."""
    row = Reservation(
        partner=partner, reference=reference, channel=channel, fingerprint=mark, actor=actor.label, created_at=at
    )
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO stock_reservation
                (public_id, partner_id, reference, channel, fingerprint, state, expires_at, extensions, actor, version,
                 created_at)
            VALUES (%s, %s, %s, %s, %s, 'open', clock_timestamp() + %s * interval '1 second', 0, %s, 1, %s)
            ON CONFLICT DO NOTHING RETURNING id, expires_at
            """,
            [row.public_id, row.partner_id, reference, channel, mark, seconds, actor.label, at],
        )
        if made := cursor.fetchone():
            row.pk, row.expires_at = made
            row._state.adding = False
            return row, True
    living = Reservation.objects.lock().filter(
        partner=partner, reference=reference, state__in=[Reservation.State.OPEN, Reservation.State.COMMITTED]
    )
    earlier = living.first()
    if earlier is not None and _has_run_out(earlier):
        _expire(earlier, actor=actor, at=at)
        earlier = None
    if earlier is None:
        return _claim_reference(
            reference=reference, partner=partner, mark=mark, seconds=seconds, channel=channel, actor=actor, at=at
        )
    if earlier.fingerprint != mark:
        raise ReferenceReused(
            f"The reference {reference} stands for a reservation of other lines.", reservationId=str(earlier.public_id)
        )
    return earlier, False


def _plan(wanted: Sequence[Wanted], *, partner: Partner | None, at: datetime) -> list[allocation.Plan]:
    """Lock, then look: what is read after the locks is what the plan may count on."""
    variant_ids = {line.variant.pk for line in wanted}
    ledger.lock_variants(variant_ids)
    granted = partner.granted_warehouses if partner else None
    candidates = queries.candidates(variant_ids=variant_ids, granted_warehouses=granted, at=at)
    demands = [
        allocation.Demand(variant_id=line.variant.pk, quantity=line.quantity, warehouse_code=line.warehouse_code)
        for line in wanted
    ]
    return allocation.allocate(demands, candidates)


def _keep(lines: Sequence[ReservationLine], plans: Sequence[allocation.Plan], *, actor: Actor, at: datetime) -> None:
    changes: dict[int, int] = defaultdict(int)
    rows = []
    for line, plan in zip(lines, plans, strict=True):
        for pick in plan.picks:
            rows.append(Allocation(line=line, level_id=pick.level_id, quantity=pick.quantity))
            changes[pick.level_id] += pick.quantity
    Allocation.objects.bulk_create(rows)
    ledger.promise(changes, actor=actor, at=at)


def _insufficient(
    wanted: Sequence[Wanted], plans: Sequence[allocation.Plan], partner: Partner | None
) -> InsufficientStock:
    requested: dict[str, int] = defaultdict(int)
    found: dict[str, int] = defaultdict(int)
    for line, plan in zip(wanted, plans, strict=True):
        requested[line.variant.sku] += line.quantity
        found[line.variant.sku] += line.quantity - plan.missing
    shortages: list[dict[str, Any]] = [
        {
            "productId": sku,
            "requested": quantity,
            "available": partner.disclosure_rule.tell(found[sku]).quantity if partner else found[sku],
        }
        for sku, quantity in requested.items()
        if found[sku] < quantity
    ]
    names = ", ".join(row["productId"] for row in shortages[:5])
    return InsufficientStock(f"There is not enough of {names}; nothing was reserved.", shortages=shortages)


def _lock_living(reservation: Reservation) -> tuple[Reservation, datetime]:
    """The reservation under lock and the database's time after it. Raises ReservationExpired."""
    locked = Reservation.objects.lock().get(pk=reservation.pk)
    now = queries.database_now()
    is_open = locked.state == Reservation.State.OPEN
    if locked.state == Reservation.State.EXPIRED or (is_open and locked.expires_at and locked.expires_at <= now):
        raise ReservationExpired("It ran out. Reserve again.", reservationId=str(locked.public_id))
    return locked, now


def _check_free(reservation: Reservation) -> None:
    if reservation.state == Reservation.State.OPEN and reservation.expires_at is None:
        raise HeldByOrder(
            "An order has taken it over. Cancel the order, or ship it.", reservationId=str(reservation.public_id)
        )


def _has_run_out(reservation: Reservation) -> bool:
    is_open = reservation.state == Reservation.State.OPEN
    return is_open and reservation.expires_at is not None and reservation.expires_at <= queries.database_now()


def _expire(reservation: Reservation, *, actor: Actor, at: datetime) -> Reservation:
    _free(_open_allocations(reservation), actor=actor, at=at)
    outbox.record(
        "reservation.expired",
        subject=f"reservation/{reservation.public_id}",
        payload={"reservationId": str(reservation.public_id), "reference": reservation.reference},
        actor=actor,
        at=at,
        addressee_ids=[reservation.partner_id],
    )
    return _end(reservation, Reservation.State.EXPIRED)


def _end(reservation: Reservation, state: Reservation.State) -> Reservation:
    reservation.state = state
    reservation.ended_at = queries.database_now()
    reservation.version += 1
    reservation.save(update_fields=["state", "ended_at", "version"])
    return reservation


def _open_allocations(reservation: Reservation) -> list[Allocation]:
    """What is still promised, with its levels locked in id order."""
    kept = Allocation.objects.filter(line__reservation=reservation, quantity__gt=F("consumed") + F("freed"))
    ledger.lock(kept.values_list("level_id", flat=True))
    return list(kept.select_related("level", "line").order_by("id"))


def _free(kept: Sequence[Allocation], *, actor: Actor, at: datetime) -> None:
    changes: dict[int, int] = defaultdict(int)
    for row in kept:
        changes[row.level_id] -= row.open_quantity
    ids = [row.pk for row in kept]
    Allocation.objects.filter(pk__in=ids).update(freed=F("quantity") - F("consumed"))
    ledger.promise(changes, actor=actor, at=at)


def _use(picks: list[tuple[Allocation, int]]) -> list[tuple[Allocation, int]]:
    for row, quantity in picks:
        Allocation.objects.filter(pk=row.pk).update(consumed=F("consumed") + quantity)
    return picks


def _depart(picks: Sequence[tuple[Allocation, int]], *, reference: str, actor: Actor, at: datetime) -> None:
    ledger.post(
        [
            ledger.Posting(
                variant_id=row.level.variant_id,
                batch_id=row.level.batch_id,
                quantity=quantity,
                source=ledger.Place(location_id=row.level.location_id, condition=row.level.condition),
                target=ledger.virtual(Location.Kind.CUSTOMER),
                kind=Movement.Kind.SHIPMENT,
                reference=reference,
                from_promise=True,
            )
            for row, quantity in picks
        ],
        actor=actor,
        at=at,
    )


def _take(departure: Departure, *, actor: Actor, at: datetime) -> list[tuple[Allocation, int]]:
    """The allocations a departure uses up; promises made elsewhere are moved to where the goods leave."""
    kept = list(
        Allocation.objects.filter(line=departure.line, quantity__gt=F("consumed") + F("freed"))
        .select_related("level__location", "level__batch")
        .order_by("id")
    )
    here = [row for row in kept if _is_at(row.level, departure)]
    elsewhere = [row for row in kept if not _is_at(row.level, departure)]
    promised = sum(row.open_quantity for row in kept)
    if promised < departure.quantity:
        raise _short(departure, promised)
    missing = departure.quantity - sum(row.open_quantity for row in here)
    if missing > 0:
        here += _move_promise(departure, elsewhere, missing, actor=actor, at=at)
    picks, left = [], departure.quantity
    for row in here:
        if units := min(left, row.open_quantity):
            picks.append((row, units))
            left -= units
    return picks


def _is_at(level: Level, departure: Departure) -> bool:
    is_here = level.location.warehouse_id == departure.warehouse.pk
    return is_here and departure.batch_number in ("", level.batch.number if level.batch else "")


def _move_promise(
    departure: Departure, elsewhere: Sequence[Allocation], quantity: int, *, actor: Actor, at: datetime
) -> list[Allocation]:
    candidates = [
        candidate
        for candidate in queries.candidates(variant_ids=[departure.line.variant_id], granted_warehouses=None, at=at)
        if candidate.warehouse_code == departure.warehouse.code
        and departure.batch_number in ("", candidate.batch_number)
    ]
    demand = allocation.Demand(variant_id=departure.line.variant_id, quantity=quantity)
    [plan] = allocation.allocate([demand], candidates)
    if plan.missing:
        raise _short(departure, departure.quantity - plan.missing)
    changes: dict[int, int] = defaultdict(int)
    left = quantity
    for row in elsewhere:
        units = min(left, row.open_quantity)
        Allocation.objects.filter(pk=row.pk).update(freed=F("freed") + units)
        changes[row.level_id] -= units
        left -= units
    for pick in plan.picks:
        changes[pick.level_id] += pick.quantity
    moved = Allocation.objects.bulk_create(
        Allocation(line=departure.line, level_id=pick.level_id, quantity=pick.quantity) for pick in plan.picks
    )
    ledger.promise(changes, actor=actor, at=at)
    return list(Allocation.objects.filter(pk__in=[row.pk for row in moved]).select_related("level__batch"))


def _short(departure: Departure, available: int) -> InsufficientStock:
    sku = departure.line.variant.sku
    return InsufficientStock(
        f"{departure.quantity} of {sku} cannot leave {departure.warehouse.code}; {available} can.",
        shortages=[{"productId": sku, "requested": departure.quantity, "available": available}],
    )


def _fingerprint(wanted: Sequence[Wanted], channel: str) -> str:
    lines = sorted((line.variant.sku, line.quantity, line.warehouse_code) for line in wanted)
    return hashlib.sha256(json.dumps([lines, channel]).encode()).hexdigest()


def _illegal(reservation: Reservation, verb: str) -> IllegalStep:
    return IllegalStep(
        f"It is {reservation.state} and cannot be {verb}.", currentStatus=reservation.state, allowedFrom=["open"]
    )
