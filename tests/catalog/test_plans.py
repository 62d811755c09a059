"""Imports are planned, applied whole or not at all, and taken back whole."""

from __future__ import annotations

from decimal import Decimal

import pytest

from catalog.models import CatalogImport, Fitment, Identifier, ProductType, SupplierItem, Variant
from catalog.operations import fitments, plan_work, plans, products, types
from catalog.operations.plan_moved import PlanOutdated
from catalog.operations.plan_undoing import ImportMovedOn
from partners.files import Row
from partners.models import OutboxEvent
from partners.problems import IllegalStep
from tests import make

GTIN, OTHER_GTIN = "4006381333931", "4012345000009"


def rows(*values):
    return [Row(number, row) for number, row in enumerate(values, 2)]


def planned(*values, **options):
    given = {"kind": "products", "title": "Spring", "actor": make.TESTER} | options
    return plans.plan(rows=rows(*values), **given)


def told(plan):
    """(row, outcome, field → (from, to)) of each row."""
    return [(row.number, row.outcome, {name: (was, new) for name, was, new in row.changes}) for row in plan.rows.all()]


def reasons(plan):
    return {row.number: " ".join(": ".join(pair) for pair in row.reasons) for row in plan.rows.all() if row.reasons}


def counts(plan):
    return (plan.new_count, plan.changed_count, plan.unchanged_count, plan.refused_count)


def apply(plan):
    return plans.apply(plan=plan, actor=make.TESTER)


def undo(plan, **options):
    return plans.undo(plan=plan, actor=make.TESTER, **options)


def picture():
    """All that an import may touch, without what counts its own changes."""
    variants = Variant.objects.order_by("sku").values(
        "sku", "name", "brand", "product_type", "parent__sku", "is_parent", "gtin", "gtin14", "attributes",
        "schema_version", "axes", "axis_values", "tracking", "shelf_life_days", "warranty_months", "unit", "status",
    )  # fmt: skip
    offers = SupplierItem.objects.order_by("variant", "supplier").values("variant", "supplier", "supplier_code", "cost")
    numbers = Identifier.objects.order_by("plain", "variant").values("variant", "scheme", "plain", "pack", "is_main")
    return list(variants), list(offers), list(numbers)


@pytest.fixture
def sauce(db):
    return make.make_variant(sku="SAUCE", brand="Fire", gtin=GTIN, gtin14=GTIN.zfill(14), attributes={"heat": "hot"})


def test_a_plan_says_what_each_row_would_do_and_does_nothing(sauce):
    before = picture()
    plan = planned(
        {"productId": "SAUCE", "name": "Hot sauce", "attributes.heat": "mild"},
        {"productId": "SAUCE-2", "name": "Green sauce", "brand": "Fire", "shelfLifeDays": "365"},
        {"productId": "BAD", "name": ""},
        {"productId": "SAUCE-2 ", "name": "Green sauce", "brand": "Fire", "shelfLifeDays": "365"},
    )
    assert (plan.state, counts(plan)) == ("planned", (1, 1, 1, 1))
    assert told(plan)[0] == (
        2,
        "changed",
        {"name": ("Sauce", "Hot sauce"), "attributes": ({"heat": "hot"}, {"heat": "mild"})},
    )
    assert picture() == before


def test_applied_it_is_as_if_each_row_had_been_saved_by_hand(sauce, supplier):
    plan = planned(
        {"productId": "SAUCE", "name": "Hot sauce", "attributes.heat": "mild"},
        {"productId": "SAUCE-2", "name": "Green", "gtin": OTHER_GTIN, "supplierId": "SUP-1", "supplierCode": "G2",
         "cost": "1.50", "currency": "EUR", "productType": "Hot Sauces"},
    )  # fmt: skip
    applied = apply(plan)
    assert applied.state == "applied"
    sauce.refresh_from_db()
    green = Variant.objects.get(sku="SAUCE-2")
    assert (sauce.name, sauce.attributes, sauce.version) == ("Hot sauce", {"heat": "mild"}, 2)
    assert (green.gtin14, green.product_type.name, green.version) == (OTHER_GTIN.zfill(14), "Hot sauces", 1)
    offer = green.supplier_items.get()
    assert (offer.supplier, offer.supplier_code, offer.cost, offer.currency) == (
        supplier, "G2", Decimal("1.5000"), "EUR",
    )  # fmt: skip
    assert [(row.history_type, row.actor, row.version) for row in green.history.all()] == [("+", "job:tests", 1)]
    assert [(row.history_type, row.name, row.history_change_reason) for row in sauce.history.all()[:1]] == [
        ("~", "Hot sauce", f"import {plan.number}")
    ]
    assert set(Identifier.objects.filter(variant=green).values_list("scheme", "value")) == {
        ("gtin", OTHER_GTIN), ("supplier", "G2"),
    }  # fmt: skip
    [event] = OutboxEvent.objects.filter(type="import.applied")
    assert (event.payload["created"], event.payload["changed"]) == (1, 1)


