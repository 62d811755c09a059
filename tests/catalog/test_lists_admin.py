"""What staff type into a product's lists goes by the operations: one version, one history row, refusals at the form."""

from __future__ import annotations

from datetime import date

import pytest
from django.urls import reverse

from catalog.models import (
    Equivalent,
    Fitment,
    InterchangeGroup,
    InterchangeMember,
    Pack,
    ProductType,
    RegulatoryNote,
    SupplierItem,
    Variant,
)
from catalog.operations import equivalents, fitments
from catalog.operations.equivalents import Equal, Successor
from catalog.operations.fitments import Fits
from tests import make

GTIN, OTHER, CASE = "4006381333931", "9780201379624", "24006381333935"


@pytest.fixture
def keeper(client, staff):
    client.force_login(staff)
    return client


@pytest.fixture
def sauce(supplier):
    return make.make_variant(sku="SAUCE", gtin=GTIN, gtin14=f"0{GTIN}")


def page_of(row) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def as_shown(keeper, url: str) -> dict:
    """What a browser would send of a page nobody typed into."""
    context = keeper.get(url).context
    forms = [context["adminform"].form]
    data = {}
    for inline in context["inline_admin_formsets"]:
        formset = inline.formset
        forms += [formset.management_form, *formset.initial_forms]
    for form in forms:
        for field in form:
            value = field.value()
            if hasattr(field.field.widget, "decompress"):
                parts = field.field.widget.decompress(value)
                data |= {f"{field.html_name}_{place}": part or "" for place, part in enumerate(parts)}
            elif value is not False:
                data[field.html_name] = "" if value is None else value
    return {name: value for name, value in data.items() if not name.endswith("-DELETE")}


def save(keeper, row, *new: tuple[str, dict], **changes):
    """The page after it was saved with these changes and these new rows of its lists."""
    url = page_of(row)
    data = as_shown(keeper, url) | changes
    for prefix, fields in new:
        place = int(data[f"{prefix}-TOTAL_FORMS"])
        data |= {f"{prefix}-{place}-{name}": value for name, value in fields.items()}
        data[f"{prefix}-TOTAL_FORMS"] = place + 1
    return keeper.post(url, data, follow=True)


def test_one_save_of_a_product_and_its_lists_is_one_version_with_actor_and_reason(keeper, sauce, supplier):
    shelf = make.make_variant(sku="SAUCE-CASE")
    save(
        keeper, sauce,
        ("packs", {"name": "case", "level": "case", "quantity": 24, "gtin14": CASE, "stocked_as": shelf.pk}),
        ("supplier_items", {"supplier": supplier.pk, "supplier_code": "A-1"}),
        ("regulatory_notes", {"jurisdiction": "EU", "text": "Allergens in bold"}),
        ("identifiers", {"scheme": "oe", "value": "1K0 615"}),
        brand="Fire & Co",
    )  # fmt: skip
    sauce.refresh_from_db()
    assert (sauce.brand, sauce.version, sauce.gtin) == ("Fire & Co", 2, GTIN)
    told = sauce.history.first()
    assert (sauce.history.count(), told.actor, told.history_change_reason) == (2, "staff:keeper", "product revised")
    note = RegulatoryNote.history.get()
    assert (note.actor, note.history_change_reason) == ("staff:keeper", "notes said")
    case = Pack.objects.get()
    assert (case.gtin14, case.stocked_as, SupplierItem.objects.get().supplier_code) == (CASE, shelf, "A-1")
    save(keeper, sauce)
    sauce.refresh_from_db()
    assert (sauce.version, Pack.objects.get().pk, sauce.identifiers.count()) == (2, case.pk, 4), "nobody typed anything"
    save(keeper, sauce, **{"packs-0-DELETE": "on"})
    sauce.refresh_from_db()
    assert (sauce.version, Pack.objects.count(), SupplierItem.objects.count()) == (3, 0, 1)


