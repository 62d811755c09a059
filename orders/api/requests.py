"""/fulfillmentRequests: what a warehouse is asked to send, and what it answers."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import Prefetch
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from orders import routing
from orders.api import keepers
from orders.api.shipments import LINES_MAX, WHO_RUNS, LeavingLine, Sscc, find_line, leaving_of
from orders.models import (
    FulfilmentItem,
    FulfilmentRequest,
    Order,
    OrderLine,
    Package,
    PackageLine,
    RoutingDecision,
    RoutingPolicy,
)
from orders.operations import fulfilment, packing, requesting
from partners.api import conditional
from partners.api.doors import Door, once
from partners.api.fields import Quantity, Text
from partners.models import Partner
from partners.problems import InvalidInput, LeftToTheHouse

PACKAGES_MAX = 100


class RequestItemSerializer(serializers.Serializer[FulfilmentItem]):
    lineId = serializers.CharField(source="order_line.line_id")
    productId = serializers.CharField(source="order_line.variant.sku")
    quantity = serializers.IntegerField(
        allow_null=True,
        help_text="Null of a part of a line, for who neither runs the warehouse nor is told exact numbers.",
    )
    completedQuantity = serializers.IntegerField(source="completed")
    failedQuantity = serializers.IntegerField(source="failed")
    openQuantity = serializers.IntegerField(source="open_quantity", allow_null=True)

    def to_representation(self, instance: FulfilmentItem) -> dict[str, Any]:
        row: dict[str, Any] = super().to_representation(instance)
        partner: Partner = self.context["view"].partner
        is_part = instance.quantity != instance.order_line.quantity
        if is_part and partner.kind != Partner.Kind.LOGISTICS and not partner.disclosure_rule.is_exact:
            row |= {"quantity": None, "openQuantity": None}
        return row


class RoutingTermSerializer(serializers.Serializer[Any]):
    term = serializers.ChoiceField([(term, term) for term in routing.TERMS])
    points = serializers.IntegerField(help_text="0 to 1000; more is better.")
    weight = serializers.IntegerField(help_text="How much the term counts in the score, 0 to 100.")
    fact = serializers.CharField(help_text="What the points are for, in words.")


class ConsideredSerializer(serializers.Serializer[Any]):
    warehouseLocation = serializers.CharField()
    score = serializers.IntegerField(help_text="0 to 1000: the points of all terms by their weights.")
    terms = RoutingTermSerializer(many=True)


class RoutingSerializer(serializers.Serializer[RoutingDecision]):
    """Why a warehouse was asked."""

    decidedAt = serializers.DateTimeField(source="at")
    cause = serializers.ChoiceField(
        RoutingDecision.Cause, help_text="What made it necessary to decide from where the goods are sent."
    )
    policy = serializers.CharField(help_text="The name of the routing policy then; empty: the default.")
    strategy = serializers.ChoiceField(
        RoutingPolicy.Strategy, help_text="weighted goes by the score; the others by one term first."
    )
    warehousesMax = serializers.IntegerField(
        source="warehouses_max", help_text="So many warehouses at most could send the order."
    )
    chosen = serializers.ListField(
        child=serializers.CharField(), help_text="The warehouses it was decided to send from."
    )
    considered = ConsideredSerializer(many=True, help_text="The warehouses that had any of it, best first.")


class FulfilmentRequestSerializer(serializers.Serializer[FulfilmentRequest]):
    fulfillmentRequestId = serializers.CharField(source="number")
    orderId = serializers.CharField(source="order.number")
    warehouseLocation = serializers.CharField(source="warehouse.code")
    status = serializers.ChoiceField(FulfilmentRequest.Status)
    reason = serializers.CharField(
        source="failure", help_text="Why it, or part of it, failed; empty where nothing did."
    )
    note = serializers.CharField()
    logicalTimestamp = serializers.IntegerField(
        source="logical_timestamp", help_text="The warehouse's own clock at the last thing that happened to it."
    )
    assignedAt = serializers.DateTimeField(source="assigned_at")
    items = RequestItemSerializer(many=True)
    routing = serializers.SerializerMethodField(
        help_text="Why this warehouse was asked, for our own channels that see every warehouse; null for anybody else."
    )
    version = serializers.IntegerField()

    @extend_schema_field(RoutingSerializer(allow_null=True))
    def get_routing(self, request: FulfilmentRequest) -> dict[str, Any] | None:
        """It tells of other warehouses' stock and of costs, so it is not for partners."""
        partner: Partner = self.context["view"].partner
        is_ours = partner.kind == Partner.Kind.CHANNEL and partner.granted_warehouses is None
        return dict(RoutingSerializer(request.routing).data) if request.routing and is_ours else None


