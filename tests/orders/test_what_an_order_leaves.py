"""All that a placed and confirmed order leaves behind, row by row: what is written fast is what was always written."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db.models import Model
from django.utils import timezone

from catalog.models import Variant
from orders.models import FulfilmentItem, FulfilmentRequest, Order, OrderLine, RoutingDecision, Stamp, WarehouseClock
from orders.operations import ordering
from orders.operations.ordering import Asked
from partners import actors
from partners.models import OutboxEvent, Partner
from stock.models import Warehouse
from tests import make

AT = datetime(2026, 11, 23, 10, 0, 0, 123456, tzinfo=UTC)
LATER = datetime(2026, 11, 23, 10, 5, tzinfo=UTC)
KEPT = Path(__file__).with_suffix(".json")


@pytest.fixture
def order(retailer, shop):
    """Of a channel for a retailer, over both warehouses, one of them run by a 3PL."""
    keeper = make.make_partner(code="3PL-1", kind="logistics", granted_warehouses=["W1"])
    Warehouse.objects.filter(code="W1").update(operator=keeper)
    rotor = Variant.objects.get(sku="ROTOR")
    asked = [
        Asked(line_id="a", variant=shop, quantity=30, unit_price=Decimal("1.5000"), currency="EUR"),
        Asked(line_id="b", variant=rotor, quantity=3),
    ]
    with actors.acting(make.TESTER), actors.answering("request-1"):
        placed, is_new = ordering.place(
            partner=retailer, placed_by=make.make_partner(code="SHOP-1", kind="channel"), external_reference='PO "1" é',
            asked=asked, ship_to={"country": "US", "name": "Sörens"}, channel="web", actor=make.TESTER, at=AT,
        )  # fmt: skip
        assert is_new
        return ordering.confirm(order=placed, actor=make.TESTER, at=LATER)


TABLES = (
    Order, Order.history.model, OrderLine, RoutingDecision, FulfilmentRequest, FulfilmentRequest.history.model,
    FulfilmentItem, Stamp, WarehouseClock, OutboxEvent,
)  # fmt: skip
BY_LOT = {"id", "history_id", "history_date", "fingerprint", "event_id", "recorded_at", "reservation_line"}
"""Drawn anew each time, or told by the clock; and ids of stock's own."""


def rows(model: type[Model], names: dict[str, dict[int | None, str]]) -> list[dict[str, Any]]:
    """Every column of every row, the first first; what leads elsewhere by the name people know it by."""
    fields = [field for field in model._meta.concrete_fields if field.name not in BY_LOT]
    found = model._default_manager.order_by(model._meta.pk.attname)
    if model is OutboxEvent:
        found = found.filter(occurred_at__gte=AT)  # not of the stock that was there before
    return [
        {
            field.name: names[field.name].get(value, value) if field.name in names else value
            for field in fields
            for value in [getattr(row, field.attname)]
        }
        for row in found
    ]


def all_rows(order: Order) -> dict[str, list[dict[str, Any]]]:
    partners = dict(Partner.objects.values_list("pk", "code"))
    requests = {row.pk: row for row in FulfilmentRequest.objects.select_related("warehouse")}
    names: dict[str, dict[int | None, str]] = {
        "partner": partners,
        "placed_by": partners,
        "order": {order.pk: "THE-ORDER"},
        "order_line": dict(OrderLine.objects.values_list("pk", "line_id")),
        "variant": dict(OrderLine.objects.values_list("variant", "variant__sku")),
        "reservation": {order.reservation_id: "THE-RESERVATION"},
        "routing": dict(RoutingDecision.objects.values_list("pk", "cause")),
        "warehouse": dict(Warehouse.objects.values_list("pk", "code")),
        "request": {pk: row.warehouse.code for pk, row in requests.items()},
    }
    found = {model._meta.db_table: rows(model, names) for model in TABLES}
    for row in found["partners_outboxevent"]:
        for told in ("addressee_ids", "supplier_ids"):
            row[told] = [partners[pk] for pk in row[told]]
    text = json.dumps(found, default=str, sort_keys=True)
    for number, name in [(order.number, "THE-ORDER"), *((row.number, row.warehouse.code) for row in requests.values())]:
        text = text.replace(number, name)
    return json.loads(text)


def test_an_order_leaves_exactly_the_rows_it_always_left(order):
    assert all_rows(order) == json.loads(KEPT.read_text())


def test_its_histories_are_its_own_and_dated_when_they_were_written(order):
    began = timezone.now() - timedelta(minutes=1)
    assert order.history.count() == Order.history.count() == 2
    assert [row.history.count() for row in order.fulfilment_requests.all()] == [1, 1]
    for model in (Order, FulfilmentRequest):
        assert all(began < row.history_date <= timezone.now() for row in model.history.all())
