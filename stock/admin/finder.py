"""Which part fits the car at the counter, and is it there: by year, make, model and engine, by words or a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.utils import timezone
from unfold.decorators import action
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextInputWidget

from catalog import fitting, interchange
from catalog.admin import FitmentAdmin
from catalog.fitting import Asked, Fit
from catalog.models import Fitment, KitComponent, SupplierItem, Variant
from catalog.operations.fitments import YEAR_MAX, YEAR_MIN
from catalog.search import Hit
from stock import availability
from stock.admin.search import hits_of
from stock.availability import Asker

SHOWN_MAX = 50
# A product fits a vehicle in a few ways; one that does in hundreds is told by the first.
FITS_MAX = 500
CHOICES = {"year": fitting.years, "make": fitting.makes, "model": fitting.models, "engine": fitting.engines}
NUMBER_DIGITS = {8, 12, 13, 14}


class FindForm(forms.Form):
    """The car, from left to right, and words or a number of the part."""

    year = forms.IntegerField(
        min_value=YEAR_MIN, max_value=YEAR_MAX, required=False, widget=UnfoldAdminIntegerFieldWidget
    )
    make = forms.CharField(max_length=60, required=False, widget=UnfoldAdminTextInputWidget)
    model = forms.CharField(max_length=100, required=False, widget=UnfoldAdminTextInputWidget)
    engine = forms.CharField(max_length=60, required=False, widget=UnfoldAdminTextInputWidget)
    q = forms.CharField(max_length=100, required=False, widget=UnfoldAdminTextInputWidget, label="Words or number")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.widget.attrs |= {"autocomplete": "off", "id": f"find-{name}"}
            if name in CHOICES:
                field.widget.attrs |= {"list": f"choices-{name}", "data-choices": name}
        self.fields["year"].widget.attrs["autofocus"] = True
        self.fields["q"].widget.attrs["placeholder"] = "SKU, name, barcode, OE or part number"

    @property
    def asked(self) -> Asked:
        said = self.cleaned_data
        return Asked(year=said["year"], make=said["make"], model=said["model"], engine=said["engine"])


@dataclass(frozen=True, kw_only=True)
class Found:
    """A product with where it fits and what there is of it; `why` where another was asked for."""

    variant: Variant
    fits: list[Fit]
    why: str
    on_hand: int | None
    reserved: int | None
    available: int | None


def find(*, asked: Asked, words: str, asker: Asker) -> tuple[list[Found], bool]:
    """The parts for a car, or named by words or a number, and whether there are more. At most ten queries.

    A number also finds the products that are equal to it, and what replaced the one it names.
    """
    variants = Variant.objects.stocked().filter(status=Variant.Status.ACTIVE)
    whys: dict[int, str] = {}
    if words:
        whys = named(words, asker)
        variants = variants.filter(pk__in=list(whys))
    rows = list(fitting.fitting(variants, asked).order_by("sku")[: SHOWN_MAX + 1])
    has_more, rows = len(rows) > SHOWN_MAX, rows[:SHOWN_MAX]
    ids = [row.pk for row in rows]
    fits = {} if asked.is_blank else fitting.fits_of(variant_ids=ids, asked=asked, limit=FITS_MAX)
    kits = set(KitComponent.objects.filter(kit__in=ids).values_list("kit_id", flat=True))
    answers = availability.available(variant_ids=[pk for pk in ids if pk not in kits], asker=asker)
    return [told(row, fits.get(row.pk, []), whys.get(row.pk, ""), answers.get(row.pk)) for row in rows], has_more


def told(variant: Variant, fits: list[Fit], why: str, answer: Any) -> Found:
    """A kit has no stock of its own, and no numbers here."""
    on_hand = reserved = available = None
    if answer is not None:
        on_hand = sum(term.quantity for term in answer.terms if term.name == "onHand")
        reserved = -sum(term.quantity for term in answer.terms if term.name == "reserved")
        available = answer.quantity
    return Found(variant=variant, fits=fits, why=why, on_hand=on_hand, reserved=reserved, available=available)


def equal_to(hit: Hit, words: str) -> str:
    """Another brand's number: as it was typed where it is whole, else as it is kept."""
    return words if hit.is_exact else hit.what


def named(words: str, asker: Asker) -> dict[int, str]:
    """The products words or a number name, with why where it is not by their own name. Five queries at most."""
    whys = {
        hit.variant_id: f"equal to {equal_to(hit, words)}" if hit.why == "interchange" else "" for hit in hits_of(words)
    }
    codes = Q(pk__in=SupplierItem.objects.filter(supplier_code__iexact=words).values("variant"))
    if words.isascii() and words.isdigit() and len(words) in NUMBER_DIGITS:
        codes |= Q(gtin14=words.zfill(14))
    whys |= dict.fromkeys(Variant.objects.filter(codes).order_by().values_list("pk", flat=True)[:SHOWN_MAX], "")
    # Words that name many products ask for those; only a few are asked for by number.
    if 0 < len(whys) <= SHOWN_MAX:
        instead = interchange.instead_of(variant_ids=list(whys), on=asker.today)
        skus = dict(Variant.objects.filter(pk__in=[row.variant_id for row in instead]).values_list("pk", "sku"))
        for row in instead:
            verb = "replaces" if row.steps else "equal to"
            whys.setdefault(row.other_id, f"{verb} {skus[row.variant_id]}")
    return whys


admin.site.unregister(Fitment)


@admin.register(Fitment)
class FindingFitmentAdmin(FitmentAdmin):
    """The catalog's fitments, and the page that finds a part by its car."""

    actions_list = ("find",)

    def get_urls(self) -> list[Any]:
        choices = path("find/choices", self.admin_site.admin_view(self.choices), name="catalog_fitment_choices")
        return [choices, *super().get_urls()]

    @action(description="Find parts", icon="search", url_path="find", permissions=["view"])
    def find(self, request: HttpRequest) -> HttpResponse:
        """The page; its list alone for the page's own script."""
        form = FindForm(request.GET)
        found: list[Found] = []
        has_more = is_asked = False
        if form.is_valid():
            is_asked = any(form.cleaned_data.values())
            if is_asked:
                asker = Asker(partner=None, channel="", at=timezone.now())
                found, has_more = find(asked=form.asked, words=form.cleaned_data["q"], asker=asker)
        context = self.admin_site.each_context(request) | {
            "form": form, "found": found, "has_more": has_more, "is_asked": is_asked, "shown_max": SHOWN_MAX,
            "title": "Find parts", "opts": self.model._meta, "choices_url": reverse("admin:catalog_fitment_choices"),
        }  # fmt: skip
        is_part = request.headers.get("X-Part") == "found"
        return render(request, "admin/catalog/found.html" if is_part else "admin/catalog/find.html", context)

    def choices(self, request: HttpRequest) -> HttpResponse:
        """What can be chosen in a field after what is chosen in those before it; nothing for what is no field."""
        form = FindForm(request.GET)
        field = request.GET.get("field", "")
        if not self.has_view_permission(request) or field not in CHOICES or not form.is_valid():
            return JsonResponse({"items": []}, status=200 if self.has_view_permission(request) else 403)
        before = list(CHOICES)[: list(CHOICES).index(field)]
        asked = Asked(**{name: form.cleaned_data[name] for name in before})
        if field == "engine" and not (asked.make and asked.model):
            return JsonResponse({"items": []})
        return JsonResponse({"items": CHOICES[field](asked=asked, visible=None)})
