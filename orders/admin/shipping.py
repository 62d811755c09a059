"""When and how parcels leave and where they go: services, calendars, collections, places, and what was promised by
them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.text import capfirst
from unfold.decorators import display

from orders.models import (
    CalendarDay,
    CarrierService,
    DeliveryPromise,
    Pickup,
    Place,
    ShippingCalendar,
    TransitTime,
    WorkingHours,
)
from orders.models.shipping import WEEKDAYS, WeekdaysField
from partners.admin import ChoosingAdmin, ChoosingInline, ReadOnlyAdmin, TracedAdmin


class WeekdaysFormField(forms.TypedMultipleChoiceField):
    """Days of the week to tick."""

    def __init__(self, **kwargs: Any) -> None:
        kept = {name: kwargs[name] for name in ("label", "help_text", "initial", "required") if name in kwargs}
        super().__init__(choices=WEEKDAYS, coerce=int, widget=forms.CheckboxSelectMultiple, **kept)


class WeekdaysAdmin(ChoosingAdmin):
    """A page with such fields."""

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if isinstance(db_field, WeekdaysField):
            return WeekdaysFormField(
                label=capfirst(db_field.verbose_name), help_text=db_field.help_text, initial=db_field.get_default()
            )
        return super().formfield_for_dbfield(db_field, request, **kwargs)


def spelled(weekdays: list[int]) -> str:
    names = dict(WEEKDAYS)
    return "every day" if len(set(weekdays)) == 7 else ", ".join(names[day] for day in sorted(weekdays))


class TransitTimeInline(ChoosingInline):
    model = TransitTime
    extra = 0
    per_page = 50
    autocomplete_fields = ("warehouse",)
    fields = ("warehouse", "country", "postal_prefix", "days")


@admin.register(CarrierService)
class CarrierServiceAdmin(WeekdaysAdmin, TracedAdmin):
    list_display = ("code", "carrier", "name", "rank", "moves", "delivers", "is_active")
    search_fields = ("code__holds", "carrier__holds", "name__holds")
    search_help_text = "Code, carrier or name"
    fieldsets = (
        (None, {"fields": (("code", "is_active"), ("carrier", "name"), ("rank", "cutoff"))}),
        ("Its days", {"fields": ("moves_on", "delivers_on", "keeps_holidays")}),
    )
    inlines = (TransitTimeInline,)

    @display(description="Moves")
    def moves(self, service: CarrierService) -> str:
        return spelled(service.moves_on)

    @display(description="Delivers")
    def delivers(self, service: CarrierService) -> str:
        return spelled(service.delivers_on)


class WorkingHoursInline(ChoosingInline):
    model = WorkingHours
    extra = 0
    fields = ("opens_at", "closes_at", "capacity")


class CalendarDayInline(ChoosingInline):
    model = CalendarDay
    extra = 0
    per_page = 50
    fields = ("on", "is_open", "note")


@admin.register(ShippingCalendar)
class ShippingCalendarAdmin(WeekdaysAdmin, TracedAdmin):
    list_display = ("warehouse", "works", "cutoff", "lead_minutes", "backlog_days")
    list_select_related = ("warehouse",)
    search_fields = ("warehouse__code__holds",)
    search_help_text = "Warehouse code"
    autocomplete_fields = ("warehouse",)
    fieldsets = (
        (None, {"fields": ("warehouse", "works_on", "keeps_holidays", "cutoff")}),
        ("Work", {"fields": (("lead_minutes", "lead_is_working"), ("backlog_days", "counts"))}),
    )
    inlines = (WorkingHoursInline, CalendarDayInline)

    @display(description="Works")
    def works(self, calendar: ShippingCalendar) -> str:
        return spelled(calendar.works_on)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("warehouse",) if obj else ()


@admin.register(Pickup)
class PickupAdmin(WeekdaysAdmin, TracedAdmin):
    list_display = ("warehouse", "service", "ready_by", "leaves_at", "collected")
    list_select_related = ("warehouse", "service")
    list_filter = ("warehouse", "service")
    autocomplete_fields = ("warehouse", "service")
    fields = (("warehouse", "service"), ("ready_by", "leaves_at"), "weekdays")

    @display(description="On")
    def collected(self, pickup: Pickup) -> str:
        return spelled(pickup.weekdays)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing leans on a collection, and its history stays."""
        return bool(request.user.has_perm("orders.change_pickup"))


@admin.register(DeliveryPromise)
class DeliveryPromiseAdmin(ReadOnlyAdmin):
    list_display = ("public_id", "partner", "promise_date", "order", "asked_at", "valid_until")
    list_select_related = ("partner", "order")
    search_fields = ("public_id__exact", "order__number__exact")
    search_help_text = "A whole promise id or order number"
    fields = (
        ("public_id", "partner"),
        ("promise_date", "order"),
        ("asked_at", "valid_until"),
        "asked",
        "answer",
        "inputs",
        "version",
    )


@admin.register(Place)
class PlaceAdmin(ReadOnlyAdmin):
    list_display = ("country", "postal_code", "city", "region", "latitude", "longitude")
    search_fields = ("postal_code__exact",)
    search_help_text = "A whole postal code"
