"""Staff pages of the catalog."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ORDER_VAR
from django.contrib.postgres.fields import ArrayField
from django.db.models import BigIntegerField, F, Func, Value
from django.http import HttpRequest, HttpResponse
from unfold.admin import TabularInline
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from catalog import search
from catalog.admin.imports import CatalogImportAdmin
from catalog.admin.matrix import MatrixPages
from catalog.admin.numbers import IdentifierAdmin, IdentifierInline, PackInline, SupplierItemInline, numbers_typed
from catalog.admin.prices import PriceAdmin, PriceListAdmin
from catalog.admin.together import TogetherPages
from catalog.admin.types import ProductTypeAdmin, RegulatoryNoteInline
from catalog.admin.variant_form import VariantForm
from catalog.models import (
    Equivalent,
    Fitment,
    Identifier,
    InterchangeGroup,
    InterchangeMember,
    KitComponent,
    Pack,
    SupplierItem,
    Variant,
    Vehicle,
    VehicleAlias,
)
from catalog.operations import identifiers, kits, products, vehicles
from catalog.operations.kits import Part
from partners.admin import ChoosingAdmin, ChoosingInline, ReadOnlyAdmin, TracedAdmin, acting, ask, run_each

__all__ = [
    "CatalogImportAdmin",
    "FitmentAdmin",
    "IdentifierAdmin",
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


class EquivalentInline(ChoosingInline):
    """What may be sold instead."""

    model = Equivalent
    fk_name = "variant"
    extra = 0
    tab = True
    autocomplete_fields = ("other",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("other")


class FitmentInline(TabularInline):
    model = Fitment
    fields = ("make", "model", "submodel", "year_from", "year_to", "engine", "position", "quantity", "note")
    extra = 0
    tab = True
    per_page = 20


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
    readonly_fields = ("is_parent", "gtin", "gtin14", "schema_version", "version", "updated_at")
    fieldsets = (
        (None, {"fields": ("sku", "name", ("brand", "product_type"), "attributes")}),
        ("Among its variants", {"fields": ("parent", ("axes", "axis_values"))}),
        (
            "How it is kept",
            {"fields": (("tracking", "unit"), ("unit_cost", "status"), "shelf_life_days")},
        ),
        ("Warranty", {"fields": (("warranty_months", "warranty_per"), "warranty_terms")}),
        ("Record", {"fields": (("gtin", "gtin14"), ("is_parent", "schema_version"), ("version", "updated_at"))}),
    )
    actions_detail: tuple[str, ...] = ("open_matrix",)
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

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:  # noqa: FBT001  Django's
        """Kits and further numbers go by their operations, with their refusals; all else is saved as typed."""
        if formset.model is Identifier:
            formset.save(commit=False)  # what was changed, for the history
            if formset.has_changed():
                identifiers.replace(variant=form.instance, rows=numbers_typed(formset))
            return None
        if formset.model is not KitComponent:
            return super().save_formset(request, form, formset, change)
        formset.save(commit=False)  # what was changed, for the history
        if formset.has_changed():
            rows = [row.cleaned_data for row in formset.forms if row.cleaned_data and not row.cleaned_data["DELETE"]]
            parts = [Part(component=row["component"], quantity=row["quantity"]) for row in rows]
            kits.compose(kit=form.instance, parts=parts, actor=acting(request))
        return None

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:  # noqa: FBT001  Django's
        """What is changed of its packs, offers and numbers makes another version of the product (its ETag), too."""
        super().save_related(request, form, formsets, change)
        listed = (Pack, SupplierItem, Identifier)
        if change and not form.is_revised and any(row.model in listed and row.has_changed() for row in formsets):
            form.instance.version += 1
            form.instance.save()

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        rows = {"attributes": 6, "axes": 2, "axis_values": 2, "warranty_terms": 2}
        if db_field.name in rows and field is not None:
            field.widget.attrs["rows"] = rows[db_field.name]
        return field

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001  Django's
        """By the operations, like at every door; the row on the page becomes the one they saved."""
        fields = form.as_fields()
        if change:
            saved = products.revise(variant=obj, fields=fields, actor=acting(request))
            form.is_revised = saved.version != obj.version
        else:
            saved = products.create(sku=obj.sku, fields=fields, actor=acting(request))
        obj.__dict__.update(saved.__dict__)


@admin.register(Fitment)
class FitmentAdmin(ChoosingAdmin):
    list_display = ("variant", "make", "model", "year_from", "year_to", "engine", "position", "quantity", "source")
    list_select_related = ("variant",)
    search_fields = ("variant__sku__holds", "make", "model")
    search_help_text = "SKU, make or model"
    autocomplete_fields = ("variant",)
    fieldsets = (
        (None, {"fields": ("variant", ("make", "model", "submodel"), ("year_from", "year_to", "engine"))}),
        ("Where and how", {"fields": (("position", "quantity"), "qualifiers", "note")}),
        (
            "As a catalog said it",
            {"fields": (("source", "brand_aaia_id"), ("base_vehicle_id", "part_type_id"), "aces_ids")},
        ),
    )
    readonly_fields = ("source", "brand_aaia_id", "base_vehicle_id", "part_type_id", "aces_ids")


class MemberInline(ChoosingInline):
    """A product of ours, or another brand's number."""

    model = InterchangeMember
    extra = 0
    min_num = 2
    autocomplete_fields = ("variant",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("variant")


@admin.register(InterchangeGroup)
class InterchangeGroupAdmin(ChoosingAdmin):
    """Parts that are equal."""

    list_display = ("id", "__str__")
    list_display_links = ("id", "__str__")
    search_fields = ("name", "members__variant__sku", "members__part_number")
    search_help_text = "Name, SKU or number"
    inlines = (MemberInline,)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


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
