"""Pages that are one form for one operation, and what their forms share."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from unfold.widgets import UnfoldAdminTextareaWidget

from catalog.models import Variant
from partners.models import Partner
from stock.models import Location

ROWS_MAX = 500
QUANTITY_MAX = 10**12


def show_form(
    model_admin: Any, request: HttpRequest, form: forms.Form, *, title: str, verb: str, says: str = ""
) -> HttpResponse:
    """A page with the form alone; its button carries the operation's verb, `says` what the verb does."""
    context = model_admin.admin_site.each_context(request) | {
        "form": form,
        "title": title,
        "verb": verb,
        "says": says,
        "opts": model_admin.model._meta,
    }
    return render(request, "admin/stock/level/book.html", context)


def stocked(sku: str) -> Variant:
    """The product of a SKU that somebody typed."""
    variant = Variant.objects.stocked().filter(sku=sku).first()
    if variant is None:
        raise forms.ValidationError("There is no product with this SKU that can be stocked.")
    return variant


def partner_of(code: str) -> Partner | None:
    """The partner of a code that somebody typed; none where nothing was."""
    partner = Partner.objects.filter(code=code).first() if code else None
    if code and partner is None:
        raise forms.ValidationError("There is no partner with this code.")
    return partner


class ProductRowsField(forms.CharField):
    """Products one below the other, a row for each: SKU, quantity and, where it matters, one word more."""

    def __init__(self, *, word: str, word_max: int, **kwargs: Any) -> None:
        widget = UnfoldAdminTextareaWidget(attrs={"rows": 8})
        super().__init__(**{"max_length": 100_000, "widget": widget} | kwargs)
        self.word, self.word_max = word, word_max

    def clean(self, value: Any) -> list[tuple[Variant, int, str]]:
        """The rows as what they mean; each row that cannot be used is named. One query."""
        text = super().clean(value)
        rows = [(number, row.split(maxsplit=2)) for number, row in enumerate(text.splitlines(), 1)]
        rows = [(number, words) for number, words in rows if words]
        if len(rows) > ROWS_MAX:
            raise forms.ValidationError(f"At most {ROWS_MAX} rows at once.")
        skus = {words[0] for _, words in rows}
        variants = {variant.sku: variant for variant in Variant.objects.stocked().filter(sku__in=skus)}
        wrong = [f"Row {number}: {why}" for number, words in rows if (why := self.why_not(words, variants))]
        if wrong:
            raise forms.ValidationError([forms.ValidationError(why) for why in wrong])
        return [(variants[sku], int(quantity), "".join(word)) for _, (sku, quantity, *word) in rows]

    def why_not(self, words: list[str], variants: dict[str, Variant]) -> str:
        sku, *rest = words
        if sku not in variants:
            return f"there is no product {sku} that can be stocked."
        if not rest:
            return f"how many of {sku}?"
        if not (rest[0].isascii() and rest[0].isdigit() and 1 <= int(rest[0][:14]) <= QUANTITY_MAX):
            return f"{rest[0]} is no number of units."
        return f"a {self.word} has up to {self.word_max} characters." if len("".join(rest[1:])) > self.word_max else ""


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


def bin_of(form: forms.Form, cleaned: dict[str, Any]) -> Location | None:
    """The bin somebody typed, of the warehouse chosen beside it; none where nothing was."""
    code, warehouse = cleaned.pop("bin", ""), cleaned.get("warehouse")
    bin_: Location | None = warehouse.locations.filter(code=code).first() if code and warehouse else None
    if code and warehouse and bin_ is None:
        form.add_error("bin", "There is no such bin in this warehouse.")
    return bin_
