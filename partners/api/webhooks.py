"""/webhooks: where a partner wants to be told of events, and what became of its letters."""

from __future__ import annotations

import json
import uuid
from datetime import datetime
from typing import Any, ClassVar

from django.db import transaction
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from partners import idempotency, outbound, outbox, sending, webhooks
from partners.api import conditional, doors
from partners.api.doors import IDEMPOTENCY_KEY, IF_MATCH, Door, once
from partners.api.fields import QUANTITY_MAX, Quantity, Text
from partners.models import Webhook, WebhookDelivery
from partners.models.webhook import WebhookDeliveryQuerySet, WebhookQuerySet
from partners.operations import webhooks as endpoints
from partners.operations.deliveries import Letter
from partners.problems import InvalidInput

STATUS = [(status.value, status.label) for status in Webhook.Status if status != Webhook.Status.REMOVED]


class WebhookFields(serializers.Serializer[Webhook]):
    url = Text(
        max_length=outbound.URL_CHARACTERS_MAX,
        help_text="https://, at a full host name that leads to public addresses only. Looked at now and at each sending.",
    )
    description = Text(max_length=200, required=False, allow_blank=True)
    eventTypes = serializers.ListField(
        source="event_types",
        child=Text(max_length=60),
        max_length=len(outbox.TYPES),
        required=False,
        help_text="As in /events/types. None: all, also those there will be.",
    )
    productIds = serializers.ListField(
        source="product_ids",
        child=Text(max_length=64),
        max_length=endpoints.PRODUCTS_MAX,
        required=False,
        help_text="Only events that name one of these products, or none at all. None: all.",
    )
    minIntervalSeconds = Quantity(
        source="min_interval_seconds",
        min_value=0,
        max_value=endpoints.INTERVAL_SECONDS_MAX,
        required=False,
        help_text=(
            "Between two `inventory.updated` of one subject pass so many seconds; of those in between the newest is "
            "sent, and one that tells levels the newest does not. All other events are always sent. 0: each is sent."
        ),
    )
    belowQuantity = Quantity(
        source="below_quantity",
        min_value=0,
        max_value=QUANTITY_MAX,
        required=False,
        allow_null=True,
        help_text=(
            "Of `inventory.updated` send only those that bring what is available below this, and those that bring it "
            "back to `aboveQuantity`. For partners that are told exact quantities."
        ),
    )
    aboveQuantity = Quantity(
        source="above_quantity", min_value=0, max_value=QUANTITY_MAX, required=False, allow_null=True
    )


class WebhookChanges(WebhookFields):
    status = serializers.ChoiceField(
        [("active", "Active"), ("paused", "Paused")],
        required=False,
        help_text="Events wait while it is paused; set to active it goes on where it stopped.",
    )


class WebhookSerializer(WebhookFields):
    webhookId = serializers.UUIDField(source="webhook_id")
    status = serializers.ChoiceField(
        STATUS, help_text="paused by somebody or after days of failures; disabled when it answered 410."
    )
    statusReason = serializers.CharField(source="status_reason", help_text="Why it is not active.")
    version = serializers.IntegerField()


class WebhookWithSecret(WebhookSerializer):
    secret = serializers.CharField(
        allow_null=True,
        help_text="`whsec_…`, shown in this answer only; null when the answer is a replay. Lost it? rotateSecret.",
    )


class WebhookReplayFields(serializers.Serializer[Any]):
    """Either `from` with or without `to`, or `status`."""

    to = serializers.JSONField(required=False, help_text="As `from`; the end is meant too. Without it: up to now.")
    status = serializers.ChoiceField(
        [("failed", "Failed")], required=False, help_text="All that was given up. Not together with `from`."
    )

    def get_fields(self) -> dict[str, Any]:
        help_text = "A position of the feed (`sequence`), or an RFC 3339 time."
        return {"from": serializers.JSONField(required=False, help_text=help_text), **super().get_fields()}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("from" in attrs) == ("status" in attrs):
            raise serializers.ValidationError({"from": "Send either from (and to), or status."})
        if "to" in attrs and "from" not in attrs:
            raise serializers.ValidationError({"to": "Send it with from."})
        ends = {name: place(name, attrs[name]) for name in ("from", "to") if name in attrs}
        if len({type(end) for end in ends.values()}) > 1:
            raise serializers.ValidationError({"to": "Both a position, or both a time."})
        return attrs | ends


