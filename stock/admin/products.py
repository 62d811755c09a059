"""The catalog's page of a product, with its stock."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import F, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from unfold.decorators import action

from catalog.admin import VariantAdmin
from catalog.models import Variant
from stock import queries
from stock.admin.ledger import COUNT
from stock.models import Movement, Reservation

# The stock card is a look, not a report: the lists behind it have everything.
CARD_POSITIONS, CARD_ROWS = 25, 8


admin.site.unregister(Variant)


@admin.register(Variant)
class StockedVariantAdmin(VariantAdmin):
    """The catalog's page of a product, and above it the stock card: where it lies, for whom, what happened."""

    change_form_outer_before_template = "admin/stock/stock_card.html"
    actions_detail = ("receive", "adjust", "count", "move")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        card = {}
        if object_id.isdecimal() and request.method == "GET" and request.user.has_perm("stock.view_level"):
            card = stock_card(int(object_id))
        return super().change_view(request, object_id, form_url, (extra_context or {}) | card)

    def has_book_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("stock.change_level"))

    @action(description="Receive", icon="download", permissions=["book"])
    def receive(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self.open_form(object_id, "receipt")

    @action(description="Adjust", icon="exposure", permissions=["book"])
    def adjust(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self.open_form(object_id, "adjustment")

    @action(description="Count", icon="checklist", permissions=["book"])
    def count(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self.open_form(object_id, COUNT)

    @action(description="Move", icon="move_down", permissions=["book"])
    def move(self, request: HttpRequest, object_id: str) -> HttpResponse:
        variant = get_object_or_404(Variant, pk=object_id)
        return redirect(f"{reverse('admin:stock_level_move')}?{urlencode({'sku': variant.sku})}")

    def open_form(self, object_id: str, kind: str) -> HttpResponse:
        variant = get_object_or_404(Variant, pk=object_id)
        return redirect(f"{reverse('admin:stock_level_book')}?{urlencode({'kind': kind, 'sku': variant.sku})}")


def stock_card(variant_id: int) -> dict[str, Any]:
    """Positions, promises and last movements of one variant. Three queries, each by the variant's index."""
    positions = queries.positions(variant_ids=[variant_id], at=timezone.now())
    on_hand = sum(position.on_hand for position in positions)
    available = sum(position.on_hand - position.reserved for position in positions if position.is_sellable)
    filled = [position for position in positions if position.on_hand]
    promised = (
        Reservation.objects.open()
        .filter(
            lines__allocations__level__in=[position.level_id for position in positions if position.reserved],
            lines__allocations__quantity__gt=F("lines__allocations__consumed") + F("lines__allocations__freed"),
        )
        .annotate(
            units=Sum(
                F("lines__allocations__quantity") - F("lines__allocations__consumed") - F("lines__allocations__freed")
            )
        )
        .select_related("partner")
        .order_by("-id")[:CARD_ROWS]
    )
    moved = (
        Movement.objects.filter(variant=variant_id)
        .select_related("from_location__warehouse", "to_location__warehouse", "batch")
        .order_by("-id")[:CARD_ROWS]
    )
    return {
        "card": {
            "on_hand": on_hand,
            "reserved": sum(position.reserved for position in positions),
            "available": available,
            "positions": filled[:CARD_POSITIONS],
            "more_positions": max(0, len(filled) - CARD_POSITIONS),
            "promised": promised,
            "moved": moved,
        }
    }
