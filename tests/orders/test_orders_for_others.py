"""Orders that others place, take over, hear of and look at: what is whose."""

from __future__ import annotations

import pytest
from django.utils import timezone

from orders.models import Order
from partners.models import OutboxEvent
from stock.models import Level, Reservation, Warehouse
from stock.operations import shortages
from tests import make
from tests.orders.steps import book, come_back, confirmed, leaving, order_of


@pytest.fixture
def channel(db):
    return make.make_partner(code="WEB", kind="channel")


def held(client, quantity: int = 7, **more) -> str:
    body = {"reference": "cart", "lines": [{"productId": "SAUCE", "quantity": quantity}]} | more
    return client.post("/reservations", body).json()["reservationId"]


def test_a_channel_orders_for_a_retailer_and_both_see_the_order(api, channel, retailer, shop):
    answer = api(channel).post("/orders", order_of(retailPartnerId="RET-1"))
    assert (answer.status_code, answer.json()["retailPartnerId"]) == (201, "RET-1")
    path = f"/orders/{answer.json()['orderId']}"
    assert [api(partner).get(path).status_code for partner in (channel, retailer)] == [200, 200]
    assert api(make.make_partner(kind="channel")).get(path).status_code == 404
    told = OutboxEvent.objects.get(type="order.created").addressee_ids
    assert {channel.pk, retailer.pk} <= set(told)


def test_a_channel_turns_its_own_cart_into_an_order_for_a_retailer(api, channel, retailer, shop):
    client = api(channel)
    cart, before = held(client), book()
    answer = client.post("/orders", order_of(reservationId=cart, retailPartnerId="RET-1"))
    assert (answer.status_code, answer.json()["reservationId"], book()) == (201, cart, before)


def test_a_channel_does_not_get_an_order_it_did_not_place_by_its_reference(api, channel, retailer, shop):
    api(retailer).post("/orders", order_of())
    before = book()
    answer = api(channel).post("/orders", order_of(retailPartnerId="RET-1"))
    assert (answer.status_code, answer.json()["code"]) == (409, "reference_reused")
    assert (Order.objects.count(), book()) == (1, before)


def test_nobody_orders_for_the_suspended_and_none_but_retail_partners_order(api, channel, supplier, shop):
    make.make_partner(code="GONE", status="suspended")
    carrier = make.make_partner(code="3PL", kind="logistics")
    before = book()
    for partner, change in (
        (channel, {"retailPartnerId": "GONE"}), (channel, {"retailPartnerId": "SUP-1"}),
        (channel, {"retailPartnerId": "NOBODY"}), (supplier, {}), (carrier, {}),
    ):  # fmt: skip
        answer = api(partner).post("/orders", order_of(1, **change))
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "retailPartnerId"), change
    assert (Order.objects.count(), book()) == (0, before)


def test_a_channel_orders_only_what_the_retailer_may_see(api, channel, shop):
    make.make_partner(code="SMALL", assortment="own")
    answer = api(channel).post("/orders", order_of(1, retailPartnerId="SMALL"))
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "lines[0].productId")


def test_one_reservation_stands_behind_one_order_only(api, retailer, shop):
    client = api(retailer)
    cart = held(client)
    first = client.post("/orders", order_of(reservationId=cart)).json()
    before = book()
    second = client.post("/orders", order_of(reference="PO-2", reservationId=cart))
    assert (second.status_code, second.json()["errors"][0]["field"]) == (422, "reservationId")
    assert (Order.objects.count(), book()) == (1, before)
    assert client.get(f"/orders/{first['orderId']}").json()["lines"][0]["reservedQuantity"] == 7


def test_the_promise_an_order_made_for_itself_is_not_taken_over_by_another(api, retailer, shop):
    client = api(retailer)
    first = client.post("/orders", order_of()).json()
    before = book()
    second = client.post("/orders", order_of(reference="PO-2", reservationId=first["reservationId"]))
    assert (second.status_code, second.json()["errors"][0]["field"]) == (422, "reservationId")
    assert (Order.objects.count(), book()) == (1, before)


def test_the_lines_of_a_reservation_are_found_in_any_order_and_each_keeps_its_own(api, retailer, shop):
    client = api(retailer)
    lines = [{"productId": "SAUCE", "quantity": 2}, {"productId": "ROTOR", "quantity": 3}]
    cart = held(client, lines=lines)
    order = client.post("/orders", order_of(reservationId=cart, lines=lines[::-1])).json()
    assert [(line["productId"], line["reservedQuantity"], line["allocations"][0]["quantity"]) for line in order["lines"]] == [
        ("ROTOR", 3, 3), ("SAUCE", 2, 2),
    ]  # fmt: skip


