"""Staff pages of the types of products: their rules, and version by version what their products are like."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path, reverse
from unfold.admin import TabularInline
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from catalog import queries, schema_check
from catalog.admin.rows import rows_typed
from catalog.models import ProductType, ProductTypeSchema, RegulatoryNote
from catalog.operations import compliance, types
from catalog.operations.compliance import NoteOf
from catalog.tasks import index_attributes
from partners import tasks
from partners.admin import LinesInline, TracedAdmin, acting, said, try_operation
from partners.problems import Problem

OPEN = {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "properties": {}}


# The database keeps an object's names by their length; staff reads them in this order.
WORDS = ("$schema", "title", "description", "type", "required", "properties", "additionalProperties")


def in_order(schema: dict[str, Any]) -> dict[str, Any]:
    return {word: schema[word] for word in WORDS if word in schema} | schema


class RegulatoryNoteInline(TabularInline):
    """What the law asks; one row for each place and rule."""

    model = RegulatoryNote
    fields = ("jurisdiction", "text", "document", "valid_from", "valid_to")
    extra = 0
    tab = True

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "text" and field is not None:
            field.widget.attrs["rows"] = 2
        return field


def notes_of(rows: list[RegulatoryNote]) -> list[NoteOf]:
    """Notes as the operation takes them."""
    return [
        NoteOf(
            jurisdiction=row.jurisdiction, text=row.text, document=row.document, valid_from=row.valid_from,
            valid_to=row.valid_to,
        )
        for row in rows
    ]  # fmt: skip


class SchemaInline(LinesInline):
    """The versions there have been; a new one is made by the button above."""

    model = ProductTypeSchema
    fields = ("version", "note", "attributes_declared", "actor", "created_at")
    readonly_fields = fields
    verbose_name_plural = "Schema versions"
    per_page = 20
    tab = True

    @display(description="Attributes")
    def attributes_declared(self, row: ProductTypeSchema) -> str:
        return ", ".join(sorted(row.schema.get("properties", {}))) or "any"


class SchemaForm(forms.Form):
    """A schema as it is typed; checked here as the operation checks it, so that what is wrong is said at the field."""

    schema = forms.CharField(
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 24, "spellcheck": "false"}),
        max_length=schema_check.BYTES_MAX,
        help_text="JSON Schema, draft 2020-12. An attribute with x-filter: true can be asked for by partners.",
    )
    note = forms.CharField(
        required=False, max_length=250, widget=UnfoldAdminTextInputWidget, help_text="What changes, and why."
    )
    based_on = forms.IntegerField(widget=forms.HiddenInput, min_value=0, max_value=2**31 - 1)

    def clean_schema(self) -> dict[str, Any]:
        try:
            schema = schema_check.read(self.cleaned_data["schema"])
            schema_check.check(schema)
        except Problem as problem:
            raise forms.ValidationError(said(problem)) from problem
        return schema


@admin.register(ProductType)
class ProductTypeAdmin(TracedAdmin):
    is_short = True
    list_display = ("code", "name", "requires_batch", "requires_expiry")
    search_fields = ("code", "name")
    fieldsets = (
        (None, {"fields": (("code", "name"),)}),
        ("What its products must have", {"fields": (("requires_batch", "requires_expiry"),)}),
        (
            "Where a product says nothing of its own",
            {"fields": (("shelf_life_days", "warranty_months", "warranty_per"), "warranty_terms")},
        ),
    )
    inlines = (SchemaInline, RegulatoryNoteInline)
    actions_detail = ("edit_schema",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("code",) if obj else ()

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "warranty_terms" and field is not None:
            field.widget.attrs["rows"] = 3
        return field

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:  # noqa: FBT001  Django's
        """Notes by their operation; the versions of its schema are not typed here."""
        formset.save(commit=False)  # what was changed, for the history
        if formset.model is RegulatoryNote and formset.has_changed():
            compliance.set_notes(of=form.instance, notes=notes_of(rows_typed(formset)))

    def get_urls(self) -> list[Any]:
        page = self.admin_site.admin_view(self.schema_view)
        return [path("<path:object_id>/schema/", page, name="catalog_producttype_schema"), *super().get_urls()]

    def has_edit_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("catalog.change_producttype"))

    @action(description="Edit schema", icon="schema", permissions=["edit"])
    def edit_schema(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect(reverse("admin:catalog_producttype_schema", args=[object_id]))

    def schema_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The schema as text; tried on the products there are, or saved as the next version."""
        if not self.has_edit_permission(request):
            raise PermissionDenied
        kind = get_object_or_404(ProductType, pk=unquote(object_id).replace("\x00", ""))
        newest = kind.schemas.first()
        version = newest.version if newest else 0
        shown = json.dumps(in_order(newest.schema if newest else OPEN), indent=2, ensure_ascii=False)
        form = SchemaForm(request.POST or None, initial={"schema": shown, "based_on": version})
        context: dict[str, Any] = {}
        if request.method == "POST" and form.is_valid():
            if request.POST.get("verb") == "try":
                context["trial"] = queries.try_schema(code=kind.code, schema=form.cleaned_data["schema"])
            elif answer := self.save_schema(request, kind, form):
                return answer
        context |= self.admin_site.each_context(request) | {
            "form": form,
            "title": f"{kind.name}: what its products are like",
            "says": "Products stay as they are; the next change of a product's attributes is held to the new version.",
            "next_version": version + 1,
            "opts": self.model._meta,
        }
        return render(request, "admin/catalog/schema.html", context)

    def save_schema(self, request: HttpRequest, kind: ProductType, form: SchemaForm) -> HttpResponse | None:
        refusal = try_operation(
            lambda: types.revise_schema(
                product_type=kind, schema=form.cleaned_data["schema"], note=form.cleaned_data["note"],
                based_on=form.cleaned_data["based_on"], actor=acting(request),
            )
        )  # fmt: skip
        if refusal:
            form.add_error(None, refusal)
            return None
        tasks.wake_after_commit(index_attributes)
        messages.success(request, f"{kind.name}: version {kind.schemas.latest('version').version} is the newest.")
        return HttpResponseRedirect(reverse("admin:catalog_producttype_change", args=[kind.pk]))
