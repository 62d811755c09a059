"""Files no sender could have meant: refused whole, with the line and the reason, before a record is given."""

from __future__ import annotations

import gzip
import io
import json
import re
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog import aces, pies
from partners import files, unpacking
from tests.catalog import autocare_files as made

GOOD = made.app()
BOMB = '<!DOCTYPE ACES [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]>'
OUTSIDE = '<!DOCTYPE ACES SYSTEM "file:///etc/passwd">'
NO_BRAND = made.ACES_HEADER.replace("<BrandAAIAID>BKLR</BrandAAIAID>", "")
NO_TRAILER = made.pies(made.item()).split(b"<Trailer>")[0] + b"</PIES>"


def zipped(how: int = zipfile.ZIP_DEFLATED, **contents: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", how) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return packed.getvalue()


# The flag of a lock, in the file's own head and in the directory.
LOCKED = zipped(**{"a.xml": made.aces(GOOD)})
LOCKED = LOCKED.replace(b"PK\x03\x04\x14\x00\x00", b"PK\x03\x04\x14\x00\x01")
LOCKED = LOCKED.replace(b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01")

ACES_MALFORMED = [
    ("empty", b"", "Line 1: the file is empty"),
    ("not XML", b"productId,name\nA,Sauce", "Line 1: this is not"),
    ("cut short in an App", made.aces(GOOD, GOOD)[:-120], r"Line 4: the file ends .*cut short"),
    ("cut short before the Footer", made.aces(GOOD).split(b"<Footer>")[0], r"Line 4: the file ends .*cut short"),
    ("a tag closed that is not open", made.aces("<App></Part></App>"), "Line 3: a tag is closed that is not the one"),
    ("a bare ampersand", made.aces(GOOD, made.app(rest="<Note>A & B</Note>", id="2")), "Line 4: .*bare &"),
    ("bytes of another encoding", made.aces(GOOD).replace(b"BRK", b"\xe9"), "Line 3: .*not of the file's encoding"),
    ("named UTF-16, is none", b'<?xml version="1.0" encoding="UTF-16"?>' + made.aces(GOOD), "Line 1: .*not in the enc"),
    (
        "an encoding not known",
        b'<?xml version="1.0" encoding="UTF-7"?>' + made.aces(GOOD),
        "Line 1: the encoding UTF-7",
    ),
    ("billion laughs", BOMB.encode() + made.aces(made.app(rest="<Note>&c;</Note>")), "Line 1: a document type"),
    ("an external entity", OUTSIDE.encode() + made.aces(GOOD), "Line 1: a document type"),
    ("an entity without a document type", made.aces(made.app(rest="<Note>&x;</Note>")), "Line 3: an entity is used"),
    ("a character XML forbids", made.aces(made.app(rest="<Note>&#0;</Note>")), "Line 3: a character is named"),
    ("an attribute twice", made.aces('<App id="1" id="2"/>'), "Line 3: an attribute is there twice"),
    ("another document", b"<PIES/>", "Line 1: the document is <PIES>; here <ACES> is read"),
    (
        "a foreign namespace",
        made.aces(GOOD, root='ACES xmlns="http://example.test/"'),
        "Line 1: <ACES> is in the names",
    ),
    ("something behind the end", made.aces(GOOD, end="\n<ACES/>"), "Line 6: something follows the end"),
    ("a version not read yet", made.aces(GOOD, version="5.0"), "Line 1: ACES 5.0 is not read; send 4.2"),
    ("a version of long ago", made.aces(GOOD, version="2.0"), "Line 1: ACES 2.0 is not read"),
    ("no header", made.aces(GOOD, header=""), "Line 2: the <Header> is missing"),
    ("nothing in it", b'<ACES version="4.2"></ACES>', "Line 1: the <Header> is missing; the file is empty"),
    ("two headers", made.aces(made.ACES_HEADER, GOOD), "Line 3: the <Header> is there twice"),
    ("a submission of no known type", made.aces(header=made.ACES_HEADER.replace("FULL", "TEST")), "Line 2: .*'TEST'"),
    ("a FULL file of no brand", made.aces(made.app(), header=NO_BRAND), "Line 2: a FULL file must name the brand"),
    ("no footer", b"\n".join(made.aces(GOOD).split(b"\n")[:3]) + b"</ACES>", "Line 3: the <Footer> is missing after"),
    ("a count too high", made.aces(GOOD, count=2), "Line 4: <RecordCount> says 2, but there are 1 <App>"),
    ("a count too low", made.aces(GOOD, made.app(id="2"), count=1), "Line 5: <RecordCount> says 1, but there are 2"),
    ("a count that is none", made.aces(GOOD, count="one"), "Line 4: <RecordCount> 'one' is no number"),
    ("an App behind the footer", made.aces(GOOD, "<Footer><RecordCount>1</RecordCount></Footer>"), "Line 5: .*follows"),
    ("an id twice", made.aces(GOOD, made.app(id="7"), made.app(id="01")), "Line 5: this App has the id of .* line 3"),
    ("elements too deep", made.aces("<App>" + "<a>" * 40), "Line 3: elements are nested deeper than 32"),
    ("a text too long", made.aces(made.app(rest=f"<Note>{'x' * 20_001}</Note>")), "Line 3: .*20,000 characters"),
    ("an attribute too long", made.aces(made.app(ref="x" * 20_001)), "Line 3: the attributes of a tag"),
    ("too many attributes", made.aces("<App " + " ".join(f'a{n}=""' for n in range(101)) + "/>"), "Line 3: .*100 attr"),
    (
        "too many names",
        made.aces("<App>" + "".join(f"<a{n}/>" for n in range(2_001)) + "</App>"),
        "Line 3: .*2,000 diff",
    ),
    ("too many elements in one App", made.aces("<App>" + "<Note/>" * 20_001 + "</App>"), "Line 3: one record .*20,000"),
    ("a comment without an end", made.aces("<!--" + "x" * 2_000_000), "Line 3: one tag or comment"),
    ("a gz cut short", gzip.compress(made.aces(GOOD))[:-20], "damaged or cut short"),
    ("a zip cut short", zipped(**{"a.xml": made.aces(GOOD)})[:-30], "no zip that can be opened"),
    (
        "a zip of another kind",
        zipped(zipfile.ZIP_BZIP2, **{"a.xml": made.aces(GOOD)}),
        "not read here; use the ordinary",
    ),
    ("an empty zip", zipped(), "The zip holds 0 files"),
    ("a zip with a password", LOCKED, "locked with a password"),
    ("a zip with two files", zipped(**{"a.xml": made.aces(GOOD), "b.xml": made.aces(GOOD)}), "The zip holds 2 files"),
]

PIES_MALFORMED = [
    ("no namespace", made.pies(made.item(), root="<PIES>"), "Line 1: <PIES> is in no namespace"),
    ("a foreign namespace", made.pies(made.item(), root='<PIES xmlns="urn:x">'), "Line 1: .*namespace urn:x"),
    (
        "a version not read yet",
        made.pies(header=made.PIES_HEADER.replace("7.2", "8.0")),
        "Line 2: PIES 8.0 is not read",
    ),
    ("a count too high", made.pies(made.item(), count=3), "Line 6: <ItemCount> says 3, but there are 1 <Item>"),
    ("no trailer", NO_TRAILER, "Line 4: the <Trailer> is missing after this"),
    ("no header", made.pies(made.item(), header=""), "Line 3: the <Header> is missing"),
    ("no date", made.pies().replace(b"2026-09-01</Tr", b"</Tr"), "TransactionDate '' is not a date"),
    ("no such date", made.pies().replace(b"09-01</Tr", b"02-30</Tr"), "TransactionDate '2026-02-30' is not a date"),
    ("codes of no known table", made.pies(header=made.PIES_HEADER.replace("PCdb", "X")), "Line 2: .*PCdbVersionDate"),
    ("a prefix of no namespace", made.pies("<p:Item/>"), "Line 4: a prefix is used for which no namespace"),
]


@pytest.mark.parametrize(
    ("read", "content", "said"),
    [
        pytest.param(read, content, said, id=f"{read.__module__.split('.')[1]}: {name}")
        for read, table in ((aces.read, ACES_MALFORMED), (pies.read, PIES_MALFORMED))
        for name, content, said in table
    ],
)
def test_a_malformed_file_is_refused_whole_with_line_and_reason(tmp_path, read, content, said):
    path = made.write(tmp_path / "file.xml", content)
    with pytest.raises(files.Unreadable, match=said):
        read(path)


def test_the_file_the_malformed_ones_are_made_from_can_be_read():
    assert [record.fault for record in aces.read(io.BytesIO(made.aces(GOOD))).records] == [""]
    assert [record.fault for record in pies.read(io.BytesIO(made.pies(made.item()))).records] == [""]


def unpack(packed: bytes, *, bytes_max: int) -> int:
    with unpacking.opened(io.BytesIO(packed), bytes_max=bytes_max) as stream:
        return sum(map(len, iter(lambda: stream.read(65_536), b"")))


def test_a_file_that_grows_beyond_its_bound_when_unpacked_is_refused():
    for packed in (gzip.compress(bytes(2_000_000)), zipped(**{"a.xml": bytes(2_000_000)})):
        assert unpack(packed, bytes_max=2_000_000) == 2_000_000
        with pytest.raises(files.Unreadable, match="more than 1,999,999 bytes"):
            unpack(packed, bytes_max=1_999_999)


def test_a_zip_that_lies_about_its_size_is_held_to_the_bound_all_the_same():
    packed = bytearray(zipped(**{"a.xml": bytes(2_000_000)}))
    told = (2_000_000).to_bytes(4, "little")
    while (at := packed.find(told)) >= 0:
        packed[at : at + 4] = (999).to_bytes(4, "little")
    with pytest.raises(files.Unreadable, match=r"damaged|more than 1,000 bytes"):
        unpack(bytes(packed), bytes_max=1_000)


SAMPLES = {
    aces.read: (made.SAMPLES / "ironridge_brakes_aces_4_2.xml").read_text(),
    pies.read: (made.SAMPLES / "ironridge_pies_7_2.xml").read_text(),
}
ODD = ["", "0", "-1", "1.0", ".", "9" * 30, "²", "١", "1e5", "NaN", "x" * 300, "x" * 5_000, "\u202e", "\ufeff", "&#x7f;",
       "&#x9f;", "&#10;", "😀", "A B", " 7 ", "D", "FULL", "2026-02-30", "0000-00-00", "999 years"]  # fmt: skip
VALUE = re.compile(r'(?<=>)[^<>]+(?=<)|(?<==")[^"]*(?=")')
ELEMENT = re.compile(r"<(\w+)[^<>]*/>|<(\w+)[^<>]*>[^<>]*</\2>")


@settings(max_examples=300, deadline=None)
@given(
    read=st.sampled_from(list(SAMPLES)),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from([*ODD, None, "again"])), min_size=1, max_size=5),
)
def test_whatever_stands_in_it_a_file_is_refused_whole_or_read_to_its_end(read, changes):
    text = SAMPLES[read]
    for at, change in changes:
        found = list((ELEMENT if change in (None, "again") else VALUE).finditer(text))
        begin, end = found[at % len(found)].span()
        if change == "again":
            change = text[begin:end] * 2
        text = text[:begin] + (change or "") + text[end:]
    try:
        book = read(io.BytesIO(text.encode()))
    except files.Unreadable as unreadable:
        reason = str(unreadable)
    else:
        reason = ""
        records = list(book.records)
    if reason:
        assert re.match(r"Line \d+: ", reason)
        return
    assert sum(record.kind in {"fitment", "product"} for record in records) == book.count
    for record in records:
        assert json.loads(json.dumps(record.values)) == record.values
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202e]", json.dumps(record.values, ensure_ascii=False))
        assert {type(part) for part in record.key} == {str}
