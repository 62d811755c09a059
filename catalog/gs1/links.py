"""Digital Links: https://id.gs1.org/01/09506000134352/10/L26H118A?17=271130. Pure.

GS1 Digital Link Standard, URI syntax 1.4: any domain and any path before the key; the key, then its qualifiers in
their order, in the path; what else is said, in the query; every AI in digits, a GTIN in fourteen.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from urllib.parse import parse_qsl, unquote, urlsplit

from catalog.gs1 import dictionary, elements
from catalog.gs1.dictionary import Entry
from catalog.gs1.elements import Element, Unreadable

QUERY_FIELDS_MAX = 60


def is_link(text: str) -> bool:
    return text[:8].lower().startswith(("http://", "https://"))


def read(text: str, *, today: date) -> list[Element]:
    """The elements of a Digital Link. Raises Unreadable with every fault found."""
    try:
        address = urlsplit(text.strip())
        query = parse_qsl(address.query.replace(";", "&"), keep_blank_values=True, max_num_fields=QUERY_FIELDS_MAX)
    except ValueError as error:
        raise Unreadable.because(f"This is no address that can be read: {error}.") from error
    path = _path(address.path)
    return elements.understood([*path, *_attributes(query)], today=today)


def _path(path: str) -> list[tuple[Entry, str]]:
    segments = path.strip("/").split("/")
    known = dictionary.entries()
    keys = [place for place, name in enumerate(segments) if name in known and known[name].qualifiers is not None]
    # The way to the key is anybody's; the key is the last from which on all are pairs of AI and value.
    whole = [place for place in keys if all(name in known for name in segments[place::2])]
    start = next((place for place in reversed(whole) if (len(segments) - place) % 2 == 0), None)
    if start is None:
        if whole:
            name = segments[whole[-1]]
            raise Unreadable.because(
                f"The path ends before the value of its last field, after {known[name].name}.", name
            )
        raise Unreadable.because("The path names no key, such as /01/ and the GTIN's fourteen digits.")
    pairs = [
        (known[name], unquote(value)) for name, value in zip(segments[start::2], segments[start + 1 :: 2], strict=True)
    ]
    _check_order(pairs)
    return pairs


def _check_order(pairs: Sequence[tuple[Entry, str]]) -> None:
    key, *others = (entry for entry, _ in pairs)
    asked = [entry.ai for entry in others]
    orders = key.qualifiers or ((),)
    if any(_follows(asked, order) for order in orders):
        return
    said = " or ".join(", ".join(f"({ai})" for ai in order if ai) for order in orders)
    rule = f"may be followed by {said}, in this order" if said.strip() else "is followed by nothing"
    raise Unreadable.because(f"In the path, {key.name} {rule}; {', '.join(f'({ai})' for ai in asked)} is not.", key.ai)


def _follows(asked: Sequence[str], order: Sequence[str]) -> bool:
    rest = iter(order)
    return all(ai in rest for ai in asked)


def _attributes(query: Sequence[tuple[str, str]]) -> list[tuple[Entry, str]]:
    """What the query says; names that are no digits are for the resolver or for anybody."""
    pairs = []
    for name, value in query:
        if not (name.isascii() and name.isdigit()):
            continue
        entry = dictionary.entries().get(name)
        if entry is None:
            raise Unreadable.because(f"The query names {name}, which is no Application Identifier of GS1.", name)
        if not entry.is_link_attribute:
            raise Unreadable.because(f"{entry.name} belongs into the path of a Digital Link, not into its query.", name)
        pairs.append((entry, value))
    return pairs
