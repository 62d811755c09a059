"""What another system says of a warehouse, with the range of our events its numbers contain."""

from __future__ import annotations

import pytest

from catalog.operations import kits
from orders.models import Stamp
from partners.models import OutboxEvent
from partners.problems import InvalidInput
from stock import proof, queries
from stock.models import Acknowledged, Movement, StampedDeparture, StockImport, Warehouse
from stock.operations.stating import RangeAhead, RangeGap, SnapshotDiffers, StaleSnapshot
from tests import make
from tests.orders import stating
from tests.orders.stating import assigned, book, completed, failed, opened, said


@pytest.fixture
def hall(db):
    return stating.external()


@pytest.fixture
def part(hall):
    variant = make.make_variant(sku="P")
    make.make_level(variant=variant, warehouse=hall, on_hand=10)
    return variant


@pytest.fixture
def requests(hall, part, retailer):
    """Four orders, of which the first three left at 10, 11 and 12."""
    stating.clock_at(hall, 5)
    found = [assigned(retailer, "P", f"ff{number}") for number in range(1, 5)]
    assert book("P", hall) == (10, 6)
    assert [completed(request) for request in found[:3]] == [10, 11, 12]
    assert book("P", hall) == (7, 6)
    return found


def waiting() -> list[int]:
    """Timestamps of what left and is in nobody's numbers."""
    left = StampedDeparture.objects.filter(contained_in=None).order_by("logical_timestamp")
    return list(left.values_list("logical_timestamp", flat=True))


def everything() -> tuple:
    return Movement.objects.count(), StockImport.objects.count(), Acknowledged.objects.count(), waiting()


def test_the_case_of_the_guide(hall, requests):
    made = said(hall, {"P": 17}, 10, 12)
    assert (made.state, made.changed_count) == ("applied", 1)
    assert book("P", hall) == (17, 16)
    assert queries.acknowledged_through(warehouse_id=hall.pk, partner=None) == 12
    assert completed(requests[3]) == 13
    assert book("P", hall) == (16, 16)


def test_what_left_meanwhile_is_taken_off(hall, requests):
    assert completed(requests[3]) == 13
    made = said(hall, {"P": 17}, 10, 12)
    assert book("P", hall) == (16, 16)
    row = made.rows.get()
    assert (row.quantity, row.before, row.left_since, row.after) == (17, 6, 1, 16)
    assert waiting() == [13]


def test_the_difference_is_one_movement(hall, requests):
    made = said(hall, {"P": 17}, 10, 12)
    [movement] = Movement.objects.filter(reference=made.number)
    assert (movement.kind, movement.quantity) == ("adjustment", 10)
    assert proof.prove_ledger().differences == []


@pytest.fixture
def after_four(hall, requests):
    completed(requests[3])
    said(hall, {"P": 17}, 10, 12)
    return requests


def test_the_same_again_changes_nothing(hall, after_four):
    again = said(hall, {"P": 17}, 10, 12)
    assert (again.state, again.unchanged_count, book("P", hall)) == ("applied", 1, (16, 16))


def test_the_next_range_contains_the_rest(hall, after_four):
    said(hall, {"P": 16}, 13, 13)
    assert (book("P", hall), waiting()) == ((16, 16), [])


def test_a_range_that_overlaps_the_last_one_takes_nothing_off_twice(hall, after_four):
    said(hall, {"P": 16}, 12, 13)
    assert (book("P", hall), waiting()) == ((16, 16), [])


def test_numbers_from_the_future_are_refused(hall, after_four):
    before = everything()
    with pytest.raises(RangeAhead) as refusal:
        opened(hall, {"P": 16}, 13, 99)
    assert refusal.value.data == {"warehouseLocation": "DC1", "logicalTimestamp": 13}
    assert (everything(), book("P", hall)) == (before, (16, 16))


def test_an_old_file_that_comes_late_is_stale(hall, after_four):
    said(hall, {"P": 16}, 13, 13)
    before = everything()
    with pytest.raises(StaleSnapshot) as refusal:
        opened(hall, {"P": 17}, 10, 12)
    assert refusal.value.data == {"warehouseLocation": "DC1", "acknowledgedThrough": 13}
    assert (everything(), book("P", hall)) == (before, (16, 16))


def test_an_old_file_that_was_opened_in_time_is_stale_when_it_is_started(hall, after_four):
    late = opened(hall, {"P": 17}, 10, 12)
    said(hall, {"P": 16}, 13, 13)
    with pytest.raises(StaleSnapshot):
        stating.apply(late)
    assert (StockImport.objects.get(pk=late.pk).state, book("P", hall)) == ("created", (16, 16))


