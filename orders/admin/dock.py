"""The dock: what came is scanned against what was ordered or announced. Forms, and what a scan means."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from typing import Any

from django import forms
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from unfold.widgets import (
    UnfoldAdminDateWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from catalog import scans
from catalog.gs1.elements import Unreadable
from catalog.models import Variant
from orders.models import AdvanceShipNotice, NoticeLine, PurchaseOrder, ReceiptLine
from orders.operations import receiving, sorting
from orders.operations.sorting import Arrived
from stock.admin.pages import QUANTITY_MAX, ROWS_MAX, SerialNumbersField
from stock.models import Level

SSCC_AI = "00"
NAMES = ("quantity", "batch_number", "expires_on", "condition", "location_code", "serials")


class FindForm(forms.Form):
    """What is on the paper: an order, a ship notice, or the label of a pallet."""

    of = forms.CharField(
        max_length=80, widget=UnfoldAdminTextInputWidget, label="Order, ship notice or SSCC",
        help_text="Scan or type a purchase order's number, a ship notice's, the supplier's despatch number, or a"
        " pallet's label.",
    )  # fmt: skip

    def clean_of(self) -> PurchaseOrder | AdvanceShipNotice:
        found = document_of(self.cleaned_data["of"].strip())
        if found is None:
            raise forms.ValidationError("Nothing that is waited for has this number.")
        return found


class RowForm(forms.Form):
    """One row of a delivery, in the order of the scans: product, batch, date, quantity."""

    code = forms.CharField(
        max_length=500, label="Scan", widget=UnfoldAdminTextInputWidget, help_text="A barcode, or a SKU."
    )
    batch_number = forms.CharField(max_length=60, required=False, label="Batch", widget=UnfoldAdminTextInputWidget)
    expires_on = forms.DateField(required=False, label="Expires", widget=UnfoldAdminDateWidget)
    quantity = forms.IntegerField(
        min_value=1, max_value=QUANTITY_MAX, required=False, widget=UnfoldAdminIntegerFieldWidget,
        help_text="Stock units; empty: what the label says.",
    )  # fmt: skip
    condition = forms.ChoiceField(
        choices=Level.Condition.choices, initial=Level.Condition.SELLABLE, widget=UnfoldAdminSelectWidget
    )
    location_code = forms.CharField(
        max_length=40, required=False, label="Bin", widget=UnfoldAdminTextInputWidget,
        help_text="Empty: the default bin.",
    )  # fmt: skip
    serials = SerialNumbersField()


class PostForm(forms.Form):
    """The paper that came with the goods."""

    delivery_note = forms.CharField(
        max_length=80, required=False, widget=UnfoldAdminTextInputWidget, label="Delivery note",
        help_text="The number on the supplier's paper. It is booked once, whoever sends it again.",
    )  # fmt: skip
    is_over_accepted = forms.BooleanField(
        required=False, widget=UnfoldBooleanSwitchWidget, label="Take more than was agreed",
        help_text="What is above the tolerance is booked and marked with your name.",
    )  # fmt: skip

    def __init__(self, *args: Any, may_accept: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not may_accept:
            del self.fields["is_over_accepted"]


def document_of(said: str) -> PurchaseOrder | AdvanceShipNotice | None:
    """The open order or ship notice that a number or label names. At most three queries."""
    if not said or "\x00" in said:
        return None
    orders = PurchaseOrder.objects.select_related("supplier", "warehouse").filter(status__in=receiving.TAKES_GOODS)
    if order := orders.filter(number=said.upper()).first():
        return order
    notices = AdvanceShipNotice.objects.select_related("supplier", "warehouse")
    notices = notices.filter(status=AdvanceShipNotice.Status.ANNOUNCED)
    if notice := notices.filter(Q(number=said.upper()) | Q(despatch_number=said)).order_by("-id").first():
        return notice
    sscc = sscc_of(said)
    return notices.filter(packages__sscc=sscc, packages__is_on_its_way=True).first() if sscc else None


def sscc_of(said: str) -> str:
    """The 18 digits of a pallet's label; with or without the 00 before them."""
    digits = "".join(letter for letter in said.removeprefix("]C1") if letter not in "() ")
    digits = digits.removeprefix(SSCC_AI) if len(digits) == 20 else digits
    return digits if len(digits) == 18 and digits.isascii() and digits.isdigit() else ""


def rows_of(request: HttpRequest) -> list[dict[str, Any]]:
    """The rows scanned so far, as the page sent them back; what cannot be one is left out."""
    try:
        sent = json.loads(request.POST.get("rows", "[]")[:2_000_000])
    except ValueError:
        return []
    kept = []
    for row in sent[:ROWS_MAX] if isinstance(sent, list) else []:
        form = RowForm(row | {"code": row.get("sku")} if isinstance(row, dict) else {})
        if form.is_valid() and form.cleaned_data["quantity"]:
            kept.append(as_row(str(row["sku"]), **{name: form.cleaned_data[name] for name in NAMES}))
    return kept


