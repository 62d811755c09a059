"""What a range of a warehouse's logical timestamps says of a number, and what the number says of the shelf. Pure.

A unit that left is taken off every number stated for its place until one contains it. Which are contained is a set of
timestamps, so that a range said twice, or two that overlap, change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

TIMESTAMP_MAX = 2**63 - 1


@dataclass(frozen=True, kw_only=True)
class Range:
    """Both ends included. Without a start from the first timestamp; without an end nothing is said."""

    starts: int | None = None
    ends: int | None = None


def contained(said: Range, *, is_of_now: bool) -> tuple[int, int]:
    """The timestamps a number contains. Where nothing is said, all of them if it is of now, else none: who does not say
    what it contains cannot be believed to know of it."""
    if said.ends is None:
        return (1, TIMESTAMP_MAX) if is_of_now else (1, 0)
    return said.starts or 1, said.ends


def is_stale(*, ends: int | None, stated_by_later: bool, stated_through: int) -> bool:
    """Whether a place was stated anew since: through a later timestamp, or as far by an import that came after."""
    if ends is not None and ends != stated_through:
        return ends < stated_through
    return stated_by_later


def on_shelf(*, counted: int, left_since: int) -> int:
    """What lies there if so much was counted and so much left later. The shelf never holds less than nothing."""
    return max(0, counted - left_since)


@dataclass(frozen=True, kw_only=True)
class Bin:
    """A level of one place: what lies there and what of it is free."""

    level_id: int
    on_hand: int
    free: int


def taken_from(bins: Sequence[Bin], units: int) -> list[tuple[int, int]]:
    """(level, units) that add up to what is missing: what is free first, bin by bin, then what is promised.

    The bins come in the order to be asked; together they hold that many units.
    """
    taken = dict.fromkeys((one.level_id for one in bins), 0)
    for one in bins:
        taken[one.level_id] = min(one.free, units)
        units -= taken[one.level_id]
    for one in bins:
        more = min(one.on_hand - taken[one.level_id], units)
        taken[one.level_id] += more
        units -= more
    return [(level_id, quantity) for level_id, quantity in taken.items() if quantity]
