"""What staff see and type of a product's packs, its suppliers' offers, and the numbers it is known by."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import StackedInline
from unfold.decorators import display

from catalog.models import Identifier, Pack, SupplierItem
from catalog.operations import identifiers, offers
from catalog.operations.identifiers import IdentifierOf
from catalog.operations.offers import Source
from catalog.operations.packs import PackOf
from partners.admin import Choosing, ChoosingInline, ReadOnlyAdmin, said
from partners.problems import Problem


def product_of(request: HttpRequest) -> int | None:
    """The product whose page this is; none while one is made."""
    found = request.resolver_match.kwargs.get("object_id") if request.resolver_match else None
    return int(found) if found and str(found).isdigit() else None


class OfThisProduct(Choosing):
    """Its packs are chosen among those of the product itself."""

    pack_fields: tuple[str, ...] = ()

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in self.pack_fields:
            kwargs["queryset"] = Pack.objects.filter(variant=product_of(request))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


class PackForm(forms.ModelForm):
    """The numbers' checks said beside the field; the operation says the rest."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and "name" in self.fields:
            self.fields["name"].disabled = True
            self.fields["name"].help_text = "A pack is known by its name: take it away and add another."

    def clean_gtin14(self) -> str:
        try:
            return identifiers.normalise_gtin(self.cleaned_data["gtin14"])
        except Problem as problem:
            raise forms.ValidationError(said(problem)) from problem

    def clean(self) -> dict[str, Any]:
        fields: dict[str, Any] = super().clean() or self.cleaned_data
        inside, quantity = fields.get("filled_with"), fields.get("quantity")
        self.instance.filled_quantity = inside.quantity if inside else None
        if (
            inside
            and quantity
            and (inside.pk == self.instance.pk or quantity % inside.quantity or quantity <= inside.quantity)
        ):
            self.add_error("filled_with", f"{quantity} is no multiple of {inside}.")
        return fields


class PackInline(OfThisProduct, ChoosingInline):
    model = Pack
    form = PackForm
    fk_name = "variant"
    fields = ("name", "level", "quantity", "gtin14", "filled_with", "stocked_as")
    autocomplete_fields = ("stocked_as",)
    pack_fields = ("filled_with",)
    extra = 0
    tab = True


class SupplierItemForm(forms.ModelForm):
    def clean_currency(self) -> str:
        code = self.cleaned_data["currency"].upper()
        try:
            return offers.check_currency(code, field="currency") if code else ""
        except Problem as problem:
            raise forms.ValidationError(said(problem)) from problem

    def clean(self) -> dict[str, Any]:
        fields: dict[str, Any] = super().clean() or self.cleaned_data
        if "currency" in fields and (fields.get("cost") is None) != (not fields["currency"]):
            self.add_error("currency", "A cost and its currency go together.")
        if fields.get("lead_time_deviation_days") is not None and fields.get("lead_time_days") is None:
            self.add_error("lead_time_deviation_days", "A deviation needs the lead time it is of.")
        return fields


class SupplierItemInline(OfThisProduct, StackedInline):
    """An offer has more to say than fits into a line."""

    model = SupplierItem
    form = SupplierItemForm
    extra = 0
    tab = True
    autocomplete_fields = ("supplier",)
    pack_fields = ("pack",)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("supplier", "supplier_code", "pack"),
                    ("minimum_quantity", "order_multiple", "last_confirmed_on"),
                    ("lead_time_days", "lead_time_deviation_days"),
                    ("cost", "currency"),
                )
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("supplier")


class IdentifierInline(OfThisProduct, ChoosingInline):
    """Further numbers; the GTINs and the suppliers' numbers are typed where they belong."""

    model = Identifier
    fields = ("scheme", "value", "pack", "partner")
    autocomplete_fields = ("partner",)
    pack_fields = ("pack",)
    verbose_name_plural = "further numbers"
    extra = 0
    tab = True

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).filter(is_main=False).select_related("partner")


def numbers_of(rows: list[Identifier]) -> list[IdentifierOf]:
    return [
        IdentifierOf(scheme=row.scheme, value=row.value, pack=row.pack.name if row.pack else "", partner=row.partner)
        for row in rows
    ]


def packs_of(rows: list[Pack]) -> list[PackOf]:
    return [
        PackOf(
            name=row.name, quantity=row.quantity, gtin=row.gtin14, level=row.level,
            filled_with=row.filled_with.name if row.filled_with else "",
            stocked_as=row.stocked_as.sku if row.stocked_as else "",
        )
        for row in rows
    ]  # fmt: skip


def sources_of(rows: list[SupplierItem]) -> list[Source]:
    terms = [name for name in offers.TERMS if name != "pack"]
    return [
        Source(
            supplier=row.supplier, supplier_code=row.supplier_code,
            terms={name: getattr(row, name) for name in terms} | {"pack": row.pack.name if row.pack else None},
        )
        for row in rows
    ]  # fmt: skip


@admin.register(Identifier)
class IdentifierAdmin(ReadOnlyAdmin):
    """Every number there is, to find out whose it is; typed on the product's page."""

    list_display = ("value", "scheme", "product", "level", "partner", "is_main")
    list_select_related = ("variant", "pack", "partner")
    list_filter = ("scheme", "is_main")
    search_fields = ("plain__startswith", "value__startswith", "variant__sku__startswith")
    search_help_text = "How the number begins (a GTIN with 14 digits), or the SKU"
    ordering = ("plain", "id")

    @display(description="Product", header=True)
    def product(self, identifier: Identifier) -> list[str]:
        return [identifier.variant.name, identifier.variant.sku]

    @display(description="Level")
    def level(self, identifier: Identifier) -> str:
        return str(identifier.pack) if identifier.pack else "each"
