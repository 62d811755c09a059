"""A promise that an order holds grows and shrinks with the order.

Lock order of the house: the caller holds the order's lock; here the reservation's, then all levels of the variants
that change, by id.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.db import transaction
from django.db.models import F

from partners.actors import Actor
from partners.problems import IllegalStep
from stock import allocation, ledger
from stock.allocation import Chooser
from stock.models import Allocation, Reservation, ReservationLine
from stock.operations import promising, reservations
from stock.operations.promising import Wanted, Wish


@dataclass(frozen=True, kw_only=True)
class More:
    """So many units more for a line that holds units itself: of a SKU, or a kit's component."""

    line: ReservationLine
    quantity: int
    warehouse_code: str = ""


@transaction.atomic
def keep_more(
    *,
    reservation: Reservation,
    more: Sequence[More],
    actor: Actor,
    at: datetime,
    choose: Chooser = allocation.allocate,
) -> dict[int, int]:
    """Promise more to lines of an order, as far as it is free where the caller chooses; nothing is refused.

    Returns the units now kept more, by the line's id. Demands share what is free and are served in their order; no
    promise of anybody else's is touched. A promise that had been used up is open again. Called twice it keeps twice:
    the caller counts what is missing under the order's lock. Raises IllegalStep for a released or expired one.
    """
    locked = _lock(reservation)
    demands = [one for one in more if one.quantity > 0]
    if not demands:
        return {}
    variant_ids = {one.line.variant_id for one in demands}
    held = ledger.lock_variants(variant_ids).keys()
    wish = _wish(locked, [], actor=actor, at=at)
    rows = [
        promising.Row(
            variant_id=one.line.variant_id,
            quantity=min(one.quantity, ledger.ON_HAND_MAX),
            warehouse_code=one.warehouse_code or one.line.warehouse_code,
            line=place,
        )
        for place, one in enumerate(demands)
    ]
    offers, limits = promising.Desk(variant_ids, held).offers(wish)
    plans = choose([row.demand for row in rows], offers, limits=limits)
    _write(locked, [(one.line, plan) for one, plan in zip(demands, plans, strict=True)], actor=actor, at=at)
    kept: dict[int, int] = defaultdict(int)
    for one, plan in zip(demands, plans, strict=True):
        kept[one.line.pk] += sum(pick.quantity for pick in plan.picks)
    return {line_id: units for line_id, units in kept.items() if units}


@transaction.atomic
def add_lines(
    *,
    reservation: Reservation,
    wanted: Sequence[Wanted],
    is_all_or_nothing: bool,
    actor: Actor,
    at: datetime,
    choose: Chooser = allocation.allocate,
) -> list[ReservationLine]:
    """Promise further lines to an order; a kit's line holds its components. Returns one line for each wanted.

    Raises promising.InsufficientStock, where `is_all_or_nothing`, and nothing is kept then; otherwise what is not
    there waits. Raises IllegalStep for a released or expired promise. Called twice it adds twice.
    """
    locked = _lock(reservation)
    wish = replace(_wish(locked, wanted, actor=actor, at=at), choose=choose)
    rows = promising.rows_of(wish=wish, kits=promising.kits_among([wish]))
    variant_ids = {row.variant_id for row in rows}
    held = ledger.lock_variants(variant_ids).keys()
    desk = promising.Desk(variant_ids, held)
    if is_all_or_nothing:
        plans = desk.decide(replace(wish, is_all_or_nothing=True), rows)
    else:
        offers, limits = desk.offers(wish)
        found = iter(choose([row.demand for row in rows if not row.is_kit], offers, limits=limits))
        plans = [allocation.Plan(missing=0) if row.is_kit else next(found) for row in rows]
    _reopen(locked)
    ids = reservations.keep(
        promising.lines_of(rows=rows, plans=plans), reservation_ids=[locked.pk] * len(rows), actor=actor, at=at
    )
    made = ReservationLine.objects.in_bulk(ids)
    return [made[line_id] for line_id, row in zip(ids, rows, strict=True) if row.kit_row is None]


@dataclass(frozen=True, kw_only=True)
class Less:
    """So many units of a line, of a SKU or a whole kit, that are wanted no more; from one warehouse, or any.

    What is promised on `level_ids` is given up first: there the goods were not found.
    """

    line: ReservationLine
    quantity: int
    warehouse_code: str = ""
    level_ids: frozenset[int] = frozenset()


