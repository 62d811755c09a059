"""manage.py create_api_key: a key for a partner's system that cannot do OAuth."""

import json
import re
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from partners import actors
from partners.models import Application, Partner
from partners.operations import api_keys
from partners.problems import Problem


class Command(BaseCommand):
    help = "Makes an API key of a partner's application; prints the key, this once, as JSON."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("partner", help="the partner's code, e.g. RETAIL456")
        parser.add_argument("--name", required=True, help="what it is for, like the system that holds it")
        parser.add_argument("--client", help="the OAuth client it acts as; needed where the partner has several")
        parser.add_argument("--scopes", help='some of the application\'s, e.g. "inventory:read"; default: all')
        parser.add_argument("--allow", help="networks in CIDR it may be used from, e.g. 203.0.113.0/24,2001:db8::/48")
        parser.add_argument("--days", type=int, help="how long it is good; default: until it is revoked")

    def handle(self, *args: Any, **options: Any) -> None:
        actor, now = actors.job("create_api_key"), timezone.now()
        days = options["days"]
        if days is not None and not 1 <= days <= api_keys.LIFE_DAYS_MAX:
            raise CommandError(f"--days: from 1 to {api_keys.LIFE_DAYS_MAX}.")
        try:
            with actors.acting(actor):
                made = api_keys.create(
                    application=self.application(options["partner"], options["client"]),
                    name=options["name"],
                    granted_scopes=words(options["scopes"]),
                    networks=words(options["allow"]),
                    expires_at=now + timedelta(days=days) if days else None,
                    actor=actor,
                    at=now,
                )
        except Problem as problem:
            details = [error["detail"] for error in problem.data.get("errors", [])]
            raise CommandError(" ".join([problem.detail, *details])) from problem
        key = made.api_key
        self.stdout.write(
            json.dumps(
                {
                    "partnerId": options["partner"],
                    "clientId": key.application.client_id,
                    "keyId": key.prefix,
                    "apiKey": made.text,
                    "scopes": key.scopes,
                    "allowedAddresses": key.allowed_networks,
                    "expiresAt": key.expires_at and key.expires_at.isoformat(),
                }
            )
        )

    def application(self, code: str, client_id: str | None) -> Application:
        partner = Partner.objects.filter(code=code).first()
        if partner is None:
            raise CommandError(f"There is no partner {code}.")
        found = partner.applications.order_by("id")
        if client_id:
            found = found.filter(client_id=client_id)
        several = list(found[:2])
        if not several:
            raise CommandError(f"{code} has no such application.")
        if len(several) > 1:
            raise CommandError(f"{code} has several applications; name one with --client.")
        return several[0]


def words(text: str | None) -> list[str] | None:
    return None if text is None else [word for word in re.split(r"[\s,]+", text) if word]
