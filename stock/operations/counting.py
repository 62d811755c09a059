"""Somebody goes and looks: what lies there is written down place by place, and the differences are booked.

The warehouse does not stop for it. Each line remembers, under its level's lock, what the book said at the
moment of counting and how far the ledger was; posting books the difference of the two numbers and never sets a
level, so whatever came and went since stays right. What else said at the same time that a level was wrong (a
found or lost booking after the line's position) may be the same difference, so that line is counted again.

Lock order: count → levels by id. Lines are written by who holds their count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import connection, transaction
from django.db.models import Count as Number
from django.db.models import F, Q
from django.db.models.functions import Coalesce

from catalog.models import KitComponent, Variant
from partners import numbers, outbox
from partners.actors import Actor
from partners.models import Partner
from partners.problems import IllegalStep, InvalidInput, Problem
from stock import abc, ledger
from stock.models import Batch, Count, CountLine, Level, Location, Movement, Warehouse
from stock.models.ownership import owners_seen_by
from stock.operations import shortages, warehouses

State = CountLine.State
TO_COUNT = (State.WAITING, State.RECOUNT, State.REJECTED)
SETTLED = (State.COUNTED, State.APPROVED)
REASON = "count-variance"
# What one post can still book in one transaction while a warehouse works on.
LINES_MAX = 50_000
# Differences that could not be booked, named one by one; a post with more of them has another problem.
UNBOOKED_MAX = 100


class CountTooLarge(Problem):
    """More places than one count takes. Data: linesMax."""

    code = "count_too_large"
    title = "Too much for one count"
    remedy = "Name bins, products or a class, and open several counts."


class LinesOpen(Problem):
    """Places are not counted yet, or wait for approval. Data: toCount, waitingForApproval."""

    code = "lines_open"
    title = "The count is not finished"
    remedy = "Count and approve what is open, or post with closeUncounted."


class SamePerson(Problem):
    """Who counted does not approve it as well. Data: countedBy."""

    code = "same_person"
    title = "Another person has to decide"
    remedy = "Have somebody else approve or reject it."


class SerialsDiffer(Problem):
    """A number cannot say which unit is missing or was found. Data: productIds."""

    code = "serials_differ"
    title = "Name the units by serial number"
    remedy = "Adjust those products with serialNumbers, then post."


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What is to be counted: these bins, these products, an ABC class, or (nothing named) everything."""

    locations: tuple[str, ...] = ()
    skus: tuple[str, ...] = ()
    abc_class: str = ""

    def __str__(self) -> str:
        if self.locations:
            return f"Bins {', '.join(self.locations)}"
        if self.skus:
            return f"Products {', '.join(self.skus)}"
        return f"Class {self.abc_class}" if self.abc_class else "Everything"


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How sure a count has to be: see Count for the meaning of each."""

    is_blind: bool = True
    tolerance_units: int = 0
    tolerance_percent: Decimal = Decimal(0)
    approval_value: Decimal | None = None


@dataclass(frozen=True, kw_only=True)
class Found:
    """So many of a product (and batch) lie in a bin ("" = the default one), says who stands before it."""

    variant: Variant
    counted: int
    place: str = ""
    batch_number: str = ""
    expires_on: date | None = None
    condition: str = Level.Condition.SELLABLE
    owner: Partner | None = None


@dataclass(frozen=True, kw_only=True)
class Unbooked:
    """Units of a loss that are not on the level any more: they left while they were counted as missing."""

    sku: str
    location: str
    batch_number: str | None
    owner_id: int | None
    quantity: int

    def as_json(self) -> dict[str, Any]:
        return {
            "productId": self.sku, "location": self.location, "batchNumber": self.batch_number,
            "quantity": self.quantity,
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Posted:
    """What posting came to. With `sent_back` (ids of lines) nothing was booked and the count is still open."""

    count: Count
    sent_back: list[int] = field(default_factory=list)
    unbooked: list[Unbooked] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A line that found another number than the book's; `quantity` is below zero for a loss."""

    line_id: int
    key: ledger.Key
    quantity: int