def place(name: str, value: Any) -> int | datetime:
    """A position of the feed or a moment, as the caller meant it."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62:
        return value
    if isinstance(value, str):
        try:
            moment: datetime = serializers.DateTimeField().to_internal_value(value)
        except serializers.ValidationError:
            moment = None
        if moment is not None:
            return moment
    raise serializers.ValidationError(
        {name: "A position of the feed, like 1200, or a time, like 2026-11-21T08:00:00Z."}
    )


class WebhookReplaySerializer(serializers.Serializer[Any]):
    replayed = serializers.IntegerField(source="count", help_text="How many letters are to be sent again.")
    nextPosition = serializers.IntegerField(
        source="next_position", allow_null=True, help_text="There were more: ask again with this as `from`."
    )


class WebhookTestSerializer(serializers.Serializer[Any]):
    delivered = serializers.BooleanField(help_text="Whether the endpoint answered with 2xx.")
    status = serializers.IntegerField(allow_null=True, help_text="What it answered; null when nobody did.")
    error = serializers.CharField(
        help_text="Empty, or status, redirect, timeout, dns, connection, tls, malformed, unsafe_address."
    )
    milliseconds = serializers.IntegerField()


class WebhookDeliverySerializer(serializers.ModelSerializer[WebhookDelivery]):
    eventId = serializers.UUIDField(source="event.event_id", help_text="The letter's `webhook-id`.")
    sequence = serializers.IntegerField(source="position", help_text="The event's place in the feed.")
    status = serializers.ChoiceField(
        WebhookDelivery.State.choices,
        source="state",
        help_text="failed: given up after the last try. coalesced: a newer state was sent. withheld: no longer yours.",
    )
    nextAttemptAt = serializers.SerializerMethodField(help_text="When it is tried next, while it is pending.")
    lastStatus = serializers.IntegerField(source="last_status", allow_null=True)
    lastError = serializers.CharField(source="last_error")
    lastMilliseconds = serializers.IntegerField(source="last_milliseconds", allow_null=True)
    lastAttemptAt = serializers.DateTimeField(source="last_attempt_at", allow_null=True)
    deliveredAt = serializers.DateTimeField(source="delivered_at", allow_null=True)

    def get_nextAttemptAt(self, row: WebhookDelivery) -> datetime | None:
        return row.next_attempt_at if row.state == WebhookDelivery.State.PENDING else None

    class Meta:
        model = WebhookDelivery
        fields = (
            "eventId", "sequence", "type", "subject", "status", "attempts", "nextAttemptAt", "lastStatus", "lastError",
            "lastMilliseconds", "lastAttemptAt", "deliveredAt",
        )  # fmt: skip


class WebhookDoor(Door):
    queryset = Webhook.objects.none()
    serializer_class = WebhookSerializer
    required_scopes: ClassVar = {
        "GET": "webhooks:read", "POST": "webhooks:write", "PATCH": "webhooks:write", "DELETE": "webhooks:write",
    }  # fmt: skip
    keyset = "-id"
    fresh_secret: str | None = None

    def get_queryset(self) -> WebhookQuerySet:
        return Webhook.objects.for_partner(self.partner)

    def find(self, webhook_id: uuid.UUID) -> Webhook:
        return get_object_or_404(self.get_queryset().select_related("partner"), webhook_id=webhook_id)

    def answer(self, webhook: Webhook, status: int = 200) -> Response:
        response = Response(WebhookSerializer(webhook).data, status=status)
        return conditional.with_etag(response, conditional.etag(webhook.version), self.request)

    def answer_with_secret(self, webhook: Webhook, secret: str, status: int) -> Response:
        """The secret stays out of what is kept beside the Idempotency-Key; `told` puts it into the first answer."""
        self.fresh_secret = secret
        response = self.answer(webhook, status)
        response.data = {**response.data, "secret": None}
        return response

    def told(self, response: HttpResponse) -> HttpResponse:
        if self.fresh_secret is not None:
            response.content = json.dumps(json.loads(response.content) | {"secret": self.fresh_secret}).encode()
            response["Cache-Control"] = "no-store"
        return response

    def check_address(self, url: str) -> None:
        """Where the name leads, asked before any transaction."""
        try:
            outbound.check(url)
        except outbound.Unsafe as error:
            raise InvalidInput.at("url", str(error)) from error


class Webhooks(WebhookDoor):
    """Addresses at which a partner is told of events."""

    @extend_schema(operation_id="listWebhooks", responses=WebhookSerializer(many=True))
    def get(self, request: Request) -> Response:
        """The caller's endpoints, newest first."""
        return self.listed(self.get_queryset())

    @extend_schema(
        operation_id="createWebhook",
        request=WebhookFields,
        responses={201: WebhookWithSecret},
        parameters=[IDEMPOTENCY_KEY],
    )
    def post(self, request: Request) -> HttpResponseBase:
        """Be told of events from now on, at least once each and in order for each subject.

        Letters follow Standard Webhooks: verify `webhook-signature` with the secret over the very bytes, refuse a
        `webhook-timestamp` more than five minutes old, and remember `webhook-id`, since a letter may come twice.
        The body is the event as in `GET /events`. Answer with any 2xx within ten seconds. All else is tried again over
        three days, `Retry-After` of 429 and 503 being kept to; 410 disables the endpoint, redirects are not followed.
        """
        key = idempotency.read_key(request.headers.get("Idempotency-Key"))
        mark = idempotency.fingerprint(method="POST", path=request.path, body=request.data)
        if answer := doors.replayed(application_id=self.caller.application.pk, key=key, fingerprint=mark):
            return answer
        self.check_address(self.understood(WebhookFields)["url"])
        return self.told(self.subscribe(request))

    @once
    def subscribe(self, request: Request) -> Response:
        webhook, secret = endpoints.subscribe(
            partner=self.partner, actor=self.actor, at=timezone.now(), **self.understood(WebhookFields)
        )
        response = self.answer_with_secret(webhook, secret, 201)
        response["Location"] = f"{request.path}/{webhook.webhook_id}"
        return response


