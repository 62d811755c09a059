"""/batches and /recalls: what was made together, held back, let go and called back together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, ClassVar

from django.db.models import Prefetch
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from partners.api import conditional
from partners.api.doors import Door, once
from partners.api.fields import Text
from partners.models import Partner
from partners.problems import LeftToTheHouse
from stock import availability, queries, tracing
from stock.availability import Asker
from stock.models import Batch, Recall
from stock.operations import holds


class ReasonFields(serializers.Serializer[Any]):
    reason = Text(max_length=200, help_text="Told to everybody concerned.")


class LiftFields(serializers.Serializer[Any]):
    reason = Text(max_length=200, required=False, default="", allow_blank=True)


class BatchSerializer(serializers.Serializer[Any]):
    productId = serializers.CharField(source="variant.sku")
    batchNumber = serializers.CharField(source="number")
    expirationDate = serializers.DateField(source="expires_on", allow_null=True)
    holdState = serializers.ChoiceField(Batch.HoldState, source="hold_state")
    supplierId = serializers.CharField(
        allow_null=True, help_text="Who supplied it, where it is known and yours to learn."
    )
    recallId = serializers.CharField(allow_null=True, help_text="The recall of it that is open.")


class BatchInWarehouse(serializers.Serializer[Any]):
    """All of a batch in one warehouse. What lies there is null where it is not disclosed exactly."""

    warehouseLocation = serializers.CharField()
    inventoryLevel = serializers.IntegerField(allow_null=True, help_text="On hand in any condition.")
    reservedQuantity = serializers.IntegerField(allow_null=True)
    availableQuantity = serializers.IntegerField(allow_null=True, help_text="What may be promised now.")
    availability = serializers.CharField(help_text="The available quantity in words, as disclosed.")


class WholeBatch(BatchSerializer):
    warehouses = BatchInWarehouse(many=True)


class HolderSerializer(serializers.Serializer[tracing.Holder]):
    """Units that were shipped under one reference of a partner's (null: nobody known)."""

    partnerId = serializers.CharField(source="partner_code", allow_null=True)
    reference = serializers.CharField()
    quantity = serializers.IntegerField()
    lastAt = serializers.DateTimeField(source="last_at")


class RecallSerializer(serializers.Serializer[Any]):
    """Quantities are ours and the auditors' to know, and null for everybody else."""

    recallId = serializers.CharField(source="number")
    productId = serializers.CharField(source="batch.variant.sku")
    batchNumber = serializers.CharField(source="batch.number")
    reason = serializers.CharField()
    status = serializers.ChoiceField(Recall.State, source="state")
    openedAt = serializers.DateTimeField(source="opened_at")
    closedAt = serializers.DateTimeField(source="closed_at", allow_null=True)
    blockedQuantity = serializers.IntegerField(allow_null=True, help_text="On hand when it was recalled.")
    promisesBroken = serializers.IntegerField(allow_null=True, help_text="Units promised that were taken back.")


class WholeRecall(RecallSerializer):
    relatedRecallIds = serializers.ListField(
        child=serializers.CharField(),
        help_text="Recalls of the same goods under another SKU: packs that were opened, units that were packed.",
    )
    holders = HolderSerializer(
        many=True, allow_null=True, help_text=f"Who got some; {tracing.ROWS_MAX} rows at most, the sums are of all."
    )
    shippedQuantity = serializers.IntegerField(allow_null=True)
    tracedQuantity = serializers.IntegerField(allow_null=True, help_text="Shipped to a holder we can name.")
    returnedQuantity = serializers.IntegerField(allow_null=True)
    coverage = serializers.FloatField(
        allow_null=True, help_text="Traced of what was shipped, from 0 to 1; null where none was."
    )


class BatchFilter(filters.FilterSet):
    productId = filters.CharFilter("variant__sku")
    batchNumber = filters.CharFilter("number")
    holdState = filters.ChoiceFilter("hold_state", choices=Batch.HoldState)
    expiresBefore = filters.DateFilter("expires_on", lookup_expr="lt")


class RecallFilter(filters.FilterSet):
    productId = filters.CharFilter("batch__variant__sku")
    batchNumber = filters.CharFilter("batch__number")
    status = filters.ChoiceFilter("state", choices=Recall.State)


