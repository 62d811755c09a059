"""Delivery promises are worked out, kept, claimed by orders, and worked out again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import transaction

from catalog.models import Variant
from orders import network, plans, promise, records
from orders.models import DeliveryPromise, Order, PromisedLoad, ShippingCalendar
from orders.network import Destination
from orders.operations import sourcing
from orders.plans import Line, Plan, Question, Steps, Supply
from partners import prepared
from partners.actors import Actor
from partners.disclosure import BANDS, Rule
from partners.models import Partner
from partners.problems import Conflict, InvalidInput, Problem
from stock import availability
from stock.availability import Asker
from stock.models import Warehouse

KITS = """
    SELECT kit_id, component_id, quantity FROM catalog_kitcomponent WHERE kit_id = ANY(%s::bigint[]) ORDER BY id
"""
UNCLAIMED_DAYS = 2
KEPT_MAX = 1_000
"""Unclaimed promises of one partner; a shop keeps one for each cart at its till, not for each page."""


class PromiseExpired(Conflict):
    """The promise is no longer good. Data: promiseId, validUntil, promiseDate (as of now; null if none)."""

    code = "promise_expired"
    title = "The delivery promise has run out"
    remedy = "Ask the buyer whether the new promiseDate will do, and ask for a new promise."


class PromiseClaimed(Conflict):
    """Another order stands on the promise. Data: promiseId."""

    code = "promise_claimed"
    title = "Another order has taken this promise"
    remedy = "Ask for a new promise with POST /deliveryDates."


class TooManyPromises(Problem):
    """The partner keeps more promises without ordering than it may."""

    code = "too_many_promises"
    title = "Too many promises are kept"
    remedy = "Order on promises you keep, or wait until some run out."
    status = 429
    retry_after_seconds = 3_600
    is_final = False


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A line of a cart."""

    variant: Variant
    quantity: int


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A plan, with all it was worked out from."""

    plan: Plan
    question: Question
    supply: Supply


def work_out(
    *,
    wanted: Sequence[Wanted],
    destination: Destination,
    partner: Partner,
    at: datetime,
    now: datetime,
    channel: str = "",
    is_split_allowed: bool = True,
) -> Answer:
    """When and from where a cart arrives that is ordered at `at`; stock is that of `now`. Changes nothing.

    A fixed number of queries: kits, supply and rules for all lines and warehouses at once, the routes, and from how
    many warehouses the partner's orders are sent. Where the
    partner is not told exact numbers, it is promised no more than it is told, and buildings count by bands.
    """
    kits: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for kit_id, part, each in prepared.fetch(KITS, [prepared.bigints(line.variant.pk for line in wanted)]):
        kits[kit_id].append((part, each))
    lines = tuple(
        Line(number=number, parts=_parts(line.variant.pk, kits), quantity=line.quantity)
        for number, line in enumerate(wanted, start=1)
    )
    asker = Asker(partner=partner, channel=channel, at=now)
    ids = {part for line in lines for part, _ in line.parts}
    answers = availability.available(variant_ids=ids, asker=asker)
    routes = network.network(destination=destination, granted=asker.granted, today=now.date())
    rule = partner.disclosure_rule
    supply = Supply(
        pool={part: _told(answer.by_date, rule) for part, answer in answers.items()},
        look=lambda part, more: {
            node: _banded(steps, rule) for node, steps in answers[part].dated_by_node(more).items()
        },
    )
    question = Question(
        lines=lines, at=at, today=now.date(), routes=routes.routes, is_split_allowed=is_split_allowed,
        shipments_max=sourcing.limit_for(partner=partner, channel=channel), taken=routes.taken,
    )  # fmt: skip
    return Answer(plan=_planned(question, supply), question=question, supply=supply)


@transaction.atomic
def keep(*, answer: Answer, asked: dict[str, Any], partner: Partner, actor: Actor, at: datetime) -> DeliveryPromise:
    """Keep a promise with its inputs, for an order that may come until it runs out. Asked twice, two are kept.

    Raises TooManyPromises; `answer` has to be whole.
    """
    if DeliveryPromise.objects.for_partner(partner).filter(order=None)[:KEPT_MAX].count() >= KEPT_MAX:
        raise TooManyPromises(f"{KEPT_MAX} promises are kept that no order has taken.")
    return DeliveryPromise.objects.create(
        partner=partner,
        asked=asked,
        inputs=records.question_as_json(answer.question, answer.supply, days=network.horizon(answer.question.today)),
        answer=records.plan_as_json(answer.plan, answer.question),
        version=records.VERSION,
        promise_date=answer.plan.delivered_on,
        asked_at=at,
        valid_until=min(plans.valid_until(answer.plan.shipments, answer.question.at), _half_an_hour(at)),
    )


@transaction.atomic
def claim(
    *,
    promised: DeliveryPromise,
    order: Order,
    wanted: Sequence[tuple[str, int]],
    actor: Actor,
    at: datetime,
) -> None:
    """Put a kept promise behind an order; what it takes of the days is taken from now on.

    Locks the promise and the calendars of its warehouses, by id. Claimed twice by the same order it does nothing.
    Raises InvalidInput where it is about another cart or destination, PromiseClaimed, and PromiseExpired (data:
    promiseId, validUntil, promiseDate) when its time is over or somebody else has filled its days.
    """
    locked = DeliveryPromise.objects.lock().get(pk=promised.pk)
    if locked.order_id == order.pk:
        return
    if locked.order_id is not None:
        raise PromiseClaimed("Another order has taken this promise.", promiseId=str(locked.public_id))
    _check_same(locked, order, wanted)
    if at >= locked.valid_until or not _has_room(locked):
        raise PromiseExpired(
            "The delivery promise has run out; ask anew.",
            promiseId=str(locked.public_id),
            validUntil=locked.valid_until.isoformat().replace("+00:00", "Z"),
            promiseDate=_date_now(locked, at),
        )
    locked.order, locked.claimed_at = order, at
    locked.save(update_fields=["order", "claimed_at"])
    warehouses = {row.code: row for row in Warehouse.objects.filter(code__in=_loads(locked))}
    PromisedLoad.objects.bulk_create(
        PromisedLoad(promise=locked, warehouse=warehouses[code], on=day, amount=amount)
        for code, days in _loads(locked).items()
        for day, amount in days.items()
    )


@dataclass(frozen=True, kw_only=True)
class Replay:
    """A kept promise worked out again."""

    is_same: bool
    answer: dict[str, Any]


def replay(*, promised: DeliveryPromise) -> Replay:
    """Work a promise out again from what was kept of it; no stock, no calendar of today is looked at."""
    question, supply = records.question_from_json(promised.inputs)
    answer = records.plan_as_json(_planned(question, supply), question)
    return Replay(is_same=answer == promised.answer, answer=answer)


@transaction.atomic
def forget_unclaimed(*, at: datetime, limit: int = 1_000) -> int:
    """Delete promises that no order took, some days after they ran out. Run again it goes on."""
    old = DeliveryPromise.objects.filter(order=None, valid_until__lt=at - timedelta(days=UNCLAIMED_DAYS))
    ids = list(old.order_by("id").select_for_update(skip_locked=True).values_list("pk", flat=True)[:limit])
    return DeliveryPromise.objects.filter(pk__in=ids).delete()[0]


def places(*, promised: DeliveryPromise) -> dict[tuple[str, int], str]:
    """By product and quantity of a line, the warehouse that has all of it today; of lines alike, where all agree."""
    found: dict[tuple[str, int], set[str]] = defaultdict(set)
    for shipment in promised.answer["shipments"]:
        for number, quantity in shipment["lines"]:
            line = promised.asked["lines"][number - 1]
            # What is to come, or comes in part from elsewhere, cannot be reserved at this place now.
            is_here = quantity == line["quantity"] and "waitsForStock" not in shipment["steps"]
            found[line["productId"], line["quantity"]].add(shipment["shipFrom"] if is_here else "")
    return {line: next(iter(codes)) for line, codes in found.items() if len(codes) == 1}


def _planned(question: Question, supply: Supply) -> Plan:
    return promise.with_order_by(promise.promise(question, supply), question)


def _parts(variant_id: int, kits: Mapping[int, list[tuple[int, int]]]) -> tuple[tuple[int, int], ...]:
    return tuple(kits.get(variant_id, ())) or ((variant_id, 1),)


def _told(steps: Steps, rule: Rule) -> Steps:
    """What may be promised of the pool to who is told this much of it; to who is told yes or no, one unit."""
    if rule.is_exact:
        return steps
    told = [(day, rule.tell(units)) for day, units in steps]
    return [(day, said.quantity if said.quantity is not None else int(said.label == "yes")) for day, said in told]


def _banded(steps: Steps, rule: Rule) -> Steps:
    """A building's units, as exactly as dates may betray them."""
    if rule.is_exact:
        return steps
    return [(day, max(band for band in BANDS if band <= max(units, 0))) for day, units in steps]


