"""Availability from the stock book: by date, by channel and partner, of kits and equivalents, and explained."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta

import pytest
from django.utils import timezone

from catalog.models import Equivalent, KitComponent
from stock.models import Inbound, Level, PromiseRule, Reservation
from tests import make


@pytest.fixture
def sauce(supplier):
    return make.make_variant(sku="SAUCE", tracking="batch", suppliers=[supplier])


@pytest.fixture
def shelves(sauce):
    """Thirty units in two warehouses: ten good for five days in W1, twenty good for a hundred in W2."""
    today = timezone.now().date()
    soon, late = (make.make_warehouse(code=code) for code in ("W1", "W2"))
    make.make_level(
        variant=sauce, warehouse=soon, on_hand=10, batch_number="SOON", expires_on=today + timedelta(days=5)
    )
    make.make_level(
        variant=sauce, warehouse=late, on_hand=20, batch_number="LATE", expires_on=today + timedelta(days=100)
    )
    return soon, late


def rule(kind: str, units: int | None = None, **fields) -> PromiseRule:
    return PromiseRule.objects.create(kind=kind, units=units, **fields)


def ask(client, quantity: int = 1, **body) -> dict:
    answer = client.post(
        "/availability", {"lines": [{"productId": "SAUCE", "quantity": quantity}], "explain": True} | body
    )
    assert answer.status_code == 200, answer.content
    [line] = answer.json()["lines"]
    assert (
        sum(term["quantity"] for term in line["explanation"]) == line["availableQuantity"] + line["backorderQuantity"]
    )
    return line


def hold(client, quantity: int, **body):
    return client.post("/reservations", {"reference": f"cart-{Reservation.objects.count()}"} | body | {
        "lines": [{"productId": "SAUCE", "quantity": quantity}]})  # fmt: skip


def terms(line: dict) -> Counter:
    found: Counter = Counter()
    for term in line["explanation"]:
        found[term["term"]] += term["quantity"]
    return found


def test_what_is_on_its_way_counts_from_its_day_on(api, retailer, shelves, sauce):
    today = timezone.now().date()
    arrives = today + timedelta(days=7)
    Inbound.objects.create(
        kind="purchaseOrder",
        document="PO-1",
        line=1,
        variant=sauce,
        warehouse=shelves[0],
        quantity=40,
        expected_on=arrives,
    )
    Inbound.objects.create(
        kind="purchaseOrder", document="PO-2", line=1, variant=sauce, warehouse=shelves[0], quantity=99,
        expected_on=arrives, is_confirmed=False,
    )  # fmt: skip
    line = ask(api(retailer), 50)
    assert (line["availableQuantity"], line["isAvailable"]) == (30, False)
    assert line["earliestDate"] == arrives.isoformat()
    assert [step["quantity"] for step in line["byDate"]] == [30, 20, 60]
    assert ask(api(retailer), 50, needBy=arrives.isoformat())["availableQuantity"] == 60


def test_what_should_have_come_already_is_not_here_yet(api, retailer, shelves, sauce):
    yesterday = timezone.now().date() - timedelta(days=1)
    Inbound.objects.create(
        kind="transfer", document="TR-1", line=1, variant=sauce, warehouse=shelves[0], quantity=5, expected_on=yesterday
    )
    assert ask(api(retailer))["availableQuantity"] == 30


@pytest.mark.parametrize(
    ("rules", "expected", "left"),
    [
        ([("safety", 4, {})], 26, {"poolSafety": -4}),
        ([("shelfLife", 30, {})], 20, {"shelfLife": -10}),
        ([("buffer", None, {"percent": 10})], 27, {"buffer": -3}),
        ([("guarantee", 12, {"channel": "web"})], 18, {"guarantee": -12}),
        ([("cap", 7, {"channel": "shop"})], 7, {"cap": -23}),
        ([("cap", 7, {"channel": "web"})], 30, {}),
        ([("guarantee", 12, {"channel": "shop"})], 30, {}),
        ([("safety", 4, {}), ("guarantee", 12, {"channel": "web"}), ("cap", 9, {"channel": "shop"})], 9, {
            "poolSafety": -4, "guarantee": -12, "cap": -5}),
    ],
)  # fmt: skip
def test_each_rule_takes_its_part_and_a_reservation_goes_no_further(api, retailer, shelves, rules, expected, left):
    for kind, units, fields in rules:
        rule(kind, units, **fields)
    client = api(retailer)
    line = ask(client, channel="shop")
    assert line["availableQuantity"] == expected
    assert {name: quantity for name, quantity in terms(line).items() if name in left} == left
    refused = hold(client, expected + 1, channel="shop")
    assert (refused.status_code, refused.json()["shortages"][0]["available"]) == (409, expected)
    assert not Reservation.objects.exists()
    assert hold(client, expected, channel="shop").status_code == 201
    if all(units is not None for _, units, _ in rules):  # a percentage is one of what is left
        assert ask(client, channel="shop")["availableQuantity"] == 0


def test_safety_stock_of_one_warehouse_stays_there(api, retailer, shelves):
    rule("safety", 15, warehouse=shelves[1])
    client = api(retailer)
    line = ask(client)
    assert (line["availableQuantity"], terms(line)["nodeSafety"]) == (15, -15)
    assert line["byWarehouse"] == [
        {"warehouseLocation": "W1", "availableQuantity": 10}, {"warehouseLocation": "W2", "availableQuantity": 5},
    ]  # fmt: skip
    assert hold(client, 15).status_code == 201
    assert dict(Level.objects.values_list("location__warehouse__code", "reserved")) == {"W1": 10, "W2": 5}


def test_the_rule_of_the_product_beats_the_one_for_all_and_the_partner_s_beats_the_channel_s(
    api, retailer, shelves, sauce
):
    rule("buffer", 1)
    rule("buffer", 2, variant=sauce)
    rule("buffer", 3, variant=sauce, channel="shop")
    assert ask(api(retailer))["availableQuantity"] == 28
    assert ask(api(retailer), channel="shop")["availableQuantity"] == 27
    rule("buffer", 4, variant=sauce, partner=retailer)
    assert ask(api(retailer), channel="shop")["availableQuantity"] == 26


def test_what_a_channel_holds_uses_up_its_guarantee(api, retailer, stranger, shelves):
    rule("guarantee", 12, channel="web")
    assert hold(api(stranger), 5, channel="web").status_code == 201
    line = ask(api(retailer), channel="shop")
    assert (line["availableQuantity"], terms(line)["guarantee"]) == (18, -7)


def test_oversell_depth_is_told_apart_and_never_reserved(api, retailer, shelves):
    rule("oversell", 6)
    client = api(retailer)
    line = ask(client)
    assert (line["availableQuantity"], line["backorderQuantity"], terms(line)["backorder"]) == (30, 6, 6)
    assert hold(client, 31).status_code == 409


def test_a_strict_channel_gets_the_fresh_batch_and_a_lax_one_the_old(api, retailer, shelves):
    rule("shelfLife", 30, channel="pharmacy")
    client = api(retailer)
    strict = hold(client, 3, channel="pharmacy").json()["lines"][0]["allocations"]
    lax = hold(client, 3, channel="outlet").json()["lines"][0]["allocations"]
    assert [row["batchNumber"] for row in strict + lax] == ["LATE", "SOON"]


def test_a_kit_is_as_many_as_its_scarcest_part_makes(api, retailer, shelves, sauce, supplier):
    kit = make.make_variant(sku="BOX", suppliers=[supplier])
    jar = make.make_variant(sku="JAR", suppliers=[supplier])
    KitComponent.objects.create(kit=kit, component=sauce, quantity=4)
    KitComponent.objects.create(kit=kit, component=jar, quantity=1)
    make.make_level(variant=jar, warehouse=shelves[1], on_hand=50)
    body = {"lines": [{"productId": "BOX", "quantity": 5}], "explain": True}
    [line] = api(retailer).post("/availability", body).json()["lines"]
    assert (line["availableQuantity"], line["isAvailable"]) == (7, True)
    assert line["byWarehouse"] == [{"warehouseLocation": "W2", "availableQuantity": 5}]
    assert {term["productId"] for term in line["explanation"]} == {"SAUCE", "JAR"}


def test_equivalents_answer_for_the_part_that_is_gone(api, retailer, shelves, sauce, supplier):
    old, twin, later = (make.make_variant(sku=sku, suppliers=[supplier]) for sku in ("OLD", "TWIN", "LATER"))
    Equivalent.objects.create(variant=old, other=sauce, relation="superseded")
    Equivalent.objects.create(variant=twin, other=old, relation="interchangeable")
    Equivalent.objects.create(variant=old, other=later, relation="superseded", valid_from=date(2999, 1, 1))
    body = {"lines": [{"productId": "OLD", "quantity": 5}], "includeEquivalents": True}
    [line] = api(retailer).post("/availability", body).json()["lines"]
    assert line["availableQuantity"] == 0
    found = {row["productId"]: (row["relation"], row["availableQuantity"]) for row in line["equivalents"]}
    assert found == {"SAUCE": ("superseded", 30), "TWIN": ("interchangeable", 0)}
    body["lines"][0]["productId"] = "SAUCE"
    assert api(retailer).post("/availability", body).json()["lines"][0]["equivalents"] == []


def test_who_is_not_told_exactly_learns_no_terms_and_no_days(api, shelves, sauce):
    coarse = make.make_partner(kind="marketplace", disclosure="capped", disclosure_cap=20)
    rule("oversell", 6)
    client = api(coarse)
    answer = client.post("/availability", {"lines": [{"productId": "SAUCE", "quantity": 25}], "explain": True})
    [line] = answer.json()["lines"]
    assert (line["availableQuantity"], line["availability"], line["isAvailable"]) == (20, "20+", False)
    assert (line["explanation"], line["byWarehouse"], line["earliestDate"], line["backorderQuantity"]) == (
        [],
        [],
        None,
        0,
    )


@pytest.mark.parametrize("day", ["2020-01-01", "9999-12-31", "soon"])
def test_a_day_that_cannot_be_asked_for_is_refused_by_name(api, retailer, shelves, day):
    answer = api(retailer).post("/availability", {"lines": [{"productId": "SAUCE"}], "needBy": day})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "needBy")
