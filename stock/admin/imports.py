"""What other systems said of stock: how far each import is, what was refused, and why."""

from __future__ import annotations

import csv
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html_join
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from partners.admin import ReadOnlyAdmin, acting, ask, back_to, try_operation
from partners.tasks import wake_after_commit
from stock import queries, tasks
from stock.models import StockImport, StockImportRow
from stock.operations import stating

COLOURS = {"created": "warning", "running": "info", "applied": "success", "failed": "danger"}
REJECTS_SHOWN = 50
REJECTS_MAX = 100_000


@admin.register(StockImport)
class StockImportAdmin(ReadOnlyAdmin):
    list_display = ("name", "label", "sender", "progress", "refused_count", "created_at")
    list_display_links = ("name",)
    list_select_related = ("partner",)
    list_filter = ("state", "mode", "basis")
    search_fields = ("number__exact", "snapshot_id__exact")
    search_help_text = "A whole number, or the sender's own name for it"
    fields = (
        ("number", "snapshot_id", "sender"),
        ("mode", "basis", "scope"),
        ("progress", "changed_count", "unchanged_count", "refused_count"),
        ("created_at", "started_at", "ended_at"),
        ("actor", "started_by", "reason"),
        "contains",
        "rejects",
    )
    readonly_fields = ("sender", "progress", "contains", "rejects")
    actions_detail = ("start_this", "download_rejects")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("file_content")

    @display(description="Import", header=True)
    def name(self, row: StockImport) -> list[str]:
        return [row.title or row.snapshot_id or row.file_name or f"{row.row_count:,} rows", row.number]

    @display(description="State", ordering="state", label=COLOURS)
    def label(self, row: StockImport) -> tuple[str, str]:
        return row.state, row.get_state_display()

    @display(description="Sent by")
    def sender(self, row: StockImport) -> str:
        return str(row.partner) if row.partner else "Ourselves"

    @display(description="Done")
    def progress(self, row: StockImport) -> str:
        read = "" if row.taken_in_at or row.state == StockImport.State.FAILED else " read so far"
        return f"{row.done_count:,} of {row.row_count:,}{read}"

    @display(description="What the numbers contain")
    def contains(self, row: StockImport) -> str:
        """At most as many warehouses as an import may name."""
        said = row.ranges.select_related("warehouse")
        return format_html_join(
            "", "<p>{}: {}; acknowledged through {}</p>",
            (
                (
                    one.warehouse.code,
                    f"events {one.starts or 'from the first'} to {one.ends}" if one.ends else "no range said",
                    queries.acknowledged_through(warehouse_id=one.warehouse_id, partner=row.partner),
                )
                for one in said
            ),
        )  # fmt: skip

    @display(description=f"Refused, the first {REJECTS_SHOWN}")
    def rejects(self, row: StockImport) -> str:
        told = format_html_join(
            "", "<p>Row {}, {}: {}</p>",
            (
                (one.number, one.sku or "no product", words(one))
                for one in refused(row)[:REJECTS_SHOWN]
            ),
        )  # fmt: skip
        return told or "None"

    def has_start_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Whether the step may be taken by this person and, where the page of one is shown, from where it stands."""
        if not self.has_step_permission(request):
            return False
        rows = self.get_queryset(request).filter(state=StockImport.State.CREATED)
        return object_id is None or rows.filter(pk=object_id).exists()

    @action(
        description="Start", icon="play_arrow", permissions=["start"],
        dialog=ask("Apply these numbers?", "The book becomes what they say, less what has left since.", "Start"),
    )  # fmt: skip
    def start_this(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        row = get_object_or_404(self.get_queryset(request), pk=object_id)
        if refusal := try_operation(lambda: stating.start(stock_import=row, actor=acting(request), at=timezone.now())):
            self.message_user(request, refusal, level="ERROR")
        else:
            wake_after_commit(tasks.work_on_stock_imports)
        return back_to(request, reverse("admin:stock_stockimport_change", args=[row.pk]))

    @action(description="Download rejects", icon="download", url_path="rejects")
    def download_rejects(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The refused rows as a table that can be mended and sent again, at most 100,000 of them."""
        row = get_object_or_404(self.get_queryset(request), pk=object_id)
        answer = HttpResponse(content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = f'attachment; filename="{row.number}-rejects.csv"'
        table = csv.writer(answer)
        table.writerow(["row", "productId", "batchNumber", "quantity", "reason"])
        for one in refused(row)[:REJECTS_MAX].iterator():
            table.writerow(
                [one.number, harmless(one.sku), harmless(one.batch_number), one.quantity, harmless(words(one))]
            )
        return answer


def refused(row: StockImport) -> Any:
    return StockImportRow.objects.filter(stock_import=row, outcome=StockImportRow.Outcome.REFUSED).order_by("pk")


def words(row: StockImportRow) -> str:
    return "; ".join(f"{field}: {said}" for field, said in row.reasons)


def harmless(text: str) -> str:
    """A cell a spreadsheet does not take for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
