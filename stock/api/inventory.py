"""/inventory: levels, the guide's object for one product, and the bookings partners make."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from django.db import transaction
from django.db.models import Sum
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.models import Variant
from partners.api import conditional
from partners.api.doors import IF_MATCH, Door, once
from partners.api.fields import QUANTITY_MAX, ExpirationDate, Quantity, Text
from partners.api.pagination import BadPage, KeysetPagination
from partners.models import Partner
from partners.problems import InvalidInput, Problem
from stock import asof, ledger, queries
from stock.models import Batch, Level, Location, Warehouse
from stock.operations import movements

# Partners may hold units back; to let them go is the staff's.
BOOKABLE = ("receipt", "adjustment", "damage", "return", "writeOff", "transferOut", "transferIn", "quarantine")
SERIALS_MAX = 1_000
WAREHOUSE = OpenApiParameter("warehouse", str, description="A warehouse's code.")
BATCH = OpenApiParameter("batchNumber", str, description="A batch's number.")
AS_OF = OpenApiParameter(
    "asOf",
    OpenApiTypes.DATETIME,
    description="A moment of the past (RFC 3339, with its offset): `inventoryLevel` is what lay there then, by when "
    "things happened. What was reserved then is not kept; everything else is told as it is now.",
)


class LeftToTheHouse(Problem):
    """The caller may see it, but this step is for those who answer for it."""

    code = "left_to_the_house"
    title = "This step is not yours to take"
    remedy = "Ask the operator of this site to do it."
    status = 403
    is_final = False


class LevelSerializer(serializers.Serializer[Any]):
    """One place: a warehouse, a batch or none, a condition. Numbers are null where not disclosed exactly, and, as of
    a moment of the past, for what was promised then."""

    productId = serializers.CharField()
    warehouseLocation = serializers.CharField()
    batchNumber = serializers.CharField(allow_null=True)
    expirationDate = serializers.DateField(allow_null=True)
    holdState = serializers.CharField(
        allow_null=True, help_text="released, quarantined or recalled; null without batch."
    )
    condition = serializers.ChoiceField(Level.Condition)
    ownerId = serializers.CharField(allow_null=True, help_text="Whose it is, where it lies with us; null: ours.")
    isSellable = serializers.BooleanField(help_text="Whether it may be promised now.")
    inventoryLevel = serializers.IntegerField(allow_null=True)
    reservedQuantity = serializers.IntegerField(allow_null=True)
    availableQuantity = serializers.IntegerField(allow_null=True)
    lastUpdated = serializers.DateTimeField()
    version = serializers.IntegerField()


class InventorySerializer(serializers.Serializer[Any]):
    """A product's stock as far as the caller may see it.

    The sums are over what is sellable and may be promised to the caller: our stock, its own that lies with
    us, and what other owners grant it. `levels` says whose each part is.
    """

    supplierId = serializers.CharField()
    retailPartnerId = serializers.CharField(allow_null=True)
    productId = serializers.CharField()
    inventoryLevel = serializers.IntegerField(allow_null=True)
    reservedQuantity = serializers.IntegerField(allow_null=True)
    availableQuantity = serializers.IntegerField(allow_null=True)
    availability = serializers.CharField(
        help_text="The available quantity in words, as disclosed: 37, 20+, 10-49, yes."
    )
    warehouseLocation = serializers.CharField(allow_null=True, help_text="Null when it lies in several.")
    batchNumber = serializers.CharField(allow_null=True, help_text="Null when there are several batches or none.")
    expirationDate = serializers.DateField(allow_null=True, help_text="The earliest of what is sellable.")
    lastUpdated = serializers.DateTimeField(allow_null=True)
    version = serializers.IntegerField()
    levels = LevelSerializer(many=True)


class BookingFields(serializers.Serializer[Any]):
    type = serializers.ChoiceField(BOOKABLE)
    quantity = Quantity(min_value=-QUANTITY_MAX, help_text="Stock units; only an adjustment may be negative.")
    warehouseLocation = Text(source="warehouse_code", max_length=40)
    batchNumber = Text(source="batch_number", max_length=60, required=False, default="", allow_blank=True)
    expirationDate = ExpirationDate(source="expires_on", required=False, allow_null=True, default=None)
    reason = Text(
        max_length=200, required=False, default="", allow_blank=True,
        help_text="A code of GET /reasons, which also says where lost units go, or words of your own.",
    )  # fmt: skip
    reference = Text(max_length=120, required=False, default="", allow_blank=True)
    location = Text(
        max_length=40, required=False, default="", allow_blank=True, help_text="A bin; empty: the default one."
    )
    ownerId = Text(
        source="owner_code", max_length=40, required=False, allow_null=True, default=None,
        help_text="You, for stock of yours that lies with us; null: it is ours.",
    )  # fmt: skip
    condition = serializers.ChoiceField(
        Level.Condition, required=False, default=Level.Condition.SELLABLE,
        help_text="Of the units adjusted or written off.",
    )  # fmt: skip
    serialNumbers = serializers.ListField(
        source="serials", child=Text(max_length=60), required=False, default=list, max_length=SERIALS_MAX,
        help_text="Of a product tracked by serial number: each unit once.",
    )  # fmt: skip

    def validate_quantity(self, quantity: int) -> int:
        if quantity == 0:
            raise serializers.ValidationError("Nothing would move; send a quantity other than 0.")
        return quantity


class LevelFields(serializers.Serializer[Any]):
    warehouseLocation = Text(source="warehouse_code", max_length=40)
    batchNumber = Text(source="batch_number", max_length=60, required=False, default="", allow_blank=True)
    expirationDate = ExpirationDate(source="expires_on", required=False, allow_null=True, default=None)
    inventoryLevel = Quantity(source="on_hand", min_value=0)
    reason = Text(max_length=200)


class LevelFilter(filters.FilterSet):
    productId = filters.CharFilter("variant__sku")
    supplierId = filters.CharFilter(method="of_supplier")
    warehouse = filters.CharFilter("location__warehouse__code")
    batchNumber = filters.CharFilter("batch__number")
    ownerId = filters.CharFilter("owner__code")
    expiresBefore = filters.DateFilter("batch__expires_on", lookup_expr="lt")
    updatedSince = filters.IsoDateTimeFilter("updated_at", lookup_expr="gte")

    def of_supplier(self, queryset: Any, name: str, code: str) -> Any:
        """A supplier may ask for its own only: who else supplies a product is not for it to learn."""
        partner: Partner = self.request.user.partner
        if partner.kind == Partner.Kind.SUPPLIER and code != partner.code:
            return queryset.none()
        return queryset.filter(variant__supplier_items__supplier__code=code)


class LevelPages(KeysetPagination):
    """Pages that say of which moment they are."""

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        page = super().get_paginated_response_schema(schema)
        page["required"].append("asOf")
        page["properties"]["asOf"] = {
            "type": ["string", "null"],
            "format": "date-time",
            "description": "The moment asked for; null for now.",
        }
        return page


class Inventory(Door):
    """Levels, place by place."""

    queryset = Level.objects.none()
    serializer_class = LevelSerializer
    pagination_class = LevelPages
    filterset_class = LevelFilter
    required_scopes: ClassVar = {"GET": "inventory:read"}

    @extend_schema(operation_id="listInventory", parameters=[AS_OF])
    def get(self, request: Request) -> Response:
        """Levels of the caller's products in the caller's warehouses, now or as of a moment of the past."""
        at = read_moment(request.query_params.get("asOf"), now=timezone.now())
        levels = (
            Level.objects.for_partner(self.partner)
            .with_sellable(at=timezone.now())
            .select_related("variant", "location__warehouse", "batch", "owner")
        )
        page = self.paginate_queryset(self.filter_queryset(levels)) or []
        is_exact = self.partner.disclosure_rule.is_exact
        rows = [level_as_json(level, is_exact=is_exact) for level in page]
        if at is not None:
            held = asof.on_hand(at=at, variant_ids=[level.variant_id for level in page]) if is_exact else {}
            for level, row in zip(page, rows, strict=True):
                row |= {"inventoryLevel": held.get(level.pk), "reservedQuantity": None, "availableQuantity": None}
        answer = self.get_paginated_response(rows)
        answer.data["asOf"] = _time(at)
        return answer


class ProductInventory(Door):
    """The guide's object: one supplier's product."""

    queryset = Level.objects.none()
    serializer_class = InventorySerializer
    pagination_class = None
    required_scopes: ClassVar = {"GET": "inventory:read", "POST": "inventory:write", "PATCH": "inventory:write"}

    @extend_schema(operation_id="getInventory", parameters=[WAREHOUSE, BATCH])
    def get(self, request: Request, supplier: str, sku: str) -> Response:
        """What is there of a product, what of it is promised, and what is left to promise."""
        variant, source = self.find(supplier, sku)
        query = request.query_params
        return self.answer(variant, source, query.get("warehouse"), query.get("batchNumber"))

    @extend_schema(operation_id="bookInventory", request=BookingFields, responses={201: InventorySerializer})
    @once
    def post(self, request: Request, supplier: str, sku: str) -> Response:
        """Book a movement of this product."""
        variant, source = self.find(supplier, sku)
        fields = self.understood(BookingFields)
        book(self, variant, fields, source)
        return self.answer(variant, source, status=201)

    @extend_schema(
        operation_id="setInventory", parameters=[IF_MATCH], request=LevelFields, responses=InventorySerializer
    )
    def patch(self, request: Request, supplier: str, sku: str) -> Response:
        """Say how many sellable units lie in a warehouse (and batch); the difference is booked.

        `If-Match` takes the ETag of this product, or of its view in that warehouse.
        """
        accepted = conditional.required_match(request)
        variant, source = self.find(supplier, sku)
        fields = self.understood(LevelFields)
        warehouse = find_warehouse(self.partner, fields.pop("warehouse_code"))
        with transaction.atomic(durable=True):
            lock_product(variant, warehouse, fields["batch_number"])
            tags = [etag_of(variant, self.partner), etag_of(variant, self.partner, warehouse.code)]
            conditional.check_match(accepted, *tags)
            movements.set_level(
                variant=variant, warehouse=warehouse, supplier=source, actor=self.actor, at=timezone.now(), **fields
            )
        return self.answer(variant, source)

    def find(self, supplier: str, sku: str) -> tuple[Variant, Partner]:
        source = get_object_or_404(Partner.objects.suppliers().for_partner(self.partner), code=supplier)
        variants = Variant.objects.for_partner(self.partner).stocked()
        return get_object_or_404(variants, sku=sku, supplier_items__supplier=source), source

    def answer(
        self,
        variant: Variant,
        source: Partner,
        warehouse: str | None = None,
        batch_number: str | None = None,
        *,
        status: int = 200,
    ) -> Response:
        if warehouse is not None and not self.partner.may_see_warehouse(warehouse):
            raise Http404
        tag = etag_of(variant, self.partner, warehouse)
        found = queries.positions(
            variant_ids=[variant.pk],
            at=timezone.now(),
            partner=self.partner,
            warehouse_code=warehouse,
            batch_number=batch_number,
        )
        body = product_as_json(found, variant=variant, supplier=source, partner=self.partner)
        return conditional.with_etag(Response(body, status=status), tag, self.request)


def book(door: Door, variant: Variant, fields: dict[str, Any], supplier: Partner | None) -> movements.Booked:
    """Translate a booking of the API into the one operation it is."""
    warehouse = find_warehouse(door.partner, fields["warehouse_code"])
    return movements.book(
        kind=fields["type"],
        variant=variant,
        warehouse=warehouse,
        quantity=fields["quantity"],
        batch_number=fields["batch_number"],
        expires_on=fields["expires_on"],
        reason=fields["reason"],
        reference=fields["reference"],
        location=find_location(warehouse, fields["location"]) if fields["location"] else None,
        owner=find_owner(door.partner, fields["owner_code"]) if fields["owner_code"] is not None else None,
        serials=fields["serials"],
        condition=fields["condition"],
        supplier=supplier,
        actor=door.actor,
        at=timezone.now(),
    )


def read_moment(text: str | None, *, now: datetime) -> datetime | None:
    """A past moment from the query. Raises BadPage for what is none, InvalidInput for one to come."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text) if "T" in text.upper() else None
        at = moment.astimezone(UTC) if moment and moment.tzinfo else None
    except (ValueError, OverflowError):
        at = None
    if at is None:
        raise BadPage("asOf: a moment with its offset, like 2026-01-31T00:00:00Z.")
    if at > now:
        raise InvalidInput.at("asOf", "What will lie there is not known; ask for a moment of the past.")
    return at


