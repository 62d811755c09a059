"""/pos/batches: devices of shops report what they sold, late, out of turn and more than once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from django.shortcuts import get_object_or_404
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.models import Variant
from orders.models import SalesBatch
from orders.operations import tills
from orders.operations.tills import Reported, SoldLine
from partners.api.doors import Door, once
from partners.api.fields import Quantity, Text
from stock.models import Warehouse

# What is booked under the locks of one shop's levels in about a second.
SALES_MAX, LINES_MAX, ALL_LINES_MAX, SERIALS_MAX = 200, 100, 1_000, 1_000
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
EXCEPTIONS = {
    "foundStock": "the book had fewer units; they were found, and are to be counted",
    "brokenPromises": "units were promised to others, who are told",
    "countedSince": "the place was counted after the sale, without the units",
    "heldBatch": "the batch is quarantined or recalled",
    "expiredBatch": "the batch was past its date",
    "soldElsewhere": "units named by number lay, says the book, in another place",
    "serialsNeeded": "not booked: name each unit of the product by its number",
    "unknownProduct": "not booked: there is no such product for you",
    "unknownWarehouse": "not booked: there is no such warehouse for you; send the sale again when there is",
    "repeatedSale": "not booked again: the same sale came before",
    "saleDiffers": "not booked: the sale came before with another content",
    "clockAhead": "the device's clock is ahead of ours; booked as of now",
}
# Who is not told how much there is would report a million sold, and learn it here.
TELL_THE_BOOK = ("foundStock", "brokenPromises", "countedSince", "heldBatch", "expiredBatch", "soldElsewhere")
REPORTED = OpenApiExample(
    "A shop's evening without a connection",
    request_only=True,
    value={
        "deviceId": "TILL-3",
        "deviceSequence": 118,
        "sales": [
            {
                "saleId": "3-20260704-0042",
                "occurredAt": "2026-07-04T18:03:11+02:00",
                "warehouseLocation": "SHOP-KOELN",
                "lines": [{"productId": "HOTSAUCE789", "quantity": 2, "batchNumber": "BATCH202612"}],
            }
        ],
    },
)


class SoldLineFields(serializers.Serializer[Any]):
    productId = Text(source="sku", max_length=64, help_text="What was sold; a kit is sold as its components.")
    quantity = Quantity(help_text="How many, in stock units.")
    batchNumber = Text(
        source="batch_number", max_length=60, required=False, default="", allow_blank=True,
        help_text="As on the label; without it what expires first was sold.",
    )  # fmt: skip
    serialNumbers = serializers.ListField(
        source="serials", child=Text(max_length=60), required=False, default=list, max_length=SERIALS_MAX,
        help_text="Of a product tracked by serial number: each unit once.",
    )  # fmt: skip


class SaleFields(serializers.Serializer[Any]):
    saleId = Text(source="sale_id", max_length=60, help_text="The device's own id for it, once for ever.")
    occurredAt = serializers.DateTimeField(source="occurred_at", help_text="When it was sold, by the device's clock.")
    warehouseLocation = Text(source="warehouse_code", max_length=40, help_text="The shop it was sold in.")
    lines = SoldLineFields(many=True, allow_empty=False, max_length=LINES_MAX, help_text="What was sold.")

    def validate_occurredAt(self, moment: datetime) -> datetime:
        if moment < EARLIEST:
            raise serializers.ValidationError(f"Nothing was sold before {EARLIEST.year}; set the device's clock.")
        return moment


class BatchFields(serializers.Serializer[Any]):
    deviceId = Text(source="device_code", max_length=40, help_text="Your own name for the till or tablet.")
    deviceSequence = Quantity(source="sequence", help_text="The device's number for this report: from 1, without gaps.")
    sales = SaleFields(many=True, allow_empty=False, max_length=SALES_MAX, help_text="In any order.")

    def validate_sales(self, sales: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if sum(len(sale["lines"]) for sale in sales) > ALL_LINES_MAX:
            raise serializers.ValidationError(f"Send at most {ALL_LINES_MAX:,} lines in one batch.")
        return sales


class ExceptionSerializer(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(
        tuple(EXCEPTIONS), help_text=" ".join(f"`{kind}`: {words}." for kind, words in EXCEPTIONS.items())
    )
    saleId = serializers.CharField(help_text="The sale it is about.")
    warehouseLocation = serializers.CharField(help_text="As the device said.")
    productId = serializers.CharField(allow_null=True, help_text="The product; null where it is about the whole sale.")
    batchNumber = serializers.CharField(allow_null=True, help_text="As the device said.")
    quantity = serializers.IntegerField(
        allow_null=True,
        help_text="How many units it is about; null where only the book could say and numbers are not told exactly.",
    )
    isBooked = serializers.BooleanField(help_text="Whether these units left the book.")


class GapSerializer(serializers.Serializer[Any]):
    def get_fields(self) -> dict[str, Any]:
        return {
            "from": serializers.IntegerField(help_text="The first number that has not come."),
            "to": serializers.IntegerField(help_text="The last of them."),
        }


class SalesBatchSerializer(serializers.Serializer[SalesBatch]):
    batchId = serializers.CharField(source="number", help_text="Our number for it.")
    deviceId = serializers.CharField(source="device.code", help_text="Who reported.")
    deviceSequence = serializers.IntegerField(source="sequence", help_text="Under which number.")
    bookedSales = serializers.IntegerField(source="booked_sales", help_text="Its sales, less those that came before.")
    exceptions = ExceptionSerializer(many=True, help_text="What was not as the book said. Empty: all was.")
    missing = GapSerializer(many=True, help_text="The device's numbers that had not come by then: send them.")
    postedAt = serializers.DateTimeField(source="posted_at", help_text="When we heard of it.")

    def to_representation(self, instance: SalesBatch) -> dict[str, Any]:
        row: dict[str, Any] = super().to_representation(instance)
        if not self.context["view"].partner.disclosure_rule.is_exact:
            row["exceptions"] = [
                {**one, "quantity": None} if one["kind"] in TELL_THE_BOOK else one for one in row["exceptions"]
            ]
        return row


class SalesBatchFilter(filters.FilterSet):
    deviceId = filters.CharFilter("device__code")
    postedSince = filters.IsoDateTimeFilter("posted_at", lookup_expr="gte")


class SalesDoor(Door):
    queryset = SalesBatch.objects.none()
    serializer_class = SalesBatchSerializer
    required_scopes: ClassVar = {"GET": "sales:read", "POST": "sales:write"}
    keyset = "-id"

    def shown(self) -> Any:
        """What the caller's devices reported. One query."""
        return SalesBatch.objects.for_partner(self.partner).select_related("device")


