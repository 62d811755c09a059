"""The single units of a transfer, of variants tracked by serial number: which go, are on the road, and came.

Called by `transfers` alone, under its locks.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from catalog.models import Variant
from stock.allocation import Candidate
from stock.models import Location, Serial, SerialMovement, Transfer, TransferLine
from stock.serials import NAMED_MAX, SerialNotThere, SerialsNeeded

if TYPE_CHECKING:
    from stock.operations.transfers import Arrival, Share

ROAD = Location.VIRTUAL_IDS[Location.Kind.IN_TRANSIT]

# variant, batch, owner → the numbers, in order
Units = dict[tuple[int, int | None, int | None], dict[str, None]]


def key(line: TransferLine) -> tuple[int, int | None, int | None]:
    return line.variant_id, line.batch_id, line.owner_id


def named_units(
    *, lines: Sequence[TransferLine], shelf: Sequence[Candidate], serials: Sequence[str]
) -> tuple[dict[int, list[str]], list[Candidate]]:
    """The units named, by the level they lie on, and the shelf with only them of what is tracked so.

    Raises SerialNotThere, and SerialsNeeded where not as many are named as go.
    """
    wanted: Counter[Variant] = Counter()
    for line in lines:
        if line.variant.tracking == Variant.Tracking.SERIAL:
            wanted[line.variant] += line.quantity
    lying: dict[int, list[str]] = defaultdict(list)
    if not wanted and not serials:
        return lying, list(shelf)
    tracked = {variant.pk for variant in wanted}
    rows = Serial.objects.filter(
        level__in=[row.level_id for row in shelf], variant__in=tracked, number__in=serials
    ).order_by("number")
    named: Counter[int] = Counter()
    for level_id, variant_id, number in rows.values_list("level", "variant", "number"):
        lying[level_id].append(number)
        named[variant_id] += 1
    if away := sorted(set(serials) - {number for numbers in lying.values() for number in numbers}):
        raise SerialNotThere("Some of the units named do not lie there to be sent.", serialNumbers=away[:NAMED_MAX])
    for variant, quantity in wanted.items():
        if named[variant.pk] != quantity:
            raise _unnamed(variant, quantity, named[variant.pk])
    return lying, [
        replace(row, available=min(row.available, len(lying[row.level_id]))) if row.variant_id in tracked else row
        for row in shelf
    ]


def in_transit(*, transfer: Transfer, lines: Sequence[TransferLine]) -> Units:
    """The units the ledger says are on the road with this transfer. One query, none where no unit has a number."""
    units: Units = defaultdict(dict)
    if all(line.variant.tracking != Variant.Tracking.SERIAL for line in lines):
        return units
    rows = SerialMovement.objects.filter(movement__reference=transfer.number).order_by("movement", "serial__number")
    for variant_id, batch_id, owner_id, to, number in rows.values_list(
        "movement__variant", "movement__batch", "movement__owner", "movement__to_location", "serial__number"
    ):
        if to == ROAD:
            units[variant_id, batch_id, owner_id][number] = None
        else:
            units[variant_id, batch_id, owner_id].pop(number, None)
    return units


def of_shares(*, row: Arrival, shares: Sequence[Share], units: Units) -> list[tuple[str, ...]]:
    """The units of each share, taken off the road. Raises SerialsNeeded, SerialNotThere."""
    variant = shares[0].line.variant
    if variant.tracking != Variant.Tracking.SERIAL:
        return [()] * len(shares)
    travelling = {number: None for share in shares if not share.is_over for number in units[key(share.line)]}
    left = list(dict.fromkeys(row.serials)) or list(travelling)
    if len(left) != row.quantity:
        raise _unnamed(variant, row.quantity, len(set(row.serials)))
    left.sort(key=lambda number: number not in travelling)
    found = []
    for share in shares:
        here = left if share.is_over else [number for number in left if number in units[key(share.line)]]
        taken = here[: share.quantity]
        if len(taken) < share.quantity:
            away = [number for number in left if number not in travelling]
            raise SerialNotThere(
                f"Other units of {variant.sku} are on the road than those named.",
                productId=variant.sku,
                serialNumbers=away[:NAMED_MAX],
            )
        left = [number for number in left if number not in taken]
        for number in taken:
            units[key(share.line)].pop(number, None)
        found.append(tuple(taken))
    return found


def _unnamed(variant: Variant, quantity: int, named: int) -> SerialsNeeded:
    return SerialsNeeded(
        f"{variant.sku} is tracked by serial number: name each of the {quantity} units once.",
        productId=variant.sku,
        quantity=quantity,
        named=named,
    )


def cut(*, units: list[str], quantity: int) -> tuple[str, ...]:
    """The next so many of a list, which are then gone from it."""
    cut = tuple(units[:quantity])
    del units[:quantity]
    return cut
