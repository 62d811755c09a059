"""What it cost to get goods here is spread over what came, to the cent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation

from django.db import IntegrityError, transaction
from iso4217 import Currency

from catalog.operations import offers
from orders import deliveries
from orders.models import LandedCharge, LandedShare, Receipt, ReceiptLine
from partners.actors import Actor
from partners.problems import Conflict, InvalidInput, Problem
from stock.models import CostNote
from stock.operations import valuing
from stock.operations.valuing import Cost

Spread = LandedCharge.Spread


class ChargeReused(Conflict):
    """The invoice's number is booked on this receipt with another content. Data: reference."""

    code = "charge_reused"
    title = "This charge stands for something else"
    remedy = "Use the number of this invoice, or send the charge as it was sent first."


class NothingToSpreadBy(Problem):
    """Value or weight of some of what came is not known. Data: productIds."""

    code = "nothing_to_spread_by"
    title = "Value or weight is not known"
    remedy = "Spread it by quantity, or add values or weights of the products named."


@transaction.atomic
def charge(
    *,
    receipt: Receipt,
    kind: str,
    reference: str,
    amount: Decimal,
    currency: str,
    spread: str,
    actor: Actor,
    at: datetime,
    weights_g: Mapping[str, int] | None = None,
) -> LandedCharge:
    """Add a charge to a receipt and cut it into a share for each line; the rest of a cent is the largest line's.

    By value it goes by the costs the order says, by weight by `weights_g` (grams of one stock unit, by SKU) or
    the product's attribute weightKg. Charged again with the same kind, reference and content it answers the
    charge already there. Raises ChargeReused, NothingToSpreadBy, and InvalidInput for an amount below zero or
    with more places than its currency has.
    """
    offers.check_currency(currency, field="currency")
    places = Currency(currency).exponent or 0
    if amount <= 0 or amount != round(amount, places):
        raise InvalidInput.at("amount", f"More than nothing, with at most {places} places in {currency}.")
    lines = list(receipt.lines.select_related("variant", "order_line").order_by("id"))
    shares = deliveries.spread(amount, _weights(lines, spread, weights_g or {}), places=places)
    made = LandedCharge(
        receipt=receipt, kind=kind, reference=reference, amount=amount, currency=currency, spread=spread,
        actor=actor.label, charged_at=at,
    )  # fmt: skip
    if earlier := _claim(made):
        return earlier
    LandedShare.objects.bulk_create(
        LandedShare(charge=made, line=line, amount=share) for line, share in zip(lines, shares, strict=True)
    )
    valuing.tell(
        costs=[
            Cost(movement_id=line.movement_id, amount=share, currency=currency)
            for line, share in zip(lines, shares, strict=True)
            if share
        ],
        kind=CostNote.Kind.LANDED,
        reference=f"{receipt.number} {reference}",
        at=at,
    )
    return made


def _weights(lines: Sequence[ReceiptLine], spread: str, weights_g: Mapping[str, int]) -> list[Decimal]:
    """What each line weighs in the spreading. Raises NothingToSpreadBy."""
    if spread == Spread.QUANTITY:
        return [Decimal(line.quantity) for line in lines]
    each = [_cost(line) if spread == Spread.VALUE else _grams(line, weights_g) for line in lines]
    unknown = sorted({line.variant.sku for line, one in zip(lines, each, strict=True) if not one})
    if unknown:
        word = "cost" if spread == Spread.VALUE else "weight"
        raise NothingToSpreadBy(f"The {word} of {', '.join(unknown[:5])} is not known.", productIds=unknown[:20])
    return [one * line.quantity for line, one in zip(lines, each, strict=True) if one]


def _cost(line: ReceiptLine) -> Decimal | None:
    return line.order_line.unit_cost if line.order_line else None


def _grams(line: ReceiptLine, weights_g: Mapping[str, int]) -> Decimal | None:
    """Of one stock unit, as named or as its attributes say."""
    if line.variant.sku in weights_g:
        return Decimal(weights_g[line.variant.sku])
    try:
        return Decimal(str(line.variant.attributes.get("weightKg", ""))) * 1000
    except InvalidOperation:
        return None


def _claim(made: LandedCharge) -> LandedCharge | None:
    """Save it; where its invoice is booked already, answer that one."""
    try:
        with transaction.atomic():
            made.save()
    except IntegrityError as error:
        if "landed_charge_once" not in str(error):
            raise
    else:
        return None
    earlier = LandedCharge.objects.get(receipt=made.receipt, kind=made.kind, reference=made.reference)
    if (earlier.amount, earlier.currency, earlier.spread) != (made.amount, made.currency, made.spread):
        raise ChargeReused(f"{made.reference} is booked on it with another content.", reference=made.reference)
    return earlier