class RejectedItem(serializers.Serializer[Any]):
    lineId = Text(source="line_id", max_length=40)
    quantity = Quantity()


class RejectFields(serializers.Serializer[Any]):
    reason = serializers.ChoiceField([(row.value, row.label) for row in FulfilmentRequest.REFUSALS], source="failure")
    note = Text(max_length=200, required=False, default="", allow_blank=True)
    items = RejectedItem(
        many=True, required=False, default=list, max_length=LINES_MAX, help_text="Of part of it; else all that is open."
    )


class CompleteFields(serializers.Serializer[Any]):
    carrier = Text(max_length=60, required=False, default=fulfilment.HANDOVER)
    service = Text(max_length=60, required=False, default="", allow_blank=True)
    trackingNumber = Text(source="tracking_number", max_length=80, required=False, default="", allow_blank=True)
    sscc = Sscc(required=False, default="", allow_blank=True)
    items = LeavingLine(
        many=True, required=False, default=list, max_length=LINES_MAX, help_text="What left; else all that is open."
    )
    packages = serializers.ListField(
        child=Text(max_length=20), required=False, default=list, max_length=PACKAGES_MAX,
        help_text="The packages that left (their packageId), instead of items.",
    )  # fmt: skip

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        for name in ("items", "sscc"):
            if fields["packages"] and fields[name]:
                raise serializers.ValidationError({name: "The packages say it; leave it out."})
        return fields


class RequestFilter(filters.FilterSet):
    status = filters.ChoiceFilter(choices=FulfilmentRequest.Status)
    orderId = filters.CharFilter("order__number")
    warehouse = filters.CharFilter("warehouse__code")


class RequestDoor(Door):
    queryset = FulfilmentRequest.objects.none()
    serializer_class = FulfilmentRequestSerializer
    required_scopes: ClassVar = {"GET": "orders:read", "POST": "shipments:write"}
    keyset = "-id"
    are_steps_matched = True

    def shown(self) -> Any:
        """Requests with their items, of those what the caller may see. A constant few queries."""
        mine = OrderLine.objects.for_partner(self.partner)
        items = FulfilmentItem.objects.filter(order_line__in=mine).select_related("order_line__variant")
        rows = FulfilmentRequest.objects.for_partner(self.partner).select_related("order", "warehouse", "routing")
        return rows.prefetch_related(Prefetch("items", items))

    def find(self, number: str) -> FulfilmentRequest:
        request: FulfilmentRequest = get_object_or_404(
            FulfilmentRequest.objects.for_partner(self.partner), number=number
        )
        return self.seen(request, Order.objects.filter(pk=request.order_id))

    def to_act_on(self, number: str) -> FulfilmentRequest:
        """The request, for who runs its warehouse. Raises LeftToTheHouse."""
        rows = FulfilmentRequest.objects.for_partner(self.partner).select_related("warehouse")
        found: FulfilmentRequest = get_object_or_404(rows, number=number)
        keepers.must_run(self.partner, found.warehouse, WHO_RUNS)
        return self.seen(found, Order.objects.filter(pk=found.order_id))

    def must_see_all(self, rows: Any) -> None:
        """Whoever is shown a part of it (its items, the contents of its boxes) does not decide about the whole. Raises
        LeftToTheHouse."""
        if rows.exclude(order_line__in=OrderLine.objects.for_partner(self.partner)).exists():
            raise LeftToTheHouse("Products of others are in it, too; name the items that are yours.")

    def answer(self, request: FulfilmentRequest) -> Response:
        row = self.shown().get(pk=request.pk)
        return conditional.with_etag(
            Response(self.get_serializer(row).data), conditional.etag(row.version), self.request
        )

    def lines(self, request: FulfilmentRequest) -> list[OrderLine]:
        mine = OrderLine.objects.for_partner(self.partner).filter(order=request.order_id)
        return list(mine.select_related("variant", "reservation_line__variant"))

    def packages(self, request: FulfilmentRequest, names: list[str]) -> list[Package]:
        """The packages of a request that a body names. Raises InvalidInput for one that is not of it."""
        known = {
            row.number: row for row in Package.objects.for_partner(self.partner).filter(fulfilment_request=request)
        }
        unknown = [
            (f"packages[{place}]", f"{name} is no package of this request for you.")
            for place, name in enumerate(names)
            if name not in known
        ]
        if unknown:
            raise InvalidInput.of(unknown)
        return [known[name] for name in dict.fromkeys(names)]


