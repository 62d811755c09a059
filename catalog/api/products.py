"""/products: the catalog as far as it is the caller's assortment."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import transaction
from django.db.models import Prefetch
from django.shortcuts import get_object_or_404
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog import fitting, gtins, search
from catalog.api.attributes import ATTRIBUTES, by_attributes
from catalog.api.fitments import parameters, read_vehicle
from catalog.api.lists import (
    IdentifierFields,
    MatchFields,
    PackFields,
    SourceFields,
    meant_identifiers,
    meant_packs,
    meant_source,
)
from catalog.api.ranked import RankedPagination
from catalog.models import Identifier, Pack, ProductType, SupplierItem, Variant, WarrantyPer
from catalog.operations import compliance, identifiers, offers, packs, products
from catalog.operations.axes import AXES_MAX, NAME_MAX, VALUE_MAX
from catalog.operations.compliance import NoteOf
from catalog.operations.identifiers import IdentifierOf
from catalog.operations.offers import Source
from partners.api import conditional
from partners.api.doors import IF_MATCH, Door, once
from partners.api.fields import Day, Quantity, Text
from partners.api.pagination import BadPage
from partners.models import Partner
from partners.problems import InvalidInput

VEHICLE = ("make", "model", "year", "engine")
SKU = r"^[A-Za-z0-9][A-Za-z0-9._+-]*\Z"


class NoteFields(serializers.Serializer[Any]):
    """What the law of a place asks of the product."""

    jurisdiction = serializers.RegexField(
        compliance.JURISDICTION, max_length=6, required=False, default="", allow_blank=True,
        help_text="EU, a country or a part of one (ISO 3166: US, US-CA); empty: everywhere.",
    )  # fmt: skip
    text = Text(max_length=2_000, help_text="What is asked.")
    document = Text(
        max_length=250, required=False, default="", allow_blank=True, help_text="Where it is written: a law, a file."
    )
    validFrom = Day(
        source="valid_from", required=False, default=None, allow_null=True, help_text="The first day; null: always."
    )
    validTo = Day(
        source="valid_to", required=False, default=None, allow_null=True, help_text="The last day; null: for good."
    )


class Attributes(serializers.JSONField):
    """An object of texts, numbers, booleans and lists of those."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError("Send an object.")
        return data


