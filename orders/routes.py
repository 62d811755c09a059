"""Buildings, carriers and the routes they make to a destination. Pure: days and times in, collections and arrivals out.

Days and times of day are those of the building (its time zone), moments are UTC. Times of day stay what they are
when clocks change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

HORIZON_DAYS = 120
"""Nothing is promised that leaves later than so many days from when it is asked."""
FAR_KM = 100_000
"""How far it is where nobody knows: farther than any other."""
ONE_DAY = timedelta(days=1)


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
        return next((later for later in days_from(day) if self.count(later)), None)


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

    @cached_property
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

    @cached_property
    def name(self) -> tuple[str, str]:
        return self.building.code, self.service.code

    @property
    def way_km(self) -> int:
        return FAR_KM if self.distance_km is None else self.distance_km

    @cached_property
    def preference(self) -> tuple[int, int, str, str]:
        """Of what arrives on the same day the lowest is taken."""
        return self.service.rank, self.way_km, *self.name

    @cached_property
    def _found(self) -> dict[date, tuple[Collection, ...]]:
        return {}

    def collections(self, day: date) -> tuple[Collection, ...]:
        """Those of a day, in their order. Found once: they depend on the day alone, and routes are kept."""
        found = self._found.get(day)
        if found is None:
            found = self._found[day] = _collections(self, day)
        return found


class Collection(NamedTuple):
    """What is ready before `ready_by` leaves with it."""

    ready_by: datetime
    leaves_at: datetime
    leaves_on: date
    arrival: tuple[date, datetime] | None
    """The day, and then the time of day it was collected; None within no horizon."""
    steps: tuple[Step, ...]


def _collections(route: Route, day: date) -> tuple[Collection, ...]:
    building, service = route.building, route.service
    pickups = [pickup for pickup in route.pickups if day.weekday() in pickup.weekdays]
    if not pickups or not building.days.count(day):
        return ()
    steps: list[Step] = []
    delivered = _delivered(service, day, route.transit_days, steps)
    collections = []
    for pickup in pickups:
        leaves = building.moment(day, pickup.leaves)
        local = leaves.astimezone(building.zone).time()
        collections.append(
            Collection(
                ready_by=building.moment(day, pickup.ready_by),
                leaves_at=leaves,
                leaves_on=day,
                arrival=(delivered, building.moment(delivered, local)) if delivered else None,
                steps=(Step("pickup", at=leaves, on=day, note=service.code), *steps),
            )
        )
    return tuple(collections)


def _delivered(service: Service, day: date, transit_days: int, steps: list[Step]) -> date | None:
    """Transit days are counted on days the carrier moves; then the next day on which it moves and delivers."""
    arrived = day
    if transit_days:
        moving = (later for later in days_from(day + ONE_DAY) if service.moves.count(later))
        arrived = next((later for number, later in enumerate(moving, 1) if number == transit_days), date.max)
        if arrived == date.max:
            return None
        steps.append(Step("transit", on=arrived, note=f"{transit_days} transit days"))
        if (arrived - day).days > transit_days:
            steps.append(Step("nonTransitDays", on=arrived, note="days on which the carrier rests are not counted"))
    both = (later for later in days_from(arrived) if service.delivers.count(later) and service.moves.count(later))
    delivered = next(both, None)
    if delivered is not None and delivered != arrived:
        steps.append(Step("nonDeliveryDay", on=delivered, note="nothing is delivered on the day it arrives"))
    return delivered


def days_from(day: date) -> Iterator[date]:
    """A day and those after it, as far as anybody looks."""
    return (day + timedelta(days=more) for more in range(HORIZON_DAYS + 15))


@lru_cache(maxsize=20_000)
def _moment(zone: ZoneInfo, day: date, at: time) -> datetime:
    # A time of day that clocks skip is the moment as many minutes after the change; of one told twice, the first.
    return datetime.combine(day, at, zone).astimezone(UTC)
