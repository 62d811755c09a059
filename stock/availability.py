"""What can be promised of many products to one caller, from the stock book: rows in, `atp` answers out.

The same function answers partners, explains itself to staff, and tells a reservation how far it may go.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import connection

from catalog.models import KitComponent, Variant
from catalog.queries import STOCKED, Stocked
from partners import prepared
from partners.models import Partner
from stock import atp
from stock.atp import Amount, Answer, Rules, Supply
from stock.models.level import FROM_SQL
from stock.models.ownership import GRANTED_SQL
from stock.rules import Rule, held_by, named, rules_for

# Levels that do not differ in anything that counts are added up by the database. Dates are moved onto one
# axis of days: what expires today where it lies expires on the asker's today.
SUPPLIES = f"""
    SELECT level.variant_id, warehouse.code, batch.number,
           batch.expires_on + (%s::date - (%s AT TIME ZONE warehouse.time_zone)::date),
           CASE WHEN level.condition <> 'sellable' THEN level.condition
                WHEN NOT warehouse.is_active THEN 'warehouseClosed'
                WHEN batch.hold_state <> 'released' THEN batch.hold_state ELSE '' END AS barred,
           sum(level.on_hand)::bigint, sum(level.reserved)::bigint
      FROM {FROM_SQL}
     WHERE level.variant_id = ANY(%s::bigint[]) AND level.on_hand > 0 AND {GRANTED_SQL}
       AND (%s::text[] IS NULL OR warehouse.code = ANY(%s::text[]))
     GROUP BY level.variant_id, warehouse.id, batch.id, barred
     ORDER BY level.variant_id, warehouse.code, batch.expires_on NULLS LAST, batch.number
"""  # noqa: S608  the parts are our own
INBOUND = """
    SELECT inbound.variant_id, warehouse.code, inbound.document, inbound.expected_on, inbound.kind, inbound.quantity,
           batch.expires_on
      FROM stock_inbound inbound
      JOIN stock_warehouse warehouse ON warehouse.id = inbound.warehouse_id
      LEFT JOIN stock_batch batch ON batch.id = inbound.batch_id
     WHERE inbound.variant_id = ANY(%s::bigint[]) AND inbound.is_confirmed AND warehouse.is_active
       AND (%s::text[] IS NULL OR warehouse.code = ANY(%s::text[]))
     ORDER BY inbound.variant_id, inbound.expected_on, inbound.id
"""
# All that the answer is made of, in one trip to the database: products by SKU, rules, supplies, what is coming.
NAMED = "ANY(ARRAY(SELECT asked.id FROM asked))"
LOOK = f"""
    WITH asked (id, sku, is_kit) AS MATERIALIZED ({STOCKED})
    SELECT 0 AS kind, id AS variant_id, sku AS a, NULL AS b, NULL::date AS day, NULL AS c, is_kit::int::bigint AS n,
           0::bigint AS m, NULL::date AS until
      FROM asked
    UNION ALL
    (SELECT 1, NULL, NULL, NULL, NULL, NULL, 0, 0, NULL
      FROM stock_promiserule rule WHERE rule.variant_id = {NAMED} OR rule.variant_id IS NULL LIMIT 1)
    UNION ALL
    SELECT 2, supply.* , NULL FROM ({SUPPLIES.replace("ANY(%s::bigint[])", NAMED)}) supply
    UNION ALL
    SELECT 3, coming.variant_id, coming.code, coming.document, coming.expected_on, coming.kind, coming.quantity, 0,
           coming.expires_on
      FROM ({INBOUND.replace("ANY(%s::bigint[])", NAMED)}) coming
"""  # noqa: S608  the parts are our own
HELD = """
    SELECT level.variant_id, reservation.channel, coalesce(partner.code, ''),
           sum(allocation.quantity - allocation.consumed - allocation.freed)::bigint
      FROM stock_level level
      JOIN stock_allocation allocation ON allocation.level_id = level.id
       AND allocation.quantity > allocation.consumed + allocation.freed
      JOIN stock_reservationline line ON line.id = allocation.line_id
      JOIN stock_reservation reservation ON reservation.id = line.reservation_id
      LEFT JOIN partners_partner partner ON partner.id = reservation.partner_id
     WHERE level.variant_id = ANY(%s::bigint[]) AND level.reserved > 0
     GROUP BY 1, 2, 3
