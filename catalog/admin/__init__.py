"""Staff pages of the catalog."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ORDER_VAR
from django.contrib.postgres.fields import ArrayField
from django.db.models import BigIntegerField, F, Func, Model, Value
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from catalog import search
from catalog.admin.equivalents import EquivalentInline, InterchangeGroupAdmin, say_links
from catalog.admin.fitments import FitmentAdmin, FitmentInline
from catalog.admin.imports import CatalogImportAdmin
from catalog.admin.matrix import MatrixPages
from catalog.admin.numbers import (
    IdentifierAdmin,
    IdentifierInline,
    PackInline,
    SupplierItemInline,
    numbers_of,
    packs_of,
    sources_of,
)
from catalog.admin.prices import PriceAdmin, PriceListAdmin
from catalog.admin.rows import rows_typed
from catalog.admin.together import TogetherPages
from catalog.admin.types import ProductTypeAdmin, RegulatoryNoteInline, notes_of
from catalog.admin.variant_form import VariantForm
from catalog.models import (
    Equivalent,
    Identifier,
    KitComponent,
    Pack,
    RegulatoryNote,
    SupplierItem,
    Variant,
    Vehicle,
    VehicleAlias,
)
from catalog.operations import equivalents, kits, products, vehicles
from catalog.operations.kits import Part
from partners.admin import ChoosingInline, ReadOnlyAdmin, TracedAdmin, acting, ask, run_each

__all__ = [
    "CatalogImportAdmin",
    "FitmentAdmin",
    "IdentifierAdmin",
    "InterchangeGroupAdmin",
    "PriceAdmin",
    "PriceListAdmin",
    "ProductTypeAdmin",
    "VariantAdmin",
]

# Nobody reads further; more words find better.
FOUND_MAX = 200


class KitComponentInline(ChoosingInline):
    """What makes one kit; a product with stock cannot become one."""

    model = KitComponent
    fk_name = "kit"
    extra = 0
    tab = True
    autocomplete_fields = ("component",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("component")


# What a product's lists are called where it is revised, and how their rows are said.
LISTS: dict[type[Model], tuple[str, Callable[[list[Any]], Any]]] = {
    Pack: ("packs", packs_of),
    Identifier: ("identifiers", numbers_of),
    SupplierItem: ("sources", sources_of),
    RegulatoryNote: ("notes", notes_of),
}


@admin.register(Variant)
class VariantAdmin(MatrixPages, TogetherPages, TracedAdmin):
    form = VariantForm
    list_display = ("product", "brand", "product_type", "gtin", "tracking", "status")
    list_select_related = ("product_type",)
    list_filter = ("product_type", "tracking", "status", "is_parent")
    # What is found is found by `catalog.search`; without a name here the admin shows no field to type into.
    search_fields = ("sku",)
    search_help_text = "SKU, name, brand, shade, barcode, supplier's number or vehicle"
    autocomplete_fields = ("product_type", "parent")
    readonly_fields = ("is_parent", "gtin14", "schema_version", "version", "updated_at")
    fieldsets = (
        (None, {"fields": ("sku", "name", ("brand", "product_type"), "gtin", "attributes")}),
        ("Among its variants", {"fields": ("parent", ("axes", "axis_values"))}),
        (
            "How it is kept",
            {"fields": (("tracking", "unit"), ("unit_cost", "status"), "shelf_life_days")},
        ),
        ("Warranty", {"fields": (("warranty_months", "warranty_per"), "warranty_terms")}),
        ("Record", {"fields": (("gtin14", "is_parent"), ("schema_version", "version"), "updated_at")}),
    )
    actions_detail: tuple[str, ...] = ("open_matrix", "open_fitments")
    inlines = (
        PackInline,
        IdentifierInline,
        KitComponentInline,
        EquivalentInline,
        SupplierItemInline,
        FitmentInline,
        RegulatoryNoteInline,
    )

    @display(description="Product", ordering="sku", header=True)
    def product(self, variant: Variant) -> list[str]:
        return [variant.name, variant.sku]

    def has_fitments_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("catalog.view_fitment"))

    @action(description="Fitments", icon="directions_car", permissions=["fitments"], url_path="fitments-of")
    def open_fitments(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """All of them, where each is typed on a page of its own."""
        variant = get_object_or_404(Variant, pk=object_id)
        return redirect(f"{reverse('admin:catalog_fitment_changelist')}?variant__id__exact={variant.pk}")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "sku") if obj else self.readonly_fields

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """The best first, unless staff sort the list by a column. Two queries more."""
        if not search_term.strip():
            return queryset, False
        hits = search.find(search_term, within=queryset, most=FOUND_MAX)
        ids = [hit.variant_id for hit in hits]
        found = queryset.filter(pk__in=ids)
        if ORDER_VAR in request.GET:
            return found, False
        place = Func(Value(ids, output_field=ArrayField(BigIntegerField())), F("pk"), function="array_position")
        return found.order_by(place), False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001  Django's
        """With its lists, in `save_related`: one call, one version."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:  # noqa: FBT001  Django's
        """By the operations, like at every door; the row on the page becomes the one they saved."""
        for formset in formsets:
            formset.save(commit=False)  # what was changed, for the history
        changed = {formset.model: formset for formset in formsets if formset.has_changed()}
        fields = form.as_fields()
        fields |= {
            name: meant(rows_typed(changed[model])) for model, (name, meant) in LISTS.items() if model in changed
        }
        if change:
            saved = products.revise(variant=form.instance, fields=fields, actor=acting(request))
        else:
            saved = products.create(sku=form.instance.sku, fields=fields, actor=acting(request))
        form.instance.__dict__.update(saved.__dict__)
        if KitComponent in changed:
            parts = [Part(component=row.component, quantity=row.quantity) for row in rows_typed(changed[KitComponent])]
            kits.compose(kit=saved, parts=parts, actor=acting(request))
        if Equivalent in changed:
            say_links(variant=saved, formset=changed[Equivalent], actor=acting(request))

    def is_outdated(self, request: HttpRequest, object_id: str) -> bool:
        """Who links parts takes their lock before the product's, like everybody."""
        if request.POST.get("equivalents-TOTAL_FORMS", "0") != "0":
            equivalents.lock()
        return super().is_outdated(request, object_id)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        rows = {"attributes": 6, "warranty_terms": 2}
        if db_field.name in rows and field is not None:
            field.widget.attrs["rows"] = rows[db_field.name]
        return field


