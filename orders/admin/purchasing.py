"""Purchase orders and what was agreed with suppliers: written by forms, moved on by buttons that carry the verbs."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import Exists, OuterRef
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import (
    UnfoldAdminDateWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from orders.models import PurchaseOrder, PurchaseOrderLine, ReceiptLine, SupplierTerms
from orders.operations import purchasing
from orders.operations.awaiting import STEPS
from orders.operations.purchasing import Answered, Needed
from partners.admin import DocumentAdmin, LinesInline, TracedAdmin, acting, ask, run_each, try_operation
from partners.models import Partner
from stock.admin.pages import ProductRowsField, show_form
from stock.models import Warehouse
from stock.operations import valuing

Status = PurchaseOrder.Status
COLOURS = {
    "draft": "warning",
    "sent": "info",
    "confirmed": "primary",
    "partly": "primary",
    "received": "success",
    "cancelled": "danger",
    "announced": "info",
    "withdrawn": "danger",
}


COST = forms.DecimalField(required=False, max_digits=14, decimal_places=4, min_value=0)


class OrderForm(forms.Form):
    """What is wanted from whom; the supplier sees nothing of it until it is sent."""

    supplier = forms.ModelChoiceField(
        Partner.objects.suppliers().filter(status=Partner.Status.ACTIVE), widget=UnfoldAdminSelectWidget
    )
    warehouse = forms.ModelChoiceField(Warehouse.objects.all(), widget=UnfoldAdminSelectWidget, label="Deliver to")
    expected_on = forms.DateField(
        required=False, widget=UnfoldAdminDateWidget, label="Expected",
        help_text="Empty: the lead time of the supplier's offer says when.",
    )  # fmt: skip
    reference = forms.CharField(max_length=120, required=False, widget=UnfoldAdminTextInputWidget)
    currency = forms.CharField(
        max_length=3, required=False, widget=UnfoldAdminTextInputWidget,
        help_text="ISO 4217: EUR, USD. Empty: that of the supplier's offers.",
    )  # fmt: skip
    lines = ProductRowsField(
        word="cost", word_max=19, label="Products",
        help_text="A row for each product: SKU, quantity in stock units and, where it is not the offer's, the cost of one.",
    )  # fmt: skip
    is_forced = forms.BooleanField(
        required=False, widget=UnfoldBooleanSwitchWidget, label="Order it all the same",
        help_text="Although a quantity is below the supplier's minimum, or not in its multiples and packs.",
    )  # fmt: skip

    def clean_lines(self) -> list[Needed]:
        found = []
        for variant, quantity, cost in self.cleaned_data["lines"]:
            try:
                amount = COST.clean(cost)
            except forms.ValidationError as error:
                raise forms.ValidationError(f"{cost} is no cost of {variant.sku}.") from error
            found.append(Needed(variant=variant, quantity=quantity, unit_cost=amount))
        return found


class ConfirmForm(forms.Form):
    """What the supplier says it will deliver; it starts from what was ordered."""

    def __init__(self, *args: Any, order: PurchaseOrder, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rows = list(order.lines.filter(closing="").select_related("variant"))
        for line in self.rows:
            self.fields[f"quantity_{line.pk}"] = forms.IntegerField(
                min_value=0, max_value=line.quantity, initial=line.expected, widget=UnfoldAdminIntegerFieldWidget,
                label=str(line.variant), help_text=f"{line.quantity:,} ordered. 0: nothing of it will come.",
            )  # fmt: skip
            self.fields[f"day_{line.pk}"] = forms.DateField(
                required=False, initial=line.confirmed_on or order.expected_on, widget=UnfoldAdminDateWidget,
                label="Delivered on",
            )  # fmt: skip

    is_in_columns = True

    @property
    def answers(self) -> list[Answered]:
        said = self.cleaned_data
        return [
            Answered(
                line_number=line.line_number,
                quantity=said[f"quantity_{line.pk}"],
                expected_on=said[f"day_{line.pk}"],
            )
            for line in self.rows
        ]


class PurchaseLineInline(LinesInline):
    model = PurchaseOrderLine
    fields = readonly_fields = ("line_number", "variant", "supplier_code", "quantity", "in_packs", "unit_cost",
                                "confirmed", "came", "open", "closing")  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("variant").prefetch_related("receipt_lines")

    @display(description="Packs")
    def in_packs(self, line: PurchaseOrderLine) -> str:
        return f"{line.packs:,} {line.pack_name}" if line.packs else ""

    @display(description="Confirmed")
    def confirmed(self, line: PurchaseOrderLine) -> str:
        if line.confirmed_quantity is None:
            return "–"
        return f"{line.confirmed_quantity:,}{f' by {line.confirmed_on:%-d %b %Y}' if line.confirmed_on else ''}"

    @display(description="Received")
    def came(self, line: PurchaseOrderLine) -> int:
        return sum(row.quantity for row in line.receipt_lines.all())

    @display(description="Open")
    def open(self, line: PurchaseOrderLine) -> int:
        return line.open_quantity(self.came(line))


@admin.register(PurchaseOrder)
class PurchaseOrderAdmin(DocumentAdmin):
    list_display = ("number", "supplier", "warehouse", "label", "expected_on", "reference", "created_at")
    list_select_related = ("supplier", "warehouse")
    list_filter = ("status", "warehouse")
    search_fields = ("number__exact", "reference__exact", "supplier__code__exact")
    search_help_text = "A whole number or reference, or a supplier's code"
    fields = (
        ("number", "status"),
        ("supplier", "warehouse"),
        ("expected_on", "currency"),
        ("reference", "is_forced"),
        ("created_at", "sent_at"),
        "actor",
    )
    inlines = (PurchaseLineInline,)
    actions_list = ("order",)
    actions = ("send_all",)
    actions_detail = ("send_this", "receive_this", "confirm_this", "confirm_otherwise", "cancel_this", "close_this")
    steps: ClassVar = {
        "send_this": STEPS[Status.SENT],
        "receive_this": STEPS[Status.RECEIVED],
        "confirm_this": STEPS[Status.CONFIRMED],
        "confirm_otherwise": STEPS[Status.CONFIRMED],
        "cancel_this": STEPS[Status.CANCELLED],
        "close_this": STEPS[Status.RECEIVED],
    }

    @display(description="Status", ordering="status", label=COLOURS)
    def label(self, order: PurchaseOrder) -> tuple[str, str]:
        if order.came and order.status in {"sent", "confirmed"}:  # type: ignore[attr-defined]  # annotated below
            return "partly", "Partly received"
        return order.status, order.get_status_display()

    def get_queryset(self, request: HttpRequest) -> Any:
        came = ReceiptLine.objects.filter(order_line__order=OuterRef("pk"))
        return super().get_queryset(request).annotate(came=Exists(came))

    @action(description="Order goods", icon="add_shopping_cart", url_path="order", permissions=["step"])
    def order(self, request: HttpRequest) -> HttpResponse:
        form = OrderForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            made: list[PurchaseOrder] = []
            refusal = try_operation(lambda: made.append(order_as_said(form, request)))
            if not refusal:
                messages.success(request, f"{made[0]} is a draft. {made[0].supplier.name} sees it once you send it.")
                warn_of_costs(request, [made[0].currency])
                return redirect("admin:orders_purchaseorder_change", made[0].pk)
            form.add_error(None, refusal)
        return show_form(self, request, form, title="Order goods", verb="Draft the order")

    @admin.action(description="Send", permissions=["step"])
    def send_all(self, request: HttpRequest, queryset: Any) -> None:
        run_each(request, queryset, "sent", purchasing.send, "order")

    @action(
        description="Send", icon="send", permissions=["step"],
        dialog=ask("Send this order?", "The supplier gets to see it and is told.", "Send"),
    )  # fmt: skip
    def send_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.take_step(request, object_id, "sent", purchasing.send, "order")

    @action(description="Receive", icon="barcode_scanner", permissions=["receive"])
    def receive_this(self, request: HttpRequest, object_id: str) -> HttpResponse:
        order = get_object_or_404(PurchaseOrder, pk=object_id)
        return redirect(f"{reverse('admin:orders_receipt_receive')}?of={order.number}")

    @action(
        description="Confirm", icon="check", permissions=["step"],
        dialog=ask(
            "Did the supplier confirm everything?",
            "All lines as ordered, by the day they are expected; from now on they are promised to customers. Where"
            " something differs, use “Confirm otherwise”.",
            "Confirm",
        ),
    )  # fmt: skip
    def confirm_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.take_step(request, object_id, "confirmed", purchasing.confirm, "order")

    @action(description="Confirm otherwise", icon="rule", permissions=["step"])
    def confirm_otherwise(self, request: HttpRequest, object_id: str) -> HttpResponse:
        order = get_object_or_404(PurchaseOrder, pk=object_id)
        form = ConfirmForm(request.POST or None, order=order)
        if request.method == "POST" and form.is_valid():
            confirm = partial(purchasing.confirm, order=order, actor=acting(request), at=timezone.now())
            refusal = try_operation(lambda: confirm(answers=form.answers))
            if not refusal:
                messages.success(request, "Written down what the supplier confirmed.")
                return redirect("admin:orders_purchaseorder_change", order.pk)
            form.add_error(None, refusal)
        return show_form(self, request, form, title=f"What the supplier confirmed of {order}", verb="Confirm")

    @action(
        description="Cancel", icon="block", permissions=["step"],
        dialog=ask(
            "Cancel what has not come?",
            "It is no longer waited for nor promised, and the supplier is told. This cannot be undone.",
            "Cancel it",
        ),
    )  # fmt: skip
    def cancel_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.take_step(request, object_id, "cancelled", purchasing.cancel, "order")

    @action(
        description="Close short", icon="done_all", permissions=["step"],
        dialog=ask(
            "Will nothing more come?",
            "What is missing is no longer waited for nor promised. This cannot be undone.",
            "Close it",
        ),
    )  # fmt: skip
    def close_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.take_step(request, object_id, "closed", purchasing.close, "order")

    def has_receive_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("orders.add_receipt"))


def warn_of_costs(request: HttpRequest, currencies: Iterable[str]) -> None:
    """Costs that do not reach the value of the stock are said, not only kept."""
    if foreign := valuing.not_booked(currencies):
        messages.warning(request, valuing.words(foreign))


def order_as_said(form: OrderForm, request: HttpRequest) -> PurchaseOrder:
    """The form's words as the one operation they mean."""
    fields = dict(form.cleaned_data)
    return purchasing.order(needed=fields.pop("lines"), actor=acting(request), at=timezone.now(), **fields)


