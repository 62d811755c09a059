"""Goods come in from a supplier, many rows in one go: their batches get known, and they lie where they were put.

Lock order: the document that is received (its owner's), then the batches, then all levels by id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django.db import transaction
from django.db.models import Q

from catalog.models import Variant
from partners.actors import Actor
from partners.models import Partner
from partners.problems import InvalidInput
from stock import ledger
from stock.models import Batch, Level, Location, Movement, Warehouse
from stock.operations import warehouses

SUPPLIER = ledger.virtual(Location.Kind.SUPPLIER)


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """What the label of some goods says: a batch's number ("" = none) and the date it expires."""

    variant: Variant
    batch_number: str = ""
    expires_on: date | None = None


@dataclass(frozen=True, kw_only=True)
class Goods:
    """So many stock units of one variant and batch, and the bin and condition they are put in ("" = default bin).

    `line` is the caller's line they came by, named where they are refused.
    """

    line: int
    variant: Variant
    batch: Batch | None
    quantity: int
    condition: str = Level.Condition.SELLABLE
    location_code: str = ""
    serials: tuple[str, ...] = ()
    reason: str = ""


@transaction.atomic
def know_batches(*, labels: Sequence[Labelled], supplier: Partner | None, actor: Actor) -> list[Batch | None]:
    """The batch of each label, made known on first sight; null for what is not tracked so.

    In one order for everybody, so that two who receive the same batches never wait for one another. Raises
    InvalidInput at `lines[…]` for a label that does not fit the product's tracking, or lacks the date its type
    demands, and BatchDiffers for another date than the one known.
    """
    found: dict[int, Batch | None] = {}
    for place in sorted(range(len(labels)), key=lambda place: (labels[place].variant.pk, labels[place].batch_number)):
        label = labels[place]
        try:
            batch = warehouses.know_batch(
                variant=label.variant,
                number=label.batch_number,
                expires_on=label.expires_on,
                supplier=supplier,
                actor=actor,
            )
        except InvalidInput as wrong:
            raise _at_line(place, wrong) from wrong
        if batch and batch.expires_on is None and label.variant.product_type.requires_expiry:
            raise InvalidInput.at(
                f"lines[{place}].expirationDate",
                f"{label.variant.sku} is received with its expiry date only; say which.",
            )
        found[place] = batch
    return [found[place] for place in range(len(labels))]


@transaction.atomic
def receive(*, warehouse: Warehouse, goods: Sequence[Goods], reference: str, actor: Actor, at: datetime) -> list[int]:
    """Book goods in from outside; answers the ledger's row of each, in their order.

    Locks the levels they are put on, in id order. Twice books twice: the caller's document is received once.
    Raises InvalidInput at `lines[…].location` for a bin that is not there, and what the list of serial numbers
    refuses.
    """
    bins = _bins(warehouse, goods)
    return ledger.post(
        [
            ledger.Posting(
                variant_id=row.variant.pk,
                batch_id=row.batch.pk if row.batch else None,
                quantity=row.quantity,
                source=SUPPLIER,
                target=ledger.Place(location_id=bins[row.location_code], condition=row.condition),
                kind=Movement.Kind.RECEIPT,
                reason=row.reason,
                reference=reference,
                serials=row.serials,
            )
            for row in goods
        ],
        actor=actor,
        at=at,
    )


def _bins(warehouse: Warehouse, goods: Sequence[Goods]) -> dict[str, int]:
    """The bins named, by code; "" is the default one. One query. Raises InvalidInput."""
    bins: dict[str, int] = {}
    for bin_ in warehouse.locations.filter(Q(is_default=True) | Q(code__in={row.location_code for row in goods})):
        bins |= {bin_.code: bin_.pk} | ({"": bin_.pk} if bin_.is_default else {})
    for row in goods:
        if row.location_code not in bins:
            raise InvalidInput.at(f"lines[{row.line}].location", f"{warehouse.code} has no bin {row.location_code}.")
    return bins


def _at_line(place: int, wrong: InvalidInput) -> InvalidInput:
    return InvalidInput.of([(f"lines[{place}].{row['field']}", row["detail"]) for row in wrong.data["errors"]])
