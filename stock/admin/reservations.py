"""Promises: made for a customer on the phone, kept longer, kept, and given back."""

from __future__ import annotations

from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from partners.admin import LinesInline, ReadOnlyAdmin, acting, ask, run_each, try_operation
from partners.models import Partner
from stock.admin.pages import ProductRowsField, SerialNumbersField, partner_of, show_form
from stock.admin.search import named
from stock.models import Allocation, Reservation, ReservationLine, Warehouse
from stock.operations import reservations
from stock.operations.promising import Wanted
from stock.operations.reservations import SECONDS_DEFAULT, SECONDS_MAX


class MinutesField(forms.IntegerField):
    """How long a promise runs, as people say it."""

    def __init__(self, **kwargs: Any) -> None:
        said = {"min_value": 1, "max_value": SECONDS_MAX // 60, "initial": SECONDS_DEFAULT // 60, "label": "Minutes"}
        super().__init__(**said | {"widget": UnfoldAdminIntegerFieldWidget} | kwargs)

    def clean(self, value: Any) -> int:
        """In seconds."""
        return int(super().clean(value)) * 60


class ReserveForm(forms.Form):
    """What a customer on the phone is promised, and until when."""

    partner = forms.CharField(
        max_length=40, required=False, widget=UnfoldAdminTextInputWidget,
        help_text="The customer's partner code. Empty: for ourselves, of all our stock.",
    )  # fmt: skip
    lines = ProductRowsField(
        label="Products", word="warehouse code", word_max=40,
        help_text="A row for each product: SKU, quantity in stock units and, if it must be from there, the warehouse's"
        " code. What expires first is promised first.",
    )  # fmt: skip
    reference = forms.CharField(
        max_length=120, widget=UnfoldAdminTextInputWidget,
        help_text="The customer's name or number for it. The same reference with the same products is not reserved"
        " twice.",
    )  # fmt: skip
    seconds = MinutesField(
        help_text="Then the stock is free for others again. It can be extended on the reservation's page."
    )
    channel = forms.CharField(
        max_length=40, required=False, widget=UnfoldAdminTextInputWidget,
        help_text="Like phone or web: its guarantees and caps count. Empty: none of them.",
    )  # fmt: skip
    is_all_or_nothing = forms.BooleanField(
        required=False, initial=True, widget=UnfoldBooleanSwitchWidget, label="All or nothing",
        help_text="Off: what there is of it is reserved.",
    )  # fmt: skip

    def clean_partner(self) -> Partner | None:
        partner = partner_of(self.cleaned_data["partner"].strip())
        if partner and partner.status != Partner.Status.ACTIVE:
            raise forms.ValidationError(f"{partner} is suspended.")
        return partner

    def clean_lines(self) -> list[Wanted]:
        rows: list[tuple[Any, int, str]] = self.cleaned_data["lines"]
        named_codes = {code for _, _, code in rows if code}
        known = set(Warehouse.objects.filter(code__in=named_codes).values_list("code", flat=True))
        if unknown := sorted(named_codes - known):
            raise forms.ValidationError(f"There is no warehouse {', '.join(unknown)}.")
        if not rows:
            raise forms.ValidationError("Name at least one product.")
        return [Wanted(variant=variant, quantity=quantity, warehouse_code=code) for variant, quantity, code in rows]


class ExtendForm(BaseDialogForm):
    seconds = MinutesField(label="Minutes from now")


class CommitForm(BaseDialogForm):
    reference = forms.CharField(
        max_length=120, required=False, widget=UnfoldAdminTextInputWidget,
        help_text="Written on the movements, like a delivery note's number. Empty: the reservation's own.",
    )  # fmt: skip
    serials = SerialNumbersField()


class ReservationLineInline(LinesInline):
    """What was asked for; below it, where it is kept."""

    model = ReservationLine
    fields = readonly_fields = ("variant", "warehouse_code", "quantity", "kept")

    def get_queryset(self, request: HttpRequest) -> Any:
        rows = super().get_queryset(request).select_related("variant")
        return rows.prefetch_related("allocations__level__location__warehouse", "allocations__level__batch")

    @admin.display(description="Kept at (units still promised)")
    def kept(self, line: ReservationLine) -> str:
        return "; ".join(
            f"{row.level.location}{f' batch {row.level.batch}' if row.level.batch else ''}: {row.open_quantity}"
            for row in line.allocations.all()
        )


@admin.register(Reservation)
class ReservationAdmin(ReadOnlyAdmin):
    list_display = ("reference", "partner", "channel", "label", "expires_at", "created_at", "actor")
    list_select_related = ("partner",)
    list_filter = ("state", "channel")
    search_fields = ("reference__exact",)
    search_help_text = "A whole reference"
    fields = (
        ("reference", "public_id"),
        ("partner", "channel"),
        ("state", "expires_at", "extensions"),
        ("created_at", "ended_at"),
        ("actor", "version"),
    )
    inlines = (ReservationLineInline,)
    actions_list = ("reserve",)
    actions = ("release",)
    actions_detail = ("extend_this", "commit_this", "release_this")

    @display(
        description="State",
        ordering="state",
        label={"open": "info", "committed": "success", "released": "", "expired": "warning"},
    )
    def label(self, reservation: Reservation) -> tuple[str, str]:
        return reservation.state, reservation.get_state_display()

    def has_step_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """To give stock back is to change levels; nobody has a permission over reservations themselves."""
        return bool(request.user.has_perm("stock.change_level"))

    @action(description="Reserve", icon="bookmark_add", url_path="reserve", permissions=["step"])
    def reserve(self, request: HttpRequest) -> HttpResponse:
        """Promise stock to a customer on the phone."""
        form = ReserveForm(request.POST or None, initial={"lines": request.GET.get("lines", "")})
        if request.method == "POST" and form.is_valid():
            made: list[tuple[Reservation, bool]] = []
            reserve = partial(reservations.reserve, actor=acting(request), at=timezone.now())
            fields = {"wanted" if name == "lines" else name: value for name, value in form.cleaned_data.items()}
            if refusal := try_operation(lambda: made.append(reserve(**fields))):
                form.add_error(None, refusal)
            else:
                say_reserved(request, *made[0])
                return redirect("admin:stock_reservation_change", made[0][0].pk)
        says = "The stock is kept for the customer and nothing moves yet."
        return show_form(self, request, form, title="Reserve", verb="Reserve", says=says)

    @action(
        description="Extend",
        icon="more_time",
        permissions=["step"],
        dialog=ask("Keep it longer?", "It runs at least so long from now; twice at most.", "Extend", ExtendForm),
    )
    def extend_this(self, request: HttpRequest, form: ExtendForm, object_id: str) -> HttpResponse:
        extend = partial(reservations.extend, seconds=form.cleaned_data["seconds"])
        return self.take_step(request, object_id, "extended", extend, "reservation")

    @action(
        description="Commit",
        icon="outbox",
        permissions=["step"],
        dialog=ask(
            "Do the goods leave now?",
            "All that is still promised leaves the shelf and goes to the customer. This cannot be undone.",
            "Commit",
            CommitForm,
        ),
    )
    def commit_this(self, request: HttpRequest, form: CommitForm, object_id: str) -> HttpResponse:
        said = {name: form.cleaned_data[name] for name in ("reference", "serials")}
        commit = partial(reservations.commit, **said)
        return self.take_step(request, object_id, "committed", commit, "reservation")

    @admin.action(description="Release", permissions=["step"])
    def release(self, request: HttpRequest, queryset: Any) -> None:
        run_each(request, queryset, "released", reservations.release, "reservation")

    @action(
        description="Release",
        icon="lock_open",
        permissions=["step"],
        dialog=ask("Release this promise?", "Its stock is free for others at once.", "Release"),
    )
    def release_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.take_step(request, object_id, "released", reservations.release, "reservation")


def say_reserved(request: HttpRequest, reservation: Reservation, is_new: bool) -> None:  # noqa: FBT001  as the operation answers
    """A reference that stands already is no new promise, and the clerk is to know it."""
    if not is_new:
        messages.warning(request, f"{reservation.reference} was reserved before; nothing was promised twice.")
    else:
        messages.success(request, f"{reservation.reference} is reserved until {reservation.expires_at:%H:%M} UTC.")


@admin.register(Allocation)
class AllocationAdmin(ReadOnlyAdmin):
    list_display = ("id", "reservation", "product", "place", "batch", "quantity", "consumed", "freed")
    list_select_related = (
        "line__reservation",
        "level__variant",
        "level__location__warehouse",
        "level__batch",
    )

    @display(description="Reservation")
    def reservation(self, row: Allocation) -> str:
        return row.line.reservation.reference

    @display(description="Product", header=True)
    def product(self, row: Allocation) -> list[str]:
        return named(row.level.variant)

    @display(description="Place")
    def place(self, row: Allocation) -> str:
        return str(row.level.location)

    @display(description="Batch")
    def batch(self, row: Allocation) -> str:
        return str(row.level.batch or "-")
