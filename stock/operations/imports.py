"""A file of counted stock becomes levels: what the file says lies there, lies there."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, ClassVar

from catalog.models import Variant
from partners import loading
from partners.actors import Actor
from partners.problems import InvalidInput
from stock.models import Warehouse
from stock.operations import movements, warehouses

QUANTITY_MAX = 10**12


class StockFile(loading.Loader):
    """Each row states a level and does not add to it, so loading a file twice changes nothing.

    On a site without any warehouse the file's warehouses are opened as they come (time zone UTC); later an
    unknown one is refused, since it is more likely a slip of the pen than a building.
    """

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
        self.seen: dict[tuple[str, str, str], int] = {}

    def apply(self, values: dict[str, Any], row_number: int) -> str:
        sku, code = loading.text(values, "productId", 64), loading.text(values, "warehouseLocation", 40)
        batch_number = loading.text(values, "batchNumber", 60, is_required=False)
        on_hand = loading.number(values, "inventoryLevel", QUANTITY_MAX)
        if on_hand is None:
            raise InvalidInput.at("inventoryLevel", "is missing")
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
            expires_on=loading.day(values, "expirationDate"),
            reason=loading.text(values, "reason", 200, is_required=False) or "stock file",
            actor=self.actor,
            at=self.at,
        )
        self.seen[place] = row_number
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