class BatchDoor(Door):
    queryset = Batch.objects.none()
    serializer_class = WholeBatch
    required_scopes: ClassVar = {"GET": "inventory:read", "POST": "inventory:write"}
    keyset = "-id"

    def mine(self) -> Any:
        still_open = Prefetch("recalls", Recall.objects.filter(state=Recall.State.OPEN), to_attr="open_recalls")
        return (
            Batch.objects.for_partner(self.partner).select_related("variant", "supplier").prefetch_related(still_open)
        )

    def find(self, sku: str, number: str) -> Batch:
        batch: Batch = get_object_or_404(self.mine(), variant__sku=sku, number=number)
        return batch

    def find_to_hold_back(self, sku: str, number: str) -> Batch:
        """The batch, for us and for who supplied it: they answer for it. Raises LeftToTheHouse."""
        batch = self.find(sku, number)
        is_its_supplier = self.partner.kind == Partner.Kind.SUPPLIER and batch.supplier_id == self.partner.pk
        if not is_its_supplier:
            self.check_house("Only its supplier and we ourselves hold a batch back.")
        return batch

    def check_house(self, detail: str) -> None:
        if self.partner.kind != Partner.Kind.CHANNEL:
            raise LeftToTheHouse(detail)

    def shown(self, batch: Any) -> Any:
        """With what the rows of it do not say by themselves; `batch` is one of `mine`."""
        supplier = batch.supplier
        # The same partners as Partner.for_partner, without a query for each row.
        may_know = self.partner.assortment == Partner.Assortment.ALL or self.partner.kind == Partner.Kind.CHANNEL
        batch.supplierId = supplier.code if supplier and (may_know or supplier.pk == self.partner.pk) else None
        batch.recallId = batch.open_recalls[0].number if batch.open_recalls else None
        return batch

    def answer(self, found: Batch) -> Response:
        batch = self.shown(self.mine().get(pk=found.pk))
        batch.warehouses = self.warehouses(batch)
        body = WholeBatch(batch).data
        return conditional.with_etag(Response(body), conditional.etag_of(body), self.request)

    def warehouses(self, batch: Batch) -> list[dict[str, Any]]:
        """What the caller may know of the batch in each warehouse. One query; four where not all is told."""
        rule, at = self.partner.disclosure_rule, timezone.now()
        most: Mapping[str, int] = {}
        if not rule.is_exact:
            asker = Asker(partner=self.partner, channel="", at=at)
            most = availability.available(variant_ids=[batch.variant_id], asker=asker)[batch.variant_id].by_node
        places: dict[str, list[queries.Position]] = defaultdict(list)
        for position in queries.positions(
            variant_ids=[batch.variant_id], at=at, partner=self.partner, batch_number=batch.number
        ):
            places[position.warehouse_code].append(position)
        rows = []
        for code, here in places.items():
            free = sum(row.on_hand - row.reserved for row in here if row.is_sellable)
            told = rule.tell(free if rule.is_exact else min(free, most.get(code, 0)))
            row = {
                "warehouseLocation": code,
                "inventoryLevel": sum(row.on_hand for row in here) if rule.is_exact else None,
                "reservedQuantity": sum(row.reserved for row in here) if rule.is_exact else None,
                "availableQuantity": told.quantity,
                "availability": told.label,
            }
            rows.append(row)
        return rows


class Batches(BatchDoor):
    """Batches."""

    serializer_class = BatchSerializer
    filterset_class = BatchFilter

    @extend_schema(operation_id="listBatches")
    def get(self, request: Request) -> Response:
        """Batches of the caller's products that it supplied or that lie where it may look, newest first."""
        page = self.paginate_queryset(self.filter_queryset(self.mine())) or []
        return self.get_paginated_response(BatchSerializer([self.shown(batch) for batch in page], many=True).data)


class OneBatch(BatchDoor):
    @extend_schema(operation_id="getBatch")
    def get(self, request: Request, sku: str, number: str) -> Response:
        """One batch, and where it lies."""
        return self.answer(self.find(sku, number))


class Quarantine(BatchDoor):
    @extend_schema(operation_id="quarantineBatch", request=ReasonFields, responses=WholeBatch)
    @once
    def post(self, request: Request, sku: str, number: str) -> Response:
        """Hold it back in every warehouse; what is promised of it stays promised and does not leave.

        For its supplier and for us; anybody else gets 403 `left_to_the_house`.
        """
        batch = self.find_to_hold_back(sku, number)
        reason = self.understood(ReasonFields)["reason"]
        return self.answer(holds.quarantine_batch(batch=batch, reason=reason, actor=self.actor, at=timezone.now()))


