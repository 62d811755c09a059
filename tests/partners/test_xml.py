"""XML as a stream: what one file can make us hold is bounded, whatever it says."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator

import pytest

from partners import files, xml

SHAPE = xml.Shape(root="a", namespaces=("",), containers={"box"}, skipped={"film"})


def read(content: bytes, **options) -> list[xml.Element]:
    return list(xml.elements(io.BytesIO(content), shape=SHAPE, **options))


class Endless:
    """A sender that does not stop: what comes after the beginning comes for ever."""

    def __init__(self, beginning: bytes, forever: Iterator[bytes]) -> None:
        self.pieces = iter([beginning])
        self.forever = forever
        self.sent = 0

    def read(self, size: int, /) -> bytes:
        piece = next(self.pieces, b"") or next(self.forever)
        self.sent += len(piece)
        return piece


def numbered(pattern: str) -> Iterator[bytes]:
    number = 0
    while True:
        yield "".join(pattern.format(n) for n in range(number, number + 1_000)).encode()
        number += 1_000


@pytest.mark.parametrize(
    ("beginning", "pattern", "said"),
    [
        ("<a><b>", "<c{0}/>", "different names"),
        ("<a><b>", '<c x{0}=""/>', "different names"),
        ("<a><b>", '<c xmlns:x{0}="urn:x"/>', "different names"),
        ("<a><b>", "<c>", "nested deeper"),
        ("<a><b>", "<c/>", "20,000 elements"),
        ("<a><film>", "<c/>", "20,000 elements"),
        ("<a><b>", "x", "20,000 characters"),
        ("<a><film>", "x", "20,000 characters"),
        ("<a><b>", "<c>" + "x" * 1_000 + "</c>", "2,000,000 characters"),
        ("<a><b>", '<c x="' + "x" * 1_000 + '"/>', "2,000,000 characters"),
        ("<a><b ", 'x{0}="" ', "one tag or comment"),
        ("<a><b x='", "x", "one tag or comment"),
        ("<a><!-- ", "x", "one tag or comment"),
        ("<a><?x ", "x", "one tag or comment"),
        ("<a><b><![CDATA[", "x", "20,000 characters"),
        ("<!-- ", "x", "one tag or comment"),
        ("<", "x", "one tag or comment"),
    ],
)
def test_a_sender_that_does_not_stop_is_stopped(beginning, pattern, said):
    stream = Endless(beginning.encode(), numbered(pattern))
    with pytest.raises(files.Unreadable, match=said):
        list(xml.elements(stream, shape=SHAPE))
    assert stream.sent < 5_000_000


def test_records_without_end_are_given_one_by_one_and_let_go():
    walk = xml.elements(Endless(b"<a>", numbered("<b><c>{0}</c></b>")), shape=SHAPE)
    next(walk)
    assert [next(walk).said("c") for _ in range(30_000)][-1] == "29999"


def test_elements_know_their_line_also_beyond_the_65_535_where_other_readers_stop_counting():
    root, *records = read(b"<a>" + b"<b/>\n" * 70_000 + b"</a>")
    assert (root.line, records[0].line, records[-1].line) == (1, 1, 70_000)


def test_records_stand_under_the_root_or_in_a_container():
    root, *records = read(b'<a v="1"><b><c>x</c></b><box><b>1</b><d/></box><box/><b>2</b></a>')
    assert (root.name, root.attributes, root.children) == ("a", {"v": "1"}, [])
    assert [(record.name, record.text) for record in records] == [("b", ""), ("b", "1"), ("d", ""), ("b", "2")]
    assert records[0].said("c") == "x"


def test_only_the_children_wanted_are_kept_and_what_is_skipped_is_counted_wherever_it_is():
    counts = Counter()
    content = b"<a><b><c>1</c><d><film>x</film></d><film/></b><film/><e><d/></e></a>"
    _, first, second = read(content, kept={"b": {"c"}}, counts=counts)
    assert [child.name for child in first.children] == ["c"]
    assert [child.name for child in second.children] == ["d"]
    assert counts == {"film": 3}


def test_a_walk_that_keeps_less_refuses_no_less():
    for content in (b"<a><b><d>" + b"x" * 20_001 + b"</d></b></a>", b"<a><b>" + b"<d/>" * 20_000 + b"</b></a>"):
        for kept in ({}, {"b": {"c"}}):
            with pytest.raises(files.Unreadable, match="20,000"):
                read(content, kept=kept)


def test_text_is_what_is_meant_whichever_way_it_is_written():
    _, record = read(b"<a><b> A &amp; <![CDATA[<B>]]>&#33;<c/> tail </b></a>")
    assert record.text == " A & <B>! tail "
