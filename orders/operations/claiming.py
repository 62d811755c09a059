"""Goods are claimed under warranty: checked against their clock, replaced, and kept in the pool until settled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Sum

from catalog import queries as catalog
from catalog.queries import Warranty
from orders import warranty
from orders.models import ReturnLine, ShipmentLine, WarrantyClaim
from orders.operations import ordering
from orders.warranty import Sent
from partners.actors import Actor
from partners.problems import IllegalStep, Problem
from stock import ledger
from stock.models import Level, Location, Movement, SerialMovement

Outcome = WarrantyClaim.Outcome
POOL = Level.Condition.WARRANTY
PLACES = {Outcome.SCRAP: Location.Kind.SCRAP, Outcome.RETURN_TO_VENDOR: Location.Kind.SUPPLIER}


class NoWarranty(Problem):
    """The product is sold without one. Data: productId."""

    code = "no_warranty"
    title = "This product has no warranty"
    remedy = "Decide otherwise for it: restock, quarantine, damaged, scrap or returnToVendor."


class WarrantyOver(Problem):
    """The warranty had ended, or covers fewer units. Data: productId, requested, covered, startsOn, endsOn,
    claimedOn, months, per, terms."""

    code = "warranty_over"
    title = "Not within the warranty"
    remedy = "Decide otherwise for the units that are not covered."


def check(*, line: ReturnLine, quantity: int, used: int = 0) -> WarrantyClaim:
    """The claim for so many units of a return's line, by the terms of today, not yet kept; `used` are claimed with it.

    What counts is the day the return was announced. A replacement goes on with the clock of what it replaced under
    warranty. The caller holds the order. Raises NoWarranty, WarrantyOver.
    """
    variant = line.order_line.variant
    terms = catalog.warranty_of(variant, variant.product_type)
    if terms is None or not terms.months:
        raise NoWarranty(f"{variant.sku} is sold without a warranty.", productId=variant.sku)
    sent, claimed_on = _sent(line)
    if earlier := WarrantyClaim.objects.filter(line__replacement=line.order_line).order_by("ends_on").first():
        sent = [Sent(on=earlier.starts_on, quantity=line.order_line.shipped)]
    clock = warranty.clock(
        sent=sent, months=terms.months, per=terms.per, claimed_on=claimed_on, serial=line.serial_number,
        used=used + _claimed_before(line, claimed_on),
    )  # fmt: skip
    if quantity > clock.covered:
        raise _over(line, quantity, clock, claimed_on, terms)
    return WarrantyClaim(
        line=line,
        starts_on=clock.starts_on,
        ends_on=clock.ends_on,
        claimed_on=claimed_on,
        months=terms.months,
        per=terms.per,
        terms=terms.terms,
    )


def _over(line: ReturnLine, quantity: int, clock: warranty.Clock, claimed_on: date, terms: Warranty) -> WarrantyOver:
    sku = line.order_line.variant.sku
    why = (
        f"it covers {clock.covered} of the {quantity}"
        if clock.covered
        else f"it ran from {clock.starts_on} through {clock.ends_on}"
    )
    return WarrantyOver(
        f"{sku} was claimed on {claimed_on}: {why}.",
        productId=sku,
        requested=quantity,
        covered=clock.covered,
        startsOn=clock.starts_on.isoformat(),
        endsOn=clock.ends_on.isoformat(),
        claimedOn=claimed_on.isoformat(),
        months=terms.months,
        per=terms.per,
        terms=terms.terms,
    )


def _sent(line: ReturnLine) -> tuple[list[Sent], date]:
    """When the line's units left, and the day the return was announced, by the clocks of the warehouses they left."""
    rows = ShipmentLine.objects.filter(order_line=line.order_line).select_related("shipment__warehouse")
    if line.batch_id:
        rows = rows.filter(batch=line.batch_id)
    found = []
    days = []
    for row in rows:
        zone = ZoneInfo(row.shipment.warehouse.time_zone)
        days.append(line.return_of.announced_at.astimezone(zone).date())
        found.append(
            Sent(
                on=row.shipment.shipped_at.astimezone(zone).date(),
                quantity=row.quantity,
                serials=tuple(row.serial_numbers),
            )
        )
    return found, min(days)


def _claimed_before(line: ReturnLine, claimed_on: date) -> int:
    earlier = WarrantyClaim.objects.filter(line__order_line=line.order_line, ends_on__gte=claimed_on)
    if line.batch_id:
        earlier = earlier.filter(line__batch=line.batch_id)
    return int(earlier.aggregate(units=Sum("line__quantity"))["units"] or 0)


def keep(*, claims: Sequence[WarrantyClaim], actor: Actor, at: datetime) -> None:
    """Write down claims that were checked, each of the line as it was judged."""
    for claim in claims:
        claim.claimed_at = at
        claim._change_reason = "claimed under warranty"  # type: ignore[attr-defined]  # read by the history
        claim.save()


@transaction.atomic
def settle(*, claim: WarrantyClaim, outcome: str, actor: Actor, at: datetime) -> WarrantyClaim:
    """Say what became of the units in the pool: scrapped, or returned to who made them. They leave it for good.

    Locks the claim, then the levels. Settled twice the same way answers the same. Raises IllegalStep where it was
    settled another way, and ledger.NotEnoughOnHand where the units are not in the pool any more.
    """
    locked = WarrantyClaim.objects.select_related("line__return_of__order", "line__return_of__warehouse").lock()
    row = locked.get(pk=claim.pk)
    if row.status == WarrantyClaim.Status.SETTLED and row.outcome == outcome:
        return row
    if row.status != WarrantyClaim.Status.OPEN:
        raise IllegalStep(
            f"It is settled: {row.get_outcome_display().lower()}.",
            currentStatus=row.status,
            allowedFrom=[str(WarrantyClaim.Status.OPEN)],
        )
    _leave_pool(row, Outcome(outcome), actor=actor, at=at)
    row.status, row.outcome, row.settled_at = WarrantyClaim.Status.SETTLED, outcome, at
    row.version += 1
    row._change_reason = f"warranty claim settled: {outcome}"  # type: ignore[attr-defined]  # read by the history
    row.save()
    returned = row.line.return_of
    ordering.tell(
        order=returned.order, event_type="warranty_claim.settled", actor=actor, at=at,
        also=[returned.warehouse.operator_id if returned.warehouse else None], warrantyClaimId=row.number,
        returnId=returned.number, outcome=outcome,
    )  # fmt: skip
    return row


def _leave_pool(claim: WarrantyClaim, outcome: Outcome, *, actor: Actor, at: datetime) -> None:
    """Exactly what was put there for the claim, by the ledger's own rows."""
    rows = list(Movement.objects.filter(reference=claim.number, to_condition=POOL).order_by("id"))
    serials: dict[int, list[str]] = {row.pk: [] for row in rows}
    for movement_id, number in SerialMovement.objects.filter(movement__in=rows).values_list(
        "movement", "serial__number"
    ):
        serials[movement_id].append(number)
    ledger.post(
        [
            ledger.Posting(
                variant_id=row.variant_id,
                batch_id=row.batch_id,
                owner_id=row.owner_id,
                quantity=row.quantity,
                source=ledger.Place(location_id=row.to_location_id, condition=POOL),
                target=ledger.virtual(PLACES[outcome]),
                kind=Movement.Kind.DISPOSITION,
                reason=outcome,
                reference=claim.number,
                serials=tuple(serials[row.pk]),
            )
            for row in rows
        ],
        actor=actor,
        at=at,
    )
