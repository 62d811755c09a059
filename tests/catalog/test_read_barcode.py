"""POST /barcodes/read: what a scan is, for whoever scans it."""

from __future__ import annotations

from datetime import date

import pytest

from catalog import scans
from catalog.models import Identifier, Pack
from tests import make

GTIN, CASE = "09506000134352", "19506000134359"
GS = "\x1d"


@pytest.fixture
def sauce(supplier):
    variant = make.make_variant(sku="SAUCE", name="Sauce", gtin=GTIN, gtin14=GTIN, suppliers=[supplier])
    Pack.objects.create(variant=variant, name="case", quantity=24, gtin14=CASE)
    Identifier.objects.create(variant=variant, scheme="oe", value="1K0 615-301", plain="1K0615301")
    return variant


def read(client, code) -> dict:
    answer = client.post("/barcodes/read", {"code": code}, headers={"Idempotency-Key": None})
    assert answer.status_code == 200, answer.json()
    return answer.json()


@pytest.mark.parametrize(
    ("code", "expect"),
    [
        (GTIN, {"kind": "gtin", "level": "each", "pack": None, "quantity": 1}),
        (f"]E0{GTIN[1:]}", {"kind": "gtin", "level": "each", "quantity": 1}),
        (CASE, {"kind": "gtin", "level": "case", "pack": "case", "quantity": 24, "gtin": CASE}),
        (f"01{GTIN}17271100{'10L1'}{GS}21S1", {
            "kind": "elements", "batchNumber": "L1", "serialNumber": "S1", "expirationDate": "2027-11-30", "quantity": 1}),
        (f"02{CASE}37" + "3" + GS + "15280200", {"level": "case", "quantity": 72, "expirationDate": "2028-02-29"}),
        (f"01{GTIN}30" + "7", {"quantity": 7}),
        (f"https://id.gs1.org/01/{CASE}/10/L1?17=271130", {"kind": "link", "pack": "case", "batchNumber": "L1"}),
        ("1k0615 301", {"kind": "code", "quantity": 1, "gtin": None}),
        ("SAUCE", {"kind": "code", "quantity": 1}),
    ],
)  # fmt: skip
def test_a_scan_is_a_product_a_pack_a_batch_and_a_quantity(api, retailer, sauce, code, expect):
    told = read(api(retailer), code)
    assert told["productId"] == "SAUCE"
    assert {name: told[name] for name in expect} == expect


def test_a_logistic_unit_is_told_with_every_field_it_carries(api, retailer, sauce):
    told = read(api(retailer), f"00106141412345678908{GS}02{GTIN}3724{GS}3102001250")
    assert (told["sscc"], told["quantity"]) == ("106141412345678908", 24)
    assert told["elements"][3] == {"ai": "3102", "title": "NET WEIGHT (kg)", "value": "001250", "meaning": "12.50 kg"}


def test_a_sound_code_of_what_is_not_there_or_not_theirs_looks_alike(api, retailer, sauce):
    rival = make.make_partner(code="SUP-2", kind="supplier")
    hidden, missing = read(api(rival), GTIN), read(api(rival), "4006381333931")
    assert hidden | {"gtin": missing["gtin"]} == missing
    assert (missing["productId"], missing["matches"], missing["quantity"]) == (None, [], None)
    for code in ("SAUCE", "1K0615301"):
        assert api(rival).post("/barcodes/read", {"code": code}).status_code == 422


def test_a_number_of_several_products_is_told_with_all_of_them_and_chosen_by_nobody(api, retailer, sauce):
    other = make.make_variant(sku="OTHER")
    Identifier.objects.create(variant=other, scheme="oe", value="1K0615301", plain="1K0615301")
    told = read(api(retailer), "1K0615301")
    assert (told["productId"], told["quantity"]) == (None, None)
    assert [row["productId"] for row in told["matches"]] == ["OTHER", "SAUCE"]


def test_a_code_that_cannot_be_used_is_told_field_by_field(api, retailer, sauce):
    answer = api(retailer).post("/barcodes/read", {"code": f"0109506000134350{'17991301'}"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert [row.get("ai") for row in answer.json()["errors"]] == ["01", "17", None]
    for code in (None, 5, "", "x" * 501, "\ufffe"):
        answer = api(retailer).post("/barcodes/read", {"code": code})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "code"), code


@pytest.mark.parametrize(("code", "queries"), [(GTIN, 1), ("1K0615301", 1), ("SAUCE", 2)])
def test_a_scan_costs_one_look_up(api, retailer, sauce, django_assert_num_queries, code, queries):
    client = api(retailer)
    with django_assert_num_queries(1 + queries):  # the token
        read(client, code)


@pytest.mark.parametrize(("code", "is_sauce"), [
    (GTIN, True), (CASE, True), (f"01{GTIN}10L1", True), ("SAUCE", True), ("1k0615 301", True), ("THEIRS-1", True),
    ("OTHER", False), ("4006381333931", False), ("\x00", False), ("", False)])  # fmt: skip
def test_of_a_product_in_the_hand_it_is_told_whether_a_label_is_its_own(supplier, sauce, code, is_sauce):
    """Whoever gave it the number: a supplier's own is on the box as well."""
    Identifier.objects.create(variant=sauce, scheme="supplier", value="THEIRS-1", plain="THEIRS1", partner=supplier)
    read = scans.on_label_of(variant=sauce, code=code, today=date(2026, 1, 1))
    assert bool(read.matches) == is_sauce
