"""/shipments: goods leave with a tracking number, and arrive."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import Prefetch
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from stdnum import ean

from orders.api import keepers
from orders.models import Order, OrderLine, Package, PackageLine, Shipment, ShipmentLine
from orders.operations import fulfilment
from orders.operations.fulfilment import Leaving
from partners.api import conditional
from partners.api.doors import Door, once
from partners.api.fields import Quantity, Text
from partners.problems import InvalidInput
from stock.models import Warehouse

LINES_MAX = 500
WHO_RUNS = "Who runs the warehouse says what is done there."


class Sscc(Text):
    """The number of a logistic unit; blank where it may be."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": 18} | kwargs)

    def to_internal_value(self, data: Any) -> str:
        sscc = super().to_internal_value(data)
        if sscc and not is_sscc(sscc):
            raise serializers.ValidationError("An SSCC has 18 digits and ends in its GS1 check digit.")
        return sscc


class LeavingLine(serializers.Serializer[Any]):
    lineId = Text(source="line_id", max_length=40, required=False)
    productId = Text(source="sku", max_length=64, required=False)
    quantity = Quantity()
    batchNumber = Text(source="batch_number", max_length=60, required=False, default="", allow_blank=True)
    serialNumbers = serializers.ListField(
        source="serial_numbers", child=Text(max_length=60), required=False, default=list, max_length=1_000,
        help_text="Of a kit, those of all its components.",
    )  # fmt: skip

    def validate(self, line: dict[str, Any]) -> dict[str, Any]:
        if not line.get("line_id") and not line.get("sku"):
            raise serializers.ValidationError({"lineId": "Name the line by lineId or productId."})
        if len(set(line["serial_numbers"])) < len(line["serial_numbers"]):
            raise serializers.ValidationError({"serialNumbers": "A serial number is there twice."})
        return line


class ShipmentFields(serializers.Serializer[Any]):
    orderId = Text(max_length=20)
    warehouseLocation = Text(max_length=40)
    carrier = Text(max_length=60)
    service = Text(max_length=60, required=False, default="", allow_blank=True)
    trackingNumber = Text(source="tracking_number", max_length=80)
    sscc = Sscc(required=False, default="", allow_blank=True)
    lines = LeavingLine(many=True, allow_empty=False, max_length=LINES_MAX)


class ShipmentLineSerializer(serializers.Serializer[ShipmentLine]):
    lineId = serializers.CharField(source="order_line.line_id")
    productId = serializers.CharField(source="order_line.variant.sku")
    quantity = serializers.IntegerField()
    batchNumber = serializers.CharField(source="batch.number", default=None, allow_null=True)
    serialNumbers = serializers.ListField(source="serial_numbers", child=serializers.CharField())


class PackedLineSerializer(serializers.Serializer[PackageLine]):
    lineId = serializers.CharField(source="order_line.line_id", help_text="The order's line.")
    productId = serializers.CharField(source="order_line.variant.sku", help_text="What it is.")
    quantity = serializers.IntegerField(help_text="Stock units in this package.")
    batchNumber = serializers.CharField(
        source="batch.number", default=None, allow_null=True, help_text="Null where it has none, and of a kit."
    )
    serialNumbers = serializers.ListField(
        source="serial_numbers", child=serializers.CharField(), help_text="Its units, where they have numbers."
    )


class ShippedPackageSerializer(serializers.Serializer[Package]):
    packageId = serializers.CharField(source="number", help_text="Our number of it.")
    sscc = serializers.CharField(help_text="18 digits, in the barcode of its label.")
    trackingNumber = serializers.CharField(source="tracking_number", help_text="Its own, where it has one.")
    lines = PackedLineSerializer(many=True, help_text="What is in it.")


class ShipmentSerializer(serializers.Serializer[Shipment]):
    shipmentId = serializers.CharField(source="number")
    orderId = serializers.CharField(source="order.number")
    warehouseLocation = serializers.CharField(source="warehouse.code")
    carrier = serializers.CharField()
    service = serializers.CharField()
    trackingNumber = serializers.CharField(source="tracking_number")
    sscc = serializers.CharField()
    status = serializers.ChoiceField(Shipment.Status)
    shippedAt = serializers.DateTimeField(source="shipped_at")
    deliveredAt = serializers.DateTimeField(source="delivered_at", allow_null=True)
    lines = ShipmentLineSerializer(many=True)
    packages = ShippedPackageSerializer(many=True, help_text="The packages it left in, where they were packed here.")
    version = serializers.IntegerField()


class ShipmentFilter(filters.FilterSet):
    orderId = filters.CharFilter("order__number")
    trackingNumber = filters.CharFilter("tracking_number")
    status = filters.ChoiceFilter(choices=Shipment.Status)


