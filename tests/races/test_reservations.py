"""Nothing is ever oversold, whoever comes at once."""

from __future__ import annotations

from datetime import date

import pytest
from django.db import IntegrityError, connection
from django.utils import timezone

from stock import ledger, proof
from stock.models import Level, Reservation
from stock.operations import reservations
from stock.operations.promising import InsufficientStock, Wanted
from tests import make
from tests.conftest import api_of
from tests.races.crowd import all_at_once, rewrite

CALLERS = 40


@pytest.fixture
def town(own_database):
    """80 sellable units in two batches, and one expired batch that nobody may touch."""
    warehouse = make.make_warehouse()
    variant = make.make_variant(tracking="batch")
    early = make.make_level(
        variant=variant, warehouse=warehouse, on_hand=50, batch_number="EARLY", expires_on=date(2090, 1, 1)
    )
    late = make.make_level(
        variant=variant, warehouse=warehouse, on_hand=30, batch_number="LATE", expires_on=date(2091, 1, 1)
    )
    gone = make.make_level(
        variant=variant, warehouse=warehouse, on_hand=99, batch_number="GONE", expires_on=date(2020, 1, 1)
    )
    return variant, early, late, gone


def reserve(variant, reference: str, quantity: int = 3):
    return reservations.reserve(
        reference=reference,
        wanted=[Wanted(variant=variant, quantity=quantity)],
        partner=None,
        actor=make.TESTER,
        at=timezone.now(),
    )


@pytest.mark.races
def test_forty_callers_want_three_of_eighty_units_and_exactly_twenty_six_get_them(town):
    variant, early, late, gone = town
    results = all_at_once(CALLERS, lambda place: reserve(variant, f"cart-{place}"))
    granted = [result for result in results if isinstance(result, tuple)]
    refused = [result for result in results if isinstance(result, InsufficientStock)]
    assert (len(granted), len(refused)) == (26, 14)
    for level in (early, late, gone):
        level.refresh_from_db()
    assert [(level.on_hand, level.reserved) for level in (early, late, gone)] == [(50, 50), (30, 28), (99, 0)]
    assert Reservation.objects.count() == 26
    assert proof.prove_ledger().differences == []


@pytest.mark.races
def test_without_looking_again_the_check_of_the_database_is_what_stops_them(town, monkeypatch):
    """The negative control: nobody looks again at what was locked, and the callers collide."""
    variant, *_ = town
    monkeypatch.setattr(
        ledger, "lock_variants", lambda variant_ids: Level.objects.filter(variant__in=variant_ids).in_bulk()
    )
    slowly = "PERFORM pg_sleep(0.02); UPDATE stock_level"
    rewrite("stock_keep", (" AND on_hand - reserved >= p_level_quantities[place]", ""), ("UPDATE stock_level", slowly))
    rewrite("stock_reserve_one", (" AND on_hand - reserved >= p_quantity", ""), ("UPDATE stock_level", slowly))
    results = all_at_once(CALLERS, lambda place: reserve(variant, f"cart-{place}"))
    collided = [result for result in results if isinstance(result, IntegrityError)]
    granted = [result for result in results if isinstance(result, tuple)]
    assert collided, "nobody collided: the test above proves nothing"
    assert len(granted) <= 26
    assert Level.objects.filter(reserved__gt=80).count() == 0


@pytest.mark.races
def test_forty_twins_with_one_reference_make_one_reservation(town):
    variant, early, *_ = town
    results = all_at_once(CALLERS, lambda place: reserve(variant, "the-one-cart"))
    assert [type(result) for result in results] == [tuple] * CALLERS
    assert len({reservation.pk for reservation, _ in results}) == 1
    assert sum(is_new for _, is_new in results) == 1
    early.refresh_from_db()
    assert early.reserved == 3