class TermsForm(forms.ModelForm):
    """Says of each field what the database would refuse as a whole."""

    class Meta:
        model = SupplierTerms
        fields = ("supplier", "variant", "over_percent", "under_percent", "minimum_shelf_life_days", "quality_plan",
                  "sample_percent")  # fmt: skip
        labels: ClassVar = {
            "variant": "Product",
            "over_percent": "Over, in %",
            "under_percent": "Under, in %",
            "sample_percent": "Sample, in %",
        }
        help_texts: ClassVar = {"variant": "Empty: all products of the supplier that have no row of their own."}

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        is_sample = cleaned.get("quality_plan") == SupplierTerms.QualityPlan.SAMPLE
        if is_sample and cleaned.get("sample_percent") is None and "sample_percent" not in self.errors:
            self.add_error("sample_percent", "How large a sample?")
        if not is_sample and cleaned.get("sample_percent") is not None:
            self.add_error("sample_percent", "Only the plan that holds a sample says how large.")
        supplier = cleaned.get("supplier")
        if supplier and supplier.kind != Partner.Kind.SUPPLIER:
            self.add_error("supplier", "This partner supplies nothing.")
        same = SupplierTerms.objects.filter(supplier=supplier, variant=cleaned.get("variant"))
        if supplier and same.exclude(pk=self.instance.pk).exists():
            self.add_error("variant", "There are such terms already; change those.")
        return cleaned


