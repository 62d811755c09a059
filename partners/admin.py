"""Staff pages of the gatehouse, and the two kinds of page the whole house uses."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_grant_model, get_id_token_model, get_refresh_token_model
from simple_history.admin import SimpleHistoryAdmin
from unfold.admin import ModelAdmin
from unfold.decorators import action

from partners import actors, scopes
from partners.actors import Actor
from partners.models import Application, Feed, IdempotencyKey, OutboxEvent, Partner
from partners.operations import partners
from partners.problems import Problem

# The OAuth library's own pages would show tokens and let staff type them.
for model in (get_access_token_model(), get_grant_model(), get_id_token_model(), get_refresh_token_model()):
    if admin.site.is_registered(model):
        admin.site.unregister(model)
if admin.site.is_registered(Application):
    admin.site.unregister(Application)


ROWS_MAX = 100


def acting(request: HttpRequest) -> Actor:
    return actors.staff(request.user.pk, request.user.get_username())


class ReadOnlyAdmin(ModelAdmin):
    """Rows made by operations alone: everybody with the permission may look, nobody may type."""

    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class TracedAdmin(SimpleHistoryAdmin, ModelAdmin):
    """Master data: edited in a form, every version kept, nothing deleted. A save is a new version (ETag)."""

    show_full_result_count = False
    list_per_page = 50
    history_list_display = ("actor", "request_id")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001  Django's
        if change and form.changed_data and hasattr(obj, "version"):
            obj.version += 1
        super().save_model(request, obj, form, change)


class DocumentAdmin(SimpleHistoryAdmin, ReadOnlyAdmin):
    """Documents: looked at, and moved on by buttons that carry the operations' verbs."""

    history_list_display = ("actor", "request_id")


def run_each(request: HttpRequest, queryset: Any, verb: str, operation: Any, argument: str) -> None:
    """Call an operation for each row; what refuses is shown with its reason, the others are done."""
    done = 0
    for row in queryset[:ROWS_MAX]:
        try:
            operation(**{argument: row}, actor=acting(request), at=timezone.now())
            done += 1
        except Problem as problem:
            messages.error(request, f"{row}: {problem.detail}")
    if done:
        messages.success(request, f"{done} {verb}.")


@admin.register(Partner)
class PartnerAdmin(TracedAdmin):
    list_display = ("code", "name", "kind", "status", "assortment", "disclosure")
    list_filter = ("kind", "status", "disclosure")
    search_fields = ("code", "name")
    readonly_fields = ("version", "created_at")
    actions_detail = ("issue_credentials",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "code") if obj else self.readonly_fields

    @action(description="Issue credentials", permissions=["change"])
    def issue_credentials(self, request: HttpRequest, object_id: int) -> Any:
        """A new OAuth client with every scope of the partner's kind; its secret is shown this once."""
        partner = get_object_or_404(Partner, pk=object_id)
        made = partners.issue_credentials(
            partner=partner, granted_scopes=scopes.OF_KIND[partner.kind], actor=acting(request)
        )
        messages.warning(
            request, f"Copy it now, it is not shown again. Client id {made.client_id}, secret {made.client_secret}"
        )
        return redirect("admin:partners_partner_change", partner.pk)


@admin.register(Application)
class ApplicationAdmin(ReadOnlyAdmin):
    list_display = ("name", "partner", "client_id", "created")
    list_select_related = ("partner",)
    search_fields = ("name", "client_id", "partner__code")
    fields = ("name", "partner", "client_id", "scopes", "created", "updated")


@admin.register(OutboxEvent)
class OutboxEventAdmin(ReadOnlyAdmin):
    list_display = ("position", "type", "subject", "subject_version", "occurred_at", "actor")
    list_filter = ("type",)
    search_fields = ("subject",)


@admin.register(IdempotencyKey)
class IdempotencyKeyAdmin(ReadOnlyAdmin):
    list_display = ("key", "application", "status", "created_at")
    list_select_related = ("application",)
    search_fields = ("key",)
    exclude = ("body",)


@admin.register(Feed)
class FeedAdmin(ReadOnlyAdmin):
    list_display = ("epoch", "head")
