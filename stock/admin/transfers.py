"""Transfers: planned by a form, then moved on by buttons that carry the verbs."""

from __future__ import annotations

from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
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

from catalog.models import Variant
from partners.admin import DocumentAdmin, LinesInline, acting, ask, run_each, try_operation
from stock.admin.pages import QUANTITY_MAX, ProductRowsField, SerialNumbersField, show_form
from stock.models import Transfer, TransferLine, Warehouse
from stock.operations import transfers
from stock.operations.transfers import Arrival, Going


class PlanForm(forms.Form):
    """What is to go where; nothing moves until it is dispatched."""

    source = forms.ModelChoiceField(Warehouse.objects.all(), widget=UnfoldAdminSelectWidget, label="From")
    target = forms.ModelChoiceField(Warehouse.objects.all(), widget=UnfoldAdminSelectWidget, label="To")
    expected_on = forms.DateField(
        required=False, widget=UnfoldAdminDateWidget,
        help_text="The day it should arrive; from then on the target can promise it. Empty: the day it is dispatched.",
    )  # fmt: skip
    reference = forms.CharField(max_length=120, required=False, widget=UnfoldAdminTextInputWidget)
    lines = ProductRowsField(
        word="batch number", word_max=60,
        help_text="A row for each product: SKU, quantity in stock units and, if it must be that one, the batch number."
        " Without a batch, those that expire first go.",
        label="Products",
    )  # fmt: skip


class DispatchForm(BaseDialogForm):
    serials = SerialNumbersField()


