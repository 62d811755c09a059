"""Applications and API keys: what partners' programs come with. Secrets are shown once and kept as hashes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from partners.admin import DocumentAdmin, acting, ask, back_to, said
from partners.limits import LIMIT_MAX
from partners.models import ApiKey, Application
from partners.operations import api_keys, credentials, partners
from partners.problems import Problem


class WordsField(forms.CharField):
    """Words with spaces, commas or line ends between."""

    def clean(self, value: Any) -> list[str]:
        return list(dict.fromkeys(super().clean(value).replace(",", " ").split()))


def networks_field() -> WordsField:
    return WordsField(
        required=False,
        max_length=4_000,
        label="Allowed addresses",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text="Networks in CIDR, like 203.0.113.0/24 or 2001:db8::/48. None: from anywhere.",
    )


class RotationForm(BaseDialogForm):
    overlap_hours = forms.IntegerField(
        label="Hours the present secret stays good",
        min_value=0,
        max_value=credentials.OVERLAP_SECONDS_MAX // 3600,
        initial=credentials.OVERLAP_SECONDS // 3600,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="0: it is refused from now on, as when it has leaked.",
    )


class AddressesForm(BaseDialogForm):
    networks = networks_field()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if found := Application.objects.filter(pk=self.object_id).first():
            self.fields["networks"].initial = " ".join(found.allowed_networks)


class ApiKeyForm(BaseDialogForm):
    name = forms.CharField(
        max_length=100,
        widget=UnfoldAdminTextInputWidget,
        help_text="What it is for, like the system that holds it.",
    )
    scopes = WordsField(
        required=False,
        max_length=2_000,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text="Some of the application's, with spaces between. None named: all of them.",
    )
    days = forms.IntegerField(
        label="Days it is good",
        required=False,
        min_value=1,
        max_value=api_keys.LIFE_DAYS_MAX,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Empty: until it is revoked.",
    )
    networks = networks_field()


class LimitsForm(BaseDialogForm):
    reads_per_minute = forms.IntegerField(
        required=False, min_value=1, max_value=LIMIT_MAX, label="Reads a minute", widget=UnfoldAdminIntegerFieldWidget,
        help_text="Empty: as the site allows everybody.",
    )  # fmt: skip
    writes_per_minute = forms.IntegerField(
        required=False, min_value=1, max_value=LIMIT_MAX, label="Writes a minute", widget=UnfoldAdminIntegerFieldWidget,
        help_text="Empty: as the site allows everybody.",
    )  # fmt: skip


def limit_in_words(own: int | None, of_site: int) -> str:
    return f"{own:,}" if own else f"{of_site:,}, as everybody"


@admin.register(Application)
class ApplicationAdmin(DocumentAdmin):
    # The OAuth library's own page of an application is not served here.
    view_on_site = False
    list_display = ("name", "partner", "client_id", "created")
    list_select_related = ("partner",)
    search_fields = ("name__holds", "client_id", "partner__code__holds")
    search_help_text = "Name, client id or partner code"
    fields = (
        "name", "partner", "client_id", "scopes", "allowed_networks", "retiring_until",
        ("reads_a_minute", "writes_a_minute"), "created", "updated",
    )  # fmt: skip
    readonly_fields = ("reads_a_minute", "writes_a_minute")
    actions_detail = ("rotate_secret", "make_api_key", "allow_addresses", "set_limits")

    def has_credentials_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("partners.add_application"))

    def back(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        return back_to(request, reverse("admin:partners_application_change", args=[object_id]))

    @action(
        description="Rotate secret",
        icon="autorenew",
        permissions=["credentials"],
        dialog=ask("Rotate the client secret?", "Makes a new secret, which is shown once.", "Rotate", RotationForm),
    )
    def rotate_secret(self, request: HttpRequest, form: RotationForm, object_id: str) -> HttpResponse:
        application = get_object_or_404(Application, pk=object_id)
        try:
            made = credentials.rotate_secret(
                application=application,
                overlap_seconds=form.cleaned_data["overlap_hours"] * 3600,
                actor=acting(request),
                at=timezone.now(),
            )
        except Problem as problem:
            messages.error(request, said(problem))
            return self.back(request, object_id)
        messages.warning(request, f"Copy it now, it is not shown again. New secret {made.client_secret}")
        return self.back(request, object_id)

    @action(
        description="Make API key",
        icon="vpn_key",
        permissions=["credentials"],
        dialog=ask(
            "Make an API key?",
            "For a system that cannot do OAuth. It acts as this application; the whole key is shown once.",
            "Make",
            ApiKeyForm,
        ),
    )
    def make_api_key(self, request: HttpRequest, form: ApiKeyForm, object_id: str) -> HttpResponse:
        application, now, wish = get_object_or_404(Application, pk=object_id), timezone.now(), form.cleaned_data
        try:
            made = api_keys.create(
                application=application,
                name=wish["name"],
                granted_scopes=wish["scopes"] or None,
                networks=wish["networks"],
                expires_at=now + timedelta(days=wish["days"]) if wish["days"] else None,
                actor=acting(request),
                at=now,
            )
        except Problem as problem:
            messages.error(request, said(problem))
            return self.back(request, object_id)
        messages.warning(request, f"Copy it now, it is not shown again. API key {made.text}")
        return self.back(request, object_id)

    @action(
        description="Allowed addresses",
        icon="shield_lock",
        permissions=["credentials"],
        dialog=ask(
            "From where may it be used?",
            "Counts at once, for the secret, the tokens that are out and the API keys.",
            "Save",
            AddressesForm,
        ),
    )
    def allow_addresses(self, request: HttpRequest, form: AddressesForm, object_id: str) -> HttpResponse:
        application = get_object_or_404(Application, pk=object_id)
        try:
            credentials.allow_addresses(
                application=application, networks=form.cleaned_data["networks"], actor=acting(request)
            )
        except Problem as problem:
            messages.error(request, said(problem))
            return self.back(request, object_id)
        messages.success(request, "Saved.")
        return self.back(request, object_id)

    @admin.display(description="Reads a minute")
    def reads_a_minute(self, application: Application) -> str:
        return limit_in_words(application.reads_per_minute, settings.RATE_LIMIT_READS)

    @admin.display(description="Writes a minute")
    def writes_a_minute(self, application: Application) -> str:
        return limit_in_words(application.writes_per_minute, settings.RATE_LIMIT_WRITES)

    @action(
        description="Set limits",
        icon="speed",
        permissions=["credentials"],
        dialog=ask(
            "Set limits?",
            "A call costs one unit, a batch one for each of its lines, a page one for each 50 rows. Counts within a second.",
            "Set limits",
            LimitsForm,
        ),
    )
    def set_limits(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        application = get_object_or_404(Application, pk=object_id)
        try:
            partners.set_limits(
                application=application,
                actor=acting(request),
                reads_per_minute=form.cleaned_data["reads_per_minute"],
                writes_per_minute=form.cleaned_data["writes_per_minute"],
            )
        except Problem as problem:
            messages.error(request, said(problem))
        else:
            messages.success(request, f"Limits of {application} set.")
        return self.back(request, object_id)


@admin.register(ApiKey)
class ApiKeyAdmin(DocumentAdmin):
    list_display = ("name", "prefix", "application", "state", "last_used_at", "expires_at")
    list_select_related = ("application",)
    search_fields = ("prefix", "name__holds", "application__partner__code__holds")
    search_help_text = "First part of the key, name or partner code"
    fields = (
        "name", "prefix", "application", "scopes", "allowed_networks", "state", "expires_at", "last_used_at",
        "made_by", "created_at", "revoked_at",
    )  # fmt: skip
    readonly_fields = ("state",)
    actions_detail = ("revoke_this",)

    @display(description="State", label={"live": "success", "revoked": "danger", "expired": "warning"})
    def state(self, key: ApiKey) -> str:
        if key.revoked_at:
            return "revoked"
        return "expired" if key.expires_at and key.expires_at <= timezone.now() else "live"

    def has_revoke_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        is_live = object_id is None or ApiKey.objects.filter(pk=object_id, revoked_at__isnull=True).exists()
        return bool(request.user.has_perm("partners.add_application")) and is_live

    @action(
        description="Revoke",
        icon="block",
        permissions=["revoke"],
        dialog=ask("Revoke this key?", "It is refused from now on, and cannot be brought back.", "Revoke"),
    )
    def revoke_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.take_step(request, object_id, "revoked", api_keys.revoke, "api_key")
