"""What inspection decides of goods that came back: each unit has one verdict, and it sends the unit somewhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from catalog.models import Variant
from orders.models import Return, ReturnLine
from orders.operations.pieces import Piece, lines_of
from partners.problems import InvalidInput, Problem
from stock import ledger
from stock.models import Batch, Level, Location, Warehouse

Disposition = ReturnLine.Disposition
# Where inspected goods go; what stays in quarantine is not moved.
PLACES: dict[str, str] = {
    Disposition.RESTOCK: Level.Condition.SELLABLE,
    Disposition.DAMAGED: Level.Condition.DAMAGED,
    Disposition.SCRAP: Location.Kind.SCRAP,
    Disposition.RETURN_TO_VENDOR: Location.Kind.SUPPLIER,
    Disposition.WARRANTY_CLAIM: Level.Condition.WARRANTY,
}


class CannotRestock(Problem):
    """What is expired, blocked or of an unknown batch never goes back on sale.

    Data: productId, batchNumber, allowedDispositions.
    """

    code = "cannot_restock"
    title = "This batch cannot be sold again"
    remedy = "Choose one of allowedDispositions."


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What inspection says of so many units of a product (and batch, or the one unit, where it says which)."""

    sku: str
    disposition: str
    quantity: int | None = None
    batch_number: str = ""
    serial_number: str = ""

    def is_of(self, line: ReturnLine) -> bool:
        return (
            line.order_line.variant.sku == self.sku
            and self.batch_number in ("", line.batch.number if line.batch else "")
            and self.serial_number in ("", line.serial_number)
        )


def settle(*, returned: Return, verdicts: Sequence[Verdict]) -> list[tuple[ReturnLine, str, int]]:
    """Which units of which lines get which disposition; every unit exactly one. Raises InvalidInput."""
    left = {line: line.quantity for line in lines_of(returned)}
    settled: dict[tuple[ReturnLine, str], int] = defaultdict(int)
    for place, verdict in enumerate(verdicts):
        wanted, before = verdict.quantity, sum(left.values())
        for line in left:
            if verdict.is_of(line) and (units := left[line] if wanted is None else min(wanted, left[line])):
                settled[line, verdict.disposition] += units
                left[line] -= units
                wanted = None if wanted is None else wanted - units
        if wanted or sum(left.values()) == before:
            raise InvalidInput.at(f"lines[{place}]", f"Not that many of {verdict.sku} came back.")
    if open_lines := [line for line, units in left.items() if units]:
        sku = open_lines[0].order_line.variant.sku
        raise InvalidInput.at("lines", f"Say what becomes of all units; {left[open_lines[0]]} of {sku} are left.")
    return [(line, disposition, units) for (line, disposition), units in settled.items()]


def write_down(settled: Sequence[tuple[ReturnLine, str, int]]) -> list[ReturnLine]:
    """A line of which units were judged differently becomes several, so that each verdict is kept; a row for each."""
    judged: set[int] = set()
    rows = []
    for line, disposition, units in settled:
        row = copy(line)
        if line.pk in judged:
            row.pk = None  # a copy without its key is a new row
        judged.add(line.pk)
        row.disposition, row.quantity = disposition, units
        row.save()
        rows.append(row)
    return rows


def check_restock(*, judged: Sequence[Piece], warehouse: Warehouse, at: datetime) -> None:
    """None of these may be expired, of a blocked batch, or of an unknown one. One query.

    The caller holds the levels: who holds a batch back needs all of them, so what is read here stays so. Raises
    CannotRestock.
    """
    batches = Batch.objects.in_bulk({piece.batch.pk for piece in judged if piece.batch})
    today = at.astimezone(ZoneInfo(warehouse.time_zone)).date()
    for piece in judged:
        batch = batches[piece.batch.pk] if piece.batch else None
        if why := _why_not(piece.variant, batch, today):
            raise CannotRestock(
                f"{piece.variant.sku} cannot be sold again: {why}.",
                productId=piece.variant.sku,
                batchNumber=batch.number if batch else None,
                allowedDispositions=[str(row) for row in Disposition if row != Disposition.RESTOCK],
            )


def _why_not(variant: Variant, batch: Batch | None, today: date) -> str:
    if batch is None:
        return "its batch is not known" if variant.tracking == Variant.Tracking.BATCH else ""
    if batch.expires_on is not None and batch.expires_on < today:
        return "it is expired"
    return "" if batch.hold_state == Batch.HoldState.RELEASED else "its batch is blocked"


def target(*, place: str, bin_: Location) -> ledger.Place:
    if place in Level.Condition.values:
        return ledger.Place(location_id=bin_.pk, condition=place)
    return ledger.virtual(Location.Kind(place))