def test_applied_twice_the_second_answers_the_same(sauce):
    plan = planned({"productId": "SAUCE", "name": "Hot sauce"})
    first, second = apply(plan), apply(plan)
    assert (second.state, second.applied_at, second.version) == ("applied", first.applied_at, first.version)
    assert Variant.objects.get().version == 2
    assert OutboxEvent.objects.filter(type="import.applied").count() == 1


def test_what_is_so_already_is_unchanged_and_writes_nothing(sauce, supplier):
    row = {
        "productId": "SAUCE",
        "name": "Sauce",
        "gtin": GTIN,
        "supplierId": "SUP-1",
        "packs": [{"name": "case", "quantity": 6}],
    }
    apply(planned(row))
    history = sauce.history.count()
    plan = planned(row)
    assert counts(plan) == (0, 0, 1, 0)
    apply(plan)
    sauce.refresh_from_db()
    assert (sauce.version, sauce.history.count()) == (2, history)


@pytest.mark.parametrize("change", ["revised", "new is there", "deleted parent", "schema"])
def test_a_plan_that_something_moved_under_is_outdated_and_changes_nothing(sauce, change):
    parent = make.make_variant(sku="RANGE")
    plan = planned(
        {"productId": "SAUCE", "name": "Hot sauce", "productType": "beauty", "attributes.heat": ""},
        {"productId": "NEW", "name": "New", "parentId": "RANGE"},
    )
    assert counts(plan) == (1, 1, 0, 0), reasons(plan)
    match change:
        case "revised":
            products.revise(variant=sauce, fields={"brand": "Ice"}, actor=make.TESTER)
        case "new is there":
            make.make_variant(sku="NEW")
        case "deleted parent":
            products.revise(variant=parent, fields={"name": "Ranges"}, actor=make.TESTER)
        case "schema":
            newest = ProductType.objects.get(code="beauty").schemas.first()
            schema = newest.schema | {"description": "another"}
            types.revise_schema(
                product_type=newest.product_type, schema=schema, based_on=newest.version, actor=make.TESTER
            )
    before = picture()
    with pytest.raises(PlanOutdated) as refusal:
        apply(plan)
    named = {"revised": ["SAUCE"], "new is there": ["NEW"], "deleted parent": ["RANGE"], "schema": []}[change]
    assert refusal.value.data["productIds"] == named
    plan.refresh_from_db()
    assert (plan.state, picture()) == ("outdated", before)
    again = plan_work.replan(plan=plan, actor=make.TESTER)
    assert (again.state, again.planned_from) == ("planned", plan)
    assert apply(again).state == "applied"
    assert Variant.objects.get(sku="SAUCE").name == "Hot sauce"


def test_without_a_move_the_same_plan_is_applied(sauce):
    """The control of the test above."""
    make.make_variant(sku="RANGE")
    plan = planned(
        {"productId": "SAUCE", "name": "Hot sauce", "productType": "beauty"},
        {"productId": "NEW", "name": "New", "parentId": "RANGE"},
    )
    assert apply(plan).state == "applied"
    assert Variant.objects.get(sku="NEW").parent.is_parent


