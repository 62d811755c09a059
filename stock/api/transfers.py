"""/transfers: goods between warehouses, planned, dispatched, arrived or cancelled."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import Prefetch
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.models import Variant
from partners.api import conditional
from partners.api.doors import Door, once
from partners.api.fields import Day, Flag, Quantity, Text
from partners.problems import InvalidInput, Problem
from stock.api.inventory import find_warehouse
from stock.models import Transfer, TransferLine, Warehouse
from stock.operations import transfers
from stock.operations.transfers import Arrival, Going

LINES_MAX = 500
SERIALS_MAX = 10_000


class WarehouseNotGranted(Problem):
    """The caller sees this transfer by one end of it; the step is for who is granted more. Data: warehouseLocation."""

    code = "warehouse_not_granted"
    title = "This warehouse is not yours to work in"
    remedy = "Leave the step to who runs that warehouse, or ask the operator for the grant."
    status = 403
    is_final = False


class SerialNumbers(serializers.ListField):
    """The units of products tracked by serial number, each named once."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"child": Text(max_length=60), "required": False, "max_length": SERIALS_MAX} | kwargs)


class GoingLine(serializers.Serializer[Any]):
    productId = Text(source="sku", max_length=64)
    quantity = Quantity()
    batchNumber = Text(
        source="batch_number", max_length=60, required=False, default="", allow_blank=True,
        help_text="Without it, the batches that expire first go.",
    )  # fmt: skip


class PlanFields(serializers.Serializer[Any]):
    sourceWarehouse = Text(max_length=40)
    targetWarehouse = Text(max_length=40)
    expectedDate = Day(required=False, allow_null=True, default=None)
    reference = Text(max_length=120, required=False, default="", allow_blank=True)
    lines = GoingLine(many=True, allow_empty=False, max_length=LINES_MAX)


class DispatchFields(serializers.Serializer[Any]):
    serialNumbers = SerialNumbers(source="serials", default=list)


class ArrivalLine(serializers.Serializer[Any]):
    productId = Text(source="sku", max_length=64)
    quantity = Quantity(help_text="What came now, whatever was sent.")
    batchNumber = Text(
        source="batch_number", max_length=60, required=False, default="", allow_blank=True,
        help_text="Needed where several batches of the product were sent.",
    )  # fmt: skip
    location = Text(
        source="location_code", max_length=40, required=False, default="", allow_blank=True,
        help_text="The bin it was put into; without it, the default one.",
    )  # fmt: skip
    serialNumbers = SerialNumbers(source="serials", default=tuple)


class ArriveFields(serializers.Serializer[Any]):
    lines = ArrivalLine(
        many=True, required=False, default=None, max_length=LINES_MAX,
        help_text="Without it, all that is on the road came.",
    )  # fmt: skip
    isLast = Flag(
        source="is_last", required=False, default=False,
        help_text="Nothing more will come: what is missing is given up as lost.",
    )  # fmt: skip
    version = Quantity(
        source="seen_version", required=False, allow_null=True, default=None,
        help_text="The version you counted against; when it is another by now, 409 `transfer_changed`.",
    )  # fmt: skip


class TransferLineSerializer(serializers.Serializer[TransferLine]):
    productId = serializers.CharField(source="variant.sku")
    batchNumber = serializers.CharField(source="batch.number", default=None, allow_null=True)
    quantity = serializers.IntegerField(help_text="Asked for.")
    dispatchedQuantity = serializers.IntegerField(source="dispatched")
    arrivedQuantity = serializers.IntegerField(
        source="arrived", help_text="May be more than was dispatched: what came is what is there."
    )
    lostQuantity = serializers.IntegerField(source="lost", help_text="Given up on the way.")
    onTheRoad = serializers.IntegerField(source="on_the_road")


class TransferSerializer(serializers.Serializer[Transfer]):
    transferId = serializers.CharField(source="number")
    status = serializers.ChoiceField(Transfer.State, source="state")
    sourceWarehouse = serializers.CharField(source="source.code")
    targetWarehouse = serializers.CharField(source="target.code")
    expectedDate = serializers.DateField(source="expected_on", allow_null=True)
    reference = serializers.CharField()
    plannedAt = serializers.DateTimeField(source="planned_at")
    dispatchedAt = serializers.DateTimeField(source="dispatched_at", allow_null=True)
    arrivedAt = serializers.DateTimeField(
        source="arrived_at", allow_null=True, help_text="When nothing was to come any more."
    )
    lines = TransferLineSerializer(many=True)
    version = serializers.IntegerField()


class TransferFilter(filters.FilterSet):
    status = filters.ChoiceFilter("state", choices=Transfer.State)
    sourceWarehouse = filters.CharFilter("source__code")
    targetWarehouse = filters.CharFilter("target__code")
    reference = filters.CharFilter("reference")


