"""A file of prices becomes the price lists, a chunk of rows in a few statements."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from catalog.models import PriceList, Variant
from catalog.operations import prices
from catalog.operations.prices import PriceOf
from partners import files, loading
from partners.actors import Actor
from partners.problems import InvalidInput, Problem

QUANTITY_MAX = 10**12


@dataclass(frozen=True)
class _Line:
    """A row as it is written, before anybody asked whether its list and product are there."""

    number: int
    list_code: str
    sku: str
    amount: Decimal
    currency: str
    from_quantity: int
    since: datetime
    until: datetime | None


class PriceFile(loading.Loader):
    """Each row says what a product costs on a list that is there; loading a file twice changes nothing.

    Times without a zone are UTC, and a day begins at midnight. A row that names no beginning holds from the moment
    the file is loaded.
    """

    chunk_rows: ClassVar = prices.ROWS_MAX
    columns: ClassVar = {
        "pricelist": "priceList",
        "list": "priceList",
        "productid": "productId",
        "sku": "productId",
        "fromquantity": "fromQuantity",
        "quantity": "fromQuantity",
        "minquantity": "fromQuantity",
        "amount": "amount",
        "price": "amount",
        "unitprice": "amount",
        "currency": "currency",
        "validfrom": "validFrom",
        "validuntil": "validUntil",
        "validto": "validUntil",
    }

    def __init__(self, *, actor: Actor, at: datetime) -> None:
        super().__init__()
        self.actor, self.at = actor, at

    def apply(self, values: dict[str, Any], row_number: int) -> str:
        raise NotImplementedError("rows are taken by the chunk")

    def take(self, rows: Iterable[files.Row], progress: Callable[[], object]) -> None:
        """Apply a chunk together; each row that cannot be is refused by itself."""
        lines = [line for row in rows if (line := self.line(row, progress))]
        lists = PriceList.objects.in_bulk({line.list_code for line in lines}, field_name="code")
        skus = Variant.objects.stocked().filter(sku__in={line.sku for line in lines}).only("pk", "sku", "is_parent")
        variants = {variant.sku: variant for variant in skus}
        meant: list[tuple[_Line, PriceOf]] = []
        for line in lines:
            try:
                meant.append((line, self.meant(line, lists, variants)))
            except Problem as problem:
                self.refuse(line.number, problem)
        outcomes = prices.set_prices(prices=[price for _, price in meant], actor=self.actor)
        for (line, _), outcome in zip(meant, outcomes, strict=True):
            if isinstance(outcome, Problem):
                self.refuse(line.number, outcome)
            else:
                self.report.outcomes[outcome] += 1

    def line(self, row: files.Row, progress: Callable[[], object]) -> _Line | None:
        progress()
        try:
            if row.fault:
                raise InvalidInput.at(self.record, row.fault)
            return self.written(self.named(row.values), row.number)
        except Problem as problem:
            self.refuse(row.number, problem)
            return None

    def written(self, values: dict[str, Any], number: int) -> _Line:
        code, sku = loading.text(values, "priceList", 40), loading.text(values, "productId", 64)
        quantity = loading.number(values, "fromQuantity", QUANTITY_MAX)
        if quantity == 0:
            raise InvalidInput.at("fromQuantity", "a price is from 1 stock unit on")
        since, until = loading.moment(values, "validFrom") or self.at, loading.moment(values, "validUntil")
        if until is not None and until <= since:
            raise InvalidInput.at("validUntil", f"{until:%Y-%m-%d %H:%M} is not after {since:%Y-%m-%d %H:%M}")
        currency = loading.text(values, "currency", 3, is_required=False).upper()
        amount = loading.decimal(values, "amount", digits=14, places=4)
        if amount is None:
            raise InvalidInput.at("amount", "is missing")
        return _Line(number, code, sku, amount, currency, quantity or 1, since, until)

    def meant(self, line: _Line, lists: dict[str, PriceList], variants: dict[str, Variant]) -> PriceOf:
        if line.list_code not in lists:
            raise InvalidInput.at("priceList", f"there is no price list {line.list_code}; staff open one in the admin")
        if line.sku not in variants:
            raise InvalidInput.at("productId", f"there is no product {line.sku}")
        price_list = lists[line.list_code]
        if line.currency and line.currency != price_list.currency:
            raise InvalidInput.at("currency", f"{price_list.code} is in {price_list.currency}, not in {line.currency}")
        return PriceOf(
            price_list=price_list,
            variant=variants[line.sku],
            amount=line.amount,
            since=line.since,
            until=line.until,
            from_quantity=line.from_quantity,
        )
