"""/credentials and /apiKeys: a partner looks after its own secret and keys."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from partners import scopes
from partners.api import conditional
from partners.api.doors import Door
from partners.api.fields import Quantity, Text
from partners.models import ApiKey
from partners.operations import api_keys, credentials

SHOWN_ONCE = {"Cache-Control": "no-store"}


class Networks(serializers.ListField):
    child = Text(max_length=43)


class ApplicationSerializer(serializers.Serializer[Any]):
    clientId = serializers.CharField(source="client_id", help_text="The OAuth client's id.")
    name = serializers.CharField(help_text="How the operator calls the application.")
    scopes = serializers.ListField(child=serializers.ChoiceField(list(scopes.TEXTS.items())))
    allowedAddresses = Networks(
        source="allowed_networks", help_text="Networks in CIDR it may be used from; none: from anywhere."
    )
    earlierSecretUntil = serializers.DateTimeField(
        source="retiring_until", allow_null=True, help_text="Until when the secret before the present one is good, too."
    )


class RotationSerializer(serializers.Serializer[Any]):
    clientSecret = Text(
        max_length=255, write_only=True, help_text="The secret you have now: a token alone is not enough to ask."
    )
    overlapSeconds = Quantity(
        required=False,
        min_value=0,
        max_value=credentials.OVERLAP_SECONDS_MAX,
        help_text=f"How long it stays good beside the new one; {credentials.OVERLAP_SECONDS} (a day) where not said. 0: not at all.",
    )


class RotatedSerializer(serializers.Serializer[Any]):
    clientId = serializers.CharField(source="application.client_id")
    clientSecret = serializers.CharField(source="client_secret", help_text="The new secret, this once.")
    earlierSecretUntil = serializers.DateTimeField(
        source="earlier_until", allow_null=True, help_text="Until when the secret you showed is good, too."
    )


class ApiKeySerializer(serializers.Serializer[ApiKey]):
    keyId = serializers.CharField(source="prefix", read_only=True, help_text="The first part of the key; not secret.")
    clientId = serializers.CharField(
        source="application.client_id", read_only=True, help_text="The application it acts as: the one that made it."
    )
    name = Text(max_length=100, help_text="What it is for, like the system that holds it.")
    scopes = serializers.ListField(
        child=Text(max_length=40),
        max_length=len(scopes.TEXTS),
        required=False,
        help_text="Some of the application's; not sent: all that a key may have, so not `credentials:write`.",
    )
    allowedAddresses = Networks(
        source="allowed_networks",
        required=False,
        max_length=credentials.NETWORKS_MAX,
        help_text="Networks in CIDR it may be used from, IPv4 and IPv6; none: from anywhere the application may be.",
    )
    expiresAt = serializers.DateTimeField(
        source="expires_at", required=False, allow_null=True, help_text="Null: good until it is revoked."
    )
    createdAt = serializers.DateTimeField(source="created_at", read_only=True)
    lastUsedAt = serializers.DateTimeField(
        source="last_used_at", read_only=True, allow_null=True, help_text="To within ten minutes."
    )
    revokedAt = serializers.DateTimeField(source="revoked_at", read_only=True, allow_null=True)


class NewApiKeySerializer(ApiKeySerializer):
    apiKey = serializers.CharField(
        read_only=True, help_text="The whole key, this once; send it as `Authorization: Bearer` or `X-API-Key`."
    )


class OwnApplication(Door):
    required_scopes: ClassVar = {"GET": "credentials:read"}
    serializer_class = ApplicationSerializer
    pagination_class = None

    @extend_schema(operation_id="getCredentials")
    def get(self, request: Request) -> Response:
        """The calling application: its scopes, from where it may be used, and whether two secrets are good."""
        return Response(self.get_serializer(self.caller.application).data)


class SecretRotation(Door):
    required_scopes: ClassVar = {"POST": "credentials:write"}
    serializer_class = RotationSerializer

    @extend_schema(operation_id="rotateSecret", responses=RotatedSerializer)
    def post(self, request: Request) -> Response:
        """A new client secret beside the present one, which stays good for the overlap, so that no call fails.

        Takes no Idempotency-Key, because the answer is a secret and is not kept. If it was lost, ask again
        with the secret you have: that one stays good, and the new secret nobody saw is good no more.
        Refusals: `wrong_secret` (403).
        """
        fields = self.understood(RotationSerializer)
        made = credentials.rotate_secret(
            application=self.caller.application,
            shown=fields["clientSecret"],
            overlap_seconds=fields.get("overlapSeconds", credentials.OVERLAP_SECONDS),
            actor=self.actor,
            at=timezone.now(),
        )
        return Response(RotatedSerializer(made).data, headers=SHOWN_ONCE)


class ApiKeys(Door):
    required_scopes: ClassVar = {"GET": "credentials:read", "POST": "credentials:write"}
    serializer_class = ApiKeySerializer
    queryset = ApiKey.objects.none()
    keyset = "-id"

    def get_queryset(self) -> QuerySet[ApiKey]:
        return ApiKey.objects.for_partner(self.partner).select_related("application")

    @extend_schema(operation_id="listApiKeys")
    def get(self, request: Request) -> Response:
        """The API keys of the partner, of all its applications and revoked ones too, the newest first."""
        return self.listed(self.get_queryset())

    @extend_schema(operation_id="createApiKey", responses={201: NewApiKeySerializer})
    def post(self, request: Request) -> Response:
        """Make a key for a system that cannot do OAuth. The whole key is in this answer and nowhere else.

        Takes no Idempotency-Key, because the answer is a secret and is not kept; if it was lost, revoke the
        key and make another. Refusals: `too_many_keys` (409, limit).
        """
        fields = self.understood(ApiKeySerializer)
        made = api_keys.create(
            application=self.caller.application,
            name=fields["name"],
            granted_scopes=fields.get("scopes"),
            networks=fields.get("allowed_networks"),
            expires_at=fields.get("expires_at"),
            actor=self.actor,
            at=timezone.now(),
        )
        body = self.get_serializer(made.api_key).data | {"apiKey": made.text}
        location = {"Location": f"/api/v1/apiKeys/{made.api_key.prefix}"}
        return Response(body, status=201, headers=SHOWN_ONCE | location)


class OneApiKey(ApiKeys):
    http_method_names: ClassVar = ["get", "head", "options"]

    @extend_schema(operation_id="getApiKey")
    def get(self, request: Request, key_id: str) -> Response:  # type: ignore[override]
        """One key of the partner, without its secret part."""
        body = self.get_serializer(get_object_or_404(self.get_queryset(), prefix=key_id)).data
        return conditional.with_etag(Response(body), conditional.etag_of(body), request)


class ApiKeyRevocation(ApiKeys):
    http_method_names: ClassVar = ["post", "options"]

    @extend_schema(operation_id="revokeApiKey", request=None, responses=ApiKeySerializer)
    def post(self, request: Request, key_id: str) -> Response:  # type: ignore[override]
        """Take a key back: from now on it is refused. One that is revoked stays as it is."""
        key = get_object_or_404(self.get_queryset(), prefix=key_id)
        revoked = api_keys.revoke(api_key=key, actor=self.actor, at=timezone.now())
        return Response(self.get_serializer(revoked).data)
