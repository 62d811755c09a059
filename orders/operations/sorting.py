"""What of a delivery belongs to which line of the order and the ship notice, and what of it is held.

Called by `receiving` alone, under its locks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from django.db.models import Q, Sum

from catalog.models import Variant
from orders.deliveries import Agreed, Awaited, settle
from orders.models import AdvanceShipNotice, NoticeLine, PurchaseOrderLine, Receipt, ReceiptLine, SupplierTerms
from partners.models import Partner
from partners.problems import InvalidInput, Problem
from stock.models import Batch, Level

SELLABLE, QUARANTINE = Level.Condition.SELLABLE, Level.Condition.QUARANTINE
Closing, Outcome, Hold = PurchaseOrderLine.Closing, ReceiptLine.Outcome, ReceiptLine.Hold


class OverDelivery(Problem):
    """More came than the order and its tolerance allow. Data: lines[{productId, lineNumber, ordered, received,
    delivered, allowed}]; allowed is how many of what was delivered may be taken."""

    code = "over_delivery"
    title = "More came than was ordered"
    remedy = "Book what is allowed, and have staff accept the rest or send it back."


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """So many of a variant came: with which label, in which condition, put into which bin ("" = the default one)."""

    variant: Variant
    quantity: int
    batch_number: str = ""
    expires_on: date | None = None
    condition: str = SELLABLE
    location_code: str = ""
    serials: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Units of one row that arrived, and what they are to the order and the ship notice."""

    place: int
    row: Arrived
    quantity: int
    order_line: PurchaseOrderLine | None = None
    notice_line: NoticeLine | None = None
    is_over: bool = False
    hold: str = Hold.NONE
    serials: tuple[str, ...] = ()

    @property
    def condition(self) -> str:
        return QUARANTINE if self.hold else self.row.condition


def agreed(*, supplier: Partner | None, variants: Sequence[Variant]) -> dict[int, Agreed]:
    """The terms that count for each variant of a supplier: its own, else those of all products. One query."""
    ids = [variant.pk for variant in variants]
    rows = SupplierTerms.objects.filter(Q(variant=None) | Q(variant__in=ids), supplier=supplier)
    rows = rows if supplier else rows.none()
    names = ("over_percent", "under_percent", "minimum_shelf_life_days", "quality_plan", "sample_percent")
    found = {row.variant_id: Agreed(**{name: getattr(row, name) for name in names}) for row in rows}
    everything = found.get(None, Agreed())
    return {variant_id: found.get(variant_id, everything) for variant_id in ids}


def labelled(*, row: Arrived, announced: Sequence[NoticeLine]) -> Arrived:
    """The row with the label its supplier announced, where the dock read none and only one can be meant."""
    said = {
        (line.batch_number, line.expires_on)
        for line in announced
        if line.variant_id == row.variant.pk and line.batch_number and row.batch_number in ("", line.batch_number)
    }
    if len(said) != 1 or (row.batch_number and row.expires_on):
        return row
    [(number, expires_on)] = said
    return replace(row, batch_number=number, expires_on=row.expires_on or expires_on)


def pieces(
    *, receipt: Receipt, arrived: Sequence[Arrived], lines: Sequence[PurchaseOrderLine],
    announced: Sequence[NoticeLine], books: Mapping[int, Awaited],
) -> list[Piece]:  # fmt: skip
    """The rows cut so that each piece is of one line of the order and of the notice. Raises InvalidInput."""
    by_id = {line.pk: line for line in lines}
    here = came(receipt.notice) if receipt.notice else {}
    pieces: list[Piece] = []
    for place, row in enumerate(arrived):
        for notice_line, quantity in _of_notice(receipt, place, row, announced, here):
            meant = [line for line in lines if line.variant_id == row.variant.pk]
            if notice_line is not None:
                meant = [line for line in meant if line.pk == notice_line.order_line_id]
            elif receipt.order and not meant:
                raise InvalidInput.at(
                    f"lines[{place}].productId", f"{row.variant.sku} is not on this order; receive it without."
                )
            whole = Piece(place=place, row=row, quantity=quantity, notice_line=notice_line)
            shares = settle(quantity, [books[line.pk] for line in meant])
            pieces += [
                replace(whole, quantity=share.quantity, order_line=by_id[share.line_id], is_over=share.is_over)
                for share in shares
            ] or [whole]
    return pieces


