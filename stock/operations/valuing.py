"""The ledger is followed by what units cost, in its order, each movement once.

It never makes a booking wait: only final movements are read (`settled`), block by block, each block in a transaction
that also moves `ValuedUpTo` on. Whoever finds it moved by somebody else rolls back, so a block is valued once whatever
happens to locks or workers. Lock order: `ValuedUpTo`, then notes by id; nothing of the ledger is locked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from catalog.models import Variant
from partners.actors import Actor
from partners.problems import InvalidInput, Problem
from stock import costing, settled
from stock.costing import Books, Landing, Layer, Step, Told
from stock.models import (
    CostBook,
    CostDraw,
    CostingRule,
    CostLanding,
    CostLayer,
    CostNote,
    CostPool,
    Revaluation,
    ValuedUpTo,
)
from stock.models.costing import Method

BLOCK_ROWS = 2_000
# A writer that takes longer is waited for the next time.
WAIT_SECONDS = 5.0
# One follower at a time; a second would only roll back. Any number, the same for all.
FOLLOWER = 0xC057
IDS_AT_ONCE = 1_000

STEPS = """
    SELECT m.id, m.variant_id, m.quantity, coalesce(source.warehouse_id, m.from_location_id),
           coalesce(target.warehouse_id, m.to_location_id), m.kind, m.reference, m.occurred_at, m.recorded_at
      FROM stock_movement m
      LEFT JOIN stock_location source ON source.id = m.from_location_id
      LEFT JOIN stock_location target ON target.id = m.to_location_id
     WHERE m.id > %s AND m.id <= %s AND m.owner_id IS NULL
     ORDER BY m.id LIMIT %s
"""
# What went into the conversion place in blocks before and has not come out: of packs opened and units packed.
CONVERTING = """
    SELECT m.reference, sum(moved.value), min(moved.since)
      FROM stock_movement m CROSS JOIN LATERAL (
          SELECT draw.value, layer.acquired_at AS since FROM stock_costdraw draw
            JOIN stock_costlayer layer ON layer.id = draw.layer_id
           WHERE draw.movement_id = m.id AND m.to_location_id = %(conversion)s
          UNION ALL
          SELECT -layer.value, layer.acquired_at FROM stock_costlayer layer
           WHERE layer.movement_id = m.id AND m.from_location_id = %(conversion)s
      ) moved
     WHERE m.reference = ANY(%(references)s) AND m.kind = 'conversion' AND m.id <= %(up_to)s
     GROUP BY m.reference HAVING sum(moved.value) <> 0
"""
KEEP_LEFT = """
    UPDATE stock_costlayer layer SET left_quantity = now.quantity, left_value = now.value
      FROM unnest(%s::bigint[], %s::bigint[], %s::numeric[]) AS now (id, quantity, value) WHERE layer.id = now.id
"""


class NothingValued(Problem):
    """Nothing of the product has come that was valued yet. Data: productId."""

    code = "nothing_valued"
    title = "Nothing of it is valued yet"
    remedy = "Enter what it cost first."


class MovedOn(Exception):
    """Somebody else valued the block meanwhile; ours is rolled back."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a document says a movement cost in all."""

    movement_id: int
    amount: Decimal
    currency: str


def tell(*, costs: Iterable[Cost], kind: CostNote.Kind, reference: str, at: datetime) -> None:
    """Keep what a document says its movements cost; the follower books it. One statement.

    Without a currency it is that of the books. The caller's document is told once; of a price said twice the
    database refuses the second.
    """
    CostNote.objects.bulk_create(
        CostNote(
            movement_id=cost.movement_id, kind=kind, amount=cost.amount,
            currency=cost.currency or settings.BOOKS_CURRENCY, reference=reference, told_at=at,
        )
        for cost in costs
    )  # fmt: skip


def not_booked(currencies: Iterable[str]) -> list[str]:
    """Those of these currencies in which a cost is kept as told and not booked: there are no rates of exchange here.
    An empty one is that of the books."""
    return sorted({code for code in currencies if code} - {settings.BOOKS_CURRENCY})


