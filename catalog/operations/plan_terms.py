"""Prices and links of planned products, which hang on more than the product: held against what is there, and written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from catalog.models import CatalogImport, CatalogImportRow
from catalog.operations import equivalents, plan_links, plan_prices
from catalog.operations.plan_writing import Writer
from partners.actors import Actor

PRICES, LINKS = "prices", "equivalents"
PAGE_ROWS = 500


def lock(*, plan: CatalogImport) -> None:
    """The lock of linking, which comes before the products', and the price lists by id."""
    if _rows(plan, LINKS).exists():
        equivalents.lock()
    plan_prices.lock(codes=plan.ground.get("lists", []))


def moved(*, plan: CatalogImport, doc: str) -> list[tuple[int, str]]:
    """Rows (id, SKU) whose products' prices or links are not what their `doc` says."""
    found = []
    for name in (PRICES, LINKS):
        for page in _pages(plan, name):
            skus = [row.sku for row in page]
            there = (
                plan_prices.documents(skus=skus, codes=plan.ground["lists"])
                if name == PRICES
                else plan_links.documents(skus=skus)
            )
            found += [(row.pk, row.sku) for row in page if there.get(row.sku, _nothing(name)) != _told(row, doc, name)]
    return found


def write(*, plan: CatalogImport, doc: str, writer: Writer, actor: Actor) -> None:
    """Make prices and links what the rows' `doc` says. What was taken back last was linked first.

    Raises what `plan_prices.write` and `plan_links.write` raise.
    """
    for page in _pages(plan, PRICES):
        writer.say(f"writes prices {page[0].sku}")
        plan_prices.write(wanted={row.sku: _told(row, doc, PRICES) for row in page}, codes=plan.ground["lists"])
    for page in _pages(plan, LINKS):
        plan_links.write(wanted={row.sku: _told(row, doc, LINKS) for row in page}, actor=actor, say=writer.say)


def _rows(plan: CatalogImport, name: str) -> Any:
    written = CatalogImportRow.objects.filter(plan=plan, outcome__in=["new", "changed"], undoing="")
    return written.filter(after__has_key=name).order_by("pk").defer("said")


def _pages(plan: CatalogImport, name: str) -> Iterator[list[CatalogImportRow]]:
    last, rows = 0, _rows(plan, name)
    while page := list(rows.filter(pk__gt=last)[:PAGE_ROWS]):
        yield page
        last = page[-1].pk


def _told(row: CatalogImportRow, doc: str, name: str) -> Any:
    told: dict[str, Any] = getattr(row, doc)
    return told.get(name, _nothing(name))


def _nothing(name: str) -> Any:
    return [] if name == PRICES else plan_links.NOTHING
