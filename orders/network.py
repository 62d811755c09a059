"""The routes to a destination, as this site has configured them: rows in, what `promise` works with out.

What is not configured has a default, so that a bare site answers, too: warehouses work Monday to Friday 8:00 to 17:00
without limit, closed on their country's public holidays, orders until 14:00 leave the same day; one service `standard`
collects at 17:00 what is ready before 16:00; it takes one day and one more for each 800 km begun, or three days within
a country and seven abroad where a place is not on the map.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import holidays

from orders.routes import HORIZON_DAYS, Building, Days, Pickup, Route, Service, Window
from partners import prepared

KM_A_DAY = 800
DAYS_WITHIN, DAYS_ABROAD = 3, 7
WORKDAYS = frozenset(range(5))
HOURS = (Window(opens=time(8), closes=time(17)),)
CUTOFF = time(14)
PICKUPS = (Pickup(leaves=time(17), ready_by=time(16), weekdays=WORKDAYS),)
STANDARD = (0, "standard", 0, None, [0, 1, 2, 3, 4], [0, 1, 2, 3, 4], True)
PLACES_MAX = 3
"""Characters of a postal code that are left away to find a near one."""

# All of it in one round trip, each row a kind and a text: what was read before need not be understood again.
NETWORK = """
    WITH warehouse AS (
        SELECT w.id, w.code, w.time_zone, w.country, w.region, w.latitude, w.longitude, w.postal_code
          FROM stock_warehouse w
         WHERE w.is_active AND (%s::text[] IS NULL OR w.code = ANY(%s::text[]))
    )
    SELECT 'warehouse', jsonb_build_array(w.id, w.code, w.time_zone, w.country, w.region,
               coalesce(w.latitude, near.latitude), coalesce(w.longitude, near.longitude), c.id, c.works_on,
               c.keeps_holidays, c.cutoff, c.lead_minutes, c.lead_is_working, c.backlog_days, c.counts)::text
      FROM warehouse w
      LEFT JOIN orders_shippingcalendar c ON c.warehouse_id = w.id
      LEFT JOIN orders_place near ON w.latitude IS NULL AND near.country = w.country
       AND near.postal_code = upper(regexp_replace(w.postal_code, '[^0-9A-Za-z]', '', 'g')) AND near.postal_code <> ''
    UNION ALL
    SELECT 'hours', jsonb_build_array(calendar_id, opens_at, closes_at, capacity)::text FROM orders_workinghours
    UNION ALL
    SELECT 'day', jsonb_build_array(calendar_id, "on", is_open)::text FROM orders_calendarday
     WHERE "on" BETWEEN %s::date - 2 AND %s::date + 150
    UNION ALL
    SELECT 'service', jsonb_build_array(id, code, rank, cutoff, moves_on, delivers_on, keeps_holidays)::text
      FROM orders_carrierservice WHERE is_active
    UNION ALL
    SELECT 'pickup', jsonb_build_array(warehouse_id, service_id, leaves_at, ready_by, weekdays)::text FROM orders_pickup
    UNION ALL
    SELECT 'transit', jsonb_build_array(service_id, warehouse_id, postal_prefix, days)::text FROM orders_transittime
     WHERE country = %s AND starts_with(%s, postal_prefix)
    UNION ALL
    SELECT 'fixed', to_jsonb(service_id)::text FROM (SELECT DISTINCT service_id FROM orders_transittime) said
    UNION ALL
    SELECT 'load', jsonb_build_array(warehouse.code, load."on", sum(load.amount))::text
      FROM orders_promisedload load
      JOIN warehouse ON warehouse.id = load.warehouse_id
      JOIN orders_deliverypromise promise ON promise.id = load.promise_id
      JOIN orders_order "order" ON "order".id = promise.order_id AND "order".status <> 'cancelled'
     WHERE load."on" >= %s::date - 2
     GROUP BY warehouse.code, load."on"
    UNION ALL
    SELECT 'place', jsonb_build_array(latitude, longitude)::text FROM (
        (SELECT latitude, longitude, length(postal_code) AS closeness FROM orders_place
          WHERE country = %s AND postal_code = %s AND postal_code <> '')
        UNION ALL
        (SELECT avg(latitude), avg(longitude), 1 FROM orders_place
          WHERE country = %s AND postal_code >= %s AND postal_code < %s || '~' AND postal_code <> ''
         HAVING count(*) > 0)
        UNION ALL
        (SELECT latitude, longitude, 0 FROM orders_place WHERE country = %s AND postal_code = ''
          ORDER BY population DESC LIMIT 1)
        ORDER BY closeness DESC LIMIT 1) nearest
"""


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where it shall go; the postal code without spaces and in capitals, a US one without its four last digits."""

    country: str
    postal_code: str

    @classmethod
    def of(cls, country: str, postal_code: str) -> Destination:
        plain = "".join(letter for letter in postal_code.upper() if letter.isascii() and letter.isalnum())
        return cls(country=country, postal_code=plain[:5] if country == "US" else plain)


@dataclass(frozen=True, kw_only=True)
class Network:
    """The routes to one destination, and what the buildings' days hold already."""

    routes: tuple[Route, ...]
    taken: Mapping[str, Mapping[date, int]]


def network(*, destination: Destination, granted: list[str] | None, today: date) -> Network:
    """The routes from the warehouses granted (None: all). One query, of small tables."""
    code, near = destination.postal_code, destination.postal_code[:PLACES_MAX]
    rows = prepared.fetch(
        NETWORK,
        [granted, granted, today, today, destination.country, code, today, destination.country, code,
         destination.country, near or "~", near or "~", destination.country],
    )  # fmt: skip
    taken: dict[str, dict[date, int]] = defaultdict(dict)
    said = []
    for kind, text in rows:
        if kind == "load":
            warehouse, day, amount = json.loads(text)
            taken[warehouse][date.fromisoformat(day)] = int(amount)
        else:
            said.append((kind, text))
    return Network(routes=_routes(tuple(said), destination.country, today.year), taken=dict(taken))


