"""A walk through the warehouse: what is promised is fetched bin by bin, once, and what is missing goes elsewhere."""

from __future__ import annotations

import pytest
from django.utils import timezone

from orders.models import FulfilmentRequest, Order, PickLine, PickWave
from orders.operations import ordering, picking
from orders.operations.picking import InAnotherWave, PickDiffers
from partners.problems import IllegalStep, InvalidInput
from stock.models import Count, Location, Warehouse
from stock.operations import movements, moving
from tests import make
from tests.orders.steps import book, confirmed, order_of


def now():
    return {"actor": make.TESTER, "at": timezone.now()}


@pytest.fixture
def buyer(api, retailer, shop):
    return api(retailer)


@pytest.fixture
def aisles(shop):
    """W1's sauce: EARLY in B-1, which is passed last, LATE in A-1 and C-1, three of each."""
    west = Warehouse.objects.get(code="W1")
    for code, sequence in [("A-1", 20), ("B-1", 30), ("C-1", 10)]:
        Location.objects.create(warehouse=west, code=code, pick_sequence=sequence)
    for batch, code, units in [("EARLY", "B-1", 5), ("LATE", "A-1", 3), ("LATE", "C-1", 3)]:
        moving.move(
            variant=shop, warehouse=west, from_code="MAIN", to_code=code, batch_number=batch, quantity=units, **now()
        )
    return west


def asked(warehouse: str = "W1") -> FulfilmentRequest:
    return FulfilmentRequest.objects.live().get(warehouse__code=warehouse)


def wave_of(*requests: FulfilmentRequest) -> PickWave:
    return picking.start(warehouse=requests[0].warehouse, requests=requests, **now())


def way(wave: PickWave) -> list[tuple[str, str | None, int]]:
    return [
        (line.location.code, line.batch.number if line.batch else None, line.quantity)
        for line in wave.lines.select_related("location", "batch")
    ]


def everything():
    return (book(), Count.objects.count(), list(PickLine.objects.values_list("state", "picked")),
            list(FulfilmentRequest.objects.values_list("status", "version").order_by("id")))  # fmt: skip


def test_a_wave_names_the_batch_that_expires_first_in_the_order_of_the_bins(buyer, aisles):
    confirmed(buyer, 10)
    wave = wave_of(asked())
    found = way(wave)
    assert sum(units for _, batch, units in found if batch == "EARLY") == 5
    assert [code for code, _, _ in found] == sorted(
        (code for code, _, _ in found), key=["MAIN", "C-1", "A-1", "B-1"].index
    )
    assert sum(units for _, _, units in found) == 10
    assert asked().status == "accepted"


def test_two_orders_are_fetched_in_one_walk(buyer, aisles):
    for reference in ("PO-1", "PO-2"):
        order = buyer.post("/orders", order_of(4, reference)).json()
        buyer.post(f"/orders/{order['orderId']}/confirm")
    wave = wave_of(*FulfilmentRequest.objects.live())
    assert sum(units for _, _, units in way(wave)) == 8
    assert set(wave.lines.values_list("item__request__order__external_reference", flat=True)) == {"PO-1", "PO-2"}


def test_what_is_fetched_already_is_in_no_other_wave(buyer, aisles):
    confirmed(buyer)
    wave = wave_of(asked())
    before = everything()
    with pytest.raises(InAnotherWave):
        wave_of(asked())
    for line in wave.lines.all():
        picking.confirm(line=line, **now())
    assert PickWave.objects.get().state == "picked"
    with pytest.raises(InAnotherWave):
        wave_of(asked())
    assert (PickWave.objects.count(), everything()[0]) == (1, before[0])


def test_a_cancelled_wave_leaves_the_rest_to_the_next(buyer, aisles):
    confirmed(buyer, 10)
    wave = wave_of(asked())
    fetched = wave.lines.get(batch__number="EARLY")
    picking.confirm(line=fetched, **now())
    picking.cancel(wave=wave, **now())
    picking.cancel(wave=wave, **now())
    rest = wave_of(asked())
    assert {batch for _, batch, _ in way(rest)} == {"LATE"}
    assert sum(units for _, _, units in way(rest)) == 5
    for line in rest.lines.all():
        picking.confirm(line=line, **now())
    with pytest.raises(IllegalStep):
        picking.cancel(wave=rest, **now())
    assert PickWave.objects.get(pk=rest.pk).state == "picked"


