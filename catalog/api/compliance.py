"""/products/{productId}/compliance: what counts for a product on a day, its own words and those of its type."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog import queries
from catalog.models import RegulatoryNote, Variant, WarrantyPer
from catalog.operations.compliance import JURISDICTION
from partners.api.doors import Door
from partners.api.pagination import BadPage

SAID_BY = ("product", "productType")


class WarrantySerializer(serializers.Serializer[Any]):
    months = serializers.IntegerField(help_text="From the day the goods were shipped.")
    per = serializers.ChoiceField(WarrantyPer, help_text="Each unit by itself, or what one order line delivered.")
    terms = serializers.CharField(help_text="In words.")
    saidBy = serializers.ChoiceField(SAID_BY, source="said_by", help_text="Whose terms these are.")


class RegulatoryNoteSerializer(serializers.Serializer[RegulatoryNote]):
    jurisdiction = serializers.CharField(help_text="EU, a country or a part of one; empty: everywhere.")
    text = serializers.CharField(help_text="What is asked.")
    document = serializers.CharField(help_text="Where it is written.")
    validFrom = serializers.DateField(source="valid_from", allow_null=True, help_text="The first day; null: always.")
    validTo = serializers.DateField(source="valid_to", allow_null=True, help_text="The last day; null: for good.")
    saidBy = serializers.SerializerMethodField(help_text="`product`, or `productType` where it holds for all of it.")

    def get_saidBy(self, note: RegulatoryNote) -> str:
        return "product" if note.variant_id else "productType"


class ComplianceSerializer(serializers.Serializer[Any]):
    shelfLifeDays = serializers.IntegerField(source="shelf_life_days", allow_null=True, help_text="When made.")
    requiresBatch = serializers.BooleanField(source="requires_batch", help_text="It is tracked by batch.")
    requiresExpiry = serializers.BooleanField(
        source="requires_expiry", help_text="A batch is received with its expiry date, or not at all."
    )
    warranty = WarrantySerializer(allow_null=True, help_text="Null: none is given.")
    regulatoryNotes = RegulatoryNoteSerializer(source="notes", many=True, help_text="Those in force on the day.")


class Asked(forms.Form):
    on = forms.DateField(required=False, input_formats=["%Y-%m-%d"])
    jurisdiction = forms.RegexField(JURISDICTION, required=False, max_length=6)


class Compliance(Door):
    queryset = Variant.objects.none()
    pagination_class = None
    required_scopes: ClassVar = {"GET": "catalog:read"}

    @extend_schema(
        operation_id="getProductCompliance",
        responses=ComplianceSerializer,
        parameters=[
            OpenApiParameter("on", {"type": "string", "format": "date"}, description="The day; today if not given."),
            OpenApiParameter(
                "jurisdiction", str, description="Only what holds there: for US-CA that is US-CA, US and everywhere."
            ),
        ],
    )
    def get(self, request: Request, sku: str) -> Response:
        """Shelf life, batches, warranty and what the law asks: the product's own, and its type's where it has none."""
        mine = Variant.objects.for_partner(self.partner).select_related("product_type")
        variant = get_object_or_404(mine, sku=sku)
        asked = Asked(request.query_params)
        if not asked.is_valid():
            raise BadPage(" ".join(f"{name}: {' '.join(found)}" for name, found in asked.errors.items()))
        found = queries.compliance_of(
            variant,
            on=asked.cleaned_data["on"] or timezone.now().date(),
            jurisdiction=asked.cleaned_data["jurisdiction"],
        )
        return Response(ComplianceSerializer(found).data)
