"""The forms that put goods into another bin, into other packs, or into other hands."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils import timezone
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from catalog.models import Variant
from partners.admin import acting
from partners.models import Partner
from stock.admin.pages import SerialNumbersField, bin_of, partner_of, stocked
from stock.models import Level, Warehouse
from stock.operations import breaks, owning


class MoveForm(forms.Form):
    """A move as the clerk says it: what, from which bin, to which, how many."""

    is_in_columns = True

    sku = forms.CharField(max_length=64, widget=UnfoldAdminTextInputWidget, label="SKU")
    warehouse = forms.ModelChoiceField(Warehouse.objects.all(), widget=UnfoldAdminSelectWidget)
    from_code = forms.CharField(
        max_length=40, widget=UnfoldAdminTextInputWidget, label="From bin",
        help_text="A bin is a place in the warehouse with a label on it; goods that were just received lie in the default bin.",
    )  # fmt: skip
    to_code = forms.CharField(
        max_length=40, widget=UnfoldAdminTextInputWidget, label="To bin",
        help_text="New bins are opened on the warehouse's page.",
    )  # fmt: skip
    quantity = forms.IntegerField(
        min_value=1, max_value=10**12, widget=UnfoldAdminIntegerFieldWidget,
        help_text="Stock units. Units that are promised may move: their promise goes along, nobody loses anything.",
    )  # fmt: skip
    batch_number = forms.CharField(
        max_length=60,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="Needed where the product is tracked by batch.",
    )
    condition = forms.ChoiceField(
        choices=Level.Condition, initial=Level.Condition.SELLABLE, widget=UnfoldAdminSelectWidget,
        help_text="The condition it lies there in; a move does not change it.",
    )  # fmt: skip
    owner = forms.CharField(
        max_length=40, required=False, widget=UnfoldAdminTextInputWidget,
        help_text="Whose goods these are: a partner's code. Empty: ours.",
    )  # fmt: skip
    reference = forms.CharField(max_length=120, required=False, widget=UnfoldAdminTextInputWidget)
    serials = SerialNumbersField()

    def clean_owner(self) -> Partner | None:
        return partner_of(self.cleaned_data["owner"])

    def clean_sku(self) -> Variant:
        return stocked(self.cleaned_data["sku"])


class BreakForm(forms.Form):
    """Packs to open, or units to pack, as the clerk says it."""

    direction = forms.ChoiceField(
        choices=[("open", "Open packs"), ("pack", "Pack units")], widget=UnfoldAdminSelectWidget, label="What"
    )
    sku = forms.CharField(
        max_length=64, widget=UnfoldAdminTextInputWidget, label="SKU of the pack",
        help_text="The SKU whole packs are kept under.",
    )  # fmt: skip
    warehouse = forms.ModelChoiceField(Warehouse.objects.all(), widget=UnfoldAdminSelectWidget)
    quantity = forms.IntegerField(
        min_value=1, max_value=10**6, widget=UnfoldAdminIntegerFieldWidget,
        help_text="Packs to open; or units to pack, which must fill whole packs.",
    )  # fmt: skip
    batch_number = forms.CharField(
        max_length=60, required=False, widget=UnfoldAdminTextInputWidget,
        help_text="Needed where the product is tracked by batch; packs and units have the same.",
    )  # fmt: skip
    bin = forms.CharField(
        max_length=40, required=False, widget=UnfoldAdminTextInputWidget, help_text="Empty: the warehouse's default."
    )

    def clean_sku(self) -> Variant:
        return stocked(self.cleaned_data["sku"])

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        cleaned["location"] = bin_of(self, cleaned)
        return cleaned


def break_as_said(form: BreakForm, request: HttpRequest) -> None:
    fields = dict(form.cleaned_data)
    verb = breaks.break_open if fields.pop("direction") == "open" else breaks.pack_up
    verb(variant=fields.pop("sku"), actor=acting(request), at=timezone.now(), **fields)


class OwnerForm(forms.Form):
    """Goods that change hands, as the clerk says it."""

    direction = forms.ChoiceField(
        choices=[("takeOver", "Take over: theirs become ours"), ("consign", "Consign: ours become theirs")],
        widget=UnfoldAdminSelectWidget, label="What",
    )  # fmt: skip
    owner = forms.CharField(
        max_length=40, widget=UnfoldAdminTextInputWidget, help_text="The partner's code: whose they were, or will be."
    )
    sku = forms.CharField(max_length=64, widget=UnfoldAdminTextInputWidget, label="SKU")
    warehouse = forms.ModelChoiceField(Warehouse.objects.all(), widget=UnfoldAdminSelectWidget)
    bin = forms.CharField(
        max_length=40, required=False, widget=UnfoldAdminTextInputWidget, help_text="Empty: the warehouse's default."
    )
    quantity = forms.IntegerField(
        min_value=1, max_value=10**12, widget=UnfoldAdminIntegerFieldWidget, help_text="Sellable stock units."
    )
    batch_number = forms.CharField(
        max_length=60, required=False, widget=UnfoldAdminTextInputWidget,
        help_text="Needed where the product is tracked by batch.",
    )  # fmt: skip
    reference = forms.CharField(
        max_length=120, required=False, widget=UnfoldAdminTextInputWidget,
        help_text="The paper it is on, like an invoice's number.",
    )  # fmt: skip
    serials = SerialNumbersField()

    def clean_owner(self) -> Partner | None:
        return partner_of(self.cleaned_data["owner"])

    def clean_sku(self) -> Variant:
        return stocked(self.cleaned_data["sku"])

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        cleaned["location"] = bin_of(self, cleaned)
        return cleaned


def change_owner_as_said(form: OwnerForm, request: HttpRequest) -> None:
    fields = dict(form.cleaned_data)
    verb = owning.take_over if fields.pop("direction") == "takeOver" else owning.consign
    verb(variant=fields.pop("sku"), actor=acting(request), at=timezone.now(), **fields)