def _half_an_hour(at: datetime) -> datetime:
    return at + timedelta(minutes=plans.VALID_MINUTES)


def _check_same(promised: DeliveryPromise, order: Order, wanted: Sequence[tuple[str, int]]) -> None:
    lines = [(line["productId"], line["quantity"]) for line in promised.asked["lines"]]
    if sorted(lines) != sorted(wanted):
        raise InvalidInput.at("promiseId", "It was promised for other products or quantities.")
    ship_to = promised.asked["shipTo"]
    there = Destination.of(order.ship_to.get("country", ""), order.ship_to.get("postalCode", ""))
    if there != Destination.of(ship_to["country"], ship_to["postalCode"]):
        raise InvalidInput.at("promiseId", "It was promised for another destination.")
    if not order.allow_split and len(promised.answer["shipments"]) > 1:
        raise InvalidInput.at("promiseId", "It was promised in several shipments; allow the order to be split.")


def _loads(promised: DeliveryPromise) -> dict[str, dict[date, int]]:
    loads: dict[str, dict[date, int]] = defaultdict(lambda: defaultdict(int))
    for shipment in promised.answer["shipments"]:
        for day, amount in shipment["work"]:
            loads[shipment["shipFrom"]][date.fromisoformat(day)] += amount
    return loads


