"""manage.py leak_report: what partners could conclude of our stock in a month, in plain words."""

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from partners.models import Partner
from stock import leaks
from stock.operations import lookups

SHOWN = 20


class Command(BaseCommand):
    help = "Says what each partner could conclude of our stock from what it was told, refused and promised in a month."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--partner", default="", help="the code of one partner; its closest products are named")
        parser.add_argument("--month", default="", help="like 2026-11; this month if not given")
        parser.add_argument("--json", action="store_true", help="print the result as one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        month = options["month"] or f"{timezone.now():%Y-%m}"
        try:
            since, until = leaks.month_of(month)
        except ValueError as error:
            raise CommandError("--month: write it like 2026-11.") from error
        partner = Partner.objects.filter(code=options["partner"]).first()
        if options["partner"] and partner is None:
            raise CommandError(f"--partner: there is no partner {options['partner']}.")
        lookups.flush()
        found = leaks.report(since=since, until=until, partner=partner)
        known = leaks.closest(since=since, until=until, partner=partner) if partner else []
        if options["json"]:
            rows = [
                {
                    "partnerId": leak.partner.code, "disclosure": str(leak.partner.disclosure_rule),
                    "looks": leak.looks, "refusals": leak.refusals, "grants": leak.grants, "products": leak.products,
                    "assortment": leak.assortment, "exact": leak.exact, "near": leak.near, "bounded": leak.bounded,
                }
                for leak in found
            ]  # fmt: skip
            products = [asdict(row) | {"day": row.day.isoformat()} for row in known]
            self.stdout.write(json.dumps({"month": month, "partners": rows, "closest": products}))
            return
        for leak in found:
            self.stdout.write(leak.words)
        for row in known[:SHOWN]:
            self.stdout.write(f"  {row.sku}: {row.words}, on {row.day} ({row.looks} looks, {row.refusals} refused)")
        if not found:
            self.stdout.write(f"Nobody looked at anything in {month}.")
