"""Single units: where each is, and its life, movement by movement."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from unfold.decorators import display

from partners.admin import ReadOnlyAdmin
from stock.admin.search import named, variants_named
from stock.models import Movement, Serial

# A unit that moved more often than this is read in the ledger.
LIFE_MAX = 100


@admin.register(Serial)
class SerialAdmin(ReadOnlyAdmin):
    list_display = ("number", "product", "place", "condition", "batch", "received_at")
    list_select_related = ("variant", "level__location__warehouse", "level__batch")
    search_fields = ("number__exact",)
    search_help_text = "A whole serial number, or SKU or name"
    fields = (("number", "received_at"), ("variant", "place"), ("condition", "batch"))
    readonly_fields = ("place", "condition", "batch")
    change_form_outer_before_template = "admin/stock/serial_life.html"

    @display(description="Product", header=True)
    def product(self, serial: Serial) -> list[str]:
        return named(serial.variant)

    @display(description="Place")
    def place(self, serial: Serial) -> str:
        return str(serial.level.location) if serial.level else "Gone"

    @display(description="Condition")
    def condition(self, serial: Serial) -> str:
        return serial.level.get_condition_display() if serial.level else "-"

    @display(description="Batch")
    def batch(self, serial: Serial) -> str:
        return str(serial.level.batch or "-") if serial.level else "-"

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        words = search_term.strip()
        if not words:
            return queryset, False
        return queryset.filter(Q(number=words) | Q(variant_id__in=variants_named(words))), False

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        serial = self.get_object(request, object_id) if self.has_view_permission(request) else None
        lived = {"life": life(serial)} if serial else {}
        return super().change_view(request, object_id, form_url, (extra_context or {}) | lived)


def life(serial: Serial) -> list[Movement]:
    """The movements that took this unit along, the newest first. One query."""
    rows = Movement.objects.filter(serial_movements__serial=serial)
    return list(rows.select_related("from_location__warehouse", "to_location__warehouse").order_by("-id")[:LIFE_MAX])
