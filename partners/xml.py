"""XML people send, read as a stream: large files in bounded memory, hostile ones refused with the line.

It is expat, directly: each element knows its line, and a document type is refused where it begins, before an
entity in it can be declared; so there are no entities to expand and no addresses to fetch. The limits below bound
what one file can make us hold: expat keeps an unfinished tag whole, and every different name for ever.
(Python documentation, "XML security"; defusedxml; Expat, "Billion laughs attack protection".)
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn
from xml.parsers.expat import ExpatError, ParserCreate, errors

from partners.files import FIELD_CHARACTERS_MAX, Unreadable
from partners.unpacking import Stream

CHUNK_BYTES = 65_536
DEPTH_MAX = 32
ATTRIBUTES_MAX = 100
NAMES_MAX = 2_000  # different names of tags, attributes and prefixes in one file
TOKEN_BYTES_MAX = 1_000_000  # one tag with its attributes, or one comment
RECORD_ELEMENTS_MAX = 20_000
RECORD_CHARACTERS_MAX = 2_000_000
# What expat reads itself or Python teaches it byte by byte; others change how `<` is written, or are mistakes.
ENCODINGS = {"utf-8", "utf-16", "us-ascii", "ascii", "iso-8859-1", "iso-8859-15", "latin1", "windows-1252", "cp1252"}

# How a document begins: perhaps a byte order mark and blanks, then a tag; in UTF-16 with zeros between.
MARKUP = re.compile(rb"(\xef\xbb\xbf|\xff\xfe|\xfe\xff)?[\s\x00]*<")
DOCUMENT_TYPE = "a document type (DOCTYPE) is not allowed here, nor entities of one's own; leave it out"
REASONS = {
    errors.XML_ERROR_NO_ELEMENTS: "the file ends before its elements are closed; it is empty or was cut short",
    errors.XML_ERROR_UNCLOSED_TOKEN: "the file ends in the middle of a tag; it was cut short",
    errors.XML_ERROR_UNCLOSED_CDATA_SECTION: "the file ends in the middle of a CDATA section; it was cut short",
    errors.XML_ERROR_PARTIAL_CHAR: "the file ends in the middle of a character; it was cut short",
    errors.XML_ERROR_TAG_MISMATCH: "a tag is closed that is not the one open",
    errors.XML_ERROR_SYNTAX: "this is not XML",
    errors.XML_ERROR_INVALID_TOKEN: (
        "this is not well-formed: a bare & or <, or a character that is not of the file's encoding"
    ),
    errors.XML_ERROR_DUPLICATE_ATTRIBUTE: "an attribute is there twice",
    errors.XML_ERROR_JUNK_AFTER_DOC_ELEMENT: "something follows the end of the document",
    errors.XML_ERROR_UNDEFINED_ENTITY: "an entity is used that XML itself does not know",
    errors.XML_ERROR_BAD_CHAR_REF: "a character is named that XML does not allow",
    errors.XML_ERROR_UNKNOWN_ENCODING: "the encoding it names is not known",
    errors.XML_ERROR_INCORRECT_ENCODING: "it is not in the encoding it names",
    errors.XML_ERROR_UNBOUND_PREFIX: "a prefix is used for which no namespace is declared",
}
CODES = {errors.codes[text]: reason for text, reason in REASONS.items()}


@dataclass(slots=True)
class Element:
    """An element in the namespace of its document, by its local name; what is foreign is not kept.

    `text` is its own, without that of its children.
    """

    name: str
    line: int
    attributes: dict[str, str]
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def child(self, name: str) -> Element | None:
        return next((child for child in self.children if child.name == name), None)

    def all(self, name: str) -> list[Element]:
        return [child for child in self.children if child.name == name]

    def said(self, name: str) -> str:
        """The text of a child, trimmed; empty where there is none."""
        child = self.child(name)
        return child.text.strip() if child else ""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Where the records of a kind of document stand: right under its root, or in one of `containers` there.

    `namespaces` are the addresses its names may be in ("" is none); prefixes are the sender's own affair.
    `skipped` are names whose elements are counted and not kept.
    """

    root: str
    namespaces: Collection[str]
    containers: Collection[str] = ()
    skipped: Collection[str] = ()


