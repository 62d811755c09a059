"""The label of a package: 4 × 6 inches, as PDF for any printer and as ZPL for a label printer. Pure.

A GS1 logistic label (GS1 General Specifications 6.6): address above, then what people read, the SSCC in GS1-128
below. Bars of 0.495 mm at least, 31.75 mm high, ten bars' width free on either side.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

from reportlab.graphics.barcode.code128 import Code128
from reportlab.lib.units import inch, mm
from reportlab.pdfgen.canvas import Canvas

from orders.papers import typeface
from orders.papers.facts import Box, Consignment

WIDTH, HEIGHT, MARGIN = 4 * inch, 6 * inch, 4 * mm
# Between the top and the bars; an address of five lines, each too long, still is within.
FROM_LINES_MAX, TO_LINES_MAX = 4, 7
BAR_WIDTH, BAR_HEIGHT = 0.495 * mm, 32 * mm
FNC1 = "\xf1"
# Start, FNC1, ten pairs of digits, check: eleven modules each; the stop has thirteen.
MODULES = 11 * 13 + 13

# ZPL at 203 dots per inch: a module of 4 dots is half a millimetre.
DOTS_WIDE, DOTS_HIGH, DOTS_MARGIN, DOTS_A_MODULE, DOTS_HIGH_BARS = 812, 1218, 32, 4, 256
ESCAPED = {"^": "_5E", "~": "_7E", "_": "_5F", "\\": "_5C"}


def pdf(consignment: Consignment) -> bytes:
    """One page for each package."""
    paper = BytesIO()
    canvas = Canvas(paper, pagesize=(WIDTH, HEIGHT), invariant=True)
    canvas.setTitle(f"Labels of {consignment.number}")
    for place, box in enumerate(consignment.boxes, start=1):
        _page(canvas, consignment, box, place)
        canvas.showPage()
    canvas.save()
    return paper.getvalue()


def zpl(consignment: Consignment) -> str:
    """One label (^XA … ^XZ) for each package, in UTF-8. Names in other letters than Latin need a printer whose
    typeface has them."""
    return "\n".join(
        "\n".join(_zpl_of(consignment, box, place)) for place, box in enumerate(consignment.boxes, start=1)
    )


def spoken(sscc: str) -> str:
    """As people read it below the bars."""
    return f"(00) {sscc[0]} {sscc[1:8]} {sscc[8:17]} {sscc[17:]}"


def texts(consignment: Consignment, box: Box, place: int) -> Iterator[tuple[str, float]]:
    """The lines of a label, from above, with the size of their letters in points."""
    yield "From", 7
    yield from _broken(", ".join([consignment.ship_from.name, *consignment.ship_from.lines]), 8, FROM_LINES_MAX)
    yield "To", 7
    yield from _broken(consignment.ship_to.name, 15, 2)
    room = TO_LINES_MAX
    for place_of_line, line in enumerate(consignment.ship_to.lines, start=1):
        # Each that follows has at least one.
        shown = list(_broken(line, 13, max(1, room - len(consignment.ship_to.lines) + place_of_line)))
        room -= len(shown)
        yield from shown
    yield " ".join([consignment.carrier, consignment.service]).strip() or " ", 11
    yield f"Tracking {box.tracking_number}" if box.tracking_number else " ", 10
    yield f"Order {consignment.order_number}", 10
    yield f"Reference {consignment.external_reference}", 10
    yield f"Package {place} of {len(consignment.boxes)}: {box.number}", 10
    yield _contents(box), 9


def _broken(text: str, size: float, most: int) -> Iterator[tuple[str, float]]:
    """Nothing of an address is cut while there is room below."""
    for line in typeface.wrapped(text, size=size, width=WIDTH - 2 * MARGIN, most=most):
        yield line, size


def _contents(box: Box) -> str:
    """Of one product what it is, of several how many: the slip has them all."""
    if len(box.rows) != 1:
        return f"{len(box.rows)} lines, see the packing slip"
    [row] = box.rows
    return f"{row.quantity} × {row.sku}" + (f", batch {row.batch_number}" if row.batch_number else "")


def _page(canvas: Canvas, consignment: Consignment, box: Box, place: int) -> None:
    down = HEIGHT - MARGIN
    for text, size in texts(consignment, box, place):
        down -= size * 1.25
        canvas.setFont(typeface.ready(), size)
        canvas.drawString(MARGIN, down, typeface.fitted(text, size=size, width=WIDTH - 2 * MARGIN))
    canvas.line(0, MARGIN + BAR_HEIGHT + 24, WIDTH, MARGIN + BAR_HEIGHT + 24)
    barcode = bars_of(box.sscc)
    barcode.drawOn(canvas, (WIDTH - barcode.width) / 2, MARGIN + 16)
    canvas.setFont(typeface.ready(), 11)
    canvas.drawCentredString(WIDTH / 2, MARGIN, spoken(box.sscc))


def bars_of(sscc: str) -> Code128:
    """GS1-128: FNC1 first says that Application Identifiers follow; (00) is an SSCC."""
    return Code128(f"{FNC1}00{sscc}", barWidth=BAR_WIDTH, barHeight=BAR_HEIGHT, humanReadable=False, quiet=False)


def _zpl_of(consignment: Consignment, box: Box, place: int) -> Iterator[str]:
    yield f"^XA^CI28^PW{DOTS_WIDE}^LL{DOTS_HIGH}^LH0,0"
    down = DOTS_MARGIN
    for text, size in texts(consignment, box, place):
        dots = round(size * 203 / 72)
        wide = DOTS_WIDE - 2 * DOTS_MARGIN
        yield f"^FO{DOTS_MARGIN},{down}^A0N,{dots},{dots}^FB{wide},1,0,L^FH^FD{_escaped(text)}^FS"
        down += round(dots * 1.25)
    left = (DOTS_WIDE - MODULES * DOTS_A_MODULE) // 2
    bars = DOTS_HIGH - DOTS_MARGIN - DOTS_HIGH_BARS - 40
    # >; begins in code set C, >8 is FNC1.
    yield f"^FO{left},{bars}^BY{DOTS_A_MODULE}^BCN,{DOTS_HIGH_BARS},N,N,N^FD>;>800{box.sscc}^FS"
    yield f"^FO0,{bars + DOTS_HIGH_BARS + 8}^A0N,32,32^FB{DOTS_WIDE},1,0,C^FD{spoken(box.sscc)}^FS"
    yield "^XZ"


def _escaped(text: str) -> str:
    """What ZPL would take for a command of its own, by its hexadecimal code."""
    return "".join(ESCAPED.get(letter, letter) for letter in " ".join(text.split()))
