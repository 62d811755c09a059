"""Goods go from one warehouse to another: planned, dispatched, arrived. Between the two they are in transit.

A transfer is a decision and no fact of the shelf: it takes what is free and never breaks a promise. What
arrives is a fact, whatever was sent.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Q

from catalog.models import Variant
from partners import numbers, outbox
from partners.actors import Actor
from partners.models import Partner
from partners.problems import Conflict, IllegalStep, InvalidInput
from stock import allocation, ledger, queries
from stock.allocation import Candidate, Demand
from stock.ledger import LockedLevel
from stock.models import (
    Batch,
    Inbound,
    Level,
    Location,
    Movement,
    Transfer,
    TransferLine,
    Warehouse,
)
from stock.operations import transfer_units
from stock.operations.promising import InsufficientStock
from stock.operations.transfer_units import Units, key

State = Transfer.State
SELLABLE = Level.Condition.SELLABLE
IN_TRANSIT = ledger.virtual(Location.Kind.IN_TRANSIT)
OVER, MISSING = "over arrival", "missing"


class TransferChanged(Conflict):
    """Somebody else booked on this transfer since it was looked at. Data: version."""

    code = "transfer_changed"
    title = "The transfer changed since you looked"
    remedy = "Read it again and book what is still right."


@dataclass(frozen=True, kw_only=True)
class Going:
    """So many of a variant are to go, of one batch ("" = of those that expire first); ours unless an owner is named."""

    variant: Variant
    quantity: int
    batch_number: str = ""
    owner: Partner | None = None


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """So many of a product came, and were put into a bin ("" = the default one).

    Of a batch ("" = of the one sent, where only one was), or of the line named. `serials` names the units of
    a variant tracked by serial number; it may be left out when all that is on the road came.
    """

    sku: str
    quantity: int
    batch_number: str = ""
    location_code: str = ""
    serials: tuple[str, ...] = ()
    line_id: int | None = None


@transaction.atomic
def plan(
    *,
    source: Warehouse,
    target: Warehouse,
    going: Sequence[Going],
    actor: Actor,
    at: datetime,
    expected_on: date | None = None,
    reference: str = "",
) -> Transfer:
    """Write down what is to go from one warehouse to another; nothing moves and nothing is kept for it yet.

    Called twice it makes two transfers. Raises InvalidInput for a warehouse that would send to itself and for
    a batch that is not known.
    """
    if source.pk == target.pk:
        raise InvalidInput.at("targetWarehouse", "A transfer goes to another warehouse; within one, move between bins.")
    batches = _known_batches(going)
    planned = Transfer(
        number=numbers.new_number("TR"),
        source=source,
        target=target,
        reference=reference,
        expected_on=expected_on,
        actor=actor.label,
        planned_at=at,
    )
    planned._change_reason = "transfer planned"  # type: ignore[attr-defined]  # read by the history
    planned.save()
    TransferLine.objects.bulk_create(
        TransferLine(transfer=planned, variant=row.variant, batch=batch, owner=row.owner, quantity=row.quantity)
        for row, batch in zip(going, batches, strict=True)
    )
    return planned


@transaction.atomic
def dispatch(*, transfer: Transfer, actor: Actor, at: datetime, serials: Sequence[str] = ()) -> Transfer:
    """The goods leave the source, all lines or none; from now on they are in transit and expected at the target.

    Only free, sellable units go. A line without a batch takes those that expire first, and becomes a line for
    each batch. `serials` names the units of variants tracked by serial number. Locks the transfer, then all
    levels of its variants. Dispatched twice answers the same.

    Raises InsufficientStock (data: shortages[{productId, batchNumber, requested, available}]), IllegalStep,
    SerialsNeeded and SerialNotThere.
    """
    locked = _lock(transfer)
    if locked.state == State.DISPATCHED:
        return locked
    _must_be(locked, State.PLANNED)
    lines = list(locked.lines.select_related("variant", "batch").order_by("id"))
    levels = ledger.lock_variants({line.variant_id for line in lines})
    shelf = _shelf(locked.source, levels, at)
    named, shelf = transfer_units.named_units(lines=lines, shelf=shelf, serials=serials)
    taken = choose(lines=lines, shelf=shelf, levels=levels)
    ledger.post(
        [
            ledger.Posting(
                variant_id=line.variant_id,
                batch_id=levels[level_id].batch_id,
                owner_id=line.owner_id,
                quantity=quantity,
                source=ledger.Place(location_id=levels[level_id].location_id, condition=SELLABLE),
                target=IN_TRANSIT,
                kind=Movement.Kind.TRANSFER_OUT,
                reference=locked.number,
                serials=transfer_units.cut(units=named[level_id], quantity=quantity),
            )
            for line, picks in taken
            for level_id, quantity in picks
        ],
        actor=actor,
        at=at,
    )
    sent = _split_by_batch(taken, levels)
    _expect(locked, sent, at)
    locked.dispatched_at = at
    _step(locked, State.DISPATCHED, "transfer dispatched")
    _tell("transfer.dispatched", locked, sent, actor=actor, at=at)
    return locked


@transaction.atomic
def arrive(
    *,
    transfer: Transfer,
    actor: Actor,
    at: datetime,
    arrivals: Sequence[Arrival] | None = None,
    is_last: bool = False,
    seen_version: int | None = None,
) -> Transfer:
    """Goods of a transfer are here, sellable in the bin they were put into; without `arrivals`, all on the road.

    What came short stays in transit and may come later. With `is_last` nothing more is waited for, and what is
    missing is given up as lost. What came and was not sent is booked as found. Locks the transfer, so that of
    several who book the same arrival at once one does; when nothing is on the road any more it has arrived,
    and arriving again is an IllegalStep. With `seen_version` a part, too, is booked once: who counted against
    another version of the transfer is refused.

    Raises TransferChanged (data: version); InvalidInput for what was not sent at all, for a batch that is not
    said where several were sent, and for an unknown bin; SerialsNeeded and SerialNotThere.
    """
    locked = _lock(transfer)
    _must_be(locked, State.DISPATCHED)
    if seen_version not in (None, locked.version):
        raise TransferChanged("Somebody else booked on it meanwhile; look again.", version=locked.version)
    lines = list(locked.lines.select_related("variant", "batch").order_by("id"))
    came = _all_on_the_road(lines) if arrivals is None else list(arrivals)
    if not came and not is_last:
        raise InvalidInput.at("lines", "Say what came, or that nothing more will.")
    bins, units = _bins(locked.target, came), transfer_units.in_transit(transfer=locked, lines=lines)
    postings = []
    for row, shares in zip(came, settle(lines=lines, arrivals=came), strict=True):
        bin_ = ledger.Place(location_id=bins[row.location_code], condition=SELLABLE)
        for share, named in zip(shares, transfer_units.of_shares(row=row, shares=shares, units=units), strict=True):
            share.line.arrived += share.quantity
            postings.append(_into(bin_, share, locked.number, named))
    if is_last:
        postings += [_given_up(line, locked.number, units) for line in lines if line.on_the_road]
    ledger.post(postings, actor=actor, at=at)
    TransferLine.objects.bulk_update(lines, ["arrived", "lost"])
    _expect_the_rest(locked, lines)
    is_over = not any(line.on_the_road for line in lines)
    locked.arrived_at = at if is_over else None
    _step(locked, State.ARRIVED if is_over else State.DISPATCHED, "transfer arrived" if is_over else "part arrived")
    _tell("transfer.arrived", locked, lines, actor=actor, at=at)
    return locked


@transaction.atomic
def cancel(*, transfer: Transfer, actor: Actor, at: datetime) -> Transfer:
    """A planned transfer is not wanted any more. Cancelled twice answers the same.

    Locks the transfer. Raises IllegalStep once it was dispatched: goods on the road arrive somewhere.
    """
    locked = _lock(transfer)
    if locked.state == State.CANCELLED:
        return locked
    _must_be(locked, State.PLANNED)
    return _step(locked, State.CANCELLED, "transfer cancelled")


# -- Deciding: pure, lists in and lists out

Picks = list[tuple[int, int]]


def choose(
    *, lines: Sequence[TransferLine], shelf: Sequence[Candidate], levels: Mapping[int, LockedLevel]
) -> list[tuple[TransferLine, Picks]]:
    """From which levels each line takes how much; no unit twice. Raises InsufficientStock.

    Lines that name their batch choose first, since the others can take another.
    """
    free = {row.level_id: row.available for row in shelf}
    of_variant: dict[int, list[Candidate]] = defaultdict(list)
    for row in shelf:
        of_variant[row.variant_id].append(row)
    taken: dict[int, Picks] = {}
    short: list[dict[str, Any]] = []
    for line in sorted(lines, key=lambda line: (line.batch_id is None, line.pk)):
        here = [
            replace(row, available=free[row.level_id])
            for row in of_variant[line.variant_id]
            if levels[row.level_id].owner_id == line.owner_id
            and line.batch_id in (None, levels[row.level_id].batch_id)
            and free[row.level_id]
        ]
        [found] = allocation.allocate([Demand(variant_id=line.variant_id, quantity=line.quantity)], here)
        for pick in found.picks:
            free[pick.level_id] -= pick.quantity
        taken[line.pk] = [(pick.level_id, pick.quantity) for pick in found.picks]
        if found.missing:
            named = {"batchNumber": line.batch.number} if line.batch else {}
            available = line.quantity - found.missing
            short.append({"productId": line.variant.sku, **named, "requested": line.quantity, "available": available})
    if short:
        names = ", ".join(row["productId"] for row in short[:5])
        raise InsufficientStock(
            f"There is not enough of {names} that is free; nothing was dispatched.", shortages=short
        )
    return [(line, taken[line.pk]) for line in lines]


@dataclass(frozen=True, kw_only=True)
class Share:
    """Units of an arrival that belong to a line: sent on it, or (`is_over`) more than were sent."""

    line: TransferLine
    quantity: int
    is_over: bool = False


def settle(*, lines: Sequence[TransferLine], arrivals: Sequence[Arrival]) -> list[list[Share]]:
    """Which units of each arrival belong to which lines. Raises InvalidInput."""
    left = {line.pk: line.on_the_road for line in lines}
    settled = []
    for place, row in enumerate(arrivals):
        meant = [line for line in lines if line.dispatched and _is_meant(line, row)]
        if not meant:
            raise InvalidInput.at(
                f"lines[{place}].productId", f"{row.sku} was not sent with this transfer; book it as an adjustment."
            )
        if len({line.batch_id for line in meant}) > 1:
            raise InvalidInput.at(f"lines[{place}].batchNumber", f"Several batches of {row.sku} were sent; name one.")
        shares, over = [], row.quantity
        for line in meant:
            if units := min(over, left[line.pk]):
                shares.append(Share(line=line, quantity=units))
                left[line.pk] -= units
                over -= units
        if over:
            shares.append(Share(line=meant[-1], quantity=over, is_over=True))
        settled.append(shares)
    return settled


def _is_meant(line: TransferLine, row: Arrival) -> bool:
    if row.line_id is not None:
        return line.pk == row.line_id
    return line.variant.sku == row.sku and row.batch_number in ("", line.batch.number if line.batch else "")


def _all_on_the_road(lines: Iterable[TransferLine]) -> list[Arrival]:
    return [
        Arrival(sku=line.variant.sku, quantity=line.on_the_road, line_id=line.pk) for line in lines if line.on_the_road
    ]


# -- Looking


def _known_batches(going: Sequence[Going]) -> list[Batch | None]:
    """The batch each line names. One query. Raises InvalidInput."""
    named = [row for row in going if row.batch_number]
    rows = Batch.objects.filter(
        variant__in={row.variant.pk for row in named}, number__in={row.batch_number for row in named}
    )
    known = {(batch.variant_id, batch.number): batch for batch in rows}
    if unknown := [
        (f"lines[{place}].batchNumber", f"There is no batch {row.batch_number} of {row.variant.sku}.")
        for place, row in enumerate(going)
        if row.batch_number and (row.variant.pk, row.batch_number) not in known
    ]:
        raise InvalidInput.of(unknown)
    return [known.get((row.variant.pk, row.batch_number)) for row in going]


def _shelf(source: Warehouse, levels: Mapping[int, LockedLevel], at: datetime) -> list[Candidate]:
    """What is free and sellable in the source, of the levels we hold. One query."""
    variant_ids = {level.variant_id for level in levels.values()}
    return [
        Candidate(
            level_id=row.level_id,
            variant_id=row.variant_id,
            warehouse_code=row.warehouse_code,
            expires_on=row.expires_on,
            available=row.on_hand - row.reserved,
        )
        for row in queries.positions(variant_ids=variant_ids, at=at, warehouse_code=source.code)
        if row.is_sellable and row.level_id in levels
    ]


def _bins(target: Warehouse, came: Sequence[Arrival]) -> dict[str, int]:
    """The bins named, by code; "" is the default one. One query. Raises InvalidInput."""
    rows = target.locations.filter(Q(is_default=True) | Q(code__in={row.location_code for row in came}))
    bins: dict[str, int] = {}
    for bin_ in rows:
        bins |= {bin_.code: bin_.pk} | ({"": bin_.pk} if bin_.is_default else {})
    for place, row in enumerate(came):
        if row.location_code not in bins:
            raise InvalidInput.at(f"lines[{place}].location", f"{target.code} has no bin {row.location_code}.")
    return bins


# -- Writing


def _split_by_batch(
    taken: Sequence[tuple[TransferLine, Picks]], levels: Mapping[int, LockedLevel]
) -> list[TransferLine]:
    """A line that took several batches becomes a line for each; returns all lines as sent."""
    lines: list[TransferLine] = []
    more: list[TransferLine] = []
    for line, picks in taken:
        by_batch: Counter[int | None] = Counter()
        for level_id, quantity in picks:
            by_batch[levels[level_id].batch_id] += quantity
        for place, (batch_id, quantity) in enumerate(by_batch.items()):
            row = line if place == 0 else TransferLine(transfer=line.transfer, variant=line.variant, owner=line.owner)
            row.batch_id, row.quantity, row.dispatched = batch_id, quantity, quantity
            (more if place else lines).append(row)
    TransferLine.objects.bulk_update(lines, ["batch", "quantity", "dispatched"])
    return lines + TransferLine.objects.bulk_create(more)


def _into(bin_: ledger.Place, share: Share, number: str, serials: tuple[str, ...]) -> ledger.Posting:
    """What was sent comes from the road; what was not is found."""
    kind = Movement.Kind
    return ledger.Posting(
        variant_id=share.line.variant_id,
        batch_id=share.line.batch_id,
        owner_id=share.line.owner_id,
        quantity=share.quantity,
        source=ledger.virtual(Location.Kind.FOUND) if share.is_over else IN_TRANSIT,
        target=bin_,
        kind=kind.ADJUSTMENT if share.is_over else kind.TRANSFER_IN,
        reason=OVER if share.is_over else "",
        reference=number,
        serials=serials,
    )


def _given_up(line: TransferLine, number: str, units: Units) -> ledger.Posting:
    """What is still on the road of a line is lost, and the line says so."""
    quantity = line.on_the_road
    line.lost += quantity
    serials = tuple(units[key(line)])[:quantity]
    for unit in serials:
        del units[key(line)][unit]
    return ledger.Posting(
        variant_id=line.variant_id,
        batch_id=line.batch_id,
        owner_id=line.owner_id,
        quantity=quantity,
        source=IN_TRANSIT,
        target=ledger.virtual(Location.Kind.LOST),
        kind=Movement.Kind.ADJUSTMENT,
        reason=MISSING,
        reference=number,
        serials=serials,
    )


def _expect(transfer: Transfer, lines: Iterable[TransferLine], at: datetime) -> None:
    """Tell availability what is to come. Others' goods are left out: what comes is counted as ours."""
    today = at.astimezone(ZoneInfo(transfer.target.time_zone)).date()
    Inbound.objects.bulk_create(
        Inbound(
            kind=Inbound.Kind.TRANSFER,
            document=transfer.number,
            line=line.pk,
            variant_id=line.variant_id,
            warehouse=transfer.target,
            batch_id=line.batch_id,
            quantity=line.dispatched,
            expected_on=transfer.expected_on or today,
        )
        for line in lines
        if line.owner_id is None
    )


