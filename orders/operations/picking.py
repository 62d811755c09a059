"""Goods are fetched from their bins: one walk for several fulfilment requests, bin after bin.

A wave names what is promised, so the batch that expires first, in the order of the bins. What a bin does not hold
is closed short: the bin is counted, and the promise goes the way of every rejected request.

Lock order: orders by id → wave → what `requesting.reject` locks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django.db import transaction
from django.db.models import F

from orders.models import FulfilmentItem, FulfilmentRequest, Order, PickLine, PickWave
from orders.operations import requesting
from partners.actors import Actor
from partners.problems import IllegalStep, InvalidInput, Problem
from stock.models import Allocation, Level, ReservationLine, Warehouse

State = PickLine.State
# What one person carries on a trolley, and one page shows.
REQUESTS_MAX = 100


class InAnotherWave(Problem):
    """Somebody fetches it already, or all of it lies on a trolley. Data: fulfillmentRequestIds."""

    code = "in_another_wave"
    title = "It is picked already"
    remedy = "Choose other requests, or finish the wave they are in."


class PickDiffers(Problem):
    """The line was closed with another answer. Data: state, picked."""

    code = "pick_differs"
    title = "This line is closed"
    remedy = "Read the line again; it was closed by somebody else."


@dataclass(frozen=True, kw_only=True)
class Stand:
    """Promised units of one variant on one level."""

    level: Level
    quantity: int

    @property
    def freshness(self) -> tuple[date, int]:
        """First expired, first out; what never expires last."""
        batch = self.level.batch
        return (batch.expires_on if batch and batch.expires_on else date.max), self.level.pk


@transaction.atomic
def start(*, warehouse: Warehouse, requests: Sequence[FulfilmentRequest], actor: Actor, at: datetime) -> PickWave:
    """Begin a walk for what these requests have open. They are accepted by it.

    Locks the orders. Raises InvalidInput for none, too many, or requests of another warehouse, IllegalStep for one
    that is over, and InAnotherWave for one that is being picked, or is wholly fetched. Started twice the second is
    refused.
    """
    if not 1 <= len(requests) <= REQUESTS_MAX:
        raise InvalidInput.at("requests", f"A wave takes 1 to {REQUESTS_MAX} requests.")
    list(Order.objects.lock().filter(pk__in={request.order_id for request in requests}))
    rows = FulfilmentRequest.objects.filter(pk__in=[request.pk for request in requests])
    chosen = list(rows.select_related("order", "warehouse").order_by("id"))
    for request in chosen:
        if request.warehouse_id != warehouse.pk:
            raise InvalidInput.at("requests", f"{request} is not to be sent from {warehouse.code}.")
        requesting.must_live(request, verb="picked")
    _check_nobody_fetches(chosen)
    wave = PickWave(warehouse=warehouse, actor=actor.label, started_at=at)
    wave._change_reason = "wave started"  # type: ignore[attr-defined]  # read by the history
    wave.save()
    lines = [line for request in chosen for line in _lines_of(request)]
    lines.sort(key=lambda line: (line.location.pick_sequence, line.location.code, line.variant.sku, line.item_id))
    for place, line in enumerate(lines, start=1):
        line.wave, line.place = wave, place
    PickLine.objects.bulk_create(lines)
    for request in chosen:
        requesting.accept(request=request, actor=actor, at=at)
    return wave


@transaction.atomic
def confirm(*, line: PickLine, actor: Actor, at: datetime, serial_numbers: Sequence[str] = ()) -> PickLine:
    """The units of a line are on the trolley; with the last line the wave is picked.

    What nobody wants any more, since its order changed, is dropped instead: see the line's state. Locks order and
    wave. Said twice it answers the same; raises PickDiffers where another answer was given, InvalidInput unless each
    unit of a variant tracked by serial number is named once.
    """
    locked = _lock(line)
    named = sorted(serial_numbers)
    if locked.state == State.PICKED and (not named or named == locked.serial_numbers):
        return locked
    _check_waits(locked)
    if _is_dropped(locked, actor=actor, at=at):
        return locked
    _check_named(locked, named, units=locked.quantity)
    return _close(locked, State.PICKED, picked=locked.quantity, serial_numbers=named, actor=actor, at=at)


@transaction.atomic
def close_short(
    *, line: PickLine, picked: int, actor: Actor, at: datetime, note: str = "", serial_numbers: Sequence[str] = ()
) -> PickLine:
    """The bin holds fewer units than the line asks for: so many were `picked`, the rest is not there.

    What is missing is kept elsewhere or waits, as for every request that is rejected, and the bin is counted. Locks
    order and wave, then what `requesting.reject` does. Said twice it answers the same, and counts once; raises
    PickDiffers where another answer was given, InvalidInput unless fewer are picked than asked.
    """
    locked = _lock(line)
    named = sorted(serial_numbers)
    if locked.state == State.SHORT and locked.picked == picked:
        return locked
    _check_waits(locked)
    if not 0 <= picked < locked.quantity:
        raise InvalidInput.at("picked", f"Fewer than the {locked.quantity:,} asked for, or confirm the line.")
    if _is_dropped(locked, actor=actor, at=at):
        return locked
    _check_named(locked, named, units=picked)
    _close(locked, State.SHORT, picked=picked, serial_numbers=named, actor=actor, at=at, note=note)
    if missing := _missing(locked):
        place = {"variant": locked.variant, "location": locked.location, "batch": locked.batch}
        levels = Level.objects.filter(condition=Level.Condition.SELLABLE, **place).select_related("location")
        requesting.reject(
            request=locked.item.request, failure=requesting.Failure.NOT_FOUND, units={locked.item.order_line_id: missing},
            note=note, levels=list(levels), actor=actor, at=at,
        )  # fmt: skip
    return locked


@transaction.atomic
def cancel(*, wave: PickWave, actor: Actor, at: datetime) -> PickWave:
    """End a walk early: what is not fetched yet may be picked in another wave, what is fetched stays so.

    Twice answers the same. Raises IllegalStep once it is picked.
    """
    locked = PickWave.objects.lock().get(pk=wave.pk)
    if locked.state == PickWave.State.CANCELLED:
        return locked
    if locked.state != PickWave.State.OPEN:
        raise IllegalStep(
            f"It is {locked.state} and cannot be cancelled.", currentStatus=locked.state, allowedFrom=["open"]
        )
    locked.lines.filter(state=State.WAITING).update(state=State.DROPPED, picked_by=actor.label, picked_at=at)
    return _end(locked, PickWave.State.CANCELLED, at)


def to_pack(request: FulfilmentRequest) -> dict[int, list[PickLine]]:
    """What was fetched for a request, by order line; of a kit, its components. One query."""
    found: dict[int, list[PickLine]] = defaultdict(list)
    rows = PickLine.objects.filter(item__request=request, picked__gt=0).select_related("item", "batch", "variant")
    for line in rows.order_by("id"):
        found[line.item.order_line_id].append(line)
    return found


def _check_nobody_fetches(requests: Sequence[FulfilmentRequest]) -> None:
    waiting = PickLine.objects.filter(item__request__in=requests, state=State.WAITING)
    if busy := sorted(set(waiting.values_list("item__request__number", flat=True))):
        raise InAnotherWave(f"Another wave fetches {', '.join(busy)}.", fulfillmentRequestIds=busy)


def _lines_of(request: FulfilmentRequest) -> list[PickLine]:
    """Where the units of a request are promised, bin by bin, but for what is on a trolley. A few queries.

    Older requests of the same order and warehouse have the first claim on what is promised there.
    """
    open_items = FulfilmentItem.objects.filter(
        request__order=request.order_id, request__warehouse=request.warehouse_id, request__lte=request.pk,
        quantity__gt=F("completed") + F("failed"),
    )  # fmt: skip
    lines = []
    stands = _stands(request)
    items = open_items.select_related("order_line__reservation_line").prefetch_related("pick_lines")
    for item in items.order_by("request_id", "id"):
        for leaf, ratio in _leaves(item):
            here = stands[leaf.pk]
            units = item.open_quantity * ratio - _take_fetched(here, item, leaf, ratio)
            taken = _take(here, units)
            if item.request_id == request.pk:
                lines += [
                    PickLine(
                        item=item, variant=level.variant, location=level.location, batch=level.batch, quantity=count
                    )
                    for level, count in taken
                ]
    if not lines:
        raise InAnotherWave(
            f"All of {request} is fetched; pack it, or send it.", fulfillmentRequestIds=[request.number]
        )
    return _merged(lines)


def _take_fetched(stands: list[Stand], item: FulfilmentItem, leaf: ReservationLine, ratio: int) -> int:
    """Units of an item that were picked and have not left; they are taken out of the list where they lay."""
    fetched = [line for line in item.pick_lines.all() if line.variant_id == leaf.variant_id and line.picked]
    units = rest = max(sum(line.picked for line in fetched) - item.completed * ratio, 0)
    for line in sorted(fetched, key=lambda line: -line.pk):
        mine = [
            row for row in stands if (row.level.location_id, row.level.batch_id) == (line.location_id, line.batch_id)
        ]
        others = [row for row in stands if row not in mine]
        count = min(rest, line.picked)
        _take(mine, count)
        rest -= count
        stands[:] = sorted(mine + others, key=lambda row: row.freshness)
    return units


def _leaves(item: FulfilmentItem) -> list[tuple[ReservationLine, int]]:
    """The line that holds an item's units, and how many each is; of a kit those of its components."""
    kept = item.order_line.reservation_line
    if kept is None:
        return []
    parts = list(kept.components.order_by("id")) or [kept]
    return [(leaf, leaf.quantity // kept.quantity) for leaf in parts]


def _stands(request: FulfilmentRequest) -> dict[int, list[Stand]]:
    """What the order is promised in the warehouse, by the line that holds it, the first to expire first. One query."""
    kept = Allocation.objects.filter(
        line__reservation=request.order.reservation_id,
        level__location__warehouse=request.warehouse_id,
        quantity__gt=F("consumed") + F("freed"),
    )
    found: dict[int, list[Stand]] = defaultdict(list)
    for row in kept.select_related("level__location", "level__batch", "level__variant").order_by("id"):
        found[row.line_id].append(Stand(level=row.level, quantity=row.open_quantity))
    return defaultdict(list, {line: sorted(rows, key=lambda row: row.freshness) for line, rows in found.items()})


def _take(stands: list[Stand], units: int) -> list[tuple[Level, int]]:
    """The first so many units; they are taken out of the list."""
    taken = []
    while units and stands:
        stand = stands.pop(0)
        count = min(units, stand.quantity)
        taken.append((stand.level, count))
        units -= count
        if stand.quantity > count:
            stands.insert(0, Stand(level=stand.level, quantity=stand.quantity - count))
    return taken


def _merged(lines: Sequence[PickLine]) -> list[PickLine]:
    """One line for each bin and batch, whoever the owner of the units is."""
    found: dict[tuple[int, int, int, int | None], PickLine] = {}
    for line in lines:
        key = (line.item_id, line.variant_id, line.location_id, line.batch_id)
        if key in found:
            found[key].quantity += line.quantity
        else:
            found[key] = line
    return list(found.values())


def _lock(line: PickLine) -> PickLine:
    Order.objects.lock().get(fulfilment_requests__items=line.item_id)
    PickWave.objects.lock().get(pk=line.wave_id)
    rows = PickLine.objects.select_related(
        "wave__warehouse", "item__request__order", "item__order_line__reservation_line", "variant", "location", "batch"
    )
    return rows.get(pk=line.pk)


def _check_waits(line: PickLine) -> None:
    if line.state != State.WAITING:
        raise PickDiffers(
            f"{line.picked:,} of {line.quantity:,} were picked; the line is closed.",
            state=line.state,
            picked=line.picked,
        )


def _check_named(line: PickLine, named: Sequence[str], *, units: int) -> None:
    is_tracked = line.variant.tracking == line.variant.Tracking.SERIAL
    if is_tracked and (len(set(named)) != len(named) or len(named) != units):
        raise InvalidInput.at("serialNumbers", f"{units:,} units are picked; name each of them once.")
    if named and not is_tracked:
        raise InvalidInput.at("serialNumbers", f"{line.variant.sku} has no serial numbers.")


def _is_dropped(line: PickLine, *, actor: Actor, at: datetime) -> bool:
    """Whether its request is over, and the line with it."""
    if line.item.request.status in FulfilmentRequest.LIVE and line.item.open_quantity:
        return False
    _close(line, State.DROPPED, picked=0, serial_numbers=(), actor=actor, at=at)
    return True


def _close(
    line: PickLine, state: PickLine.State, *, picked: int, serial_numbers: Sequence[str], actor: Actor, at: datetime,
    note: str = "",
) -> PickLine:  # fmt: skip
    line.state, line.picked, line.serial_numbers, line.note = state, picked, list(serial_numbers), note
    line.picked_by, line.picked_at = actor.label, at
    line.save(update_fields=["state", "picked", "serial_numbers", "note", "picked_by", "picked_at"])
    if not line.wave.lines.filter(state=State.WAITING).exists():
        _end(line.wave, PickWave.State.PICKED, at)
    return line


def _end(wave: PickWave, state: PickWave.State, at: datetime) -> PickWave:
    wave.state, wave.ended_at = state, at
    wave.version += 1
    wave._change_reason = f"wave {state}"  # type: ignore[attr-defined]  # read by the history
    wave.save()
    return wave


def _missing(line: PickLine) -> int:
    """Units of the order line that cannot leave for what is missing: of a kit, as many as are not whole."""
    kept = line.item.order_line.reservation_line
    leaf = kept.components.filter(variant=line.variant_id).first() if kept else None
    ratio = leaf.quantity // kept.quantity if kept and leaf else 1
    return min(-(-(line.quantity - line.picked) // ratio), line.item.open_quantity)
