"""Goods that lie with us change hands: a supplier's consigned units become ours, or ours become another's.

They stay where they lie. The ledger says it in two rows under one reference, out of the one owner's level
into the conversion place and from there into the other's, so that every owner's account adds up.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from django.db import transaction

from catalog.models import Variant
from partners import numbers
from partners.actors import Actor
from partners.models import Partner
from partners.problems import InvalidInput
from stock import ledger
from stock.models import Level, Location, Movement, Warehouse
from stock.operations import warehouses

CONVERSION = ledger.virtual(Location.Kind.CONVERSION)
new_reference = partial(numbers.new_number, "OW")


@transaction.atomic
def take_over(
    *,
    variant: Variant,
    warehouse: Warehouse,
    owner: Partner,
    quantity: int,
    actor: Actor,
    at: datetime,
    reference: str = "",
    batch_number: str = "",
    location: Location | None = None,
    serials: Sequence[str] = (),
) -> list[int]:
    """Units an owner has consigned to us become ours, as when we buy what we are about to sell.

    Takes only units that are not promised: who was promised the owner's gets the owner's. Locks both levels.
    Raises ledger.NotEnoughOnHand, what the list of serial numbers refuses, and InvalidInput for a batch that is
    not known. Twice takes over twice; the movements' ids are the answer, both under one reference.
    """
    return _change_hands(
        variant, warehouse, quantity, giver=owner, taker=None, batch_number=batch_number, location=location,
        serials=serials, reference=reference, actor=actor, at=at,
    )  # fmt: skip


@transaction.atomic
def consign(
    *,
    variant: Variant,
    warehouse: Warehouse,
    owner: Partner,
    quantity: int,
    actor: Actor,
    at: datetime,
    reference: str = "",
    batch_number: str = "",
    location: Location | None = None,
    serials: Sequence[str] = (),
) -> list[int]:
    """Units of ours become an owner's and stay with us, as when sold goods wait to be fetched.

    The reverse of `take_over`, with the same locks and refusals. From then on they are promised to the owner
    and whom it grants them, and to nobody else.
    """
    return _change_hands(
        variant, warehouse, quantity, giver=None, taker=owner, batch_number=batch_number, location=location,
        serials=serials, reference=reference, actor=actor, at=at,
    )  # fmt: skip


def _change_hands(
    variant: Variant,
    warehouse: Warehouse,
    quantity: int,
    *,
    giver: Partner | None,
    taker: Partner | None,
    batch_number: str,
    location: Location | None,
    serials: Sequence[str],
    reference: str,
    actor: Actor,
    at: datetime,
) -> list[int]:
    if quantity < 1:
        raise InvalidInput.at("quantity", "At least one unit changes hands.")
    batch = warehouses.known_batch(variant=variant, number=batch_number)
    reference = reference or new_reference()
    bin_ = location or warehouses.default_location(warehouse)
    shelf = ledger.Place(location_id=bin_.pk, condition=Level.Condition.SELLABLE)
    sides = ((giver, shelf, CONVERSION), (taker, CONVERSION, shelf))
    postings = [
        ledger.Posting(
            variant_id=variant.pk, batch_id=batch.pk if batch else None, quantity=quantity, source=source,
            target=target, kind=Movement.Kind.OWNERSHIP, reference=reference, owner_id=owner.pk if owner else None,
            serials=tuple(serials),
        )
        for owner, source, target in sides
    ]  # fmt: skip
    return ledger.post(postings, actor=actor, at=at)
