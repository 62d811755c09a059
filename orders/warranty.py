"""How long a warranty runs, and whether units are still within it. Pure: days in, days out."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import MAXYEAR, date

from catalog.models import WarrantyPer


@dataclass(frozen=True, kw_only=True)
class Sent:
    """So many units that left on a day, by the clock of the warehouse they left."""

    on: date
    quantity: int
    serials: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Clock:
    """From the day of shipment through the last day; `covered` units of it may be claimed."""

    starts_on: date
    ends_on: date
    covered: int


def last_day(starts_on: date, months: int) -> date:
    """The same day so many months later, or the month's last: 31 January and one month is 28 February."""
    year, month = divmod(starts_on.year * 12 + starts_on.month - 1 + months, 12)
    if year > MAXYEAR:
        return date.max
    return date(year, month + 1, min(starts_on.day, monthrange(year, month + 1)[1]))


def clock(*, sent: Sequence[Sent], months: int, per: str, claimed_on: date, serial: str = "", used: int = 0) -> Clock:
    """The warranty that counts for units of a line on the day they are claimed.

    What an order line delivered has one clock, from the day the last of it left. Units have each their own: one
    that is named by its number from the day it left; of others it cannot be told which they are, so the oldest
    that still run are taken, less the `used`, which were claimed before. Where none runs any more the youngest
    is named.
    """
    if per == WarrantyPer.ORDER_LINE:
        day = max(row.on for row in sent)
        is_running = last_day(day, months) >= claimed_on
        return Clock(
            starts_on=day, ends_on=last_day(day, months), covered=sum(row.quantity for row in sent) if is_running else 0
        )
    named = [row for row in sent if serial and serial in row.serials]
    mine = named or sent
    running = [row for row in mine if last_day(row.on, months) >= claimed_on]
    day = min(row.on for row in running) if running else max(row.on for row in mine)
    units = sum(row.quantity for row in running)
    # A unit that is named was announced once and is not among those claimed before.
    return Clock(starts_on=day, ends_on=last_day(day, months), covered=units if named else max(units - used, 0))
