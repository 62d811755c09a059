"""/imports: products and fitments as the catalog plans them, and what other systems say of stock."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import Http404
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import imports as catalog
from catalog.models import CatalogImportRow
from orders.operations import stating
from orders.operations.stating import Known
from partners import files
from partners.api import conditional
from partners.api.auth import InsufficientScope
from partners.api.doors import once
from partners.api.fields import Text
from partners.api.uploads import UPLOAD_BYTES_MAX
from partners.problems import InvalidInput
from partners.tasks import wake_after_commit
from stock import queries, tasks
from stock.api.inventory import find_warehouse
from stock.models import StockImport, StockImportRange, StockImportRow
from stock.operations import stating as starting
from stock.operations.stating import Said
from stock.ranges import TIMESTAMP_MAX

RANGES_MAX = 50
PREFIX = "SI-"


class Timestamp(serializers.IntegerField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=1, max_value=TIMESTAMP_MAX, **kwargs)


class RangeAsked(serializers.Serializer[Any]):
    warehouseLocation = Text(max_length=40)
    logicalTimestampStart = Timestamp(required=False, help_text="The first event the numbers contain; left out: all.")
    logicalTimestampEnd = Timestamp(help_text="The last event the numbers contain.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs.get("logicalTimestampStart", 1) > attrs["logicalTimestampEnd"]:
            raise serializers.ValidationError({"logicalTimestampStart": ["Begin no later than the end."]})
        return attrs


class StockImportAsked(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(["stock"])
    basis = serializers.ChoiceField(
        StockImport.Basis,
        help_text="What the numbers are: on hand; free to promise with our orders not taken off; or with them taken off"
        " as of logicalTimestampEnd. There is no default: taken for another, all is promised twice or not at all.",
    )
    mode = serializers.ChoiceField(StockImport.Mode, required=False, default=StockImport.Mode.SNAPSHOT)
    scope = serializers.ChoiceField(
        StockImport.Scope, required=False, default=StockImport.Scope.LISTED,
        help_text="`all`: whatever left in the range must be listed, else nothing is taken in.",
    )  # fmt: skip
    title = Text(max_length=200, required=False, default="", allow_blank=True, help_text="To find it again.")
    snapshotId = Text(
        max_length=120, required=False, default="", allow_blank=True,
        help_text="Your own name for these numbers; sent again, they answer the import they made.",
    )  # fmt: skip
    warehouseLocation = Text(
        max_length=40, required=False, default="", allow_blank=True, help_text="Of all that name none themselves."
    )
    logicalTimestampStart = Timestamp(
        required=False,
        help_text="The first event of warehouseLocation the numbers contain; left out: all before the end.",
    )
    logicalTimestampEnd = Timestamp(
        required=False, help_text="The last one. Left out: they contain nothing that left since they were last stated."
    )
    ranges = RangeAsked(many=True, required=False, max_length=RANGES_MAX, help_text="The same for several warehouses.")
    items = serializers.ListField(
        child=serializers.DictField(), required=False, max_length=catalog.ITEMS_MAX,
        help_text="productId, quantity, and where it matters warehouseLocation, batchNumber, expirationDate. Up to"
        f" {catalog.ITEMS_MAX:,}; more in a file.",
    )  # fmt: skip
    file = catalog.DescribedFile(
        required=False, help_text=f"CSV, XLSX or JSON lines with the same columns, up to {UPLOAD_BYTES_MAX // 1_000_000} MB.",
    )  # fmt: skip

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("items" in attrs) == ("file" in attrs):
            raise serializers.ValidationError({"items": ["Send either items or a file."]})
        start, end = attrs.get("logicalTimestampStart"), attrs.get("logicalTimestampEnd")
        if start is not None and end is None:
            raise serializers.ValidationError({"logicalTimestampEnd": ["Say where the range ends."]})
        if start is not None and start > end:
            raise serializers.ValidationError({"logicalTimestampStart": ["Begin no later than the end."]})
        if end is not None and not attrs["warehouseLocation"]:
            raise serializers.ValidationError(
                {"warehouseLocation": ["Each warehouse counts its own events; say whose."]}
            )
        return attrs


class StockRangeSerializer(serializers.Serializer[StockImportRange]):
    warehouseLocation = serializers.CharField(source="warehouse.code")
    logicalTimestampStart = serializers.IntegerField(source="starts", allow_null=True, help_text="Null: the first.")
    logicalTimestampEnd = serializers.IntegerField(source="ends", allow_null=True, help_text="Null: none was said.")
    acknowledgedThrough = serializers.SerializerMethodField(
        help_text="Everything that left through this event is in your numbers; begin your next range behind it."
    )

    def get_acknowledgedThrough(self, row: StockImportRange) -> int:
        return queries.acknowledged_through(warehouse_id=row.warehouse_id, partner=row.stock_import.partner)


class StockImportRowSerializer(serializers.Serializer[StockImportRow]):
    row = serializers.IntegerField(
        source="number", help_text="Of a table, the header is row 1; of items, the first is 1."
    )
    productId = serializers.CharField(source="sku")
    warehouseLocation = serializers.SerializerMethodField(help_text="Empty where the row is refused.")
    batchNumber = serializers.CharField(source="batch_number")
    quantity = serializers.IntegerField(help_text="As you said it.")
    outcome = serializers.ChoiceField(StockImportRow.Outcome, help_text="What became of the row.")
    leftSince = serializers.IntegerField(
        source="left_since", allow_null=True, help_text="Units that left and were taken off; null until applied."
    )
    reasons = serializers.SerializerMethodField()

    @extend_schema_field({"type": "string"})
    def get_warehouseLocation(self, row: StockImportRow) -> str:
        return row.warehouse.code if row.warehouse else ""

    @extend_schema_field(catalog.ReasonFields(many=True))
    def get_reasons(self, row: StockImportRow) -> list[dict[str, str]]:
        return [{"field": field, "detail": detail} for field, detail in row.reasons]


class StockImportSerializer(serializers.Serializer[StockImport]):
    importId = serializers.CharField(source="number")
    kind = serializers.SerializerMethodField()
    title = serializers.CharField()
    status = serializers.ChoiceField(StockImport.State, source="state")
    mode = serializers.ChoiceField(StockImport.Mode)
    basis = serializers.ChoiceField(StockImport.Basis, help_text="What the numbers are.")
    scope = serializers.ChoiceField(StockImport.Scope)
    snapshotId = serializers.CharField(source="snapshot_id")
    reason = serializers.CharField(help_text="Why it failed.")
    rows = serializers.IntegerField(source="row_count")
    done = serializers.IntegerField(source="done_count", help_text="Rows that are over, whichever way.")
    changed = serializers.IntegerField(source="changed_count")
    unchanged = serializers.IntegerField(source="unchanged_count")
    refused = serializers.IntegerField(source="refused_count")
    isTakenIn = serializers.SerializerMethodField(help_text="Whether all rows of a file have been read.")
    createdAt = serializers.DateTimeField(source="created_at")
    startedAt = serializers.DateTimeField(source="started_at", allow_null=True)
    endedAt = serializers.DateTimeField(
        source="ended_at", allow_null=True, help_text="When it was applied or failed; null until then."
    )
    version = serializers.IntegerField()

    @extend_schema_field({"type": "string", "enum": ["stock"]})
    def get_kind(self, row: StockImport) -> str:
        return "stock"

    def get_isTakenIn(self, row: StockImport) -> bool:
        return row.taken_in_at is not None


class StockImportDetail(StockImportSerializer):
    acknowledgedThrough = serializers.SerializerMethodField(
        help_text="That of the one warehouse it is of; null where there are several, see `warehouses`."
    )
    warehouses = StockRangeSerializer(
        source="ranges", many=True, help_text="What the numbers of each warehouse contain."
    )
    rejects = serializers.SerializerMethodField(
        help_text=f"The first {catalog.REJECTS_MAX} rows that are refused; all of them in /imports/{{importId}}/rows."
    )

    @extend_schema_field({"type": ["integer", "null"]})
    def get_acknowledgedThrough(self, row: StockImport) -> int | None:
        halls = [one.warehouse_id for one in row.ranges.all()]
        if len(halls) != 1:
            return None
        return queries.acknowledged_through(warehouse_id=halls[0], partner=row.partner)

    @extend_schema_field(StockImportRowSerializer(many=True))
    def get_rejects(self, row: StockImport) -> Any:
        rows = row.rows.filter(outcome=StockImportRow.Outcome.REFUSED).order_by("id")[: catalog.REJECTS_MAX]
        return StockImportRowSerializer(rows, many=True).data


def either(name: str, *serializers_: Any) -> Any:
    return PolymorphicProxySerializer(
        component_name=name, serializers=list(serializers_), resource_type_field_name=None
    )


DETAIL = either("AnyImport", catalog.ImportDetail, StockImportDetail)


class StockImports(catalog.ImportDoor):
    """What the doors below share: an import's number tells whose kind it is."""

    def mine_of_stock(self) -> Any:
        return StockImport.objects.for_partner(self.partner).select_related("partner").defer("file_content")

    def found_stock(self, number: str) -> StockImport:
        row: StockImport | None = self.mine_of_stock().filter(number=number).first()
        if row is None:
            raise Http404
        conditional.check_seen(
            self.request, lambda: self.answer_stock(row)["ETag"], StockImport.objects.filter(pk=row.pk)
        )
        return row

    def answer_stock(self, row: StockImport, status: int = 200) -> Response:
        row = self.mine_of_stock().prefetch_related("ranges__warehouse", "ranges__stock_import__partner").get(pk=row.pk)
        response = Response(StockImportDetail(row).data, status=status)
        return conditional.with_etag(response, conditional.etag(row.version), self.request)

    def ask_for_the_book(self) -> None:
        """Who may not set levels one by one may not by the thousand."""
        if "inventory:write" not in self.caller.scopes:
            raise InsufficientScope("The token's scope does not cover stock.", requiredScope="inventory:write")


