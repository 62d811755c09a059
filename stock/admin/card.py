"""What the stock card says of one product: where it lies, what may be promised and why, what it held before."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from typing import Any

from django.db import connection
from django.db.models import F, Sum

from catalog.models import KitComponent, Variant
from stock import availability, queries
from stock.atp import Term
from stock.models import Inbound, Movement, Reservation

# The stock card is a look, not a report: the lists behind it have everything.
POSITIONS, ROWS, STEPS, FAMILY = 25, 8, 5, 50
DAYS = 60

WORDS = {
    "onHand": "On hand, of ours and of owners who let everybody have it",
    "reserved": "Promised already",
    "quarantine": "In quarantine",
    "damaged": "Damaged",
    "warranty": "Came back under warranty",
    "warehouseClosed": "In a warehouse that promises nothing",
    "quarantined": "Of a batch that is held back",
    "recalled": "Of a batch that is recalled",
    "expired": "Expired",
    "shelfLife": "Not good for long enough",
    "nodeSafety": "Safety stock of a warehouse",
    "poolSafety": "Safety stock over all",
    "guarantee": "Guaranteed to",
    "cap": "Above the cap",
    "buffer": "Buffer",
    "short": "Promised without supply",
    "backorder": "May be sold without stock",
}
"""The terms of availability as staff read them, in the order they are taken."""
TOLD = {"expired", "shelfLife", "guarantee", "cap"}
"""The terms whose own reason says more than their name."""

# Today's levels less all that happened after each day. What the last snapshot before the first day counts had
# all happened by then, so nothing before it is read; see asof.py.
HELD = """
    SELECT NULL::date, coalesce(sum(on_hand), 0)::bigint FROM stock_level WHERE variant_id = %(variant)s
    UNION ALL
    SELECT (m.occurred_at AT TIME ZONE 'UTC')::date, sum(side.quantity)::bigint
      FROM stock_movement m
      CROSS JOIN LATERAL (VALUES (m.to_location_id, m.quantity), (m.from_location_id, -m.quantity))
                 side (location_id, quantity)
     WHERE m.variant_id = %(variant)s AND m.occurred_at >= %(first)s AND side.location_id > 0
       AND m.id > coalesce((SELECT max(last_id) FROM stock_snapshot WHERE taken_at <= %(first)s), -1)
     GROUP BY 1
"""


@dataclass(frozen=True, kw_only=True)
class Total:
    """Terms of one name, added up."""

    words: str
    quantity: int
    why: str


def of_product(variant_id: int, *, at: datetime) -> dict[str, Any]:
    """All of the card; eight queries and two more where rules of promising count, each by the variant's index."""
    positions = queries.positions(variant_ids=[variant_id], at=at)
    filled = [position for position in positions if position.on_hand]
    parts = list(KitComponent.objects.filter(kit=variant_id).select_related("component").order_by("id"))
    return {
        "on_hand": sum(position.on_hand for position in positions),
        "reserved": sum(position.reserved for position in positions),
        "positions": filled[:POSITIONS],
        "more_positions": max(0, len(filled) - POSITIONS),
        "promised": promised(level_ids=[position.level_id for position in positions if position.reserved]),
        "moved": Movement.objects.filter(variant=variant_id)
        .select_related("from_location__warehouse", "to_location__warehouse", "batch")
        .order_by("-id")[:ROWS],
        "inbound": Inbound.objects.filter(variant=variant_id)
        .select_related("warehouse")
        .order_by("expected_on", "id")[:ROWS],
        "held": picture(held(variant_id, today=at.date())),
        **(promisable_kits(parts, at=at) if parts else promisable(variant_id, at=at)),
    }


