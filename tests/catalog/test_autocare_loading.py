"""ACES and PIES files become products, prices, interchanges and fitments; twice is once, and a bad file is nothing."""

from __future__ import annotations

import gzip
import json
import zipfile

import pytest
from django.core.management import CommandError

from catalog.models import Equivalent, Fitment, Identifier, InterchangeMember, Price, PriceList, ProductType, Variant
from catalog.operations import imports
from tests import make
from tests.catalog import autocare_files as made
from tests.catalog.test_load_catalog import run
from tests.memory import peak_of

PIES = made.SAMPLES / "ironridge_pies_7_2.xml"
ACES = made.SAMPLES / "ironridge_brakes_aces_4_2.xml"
UPDATE = made.ACES_HEADER.replace("FULL", "UPDATE")
PIES_UPDATE = made.PIES_HEADER.replace("FULL", "UPDATE")
DES = '<Descriptions><Description MaintenanceType="A" DescriptionCode="DES">{}</Description></Descriptions>'
NAMED = DES.format("Rotor")
LIS = '<ExtendedProductInformation MaintenanceType="A" EXPICode="LIS">{}</ExtendedProductInformation>'


def part(number: str, *, brand: str = "BKLR", sku: str = "", **fields) -> Variant:
    """A product that bears a brand's number."""
    auto, _ = ProductType.objects.get_or_create(code="auto", defaults={"name": "Auto"})
    told = {"attributes": {"brandAaiaId": brand} if brand else {}, "product_type": auto} | fields
    variant = make.make_variant(sku=sku or f"{brand}-{number}", **told)
    Identifier.objects.create(variant=variant, scheme="brandPart", value=number, plain=number.replace("-", ""))
    return variant


def interchange(number: str, attributes: str = "", *, maintenance: str = "A") -> str:
    return (
        f'<PartInterchangeInfo><PartInterchange MaintenanceType="{maintenance}"{attributes}>'
        f"<PartNumber>{number}</PartNumber></PartInterchange></PartInterchangeInfo>"
    )


def price(amount: str, *, kind: str = "JBR", maintenance: str = "A") -> str:
    return (
        f'<Prices><Pricing MaintenanceType="{maintenance}" PriceType="{kind}"><EffectiveDate>2026-09-01</EffectiveDate>'
        f'<Price UOM="PE">{amount}</Price></Pricing></Prices>'
    )


@pytest.fixture
def load(db, tmp_path):
    """Loads the bytes of a file: (what was said, what was refused, exit code)."""

    def loaded(content: bytes, name: str = "file.xml", **options) -> tuple[str, str, int]:
        return run("load_catalog", made.write(tmp_path / name, content), **options)

    return loaded


def counts(said: str) -> str:
    return said.splitlines()[-1]


def fitted() -> list[tuple[str, str]]:
    return sorted(Fitment.objects.values_list("variant__sku", "base_vehicle_id"))


def test_a_pies_sample_becomes_products_prices_and_numbers_that_find_them(db):
    expected = json.loads((made.SAMPLES / "ironridge_pies_7_2.expected.json").read_text())
    said, refused, code = run("load_catalog", PIES)
    assert (counts(said), refused, code) == ("created 2, links changed 2, prices created 2", "", 0)
    assert "opened price list JBR in USD; it is inactive until staff say whom it is for" in said
    found = {}
    for variant in Variant.objects.all():
        members = InterchangeMember.objects.filter(group__members__variant=variant).exclude(variant=variant)
        found[variant.sku] = {
            "name": variant.name, "brand": variant.brand, "productType": variant.product_type_id, "gtin": variant.gtin,
            "status": variant.status, "warrantyMonths": variant.warranty_months,
            "warrantyTerms": variant.warranty_terms, "attributes": variant.attributes,
            "brandPart": [row.value for row in variant.identifiers.filter(scheme="brandPart")],
            "packs": [pack.name for pack in variant.packs.all()],
            "equals": [[member.brand, member.part_number] for member in members],
        }  # fmt: skip
    assert found == expected["products"]
    assert [
        [
            row.variant.sku, row.price_list.code, row.price_list.currency, row.from_quantity, str(row.amount),
            row.valid.lower.isoformat(), row.valid.upper,
        ]
        for row in Price.objects.order_by("variant__sku").select_related("variant", "price_list")
    ] == expected["prices"]  # fmt: skip
    assert [price_list.is_active for price_list in PriceList.objects.all()] == [False]


