"""An order is routed: what counts for it is read first, `routing` decides under the locks of the levels, and why is
kept. The caller holds the order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import F

from orders import calendars, network, routing
from orders.models import FulfilmentRequest, Order, RoutingDecision, RoutingPolicy
from orders.models.routing import WEIGHTS
from orders.network import Destination
from orders.routing import Answer, Policy, Question, Scored, Site
from partners import prepared, rows
from partners.models import Partner
from partners.problems import Problem
from stock.allocation import Candidate, Demand, Plan
from stock.models import Allocation, Reservation, ReservationLine
from stock.operations.promising import InsufficientStock

OPEN = F("quantity") - F("consumed") - F("freed")
CONSIDERED_MAX = 20
"""Warehouses kept with a decision, besides those chosen: nobody reads of the fortieth best."""
COUNTING = "WHERE partner_id = ANY(%s::bigint[]) OR (partner_id IS NULL AND channel IN ('', %s))"
COSTS = """
    SELECT warehouse.code, cost.country, cost.per_parcel, cost.per_unit, cost.per_100_km
      FROM orders_sendingcost cost LEFT JOIN stock_warehouse warehouse ON warehouse.id = cost.warehouse_id
     WHERE cost.country IN ('', %s)
"""


class Cost(NamedTuple):
    """What a SendingCost says; a warehouse of None is any."""

    warehouse_code: str | None = None
    country: str = ""
    per_parcel: Decimal = Decimal(0)
    per_unit: Decimal = Decimal(0)
    per_100_km: Decimal = Decimal(0)


FREE = Cost()


class TooManyShipments(Problem):
    """It is all there, but in more warehouses than may send it. Data: warehousesMax, shortages[{productId, requested,
    available, elsewhere}], `available` from so many warehouses and as disclosed to the partner, `elsewhere` the rest
    of what is requested: one warehouse more, or several, would have it."""

    code = "too_many_shipments"
    title = "It would have to be sent from too many warehouses"
    remedy = "Order less, allow more shipments, or set allowBackorder so that the rest waits."


@contextmanager
def within_limit(router: Router) -> Iterator[None]:
    """What is short only since no more warehouses may take part is refused as that: TooManyShipments."""
    try:
        yield
    except InsufficientStock as refusal:
        if router.answer is None or not router.answer.is_cut:
            raise
        most = router.policy.warehouses_max
        cut = TooManyShipments(
            f"It is there, but not in {most} {'warehouse' if most == 1 else 'warehouses'}, and no more may send it.",
            warehousesMax=most,
            shortages=[
                row | {"elsewhere": row["requested"] - (row["available"] or 0)} for row in refusal.data["shortages"]
            ],
        )
        cut.is_told, cut.aftermath = refusal.is_told, refusal.aftermath
        raise cut from refusal


class Router:
    """Chooses for one order, wherever stock asks it to, and remembers what it answered last."""

    def __init__(
        self,
        *,
        policy: Policy,
        sites: Mapping[str, Site],
        barred: Collection[str] = (),
        taking_part: Collection[str] = (),
    ) -> None:
        self.policy, self.sites = policy, sites
        self.barred, self.taking_part = barred, taking_part
        self.answer: Answer | None = None

    def __call__(
        self,
        demands: Sequence[Demand],
        candidates: Iterable[Candidate],
        *,
        limits: Mapping[tuple[int, str], int] | None = None,
        taken: Mapping[int, int] | None = None,
    ) -> list[Plan]:
        """An `allocation.Chooser`."""
        gone = taken or {}
        free = [
            replace(row, available=row.available - gone[row.level_id]) if gone.get(row.level_id) else row
            for row in candidates
        ]
        self.answer = routing.route(
            Question(
                demands=demands, candidates=free, policy=self.policy, sites=self.sites, limits=limits or {},
                barred=self.barred, taking_part=self.taking_part,
            )
        )  # fmt: skip
        return self.answer.plans


def router_for(*, order: Order, at: datetime) -> Router:
    """What decides from where this order is sent, as things stand at `at`. A fixed number of queries.

    A warehouse that refused the order is barred; those that keep or have sent goods of it take part already, so that
    the limit is one of the whole order. Of an order that never had a promise nobody refused or sent anything.
    """
    policy, sites = policy_for(order=order), sites_for(order=order, at=at)
    if order.reservation_id is None:
        return Router(policy=policy, sites=sites)
    return Router(policy=policy, sites=sites, barred=refused_by(order), taking_part=taking_part(order))


def policy_for(*, order: Order) -> Policy:
    """The policy that counts for an order: its partner's, that of who placed it, its channel's, or the one for all.

    An order that must not be split is sent from one warehouse. One query, of a small table.
    """
    whose = [order.partner_id, order.placed_by_id] if order.placed_by_id else [order.partner_id]
    found = min(
        rows.read(RoutingPolicy, COUNTING, [prepared.bigints(whose), order.channel]),
        key=lambda row: whose.index(row.partner_id) if row.partner_id else 2 if row.channel else 3,
        default=None,
    )
    policy = _policy(found) if found else Policy()
    return policy if order.allow_split else replace(policy, warehouses_max=1)


LIMIT = """
    SELECT warehouses_max FROM orders_routingpolicy
     WHERE partner_id = %s OR partner_id IS NULL AND channel IN ('', %s)
     ORDER BY partner_id IS NULL, channel = '' LIMIT 1
