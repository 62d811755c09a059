"""The catalog's page of a product, with its stock."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from unfold.decorators import action

from catalog.admin import VariantAdmin
from catalog.models import Variant
from stock.admin import card
from stock.admin.ledger import COUNT

# What is longer fits no id; the page itself says that there is no such product.
DIGITS_MAX = 19

admin.site.unregister(Variant)


@admin.register(Variant)
class StockedVariantAdmin(VariantAdmin):
    """The catalog's page of a product, and above it the stock card; of a parent, what there is of each variant."""

    change_form_outer_before_template = "admin/stock/stock_card.html"
    actions_detail = ("open_matrix", "open_fitments", "receive", "adjust", "count", "move", "reserve")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        shown = {}
        is_number = object_id.isdecimal() and len(object_id) < DIGITS_MAX
        if is_number and request.method == "GET" and request.user.has_perm("stock.view_level"):
            is_parent = Variant.objects.filter(pk=object_id, is_parent=True).exists()
            shown = (
                {"family": card.of_family(int(object_id))}
                if is_parent
                else {"card": card.of_product(int(object_id), at=timezone.now())}
            )
        return super().change_view(request, object_id, form_url, (extra_context or {}) | shown)

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

    @action(description="Reserve", icon="bookmark_add", permissions=["book"])
    def reserve(self, request: HttpRequest, object_id: str) -> HttpResponse:
        variant = get_object_or_404(Variant, pk=object_id)
        return redirect(f"{reverse('admin:stock_reservation_reserve')}?{urlencode({'lines': f'{variant.sku} 1'})}")

    def open_form(self, object_id: str, kind: str) -> HttpResponse:
        variant = get_object_or_404(Variant, pk=object_id)
        return redirect(f"{reverse('admin:stock_level_book')}?{urlencode({'kind': kind, 'sku': variant.sku})}")
