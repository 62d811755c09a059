"""/products: the catalog as far as it is the caller's assortment."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import transaction
from django.db.models import Prefetch, Q
from django.shortcuts import get_object_or_404
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.models import SupplierItem, Variant
from catalog.operations import products
from catalog.operations.products import PackOf, Source
from partners.api import conditional
from partners.api.doors import IF_MATCH, Door, once
from partners.api.fields import Quantity, Text
from partners.api.pagination import BadPage
from partners.models import Partner
from partners.problems import InvalidInput

SKU = r"^[A-Za-z0-9][A-Za-z0-9._+-]*\Z"


class PackFields(serializers.Serializer[Any]):
    name = Text(max_length=20)
    quantity = Quantity(min_value=2, max_value=1_000_000)
    gtin = Text(source="gtin14", max_length=14, required=False, default="", allow_blank=True)


class SourceFields(serializers.Serializer[Any]):
    supplierId = Text(source="supplier.code", max_length=40)
    supplierCode = Text(source="supplier_code", max_length=64, required=False, default="", allow_blank=True)

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value({"supplierId": data} if isinstance(data, str) else data)


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
        source="product_type_id", max_length=40, required=False, help_text="food, beauty, auto …"
    )
    parentId = Text(source="parent.sku", max_length=64, required=False, allow_null=True, default=None)
    isParent = serializers.BooleanField(source="is_parent", read_only=True)
    gtin = Text(max_length=14, required=False, allow_blank=True, allow_null=True)
    attributes = Attributes(required=False)
    tracking = serializers.ChoiceField(Variant.Tracking, required=False)
    shelfLifeDays = Quantity(source="shelf_life_days", max_value=36_500, required=False, allow_null=True)
    warrantyMonths = Quantity(source="warranty_months", min_value=0, max_value=1_200, required=False, allow_null=True)
    unit = Text(max_length=20, required=False)
    packs = PackFields(many=True, required=False, max_length=products.PACKS_MAX)
    suppliers = SourceFields(source="supplier_items", many=True, required=False, max_length=products.SUPPLIERS_MAX)
    status = serializers.ChoiceField(Variant.Status, required=False)
    version = serializers.IntegerField(read_only=True)


class ProductChanges(ProductSerializer):
    """What a PATCH names. DRF's `partial` would reach into the lists, whose members are sent whole."""

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        for field in fields.values():
            field.required, field.default = False, serializers.empty
        return fields


def speaks_for_itself(partner: Partner) -> bool:
    """A supplier, whatever it may read, and whoever sees but its own: it has no say in what is others'."""
    return partner.kind == Partner.Kind.SUPPLIER or partner.assortment == Partner.Assortment.OWN


def visible_suppliers(partner: Partner) -> Any:
    """Those whose offers the partner may see: to a supplier none but itself."""
    return Partner.objects.filter(pk=partner.pk) if speaks_for_itself(partner) else Partner.objects.suppliers()


class ProductFilter(filters.FilterSet):
    q = filters.CharFilter(method="search", help_text="In SKU, name, brand and barcode.")
    gtin = filters.CharFilter(method="by_gtin")
    brand = filters.CharFilter("brand", lookup_expr="iexact")
    productType = filters.CharFilter("product_type")
    parentId = filters.CharFilter("parent__sku")
    supplierId = filters.CharFilter(method="by_supplier")
    make = filters.CharFilter(method="fits")
    model = filters.CharFilter(method="fits")
    year = filters.NumberFilter(method="fits", min_value=1_880, max_value=2_200)

    def search(self, queryset: Any, name: str, text: str) -> Any:
        found = Q(sku__icontains=text) | Q(name__icontains=text) | Q(brand__iexact=text)
        if text.isascii() and text.isdigit() and len(text) <= 14:
            found |= Q(gtin14=text.zfill(14))
        return queryset.filter(found)

    def by_gtin(self, queryset: Any, name: str, text: str) -> Any:
        return queryset.filter(gtin14=text.zfill(14))

    def by_supplier(self, queryset: Any, name: str, code: str) -> Any:
        """Who else supplies a supplier's products cannot be found out by trying codes."""
        known = visible_suppliers(self.request.user.partner)
        return queryset.filter(supplier_items__supplier__in=known.filter(code=code))

    def fits(self, queryset: Any, name: str, value: Any) -> Any:
        """All of make, model and year must hold for one and the same fitment, so each call asks for all."""
        asked = self.form.cleaned_data
        vehicle: dict[str, Any] = {}
        if asked["make"]:
            vehicle["fitments__make__iexact"] = asked["make"]
        if asked["model"]:
            vehicle["fitments__model__iexact"] = asked["model"]
        if asked["year"]:
            vehicle |= {"fitments__year_from__lte": asked["year"], "fitments__year_to__gte": asked["year"]}
        return queryset.filter(**vehicle).distinct()

    def filter_queryset(self, queryset: Any) -> Any:
        queryset = super().filter_queryset(queryset)
        for name, value in self.data.items():
            if name.startswith("attributes."):
                path = name.removeprefix("attributes.")
                if not path or "\x00" in name + value:
                    raise BadPage(f"{name!r}: write attributes.<name>=<value>.")
                queryset = queryset.filter(attributes__contains={path: value})
        return queryset


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
        return self.partner if speaks_for_itself(self.partner) else None

    def visible(self) -> Any:
        """The caller's assortment; a supplier sees none but itself among the suppliers."""
        items = SupplierItem.objects.select_related("supplier").filter(supplier__in=visible_suppliers(self.partner))
        rows = Variant.objects.for_partner(self.partner).select_related("parent")
        return rows.prefetch_related("packs", Prefetch("supplier_items", items))

    def answer(self, variant: Variant, status: int = 200) -> Response:
        row = self.visible().get(pk=variant.pk)
        response = Response(ProductSerializer(row).data, status=status)
        return conditional.with_etag(response, conditional.etag(row.version), self.request)

    def meant(self, fields: dict[str, Any]) -> dict[str, Any]:
        """The body's fields as the operation names them."""
        meant = {name: value for name, value in fields.items() if name in {*products.PLAIN, "gtin"}}
        if "gtin" in meant:
            meant["gtin"] = meant["gtin"] or ""
        if "product_type_id" in fields:
            meant["product_type"] = fields["product_type_id"]
        if "parent" in fields:
            meant["parent_sku"] = fields["parent"]["sku"]
        if "packs" in fields:
            meant["packs"] = [
                PackOf(name=pack["name"], quantity=pack["quantity"], gtin=pack["gtin14"].lstrip("0") and pack["gtin14"])
                for pack in fields["packs"]
            ]
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
        named = [
            Source(supplier=suppliers[row["supplier"]["code"]], supplier_code=row["supplier_code"]) for row in asked
        ]
        if self.supplier is not None:
            # A supplier that names nobody is one of them all the same.
            return named or [Source(supplier=self.supplier)]
        return named


class Products(ProductDoor):
    """The catalog."""

    filterset_class = ProductFilter

    @extend_schema(operation_id="listProducts")
    def get(self, request: Request) -> Response:
        """Products of the caller's assortment. `attributes.<name>=<value>` asks for an attribute."""
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
        with transaction.atomic(durable=True):
            variant = get_object_or_404(mine.select_for_update(no_key=True, of=("self",)), sku=sku)
            conditional.check_match(accepted, conditional.etag(variant.version))
            variant = products.revise(
                variant=variant, fields=self.meant(fields), actor=self.actor, supplier=self.supplier
            )
        return self.answer(variant)
