"""Staff pages of orders: looked at, and moved on by buttons that carry the verbs."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest
from unfold.admin import TabularInline

from orders.models import Order, OrderLine, Return, ReturnLine, Shipment, ShipmentLine
from orders.operations import fulfilment, ordering
from partners.admin import DocumentAdmin, run_each


class LinesInline(TabularInline):
    extra = 0
    can_delete = False
    tab = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class OrderLineInline(LinesInline):
    model = OrderLine
    fields = ("line_id", "variant", "quantity", "shipped", "returned", "unit_price")


class ShipmentLineInline(LinesInline):
    model = ShipmentLine
    fields = ("order_line", "batch", "quantity", "serial_numbers")


class ReturnLineInline(LinesInline):
    model = ReturnLine
    fields = ("order_line", "batch", "quantity", "reason", "disposition")


def may_change(request: HttpRequest, permission: str) -> bool:
    if request.user.has_perm(permission):
        return True
    messages.error(request, "You may look at this, not change it.")
    return False


@admin.register(Order)
class OrderAdmin(DocumentAdmin):
    list_display = ("number", "partner", "external_reference", "type", "status", "created_at")
    list_select_related = ("partner",)
    list_filter = ("status", "type")
    search_fields = ("number", "external_reference")
    inlines = (OrderLineInline,)
    actions = ("confirm", "pack", "cancel")

    @admin.action(description="Confirm")
    def confirm(self, request: HttpRequest, queryset: Any) -> None:
        if may_change(request, "orders.change_order"):
            run_each(request, queryset, "confirmed", ordering.confirm, "order")

    @admin.action(description="Pack")
    def pack(self, request: HttpRequest, queryset: Any) -> None:
        if may_change(request, "orders.change_order"):
            run_each(request, queryset, "packed", ordering.pack, "order")

    @admin.action(description="Cancel")
    def cancel(self, request: HttpRequest, queryset: Any) -> None:
        if may_change(request, "orders.change_order"):
            run_each(request, queryset, "cancelled", ordering.cancel, "order")


@admin.register(Shipment)
class ShipmentAdmin(DocumentAdmin):
    list_display = ("number", "order", "warehouse", "carrier", "tracking_number", "status", "shipped_at")
    list_select_related = ("order", "warehouse")
    list_filter = ("status", "carrier")
    search_fields = ("number", "tracking_number", "order__number")
    inlines = (ShipmentLineInline,)
    actions = ("deliver",)

    @admin.action(description="Deliver")
    def deliver(self, request: HttpRequest, queryset: Any) -> None:
        if may_change(request, "orders.change_shipment"):
            run_each(request, queryset, "delivered", fulfilment.deliver, "shipment")


@admin.register(Return)
class ReturnAdmin(DocumentAdmin):
    list_display = ("number", "order", "status", "warehouse", "announced_at")
    list_select_related = ("order", "warehouse")
    list_filter = ("status",)
    search_fields = ("number", "order__number")
    inlines = (ReturnLineInline,)
