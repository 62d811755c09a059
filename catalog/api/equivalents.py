"""/products/{productId}/equivalents: what replaced a part, and what is equal to it."""

from __future__ import annotations

import hashlib
import json
from typing import Any, ClassVar

from django.db import transaction
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog import interchange
from catalog.models import Equivalent, Variant
from catalog.operations import equivalents
from catalog.operations.equivalents import EQUALS_MAX, SUCCESSORS_MAX, Equal, Said, Successor
from partners.api import conditional
from partners.api.doors import IF_MATCH, Door
from partners.api.fields import Day, Text
from partners.problems import InvalidInput


class SuccessorFields(serializers.Serializer[Any]):
    productId = Text(max_length=64, help_text="What replaces it.")
    validFrom = Day(required=False, allow_null=True, default=None, help_text="From which day on; null: from ever.")


class EqualFields(serializers.Serializer[Any]):
    """A product of the catalog by its `productId`, or another brand's number that is not in it."""

    productId = Text(max_length=64, required=False, allow_null=True, default=None, help_text="A product.")
    brand = Text(max_length=120, required=False, allow_blank=True, default="", help_text="Whose number it is.")
    partNumber = Text(max_length=64, required=False, allow_blank=True, default="", help_text="Another brand's number.")

    def validate(self, row: dict[str, Any]) -> dict[str, Any]:
        if bool(row["productId"]) == bool(row["partNumber"]):
            raise serializers.ValidationError({"productId": "Name a product or a part number, and not both."})
        if row["partNumber"] and not any(sign.isalnum() for sign in row["partNumber"]):
            raise serializers.ValidationError({"partNumber": "It holds no letter and no digit."})
        if row["productId"] and row["brand"]:
            raise serializers.ValidationError({"brand": "A product has its own brand."})
        return row


class ChainFields(serializers.Serializer[Any]):
    productId = serializers.CharField(help_text="A successor, or a successor's.")
    steps = serializers.IntegerField(help_text="Links down the chain.")
    isLast = serializers.BooleanField(help_text="Nothing replaced it until today.")


class PredecessorFields(serializers.Serializer[Any]):
    productId = serializers.CharField(help_text="What it replaced.")
    validFrom = serializers.DateField(allow_null=True, help_text="From which day on; null: from ever.")


class EquivalentsSerializer(serializers.Serializer[Any]):
    """What may be taken instead of a part."""

    supersededBy = SuccessorFields(many=True, max_length=SUCCESSORS_MAX, help_text="What replaces it directly.")
    interchangeableWith = EqualFields(
        many=True, max_length=EQUALS_MAX, help_text="What is equal to it, and to one another."
    )
    supersedes = PredecessorFields(many=True, read_only=True, help_text="What it replaced directly.")
    chain = ChainFields(many=True, read_only=True, help_text="Whatever replaces it today, followed to the end.")


