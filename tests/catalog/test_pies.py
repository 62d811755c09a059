"""PIES: what a part is, what it costs and what replaces it, as neutral records."""

from __future__ import annotations

import io
import json

import pytest

from catalog import pies
from catalog.records import Record, Replaced
from tests.catalog import autocare_files as made

SAMPLE = made.SAMPLES / "ironridge_pies_7_2.xml"
PRICE = (
    '<Pricing MaintenanceType="A" PriceType="JBR"><PriceSheetNumber>2026A</PriceSheetNumber>{0}'
    '<Price UOM="PE">61.90</Price>{1}</Pricing>'
)
INTERCHANGE = '<PartInterchange MaintenanceType="A"{0}><PartNumber>{1}</PartNumber></PartInterchange>'


def told(content: str = "", *, header: str = made.PIES_HEADER, before: str = "", **given) -> list[Record]:
    return list(pies.read(io.BytesIO(made.pies(made.item(content, **given), header=header, before=before))).records)


def product(content: str = "", **given) -> Record:
    record = told(content, **given)[0]
    assert record.kind == "product"
    return record


def price(before_price: str = "", after: str = "", *, sheets: str = "", header: str = made.PIES_HEADER) -> Record:
    _, record = told(f"<Prices>{PRICE.format(before_price, after)}</Prices>", before=sheets, header=header)
    return record


def pairs(content: str) -> list[tuple[str, ...]]:
    return [record.key for record in told(content) if record.kind == "equivalent"]


def expi(**codes: str) -> str:
    one = '<ExtendedProductInformation MaintenanceType="A" EXPICode="{}">{}</ExtendedProductInformation>'
    inside = "".join(one.format(code, text) for code, text in codes.items())
    return f"<ExtendedInformation>{inside}</ExtendedInformation>"


def test_the_sample_says_what_a_part_is_what_it_costs_and_what_it_took_the_place_of():
    book = pies.read(SAMPLE)
    assert (book.count, book.skipped) == (2, {})
    assert book.replaces == Replaced(kinds=("product", "supply", "price", "equivalent"), brands=("ZZIR",))
    assert (book.about["piesVersion"], book.about["transactionDate"]) == ("7.2", "2026-09-01")
    rotor, supply, cost, older, alternator, *_, older_alternator = book.records
    size = {"merchandisingHeight": "4", "merchandisingWidth": "13", "merchandisingLength": "13"}
    outer = {"shippingHeight": "4.5", "shippingWidth": "13.5", "shippingLength": "13.5"}
    assert rotor == Record(
        kind="product",
        place="line 5, Item BRK-4417",
        key=("BRK-4417", "ZZIR"),
        values={
            "partNumber": "BRK-4417", "brandAaiaId": "ZZIR", "brand": "Ironridge", "container": "BX",
            "partTerminologyId": "1896", "gtin": "00079941504410", "gtinQualifier": "UP",
            "name": "Front brake rotor 288mm", "lifeCycle": "2", "status": "active",
            "warranty": "24 months / 24,000 miles", "warrantyMonths": 24,
            "itemQuantity": {"quantity": "1", "unit": "EA"},
            "quantityPerApplication": {"quantity": "2", "unit": "EA", "qualifier": "NOR"},
            "descriptions": [{"text": "Front brake rotor 288mm", "code": "DES", "language": "EN"}],
            "extendedInformation": [
                {"code": "LIS", "text": "2", "language": "EN"},
                {"code": "WS1", "text": "24 months / 24,000 miles", "language": "EN"},
            ],
            "packages": [
                {
                    "quantity": 1, "unit": "EA", "dimensions": {"unit": "IN", **size, **outer},
                    "weights": {"unit": "PG", "weight": "18.4"},
                }
            ],
        },
    )  # fmt: skip
    part = {"partNumber": "BRK-4417", "brandAaiaId": "ZZIR"}
    assert supply.values == part | {"minimumOrderQuantity": 2, "minimumOrderUnit": "EA"}
    assert cost.values == part | {
        "priceList": "JBR", "priceSheet": "2026A", "currency": "USD", "unitPrice": "61.90", "fromQuantity": 1,
        "validFrom": "2026-09-01",
    }  # fmt: skip
    assert cost.place == "line 17, Item BRK-4417"
    assert older.values == {
        "partNumber": "BRK-4400", "brandAaiaId": "ZZIR", "relation": "superseded", "otherPartNumber": "BRK-4417",
        "otherBrandAaiaId": "ZZIR",
    }  # fmt: skip
    assert alternator.values["warranty"] == "Limited lifetime"
    assert "warrantyMonths" not in alternator.values
    assert older_alternator.key == ("ALT-0932", "ZZIR", "superseded", "ALT-0932R", "ZZIR")
    assert {record.fault for record in pies.read(SAMPLE).records} == {""}


