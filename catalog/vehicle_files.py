"""Lists of known vehicles as their publishers send them: CSV, plain or gzipped, read row by row.

EPA (fueleconomy.gov, 1984 on): make, model, year, and of the engine cylinders, displacement in litres and fuel, a row
for each gearbox. US car models: year, make, model, body_styles with bars between. Any other list with make, model and
year is read alike; `engine` and `baseVehicleId` (ACES) are taken where they are there.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from partners import files, loading
from partners.files import Unreadable
from partners.problems import InvalidInput, Problem

YEAR_MIN, YEAR_MAX = 1880, 2200
UNPACKED_BYTES_MAX = 500_000_000
"""The whole EPA list unpacks to 20 MB; what unpacks to more than this is no list of vehicles."""
LINE_CHARACTERS_MAX = 20_000
COLUMNS = {
    "make": "make", "model": "model", "year": "year", "engine": "engine", "cyl": "cylinders", "cylinders": "cylinders",
    "displ": "litres", "fuel": "fuel", "fueltype": "fuel", "fueltype1": "fuel", "bodystyles": "body", "body": "body",
    "basevehicleid": "baseVehicleId",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """A vehicle as its source spells it, and the row it stands in; with a `fault`, nothing else counts."""

    row: int
    make: str = ""
    model: str = ""
    year: int = 0
    engine: str = ""
    body: str = ""
    base_vehicle_id: str = ""
    fault: str = ""


def read(path: Path) -> Iterator[Known]:
    """The vehicles of a list, in bounded memory. Raises Unreadable for what is none as a whole."""
    if not path.is_file():
        raise Unreadable(f"There is no file {path}.")
    is_packed = path.suffix.lower() == ".gz"
    try:
        with gzip.open(path) if is_packed else path.open("rb") as raw:
            yield from _rows(io.TextIOWrapper(io.BufferedReader(_Bounded(raw)), encoding="utf-8-sig", newline=""))
    except UnicodeDecodeError as error:
        raise Unreadable(f"This is not UTF-8 ({error.reason}).") from error
    except (gzip.BadGzipFile, EOFError) as error:
        raise Unreadable(f"This cannot be unpacked: {error}.") from error
    except csv.Error as error:
        raise Unreadable(f"This is no CSV: {error}.") from error


class _Bounded(io.RawIOBase):
    """A stream that ends in a refusal where it unpacks to more than any list of vehicles."""

    def __init__(self, raw: gzip.GzipFile | io.BufferedReader) -> None:
        self.raw, self.left = raw, UNPACKED_BYTES_MAX

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self.raw.read(len(buffer))
        self.left -= len(chunk)
        if self.left < 0:
            raise Unreadable(f"It unpacks to more than {UNPACKED_BYTES_MAX:,} bytes.")
        buffer[: len(chunk)] = chunk
        return len(chunk)


def _rows(text: IO[str]) -> Iterator[Known]:
    csv.field_size_limit(LINE_CHARACTERS_MAX)
    head = text.readline(LINE_CHARACTERS_MAX)
    delimiter = max(",;\t|", key=head.count)
    fields = [files.canonical(name, COLUMNS) for name in next(csv.reader([head], delimiter=delimiter), [])]
    if not {"make", "model", "year"} <= set(fields):
        raise Unreadable("The first row must name the columns make, model and year.")
    for number, values in enumerate(csv.reader(text, delimiter=delimiter), start=2):
        if not any(value.strip() for value in values):
            continue
        named = {name: value for name, value in zip(fields, values, strict=False) if name}
        try:
            yield _known(number, named)
        except Problem as problem:
            yield Known(row=number, fault=": ".join(problem.data["errors"][0][part] for part in ("field", "detail")))


def _known(row: int, values: dict[str, Any]) -> Known:
    year = loading.number(values, "year", YEAR_MAX)
    if year is None or year < YEAR_MIN:
        raise InvalidInput.at("year", f"is no model year from {YEAR_MIN} to {YEAR_MAX}")
    for name in ("make", "model"):
        if not re.search(r"[^\W_]", values.get(name, "")):
            raise InvalidInput.at(name, "holds no letter and no digit")
    return Known(
        row=row,
        make=loading.text(values, "make", 60),
        model=loading.text(values, "model", 100),
        year=year,
        engine=_engine(values),
        body=loading.text(values, "body", 120, is_required=False).replace("|", ", "),
        base_vehicle_id=loading.text(values, "baseVehicleId", 20, is_required=False),
    )


def _engine(values: dict[str, Any]) -> str:
    """The engine as parts' makers write it: "2.5L 5-cyl", "1.3L" (a rotary has no cylinders), "Electric"."""
    if said := loading.text(values, "engine", 60, is_required=False):
        return said
    litres = loading.text(values, "litres", 10, is_required=False)
    cylinders = loading.text(values, "cylinders", 4, is_required=False)
    named = {"NA", "N/A"}  # EPA's sign for what there is not
    parts = [f"{litres}L"] if litres and litres.upper() not in named else []
    parts += [f"{cylinders}-cyl"] if cylinders and cylinders.upper() not in named else []
    if not parts and loading.text(values, "fuel", 60, is_required=False).lower() == "electricity":
        return "Electric"
    return " ".join(parts)