@transaction.atomic
def give_back(
    *, reservation: Reservation, less: Sequence[Less], actor: Actor, at: datetime, to_keep_anew: Collection[int] = ()
) -> dict[int, int]:
    """Free exactly units this promise holds; what left the building is never given back.

    Those on the levels named go first, then the last kept. Returns the units freed, by the line's id; less than
    asked where less is held. The promise ends when nothing is left of it only if the caller says so. A promise that
    has ended holds nothing, so nothing is freed.

    Who then keeps more says of which variants (their ids): all their levels are locked here, in one go. Two who move
    promises from each other's warehouses would else wait for one another.
    """
    locked = Reservation.objects.lock().get(pk=reservation.pk)
    if locked.state != Reservation.State.OPEN:
        return {}
    held = ledger.lock_variants(to_keep_anew).keys() if to_keep_anew else ()
    kept = reservations.open_allocations([locked], held=held)
    wanted = [part for one in less for part in _leaves(one)]
    codes = dict(
        Allocation.objects.filter(pk__in=[row.pk for row in kept]).values_list("pk", "level__location__warehouse__code")
    )
    left = {row.pk: row.open_quantity for row in kept}
    freed: dict[int, int] = defaultdict(int)
    changes: dict[int, int] = defaultdict(int)
    for one in wanted:
        missing = one.quantity
        for row in _in_turn(kept, one.level_ids):
            if row.line_id != one.line.pk or one.warehouse_code not in ("", codes[row.pk]):
                continue
            if units := min(missing, left[row.pk]):
                left[row.pk] -= units
                freed[row.line_id] += units
                changes[row.level_id] -= units
                missing -= units
    for row in kept:
        if units := row.open_quantity - left[row.pk]:
            Allocation.objects.filter(pk=row.pk).update(freed=F("freed") + units)
    ledger.promise(changes, actor=actor, at=at)
    return dict(freed)


def _in_turn(kept: Sequence[Allocation], level_ids: frozenset[int]) -> list[Allocation]:
    """The last kept first, those on these levels before all others."""
    named = [row for row in reversed(kept) if row.level_id in level_ids]
    return named + [row for row in reversed(kept) if row.level_id not in level_ids]


@transaction.atomic
def close(*, reservation: Reservation) -> Reservation:
    """End the promise of an order whose last unit has left. One that still holds units stays; twice is once."""
    locked = Reservation.objects.lock().get(pk=reservation.pk)
    if locked.state == Reservation.State.OPEN and not reservations.open_allocations([locked]):
        reservations.end([locked], state=Reservation.State.COMMITTED)
    return locked


def _leaves(one: Less) -> list[Less]:
    """A kit's units as those of its components."""
    parts = list(one.line.components.order_by("id"))
    if not parts:
        return [one]
    return [replace(one, line=part, quantity=one.quantity * part.quantity // one.line.quantity) for part in parts]


def _lock(reservation: Reservation) -> Reservation:
    locked = Reservation.objects.lock().get(pk=reservation.pk)
    if locked.state in {Reservation.State.RELEASED, Reservation.State.EXPIRED}:
        raise IllegalStep(
            f"It is {locked.state} and keeps nothing more.", currentStatus=locked.state, allowedFrom=["open"]
        )
    return locked


def _reopen(locked: Reservation) -> None:
    if locked.state == Reservation.State.COMMITTED:
        locked.state, locked.ended_at = Reservation.State.OPEN, None
        locked.version += 1
        locked.save(update_fields=["state", "ended_at", "version"])


def _write(
    locked: Reservation, found: Sequence[tuple[ReservationLine, allocation.Plan]], *, actor: Actor, at: datetime
) -> None:
    changes: dict[int, int] = defaultdict(int)
    rows = []
    for line, plan in found:
        for pick in plan.picks:
            changes[pick.level_id] += pick.quantity
            rows.append(Allocation(line=line, level_id=pick.level_id, quantity=pick.quantity))
    if rows:
        _reopen(locked)
        Allocation.objects.bulk_create(rows)
        ledger.promise(changes, actor=actor, at=at)


def _wish(locked: Reservation, wanted: Sequence[Wanted], *, actor: Actor, at: datetime) -> Wish:
    return reservations.wish_for(
        reference=locked.reference, wanted=wanted, partner=locked.partner, actor=actor, at=at, seconds=None,
        channel=locked.channel, is_all_or_nothing=False,
    )  # fmt: skip