def test_confirmed_twice_is_once_and_another_answer_is_refused(buyer, aisles):
    confirmed(buyer)
    [line, *_] = wave_of(asked()).lines.all()
    first = picking.confirm(line=line, **now())
    again = picking.confirm(line=line, **now())
    assert (again.state, again.picked, again.picked_at) == ("picked", line.quantity, first.picked_at)
    before = everything()
    with pytest.raises(PickDiffers) as refused:
        picking.close_short(line=line, picked=0, **now())
    assert (refused.value.data["picked"], everything()) == (line.quantity, before)


def test_short_the_bin_is_counted_and_the_promise_goes_elsewhere(buyer, aisles):
    confirmed(buyer, 10)
    line = wave_of(asked()).lines.get(location__code="B-1")
    for _ in range(2):
        closed = picking.close_short(line=line, picked=3, note="two are missing", **now())
    assert (closed.state, closed.picked) == ("short", 3)
    count = Count.objects.get()
    assert list(count.lines.values_list("location__code", "batch__number")) == [("B-1", "EARLY")]
    west, east = asked("W1"), asked("W2")
    assert [(item.quantity, item.failed, item.open_quantity) for item in west.items.all()] == [(10, 2, 8)]
    assert [item.open_quantity for item in east.items.all()] == [2]
    # What is given up is what was not found, not what somebody else may hold in the hand.
    assert book()["EARLY/sellable"] == (5, 3)


def test_more_than_was_asked_is_not_short_and_nothing_happens(buyer, aisles):
    confirmed(buyer)
    [line, *_] = wave_of(asked()).lines.all()
    before = everything()
    for units in (-1, line.quantity, line.quantity + 1):
        with pytest.raises(InvalidInput):
            picking.close_short(line=line, picked=units, **now())
    assert everything() == before


def test_what_nobody_wants_any_more_is_dropped(buyer, aisles):
    confirmed(buyer)
    [line, *_] = wave_of(asked()).lines.all()
    ordering.cancel(order=Order.objects.get(), **now())
    assert picking.confirm(line=line, **now()).state == "dropped"
    assert (PickLine.objects.get(pk=line.pk).picked, Count.objects.count()) == (0, 0)


def test_a_wave_is_of_one_warehouse_and_of_what_is_open(buyer, aisles):
    confirmed(buyer, 30)
    west, east = asked("W1"), asked("W2")
    before = everything()
    with pytest.raises(InvalidInput):
        picking.start(warehouse=aisles, requests=[west, east], **now())
    with pytest.raises(InvalidInput):
        picking.start(warehouse=aisles, requests=[], **now())
    assert (everything(), PickWave.objects.count()) == (before, 0)
    ordering.cancel(order=Order.objects.get(), **now())
    with pytest.raises(IllegalStep):
        wave_of(west)


def test_each_unit_with_a_serial_number_is_named_once(api, retailer, supplier, shop):
    drill, west = make.make_variant(sku="DRILL", tracking="serial"), Warehouse.objects.get(code="W1")
    movements.book(kind="receipt", variant=drill, warehouse=west, quantity=2, serials=("A", "B"), **now())
    client = api(retailer)
    order = client.post("/orders", order_of() | {"lines": [{"productId": "DRILL", "quantity": 2}]}).json()
    client.post(f"/orders/{order['orderId']}/confirm")
    line = wave_of(asked()).lines.get()
    for numbers in ((), ("A",), ("A", "A")):
        with pytest.raises(InvalidInput):
            picking.confirm(line=line, serial_numbers=numbers, **now())
    assert PickLine.objects.get().state == "waiting"
    assert picking.confirm(line=line, serial_numbers=("B", "A"), **now()).serial_numbers == ["A", "B"]
