"""Element strings: (01)09506000134352(17)271130(10)L26H118A, however a scanner wrote it. Pure.

`biip` reads the same and serves the tests as second opinion. Here we are stricter than it is: it takes a field that
lost its separator for two, the last of two contradicting ones, and elements without the thing they speak of.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from catalog.gs1 import dictionary, fields
from catalog.gs1.dictionary import Entry
from catalog.gs1.fields import Meaning

FNC1 = "\x1d"
# How scanners, keyboards and test pages write FNC1; none of it can be in a field.
WRITTEN_FNC1 = re.compile(r"\{GS\}|\{FNC1\}|<GS>|<FNC1>|\u241d|\^|\\x1[dD]|\\u001[dD]")
BRACKETED = re.compile(r"(?<!\\)\((\d{2,4})\)")
# A price is often all that a shop's own label says beside the item; the dictionary wants its measure, too.
ENOUGH = {"392": ("01",), "393": ("01",), "395": ("01", "02")}


@dataclass(frozen=True)
class Element:
    """One field of a barcode: its AI, the text as it stands there, and what it says."""

    entry: Entry
    value: str
    meaning: Meaning

    @property
    def ai(self) -> str:
        return self.entry.ai

    @property
    def plain(self) -> str | int:
        """What it says, for people and JSON: 2027-11-30, 24, 1.250 kg."""
        said = self.meaning
        return said.isoformat() if isinstance(said, date | datetime) else said


@dataclass(frozen=True)
class Fault:
    """Why a code cannot be used: the AI it is about, where there is one, and a sentence with the way out."""

    ai: str
    detail: str


class Unreadable(ValueError):
    """The code cannot be used; each fault is a sentence."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(" ".join(fault.detail for fault in faults))
        self.faults = faults

    @classmethod
    def because(cls, detail: str, ai: str = "") -> Unreadable:
        return cls(Fault(ai, detail))


def read(text: str, *, today: date) -> list[Element]:
    """The elements of a message, with separators or with brackets. Raises Unreadable with every fault found."""
    message = WRITTEN_FNC1.sub(FNC1, text.strip())
    pairs = _bracketed(message) if message.startswith("(") else _concatenated(message.strip(FNC1))
    return understood(pairs, today=today)


def understood(pairs: Iterable[tuple[Entry, str]], *, today: date) -> list[Element]:
    """Fields as elements, each checked and then all together. Raises Unreadable."""
    found: dict[str, Element] = {}
    faults: list[Fault] = []
    for entry, value in pairs:
        if entry.ai in found:
            if found[entry.ai].value != value:
                faults.append(Fault(entry.ai, f"{entry.name} is there twice and differs; one item has one of it."))
        elif fault := fields.fault_of(entry, value, today=today):
            faults.append(Fault(entry.ai, f"{entry.name} {fault}."))
        else:
            found[entry.ai] = Element(entry, value, fields.meaning_of(entry, value, today=today))
    # What goes together with what is not asked of fields that are wrong themselves.
    faults = faults or _misplaced(list(found.values()))
    if faults:
        raise Unreadable(*faults)
    return list(found.values())


def _concatenated(message: str) -> list[tuple[Entry, str]]:
    pairs: list[tuple[Entry, str]] = []
    place = 0
    while place < len(message):
        if message[place] == FNC1:
            place += 1
            continue
        entry = dictionary.at(message, place)
        if entry is None:
            raise _unknown(message, place, pairs)
        start = place + len(entry.ai)
        end = message.find(FNC1, start)
        end = len(message) if end < 0 else end
        if entry.is_predefined:
            end = min(end, start + entry.longest)
        elif end - start > entry.longest:
            raise Unreadable.because(
                f"{entry.name} has {end - start} characters and takes at most {entry.longest}; put FNC1 "
                "(the character 0x1D) behind it where another field follows.",
                entry.ai,
            )
        pairs.append((entry, message[start:end]))
        place = end
    if not pairs:
        raise Unreadable.because("The code is empty.")
    return pairs


def _unknown(message: str, place: int, before: Sequence[tuple[Entry, str]]) -> Unreadable:
    found = message[place : place + 4]
    if not before:
        return Unreadable.because(f"The code begins with {found!r}, which is no Application Identifier of GS1.")
    entry = before[-1][0]
    hint = f"; if {entry.name} is longer, its length is wrong" if entry.is_predefined else ""
    return Unreadable.because(
        f"After {entry.name} comes {found!r}, which is no Application Identifier{hint}.", entry.ai
    )


def _bracketed(message: str) -> list[tuple[Entry, str]]:
    """A bracket in a value that looks like an AI is written with a backslash before it, as GS1's own tools do."""
    _, *parts = BRACKETED.split(message)
    if not parts or not BRACKETED.match(message):
        raise Unreadable.because("Write an Application Identifier in brackets: (01)09506000134352.")
    pairs = []
    for ai, value in zip(parts[::2], parts[1::2], strict=True):
        entry = dictionary.entries().get(ai)
        if entry is None:
            raise Unreadable.because(f"({ai}) is no Application Identifier of GS1.", ai)
        pairs.append((entry, value.strip().removesuffix(FNC1).replace("\\(", "(")))
    return pairs


def _misplaced(elements: Sequence[Element]) -> list[Fault]:
    ais = [element.ai for element in elements]
    return [fault for element in elements for fault in (*_excluded(element, ais), *_missing(element, ais))]


def _excluded(element: Element, ais: Sequence[str]) -> list[Fault]:
    entry = element.entry
    clashing = [
        ai for ai in ais if ai != entry.ai and any(dictionary.is_like(ai, pattern) for pattern in entry.excludes)
    ]
    known = dictionary.entries()
    return [
        Fault(entry.ai, f"{entry.name} and {known[ai].name} cannot be said of one thing; leave one out.")
        for ai in clashing
    ]


def _missing(element: Element, ais: Sequence[str]) -> list[Fault]:
    """An element needs the thing it speaks of. Of a group, one is enough: GS1 judges the group over all the barcodes
    of an item, and the others may stand in the one beside this (02 and 37 here, the 00 on the pallet's label)."""
    entry = element.entry
    faults = []
    for groups in entry.requires:
        wanted = {pattern for group in groups for pattern in group} | set(ENOUGH.get(entry.ai[:3], ()))
        if not any(dictionary.is_like(ai, pattern) for ai in ais if ai != entry.ai for pattern in wanted):
            choice = " or ".join("+".join(f"({ai})" for ai in group) for group in groups)
            faults.append(Fault(entry.ai, f"{entry.name} says something of a thing that is not named; add {choice}."))
    return faults
