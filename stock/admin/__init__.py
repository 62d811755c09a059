"""Staff pages of the stock book. Quantities cannot be typed over; they are moved."""

from stock.admin import counts, ledger, products, reservations, transfers, warehouses

__all__ = ["counts", "ledger", "products", "reservations", "transfers", "warehouses"]
