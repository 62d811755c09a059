"""What any file says of products, in one shape: the readers make it, the import plans with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One thing a file says of a product, whatever the format."""

    kind: str  # "product" | "fitment" | "price" | "equivalent" | "supply"
    place: str  # where it stands, for people: "row 7", "line 812, App 33"
    key: tuple[str, ...]  # what it is about; begins with the productId (SKU) or the brand's part number
    values: dict[str, Any]  # the contract's field names (camelCase), JSON-able; absent = not said
    is_drop: bool = False  # the file takes it away
    notes: tuple[str, ...] = ()  # what was cleaned on the way in
    fault: str = ""  # why it cannot be taken
    line: int = field(default=0, compare=False)  # of the file, for whoever lists what was refused


@dataclass(frozen=True, kw_only=True, slots=True)
class Replaced:
    """A whole set a full file stands for: what is in the set and not in the file goes.

    Where a record of the file has a fault, the set is not known to be whole: do not let go what it may be about.
    """

    kinds: tuple[str, ...]  # of the records, as in Record.kind
    brands: tuple[str, ...]  # AAIA brand ids, as in values["brandAaiaId"]


@dataclass(frozen=True, kw_only=True)
class Book:
    """A whole file: its records in order, and the columns nobody understood, complete once the records are read.

    Of a file with an envelope (ACES, PIES) that was proved before: the file is whole and counts its records rightly.
    The records are read from the file as they are taken, so it must stay where it is until then.
    """

    records: Iterator[Record]
    ignored: list[str] = field(default_factory=list)
    replaces: Replaced | None = None  # None: the file adds, changes and takes away, and leaves the rest
    about: Mapping[str, str] = field(default_factory=dict)  # the file's own words on itself: sender, dates, versions
    count: int = 0  # Apps or Items in the file; an Item may be several records
    skipped: Mapping[str, int] = field(default_factory=dict)  # what is there and not read, by name


def document(record: Record) -> dict[str, Any]:
    """A record as a plan keeps it, to be planned again; what it does not say is left out."""
    said = {
        "kind": record.kind, "line": record.line, "values": record.values, "isDrop": record.is_drop,
        "notes": list(record.notes), "fault": record.fault,
    }  # fmt: skip
    return {name: value for name, value in said.items() if value}


def record_of(document: Mapping[str, Any]) -> Record:
    """The record that was kept so, without its place and key."""
    return Record(
        kind=document["kind"], place="", key=(), values=document.get("values", {}), line=document.get("line", 0),
        is_drop=document.get("isDrop", False), notes=tuple(document.get("notes", ())), fault=document.get("fault", ""),
    )  # fmt: skip
