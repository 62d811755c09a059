"""POST /prices/lookup: what things cost the caller."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog import pricing
from catalog.api.lists import Decimals
from catalog.models import Price
from catalog.operations import offers
from catalog.pricing import Priced, Wish
from partners.api.doors import Door
from partners.api.fields import Quantity, Text
from partners.models import Partner
from partners.problems import InvalidInput

LINES_MAX = 500


class WishFields(serializers.Serializer[Any]):
    productId = Text(source="sku", max_length=64, help_text="The SKU.")
    quantity = Quantity(required=False, default=1, help_text="Stock units; it decides on the quantity break.")


class PricesAsked(serializers.Serializer[Any]):
    lines = WishFields(many=True, allow_empty=False, max_length=LINES_MAX, help_text="What is to be priced.")
    currency = Text(
        max_length=3, required=False, default=None, allow_null=True, help_text="Only prices in it (ISO 4217); else any."
    )
    at = serializers.DateTimeField(
        required=False, default=None, allow_null=True, help_text="The moment the prices are for; now if not given."
    )
    channel = Text(
        max_length=40, required=False, default="", allow_blank=True,
        help_text="The sales channel it is priced for; for our own channels to say.",
    )  # fmt: skip


class PricedLine(serializers.Serializer[Any]):
    productId = serializers.CharField(help_text="As asked.")
    quantity = serializers.IntegerField(help_text="As asked.")
    status = serializers.ChoiceField(
        ["priced", "noPrice", "unknownProduct"], help_text="Whether there is a price, and the product, for you."
    )
    unitPrice = Decimals(
        source="unit_price", max_digits=14, decimal_places=4, allow_null=True, help_text="For one stock unit."
    )
    currency = serializers.CharField(allow_null=True, help_text="ISO 4217.")
    priceList = serializers.CharField(source="price_list", allow_null=True, help_text="The list the price comes from.")
    fromQuantity = serializers.IntegerField(
        source="from_quantity", allow_null=True, help_text="The quantity break the price is of."
    )
    validUntil = serializers.DateTimeField(
        source="valid_until", allow_null=True,
        help_text="Until then (not included) the answer is the same, unless somebody changes a price; null: no end.",
    )  # fmt: skip

    def to_representation(self, instance: Priced) -> dict[str, Any]:
        status = "unknownProduct" if not instance.is_known else "noPrice" if instance.unit_price is None else "priced"
        said = {"productId": instance.wish.sku, "quantity": instance.wish.quantity, "status": status}
        for name, field in self.fields.items():
            if name not in said:
                value = getattr(instance, field.source)
                said[name] = None if value is None else field.to_representation(value)
        return said


class PricesSerializer(serializers.Serializer[Any]):
    lines = PricedLine(many=True, help_text="One for each line asked, in its order.")
    asOf = serializers.DateTimeField(help_text="The moment the prices are for.")


class PriceLookup(Door):
    """Prices. It reads and changes nothing, so it needs no Idempotency-Key."""

    queryset = Price.objects.none()
    serializer_class = PricesAsked
    pagination_class = None
    required_scopes: ClassVar = {"POST": "catalog:read"}

    @extend_schema(operation_id="lookUpPrices", responses=PricesSerializer)
    def post(self, request: Request) -> Response:
        """The price for you: of your own list before your channel's before everybody's, not the lowest there is.

        Among lists of the same kind the higher priority counts, and among those of the same priority the list whose
        code comes first (capitals before small letters). Without `currency` lists of every currency stand in that
        one order. Of a list the greatest quantity break that is reached. What has no price is told so; the others
        are answered.
        """
        fields = self.understood(PricesAsked)
        if fields["currency"] is not None:
            offers.check_currency(fields["currency"], field="currency")
        if fields["channel"] and self.partner.kind != Partner.Kind.CHANNEL:
            raise InvalidInput.at("channel", "Only our own channels ask for the prices of a channel.")
        at = fields["at"] or timezone.now()
        priced = pricing.look_up(
            wishes=[Wish(sku=row["sku"], quantity=row["quantity"]) for row in fields["lines"]],
            partner=self.partner,
            at=at,
            currency=fields["currency"],
            channel=fields["channel"],
        )
        return Response(PricesSerializer({"lines": priced, "asOf": at}).data)
