"""Stock imports that were started are applied: chunk by chunk, each whole, each place exactly once.

A chunk locks the import, what its sender has had acknowledged, and the levels of its places by id; then it looks at
what left. A departure is written by the transaction that held the level, so what is seen then is all there is: the
number of a place becomes what was counted less what left later, booked as one difference.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction
from django.db.models import F

from catalog.models import Variant
from partners import files, outbox, prepared
from partners.actors import Actor
from partners.problems import Problem
from stock import ledger, queries, ranges
from stock.ledger import LockedLevel
from stock.models import (
    Acknowledged,
    Batch,
    Level,
    Location,
    Movement,
    StockImport,
    StockImportRange,
    StockImportRow,
    Warehouse,
)
from stock.operations import shortages, stating, stating_rows, warehouses
from stock.ranges import Bin, Range

# Levels stay locked for as long as a chunk takes: some tenths of a second.
CHUNK_ROWS = 1_000
SELLABLE = Level.Condition.SELLABLE
State, Outcome, Mode = StockImport.State, StockImportRow.Outcome, StockImport.Mode
# variant, warehouse, batch
Spot = tuple[int, int, int | None]

# What left and is contained now is marked; answered for each place: units contained, their last timestamp, and units
# that stay to be taken off, with the first timestamp of those before the range.
CONTAIN = """
    WITH place AS (
        SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
            AS place (number, variant_id, warehouse_id, batch_id, starts, ends)
    ), contained AS (
        UPDATE stock_stampeddeparture departure SET contained_in_id = %s
          FROM place
         WHERE departure.contained_in_id IS NULL AND departure.variant_id = place.variant_id
           AND departure.warehouse_id = place.warehouse_id
           AND departure.batch_id IS NOT DISTINCT FROM place.batch_id
           AND departure.logical_timestamp BETWEEN place.starts AND place.ends
        RETURNING place.number, departure.quantity, departure.logical_timestamp
    ), held AS (
        SELECT number, sum(quantity) AS units, max(logical_timestamp) AS through FROM contained GROUP BY number
    ), later AS (
        SELECT place.number, sum(departure.quantity) AS units,
               min(departure.logical_timestamp) FILTER (WHERE departure.logical_timestamp < place.starts) AS before
          FROM place JOIN stock_stampeddeparture departure
            ON departure.contained_in_id IS NULL AND departure.variant_id = place.variant_id
           AND departure.warehouse_id = place.warehouse_id
           AND departure.batch_id IS NOT DISTINCT FROM place.batch_id
           AND departure.logical_timestamp NOT BETWEEN place.starts AND place.ends
         GROUP BY place.number
    )
    SELECT place.number, coalesce(held.units, 0)::bigint, coalesce(held.through, 0), coalesce(later.units, 0)::bigint,
           later.before
      FROM place LEFT JOIN held USING (number) LEFT JOIN later USING (number)
"""
REMEMBER = """
    INSERT INTO stock_laststated AS last (variant_id, warehouse_id, batch_id, counted, through, stated_by_id)
    SELECT place.*, %s FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
        AS place (variant_id, warehouse_id, batch_id, counted, through)
    ON CONFLICT (warehouse_id, variant_id, batch_id) DO UPDATE
       SET counted = excluded.counted, through = greatest(last.through, excluded.through),
           stated_by_id = CASE WHEN %s THEN excluded.stated_by_id ELSE last.stated_by_id END
