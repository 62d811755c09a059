"""/warrantyClaims: what came back under warranty, and what became of it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.shortcuts import get_object_or_404
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.models import WarrantyPer
from orders.api import keepers
from orders.models import WarrantyClaim
from orders.operations import claiming
from partners.api import conditional
from partners.api.doors import Door, once


class SettleFields(serializers.Serializer[Any]):
    outcome = serializers.ChoiceField(WarrantyClaim.Outcome, help_text="What became of the units.")


class WarrantyClaimSerializer(serializers.Serializer[WarrantyClaim]):
    warrantyClaimId = serializers.CharField(source="number", help_text="Our number for it.")
    returnId = serializers.CharField(source="line.return_of.number", help_text="The return it came by.")
    orderId = serializers.CharField(source="line.return_of.order.number", help_text="The order it was bought by.")
    lineId = serializers.CharField(source="line.order_line.line_id", help_text="The line of that order.")
    productId = serializers.CharField(source="line.order_line.variant.sku", help_text="What is claimed.")
    quantity = serializers.IntegerField(source="line.quantity", help_text="How many units.")
    serialNumber = serializers.CharField(source="line.serial_number", help_text="Of the unit, where it was named.")
    replacementOrderId = serializers.CharField(
        source="line.replacement.order.number", default=None, allow_null=True, help_text="The order that replaces it."
    )
    startsOn = serializers.DateField(source="starts_on", help_text="The day of shipment; of a replacement, the first.")
    endsOn = serializers.DateField(source="ends_on", help_text="The last day of the warranty.")
    claimedOn = serializers.DateField(source="claimed_on", help_text="The day the return was announced.")
    months = serializers.IntegerField(help_text="How long the warranty ran.")
    per = serializers.ChoiceField(WarrantyPer, help_text="Each unit by itself, or what one order line delivered.")
    terms = serializers.CharField(help_text="In words, as they were then.")
    status = serializers.ChoiceField(WarrantyClaim.Status, help_text="Open while the units lie in the warranty pool.")
    outcome = serializers.CharField(help_text="scrap or returnToVendor; empty while it is open.")
    claimedAt = serializers.DateTimeField(source="claimed_at", help_text="When it was inspected.")
    settledAt = serializers.DateTimeField(
        source="settled_at", allow_null=True, help_text="When the units left the pool."
    )
    version = serializers.IntegerField(help_text="Rises with each change.")


class WarrantyClaimFilter(filters.FilterSet):
    returnId = filters.CharFilter("line__return_of__number")
    productId = filters.CharFilter("line__order_line__variant__sku")
    status = filters.ChoiceFilter(choices=WarrantyClaim.Status)


class WarrantyClaimDoor(Door):
    queryset = WarrantyClaim.objects.none()
    serializer_class = WarrantyClaimSerializer
    required_scopes: ClassVar = {"GET": "returns:read", "POST": "returns:write"}
    keyset = "-id"
    are_steps_matched = True

    def shown(self) -> Any:
        """Claims with all that is shown of them. One query."""
        return WarrantyClaim.objects.for_partner(self.partner).select_related(
            "line__return_of__order",
            "line__return_of__warehouse",
            "line__order_line__variant",
            "line__replacement__order",
        )

    def find(self, number: str) -> WarrantyClaim:
        found: WarrantyClaim = get_object_or_404(self.shown(), number=number)
        return self.seen(found, WarrantyClaim.objects.filter(pk=found.pk))

    def answer(self, claim: WarrantyClaim) -> Response:
        row = self.shown().get(pk=claim.pk)
        return conditional.with_etag(
            Response(WarrantyClaimSerializer(row).data), conditional.etag(row.version), self.request
        )


class WarrantyClaims(WarrantyClaimDoor):
    """Warranty claims."""

    filterset_class = WarrantyClaimFilter

    @extend_schema(operation_id="listWarrantyClaims")
    def get(self, request: Request) -> Response:
        """The claims the caller may see, newest first."""
        return self.listed(self.shown())


class OneWarrantyClaim(WarrantyClaimDoor):
    @extend_schema(operation_id="getWarrantyClaim")
    def get(self, request: Request, number: str) -> Response:
        """One claim: the days its warranty ran, what replaced the units, and what became of them."""
        return self.answer(self.find(number))


class Settle(WarrantyClaimDoor):
    @extend_schema(operation_id="settleWarrantyClaim", request=SettleFields)
    @once
    def post(self, request: Request, number: str) -> Response:
        """The units leave the warranty pool: scrapped, or returned to who made them. Said by who keeps the goods."""
        claim = self.find(number)
        warehouse = claim.line.return_of.warehouse
        keepers.must_keep(self.partner, warehouse, "Who keeps the goods says what became of them.")
        outcome = self.understood(SettleFields)["outcome"]
        return self.answer(claiming.settle(claim=claim, outcome=outcome, actor=self.actor, at=timezone.now()))