def test_an_aces_sample_becomes_fitments_by_number(db):
    run("load_catalog", PIES)
    part("FLT-88001", brand="ZZIR")
    expected = json.loads((made.SAMPLES / "ironridge_brakes_aces_4_2.expected.json").read_text())
    assert run("load_catalog", ACES) == ("created 3\n", "", 0)
    assert [
        {
            "productId": row.variant.sku, "make": row.make, "model": row.model, "years": [row.year_from, row.year_to],
            "baseVehicleId": row.base_vehicle_id, "partTypeId": row.part_type_id, "acesIds": row.aces_ids,
            "quantity": row.quantity, "note": row.note, "qualifiers": row.qualifiers,
            "brandAaiaId": row.brand_aaia_id, "source": row.source,
        }
        for row in Fitment.objects.order_by("variant__sku").select_related("variant")
    ] == expected  # fmt: skip


def test_loading_twice_changes_nothing_and_a_dry_run_nothing_at_all(db):
    said, _, _ = run("load_catalog", PIES, check=True)
    assert counts(said) == "would be: created 2, links changed 2, prices created 2"
    assert (Variant.objects.count(), PriceList.objects.count(), InterchangeMember.objects.count()) == (0, 0, 0)
    run("load_catalog", PIES)
    part("FLT-88001", brand="ZZIR")
    assert run("load_catalog", ACES, check=True)[0] == "would be: created 3\n"
    assert Fitment.objects.count() == 0
    run("load_catalog", ACES)
    versions = dict(Variant.objects.values_list("sku", "version"))
    said, refused, code = run("load_catalog", PIES)
    assert (counts(said), refused, code) == ("links unchanged 2, prices unchanged 2, unchanged 2", "", 0)
    assert run("load_catalog", ACES) == ("unchanged 3\n", "", 0)
    assert dict(Variant.objects.values_list("sku", "version")) == versions


@pytest.mark.parametrize("name", ["a.xml", "a.xml.gz", "a.zip", "a.csv", "a"])
def test_a_file_is_told_by_its_root_and_not_by_its_name(load, tmp_path, name):
    content = made.pies(made.item(NAMED))
    if name.endswith(".gz"):
        content = gzip.compress(content)
    elif name.endswith(".zip"):
        with zipfile.ZipFile(tmp_path / "packed", "w") as archive:
            archive.writestr("brand.xml", content)
        content = (tmp_path / "packed").read_bytes()
    assert counts(load(content, name)[0]) == "created 1"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (made.pies(made.item(NAMED), count=2), "says 2, but there are 1"),
        (made.aces(made.app(), count=2), "says 2, but there are 1"),
        (made.pies(made.item(NAMED))[:-20], "cut short"),
        (made.pies(made.item("<Descriptions>")), "not the one open"),
        (b'<!DOCTYPE PIES [<!ENTITY a "b">]>' + made.pies(made.item(NAMED)), "DOCTYPE"),
        (b'<!DOCTYPE PIES SYSTEM "file:///etc/passwd">' + made.pies(made.item(NAMED)), "DOCTYPE"),
        (b"<Invoice/>", "<ACES> and <PIES> are read here"),
        (b"", "empty"),
        (b"<", "Line 1"),
        (made.pies(made.item(NAMED)).replace(b">7.2<", b">8.0<"), "PIES 8.0 is not read"),
    ],
)
def test_a_file_that_is_not_whole_is_refused_whole(load, content, reason):
    part("BRK-2")
    with pytest.raises(CommandError, match=reason):
        load(content)
    assert (Variant.objects.count(), Fitment.objects.count(), PriceList.objects.count()) == (1, 0, 0)


