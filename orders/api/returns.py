"""/returns: announce, receive, inspect, withdraw."""

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

from catalog.models import Variant
from orders.api import keepers
from orders.api.shipments import find_line
from orders.models import Order, OrderLine, Return, ReturnLine
from orders.operations import returning
from orders.operations.judging import Verdict
from orders.operations.returnable import ComingBack
from partners.api import conditional
from partners.api.doors import Door, once
from partners.api.fields import Quantity, Text
from partners.problems import InvalidInput
from stock.models import Warehouse

LINES_MAX = 500
WHO_KEEPS = "Who keeps the goods says what came back, and in what state; you announce it."


class ComingLine(serializers.Serializer[Any]):
    lineId = Text(source="line_id", max_length=40, required=False)
    productId = Text(source="sku", max_length=64)
    quantity = Quantity()
    reason = Text(max_length=200)
    batchNumber = Text(source="batch_number", max_length=60, required=False, default="", allow_blank=True)
    serialNumber = Text(source="serial_number", max_length=60, required=False, default="", allow_blank=True)
    exchangeFor = Text(
        source="exchange_for", max_length=64, required=False, default="", allow_blank=True,
        help_text="The productId wanted instead, unit for unit: it is ordered at once and goes out when these are back.",
    )  # fmt: skip

    def validate(self, line: dict[str, Any]) -> dict[str, Any]:
        if line["serial_number"] and line["quantity"] != 1:
            raise serializers.ValidationError({"serialNumber": "A serial number is of one unit; send a line for each."})
        return line


class ReturnFields(serializers.Serializer[Any]):
    orderId = Text(max_length=20)
    lines = ComingLine(many=True, allow_empty=False, max_length=LINES_MAX)


class ReceiveFields(serializers.Serializer[Any]):
    warehouseLocation = Text(max_length=40, required=False, default="", allow_blank=True)


class VerdictLine(serializers.Serializer[Any]):
    """What was announced of the line may be sent back with it."""

    ignores: ClassVar = frozenset({"reason", "exchangeFor"})

    productId = Text(source="sku", max_length=64)
    quantity = Quantity(required=False, allow_null=True, default=None, help_text="All of them when not named.")
    batchNumber = Text(source="batch_number", max_length=60, required=False, default="", allow_blank=True)
    serialNumber = Text(
        source="serial_number", max_length=60, required=False, default="", allow_blank=True,
        help_text="The one unit meant, of those named when the return was announced.",
    )  # fmt: skip
    disposition = serializers.ChoiceField(ReturnLine.Disposition)


class InspectFields(serializers.Serializer[Any]):
    lines = VerdictLine(many=True, allow_empty=False, max_length=LINES_MAX)


class ReturnLineSerializer(serializers.Serializer[ReturnLine]):
    lineId = serializers.CharField(source="order_line.line_id")
    productId = serializers.CharField(source="order_line.variant.sku")
    quantity = serializers.IntegerField()
    reason = serializers.CharField()
    batchNumber = serializers.CharField(source="batch.number", default=None, allow_null=True)
    serialNumber = serializers.CharField(source="serial_number")
    exchangeFor = serializers.CharField(source="exchange_for")
    disposition = serializers.CharField(help_text="Empty until inspected.")
    replacementOrderId = serializers.CharField(
        source="replacement.order.number", default=None, allow_null=True,
        help_text="The order that goes out for it, in exchange or under warranty.",
    )  # fmt: skip
    replacementLineId = serializers.CharField(source="replacement.line_id", default=None, allow_null=True)
    warrantyClaimId = serializers.CharField(source="claim.number", default=None, allow_null=True)


class ReturnSerializer(serializers.Serializer[Return]):
    returnId = serializers.CharField(source="number")
    orderId = serializers.CharField(source="order.number")
    status = serializers.ChoiceField(Return.Status)
    warehouseLocation = serializers.CharField(source="warehouse.code", default=None, allow_null=True)
    announcedAt = serializers.DateTimeField(source="announced_at")
    lines = ReturnLineSerializer(many=True)
    version = serializers.IntegerField()


class ReturnFilter(filters.FilterSet):
    orderId = filters.CharFilter("order__number")
    status = filters.ChoiceFilter(choices=Return.Status)


class ReturnDoor(Door):
    queryset = Return.objects.none()
    serializer_class = ReturnSerializer
    required_scopes: ClassVar = {"GET": "returns:read", "POST": "returns:write"}
    keyset = "-id"
    are_steps_matched = True

    def shown(self) -> Any:
        """Returns with their lines, of those what the caller may see. A constant few queries."""
        mine = OrderLine.objects.for_partner(self.partner)
        lines = ReturnLine.objects.filter(order_line__in=mine).select_related(
            "order_line__variant", "batch", "replacement__order", "claim"
        )
        rows = Return.objects.for_partner(self.partner).select_related("order", "warehouse")
        return rows.prefetch_related(Prefetch("lines", lines))

    def find(self, number: str) -> Return:
        rows = Return.objects.for_partner(self.partner).select_related("order", "warehouse")
        returned: Return = get_object_or_404(rows, number=number)
        return self.seen(returned, Order.objects.filter(pk=returned.order_id))

    def answer(self, returned: Return, status: int = 200) -> Response:
        row = self.shown().get(pk=returned.pk)
        response = Response(ReturnSerializer(row).data, status=status)
        return conditional.with_etag(response, conditional.etag(row.version), self.request)


