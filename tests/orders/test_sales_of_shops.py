"""Devices of shops report sales over the API: booked whatever the book says, each once, gaps told."""

from __future__ import annotations

from datetime import date

import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.operations import kits
from orders import queries
from orders.models import FoundAtSale, Sale, SalesBatch
from orders.operations import tills
from partners.models import OutboxEvent
from stock import proof
from stock.models import Count, Level, Movement
from stock.operations import counting, holds, movements
from tests import make
from tests.orders.steps import book
from tests.orders.tills import MONDAY, odd, of, report, sale


@pytest.fixture
def shop(db):
    """A shop with 10 lids, and a sauce in two batches: 3 that expire first, 4 later."""
    warehouse = make.make_warehouse(code="SHOP")
    make.make_level(variant=make.make_variant(sku="LID"), warehouse=warehouse, on_hand=10)
    sauce = make.make_variant(sku="SAUCE", tracking="batch")
    for number, on_hand, year in [("EARLY", 3, 2090), ("LATE", 4, 2091)]:
        make.make_level(
            variant=sauce, warehouse=warehouse, on_hand=on_hand, batch_number=number, expires_on=date(year, 1, 1)
        )
    return warehouse


@pytest.fixture
def till(api, retailer, shop):
    return api(retailer)


def test_what_was_sold_is_gone_first_expired_first_and_at_the_moment_it_was_sold(till):
    answer = report(
        till,
        1,
        sale("1", of("SAUCE", 4), of("LID", 2, batchNumber="ON-THE-LABEL")),
        sale("2", of("SAUCE", 2, batchNumber="LATE")),
    )
    assert answer.status_code == 201
    assert (answer.json()["bookedSales"], answer.json()["exceptions"], answer.json()["missing"]) == (2, [], [])
    assert book() | {"-/sellable": (8, 0)} == {
        "-/sellable": (8, 0), "EARLY/sellable": (0, 0), "LATE/sellable": (1, 0),
    }  # fmt: skip
    assert Level.objects.get(variant__sku="LID").on_hand == 8
    gone = Movement.objects.filter(kind="shipment")
    assert set(gone.values_list("reference", flat=True)) == {"TILL-1/1", "TILL-1/2"}
    assert {row.occurred_at.isoformat() for row in gone} == {"2026-01-05T10:00:00+00:00"}
    assert OutboxEvent.objects.get(type="sale.posted").payload["deviceSequence"] == 1
    assert proof.prove_ledger().differences == []


def test_what_the_book_lacks_is_found_noted_and_flagged_to_be_counted_once(till, shop):
    answer = report(till, 1, sale("1", of("LID", 12)), sale("2", of("SAUCE", 9)))
    assert odd(answer) == [("foundStock", "1", 2, True), ("foundStock", "2", 2, True)]
    assert {on_hand for on_hand, _ in book().values()} == {0}
    found = Movement.objects.filter(reason="found-at-sale")
    assert sorted(found.values_list("quantity", flat=True)) == [2, 2]
    noted = queries.found_at_sale(warehouse=shop)
    assert {(row.variant.sku, row.quantity, row.sale.device.code) for row in noted} == {
        ("LID", 2, "TILL-1"), ("SAUCE", 2, "TILL-1"),
    }  # fmt: skip
    count = Count.objects.get()
    assert {row.count for row in noted} == {count}
    report(till, 2, sale("3", of("LID", 1)))
    assert (Count.objects.count(), FoundAtSale.objects.count()) == (1, 3)
    counting.cancel(count=count, actor=make.TESTER, at=timezone.now())
    assert not queries.found_at_sale().exists()
    assert proof.prove_ledger().differences == []


def test_promised_units_that_were_sold_break_the_youngest_promises_and_only_as_many(till, api, stranger):
    holder = api(stranger)
    for reference in ("old", "young"):
        held = holder.post("/reservations", {"reference": reference, "lines": [of("LID", 4)]})
        assert held.status_code == 201
    assert odd(report(till, 1, sale("1", of("LID", 5)))) == [("brokenPromises", "1", 3, True)]
    assert book()["-/sellable"] == (5, 5)
    told = OutboxEvent.objects.get(type="inventory.shortage")
    assert (told.payload["reference"], told.payload["quantity"]) == ("young", 3)
    assert proof.prove_ledger().differences == []


