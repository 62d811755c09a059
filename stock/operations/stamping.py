"""What left under which logical timestamp of its warehouse is kept, for imports that say what they contain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from partners import prepared

KEEP = f"""
    INSERT INTO stock_stampeddeparture (warehouse_id, logical_timestamp, variant_id, batch_id, quantity)
    SELECT * FROM unnest({prepared.BIGINTS}, %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
"""  # noqa: S608  the parts are our own


class Departed(NamedTuple):
    """So many units of ours of one variant and batch left a warehouse at one of its timestamps."""

    warehouse_id: int
    logical_timestamp: int
    variant_id: int
    batch_id: int | None
    quantity: int


def keep(*, departed: Sequence[Departed]) -> None:
    """Write down what left, in the transaction that books it out. One statement.

    That transaction holds the levels: whoever locks them afterwards sees what left of them, all of it or nothing.
    """
    if departed:
        prepared.fetch(KEEP, [prepared.bigints(column) for column in zip(*departed, strict=True)])