class Returns(ReturnDoor):
    """Returns."""

    filterset_class = ReturnFilter

    @extend_schema(operation_id="listReturns")
    def get(self, request: Request) -> Response:
        """The returns the caller may see, newest first."""
        return self.listed(self.shown())

    @extend_schema(operation_id="createReturn", request=ReturnFields, responses={201: ReturnSerializer})
    @once
    def post(self, request: Request) -> Response:
        """Announce that shipped goods come back; never more than were shipped.

        What is wanted in exchange (`exchangeFor`) is promised in the same moment by an order of its own, or 409
        `insufficient_stock` and nothing is announced. It goes out when the return is received.
        """
        fields = self.understood(ReturnFields)
        order = Order.objects.for_partner(self.partner).filter(number=fields["orderId"]).first()
        if order is None:
            raise InvalidInput.at("orderId", "There is no such order for you.")
        mine = list(OrderLine.objects.for_partner(self.partner).filter(order=order).select_related("variant"))
        wanted = self.exchanged(fields["lines"], order)
        coming = []
        for place, line in enumerate(fields["lines"]):
            row = find_line(mine, line, f"lines[{place}]")
            named = {name: line[name] for name in ("quantity", "reason", "batch_number", "serial_number")}
            coming.append(ComingBack(line=row, exchange_for=wanted[place], **named))
        returned = returning.announce(order=order, coming=coming, actor=self.actor, at=timezone.now())
        response = self.answer(returned, 201)
        response["Location"] = f"/api/v1/returns/{returned.number}"
        return response

    def exchanged(self, lines: list[dict[str, Any]], order: Order) -> list[Variant | None]:
        """What each line wants instead: products that both the caller and the order's partner may order. One query."""
        visible = Variant.objects.for_partner(self.partner).for_partner(order.partner).stocked()
        visible = visible.filter(status=Variant.Status.ACTIVE)
        found = {row.sku: row for row in visible.filter(sku__in=[line["exchange_for"] for line in lines])}
        if unknown := [
            (f"lines[{place}].exchangeFor", f"There is no product {line['exchange_for']} for you that can be ordered.")
            for place, line in enumerate(lines)
            if line["exchange_for"] and line["exchange_for"] not in found
        ]:
            raise InvalidInput.of(unknown)
        return [found.get(line["exchange_for"]) for line in lines]


class OneReturn(ReturnDoor):
    @extend_schema(operation_id="getReturn")
    def get(self, request: Request, number: str) -> Response:
        """One return, and what became of each line."""
        return self.answer(self.find(number))


class Receive(ReturnDoor):
    @extend_schema(operation_id="receiveReturn", request=ReceiveFields)
    @once
    def post(self, request: Request, number: str) -> Response:
        """The goods are here: they lie in quarantine until inspected. Without a warehouse: where they came from.

        Said by who keeps the goods: our own channels, or the 3PL of the warehouse. Anybody else is 403
        `left_to_the_house`.
        """
        returned = self.find(number)
        keepers.must_keep(self.partner, None, WHO_KEEPS)
        code = self.understood(ReceiveFields)["warehouseLocation"]
        granted = Warehouse.objects.for_partner(self.partner)
        named = (
            granted.filter(code=code) if code else granted.filter(pk__in=returned.order.shipments.values("warehouse"))
        )
        # Of several it came from, one the caller runs.
        warehouse = named.filter(operator=self.partner).first() or named.first()
        if warehouse is None:
            raise InvalidInput.at("warehouseLocation", f"There is no warehouse {code} for you.")
        keepers.must_keep(self.partner, warehouse, WHO_KEEPS)
        return self.answer(
            returning.receive(returned=returned, warehouse=warehouse, actor=self.actor, at=timezone.now())
        )


class Inspect(ReturnDoor):
    @extend_schema(operation_id="inspectReturn", request=InspectFields)
    @once
    def post(self, request: Request, number: str) -> Response:
        """Decide for every unit: restock, quarantine, damaged, scrap, returnToVendor or warrantyClaim.

        Expired or blocked batches, and units of an unknown batch, cannot be restocked (409 `cannot_restock`). A
        warranty claim counts from the day of shipment to the day the return was announced, for each unit or for the
        order line, as the product's terms say; beyond it is 409 `warranty_over` with both days and the terms. What is
        claimed is replaced by a linked order. Said by who keeps the goods, as they were received; anybody else is 403
        `left_to_the_house`.
        """
        returned = self.find(number)
        keepers.must_keep(self.partner, returned.warehouse, WHO_KEEPS)
        verdicts = [Verdict(**line) for line in self.understood(InspectFields)["lines"]]
        return self.answer(returning.inspect(returned=returned, verdicts=verdicts, actor=self.actor, at=timezone.now()))


class Withdraw(ReturnDoor):
    @extend_schema(operation_id="withdrawReturn", request=None)
    @once
    def post(self, request: Request, number: str) -> Response:
        """The goods do not come after all; what was ordered in exchange is called off. Not once they are received."""
        return self.answer(returning.withdraw(returned=self.find(number), actor=self.actor, at=timezone.now()))
