"""The catalog over the API."""

from __future__ import annotations

import pytest

from catalog.models import Fitment, KitComponent, Pack, SupplierItem, Variant
from tests import make

GTIN = "4006381333931"
SAUCE = {
    "productId": "SAUCE",
    "name": "Habanero No. 7",
    "brand": "Fire & Co",
    "productType": "food",
    "gtin": GTIN,
    "attributes": {"heat": "hot", "allergens": ["mustard"]},
    "tracking": "batch",
    "shelfLifeDays": 720,
    "packs": [{"name": "case", "quantity": 12}],
    "suppliers": [{"supplierId": "SUP-1", "supplierCode": "H7"}],
}
CASE = {"name": "case", "quantity": 12, "gtin": "", "level": "case", "filledWith": "", "filledCount": None}


def offers(product):
    """Whose offers a product's answer tells of, and under which numbers."""
    return [(row["supplierId"], row["supplierCode"]) for row in product["suppliers"]]


@pytest.fixture
def shop(supplier):
    """Our own web shop, which may write the catalog; SUP-1 is there."""
    return make.make_partner(code="SHOP", kind="channel")


def test_a_product_is_created_read_and_found(api, shop, retailer):
    made = api(shop).post("/products", SAUCE)
    assert (made.status_code, made["Location"], made["ETag"]) == (201, "/api/v1/products/SAUCE", '"1"')
    body = api(retailer).get("/products/SAUCE").json()
    packs, suppliers = body.pop("packs"), body.pop("suppliers")
    assert packs == [CASE]
    assert offers({"suppliers": suppliers}) == [("SUP-1", "H7")]
    assert body == body | {name: value for name, value in SAUCE.items() if name not in {"packs", "suppliers"}}
    for query in (
        "q=habanero", "q=SAUC", f"q={GTIN}", f"gtin={GTIN}", f"gtin=0{GTIN}", "brand=fire %26 co", "productType=food",
        "supplierId=SUP-1", "attributes.heat=hot",
    ):  # fmt: skip
        found = api(retailer).get(f"/products?{query}").json()["items"]
        assert [row["productId"] for row in found] == ["SAUCE"], query
    for query in ("q=ketchup", "gtin=4006381333924", "attributes.heat=mild", "supplierId=SUP-9"):
        assert api(retailer).get(f"/products?{query}").json()["items"] == [], query


@pytest.mark.parametrize("gtin", ["abc", "4006381333931x", "400638133393100", "%D9%A1%D9%A2", "%00"])
def test_what_can_be_no_gtin_is_refused_by_name(api, shop, gtin):
    answer = api(shop).get(f"/products?gtin={gtin}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
    assert answer.json()["detail"].startswith("gtin:")


def test_a_product_keeps_its_address(api, shop):
    client = api(shop)
    client.post("/products", SAUCE)
    before = client.get("/products/SAUCE").json()
    for method in ("PATCH", "PUT"):
        answer = client.request(
            method, "/products/SAUCE", SAUCE | {"productId": "SAUCE-2"}, headers={"If-Match": '"1"'}
        )
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "productId")
    assert client.get("/products/SAUCE").json() == before


@pytest.mark.parametrize("products", [3, 30])
def test_a_page_costs_the_same_queries_however_many_products_there_are(
    api, shop, retailer, django_assert_num_queries, products
):
    for n in range(products):
        make.make_variant(sku=f"S-{n:02}", brand="Fire & Co", attributes={"heat": "hot"})
    fitted = Variant.objects.get(sku="S-00")
    Fitment.objects.create(variant=fitted, make="Honda", model="Civic", year_from=2012, year_to=2015)
    client = api(retailer)
    client.get("/products")
    for query, cost in (
        ("", 6), ("?brand=FIRE %26 co", 6), ("?attributes.heat=hot", 6), ("?make=honda&model=CIVIC&year=2013", 6),
        ("/S-00/fitments", 3),
    ):  # fmt: skip
        with django_assert_num_queries(cost):
            assert client.get(f"/products{query}").json()["items"] != [], query


