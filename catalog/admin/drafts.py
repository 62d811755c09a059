"""New variants before they are a plan: proposed for free places, pasted from a spreadsheet, mended in a form.

What is wrong is said cell by cell here, so that it is mended before anything is planned; the plan and the
operations behind it look at everything again.
"""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from catalog.matrix import Place, folded, place_of
from catalog.models import Identifier, Variant
from catalog.operations import imports
from catalog.operations.axes import VALUE_MAX
from catalog.operations.identifiers import normalise_gtin
from partners import files
from partners.actors import Actor
from partners.admin import said
from partners.problems import Problem

ROWS_MAX = 2_000
COLUMNS_MAX = 100
TEXT_MAX = 1_000_000
PATTERN = "{parent}-{value}"
PATTERN_MAX = 200
SKU_MAX, NAME_MAX = 64, 250
PART = re.compile(r"[^A-Za-z0-9._+]+")
OWN = ("productId", "name", "gtin")
AXIS = "axisValues."


class Unreadable(Exception):
    """What was pasted is no table of variants; the sentence says why and what to do."""


@dataclass
class Draft:
    """A variant to be: its place, what is typed of it, other columns as they came, and what is wrong by column."""

    number: int
    place: Place
    sku: str = ""
    name: str = ""
    gtin: str = ""
    others: dict[str, str] = field(default_factory=dict)
    stands: Variant | None = None
    faults: dict[str, str] = field(default_factory=dict)
    is_left_out: bool = False

    @property
    def kept(self) -> str:
        """What the form carries unseen."""
        return json.dumps({"number": self.number, "place": self.place, "others": self.others})


def proposed(parent: Variant, places: Iterable[Place], pattern: str) -> list[Draft]:
    """A draft for each free place, its SKU by the pattern and its name after the parent's."""
    return [
        Draft(number=number, place=place, sku=sku_for(parent, place, pattern), name=name_for(parent, place))
        for number, place in enumerate(places, 1)
    ]


def sku_for(parent: Variant, place: Place, pattern: str) -> str:
    """`{parent}` and `{<axis>}` are what they say; `{value}` is all values in their order, or one where it is
    written once for each."""
    parts = dict(zip(parent.axes, map(sku_part, place), strict=True))
    sku = pattern.replace("{parent}", parent.sku)
    for axis, part in parts.items():
        sku = sku.replace(f"{{{axis}}}", part)
    if sku.count("{value}") == 1:
        return sku.replace("{value}", "-".join(parts.values()))
    for part in parts.values():
        sku = sku.replace("{value}", part, 1)
    return sku.replace("{value}", "").strip("-")


def sku_part(value: str) -> str:
    """A value as a SKU can say it: "30 ml" is 30ML, "Café" is CAFE."""
    plain = unicodedata.normalize("NFKD", value).encode("ascii", "ignore").decode()
    return PART.sub("-", re.sub(r"\s+", "", plain)).strip("-").upper()


def name_for(parent: Variant, place: Place) -> str:
    return f"{parent.name} {' '.join(place)}"[:NAME_MAX]


def pasted(parent: Variant, text: str, *, cells: str, pattern: str) -> list[Draft]:
    """The drafts of a table as a spreadsheet copies it: with a header row, or shaped like the matrix itself.

    With a header each row is a variant and its columns are axes and columns of a catalog file. Without one the
    first column holds values of the first axis, the first row those of the second, and the `cells` SKUs or GTINs
    ("sku", "gtin"); empty cells mean nothing. Raises Unreadable.
    """
    rows = [row for row in table_of(text) if any(row)]
    if not rows:
        raise Unreadable("There is nothing in it.")
    header = [column_of(parent, name) for name in rows[0]]
    if is_header(parent, header):
        drafts = listed(parent, header, rows)
    elif len(parent.axes) <= 2:
        drafts = shaped(parent, rows, cells)
    else:
        raise Unreadable(
            f"With {len(parent.axes)} axes, paste a header row: {', '.join(parent.axes)}, SKU, name, GTIN."
        )
    complete(parent, drafts, pattern)
    return drafts


def complete(parent: Variant, drafts: Sequence[Draft], pattern: str) -> None:
    """What a row leaves open is what stands at its place or under its SKU, else proposed. One query."""
    rows = list(Variant.objects.filter(parent=parent).order_by("status", "sku"))
    by_sku = {row.sku: row for row in rows}
    by_place = {folded(place): row for row in reversed(rows) if (place := place_of(row, parent.axes))}
    for draft in drafts:
        there = by_sku.get(draft.sku) if draft.sku else by_place.get(folded(draft.place))
        if there is not None:
            draft.sku, draft.name = there.sku, draft.name or there.name
        elif all(draft.place):
            draft.sku = draft.sku or sku_for(parent, draft.place, pattern)
        draft.name = draft.name or name_for(parent, draft.place)


