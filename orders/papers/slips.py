"""The packing slip: what is in which package, for who opens it. A4, as PDF. Pure."""

from __future__ import annotations

from io import BytesIO
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from orders.papers import labels, typeface
from orders.papers.facts import Address, Box, Consignment, Row

MARGIN = 18 * mm
# The page less its margins and what a frame keeps free.
COLUMNS = (36 * mm, 80 * mm, 34 * mm, 19 * mm)
# A unit's number is short; a thousand of them would be pages that nobody reads.
SERIALS_MAX = 200


def pdf(consignment: Consignment) -> bytes:
    """All packages one below the other; a table goes on over pages, with its head on each."""
    paper = BytesIO()
    document = SimpleDocTemplate(
        paper, pagesize=A4, leftMargin=MARGIN, rightMargin=MARGIN, topMargin=MARGIN, bottomMargin=MARGIN,
        title=f"Packing slip {consignment.number}", invariant=True,
    )  # fmt: skip
    story = _head(consignment)
    for place, box in enumerate(consignment.boxes, start=1):
        story += _box(box, place, len(consignment.boxes))

    def number(canvas: Canvas, document: SimpleDocTemplate) -> None:
        canvas.setFont(typeface.ready(), 8)
        canvas.drawRightString(A4[0] - MARGIN, 10 * mm, f"{consignment.number} · page {document.page}")

    document.build(story, onFirstPage=number, onLaterPages=number)
    return paper.getvalue()


def _text(text: str, *, size: float = 9) -> Paragraph:
    """A paragraph that breaks its lines between any two signs of a script without spaces."""
    style = ParagraphStyle("text", fontName=typeface.ready(), fontSize=size, leading=size * 1.35, wordWrap="CJK")
    return Paragraph(escape(typeface.printable(text)) or " ", style)


def _head(consignment: Consignment) -> list[Flowable]:
    carrier = " ".join([consignment.carrier, consignment.service]).strip()
    said = [
        f"Order {consignment.order_number}",
        f"Your reference {consignment.external_reference}",
        f"{consignment.day:%Y-%m-%d}" + (f", by {carrier}" if carrier else ""),
    ]
    addresses = Table(
        [[_address("From", consignment.ship_from), _address("To", consignment.ship_to)]],
        colWidths=[sum(COLUMNS) / 2] * 2,
        style=TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP")]),
    )
    title = _text(f"Packing slip {consignment.number}", size=16)
    return [title, Spacer(0, 4 * mm), addresses, Spacer(0, 4 * mm), *(_text(line, size=10) for line in said)]


def _address(title: str, address: Address) -> list[Flowable]:
    return [_text(title, size=7), _text(address.name, size=11), *(_text(line) for line in address.lines)]


def _box(box: Box, place: int, total: int) -> list[Flowable]:
    named = [f"Package {place} of {total}: {box.number}"] if box.sscc else ["Contents"]
    if box.sscc:
        named.append(f"SSCC {labels.spoken(box.sscc)}")
    if box.tracking_number:
        named.append(f"tracking {box.tracking_number}")
    table = Table(
        [[_text(word, size=8) for word in ("Product", "Name", "Batch", "Quantity")], *(_row(row) for row in box.rows)],
        colWidths=COLUMNS,
        repeatRows=1,
        style=TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("LINEBELOW", (0, 0), (-1, -1), 0.4, colors.grey)]),
    )
    return [Spacer(0, 6 * mm), _text(" · ".join(named), size=10), Spacer(0, 2 * mm), table]


def _row(row: Row) -> list[object]:
    name: list[Flowable] = [_text(row.name)]
    if row.serial_numbers:
        shown = ", ".join(row.serial_numbers[:SERIALS_MAX])
        more = len(row.serial_numbers) - SERIALS_MAX
        name.append(_text(f"Serial numbers {shown}" + (f" and {more:,} more" if more > 0 else ""), size=7))
    batch = row.batch_number + (f", expires {row.expires_on}" if row.expires_on else "")
    return [_text(row.sku), name, _text(batch), _text(f"{row.quantity:,} {row.unit}".strip())]
