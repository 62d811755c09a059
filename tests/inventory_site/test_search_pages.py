"""Staff search: lists, choices and the palette, each with as many queries however many products there are."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.models import Pack, SupplierItem, Variant
from tests import make

LIST = "/admin/catalog/variant/"
CHOICE = "/admin/autocomplete/?app_label=catalog&model_name=fitment&field_name=variant&term="


@pytest.fixture
def keeper(client, staff):
    client.force_login(staff)
    return client


@pytest.fixture
def products(supplier):
    serum = make.make_variant(
        sku="SER-1", name="Crème Serum", brand="Mt. Olive", gtin="4006381333931", gtin14="04006381333931"
    )
    SupplierItem.objects.create(supplier=supplier, variant=serum, supplier_code="LUM-9")
    Pack.objects.create(variant=serum, name="case", quantity=6, gtin14="14006381333938")
    make.make_variant(sku="SER-2", name="Night serum")
    make.make_variant(sku="A-9", name="Gloss")


def many(count):
    Variant.objects.bulk_create(
        Variant(sku=f"M-{n:05}", name=f"Mascara {n}", product_type_id="general") for n in range(count)
    )


def choices(client, term):
    return [row["text"].split(" · ")[0] for row in client.get(CHOICE + term).json()["results"]]


def palette(client, words):
    return client.get("/admin/search/", {"s": words}).content.decode()


@pytest.mark.parametrize(
    ("typed", "skus"),
    [
        ("creme", ["SER-1"]),
        ("serum", ["SER-2", "SER-1"]),
        ("14006381333938", ["SER-1"]),
        ("LUM9", ["SER-1"]),
        ("serm nihgt", ["SER-2"]),
        ("nothing like it", []),
    ],
)
def test_the_list_and_every_choice_of_products_find_by_anything_the_best_first(keeper, products, typed, skus):
    rows = keeper.get(LIST, {"q": typed}).context["cl"].result_list
    assert {row.sku for row in rows} == set(skus)
    assert choices(keeper, typed) == [row.sku for row in rows]
    shown = sorted(skus, key=keeper.get(LIST, {"q": typed}).content.decode().index)
    assert shown == [row.sku for row in rows]


def test_staff_sort_what_was_found_by_a_column_if_they_like(keeper, products):
    assert [row.sku for row in keeper.get(LIST, {"q": "serum", "o": "1"}).context["cl"].result_list] == [
        "SER-1",
        "SER-2",
    ]
    assert [row.sku for row in keeper.get(LIST, {"q": "serum", "o": "-1"}).context["cl"].result_list] == [
        "SER-2",
        "SER-1",
    ]


def test_the_list_is_filtered_and_searched_at_once(keeper, products):
    Variant.objects.filter(sku="SER-2").update(status="discontinued")
    rows = keeper.get(LIST, {"q": "serum", "status__exact": "discontinued"}).context["cl"].result_list
    assert [row.sku for row in rows] == ["SER-2"]


@pytest.mark.parametrize("text", ["\x00", "%", "x" * 5_000, "' | !", "\\"])
def test_whatever_staff_type_is_only_looked_for(keeper, products, text):
    for path, name in ((LIST, "q"), (CHOICE.removesuffix("term="), "term"), ("/admin/search/", "s")):
        answer = keeper.get(
            path, {name: text} | dict(pair.split("=") for pair in path.partition("?")[2].split("&") if pair)
        )
        assert answer.status_code == 200 or (answer.status_code == 302 and "e=1" in answer["Location"])


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.get(LIST),
        lambda client: client.get(LIST, {"q": "mascara"}),
        lambda client: client.get(CHOICE),
        lambda client: client.get(CHOICE + "mascara"),
        lambda client: client.get("/admin/stock/level/", {"q": "mascara"}),
        lambda client: client.get("/admin/search/", {"s": "mascara"}),
    ],
    ids=["list", "list searched", "choice", "choice searched", "levels searched", "palette"],
)
def test_a_page_takes_as_many_queries_of_many_products_as_of_few(keeper, products, ask, settings):
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}

    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert ask(keeper).status_code == 200
        return [query["sql"] for query in captured]

    many(50)
    queries()
    few = queries()
    Variant.objects.filter(sku__startswith="M-").delete()
    many(2_000)
    lots = queries()
    assert len(lots) == len(few) <= 19
    assert not any("COUNT(*)" in sql and "LIMIT" not in sql and "catalog_variant" in sql for sql in lots)


def test_a_choice_ends_where_nobody_reads_on(keeper, products):
    many(300)
    pages = 0
    for page in range(1, 30):
        answer = keeper.get(f"{CHOICE}mascara&page={page}").json()
        pages += 1
        if not answer["pagination"]["more"]:
            break
    assert pages == 10, "200 of them, 20 a page"


def test_the_palette_says_what_was_found_and_why(keeper, products):
    assert "Crème Serum" in palette(keeper, "lum-9")
    assert "SER-1 · Supplier&#x27;s number LUM-9" in palette(keeper, "LUM-9")
    assert "SER-1 · Barcode of a pack 14006381333938" in palette(keeper, "14006381333938")
    assert "SER-2 · Similar" in palette(keeper, "nigth serumm")
    assert "Nothing matched" in palette(keeper, "zzzzzz")


def test_the_palette_finds_partners_and_warehouses_by_code_and_name(keeper, products):
    warehouse = make.make_warehouse(code="RNO-01", name="Reno West")
    for words in ("rno", "reno w"):
        page = palette(keeper, words)
        assert f"/admin/stock/warehouse/{warehouse.pk}/change/" in page
    assert "SUP-1" in palette(keeper, "sup-")


def test_the_palette_shows_nobody_what_is_not_for_them(client, products):
    clerk = User.objects.create_user("clerk", password="clerk", is_staff=True)
    client.force_login(clerk)
    assert "Night serum" not in palette(client, "serum")
    clerk.user_permissions.add(Permission.objects.get(codename="view_variant"))
    assert "Night serum" in palette(client, "night serum")
    assert "SUP-1" not in palette(client, "SUP-1")
