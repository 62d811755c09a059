"""A parent's variants in a table along its axes: seen, filled, pasted; every fault said at its cell before anything is saved."""

from __future__ import annotations

import html
import json
import re

import pytest
from django.contrib.auth.models import Group, User
from django.urls import reverse

from catalog import matrix
from catalog.admin import drafts
from catalog.admin.matrix import TYPED_MAX
from catalog.models import CatalogImport, ProductType, Variant
from catalog.operations import plans, products, types
from inventory_site import roles
from partners.problems import InvalidInput
from tests import make

GTIN, OTHER_GTIN = "4006381333931", "4006381333948"


@pytest.fixture
def keeper(client, staff):
    client.force_login(staff)
    return client


def make_family(
    sku: str = "FIT", axes: tuple[str, ...] = ("shade", "size"), places: tuple[tuple[str, ...], ...] = ()
) -> Variant:
    fields = {"name": "Fit Me", "brand": "Acme", "axes": list(axes), "unit": "tube"}
    parent = products.create(sku=sku, fields=fields, actor=make.TESTER)
    for number, place in enumerate(places, 1):
        values = dict(zip(axes, place, strict=True))
        fields = {"name": f"Fit {number}", "parent_sku": sku, "axis_values": values}
        products.create(sku=f"{sku}-{number}", fields=fields, actor=make.TESTER)
    parent.refresh_from_db()
    return parent


@pytest.fixture
def fit(db) -> Variant:
    """Three of four places are taken; the fourth is free."""
    return make_family(places=(("Ivory", "30 ml"), ("Ivory", "100 ml"), ("Beige", "30 ml")))


@pytest.fixture
def planned(monkeypatch) -> list[dict]:
    """What the pages ask to be planned."""
    asked: list[dict] = []

    def plan(*, rows, **said):
        asked.append(said | {"rows": list(rows)})
        return CatalogImport.objects.create(title=said["title"], kind=said["kind"], actor=said["actor"].label)

    monkeypatch.setattr(plans, "plan", plan)
    return asked


def page_of(parent: Variant) -> str:
    return reverse("admin:catalog_variant_matrix", args=[parent.pk])


def look_over(keeper, parent: Variant, **sent):
    return keeper.post(reverse("admin:catalog_variant_matrix_new", args=[parent.pk]), sent)


def paste(keeper, parent: Variant, *rows: str, cells: str = "sku", verb: str = "check"):
    return look_over(keeper, parent, text="\n".join(rows), cells=cells, pattern=drafts.PATTERN, verb=verb)


def as_typed(answer, **typed) -> dict:
    """The form of the rows as a browser sends it back, but for what was `typed`."""
    sent: dict = {"row": [draft.kept for draft in answer.context["drafts"]], "verb": "plan"}
    for index, draft in enumerate(answer.context["drafts"]):
        sent |= {f"sku-{index}": draft.sku, f"name-{index}": draft.name, f"gtin-{index}": draft.gtin}
    return sent | {name.replace("_", "-"): value for name, value in typed.items()}


def faults(answer) -> list[dict[str, str]]:
    return [draft.faults for draft in answer.context["drafts"]]


def test_two_axes_make_a_table_in_the_order_people_count(fit):
    (table,) = matrix.of(fit).tables
    assert (table.columns, [row for row, _ in table.rows]) == (["30 ml", "100 ml"], ["Beige", "Ivory"])
    skus = [[[variant.sku for variant in cell.variants] for cell in cells] for _, cells in table.rows]
    assert skus == [[["FIT-3"], []], [["FIT-1"], ["FIT-2"]]]
    assert [cell.is_free for _, cells in table.rows for cell in cells] == [False, True, False, False]


def test_one_axis_makes_a_list_and_a_third_a_table_for_each_of_its_values(db):
    (table,) = matrix.of(make_family("LIP", ("shade",), (("Red",), ("Plum",)))).tables
    assert (table.columns, [row for row, _ in table.rows]) == ([], ["Plum", "Red"])
    oil = make_family("OIL", ("grade", "size", "pack"), (("5W", "1 l", "can"), ("0W", "5 l", "drum")))
    tables = matrix.of(oil).tables
    assert [table.rest for table in tables] == [[("pack", "can")], [("pack", "drum")]]
    assert sum(len(cells) for table in tables for _, cells in table.rows) == 8
    assert matrix.of(oil).free == 6


