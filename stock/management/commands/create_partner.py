"""manage.py create_partner: a partner with its OAuth client, ready to call."""

import json
import re
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from partners import actors, scopes
from partners.disclosure import Rule
from partners.models import Partner
from partners.operations import partners
from partners.problems import Problem
from stock.models import Warehouse


class Command(BaseCommand):
    help = "Makes a partner and an OAuth client; prints the client's secret, this once, as JSON."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("code", help="how the partner is called everywhere, e.g. RETAIL456")
        parser.add_argument("--name", required=True)
        parser.add_argument("--kind", required=True, choices=Partner.Kind.values)
        parser.add_argument("--scopes", help='scopes, e.g. "inventory:read orders:read"; default: all of its kind')
        parser.add_argument("--warehouses", help="codes of the warehouses it may see, e.g. W1,W2; default: all")
        parser.add_argument(
            "--disclosure",
            default="exact",
            help="exact, capped:N, banded or yesNo; ,buffer:N keeps units back, ,buffer:P%% a share",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.stdout.write(json.dumps(self.make(options)))
        except Problem as problem:
            raise CommandError(
                " ".join([problem.detail, *(e["detail"] for e in problem.data.get("errors", []))])
            ) from problem
        except ValueError as error:
            raise CommandError(f"--disclosure {error}") from error

    @transaction.atomic
    def make(self, options: dict[str, Any]) -> dict[str, Any]:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}", options["code"]):
            raise CommandError("The code takes up to 40 letters, digits, dots, dashes and underscores.")
        granted = (
            re.split(r"[\s,]+", options["scopes"].strip()) if options["scopes"] else scopes.OF_KIND[options["kind"]]
        )
        actor = actors.job("create_partner")
        with actors.acting(actor):
            partner = partners.onboard(
                code=options["code"],
                name=options["name"],
                kind=options["kind"],
                granted_warehouses=self.warehouses(options["warehouses"]),
                rule=Rule.parse(options["disclosure"]),
                actor=actor,
            )
            credentials = partners.issue_credentials(partner=partner, granted_scopes=granted, actor=actor)
        return {
            "partnerId": partner.code,
            "clientId": credentials.client_id,
            "clientSecret": credentials.client_secret,
            "scopes": credentials.application.scopes,
        }

    def warehouses(self, text: str | None) -> list[str] | None:
        if text is None:
            return None
        codes = [code for code in re.split(r"[\s,]+", text) if code]
        known = set(Warehouse.objects.filter(code__in=codes).values_list("code", flat=True))
        if missing := [code for code in codes if code not in known]:
            raise CommandError(f"--warehouses: there is no warehouse {', '.join(missing)}.")
        return codes
