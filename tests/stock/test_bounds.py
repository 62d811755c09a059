"""The largest numbers there are, and the last second of a day, wherever that is."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.utils import timezone

from catalog.operations import kits
from partners.problems import InvalidInput
from stock import ledger, proof, queries
from stock.models import Level, Movement, Reservation, ReservationLine
from stock.operations import movements, reservations
from stock.operations.promising import InsufficientStock, Wanted
from tests import make

TRILLION = 10**12


def now():
    return {"actor": make.TESTER, "at": timezone.now()}


def receive(variant, warehouse, quantity):
    return movements.book(kind="receipt", variant=variant, warehouse=warehouse, quantity=quantity, **now())


def test_a_trillion_and_a_trillion_are_two_and_can_be_promised_and_leave(db):
    variant, warehouse = make.make_variant(), make.make_warehouse()
    for _ in range(2):
        receive(variant, warehouse, TRILLION)
    wanted = [Wanted(variant=variant, quantity=TRILLION)] * 2
    held, _ = reservations.reserve(reference="all", wanted=wanted, partner=None, **now())
    level = Level.objects.get()
    assert (level.on_hand, level.reserved) == (2 * TRILLION, 2 * TRILLION)
    with pytest.raises(InsufficientStock):
        reservations.reserve(reference="more", wanted=[Wanted(variant=variant, quantity=1)], partner=None, **now())
    reservations.commit(reservation=held, reference="", **now())
    level.refresh_from_db()
    assert (level.on_hand, level.reserved) == (0, 0)
    assert proof.prove_ledger().differences == []


def test_a_place_takes_as_much_as_it_may_and_not_one_unit_more(db):
    variant, warehouse = make.make_variant(), make.make_warehouse()
    receive(variant, warehouse, ledger.ON_HAND_MAX - TRILLION)
    receive(variant, warehouse, TRILLION)
    for step in (
        lambda: receive(variant, warehouse, 1),
        lambda: movements.set_level(
            variant=variant, warehouse=warehouse, on_hand=ledger.ON_HAND_MAX + 1, reason="seen", **now()
        ),
    ):
        with pytest.raises(InvalidInput):
            step()
    assert Level.objects.get().on_hand == ledger.ON_HAND_MAX
    assert Movement.objects.count() == 2
    assert proof.prove_ledger().differences == []


@pytest.mark.parametrize("quantity", [TRILLION + 1, 2**53 + 1, 2**63, 10**30, 0, -1])
def test_what_no_level_holds_is_refused_at_the_door(api, supplier, quantity):
    variant, warehouse = make.make_variant(suppliers=[supplier]), make.make_warehouse(code="HALL")
    receive(variant, warehouse, 5)
    client = api(supplier)
    booking = {"type": "receipt", "warehouseLocation": "HALL", "quantity": quantity}
    wish = {"reference": "cart", "lines": [{"productId": variant.sku, "quantity": quantity}]}
    assert client.post(f"/inventory/SUP-1/{variant.sku}", booking).status_code in {400, 422}
    assert client.post("/reservations", wish).status_code in {400, 422}
    assert (Level.objects.get().on_hand, Movement.objects.count(), Reservation.objects.count()) == (5, 1, 0)


def test_a_trillion_and_a_trillion_over_http(api, supplier):
    variant = make.make_variant(suppliers=[supplier])
    make.make_warehouse(code="HALL")
    client = api(supplier)
    booking = {"type": "receipt", "warehouseLocation": "HALL", "quantity": TRILLION}
    for _ in range(2):
        answer = client.post(f"/inventory/SUP-1/{variant.sku}", booking)
        assert answer.status_code == 201
    assert answer.json()["inventoryLevel"] == 2 * TRILLION


@pytest.mark.parametrize("all_or_nothing", [True, False])
def test_more_kits_than_there_are_numbers_for_their_parts_are_refused(api, all_or_nothing):
    kit, part = make.make_variant(sku="KIT"), make.make_variant(sku="PART")
    kits.compose(kit=kit, parts=[kits.Part(component=part, quantity=10**9)], actor=make.TESTER)
    receive(part, make.make_warehouse(), 3 * 10**9)
    wish = {
        "reference": "cart",
        "lines": [{"productId": "KIT", "quantity": TRILLION}],
        "allOrNothing": all_or_nothing,
    }
    unbounded = make.make_partner(kind="channel")
    answer = api(unbounded).post("/reservations", wish)
    assert (answer.status_code, answer.json()["code"]) == (409, "insufficient_stock")
    assert (Reservation.objects.count(), ReservationLine.objects.count(), Level.objects.get().reserved) == (0, 0, 0)


# -- Time. The first moment after the last day of a batch, where it lies.

MIDNIGHTS = [
    ("America/New_York", date(2026, 3, 8), datetime(2026, 3, 9, 4, tzinfo=UTC)),  # a day of 23 hours
    ("America/New_York", date(2026, 11, 1), datetime(2026, 11, 2, 5, tzinfo=UTC)),  # and one of 25
    ("America/New_York", date(2028, 2, 29), datetime(2028, 3, 1, 5, tzinfo=UTC)),
    ("Pacific/Apia", date(2011, 12, 29), datetime(2011, 12, 30, 10, tzinfo=UTC)),  # the 30th was left out
    ("Pacific/Apia", date(2028, 2, 29), datetime(2028, 2, 29, 11, tzinfo=UTC)),
    ("Asia/Kolkata", date(2028, 2, 29), datetime(2028, 2, 29, 18, 30, tzinfo=UTC)),
    ("Pacific/Kiritimati", date(2028, 2, 29), datetime(2028, 2, 29, 10, tzinfo=UTC)),
    ("Pacific/Kiritimati", date(2027, 12, 31), datetime(2027, 12, 31, 10, tzinfo=UTC)),
]


@pytest.mark.parametrize("lines", [1, 2], ids=["the quick way", "under locks"])
@pytest.mark.parametrize(("zone", "day", "midnight"), MIDNIGHTS, ids=lambda value: str(value))
def test_a_batch_is_promised_to_the_last_second_of_its_day_where_it_lies(db, zone, day, midnight, lines):
    variant, warehouse = make.make_variant(tracking="batch"), make.make_warehouse(time_zone=zone)
    make.make_level(variant=variant, warehouse=warehouse, on_hand=5, batch_number="LOT", expires_on=day)

    def reserve(at):
        wanted = [Wanted(variant=variant, quantity=1)] * lines
        return reservations.reserve(reference=str(at), wanted=wanted, partner=None, actor=make.TESTER, at=at)

    def offered(at):
        return [offer.available for offer in queries.candidates(variant_ids=[variant.pk], partner=None, at=at)]

    last, first = midnight - timedelta(seconds=1), midnight
    assert offered(last) == [5]
    assert reserve(last)[1]
    for at in (first, first + timedelta(seconds=1)):
        assert offered(at) == []
        with pytest.raises(InsufficientStock):
            reserve(at)
    assert Level.objects.get().reserved == lines
