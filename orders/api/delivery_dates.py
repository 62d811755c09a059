"""/deliveryDates: when a cart would arrive; /promises: what was kept of it, and the same worked out again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.models import Variant
from orders import plans
from orders.api.orders import ShipToFields
from orders.models import DeliveryPromise
from orders.network import Destination
from orders.operations import delivering
from orders.operations.delivering import Answer, Wanted
from orders.plans import Plan, Question, Shipment
from partners.api.doors import Door
from partners.api.fields import Flag, Quantity, Text
from partners.problems import InvalidInput
from stock.operations import lookups

LINES_MAX = 500
AHEAD_DAYS = 60
STEPS = (
    "leadTime, closedDay, afterCutoff, beforeOpening, waitsForStock, backlog, capacity, missedPickup, pickup, transit,"
    " nonTransitDays, nonDeliveryDay; unavailable, tooManyShipments"
)


class CartLine(serializers.Serializer[Any]):
    productId = Text(source="sku", max_length=64)
    quantity = Quantity()


class WhereTo(serializers.Serializer[Any]):
    """Country and postal code decide; a cart may send the whole address of its order."""

    ignores: ClassVar = frozenset(ShipToFields().fields)
    country = serializers.RegexField(r"^[A-Z]{2}\Z", help_text="Two letters, ISO 3166.")
    postalCode = serializers.RegexField(
        r"^[0-9A-Za-z][0-9A-Za-z -]{0,19}\Z", source="postal_code", help_text="As it is written there."
    )


class DeliveryFields(serializers.Serializer[Any]):
    lines = CartLine(many=True, allow_empty=False, max_length=LINES_MAX)
    shipTo = WhereTo(source="ship_to")
    at = serializers.DateTimeField(
        required=False,
        default=None,
        allow_null=True,
        help_text="When it would be ordered, within 60 days; now if not given.",
    )
    channel = Text(max_length=40, required=False, default="", allow_blank=True)
    allowSplit = Flag(source="is_split_allowed", required=False, default=True)
    keep = Flag(
        required=False, default=False,
        help_text="Keep it for an order: the answer has a promiseId. Only where all of it can be promised.",
    )  # fmt: skip

    def validate_at(self, at: datetime | None) -> datetime | None:
        if at is not None and not timedelta(minutes=-5) <= at - timezone.now() <= timedelta(days=AHEAD_DAYS):
            raise serializers.ValidationError(f"From now on, within {AHEAD_DAYS} days.")
        return at


class WhySerializer(serializers.Serializer[Any]):
    code = serializers.CharField(help_text=STEPS)
    at = serializers.DateTimeField(allow_null=True)
    date = serializers.DateField(allow_null=True)
    warehouseLocation = serializers.CharField(allow_null=True)
    detail = serializers.CharField()


class Dated(serializers.Serializer[Any]):
    shipFrom = serializers.CharField(allow_null=True, help_text="Null where it comes from several, or is not told.")
    shipBy = serializers.DateTimeField(allow_null=True, help_text="When the last of it leaves.")
    orderBy = serializers.DateTimeField(allow_null=True, help_text="Ordered at or after it, it leaves later.")
    promiseDate = serializers.DateField(allow_null=True, help_text="The day the last of it arrives; null: no day.")
    validUntil = serializers.DateTimeField(allow_null=True)


class SplitLineSerializer(serializers.Serializer[Any]):
    line = serializers.IntegerField(help_text="Its place in the question, from 1.")
    productId = serializers.CharField()
    quantity = serializers.IntegerField()


class SplitSerializer(Dated):
    service = serializers.CharField()
    lines = SplitLineSerializer(many=True)


class DeliveryLineSerializer(Dated):
    productId = serializers.CharField()
    quantity = serializers.IntegerField()
    splits = SplitSerializer(many=True)
    why = WhySerializer(many=True)


class DeliverySerializer(Dated):
    promiseId = serializers.UUIDField(allow_null=True)
    lines = DeliveryLineSerializer(many=True)
    splits = SplitSerializer(many=True, help_text="The shipments; where exact numbers are told.")
    why = WhySerializer(many=True)
    asOf = serializers.DateTimeField()


class PromiseSerializer(serializers.Serializer[DeliveryPromise]):
    promiseId = serializers.UUIDField(source="public_id")
    orderId = serializers.CharField(source="order.number", default=None, allow_null=True)
    asked = serializers.JSONField()
    promiseDate = serializers.DateField(source="promise_date")
    askedAt = serializers.DateTimeField(source="asked_at")
    validUntil = serializers.DateTimeField(source="valid_until")
    claimedAt = serializers.DateTimeField(source="claimed_at", allow_null=True)
    answer = serializers.SerializerMethodField(help_text="The shipments as promised; where exact numbers are told.")
    version = serializers.IntegerField(help_text="Of the way it was worked out.")

    def get_answer(self, kept: DeliveryPromise) -> dict[str, Any] | None:
        return kept.answer if kept.partner.disclosure_rule.is_exact else None


class ReplaySerializer(serializers.Serializer[Any]):
    promiseId = serializers.UUIDField()
    isSame = serializers.BooleanField(help_text="Whether the inputs kept still come to the answer given.")
    promiseDate = serializers.DateField(allow_null=True)
    version = serializers.IntegerField()


class DeliveryDates(Door):
    """Delivery dates."""

    queryset = DeliveryPromise.objects.none()
    pagination_class = None
    twice = "Asked again it answers anew; with `keep` each call keeps a promise of its own."
    required_scopes: ClassVar = {"POST": "inventory:read"}

    @extend_schema(operation_id="askDeliveryDates", request=DeliveryFields, responses=DeliverySerializer)
    def post(self, request: Request) -> Response:
        """When a cart of up to 500 lines would arrive, from where, and until when it has to be ordered for that.

        Worked out from stock by date, cut-offs, working days, capacity, collections, transit and holidays; `why` says
        what counted. It holds no stock. With `keep` it can be given to an order as `promiseId` until `validUntil`.
        """
        fields = self.understood(DeliveryFields)
        now = timezone.now()
        at = max(fields["at"] or now, now).astimezone(UTC)
        ship_to = fields["ship_to"]
        answer = delivering.work_out(
            wanted=self.wanted(fields["lines"]),
            destination=Destination.of(ship_to["country"], ship_to["postal_code"]),
            partner=self.partner,
            channel=fields["channel"],
            is_split_allowed=fields["is_split_allowed"],
            at=at,
            now=now,
        )
        # That it can come tells of stock and of what is on its way alike, so it counts as a look and bounds nothing.
        known = [(part, 0, None) for line in answer.question.lines for part, _ in line.parts]
        lookups.note(partner=self.partner, known=known, at=now)
        kept = self.kept(answer, fields, now) if fields["keep"] and answer.plan.is_whole else None
        return Response(shown(answer, fields["lines"], kept, now=now, is_told=self.partner.disclosure_rule.is_exact))

    def wanted(self, lines: list[dict[str, Any]]) -> list[Wanted]:
        visible = Variant.objects.for_partner(self.partner).stocked().filter(sku__in=[line["sku"] for line in lines])
        variants = {variant.sku: variant for variant in visible}
        unknown = [
            (f"lines[{place}].productId", f"There is no product {line['sku']} for you.")
            for place, line in enumerate(lines)
            if line["sku"] not in variants
        ]
        if unknown:
            raise InvalidInput.of(unknown)
        return [Wanted(variant=variants[line["sku"]], quantity=line["quantity"]) for line in lines]

    def kept(self, answer: Answer, fields: dict[str, Any], now: datetime) -> DeliveryPromise:
        asked = {
            "lines": [{"productId": line["sku"], "quantity": line["quantity"]} for line in fields["lines"]],
            "shipTo": {"country": fields["ship_to"]["country"], "postalCode": fields["ship_to"]["postal_code"]},
            "channel": fields["channel"],
            "allowSplit": fields["is_split_allowed"],
        }
        return delivering.keep(answer=answer, asked=asked, partner=self.partner, actor=self.actor, at=now)


class PromiseDoor(Door):
    queryset = DeliveryPromise.objects.none()
    pagination_class = None
    required_scopes: ClassVar = {"GET": "inventory:read"}

    def find(self, public_id: Any) -> DeliveryPromise:
        mine = DeliveryPromise.objects.for_partner(self.partner).select_related("partner", "order")
        return get_object_or_404(mine, public_id=public_id)


class OnePromise(PromiseDoor):
    @extend_schema(operation_id="getPromise", responses=PromiseSerializer)
    def get(self, request: Request, promise_id: Any) -> Response:
        """A promise that was kept: what was asked, what was answered, and which order took it."""
        return Response(PromiseSerializer(self.find(promise_id)).data)


class ReplayPromise(PromiseDoor):
    @extend_schema(operation_id="replayPromise", responses=ReplaySerializer)
    def get(self, request: Request, promise_id: Any) -> Response:
        """The same promise, worked out again from the inputs that were kept with it."""
        kept = self.find(promise_id)
        again = delivering.replay(promised=kept)
        days = [shipment["promiseDate"] for shipment in again.answer["shipments"]]
        return Response(
            {
                "promiseId": str(kept.public_id),
                "isSame": again.is_same,
                "promiseDate": max(days, default=None),
                "version": kept.version,
            }
        )


def shown(
    answer: Answer, lines: list[dict[str, Any]], kept: DeliveryPromise | None, *, now: datetime, is_told: bool
) -> dict[str, Any]:
    """The answer as the partner may read it: buildings and parts only where exact numbers are told."""
    plan, question = answer.plan, answer.question
    whole = plan.shipments if plan.is_whole else ()
    skus = {number: line["sku"] for number, line in enumerate(lines, start=1)}
    return {
        "promiseId": str(kept.public_id) if kept else None,
        **dated(whole, question, is_told=is_told),
        "lines": [
            line_as_json(number, line, plan, question, is_told=is_told) for number, line in enumerate(lines, start=1)
        ],
        "splits": [split(shipment, question, skus) for shipment in plan.shipments] if is_told else [],
        "why": why(whole, "" if plan.is_whole else plan.refused or "unavailable", is_told=is_told),
        "asOf": zulu(now),
    }


def line_as_json(number: int, line: dict[str, Any], plan: Plan, question: Question, *, is_told: bool) -> dict[str, Any]:
    shipments = [shipment for shipment, _ in plan.of(number)]
    return {
        "productId": line["sku"],
        "quantity": line["quantity"],
        **dated(shipments, question, is_told=is_told),
        "splits": [split(shipment, question, {number: line["sku"]}) for shipment in shipments] if is_told else [],
        "why": why(shipments, "" if shipments else "unavailable", is_told=is_told),
    }


def dated(shipments: Iterable[Shipment], question: Question, *, is_told: bool) -> dict[str, Any]:
    shipments = list(shipments)
    if not shipments:
        return dict.fromkeys(("shipFrom", "shipBy", "orderBy", "promiseDate", "validUntil"))
    places = {shipment.route.building.code for shipment in shipments}
    return {
        "shipFrom": min(places) if is_told and len(places) == 1 else None,
        "shipBy": zulu(max(shipment.leg.leaves_at for shipment in shipments)),
        "orderBy": zulu(min(shipment.order_by for shipment in shipments)),
        "promiseDate": max(shipment.leg.delivered_on for shipment in shipments).isoformat(),
        "validUntil": zulu(plans.valid_until(shipments, question.at)),
    }


def split(shipment: Shipment, question: Question, skus: dict[int, str]) -> dict[str, Any]:
    parts = [part for part in shipment.parts if part.line in skus]
    return {
        **dated([shipment], question, is_told=True),
        "service": shipment.route.service.code,
        "lines": [{"line": part.line, "productId": skus[part.line], "quantity": part.quantity} for part in parts],
    }


def why(shipments: Iterable[Shipment], refused: str, *, is_told: bool) -> list[dict[str, Any]]:
    steps = [
        {
            "code": step.code,
            "at": zulu(step.at) if step.at else None,
            "date": step.on.isoformat() if step.on else None,
            "warehouseLocation": shipment.route.building.code if is_told else None,
            "detail": step.note,
        }
        for shipment in shipments
        for step in shipment.leg.steps
    ]
    if refused:
        steps.append({"code": refused, "at": None, "date": None, "warehouseLocation": None, "detail": ""})
    return steps


def zulu(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