@admin.register(Vehicle)
class VehicleAdmin(ReadOnlyAdmin):
    list_display = ("year", "make", "model", "engine", "body", "source")
    list_display_links = ("year", "make", "model")
    search_fields = ("make_key__startswith", "model_key__startswith")
    search_help_text = "Make or model, small letters without spaces"


@admin.register(VehicleAlias)
class VehicleAliasAdmin(ReadOnlyAdmin):
    """Names that mean a model; they count once they are confirmed."""

    list_display = ("make", "model", "means", "status")
    list_display_links = ("make", "model")
    list_filter = ("status", "make")
    search_fields = ("make", "model", "means")
    search_help_text = "Make, name or model"
    list_disable_select_all = False
    actions = ("confirm", "refuse")
    actions_detail = ("confirm_this", "refuse_this")

    @admin.action(description="Confirm", permissions=["step"])
    def confirm(self, request: HttpRequest, queryset: Any) -> None:
        run_each(request, queryset, "confirmed", vehicles.confirm_alias, "alias")

    @admin.action(description="Refuse", permissions=["step"])
    def refuse(self, request: HttpRequest, queryset: Any) -> None:
        run_each(request, queryset, "refused", vehicles.refuse_alias, "alias")

    @action(
        description="Confirm", icon="check", permissions=["step"],
        dialog=ask("Is it one of this model?", "Whoever asks for the one is told of parts for the other, too.", "Confirm"),
    )  # fmt: skip
    def confirm_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.take_step(request, object_id, "confirmed", vehicles.confirm_alias, "alias")

    @action(
        description="Refuse", icon="close", permissions=["step"],
        dialog=ask("Does it mean another?", "It counts for nothing and is not suggested again.", "Refuse"),
    )  # fmt: skip
    def refuse_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.take_step(request, object_id, "refused", vehicles.refuse_alias, "alias")
