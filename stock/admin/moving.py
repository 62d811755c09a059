"""The form that puts goods into another bin."""

from __future__ import annotations

from django import forms
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from catalog.models import Variant
from partners.models import Partner
from stock.admin.pages import SerialNumbersField, partner_of, stocked
from stock.models import Level, Warehouse


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