class Equivalents(Door):
    queryset = Equivalent.objects.none()
    serializer_class = EquivalentsSerializer
    pagination_class = None
    required_scopes: ClassVar = {"GET": "catalog:read", "PUT": "catalog:write"}

    def mine(self) -> Any:
        return Variant.objects.for_partner(self.partner)

    def answer(self, variant: Variant) -> Response:
        """Products that are not the caller's to see are left out."""
        said = equivalents.said_of(variant=variant)
        instead = interchange.instead_of(variant_ids=[variant.pk], on=timezone.now().date())
        chain = [row for row in instead if row.steps]
        ids = {row.other_id for row in chain} | named_in(said)
        skus = dict(self.mine().filter(pk__in=ids).values_list("pk", "sku"))
        numbers = [(row.brand, row.part_number) for row in said.members if not row.variant_id]
        equal_ids = [row.pk for row in said.pairs] + [row.variant_id for row in said.members if row.variant_id]
        body = {
            "supersededBy": [
                {"productId": skus[row.other_id], "validFrom": row.valid_from}
                for row in said.successors if row.other_id in skus
            ],
            "supersedes": [
                {"productId": skus[row.variant_id], "validFrom": row.valid_from}
                for row in said.predecessors if row.variant_id in skus
            ],
            "chain": [
                {"productId": skus[row.other_id], "steps": row.steps, "isLast": row.is_last}
                for row in chain if row.other_id in skus
            ],
            "interchangeableWith": [
                *({"productId": skus[pk], "brand": "", "partNumber": ""} for pk in dict.fromkeys(equal_ids) if pk in skus),
                *({"productId": None, "brand": brand, "partNumber": number} for brand, number in numbers),
            ],
        }  # fmt: skip
        return conditional.with_etag(Response(EquivalentsSerializer(body).data), tag_of(said), self.request)

    @extend_schema(operation_id="getEquivalents")
    def get(self, request: Request, sku: str) -> Response:
        """What may be taken instead of a part, with an ETag of its own."""
        return self.answer(get_object_or_404(self.mine(), sku=sku))

    @extend_schema(operation_id="sayEquivalents", parameters=[IF_MATCH])
    def put(self, request: Request, sku: str) -> Response:
        """Say what replaces a part and what is equal to it; both lists are replaced whole.

        All that is in `interchangeableWith` is equal to one another, too; with an empty list the part leaves its
        equals. 409 `supersession_cycle` where a part would replace itself, `in_another_group` for what is equal to
        other parts already; 403 `kept_by_the_house` where a supplier speaks of what it does not supply alone.
        """
        accepted = conditional.required_match(request)
        variant = get_object_or_404(self.mine(), sku=sku)
        asked = self.understood(EquivalentsSerializer)
        successors, equals = self.meant(asked)
        with transaction.atomic(durable=True):
            equivalents.lock()
            said = equivalents.said_of(variant=variant)
            conditional.check_match(accepted, tag_of(said))
            self.refuse_hidden(variant, said)
            equivalents.say(
                variant=variant, successors=successors, equals=equals, actor=self.actor,
                supplier=self.partner if self.partner.speaks_for_itself else None,
            )  # fmt: skip
        return self.answer(variant)

    def meant(self, asked: dict[str, Any]) -> tuple[list[Successor], list[Equal]]:
        """The body's products; one query. Raises InvalidInput naming each the caller does not have."""
        names = ("supersededBy", "interchangeableWith")
        skus = {row["productId"] for name in names for row in asked[name] if row["productId"]}
        known = {variant.sku: variant for variant in self.mine().filter(sku__in=skus)}
        unknown = [
            (f"{name}[{place}].productId", f"There is no product {row['productId']} for you.")
            for name in names
            for place, row in enumerate(asked[name])
            if row["productId"] and row["productId"] not in known
        ]
        if unknown:
            raise InvalidInput.of(unknown)
        successors = [
            Successor(variant=known[row["productId"]], valid_from=row["validFrom"]) for row in asked["supersededBy"]
        ]
        equals = [
            Equal(variant=known.get(row["productId"]), brand=row["brand"], part_number=row["partNumber"])
            for row in asked["interchangeableWith"]
        ]
        return successors, equals

    def refuse_hidden(self, variant: Variant, said: Said) -> None:
        """What the caller was not shown it cannot replace. Raises InvalidInput."""
        replaced = named_in(said) - {row.variant_id for row in said.predecessors}
        if self.mine().filter(pk__in=replaced).count() < len(replaced):
            raise InvalidInput.at("interchangeableWith", "Some of its equivalents are not yours to replace.")


def named_in(said: Said) -> set[int]:
    """The products beside the part itself."""
    links = {row.other_id for row in said.successors} | {row.variant_id for row in said.predecessors}
    return links | {row.pk for row in said.pairs} | {row.variant_id for row in said.members if row.variant_id}


def tag_of(said: Said) -> str:
    """The ETag: a digest of all that a PUT replaces, for a group also changes by what is said of its other parts."""
    content = [
        [[row.other_id, str(row.valid_from)] for row in said.successors],
        sorted(row.pk for row in said.pairs),
        sorted([str(row.variant_id), row.brand, row.part_number] for row in said.members),
    ]
    return conditional.etag(hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16])
