"""A supplier has its say over what it alone supplies, and learns of nobody else."""

from __future__ import annotations

import pytest

from catalog.models import KitComponent, SupplierItem, Variant
from tests import make
from tests.catalog.test_parents import change, everything

GTIN = "4006381333931"


@pytest.fixture
def rival(db):
    return make.make_partner(code="SUP-2", kind="supplier")


@pytest.fixture
def shared(supplier, rival):
    """A product both supply, under numbers of their own."""
    variant = make.make_variant(sku="SHARED", name="Sauce", attributes={"heat": "hot"}, suppliers=[supplier, rival])
    SupplierItem.objects.filter(supplier=supplier).update(supplier_code="A-1")
    return variant


@pytest.fixture
def family(supplier, rival):
    """The house's parent over a variant of each supplier."""
    parent = make.make_variant(sku="FAMILY", is_parent=True)
    make.make_variant(sku="MINE", parent=parent, suppliers=[supplier])
    make.make_variant(sku="THEIRS", parent=parent, suppliers=[rival])
    return parent


# -- What a supplier can find out ---------------------------------------------


def test_trying_codes_of_others_tells_a_supplier_nothing(api, supplier, rival, retailer, shared):
    client = api(supplier)
    for code in ("SUP-2", "NOBODY", "RET-1"):
        assert client.get(f"/products?supplierId={code}").json()["items"] == [], code
        answer = client.post("/products", {"productId": "X", "name": "x", "suppliers": [code]})
        found = {"status": answer.status_code, "detail": answer.json()["errors"][0]["detail"]}
        assert found == {"status": 422, "detail": f"There is no supplier {code} for you."}
    assert [row["productId"] for row in client.get("/products?supplierId=SUP-1").json()["items"]] == ["SHARED"]
    assert [row["productId"] for row in api(retailer).get("/products?supplierId=SUP-2").json()["items"]] == ["SHARED"]


def test_no_answer_to_a_supplier_names_another(api, supplier, rival, shared, family):
    """Also where it may read the whole catalog, and where it is refused."""
    make.make_variant(sku="OTHER", gtin=GTIN, gtin14=f"0{GTIN}", suppliers=[rival])
    SupplierItem.objects.filter(supplier=rival, variant=shared).update(supplier_code="B-1")
    for assortment in ("own", "all"):
        type(supplier).objects.filter(pk=supplier.pk).update(assortment=assortment)
        client = api(supplier)
        answers = [
            client.get("/products"),
            client.get("/products/SHARED"),
            client.post("/products", {"productId": "OTHER", "name": "x"}),
            client.post("/products", {"productId": "Y", "name": "x", "gtin": GTIN}),
            client.post("/products", {"productId": "Y", "name": "x", "parentId": "FAMILY"}),
            client.post("/products", {"productId": "Y", "name": "x", "parentId": "SHARED"}),
            change(client, "SHARED", {"name": "x"}),
            change(client, "SHARED", {"suppliers": [{"supplierId": "SUP-1", "supplierCode": "A-2"}]}),
        ]
        for answer in answers:
            text = answer.content.decode()
            for word in ("SUP-2", "Sup-2", "B-1"):
                assert word not in text, text


def test_a_parent_that_is_not_there_not_seen_or_not_its_own_is_refused_alike(api, supplier, rival, shared, family):
    make.make_variant(sku="UNSEEN", is_parent=True, suppliers=[rival])
    before = everything()
    said = set()
    for parent in ("NOWHERE", "UNSEEN", "FAMILY", "SHARED", "THEIRS"):
        answer = api(supplier).post("/products", {"productId": "X", "name": "x", "parentId": parent})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "parentId"), parent
        said.add(answer.json()["errors"][0]["detail"].replace(parent, "?"))
    assert len(said) == 1
    assert everything() == before


# -- What a supplier can change -----------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"name": "Taken over"},
        {"attributes": {}},
        {"attributes": {"heat": True}},
        {"status": "discontinued"},
        {"tracking": "serial"},
        {"gtin": GTIN},
        {"packs": [{"name": "case", "quantity": 6}]},
        {"parentId": "OWN-PARENT"},
        {"name": "Taken over", "suppliers": [{"supplierId": "SUP-1", "supplierCode": "A-2"}]},
    ],
)
@pytest.mark.parametrize("assortment", ["own", "all"])
def test_what_others_supply_too_is_changed_by_the_house_alone(api, supplier, shared, body, assortment):
    type(supplier).objects.filter(pk=supplier.pk).update(assortment=assortment)
    make.make_variant(sku="OWN-PARENT", suppliers=[supplier])
    before = everything()
    answer = change(api(supplier), "SHARED", body)
    assert (answer.status_code, answer.json()["code"]) == (403, "kept_by_the_house")
    assert answer.json()["productId"] == "SHARED"
    assert everything() == before


