"""Staff pages of the stock book. Quantities cannot be typed over; they are moved."""

from stock.admin import counts, holds, ledger, owners, products, reasons, reservations, transfers, warehouses

__all__ = ["counts", "holds", "ledger", "owners", "products", "reasons", "reservations", "transfers", "warehouses"]
