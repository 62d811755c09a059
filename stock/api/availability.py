"""POST /availability: what can be promised, as far as the caller is told."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.models import Variant
from partners.api.doors import Door
from partners.api.fields import Quantity, Text
from partners.problems import InvalidInput
from stock import queries
from stock.models import Level

LINES_MAX = 500


class AskedLine(serializers.Serializer[Any]):
    productId = Text(source="sku", max_length=64)
    quantity = Quantity(required=False, default=1)


class AskedFields(serializers.Serializer[Any]):
    lines = AskedLine(many=True, allow_empty=False, max_length=LINES_MAX)
    channel = Text(max_length=40, required=False)
    explain = serializers.BooleanField(required=False, default=False)


class TermSerializer(serializers.Serializer[Any]):
    term = serializers.CharField(help_text="onHand, reserved, or why units do not count.")
    quantity = serializers.IntegerField()


class WarehouseAvailability(serializers.Serializer[Any]):
    warehouseLocation = serializers.CharField()
    availableQuantity = serializers.IntegerField()


class AvailableLine(serializers.Serializer[Any]):
    productId = serializers.CharField()
    quantity = serializers.IntegerField()
    isAvailable = serializers.BooleanField(help_text="Whether the asked quantity can be promised now.")
    availableQuantity = serializers.IntegerField(allow_null=True, help_text="Null where only yes or no is told.")
    availability = serializers.CharField(help_text="The quantity in words, as disclosed: 37, 20+, 10-49, yes.")
    earliestDate = serializers.DateField(allow_null=True)
    byDate = serializers.ListField(child=serializers.DictField())
    byWarehouse = WarehouseAvailability(many=True)
    explanation = TermSerializer(many=True)


class AvailabilitySerializer(serializers.Serializer[Any]):
    lines = AvailableLine(many=True)
    asOf = serializers.DateTimeField()


class Availability(Door):
    """What can be promised."""

    queryset = Level.objects.none()
    pagination_class = None
    required_scopes: ClassVar = {"POST": "inventory:read"}

    @extend_schema(operation_id="askAvailability", request=AskedFields, responses=AvailabilitySerializer)
    def post(self, request: Request) -> Response:
        """On hand less promised of what is sellable, for up to 500 products at once; two queries."""
        fields = self.understood(AskedFields)
        skus = [line["sku"] for line in fields["lines"]]
        visible = Variant.objects.for_partner(self.partner).stocked().filter(sku__in=skus)
        variants = {variant.sku: variant for variant in visible}
        unknown = [(f"lines[{place}].productId", f"There is no product {sku} for you.")
                   for place, sku in enumerate(skus) if sku not in variants]  # fmt: skip
        if unknown:
            raise InvalidInput.of(unknown)
        at = timezone.now()
        found: dict[str, list[queries.Position]] = defaultdict(list)
        for position in queries.positions(
            variant_ids=[variant.pk for variant in variants.values()],
            at=at,
            partner=self.partner,
        ):
            found[position.sku].append(position)
        lines = [self.line(asked, found[asked["sku"]], explain=fields["explain"]) for asked in fields["lines"]]
        return Response({"lines": lines, "asOf": at.isoformat().replace("+00:00", "Z")})

    def line(self, asked: dict[str, Any], positions: list[queries.Position], *, explain: bool) -> dict[str, Any]:
        rule = self.partner.disclosure_rule
        terms, by_warehouse = explained(positions)
        available = sum(by_warehouse.values())
        told = rule.tell(available)
        is_available = available >= asked["quantity"]
        today = timezone.now().date().isoformat()
        return {
            "productId": asked["sku"],
            "quantity": asked["quantity"],
            # Below the disclosed bound the plain answer must not be a way to ask for the exact number.
            "isAvailable": is_available
            if rule.is_exact
            else asked["quantity"] <= max(told.quantity or 0, 1) and is_available,
            "availableQuantity": told.quantity,
            "availability": told.label,
            "earliestDate": today if is_available and rule.is_exact else None,
            "byDate": [{"date": today, "quantity": told.quantity}] if told.quantity else [],
            "byWarehouse": [
                {"warehouseLocation": code, "availableQuantity": quantity}
                for code, quantity in sorted(by_warehouse.items())
            ]
            if rule.is_exact
            else [],
            "explanation": [{"term": term, "quantity": quantity} for term, quantity in terms]
            if explain and rule.is_exact
            else [],
        }


def explained(positions: list[queries.Position]) -> tuple[list[tuple[str, int]], dict[str, int]]:
    """The terms of the answer and its parts by warehouse, from one pass: they cannot disagree."""
    terms: dict[str, int] = defaultdict(int)
    by_warehouse: dict[str, int] = defaultdict(int)
    for position in positions:
        terms["onHand"] += position.on_hand
        if position.is_sellable:
            terms["reserved"] -= position.reserved
            by_warehouse[position.warehouse_code] += position.on_hand - position.reserved
        else:
            terms[_why_not(position)] -= position.on_hand
    return list(terms.items()), dict(by_warehouse)


def _why_not(position: queries.Position) -> str:
    if position.condition != Level.Condition.SELLABLE:
        return position.condition
    if position.hold_state != "released" and position.hold_state is not None:
        return position.hold_state
    return "expired" if position.expires_on else "warehouseClosed"
