"""What partners told us: read, looked into, answered and closed."""

from __future__ import annotations

from functools import partial
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextareaWidget

from orders.models import Feedback
from orders.operations import hearing
from partners.admin import DocumentAdmin, LinesInline, ask

LABELS = {"open": "warning", "answered": "info", "closed": "success"}


class AnswerForm(BaseDialogForm):
    """The partner reads it word by word."""

    text = forms.CharField(label="Answer", max_length=2_000, widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}))


class FeedbackInline(LinesInline):
    """Beside its order: who waits for it, and what they say."""

    model = Feedback
    fk_name = "order"
    fields = ("number", "kind", "status", "rating", "comment", "said_at")
    readonly_fields = fields
    verbose_name_plural = "Feedback"
    show_change_link = True


@admin.register(Feedback)
class FeedbackAdmin(DocumentAdmin):
    list_display = ("number", "kind", "state", "about", "partner", "rating", "said_at")
    list_select_related = ("partner", "variant", "order")
    list_filter = ("status", "kind", "rating", "partner")
    search_fields = ("number__exact", "order__number__exact", "variant__sku__exact", "partner__code__exact")
    search_help_text = "A whole feedback or order number, a SKU or a partner's code"
    fields = (
        ("number", "state"),
        ("partner", "kind"),
        ("variant", "batch"),
        ("order", "warehouse"),
        ("counted_quantity", "count"),
        "rating",
        "comment",
        "answer",
        ("said_at", "answered_at", "closed_at"),
    )
    readonly_fields = ("state",)
    actions_detail = ("answer_this", "close_this", "hold_back_this")

    @display(description="Status", ordering="status", label=LABELS)
    def state(self, feedback: Feedback) -> tuple[str, str]:
        return feedback.status, feedback.get_status_display()

    @display(description="About")
    def about(self, feedback: Feedback) -> str:
        return " · ".join(str(thing) for thing in (feedback.variant, feedback.order) if thing) or "–"

    def has_hold_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("stock.change_batch"))

    @action(
        description="Answer",
        icon="reply",
        permissions=["step"],
        dialog=ask("Answer it?", "The partner is told.", "Answer", AnswerForm),
    )
    def answer_this(self, request: HttpRequest, form: AnswerForm, object_id: str) -> HttpResponse:
        operation = partial(hearing.answer, text=form.cleaned_data["text"])
        return self.take_step(request, object_id, "answered", operation, "feedback")

    @action(
        description="Close",
        icon="task_alt",
        permissions=["step"],
        dialog=ask("Is nothing more to be done about it?", "The partner is told that it is closed.", "Close"),
    )
    def close_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.take_step(request, object_id, "closed", hearing.close, "feedback")

    @action(
        description="Hold the batch back",
        icon="front_hand",
        permissions=["hold"],
        dialog=ask(
            "Hold the batch back everywhere?",
            "Nothing more of it is promised or leaves until somebody has looked at it and lifts it again.",
            "Hold back",
        ),
    )
    def hold_back_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.take_step(request, object_id, "seen to: its batch is held back", hearing.hold_back, "feedback")
