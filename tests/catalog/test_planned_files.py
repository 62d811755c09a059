"""Files at the door of plans: dirty, malformed and large ones. What is refused says where and why."""

from __future__ import annotations

import csv
import gzip
import io
import re
from functools import partial

import openpyxl
import pytest

from catalog.models import CatalogImport, Fitment, Variant
from catalog.operations import plan_work, plans
from partners.problems import IllegalStep
from tests import make
from tests.catalog import autocare_files as made
from tests.catalog.test_autocare_loading import NAMED, part
from tests.memory import peak_of

GOOD_APP, GOOD_ITEM = made.app(), made.item(NAMED)


def planned(path) -> CatalogImport:
    opened = plans.open_plan(kind="products", title=path.name, actor=make.TESTER)
    return plan_work.plan_path(plan=opened, path=path, actor=make.TESTER)


def reasons(plan) -> dict[int, str]:
    rows = plan.rows.exclude(reasons=[])
    return {row.number: " ".join(": ".join(pair) for pair in row.reasons) for row in rows}


def workbook(*rows) -> bytes:
    book, content = openpyxl.Workbook(write_only=True), io.BytesIO()
    sheet = book.create_sheet()
    for row in rows:
        sheet.append(row)
    book.save(content)
    return content.getvalue()


def test_a_real_dirty_file_is_planned_row_by_row_each_with_its_reason(db):
    plan = planned(made.SAMPLES / "dirty_products.csv")
    assert plan.notes == ["The file is not UTF-8; it was read as Windows-1252. Look at letters with accents."]
    assert reasons(plan) == {
        3: "gtin: 72457331181 lost its leading zeros, restored to 072457331181",
        4: "gtin: the check digit of 69645000416 is wrong, with and without leading zeros",
        5: "gtin: 8.53E+11 is what a spreadsheet made of a long number: its digits are lost; send it as text.",
        6: "gtin: 3.22E+12 is what a spreadsheet made of a long number: its digits are lost; send it as text.",
        7: "gtin: 78895132816 lost its leading zeros, restored to 078895132816",
        8: "productId: row 7 says the same",
        10: "gtin: 7200083 lost its leading zeros, restored to 07200083 gtin: 07200083 is of restricted circulation, kept as a"
        " number of our own house",
        11: "gtin: 60383651138 lost its leading zeros, restored to 060383651138",
        12: "gtin: row 11 gives 00060383651138 to another product",
        13: "productId: another row says something else of the same product",
        14: "productId: row 13 says something else of the same product",
        15: "gtin: the check digit of 00006860 is wrong, with and without leading zeros",
        16: "gtin: The check digit of 2000000000043 is wrong: 200000000004 ends in 6.",
        17: "gtin: the check digit of 11415567 is wrong, with and without leading zeros",
    }
    plans.apply(plan=plan, actor=make.TESTER)
    assert dict(Variant.objects.values_list("name", "gtin14")) == {
        "Véritable pâte à tartiner noisettes chocolat noir": "00000101209159",
        "Walden Farms Coleslaw Dressing": "00072457331181", "Premium oyster sauce": "00078895132816",
        "Jambonneau à l’os": "00006345049070", "cornichons extra fins": "00000007200083",
        "Sauce tomate": "00060383651138",
    }  # fmt: skip


