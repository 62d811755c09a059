"""The other end of the HTTP benchmark: the same two doors as DRF's and the OAuth library's tutorials would have them.

The token is looked up in the database, a throttle counts in the process's cache, serializers read and write, the
ORM asks. It knows no kits, no rules, no inbound goods, no idempotency and no reasons, so it does less than ours.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any, ClassVar

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "inventory_site.settings")

from django.conf import settings
from django.core.wsgi import get_wsgi_application

settings.ROOT_URLCONF = "inventory_site.bench_http_usual"
settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
application = get_wsgi_application()

from django.db import transaction  # noqa: E402  the apps are there only now
from django.http import HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402
from django.utils import timezone  # noqa: E402
from oauth2_provider.contrib.rest_framework import OAuth2Authentication, TokenHasScope  # noqa: E402
from rest_framework import serializers, throttling  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

from catalog.models import Variant  # noqa: E402
from stock.models import Allocation, Level, Reservation, ReservationLine  # noqa: E402


class LineSerializer(serializers.Serializer[Any]):
    productId = serializers.SlugRelatedField(slug_field="sku", queryset=Variant.objects.all(), source="variant")
    quantity = serializers.IntegerField(min_value=1, default=1)


class AskSerializer(serializers.Serializer[Any]):
    lines = LineSerializer(many=True)


class WishSerializer(AskSerializer):
    reference = serializers.CharField(max_length=120)


class ReservationSerializer(serializers.ModelSerializer[Reservation]):
    class Meta:
        model = Reservation
        fields = ("public_id", "reference", "state", "expires_at", "version")


class Throttle(throttling.SimpleRateThrottle):
    rate = "1000000/min"
    scope = "client"

    def get_cache_key(self, request: Any, view: Any) -> str:
        return f"throttle:{request.auth.application_id}"

    def allow_request(self, request: Any, view: Any) -> bool:
        """It keeps a moment for each call of the minute; here of the last hundred, as with a usual rate."""
        allowed = super().allow_request(request, view)
        self.cache.set(self.key, self.history[:100], 60)
        return bool(allowed)


class Usual(APIView):
    authentication_classes = (OAuth2Authentication,)
    permission_classes = (TokenHasScope,)
    throttle_classes = (Throttle,)


class Availability(Usual):
    required_scopes: ClassVar = ["inventory:read"]

    def post(self, request: Any) -> Response:
        asked = AskSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        lines = asked.validated_data["lines"]
        levels = Level.objects.filter(
            variant__in=[line["variant"] for line in lines], condition="sellable", location__warehouse__is_active=True
        ).select_related("location__warehouse", "batch")
        free: dict[int, int] = {}
        today = timezone.now().date()
        for level in levels:
            if level.batch is None or (
                level.batch.hold_state == "released" and (level.batch.expires_on or today) >= today
            ):
                free[level.variant_id] = free.get(level.variant_id, 0) + level.on_hand - level.reserved
        return Response(
            {
                "lines": [
                    {"productId": line["variant"].sku, "availableQuantity": free.get(line["variant"].pk, 0)}
                    for line in lines
                ]
            }
        )


class Reservations(Usual):
    required_scopes: ClassVar = ["reservations:write"]

    @transaction.atomic
    def post(self, request: Any) -> Response:
        wish = WishSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        reservation = Reservation.objects.create(
            partner=request.auth.application.partner, reference=wish.validated_data["reference"], fingerprint="f" * 64,
            expires_at=timezone.now() + timedelta(minutes=15), actor="job:bench",
        )  # fmt: skip
        for line in wish.validated_data["lines"]:
            made = ReservationLine.objects.create(
                reservation=reservation, variant=line["variant"], quantity=line["quantity"], warehouse_code=""
            )
            level = (
                Level.objects.select_for_update()
                .filter(variant=line["variant"], condition="sellable", on_hand__gt=0)
                .order_by("id")[0]
            )
            Allocation.objects.create(line=made, level=level, quantity=line["quantity"])
            level.reserved += line["quantity"]
            level.version += 1
            level.save()
        return Response(ReservationSerializer(reservation).data, status=201)


urlpatterns = [
    path("livez", lambda request: HttpResponse("ok")),
    path("api/v1/availability", Availability.as_view()),
    path("api/v1/reservations", Reservations.as_view()),
]