@lru_cache(maxsize=500)
def public_holidays(country: str, region: str, year: int) -> frozenset[date]:
    """The public holidays of a country, and of its region where both are known, from the year before to the year after."""
    years = range(year - 1, year + 2)
    for subdivision in (region or None, None):
        try:
            return frozenset(holidays.country_holidays(country, subdiv=subdivision, years=years))
        except NotImplementedError:
            continue
    return frozenset()


def distance_km(here: tuple[float, float], there: tuple[float, float]) -> int:
    """As the crow flies, on a round earth; a half percent off at worst."""
    (north, east), (north2, east2) = ((math.radians(a), math.radians(b)) for a, b in (here, there))
    half = math.sin((north2 - north) / 2) ** 2
    half += math.cos(north) * math.cos(north2) * math.sin((east2 - east) / 2) ** 2
    return round(2 * 6_371 * math.asin(min(1, math.sqrt(half))))


def estimated_days(distance: int | None, *, is_abroad: bool) -> int:
    if distance is None:
        return DAYS_ABROAD if is_abroad else DAYS_WITHIN
    return 1 + math.ceil(distance / KM_A_DAY)


@lru_cache(maxsize=200)
def _routes(rows: tuple[tuple[str, str], ...], country: str, year: int) -> tuple[Route, ...]:
    said: dict[str, list[Any]] = defaultdict(list)
    for kind, text in rows:
        said[kind].append(json.loads(text))
    there = next(((float(north), float(east)) for north, east in said["place"]), None)
    services = said["service"] or [STANDARD]
    routes = []
    for row in said["warehouse"]:
        building = _building(row, said, year)
        here = (float(row[5]), float(row[6])) if row[5] is not None and row[6] is not None else None
        distance = distance_km(here, there) if here and there else None
        for service in services:
            days = _transit_days(service[0], row[0], said)
            if days is None and service[0] not in said["fixed"]:
                days = estimated_days(distance, is_abroad=row[3] != country)
            if days is not None:
                routes.append(
                    Route(
                        building=building, service=_service(service, country, year),
                        pickups=_pickups(row[0], service[0], said), transit_days=days, distance_km=distance,
                    )
                )  # fmt: skip
    return tuple(sorted(routes, key=lambda route: route.name))


def _building(row: list[Any], said: dict[str, list[Any]], year: int) -> Building:
    _, code, zone, country, region, _, _, calendar, works_on, keeps, cutoff, lead, is_working, backlog, counts = row
    if calendar is None:
        days = Days(weekdays=WORKDAYS, closed=public_holidays(country, region, year))
        return Building(code=code, zone=ZoneInfo(zone), days=days, windows=HOURS, cutoff=CUTOFF)
    exceptions = [(date.fromisoformat(day), is_open) for owner, day, is_open in said["day"] if owner == calendar]
    closed = {day for day, is_open in exceptions if not is_open}
    days = Days(
        weekdays=frozenset(works_on),
        closed=frozenset(closed | (public_holidays(country, region, year) if keeps else frozenset())),
        opened=frozenset(day for day, is_open in exceptions if is_open),
    )
    hours = sorted(
        (_time(opens), _time(closes), capacity) for owner, opens, closes, capacity in said["hours"] if owner == calendar
    )
    windows = tuple(Window(opens=opens, closes=closes, capacity=capacity) for opens, closes, capacity in hours)
    return Building(
        code=code, zone=ZoneInfo(zone), days=days, windows=windows or HOURS, cutoff=_time(cutoff), lead_minutes=lead,
        lead_is_working=is_working, backlog_days=backlog, counts=counts,
    )  # fmt: skip


def _service(row: list[Any] | tuple[Any, ...], country: str, year: int) -> Service:
    _, code, rank, cutoff, moves_on, delivers_on, keeps = row
    closed = public_holidays(country, "", year) if keeps else frozenset()
    return Service(
        code=code,
        rank=rank,
        cutoff=_time(cutoff) if cutoff else None,
        moves=Days(weekdays=frozenset(moves_on), closed=closed),
        delivers=Days(weekdays=frozenset(delivers_on), closed=closed),
    )


def _pickups(warehouse_id: int, service_id: int, said: dict[str, list[Any]]) -> tuple[Pickup, ...]:
    found = [
        Pickup(leaves=_time(leaves), ready_by=_time(ready), weekdays=frozenset(weekdays))
        for at, service, leaves, ready, weekdays in said["pickup"]
        if (at, service) == (warehouse_id, service_id)
    ]
    return tuple(sorted(found, key=lambda pickup: pickup.leaves)) or PICKUPS


def _transit_days(service_id: int, warehouse_id: int, said: dict[str, list[Any]]) -> int | None:
    """What is said closest: of this warehouse rather than of all, of the longer prefix rather than the shorter."""
    fits = [
        (at is not None, len(prefix), days)
        for service, at, prefix, days in said["transit"]
        if service == service_id and at in (None, warehouse_id)
    ]
    return max(fits)[2] if fits else None


def _time(text: str) -> time:
    return time.fromisoformat(text)


def horizon(today: date) -> tuple[date, date]:
    """The days that can matter to a promise asked today."""
    return today - timedelta(days=2), today + timedelta(days=2 * HORIZON_DAYS)