def _of_notice(
    receipt: Receipt, place: int, row: Arrived, announced: Sequence[NoticeLine], here: dict[int, int]
) -> list[tuple[NoticeLine | None, int]]:
    """How much of a row belongs to which line of the ship notice; more than announced is of the last that fits."""
    if receipt.notice is None:
        return [(None, row.quantity)]
    meant = [line for line in announced if line.variant_id == row.variant.pk]
    meant = [line for line in meant if row.batch_number in ("", line.batch_number)] or meant
    if not meant:
        raise InvalidInput.at(f"lines[{place}].productId", f"{row.variant.sku} was not announced; receive it without.")
    found: list[tuple[NoticeLine | None, int]] = []
    left = row.quantity
    for line in meant:
        units = left if line is meant[-1] else min(left, max(line.quantity - here.get(line.pk, 0), 0))
        if units:
            found.append((line, units))
            here[line.pk] = here.get(line.pk, 0) + units
            left -= units
    return found


def hold(*, piece: Piece, batch: Batch | None, terms: Mapping[int, Agreed], today: date) -> list[Piece]:
    """The piece cut into what is held, with the reason, and what goes where the dock says."""
    agreed_on = terms[piece.row.variant.pk]
    if piece.row.condition != SELLABLE:
        return [piece]
    if batch and agreed_on.is_too_old(batch.expires_on, today, is_batch=True):
        return [replace(piece, hold=Hold.SHELF_LIFE)]
    looked_at = agreed_on.looked_at(piece.quantity)
    cut = [(looked_at, Hold.QUALITY_PLAN), (piece.quantity - looked_at, Hold.NONE)]
    return [replace(piece, quantity=quantity, hold=why) for quantity, why in cut if quantity]


def with_serials(pieces: Sequence[Piece]) -> list[Piece]:
    """Each piece with the units of its row that are its, in their order."""
    left = {piece.place: list(piece.row.serials) for piece in pieces}
    last = {piece.place: place for place, piece in enumerate(pieces)}
    found = []
    for place, piece in enumerate(pieces):
        units = left[piece.place]
        # The last takes what is left, so that too many are refused by the list of serial numbers as too few are.
        taken = units if last[piece.place] == place else units[: piece.quantity]
        left[piece.place] = units[len(taken) :]
        found.append(replace(piece, serials=tuple(taken)))
    return found


def awaited(*, line: PurchaseOrderLine, received: Mapping[int, int], terms: Mapping[int, Agreed]) -> Awaited:
    return Awaited(
        line_id=line.pk,
        ordered=line.quantity,
        expected=line.expected,
        received=received.get(line.pk, 0),
        most=terms[line.variant_id].most(line.quantity) if line.variant_id in terms else line.quantity,
        is_ended=line.closing in {Closing.SHORT, Closing.CANCELLED},
    )


def check_over(*, books: Mapping[int, Awaited], lines: Mapping[int, PurchaseOrderLine]) -> None:
    over = [
        {
            "productId": lines[book.line_id].variant.sku,
            "lineNumber": lines[book.line_id].line_number,
            "ordered": book.ordered,
            "received": book.received,
            "delivered": book.taken,
            "allowed": book.taken - book.beyond,
        }
        for book in books.values()
        if book.beyond
    ]
    if over:
        said = ", ".join(f"{row['productId']}: {row['delivered']} came, {row['allowed']} may" for row in over[:5])
        raise OverDelivery(f"More came than was ordered and its tolerance allows. {said}.", lines=over)


def outcome(*, piece: Piece, books: Mapping[int, Awaited]) -> str:
    if piece.order_line is None:
        return Outcome.UNORDERED
    if piece.is_over:
        return Outcome.OVER
    book = books[piece.order_line.pk]
    return Outcome.UNDER if book.received + book.taken < book.expected else Outcome.AS_ORDERED


def came(notice: AdvanceShipNotice) -> dict[int, int]:
    """Stock units received by line of the notice. One query."""
    rows = ReceiptLine.objects.filter(notice_line__notice=notice).order_by().values("notice_line")
    return dict(rows.annotate(n=Sum("quantity")).values_list("notice_line", "n"))
