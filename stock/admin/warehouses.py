"""Where stock lies, and the batches it is of."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import TabularInline
from unfold.decorators import display

from partners.admin import ReadOnlyAdmin, TracedAdmin
from stock.admin.search import named
from stock.models import Batch, Location, Warehouse


class LocationInline(TabularInline):
    model = Location
    extra = 0
    can_delete = False
    per_page = 50
    fields = ("code", "is_default")


@admin.register(Warehouse)
class WarehouseAdmin(TracedAdmin):
    list_display = ("code", "name", "city", "country", "time_zone", "operator", "is_active")
    list_select_related = ("operator",)
    search_fields = ("code__holds", "name__holds")
    search_help_text = "Code or name"
    autocomplete_fields = ("operator",)
    fieldsets = (
        (None, {"fields": (("code", "is_active"), "name", ("time_zone", "gln"), ("operator", "system_of_record"))}),
        (
            "Address",
            {"fields": ("street", ("postal_code", "city"), ("region", "country"), ("latitude", "longitude"))},
        ),
    )
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
    search_fields = ("code__exact",)


@admin.register(Batch)
class BatchAdmin(TracedAdmin):
    list_display = ("number", "product", "expires_on", "state", "supplier")
    list_select_related = ("variant", "supplier")
    list_filter = ("hold_state",)
    search_fields = ("number__holds", "variant__sku__holds")
    search_help_text = "Batch number or SKU"
    autocomplete_fields = ("variant", "supplier")

    @display(description="Product", header=True)
    def product(self, batch: Batch) -> list[str]:
        return named(batch.variant)

    @display(
        description="State",
        ordering="hold_state",
        label={"released": "success", "quarantined": "warning", "recalled": "danger"},
    )
    def state(self, batch: Batch) -> tuple[str, str]:
        return batch.hold_state, batch.get_hold_state_display()

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("variant", "number", "created_at") if obj else ("created_at",)
