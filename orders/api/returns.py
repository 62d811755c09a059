"""/returns: announce, receive, inspect."""

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


class ComingLine(serializers.Serializer[Any]):
    lineId = Text(source="line_id", max_length=40, required=False)
    productId = Text(source="sku", max_length=64)
    quantity = Quantity()
    reason = Text(max_length=200)
    batchNumber = Text(source="batch_number", max_length=60, required=False, default="", allow_blank=True)
    serialNumber = Text(source="serial_number", max_length=60, required=False, default="", allow_blank=True)
    exchangeFor = Text(source="exchange_for", max_length=64, required=False, default="", allow_blank=True)

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
    productId = Text(source="sku", max_length=64)
    quantity = Quantity(required=False, allow_null=True, default=None, help_text="All of them when not named.")
    batchNumber = Text(source="batch_number", max_length=60, required=False, default="", allow_blank=True)
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

    def shown(self) -> Any:
        """Returns with their lines, of those what the caller may see. A constant few queries."""
        mine = OrderLine.objects.for_partner(self.partner)
        lines = ReturnLine.objects.filter(order_line__in=mine).select_related("order_line__variant", "batch")
        rows = Return.objects.for_partner(self.partner).select_related("order", "warehouse")
        return rows.prefetch_related(Prefetch("lines", lines))

    def find(self, number: str) -> Return:
        return get_object_or_404(Return.objects.for_partner(self.partner).select_related("order"), number=number)

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
        """Announce that shipped goods come back; never more than were shipped."""
        fields = self.understood(ReturnFields)
        order = Order.objects.for_partner(self.partner).filter(number=fields["orderId"]).first()
        if order is None:
            raise InvalidInput.at("orderId", "There is no such order for you.")
        mine = list(OrderLine.objects.for_partner(self.partner).filter(order=order).select_related("variant"))
        coming = []
        for place, line in enumerate(fields["lines"]):
            row = find_line(mine, line, f"lines[{place}]")
            named = {
                name: line[name] for name in ("quantity", "reason", "batch_number", "serial_number", "exchange_for")
            }
            coming.append(ComingBack(line=row, **named))
        returned = returning.announce(order=order, coming=coming, actor=self.actor, at=timezone.now())
        response = self.answer(returned, 201)
        response["Location"] = f"/api/v1/returns/{returned.number}"
        return response


class OneReturn(ReturnDoor):
    @extend_schema(operation_id="getReturn")
    def get(self, request: Request, number: str) -> Response:
        """One return, and what became of each line."""
        return self.answer(self.find(number))


class Receive(ReturnDoor):
    @extend_schema(operation_id="receiveReturn", request=ReceiveFields)
    @once
    def post(self, request: Request, number: str) -> Response:
        """The goods are here: they lie in quarantine until inspected. Without a warehouse: where they came from."""
        returned = self.find(number)
        code = self.understood(ReceiveFields)["warehouseLocation"]
        granted = Warehouse.objects.for_partner(self.partner)
        named = (
            granted.filter(code=code) if code else granted.filter(pk__in=returned.order.shipments.values("warehouse"))
        )
        warehouse = named.first()
        if warehouse is None:
            raise InvalidInput.at("warehouseLocation", f"There is no warehouse {code} for you.")
        return self.answer(
            returning.receive(returned=returned, warehouse=warehouse, actor=self.actor, at=timezone.now())
        )


class Inspect(ReturnDoor):
    @extend_schema(operation_id="inspectReturn", request=InspectFields)
    @once
    def post(self, request: Request, number: str) -> Response:
        """Decide for every unit: restock, quarantine, damaged, scrap, returnToVendor or warrantyClaim.

        Expired or blocked batches, and units of an unknown batch, cannot be restocked.
        """
        returned = self.find(number)
        verdicts = [Verdict(**line) for line in self.understood(InspectFields)["lines"]]
        return self.answer(returning.inspect(returned=returned, verdicts=verdicts, actor=self.actor, at=timezone.now()))
