"""Who can get into the demo, and with which secrets.

The database keeps hashes only, so the plain secrets lie in `.backstock/demo.json`, readable by the
owner of this checkout alone. Where a secret is missing there or no longer fits, a new one is made.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User

from partners import scopes
from partners.actors import Actor
from partners.models import Application, Partner
from partners.operations import partners


@dataclass(frozen=True, kw_only=True)
class Person:
    role: str
    username: str
    password: str


@dataclass(frozen=True, kw_only=True)
class Client:
    code: str
    name: str
    client_id: str
    client_secret: str


@dataclass(frozen=True, kw_only=True)
class DemoAccess:
    """What the demo prints: its people, two partners, and a product both know."""

    people: list[Person]
    retailer: Client
    supplier: Client
    supplier_id: str
    product_id: str


class Cabinet:
    """The plain secrets, each beside the hash it belongs to, so that one comparison tells if it still fits."""

    def __init__(self, kept: dict[str, Any]) -> None:
        self.people: dict[str, dict[str, str]] = kept.get("people", {})
        self.clients: dict[str, dict[str, str]] = kept.get("clients", {})

    def person(self, *, role: str, username: str) -> Person:
        """A staff user's password; set anew when it was never kept, or when somebody changed it."""
        user = User.objects.get(username=username)
        kept = self.people.get(username)
        if kept is None or kept["hash"] != user.password:
            password = kept["password"] if kept else secrets.token_urlsafe(9)
            user.set_password(password)
            user.save(update_fields=["password"])
            kept = self.people[username] = {"password": password, "hash": user.password}
        return Person(role=role, username=username, password=kept["password"])

    def client(self, *, code: str, actor: Actor) -> Client:
        """A partner's client id and secret, with every scope its kind may have."""
        partner = Partner.objects.get(code=code)
        kept = self.clients.get(code)
        if kept is None or not partner.applications.filter(client_id=kept["id"], client_secret=kept["hash"]).exists():
            made = partners.issue_credentials(
                partner=partner, granted_scopes=scopes.OF_KIND[partner.kind], actor=actor, name=f"{partner.name} (demo)"
            )
            stored = Application.objects.get(pk=made.application.pk)
            kept = {"id": made.client_id, "secret": made.client_secret, "hash": stored.client_secret}
            self.clients[code] = kept
        return Client(code=code, name=partner.name, client_id=kept["id"], client_secret=kept["secret"])


@contextmanager
def cabinet() -> Iterator[Cabinet]:
    """Open `.backstock/demo.json`, and write it back if the block comes to its end."""
    file: Path = settings.STATE_DIR / "demo.json"
    try:
        kept = json.loads(file.read_text())
    except (OSError, ValueError):
        kept = {}
    opened = Cabinet(kept)
    yield opened
    new = file.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
        json.dump({"people": opened.people, "clients": opened.clients}, handle, indent=1)
    new.replace(file)


def instructions(access: DemoAccess, *, url: str) -> str:
    """What to open, who to be, and three calls to paste into a shell, in this order."""
    people = "\n".join(f"  {one.role:<18} {one.username:<12} {one.password}" for one in access.people)
    clients = "\n".join(
        f"  {kind:<18} {one.name} ({one.code})\n  {'':<18} client id     {one.client_id}\n"
        f"  {'':<18} client secret {one.client_secret}"
        for kind, one in (("Retailer", access.retailer), ("Supplier", access.supplier))
    )
    lines = json.dumps([{"productId": access.product_id, "quantity": 1}])
    return f"""
Backstock runs at {url}
  Admin              {url}/admin/
  Quick start        {url}/api/docs/quickstart
  API documentation  {url}/api/docs

Staff (role, user name, password)
{people}

Partners
{clients}

Try the API as the retailer: a token, the stock of one product, a reservation of it
  TOKEN=$(curl -sS -u {access.retailer.client_id}:{access.retailer.client_secret} \\
    -d grant_type=client_credentials {url}/oauth/token | sed 's/.*"access_token": *"\\([^"]*\\)".*/\\1/')
  curl -sS -H "Authorization: Bearer $TOKEN" {url}/api/v1/inventory/{access.supplier_id}/{access.product_id}; echo
  N=$(date +%s); curl -sS {url}/api/v1/reservations \\
    -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" -H "Idempotency-Key: demo-$N" \\
    -d '{{"reference": "demo-'$N'", "lines": {lines}, "expiresInSeconds": 600}}'; echo
"""