def _has_room(promised: DeliveryPromise) -> bool:
    """Whether the days it takes are as it saw them, or at least not fuller than they can be. Two who claim the last
    of a day wait for each other at its calendar."""
    loads = _loads(promised)
    calendars = ShippingCalendar.objects.filter(warehouse__code__in=loads).order_by("id")
    locked = list(calendars.select_for_update(no_key=True, of=("self",)).select_related("warehouse"))
    taken = _taken([calendar.warehouse_id for calendar in locked], loads)
    for calendar in locked:
        room = sum(hours.capacity or 0 for hours in calendar.hours.all())
        for day, amount in loads[calendar.warehouse.code].items():
            if room and taken.get((calendar.warehouse.code, day), 0) + amount > room:
                return False
    return True


def _taken(warehouse_ids: list[int], loads: Mapping[str, Mapping[date, int]]) -> dict[tuple[str, date], int]:
    rows = (
        PromisedLoad.objects.filter(
            warehouse__in=warehouse_ids, on__in={day for days in loads.values() for day in days}
        )
        .exclude(promise__order__status=Order.Status.CANCELLED)
        .values_list("warehouse__code", "on", "amount")
    )
    taken: dict[tuple[str, date], int] = defaultdict(int)
    for code, day, amount in rows:
        taken[code, day] += amount
    return taken


def _date_now(promised: DeliveryPromise, at: datetime) -> str | None:
    """The date the same cart would be promised now; None where it cannot be."""
    skus = [line["productId"] for line in promised.asked["lines"]]
    variants = {row.sku: row for row in Variant.objects.for_partner(promised.partner).stocked().filter(sku__in=skus)}
    if len(variants) != len(set(skus)):
        return None
    ship_to = promised.asked["shipTo"]
    answer = work_out(
        wanted=[Wanted(variant=variants[line["productId"]], quantity=line["quantity"]) for line in promised.asked["lines"]],
        destination=Destination.of(ship_to["country"], ship_to["postalCode"]),
        partner=promised.partner, channel=promised.asked["channel"],
        is_split_allowed=promised.asked["allowSplit"], at=at, now=at,
    )  # fmt: skip
    return answer.plan.delivered_on.isoformat() if answer.plan.is_whole else None
