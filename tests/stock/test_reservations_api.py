"""Holding stock over the API, and what may and may not become of a hold."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta

import pytest
from django.utils import timezone

from partners import prepared
from partners.models import OutboxEvent
from stock import proof, tasks
from stock.models import Level, Reservation
from tests import make


@pytest.fixture
def shelf(supplier):
    """A sauce: 5 that expire first, 10 later, 90 expired, 90 recalled."""
    variant = make.make_variant(sku="SAUCE", suppliers=[supplier], tracking="batch")
    warehouse = make.make_warehouse(code="W1")
    for number, on_hand, expires_on, state in [
        ("LATE", 10, date(2091, 1, 1), "released"),
        ("EARLY", 5, date(2090, 1, 1), "released"),
        ("GONE", 90, date(2020, 1, 1), "released"),
        ("BAD", 90, date(2092, 1, 1), "recalled"),
    ]:
        make.make_level(
            variant=variant, warehouse=warehouse, on_hand=on_hand, batch_number=number, expires_on=expires_on,
            hold_state=state,
        )  # fmt: skip
    return variant


def wanted(quantity: int = 7, reference: str = "cart-1", **more):
    return {"reference": reference, "lines": [{"productId": "SAUCE", "quantity": quantity}]} | more


def held() -> dict[str, int]:
    return {level.batch.number: level.reserved for level in Level.objects.select_related("batch") if level.reserved}


def test_reserve_promises_the_batch_that_expires_first(api, retailer, shelf):
    answer = api(retailer).post("/reservations", wanted())
    body = answer.json()
    assert (answer.status_code, body["status"], body["version"]) == (201, "open", 1)
    assert body["lines"] == [
        {
            "productId": "SAUCE",
            "quantity": 7,
            "allocations": [
                {"warehouseLocation": "W1", "batchNumber": "EARLY", "quantity": 5},
                {"warehouseLocation": "W1", "batchNumber": "LATE", "quantity": 2},
            ],
            "components": [],
        }
    ]
    assert held() == {"EARLY": 5, "LATE": 2}
    assert answer["Location"] == f"/api/v1/reservations/{body['reservationId']}"


def test_reserve_refuses_when_short_and_reserves_nothing(api, retailer, shelf):
    answer = api(retailer).post("/reservations", wanted(16))
    assert (answer.status_code, answer.json()["code"]) == (409, "insufficient_stock")
    assert answer.json()["shortages"] == [{"productId": "SAUCE", "requested": 16, "available": 15}]
    assert (held(), Reservation.objects.count()) == ({}, 0)


def test_two_lines_of_one_product_are_summed_before_they_are_checked(api, retailer, shelf):
    lines = [{"productId": "SAUCE", "quantity": 8}, {"productId": "SAUCE", "quantity": 8}]
    answer = api(retailer).post("/reservations", {"reference": "c", "lines": lines})
    assert answer.json()["shortages"] == [{"productId": "SAUCE", "requested": 16, "available": 15}]
    assert held() == {}


def test_part_of_it_may_be_taken_when_asked_for(api, retailer, shelf):
    answer = api(retailer).post("/reservations", wanted(16, allOrNothing=False))
    assert answer.status_code == 201
    assert held() == {"EARLY": 5, "LATE": 10}


def test_the_same_reference_answers_the_same_and_with_other_lines_conflicts(api, retailer, stranger, shelf):
    first = api(retailer).post("/reservations", wanted())
    again = api(retailer).post("/reservations", wanted())
    assert (again.status_code, again.json()["reservationId"]) == (200, first.json()["reservationId"])
    other = api(retailer).post("/reservations", wanted(8))
    assert (other.status_code, other.json()["code"]) == (409, "reference_reused")
    assert held() == {"EARLY": 5, "LATE": 2}
    assert api(stranger).post("/reservations", wanted(1)).status_code == 201, "a reference is its partner's own"


def test_release_gives_it_back_and_twice_answers_the_same(api, retailer, shelf):
    client = api(retailer)
    path = f"/reservations/{client.post('/reservations', wanted()).json()['reservationId']}"
    answers = [client.post(f"{path}/release").json() for _ in range(2)]
    assert [answer["status"] for answer in answers] == ["released", "released"]
    assert held() == {}
    refused = client.post(f"{path}/commit")
    assert (refused.status_code, refused.json()["code"]) == (409, "illegal_step")
    assert client.post("/reservations", wanted()).status_code == 201, "the reference is free again"


def test_commit_lets_the_goods_leave(api, retailer, shelf):
    client = api(retailer)
    path = f"/reservations/{client.post('/reservations', wanted()).json()['reservationId']}"
    answers = [client.post(f"{path}/commit", {"orderId": "SHOP-77"}) for _ in range(2)]
    assert [answer.json()["status"] for answer in answers] == ["committed", "committed"]
    assert held() == {}
    assert {level.batch.number: level.on_hand for level in Level.objects.select_related("batch")} == {
        "EARLY": 0, "LATE": 8, "GONE": 90, "BAD": 90,
    }  # fmt: skip
    rows = client.get("/inventory/transactions?type=shipment&reference=SHOP-77").json()["items"]
    assert sorted(row["quantity"] for row in rows) == [2, 5]
    assert client.post(f"{path}/release").status_code == 409
    assert proof.prove_ledger().differences == []


def test_what_ran_out_cannot_be_committed_and_is_swept(api, retailer, shelf):
    client = api(retailer)
    reservation_id = client.post("/reservations", wanted()).json()["reservationId"]
    Reservation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    for verb, body in (("commit", {}), ("extend", {"expiresInSeconds": 60})):
        answer = client.post(f"/reservations/{reservation_id}/{verb}", body)
        assert (answer.status_code, answer.json()["code"]) == (409, "reservation_expired")
    assert held() == {"EARLY": 5, "LATE": 2}, "until swept, stock stays reserved"
    assert (tasks.expire_reservations(), tasks.expire_reservations()) == (1, 0)
    assert held() == {}
    assert client.get(f"/reservations/{reservation_id}").json()["status"] == "expired"
    assert OutboxEvent.objects.filter(type="reservation.expired").count() == 1


def test_a_reference_that_ran_out_may_be_used_anew_before_the_sweep(api, retailer, shelf):
    client = api(retailer)
    client.post("/reservations", wanted())
    Reservation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert client.post("/reservations", wanted(3)).status_code == 201
    assert held() == {"EARLY": 3}


def test_extend_counts_from_now_never_shortens_and_ends_after_two(api, retailer, shelf):
    client = api(retailer)
    first = client.post("/reservations", wanted(expiresInSeconds=60)).json()
    path = f"/reservations/{first['reservationId']}/extend"
    longer = client.post(path, {"expiresInSeconds": 1800}).json()
    shorter = client.post(path, {"expiresInSeconds": 1}).json()
    assert first["expiresAt"] < longer["expiresAt"] == shorter["expiresAt"]
    third = client.post(path, {"expiresInSeconds": 60})
    assert (third.status_code, third.json()["code"]) == (409, "extensions_used_up")


def test_a_stranger_sees_404_on_every_verb(api, retailer, stranger, shelf):
    path = f"/reservations/{api(retailer).post('/reservations', wanted()).json()['reservationId']}"
    assert api(stranger).get(path).status_code == 404
    for verb in ("extend", "commit", "release"):
        assert api(stranger).post(f"{path}/{verb}", {"expiresInSeconds": 60}).status_code == 404
    assert api(stranger).get("/reservations").json()["items"] == []
    assert held() == {"EARLY": 5, "LATE": 2}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"reference": None}, "reference"),
        ({"reference": ""}, "reference"),
        ({"reference": "x" * 121}, "reference"),
        ({"lines": None}, "lines"),
        ({"lines": []}, "lines"),
        ({"lines": "SAUCE"}, "lines"),
        ({"lines": [1]}, "lines[0]"),
        ({"lines": [{"quantity": 1}]}, "lines[0].productId"),
        ({"lines": [{"productId": "SAUCE"}]}, "lines[0].quantity"),
        ({"lines": [{"productId": "SAUCE", "quantity": 0}]}, "lines[0].quantity"),
        ({"lines": [{"productId": "SAUCE", "quantity": -1}]}, "lines[0].quantity"),
        ({"lines": [{"productId": "SAUCE", "quantity": 10**13}]}, "lines[0].quantity"),
        (
            {"lines": [{"productId": "SAUCE", "quantity": 1}, {"productId": "NONE", "quantity": 1}]},
            "lines[1].productId",
        ),
        ({"lines": [{"productId": "SAUCE", "quantity": 1, "warehouseLocation": "W9"}]}, "lines[0].warehouseLocation"),
        ({"lines": [{"productId": "SAUCE", "quantity": 1}] * 10_000}, "lines"),
        ({"expiresInSeconds": 1801}, "expiresInSeconds"),
        ({"expiresInSeconds": "60"}, "expiresInSeconds"),
        ({"allOrNothing": "perhaps"}, "allOrNothing"),
    ],
)
def test_what_cannot_be_understood_is_refused_by_field(api, retailer, shelf, change, field):
    body = {name: value for name, value in (wanted() | change).items() if value is not None}
    answer = api(retailer).post("/reservations", body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert (held(), Reservation.objects.count()) == ({}, 0)


def test_availability_explains_what_does_not_count(api, retailer, shelf):
    api(retailer).post("/reservations", wanted(4))
    body = {"lines": [{"productId": "SAUCE", "quantity": 11}], "explain": True}
    [line] = api(retailer).post("/availability", body).json()["lines"]
    assert (line["availableQuantity"], line["isAvailable"], line["earliestDate"] is not None) == (11, True, True)
    terms = Counter()
    for term in line["explanation"]:
        terms[term["term"]] += term["quantity"]
    assert terms == {"onHand": 195, "reserved": -4, "expired": -90, "recalled": -90}
    assert sum(terms.values()) == line["availableQuantity"]
    assert line["byWarehouse"] == [{"warehouseLocation": "W1", "availableQuantity": 11}]


def test_a_plain_reservation_goes_to_the_database_three_times(
    api, retailer, supplier, django_assert_num_queries, monkeypatch
):
    variant = make.make_variant(sku="PLAIN", suppliers=[supplier])
    make.make_level(variant=variant, warehouse=make.make_warehouse(), on_hand=10)
    client = api(retailer)
    trips = []
    for name in ("fetch", "fetch_together", "command"):
        sent = getattr(prepared, name)
        monkeypatch.setattr(prepared, name, lambda *args, sent=sent: trips.append(args) or sent(*args))
    with django_assert_num_queries(2):  # who is asking, and whether the view's key has its answer
        answer = client.post("/reservations", {"reference": "R", "lines": [{"productId": "PLAIN", "quantity": 4}]})
    assert (answer.status_code, Level.objects.get().reserved) == (201, 4)
    assert len(trips) == 3


def test_availability_of_a_hundred_products_costs_as_much_as_of_one(
    api, retailer, supplier, django_assert_num_queries, monkeypatch
):
    warehouse = make.make_warehouse()
    skus = [f"P{number}" for number in range(100)]
    for sku in skus:
        make.make_level(variant=make.make_variant(sku=sku, suppliers=[supplier]), warehouse=warehouse)
    client = api(retailer)
    fetched = []
    fetch = prepared.fetch
    monkeypatch.setattr(prepared, "fetch", lambda *args: fetched.append(args) or fetch(*args))
    with django_assert_num_queries(1):  # who is asking
        answer = client.post("/availability", {"lines": [{"productId": sku} for sku in skus]})
    assert [line["availableQuantity"] for line in answer.json()["lines"]] == [10] * 100
    assert len(fetched) == 1
