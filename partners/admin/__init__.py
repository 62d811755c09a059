"""Staff pages of the gatehouse, and the kinds of page the whole house uses."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar

import oauth2_provider.admin  # noqa: F401  registers first what is unregistered below
import psycopg.errors as pg
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.options import BaseModelAdmin
from django.contrib.admin.utils import unquote
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import IntegrityError, OperationalError, transaction
from django.db.models import CharField
from django.db.models.lookups import IContains
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_grant_model, get_id_token_model, get_refresh_token_model
from simple_history.admin import SimpleHistoryAdmin
from unfold.admin import ModelAdmin, TabularInline
from unfold.dataclasses import ActionDialog, UnfoldAction
from unfold.decorators import action
from unfold.forms import BaseDialogForm
from unfold.paginator import InfinitePaginator
from unfold.widgets import UnfoldAdminTextInputWidget, UnfoldBooleanSwitchWidget

from partners import actors, scopes
from partners.actors import Actor
from partners.models import Application, Feed, IdempotencyKey, OutboxEvent, Partner
from partners.operations import partners
from partners.problems import Problem
from partners.refused import field_of, refused

# The OAuth library's own pages would show tokens and let staff type them.
for model in (get_access_token_model(), get_grant_model(), get_id_token_model(), get_refresh_token_model()):
    if admin.site.is_registered(model):
        admin.site.unregister(model)
if admin.site.is_registered(Application):
    admin.site.unregister(Application)


ROWS_MAX = 100
OUTDATED = "Nothing was saved: somebody else has changed this since you opened it. This is how it stands now."
# As far as anybody scrolls through a choice; more letters find better.
CHOICES_MAX = 200
BUSY = (pg.LockNotAvailable, pg.DeadlockDetected, pg.SerializationFailure)


@CharField.register_lookup
class Holds(IContains):
    """What `icontains` finds, said as ILIKE: the trigram indexes answer it, and not Django's UPPER(…) LIKE."""

    lookup_name = "holds"

    def get_rhs_op(self, connection: Any, rhs: Any) -> str:
        return f"ILIKE {rhs}"


def acting(request: HttpRequest) -> Actor:
    return actors.staff(request.user.pk, request.user.get_username())


def said(problem: Problem) -> str:
    """A refusal in a sentence for staff: the wrong fields' own words, or what there is of the products it is short of."""
    if found := problem.data.get("errors"):
        return " ".join(row["detail"] for row in found)
    short = [row for row in problem.data.get("shortages", []) if row["available"] is not None]
    return " ".join(
        [
            str(problem),
            *(
                f"{row.get('productId', 'In one place')}: {row['requested']:,} asked, {row['available']:,} there."
                for row in short
            ),
        ]
    )


def try_operation(operation: Callable[[], object]) -> str:
    """Run it; the answer is why it was refused, or nothing when it was done."""
    try:
        operation()
    except Problem as problem:
        return said(problem)
    except OperationalError as error:
        if not isinstance(error.__cause__, BUSY):
            raise
        return "Somebody else is working on the same stock. Nothing was done; try again."
    return ""


def run_each(request: HttpRequest, queryset: Any, verb: str, operation: Any, argument: str) -> None:
    """Call an operation for each row; what refuses is shown with its reason, the others are done."""
    done = 0
    rows = list(queryset[: ROWS_MAX + 1])
    for row in rows[:ROWS_MAX]:
        call = {argument: row, "actor": acting(request), "at": timezone.now()}
        if refusal := try_operation(lambda call=call: operation(**call)):
            messages.error(request, f"{row}: {refusal}")
        else:
            done += 1
    if done:
        messages.success(request, f"{done} {verb}.")
    if len(rows) > ROWS_MAX:
        messages.warning(request, f"Only the first {ROWS_MAX} were tried; choose the others again.")


def back_to(request: HttpRequest, url: str) -> HttpResponse:
    """The answer to a dialog that is done: the page below it, read anew."""
    return (
        HttpResponse(headers={"HX-Redirect": url}) if request.headers.get("HX-Request") else HttpResponseRedirect(url)
    )


def ask(question: str, consequence: str, verb: str, form: type[BaseDialogForm] = BaseDialogForm) -> ActionDialog:
    return ActionDialog(title=question, description=consequence, form_class=form, form_submit_text=verb)


class Uncounted(BaseModelAdmin):  # type: ignore[type-arg]  # it takes none while it runs
    """Tables without end are never counted. A choice among them is, as far as anybody scrolls: without a count it
    would ask for pages without end."""

    show_full_result_count = False
    list_per_page = 50
    list_disable_select_all = True
    # A list that fits into some pages is counted, and says how many there are.
    is_short = False

    def get_paginator(
        self, request: HttpRequest, queryset: Any, per_page: int, *args: Any, **kwargs: Any
    ) -> Paginator[Any]:
        if self.is_short:
            return Paginator(queryset, per_page, *args, **kwargs)
        if request.resolver_match is not None and request.resolver_match.url_name == "autocomplete":
            return Paginator(queryset[:CHOICES_MAX], per_page)
        return InfinitePaginator(queryset, per_page, *args, **kwargs)