@transaction.atomic
def open(
    *, warehouse: Warehouse, scope: Scope, rules: Rules, actor: Actor, at: datetime, partner: Partner | None = None
) -> Count:
    """Start a count with one line for each place in scope where something lies.

    A `partner` counts what it may see: ours, its own, and what other owners grant it. Nothing is locked; who
    opens twice has two counts of the same places. Raises CountTooLarge, and InvalidInput naming the field.
    """
    location_ids, variant_ids = _within(warehouse, scope, at)
    words = str(scope)
    count = Count.objects.create(
        number=numbers.new_number("CNT"),
        warehouse=warehouse,
        scope=words if len(words) <= 250 else f"{words[:247]}...",
        is_blind=rules.is_blind,
        tolerance_units=rules.tolerance_units,
        tolerance_percent=rules.tolerance_percent,
        approval_value=rules.approval_value,
        actor=actor.label,
        opened_at=at,
    )
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO stock_countline
                (count_id, location_id, variant_id, batch_id, condition, owner_id, state, counted_by, approved_by)
            SELECT %s, level.location_id, level.variant_id, level.batch_id, level.condition, level.owner_id,
                   'waiting', '', ''
              FROM stock_level level JOIN stock_location location ON location.id = level.location_id
             WHERE location.warehouse_id = %s AND level.on_hand > 0
               AND (%s::bigint[] IS NULL OR level.location_id = ANY(%s::bigint[]))
               AND (%s::bigint[] IS NULL OR level.variant_id = ANY(%s::bigint[]))
               AND (%s OR level.owner_id IS NULL OR level.owner_id = ANY(%s::bigint[]))
             ORDER BY location.code, level.variant_id, level.id LIMIT %s
            """,
            [
                count.pk, warehouse.pk, location_ids, location_ids, variant_ids, variant_ids, partner is None,
                owners_seen_by(partner) if partner else [], LINES_MAX + 1,
            ],
        )  # fmt: skip
        if cursor.rowcount > LINES_MAX:
            raise CountTooLarge(
                f"One count takes {LINES_MAX:,} places and there are more; count bins, products or a class.",
                linesMax=LINES_MAX,
            )
    return count


def _within(warehouse: Warehouse, scope: Scope, at: datetime) -> tuple[list[int] | None, list[int] | None]:
    """The ids of the bins and of the products in scope; None where all are. Raises InvalidInput."""
    if sum(bool(part) for part in (scope.locations, scope.skus, scope.abc_class)) > 1:
        raise InvalidInput.at("locations", "Name bins, products or a class, and only one of the three.")
    if scope.locations:
        bins = dict(Location.objects.filter(warehouse=warehouse, code__in=scope.locations).values_list("code", "pk"))
        return _all_of(scope.locations, bins, "locations", f"There is no bin {{}} in {warehouse.code}."), None
    if scope.skus:
        known = dict(Variant.objects.stocked().filter(sku__in=scope.skus).values_list("sku", "pk"))
        return None, _all_of(scope.skus, known, "productIds", "There is no product {} that can be stocked.")
    if not scope.abc_class:
        return None, None
    if scope.abc_class not in abc.CLASSES:
        raise InvalidInput.at("abcClass", "A class is A, B or C.")
    return None, abc.variant_ids(abc_class=scope.abc_class, at=at)


def _all_of(names: Sequence[str], known: dict[str, int], field_name: str, sentence: str) -> list[int]:
    unknown = [
        (f"{field_name}[{place}]", sentence.format(name)) for place, name in enumerate(names) if name not in known
    ]
    if unknown:
        raise InvalidInput.of(unknown)
    return sorted(known.values())


@transaction.atomic
def record(*, count: Count, found: Sequence[Found], actor: Actor, at: datetime) -> list[CountLine]:
    """Write down what lies in these places; all of them or none. Returns their lines, in the order given.

    A place nobody expected becomes a line of its own, and an unknown batch becomes known. A difference above
    the tolerance has to be counted again, and the second number decides; one that is worth too much waits for
    another person. A line may be recorded again until the count is posted; the last number stands.

    Locks the count and the levels. Said twice it counts twice, and the second time is the recount: doors make
    sure that a message which arrives twice is one. Raises IllegalStep, InvalidInput naming lines[n].field, and
    BatchDiffers.
    """
    locked = _lock_open(count, "recorded on")
    keys = _keys_of(locked, found, actor=actor)
    book = {level.key: level.on_hand for level in ledger.lock(ledger.ensure(keys)).values()}
    positions = _positions({key[0] for key in keys})
    known = {
        _key_of(line): line
        for line in locked.lines.filter(variant__in={key[0] for key in keys}, location__in={key[1] for key in keys})
    }
    lines = []
    for said, key in zip(found, keys, strict=True):
        line = known.get(key) or _line_at(locked, key)
        _settle(line, said, count=locked, balance=book[key], position=positions[key[0]])
        line.counted_by, line.counted_at, line.approved_by = actor.label, at, ""
        lines.append(line)
    CountLine.objects.bulk_update(
        [line for line in lines if line.pk],
        ["state", "first_counted", "counted", "balance", "position", "counted_by", "counted_at", "approved_by"],
    )
    CountLine.objects.bulk_create([line for line in lines if not line.pk])
    Count.objects.filter(pk=locked.pk).update(version=F("version") + 1)
    return lines


def _keys_of(count: Count, found: Sequence[Found], *, actor: Actor) -> list[ledger.Key]:
    """The place each one means. A few queries, and some more for each batch seen for the first time."""
    named = Q(code__in={said.place for said in found}) | Q(is_default=True)
    bins: dict[str, int] = {}
    for bin_ in Location.objects.filter(named, warehouse=count.warehouse_id):
        bins[bin_.code] = bin_.pk
        if bin_.is_default:
            bins[""] = bin_.pk
    kits = set(KitComponent.objects.filter(kit__in={said.variant.pk for said in found}).values_list("kit", flat=True))
    batches = {
        (batch.variant_id, batch.number): batch
        for batch in Batch.objects.filter(
            variant__in={said.variant.pk for said in found}, number__in={said.batch_number for said in found}
        )
    }
    keys: dict[int, ledger.Key] = {}
    # By batch, since two who make several known at once must not wait for one another.
    for place, said in sorted(enumerate(found), key=lambda row: (row[1].variant.pk, row[1].batch_number, row[0])):
        at = f"lines[{place}]"
        if said.place not in bins:
            raise InvalidInput.at(f"{at}.location", f"There is no bin {said.place} in {count.warehouse.code}.")
        if said.variant.is_parent or said.variant.pk in kits:
            raise InvalidInput.at(f"{at}.productId", f"{said.variant.sku} is never stocked itself.")
        batch = batches.get((said.variant.pk, said.batch_number))
        has_none = not said.batch_number and said.variant.tracking != Variant.Tracking.BATCH
        if (batch is None and not has_none) or (said.expires_on and (not batch or batch.expires_on != said.expires_on)):
            batch = _know_batch(said, at, actor=actor)
        owner_id = said.owner.pk if said.owner else None
        key = (said.variant.pk, bins[said.place], batch.pk if batch else None, said.condition, owner_id)
        if key in keys.values():
            raise InvalidInput.at(at, "The same place is there twice; send one number for it.")
        keys[place] = key
    return [keys[place] for place in range(len(found))]


def _know_batch(said: Found, at: str, *, actor: Actor) -> Batch | None:
    try:
        return warehouses.know_batch(
            variant=said.variant, number=said.batch_number, expires_on=said.expires_on, actor=actor
        )
    except InvalidInput as problem:
        raise InvalidInput.of([(f"{at}.{row['field']}", row["detail"]) for row in problem.data["errors"]]) from problem


def _positions(variant_ids: set[int]) -> dict[int, int]:
    """How far the ledger is for each product: what touched its levels has this id or less, what will, more.

    The caller holds the levels' locks, and a movement takes its id after those. One look at the end of index
    movement_by_variant for each.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, coalesce((SELECT max(id) FROM stock_movement WHERE variant_id = v.id), 0)"
            " FROM unnest(%s::bigint[]) AS v (id)",
            [sorted(variant_ids)],
        )
        return dict(cursor.fetchall())


