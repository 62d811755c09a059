"""/productTypes: what sorts of products there are, and what is said of each."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import Prefetch
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog import schemas
from catalog.models import ProductType, ProductTypeSchema, WarrantyPer
from partners.api.doors import Door


class FilterSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(help_text="Ask for it by `attributes.<name>=`.")
    types = serializers.ListField(
        child=serializers.CharField(), help_text="The JSON types of its values, of a list: of the list's values."
    )
    isRange = serializers.BooleanField(help_text="Whether `attributes.<name>.min=` and `.max=` can be asked for.")


class ProductTypeSerializer(serializers.Serializer[ProductType]):
    """A type. Shelf life and warranty count for products that say none of their own."""

    code = serializers.CharField(help_text="What a product says as its `productType`.")
    name = serializers.CharField()
    requiresBatch = serializers.BooleanField(source="requires_batch", help_text="Its products are tracked by batch.")
    requiresExpiry = serializers.BooleanField(
        source="requires_expiry", help_text="A batch is received with its expiry date, or not at all."
    )
    shelfLifeDays = serializers.IntegerField(source="shelf_life_days", allow_null=True, help_text="In days.")
    warrantyMonths = serializers.IntegerField(source="warranty_months", allow_null=True, help_text="In months.")
    warrantyPer = serializers.ChoiceField(WarrantyPer, source="warranty_per", allow_blank=True)
    warrantyTerms = serializers.CharField(source="warranty_terms", help_text="In words.")
    schemaVersion = serializers.SerializerMethodField(help_text="Of the newest schema; null: any attributes.")
    schema = serializers.SerializerMethodField(
        method_name="get_json_schema",
        help_text="What `attributes` must be like: JSON Schema, draft 2020-12. Null: any attributes.",
    )
    filters = serializers.SerializerMethodField(help_text="The attributes products of this type can be found by.")

    def newest(self, kind: ProductType) -> ProductTypeSchema | None:
        return next(iter(kind.newest_schemas), None)  # type: ignore[attr-defined]  # fetched with the page

    def get_schemaVersion(self, kind: ProductType) -> int | None:
        found = self.newest(kind)
        return found.version if found else None

    def get_json_schema(self, kind: ProductType) -> dict[str, Any] | None:
        found = self.newest(kind)
        return found.schema if found else None

    @extend_schema_field(FilterSerializer(many=True))
    def get_filters(self, kind: ProductType) -> list[dict[str, Any]]:
        found = self.newest(kind)
        if found is None:
            return []
        validator = schemas.understood(found.schema)
        return [
            {"name": name, "types": sorted(kinds), "isRange": name in validator.ranges}
            for name, kinds in sorted(validator.filters.items())
        ]


class ProductTypeFilter(filters.FilterSet):
    code = filters.CharFilter("code", lookup_expr="iexact", help_text="One type alone; capitals do not matter.")


class ProductTypes(Door):
    """The types of products."""

    queryset = ProductType.objects.none()
    serializer_class = ProductTypeSerializer
    filterset_class = ProductTypeFilter
    keyset = "code"
    required_scopes: ClassVar = {"GET": "catalog:read"}

    @extend_schema(operation_id="listProductTypes")
    def get(self, request: Request) -> Response:
        """The types there are. They are the house's and the same for everybody."""
        newest = ProductTypeSchema.objects.order_by("product_type_id", "-version").distinct("product_type_id")
        return self.listed(ProductType.objects.prefetch_related(Prefetch("schemas", newest, to_attr="newest_schemas")))