class OneWebhook(WebhookDoor):
    @extend_schema(operation_id="getWebhook")
    def get(self, request: Request, webhook_id: uuid.UUID) -> Response:
        """One endpoint, with its ETag."""
        return self.answer(self.find(webhook_id))

    @extend_schema(operation_id="reviseWebhook", request=WebhookChanges, parameters=[IF_MATCH])
    def patch(self, request: Request, webhook_id: uuid.UUID) -> Response:
        """Change an endpoint, pause it, or let it go on."""
        accepted = conditional.required_match(request)
        self.find(webhook_id)
        changes = self.understood(WebhookChanges, partial=True)
        if "url" in changes:
            self.check_address(changes["url"])
        with transaction.atomic(durable=True):
            webhook = self.locked(webhook_id, accepted)
            return self.answer(endpoints.revise(webhook=webhook, changes=changes, actor=self.actor, at=timezone.now()))

    @extend_schema(operation_id="removeWebhook", parameters=[IF_MATCH], responses={204: None})
    def delete(self, request: Request, webhook_id: uuid.UUID) -> Response:
        """Be told nothing more at this address. What is on its way may still arrive."""
        accepted = conditional.required_match(request)
        self.find(webhook_id)
        with transaction.atomic(durable=True):
            endpoints.remove(webhook=self.locked(webhook_id, accepted), actor=self.actor, at=timezone.now())
        return Response(status=204)

    def locked(self, webhook_id: uuid.UUID, accepted: frozenset[str]) -> Webhook:
        webhook = get_object_or_404(self.get_queryset().select_for_update(no_key=True), webhook_id=webhook_id)
        conditional.check_match(accepted, conditional.etag(webhook.version))
        return webhook


