"""POST /availability: what can be promised, as far as the caller is told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog import interchange
from catalog.models import Equivalent, KitComponent, Variant
from catalog.queries import Stocked
from partners.api import fast, plain
from partners.api.doors import Door
from partners.api.fields import Day, Flag, Quantity, Text
from partners.disclosure import Rule
from partners.models import Partner
from partners.problems import InvalidInput
from stock import availability
from stock.atp import HORIZON_DAYS, Answer, Term
from stock.availability import Asker, KitAnswer, Seen
from stock.models import Level
from stock.operations import lookups

LINES_MAX = 500


class AskedLine(serializers.Serializer[Any]):
    productId = Text(source="sku", max_length=64)
    quantity = Quantity(required=False, default=1)


class AskedFields(serializers.Serializer[Any]):
    """`shipTo` may be sent along and changes nothing: by when goods arrive is asked at /deliveryDates."""

    ignores: ClassVar = frozenset({"shipTo"})
    lines = AskedLine(many=True, allow_empty=False, max_length=LINES_MAX)
    channel = Text(max_length=40, required=False, default="", allow_blank=True)
    needBy = Day(
        source="needed_by", required=False, default=None, allow_null=True,
        help_text="The day the goods leave; today if not given.",
    )  # fmt: skip
    explain = Flag(required=False, default=False)
    includeEquivalents = Flag(
        required=False,
        default=False,
        help_text="Also answer for what superseded a product or is interchangeable with it.",
    )

    def validate_needBy(self, day: date | None) -> date | None:
        if day is not None and not 0 <= (day - timezone.now().date()).days <= 10 * HORIZON_DAYS:
            raise serializers.ValidationError("A day from today on, within the next 900.")
        return day


class TermSerializer(serializers.Serializer[Any]):
    term = serializers.CharField(
        help_text="onHand, transfer, purchaseOrder; reserved; why units do not count (expired, shelfLife, quarantined,"
        " recalled, quarantine, damaged, warranty, warehouseClosed); nodeSafety, poolSafety, guarantee, cap, buffer; backorder."
    )
    quantity = serializers.IntegerField()
    warehouseLocation = serializers.CharField(allow_null=True)
    label = serializers.CharField(allow_null=True, help_text="The batch, document or channel.")
    date = serializers.DateField(allow_null=True)
    productId = serializers.CharField(allow_null=True, help_text="Of a kit: the component this is about.")


class DatedQuantity(serializers.Serializer[Any]):
    date = serializers.DateField()
    quantity = serializers.IntegerField()


class WarehouseAvailability(serializers.Serializer[Any]):
    warehouseLocation = serializers.CharField()
    availableQuantity = serializers.IntegerField()


class EquivalentSerializer(serializers.Serializer[Any]):
    productId = serializers.CharField()
    relation = serializers.ChoiceField(Equivalent.Relation)
    isAvailable = serializers.BooleanField()
    availableQuantity = serializers.IntegerField(allow_null=True)
    availability = serializers.CharField()
    earliestDate = serializers.DateField(allow_null=True)


class AvailableLine(serializers.Serializer[Any]):
    productId = serializers.CharField()
    quantity = serializers.IntegerField()
    isAvailable = serializers.BooleanField(help_text="Whether the asked quantity can be promised for the day.")
    availableQuantity = serializers.IntegerField(allow_null=True, help_text="Null where only yes or no is told.")
    availability = serializers.CharField(help_text="The quantity in words, as disclosed: 37, 20+, 10-49, yes.")
    backorderQuantity = serializers.IntegerField(
        help_text="What may be ordered on top without stock; 0 unless told exactly."
    )
    earliestDate = serializers.DateField(allow_null=True, help_text="The first day on which all can leave together.")
    byDate = DatedQuantity(many=True, help_text="From each day on, what can leave on one day; the days do not add up.")
    byWarehouse = WarehouseAvailability(
        many=True, help_text="What each warehouse alone can promise, where exact numbers are told."
    )
    explanation = TermSerializer(many=True, help_text="Adds up to availableQuantity and backorderQuantity.")
    equivalents = EquivalentSerializer(many=True)


class AvailabilitySerializer(serializers.Serializer[Any]):
    lines = AvailableLine(many=True)
    asOf = serializers.DateTimeField()


@dataclass(frozen=True, kw_only=True)
class Found:
    """All that one request needs to know, read once."""

    answers: dict[int, Answer]
    kits: dict[int, list[KitComponent]]
    skus: dict[int, str]
    equivalents: dict[int, list[tuple[Variant, str]]]

    def answer(self, variant_id: int) -> Answer | KitAnswer:
        if parts := self.kits.get(variant_id):
            return availability.available_kit(parts, self.answers)
        return self.answers[variant_id]


def look(
    variants: Collection[Stocked],
    asker: Asker,
    *,
    partner: Partner,
    needed_by: date | None,
    with_equivalents: bool,
    seen: Seen | None = None,
) -> Found:
    """Everything in a handful of queries, whatever the number of products."""
    skus = {variant.pk: variant.sku for variant in variants}
    equivalents: dict[int, list[tuple[Variant, str]]] = defaultdict(list)
    if with_equivalents:
        rows = interchange.instead_of(variant_ids=list(skus), on=needed_by or asker.today)
        others = Variant.objects.for_partner(partner).stocked().filter(status=Variant.Status.ACTIVE)
        by_id = others.in_bulk({row.other_id for row in rows})
        for row in rows:
            if row.other_id in by_id:
                equivalents[row.variant_id].append((by_id[row.other_id], row.relation))
    wanted = set(skus) | {variant.pk for others in equivalents.values() for variant, _ in others}
    kits: dict[int, list[KitComponent]] = defaultdict(list)
    if equivalents or any(variant.is_kit for variant in variants):
        for part in KitComponent.objects.filter(kit__in=wanted).select_related("component").order_by("id"):
            kits[part.kit_id].append(part)
            skus[part.component_id] = part.component.sku
    parts = {part.component_id for found in kits.values() for part in found}
    # What was seen is of the products named; a kit's parts and equivalents are others.
    answers = availability.available(
        variant_ids=(wanted - set(kits)) | parts, asker=asker, needed_by=needed_by,
        seen=None if kits or equivalents else seen,
    )  # fmt: skip
    return Found(answers=answers, kits=dict(kits), skus=skus, equivalents=equivalents)


def note(partner: Partner, found: Found, variant_ids: Iterable[int], at: datetime) -> None:
    """Who was told what of these products, for the leak report."""
    bounds = partner.disclosure_rule.bounds
    known = [(variant_id, *bounds(found.answer(variant_id).available)) for variant_id in variant_ids]
    lookups.note(partner=partner, known=known, at=at)


def told(answer: Answer | KitAnswer, quantity: int, rule: Rule) -> dict[str, Any]:
    """What is said of one product, as far as the caller's disclosure goes."""
    said = rule.tell(answer.available)
    is_available = answer.available >= quantity
    earliest = answer.earliest(quantity) if rule.is_exact else None
    return {
        # Below the disclosed bound the plain answer must not be a way to ask for the exact number.
        "isAvailable": is_available if rule.is_exact else quantity <= max(said.quantity or 0, 1) and is_available,
        "availableQuantity": said.quantity,
        "availability": said.label,
        "earliestDate": earliest.isoformat() if earliest else None,
    }