def table_of(text: str) -> list[list[str]]:
    delimiter = "\t" if "\t" in text else max(",;", key=text.partition("\n")[0].count)
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text), delimiter=delimiter)]
    except csv.Error as error:
        raise Unreadable(f"It cannot be read as a table: {error}.") from error
    if len(rows) > ROWS_MAX + 1 or max(map(len, rows), default=0) > COLUMNS_MAX:
        raise Unreadable(f"At most {ROWS_MAX:,} rows and {COLUMNS_MAX} columns at once; load more as a file.")
    return rows


def column_of(parent: Variant, name: str) -> str | None:
    """The column a heading means: an axis of the parent, or a column of a catalog file."""
    plain = name.removeprefix(AXIS).strip().casefold()
    axis = next((axis for axis in parent.axes if axis.casefold() == plain), None)
    if axis is not None:
        return AXIS + axis
    if name.startswith("attributes.") and name != "attributes.":
        return name
    return files.canonical(name, imports.CatalogFile.columns)


def is_header(parent: Variant, header: Sequence[str | None]) -> bool:
    """A first row names columns where it names every axis and something else, or a SKU."""
    named = set(header) - {None}
    return "productId" in named or (len(named) > 1 and all(AXIS + axis in named for axis in parent.axes))


def listed(parent: Variant, header: Sequence[str | None], rows: list[list[str]]) -> list[Draft]:
    names = dict(enumerate(rows[0]))
    if unknown := [names[place] for place, column in enumerate(header) if column is None and names[place]]:
        raise Unreadable(f"There is no column {unknown[0][:40]!r}; take it out, or name it as in a catalog file.")
    if twice := [column for column in header if column and header.count(column) > 1]:
        raise Unreadable(f"The column {twice[0].removeprefix(AXIS)} is there twice.")
    drafts: list[Draft] = []
    for number, row in enumerate(rows[1:], 2):
        values = {column: cell for column, cell in zip(header, row, strict=False) if column and cell}
        if len(row) > len(header):
            values["row"] = "has more cells than the first row"
        place = tuple(" ".join(values.pop(AXIS + axis, "").split()) for axis in parent.axes)
        own = {name: values.pop(column, "") for name, column in zip(("sku", "name", "gtin"), OWN, strict=True)}
        drafts.append(Draft(number=number, place=place, **own, others=values))
    return drafts


def shaped(parent: Variant, rows: list[list[str]], cells: str) -> list[Draft]:
    """One axis: value and cell side by side, a row each. Two: a corner, the second axis on top, the first down."""
    if len(parent.axes) == 1:
        if max(map(len, rows)) > 2:
            raise Unreadable(f"Paste two columns, {parent.axes[0]} and its SKU or GTIN; or more with a header row.")
        found = [((row[0],), "".join(row[1:])) for row in rows]
    else:
        tops = rows[0][1:]
        if not tops or not all(tops) or rows[0][0].casefold() not in {"", *(axis.casefold() for axis in parent.axes)}:
            raise Unreadable(
                f"The first row names neither columns nor values of {parent.axes[1]}: leave its first cell empty."
            )
        if any(len(row) > len(rows[0]) for row in rows):
            raise Unreadable("A row has more cells than the first one.")
        found = [((row[0], top), cell) for row in rows[1:] for top, cell in zip(tops, row[1:], strict=False)]
    attribute = "gtin" if cells == "gtin" else "sku"
    drafts: list[Draft] = []
    for place, cell in found:
        if cell:
            draft = Draft(number=len(drafts) + 1, place=tuple(" ".join(text.split()) for text in place))
            setattr(draft, attribute, cell)
            drafts.append(draft)
    return drafts


def check(parent: Variant, drafts: Sequence[Draft], *, actor: Actor) -> None:
    """Say of each draft, by column, what could not be made. Four queries, however many.

    A SKU that is one of the parent's own variants already is a change of it, and no fault.
    """
    for draft in drafts:
        draft.faults = {}
    drafts = [draft for draft in drafts if not draft.is_left_out]
    _check_texts(parent, drafts)
    _check_skus(parent, drafts)
    _check_places(parent, drafts)
    _check_gtins(drafts, actor)


