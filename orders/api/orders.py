"""/orders: place, read, confirm, pack, cancel."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import transaction
from django.db.models import OuterRef, Prefetch, Subquery
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.models import Variant
from orders.api import keepers
from orders.models import DeliveryPromise, Order, OrderLine, ReturnLine, Shipment
from orders.operations import amending, ordering
from orders.operations.ordering import Asked
from partners.api import conditional
from partners.api.doors import IF_MATCH, Door, once
from partners.api.fields import Amount, Day, Flag, Quantity, Text
from partners.models import Partner
from partners.problems import InvalidInput
from stock.models import Allocation, Reservation

LINES_MAX = 500
HOLDING = Prefetch(
    "reservation_line__allocations", Allocation.objects.select_related("level__location__warehouse", "level__batch")
)


class ShipToFields(serializers.Serializer[Any]):
    """All of it is kept and printed as it is sent."""

    name = Text(max_length=120)
    street = Text(max_length=120, required=False, allow_blank=True)
    street2 = Text(max_length=120, required=False, allow_blank=True)
    city = Text(max_length=80, required=False, allow_blank=True)
    region = Text(max_length=40, required=False, allow_blank=True)
    postalCode = Text(max_length=20)
    country = serializers.RegexField(r"^[A-Z]{2}\Z", help_text="Two letters, ISO 3166.")
    address = Text(max_length=300, required=False, allow_blank=True, help_text="In one line, where you have it so.")


class OrderLineFields(serializers.Serializer[Any]):
    lineId = Text(source="line_id", max_length=40, required=False)
    productId = Text(source="sku", max_length=64)
    quantity = Quantity()
    unitPrice = Amount(
        source="unit_price", max_digits=14, decimal_places=4, min_value=0, required=False, allow_null=True, default=None
    )
    currency = serializers.RegexField(
        r"^[A-Z]{3}\Z", required=False, default="", help_text="Of the unitPrice; three letters, ISO 4217."
    )

    def validate(self, line: dict[str, Any]) -> dict[str, Any]:
        if line["currency"] and line["unit_price"] is None:
            raise serializers.ValidationError({"currency": "A currency belongs to a unitPrice."})
        return line


class OrderFields(serializers.Serializer[Any]):
    externalReference = Text(source="external_reference", max_length=120, help_text="Your own number for it.")
    retailPartnerId = Text(max_length=40, required=False, allow_null=True, default=None)
    type = serializers.ChoiceField(Order.Type, source="order_type", required=False, default=Order.Type.SALE)
    reservationId = serializers.UUIDField(required=False, allow_null=True, default=None)
    promiseId = serializers.UUIDField(
        required=False, allow_null=True, default=None, help_text="A delivery promise that was kept, for the same lines."
    )
    shipTo = ShipToFields(source="ship_to")
    requestedDeliveryDate = Day(source="requested_delivery_date", required=False, allow_null=True, default=None)
    channel = Text(
        max_length=40, required=False, default="", allow_blank=True,
        help_text="Where it was sold, like web: its rules and its routing count. Else that of the reservation.",
    )  # fmt: skip
    allowSplit = Flag(
        source="allow_split", required=False, default=True, help_text="Else one warehouse sends all of it."
    )
    allowBackorder = Flag(source="allow_backorder", required=False, default=False)
    lines = OrderLineFields(many=True, allow_empty=False, max_length=LINES_MAX)


class ChangedLine(serializers.Serializer[Any]):
    lineId = Text(source="line_id", max_length=40)
    productId = Text(source="sku", max_length=64, required=False, help_text="Of a line that is not there yet.")
    quantity = Quantity(min_value=0, help_text="0 takes the line off.")
    unitPrice = Amount(
        source="unit_price", max_digits=14, decimal_places=4, min_value=0, required=False, allow_null=True, default=None
    )
    currency = serializers.RegexField(r"^[A-Z]{3}\Z", required=False, default="", help_text="Of the unitPrice.")


class ChangedFields(serializers.Serializer[Any]):
    lines = ChangedLine(many=True, allow_empty=False, max_length=LINES_MAX)


class HeldSerializer(serializers.Serializer[Any]):
    warehouseLocation = serializers.CharField(source="level.location.warehouse.code")
    batchNumber = serializers.CharField(source="level.batch.number", default=None, allow_null=True)
    quantity = serializers.IntegerField(source="open_quantity")


class OrderLineSerializer(serializers.Serializer[OrderLine]):
    lineId = serializers.CharField(source="line_id")
    productId = serializers.CharField(source="variant.sku")
    quantity = serializers.IntegerField()
    unitPrice = serializers.DecimalField(source="unit_price", max_digits=14, decimal_places=4, allow_null=True)
    currency = serializers.SerializerMethodField(help_text="Null where none was named.")
    reservedQuantity = serializers.SerializerMethodField(
        help_text="Null of a line that waits for stock, where numbers are not told exactly."
    )
    shippedQuantity = serializers.IntegerField(source="shipped")
    backorderedQuantity = serializers.SerializerMethodField(
        help_text="Waits for stock; null where `reservedQuantity` is."
    )
    returnedQuantity = serializers.IntegerField(source="returned")
    allocations = serializers.SerializerMethodField(
        help_text="In the warehouses the caller is granted; none where numbers are not told exactly."
    )

    def get_currency(self, line: OrderLine) -> str | None:
        return line.currency or None

    def held(self, line: OrderLine) -> list[Allocation]:
        kept = line.reservation_line.allocations.all() if line.reservation_line else []
        return [row for row in kept if row.open_quantity]

    @property
    def partner(self) -> Partner:
        return self.context["view"].partner  # type: ignore[no-any-return]

    def reserved(self, line: OrderLine) -> tuple[int, int]:
        """How many units are promised, and how many wait."""
        units = sum(row.open_quantity for row in self.held(line))
        return units, 0 if line.order.status == Order.Status.CANCELLED else line.quantity - line.shipped - units

    def get_reservedQuantity(self, line: OrderLine) -> int | None:
        """What an order for a million got would tell what there is."""
        units, waiting = self.reserved(line)
        return units if not waiting or self.partner.disclosure_rule.is_exact else None

    def get_backorderedQuantity(self, line: OrderLine) -> int | None:
        _, waiting = self.reserved(line)
        return waiting if not waiting or self.partner.disclosure_rule.is_exact else None

    @extend_schema_field(HeldSerializer(many=True))
    def get_allocations(self, line: OrderLine) -> list[dict[str, Any]]:
        if not self.partner.disclosure_rule.is_exact:
            return []
        places = [(row, row.level.location.warehouse) for row in self.held(line)]
        seen = [row for row, warehouse in places if warehouse and self.partner.may_see_warehouse(warehouse.code)]
        return list(HeldSerializer(seen, many=True).data)


class OrderSerializer(serializers.Serializer[Order]):
    orderId = serializers.CharField(source="number")
    externalReference = serializers.CharField(source="external_reference")
    retailPartnerId = serializers.CharField(source="partner.code")
    type = serializers.ChoiceField(Order.Type)
    status = serializers.SerializerMethodField(
        help_text="pending, confirmed, packed, partiallyShipped, shipped, partiallyDelivered, delivered or cancelled."
    )
    reservationId = serializers.UUIDField(source="reservation.public_id", default=None, allow_null=True)
    shipTo = ShipToFields(source="ship_to")
    requestedDeliveryDate = serializers.DateField(source="requested_delivery_date", allow_null=True)
    promiseId = serializers.UUIDField(source="delivery_promise.public_id", default=None, allow_null=True)
    promiseDate = serializers.DateField(source="delivery_promise.promise_date", default=None, allow_null=True)
    channel = serializers.CharField(help_text="Empty where none was named.")
    replacesReturnId = serializers.CharField(
        source="replaces_return",
        allow_null=True,
        help_text="The return it goes out for, in exchange or under warranty.",
    )
    allowSplit = serializers.BooleanField(source="allow_split")
    allowBackorder = serializers.BooleanField(source="allow_backorder")
    createdAt = serializers.DateTimeField(source="created_at")
    lines = OrderLineSerializer(many=True)
    version = serializers.IntegerField()

    def get_status(self, order: Order) -> str:
        arrived = [shipment.status == Shipment.Status.DELIVERED for shipment in order.shipments.all()]
        if order.status in {Order.Status.CONFIRMED, Order.Status.PACKED, Order.Status.SHIPPED} and any(arrived):
            return "partiallyDelivered"
        if order.status in {Order.Status.CONFIRMED, Order.Status.PACKED} and arrived:
            return "partiallyShipped"
        return order.status


class OrderFilter(filters.FilterSet):
    status = filters.ChoiceFilter(choices=Order.Status)
    externalReference = filters.CharFilter("external_reference")
    createdSince = filters.IsoDateTimeFilter("created_at", lookup_expr="gte")


class OrderDoor(Door):
    queryset = Order.objects.none()
    serializer_class = OrderSerializer
    required_scopes: ClassVar = {"GET": "orders:read", "POST": "orders:write", "PATCH": "orders:write"}
    keyset = "-id"
    are_steps_matched = True

    def shown(self) -> Any:
        """Orders with what is needed to show them; of lines those the caller may see. A constant few queries."""
        lines = (
            OrderLine.objects.for_partner(self.partner)
            .filter(quantity__gt=0)
            .select_related("order", "variant", "reservation_line")
            .prefetch_related(HOLDING)
        )
        rows = Order.objects.for_partner(self.partner).select_related("partner", "reservation", "delivery_promise")
        replaces = ReturnLine.objects.filter(replacement__order=OuterRef("pk")).values("return_of__number")
        rows = rows.annotate(replaces_return=Subquery(replaces[:1]))
        return rows.prefetch_related("shipments", Prefetch("lines", lines))

    def find(self, number: str) -> Order:
        order: Order = get_object_or_404(Order.objects.for_partner(self.partner), number=number)
        return self.seen(order, Order.objects.filter(pk=order.pk))

    def asked(self, lines: list[dict[str, Any]], partner: Partner) -> list[Asked]:
        """The lines of a body as what they mean: products that both the caller and the retail partner may see."""
        visible = Variant.objects.for_partner(self.partner).for_partner(partner).stocked()
        visible = visible.filter(status=Variant.Status.ACTIVE)
        variants = {row.sku: row for row in visible.filter(sku__in=[line["sku"] for line in lines])}
        wrong = [
            (f"lines[{place}].productId", f"There is no product {line['sku']} for you that can be ordered.")
            for place, line in enumerate(lines)
            if line["sku"] not in variants
        ]
        ids = [line.get("line_id") or str(place) for place, line in enumerate(lines, start=1)]
        wrong += [
            (f"lines[{place}].lineId", f"{line_id} is there twice.")
            for place, line_id in enumerate(ids)
            if line_id in ids[:place]
        ]
        if wrong:
            raise InvalidInput.of(wrong)
        return [
            Asked(
                line_id=line_id,
                variant=variants[line["sku"]],
                quantity=line["quantity"],
                unit_price=line["unit_price"],
                currency=line["currency"],
            )
            for line_id, line in zip(ids, lines, strict=True)
        ]

    def body(self, order: Order) -> dict[str, Any]:
        return dict(self.get_serializer(self.shown().get(pk=order.pk)).data)

    def tag(self, body: dict[str, Any]) -> str:
        # A count that breaks a promise changes what is shown, and knows nothing of orders and their versions.
        told = [line["reservedQuantity"] for line in body["lines"]]
        return conditional.etag(f"{body['version']}-{sum(units or 0 for units in told)}-{told.count(None)}")

    def answer(self, order: Order, status: int = 200) -> Response:
        body = self.body(order)
        return conditional.with_etag(Response(body, status=status), self.tag(body), self.request)


class Orders(OrderDoor):
    """Orders."""

    filterset_class = OrderFilter

    @extend_schema(operation_id="listOrders")
    def get(self, request: Request) -> Response:
        """The orders the caller may see, newest first."""
        return self.listed(self.shown())

    @extend_schema(operation_id="placeOrder", request=OrderFields, responses={201: OrderSerializer})
    @once
    def post(self, request: Request) -> Response:
        """Place an order; its stock is promised in the same moment.

        With `reservationId` the order takes that reservation over (the same products and quantities). Not enough stock
        is 409 `insufficient_stock`, unless `allowBackorder`: then the rest waits. What is there, but in more warehouses
        than may send it, is 409 `too_many_shipments`, and waits with `allowBackorder`. Asked again with the same
        `externalReference` and content it answers the order already there. With `promiseId` the delivery promise is
        kept; one that has run out is 409 `promise_expired` with the date it would be now.
        """
        fields = self.understood(OrderFields)
        partner = self.retail_partner(fields.pop("retailPartnerId"))
        asked = self.asked(fields.pop("lines"), partner)
        order, is_new = ordering.place(
            partner=partner,
            placed_by=self.partner,
            reservation=self.reservation(fields.pop("reservationId")),
            promised=self.promise(fields.pop("promiseId")),
            asked=asked,
            actor=self.actor,
            at=timezone.now(),
            **fields,
        )
        response = self.answer(order, 201 if is_new else 200)
        response["Location"] = f"/api/v1/orders/{order.number}"
        return response

    def retail_partner(self, code: str | None) -> Partner:
        """Retail partners order for themselves; our own channels may order for any of them, not for a suspended one."""
        visible = Partner.objects.retail_partners().for_partner(self.partner)
        found = visible.filter(code=code or self.partner.code, status=Partner.Status.ACTIVE).first()
        if found is None or (found != self.partner and self.partner.kind != Partner.Kind.CHANNEL):
            raise InvalidInput.at("retailPartnerId", f"You cannot order for {code or self.partner.code}.")
        return found

    def reservation(self, public_id: Any) -> Reservation | None:
        if public_id is None:
            return None
        found = Reservation.objects.for_partner(self.partner).filter(public_id=public_id).first()
        if found is None:
            raise InvalidInput.at("reservationId", "There is no such reservation of yours.")
        return found

    def promise(self, public_id: Any) -> DeliveryPromise | None:
        if public_id is None:
            return None
        found = DeliveryPromise.objects.for_partner(self.partner).filter(public_id=public_id).first()
        if found is None:
            raise InvalidInput.at("promiseId", "There is no such promise of yours.")
        return found


class OneOrder(OrderDoor):
    @extend_schema(operation_id="getOrder")
    def get(self, request: Request, number: str) -> Response:
        """One order: what is promised, shipped, waiting and returned of each line."""
        return self.answer(self.find(number))

    @extend_schema(operation_id="amendOrder", request=ChangedFields, parameters=[IF_MATCH])
    def patch(self, request: Request, number: str) -> Response:
        """Change lines that are not shipped yet: another quantity, 0 to take a line off, a new lineId to add one.

        Lines that are not named stay. What is no longer wanted is free again; what is wanted more is promised, or
        409 `insufficient_stock` (or `too_many_shipments`) and nothing changes, unless the order allows backorder. The warehouses are told.
        """
        accepted = conditional.required_match(request)
        order = self.find(number)
        changes = self.changed(self.understood(ChangedFields)["lines"], order)
        with transaction.atomic():
            Order.objects.lock().get(pk=order.pk)
            conditional.check_match(accepted, self.tag(self.body(order)))
            amended = amending.amend(order=order, changes=changes, actor=self.actor, at=timezone.now())
        return self.answer(amended)

    def changed(self, lines: list[dict[str, Any]], order: Order) -> list[Asked]:
        """The lines of a body; those of the order need not say their product again."""
        known = dict(order.lines.values_list("line_id", "variant__sku"))
        for place, line in enumerate(lines):
            if line["line_id"] not in known and not line.get("sku"):
                raise InvalidInput.at(f"lines[{place}].productId", "Name the product of a new line.")
            if line["line_id"] not in known and not line["quantity"]:
                raise InvalidInput.at(f"lines[{place}].quantity", f"There is no line {line['line_id']} to take off.")
            line.setdefault("sku", known.get(line["line_id"]))
        return self.asked(lines, order.partner)


class Confirm(OrderDoor):
    @extend_schema(operation_id="confirmOrder", request=None)
    @once
    def post(self, request: Request, number: str) -> Response:
        """Accept it for fulfilment."""
        return self.answer(ordering.confirm(order=self.find(number), actor=self.actor, at=timezone.now()))


class Pack(OrderDoor):
    @extend_schema(operation_id="packOrder", request=None)
    @once
    def post(self, request: Request, number: str) -> Response:
        """Say that all of it stands packed: our own channels and the 3PL that keeps it do; nobody else."""
        order = self.find(number)
        keepers.must_keep(self.partner, None, "Who keeps the goods says that they are packed.")
        return self.answer(ordering.pack(order=order, actor=self.actor, at=timezone.now()))


class Cancel(OrderDoor):
    @extend_schema(operation_id="cancelOrder", request=None)
    @once
    def post(self, request: Request, number: str) -> Response:
        """Call it off; what it holds is free again. Not once anything is shipped."""
        return self.answer(ordering.cancel(order=self.find(number), actor=self.actor, at=timezone.now()))
