"""What partners could conclude: look-ups are counted, guessing is bounded, and so is hoarding."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO
from threading import Barrier

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from partners.models import Partner
from partners.models.partner import HELD_UNITS_MAX, HOLDS_MAX
from stock import leaks
from stock.models import LookUp, RefusedSize, Reservation
from stock.operations import lookups, reservations
from stock.operations.promising import Wanted
from tests import make

HIDDEN = 73_519


@pytest.fixture(autouse=True)
def nothing_gathered_before():
    lookups._tally.take()
    yield
    lookups._tally.take()


@pytest.fixture
def sauce(db, supplier):
    variant = make.make_variant(sku="SAUCE", suppliers=[supplier])
    make.make_level(variant=variant, warehouse=make.make_warehouse(code="W1"), on_hand=HIDDEN)
    return variant


def capped(**fields) -> Partner:
    return make.make_partner(**{"code": "RESELLER", "disclosure": "capped", "disclosure_cap": 20} | fields)


def ask(client, quantity: int, **more):
    line = {"productId": "SAUCE", "quantity": quantity}
    return client.post("/reservations", {"reference": f"{quantity}-{timezone.now()}", "lines": [line], **more})


def test_a_look_is_written_later_and_asks_nothing_of_the_database(api, sauce):
    client = api(capped())
    asked = {"lines": [{"productId": "SAUCE"}]}
    client.post("/availability", asked)
    with CaptureQueriesContext(connection) as queries:
        client.post("/availability", asked)
    assert not [query for query in queries if "lookup" in query["sql"] or "refusedsize" in query["sql"]]
    assert LookUp.objects.count() == 0
    client.get("/inventory/SUP-1/SAUCE")
    assert lookups.flush() == 1
    client.post("/availability", asked)
    assert (lookups.flush(), lookups.flush()) == (1, 0)
    [row] = LookUp.objects.all()
    assert (row.partner.code, row.variant, row.looks, row.lower, row.upper) == ("RESELLER", sauce, 4, 20, None)


def test_refused_sizes_of_a_product_are_bounded_for_who_is_told_little(api, sauce):
    client = api(capped(probes_max=3))
    answers = [ask(client, size) for size in (1_000_000, 500_000, 250_000, 125_000, 10)]
    assert [answer.status_code for answer in answers] == [409, 409, 409, 429, 429]
    assert answers[0].json()["shortages"] == [{"productId": "SAUCE", "requested": 1_000_000, "available": 20}]
    limited = answers[3].json()
    assert (limited["code"], limited["productIds"], limited["refusedMax"]) == ("probing_limited", ["SAUCE"], 3)
    assert answers[3]["Retry-After"] == "3600"
    assert Reservation.objects.count() == 0
    RefusedSize.objects.update(at=timezone.now() - timedelta(hours=1, seconds=1))
    assert ask(client, 10).status_code == 201, "an hour later"


def test_the_same_size_asked_again_is_no_guess_and_neither_is_what_was_told(api, sauce):
    client = api(capped(probes_max=2))
    assert [ask(client, 1_000_000).status_code for _ in range(4)] == [409] * 4
    few = api(make.make_partner(disclosure="capped", disclosure_cap=100_000, probes_max=2))
    assert [ask(few, size).status_code for size in range(90_000, 90_005)] == [409] * 5, "it was told 73,519"
    exact = api(make.make_partner(probes_max=0))
    assert [ask(exact, size).status_code for size in (90_000, 10)] == [409, 201]


def test_part_of_a_million_is_no_more_than_is_told(api, sauce):
    client = api(capped())
    answer = ask(client, 1_000_000, allOrNothing=False).json()
    assert answer["lines"][0]["allocations"] == [{"warehouseLocation": None, "batchNumber": None, "quantity": 20}]
    assert RefusedSize.objects.count() == 1, "and it counts as a guess"
    exact = ask(api(make.make_partner()), 1_000_000, allOrNothing=False).json()
    assert exact["lines"][0]["allocations"][0]["quantity"] == HIDDEN - 20


@pytest.mark.parametrize(("fields", "left"), [({"buffer_units": 73_000}, 519), ({"buffer_percent": 50}, 36_759)])
def test_what_is_kept_back_is_neither_told_nor_promised(api, sauce, fields, left):
    client = api(make.make_partner(**fields))
    [told] = client.post("/availability", {"lines": [{"productId": "SAUCE"}], "explain": True}).json()["lines"]
    assert (told["availableQuantity"], told["explanation"], told["byWarehouse"]) == (left, [], [])
    assert client.get("/inventory/SUP-1/SAUCE").json()["availableQuantity"] == left
    refused = ask(client, left + 1)
    assert (refused.status_code, refused.json()["shortages"][0]["available"]) == (409, left)
    assert ask(client, left).status_code == 201
    assert ask(api(make.make_partner()), HIDDEN - left).status_code == 201, "others may have it"


def test_open_reservations_of_a_partner_are_bounded(api, sauce):
    client = api(make.make_partner(holds_max=2))
    first = ask(client, 1).json()["reservationId"]
    assert ask(client, 2).status_code == 201
    refused = ask(client, 3)
    assert (refused.status_code, refused.json()["code"], refused.json()["holdsMax"]) == (429, "too_many_holds", 2)
    assert (Reservation.objects.count(), refused["Retry-After"]) == (2, "60")
    assert ask(api(make.make_partner()), 3).status_code == 201, "somebody else"
    client.post(f"/reservations/{first}/release")
    assert ask(client, 3).status_code == 201


def test_the_units_a_partner_holds_are_bounded(api, sauce):
    client = api(make.make_partner(held_units_max=100))
    assert ask(client, 60).status_code == 201
    refused = ask(client, 41)
    assert (refused.status_code, refused.json()["code"], refused.json()["heldUnits"]) == (
        429,
        "too_many_units_held",
        60,
    )
    assert ask(client, 40).status_code == 201
    assert sum(Reservation.objects.values_list("units", flat=True)) == 100


def test_an_order_is_no_hold_and_our_own_channels_hold_what_they_like(api, sauce):
    shop = make.make_partner(holds_max=0)
    ship_to = {"name": "x", "country": "US", "postalCode": "1"}
    lines = [{"productId": "SAUCE", "quantity": 5}]
    placed = api(shop).post("/orders", {"externalReference": "PO", "shipTo": ship_to, "lines": lines})
    assert placed.status_code == 201
    assert ask(api(shop), 1).status_code == 429
    assert ask(api(make.make_partner(kind="channel")), 50_000).status_code == 201


def test_the_quick_way_knows_the_same_bounds(db):
    with connection.cursor() as cursor:
        cursor.execute("SELECT prosrc FROM pg_proc WHERE proname = 'stock_needs_a_look'")
        [(source,)] = cursor.fetchall()
    assert f"holds_max, {HOLDS_MAX})" in source
    assert source.count(f"held_units_max, {HELD_UNITS_MAX})") == 2


def test_a_crowd_of_one_partner_holds_no_more_than_it_may(own_database):
    variant = make.make_variant()
    make.make_level(variant=variant, warehouse=make.make_warehouse(), on_hand=1_000)
    partner = make.make_partner(holds_max=10)
    barrier = Barrier(6)

    def grab(number: int) -> list[str]:
        found = []
        barrier.wait()
        for turn in range(5):
            try:
                reservations.reserve(
                    reference=f"{number}-{turn}", wanted=[Wanted(variant=variant, quantity=1)], partner=partner,
                    actor=make.TESTER, at=timezone.now(),
                )  # fmt: skip
                found.append("held")
            except reservations.Problem as problem:
                found.append(problem.code)
        connection.close()
        return found

    with ThreadPoolExecutor(6) as pool:
        found = [code for row in pool.map(grab, range(6)) for code in row]
    assert (found.count("held"), found.count("too_many_holds")) == (10, 20)
    assert Reservation.objects.count() == 10


def test_the_report_says_what_a_partner_could_conclude(api, sauce):
    client = api(capped())
    other = make.make_variant(sku="OTHER")
    client.post("/availability", {"lines": [{"productId": "SAUCE"}, {"productId": "OTHER"}]})
    ask(client, 80_000)
    ask(client, 70_000)
    lookups.flush()
    since, until = leaks.month_of(f"{timezone.now():%Y-%m}")
    [leak] = leaks.report(since=since, until=until)
    assert (leak.looks, leak.refusals, leak.grants, leak.products, leak.assortment) == (2, 1, 1, 2, 2)
    assert (leak.exact, leak.near, leak.bounded, leak.share_percent) == (1, 0, 1, 100) or leak.near == 1
    known = {row.sku: row for row in leaks.closest(since=since, until=until, partner=leak.partner)}
    assert known["OTHER"].words == "exactly 0"
    assert known["SAUCE"].words == "between 70,000 and 79,999"
    assert other.sku in known
    told = StringIO()
    call_command("leak_report", partner="RESELLER", stdout=told)
    assert "RESELLER is told capped:20" in told.getvalue()
    assert "SAUCE: between 70,000 and 79,999" in told.getvalue()
    told = StringIO()
    call_command("leak_report", json=True, stdout=told)
    assert json.loads(told.getvalue())["partners"][0]["products"] == 2
    with pytest.raises(CommandError, match="2026-11"):
        call_command("leak_report", month="yesterday")


def test_auditors_read_who_looked_up_what_and_change_nothing(api, sauce, staff):
    api(capped()).post("/availability", {"lines": [{"productId": "SAUCE"}]})
    lookups.flush()
    client = Client()
    client.force_login(staff)
    listed = client.get(reverse("admin:stock_lookup_changelist")).content.decode()
    assert "at least 20" in listed
    page = client.get(reverse("admin:stock_lookup_report") + "?partner=RESELLER").content.decode()
    assert "RESELLER is told capped:20" in page
    assert "at least 20" in page
    for wrong in ("month=x&partner=y%00", "month=9999-12"):
        assert client.get(reverse("admin:stock_lookup_report") + f"?{wrong}").status_code == 200
    assert client.get(reverse("admin:stock_lookup_add")).status_code == 403


def test_look_ups_are_kept_so_long_and_no_longer(sauce, retailer, settings):
    settings.LOOKUPS_KEPT_DAYS = 30
    now = timezone.now()
    for days in (0, 29, 31, 40):
        lookups.note(partner=retailer, known=[(sauce.pk, 1, 1)], at=now - timedelta(days=days))
    lookups.flush()
    RefusedSize.objects.create(partner=retailer, variant=sauce, quantity=1, at=now - timedelta(days=2))
    assert lookups.forget(at=now) == 3
    assert LookUp.objects.count() == 2