def test_values_can_be_kept_as_json():
    for record in pies.read(SAMPLE).records:
        assert json.loads(json.dumps(record.values)) == record.values


def test_an_update_replaces_nothing_and_a_deleted_item_comes_alone():
    header = made.PIES_HEADER.replace("FULL", "UPDATE")
    content = made.pies(made.item(f"<Prices>{PRICE.format('', '')}</Prices>", maintenance="D"), header=header)
    book = pies.read(io.BytesIO(content))
    assert book.replaces is None
    [record] = book.records
    assert (record.kind, record.is_drop, record.fault) == ("product", True, "")
    assert record.values == {"partNumber": "BRK-1", "brandAaiaId": "BKLR"}


def test_a_part_that_comes_twice_is_taken_once():
    content = made.pies(made.item(), made.item(brand="BBBB"), made.item(number=" BRK-1 "))
    first, other_brand, again = pies.read(io.BytesIO(content)).records
    assert (first.fault, other_brand.fault) == ("", "")
    assert (again.place, again.fault) == ("line 6, Item BRK-1", "line 4 is of the same part")


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ('<Description DescriptionCode="SHO">Short</Description>', "Short"),
        (
            '<Description DescriptionCode="SHO">S</Description><Description DescriptionCode="DES">Long</Description>',
            "Long",
        ),
        (
            '<Description DescriptionCode="DES" LanguageCode="FR">Disque</Description>'
            '<Description DescriptionCode="MKT" LanguageCode="EN">Rotor</Description>',
            "Rotor",
        ),
        (
            '<Description DescriptionCode="DES" Sequence="2">Second</Description>'
            '<Description DescriptionCode="DES" Sequence="1">First</Description>',
            "First",
        ),
        (f'<Description DescriptionCode="DES">{"x" * 300}</Description>', "x" * 250),
    ],
)
def test_the_best_description_is_the_name(content, name):
    record = product(f"<Descriptions>{content}</Descriptions>")
    assert record.values["name"] == name
    assert record.notes == (("name: the description has more than 250 characters and was cut",) if "x" in name else ())


@pytest.mark.parametrize(
    ("life_cycle", "status"),
    [("2", "active"), ("8", "discontinued"), ("9", "discontinued"), ("A", "active"), ("Obsolete", "discontinued"),
     ("7", "active"), ("?", None)],
)  # fmt: skip
def test_the_life_cycle_says_whether_it_is_sold_still(life_cycle, status):
    assert product(expi(LIS=life_cycle)).values.get("status") == status


@pytest.mark.parametrize(
    ("words", "months"),
    [("24 months / 24,000 miles", 24), ("1 Year", 12), ("3-year limited", 36), ("12 mos", 12), ("Lifetime", None),
     ("90 days", None)],
)  # fmt: skip
def test_a_warranty_in_words_is_read_where_it_says_months_or_years(words, months):
    values = product(expi(WS1=words, CTO="US")).values
    assert (values["warranty"], values.get("warrantyMonths"), values["countryOfOrigin"]) == (words, months, "US")


def test_attributes_keep_their_unit_and_several_of_a_name_are_a_list():
    one = '<ProductAttribute MaintenanceType="{}" AttributeID="{}" PADBAttribute="{}"{}>{}</ProductAttribute>'
    content = "".join(
        [
            one.format("A", "Diameter", "N", ' AttributeUOM="mm"', "288"),
            one.format("A", "Colour", "N", ' RecordNumber="1"', "red"),
            one.format("A", "Colour", "N", ' RecordNumber="2"', "black"),
            one.format("A", "701", "Y", "", "Vented"),
            one.format("D", "Old", "N", "", "gone"),
        ]
    )
    record = product(f"<ProductAttributes>{content}</ProductAttributes>")
    assert record.values["attributes"] == {"Diameter": "288 mm", "Colour": ["red", "black"], "PAdb 701": "Vented"}
    assert record.notes == ("ProductAttributes: 1 taken away",)


def test_packages_of_two_and_more_are_packs_with_their_own_gtin():
    package = (
        '<Package MaintenanceType="A">{}<PackageUOM>{}</PackageUOM><QuantityofEaches>{}</QuantityofEaches>{}</Package>'
    )
    gtin = "<PackageLevelGTIN>10079941504417</PackageLevelGTIN>"
    inner = '<InnerQuantity InnerQuantityUOM="PK">4</InnerQuantity><Orderable>Y</Orderable>'
    content = "".join(
        [package.format("", "EA", 1, ""), package.format(gtin, "CA", 24, inner), package.format("", "CA", 48, "")]
    )
    values = product(f'<MinimumOrderQuantity UOM="EA">24</MinimumOrderQuantity><Packages>{content}</Packages>').values
    assert values["packs"] == [
        {"name": "CA", "quantity": 24, "gtin": "10079941504417"},
        {"name": "CA 48", "quantity": 48},
    ]
    assert values["packages"][1] == {
        "quantity": 24, "unit": "CA", "gtin": "10079941504417", "isOrderable": True, "innerQuantity": "4",
        "innerUnit": "PK",
    }  # fmt: skip


