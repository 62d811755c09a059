"""/receipts: goods come to the dock, against a purchase order, a ship notice, or neither."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import Prefetch
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.models import Variant
from orders import queries
from orders.api import keepers
from orders.api.purchase_orders import WarningSerializer, warnings_of
from orders.models import AdvanceShipNotice, LandedCharge, LandedShare, PurchaseOrder, Receipt, ReceiptLine
from orders.operations import landing, receiving
from orders.operations.sorting import Arrived
from partners.api import conditional
from partners.api.doors import Door, once
from partners.api.fields import Amount, ExpirationDate, Quantity, Text
from partners.models import Partner
from partners.problems import InvalidInput, LeftToTheHouse
from stock.api.inventory import find_warehouse
from stock.models import Level

LINES_MAX = 500
SERIALS_MAX = 10_000
GRAMS_MAX = 100_000_000
WHO_KEEPS = "Who keeps the goods says what came."
RECEIVED = OpenApiExample(
    "Against an order",
    request_only=True,
    value={
        "purchaseOrderId": "PO-7K3M-9QX2-PT4W",
        "warehouseLocation": "Warehouse_A",
        "deliveryNote": "LS-4711",
        "lines": [
            {
                "productId": "HOTSAUCE789",
                "quantity": 480,
                "batchNumber": "BATCH202612",
                "expirationDate": "2028-06-30",
            },
            {"productId": "SALSA1", "quantity": 2, "condition": "damaged"},
        ],
    },
)


class ArrivedFields(serializers.Serializer[Any]):
    productId = Text(source="sku", max_length=64)
    quantity = Quantity(help_text="What came, in stock units.")
    batchNumber = Text(source="batch_number", max_length=60, required=False, default="", allow_blank=True)
    expirationDate = ExpirationDate(source="expires_on", required=False, allow_null=True, default=None)
    condition = serializers.ChoiceField(Level.Condition, required=False, default=Level.Condition.SELLABLE)
    location = Text(
        source="location_code", max_length=40, required=False, default="", allow_blank=True,
        help_text="The bin it was put into; without it, the default one.",
    )  # fmt: skip
    serialNumbers = serializers.ListField(
        source="serials", child=Text(max_length=60), required=False, default=list, max_length=SERIALS_MAX,
        help_text="Of a product tracked by serial number: each unit once.",
    )  # fmt: skip


class ReceiptFields(serializers.Serializer[Any]):
    purchaseOrderId = Text(max_length=20, required=False, allow_null=True, default=None)
    asnId = Text(max_length=20, required=False, allow_null=True, default=None)
    supplierId = Text(
        max_length=40, required=False, allow_null=True, default=None, help_text="Of goods without order or notice."
    )
    warehouseLocation = Text(max_length=40)
    deliveryNote = Text(
        source="delivery_note", max_length=80, required=False, default="", allow_blank=True,
        help_text="The number on the supplier's paper: booked once, however often it is sent.",
    )  # fmt: skip
    lines = ArrivedFields(
        many=True, required=False, allow_empty=False, max_length=LINES_MAX,
        help_text="May be left out with an asnId: all that was announced came.",
    )  # fmt: skip

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        if fields["purchaseOrderId"] and fields["asnId"]:
            raise serializers.ValidationError(
                {"asnId": "Either an order or a ship notice; the notice names its orders."}
            )
        if "lines" not in fields and not fields["asnId"]:
            raise serializers.ValidationError({"lines": "Say what came."})
        return fields


class ChargeFields(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(LandedCharge.Kind)
    reference = Text(max_length=80, help_text="The number of its invoice.")
    amount = Amount(max_digits=14, decimal_places=4, min_value=0)
    currency = Text(max_length=3)
    spreadBy = serializers.ChoiceField(LandedCharge.Spread, source="spread")
    weightsG = serializers.DictField(
        source="weights_g", child=Quantity(max_value=GRAMS_MAX), required=False, default=dict,
        help_text="Grams of one stock unit by productId, for spreading by weight; else the attribute weightKg.",
    )  # fmt: skip

    def validate_weightsG(self, weights: dict[str, int]) -> dict[str, int]:
        if len(weights) > LINES_MAX:
            raise serializers.ValidationError(f"At most {LINES_MAX} products.")
        return weights


class ShareSerializer(serializers.Serializer[LandedShare]):
    kind = serializers.CharField(source="charge.kind")
    amount = serializers.DecimalField(max_digits=14, decimal_places=4)
    currency = serializers.CharField(source="charge.currency")


class ReceiptLineSerializer(serializers.Serializer[ReceiptLine]):
    purchaseOrderId = serializers.CharField(source="order_line.order.number", default=None, allow_null=True)
    lineNumber = serializers.IntegerField(source="order_line.line_number", default=None, allow_null=True)
    productId = serializers.CharField(source="variant.sku")
    quantity = serializers.IntegerField()
    batchNumber = serializers.CharField(source="batch.number", default=None, allow_null=True)
    expirationDate = serializers.DateField(source="batch.expires_on", default=None, allow_null=True)
    condition = serializers.ChoiceField(Level.Condition, help_text="As it was put on the shelf.")
    outcome = serializers.ChoiceField(ReceiptLine.Outcome, help_text="Against the order: asOrdered, under, over.")
    hold = serializers.ChoiceField(ReceiptLine.Hold, help_text="Why it is held back; empty: it is not.")
    transactionId = serializers.IntegerField(source="movement_id", help_text="The ledger's row.")
    landed = serializers.SerializerMethodField(help_text="Its share of freight and duty, for who bought it.")

    @extend_schema_field(ShareSerializer(many=True))
    def get_landed(self, line: ReceiptLine) -> list[dict[str, Any]]:
        return list(ShareSerializer(line.landed.all(), many=True).data) if self.context["view"].sees_costs else []


class ChargeSerializer(serializers.Serializer[LandedCharge]):
    kind = serializers.ChoiceField(LandedCharge.Kind)
    reference = serializers.CharField()
    amount = serializers.DecimalField(max_digits=14, decimal_places=4)
    currency = serializers.CharField()
    spreadBy = serializers.ChoiceField(LandedCharge.Spread, source="spread")


class ReceiptSerializer(serializers.Serializer[Receipt]):
    receiptId = serializers.CharField(source="number")
    supplierId = serializers.CharField(source="supplier.code", default=None, allow_null=True)
    purchaseOrderId = serializers.CharField(source="order.number", default=None, allow_null=True)
    asnId = serializers.CharField(source="notice.number", default=None, allow_null=True)
    warehouseLocation = serializers.CharField(source="warehouse.code")
    deliveryNote = serializers.CharField(source="delivery_note")
    isOverAccepted = serializers.BooleanField(source="is_over_accepted", help_text="Staff took more than was agreed.")
    postedAt = serializers.DateTimeField(source="posted_at")
    lines = ReceiptLineSerializer(many=True)
    charges = serializers.SerializerMethodField(help_text="Freight and duty, for who bought it.")
    warnings = serializers.SerializerMethodField(
        help_text="For who bought it: costs that are kept, but do not reach the value of the stock. Empty: all do."
    )

    @extend_schema_field(ChargeSerializer(many=True))
    def get_charges(self, receipt: Receipt) -> list[dict[str, Any]]:
        return list(ChargeSerializer(receipt.charges.all(), many=True).data) if self.context["view"].sees_costs else []

    @extend_schema_field(WarningSerializer(many=True))
    def get_warnings(self, receipt: Receipt) -> list[dict[str, Any]]:
        return warnings_of(queries.currencies_of(receipt)) if self.context["view"].sees_costs else []


class ReceiptFilter(filters.FilterSet):
    purchaseOrderId = filters.CharFilter("lines__order_line__order__number", distinct=True)
    asnId = filters.CharFilter("notice__number")
    supplierId = filters.CharFilter("supplier__code")
    warehouseLocation = filters.CharFilter("warehouse__code")
    deliveryNote = filters.CharFilter("delivery_note")
    postedSince = filters.IsoDateTimeFilter("posted_at", lookup_expr="gte")


class ReceiptDoor(Door):
    queryset = Receipt.objects.none()
    serializer_class = ReceiptSerializer
    required_scopes: ClassVar = {"GET": "purchasing:read", "POST": "purchasing:write"}
    keyset = "-id"

    @property
    def sees_costs(self) -> bool:
        return self.partner.kind == Partner.Kind.CHANNEL

    def shown(self) -> Any:
        """Receipts with their lines and charges. Four queries."""
        lines = ReceiptLine.objects.select_related("order_line__order", "variant", "batch").order_by("id")
        shares = Prefetch("landed", LandedShare.objects.select_related("charge").order_by("id"))
        rows = Receipt.objects.for_partner(self.partner).select_related("supplier", "order", "notice", "warehouse")
        return rows.prefetch_related("charges", Prefetch("lines", lines.prefetch_related(shares)))

    def answer(self, receipt: Receipt, status: int = 200) -> Response:
        body = self.get_serializer(self.shown().get(pk=receipt.pk)).data
        tag = conditional.etag(f"1-{len(body['charges'])}")
        return conditional.with_etag(Response(body, status=status), tag, self.request)


class Receipts(ReceiptDoor):
    """Goods receipts."""

    filterset_class = ReceiptFilter

    @extend_schema(operation_id="listReceipts")
    def get(self, request: Request) -> Response:
        """Newest first: a supplier's deliveries, and what came to the warehouses of a 3PL."""
        return self.listed(self.shown())

    @extend_schema(
        operation_id="postReceipt", request=ReceiptFields, responses={201: ReceiptSerializer}, examples=[RECEIVED]
    )
    @once
    def post(self, request: Request) -> Response:
        """Book what came, against an order, a ship notice, or neither.

        More than the order and the supplier's tolerance allow is 409 `over_delivery`, line by line; staff may
        accept it. What the supplier's terms say is held (by quality plan, or for too short a shelf life) lies in
        quarantine until staff lift it. The same `deliveryNote` with the same content answers the receipt already
        there; with another content 409 `delivery_note_reused`.
        """
        keepers.must_keep(self.partner, None, WHO_KEEPS)
        fields = self.understood(ReceiptFields)
        warehouse = find_warehouse(self.partner, fields["warehouseLocation"])
        keepers.must_keep(self.partner, warehouse, WHO_KEEPS)
        notice = self.notice(fields["asnId"])
        note = fields["delivery_note"]
        if (
            notice
            and "lines" not in fields
            and (booked := receiving.booked_as_announced(notice=notice, delivery_note=note))
        ):
            return self.told(booked, is_new=False)
        whole = receiving.as_announced(notice=notice) if notice else []
        arrived = self.arrived(fields["lines"]) if "lines" in fields else whole
        receipt, is_new = receiving.receive(
            order=self.order(fields["purchaseOrderId"]),
            notice=notice,
            supplier=self.supplier(fields["supplierId"]),
            warehouse=warehouse,
            arrived=arrived,
            delivery_note=note,
            actor=self.actor,
            at=timezone.now(),
        )
        return self.told(receipt, is_new=is_new)

    def told(self, receipt: Receipt, *, is_new: bool) -> Response:
        response = self.answer(receipt, 201 if is_new else 200)
        response["Location"] = f"/api/v1/receipts/{receipt.number}"
        return response

    def order(self, number: str | None) -> PurchaseOrder | None:
        rows = PurchaseOrder.objects.for_partner(self.partner).select_related("supplier")
        found = rows.filter(number=number).first() if number else None
        if number and found is None:
            raise InvalidInput.at("purchaseOrderId", "There is no such order for you.")
        return found

    def notice(self, number: str | None) -> AdvanceShipNotice | None:
        rows = AdvanceShipNotice.objects.for_partner(self.partner).select_related("supplier")
        found = rows.filter(number=number).first() if number else None
        if number and found is None:
            raise InvalidInput.at("asnId", "There is no such ship notice for you.")
        return found

    def supplier(self, code: str | None) -> Partner | None:
        rows = Partner.objects.suppliers().for_partner(self.partner)
        found = rows.filter(code=code).first() if code else None
        if code and found is None:
            raise InvalidInput.at("supplierId", f"There is no supplier {code} for you.")
        return found

    def arrived(self, lines: list[dict[str, Any]]) -> list[Arrived]:
        """The lines of a body as what they mean; unknown products are named by field. One query."""
        visible = Variant.objects.for_partner(self.partner).stocked().select_related("product_type")
        variants = {row.sku: row for row in visible.filter(sku__in=[line["sku"] for line in lines])}
        if unknown := [
            (f"lines[{place}].productId", f"There is no product {line['sku']} for you that can be stocked.")
            for place, line in enumerate(lines)
            if line["sku"] not in variants
        ]:
            raise InvalidInput.of(unknown)
        return [
            Arrived(variant=variants[line.pop("sku")], serials=tuple(line.pop("serials")), **line)
            for line in map(dict, lines)
        ]


class OneReceipt(ReceiptDoor):
    @extend_schema(operation_id="getReceipt")
    def get(self, request: Request, number: str) -> Response:
        """One receipt: what came, what it was to the order, and where it was put."""
        return self.answer(get_object_or_404(Receipt.objects.for_partner(self.partner), number=number))


class Charges(ReceiptDoor):
    @extend_schema(operation_id="chargeReceipt", request=ChargeFields, responses={201: ReceiptSerializer})
    @once
    def post(self, request: Request, number: str) -> Response:
        """Add freight or duty; it is spread over the lines to the cent, and the rest is the largest line's."""
        receipt = get_object_or_404(Receipt.objects.for_partner(self.partner), number=number)
        if not self.sees_costs:
            raise LeftToTheHouse("Who buys the goods does this.")
        fields = self.understood(ChargeFields)
        landing.charge(receipt=receipt, actor=self.actor, at=timezone.now(), **fields)
        return self.answer(receipt, 201)
