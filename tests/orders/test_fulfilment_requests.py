"""Warehouses are asked to fulfil: requests follow promises, and each has its warehouse's own clock."""

from __future__ import annotations

import pytest
from django.utils import timezone

from orders.models import FulfilmentItem, FulfilmentRequest, Order, Stamp, WarehouseClock
from orders.operations import backorders
from orders.tasks import fill_backorders
from partners import tasks
from partners.models import OutboxEvent
from stock.models import Count, Warehouse
from tests import make
from tests.orders.steps import book, confirmed, leaving, order_of


@pytest.fixture
def keeper(api, shop):
    """The 3PL that runs W1."""
    return api(make.make_partner(code="3PL-1", kind="logistics", granted_warehouses=["W1"]))


@pytest.fixture
def buyer(api, retailer, shop):
    return api(retailer)


def requests(client, **query) -> list[dict]:
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    return client.get(f"/fulfillmentRequests?{asked}").json()["items"]


def facts(kind: str) -> list[dict]:
    return [event.payload for event in OutboxEvent.objects.filter(type=f"fulfillment_request.{kind}").order_by("id")]


def is_gapless() -> bool:
    """Every clock's stamps are 1, 2, 3 … up to where it stands."""
    return all(
        list(Stamp.objects.filter(warehouse=clock.warehouse).values_list("logical_timestamp", flat=True))
        == list(range(1, clock.last + 1))
        for clock in WarehouseClock.objects.all()
    )


def test_a_confirmed_order_asks_the_warehouses_that_hold_its_goods(buyer, keeper):
    order = buyer.post("/orders", order_of(7)).json()
    assert requests(buyer) == []
    buyer.post(f"/orders/{order['orderId']}/confirm")
    [request] = requests(keeper, orderId=order["orderId"])
    assert (request["warehouseLocation"], request["status"], request["logicalTimestamp"]) == ("W1", "assigned", 1)
    [item] = request["items"]
    assert (item["lineId"], item["productId"], item["quantity"], item["openQuantity"]) == ("1", "SAUCE", 7, 7)
    [fact] = facts("assigned")
    assert (fact["fulfillmentRequestId"], fact["logicalTimestamp"]) == (request["fulfillmentRequestId"], 1)


def test_an_order_over_two_warehouses_asks_both_each_by_its_own_clock(buyer):
    confirmed(buyer, 30)
    found = {row["warehouseLocation"]: row for row in requests(buyer)}
    assert {code: row["items"][0]["quantity"] for code, row in found.items()} == {"W1": 15, "W2": 15} or sum(
        row["items"][0]["quantity"] for row in found.values()
    ) == 30
    assert {row["logicalTimestamp"] for row in found.values()} == {1}


def test_confirmed_again_nobody_is_asked_again(buyer):
    order = confirmed(buyer)
    buyer.post(f"/orders/{order['orderId']}/confirm")
    assert FulfilmentRequest.objects.count() == Stamp.objects.count() == 1


def test_completed_the_goods_have_left_and_the_order_is_shipped(buyer, keeper):
    order = confirmed(buyer)
    [request] = requests(keeper)
    answer = keeper.post(f"/fulfillmentRequests/{request['fulfillmentRequestId']}/accept")
    assert answer.json()["status"] == "accepted"
    answer = keeper.post(f"/fulfillmentRequests/{request['fulfillmentRequestId']}/complete", {"carrier": "UPS"})
    assert (answer.status_code, answer.json()["status"], answer.json()["logicalTimestamp"]) == (200, "completed", 2)
    assert buyer.get(f"/orders/{order['orderId']}").json()["status"] == "shipped"
    assert book()["EARLY/sellable"] == (0, 0)
    [fact] = facts("completed")
    assert [(row["productId"], row["quantity"], row["logicalTimestamp"]) for row in fact["items"]] == [("SAUCE", 7, 2)]


def test_completed_twice_is_refused_and_nothing_leaves_again(buyer, keeper):
    confirmed(buyer)
    [request] = requests(keeper)
    path = f"/fulfillmentRequests/{request['fulfillmentRequestId']}/complete"
    keeper.post(path, {})
    before = book()
    answer = keeper.post(path, {})
    assert (answer.status_code, answer.json()["code"]) == (409, "illegal_step")
    assert (book(), Stamp.objects.count()) == (before, 2)


def test_more_than_a_request_has_open_does_not_leave_by_it(buyer, keeper):
    confirmed(buyer)
    [request] = requests(keeper)
    before = book()
    items = [{"lineId": "1", "quantity": 8}]
    answer = keeper.post(f"/fulfillmentRequests/{request['fulfillmentRequestId']}/complete", {"items": items})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "items")
    assert (book(), Stamp.objects.count()) == (before, 1)


def test_part_of_it_leaves_and_the_rest_stays_open(buyer, keeper):
    order = confirmed(buyer)
    [request] = requests(keeper)
    items = [{"lineId": "1", "quantity": 3}]
    body = keeper.post(f"/fulfillmentRequests/{request['fulfillmentRequestId']}/complete", {"items": items}).json()
    assert (body["status"], body["items"][0]["completedQuantity"], body["items"][0]["openQuantity"]) == (
        "assigned",
        3,
        4,
    )
    assert buyer.get(f"/orders/{order['orderId']}").json()["status"] == "partiallyShipped"


