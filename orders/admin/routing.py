"""From where orders are sent: what counts for whom, what sending costs, and why a warehouse was asked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.text import capfirst
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget

from orders.models import RoutingDecision, RoutingPolicy, SendingCost
from orders.models.routing import WEIGHTS
from partners.admin import DocumentAdmin, TracedAdmin
from stock.models import Warehouse

DECISIONS_MAX = 20
"""Shown with an order; one is made whenever something of it is promised."""


class PolicyForm(forms.ModelForm):
    """Says of each field what the database would refuse as a whole."""

    class Meta:
        model = RoutingPolicy
        fields = ("name", "channel", "partner", "strategy", "warehouses_max", "prefers", *WEIGHTS)
        labels: ClassVar = {"warehouses_max": "Warehouses at most", "in_full": "In full", "cutoff": "Cut-off"}
        help_texts: ClassVar = {
            "channel": "The word an order names it by, like web. Neither channel nor partner: everybody else's orders.",
            "partner": "Who buys, or the channel that orders for others. Beats a policy of the channel.",
            "strategy": "All but the first go by one term before all others; the weights only tell equals apart.",
        }

    def clean_channel(self) -> str:
        return str(self.cleaned_data["channel"]).strip()

    def clean_prefers(self) -> list[str]:
        codes: list[str] = self.cleaned_data["prefers"]
        unknown = set(codes) - set(Warehouse.objects.filter(code__in=codes).values_list("code", flat=True))
        if unknown:
            raise forms.ValidationError(f"There is no warehouse {', '.join(sorted(unknown))}.")
        return list(dict.fromkeys(codes))

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        channel, partner = cleaned.get("channel", ""), cleaned.get("partner")
        if channel and partner:
            self.add_error("partner", "Either a channel or a partner; clear one of the two.")
        if not self.errors and not any(cleaned[name] for name in WEIGHTS):
            self.add_error("distance", "Something has to count: give one term a weight.")
        same = RoutingPolicy.objects.filter(channel=channel, partner=partner).exclude(pk=self.instance.pk)
        if not self.errors and same.exists():
            self.add_error("name", "There is a policy for the same orders; change that.")
        return cleaned


@admin.register(RoutingPolicy)
class RoutingPolicyAdmin(TracedAdmin):
    form = PolicyForm
    list_display = ("name", "whom", "strategy", "warehouses_max")
    list_select_related = ("partner",)
    list_filter = ("strategy",)
    search_fields = ("name__holds", "channel__holds", "partner__code__holds")
    search_help_text = "Name, channel or partner code"
    autocomplete_fields = ("partner",)
    fieldsets = (
        (None, {"fields": ("name", ("channel", "partner"))}),
        ("From where", {"fields": (("strategy", "warehouses_max"), "prefers")}),
        ("What counts how much, 0 to 100", {"fields": (tuple(WEIGHTS)[:4], tuple(WEIGHTS)[4:])}),
    )

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "prefers":
            kwargs["widget"] = UnfoldAdminTextInputWidget
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    @display(description="For")
    def whom(self, policy: RoutingPolicy) -> str:
        return str(policy.partner or (f"Channel {policy.channel}" if policy.channel else "Everybody"))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing leans on a policy, and its history stays: who may change one may take it back."""
        return bool(request.user.has_perm("orders.change_routingpolicy"))


@admin.register(SendingCost)
class SendingCostAdmin(TracedAdmin):
    list_display = ("where", "per_parcel", "per_unit", "per_100_km")
    list_select_related = ("warehouse",)
    search_fields = ("warehouse__code__holds", "country__exact")
    search_help_text = "Warehouse code or country"
    autocomplete_fields = ("warehouse",)
    fields = (("warehouse", "country"), ("per_parcel", "per_unit", "per_100_km"))

    @display(description="From and to")
    def where(self, cost: SendingCost) -> str:
        return str(cost)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing leans on a cost, and its history stays."""
        return bool(request.user.has_perm("orders.change_sendingcost"))


def heads(decision: RoutingDecision) -> list[tuple[str, int]]:
    """The terms in words, each with its weight."""
    words = {term: capfirst(name.replace("_", " ")) for name, term in WEIGHTS.items()}
    terms = decision.considered[0]["terms"] if decision.considered else []
    return [(words.get(row["term"], row["term"]), row["weight"]) for row in terms]


class ExplainedAdmin(DocumentAdmin):
    """A document that was routed; its page says why as it was."""

    change_form_outer_after_template = "admin/orders/routing.html"

    def decisions(self, document: Any) -> Iterable[RoutingDecision]:
        """The newest first."""
        raise NotImplementedError

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        found = {}
        document = self.model.objects.filter(pk=object_id).first() if object_id.isdecimal() else None
        if document and self.has_view_permission(request, document):
            found = {"decisions": [(decision, heads(decision)) for decision in self.decisions(document)]}
        return super().change_view(request, object_id, form_url, (extra_context or {}) | found)