class ProductSerializer(serializers.Serializer[Variant]):
    """A product: a SKU that is counted, or a parent that gathers its variants."""

    productId = serializers.RegexField(SKU, source="sku", max_length=64, help_text="The SKU.")
    name = Text(max_length=250)
    brand = Text(max_length=120, required=False, allow_blank=True)
    productType = serializers.SlugField(
        source="product_type_id",
        max_length=40,
        required=False,
        help_text="A code of /productTypes, whatever the capitals: food, beauty, auto … A new one is for the house to"
        " name, which registers it by that.",
    )
    parentId = Text(source="parent.sku", max_length=64, required=False, allow_null=True, default=None)
    isParent = serializers.BooleanField(source="is_parent", read_only=True)
    gtin = Text(max_length=14, required=False, allow_blank=True, allow_null=True)
    attributes = Attributes(
        required=False, help_text="As the newest schema of the product's type has it; see /productTypes."
    )
    schemaVersion = serializers.IntegerField(
        source="schema_version",
        read_only=True,
        allow_null=True,
        help_text="The version of the type's schema the attributes were found right by; null where there was none.",
    )
    axes = serializers.ListField(
        child=Text(max_length=NAME_MAX),
        max_length=AXES_MAX,
        required=False,
        help_text="Of a parent: the names by which its variants differ, in the order they are chosen.",
    )
    axisValues = serializers.DictField(
        source="axis_values",
        child=Text(max_length=VALUE_MAX),
        required=False,
        help_text="Of a variant: its text for each axis of its parent; no two variants on sale have the same.",
    )
    tracking = serializers.ChoiceField(Variant.Tracking, required=False)
    shelfLifeDays = Quantity(source="shelf_life_days", max_value=36_500, required=False, allow_null=True)
    warrantyMonths = Quantity(source="warranty_months", min_value=0, max_value=1_200, required=False, allow_null=True)
    warrantyPer = serializers.ChoiceField(
        WarrantyPer, source="warranty_per", required=False, allow_blank=True,
        help_text="What the warranty counts for: each unit, or what one order line delivered.",
    )  # fmt: skip
    warrantyTerms = Text(
        source="warranty_terms", max_length=2_000, required=False, allow_blank=True, help_text="In words."
    )
    regulatoryNotes = NoteFields(
        source="regulatory_notes", many=True, required=False, max_length=compliance.NOTES_MAX,
        help_text="What the law asks of this product; what it asks of its type is in /products/{productId}/compliance.",
    )  # fmt: skip
    unit = Text(max_length=20, required=False)
    packs = PackFields(many=True, required=False, max_length=packs.PACKS_MAX)
    suppliers = SourceFields(source="supplier_items", many=True, required=False, max_length=offers.SUPPLIERS_MAX)
    identifiers = IdentifierFields(
        many=True, required=False, max_length=2 * identifiers.IDENTIFIERS_MAX,
        help_text="Every number it is known by, its packs' and your own among them. Sent, the list replaces the further"
        " ones; those said by gtin, packs and suppliers may be in it or not.",
    )  # fmt: skip
    matched = serializers.SerializerMethodField(
        help_text="Where `gtin` was asked for: which of its numbers that is, and on which pack it stands."
    )
    status = serializers.ChoiceField(Variant.Status, required=False)
    version = serializers.IntegerField(read_only=True)

    @extend_schema_field(MatchFields(allow_null=True))
    def get_matched(self, variant: Variant) -> dict[str, Any] | None:
        view = self.context.get("view")
        forms = gtin_forms(view.request.query_params.get("gtin", "")) if view else []
        found = (row for row in variant.identifiers.all() if row.scheme in Identifier.GTINS and row.plain in forms)
        row = next(found, None)
        return MatchFields(row).data if row else None


def gtin_forms(text: str) -> list[str]:
    """Every GTIN-14 a query may mean; a number that lost zeros is looked for, too, since nothing is kept of it."""
    if not text:
        return []
    return gtins.forms(text) or ([text.zfill(14)] if text.isascii() and text.isdigit() else [])


class ProductChanges(ProductSerializer):
    """What a PATCH names. DRF's `partial` would reach into the lists, whose members are sent whole."""

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        for field in fields.values():
            field.required, field.default = False, serializers.empty
        return fields


def visible_suppliers(partner: Partner) -> Any:
    """Those whose offers the partner may see: to a supplier none but itself."""
    return Partner.objects.filter(pk=partner.pk) if partner.speaks_for_itself else Partner.objects.suppliers()


