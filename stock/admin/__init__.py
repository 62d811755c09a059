"""Staff pages of the stock book. Quantities cannot be typed over; they are moved."""

from stock.admin import (
    counts,
    finder,
    holds,
    imports,
    inbound,
    leaks,
    ledger,
    owners,
    products,
    reasons,
    reservations,
    rules,
    serials,
    transfers,
    values,
    warehouses,
)

__all__ = [
    "counts",
    "finder",
    "holds",
    "imports",
    "inbound",
    "leaks",
    "ledger",
    "owners",
    "products",
    "reasons",
    "reservations",
    "rules",
    "serials",
    "transfers",
    "values",
    "warehouses",
]
