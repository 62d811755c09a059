"""The bench's counting of queries sees what a page asks, and says which page it cannot see."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from catalog.models import Variant
from inventory_site import bench_pages
from tests import make


@pytest.fixture
def products(db):
    return reverse("admin:catalog_variant_changelist")


def test_a_page_that_asks_once_more_for_each_product_is_seen(products, monkeypatch):
    make.make_variant(sku="A")
    few = bench_pages.count([products])
    make.make_variant(sku="B")
    assert bench_pages.count([products]) == few
    monkeypatch.setattr(Variant, "__str__", lambda self: Variant.objects.values_list("sku", flat=True).get(pk=self.pk))
    monkeypatch.setattr("catalog.admin.VariantAdmin.list_display", ["__str__"])
    naive = bench_pages.count([products])
    make.make_variant(sku="C")
    assert bench_pages.count([products])[products] == naive[products] + 1


def test_a_page_that_does_not_answer_is_named(db):
    with pytest.raises(RuntimeError, match="/admin/nowhere/ answers 404"):
        bench_pages.count(["/admin/nowhere/"])


def test_counting_leaves_nobody_behind(products, django_user_model):
    with CaptureQueriesContext(connection) as seen:
        bench_pages.count([products])
    assert seen
    assert not django_user_model.objects.exists()


def test_every_list_and_every_choice_is_among_them():
    assert reverse("admin:stock_level_changelist") in bench_pages.lists()
    assert any("model_name=fitment&field_name=variant&term" in url for url in bench_pages.choices())
