"""A parent with its variants and what there is of each, as far as the caller is told."""

from __future__ import annotations

import pytest

from catalog.models import KitComponent, SupplierItem, Variant
from tests import make


@pytest.fixture
def family(db):
    """A foundation in three shades, 12 and 3 and none of them; one more is no longer sold."""
    here = make.make_warehouse(code="W1")
    parent = make.make_variant(sku="FIT-ME", is_parent=True, axes=["shade", "size"], attributes={"finish": "matte"})
    for sku, shade, size, on_hand in (
        ("F-1", "128", "100 ml", 12),
        ("F-2", "355", "30 ml", 3),
        ("F-3", "30", "30 ml", 0),
    ):
        variant = make.make_variant(sku=sku, parent=parent, axis_values={"shade": shade, "size": size})
        if on_hand:
            make.make_level(variant=variant, warehouse=here, on_hand=on_hand)
    make.make_variant(sku="F-4", parent=parent, axis_values={"shade": "999", "size": "30 ml"}, status="discontinued")
    return parent


def test_one_answer_is_a_page_of_the_shop(api, retailer, family):
    found = api(retailer).get("/products/FIT-ME/consolidated").json()
    assert (found["productId"], found["attributes"], found["nextCursor"]) == ("FIT-ME", {"finish": "matte"}, None)
    assert found["axes"] == [
        {"name": "shade", "values": ["30", "128", "355"]},
        {"name": "size", "values": ["30 ml", "100 ml"]},
    ]
    shown = [
        (row["productId"], row["axisValues"]["shade"], row["isAvailable"], row["availableQuantity"])
        for row in found["items"]
    ]
    assert shown == [("F-1", "128", True, 12), ("F-2", "355", True, 3), ("F-3", "30", False, 0)]


def test_stock_is_told_as_the_caller_may_know_it(api, family):
    capped = api(make.make_partner(disclosure="capped", disclosure_cap=5))
    rows = capped.get("/products/FIT-ME/consolidated").json()["items"]
    assert [(row["availableQuantity"], row["availability"]) for row in rows] == [(5, "5+"), (3, "3"), (0, "0")]
    assert {row["earliestDate"] for row in rows} == {None}
    yes = api(make.make_partner(disclosure="yesNo")).get("/products/FIT-ME/consolidated").json()["items"]
    assert [(row["availableQuantity"], row["isAvailable"]) for row in yes] == [
        (None, True),
        (None, True),
        (None, False),
    ]
    elsewhere = api(make.make_partner(granted_warehouses=["W9"])).get("/products/FIT-ME/consolidated").json()["items"]
    assert [row["availableQuantity"] for row in elsewhere] == [0, 0, 0]


def test_a_supplier_sees_its_own_variants_alone(api, supplier, stranger, family):
    SupplierItem.objects.create(supplier=supplier, variant=Variant.objects.get(sku="F-2"))
    found = api(supplier).get("/products/FIT-ME/consolidated").json()
    assert [row["productId"] for row in found["items"]] == ["F-2"]
    assert [axis["values"] for axis in found["axes"]] == [["355"], ["30 ml"]]
    another = make.make_partner(code="SUP-9", kind="supplier")
    assert api(another).get("/products/FIT-ME/consolidated").status_code == 404


def test_pages_go_by_cursor_and_cost_the_same_however_long(api, retailer, family, django_assert_num_queries):
    client = api(retailer)
    first = client.get("/products/FIT-ME/consolidated?limit=2").json()
    assert [row["productId"] for row in first["items"]] == ["F-1", "F-2"]
    rest = client.get(f"/products/FIT-ME/consolidated?limit=2&cursor={first['nextCursor']}").json()
    assert ([row["productId"] for row in rest["items"]], rest["axes"]) == (["F-3"], first["axes"])
    with django_assert_num_queries(5):
        client.get("/products/FIT-ME/consolidated")
    for number in range(40):
        make.make_variant(parent=family, axis_values={"shade": str(1_000 + number), "size": "30 ml"})
    with django_assert_num_queries(5):
        assert len(client.get("/products/FIT-ME/consolidated").json()["items"]) == 43


def test_what_is_no_longer_sold_is_shown_when_asked_for(api, retailer, family):
    found = api(retailer).get("/products/FIT-ME/consolidated?status=discontinued").json()
    assert [row["productId"] for row in found["items"]] == ["F-4"]


def test_a_product_without_variants_and_a_kit_are_shown_too(api, retailer, family):
    kit = make.make_variant(sku="SET", parent=family)
    KitComponent.objects.create(kit=kit, component=Variant.objects.get(sku="F-1"), quantity=5)
    client = api(retailer)
    rows = client.get("/products/FIT-ME/consolidated").json()["items"]
    assert [(row["productId"], row["availableQuantity"]) for row in rows][-1] == ("SET", 2)
    alone = client.get("/products/F-2/consolidated").json()
    assert ([row["productId"] for row in alone["items"]], alone["axes"]) == (["F-2"], [])


@pytest.mark.parametrize(
    "query", ["status=x", "limit=0", "limit=201", "cursor=x", "channel=%00", "channel=" + "x" * 41]
)
def test_a_parameter_that_cannot_be_is_refused_by_name(api, retailer, family, query):
    answer = api(retailer).get(f"/products/FIT-ME/consolidated?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
    assert query.partition("=")[0] in answer.json()["detail"]
