"""Parents gather their variants and are never stocked; what has stock is no parent."""

from __future__ import annotations

import threading

import psycopg
import pytest
from django.db import IntegrityError, connection, transaction

from catalog.models import Pack, SupplierItem, Variant
from catalog.operations import products
from catalog.operations.products import ParentIsStocked
from stock.models import Level
from tests import make


def everything():
    """All the catalog holds, to see that nothing changed."""
    return [
        list(model.objects.order_by("pk").values())
        for model in (Variant, SupplierItem, Pack, Variant.history.model)  # type: ignore[attr-defined]
    ]


def change(client, sku, body, method="PATCH"):
    version = Variant.objects.get(sku=sku).version
    return client.request(method, f"/products/{sku}", body, headers={"If-Match": f'"{version}"'})


@pytest.fixture
def stocked(supplier):
    variant = make.make_variant(sku="STOCKED", suppliers=[supplier])
    make.make_level(variant=variant, warehouse=make.make_warehouse(), on_hand=5)
    make.make_variant(sku="LOOSE", suppliers=[supplier])
    return variant


@pytest.mark.parametrize("kind", ["supplier", "channel"])
def test_what_has_stock_cannot_become_a_parent(api, supplier, stocked, kind):
    client = api(supplier if kind == "supplier" else make.make_partner(code="SHOP", kind="channel"))
    before = everything()
    for answer in (
        client.post("/products", {"productId": "SHADE", "name": "x", "parentId": "STOCKED"}),
        change(client, "LOOSE", {"parentId": "STOCKED"}),
        change(client, "LOOSE", {"productId": "LOOSE", "name": "x", "parentId": "STOCKED"}, "PUT"),
    ):
        found = answer.json()
        assert (answer.status_code, found["code"], found["productId"]) == (409, "parent_is_stocked", "STOCKED")
        assert everything() == before
    assert Level.objects.get().on_hand == 5


def test_the_database_is_the_last_guard_that_parents_are_never_stocked(stocked):
    loose = Variant.objects.get(sku="LOOSE")
    before = everything()
    for field, value, row in (("is_parent", True, stocked), ("parent", stocked, loose)):
        with pytest.raises(IntegrityError, match="cannot be a parent"), transaction.atomic():
            Variant.objects.filter(pk=row.pk).update(**{field: value})
    with pytest.raises(IntegrityError, match="cannot be a parent"), transaction.atomic():
        make.make_variant(parent=stocked)
    assert everything() == before


def test_only_a_parent_gathers_variants_and_it_stays_one_whoever_writes(db):
    unmarked, parent = make.make_variant(sku="UNMARKED"), make.make_variant(sku="ABOVE", is_parent=True)
    loose = make.make_variant(sku="LOOSE")
    before = everything()
    with pytest.raises(IntegrityError, match="hangs under a parent"), transaction.atomic():
        make.make_variant(parent=unmarked)
    with pytest.raises(IntegrityError, match="hangs under a parent"), transaction.atomic():
        Variant.objects.filter(pk=loose.pk).update(parent=unmarked)
    with pytest.raises(IntegrityError, match="variant_with_axes_is_a_parent"), transaction.atomic():
        Variant.objects.filter(pk=loose.pk).update(axes=["shade"])
    assert everything() == before
    Variant.objects.filter(pk=loose.pk).update(parent=parent)
    with pytest.raises(IntegrityError, match="stays a parent"), transaction.atomic():
        Variant.objects.filter(pk=parent.pk).update(is_parent=False)
    with pytest.raises(IntegrityError, match="a parent is never stocked"), transaction.atomic():
        make.make_level(variant=parent, warehouse=make.make_warehouse())
    Variant.objects.filter(pk=loose.pk).update(parent=None)
    assert Variant.objects.filter(pk=parent.pk).update(is_parent=False) == 1, "nothing hangs there any more"


@pytest.mark.parametrize("field", ["status", "tracking", "warranty_per"])
def test_a_word_nobody_knows_is_kept_by_no_product(db, field):
    loose = make.make_variant(sku="LOOSE")
    with pytest.raises(IntegrityError, match=f"variant_{field}_known"), transaction.atomic():
        Variant.objects.filter(pk=loose.pk).update(**{field: "x"})
    known = {"status": "discontinued", "tracking": "serial", "warranty_per": "orderLine"}[field]
    Variant.objects.filter(pk=loose.pk).update(**{field: known})
    loose.refresh_from_db()
    assert getattr(loose, field) == known


def test_of_the_first_variant_and_taking_the_mark_off_at_once_one_is_refused(own_database):
    """They meet at the parent's row; without the lock each would look before the other has committed."""
    parent = make.make_variant(sku="ABOVE", is_parent=True)
    hung, ended = threading.Event(), []

    def take_the_mark_off():
        try:
            hung.wait(10)
            Variant.objects.filter(pk=parent.pk).update(is_parent=False)
            ended.append("unmarked")
        except IntegrityError as error:
            ended.append(str(error.__cause__.diag.constraint_name))
        finally:
            connection.close()

    thread = threading.Thread(target=take_the_mark_off)
    thread.start()
    with transaction.atomic():
        make.make_variant(sku="SHADE", parent=parent)
        hung.set()
        thread.join(0.5)
        assert thread.is_alive(), "it waits for us"
    thread.join(10)
    assert ended == ["variant_with_variants_is_a_parent"]


def test_a_product_that_is_saved_as_a_whole_can_be_referred_to_meanwhile(own_database):
    """Where the save locked the product's key, two who each save one product and name the other's would deadlock."""
    variant = make.make_variant(sku="SAVED", parent=make.make_variant(sku="ABOVE", is_parent=True))
    with transaction.atomic(), psycopg.connect(**connection.get_connection_params()) as other:
        variant.name = "Another"
        variant.save()
        look = "SELECT FROM catalog_variant WHERE id = %s FOR KEY SHARE NOWAIT"
        assert other.execute(look, [variant.pk]).rowcount == 1
        other.commit()
        Variant.objects.filter(pk=variant.pk).update(sku="RENAMED")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute(look, [variant.pk])


def test_of_the_first_stock_and_the_first_variant_at_once_one_is_refused(own_database):
    """Both look before either has committed; the product's row makes the second wait, and look again."""
    variant, warehouse = make.make_variant(sku="BOTH"), make.make_warehouse()
    stocking, ended = threading.Event(), []

    def hang_a_variant_under_it():
        try:
            stocking.wait(10)
            products.create(sku="SHADE", fields={"name": "x", "parent_sku": "BOTH"}, actor=make.TESTER)
        except ParentIsStocked as problem:
            ended.append(problem.code)
        finally:
            connection.close()

    thread = threading.Thread(target=hang_a_variant_under_it)
    thread.start()
    with transaction.atomic():
        make.make_level(variant=variant, warehouse=warehouse)
        stocking.set()
        thread.join(0.5)
        assert thread.is_alive(), "it waits for us"
    thread.join(10)
    assert ended == ["parent_is_stocked"]
    assert not Variant.objects.filter(sku="SHADE").exists()
    assert not Variant.objects.get(sku="BOTH").is_parent
