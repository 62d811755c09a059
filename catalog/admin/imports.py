"""Imports: a file is planned, the plan is looked at, applied, and taken back if it was a mistake."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminTextInputWidget, UnfoldBooleanSwitchWidget

from catalog import effects, tasks
from catalog.models import CatalogImport, CatalogImportRow
from catalog.models.catalog_import import FIELDS
from catalog.operations import plan_work, plan_writing, plans
from partners import files
from partners.admin import ReadOnlyAdmin, acting, ask, back_to, try_operation
from partners.tasks import wake_after_commit

State, Outcome = CatalogImport.State, CatalogImportRow.Outcome
# What is to be looked at first.
LOOKED_AT = ("refused", "dropped", "changed")
ROWS_SHOWN = 50
CELL_MAX = 300
COLOURS = {
    "planning": "info", "planned": "warning", "refused": "danger", "applying": "info", "applied": "success",
    "outdated": "danger", "undone": "", "failed": "danger",
}  # fmt: skip
HOW = {
    "restored": "As it was",
    "deleted": "Deleted",
    "discontinued": "In use, discontinued",
    "kept": "Changed since, left",
}


class UploadForm(forms.Form):
    """A file, and a word to find it again."""

    file = forms.FileField(
        widget=UnfoldAdminFileFieldWidget,
        help_text="CSV, XLSX or JSON lines, up to 50 MB: products, or fitments where there are columns make and model; or ACES and"
        " PIES, also packed with gzip or zip.",
    )
    title = forms.CharField(
        max_length=200, required=False, widget=UnfoldAdminTextInputWidget, help_text="Empty: the file's name."
    )


class UndoForm(BaseDialogForm):
    is_forced = forms.BooleanField(
        required=False, widget=UnfoldBooleanSwitchWidget, label="Leave out what has changed since"
    )


@admin.register(CatalogImport)
class CatalogImportAdmin(ReadOnlyAdmin):
    list_display = ("name", "label", "kind", "new_count", "changed_count", "refused_count", "actor", "created_at")
    list_display_links = ("name",)
    list_select_related = ("partner",)
    list_filter = ("state", "kind", "origin")
    search_fields = ("number__exact",)
    search_help_text = "A whole number"
    fields = (
        ("number", "kind", "origin"),
        ("actor", "applied_by", "undone_by"),
        ("created_at", "applied_at", "undone_at", "forgotten_at"),
    )
    change_form_before_template = "admin/catalog/import/plan.html"
    actions_list = ("upload",)
    actions_detail = ("apply_this", "plan_again", "undo_this")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("file_content")

    @display(description="Import", header=True)
    def name(self, plan: CatalogImport) -> list[str]:
        return [plan.title, plan.number]

    @display(description="State", ordering="state", label=COLOURS)
    def label(self, plan: CatalogImport) -> tuple[str, str]:
        return plan.state, plan.get_state_display()

    def stands_at(self, request: HttpRequest, object_id: Any, *states: str) -> bool:
        """Whether the step may be taken by this person and, where the page of one is shown, from where it stands."""
        if not self.has_step_permission(request):
            return False
        rows = self.get_queryset(request).filter(state__in=states, forgotten_at=None)
        return object_id is None or rows.filter(pk=object_id).exists()

    def has_apply_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.stands_at(request, object_id, State.PLANNED)

    def has_again_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.stands_at(
            request, object_id, State.PLANNED, State.OUTDATED, State.REFUSED, State.FAILED, State.UNDONE
        )

    def has_undo_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.stands_at(request, object_id, State.APPLIED)

    @action(description="Import a file", icon="upload_file", url_path="upload", permissions=["step"])
    def upload(self, request: HttpRequest) -> HttpResponse:
        """The file is kept and planned by a worker; its page tells how far it is."""
        form = UploadForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            sent = form.cleaned_data["file"]
            try:
                plan = plan_work.open_file(
                    name=sent.name, content=sent.read(), title=form.cleaned_data["title"], actor=acting(request),
                    origin=CatalogImport.Origin.FILE,
                )  # fmt: skip
            except files.Unreadable as error:
                form.add_error("file", str(error))
            else:
                wake_after_commit(tasks.work_on_imports)
                return redirect("admin:catalog_catalogimport_change", plan.pk)
        context = self.admin_site.each_context(request) | {
            "form": form, "title": "Import a file", "opts": self.model._meta,
        }  # fmt: skip
        return render(request, "admin/catalog/import/upload.html", context)

    @action(
        description="Apply", icon="check", permissions=["apply"],
        dialog=ask("Apply this plan?", "All of it is done, or, if anything moved since it was made, nothing.", "Apply"),
    )  # fmt: skip
    def apply_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        plan = get_object_or_404(self.get_queryset(request), pk=object_id)
        if refusal := try_operation(lambda: plans.start(plan=plan, actor=acting(request))):
            messages.error(request, refusal)
        else:
            wake_after_commit(tasks.work_on_imports)
        return self.page_of(request, plan)

    @action(description="Plan again", icon="refresh", permissions=["again"], dialog=ask(
        "Plan these rows again?", "A new plan is made from the same rows and what is there now; this one stays.", "Plan again",
    ))  # fmt: skip
    def plan_again(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        plan = get_object_or_404(self.get_queryset(request), pk=object_id)
        opened: list[CatalogImport] = []
        if refusal := try_operation(lambda: opened.append(plan_work.open_again(plan=plan, actor=acting(request)))):
            messages.error(request, refusal)
            return self.page_of(request, plan)
        wake_after_commit(tasks.work_on_imports)
        return self.page_of(request, opened[0])

    @action(description="Undo", icon="undo", permissions=["undo"], dialog=ask(
        "Take this import back?", "Products return to what they were. New ones are deleted, or discontinued where"
        " something hangs on them.", "Undo", UndoForm,
    ))  # fmt: skip
    def undo_this(self, request: HttpRequest, form: UndoForm, object_id: str) -> HttpResponse:
        plan = get_object_or_404(self.get_queryset(request), pk=object_id)
        forced = form.cleaned_data["is_forced"]
        if refusal := try_operation(lambda: plans.undo(plan=plan, actor=acting(request), is_forced=forced)):
            messages.error(request, refusal)
        else:
            messages.success(request, f"{plan.title} is taken back.")
        return self.page_of(request, plan)

    def page_of(self, request: HttpRequest, plan: CatalogImport) -> HttpResponse:
        return back_to(request, reverse("admin:catalog_catalogimport_change", args=[plan.pk]))

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        """Its rows are read page by page, by the index over their outcomes, and never counted."""
        plan = self.get_object(request, object_id)
        shown = extra_context or {}
        if plan is not None:
            shown |= context_of(plan, request.GET.get("rows", ""), request.GET.get("after", ""))
            shown |= {"title": plan.title, "subtitle": None}
        # What is asked of the rows is none of the list's filters.
        request.GET = request.GET.copy()
        for name in ("rows", "after"):
            request.GET.pop(name, None)
        return super().change_view(request, object_id, form_url, shown)


def context_of(plan: CatalogImport, outcome: str, after: str) -> dict[str, Any]:
    """What the page of a plan shows of it. At most three queries."""
    counts = plan.counts
    chosen = outcome if outcome in counts else next((name for name in LOOKED_AT if counts[name]), "new")
    rows = CatalogImportRow.objects.filter(plan=plan.pk, outcome=chosen).order_by("pk").defer("said")
    if after.isascii() and after.isdigit():
        rows = rows.filter(pk__gt=int(after[:18]))
    page = list(rows[: ROWS_SHOWN + 1])
    is_at_work = plan.state in (State.PLANNING, State.APPLYING)
    return {
        "counts": [
            (name, str(Outcome(name).label).lower(), counts[name], name == chosen)
            for name in ("new", "changed", "dropped", "refused", "unchanged")
            if counts[name] or name != "dropped"
        ],
        "rows": [told(row) for row in page[:ROWS_SHOWN]],
        "more": f"?{urlencode({'rows': chosen, 'after': page[ROWS_SHOWN - 1].pk})}" if len(page) > ROWS_SHOWN else "",
        "is_at_work": is_at_work,
        "progress": plan_writing.progress(numbers=[plan.number]).get(plan.number, "") if is_at_work else "",
        "felt": [
            (FIELDS.get(name, name), told["products"], [(effects.NAMES.get(what, what), count) for what, count in told.items() if what != "products"])
            for name, told in plan.effects.items()
        ],
    }  # fmt: skip


def told(row: CatalogImportRow) -> dict[str, Any]:
    """A row as people read it."""
    return {
        "number": row.number, "sku": row.sku, "undone": HOW.get(row.undoing, ""),
        "changes": [(name, short(was), short(new)) for name, was, new in row.changes if name != "fitment"],
        "reasons": row.reasons,
        "effects": [f"{count:,} {effects.NAMES.get(what, what)}" for what, count in row.effects.items()],
    }  # fmt: skip


def short(value: Any) -> str:
    text = plan_writing.shown(value)
    return text if len(text) <= CELL_MAX else text[:CELL_MAX] + "…"