def test_of_two_with_one_range_the_later_one_stands_for_each_place(hall, after_four):
    earlier = opened(hall, {"P": 17}, 10, 12)
    said(hall, {"P": 27}, 10, 12)
    ended = stating.apply(earlier)
    assert (ended.state, ended.refused_count, book("P", hall)) == ("failed", 1, (26, 26))


def test_what_fails_is_free_again_and_in_no_range(hall, after_four, retailer):
    said(hall, {"P": 16}, 13, 13)
    request = assigned(retailer, "P", "ff5")
    assert book("P", hall) == (16, 15)
    failed(request)
    assert (book("P", hall), waiting()) == ((16, 16), [])


def test_a_file_that_does_not_list_a_product_contains_nothing_of_it(hall, after_four, retailer):
    said(hall, {"P": 16}, 13, 13)
    make.make_variant(sku="X")
    stamp = completed(assigned(retailer, "P", "ff6"))
    assert book("P", hall) == (15, 15)
    said(hall, {"X": 3}, 14, stamp)
    assert (book("P", hall), book("X", hall), waiting()) == ((15, 15), (3, 3), [stamp])
    assert queries.acknowledged_through(warehouse_id=hall.pk, partner=None) == stamp - 1
    said(hall, {"P": 15}, stamp, stamp)
    assert (book("P", hall), waiting()) == ((15, 15), [])
    assert queries.acknowledged_through(warehouse_id=hall.pk, partner=None) == stamp


def test_scope_all_must_list_whatever_left_in_the_range(hall, requests):
    make.make_variant(sku="X")
    before = everything()
    with pytest.raises(InvalidInput, match="1 field"):
        opened(hall, {"X": 3}, 10, 12, scope="all")
    assert everything() == before
    assert opened(hall, {"X": 3, "P": 17}, 10, 12, scope="all").state == "created"


def test_what_a_range_leaves_out_is_named(hall, requests):
    before = everything()
    with pytest.raises(RangeGap) as refusal:
        opened(hall, {"P": 17}, 12, 12)
    assert refusal.value.data["missing"] == [
        {"logicalTimestamp": 10, "productId": "P", "quantity": 1},
        {"logicalTimestamp": 11, "productId": "P", "quantity": 1},
    ]
    assert everything() == before


def test_a_gap_in_which_nothing_left_is_none(hall, requests):
    """Requests are stamped when they are assigned, too."""
    assert Stamp.objects.filter(logical_timestamp__lt=10).count() == 4
    assert opened(hall, {"P": 17}, 10, 12).state == "created"


def test_without_a_start_all_before_is_contained(hall, requests):
    said(hall, {"P": 17}, None, 12)
    assert (book("P", hall), waiting()) == ((17, 16), [])


def test_without_a_range_what_left_stays_taken_off(hall, requests):
    said(hall, {"P": 17})
    assert (book("P", hall), waiting()) == ((14, 13), [10, 11, 12])


def test_without_a_range_a_number_of_our_own_warehouse_is_of_now(hall, requests):
    Warehouse.objects.update(system_of_record="own")
    said(hall, {"P": 17})
    assert (book("P", hall), waiting()) == ((17, 16), [])


def test_a_snapshot_sent_twice_is_one_import(hall, requests):
    first = said(hall, {"P": 17}, 10, 12, snapshot_id="S-1")
    completed(requests[3])
    assert said(hall, {"P": 17}, 10, 12, snapshot_id="S-1").pk == first.pk
    with pytest.raises(SnapshotDiffers) as refusal:
        opened(hall, {"P": 18}, 10, 12, snapshot_id="S-1")
    assert refusal.value.data == {"importId": first.number}
    assert (StockImport.objects.count(), book("P", hall)) == (1, (16, 16))


def test_a_snapshot_sent_twice_is_one_import_after_newer_ones_too(hall, after_four):
    first = said(hall, {"P": 17}, 10, 12, snapshot_id="S-1")
    said(hall, {"P": 16}, 13, 13, snapshot_id="S-2")
    assert said(hall, {"P": 17}, 10, 12, snapshot_id="S-1").pk == first.pk
    assert book("P", hall) == (16, 16)


def test_a_delta_adds_and_what_it_contains_of_ours_has_left_already(hall, requests):
    """Ten came, and the three that left are in it: seven more than before."""
    said(hall, {"P": 7}, 10, 12, mode="delta")
    assert (book("P", hall), waiting()) == ((17, 16), [])
    said(hall, {"P": -2}, mode="delta")
    assert book("P", hall) == (15, 14)


@pytest.mark.parametrize("is_ours", [True, False])
def test_a_delta_without_a_range_contains_nothing_that_left(hall, requests, is_ours):
    Warehouse.objects.update(system_of_record="own" if is_ours else "external")
    said(hall, {"P": 5}, mode="delta")
    assert (book("P", hall), waiting()) == ((12, 11), [10, 11, 12])


