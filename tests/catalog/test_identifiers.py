"""The numbers a product and its packs are known by: given once, found by any of them, shown to whom they belong."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction

from catalog.models import Identifier, Pack, SupplierItem, Variant
from tests import make

EACH, INNER, CASE, PALLET = "4006381333931", "14006381333938", "24006381333935", "34006381333932"
SAUCE = {"productId": "SAUCE", "name": "Habanero", "gtin": EACH}
NESTED = [
    {"name": "inner", "quantity": 6, "gtin": INNER},
    {"name": "case", "filledWith": "inner", "filledCount": 4, "gtin": CASE},
    {"name": "pallet", "filledWith": "case", "filledCount": 40, "gtin": PALLET},
]


@pytest.fixture
def shop(supplier):
    return make.make_partner(code="SHOP", kind="channel")


def everything() -> dict[str, list]:
    return {
        model.__name__: list(model.objects.order_by("pk").values())
        for model in (Variant, Pack, SupplierItem, Identifier)
    }


def numbers(product) -> set[tuple]:
    return {(row["scheme"], row["value"], row["level"], row["isMain"]) for row in product["identifiers"]}


def test_packs_nest_and_each_level_has_a_number_of_its_own(api, shop):
    made = api(shop).post("/products", SAUCE | {"packs": NESTED}).json()
    packs = {
        row["name"]: (row["level"], row["quantity"], row["filledWith"], row["filledCount"]) for row in made["packs"]
    }
    assert packs == {
        "inner": ("inner", 6, "", None), "case": ("case", 24, "inner", 4), "pallet": ("pallet", 960, "case", 40),
    }  # fmt: skip
    assert numbers(made) == {
        ("gtin", EACH, "each", True), ("gtin", INNER, "inner", True), ("gtin", CASE, "case", True),
        ("gtin", PALLET, "pallet", True),
    }  # fmt: skip


@pytest.mark.parametrize(("gtin", "level", "pack", "quantity"), [
    (EACH, "each", None, 1), (f"0{EACH}", "each", None, 1), (INNER, "inner", "inner", 6), (CASE, "case", "case", 24),
    (PALLET, "pallet", "pallet", 960),
])  # fmt: skip
def test_a_product_is_found_by_the_gtin_of_any_level_and_told_which(api, shop, gtin, level, pack, quantity):
    api(shop).post("/products", SAUCE | {"packs": NESTED})
    (found,) = api(shop).get(f"/products?gtin={gtin}").json()["items"]
    matched = found["matched"]
    assert (matched["level"], matched["pack"], matched["packQuantity"]) == (level, pack, quantity)
    assert api(shop).get("/products/SAUCE").json()["matched"] is None


@pytest.mark.parametrize(
    ("packs", "field"),
    [
        ([{"name": "case", "quantity": 12, "gtin": EACH}], "packs[0].gtin"),
        ([{"name": "case", "quantity": 12, "gtin": "24006381333936"}], "packs[0].gtin"),
        ([{"name": "case", "filledWith": "inner", "filledCount": 2}], "packs[0].filledWith"),
        ([{"name": "case", "filledWith": "case", "filledCount": 2}], "packs[0].filledWith"),
        ([NESTED[0], {"name": "case", "filledWith": "inner"}], "packs[1].quantity"),
        ([NESTED[0], {"name": "case", "filledWith": "inner", "quantity": 20}], "packs[1].quantity"),
        ([NESTED[0], {"name": "case", "filledWith": "inner", "filledCount": 1}], "packs[1].quantity"),
        ([NESTED[0], {"name": "case", "filledWith": "inner", "filledCount": 4, "quantity": 25}], "packs[1].quantity"),
        ([NESTED[0], {"name": "case", "filledWith": "inner", "filledCount": 1_000_000}], "packs[1].quantity"),
        ([{"name": "a", "filledWith": "b", "filledCount": 2}, {"name": "b", "filledWith": "a", "filledCount": 2}],
         "packs[1].filledWith"),
        ([{"name": "case", "quantity": 12, "level": "box"}], "packs[0].level"),
    ],
)  # fmt: skip
def test_packs_that_cannot_be_are_refused_by_field_and_change_nothing(api, shop, packs, field):
    client = api(shop)
    client.post("/products", SAUCE | {"packs": NESTED})
    before = everything()
    answer = client.patch("/products/SAUCE", {"packs": packs}, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert everything() == before


def test_what_hangs_on_a_pack_stays_with_its_name_and_numbers_may_go_round(api, shop, supplier):
    client = api(shop)
    offer = {"supplierId": "SUP-1", "pack": "case"}
    client.post("/products", SAUCE | {"packs": NESTED, "suppliers": [offer]})
    keys = dict(Pack.objects.values_list("name", "pk"))
    swapped = [
        {"name": "inner", "quantity": 8, "gtin": EACH},
        {"name": "case", "filledWith": "inner", "filledCount": 3, "gtin": INNER},
    ]
    change = {"gtin": CASE, "packs": swapped}
    answer = client.patch("/products/SAUCE", change, headers={"If-Match": '"1"'})
    assert answer.status_code == 200, answer.json()
    assert dict(Pack.objects.values_list("name", "pk")) == {name: keys[name] for name in ("inner", "case")}
    assert numbers(answer.json()) == {
        ("gtin", CASE, "each", True), ("gtin", f"0{EACH}", "inner", True), ("gtin", INNER, "case", True),
    }  # fmt: skip
    assert SupplierItem.objects.get().pack_id == keys["case"]
    same = client.patch("/products/SAUCE", change, headers={"If-Match": '"2"'})
    assert same["ETag"] == '"2"'
    lonely = client.patch("/products/SAUCE", {"packs": []}, headers={"If-Match": '"2"'}).json()
    assert (lonely["packs"], numbers(lonely)) == ([], {("gtin", CASE, "each", True)})
    assert SupplierItem.objects.get().pack_id is None


FURTHER = [
    {"scheme": "upc", "value": "085001234012"},
    {"scheme": "asin", "value": "b000-mq7x9a"},
    {"scheme": "oe", "value": "1K0 615 301 AA"},
    {"scheme": "brandPart", "value": "BP-77/a", "pack": "case"},
    {"scheme": "partner", "value": "R-1", "partnerId": "RET-1"},
    {"scheme": "gtin", "value": "2001234500128", "partnerId": "RET-1"},
]


def test_further_numbers_are_kept_as_received_and_sending_the_answer_back_changes_nothing(api, shop, retailer):
    client = api(shop)
    body = SAUCE | {"packs": [{"name": "case", "quantity": 24, "gtin": CASE}]}
    made = client.post("/products", body | {"identifiers": FURTHER}).json()
    assert {(row["scheme"], row["value"]) for row in made["identifiers"] if not row["isMain"]} == {
        (row["scheme"], row["value"]) for row in FURTHER
    }
    again = client.put("/products/SAUCE", made, headers={"If-Match": '"1"'})
    assert (again.status_code, again["ETag"]) == (200, '"1"')
    fewer = client.patch("/products/SAUCE", {"identifiers": FURTHER[:1]}, headers={"If-Match": '"1"'})
    assert (fewer["ETag"], len(fewer.json()["identifiers"])) == ('"2"', 3)


@pytest.mark.parametrize(
    ("number", "field"),
    [
        ({"scheme": "isbn", "value": "1"}, "scheme"),
        ({"scheme": "upc", "value": "085001234013"}, "value"),
        ({"scheme": "upc", "value": EACH}, "value"),
        ({"scheme": "ean", "value": "085001234012"}, "value"),
        ({"scheme": "gtin", "value": "0" * 14}, "value"),
        ({"scheme": "asin", "value": "B000"}, "value"),
        ({"scheme": "oe", "value": " "}, "value"),
        ({"scheme": "oe", "value": "x" * 81}, "value"),
        ({"scheme": "oe", "value": "1", "pack": "box"}, "pack"),
        ({"scheme": "partner", "value": "1"}, "partnerId"),
        ({"scheme": "partner", "value": "1", "partnerId": "NOBODY"}, "partnerId"),
        ({"scheme": "oe", "value": "1", "partnerId": "RET-1"}, "partnerId"),
        ({"scheme": "gtin", "value": "085001234012", "partnerId": "RET-1"}, "partnerId"),
    ],
)
def test_a_number_that_cannot_be_is_refused_by_field_and_changes_nothing(api, shop, retailer, number, field):
    client = api(shop)
    client.post("/products", SAUCE)
    before = everything()
    answer = client.patch("/products/SAUCE", {"identifiers": [number]}, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, f"identifiers[0].{field}")
    assert everything() == before


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"gtin": CASE}, "gtin_taken"),
        ({"packs": [{"name": "box", "quantity": 2, "gtin": EACH}]}, "gtin_taken"),
        ({"packs": [{"name": "box", "quantity": 2, "gtin": "085001234012"}]}, "gtin_taken"),
        ({"identifiers": [{"scheme": "ean", "value": EACH}]}, "gtin_taken"),
        ({"identifiers": [{"scheme": "gtin", "value": CASE}]}, "gtin_taken"),
        ({"identifiers": [{"scheme": "gtin", "value": "2001234500128", "partnerId": "RET-1"}]}, "gtin_taken"),
        ({"identifiers": [{"scheme": "asin", "value": "B000MQ7X9A"}]}, "identifier_taken"),
        ({"identifiers": [{"scheme": "partner", "value": "R-1", "partnerId": "RET-1"}]}, "identifier_taken"),
        ({"identifiers": [{"scheme": "supplier", "value": "H7", "partnerId": "SUP-1"}]}, "identifier_taken"),
    ],
)
def test_a_number_is_given_once_over_products_packs_and_further_numbers(api, shop, retailer, change, code):
    client = api(shop)
    packs, offers = [{"name": "case", "quantity": 24, "gtin": CASE}], [{"supplierId": "SUP-1", "supplierCode": "H7"}]
    made = client.post("/products", SAUCE | {"packs": packs, "suppliers": offers, "identifiers": FURTHER})
    assert made.status_code == 201
    client.post("/products", {"productId": "OTHER", "name": "x"})
    before = everything()
    answer = client.patch("/products/OTHER", change, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert everything() == before


def test_restricted_numbers_and_own_codes_are_given_once_for_each_partner(api, shop, retailer, stranger):
    client = api(shop)
    client.post("/products", SAUCE | {"gtin": "2001234500128"})
    for place, partner in enumerate(("RET-1", "RET-2")):
        own = [{"scheme": "gtin", "value": "2001234500128", "partnerId": partner},
               {"scheme": "partner", "value": "R-1", "partnerId": partner}]  # fmt: skip
        made = client.post("/products", {"productId": f"X{place}", "name": "x", "identifiers": own})
        assert made.status_code == 201, made.json()
    for partner, found in ((retailer, "X0"), (stranger, "X1"), (shop, "SAUCE")):
        told = api(partner).post("/barcodes/read", {"code": "2001234500128"}).json()
        assert (told["isRestricted"], told["matches"][0]["productId"]) == (True, found) or partner is shop
    assert api(retailer).post("/barcodes/read", {"code": "r1"}).json()["productId"] == "X0"
    assert api(make.make_partner()).post("/barcodes/read", {"code": "r1"}).status_code == 422


@pytest.mark.parametrize("scheme", ["partner", "supplier"])
def test_a_number_that_is_taken_is_named_whole_and_by_its_scheme(api, shop, supplier, scheme):
    number = {"identifiers": [{"scheme": scheme, "value": "7, left", "partnerId": "SUP-1"}]}
    api(shop).post("/products", {"productId": "A", "name": "x"} | number)
    answer = api(shop).post("/products", {"productId": "B", "name": "x"} | number)
    assert (answer.status_code, answer.json()["scheme"], answer.json()["value"]) == (409, scheme, "7, left")
    assert Identifier.objects.count() == 1


def test_a_partner_sees_no_others_numbers_and_keeps_them_by_changing_its_own(api, shop, supplier, retailer):
    client = api(shop)
    offers = [{"supplierId": "SUP-1", "supplierCode": "H7"}]
    others = [{"scheme": "partner", "value": "R-1", "partnerId": "RET-1"}, {"scheme": "oe", "value": "OE 1"}]
    client.post("/products", SAUCE | {"suppliers": offers, "identifiers": others})
    seen = api(supplier).get("/products/SAUCE").json()
    assert {row["value"] for row in seen["identifiers"]} == {EACH, "H7", "OE 1"}
    mine = [*(row for row in seen["identifiers"] if not row["isMain"]), {"scheme": "supplier", "value": "H7-OLD"}]
    answer = api(supplier).patch("/products/SAUCE", {"identifiers": mine}, headers={"If-Match": '"1"'})
    assert answer.status_code == 200, answer.json()
    kept = set(Identifier.objects.filter(is_main=False).values_list("value", "partner__code"))
    assert kept == {("R-1", "RET-1"), ("OE 1", None), ("H7-OLD", "SUP-1")}
    refused = api(supplier).patch(
        "/products/SAUCE",
        {"identifiers": [{"scheme": "partner", "value": "1", "partnerId": "RET-1"}]},
        headers={"If-Match": '"2"'},
    )
    assert refused.json()["errors"][0]["field"] == "identifiers[0].partnerId"


def test_of_a_shared_product_a_supplier_changes_its_own_numbers_alone(api, shop, supplier):
    rival = make.make_partner(code="SUP-2", kind="supplier")
    make.make_variant(sku="SHARED", suppliers=[supplier, rival])
    own = {"identifiers": [{"scheme": "supplier", "value": "A-9"}]}
    answer = api(supplier).patch("/products/SHARED", own, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer["ETag"]) == (200, '"2"')
    before = everything()
    general = {"identifiers": [{"scheme": "supplier", "value": "A-9"}, {"scheme": "oe", "value": "1"}]}
    answer = api(supplier).patch("/products/SHARED", general, headers={"If-Match": '"2"'})
    assert (answer.status_code, answer.json()["code"]) == (403, "kept_by_the_house")
    assert everything() == before
    assert api(supplier).post("/products", {"productId": "N", "name": "x", "gtin": "2001234500128"}).status_code == 422


def test_a_parent_gets_no_gtin_under_any_name_and_what_has_one_becomes_no_parent(api, shop):
    client = api(shop)
    for body in ({"productId": "P"}, {"productId": "V", "parentId": "P"}):
        client.post("/products", body | {"name": "x"})
    upc = {"identifiers": [{"scheme": "upc", "value": "085001234012"}]}
    answer = client.patch("/products/P", upc, headers={"If-Match": '"2"'})
    assert answer.json()["errors"][0]["field"] == "identifiers[0].scheme"
    client.post("/products", {"productId": "SOLD", "name": "x"} | upc)
    answer = client.post("/products", {"productId": "W", "name": "x", "parentId": "SOLD"})
    assert answer.json()["errors"][0]["field"] == "parentId"
    packs = {"packs": [{"name": "case", "quantity": 6, "gtin": "10614141000415"}]}
    answer = client.patch("/products/P", packs, headers={"If-Match": '"2"'})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "packs")
    assert not Identifier.objects.filter(variant__sku="P").exists()


@pytest.mark.parametrize(
    ("statement", "guard"),
    [
        ("INSERT INTO catalog_identifier (variant_id, scheme, value, plain, is_main)"
         " SELECT id, 'ean', 'x', '04006381333931', false FROM catalog_variant WHERE sku = 'B'", "identifier_gtin_unique"),
        ("UPDATE catalog_variant SET gtin14 = '24006381333935' WHERE sku = 'B'", "identifier_gtin_unique"),
        ("UPDATE catalog_pack SET gtin14 = '04006381333931'", "identifier_gtin_unique"),
        ("UPDATE catalog_variant SET gtin14 = '04006381333932' WHERE sku = 'B'", "identifier_gtin_is_sound"),
        ("UPDATE catalog_variant SET gtin14 = '00000000000000' WHERE sku = 'B'", "identifier_gtin_is_sound"),
        ("UPDATE catalog_identifier SET partner_id = (SELECT min(id) FROM partners_partner)",
         "identifier_is_somebodys_or_everybodys"),
        ("UPDATE catalog_pack SET filled_with_id = id, filled_quantity = 5", "pack_is_filled_evenly"),
        ("SET CONSTRAINTS ALL IMMEDIATE; UPDATE catalog_identifier SET pack_id = (SELECT id FROM catalog_pack),"
         " variant_id = (SELECT id FROM catalog_variant WHERE sku = 'B')", "identifier_on_a_pack_of_its_product"),
        ("SET CONSTRAINTS ALL IMMEDIATE; UPDATE catalog_supplieritem SET pack_id = (SELECT id FROM catalog_pack)",
         "supplier_item_comes_in_a_pack_of_its_product"),
        ("UPDATE catalog_supplieritem SET cost = 1", "supplier_item_cost_has_a_currency"),
        ("UPDATE catalog_supplieritem SET lead_time_deviation_days = 1", "supplier_item_deviation_of_a_lead_time"),
    ],
)  # fmt: skip
def test_the_database_is_the_last_guard_of_numbers_packs_and_offers(supplier, statement, guard):
    variant = make.make_variant(sku="A", gtin=EACH, gtin14=f"0{EACH}")
    make.make_variant(sku="B", suppliers=[supplier])
    Pack.objects.create(variant=variant, name="case", quantity=24, gtin14=CASE)
    before = everything()
    with pytest.raises(IntegrityError, match=guard), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert everything() == before


def test_whoever_writes_a_number_into_its_column_finds_it_among_the_identifiers(supplier):
    variant = make.make_variant(sku="A", gtin=EACH, gtin14=f"0{EACH}", suppliers=[supplier])
    pack = Pack.objects.create(variant=variant, name="case", quantity=24, gtin14=CASE)
    SupplierItem.objects.update(supplier_code="h-7")

    def found() -> set[tuple]:
        return set(Identifier.objects.values_list("scheme", "plain", "pack__name", "partner__code"))

    assert found() == {
        ("gtin", f"0{EACH}", None, None), ("gtin", CASE, "case", None), ("supplier", "H7", None, "SUP-1"),
    }  # fmt: skip
    with connection.cursor() as cursor:
        # Two numbers change places in one statement.
        cursor.execute("UPDATE catalog_variant SET gtin = '', gtin14 = ''")
    SupplierItem.objects.update(supplier_code="", pack=pack)
    pack.gtin14 = INNER
    pack.save()
    assert found() == {("gtin", INNER, "case", None)}
    SupplierItem.objects.all().delete()
    variant.delete()
    assert found() == set()