def test_a_record_that_cannot_be_taken_is_refused_with_line_and_field_and_the_others_stay(load):
    wrong = made.item("<ItemLevelGTIN>00079941504411</ItemLevelGTIN>" + NAMED, number="BRK-2")
    content = made.pies(made.item(NAMED), wrong, made.item(number="BRK-3"), made.item(NAMED, number=""))
    said, refused, code = load(content)
    assert (counts(said), code) == ("created 1, refused 3", 1)
    gtin, name, number = refused.splitlines()
    assert gtin.startswith("line 5: gtin: ")
    assert (name, number) == ("line 6: name: is missing", "line 7: Item: PartNumber is missing")
    assert list(Variant.objects.values_list("sku", flat=True)) == ["BKLR-BRK-1"]


def test_a_part_is_the_product_that_bears_its_brands_number_however_it_is_written(load):
    ours, other = part("BRK-1", sku="OUR-7", name="Ours"), part("BRK-1", brand="OTHR", sku="OTHER-7")
    said, _, code = load(made.pies(made.item(NAMED, number="brk 1")))
    assert (counts(said), code) == ("revised 1", 0)
    ours.refresh_from_db()
    assert (ours.name, [row.value for row in ours.identifiers.all()]) == ("Rotor", ["BRK-1"])
    assert Variant.objects.get(pk=other.pk).version == 1


def test_a_product_of_no_known_brand_is_the_part_where_its_brand_is_called_so(load):
    part("BRK-1", brand="", sku="OUR-7")
    Variant.objects.update(brand="ironridge")
    load(made.pies(made.item(f"<BrandLabel>Ironridge</BrandLabel>{NAMED}")))
    found = Variant.objects.get()
    assert (found.sku, found.attributes["brandAaiaId"]) == ("OUR-7", "BKLR")


def test_a_sku_that_is_another_part_is_not_overwritten(load):
    part("BRK 1/2", sku="BKLR-BRK-1-2", name="Half")
    _, refused, code = load(made.pies(made.item(NAMED, number="BRK*1*2")))
    assert code == 1
    assert "line 4: Item: the SKU BKLR-BRK-1-2 is another part" in refused
    assert [(row.sku, row.name, row.version) for row in Variant.objects.all()] == [("BKLR-BRK-1-2", "Half", 1)]


def test_two_products_with_one_number_are_not_guessed_between(load):
    part("BRK-1", sku="A"), part("BRK-1", sku="B")
    _, refused, code = load(made.pies(made.item(NAMED)))
    assert (code, "is several products: A, B" in refused) == (1, True)
    assert set(Variant.objects.values_list("version", flat=True)) == {1}


def test_a_deleted_item_is_discontinued_and_what_a_full_file_leaves_out_stays(load):
    part("BRK-1"), part("BRK-9")
    said, _, code = load(made.pies(made.item(maintenance="D"), made.item(number="BRK-5", maintenance="D")))
    assert (counts(said), code) == ("revised 1", 0)
    assert "line 5: BRK-5 is no product here, nothing to discontinue" in said
    assert "1 products of BKLR are not in this FULL file and stay as they are: BKLR-BRK-9" in said
    assert dict(Variant.objects.values_list("sku", "status")) == {
        "BKLR-BRK-1": "discontinued", "BKLR-BRK-9": "active"
    }  # fmt: skip


def test_packs_of_the_file_come_and_ours_stay(load):
    ours = part("BRK-1")
    ours.packs.create(name="pallet", quantity=480, level="pallet")
    package = (
        '<Packages><Package MaintenanceType="A"><PackageLevelGTIN>10079941504417</PackageLevelGTIN>'
        "<PackageUOM>IP</PackageUOM><QuantityofEaches>12</QuantityofEaches></Package></Packages>"
    )
    assert counts(load(made.pies(made.item(package)))[0]) == "revised 1"
    packs = [("IP", "inner", 12, "10079941504417"), ("pallet", "pallet", 480, "")]
    assert sorted(ours.packs.values_list("name", "level", "quantity", "gtin14")) == packs
    assert counts(load(made.pies(made.item(package)))[0]) == "unchanged 1"


