"""A supplier announces what is on its truck, by packages and batches, and may withdraw that."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django.db import IntegrityError, transaction

from catalog.models import Variant
from orders.models import AdvanceShipNotice, NoticeLine, NoticePackage, PurchaseOrder, PurchaseOrderLine
from partners.actors import Actor
from partners.models import Partner
from partners.problems import Conflict, IllegalStep, InvalidInput
from stock.models import Warehouse

Status = AdvanceShipNotice.Status


class DespatchReused(Conflict):
    """The supplier's despatch number stands for another ship notice. Data: asnId."""

    code = "despatch_number_reused"
    title = "This despatch number stands for something else"
    remedy = "Use a new despatchNumber, or send the notice as it was sent first."


class PackageOnItsWay(Conflict):
    """Another truck carries a package of this SSCC. Data: sscc."""

    code = "package_on_its_way"
    title = "This package is announced already"
    remedy = "Check the SSCC; withdraw the other notice where that one is wrong."


@dataclass(frozen=True, kw_only=True)
class Announced:
    """So many of a variant on the truck: for which line of an order, in which package, of which batch."""

    variant: Variant
    quantity: int
    order_line: PurchaseOrderLine | None = None
    sscc: str = ""
    batch_number: str = ""
    expires_on: date | None = None
    serials: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A logistic unit, and the one it stands on or in ("" = on the truck itself)."""

    sscc: str
    parent_sscc: str = ""


@transaction.atomic
def announce(
    *,
    supplier: Partner,
    warehouse: Warehouse,
    despatch_number: str,
    announced: Sequence[Announced],
    actor: Actor,
    at: datetime,
    packed: Sequence[Packed] = (),
    carrier: str = "",
    tracking_number: str = "",
    shipped_at: datetime | None = None,
    expected_on: date | None = None,
) -> tuple[AdvanceShipNotice, bool]:
    """Write down what a supplier says is coming. Returns (notice, whether it is new).

    It says nothing that availability counts: that is the order's. Announced again with the same despatch number
    and content it answers the notice already there. Raises DespatchReused (data: asnId), PackageOnItsWay
    (data: sscc), and InvalidInput for a package that is not said or stands in itself, an order line of another
    product, warehouse or supplier, and an order of which nothing is waited for.
    """
    parents = _packages(packed, announced)
    _check_lines(supplier, warehouse, announced)
    notice = AdvanceShipNotice(
        supplier=supplier,
        warehouse=warehouse,
        despatch_number=despatch_number,
        carrier=carrier,
        tracking_number=tracking_number,
        shipped_at=shipped_at,
        expected_on=expected_on,
        announced_at=at,
    )
    notice.fingerprint = _fingerprint(notice, announced, packed)
    if earlier := _claim_number(notice):
        return earlier, False
    packages = _write_packages(notice, parents)
    NoticeLine.objects.bulk_create(
        NoticeLine(
            notice=notice,
            package=packages[row.sscc] if row.sscc else None,
            order_line=row.order_line,
            variant=row.variant,
            quantity=row.quantity,
            batch_number=row.batch_number,
            expires_on=row.expires_on,
            serial_numbers=list(row.serials),
        )
        for row in announced
    )
    return notice, True


@transaction.atomic
def withdraw(*, notice: AdvanceShipNotice, actor: Actor, at: datetime) -> AdvanceShipNotice:
    """It was wrong, or will not come; its packages may be announced anew. Withdrawn twice answers the same.

    Locks the notice. Raises IllegalStep once anything of it was received.
    """
    locked = AdvanceShipNotice.objects.lock().get(pk=notice.pk)
    if locked.status == Status.WITHDRAWN:
        return locked
    if locked.status != Status.ANNOUNCED or locked.receipts.exists():
        raise IllegalStep(
            "Goods of it were received; it stands.", currentStatus=locked.status, allowedFrom=[str(Status.ANNOUNCED)]
        )
    return end(notice=locked, status=Status.WITHDRAWN, reason="ship notice withdrawn")


def end(*, notice: AdvanceShipNotice, status: str, reason: str) -> AdvanceShipNotice:
    """Nothing more of it is on its way. The caller holds its lock."""
    notice.packages.update(is_on_its_way=False)
    notice.status = status
    notice.version += 1
    notice._change_reason = reason  # type: ignore[attr-defined]  # read by the history
    notice.save()
    return notice


def _packages(packed: Sequence[Packed], announced: Sequence[Announced]) -> dict[str, str]:
    """The parent of each package, parents first. Raises InvalidInput."""
    said = {row.sscc: row.parent_sscc for row in packed}
    if len(said) < len(packed):
        raise InvalidInput.at("packages", "A package is there twice.")
    wrong = [
        (f"lines[{place}].sscc", f"No package {row.sscc} is said.")
        for place, row in enumerate(announced)
        if row.sscc and row.sscc not in said
    ]
    wrong += [
        (f"packages[{place}].parentSscc", f"No package {row.parent_sscc} is said.")
        for place, row in enumerate(packed)
        if row.parent_sscc and row.parent_sscc not in said
    ]
    if wrong:
        raise InvalidInput.of(wrong)
    ordered: dict[str, str] = {"": ""}
    while left := [sscc for sscc in said if sscc not in ordered]:
        ready = [sscc for sscc in left if said[sscc] in ordered]
        if not ready:
            raise InvalidInput.at("packages", f"Package {left[0]} stands in itself.")
        ordered |= {sscc: said[sscc] for sscc in ready}
    del ordered[""]
    return ordered


def _check_lines(supplier: Partner, warehouse: Warehouse, announced: Sequence[Announced]) -> None:
    """Each line is for an order that waits for it. The lines come with their orders."""
    waiting = {PurchaseOrder.Status.SENT, PurchaseOrder.Status.CONFIRMED}
    wrong = []
    for place, row in enumerate(announced):
        line = row.order_line
        if line is None:
            continue
        if line.order.supplier_id != supplier.pk or line.order.status not in waiting:
            wrong.append((f"lines[{place}].purchaseOrderId", f"Nothing of {line.order} is waited for."))
        elif line.order.warehouse_id != warehouse.pk:
            wrong.append((f"lines[{place}].purchaseOrderId", f"{line.order} does not go to {warehouse.code}."))
        elif line.variant_id != row.variant.pk:
            wrong.append((f"lines[{place}].productId", f"Line {line.line_number} is not of {row.variant.sku}."))
    if wrong:
        raise InvalidInput.of(wrong)


def _claim_number(notice: AdvanceShipNotice) -> AdvanceShipNotice | None:
    """Save the header; where the despatch number is taken, answer whose it is. Twins wait here."""
    notice._change_reason = "ship notice announced"  # type: ignore[attr-defined]  # read by the history
    try:
        with transaction.atomic():
            notice.save()
    except IntegrityError as error:
        if "notice_despatch_once_per_supplier" not in str(error):
            raise
    else:
        return None
    earlier = AdvanceShipNotice.objects.get(supplier=notice.supplier, despatch_number=notice.despatch_number)
    if earlier.fingerprint != notice.fingerprint:
        raise DespatchReused(f"{notice.despatch_number} stands for another ship notice.", asnId=earlier.number)
    return earlier


def _write_packages(notice: AdvanceShipNotice, parents: dict[str, str]) -> dict[str, NoticePackage]:
    made: dict[str, NoticePackage] = {}
    for sscc, parent in parents.items():
        try:
            with transaction.atomic():
                made[sscc] = NoticePackage.objects.create(notice=notice, sscc=sscc, parent=made.get(parent))
        except IntegrityError as error:
            if "notice_package_sscc_on_one_truck" not in str(error):
                raise
            raise PackageOnItsWay(f"Another truck carries {sscc}.", sscc=sscc) from error
    return made


def _fingerprint(notice: AdvanceShipNotice, announced: Sequence[Announced], packed: Sequence[Packed]) -> str:
    lines = Counter(
        (
            row.variant.sku, row.quantity, row.order_line.pk if row.order_line else 0, row.sscc, row.batch_number,
            str(row.expires_on), row.serials,
        )
        for row in announced
    )  # fmt: skip
    said = [
        sorted(lines.items()),
        sorted((row.sscc, row.parent_sscc) for row in packed),
        notice.warehouse.code,
        notice.carrier,
        notice.tracking_number,
        str(notice.shipped_at),
        str(notice.expected_on),
    ]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
