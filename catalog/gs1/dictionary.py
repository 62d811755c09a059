"""Every Application Identifier: what its field looks like and what it goes together with. Pure.

Read from GS1's own Barcode Syntax Dictionary, which lies beside this file (Apache-2.0), one line an entry:

    17   *?  N6,yymmd0   req=01,02,03,255,8006,8026   # USE BY or EXPIRY

`*` the length is predefined, no separator follows; `?` may stand in the query of a Digital Link; `N6` six digits,
`X..20` up to twenty characters of set 82, `Y` of set 39, `Z` base 64, `[…]` may be missing; after commas the checks.
`req=` one of these groups goes with it, `ex=` none of these does, `dlpkey=` it is the key of a Digital Link whose
path may name these qualifiers in this order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("syntax-dictionary.txt")
COMPONENT = re.compile(r"(\[)?([NXYZ])(\.\.)?(\d+)\]?((?:,\w+)*)")
UNIT = re.compile(r"\((.+)\)")


@dataclass(frozen=True)
class Component:
    """A part of a field: its characters, its length from and to, and the checks its content must pass."""

    kind: str
    shortest: int
    longest: int
    is_optional: bool
    checks: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """One Application Identifier."""

    ai: str
    title: str
    components: tuple[Component, ...]
    is_predefined: bool
    is_link_attribute: bool
    requires: tuple[tuple[tuple[str, ...], ...], ...]
    """For each rule the groups of which one must be there; `n` in an AI stands for any digit."""
    excludes: tuple[str, ...]
    qualifiers: tuple[tuple[str, ...], ...] | None
    """For the key of a Digital Link: the sequences its qualifiers may come in; None for what is no key."""

    @property
    def longest(self) -> int:
        return sum(component.longest for component in self.components)

    @property
    def shortest(self) -> int:
        return sum(component.shortest for component in self.components if not component.is_optional)

    @property
    def name(self) -> str:
        return f"({self.ai}) {self.title}"

    @property
    def unit(self) -> str:
        """What a measure is in, as the title says it: `kg` of NET WEIGHT (kg)."""
        found = UNIT.search(self.title)
        return found[1] if found else "kg/m²" if self.title == "KG PER m²" else ""


@cache
def entries() -> dict[str, Entry]:
    """All entries by AI; no AI is the beginning of another."""
    lines = [line for line in FILE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    found = [entry for line in lines if line.strip() for entry in _entries(line)]
    return {entry.ai: entry for entry in found}


def at(text: str, place: int) -> Entry | None:
    """The entry whose AI stands at a place of a message."""
    known = entries()
    return next((known[ai] for length in (2, 3, 4) if (ai := text[place : place + length]) in known), None)


def is_like(ai: str, pattern: str) -> bool:
    """Whether an AI is meant by a pattern of the dictionary: 3103 by 31nn."""
    return len(ai) == len(pattern) and all(meant in ("n", digit) for digit, meant in zip(ai, pattern, strict=True))


def _entries(line: str) -> list[Entry]:
    definition, _, title = line.partition(" # ")
    span, *words = definition.split()
    flags = words.pop(0) if set(words[0]) <= set("*?") else ""
    components = []
    while words and (found := COMPONENT.fullmatch(words[0])):
        bracket, kind, dots, length, checks = found.groups()
        shortest = 1 if dots else int(length)
        components.append(Component(kind, shortest, int(length), bool(bracket), tuple(checks.split(",")[1:])))
        words.pop(0)
    rules = [word.partition("=") for word in words]
    first, _, last = span.partition("-")
    keys = [value for name, _, value in rules if name == "dlpkey"]
    return [
        Entry(
            ai=str(number).zfill(len(first)),
            title=title.strip(),
            components=tuple(components),
            is_predefined="*" in flags,
            is_link_attribute="?" in flags,
            requires=tuple(_groups(value) for name, _, value in rules if name == "req"),
            excludes=tuple(ai for name, _, value in rules if name == "ex" for ai in value.split(",")),
            qualifiers=tuple(tuple(part.split(",")) for part in keys[0].split("|")) if keys else None,
        )
        for number in range(int(first), int(last or first) + 1)
    ]


def _groups(value: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(group.split("+")) for group in value.split(","))