class ReadOnlyAdmin(Uncounted, ModelAdmin):
    """Rows made by operations alone: everybody with the permission may look, nobody may type."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_step_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may take the documents' steps: the staff whose role may change them."""
        opts = self.model._meta
        return bool(request.user.has_perm(f"{opts.app_label}.change_{opts.model_name}"))

    def take_step(self, request: HttpRequest, object_id: Any, verb: str, operation: Any, argument: str) -> HttpResponse:
        """One step of one document, asked for in a dialog on its page."""
        rows = self.get_queryset(request).filter(pk=get_object_or_404(self.get_queryset(request), pk=object_id).pk)
        run_each(request, rows, verb, operation, argument)
        opts = self.model._meta
        return back_to(request, reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=[object_id]))


class ChosenRow(AutocompleteSelect):
    """What was sent in the place of a row's key and can be none is shown as nothing chosen.

    The library would look it up to show it again, beside the sentence that refuses it, and fail.
    """

    def optgroups(self, name: str, value: Any, attr: Any = None) -> Any:
        return super().optgroups(name, [sent for sent in value if self.can_be_a_key(sent)], attr)

    def can_be_a_key(self, sent: Any) -> bool:
        try:
            self.field.target_field.to_python(sent)
        except forms.ValidationError:
            return False
        return "\x00" not in str(sent)


class Choosing(BaseModelAdmin):  # type: ignore[type-arg]  # it takes none while it runs
    """Fields that are searched while one types, on a page or in its inlines."""

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs.setdefault("widget", ChosenRow(db_field, self.admin_site))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


class ChoosingAdmin(Choosing, Uncounted, ModelAdmin):
    """A page with such fields."""


class ChoosingInline(Choosing, TabularInline):
    """Rows with such fields."""


class HistoryAdmin(SimpleHistoryAdmin):
    """The history is for reading: who, in which request, which values. Nothing is brought back from it.

    The library's form of an old version takes a POST from anybody who may look, and would put old states,
    versions and holds back without any operation. The list says every value that changed.
    """

    object_history_list_template = "admin/history_list.html"
    history_list_per_page = 50

    def history_form_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        raise PermissionDenied

    def revert_disabled(self, request: HttpRequest, obj: Any = None) -> bool:
        return True


class RefusableAdmin(ModelAdmin):
    """A form whose save an operation or the database may refuse: that is said, nothing was saved, and it is no fault."""

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """What an operation refuses is said at the form, as it was typed; what the database's guards do in a sentence."""
        try:
            with transaction.atomic():
                if request.method == "POST" and object_id and self.is_outdated(request, object_id):
                    messages.error(request, OUTDATED)
                    return back_to(request, request.get_full_path())
                return super().changeform_view(request, object_id, form_url, extra_context)
        except Problem as problem:
            messages.error(request, "Nothing was saved.")
            request.refusal = problem  # type: ignore[attr-defined]  # read by get_form
            return super().changeform_view(request, object_id, form_url, extra_context)
        except IntegrityError as error:
            name = getattr(getattr(error.__cause__, "diag", None), "constraint_name", None) or "a rule of the database"
            messages.error(request, f"Nothing was saved; it would break this rule: {name.replace('_', ' ')}.")
            return back_to(request, request.get_full_path())
        except OperationalError as error:
            if not isinstance(error.__cause__, BUSY):
                raise
            messages.error(request, "Nothing was saved: somebody else is writing the same just now. Try again.")
            return back_to(request, request.get_full_path())

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:  # noqa: FBT001  Django's
        form = super().get_form(request, obj, change=change, **kwargs)
        problem: Problem | None = getattr(request, "refusal", None)
        return form if problem is None else refused(form, problem, said=said(problem), field=self.refused_field)

    def refused_field(self, name: str) -> str:
        """Where on the form it is said what is wrong with a field of the contract; no field: above the form."""
        return field_of(name)

    def is_outdated(self, request: HttpRequest, object_id: str) -> bool:
        """Whether somebody else saved the row since the page was opened. A page that does not say what it saw is not."""
        return False


class TracedAdmin(RefusableAdmin, HistoryAdmin, ChoosingAdmin):
    """Master data: edited in a form, every version kept, nothing deleted. A save is a new version (ETag)."""

    warn_unsaved_form = True
    change_form_before_template = "admin/version_seen.html"

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def is_outdated(self, request: HttpRequest, object_id: str) -> bool:
        """Whether somebody else saved the row since the page was opened: the form would put all back. Locks the row."""
        seen = request.POST.get("version_seen", "")
        if not seen.isdigit() or (found := self.get_object(request, unquote(object_id))) is None:
            return False
        locked = self.model._default_manager.select_for_update(no_key=True, of=("self",)).get(pk=found.pk)
        return str(locked.version) != seen

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001  Django's
        if change and form.changed_data and hasattr(obj, "version"):
            obj.version += 1
        super().save_model(request, obj, form, change)


