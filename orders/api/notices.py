"""/advanceShipNotices: what a supplier says is on its truck, before the truck is here."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import Prefetch
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.models import Variant
from orders.api.shipments import is_sscc
from orders.models import AdvanceShipNotice, NoticeLine, PurchaseOrder, PurchaseOrderLine
from orders.operations import announcing
from orders.operations.announcing import Announced, Packed
from partners.api import conditional
from partners.api.doors import Door, once
from partners.api.fields import Day, ExpirationDate, Quantity, Text
from partners.models import Partner
from partners.problems import InvalidInput, LeftToTheHouse
from stock.models import Warehouse

LINES_MAX = 500
PACKAGES_MAX = 2_000
SERIALS_MAX = 10_000
ANNOUNCED = OpenApiExample(
    "A pallet with two cartons",
    request_only=True,
    value={
        "despatchNumber": "DESADV-20261127-1",
        "warehouseLocation": "Warehouse_A",
        "carrier": "UPS Freight",
        "trackingNumber": "1Z9994",
        "expectedDate": "2026-12-01",
        "packages": [
            {"sscc": "395012345678900002"},
            {"sscc": "395012345678900019", "parentSscc": "395012345678900002"},
        ],
        "lines": [
            {
                "purchaseOrderId": "PO-7K3M-9QX2-PT4W",
                "productId": "HOTSAUCE789",
                "quantity": 480,
                "sscc": "395012345678900019",
                "batchNumber": "BATCH202612",
                "expirationDate": "2028-06-30",
            }
        ],
    },
)


class SsccField(Text):
    """18 digits, the last of them the GS1 check digit."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": 18} | kwargs)

    def to_internal_value(self, data: Any) -> str:
        sscc = super().to_internal_value(data)
        if sscc and not is_sscc(sscc):
            raise serializers.ValidationError("An SSCC has 18 digits and ends in its GS1 check digit.")
        return sscc


class PackageFields(serializers.Serializer[Any]):
    sscc = SsccField()
    parentSscc = SsccField(
        source="parent_sscc", required=False, default="", allow_blank=True, help_text="The pallet it stands on."
    )


class AnnouncedFields(serializers.Serializer[Any]):
    purchaseOrderId = Text(source="order_number", max_length=20, required=False, default="", allow_blank=True)
    lineNumber = Quantity(
        source="line_number", max_value=100_000, required=False, allow_null=True, default=None,
        help_text="Needed where the order has several lines of the product.",
    )  # fmt: skip
    productId = Text(source="sku", max_length=64)
    quantity = Quantity()
    sscc = SsccField(required=False, default="", allow_blank=True, help_text="The package it is in.")
    batchNumber = Text(source="batch_number", max_length=60, required=False, default="", allow_blank=True)
    expirationDate = ExpirationDate(source="expires_on", required=False, allow_null=True, default=None)
    serialNumbers = serializers.ListField(
        source="serials", child=Text(max_length=60), required=False, default=list, max_length=SERIALS_MAX
    )


class NoticeFields(serializers.Serializer[Any]):
    despatchNumber = Text(source="despatch_number", max_length=80, help_text="Your own number for it.")
    supplierId = Text(max_length=40, required=False, allow_null=True, default=None, help_text="You, unless you buy.")
    warehouseLocation = Text(max_length=40)
    carrier = Text(max_length=60, required=False, default="", allow_blank=True)
    trackingNumber = Text(source="tracking_number", max_length=80, required=False, default="", allow_blank=True)
    shippedAt = serializers.DateTimeField(source="shipped_at", required=False, allow_null=True, default=None)
    expectedDate = Day(source="expected_on", required=False, allow_null=True, default=None)
    packages = PackageFields(many=True, required=False, default=list, max_length=PACKAGES_MAX)
    lines = AnnouncedFields(many=True, allow_empty=False, max_length=LINES_MAX)


class PackageSerializer(serializers.Serializer[Any]):
    sscc = serializers.CharField()
    parentSscc = serializers.CharField(source="parent.sscc", default=None, allow_null=True)


