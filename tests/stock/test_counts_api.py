"""The doors of counts: what a blind counter is told, who may decide, and what a refusal leaves alone."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from partners.models import Application, OutboxEvent
from stock import ledger
from stock.models import Count, CountLine, Level, Location, Movement, OwnerGrant
from stock.operations import counting, movements
from tests import make
from tests.stock.test_counts import ANNA, BERT, book, consigned, now

KEEPER = "inventory:read inventory:write"


@pytest.fixture
def shelf(db):
    """Ten of a sauce in the default bin, four of an oil in a bin of its own."""
    warehouse = make.make_warehouse(code="W1")
    bin_ = Location.objects.create(warehouse=warehouse, code="A-01")
    sauce, oil = make.make_variant(sku="SAUCE", unit_cost=Decimal(3)), make.make_variant(sku="OIL", tracking="batch")
    make.make_level(variant=sauce, warehouse=warehouse, on_hand=10)
    make.make_level(variant=oil, warehouse=warehouse, on_hand=4, batch_number="B1")
    return warehouse, sauce, bin_


@pytest.fixture
def keeper(api, shelf):
    """A 3PL that runs the warehouse."""
    return api(make.make_partner(code="3PL", kind="logistics", granted_warehouses=["W1"]), KEEPER)


def opened(client, **fields):
    answer = client.post("/counts", {"warehouseLocation": "W1"} | fields)
    assert answer.status_code == 201, answer.content
    return answer.json()["countId"]


def say(client, number, **line):
    return client.post(f"/counts/{number}/lines", {"lines": [{"productId": "SAUCE"} | line]})


def test_a_count_from_opening_to_the_ledger(keeper, shelf):
    answer = keeper.post("/counts", {"warehouseLocation": "W1", "productIds": ["SAUCE"], "tolerancePercent": "20.00"})
    body = answer.json()
    number = body.pop("countId")
    assert (answer.status_code, answer["Location"]) == (201, f"/api/v1/counts/{number}")
    body.pop("openedAt")
    assert body == {
        "warehouseLocation": "W1", "scope": "Products SAUCE", "status": "open", "isBlind": True, "toleranceUnits": 0,
        "tolerancePercent": "20.00", "approvalValue": None, "lines": 1, "linesToCount": 1, "linesToApprove": 0,
        "endedAt": None, "version": 1,
    }  # fmt: skip
    [line] = say(keeper, number, counted=8).json()["items"]
    assert (line["status"], line["expected"], line["variance"], line["countedBy"]) == (
        "counted", 10, -2, "partner:3PL",
    )  # fmt: skip
    posted = keeper.post(f"/counts/{number}/post")
    assert posted.status_code == 200
    told = posted.json()
    assert (told["status"], told["sentBack"], told["unbooked"], told["linesToCount"]) == ("posted", [], [], 0)
    [line] = keeper.get(f"/counts/{number}/lines").json()["items"]
    assert line["transactionId"] == str(Movement.objects.get(kind="count").pk)
    assert Level.objects.get(variant__sku="SAUCE").on_hand == 8
    assert keeper.get(f"/counts/{number}")["ETag"] == f'"{told["version"]}"'


def test_a_blind_counter_is_not_told_the_book_until_a_line_is_settled(api, keeper, shelf):
    number = opened(keeper)
    auditor = api(make.make_partner(kind="channel"), f"{KEEPER} audit:read")

    def told(client):
        rows = client.get(f"/counts/{number}/lines?productId=SAUCE").json()["items"]
        return [(row["status"], row["expected"], row["firstCounted"], row["counted"], row["variance"]) for row in rows]

    assert told(keeper) == [("waiting", None, None, None, None)]
    assert told(auditor) == [("waiting", 10, None, None, None)]
    [line] = say(keeper, number, counted=7).json()["items"]
    assert (line["status"], line["expected"], line["firstCounted"], line["variance"]) == ("recount", None, None, None)
    assert told(auditor) == [("recount", 10, 7, None, None)]
    say(keeper, number, counted=7)
    assert told(keeper) == told(auditor) == [("counted", 10, 7, 7, -3)]


def test_a_count_that_is_not_blind_tells_what_to_expect_and_what_moved_since(keeper, shelf):
    warehouse, sauce, _ = shelf
    number = opened(keeper, isBlind=False, toleranceUnits=5)
    waiting = keeper.get(f"/counts/{number}/lines?productId=SAUCE").json()["items"][0]
    assert (waiting["expected"], waiting["movedSince"]) == (10, None)
    say(keeper, number, counted=8)
    movements.book(kind="receipt", variant=sauce, warehouse=warehouse, quantity=6, actor=ANNA, at=now())
    counted = keeper.get(f"/counts/{number}/lines?status=counted").json()["items"][0]
    assert (counted["expected"], counted["variance"], counted["movedSince"]) == (10, -2, 6)


def test_lines_are_paged_and_recorded_in_the_order_sent(keeper, shelf):
    number = opened(keeper, toleranceUnits=100)
    lines = [
        {"productId": "SAUCE", "counted": 1, "location": "A-01"},
        {"productId": "OIL", "counted": 4, "batchNumber": "B1"},
        {"productId": "OIL", "counted": 2, "batchNumber": "B2", "expirationDate": "2095-01-01"},
    ]
    answer = keeper.post(f"/counts/{number}/lines", {"lines": lines})
    told = [(row["location"], row["productId"], row["batchNumber"], row["variance"]) for row in answer.json()["items"]]
    assert told == [("A-01", "SAUCE", None, 1), ("MAIN", "OIL", "B1", 0), ("MAIN", "OIL", "B2", 2)]
    first = keeper.get(f"/counts/{number}/lines?limit=3").json()
    rest = keeper.get(f"/counts/{number}/lines?limit=3&cursor={first['nextCursor']}").json()
    assert (len(first["items"]), len(rest["items"]), rest["nextCursor"]) == (3, 1, None)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (
            {"lines": [{"productId": "SAUCE", "counted": 8}, {"productId": "NONE", "counted": 1}]},
            ["lines[1].productId"],
        ),
        ({"lines": [{"productId": "SAUCE", "counted": -1}]}, ["lines[0].counted"]),
        ({"lines": [{"productId": "SAUCE", "counted": 1, "location": "X"}]}, ["lines[0].location"]),
        ({"lines": [{"productId": "OIL", "counted": 1}]}, ["lines[0].batchNumber"]),
        ({"lines": [{"productId": "SAUCE", "counted": 1, "ownerId": "SUP-1"}]}, ["lines[0].ownerId"]),
        ({"lines": [{"productId": "SAUCE", "counted": 1}] * 501}, ["lines"]),
        ({"lines": []}, ["lines"]),
    ],
)
def test_a_wrong_line_is_named_and_none_is_written(keeper, shelf, supplier, body, fields):
    number = opened(keeper)
    answer = keeper.post(f"/counts/{number}/lines", body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert [row["field"] for row in answer.json()["errors"]] == fields
    assert set(CountLine.objects.values_list("state", flat=True)) == {"waiting"}


def test_a_partner_that_recorded_cannot_approve(api, keeper, shelf):
    number = opened(keeper, productIds=["SAUCE"], toleranceUnits=100, approvalValue="1.00")
    [line] = say(keeper, number, counted=8).json()["items"]
    assert line["status"] == "approval"
    path = f"/counts/{number}/lines/{line['lineId']}"
    # Another application of the same partner is the same partner.
    twin = api(Application.objects.get().partner, KEEPER)
    for client in (keeper, twin):
        refusal = client.post(f"{path}/approve")
        assert (refusal.status_code, refusal.json()["code"]) == (409, "same_person")
    before = book()
    refusal = keeper.post(f"/counts/{number}/post", {"closeUncounted": True})
    assert (refusal.status_code, refusal.json()["code"], refusal.json()["waitingForApproval"]) == (409, "lines_open", 1)
    assert book() == before
    other = api(make.make_partner(kind="channel"), KEEPER)
    assert other.post(f"{path}/approve").json()["decidedBy"].startswith("partner:P-")
    assert other.post(f"{path}/reject").json()["code"] == "illegal_step"
    assert keeper.post(f"/counts/{number}/post").json()["status"] == "posted"


def test_what_somebody_else_set_right_is_sent_back(api, keeper, shelf):
    number = opened(keeper, productIds=["SAUCE"], toleranceUnits=100)
    other = opened(keeper, productIds=["SAUCE"], toleranceUnits=100)
    for count in (number, other):
        [line] = say(keeper, count, counted=8).json()["items"]
    keeper.post(f"/counts/{number}/post")
    answer = keeper.post(f"/counts/{other}/post").json()
    assert (answer["status"], answer["sentBack"], answer["linesToCount"]) == ("open", [line["lineId"]], 1)
    assert Level.objects.get(variant__sku="SAUCE").on_hand == 8


def test_posting_twice_with_one_key_books_once(keeper, shelf):
    number = opened(keeper, productIds=["SAUCE"], toleranceUnits=100)
    say(keeper, number, counted=8)
    answers = [keeper.post(f"/counts/{number}/post", headers={"Idempotency-Key": "one"}) for _ in range(2)]
    assert answers[0].content == answers[1].content
    assert Movement.objects.filter(kind="count").count() == 1


def test_a_cancelled_count_takes_no_more_lines(keeper, shelf):
    number = opened(keeper)
    assert keeper.post(f"/counts/{number}/cancel").json()["status"] == "cancelled"
    refusal = say(keeper, number, counted=8)
    assert (refusal.status_code, refusal.json()["code"]) == (409, "illegal_step")
    assert [row["countId"] for row in keeper.get("/counts?status=cancelled").json()["items"]] == [number]
    assert keeper.get("/counts?status=open").json()["items"] == []


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "supplier"},
        {"kind": "logistics", "granted_warehouses": ["W2"]},
        {"kind": "retailer", "disclosure": "banded"},
    ],
)
def test_who_may_not_see_the_warehouse_exactly_has_no_counts_there(api, keeper, shelf, fields):
    number = opened(keeper)
    make.make_warehouse(code="W2")
    stranger = api(make.make_partner(**fields))
    assert stranger.get("/counts").json()["items"] == []
    line = CountLine.objects.first().pk
    paths = ["", "/lines", "/post", "/cancel", f"/lines/{line}/approve", f"/lines/{line}/reject"]
    for path in paths:
        body = {"lines": [{"productId": "SAUCE", "counted": 1}]}
        answer = stranger.post(f"/counts/{number}{path}", body) if path else stranger.get(f"/counts/{number}")
        assert answer.status_code == 404, path
    refusal = stranger.post("/counts", {"warehouseLocation": "W1"})
    assert (refusal.status_code, refusal.json()["errors"][0]["field"]) == (422, "warehouseLocation")
    assert Count.objects.count() == 1


def test_lines_of_owners_who_do_not_show_their_stock_are_not_there(keeper, shelf):
    _, sauce, _ = shelf
    owner = make.make_partner(kind="supplier")
    ledger.post([consigned(sauce, Level.objects.get(variant=sauce), owner)], actor=ANNA, at=now())
    count = counting.open(warehouse=shelf[0], scope=counting.Scope(), rules=counting.Rules(), actor=BERT, at=now())
    hidden = count.lines.get(owner=owner)
    assert keeper.get(f"/counts/{count.number}").json()["lines"] == 2
    assert {row["ownerId"] for row in keeper.get(f"/counts/{count.number}/lines").json()["items"]} == {None}
    assert keeper.post(f"/counts/{count.number}/lines/{hidden.pk}/approve").status_code == 404
    refusal = say(keeper, count.number, counted=1, ownerId=owner.code)
    assert refusal.json()["errors"][0]["field"] == "lines[0].ownerId"
    OwnerGrant.objects.create(owner=owner)
    assert say(keeper, count.number, counted=2, ownerId=owner.code).json()["items"][0]["lineId"] == str(hidden.pk)


def test_who_posts_is_told_nothing_of_owners_who_do_not_show_their_stock(keeper, shelf):
    warehouse, sauce, _ = shelf
    owner = make.make_partner(kind="supplier")
    ours = Level.objects.get(variant=sauce)
    ledger.post([consigned(sauce, ours, owner)], actor=ANNA, at=now())
    rules = counting.Rules(tolerance_units=100)
    count = counting.open(warehouse=warehouse, scope=counting.Scope(skus=("SAUCE",)), rules=rules, actor=BERT, at=now())
    found = [
        counting.Found(variant=sauce, counted=0, owner=owner),
        counting.Found(variant=sauce, counted=0),
    ]
    counting.record(count=count, found=found, actor=BERT, at=now())
    leaving = replace(
        consigned(sauce, ours, owner),
        source=ledger.Place(location_id=ours.location_id, condition="sellable"),
        target=ledger.virtual(Location.Kind.SUPPLIER),
        kind=Movement.Kind.DISPOSITION,
    )
    ledger.post([leaving, replace(leaving, owner_id=None, quantity=1)], actor=ANNA, at=now())
    told = {"productId": "SAUCE", "location": "MAIN", "batchNumber": None, "quantity": 1}
    assert keeper.post(f"/counts/{count.number}/post").json()["unbooked"] == [told]
    assert OutboxEvent.objects.get(type="count.posted").payload["unbooked"] == [told]


@pytest.mark.parametrize("line", ["x", "0", "9" * 30, "١", "-1"])
def test_a_line_that_is_not_there_is_a_404(keeper, shelf, line):
    assert keeper.post(f"/counts/{opened(keeper)}/lines/{line}/approve").status_code == 404