def test_a_place_whose_variant_is_no_longer_sold_is_free_and_shows_it(fit):
    products.revise(variant=Variant.objects.get(sku="FIT-1"), fields={"status": "discontinued"}, actor=make.TESTER)
    cell = matrix.of(fit).tables[0].rows[1][1][0]
    assert ([variant.sku for variant in cell.variants], cell.is_free) == (["FIT-1"], True)


def test_a_family_too_large_is_shown_in_part_and_says_so(fit, monkeypatch):
    assert matrix.of(fit).is_whole
    for limit in ("VARIANTS_MAX", "CELLS_MAX"):
        with monkeypatch.context() as smaller:
            smaller.setattr(matrix, limit, 2)
            found = matrix.of(fit)
            assert (found.is_whole, len(found.tables[0].rows) <= 2) == (False, True)


def test_the_page_costs_the_same_for_a_large_family(keeper, fit, django_assert_max_num_queries):
    for number in range(40):
        values = {"shade": f"Shade {number}", "size": "30 ml"}
        fields = {"name": "x", "parent_sku": "FIT", "axis_values": values}
        products.create(sku=f"MORE-{number}", fields=fields, actor=make.TESTER)
    with django_assert_max_num_queries(5):
        page = keeper.get(page_of(fit)).content.decode()
    assert "MORE-39" in page
    assert 'aria-label="Make Shade 7 / 100 ml"' in page


def test_a_variants_page_leads_to_the_matrix_of_its_parent(keeper, fit):
    first = Variant.objects.get(sku="FIT-1")
    assert keeper.get(reverse("admin:catalog_variant_open_matrix", args=[first.pk]))["Location"] == page_of(fit)
    lone = make.make_variant()
    assert "names no axes yet" in keeper.get(page_of(lone)).content.decode()


def test_a_value_added_to_an_axis_opens_its_places(keeper, fit):
    answer = keeper.get(page_of(fit), {"axis": ["shade", "size", "none"], "value": [" Deep  tan ", "", "x"]})
    assert answer.context["matrix"].values == {"shade": ["Beige", "Deep tan", "Ivory"], "size": ["30 ml", "100 ml"]}
    again = keeper.get(page_of(fit), {"axis": ["shade"] * 2, "value": ["ivory", "a\tb"]})
    assert (
        again.context["matrix"].values["shade"] == ["Beige", "Ivory"]
        or "a b" in again.context["matrix"].values["shade"]
    )


@pytest.mark.parametrize(
    ("pattern", "sku"),
    [
        ("{parent}-{value}", "FIT-CAFE-30ML"), ("{parent}-{value}-{value}", "FIT-CAFE-30ML"),
        ("{size}.{parent}", "30ML.FIT"), ("X{shade}", "XCAFE"), ("{parent}-{other}", "FIT-{other}"),
    ],
)  # fmt: skip
def test_a_sku_is_proposed_by_the_pattern(fit, pattern, sku):
    assert drafts.sku_for(fit, ("Café", "30 ml"), pattern) == sku


def test_a_chosen_place_becomes_a_row_that_takes_after_the_parent(keeper, fit, planned):
    answer = look_over(keeper, fit, place=json.dumps(["Beige", "100 ml"]), pattern=drafts.PATTERN)
    (draft,) = answer.context["drafts"]
    assert (draft.sku, draft.name, draft.faults) == ("FIT-BEIGE-100ML", "Fit Me Beige 100 ml", {})
    assert planned == []
    done = look_over(keeper, fit, **as_typed(answer, gtin_0=GTIN, sku_0="FIT-4"))
    (asked,) = planned
    assert done["Location"] == reverse("admin:catalog_catalogimport_change", args=[CatalogImport.objects.get().pk])
    assert (asked["title"], asked["kind"], asked["actor"].label) == ("Variants of FIT", "products", "staff:keeper")
    assert asked["rows"][0].values == {
        "productId": "FIT-4", "parentId": "FIT", "productType": "general", "brand": "Acme", "unit": "tube",
        "tracking": "none", "attributes": {}, "axisValues.shade": "Beige", "axisValues.size": "100 ml",
        "name": "Fit Me Beige 100 ml", "gtin": GTIN,
    }  # fmt: skip


