"""Boxes are closed, numbered and sent: never the same unit twice, never the same number twice."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from catalog.models import KitComponent, Variant
from orders.models import FulfilmentRequest, Order, Package, Shipment, SsccSeries
from orders.operations import packing, picking, requesting
from orders.operations.labelling import NoSsccSeries, SsccSeriesUsedUp
from orders.operations.packing import NothingToPack, Packed, SsccTaken
from partners.problems import IllegalStep, InvalidInput
from stock.models import Warehouse
from stock.operations import movements
from tests import make
from tests.orders.steps import book, confirmed, order_of


def now():
    return {"actor": make.TESTER, "at": timezone.now()}


@pytest.fixture
def buyer(api, retailer, shop):
    return api(retailer)


@pytest.fixture
def series(db):
    return SsccSeries.objects.create(company_prefix="0614141")


@pytest.fixture
def request_(buyer, series):
    """Ten are asked of W1: five of EARLY, five of LATE."""
    confirmed(buyer, 10)
    return FulfilmentRequest.objects.get()


def some(request, quantity: int, batch_number: str = "EARLY") -> list[Packed]:
    return [Packed(line=request.order.lines.get(), quantity=quantity, batch_number=batch_number)]


def boxes() -> list[tuple[str, str, list[tuple[str, int]]]]:
    return [
        (package.sscc, package.status, [(line.batch.number, line.quantity) for line in package.lines.all()])
        for package in Package.objects.order_by("id")
    ]


def everything():
    return book(), boxes(), Shipment.objects.count(), list(SsccSeries.objects.values_list("last", flat=True))


def test_what_was_picked_goes_into_a_box_with_its_batches(request_):
    wave = picking.start(warehouse=request_.warehouse, requests=[request_], **now())
    for line in wave.lines.all():
        picking.confirm(line=line, **now())
    packing.pack_picked(request=request_, **now())
    assert boxes() == [("006141410000000012", "packed", [("EARLY", 5), ("LATE", 5)])]
    before = everything()
    with pytest.raises(NothingToPack):
        packing.pack_picked(request=request_, **now())
    assert everything() == before


def test_two_boxes_leave_one_after_the_other_and_the_rest_stays_promised(request_):
    first = packing.pack(request=request_, contents=some(request_, 5), **now())
    second = packing.pack(request=request_, contents=some(request_, 3, "LATE"), tracking_number="1Z2", **now())
    shipment = packing.send(request=request_, packages=[first], carrier="UPS", **now())
    assert (shipment.sscc, shipment.tracking_number) == (first.sscc, first.number)
    assert list(shipment.lines.values_list("batch__number", "quantity")) == [("EARLY", 5)]
    assert book()["LATE/sellable"] == (10, 5)
    rest = packing.send(request=request_, carrier="UPS", **now())
    assert (rest.tracking_number, [package.pk for package in rest.packages.all()]) == ("1Z2", [second.pk])
    assert Order.objects.get().status == "confirmed"
    assert request_.items.get().open_quantity == 2
    assert book()["LATE/sellable"] == (7, 2)


def test_a_box_that_left_does_not_leave_again(request_):
    package = packing.pack(request=request_, contents=some(request_, 5), **now())
    packing.send(request=request_, packages=[package], **now())
    before = everything()
    for packages in ([package], None):
        with pytest.raises(IllegalStep):
            packing.send(request=request_, packages=packages, **now())
    with pytest.raises(IllegalStep):
        packing.unpack(package=package, **now())
    assert everything() == before


def test_more_than_is_open_and_outside_a_box_is_not_packed(request_):
    packing.pack(request=request_, contents=some(request_, 5), **now())
    before = everything()
    with pytest.raises(InvalidInput):
        packing.pack(request=request_, contents=some(request_, 3, "LATE") * 2, **now())
    assert everything() == before
    packing.pack(request=request_, contents=some(request_, 5, "LATE"), **now())


@pytest.mark.parametrize(("batch", "field"), [("", "lines[0].batchNumber"), ("NONE", "lines[0].batchNumber")])
def test_which_batch_is_in_the_box_is_said(request_, batch, field):
    before = everything()
    with pytest.raises(InvalidInput) as refused:
        packing.pack(request=request_, contents=some(request_, 1, batch), **now())
    assert (refused.value.data["errors"][0]["field"], everything()) == (field, before)


def test_each_unit_with_a_serial_number_is_named_in_its_box_and_its_shipment(buyer, series, shop):
    drill, west = make.make_variant(sku="DRILL", tracking="serial"), Warehouse.objects.get(code="W1")
    movements.book(kind="receipt", variant=drill, warehouse=west, quantity=3, serials=("A", "B", "C"), **now())
    order = buyer.post("/orders", order_of() | {"lines": [{"productId": "DRILL", "quantity": 2}]}).json()
    buyer.post(f"/orders/{order['orderId']}/confirm")
    request = FulfilmentRequest.objects.get()
    line = request.order.lines.get()
    with pytest.raises(InvalidInput):
        packing.pack(request=request, contents=[Packed(line=line, quantity=2, serial_numbers=("C",))], **now())
    assert Package.objects.count() == 0
    [fetched] = picking.start(warehouse=west, requests=[request], **now()).lines.all()
    picking.confirm(line=fetched, serial_numbers=("C", "A"), **now())
    package = packing.pack_picked(request=request, **now())
    assert package.lines.get().serial_numbers == ["A", "C"]
    shipment = packing.send(request=request, **now())
    assert shipment.lines.get().serial_numbers == ["A", "C"]


def test_a_box_is_opened_again_and_its_number_is_gone_for_good(request_):
    package = packing.pack(request=request_, contents=some(request_, 5), **now())
    for _ in range(2):
        packing.unpack(package=package, **now())
    packing.pack(request=request_, contents=some(request_, 5), **now())
    assert [(sscc, status) for sscc, status, _ in boxes()] == [
        ("006141410000000012", "unpacked"), ("006141410000000029", "packed")]  # fmt: skip


def test_of_a_request_that_is_over_nothing_is_packed_or_sent(request_):
    packing.pack(request=request_, contents=some(request_, 5), **now())
    requesting.reject(request=request_, failure="capacity", **now())
    before = everything()
    with pytest.raises(IllegalStep):
        packing.pack(request=request_, contents=some(request_, 1), **now())
    with pytest.raises(IllegalStep):
        packing.send(request=request_, **now())
    assert everything() == before


def test_a_number_somebody_typed_is_passed_over_and_never_used_twice(request_):
    packing.pack(request=request_, contents=some(request_, 1), sscc="006141410000000012", **now())
    before = everything()
    with pytest.raises(SsccTaken):
        packing.pack(request=request_, contents=some(request_, 1), sscc="006141410000000012", **now())
    assert everything() == before
    assert packing.pack(request=request_, contents=some(request_, 1), **now()).sscc == "006141410000000029"


def test_a_warehouse_with_a_series_of_its_own_uses_it(request_, series):
    own = SsccSeries.objects.create(company_prefix="0614141", extension_digit=3, warehouse=request_.warehouse, last=41)
    assert packing.pack(request=request_, contents=some(request_, 1), **now()).sscc[:-1] == "30614141000000042"
    own.refresh_from_db()
    series.refresh_from_db()
    assert (own.last, series.last) == (42, 0)


def test_without_a_series_or_at_its_end_nothing_is_packed(request_, series):
    SsccSeries.objects.filter(pk=series.pk).update(last=series.last_possible)
    before = everything()
    with pytest.raises(SsccSeriesUsedUp):
        packing.pack(request=request_, contents=some(request_, 1), **now())
    assert everything() == before
    SsccSeries.objects.filter(pk=series.pk).update(warehouse=Warehouse.objects.get(code="W2"))
    with pytest.raises(NoSsccSeries):
        packing.pack(request=request_, contents=some(request_, 1), **now())
    assert everything() == before


@pytest.mark.parametrize("change", [{"last": 4}, {"extension_digit": 2}, {"company_prefix": "4012345"}])
def test_the_database_lets_no_series_count_back_or_become_another(series, change):
    SsccSeries.objects.filter(pk=series.pk).update(last=5)
    with pytest.raises(IntegrityError, match="an SSCC is given once and for all"), transaction.atomic():
        SsccSeries.objects.filter(pk=series.pk).update(**change)
    with pytest.raises(IntegrityError, match="an SSCC is given once and for all"), transaction.atomic():
        series.delete()
    series.refresh_from_db()
    assert (series.last, series.extension_digit, series.company_prefix) == (5, 0, "0614141")


def test_of_a_kit_as_many_are_packed_as_are_whole(api, retailer, series, shop):
    kit, lid = make.make_variant(sku="SET"), make.make_variant(sku="LID")
    make.make_level(variant=lid, warehouse=Warehouse.objects.get(code="W1"), on_hand=4)
    rotor = Variant.objects.get(sku="ROTOR")
    KitComponent.objects.create(kit=kit, component=rotor, quantity=2)
    KitComponent.objects.create(kit=kit, component=lid, quantity=1)
    client = api(retailer)
    order = client.post("/orders", order_of() | {"lines": [{"productId": "SET", "quantity": 3}]}).json()
    client.post(f"/orders/{order['orderId']}/confirm")
    request = FulfilmentRequest.objects.get()
    wave = picking.start(warehouse=request.warehouse, requests=[request], **now())
    assert sorted(wave.lines.values_list("variant__sku", "quantity")) == [("LID", 3), ("ROTOR", 6)]
    picking.confirm(line=wave.lines.get(variant=lid), **now())
    picking.close_short(line=wave.lines.get(variant=rotor), picked=5, **now())
    assert request.items.get().open_quantity == 2
    package = packing.pack_picked(request=request, **now())
    assert list(package.lines.values_list("order_line__variant__sku", "quantity")) == [("SET", 2)]
    shipment = packing.send(request=request, **now())
    assert shipment.lines.get().quantity == 2
