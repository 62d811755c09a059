"""Prices are set: what a product costs on a list from a moment on. At any moment there is one."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from django.db import transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from simple_history.utils import bulk_create_with_history, bulk_update_with_history

from catalog.models import Price, PriceList, Variant
from catalog.operations import offers
from partners.actors import Actor
from partners.problems import Conflict, InvalidInput, Problem

ROWS_MAX = 2_000
LIST_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")

Outcome = Literal["created", "revised", "unchanged"]
Key = tuple[int, int, int]


class PriceOverlaps(Conflict):
    """Another price is valid within that time, and which one was meant is not ours to guess. Data: validFrom,
    validUntil of the one that is there.
    """

    code = "price_overlaps"
    title = "Another price is valid within that time"
    remedy = "Choose days that do not overlap, or change the price that is there."


@dataclass(frozen=True, kw_only=True)
class PriceOf:
    """What one stock unit costs on a list, from a quantity on, from a moment until another or without end."""

    price_list: PriceList
    variant: Variant
    amount: Decimal
    since: datetime
    until: datetime | None = None
    from_quantity: int = 1

    @property
    def key(self) -> Key:
        return self.price_list.pk, self.variant.pk, self.from_quantity


@dataclass(eq=False)
class Span:
    """A price as it will be, while rows are decided on; `price` is None until it is written."""

    since: datetime
    until: datetime | None
    amount: Decimal
    price: Price | None = None
    is_changed: bool = False


def open_list(*, code: str, currency: str, actor: Actor) -> PriceList:
    """Open a price list that a file of prices names, hidden from everybody until staff say whom it is for.

    Called twice it is the one that is there, whatever its currency. Raises InvalidInput at priceList and currency.
    """
    if not LIST_CODE.fullmatch(code):
        raise InvalidInput.at("priceList", f"{code!r}: up to 40 letters, digits and . _ - only")
    offers.check_currency(currency, field="currency")
    price_list, _ = PriceList.objects.get_or_create(code=code, defaults={"currency": currency, "is_active": False})
    return price_list


@transaction.atomic
def set_prices(*, prices: Sequence[PriceOf], actor: Actor) -> list[Outcome | Problem]:
    """Set many prices at once; for each how it ended, `created`, `revised`, `unchanged`, or why it was refused.

    A price that begins later ends the one before it; one without an end lasts until the next begins; one that
    begins with another takes its place. Whatever else overlaps is refused with PriceOverlaps (data: validFrom,
    validUntil) and leaves the others as they are. Set again, the same prices change nothing.
    Locks the price lists by id. Costs the same few statements for a row and for ROWS_MAX of them.
    """
    if len(prices) > ROWS_MAX:
        raise ValueError(f"At most {ROWS_MAX} at once.")
    lists = sorted({price.price_list.pk for price in prices})
    list(PriceList.objects.filter(pk__in=lists).order_by("pk").select_for_update(of=("self",), no_key=True))
    timelines = _there(prices)
    outcomes = [_set(timelines[price.key], price) for price in prices]
    _write(timelines)
    return outcomes


def decide(
    timeline: list[Span], *, amount: Decimal, since: datetime, until: datetime | None
) -> Outcome | PriceOverlaps:
    """Fit a price into those there are, ordered by time, and say how it ended. Pure; a refusal changes nothing."""
    later = [span for span in timeline if span.since > since]
    if until is None and later:
        until = later[0].since
    clash = next((span for span in later if until is None or span.since < until), None)
    before = next(
        (span for span in timeline if span.since <= since and (span.until is None or span.until > since)), None
    )
    if clash is not None:
        return _overlaps(clash)
    if before is None:
        timeline.append(Span(since, until, amount, is_changed=True))
    elif before.since == since:
        if (before.amount, before.until) == (amount, until):
            return "unchanged"
        before.amount, before.until, before.is_changed = amount, until, True
        return "revised"
    elif before.amount == amount and before.until == until:
        return "unchanged"
    elif until is not None and (before.until is None or before.until > until):
        return _overlaps(before)
    else:
        before.until, before.is_changed = since, True
        timeline.append(Span(since, until, amount, is_changed=True))
    timeline.sort(key=lambda span: span.since)
    return "created"


def _set(timeline: list[Span], price: PriceOf) -> Outcome | Problem:
    return decide(timeline, amount=price.amount, since=price.since, until=price.until)


def _overlaps(span: Span) -> PriceOverlaps:
    said = f"from {span.since:%Y-%m-%d %H:%M}" + (f" until {span.until:%Y-%m-%d %H:%M}" if span.until else " on")
    return PriceOverlaps(
        f"{span.amount} is valid {said}; end that price first, or put this one on a list of higher priority.",
        validFrom=span.since.isoformat(),
        validUntil=span.until.isoformat() if span.until else None,
    )


def _there(prices: Sequence[PriceOf]) -> dict[Key, list[Span]]:
    timelines: dict[Key, list[Span]] = defaultdict(list)
    for price in prices:
        timelines[price.key] = []
    rows = Price.objects.filter(
        price_list__in={price.price_list.pk for price in prices}, variant__in={price.variant.pk for price in prices}
    )
    for row in rows.order_by("valid"):
        key = (row.price_list_id, row.variant_id, row.from_quantity)
        if key in timelines:
            timelines[key].append(Span(row.valid.lower, row.valid.upper, row.amount, price=row))
    return timelines


def _write(timelines: dict[Key, list[Span]]) -> None:
    old: list[Price] = []
    new: list[Price] = []
    for (price_list_id, variant_id, from_quantity), timeline in timelines.items():
        for span in timeline:
            if span.is_changed:
                price = span.price or Price(
                    price_list_id=price_list_id, variant_id=variant_id, from_quantity=from_quantity
                )
                price.amount, price.valid = span.amount, DateTimeTZRange(span.since, span.until)
                (old if span.price else new).append(price)
    # The old ones first: they make room for the new.
    if old:
        bulk_update_with_history(old, Price, ["amount", "valid"], default_change_reason="price set")
    if new:
        bulk_create_with_history(new, Price, default_change_reason="price set")