"""


@dataclass(kw_only=True)
class Place:
    """A row at work: its place, its levels under our lock, and what is known of what left there."""

    row: StockImportRow
    variant: Variant
    warehouse: Warehouse
    said: StockImportRange
    batch: Batch | None
    bin_: Location
    levels: Sequence[LockedLevel] = ()
    through: int = 0
    held: int = 0
    left_since: int = 0

    @property
    def spot(self) -> Spot:
        return self.variant.pk, self.warehouse.pk, self.batch.pk if self.batch else None

    def range(self, mode: str) -> tuple[int, int]:
        """What the row contains. What lies in a warehouse whose book we keep is said of now, unless a range is."""
        is_ours = self.warehouse.system_of_record == Warehouse.SystemOfRecord.OWN
        said = Range(starts=self.said.starts, ends=self.said.ends)
        return ranges.contained(said, is_of_now=is_ours and mode == Mode.SNAPSHOT)

    @property
    def on_hand(self) -> int:
        return sum(level.on_hand for level in self.levels)


@dataclass(frozen=True)
class Stale(Exception):
    """A place was stated anew since."""

    through: int


def work_on(*, stock_import: StockImport, actor: Actor, at: datetime) -> StockImport:
    """Take in what is not there yet of its file, and apply it chunk by chunk if it was started. Called twice, by two
    workers at once or after one was killed, each row is applied once.

    A file that cannot be read makes it failed, and says why; so do newer numbers that overtook it.
    """
    try:
        if stock_import.taken_in_at is None:
            stating_rows.take_in_file(stock_import=stock_import)
        while apply_chunk(stock_import=stock_import, actor=actor, at=at):
            pass
    except (files.Unreadable, UnicodeError, Problem) as refusal:
        stating.fail(stock_import=stock_import, reason=_why(refusal), at=at)
    return StockImport.objects.defer("file_content").get(pk=stock_import.pk)


def _why(refusal: Exception) -> str:
    if not isinstance(refusal, Problem):
        return str(refusal)
    return " ".join(one["detail"] for one in refusal.data.get("errors", [])) or refusal.detail


@transaction.atomic
def apply_chunk(*, stock_import: StockImport, actor: Actor, at: datetime) -> bool:
    """Apply the next rows; whether more are left to do now. The last chunk ends the import in the same transaction.

    Waits its turn (False) while an import that was started earlier is at work on one of its warehouses. Locks the
    import, what is acknowledged, batches, levels by id. Promises the shelf cannot keep are broken, the youngest first.
    Raises StaleSnapshot where newer numbers overtook it, and ledger.KitNeverStocked; the chunk is undone then.
    """
    locked = StockImport.objects.lock().defer("file_content").get(pk=stock_import.pk)
    if locked.state != State.RUNNING or locked.taken_in_at is None or queries.is_stock_import_behind(locked):
        return False
    said = {one.warehouse_id: one for one in locked.ranges.select_related("warehouse")}
    for warehouse_id in sorted(said):
        Acknowledged.objects.get_or_create(partner=locked.partner, warehouse_id=warehouse_id)
    mine = Acknowledged.objects.filter(partner=locked.partner, warehouse__in=said)
    list(mine.order_by("id").select_for_update(no_key=True))
    for one in said.values():
        stating.check_not_stale(warehouse=one.warehouse, ends=one.ends, partner=locked.partner)
    rows = list(locked.rows.filter(outcome=Outcome.WAITING).order_by("id")[:CHUNK_ROWS])
    places = _places(rows, said, actor)
    _apply(locked, places, actor=actor, at=at)
    StockImportRow.objects.bulk_update(
        rows, ["outcome", "before", "left_since", "after", "reasons", "variant", "warehouse"]
    )
    ended = [row.outcome for row in rows]
    StockImport.objects.filter(pk=locked.pk).update(
        changed_count=F("changed_count") + ended.count(Outcome.CHANGED),
        unchanged_count=F("unchanged_count") + ended.count(Outcome.UNCHANGED),
        refused_count=F("refused_count") + ended.count(Outcome.REFUSED),
        version=F("version") + 1,
    )
    if len(rows) == CHUNK_ROWS:
        return True
    _end(locked, actor=actor, at=at)
    return False


def _end(stock_import: StockImport, *, actor: Actor, at: datetime) -> None:
    """Acknowledge and tell; an import of which no row could be used has failed."""
    ended = StockImport.objects.defer("file_content").get(pk=stock_import.pk)
    if ended.row_count == ended.refused_count:
        stating.fail(stock_import=ended, reason="None of its rows could be used; each says why.", at=at)
        return
    stating.acknowledge(stock_import=ended)
    StockImport.objects.filter(pk=ended.pk).update(state=State.APPLIED, ended_at=at)
    outbox.record(
        "import.applied",
        subject=f"import/{ended.number}",
        payload={
            "importId": ended.number, "kind": "stock", "title": ended.title, "created": 0,
            "changed": ended.changed_count, "refused": ended.refused_count, "dropped": 0,
        },
        actor=actor, at=at, addressee_ids=[ended.partner_id],
    )  # fmt: skip


def _places(rows: Sequence[StockImportRow], said: dict[int, StockImportRange], actor: Actor) -> list[Place]:
    """The rows' places; batches nobody knows are made known, and what does not fit is refused. Levels are not locked
    yet."""
    variants = Variant.objects.in_bulk({row.variant_id for row in rows})
    bins = {bin_.warehouse_id: bin_ for bin_ in Location.objects.filter(warehouse__in=said, is_default=True)}
    numbers = {row.batch_number for row in rows if row.batch_number}
    known = {
        (batch.variant_id, batch.number, batch.expires_on): batch
        for batch in (Batch.objects.filter(variant__in=variants, number__in=numbers) if numbers else [])
    }
    places = []
    for row in rows:
        variant = variants[row.variant_id]
        one = said[row.warehouse_id]  # type: ignore[index]  # only refused rows have none
        try:
            batch = known.get((variant.pk, row.batch_number, row.expires_on))
            if batch is None:
                with transaction.atomic():
                    batch = warehouses.know_batch(
                        variant=variant, number=row.batch_number, expires_on=row.expires_on, actor=actor
                    )
        except Problem as problem:
            _refuse(row, problem)
            continue
        places.append(
            Place(row=row, variant=variant, warehouse=one.warehouse, said=one, batch=batch, bin_=bins[one.warehouse_id])
        )
    return places


def _refuse(row: StockImportRow, problem: Problem) -> None:
    found = problem.data.get("errors") or [{"field": problem.code, "detail": problem.detail}]
    row.outcome, row.reasons = Outcome.REFUSED, [[one["field"], one["detail"]] for one in found]


def _apply(stock_import: StockImport, places: list[Place], *, actor: Actor, at: datetime) -> None:
    _lock(places)
    living = _not_stale(stock_import, places)
    _contain(stock_import, living)
    postings: list[ledger.Posting] = []
    for place in living:
        postings += _book(stock_import, place, actor=actor, at=at)
    ledger.post(postings, actor=actor, at=at)
    _remember(stock_import, living)


def _lock(places: Sequence[Place]) -> None:
    """All levels of the places, by id; a bin that gets its first units meanwhile is looked for again."""
    keys = [
        (place.variant.pk, place.bin_.pk, place.batch.pk if place.batch else None, str(SELLABLE), None)
        for place in places
    ]
    ledger.ensure(keys)
    locked: dict[int, LockedLevel] = {}
    while missing := _levels_of(places).keys() - locked.keys():
        locked |= ledger.lock(missing)
    found = _levels_of(places)
    by_spot: dict[Spot, list[LockedLevel]] = defaultdict(list)
    for level_id, warehouse_id in found.items():
        level = locked[level_id]
        by_spot[level.variant_id, warehouse_id, level.batch_id].append(level)
    for place in places:
        # The default bin first: what is missing is missing there, unless it holds less.
        place.levels = sorted(by_spot[place.spot], key=lambda level: (level.location_id != place.bin_.pk, level.id))


def _levels_of(places: Iterable[Place]) -> dict[int, int]:
    """Levels of ours that can be sold, by id with their warehouse's. One query."""
    spots = [place.spot for place in places]
    if not spots:
        return {}
    return dict(
        prepared.fetch(
            """
            SELECT level.id, location.warehouse_id
              FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS place (variant_id, warehouse_id, batch_id)
              JOIN stock_level level ON level.variant_id = place.variant_id
               AND level.batch_id IS NOT DISTINCT FROM place.batch_id
               AND level.condition = 'sellable' AND level.owner_id IS NULL
              JOIN stock_location location ON location.id = level.location_id
               AND location.warehouse_id = place.warehouse_id
            """,
            [prepared.bigints(column) for column in zip(*spots, strict=True)],
        )
    )


