"""Stock is promised, the promise is kept, given back or runs out.

Lock order of the house: order, then reservation, then levels by id. A reservation of an order has no
`expires_at`; any other ends by itself, judged by the database's clock under the lock.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import cast

from django.db import connection, transaction
from django.db.models import DateTimeField, F, Func

from catalog.models import Variant
from partners import outbox, prepared
from partners.actors import Actor
from partners.models import Partner
from partners.problems import Conflict, IllegalStep, Problem
from stock import allocation, availability, ledger, queries
from stock.allocation import Chooser
from stock.models import Allocation, Level, Reservation, ReservationLine
from stock.operations import bounds, departures, lookups, promising
from stock.operations.departures import Departure
from stock.operations.promising import InsufficientStock, Wanted, Wish

SECONDS_MAX = 30 * 60
SECONDS_DEFAULT = 15 * 60
EXTENSIONS_MAX = 2


class ReferenceReused(Conflict):
    """The reference stands for another reservation. Data: reservationId."""

    code = "reference_reused"
    title = "This reference stands for something else"
    remedy = "Use a new reference, or read the reservation named."


class ReservationExpired(Problem):
    """It ran out before this; its stock is free for others."""

    code = "reservation_expired"
    title = "The reservation ran out"
    remedy = "Reserve again under a new reference."


class HeldByOrder(Problem):
    """An order has taken this promise over; it ends with the order. Data: reservationId."""

    code = "held_by_order"
    title = "An order holds this reservation"
    remedy = "Cancel or amend the order instead."


class ExtensionsUsedUp(Problem):
    """A reservation is extended a few times at most, so that stock is not held for ever."""

    code = "extensions_used_up"
    title = "It cannot be extended again"
    remedy = "Commit it, or release it and reserve again."


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
    choose: Chooser = allocation.allocate,
) -> tuple[Reservation, bool]:
    """Promise stock to `reference`; nothing moves yet. Returns (reservation, whether it is new).

    Batches that expire first are promised first, from one warehouse where one can fill a line. A kit's
    components are promised, and lines that share one are added up. With `seconds` null the promise does not
    run out. Asking again with the same reference and content returns the promise already made; twins wait
    for one another on the unique index.

    Where one level fills each line, one statement looks, claims, locks, looks again and writes. Otherwise it
    claims the reference, locks all levels of the variants in id order and decides under the locks; so it does
    where the caller has a way of its own to `choose` the warehouses.

    Raises InsufficientStock (nothing is reserved; without `is_all_or_nothing` only when not a single unit
    is there), ReferenceReused (other content), and what `bounds` raises where the partner goes too far.
    """
    wish = wish_for(
        reference=reference, wanted=wanted, partner=partner, actor=actor, at=at, seconds=seconds, channel=channel,
        is_all_or_nothing=is_all_or_nothing, choose=choose,
    )  # fmt: skip
    return reserve_wish(wish=wish)


def reserve_wish(*, wish: Wish) -> tuple[Reservation, bool]:
    """`reserve`, of a wish made before."""
    made = _reserve_at_once(wish) if wish.choose is allocation.allocate else None
    outcome = (made, True) if made else _reserve_under_locks(wish)
    if outcome[1]:
        note_made(wish=wish)
    return outcome


def wish_for(
    *,
    reference: str,
    wanted: Sequence[Wanted],
    partner: Partner | None,
    actor: Actor,
    at: datetime,
    seconds: int | None = SECONDS_DEFAULT,
    channel: str = "",
    is_all_or_nothing: bool = True,
    choose: Chooser = allocation.allocate,
) -> Wish:
    """What `reserve` is asked for, as `reserve_together` takes it."""
    header = ledger.Claim(
        public_id=uuid.uuid4(), partner_id=partner.pk if partner else None, reference=reference, channel=channel,
        fingerprint=_fingerprint(wanted, channel), seconds=seconds, actor=actor, at=at,
        units=sum(line.quantity for line in wanted),
    )  # fmt: skip
    return Wish(
        wanted=tuple(wanted), partner=partner, is_all_or_nothing=is_all_or_nothing, header=header, choose=choose
    )


def reserve_together(*, wishes: Sequence[Wish]) -> list[tuple[Reservation, bool] | Problem]:
    """Grant many wishes in one transaction, in their order; each gets its own answer.

    A wish that cannot be granted takes nothing and harms no other. No two may have the same partner and
    reference. For a product everybody wants at once: the crowd waits in the application and not on the row.
    """
    with transaction.atomic():
        outcomes = _grant(wishes)
    for wish, outcome in zip(wishes, outcomes, strict=True):
        if not isinstance(outcome, Problem) and outcome[1]:
            note_made(wish=wish)
    return outcomes


def note_made(*, wish: Wish) -> None:
    """It was granted: who asked knows from now on that so much was there. Kept in the process; see `lookups`."""
    if wish.is_all_or_nothing:
        units = [(line.variant.pk, line.quantity) for line in wish.wanted]
        lookups.note_granted(partner=wish.partner, units=units, at=wish.header.at)


def at_once(*, wish: Wish) -> prepared.Step | None:
    """The common case as one call of a function of the database, whose columns are `ledger.MADE`, for a door that has
    more to say in the same trip; None where only `reserve_wish` will do.

    Where it answers nulls, or raises what `ledger.is_pick_gone` knows, the door takes all back and calls
    `reserve_wish`; else it calls `note_made`.
    """
    if wish.choose is not allocation.allocate or availability.kept_back_from(wish.partner):
        return None
    return _call(wish, ledger.reserving)


def _reserve_at_once(wish: Wish) -> Reservation | None:
    """The common case in one statement; None where it takes a closer look.

    Within a larger transaction a try that failed is taken back: it may have locked a level, and whoever then
    locks all of them in id order must not hold one already.
    """
    if availability.kept_back_from(wish.partner):
        return None
    is_part = connection.in_atomic_block
    if is_part:
        prepared.command("SAVEPOINT reserve_at_once")
    made = _call(wish, ledger.reserve)
    if made is None and is_part:
        prepared.command("ROLLBACK TO SAVEPOINT reserve_at_once")
    return _as_made(wish.header, *made) if made else None


def _call[Made](wish: Wish, reserve: Callable[..., Made]) -> Made:
    lines = [(line.variant.pk, line.warehouse_code, line.quantity) for line in wish.wanted]
    return reserve(wish.header, lines, granted_warehouses=wish.partner.granted_warehouses if wish.partner else None)


@transaction.atomic
def _reserve_under_locks(wish: Wish) -> tuple[Reservation, bool]:
    [outcome] = _grant([wish])
    if isinstance(outcome, Problem):
        raise outcome
    return outcome


def _grant(wishes: Sequence[Wish]) -> list[tuple[Reservation, bool] | Problem]:
    """Claim all references, lock all levels, then decide one wish after the other and write once."""
    if not wishes:
        return []
    outcomes: dict[int, tuple[Reservation, bool] | Problem] = {}
    run_out: dict[int, Reservation] = {}
    made = ledger.claim([wish.header for wish in wishes])
    # By name, as they were claimed: two groups may hold the same references.
    for place in sorted(range(len(wishes)), key=lambda place: wishes[place].name):
        header = wishes[place].header
        if claimed := made.get(header.public_id):
            outcomes[place] = _as_made(header, *claimed), True
            continue
        try:
            standing, is_ours = _standing(header)
        except Problem as refusal:
            outcomes[place] = refusal
            continue
        outcomes[place] = standing, is_ours
        if is_ours and standing.public_id != header.public_id:
            run_out[place] = standing
    new = [place for place in range(len(wishes)) if not isinstance(found := outcomes[place], Problem) and found[1]]
    kept = _Kept()
    for place, too_far in zip(new, bounds.check(wishes=[wishes[place] for place in new]), strict=True):
        if too_far:
            if place not in run_out:
                kept.refused.append(cast(tuple[Reservation, bool], outcomes[place])[0].pk)
            outcomes[place] = too_far
            run_out.pop(place, None)
    new = [place for place in new if not isinstance(outcomes[place], Problem)]
    kits = promising.kits_among(wishes[place] for place in new)
    rows = {place: promising.rows_of(wish=wishes[place], kits=kits) for place in new}
    variant_ids = {row.variant_id for found in rows.values() for row in found}
    held = ledger.lock_variants(variant_ids | _variants_of(run_out.values())).keys()
    for place, earlier in run_out.items():
        outcomes[place] = _take_name_over(wishes[place].header, earlier, held), True
    desk = promising.Desk(variant_ids, held)
    for place in new:
        if desk.rules_count(wishes[place]) and kept.lines:
            kept.write(wishes[place].header)  # what the wishes before got counts in the rules
            desk = promising.Desk(variant_ids, held)
        reservation = cast(tuple[Reservation, bool], outcomes[place])[0]
        try:
            plans = desk.decide(wishes[place], rows[place])
        except InsufficientStock as refusal:
            outcomes[place] = refusal
            kept.refused.append(reservation.pk)
        else:
            kept.lines += promising.lines_of(rows=rows[place], plans=plans, offset=len(kept.lines))
            kept.reservation_ids += [reservation.pk] * len(plans)
    kept.write(wishes[0].header)
    return [outcomes[place] for place in range(len(wishes))]


class _Kept:
    """What is decided and not yet written."""

    def __init__(self) -> None:
        self.lines: list[ledger.NewLine] = []
        self.reservation_ids: list[int] = []
        self.refused: list[int] = []

    def write(self, header: ledger.Claim) -> None:
        if self.refused:
            Reservation.objects.filter(pk__in=self.refused).delete()
        if self.lines:
            keep(self.lines, reservation_ids=self.reservation_ids, actor=header.actor, at=header.at)
        self.lines, self.reservation_ids, self.refused = [], [], []


def keep(lines: Sequence[ledger.NewLine], *, reservation_ids: Sequence[int], actor: Actor, at: datetime) -> list[int]:
    """Write lines of reservations the caller holds, and reserve what they pick; the lines' ids, in their order.

    Raises InsufficientStock where a pick went off sale meanwhile; all is undone then.
    """
    try:
        return ledger.keep(lines, reservation_ids=reservation_ids, actor=actor, at=at)
    except ledger.PickGone as error:
        raise InsufficientStock("What was picked went off sale at that moment. Ask again.", shortages=[]) from error


def _standing(header: ledger.Claim) -> tuple[Reservation, bool]:
    """The reservation that has the reference, locked, and whether the wish may have it. Raises ReferenceReused.

    It may where the earlier one has run out and is not swept yet, which is answered as it is (its levels are
    locked together with those of the wish, and only then does it end), and where it was claimed just now.
    """
    while True:
        living = Reservation.objects.lock().filter(
            partner=header.partner_id,
            reference=header.reference,
            state__in=[Reservation.State.OPEN, Reservation.State.COMMITTED],
        )
        earlier = living.first()
        if earlier is not None and _has_run_out(earlier):
            return earlier, True
        if earlier is not None:
            if earlier.fingerprint != header.fingerprint:
                raise ReferenceReused(
                    f"The reference {header.reference} stands for a reservation of other lines.",
                    reservationId=str(earlier.public_id),
                )
            return earlier, False
        # It ended while we looked. Whoever claims it now holds it until the end, and so do we.
        if made := ledger.claim([header]):
            return _as_made(header, *made[header.public_id]), True


def _variants_of(kept: Collection[Reservation]) -> set[int]:
    if not kept:
        return set()
    return set(ReservationLine.objects.filter(reservation__in=kept).values_list("variant", flat=True))


def _take_name_over(header: ledger.Claim, earlier: Reservation, held: Iterable[int]) -> Reservation:
    """End what has run out, and claim its reference: whoever else wants it waits for the one we hold."""
    _expire([earlier], held=held, actor=header.actor, at=header.at)
    return _as_made(header, *ledger.claim([header])[header.public_id])


def _as_made(header: ledger.Claim, made_id: int, expires_at: datetime | None) -> Reservation:
    """The row the database has just made, without reading it again."""
    row = Reservation(
        pk=made_id, public_id=header.public_id, partner_id=header.partner_id, reference=header.reference,
        channel=header.channel, fingerprint=header.fingerprint, expires_at=expires_at, actor=header.actor.label,
        created_at=header.at,
    )  # fmt: skip
    row._state.adding = False
    row._state.db = "default"
    return row


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
def commit(
    *, reservation: Reservation, reference: str, actor: Actor, at: datetime, serials: Sequence[str] = ()
) -> Reservation:
    """The promise becomes a departure: the goods leave, on hand and reserved both fall.

    `reference` is written on the movements. `serials` names the units of variants tracked by serial number; they
    leave from where they lie in the warehouse promised. Committed twice, the second time changes nothing and
    answers the same. To turn a hold into an order, place the order with the reservation instead.

    Raises ReservationExpired, IllegalStep, HeldByOrder, and SerialsNeeded and SerialNotThere where not all units
    that leave are named, or others.
    """
    locked, _ = _lock_living(reservation)
    if locked.state == Reservation.State.COMMITTED:
        return locked
    _check_free(locked)
    if locked.state != Reservation.State.OPEN:
        raise _illegal(locked, "committed")
    lines = locked.lines.filter(variant__tracking=Variant.Tracking.SERIAL).values_list("pk", flat=True)
    tracked = set(lines) if serials else set()
    # The promise of a unit that is named may move to where it lies, so all of its variant's levels are held.
    held = ledger.lock_variants(locked.lines.values_list("variant", flat=True)) if tracked else {}
    kept = open_allocations([locked], held=held)
    picks = [departures.Pick(row=row, quantity=row.open_quantity) for row in kept if row.line_id not in tracked]
    departures.use(picks)
    named = [row.pk for row in kept if row.line_id in tracked]
    mine = set(held) | {row.level_id for row in kept}
    for departure in departures.with_units(allocation_ids=named, serials=serials):
        picks += departures.take(departure=departure, held=mine, actor=actor, at=at)
    departures.leave(picks=picks, reference=reference or locked.reference, actor=actor, at=at)
    end([locked], state=Reservation.State.COMMITTED)
    return locked


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
    _free(open_allocations([locked]), actor=actor, at=at)
    end([locked], state=Reservation.State.RELEASED)
    return locked


@transaction.atomic
def expire_due(*, actor: Actor, at: datetime, limit: int = 200) -> int:
    """End what has run out by the database's clock, skipping what somebody holds; return how many."""
    due = list(
        Reservation.objects.open()
        .filter(expires_at__lte=Func(function="clock_timestamp", output_field=DateTimeField()))
        .order_by("expires_at")
        .select_for_update(no_key=True, skip_locked=True, of=("self",))[:limit]
    )
    if due:
        _expire(due, held=(), actor=actor, at=at)
    return len(due)


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


