"""The merchandiser's table of a parent: its variants along the axes, free places filled, a spreadsheet pasted."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path, reverse
from unfold.decorators import action
from unfold.widgets import UnfoldAdminRadioSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from catalog import matrix, queries
from catalog.admin import drafts
from catalog.admin.drafts import Draft
from catalog.matrix import Place, folded
from catalog.models import CatalogImport, Variant
from catalog.operations import plans
from catalog.operations.axes import VALUE_MAX
from partners.admin import Choosing, acting, try_operation

# So many rows are inputs of a form; more are read in the paste itself, and mended there.
TYPED_MAX = 150
MORE_MAX = 50
# What is longer fits no id.
DIGITS_MAX = 19


class PatternForm(forms.Form):
    """How the SKUs of new variants are proposed."""

    pattern = forms.CharField(
        max_length=drafts.PATTERN_MAX,
        initial=drafts.PATTERN,
        widget=UnfoldAdminTextInputWidget,
        label="SKUs are proposed as",
    )


class PasteForm(PatternForm):
    text = forms.CharField(
        max_length=drafts.TEXT_MAX, strip=False, label="Rows copied from a spreadsheet",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 8, "spellcheck": "false", "style": "font-family: monospace; white-space: pre"}),
    )  # fmt: skip
    cells = forms.ChoiceField(
        choices=[("sku", "SKUs"), ("gtin", "GTINs")], initial="sku", widget=UnfoldAdminRadioSelectWidget,
        label="Cells of a table without column names are",
    )  # fmt: skip
    field_order = ("text", "cells", "pattern")


class MatrixPages(Choosing):
    """The page of a parent's matrix and the one on which new variants are looked over, for the product's admin."""

    def get_urls(self) -> list[Any]:
        pages = (("matrix", self.matrix_view), ("matrix/new", self.draft_view))
        return [
            *(
                path(f"<path:object_id>/{place}/", self.admin_site.admin_view(view), name=f"catalog_variant_{place.replace('/', '_')}")
                for place, view in pages
            ),
            *super().get_urls(),  # type: ignore[misc]  # it stands before the admin that has them
        ]  # fmt: skip

    def has_matrix_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("catalog.view_variant"))

    def may_fill(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perms(["catalog.add_variant", "catalog.change_variant"]))

    @action(description="Matrix", icon="grid_on", permissions=["matrix"], url_path="matrix-of")
    def open_matrix(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Of a variant: that of its parent."""
        variant = get_object_or_404(Variant, pk=object_id)
        return redirect(reverse("admin:catalog_variant_matrix", args=[variant.parent_id or variant.pk]))

    def parent_of(self, request: HttpRequest, object_id: str) -> Variant:
        if not self.has_matrix_permission(request):
            raise PermissionDenied
        is_number = object_id.isascii() and object_id.isdigit() and len(object_id) < DIGITS_MAX
        return get_object_or_404(Variant.objects.select_related("product_type"), pk=object_id if is_number else None)

    def matrix_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The tables. `axis` and `value` in the query add a value nobody has yet; it stays once a variant has it."""
        parent = self.parent_of(request, object_id)
        more = more_values(parent, request.GET.getlist("axis"), request.GET.getlist("value"))
        found = matrix.of(parent, more=more)
        context = self.admin_site.each_context(request) | {
            "title": f"{parent.name}: matrix",
            "opts": self.model._meta,
            "parent": parent,
            "matrix": found,
            "more": [(axis, value) for axis, values in more.items() for value in values],
            "may_fill": self.may_fill(request) and bool(parent.axes),
            "pattern": PatternForm(),
            "paste": PasteForm(),
            "cells_max": TYPED_MAX,
            "value_max": VALUE_MAX,
            "back": reverse("admin:catalog_variant_change", args=[parent.pk]),
        }
        return render(request, "admin/catalog/matrix.html", context)

    def draft_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """New variants as rows, each fault at its cell; without faults they become one plan."""
        parent = self.parent_of(request, object_id)
        if not self.may_fill(request):
            raise PermissionDenied
        here = reverse("admin:catalog_variant_matrix", args=[parent.pk])
        if request.method != "POST" or not parent.axes:
            return redirect(here)
        paste: PasteForm | None = None
        rows: list[Draft] = []
        if "text" in request.POST:
            paste = PasteForm(request.POST)
            rows = self.read_paste(parent, paste)
        elif "row" in request.POST:
            rows = typed_drafts(parent, request)
        else:
            pattern = PatternForm(request.POST)
            words = pattern.cleaned_data["pattern"] if pattern.is_valid() else drafts.PATTERN
            rows = drafts.proposed(parent, chosen_places(parent, request), words)
        if not rows and paste is None:
            messages.warning(request, "Choose free places first, by their boxes.")
            return redirect(here)
        drafts.check(parent, rows, actor=acting(request))
        refusal = ""
        if request.POST.get("verb") == "plan" and rows and not any(draft.faults for draft in rows):
            plan, refusal = self.plan_rows(request, parent, rows)
            if plan is not None:
                return redirect(reverse("admin:catalog_catalogimport_change", args=[plan.pk]))
        return self.show_drafts(request, parent, rows, paste, refusal)

    def read_paste(self, parent: Variant, paste: PasteForm) -> list[Draft]:
        if not paste.is_valid():
            return []
        said = paste.cleaned_data
        try:
            return drafts.pasted(parent, said["text"], cells=said["cells"], pattern=said["pattern"])
        except drafts.Unreadable as error:
            paste.add_error("text", str(error))
            return []

    def plan_rows(self, request: HttpRequest, parent: Variant, rows: list[Draft]) -> tuple[CatalogImport | None, str]:
        """The plan, or why there is none."""
        code = str(parent.product_type_id)
        found = queries.newest_schemas([code]).newest.get(code)
        declared = found[1].properties if found else {}
        made: list[CatalogImport] = []
        refusal = try_operation(
            lambda: made.append(
                plans.plan(
                    rows=drafts.as_rows(parent, rows, declared), kind=CatalogImport.Kind.PRODUCTS, title=f"Variants of {parent.sku}",
                    actor=acting(request), origin=CatalogImport.Origin.BULK_EDIT,
                )
            )
        )  # fmt: skip
        return (made[0] if made else None), refusal

    def show_drafts(
        self, request: HttpRequest, parent: Variant, rows: list[Draft], paste: PasteForm | None, refusal: str
    ) -> HttpResponse:
        is_typed = len(rows) <= TYPED_MAX
        others = list(dict.fromkeys(name for draft in rows for name in draft.others if name != "row"))
        context = self.admin_site.each_context(request) | {
            "title": f"{parent.name}: new variants",
            "opts": self.model._meta,
            "parent": parent,
            "drafts": rows,
            "lines": [line_of(parent, index, draft, others) for index, draft in enumerate(rows)],
            "others": others,
            "axes": parent.axes,
            "is_typed": is_typed,
            # What was read well and fits into a form is mended there; else the paste itself is.
            "paste": paste if paste is not None and (not is_typed or not rows) else None,
            "faulty": sum(bool(draft.faults) for draft in rows),
            "new": sum(draft.stands is None and not draft.is_left_out for draft in rows),
            "changed": sum(draft.stands is not None and not draft.is_left_out for draft in rows),
            "refusal": refusal,
            "back": reverse("admin:catalog_variant_matrix", args=[parent.pk]),
        }
        return render(request, "admin/catalog/matrix_new.html", context)


def line_of(parent: Variant, index: int, draft: Draft, others: list[str]) -> dict[str, Any]:
    """A draft as a line of the page: its place, what can be typed, its other columns; each with its fault."""
    places = [
        {"value": value, "fault": draft.faults.get(axis, "")}
        for axis, value in zip(parent.axes, draft.place, strict=True)
    ]
    places[0]["fault"] = " ".join(filter(None, [places[0]["fault"], draft.faults.get("place", "")]))
    cells = [
        {"name": name, "label": label, "most": most, "value": getattr(draft, name), "fault": draft.faults.get(name, "")}
        for name, label, most in (
            ("sku", "SKU", drafts.SKU_MAX),
            ("name", "Name", drafts.NAME_MAX),
            ("gtin", "GTIN", 40),
        )
    ]
    return {
        "draft": draft, "index": index, "places": places, "cells": cells,
        "others": [draft.others.get(name, "") for name in others],
    }  # fmt: skip


def more_values(parent: Variant, axes: list[str], values: list[str]) -> dict[str, list[str]]:
    """The values to be shown besides those there are; what is no axis, or no value, is passed over."""
    more: dict[str, list[str]] = {axis: [] for axis in parent.axes}
    for axis, value in list(zip(axes, values, strict=False))[:MORE_MAX]:
        text = " ".join(value.split())
        if axis in more and 0 < len(text) <= VALUE_MAX and text.isprintable():
            more[axis].append(text)
    return more


def chosen_places(parent: Variant, request: HttpRequest) -> list[Place]:
    """The places whose boxes are ticked, as far as they are places of this parent."""
    found: dict[Place, Place] = {}
    for sent in request.POST.getlist("place")[:TYPED_MAX]:
        if (place := place_sent(parent, sent)) is not None:
            found.setdefault(folded(place), place)
    return list(found.values())


def place_sent(parent: Variant, sent: Any) -> Place | None:
    try:
        place = json.loads(sent) if isinstance(sent, str) else sent
    except (ValueError, RecursionError):
        return None
    is_place = isinstance(place, list) and len(place) == len(parent.axes)
    if not is_place or not all(isinstance(text, str) and text.isprintable() for text in place):
        return None
    return tuple(place)


def typed_drafts(parent: Variant, request: HttpRequest) -> list[Draft]:
    """The rows of the form as they were typed; one that is made up is passed over."""
    found = []
    for index, sent in enumerate(request.POST.getlist("row")[:TYPED_MAX]):
        try:
            kept = json.loads(sent)
        except (ValueError, RecursionError):
            continue
        place = place_sent(parent, kept.get("place")) if isinstance(kept, dict) else None
        others = kept.get("others") if place is not None else None
        if place is None or not isinstance(others, dict) or not all(isinstance(text, str) for text in others.values()):
            continue
        typed = {name: text_sent(request, f"{name}-{index}") for name in ("sku", "name", "gtin")}
        left_out = f"leave-{index}" in request.POST
        found.append(Draft(number=index + 1, place=place, others=others, is_left_out=left_out, **typed))
    return found


def text_sent(request: HttpRequest, name: str) -> str:
    return request.POST.get(name, "").strip().replace("\x00", "")
