"""The attributes a type declares are fields on the product's page; the rest stays JSON."""

from __future__ import annotations

import json

import pytest
from django.urls import reverse

from catalog.models import ProductType, Variant
from catalog.operations import products, types
from tests import make

SCHEMA = {
    "type": "object",
    "required": ["finish"],
    "properties": {
        "spf": {"type": "integer", "minimum": 1, "maximum": 100, "title": "Sun <b>factor</b>", "description": "As <i>labelled</i>."},
        "finish": {"$ref": "#/$defs/finish"},
        "vegan": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 5}},
        "free from": {"type": "array", "items": {"enum": ["parabens", "silicone"]}},
        "weight": {"type": "number"},
        "tested": {"type": "string", "format": "date"},
        "either": {"type": ["string", "number"]},
    },
    "$defs": {"finish": {"enum": ["matte", "dewy"]}},
}  # fmt: skip
KEPT = {"finish": "matte", "spf": 30, "weight": 1.0, "tags": ["new", "gift"], "origin": "flat", "either": 5}
LISTS = ("packs", "identifiers", "components", "supplier_items", "fitments", "equivalents", "regulatory_notes")


@pytest.fixture
def keeper(client, staff):
    client.force_login(staff)
    return client


@pytest.fixture
def care(db) -> ProductType:
    kind = ProductType.objects.create(code="care", name="Care")
    types.revise_schema(product_type=kind, schema=SCHEMA, based_on=0, actor=make.TESTER)
    return kind


@pytest.fixture
def cream(care) -> Variant:
    fields = {"name": "Cream", "product_type": "care", "attributes": KEPT}
    return products.create(sku="CREAM", fields=fields, actor=make.TESTER)


def page_of(variant: Variant | None) -> str:
    if variant is None:
        return reverse("admin:catalog_variant_add")
    return reverse("admin:catalog_variant_change", args=[variant.pk])


def as_shown(form) -> dict:
    """What a browser sends back for the page as it is."""
    data = {}
    for each in (form, form.typed):
        for bound in each:
            value = bound.value()
            # Of boxes that are not ticked nothing is sent at all.
            if value not in (None, False, []):
                data[bound.html_name] = value
    data |= {"attributes": json.dumps(form.initial["attributes"]), "attributes_of": form.typed.of}
    for prefix in LISTS:
        data |= {f"{prefix}-TOTAL_FORMS": "0", f"{prefix}-INITIAL_FORMS": "0"}
    return data


def save(keeper, variant: Variant | None, **typed):
    """The answer to the page sent back as it was shown, but for what was `typed`."""
    form = keeper.get(page_of(variant)).context["adminform"].form
    sent = as_shown(form) | {
        (f"attr-{name}" if name in form.typed.kinds else name): value for name, value in typed.items()
    }
    return keeper.post(page_of(variant), sent, follow=True)


def kept(variant: Variant) -> str:
    variant.refresh_from_db()
    return json.dumps(variant.attributes, sort_keys=True)


def errors_of(answer) -> dict[str, list[str]]:
    form = answer.context["adminform"].form
    return {name: list(words) for name, words in {**form.errors, **form.typed.errors}.items() if name != "attributes"}


def test_each_declared_attribute_has_the_field_it_takes(keeper, cream):
    answer = keeper.get(page_of(cream))
    typed = answer.context["adminform"].form.typed
    assert typed.kinds == {
        "spf": "number", "finish": "choice", "vegan": "yesno", "tags": "list", "free from": "choices",
        "weight": "number", "tested": "text",
    }  # fmt: skip
    assert [text for text, _ in typed.fields["finish"].choices] == ["", "matte", "dewy"]
    assert typed["tags"].value() == "new\ngift"
    assert json.loads(answer.context["adminform"].form["attributes"].value()) == {"origin": "flat", "either": 5}
    page = answer.content.decode()
    assert "Sun &lt;b&gt;factor" in page
    assert "As &lt;i&gt;labelled&lt;/i&gt;. From 1 to 100." in page
    assert "<i>labelled" not in page
    for place in range(len(typed.kinds)):
        assert page.count(f'for="id_attribute_{place}"') == page.count(f' id="id_attribute_{place}"') <= 1


