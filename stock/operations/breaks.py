"""Whole packs are opened into their units, and units are packed again.

Packs and units are SKUs of their own, joined by `Pack.stocked_as`. The ledger says a break in two rows under
one reference: packs into the conversion place, units out of it; with each pack counted as its units, what goes
in comes out. `reason` keeps what one pack held then.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.db import transaction

from catalog.models import Pack, Variant
from partners import numbers
from partners.actors import Actor
from partners.problems import InvalidInput
from stock import ledger
from stock.models import Batch, Level, Location, Movement, Warehouse
from stock.operations import blocks, warehouses

CONVERSION = ledger.virtual(Location.Kind.CONVERSION)
new_reference = partial(numbers.new_number, "BR")


@dataclass(frozen=True, kw_only=True)
class Broken:
    """What a break did: so many packs of one SKU for so many units of another, or the other way."""

    reference: str
    pack: Pack
    packs: int
    units: int
    batch_number: str
    movement_ids: list[int]


@transaction.atomic
def break_open(
    *,
    variant: Variant,
    quantity: int,
    warehouse: Warehouse,
    actor: Actor,
    at: datetime,
    batch_number: str = "",
    location: Location | None = None,
    reference: str = "",
) -> Broken:
    """Open `quantity` packs of a pack SKU where they lie: that much fewer packs, and their units beside them.

    The units are of the batch with the packs' number and date, made known where it is not. Only packs that are
    free are opened: no promise is broken for it. Locks both levels. Raises InvalidInput where the SKU is no
    pack or the batch is not known, ledger.NotEnoughOnHand, and blocks.BatchBlocked where one of the two
    batches is held back. Twice opens twice.
    """
    pack = pack_of(variant=variant)
    batch = warehouses.known_batch(variant=variant, number=batch_number)
    inner = _same_batch(pack.variant, batch, actor)
    sides = [(variant, batch, quantity), (pack.variant, inner, quantity * pack.quantity)]
    return _convert(pack, sides, warehouse, location, reference, actor=actor, at=at)


@transaction.atomic
def pack_up(
    *,
    variant: Variant,
    quantity: int,
    warehouse: Warehouse,
    actor: Actor,
    at: datetime,
    batch_number: str = "",
    location: Location | None = None,
    reference: str = "",
) -> Broken:
    """Pack `quantity` units into packs of the pack SKU `variant`: the reverse of `break_open`.

    The units must fill whole packs. The same locks and refusals; only free units are packed.
    """
    pack = pack_of(variant=variant)
    if quantity % pack.quantity:
        raise InvalidInput.at("quantity", f"{quantity} units do not fill whole packs of {pack.quantity}.")
    batch = warehouses.known_batch(variant=pack.variant, number=batch_number)
    outer = _same_batch(variant, batch, actor)
    sides = [(pack.variant, batch, quantity), (variant, outer, quantity // pack.quantity)]
    return _convert(pack, sides, warehouse, location, reference, actor=actor, at=at)


def pack_of(*, variant: Variant) -> Pack:
    """The pack that is kept under this SKU. One query. Raises InvalidInput where there is none, or several."""
    packs = list(Pack.objects.filter(stocked_as=variant).select_related("variant", "stocked_as")[:2])
    if len(packs) != 1:
        said = (
            "is kept as several packs; leave it to one" if packs else "is not the SKU packs of another are kept under"
        )
        raise InvalidInput.at("productId", f"{variant.sku} {said}.")
    return packs[0]


def _same_batch(variant: Variant, batch: Batch | None, actor: Actor) -> Batch | None:
    return warehouses.know_batch(
        variant=variant,
        number=batch.number if batch else "",
        expires_on=batch.expires_on if batch else None,
        supplier=batch.supplier if batch else None,
        actor=actor,
    )


def _convert(
    pack: Pack,
    sides: list[tuple[Variant, Batch | None, int]],
    warehouse: Warehouse,
    location: Location | None,
    reference: str,
    *,
    actor: Actor,
    at: datetime,
) -> Broken:
    """Book the first side into the conversion place and the second out of it."""
    if min(quantity for _, _, quantity in sides) < 1:
        raise InvalidInput.at("quantity", "At least one pack is opened or filled.")
    bin_ = location or warehouses.default_location(warehouse)
    shelf = ledger.Place(location_id=bin_.pk, condition=Level.Condition.SELLABLE)
    reference = reference or new_reference()
    movement_ids = ledger.post(
        [
            ledger.Posting(
                variant_id=variant.pk, batch_id=batch.pk if batch else None, quantity=quantity, source=source,
                target=target, kind=Movement.Kind.CONVERSION, reason=str(pack), reference=reference,
            )
            for (variant, batch, quantity), source, target in zip(
                sides, (shelf, CONVERSION), (CONVERSION, shelf), strict=True
            )
        ],
        actor=actor,
        at=at,
    )  # fmt: skip
    # After posting, since posting took the locks: a held batch would go on under the other one's name.
    blocks.check_released(batch_ids=[batch.pk for _, batch, _ in sides if batch])
    quantities = [quantity for _, _, quantity in sides]
    batch = sides[0][1]
    return Broken(
        reference=reference, pack=pack, packs=min(quantities), units=max(quantities),
        batch_number=batch.number if batch else "", movement_ids=movement_ids,
    )  # fmt: skip
