"""Shops have sold: the goods are gone, whatever the book says, and however late we hear of it.

Nothing here is refused. Free units go first, then promised ones, whose youngest promises are broken; units the
book does not have are found in the moment they are sold. Lock order: batches, levels by id.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Max, Q

from catalog.models import KitComponent, Variant
from partners.actors import Actor
from partners.models import Partner
from stock import ledger
from stock.ledger import Place, Posting
from stock.models import Batch, CountLine, Level, Location, Movement, Serial, Warehouse
from stock.models.ownership import visible_to
from stock.operations import shortages, warehouses
from stock.shelf import Lying, Shelf, Sold, Taken

SELLABLE = Level.Condition.SELLABLE
CUSTOMER, FOUND = ledger.virtual(Location.Kind.CUSTOMER), ledger.virtual(Location.Kind.FOUND)
REASON, FOUND_REASON = "sale", "found-at-sale"


@dataclass(frozen=True, kw_only=True)
class Line:
    """So many of a product that were sold, of a batch ("" = nobody looked), and which units."""

    variant: Variant
    quantity: int
    batch_number: str = ""
    serials: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Basket:
    """What one customer took from a shop, and when."""

    reference: str
    warehouse: Warehouse
    occurred_at: datetime
    lines: tuple[Line, ...]


@dataclass(kw_only=True)
class Told:
    """What was not as the book said, for one line. All zero: the book was right.

    `found` units were not in the book, of `batch`; `counted` were gone already when the place was counted since;
    `broken` were promised; `elsewhere` are units by number that lay, says the book, in another place.
    """

    line: Line
    batch: Batch | None = None
    is_booked: bool = True
    found: int = 0
    counted: int = 0
    broken: int = 0
    elsewhere: list[str] = field(default_factory=list)


@transaction.atomic
def sell(*, baskets: Sequence[Basket], partner: Partner, actor: Actor, at: datetime) -> list[list[Told]]:
    """Book what shops of a partner sold, each basket at its moment; answers what was odd, line by line.

    A kit is sold as its components: it has a line for each. A batch not seen before becomes known. Of a product
    tracked by serial number the units are named; a line that does not name them all is left out, and says so.
    Locks the batches' rows where they are new, and all levels concerned in one go. Raises nothing of stock. Told
    twice it sells twice: the caller's reports arrive once.
    """
    baskets = _without_kits(baskets)
    lots = _lots(baskets, actor=actor)
    bins = {
        basket.warehouse.pk: warehouses.default_location(basket.warehouse)
        for basket in {basket.warehouse.pk: basket for basket in baskets}.values()
    }
    counter = _Counter(baskets, lots, bins, partner=partner, actor=actor, at=at)
    told: dict[int, list[Told]] = {}
    for place in sorted(range(len(baskets)), key=lambda place: (baskets[place].occurred_at, place)):
        told[place] = counter.sell(baskets[place])
    return [told[place] for place in range(len(baskets))]


def has_expired(*, batch: Batch, warehouse: Warehouse, at: datetime) -> bool:
    """Whether its date was past, where it was sold, on that day."""
    today: date = at.astimezone(ZoneInfo(warehouse.time_zone)).date()
    return batch.expires_on is not None and batch.expires_on < today


Lots = Mapping[tuple[int, str], Batch]


def _without_kits(baskets: Sequence[Basket]) -> list[Basket]:
    parts: dict[int, list[KitComponent]] = defaultdict(list)
    sold = {line.variant.pk for basket in baskets for line in basket.lines}
    for part in KitComponent.objects.filter(kit__in=sold).select_related("component").order_by("kit_id", "id"):
        parts[part.kit_id].append(part)
    return [replace(basket, lines=tuple(_taken_apart(basket.lines, parts))) for basket in baskets]


def _taken_apart(lines: Iterable[Line], parts: Mapping[int, list[KitComponent]]) -> Iterable[Line]:
    for line in lines:
        if line.variant.pk not in parts:
            yield line
        for part in parts.get(line.variant.pk, []):
            yield Line(variant=part.component, quantity=line.quantity * part.quantity, serials=line.serials)


def _lots(baskets: Sequence[Basket], *, actor: Actor) -> Lots:
    """The batches named, made known in one order for everybody, so that two never wait for one another.

    Of a product that is not tracked by batch the number on a label counts only where we know it, too.
    """
    named = {
        (line.variant.pk, line.batch_number): line.variant
        for basket in baskets
        for line in basket.lines
        if line.batch_number
    }
    rows = Batch.objects.filter(
        variant__in={variant_id for variant_id, _ in named}, number__in={number for _, number in named}
    )
    found = {(row.variant_id, row.number): row for row in rows}
    for key, variant in sorted(named.items(), key=lambda row: row[0]):
        if key not in found and variant.tracking == Variant.Tracking.BATCH:
            batch = warehouses.know_batch(variant=variant, number=key[1], expires_on=None, actor=actor)
            found |= {key: batch} if batch else {}
    return found


class _Counter:
    """The shops' shelves while basket after basket is booked: all levels are locked, and read once."""

    def __init__(
        self, baskets: Sequence[Basket], lots: Lots, bins: Mapping[int, Location], *, partner: Partner, actor: Actor,
        at: datetime,
    ) -> None:  # fmt: skip
        self.lots, self.bins, self.actor, self.at = lots, bins, actor, at
        lines = [(basket, line) for basket in baskets for line in basket.lines]
        ensured = ledger.ensure(self._default(basket, line) for basket, line in lines)
        tracked = {line.variant.pk for _, line in lines if line.variant.tracking == Variant.Tracking.SERIAL}
        others = {line.variant.pk for _, line in lines} - tracked
        here = Level.objects.filter(variant__in=others, location__warehouse__in=bins, condition=SELLABLE)
        # A unit that was sold here may lie anywhere, says the book.
        anywhere = Level.objects.filter(variant__in=tracked)
        held = ledger.lock([*ensured, *here.values_list("pk", flat=True), *anywhere.values_list("pk", flat=True)])
        since = min((basket.occurred_at for basket in baskets), default=at)
        rows = Level.objects.filter(visible_to(partner) | Q(variant__in=tracked), pk__in=held).with_sellable(at=since)
        self.levels = {row.pk: row for row in rows.select_related("location", "batch")}
        counted = _counted(variant_ids=others, warehouse_ids=bins, since=since)
        self.shelf = Shelf(_lying(row, counted) for row in self.levels.values())

    def _lot_id(self, line: Line) -> int | None:
        batch = self.lots.get((line.variant.pk, line.batch_number))
        return batch.pk if batch and line.variant.tracking != Variant.Tracking.SERIAL else None

    def _default(self, basket: Basket, line: Line) -> ledger.Key:
        """The place of ours where units lie that nobody knew of."""
        return line.variant.pk, self.bins[basket.warehouse.pk].pk, self._lot_id(line), SELLABLE, None

    def sell(self, basket: Basket) -> list[Told]:
        postings: list[Posting] = []
        told = []
        for line in basket.lines:
            is_tracked = line.variant.tracking == Variant.Tracking.SERIAL
            sell = self._sell_units if is_tracked else self._sell_some
            told.append(sell(basket, line, postings))
        ledger.post(postings, actor=self.actor, at=self.at, occurred_at=basket.occurred_at)
        return told

    def _sell_some(self, basket: Basket, line: Line, postings: list[Posting]) -> Told:
        lot_id = self._lot_id(line)
        decision = self.shelf.decide(
            Sold(
                variant_id=line.variant.pk,
                warehouse_id=basket.warehouse.pk,
                batch_id=lot_id,
                quantity=line.quantity,
                occurred_at=basket.occurred_at,
            )
        )
        told = Told(line=line, batch=self.lots.get((line.variant.pk, line.batch_number)), found=decision.found)
        for taken in decision.taken:
            told.broken += self._break(taken)
            postings.append(self._gone(basket, self.levels[taken.level_id], taken.quantity))
        if decision.counted:
            told.counted = decision.counted.quantity
            postings += self._found(basket, _key(self.levels[decision.counted.level_id]), told.counted)
        if decision.found:
            postings += self._found(basket, self._default(basket, line), decision.found)
        return told

    def _sell_units(self, basket: Basket, line: Line, postings: list[Posting]) -> Told:
        """Each from where the book says it lies; one it does not have, or had sold already, is found."""
        told = Told(line=line)
        lying = dict(
            Serial.objects.filter(variant=line.variant, number__in=line.serials).values_list("number", "level")
        )
        away = {level_id for level_id in lying.values() if level_id is not None} - self.levels.keys()
        named = {number for posting in postings if posting.variant_id == line.variant.pk for number in posting.serials}
        is_each_named = len(set(line.serials) - named) == len(line.serials) == line.quantity
        if not is_each_named or away:
            told.is_booked = False
            return told
        for number in sorted(line.serials):
            level_id = lying.get(number)
            if level_id is None:
                told.found += 1
                postings += self._found(basket, self._default(basket, line), 1, serials=(number,))
                continue
            level = self.levels[level_id]
            if level.location.warehouse_id != basket.warehouse.pk or level.condition != SELLABLE:
                told.elsewhere.append(number)
            told.broken += self._break(Taken(level_id=level_id, quantity=1, broken=self.shelf.take(level_id)))
            postings.append(self._gone(basket, level, 1, serials=(number,)))
        return told

    def _break(self, taken: Taken) -> int:
        if not taken.broken:
            return 0
        return shortages.break_promises(level_id=taken.level_id, quantity=taken.broken, actor=self.actor, at=self.at)

    def _gone(self, basket: Basket, level: Level, quantity: int, serials: tuple[str, ...] = ()) -> Posting:
        return Posting(
            variant_id=level.variant_id,
            batch_id=level.batch_id,
            owner_id=level.owner_id,
            quantity=quantity,
            source=Place(location_id=level.location_id, condition=level.condition),
            target=CUSTOMER,
            kind=Movement.Kind.SHIPMENT,
            reason=REASON,
            reference=basket.reference,
            serials=serials,
        )

    def _found(self, basket: Basket, shelf: ledger.Key, quantity: int, serials: tuple[str, ...] = ()) -> list[Posting]:
        """Two rows: the units come onto the shelf, and leave it. What lies there is the same before and after."""
        variant_id, location_id, batch_id, condition, owner_id = shelf
        place = Place(location_id=location_id, condition=condition)
        came = Posting(
            variant_id=variant_id,
            batch_id=batch_id,
            owner_id=owner_id,
            quantity=quantity,
            source=FOUND,
            target=place,
            kind=Movement.Kind.ADJUSTMENT,
            reason=FOUND_REASON,
            reference=basket.reference,
            serials=serials,
        )
        return [came, replace(came, source=place, target=CUSTOMER, kind=Movement.Kind.SHIPMENT, reason=REASON)]


