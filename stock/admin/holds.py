"""Recalls: who got some of a batch, and the dialog that asks why one is held back."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextInputWidget

from partners.admin import DocumentAdmin, ask
from stock import tracing
from stock.models import Recall
from stock.operations import holds

# The page is a look; whoever needs all rows takes them from the ledger by the batch.
SHOWN_MAX = 200


class WhyForm(BaseDialogForm):
    """The reason is written into the batch's history and told to those concerned."""

    reason = forms.CharField(max_length=200, widget=UnfoldAdminTextInputWidget)


@admin.register(Recall)
class RecallAdmin(DocumentAdmin):
    list_display = ("number", "product", "batch", "label", "blocked", "promises_broken", "opened_at", "actor")
    list_select_related = ("batch__variant",)
    list_filter = ("state",)
    search_fields = ("number__exact", "batch__number__exact", "batch__variant__sku__exact")
    search_help_text = "A whole recall or batch number, or a SKU"
    fields = (
        ("number", "state"),
        ("product", "batch"),
        "reason",
        ("blocked", "promises_broken"),
        ("opened_at", "closed_at"),
        "actor",
    )
    readonly_fields = ("product",)
    change_form_outer_before_template = "admin/stock/recall_trace.html"
    actions_detail = ("close_this",)

    @display(description="Product")
    def product(self, recall: Recall) -> str:
        return str(recall.batch.variant)

    @display(description="State", ordering="state", label={"open": "danger", "closed": "success"})
    def label(self, recall: Recall) -> tuple[str, str]:
        return recall.state, recall.get_state_display()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        found = {}
        recall = Recall.objects.select_related("batch").filter(pk=object_id).first() if object_id.isdecimal() else None
        if recall and self.has_view_permission(request, recall):
            found = {"trace": tracing.trace(batch=recall.batch, limit=SHOWN_MAX)}
        return super().change_view(request, object_id, form_url, (extra_context or {}) | found)

    @action(
        description="Close",
        icon="task_alt",
        permissions=["step"],
        dialog=ask("Is all of it back or accounted for?", "The batch stays blocked until it is lifted.", "Close"),
    )
    def close_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.take_step(request, object_id, "closed", holds.close_recall, "recall")