class ShipmentDoor(Door):
    queryset = Shipment.objects.none()
    serializer_class = ShipmentSerializer
    required_scopes: ClassVar = {"GET": "shipments:read", "POST": "shipments:write"}
    keyset = "-id"
    are_steps_matched = True

    def shown(self) -> Any:
        """Shipments with their lines, of those what the caller may see. A constant few queries."""
        mine = OrderLine.objects.for_partner(self.partner)
        lines = ShipmentLine.objects.filter(order_line__in=mine).select_related("order_line__variant", "batch")
        rows = Shipment.objects.for_partner(self.partner).select_related("order", "warehouse")
        contents = PackageLine.objects.filter(order_line__in=mine).select_related("order_line__variant", "batch")
        packages = Package.objects.for_partner(self.partner).order_by("id")
        packed = Prefetch("packages", packages.prefetch_related(Prefetch("lines", contents)))
        return rows.prefetch_related(Prefetch("lines", lines), packed)

    def answer(self, shipment: Shipment, status: int = 200) -> Response:
        row = self.shown().get(pk=shipment.pk)
        response = Response(ShipmentSerializer(row).data, status=status)
        return conditional.with_etag(response, conditional.etag(row.version), self.request)


class Shipments(ShipmentDoor):
    """Shipments."""

    filterset_class = ShipmentFilter

    @extend_schema(operation_id="listShipments")
    def get(self, request: Request) -> Response:
        """The shipments the caller may see, newest first."""
        return self.listed(self.shown())

    @extend_schema(operation_id="createShipment", request=ShipmentFields, responses={201: ShipmentSerializer})
    @once
    def post(self, request: Request) -> Response:
        """Book goods of an order out of a warehouse.

        From one that a 3PL runs for us, only it and our own channels do (403 `left_to_the_house`).
        Lines are named by `lineId` or `productId`. Without `batchNumber` the promised batches leave; where
        another one leaves, the promise is moved to it first.
        """
        fields = self.understood(ShipmentFields)
        order = Order.objects.for_partner(self.partner).filter(number=fields.pop("orderId")).first()
        if order is None:
            raise InvalidInput.at("orderId", "There is no such order for you.")
        code = fields.pop("warehouseLocation")
        warehouse = Warehouse.objects.for_partner(self.partner).filter(code=code).first()
        if warehouse is None:
            raise InvalidInput.at("warehouseLocation", f"There is no warehouse {code} for you.")
        keepers.must_run(self.partner, warehouse, WHO_RUNS)
        mine = list(
            OrderLine.objects.for_partner(self.partner)
            .filter(order=order)
            .select_related("variant", "reservation_line__variant")
        )
        leaving = [leaving_of(place, line, mine, "lines") for place, line in enumerate(fields.pop("lines"))]
        shipment = fulfilment.ship(
            order=order, warehouse=warehouse, leaving=leaving, actor=self.actor, at=timezone.now(), **fields
        )
        response = self.answer(shipment, 201)
        response["Location"] = f"/api/v1/shipments/{shipment.number}"
        return response


class OneShipment(ShipmentDoor):
    @extend_schema(operation_id="getShipment")
    def get(self, request: Request, number: str) -> Response:
        """One shipment: which batches left, and whether it arrived."""
        return self.answer(get_object_or_404(Shipment.objects.for_partner(self.partner), number=number))


class Deliver(ShipmentDoor):
    @extend_schema(operation_id="deliverShipment", request=None)
    @once
    def post(self, request: Request, number: str) -> Response:
        """Say that it arrived. The order is delivered with its last shipment."""
        shipment = get_object_or_404(Shipment.objects.for_partner(self.partner), number=number)
        self.seen(shipment, Order.objects.filter(pk=shipment.order_id))
        return self.answer(fulfilment.deliver(shipment=shipment, actor=self.actor, at=timezone.now()))


def find_line(mine: list[OrderLine], named: dict[str, Any], field: str) -> OrderLine:
    """The order line a body names, by lineId or by productId where only one line has it."""
    if named.get("line_id"):
        found = [line for line in mine if line.line_id == named["line_id"]]
        where = f"{field}.lineId"
    else:
        found = [line for line in mine if line.variant.sku == named["sku"]]
        where = f"{field}.productId"
    if len(found) == 1 and named.get("sku", found[0].variant.sku) != found[0].variant.sku:
        raise InvalidInput.at(f"{field}.productId", f"Line {found[0].line_id} is of {found[0].variant.sku}.")
    if len(found) != 1:
        what = "is on several lines; name it by lineId" if found else "is not on this order for you"
        raise InvalidInput.at(where, f"{named.get('line_id') or named.get('sku')} {what}.")
    return found[0]


def leaving_of(place: int, line: dict[str, Any], mine: list[OrderLine], field: str) -> Leaving:
    """What a line of a body means. Raises InvalidInput naming the field."""
    row = find_line(mine, line, f"{field}[{place}]")
    if len(line["serial_numbers"]) > line["quantity"] and not is_kit(row):
        raise InvalidInput.at(f"{field}[{place}].serialNumbers", "There are more serial numbers than units.")
    return Leaving(
        line=row,
        quantity=line["quantity"],
        batch_number=line["batch_number"],
        serial_numbers=tuple(line["serial_numbers"]),
    )


def is_sscc(text: str) -> bool:
    """18 digits with the GS1 check digit: the same sum as a GTIN's (GS1 General Specifications 7.9)."""
    if len(text) != 18 or not text.isascii() or not text.isdigit():
        return False
    return str(ean.calc_check_digit(text[:-1])) == text[-1]


def is_kit(row: OrderLine) -> bool:
    """Whether the line leaves as components, and may name more units than kits. One query."""
    return row.reservation_line is not None and row.reservation_line.components.exists()
