"""Which buildings together have all of a cart, and how it is laid out over them. Pure: rooms in, places out.

A room says how many of a line one building has: a row of rooms is one building's, line by line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import le

from orders.plans import Line

TRIES_MAX = 3_000
"""Combinations of buildings looked at for one arrival day, the nearest first."""
Share = tuple[int, int]
"""A line by its place among the lines, and how many of it."""


def room(line: Line, has: Mapping[int, int]) -> int:
    """How many of a line can be made of what a building has."""
    if len(line.parts) == 1:
        [(part, each)] = line.parts
        return has.get(part, 0) // each
    return min([has.get(part, 0) // each for part, each in line.parts])


def sets(
    wanted: Sequence[int], rows: Sequence[Sequence[int]], buildings: Sequence[str], *, count: int
) -> tuple[list[list[int]], bool]:
    """Rows of so many different buildings that have all lines together: each set once, in order of preference.

    And whether these are all there are, not as many as were looked at.
    """
    found: dict[tuple[int, ...], list[int]] = {}
    tries = TRIES_MAX

    def add(chosen: list[int], short: list[int]) -> None:
        nonlocal tries
        tries -= 1
        lacking = next((line for line, units in enumerate(short) if units > 0), None)
        if lacking is None:
            if len(chosen) == count:
                places = sorted(chosen)
                found.setdefault(tuple(places), places)
            return
        if len(chosen) == count:
            return
        taken = {buildings[place] for place in chosen}
        is_last = len(chosen) + 1 == count
        for place, row in enumerate(rows):
            if tries <= 0:
                return
            if not row[lacking] or buildings[place] in taken:
                continue
            if is_last and not all(map(le, short, row)):
                tries -= 1
                continue
            add([*chosen, place], [units - here for units, here in zip(short, row, strict=True)])

    add([], list(wanted))
    return list(found.values()), tries > 0


def spread(
    lines: Sequence[Line], has: Sequence[Mapping[int, int]], rows: Sequence[Sequence[int]] | None = None
) -> list[list[Share]] | None:
    """The lines laid out over what several have, each in as few places as can be, the first places first.

    With `rows` no line takes of what another wants; without, what is laid out is there no more for the next.
    """
    left = [] if rows else [dict(units) for units in has]
    columns = list(zip(*rows, strict=True)) if rows else []
    shares: list[list[Share]] = [[] for _ in has]
    for number, line in enumerate(lines):
        rooms = columns[number] if rows else [room(line, here) for here in left]
        wanted = line.quantity
        if sum(rooms) < wanted:
            return None
        whole = next((place for place, here in enumerate(rooms) if here >= wanted), None)
        places = [whole] if whole is not None else sorted(range(len(rooms)), key=lambda place: -rooms[place])
        for place in places:
            if units := min(wanted, rooms[place]):
                wanted -= units
                shares[place].append((number, units))
                for part, each in line.parts if left else ():
                    left[place][part] -= each * units
    return shares