@pytest.mark.parametrize(("allow", "status"), [(False, 422), (True, 201)])
def test_a_reservation_of_less_than_its_lines_say_needs_backorder(api, retailer, shop, allow, status):
    client = api(retailer)
    cart = held(client, 40, allOrNothing=False)
    answer = client.post("/orders", order_of(40, reservationId=cart, allowBackorder=allow))
    assert (answer.status_code, Order.objects.count()) == (status, int(allow))
    assert (Reservation.objects.get().expires_at is None) is allow


@pytest.mark.parametrize(
    "change",
    [
        {"requestedDeliveryDate": "2090-01-01"},
        {"allowSplit": False},
        {"allowBackorder": True},
        {"type": "replenishment"},
        {"lines": [{"productId": "SAUCE", "quantity": 7, "unitPrice": "1"}]},
        {"lines": [{"lineId": "a", "productId": "SAUCE", "quantity": 7}]},
    ],
)
def test_any_other_content_under_the_same_reference_conflicts(api, retailer, shop, change):
    client = api(retailer)
    first = client.post("/orders", order_of()).json()
    before = book()
    answer = client.post("/orders", order_of(**change))
    assert (answer.status_code, answer.json()["code"]) == (409, "reference_reused")
    assert (answer.json()["orderId"], Order.objects.count(), book()) == (first["orderId"], 1, before)


def test_the_same_key_answers_again_and_with_another_body_is_refused(api, retailer, shop):
    client, key = api(retailer), {"Idempotency-Key": "k-1"}
    first, again = (client.post("/orders", order_of(), headers=key) for _ in range(2))
    assert (again.status_code, again.content, again["Idempotent-Replayed"]) == (201, first.content, "true")
    assert client.post("/orders", order_of(8, "PO-2"), headers=key).status_code == 422
    assert Order.objects.count() == 1


def test_a_price_keeps_its_currency(api, retailer, shop):
    line = {"productId": "SAUCE", "quantity": 1, "unitPrice": "4.50", "currency": "EUR"}
    [seen] = api(retailer).post("/orders", order_of(lines=[line])).json()["lines"]
    assert (seen["unitPrice"], seen["currency"]) == ("4.5000", "EUR")


def test_a_carrier_sees_allocations_of_its_own_warehouses_only(api, retailer, shop):
    order = api(retailer).post("/orders", order_of(35)).json()
    carrier = make.make_partner(kind="logistics", granted_warehouses=["W1"])
    [line] = api(carrier).get(f"/orders/{order['orderId']}").json()["lines"]
    assert line["reservedQuantity"] == 35
    assert {row["warehouseLocation"]: row["quantity"] for row in line["allocations"]} == {"W1": 10}
    assert {row["warehouseLocation"] for row in order["lines"][0]["allocations"]} == {"W1", "W2"}


def test_who_runs_a_warehouse_hears_of_the_orders_it_keeps_goods_for(api, retailer, supplier, shop):
    west, east = (make.make_partner(code=code, kind="logistics") for code in ("OP-W", "OP-E"))
    Warehouse.objects.filter(code="W1").update(operator=west)
    Warehouse.objects.filter(code="W2").update(operator=east)
    client = api(retailer)
    order = confirmed(client)
    assert api(west).post("/shipments", leaving(order, 7)).status_code == 201
    returned = come_back(client, order).json()
    assert api(west).post(f"/returns/{returned['returnId']}/receive").status_code == 200
    for event in OutboxEvent.objects.exclude(type="inventory.updated").exclude(type__startswith="fulfillment_request"):
        assert set(event.addressee_ids) == {retailer.pk, supplier.pk, west.pk}, event.type


def test_the_etag_of_an_order_changes_with_whatever_is_shown_of_it(api, retailer, shop):
    client = api(retailer)
    order = client.post("/orders", order_of()).json()
    path = f"/orders/{order['orderId']}"

    def unseen_since(tag: str) -> bool:
        return client.get(path, headers={"If-None-Match": tag}).status_code == 200

    placed = client.get(path)["ETag"]
    assert not unseen_since(placed)
    level = Level.objects.get(batch__number="EARLY")
    shortages.break_promises(level_id=level.pk, quantity=2, actor=make.TESTER, at=timezone.now())
    assert unseen_since(placed)
    assert client.get(path).json()["lines"][0]["backorderedQuantity"] == 2
    client.post(f"{path}/confirm")
    shipment = client.post("/shipments", leaving(order, 5)).json()
    for path_of_step, body in (
        (f"/shipments/{shipment['shipmentId']}/deliver", None),
        ("/returns", {"orderId": order["orderId"], "lines": [{"productId": "SAUCE", "quantity": 1, "reason": "x"}]}),
    ):
        tag = client.get(path)["ETag"]
        assert client.post(path_of_step, body).status_code in (200, 201)
        assert unseen_since(tag), path_of_step