def _not_stale(stock_import: StockImport, places: Sequence[Place]) -> list[Place]:
    """Those no newer numbers were stated for; the others are refused. Under the levels' locks. One query."""
    last = queries.last_stated([place.spot for place in places])
    living = []
    for place in places:
        through, stated_by = last.get(place.spot, (0, 0))
        place.through = through
        if ranges.is_stale(ends=place.said.ends, stated_by_later=stated_by > stock_import.pk, stated_through=through):
            place.row.outcome = Outcome.REFUSED
            place.row.reasons = [["quantity", f"newer numbers of this place were applied, through {through}"]]
        else:
            living.append(place)
    return living


def _contain(stock_import: StockImport, places: Sequence[Place]) -> None:
    """Mark what left and is in the numbers, and note what stays to be taken off. One statement, and it must be one of
    its own after the locks: what left before them is committed, and seen."""
    columns = [(number, *place.spot, *place.range(stock_import.mode)) for number, place in enumerate(places)]
    if not columns:
        return
    with connection.cursor() as cursor:
        cursor.execute(CONTAIN, [*(list(column) for column in zip(*columns, strict=True)), stock_import.pk])
        for number, held, through, left_since, before in cursor.fetchall():
            place = places[number]
            place.held, place.left_since = held, left_since
            place.through = max(place.through, through, place.said.ends or 0)
            if before is not None:
                place.row.reasons = [
                    ["logicalTimestampStart", f"what left at {before} is in no range yet, and stays taken off"]
                ]


