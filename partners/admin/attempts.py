"""Who tried to be let in, for auditors."""

from __future__ import annotations

from django.contrib import admin
from unfold.decorators import display

from partners.admin import ReadOnlyAdmin
from partners.models import AuthenticationAttempt


@admin.register(AuthenticationAttempt)
class AuthenticationAttemptAdmin(ReadOnlyAdmin):
    list_display = ("last_at", "kind", "result", "who", "address", "count")
    list_filter = ("succeeded", "kind", "outcome")
    search_fields = ("address__exact", "request_id__exact")
    search_help_text = "A whole address, or the id of a request"
    fields = (
        "at", "last_at", "count", "kind", "result", "who", "application_id", "address", "user_agent", "request_id",
    )  # fmt: skip
    readonly_fields = ("result", "who")

    @display(description="Outcome", ordering="outcome", label={True: "success", False: "danger"})
    def result(self, attempt: AuthenticationAttempt) -> tuple[bool, str]:
        return attempt.succeeded, attempt.outcome.replace("_", " ")

    @admin.display(description="As")
    def who(self, attempt: AuthenticationAttempt) -> str:
        return ", ".join(attempt.names) or "–"
