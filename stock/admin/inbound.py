"""What is on its way here, as the documents say that own it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from unfold.decorators import display

from partners.admin import ReadOnlyAdmin
from stock.admin.search import find, named
from stock.models import Inbound

# The lists of the documents that tell of supply; each is found there by its number.
DOCUMENTS = {
    Inbound.Kind.TRANSFER: "admin:stock_transfer_changelist",
    Inbound.Kind.PURCHASE_ORDER: "admin:orders_purchaseorder_changelist",
}


@admin.register(Inbound)
class InboundAdmin(ReadOnlyAdmin):
    """Units still to come; the document behind each is the place to change it."""

    list_display = ("product", "quantity", "to", "batch", "expected_on", "label", "source")
    list_select_related = ("variant", "warehouse", "batch")
    list_filter = ("kind", "is_confirmed", "warehouse")
    ordering = ("expected_on", "id")
    search_fields = ("document__exact",)
    search_help_text = "SKU, name, batch, or a whole document number"
    fields = (
        ("variant", "quantity"),
        ("warehouse", "batch"),
        ("expected_on", "is_confirmed"),
        ("kind", "opened"),
    )
    readonly_fields = ("opened",)

    @display(description="Product", header=True)
    def product(self, inbound: Inbound) -> list[str]:
        return named(inbound.variant)

    @display(description="To", ordering="warehouse")
    def to(self, inbound: Inbound) -> str:
        return inbound.warehouse.code

    @display(description="State", label={"late": "danger", "unconfirmed": "warning", "expected": "info"})
    def label(self, inbound: Inbound) -> tuple[str, str]:
        if not inbound.is_confirmed:
            return "unconfirmed", "Not confirmed"
        is_late = inbound.expected_on < timezone.now().date()
        return ("late", "Late") if is_late else ("expected", "Expected")

    @display(description="By", header=True)
    def source(self, inbound: Inbound) -> list[str]:
        return [inbound.document, inbound.get_kind_display()]

    @admin.display(description="Document")
    def opened(self, inbound: Inbound) -> str:
        if inbound.kind not in DOCUMENTS:
            return inbound.document
        url = f"{reverse(DOCUMENTS[Inbound.Kind(inbound.kind)])}?{urlencode({'q': inbound.document})}"
        return format_html('<a class="text-primary-600 underline" href="{}">{}</a>', url, inbound.document)

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        words = search_term.strip()
        return (find(queryset, words, Q(document=words)) if words else queryset), False
