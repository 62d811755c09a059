"""What a return's lines are in SKUs and batches: a kit comes back as its components."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from catalog.models import Variant
from orders.models import Return, ReturnLine
from orders.operations.returnable import left_on
from stock import ledger
from stock.models import Batch, Movement, ReservationLine, SerialMovement


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Units of one SKU and batch that a return's line stands for: its own, or of a kit those of a component."""

    line: ReturnLine
    variant: Variant
    batch: Batch | None
    quantity: int
    serials: tuple[str, ...] = ()


def lines_of(returned: Return) -> list[ReturnLine]:
    return list(returned.lines.select_related("return_of__order", "order_line__variant__product_type", "batch"))


def shipped(line: ReturnLine) -> list[Piece]:
    """What a line is in SKUs and batches; of a component the batch that left, where it was only one."""
    pieces = []
    for part in _components(line):
        gone = part.allocations.filter(consumed__gt=0).order_by().values_list("level__batch", flat=True).distinct()
        batch = Batch.objects.filter(pk=gone[0]).first() if len(gone) == 1 else None
        quantity = line.quantity * _per_kit(part)
        gone_units = left_on(line.return_of.order).filter(serial__variant=part.variant, serial__level=None)
        units = set(gone_units.values_list("serial__number", flat=True))
        serials = _units_of_kit(line, part, quantity, units)
        pieces.append(Piece(line=line, variant=part.variant, batch=batch, quantity=quantity, serials=serials))
    variant = line.order_line.variant
    return pieces or [Piece(line=line, variant=variant, batch=line.batch, quantity=line.quantity, serials=_named(line))]


def received(*, returned: Return, settled: Sequence[tuple[ReturnLine, str, int]]) -> list[tuple[Piece, str]]:
    """What each verdict is of in SKUs and batches: those that were booked in when the return was received.

    Lines that are no kits know their batch and go first; kits share what is left.
    """
    pieces: list[tuple[Piece, str]] = []
    left: Counter[tuple[int, int | None]] = Counter()
    for row in Movement.objects.filter(reference=returned.number, kind=Movement.Kind.RETURN).order_by("id"):
        left[row.variant_id, row.batch_id] += row.quantity
    batches = Batch.objects.in_bulk([batch_id for _, batch_id in left if batch_id])
    lying: dict[tuple[int, int | None], set[str]] = defaultdict(set)
    received = SerialMovement.objects.filter(movement__reference=returned.number, movement__kind=Movement.Kind.RETURN)
    for *side, number in received.values_list("movement__variant", "movement__batch", "serial__number"):
        lying[side[0], side[1]].add(number)
    kits = []
    for line, disposition, quantity in settled:
        if parts := _components(line):
            kits.append((line, disposition, quantity, parts))
            continue
        left[line.order_line.variant_id, line.batch_id] -= quantity
        lying[line.order_line.variant_id, line.batch_id].difference_update(_named(line))
        variant = line.order_line.variant
        piece = Piece(line=line, variant=variant, batch=line.batch, quantity=quantity, serials=_named(line))
        pieces.append((piece, disposition))
    for line, disposition, quantity, parts in kits:
        for part in parts:
            wanted = quantity * _per_kit(part)
            for variant_id, batch_id in [key for key in left if key[0] == part.variant_id]:
                if units := min(wanted, left[variant_id, batch_id]):
                    piece = Piece(
                        line=line,
                        variant=part.variant,
                        batch=batches[batch_id] if batch_id else None,
                        quantity=units,
                        serials=_units_of_kit(line, part, units, lying[variant_id, batch_id]),
                    )
                    lying[variant_id, batch_id].difference_update(piece.serials)
                    pieces.append((piece, disposition))
                    left[variant_id, batch_id] -= units
                    wanted -= units
    return pieces


def posting(
    *, piece: Piece, source: ledger.Place, target: ledger.Place, kind: Movement.Kind, reason: str, reference: str
) -> ledger.Posting:
    return ledger.Posting(
        variant_id=piece.variant.pk,
        batch_id=piece.batch.pk if piece.batch else None,
        quantity=piece.quantity,
        source=source,
        target=target,
        kind=kind,
        reason=reason,
        reference=reference,
        serials=piece.serials,
    )


def _components(line: ReturnLine) -> list[ReservationLine]:
    """What the line's kit was promised as; nothing for what is no kit."""
    if line.order_line.reservation_line_id is None:
        return []
    parts = ReservationLine.objects.filter(kit_line=line.order_line.reservation_line_id)
    return list(parts.select_related("variant", "kit_line").order_by("id"))


def _per_kit(part: ReservationLine) -> int:
    return part.quantity // part.kit_line.quantity if part.kit_line else 1


def _named(line: ReturnLine) -> tuple[str, ...]:
    return (line.serial_number,) if line.serial_number else ()


def _units_of_kit(line: ReturnLine, part: ReservationLine, quantity: int, units: set[str]) -> tuple[str, ...]:
    """Which of these units of a component are meant: all, where that is as many, else the one the line names.

    A line names one unit at most, and a kit may have several; where that does not tell, the ledger refuses.
    """
    if part.variant.tracking != Variant.Tracking.SERIAL:
        return ()
    return tuple(sorted(units)) if len(units) == quantity else tuple(units.intersection(_named(line)))
