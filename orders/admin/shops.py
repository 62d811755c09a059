"""What shops reported and the book did not have, and what came back under warranty."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from orders.models import FoundAtSale, SalesBatch, WarrantyClaim
from orders.operations import claiming
from partners.admin import DocumentAdmin, ReadOnlyAdmin, ask

Outcome = WarrantyClaim.Outcome


@admin.register(SalesBatch)
class SalesBatchAdmin(ReadOnlyAdmin):
    list_display = ("number", "device", "sequence", "booked_sales", "odd", "posted_at")
    list_select_related = ("device",)
    search_fields = ("number__exact", "device__code__exact")
    search_help_text = "A whole batch number or device"
    fields = (("number", "device"), ("sequence", "posted_at"), "booked_sales", "exceptions", "missing", "actor")

    @display(description="Exceptions")
    def odd(self, batch: SalesBatch) -> int:
        return len(batch.exceptions)


@admin.register(FoundAtSale)
class FoundAtSaleAdmin(ReadOnlyAdmin):
    list_display = ("variant", "warehouse", "batch", "quantity", "device", "count", "noted_at")
    list_select_related = ("variant", "warehouse", "batch", "count", "sale__device")
    list_filter = ("warehouse", "count__state")
    search_fields = ("variant__sku__exact", "sale__sale_id__exact")
    search_help_text = "A whole SKU or sale"
    fields = (("variant", "batch"), ("warehouse", "quantity"), ("sale", "device"), ("count", "noted_at"))

    @display(description="Device", ordering="sale__device__code")
    def device(self, found: FoundAtSale) -> str:
        return found.sale.device.code


@admin.register(WarrantyClaim)
class WarrantyClaimAdmin(DocumentAdmin):
    list_display = ("number", "product", "units", "state", "starts_on", "ends_on", "claimed_on")
    list_select_related = ("line__order_line__variant",)
    list_filter = ("status", "outcome")
    search_fields = ("number__exact", "line__return_of__number__exact", "line__serial_number__exact")
    search_help_text = "A whole claim, return or serial number"
    fields = (
        ("number", "status"),
        ("product", "units"),
        ("starts_on", "ends_on"),
        ("claimed_on", "months", "per"),
        "terms",
        ("outcome", "settled_at"),
    )
    actions_detail = ("scrap_this", "return_this")
    steps: ClassVar = dict.fromkeys(actions_detail, (WarrantyClaim.Status.OPEN,))

    @display(description="Status", ordering="status", label={"open": "warning", "settled": "success"})
    def state(self, claim: WarrantyClaim) -> tuple[str, str]:
        return claim.status, claim.get_status_display()

    @display(description="Product")
    def product(self, claim: WarrantyClaim) -> str:
        return str(claim.line.order_line.variant)

    @display(description="Units")
    def units(self, claim: WarrantyClaim) -> int:
        return claim.line.quantity

    @action(
        description="Scrapped",
        icon="delete",
        permissions=["step"],
        dialog=ask("Were these units scrapped?", "They leave the warranty pool. This cannot be undone.", "Scrapped"),
    )
    def scrap_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.settle(request, object_id, Outcome.SCRAP)

    @action(
        description="Returned to vendor",
        icon="undo",
        permissions=["step"],
        dialog=ask("Did these units go back to who made them?", "They leave the warranty pool.", "Returned"),
    )
    def return_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.settle(request, object_id, Outcome.RETURN_TO_VENDOR)

    def settle(self, request: HttpRequest, object_id: Any, outcome: str) -> HttpResponse:
        return self.take_step(request, object_id, "settled", partial(claiming.settle, outcome=outcome), "claim")
