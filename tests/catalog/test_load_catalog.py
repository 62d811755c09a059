"""Files of products: dirty data is mended by proof or refused by name, row by row."""

from __future__ import annotations

import io
import json

import openpyxl
import pytest
from django.core.management import CommandError, call_command

from catalog.models import Fitment, Variant
from stock.models import Level, Warehouse
from tests import make

HEADER = "productId,name,brand,gtin,tracking,supplierId,attributes.heat\n"


def run(command, path, **options) -> tuple[str, str, int]:
    """(what was said, what was refused, exit code)."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    try:
        call_command(command, str(path), stdout=out, stderr=err, **options)
    except SystemExit as stop:
        code = stop.code
    return out.getvalue(), err.getvalue(), code


def write(tmp_path, text, name="products.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


def test_good_rows_are_applied_and_loading_twice_changes_nothing(db, tmp_path, supplier):
    path = write(
        tmp_path, HEADER + "A,Sauce Ä,Fire,4006381333931,batch,SUP-1,hot\nB,Relish,,,none,,\n", encoding="utf-8-sig"
    )
    assert run("load_catalog", path) == ("created 2\n", "", 0)
    assert run("load_catalog", path) == ("unchanged 2\n", "", 0)
    variant = Variant.objects.get(sku="A")
    assert (variant.name, variant.gtin14, variant.attributes) == ("Sauce Ä", "04006381333931", {"heat": "hot"})
    assert [item.supplier.code for item in variant.supplier_items.all()] == ["SUP-1"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",Nameless,,,,,", "productId: is missing"),
        ("C,,,,,,", "name: is missing"),
        ("C D,x,,,,,", "letters, digits"),
        ("C,x,,4006381333932,,,", "check digit of 4006381333932 is wrong"),
        ("C,x,,12,,,", "check digit of 12 is wrong"),
        ("C,x,,ABC,,,", "8, 12, 13 or 14 digits"),
        ("C,x,,,lot,,", "is none of none, batch, serial"),
        ("C,x,,,,NOBODY,", "there is no supplier NOBODY"),
        ("A,again,,,,,", "row 2 says something else of the same product"),
        ("C,x,,4006381333931,,,", "belongs to another product"),
        ("C," + "x" * 251 + ",,,,,", "longer than 250"),
        ("C,a\x07b,,,,,", "control character"),
        ("C,x,,,,,,too,many", "9 values for 7 columns"),
    ],
)
def test_a_bad_row_is_refused_with_its_reason_and_the_good_ones_stay(db, tmp_path, row, reason):
    path = write(tmp_path, HEADER + f"A,Sauce,,4006381333931,,,\n{row}\nZ,Last,,,,,\n")
    said, refused, code = run("load_catalog", path)
    assert (said.splitlines()[-1], code) == ("created 2, refused 1", 1)
    assert refused.startswith("row 3: ")
    assert reason in refused
    assert list(Variant.objects.values_list("sku", flat=True)) == ["A", "Z"]


def test_a_row_said_twice_is_one_row_and_nothing_is_refused(db, tmp_path):
    said, refused, code = run("load_catalog", write(tmp_path, HEADER + "A,Sauce,,,,,hot\nA, Sauce ,,,,,hot\n"))
    assert (said, refused, code) == ("created 1, unchanged 1\n", "", 0)


def test_terms_without_a_supplier_are_refused_and_not_left_out(db, tmp_path, supplier):
    head = "productId,name,supplierId,cost,currency\n"
    said, refused, code = run("load_catalog", write(tmp_path, head + "A,Sauce,,2.50,EUR\nB,Relish,SUP-1,2.50,EUR\n"))
    assert (said, code) == ("created 1, refused 1\n", 1)
    assert refused == "row 2: supplierId: is missing; cost is said of a supplier's offer\n"
    assert list(Variant.objects.values_list("sku", "supplier_items__cost")) == [("B", 2.5)]


def test_zeros_a_spreadsheet_ate_are_restored_where_the_check_digit_proves_them(db, tmp_path):
    said, _, code = run("load_catalog", write(tmp_path, HEADER + "A,Dressing,,72457331181,,,\n"))
    assert code == 0
    assert "row 2: gtin: 72457331181 lost its leading zeros, restored to 072457331181" in said
    assert Variant.objects.get().gtin14 == "00072457331181"


def test_a_dry_run_says_what_would_happen_and_changes_nothing(db, tmp_path):
    path = write(tmp_path, HEADER + "A,Sauce,,,,,\nB,,,,,,\n")
    said, refused, code = run("load_catalog", path, check=True)
    assert (said, refused, code) == ("would be: created 1, refused 1\n", "row 3: name: is missing\n", 1)
    assert Variant.objects.count() == 0


def test_a_workbooks_numbers_are_read_as_the_digits_people_see(db, tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["Product Id", "name", "GTIN", "shelf_life_days", "Colour"])
    book.active.append(["A", "Sauce", 4006381333931.0, 720, "red"])
    path = tmp_path / "products.xlsx"
    book.save(path)
    said, _, code = run("load_catalog", path)
    assert (said, code) == ("ignored columns: Colour\ncreated 1\n", 0)
    variant = Variant.objects.get()
    assert (variant.gtin, variant.shelf_life_days) == ("4006381333931", 720)


def test_json_lines_may_nest(db, tmp_path, supplier):
    row = {
        "productId": "A", "name": "Sauce", "attributes": {"scoville": 5000}, "suppliers": ["SUP-1"],
        "packs": [{"name": "case", "quantity": 12}],
    }  # fmt: skip
    path = write(tmp_path, json.dumps(row) + "\nnot json\n", "products.jsonl")
    _, refused, code = run("load_catalog", path)
    assert (code, refused.startswith("row 2: row: is not JSON")) == (1, True)
    variant = Variant.objects.get()
    assert (variant.attributes, [pack.quantity for pack in variant.packs.all()]) == ({"scoville": 5000}, [12])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ('"attributes": {"a": NaN}', "NaN and Infinity are no numbers"),
        ('"attributes": {"a": -Infinity}', "NaN and Infinity are no numbers"),
        ('"attributes": {"a": "x\\u0000"}', "cannot be kept"),
        ('"attributes": {"a": ["\\ud800"]}', "cannot be kept"),
        ('"attributes": {"\\u0000": 1}', "cannot be kept"),
        ('"attributes": {"a": {"b": 1}}', "neither text, number"),
        ('"attributes": {"a": "' + "x" * 20_000 + '"}', "more than 20,000 bytes"),
        ('"attributes": {' + ", ".join(f'"{number}": 1' for number in range(101)) + "}", "at most 100"),
        ('"attributes.a": {"b": 1}', "neither text, number"),
        ('"packs": "case of 12"', "is no list of packs"),
        ('"packs": [{"name": "case", "quantity": 12, "gtin": "4006381333931"}]', "belongs to another product"),
        ('"packs": [{"name": "case", "quantity": 12, "gtin": "4006381333932"}]', "check digit"),
        (
            '"packs": [' + ", ".join(f'{{"name": "{size}", "quantity": {size}}}' for size in range(2, 23)) + "]",
            "most 20",
        ),
        ('"suppliers": "SUP-1"', "is no list of suppliers"),
        ('"suppliers": [["SUP-1"]]', "is no list of suppliers"),
        ('"parentId": "STOCKED"', "parent_is_stocked"),
        ('"parentId": "B"', "sold itself"),
    ],
)
def test_a_bad_line_of_json_is_refused_with_its_reason_and_the_good_ones_stay(db, tmp_path, change, reason):
    stocked = make.make_variant(sku="STOCKED")
    make.make_level(variant=stocked, warehouse=make.make_warehouse())
    lines = (
        '{"productId": "A", "name": "Sauce", "packs": [{"name": "case", "quantity": 12, "gtin": "4006381333931"}]}',
        '{"productId": "B", "name": "Relish"}',
        '{"productId": "B", "name": "Hot relish", ' + change + "}",
    )
    first, second = write(tmp_path, "\n".join(lines[:2]), "a.jsonl"), write(tmp_path, lines[2], "b.jsonl")
    assert run("load_catalog", first) == ("created 2\n", "", 0)
    said, refused, code = run("load_catalog", second)
    assert (said, code) == ("refused 1\n", 1)
    assert reason in refused
    unchanged = Variant.objects.get(sku="B")
    assert (unchanged.name, unchanged.attributes, unchanged.version) == ("Relish", {}, 1)
    assert (unchanged.packs.count(), unchanged.supplier_items.count(), unchanged.parent) == (0, 0, None)


def test_an_empty_cell_leaves_the_suppliers_number(db, tmp_path, supplier):
    run("load_catalog", write(tmp_path, "productId,name,supplierId,supplierCode\nA,Sauce,SUP-1,H7\n"))
    run("load_catalog", write(tmp_path, "productId,name,supplierId\nA,Hot sauce,SUP-1\n"))
    variant = Variant.objects.get()
    assert (variant.name, variant.supplier_items.get().supplier_code) == ("Hot sauce", "H7")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("missing.csv", None, "There is no file"),
        ("empty.csv", b"", "The file is empty"),
        ("latin.csv", "productId,name\nA,Sauc\xe9".encode("latin-1"), "is not UTF-8"),
        ("twice.csv", b"name,name\na,b\n", "is there twice"),
        ("fake.xlsx", b"this is no workbook", "no workbook"),
        ("picture.png", b"x", "send .csv, .xlsx or .jsonl"),
    ],
)
def test_a_file_that_is_none_is_refused_whole(db, tmp_path, name, content, said):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CommandError, match=said):
        run("load_catalog", path)
    assert Variant.objects.count() == 0


def test_fitments_are_known_by_their_columns_and_loaded_once(db, tmp_path):
    make.make_variant(sku="ROTOR")
    rows = "productId,make,model,yearFrom,yearTo,engine\nROTOR,Audi,A4,2004,2008,2.0L\n"
    path = write(tmp_path, rows + "NONE,Audi,A4,2004,2008,\nROTOR,Audi,A4,2008,2004,\nROTOR,Audi,A4,1,2,\n")
    assert run("load_catalog", path)[0] == "created 1, refused 3\n"
    assert run("load_catalog", path)[0] == "refused 3, unchanged 1\n"
    assert Fitment.objects.count() == 1


def test_a_stock_file_states_levels_so_loading_it_twice_changes_nothing(db, tmp_path):
    make.make_variant(sku="SAUCE", tracking="batch")
    rows = "productId,warehouseLocation,quantity,batchNumber,expirationDate\nSAUCE,W1,500,B1,2095-01-01\n"
    path = write(tmp_path, rows, "stock.csv")
    said, _, code = run("load_stock", path)
    assert (said.splitlines()[-1], code) == ("changed 1", 0)
    assert "opened warehouse W1" in said
    assert run("load_stock", path) == ("unchanged 1\n", "", 0)
    assert Level.objects.get().on_hand == 500


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("NONE,W1,5,,", "productId: there is no product NONE"),
        ("SAUCE,W9,5,B1,", "warehouseLocation: there is no warehouse W9"),
        ("SAUCE,W1,-5,B1,", "inventoryLevel: '-5' is not a whole number"),
        ("SAUCE,W1,1.5,B1,", "inventoryLevel: '1.5' is not a whole number"),
        ("SAUCE,W1,,B1,", "inventoryLevel: is missing"),
        ("SAUCE,W1,5,,", "batchNumber: SAUCE is tracked by batch"),
        ("SAUCE,W1,5,B1,31.12.2030", "expirationDate: '31.12.2030' is not a date"),
    ],
)
def test_a_bad_row_of_stock_is_refused_and_changes_nothing(db, tmp_path, row, reason):
    make.make_variant(sku="SAUCE", tracking="batch")
    make.make_warehouse(code="W1")
    path = write(tmp_path, f"productId,warehouseLocation,quantity,batchNumber,expirationDate\n{row}\n", "stock.csv")
    said, refused, code = run("load_stock", path)
    assert (said, code) == ("refused 1\n", 1)
    assert reason in refused
    assert (Level.objects.count(), Warehouse.objects.count()) == (0, 1)
