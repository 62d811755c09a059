"""/products/{productId}/consolidated: a parent with its variants and what there is of each, as a shop window shows it."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any, ClassVar

from django.db import connection
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.models import Variant
from catalog.queries import Stocked
from partners.api.doors import Door
from partners.api.pagination import LIMIT_MAX
from stock.api.availability import look, note, told
from stock.availability import Asker
from stock.models import Level

# Of all axes together; a parent has five at most.
VALUES_MAX = 2_000


class AxisSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    values = serializers.ListField(
        child=serializers.CharField(),
        help_text="Those of all variants on sale, whatever the page; 30 ml before 100 ml.",
    )


class ConsolidatedVariant(serializers.Serializer[Any]):
    productId = serializers.CharField()
    name = serializers.CharField()
    gtin = serializers.CharField()
    axisValues = serializers.DictField(child=serializers.CharField(), help_text="Empty where it stands along no axes.")
    attributes = serializers.JSONField()
    status = serializers.ChoiceField(Variant.Status)
    isAvailable = serializers.BooleanField(help_text="Whether one can be promised today.")
    availableQuantity = serializers.IntegerField(allow_null=True, help_text="Null where only yes or no is told.")
    availability = serializers.CharField(help_text="The quantity in words, as disclosed: 37, 20+, 10-49, yes.")
    earliestDate = serializers.DateField(allow_null=True, help_text="Where exact numbers are told.")


class ConsolidatedSerializer(serializers.Serializer[Any]):
    productId = serializers.CharField()
    name = serializers.CharField()
    brand = serializers.CharField()
    productType = serializers.CharField()
    attributes = serializers.JSONField(help_text="The parent's own.")
    axes = AxisSerializer(many=True, help_text="What to choose by, in this order.")
    items = ConsolidatedVariant(many=True)
    nextCursor = serializers.CharField(
        allow_null=True, help_text="Send it as `cursor` for the next page; null on the last page."
    )
    asOf = serializers.DateTimeField()


class ConsolidatedFilter(filters.FilterSet):
    status = filters.ChoiceFilter("status", choices=Variant.Status, help_text="active, if not given.")
    channel = filters.CharFilter(
        method="for_channel", max_length=40, help_text="Whose guarantees, caps and buffers count, as in /availability."
    )

    def for_channel(self, queryset: Any, name: str, channel: str) -> Any:
        return queryset

    def filter_queryset(self, queryset: Any) -> Any:
        self.form.cleaned_data["status"] = self.form.cleaned_data["status"] or Variant.Status.ACTIVE
        return super().filter_queryset(queryset)


class Consolidated(Door):
    """One page of a shop: the product, what to choose by, and each variant with its availability."""

    queryset = Level.objects.none()
    filterset_class = ConsolidatedFilter
    keyset = "sku"
    required_scopes: ClassVar = {"GET": "inventory:read"}

    @extend_schema(
        operation_id="getConsolidatedProduct",
        responses=ConsolidatedSerializer,
        parameters=[
            OpenApiParameter("status", str, enum=Variant.Status.values, description="active, if not given."),
            OpenApiParameter("channel", str, description="Whose guarantees, caps and buffers count."),
            OpenApiParameter(
                "limit",
                {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX},
                description=f"Variants a page, at most {LIMIT_MAX}.",
            ),
            OpenApiParameter("cursor", str, description="`nextCursor` of the page before."),
        ],
    )
    def get(self, request: Request, sku: str) -> Response:
        """A parent with the variants of the caller's assortment, and of each what can be promised, as disclosed.

        Paged by cursor; the same number of queries however many variants. What gathers none is its own only item.
        """
        mine = Variant.objects.for_partner(self.partner)
        product = get_object_or_404(mine, sku=sku)
        family = mine.filter(parent=product) if product.is_parent else mine.filter(pk=product.pk)
        page: list[Variant] = self.paginate_queryset(self.filter_queryset(family))
        at = timezone.now()
        asker = Asker(partner=self.partner, channel=request.query_params.get("channel", ""), at=at)
        # Any of them may be a kit: it is looked up.
        named = [Stocked(pk=variant.pk, sku=variant.sku, is_kit=True) for variant in page]
        found = look(named, asker, partner=self.partner, needed_by=None, with_equivalents=False)
        rule = self.partner.disclosure_rule
        note(self.partner, found, [variant.pk for variant in page], at)
        return Response(
            {
                "productId": product.sku,
                "name": product.name,
                "brand": product.brand,
                "productType": product.product_type_id,
                "attributes": product.attributes,
                "axes": axes_of(product, family),
                "items": [as_json(variant) | told(found.answer(variant.pk), 1, rule) for variant in page],
                "nextCursor": self.paginator.next_cursor,  # type: ignore[union-attr]  # the house's own
                "asOf": at.isoformat().replace("+00:00", "Z"),
            }
        )


def as_json(variant: Variant) -> dict[str, Any]:
    return {
        "productId": variant.sku,
        "name": variant.name,
        "gtin": variant.gtin,
        "axisValues": variant.axis_values,
        "attributes": variant.attributes,
        "status": variant.status,
    }


def axes_of(product: Variant, family: Any) -> list[dict[str, Any]]:
    """The axes with the values of all variants on sale. One query, by the index of the parent's variants."""
    if not product.axes:
        return []
    on_sale = family.filter(status=Variant.Status.ACTIVE).order_by().values("axis_values")
    sql, params = on_sale.query.sql_with_params()
    values: dict[str, list[str]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT DISTINCT said.key, said.value FROM ({sql}) family, jsonb_each_text(family.axis_values) said LIMIT %s",  # noqa: S608  Django's own
            [*params, VALUES_MAX],
        )
        for axis, value in cursor.fetchall():
            values[axis].append(value)
    return [{"name": axis, "values": sorted(values[axis], key=in_human_order)} for axis in product.axes]


def in_human_order(text: str) -> list[tuple[int, int, str]]:
    """30 ml before 100 ml, and 1N1 before 1N10."""
    parts = re.findall(r"\d{1,18}|\D+", text.casefold())
    return [(0, int(part), "") if part[0].isdecimal() else (1, 0, part) for part in parts]