def test_an_attribute_named_like_an_axis_says_the_variants_value(keeper, planned, db):
    kind = ProductType.objects.create(code="care", name="Care")
    schema = {"type": "object", "properties": {"shade": {"type": "string"}, "spf": {"type": "integer"}}}
    types.revise_schema(product_type=kind, schema=schema, based_on=0, actor=make.TESTER)
    fields = {"name": "Fit", "axes": ["shade", "size"], "product_type": "care", "attributes": {"spf": 30}}
    parent = products.create(sku="FIT", fields=fields, actor=make.TESTER)
    paste(keeper, parent, "shade\tsize\tSKU\tattributes.spf", "Red\tS\tA\t50", verb="plan")
    values = planned[0]["rows"][0].values
    assert (values["attributes"], values["attributes.shade"], values["attributes.spf"]) == ({"spf": 30}, "Red", "50")


def test_rows_with_column_names_are_read_whatever_their_order(keeper, fit, planned):
    answer = paste(
        keeper, fit, "SIZE\tEAN\tShade\tsku\tStatus", f"100 ml\t{GTIN}\tBeige\tNEW\tactive", "", "5 ml\t\tRose  red\t\t"
    )
    first, second = answer.context["drafts"]
    assert (first.number, first.place, first.sku, first.gtin, first.others) == (2, ("Beige", "100 ml"), "NEW", GTIN, {"status": "active"})  # fmt: skip
    assert (second.place, second.sku, second.name) == (("Rose red", "5 ml"), "FIT-ROSERED-5ML", "Fit Me Rose red 5 ml")
    assert faults(answer) == [{}, {}]


def test_a_table_is_read_like_the_matrix_itself(keeper, fit):
    answer = paste(keeper, fit, "\t30 ml\t100 ml", "Beige\tFIT-3\tB-100", "Rose\tR-30\t")
    found = [(draft.place, draft.sku, draft.stands is not None) for draft in answer.context["drafts"]]
    assert found == [(("Beige", "30 ml"), "FIT-3", True), (("Beige", "100 ml"), "B-100", False), (("Rose", "30 ml"), "R-30", False)]  # fmt: skip
    assert not any(faults(answer))


def test_gtins_pasted_onto_the_table_go_to_what_stands_there(keeper, fit, planned):
    paste(keeper, fit, "shade\t30 ml", f"Beige\t{GTIN}", f"Rose\t{OTHER_GTIN}", cells="gtin", verb="plan")
    there, new = planned[0]["rows"]
    assert there.values == {
        "productId": "FIT-3", "parentId": "FIT", "axisValues.shade": "Beige", "axisValues.size": "30 ml",
        "name": "Fit 3", "gtin": GTIN,
    }, "what stands there keeps what the paste does not say"  # fmt: skip
    assert (new.values["productId"], new.values["gtin"]) == ("FIT-ROSE-30ML", OTHER_GTIN)


def test_of_one_axis_two_columns_are_enough(keeper, db):
    lip = make_family("LIP", ("shade",), (("Red",),))
    answer = paste(keeper, lip, "Red\tLIP-1", "Plum\tLIP-2")
    assert [(draft.place, draft.stands is None) for draft in answer.context["drafts"]] == [
        (("Red",), False),
        (("Plum",), True),
    ]


HEAD = "shade\tsize\tSKU\tName\tGTIN"


