"""Lists of postal codes and cities with where they lie: CSV, plain or gzipped, read row by row. Pure.

Postal codes: lat, lon, zipCode (US Census), or zip, city, state, country, latitude, longitude. Cities (GeoNames): name,
latitude, longitude, countrycode, population, admin1code. Any list with such columns is read alike; without a country
it is the US.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import IO

from partners import files
from partners.files import Unreadable

LINE_CHARACTERS_MAX = 5_000
ROWS_MAX = 5_000_000
"""All the world's postal codes are under two million."""
COLUMNS = {
    "lat": "latitude", "latitude": "latitude", "lon": "longitude", "lng": "longitude", "longitude": "longitude",
    "zip": "postalCode", "zipcode": "postalCode", "postalcode": "postalCode", "name": "city", "city": "city",
    "state": "region", "region": "region", "admin1code": "region", "country": "country", "countrycode": "country",
    "population": "population",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """A postal code or (without one) a city, and where it lies; with a `fault`, nothing else counts."""

    row: int
    country: str = ""
    postal_code: str = ""
    city: str = ""
    region: str = ""
    population: int = 0
    latitude: Decimal = Decimal(0)
    longitude: Decimal = Decimal(0)
    fault: str = ""


def read(path: Path) -> Iterator[Known]:
    """The places of a list, in bounded memory. Raises Unreadable for what is none as a whole."""
    if not path.is_file():
        raise Unreadable(f"There is no file {path}.")
    try:
        is_packed = path.suffix.lower() == ".gz"
        opened = gzip.open if is_packed else open
        with opened(path, "rt", encoding="utf-8-sig", newline="") as text:
            yield from _rows(text)
    except UnicodeDecodeError as error:
        raise Unreadable(f"This is not UTF-8 ({error.reason}).") from error
    except (gzip.BadGzipFile, EOFError) as error:
        raise Unreadable(f"This cannot be unpacked: {error}.") from error
    except csv.Error as error:
        raise Unreadable(f"This is no CSV: {error}.") from error


def _rows(text: IO[str]) -> Iterator[Known]:
    csv.field_size_limit(LINE_CHARACTERS_MAX)
    head = next(csv.reader([text.readline(LINE_CHARACTERS_MAX)]), [])
    fields = [files.canonical(name, COLUMNS) for name in head]
    if not {"latitude", "longitude"} <= set(fields) or not {"postalCode", "city"} & set(fields):
        raise Unreadable("The first row must name latitude, longitude, and zipCode or name.")
    for number, values in enumerate(csv.reader(text), start=2):
        if number > ROWS_MAX:
            raise Unreadable(f"It has more than {ROWS_MAX:,} rows.")
        if any(value.strip() for value in values):
            yield _known(number, {name: value.strip() for name, value in zip(fields, values, strict=False) if name})


def _known(row: int, values: dict[str, str]) -> Known:
    degrees = {}
    for name, most in (("latitude", 90), ("longitude", 180)):
        try:
            degrees[name] = round(Decimal(values.get(name, "")), 6)
        except InvalidOperation:
            return Known(row=row, fault=f"{name}: is no number")
        if not -most <= degrees[name] <= most:
            return Known(row=row, fault=f"{name}: is not between -{most} and {most}")
    country = values.get("country", "").upper() or "US"
    if not (len(country) == 2 and country.isascii() and country.isalpha()):
        return Known(row=row, fault="country: is not two letters")
    code = "".join(letter for letter in values.get("postalCode", "").upper() if letter.isascii() and letter.isalnum())
    if len(code) > 10 or not (code or values.get("city")):
        return Known(row=row, fault="postalCode: is no postal code, and no city is named")
    people = values.get("population", "")
    return Known(
        row=row, country=country, postal_code=code, city=values.get("city", "")[:80],
        region=values.get("region", "")[:40], population=int(people) if people.isascii() and people.isdigit() else 0,
        latitude=degrees["latitude"], longitude=degrees["longitude"],
    )  # fmt: skip