class RotateSecret(WebhookDoor):
    @extend_schema(
        operation_id="rotateWebhookSecret",
        request=None,
        responses={200: WebhookWithSecret},
        parameters=[IDEMPOTENCY_KEY],
    )
    def post(self, request: Request, webhook_id: uuid.UUID) -> HttpResponseBase:
        """A new secret; for a day letters carry a signature by the one before, too, so that none is refused meanwhile.

        Rotate again within the day, and the one before that ends at once.
        """
        return self.told(self.rotate(request, webhook_id))

    @once
    def rotate(self, request: Request, webhook_id: uuid.UUID) -> Response:
        webhook, secret = endpoints.rotate_secret(webhook=self.find(webhook_id), actor=self.actor, at=timezone.now())
        return self.answer_with_secret(webhook, secret, 200)


class TestWebhook(WebhookDoor):
    @extend_schema(
        operation_id="testWebhook", request=None, responses={200: WebhookTestSerializer}, parameters=[IDEMPOTENCY_KEY]
    )
    def post(self, request: Request, webhook_id: uuid.UUID) -> HttpResponseBase:
        """Send a `webhook.test` now, whatever the endpoint's status, and say what came of it.

        Once in ten seconds for each endpoint, else 429 `webhook_tested_just_now`. It is not tried again, and not in
        the log.
        """
        key = idempotency.read_key(request.headers.get("Idempotency-Key"))
        webhook = self.find(webhook_id)
        application_id = self.caller.application.pk
        mark = idempotency.fingerprint(method="POST", path=request.path, body=request.data)
        if answer := doors.replayed(application_id=application_id, key=key, fingerprint=mark):
            return answer
        at = timezone.now()
        endpoints.begin_test(webhook=webhook, at=at)
        letter_id = str(uuid.uuid5(webhook.webhook_id, f"{application_id} {key}"))
        event = webhooks.test_event(letter_id=letter_id, webhook_id=str(webhook.webhook_id), at=at)
        self.outcome = sending.attempt(
            Letter(
                delivery_id=0,
                webhook_pk=webhook.pk,
                attempt=1,
                is_shaky=False,
                url=webhook.url,
                letter_id=letter_id,
                body=webhooks.in_bytes(event),
                keys=endpoints.secrets_of(webhook=webhook, at=at),
            )
        )
        return self.say(request)

    @once
    def say(self, request: Request) -> Response:
        """Nothing is done here any more: the letter was sent outside any transaction, and this keeps the answer."""
        outcome = self.outcome
        return Response(
            {
                "delivered": outcome.is_success,
                "status": outcome.status,
                "error": outcome.error,
                "milliseconds": outcome.milliseconds,
            }
        )


class ReplayWebhook(WebhookDoor):
    @extend_schema(operation_id="replayWebhook", request=WebhookReplayFields, responses={202: WebhookReplaySerializer})
    @once
    def post(self, request: Request, webhook_id: uuid.UUID) -> Response:
        """Send events again: a part of the feed, or all that was given up. At most 10,000 a call.

        Also what happened before the endpoint was there. Each keeps its `webhook-id`.
        """
        webhook = self.find(webhook_id)
        fields = self.understood(WebhookReplayFields)
        asked = {"webhook": webhook, "actor": self.actor, "at": timezone.now()}
        if "status" in fields:
            replayed = endpoints.replay_failed(**asked)
        else:
            replayed = endpoints.replay(since=fields["from"], until=fields.get("to"), **asked)
        return Response(WebhookReplaySerializer(replayed).data, status=202)


class DeliveryFilter(filters.FilterSet):
    status = filters.ChoiceFilter(field_name="state", choices=WebhookDelivery.State.choices)
    type = filters.ChoiceFilter(choices=[(name, name) for name in outbox.TYPES])


class Deliveries(WebhookDoor):
    serializer_class = WebhookDeliverySerializer
    filterset_class = DeliveryFilter
    queryset = WebhookDelivery.objects.none()

    def get_queryset(self) -> WebhookDeliveryQuerySet:  # type: ignore[override]
        return WebhookDelivery.objects.for_partner(self.partner)

    @extend_schema(operation_id="listWebhookDeliveries")
    def get(self, request: Request, webhook_id: uuid.UUID) -> Response:
        """What became of each letter to this endpoint, the newest first. Kept 7 days, what was given up 30 days."""
        webhook = get_object_or_404(Webhook.objects.for_partner(self.partner), webhook_id=webhook_id)
        return self.listed(self.get_queryset().filter(webhook=webhook).select_related("event"))