class SalesBatches(SalesDoor):
    """Reports of shops' devices."""

    filterset_class = SalesBatchFilter

    @extend_schema(operation_id="listSalesBatches")
    def get(self, request: Request) -> Response:
        """What the caller's devices reported, newest first."""
        return self.listed(self.shown())

    @extend_schema(
        operation_id="postSalesBatch",
        request=BatchFields,
        responses={200: SalesBatchSerializer, 201: SalesBatchSerializer},
        examples=[REPORTED],
    )
    @once
    def post(self, request: Request) -> Response:
        """Book what a device sold. Facts are never refused, however late, out of turn or often they come.

        A batch is known by `deviceId` and `deviceSequence`: sent again it answers the same (200), with other sales 409
        `sequence_reused`. A sale is known by `deviceId` and `saleId`, in whichever batch it comes. What the book cannot
        cover is in `exceptions`; which of the device's numbers have not come, in `missing`.
        """
        fields = self.understood(BatchFields)
        batch, is_new = tills.report(
            partner=self.partner,
            device_code=fields["device_code"],
            sequence=fields["sequence"],
            sales=self.reported(fields["sales"]),
            actor=self.actor,
            at=timezone.now(),
        )
        response = Response(self.get_serializer(batch).data, status=201 if is_new else 200)
        response["Location"] = f"/api/v1/pos/batches/{batch.number}"
        return response

    def reported(self, sales: list[dict[str, Any]]) -> list[Reported]:
        """The sales of a body as what they mean; what is not known to us is left open. Two queries."""
        skus = {line["sku"] for sale in sales for line in sale["lines"]}
        variants = {row.sku: row for row in Variant.objects.for_partner(self.partner).stocked().filter(sku__in=skus)}
        codes = {sale["warehouse_code"] for sale in sales}
        places = {row.code: row for row in Warehouse.objects.for_partner(self.partner).filter(code__in=codes)}
        return [
            Reported(
                sale_id=sale["sale_id"],
                occurred_at=sale["occurred_at"],
                warehouse_code=sale["warehouse_code"],
                warehouse=places.get(sale["warehouse_code"]),
                lines=tuple(
                    SoldLine(
                        sku=line["sku"],
                        variant=variants.get(line["sku"]),
                        quantity=line["quantity"],
                        batch_number=line["batch_number"],
                        serials=tuple(line["serials"]),
                    )
                    for line in sale["lines"]
                ),
            )
            for sale in sales
        ]


class OneSalesBatch(SalesDoor):
    @extend_schema(operation_id="getSalesBatch")
    def get(self, request: Request, number: str) -> Response:
        """One report, as it was answered."""
        return Response(self.get_serializer(get_object_or_404(self.shown(), number=number)).data)
