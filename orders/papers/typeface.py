"""The one typeface of all papers; of it, what a paper uses is embedded in it.

WenQuanYi Micro Hei (version 0.2.0-beta, Google and the WenQuanYi Board of Trustees, Apache License 2.0) has Latin,
Greek, Cyrillic, Chinese, Japanese and Korean. Scripts that are shaped or run from right to left it has not.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

FILE = Path(__file__).with_name("wqy-microhei.ttc")
NAME = "Papers"
# A box that says something stood here: better than a letter that silently is not there.
MISSING = "□"
# As wide as a Chinese sign in this typeface, and out of place in a word.
WIDE = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "…": "..."})


@cache
def ready() -> str:
    """The name of the typeface, read on first use: that takes a third of a second."""
    pdfmetrics.registerFont(TTFont(NAME, str(FILE), subfontIndex=0))
    return NAME


def printable(text: str) -> str:
    """The text with a box for each character that the typeface has not."""
    known = pdfmetrics.getFont(ready()).face.charToGlyph
    return "".join(letter if ord(letter) in known else MISSING for letter in " ".join(text.split()).translate(WIDE))


def is_within(shown: str, *, size: float, width: float) -> bool:
    return bool(pdfmetrics.stringWidth(shown, ready(), size) <= width)


def fitted(text: str, *, size: float, width: float) -> str:
    """As much of the text as fits into a line, with three dots where it was cut."""
    shown = printable(text)
    if is_within(shown, size=size, width=width):
        return shown
    while shown and not is_within(f"{shown}...", size=size, width=width):
        shown = shown[:-1]
    return f"{shown}..."


def wrapped(text: str, *, size: float, width: float, most: int) -> list[str]:
    """The text in as few lines as hold it, broken between words; what does not fit into `most` lines is cut."""
    lines: list[str] = []
    words = printable(text).split(" ")
    while words:
        if len(lines) == most - 1:
            return [*lines, fitted(" ".join(words), size=size, width=width)]
        taken = 1
        while taken < len(words) and is_within(" ".join(words[: taken + 1]), size=size, width=width):
            taken += 1
        lines.append(fitted(" ".join(words[:taken]), size=size, width=width))
        words = words[taken:]
    return lines
