"""Pages that are one form for one operation, and what their forms share."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from unfold.widgets import UnfoldAdminTextareaWidget

from catalog.models import Variant


def show_form(model_admin: Any, request: HttpRequest, form: forms.Form, *, title: str, verb: str) -> HttpResponse:
    """A page with the form alone; its button carries the operation's verb."""
    context = model_admin.admin_site.each_context(request) | {
        "form": form,
        "title": title,
        "verb": verb,
        "opts": model_admin.model._meta,
    }
    return render(request, "admin/stock/level/book.html", context)


def stocked(sku: str) -> Variant:
    """The product of a SKU that somebody typed."""
    variant = Variant.objects.stocked().filter(sku=sku).first()
    if variant is None:
        raise forms.ValidationError("There is no product with this SKU that can be stocked.")
    return variant


class SerialNumbersField(forms.CharField):
    """The units of a product tracked by serial number, one a line."""

    def __init__(self, **kwargs: Any) -> None:
        said = {
            "label": "Serial numbers",
            "help_text": "Only of products tracked by serial number: each unit, one a line.",
        }
        widget = UnfoldAdminTextareaWidget(attrs={"rows": 2})
        super().__init__(**{"required": False, "max_length": 100_000, "widget": widget} | said | kwargs)

    def clean(self, value: Any) -> tuple[str, ...]:
        return tuple(str(super().clean(value)).split())
