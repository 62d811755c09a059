"""Files people send: CSV, XLSX or JSON lines, read row by row in bounded memory.

Values come out as text (JSON lines: as JSON has them); what they mean is the business of whoever asked.
"""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook

FIELD_CHARACTERS_MAX = 20_000
COLUMNS_MAX = 500
WORKBOOKS = {".xlsx", ".xls", ".ods"}


class Unreadable(Exception):
    """The file as a whole cannot be used; the sentence says why and what to do."""


@dataclass(frozen=True)
class Row:
    """One row of a file: its number as people count (the header is row 1) and its values by column."""

    number: int
    values: dict[str, Any]
    fault: str = ""


def rows(path: Path, *, encoding: str = "utf-8-sig") -> Iterator[Row]:
    """The rows of a file, told by its ending. A row that cannot be read has a `fault` and no values."""
    if not path.is_file():
        raise Unreadable(f"There is no file {path}.")
    match path.suffix.lower():
        case ".csv" | ".txt" | ".tsv":
            yield from _csv(path, encoding)
        case ending if ending in WORKBOOKS:
            yield from _workbook(path)
        case ".jsonl" | ".ndjson" | ".json":
            yield from _json_lines(path, encoding)
        case other:
            raise Unreadable(f"{other or 'A file without an ending'} is not read here; send .csv, .xlsx or .jsonl.")


BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
PROBE_BYTES = 1 << 20


def guess_encoding(path: Path) -> tuple[str, str]:
    """What a text file is written in, and a sentence for people where that is a guess.

    A mark at its beginning tells; else UTF-8 where all of it is, else Windows' Western European (cp1252), and what
    has bytes that one does not know, Latin-1. A workbook has no encoding of its own.
    """
    with path.open("rb") as handle:
        head = handle.read(4)
        for mark, encoding in BOMS:
            if head.startswith(mark):
                return encoding, "" if encoding == "utf-8-sig" else "The file is written in UTF-16; it was read so."
        if path.suffix.lower() in (".xlsx", ".xls", ".ods"):
            return "utf-8-sig", ""
        for encoding, said in (
            ("utf-8", ""),
            ("cp1252", "The file is not UTF-8; it was read as Windows-1252. Look at letters with accents."),
        ):
            handle.seek(0)
            decoder = codecs.getincrementaldecoder(encoding)()
            try:
                while block := handle.read(PROBE_BYTES):
                    decoder.decode(block)
                decoder.decode(b"", True)
            except UnicodeDecodeError:
                continue
            return ("utf-8-sig" if encoding == "utf-8" else encoding), said
    return "latin-1", "The file is neither UTF-8 nor Windows-1252; it was read as Latin-1. Look at its letters."


def _csv(path: Path, encoding: str) -> Iterator[Row]:
    csv.field_size_limit(FIELD_CHARACTERS_MAX)
    with path.open(newline="", encoding=encoding) as handle:
        head = handle.readline()
        delimiter = max(",;\t|", key=head.count)
        handle.seek(0)
        reader = csv.reader(handle, delimiter=delimiter)
        try:
            header = _header(next(reader, []))
            number = 1
            for values in reader:
                number += 1
                if not any(value.strip() for value in values):
                    continue
                if len(values) > len(header):
                    yield Row(number, {}, f"has {len(values)} values for {len(header)} columns")
                else:
                    yield Row(number, {name: value.strip() for name, value in zip(header, values, strict=False)})
        except UnicodeDecodeError as error:
            raise Unreadable(
                f"Row {reader.line_num + 1} is not {encoding.removesuffix('-sig').upper()} ({error.reason}); save the file"
                " as UTF-8 or name its encoding with --encoding."
            ) from error
        except csv.Error as error:
            raise Unreadable(f"Row {reader.line_num}: {error}.") from error


def _workbook(path: Path) -> Iterator[Row]:
    try:
        sheet = CalamineWorkbook.from_path(path).get_sheet_by_index(0)
        found = iter(sheet.iter_rows())
        header = _header([_cell(value) for value in next(found, [])])
        for number, values in enumerate(found, start=2):
            texts = [_cell(value) for value in values]
            if any(texts):
                yield Row(number, dict(zip(header, texts, strict=False)))
    except CalamineError as error:
        raise Unreadable(f"This is no workbook that can be opened: {error}.") from error


def _json_lines(path: Path, encoding: str) -> Iterator[Row]:
    with path.open(encoding=encoding) as handle:
        for number, line in enumerate(handle, start=1):
            if not line.strip():
                continue
            try:
                values = json.loads(line)
            except (ValueError, RecursionError) as error:
                yield Row(number, {}, f"is not JSON ({error})")
                continue
            yield Row(number, values) if isinstance(values, dict) else Row(number, {}, "is not a JSON object")


def _header(names: list[str]) -> list[str]:
    names = [name.strip() for name in names]
    if not any(names):
        raise Unreadable("The file is empty: the first row must name the columns.")
    if len(names) > COLUMNS_MAX:
        raise Unreadable(f"The first row names more than {COLUMNS_MAX} columns.")
    twice = {name for name in names if name and names.count(name) > 1}
    if twice:
        raise Unreadable(f"The column {sorted(twice)[0]!r} is there twice.")
    return names


def _cell(value: Any) -> str:
    """A cell as the text a person sees: 7613036000000.0 is a barcode's digits, not a measurement."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    return str(value).strip()


def canonical(name: str, known: dict[str, str]) -> str | None:
    """The field a column means, forgiving case, spaces and underscores; `known` maps plain names to fields."""
    return known.get(re.sub(r"[\s_-]+", "", name).lower())
