"""/purchaseOrders: ordered, sent, confirmed by the supplier, cancelled or closed short."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import Prefetch, Sum
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.models import Variant
from orders.models import PurchaseOrder, PurchaseOrderLine
from orders.operations import purchasing
from orders.operations.purchasing import Answered, Needed
from partners.api import conditional
from partners.api.doors import Door, once
from partners.api.fields import Quantity, Text
from partners.models import Partner
from partners.problems import InvalidInput
from stock.api.inventory import LeftToTheHouse, find_warehouse

LINES_MAX = 500
LINE_NUMBER_MAX = 100_000
IF_MATCH = OpenApiParameter(
    "If-Match", {"type": "string", "maxLength": 2_000}, OpenApiParameter.HEADER, required=False,
    description="The ETag you decided on; when it changed since, 412 and nothing is done.",
)  # fmt: skip
ORDERED = OpenApiExample(
    "Two products by a day",
    request_only=True,
    value={
        "supplierId": "SUP123",
        "warehouseLocation": "Warehouse_A",
        "expectedDate": "2026-12-01",
        "lines": [{"productId": "HOTSAUCE789", "quantity": 480}, {"productId": "SALSA1", "quantity": 96}],
    },
)
CONFIRMED = OpenApiExample(
    "Less of one line, later; the others as ordered",
    request_only=True,
    value={"expectedDate": "2026-12-01", "lines": [{"lineNumber": 2, "quantity": 48, "expectedDate": "2026-12-08"}]},
)


class NeededFields(serializers.Serializer[Any]):
    productId = Text(source="sku", max_length=64)
    quantity = Quantity(help_text="Stock units, in what the supplier's offer takes.")
    unitCost = serializers.DecimalField(
        source="unit_cost", max_digits=14, decimal_places=4, min_value=0, required=False, allow_null=True, default=None,
        help_text="Without it, the cost of the supplier's offer.",
    )  # fmt: skip


class PurchaseOrderFields(serializers.Serializer[Any]):
    supplierId = Text(max_length=40)
    warehouseLocation = Text(max_length=40, help_text="Where it is to be delivered.")
    currency = Text(max_length=3, required=False, default="", allow_blank=True, help_text="Without it, the offers'.")
    expectedDate = serializers.DateField(source="expected_on", required=False, allow_null=True, default=None)
    reference = Text(max_length=120, required=False, default="", allow_blank=True)
    lines = NeededFields(many=True, allow_empty=False, max_length=LINES_MAX)


class AnsweredFields(serializers.Serializer[Any]):
    lineNumber = Quantity(source="line_number", max_value=LINE_NUMBER_MAX)
    quantity = Quantity(
        min_value=0, required=False, allow_null=True, default=None,
        help_text="What you will deliver of it; 0: nothing. Without it, as ordered.",
    )  # fmt: skip
    expectedDate = serializers.DateField(source="expected_on", required=False, allow_null=True, default=None)


class ConfirmFields(serializers.Serializer[Any]):
    expectedDate = serializers.DateField(
        source="expected_on", required=False, allow_null=True, default=None, help_text="Of lines that say no day."
    )
    lines = AnsweredFields(
        many=True, required=False, default=list, max_length=LINES_MAX, help_text="Lines not named are as ordered."
    )


class CloseFields(serializers.Serializer[Any]):
    lineNumbers = serializers.ListField(
        source="line_numbers", child=Quantity(max_value=LINE_NUMBER_MAX), required=False, allow_null=True, default=None,
        max_length=LINES_MAX, help_text="Without it, all that is open.",
    )  # fmt: skip


class PurchaseLineSerializer(serializers.Serializer[PurchaseOrderLine]):
    lineNumber = serializers.IntegerField(source="line_number")
    productId = serializers.CharField(source="variant.sku")
    supplierCode = serializers.CharField(source="supplier_code", help_text="The supplier's own number for it.")
    quantity = serializers.IntegerField(help_text="Ordered, in stock units.")
    pack = serializers.CharField(source="pack_name", help_text="The pack it is ordered in; empty: single units.")
    packs = serializers.IntegerField(allow_null=True)
    unitCost = serializers.SerializerMethodField(help_text="Null where it is not known, or not yours to know.")
    confirmedQuantity = serializers.IntegerField(source="confirmed_quantity", allow_null=True)
    confirmedDate = serializers.DateField(source="confirmed_on", allow_null=True)
    receivedQuantity = serializers.SerializerMethodField()
    openQuantity = serializers.SerializerMethodField(help_text="Still to come.")
    closing = serializers.ChoiceField(
        PurchaseOrderLine.Closing, help_text="Why no more is waited for: tolerance, short or cancelled; else empty."
    )

    def get_unitCost(self, line: PurchaseOrderLine) -> str | None:
        partner: Partner = self.context["view"].partner
        if line.unit_cost is None or partner.kind == Partner.Kind.LOGISTICS:
            return None
        return f"{line.unit_cost:.4f}"

    def get_receivedQuantity(self, line: PurchaseOrderLine) -> int:
        return int(line.came or 0)  # type: ignore[attr-defined]  # annotated by `shown`

    def get_openQuantity(self, line: PurchaseOrderLine) -> int:
        return line.open_quantity(self.get_receivedQuantity(line))


class PurchaseOrderSerializer(serializers.Serializer[PurchaseOrder]):
    purchaseOrderId = serializers.CharField(source="number")
    supplierId = serializers.CharField(source="supplier.code")
    warehouseLocation = serializers.CharField(source="warehouse.code")
    status = serializers.SerializerMethodField(
        help_text="draft, sent, confirmed, partiallyReceived, received or cancelled."
    )
    currency = serializers.SerializerMethodField(help_text="Null where no cost is known.")
    expectedDate = serializers.DateField(source="expected_on", allow_null=True)
    reference = serializers.CharField()
    createdAt = serializers.DateTimeField(source="created_at")
    sentAt = serializers.DateTimeField(source="sent_at", allow_null=True)
    lines = PurchaseLineSerializer(many=True)
    version = serializers.IntegerField()

    def get_status(self, order: PurchaseOrder) -> str:
        waits = order.status in {PurchaseOrder.Status.SENT, PurchaseOrder.Status.CONFIRMED}
        came = any(line.came for line in order.lines.all())  # type: ignore[attr-defined]  # annotated by `shown`
        return "partiallyReceived" if waits and came else order.status

    def get_currency(self, order: PurchaseOrder) -> str | None:
        return order.currency or None


class PurchaseOrderFilter(filters.FilterSet):
    status = filters.ChoiceFilter(choices=PurchaseOrder.Status)
    supplierId = filters.CharFilter("supplier__code")
    warehouseLocation = filters.CharFilter("warehouse__code")
    reference = filters.CharFilter("reference")
    createdSince = filters.IsoDateTimeFilter("created_at", lookup_expr="gte")


class PurchaseOrderDoor(Door):
    queryset = PurchaseOrder.objects.none()
    serializer_class = PurchaseOrderSerializer
    required_scopes: ClassVar = {"GET": "purchasing:read", "POST": "purchasing:write"}
    keyset = "-id"

    def shown(self) -> Any:
        """Orders with their lines and what came of each. Two queries."""
        lines = PurchaseOrderLine.objects.select_related("variant").annotate(came=Sum("receipt_lines__quantity"))
        rows = PurchaseOrder.objects.for_partner(self.partner).select_related("supplier", "warehouse")
        return rows.prefetch_related(Prefetch("lines", lines.order_by("line_number")))

    def find(self, number: str) -> PurchaseOrder:
        """The order, locked where the caller says with If-Match what it decided on."""
        rows = PurchaseOrder.objects.for_partner(self.partner)
        order: PurchaseOrder = get_object_or_404(rows, number=number)
        if "If-Match" in self.request.headers:
            order = PurchaseOrder.objects.lock().get(pk=order.pk)
            conditional.check_match(conditional.required_match(self.request), conditional.etag(order.version))
        return order

    def answer(self, order: PurchaseOrder, status: int = 200) -> Response:
        row = self.shown().get(pk=order.pk)
        response = Response(self.get_serializer(row).data, status=status)
        return conditional.with_etag(response, conditional.etag(row.version), self.request)

    def for_our_own(self) -> None:
        """Only our own channels buy. Raises LeftToTheHouse."""
        if self.partner.kind != Partner.Kind.CHANNEL:
            raise LeftToTheHouse("Who orders the goods does this.")


class PurchaseOrders(PurchaseOrderDoor):
    """Purchase orders."""

    filterset_class = PurchaseOrderFilter

    @extend_schema(operation_id="listPurchaseOrders")
    def get(self, request: Request) -> Response:
        """Newest first: all of ours; for a supplier those sent to it, for a 3PL those to its warehouses."""
        return self.listed(self.shown())

    @extend_schema(
        operation_id="createPurchaseOrder",
        request=PurchaseOrderFields,
        responses={201: PurchaseOrderSerializer},
        examples=[ORDERED],
    )
    @once
    def post(self, request: Request) -> Response:
        """Draft an order; the supplier sees it once it is sent.

        A quantity below the supplier's minimum, or not in its multiples and packs, is 409 `offer_not_met` with
        what it would take instead.
        """
        self.for_our_own()
        fields = self.understood(PurchaseOrderFields)
        code = fields.pop("supplierId")
        supplier = Partner.objects.suppliers().for_partner(self.partner).filter(code=code).first()
        if supplier is None:
            raise InvalidInput.at("supplierId", f"There is no supplier {code} for you.")
        order = purchasing.order(
            supplier=supplier,
            warehouse=find_warehouse(self.partner, fields.pop("warehouseLocation")),
            needed=self.needed(fields.pop("lines")),
            actor=self.actor,
            at=timezone.now(),
            **fields,
        )
        response = self.answer(order, 201)
        response["Location"] = f"/api/v1/purchaseOrders/{order.number}"
        return response

    def needed(self, lines: list[dict[str, Any]]) -> list[Needed]:
        """The lines of a body as what they mean: products that can be bought, kits not among them. One query."""
        visible = Variant.objects.for_partner(self.partner).stocked().filter(components=None)
        visible = visible.filter(status=Variant.Status.ACTIVE, sku__in=[line["sku"] for line in lines])
        variants = {row.sku: row for row in visible}
        if wrong := [
            (f"lines[{place}].productId", f"There is no product {line['sku']} for you that can be bought.")
            for place, line in enumerate(lines)
            if line["sku"] not in variants
        ]:
            raise InvalidInput.of(wrong)
        return [
            Needed(variant=variants[line["sku"]], quantity=line["quantity"], unit_cost=line["unit_cost"])
            for line in lines
        ]


class OnePurchaseOrder(PurchaseOrderDoor):
    @extend_schema(operation_id="getPurchaseOrder")
    def get(self, request: Request, number: str) -> Response:
        """One order: what is confirmed, received and still to come of each line."""
        return self.answer(get_object_or_404(PurchaseOrder.objects.for_partner(self.partner), number=number))


class Send(PurchaseOrderDoor):
    @extend_schema(operation_id="sendPurchaseOrder", request=None, parameters=[IF_MATCH])
    @once
    def post(self, request: Request, number: str) -> Response:
        """The supplier gets to see it, and is told `purchase_order.sent`."""
        order = self.find(number)
        self.for_our_own()
        return self.answer(purchasing.send(order=order, actor=self.actor, at=timezone.now()))


class Confirm(PurchaseOrderDoor):
    @extend_schema(
        operation_id="confirmPurchaseOrder", request=ConfirmFields, parameters=[IF_MATCH], examples=[CONFIRMED]
    )
    @once
    def post(self, request: Request, number: str) -> Response:
        """The supplier says what it will deliver and when; from then on it can be promised by its day.

        Said again, the newest counts. Never more than was ordered; when nothing of any line will come the order
        is cancelled.
        """
        order = self.find(number)
        if self.partner.kind == Partner.Kind.LOGISTICS:
            raise LeftToTheHouse("Who delivers the goods does this.")
        fields = self.understood(ConfirmFields)
        answers = [Answered(**line) for line in fields.pop("lines")]
        return self.answer(
            purchasing.confirm(order=order, answers=answers, actor=self.actor, at=timezone.now(), **fields)
        )


class Cancel(PurchaseOrderDoor):
    @extend_schema(operation_id="cancelPurchaseOrder", request=None, parameters=[IF_MATCH])
    @once
    def post(self, request: Request, number: str) -> Response:
        """Call off what has not come."""
        order = self.find(number)
        self.for_our_own()
        return self.answer(purchasing.cancel(order=order, actor=self.actor, at=timezone.now()))


class Close(PurchaseOrderDoor):
    @extend_schema(operation_id="closePurchaseOrder", request=CloseFields, parameters=[IF_MATCH])
    @once
    def post(self, request: Request, number: str) -> Response:
        """What is missing will not come: wait no longer for it."""
        order = self.find(number)
        self.for_our_own()
        fields = self.understood(CloseFields)
        return self.answer(purchasing.close(order=order, actor=self.actor, at=timezone.now(), **fields))