@transaction.atomic
def consume(
    *,
    reservation: Reservation,
    leaving: Sequence[Departure],
    reference: str,
    actor: Actor,
    at: datetime,
    is_last: bool = True,
) -> list[list[tuple[Level, int]]]:
    """Part of a promise leaves the building. Returns, for each departure, the levels and quantities taken.

    Where the goods leave from another batch or warehouse than promised, the promise is moved there first.
    When nothing of the reservation is left open it is committed, unless it is not the last: an order that still
    waits for goods keeps its promise open. Raises InsufficientStock (data: shortages)
    when the line has less promised than leaves, or the other place less free; nothing has left then.
    """
    locked, _ = _lock_living(reservation)
    if locked.state != Reservation.State.OPEN:
        raise _illegal(locked, "shipped from")
    parts = [departures.parts_of(departure) for departure in leaving]
    # Of all lines, though few may leave: what is promised lies on levels of these.
    levels = ledger.lock_variants(_variants_of([locked]))
    held = levels.keys() | {row.level_id for row in open_allocations([locked], held=levels)}
    # One after the other: two departures of one line must not count on the same units.
    taken = [
        [pick for part in found for pick in departures.take(departure=part, held=held, actor=actor, at=at)]
        for found in parts
    ]
    departures.leave(picks=[pick for picks in taken for pick in picks], reference=reference, actor=actor, at=at)
    if is_last and not any(kept.open_quantity for kept in Allocation.objects.filter(line__reservation=locked)):
        end([locked], state=Reservation.State.COMMITTED)
    return [[(pick.row.level, pick.quantity) for pick in picks] for picks in taken]


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