def of_family(parent_id: int) -> dict[str, Any]:
    """What a parent gathers, each variant with what is kept of it. Three queries; a page of variants at most."""
    variants = Variant.objects.filter(parent=parent_id).order_by("sku")
    shown = list(variants[: FAMILY + 1])
    kept = queries.held([variant.pk for variant in shown])
    rows = [(variant, kept.get(variant.pk, {"onHand": 0, "reserved": 0})) for variant in shown[:FAMILY]]
    return {"rows": rows, "is_more": len(shown) > FAMILY}


def promised(*, level_ids: list[int]) -> Any:
    """The youngest open reservations that keep units of these levels."""
    return (
        Reservation.objects.open()
        .filter(
            lines__allocations__level__in=level_ids,
            lines__allocations__quantity__gt=F("lines__allocations__consumed") + F("lines__allocations__freed"),
        )
        .annotate(
            kept_units=Sum(
                F("lines__allocations__quantity") - F("lines__allocations__consumed") - F("lines__allocations__freed")
            )
        )
        .select_related("partner")
        .order_by("-id")[:ROWS]
    )


def promisable(variant_id: int, *, at: datetime) -> dict[str, Any]:
    """What may be promised to whoever comes, the terms it is made of, and what it will be on later days."""
    asker = availability.Asker(partner=None, channel="", at=at)
    answer = availability.available(variant_ids=[variant_id], asker=asker)[variant_id]
    return {"available": answer.quantity, "terms": added_up(answer.terms), "later": answer.by_date[1 : STEPS + 1]}


def promisable_kits(parts: list[KitComponent], *, at: datetime) -> dict[str, Any]:
    """How many kits can be made, and the component that says so."""
    asker = availability.Asker(partner=None, channel="", at=at)
    answers = availability.available(variant_ids=[part.component_id for part in parts], asker=asker)
    kit = availability.available_kit(parts, answers)
    limiting = next(part.component for part in parts if part.component_id == kit.limiting)
    return {"available": kit.available, "terms": [], "later": kit.by_date[1 : STEPS + 1], "limiting": limiting}


def added_up(terms: list[Term]) -> list[Total]:
    """The terms by their names, in the order they are taken; what they come to is what may be promised."""
    order = list(WORDS)
    names = [
        (
            order.index(term.name) if term.name in WORDS else -1,
            term.name,
            term.label if term.name == "guarantee" else "",
        )
        for term in terms
    ]
    rows = sorted(zip(names, terms, strict=True), key=lambda row: row[0])
    sums = []
    for (_, name, label), found in groupby(rows, key=lambda row: row[0]):
        group = [term for _, term in found]
        why = group[0].why if len(group) == 1 and name in TOLD else ""
        words = f"{WORDS.get(name, name)} {label}".strip()
        sums.append(Total(words=words, quantity=sum(term.quantity for term in group), why=why))
    return [row for row in sums if row.quantity]


def held(variant_id: int, *, today: date) -> list[tuple[date, int]]:
    """What lay anywhere at the end of each of the last days, today's so far. One query, index movement_by_variant."""
    first = today - timedelta(days=DAYS - 1)
    moment = datetime.combine(first + timedelta(days=1), time(), UTC)
    with connection.cursor() as cursor:
        cursor.execute(HELD, {"variant": variant_id, "first": moment})
        changes = dict(cursor.fetchall())
    quantity = changes.pop(None)
    days = sorted({*changes, *(first + timedelta(days=day) for day in range(DAYS))}, reverse=True)
    found = []
    for day in days:
        found.append((day, quantity))
        quantity -= changes.get(day, 0)
    return [row for row in reversed(found) if row[0] <= today]


def picture(rows: list[tuple[date, int]]) -> str:
    """The days as the chart's data."""
    dataset = {
        "label": "On hand",
        "data": [quantity for _, quantity in rows],
        "borderColor": "var(--color-primary-500)",
        "displayYAxis": True,
        "maxTicksXLimit": 6,
    }
    return json.dumps({"labels": [f"{day:%-d %b}" for day, _ in rows], "datasets": [dataset]})