class Availability(Door):
    """What can be promised."""

    queryset = Level.objects.none()
    pagination_class = None
    required_scopes: ClassVar = {"POST": "inventory:read"}

    @extend_schema(operation_id="askAvailability", request=AskedFields, responses=AvailabilitySerializer)
    def post(self, request: Request) -> Response:
        """What can be promised on each day, for up to 500 products at once; a fixed number of queries.

        What is sellable now and what is on its way, less what is promised, safety stock, what other channels are
        guaranteed, and this channel's cap and buffer. `explain` gives every term; they add up to the number.
        """
        return Response(look_up(self.understood(AskedFields), partner=self.partner, at=timezone.now()))


def look_up(fields: dict[str, Any], *, partner: Partner, at: datetime) -> dict[str, Any]:
    """The whole answer to fields that are understood. Raises InvalidInput for products there are not for the partner."""
    skus = [line["sku"] for line in fields["lines"]]
    asker = Asker(partner=partner, channel=fields["channel"], at=at)
    seen = availability.look_at(skus, asker=asker)
    variants = seen.variants
    unknown = [(f"lines[{place}].productId", f"There is no product {sku} for you.")
               for place, sku in enumerate(skus) if sku not in variants]  # fmt: skip
    if unknown:
        raise InvalidInput.of(unknown)
    found = look(
        variants.values(), asker, partner=partner, needed_by=fields["needed_by"],
        with_equivalents=fields["includeEquivalents"], seen=seen,
    )  # fmt: skip
    rule = partner.disclosure_rule
    lines = [
        line_of(asked, variants[asked["sku"]].pk, found, rule=rule, explain=fields["explain"])
        for asked in fields["lines"]
    ]
    others = [other.pk for rows in found.equivalents.values() for other, _ in rows]
    note(partner, found, [*(variant.pk for variant in variants.values()), *others], at)
    return {"lines": lines, "asOf": at.isoformat().replace("+00:00", "Z")}


