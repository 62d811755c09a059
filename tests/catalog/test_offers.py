"""What a supplier's offer says: in which pack, how soon, for how much; and who is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog.models import Identifier, SupplierItem, Variant
from tests import make
from tests.catalog.test_load_catalog import run, write

SAMPLES = Path(__file__).parent / "samples"
TERMS = {
    "pack": "case", "minimumOrderQuantity": 48, "orderMultiple": 24, "leadTimeDays": "12.5",
    "leadTimeDeviationDays": "3.25", "cost": "1.2345", "currency": "EUR", "lastConfirmedOn": "2026-11-01",
}  # fmt: skip
SAUCE = {
    "productId": "SAUCE", "name": "Sauce", "packs": [{"name": "case", "quantity": 24}],
    "suppliers": [{"supplierId": "SUP-1", "supplierCode": "H7"} | TERMS],
}  # fmt: skip


@pytest.fixture
def shop(supplier):
    return make.make_partner(code="SHOP", kind="channel")


def terms(client) -> list[dict]:
    return [{name: row[name] for name in TERMS} for row in client.get("/products/SAUCE").json()["suppliers"]]


def test_terms_are_told_to_the_supplier_and_the_house_and_to_nobody_else(api, shop, supplier, retailer):
    made = api(shop).post("/products", SAUCE)
    assert made.status_code == 201, made.json()
    assert terms(api(shop)) == [TERMS]
    assert terms(api(supplier)) == [TERMS]
    assert terms(api(retailer)) == [dict.fromkeys(TERMS)]


def test_a_supplier_edits_its_own_terms_and_what_it_does_not_say_stays(api, shop, supplier):
    api(shop).post("/products", SAUCE)
    client = api(supplier)
    change = {
        "suppliers": [{"supplierId": "SUP-1", "supplierCode": "H7", "leadTimeDays": "9", "minimumOrderQuantity": None}]
    }
    answer = client.patch("/products/SAUCE", change, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer["ETag"]) == (200, '"2"')
    assert terms(client) == [TERMS | {"leadTimeDays": "9", "minimumOrderQuantity": None}]
    assert client.patch("/products/SAUCE", change, headers={"If-Match": '"2"'})["ETag"] == '"2"'
    whole = client.get("/products/SAUCE").json()
    assert client.put("/products/SAUCE", whole, headers={"If-Match": '"2"'})["ETag"] == '"2"'


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"pack": "box"}, "pack"),
        ({"minimumOrderQuantity": 0}, "minimumOrderQuantity"),
        ({"orderMultiple": 1.5}, "orderMultiple"),
        ({"leadTimeDays": "-1"}, "leadTimeDays"),
        ({"leadTimeDays": "NaN"}, "leadTimeDays"),
        ({"leadTimeDays": None}, "leadTimeDeviationDays"),
        ({"leadTimeDeviationDays": "1.234"}, "leadTimeDeviationDays"),
        ({"cost": "12345678901"}, "cost"),
        ({"currency": None}, "currency"),
        ({"currency": "EUX"}, "currency"),
        ({"lastConfirmedOn": "soon"}, "lastConfirmedOn"),
    ],
)
def test_terms_that_cannot_be_are_refused_by_field_and_change_nothing(api, shop, change, field):
    api(shop).post("/products", SAUCE)
    before = list(SupplierItem.objects.values()), Variant.objects.get().version
    offer = {"supplierId": "SUP-1", "supplierCode": "H8"} | change
    answer = api(shop).patch("/products/SAUCE", {"suppliers": [offer]}, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, f"suppliers[0].{field}")
    assert (list(SupplierItem.objects.values()), Variant.objects.get().version) == before


COLUMNS = (
    "productId,name,supplierId,supplierCode,moq,orderMultiple,leadTimeDays,leadTimeDeviationDays,cost,currency,"
    "lastConfirmedOn,asin,oe\n"
)


def test_a_file_says_terms_and_further_numbers_and_empty_cells_leave_them(db, tmp_path, supplier):
    row = "SAUCE,Sauce,SUP-1,H7,48,24,12.5,3.25,1.2345,eur,2026-11-01,B000MQ7X9A,1K0 615; 1K0 616\n"
    path = write(tmp_path, COLUMNS + row)
    assert run("load_catalog", path) == ("created 1\n", "", 0)
    item = SupplierItem.objects.get()
    assert (item.minimum_quantity, str(item.lead_time_deviation_days), str(item.cost), item.currency) == (
        48, "3.25", "1.2345", "EUR",
    )  # fmt: skip
    assert set(Identifier.objects.filter(is_main=False).values_list("scheme", "plain")) == {
        ("asin", "B000MQ7X9A"), ("oe", "1K0615"), ("oe", "1K0616"),
    }  # fmt: skip
    assert run("load_catalog", path) == ("unchanged 1\n", "", 0)
    assert run("load_catalog", write(tmp_path, COLUMNS + "SAUCE,Sauce,SUP-1,,,,,,,,,,1K0 615\n"))[0] == "revised 1\n"
    item.refresh_from_db()
    assert (item.supplier_code, item.minimum_quantity) == ("H7", 48)
    assert set(Identifier.objects.filter(is_main=False).values_list("scheme", flat=True)) == {"asin", "oe"}
    assert Identifier.objects.filter(scheme="oe").count() == 1


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ("0,,,,,,,,", "minimumOrderQuantity: is one stock unit or more"),
        (",,x,,,,,,", "leadTimeDays: 'x' is no number"),
        (",,,1,,,,,", "leadTimeDeviationDays: A deviation needs"),
        (",,,,1,,,,", "currency: A cost and its currency go together"),
        (",,,,1,EUX,,,", "is no currency of ISO 4217"),
        (",,,,,,soon,,", "lastConfirmedOn: 'soon' is not a date"),
        (",,,,,,,B1,", "An ASIN has ten"),
    ],
)
def test_a_bad_cell_of_terms_refuses_its_row(db, tmp_path, supplier, cells, reason):
    said, refused, code = run("load_catalog", write(tmp_path, COLUMNS + f"SAUCE,Sauce,SUP-1,,{cells}\n"))
    assert (said, code, Variant.objects.count()) == ("refused 1\n", 1, 0)
    assert reason in refused


def test_real_barcodes_are_mended_by_proof_kept_with_a_note_or_refused_with_their_reason(db):
    said, refused, code = run("load_catalog", SAMPLES / "real_barcodes.csv")
    assert said.splitlines() == [
        "row 3: gtin: 72457331181 lost its leading zeros, restored to 072457331181",
        "row 6: gtin: 20026752 is of restricted circulation, kept as a number of our own house",
        "row 7: gtin: 0200030071050 is of restricted circulation, kept as a number of our own house",
        "created 4, refused 4",
    ]
    assert refused.splitlines() == [
        "row 4: gtin: the check digit of 69645000416 is wrong, with and without leading zeros",
        "row 5: gtin: 8.53E+11 is what a spreadsheet made of a long number: its digits are lost; send it as text.",
        "row 8: gtin: The check digit of 2000000000043 is wrong: 200000000004 ends in 6.",
        "row 9: gtin: the check digit of 00006860 is wrong, with and without leading zeros",
    ]
    assert code == 1
    assert set(Variant.objects.values_list("sku", "gtin14")) == {
        ("OFF-1", "00000101209159"), ("OFF-2", "00072457331181"), ("OFF-5", "00000020026752"),
        ("OBF-1", "00200030071050"),
    }  # fmt: skip