def find_warehouse(partner: Partner, code: str, field: str = "warehouseLocation") -> Warehouse:
    """A warehouse named in a body; one that is not granted is as unknown as one that is not there."""
    warehouse = Warehouse.objects.for_partner(partner).filter(code=code).first()
    if warehouse is None:
        raise InvalidInput.at(field, f"There is no warehouse {code} for you.")
    return warehouse


def find_location(warehouse: Warehouse, code: str, field: str = "location") -> Location:
    location = warehouse.locations.filter(code=code).first()
    if location is None:
        raise InvalidInput.at(field, f"There is no bin {code} in {warehouse.code}.")
    return location


def find_owner(partner: Partner, code: str, field: str = "ownerId") -> Partner:
    """The owner a partner may speak for: itself. Anybody else is refused alike, known or not."""
    if code != partner.code:
        raise InvalidInput.at(field, "You can book stock of ours or of your own, and nobody else's.")
    return partner


def lock_product(variant: Variant, warehouse: Warehouse, batch_number: str) -> None:
    """Lock all of a product's levels, so that the version compared is the version changed.

    The one that is going to be set is made before, if it is not there: levels are made by who holds none, and
    twins that set a product without levels wait there.
    """
    batch = Batch.objects.filter(variant=variant, number=batch_number).first() if batch_number else None
    bin_ = warehouse.locations.get(is_default=True)
    ledger.ensure([(variant.pk, bin_.pk, batch.pk if batch else None, Level.Condition.SELLABLE, None)])
    ledger.lock_variants([variant.pk])


