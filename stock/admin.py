"""Staff pages of the stock book. Quantities cannot be typed over; they are moved."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from unfold.admin import TabularInline
from unfold.decorators import action
from unfold.widgets import (
    UnfoldAdminDateWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from catalog.models import Variant
from partners.admin import ReadOnlyAdmin, TracedAdmin, acting, run_each
from partners.problems import Problem
from stock.models import Allocation, Batch, Level, Location, Movement, Reservation, ReservationLine, Warehouse
from stock.operations import movements, reservations

BOOKABLE = ("receipt", "adjustment", "damage", "return", "writeOff", "transferOut", "transferIn")


class BookingForm(forms.Form):
    """A movement as the clerk says it: what, where, how many, why."""

    kind = forms.ChoiceField(
        choices=[(kind, Movement.Kind(kind).label) for kind in BOOKABLE], widget=UnfoldAdminSelectWidget, label="What"
    )
    sku = forms.CharField(max_length=64, widget=UnfoldAdminTextInputWidget, label="SKU")
    warehouse = forms.ModelChoiceField(Warehouse.objects.all(), widget=UnfoldAdminSelectWidget)
    quantity = forms.IntegerField(
        min_value=-(10**12), max_value=10**12, widget=UnfoldAdminIntegerFieldWidget,
        help_text="Stock units; only an adjustment may be negative.",
    )  # fmt: skip
    batch_number = forms.CharField(max_length=60, required=False, widget=UnfoldAdminTextInputWidget)
    expires_on = forms.DateField(required=False, widget=UnfoldAdminDateWidget)
    reason = forms.CharField(max_length=200, widget=UnfoldAdminTextInputWidget)

    def clean_quantity(self) -> int:
        quantity: int = self.cleaned_data["quantity"]
        if quantity == 0:
            raise forms.ValidationError("Nothing would move.")
        return quantity

    def clean_sku(self) -> Variant:
        variant = Variant.objects.stocked().filter(sku=self.cleaned_data["sku"]).first()
        if variant is None:
            raise forms.ValidationError("There is no product with this SKU that can be stocked.")
        return variant


class LocationInline(TabularInline):
    model = Location
    extra = 0
    fields = ("code", "is_default")


@admin.register(Warehouse)
class WarehouseAdmin(TracedAdmin):
    list_display = ("code", "name", "city", "country", "time_zone", "operator", "is_active")
    list_select_related = ("operator",)
    search_fields = ("code", "name")
    autocomplete_fields = ("operator",)
    inlines = (LocationInline,)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("code",) if obj else ()

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:  # noqa: FBT001  Django's
        super().save_related(request, form, formsets, change)
        if not form.instance.locations.filter(is_default=True).exists():
            Location.objects.create(warehouse=form.instance, code="MAIN", is_default=True)


@admin.register(Location)
class LocationAdmin(ReadOnlyAdmin):
    list_display = ("code", "warehouse", "kind", "is_default")
    list_select_related = ("warehouse",)
    list_filter = ("kind", "warehouse")
    search_fields = ("code",)


@admin.register(Batch)
class BatchAdmin(TracedAdmin):
    list_display = ("number", "variant", "expires_on", "hold_state", "supplier")
    list_select_related = ("variant", "supplier")
    list_filter = ("hold_state",)
    search_fields = ("number", "variant__sku")
    autocomplete_fields = ("variant", "supplier")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("variant", "number", "created_at") if obj else ("created_at",)


@admin.register(Level)
class LevelAdmin(ReadOnlyAdmin):
    list_display = ("variant", "location", "batch", "condition", "on_hand", "reserved", "free", "updated_at")
    list_select_related = ("variant", "location__warehouse", "batch")
    list_filter = ("condition", "location__warehouse")
    search_fields = ("variant__sku", "variant__name", "batch__number")
    actions_list = ("book",)

    @admin.display(description="Available")
    def free(self, level: Level) -> int:
        return level.available

    def has_book_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("stock.change_level"))

    @action(description="Book a movement", url_path="book", permissions=["book"])
    def book(self, request: HttpRequest) -> HttpResponse:
        """Receive, adjust, write off …: one form, one operation, one row in the ledger."""
        form = BookingForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            fields = dict(form.cleaned_data)
            variant: Any = fields.pop("sku")
            try:
                movements.book(variant=variant, **fields, actor=acting(request), at=timezone.now())
            except Problem as problem:
                found = problem.data.get("errors") or [{"detail": problem.detail}]
                form.add_error(None, " ".join(row["detail"] for row in found))
            else:
                messages.success(request, f"Booked: {fields['quantity']} of {variant.sku}.")
                return redirect("admin:stock_level_changelist")
        context = self.admin_site.each_context(request) | {
            "form": form,
            "title": "Book a movement",
            "opts": Level._meta,
        }
        return render(request, "admin/stock/level/book.html", context)


@admin.register(Movement)
class MovementAdmin(ReadOnlyAdmin):
    list_display = (
        "id",
        "kind",
        "variant",
        "quantity",
        "from_place",
        "to_place",
        "batch",
        "reference",
        "actor",
        "occurred_at",
    )
    list_select_related = ("variant", "batch", "from_location__warehouse", "to_location__warehouse")
    list_filter = ("kind",)
    search_fields = ("variant__sku", "reference", "batch__number")

    @admin.display(description="From")
    def from_place(self, movement: Movement) -> str:
        return f"{movement.from_location} {movement.from_condition}"

    @admin.display(description="To")
    def to_place(self, movement: Movement) -> str:
        return f"{movement.to_location} {movement.to_condition}"


class ReservationLineInline(TabularInline):
    model = ReservationLine
    extra = 0
    can_delete = False
    fields = readonly_fields = ("variant", "warehouse_code", "quantity")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Reservation)
class ReservationAdmin(ReadOnlyAdmin):
    list_display = ("reference", "partner", "channel", "state", "expires_at", "created_at", "actor")
    list_select_related = ("partner",)
    list_filter = ("state",)
    search_fields = ("reference",)
    inlines = (ReservationLineInline,)
    actions = ("release",)

    @admin.action(description="Release the promise", permissions=["view"])
    def release(self, request: HttpRequest, queryset: Any) -> None:
        if not request.user.has_perm("stock.change_level"):
            messages.error(request, "You may look at reservations, not release them.")
            return
        run_each(request, queryset, "released", reservations.release, "reservation")


@admin.register(Allocation)
class AllocationAdmin(ReadOnlyAdmin):
    list_display = ("line", "level", "quantity", "consumed", "freed")
    list_select_related = ("line", "level")
