"""Levels and movements: looked at, and written by one form that books a movement."""

from __future__ import annotations

from functools import partial
from typing import Any, cast
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from unfold.decorators import action, display
from unfold.widgets import (
    UnfoldAdminDateWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from catalog.models import Variant
from partners.admin import ReadOnlyAdmin, acting, try_operation
from partners.models import Partner
from partners.problems import InvalidInput
from stock.admin.moving import BreakForm, MoveForm, OwnerForm, break_as_said, change_owner_as_said
from stock.admin.pages import SerialNumbersField, bin_of, partner_of, show_form, stocked
from stock.admin.search import find, named
from stock.models import Level, Movement, Reason, Warehouse
from stock.operations import movements, moving

COUNT = "count"
# What staff may book by hand, in their words.
BOOKABLE = {
    "receipt": "Receive, from a supplier",
    "adjustment": "Adjust, what was found or lost",
    COUNT: "Count, all that lies there",
    "damage": "Damage, sellable units to damaged",
    "writeOff": "Write off, sellable units to scrap",
    "quarantine": "Quarantine, sellable units held back",
    "lift": "Lift, quarantined units back on sale",
    "return": "Take back, from a customer into quarantine",
    "transferOut": "Send by hand, without a transfer document",
    "transferIn": "Take in by hand, without a transfer document",
}
SERIALS_MAX = 1_000
REASONS_MAX = 200


class BookingForm(forms.Form):
    """A movement as the clerk says it: what, where, how many, why."""

    is_in_columns = True

    kind = forms.ChoiceField(choices=list(BOOKABLE.items()), widget=UnfoldAdminSelectWidget, label="What")
    sku = forms.CharField(max_length=64, widget=UnfoldAdminTextInputWidget, label="SKU")
    warehouse = forms.ModelChoiceField(Warehouse.objects.all(), widget=UnfoldAdminSelectWidget)
    bin = forms.CharField(
        max_length=40, required=False, widget=UnfoldAdminTextInputWidget, help_text="Empty: the warehouse's default."
    )
    quantity = forms.IntegerField(
        min_value=-(10**12), max_value=10**12, widget=UnfoldAdminIntegerFieldWidget,
        help_text="Stock units; only an adjustment may be negative. For a count: all that lies there, sellable.",
    )  # fmt: skip
    batch_number = forms.CharField(
        max_length=60,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="Needed where the product is tracked by batch.",
    )
    expires_on = forms.DateField(
        required=False, widget=UnfoldAdminDateWidget, help_text="Of a batch that is not known yet."
    )
    supplier = forms.CharField(
        max_length=40, required=False, widget=UnfoldAdminTextInputWidget,
        help_text="Of a batch that is not known yet: the partner code of who made or sold it.",
    )  # fmt: skip
    listed_reason = forms.ChoiceField(
        required=False, widget=UnfoldAdminSelectWidget, label="Reason",
        help_text="Says where lost units go: lost, scrap, or used by ourselves.",
    )  # fmt: skip
    reason = forms.CharField(
        max_length=200, required=False, widget=UnfoldAdminTextInputWidget, label="Or in your own words",
        help_text="One of the two is needed.",
    )  # fmt: skip
    reference = forms.CharField(
        max_length=120, required=False, widget=UnfoldAdminTextInputWidget,
        help_text="The paper it is on, like a delivery note's number.",
    )  # fmt: skip
    owner = forms.CharField(
        max_length=40, required=False, widget=UnfoldAdminTextInputWidget,
        help_text="Whose goods these are: a partner's code. Empty: ours.",
    )  # fmt: skip
    condition = forms.ChoiceField(
        choices=Level.Condition, required=False, widget=UnfoldAdminSelectWidget,
        help_text="Of units that are adjusted or written off; any other movement has its own.",
    )  # fmt: skip
    serials = SerialNumbersField(help_text=f"Each unit, where the product is tracked by them; up to {SERIALS_MAX:,}.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = list(Reason.objects.filter(is_active=True)[:REASONS_MAX])
        listed = cast(forms.ChoiceField, self.fields["listed_reason"])
        listed.choices = [
            ("", "In your own words"),
            *(
                (operation.label, [(row.code, row.name) for row in rows if row.operation == operation])
                for operation in Reason.Operation
            ),
        ]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        code = cleaned.pop("listed_reason", "")
        if code and cleaned.get("kind", COUNT) != COUNT and not self.fits(code, cleaned["kind"]):
            self.add_error("listed_reason", "This is a reason for another kind of movement.")
        if not code and not cleaned.get("reason"):
            self.add_error("reason", "Say why, by the list or in your own words.")
        cleaned["reason"] = code or cleaned.get("reason", "")
        cleaned["location"] = bin_of(self, cleaned)
        cleaned["condition"] = cleaned.get("condition") or Level.Condition.SELLABLE
        return cleaned

    def fits(self, code: str, kind: str) -> bool:
        return Reason.objects.filter(code=code, operation=kind).exists()

    def clean_serials(self) -> tuple[str, ...]:
        numbers: tuple[str, ...] = self.cleaned_data["serials"]
        if len(numbers) > SERIALS_MAX:
            raise forms.ValidationError(f"At most {SERIALS_MAX:,} at once.")
        return numbers

    def clean_supplier(self) -> Partner | None:
        return partner_of(self.cleaned_data["supplier"])

    def clean_owner(self) -> Partner | None:
        return partner_of(self.cleaned_data["owner"])

    def clean_quantity(self) -> int:
        quantity: int = self.cleaned_data["quantity"]
        is_count = self.cleaned_data.get("kind") == COUNT
        if quantity == 0 and not is_count:
            raise forms.ValidationError("Nothing would move.")
        if quantity < 0 and is_count:
            raise forms.ValidationError("Less than nothing cannot lie there.")
        return quantity

    def clean_sku(self) -> Variant:
        return stocked(self.cleaned_data["sku"])


@admin.register(Level)
class LevelAdmin(ReadOnlyAdmin):
    list_display = ("product", "place", "batch", "condition", "owner", "on_hand", "reserved", "free", "updated_at")
    list_select_related = ("variant", "location__warehouse", "batch", "owner")
    list_filter = ("condition", "location__warehouse")
    search_fields = ("variant__sku",)
    search_help_text = "SKU, name or batch"
    fields = (
        ("variant", "location"),
        ("batch", "condition"),
        ("owner", "updated_at"),
        ("on_hand", "reserved"),
        ("free", "version"),
    )
    readonly_fields = ("free",)
    actions_list = ("book", "move", "break_pack", "change_owner")
    actions_detail = ("book_here", "move_from_here")

    @display(description="Product", header=True)
    def product(self, level: Level) -> list[str]:
        return named(level.variant)

    @display(description="Place", wrapper_class="whitespace-nowrap")
    def place(self, level: Level) -> str:
        return str(level.location)

    @display(description="Available")
    def free(self, level: Level) -> int:
        return level.available

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        return (find(queryset, search_term) if search_term.strip() else queryset), False

    def has_book_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("stock.change_level"))

    @action(description="Book a movement", icon="swap_vert", url_path="book", permissions=["book"])
    def book(self, request: HttpRequest) -> HttpResponse:
        """Receive, adjust, count, write off …: one form, one operation, one row in the ledger."""
        form = BookingForm(request.POST or None, initial=request.GET.dict())
        if request.method == "POST" and form.is_valid():
            if refusal := try_operation(partial(book_as_said, form, request)):
                form.add_error(None, refusal)
            else:
                variant: Variant = form.cleaned_data["sku"]
                messages.success(request, f"Booked: {form.cleaned_data['quantity']:,} of {variant.sku}.")
                return self.back_from_form(request, variant)
        says = "One movement, one row in the ledger. Where it takes promised units, the youngest promises are broken."
        return show_form(self, request, form, title="Book a movement", verb="Book", says=says)

    @action(description="Move between bins", icon="move_down", url_path="move", permissions=["book"])
    def move(self, request: HttpRequest) -> HttpResponse:
        """Put goods away: from one bin of a warehouse into another."""
        form = MoveForm(request.POST or None, initial={"condition": "sellable"} | request.GET.dict())
        if request.method == "POST" and form.is_valid():
            fields = dict(form.cleaned_data)
            variant: Variant = fields.pop("sku")
            move = partial(moving.move, variant=variant, actor=acting(request), at=timezone.now(), **fields)
            if refusal := try_operation(move):
                form.add_error(None, refusal)
            else:
                messages.success(request, f"Moved {fields['quantity']:,} of {variant.sku} to {fields['to_code']}.")
                return self.back_from_form(request, variant)
        says = "Goods are put away: they stay in the warehouse, and what is promised of them stays promised."
        return show_form(self, request, form, title="Move between bins", verb="Move", says=says)

    @action(description="Book a movement", icon="swap_vert", permissions=["book"])
    def book_here(self, request: HttpRequest, object_id: str) -> HttpResponse:
        kinds = {"sellable": "adjustment", "quarantine": "lift"}
        level = self.found(request, object_id)
        return open_with("book", level, kind=kinds.get(level.condition, "receipt"), bin=level.location.code)

    @action(description="Move to another bin", icon="move_down", permissions=["book"])
    def move_from_here(self, request: HttpRequest, object_id: str) -> HttpResponse:
        level = self.found(request, object_id)
        return open_with("move", level, from_code=level.location.code, condition=level.condition)

    def found(self, request: HttpRequest, object_id: str) -> Level:
        rows = self.get_queryset(request).select_related(*self.list_select_related)
        return cast(Level, get_object_or_404(rows, pk=object_id))

    def back_from_form(self, request: HttpRequest, variant: Variant) -> HttpResponse:
        """To the product where the form was opened from there, else to the list."""
        if "sku" in request.GET and request.user.has_perm("catalog.view_variant"):
            return redirect("admin:catalog_variant_change", variant.pk)
        return redirect("admin:stock_level_changelist")

    @action(description="Break or pack", icon="unarchive", url_path="break", permissions=["book"])
    def break_pack(self, request: HttpRequest) -> HttpResponse:
        """Open packs into their units where they lie, or pack units again."""
        form = BreakForm(request.POST or None, initial=request.GET.dict())
        if request.method == "POST" and form.is_valid():
            if refusal := try_operation(partial(break_as_said, form, request)):
                form.add_error(None, refusal)
            else:
                is_open = form.cleaned_data["direction"] == "open"
                said = "packs opened of" if is_open else "units packed into"
                messages.success(request, f"{form.cleaned_data['quantity']:,} {said} {form.cleaned_data['sku'].sku}.")
                return redirect("admin:stock_level_changelist")
        says = "Whole packs become the units in them, or units become packs; only what is promised to nobody."
        return show_form(self, request, form, title="Break or pack", verb="Convert", says=says)

    @action(description="Change the owner", icon="swap_horiz", url_path="owner", permissions=["book"])
    def change_owner(self, request: HttpRequest) -> HttpResponse:
        """Take over what is consigned to us, or consign what is ours, where it lies."""
        form = OwnerForm(request.POST or None, initial=request.GET.dict())
        if request.method == "POST" and form.is_valid():
            if refusal := try_operation(partial(change_owner_as_said, form, request)):
                form.add_error(None, refusal)
            else:
                owner = form.cleaned_data["owner"] if form.cleaned_data["direction"] == "consign" else "us"
                variant: Variant = form.cleaned_data["sku"]
                messages.success(request, f"{form.cleaned_data['quantity']:,} of {variant.sku} belong to {owner} now.")
                return self.back_from_form(request, variant)
        says = "The goods stay where they lie and change hands; only what is promised to nobody does."
        return show_form(self, request, form, title="Change the owner", verb="Hand over", says=says)


def open_with(page: str, level: Level, **said: str) -> HttpResponse:
    """One of the forms, with what is known of this place filled in."""
    known: dict[str, Any] = {
        "sku": level.variant.sku,
        "warehouse": level.location.warehouse_id,
        "batch_number": level.batch.number if level.batch else "",
        "owner": level.owner.code if level.owner else "",
    }
    return redirect(f"{reverse(f'admin:stock_level_{page}')}?{urlencode(known | said)}")


def book_as_said(form: BookingForm, request: HttpRequest) -> None:
    """The form's words as the one operation they mean."""
    fields = dict(form.cleaned_data)
    kind, quantity, variant = fields.pop("kind"), fields.pop("quantity"), fields.pop("sku")
    who_and_when: dict[str, Any] = {"actor": acting(request), "at": timezone.now()}
    if kind != COUNT:
        movements.book(kind=kind, variant=variant, quantity=quantity, **fields, **who_and_when)
        return
    is_other = fields.pop("condition") != Level.Condition.SELLABLE
    if any([fields.pop("location"), fields.pop("owner"), fields.pop("serials"), is_other]):
        raise InvalidInput.at(
            "bin", "This count is of our sellable units in the default bin; open a count for anything else."
        )
    movements.set_level(variant=variant, on_hand=quantity, **fields, **who_and_when)


@admin.register(Movement)
class MovementAdmin(ReadOnlyAdmin):
    list_display = ("what", "product", "quantity", "from_place", "to_place", "batch", "why", "occurred_at")
    list_select_related = ("variant", "batch", "from_location__warehouse", "to_location__warehouse")
    list_filter = ("kind",)
    search_fields = ("reference",)
    search_help_text = "SKU, name, batch, or a whole reference or request id"

    @display(description="Product", header=True)
    def product(self, movement: Movement) -> list[str]:
        return named(movement.variant)

    @display(description="Movement", ordering="id", header=True)
    def what(self, movement: Movement) -> list[str]:
        return [movement.get_kind_display(), f"#{movement.pk}"]

    @display(description="Reference, by", header=True)
    def why(self, movement: Movement) -> list[str]:
        return [movement.reference or movement.reason, movement.actor]

    @display(description="From", header=True)
    def from_place(self, movement: Movement) -> list[str]:
        return [str(movement.from_location), movement.from_condition]

    @display(description="To", header=True)
    def to_place(self, movement: Movement) -> list[str]:
        return [str(movement.to_location), movement.to_condition]

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        words = search_term.strip()
        others = (Q(reference=words), Q(request_id=words))
        return (find(queryset, words, *others) if words else queryset), False
