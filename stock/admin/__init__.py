"""Staff pages of the stock book. Quantities cannot be typed over; they are moved."""

from stock.admin import ledger, products, reservations, transfers, warehouses

__all__ = ["ledger", "products", "reservations", "transfers", "warehouses"]
