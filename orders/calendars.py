"""When goods leave a building and when they arrive. Pure: a route and a moment in, a leg with its reasons out.

Every cut-off is exclusive: at the minute itself it is too late. The later one asks, the later
it leaves, never earlier; `last_moment` leans on that.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from orders.routes import HORIZON_DAYS, ONE_DAY, Building, Collection, Route, Step, days_from

SECOND = timedelta(seconds=1)


@dataclass(frozen=True, kw_only=True)
class Leg:
    """One parcel's way by one route."""

    ready_at: datetime
    leaves_at: datetime
    leaves_on: date
    delivered_on: date
    arrives_at: datetime
    """On that day, at the time of day it was collected: for who counts hours."""
    work: tuple[tuple[date, int], ...] = ()
    """What it takes of the building's capacity, by day."""
    steps: tuple[Step, ...] = field(default=(), compare=False)


Taken = Mapping[date, int]


def leg(*, route: Route, start: datetime, supply_on: date | None = None, load: int = 1, taken: Taken) -> Leg | None:
    """When what is ordered at `start` and is there from `supply_on` leaves and arrives; None within no horizon.

    `load` is in what the building counts; `taken` what its days hold already.
    """
    building, steps = route.building, list[Step]()
    found = _sent(route, start, supply_on, load, taken, steps)
    if found is None:
        return None
    ready, work, (_, leaves, day, arrival, last_steps) = found
    if arrival is None:
        return None
    if day != building.day_of(ready):
        steps.append(Step("missedPickup", at=leaves, note="the day's last collection was missed, or nobody collects"))
    return Leg(
        ready_at=ready, leaves_at=leaves, leaves_on=day, delivered_on=arrival[0], arrives_at=arrival[1], work=work,
        steps=(*steps, *last_steps),
    )  # fmt: skip


