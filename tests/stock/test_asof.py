"""Stock as of a moment is what a replay of the ledger up to that moment gives, from whatever start."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from hypothesis.extra.django import TestCase

from stock import asof, ledger, proof
from stock.models import Level, Location, Movement, Snapshot, SnapshotLevel
from stock.operations import snapshots
from tests import make

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOURS = 6


def moment(hour: int) -> datetime:
    return NOON + timedelta(hours=hour)


def replayed(at: datetime) -> dict[int, int]:
    """The slow way: every movement, one by one."""
    held: dict[tuple, int] = defaultdict(int)
    for row in Movement.objects.filter(occurred_at__lte=at):
        held[row.variant_id, row.to_location_id, row.batch_id, row.to_condition] += row.quantity
        held[row.variant_id, row.from_location_id, row.batch_id, row.from_condition] -= row.quantity
    return {
        level.pk: held[level.variant_id, level.location_id, level.batch_id, level.condition]
        for level in Level.objects.all()
    }


def post(variant, source: ledger.Place, target: ledger.Place, quantity: int, occurred_at: datetime) -> None:
    posting = ledger.Posting(
        variant_id=variant.pk, batch_id=None, quantity=quantity, source=source, target=target,
        kind=Movement.Kind.MOVE,
    )  # fmt: skip
    ledger.post([posting], actor=make.TESTER, at=timezone.now(), occurred_at=occurred_at)


class AnyHistory(TestCase):
    """Any movements at any hours, booked in any order, with snapshots anywhere between."""

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        history=some.lists(
            some.one_of(
                some.tuples(
                    some.integers(0, 1), some.integers(0, 3), some.integers(0, 3), some.integers(1, 9),
                    some.integers(0, HOURS),
                ),
                some.integers(0, HOURS),  # take a snapshot; the clock may even run behind the facts
            ),
            max_size=12,
        )
    )  # fmt: skip
    def test_as_of_any_moment_equals_a_replay_from_any_start(self, history):
        variants = [make.make_variant(), make.make_variant()]
        bins = [make.make_warehouse().locations.get().pk for _ in range(2)]
        outside = ledger.virtual(Location.Kind.FOUND)
        places = [outside, *(ledger.Place(location_id=bin_, condition="sellable") for bin_ in bins)]
        places.append(ledger.Place(location_id=bins[0], condition="damaged"))
        for entry in history:
            if isinstance(entry, int):
                snapshots.take_snapshot(at=moment(entry))
                continue
            which, source, target, quantity, hour = entry
            if source == target:
                continue
            if source:  # what is to leave must be there, though it may have come later than it left
                post(variants[which], outside, places[source], quantity, moment(HOURS - hour))
            post(variants[which], places[source], places[target], quantity, moment(hour))
        starts = [asof.Start(last_id=asof.NOTHING), asof.Start(last_id=asof.TODAY)]
        starts += [asof.Start(last_id=row.last_id, snapshot_id=row.pk) for row in Snapshot.objects.all()]
        for hour in range(-1, HOURS + 1):
            at = moment(hour)
            expected = replayed(at)
            assert asof.on_hand(at=at) == expected
            one = asof.on_hand(at=at, variant_ids=[variants[0].pk])
            assert one == {pk: expected[pk] for pk in one}
            _, floor = asof.choose(at)
            for start in starts:
                if start.last_id >= floor:
                    assert asof._count(start, floor=floor, at=at, variant_ids=None) == expected
        assert sum(asof.on_hand(at=moment(99)).values()) == sum(Level.objects.values_list("on_hand", flat=True))
        assert proof.prove_ledger().differences == []


@pytest.fixture
def shelf(supplier):
    """10 received at hour 0, 4 sold at hour 2, 100 received at hour 4; then it is known that 1 broke at hour 1."""
    variant = make.make_variant(sku="SAUCE", suppliers=[supplier])
    warehouse = make.make_warehouse(code="W1")
    place = ledger.Place(location_id=warehouse.locations.get().pk, condition="sellable")
    post(variant, ledger.virtual(Location.Kind.SUPPLIER), place, 10, moment(0))
    post(variant, place, ledger.virtual(Location.Kind.CUSTOMER), 4, moment(2))
    snapshots.take_snapshot(at=moment(3))
    post(variant, ledger.virtual(Location.Kind.SUPPLIER), place, 100, moment(4))
    post(variant, place, ledger.virtual(Location.Kind.LOST), 1, moment(1))
    return variant, warehouse


@pytest.mark.parametrize(
    ("hour", "held"), [(-1, 0), (0, 10), (1, 9), (2, 5), (3, 5), (3.9, 5), (4, 105)], ids=lambda value: str(value)
)
def test_a_partner_asks_what_lay_there_at_a_moment(api, retailer, shelf, hour, held):
    at = NOON + timedelta(hours=hour)
    answer = api(retailer).get(f"/inventory?productId=SAUCE&asOf={at:%Y-%m-%dT%H:%M:%SZ}")
    [row] = answer.json()["items"]
    assert (row["inventoryLevel"], row["reservedQuantity"], row["availableQuantity"]) == (held, None, None)
    assert answer.json()["asOf"] == at.isoformat().replace("+00:00", "Z")


def test_without_a_moment_the_list_is_of_now(api, retailer, shelf):
    body = api(retailer).get("/inventory").json()
    assert (body["asOf"], body["items"][0]["inventoryLevel"], body["items"][0]["availableQuantity"]) == (None, 105, 105)


def test_the_past_is_told_batch_by_batch_and_page_by_page(api, retailer, supplier):
    variant = make.make_variant(tracking="batch", suppliers=[supplier])
    warehouse = make.make_warehouse()
    for number in range(5):
        make.make_level(variant=variant, warehouse=warehouse, on_hand=number + 1, batch_number=f"B{number}")
    at = timezone.now().isoformat().replace("+00:00", "Z")
    make.make_level(variant=variant, warehouse=warehouse, on_hand=50, batch_number="B0")
    told, cursor = [], ""
    for _ in range(3):
        page = api(retailer).get(f"/inventory?asOf={at}&limit=2&cursor={cursor}").json()
        told += [(row["batchNumber"], row["inventoryLevel"]) for row in page["items"]]
        cursor = page["nextCursor"]
    assert cursor is None
    assert told == [("B0", 1), ("B1", 2), ("B2", 3), ("B3", 4), ("B4", 5)]
    [row] = api(retailer).get(f"/inventory?asOf={at}&batchNumber=B3").json()["items"]
    assert row["inventoryLevel"] == 4


def test_the_past_is_not_disclosed_more_exactly_than_the_present(api, shelf):
    reseller = make.make_partner(disclosure="banded")
    with patch("stock.asof.on_hand") as counting:
        [row] = api(reseller).get("/inventory?asOf=2026-01-01T14:00:00Z").json()["items"]
    assert row["inventoryLevel"] is None
    assert not counting.called


def test_anothers_past_is_as_hidden_as_its_present(api, shelf):
    rival = make.make_partner(code="SUP-2", kind="supplier")
    assert api(rival).get("/inventory?asOf=2026-01-01T14:00:00Z").json()["items"] == []


def test_a_moment_to_come_is_refused_and_named(api, retailer, shelf):
    answer = api(retailer).get("/inventory?asOf=2095-01-01T00:00:00Z")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "asOf")


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2026-01-01", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00%2B14:00"],
)
def test_what_is_no_moment_is_a_400(api, retailer, shelf, text):
    answer = api(retailer).get(f"/inventory?asOf={text}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
    assert "asOf" in answer.json()["detail"]


def test_a_snapshot_holds_what_the_ledger_says_and_is_not_taken_twice(shelf):
    assert snapshots.take_snapshot(at=moment(5)) == 1
    assert snapshots.take_snapshot(at=moment(6)) is None
    assert list(SnapshotLevel.objects.order_by("id").values_list("on_hand", flat=True)) == [6, 105]


def test_a_snapshot_of_facts_to_come_is_dated_after_them(db):
    variant, bin_ = make.make_variant(), make.make_warehouse().locations.get()
    place = ledger.Place(location_id=bin_.pk, condition="sellable")
    post(variant, ledger.virtual(Location.Kind.FOUND), place, 7, moment(9))
    snapshots.take_snapshot(at=moment(1))
    assert Snapshot.objects.get().taken_at == moment(9)
    assert list(asof.on_hand(at=moment(2)).values()) == [0]