"""


def limit_for(*, partner: Partner, channel: str) -> int:
    """From how many warehouses an order is sent that the partner places: of the policies of `policy_for`. One query."""
    rows = prepared.fetch(LIMIT, [partner.pk, channel])
    return int(rows[0][0]) if rows else Policy().warehouses_max


def sites_for(*, order: Order, at: datetime) -> dict[str, Site]:
    """The active warehouses as the order's destination sees them: the way, when a parcel leaves and arrives, and what
    it costs. Two queries."""
    there = Destination.of(order.ship_to.get("country", ""), order.ship_to.get("postalCode", ""))
    found = network.network(destination=there, granted=order.partner.granted_warehouses, today=at.date())
    costs = [Cost(*row) for row in prepared.fetch(COSTS, [there.country])]
    legs: dict[str, list[tuple[calendars.Leg, int | None]]] = {}
    for route in found.routes:
        taken = found.taken.get(route.building.code, {})
        here = legs.setdefault(route.building.code, [])
        if made := calendars.leg(route=route, start=at, taken=taken):
            here.append((made, route.distance_km))
    return {code: _site(code, here, costs, at) for code, here in legs.items() if here}


def refused_by(order: Order) -> set[str]:
    """The warehouses that said they cannot fulfil this order."""
    refused = order.fulfilment_requests.filter(failure__in=FulfilmentRequest.REFUSALS)
    return set(refused.values_list("warehouse__code", flat=True))


def taking_part(order: Order) -> set[str]:
    """The warehouses that keep goods for an order, or have sent some. Two queries."""
    sent = order.shipments.values_list("warehouse__code", flat=True)
    return set(sent) | (keeping(order.reservation) if order.reservation else set())


def keeping(reservation: Reservation) -> set[str]:
    """The warehouses that keep goods for a reservation. One query."""
    kept = Allocation.objects.filter(line__reservation=reservation, quantity__gt=F("consumed") + F("freed"))
    return set(kept.values_list("level__location__warehouse__code", flat=True))


def variants_of(reservation: Reservation) -> set[int]:
    """The variants (their ids) a reservation is about."""
    return set(ReservationLine.objects.filter(reservation=reservation).values_list("variant", flat=True))


def keep_why(*, order: Order, router: Router, cause: RoutingDecision.Cause, at: datetime) -> None:
    """Keep what a router decided, for those who ask why; where it found nothing, nothing."""
    answer = router.answer
    if answer is None or not answer.chosen:
        return
    considered = [
        _as_json(row) for place, row in enumerate(answer.ranked) if place < CONSIDERED_MAX or row.code in answer.chosen
    ]
    decision = RoutingDecision(
        order=order, cause=cause, policy=router.policy.name, strategy=router.policy.strategy,
        warehouses_max=router.policy.warehouses_max, chosen=list(answer.chosen), considered=considered, at=at,
    )  # fmt: skip
    rows.insert([decision])


def _policy(row: RoutingPolicy) -> Policy:
    return Policy(
        name=row.name,
        strategy=row.strategy,
        weights={term: getattr(row, name) for name, term in WEIGHTS.items()},
        warehouses_max=row.warehouses_max,
        prefers=tuple(row.prefers),
    )


def _site(code: str, legs: Sequence[tuple[calendars.Leg, int | None]], costs: Sequence[Cost], at: datetime) -> Site:
    """By the way that arrives first."""
    leg, distance_km = min(legs, key=lambda made: (made[0].delivered_on, made[0].leaves_at))
    fits = [row for row in costs if row.warehouse_code in (None, code)]
    cost = max(fits, key=lambda row: (row.warehouse_code is not None, row.country != ""), default=FREE)
    return Site(
        code=code,
        distance_km=distance_km,
        leaves_in_minutes=int((leg.leaves_at - at).total_seconds()) // 60,
        arrives_on=leg.delivered_on,
        parcel_cost=cost.per_parcel + cost.per_100_km * (distance_km or 0) / 100,
        unit_cost=cost.per_unit,
    )


def _as_json(row: Scored) -> dict[str, Any]:
    return {
        "warehouseLocation": row.code,
        "score": row.score,
        "terms": [
            {"term": term.name, "points": term.points, "weight": term.weight, "fact": term.fact} for term in row.terms
        ],
    }
