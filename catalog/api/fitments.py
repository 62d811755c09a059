"""/fitments and /vehicles: which part fits which car."""

from __future__ import annotations

from typing import Any, ClassVar

from django.shortcuts import get_object_or_404
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.models import Fitment, Variant
from partners.api.doors import Door
from partners.api.pagination import BadPage

NAMES_MAX = 2_000
MAKE = OpenApiParameter("make", str, description="Only of this make.")
MODEL = OpenApiParameter("model", str, description="Only of this model.")


class FitmentSerializer(serializers.Serializer[Fitment]):
    """A part fits the model years from `yearFrom` to `yearTo`, both included."""

    productId = serializers.CharField(source="variant.sku")
    make = serializers.CharField()
    model = serializers.CharField()
    yearFrom = serializers.IntegerField(source="year_from")
    yearTo = serializers.IntegerField(source="year_to")
    engine = serializers.CharField()
    position = serializers.CharField()
    quantity = serializers.IntegerField(help_text="Pieces one vehicle takes.")
    note = serializers.CharField()


class FitmentFilter(filters.FilterSet):
    make = filters.CharFilter("make", lookup_expr="iexact")
    model = filters.CharFilter("model", lookup_expr="iexact")
    year = filters.NumberFilter(method="in_year", min_value=1_880, max_value=2_200)

    def in_year(self, queryset: Any, name: str, year: int) -> Any:
        return queryset.filter(year_from__lte=year, year_to__gte=year)


class FitmentDoor(Door):
    queryset = Fitment.objects.none()
    serializer_class = FitmentSerializer
    filterset_class = FitmentFilter
    required_scopes: ClassVar = {"GET": "catalog:read"}

    def visible(self) -> Any:
        mine = Variant.objects.for_partner(self.partner)
        return Fitment.objects.filter(variant__in=mine).select_related("variant")


class Fitments(FitmentDoor):
    @extend_schema(operation_id="listFitments")
    def get(self, request: Request) -> Response:
        """Parts that fit a vehicle."""
        return self.listed(self.visible())


class ProductFitments(FitmentDoor):
    @extend_schema(operation_id="listProductFitments")
    def get(self, request: Request, sku: str) -> Response:
        """The vehicles a part fits."""
        variant = get_object_or_404(Variant.objects.for_partner(self.partner), sku=sku)
        return self.listed(self.visible().filter(variant=variant))


class Vehicles(FitmentDoor):
    """One step of a cascading choice: makes, then models, then years, of vehicles the caller has parts for."""

    pagination_class = None
    filterset_class = None

    def choice(self, values: Any) -> Response:
        return Response({"items": list(values[:NAMES_MAX])})

    def chosen(self, *names: str) -> Any:
        query = self.request.query_params
        chosen = {name: query[name] for name in names if query.get(name)}
        for name, value in chosen.items():
            if "\x00" in value:
                raise BadPage(f"{name}: the character NUL cannot be used.")
        return self.visible().filter(**{f"{name}__iexact": value for name, value in chosen.items()})


def _answer(name: str, kind: type[serializers.Field]) -> Any:
    return inline_serializer(name, {"items": serializers.ListField(child=kind())})


class Makes(Vehicles):
    @extend_schema(operation_id="listMakes", responses=_answer("Makes", serializers.CharField))
    def get(self, request: Request) -> Response:
        """The makes there are parts for."""
        return self.choice(self.visible().order_by("make").values_list("make", flat=True).distinct())


class Models(Vehicles):
    @extend_schema(operation_id="listModels", parameters=[MAKE], responses=_answer("Models", serializers.CharField))
    def get(self, request: Request) -> Response:
        """The models there are parts for."""
        return self.choice(self.chosen("make").order_by("model").values_list("model", flat=True).distinct())


class Years(Vehicles):
    @extend_schema(
        operation_id="listYears", parameters=[MAKE, MODEL], responses=_answer("Years", serializers.IntegerField)
    )
    def get(self, request: Request) -> Response:
        """The model years there are parts for, newest first."""
        spans = self.chosen("make", "model").values_list("year_from", "year_to").distinct()[:NAMES_MAX]
        return self.choice(sorted({year for first, last in spans for year in range(first, last + 1)}, reverse=True))