@admin.register(SupplierTerms)
class SupplierTermsAdmin(TracedAdmin):
    form = TermsForm
    list_display = ("supplier", "products", "tolerance", "minimum_shelf_life_days", "plan")
    list_select_related = ("supplier", "variant")
    list_filter = ("quality_plan",)
    search_fields = ("supplier__code__holds", "variant__sku__holds")
    search_help_text = "Supplier's code or SKU"
    autocomplete_fields = ("supplier", "variant")
    fieldsets = (
        (None, {"fields": (("supplier", "variant"),)}),
        ("How much may differ", {"fields": (("over_percent", "under_percent"),)}),
        ("What is held at the dock", {"fields": ("minimum_shelf_life_days", ("quality_plan", "sample_percent"))}),
    )

    @display(description="Products")
    def products(self, terms: SupplierTerms) -> str:
        return str(terms.variant or "All products")

    @display(description="Over / under")
    def tolerance(self, terms: SupplierTerms) -> str:
        return f"{terms.over_percent.normalize():f} % / {terms.under_percent.normalize():f} %"

    @display(description="Quality plan", ordering="quality_plan")
    def plan(self, terms: SupplierTerms) -> str:
        percent = f" of {terms.sample_percent.normalize():f} %" if terms.sample_percent else ""
        return f"{terms.get_quality_plan_display()}{percent}"

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing leans on terms, and their history stays: who may change them may take them back."""
        return bool(request.user.has_perm("orders.change_supplierterms"))
