"""Prices of a planned file: tried out, kept as documents, and made what a row keeps of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.utils import timezone
from simple_history.utils import bulk_create_with_history, bulk_update_with_history

from catalog.models import Price, PriceList, Variant
from catalog.operations import pies_files, prices
from catalog.operations.price_files import PriceFile
from partners import files
from partners.actors import Actor
from partners.problems import Problem

Documents = dict[str, list[dict[str, Any]]]
"""By SKU."""


class _Undo(Exception):
    """Takes what was tried back."""


class Tried(PriceFile):
    """Some rows of prices set in earnest, looked at, and taken back: what becomes of each product's prices on the
    lists the rows name, and which rows are refused. A product that is new, too, is stood in for."""

    place, record = "line", "Pricing"

    def __init__(self, *, actor: Actor, at: datetime) -> None:
        super().__init__(actor=actor, at=at)
        self.refused: list[tuple[int, Problem]] = []
        self.opened: dict[str, str] = {}
        self.before: Documents = {}
        self.after: Documents = {}

    def refuse(self, row_number: int, problem: Problem) -> None:
        self.refused.append((row_number, problem))

    def try_out(self, rows: Sequence[files.Row], *, new: Collection[str]) -> None:
        """Up to `prices.ROWS_MAX` rows. Some fifteen statements."""
        skus = {row.values["productId"] for row in rows if not row.fault}
        codes = {row.values["priceList"] for row in rows if not row.fault}
        try:
            with transaction.atomic():
                Variant.objects.bulk_create(
                    Variant(sku=sku, name=sku, product_type_id="general", updated_at=timezone.now()) for sku in new
                )
                self.opened |= pies_files.open_lists(rows=rows, actor=self.actor)
                before = documents(skus=skus, codes=codes)
                self.take(rows, lambda: None)
                after = documents(skus=skus, codes=codes)
                raise _Undo
        except _Undo:
            changed = [sku for sku in after if after[sku] != before.get(sku, [])]
            self.before |= {sku: before.get(sku, []) for sku in changed}
            self.after |= {sku: after[sku] for sku in changed}


def documents(*, skus: Collection[str], codes: Collection[str]) -> Documents:
    """The prices products have on some lists, as rows keep them. One query."""
    found: Documents = defaultdict(list)
    rows = Price.objects.filter(variant__sku__in=skus, price_list__code__in=codes)
    for row in rows.select_related("variant", "price_list").order_by("price_list__code", "from_quantity", "valid"):
        found[row.variant.sku].append(
            {
                "priceList": row.price_list.code, "currency": row.price_list.currency,
                "fromQuantity": row.from_quantity, "amount": str(row.amount), "validFrom": row.valid.lower.isoformat(),
                "validUntil": row.valid.upper and row.valid.upper.isoformat(),
            }
        )  # fmt: skip
    return found


def lock(*, codes: Collection[str]) -> None:
    """The price lists, as `prices.set_prices` does."""
    rows = PriceList.objects.filter(code__in=codes).order_by("pk").values_list("pk", flat=True)
    list(rows.select_for_update(of=("self",), no_key=True))


def write(*, wanted: Mapping[str, Sequence[Mapping[str, Any]]], codes: Collection[str]) -> None:
    """Make the prices of products on some locked lists these. What stays is not written again.

    By SKU. Raises Price's IntegrityErrors. Five statements, and one for each price that goes.
    """
    lists = {row.code: row for row in PriceList.objects.filter(code__in=codes)}
    variants = Variant.objects.in_bulk(wanted, field_name="sku")
    there = {
        (row.variant.sku, row.price_list.code, row.from_quantity, row.valid.lower): row
        for row in Price.objects.filter(variant__sku__in=wanted, price_list__in=lists.values()).select_related(
            "variant", "price_list"
        )
    }
    new: list[Price] = []
    old: list[Price] = []
    for sku, told in wanted.items():
        for price in told:
            since = datetime.fromisoformat(price["validFrom"])
            until = datetime.fromisoformat(price["validUntil"]) if price["validUntil"] else None
            row = there.pop((sku, price["priceList"], price["fromQuantity"], since), None)
            amount = Decimal(price["amount"])
            if row is None:
                row = Price(variant=variants[sku], price_list=lists[price["priceList"]])
                row.from_quantity = price["fromQuantity"]
                new.append(row)
            elif (row.amount, row.valid.upper) != (amount, until):
                old.append(row)
            row.amount, row.valid = amount, DateTimeTZRange(since, until)
    for row in there.values():
        row.delete()
    # The old ones first: they make room for the new.
    bulk_update_with_history(old, Price, ["amount", "valid"], default_change_reason="price set")
    bulk_create_with_history(new, Price, default_change_reason="price set")


def open_lists(*, currencies: Mapping[str, str], actor: Actor) -> list[str]:
    """Open the lists a plan needs, inactive; the codes of those that were not there."""
    there = set(PriceList.objects.filter(code__in=currencies).values_list("code", flat=True))
    for code in sorted(set(currencies) - there):
        prices.open_list(code=code, currency=currencies[code], actor=actor)
    return sorted(set(currencies) - there)


def close_lists(*, codes: Collection[str]) -> None:
    """Take back the lists an import opened, where nobody has used them since."""
    for row in PriceList.objects.filter(code__in=codes, is_active=False, prices=None):
        row.delete()