@pytest.mark.parametrize(
    ("first", "second", "where", "reason"),
    [
        ({"name": "A"}, {"name": "B"}, (2, 3), "something else of the same product"),
        ({"name": "A", "gtin": GTIN}, {"productId": "Y", "name": "B", "gtin": GTIN}, (3,), "row 2 gives"),
        ({"name": "A", "gtin": OTHER_GTIN}, {"productId": "Y", "name": "B"}, (2,), "belongs to another product"),
        ({"name": "A", "gtin": "7.61E+12"}, {"productId": "Y", "name": "B"}, (2,), "its digits are lost"),
        ({"name": "A", "gtin": "4006381333932"}, {"productId": "Y", "name": "B"}, (2,), "check digit"),
        ({"name": "A", "parentId": "NONE"}, {"productId": "Y", "name": "B"}, (2,), "There is no product NONE"),
        ({"name": "A", "supplierId": "SUP-1", "supplierCode": "1"},
         {"productId": "Y", "name": "B", "supplierId": "SUP-1", "supplierCode": "1"}, (3,), "row 2 gives the number 1"),
        ({"name": "A", "axes": ["size"]}, {"productId": "Y", "name": "B", "parentId": "X"}, (3,), "axisValues.size"),
        ({"name": "A", "gtin": GTIN}, {"productId": "Y", "name": "B", "parentId": "X"}, (3,), "parent"),
        ({"name": "A", "packs": [{"name": "case", "quantity": 6, "gtin": OTHER_GTIN}]},
         {"productId": "Y", "name": "B"}, (2,), "belongs to another product"),
        ({"name": "A\x00"}, {"productId": "Y", "name": "B"}, (2,), "control character"),
        ({"name": "A", "attributes": {"a": float("nan")}}, {"productId": "Y", "name": "B"}, (2,), "NaN"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_is_refused_with_its_reason_and_the_others_are_applied(
    db, supplier, first, second, where, reason
):
    make.make_variant(sku="OWNER", gtin=OTHER_GTIN, gtin14=OTHER_GTIN.zfill(14))
    plan = planned({"productId": "X"} | first, {"productId": "X"} | second, {"productId": "Z", "name": "Good"})
    refused = [row.number for row in plan.rows.all() if row.outcome == "refused"]
    assert refused == list(where), reasons(plan)
    assert all(reason in reasons(plan)[number] for number in where), reasons(plan)
    apply(plan)
    there = set(Variant.objects.values_list("sku", flat=True)) - {"OWNER"}
    assert "Z" in there
    assert len(there) == 3 - len(where)


def test_a_product_said_twice_the_same_is_there_once(db):
    plan = planned({"productId": "A", "name": "One"}, {"productId": "A", "name": "One"})
    assert (counts(plan), reasons(plan)) == ((1, 0, 1, 0), {3: "productId: row 2 says the same"})
    apply(plan)
    assert Variant.objects.count() == 1


def test_a_family_comes_in_one_file(db):
    plan = planned(
        {"productId": "LIP", "name": "Lipstick", "axes": "shade"},
        {"productId": "LIP-1", "name": "Red", "parentId": "LIP", "axisValues.shade": "Red"},
        {"productId": "LIP-2", "name": "Nude", "parentId": "LIP", "axisValues.shade": "Nude"},
        {"productId": "LIP-3", "name": "Red too", "parentId": "LIP", "axisValues.shade": "RED"},
    )
    assert reasons(plan) == {5: "axisValues: LIP-1 has these axis values already."}
    apply(plan)
    lip = Variant.objects.get(sku="LIP")
    assert (lip.is_parent, lip.variants.count(), lip.version) == (True, 2, 1)
    undo(plan)
    assert Variant.objects.count() == 0


def test_what_is_given_axes_is_a_parent_until_it_is_taken_back(db):
    make.make_variant(sku="LIP")
    before = picture()
    plan = apply(planned({"productId": "LIP", "axes": "shade"}, {"productId": "NAIL", "name": "Nail", "axes": "shade"}))
    assert dict(Variant.objects.values_list("sku", "is_parent")) == {"LIP": True, "NAIL": True}
    undo(plan)
    assert picture() == before


def test_numbers_may_go_round_between_products(db):
    make.make_variant(sku="A", gtin=GTIN, gtin14=GTIN.zfill(14))
    make.make_variant(sku="B", gtin=OTHER_GTIN, gtin14=OTHER_GTIN.zfill(14))
    before = picture()
    plan = planned({"productId": "A", "gtin": OTHER_GTIN}, {"productId": "B", "gtin": GTIN})
    assert counts(plan) == (0, 2, 0, 0), reasons(plan)
    apply(plan)
    assert list(Variant.objects.values_list("sku", "gtin")) == [("A", OTHER_GTIN), ("B", GTIN)]
    undo(plan)
    assert picture() == before


def test_packs_and_numbers_come_and_go_with_the_import(sauce, supplier):
    plan = planned(
        {"productId": "SAUCE", "supplierId": "SUP-1", "pack": "case", "asin": "B00ABCDEFG",
         "packs": [{"name": "inner", "quantity": 6}, {"name": "case", "filledWith": "inner", "filledCount": 4}]},
        {"productId": "NEW", "name": "New", "oe": "1K0 615 301", "packs": [{"name": "case", "quantity": 12, "gtin": OTHER_GTIN}]},
    )  # fmt: skip
    before = picture()
    assert counts(plan) == (1, 1, 0, 0), reasons(plan)
    apply(plan)
    sauce.refresh_from_db()
    assert [(pack.name, pack.quantity) for pack in sauce.packs.all()] == [("inner", 6), ("case", 24)]
    assert sauce.supplier_items.get().pack.name == "case"
    assert sauce.version == 2
    assert set(Identifier.objects.filter(variant__sku="NEW").values_list("scheme", "plain")) == {
        ("gtin", OTHER_GTIN.zfill(14)), ("oe", "1K0615301"),
    }  # fmt: skip
    undo(plan)
    assert picture() == before
    assert sauce.packs.count() == 0


def test_undone_all_is_as_it_was_and_history_tells_it(sauce, supplier):
    before = picture()
    plan = planned(
        {"productId": "SAUCE", "name": "Hot sauce", "gtin": OTHER_GTIN, "shelfLifeDays": "90", "supplierId": "SUP-1"},
        {"productId": "NEW", "name": "New", "gtin": GTIN},
    )
    assert counts(plan) == (1, 1, 0, 0), reasons(plan)
    apply(plan)
    assert picture() != before
    undone = undo(plan)
    assert (undone.state, picture()) == ("undone", before)
    assert [row.history_type for row in Variant.history.filter(sku="NEW")] == ["-", "+"]
    sauce.refresh_from_db()
    assert sauce.version == 3
    assert {row.number: row.undoing for row in plan.rows.all()} == {2: "restored", 3: "deleted"}
    assert undo(plan).version == undone.version


def test_a_new_product_that_is_used_by_now_is_discontinued_instead_of_deleted(db):
    plan = planned({"productId": "A", "name": "A"}, {"productId": "B", "name": "B"}, {"productId": "C", "name": "C"})
    apply(plan)
    make.make_level(variant=Variant.objects.get(sku="A"), warehouse=make.make_warehouse())
    Fitment.objects.create(variant=Variant.objects.get(sku="B"), make="Audi", model="A4", year_from=2004, year_to=2008)
    undo(plan)
    assert list(Variant.objects.values_list("sku", "status")) == [("A", "discontinued"), ("B", "discontinued")]
    assert [row.undoing for row in plan.rows.all()] == ["discontinued", "discontinued", "deleted"]


def test_what_has_moved_on_since_is_not_taken_back_unless_it_is_left_out(sauce):
    other = make.make_variant(sku="OTHER", name="Other")
    plan = planned({"productId": "SAUCE", "name": "Hot sauce"}, {"productId": "OTHER", "name": "Another"})
    apply(plan)
    products.revise(variant=sauce, fields={"brand": "Ice"}, actor=make.TESTER)
    before = picture()
    with pytest.raises(ImportMovedOn) as refusal:
        undo(plan)
    assert (refusal.value.data, picture()) == ({"productIds": ["SAUCE"], "movedCount": 1}, before)
    undo(plan, is_forced=True)
    sauce.refresh_from_db()
    other.refresh_from_db()
    assert (sauce.name, sauce.brand, other.name) == ("Hot sauce", "Ice", "Other")


@pytest.mark.parametrize("step", [apply, undo])
def test_an_import_that_is_refused_goes_no_further(db, step):
    plan = planned({"productId": "", "name": "Nameless"})
    assert (plan.state, plan.reason) == ("refused", "No row can be used.")
    with pytest.raises(IllegalStep):
        step(plan)


def test_what_stock_and_orders_feel_is_said_row_by_row_and_summed(sauce):
    make.make_level(variant=sauce, warehouse=make.make_warehouse(), on_hand=40)
    plan = planned(
        {"productId": "SAUCE", "status": "discontinued"}, {"productId": "NEW", "name": "New", "tracking": "batch"}
    )
    [row, new] = plan.rows.all()
    assert (row.effects, new.effects) == ({"onHand": 40}, {})
    assert plan.effects == {"status": {"products": 1, "onHand": 40}}
    named = planned({"productId": "SAUCE", "name": "Hot sauce"})
    assert (named.rows.get().effects, named.effects) == ({}, {})


def test_a_suppliers_word_counts_for_its_own_products_only(sauce, supplier):
    rival = make.make_partner(code="SUP-2", kind="supplier")
    mine = make.make_variant(sku="MINE", suppliers=[supplier])
    shared = make.make_variant(sku="SHARED", suppliers=[supplier, rival])
    plan = planned(
        {"productId": "MINE", "name": "Mine!"},
        {"productId": "SHARED", "name": "Mine, too"},
        {"productId": "SAUCE", "name": "Mine, too"},
        {"productId": "NEW", "name": "New"},
        {"productId": "OTHERS", "name": "x", "supplierId": "SUP-2"},
        supplier=supplier,
    )
    assert {row.number: row.outcome for row in plan.rows.all()} == {
        2: "changed", 3: "refused", 4: "refused", 5: "new", 6: "refused",
    }  # fmt: skip
    apply(plan)
    assert Variant.objects.get(sku="NEW").supplier_items.get().supplier == supplier
    for variant, name in ((mine, "Mine!"), (shared, "Shared"), (sauce, "Sauce")):
        variant.refresh_from_db()
        assert variant.name == name
    own = planned({"productId": "SHARED", "supplierId": "SUP-1", "cost": "2", "currency": "EUR"}, supplier=supplier)
    apply(own)
    costs = dict(shared.supplier_items.values_list("supplier__code", "cost"))
    assert costs == {"SUP-1": Decimal("2.0000"), "SUP-2": None}
    apply(planned({"productId": "SHARED", "cost": "3", "currency": "EUR"}, supplier=supplier))
    assert shared.supplier_items.get(supplier=supplier).cost == 3, "who sends a file need not name itself in each row"
    nobodys = planned({"productId": "SHARED", "cost": "4", "currency": "EUR"})
    assert told(nobodys)[0][1] == "refused"


def test_fitments_are_planned_applied_and_taken_back(db):
    rotor = make.make_variant(sku="ROTOR")
    Fitment.objects.create(variant=rotor, make="Audi", model="A4", year_from=2004, year_to=2008, quantity=1)
    Fitment.objects.create(variant=rotor, make="Audi", model="A6", year_from=2004, year_to=2008, quantity=2)
    vehicle = {"productId": "ROTOR", "make": "Audi", "yearFrom": "2004", "yearTo": "2008"}
    plan = planned(
        vehicle | {"model": "A4", "quantity": "2"}, vehicle | {"model": "A6", "quantity": "2"},
        vehicle | {"model": "A8"}, vehicle | {"model": "A8"}, vehicle | {"model": "A4", "quantity": "4"},
        vehicle | {"model": "TT", "yearTo": "1999"}, kind="fitments",
    )  # fmt: skip
    assert [outcome for _, outcome, _ in told(plan)] == [
        "changed", "unchanged", "new", "unchanged", "refused", "refused",
    ]  # fmt: skip
    apply(plan)
    assert list(Fitment.objects.values_list("model", "quantity")) == [("A4", 2), ("A6", 2), ("A8", 1)]
    undo(plan)
    assert list(Fitment.objects.values_list("model", "quantity")) == [("A4", 1), ("A6", 2)]


def test_fitments_that_moved_since_outdate_their_plan(db):
    rotor = make.make_variant(sku="ROTOR")
    vehicle = {"productId": "ROTOR", "make": "Audi", "model": "A4", "yearFrom": "2004", "yearTo": "2008"}
    plan = planned(vehicle | {"quantity": "2"}, kind="fitments")
    meant = fitments.Fits(variant_id=rotor.pk, make="Audi", model="A4", year_from=2004, year_to=2008, quantity=3)
    fitments.put_many(fitments=[meant], actor=make.TESTER)
    with pytest.raises(PlanOutdated):
        apply(plan)
    assert Fitment.objects.get().quantity == 3
    assert CatalogImport.objects.get().state == "outdated"


BAD = [
    None, True, 0, -1, 1.5, 10**17, "", " ", "x" * 3_000, "١", "2026-13-45", "\ufffe", "a\x00b", "\ud800", [], [None], [[]],
    {}, {"a": 1}, {"name": None}, [{"name": "x", "quantity": "y"}], [{"scheme": "oe", "value": "\x00"}],
]  # fmt: skip
COLUMNS = (
    "productId name brand gtin productType parentId packs identifiers suppliers attributes axes axisValues tracking"
    " status cost currency leadTimeDays lastConfirmedOn asin oe shelfLifeDays supplierId supplierCode make model yearFrom"
    " yearTo quantity qualifiers note"
).split()


@pytest.mark.parametrize("kind", ["products", "fitments"])
def test_whatever_a_row_holds_it_is_planned_or_refused_with_a_reason(sauce, supplier, kind):
    good = {"productId": "SAUCE", "name": "x", "make": "Audi", "model": "A4", "yearFrom": "2004", "yearTo": "2005"}
    said = [
        good | {"productId": f"P-{place}-{column}" if kind == "products" else "SAUCE"} | {column: bad}
        for column in COLUMNS
        for place, bad in enumerate(BAD)
    ]
    plan = planned(*said, kind=kind)
    assert sum(counts(plan)) == len(said)
    refused = [row for row in plan.rows.all() if row.outcome == "refused"]
    assert len(refused) > 100
    assert all(reason for row in refused for _, reason in row.reasons)