def line_of(asked: dict[str, Any], variant_id: int, found: Found, *, rule: Rule, explain: bool) -> dict[str, Any]:
    answer = found.answer(variant_id)
    is_told = rule.is_exact
    return {
        "productId": asked["sku"],
        "quantity": asked["quantity"],
        **told(answer, asked["quantity"], rule),
        "backorderQuantity": answer.backorder if is_told and isinstance(answer, Answer) else 0,
        "byDate": by_date(answer, rule),
        "byWarehouse": [
            {"warehouseLocation": code, "availableQuantity": quantity}
            for code, quantity in sorted(answer.by_node.items())
        ]
        if is_told
        else [],
        "explanation": explanation(answer, variant_id, found) if explain and is_told else [],
        "equivalents": [
            {
                "productId": other.sku,
                "relation": relation,
                **told(found.answer(other.pk), asked["quantity"], rule),
            }
            for other, relation in found.equivalents.get(variant_id, [])
        ],
    }


def by_date(answer: Answer | KitAnswer, rule: Rule) -> list[dict[str, Any]]:
    """The steps as disclosed; days on which what is told does not change are left out."""
    steps: list[dict[str, Any]] = []
    for day, quantity in answer.by_date:
        told = rule.tell(quantity).quantity
        if told is not None and (told != steps[-1]["quantity"] if steps else told > 0):
            steps.append({"date": day.isoformat(), "quantity": told})
    return steps


def explanation(answer: Answer | KitAnswer, variant_id: int, found: Found) -> list[dict[str, Any]]:
    """The terms; of a kit, those of its components, each in the component's own units."""
    if isinstance(answer, Answer):
        return [term_as_json(term) for term in answer.terms if term.quantity]
    return [
        term_as_json(term, sku=found.skus[part.component_id])
        for part in found.kits[variant_id]
        for term in found.answers[part.component_id].terms
        if term.quantity
    ]


def term_as_json(term: Term, sku: str | None = None) -> dict[str, Any]:
    return {
        "term": term.name,
        "quantity": term.quantity,
        "warehouseLocation": term.node or None,
        "label": term.label or None,
        "date": term.day,
        "productId": sku,
    }


READ_PLAINLY = plain.reader(AskedFields)


def answer_shortly(call: fast.Call) -> fast.Answer:
    """`post` without the framework."""
    return fast.rendered(look_up(READ_PLAINLY(call.body), partner=call.caller.partner, at=timezone.now()))


SHORT_WAY = fast.Room(
    route="api/v1/availability",
    scope=Availability.required_scopes["POST"],
    allow="POST, OPTIONS",
    answer=answer_shortly,
)
