"""Orders routed at the same moment on real connections: what is decided is decided under the locks."""

from __future__ import annotations

from collections import Counter

import pytest
from django.db import IntegrityError
from django.utils import timezone

from orders.models import FulfilmentRequest, Order
from orders.operations import ordering, requesting
from orders.operations.ordering import Asked
from stock import ledger, proof
from stock.models import Allocation, Level
from stock.operations.promising import InsufficientStock
from tests import make
from tests.races.crowd import all_at_once, rewrite

CALLERS = 8


@pytest.fixture
def town(own_database):
    """Ten units in each of two warehouses."""
    variant = make.make_variant()
    for code in ("W1", "W2"):
        make.make_level(variant=variant, warehouse=make.make_warehouse(code=code), on_hand=10)
    return make.make_partner(), variant


def place(partner, variant, reference, quantity: int, **more):
    return ordering.place(
        partner=partner, external_reference=f"PO-{reference}", ship_to={}, actor=make.TESTER, at=timezone.now(),
        asked=[Asked(line_id="1", variant=variant, quantity=quantity)], **more,
    )  # fmt: skip


def kept() -> dict[str, int]:
    return dict(Level.objects.values_list("location__warehouse__code", "reserved"))


@pytest.mark.races
def test_who_wants_the_last_units_of_two_warehouses_gets_them_whole_or_not_at_all(town):
    partner, variant = town
    results = all_at_once(CALLERS, lambda turn: place(partner, variant, turn, 12))
    assert Counter(type(result) for result in results) == {tuple: 1, InsufficientStock: CALLERS - 1}
    assert sum(kept().values()) == 12
    assert set(Allocation.objects.values_list("line__reservation", flat=True)) == {Order.objects.get().reservation_id}
    assert proof.prove_ledger().differences == []


@pytest.mark.races
def test_those_who_may_wait_share_what_there_is_and_nobody_gets_more_warehouses_than_may_send(town):
    partner, variant = town
    results = all_at_once(
        CALLERS, lambda turn: place(partner, variant, turn, 7, allow_backorder=True, allow_split=False)
    )
    assert all(isinstance(result, tuple) for result in results)
    assert kept() == {"W1": 10, "W2": 10}
    sent_from = Allocation.objects.values_list("line__reservation", "level")
    assert len(sent_from.distinct()) == len({reservation for reservation, _ in sent_from})
    assert proof.prove_ledger().differences == []


@pytest.mark.races
def test_decided_without_the_locks_they_collide_and_the_check_of_the_database_stops_them(town, monkeypatch):
    """The negative control: the split is decided by what was read, and nobody looks again."""
    partner, variant = town
    monkeypatch.setattr(
        ledger, "lock_variants", lambda variant_ids: Level.objects.filter(variant__in=variant_ids).in_bulk()
    )
    slowly = "PERFORM pg_sleep(0.02); UPDATE stock_level"
    rewrite("stock_keep", (" AND on_hand - reserved >= p_level_quantities[place]", ""), ("UPDATE stock_level", slowly))
    results = all_at_once(CALLERS, lambda turn: place(partner, variant, turn, 12))
    assert any(isinstance(result, IntegrityError) for result in results), "nobody collided: the tests prove nothing"
    assert sum(kept().values()) <= 20


@pytest.mark.races
def test_rejected_by_both_warehouses_at_once_each_order_goes_to_the_other(town):
    partner, variant = town
    for turn in range(4):
        order, _ = place(partner, variant, turn, 2)
        ordering.confirm(order=order, actor=make.TESTER, at=timezone.now())
    asked = list(FulfilmentRequest.objects.order_by("id"))
    assert Counter(request.warehouse.code for request in asked) == {"W1": 2, "W2": 2}
    results = all_at_once(
        4,
        lambda turn: requesting.reject(request=asked[turn], failure="capacity", actor=make.TESTER, at=timezone.now()),
    )
    assert [result.status for result in results] == ["failed"] * 4
    for request in asked:
        [again] = FulfilmentRequest.objects.filter(order=request.order, status="assigned")
        assert again.warehouse_id != request.warehouse_id
    assert kept() == {"W1": 4, "W2": 4}
    assert proof.prove_ledger().differences == []