def test_a_batch_sent_again_answers_the_same_and_with_other_sales_is_refused(till):
    first = report(till, 1, sale("1", of("LID", 12)))
    before = (book(), Movement.objects.count(), OutboxEvent.objects.count())
    again = report(till, 1, sale("1", of("LID", 12)))
    assert (first.status_code, again.status_code, again.content) == (201, 200, first.content)
    other = report(till, 1, sale("2", of("LID", 1)))
    assert (other.status_code, other.json()["code"]) == (409, "sequence_reused")
    assert other.json()["batchId"] == first.json()["batchId"]
    assert (book(), Movement.objects.count(), OutboxEvent.objects.count()) == before
    assert (SalesBatch.objects.count(), Sale.objects.count()) == (1, 1)


def test_a_sale_that_came_before_is_not_booked_again_in_whichever_batch_it_comes(till):
    one, changed = sale("1", of("LID", 1)), sale("1", of("LID", 2))
    answer = report(till, 1, one, one)
    assert (answer.json()["bookedSales"], odd(answer)) == (1, [("repeatedSale", "1", None, False)])
    assert odd(report(till, 2, one)) == [("repeatedSale", "1", None, False)]
    assert odd(report(till, 3, changed)) == [("saleDiffers", "1", None, False)]
    assert book()["-/sellable"] == (9, 0)
    assert odd(report(till, 1, one, device="TILL-2")) == []
    assert book()["-/sellable"] == (8, 0)


def test_numbers_that_have_not_come_are_told_until_they_do(till):
    def missing(sequence: int):
        answer = report(till, sequence, sale(str(sequence), of("LID", 1)))
        return [(row["from"], row["to"]) for row in answer.json()["missing"]]

    assert missing(3) == [(1, 2)]
    assert missing(7) == [(1, 2), (4, 6)]
    assert missing(5) == [(1, 2), (4, 4), (6, 6)]
    assert [missing(number) for number in (1, 2, 4)][-1] == [(6, 6)]
    assert missing(6) == []
    assert book()["-/sellable"] == (3, 0)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.permutations(range(1, 9)), st.integers(0, 8))
def test_gaps_are_what_has_not_come_in_whichever_order(numbers, count):
    came, missing, highest = set(), [], 0
    for number in numbers[:count]:
        missing = tills.gaps(missing, highest=highest, number=number)
        highest = max(highest, number)
        came.add(number)
        assert [n for first, last in missing for n in range(first, last + 1)] == [
            n for n in range(1, highest) if n not in came
        ]


@pytest.mark.parametrize(
    ("line", "more", "kind"),
    [
        (of("NOPE", 1), {}, "unknownProduct"),
        (of("LID", 1), {"shop": "NOWHERE"}, "unknownWarehouse"),
        (of("CAMERA", 2, serialNumbers=["A"]), {}, "serialsNeeded"),
    ],
)
def test_what_we_cannot_book_harms_nothing_else_and_is_told(till, shop, line, more, kind):
    make.make_variant(sku="CAMERA", tracking="serial")
    answer = report(till, 1, sale("bad", line, **more), sale("good", of("LID", 1)))
    assert (answer.status_code, [(row[0], row[1], row[3]) for row in odd(answer)]) == (201, [(kind, "bad", False)])
    assert Level.objects.get(variant__sku="LID").on_hand == 9
    assert Movement.objects.filter(kind="shipment").count() == 1


def test_a_sale_of_a_shop_we_did_not_know_is_booked_when_it_comes_again(till):
    assert report(till, 1, sale("1", of("LID", 1), shop="NEW")).json()["bookedSales"] == 0
    make.make_warehouse(code="NEW")
    again = report(till, 2, sale("1", of("LID", 1), shop="NEW"))
    assert (again.json()["bookedSales"], odd(again)) == (1, [("foundStock", "1", 1, True)])


def test_what_was_held_back_or_expired_and_sold_all_the_same_is_told(till, shop):
    late = Level.objects.get(batch__number="LATE").batch
    holds.recall_batch(batch=late, reason="glass", actor=make.TESTER, at=timezone.now())
    answer = report(till, 1, sale("1", of("SAUCE", 1, batchNumber="LATE")), sale("2", of("SAUCE", 4)))
    assert odd(answer) == [("heldBatch", "1", 1, True), ("foundStock", "2", 1, True)]
    assert (book()["LATE/sellable"], book()["EARLY/sellable"]) == ((3, 0), (0, 0))
    make.make_level(
        variant=late.variant, warehouse=shop, batch_number="OLD", expires_on=date(2026, 1, 4), on_hand=1
    )  # fmt: skip
    assert odd(report(till, 2, sale("3", of("SAUCE", 1, batchNumber="OLD")))) == [("expiredBatch", "3", 1, True)]
    assert proof.prove_ledger().differences == []