def _expire(due: Sequence[Reservation], *, held: Iterable[int], actor: Actor, at: datetime) -> None:
    """End all of them at once: one after the other would not lock their levels in id order, nor be quick."""
    _free(open_allocations(due, held=held), actor=actor, at=at)
    outbox.record_all(
        [
            outbox.letter(
                "reservation.expired",
                subject=f"reservation/{reservation.public_id}",
                payload={"reservationId": str(reservation.public_id), "reference": reservation.reference},
                actor=actor,
                at=at,
                addressee_ids=[reservation.partner_id],
            )
            for reservation in due
        ]
    )
    end(due, state=Reservation.State.EXPIRED)


def end(reservations: Sequence[Reservation], *, state: Reservation.State) -> None:
    """The last state of reservations the caller has locked, by the database's clock."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE stock_reservation SET state = %s, ended_at = clock_timestamp(), version = version + 1
             WHERE id = ANY(%s) RETURNING id, ended_at, version
            """,
            [state, [row.pk for row in reservations]],
        )
        ended = {row[0]: row[1:] for row in cursor.fetchall()}
    for row in reservations:
        row.state = state
        row.ended_at, row.version = ended[row.pk]


def open_allocations(reservations: Sequence[Reservation], *, held: Iterable[int] = ()) -> list[Allocation]:
    """What is still promised by reservations the caller has locked, with its levels locked in id order, besides those `held` already.

    While we wait goods may be put away and take the promise to another bin, so the bins it could go to are
    locked as well; one that was made meanwhile has a higher id than all of these.
    """
    locked = set(held)
    ids = [row.pk for row in reservations]
    kept = Allocation.objects.filter(line__reservation__in=ids, quantity__gt=F("consumed") + F("freed"))
    while True:
        if wanted := queries.levels_keeping(reservation_ids=ids) - locked:
            locked |= ledger.lock(wanted).keys()
        rows = list(kept.select_related("level", "line").order_by("id"))
        if {row.level_id for row in rows} <= locked:
            return rows


def _free(kept: Sequence[Allocation], *, actor: Actor, at: datetime) -> None:
    changes: dict[int, int] = defaultdict(int)
    for row in kept:
        changes[row.level_id] -= row.open_quantity
    ids = [row.pk for row in kept]
    Allocation.objects.filter(pk__in=ids).update(freed=F("quantity") - F("consumed"))
    ledger.promise(changes, actor=actor, at=at)


def _fingerprint(wanted: Sequence[Wanted], channel: str) -> str:
    lines = sorted((line.variant.sku, line.quantity, line.warehouse_code) for line in wanted)
    return hashlib.sha256(json.dumps([lines, channel]).encode()).hexdigest()


def _illegal(reservation: Reservation, verb: str) -> IllegalStep:
    return IllegalStep(
        f"It is {reservation.state} and cannot be {verb}.", currentStatus=reservation.state, allowedFrom=["open"]
    )
