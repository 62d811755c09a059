"""What a warehouse is asked to send: accepted, fetched in waves, packed, sent or refused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from catalog import scans
from orders.admin.packages import PackageInline
from orders.admin.routing import ExplainedAdmin
from orders.models import FulfilmentItem, FulfilmentRequest, PickLine, PickWave, RoutingDecision
from orders.operations import fulfilment, packing, picking, requesting
from orders.papers import labels, slips
from orders.papers.facts import Consignment
from orders.printing import printed
from orders.queries import papers_of_request
from partners.admin import ROWS_MAX, DocumentAdmin, LinesInline, acting, ask, back_to, run_each, try_operation
from stock.admin.pages import QUANTITY_MAX, SerialNumbersField

COLOURS = {
    "assigned": "warning",
    "accepted": "info",
    "completed": "success",
    "failed": "danger",
    "open": "info",
    "picked": "success",
    "cancelled": "danger",
    "waiting": "",
    "short": "danger",
    "dropped": "",
}


class RefusingForm(BaseDialogForm):
    failure = forms.ChoiceField(
        choices=[(row.value, row.label) for row in FulfilmentRequest.REFUSALS], label="Reason",
        widget=UnfoldAdminSelectWidget,
    )  # fmt: skip
    note = forms.CharField(max_length=200, required=False, widget=UnfoldAdminTextInputWidget)


class PackingForm(BaseDialogForm):
    tracking_number = forms.CharField(max_length=80, required=False, widget=UnfoldAdminTextInputWidget)


class SendingForm(BaseDialogForm):
    carrier = forms.CharField(max_length=60, initial=fulfilment.HANDOVER, widget=UnfoldAdminTextInputWidget)
    service = forms.CharField(max_length=60, required=False, widget=UnfoldAdminTextInputWidget)
    tracking_number = forms.CharField(
        max_length=80, required=False, widget=UnfoldAdminTextInputWidget, help_text="Empty: that of its first package."
    )


class RequestItemInline(LinesInline):
    model = FulfilmentItem
    fields = readonly_fields = ("product", "quantity", "completed", "failed", "still_open")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("order_line__variant")

    @display(description="Product")
    def product(self, item: FulfilmentItem) -> str:
        return str(item.order_line.variant)

    @display(description="Open")
    def still_open(self, item: FulfilmentItem) -> int:
        return item.open_quantity


@admin.register(FulfilmentRequest)
class FulfilmentRequestAdmin(ExplainedAdmin):
    list_display = ("number", "order", "warehouse", "label", "failure", "assigned_at")
    list_select_related = ("order", "warehouse")
    list_filter = ("status", "warehouse")
    search_fields = ("number__exact", "order__number__exact")
    search_help_text = "A whole request or order number"
    fields = (
        ("number", "status"),
        ("order", "warehouse"),
        ("failure", "note"),
        ("assigned_at", "logical_timestamp"),
        "version",
    )
    inlines = (RequestItemInline, PackageInline)
    actions = ("start_wave", "accept_all")
    actions_detail = ("pick_this", "pack_this", "send_this", "slip", "label_pdf", "label_zpl", "accept_this", "reject_this",
                      "complete_this")  # fmt: skip
    steps: ClassVar = {
        **dict.fromkeys(
            ("pick_this", "pack_this", "send_this", "reject_this", "complete_this"), FulfilmentRequest.LIVE
        ),
        **dict.fromkeys(("slip", "label_pdf", "label_zpl"), FulfilmentRequest.LIVE),
        "accept_this": (FulfilmentRequest.Status.ASSIGNED,),
    }

    @display(description="Status", ordering="status", label=COLOURS)
    def label(self, request: FulfilmentRequest) -> tuple[str, str]:
        return request.status, request.get_status_display()

    def decisions(self, document: FulfilmentRequest) -> list[RoutingDecision]:
        return [document.routing] if document.routing else []

    @admin.action(description="Start a pick wave", permissions=["step"])
    def start_wave(self, request: HttpRequest, queryset: Any) -> None:
        """One wave for each warehouse among what was chosen."""
        chosen: dict[Any, list[FulfilmentRequest]] = defaultdict(list)
        for row in queryset.select_related("warehouse").order_by("id")[:ROWS_MAX]:
            chosen[row.warehouse].append(row)
        for warehouse, rows in chosen.items():
            waves: list[PickWave] = []
            call = {"warehouse": warehouse, "requests": rows, "actor": acting(request), "at": timezone.now()}
            if refusal := try_operation(lambda call=call, waves=waves: waves.append(picking.start(**call))):
                messages.error(request, f"{warehouse.code}: {refusal}")
            else:
                messages.success(request, f"{waves[0]} fetches {len(rows)} in {warehouse.code}.")

    @admin.action(description="Accept", permissions=["step"])
    def accept_all(self, request: HttpRequest, queryset: Any) -> None:
        run_each(request, queryset, "accepted", requesting.accept, "request")

    @action(
        description="Pick", icon="trolley", permissions=["step"],
        dialog=ask("Fetch it?", "The wave that has it goes on; where none has, one of its own begins.", "Pick"),
    )  # fmt: skip
    def pick_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        row = get_object_or_404(self.get_queryset(request).select_related("warehouse"), pk=object_id)
        waves = list(PickWave.objects.filter(state=PickWave.State.OPEN, lines__item__request=row)[:1])
        call = {"warehouse": row.warehouse, "requests": [row], "actor": acting(request), "at": timezone.now()}
        if not waves and (refusal := try_operation(lambda: waves.append(picking.start(**call)))):
            messages.error(request, f"{row}: {refusal}")
            return back_to(request, reverse("admin:orders_fulfilmentrequest_change", args=[row.pk]))
        return back_to(request, reverse("admin:orders_pickwave_pick", args=[waves[0].pk]))

    @action(
        description="Pack", icon="package_2", permissions=["step"],
        dialog=ask(
            "Close a package?", "With all that was picked for it and is in no package yet.", "Pack it", PackingForm
        ),
    )  # fmt: skip
    def pack_this(self, request: HttpRequest, form: PackingForm, object_id: str) -> HttpResponse:
        return self.act(request, object_id, "It is packed; print its label.", packing.pack_picked, **said(form))

    @action(
        description="Send", icon="local_shipping", permissions=["step"],
        dialog=ask("Did its packages leave?", "What is in them is booked out of the warehouse.", "Send", SendingForm),
    )  # fmt: skip
    def send_this(self, request: HttpRequest, form: SendingForm, object_id: str) -> HttpResponse:
        return self.act(request, object_id, "Its packages have left.", packing.send, **said(form))

    @action(description="Packing slip", icon="description", url_path="slip", permissions=["view"])
    def slip(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self.drawn(request, object_id, name="slip.pdf", draw=slips.pdf)

    @action(description="Labels (PDF)", icon="barcode", url_path="labels", permissions=["view"])
    def label_pdf(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self.drawn(request, object_id, name="labels.pdf", draw=labels.pdf)

    @action(description="Labels (ZPL)", icon="print", url_path="labels-zpl", permissions=["view"])
    def label_zpl(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self.drawn(request, object_id, name="labels.zpl", draw=labels.zpl)

    def drawn(
        self, request: HttpRequest, object_id: str, *, name: str, draw: Callable[[Consignment], bytes | str]
    ) -> HttpResponse:
        row = get_object_or_404(self.get_queryset(request).select_related("order", "warehouse"), pk=object_id)
        papers = papers_of_request(row)
        if not papers.boxes:
            messages.info(request, "Nothing of it is packed and still here.")
            return redirect("admin:orders_fulfilmentrequest_change", row.pk)
        return printed(draw(papers), f"{row}-{name}")

    @action(
        description="Accept", icon="check", permissions=["step"],
        dialog=ask("Accept this request?", "The warehouse says that it will send it.", "Accept"),
    )  # fmt: skip
    def accept_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.take_step(request, object_id, "accepted", requesting.accept, "request")

    @action(
        description="Reject", icon="block", permissions=["step"],
        dialog=ask(
            "Can it not be sent from here?",
            "All that is open of it is kept elsewhere, or waits. This cannot be undone.",
            "Reject it", RefusingForm,
        ),
    )  # fmt: skip
    def reject_this(self, request: HttpRequest, form: RefusingForm, object_id: str) -> HttpResponse:
        return self.act(request, object_id, "Another warehouse is asked, or it waits.", requesting.reject, **said(form))

    @action(
        description="Complete", icon="task_alt", permissions=["step"],
        dialog=ask(
            "Has all of it left?", "Without packages: all that is open is booked out as promised.", "Complete", SendingForm
        ),
    )  # fmt: skip
    def complete_this(self, request: HttpRequest, form: SendingForm, object_id: str) -> HttpResponse:
        return self.act(request, object_id, "It has left.", fulfilment.complete, **said(form))

    def act(self, request: HttpRequest, object_id: str, done: str, operation: Any, **fields: Any) -> HttpResponse:
        row = get_object_or_404(self.get_queryset(request), pk=object_id)
        call = {"request": row, "actor": acting(request), "at": timezone.now()} | fields
        if refusal := try_operation(lambda: operation(**call)):
            messages.error(request, f"{row}: {refusal}")
        else:
            messages.success(request, done)
        return back_to(request, reverse("admin:orders_fulfilmentrequest_change", args=[row.pk]))


def said(form: BaseDialogForm) -> dict[str, Any]:
    """The fields of a dialog, without what the page itself sends."""
    return {name: form.cleaned_data[name] for name in form.base_fields if not name.startswith("_")}


class PickLineInline(LinesInline):
    model = PickLine
    per_page = 100
    fields = readonly_fields = ("place", "bin_", "product", "batch", "quantity", "picked", "state", "picked_by")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("location", "variant", "batch")

    @display(description="Bin")
    def bin_(self, line: PickLine) -> str:
        return line.location.code

    @display(description="Product")
    def product(self, line: PickLine) -> str:
        return str(line.variant)


class PickingForm(forms.Form):
    """One line of the walk: the scan says that it is the right thing, the number how many were there."""

    code = forms.CharField(
        max_length=500, required=False, label="Scan", widget=UnfoldAdminTextInputWidget,
        help_text="The product's barcode, or its SKU.",
    )  # fmt: skip
    picked = forms.IntegerField(
        min_value=0, max_value=QUANTITY_MAX, required=False, widget=UnfoldAdminIntegerFieldWidget,
        label="How many are there?", help_text="Only where fewer are there than asked for.",
    )  # fmt: skip
    serial_numbers = SerialNumbersField()

    def __init__(self, *args: Any, line: PickLine, is_short: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.line, self.is_short = line, is_short
        if line.variant.tracking != line.variant.Tracking.SERIAL:
            del self.fields["serial_numbers"]
        self.fields["code"].widget.attrs["autofocus"] = True

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.is_short:
            if cleaned.get("picked") is None and "picked" not in self.errors:
                self.add_error("picked", "How many were there? None: 0.")
            return cleaned
        try:
            cleaned["serial_numbers"] = cleaned.get("serial_numbers") or serial_of(cleaned.get("code", ""), self.line)
        except forms.ValidationError as error:
            self.add_error("code", error)
        return cleaned


def serial_of(code: str, line: PickLine) -> tuple[str, ...]:
    """The unit a scan names, if it names one. Raises ValidationError unless it is a scan of what the line asks for."""
    if not code.strip():
        raise forms.ValidationError("Scan the product.")
    read = scans.on_label_of(variant=line.variant, code=code, today=timezone.now().date())
    if not read.matches:
        raise forms.ValidationError(f"Wrong item: take {line.variant.sku}.")
    batch = read.scan.value("10") if read.scan else ""
    if batch and line.batch and batch != line.batch.number:
        raise forms.ValidationError(f"Wrong batch: take {line.batch.number}, not {batch}.")
    serial = read.scan.value("21") if read.scan else ""
    return (serial,) if serial and line.variant.tracking == line.variant.Tracking.SERIAL else ()


@admin.register(PickWave)
class PickWaveAdmin(DocumentAdmin):
    list_display = ("number", "warehouse", "label", "started_at", "ended_at", "actor")
    list_select_related = ("warehouse",)
    list_filter = ("state", "warehouse")
    search_fields = ("number__exact", "lines__item__request__number__exact")
    search_help_text = "A whole wave or request number"
    fields = (("number", "state"), ("warehouse", "actor"), ("started_at", "ended_at"), "version")
    inlines = (PickLineInline,)
    actions_detail = ("pick", "cancel_this")
    status_field = "state"
    steps: ClassVar = dict.fromkeys(actions_detail, (PickWave.State.OPEN,))

    @display(description="State", ordering="state", label=COLOURS)
    def label(self, wave: PickWave) -> tuple[str, str]:
        return wave.state, wave.get_state_display()

    @action(description="Pick", icon="barcode_scanner", url_path="pick", permissions=["step"])
    def pick(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """One line after the other, in the order of the bins."""
        wave = get_object_or_404(self.get_queryset(request).select_related("warehouse"), pk=object_id)
        lines = wave.lines.select_related("location", "variant", "batch", "item__request__order")
        if request.method == "POST":
            sent = request.POST.get("line", "")
            line = get_object_or_404(lines, pk=int(sent) if sent.isascii() and sent.isdecimal() else 0)
        elif (first := lines.filter(state=PickLine.State.WAITING).first()) is None:
            messages.success(request, f"{wave} is {wave.get_state_display().lower()}.")
            return redirect("admin:orders_pickwave_change", wave.pk)
        else:
            line = first
        form = PickingForm(request.POST or None, line=line, is_short=request.POST.get("do") == "short")
        if request.method == "POST" and form.is_valid() and self.close(request, form):
            return redirect("admin:orders_pickwave_pick", wave.pk)
        context = self.admin_site.each_context(request) | {
            "opts": PickWave._meta, "title": f"Pick {wave}", "form": form, "line": line, "wave": wave,
            "todo": lines.filter(state=PickLine.State.WAITING).count(),
        }  # fmt: skip
        return render(request, "admin/orders/pickwave/pick.html", context)

    def close(self, request: HttpRequest, form: PickingForm) -> bool:
        """Book what the form says of its line; whether that could be done."""
        call = {"line": form.line, "actor": acting(request), "at": timezone.now(),
                "serial_numbers": form.cleaned_data.get("serial_numbers") or ()}  # fmt: skip
        if form.is_short:
            call["picked"] = form.cleaned_data["picked"]
        done: list[PickLine] = []
        operation = picking.close_short if form.is_short else picking.confirm
        if refusal := try_operation(lambda: done.append(operation(**call))):
            form.add_error(None, refusal)
            return False
        if done[0].state == PickLine.State.DROPPED:
            messages.warning(request, f"{form.line.variant.sku} is not wanted any more: put it back.")
        elif form.is_short:
            messages.warning(request, f"{form.line.location.code} will be counted; the rest comes from elsewhere.")
        else:
            messages.success(request, f"{done[0].picked:,} × {form.line.variant.sku} picked.")
        return True

    @action(
        description="Cancel", icon="block", permissions=["step"],
        dialog=ask("End this walk?", "What is not fetched yet may be picked in another wave.", "End it"),
    )  # fmt: skip
    def cancel_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.take_step(request, object_id, "cancelled", picking.cancel, "wave")
