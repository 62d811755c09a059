"""/inventory/transactions: the ledger, read by whoever may, and written one movement at a time."""

from __future__ import annotations

from typing import Any, ClassVar

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.models import SupplierItem, Variant
from partners.api.doors import Door, once
from partners.api.fields import Text
from partners.models import Partner
from partners.problems import InvalidInput
from stock.api import inventory
from stock.models import Movement


class SideSerializer(serializers.Serializer[Any]):
    """One end of a movement: a warehouse and condition, or a virtual place such as `supplier` or `lost`."""

    warehouseLocation = serializers.CharField()
    condition = serializers.CharField(allow_null=True)


class MovementSerializer(serializers.BaseSerializer[Movement]):
    def to_representation(self, instance: Movement) -> dict[str, Any]:
        return {
            "transactionId": str(instance.pk),
            "type": instance.kind,
            "productId": instance.variant.sku,
            "quantity": instance.quantity,
            "from": _side(instance.from_location, instance.from_condition),
            "to": _side(instance.to_location, instance.to_condition),
            "batchNumber": instance.batch.number if instance.batch else None,
            "ownerId": instance.owner.code if instance.owner else None,
            "reason": instance.reason,
            "reference": instance.reference,
            "corrects": str(instance.corrects_id) if instance.corrects_id else None,
            "actor": instance.actor,
            "occurredAt": instance.occurred_at.isoformat().replace("+00:00", "Z"),
            "recordedAt": instance.recorded_at.isoformat().replace("+00:00", "Z"),
        }


def _side(location: Any, condition: str) -> dict[str, Any]:
    code = location.warehouse.code if location.warehouse else location.kind
    return {"warehouseLocation": code, "condition": condition or None}


class Transaction(serializers.Serializer[Any]):
    """A row of the ledger; never changed, corrected by another row."""

    transactionId = serializers.CharField()
    type = serializers.ChoiceField(Movement.Kind)
    productId = serializers.CharField()
    quantity = serializers.IntegerField()
    to = SideSerializer()
    batchNumber = serializers.CharField(allow_null=True)
    ownerId = serializers.CharField(allow_null=True, help_text="Whose units they are; null: ours.")
    reason = serializers.CharField()
    reference = serializers.CharField()
    corrects = serializers.CharField(allow_null=True)
    actor = serializers.CharField()
    occurredAt = serializers.DateTimeField()
    recordedAt = serializers.DateTimeField()

    def get_fields(self) -> dict[str, Any]:
        return super().get_fields() | {"from": SideSerializer()}  # a keyword of Python's


class ProductBookingFields(inventory.BookingFields):
    productId = Text(source="sku", max_length=64)


class MovementFilter(filters.FilterSet):
    productId = filters.CharFilter("variant__sku")
    warehouse = filters.CharFilter(method="in_warehouse")
    batchNumber = filters.CharFilter("batch__number")
    type = filters.ChoiceFilter("kind", choices=Movement.Kind)
    reference = filters.CharFilter("reference")
    occurredFrom = filters.IsoDateTimeFilter("occurred_at", lookup_expr="gte")
    occurredUntil = filters.IsoDateTimeFilter("occurred_at", lookup_expr="lt")

    def in_warehouse(self, queryset: Any, name: str, code: str) -> Any:
        return queryset.filter(from_location__warehouse__code=code) | queryset.filter(to_location__warehouse__code=code)


class Transactions(Door):
    """The ledger."""

    queryset = Movement.objects.none()
    serializer_class = Transaction
    filterset_class = MovementFilter
    keyset = "-id"
    required_scopes: ClassVar = {"GET": "inventory:read", "POST": "inventory:write"}

    @extend_schema(operation_id="listTransactions")
    def get(self, request: Request) -> Response:
        """Movements of the caller's products through the caller's warehouses, newest first."""
        rows = Movement.objects.for_partner(self.partner).select_related(
            "variant", "batch", "owner", "from_location__warehouse", "to_location__warehouse"
        )
        if not self.partner.disclosure_rule.is_exact:
            rows = rows.none()
        page = self.paginate_queryset(self.filter_queryset(rows)) or []
        return self.get_paginated_response(MovementSerializer(page, many=True).data)

    @extend_schema(operation_id="bookTransaction", request=ProductBookingFields, responses={201: Transaction})
    @once
    def post(self, request: Request) -> Response:
        """Book one movement."""
        fields = self.understood(ProductBookingFields)
        variant = Variant.objects.for_partner(self.partner).stocked().filter(sku=fields["sku"]).first()
        if variant is None:
            raise InvalidInput.at("productId", f"There is no product {fields['sku']} for you that can be stocked.")
        booked = inventory.book(self, variant, fields, self.supplier_of(variant))
        rows = Movement.objects.select_related(
            "variant", "batch", "owner", "from_location__warehouse", "to_location__warehouse"
        )
        return Response(MovementSerializer(rows.get(pk=booked.movement_ids[0])).data, status=201)

    def supplier_of(self, variant: Variant) -> Partner | None:
        """Who the goods are from: the caller where it is a supplier, else the only supplier there is."""
        if self.partner.kind == Partner.Kind.SUPPLIER:
            return self.partner
        items = list(SupplierItem.objects.filter(variant=variant).select_related("supplier")[:2])
        return items[0].supplier if len(items) == 1 else None
