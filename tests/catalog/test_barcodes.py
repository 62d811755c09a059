"""What a scan says: the vectors of the standard, and what goes wrong with real ones."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import biip
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog import barcodes, gtins
from catalog.gs1 import dictionary, fields
from catalog.gs1.elements import Unreadable
from catalog.gtins import NoGtin

TODAY = date(2026, 11, 21)
VECTORS = json.loads((Path(__file__).parent / "samples" / "gs1_vectors.json").read_text())
G = "0109506000134352"
GS = "\x1d"


def said(code: str) -> dict | None:
    try:
        return barcodes.read(code, today=TODAY).plain
    except Unreadable:
        return None


def faults(code: str, *, today: date = TODAY) -> str:
    with pytest.raises(Unreadable) as refused:
        barcodes.read(code, today=today)
    return str(refused.value)


@pytest.mark.parametrize("row", VECTORS["check_digits"], ids=lambda row: row["full"])
def test_a_check_digit_is_reckoned_for_any_length(row):
    assert gtins.check_digit(row["body"]) == row["check_digit"]
    assert gtins.is_sound(row["full"])


@pytest.mark.parametrize("number", VECTORS["bad_check_digits"])
def test_a_wrong_check_digit_is_seen(number):
    assert not gtins.is_sound(number)


@pytest.mark.parametrize("row", VECTORS["transposed_adjacent"], ids=lambda row: row["value"])
def test_swapped_neighbours_are_seen_unless_they_differ_by_five(row):
    assert gtins.is_sound(row["value"]) is row["valid"]


@pytest.mark.parametrize("row", VECTORS["gtin_normalise"], ids=lambda row: row["why"])
def test_a_gtin_is_known_by_fourteen_digits(row):
    try:
        gtin = gtins.read(row["input"])
        found = "restricted" if gtin.is_restricted else gtin.gtin14
    except NoGtin:
        found = None
    assert found == row["gtin14"]


@pytest.mark.parametrize("row", VECTORS["element_strings"] + VECTORS["digital_links"], ids=lambda row: row["why"])
def test_a_code_says_what_the_standard_says(row):
    assert said(row["input"]) == row["expect"]


@pytest.mark.parametrize(
    ("code", "expect"),
    [
        (f"]d2{G}17280229{GS}10A1", {"01": G[2:], "17": "2028-02-29", "10": "A1"}),
        (f"]Q3{G}10A1{GS}21S1", {"01": G[2:], "10": "A1", "21": "S1"}),
        (f"]e0{G}17271130", {"01": G[2:], "17": "2027-11-30"}),
        (f"{GS}{G}10A1{GS}", {"01": G[2:], "10": "A1"}),
        (f"{G}10A1{{GS}}21S1", {"01": G[2:], "10": "A1", "21": "S1"}),
        (f"^{G}10A1^21S1", {"01": G[2:], "10": "A1", "21": "S1"}),
        ("(01) 09506000134352 (10) A1", {"01": G[2:], "10": "A1"}),
        (r"(01)09506000134352(10)A\(17)1", {"01": G[2:], "10": "A(17)1"}),
        (f"{G}17500100", {"01": G[2:], "17": "2050-01-31"}),
        (f"{G}11770101", {"01": G[2:], "11": "1977-01-01"}),
        (f"{G}17760101", {"01": G[2:], "17": "2076-01-01"}),
        (f"{G}3932978{'1099'}", {"01": G[2:], "393": "10.99 EUR"}),
        (f"{G}7003271130{'1545'}", {"01": G[2:], "7003": "2027-11-30T15:45:00"}),
        (f"{G}7007271101271130", {"01": G[2:], "7007": "2027-11-01/2027-11-30"}),
        (f"{G}10A1{GS}{G}", {"01": G[2:], "10": "A1"}),
        ("0010614141234567890802095060001343523724", {"00": "106141412345678908", "02": G[2:], "37": 24}),
        ("HTTPS://EXAMPLE.COM/01/09506000134352", {"01": G[2:]}),
        ("https://brand.example/414/shop/01/09506000134352?utm=x", {"01": G[2:]}),
        ("https://id.gs1.org/01/09506000134352/22/2A/10/L1/21/S1?3103=000195;17=271130",
         {"01": G[2:], "22": "2A", "10": "L1", "21": "S1", "310": "0.195 kg", "17": "2027-11-30"}),
        ("https://id.gs1.org/01/09506000134352/", {"01": G[2:]}),
    ],
)  # fmt: skip
def test_scanners_write_the_same_in_many_ways(code, expect):
    assert said(code) == expect


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (f"{G}10{'A' * 21}", "put FNC1 (the character 0x1D) behind it"),
        (f"{G}42203617271130", "(422) ORIGIN has 11 characters and takes at most 3"),
        (f"{G}10A{GS}10B", "(10) BATCH/LOT is there twice and differs"),
        (f"{G}3103001250{'3102001250'}", "(3103) NET WEIGHT (kg) and (3102) NET WEIGHT (kg) cannot be said of one"),
        (f"{G}3724", "(01) GTIN and (37) COUNT cannot be said of one thing"),
        (f"02{G[2:]}", "(02) CONTENT says something of a thing that is not named; add (37)"),
        (f"{G}0209506000134352{'3724'}", "(02) CONTENT and (01) GTIN cannot"),
        ("17271130" + "15271130" + GS, "add (01) or (02)"),
        (f"{G}17270230", "270230 is no date: 2027-02 has no day 30"),
        (f"{G}17271100{GS}4326271100", "271100 is no date: 2027-11 has no day 00"),
        (f"{G}10A B", "holds ' ', which is none of the 82 characters"),
        (f"{G}21ä", "holds 'ä'"),
        (f"{G}30A", "holds 'A', which is none of digits"),
        (f"{G}1727", "(17) USE BY or EXPIRY has 2 characters and takes 6"),
        ("00106141412345678909", "ends in 9, but the check digit of 10614141234567890 is 8"),
        (f"{G}8810", "After (01) GTIN comes '8810', which is no Application Identifier"),
        ("XYZ", "begins with 'XYZ', which is no Application Identifier"),
        ("(99999)1", "Write an Application Identifier in brackets"),
        ("(18)1", "(18) is no Application Identifier"),
        (f"{G}3932000{'1099'}", "000 is no currency of ISO 4217"),
        (f"{G}800300950600013435{'2'}", "(8003)"),
        (f"{G}7003271130{'2560'}", "is no time of day"),
        ("", "The code is empty."),
        ("]E0", "A GTIN has 8, 12, 13 or 14 digits"),
        ("85001234012", "A GTIN has 8, 12, 13 or 14 digits; '85001234012' has not"),
        ("4006381333932", "The check digit of 4006381333932 is wrong: 400638133393 ends in 1."),
        ("0000000000000", "Zeros alone are a placeholder"),
        ("8.53E+11", "a spreadsheet made of a long number"),
        ("٤٠٠٦٣٨١٣٣٣٩٣١", "no Application Identifier"),
        ("x" * 501, "at most 500 characters"),
        ("https://example.com/products/1", "The path names no key"),
        ("https://example.com/01", "The path ends before the value of its last field, after (01) GTIN"),
        ("https://id.gs1.org/01/09506000134352/17/271130", "(01) GTIN may be followed by (22), (10), (21) or (235)"),
        ("https://id.gs1.org/01/09506000134352/22/A/235/B", "in this order"),
        ("https://id.gs1.org/00/106141412345678908/10/A", "(00) SSCC is followed by nothing"),
        ("https://id.gs1.org/01/09506000134352?21=A", "(21) SERIAL belongs into the path"),
        ("https://id.gs1.org/01/09506000134352?9999=A", "The query names 9999"),
        ("https://id.gs1.org/01/09506000134352?17=271130&17=281130", "there twice and differs"),
        ("https://id.gs1.org/01/09506000134350", "ends in 0, but the check digit"),
        ("https://[bad/01/09506000134352", "no address that can be read"),
    ],
)
def test_what_cannot_be_read_is_told_with_the_field_and_the_way_out(code, sentence):
    assert sentence in faults(code)


def test_every_wrong_field_is_told_at_once():
    with pytest.raises(Unreadable) as refused:
        barcodes.read(f"010950600013435017991301{GS}10ä", today=TODAY)
    assert [fault.ai for fault in refused.value.faults] == ["01", "17", "10"]


def test_a_year_lies_within_fifty_of_the_day_of_the_scan():
    for today, digits, year in (
        (date(2026, 1, 1), "76", 2076), (date(2026, 1, 1), "77", 1977), (date(2060, 1, 1), "10", 2110),
        (date(2060, 1, 1), "11", 2011), (date(1999, 1, 1), "49", 2049), (date(1999, 1, 1), "50", 1950),
    ):  # fmt: skip
        assert fields.day_of(f"{digits}0101", today=today).year == year, (today, digits)


def test_a_upc_e_is_the_upc_a_it_is_short_for_and_a_gtin_8_stays_one():
    assert gtins.read("04252614").gtin14 == "00042100005264"
    assert gtins.read("96385074").gtin14 == "00000096385074"
    both = "01234565"
    assert gtins.forms(both)[0] == gtins.read(both).gtin14
    assert said("]E0042100005264") == {}


@pytest.mark.parametrize(
    ("number", "is_restricted"),
    [
        ("2001234500128", True), ("0200030071050", True), ("0401035531864", True), ("20026752", True),
        ("00001236", True), ("4006381333931", False), ("9780767928427", False), ("96385074", False),
        ("10614141000736", False), ("085001234012", False),
    ],
)  # fmt: skip
def test_restricted_circulation_is_known_by_its_prefix_as_the_library_knows_it(number, is_restricted):
    assert gtins.read(number).is_restricted is is_restricted
    assert isinstance(biip.parse(number).gtin, biip.rcn.Rcn) is is_restricted


def test_the_dictionary_is_read_whole():
    known = dictionary.entries()
    assert len(known) > 500
    assert known["17"].is_predefined
    assert (known["01"].qualifiers, known["00"].qualifiers) == ((("22", "10", "21"), ("235",)), (("",),))
    assert known["7004"].requires == ((("01", "10"), ("03", "10")),)
    assert [(part.kind, part.shortest, part.longest, part.is_optional) for part in known["253"].components] == [
        ("N", 13, 13, False), ("X", 1, 17, True),
    ]  # fmt: skip


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_in_words(text):
    try:
        barcodes.read(text, today=TODAY)
        found = ["read"]
    except Unreadable as refusal:
        found = [fault.detail for fault in refusal.faults]
    assert found
    assert all(found)


@given(
    st.text("!\"%&'()*+,-./0123456789:;<=>?ABCxyz_", min_size=1, max_size=20),
    st.text("ABC0123456789-/", min_size=1, max_size=20),
    st.dates(date(1978, 1, 1), date(2075, 12, 31)),
)
def test_what_is_sound_is_read_as_the_library_reads_it(batch, serial, expiry):
    code = f"{G}17{expiry:%y%m%d}10{batch}{GS}21{serial}"
    theirs = {row.ai.ai: row.value for row in biip.parse(f"]C1{code}").gs1_message.element_strings}
    ours = barcodes.read(code, today=TODAY)
    assert {row.ai: row.value for row in ours.elements} == theirs
    assert ours.day("17") == expiry