def elements(
    stream: Stream,
    *,
    shape: Shape,
    kept: Mapping[str, Collection[str]] | None = None,
    counts: Counter[str] | None = None,
) -> Iterator[Element]:
    """The root (as it begins, without children), then each record of a document as it ends.

    `kept` names, for records of a name, the only children wanted. `counts` receives how many elements of each
    skipped name there were. Raises Unreadable with line and reason, also after records were given: only a walk to
    the end proves a file.
    """
    builder = _Builder(shape, kept or {}, Counter() if counts is None else counts)
    while chunk := stream.read(CHUNK_BYTES):
        yield from builder.feed(chunk, is_last=False)
    yield from builder.feed(b"", is_last=True)


def root_of(stream: Stream) -> str | None:
    """The local name of a document's root, or None where the file does not begin as XML does.

    Raises Unreadable with line and reason where it begins so and no root follows.
    """
    start = stream.read(CHUNK_BYTES)
    if not MARKUP.match(start):
        return None
    names: list[str] = []
    parser = ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = lambda name, attributes: names.append(name.rpartition(" ")[2])
    parser.StartDoctypeDeclHandler = _refuse_document_type
    read = 0
    try:
        while not names and read < TOKEN_BYTES_MAX:
            parser.Parse(start, not start)
            read += len(start)
            start = stream.read(CHUNK_BYTES)
    except _DocumentType as error:
        raise Unreadable(f"Line {parser.CurrentLineNumber}: {DOCUMENT_TYPE}.") from error
    except ExpatError as error:
        if not names:
            raise Unreadable(
                f"Line {error.lineno}: {CODES.get(error.code, 'this is not XML that can be read')}."
            ) from error
    if not names:
        raise Unreadable(f"There is no element in the first {read:,} bytes.")
    return names[0]


class _DocumentType(Exception):
    """Where a document type begins."""


def _refuse_document_type(*told: Any) -> None:
    raise _DocumentType