def words(foreign: Sequence[str]) -> str:
    """What to tell who names costs in currencies that are not booked."""
    return (
        f"Costs in {', '.join(foreign)} are kept as said, but not booked: the value of the stock is reckoned in "
        f"{settings.BOOKS_CURRENCY} and estimates them meanwhile. Name them in {settings.BOOKS_CURRENCY}, or revalue."
    )


def follow(
    *,
    at: datetime,
    wait_seconds: float = WAIT_SECONDS,
    block_rows: int = BLOCK_ROWS,
    progress: Callable[[int], Any] = lambda rows: None,
) -> int | None:
    """Value every movement that is final and not valued yet, and cost that came later; how many movements.

    Each block is a transaction of its own: what broke off goes on with the next call. None, and nothing done, when
    another follower is at work or some transaction went on writing for `wait_seconds`.
    """
    with settled.alone(FOLLOWER) as is_alone:
        up_to = settled.up_to(wait_seconds=wait_seconds) if is_alone else None
        if up_to is None:
            return None
        total = 0
        while True:
            try:
                rows, is_done = _block(up_to=up_to, block_rows=block_rows, at=at)
            except MovedOn:
                return total
            total += rows
            progress(rows)
            if is_done:
                return total


@transaction.atomic
def _block(*, up_to: int, block_rows: int, at: datetime) -> tuple[int, bool]:
    """The next movements, and whether they were the last. Raises MovedOn."""
    begun = ValuedUpTo.objects.select_for_update().get().movement_id
    with connection.cursor() as cursor:
        cursor.execute(STEPS, [begun, up_to, block_rows])
        names = Step.__dataclass_fields__
        steps = [Step(**dict(zip(names, row, strict=True))) for row in cursor.fetchall()]
    is_done = len(steps) < block_rows
    reached = max(up_to, begun) if is_done else steps[-1].id
    pending = CostNote.objects.filter(is_booked=False, movement_id__lte=reached, currency=settings.BOOKS_CURRENCY)
    notes = list(pending.order_by("id"))
    if reached == begun and not notes:
        return 0, True
    late = _late([note for note in notes if note.movement_id <= begun])
    books = _open({step.variant_id for step in steps} | {layer.variant_id for _, layer in late})
    landed = [
        (layer.variant_id, landing)
        for note, layer in late
        for landing in books.land(
            note_id=note.pk, variant_id=layer.variant_id, root_id=layer.pk, quantity=layer.quantity, amount=note.amount
        )
    ]
    books.told = _told([note for note in notes if note.movement_id > begun])
    books.converting = _converting(steps, up_to=begun)
    for step in steps:
        books.follow(step)
    _write(books, landed, at=at)
    CostNote.objects.filter(pk__in=[note.pk for note in notes]).update(is_booked=True)
    _advance(begun=begun, reached=reached, at=at)
    return len(steps), is_done


def _advance(*, begun: int, reached: int, at: datetime) -> None:
    if not ValuedUpTo.objects.filter(movement_id=begun).update(movement_id=reached, valued_at=at):
        raise MovedOn


