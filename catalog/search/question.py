"""What somebody typed, taken apart: words, barcodes, a vehicle. Pure; nothing here knows the database."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from stdnum import ean

from catalog import gtins

TEXT_MAX = 200
WORDS_MAX = 8
WORD_MAX = 40
VEHICLES_MAX = 500
YEAR = re.compile(r"(?:19|20)\d\d")
# A scan holds the GTIN behind application identifier 01, as an element string or as a Digital Link
# (GS1 General Specifications 3.2; GS1 Digital Link Standard: URI Syntax 4).
ELEMENT_STRING = re.compile(r"(?:\](?:C1|d2|Q3|e0))?(?:01|\(01\))(\d{14})")
DIGITAL_LINK = re.compile(r"/01/(\d{8,14})(?:[/?#]|$)")


@dataclass(frozen=True, kw_only=True)
class Vehicle:
    """A make and model there are parts for, by their keys and in words; `written` is the model as one word: "f150"."""

    make_key: str
    model_key: str
    make_words: Sequence[str]
    model_words: Sequence[str]
    written: str


@dataclass(frozen=True, kw_only=True)
class Meant:
    """The vehicles that are meant, the year where one is said, and the words that are left beside them."""

    vehicles: tuple[Vehicle, ...]
    year: int | None
    rest: tuple[str, ...]
    named: int
    """How many words name them."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """`text` as it was typed, cut; `folded` without accents and capitals; its `words`.

    `nearly` are vehicles that more words name once those nobody knows are taken for ones that look like them.
    """

    text: str
    folded: str
    words: tuple[str, ...]
    meant: Meant | None
    nearly: Meant | None = None

    @property
    def rest(self) -> tuple[str, ...]:
        """The words that name no vehicle; where none is meant, all of them."""
        return self.meant.rest if self.meant else self.words

    @property
    def is_short(self) -> bool:
        """Too little to look inside: only what begins with it is found."""
        return len("".join(self.words)) <= 2


def cut(text: str) -> str:
    """As much as is looked at, without what PostgreSQL cannot hold."""
    return " ".join(text[:TEXT_MAX].replace("\x00", " ").encode(errors="ignore").decode().split())


def split(folded: str) -> tuple[str, ...]:
    """Its words: letters, digits and the marks that belong to them."""
    kept = "".join(char if unicodedata.category(char)[0] in "LNM" else " " for char in folded)
    return tuple(dict.fromkeys(word[:WORD_MAX] for word in kept.split()))[:WORDS_MAX]


def barcodes(text: str) -> list[str]:
    """The barcodes it may be, without leading zeros: typed whole or short (UPC-E), without its check digit, in a scan."""
    digits = re.sub(r"[\s-]", "", text)
    if scanned := ELEMENT_STRING.match(digits) or DIGITAL_LINK.search(digits):
        digits = scanned[1]
    if not digits.isascii() or not digits.isdigit() or not 6 <= len(digits) <= 14:
        return []
    # Some scanners are set to leave the check digit away.
    whole = [digits, *([digits + ean.calc_check_digit(digits)] if len(digits) <= 13 else []), *gtins.forms(digits)]
    return list(dict.fromkeys(code for code in (code.lstrip("0") for code in whole) if code))


def ask(
    text: str, folded: str, vehicles: Iterable[Vehicle] = (), ways: Mapping[str, Sequence[str]] | None = None
) -> Question:
    """The question a text is.

    `vehicles` are those that share a word with it, or with the `ways` a word of it that nobody knows may be meant.
    """
    words, vehicles = split(folded), list(vehicles)
    meant = _meant(words, vehicles, {})
    nearly = _meant(words, vehicles, ways) if ways else None
    if nearly and meant and nearly.named <= meant.named:
        nearly = None
    return Question(text=text, folded=folded, words=words, meant=meant, nearly=nearly)


def _meant(words: Sequence[str], vehicles: Iterable[Vehicle], ways: Mapping[str, Sequence[str]]) -> Meant | None:
    """The vehicles that the most words name, and what is left when those words and the year's are taken away.

    A make alone needs a year beside it: "ford pads" is asked of the words, "2015 ford pads" of the cars.
    """
    says = {word: {word, *ways.get(word, ())} for word in words}
    said = set().union(*says.values())
    claims: dict[tuple[bool, int], list[tuple[Vehicle, set[str]]]] = {}
    has_year = any(YEAR.fullmatch(word) for word in words)
    for vehicle in vehicles:
        of_make, of_model, is_whole = _named(vehicle, said)
        if of_model or (of_make and has_year):
            used = {word for word, meanings in says.items() if meanings & (of_make | of_model)}
            claims.setdefault((is_whole, len(used)), []).append((vehicle, used))
    if not claims:
        return None
    best = claims[max(claims)][:VEHICLES_MAX]
    used = set().union(*(each for _, each in best))
    year = next((word for word in words if YEAR.fullmatch(word) and word not in used), None)
    return Meant(
        vehicles=tuple(vehicle for vehicle, _ in best),
        year=int(year) if year else None,
        rest=tuple(word for word in words if word not in used and word != year),
        named=len(used),
    )


def _named(vehicle: Vehicle, said: set[str]) -> tuple[set[str], set[str], bool]:
    """The words said of its make and of its model, and whether the model is said whole.

    Where no vehicle is said whole a model's first word will do: "camry" for Camry Solara. A model of which only
    a number or a letter or two is said ("3", "100") needs its make, too: else every "100 ml" would be an Audi.
    """
    of_make = set(vehicle.make_words) if set(vehicle.make_words) <= said else set()
    of_model: set[str] = set()
    if vehicle.written in said:
        of_model = {vehicle.written}
    elif vehicle.model_words and vehicle.model_words[0] in said:
        of_model = set(vehicle.model_words) & said
    is_whole = vehicle.written in said or (bool(of_model) and of_model == set(vehicle.model_words))
    if not of_make and len(of_model) == 1 and all(word.isdigit() or len(word) <= 2 for word in of_model):
        return of_make, set(), False
    return of_make, of_model, is_whole
