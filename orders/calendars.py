"""When goods leave a building and when they arrive. Pure: calendars and a moment in, a leg with its reasons out.

Days and times of day are those of the building (its time zone), moments are UTC. Times of day stay what they are
when clocks change. Every cut-off is exclusive: at the minute itself it is too late. The later one asks, the later
it leaves, never earlier; `last_moment` leans on that.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

HORIZON_DAYS = 120
"""Nothing is promised that leaves later than so many days from when it is asked."""
ONE_DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


class Step(NamedTuple):
    """One reason, in the order in which they count. `code` is stable; the rest says what it did."""

    code: str
    at: datetime | None = None
    on: date | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Days:
    """Which days count: some weekdays (Monday is 0), without those closed, with those opened by exception."""

    weekdays: frozenset[int]
    closed: frozenset[date] = frozenset()
    opened: frozenset[date] = frozenset()

    def count(self, day: date) -> bool:
        return day in self.opened or (day.weekday() in self.weekdays and day not in self.closed)

    def first(self, day: date) -> date | None:
        """The first that counts from this day on; None where none comes soon."""
        return next((later for later in _from(day) if self.count(later)), None)


@dataclass(frozen=True, kw_only=True)
class Window:
    """Hours in which a building works; with a capacity, so many units or lines get ready in them, one by one."""

    opens: time
    closes: time
    capacity: int | None = None


@dataclass(frozen=True, kw_only=True)
class Building:
    """A warehouse as it works. Windows are in the order of the day and do not overlap; there is one at least."""

    code: str
    zone: ZoneInfo
    days: Days
    windows: tuple[Window, ...]
    cutoff: time
    """What is ordered at or after it counts for the next working day."""
    lead_minutes: int = 0
    """Before anybody can start: elapsed minutes, or minutes within the windows."""
    lead_is_working: bool = False
    backlog_days: int = 0
    """Working days the building is behind."""
    counts: Literal["units", "lines"] = "units"
    """What its capacity is of."""

    @property
    def is_limited(self) -> bool:
        return any(window.capacity is not None for window in self.windows)

    def moment(self, day: date, at: time) -> datetime:
        return _moment(self.zone, day, at)

    def day_of(self, moment: datetime) -> date:
        return moment.astimezone(self.zone).date()

    def opening(self, day: date) -> datetime:
        return self.moment(day, self.windows[0].opens)


@dataclass(frozen=True, kw_only=True)
class Pickup:
    """A carrier comes at this time; what is ready before `ready_by` goes with it."""

    leaves: time
    ready_by: time
    weekdays: frozenset[int]


@dataclass(frozen=True, kw_only=True)
class Service:
    """How a carrier moves and delivers, where the goods go."""

    code: str
    moves: Days
    delivers: Days
    cutoff: time | None = None
    """Instead of the building's."""
    rank: int = 0
    """Of services that arrive on the same day, the lowest is taken."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """A building, a service that collects there, and how long it takes to the destination."""

    building: Building
    service: Service
    pickups: tuple[Pickup, ...]
    transit_days: int
    distance_km: int | None = None

    @property
    def name(self) -> tuple[str, str]:
        return self.building.code, self.service.code


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
    building, service = route.building, route.service
    steps: list[Step] = []
    begun = _begin(building, service.cutoff or building.cutoff, start, supply_on, steps)
    made = _ready(building, begun, load, taken, steps) if begun else None
    if made is None:
        return None
    ready, work = made
    collected = _collected(route, ready)
    if collected is None:
        return None
    day, leaves = collected
    if day != building.day_of(ready):
        steps.append(Step("missedPickup", at=leaves, note="the day's last collection was missed, or nobody collects"))
    steps.append(Step("pickup", at=leaves, on=day, note=service.code))
    delivered = _delivered(service, day, route.transit_days, steps)
    if delivered is None or (day - building.day_of(start)).days > HORIZON_DAYS:
        return None
    local = leaves.astimezone(building.zone).time()
    return Leg(
        ready_at=ready, leaves_at=leaves, leaves_on=day, delivered_on=delivered,
        arrives_at=building.moment(delivered, local), work=work, steps=tuple(steps),
    )  # fmt: skip


def last_moment(
    *, route: Route, start: datetime, supply_on: date | None, load: int, taken: Taken, made: Leg
) -> datetime:
    """The first whole second at which ordering would be too late for the leg made: order before it.

    Found by halving: who asks later never leaves earlier.
    """
    span = range(int((made.leaves_at - start) / SECOND) + 1)

    def is_late(seconds: int) -> bool:
        later = start + timedelta(seconds=seconds)
        found = leg(route=route, start=later, supply_on=supply_on, load=load, taken=taken)
        return found is None or found.leaves_at > made.leaves_at

    return start + timedelta(seconds=bisect_left(span, True, key=is_late))


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
    for day in _from(building.day_of(start)):
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
    for day in _from(building.day_of(at)):
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


def _collected(route: Route, ready: datetime) -> tuple[date, datetime] | None:
    """The first collection whose cut-off comes after the goods are ready."""
    building = route.building
    for day in _from(building.day_of(ready)):
        if not building.days.count(day):
            continue
        for pickup in route.pickups:
            if day.weekday() in pickup.weekdays and ready < building.moment(day, pickup.ready_by):
                return day, building.moment(day, pickup.leaves)
    return None


def _delivered(service: Service, day: date, transit_days: int, steps: list[Step]) -> date | None:
    """Transit days are counted on days the carrier moves; then the next day on which it moves and delivers."""
    arrived = day
    if transit_days:
        moving = (later for later in _from(day + ONE_DAY) if service.moves.count(later))
        arrived = next((later for number, later in enumerate(moving, 1) if number == transit_days), date.max)
        if arrived == date.max:
            return None
        steps.append(Step("transit", on=arrived, note=f"{transit_days} transit days"))
        if (arrived - day).days > transit_days:
            steps.append(Step("nonTransitDays", on=arrived, note="days on which the carrier rests are not counted"))
    both = (later for later in _from(arrived) if service.delivers.count(later) and service.moves.count(later))
    delivered = next(both, None)
    if delivered is not None and delivered != arrived:
        steps.append(Step("nonDeliveryDay", on=delivered, note="nothing is delivered on the day it arrives"))
    return delivered


def _from(day: date) -> Iterator[date]:
    """A day and those after it, as far as anybody looks."""
    return (day + timedelta(days=more) for more in range(HORIZON_DAYS + 15))


@lru_cache(maxsize=20_000)
def _moment(zone: ZoneInfo, day: date, at: time) -> datetime:
    # A time of day that clocks skip is the moment as many minutes after the change; of one told twice, the first.
    return datetime.combine(day, at, zone).astimezone(UTC)