def test_a_supplier_changes_its_own_offer_of_a_shared_product_and_no_others(api, supplier, rival, shared):
    same = api(supplier).get("/products/SHARED").json()
    same |= {"gtin": None, "suppliers": [{"supplierId": "SUP-1", "supplierCode": "A-2"}]}
    answer = change(api(supplier), "SHARED", same, "PUT")
    (offer,) = answer.json()["suppliers"]
    assert (answer.status_code, offer["supplierId"], offer["supplierCode"]) == (200, "SUP-1", "A-2")
    answer = change(api(supplier), "SHARED", {"suppliers": []})
    (offer,) = answer.json()["suppliers"]
    assert (answer.status_code, offer["supplierId"], offer["supplierCode"]) == (200, "SUP-1", "")
    offers = SupplierItem.objects.filter(variant=shared).values_list("supplier__code", "supplier_code")
    assert set(offers) == {("SUP-1", ""), ("SUP-2", "")}
    before = everything()
    for suppliers in (["SUP-2"], ["SUP-1", "SUP-2"], ["SUP-1", "SUP-1"]):
        assert change(api(supplier), "SHARED", {"suppliers": suppliers}).status_code == 422, suppliers
    assert everything() == before


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("PATCH", {"name": "Taken over"}),
        ("PATCH", {"suppliers": ["SUP-1"]}),
        ("PATCH", {"suppliers": []}),
        ("PATCH", {"attributes": {"a": 1}}),
        ("PUT", {"productId": "FAMILY", "name": "Taken over", "suppliers": ["SUP-1"]}),
    ],
)
def test_a_shared_parent_is_not_altered_or_taken_over_from_below(api, supplier, family, method, body):
    before = everything()
    answer = change(api(supplier), "FAMILY", body, method)
    assert (answer.status_code, answer.json()["code"]) == (403, "kept_by_the_house")
    assert everything() == before
    assert api(supplier).get("/products?parentId=FAMILY").json()["items"][0]["productId"] == "MINE"


def test_a_parent_is_a_suppliers_own_until_somebody_elses_variant_hangs_under_it(api, supplier, rival):
    client = api(supplier)
    for body in ({"productId": "TREE", "name": "Tree"}, {"productId": "LEAF", "name": "Leaf", "parentId": "TREE"}):
        assert client.post("/products", body).status_code == 201
    assert change(client, "TREE", {"name": "Big tree"}).status_code == 200
    make.make_variant(sku="GRAFT", parent=Variant.objects.get(sku="TREE"), suppliers=[rival])
    before = everything()
    assert change(client, "TREE", {"name": "My tree"}).status_code == 403
    answer = client.post("/products", {"productId": "LEAF-2", "name": "Leaf", "parentId": "TREE"})
    assert answer.status_code == 422
    assert everything() == before
    kept = change(client, "LEAF", {"name": "Green leaf", "parentId": "TREE"})
    assert (kept.status_code, kept.json()["parentId"]) == (200, "TREE"), "what hangs there already may stay"
    assert change(client, "LEAF", {"parentId": None}).json()["parentId"] is None, "and may leave"


def test_the_house_changes_what_suppliers_share(api, supplier, shared, family):
    client = api(make.make_partner(code="SHOP", kind="channel"))
    assert change(client, "SHARED", {"name": "Ours", "parentId": "FAMILY"}).status_code == 200
    assert change(client, "FAMILY", {"name": "Ours", "suppliers": ["SUP-1"]}).status_code == 200


def test_a_supplier_puts_together_what_it_alone_supplies_and_no_shared_product(api, supplier, shared):
    make.make_variant(sku="MINE", suppliers=[supplier])
    make.make_variant(sku="BOX", suppliers=[supplier])
    client, body = api(supplier), {"components": [{"productId": "MINE", "quantity": 2}]}
    answer = client.put("/products/SHARED/components", body, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.json()["code"], answer.json()["productId"]) == (
        403, "kept_by_the_house", "SHARED",
    )  # fmt: skip
    assert (KitComponent.objects.count(), Variant.objects.get(sku="SHARED").version) == (0, 1)
    assert client.put("/products/BOX/components", body, headers={"If-Match": '"1"'}).json() == body