class ArrivalForm(forms.Form):
    """What came, line by line; it starts from all that is on the road."""

    def __init__(self, *args: Any, transfer: Transfer, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        lines = transfer.lines.filter(dispatched__gt=0).select_related("variant", "batch")
        self.rows = list(lines)
        for line in self.rows:
            name = f"{line.variant}{f' · batch {line.batch}' if line.batch else ''}"
            self.fields[f"came_{line.pk}"] = forms.IntegerField(
                min_value=0, max_value=QUANTITY_MAX, initial=line.on_the_road, widget=UnfoldAdminIntegerFieldWidget,
                label=name, help_text=f"{line.on_the_road} on the road. More is booked as found.",
            )  # fmt: skip
            if line.variant.tracking == Variant.Tracking.SERIAL:
                self.fields[f"serials_{line.pk}"] = SerialNumbersField(
                    help_text="The units that came, one a line; not needed when all of them did."
                )
        self.fields["seen_version"] = forms.IntegerField(initial=transfer.version, widget=forms.HiddenInput)
        self.fields["location_code"] = forms.CharField(
            max_length=40, required=False, widget=UnfoldAdminTextInputWidget, label="Bin",
            help_text="Where it was put; empty: the default bin.",
        )  # fmt: skip
        self.fields["is_last"] = forms.BooleanField(
            required=False, widget=UnfoldBooleanSwitchWidget, label="Nothing more will come",
            help_text="What is missing is given up and booked as lost. Off: it stays on the road and may come later.",
        )  # fmt: skip

    @property
    def arrivals(self) -> list[Arrival]:
        said = self.cleaned_data
        return [
            Arrival(
                sku=line.variant.sku,
                quantity=said[f"came_{line.pk}"],
                location_code=said["location_code"],
                serials=said.get(f"serials_{line.pk}", ()),
                line_id=line.pk,
            )
            for line in self.rows
            if said[f"came_{line.pk}"]
        ]


class TransferLineInline(LinesInline):
    model = TransferLine
    fields = readonly_fields = ("variant", "batch", "owner", "quantity", "dispatched", "arrived", "lost", "road")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("variant", "batch", "owner")

    @display(description="On the road")
    def road(self, line: TransferLine) -> int:
        return line.on_the_road


@admin.register(Transfer)
class TransferAdmin(DocumentAdmin):
    list_display = ("number", "source", "target", "status", "expected_on", "reference", "planned_at")
    list_select_related = ("source", "target")
    list_filter = ("state", "source", "target")
    search_fields = ("number__exact", "reference__exact")
    search_help_text = "A whole number or reference"
    fields = (
        ("number", "state"),
        ("source", "target"),
        ("expected_on", "reference"),
        ("planned_at", "actor"),
        ("dispatched_at", "arrived_at"),
    )
    inlines = (TransferLineInline,)
    actions_list = ("plan",)
    actions = ("dispatch_all", "arrive_all", "cancel_all")
    actions_detail = ("dispatch_this", "arrive_this", "arrive_otherwise", "cancel_this")

    @display(
        description="Status",
        ordering="state",
        label={"planned": "warning", "dispatched": "info", "arrived": "success", "cancelled": "danger"},
    )
    def status(self, transfer: Transfer) -> tuple[str, str]:
        return transfer.state, transfer.get_state_display()

    @action(description="Plan a transfer", icon="add_road", url_path="plan", permissions=["step"])
    def plan(self, request: HttpRequest) -> HttpResponse:
        form = PlanForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            planned: list[Transfer] = []
            refusal = try_operation(lambda: planned.append(plan_as_said(form, request)))
            if not refusal:
                messages.success(request, f"Planned {planned[0]}. Nothing moves until it is dispatched.")
                return redirect("admin:stock_transfer_change", planned[0].pk)
            form.add_error(None, refusal)
        return show_form(self, request, form, title="Plan a transfer", verb="Plan")

    @admin.action(description="Dispatch", permissions=["step"])
    def dispatch_all(self, request: HttpRequest, queryset: Any) -> None:
        run_each(request, queryset, "dispatched", transfers.dispatch, "transfer")

    @admin.action(description="Arrive as dispatched", permissions=["step"])
    def arrive_all(self, request: HttpRequest, queryset: Any) -> None:
        run_each(request, queryset, "arrived", transfers.arrive, "transfer")

    @admin.action(description="Cancel", permissions=["step"])
    def cancel_all(self, request: HttpRequest, queryset: Any) -> None:
        run_each(request, queryset, "cancelled", transfers.cancel, "transfer")

    @action(
        description="Dispatch",
        icon="local_shipping",
        permissions=["step"],
        dialog=ask(
            "Do the goods leave now?",
            "All lines leave the source and are in transit: on nobody's shelf until they arrive. Only what is free"
            " and sellable goes; promised goods stay.",
            "Dispatch",
            DispatchForm,
        ),
    )
    def dispatch_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        dispatch = partial(transfers.dispatch, serials=form.cleaned_data["serials"])
        return self.take_step(request, object_id, "dispatched", dispatch, "transfer")

    @action(
        description="Arrive",
        icon="where_to_vote",
        permissions=["step"],
        dialog=ask(
            "Did everything arrive as dispatched?",
            "All that is on the road is booked into the target's default bin. Where something differs, use"
            " “Arrive with differences”.",
            "Arrive",
        ),
    )
    def arrive_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.take_step(request, object_id, "arrived", transfers.arrive, "transfer")

    @action(description="Arrive with differences", icon="rule", permissions=["step"])
    def arrive_otherwise(self, request: HttpRequest, object_id: str) -> HttpResponse:
        transfer = get_object_or_404(Transfer, pk=object_id)
        form = ArrivalForm(request.POST or None, transfer=transfer)
        if request.method == "POST" and form.is_valid():
            came = {"arrivals": form.arrivals} | {name: form.cleaned_data[name] for name in ("is_last", "seen_version")}
            arrive = partial(transfers.arrive, transfer=transfer, actor=acting(request), at=timezone.now(), **came)
            refusal = try_operation(arrive)
            if not refusal:
                messages.success(request, "Booked what arrived.")
                return redirect("admin:stock_transfer_change", transfer.pk)
            form.add_error(None, refusal)
        return show_form(self, request, form, title=f"What arrived of {transfer}", verb="Arrive")

    @action(
        description="Cancel",
        icon="block",
        permissions=["step"],
        dialog=ask("Cancel this transfer?", "It was only planned; nothing has moved.", "Cancel it"),
    )
    def cancel_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.take_step(request, object_id, "cancelled", transfers.cancel, "transfer")


def plan_as_said(form: PlanForm, request: HttpRequest) -> Transfer:
    """The form's words as the one operation they mean."""
    fields = dict(form.cleaned_data)
    going = [
        Going(variant=variant, quantity=quantity, batch_number=batch)
        for variant, quantity, batch in fields.pop("lines")
    ]
    return transfers.plan(going=going, actor=acting(request), at=timezone.now(), **fields)