@pytest.mark.races
def test_forty_twins_with_one_idempotency_key_get_one_answer_byte_for_byte(town):
    variant, early, *_ = town
    retailer = make.make_partner(code="RET-1")
    client = api_of(retailer)
    body = {"reference": "cart-9", "lines": [{"productId": variant.sku, "quantity": 3}]}
    results = all_at_once(
        CALLERS, lambda place: client.post("/reservations", body, headers={"Idempotency-Key": "one-key"})
    )
    assert {result.status_code for result in results} == {201}
    assert len({result.content for result in results}) == 1
    assert sum("Idempotent-Replayed" not in result.headers for result in results) == 1
    early.refresh_from_db()
    assert early.reserved == 3
    assert Reservation.objects.count() == 1


@pytest.mark.races
def test_fifty_patches_from_one_etag_change_the_level_once(own_database):
    supplier = make.make_partner(code="SUP-1", kind="supplier")
    variant = make.make_variant(suppliers=[supplier])
    warehouse = make.make_warehouse(code="W1")
    make.make_level(variant=variant, warehouse=warehouse, on_hand=10)
    client = api_of(supplier)
    path = f"/inventory/SUP-1/{variant.sku}"
    etag = client.get(path)["ETag"]
    results = all_at_once(
        50,
        lambda place: (
            client.patch(
                path,
                {"warehouseLocation": "W1", "inventoryLevel": 100 + place, "reason": "count"},
                headers={"If-Match": etag},
            ).status_code
        ),
    )
    assert sorted(results) == [200] + [412] * 49
    assert proof.prove_ledger().differences == []


@pytest.mark.races
def test_crossed_baskets_never_deadlock(own_database):
    warehouse = make.make_warehouse()
    variants = [make.make_variant() for _ in range(6)]
    for variant in variants:
        make.make_level(variant=variant, warehouse=warehouse, on_hand=10_000)

    def basket(place: int) -> int:
        order = variants if place % 2 else variants[::-1]
        for turn in range(5):
            reservations.reserve(
                reference=f"{place}-{turn}",
                wanted=[Wanted(variant=variant, quantity=1) for variant in order],
                partner=None,
                actor=make.TESTER,
                at=timezone.now(),
            )
        return 5

    assert all_at_once(16, basket) == [5] * 16
    with connection.cursor() as cursor:
        cursor.execute("SELECT min(reserved), max(reserved) FROM stock_level")
        assert cursor.fetchone() == (80, 80)


@pytest.mark.races
def test_a_crowd_over_http_is_granted_in_groups_and_each_gets_its_own_answer(town, monkeypatch):
    """Sixty-four want two of eighty each, two of them twice with the same key, and one what is not there."""
    variant, *_ = town
    groups = []

    def remember(*, wishes):
        groups.append(len(wishes))
        return together(wishes=wishes)

    together = reservations.reserve_together
    monkeypatch.setattr(reservations, "reserve_together", remember)
    clients = [api_of(make.make_partner()) for _ in range(8)]

    def call(place: int):
        number = min(place, 61)  # the last three are the same request
        quantity = 81 if number == 5 else 2
        body = {"reference": f"cart-{number}", "lines": [{"productId": variant.sku, "quantity": quantity}]}
        return clients[number % 8].post("/reservations", body, headers={"Idempotency-Key": f"key-{number}"})

    answers = all_at_once(64, call)
    codes = sorted(answer.status_code for answer in answers)
    twins = answers[61:]
    expected = 40 + (2 if twins[0].status_code == 201 else 0)
    assert (codes.count(201), codes.count(409)) == (expected, 64 - expected)
    assert len({answer.content for answer in twins}) == 1
    assert answers[5].json()["shortages"][0]["requested"] == 81
    assert max(groups) > 1, "nobody waited: the test proves nothing about groups"
    for place, answer in enumerate(answers):
        if answer.status_code == 201:
            assert answer.json()["reference"] == f"cart-{min(place, 61)}"
    assert proof.prove_ledger().differences == []
    assert sum(Level.objects.values_list("reserved", flat=True)) == 80