def last_moment(
    *, route: Route, start: datetime, supply_on: date | None, load: int, taken: Taken, made: Leg
) -> datetime:
    """The first whole second at which ordering would be too late for the leg made: order before it.

    Mostly the cut-off of the day it leaves, or of its collection; else found by halving: who asks later never leaves
    earlier.
    """
    start = start.replace(microsecond=0)
    span = range(int((made.leaves_at - start) / SECOND) + 1)

    def is_late(seconds: int) -> bool:
        later = start + timedelta(seconds=seconds)
        found = _sent(route, later, supply_on, load, taken, [])
        return found is None or found[2].leaves_at > made.leaves_at

    guess = -((start - _cutoff(route, made)) // SECOND)
    if guess in span and is_late(guess) and (guess == 0 or not is_late(guess - 1)):
        return start + timedelta(seconds=guess)
    return start + timedelta(seconds=bisect_left(span, True, key=is_late))


def _cutoff(route: Route, made: Leg) -> datetime:
    """Until when it had to be ordered, if nothing but lead time, cut-off and collection counted."""
    building, day = route.building, made.leaves_on
    collected = (each.ready_by for each in route.collections(day) if each.leaves_at == made.leaves_at)
    begun = building.moment(day, route.service.cutoff or building.cutoff)
    return min([begun, *collected]) - timedelta(minutes=building.lead_minutes)


def _sent(
    route: Route, start: datetime, supply_on: date | None, load: int, taken: Taken, steps: list[Step]
) -> tuple[datetime, tuple[tuple[date, int], ...], Collection] | None:
    """When it is ready, what it takes of the building's days, and with which collection it leaves."""
    building = route.building
    begun = _begin(building, route.service.cutoff or building.cutoff, start, supply_on, steps)
    made = _ready(building, begun, load, taken, steps) if begun else None
    collection = _collected(route, made[0]) if made else None
    if made is None or collection is None or (collection.leaves_on - building.day_of(start)).days > HORIZON_DAYS:
        return None
    return *made, collection


def _after_lead(building: Building, start: datetime) -> datetime | None:
    if building.lead_minutes and building.lead_is_working:
        return _worked(building, start)
    return start + timedelta(minutes=building.lead_minutes)


def _begin(
    building: Building, cutoff: time, start: datetime, supply_on: date | None, steps: list[Step]
) -> datetime | None:
    """When work on it can begin: after lead time, cut-off, supply and backlog."""
    ready = _after_lead(building, start)
    if ready is None:
        return None
    if building.lead_minutes:
        steps.append(Step("leadTime", at=ready, note=f"{building.lead_minutes} minutes"))
    at: datetime | None = ready
    day = building.day_of(ready)
    if not building.days.count(day):
        at, code = _next_opening(building, day), "closedDay"
    elif ready >= building.moment(day, cutoff):
        at, code = _next_opening(building, day + ONE_DAY), "afterCutoff"
    elif ready < building.opening(day):
        at, code = building.opening(day), "beforeOpening"
    else:
        code = ""
    if code and at is not None:
        steps.append(Step(code, at=at, note=f"cut-off {cutoff:%H:%M}" if code == "afterCutoff" else ""))
    if at is not None and supply_on is not None and supply_on > building.day_of(at):
        at = _next_opening(building, supply_on)
        steps.append(Step("waitsForStock", at=at, on=supply_on))
    for _ in range(building.backlog_days):
        at = at and _next_opening(building, building.day_of(at) + ONE_DAY)
    if building.backlog_days and at is not None:
        steps.append(Step("backlog", at=at, note=f"{building.backlog_days} working days"))
    return at


def _worked(building: Building, start: datetime) -> datetime | None:
    """The moment when so many minutes of the windows have passed."""
    left = timedelta(minutes=building.lead_minutes)
    for day in days_from(building.day_of(start)):
        if building.days.count(day):
            for window in building.windows:
                begin, end = max(start, building.moment(day, window.opens)), building.moment(day, window.closes)
                if begin < end:
                    if left <= end - begin:
                        return begin + left
                    left -= end - begin
    return None


def _next_opening(building: Building, day: date) -> datetime | None:
    first = building.days.first(day)
    return building.opening(first) if first else None


def _ready(
    building: Building, at: datetime, load: int, taken: Taken, steps: list[Step]
) -> tuple[datetime, tuple[tuple[date, int], ...]] | None:
    """When the last unit is done. Each takes its share of a window; what others hold lies at the day's beginning."""
    if not building.is_limited:
        return at, ()
    work: dict[date, int] = {}
    for day in days_from(building.day_of(at)):
        before = taken.get(day, 0)
        for window in building.windows if building.days.count(day) else ():
            opens, closes = building.moment(day, window.opens), building.moment(day, window.closes)
            if window.capacity is None:
                if at < closes:
                    work[day] = work.get(day, 0) + load
                    return max(at, opens), tuple(work.items())
                continue
            used = min(before, window.capacity)
            before -= used
            room = _room(opens, closes, at, capacity=window.capacity, used=used)
            if room is None:
                continue
            begin, each, fits = room
            done = min(load, fits)
            work[day] = work.get(day, 0) + done
            load -= done
            if not load:
                ready = begin + each * done
                steps.append(Step("capacity", at=ready, note=f"{building.counts} in working hours"))
                return ready, tuple(work.items())
    return None


def _room(
    opens: datetime, closes: datetime, at: datetime, *, capacity: int, used: int
) -> tuple[datetime, timedelta, int] | None:
    """From when a window has room, how long each unit takes, and how many still fit."""
    if capacity == used:
        return None
    each = (closes - opens) / capacity
    begin = max(at, opens + each * used)
    fits = min(capacity - used, int((closes - begin) / each)) if begin < closes else 0
    return (begin, each, fits) if fits else None


def _collected(route: Route, ready: datetime) -> Collection | None:
    """The first collection whose cut-off comes after the goods are ready."""
    days = days_from(route.building.day_of(ready))
    return next((each for day in days for each in route.collections(day) if ready < each.ready_by), None)