def test_a_kit_names_its_components_as_7_writes_them_and_as_6_did():
    inside = (
        '<ComponentPartNumber IDQualifier="VN">PAD-1</ComponentPartNumber><ComponentBrand>ZZPM</ComponentBrand>'
        '<Description DescriptionCode="DES">Pads</Description><QuantityInKit UOM="EA">2</QuantityInKit>'
    )
    for tag in ("KitComponent", "Kit"):
        values = product(f'<Kits><{tag} MaintenanceType="A">{inside}</{tag}></Kits>').values
        assert values["components"] == [{"quantity": 2, "partNumber": "PAD-1", "brandAaiaId": "ZZPM", "text": "Pads"}]


def test_pictures_and_marketing_are_counted_and_passed_over():
    pictures = "<DigitalAssets><DigitalFileInformation/><DigitalFileInformation/></DigitalAssets>"
    before = "<MarketingCopy><MarketCopy><MarketCopyContent>x</MarketCopyContent></MarketCopy></MarketingCopy>"
    book = pies.read(io.BytesIO(made.pies(made.item(pictures), before=before)))
    assert book.skipped == {"DigitalFileInformation": 2, "MarketCopy": 1}
    assert [record.kind for record in book.records] == ["product"]


def test_a_price_says_itself_what_holds_or_its_sheet_does_or_the_header():
    sheet = (
        "<PriceSheets><PriceSheet><PriceSheetNumber>2026A</PriceSheetNumber><CurrencyCode>CAD</CurrencyCode>"
        "<EffectiveDate>2026-02-01</EffectiveDate><ExpirationDate>2026-12-31</ExpirationDate></PriceSheet></PriceSheets>"
    )
    own = "<CurrencyCode>MXN</CurrencyCode><EffectiveDate>2026-03-01</EffectiveDate>"
    said = [price().values, price(sheets=sheet).values, price(own, sheets=sheet).values]
    assert [(one["currency"], one["validFrom"], one.get("validUntil")) for one in said] == [
        ("USD", "2026-09-01", None), ("CAD", "2026-02-01", "2027-01-01"), ("MXN", "2026-03-01", "2027-01-01"),
    ]  # fmt: skip


def test_a_break_is_the_quantity_a_price_begins_at():
    record = price("", '<PriceBreak UOM="EA">10</PriceBreak>')
    assert (record.values["fromQuantity"], record.fault) == (10, "")
    assert record.key == ("BRK-1", "BKLR", "JBR", "2026A", "USD", "10", "2026-09-01")


@pytest.mark.parametrize(
    ("price_was", "price_is", "fault"),
    [
        ('UOM="PE">61.90', 'UOM="CA">61.90', "it is a price per CA, not per piece"),
        (">61.90<", ">0<", "Price '0' is no number above 0"),
        (">61.90<", ">-1<", "Price '-1' is no number above 0"),
        (">61.90<", ">61,90<", "Price '61,90' is no number above 0"),
        (">61.90<", ">NaN<", "Price 'NaN' is no number above 0"),
        (">61.90<", ">1e9<", "Price '1e9' is no number above 0"),
        (">61.90<", ">12345678901<", "at most 10 digits"),
        (">61.90<", ">1.23456<", "4 decimals"),
        ('<Price UOM="PE">61.90</Price>', "", "<Price> is missing"),
        ("</Pricing>", "<PriceMultiplier>10</PriceMultiplier></Pricing>", "it is to be multiplied"),
        ("</Pricing>", '<PriceBreak UOM="CA">2</PriceBreak></Pricing>', "its break is counted in CA"),
        (
            "</Pricing>",
            "<EffectiveDate>01/02/2026</EffectiveDate></Pricing>",
            "EffectiveDate '01/02/2026' is not a date",
        ),
        ("</Pricing>", "<ExpirationDate>2020-01-01</ExpirationDate></Pricing>", "it expires on 2020-01-01, before"),
        (' PriceType="JBR"', "", "PriceType is missing"),
        ('MaintenanceType="A" Pr', 'MaintenanceType="X" Pr', "the MaintenanceType 'X' of <Pricing>"),
        ("</Pricing>", "<CurrencyCode>DOLLAR</CurrencyCode></Pricing>", "CurrencyCode is longer than 3"),
    ],
)
def test_a_price_that_would_be_wrong_is_refused_alone(price_was, price_is, fault):
    good = PRICE.format("", "")
    assert price_was in good
    part, refused, taken = told(f"<Prices>{good.replace(price_was, price_is)}{good}</Prices>")
    assert fault in refused.fault
    assert (part.fault, taken.fault) == ("", "")


