"""What things cost: one price at any moment, the best for who asks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange

from catalog.models import Price, PriceList
from catalog.operations import prices
from catalog.operations.prices import PriceOf, PriceOverlaps
from tests import make
from tests.catalog.test_load_catalog import run, write

JAN, FEB, MAR, APR = (datetime(2027, month, 1, tzinfo=UTC) for month in (1, 2, 3, 4))


def make_list(code="GENERAL", **fields) -> PriceList:
    return PriceList.objects.create(**{"code": code, "currency": "EUR"} | fields)


def put(price_list, variant, amount, *, since=JAN, until=None, from_quantity=1):
    price = PriceOf(
        price_list=price_list, variant=variant, amount=Decimal(str(amount)), since=since, until=until,
        from_quantity=from_quantity,
    )  # fmt: skip
    (outcome,) = prices.set_prices(prices=[price], actor=make.TESTER)
    return outcome


def spans(**fields) -> list[tuple]:
    rows = Price.objects.filter(**fields).order_by("valid")
    return [(row.valid.lower, row.valid.upper, float(row.amount)) for row in rows]


def asked(client, *lines, at=FEB, **fields) -> list[dict]:
    wishes = [{"productId": sku, "quantity": quantity} for sku, quantity in lines]
    answer = client.post("/prices/lookup", {"lines": wishes, "at": at.isoformat()} | fields)
    assert answer.status_code == 200, answer.json()
    return answer.json()["lines"]


@pytest.fixture
def sauce(db):
    return make.make_variant(sku="SAUCE")


def test_a_price_that_begins_later_ends_the_one_before_it(sauce):
    general = make_list()
    assert [put(general, sauce, 10), put(general, sauce, 12, since=MAR)] == ["created", "created"]
    assert spans() == [(JAN, MAR, 10), (MAR, None, 12)]
    assert [put(general, sauce, 10), put(general, sauce, 12, since=MAR)] == ["unchanged", "unchanged"]
    assert put(general, sauce, 11, since=FEB) == "created"
    assert spans() == [(JAN, FEB, 10), (FEB, MAR, 11), (MAR, None, 12)]
    assert put(general, sauce, 13, since=MAR) == "revised"
    assert spans()[-1] == (MAR, None, 13)
    told = Price.history.filter(amount=10).order_by("history_id").values_list("history_type", "actor", "valid")
    assert [(kind, actor) for kind, actor, _ in told] == [
        ("+", "job:unnamed"),
        ("~", "job:unnamed"),
        ("~", "job:unnamed"),
    ]


@pytest.mark.parametrize(("since", "until"), [(FEB, MAR), (JAN - timedelta(days=9), FEB), (JAN, APR)])
def test_a_price_within_anothers_time_is_refused_and_changes_nothing(sauce, since, until):
    general = make_list()
    put(general, sauce, 10)
    put(general, sauce, 12, since=MAR)
    before = list(Price.objects.order_by("pk").values()), Price.history.count()
    outcome = put(general, sauce, 9, since=since, until=until)
    if until == MAR:
        assert outcome == "created", "it ends where the next one begins"
        return
    assert isinstance(outcome, PriceOverlaps)
    assert outcome.data["validFrom"] == (MAR if until == APR else JAN).isoformat()
    assert (list(Price.objects.order_by("pk").values()), Price.history.count()) == before


def test_the_database_knows_no_two_prices_at_once(sauce):
    general = make_list()
    put(general, sauce, 10)
    fields = {"price_list": general, "variant": sauce, "amount": 1}
    for bad, guard in (
        ({"valid": DateTimeTZRange(FEB, MAR)}, "price_never_two_at_once"),
        ({"valid": DateTimeTZRange(None, JAN)}, "price_valid_for_some_time"),
        ({"valid": DateTimeTZRange(JAN, JAN), "from_quantity": 5}, "price_valid_for_some_time"),
        ({"valid": DateTimeTZRange(JAN, None), "from_quantity": 0}, "price_from_one_unit_on"),
        ({"valid": DateTimeTZRange(JAN, None), "from_quantity": 5, "amount": -1}, "price_not_negative"),
    ):
        with pytest.raises(IntegrityError, match=guard), transaction.atomic():
            Price.objects.create(**fields | bad)
    Price.objects.create(**fields | {"valid": DateTimeTZRange(JAN, None), "from_quantity": 5})
    Price.objects.create(**fields | {"valid": DateTimeTZRange(JAN - timedelta(days=1), JAN)})


def test_a_partners_list_beats_its_channels_and_that_everybodys_and_then_priority(api, sauce, retailer):
    shop = make.make_partner(code="SHOP", kind="channel")
    for code, fields, amount in (
        ("GENERAL", {}, 10), ("PROMO", {"priority": 5}, 9), ("WEB", {"channel": "web"}, 8),
        ("SHOPS", {"channel": "SHOP"}, 7), ("THEIRS", {"partner": retailer}, 11), ("OLD", {"is_active": False}, 1),
    ):  # fmt: skip
        put(make_list(code, **fields), sauce, amount)
    stranger = make.make_partner()
    for partner, body, expect in (
        (retailer, {}, ("11", "THEIRS")), (stranger, {}, ("9", "PROMO")), (shop, {}, ("7", "SHOPS")),
        (shop, {"channel": "web"}, ("7", "SHOPS")),
    ):  # fmt: skip
        (line,) = asked(api(partner), ("SAUCE", 1), **body)
        assert (line["unitPrice"], line["priceList"], line["status"]) == (*expect, "priced"), (partner, body)
    PriceList.objects.filter(code="SHOPS").update(is_active=False)
    assert asked(api(shop), ("SAUCE", 1), channel="web")[0]["priceList"] == "WEB"
    refused = api(retailer).post("/prices/lookup", {"lines": [{"productId": "SAUCE"}], "channel": "web"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "channel")


def test_of_two_lists_that_stand_alike_the_code_that_comes_first_answers_whichever_was_made_first(api, sauce):
    """Capitals before small letters, and no matter how the database sorts texts."""
    shop = make.make_partner(code="SHOP", kind="channel")
    for code, fields, amount in (
        ("autumn", {"channel": "web"}, 5), ("SPRING", {"channel": "web"}, 6), ("WINTER", {"channel": "SHOP"}, 4),
        ("A-DOLLAR", {"currency": "USD"}, 1), ("B-EURO", {}, 2),
    ):  # fmt: skip
        put(make_list(code, **fields), sauce, amount)

    def answer(**body) -> str:
        return asked(api(shop), ("SAUCE", 1), channel="web", **body)[0]["priceList"]

    assert answer() == "SPRING"
    PriceList.objects.filter(code="autumn").update(priority=1)
    assert answer() == "autumn", "who means one of them gives it the higher priority"
    Price.objects.exclude(price_list__channel="").delete()
    assert (answer(), answer(currency="EUR")) == ("A-DOLLAR", "B-EURO")


def test_the_greatest_break_that_is_reached_counts_and_else_the_next_list(api, sauce, retailer):
    general, theirs = make_list(), make_list("THEIRS", partner=retailer)
    put(general, sauce, "10.5000")
    put(general, sauce, "9.1250", from_quantity=10)
    put(theirs, sauce, 8, from_quantity=100)
    lines = asked(api(retailer), ("SAUCE", 1), ("SAUCE", 9), ("SAUCE", 10), ("SAUCE", 100))
    assert [(line["unitPrice"], line["fromQuantity"], line["priceList"]) for line in lines] == [
        ("10.5", 1, "GENERAL"), ("10.5", 1, "GENERAL"), ("9.125", 10, "GENERAL"), ("8", 100, "THEIRS"),
    ]  # fmt: skip


def test_a_price_is_told_with_the_moment_until_which_it_is_the_answer(api, sauce, retailer):
    general, theirs = make_list(), make_list("THEIRS", partner=retailer)
    put(general, sauce, 10)
    put(general, sauce, 12, since=APR)
    client = api(retailer)

    def told(at) -> tuple:
        (line,) = asked(client, ("SAUCE", 1), at=at)
        until = line["validUntil"]
        return line["unitPrice"], datetime.fromisoformat(until) if until else None

    assert told(JAN - timedelta(seconds=1)) == (None, JAN), "that there is no price ends, too"
    assert [told(at) for at in (JAN, APR)] == [("10", APR), ("12", None)]
    put(theirs, sauce, 9, since=MAR, until=APR)
    assert [told(at) for at in (FEB, MAR, APR)] == [("10", MAR), ("9", APR), ("12", None)]
    put(theirs, sauce, 7, since=FEB, from_quantity=50)
    assert told(JAN) == ("10", MAR), "a break that is not reached ends nothing"


def test_what_has_no_price_or_is_not_theirs_is_told_and_the_others_are_answered(api, sauce, supplier):
    put(make_list(), sauce, 10)
    put(make_list("USD", currency="USD"), mine := make.make_variant(sku="MINE", suppliers=[supplier]), 5)
    lines = asked(api(supplier), ("SAUCE", 1), ("MINE", 2), ("NONE", 1), ("MINE", 1))
    assert [(line["status"], line["unitPrice"], line["currency"]) for line in lines] == [
        ("unknownProduct", None, None), ("priced", "5", "USD"), ("unknownProduct", None, None), ("priced", "5", "USD"),
    ]  # fmt: skip
    (line,) = asked(api(supplier), ("MINE", 2), currency="EUR")
    assert (line["status"], line["productId"], line["quantity"]) == ("noPrice", mine.sku, 2)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"lines": []}, "lines"),
        ({"lines": [{"productId": "SAUCE"}] * 501}, "lines"),
        ({"lines": [{"productId": "SAUCE", "quantity": 0}]}, "lines[0].quantity"),
        ({"lines": [{"productId": "SAUCE"}], "currency": "EUX"}, "currency"),
        ({"lines": [{"productId": "SAUCE"}], "at": "yesterday"}, "at"),
    ],
)
def test_a_question_that_cannot_be_is_refused_by_field(api, retailer, sauce, body, field):
    answer = api(retailer).post("/prices/lookup", body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


@pytest.mark.parametrize("count", [1, 500])
def test_all_lines_are_answered_by_one_query(api, retailer, django_assert_num_queries, count):
    general = make_list()
    for number in range(3):
        put(general, make.make_variant(sku=f"S{number}"), number)
    client = api(retailer)
    with django_assert_num_queries(2):  # the token, and the prices
        lines = asked(client, *[(f"S{number % 4}", 1) for number in range(count)])
    assert [line["unitPrice"] for line in lines[:4]] == ["0", "1", "2", None][:count]


HEADER = "priceList,productId,fromQuantity,amount,currency,validFrom,validUntil\n"


def test_a_file_of_prices_is_loaded_once_however_often_it_comes(sauce, tmp_path):
    make_list()
    path = write(
        tmp_path,
        HEADER + "GENERAL,SAUCE,,12.50,EUR,2027-01-01,\nGENERAL,SAUCE,,13,,2027-02-01T00:00:00+00:00,\n"
        "GENERAL,SAUCE,10,11.1234,eur,2027-01-01,2027-03-01\n",
        "prices.csv",
    )
    assert run("load_prices", path) == ("created 3\n", "", 0)
    assert spans(from_quantity=1) == [(JAN, FEB, 12.5), (FEB, None, 13)]
    assert spans(from_quantity=10) == [(JAN, MAR, 11.1234)]
    assert run("load_prices", path) == ("unchanged 3\n", "", 0)
    assert set(Price.history.values_list("actor", flat=True)) == {"job:load_prices"}


def test_a_price_without_a_beginning_holds_from_now_and_said_again_changes_nothing(sauce, tmp_path):
    make_list()
    rows = '{"priceList": "GENERAL", "productId": "SAUCE", "amount": 12.5}\n'
    path = write(tmp_path, rows, "prices.jsonl")
    assert run("load_prices", path)[0] == "created 1\n"
    assert run("load_prices", path)[0] == "unchanged 1\n"
    assert Price.objects.count() == 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("NONE,SAUCE,,1,,,", "priceList: there is no price list NONE"),
        ("GENERAL,NONE,,1,,,", "productId: there is no product NONE"),
        ("GENERAL,SAUCE,0,1,,,", "fromQuantity: a price is from 1 stock unit on"),
        ("GENERAL,SAUCE,x,1,,,", "fromQuantity: 'x' is not a whole number"),
        ("GENERAL,SAUCE,,,,,", "amount: is missing"),
        ("GENERAL,SAUCE,,-1,,,", "amount: '-1' is no number"),
        ("GENERAL,SAUCE,,1e3,,,", "amount: '1e3' is no number"),
        ("GENERAL,SAUCE,,NaN,,,", "amount: 'NaN' is no number"),
        ("GENERAL,SAUCE,,1.23456,,,", "more than 4 decimals"),
        ("GENERAL,SAUCE,,12345678901,,,", "more than 10 digits"),
        ("GENERAL,SAUCE,,1,USD,,", "currency: GENERAL is in EUR, not in USD"),
        ("GENERAL,SAUCE,,1,,soon,", "validFrom: 'soon' is no time"),
        ("GENERAL,SAUCE,,1,,2027-02-01,2027-02-01", "validUntil: 2027-02-01 00:00 is not after"),
        ("GENERAL,SAUCE,,1,,2027-02-01,2027-03-01", "price_overlaps: 12.5 is valid from 2027-01-01 00:00 on"),
    ],
)
def test_a_bad_row_of_prices_is_refused_and_the_good_ones_stay(sauce, tmp_path, row, reason):
    make_list()
    good = "GENERAL,SAUCE,,12.5,,2027-01-01,\n"
    said, refused, code = run("load_prices", write(tmp_path, f"{HEADER}{good}{row}\n", "prices.csv"))
    assert (said, code) == ("created 1, refused 1\n", 1)
    assert refused.startswith("row 3: ")
    assert reason in refused
    assert spans() == [(JAN, None, 12.5)]


def test_a_dry_run_of_prices_changes_nothing(sauce, tmp_path):
    make_list()
    path = write(tmp_path, HEADER + "GENERAL,SAUCE,,12.5,,,\n", "prices.csv")
    assert run("load_prices", path, check=True) == ("would be: created 1\n", "", 0)
    assert (Price.objects.count(), Price.history.count()) == (0, 0)


@pytest.mark.parametrize("count", [2, 200])
def test_many_prices_cost_as_few_statements_as_two(db, count, django_assert_max_num_queries):
    general = make_list()
    variants = [make.make_variant() for _ in range(count)]
    for amount, since in ((1, JAN), (2, FEB)):  # the second time each ends the one before it
        wishes = [
            PriceOf(price_list=general, variant=variant, amount=Decimal(amount), since=since) for variant in variants
        ]
        with django_assert_max_num_queries(14):
            assert set(prices.set_prices(prices=wishes, actor=make.TESTER)) == {"created"}
