"""A transfer leaves once and arrives once, whoever books it at once; a promise that is put away is not lost."""

from __future__ import annotations

import time

import pytest
from django.utils import timezone

from partners.problems import IllegalStep
from stock import ledger, proof
from stock.models import Inbound, Level, Location, Movement, Transfer
from stock.models.transfer import TransferQuerySet
from stock.operations import moving, reservations, transfer_units, transfers, warehouses
from stock.operations.promising import Wanted
from stock.operations.transfers import Arrival, Going, TransferChanged
from tests import make
from tests.races.crowd import all_at_once

DISPATCHERS, ARRIVERS = 2, 3


def now():
    return {"actor": make.TESTER, "at": timezone.now()}


@pytest.fixture
def planned(own_database):
    """Ten of a hundred are to go."""
    source, target, variant = make.make_warehouse(code="FROM"), make.make_warehouse(code="TO"), make.make_variant()
    make.make_level(variant=variant, warehouse=source, on_hand=100)
    return transfers.plan(source=source, target=target, going=[Going(variant=variant, quantity=10)], **now())


def moved(kind: str) -> int:
    return sum(Movement.objects.filter(kind=kind).values_list("quantity", flat=True))


@pytest.mark.races
def test_two_who_dispatch_at_once_send_the_goods_once(planned):
    results = all_at_once(DISPATCHERS, lambda _: transfers.dispatch(transfer=planned, **now()))
    assert [result.state for result in results] == ["dispatched"] * DISPATCHERS
    assert (moved("transferOut"), Inbound.objects.get().quantity) == (10, 10)
    assert Transfer.objects.get().version == 2
    assert proof.prove_ledger().differences == []


@pytest.mark.races
@pytest.mark.parametrize("is_said", [True, False], ids=["line by line", "as dispatched"])
def test_of_three_who_book_the_arrival_at_once_one_does(planned, is_said):
    transfers.dispatch(transfer=planned, **now())
    came = [Arrival(sku=planned.lines.get().variant.sku, quantity=10)] if is_said else None
    results = all_at_once(ARRIVERS, lambda _: transfers.arrive(transfer=planned, arrivals=came, **now()))
    assert sum(isinstance(result, Transfer) for result in results) == 1
    assert sum(isinstance(result, IllegalStep) for result in results) == ARRIVERS - 1
    assert (moved("transferIn"), planned.lines.get().arrived, Inbound.objects.count()) == (10, 10, 0)
    assert Level.objects.get(location__warehouse__code="TO").on_hand == 10
    assert proof.prove_ledger().differences == []


@pytest.mark.races
def test_of_three_who_book_the_same_part_at_once_one_does(planned):
    sent = transfers.dispatch(transfer=planned, **now())
    came = {"arrivals": [Arrival(sku=sent.lines.get().variant.sku, quantity=4)], "seen_version": sent.version}
    results = all_at_once(ARRIVERS, lambda _: transfers.arrive(transfer=planned, **came, **now()))
    assert sum(isinstance(result, TransferChanged) for result in results) == ARRIVERS - 1
    assert (moved("transferIn"), Inbound.objects.get().quantity) == (4, 6)
    assert proof.prove_ledger().differences == []


@pytest.mark.races
def test_without_the_lock_of_the_document_they_would_book_it_more_than_once(planned, monkeypatch):
    """The negative control: with the document's lock taken away all of them go on from the same page."""
    transfers.dispatch(transfer=planned, **now())
    monkeypatch.setattr(TransferQuerySet, "lock", lambda rows: rows)
    look = transfer_units.in_transit

    def look_slowly(**kwargs):
        time.sleep(0.2)
        return look(**kwargs)

    monkeypatch.setattr(transfer_units, "in_transit", look_slowly)
    all_at_once(ARRIVERS, lambda _: transfers.arrive(transfer=planned, **now()))
    assert moved("transferIn") > 10, "without the lock nothing was doubled: the tests above prove nothing"
    assert proof.prove_ledger().differences != []


@pytest.mark.races
def test_one_who_promises_and_one_who_dispatches_never_get_the_same_units(planned):
    variant = planned.lines.get().variant
    reservations.reserve(reference="most", wanted=[Wanted(variant=variant, quantity=85)], partner=None, **now())

    def either(place: int):
        if place % 2:
            return transfers.dispatch(transfer=planned, **now())
        wanted = [Wanted(variant=variant, quantity=10)]
        return reservations.reserve(reference=f"cart-{place}", wanted=wanted, partner=None, **now())

    results = all_at_once(6, either)
    promised = [result for result in results if isinstance(result, tuple)]
    assert (len(promised), moved("transferOut")) in {(1, 0), (0, 10)}
    assert proof.prove_ledger().differences == []


@pytest.mark.races
def test_goods_are_put_away_to_and_fro_while_their_promises_are_given_back(own_database):
    """The promise is where the goods are, or it is over; it is never freed twice and never left behind."""
    hall, variant = make.make_warehouse(code="HALL"), make.make_variant()
    warehouses.open_location(warehouse=hall, code="A-01", actor=make.TESTER)
    make.make_level(variant=variant, warehouse=hall, on_hand=40)
    held = [
        reservations.reserve(
            reference=f"cart-{number}", wanted=[Wanted(variant=variant, quantity=2)], partner=None, **now()
        )[0]
        for number in range(20)
    ]

    def work(place: int) -> str:
        if place >= 8:
            for reservation in held[place - 8 :: 4]:
                end = reservations.commit if place % 2 else reservations.release
                end(reservation=reservation, **now(), **({"reference": "SO"} if place % 2 else {}))
            return "done"
        there, back = ("MAIN", "A-01") if place % 2 else ("A-01", "MAIN")
        for from_code, to_code in ((back, there), (there, back)) * 5:
            try:
                moving.move(
                    variant=variant, warehouse=hall, from_code=from_code, to_code=to_code, quantity=3 + place, **now()
                )
            except ledger.NotEnoughOnHand:
                continue
        return "done"

    assert all_at_once(12, work) == ["done"] * 12
    assert {row.reserved for row in Level.objects.all()} == {0}
    assert sum(Level.objects.values_list("on_hand", flat=True)) == 20
    assert Movement.objects.filter(to_location=Location.VIRTUAL_IDS["customer"]).exists()
    assert proof.prove_ledger().differences == []