def test_a_page_sent_back_as_it_is_changes_nothing(keeper, cream):
    assert "was changed" in save(keeper, cream).content.decode()
    assert kept(cream) == json.dumps(KEPT, sort_keys=True), "1.0 is not made 1"
    assert cream.version == 1


def test_axes_and_the_values_along_them_are_written_as_people_write(keeper, cream, care):
    save(keeper, None, sku="LINE", name="Line", product_type="care", axes="shade, size")
    line = Variant.objects.get(sku="LINE")
    assert line.axes == ["shade", "size"]
    save(keeper, cream, parent=line.pk, axis_values="shade: 355N\nsize: 30 ml: travel")
    cream.refresh_from_db()
    assert cream.axis_values == {"shade": "355N", "size": "30 ml: travel"}
    for one in (line, cream):
        version = Variant.objects.get(pk=one.pk).version
        assert "was changed" in save(keeper, one).content.decode()
        assert Variant.objects.get(pk=one.pk).version == version, "a page sent back as it was changes nothing"
    answer = save(keeper, cream, axis_values="355N")
    assert "write the axis, a colon and the value" in errors_of(answer)["axis_values"][0]
    assert Variant.objects.get(pk=cream.pk).axis_values == cream.axis_values


def test_what_is_typed_is_kept_as_the_type_of_its_attribute(keeper, cream):
    save(keeper, cream, **{
        "spf": "50", "finish": "dewy", "vegan": "false", "tags": "a\r\n\r\n b ", "free from": ["silicone"],
        "weight": "2.5", "tested": "2027-01-31", "attributes": '{"origin": "FR", "either": 5}',
    })  # fmt: skip
    assert json.loads(kept(cream)) == {
        "spf": 50, "finish": "dewy", "vegan": False, "tags": ["a", "b"], "free from": ["silicone"],
        "weight": 2.5, "tested": "2027-01-31", "origin": "FR", "either": 5,
    }  # fmt: skip
    assert (cream.version, cream.schema_version) == (2, 1)


def test_an_emptied_field_says_that_there_is_none(keeper, cream):
    save(keeper, cream, spf="", tags="", weight="")
    assert json.loads(kept(cream)) == {"finish": "matte", "origin": "flat", "either": 5}


@pytest.mark.parametrize(
    ("typed", "field", "said"),
    [
        ({"spf": "many"}, "spf", "Send a whole number."),
        ({"spf": "101"}, "spf", "At most 100."),
        ({"finish": ""}, "finish", "Is missing."),
        ({"finish": "shiny"}, "finish", "Select a valid choice"),
        ({"tags": "short\nlonger than five"}, "tags", "Number 2: At most 5 characters."),
        ({"tested": "31.1.2027"}, "tested", "Write a date as 2027-01-31."),
        ({"weight": "1e400"}, "weight", "Send a number."),
        ({"spf": "3\x000"}, "spf", "Null characters"),
        ({"vegan": "perhaps"}, "vegan", "Select a valid choice"),
    ],
)
def test_what_the_schema_refuses_is_said_at_the_field_and_nothing_is_saved(keeper, cream, typed, field, said):
    before = kept(cream)
    answer = save(keeper, cream, name="Another name", **typed)
    assert any(said in words for words in errors_of(answer)[field])
    assert said in answer.content.decode()
    assert (kept(cream), cream.name, cream.version) == (before, "Cream", 1)


