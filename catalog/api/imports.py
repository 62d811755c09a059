"""/imports: many products or fitments at once, planned, then started, and taken back whole."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import Http404
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog import queries, tasks
from catalog.models import CatalogImport, CatalogImportRow
from catalog.operations import plan_work, plan_writing, plans
from partners import files
from partners.api import conditional
from partners.api.auth import InsufficientScope
from partners.api.doors import Door, once
from partners.api.fields import Flag, Text
from partners.api.parsing import StrictJSONParser
from partners.api.uploads import UPLOAD_BYTES_MAX, Upload, UploadParser
from partners.models import Partner
from partners.problems import InvalidInput
from partners.tasks import wake_after_commit

# They are planned while the sender waits; more go in a file.
ITEMS_MAX = 1_000
REJECTS_MAX = 100
KINDS = {"catalog": CatalogImport.Kind.PRODUCTS, "fitments": CatalogImport.Kind.FITMENTS}
# What the contract calls the states a sender waits for.
STATUSES = {
    "planning": "created", "planned": "created", "applying": "running", "applied": "applied", "undone": "undone",
    "refused": "failed", "outdated": "failed", "failed": "failed",
}  # fmt: skip


class SentFile(serializers.Field):
    def to_internal_value(self, data: Any) -> Upload:
        if not isinstance(data, Upload):
            raise serializers.ValidationError("Send a file, as multipart/form-data.")
        return data

    def to_representation(self, value: Any) -> None:
        return None


@extend_schema_field({"type": "string", "format": "binary"})
class DescribedFile(SentFile):
    """A file of up to 50 MB."""


class ImportAsked(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(["catalog", "fitments", "prices"], help_text="prices are not taken in this way yet.")
    title = Text(max_length=200, required=False, default="", allow_blank=True, help_text="To find it again.")
    items = serializers.ListField(
        child=serializers.DictField(), required=False, max_length=ITEMS_MAX,
        help_text="Products as in /products, of each only what is to change; or fitments with productId, make, model, "
        f"yearFrom, yearTo … Up to {ITEMS_MAX:,}; more in a file.",
    )  # fmt: skip
    file = DescribedFile(
        required=False,
        help_text="CSV, XLSX, JSON lines, or ACES or PIES (also packed with gzip or zip), up to"
        f" {UPLOAD_BYTES_MAX // 1_000_000} MB.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("items" in attrs) == ("file" in attrs):
            raise serializers.ValidationError({"items": ["Send either items or a file."]})
        return attrs


class StartAsked(serializers.Serializer[Any]):
    planHash = Text(
        max_length=64, required=False, default="", allow_blank=True,
        help_text="That of the plan you looked at; another one is refused with plan_differs.",
    )  # fmt: skip


class UndoAsked(serializers.Serializer[Any]):
    force = Flag(
        required=False, default=False, help_text="Leave as they are what has changed since, and take back the rest."
    )


class ReasonFields(serializers.Serializer[Any]):
    field = serializers.CharField()
    detail = serializers.CharField()


class ChangeFields(serializers.Serializer[Any]):
    field = serializers.CharField()
    before = serializers.JSONField(help_text="The value, of whatever type; null where there was none.")
    after = serializers.JSONField(help_text="The value, of whatever type; null where there is none any more.")


class ImportRowSerializer(serializers.Serializer[CatalogImportRow]):
    row = serializers.IntegerField(
        source="number",
        help_text="Of a table, the header is row 1; of items, the first is 1; of ACES and PIES, the line. 0: what a FULL"
        " file does not name.",
    )
    productId = serializers.CharField(source="sku")
    outcome = serializers.ChoiceField(CatalogImportRow.Outcome)
    reasons = serializers.SerializerMethodField()
    changes = serializers.SerializerMethodField()
    effects = serializers.DictField(
        child=serializers.IntegerField(),
        help_text="onHand, reserved, openOrderLines; empty where numbers are not told exactly.",
    )
    undone = serializers.CharField(source="undoing", help_text="How it was taken back; empty: it was not.")

    def to_representation(self, instance: CatalogImportRow) -> dict[str, Any]:
        told: dict[str, Any] = super().to_representation(instance)
        partner: Partner | None = self.context["view"].partner if "view" in self.context else None
        return told if partner and partner.disclosure_rule.is_exact else told | {"effects": {}}

    @extend_schema_field(ReasonFields(many=True))
    def get_reasons(self, row: CatalogImportRow) -> list[dict[str, str]]:
        return [{"field": field, "detail": detail} for field, detail in row.reasons]

    @extend_schema_field(ChangeFields(many=True))
    def get_changes(self, row: CatalogImportRow) -> list[dict[str, Any]]:
        return [{"field": field, "before": was, "after": new} for field, was, new in row.changes]


class ImportSerializer(serializers.Serializer[CatalogImport]):
    importId = serializers.CharField(source="number")
    kind = serializers.SerializerMethodField()
    title = serializers.CharField()
    status = serializers.SerializerMethodField(help_text="created, running, applied, failed or undone.")
    state = serializers.ChoiceField(CatalogImport.State, help_text="The same, told apart further.")
    reason = serializers.CharField(help_text="Why it is refused, outdated or failed.")
    rows = serializers.IntegerField(source="row_count")
    new = serializers.IntegerField(source="new_count")
    changed = serializers.IntegerField(source="changed_count")
    unchanged = serializers.IntegerField(source="unchanged_count")
    refused = serializers.IntegerField(source="refused_count")
    dropped = serializers.IntegerField(
        source="dropped_count",
        help_text="Fitments that go: an ACES file takes them away, or, being FULL, leaves them out.",
    )
    effects = serializers.DictField(
        child=serializers.DictField(child=serializers.IntegerField()),
        help_text="What is on hand, reserved and ordered of products whose status, tracking … changes; empty where"
        " numbers are not told exactly.",
    )
    notes = serializers.ListField(child=serializers.CharField())
    planHash = serializers.CharField(source="plan_hash")
    createdAt = serializers.DateTimeField(source="created_at")
    appliedAt = serializers.DateTimeField(source="applied_at", allow_null=True)
    undoneAt = serializers.DateTimeField(source="undone_at", allow_null=True)
    forgottenAt = serializers.DateTimeField(
        source="forgotten_at", allow_null=True,
        help_text=f"When its rows were given up: {queries.KEPT_DAYS} days after it ended without being applied, or "
        f"{queries.UNDONE_DAYS} days after it was. From then on it is not undone any more; null: they are there.",
    )  # fmt: skip
    version = serializers.IntegerField()

    def to_representation(self, instance: CatalogImport) -> dict[str, Any]:
        told: dict[str, Any] = super().to_representation(instance)
        may_know = instance.partner is None or instance.partner.disclosure_rule.is_exact
        return told if may_know else told | {"effects": {}}

    @extend_schema_field({"type": "string", "enum": list(KINDS)})
    def get_kind(self, plan: CatalogImport) -> str:
        return "catalog" if plan.kind == CatalogImport.Kind.PRODUCTS else "fitments"

    @extend_schema_field({"type": "string", "enum": sorted(set(STATUSES.values()))})
    def get_status(self, plan: CatalogImport) -> str:
        return STATUSES[plan.state]


class ImportDetail(ImportSerializer):
    progress = serializers.SerializerMethodField(help_text="What is being done, while it is applied.")
    rejects = serializers.SerializerMethodField(
        help_text=f"The first {REJECTS_MAX} rows that are refused; all of them in /imports/{{importId}}/rows."
    )

    @extend_schema_field({"type": "string"})
    def get_progress(self, plan: CatalogImport) -> str:
        return plan_writing.progress(numbers=[plan.number]).get(plan.number, "")

    @extend_schema_field(ImportRowSerializer(many=True))
    def get_rejects(self, plan: CatalogImport) -> Any:
        rows = plan.rows.filter(outcome=CatalogImportRow.Outcome.REFUSED).order_by("id")[:REJECTS_MAX]
        return ImportRowSerializer(rows, many=True).data


class ImportDoor(Door):
    queryset = CatalogImport.objects.none()
    serializer_class = ImportSerializer
    keyset = "-id"
    required_scopes: ClassVar = {"GET": "imports:read", "POST": "imports:write"}
    are_steps_matched = True

    def mine(self) -> Any:
        return CatalogImport.objects.for_partner(self.partner).select_related("partner").defer("file_content")

    def found(self, number: str) -> CatalogImport:
        plan: CatalogImport | None = self.mine().filter(number=number).first()
        if plan is None:
            raise Http404
        return self.seen(plan, CatalogImport.objects.filter(pk=plan.pk))

    def answer(self, plan: CatalogImport, status: int = 200) -> Response:
        plan = self.mine().get(pk=plan.pk)
        response = Response(ImportDetail(plan).data, status=status)
        return conditional.with_etag(response, conditional.etag(plan.version), self.request)

    def ask_for_the_catalog(self) -> None:
        """Who may not write products one by one may not by the thousand."""
        if "catalog:write" not in self.caller.scopes:
            raise InsufficientScope("The token's scope does not cover the catalog.", requiredScope="catalog:write")


class Imports(ImportDoor):
    parser_classes: ClassVar = [StrictJSONParser, UploadParser]

    @extend_schema(operation_id="listImports")
    def get(self, request: Request) -> Response:
        """The caller's own imports, the latest first."""
        return self.listed(self.mine())

    @extend_schema(operation_id="createImport", request=ImportAsked, responses={201: ImportDetail})
    @once
    def post(self, request: Request) -> Response:
        """Have products or fitments planned: nothing is changed until the import is started.

        Items are planned at once; a file is planned in a moment, `state` tells. Needs catalog:write, too.
        """
        return self.planned()

    def planned(self) -> Response:
        asked = self.understood(ImportAsked)
        if asked["kind"] not in KINDS:
            raise InvalidInput.at("kind", f"{asked['kind']} is not taken in this way yet; send catalog or fitments.")
        self.ask_for_the_catalog()
        if "file" in asked:
            plan = self.opened(asked["file"], asked["title"])
            wake_after_commit(tasks.work_on_imports)
        else:
            rows = [files.Row(number, item) for number, item in enumerate(asked["items"], 1)]
            plan = plans.plan(
                rows=rows, kind=KINDS[asked["kind"]], title=asked["title"] or f"{len(rows)} items", actor=self.actor,
                origin=CatalogImport.Origin.API, partner=self.partner,
            )  # fmt: skip
        response = self.answer(plan, 201)
        response["Location"] = f"/api/v1/imports/{plan.number}"
        return response

    def opened(self, upload: Upload, title: str) -> CatalogImport:
        try:
            return plan_work.open_file(
                name=upload.name, content=upload.content, title=title, actor=self.actor,
                origin=CatalogImport.Origin.API, partner=self.partner,
            )  # fmt: skip
        except files.Unreadable as error:
            raise InvalidInput.at("file", str(error)) from error