def test_a_new_product_comes_with_its_lists(keeper, sauce, supplier):
    url = reverse("admin:catalog_variant_add")
    data = as_shown(keeper, url) | {"sku": "NEW", "name": "New", "product_type": "general", "gtin": OTHER}
    data |= {"packs-TOTAL_FORMS": 1, "packs-0-name": "inner", "packs-0-level": "inner", "packs-0-quantity": 6}
    refused = keeper.post(url, data | {"gtin": GTIN})
    assert "belongs to another product" in refused.content.decode()
    assert not Variant.objects.filter(sku="NEW").exists()
    keeper.post(url, data)
    made = Variant.objects.get(sku="NEW")
    assert (made.gtin14, made.version, made.packs.get().quantity) == (f"0{OTHER}", 1, 6)


def test_a_gtin_is_typed_on_the_product_and_what_is_wrong_with_it_is_said_there(keeper, sauce):
    other = make.make_variant(sku="OTHER")
    wrong = save(keeper, other, gtin="9780201379625").context["adminform"].form
    assert "check digit" in str(wrong.errors["gtin"])
    taken = save(keeper, other, gtin=GTIN, name="Typed").context["adminform"].form
    assert "belongs to another product" in str(taken.non_field_errors())
    assert taken["name"].value() == "Typed", "what was typed is still there"
    other.refresh_from_db()
    assert (other.gtin, other.name, other.version) == ("", "Other", 1)
    save(keeper, other, gtin=OTHER)
    other.refresh_from_db()
    assert (other.gtin, other.gtin14, other.version) == (OTHER, f"0{OTHER}", 2)
    save(keeper, other, gtin="")
    other.refresh_from_db()
    assert (other.gtin, other.gtin14) == ("", "")


def test_a_refusal_of_an_operation_leaves_product_and_lists_as_they_were(keeper, sauce, supplier):
    new = make.make_variant(sku="NEW")
    equivalents.say(variant=new, successors=[Successor(variant=sauce)], equals=[], actor=make.TESTER)
    before = sauce.history.count()
    answer = save(
        keeper, sauce, ("packs", {"name": "case", "level": "case", "quantity": 24}),
        ("equivalents", {"relation": "superseded", "other": new.pk}), name="Renamed",
    )  # fmt: skip
    assert "would replace itself" in str(answer.context["adminform"].form.non_field_errors())
    parent = make.make_variant(sku="ABOVE", is_parent=True)
    shelved = ("packs", {"name": "case", "level": "case", "quantity": 24, "stocked_as": parent.pk})
    assert "no other product that can lie on a shelf" in save(keeper, sauce, shelved).content.decode()
    sauce.refresh_from_db()
    assert (sauce.name, sauce.version, sauce.history.count(), Pack.objects.count()) == ("Sauce", 1, before, 0)


def test_what_replaces_a_part_is_said_by_the_operation(keeper, sauce):
    new, newest = make.make_variant(sku="NEW"), make.make_variant(sku="NEWEST")
    equivalents.say(variant=new, successors=[Successor(variant=sauce)], equals=[], actor=make.TESTER)
    answer = save(keeper, sauce, ("equivalents", {"relation": "superseded", "other": new.pk}))
    assert "would replace itself" in answer.content.decode()
    assert Equivalent.objects.count() == 1
    save(keeper, sauce, ("equivalents", {"relation": "superseded", "other": newest.pk, "valid_from": "2027-01-01"}))
    sauce.refresh_from_db()
    assert (sauce.version, sauce.history.first().history_change_reason) == (2, "equivalents said")
    assert sauce.equivalents.get().valid_from == date(2027, 1, 1)


def test_what_is_typed_as_interchangeable_joins_the_group_and_the_others_stay(keeper, sauce):
    equal, more = make.make_variant(sku="EQUAL"), make.make_variant(sku="MORE")
    number = Equal(brand="Febi", part_number="31140")
    equivalents.say(variant=sauce, successors=[], equals=[Equal(variant=equal), number], actor=make.TESTER)
    pair = {"relation": "interchangeable", "other": more.pk}
    answer = save(keeper, sauce, ("equivalents", pair | {"valid_from": "2027-01-01"}))
    assert "equals are equal always" in answer.content.decode()
    assert InterchangeMember.objects.count() == 3
    save(keeper, sauce, ("equivalents", pair))
    members = set(InterchangeMember.objects.values_list("variant__sku", "part_number"))
    assert members == {("SAUCE", ""), ("EQUAL", ""), ("MORE", ""), (None, "31140")}
    assert Equivalent.objects.count() == 0