def test_what_was_counted_after_the_sale_was_counted_without_it(till, shop):
    """Ten lay there on Monday and two were sold; who counted since found eight, and was right."""
    now = {"actor": make.TESTER, "at": timezone.now()}
    lid = Level.objects.get(variant__sku="LID").variant
    count = counting.open(warehouse=shop, scope=counting.Scope(skus=("LID",)), rules=counting.Rules(), **now)
    for _ in range(2):  # the second number is the recount
        counting.record(count=count, found=[counting.Found(variant=lid, counted=8)], **now)
    counting.post(count=count, **now)
    late = report(till, 1, sale("1", of("LID", 2)))
    assert odd(late) == [("countedSince", "1", 2, True)]
    assert book()["-/sellable"] == (8, 0)
    assert not FoundAtSale.objects.exists()
    ahead = "9999-12-31T23:59:59Z"
    assert odd(report(till, 2, sale("2", of("LID", 1), at=ahead))) == [("clockAhead", "2", None, True)]
    assert book()["-/sellable"] == (7, 0)
    assert proof.prove_ledger().differences == []


def test_units_go_from_where_the_book_says_they_lie_and_unknown_ones_are_found(till, shop):
    camera, elsewhere = make.make_variant(sku="CAMERA", tracking="serial"), make.make_warehouse(code="W2")
    for warehouse, number in ((shop, "HERE"), (elsewhere, "THERE")):
        movements.book(
            kind="receipt", variant=camera, warehouse=warehouse, quantity=1, serials=(number,), actor=make.TESTER,
            at=timezone.now(),
        )  # fmt: skip
    names = ["HERE", "THERE", "NEW"]
    answer = report(till, 1, sale("1", of("CAMERA", 3, serialNumbers=names), of("CAMERA", 1, serialNumbers=["NEW"])))
    assert odd(answer) == [
        ("foundStock", "1", 1, True), ("soldElsewhere", "1", 1, True), ("serialsNeeded", "1", 1, False),
    ]  # fmt: skip
    assert not Level.objects.filter(variant=camera, on_hand__gt=0).exists()
    assert odd(report(till, 2, sale("2", of("CAMERA", 1, serialNumbers=["HERE"])))) == [("foundStock", "2", 1, True)]
    assert proof.prove_ledger().differences == []


def test_a_kit_is_sold_as_its_components(till, shop):
    lid, set_ = Level.objects.get(variant__sku="LID").variant, make.make_variant(sku="SET")
    kits.compose(kit=set_, parts=[kits.Part(component=lid, quantity=3)], actor=make.TESTER)
    assert odd(report(till, 1, sale("1", of("SET", 4)))) == [("foundStock", "1", 2, True)]
    assert book()["-/sellable"] == (0, 0)


def test_what_a_device_reported_is_seen_by_its_partner_alone_and_never_changed(till, api, stranger):
    made = report(till, 1, sale("1", of("LID", 1))).json()
    assert till.get(f"/pos/batches/{made['batchId']}").json() == made
    assert [row["batchId"] for row in till.get("/pos/batches?deviceId=TILL-1").json()["items"]] == [made["batchId"]]
    other = api(stranger)
    assert other.get(f"/pos/batches/{made['batchId']}").status_code == 404
    assert report(other, 1, sale("1", of("LID", 1))).status_code == 201
    with pytest.raises(DatabaseError, match="kept as it came"), transaction.atomic():
        SalesBatch.objects.update(exceptions=[])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"deviceSequence": 0}, "deviceSequence"),
        ({"deviceId": ""}, "deviceId"),
        ({"sales": []}, "sales"),
        ({"sales": [sale("1", of("LID", 0))]}, "sales[0].lines[0].quantity"),
        ({"sales": [sale("1", of("LID", 1), at="yesterday")]}, "sales[0].occurredAt"),
        ({"sales": [sale("1", of("LID", 1), at="0001-01-01T00:00:00Z")]}, "sales[0].occurredAt"),
        ({"sales": [sale(str(n), *[of("LID", 1)] * 100) for n in range(11)]}, "sales"),
    ],
)
def test_what_cannot_be_understood_is_refused_by_field(till, change, field):
    body = {"deviceId": "TILL-1", "deviceSequence": 1, "sales": [sale("1", of("LID", 1), at=MONDAY)]}
    answer = till.post("/pos/batches", body | change)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert (SalesBatch.objects.count(), book()["-/sellable"]) == (0, (10, 0))
    assert till.post("/pos/batches", body).status_code == 201