def test_what_is_hazardous_has_a_note_until_the_brand_takes_it_back(load):
    told = "<HazardousMaterialCode>{}</HazardousMaterialCode>"
    load(made.pies(made.item(told.format("Y") + NAMED)))
    variant = Variant.objects.get()
    variant.regulatory_notes.create(text="Ours", jurisdiction="EU")
    assert counts(load(made.pies(made.item(told.format("Y"))))[0]) == "unchanged 1"
    texts = sorted(variant.regulatory_notes.values_list("text", flat=True))
    assert texts == ["Hazardous material, says its brand.", "Ours"]
    load(made.pies(made.item(told.format("N"))))
    assert list(variant.regulatory_notes.values_list("text", flat=True)) == ["Ours"]


def test_a_price_is_refused_alone_and_says_why(load):
    PriceList.objects.create(code="RET", currency="EUR")
    content = made.pies(
        made.item(NAMED + price("1.00")),
        made.item(NAMED + price("2.00", kind="RET"), number="BRK-2"),
        made.item(NAMED + price("3.00", maintenance="D"), number="BRK-3"),
    )
    said, refused, code = load(content)
    assert (counts(said), code) == ("created 3, prices created 1, refused 2", 1)
    assert "line 5: currency: RET is in EUR, not in USD" in refused
    assert "line 6: Pricing: a price is not taken away by a file" in refused
    assert [str(row.amount) for row in Price.objects.all()] == ["1.0000"]


def test_a_part_gives_way_to_one_that_comes_later_in_the_file(load):
    gone = f"<ExtendedInformation>{LIS.format(7)}</ExtendedInformation>" + interchange("BRK-2")
    content = made.pies(made.item(NAMED + gone), made.item(NAMED, number="BRK-2"))
    assert counts(load(content)[0]) == "created 2, links changed 1"
    [link] = Equivalent.objects.select_related("variant", "other")
    assert (link.variant.sku, link.other.sku, link.relation) == ("BKLR-BRK-1", "BKLR-BRK-2", "superseded")
    assert counts(load(content)[0]) == "links unchanged 1, unchanged 2"
    back = gone.replace('<PartInterchange MaintenanceType="A"', '<PartInterchange MaintenanceType="D"')
    load(made.pies(made.item(back), header=PIES_UPDATE))
    assert Equivalent.objects.count() == 0


def test_a_number_becomes_a_supersession_when_its_part_becomes_a_product(load):
    successor = made.item(NAMED + interchange("BRK-0"))
    load(made.pies(successor))
    assert InterchangeMember.objects.filter(part_number="BRK-0").exists()
    load(made.pies(made.item(NAMED, number="BRK-0"), successor))
    [link] = Equivalent.objects.select_related("variant", "other")
    assert (link.variant.sku, link.other.sku) == ("BKLR-BRK-0", "BKLR-BRK-1")
    assert InterchangeMember.objects.count() == 0


def test_another_brands_number_finds_the_part(load):
    content = made.pies(made.item(NAMED + interchange("X-77", ' BrandAAIAID="OTHR" BrandLabel="Other"')))
    load(content)
    members = InterchangeMember.objects.order_by("part_number").values_list("variant__sku", "brand", "part_number")
    assert list(members) == [("BKLR-BRK-1", "", ""), (None, "Other", "X-77")]


