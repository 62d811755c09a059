"""The lists inside a product: its packs, its suppliers' offers, the numbers it is known by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rest_framework import serializers

from catalog.models import Identifier, Pack, SupplierItem
from catalog.operations.identifiers import VALUE_MAX, IdentifierOf
from catalog.operations.offers import TERMS, Source
from catalog.operations.packs import QUANTITY_MAX, PackOf
from partners.api.fields import Day, Quantity, Text
from partners.models import Partner
from partners.problems import InvalidInput

UNITS_MAX = 1_000_000_000


class Decimals(serializers.DecimalField):
    """A decimal number as a string, without zeros that say nothing."""

    def to_representation(self, value: Any) -> str:
        return f"{value.normalize():f}"


class PackFields(serializers.Serializer[Any]):
    name = Text(max_length=20, help_text="What the pack is called; with it goes what hangs on the pack.")
    quantity = Quantity(
        min_value=2, max_value=QUANTITY_MAX, required=False, allow_null=True,
        help_text="Stock units in one pack; may be left out where filledWith and filledCount say it.",
    )  # fmt: skip
    gtin = Text(
        source="gtin14", max_length=14, required=False, default="", allow_blank=True,
        help_text="The pack's own GTIN, another one than the single unit's.",
    )  # fmt: skip
    level = serializers.ChoiceField(
        Pack.Level, required=False, help_text="Not sent, it stays; of a new pack the name tells it, else it is a case."
    )
    filledWith = Text(
        source="filled_with", max_length=20, required=False, allow_blank=True,
        help_text="The name of the smaller pack it holds; empty: single units; not sent: as it was.",
    )  # fmt: skip
    filledCount = Quantity(
        source="filled_count", max_value=QUANTITY_MAX, required=False, allow_null=True,
        help_text="How many of the smaller packs it holds: a case of 4 inners of 6 has quantity 24.",
    )  # fmt: skip

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs.get("quantity") is None and not attrs.get("filled_with"):
            raise serializers.ValidationError({"quantity": ["Say how many stock units it holds."]}, code="required")
        return attrs

    def to_representation(self, instance: Pack) -> dict[str, Any]:
        return {
            "name": instance.name,
            "quantity": instance.quantity,
            "gtin": instance.gtin14,
            "level": instance.level,
            "filledWith": instance.filled_with.name if instance.filled_with else "",
            "filledCount": instance.filled_count,
        }


class SourceFields(serializers.Serializer[Any]):
    """Who supplies it. The terms are shown to that supplier and to our own channels; those that are not sent stay."""

    supplierId = Text(source="supplier.code", max_length=40, help_text="The supplier.")
    supplierCode = Text(
        source="supplier_code", max_length=64, required=False, default="", allow_blank=True,
        help_text="The supplier's own number for it; not sent: it has none.",
    )  # fmt: skip
    pack = Text(
        max_length=20,
        required=False,
        allow_null=True,
        help_text="The name of the pack it comes in; null: single units.",
    )
    minimumOrderQuantity = Quantity(
        source="minimum_quantity", max_value=UNITS_MAX, required=False, allow_null=True,
        help_text="The least one can order, in stock units.",
    )  # fmt: skip
    orderMultiple = Quantity(
        source="order_multiple", max_value=UNITS_MAX, required=False, allow_null=True,
        help_text="Orders are a multiple of so many stock units.",
    )  # fmt: skip
    leadTimeDays = Decimals(
        source="lead_time_days", max_digits=7, decimal_places=2, min_value=0, required=False, allow_null=True,
        help_text="Days from order to receipt, on average.",
    )  # fmt: skip
    leadTimeDeviationDays = Decimals(
        source="lead_time_deviation_days", max_digits=7, decimal_places=2, min_value=0, required=False,
        allow_null=True, help_text="The standard deviation of it, in days.",
    )  # fmt: skip
    cost = Decimals(
        max_digits=14, decimal_places=4, min_value=0, required=False, allow_null=True,
        help_text="What one stock unit costs; goes with a currency.",
    )  # fmt: skip
    currency = Text(max_length=3, required=False, allow_null=True, allow_blank=True, help_text="ISO 4217.")
    lastConfirmedOn = Day(
        source="last_confirmed_on", required=False, allow_null=True, help_text="When the supplier last said so."
    )

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value({"supplierId": data} if isinstance(data, str) else data)

    def to_representation(self, instance: SupplierItem) -> dict[str, Any]:
        view = self.context.get("view")
        is_told = view is not None and knows_terms(view.partner, instance)
        said: dict[str, Any] = {"supplierId": instance.supplier.code, "supplierCode": instance.supplier_code}
        for name, field in self.fields.items():
            if name not in said:
                value = getattr(instance, field.source) if is_told else None
                said[name] = (
                    None if value in (None, "") else value.name if name == "pack" else field.to_representation(value)
                )
        return said


def knows_terms(partner: Partner, item: SupplierItem) -> bool:
    """What the house pays and how long it waits is between it and the supplier."""
    return partner.kind == Partner.Kind.CHANNEL or item.supplier_id == partner.pk


class IdentifierFields(serializers.Serializer[Any]):
    scheme = serializers.ChoiceField(Identifier.Scheme, help_text="What sort of number it is.")
    value = Text(max_length=VALUE_MAX, help_text="As received; check digits of GTINs are looked at.")
    pack = Text(
        source="pack.name", max_length=20, required=False, default="", allow_blank=True, allow_null=True,
        help_text="The name of the pack it stands on; empty: the single unit.",
    )  # fmt: skip
    partnerId = Text(
        source="partner.code", max_length=40, required=False, default=None, allow_null=True,
        help_text="Whose own number it is: of supplier and partner numbers, and of GTINs of restricted circulation.",
    )  # fmt: skip
    level = serializers.CharField(read_only=True, help_text="each, inner, case or pallet.")
    isMain = serializers.BooleanField(
        source="is_main", read_only=True, help_text="It is said by gtin, packs[].gtin or suppliers[].supplierCode."
    )

    def to_representation(self, instance: Identifier) -> dict[str, Any]:
        return {
            "scheme": instance.scheme,
            "value": instance.value,
            "pack": instance.pack.name if instance.pack else "",
            "partnerId": instance.partner.code if instance.partner else None,
            "level": instance.level,
            "isMain": instance.is_main,
        }


class MatchFields(serializers.Serializer[Any]):
    """Which of its numbers was found, and what it stands on."""

    scheme = serializers.ChoiceField(Identifier.Scheme, help_text="What sort of number it is.")
    value = serializers.CharField(help_text="The number as we have it.")
    level = serializers.CharField(help_text="each, inner, case or pallet.")
    pack = serializers.CharField(allow_null=True, help_text="The name of the pack; null: the single unit.")
    packQuantity = serializers.IntegerField(help_text="Stock units in one of it; 1 of the single unit.")

    def to_representation(self, instance: Identifier) -> dict[str, Any]:
        return {
            "scheme": instance.scheme,
            "value": instance.value,
            "level": instance.level,
            "pack": instance.pack.name if instance.pack else None,
            "packQuantity": instance.pack.quantity if instance.pack else 1,
        }


def meant_packs(asked: Sequence[Mapping[str, Any]]) -> list[PackOf]:
    return [
        PackOf(
            name=pack["name"],
            quantity=pack.get("quantity"),
            gtin=pack["gtin14"].lstrip("0") and pack["gtin14"],
            level=pack.get("level"),
            filled_with=pack.get("filled_with"),
            filled_count=pack.get("filled_count"),
        )
        for pack in asked
    ]


def meant_source(asked: Mapping[str, Any], supplier: Partner) -> Source:
    terms = {name: asked[name] for name in TERMS if name in asked}
    if "currency" in terms:
        terms["currency"] = terms["currency"] or ""
    return Source(supplier=supplier, supplier_code=asked["supplier_code"], terms=terms)


def meant_identifiers(
    asked: Sequence[Mapping[str, Any]], known: Mapping[str, Partner], speaker: Partner | None
) -> list[IdentifierOf]:
    """A supplier that names nobody means its own numbers. Raises InvalidInput naming who is not there."""
    rows = []
    for place, row in enumerate(asked):
        code = row["partner"]["code"] if row.get("partner") else None
        if code is not None and code not in known:
            raise InvalidInput.at(f"identifiers[{place}].partnerId", f"There is no partner {code} for you.")
        owner = known[code] if code else speaker if row["scheme"] in Identifier.SOMEBODYS else None
        pack = row["pack"]["name"] or "" if row.get("pack") else ""
        rows.append(IdentifierOf(scheme=row["scheme"], value=row["value"], pack=pack, partner=owner))
    return rows