def test_a_revision_needs_the_version_it_was_made_from_and_leaves_a_trace(api, shop):
    client = api(shop)
    client.post("/products", SAUCE)
    change = {"name": "Habanero No. 8"}
    assert client.patch("/products/SAUCE", change).status_code == 428
    assert client.patch("/products/SAUCE", change, headers={"If-Match": '"9"'}).status_code == 412
    revised = client.patch("/products/SAUCE", change, headers={"If-Match": '"1"'})
    assert (revised.status_code, revised.json()["name"], revised["ETag"]) == (200, "Habanero No. 8", '"2"')
    assert revised.json()["packs"] == [CASE], "what is not named stays"
    same = client.patch("/products/SAUCE", change, headers={"If-Match": '"2"'})
    assert same["ETag"] == '"2"'
    assert [row.name for row in Variant.history.filter(sku="SAUCE").order_by("history_id")] == [
        "Habanero No. 7",
        "Habanero No. 8",
    ]
    assert client.get("/products/SAUCE", headers={"If-None-Match": '"2"'}).status_code == 304


def test_variants_hang_under_a_parent_that_is_never_sold(api, shop):
    client = api(shop)
    client.post("/products", {"productId": "FOUNDATION", "name": "Foundation"})
    for shade in ("100N", "355N"):
        sent = {"productId": f"F-{shade}", "name": shade, "parentId": "FOUNDATION", "attributes": {"shade": shade}}
        assert client.post("/products", sent).status_code == 201
    assert client.get("/products/FOUNDATION").json()["isParent"] is True
    rows = client.get("/products?parentId=FOUNDATION").json()["items"]
    assert [row["productId"] for row in rows] == ["F-100N", "F-355N"]
    client.post("/products", SAUCE)
    for parent in ("SAUCE", "F-100N", "NONE"):
        answer = client.post("/products", {"productId": "X", "name": "x", "parentId": parent})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "parentId"), parent
    assert not Variant.objects.filter(sku="X").exists()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"productId": ""}, "productId"),
        ({"productId": "a b"}, "productId"),
        ({"productId": "x" * 65}, "productId"),
        ({"name": None}, "name"),
        ({"name": "x" * 251}, "name"),
        ({"gtin": "4006381333932"}, "gtin"),
        ({"gtin": "40063813"}, "gtin"),
        ({"gtin": 4006381333931}, "gtin"),
        ({"attributes": []}, "attributes"),
        ({"attributes": {"a": {"b": 1}}}, "attributes"),
        ({"attributes": {"a": "x" * 20_001}}, "attributes"),
        ({"tracking": "lot"}, "tracking"),
        ({"shelfLifeDays": -1}, "shelfLifeDays"),
        ({"shelfLifeDays": "720"}, "shelfLifeDays"),
        ({"packs": [{"name": "case", "quantity": 1}]}, "packs[0].quantity"),
        ({"packs": [{"name": "case", "quantity": 6}, {"name": "case", "quantity": 12}]}, "packs"),
        ({"suppliers": [{"supplierId": "NONE"}]}, "suppliers[0].supplierId"),
        ({"suppliers": ["SUP-1", "SUP-1"]}, "suppliers"),
        ({"status": "gone"}, "status"),
    ],
)
def test_a_product_that_cannot_be_is_refused_by_field(api, shop, change, field):
    answer = api(shop).post("/products", SAUCE | change)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert (Variant.objects.count(), SupplierItem.objects.count()) == (0, 0)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"packs": [{}]}, "packs[0].name"),
        ({"packs": [{"name": "case"}]}, "packs[0].quantity"),
        ({"packs": [{"quantity": 6}]}, "packs[0].name"),
        ({"suppliers": [{}]}, "suppliers[0].supplierId"),
        ({"suppliers": [{"supplierCode": "H8"}]}, "suppliers[0].supplierId"),
        ({"packs": [{"name": "a", "quantity": 2, "gtin": GTIN}, {"name": "b", "quantity": 3, "gtin": GTIN}]}, "packs"),
        ({"attributes": {str(number): 1 for number in range(101)}}, "attributes"),
        ({"attributes": {"": 1}}, "attributes"),
        ({"parentId": "SAUCE"}, "parentId"),
    ],
)
def test_a_change_that_cannot_be_is_refused_by_field_and_changes_nothing(api, shop, change, field):
    client = api(shop)
    before = client.post("/products", SAUCE).json()
    answer = client.patch("/products/SAUCE", change, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert client.get("/products/SAUCE").json() == before


def test_a_list_in_a_change_may_be_as_short_as_in_a_new_product(api, shop):
    client = api(shop)
    client.post("/products", SAUCE)
    change = {"packs": [{"name": "inner", "quantity": 6}], "suppliers": ["SUP-1"]}
    revised = client.patch("/products/SAUCE", change, headers={"If-Match": '"1"'}).json()
    assert revised["packs"] == [CASE | {"name": "inner", "quantity": 6, "level": "inner"}]
    assert offers(revised) == [("SUP-1", "")]


def test_one_and_true_are_two_values_of_an_attribute(api, shop):
    client = api(shop)
    client.post("/products", SAUCE | {"attributes": {"vegan": 1}})
    revised = client.patch("/products/SAUCE", {"attributes": {"vegan": True}}, headers={"If-Match": '"1"'})
    assert (revised["ETag"], revised.json()["attributes"]["vegan"]) == ('"2"', True)


def test_a_packs_gtin_is_given_once(api, shop):
    client = api(shop)
    packs = [{"name": "case", "quantity": 12, "gtin": GTIN}]
    client.post("/products", {"productId": "FIRST", "name": "x", "packs": packs})
    answer = client.post("/products", {"productId": "SECOND", "name": "x", "packs": packs})
    assert (answer.status_code, answer.json()["code"], answer.json()["gtin"]) == (409, "gtin_taken", f"0{GTIN}")
    assert list(Variant.objects.values_list("sku", flat=True)) == ["FIRST"]


def test_a_pack_keeps_the_sku_it_is_stocked_as_when_packs_are_revised(api, shop):
    client = api(shop)
    client.post("/products", SAUCE)
    case = make.make_variant(sku="SAUCE-CASE")
    Pack.objects.update(stocked_as=case)
    packs = [{"name": "case", "quantity": 12}, {"name": "inner", "quantity": 6}]
    assert client.patch("/products/SAUCE", {"packs": packs}, headers={"If-Match": '"1"'}).status_code == 200
    assert set(Pack.objects.values_list("name", "stocked_as__sku")) == {("case", "SAUCE-CASE"), ("inner", None)}


def test_a_kit_is_sold_itself_and_gathers_no_variants(api, shop):
    kit = make.make_variant(sku="KIT")
    KitComponent.objects.create(kit=kit, component=make.make_variant(), quantity=2)
    answer = api(shop).post("/products", {"productId": "X", "name": "x", "parentId": "KIT"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "parentId")
    kit.refresh_from_db()
    assert (kit.is_parent, Variant.objects.filter(sku="X").exists()) == (False, False)


def test_a_parent_gets_neither_a_parent_nor_a_gtin(api, shop):
    client = api(shop)
    for body in ({"productId": "P"}, {"productId": "Q"}, {"productId": "V", "parentId": "P"}):
        client.post("/products", body | {"name": "x"})
    for change, field in (({"parentId": "Q"}, "parentId"), ({"gtin": GTIN}, "gtin")):
        answer = client.patch("/products/P", change, headers={"If-Match": '"2"'})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert client.get("/products/P")["ETag"] == '"2"'
    assert client.get("/products/Q").json()["isParent"] is False


@pytest.mark.parametrize(("change", "code"), [({}, "product_exists"), ({"productId": "OTHER"}, "gtin_taken")])
def test_a_sku_and_a_gtin_are_given_once(api, shop, change, code):
    client = api(shop)
    client.post("/products", SAUCE)
    answer = client.post("/products", SAUCE | {"suppliers": []} | change)
    assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert Variant.objects.count() == 1


def test_a_supplier_writes_its_own_products_and_sees_no_others(api, supplier, retailer):
    rival = make.make_partner(code="SUP-2", kind="supplier")
    made = api(supplier).post("/products", {"productId": "MINE", "name": "Mine"})
    assert offers(made.json()) == [("SUP-1", "")]
    SupplierItem.objects.create(supplier=rival, variant=make.make_variant(sku="SHARED", suppliers=[supplier]))
    assert [row["productId"] for row in api(rival).get("/products").json()["items"]] == ["SHARED"]
    shared = api(rival).get("/products/SHARED").json()
    assert offers(shared) == [("SUP-2", "")]
    assert api(rival).get("/products/MINE").status_code == 404
    answer = api(rival).patch("/products/MINE", {"name": "Theirs"}, headers={"If-Match": '"1"'})
    assert answer.status_code == 404
    change = {"suppliers": [{"supplierId": "SUP-2", "supplierCode": "R-1"}]}
    api(rival).patch("/products/SHARED", change, headers={"If-Match": '"1"'})
    assert set(SupplierItem.objects.filter(variant__sku="SHARED").values_list("supplier__code", "supplier_code")) == {
        ("SUP-1", ""),
        ("SUP-2", "R-1"),
    }
    assert Variant.objects.get(sku="MINE").name == "Mine"


def test_parts_are_found_by_vehicle(api, retailer):
    rotor, pad = make.make_variant(sku="ROTOR"), make.make_variant(sku="PAD")
    Fitment.objects.create(variant=rotor, make="Audi", model="A4", year_from=2004, year_to=2008)
    Fitment.objects.create(variant=rotor, make="BMW", model="325i", year_from=1992, year_to=1995)
    Fitment.objects.create(variant=pad, make="Audi", model="A6", year_from=2004, year_to=2008)
    client = api(retailer)

    def skus(path):
        return [row["productId"] for row in client.get(path).json()["items"]]

    assert skus("/products?make=audi&model=A4&year=2008") == ["ROTOR"]
    assert skus("/products?make=BMW&year=2006") == [], "one and the same fitment must hold all"
    assert skus("/fitments?make=Audi&year=2004") == ["ROTOR", "PAD"]
    assert len(client.get("/products/ROTOR/fitments").json()["items"]) == 2
    assert client.get("/vehicles/makes").json()["items"] == ["Audi", "BMW"]
    assert client.get("/vehicles/models?make=Audi").json()["items"] == ["A4", "A6"]
    assert client.get("/vehicles/years?make=BMW&model=325i").json()["items"] == [1995, 1994, 1993, 1992]
    for query in (
        "/fitments?year=x",
        "/fitments?year=99999",
        "/vehicles/models?make=a%00",
        "/vehicles/years?model=%00",
    ):
        assert client.get(query).status_code == 400, query


def test_a_page_of_products_costs_the_same_few_queries_however_long(api, retailer, supplier, django_assert_num_queries):
    for _ in range(30):
        make.make_variant(suppliers=[supplier])
    client = api(retailer)
    with django_assert_num_queries(6):
        assert len(client.get("/products").json()["items"]) == 30


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_body_that_names_another_product_changes_neither(api, shop, method):
    for sku in ("A", "B"):
        make.make_variant(sku=sku, name=sku)
    client, tag = api(shop), {"If-Match": '"1"'}
    answer = client.request(method, "/products/A", {"productId": "B", "name": "x"}, headers=tag)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "productId")
    assert list(Variant.objects.order_by("sku").values_list("name", "version")) == [("A", 1), ("B", 1)]
    assert client.request(method, "/products/A", {"productId": "A", "name": "x"}, headers=tag).status_code == 200
