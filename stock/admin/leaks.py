"""Who looked up what, and what could be concluded from it: for auditors."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from unfold.decorators import action, display

from partners.admin import ReadOnlyAdmin
from partners.models import Partner
from stock import leaks
from stock.admin.search import named
from stock.leaks import Known
from stock.models import LookUp


@admin.register(LookUp)
class LookUpAdmin(ReadOnlyAdmin):
    list_display = ("day", "partner", "product", "looks", "grants", "refusals", "concluded")
    list_select_related = ("partner", "variant")
    list_filter = ("partner",)
    search_fields = ("variant__sku__exact", "partner__code__exact")
    search_help_text = "A whole SKU or partner code"
    fields = (("partner", "variant"), "day", ("looks", "grants", "refusals"), ("lower", "upper"))
    actions_list = ("report",)

    @display(description="Product", header=True)
    def product(self, row: LookUp) -> list[str]:
        return named(row.variant)

    @display(description="Could conclude")
    def concluded(self, row: LookUp) -> str:
        known = Known(
            sku="", day=row.day, lower=row.lower, upper=row.upper, looks=row.looks, refusals=row.refusals,
            grants=row.grants,
        )  # fmt: skip
        return known.words

    @action(description="Leak report", icon="troubleshoot", url_path="report", permissions=["view"])
    def report(self, request: HttpRequest) -> HttpResponse:
        """What each partner could conclude in a month; of one partner, product by product."""
        month = request.GET.get("month", "")
        try:
            since, until = leaks.month_of(month)
        except ValueError:
            month = f"{timezone.now():%Y-%m}"
            since, until = leaks.month_of(month)
        code = request.GET.get("partner", "").replace("\x00", "")
        partner = Partner.objects.filter(code=code).first()
        found: dict[str, Any] = {
            "title": "Leak report", "month": month, "since": since, "chosen": partner,
            "leaks": leaks.report(since=since, until=until, partner=partner),
            "closest": leaks.closest(since=since, until=until, partner=partner) if partner else [],
            "opts": self.model._meta,
        }  # fmt: skip
        return render(request, "admin/stock/leaks.html", self.admin_site.each_context(request) | found)