class TransferDoor(Door):
    queryset = Transfer.objects.none()
    serializer_class = TransferSerializer
    required_scopes: ClassVar = {"GET": "inventory:read", "POST": "inventory:write"}
    keyset = "-id"
    are_steps_matched = True

    def mine(self) -> Any:
        """What the caller may see; like the ledger, nothing where quantities are not disclosed exactly."""
        rows = Transfer.objects.for_partner(self.partner).select_related("source", "target")
        return rows if self.partner.disclosure_rule.is_exact else rows.none()

    def shown(self) -> Any:
        return self.mine().prefetch_related(Prefetch("lines", TransferLine.objects.select_related("variant", "batch")))

    def find(self, number: str, *, needs_source: bool = True) -> Transfer:
        """The transfer, for one who is granted its target and, unless said otherwise, its source too."""
        transfer: Transfer = get_object_or_404(self.mine(), number=number)
        for warehouse in [transfer.target, *([transfer.source] if needs_source else [])]:
            self.check_granted(warehouse)
        return self.seen(transfer, Transfer.objects.filter(pk=transfer.pk))

    def check_granted(self, warehouse: Warehouse) -> None:
        if not self.partner.may_see_warehouse(warehouse.code):
            raise WarehouseNotGranted(f"You are not granted {warehouse.code}.", warehouseLocation=warehouse.code)

    def answer(self, transfer: Transfer, status: int = 200) -> Response:
        row = self.shown().get(pk=transfer.pk)
        response = Response(TransferSerializer(row).data, status=status)
        return conditional.with_etag(response, conditional.etag(row.version), self.request)


class Transfers(TransferDoor):
    """Goods between warehouses."""

    filterset_class = TransferFilter

    @extend_schema(operation_id="listTransfers")
    def get(self, request: Request) -> Response:
        """Transfers from or to the caller's warehouses, newest first."""
        return self.listed(self.shown())

    @extend_schema(operation_id="planTransfer", request=PlanFields, responses={201: TransferSerializer})
    @once
    def post(self, request: Request) -> Response:
        """Write down what is to go; nothing moves, and nothing is kept for it, until it is dispatched."""
        fields = self.understood(PlanFields)
        if not self.partner.disclosure_rule.is_exact:
            code = fields["sourceWarehouse"]
            raise InvalidInput.at("sourceWarehouse", f"There is no warehouse {code} for you to send from.")
        planned = transfers.plan(
            source=find_warehouse(self.partner, fields["sourceWarehouse"], "sourceWarehouse"),
            target=find_warehouse(self.partner, fields["targetWarehouse"], "targetWarehouse"),
            going=self.going(fields["lines"]),
            expected_on=fields["expectedDate"],
            reference=fields["reference"],
            actor=self.actor,
            at=timezone.now(),
        )
        response = self.answer(planned, 201)
        response["Location"] = f"/api/v1/transfers/{planned.number}"
        return response

    def going(self, lines: list[dict[str, Any]]) -> list[Going]:
        """The lines of a body as what they mean; unknown products are named by field. One query."""
        visible = Variant.objects.for_partner(self.partner).stocked().filter(sku__in=[line["sku"] for line in lines])
        variants = {variant.sku: variant for variant in visible}
        if unknown := [
            (f"lines[{place}].productId", f"There is no product {line['sku']} for you that can be stocked.")
            for place, line in enumerate(lines)
            if line["sku"] not in variants
        ]:
            raise InvalidInput.of(unknown)
        return [
            Going(variant=variants[line["sku"]], quantity=line["quantity"], batch_number=line["batch_number"])
            for line in lines
        ]


class OneTransfer(TransferDoor):
    @extend_schema(operation_id="getTransfer")
    def get(self, request: Request, number: str) -> Response:
        """One transfer, and what became of each line."""
        return self.answer(get_object_or_404(self.mine(), number=number))


class Dispatch(TransferDoor):
    @extend_schema(operation_id="dispatchTransfer", request=DispatchFields)
    @once
    def post(self, request: Request, number: str) -> Response:
        """The goods leave: all lines, or none with 409 `insufficient_stock`.

        Only what is free and sellable goes; promises are never broken for it. A line without a batch becomes
        a line for each batch that went.
        """
        transfer = self.find(number)
        fields = self.understood(DispatchFields)
        return self.answer(transfers.dispatch(transfer=transfer, actor=self.actor, at=timezone.now(), **fields))


class Arrive(TransferDoor):
    @extend_schema(operation_id="arriveTransfer", request=ArriveFields)
    @once
    def post(self, request: Request, number: str) -> Response:
        """Say what came: all that is on the road, or line by line.

        What came short stays on the road until it comes or `isLast` gives it up; what came and was not sent is
        booked as found. When nothing is on the road any more the transfer has arrived.
        """
        transfer = self.find(number, needs_source=False)
        fields = self.understood(ArriveFields)
        lines = fields.pop("lines")
        arrivals = None if lines is None else [Arrival(**line | {"serials": tuple(line["serials"])}) for line in lines]
        return self.answer(
            transfers.arrive(transfer=transfer, arrivals=arrivals, actor=self.actor, at=timezone.now(), **fields)
        )


class Cancel(TransferDoor):
    @extend_schema(operation_id="cancelTransfer", request=None)
    @once
    def post(self, request: Request, number: str) -> Response:
        """A planned transfer is not wanted any more."""
        transfer = self.find(number)
        return self.answer(transfers.cancel(transfer=transfer, actor=self.actor, at=timezone.now()))