class DocumentAdmin(HistoryAdmin, ReadOnlyAdmin):
    """Documents: looked at, and moved on by buttons that carry the operations' verbs."""

    steps: ClassVar[Mapping[str, Collection[str]]] = {}
    """By button, the statuses from which its step can be taken; one that is not named is always there."""
    status_field: ClassVar[str] = "status"

    def get_actions_detail(self, request: HttpRequest, object_id: int | str) -> list[UnfoldAction]:
        """Only what can be done with this document now. Whether it is done is decided by the operation."""
        found: list[UnfoldAction] = super().get_actions_detail(request, object_id)
        document = self.get_object(request, unquote(str(object_id))) if self.steps else None
        if document is None:
            return found
        status = getattr(document, self.status_field)
        return [row for row in found if status in self.steps.get(row.method.__name__, (status,))]


class LinesInline(TabularInline):
    """Rows of a document, shown with it and never typed."""

    extra = 0
    can_delete = False
    show_title = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class PartnerForm(forms.ModelForm):
    """Says "every warehouse" and "none" apart, which an empty line of codes cannot."""

    every_warehouse = forms.BooleanField(required=False, widget=UnfoldBooleanSwitchWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["every_warehouse"].initial = self.instance.granted_warehouses is None
        if codes := self.fields.get("granted_warehouses"):
            codes.help_text = "Codes with commas between. No code: it sees no warehouse, unless it sees every one."

    def clean_gln(self) -> str:
        gln: str = self.cleaned_data["gln"]
        try:
            partners.check_gln(gln)
        except Problem as problem:
            raise forms.ValidationError(said(problem)) from problem
        return gln

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if cleaned.get("buffer_units") is not None and cleaned.get("buffer_percent") is not None:
            self.add_error("buffer_percent", "Either units or percent; clear one of the two.")
        if not 0 <= (cleaned.get("buffer_percent") or 0) <= 100:
            self.add_error("buffer_percent", "From 0 to 100.")
        if cleaned.get("every_warehouse"):
            if cleaned.get("granted_warehouses"):
                self.add_error("granted_warehouses", "Either every warehouse or these; clear one of the two.")
            cleaned["granted_warehouses"] = None
        return cleaned


@admin.register(Partner)
class PartnerAdmin(TracedAdmin):
    is_short = True
    form = PartnerForm
    list_display = ("code", "name", "kind", "status", "assortment", "disclosure")
    list_filter = ("kind", "status", "disclosure")
    search_fields = ("code__holds", "name__holds")
    search_help_text = "Code or name"
    readonly_fields = ("version", "created_at")
    fieldsets = (
        (None, {"fields": (("code", "kind"), "name", ("status", "gln"), "contact_email")}),
        (
            "What it may see",
            {
                "fields": (
                    "assortment",
                    "every_warehouse",
                    "granted_warehouses",
                    ("disclosure", "disclosure_cap"),
                    ("buffer_units", "buffer_percent"),
                )
            },
        ),
        ("How far it may go", {"fields": (("holds_max", "held_units_max"), "probes_max")}),
        ("Record", {"fields": (("version", "created_at"),)}),
    )
    actions_detail = ("issue_credentials",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "code") if obj else self.readonly_fields

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "granted_warehouses":
            kwargs["widget"] = UnfoldAdminTextInputWidget
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    @admin.display(boolean=True)
    def every_warehouse(self, partner: Partner) -> bool:
        """Shown in the field's place to those who may only look."""
        return partner.granted_warehouses is None

    def has_issue_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("partners.add_application"))

    @action(
        description="Issue credentials",
        icon="key",
        permissions=["issue"],
        dialog=ask(
            "Issue credentials?",
            "Makes another OAuth client with every scope of the partner's kind. Its secret is shown once.",
            "Issue",
        ),
    )
    def issue_credentials(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """The earlier clients keep working, so that two can overlap while one is being replaced."""
        partner = get_object_or_404(Partner, pk=object_id)
        made = partners.issue_credentials(
            partner=partner, granted_scopes=scopes.OF_KIND[partner.kind], actor=acting(request)
        )
        messages.warning(
            request, f"Copy it now, it is not shown again. Client id {made.client_id}, secret {made.client_secret}"
        )
        return back_to(request, reverse("admin:partners_partner_change", args=[partner.pk]))


@admin.register(OutboxEvent)
class OutboxEventAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "position", "subject_version", "actor", "occurred_at")
    list_filter = ("type",)
    search_fields = ("subject__exact",)
    search_help_text = "A whole subject, like order/SO-1KZD-0RC7-WZP9"


@admin.register(IdempotencyKey)
class IdempotencyKeyAdmin(ReadOnlyAdmin):
    list_display = ("key", "application", "status", "created_at")
    list_select_related = ("application",)
    search_fields = ("key__exact",)
    search_help_text = "A whole key"
    exclude = ("body",)


@admin.register(Feed)
class FeedAdmin(ReadOnlyAdmin):
    list_display = ("epoch", "head")


# What stands on the kinds of page above.
from partners.admin import attempts, credentials, webhooks  # noqa: E402

__all__ = ["attempts", "credentials", "webhooks"]