class ImportsFilter(filters.FilterSet):
    kind = filters.ChoiceFilter(
        choices=[("catalog", "catalog"), ("stock", "stock")], method="kept",
        help_text="catalog, with fitments (the default), or stock.",
    )  # fmt: skip

    def kept(self, queryset: Any, name: str, value: str) -> Any:
        return queryset


class Imports(StockImports, catalog.Imports):
    filterset_class = ImportsFilter

    @extend_schema(
        operation_id="listImports", responses=either("AnyImportListed", catalog.ImportSerializer, StockImportSerializer)
    )
    def get(self, request: Request) -> Response:
        """The caller's own imports, the latest first: of the catalog, or with `kind=stock` of stock."""
        if request.query_params.get("kind") != "stock":
            return super().get(request)
        self.serializer_class = StockImportSerializer
        return self.listed(self.mine_of_stock())

    @extend_schema(
        operation_id="createImport",
        request=either("AnyImportAsked", catalog.ImportAsked, StockImportAsked),
        responses={201: DETAIL},
    )
    @once
    def post(self, request: Request) -> Response:
        """Have products or fitments planned, or numbers of stock taken in: nothing is changed until it is started.

        Of the catalog, items are planned at once and a file in a moment; needs catalog:write, too.

        Of stock, the numbers say which events of a warehouse (`logicalTimestamp` of fulfillment_request.completed) they
        contain. What left later is taken off them, exactly once. A range begins no later than behind the last one
        (`range_gap`), ends no later than the warehouse's last event (`range_ahead`), and never before an end that was
        acknowledged (`stale_snapshot`). Needs inventory:write, too.
        """
        if not isinstance(request.data, dict) or request.data.get("kind") != "stock":
            return self.planned()
        asked = self.understood(StockImportAsked)
        self.ask_for_the_book()
        row = self.taken_in(asked)
        response = self.answer_stock(row, 201)
        response["Location"] = f"/api/v1/imports/{row.number}"
        return response

    def taken_in(self, asked: dict[str, Any]) -> StockImport:
        code = asked["warehouseLocation"]
        hall = find_warehouse(self.partner, code) if code else None
        known = [
            Known(
                warehouse=find_warehouse(self.partner, one["warehouseLocation"], f"ranges[{place}].warehouseLocation"),
                starts=one.get("logicalTimestampStart"), ends=one["logicalTimestampEnd"],
            )
            for place, one in enumerate(asked.get("ranges", []))
        ]  # fmt: skip
        if hall and "logicalTimestampEnd" in asked:
            known.append(
                Known(warehouse=hall, starts=asked.get("logicalTimestampStart"), ends=asked["logicalTimestampEnd"])
            )
        said = Said(
            basis=asked["basis"], mode=asked["mode"], scope=asked["scope"], snapshot_id=asked["snapshotId"],
            title=asked["title"], warehouse=hall,
        )  # fmt: skip
        if "file" not in asked:
            return stating.open_items(
                said=said, known=known, items=asked["items"], actor=self.actor, partner=self.partner
            )
        try:
            row = stating.open_file(
                said=said, known=known, name=asked["file"].name, content=asked["file"].content, actor=self.actor,
                partner=self.partner,
            )  # fmt: skip
        except files.Unreadable as error:
            raise InvalidInput.at("file", str(error)) from error
        wake_after_commit(tasks.work_on_stock_imports)
        return row


