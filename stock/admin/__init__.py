"""Staff pages of the stock book. Quantities cannot be typed over; they are moved."""

from stock.admin import holds, ledger, owners, products, reasons, reservations, warehouses

__all__ = ["holds", "ledger", "owners", "products", "reasons", "reservations", "warehouses"]