"""


@dataclass(frozen=True, kw_only=True)
class Asker:
    """Who asks: a partner (None: we ourselves) through a channel, at a moment."""

    partner: Partner | None
    channel: str
    at: datetime

    @property
    def today(self) -> date:
        return self.at.date()

    @property
    def granted(self) -> list[str] | None:
        return self.partner.granted_warehouses if self.partner else None


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What one look has found of products named by SKU."""

    variants: dict[str, Stocked]
    supplies: dict[int, list[Supply]]
    has_rules: bool


def look_at(skus: Sequence[str], *, asker: Asker) -> Seen:
    """The products the asker may see, what lies there and what is coming of each. One query, prepared."""
    partner_id = asker.partner.pk if asker.partner else None
    is_limited = asker.partner is not None and asker.partner.assortment != Partner.Assortment.ALL
    of_supplier = partner_id if is_limited else None
    codes, today = asker.granted, asker.today
    tomorrow = today + timedelta(days=1)
    variants: dict[str, Stocked] = {}
    supplies: dict[int, list[Supply]] = defaultdict(list)
    has_rules = False
    for kind, variant_id, a, b, day, c, n, m, until in prepared.fetch(
        LOOK,
        [
            list(skus), of_supplier, of_supplier, False,
            today, asker.at, partner_id, partner_id, codes, codes,
            codes, codes,
        ],
    ):  # fmt: skip
        if kind == 2:
            supplies[variant_id].append(_lying(a, n, m, b, day, c, today))
        elif kind == 0:
            variants[a] = Stocked(variant_id, a, bool(n))
        elif kind == 1:
            has_rules = True
        else:
            supplies[variant_id].append(_coming(a, n, b, day, c, until, tomorrow))
    return Seen(variants=variants, supplies=supplies, has_rules=has_rules)


def _lying(
    node: str, on_hand: int, reserved: int, batch: str | None, expires_on: date | None, barred: str, today: date
) -> Supply:
    return Supply(
        node=node, quantity=on_hand, available_from=today, expires_on=expires_on, label=batch or "", promised=reserved,
        barred=barred,
    )  # fmt: skip


def _coming(
    node: str, quantity: int, document: str, expected_on: date, kind: str, expires_on: date | None, tomorrow: date
) -> Supply:
    """What should be here already is not: it counts from tomorrow on."""
    return Supply(
        node=node, quantity=quantity, available_from=max(expected_on, tomorrow), expires_on=expires_on, source=kind,
        label=document,
    )  # fmt: skip


def available(
    *,
    variant_ids: Iterable[int],
    asker: Asker,
    needed_by: date | None = None,
    rules: Mapping[int, Rules] | None = None,
    seen: Seen | None = None,
) -> dict[int, Answer]:
    """What can be promised of each SKU, with its terms. Three queries; five where rules count.

    `rules` are those of `rules_counting` where they were looked up already. Index level_one_per_place. Kits
    have no stock of their own; see `available_kit`. What `look_at` has `seen` of all of them is not asked again.
    """
    ids = sorted(set(variant_ids))
    supplies = _supplies(ids, asker) if seen is None else seen.supplies
    if rules is None and (seen is None or seen.has_rules or kept_back_from(asker.partner)):
        rules = rules_counting(variant_ids=ids, asker=asker)
    counting = rules or {}
    return {
        variant_id: atp.available_to_promise(
            supplies=supplies.get(variant_id, ()),
            rules=counting.get(variant_id),
            today=asker.today,
            needed_by=needed_by,
        )
        for variant_id in ids
    }


def rules_counting(*, variant_ids: Iterable[int], asker: Asker) -> dict[int, Rules]:
    """What counts for each product when this caller asks; empty where no rule does. At most three queries."""
    ids = sorted(set(variant_ids))
    found = rules_of(ids)
    kept_back = kept_back_from(asker.partner)
    if not found:
        return dict.fromkeys(ids, Rules(channel=asker.channel, kept_back=kept_back)) if kept_back else {}
    held = _held(ids) if any(rule.kind in {"guarantee", "cap", "oversell"} for rule in found) else {}
    types = dict(Variant.objects.filter(pk__in=ids).values_list("pk", "product_type"))
    return {
        variant_id: rules_for(
            found, variant_id=variant_id, product_type=types.get(variant_id, ""), channel=asker.channel,
            partner_code=asker.partner.code if asker.partner else "", held=held.get(variant_id, {}),
            kept_back=kept_back,
        )
        for variant_id in ids
    }  # fmt: skip


