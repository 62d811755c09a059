"""What staff see and type of the vehicles a part fits."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest

from catalog.models import Fitment
from catalog.operations import fitments
from catalog.operations.fitments import Fits
from partners.admin import ChoosingAdmin, LinesInline, RefusableAdmin, acting
from partners.refused import field_of


class FitmentInline(LinesInline):
    """Shown with the part; each is typed on its own page."""

    model = Fitment
    fields = ("make", "model", "submodel", "year_from", "year_to", "engine", "position", "quantity", "note")
    readonly_fields = fields
    show_title = True
    show_change_link = True
    tab = True
    per_page = 20


class FitmentForm(forms.ModelForm):
    def validate_constraints(self) -> None:
        """Left to the operation, whose words name the field."""


@admin.register(Fitment)
class FitmentAdmin(RefusableAdmin, ChoosingAdmin):
    """What we say ourselves is typed here; what a catalog says is replaced with the catalog's next file."""

    form = FitmentForm
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

    def refused_field(self, name: str) -> str:
        """`fitments[0].yearTo` is the page's `year_to`, and the product its `variant`."""
        field = field_of(name.rpartition(".")[2])
        return "variant" if field == "product_id" else field

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001  Django's
        """By the operations; the row on the page becomes the one there is then."""
        if change and not form.has_changed():
            return
        fits = fits_of(obj)
        actor = acting(request)
        saved = fitments.revise(fitment=obj, fits=fits, actor=actor) if change else fitments.say(fits=fits, actor=actor)
        obj.__dict__.update(saved.__dict__)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self.drop(request, [obj])

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        self.drop(request, list(queryset))

    @transaction.atomic
    def drop(self, request: HttpRequest, rows: list[Fitment]) -> None:
        """Each in the name of who said it."""
        for source in {row.source for row in rows}:
            said = [fits_of(row) for row in rows if row.source == source]
            fitments.drop_many(fitments=said, source=source, actor=acting(request))


def fits_of(row: Fitment) -> Fits:
    """A fitment as the operations take it."""
    return Fits(
        variant_id=row.variant_id, make=row.make, model=row.model, year_from=row.year_from, year_to=row.year_to,
        submodel=row.submodel, engine=row.engine, position=row.position, quantity=row.quantity, note=row.note,
        qualifiers=row.qualifiers, base_vehicle_id=row.base_vehicle_id, part_type_id=row.part_type_id,
        brand_aaia_id=row.brand_aaia_id, aces_ids=row.aces_ids,
    )  # fmt: skip