class Import(StockImports, catalog.Import):
    @extend_schema(operation_id="getImport", responses=DETAIL)
    def get(self, request: Request, number: str) -> Response:
        """An import with its counts and what was refused."""
        if number.startswith(PREFIX):
            return self.answer_stock(self.found_stock(number))
        return super().get(request, number)


OUTCOMES = dict(CatalogImportRow.Outcome.choices) | dict(StockImportRow.Outcome.choices)


class RowsFilter(filters.FilterSet):
    outcome = filters.ChoiceFilter(choices=sorted(OUTCOMES.items()))


class ImportRows(StockImports, catalog.ImportRows):
    filterset_class: ClassVar[Any] = RowsFilter

    @extend_schema(
        operation_id="listImportRows",
        responses=either("AnyImportRow", catalog.ImportRowSerializer, StockImportRowSerializer),
    )
    def get(self, request: Request, number: str) -> Response:
        """Its rows in the order they came: what would change, what was done, or why not."""
        if not number.startswith(PREFIX):
            return super().get(request, number)
        self.serializer_class = StockImportRowSerializer
        return self.listed(
            StockImportRow.objects.filter(stock_import=self.found_stock(number)).select_related("warehouse")
        )


class StartImport(StockImports, catalog.StartImport):
    @extend_schema(operation_id="startImport", request=catalog.StartAsked, responses={202: DETAIL})
    @once
    def post(self, request: Request, number: str) -> Response:
        """Have it applied. A plan of the catalog all of it or, if anything moved since it was made, nothing (`outdated`);
        numbers of stock place by place, each together with what is acknowledged of it."""
        if not number.startswith(PREFIX):
            return self.started(number)
        row = self.found_stock(number)
        self.understood(catalog.StartAsked)
        self.ask_for_the_book()
        row = starting.start(stock_import=row, actor=self.actor, at=timezone.now())
        wake_after_commit(tasks.work_on_stock_imports)
        return self.answer_stock(row, 202)
