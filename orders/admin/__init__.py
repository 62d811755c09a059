"""Staff pages of orders: looked at, and moved on by buttons that carry the verbs."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from orders.admin import packages, picking, purchasing, receipts, routing, shipping, shops
from orders.admin.feedback import FeedbackInline
from orders.admin.packages import PackageInline
from orders.admin.routing import DECISIONS_MAX, ExplainedAdmin
from orders.models import (
    Order,
    OrderLine,
    Return,
    ReturnLine,
    Shipment,
    ShipmentLine,
)
from orders.operations import fulfilment, ordering, returning
from orders.papers import slips
from orders.papers.facts import address_of
from orders.printing import printed
from orders.queries import papers_of_shipment
from partners.admin import (
    DocumentAdmin,
    LinesInline,
    ask,
    run_each,
)

__all__ = [
    "OrderAdmin",
    "ReturnAdmin",
    "ShipmentAdmin",
    "packages",
    "picking",
    "purchasing",
    "receipts",
    "routing",
    "shipping",
    "shops",
]

COLOURS = {
    "pending": "warning",
    "confirmed": "info",
    "packed": "info",
    "shipped": "primary",
    "delivered": "success",
    "cancelled": "danger",
    "announced": "warning",
    "received": "info",
    "inspected": "success",
    "withdrawn": "danger",
}


class StatusAdmin(DocumentAdmin):
    """A document whose status is a word in colour."""

    @display(description="Status", ordering="status", label=COLOURS)
    def state(self, document: Any) -> tuple[str, str]:
        return document.status, document.get_status_display()


class OrderLineInline(LinesInline):
    model = OrderLine
    fields = ("line_id", "variant", "quantity", "shipped", "returned", "unit_price")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("variant")


class ShipmentLineInline(LinesInline):
    model = ShipmentLine
    fields = readonly_fields = ("product", "batch", "quantity", "serial_numbers")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("order_line__variant", "batch")

    @display(description="Product")
    def product(self, line: ShipmentLine) -> str:
        return str(line.order_line.variant)


class ReturnLineInline(LinesInline):
    model = ReturnLine
    fields = readonly_fields = ("product", "batch", "quantity", "reason", "disposition", "goes_out")

    def get_queryset(self, request: HttpRequest) -> Any:
        rows = super().get_queryset(request)
        return rows.select_related("order_line__variant", "batch", "replacement__order", "replacement__variant")

    @display(description="Goes out for it")
    def goes_out(self, line: ReturnLine) -> str:
        return f"{line.replacement.variant.sku} by {line.replacement.order}" if line.replacement else "–"

    @display(description="Product")
    def product(self, line: ReturnLine) -> str:
        return str(line.order_line.variant)


@admin.register(Order)
class OrderAdmin(StatusAdmin, ExplainedAdmin):
    list_display = ("number", "partner", "external_reference", "type", "state", "created_at")
    list_select_related = ("partner",)
    list_filter = ("status", "type")
    search_fields = ("number__exact", "external_reference__exact")
    search_help_text = "A whole order number or the partner's own"
    fields = (
        ("number", "status"),
        ("partner", "external_reference"),
        ("type", "channel", "requested_delivery_date"),
        ("allow_split", "allow_backorder"),
        "where_to",
        ("reservation", "created_at"),
    )
    inlines = (OrderLineInline, FeedbackInline)
    actions = ("confirm", "pack", "cancel")
    actions_detail = ("confirm_this", "pack_this", "cancel_this")
    steps: ClassVar = {
        "confirm_this": ordering.STEPS[Order.Status.CONFIRMED],
        "pack_this": ordering.STEPS[Order.Status.PACKED],
        "cancel_this": ordering.STEPS[Order.Status.CANCELLED],
    }

    @display(description="Ship to")
    def where_to(self, order: Order) -> str:
        """As it is printed on its labels."""
        address = address_of(order.ship_to)
        return format_html_join(mark_safe("<br>"), "{}", [(line,) for line in (address.name, *address.lines) if line])

    def decisions(self, document: Order) -> Any:
        return document.routing_decisions.all()[:DECISIONS_MAX]

    @admin.action(description="Confirm", permissions=["step"])
    def confirm(self, request: HttpRequest, queryset: Any) -> None:
        run_each(request, queryset, "confirmed", ordering.confirm, "order")

    @admin.action(description="Pack", permissions=["step"])
    def pack(self, request: HttpRequest, queryset: Any) -> None:
        run_each(request, queryset, "packed", ordering.pack, "order")

    @admin.action(description="Cancel", permissions=["step"])
    def cancel(self, request: HttpRequest, queryset: Any) -> None:
        run_each(request, queryset, "cancelled", ordering.cancel, "order")

    @action(
        description="Confirm",
        icon="check",
        permissions=["step"],
        dialog=ask("Confirm this order?", "The partner is told that it will be delivered.", "Confirm"),
    )
    def confirm_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.take_step(request, object_id, "confirmed", ordering.confirm, "order")

    @action(
        description="Pack",
        icon="inventory",
        permissions=["step"],
        dialog=ask("Is this order packed?", "From now on it waits for its carrier.", "Pack"),
    )
    def pack_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.take_step(request, object_id, "packed", ordering.pack, "order")

    @action(
        description="Cancel",
        icon="block",
        permissions=["step"],
        dialog=ask("Cancel this order?", "Its stock is free for others at once. This cannot be undone.", "Cancel it"),
    )
    def cancel_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.take_step(request, object_id, "cancelled", ordering.cancel, "order")


@admin.register(Shipment)
class ShipmentAdmin(StatusAdmin):
    list_display = ("number", "order", "warehouse", "carrier", "tracking_number", "state", "shipped_at")
    list_select_related = ("order", "warehouse")
    list_filter = ("status", "warehouse")
    search_fields = ("number__exact", "tracking_number__exact", "order__number__exact")
    search_help_text = "A whole shipment, tracking or order number"
    fields = (
        ("number", "status"),
        ("order", "warehouse"),
        ("carrier", "service"),
        ("tracking_number", "sscc"),
        ("shipped_at", "delivered_at"),
    )
    inlines = (ShipmentLineInline, PackageInline)
    actions = ("deliver",)
    actions_detail = ("slip", "deliver_this")
    steps: ClassVar = {"deliver_this": (Shipment.Status.SHIPPED,)}

    @action(description="Packing slip", icon="description", url_path="slip", permissions=["view"])
    def slip(self, request: HttpRequest, object_id: str) -> HttpResponse:
        rows = self.get_queryset(request).select_related("order", "warehouse")
        shipment = get_object_or_404(rows, pk=object_id)
        return printed(slips.pdf(papers_of_shipment(shipment)), f"{shipment}-slip.pdf")

    @admin.action(description="Deliver", permissions=["step"])
    def deliver(self, request: HttpRequest, queryset: Any) -> None:
        run_each(request, queryset, "delivered", fulfilment.deliver, "shipment")

    @action(
        description="Deliver",
        icon="where_to_vote",
        permissions=["step"],
        dialog=ask("Has this shipment arrived?", "The partner is told that it was delivered.", "Deliver"),
    )
    def deliver_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.take_step(request, object_id, "delivered", fulfilment.deliver, "shipment")


@admin.register(Return)
class ReturnAdmin(StatusAdmin):
    list_display = ("number", "order", "state", "warehouse", "announced_at")
    list_select_related = ("order", "warehouse")
    list_filter = ("status",)
    search_fields = ("number__exact", "order__number__exact")
    search_help_text = "A whole return or order number"
    fields = (("number", "status"), ("order", "warehouse"), "announced_at")
    inlines = (ReturnLineInline,)
    actions_detail = ("withdraw_this",)
    steps: ClassVar = {"withdraw_this": (Return.Status.ANNOUNCED,)}

    @action(
        description="Withdraw",
        icon="block",
        permissions=["step"],
        dialog=ask("Do the goods not come after all?", "What was ordered in exchange is called off.", "Withdraw"),
    )
    def withdraw_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.take_step(request, object_id, "withdrawn", returning.withdraw, "returned")