class NoticeLineSerializer(serializers.Serializer[NoticeLine]):
    purchaseOrderId = serializers.CharField(source="order_line.order.number", default=None, allow_null=True)
    lineNumber = serializers.IntegerField(source="order_line.line_number", default=None, allow_null=True)
    productId = serializers.CharField(source="variant.sku")
    quantity = serializers.IntegerField()
    sscc = serializers.CharField(source="package.sscc", default=None, allow_null=True)
    batchNumber = serializers.CharField(source="batch_number")
    expirationDate = serializers.DateField(source="expires_on", allow_null=True)
    serialNumbers = serializers.ListField(source="serial_numbers", child=serializers.CharField())


class NoticeSerializer(serializers.Serializer[AdvanceShipNotice]):
    asnId = serializers.CharField(source="number")
    supplierId = serializers.CharField(source="supplier.code")
    despatchNumber = serializers.CharField(source="despatch_number")
    warehouseLocation = serializers.CharField(source="warehouse.code")
    carrier = serializers.CharField()
    trackingNumber = serializers.CharField(source="tracking_number")
    shippedAt = serializers.DateTimeField(source="shipped_at", allow_null=True)
    expectedDate = serializers.DateField(source="expected_on", allow_null=True)
    status = serializers.ChoiceField(AdvanceShipNotice.Status)
    announcedAt = serializers.DateTimeField(source="announced_at")
    packages = PackageSerializer(many=True)
    lines = NoticeLineSerializer(many=True)
    version = serializers.IntegerField()


class NoticeFilter(filters.FilterSet):
    status = filters.ChoiceFilter(choices=AdvanceShipNotice.Status)
    supplierId = filters.CharFilter("supplier__code")
    warehouseLocation = filters.CharFilter("warehouse__code")
    despatchNumber = filters.CharFilter("despatch_number")
    purchaseOrderId = filters.CharFilter("lines__order_line__order__number", distinct=True)
    sscc = filters.CharFilter("packages__sscc", distinct=True)


class NoticeDoor(Door):
    queryset = AdvanceShipNotice.objects.none()
    serializer_class = NoticeSerializer
    required_scopes: ClassVar = {"GET": "purchasing:read", "POST": "purchasing:write"}
    keyset = "-id"
    are_steps_matched = True

    def shown(self) -> Any:
        """Notices with their packages and lines. Four queries."""
        lines = NoticeLine.objects.select_related("order_line__order", "variant", "package").order_by("id")
        rows = AdvanceShipNotice.objects.for_partner(self.partner).select_related("supplier", "warehouse")
        return rows.prefetch_related("packages__parent", Prefetch("lines", lines))

    def find(self, number: str) -> AdvanceShipNotice:
        notice: AdvanceShipNotice = get_object_or_404(
            AdvanceShipNotice.objects.for_partner(self.partner), number=number
        )
        return self.seen(notice, AdvanceShipNotice.objects.filter(pk=notice.pk))

    def answer(self, notice: AdvanceShipNotice, status: int = 200) -> Response:
        row = self.shown().get(pk=notice.pk)
        response = Response(NoticeSerializer(row).data, status=status)
        return conditional.with_etag(response, conditional.etag(row.version), self.request)

    def check_may_announce(self) -> None:
        if self.partner.kind not in {Partner.Kind.SUPPLIER, Partner.Kind.CHANNEL}:
            raise LeftToTheHouse("Who delivers the goods does this.")


