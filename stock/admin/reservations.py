"""Promises: looked at, and given back."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from partners.admin import LinesInline, ReadOnlyAdmin, ask, run_each
from stock.admin.search import named
from stock.models import Allocation, Reservation, ReservationLine
from stock.operations import reservations


class ReservationLineInline(LinesInline):
    """What was asked for; below it, where it is kept."""

    model = ReservationLine
    fields = readonly_fields = ("variant", "warehouse_code", "quantity", "kept")

    def get_queryset(self, request: HttpRequest) -> Any:
        rows = super().get_queryset(request).select_related("variant")
        return rows.prefetch_related("allocations__level__location__warehouse", "allocations__level__batch")

    @admin.display(description="Kept at (units still promised)")
    def kept(self, line: ReservationLine) -> str:
        return "; ".join(
            f"{row.level.location}{f' batch {row.level.batch}' if row.level.batch else ''}: {row.open_quantity}"
            for row in line.allocations.all()
        )


@admin.register(Reservation)
class ReservationAdmin(ReadOnlyAdmin):
    list_display = ("reference", "partner", "channel", "label", "expires_at", "created_at", "actor")
    list_select_related = ("partner",)
    list_filter = ("state", "channel")
    search_fields = ("reference__exact",)
    search_help_text = "A whole reference"
    fields = (
        ("reference", "public_id"),
        ("partner", "channel"),
        ("state", "expires_at"),
        ("created_at", "ended_at"),
        ("actor", "version"),
    )
    inlines = (ReservationLineInline,)
    actions = ("release",)
    actions_detail = ("release_this",)

    @display(
        description="State",
        ordering="state",
        label={"open": "info", "committed": "success", "released": "", "expired": "warning"},
    )
    def label(self, reservation: Reservation) -> tuple[str, str]:
        return reservation.state, reservation.get_state_display()

    def has_step_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """To give stock back is to change levels; nobody has a permission over reservations themselves."""
        return bool(request.user.has_perm("stock.change_level"))

    @admin.action(description="Release the promise", permissions=["step"])
    def release(self, request: HttpRequest, queryset: Any) -> None:
        run_each(request, queryset, "released", reservations.release, "reservation")

    @action(
        description="Release",
        icon="lock_open",
        permissions=["step"],
        dialog=ask("Release this promise?", "Its stock is free for others at once.", "Release"),
    )
    def release_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.take_step(request, object_id, "released", reservations.release, "reservation")


@admin.register(Allocation)
class AllocationAdmin(ReadOnlyAdmin):
    list_display = ("id", "reservation", "product", "place", "batch", "quantity", "consumed", "freed")
    list_select_related = (
        "line__reservation",
        "level__variant",
        "level__location__warehouse",
        "level__batch",
    )

    @display(description="Reservation")
    def reservation(self, row: Allocation) -> str:
        return row.line.reservation.reference

    @display(description="Product", header=True)
    def product(self, row: Allocation) -> list[str]:
        return named(row.level.variant)

    @display(description="Place")
    def place(self, row: Allocation) -> str:
        return str(row.level.location)

    @display(description="Batch")
    def batch(self, row: Allocation) -> str:
        return str(row.level.batch or "-")
