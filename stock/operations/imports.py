"""A file of counted stock becomes levels: what the file says lies there, lies there.

Loading the same file twice changes nothing the second time, since each row states a level and does not
add to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from django.db import transaction

from catalog.models import Variant
from partners import files
from partners.actors import Actor
from partners.problems import InvalidInput, Problem
from stock.models import Warehouse
from stock.operations import movements, warehouses

CHUNK_ROWS = 500
QUANTITY_MAX = 10**12
COLUMNS = {
    "productid": "productId",
    "sku": "productId",
    "warehouselocation": "warehouseLocation",
    "warehouse": "warehouseLocation",
    "quantity": "inventoryLevel",
    "inventorylevel": "inventoryLevel",
    "onhand": "inventoryLevel",
    "batchnumber": "batchNumber",
    "batch": "batchNumber",
    "lot": "batchNumber",
    "expirationdate": "expirationDate",
    "expirydate": "expirationDate",
    "reason": "reason",
}


@dataclass
class Report:
    """What became of a file: counts, and each refused row with its reason."""

    changed: int = 0
    unchanged: int = 0
    opened: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


class _Undo(Exception):
    """Rolls a dry run back."""


def load(
    path: Path,
    *,
    actor: Actor,
    at: datetime,
    is_check: bool = False,
    encoding: str = "utf-8-sig",
    progress: Callable[[], None] = lambda: None,
) -> Report:
    """Set the level of each row's place; good rows are applied, the others reported with their reason.

    Rows are taken CHUNK_ROWS a transaction. On a site without any warehouse the file's warehouses are
    opened as they come (time zone UTC), later an unknown one is refused. With `is_check` nothing changes.
    Raises files.Unreadable for a file that is none.
    """
    loader = _Loader(actor=actor, at=at)
    if not is_check:
        for chunk in _chunks(files.rows(path, encoding=encoding)):
            with transaction.atomic():
                for row in chunk:
                    loader.take(row)
                    progress()
        return loader.report
    try:
        with transaction.atomic():
            for row in files.rows(path, encoding=encoding):
                loader.take(row)
                progress()
            raise _Undo
    except _Undo:
        return loader.report


class _Loader:
    def __init__(self, *, actor: Actor, at: datetime) -> None:
        self.actor, self.at = actor, at
        self.report = Report()
        self.opens_warehouses = not Warehouse.objects.exists()
        self.seen: dict[tuple[str, str, str], int] = {}
        self.columns: dict[str, str | None] = {}

    def take(self, row: files.Row) -> None:
        try:
            if row.fault:
                raise InvalidInput.at("row", row.fault)
            with transaction.atomic():
                changed = self.set_level(row)
        except Problem as problem:
            reasons = problem.data.get("errors") or [{"field": problem.code, "detail": problem.detail}]
            self.report.refused += [f"row {row.number}: {found['field']}: {found['detail']}" for found in reasons]
            return
        self.report.changed += changed
        self.report.unchanged += not changed

    def set_level(self, row: files.Row) -> bool:
        values = self.named(row.values)
        sku, code = _text(values, "productId", 64), _text(values, "warehouseLocation", 40)
        batch_number = _text(values, "batchNumber", 60, is_required=False)
        on_hand = _number(values, "inventoryLevel")
        expires_on = _date(values, "expirationDate")
        place = (sku, code, batch_number)
        if place in self.seen:
            raise InvalidInput.at("productId", f"row {self.seen[place]} states the same place already")
        variant = Variant.objects.stocked().filter(sku=sku).first()
        if variant is None:
            raise InvalidInput.at("productId", f"there is no product {sku} that can be stocked")
        booked = movements.set_level(
            variant=variant,
            warehouse=self.warehouse(code),
            on_hand=on_hand,
            batch_number=batch_number,
            expires_on=expires_on,
            reason=_text(values, "reason", 200, is_required=False) or "stock file",
            actor=self.actor,
            at=self.at,
        )
        self.seen[place] = row.number
        return bool(booked.movement_ids)

    def named(self, values: dict[str, Any]) -> dict[str, Any]:
        result = {}
        for name, value in values.items():
            if name not in self.columns:
                self.columns[name] = files.canonical(name, COLUMNS)
                if self.columns[name] is None:
                    self.report.ignored.append(name)
            if known := self.columns[name]:
                result[known] = value
        return result

    def warehouse(self, code: str) -> Warehouse:
        found = Warehouse.objects.filter(code=code).first()
        if found is None and self.opens_warehouses:
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", code):
                raise InvalidInput.at("warehouseLocation", "takes letters, digits, dots, dashes and underscores")
            self.report.opened.append(code)
            return warehouses.open_warehouse(code=code, name=code, actor=self.actor)
        if found is None:
            raise InvalidInput.at("warehouseLocation", f"there is no warehouse {code}; open it in the admin first")
        return found


def _chunks(rows: Any) -> Any:
    chunk = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == CHUNK_ROWS:
            yield chunk
            chunk = []
    yield chunk


def _text(values: dict[str, Any], name: str, most: int, *, is_required: bool = True) -> str:
    value = str(values.get(name) or "").strip()
    if is_required and not value:
        raise InvalidInput.at(name, "is missing")
    if len(value) > most:
        raise InvalidInput.at(name, f"is longer than {most} characters")
    if not value.isprintable():
        raise InvalidInput.at(name, "holds a control character")
    return value


def _number(values: dict[str, Any], name: str) -> int:
    value = str(values.get(name, "")).strip()
    if not value:
        raise InvalidInput.at(name, "is missing")
    if not value.isascii() or not value.isdigit() or int(value[:20]) > QUANTITY_MAX:
        raise InvalidInput.at(name, f"{value[:40]!r} is not a whole number of stock units from 0 to {QUANTITY_MAX:,}")
    return int(value)


def _date(values: dict[str, Any], name: str) -> date | None:
    value = str(values.get(name) or "").strip()
    if not value:
        return None
    try:
        return date.fromisoformat(value[:10])
    except ValueError as error:
        raise InvalidInput.at(name, f"{value[:40]!r} is not a date; write it 2027-01-31") from error
