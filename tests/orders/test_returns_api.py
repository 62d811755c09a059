"""Returns over the API: announced, received into quarantine, inspected."""

from __future__ import annotations

from datetime import date

import pytest

from catalog.models import Variant
from orders.models import OrderLine, Return
from partners.models import Partner
from stock import proof
from stock.models import Batch, Movement, Warehouse
from tests import make
from tests.orders.steps import book, come_back, confirmed, keeper, leaving, order_of, shipped


@pytest.mark.parametrize(
    ("disposition", "after"),
    [
        ("restock", {"LATE/sellable": (10, 0), "LATE/quarantine": (0, 0)}),
        ("quarantine", {"LATE/quarantine": (2, 0)}),
        ("damaged", {"LATE/damaged": (2, 0), "LATE/quarantine": (0, 0)}),
        ("scrap", {"LATE/quarantine": (0, 0)}),
        ("returnToVendor", {"LATE/quarantine": (0, 0)}),
        ("warrantyClaim", {"LATE/warranty": (2, 0), "LATE/quarantine": (0, 0), "LATE/sellable": (8, 2)}),
    ],
)
def test_returned_goods_go_where_inspection_says(api, retailer, shop, disposition, after):
    Variant.objects.update(warranty_months=12)
    client = api(retailer)
    order = shipped(client)
    returned = come_back(client, order, batchNumber="LATE").json()
    path = f"/returns/{returned['returnId']}"
    before = book()
    assert before["LATE/sellable"] == (8, 0)
    received = keeper().post(f"{path}/receive").json()
    assert (received["status"], received["warehouseLocation"]) == ("received", "W1")
    assert book() == before | {"LATE/quarantine": (2, 0)}
    verdict = {"lines": [{"productId": "SAUCE", "disposition": disposition}]}
    inspected = keeper().post(f"{path}/inspect", verdict).json()
    assert (inspected["status"], inspected["lines"][0]["disposition"]) == ("inspected", disposition)
    assert book() == before | after
    again = keeper().post(f"{path}/inspect", verdict)
    assert (again.status_code, again.json()["code"]) == (409, "illegal_step")
    assert proof.prove_ledger().differences == []


def test_more_than_was_shipped_never_comes_back(api, retailer, shop):
    client = api(retailer)
    order = shipped(client)
    assert come_back(client, order, 5).status_code == 201
    answer = come_back(client, order, 3)
    assert (answer.status_code, answer.json()["code"], answer.json()["returnable"]) == (409, "over_return", 2)
    assert (Return.objects.count(), OrderLine.objects.get().returned) == (1, 5)


@pytest.mark.parametrize("trouble", ["expired", "recalled", "unknown"])
def test_what_cannot_be_sold_again_is_not_restocked(api, retailer, shop, trouble):
    client = api(retailer)
    order = shipped(client)
    named = {} if trouble == "unknown" else {"batchNumber": "LATE"}
    returned = come_back(client, order, **named).json()
    path = f"/returns/{returned['returnId']}"
    keeper().post(f"{path}/receive")
    if trouble == "expired":
        Batch.objects.update(expires_on=date(2020, 1, 1))
    if trouble == "recalled":
        Batch.objects.update(hold_state="recalled")
    before = (book(), Movement.objects.count())
    answer = keeper().post(f"{path}/inspect", {"lines": [{"productId": "SAUCE", "disposition": "restock"}]})
    assert (answer.status_code, answer.json()["code"]) == (409, "cannot_restock")
    assert "quarantine" in answer.json()["allowedDispositions"]
    assert (book(), Movement.objects.count()) == before


@pytest.mark.parametrize(
    "lines",
    [
        [{"productId": "SAUCE", "quantity": 1, "disposition": "scrap"}],
        [{"productId": "SAUCE", "quantity": 3, "disposition": "scrap"}],
        [{"productId": "ROTOR", "disposition": "scrap"}],
    ],
)
def test_inspection_covers_every_unit_that_came_back_and_no_other(api, retailer, shop, lines):
    client = api(retailer)
    returned = come_back(client, shipped(client)).json()
    keeper().post(f"/returns/{returned['returnId']}/receive")
    before = book()
    answer = keeper().post(f"/returns/{returned['returnId']}/inspect", {"lines": lines})
    assert answer.status_code == 422
    assert book() == before


def received(client, order: dict, quantity: int = 2, **more) -> str:
    path = f"/returns/{come_back(client, order, quantity, **more).json()['returnId']}"
    assert keeper().post(f"{path}/receive").status_code == 200
    return path


def test_units_judged_differently_keep_each_its_own_verdict(api, retailer, shop):
    Variant.objects.update(warranty_months=12)
    client = api(retailer)
    path = received(client, shipped(client), 5, batchNumber="EARLY")
    before = book()
    verdicts = [
        {"productId": "SAUCE", "quantity": 2, "disposition": "restock"},
        {"productId": "SAUCE", "quantity": 1, "disposition": "warrantyClaim"},
        {"productId": "SAUCE", "disposition": "damaged"},
    ]
    lines = keeper().post(f"{path}/inspect", {"lines": verdicts}).json()["lines"]
    assert [(line["quantity"], line["disposition"]) for line in lines] == [
        (2, "restock"), (1, "warrantyClaim"), (2, "damaged"),
    ]  # fmt: skip
    assert {line["batchNumber"] for line in lines} == {"EARLY"}
    assert book() == before | {
        "EARLY/sellable": (2, 1), "EARLY/quarantine": (0, 0), "EARLY/damaged": (2, 0), "EARLY/warranty": (1, 0),
    }  # fmt: skip
    assert proof.prove_ledger().differences == []


