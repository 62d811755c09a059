"""What the stock is worth, from which layers, and what documents said of it: looked at, and revalued by a form."""

from __future__ import annotations

from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.text import capfirst
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from catalog.models import Variant
from partners.admin import ReadOnlyAdmin, TracedAdmin, acting, try_operation
from stock import valuation
from stock.admin.pages import show_form, stocked
from stock.admin.search import named, variants_named
from stock.models import CostingRule, CostLayer, CostNote, CostPool, Revaluation
from stock.models.costing import Method
from stock.operations import valuing

ROAD = "On the road"


class ValueAdmin(ReadOnlyAdmin):
    """Rows of products; the page says up to which movement they are valued."""

    search_fields = ("variant__sku",)
    search_help_text = "SKU or name"

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        title = f"{capfirst(self.opts.verbose_name_plural)} · {valuation.valued_up_to()}"
        return super().changelist_view(request, {"title": title} | (extra_context or {}))

    @display(description="Product", header=True)
    def product(self, row: Any) -> list[str]:
        return named(row.variant)

    @display(description="At")
    def at(self, row: Any) -> str:
        return row.warehouse.code if row.warehouse else ROAD

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        words = search_term.strip()
        return (queryset.filter(variant_id__in=variants_named(words)) if words else queryset), False


@admin.register(CostPool)
class CostPoolAdmin(ValueAdmin):
    list_display = ("product", "at", "quantity", "value", "each")
    list_select_related = ("variant", "warehouse")
    list_filter = ("warehouse",)
    fields = (("variant", "at"), ("quantity", "value"), "by_age")
    readonly_fields = ("at", "by_age")

    @display(description="Each")
    def each(self, pool: CostPool) -> str:
        return f"{pool.value / pool.quantity:.4f}" if pool.quantity else "–"

    @display(description="By age")
    def by_age(self, pool: CostPool) -> str:
        rows = valuation.ageing(on=timezone.now().date(), variant_ids=[pool.variant_id])
        oldest = f"over {valuation.AGES[-1]}"
        return "; ".join(
            f"{f'up to {row.days}' if row.days else oldest} days: {row.quantity:,} worth {row.value:,}"
            for row in rows
            if row.warehouse_id == pool.warehouse_id
        )


@admin.register(CostLayer)
class CostLayerAdmin(ValueAdmin):
    list_display = ("product", "at", "quantity", "value", "left_quantity", "left_value", "acquired_at", "is_estimated")
    list_select_related = ("variant", "warehouse")
    list_filter = ("is_estimated", "warehouse")
    fields = (
        ("variant", "at"),
        ("quantity", "value"),
        ("left_quantity", "left_value"),
        ("movement_id", "is_estimated"),
        ("acquired_at", "recorded_at"),
    )
    readonly_fields = ("at",)


@admin.register(CostNote)
class CostNoteAdmin(ReadOnlyAdmin):
    list_display = ("reference", "kind", "amount", "currency", "movement_id", "is_booked", "told_at")
    list_filter = ("is_booked", "kind", "currency")
    search_fields = ("movement_id__exact",)
    search_help_text = "The number of a movement"


class RevalueForm(forms.Form):
    """What a product is worth from now on, and how its cost is followed."""

    sku = forms.CharField(max_length=64, widget=UnfoldAdminTextInputWidget, label="SKU")
    unit_cost = forms.DecimalField(
        required=False, min_value=0, max_digits=14, decimal_places=4, widget=UnfoldAdminDecimalFieldWidget,
        help_text="Of each unit that lies there, in the currency of the books. Empty: the value stays.",
    )  # fmt: skip
    method = forms.ChoiceField(
        choices=[("", "As it is"), *Method.choices], required=False, widget=UnfoldAdminSelectWidget
    )
    reason = forms.CharField(max_length=200, widget=UnfoldAdminTextInputWidget)

    def clean_sku(self) -> Variant:
        return stocked(self.cleaned_data["sku"])


@admin.register(Revaluation)
class RevaluationAdmin(ValueAdmin):
    list_display = (
        "product",
        "quantity",
        "value_before",
        "value_after",
        "method_after",
        "reason",
        "actor",
        "booked_at",
    )
    list_select_related = ("variant",)
    actions_list = ("revalue",)

    def has_revalue_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("stock.add_revaluation"))

    @action(description="Revalue", icon="price_change", url_path="revalue", permissions=["revalue"])
    def revalue(self, request: HttpRequest) -> HttpResponse:
        """Set what all units of a product are worth, or by which method they are followed."""
        form = RevalueForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            said = dict(form.cleaned_data)
            variant = said.pop("sku")
            booked = partial(valuing.revalue, variant=variant, actor=acting(request), at=timezone.now(), **said)
            if refusal := try_operation(booked):
                form.add_error(None, refusal)
            else:
                messages.success(request, f"{variant.sku} is revalued.")
                return redirect("admin:stock_revaluation_changelist")
        says = "What lies there is set; what has left keeps the cost it left for."
        return show_form(self, request, form, title="Revalue a product", verb="Revalue", says=says)


@admin.register(CostingRule)
class CostingRuleAdmin(TracedAdmin):
    list_display = ("products", "method")
    list_select_related = ("variant", "product_type")
    list_filter = ("method",)
    search_fields = ("variant__sku__holds",)
    search_help_text = "SKU"
    autocomplete_fields = ("variant", "product_type")
    fields = ("method", ("variant", "product_type"))

    @display(description="Products", header=True)
    def products(self, rule: CostingRule) -> list[str]:
        if rule.variant:
            return named(rule.variant)
        return [f"All of {rule.product_type}" if rule.product_type else "Everything", ""]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing leans on a rule, since a product keeps the method it began with."""
        return bool(request.user.has_perm("stock.change_costingrule"))
