"""Packages, what is printed for them, and where their numbers come from."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from orders.models import Package, PackageLine, SsccSeries
from orders.operations import packing
from orders.papers import labels, slips
from orders.printing import printed
from orders.queries import papers_of_package
from partners.admin import DocumentAdmin, LinesInline, TracedAdmin, ask

COLOURS = {"packed": "info", "shipped": "success", "unpacked": ""}


class PackageInline(LinesInline):
    model = Package
    show_change_link = True
    fields = readonly_fields = ("number", "sscc", "tracking_number", "status", "shipment", "packed_at")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("shipment")


class PackageLineInline(LinesInline):
    model = PackageLine
    fields = readonly_fields = ("product", "batch", "quantity", "serial_numbers")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("order_line__variant", "batch")

    @display(description="Product")
    def product(self, line: PackageLine) -> str:
        return str(line.order_line.variant)


@admin.register(Package)
class PackageAdmin(DocumentAdmin):
    list_display = ("number", "sscc", "fulfilment_request", "label", "shipment", "tracking_number", "packed_at")
    list_select_related = ("fulfilment_request", "shipment")
    list_filter = ("status", "fulfilment_request__warehouse")
    search_fields = ("number__exact", "sscc__exact", "tracking_number__exact")
    search_help_text = "A whole number, SSCC or tracking number"
    fields = (
        ("number", "status"),
        ("sscc", "tracking_number"),
        ("fulfilment_request", "shipment"),
        ("packed_by", "packed_at"),
        "version",
    )
    inlines = (PackageLineInline,)
    actions_detail = ("label_pdf", "label_zpl", "slip", "unpack_this")
    steps: ClassVar = {"unpack_this": (Package.Status.PACKED,)}

    @display(description="Status", ordering="status", label=COLOURS)
    def label(self, package: Package) -> tuple[str, str]:
        return package.status, package.get_status_display()

    def found(self, request: HttpRequest, object_id: str) -> Package:
        rows = self.get_queryset(request).select_related("shipment", "fulfilment_request__order",
                                                         "fulfilment_request__warehouse")  # fmt: skip
        return get_object_or_404(rows, pk=object_id)

    @action(description="Label (PDF)", icon="barcode", url_path="label", permissions=["view"])
    def label_pdf(self, request: HttpRequest, object_id: str) -> HttpResponse:
        package = self.found(request, object_id)
        return printed(labels.pdf(papers_of_package(package)), f"{package}.pdf")

    @action(description="Label (ZPL)", icon="print", url_path="label-zpl", permissions=["view"])
    def label_zpl(self, request: HttpRequest, object_id: str) -> HttpResponse:
        package = self.found(request, object_id)
        return printed(labels.zpl(papers_of_package(package)), f"{package}.zpl")

    @action(description="Packing slip", icon="description", url_path="slip", permissions=["view"])
    def slip(self, request: HttpRequest, object_id: str) -> HttpResponse:
        package = self.found(request, object_id)
        return printed(slips.pdf(papers_of_package(package)), f"{package}-slip.pdf")

    @action(
        description="Unpack", icon="unarchive", permissions=["step"],
        dialog=ask("Open this package again?", "Its number is not used again; throw the label away.", "Unpack"),
    )  # fmt: skip
    def unpack_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self.take_step(request, object_id, "unpacked", packing.unpack, "package")


@admin.register(SsccSeries)
class SsccSeriesAdmin(TracedAdmin):
    list_display = ("company_prefix", "extension_digit", "warehouse", "last")
    list_select_related = ("warehouse",)
    search_fields = ("company_prefix__exact",)
    search_help_text = "A whole company prefix"
    autocomplete_fields = ("warehouse",)
    fields = (("extension_digit", "company_prefix"), "warehouse", "last")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """What was given stands on boxes."""
        return ("extension_digit", "company_prefix", "last") if obj else ()
