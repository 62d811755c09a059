"""Rows of a stock import are taken in: read, understood, and given the place they speak of.

A file is taken in by chunks, each in a transaction of its own; whoever was killed goes on behind the last row that is
there.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Max
from django.utils import timezone

from catalog.models import Variant
from partners import files, loading
from partners.problems import InvalidInput, Problem
from stock import queries
from stock.models import StampedDeparture, StockImport, StockImportRange, StockImportRow, Warehouse
from stock.operations.imports import QUANTITY_MAX, StockFile

CHUNK_ROWS = 2_000
ROWS_MAX = 500_000
Outcome, Mode, Basis = StockImportRow.Outcome, StockImport.Mode, StockImport.Basis
COLUMNS = StockFile.columns | {
    "delta": "inventoryLevel",
    "availablequantity": "inventoryLevel",
    "atp": "inventoryLevel",
}


class TooManyRows(files.Unreadable):
    """More than are taken in at once."""


@dataclass(frozen=True, kw_only=True)
class Heard:
    """A row as it was understood, before its place is looked up."""

    number: int
    sku: str
    warehouse_code: str
    batch_number: str
    expires_on: Any
    quantity: int


def take_in_file(*, stock_import: StockImport) -> None:
    """Take in what is not there yet of the file, chunk by chunk. Called twice, once is enough.

    Raises files.Unreadable for a file that cannot be read as a whole or has more than 500,000 rows.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"import{Path(stock_import.file_name).suffix.lower()}"
        with path.open("wb") as handle:
            for piece in queries.stock_import_content(import_id=stock_import.pk):
                handle.write(piece)
        encoding, _ = files.guess_encoding(path)
        last = stock_import.rows.aggregate(last=Max("number"))["last"] or 0
        rows = (row for row in files.rows(path, encoding=encoding) if row.number > last)
        for chunk in batched(rows, CHUNK_ROWS):
            take_in(stock_import=stock_import, rows=chunk)
    taken_in(stock_import=stock_import)


@transaction.atomic
def take_in(*, stock_import: StockImport, rows: Sequence[files.Row]) -> None:
    """Keep a chunk of rows with their places; what cannot be used is refused. Locks the import: five statements.

    A chunk that is there already is left alone, since two workers may come to one file.
    """
    locked = StockImport.objects.lock().defer("file_content").get(pk=stock_import.pk)
    last = locked.rows.order_by("-pk").values_list("number", flat=True).first() or 0
    if last >= rows[0].number or locked.taken_in_at:
        return
    if locked.row_count + len(rows) > ROWS_MAX:
        raise TooManyRows(f"There are more than {ROWS_MAX:,} rows; send them in parts.")
    kept = [_heard(locked, row) for row in rows]
    heard = [row for row in kept if isinstance(row, Heard)]
    variants = _variants(locked, heard)
    halls = _warehouses(locked, heard)
    rows_made = [_placed(locked, row, variants, halls) if isinstance(row, Heard) else row for row in kept]
    _refuse_repeated(locked, rows_made)
    StockImportRow.objects.bulk_create(rows_made)
    refused = sum(row.outcome == Outcome.REFUSED for row in rows_made)
    StockImport.objects.filter(pk=locked.pk).update(
        row_count=F("row_count") + len(rows_made), refused_count=F("refused_count") + refused, version=F("version") + 1
    )


@transaction.atomic
def taken_in(*, stock_import: StockImport) -> None:
    """All rows are there: warehouses without a range get an empty one, and the file is given up.

    Raises InvalidInput (scope `all`) where something that left in a range is of a product no row names.
    """
    locked = StockImport.objects.lock().defer("file_content").get(pk=stock_import.pk)
    if locked.taken_in_at:
        return
    named = locked.rows.exclude(outcome=Outcome.REFUSED).order_by().values_list("warehouse_id", flat=True).distinct()
    known = set(locked.ranges.values_list("warehouse_id", flat=True))
    StockImportRange.objects.bulk_create(
        StockImportRange(stock_import=locked, warehouse_id=pk) for pk in sorted(set(named) - known)
    )
    if locked.scope == StockImport.Scope.ALL:
        _check_all_listed(locked)
    StockImport.objects.filter(pk=locked.pk).update(
        taken_in_at=timezone.now(), file_content=None, version=F("version") + 1
    )


def _heard(stock_import: StockImport, row: files.Row) -> Heard | StockImportRow:
    values: dict[str, Any] = {}
    for column, value in row.values.items():
        if name := files.canonical(column, COLUMNS):
            values[name] = value
    try:
        if row.fault:
            raise InvalidInput.at("row", row.fault)
        return Heard(
            number=row.number,
            sku=loading.text(values, "productId", 64),
            warehouse_code=loading.text(values, "warehouseLocation", 40, is_required=stock_import.warehouse_id is None),
            batch_number=loading.text(values, "batchNumber", 60, is_required=False),
            expires_on=loading.day(values, "expirationDate"),
            quantity=_quantity(values, stock_import.mode),
        )
    except Problem as problem:
        return _refused(stock_import, row.number, str(values.get("productId") or "")[:64], problem)


def _quantity(values: Mapping[str, Any], mode: str) -> int:
    said = loading.text(dict(values), "inventoryLevel", 40, is_required=False)
    if not said:
        raise InvalidInput.at("quantity", "is missing")
    pattern = r"[+-]?[0-9]{1,13}" if mode == Mode.DELTA else "[0-9]{1,13}"
    if not re.fullmatch(pattern, said, re.ASCII) or abs(int(said)) > QUANTITY_MAX:
        kind = "a whole number" if mode == Mode.DELTA else "a whole number from 0"
        raise InvalidInput.at("quantity", f"{said!r} is not {kind} to {QUANTITY_MAX:,}")
    return int(said)


