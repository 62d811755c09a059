"""POST /deliveryDates, promises that are kept, claimed and worked out again."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from orders.models import (
    CarrierService,
    DeliveryPromise,
    Order,
    Pickup,
    Place,
    PromisedLoad,
    RoutingPolicy,
    ShippingCalendar,
    TransitTime,
    WorkingHours,
)
from orders.network import Destination, distance_km
from orders.operations import delivering
from stock.models import Inbound, Reservation, Warehouse
from tests import make
from tests.conftest import api_of
from tests.orders.steps import SHIP_TO

EVERY_DAY = list(range(7))
THERE = {"country": "US", "postalCode": "38103"}


def weekday_ahead() -> datetime:
    """A Wednesday morning some days from now."""
    day = timezone.now().date() + timedelta(days=4)
    while day.weekday() != 2:
        day += timedelta(days=1)
    return datetime.combine(day, time(9), tzinfo=UTC)


@pytest.fixture
def carrier(shop):
    """One service that knows neither weekends nor holidays, two days from W1 and one from W2; both work all days."""
    service = CarrierService.objects.create(
        code="ground", carrier="UPS", name="Ground", moves_on=EVERY_DAY, delivers_on=EVERY_DAY, keeps_holidays=False
    )
    for code, days in (("W1", 2), ("W2", 1)):
        warehouse = Warehouse.objects.get(code=code)
        TransitTime.objects.create(service=service, warehouse=warehouse, country="US", days=days)
        ShippingCalendar.objects.create(
            warehouse=warehouse, works_on=EVERY_DAY, keeps_holidays=False, cutoff=time(16, 30)
        )
        Pickup.objects.create(
            warehouse=warehouse, service=service, leaves_at=time(17), ready_by=time(16, 45), weekdays=EVERY_DAY
        )
    return service


def ask(client, *lines: tuple[str, int], status: int = 200, **more):
    body = {"lines": [{"productId": sku, "quantity": quantity} for sku, quantity in lines], "shipTo": THERE}
    answer = client.post("/deliveryDates", body | {"at": weekday_ahead().isoformat()} | more)
    assert answer.status_code == status, answer.content
    return answer.json()


def after(days: int) -> str:
    return (weekday_ahead().date() + timedelta(days=days)).isoformat()


def test_a_cart_is_dated_line_by_line_and_as_a_whole(api, retailer, carrier):
    answer = ask(api(retailer), ("SAUCE", 3), ("ROTOR", 2))
    assert (answer["shipFrom"], answer["promiseDate"]) == ("W1", after(2))
    assert answer["shipBy"] == f"{after(0)}T17:00:00Z"
    assert answer["orderBy"] == f"{after(0)}T16:30:00Z"
    assert answer["validUntil"] == f"{after(0)}T09:30:00Z"
    assert [line["promiseDate"] for line in answer["lines"]] == [after(2), after(2)]
    [shipment] = answer["splits"]
    assert (shipment["service"], len(shipment["lines"])) == ("ground", 2)
    assert [step["code"] for step in answer["why"]] == ["pickup", "transit"]


def test_the_nearer_warehouse_is_taken_where_it_has_all(api, retailer, carrier):
    answer = ask(api(retailer), ("SAUCE", 3))
    assert (answer["shipFrom"], answer["promiseDate"]) == ("W2", after(1))


def test_what_no_warehouse_has_alone_is_split_or_refused(api, retailer, carrier):
    answer = ask(api(retailer), ("SAUCE", 30))
    assert answer["promiseDate"] == after(2)
    assert [(row["shipFrom"], row["lines"][0]["quantity"]) for row in answer["splits"]] == [("W2", 20), ("W1", 10)]
    whole = ask(api(retailer), ("SAUCE", 30), allowSplit=False)
    assert (whole["promiseDate"], whole["why"][-1]["code"]) == (None, "unavailable")


def test_a_cart_is_split_no_further_than_its_order_would_be(api, retailer, carrier):
    assert len(ask(api(retailer), ("SAUCE", 30))["splits"]) == 2
    RoutingPolicy.objects.create(name="One", warehouses_max=1)
    assert ask(api(retailer), ("SAUCE", 30))["promiseDate"] is None
    assert ask(api(retailer), ("SAUCE", 20))["promiseDate"] is not None
    RoutingPolicy.objects.create(name="Web", channel="web", warehouses_max=2)
    assert ask(api(retailer), ("SAUCE", 30))["promiseDate"] is None
    assert len(ask(api(retailer), ("SAUCE", 30), channel="web")["splits"]) == 2
    RoutingPolicy.objects.create(name="Theirs", partner=retailer, warehouses_max=3)
    assert len(ask(api(retailer), ("SAUCE", 30))["splits"]) == 2


def test_waits_for_what_is_inbound(api, retailer, carrier, shop):
    Inbound.objects.create(
        kind="purchaseOrder", document="PO-9", line=1, variant=shop, warehouse=Warehouse.objects.get(code="W2"),
        quantity=50, expected_on=weekday_ahead().date() + timedelta(days=3),
    )  # fmt: skip
    answer = ask(api(retailer), ("SAUCE", 60))
    assert (answer["shipFrom"], answer["promiseDate"]) == ("W2", after(4))
    assert "waitsForStock" in [step["code"] for step in answer["why"]]


def test_a_bare_site_answers_by_its_defaults(api, retailer, shop):
    answer = ask(api(retailer), ("SAUCE", 1))
    assert answer["splits"][0]["service"] == "standard"
    assert answer["promiseDate"] > after(0)


def test_grants_and_assortment_bound_the_answer(api, carrier):
    west_only = make.make_partner(kind="retailer", granted_warehouses=["W1"])
    assert ask(api(west_only), ("SAUCE", 3))["shipFrom"] == "W1"
    nowhere = make.make_partner(kind="retailer", granted_warehouses=[])
    assert ask(api(nowhere), ("SAUCE", 3))["promiseDate"] is None
    another = make.make_partner(kind="supplier")
    problem = ask(api(another), ("SAUCE", 3), status=422)
    assert problem["errors"][0]["field"] == "lines[0].productId"


@pytest.mark.parametrize(("disclosure", "cap", "most"), [("capped", 5, 5), ("banded", None, 10), ("yesNo", None, 1)])
def test_more_than_is_disclosed_answers_like_unavailable(api, carrier, disclosure, cap, most):
    reseller = api(make.make_partner(disclosure=disclosure, disclosure_cap=cap))
    told, refused = ask(reseller, ("SAUCE", most)), ask(reseller, ("SAUCE", most + 1))
    never = ask(reseller, ("SAUCE", 10_000))
    assert told["promiseDate"] is not None
    assert (told["shipFrom"], told["splits"], told["lines"][0]["splits"]) == (None, [], [])
    assert refused["promiseDate"] is None
    for answer in (refused, never):
        answer.pop("asOf")
        answer["lines"][0].pop("quantity")
    assert refused == never


def test_as_many_queries_for_many_lines_as_for_one(api, retailer, carrier, supplier):
    few = [("SAUCE", 1)]
    many = [*few, ("ROTOR", 1)]
    for number in range(20):
        variant = make.make_variant(sku=f"X-{number}", suppliers=[supplier])
        make.make_level(variant=variant, warehouse=Warehouse.objects.get(code="W1"))
        many.append((variant.sku, 1))
    client = api(retailer)
    counted = []
    for lines in (few, few, many):
        with CaptureQueriesContext(connection) as queries:
            ask(client, *lines)
        counted.append(len(queries))
    assert counted[1] == counted[2]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"shipTo": {"country": "us", "postalCode": "1"}}, "shipTo.country"),
        ({"shipTo": {"country": "US", "postalCode": ""}}, "shipTo.postalCode"),
        ({"lines": []}, "lines"),
        ({"at": "2020-01-01T00:00:00Z"}, "at"),
    ],
)
def test_what_cannot_be_understood_is_named(api, retailer, carrier, change, field):
    client = api(retailer)
    body = {"lines": [{"productId": "SAUCE", "quantity": 1}], "shipTo": THERE}
    assert client.post("/deliveryDates", body).status_code == 200
    answer = client.post("/deliveryDates", body | change)
    assert answer.status_code in {400, 422}
    assert field.split(".")[0] in answer.json()["errors"][0]["field"]


# -- Kept, claimed, worked out again


def place(client, promise_id: str, quantity: int = 3, reference: str = "PO-1", **more):
    lines = [{"productId": "SAUCE", "quantity": quantity}]
    body = {"externalReference": reference, "shipTo": SHIP_TO, "lines": lines, "promiseId": promise_id}
    return client.post("/orders", body | more)


def test_an_order_keeps_the_promise_it_was_placed_on(api, retailer, carrier):
    client = api(retailer)
    kept = ask(client, ("SAUCE", 3), keep=True)
    order = place(client, kept["promiseId"])
    assert order.status_code == 201, order.content
    assert (order.json()["promiseId"], order.json()["promiseDate"]) == (kept["promiseId"], after(1))
    assert order.json()["lines"][0]["allocations"][0]["warehouseLocation"] == "W2"
    shown = client.get(f"/promises/{kept['promiseId']}").json()
    assert (shown["orderId"], shown["promiseDate"]) == (order.json()["orderId"], after(1))
    assert client.get(f"/promises/{kept['promiseId']}/replay").json()["isSame"] is True
    again = place(client, kept["promiseId"])
    assert (again.status_code, again.json()["orderId"]) == (200, order.json()["orderId"])


def test_nothing_is_kept_unless_asked_or_where_nothing_is_promised(api, retailer, carrier):
    client = api(retailer)
    assert ask(client, ("SAUCE", 3))["promiseId"] is None
    assert ask(client, ("SAUCE", 10_000), keep=True)["promiseId"] is None
    assert DeliveryPromise.objects.count() == 0


def test_an_expired_promise_is_refused_with_the_date_of_now(api, retailer, carrier):
    client = api(retailer)
    kept = ask(client, ("SAUCE", 3), keep=True)["promiseId"]
    DeliveryPromise.objects.update(valid_until=timezone.now() - timedelta(seconds=1))
    refused = place(client, kept)
    assert (refused.status_code, refused.json()["code"]) == (409, "promise_expired")
    assert refused.json()["promiseDate"] >= timezone.now().date().isoformat()
    assert (Order.objects.count(), Reservation.objects.count()) == (0, 0)
    DeliveryPromise.objects.update(valid_until=timezone.now() + timedelta(minutes=1))
    assert place(client, kept).status_code == 201


def test_a_promise_stands_for_one_order_and_its_own_cart(api, retailer, stranger, carrier):
    client = api(retailer)
    kept = ask(client, ("SAUCE", 3), keep=True)["promiseId"]
    assert place(client, kept, quantity=4).status_code == 422
    assert place(client, kept, shipTo=SHIP_TO | {"postalCode": "10001"}).status_code == 422
    assert place(api(stranger), kept).status_code == 422
    assert Order.objects.count() == 0
    assert place(client, kept).status_code == 201
    twice = place(client, kept, reference="PO-2")
    assert (twice.status_code, twice.json()["code"]) == (409, "promise_claimed")
    assert Order.objects.count() == 1


def test_what_orders_have_taken_of_a_day_pushes_the_next(api, retailer, carrier):
    calendar = ShippingCalendar.objects.get(warehouse__code="W2")
    WorkingHours.objects.create(calendar=calendar, opens_at=time(8), closes_at=time(16), capacity=6)
    client = api(retailer)
    first, second = (ask(client, ("SAUCE", 4), keep=True) for _ in range(2))
    assert first["promiseDate"] == second["promiseDate"] == after(1)
    assert place(client, first["promiseId"], quantity=4).status_code == 201
    assert [(load.on.isoformat(), load.amount) for load in PromisedLoad.objects.all()] == [(after(0), 4)]
    late = place(client, second["promiseId"], quantity=4, reference="PO-2")
    assert (late.status_code, late.json()["code"]) == (409, "promise_expired")
    answer = ask(client, ("SAUCE", 4))
    assert answer["promiseDate"] == after(2)
    client.post(f"/orders/{Order.objects.get().number}/cancel")
    assert ask(client, ("SAUCE", 4))["promiseDate"] == after(1)


def test_unclaimed_promises_are_forgotten_and_claimed_ones_stay(api, retailer, carrier):
    client = api(retailer)
    for _ in range(2):
        kept = ask(client, ("SAUCE", 1), keep=True)["promiseId"]
    assert place(client, kept, quantity=1).status_code == 201
    assert delivering.forget_unclaimed(at=timezone.now()) == 0
    assert delivering.forget_unclaimed(at=timezone.now() + timedelta(days=30)) == 1
    assert str(DeliveryPromise.objects.get().public_id) == kept


# -- The map


def test_places_are_loaded_once_from_either_kind_of_file(db, tmp_path):
    codes, cities = tmp_path / "codes.csv", tmp_path / "cities.csv"
    codes.write_text("lat,lon,zipCode\n40.75065,-73.997293,10001\n35.0351,-89.92716,38118\n")
    cities.write_text(
        "geonameid,name,latitude,longitude,countrycode,population,timezone,admin1code\n"
        "2747891,Rotterdam,51.9225,4.47917,NL,598199,Europe/Amsterdam,11\n"
    )
    for _ in range(2):
        call_command("load_places", str(codes), str(cities))
    assert Place.objects.count() == 3
    assert Place.objects.get(country="NL").city == "Rotterdam"


def test_a_row_that_names_no_place_is_refused_and_the_others_are_taken(db, tmp_path, capsys):
    file = tmp_path / "codes.csv"
    file.write_text("lat,lon,zipCode\n95,-73.9,10001\n35.0351,-89.92716,38118\n")
    with pytest.raises(SystemExit):
        call_command("load_places", str(file))
    assert [place.postal_code for place in Place.objects.all()] == ["38118"]
    assert "row 2: latitude" in capsys.readouterr().err


def test_a_way_over_the_map_takes_longer_than_a_short_one(api, retailer, shop):
    Warehouse.objects.filter(code="W1").update(latitude=35.0351, longitude=-89.92716, country="US")
    Warehouse.objects.filter(code="W2").update(latitude=39.69884, longitude=-119.82627, country="US")
    Place.objects.create(country="US", postal_code="38103", latitude=35.14, longitude=-90.05)
    assert ask(api(retailer), ("SAUCE", 1))["shipFrom"] == "W1"
    assert distance_km((35.0351, -89.92716), (39.69884, -119.82627)) == pytest.approx(2_650, rel=0.02)


def test_a_postal_code_is_the_same_however_it_is_written():
    assert Destination.of("US", "38103-1234") == Destination.of("US", "38103")
    assert Destination.of("NL", "3011 ad") == Destination.of("NL", "3011AD")


def test_the_scope_is_needed(api, retailer, carrier):
    body = {"lines": [{"productId": "SAUCE", "quantity": 1}], "shipTo": THERE}
    assert api_of(retailer, "orders:write").post("/deliveryDates", body).status_code == 403
