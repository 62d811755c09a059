"""What a paper says, in the words that are printed on it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, kw_only=True)
class Address:
    """A name and the lines below it, as the post wants them."""

    name: str
    lines: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Row:
    """Units of one product and batch in a package."""

    sku: str
    name: str
    quantity: int
    unit: str
    batch_number: str = ""
    expires_on: date | None = None
    serial_numbers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Box:
    """A package: what its label says, and what is in it. Goods that left in none have no SSCC."""

    number: str
    sscc: str
    tracking_number: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True)
class Consignment:
    """Packages from one warehouse for one order, with the carrier they leave with where that is known."""

    number: str
    order_number: str
    external_reference: str
    ship_from: Address
    ship_to: Address
    carrier: str = ""
    service: str = ""
    day: date
    boxes: tuple[Box, ...]


def address_of(said: Mapping[str, str]) -> Address:
    """An order's `shipTo` as it is printed: what is empty takes no line."""
    city = " ".join(part for part in (said.get("postalCode"), said.get("city"), said.get("region")) if part)
    lines = (said.get("street"), said.get("street2"), said.get("address"), city, said.get("country"))
    return Address(name=said.get("name", ""), lines=tuple(line for line in lines if line))