def _expect_the_rest(transfer: Transfer, lines: Iterable[TransferLine]) -> None:
    left = {line.pk: line.on_the_road for line in lines}
    rows = Inbound.objects.filter(kind=Inbound.Kind.TRANSFER, document=transfer.number)
    rows.filter(line__in=[line_id for line_id, quantity in left.items() if not quantity]).delete()
    shrunk = list(rows)
    for row in shrunk:
        row.quantity = left[row.line]
    Inbound.objects.bulk_update(shrunk, ["quantity"])


def _lock(transfer: Transfer) -> Transfer:
    return Transfer.objects.select_related("source", "target").lock().get(pk=transfer.pk)


def _must_be(transfer: Transfer, state: State) -> None:
    if transfer.state != state:
        raise IllegalStep(
            f"It is {transfer.state}; this is done to one that is {state}.",
            currentStatus=transfer.state,
            allowedFrom=[state],
        )


def _step(transfer: Transfer, state: State, reason: str) -> Transfer:
    transfer.state = state
    transfer.version += 1
    transfer._change_reason = reason  # type: ignore[attr-defined]  # read by the history
    transfer.save()
    return transfer


def _tell(event_type: str, transfer: Transfer, lines: Sequence[TransferLine], *, actor: Actor, at: datetime) -> None:
    """Those who run the two warehouses are told; a fact about two places cannot be addressed by one's grants."""
    rows = Batch.objects.filter(pk__in={line.batch_id for line in lines if line.batch_id})
    batches: dict[int | None, str] = dict(rows.values_list("pk", "number"))
    outbox.record(
        event_type,
        subject=f"transfer/{transfer.number}",
        payload={
            "transferId": transfer.number,
            "status": transfer.state,
            "sourceWarehouse": transfer.source.code,
            "targetWarehouse": transfer.target.code,
            "expectedDate": transfer.expected_on.isoformat() if transfer.expected_on else None,
            "reference": transfer.reference,
            "lines": [
                {
                    "productId": line.variant.sku,
                    "batchNumber": batches.get(line.batch_id),
                    "dispatchedQuantity": line.dispatched,
                    "arrivedQuantity": line.arrived,
                    "lostQuantity": line.lost,
                    "onTheRoad": line.on_the_road,
                }
                for line in lines
            ],
        },
        actor=actor,
        at=at,
        addressee_ids=[transfer.source.operator_id, transfer.target.operator_id],
    )