class Lift(BatchDoor):
    @extend_schema(operation_id="liftBatch", request=LiftFields, responses=WholeBatch)
    @once
    def post(self, request: Request, sku: str, number: str) -> Response:
        """Let it go: it may be promised and leave again. For us alone, and not while its recall is open."""
        batch = self.find(sku, number)
        self.check_house("Only we ourselves let a batch go.")
        reason = self.understood(LiftFields)["reason"]
        return self.answer(holds.lift_batch(batch=batch, reason=reason, actor=self.actor, at=timezone.now()))


class RecallDoor(BatchDoor):
    queryset = Recall.objects.none()
    serializer_class = WholeRecall

    def recalls(self) -> Any:
        return Recall.objects.for_partner(self.partner).select_related("batch__variant")

    @property
    def may_know_holders(self) -> bool:
        return self.partner.kind == Partner.Kind.CHANNEL or "audit:read" in self.caller.scopes

    def told(self, recall: Any) -> Any:
        recall.blockedQuantity = recall.blocked if self.may_know_holders else None
        recall.promisesBroken = recall.promises_broken if self.may_know_holders else None
        return recall

    def answer_recall(self, found: Recall, status: int = 200) -> Response:
        recall = self.told(self.recalls().get(pk=found.pk))
        others = {other.pk for other in tracing.recalled_with(recall=recall)}
        visible = Recall.objects.for_partner(self.partner).filter(pk__in=others).order_by("id")
        recall.relatedRecallIds = list(visible.values_list("number", flat=True))
        trace = tracing.trace(batch=recall.batch) if self.may_know_holders else None
        recall.holders = trace.holders if trace else None
        recall.shippedQuantity = trace.shipped if trace else None
        recall.tracedQuantity = trace.traced if trace else None
        recall.returnedQuantity = trace.returned if trace else None
        recall.coverage = trace.coverage if trace else None
        body = WholeRecall(recall).data
        return conditional.with_etag(Response(body, status=status), conditional.etag_of(body), self.request)


class RecallBatch(RecallDoor):
    @extend_schema(operation_id="recallBatch", request=ReasonFields, responses={200: WholeRecall, 201: WholeRecall})
    @once
    def post(self, request: Request, sku: str, number: str) -> Response:
        """Call it back: blocked everywhere at once, every promise of it broken, everybody concerned told.

        Packs that were opened into it, or units packed from it, are recalled with it: `relatedRecallIds`. For its
        supplier and for us. While its recall is open, recalling it again answers that one with 200.
        """
        batch = self.find_to_hold_back(sku, number)
        reason, at = self.understood(ReasonFields)["reason"], timezone.now()
        made = holds.recall_batch(batch=batch, reason=reason, actor=self.actor, at=at)
        response = self.answer_recall(made, 201 if made.opened_at == at else 200)
        response["Location"] = f"/api/v1/recalls/{made.number}"
        return response


class Recalls(RecallDoor):
    """Recalls."""

    serializer_class = RecallSerializer
    filterset_class = RecallFilter

    @extend_schema(operation_id="listRecalls")
    def get(self, request: Request) -> Response:
        """Recalls of the batches the caller may see, newest first."""
        page = self.paginate_queryset(self.filter_queryset(self.recalls())) or []
        return self.get_paginated_response(RecallSerializer([self.told(recall) for recall in page], many=True).data)


class OneRecall(RecallDoor):
    @extend_schema(operation_id="getRecall")
    def get(self, request: Request, number: str) -> Response:
        """One recall; `holders` says who got some, to us and to those with the scope `audit:read`."""
        return self.answer_recall(get_object_or_404(self.recalls(), number=number))


class Close(RecallDoor):
    @extend_schema(operation_id="closeRecall", request=None)
    @once
    def post(self, request: Request, number: str) -> Response:
        """All of it is back or accounted for. The batch stays blocked until it is lifted. For us alone."""
        recall = get_object_or_404(self.recalls(), number=number)
        self.check_house("Only we ourselves close a recall.")
        return self.answer_recall(holds.close_recall(recall=recall, actor=self.actor, at=timezone.now()))
