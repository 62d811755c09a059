"""What must be left, is kept for whom, and how long it must still be good: the rules of promising."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.decorators import display

from partners.admin import TracedAdmin
from stock.models import PromiseRule

Kind = PromiseRule.Kind

UNITS_MAX, DAYS_MAX = 10**12, 3_650
FOR_WHOM = {Kind.GUARANTEE, Kind.CAP}
IN_UNITS = {Kind.GUARANTEE, Kind.CAP, Kind.OVERSELL, Kind.SHELF_LIFE}
HELP = {
    "kind": (
        "Safety stock: so much is never promised. Guaranteed: so much is kept for a channel or partner until it has"
        " taken it. Cap: it holds no more than this. Buffer: so much is not shown to it. Oversell depth: so much may"
        " be promised without stock. Minimum remaining shelf life: what is promised is still good for so many days."
    ),
    "units": "Stock units; for the shelf life: days.",
    "percent": "Instead of units, for safety stock and buffers: of what is left; rounded up.",
    "variant": "One SKU. It beats a rule of its type, which beats a rule of everything.",
    "product_type": "All products of this type. Neither product nor type: everything.",
    "warehouse": "Only for safety stock: it is kept here. Empty: it is kept once over all warehouses.",
    "channel": "The word a reservation names it by, like web. Needed for a guarantee or a cap, unless a partner is.",
    "partner": "Beats a rule of the channel. Not for safety stock.",
}


class RuleForm(forms.ModelForm):
    """Says of each field what the database would refuse as a whole."""

    class Meta:
        model = PromiseRule
        fields = ("kind", "units", "percent", "variant", "product_type", "warehouse", "channel", "partner")
        labels: ClassVar = {"variant": "Product"}
        help_texts = HELP

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if kind := cleaned.get("kind"):
            for field, why in [*wrong_amount(kind, cleaned), *wrong_reach(kind, cleaned)]:
                if field not in self.errors:
                    self.add_error(field, why)
            if not self.errors and self.is_said():
                self.add_error("kind", "There is such a rule for the same products and the same buyers; change that.")
        return cleaned

    def clean_channel(self) -> str:
        return str(self.cleaned_data["channel"]).strip()

    def is_said(self) -> bool:
        names = ("kind", "variant", "product_type", "warehouse", "channel", "partner")
        same = PromiseRule.objects.filter(**{name: self.cleaned_data.get(name) for name in names})
        return same.exclude(pk=self.instance.pk).exists()


def wrong_amount(kind: str, said: dict[str, Any]) -> list[tuple[str, str]]:
    """Which of the two amounts this kind of rule cannot have, or lacks."""
    units, percent = said.get("units"), said.get("percent")
    most = DAYS_MAX if kind == Kind.SHELF_LIFE else UNITS_MAX
    wrong = []
    if kind in IN_UNITS and percent is not None:
        wrong.append(("percent", f"This is said in {'days' if kind == Kind.SHELF_LIFE else 'units'}, not in percent."))
    elif units is not None and percent is not None:
        wrong.append(("percent", "Either units or percent; clear one of the two."))
    if units is None and (percent is None or kind in IN_UNITS):
        wrong.append(("units", "How many days?" if kind == Kind.SHELF_LIFE else "How many?"))
    if units is not None and not 0 <= units <= most:
        wrong.append(("units", f"From 0 to {most:,}."))
    if percent is not None and not 0 <= percent <= 100:
        wrong.append(("percent", "From 0 to 100."))
    return wrong


def wrong_reach(kind: str, said: dict[str, Any]) -> list[tuple[str, str]]:
    """Which products, places and buyers this kind of rule cannot be about."""
    variant, channel, partner = said.get("variant"), said.get("channel"), said.get("partner")
    wrong = []
    if variant and said.get("product_type"):
        wrong.append(("product_type", "Either one product or a type; clear one of the two."))
    if variant and variant.is_parent:
        wrong.append(("variant", "It only gathers its variants; name one of them."))
    elif variant and variant.components.exists():
        wrong.append(("variant", "A kit is promised as its components; name one of them."))
    if kind == Kind.SAFETY:
        wrong += [
            (field, "Safety stock is kept from everybody.") for field in ("channel", "partner") if said.get(field)
        ]
        return wrong
    if said.get("warehouse"):
        wrong.append(("warehouse", "Only safety stock is kept at one warehouse."))
    if channel and partner:
        wrong.append(("partner", "Either a channel or a partner; clear one of the two."))
    if kind in FOR_WHOM and not channel and not partner:
        wrong.append(("channel", "For whom? Name a channel or a partner."))
    return wrong


@admin.register(PromiseRule)
class PromiseRuleAdmin(TracedAdmin):
    form = RuleForm
    list_display = ("what", "products", "at", "whom", "amount")
    list_select_related = ("variant", "product_type", "warehouse", "partner")
    list_filter = ("kind", "warehouse")
    search_fields = ("variant__sku__holds", "channel__holds", "partner__code__holds")
    search_help_text = "SKU, channel or partner code"
    autocomplete_fields = ("variant", "product_type", "warehouse", "partner")
    fieldsets = (
        (None, {"fields": ("kind", ("units", "percent"))}),
        ("Of what", {"fields": (("variant", "product_type"), "warehouse")}),
        ("For whom", {"fields": (("channel", "partner"),)}),
    )

    @display(description="Rule", ordering="kind")
    def what(self, rule: PromiseRule) -> str:
        return rule.get_kind_display()

    @display(description="Products", header=True)
    def products(self, rule: PromiseRule) -> list[str]:
        if rule.variant:
            return [rule.variant.name, rule.variant.sku]
        return [f"All of {rule.product_type}" if rule.product_type else "Everything", ""]

    @display(description="At")
    def at(self, rule: PromiseRule) -> str:
        return rule.warehouse.code if rule.warehouse else "All warehouses"

    @display(description="For")
    def whom(self, rule: PromiseRule) -> str:
        return str(rule.partner or (f"Channel {rule.channel}" if rule.channel else "Everybody"))

    @display(description="Amount", ordering="units")
    def amount(self, rule: PromiseRule) -> str:
        if rule.percent is not None:
            return f"{rule.percent.normalize():f} %"
        return f"{rule.units:,} {'days' if rule.kind == Kind.SHELF_LIFE else 'units'}"

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing leans on a rule, and its history stays: who may change one may take it back."""
        return bool(request.user.has_perm("stock.change_promiserule"))