class Import(ImportDoor):
    @extend_schema(operation_id="getImport", responses=ImportDetail)
    def get(self, request: Request, number: str) -> Response:
        """An import with its counts and what was refused."""
        return self.answer(self.found(number))


class ImportRowFilter(filters.FilterSet):
    outcome = filters.ChoiceFilter(choices=CatalogImportRow.Outcome.choices)


class ImportRows(ImportDoor):
    serializer_class = ImportRowSerializer
    filterset_class = ImportRowFilter
    keyset = "id"

    @extend_schema(operation_id="listImportRows")
    def get(self, request: Request, number: str) -> Response:
        """Its rows in the order they came: what would change, from what to what, or why not."""
        return self.listed(CatalogImportRow.objects.filter(plan=self.found(number)).defer("said"))


class StartImport(ImportDoor):
    @extend_schema(operation_id="startImport", request=StartAsked, responses={202: ImportDetail})
    @once
    def post(self, request: Request, number: str) -> Response:
        """Have the plan applied, all of it or, if anything moved since it was made, nothing (`outdated`)."""
        return self.started(number)

    def started(self, number: str) -> Response:
        plan = self.found(number)
        asked = self.understood(StartAsked)
        self.ask_for_the_catalog()
        plan = plans.start(plan=plan, actor=self.actor, plan_hash=asked["planHash"])
        wake_after_commit(tasks.work_on_imports)
        return self.answer(plan, 202)


class UndoImport(ImportDoor):
    @extend_schema(operation_id="undoImport", request=UndoAsked, responses=ImportDetail)
    @once
    def post(self, request: Request, number: str) -> Response:
        """Take an applied import back whole. What is in use by now is discontinued instead of deleted.

        Where something has changed since, 409 `import_moved_on` names it and nothing is taken back; once its rows are
        given up (`forgottenAt`) it is 409 `rows_forgotten`.
        """
        plan = self.found(number)
        asked = self.understood(UndoAsked)
        self.ask_for_the_catalog()
        return self.answer(plans.undo(plan=plan, actor=self.actor, is_forced=asked["force"]))
