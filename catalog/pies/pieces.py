"""What every piece of an Item is read with: where it stands, what holds for all Items, and how it is cleaned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from catalog.records import Record
from catalog.wording import Unusable, Wording
from partners.xml import Element

PART_MAX, LABEL_MAX, NOTE_MAX, TEXT_MAX = 64, 120, 250, 2_000
QUANTITY_MAX = 99_999_999  # the standard's own
LIST_MAX = 500
MAINTENANCE = {"A", "C", "D", "N"}  # add, change, delete, no change


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A price sheet: what holds for the prices that name it and do not say otherwise."""

    currency: str = ""
    effective: str = ""
    expiration: str = ""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What the file says for all its Items that do not say otherwise."""

    brand: str = ""
    currency: str = ""
    language: str = "EN"
    effective: str = ""
    sheets: Mapping[str, Sheet] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Part:
    """The part an Item is about, and where it stands."""

    number: str
    brand: str
    place: str


def record(
    kind: str,
    element: Element,
    part: Part,
    values: dict[str, Any],
    key: tuple[str, ...],
    wording: Wording,
    fault: str = "",
) -> Record:
    return Record(
        kind=kind,
        place=f"line {element.line}, {part.place}",
        line=element.line,
        key=key,
        values=values,
        is_drop=element.attributes.get("MaintenanceType") == "D",
        notes=tuple(wording.notes),
        fault=fault,
    )


def check_maintenance(element: Element) -> None:
    told = element.attributes.get("MaintenanceType", "")
    if told not in MAINTENANCE:
        raise Unusable(f"the MaintenanceType {told[:20]!r} of <{element.name}> is none of {', '.join(MAINTENANCE)}")


def inner(item: Element, outer: str, *names: str) -> list[Element]:
    around = item.child(outer)
    return [child for child in around.children if child.name in names] if around else []


def kept(item: Element, outer: str, *names: str, wording: Wording) -> list[Element]:
    """The entries of a list in an Item without those it takes away, which are only told: lists are whole."""
    entries = inner(item, outer, *names)
    if len(entries) > LIST_MAX:
        raise Unusable(f"<{outer}> has more than {LIST_MAX} entries")
    kept = [entry for entry in entries if entry.attributes.get("MaintenanceType") != "D"]
    if len(kept) < len(entries):
        wording.notes.append(f"{outer}: {len(entries) - len(kept)} taken away")
    return kept


def said(element: Element, names: Mapping[str, str], wording: Wording, most: int = LABEL_MAX) -> dict[str, str]:
    """The texts of children, by the names we give them; those that say nothing are left out."""
    told = ((name, wording.text(element.said(tag), tag, most)) for tag, name in names.items())
    return {name: text for name, text in told if text}


def attributes(element: Element, names: Mapping[str, str], wording: Wording) -> dict[str, str]:
    told = ((name, wording.text(element.attributes.get(tag, ""), tag, NOTE_MAX)) for tag, name in names.items())
    return {name: text for name, text in told if text}