class ProductFilter(filters.FilterSet):
    q = filters.CharFilter(
        method="ranked",
        max_length=search.TEXT_MAX,
        help_text="Anything it is called: SKU, barcode of any pack, every number among its `identifiers` (of those that "
        "are somebody's own, yours), words of name, brand and attributes, a vehicle (`2015 civic brake pad`). Typing "
        "errors and accents do not matter. The best first, at most 1,000 hits.",
    )
    gtin = filters.CharFilter(
        method="by_gtin", help_text="A GTIN of the product or of any of its packs, in any length; `matched` says which."
    )
    brand = filters.CharFilter("brand", lookup_expr="iexact", help_text="The whole brand; capitals do not matter.")
    productType = filters.CharFilter(
        method="by_type", max_length=40, help_text="A code of /productTypes; capitals do not matter."
    )
    parentId = filters.CharFilter("parent__sku", help_text="The variants under this parent.")
    supplierId = filters.CharFilter(
        method="by_supplier", help_text="What this supplier offers; to a supplier, itself alone."
    )

    def ranked(self, queryset: Any, name: str, text: str) -> Any:
        """Left to RankedPagination, which looks among what the other filters leave."""
        return queryset

    def by_gtin(self, queryset: Any, name: str, text: str) -> Any:
        """By any level of packing, and by numbers of restricted circulation where they are everybody's or its own."""
        digits = gtins.NOISE.sub("", text)
        if not digits.isascii() or not digits.isdigit() or len(digits) > max(gtins.LENGTHS):
            raise BadPage("gtin: write a number of up to 14 digits.")
        known = Identifier.objects.for_partner(self.request.user.partner).gtins()
        return queryset.filter(pk__in=known.filter(plain__in=gtin_forms(text)).values("variant_id"))

    def by_type(self, queryset: Any, name: str, code: str) -> Any:
        return queryset.filter(product_type__in=ProductType.objects.filter(code__iexact=code))

    def by_supplier(self, queryset: Any, name: str, code: str) -> Any:
        """Who else supplies a supplier's products cannot be found out by trying codes."""
        known = visible_suppliers(self.request.user.partner)
        return queryset.filter(supplier_items__supplier__in=known.filter(code=code))

    def filter_queryset(self, queryset: Any) -> Any:
        """All that is asked of the vehicle must hold for one and the same fitment."""
        queryset = fitting.fitting(super().filter_queryset(queryset), read_vehicle(self.data, *VEHICLE))
        return by_attributes(queryset, self.data, product_type=self.form.cleaned_data["productType"])


class ProductDoor(Door):
    queryset = Variant.objects.none()
    serializer_class = ProductSerializer
    keyset = "sku"
    required_scopes: ClassVar = {
        "GET": "catalog:read", "POST": "catalog:write", "PUT": "catalog:write", "PATCH": "catalog:write",
    }  # fmt: skip

    @property
    def supplier(self) -> Partner | None:
        """The caller where it speaks for itself alone; None for the house."""
        return self.partner if self.partner.speaks_for_itself else None

    def visible(self) -> Any:
        """The caller's assortment; a supplier sees none but itself among the suppliers."""
        items = SupplierItem.objects.filter(supplier__in=visible_suppliers(self.partner))
        numbers = Identifier.objects.for_partner(self.partner).select_related("pack", "partner")
        rows = Variant.objects.for_partner(self.partner).select_related("parent")
        return rows.prefetch_related(
            "regulatory_notes",
            Prefetch("packs", Pack.objects.select_related("filled_with")),
            Prefetch("supplier_items", items.select_related("supplier", "pack")),
            Prefetch("identifiers", numbers),
        )

    def answer(self, variant: Variant, status: int = 200) -> Response:
        row = self.visible().get(pk=variant.pk)
        response = Response(self.get_serializer(row).data, status=status)
        return conditional.with_etag(response, conditional.etag(row.version), self.request)

    def meant(self, fields: dict[str, Any]) -> dict[str, Any]:
        """The body's fields as the operation names them."""
        meant = {
            name: value for name, value in fields.items() if name in {*products.PLAIN, "gtin", "axes", "axis_values"}
        }
        if "gtin" in meant:
            meant["gtin"] = meant["gtin"] or ""
        if "product_type_id" in fields:
            meant["product_type"] = fields["product_type_id"]
        if "parent" in fields:
            meant["parent_sku"] = fields["parent"]["sku"]
        if "regulatory_notes" in fields:
            meant["notes"] = [NoteOf(**note) for note in fields["regulatory_notes"]]
        if "packs" in fields:
            meant["packs"] = meant_packs(fields["packs"])
        if "identifiers" in fields:
            meant |= {"identifiers": self.identifiers(fields["identifiers"]), "viewer": self.partner}
        if "supplier_items" in fields:
            meant["sources"] = self.sources(fields["supplier_items"])
        return meant

    def sources(self, asked: list[dict[str, Any]]) -> list[Source]:
        suppliers = {row.code: row for row in visible_suppliers(self.partner)}
        unknown = [
            (f"suppliers[{place}].supplierId", f"There is no supplier {row['supplier']['code']} for you.")
            for place, row in enumerate(asked)
            if row["supplier"]["code"] not in suppliers
        ]
        if unknown:
            raise InvalidInput.of(unknown)
        named = [meant_source(row, suppliers[row["supplier"]["code"]]) for row in asked]
        if self.supplier is not None:
            # A supplier that names nobody is one of them all the same.
            return named or [Source(supplier=self.supplier)]
        return named

    def identifiers(self, asked: list[dict[str, Any]]) -> list[IdentifierOf]:
        """A partner keeps its own numbers and everybody's; our own channels keep all."""
        rows = Partner.objects.all() if self.partner.kind == Partner.Kind.CHANNEL else [self.partner]
        codes = {row["partner"]["code"] for row in asked if row.get("partner")}
        known = (
            {row.code: row for row in rows if row.code in codes}
            if isinstance(rows, list)
            else {row.code: row for row in rows.filter(code__in=codes)}
        )
        return meant_identifiers(asked, known, self.supplier)


