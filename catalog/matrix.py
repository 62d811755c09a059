"""A parent's variants as tables along its axes: what stands where, and which places are free. Reads only."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from catalog.models import Variant

# A family is a few dozen; one of thousands is shown in part and says so.
VARIANTS_MAX = 2_000
CELLS_MAX = 2_500
DIGITS = re.compile(r"(\d+)")

Place = tuple[str, ...]
"""A text for each axis, in the order of the axes."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A place and what stands there: at most one on sale, and any number that no longer are."""

    place: Place
    variants: list[Variant]

    @property
    def is_free(self) -> bool:
        return all(variant.status != Variant.Status.ACTIVE for variant in self.variants)

    @property
    def name(self) -> str:
        return " / ".join(self.place)

    @property
    def sent(self) -> str:
        """The place as a form sends it."""
        return json.dumps(self.place)


@dataclass(frozen=True, kw_only=True)
class Table:
    """The first axis down, the second across; `rest` says where on the others, if there are any."""

    rest: list[tuple[str, str]]
    columns: list[str]
    rows: list[tuple[str, list[Cell]]]


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """The tables of a parent, the values of each axis, and the variants that stand nowhere."""

    parent: Variant
    values: dict[str, list[str]]
    tables: list[Table]
    astray: list[Variant]
    is_whole: bool

    @property
    def free(self) -> int:
        return sum(cell.is_free for table in self.tables for _, cells in table.rows for cell in cells)


def of(parent: Variant, *, more: Mapping[str, Sequence[str]] | None = None) -> Matrix:
    """The matrix of a parent, with `more` values of its axes that no variant has yet. One query.

    Values that differ in case alone are one, as they are to whoever chooses.
    """
    children = list(Variant.objects.filter(parent=parent).order_by("sku")[: VARIANTS_MAX + 1])
    shown, axes = children[:VARIANTS_MAX], list(parent.axes)
    standing: dict[Place, list[Variant]] = {}
    for variant in shown:
        if place := place_of(variant, axes):
            standing.setdefault(folded(place), []).append(variant)
    values = {axis: values_of(axis, shown, (more or {}).get(axis, ())) for axis in axes}
    tables, is_cut = tables_of(values, standing)
    astray = [variant for variant in shown if not place_of(variant, axes)]
    is_whole = len(children) <= VARIANTS_MAX and not is_cut
    return Matrix(parent=parent, values=values, tables=tables, astray=astray, is_whole=is_whole)


def place_of(variant: Variant, axes: Sequence[str]) -> Place | None:
    """Where a variant stands; nowhere where it says nothing of an axis."""
    texts = [variant.axis_values.get(axis) for axis in axes]
    return tuple(texts) if axes and all(texts) else None


def folded(place: Place) -> Place:
    """A place for comparison, the way the database compares it."""
    return tuple(text.lower() for text in place)


def values_of(axis: str, variants: Sequence[Variant], more: Sequence[str]) -> list[str]:
    """The values of an axis in the order people count: 30 ml before 100 ml."""
    known: dict[str, str] = {}
    for text in itertools.chain((variant.axis_values.get(axis) for variant in variants), more):
        if text:
            known.setdefault(text.lower(), text)
    return sorted(known.values(), key=counted)


def counted(text: str) -> list[tuple[int, str]]:
    parts = DIGITS.split(text.lower())
    return [(int(part[:18]), "") if place % 2 else (-1, part) for place, part in enumerate(parts)]


def tables_of(values: dict[str, list[str]], standing: dict[Place, list[Variant]]) -> tuple[list[Table], bool]:
    """A table for each combination of the axes after the second, and whether some had to be left out. Pure."""
    if not values:
        return [], False
    axes, lists = list(values), list(values.values())
    down, across = lists[0], lists[1] if len(lists) > 1 else [""]
    rests = list(itertools.islice(itertools.product(*lists[2:]), CELLS_MAX))
    if prod(map(len, lists)) > CELLS_MAX:
        taken = {place[2:] for place in standing}
        rests = [rest for rest in rests if folded(rest) in taken]
    tables, left, is_cut = [], CELLS_MAX, prod(map(len, lists[2:])) > len(rests)
    for rest in rests:
        rows = down[: left // max(1, len(across))]
        is_cut = is_cut or len(rows) < len(down)
        left -= len(rows) * len(across)
        cells = [(row, [cell_at(row, column, rest, standing) for column in across]) for row in rows]
        if cells:
            named = list(zip(axes[2:], rest, strict=True))
            tables.append(Table(rest=named, columns=across if len(lists) > 1 else [], rows=cells))
    return tables, is_cut


def cell_at(row: str, column: str, rest: Place, standing: dict[Place, list[Variant]]) -> Cell:
    place = (row, column, *rest) if column else (row,)
    return Cell(place=place, variants=standing.get(folded(place), []))
