"""Where stock lies, and the batches it is of."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from unfold.admin import TabularInline
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from partners.admin import ReadOnlyAdmin, TracedAdmin, acting, ask, back_to, try_operation
from stock.admin.holds import WhyForm
from stock.admin.search import named
from stock.models import Batch, Location, Recall, Warehouse
from stock.operations import holds


class LocationInline(TabularInline):
    model = Location
    extra = 0
    can_delete = False
    per_page = 50
    fields = ("code", "is_default", "pick_sequence")


@admin.register(Warehouse)
class WarehouseAdmin(TracedAdmin):
    is_short = True
    list_display = ("code", "name", "city", "country", "time_zone", "operator", "is_active")
    list_select_related = ("operator",)
    search_fields = ("code__holds", "name__holds")
    search_help_text = "Code or name"
    autocomplete_fields = ("operator",)
    fieldsets = (
        (None, {"fields": (("code", "is_active"), "name", ("time_zone", "gln"), ("operator", "system_of_record"))}),
        (
            "Address",
            {"fields": ("street", ("postal_code", "city"), ("region", "country"), ("latitude", "longitude"))},
        ),
    )
    inlines = (LocationInline,)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("code",) if obj else ()

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:  # noqa: FBT001  Django's
        super().save_related(request, form, formsets, change)
        if not form.instance.locations.filter(is_default=True).exists():
            Location.objects.create(warehouse=form.instance, code="MAIN", is_default=True)


@admin.register(Location)
class LocationAdmin(ReadOnlyAdmin):
    list_display = ("code", "warehouse", "kind", "is_default", "pick_sequence")
    list_select_related = ("warehouse",)
    list_filter = ("kind", "warehouse")
    search_fields = ("code__exact",)


@admin.register(Batch)
class BatchAdmin(TracedAdmin):
    list_display = ("number", "product", "expires_on", "state", "supplier")
    list_select_related = ("variant", "supplier")
    list_filter = ("hold_state",)
    search_fields = ("number__holds", "variant__sku__holds")
    search_help_text = "Batch number or SKU"
    autocomplete_fields = ("variant", "supplier")
    actions_detail = ("quarantine", "lift", "recall")

    @display(description="Product", header=True)
    def product(self, batch: Batch) -> list[str]:
        return named(batch.variant)

    @display(
        description="State",
        ordering="hold_state",
        label={"released": "success", "quarantined": "warning", "recalled": "danger"},
    )
    def state(self, batch: Batch) -> tuple[str, str]:
        return batch.hold_state, batch.get_hold_state_display()

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Whether it is held back is said by the buttons, which look after its promises."""
        made = ("hold_state", "created_at")
        return ("variant", "number", *made) if obj else made

    def has_hold_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("stock.change_batch"))

    def has_recall_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("stock.add_recall"))

    @action(
        description="Quarantine",
        icon="front_hand",
        permissions=["hold"],
        dialog=ask(
            "Hold this batch back?", "Nothing of it is promised or leaves until it is lifted.", "Quarantine", WhyForm
        ),
    )
    def quarantine(self, request: HttpRequest, form: WhyForm, object_id: str) -> HttpResponse:
        return self.say(request, form, object_id, holds.quarantine_batch, "It is held back.")

    @action(
        description="Lift",
        icon="lock_open",
        permissions=["hold"],
        dialog=ask("Let this batch go?", "What is sellable of it may be promised and leave at once.", "Lift", WhyForm),
    )
    def lift(self, request: HttpRequest, form: WhyForm, object_id: str) -> HttpResponse:
        return self.say(request, form, object_id, holds.lift_batch, "It may be sold again.")

    @action(
        description="Recall",
        icon="campaign",
        permissions=["recall"],
        dialog=ask(
            "Recall this batch?",
            "It is blocked everywhere, every promise of it is broken, and all who got some are told.",
            "Recall",
            WhyForm,
        ),
    )
    def recall(self, request: HttpRequest, form: WhyForm, object_id: str) -> HttpResponse:
        return self.say(request, form, object_id, holds.recall_batch, "It is recalled.")

    def say(self, request: HttpRequest, form: BaseDialogForm, object_id: str, verb: Any, done: str) -> HttpResponse:
        """One verb of the batch, for the reason given; a recall leads to its own page."""
        batch = get_object_or_404(Batch, pk=object_id)
        made: list[Any] = []
        call = {"reason": form.cleaned_data["reason"], "actor": acting(request), "at": timezone.now()}
        if refusal := try_operation(lambda: made.append(verb(batch=batch, **call))):
            messages.error(request, f"{batch}: {refusal}")
        else:
            messages.success(request, done)
        page = "recall" if made and isinstance(made[0], Recall) else "batch"
        return back_to(request, reverse(f"admin:stock_{page}_change", args=[made[0].pk if made else batch.pk]))
