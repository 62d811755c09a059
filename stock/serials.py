"""The vault's list of single units: which serial number lies on which level. Called by the ledger alone.

A level of a variant tracked by serial holds exactly as many numbers as units, since every movement names the
units that go. A number is one unit for ever: what was shipped comes back by a return, not by a receipt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import connection

from catalog.models import Variant
from partners.problems import Problem
from stock.models import Location

if TYPE_CHECKING:
    from stock.ledger import Key, Posting

NAMED_MAX = 20


class SerialsNeeded(Problem):
    """The variant is tracked by serial number and not each unit is named once. Data: productId, quantity, named."""

    code = "serials_needed"
    title = "Name the serial numbers"
    remedy = "Send as many serialNumbers as units, each once."


class SerialTaken(Problem):
    """Such a unit exists already: it is here, or it was shipped and comes back by a return.

    Data: productId, serialNumbers.
    """

    code = "serial_taken"
    title = "This serial number exists already"
    remedy = "Check the numbers on the goods."


class SerialNotThere(Problem):
    """The unit named does not lie where it is to be taken from. Data: productId, serialNumbers."""

    code = "serial_not_there"
    title = "This unit is not there"
    remedy = "Check the numbers; GET /inventory says what lies where."


def move(entries: Sequence[Posting], movement_ids: Sequence[int], levels: Mapping[Key, int], *, at: datetime) -> None:
    """Let the named units go along with their movements; nothing to do for variants not tracked so.

    The caller holds the locks of all levels touched. One query where no variant is tracked by serial.
    Raises SerialsNeeded, SerialTaken, SerialNotThere.
    """
    tracked = dict(
        Variant.objects.filter(
            pk__in={entry.variant_id for entry in entries}, tracking=Variant.Tracking.SERIAL
        ).values_list("pk", "sku")
    )
    for entry, movement_id in zip(entries, movement_ids, strict=True):
        if entry.variant_id in tracked:
            _move(entry, movement_id, levels, sku=tracked[entry.variant_id], at=at)


def _move(entry: Posting, movement_id: int, levels: Mapping[Key, int], *, sku: str, at: datetime) -> None:
    numbers = sorted(set(entry.serials))
    if len(entry.serials) != entry.quantity or len(numbers) != entry.quantity:
        raise SerialsNeeded(
            f"{sku} is tracked by serial number: {entry.quantity} units move, name each of them once.",
            productId=sku,
            quantity=entry.quantity,
            named=len(numbers),
        )
    target = None if entry.target.is_virtual else levels[entry.side(entry.target)]
    if entry.source.is_virtual:
        _appear(entry, numbers, target, sku=sku, at=at)
    else:
        _leave(entry, numbers, levels[entry.side(entry.source)], target, sku=sku)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO stock_serialmovement (movement_id, serial_id)"
            " SELECT %s, id FROM stock_serial WHERE variant_id = %s AND number = ANY(%s)",
            [movement_id, entry.variant_id, numbers],
        )


def _appear(entry: Posting, numbers: list[str], target: int | None, *, sku: str, at: datetime) -> None:
    """Units come in from outside: new ones are written down, known ones may come back but not be bought twice."""
    may_return = entry.source.location_id != Location.VIRTUAL_IDS[Location.Kind.SUPPLIER]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO stock_serial AS serial (variant_id, number, level_id, received_at)
            SELECT %s, number, %s, %s FROM unnest(%s::text[]) AS number ORDER BY number
            ON CONFLICT (variant_id, number) DO UPDATE SET level_id = excluded.level_id
             WHERE serial.level_id IS NULL AND %s
            RETURNING number
            """,
            [entry.variant_id, target, at, numbers, may_return],
        )
        done = {row[0] for row in cursor.fetchall()}
    if taken := [number for number in numbers if number not in done]:
        raise SerialTaken(
            f"{_some(taken)} of {sku} exist already; a unit that was shipped comes back by a return.",
            productId=sku,
            serialNumbers=taken[:NAMED_MAX],
        )


def _leave(entry: Posting, numbers: list[str], source: int, target: int | None, *, sku: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE stock_serial SET level_id = %s"
            " WHERE variant_id = %s AND number = ANY(%s) AND level_id = %s RETURNING number",
            [target, entry.variant_id, numbers, source],
        )
        done = {row[0] for row in cursor.fetchall()}
    if away := [number for number in numbers if number not in done]:
        raise SerialNotThere(f"{_some(away)} of {sku} do not lie there.", productId=sku, serialNumbers=away[:NAMED_MAX])


def _some(numbers: list[str]) -> str:
    more = len(numbers) - 5
    return ", ".join(numbers[:5]) + (f" and {more} more" if more > 0 else "")


def differences() -> list[str]:
    """Levels that hold another number of serials than units; for the ledger's proof. One query."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT level.id, variant.sku, level.on_hand, count(serial.id)
              FROM catalog_variant variant
              JOIN stock_level level ON level.variant_id = variant.id
              LEFT JOIN stock_serial serial ON serial.level_id = level.id
             WHERE variant.tracking = 'serial'
             GROUP BY level.id, variant.sku HAVING level.on_hand <> count(serial.id) ORDER BY level.id LIMIT 20
            """
        )
        return [
            f"level {level_id} ({sku}): {on_hand} on hand, {serials} serial numbers"
            for level_id, sku, on_hand, serials in cursor.fetchall()
        ]