def kept_back_from(partner: Partner | None) -> Amount | None:
    """What is neither told nor promised to a partner of any product, by its disclosure."""
    if partner is None or not (rule := partner.disclosure_rule).keeps_back:
        return None
    return Amount(units=rule.buffer_units or 0, percent=rule.buffer_percent or 0)


@dataclass(frozen=True, kw_only=True)
class KitAnswer:
    """How many of a kit can be made, and which component says so."""

    day: date
    by_date: list[tuple[date, int]]
    by_node: dict[str, int]
    limiting: int
    """The component (its id) of which the fewest kits can be made on the day."""

    @property
    def available(self) -> int:
        return next(quantity for day, quantity in reversed(self.by_date) if day <= self.day)

    def earliest(self, quantity: int) -> date | None:
        """The first day on which so many can leave together."""
        return next((day for day, kits in self.by_date if kits >= quantity), None)


def available_kit(parts: Sequence[KitComponent], answers: Mapping[int, Answer]) -> KitAnswer:
    """The fewest kits any component allows: on each day, and at each node by itself. Pure."""
    first = answers[parts[0].component_id]
    steps = sorted({first.day} | {day for part in parts for day, _ in answers[part.component_id].by_date})
    by_date = [(step, min(answers[part.component_id].on(step) // part.quantity for part in parts)) for step in steps]
    nodes = set.intersection(*(set(answers[part.component_id].by_node) for part in parts))
    return KitAnswer(
        day=first.day,
        by_date=by_date,
        by_node={
            node: min(answers[part.component_id].by_node[node] // part.quantity for part in parts)
            for node in sorted(nodes)
        },
        limiting=min(parts, key=lambda part: answers[part.component_id].available // part.quantity).component_id,
    )


RULES = """
    SELECT rule.kind, rule.variant_id, rule.product_type_id, coalesce(warehouse.code, ''), rule.channel,
           partner.code, rule.units, rule.percent
      FROM stock_promiserule rule
      LEFT JOIN stock_warehouse warehouse ON warehouse.id = rule.warehouse_id
      LEFT JOIN partners_partner partner ON partner.id = rule.partner_id
     WHERE rule.variant_id = ANY(%s::bigint[]) OR rule.variant_id IS NULL
"""


def rules_of(variant_ids: list[int]) -> list[Rule]:
    """The rules that may count for these products. One query, on a small table."""
    return [
        Rule(
            kind=kind, variant_id=variant_id, product_type=product_type, node=node,
            whom=named(partner_code) if partner_code else channel, units=units, percent=percent,
        )
        for kind, variant_id, product_type, node, channel, partner_code, units, percent in prepared.fetch(
            RULES, [prepared.bigints(variant_ids)]
        )
    ]  # fmt: skip


def _supplies(ids: list[int], asker: Asker) -> dict[int, list[Supply]]:
    partner_id = asker.partner.pk if asker.partner else None
    codes = asker.granted
    today = asker.today
    found: dict[int, list[Supply]] = defaultdict(list)
    rows = prepared.fetch(SUPPLIES, [today, asker.at, prepared.bigints(ids), partner_id, partner_id, codes, codes])
    for variant_id, node, batch, expires_on, barred, on_hand, reserved in rows:
        found[variant_id].append(_lying(node, on_hand, reserved, batch, expires_on, barred, today))
    tomorrow = today + timedelta(days=1)
    for variant_id, node, document, expected_on, kind, quantity, expires_on in prepared.fetch(
        INBOUND, [prepared.bigints(ids), codes, codes]
    ):
        found[variant_id].append(_coming(node, quantity, document, expected_on, kind, expires_on, tomorrow))
    return found


def _held(ids: list[int]) -> dict[int, dict[str, int]]:
    """What each channel and partner holds of each product. One query, by the open allocations of the levels."""
    units: dict[int, list[tuple[str, str, int]]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(HELD, [prepared.bigints(ids)])
        for variant_id, channel, partner_code, quantity in cursor.fetchall():
            units[variant_id].append((channel, partner_code, quantity))
    return {variant_id: held_by(rows) for variant_id, rows in units.items()}


def limits(answers: Mapping[int, Answer]) -> dict[tuple[int, str], int]:
    """How far a reservation may go: of each variant in all, and at each node."""
    found: dict[tuple[int, str], int] = {}
    for variant_id, answer in answers.items():
        found[variant_id, ""] = answer.available
        found |= {(variant_id, node): quantity for node, quantity in answer.by_node.items()}
    return found