@pytest.mark.parametrize(
    ("others", "said"),
    [("[1]", "Write an object"), ("{", "valid JSON"), ('{"spf": 3}', "there are fields: spf"),
     ('{"deep": {"a": 1}}', "neither text, number")],
)  # fmt: skip
def test_what_is_written_as_json_is_held_to_its_own_rules(keeper, cream, others, said):
    before = kept(cream)
    answer = save(keeper, cream, attributes=others, spf="40")
    assert said in answer.content.decode()
    assert kept(cream) == before


def test_a_value_the_newest_schema_refuses_stays_until_it_is_touched(keeper, care, cream):
    Variant.objects.filter(pk=cream.pk).update(attributes=KEPT | {"finish": "shiny", "spf": "lots"})
    save(keeper, cream, name="Another name")
    cream.refresh_from_db()
    assert (cream.name, cream.attributes["finish"], cream.attributes["spf"]) == ("Another name", "shiny", "lots")
    answer = save(keeper, cream, weight="3")
    assert errors_of(answer) == {
        "finish": ["Use one of matte, dewy."],
        "spf": ["Send a whole number. As <i>labelled</i>."],
    }
    assert "<i>labelled" not in answer.content.decode()


def test_fields_are_read_by_the_version_they_were_shown_by(keeper, care, cream):
    form = keeper.get(page_of(cream)).context["adminform"].form
    types.revise_schema(
        product_type=care, schema={"type": "object", "properties": {"origin": {"type": "string"}}}, based_on=1,
        actor=make.TESTER,
    )  # fmt: skip
    keeper.post(page_of(cream), as_shown(form) | {"attr-spf": "60"})
    assert json.loads(kept(cream)) == KEPT | {"spf": 60}
    assert cream.schema_version == 2


def test_a_chosen_type_shows_its_fields_and_saves_nothing_yet(keeper, care):
    bare = make.make_variant(sku="BARE", attributes={"finish": "matte", "origin": "FR"})
    answer = save(keeper, bare, product_type="care", attributes_look="1", name="Another name")
    form = answer.context["adminform"].form
    assert "Nothing was saved yet" in answer.content.decode()
    assert (form.typed["finish"].value(), json.loads(form["attributes"].value())) == ("matte", {"origin": "FR"})
    bare.refresh_from_db()
    assert (bare.product_type_id, bare.name) == ("general", "Bare")
    sent = as_shown(form) | {"product_type": "care", "attr-spf": "20", "attributes": '{"origin": "FR"}'}
    keeper.post(page_of(bare), sent)
    assert json.loads(kept(bare)) == {"finish": "matte", "origin": "FR", "spf": 20}
    assert (bare.product_type_id, bare.name) == ("care", "Another name")


def test_without_the_script_the_fields_of_a_new_type_come_with_the_first_refusal(keeper, care):
    answer = save(keeper, None, sku="NEW", name="New", product_type="care")
    assert errors_of(answer) == {"finish": ["Is missing."]}
    assert not Variant.objects.filter(sku="NEW").exists()
    sent = as_shown(answer.context["adminform"].form) | {"attr-finish": "dewy", "attributes": "{}"}
    keeper.post(page_of(None), sent)
    assert Variant.objects.get(sku="NEW").attributes == {"finish": "dewy"}


@pytest.mark.parametrize(
    "sent", ["", "care", "care:", "care:x", "care:99", "none:1", "care:" + "9" * 40, "\x00:1", ":0"]
)
def test_a_made_up_origin_of_the_fields_is_no_fault(keeper, cream, sent):
    answer = save(keeper, cream, attributes_of=sent, attributes=json.dumps(KEPT))
    assert answer.status_code == 200
    assert kept(cream) == json.dumps(KEPT, sort_keys=True)


def test_a_merchandiser_who_may_only_look_sees_the_page(client, cream, django_user_model):
    from django.contrib.auth.models import Group

    from inventory_site import roles

    roles.ensure_roles()
    looker = django_user_model.objects.create_user("ada", is_staff=True)
    looker.groups.add(Group.objects.get(name="Auditor"))
    client.force_login(looker)
    assert client.get(page_of(cream)).status_code == 200
