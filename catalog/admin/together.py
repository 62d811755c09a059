"""Many products edited together: what is filled in is set on each, what is ticked is cleared, by way of one plan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from unfold.widgets import (
    CHECKBOX_CLASSES,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from catalog import queries, tasks
from catalog.admin import attributes
from catalog.admin.attributes import AttributesForm
from catalog.models import CatalogImport, ProductType, Variant
from catalog.operations import columns, plan_work, plans
from partners import files
from partners.admin import Choosing, ChosenRow, acting, try_operation
from partners.tasks import wake_after_commit

# A plan of so many is read in a few screens of its summary; more come as a file.
EDITED_MAX = 20_000
# So many are planned while the page waits, about a second; more by a worker, as a file is.
WAITED_MAX = 1_000
CLEAR = "clear"
COLUMNS = {
    "brand": "brand", "product_type": "productType", "status": "status", "tracking": "tracking", "unit": "unit",
    "shelf_life_days": "shelfLifeDays", "warranty_months": "warrantyMonths",
}  # fmt: skip
CLEARED = {name: column for name, column in COLUMNS.items() if column in columns.CLEARED}


class TogetherForm(forms.Form):
    """The columns that are the same for every product. An empty field leaves them as they are."""

    brand = forms.CharField(max_length=120, required=False, widget=UnfoldAdminTextInputWidget)
    product_type = forms.ModelChoiceField(ProductType.objects.all(), required=False)
    status = forms.ChoiceField(
        choices=[("", "–"), *Variant.Status.choices], required=False, widget=UnfoldAdminSelectWidget
    )
    tracking = forms.ChoiceField(
        choices=[("", "–"), *Variant.Tracking.choices], required=False, widget=UnfoldAdminSelectWidget
    )
    unit = forms.CharField(max_length=20, required=False, widget=UnfoldAdminTextInputWidget)
    shelf_life_days = forms.IntegerField(
        min_value=0, max_value=36_500, required=False, widget=UnfoldAdminIntegerFieldWidget
    )
    warranty_months = forms.IntegerField(
        min_value=0, max_value=1_200, required=False, widget=UnfoldAdminIntegerFieldWidget
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["product_type"].widget = ChosenRow(Variant._meta.get_field("product_type"), admin.site)
        self.fields["product_type"].widget.choices = self.fields["product_type"].choices  # type: ignore[attr-defined]  # a choice field has both
        for field in self.fields.values():
            field.widget.attrs["autocomplete"] = "off"
        for name in CLEARED:
            label = f"Clear the {str(self.fields[name].label or name.replace('_', ' ')).lower()}"
            self.fields[f"{CLEAR}_{name}"] = forms.BooleanField(required=False, label=label, widget=UnfoldBooleanWidget)

    def clean(self) -> dict[str, Any]:
        said: dict[str, Any] = super().clean() or self.cleaned_data
        for name in CLEARED:
            if said.get(f"{CLEAR}_{name}") and said.get(name) not in (None, ""):
                self.add_error(name, "Either a value or none; take one away.")
        return said

    @property
    def values(self) -> dict[str, str]:
        """What is set, by the columns of a catalog file."""
        said = {column: self.cleaned_data.get(name) for name, column in COLUMNS.items()}
        return {
            column: str(getattr(value, "pk", value))
            for column, value in said.items()
            if value is not None and value != ""
        }

    @property
    def cleared(self) -> list[str]:
        return [column for name, column in CLEARED.items() if self.cleaned_data.get(f"{CLEAR}_{name}")]

    @property
    def lines(self) -> list[tuple[Any, Any]]:
        """Each field with the box that clears it, where it can be cleared."""
        return [(self[name], self[f"{CLEAR}_{name}"] if name in CLEARED else None) for name in COLUMNS]


class TogetherPages(Choosing):
    """The page that edits products together, for the product's admin: those chosen, or all that match the filter."""

    list_before_template = "admin/catalog/together_link.html"
    actions = ("edit_chosen",)

    def get_urls(self) -> list[Any]:
        page = self.admin_site.admin_view(self.together_view)
        return [path("edit-together/", page, name="catalog_variant_together"), *super().get_urls()]  # type: ignore[misc]

    def has_together_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("catalog.change_variant"))

    @admin.action(description="Edit together", permissions=["together"])
    def edit_chosen(self, request: HttpRequest, queryset: Any) -> HttpResponse:
        ids = sorted(queryset.order_by().values_list("pk", flat=True)[: self.list_per_page])  # type: ignore[attr-defined]  # mixed into an admin
        query = urlencode({"id__in": ",".join(map(str, ids))})
        return redirect(f"{reverse('admin:catalog_variant_together')}?{query}")

    def together_view(self, request: HttpRequest) -> HttpResponse:
        """The products of the list's own filter, counted; what was filled in becomes one plan for all of them."""
        if not self.has_together_permission(request):
            raise PermissionDenied
        chosen = self.chosen(request)
        if chosen is None:
            messages.error(request, "There is no such filter.")
            return redirect(reverse("admin:catalog_variant_changelist"))
        form = TogetherForm(request.POST or None)
        kinds = {kind for _, kind in chosen}
        typed = self.typed_for(request, form, kinds.pop() if len(kinds) == 1 else "")
        refusal = ""
        if request.method == "POST" and self.is_ready(request, form, typed, chosen):
            plan, refusal = self.plan_edit(request, [sku for sku, _ in chosen], form, typed)
            if plan is not None:
                return redirect(reverse("admin:catalog_catalogimport_change", args=[plan.pk]))
        context = self.admin_site.each_context(request) | {
            "title": "Edit together", "opts": self.model._meta, "form": form, "typed": typed, "refusal": refusal,
            "chosen": len(chosen), "shown": [sku for sku, _ in chosen[:10]], "edited_max": EDITED_MAX,
            "is_too_many": len(chosen) > EDITED_MAX, "of": attributes.OF,
            "box": " ".join(CHECKBOX_CLASSES),
            "ticked": set(request.POST.getlist(CLEAR)),
            "back": f"{reverse('admin:catalog_variant_changelist')}?{request.GET.urlencode()}",
        }  # fmt: skip
        return render(request, "admin/catalog/together.html", context)

    def chosen(self, request: HttpRequest) -> list[tuple[str, str]] | None:
        """SKU and type of what the list would show for this query, one more than are edited; none: no such filter."""
        if any("\x00" in text for texts in request.GET.lists() for text in (texts[0], *texts[1])):
            return None
        try:
            found = self.get_changelist_instance(request).get_queryset(request)  # type: ignore[attr-defined]  # mixed into an admin
        except IncorrectLookupParameters:
            return None
        return list(found.order_by("pk").values_list("sku", "product_type_id")[: EDITED_MAX + 1])

    def typed_for(self, request: HttpRequest, form: TogetherForm, common: str) -> AttributesForm | None:
        """The fields of the type they have in common, or will have; none where there is none."""
        kind = form.cleaned_data.get("product_type") if form.is_bound and form.is_valid() else None
        code = kind.pk if kind else common
        if not code:
            return None
        typed = attributes.form_for(code, schemas=queries.newest_schemas([code]), there={})
        if not typed.fields:
            return None
        is_sent = request.POST.get(attributes.OF) == typed.of
        return AttributesForm(typed.validator, of=typed.of, there={}, data=request.POST) if is_sent else typed

    def is_ready(
        self, request: HttpRequest, form: TogetherForm, typed: AttributesForm | None, chosen: list[tuple[str, str]]
    ) -> bool:
        """Whether there is something to plan; else the form says what is missing."""
        if not form.is_valid() or (typed is not None and typed.is_bound and not typed.is_valid()):
            return False
        if typed is not None and not typed.is_bound:
            # The fields of a type just chosen, or of a schema that is new since the page was shown.
            form.add_error(None, "These are the attributes of the type; fill them in, or leave them, and plan again.")
        elif not chosen or len(chosen) > EDITED_MAX:
            form.add_error(None, f"From 1 to {EDITED_MAX:,} products are edited together.")
        elif typed is not None and (both := sorted(set(typed.attributes()) & gone_of(request, typed))):
            typed.add_error(both[0], "Either a value or none; take one away.")
            return False
        elif not form.values and not form.cleared and not (typed and (typed.attributes() or gone_of(request, typed))):
            form.add_error(None, "Fill in what is to be changed.")
        return form.is_valid()

    def plan_edit(
        self, request: HttpRequest, skus: list[str], form: TogetherForm, typed: AttributesForm | None
    ) -> tuple[CatalogImport | None, str]:
        """The plan, or why there is none."""
        values: dict[str, Any] = dict(form.values)
        gone = [*form.cleared]
        if typed is not None:
            gone += [f"attributes.{name}" for name in sorted(gone_of(request, typed))]
            if found := typed.attributes():
                values["attributes"] = found
        if gone:
            values[CLEAR] = gone
        title = f"{len(skus):,} products: {', '.join(named(values))}"
        said: dict[str, Any] = {
            "rows": rows_of(skus, values), "title": title[:200], "actor": acting(request),
            "origin": CatalogImport.Origin.BULK_EDIT,
        }  # fmt: skip
        made: list[CatalogImport] = []
        if len(skus) > WAITED_MAX:
            made.append(plan_work.open_rows(**said))
            wake_after_commit(tasks.work_on_imports)
            return made[0], ""
        refusal = try_operation(lambda: made.append(plans.plan(kind=CatalogImport.Kind.PRODUCTS, **said)))
        return (made[0] if made else None), refusal


def gone_of(request: HttpRequest, typed: AttributesForm) -> set[str]:
    """The attributes whose boxes say that they are to be cleared."""
    return set(request.POST.getlist(CLEAR)) & typed.kinds.keys()


def named(values: dict[str, Any]) -> list[str]:
    """What an edit is about, in a line."""
    columns = [name for name in values if name not in {"attributes", CLEAR}]
    return [
        *columns,
        *values.get("attributes", {}),
        *(f"no {name.removeprefix('attributes.')}" for name in values.get(CLEAR, ())),
    ]


def rows_of(skus: list[str], values: dict[str, Any]) -> Iterator[files.Row]:
    for number, sku in enumerate(skus, 1):
        yield files.Row(number, {"productId": sku} | values)
