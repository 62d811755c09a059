"""Ship notices and receipts: looked at, and goods received at the dock."""

from __future__ import annotations

import json
import secrets
from collections import defaultdict
from decimal import Decimal
from functools import partial
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from orders import queries
from orders.admin.dock import FindForm, PostForm, RowForm, arrived, document_of, progress, rows_of, scanned
from orders.admin.purchasing import warn_of_costs
from orders.models import AdvanceShipNotice, LandedCharge, NoticeLine, Receipt, ReceiptLine
from orders.operations import announcing, landing, receiving
from partners.admin import DocumentAdmin, LinesInline, ReadOnlyAdmin, acting, ask, try_operation
from stock.admin.pages import ROWS_MAX, show_form

SENT_SECONDS = 600
COLOURS = {"announced": "info", "received": "success", "withdrawn": "danger"}


class ChargeForm(forms.Form):
    """Freight or duty of a receipt, as its invoice says."""

    kind = forms.ChoiceField(choices=LandedCharge.Kind, widget=UnfoldAdminSelectWidget)
    reference = forms.CharField(max_length=80, widget=UnfoldAdminTextInputWidget, label="Invoice number")
    amount = forms.DecimalField(max_digits=14, decimal_places=4, min_value=0, widget=UnfoldAdminDecimalFieldWidget)
    currency = forms.CharField(max_length=3, widget=UnfoldAdminTextInputWidget, help_text="ISO 4217: EUR, USD.")
    spread = forms.ChoiceField(
        choices=LandedCharge.Spread, widget=UnfoldAdminSelectWidget,
        help_text="By value: the costs of the order. By weight: the products' attribute weightKg.",
    )  # fmt: skip


class ReceiptLineInline(LinesInline):
    model = ReceiptLine
    fields = readonly_fields = ("variant", "batch", "quantity", "condition", "outcome", "held", "landed_cost")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("variant", "batch").prefetch_related("landed__charge")

    @display(description="Held")
    def held(self, line: ReceiptLine) -> str:
        return line.get_hold_display() if line.hold else "–"

    @display(description="Landed")
    def landed_cost(self, line: ReceiptLine) -> str:
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for share in line.landed.all():
            sums[share.charge.currency] += share.amount
        return ", ".join(f"{amount.normalize():f} {currency}" for currency, amount in sums.items()) or "–"


class NoticeLineInline(LinesInline):
    model = NoticeLine
    fields = readonly_fields = ("variant", "batch_number", "expires_on", "quantity", "package", "order_line")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("variant", "package", "order_line__order")


@admin.register(AdvanceShipNotice)
class AdvanceShipNoticeAdmin(DocumentAdmin):
    list_display = ("number", "supplier", "warehouse", "label", "despatch_number", "expected_on", "carrier")
    list_select_related = ("supplier", "warehouse")
    list_filter = ("status", "warehouse")
    search_fields = ("number__exact", "despatch_number__exact", "packages__sscc__exact")
    search_help_text = "A whole number, despatch number or SSCC"
    fields = (
        ("number", "status"),
        ("supplier", "despatch_number"),
        ("warehouse", "expected_on"),
        ("carrier", "tracking_number"),
        ("shipped_at", "announced_at"),
    )
    inlines = (NoticeLineInline,)
    actions_detail = ("receive_this", "withdraw_this")
    steps: ClassVar = dict.fromkeys(actions_detail, (AdvanceShipNotice.Status.ANNOUNCED,))

    @display(description="Status", ordering="status", label=COLOURS)
    def label(self, notice: AdvanceShipNotice) -> tuple[str, str]:
        return notice.status, notice.get_status_display()

    @action(description="Receive", icon="barcode_scanner", permissions=["receive"])
    def receive_this(self, request: HttpRequest, object_id: str) -> HttpResponse:
        notice = get_object_or_404(AdvanceShipNotice, pk=object_id)
        return redirect(f"{reverse('admin:orders_receipt_receive')}?of={notice.number}")

    @action(
        description="Withdraw", icon="block", permissions=["step"],
        dialog=ask("Is this notice wrong?", "Its packages may be announced anew. This cannot be undone.", "Withdraw"),
    )  # fmt: skip
    def withdraw_this(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        return self.take_step(request, object_id, "withdrawn", announcing.withdraw, "notice")

    def has_receive_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("orders.add_receipt"))


