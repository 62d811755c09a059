"""Variants along the axes of their parent."""

from __future__ import annotations

import threading

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import Q

from catalog.models import Variant
from catalog.operations import kits, products
from catalog.operations.axes import AxisValuesTaken
from tests import make

PARENT = {"productId": "FIT-ME", "name": "Fit Me", "axes": ["shade", "size"]}
VALUES = {"shade": "355N", "size": "30 ml"}


def variant(sku, **fields):
    return {"productId": sku, "name": sku, "parentId": "FIT-ME", "axisValues": VALUES} | fields


@pytest.fixture
def shop(api):
    client = api(make.make_partner(code="SHOP", kind="channel"))
    assert client.post("/products", PARENT).status_code == 201
    assert client.post("/products", variant("FIRST")).status_code == 201
    return client


def change(client, sku, body):
    version = Variant.objects.get(sku=sku).version
    return client.request("PATCH", f"/products/{sku}", body, headers={"If-Match": f'"{version}"'})


def test_a_variant_stands_along_every_axis_of_its_parent(shop):
    assert shop.get("/products/FIT-ME").json()["axes"] == ["shade", "size"]
    assert shop.get("/products/FIRST").json()["axisValues"] == VALUES
    moved = change(shop, "FIRST", {"axisValues": {"shade": "  360   C ", "size": "30 ml"}})
    assert moved.json()["axisValues"] == {"shade": "360 C", "size": "30 ml"}
    gone = change(shop, "FIRST", {"parentId": None}).json()
    assert (gone["parentId"], gone["axisValues"]) == (None, {})


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({}, ["axisValues.shade", "axisValues.size"]),
        ({"shade": "x"}, ["axisValues.size"]),
        ({"shade": "x", "size": "x", "colour": "x"}, ["axisValues.colour"]),
        ({"shade": "x", "size": " "}, ["axisValues.size"]),
        ({"shade": "x", "size": 5}, ["axisValues.size"]),
        ({"shade": "x", "size": "x" * 81}, ["axisValues.size"]),
        ({"shade": "x", "size": "a\nb"}, ["axisValues.size"]),
        ([], ["axisValues"]),
        (None, ["axisValues"]),
    ],
)
def test_a_variant_that_names_other_than_the_axes_is_refused_by_axis(shop, values, fields):
    answer = shop.post("/products", variant("SECOND", axisValues=values))
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, fields)
    assert not Variant.objects.filter(sku="SECOND").exists()


def test_no_two_variants_on_sale_have_the_same_values(shop):
    for values in (VALUES, {"size": "30 ML", "shade": "355n"}):
        answer = shop.post("/products", variant("SECOND", axisValues=values))
        found = answer.json()
        assert (answer.status_code, found["code"], found["parentId"]) == (409, "axis_values_taken", "FIT-ME")
    assert not Variant.objects.filter(sku="SECOND").exists()
    assert change(shop, "FIRST", {"status": "discontinued"}).status_code == 200
    assert shop.post("/products", variant("SECOND")).status_code == 201, "the place of what is no longer sold is free"
    again = change(shop, "FIRST", {"status": "active"})
    assert (again.status_code, again.json()["code"]) == (409, "axis_values_taken")
    assert Variant.objects.get(sku="FIRST").status == "discontinued"


def test_the_database_is_the_last_guard_of_the_places(shop):
    parent, first = Variant.objects.get(sku="FIT-ME"), Variant.objects.get(sku="FIRST")
    with pytest.raises(IntegrityError, match="variant_axis_values_once"), transaction.atomic():
        make.make_variant(parent=parent, axis_values=VALUES)
    with pytest.raises(IntegrityError, match="variant_axes_are_a_parents"), transaction.atomic():
        Variant.objects.filter(pk=first.pk).update(axes=["shade"])
    with pytest.raises(IntegrityError, match="variant_axis_values_under_a_parent"), transaction.atomic():
        Variant.objects.filter(pk=first.pk).update(parent=None)
    make.make_variant(parent=parent)
    make.make_variant(parent=parent)  # those without values do not stand in each other's way


@pytest.mark.parametrize(
    ("axes", "field"),
    [
        (["shade", "Shade"], "axes"), (["a", "b", "c", "d", "e", "f"], "axes"), ([""], "axes[0]"),
        (["x" * 41], "axes[0]"), (["a\tb"], "axes[0]"), ([5], "axes[0]"), ("shade", "axes"),
    ],
)  # fmt: skip
def test_axes_that_cannot_be_are_refused_by_field(shop, axes, field):
    answer = change(shop, "FIT-ME", {"axes": axes})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert Variant.objects.get(sku="FIT-ME").axes == ["shade", "size"]


