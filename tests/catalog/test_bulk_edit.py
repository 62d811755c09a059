"""Many products edited together: only what is filled in or ticked, by way of one plan."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.urls import reverse

from catalog import tasks
from catalog.admin import together
from catalog.models import CatalogImport, ProductType, Variant
from catalog.operations import imports, plans, products, types
from inventory_site import roles
from partners.problems import InvalidInput
from tests import make

SCHEMA = {
    "type": "object",
    "properties": {
        "spf": {"type": "integer"}, "finish": {"enum": ["matte", "dewy"]},
        "tags": {"type": "array", "items": {"type": "string"}}, "vegan": {"type": "boolean"},
    },
}  # fmt: skip
PAGE = reverse("admin:catalog_variant_together")


@pytest.fixture
def keeper(client, staff):
    client.force_login(staff)
    return client


@pytest.fixture
def care(db) -> ProductType:
    kind = ProductType.objects.create(code="care", name="Care")
    types.revise_schema(product_type=kind, schema=SCHEMA, based_on=0, actor=make.TESTER)
    for number in (1, 2, 3):
        fields = {"name": f"Cream {number}", "brand": "Acme", "product_type": "care", "attributes": {"spf": 30}}
        products.create(sku=f"CREAM-{number}", fields=fields, actor=make.TESTER)
    make.make_variant(sku="BOLT", brand="Bolt")
    return kind


@pytest.fixture
def planned(monkeypatch) -> list[dict]:
    """What the page asks to be planned."""
    asked: list[dict] = []

    def plan(*, rows, **said):
        asked.append(said | {"rows": [row.values for row in rows]})
        return CatalogImport.objects.create(title=said["title"], kind=said["kind"], actor=said["actor"].label)

    monkeypatch.setattr(plans, "plan", plan)
    return asked


def edit(keeper, query: str = "brand=Acme", **sent):
    """Fill the page in, with the fields of the type as it shows them."""
    typed = keeper.get(f"{PAGE}?{query}").context["typed"]
    return keeper.post(f"{PAGE}?{query}", {"attributes_of": typed.of if typed else ""} | sent)


def test_all_that_match_the_filter_are_edited(keeper, care, planned):
    answer = edit(keeper, brand="Acme & Co", status="discontinued", shelf_life_days="540", **{"attr-vegan": "true"})
    (asked,) = planned
    assert answer["Location"] == reverse("admin:catalog_catalogimport_change", args=[CatalogImport.objects.get().pk])
    assert (asked["kind"], asked["origin"], asked["actor"].label) == ("products", "bulkEdit", "staff:keeper")
    assert asked["title"] == "3 products: brand, status, shelfLifeDays, vegan"
    changes = {"brand": "Acme & Co", "status": "discontinued", "shelfLifeDays": "540", "attributes": {"vegan": True}}
    assert asked["rows"] == [{"productId": f"CREAM-{number}"} | changes for number in (1, 2, 3)]


def test_those_chosen_in_the_list_are_edited_and_no_others(keeper, care):
    chosen = [Variant.objects.get(sku=sku).pk for sku in ("CREAM-1", "BOLT")]
    data = {"action": "edit_chosen", "_selected_action": chosen}
    answer = keeper.post(reverse("admin:catalog_variant_changelist"), data)
    page = keeper.get(answer["Location"])
    assert (page.context["chosen"], sorted(page.context["shown"])) == (2, ["BOLT", "CREAM-1"])
    assert page.context["typed"] is None, "they have no type in common"


def test_the_list_leads_to_the_page_with_its_filter_and_its_words(keeper, care):
    page = keeper.get(reverse("admin:catalog_variant_changelist"), {"q": "cream", "status__exact": "active"})
    assert f"{PAGE}?q=cream&amp;status__exact=active" in page.content.decode()
    assert keeper.get(f"{PAGE}?q=cream&status__exact=active").context["chosen"] == 3


def test_what_is_ticked_is_cleared(keeper, care, planned):
    edit(keeper, clear_brand="on", clear_shelf_life_days="on", clear=["spf", "none"])
    assert planned[0]["rows"][0] == {"productId": "CREAM-1", "clear": ["brand", "shelfLifeDays", "attributes.spf"]}
    assert planned[0]["title"] == "3 products: no brand, no shelfLifeDays, no spf"


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({}, "Fill in what is to be changed."),
        ({"brand": "X", "clear_brand": "on"}, "Either a value or none"),
        ({"attr-spf": "5", "clear": ["spf"]}, "Either a value or none"),
        ({"shelf_life_days": "-1"}, "greater than or equal to 0"),
        ({"status": "gone"}, "Select a valid choice"),
        ({"product_type": "none"}, "Select a valid choice"),
        ({"attr-finish": "shiny"}, "Select a valid choice"),
        ({"brand": "x" * 121}, "at most 120 characters"),
        ({"brand": "x\x00"}, "Null characters"),
    ],
)
def test_what_cannot_be_planned_is_said_on_the_page(keeper, care, planned, sent, said):
    answer = edit(keeper, **sent)
    assert said in answer.content.decode()
    assert planned == []


def test_a_type_given_to_them_shows_its_attributes_first(keeper, care, planned):
    answer = edit(keeper, "brand=Bolt", product_type="care")
    assert "These are the attributes of the type" in answer.content.decode()
    sent = {"product_type": "care", "attributes_of": answer.context["typed"].of, "attr-finish": "dewy"}
    assert keeper.post(f"{PAGE}?brand=Bolt", sent).status_code == 302
    assert planned[0]["rows"] == [{"productId": "BOLT", "productType": "care", "attributes": {"finish": "dewy"}}]


def test_more_than_are_edited_at_once_are_refused(keeper, care, planned, monkeypatch):
    monkeypatch.setattr(together, "EDITED_MAX", 2)
    assert "more than 2" in keeper.get(f"{PAGE}?brand=Acme").content.decode()
    assert "From 1 to 2 products" in edit(keeper, brand="X").content.decode()
    assert "From 1 to 2 products" in edit(keeper, "brand=Nobody", brand="X").content.decode()
    assert planned == []


@pytest.mark.parametrize(
    "query", ["nothing=1", "id__in=x", "status__exact=%00", "product_type__code__exact=none", "p=x"]
)
def test_a_filter_there_is_not_is_no_fault(keeper, care, query):
    assert keeper.get(f"{PAGE}?{query}").status_code in {200, 302}


def test_a_refusal_of_the_plan_is_a_sentence(keeper, care, monkeypatch):
    def refuse(**_):
        raise InvalidInput.at("rows", "Not today.")

    monkeypatch.setattr(plans, "plan", refuse)
    assert "Not today." in edit(keeper, brand="X").content.decode()


def test_only_who_may_change_products_edits_them(client, care, planned):
    roles.ensure_roles()
    for role, status in (("Auditor", 403), ("Warehouse", 403), ("Merchandising", 200)):
        person = User.objects.create_user(role, is_staff=True)
        person.groups.add(Group.objects.get(name=role))
        client.force_login(person)
        assert client.get(PAGE).status_code == status
        assert client.post(f"{PAGE}?brand=Acme", {"brand": "X"}).status_code == status
        link = "Edit together all" in client.get(reverse("admin:catalog_variant_changelist")).content.decode()
        assert link == (status == 200)
    assert planned == []


def test_the_page_costs_the_same_however_many_are_chosen(keeper, care, django_assert_max_num_queries):
    keeper.get(PAGE)
    with django_assert_max_num_queries(7):
        keeper.get(f"{PAGE}?brand=Acme")


def read(sku: str, **values):
    variant = Variant.objects.get(sku=sku)
    file = imports.CatalogFile(actor=make.TESTER)
    return file.fields({"productId": sku} | values, variant, 1)


def test_a_row_clears_what_it_names(care):
    assert read("CREAM-1", clear="brand | attributes.spf|shelfLifeDays") == {
        "brand": "", "shelf_life_days": None, "attributes": {},
    }  # fmt: skip
    assert read("CREAM-1", clear=["attributes.none"], attributes={"vegan": True}) == {"attributes": {"spf": 30, "vegan": True}}  # fmt: skip
    assert read("CREAM-1", clear="") == {}


@pytest.mark.parametrize(
    "values",
    [
        {"clear": "name"}, {"clear": "brand", "brand": "X"}, {"clear": "attributes.spf", "attributes.spf": "5"},
        {"clear": ["brand"] * 101}, {"clear": {"brand": 1}}, {"clear": [["brand"]]},
    ],
)  # fmt: skip
def test_a_row_that_clears_what_it_cannot_is_refused_at_clear(care, values):
    with pytest.raises(InvalidInput) as refused:
        read("CREAM-1", **values)
    assert refused.value.data["errors"][0]["field"] == "clear"


def test_an_edit_is_planned_applied_and_taken_back_as_one(keeper, care):
    before = {row.sku: (row.brand, row.status, row.attributes) for row in Variant.objects.all()}
    edit(keeper, status="discontinued", clear_brand="on", clear=["spf"], **{"attr-finish": "dewy"})
    plan = CatalogImport.objects.get()
    assert (plan.state, plan.origin, plan.changed_count, plan.refused_count) == ("planned", "bulkEdit", 3, 0)
    assert {row.sku: (row.brand, row.status, row.attributes) for row in Variant.objects.all()} == before
    plans.apply(plan=plan, actor=make.TESTER)
    edited = Variant.objects.filter(product_type="care").values_list("brand", "status", "attributes")
    assert list(edited) == [("", "discontinued", {"finish": "dewy"})] * 3
    assert Variant.objects.get(sku="BOLT").brand == "Bolt"
    plans.undo(plan=plan, actor=make.TESTER)
    assert {row.sku: (row.brand, row.status, row.attributes) for row in Variant.objects.all()} == before


def test_more_than_a_page_waits_for_are_planned_by_a_worker(keeper, care, monkeypatch):
    monkeypatch.setattr(together, "WAITED_MAX", 2)
    answer = edit(keeper, status="discontinued", clear=["spf"], **{"attr-finish": "dewy"})
    plan = CatalogImport.objects.get()
    assert answer["Location"] == reverse("admin:catalog_catalogimport_change", args=[plan.pk])
    assert (plan.state, plan.origin, plan.row_count) == ("planning", "bulkEdit", 0)
    tasks.work_on_imports()
    plan.refresh_from_db()
    assert (plan.state, plan.changed_count, plan.refused_count) == ("planned", 3, 0)
    plans.apply(plan=plan, actor=make.TESTER)
    edited = Variant.objects.filter(product_type="care").values_list("status", "attributes")
    assert list(edited) == [("discontinued", {"finish": "dewy"})] * 3