class Products(ProductDoor):
    """The catalog."""

    filterset_class = ProductFilter
    pagination_class = RankedPagination

    @extend_schema(operation_id="listProducts", parameters=[*parameters(*VEHICLE), ATTRIBUTES])
    def get(self, request: Request) -> Response:
        """Products of the caller's assortment. `attributes.<name>=<value>` asks for an attribute.

        With `productType`, the value is understood as the type's schema declares it, numbers can be asked for
        with `attributes.<name>.min=` and `.max=` (both included), and what is not declared is refused by name.
        Without, a value is looked for as text, number and boolean alike. A list is found by each of its values. Capitals count:
        values are compared as they are written.
        """
        return self.listed(self.visible())

    @extend_schema(operation_id="createProduct", responses={201: ProductSerializer})
    @once
    def post(self, request: Request) -> Response:
        """Put a product into the catalog. A supplier becomes its supplier by that."""
        fields = {"supplier_items": []} | self.understood(ProductSerializer)
        variant = products.create(
            sku=fields["sku"], fields=self.meant(fields), actor=self.actor, supplier=self.supplier
        )
        response = self.answer(variant, 201)
        response["Location"] = f"/api/v1/products/{variant.sku}"
        return response


class Product(ProductDoor):
    @extend_schema(operation_id="getProduct")
    def get(self, request: Request, sku: str) -> Response:
        """One product, with its ETag."""
        return self.answer(get_object_or_404(Variant.objects.for_partner(self.partner), sku=sku))

    @extend_schema(operation_id="replaceProduct", parameters=[IF_MATCH])
    def put(self, request: Request, sku: str) -> Response:
        """Replace a product's details; what is not named keeps its value, but for `parentId`."""
        return self.change(sku, ProductSerializer)

    @extend_schema(operation_id="reviseProduct", parameters=[IF_MATCH], request=ProductChanges)
    def patch(self, request: Request, sku: str) -> Response:
        """Change some of a product's details; a list that is named is replaced whole."""
        return self.change(sku, ProductChanges)

    def change(self, sku: str, body: type[ProductSerializer]) -> Response:
        accepted = conditional.required_match(self.request)
        mine = Variant.objects.for_partner(self.partner)
        get_object_or_404(mine, sku=sku)
        fields = self.understood(body)
        if fields.get("sku", sku) != sku:
            raise InvalidInput.at("productId", f"This is {sku}, and a productId never changes.")
        with transaction.atomic(durable=True):
            variant = get_object_or_404(mine.select_for_update(no_key=True, of=("self",)), sku=sku)
            conditional.check_match(accepted, conditional.etag(variant.version))
            variant = products.revise(
                variant=variant, fields=self.meant(fields), actor=self.actor, supplier=self.supplier
            )
        return self.answer(variant)
