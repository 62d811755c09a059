"""Labels and slips say what is in the box: read back from the paper, bar by bar."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from io import BytesIO
from itertools import pairwise

import pytest
from pypdf import PdfReader

from catalog import barcodes
from orders.operations import labelling
from orders.papers import labels, slips, typeface
from orders.papers.facts import Address, Box, Consignment, Row, address_of

SSCC = "006141411234567890"
HONEY = Row(sku="HONEY", name="Bee’s Honey", quantity=12, unit="jar", batch_number="L1", expires_on=date(2090, 1, 31))
DRILL = Row(sku="DRILL", name="Bohrmaschine für Profis", quantity=2, unit="each", serial_numbers=("S-1", "S-2"))
PAPER = Consignment(
    number="SH-1",
    order_number="SO-7",
    external_reference="PO-4711",
    ship_from=Address(name="Hamburg", lines=("Große Elbstraße 9", "22767 Hamburg", "DE")),
    ship_to=Address(name="東京の店", lines=("神宮前 1-2-3", "150-0001 東京", "JP")),
    carrier="DHL",
    service="Express",
    day=date(2090, 1, 2),
    boxes=(Box(number="PK-1", sscc=SSCC, tracking_number="1Z9", rows=(HONEY,)),),
)


def read(pdf: bytes) -> PdfReader:
    return PdfReader(BytesIO(pdf))


def words(pdf: bytes) -> str:
    return "\n".join(page.extract_text() for page in read(pdf).pages)


def widths_drawn(pdf: bytes) -> list[float]:
    """The widths of the filled rectangles of the first page, from left to right: the bars."""
    drawn = read(pdf).pages[0].get_contents().get_data().decode("latin-1")
    # A bar is "x y width height re", moved to its place before by a matrix of its own.
    found = [tuple(map(float, row)) for row in re.findall(r"([-\d.]+) ([-\d.]+) ([-\d.]+) ([-\d.]+) re", drawn)]
    return [(left, width) for left, _, width, height in found if height > 50]


def decoded(pdf: bytes) -> list[int]:
    """The symbols of the one Code 128 on a page, from the widths of its bars and of the gaps between them."""
    bars = sorted(widths_drawn(pdf))
    module = min(width for _, width in bars)
    edges = [edge for left, width in bars for edge in (left, left + width)]
    elements = "".join(str(round((after - before) / module)) for before, after in pairwise(edges))
    *symbols, stop = [elements[at : at + 6] for at in range(0, len(elements) - 1, 6)]
    assert (stop, elements[-1]) == ("233111", "2")
    return [PATTERNS.index(symbol) for symbol in symbols]


# ISO/IEC 15417, table 1: the widths of bars and gaps of the symbols 0 to 105.
PATTERNS = """
212222 222122 222221 121223 121322 131222 122213 122312 132212 221213 221312 231212 112232 122132 122231 113222
123122 123221 223211 221132 221231 213212 223112 312131 311222 321122 321221 312212 322112 322211 212123 212321
232121 111323 131123 131321 112313 132113 132311 211313 231113 231311 112133 112331 132131 113123 113321 133121
313121 211331 231131 213113 213311 213131 311123 311321 331121 312113 312311 332111 314111 221411 431111 111224
111422 121124 121421 141122 141221 112214 112412 122114 122411 142112 142211 241211 221114 413111 241112 134111
111242 121142 121241 114212 124112 124211 411212 421112 421211 212141 214121 412121 111143 111341 131141 114113
114311 411113 411311 113141 114131 311141 411131 211412 211214 211232
""".split()
START_C, FNC1 = 105, 102


def test_the_bars_of_a_label_are_its_sscc_in_gs1_128():
    start, first, *pairs, check = decoded(labels.pdf(PAPER))
    assert (start, first) == (START_C, FNC1)
    assert "".join(f"{pair:02}" for pair in pairs) == f"00{SSCC}"
    assert check == (start + sum(place * symbol for place, symbol in enumerate([first, *pairs], 1))) % 103
    scan = barcodes.read(f"]C100{SSCC}", today=date(2090, 1, 1))
    assert scan.value("00") == SSCC


def test_the_bars_are_as_wide_and_high_as_gs1_wants_and_have_their_quiet_zones():
    bars = sorted(widths_drawn(labels.pdf(PAPER)))
    module = min(width for _, width in bars)
    assert module >= 0.495 / 25.4 * 72 - 0.001
    assert labels.BAR_HEIGHT >= 31.75 / 25.4 * 72
    assert bars[-1][0] + bars[-1][1] - bars[0][0] + 20 * module <= labels.WIDTH


def test_a_label_for_a_label_printer_carries_the_same():
    label = labels.zpl(PAPER)
    assert (label.count("^XA"), label.count("^XZ"), "^CI28" in label) == (1, 1, True)
    assert f"^BCN,256,N,N,N^FD>;>800{SSCC}^FS" in label
    assert "^FD東京の店^FS" in label


def test_what_a_printer_would_take_for_a_command_is_text():
    odd = replace(PAPER, external_reference="PO^XZ~JA_1\\")
    label = labels.zpl(odd)
    assert (label.count("^XZ"), "~JA" in label) == (1, False)
    assert "^FH^FDReference PO_5EXZ_7EJA_5F1_5C^FS" in label


def test_each_package_has_its_label():
    two = replace(PAPER, boxes=(*PAPER.boxes, replace(PAPER.boxes[0], number="PK-2", rows=(HONEY, DRILL))))
    pages = [page.extract_text() for page in read(labels.pdf(two)).pages]
    assert ["Package 1 of 2: PK-1" in pages[0], "Package 2 of 2: PK-2" in pages[1]] == [True, True]
    assert ["12 × HONEY, batch L1" in pages[0], "2 lines, see the packing slip" in pages[1]] == [True, True]


@pytest.mark.parametrize("paper", [labels.pdf(PAPER), slips.pdf(PAPER)], ids=["label", "slip"])
def test_names_in_any_letters_are_printed_and_the_typeface_is_in_the_paper(paper):
    assert "東京の店" in words(paper)
    assert "Große Elbstraße 9" in words(paper)
    for page in read(paper).pages:
        for font in page["/Resources"]["/Font"].values():
            described = font.get_object().get("/FontDescriptor")
            is_used = described is not None or font.get_object()["/BaseFont"] != "/Helvetica"
            assert not is_used or "/FontFile2" in described.get_object()


def test_a_slip_says_what_is_in_the_box():
    both = replace(PAPER, boxes=(replace(PAPER.boxes[0], rows=(HONEY, DRILL)),))
    text = " ".join(words(slips.pdf(both)).split())
    for said in ("SH-1", "SO-7", "PO-4711", "DHL Express", "(00) 0 0614141 123456789 0", "1Z9", "HONEY", "Bee's Honey",
                 "L1, expires 2090-01-31", "12 jar", "Bohrmaschine für Profis", "S-1, S-2"):  # fmt: skip
        assert said in text, said


def test_a_long_slip_goes_on_over_pages_with_every_line():
    rows = tuple(replace(HONEY, sku=f"HONEY-{place}") for place in range(120))
    text = words(slips.pdf(replace(PAPER, boxes=(replace(PAPER.boxes[0], rows=rows),))))
    assert all(f"HONEY-{place}" in text for place in range(120))
    assert "page 2" in text


def test_markup_in_a_name_is_printed_as_it_is():
    row = replace(HONEY, name="<b>A & B</b>")
    assert "<b>A & B</b>" in words(slips.pdf(replace(PAPER, boxes=(replace(PAPER.boxes[0], rows=(row,)),))))


def test_a_letter_the_typeface_has_not_is_seen_to_be_missing():
    assert typeface.printable("a\U0001f41d b") == "a□ b"


def test_of_an_address_only_what_is_there_takes_a_line():
    found = address_of({"name": "Store 12", "country": "US", "postalCode": "38103", "street": ""})
    assert found == Address(name="Store 12", lines=("38103", "US"))


@pytest.mark.parametrize(
    ("extension", "prefix", "serial", "sscc"),
    [
        (0, "0614141", 123456789, SSCC),
        (1, "0614141", 234567890, "106141412345678908"),
        (0, "0614141", 1, "006141410000000012"),
    ],
)
def test_a_serial_reference_becomes_an_sscc_with_its_check_digit(extension, prefix, serial, sscc):
    assert labelling.sscc_of(extension_digit=extension, company_prefix=prefix, serial_reference=serial) == sscc


def test_nothing_of_an_address_is_cut_and_nothing_reaches_the_bars():
    long = "Zentrallager der Vereinigten Gewürzmühlen und Soßenfabriken Nordwestdeutschland, Tor 14, Rampe 3 bis 7"
    sender = Address(name=long, lines=("Am Hafenbecken hinter dem alten Zollamt 117 a", "26721 Emden", "DE"))
    receiver = Address(name=long, lines=(long, "Hinterhaus", "26721 Emden", "DE"))
    paper = replace(PAPER, ship_from=sender, ship_to=receiver)
    shown = " ".join(words(labels.pdf(paper)).split())
    for line in (*sender.lines, sender.name, receiver.lines[0], receiver.lines[3]):
        assert line in shown, line
    drawn = [size for _, size in labels.texts(paper, paper.boxes[0], 1)]
    assert sum(drawn) * 1.25 <= labels.HEIGHT - 2 * labels.MARGIN - labels.BAR_HEIGHT - 24
    label = labels.zpl(paper)
    assert "26721 Emden, DE^FS" in label


def test_an_address_that_is_too_long_for_any_label_is_cut_before_the_bars():
    endless = Address(name="x " * 200, lines=tuple("y " * 150 for _ in range(5)))
    paper = replace(PAPER, ship_from=endless, ship_to=endless)
    drawn = [size for _, size in labels.texts(paper, paper.boxes[0], 1)]
    assert sum(drawn) * 1.25 <= labels.HEIGHT - 2 * labels.MARGIN - labels.BAR_HEIGHT - 24
    assert "..." in words(labels.pdf(paper))
