"""What staff see and type of the parts that may be taken for one another."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from catalog.admin.rows import rows_typed
from catalog.models import Equivalent, InterchangeGroup, InterchangeMember, Variant
from catalog.operations import equivalents
from catalog.operations.equivalents import Equal, Successor
from partners.actors import Actor
from partners.admin import ChoosingAdmin, ChoosingInline, RefusableAdmin, acting

SUPERSEDED = Equivalent.Relation.SUPERSEDED


class EquivalentForm(forms.ModelForm):
    def clean(self) -> dict[str, Any]:
        fields: dict[str, Any] = super().clean() or self.cleaned_data
        if self.has_changed() and fields.get("valid_from") and fields.get("relation") != SUPERSEDED:
            self.add_error("valid_from", "A successor comes from a day on; equals are equal always.")
        return fields


class EquivalentInline(ChoosingInline):
    """What may be sold instead. What is typed as interchangeable joins the part's group, and is shown there."""

    model = Equivalent
    form = EquivalentForm
    fk_name = "variant"
    extra = 0
    tab = True
    autocomplete_fields = ("other",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("other")


def say_links(*, variant: Variant, formset: Any, actor: Actor) -> None:
    """Say the successors as they were typed, and the equals where a pair was changed. Raises as `equivalents.say`."""
    rows = rows_typed(formset)
    successors = [Successor(variant=row.other, valid_from=row.valid_from) for row in rows if row.relation == SUPERSEDED]
    pairs = {row.other_id: row.other for row in rows if row.relation != SUPERSEDED}
    before = set(
        Equivalent.objects.filter(variant=variant).exclude(relation=SUPERSEDED).values_list("other_id", flat=True)
    )
    equals: list[Equal] | None = None
    if pairs.keys() != before:
        said = equivalents.said_of(variant=variant)
        equals = [Equal(variant=row.variant, brand=row.brand, part_number=row.part_number) for row in said.members]
        in_group = {row.variant_id for row in said.members}
        others = {pair.pk: pair for pair in said.pairs if pair.pk not in before} | pairs
        equals += [Equal(variant=other) for pk, other in others.items() if pk not in in_group]
    equivalents.say(variant=variant, successors=successors, equals=equals, actor=actor)


class MemberInline(ChoosingInline):
    """A product of ours, or another brand's number."""

    model = InterchangeMember
    extra = 0
    min_num = 2
    autocomplete_fields = ("variant",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("variant")


@admin.register(InterchangeGroup)
class InterchangeGroupAdmin(RefusableAdmin, ChoosingAdmin):
    """Parts that are equal: said as a whole, by the operation."""

    list_display = ("id", "__str__")
    list_display_links = ("id", "__str__")
    search_fields = ("name", "members__variant__sku", "members__part_number")
    search_help_text = "Name, SKU or number"
    inlines = (MemberInline,)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001  Django's
        """With its members, in `save_related`."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:  # noqa: FBT001  Django's
        (formset,) = formsets
        formset.save(commit=False)  # what was changed, for the history
        members = [
            Equal(variant=row.variant, brand=row.brand, part_number=row.part_number) for row in rows_typed(formset)
        ]
        equivalents.gather(group=form.instance, members=members, actor=acting(request))