def _key_of(line: CountLine) -> ledger.Key:
    return line.variant_id, line.location_id, line.batch_id, line.condition, line.owner_id


def _line_at(count: Count, key: ledger.Key) -> CountLine:
    variant_id, location_id, batch_id, condition, owner_id = key
    return CountLine(
        count=count, variant_id=variant_id, location_id=location_id, batch_id=batch_id, condition=condition,
        owner_id=owner_id,
    )  # fmt: skip


def _settle(line: CountLine, said: Found, *, count: Count, balance: int, position: int) -> None:
    """The line as it stands after this number was said."""
    line.state = verdict(
        difference=said.counted - balance,
        balance=balance,
        is_recount=line.first_counted is not None,
        unit_cost=said.variant.unit_cost,
        count=count,
    )
    if line.state == State.RECOUNT:
        line.first_counted, line.counted, line.balance, line.position = said.counted, None, None, None
    else:
        line.counted, line.balance, line.position = said.counted, balance, position


def verdict(*, difference: int, balance: int, is_recount: bool, unit_cost: Decimal | None, count: Count) -> State:
    """What a number means for its line. Pure.

    A first number off by more than the tolerance (the greater of units and percent) is counted again. One
    worth more than the count allows waits for approval, and so does one whose worth is not known.
    """
    units = abs(difference)
    if not is_recount and units > max(Decimal(count.tolerance_units), count.tolerance_percent * balance / 100):
        return State.RECOUNT
    if not units or count.approval_value is None:
        return State.COUNTED
    if unit_cost is None or units * unit_cost > count.approval_value:
        return State.APPROVAL
    return State.COUNTED