def etag_of(variant: Variant, partner: Partner, warehouse: str | None = None) -> str:
    """The sum of the versions of the levels in view; every change of one raises it, and none lowers it."""
    levels = Level.objects.for_partner(partner).filter(variant=variant)
    if warehouse is None:
        return conditional.etag(levels.aggregate(sum=Sum("version"))["sum"] or 0)
    version = levels.filter(location__warehouse__code=warehouse).aggregate(sum=Sum("version"))["sum"] or 0
    return conditional.etag(f"{warehouse}:{version}")


def level_as_json(level: Any, *, is_exact: bool) -> dict[str, Any]:
    batch = level.batch
    return {
        "productId": level.variant.sku,
        "warehouseLocation": level.location.warehouse.code,
        "batchNumber": batch.number if batch else None,
        "expirationDate": batch.expires_on.isoformat() if batch and batch.expires_on else None,
        "holdState": batch.hold_state if batch else None,
        "condition": level.condition,
        "ownerId": level.owner.code if level.owner else None,
        "isSellable": level.is_sellable,
        "inventoryLevel": level.on_hand if is_exact else None,
        "reservedQuantity": level.reserved if is_exact else None,
        "availableQuantity": (level.available if level.is_sellable else 0) if is_exact else None,
        "lastUpdated": _time(level.updated_at),
        "version": level.version,
    }


