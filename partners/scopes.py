"""The scopes: what an application may do. Whose things it may do it to is the partner's grants."""

TEXTS: dict[str, str] = {
    "catalog:read": "Read products, identifiers and fitments",
    "catalog:write": "Create and revise products",
    "inventory:read": "Read stock levels, the ledger and availability",
    "inventory:write": "Book stock movements and set levels",
    "reservations:read": "Read reservations",
    "reservations:write": "Reserve, extend, commit and release stock",
    "orders:read": "Read orders and fulfilment requests",
    "orders:write": "Place, confirm and cancel orders",
    "shipments:read": "Read shipments",
    "shipments:write": "Book shipments and deliveries",
    "returns:read": "Read returns",
    "returns:write": "Announce returns; who keeps the goods also receives and inspects them",
    "sales:read": "Read what shops' devices reported",
    "sales:write": "Report sales of shops, which are booked whatever the book says",
    "purchasing:read": "Read purchase orders and receipts",
    "purchasing:write": "Create purchase orders and book receipts",
    "imports:read": "Read imports and their rejects",
    "imports:write": "Create and start imports",
    "events:read": "Read the event feed",
    "webhooks:read": "Read webhook endpoints and their deliveries",
    "webhooks:write": "Create and change webhook endpoints",
    "partners:read": "Read suppliers and retail partners",
    "partners:write": "Create and revise suppliers and retail partners",
    "audit:read": "Read histories and audit trails",
    "credentials:read": "Read the own application and its API keys",
    "credentials:write": "Change the own secret, make and revoke own API keys",
}

_BUYER = (
    "catalog:read inventory:read reservations:read reservations:write orders:read orders:write shipments:read "
    "returns:read returns:write events:read webhooks:read webhooks:write partners:read credentials:read credentials:write"
).split()

# Every scope a partner of this kind may have when nobody says otherwise.
OF_KIND: dict[str, list[str]] = {
    "supplier": (
        "catalog:read catalog:write inventory:read inventory:write orders:read shipments:read shipments:write "
        "returns:read purchasing:read purchasing:write imports:read imports:write events:read webhooks:read "
        "webhooks:write partners:read credentials:read credentials:write"
    ).split(),
    "retailer": _BUYER,
    "marketplace": _BUYER,
    "logistics": (
        "catalog:read inventory:read inventory:write orders:read shipments:read shipments:write returns:read "
        "returns:write purchasing:read purchasing:write imports:read imports:write events:read webhooks:read "
        "webhooks:write partners:read credentials:read credentials:write"
    ).split(),
    "channel": list(TEXTS),
}