class FulfilmentRequests(RequestDoor):
    """What warehouses are asked to send."""

    filterset_class = RequestFilter

    @extend_schema(operation_id="listFulfillmentRequests")
    def get(self, request: Request) -> Response:
        """The requests the caller may see, newest first."""
        return self.listed(self.shown())


class OneFulfilmentRequest(RequestDoor):
    @extend_schema(operation_id="getFulfillmentRequest")
    def get(self, request: Request, number: str) -> Response:
        """One request: what of each line is open, has left, or will not."""
        return self.answer(self.find(number))


class Accept(RequestDoor):
    @extend_schema(operation_id="acceptFulfillmentRequest", request=None)
    @once
    def post(self, request: Request, number: str) -> Response:
        """The warehouse will fulfil it."""
        found = self.to_act_on(number)
        self.must_see_all(found.items)
        return self.answer(requesting.accept(request=found, actor=self.actor, at=timezone.now()))


class Reject(RequestDoor):
    @extend_schema(operation_id="rejectFulfillmentRequest", request=RejectFields)
    @once
    def post(self, request: Request, number: str) -> Response:
        """The warehouse cannot fulfil it, or part of it; it is routed to another one, and what is nowhere waits.

        With the reason `notFound` the products are counted there. Who is shown a part of the request names its items.
        """
        found = self.to_act_on(number)
        fields = self.understood(RejectFields)
        if not fields["items"]:
            self.must_see_all(found.items)
        mine = self.lines(found)
        units: dict[int, int] = {}
        for place, item in enumerate(fields.pop("items")):
            line = find_line(mine, item, f"items[{place}]")
            units[line.pk] = units.get(line.pk, 0) + item["quantity"]
        return self.answer(requesting.reject(request=found, units=units, actor=self.actor, at=timezone.now(), **fields))


class Complete(RequestDoor):
    @extend_schema(operation_id="completeFulfillmentRequest", request=CompleteFields)
    @once
    def post(self, request: Request, number: str) -> Response:
        """The goods left: all that is open, the `items` or the `packages` named. They are booked out as a shipment.

        Of packages the shipment takes the tracking number of the first that has one, unless one is sent. Who is shown
        a part of the request names its items.
        """
        found = self.to_act_on(number)
        fields = self.understood(CompleteFields)
        if names := fields.pop("packages"):
            sent = {name: fields[name] for name in ("carrier", "service", "tracking_number")}
            packages = self.packages(found, names)
            self.must_see_all(PackageLine.objects.filter(package__in=packages))
            packing.send(request=found, packages=packages, actor=self.actor, at=timezone.now(), **sent)
            return self.answer(found)
        if not fields["items"]:
            self.must_see_all(found.items)
        mine = self.lines(found)
        leaving = [leaving_of(place, line, mine, "items") for place, line in enumerate(fields.pop("items"))]
        return self.answer(
            fulfilment.complete(request=found, done=leaving or None, actor=self.actor, at=timezone.now(), **fields)
        )
