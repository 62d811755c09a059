"""A file of counted stock becomes levels: what the file says lies there, lies there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, ClassVar

from catalog.models import Variant
from partners import files, loading
from partners.actors import Actor
from partners.problems import InvalidInput, Problem
from stock import ledger
from stock.ledger import Stated
from stock.models import Warehouse
from stock.operations import movements, warehouses

QUANTITY_MAX = 10**12


def place_of(stated: Stated) -> int:
    """A place as one number, since a file of a million rows names a million of them."""
    return hash((stated.sku, stated.warehouse_code, stated.batch_number))


class StockFile(loading.Loader):
    """Each row states a level and does not add to it, so loading a file twice changes nothing.

    On a site without any warehouse the file's warehouses are opened as they come (time zone UTC); later an
    unknown one is refused, since it is more likely a slip of the pen than a building.
    """

    # Levels stay locked for as long as a chunk takes: some tenths of a second.
    chunk_rows: ClassVar = 2_000
    columns: ClassVar = {
        "productid": "productId",
        "sku": "productId",
        "warehouselocation": "warehouseLocation",
        "warehouse": "warehouseLocation",
        "inventorylevel": "inventoryLevel",
        "quantity": "inventoryLevel",
        "onhand": "inventoryLevel",
        "batchnumber": "batchNumber",
        "batch": "batchNumber",
        "lot": "batchNumber",
        "expirationdate": "expirationDate",
        "expirydate": "expirationDate",
        "reason": "reason",
    }

    def __init__(self, *, actor: Actor, at: datetime) -> None:
        super().__init__()
        self.actor, self.at = actor, at
        self.opens_warehouses = not Warehouse.objects.exists()
        self.seen: dict[int, int] = {}

    def take(self, rows: Iterable[files.Row], progress: Callable[[], object]) -> None:
        """Apply a chunk in one statement; rows that are not plain follow one by one, with their reasons."""
        plain: list[tuple[files.Row, Stated]] = []
        others: list[files.Row] = []
        for row in rows:
            try:
                stated = None if row.fault else self.stated(self.named(row.values))
            except Problem:
                stated = None
            if stated is None or place_of(stated) in self.seen:
                others.append(row)
            else:
                self.seen[place_of(stated)] = row.number
                plain.append((row, stated))
        outcomes = ledger.state([stated for _, stated in plain], actor=self.actor, at=self.at) if plain else []
        for (row, stated), outcome in zip(plain, outcomes, strict=True):
            if outcome is None:
                del self.seen[place_of(stated)]
                others.append(row)
            else:
                self.report.outcomes[outcome] += 1
                progress()
        super().take(sorted(others, key=lambda row: row.number), progress)

    def stated(self, values: dict[str, Any]) -> Stated:
        """What a row says. Raises InvalidInput for what can be told wrong without looking."""
        on_hand = loading.number(values, "inventoryLevel", QUANTITY_MAX)
        if on_hand is None:
            raise InvalidInput.at("inventoryLevel", "is missing")
        return Stated(
            sku=loading.text(values, "productId", 64),
            warehouse_code=loading.text(values, "warehouseLocation", 40),
            batch_number=loading.text(values, "batchNumber", 60, is_required=False),
            expires_on=loading.day(values, "expirationDate"),
            on_hand=on_hand,
            reason=loading.text(values, "reason", 200, is_required=False) or "stock file",
        )

    def apply(self, values: dict[str, Any], row_number: int) -> str:
        stated = self.stated(values)
        if earlier := self.seen.get(place_of(stated)):
            raise InvalidInput.at("productId", f"row {earlier} states the same place already")
        variant = Variant.objects.stocked().filter(sku=stated.sku).first()
        if variant is None:
            raise InvalidInput.at("productId", f"there is no product {stated.sku} that can be stocked")
        booked = movements.set_level(
            variant=variant,
            warehouse=self.warehouse(stated.warehouse_code),
            on_hand=stated.on_hand,
            batch_number=stated.batch_number,
            expires_on=stated.expires_on,
            reason=stated.reason,
            actor=self.actor,
            at=self.at,
        )
        self.seen[place_of(stated)] = row_number
        return "changed" if booked.movement_ids else "unchanged"

    def warehouse(self, code: str) -> Warehouse:
        found = Warehouse.objects.filter(code=code).first()
        if found is not None:
            return found
        if not self.opens_warehouses:
            raise InvalidInput.at("warehouseLocation", f"there is no warehouse {code}; open it in the admin first")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", code):
            raise InvalidInput.at("warehouseLocation", "takes letters, digits, dots, dashes and underscores")
        self.report.notes.append(f"opened warehouse {code} (time zone UTC; set it in the admin)")
        return warehouses.open_warehouse(code=code, name=code, actor=self.actor)