def test_a_shipment_completes_the_request_too(buyer, keeper):
    order = confirmed(buyer)
    assert buyer.post("/shipments", leaving(order, 7)).status_code == 201
    [request] = requests(keeper)
    assert (request["status"], Stamp.objects.filter(kind="completed").count()) == ("completed", 1)


def test_what_leaves_from_elsewhere_withdraws_the_request_and_has_its_own_stamp(buyer):
    order = confirmed(buyer)
    assert buyer.post("/shipments", leaving(order, 7) | {"warehouseLocation": "W2"}).status_code == 201
    found = {row["warehouseLocation"]: (row["status"], row["reason"]) for row in requests(buyer)}
    assert found == {"W1": ("failed", "withdrawn"), "W2": ("completed", "")}
    assert is_gapless()


def test_rejected_it_is_asked_of_another_warehouse_and_never_again_of_the_first(buyer, keeper):
    confirmed(buyer)
    [request] = requests(keeper)
    answer = keeper.post(f"/fulfillmentRequests/{request['fulfillmentRequestId']}/reject", {"reason": "capacity"})
    assert (answer.status_code, answer.json()["status"], answer.json()["reason"]) == (200, "failed", "capacity")
    assert [(row["warehouseLocation"], row["status"]) for row in requests(buyer, status="assigned")] == [
        ("W2", "assigned")
    ]
    assert {key: reserved for key, (_, reserved) in book().items() if reserved} == {"EAST/sellable": 7}
    [fact] = facts("failed")
    assert fact["reason"] == "capacity"
    assert is_gapless()


def test_rejected_in_part_only_that_part_goes_elsewhere(buyer, keeper):
    confirmed(buyer)
    [request] = requests(keeper)
    rejected = {"reason": "damaged", "items": [{"lineId": "1", "quantity": 2}]}
    body = keeper.post(f"/fulfillmentRequests/{request['fulfillmentRequestId']}/reject", rejected).json()
    assert (body["items"][0]["failedQuantity"], body["items"][0]["openQuantity"]) == (2, 5)
    assert sum(reserved for _, reserved in book().values()) == 7
    assert book()["EAST/sellable"] == (20, 2)


def test_what_no_other_warehouse_has_waits(buyer, keeper):
    order = confirmed(buyer, 35)
    [request] = requests(keeper)
    keeper.post(f"/fulfillmentRequests/{request['fulfillmentRequestId']}/reject", {"reason": "capacity"})
    [line] = buyer.get(f"/orders/{order['orderId']}").json()["lines"]
    assert (line["reservedQuantity"], line["backorderedQuantity"]) == (20, 15)


def test_a_short_pick_opens_a_count_of_the_product_there(buyer, keeper):
    confirmed(buyer)
    [request] = requests(keeper)
    keeper.post(f"/fulfillmentRequests/{request['fulfillmentRequestId']}/reject", {"reason": "notFound"})
    count = Count.objects.get()
    assert (count.warehouse.code, count.is_blind) == ("W1", True)
    assert set(count.lines.values_list("variant__sku", flat=True)) == {"SAUCE"}


def test_more_than_is_open_is_not_rejected_and_nothing_changes(buyer, keeper):
    confirmed(buyer)
    [request] = requests(keeper)
    before = book()
    rejected = {"reason": "damaged", "items": [{"lineId": "1", "quantity": 8}]}
    answer = keeper.post(f"/fulfillmentRequests/{request['fulfillmentRequestId']}/reject", rejected)
    assert answer.status_code == 422
    assert (book(), Stamp.objects.count()) == (before, 1)


def test_cancelled_the_warehouses_are_no_longer_asked(buyer):
    order = confirmed(buyer)
    buyer.post(f"/orders/{order['orderId']}/cancel")
    [request] = requests(buyer)
    assert (request["status"], request["reason"]) == ("failed", "withdrawn")
    assert sum(reserved for _, reserved in book().values()) == 0


def test_a_3pl_sees_and_answers_only_what_its_warehouses_are_asked(api, buyer, keeper):
    confirmed(buyer)
    [request] = requests(keeper)
    other = api(make.make_partner(code="3PL-2", kind="logistics", granted_warehouses=["W2"]))
    assert requests(other) == []
    path = f"/fulfillmentRequests/{request['fulfillmentRequestId']}"
    assert other.get(path).status_code == 404
    assert other.post(f"{path}/reject", {"reason": "other"}).status_code == 404
    assert FulfilmentItem.objects.get().failed == 0


