"""/packages: boxes with an SSCC, and the papers that go with them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from django.db.models import Prefetch
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from orders.api import keepers
from orders.api.shipments import LINES_MAX, WHO_RUNS, LeavingLine, PackedLineSerializer, Sscc, leaving_of
from orders.models import FulfilmentRequest, Order, OrderLine, Package, PackageLine, Shipment
from orders.operations import packing
from orders.operations.packing import Packed
from orders.papers import labels, slips
from orders.papers.facts import Consignment
from orders.printing import printed
from orders.queries import papers_of_package, papers_of_shipment
from partners.api import conditional
from partners.api.doors import Door, once
from partners.api.fields import Text
from partners.api.pagination import BadPage
from partners.problems import LeftToTheHouse

KIND = OpenApiParameter(
    "as",
    str,
    enum=["pdf", "zpl"],
    default="pdf",
    description="A page of 4 × 6 inches each, or ZPL for a label printer; `Accept: application/zpl` asks for that, too.",
)
PDF = {(200, "application/pdf"): OpenApiTypes.BINARY}
ZPL = "application/zpl"
LABELS = PDF | {(200, "text/plain"): OpenApiTypes.STR, (200, ZPL): OpenApiTypes.STR}


class PackingFields(serializers.Serializer[Any]):
    lines = LeavingLine(
        many=True, allow_empty=False, max_length=LINES_MAX,
        help_text="What goes in: of a batch and by serial number, where the product is tracked so.",
    )  # fmt: skip
    sscc = Sscc(required=False, default="", allow_blank=True, help_text="Of a label that is on it; else the next one.")
    trackingNumber = Text(
        source="tracking_number", max_length=80, required=False, default="", allow_blank=True,
        help_text="The carrier's number of this package.",
    )  # fmt: skip


class OutboundPackageSerializer(serializers.Serializer[Package]):
    packageId = serializers.CharField(source="number", help_text="Our number of it.")
    fulfillmentRequestId = serializers.CharField(
        source="fulfilment_request.number", help_text="What it was packed for."
    )
    orderId = serializers.CharField(source="fulfilment_request.order.number", help_text="The order it is of.")
    warehouseLocation = serializers.CharField(
        source="fulfilment_request.warehouse.code", help_text="Where it was packed."
    )
    sscc = serializers.CharField(help_text="18 digits, in the barcode of its label; never on another package.")
    trackingNumber = serializers.CharField(
        source="tracking_number", help_text="The carrier's; empty where none is known."
    )
    status = serializers.ChoiceField(Package.Status, help_text="Packed and here, left, or opened again.")
    shipmentId = serializers.CharField(
        source="shipment.number", default=None, allow_null=True, help_text="With which it left; null while it is here."
    )
    packedAt = serializers.DateTimeField(source="packed_at", help_text="When it was closed.")
    lines = PackedLineSerializer(many=True, help_text="What is in it.")
    version = serializers.IntegerField(help_text="Grows with each change.")


class PackageFilter(filters.FilterSet):
    fulfillmentRequestId = filters.CharFilter("fulfilment_request__number")
    orderId = filters.CharFilter("fulfilment_request__order__number")
    shipmentId = filters.CharFilter("shipment__number")
    sscc = filters.CharFilter("sscc")
    status = filters.ChoiceFilter(choices=Package.Status)


class PackageDoor(Door):
    queryset = Package.objects.none()
    serializer_class = OutboundPackageSerializer
    required_scopes: ClassVar = {"GET": "shipments:read", "POST": "shipments:write"}
    keyset = "-id"

    @property
    def mine(self) -> Any:
        return OrderLine.objects.for_partner(self.partner)

    def shown(self) -> Any:
        """Packages with their contents, of those what the caller may see. A constant few queries."""
        lines = PackageLine.objects.filter(order_line__in=self.mine).select_related("order_line__variant", "batch")
        rows = Package.objects.for_partner(self.partner).select_related(
            "fulfilment_request__order", "fulfilment_request__warehouse", "shipment"
        )
        return rows.prefetch_related(Prefetch("lines", lines))

    def answer(self, package: Package, status: int = 200) -> Response:
        row = self.shown().get(pk=package.pk)
        response = Response(OutboundPackageSerializer(row).data, status=status)
        return conditional.with_etag(response, conditional.etag(row.version), self.request)


class Packages(PackageDoor):
    """Packages."""

    filterset_class = PackageFilter

    @extend_schema(operation_id="listPackages")
    def get(self, request: Request) -> Response:
        """The packages the caller may see, newest first."""
        return self.listed(self.shown())


class PackRequest(PackageDoor):
    @extend_schema(operation_id="createPackage", request=PackingFields, responses={201: OutboundPackageSerializer})
    @once
    def post(self, request: Request, number: str) -> Response:
        """Close a package with goods of a request; it gets the warehouse's next SSCC unless one is named.

        Packages leave with `/fulfillmentRequests/{id}/complete`.
        """
        rows = FulfilmentRequest.objects.for_partner(self.partner).select_related("warehouse")
        found = get_object_or_404(rows, number=number)
        keepers.must_run(self.partner, found.warehouse, WHO_RUNS)
        fields = self.understood(PackingFields)
        mine = list(self.mine.filter(order=found.order_id).select_related("variant", "reservation_line__variant"))
        leaving = [leaving_of(place, line, mine, "lines") for place, line in enumerate(fields.pop("lines"))]
        contents = [
            Packed(
                line=row.line, quantity=row.quantity, batch_number=row.batch_number, serial_numbers=row.serial_numbers
            )
            for row in leaving
        ]
        package = packing.pack(request=found, contents=contents, actor=self.actor, at=timezone.now(), **fields)
        response = self.answer(package, 201)
        response["Location"] = f"/api/v1/packages/{package.number}"
        return response


class OnePackage(PackageDoor):
    @extend_schema(operation_id="getPackage")
    def get(self, request: Request, number: str) -> Response:
        """One package: what is in it, and with which shipment it left."""
        return self.answer(get_object_or_404(Package.objects.for_partner(self.partner), number=number))


class Unpack(PackageDoor):
    are_steps_matched = True

    @extend_schema(operation_id="unpackPackage", request=None)
    @once
    def post(self, request: Request, number: str) -> Response:
        """Open it again before it leaves. Its contents may be packed anew; its SSCC is never used again."""
        rows = Package.objects.for_partner(self.partner).select_related("fulfilment_request__warehouse")
        package = get_object_or_404(rows, number=number)
        keepers.must_run(self.partner, package.fulfilment_request.warehouse, WHO_RUNS)
        if package.lines.exclude(order_line__in=self.mine).exists():
            raise LeftToTheHouse("Products of others are in it, too.")
        self.seen(package, Order.objects.filter(fulfilment_requests__packages=package.pk))
        return self.answer(packing.unpack(package=package, actor=self.actor, at=timezone.now()))


class PaperDoor(PackageDoor):
    """What is printed is what it is, whatever kind of answer the caller says it takes."""

    required_scopes: ClassVar = {"GET": "shipments:read"}

    def perform_content_negotiation(self, request: Request, force: bool = True) -> Any:  # noqa: FBT001  DRF's
        return super().perform_content_negotiation(request, force=True)

    def papers_of_package(self, number: str) -> Consignment:
        rows = Package.objects.for_partner(self.partner).select_related(
            "fulfilment_request__order", "fulfilment_request__warehouse", "shipment"
        )
        return papers_of_package(get_object_or_404(rows, number=number), mine=self.mine)

    def papers_of_shipment(self, number: str) -> Consignment:
        rows = Shipment.objects.for_partner(self.partner).select_related("order", "warehouse")
        return papers_of_shipment(get_object_or_404(rows, number=number), mine=self.mine)

    def labelled(self, papers: Consignment) -> HttpResponse:
        accepts_zpl = ZPL in self.request.headers.get("Accept", "").lower()
        kind = self.request.query_params.get("as", "zpl" if accepts_zpl else "pdf")
        if kind not in {"pdf", "zpl"}:
            raise BadPage("as: pdf or zpl.")
        papers = replace(papers, boxes=tuple(box for box in papers.boxes if box.sscc))
        if not papers.boxes:
            raise Http404
        if kind == "pdf":
            return printed(labels.pdf(papers), f"{papers.number}.pdf")
        return printed(labels.zpl(papers), f"{papers.number}.zpl", content_type=ZPL if accepts_zpl else "")


class PackageLabel(PaperDoor):
    @extend_schema(operation_id="getPackageLabel", parameters=[KIND], responses=LABELS)
    def get(self, request: Request, number: str) -> HttpResponse:
        """Its label: the address, and the SSCC as GS1-128."""
        return self.labelled(self.papers_of_package(number))


class PackageSlip(PaperDoor):
    @extend_schema(operation_id="getPackagePackingSlip", responses=PDF)
    def get(self, request: Request, number: str) -> HttpResponse:
        """Its packing slip: what is in it, by batch and serial number."""
        papers = self.papers_of_package(number)
        return printed(slips.pdf(papers), f"{papers.number}-slip.pdf")


class ShipmentLabels(PaperDoor):
    @extend_schema(operation_id="getShipmentLabels", parameters=[KIND], responses=LABELS)
    def get(self, request: Request, number: str) -> HttpResponse:
        """The labels of all its packages; a 404 where it left without any number of a package."""
        return self.labelled(self.papers_of_shipment(number))


class ShipmentSlip(PaperDoor):
    @extend_schema(operation_id="getShipmentPackingSlip", responses=PDF)
    def get(self, request: Request, number: str) -> HttpResponse:
        """Its packing slip: what is in which package, by batch and serial number."""
        papers = self.papers_of_shipment(number)
        return printed(slips.pdf(papers), f"{papers.number}-slip.pdf")
