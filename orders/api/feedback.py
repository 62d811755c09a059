"""/feedback: what partners tell us, and what we answered."""

from __future__ import annotations

from typing import Any, ClassVar

from django.shortcuts import get_object_or_404
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.models import Variant
from orders.models import Feedback, Order
from orders.operations import hearing
from partners.api import conditional
from partners.api.doors import Door, once
from partners.api.fields import Quantity, Text
from partners.problems import InvalidInput
from stock.api.inventory import find_warehouse
from stock.models import Batch

COMMENT_MAX = 2_000
MISSED = OpenApiExample(
    "Fewer than you said",
    request_only=True,
    value={
        "kind": "discrepancy",
        "productId": "HOTSAUCE789",
        "warehouseLocation": "WH-EAST",
        "countedQuantity": 96,
        "comment": "A layer of the pallet is missing.",
    },
)


class FeedbackFields(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(
        Feedback.Kind,
        help_text="discrepancy: another number lies there (`productId`, `warehouseLocation`), and is counted. delay: of"
        " an order (`orderId`). quality: of a product or an order. other: say it in `comment`, or rate.",
    )
    productId = Text(source="sku", max_length=64, required=False, default="", allow_blank=True)
    orderId = Text(source="order_number", max_length=20, required=False, default="", allow_blank=True)
    warehouseLocation = Text(source="warehouse_code", max_length=40, required=False, default="", allow_blank=True)
    batchNumber = Text(
        source="batch_number", max_length=60, required=False, default="", allow_blank=True,
        help_text="Of the product; for quality, what we may have to hold back.",
    )  # fmt: skip
    countedQuantity = Quantity(
        source="counted_quantity", min_value=0, required=False, allow_null=True, default=None,
        help_text="How many you found, in stock units.",
    )  # fmt: skip
    rating = Quantity(
        min_value=1, max_value=5, required=False, allow_null=True, default=None,
        help_text="1 (poor) to 5 (good); once for an order.",
    )  # fmt: skip
    comment = Text(max_length=COMMENT_MAX, required=False, default="", allow_blank=True)


class FeedbackSerializer(serializers.Serializer[Feedback]):
    feedbackId = serializers.CharField(source="number")
    kind = serializers.ChoiceField(Feedback.Kind)
    status = serializers.ChoiceField(
        Feedback.Status, help_text="open until somebody answers; closed when nothing more is to be done."
    )
    productId = serializers.CharField(source="variant.sku", default=None, allow_null=True)
    orderId = serializers.CharField(source="order.number", default=None, allow_null=True)
    warehouseLocation = serializers.CharField(source="warehouse.code", default=None, allow_null=True)
    batchNumber = serializers.CharField(source="batch.number", default=None, allow_null=True)
    countedQuantity = serializers.IntegerField(source="counted_quantity", allow_null=True)
    rating = serializers.IntegerField(allow_null=True)
    comment = serializers.CharField()
    answer = serializers.CharField(help_text="Ours; empty until there is one.")
    isBeingCounted = serializers.SerializerMethodField(help_text="Whether somebody is to go and look, or has not yet.")
    createdAt = serializers.DateTimeField(source="said_at")
    answeredAt = serializers.DateTimeField(source="answered_at", allow_null=True)
    closedAt = serializers.DateTimeField(source="closed_at", allow_null=True)
    version = serializers.IntegerField()

    def get_isBeingCounted(self, feedback: Feedback) -> bool:
        return feedback.count is not None and feedback.count.ended_at is None


class FeedbackFilter(filters.FilterSet):
    kind = filters.ChoiceFilter(choices=Feedback.Kind)
    status = filters.ChoiceFilter(choices=Feedback.Status)
    orderId = filters.CharFilter("order__number")
    productId = filters.CharFilter("variant__sku")


class FeedbackDoor(Door):
    """Who may read what there is may say that it is not so."""

    queryset = Feedback.objects.none()
    serializer_class = FeedbackSerializer
    required_scopes: ClassVar = {"GET": "inventory:read", "POST": "inventory:read"}
    keyset = "-id"

    def shown(self) -> Any:
        """The caller's own. One query."""
        rows = Feedback.objects.for_partner(self.partner)
        return rows.select_related("variant", "order", "warehouse", "batch", "count")


class AllFeedback(FeedbackDoor):
    """Feedback."""

    filterset_class = FeedbackFilter

    @extend_schema(operation_id="listFeedback")
    def get(self, request: Request) -> Response:
        """What the caller has said, newest first."""
        return self.listed(self.shown())

    @extend_schema(
        operation_id="giveFeedback", request=FeedbackFields, responses={201: FeedbackSerializer}, examples=[MISSED]
    )
    @once
    def post(self, request: Request) -> Response:
        """Tell us what is not as it should be, or how good it was.

        A discrepancy has the product counted at the warehouse. The answer comes in `answer`, and as the event
        `feedback.answered`. Rating an order a second time is 409 `already_rated`.
        """
        fields = self.understood(FeedbackFields)
        variant = self.variant(fields.pop("sku"))
        code = fields.pop("warehouse_code")
        said = hearing.hear(
            partner=self.partner,
            variant=variant,
            order=self.order(fields.pop("order_number")),
            warehouse=find_warehouse(self.partner, code) if code else None,
            batch=self.batch(variant, fields.pop("batch_number")),
            actor=self.actor,
            at=timezone.now(),
            **fields,
        )
        response = Response(self.get_serializer(self.shown().get(pk=said.pk)).data, status=201)
        response["Location"] = f"/api/v1/feedback/{said.number}"
        return conditional.with_etag(response, conditional.etag(said.version))

    def variant(self, sku: str) -> Variant | None:
        found = Variant.objects.for_partner(self.partner).stocked().filter(sku=sku).first() if sku else None
        if sku and found is None:
            raise InvalidInput.at("productId", f"There is no product {sku} for you.")
        return found

    def order(self, number: str) -> Order | None:
        found = Order.objects.for_partner(self.partner).filter(number=number).first() if number else None
        if number and found is None:
            raise InvalidInput.at("orderId", f"There is no order {number} of yours.")
        return found

    def batch(self, variant: Variant | None, number: str) -> Batch | None:
        if not number:
            return None
        mine = Batch.objects.for_partner(self.partner).filter(variant=variant, number=number)
        found: Batch | None = mine.first() if variant else None
        if found is None:
            raise InvalidInput.at("batchNumber", "The product has no such batch for you.")
        return found


class OneFeedback(FeedbackDoor):
    @extend_schema(operation_id="getFeedback")
    def get(self, request: Request, number: str) -> Response:
        """What the caller said, and what came of it."""
        found = get_object_or_404(self.shown(), number=number)
        return conditional.with_etag(
            Response(self.get_serializer(found).data), conditional.etag(found.version), request
        )