def _book(stock_import: StockImport, place: Place, *, actor: Actor, at: datetime) -> list[ledger.Posting]:
    """The difference between the book and what was said, as movements; promises are broken where it takes them."""
    row, on_hand = place.row, place.on_hand
    if stock_import.mode == Mode.DELTA:
        # What it contains of what left has left the book already.
        counted, left_since = on_hand + row.quantity + place.held, 0
    else:
        counted, left_since = row.quantity + place.said.promised.get(str(place.variant.pk), 0), place.left_since
    after = ranges.on_shelf(counted=counted, left_since=left_since)
    if counted < left_since:
        row.reasons = [*row.reasons, ["quantity", f"{left_since} have left since, which is more than it says"]]
    row.before, row.left_since, row.after = on_hand, left_since, after
    row.outcome = Outcome.UNCHANGED if after == on_hand else Outcome.CHANGED
    if after >= on_hand:
        return [_posting(stock_import, place, place.bin_.pk, after - on_hand, is_found=True)] if after > on_hand else []
    bins = [Bin(level_id=level.id, on_hand=level.on_hand, free=level.available) for level in place.levels]
    by_id = {level.id: level for level in place.levels}
    postings = []
    for level_id, units in ranges.taken_from(bins, on_hand - after):
        if (promised := units - by_id[level_id].available) > 0:
            shortages.break_promises(level_id=level_id, quantity=promised, actor=actor, at=at)
        postings.append(_posting(stock_import, place, by_id[level_id].location_id, units, is_found=False))
    return postings


def _posting(
    stock_import: StockImport, place: Place, location_id: int, units: int, *, is_found: bool
) -> ledger.Posting:
    shelf = ledger.Place(location_id=location_id, condition=SELLABLE)
    outside = ledger.virtual(Location.Kind.FOUND if is_found else Location.Kind.LOST)
    return ledger.Posting(
        variant_id=place.variant.pk, batch_id=place.batch.pk if place.batch else None, quantity=units,
        source=outside if is_found else shelf, target=shelf if is_found else outside,
        kind=Movement.Kind.ADJUSTMENT, reason="stock import", reference=stock_import.number,
    )  # fmt: skip


def _remember(stock_import: StockImport, places: Sequence[Place]) -> None:
    if not places:
        return
    columns = [(*place.spot, (place.row.after or 0) + (place.row.left_since or 0), place.through) for place in places]
    with connection.cursor() as cursor:
        cursor.execute(
            REMEMBER,
            [
                stock_import.pk, *(list(column) for column in zip(*columns, strict=True)),
                stock_import.mode == Mode.SNAPSHOT,
            ],
        )  # fmt: skip


def actor_of(*, stock_import: StockImport) -> Actor:
    """Who had it started, or sent it, for a worker that acts in their name."""
    label = stock_import.started_by or stock_import.actor
    kind = label.partition(":")[0]
    return Actor(kind="staff" if kind == "staff" else "partner" if kind == "partner" else "job", label=label)