TABLE = b"productId,name\nA,Sauce\n"
MALFORMED = [
    # CSV
    ("empty", "a.csv", b"", "The file is empty: the first row must name the columns"),
    ("a header alone", "a.csv", b"productId,name\n", "There are no rows"),
    ("a column twice", "a.csv", b"name,productId,name\nA,B,C\n", "The column 'name' is there twice"),
    ("too many columns", "a.csv", ",".join(f"c{n}" for n in range(501)).encode() + b"\n1\n", "more than 500 columns"),
    ("a cell too long", "a.csv", TABLE + b"B," + b"x" * 20_001 + b"\n", "Row 3: field larger than field limit"),
    ("more values than columns", "a.csv", b"productId,name\nA,B,C\n", "2: row: has 3 values for 2 columns"),
    ("no column we know", "a.csv", b"x,y\n1,2\n", "2: productId: is missing"),
    ("a control character", "a.csv", b"productId,name\nA,a\x00b\n", "2: name: holds a control character"),
    ("a picture", "a.csv", b"\x89PNG\r\n\x1a\n\x00\x00", "productId: is missing"),
    ("no ending we know", "a.zip", gzip.compress(TABLE), ".zip is not read here"),
    # XLSX
    ("no workbook", "a.xlsx", b"this is none", "no workbook that can be opened"),
    ("a workbook cut short", "a.xlsx", workbook(["productId"], ["A"])[:-200], "no workbook that can be opened"),
    ("an empty sheet", "a.xlsx", workbook(), "The file is empty"),
    ("a column twice in a sheet", "a.xlsx", workbook(["name", "name"], [1, 2]), "The column 'name' is there twice"),
    ("a number that is none", "a.xlsx", workbook(["productId", "name", "gtin"], ["A", "B", 4006381333932]),
     "2: gtin: The check digit of 4006381333932 is wrong"),
    # JSON lines
    ("no JSON", "a.jsonl", b'{"productId": "A"', "1: row: is not JSON"),
    ("a list of lines", "a.json", b'[\n{"productId": "A", "name": "B"},\n]', "2: row: is not JSON"),
    ("no object", "a.jsonl", b'["A"]', "1: row: is not a JSON object"),
    ("JSON too deep", "a.jsonl", b"[" * 100_000, "1: row: is not JSON"),
    ("half a character", "a.jsonl", b'{"productId": "A", "name": "\\ud800"}', "1: name: holds a control character"),
    # ACES
    ("a count too high", "a.xml", made.aces(GOOD_APP, count=2), "Line 4: <RecordCount> says 2, but there are 1 <App>"),
    ("cut short", "a.xml", made.aces(GOOD_APP)[:-20], "Line 4: .*cut short"),
    ("a DOCTYPE", "a.xml", b'<!DOCTYPE ACES SYSTEM "file:///etc/passwd">' + made.aces(GOOD_APP), "DOCTYPE"),
    ("a version not read yet", "a.xml", made.aces(GOOD_APP, version="5.0"), "Line 1: ACES 5.0 is not read"),
    ("an App twice", "a.xml", made.aces(GOOD_APP, GOOD_APP), "Line 4: this App has the id of the App in line 3"),
    ("a part that is none", "a.xml", made.aces(made.app(part="<Part>NONE</Part>")), "3: App: NONE of the brand BKLR is no product yet"),
    ("a gz cut short", "a.xml.gz", gzip.compress(made.aces(GOOD_APP))[:-20], "damaged or cut short"),
    # PIES
    ("another document", "a.xml", b"<Invoice/>", "The document is Invoice; <ACES> and <PIES> are read here"),
    ("tags that cross", "a.xml", made.pies(made.item("<Descriptions>")), "Line 4: "),
    ("no trailer", "a.xml", made.pies(GOOD_ITEM).split(b"<Trailer>")[0] + b"</PIES>", "Line 4: the <Trailer> is missing"),
    ("a version of tomorrow", "a.xml", made.pies(GOOD_ITEM).replace(b">7.2<", b">8.0<"), "Line 2: PIES 8.0 is not read"),
    ("an Item without a number", "a.xml", made.pies(made.item(NAMED, number="")), "4: Item: PartNumber is missing"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "said"), [pytest.param(*rest, id=f"{rest[0]}: {case}") for case, *rest in MALFORMED]
)
def test_a_malformed_file_is_refused_with_line_and_reason_and_nothing_is_applied(db, tmp_path, name, content, said):
    part("BRK-1")
    plan = planned(made.write(tmp_path / name, content))
    told = [plan.reason, *(f"{number}: {reason}" for number, reason in reasons(plan).items())]
    assert plan.state == "refused"
    assert any(re.search(said, reason) for reason in told), told
    with pytest.raises(IllegalStep):
        plans.apply(plan=plan, actor=make.TESTER)
    assert (Variant.objects.count(), Fitment.objects.count()) == (1, 0)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", TABLE), ("a.xlsx", workbook(["productId", "name"], ["A", "Sauce"])),
        ("a.jsonl", b'{"productId": "A", "name": "Sauce"}'), ("a.xml", made.aces(GOOD_APP)),
        ("b.xml", made.pies(GOOD_ITEM)),
    ],
)  # fmt: skip
def test_the_files_the_malformed_ones_are_made_from_are_planned(db, tmp_path, name, content):
    part("BRK-1")
    plan = planned(made.write(tmp_path / name, content))
    assert (plan.state, plan.refused_count) == ("planned", 0)


ROWS = 20_000


def large_rows(count: int):
    yield ["productId", "name", "brand", "gtin", "attributes.heat"]
    for number in range(count):
        yield [f"P-{number:06}", f"Sauce number {number}", f"Brand {number % 60}", "", "hot" if number % 2 else "mild"]


def large_csv(count: int) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(large_rows(count))
    return text.getvalue().encode()


@pytest.mark.parametrize("ending", ["csv", "xlsx"])
def test_twenty_thousand_rows_are_planned_in_the_memory_of_a_chunk(db, tmp_path, ending):
    """Five times the rows take hardly more: what is held of each is which row named its product, and its digest."""
    peaks = []
    for count in (ROWS // 5, ROWS):
        content = large_csv(count) if ending == "csv" else workbook(*large_rows(count))
        path = made.write(tmp_path / f"{count}.{ending}", content)
        del content
        peak, plan = peak_of(partial(planned, path))
        peaks.append(peak)
        assert (plan.state, plan.new_count) == ("planned", count)
    assert peaks[1] - peaks[0] < (ROWS - ROWS // 5) * 500
    assert peaks[1] < 40_000_000


def test_a_large_aces_file_is_planned_in_bounded_memory(db, tmp_path):
    """Three times the Apps take no more memory: a chunk is held, and no App is remembered."""
    for number in range(9_000 // 300):
        part(f"BRK-{number * 300}")
    peaks = []
    for size in (1_200_000, 3_600_000):
        path = made.write(tmp_path / f"{size}.xml", made.large_aces(size))
        peak, plan = peak_of(partial(planned, path))
        peaks.append(peak)
        assert plan.row_count > size // 500
    assert peaks[1] < 2 * peaks[0] < 60_000_000