class TestWaiting:
    """An order for 40 where 35 are there."""

    @pytest.fixture
    def order(self, buyer):
        order = buyer.post("/orders", order_of(40, allowBackorder=True)).json()
        buyer.post(f"/orders/{order['orderId']}/confirm")
        return order

    def fill(self) -> int:
        return backorders.fill_waiting(actor=make.TESTER, at=timezone.now())

    def test_what_comes_in_is_promised_to_it_and_asked_for(self, order, buyer, shop):
        make.make_level(variant=shop, warehouse=make.make_warehouse(code="W3"), on_hand=9, batch_number="NEW")
        assert (self.fill(), self.fill()) == (5, 0)
        [line] = buyer.get(f"/orders/{order['orderId']}").json()["lines"]
        assert (line["reservedQuantity"], line["backorderedQuantity"]) == (40, 0)
        assert [row["items"][0]["quantity"] for row in requests(buyer, warehouse="W3")] == [5]

    def test_while_nothing_came_it_waits(self, order, buyer):
        before = book()
        assert self.fill() == 0
        assert book() == before

    def test_after_all_that_was_there_has_left_it_still_waits_and_is_filled(self, order, buyer, shop):
        buyer.post("/shipments", leaving(order, 15))
        buyer.post("/shipments", leaving(order, 20, tracking="1Z2") | {"warehouseLocation": "W2"})
        assert buyer.get(f"/orders/{order['orderId']}").json()["status"] == "partiallyShipped"
        make.make_level(variant=shop, warehouse=make.make_warehouse(code="W3"), on_hand=9, batch_number="NEW")
        assert self.fill() == 5
        assert (
            buyer.post("/shipments", leaving(order, 5, tracking="1Z3") | {"warehouseLocation": "W3"}).status_code == 201
        )
        assert buyer.get(f"/orders/{order['orderId']}").json()["status"] == "shipped"

    def test_the_more_urgent_gets_it_first(self, order, buyer, shop):
        later = buyer.post("/orders", order_of(5, "PO-2", allowBackorder=True)).json()
        Order.objects.filter(number=later["orderId"]).update(priority=9)
        make.make_level(variant=shop, warehouse=make.make_warehouse(code="W3"), on_hand=6, batch_number="NEW")
        assert self.fill() == 6
        waits = {
            number: buyer.get(f"/orders/{number}").json()["lines"][0]["backorderedQuantity"]
            for number in (order["orderId"], later["orderId"])
        }
        assert waits == {order["orderId"]: 4, later["orderId"]: 0}

    def test_a_warehouse_that_refused_it_is_not_tried_again(self, order, buyer, keeper):
        [request] = requests(keeper)
        keeper.post(f"/fulfillmentRequests/{request['fulfillmentRequestId']}/reject", {"reason": "other"})
        assert self.fill() == 0


def test_a_supplier_decides_only_about_its_own_items_and_nobody_in_anothers_warehouse(api, retailer, supplier, shop):
    lines = [{"productId": "SAUCE", "quantity": 2}, {"productId": "ROTOR", "quantity": 2}]
    order = confirmed(api(retailer), lines=lines)
    asked = FulfilmentRequest.objects.get(order__number=order["orderId"])
    path, client = f"/fulfillmentRequests/{asked.number}", api(supplier)
    before = book()
    whole = [("accept", None), ("reject", {"reason": "damaged"}), ("complete", {})]
    for step, body in whole:
        answer = client.post(f"{path}/{step}", body)
        assert (answer.status_code, answer.json()["code"]) == (403, "left_to_the_house"), step
    mine = [{"lineId": "1", "quantity": 2}]
    Warehouse.objects.filter(code="W1").update(operator=make.make_partner(kind="logistics"))
    for step, body in (("complete", {"items": mine}), ("packages", {"lines": mine})):
        answer = client.post(f"{path}/{step}", body)
        assert (answer.status_code, answer.json()["code"]) == (403, "left_to_the_house"), step
    assert client.post("/shipments", leaving(order, 2)).json()["code"] == "left_to_the_house"
    assert (book(), FulfilmentRequest.objects.get().status) == (before, "assigned")
    Warehouse.objects.update(operator=None)
    assert client.post(f"{path}/complete", {"items": mine}).status_code == 200
    assert [item.open_quantity for item in asked.items.order_by("order_line")] == [0, 2]


def test_a_broker_that_is_away_neither_fails_nor_holds_up_what_is_filled(
    buyer, shop, monkeypatch, caplog, django_capture_on_commit_callbacks
):
    order = confirmed(buyer, 40, allowBackorder=True)
    make.make_level(variant=shop, warehouse=Warehouse.objects.get(code="W1"), on_hand=9, batch_number="LATE")
    asked = []

    def away(**options):
        asked.append(options)
        raise ConnectionRefusedError

    monkeypatch.setattr(tasks.relay_events, "apply_async", away)
    monkeypatch.setattr(tasks, "_paused_until", 0.0)
    with django_capture_on_commit_callbacks(execute=True):
        assert fill_backorders() == 5
        assert fill_backorders() == 0
        tasks.wake_after_commit(tasks.relay_events)
    assert [options["retry"] for options in asked] == [False]
    assert len([row for row in caplog.records if "Could not wake" in row.getMessage()]) == 1
    assert buyer.get(f"/orders/{order['orderId']}").json()["lines"][0]["backorderedQuantity"] == 0
