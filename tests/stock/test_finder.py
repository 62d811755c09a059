"""The finder at the counter: by car, by words, by another brand's number; with what there is of each part."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from catalog.models import Fitment, KitComponent, SupplierItem
from catalog.operations import equivalents
from catalog.operations.equivalents import Equal, Successor
from stock.operations import reservations
from stock.operations.promising import Wanted
from tests import make


@pytest.fixture
def keeper(client, staff):
    client.force_login(staff)
    return client


@pytest.fixture
def rotor(supplier):
    """Ten on the shelf, three of them promised."""
    rotor = make.make_variant(
        sku="ROTOR", name="Brake rotor", suppliers=[supplier], gtin="4006381333931", gtin14="04006381333931"
    )
    make.make_level(variant=rotor, warehouse=make.make_warehouse(), on_hand=10)
    wanted = [Wanted(variant=rotor, quantity=3)]
    reservations.reserve(reference="cart", wanted=wanted, partner=None, actor=make.TESTER, at=timezone.now())
    fit(rotor, engine="5.4L")
    SupplierItem.objects.filter(variant=rotor).update(supplier_code="BKL-4417")
    return rotor


def fit(variant, make="Ford", model="F-150", **more) -> None:
    Fitment.objects.create(variant=variant, make=make, model=model, **{"year_from": 2004, "year_to": 2008} | more)


def find(keeper, query: str) -> list[tuple[str, str, int | None, int | None, int | None]]:
    rows = keeper.get(f"{reverse('admin:catalog_fitment_find')}?{query}").context["found"]
    return [(row.variant.sku, row.why, row.on_hand, row.reserved, row.available) for row in rows]


@pytest.mark.parametrize(
    "query",
    [
        "year=2005&make=ford&model=f150", "year=2005&make=ford&model=f150&engine=5.4l", "q=brake+rotor", "q=BKL-4417",
        "q=4006381333931", "make=Ford&q=rotor", "year=2005",
    ],
)  # fmt: skip
def test_a_part_is_found_by_its_car_or_its_own_words_with_what_there_is(keeper, rotor, query):
    make.make_variant(sku="OTHER", name="Another thing")
    assert find(keeper, query) == [("ROTOR", "", 10, 3, 7)]


@pytest.mark.parametrize(
    "query", ["year=2009&make=ford&model=f150", "make=Audi&q=rotor", "q=nothing", "engine=4.6L&make=Ford&model=F150"]
)
def test_what_fits_not_is_not_found_and_said_so(keeper, rotor, query):
    page = keeper.get(f"{reverse('admin:catalog_fitment_find')}?{query}")
    assert page.context["found"] == []
    assert "No part of ours fits that" in page.content.decode()


def test_a_number_finds_what_is_equal_to_it_and_what_replaced_it(keeper, rotor):
    newer, old = make.make_variant(sku="NEWER"), make.make_variant(sku="OLD-1", status="discontinued")
    say = {"actor": make.TESTER, "equals": []}
    equivalents.say(
        variant=rotor, successors=[], equals=[Equal(brand="Brembo", part_number="09.C881.11")], actor=make.TESTER
    )
    equivalents.say(variant=old, successors=[Successor(variant=newer)], **say)
    assert find(keeper, "q=09C88111") == [("ROTOR", "equal to 09C88111", 10, 3, 7)]
    assert find(keeper, "q=OLD-1") == [("NEWER", "replaces OLD-1", 0, 0, 0)]
    assert find(keeper, "q=09C88111&make=Audi") == []


def test_a_kit_is_found_and_has_no_numbers_of_its_own(keeper, rotor):
    kit = make.make_variant(sku="KIT")
    KitComponent.objects.create(kit=kit, component=rotor, quantity=2)
    fit(kit, "Audi", "A4")
    assert find(keeper, "make=Audi") == [("KIT", "", None, None, None)]


def choices(keeper, query: str) -> list:
    return keeper.get(f"{reverse('admin:catalog_fitment_choices')}?{query}").json()["items"]


def test_each_field_offers_what_is_left_after_those_before_it(keeper, rotor):
    fit(rotor, "Audi", "A4", year_from=2007)
    assert choices(keeper, "field=year")[:2] == [2008, 2007]
    assert (choices(keeper, "field=make&year=2004"), choices(keeper, "field=make&year=2007")) == (
        ["Ford"],
        ["Audi", "Ford"],
    )
    assert choices(keeper, "field=model&year=2007&make=audi") == ["A4"]
    assert choices(keeper, "field=engine&year=2004&make=Ford&model=F150") == ["5.4L"]
    for nonsense in ("field=engine", "field=q", "field=make&year=x", "field=model&make=%00", ""):
        assert choices(keeper, nonsense) == [], nonsense


@pytest.mark.parametrize("query", ["year=1", "year=abc", "make=%00", "model=" + "x" * 200, "q=" + "x" * 200, "q=%00"])
def test_what_cannot_be_asked_is_marked_in_the_form(keeper, rotor, query):
    page = keeper.get(f"{reverse('admin:catalog_fitment_find')}?{query}")
    assert (page.status_code, page.context["found"]) == (200, [])
    assert page.context["form"].errors
    assert find(keeper, "q=%2D%2D") == find(keeper, "q=%25") == []


def test_the_script_gets_the_list_alone(keeper, rotor):
    url = f"{reverse('admin:catalog_fitment_find')}?year=2005"
    part = keeper.get(url, headers={"X-Part": "found"}).content.decode()
    assert "Brake rotor" in part
    assert "<form" not in part
    assert "<form" in keeper.get(url).content.decode()


def test_who_may_not_look_at_fitments_finds_nothing(client, rotor):
    client.force_login(User.objects.create_user("guest", is_staff=True))
    for page in ("find", "choices"):
        assert client.get(reverse(f"admin:catalog_fitment_{page}")).status_code == 403, page


def test_many_parts_cost_as_many_queries_as_few(keeper, rotor, supplier):
    warehouse = make.make_warehouse()

    def cost(query: str) -> int:
        find(keeper, query)
        with CaptureQueriesContext(connection) as seen:
            find(keeper, query)
        return len(seen)

    queries = ("year=2005&make=Ford&model=F150", "q=brake")
    few = [cost(query) for query in queries]
    for _ in range(20):
        more = make.make_variant(name="Brake thing", suppliers=[supplier])
        make.make_level(variant=more, warehouse=warehouse)
        fit(more)
    assert [cost(query) for query in queries] == few
    assert max(few) <= 16
