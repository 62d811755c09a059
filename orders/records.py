"""A promise's question, supply and answer as JSON and back, so that it can be worked out again years later. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from orders.plans import Line, Plan, Question, Shipment, Steps, Supply, valid_until
from orders.routes import Building, Days, Pickup, Route, Service, Window

VERSION = 1
"""Of the way promises are worked out; raise it when the same inputs may come to another answer."""


def question_as_json(question: Question, supply: Supply, *, days: tuple[date, date]) -> dict[str, Any]:
    """Everything that counts; of calendars only the days within which it can matter."""
    buildings = {route.building.code: route.building for route in question.routes}
    services = {route.service.code: route.service for route in question.routes}
    return {
        "at": question.at.isoformat(),
        "today": question.today.isoformat(),
        "isSplitAllowed": question.is_split_allowed,
        "shipmentsMax": question.shipments_max,
        "lines": [[line.number, [list(part) for part in line.parts], line.quantity] for line in question.lines],
        "taken": {
            code: {day.isoformat(): amount for day, amount in taken.items()} for code, taken in question.taken.items()
        },
        "buildings": {code: _building_as_json(building, days) for code, building in buildings.items()},
        "services": {code: _service_as_json(service, days) for code, service in services.items()},
        "routes": [
            [*route.name, [_pickup_as_json(pickup) for pickup in route.pickups], route.transit_days, route.distance_km]
            for route in question.routes
        ],
        "pool": {str(part): _steps_as_json(steps) for part, steps in supply.pool.items()},
        "supply": [
            [part, more_days, {node: _steps_as_json(steps) for node, steps in nodes.items()}]
            for (part, more_days), nodes in sorted(supply.known.items())
        ],
    }


def question_from_json(kept: dict[str, Any]) -> tuple[Question, Supply]:
    buildings = {code: _building(code, row) for code, row in kept["buildings"].items()}
    services = {code: _service(code, row) for code, row in kept["services"].items()}
    routes = tuple(
        Route(
            building=buildings[node], service=services[service], transit_days=days, distance_km=km,
            pickups=tuple(
                Pickup(leaves=time.fromisoformat(leaves), ready_by=time.fromisoformat(by), weekdays=frozenset(weekdays))
                for leaves, by, weekdays in pickups
            ),
        )
        for node, service, pickups, days, km in kept["routes"]
    )  # fmt: skip
    question = Question(
        lines=tuple(
            Line(number=number, parts=tuple((part, each) for part, each in parts), quantity=quantity)
            for number, parts, quantity in kept["lines"]
        ),
        at=datetime.fromisoformat(kept["at"]),
        today=date.fromisoformat(kept["today"]),
        routes=routes,
        is_split_allowed=kept["isSplitAllowed"],
        shipments_max=kept["shipmentsMax"],
        taken={
            code: {date.fromisoformat(day): amount for day, amount in days.items()}
            for code, days in kept["taken"].items()
        },
    )
    supply = Supply(
        pool={int(part): _steps(steps) for part, steps in kept["pool"].items()},
        known={
            (part, more_days): {node: _steps(steps) for node, steps in nodes.items()}
            for part, more_days, nodes in kept["supply"]
        },
    )
    return question, supply


def plan_as_json(plan: Plan, question: Question) -> dict[str, Any]:
    """What is promised, without words: what a replay compares."""
    return {
        "missing": list(plan.missing),
        "refused": plan.refused,
        "validUntil": valid_until(plan.shipments, question.at).isoformat(),
        "shipments": [_shipment_as_json(shipment) for shipment in plan.shipments],
    }


def _shipment_as_json(shipment: Shipment) -> dict[str, Any]:
    return {
        "shipFrom": shipment.route.building.code,
        "service": shipment.route.service.code,
        "readyAt": shipment.leg.ready_at.isoformat(),
        "shipBy": shipment.leg.leaves_at.isoformat(),
        "orderBy": shipment.order_by.isoformat(),
        "promiseDate": shipment.leg.delivered_on.isoformat(),
        "lines": [[part.line, part.quantity] for part in shipment.parts],
        "work": [[day.isoformat(), amount] for day, amount in shipment.leg.work],
        "steps": [step.code for step in shipment.leg.steps],
    }


def _building_as_json(building: Building, days: tuple[date, date]) -> dict[str, Any]:
    return {
        "zone": building.zone.key,
        "days": _days_as_json(building.days, days),
        "windows": [
            [window.opens.isoformat(), window.closes.isoformat(), window.capacity] for window in building.windows
        ],
        "cutoff": building.cutoff.isoformat(),
        "lead": [building.lead_minutes, building.lead_is_working],
        "backlogDays": building.backlog_days,
        "counts": building.counts,
    }


def _building(code: str, row: dict[str, Any]) -> Building:
    return Building(
        code=code,
        zone=ZoneInfo(row["zone"]),
        days=_days(row["days"]),
        windows=tuple(
            Window(opens=time.fromisoformat(opens), closes=time.fromisoformat(closes), capacity=capacity)
            for opens, closes, capacity in row["windows"]
        ),
        cutoff=time.fromisoformat(row["cutoff"]),
        lead_minutes=row["lead"][0],
        lead_is_working=row["lead"][1],
        backlog_days=row["backlogDays"],
        counts=row["counts"],
    )


def _service_as_json(service: Service, days: tuple[date, date]) -> dict[str, Any]:
    return {
        "moves": _days_as_json(service.moves, days),
        "delivers": _days_as_json(service.delivers, days),
        "cutoff": service.cutoff.isoformat() if service.cutoff else None,
        "rank": service.rank,
    }


def _service(code: str, row: dict[str, Any]) -> Service:
    return Service(
        code=code,
        moves=_days(row["moves"]),
        delivers=_days(row["delivers"]),
        cutoff=time.fromisoformat(row["cutoff"]) if row["cutoff"] else None,
        rank=row["rank"],
    )


def _days_as_json(days: Days, within: tuple[date, date]) -> list[list[Any]]:
    return [sorted(days.weekdays), _dates(days.closed, within), _dates(days.opened, within)]


def _dates(dates: Iterable[date], within: tuple[date, date]) -> list[str]:
    return sorted(day.isoformat() for day in dates if within[0] <= day <= within[1])


def _days(row: list[list[Any]]) -> Days:
    weekdays, closed, opened = row
    return Days(
        weekdays=frozenset(weekdays),
        closed=frozenset(map(date.fromisoformat, closed)),
        opened=frozenset(map(date.fromisoformat, opened)),
    )


def _pickup_as_json(pickup: Pickup) -> list[Any]:
    return [pickup.leaves.isoformat(), pickup.ready_by.isoformat(), sorted(pickup.weekdays)]


def _steps_as_json(steps: Steps) -> list[list[Any]]:
    return [[day.isoformat(), units] for day, units in steps]


def _steps(rows: list[list[Any]]) -> list[tuple[date, int]]:
    return [(date.fromisoformat(day), units) for day, units in rows]
