"""/inventory/moves: goods are put away, from one bin of a warehouse into another."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.models import Variant
from partners.api.doors import Door, once
from partners.api.fields import Quantity, Text
from partners.problems import InvalidInput
from stock.api.inventory import find_warehouse
from stock.api.transactions import MovementSerializer, Transaction
from stock.api.transfers import SerialNumbers
from stock.models import Level, Movement
from stock.operations import moving


class MoveFields(serializers.Serializer[Any]):
    productId = Text(source="sku", max_length=64)
    warehouseLocation = Text(source="warehouse_code", max_length=40)
    fromLocation = Text(source="from_code", max_length=40, help_text="The bin it lies in.")
    toLocation = Text(source="to_code", max_length=40, help_text="The bin it goes to.")
    quantity = Quantity()
    batchNumber = Text(source="batch_number", max_length=60, required=False, default="", allow_blank=True)
    condition = serializers.ChoiceField(Level.Condition, required=False, default=Level.Condition.SELLABLE)
    reference = Text(max_length=120, required=False, default="", allow_blank=True)
    serialNumbers = SerialNumbers(source="serials", default=tuple)


class Moves(Door):
    """Between the bins of one warehouse."""

    queryset = Movement.objects.none()
    serializer_class = Transaction
    required_scopes: ClassVar = {"POST": "inventory:write"}

    @extend_schema(operation_id="moveInventory", request=MoveFields, responses={201: Transaction})
    @once
    def post(self, request: Request) -> Response:
        """Put goods into another bin; what is promised of them stays promised there."""
        fields = self.understood(MoveFields)
        sku, serials = fields.pop("sku"), tuple(fields.pop("serials"))
        variant = Variant.objects.for_partner(self.partner).stocked().filter(sku=sku).first()
        if variant is None:
            raise InvalidInput.at("productId", f"There is no product {sku} for you that can be stocked.")
        warehouse = find_warehouse(self.partner, fields.pop("warehouse_code"))
        movement_id = moving.move(
            variant=variant, warehouse=warehouse, serials=serials, actor=self.actor, at=timezone.now(), **fields
        )
        rows = Movement.objects.select_related("variant", "batch", "from_location__warehouse", "to_location__warehouse")
        return Response(MovementSerializer(rows.get(pk=movement_id)).data, status=201)
