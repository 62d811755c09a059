"""Several pickers at one line, several packers at one series: once, and each number once."""

from __future__ import annotations

import time
from datetime import date

import pytest
from django.utils import timezone

from orders.models import FulfilmentItem, FulfilmentRequest, Package, SsccSeries
from orders.models.order import OrderQuerySet
from orders.models.package import SsccSeriesQuerySet
from orders.models.picking import PickWaveQuerySet
from orders.operations import labelling, ordering, packing, picking, requesting
from orders.operations.ordering import Asked
from orders.operations.packing import NothingToPack, Packed, SsccTaken
from orders.operations.picking import InAnotherWave
from stock import proof
from stock.models import Count
from tests import make
from tests.races.crowd import all_at_once

PICKERS = 3


def now():
    return {"actor": make.TESTER, "at": timezone.now()}


@pytest.fixture
def asked(own_database):
    """Three orders of ten each are asked of one warehouse."""
    warehouse, variant = make.make_warehouse(), make.make_variant(tracking="batch")
    make.make_level(variant=variant, warehouse=warehouse, on_hand=100, batch_number="B", expires_on=date(2090, 1, 1))
    SsccSeries.objects.create(company_prefix="0614141")
    partner = make.make_partner()
    for place in range(PICKERS):
        order, _ = ordering.place(
            partner=partner, external_reference=f"PO-{place}", ship_to={},
            asked=[Asked(line_id="1", variant=variant, quantity=10)], **now(),
        )  # fmt: skip
        ordering.confirm(order=order, **now())
    return list(FulfilmentRequest.objects.select_related("order", "warehouse").order_by("id"))


def wave_of(request):
    return picking.start(warehouse=request.warehouse, requests=[request], **now())


def pack(request):
    return packing.pack(
        request=request, contents=[Packed(line=request.order.lines.get(), quantity=10, batch_number="B")], **now()
    )


@pytest.mark.races
def test_a_line_confirmed_by_several_at_once_is_picked_once(asked):
    line = wave_of(asked[0]).lines.get()
    results = all_at_once(PICKERS, lambda _: picking.confirm(line=line, **now()))
    assert {(found.state, found.picked, found.picked_at) for found in results} == {("picked", 10, results[0].picked_at)}
    packed = all_at_once(PICKERS, lambda _: packing.pack_picked(request=asked[0], **now()))
    assert sum(isinstance(found, NothingToPack) for found in packed) == PICKERS - 1, packed
    assert Package.objects.get().lines.get().quantity == 10


@pytest.mark.races
def test_a_line_closed_short_by_several_at_once_is_counted_once_and_given_up_once(asked):
    line = wave_of(asked[0]).lines.get()
    results = all_at_once(PICKERS, lambda _: picking.close_short(line=line, picked=7, **now()))
    assert {found.picked for found in results} == {7}
    assert (Count.objects.count(), FulfilmentItem.objects.get(pk=line.item_id).failed) == (1, 3)
    assert proof.prove_ledger().differences == []


@pytest.mark.races
def test_without_the_locks_it_would_be_counted_more_than_once(asked, monkeypatch):
    """The negative control: all of them see the line waiting."""
    line = wave_of(asked[0]).lines.get()
    monkeypatch.setattr(OrderQuerySet, "lock", lambda rows: rows)
    monkeypatch.setattr(PickWaveQuerySet, "lock", lambda rows: rows)
    reject = requesting.reject

    def reject_slowly(**said):
        time.sleep(0.5)
        return reject(**said)

    monkeypatch.setattr(requesting, "reject", reject_slowly)
    all_at_once(PICKERS, lambda _: picking.close_short(line=line, picked=7, **now()))
    assert Count.objects.count() > 1, "without the locks it was counted once: the test above proves nothing"


@pytest.mark.races
def test_of_those_who_start_a_walk_for_the_same_request_one_does(asked):
    results = all_at_once(PICKERS, lambda _: wave_of(asked[0]))
    assert sum(isinstance(found, InAnotherWave) for found in results) == PICKERS - 1, results


@pytest.mark.races
def test_boxes_closed_at_once_have_a_number_each_without_gaps(asked):
    all_at_once(PICKERS, lambda place: pack(asked[place]))
    assert sorted(Package.objects.values_list("sscc", flat=True)) == [
        labelling.sscc_of(extension_digit=0, company_prefix="0614141", serial_reference=number) for number in (1, 2, 3)
    ]


@pytest.mark.races
def test_without_its_lock_a_series_would_give_one_number_to_several(asked, monkeypatch):
    """The negative control: what stops them then is the database, and their boxes are not closed."""
    monkeypatch.setattr(SsccSeriesQuerySet, "lock", lambda rows: rows)
    spell = labelling.sscc_of

    def spell_slowly(**said):
        time.sleep(0.5)
        return spell(**said)

    monkeypatch.setattr(labelling, "sscc_of", spell_slowly)
    results = all_at_once(PICKERS, lambda place: pack(asked[place]))
    assert any(isinstance(found, SsccTaken) for found in results), "all got numbers: the test above proves nothing"
