"""/suppliers and /retailPartners: who is outside, as far as the caller may know."""

from __future__ import annotations

from typing import ClassVar

from django.db import transaction
from django.shortcuts import get_object_or_404
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from partners.api import conditional
from partners.api.doors import IF_MATCH, Door, once
from partners.api.fields import Text
from partners.models import Partner
from partners.models.partner import PartnerQuerySet
from partners.operations import partners
from partners.problems import InvalidInput, LeftToTheHouse

CODE = r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z"


class PartnerFields(serializers.Serializer[Partner]):
    name = Text(max_length=200)
    contactEmail = serializers.EmailField(source="contact_email", required=False, allow_blank=True)
    gln = Text(max_length=13, required=False, allow_blank=True, help_text="Global Location Number, 13 digits.")
    status = serializers.ChoiceField(Partner.Status, required=False)


class SupplierSerializer(PartnerFields):
    supplierId = serializers.RegexField(CODE, source="code", max_length=40)
    version = serializers.IntegerField(read_only=True)


class RetailPartnerSerializer(PartnerFields):
    retailPartnerId = serializers.RegexField(CODE, source="code", max_length=40)
    kind = serializers.ChoiceField(
        [(kind.value, kind.label) for kind in Partner.RETAIL_KINDS],
        required=False,
        help_text="Not sent: a new one is a retailer, and one that is there stays what it is.",
    )
    version = serializers.IntegerField(read_only=True)


class PartnerFilter(filters.FilterSet):
    status = filters.ChoiceFilter(choices=Partner.Status)


class Directory(Door):
    """The list of one kind of partner, for suppliers and retail partners alike."""

    required_scopes: ClassVar = {
        "GET": "partners:read",
        "POST": "partners:write",
        "PUT": "partners:write",
        "PATCH": "partners:write",
    }
    keyset = "code"

    def answer(self, partner: Partner, status: int = 200) -> Response:
        response = Response(self.get_serializer(partner).data, status=status)
        return conditional.with_etag(response, conditional.etag(partner.version), self.request)

    def add(self, *, kind: Partner.Kind) -> Response:
        """`kind` is what it becomes where the body does not say."""
        if self.partner.kind != Partner.Kind.CHANNEL:
            raise LeftToTheHouse("Only our own channels make partners known.")
        fields = self.understood(self.get_serializer_class())
        fields.pop("status", None)
        partner = partners.onboard(**{"kind": kind, **fields}, actor=self.actor)
        response = self.answer(partner, 201)
        response["Location"] = f"{self.request.path}/{partner.code}"
        return response

    def change(self, code: str, *, partial: bool) -> Response:
        accepted = conditional.required_match(self.request)
        get_object_or_404(self.get_queryset(), code=code)
        self.check_may_change(code)
        fields = self.understood(self.get_serializer_class(), partial=partial)
        if fields.get("code", code) != code:
            name = "supplierId" if isinstance(self, Suppliers) else "retailPartnerId"
            raise InvalidInput.at(name, f"It is {code} by its address, and never changes.")
        with transaction.atomic(durable=True):
            partner = get_object_or_404(self.get_queryset().select_for_update(no_key=True), code=code)
            conditional.check_match(accepted, conditional.etag(partner.version))
            self.check_may_become(partner, fields)
            partner = partners.revise(partner=partner, changes=fields, actor=self.actor)
        return self.answer(partner)

    def check_may_change(self, code: str) -> None:
        """Our own channels change everybody, anybody else itself alone. Raises LeftToTheHouse."""
        if self.partner.kind != Partner.Kind.CHANNEL and self.partner.code != code:
            raise LeftToTheHouse("You may change your own details, and nobody else's.")

    def check_may_become(self, partner: Partner, fields: dict[str, str]) -> None:
        """What one may see hangs on what one is, so nobody says it of itself. Raises LeftToTheHouse."""
        if self.partner.kind == Partner.Kind.CHANNEL:
            return
        if any(fields.get(name, getattr(partner, name)) != getattr(partner, name) for name in ("kind", "status")):
            raise LeftToTheHouse("What kind of partner you are, and whether you are active, is ours to say.")


class Suppliers(Directory):
    queryset = Partner.objects.suppliers()
    serializer_class = SupplierSerializer
    filterset_class = PartnerFilter

    def get_queryset(self) -> PartnerQuerySet:
        return Partner.objects.suppliers().for_partner(self.partner)

    @extend_schema(operation_id="listSuppliers")
    def get(self, request: Request) -> Response:
        """The suppliers the caller may know."""
        return self.listed(self.get_queryset())

    @extend_schema(operation_id="createSupplier", responses={201: SupplierSerializer})
    @once
    def post(self, request: Request) -> Response:
        """Make a supplier known."""
        return self.add(kind=Partner.Kind.SUPPLIER)


class Supplier(Suppliers):
    http_method_names: ClassVar = ["get", "put", "patch", "head", "options"]

    @extend_schema(operation_id="getSupplier")
    def get(self, request: Request, code: str) -> Response:  # type: ignore[override]
        """One supplier, with its ETag."""
        return self.answer(get_object_or_404(self.get_queryset(), code=code))

    @extend_schema(operation_id="replaceSupplier", parameters=[IF_MATCH])
    def put(self, request: Request, code: str) -> Response:
        """Replace a supplier's details; what is not named keeps its value."""
        return self.change(code, partial=False)

    @extend_schema(operation_id="reviseSupplier", parameters=[IF_MATCH])
    def patch(self, request: Request, code: str) -> Response:
        """Change some of a supplier's details."""
        return self.change(code, partial=True)


class RetailPartners(Directory):
    queryset = Partner.objects.retail_partners()
    serializer_class = RetailPartnerSerializer
    filterset_class = PartnerFilter

    def get_queryset(self) -> PartnerQuerySet:
        return Partner.objects.retail_partners().for_partner(self.partner)

    @extend_schema(operation_id="listRetailPartners")
    def get(self, request: Request) -> Response:
        """The retail partners the caller may know: itself, and for our own channels everybody."""
        return self.listed(self.get_queryset())

    @extend_schema(operation_id="createRetailPartner", responses={201: RetailPartnerSerializer})
    @once
    def post(self, request: Request) -> Response:
        """Make a retail partner known."""
        return self.add(kind=Partner.Kind.RETAILER)


class RetailPartner(RetailPartners):
    http_method_names: ClassVar = ["get", "put", "patch", "head", "options"]

    @extend_schema(operation_id="getRetailPartner")
    def get(self, request: Request, code: str) -> Response:  # type: ignore[override]
        """One retail partner, with its ETag."""
        return self.answer(get_object_or_404(self.get_queryset(), code=code))

    @extend_schema(operation_id="replaceRetailPartner", parameters=[IF_MATCH])
    def put(self, request: Request, code: str) -> Response:
        """Replace a retail partner's details; what is not named keeps its value."""
        return self.change(code, partial=False)

    @extend_schema(operation_id="reviseRetailPartner", parameters=[IF_MATCH])
    def patch(self, request: Request, code: str) -> Response:
        """Change some of a retail partner's details."""
        return self.change(code, partial=True)