@pytest.mark.parametrize(
    ("rows", "place", "column", "said"),
    [
        (["Ivory\t30 ML\tNEW"], 0, "place", "FIT-1 stands there"),
        (["Rose\t1\tA", "rose\t1\tB"], 1, "place", "is there twice, in row 2 too"),
        (["Rose\t1\tA", "Rose\t2\tA"], 1, "sku", "is there twice, in row 2 too"),
        (["Rose\t1\tOTHER"], 0, "sku", "is another product already: Another"),
        (["Rose\t1\tFIT-1"], 0, "sku", "stands at Ivory / 30 ml already"),
        (["Rose\t1\tno blanks"], 0, "sku", "letters, digits and"),
        (["Rose\t1\t" + "x" * 65], 0, "sku", "has up to 64"),
        (["Rose\t\tA"], 0, "size", "is missing"),
        (["x" * 81 + "\t1\tA"], 0, "shade", "1 to 80 characters"),
        (["Rose\t1\tA\t" + "x" * 251], 0, "name", "1 to 250 characters"),
        ([f"Rose\t1\tA\t\t{GTIN[:-1]}2"], 0, "gtin", "check digit"),
        (["Rose\t1\tA\t\t4.00638E+12"], 0, "gtin", "spreadsheet"),
        ([f"Rose\t1\tA\t\t{OTHER_GTIN}"], 0, "gtin", "belongs to OTHER"),
        ([f"Rose\t1\tA\t\t{GTIN}", f"Rose\t2\tB\t\t0{GTIN}"], 1, "gtin", "is there twice, in row 2 too"),
        (["Rose\t1\tA\t\t\tmore"], 0, "row", "more cells than the first row"),
    ],
)
def test_each_fault_is_said_at_its_cell_and_nothing_is_planned(keeper, fit, planned, rows, place, column, said):
    products.create(sku="OTHER", fields={"name": "Another", "gtin": OTHER_GTIN}, actor=make.TESTER)
    answer = paste(keeper, fit, HEAD, *rows, verb="plan")
    assert said in faults(answer)[place][column]
    assert [sorted(found) for at, found in enumerate(faults(answer)) if at != place] == [[]] * (len(rows) - 1)
    assert html.escape(said) in answer.content.decode() or said in answer.content.decode()
    assert planned == []
    assert Variant.objects.count() == 5


def test_a_row_with_a_fault_is_mended_in_its_cell_or_left_out(keeper, fit, planned):
    answer = paste(keeper, fit, HEAD, f"Rose\t1\tFIT-1\tRose\t{GTIN[:-1]}2", "Ivory\t30 ml\tNEW")
    assert all(faults(answer))
    page = answer.content.decode()
    assert re.search(r'name="gtin-0"[^>]*aria-invalid="true" aria-describedby="fault-gtin-0"', page)
    assert 'id="fault-gtin-0"' in page
    done = look_over(keeper, fit, **as_typed(answer, sku_0="ROSE", gtin_0=GTIN, leave_1="on"))
    assert done.status_code == 302
    assert [row.values["productId"] for row in planned[0]["rows"]] == ["ROSE"]


def test_many_rows_are_mended_in_the_paste_itself(keeper, fit, planned):
    rows = [f"Shade {number}\t1\tS-{number}" for number in range(TYPED_MAX + 1)]
    answer = paste(keeper, fit, HEAD, *rows, "Ivory\t30 ml\tNEW")
    assert (answer.context["is_typed"], answer.context["faulty"]) == (False, 1)
    assert answer.context["paste"]["text"].value().endswith("NEW")
    assert paste(keeper, fit, HEAD, *rows, verb="plan").status_code == 302
    assert len(planned[0]["rows"]) == TYPED_MAX + 1


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([""], "required"), (["\t\t", "\t"], "nothing in it"), (["a\tb", "c\td"], "neither columns nor values of size"),
        (["shade\tsize\tsku\tflavour", "a\tb\tc\td"], "no column &#x27;flavour&#x27;"),
        (["shade\tsize\tsku\tproductId", "a\tb\tc\td"], "productId is there twice"),
        (["\t".join("x" * 101)], "At most 2,000 rows and 100 columns"), (["\t1", "a\tb\tc"], "more cells"),
        (["x\t\x00"], "Null characters"),
    ],
)  # fmt: skip
def test_what_is_no_table_of_variants_is_said_at_the_field(keeper, fit, rows, said):
    answer = paste(keeper, fit, *rows)
    assert said in answer.content.decode()
    assert answer.context["drafts"] == []


