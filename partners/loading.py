"""Loading a file: row by row, good rows applied, bad ones refused with their reason, or all of it tried only."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import batched
from pathlib import Path
from typing import Any, ClassVar

from django.db import transaction

from partners import files
from partners.problems import InvalidInput, Problem


@dataclass
class Report:
    """What became of a file: how many rows ended how, and each refusal as `row 7: field: reason`."""

    outcomes: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)


class _Undo(Exception):
    """Rolls a dry run back."""


class Loader(ABC):
    """What one kind of file means. `columns` maps plain names (no case, spaces, underscores) to fields."""

    columns: ClassVar[dict[str, str]]
    chunk_rows: ClassVar[int] = 500
    """So many rows are one transaction."""
    place: str = "row"
    """How people count in such a file: refusals begin with `row 7`."""
    record: str = "row"
    """What is refused where no field of it is to blame."""

    def __init__(self) -> None:
        self.report = Report()
        self._names: dict[str, str | None] = {}

    @abstractmethod
    def apply(self, values: dict[str, Any], row_number: int) -> str:
        """Do what a row says and return how it ended, e.g. `created`; raise a Problem to refuse it."""

    def field_of(self, column: str) -> str | None:
        return files.canonical(column, self.columns)

    def rows(self, path: Path, *, encoding: str = "utf-8-sig") -> Iterator[files.Row]:
        """The rows of a file, in bounded memory, with the columns this loader takes. Raises files.Unreadable."""
        return files.rows(path, encoding=encoding)

    def load(
        self,
        path: Path,
        *,
        is_check: bool = False,
        encoding: str = "utf-8-sig",
        progress: Callable[[], object] = lambda: None,
    ) -> Report:
        """Apply a file, `chunk_rows` a transaction, each row whole or not at all; with `is_check` nothing stays.

        Raises files.Unreadable for a file that cannot be read as a whole; chunks before stay applied.
        """
        try:
            with transaction.atomic() if is_check else nullcontext():
                self.take_all(self.rows(path, encoding=encoding), progress)
                if is_check:
                    raise _Undo
        except _Undo:
            pass
        return self.report

    def take_all(self, rows: Iterator[files.Row], progress: Callable[[], object]) -> None:
        """Apply a file's rows; a loader to whom the file means more than its rows says the rest here."""
        for chunk in batched(rows, self.chunk_rows):
            with transaction.atomic():
                self.take(chunk, progress)

    def take(self, rows: Iterable[files.Row], progress: Callable[[], object]) -> None:
        """Apply rows one by one; a loader that can apply many at once does so instead."""
        for row in rows:
            try:
                if row.fault:
                    raise InvalidInput.at(self.record, row.fault)
                with transaction.atomic():
                    self.report.outcomes[self.apply(self.named(row.values), row.number)] += 1
            except Problem as problem:
                self.refuse(row.number, problem)
            progress()

    def refuse(self, row_number: int, problem: Problem) -> None:
        self.report.outcomes["refused"] += 1
        found = problem.data.get("errors") or [{"field": problem.code, "detail": problem.detail}]
        self.report.refusals += [f"{self.place} {row_number}: {one['field']}: {one['detail']}" for one in found]

    def named(self, values: dict[str, Any]) -> dict[str, Any]:
        result = {}
        for column, value in values.items():
            if column not in self._names:
                self._names[column] = self.field_of(column)
                if self._names[column] is None:
                    self.report.ignored.append(column)
            if name := self._names[column]:
                result[name] = value
        return result


def text(values: dict[str, Any], name: str, most: int, *, is_required: bool = True) -> str:
    value = str(values.get(name) if values.get(name) is not None else "").strip()
    if is_required and not value:
        raise InvalidInput.at(name, "is missing")
    if len(value) > most:
        raise InvalidInput.at(name, f"is longer than {most} characters")
    if not value.isprintable():
        raise InvalidInput.at(name, "holds a control character")
    return value


def number(values: dict[str, Any], name: str, most: int) -> int | None:
    value = text(values, name, 40, is_required=False)
    if not value:
        return None
    if not value.isascii() or not value.isdigit() or int(value) > most:
        raise InvalidInput.at(name, f"{value!r} is not a whole number from 0 to {most:,}")
    return int(value)


def decimal(values: dict[str, Any], name: str, *, digits: int, places: int) -> Decimal | None:
    """A number of at most `digits` digits, `places` of them behind the point; nothing is rounded."""
    value = text(values, name, 40, is_required=False)
    if not value:
        return None
    whole, _, fraction = value.partition(".")
    if not (whole + fraction).isascii() or not (whole + (fraction or "0")).isdigit() or value.endswith("."):
        raise InvalidInput.at(name, f"{value!r} is no number; write 12.50")
    if len(whole.lstrip("0")) > digits - places or len(fraction.rstrip("0")) > places:
        raise InvalidInput.at(name, f"{value!r} has more than {digits - places} digits, or more than {places} decimals")
    return Decimal(value)


def day(values: dict[str, Any], name: str) -> date | None:
    value = text(values, name, 40, is_required=False)
    if not value:
        return None
    try:
        return date.fromisoformat(value[:10])
    except ValueError as error:
        raise InvalidInput.at(name, f"{value!r} is not a date; write it 2027-01-31") from error


def moment(values: dict[str, Any], name: str) -> datetime | None:
    """A day (its midnight, UTC) or a time, as ISO 8601 has them."""
    value = text(values, name, 40, is_required=False)
    if not value:
        return None
    try:
        if len(value) == 10:
            return datetime.combine(datetime.fromisoformat(value).date(), time(), UTC)
        found = datetime.fromisoformat(value)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInput.at(name, f"{value!r} is no time; write 2027-01-31 or 2027-01-31T08:00:00Z") from error
