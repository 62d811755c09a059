"""/warehouses/{code}/locations: the bins of a warehouse."""

from __future__ import annotations

from typing import Any, ClassVar

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from partners.api.doors import Door, once
from partners.api.fields import Quantity, Text
from stock.models import Location, Warehouse
from stock.operations import warehouses


class LocationFields(serializers.Serializer[Any]):
    code = Text(max_length=40, help_text="Letters, digits, dots, dashes and underscores; as on the label.")
    pickSequence = Quantity(
        source="pick_sequence", min_value=0, max_value=2**31 - 1, required=False, default=0,
        help_text="A picker's way through the warehouse: lower ones first, then by code.",
    )  # fmt: skip


class LocationSerializer(serializers.Serializer[Location]):
    warehouseLocation = serializers.CharField(source="warehouse.code")
    code = serializers.CharField()
    isDefault = serializers.BooleanField(source="is_default", help_text="Where goods go when no bin is named.")
    pickSequence = serializers.IntegerField(
        source="pick_sequence", help_text="A picker's way through the warehouse: lower ones first, then by code."
    )


class Locations(Door):
    """Bins."""

    queryset = Location.objects.none()
    serializer_class = LocationSerializer
    required_scopes: ClassVar = {"GET": "inventory:read", "POST": "inventory:write"}
    keyset = "code"

    def find(self, code: str) -> Warehouse:
        return get_object_or_404(Warehouse.objects.for_partner(self.partner), code=code)

    @extend_schema(operation_id="listLocations")
    def get(self, request: Request, code: str) -> Response:
        """The bins of a warehouse, by their codes."""
        return self.listed(self.find(code).locations.select_related("warehouse"))

    @extend_schema(operation_id="openLocation", request=LocationFields, responses={201: LocationSerializer})
    @once
    def post(self, request: Request, code: str) -> Response:
        """Open a bin; one that is there already is a 409 `location_exists`."""
        warehouse = self.find(code)
        bin_ = warehouses.open_location(warehouse=warehouse, actor=self.actor, **self.understood(LocationFields))
        return Response(LocationSerializer(bin_).data, status=201)