class AdvanceShipNotices(NoticeDoor):
    """Advance ship notices."""

    filterset_class = NoticeFilter

    @extend_schema(operation_id="listAdvanceShipNotices")
    def get(self, request: Request) -> Response:
        """Newest first: a supplier's own, and those to the warehouses of a 3PL."""
        return self.listed(self.shown())

    @extend_schema(
        operation_id="announceShipment", request=NoticeFields, responses={201: NoticeSerializer}, examples=[ANNOUNCED]
    )
    @once
    def post(self, request: Request) -> Response:
        """Say what is on the truck, by order, package and batch, before it is here.

        Announced again with the same `despatchNumber` and content it answers the notice already there; with
        another content 409 `despatch_number_reused`. One that was wrong is withdrawn and announced anew under
        another number.
        """
        self.check_may_announce()
        fields = self.understood(NoticeFields)
        supplier = self.supplier(fields.pop("supplierId"))
        notice, is_new = announcing.announce(
            supplier=supplier,
            warehouse=self.warehouse(supplier, fields.pop("warehouseLocation")),
            packed=[Packed(**row) for row in fields.pop("packages")],
            announced=self.announced(supplier, fields.pop("lines")),
            actor=self.actor,
            at=timezone.now(),
            **fields,
        )
        response = self.answer(notice, 201 if is_new else 200)
        response["Location"] = f"/api/v1/advanceShipNotices/{notice.number}"
        return response

    def supplier(self, code: str | None) -> Partner:
        """A supplier announces for itself; our own channels may write down what another one said."""
        rows = Partner.objects.suppliers().for_partner(self.partner)
        found = rows.filter(code=code or self.partner.code, status=Partner.Status.ACTIVE).first()
        if found is None or (found != self.partner and self.partner.kind != Partner.Kind.CHANNEL):
            raise InvalidInput.at("supplierId", f"You cannot announce for {code or self.partner.code}.")
        return found

    def warehouse(self, supplier: Partner, code: str) -> Warehouse:
        """One the caller is granted, or to which the supplier was told to deliver."""
        told = PurchaseOrder.objects.for_partner(supplier).values("warehouse")
        rows = Warehouse.objects.filter(code=code)
        found = rows.for_partner(self.partner).first() or rows.filter(pk__in=told).first()
        if found is None:
            raise InvalidInput.at("warehouseLocation", f"There is no warehouse {code} for you.")
        return found

    def announced(self, supplier: Partner, lines: list[dict[str, Any]]) -> list[Announced]:
        """The lines of a body as what they mean. Two queries."""
        rows = Variant.objects.for_partner(supplier).stocked().filter(sku__in=[line["sku"] for line in lines])
        variants = {variant.sku: variant for variant in rows}
        numbers = {line["order_number"] for line in lines}
        orders = PurchaseOrder.objects.for_partner(supplier).filter(number__in=numbers)
        ordered = list(PurchaseOrderLine.objects.filter(order__in=orders).select_related("order", "variant"))
        found, wrong = [], []
        for place, line in enumerate(lines):
            variant, number, which = variants.get(line["sku"]), line.pop("order_number"), line.pop("line_number")
            meant = [row for row in ordered if row.order.number == number and row.variant == variant]
            meant = [row for row in meant if which in (None, row.line_number)]
            if variant is None:
                wrong.append((f"lines[{place}].productId", f"There is no product {line['sku']} for you."))
            elif number and len(meant) != 1:
                field = "lineNumber" if len(meant) > 1 else "purchaseOrderId"
                wrong.append((f"lines[{place}].{field}", f"{number} has {len(meant)} such lines of {line['sku']}."))
            else:
                said = {name: line[name] for name in ("quantity", "sscc", "batch_number", "expires_on")}
                serials = tuple(line["serials"])
                order_line = meant[0] if number else None
                found.append(Announced(variant=variant, order_line=order_line, serials=serials, **said))
        if wrong:
            raise InvalidInput.of(wrong)
        return found


class OneAdvanceShipNotice(NoticeDoor):
    @extend_schema(operation_id="getAdvanceShipNotice")
    def get(self, request: Request, number: str) -> Response:
        """One notice, with its packages and lines."""
        return self.answer(self.find(number))


class Withdraw(NoticeDoor):
    @extend_schema(operation_id="withdrawAdvanceShipNotice", request=None)
    @once
    def post(self, request: Request, number: str) -> Response:
        """It was wrong or will not come; not once anything of it was received."""
        notice = self.find(number)
        self.check_may_announce()
        return self.answer(announcing.withdraw(notice=notice, actor=self.actor, at=timezone.now()))
