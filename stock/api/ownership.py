"""/inventory/ownership: goods that lie with us change hands."""

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
from partners.models import Partner
from partners.problems import InvalidInput, LeftToTheHouse
from stock.api.inventory import find_location, find_warehouse
from stock.api.transactions import MovementSerializer, Transaction
from stock.api.transfers import SerialNumbers
from stock.models import Movement
from stock.operations import owning

VERBS = {"takeOver": owning.take_over, "consign": owning.consign}


class OwnershipFields(serializers.Serializer[Any]):
    direction = serializers.ChoiceField(
        list(VERBS), help_text="takeOver: the owner's units become ours; consign: ours become the owner's."
    )
    productId = Text(source="sku", max_length=64)
    warehouseLocation = Text(source="warehouse_code", max_length=40)
    location = Text(
        max_length=40, required=False, default="", allow_blank=True, help_text="A bin; empty: the default one."
    )
    batchNumber = Text(source="batch_number", max_length=60, required=False, default="", allow_blank=True)
    ownerId = Text(source="owner_code", max_length=40, help_text="The partner they are taken over from or become of.")
    quantity = Quantity()
    reference = Text(max_length=120, required=False, default="", allow_blank=True, help_text="Without it, one is made.")
    serialNumbers = SerialNumbers(source="serials", default=list)


class ChangeOfOwner(serializers.Serializer[Any]):
    """Out of the one owner's account and into the other's: two rows of the ledger under one reference."""

    reference = serializers.CharField()
    transactions = Transaction(many=True)


class Ownership(Door):
    """Changes of owner."""

    queryset = Movement.objects.none()
    serializer_class = ChangeOfOwner
    required_scopes: ClassVar = {"POST": "inventory:write"}

    @extend_schema(operation_id="changeOwner", request=OwnershipFields, responses={201: ChangeOfOwner})
    @once
    def post(self, request: Request) -> Response:
        """Let units change hands where they lie; only what is not promised does.

        It is our word alone: anybody else gets 403 `left_to_the_house`, also an owner for its own stock.
        """
        if self.partner.kind != Partner.Kind.CHANNEL:
            raise LeftToTheHouse("Only we ourselves say that goods change hands.")
        fields = self.understood(OwnershipFields)
        sku, owner_code, location = fields.pop("sku"), fields.pop("owner_code"), fields.pop("location")
        variant = Variant.objects.for_partner(self.partner).stocked().filter(sku=sku).first()
        if variant is None:
            raise InvalidInput.at("productId", f"There is no product {sku} for you that can be stocked.")
        owner = Partner.objects.for_partner(self.partner).filter(code=owner_code).first()
        if owner is None:
            raise InvalidInput.at("ownerId", f"There is no partner {owner_code}.")
        warehouse = find_warehouse(self.partner, fields.pop("warehouse_code"))
        movement_ids = VERBS[fields.pop("direction")](
            variant=variant,
            warehouse=warehouse,
            location=find_location(warehouse, location) if location else None,
            owner=owner,
            actor=self.actor,
            at=timezone.now(),
            **fields,
        )
        rows = Movement.objects.select_related(
            "variant", "batch", "owner", "from_location__warehouse", "to_location__warehouse"
        )
        told = MovementSerializer(rows.filter(pk__in=movement_ids).order_by("id"), many=True).data
        return Response({"reference": told[0]["reference"], "transactions": told}, status=201)
