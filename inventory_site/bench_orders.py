# ruff: noqa: S311  (chance that needs no secrecy; our own statements)
"""Orders placed and confirmed, beside the same rows as one writes them by hand."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from django.utils import timezone

from catalog.models import Variant
from orders.models import FulfilmentRequest
from orders.operations import ordering
from partners import actors
from partners.models import Partner

LINES = 5
PARTNER = "BENCH-ORDERS"
ACTOR = actors.job("bench")
TRIED = 20
"""Orders placed to see how many warehouses one asks."""


def orders(variants: Sequence[Variant], seed: int) -> Callable[[], Any]:
    """Places an order of five lines and confirms it, in two transactions as a caller does."""
    chance, partner = random.Random(seed), buyer()

    def once() -> None:
        asked = [
            ordering.Asked(line_id=str(number), variant=variant, quantity=1)
            for number, variant in enumerate(chance.sample(variants, LINES), start=1)
        ]
        order, _ = ordering.place(
            partner=partner, external_reference=uuid.uuid4().hex, asked=asked, ship_to={"country": "US"}, actor=ACTOR,
            at=timezone.now(),
        )  # fmt: skip
        ordering.confirm(order=order, actor=ACTOR, at=timezone.now())

    return once


def buyer() -> Partner:
    return Partner.objects.get_or_create(code=PARTNER, defaults={"name": PARTNER, "kind": Partner.Kind.RETAILER})[0]


def requests_asked(once: Callable[[], Any]) -> int:
    """Into how many warehouses' requests an order is taken apart, in the mean."""
    before = FulfilmentRequest.objects.count()
    for _ in range(TRIED):
        once()
    return max(1, round((FulfilmentRequest.objects.count() - before) / TRIED))


# -- The other: header, lines, promise, events and history of a placed order; then of a confirmed one

PLACED = """
BEGIN;
INSERT INTO orders_order (number, partner_id, external_reference, fingerprint, type, status, ship_to, allow_split,
    allow_backorder, priority, version, channel, created_at)
VALUES (substr(CAST(gen_random_uuid() AS text), 1, 20), {partner}, CAST(gen_random_uuid() AS text), repeat('f', 64),
    'sale', 'pending', '{{"country": "US"}}', true, false, 0, 1, '', now()) RETURNING id \\gset o_
{promise}
UPDATE orders_order SET reservation_id = :r_id WHERE id = :o_id;
{lines}
{history}
{event}
COMMIT;
"""
ORDERED = """
INSERT INTO orders_orderline (order_id, line_id, variant_id, quantity, currency, shipped, returned, reservation_line_id)
SELECT :o_id, '{n}', variant_id, 1, '', 0, 0, :line{n}_id FROM stock_level WHERE id = :level{n} RETURNING id \\gset item{n}_
"""
HISTORY = """
INSERT INTO orders_historicalorder (id, number, partner_id, external_reference, fingerprint, type, status,
    reservation_id, ship_to, allow_split, allow_backorder, priority, version, channel, created_at, actor, request_id,
    history_date, history_type)
SELECT id, number, partner_id, external_reference, fingerprint, type, status, reservation_id, ship_to, allow_split,
    allow_backorder, priority, version, channel, created_at, 'job-bench', '', clock_timestamp(), '~'
  FROM orders_order WHERE id = :o_id;
"""
EVENT = """
INSERT INTO partners_outboxevent (event_id, type, subject, payload, occurred_at, recorded_at, actor, request_id,
    addressee_ids, is_about_stock, supplier_ids, warehouse_code)
VALUES (gen_random_uuid(), '{name}', 'order/SO', jsonb_build_object('orderId', 'SO-0000-0000', 'status', 'pending',
        'retailPartnerId', '{code}', 'externalReference', 'a reference as long as one is'),
    now(), clock_timestamp(), 'job-bench', '', '{{{partner}}}', false, '{{}}', '');
"""
CONFIRMED = """
BEGIN;
SELECT status, version FROM orders_order WHERE id = :o_id FOR NO KEY UPDATE;
UPDATE orders_order SET status = 'confirmed', version = version + 1 WHERE id = :o_id;
{history}
{event}
{requests}
COMMIT;
"""
REQUEST = """
INSERT INTO orders_fulfilmentrequest (number, order_id, warehouse_id, status, failure, note, assigned_at, version)
VALUES (substr(CAST(gen_random_uuid() AS text), 1, 20), :o_id, {warehouse}, 'assigned', '', '', now(), 1)
RETURNING id \\gset q_
INSERT INTO orders_historicalfulfilmentrequest (id, number, order_id, warehouse_id, status, failure, note, assigned_at,
    version, actor, request_id, history_date, history_type)
SELECT id, number, order_id, warehouse_id, status, failure, note, assigned_at, version, 'job-bench', '',
    clock_timestamp(), '+' FROM orders_fulfilmentrequest WHERE id = :q_id;
{items}
INSERT INTO orders_warehouseclock AS clock (warehouse_id, last) VALUES ({warehouse}, 1)
ON CONFLICT (warehouse_id) DO UPDATE SET last = clock.last + 1 RETURNING last \\gset t_
INSERT INTO orders_stamp (warehouse_id, logical_timestamp, request_id, kind, at)
VALUES ({warehouse}, :t_last, :q_id, 'assigned', now());
UPDATE orders_fulfilmentrequest SET logical_timestamp = :t_last WHERE id = :q_id;
{event}
"""
ITEM = """
INSERT INTO orders_fulfilmentitem (request_id, order_line_id, quantity, completed, failed)
VALUES (:q_id, :item{n}_id, 1, 0, 0);
"""


def classic(promise: str, *, warehouses: Sequence[int]) -> str:
    """A placed and confirmed order by hand; `promise` reserves its lines (`:r_id`, `:line0_id`, ...), its lines
    spread over so many warehouses."""
    partner = buyer()

    def event(name: str) -> str:
        return EVENT.format(name=name, code=partner.code, partner=partner.pk)

    placed = PLACED.format(
        partner=partner.pk, promise=promise, lines="".join(ORDERED.format(n=n) for n in range(LINES)), history=HISTORY,
        event=event("order.created"),
    )  # fmt: skip
    requests = [
        REQUEST.format(
            warehouse=warehouse,
            items="".join(ITEM.format(n=n) for n in range(place, LINES, len(warehouses))),
            event=event("fulfillment_request.assigned"),
        )
        for place, warehouse in enumerate(warehouses)
    ]
    return placed + CONFIRMED.format(history=HISTORY, event=event("order.confirmed"), requests="".join(requests))