def test_axes_change_only_while_nothing_stands_along_others(shop):
    answer = change(shop, "FIT-ME", {"axes": ["shade"]})
    assert (answer.status_code, answer.json()["code"], answer.json()["axes"]) == (409, "axes_in_use", ["shade", "size"])
    assert change(shop, "FIT-ME", {"axes": ["size", "shade"]}).status_code == 200, "another order is no other axes"
    assert change(shop, "FIRST", {"axisValues": {}}).status_code == 200
    assert change(shop, "FIT-ME", {"axes": ["shade"]}).status_code == 200
    assert change(shop, "FIRST", {"axisValues": {"shade": "355N"}}).json()["axisValues"] == {"shade": "355N"}


def test_only_a_parent_has_axes_and_only_a_variant_stands_along_them(shop):
    for sku, body, field in (("FIRST", {"axes": ["a"]}, "axes"), ("FIT-ME", {"axisValues": VALUES}, "axisValues")):
        answer = change(shop, sku, body)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


def test_what_is_given_axes_is_a_parent_and_what_is_sold_is_given_none(shop):
    """Else axes would let a product off what its type demands of everything that is sold."""
    assert Variant.objects.get(sku="FIT-ME").is_parent
    sold = {
        "NUMBERED": {"gtin": "4006381333931"},
        "PACKED": {"packs": [{"name": "case", "quantity": 6, "gtin": "10614141000415"}]},
        "PART": {},
        "KIT": {},
    }
    for sku, fields in sold.items():
        assert shop.post("/products", {"productId": sku, "name": sku} | fields).status_code == 201
    kit, part = Variant.objects.get(sku="KIT"), Variant.objects.get(sku="PART")
    kits.compose(kit=kit, parts=[kits.Part(component=part, quantity=1)], actor=make.TESTER)
    for sku in sold:
        answer = change(shop, sku, {"axes": ["shade"]})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "axes"), sku
        answer = shop.post("/products", {"productId": "LEAF", "name": "x", "parentId": sku})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "parentId"), sku
    assert not Variant.objects.filter(sku__in=[*sold, "LEAF"]).filter(Q(is_parent=True) | ~Q(axes=[])).exists()
    moved = change(shop, "NUMBERED", {"gtin": "", "axes": ["shade"]})
    assert (moved.status_code, moved.json()["isParent"]) == (200, True), "its number was taken off in the same breath"


def test_what_has_stock_is_given_no_axes(shop):
    make.make_level(variant=make.make_variant(sku="STOCKED"), warehouse=make.make_warehouse())
    answer = change(shop, "STOCKED", {"axes": ["shade"]})
    assert (answer.status_code, answer.json()["code"]) == (409, "parent_is_stocked")
    assert Variant.objects.get(sku="STOCKED").axes == []


def test_variants_without_axes_still_work(shop):
    shop.post("/products", {"productId": "PLAIN", "name": "x"})
    made = shop.post("/products", {"productId": "LEAF", "name": "x", "parentId": "PLAIN"})
    assert (made.status_code, made.json()["axisValues"]) == (201, {})
    assert change(shop, "PLAIN", {"axes": ["shade"]}).status_code == 200
    renamed = change(shop, "LEAF", {"name": "y"})
    assert (renamed.status_code, renamed.json()["axisValues"]) == (200, {}), "until somebody says its values"


def race_for_one_place() -> list[str]:
    """How two ended that want the same shade at once, over connections of their own."""
    products.create(sku="FIT-ME", fields={"name": "x", "axes": ["shade"]}, actor=make.TESTER)
    start, ended = threading.Barrier(2), []

    def want(sku):
        fields = {"name": sku, "parent_sku": "FIT-ME", "axis_values": {"shade": "355N"}}
        try:
            start.wait(10)
            products.create(sku=sku, fields=fields, actor=make.TESTER)
            ended.append("created")
        except AxisValuesTaken as problem:
            ended.append(problem.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=want, args=[sku]) for sku in ("A", "B")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return sorted(ended)


def test_of_two_variants_that_want_one_place_at_once_one_gets_it(own_database):
    assert race_for_one_place() == ["axis_values_taken", "created"]
    assert Variant.objects.exclude(axis_values={}).count() == 1


def test_without_the_index_both_would_get_it(own_database):
    """Else the test above could pass for another reason."""
    with connection.cursor() as sql:
        sql.execute("DROP INDEX variant_axis_values_once")
    assert race_for_one_place() == ["created", "created"]