def test_a_group_is_said_as_a_whole_and_a_part_of_another_is_refused(keeper, sauce):
    one, two, three = (make.make_variant(sku=sku) for sku in ("ONE", "TWO", "THREE"))
    equivalents.say(variant=two, successors=[], equals=[Equal(variant=three)], actor=make.TESTER)
    url = reverse("admin:catalog_interchangegroup_add")
    data = as_shown(keeper, url) | {
        "members-TOTAL_FORMS": 2,
        "members-0-variant": sauce.pk,
        "members-1-variant": one.pk,
    }
    keeper.post(url, data | {"name": "Sauces"})
    group = InterchangeGroup.objects.get(name="Sauces")
    sauce.refresh_from_db()
    assert (sauce.version, sauce.history.first().history_change_reason) == (2, "equivalents said")
    before = list(InterchangeMember.objects.order_by("id").values())
    answer = save(keeper, group, ("members", {"brand": "FEBI", "part_number": "31"}), ("members", {"brand": "febi", "part_number": "3 1"}))  # fmt: skip
    assert answer.status_code == 200
    assert "is named twice" in answer.content.decode()
    assert list(InterchangeMember.objects.order_by("id").values()) == before
    save(keeper, group, ("members", {"brand": "Febi", "part_number": "31"}), **{"members-1-DELETE": "on"})
    assert set(group.members.values_list("variant__sku", "part_number")) == {("SAUCE", ""), (None, "31")}
    one.refresh_from_db()
    assert one.version == 3, "it came, and it left"


def test_notes_of_a_type_go_by_the_operation(keeper, db):
    kind = ProductType.objects.create(code="toys", name="Toys")
    answer = save(keeper, kind, ("regulatory_notes", {"jurisdiction": "eu", "text": "CE"}))
    assert answer.status_code == 200
    assert RegulatoryNote.objects.count() == 0
    save(keeper, kind, ("regulatory_notes", {"jurisdiction": "EU", "text": "CE"}))
    assert (kind.regulatory_notes.get().text, RegulatoryNote.history.get().actor) == ("CE", "staff:keeper")


def test_a_fitment_is_typed_on_its_own_page_and_shown_with_its_part(keeper, sauce):
    url = reverse("admin:catalog_fitment_add")
    typed = {"variant": sauce.pk, "make": "ford", "model": "F-150", "year_from": 2004, "year_to": 2008, "quantity": 1, "qualifiers": "[]"}  # fmt: skip
    for change, field in (({"year_to": 2003}, "year_to"), ({"year_from": 17}, "year_from"), ({"make": "--"}, "make")):
        refused = keeper.post(url, typed | change)
        assert refused.status_code == 200, change
        assert field in refused.context["adminform"].form.errors, change
    assert Fitment.objects.count() == 0
    keeper.post(url, typed)
    fitment = Fitment.objects.get()
    save(keeper, fitment, make="Ford", quantity="2")
    fitment = Fitment.objects.get()
    assert (fitment.make, fitment.quantity) == ("Ford", 2)
    listed = keeper.get(reverse("admin:catalog_variant_open_fitments", args=[sauce.pk]), follow=True)
    assert "F-150" in listed.content.decode()
    page = keeper.get(page_of(sauce))
    assert page_of(fitment) in page.content.decode()
    keeper.post(reverse("admin:catalog_fitment_delete", args=[fitment.pk]), {"post": "yes"})
    assert Fitment.objects.count() == 0


def test_a_catalogs_fitment_stays_its_own_when_staff_mend_it(keeper, sauce):
    said = Fits(variant_id=sauce.pk, make="Ford", model="F-150", year_from=2004, year_to=2008, brand_aaia_id="BBBB")
    fitments.put_many(fitments=[said], actor=make.TESTER, source="ACES")
    save(keeper, Fitment.objects.get(), year_to=2009)
    assert Fitment.objects.values_list("source", "brand_aaia_id", "year_to").get() == ("ACES", "BBBB", 2009)
