"""ACES and PIES files go through plans: looked at, applied if nothing moved, taken back whole; as loading them does."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime

import pytest

from catalog.models import (
    CatalogImport,
    Equivalent,
    Fitment,
    Identifier,
    InterchangeMember,
    Price,
    PriceList,
    RegulatoryNote,
    Variant,
)  # fmt: skip
from catalog.operations import equivalents, fitments, plan_work, plans, prices, products
from catalog.operations.plan_moved import PlanOutdated
from catalog.operations.plan_undoing import ImportMovedOn
from tests import make
from tests.catalog import autocare_files as made
from tests.catalog.test_autocare_loading import (
    ACES,
    DES,
    LIS,
    NAMED,
    PIES,
    PIES_UPDATE,
    UPDATE,
    fitted,
    interchange,
    part,
    price,
)  # fmt: skip
from tests.catalog.test_load_catalog import run

SECOND = made.app(vehicle='<BaseVehicle id="6000"/>', id="2")
THIRD = made.app(vehicle='<BaseVehicle id="7000"/>', id="3")
COUNTED = (
    "sku",
    "name",
    "brand",
    "gtin14",
    "status",
    "attributes",
    "warranty_months",
    "warranty_terms",
    "product_type",
)
FITTED = (
    "variant__sku", "make", "model", "year_from", "year_to", "base_vehicle_id", "part_type_id", "brand_aaia_id",
    "aces_ids", "qualifiers", "quantity", "note", "source",
)  # fmt: skip


def planned(content: bytes, name: str = "brand.xml", **options) -> CatalogImport:
    given = {"title": "", "actor": make.TESTER, "origin": "file"} | options
    plan = plan_work.open_file(name=name, content=content, **given)
    return plan_work.work_on(plan=plan)


def apply(plan: CatalogImport) -> CatalogImport:
    return plans.apply(plan=plan, actor=make.TESTER)


def undo(plan: CatalogImport, **options) -> CatalogImport:
    return plans.undo(plan=plan, actor=make.TESTER, **options)


def counts(plan: CatalogImport) -> dict[str, int]:
    return {name: count for name, count in plan.counts.items() if count}


def reasons(plan: CatalogImport) -> dict[int, str]:
    rows = plan.rows.exclude(reasons=[])
    return {row.number: " ".join(": ".join(pair) for pair in row.reasons) for row in rows}


def picture() -> list[list]:
    """All that such a file may touch."""
    asked = [
        Variant.objects.order_by("sku").values_list(*COUNTED),
        Identifier.objects.order_by("variant__sku", "plain").values_list("variant__sku", "scheme", "value"),
        RegulatoryNote.objects.order_by("variant__sku", "text").values_list("variant__sku", "text"),
        Price.objects.order_by("variant__sku", "valid").values_list(
            "variant__sku", "price_list__code", "from_quantity", "amount", "valid"
        ),
        PriceList.objects.order_by("code").values_list("code", "currency", "is_active"),
        Equivalent.objects.order_by("variant__sku").values_list("variant__sku", "other__sku", "relation"),
        InterchangeMember.objects.order_by("brand", "part_number", "variant__sku").values_list(
            "variant__sku", "brand", "part_number"
        ),
        Fitment.objects.order_by(*FITTED[:6], "aces_ids", "source").values_list(*FITTED),
    ]
    return [list(rows) for rows in asked]


@pytest.mark.parametrize(
    ("pies", "aces"),
    [
        (PIES.read_bytes(), ACES.read_bytes()),
        (PIES.read_bytes().replace(b">FULL<", b">UPDATE<"), ACES.read_bytes().replace(b">FULL<", b">UPDATE<")),
    ],
    ids=["FULL", "UPDATE"],
)
def test_a_plan_of_the_samples_makes_of_the_catalog_what_loading_them_does(db, tmp_path, pies, aces):
    """What loading makes of them, test_autocare_loading holds against what was written by hand."""
    part("FLT-88001", brand="ZZIR")
    before = picture()
    first = planned(pies)
    assert (counts(first), picture()) == ({"new": 2}, before)
    apply(first)
    second = planned(aces)
    assert counts(second) == {"new": 3}
    apply(second)
    by_plan = picture()
    again = [planned(pies), planned(aces)]
    assert [counts(plan) for plan in again] == [{"unchanged": 2}, {"unchanged": 3}]
    for plan in again:
        apply(plan)
    assert picture() == by_plan
    undo(second)
    undo(first)
    assert picture() == before
    for name, content in (("pies.xml", pies), ("aces.xml", aces)):
        assert run("load_catalog", made.write(tmp_path / name, content))[2] == 0
    assert picture() == by_plan


def test_a_row_says_what_becomes_of_product_prices_and_links(db):
    plan = planned(made.pies(made.item(NAMED + price("1.00") + interchange("BRK-0"))))
    [row] = plan.rows.all()
    told = {name: new for name, _, new in row.changes}
    assert (row.number, row.sku, row.outcome, told["name"]) == (4, "BKLR-BRK-1", "new", "Rotor")
    assert told["prices"] == [
        {"priceList": "JBR", "currency": "USD", "fromQuantity": 1, "amount": "1.0000",
         "validFrom": "2026-09-01T00:00:00+00:00", "validUntil": None},
    ]  # fmt: skip
    assert told["equivalents"]["interchangeableWith"] == [{"brand": "BKLR", "partNumber": "BRK-0"}]
    apply(plan)
    dearer = planned(made.pies(made.item(price("2.00"))))
    [row] = dearer.rows.all()
    [(name, was, new)] = row.changes
    assert (row.outcome, name, was[0]["amount"], new[0]["amount"]) == ("changed", "prices", "1.0000", "2.0000")
    apply(dearer)
    assert [str(one.amount) for one in Price.objects.all()] == ["2.0000"]
    undo(dearer)
    assert [str(one.amount) for one in Price.objects.all()] == ["1.0000"]


def test_what_is_refused_of_an_item_has_a_row_of_its_own_and_leaves_the_item(db):
    PriceList.objects.create(code="RET", currency="EUR")
    wrong = made.item("<ItemLevelGTIN>00079941504411</ItemLevelGTIN>" + NAMED, number="BRK-4")
    content = made.pies(
        made.item(NAMED + price("1.00")),
        made.item(NAMED + price("2.00", kind="RET"), number="BRK-2"),
        made.item(NAMED + price("3.00", maintenance="D"), number="BRK-3"),
        wrong,
    )
    plan = planned(content)
    assert counts(plan) == {"new": 3, "refused": 3}
    said = reasons(plan)
    assert "currency: RET is in EUR, not in USD" in said[5]
    assert "Pricing: a price is not taken away by a file" in said[6]
    assert said[7].startswith("gtin: ")
    apply(plan)
    assert Variant.objects.count() == 3
    assert [str(row.amount) for row in Price.objects.all()] == ["1.0000"]


def test_parts_are_linked_with_those_that_come_later_and_with_those_that_are_there(db):
    part("BRK-0")
    gone = f"<ExtendedInformation>{LIS.format(7)}</ExtendedInformation>" + interchange("BRK-2")
    before = picture()
    plan = planned(made.pies(made.item(NAMED + gone), made.item(NAMED + interchange("BRK-0"), number="BRK-2")))
    assert counts(plan) == {"new": 2, "changed": 1}
    assert picture() == before
    apply(plan)
    links = Equivalent.objects.order_by("variant__sku").values_list("variant__sku", "other__sku", "relation")
    assert list(links) == [
        ("BKLR-BRK-0", "BKLR-BRK-2", "superseded"), ("BKLR-BRK-1", "BKLR-BRK-2", "superseded"),
    ]  # fmt: skip
    undo(plan)
    assert picture() == before


def test_a_link_that_would_go_round_is_refused_in_the_plan(db):
    old, new = part("BRK-1"), part("BRK-2")
    equivalents.say(variant=old, successors=[equivalents.Successor(variant=new)], equals=[], actor=make.TESTER)
    round_trip = f"<ExtendedInformation>{LIS.format(7)}</ExtendedInformation>" + interchange("BRK-1")
    plan = planned(made.pies(made.item(NAMED + round_trip, number="BRK-2")))
    assert "It would replace itself" in reasons(plan)[4]
    apply(plan)
    assert Equivalent.objects.count() == 1


def test_what_an_item_does_not_name_stays_also_when_it_is_planned_again(db):
    ours = part("BRK-1")
    content = made.pies(made.item("<HazardousMaterialCode>Y</HazardousMaterialCode>" + DES.format("New name")))
    plan = planned(content)
    ours.packs.create(name="pallet", quantity=480, level="pallet")
    ours.regulatory_notes.create(text="Ours")
    products.revise(variant=ours, fields={"brand": "Ice"}, actor=make.TESTER)
    with pytest.raises(PlanOutdated):
        apply(plan)
    assert Variant.objects.get().name != "New name"
    again = plan_work.replan(plan=plan, actor=make.TESTER)
    assert (again.format, counts(again)) == ("pies", {"changed": 1})
    apply(again)
    ours.refresh_from_db()
    texts = sorted(ours.regulatory_notes.values_list("text", flat=True))
    assert (ours.name, ours.brand, texts) == ("New name", "Ice", ["Hazardous material, says its brand.", "Ours"])
    assert ours.packs.count() == 1


@pytest.mark.parametrize("what", ["price", "link"])
def test_a_plan_under_which_a_price_or_a_link_moved_is_outdated_and_changes_nothing(db, what):
    one, other = part("BRK-1"), part("BRK-2")
    plan = planned(made.pies(made.item(NAMED + price("1.00") + interchange("X-1", ' BrandAAIAID="OTHR"'))))
    if what == "price":
        price_list = prices.open_list(code="JBR", currency="USD", actor=make.TESTER)
        told = prices.PriceOf(price_list=price_list, variant=one, amount=9, since=datetime(2026, 9, 1, tzinfo=UTC))
        prices.set_prices(prices=[told], actor=make.TESTER)
    else:
        equal = equivalents.Equal(variant=one)
        equivalents.say(variant=other, successors=[], equals=[equal], actor=make.TESTER)
    before = picture()
    with pytest.raises(PlanOutdated) as refusal:
        apply(plan)
    assert (refusal.value.data["productIds"], picture()) == (["BKLR-BRK-1"], before)
    assert apply(plan_work.replan(plan=plan, actor=make.TESTER)).state == "applied"


def test_a_price_that_changed_since_is_not_taken_back_unless_it_is_left_out(db):
    plan = apply(planned(made.pies(made.item(NAMED + price("1.00")), made.item(NAMED, number="BRK-2"))))
    Price.objects.update(amount=5)
    with pytest.raises(ImportMovedOn) as refusal:
        undo(plan)
    assert refusal.value.data == {"productIds": ["BKLR-BRK-1"], "movedCount": 1}
    assert Variant.objects.count() == 2
    undo(plan, is_forced=True)
    assert [row.sku for row in Variant.objects.all()] == ["BKLR-BRK-1"]
    assert Price.objects.count() == 1


def test_a_deleted_item_is_discontinued_and_what_a_full_file_leaves_out_stays(db):
    part("BRK-1"), part("BRK-9")
    plan = planned(made.pies(made.item(maintenance="D"), made.item(number="BRK-5", maintenance="D")))
    assert counts(plan) == {"changed": 1, "unchanged": 1}
    assert "nothing to discontinue" in reasons(plan)[5]
    assert "1 products of BKLR are not in this FULL file and stay as they are: BKLR-BRK-9" in plan.notes
    update = planned(made.pies(made.item(maintenance="D"), header=PIES_UPDATE))
    assert update.notes == []
    apply(plan)
    assert dict(Variant.objects.values_list("sku", "status")) == {
        "BKLR-BRK-1": "discontinued", "BKLR-BRK-9": "active"
    }  # fmt: skip


def test_a_full_aces_file_takes_away_what_it_does_not_name_and_gives_it_back(db):
    part("BRK-1")
    apply(planned(made.aces(made.app(), SECOND)))
    other_sender = made.ACES_HEADER.replace("Ironridge", "Somebody")
    apply(planned(made.aces(made.app(), header=other_sender)))
    before = picture()
    plan = planned(made.aces(SECOND, THIRD))
    assert (counts(plan), picture()) == ({"new": 1, "unchanged": 1, "dropped": 1}, before)
    [gone] = plan.rows.filter(outcome="dropped")
    assert (gone.number, gone.sku, reasons(plan)[0]) == (0, "BKLR-BRK-1", "App: the FULL file does not name it")
    assert ("baseVehicleId", "5911", None) in gone.changes
    apply(plan)
    assert fitted() == [("BKLR-BRK-1", "5911"), ("BKLR-BRK-1", "6000"), ("BKLR-BRK-1", "7000")]
    assert sorted(Fitment.objects.filter(source="ACES Ironridge").values_list("base_vehicle_id", flat=True)) == [
        "6000", "7000",
    ]  # fmt: skip
    undo(plan)
    assert picture() == before


def test_nothing_goes_while_an_app_of_a_full_file_is_refused(db):
    part("BRK-1")
    apply(planned(made.aces(made.app(), SECOND)))
    plan = planned(made.aces(SECOND, THIRD, made.app(id="4", part="<Part>NONE-1</Part>")))
    assert counts(plan) == {"new": 1, "unchanged": 1, "refused": 1}
    assert "NONE-1 of the brand BKLR is no product yet" in reasons(plan)[5]
    assert any("no fitment is taken away" in note for note in plan.notes)
    apply(plan)
    assert len(fitted()) == 3


def test_an_update_adds_and_takes_away_and_its_last_word_counts(db):
    part("BRK-1")
    apply(planned(made.aces(made.app(), SECOND)))
    before = picture()
    plan = planned(made.aces(made.app(action="D", id="9"), THIRD, SECOND, header=UPDATE))
    assert counts(plan) == {"new": 1, "unchanged": 1, "dropped": 1}
    apply(plan)
    assert fitted() == [("BKLR-BRK-1", "6000"), ("BKLR-BRK-1", "7000")]
    undo(plan)
    assert picture() == before
    twice = planned(made.aces(made.app(action="D", id="1"), made.app(id="2"), header=UPDATE))
    assert (counts(twice), "line 4 has the last word" in reasons(twice)[3]) == ({"unchanged": 2}, True)
    apply(twice)
    assert picture() == before


@pytest.mark.parametrize("how", ["came", "went", "changed"])
def test_a_set_that_moved_since_outdates_its_plan(db, how):
    rotor = part("BRK-1")
    apply(planned(made.aces(made.app(), SECOND)))
    plan = planned(made.aces(SECOND, THIRD))
    told = {"variant_id": rotor.pk, "part_type_id": "1896", "brand_aaia_id": "BKLR"}
    meant = fitments.Fits(base_vehicle_id="8000" if how == "came" else "6000", quantity=3, **told)
    act = fitments.drop_many if how == "went" else fitments.put_many
    act(fitments=[meant], source="ACES Ironridge", actor=make.TESTER)
    before = picture()
    with pytest.raises(PlanOutdated):
        apply(plan)
    assert picture() == before
    again = plan_work.replan(plan=plan, actor=make.TESTER)
    apply(again)
    assert fitted() == [("BKLR-BRK-1", "6000"), ("BKLR-BRK-1", "7000")]


def test_a_suppliers_file_reaches_only_what_it_alone_supplies(supplier):
    rival = make.make_partner(code="SUP-2", kind="supplier")
    part("BRK-1", suppliers=[supplier]), part("BRK-2", suppliers=[rival])
    others = made.app(vehicle='<BaseVehicle id="6000"/>', id="2", part="<Part>BRK-2</Part>")
    apply(planned(made.aces(made.app(), others)))
    plan = planned(made.aces(THIRD), partner=supplier)
    assert counts(plan) == {"new": 1, "dropped": 1}
    refused = planned(made.aces(others), partner=supplier)
    assert reasons(refused) == {3: "App: BRK-2 of the brand BKLR is no product yet; load its PIES file first"}
    apply(plan)
    assert fitted() == [("BKLR-BRK-1", "7000"), ("BKLR-BRK-2", "6000")]
    items = planned(
        made.pies(made.item(DES.format("Mine") + price("1.00")), made.item(DES.format("Mine"), number="BRK-2")),
        partner=supplier,
    )
    assert counts(items) == {"changed": 1, "refused": 1}
    assert reasons(items) == {5: "Item: BRK-2 is a product that is not supplied by you"}
    assert "Prices and interchanges are left" in items.notes[0]
    apply(items)
    assert (Price.objects.count(), Variant.objects.get(sku="BKLR-BRK-2").name) == (0, "Bklr-Brk-2")


def test_a_packed_file_is_planned_and_one_on_a_single_line_is_understood(db):
    items = [made.item(DES.format(f"Rotor {number}") + price("1.00"), number=f"BRK-{number}") for number in (1, 2)]
    plan = planned(gzip.compress(made.pies(*items).replace(b"\n", b"")), "brand.xml.gz")
    assert (counts(plan), plan.format, plan.notes) == ({"new": 2}, "pies", [])
    apply(plan)
    assert list(Variant.objects.order_by("sku").values_list("sku", "name")) == [
        ("BKLR-BRK-1", "Rotor 1"), ("BKLR-BRK-2", "Rotor 2"),
    ]  # fmt: skip
    assert Price.objects.count() == 2


def test_the_command_plans_such_a_file_and_lists_what_it_refuses_by_line(db, tmp_path):
    path = made.write(tmp_path / "a.xml", made.pies(made.item(NAMED), made.item(number="BRK-3")))
    said, refused, _ = run("load_catalog", path, plan=True)
    plan = CatalogImport.objects.get()
    assert refused == "line 5: name: is missing\n"
    assert said.splitlines()[-1] == f"{plan.number} is planned: new 1, changed 0, unchanged 0, refused 1"
    apply(plan)
    assert Variant.objects.get().name == "Rotor"