def test_fewer_than_are_promised_break_the_youngest_promise(hall, requests):
    said(hall, {"P": 0}, 10, 12)
    assert book("P", hall) == (0, 0)
    assert OutboxEvent.objects.filter(type="inventory.shortage").count() == 1
    assert proof.prove_ledger().differences == []


def test_the_shelf_never_holds_less_than_nothing(hall, requests):
    completed(requests[3])
    made = said(hall, {"P": 0}, 10, 12)
    row = made.rows.get()
    assert (book("P", hall), row.left_since, row.after) == ((0, 0), 1, 0)
    assert row.reasons[0][0] == "quantity"


def test_numbers_with_our_orders_taken_off_get_those_back(hall, requests, retailer):
    """Of 17 there, one is promised to ff4: 16. An order they cannot know of is taken off by us."""
    assigned(retailer, "P", "ff5", 2)
    said(hall, {"P": 16}, 10, 12, basis="atpWithYourOrders")
    assert book("P", hall) == (17, 14)


def test_numbers_with_our_orders_taken_off_know_of_what_left_since(hall, requests):
    completed(requests[3])
    said(hall, {"P": 16}, 10, 12, basis="atpWithYourOrders")
    assert book("P", hall) == (16, 16)


def test_numbers_with_our_orders_taken_off_say_through_when(hall, requests):
    with pytest.raises(InvalidInput) as refusal:
        opened(hall, {"P": 16}, basis="atpWithYourOrders")
    assert refusal.value.data["errors"][0]["field"] == "logicalTimestampEnd"


def test_numbers_without_our_orders_leave_those_to_us(hall, requests):
    said(hall, {"P": 17}, 10, 12, basis="atpWithoutYourOrders")
    assert book("P", hall) == (17, 16)


def test_a_kit_leaves_as_its_parts(hall, retailer):

    cap, jar = make.make_variant(sku="CAP"), make.make_variant(sku="JAR")
    kit = make.make_variant(sku="KIT")
    kits.compose(
        kit=kit, parts=[kits.Part(component=cap, quantity=2), kits.Part(component=jar, quantity=1)], actor=make.TESTER
    )
    for variant in (cap, jar):
        make.make_level(variant=variant, warehouse=hall, on_hand=10)
    stamp = completed(assigned(retailer, "KIT", "K-1", 3))
    left = StampedDeparture.objects.filter(logical_timestamp=stamp)
    assert dict(left.values_list("variant__sku", "quantity")) == {"CAP": 6, "JAR": 3}
    said(hall, {"CAP": 10, "JAR": 10})
    assert (book("CAP", hall), book("JAR", hall)) == ((4, 4), (7, 7))


def test_batches_are_stated_one_by_one(hall, retailer):
    make.make_level(
        variant=make.make_variant(sku="B", tracking="batch"), warehouse=hall, on_hand=5, batch_number="EARLY"
    )
    stamp = completed(assigned(retailer, "B", "B-1", 2))
    rows = [
        {"productId": "B", "quantity": 5, "batchNumber": "EARLY"},
        {"productId": "B", "quantity": 8, "batchNumber": "LATE", "expirationDate": "2090-01-01"},
        {"productId": "B", "quantity": 8},
    ]
    made = said(hall, rows)
    assert (made.changed_count, made.unchanged_count, made.refused_count) == (1, 1, 1)
    assert book("B", hall) == (11, 11)
    said(hall, rows[:1], None, stamp)
    assert book("B", hall) == (13, 13)


def test_rows_that_cannot_be_used_are_refused_one_by_one(hall, part):
    make.make_variant(sku="SERIAL", tracking="serial")
    rows = [
        {"productId": "P", "quantity": 4},
        {"productId": "P", "quantity": 5},
        {"productId": "NOBODY", "quantity": 1},
        {"productId": "SERIAL", "quantity": 1},
        {"productId": "P", "quantity": -1},
        {"productId": "P"},
        {"productId": "P", "quantity": 1, "warehouseLocation": "NOWHERE"},
        {"productId": "P", "quantity": "1.5"},
    ]
    made = said(hall, rows)
    assert (made.state, made.refused_count, book("P", hall)) == ("applied", 7, (4, 4))
    fields = [row.reasons[0][0] for row in made.rows.filter(outcome="refused")]
    assert fields == ["productId", "productId", "quantity", "quantity", "quantity", "warehouseLocation", "quantity"]


def test_an_applied_import_is_told_once(hall, requests):
    made = said(hall, {"P": 17}, 10, 12)
    stating.apply(made)
    [event] = OutboxEvent.objects.filter(type="import.applied")
    assert (event.payload["importId"], event.payload["kind"], event.payload["changed"]) == (made.number, "stock", 1)