def _refused(stock_import: StockImport, number: int, sku: str, problem: Problem) -> StockImportRow:
    found = problem.data.get("errors") or [{"field": problem.code, "detail": problem.detail}]
    return StockImportRow(
        stock_import=stock_import, number=number, sku=sku.replace("\x00", ""), outcome=Outcome.REFUSED,
        reasons=[[one["field"], one["detail"]] for one in found],
    )  # fmt: skip


def _variants(stock_import: StockImport, heard: Iterable[Heard]) -> dict[str, Variant]:
    found = Variant.objects.stocked().filter(sku__in={row.sku for row in heard}, components=None)
    if stock_import.partner:
        found = found.filter(pk__in=Variant.objects.for_partner(stock_import.partner).values("pk"))
    return {row.sku: row for row in found.only("id", "sku", "tracking")}


def _warehouses(stock_import: StockImport, heard: Iterable[Heard]) -> dict[str, Warehouse]:
    found = Warehouse.objects.filter(code__in={row.warehouse_code for row in heard if row.warehouse_code})
    if stock_import.partner:
        found = found.for_partner(stock_import.partner)
    halls = {row.code: row for row in found}
    return halls | ({"": stock_import.warehouse} if stock_import.warehouse else {})


def _placed(
    stock_import: StockImport, row: Heard, variants: Mapping[str, Variant], halls: Mapping[str, Warehouse]
) -> StockImportRow:
    try:
        variant, hall = variants.get(row.sku), halls.get(row.warehouse_code)
        if variant is None:
            raise InvalidInput.at("productId", f"there is no product {row.sku} for you that can be stocked")
        if hall is None:
            raise InvalidInput.at("warehouseLocation", f"there is no warehouse {row.warehouse_code} for you")
        _check_tracking(stock_import, variant, row)
    except InvalidInput as problem:
        return _refused(stock_import, row.number, row.sku, problem)
    return StockImportRow(
        stock_import=stock_import, number=row.number, sku=row.sku, variant=variant, warehouse=hall,
        batch_number=row.batch_number, expires_on=row.expires_on, quantity=row.quantity,
    )  # fmt: skip


def _check_tracking(stock_import: StockImport, variant: Variant, row: Heard) -> None:
    if variant.tracking == Variant.Tracking.SERIAL:
        raise InvalidInput.at("quantity", f"{variant.sku} is tracked by serial number; book which units came or went")
    if variant.tracking == Variant.Tracking.BATCH and not row.batch_number:
        raise InvalidInput.at("batchNumber", f"{variant.sku} is tracked by batch; name the batch")
    if row.expires_on and not row.batch_number:
        raise InvalidInput.at("expirationDate", "an expiry date belongs to a batch; name the batchNumber")
    if row.batch_number and stock_import.basis == Basis.ATP_WITH_ORDERS:
        raise InvalidInput.at("batchNumber", "what orders took off is known by product only; send onHand for batches")


def _refuse_repeated(stock_import: StockImport, rows: Iterable[StockImportRow]) -> None:
    """Rows of a place another row of the import states already. One query."""
    used = [row for row in rows if row.outcome != Outcome.REFUSED]
    earlier = stock_import.rows.filter(variant__in={row.variant_id for row in used}).exclude(outcome=Outcome.REFUSED)
    seen: dict[tuple[int | None, int | None, str], int] = {
        (variant_id, warehouse_id, batch_number): number
        for variant_id, warehouse_id, batch_number, number in earlier.values_list(
            "variant_id", "warehouse_id", "batch_number", "number"
        )
    }
    for row in used:
        first = seen.setdefault((row.variant_id, row.warehouse_id, row.batch_number), row.number)
        if first != row.number:
            row.outcome, row.variant, row.warehouse = Outcome.REFUSED, None, None
            row.reasons = [["productId", f"row {first} states the same place already"]]


def _check_all_listed(stock_import: StockImport) -> None:
    with connection.cursor() as cursor:
        cursor.execute(NOT_LISTED, [stock_import.pk])
        missing = Variant.objects.filter(pk__in=[variant_id for (variant_id,) in cursor.fetchall()])
    if stock_import.partner:
        missing = missing.filter(pk__in=Variant.objects.for_partner(stock_import.partner).values("pk"))
    skus = list(missing.order_by("sku").values_list("sku", flat=True)[:20])
    if skus:
        raise InvalidInput.at(
            "items", f"Scope all names everything that left in the range; missing: {', '.join(skus)}."
        )


NOT_LISTED = f"""
    SELECT DISTINCT departure.variant_id
      FROM stock_stockimportrange said
      JOIN {StampedDeparture._meta.db_table} departure
        ON departure.warehouse_id = said.warehouse_id AND departure.contained_in_id IS NULL
       AND departure.logical_timestamp BETWEEN coalesce(said.starts, 1) AND said.ends
     WHERE said.stock_import_id = %s AND NOT EXISTS (
        SELECT FROM stock_stockimportrow row
         WHERE row.stock_import_id = said.stock_import_id AND row.outcome = 'waiting'
           AND row.variant_id = departure.variant_id AND row.warehouse_id = departure.warehouse_id)
"""  # noqa: S608  the parts are our own