def test_of_a_batch_no_more_comes_back_than_left(api, retailer, shop):
    client = api(retailer)
    order = shipped(client)
    assert come_back(client, order, 1, batchNumber="LATE").status_code == 201
    answer = come_back(client, order, 2, batchNumber="LATE")
    assert (answer.status_code, answer.json()["code"]) == (409, "over_return")
    assert (answer.json()["batchNumber"], answer.json()["returnable"]) == ("LATE", 1)
    assert (Return.objects.count(), OrderLine.objects.get().returned) == (1, 1)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"batchNumber": "EAST"}, "lines[0].batchNumber"),
        ({"serialNumber": "a"}, "lines[0].serialNumber"),
        ({"productId": "ROTOR"}, "lines[0].productId"),
        ({"lineId": "9"}, "lines[0].lineId"),
        ({"reason": ""}, "lines[0].reason"),
        ({"quantity": 0}, "lines[0].quantity"),
        ({"quantity": "2"}, "lines[0].quantity"),
    ],
)
def test_a_return_that_cannot_be_understood_is_refused_by_field(api, retailer, shop, more, field):
    client = api(retailer)
    answer = come_back(client, shipped(client), **more)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert (Return.objects.count(), OrderLine.objects.get().returned) == (0, 0)


def test_a_verdict_on_nothing_is_refused_with_the_others(api, retailer, shop):
    client = api(retailer)
    path = received(client, shipped(client), batchNumber="LATE")
    before = book()
    verdicts = [
        {"productId": "SAUCE", "batchNumber": "NOPE", "disposition": "scrap"},
        {"productId": "SAUCE", "disposition": "restock"},
    ]
    answer = keeper().post(f"{path}/inspect", {"lines": verdicts})
    assert (answer.status_code, answer.json()["errors"][0]["field"], book()) == (422, "lines[0]", before)


def test_received_twice_answers_the_same_and_elsewhere_is_refused(api, retailer, shop):
    client = api(retailer)
    path = received(client, shipped(client))
    before = (book(), Movement.objects.count())
    assert keeper().post(f"{path}/receive").json()["status"] == "received"
    elsewhere = keeper().post(f"{path}/receive", {"warehouseLocation": "W2"})
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (409, "illegal_step")
    assert (book(), Movement.objects.count()) == before


def test_what_is_not_received_is_not_inspected(api, retailer, shop):
    client = api(retailer)
    path = f"/returns/{come_back(client, shipped(client)).json()['returnId']}"
    before = book()
    answer = keeper().post(f"{path}/inspect", {"lines": [{"productId": "SAUCE", "disposition": "scrap"}]})
    assert (answer.status_code, answer.json()["currentStatus"], book()) == (409, "announced", before)


@pytest.mark.parametrize("kind", ["retailer", "marketplace", "supplier", "another 3PL", "3PL without the warehouse"])
def test_only_who_keeps_the_goods_says_what_came_back(api, retailer, supplier, shop, kind):
    runs = make.make_partner(code="RUNS", kind="logistics", granted_warehouses=["W1"])
    Warehouse.objects.filter(code="W1").update(operator=runs)
    Variant.objects.update(warranty_months=12)
    if kind == "marketplace":
        Partner.objects.filter(pk=retailer.pk).update(kind="marketplace")
    order = confirmed(api(retailer))
    assert api(runs).post("/shipments", leaving(order, 7)).status_code == 201
    returned = come_back(api(retailer), order, batchNumber="LATE")
    assert returned.status_code == 201
    path = f"/returns/{returned.json()['returnId']}"
    intruder = api(
        {
            "supplier": supplier,
            "another 3PL": make.make_partner(kind="logistics"),
            "3PL without the warehouse": make.make_partner(kind="logistics", granted_warehouses=["W2"]),
        }.get(kind, retailer)
    )
    verdict = {"lines": [{"productId": "SAUCE", "disposition": "warrantyClaim"}]}
    before = (book(), Return.objects.get().status)
    # Who was never granted the warehouse does not see the order.
    expected = (404, "not_found") if "without" in kind else (403, "left_to_the_house")
    for step, body in (("receive", {"warehouseLocation": "W1"}), ("receive", {})):
        answer = intruder.post(f"{path}/{step}", body)
        assert (answer.status_code, answer.json()["code"]) == expected, step
    assert (book(), Return.objects.get().status) == before

    assert api(runs).post(f"{path}/receive").json()["warehouseLocation"] == "W1"
    before = book()
    refused = intruder.post(f"{path}/inspect", verdict)
    assert (refused.status_code, refused.json()["code"], book()) == (*expected, before)
    [line] = api(runs).post(f"{path}/inspect", verdict).json()["lines"]
    claim = f"/warrantyClaims/{line['warrantyClaimId']}/settle"
    before = book()
    assert (intruder.post(claim, {"outcome": "scrap"}).status_code, book()) == (expected[0], before)
    assert api(runs).post(claim, {"outcome": "scrap"}).json()["status"] == "settled"


def test_our_own_channel_receives_what_it_ordered_in_whoever_runs_the_warehouse(api, retailer, shop):
    channel = api(make.make_partner(kind="channel"))
    Warehouse.objects.update(operator=make.make_partner(kind="logistics"))
    order = channel.post("/orders", order_of(retailPartnerId="RET-1")).json()
    channel.post(f"/orders/{order['orderId']}/confirm")
    assert channel.post("/shipments", leaving(order, 7)).status_code == 201
    path = f"/returns/{come_back(channel, order, batchNumber='LATE').json()['returnId']}"
    assert channel.post(f"{path}/receive").json()["status"] == "received"
    verdict = {"lines": [{"productId": "SAUCE", "disposition": "restock"}]}
    assert channel.post(f"{path}/inspect", verdict).json()["status"] == "inspected"
