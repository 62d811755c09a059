"""Counts: opened by a form, recorded bin by bin, decided by another person, posted by a button."""

from __future__ import annotations

import secrets
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.cache import cache
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import (
    UnfoldAdminDateWidget,
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from catalog.models import Variant
from partners.admin import DocumentAdmin, LinesInline, ReadOnlyAdmin, acting, ask, back_to, run_each, try_operation
from partners.models import Partner
from stock import abc, queries
from stock.admin.pages import partner_of, stocked
from stock.admin.search import find, named
from stock.models import Count, CountLine, Level, Warehouse
from stock.operations import counting
from stock.operations.counting import TO_COUNT, Found, Posted, Rules, Scope

COLOURS = {
    "waiting": "",
    "counted": "info",
    "open": "info",
    "posted": "success",
    "cancelled": "danger",
    "recount": "warning",
    "approval": "warning",
    "rejected": "danger",
    "approved": "success",
}
# The next places on a clerk's way; the list of lines has all of them.
NEXT_PLACES = 25
# A form is sent within the hour, or a second sending of it is taken for another one.
SENT_SECONDS = 3_600


class OpeningForm(forms.Form):
    """What is to be counted, and how sure it has to be."""

    warehouse = forms.ModelChoiceField(Warehouse.objects.all(), widget=UnfoldAdminSelectWidget)
    locations = forms.CharField(
        required=False, max_length=2_000, label="Bins", widget=UnfoldAdminTextInputWidget,
        help_text="Codes with commas between. Bins, products or a class; none of the three: everything.",
    )  # fmt: skip
    skus = forms.CharField(
        required=False, max_length=2_000, label="Products", widget=UnfoldAdminTextInputWidget,
        help_text="SKUs with commas between.",
    )  # fmt: skip
    abc_class = forms.ChoiceField(
        choices=[("", "All"), *((name, name) for name in abc.CLASSES)], required=False, label="Class",
        widget=UnfoldAdminSelectWidget,
        help_text="By the value shipped in 90 days: A the first 80 %, B the next 15 %, C the rest.",
    )  # fmt: skip
    is_blind = forms.BooleanField(
        required=False, initial=True, widget=UnfoldBooleanSwitchWidget, label="Blind",
        help_text="Who counts is not told what the book says.",
    )  # fmt: skip
    tolerance_units = forms.IntegerField(
        min_value=0, max_value=2**31 - 1, initial=0, widget=UnfoldAdminIntegerFieldWidget,
        help_text="A difference up to this needs no recount.",
    )  # fmt: skip
    tolerance_percent = forms.DecimalField(
        min_value=0, max_value=100, max_digits=5, decimal_places=2, initial=0, widget=UnfoldAdminDecimalFieldWidget,
        help_text="Of what the book says; the greater of the two tolerances holds.",
    )  # fmt: skip
    approval_value = forms.DecimalField(
        min_value=0, max_digits=14, decimal_places=2, required=False, widget=UnfoldAdminDecimalFieldWidget,
        help_text="A difference worth more waits for another person; empty: none does.",
    )  # fmt: skip

    def clean_locations(self) -> tuple[str, ...]:
        return words_of(self.cleaned_data["locations"])

    def clean_skus(self) -> tuple[str, ...]:
        return words_of(self.cleaned_data["skus"])


class RecordingForm(forms.Form):
    """What lies before the clerk. The fields are in the order of the scans: bin, product, batch, number."""

    place = forms.CharField(
        max_length=40, required=False, label="Bin", widget=UnfoldAdminTextInputWidget,
        help_text="Empty: the default bin.",
    )  # fmt: skip
    sku = forms.CharField(max_length=64, label="SKU", widget=UnfoldAdminTextInputWidget)
    batch_number = forms.CharField(max_length=60, required=False, label="Batch", widget=UnfoldAdminTextInputWidget)
    counted = forms.IntegerField(
        min_value=0, max_value=10**12, label="Quantity", widget=UnfoldAdminIntegerFieldWidget,
        help_text="All that lies there, in stock units.",
    )  # fmt: skip
    condition = forms.ChoiceField(
        choices=Level.Condition.choices, initial=Level.Condition.SELLABLE, widget=UnfoldAdminSelectWidget
    )
    expires_on = forms.DateField(
        required=False, widget=UnfoldAdminDateWidget, help_text="Of a batch that is not known yet."
    )
    owner = forms.CharField(
        max_length=40, required=False, widget=UnfoldAdminTextInputWidget, help_text="A partner's code; empty: ours."
    )

    def clean_sku(self) -> Variant:
        return stocked(self.cleaned_data["sku"])

    def clean_owner(self) -> Partner | None:
        return partner_of(self.cleaned_data["owner"])

    def focus_where_the_next_scan_goes(self) -> None:
        """A scanner ends each scan with Enter: what is still missing gets the cursor."""
        missing = next(iter(self.errors), None) if self.is_bound else None
        self.fields[missing if missing in self.fields else "sku"].widget.attrs["autofocus"] = True


class PostingForm(BaseDialogForm):
    close_uncounted = forms.BooleanField(
        required=False, widget=UnfoldBooleanSwitchWidget, label="Leave places not counted as they are"
    )


def words_of(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


class CountLineInline(LinesInline):
    """The places; in a blind count the book's number is there once a line is settled."""

    model = CountLine
    per_page = 50
    fields = readonly_fields = ("place", "product", "batch", "condition", "owner", "state", "first_counted", "counted",
                                "balance", "difference", "counted_by", "approved_by")  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("location", "variant", "batch", "owner")

    @admin.display(description="Bin")
    def place(self, line: CountLine) -> str:
        return line.location.code

    @admin.display(description="Product")
    def product(self, line: CountLine) -> str:
        return str(line.variant)

    @admin.display(description="Variance")
    def difference(self, line: CountLine) -> int | None:
        return line.variance


@admin.register(Count)
class CountAdmin(DocumentAdmin):
    list_display = ("number", "warehouse", "scope", "label", "is_blind", "opened_at", "actor")
    list_select_related = ("warehouse",)
    list_filter = ("state", "warehouse")
    search_fields = ("number__exact",)
    search_help_text = "A whole number"
    fields = (
        ("number", "state"),
        ("warehouse", "scope"),
        ("is_blind", "approval_value"),
        ("tolerance_units", "tolerance_percent"),
        ("opened_at", "ended_at"),
        ("actor", "version"),
    )
    inlines = (CountLineInline,)
    actions_list = ("open",)
    actions_detail = ("record", "post_this", "cancel_this")

    @display(description="State", ordering="state", label=COLOURS)
    def label(self, count: Count) -> tuple[str, str]:
        return count.state, count.get_state_display()

    @action(description="Open a count", icon="add_task", url_path="open", permissions=["step"])
    def open(self, request: HttpRequest) -> HttpResponse:
        form = OpeningForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            opened: list[Count] = []
            if refusal := try_operation(lambda: opened.append(open_as_said(form, request))):
                form.add_error(None, refusal)
            else:
                messages.success(request, f"{opened[0]} is open.")
                return redirect("admin:stock_count_record", opened[0].pk)
        return self.page(request, "open", {"form": form, "title": "Open a count"})

    @action(description="Record", icon="barcode_scanner", url_path="record", permissions=["step"])
    def record(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """One place after the other; the bin stays until another is scanned."""
        count = get_object_or_404(self.get_queryset(request).select_related("warehouse"), pk=object_id)
        form = RecordingForm(request.POST or None, initial={"place": request.GET.get("place", "")})
        if request.method == "POST" and form.is_valid():
            if not cache.add(f"count-form:{request.POST.get('sending')}"[:120], 1, SENT_SECONDS):
                messages.warning(request, "This was sent twice; it is written down once.")
                return redirect("admin:stock_count_record", count.pk)
            lines: list[CountLine] = []
            if refusal := try_operation(lambda: lines.extend(record_as_said(count, form, request))):
                form.add_error(None, refusal)
            else:
                say_recorded(request, lines[0], form.cleaned_data["sku"])
                page = reverse("admin:stock_count_record", args=[count.pk])
                return redirect(f"{page}?place={lines[0].location.code}")
        form.focus_where_the_next_scan_goes()
        context = {
            "form": form,
            "title": f"Record {count}",
            "count": count,
            "places": next_places(count),
            "sending": secrets.token_hex(8),
        }
        return self.page(request, "record", context)

    def page(self, request: HttpRequest, name: str, context: dict[str, Any]) -> HttpResponse:
        context = self.admin_site.each_context(request) | {"opts": Count._meta} | context
        return render(request, f"admin/stock/count/{name}.html", context)

    @action(
        description="Post",
        icon="task_alt",
        permissions=["step"],
        dialog=ask(
            "Post this count?",
            "The differences are booked. What came and went since a place was counted stays right.",
            "Post",
            PostingForm,
        ),
    )
    def post_this(self, request: HttpRequest, form: PostingForm, object_id: str) -> HttpResponse:
        count = get_object_or_404(self.get_queryset(request), pk=object_id)
        posted: list[Posted] = []
        post = partial(counting.post, count=count, actor=acting(request), at=timezone.now())
        leave_out = form.cleaned_data["close_uncounted"]
        if refusal := try_operation(lambda: posted.append(post(close_uncounted=leave_out))):
            messages.error(request, f"{count}: {refusal}")
        else:
            say_posted(request, posted[0])
        return back_to(request, reverse("admin:stock_count_change", args=[count.pk]))

    @action(
        description="Cancel",
        icon="block",
        permissions=["step"],
        dialog=ask("Cancel this count?", "Nothing of it is booked. This cannot be undone.", "Cancel it"),
    )
    def cancel_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.take_step(request, object_id, "cancelled", counting.cancel, "count")


def open_as_said(form: OpeningForm, request: HttpRequest) -> Count:
    """The form's words as the one operation they mean."""
    fields = dict(form.cleaned_data)
    scope = Scope(locations=fields.pop("locations"), skus=fields.pop("skus"), abc_class=fields.pop("abc_class"))
    return counting.open(
        warehouse=fields.pop("warehouse"),
        scope=scope,
        rules=Rules(**fields),
        actor=acting(request),
        at=timezone.now(),
    )


def record_as_said(count: Count, form: RecordingForm, request: HttpRequest) -> list[CountLine]:
    fields = dict(form.cleaned_data)
    found = Found(variant=fields.pop("sku"), **fields)
    return counting.record(count=count, found=[found], actor=acting(request), at=timezone.now())


def next_places(count: Count) -> list[tuple[CountLine, int | None]]:
    """The next lines to count; what the book says of them only where the count is not blind. Two queries."""
    rows = list(
        count.lines.filter(state__in=TO_COUNT).select_related("location", "variant", "batch", "owner")[:NEXT_PLACES]
    )
    book = {} if count.is_blind else queries.on_hand_of_lines([row.pk for row in rows])
    return [(row, book.get(row.pk)) for row in rows]


def say_recorded(request: HttpRequest, line: CountLine, variant: Variant) -> None:
    if line.state == CountLine.State.RECOUNT:
        messages.warning(request, f"{variant.sku}: count again, the number is not what the book says.")
    elif line.state == CountLine.State.APPROVAL:
        messages.info(request, f"{variant.sku}: {line.counted} written down; another person has to approve.")
    else:
        messages.success(request, f"{variant.sku}: {line.counted} written down.")


def say_posted(request: HttpRequest, posted: Posted) -> None:
    if posted.sent_back:
        messages.warning(
            request,
            f"Nothing was booked: {len(posted.sent_back)} places were set right by somebody else since they were"
            " counted. Count them again.",
        )
        return
    messages.success(request, f"{posted.count} posted.")
    for row in posted.unbooked[:10]:
        messages.warning(request, f"{row.quantity} more of {row.sku} were missing in {row.location} and have left.")


@admin.register(CountLine)
class CountLineAdmin(ReadOnlyAdmin):
    """The places of all counts; filtered by state, the desk of who approves."""

    list_display = ("product", "place", "batch", "label", "first_counted", "counted", "balance", "difference",
                    "counted_by")  # fmt: skip
    list_select_related = ("variant", "location__warehouse", "batch", "count")
    list_filter = ("state",)
    search_fields = ("count__number",)
    search_help_text = "SKU, name, batch, or a whole number of a count"
    fields = (
        ("count", "state"),
        ("location", "condition"),
        ("variant", "batch"),
        ("first_counted", "counted"),
        ("balance", "difference"),
        ("owner", "movement_id"),
        ("counted_by", "counted_at"),
        "approved_by",
    )
    readonly_fields = ("difference",)
    actions = ("approve", "reject")
    actions_detail = ("approve_this", "reject_this")

    @display(description="Product", header=True)
    def product(self, line: CountLine) -> list[str]:
        return named(line.variant)

    @display(description="Place, count", header=True)
    def place(self, line: CountLine) -> list[str]:
        return [str(line.location), line.count.number]

    @display(description="State", ordering="state", label=COLOURS)
    def label(self, line: CountLine) -> tuple[str, str]:
        return line.state, line.get_state_display()

    @display(description="Variance")
    def difference(self, line: CountLine) -> int | None:
        return line.variance

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        words = search_term.strip()
        if not words:
            return queryset, False
        count_ids = list(Count.objects.filter(number=words).values_list("pk", flat=True))
        return find(queryset, words, Q(count__in=count_ids)), False

    def has_step_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Lines are part of their count; who may change that decides on them."""
        return bool(request.user.has_perm("stock.change_count"))

    @admin.action(description="Approve", permissions=["step"])
    def approve(self, request: HttpRequest, queryset: Any) -> None:
        run_each(request, queryset, "approved", counting.approve, "line")

    @admin.action(description="Reject", permissions=["step"])
    def reject(self, request: HttpRequest, queryset: Any) -> None:
        run_each(request, queryset, "rejected", counting.reject, "line")

    @action(
        description="Approve",
        icon="check",
        permissions=["step"],
        dialog=ask("Approve this difference?", "It is booked when the count is posted.", "Approve"),
    )
    def approve_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.take_step(request, object_id, "approved", counting.approve, "line")

    @action(
        description="Reject",
        icon="undo",
        permissions=["step"],
        dialog=ask("Reject this difference?", "The place is counted again.", "Reject"),
    )
    def reject_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.take_step(request, object_id, "rejected", counting.reject, "line")