class _Builder:
    """Listens to expat and builds the records."""

    def __init__(self, shape: Shape, kept: Mapping[str, Collection[str]], counts: Counter[str]) -> None:
        self.shape = shape
        self.kept = kept
        self.counts = counts
        self.fed = 0
        self.done: list[Element] = []
        self.names: dict[str, str] = {}
        self.attribute_names: set[str] = set()
        self.has_foreign_attributes = False
        self.prefixes: set[str | None] = set()
        self.namespace = ""
        self.depth = 0
        self.record_depth = 2  # where records stand just now; 3 inside a container
        self.open: list[Element] = []
        self.wanted: Collection[str] | None = None
        self.ignored_from = 0  # the depth of the element being passed over, 0 for none
        self.elements_left = RECORD_ELEMENTS_MAX
        self.characters_left = RECORD_CHARACTERS_MAX
        self.run = 0  # characters of text since the last tag
        self.parser = parser = ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self.begins
        parser.EndElementHandler = self.ends
        parser.CharacterDataHandler = self.says
        parser.XmlDeclHandler = self.declares
        parser.StartNamespaceDeclHandler = self.binds
        parser.StartDoctypeDeclHandler = self.has_document_type

    def feed(self, chunk: bytes, *, is_last: bool) -> list[Element]:
        self.fed += len(chunk)
        try:
            self.parser.Parse(chunk, is_last)
        except ExpatError as error:
            reason = CODES.get(error.code, f"this is not XML that can be read ({errors.messages[error.code]})")
            if not self.fed:
                reason = "the file is empty"
            raise Unreadable(f"Line {error.lineno}: {reason}.") from error
        if self.fed - self.parser.CurrentByteIndex > TOKEN_BYTES_MAX:
            self.refuse(f"one tag or comment has more than {TOKEN_BYTES_MAX:,} bytes")
        done, self.done = self.done, []
        return done

    def refuse(self, reason: str) -> NoReturn:
        raise Unreadable(f"Line {self.parser.CurrentLineNumber}: {reason}.")

    def declares(self, version: str, encoding: str | None, standalone: int) -> None:
        if encoding is not None and encoding.lower() not in ENCODINGS:
            self.refuse(f"the encoding {encoding[:40]} is not read here; save the file as UTF-8")

    def has_document_type(self, *told: Any) -> None:
        self.refuse(DOCUMENT_TYPE)

    def binds(self, prefix: str | None, address: str | None) -> None:
        self.prefixes.add(prefix)
        self.bound_names()

    def bound_names(self) -> None:
        if len(self.names) + len(self.attribute_names) + len(self.prefixes) > NAMES_MAX:
            self.refuse(f"there are more than {NAMES_MAX:,} different names of tags, attributes and prefixes")

    def begins(self, full_name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        self.run = 0
        if self.depth > DEPTH_MAX:
            self.refuse(f"elements are nested deeper than {DEPTH_MAX} levels")
        if full_name not in self.names:
            self.meets(full_name)
        if attributes:
            attributes = self.checked(attributes)
        name = self.names[full_name]
        is_skipped = name in self.shape.skipped
        if is_skipped:
            self.counts[name] += 1
        # What is passed over counts like what is kept, so that a file refused is refused in every walk.
        self.elements_left -= 1
        if self.elements_left < 0:
            self.refuse(f"one record has more than {RECORD_ELEMENTS_MAX:,} elements")
        if self.ignored_from:
            return
        if self.depth == 1:
            self.done.append(Element(name, self.parser.CurrentLineNumber, attributes))
        elif self.depth == self.record_depth and name in self.shape.containers:
            self.record_depth = 3
        elif is_skipped or not self.is_wanted(name):
            self.ignored_from = self.depth
        else:
            element = Element(name, self.parser.CurrentLineNumber, attributes)
            if self.open:
                self.open[-1].children.append(element)
            self.open.append(element)

    def is_wanted(self, name: str) -> bool:
        """Whether to keep an element: not what is foreign, nor what of a record nobody wants."""
        if self.depth == self.record_depth:
            self.wanted = self.kept.get(name)
        elif self.depth == self.record_depth + 1 and self.wanted is not None and name not in self.wanted:
            return False
        return bool(name)

    def meets(self, full_name: str) -> None:
        """A name for the first time: local where it is of the document's namespace, empty where it is foreign."""
        address, _, name = full_name.rpartition(" ")
        if self.depth == 1:
            self.namespace = address
            if name != self.shape.root:
                self.refuse(f"the document is <{name[:80]}>; here <{self.shape.root}> is read")
            if address not in self.shape.namespaces:
                there = f"in the namespace {address[:200]}" if address else "in no namespace"
                expected = next(iter(self.shape.namespaces)) or "none"
                self.refuse(f"<{name}> is {there}; expected is {expected}")
        self.names[full_name] = name if address == self.namespace else ""
        self.bound_names()

    def checked(self, attributes: dict[str, str]) -> dict[str, str]:
        if len(attributes) > ATTRIBUTES_MAX:
            self.refuse(f"a tag has more than {ATTRIBUTES_MAX} attributes")
        if not self.attribute_names.issuperset(attributes):
            self.attribute_names.update(attributes)
            self.has_foreign_attributes = any(" " in name for name in self.attribute_names)
            self.bound_names()
        characters = 0
        for value in attributes.values():
            characters += len(value)
        if characters > FIELD_CHARACTERS_MAX:
            self.refuse(f"the attributes of a tag have more than {FIELD_CHARACTERS_MAX:,} characters")
        self.spends(characters)
        if self.has_foreign_attributes:
            return {name: value for name, value in attributes.items() if " " not in name}
        return attributes

    def spends(self, characters: int) -> None:
        self.characters_left -= characters
        if self.characters_left < 0:
            self.refuse(f"one record has more than {RECORD_CHARACTERS_MAX:,} characters")

    def says(self, text: str) -> None:
        if not self.run and text.isspace():
            return
        self.run += len(text)
        self.spends(len(text))
        if self.run > FIELD_CHARACTERS_MAX:
            self.refuse(f"a text has more than {FIELD_CHARACTERS_MAX:,} characters")
        if self.open and not self.ignored_from:
            self.open[-1].text += text

    def ends(self, full_name: str) -> None:
        depth = self.depth
        self.depth -= 1
        self.run = 0
        if self.ignored_from:
            if self.ignored_from == depth:
                self.ignored_from = 0
        elif self.open:
            element = self.open.pop()
            if not self.open:
                self.done.append(element)
        if depth <= self.record_depth:
            self.elements_left, self.characters_left = RECORD_ELEMENTS_MAX, RECORD_CHARACTERS_MAX
            if depth == 2:
                self.record_depth = 2
