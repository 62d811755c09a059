"""Staff pages of price lists and prices."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSplitDateTimeWidget

from catalog.models import Price, PriceList
from catalog.operations import offers, prices
from catalog.operations.prices import PriceOf
from partners.admin import TracedAdmin, acting, said
from partners.problems import Problem


class PriceListForm(forms.ModelForm):
    def clean_currency(self) -> str:
        try:
            return offers.check_currency(self.cleaned_data["currency"].upper(), field="currency")
        except Problem as problem:
            raise forms.ValidationError(said(problem)) from problem


@admin.register(PriceList)
class PriceListAdmin(TracedAdmin):
    is_short = True
    form = PriceListForm
    list_display = ("code", "name", "currency", "whose", "priority", "is_active")
    list_select_related = ("partner",)
    list_filter = ("is_active", "currency")
    search_fields = ("code", "name", "channel", "partner__code")
    autocomplete_fields = ("partner",)
    fields = (("code", "name"), ("currency", "priority"), ("partner", "channel"), "is_active")

    @display(description="For")
    def whose(self, price_list: PriceList) -> str:
        return price_list.partner.code if price_list.partner else price_list.channel or "everybody"

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("code",) if obj else ()


class PriceForm(forms.ModelForm):
    """The time it is for as its two ends."""

    since = forms.SplitDateTimeField(label="Valid from", widget=UnfoldAdminSplitDateTimeWidget)
    until = forms.SplitDateTimeField(
        label="Valid until",
        required=False,
        widget=UnfoldAdminSplitDateTimeWidget,
        help_text="Not included; empty: no end.",
    )

    class Meta:
        model = Price
        fields = ("price_list", "variant", "from_quantity", "amount")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        there = self.instance.valid if self.instance.pk else None
        self.fields["since"].initial = there.lower if there else timezone.now().replace(second=0, microsecond=0)
        self.fields["until"].initial = there.upper if there else None
        # A price that is there keeps its beginning; another beginning is another price.
        self.fields["since"].disabled = there is not None

    def clean(self) -> dict[str, Any]:
        fields: dict[str, Any] = super().clean() or self.cleaned_data
        if fields.get("since") and fields.get("until") and fields["until"] <= fields["since"]:
            self.add_error("until", "It ends before it begins.")
        if fields.get("amount") is not None and fields["amount"] < 0:
            self.add_error("amount", "A price is not negative.")
        if fields.get("from_quantity") == 0:
            self.add_error("from_quantity", "A price is from 1 stock unit on.")
        return fields


@admin.register(Price)
class PriceAdmin(TracedAdmin):
    """A new price is set by the operation and ends the one before it; one that is there is set anew the same way."""

    form = PriceForm
    list_display = ("product", "price_list", "from_quantity", "amount", "since", "until")
    list_select_related = ("variant", "price_list")
    list_filter = ("price_list",)
    search_fields = ("variant__sku__startswith", "price_list__code")
    search_help_text = "How the SKU begins, or the list's code"
    autocomplete_fields = ("price_list", "variant")
    fields = (("price_list", "variant"), ("from_quantity", "amount"), ("since", "until"))

    @display(description="Product", header=True)
    def product(self, price: Price) -> list[str]:
        return [price.variant.name, price.variant.sku]

    @display(description="Valid from")
    def since(self, price: Price) -> Any:
        return price.valid.lower

    @display(description="Valid until")
    def until(self, price: Price) -> Any:
        return price.valid.upper

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("price_list", "variant", "from_quantity") if obj else ()

    def save_model(self, request: HttpRequest, obj: Price, form: Any, change: bool) -> None:  # noqa: FBT001  Django's
        since, until = form.cleaned_data["since"], form.cleaned_data["until"]
        price = PriceOf(
            price_list=obj.price_list,
            variant=obj.variant,
            amount=obj.amount,
            since=since,
            until=until,
            from_quantity=obj.from_quantity,
        )
        (outcome,) = prices.set_prices(prices=[price], actor=acting(request))
        if isinstance(outcome, Problem):
            raise outcome
        saved = Price.objects.get(
            price_list=obj.price_list, variant=obj.variant, from_quantity=obj.from_quantity, valid__contains=since
        )
        obj.__dict__.update(saved.__dict__)