def position_as_json(position: queries.Position) -> dict[str, Any]:
    return {
        "productId": position.sku,
        "warehouseLocation": position.warehouse_code,
        "batchNumber": position.batch_number,
        "expirationDate": position.expires_on.isoformat() if position.expires_on else None,
        "holdState": position.hold_state,
        "condition": position.condition,
        "ownerId": position.owner_code,
        "isSellable": position.is_sellable,
        "inventoryLevel": position.on_hand,
        "reservedQuantity": position.reserved,
        "availableQuantity": position.on_hand - position.reserved if position.is_sellable else 0,
        "lastUpdated": _time(position.updated_at),
        "version": position.version,
    }


def product_as_json(
    found: list[queries.Position], *, variant: Variant, supplier: Partner, partner: Partner
) -> dict[str, Any]:
    """The guide's object. A partner that is not told exactly gets no levels, only what its rule says."""
    sellable = [position for position in found if position.is_sellable]
    on_hand = sum(position.on_hand for position in sellable)
    reserved = sum(position.reserved for position in sellable)
    rule = partner.disclosure_rule
    told = rule.tell(on_hand - reserved)
    warehouses = {position.warehouse_code for position in found}
    batches = {position.batch_number for position in found}
    dates = [position.expires_on for position in sellable if position.expires_on and position.on_hand]
    is_retail = partner.kind in Partner.RETAIL_KINDS
    return {
        "supplierId": supplier.code,
        "retailPartnerId": partner.code if is_retail else None,
        "productId": variant.sku,
        "inventoryLevel": on_hand if rule.is_exact else None,
        "reservedQuantity": reserved if rule.is_exact else None,
        "availableQuantity": told.quantity,
        "availability": told.label,
        "warehouseLocation": warehouses.pop() if len(warehouses) == 1 else None,
        "batchNumber": batches.pop() if len(batches) == 1 else None,
        "expirationDate": min(dates).isoformat() if dates else None,
        "lastUpdated": _time(max((position.updated_at for position in found), default=None)),
        "version": sum(position.version for position in found),
        "levels": [position_as_json(position) for position in found] if rule.is_exact else [],
    }


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None