@transaction.atomic
def revalue(
    *,
    variant: Variant,
    actor: Actor,
    at: datetime,
    reason: str,
    unit_cost: Decimal | None = None,
    method: str = "",
) -> Revaluation:
    """Set what each unit of a product is worth from now on, or by which method it is followed; or both.

    All that lies there is drawn and laid anew, as old as it was; what it is worth more or less is in the row. What
    left before keeps its cost. Waits for the follower's block. Raises NothingValued, and InvalidInput where nothing
    would change or no reason is given.
    """
    if not reason:
        raise InvalidInput.at("reason", "Say why.")
    if unit_cost is not None and unit_cost < 0:
        raise InvalidInput.at("unitCost", "Nothing is worth less than nothing.")
    reached = ValuedUpTo.objects.select_for_update().get().movement_id
    book = CostBook.objects.filter(pk=variant.pk).first()
    if book is None:
        raise NothingValued(f"Nothing of {variant.sku} has been valued yet.", productId=variant.sku)
    if unit_cost is None and method in ("", book.method):
        raise InvalidInput.at("unitCost", "Nothing would change; name a cost or another method.")
    books = _open({variant.pk})
    held = [(place, pool) for (_, place), pool in sorted(books.pools.items()) if pool.quantity]
    made = Revaluation.objects.create(
        variant=variant, method_before=book.method, method_after=method or book.method, unit_cost=unit_cost,
        quantity=sum(pool.quantity for _, pool in held), reason=reason, actor=actor.label, booked_at=at,
        value_before=(before := sum((pool.value for _, pool in held), costing.NOTHING)),
        value_after=before if unit_cost is None else unit_cost * sum(pool.quantity for _, pool in held),
    )  # fmt: skip
    for place, pool in held:
        everything = Step(
            id=reached, variant_id=variant.pk, quantity=pool.quantity, source=place, target=place, kind="",
            reference="", occurred_at=at, recorded_at=at,
        )  # fmt: skip
        for draw in books.take(everything):
            books.lay(
                place=place, movement_id=reached, recorded_at=at, quantity=draw.quantity, like=draw.layer,
                value=draw.value if unit_cost is None else unit_cost * draw.quantity,
            )  # fmt: skip
    CostBook.objects.filter(pk=book.pk).update(method=made.method_after)
    _write(books, [], at=at, revaluation=made)
    return made


def _late(notes: Sequence[CostNote]) -> list[tuple[CostNote, CostLayer]]:
    """Cost of movements valued before, with the layer each brought. What brought us none is nothing to us. One query."""
    rows = CostLayer.objects.filter(movement_id__in=[note.movement_id for note in notes], revaluation=None)
    layers = {row.movement_id: row for row in rows if row.root_id == row.pk} if notes else {}
    return [(note, layers[note.movement_id]) for note in notes if note.movement_id in layers]


def _told(notes: Iterable[CostNote]) -> dict[int, Told]:
    prices: dict[int, Decimal] = {}
    landed: dict[int, Decimal] = defaultdict(Decimal)
    for note in notes:
        if note.kind == CostNote.Kind.PRICE:
            prices[note.movement_id] = note.amount
        else:
            landed[note.movement_id] += note.amount
    return {pk: Told(price=prices.get(pk), landed=landed[pk]) for pk in prices.keys() | landed.keys()}


def _open(variant_ids: set[int]) -> Books:
    """The books of these products as they stand. Five queries, whatever their number."""
    books = {row.pk: row for row in CostBook.objects.filter(pk__in=variant_ids)}
    new = variant_ids - books.keys()
    unit_costs = dict(Variant.objects.filter(pk__in=variant_ids).values_list("pk", "unit_cost"))
    opened = Books(
        ids=_ids(), methods={pk: row.method for pk, row in books.items()} | _ruled(new), unit_costs=unit_costs
    )
    opened.sold = {pk: (row.sold_quantity, row.sold_value) for pk, row in books.items() if row.sold_quantity}
    for pool in CostPool.objects.filter(variant__in=variant_ids):
        kept = opened.pools[pool.variant_id, _place(pool.warehouse_id)]
        kept.quantity, kept.value = pool.quantity, pool.value
    for row in CostLayer.objects.filter(variant__in=variant_ids, left_quantity__gt=0).order_by("id"):
        place = _place(row.warehouse_id)
        opened.pools[row.variant_id, place].layers.append(
            Layer(
                id=row.pk, variant_id=row.variant_id, place=place, root_id=row.root_id, movement_id=row.movement_id,
                quantity=row.quantity, value=row.value, left=row.left_quantity, left_value=row.left_value,
                acquired_at=row.acquired_at, recorded_at=row.recorded_at, is_estimated=row.is_estimated, is_new=False,
            )
        )  # fmt: skip
    return opened


