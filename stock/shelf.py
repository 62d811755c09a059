"""What a shop's sale has taken from the shelf, as far as the book can tell. Pure: no database.

Free units first, then promised ones; what the book does not have was there all the same, and is found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(kw_only=True)
class Lying:
    """Units on a level of a shop. `rank` says what is sold first; `counted_at`, when somebody last counted them."""

    level_id: int
    variant_id: int
    warehouse_id: int
    batch_id: int | None
    rank: tuple[object, ...]
    is_sellable: bool
    on_hand: int
    reserved: int
    counted_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Sold:
    """So many units that were sold, of a batch (null: nobody said which)."""

    variant_id: int
    warehouse_id: int
    batch_id: int | None
    quantity: int
    occurred_at: datetime


@dataclass(frozen=True, kw_only=True)
class Taken:
    """Units of a level that are gone; `broken` of them were promised."""

    level_id: int
    quantity: int
    broken: int


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Where the units of a sale came from: levels; levels counted since, which lack them already; nowhere."""

    taken: list[Taken] = field(default_factory=list)
    counted: Taken | None = None
    found: int = 0


class Shelf:
    """What still lies there while sale after sale takes from it."""

    def __init__(self, lying: Iterable[Lying]) -> None:
        self.rows: dict[tuple[int, int], list[Lying]] = defaultdict(list)
        for row in sorted(lying, key=lambda row: row.rank):
            self.rows[row.variant_id, row.warehouse_id].append(row)

    def decide(self, sold: Sold) -> Decision:
        """A batch that is named is taken whatever its state; else what was on sale, first expired first.

        A place that was counted after the sale was counted without the units, and does not give them again.
        """
        rows = [
            row
            for row in self.rows[sold.variant_id, sold.warehouse_id]
            if (row.batch_id == sold.batch_id if sold.batch_id is not None else row.is_sellable)
        ]
        open_rows = [row for row in rows if row.counted_at is None or row.counted_at <= sold.occurred_at]
        left = sold.quantity
        free: dict[int, int] = {}
        for row in open_rows:
            free[row.level_id] = min(left, row.on_hand - row.reserved)
            left -= free[row.level_id]
        taken = []
        for row in open_rows:
            broken = min(left, row.reserved)
            left -= broken
            if units := free[row.level_id] + broken:
                row.on_hand -= units
                row.reserved -= broken
                taken.append(Taken(level_id=row.level_id, quantity=units, broken=broken))
        closed = [row for row in rows if row not in open_rows]
        if left and closed:
            return Decision(taken=taken, counted=Taken(level_id=closed[0].level_id, quantity=left, broken=0))
        return Decision(taken=taken, found=left)

    def take(self, level_id: int) -> int:
        """One unit of a level, named by its number; answers how many promised units that breaks."""
        for row in (row for rows in self.rows.values() for row in rows if row.level_id == level_id):
            broken = 0 if row.on_hand > row.reserved else min(1, row.reserved)
            row.on_hand -= 1
            row.reserved -= broken
            return broken
        return 0