def _key(level: Level) -> ledger.Key:
    return level.variant_id, level.location_id, level.batch_id, level.condition, level.owner_id


def _lying(level: Level, counted: Mapping[ledger.Key, datetime]) -> Lying:
    warehouse_id = level.location.warehouse_id
    expires_on = level.batch.expires_on if level.batch else None
    return Lying(
        level_id=level.pk,
        variant_id=level.variant_id,
        warehouse_id=warehouse_id or 0,
        batch_id=level.batch_id,
        rank=(level.owner_id is not None, expires_on or date.max, level.pk),
        is_sellable=level.is_sellable,  # type: ignore[attr-defined]  # annotated
        on_hand=level.on_hand,
        reserved=level.reserved,
        counted_at=counted.get(_key(level)),
    )


def _counted(
    *, variant_ids: Iterable[int], warehouse_ids: Iterable[int], since: datetime
) -> dict[ledger.Key, datetime]:
    """When each place was last counted after a moment, of counts that are posted. One query."""
    rows = CountLine.objects.filter(
        state=CountLine.State.POSTED, variant__in=variant_ids, location__warehouse__in=warehouse_ids,
        counted_at__gt=since,
    )  # fmt: skip
    found = (
        rows.order_by().values_list("variant", "location", "batch", "condition", "owner").annotate(Max("counted_at"))
    )
    return {(*key,): moment for *key, moment in found}