def test_a_multiplier_of_one_changes_nothing_and_a_deleted_price_is_taken_away():
    assert price("", "<PriceMultiplier>1.0000</PriceMultiplier>").fault == ""
    deleted = PRICE.format("", "").replace('"A"', '"D"')
    _, record = told(f"<Prices>{deleted}</Prices>")
    assert record.is_drop


def test_a_number_of_the_same_brand_is_a_supersession_and_the_life_cycle_says_which_way():
    info = f"<PartInterchangeInfo>{INTERCHANGE.format('', 'BRK-0')}</PartInterchangeInfo>"
    assert pairs(info) == [("BRK-0", "BKLR", "superseded", "BRK-1", "BKLR")]
    assert pairs(expi(LIS="2") + info) == [("BRK-0", "BKLR", "superseded", "BRK-1", "BKLR")]
    assert pairs(expi(LIS="7") + info) == [("BRK-1", "BKLR", "superseded", "BRK-0", "BKLR")]
    assert pairs(expi(LIS="Renumbered") + info) == [("BRK-1", "BKLR", "superseded", "BRK-0", "BKLR")]


def test_a_number_of_another_brand_is_interchangeable():
    seven = INTERCHANGE.format(' BrandAAIAID="FORD"', "X1") + INTERCHANGE.format(' BrandAAIAID="FORD"', "X2")
    six = (
        INTERCHANGE.format("", "X3")
        .replace("<Part", "<BrandAAIAID>FORD</BrandAAIAID><Part", 2)
        .replace("<BrandAAIAID>FORD</BrandAAIAID><PartInterchange", "<PartInterchange")
    )
    assert pairs(f"<PartInterchangeInfo>{seven}{six}</PartInterchangeInfo>") == [
        ("BRK-1", "BKLR", "interchangeable", number, "FORD") for number in ("X1", "X2", "X3")
    ]


def test_a_part_is_not_interchanged_with_itself():
    _, record = told(f"<PartInterchangeInfo>{INTERCHANGE.format('', 'BRK-1')}</PartInterchangeInfo>")
    assert (record.kind, record.fault) == ("equivalent", "it is interchanged with itself")


@pytest.mark.parametrize(
    ("content", "given", "fault"),
    [
        ("", {"number": ""}, "PartNumber is missing"),
        ("", {"number": "x" * 65}, "PartNumber is longer than 64"),
        ("", {"brand": ""}, "BrandAAIAID is missing"),
        ("", {"brand": "TOOLONG"}, "BrandAAIAID is longer than 4"),
        ("", {"maintenance": "Q"}, "the MaintenanceType 'Q' of <Item>"),
        ("<ItemEffectiveDate>tomorrow</ItemEffectiveDate>", {}, "ItemEffectiveDate 'tomorrow' is not a date"),
        ("<Packages><Package><QuantityofEaches>0</QuantityofEaches></Package></Packages>", {}, "QuantityofEaches '0'"),
        ("<Kits><Kit><QuantityInKit>half</QuantityInKit></Kit></Kits>", {}, "QuantityInKit 'half'"),
        ("<Descriptions>" + "<Description/>" * 501 + "</Descriptions>", {}, "<Descriptions> has more than 500 entries"),
        ("<ProductAttributes><ProductAttribute>x</ProductAttribute></ProductAttributes>", {}, "AttributeID is missing"),
    ],
)
def test_an_item_that_cannot_be_taken_says_why_and_leaves_the_others(content, given, fault):
    supply = '<MinimumOrderQuantity UOM="EA">1</MinimumOrderQuantity>'
    file = made.pies(made.item(content + supply, **given), made.item(supply, number="BRK-2"))
    refused, taken, *rest = pies.read(io.BytesIO(file)).records
    assert fault in refused.fault
    assert (taken.fault, taken.key, [one.kind for one in rest]) == ("", ("BRK-2", "BKLR"), ["supply"])


def test_a_gtin_of_zeros_is_none():
    record = product('<ItemLevelGTIN GTINQualifier="UP">00000000000000</ItemLevelGTIN>')
    assert "gtin" not in record.values
    assert record.notes == ("ItemLevelGTIN: fourteen zeros are no GTIN and were left out",)


def test_what_expires_at_the_end_of_time_does_not():
    record = price("<ExpirationDate>9999-12-31</ExpirationDate>")
    assert (record.fault, "validUntil" in record.values) == ("", False)
