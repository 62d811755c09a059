"""Every page of the staff costs the same in a house of few and of many, and no table without end is ever counted."""

from __future__ import annotations

import re

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from catalog.models import (
    Fitment,
    Identifier,
    InterchangeGroup,
    InterchangeMember,
    Price,
    PriceList,
    ProductType,
    Variant,
)
from inventory_site.bench_pages import choices
from partners.models import Partner
from stock.models import Warehouse
from tests import make
from tests.inventory_site.test_admin import fill

# Lists that fit into some pages; all others may have no end.
SHORT = {
    "auth_group", "auth_permission", "auth_user", "catalog_pricelist", "catalog_producttype", "partners_feed",
    "partners_partner", "stock_reason", "stock_warehouse",
}  # fmt: skip
COUNT = re.compile(r'SELECT COUNT\(.*? FROM (\(SELECT .* LIMIT \d+\)|"(\w+)"(?P<rest>.*))', re.DOTALL)
OPTION = re.compile(r"<option ")
FEW, MANY = 10, 200


def page_of(model, name: str, *args) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


def endless(sql: str) -> bool:
    """Whether it counts a table from end to end: neither so far and no further, nor what belongs to one row."""
    found = COUNT.match(sql)
    if found is None or found[2] is None or found[2] in SHORT:
        return False
    return not re.search(r"""WHERE .*_id" = (\d+|'[^']*')""", found["rest"], re.DOTALL)


def visit(client, url: str) -> tuple[int, list[str], int]:
    """The queries of a page, the endless counts among them, and how much there is to choose from."""
    client.get(url)
    with CaptureQueriesContext(connection) as seen:
        answer = client.get(url)
    assert answer.status_code == 200, url
    chosen = len(OPTION.findall(answer.content.decode())) if "/autocomplete/" not in url else 0
    return len(seen), [query["sql"] for query in seen if endless(query["sql"])], chosen


def grow(rows: int) -> None:
    """So many more of what a catalog has many of, at once."""
    numbers = range(Variant.objects.count(), Variant.objects.count() + rows)
    kind = ProductType.objects.first()
    variants = Variant.objects.bulk_create(
        Variant(sku=f"SKU-MANY-{number}", name=f"Many {number}", product_type=kind) for number in numbers
    )
    Fitment.objects.bulk_create(
        Fitment(variant=variant, make="Ford", model=f"F-{variant.pk}", year_from=2015, year_to=2020)
        for variant in variants
    )
    Identifier.objects.bulk_create(
        Identifier(variant=variant, scheme="oe", value=f"OE{variant.pk}", plain=f"OE{variant.pk}")
        for variant in variants
    )
    price_list, _ = PriceList.objects.get_or_create(code="GENERAL", defaults={"currency": "EUR"})
    Price.objects.bulk_create(
        Price(price_list=price_list, variant=variant, amount=5, valid=("2026-01-01T00:00Z", None))
        for variant in variants
    )
    groups = InterchangeGroup.objects.bulk_create(InterchangeGroup(name=f"Equal {number}") for number in numbers)
    InterchangeMember.objects.bulk_create(
        InterchangeMember(group=group, variant=variant) for group, variant in zip(groups, variants, strict=True)
    )
    Partner.objects.bulk_create(Partner(code=f"MANY-{number}", name="Many", kind="retailer") for number in numbers)


@pytest.fixture
def keeper(client, staff):
    client.force_login(staff)
    return client


@pytest.fixture
def house(keeper, retailer, supplier) -> Warehouse:
    """Some of everything there are lists of."""
    warehouse = make.make_warehouse(code="W1")
    fill(retailer, supplier, warehouse, 2)
    grow(FEW)
    return warehouse


def pages_of(keeper) -> list[str]:
    """The list, the empty form and a row's page of every kind there is; the log of sign-ins is its library's."""
    urls = []
    for model in (model for model in admin.site._registry if model._meta.app_label != "axes"):
        urls.append(page_of(model, "changelist"))
        if keeper.get(page_of(model, "add")).status_code == 200:
            urls.append(page_of(model, "add"))
        if (row := model._default_manager.order_by("pk").first()) is not None:
            urls.append(page_of(model, "change", row.pk))
    return urls


def test_no_page_costs_more_in_a_house_of_many_and_none_counts_without_end(keeper, house, retailer, supplier):
    urls = [*pages_of(keeper), *choices()]
    few = {url: visit(keeper, url) for url in urls}
    assert {url: counted for url, (_, counted, _) in few.items() if counted} == {}
    fill(retailer, supplier, house, 3)
    grow(MANY)
    many = {url: visit(keeper, url) for url in urls}
    assert {url: counted for url, (_, counted, _) in many.items() if counted} == {}
    costs = {url: (few[url][0], many[url][0]) for url in urls if few[url][0] != many[url][0]}
    assert costs == {}, "queries"
    # The filters of a list name what it has; roles are a handful, and chosen on a user's page.
    passed = {page_of(model, "changelist") for model in admin.site._registry}
    passed |= {url for url in urls if url.startswith(reverse("admin:auth_user_changelist"))}
    offered = {url: (few[url][2], many[url][2]) for url in urls if few[url][2] != many[url][2] and url not in passed}
    assert offered == {}, "options of plain selects"


def test_a_choice_ends_where_nobody_scrolls_any_more(keeper, house):
    grow(MANY)
    url = f"{reverse('admin:autocomplete')}?app_label=catalog&model_name=fitment&field_name=variant"
    pages = 0
    while keeper.get(f"{url}&page={pages + 1}").json()["pagination"]["more"]:
        pages += 1
        assert pages < 50, "it would be asked for without end"
    assert pages > 0


@pytest.mark.parametrize(
    ("sql", "is_endless"),
    [
        ('SELECT COUNT(*) AS "__count" FROM "catalog_variant"', True),
        ('SELECT COUNT(*) AS "__count" FROM "catalog_variant" WHERE "catalog_variant"."status" = \'active\'', True),
        ('SELECT COUNT(*) AS "__count" FROM "catalog_fitment" WHERE "catalog_fitment"."variant_id" = 5', False),
        ('SELECT COUNT(*) FROM "catalog_producttypeschema" WHERE "x"."product_type_id" = \'auto\'', False),
        ('SELECT COUNT(*) FROM (SELECT 1 AS "a" FROM "catalog_variant" LIMIT 200) subquery', False),
        ('SELECT COUNT(*) AS "__count" FROM "auth_group"', False),
        ('SELECT "sku" FROM "catalog_variant"', False),
    ],
)
def test_what_is_held_to_be_endless(sql, is_endless):
    """Else the test above could pass by seeing nothing."""
    assert endless(sql) is is_endless