@transaction.atomic
def approve(*, line: CountLine, actor: Actor, at: datetime) -> CountLine:
    """Another person agrees that the difference is real. Locks the count. Approved twice answers the same.

    Raises SamePerson (data: countedBy) and IllegalStep (data: currentStatus, allowedFrom).
    """
    return _decide(line, State.APPROVED, actor)


@transaction.atomic
def reject(*, line: CountLine, actor: Actor, at: datetime) -> CountLine:
    """Another person does not believe it: the place is counted again, and its first number is kept.

    Locks the count. Rejected twice answers the same. Raises SamePerson and IllegalStep.
    """
    return _decide(line, State.REJECTED, actor)


def _decide(line: CountLine, state: State, actor: Actor) -> CountLine:
    count = _lock_open(line.count, "decided on")
    row = CountLine.objects.get(pk=line.pk)
    if row.state == state and row.approved_by == actor.label:
        return row
    if row.state != State.APPROVAL:
        raise IllegalStep(
            f"The line is {row.get_state_display().lower()}; there is nothing to approve.",
            currentStatus=row.state,
            allowedFrom=[State.APPROVAL.value],
        )
    if row.counted_by == actor.label:
        raise SamePerson(f"{row.counted_by} counted it; somebody else has to decide.", countedBy=row.counted_by)
    row.state, row.approved_by = state, actor.label
    if state == State.REJECTED:
        row.first_counted = row.counted if row.first_counted is None else row.first_counted
        row.counted = row.balance = row.position = None
    row.save()
    Count.objects.filter(pk=count.pk).update(version=F("version") + 1)
    return row


@transaction.atomic
def post(*, count: Count, actor: Actor, at: datetime, close_uncounted: bool = False) -> Posted:
    """Book every difference and close the count; with `close_uncounted`, places not counted are left as they are.

    A difference is added or taken, not set. Of a loss, no more is taken than lies there now; the rest is told
    as `unbooked`. Where a loss needs promised units, the youngest promises are broken. A line whose level was
    found wrong by somebody else since it was counted goes back to be counted again, and then nothing is booked.

    Locks the count and the levels that differ. Posted twice, the second time changes nothing. Raises
    LinesOpen, SerialsDiffer, IllegalStep.
    """
    locked = Count.objects.lock().get(pk=count.pk)
    if locked.state == Count.State.POSTED:
        return Posted(count=locked)
    _must_be_open(locked, "posted")
    _check_settled(locked, close_uncounted=close_uncounted)
    differences = _differences(locked)
    levels = ledger.lock(ledger.ensure(row.key for row in differences))
    if outdated := _outdated(locked):
        _send_back(locked, outdated)
        locked.version += 1
        locked.save(update_fields=["version"])
        return Posted(count=locked, sent_back=outdated)
    _check_serials(locked)
    booked, unbooked = _book(locked, differences, levels, actor=actor, at=at)
    _close_lines(locked, booked)
    locked.state, locked.ended_at, locked.version = Count.State.POSTED, at, locked.version + 1
    locked._change_reason = "count posted"  # type: ignore[attr-defined]  # read by the history
    locked.save()
    _tell(locked, differences, unbooked, actor=actor, at=at)
    return Posted(count=locked, unbooked=unbooked)


