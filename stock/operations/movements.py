"""Goods come in, go out, are damaged, and are set right: the movements people and partners book.

A partner's or clerk's booking is a fact of the shelf. Where it takes units that were promised, the youngest
promises are broken in the same transaction; only what does not lie there at all is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django.db import transaction

from catalog.models import ProductType, Variant
from partners.actors import Actor
from partners.models import Partner
from partners.problems import InvalidInput
from stock import ledger
from stock.models import Batch, Level, Location, Movement, Reason, Transfer, Warehouse
from stock.operations import blocks, shortages, warehouses

SELLABLE, DAMAGED = Level.Condition.SELLABLE, Level.Condition.DAMAGED
Kind = Movement.Kind

# type → (from, to); a Location.Kind is a virtual place, a condition the shelf it names.
ROUTES: dict[str, tuple[str, str]] = {
    Kind.RECEIPT: (Location.Kind.SUPPLIER, SELLABLE),
    Kind.RETURN: (Location.Kind.CUSTOMER, Level.Condition.QUARANTINE),
    Kind.DAMAGE: (SELLABLE, DAMAGED),
    Kind.QUARANTINE: (SELLABLE, Level.Condition.QUARANTINE),
    Kind.LIFT: (Level.Condition.QUARANTINE, SELLABLE),
    Kind.WRITE_OFF: (SELLABLE, Location.Kind.SCRAP),
    Kind.TRANSFER_OUT: (SELLABLE, Location.Kind.IN_TRANSIT),
    Kind.TRANSFER_IN: (Location.Kind.IN_TRANSIT, SELLABLE),
}
IN_TRANSIT_KINDS = (Kind.TRANSFER_OUT, Kind.TRANSFER_IN)


@dataclass(frozen=True, kw_only=True)
class Booked:
    """What a booking did: the ledger's rows (none when nothing changed) and the batch it is of."""

    movement_ids: list[int]
    batch: Batch | None


@transaction.atomic
def book(
    *,
    kind: str,
    variant: Variant,
    warehouse: Warehouse,
    quantity: int,
    actor: Actor,
    at: datetime,
    batch_number: str = "",
    expires_on: date | None = None,
    supplier: Partner | None = None,
    reason: str = "",
    reference: str = "",
    location: Location | None = None,
    owner: Partner | None = None,
    serials: Sequence[str] = (),
    condition: str = SELLABLE,
) -> Booked:
    """Book one movement of `quantity` stock units in a bin of the warehouse (null: its default bin).

    An adjustment may be negative (lost) or positive (found); everything else is positive. A receipt makes
    an unknown batch known. What is lost or written off for a `reason` on the list goes where that says; any
    other words are kept as they are. The units are `owner`'s (null: ours), who else's lies there is left
    alone. A variant tracked by serial number names its `serials`. Adjusted and written off are units of one
    `condition`; every other movement has its own. Locks the levels it touches.

    Raises ledger.NotEnoughOnHand when less lies there, InvalidInput for a batch that does not fit the
    variant's tracking, for a receipt without the expiry date the product's type demands, for a retired reason, and for units in transit booked by hand under the number of a
    transfer (the document would not know of them), blocks.BatchBlocked for a lift of a batch that is held,
    and what the serial numbers' list refuses. Twice books twice: a booking is what happened.
    """
    if kind in IN_TRANSIT_KINDS and Transfer.objects.filter(number=reference).exists():
        raise InvalidInput.at("reference", f"{reference} is a transfer; dispatch it, or say there what arrived.")
    batch = warehouses.know_batch(
        variant=variant,
        number=batch_number,
        expires_on=expires_on,
        actor=actor,
        supplier=supplier,
    )
    if kind == Kind.RECEIPT and batch is not None and batch.expires_on is None:
        _check_expiry_may_be_missing(variant)
    if condition != SELLABLE and kind not in (Kind.ADJUSTMENT, Kind.WRITE_OFF):
        raise InvalidInput.at("condition", "Only an adjustment or a write-off names the condition of its units.")
    bin_ = location or warehouses.default_location(warehouse)
    listed = _listed_reason(kind, reason)
    source: str
    target: str
    if kind == Kind.ADJUSTMENT:
        source, target = (Location.Kind.FOUND, condition) if quantity > 0 else (condition, Location.Kind.LOST)
    elif quantity < 1:
        raise InvalidInput.at("quantity", "Only an adjustment may be negative.")
    else:
        source, target = ROUTES[kind]
    if kind == Kind.WRITE_OFF:
        source = condition
    if listed and source == condition:
        target = listed.place
    posting = ledger.Posting(
        variant_id=variant.pk,
        batch_id=batch.pk if batch else None,
        quantity=abs(quantity),
        source=_place(source, bin_),
        target=_place(target, bin_),
        kind=Kind(kind),
        reason=listed.code if listed else reason,
        reference=reference,
        owner_id=owner.pk if owner else None,
        serials=tuple(serials),
    )
    return Booked(movement_ids=_post_fact(posting, actor=actor, at=at), batch=batch)


