"""Endpoints with their health, and letters: looked at, and moved on by buttons that carry the operations' verbs."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from partners.admin import DocumentAdmin, ReadOnlyAdmin, ask, run_each
from partners.models import Webhook, WebhookDelivery
from partners.operations import webhooks

DAYS_MAX = 30


class ReplayForm(BaseDialogForm):
    hours = forms.IntegerField(
        min_value=1,
        max_value=24 * DAYS_MAX,
        initial=24,
        label="Of so many hours back",
        widget=UnfoldAdminIntegerFieldWidget,
    )


def number_of(state: str) -> Subquery:
    letters = WebhookDelivery.objects.filter(webhook=OuterRef("pk"), state=state).order_by()
    return Subquery(letters.values("webhook").annotate(number=Count("pk")).values("number"))


@admin.register(Webhook)
class WebhookAdmin(DocumentAdmin):
    list_display = ("url", "partner", "shown_status", "backlog", "given_up", "last_success_at", "failing_since")
    list_filter = ("status",)
    list_select_related = ("partner",)
    search_fields = ("url__holds", "partner__code__holds", "description__holds")
    search_help_text = "Address, partner code or description"
    fieldsets = (
        (None, {"fields": ("url", ("partner", "webhook_id"), "description", ("status", "status_reason"))}),
        (
            "What is sent",
            {"fields": ("event_types", "product_ids", "min_interval_seconds", ("below_quantity", "above_quantity"))},
        ),
        (
            "Health",
            {
                "fields": (
                    ("cursor", "failures_in_a_row"),
                    ("last_success_at", "failing_since"),
                    ("rests_until", "tested_at"),
                )
            },
        ),
        ("Record", {"fields": (("version", "created_at"),)}),
    )
    actions_detail = ("pause_this", "resume_this", "retry_failed", "replay_this")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Webhook]:
        """With how many letters wait and were given up, each counted on its partial index."""
        rows = super().get_queryset(request).filter(pk__in=Webhook.objects.living())
        return rows.annotate(pending_count=number_of("pending"), failed_count=number_of("failed"))

    @display(
        description="Status",
        ordering="status",
        label={"active": "success", "paused": "warning", "disabled": "danger"},
    )
    def shown_status(self, webhook: Webhook) -> str:
        return webhook.status

    @display(description="Waiting", ordering="pending_count")
    def backlog(self, webhook: Any) -> int:
        return webhook.pending_count or 0

    @display(description="Given up", ordering="failed_count")
    def given_up(self, webhook: Any) -> int:
        return webhook.failed_count or 0

    @action(
        description="Pause", icon="pause", permissions=["step"], url_path="pause",
        dialog=ask("Pause this endpoint?", "Events wait in the feed until it is resumed; none is lost.", "Pause"),
    )  # fmt: skip
    def pause_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.take_step(request, object_id, "endpoint paused", webhooks.pause, "webhook")

    @action(
        description="Resume", icon="play_arrow", permissions=["step"], url_path="resume",
        dialog=ask("Resume this endpoint?", "It goes on where it stopped, with everything since then.", "Resume"),
    )  # fmt: skip
    def resume_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.take_step(request, object_id, "endpoint resumed", webhooks.resume, "webhook")

    @action(
        description="Retry given up", icon="restart_alt", permissions=["step"], url_path="retry",
        dialog=ask("Send again all that was given up?", "Each letter gets a full set of tries.", "Send again"),
    )  # fmt: skip
    def retry_failed(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.take_step(
            request, object_id, "endpoint gets again what was given up", webhooks.replay_failed, "webhook"
        )

    @action(
        description="Replay", icon="history", permissions=["step"], url_path="replay",
        dialog=ask(
            "Send events again?", "Everything that happened since then, delivered or not; receivers know it by its id.",
            "Send again", ReplayForm,
        ),
    )  # fmt: skip
    def replay_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        since = timezone.now() - timedelta(hours=form.cleaned_data["hours"])
        operation = partial(webhooks.replay, since=since, until=None)
        return self.take_step(request, object_id, "endpoint gets these events again", operation, "webhook")


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin):
    list_display = (
        "__str__", "webhook", "position", "shown_state", "attempts", "last_status", "last_error", "last_milliseconds",
        "last_attempt_at",
    )  # fmt: skip
    list_filter = ("state", "type")
    list_select_related = ("webhook",)
    search_fields = ("subject__exact", "webhook__url__exact")
    search_help_text = "A whole subject, like order/SO-1KZD-0RC7-WZP9, or a whole address"
    actions = ("send_chosen_again",)
    actions_detail = ("send_this_again",)

    @display(
        description="State",
        label={"delivered": "success", "failed": "danger", "pending": "info", "withheld": "warning"},
    )
    def shown_state(self, delivery: WebhookDelivery) -> str:
        return delivery.state

    @admin.action(description="Send again", permissions=["step"])
    def send_chosen_again(self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> None:
        run_each(request, queryset.select_related("webhook"), "to be sent again", webhooks.send_again, "delivery")

    @action(
        description="Send again", icon="send", permissions=["step"], url_path="again",
        dialog=ask("Send this letter again?", "With the same webhook-id, so that who has it knows it.", "Send again"),
    )  # fmt: skip
    def send_this_again(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.take_step(request, object_id, "to be sent again", webhooks.send_again, "delivery")
