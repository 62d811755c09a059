"""Staff pages of the catalog."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline

from catalog.models import Fitment, Pack, ProductType, SupplierItem, Variant
from partners.admin import TracedAdmin


class PackInline(TabularInline):
    model = Pack
    extra = 0
    tab = True


class SupplierItemInline(TabularInline):
    model = SupplierItem
    extra = 0
    tab = True
    autocomplete_fields = ("supplier",)


class FitmentInline(TabularInline):
    model = Fitment
    extra = 0
    tab = True
    per_page = 20


@admin.register(Variant)
class VariantAdmin(TracedAdmin):
    list_display = ("sku", "name", "brand", "product_type", "gtin", "tracking", "status")
    list_select_related = ("product_type",)
    list_filter = ("product_type", "tracking", "status", "is_parent")
    search_fields = ("sku", "name", "gtin14")
    autocomplete_fields = ("parent",)
    readonly_fields = ("is_parent", "gtin", "gtin14", "version", "updated_at")
    inlines = (PackInline, SupplierItemInline, FitmentInline)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "sku") if obj else self.readonly_fields


@admin.register(ProductType)
class ProductTypeAdmin(ModelAdmin):
    list_display = ("code", "name")
    search_fields = ("code", "name")


@admin.register(Fitment)
class FitmentAdmin(ModelAdmin):
    list_display = ("variant", "make", "model", "year_from", "year_to", "engine", "position", "quantity")
    list_select_related = ("variant",)
    list_filter = ("make",)
    search_fields = ("variant__sku", "model")
    autocomplete_fields = ("variant",)
    show_full_result_count = False