def test_a_full_aces_file_replaces_what_its_sender_said_of_the_brand(load):
    part("BRK-1")
    second = made.app(vehicle='<BaseVehicle id="6000"/>', id="2")
    assert load(made.aces(made.app(), second)) == ("created 2\n", "", 0)
    Fitment.objects.create(variant=Variant.objects.get(), make="Audi", model="A4", year_from=2004, year_to=2004)
    assert load(made.aces(second)) == ("dropped 1, unchanged 1\n", "", 0)
    assert fitted() == [("BKLR-BRK-1", ""), ("BKLR-BRK-1", "6000")]
    other_sender = made.ACES_HEADER.replace("Ironridge", "Somebody")
    assert load(made.aces(made.app(), header=other_sender)) == ("created 1\n", "", 0)


def test_nothing_goes_while_an_app_of_a_full_file_is_refused(load):
    part("BRK-1")
    second = made.app(vehicle='<BaseVehicle id="6000"/>', id="2")
    third = made.app(vehicle='<BaseVehicle id="7000"/>', id="3")
    load(made.aces(made.app(), second))
    for bad, reason in (
        (made.app(id="4", part="<Part>NONE-1</Part>"), "NONE-1 of the brand BKLR is no product yet"),
        (made.app(id="4", vehicle=""), "it names no vehicle"),
    ):
        said, refused, code = load(made.aces(second, third, bad))
        assert (code, refused.startswith("line 5: App: ")) == (1, True)
        assert reason in refused
        assert "no fitment was taken away" in said
        assert fitted() == [("BKLR-BRK-1", "5911"), ("BKLR-BRK-1", "6000"), ("BKLR-BRK-1", "7000")]
    assert load(made.aces(second, third)) == ("dropped 1, unchanged 2\n", "", 0)


def test_an_update_adds_and_takes_away_after_a_full_file(load):
    part("BRK-1")
    second = made.app(vehicle='<BaseVehicle id="6000"/>', id="2")
    load(made.aces(made.app(), second))
    gone = made.app(action="D", id="3")
    new = made.app(vehicle='<BaseVehicle id="7000"/>', id="4")
    update = made.aces(gone, new, header=UPDATE)
    assert load(update) == ("created 1, dropped 1\n", "", 0)
    assert fitted() == [("BKLR-BRK-1", "6000"), ("BKLR-BRK-1", "7000")]
    assert load(update) == ("unchanged 2\n", "", 0)
    # Of what is said twice the last word counts.
    assert load(made.aces(made.app(), made.app(action="D", id="2"), header=UPDATE)) == ("unchanged 1\n", "", 0)
    assert len(fitted()) == 2


def test_a_loader_gives_its_rows_by_the_columns_of_products_and_fitments(db):
    rows = list(imports.loader_for(PIES, actor=make.TESTER).rows(PIES))
    assert [(row.number, row.values["productId"], row.fault) for row in rows] == [
        (5, "ZZIR-BRK-4417", ""), (22, "ZZIR-ALT-0932R", "")
    ]  # fmt: skip
    part("BRK-4417", brand="ZZIR")
    rows = list(imports.loader_for(ACES, actor=make.TESTER).rows(ACES))
    assert (rows[0].number, rows[0].values["productId"], rows[0].values["baseVehicleId"]) == (
        17, "ZZIR-BRK-4417", "5911"
    )  # fmt: skip
    assert rows[1].fault == "ALT-0932R of the brand ZZIR is no product yet; load its PIES file first"
    assert Fitment.objects.count() == 0


def test_memory_does_not_grow_with_the_file(db, tmp_path):
    """Three times the Apps take no more memory: some batches of a thousand are held, never the file."""
    for number in range(30):
        part(f"BRK-{number}")
    peaks = []
    for size in (1_200_000, 3_600_000):
        path = made.write(tmp_path / "large.xml", made.large_aces(size))
        loader = imports.loader_for(path, actor=make.TESTER)
        peak, count = peak_of(lambda loader=loader, path=path: sum(1 for _ in loader.rows(path)))
        peaks.append(peak)
        assert count == loader.book.count
    assert peaks[1] < 2 * peaks[0] < 40_000_000