def _check_texts(parent: Variant, drafts: Sequence[Draft]) -> None:
    for draft in drafts:
        for axis, value in zip(parent.axes, draft.place, strict=True):
            if not value:
                draft.faults[axis] = "is missing"
            elif len(value) > VALUE_MAX or not value.isprintable():
                draft.faults[axis] = f"is no text of 1 to {VALUE_MAX} characters one can see"
        if not draft.name or len(draft.name) > NAME_MAX or not draft.name.isprintable():
            draft.faults["name"] = f"is no text of 1 to {NAME_MAX} characters one can see"
        if not draft.sku:
            draft.faults["sku"] = "is missing"
        elif len(draft.sku) > SKU_MAX or not imports.SKU.fullmatch(draft.sku):
            draft.faults["sku"] = f"has up to {SKU_MAX} letters, digits and . _ + - only"
        if wrong := draft.others.get("row"):
            draft.faults["row"] = wrong


def _check_skus(parent: Variant, drafts: Sequence[Draft]) -> None:
    known = {variant.sku: variant for variant in Variant.objects.filter(sku__in={draft.sku for draft in drafts})}
    first: dict[str, int] = {}
    for draft in drafts:
        found = known.get(draft.sku)
        draft.stands = found if found is not None and found.parent_id == parent.pk else None
        if draft.sku in first:
            draft.faults.setdefault("sku", f"is there twice, in row {first[draft.sku]} too")
        elif found is not None and draft.stands is None:
            draft.faults["sku"] = f"is another product already: {found.name}"
        elif draft.stands is not None and draft.stands.axis_values:
            there = tuple(draft.stands.axis_values.get(axis, "") for axis in parent.axes)
            if folded(there) != folded(draft.place):
                draft.faults["sku"] = f"stands at {' / '.join(there)} already"
        first.setdefault(draft.sku, draft.number)


def _check_places(parent: Variant, drafts: Sequence[Draft]) -> None:
    rows = Variant.objects.filter(parent=parent, status=Variant.Status.ACTIVE).exclude(axis_values={})
    taken = {folded(tuple(values.get(axis, "") for axis in parent.axes)): sku for sku, values in rows.values_list("sku", "axis_values")}  # fmt: skip
    first: dict[Place, Draft] = {}
    for draft in drafts:
        here = folded(draft.place)
        if (there := taken.get(here)) and there != draft.sku:
            draft.faults["place"] = f"{there} stands there"
        elif (before := first.get(here)) and before.sku != draft.sku:
            draft.faults["place"] = f"is there twice, in row {before.number} too"
        first.setdefault(here, draft)


def _check_gtins(drafts: Sequence[Draft], actor: Actor) -> None:
    file = imports.CatalogFile(actor=actor)
    read: dict[int, str] = {}
    for place, draft in enumerate(drafts):
        try:
            if draft.gtin:
                read[place] = normalise_gtin(file.gtin(draft.gtin, draft.number))
        except Problem as problem:
            draft.faults["gtin"] = said(problem)
    rows = Identifier.objects.gtins().filter(plain__in=set(read.values()), partner=None)
    taken = {plain: (pk, sku) for plain, pk, sku in rows.values_list("plain", "variant_id", "variant__sku")}
    first: dict[str, int] = {}
    for place, gtin in read.items():
        draft = drafts[place]
        pk, sku = taken.get(gtin, (None, ""))
        if pk is not None and (draft.stands is None or draft.stands.pk != pk):
            draft.faults["gtin"] = f"belongs to {sku}"
        elif gtin in first:
            draft.faults["gtin"] = f"is there twice, in row {first[gtin]} too"
        first.setdefault(gtin, draft.number)


def as_rows(parent: Variant, drafts: Sequence[Draft], declared: Iterable[str]) -> list[files.Row]:
    """The drafts as rows of a catalog file. What is new takes after its parent where its row says nothing.

    An attribute the type declares under the name of an axis is the variant's value of it.
    """
    return [
        files.Row(draft.number, as_values(parent, draft, set(declared))) for draft in drafts if not draft.is_left_out
    ]


def as_values(parent: Variant, draft: Draft, declared: set[str]) -> dict[str, Any]:
    values: dict[str, Any] = {"productId": draft.sku, "parentId": parent.sku}
    if draft.stands is None:
        axes = {axis: value for axis, value in zip(parent.axes, draft.place, strict=True) if axis in declared}
        values |= {
            "productType": parent.product_type_id, "brand": parent.brand, "unit": parent.unit,
            "tracking": parent.tracking, "attributes": parent.attributes,
        }  # fmt: skip
        values |= {f"attributes.{axis}": value for axis, value in axes.items()}
    values |= {AXIS + axis: value for axis, value in zip(parent.axes, draft.place, strict=True)}
    values |= {name: value for name, value in (("name", draft.name), ("gtin", draft.gtin)) if value}
    return values | draft.others