@transaction.atomic
def set_level(
    *,
    variant: Variant,
    warehouse: Warehouse,
    on_hand: int,
    actor: Actor,
    at: datetime,
    reason: str,
    batch_number: str = "",
    expires_on: date | None = None,
    supplier: Partner | None = None,
    reference: str = "",
) -> Booked:
    """Say how many sellable units of ours lie in the default bin; the difference is booked as found or lost.

    Nothing is booked when the number is right already. Below what is promised, the youngest promises are
    broken: the shelf is truth. Locks the level. Raises InvalidInput for a variant tracked by serial number,
    since a number of units does not say which ones came or went.
    """
    if variant.tracking == Variant.Tracking.SERIAL:
        raise InvalidInput.at(
            "inventoryLevel", f"{variant.sku} is tracked by serial number; book which units came or went."
        )
    batch = warehouses.know_batch(
        variant=variant,
        number=batch_number,
        expires_on=expires_on,
        actor=actor,
        supplier=supplier,
    )
    bin_ = warehouses.default_location(warehouse)
    [level_id] = ledger.ensure([(variant.pk, bin_.pk, batch.pk if batch else None, SELLABLE, None)])
    difference = on_hand - ledger.lock([level_id])[level_id].on_hand
    if not difference:
        return Booked(movement_ids=[], batch=batch)
    return book(
        kind=Kind.ADJUSTMENT,
        variant=variant,
        warehouse=warehouse,
        quantity=difference,
        batch_number=batch_number,
        reason=reason,
        reference=reference,
        actor=actor,
        at=at,
    )


def _check_expiry_may_be_missing(variant: Variant) -> None:
    if ProductType.objects.filter(pk=variant.product_type_id, requires_expiry=True).exists():
        raise InvalidInput.at("expirationDate", f"{variant.sku} is received with its expiry date only; say which.")


def _listed_reason(kind: str, words: str) -> Reason | None:
    """The reason of this operation the words are the code of. Raises InvalidInput for a retired one."""
    if kind not in Reason.Operation.values or not words:
        return None
    reason = Reason.objects.filter(operation=kind, code__iexact=words.strip()).first()
    if reason is not None and not reason.is_active:
        raise InvalidInput.at("reason", f"{reason.code} is no longer used; choose another reason.")
    return reason


def _place(name: str, bin_: Location) -> ledger.Place:
    if name in Level.Condition.values:
        return ledger.Place(location_id=bin_.pk, condition=name)
    return ledger.virtual(Location.Kind(name))


def _post_fact(posting: ledger.Posting, *, actor: Actor, at: datetime) -> list[int]:
    """Book what happened; where it takes promised units, break the youngest promises first."""
    source = posting.source
    if not source.is_virtual:
        sides = [posting.side(place) for place in (source, posting.target) if not place.is_virtual]
        levels = {level.key: level for level in ledger.lock(ledger.ensure(sides)).values()}
        level = levels[posting.side(source)]
        if level.available < posting.quantity <= level.on_hand:
            shortages.break_promises(level_id=level.id, quantity=posting.quantity - level.available, actor=actor, at=at)
        if posting.kind == Kind.LIFT:
            blocks.check_released(batch_ids=[posting.batch_id])
    return ledger.post([posting], actor=actor, at=at)
