"""What inspection decides of goods that came back: each unit has one verdict, and it sends the unit somewhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

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
}


class CannotRestock(Problem):
    """An expired or blocked batch never goes back on sale. Data: productId, batchNumber."""

    code = "cannot_restock"
    title = "This batch cannot be sold again"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What inspection says of so many units of a product (and batch, where it says one)."""

    sku: str
    disposition: str
    quantity: int | None = None
    batch_number: str = ""


def settle(*, returned: Return, verdicts: Sequence[Verdict]) -> list[tuple[ReturnLine, str, int]]:
    """Which units of which lines get which disposition; every unit exactly one. Raises InvalidInput."""
    left = {line: line.quantity for line in lines_of(returned)}
    settled: dict[tuple[ReturnLine, str], int] = defaultdict(int)
    for place, verdict in enumerate(verdicts):
        wanted, before = verdict.quantity, sum(left.values())
        for line in left:
            is_meant = line.order_line.variant.sku == verdict.sku and verdict.batch_number in (
                "",
                line.batch.number if line.batch else "",
            )
            if is_meant and (units := left[line] if wanted is None else min(wanted, left[line])):
                settled[line, verdict.disposition] += units
                left[line] -= units
                wanted = None if wanted is None else wanted - units
        if wanted or sum(left.values()) == before:
            raise InvalidInput.at(f"lines[{place}]", f"Not that many of {verdict.sku} came back.")
    if open_lines := [line for line, units in left.items() if units]:
        sku = open_lines[0].order_line.variant.sku
        raise InvalidInput.at("lines", f"Say what becomes of all units; {left[open_lines[0]]} of {sku} are left.")
    return [(line, disposition, units) for (line, disposition), units in settled.items()]


def write_down(settled: Sequence[tuple[ReturnLine, str, int]]) -> None:
    """A line of which units were judged differently becomes several, so that each verdict is kept."""
    judged: set[int] = set()
    for line, disposition, units in settled:
        row = copy(line)
        if line.pk in judged:
            row.pk = None  # a copy without its key is a new row
        judged.add(line.pk)
        row.disposition, row.quantity = disposition, units
        row.save()


def check_restock(*, piece: Piece, warehouse: Warehouse, at: datetime) -> None:
    batch = piece.batch
    is_unknown = batch is None and piece.variant.tracking == "batch"
    today = at.astimezone(ZoneInfo(warehouse.time_zone)).date()
    is_over = batch is not None and batch.expires_on is not None and batch.expires_on < today
    is_held = batch is not None and batch.hold_state != Batch.HoldState.RELEASED
    if is_unknown or is_over or is_held:
        why = "its batch is not known" if is_unknown else "it is expired" if is_over else "its batch is blocked"
        raise CannotRestock(
            f"{piece.variant.sku} cannot be sold again: {why}.",
            productId=piece.variant.sku,
            batchNumber=batch.number if batch else None,
        )


def target(*, place: str, bin_: Location) -> ledger.Place:
    if place in Level.Condition.values:
        return ledger.Place(location_id=bin_.pk, condition=place)
    return ledger.virtual(Location.Kind(place))
