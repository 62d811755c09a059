"""What ACES and PIES have in common: a header, records, and a trailer that counts them.

The envelope is proved in a walk through the whole file before a record of it is given, so a file that is cut
short, miscounted or not well-formed is refused whole, and nobody has to take anything back.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from heapq import merge
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from catalog.wording import Wording
from partners import unpacking, xml
from partners.files import Unreadable
from partners.xml import Element

BRANDS_MAX = 1_000  # a file is of one brand or of some; each is held
TABLE_ROWS_MAX = 10_000
TWINS_MAX = 1_000
RUN = 65_536

type Source = Path | BinaryIO
"""A file by its path, or a handle that can be wound back; plain, gz, or a zip with one file in it."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """How one of the standards writes its envelope."""

    shape: xml.Shape
    record: str  # "App", "Item"
    trailer: str  # "Footer", "Trailer"
    counter: str  # in the trailer: the number of records
    proving: Collection[str]  # the children of a record that prove it unique and name its brand
    identity: Callable[[Element], int | str | None]  # what no two records share
    brand: Callable[[Element], str]  # the brand a record itself names
    check: Callable[[Element], None]  # refuses a root, header or trailer we cannot take
    table: str = ""  # what stands beside the records and is needed to read them


@dataclass(frozen=True)
class Twin:
    """A record that is there again: its line and that of one before."""

    line: int
    first_line: int


@dataclass(kw_only=True)
class Envelope:
    """What a whole file says of itself, after a walk to its end."""

    root: Element
    header: Element
    trailer: Element
    count: int = 0
    table: list[Element] = field(default_factory=list)
    brands: set[str] = field(default_factory=set)
    skipped: Counter[str] = field(default_factory=Counter)
    twins: list[Twin] = field(default_factory=list)


class Identities:
    """Which records are there twice, in twelve bytes a record whatever they are called: sorted runs, merged."""

    def __init__(self) -> None:
        self._runs: list[tuple[array[int], array[int]]] = []
        self._numbers, self._lines = array("Q"), array("I")
        self._is_ascending, self._last = True, -1

    def add(self, identity: int | str | None, line: int) -> None:
        if identity is None:
            return
        if isinstance(identity, str):
            identity = int.from_bytes(hashlib.blake2b(identity.encode(), digest_size=8).digest())
        self._is_ascending = self._is_ascending and identity > self._last
        self._last = identity
        self._numbers.append(identity)
        self._lines.append(line)
        if len(self._numbers) == RUN:
            self._close_run()

    def _close_run(self) -> None:
        pairs = sorted(zip(self._numbers, self._lines, strict=True))
        self._runs.append((array("Q", (pair[0] for pair in pairs)), array("I", (pair[1] for pair in pairs))))
        self._numbers, self._lines = array("Q"), array("I")

    def twins(self) -> list[Twin]:
        """Those there again, by line; at most TWINS_MAX. Numbers that only rise, as in most files, cost nothing."""
        if self._is_ascending:
            return []
        self._close_run()
        twins: list[Twin] = []
        for (number, line), (again, next_line) in pairwise(merge(*(zip(*run, strict=True) for run in self._runs))):
            if number == again:
                twins.append(Twin(next_line, line))
                if len(twins) == TWINS_MAX:
                    break
        return sorted(twins, key=lambda twin: twin.line)


def survey(source: Source, form: Form) -> Envelope:
    """Walk through a whole file and prove its envelope.

    Raises Unreadable with line and reason: it is not the standard's document, header or trailer are missing or out
    of place, the count is wrong, the file is cut short or not well-formed, or one record would fill our memory.
    """
    skipped: Counter[str] = Counter()
    identities = Identities()
    with unpacking.opened(source) as stream:
        walk = xml.elements(stream, shape=form.shape, kept={form.record: form.proving}, counts=skipped)
        root = last = next(walk)
        form.check(root)
        envelope = Envelope(root=root, header=root, trailer=root, skipped=skipped)
        for element in walk:
            _check_place(element, envelope, form)
            _take(element, envelope, form)
            if element.name == form.record:
                identities.add(form.identity(element), element.line)
            last = element
    _check_whole(envelope, form, last)
    envelope.twins = identities.twins()
    return envelope


def _check_place(element: Element, envelope: Envelope, form: Form) -> None:
    if envelope.trailer is not envelope.root:
        raise Unreadable(f"Line {element.line}: <{element.name}> follows the <{form.trailer}>, which is the end.")
    if envelope.header is envelope.root and element.name != "Header":
        raise Unreadable(f"Line {element.line}: the <Header> is missing; it comes first, here it is <{element.name}>.")
    if envelope.header is not envelope.root and element.name == "Header":
        raise Unreadable(f"Line {element.line}: the <Header> is there twice.")


def _take(element: Element, envelope: Envelope, form: Form) -> None:
    if element.name == form.record:
        envelope.count += 1
        if brand := form.brand(element):
            envelope.brands.add(brand)
            if len(envelope.brands) > BRANDS_MAX:
                raise Unreadable(f"Line {element.line}: the file is of more than {BRANDS_MAX:,} brands.")
    elif element.name == "Header":
        form.check(element)
        envelope.header = element
    elif element.name == form.trailer:
        envelope.trailer = element
    elif element.name == form.table:
        envelope.table.append(element)
        if len(envelope.table) > TABLE_ROWS_MAX:
            raise Unreadable(f"Line {element.line}: there are more than {TABLE_ROWS_MAX:,} <{element.name}>.")


def _check_whole(envelope: Envelope, form: Form, last: Element) -> None:
    if envelope.header is envelope.root:
        raise Unreadable(f"Line {last.line}: the <Header> is missing; the file is empty.")
    if envelope.trailer is envelope.root:
        raise Unreadable(f"Line {last.line}: the <{form.trailer}> is missing after this; the file may be cut short.")
    told = envelope.trailer.said(form.counter)
    if not (told.isascii() and told.isdigit() and len(told) <= 12):
        raise Unreadable(f"Line {envelope.trailer.line}: <{form.counter}> {told[:40]!r} is no number.")
    if int(told) != envelope.count:
        raise Unreadable(
            f"Line {envelope.trailer.line}: <{form.counter}> says {int(told):,}, but there are {envelope.count:,}"
            f" <{form.record}>; nothing is taken from a file that is not whole."
        )
    form.check(envelope.trailer)


def records(source: Source, form: Form, envelope: Envelope) -> Iterator[Element]:
    """The records of a surveyed file, one by one. Raises Unreadable where it is not the same file any more."""
    count = 0
    with unpacking.opened(source) as stream:
        for element in xml.elements(stream, shape=form.shape):
            if element.name == form.record:
                count += 1
                yield element
    if count != envelope.count:
        raise Unreadable(f"The file changed while it was read: {count:,} <{form.record}>, {envelope.count:,} before.")


def submission_type(header: Element, *, known: Collection[str]) -> str:
    """FULL or UPDATE, in capitals. Raises Unreadable for another word, which may mean something else entirely."""
    told = header.said("SubmissionType").upper()
    if told not in known:
        raise Unreadable(
            f"Line {header.line}: the SubmissionType {told[:40]!r} is not known; it is {' or '.join(sorted(known))}."
        )
    return told


def facts(header: Element, trailer: Element | None = None) -> dict[str, str]:
    """What header and trailer say, by their own names in camelCase; several of a name are joined."""
    told: dict[str, str] = {}
    for element in [*header.children, *(trailer.children if trailer else ())]:
        text = " ".join([element.text, *(child.text for child in element.children)])
        text = Wording().text(text, element.name, xml.RECORD_CHARACTERS_MAX)
        if text:
            name = camel(element.name)
            told[name] = f"{told[name]} {text}" if name in told else text
    return told


def camel(name: str) -> str:
    """`BrandAAIAID` as `brandAaiaId`, `PIESVersion` as `piesVersion`, `VcdbVersionDate` as `vcdbVersionDate`."""
    for run, words in (("AAIAID", "AaiaId"), ("DUNS", "Duns"), ("GLN", "Gln"), ("PIES", "Pies"), ("VMRSID", "VmrsId")):
        name = name.replace(run, words)
    start = 2 if name[:2].isupper() else 1
    return name[:start].lower() + name[start:]