@transaction.atomic
def cancel(*, count: Count, actor: Actor, at: datetime) -> Count:
    """Give the count up; nothing of it is booked. Locks it. Cancelled twice answers the same. Raises IllegalStep."""
    locked = Count.objects.lock().get(pk=count.pk)
    if locked.state == Count.State.CANCELLED:
        return locked
    _must_be_open(locked, "cancelled")
    locked.state, locked.ended_at, locked.version = Count.State.CANCELLED, at, locked.version + 1
    locked._change_reason = "count cancelled"  # type: ignore[attr-defined]  # read by the history
    locked.save()
    return locked


def _lock_open(count: Count, verb: str) -> Count:
    locked = Count.objects.lock().select_related("warehouse").get(pk=count.pk)
    _must_be_open(locked, verb)
    return locked


def _must_be_open(count: Count, verb: str) -> None:
    if count.state != Count.State.OPEN:
        raise IllegalStep(
            f"The count is {count.state} and cannot be {verb}.",
            currentStatus=count.state,
            allowedFrom=[Count.State.OPEN.value],
        )


def _check_settled(count: Count, *, close_uncounted: bool) -> None:
    rows = dict(count.lines.order_by().values_list("state").annotate(number=Number("pk")))
    to_count, waiting = sum(rows.get(state, 0) for state in TO_COUNT), rows.get(State.APPROVAL, 0)
    if waiting or (to_count and not close_uncounted):
        raise LinesOpen(
            f"{to_count} places are to be counted and {waiting} wait for approval.",
            toCount=to_count,
            waitingForApproval=waiting,
        )


def _differences(count: Count) -> list[Difference]:
    rows = count.lines.filter(state__in=SETTLED).exclude(counted=F("balance")).annotate(
        quantity=F("counted") - F("balance")
    )  # fmt: skip
    columns = ("variant_id", "location_id", "batch_id", "condition", "owner_id")
    return [
        Difference(line_id=line_id, quantity=quantity, key=tuple(key))
        for line_id, quantity, *key in rows.values_list("pk", "quantity", *columns)
    ]


def _outdated(count: Count) -> list[int]:
    """Lines whose level was set right by somebody else (found or lost) since they were counted.

    Two who count the same place find the same difference; only one of them may book it. The caller holds the
    levels that differ. One query, over the movements after each line's position (movement_by_variant).
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT line.id FROM stock_countline line
             WHERE line.count_id = %s AND line.state = ANY(%s) AND EXISTS (
                SELECT FROM stock_movement movement
                 WHERE movement.variant_id = line.variant_id AND movement.id > line.position
                   AND movement.batch_id IS NOT DISTINCT FROM line.batch_id
                   AND movement.owner_id IS NOT DISTINCT FROM line.owner_id
                   AND ((movement.from_location_id = %s AND movement.to_location_id = line.location_id
                         AND movement.to_condition = line.condition)
                     OR (movement.to_location_id = %s AND movement.from_location_id = line.location_id
                         AND movement.from_condition = line.condition)))
             ORDER BY line.id
            """,
            [
                count.pk, [state.value for state in SETTLED],
                Location.VIRTUAL_IDS[Location.Kind.FOUND], Location.VIRTUAL_IDS[Location.Kind.LOST],
            ],
        )  # fmt: skip
        return [row[0] for row in cursor.fetchall()]


def _send_back(count: Count, line_ids: Sequence[int]) -> None:
    count.lines.filter(pk__in=line_ids).update(
        state=State.RECOUNT,
        first_counted=Coalesce("first_counted", "counted"),
        counted=None,
        balance=None,
        position=None,
        approved_by="",
    )