@admin.register(Receipt)
class ReceiptAdmin(ReadOnlyAdmin):
    list_display = ("number", "supplier", "order", "warehouse", "delivery_note", "posted_at", "actor")
    list_select_related = ("supplier", "order", "warehouse")
    list_filter = ("warehouse",)
    search_fields = ("number__exact", "delivery_note__exact", "order__number__exact")
    search_help_text = "A whole number, delivery note or order number"
    fields = (
        ("number", "posted_at"),
        ("supplier", "delivery_note"),
        ("order", "notice"),
        ("warehouse", "is_over_accepted"),
        "actor",
    )
    inlines = (ReceiptLineInline,)
    actions_list = ("receive",)
    actions_detail = ("charge_this",)

    def has_receive_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("orders.add_receipt"))

    def has_charge_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("orders.add_landedcharge"))

    @action(description="Receive goods", icon="barcode_scanner", url_path="receive", permissions=["receive"])
    def receive(self, request: HttpRequest) -> HttpResponse:
        """Find what is received, scan row after row, book all of them at once."""
        document = document_of(request.GET.get("of", "").strip())
        if document is None:
            form = FindForm(request.GET if "of" in request.GET else None)
            return self.page(request, {"find": form, "title": "Receive goods"})
        rows = rows_of(request)
        said = request.POST if request.POST.get("do") == "add" else None
        row = RowForm(said, initial={"location_code": rows[-1]["location_code"] if rows else ""})
        posting = PostForm(
            request.POST if request.POST.get("do") == "post" else None,
            may_accept=request.user.has_perm("orders.accept_over_delivery"),
        )
        do = request.POST.get("do", "")
        if do == "add" and row.is_valid() and self.add(request, row, document, rows):
            row = RowForm(initial={"location_code": row.cleaned_data["location_code"]})
        elif do.startswith("drop-") and do[5:].isdecimal() and int(do[5:]) < len(rows):
            del rows[int(do[5:])]
        elif do == "post" and posting.is_valid() and (posted := self.post(request, posting, document, rows)):
            return redirect("admin:orders_receipt_change", posted.pk)
        context = {"title": f"Receive {document}", "document": document, "row": row, "posting": posting, "rows": rows}
        context |= {"kept": json.dumps(rows), "progress": progress(document, rows), "sending": secrets.token_hex(8)}
        return self.page(request, context)

    def page(self, request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
        context = self.admin_site.each_context(request) | {"opts": Receipt._meta} | context
        return render(request, "admin/orders/receipt/dock.html", context)

    def add(self, request: HttpRequest, form: RowForm, document: Any, rows: list[dict[str, Any]]) -> bool:
        """Put what was scanned to the rows; whether that could be done."""
        try:
            found = scanned(form.cleaned_data, document)
        except forms.ValidationError as error:
            form.add_error("code", error)
            return False
        if len(rows) + len(found) > ROWS_MAX:
            form.add_error(None, f"At most {ROWS_MAX} rows in one receipt; book these first.")
            return False
        rows += found
        return True

    def post(self, request: HttpRequest, form: PostForm, document: Any, rows: list[dict[str, Any]]) -> Receipt | None:
        if not rows:
            form.add_error(None, "Nothing was scanned yet.")
            return None
        token = f"receipt-form:{request.POST.get('sending')}"[:120]
        if not cache.add(token, 1, SENT_SECONDS):
            form.add_error(None, "This was sent twice; look among the receipts before you send it again.")
            return None
        named = {"notice" if isinstance(document, AdvanceShipNotice) else "order": document}
        booked: list[tuple[Receipt, bool]] = []
        receive = partial(receiving.receive, warehouse=document.warehouse, actor=acting(request), at=timezone.now())
        if refusal := try_operation(
            lambda: booked.append(receive(arrived=arrived(rows), **named, **form.cleaned_data))
        ):
            cache.delete(token)
            form.add_error(None, refusal)
            return None
        say_booked(request, *booked[0])
        return booked[0][0]

    @action(description="Add freight or duty", icon="payments", url_path="charge", permissions=["charge"])
    def charge_this(self, request: HttpRequest, object_id: str) -> HttpResponse:
        receipt = get_object_or_404(Receipt, pk=object_id)
        form = ChargeForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            charge = partial(landing.charge, receipt=receipt, actor=acting(request), at=timezone.now())
            refusal = try_operation(lambda: charge(**form.cleaned_data))
            if not refusal:
                messages.success(request, "Spread over the lines to the cent.")
                warn_of_costs(request, [form.cleaned_data["currency"]])
                return redirect("admin:orders_receipt_change", receipt.pk)
            form.add_error(None, refusal)
        return show_form(self, request, form, title=f"Freight or duty of {receipt}", verb="Spread it over the lines")


def say_booked(request: HttpRequest, receipt: Receipt, is_new: bool) -> None:  # noqa: FBT001
    if not is_new:
        messages.warning(request, f"This delivery note is booked already, as {receipt}; nothing was booked twice.")
        return
    messages.success(request, f"{receipt} is booked.")
    warn_of_costs(request, queries.currencies_of(receipt))
    held = [line for line in receipt.lines.select_related("variant") if line.hold]
    for line in held[:10]:
        messages.warning(request, f"Hold back {line.quantity:,} of {line.variant.sku}: {line.get_hold_display()}.")
