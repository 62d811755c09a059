"""One order leaves three warehouses: routed in one transaction, each asked for its part, shipped one by one, in any order."""

from __future__ import annotations

import pytest

from orders.models import RoutingDecision, RoutingPolicy
from partners.models import Partner
from stock import proof
from stock.models import Level
from tests import make
from tests.orders.steps import order_of


@pytest.fixture
def sauce(supplier):
    """Ten in each of four warehouses, each run by a 3PL of its own."""
    variant = make.make_variant(sku="SAUCE", suppliers=[supplier])
    for number in range(1, 5):
        keeper = make.make_partner(code=f"3PL-{number}", kind="logistics", granted_warehouses=[f"W{number}"])
        warehouse = make.make_warehouse(code=f"W{number}", operator=keeper)
        make.make_level(variant=variant, warehouse=warehouse, on_hand=10)
    return variant


@pytest.fixture
def buyer(api, retailer, sauce):
    return api(retailer)


def keeper(api, code: str):
    return api(Partner.objects.get(code=code.replace("W", "3PL-")))


def held() -> dict[str, tuple[int, int]]:
    rows = Level.objects.order_by("location__warehouse__code")
    return {row.location.warehouse.code: (row.on_hand, row.reserved) for row in rows}


def test_an_order_leaves_three_warehouses_part_by_part(api, buyer):
    order = buyer.post("/orders", order_of(26)).json()
    buyer.post(f"/orders/{order['orderId']}/confirm")
    asked = {row["warehouseLocation"]: row for row in buyer.get("/fulfillmentRequests").json()["items"]}
    parts = {code: row["items"][0]["quantity"] for code, row in asked.items()}
    assert (len(parts), sum(parts.values())) == (3, 26)
    assert RoutingDecision.objects.count() == 1
    assert sum(reserved for _, reserved in held().values()) == 26
    for turn, code in enumerate(sorted(parts, reverse=True), start=1):
        operator = keeper(api, code)
        [request] = operator.get("/fulfillmentRequests").json()["items"]
        assert request["fulfillmentRequestId"] == asked[code]["fulfillmentRequestId"], "each sees its own alone"
        done = operator.post(f"/fulfillmentRequests/{request['fulfillmentRequestId']}/complete", {"carrier": "UPS"})
        assert (done.status_code, done.json()["status"]) == (200, "completed")
        status = buyer.get(f"/orders/{order['orderId']}").json()["status"]
        assert status == ("shipped" if turn == 3 else "partiallyShipped")
    assert sorted(on_hand for on_hand, _ in held().values()) == sorted([10, *(10 - part for part in parts.values())])
    assert not any(reserved for _, reserved in held().values())
    assert len(buyer.get("/shipments").json()["items"]) == 3
    assert proof.prove_ledger().differences == []


def test_within_two_warehouses_it_is_refused_whole_and_nothing_is_kept(buyer):
    RoutingPolicy.objects.create(name="Two at most", warehouses_max=2)
    before = held()
    refused = buyer.post("/orders", order_of(26))
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_shipments")
    assert refused.json()["warehousesMax"] == 2
    assert held() == before
    assert buyer.post("/orders", order_of(20)).status_code == 201


def test_one_of_three_refuses_and_the_fourth_is_asked(api, buyer):
    order = buyer.post("/orders", order_of(26)).json()
    buyer.post(f"/orders/{order['orderId']}/confirm")
    first = buyer.get("/fulfillmentRequests").json()["items"][0]
    operator = keeper(api, first["warehouseLocation"])
    refused = operator.post(f"/fulfillmentRequests/{first['fulfillmentRequestId']}/reject", {"reason": "capacity"})
    assert refused.json()["status"] == "failed"
    live = {row["warehouseLocation"] for row in buyer.get("/fulfillmentRequests?status=assigned").json()["items"]}
    assert len(live) == 3
    assert first["warehouseLocation"] not in live
    assert sum(reserved for _, reserved in held().values()) == 26
