"""Staff pages of the catalog."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display

from catalog.models import Equivalent, Fitment, KitComponent, Pack, ProductType, SupplierItem, Variant
from catalog.operations import kits
from catalog.operations.kits import Part
from partners.admin import TracedAdmin, acting


class PackInline(TabularInline):
    model = Pack
    fk_name = "variant"
    autocomplete_fields = ("stocked_as",)
    extra = 0
    tab = True


class KitComponentInline(TabularInline):
    """What makes one kit; a product with stock cannot become one."""

    model = KitComponent
    fk_name = "kit"
    extra = 0
    tab = True
    autocomplete_fields = ("component",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("component")


class EquivalentInline(TabularInline):
    """What may be sold instead."""

    model = Equivalent
    fk_name = "variant"
    extra = 0
    tab = True
    autocomplete_fields = ("other",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("other")


class SupplierItemInline(TabularInline):
    model = SupplierItem
    extra = 0
    tab = True
    autocomplete_fields = ("supplier",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("supplier")


class FitmentInline(TabularInline):
    model = Fitment
    extra = 0
    tab = True
    per_page = 20


@admin.register(Variant)
class VariantAdmin(TracedAdmin):
    list_display = ("product", "brand", "product_type", "gtin", "tracking", "status")
    list_select_related = ("product_type",)
    list_filter = ("product_type", "tracking", "status", "is_parent")
    search_fields = ("sku__holds", "name__holds", "gtin14")
    search_help_text = "SKU, name or GTIN-14"
    autocomplete_fields = ("parent",)
    readonly_fields = ("is_parent", "gtin", "gtin14", "version", "updated_at")
    fieldsets = (
        (None, {"fields": ("sku", "name", ("brand", "product_type"), "parent", "attributes")}),
        (
            "How it is kept",
            {"fields": (("tracking", "unit"), ("shelf_life_days", "warranty_months"), ("unit_cost", "status"))},
        ),
        ("Record", {"fields": (("gtin", "gtin14"), ("is_parent", "version", "updated_at"))}),
    )
    inlines = (PackInline, KitComponentInline, EquivalentInline, SupplierItemInline, FitmentInline)

    @display(description="Product", ordering="sku", header=True)
    def product(self, variant: Variant) -> list[str]:
        return [variant.name, variant.sku]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "sku") if obj else self.readonly_fields

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:  # noqa: FBT001  Django's
        """A kit is composed by its operation, under its locks and with its refusals; all else is saved as typed."""
        if formset.model is not KitComponent:
            return super().save_formset(request, form, formset, change)
        formset.save(commit=False)  # what was changed, for the history
        if formset.has_changed():
            rows = [row.cleaned_data for row in formset.forms if row.cleaned_data and not row.cleaned_data["DELETE"]]
            parts = [Part(component=row["component"], quantity=row["quantity"]) for row in rows]
            kits.compose(kit=form.instance, parts=parts, actor=acting(request))
        return None

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "attributes":
            field.widget.attrs["rows"] = 3
        return field


@admin.register(ProductType)
class ProductTypeAdmin(ModelAdmin):
    list_display = ("code", "name")
    search_fields = ("code", "name")
    show_full_result_count = False
    list_per_page = 50

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Fitment)
class FitmentAdmin(ModelAdmin):
    list_display = ("variant", "make", "model", "year_from", "year_to", "engine", "position", "quantity")
    list_select_related = ("variant",)
    search_fields = ("variant__sku__holds", "make", "model")
    search_help_text = "SKU, make or model"
    autocomplete_fields = ("variant",)
    show_full_result_count = False
    list_per_page = 50
