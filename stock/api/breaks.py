"""/inventory/breaks: packs are opened into units, and units packed again."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.models import Variant
from partners.api.doors import Door, once
from partners.api.fields import QUANTITY_MAX, Quantity, Text
from partners.problems import InvalidInput
from stock.api.inventory import find_location, find_warehouse
from stock.models import Level
from stock.operations import breaks

PACKS_MAX = QUANTITY_MAX // 1_000_000


class BreakFields(serializers.Serializer[Any]):
    productId = Text(source="sku", max_length=64, help_text="The SKU whole packs are kept under.")
    direction = serializers.ChoiceField(["open", "pack"])
    quantity = Quantity(max_value=PACKS_MAX, help_text="Packs to open; or units to pack, which must fill whole packs.")
    warehouseLocation = Text(source="warehouse_code", max_length=40)
    location = Text(
        max_length=40, required=False, default="", allow_blank=True, help_text="A bin; empty: the default one."
    )
    batchNumber = Text(source="batch_number", max_length=60, required=False, default="", allow_blank=True)
    reference = Text(max_length=120, required=False, default="", allow_blank=True)


class BreakSerializer(serializers.Serializer[breaks.Broken]):
    """So many packs became units, or units packs; both rows of the ledger bear the reference."""

    reference = serializers.CharField()
    productId = serializers.CharField(source="pack.stocked_as.sku")
    packs = serializers.IntegerField()
    unitProductId = serializers.CharField(source="pack.variant.sku")
    units = serializers.IntegerField()
    batchNumber = serializers.CharField(source="batch_number", allow_blank=True)


class Breaks(Door):
    """Pack breaks."""

    queryset = Level.objects.none()
    serializer_class = BreakSerializer
    required_scopes: ClassVar = {"POST": "inventory:write"}

    @extend_schema(operation_id="breakPack", request=BreakFields, responses={201: BreakSerializer})
    @once
    def post(self, request: Request) -> Response:
        """Open packs where they lie, or pack units. Only what is free: no promise is broken for it."""
        fields = self.understood(BreakFields)
        mine = Variant.objects.for_partner(self.partner).stocked()
        variant = mine.filter(sku=fields["sku"]).first()
        if variant is None:
            raise InvalidInput.at("productId", f"There is no product {fields['sku']} for you that can be stocked.")
        if not mine.filter(pk=breaks.pack_of(variant=variant).variant_id).exists():
            raise InvalidInput.at("productId", f"What {variant.sku} holds is no product of yours.")
        warehouse = find_warehouse(self.partner, fields["warehouse_code"])
        verb = breaks.break_open if fields["direction"] == "open" else breaks.pack_up
        done = verb(
            variant=variant,
            quantity=fields["quantity"],
            warehouse=warehouse,
            location=find_location(warehouse, fields["location"]) if fields["location"] else None,
            batch_number=fields["batch_number"],
            reference=fields["reference"],
            actor=self.actor,
            at=timezone.now(),
        )
        return Response(BreakSerializer(done).data, status=201)