def _ruled(variant_ids: Iterable[int]) -> dict[int, str]:
    """The method new products are followed by: their own rule's, their type's, or the house's. Two queries."""
    rules = {(rule.variant_id, rule.product_type_id): rule.method for rule in CostingRule.objects.all()}
    types = Variant.objects.filter(pk__in=variant_ids).values_list("pk", "product_type")
    house = rules.get((None, None), Method.FIFO.value)
    return {pk: rules.get((pk, None)) or rules.get((None, kind)) or house for pk, kind in types}


def _converting(steps: Sequence[Step], *, up_to: int) -> dict[str, tuple[Decimal, datetime]]:
    """What came out of the conversion place in this block and may have gone in before it. One query."""
    wanted = {step.reference for step in steps if step.kind == costing.CONVERTED and step.source == costing.CONVERSION}
    if not wanted:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(CONVERTING, {"conversion": costing.CONVERSION, "references": sorted(wanted), "up_to": up_to})
        return {reference: (value, since) for reference, value, since in cursor.fetchall()}


def _write(
    books: Books, landed: Sequence[tuple[int, Landing]], *, at: datetime, revaluation: Revaluation | None = None
) -> None:
    """All that was written in the books, a statement for each table."""
    CostLayer.objects.bulk_create(
        CostLayer(
            pk=row.id, variant_id=row.variant_id, warehouse_id=_warehouse(row.place), root_id=row.root_id,
            movement_id=row.movement_id, revaluation=revaluation, quantity=row.quantity, value=row.value,
            left_quantity=row.left, left_value=row.left_value, is_estimated=row.is_estimated,
            acquired_at=row.acquired_at, recorded_at=row.recorded_at,
        )
        for row in books.layers
    )  # fmt: skip
    CostDraw.objects.bulk_create(
        CostDraw(
            layer_id=row.layer.id, movement_id=row.movement_id, revaluation=revaluation, quantity=row.quantity,
            value=row.value, recorded_at=row.recorded_at,
        )
        for row in books.draws
    )  # fmt: skip
    touched = {row.layer.id: row.layer for row in books.draws if not row.layer.is_new}
    touched |= {row.layer.id: row.layer for _, row in landed if row.layer}
    with connection.cursor() as cursor:
        rows = [touched[layer_id] for layer_id in sorted(touched)]
        cursor.execute(
            KEEP_LEFT, [[row.id for row in rows], [row.left for row in rows], [row.left_value for row in rows]]
        )
    CostLanding.objects.bulk_create(
        CostLanding(
            note_id=row.note_id, layer_id=row.layer.id if row.layer else None, variant_id=variant_id, amount=row.amount,
            recorded_at=at,
        )
        for variant_id, row in landed
    )  # fmt: skip
    CostPool.objects.bulk_create(
        (
            CostPool(variant_id=variant_id, warehouse_id=_warehouse(place), quantity=pool.quantity, value=pool.value)
            for (variant_id, place), pool in sorted(books.pools.items())
        ),
        update_conflicts=True,
        unique_fields=["variant", "warehouse"],
        update_fields=["quantity", "value"],
    )
    CostBook.objects.bulk_create(
        (
            CostBook(variant_id=pk, method=method, sold_quantity=units, sold_value=value)
            for pk, method in sorted(books.methods.items())
            for units, value in [books.sold.get(pk, (0, costing.NOTHING))]
        ),
        update_conflicts=True,
        unique_fields=["variant"],
        update_fields=["sold_quantity", "sold_value"],
    )


def _ids() -> Iterator[int]:
    """Numbers for new layers, ascending, fetched some at a time."""
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT nextval(pg_get_serial_sequence('stock_costlayer', 'id')) FROM generate_series(1, %s)",
                [IDS_AT_ONCE],
            )
            yield from sorted(row[0] for row in cursor.fetchall())


def _place(warehouse_id: int | None) -> int:
    return costing.ROAD if warehouse_id is None else warehouse_id


def _warehouse(place: int) -> int | None:
    return None if place == costing.ROAD else place