def test_three_axes_ask_for_column_names(keeper, db):
    oil = make_family("OIL", ("grade", "size", "pack"))
    assert "paste a header row: grade, size, pack" in paste(keeper, oil, "\t1 l", "5W\tA").content.decode()


@pytest.mark.parametrize(
    "sent",
    [
        {}, {"place": "{"}, {"place": '["Ivory"]'}, {"place": '[1, 2]'}, {"place": "[" * 5_000}, {"row": "{"},
        {"row": '["a"]'}, {"row": '{"place": ["a", "b"], "others": 5}'}, {"row": '{"place": "ab", "others": {}}'},
    ],
)  # fmt: skip
def test_made_up_rows_are_passed_over(keeper, fit, planned, sent):
    assert look_over(keeper, fit, verb="plan", **sent)["Location"] == page_of(fit)
    assert planned == []


def test_a_refusal_of_the_plan_is_a_sentence(keeper, fit, monkeypatch):
    def refuse(**_):
        raise InvalidInput.at("rows", "Not today.")

    monkeypatch.setattr(plans, "plan", refuse)
    assert "Not today." in paste(keeper, fit, HEAD, "Rose\t1\tA", verb="plan").content.decode()


def test_who_may_only_look_sees_the_table_and_fills_nothing(client, fit):
    roles.ensure_roles()
    auditor = User.objects.create_user("ada", is_staff=True)
    auditor.groups.add(Group.objects.get(name="Auditor"))
    client.force_login(auditor)
    page = client.get(page_of(fit)).content.decode()
    assert "FIT-1" in page
    assert 'name="place"' not in page
    assert paste(client, fit, HEAD, "Rose\t1\tA").status_code == 403
    stranger = User.objects.create_user("eve", is_staff=True)
    client.force_login(stranger)
    assert client.get(page_of(fit)).status_code == 403


@pytest.mark.parametrize("pk", ["0", "9" * 30, "x", "1\x00"])
def test_a_product_that_is_not_there_has_no_matrix(keeper, db, pk):
    assert keeper.get(reverse("admin:catalog_variant_matrix", args=["1"]).replace("/1/", f"/{pk}/")).status_code == 404


def test_names_are_shown_as_text(keeper, db):
    parent = make_family("FIT", ("<b>shade</b>", "size"), (("<script>x", "1"),))
    assert "<script>x" not in keeper.get(page_of(parent)).content.decode()
    answer = paste(keeper, parent, "<b>shade</b>\tsize\tSKU", "<i>y\t1\t<i>z")
    assert "<i>" not in answer.content.decode()


def test_pasted_variants_are_planned_applied_and_taken_back_as_one(keeper, fit):
    paste(keeper, fit, HEAD, f"Rose\t1\tROSE\t\t{GTIN}", "Ivory\t30 ml\tFIT-1\tIvory, small", verb="plan")
    plan = CatalogImport.objects.get()
    assert (plan.state, plan.origin, plan.new_count, plan.changed_count, plan.refused_count) == (
        "planned",
        "bulkEdit",
        1,
        1,
        0,
    )
    assert not Variant.objects.filter(sku="ROSE").exists()
    plans.apply(plan=plan, actor=make.TESTER)
    rose = Variant.objects.get(sku="ROSE")
    assert (rose.parent, rose.axis_values, rose.gtin, rose.brand) == (fit, {"shade": "Rose", "size": "1"}, GTIN, "Acme")
    assert Variant.objects.get(sku="FIT-1").name == "Ivory, small"
    plans.undo(plan=plan, actor=make.TESTER)
    assert not Variant.objects.filter(sku="ROSE").exists()
    assert Variant.objects.get(sku="FIT-1").name == "Fit 1"