def _check_serials(count: Count) -> None:
    differing = count.lines.filter(state__in=SETTLED, variant__tracking=Variant.Tracking.SERIAL).exclude(
        counted=F("balance")
    )
    if skus := sorted(set(differing.values_list("variant__sku", flat=True)[:20])):
        raise SerialsDiffer(
            f"Another number of {', '.join(skus)} lies there than the book says, and a number does not say which"
            " units. Adjust them with serialNumbers, then record the place again.",
            productIds=skus,
        )


def _book(
    count: Count,
    differences: Sequence[Difference],
    levels: dict[int, ledger.LockedLevel],
    *,
    actor: Actor,
    at: datetime,
) -> tuple[list[tuple[int, int]], list[Unbooked]]:
    """Post the differences under the levels' locks: (line, movement) pairs, and what could not be taken."""
    by_key = {level.key: level for level in levels.values()}
    line_ids, postings, missing = [], [], {}
    for row in differences:
        level = by_key[row.key]
        units = row.quantity if row.quantity > 0 else min(-row.quantity, level.on_hand)
        if row.quantity < 0 and units > level.available:
            shortages.break_promises(level_id=level.id, quantity=units - level.available, actor=actor, at=at)
        if row.quantity + units < 0:
            missing[row.line_id] = -row.quantity - units
        if units:
            line_ids.append(row.line_id)
            postings.append(_posting(row, units, reference=count.number))
    movement_ids = ledger.post(postings, actor=actor, at=at)
    return list(zip(line_ids, movement_ids, strict=True)), _named(missing)


def _posting(row: Difference, units: int, *, reference: str) -> ledger.Posting:
    variant_id, location_id, batch_id, condition, owner_id = row.key
    shelf = ledger.Place(location_id=location_id, condition=condition)
    is_gain = row.quantity > 0
    return ledger.Posting(
        variant_id=variant_id,
        batch_id=batch_id,
        owner_id=owner_id,
        quantity=units,
        source=ledger.virtual(Location.Kind.FOUND) if is_gain else shelf,
        target=shelf if is_gain else ledger.virtual(Location.Kind.LOST),
        kind=Movement.Kind.COUNT,
        reason=REASON,
        reference=reference,
    )


def _named(missing: dict[int, int]) -> list[Unbooked]:
    rows = CountLine.objects.filter(pk__in=list(missing)[:UNBOOKED_MAX]).select_related("variant", "location", "batch")
    return [
        Unbooked(
            sku=line.variant.sku,
            location=line.location.code,
            batch_number=line.batch.number if line.batch else None,
            owner_id=line.owner_id,
            quantity=missing[line.pk],
        )
        for line in rows
    ]


def _close_lines(count: Count, booked: Sequence[tuple[int, int]]) -> None:
    count.lines.filter(state__in=SETTLED).update(state=State.POSTED)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE stock_countline line SET movement_id = booked.movement_id"
            " FROM unnest(%s::bigint[], %s::bigint[]) AS booked (line_id, movement_id) WHERE line.id = booked.line_id",
            [[line_id for line_id, _ in booked], [movement_id for _, movement_id in booked]],
        )


def _tell(
    count: Count, differences: Sequence[Difference], unbooked: Sequence[Unbooked], *, actor: Actor, at: datetime
) -> None:
    """Who runs the warehouse and who posted are told; what it did to stock, `inventory.updated` tells everybody.

    Of other owners' stock no product is named: not all who are told may see it.
    """
    outbox.record(
        "count.posted",
        subject=f"count/{count.number}",
        payload={
            "countId": count.number,
            "warehouseLocation": count.warehouse.code,
            "lines": count.lines.filter(state=State.POSTED).count(),
            "differences": len(differences),
            "unitsFound": sum(row.quantity for row in differences if row.quantity > 0),
            "unitsMissing": -sum(row.quantity for row in differences if row.quantity < 0),
            "unbooked": [row.as_json() for row in unbooked if row.owner_id is None],
        },
        actor=actor,
        at=at,
        addressee_ids=[count.warehouse.operator_id, actor.partner_id],
    )
