"""/products/{productId}/components: what makes one kit."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import transaction
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.models import KitComponent, Variant
from catalog.operations import kits
from catalog.operations.kits import COMPONENTS_MAX, Part
from partners.api import conditional
from partners.api.doors import IF_MATCH, Door
from partners.api.fields import Quantity, Text
from partners.problems import InvalidInput

UNITS_MAX = 1_000_000


class ComponentFields(serializers.Serializer[Any]):
    productId = Text(source="component.sku", max_length=64)
    quantity = Quantity(max_value=UNITS_MAX, help_text="Stock units in one kit.")


class ComponentsSerializer(serializers.Serializer[Any]):
    """A kit is sold as one and kept as its components; without components it is no kit."""

    components = ComponentFields(many=True, max_length=COMPONENTS_MAX)


class Components(Door):
    queryset = KitComponent.objects.none()
    serializer_class = ComponentsSerializer
    pagination_class = None
    required_scopes: ClassVar = {"GET": "catalog:read", "PUT": "catalog:write"}

    def mine(self) -> Any:
        return Variant.objects.for_partner(self.partner)

    def answer(self, kit: Variant) -> Response:
        """Components that are not the caller's to see are left out."""
        rows = list(kit.components.select_related("component").order_by("id"))
        visible = set(self.mine().filter(pk__in=[row.component_id for row in rows]).values_list("pk", flat=True))
        shown = [row for row in rows if row.component_id in visible]
        body = ComponentsSerializer({"components": shown}).data
        return conditional.with_etag(Response(body), conditional.etag(kit.version), self.request)

    @extend_schema(operation_id="getComponents")
    def get(self, request: Request, sku: str) -> Response:
        """What makes one kit, with the product's ETag; empty for what is no kit."""
        return self.answer(get_object_or_404(self.mine(), sku=sku))

    @extend_schema(operation_id="composeKit", parameters=[IF_MATCH])
    def put(self, request: Request, sku: str) -> Response:
        """Replace what makes one kit. What is promised already keeps the components it was promised with.

        409 `kit_is_stocked` for a product with stock of its own, `kit_holds_kits` where a component is a kit; 403
        `kept_by_the_house` where a supplier speaks of a kit it does not supply alone.
        """
        accepted = conditional.required_match(request)
        kit = get_object_or_404(self.mine(), sku=sku)
        asked = self.understood(ComponentsSerializer)["components"]
        parts = self.parts(asked)
        with transaction.atomic(durable=True):
            locked = kits.lock(variants=[kit, *(part.component for part in parts)])
            conditional.check_match(accepted, conditional.etag(locked[kit.pk].version))
            if kit.components.exclude(component__in=self.mine()).exists():
                raise InvalidInput.at("components", "Some of its components are not yours to replace.")
            kit = kits.compose(
                kit=kit, parts=parts, actor=self.actor,
                supplier=self.partner if self.partner.speaks_for_itself else None,
            )  # fmt: skip
        return self.answer(kit)

    def parts(self, asked: list[dict[str, Any]]) -> list[Part]:
        skus = [row["component"]["sku"] for row in asked]
        known = {variant.sku: variant for variant in self.mine().filter(sku__in=skus)}
        unknown = [
            (f"components[{place}].productId", f"There is no product {sku} for you.")
            for place, sku in enumerate(skus)
            if sku not in known
        ]
        if unknown:
            raise InvalidInput.of(unknown)
        return [Part(component=known[row["component"]["sku"]], quantity=row["quantity"]) for row in asked]
