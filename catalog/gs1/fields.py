"""What a field of an Application Identifier holds: its characters, its length, its checks, its meaning. Pure.

The checks have the names of GS1's syntax tests (ref.gs1.org, Barcode Syntax Resource). Those that ask a list which
we do not keep (countries, company prefixes, kinds of packages and media) look at the shape alone.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal

from iso4217 import Currency
from stdnum import iban

from catalog import gtins
from catalog.gs1.dictionary import Component, Entry

# GS1 General Specifications 7.11: figures 7.11-1 and 7.11-2.
CHARACTERS = {
    "N": re.compile(r"[0-9]"),
    "X": re.compile(r"[!\"%&'()*+,\-./0-9:;<=>?A-Z_a-z]"),
    "Y": re.compile(r"[#\-/0-9A-Z]"),
    "Z": re.compile(r"[A-Za-z0-9_=\-]"),
}
SETS = {"N": "digits", "X": "the 82 characters of GS1", "Y": "the 39 characters of GS1", "Z": "base 64 for addresses"}
YEARS_AHEAD = 50
NO_TIME = "9999"
HARVEST = "7007"  # from a day, or from one to another

Meaning = str | int | date | datetime
CURRENCIES = {currency.number: currency.code for currency in Currency if currency.number}

Check = Callable[[str, date], str]


def fault_of(entry: Entry, value: str, *, today: date) -> str:
    """What is wrong with a field, as the end of a sentence; nothing where it is right."""
    rest = value
    for component in entry.components:
        if component.is_optional and not rest:
            break
        part, rest = rest[: component.longest], rest[component.longest :]
        if fault := _shape(entry, component, part, value) or _content(component, part, today):
            return fault
    if rest:
        return f"has {len(value)} characters and takes at most {entry.longest}"
    return ""


def _shape(entry: Entry, component: Component, part: str, value: str) -> str:
    if len(part) < component.shortest:
        length = str(entry.shortest) if entry.shortest == entry.longest else f"{entry.shortest} to {entry.longest}"
        return (
            f"is empty; it takes {length} characters"
            if not value
            else f"has {len(value)} characters and takes {length}"
        )
    odd = next((character for character in part if not CHARACTERS[component.kind].match(character)), None)
    return f"holds {odd!r}, which is none of {SETS[component.kind]}" if odd else ""


def _content(component: Component, part: str, today: date) -> str:
    return next((fault for name in component.checks if name in CHECKS and (fault := CHECKS[name](part, today))), "")


def day_of(digits: str, *, today: date, is_day_needed: bool = False) -> date:
    """Six digits YYMMDD; the century that brings the year within fifty years, day 00 the month's last.

    GS1 General Specifications 7.12. Raises ValueError with the end of a sentence.
    """
    year = today.year - today.year % 100 + int(digits[:2])
    if year - today.year > YEARS_AHEAD:
        year -= 100
    elif today.year - year >= YEARS_AHEAD:
        year += 100
    return _day(year, int(digits[2:4]), int(digits[4:6]), digits, is_day_needed)


def _day(year: int, month: int, day: int, digits: str, is_day_needed: bool) -> date:  # noqa: FBT001  of a pair
    if not 1 <= month <= 12:
        raise ValueError(f"{digits} is no date: there is no month {month:02}")
    last = monthrange(year, month)[1]
    if day == 0 and not is_day_needed:
        return date(year, month, last)
    if not 1 <= day <= last:
        raise ValueError(f"{digits} is no date: {year}-{month:02} has no day {day:02}")
    return date(year, month, day)


def meaning_of(entry: Entry, value: str, *, today: date) -> Meaning:
    """A sound field as what it says: a date, a time, a count, a measure with its unit, or its text."""
    first = entry.components[0].checks
    if "yymmd0" in first or "yymmdd" in first:
        day, rest = day_of(value[:6], today=today), value[6:]
        if entry.ai == HARVEST and rest:
            return f"{day}/{day_of(rest, today=today)}"
        return _moment(day, rest) if rest and rest != NO_TIME else day
    if len(entry.ai) == 4 and entry.ai[0] == "3":
        currency = CURRENCIES[int(value[:3])] if "iso4217" in first else ""
        number = value[3:] if currency else value
        amount = Decimal(int(number)).scaleb(-int(entry.ai[3]))
        return f"{amount:f} {currency or ('%' if entry.ai[:3] == '394' else entry.unit)}".strip()
    return int(value) if entry.ai in {"30", "37"} else value


def _moment(day: date, clock: str) -> datetime:
    """The local time of the place: GS1 says no zone."""
    hours, minutes, seconds = (int(clock[place : place + 2] or 0) for place in (0, 2, 4))
    return datetime.combine(day, time(hours, minutes, seconds))


def _check_digit(part: str, today: date) -> str:
    right = gtins.check_digit(part[:-1])
    return "" if right == part[-1] else f"ends in {part[-1]}, but the check digit of {part[:-1]} is {right}"


def _date(*, is_day_needed: bool) -> Check:
    def check(part: str, today: date) -> str:
        try:
            day_of(part, today=today, is_day_needed=is_day_needed)
        except ValueError as error:
            return str(error)
        return ""

    return check


def _long_date(part: str, today: date) -> str:
    try:
        _day(int(part[:4]) or 1, int(part[4:6]), int(part[6:8]), part, is_day_needed=True)
    except ValueError as error:
        return str(error)
    return ""


def _is(pattern: str, fault: str) -> Check:
    """A check by the shape of the text."""
    shape = re.compile(pattern)
    return lambda part, today: "" if shape.fullmatch(part) else f"{part!r} {fault}"


def _currency(part: str, today: date) -> str:
    return "" if int(part) in CURRENCIES else f"{part} is no currency of ISO 4217"


def _piece(part: str, today: date) -> str:
    piece, total = int(part[:2]), int(part[2:])
    return "" if 1 <= piece <= total else f"{part} is no piece of a total: the piece is 01 to the total"


def _account(part: str, today: date) -> str:
    return "" if iban.is_valid(part, check_country=False) else f"{part} is no IBAN"


def _at_most(most: int, what: str) -> Check:
    return lambda part, today: "" if int(part) <= most else f"{part} is no {what}"


CHECKS: dict[str, Check] = {
    "csum": _check_digit,
    "yymmd0": _date(is_day_needed=False),
    "yymmdd": _date(is_day_needed=True),
    "yyyymmdd": _long_date,
    "hhmi": _is(r"([01]\d|2[0-3])[0-5]\d|9999", "is no time of day, HHMM"),
    "hh": _is(r"[01]\d|2[0-3]", "is no hour"),
    "mi": _is(r"[0-5]\d", "is no minute"),
    "ss": _is(r"[0-5]\d", "is no second"),
    "iso3166": _is(r"(?!000)\d{3}", "is no country of ISO 3166"),
    "iso3166999": _is(r"(?!000)\d{3}", "is no country of ISO 3166"),
    "iso3166alpha2": _is(r"[A-Z]{2}", "is no country of ISO 3166"),
    "iso4217": _currency,
    "iso5218": _is(r"[0129]", "is none of 0, 1, 2 and 9 (ISO 5218)"),
    "pieceoftotal": _piece,
    "nonzero": _is(r"\d*[1-9]\d*", "may not be zero"),
    "zero": _is(r"0", "must be 0"),
    "winding": _is(r"[019]", "is none of 0, 1 and 9"),
    "yesno": _is(r"[01]", "is neither 0 nor 1"),
    "hyphen": _is(r"-", "must be a hyphen"),
    "nozeroprefix": _is(r"0|[1-9]\d*", "may not begin with 0"),
    "hasnondigit": _is(r".*\D.*", "needs a character that is no digit"),
    "posinseqslash": _is(r"[1-9]/[1-9]", "is no place in a sequence, such as 1/2"),
    "pcenc": _is(r"([^%]|%[0-9A-Fa-f]{2})*", "has a % that is followed by no two hexadecimal digits"),
    "latitude": _at_most(1_800_000_000, "latitude"),
    "longitude": _at_most(3_600_000_000, "longitude"),
    "iban": _account,
}
