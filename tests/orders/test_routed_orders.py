"""Orders find their warehouses: by the map, by their channel's policy, within its limit, and again when rejected."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, transaction
from django.urls import reverse
from django.utils import timezone

from orders.models import FillPause, FulfilmentRequest, Order, Place, RoutingDecision, RoutingPolicy, SendingCost
from orders.operations import backorders
from orders.operations.sourcing import policy_for
from stock.models import Level, Warehouse
from tests import make
from tests.orders.steps import book, order_of

MEMPHIS = {"name": "Store 12", "country": "US", "postalCode": "38103"}
PORTLAND = MEMPHIS | {"postalCode": "97201"}


@pytest.fixture
def land(db):
    """A sauce at W-NASHVILLE (6), W-SEATTLE (20) and W-TOKYO (40), and the postal codes of Memphis and Portland."""
    sauce = make.make_variant(sku="SAUCE")
    for code, country, postal_code, north, east, on_hand in [
        ("W-NASHVILLE", "US", "37201", "36.17", "-86.78", 6),
        ("W-SEATTLE", "US", "98101", "47.61", "-122.34", 20),
        ("W-TOKYO", "JP", "100", "35.68", "139.76", 40),
    ]:
        Place.objects.create(country=country, postal_code=postal_code, latitude=north, longitude=east)
        warehouse = make.make_warehouse(code=code, country=country, postal_code=postal_code)
        make.make_level(variant=sauce, warehouse=warehouse, on_hand=on_hand)
    Place.objects.create(country="US", postal_code="38103", latitude="35.15", longitude="-90.05")
    Place.objects.create(country="US", postal_code="97201", latitude="45.51", longitude="-122.69")
    return sauce


@pytest.fixture
def buyer(api, retailer, land):
    return api(retailer)


@pytest.fixture
def web(api, land):
    """Our own channel, which sees every warehouse."""
    return api(make.make_partner(code="WEB", kind="channel"))


def kept() -> dict[str, int]:
    rows = Level.objects.filter(reserved__gt=0).values_list("location__warehouse__code", "reserved")
    return {code.removeprefix("W-"): units for code, units in rows}


def test_an_order_is_sent_from_the_warehouse_nearest_to_its_postal_code(buyer):
    assert buyer.post("/orders", order_of(3, shipTo=MEMPHIS)).status_code == 201
    assert kept() == {"NASHVILLE": 3}
    buyer.post("/orders", order_of(3, "PO-2", shipTo=PORTLAND))
    assert kept() == {"NASHVILLE": 3, "SEATTLE": 3}
    why = RoutingDecision.objects.get(order__external_reference="PO-1").considered
    facts = {row["warehouseLocation"]: {term["term"]: term["fact"] for term in row["terms"]} for row in why}
    assert facts["W-NASHVILLE"]["distance"] == "316 km"
    assert list(facts) == ["W-NASHVILLE", "W-SEATTLE", "W-TOKYO"]


def test_why_it_was_decided_so_is_never_written_over(buyer):
    buyer.post("/orders", order_of(3, shipTo=MEMPHIS))
    with pytest.raises(DatabaseError, match="stays as it was"), transaction.atomic():
        RoutingDecision.objects.update(chosen=["W-TOKYO"])
    assert RoutingDecision.objects.get().chosen == ["W-NASHVILLE"]


def test_what_it_costs_to_send_counts_as_staff_say(buyer, land):
    RoutingPolicy.objects.create(name="Thrift", strategy="cheapest")
    SendingCost.objects.create(per_parcel=20, per_100_km="0.1")
    SendingCost.objects.create(country="US", per_parcel=9)
    SendingCost.objects.create(warehouse=Level.objects.get(on_hand=40).location.warehouse, per_parcel=5)
    buyer.post("/orders", order_of(3, shipTo=MEMPHIS))
    assert kept() == {"TOKYO": 3}


@pytest.mark.parametrize(
    ("whose", "name"),
    [
        ({}, "All"),
        ({"channel": "web"}, "Web"),
        ({"channel": "other"}, "All"),
        ({"channel": "web", "partner": True}, "Theirs"),
        ({"placed_by": True, "channel": "web"}, "Placed by"),
        ({"placed_by": True, "partner": True}, "Theirs"),
    ],
)
def test_the_closest_policy_counts(retailer, stranger, whose, name):
    placer = make.make_partner(kind="channel")
    RoutingPolicy.objects.create(name="All")
    RoutingPolicy.objects.create(name="Web", channel="web")
    RoutingPolicy.objects.create(name="Theirs", partner=retailer)
    RoutingPolicy.objects.create(name="Placed by", partner=placer)
    order = Order(
        partner=retailer if whose.get("partner") else stranger,
        placed_by=placer if whose.get("placed_by") else None,
        channel=whose.get("channel", ""),
    )
    assert policy_for(order=order).name == name


def test_an_order_names_its_channel_and_is_routed_by_it(buyer):
    RoutingPolicy.objects.create(name="Level", channel="web", strategy="level")
    answer = buyer.post("/orders", order_of(3, shipTo=MEMPHIS, channel="web"))
    assert answer.json()["channel"] == "web"
    assert kept() == {"TOKYO": 3}
    assert Order.objects.get().reservation.channel == "web"
    assert buyer.post("/orders", order_of(3, shipTo=MEMPHIS, channel="shop")).json()["code"] == "reference_reused"


class TestTheLimit:
    """Two may send an order. Nashville has 6, Seattle 8 left, and Tokyo 40."""

    @pytest.fixture(autouse=True)
    def policy(self, buyer):
        buyer.post("/orders", order_of(12, "EARLIER", shipTo=MEMPHIS))
        return RoutingPolicy.objects.create(name="Two", warehouses_max=2)

    def test_it_is_split_over_as_few_as_have_it_and_no_more_than_may(self, buyer):
        before = kept()
        assert buyer.post("/orders", order_of(48, shipTo=MEMPHIS)).status_code == 201
        taken = {code: units - before.get(code, 0) for code, units in kept().items()}
        assert {code: units for code, units in taken.items() if units} == {"SEATTLE": 8, "TOKYO": 40}

    def test_not_to_be_split_it_is_refused_and_nothing_is_kept(self, buyer):
        before = book(), kept(), Order.objects.count(), RoutingDecision.objects.count()
        answer = buyer.post("/orders", order_of(48, shipTo=MEMPHIS, allowSplit=False))
        assert (answer.status_code, answer.json()["code"]) == (409, "too_many_shipments")
        assert answer.json()["warehousesMax"] == 1
        assert answer.json()["shortages"] == [{"productId": "SAUCE", "requested": 48, "available": 40, "elsewhere": 8}]
        assert (book(), kept(), Order.objects.count(), RoutingDecision.objects.count()) == before

    def test_what_is_nowhere_is_still_called_too_little(self, buyer):
        assert buyer.post("/orders", order_of(90, shipTo=MEMPHIS)).json()["code"] == "insufficient_stock"

    def test_with_backorder_the_most_one_warehouse_has_is_kept_and_no_other_joins_it(self, buyer):
        answer = buyer.post("/orders", order_of(48, shipTo=MEMPHIS, allowSplit=False, allowBackorder=True)).json()
        assert answer["lines"][0]["backorderedQuantity"] == 8
        assert kept()["TOKYO"] == 40
        assert backorders.fill_waiting(actor=make.TESTER, at=timezone.now()) == 0
        make.make_level(
            variant=make.Variant.objects.get(), warehouse=make.Warehouse.objects.get(code="W-TOKYO"), on_hand=9
        )
        assert backorders.fill_waiting(actor=make.TESTER, at=timezone.now()) == 8
        assert kept()["TOKYO"] == 48

    def test_a_reservation_that_lies_in_too_many_warehouses_is_gathered_when_an_order_takes_it(self, buyer):
        lines = [{"productId": "SAUCE", "quantity": 45}]
        held = buyer.post("/reservations", {"reference": "cart", "lines": lines}).json()["reservationId"]
        before = kept()
        assert before == {"NASHVILLE": 6, "SEATTLE": 20, "TOKYO": 31}
        answer = buyer.post("/orders", order_of(45, shipTo=MEMPHIS, reservationId=held, allowSplit=False))
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "reservationId")
        assert (kept(), Order.objects.count()) == (before, 1)
        assert buyer.post("/orders", order_of(45, shipTo=MEMPHIS, reservationId=held)).status_code == 201
        assert kept() == {"NASHVILLE": 6, "SEATTLE": 12, "TOKYO": 39}


class TestRejected:
    """Three are sent from Nashville to Memphis."""

    @pytest.fixture
    def request_id(self, buyer):
        order = buyer.post("/orders", order_of(3, shipTo=MEMPHIS)).json()
        buyer.post(f"/orders/{order['orderId']}/confirm")
        return FulfilmentRequest.objects.get().number

    def test_it_is_routed_anew_by_the_same_scoring_without_who_rejected_it(self, request_id, buyer):
        rejected = buyer.post(f"/fulfillmentRequests/{request_id}/reject", {"reason": "capacity"})
        assert rejected.status_code == 200
        assert kept() == {"SEATTLE": 3}
        again = FulfilmentRequest.objects.get(status="assigned").routing
        assert (again.cause, again.chosen) == ("rejected", ["W-SEATTLE"])
        assert [row["warehouseLocation"] for row in again.considered] == ["W-SEATTLE", "W-TOKYO"]

    def test_our_own_channel_reads_why_and_the_buyer_does_not(self, request_id, buyer, web):
        FulfilmentRequest.objects.get().order.__class__.objects.update(placed_by=make.Partner.objects.get(code="WEB"))
        why = web.get(f"/fulfillmentRequests/{request_id}").json()["routing"]
        assert (why["cause"], why["strategy"], why["warehousesMax"], why["chosen"]) == (
            "placed",
            "weighted",
            3,
            ["W-NASHVILLE"],
        )
        assert why["considered"][0]["terms"][1] == {
            "term": "distance",
            "points": 612,
            "weight": 30,
            "fact": "316 km",
        }
        assert web.get("/fulfillmentRequests").json()["items"][0]["routing"] == why
        assert buyer.get(f"/fulfillmentRequests/{request_id}").json()["routing"] is None

    def test_staff_read_why_at_the_order_and_at_the_request(self, request_id, client, staff):
        client.force_login(staff)
        request = FulfilmentRequest.objects.get()
        for page, row in (("order", request.order), ("fulfilmentrequest", request)):
            text = client.get(reverse(f"admin:orders_{page}_change", args=[row.pk])).content.decode()
            assert "Sent from W-NASHVILLE" in text
            assert "316 km" in text


class TestPolicyPage:
    def fields(self, **change):
        weights = dict.fromkeys(["in_full", "distance", "cutoff", "cost", "shelf_life", "balance", "preference"], 0)
        base = {
            "name": "Web",
            "channel": "web",
            "partner": "",
            "strategy": "weighted",
            "warehouses_max": 2,
            "prefers": "",
        }
        return base | weights | {"distance": 5} | change

    @pytest.fixture
    def keeper(self, client, staff):
        client.force_login(staff)
        return client

    def test_staff_write_a_policy(self, keeper, land):
        fields = self.fields(prefers="W-TOKYO,W-SEATTLE,W-TOKYO")
        assert keeper.post(reverse("admin:orders_routingpolicy_add"), fields).status_code == 302
        made = RoutingPolicy.objects.get()
        assert (made.channel, made.warehouses_max, made.prefers) == ("web", 2, ["W-TOKYO", "W-SEATTLE"])

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"distance": 0}, "give one term a weight"),
            ({"distance": 101}, "less than or equal to 100"),
            ({"warehouses_max": 0}, "greater than or equal to 1"),
            ({"prefers": "W-NOWHERE"}, "There is no warehouse W-NOWHERE"),
            ({"partner": "RET-1"}, "Either a channel or a partner"),
            ({"channel": ""}, "There is a policy for the same orders"),
        ],
    )
    def test_what_cannot_be_is_said_and_nothing_is_saved(self, keeper, land, retailer, change, said):
        RoutingPolicy.objects.create(name="All")
        if "partner" in change:
            change = {"partner": retailer.pk}
        answer = keeper.post(reverse("admin:orders_routingpolicy_add"), self.fields(**change))
        assert answer.status_code == 200
        assert said in answer.content.decode()
        assert RoutingPolicy.objects.count() == 1


class TestAnOrderThatNothingCanBePromisedTo:
    """One warehouse may send it, Tokyo gives all it has, and the rest waits while Seattle has plenty."""

    @pytest.fixture
    def stuck(self, buyer):
        body = order_of(48, shipTo=MEMPHIS, allowSplit=False, allowBackorder=True)
        order = buyer.post("/orders", body).json()
        assert order["lines"][0]["backorderedQuantity"] == 8
        assert self.sweep() == 0
        return order

    @staticmethod
    def sweep(at=None) -> int:
        return backorders.fill_waiting(actor=make.TESTER, at=at or timezone.now())

    def test_is_asked_less_and_less_often(self, stuck):
        first = FillPause.objects.get()
        assert (first.tries, self.sweep(), FillPause.objects.get().tries) == (1, 0, 1)
        waits = []
        for tries in range(2, 10):
            assert self.sweep(FillPause.objects.get().until) == 0
            pause = FillPause.objects.get()
            assert pause.tries == tries
            waits.append((pause.until - pause.tried_at).total_seconds() / 60)
        assert waits == [2, 4, 8, 16, 32, 60, 60, 60]

    def test_gets_what_came_to_its_warehouse_at_once(self, stuck, land):
        make.make_level(variant=land, warehouse=Warehouse.objects.get(code="W-TOKYO"), on_hand=5)
        assert self.sweep() == 5
        assert not FillPause.objects.exists()
        assert (self.sweep(), FillPause.objects.get().tries) == (0, 1)

    def test_gets_what_a_change_of_the_rules_allows_when_its_pause_is_over(self, stuck):
        Order.objects.update(allow_split=True)
        assert self.sweep() == 0
        assert self.sweep(FillPause.objects.get().until) == 8
        assert not FillPause.objects.exists()