def as_row(sku: str, *, expires_on: date | None, serials: Any, **said: Any) -> dict[str, Any]:
    day = expires_on.isoformat() if expires_on else ""
    return {"sku": sku, "expires_on": day, "serials": "\n".join(serials), **said}


def scanned(said: dict[str, Any], document: PurchaseOrder | AdvanceShipNotice) -> list[dict[str, Any]]:
    """What one scan adds: a product, or all that a pallet of the notice carries. Raises ValidationError."""
    code = said["code"]
    if isinstance(document, AdvanceShipNotice) and (sscc := sscc_of(code)):
        if lines := carried(document, sscc):
            return [on_label(line, said) for line in lines]
        raise forms.ValidationError("This package is not on the ship notice.")
    try:
        read = scans.read(code=code, partner=document.supplier, today=timezone.now().date())
    except Unreadable as error:
        raise forms.ValidationError("No product of this supplier has this number.") from error
    if read.only is None:
        many = "Several products have this number; type the SKU." if read.matches else "No product has this number."
        raise forms.ValidationError(many)
    scan, variant = read.scan, read.only.variant
    serial = scan.value("21") if scan and variant.tracking == Variant.Tracking.SERIAL else ""
    return [
        as_row(
            variant.sku,
            quantity=said["quantity"] or read.quantity or 1,
            batch_number=said["batch_number"] or (scan.value("10") if scan else ""),
            expires_on=said["expires_on"] or (scan.day("17", "15") if scan else None),
            condition=said["condition"],
            location_code=said["location_code"],
            serials=said["serials"] or ((serial,) if serial else ()),
        )
    ]


def carried(notice: AdvanceShipNotice, sscc: str) -> list[NoticeLine]:
    """The lines in a package and in those that stand on it. Two queries."""
    packages = list(notice.packages.all())
    inside = {package.pk for package in packages if package.sscc == sscc}
    while more := {package.pk for package in packages if package.parent_id in inside} - inside:
        inside |= more
    return list(notice.lines.filter(package__in=inside).select_related("variant"))


def on_label(line: NoticeLine, said: dict[str, Any]) -> dict[str, Any]:
    return as_row(
        line.variant.sku,
        quantity=line.quantity,
        batch_number=line.batch_number,
        expires_on=line.expires_on,
        condition=said["condition"],
        location_code=said["location_code"],
        serials=line.serial_numbers,
    )


def arrived(rows: list[dict[str, Any]]) -> list[Arrived]:
    """The rows as what they mean; the SKUs were found when they were scanned. One query."""
    skus = {row["sku"] for row in rows}
    variants = {row.sku: row for row in Variant.objects.stocked().filter(sku__in=skus).select_related("product_type")}
    return [
        Arrived(
            variant=variants[row["sku"]],
            quantity=row["quantity"],
            batch_number=row["batch_number"],
            expires_on=date.fromisoformat(row["expires_on"]) if row["expires_on"] else None,
            condition=row["condition"],
            location_code=row["location_code"],
            serials=tuple(row["serials"].split()),
        )
        for row in rows
        if row["sku"] in variants
    ]


def progress(document: PurchaseOrder | AdvanceShipNotice, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each product: how many are waited for, how many came before and are here now. Two queries."""
    here: Counter[str] = Counter()
    for row in rows:
        here[row["sku"]] += row["quantity"]
    expected: Counter[Variant] = Counter()
    before: Counter[Variant] = Counter()
    wanted: list[tuple[Variant, int, int]]
    if isinstance(document, PurchaseOrder):
        came = ReceiptLine.objects.received(order_line__order=document)
        wanted = [(line.variant, line.expected, line.pk) for line in document.lines.select_related("variant")]
    else:
        came = sorting.came(document)
        wanted = [(line.variant, line.quantity, line.pk) for line in document.lines.select_related("variant")]
    for variant, quantity, line_id in wanted:
        expected[variant] += quantity
        before[variant] += came.get(line_id, 0)
    names = {variant.sku: str(variant) for variant in expected}
    rows_of_all = [(variant.sku, expected[variant], before[variant]) for variant in expected]
    rows_of_all += [(sku, 0, 0) for sku in here if sku not in names]
    return [
        {
            "product": names.get(sku, sku),
            "expected": units,
            "before": earlier,
            "now": here[sku],
            "missing": units - earlier - here[sku],
            "over": earlier + here[sku] - units,
        }
        for sku, units, earlier in rows_of_all
    ]
