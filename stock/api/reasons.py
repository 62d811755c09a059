"""/reasons: why stock is set right or destroyed, and where lost units then go."""

from __future__ import annotations

from typing import ClassVar

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from partners.api.doors import Door
from stock.models import Reason


class ReasonSerializer(serializers.Serializer[Reason]):
    code = serializers.CharField(help_text="What a booking says as its `reason`; case does not matter.")
    name = serializers.CharField()
    type = serializers.ChoiceField(Reason.Operation, source="operation", help_text="The booking it is for.")
    to = serializers.CharField(source="place", help_text="Where lost units go: lost, scrap or consumed.")


class ReasonFilter(filters.FilterSet):
    type = filters.ChoiceFilter("operation", choices=Reason.Operation)


class Reasons(Door):
    """Reasons for adjustments and write-offs."""

    queryset = Reason.objects.none()
    serializer_class = ReasonSerializer
    filterset_class = ReasonFilter
    keyset = "code"
    required_scopes: ClassVar = {"GET": "inventory:read"}

    @extend_schema(operation_id="listReasons")
    def get(self, request: Request) -> Response:
        """The reasons in use. They are the house's and the same for everybody."""
        return self.listed(Reason.objects.filter(is_active=True))
