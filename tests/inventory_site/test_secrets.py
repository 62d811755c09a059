"""Secrets that went through every door, and are then nowhere to be found."""

from __future__ import annotations

import base64
import io
import json
import logging
from typing import Any

import pytest
from celery.signals import task_prerun
from django.core.management import call_command
from django.db import connection
from django.test import Client

from partners.models import Partner
from partners.tasks import relay_events
from tests import make
from tests.conftest import ApiClient

PASSWORD = "correct-horse-battery-staple-7"
METRICS = "metrics-token-0123456789-abcdefghij"


def dump() -> str:
    """Every row of every table, histories, sessions and the queue among them, as the server writes them out."""
    texts = []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1"
        )
        for [table] in cursor.fetchall():
            with cursor.cursor.copy(f"COPY (SELECT * FROM {table}) TO STDOUT") as rows:
                texts.append(f"{table}\n" + b"".join(bytes(row) for row in rows).decode())
    return "\n".join(texts)


def disguises(secret: str) -> list[str]:
    """As it is, and as it looks inside a header or a binary column."""
    return [secret, base64.b64encode(secret.encode()).decode().rstrip("=")[:-2], secret.encode().hex()]


def where_found(secrets: dict[str, str], places: dict[str, str]) -> list[str]:
    return [
        f"{name} in {place}"
        for name, secret in secrets.items()
        for place, text in places.items()
        if any(disguise in text for disguise in disguises(secret))
    ]


@pytest.fixture
def tasks() -> Any:
    """What tasks are called with."""
    called: list[str] = []

    def note(sender: Any, args: Any, kwargs: Any, **more: Any) -> None:
        called.append(f"{sender.name} {args!r} {kwargs!r}")

    task_prerun.connect(note)
    yield called
    task_prerun.disconnect(note)


@pytest.fixture
def written(caplog, settings, django_user_model, tasks, db) -> tuple[dict[str, str], dict[str, str]]:
    """The secrets there are, and all that was written while they were used rightly and wrongly."""
    caplog.set_level(logging.DEBUG)
    settings.METRICS_TOKEN = METRICS
    said = io.StringIO()
    call_command("create_partner", "SHOP", name="Shop", kind="channel", stdout=said)
    issued = json.loads(said.getvalue())
    client = Client(raise_request_exception=False)
    basic = base64.b64encode(f"{issued['clientId']}:{issued['clientSecret']}".encode()).decode()
    grant = {"grant_type": "client_credentials"}
    given = client.post("/oauth/token", grant, headers={"Authorization": f"Basic {basic}"})
    token = given.json()["access_token"]
    in_body = grant | {"client_id": issued["clientId"], "client_secret": issued["clientSecret"]}
    other = client.post("/oauth/token", in_body).json()["access_token"]
    client.post("/oauth/token", in_body | {"scope": "everything"})
    client.post("/oauth/token", in_body | {"grant_type": "password", "username": "ann", "password": PASSWORD})
    client.get("/oauth/token", in_body)

    make.make_level(variant=make.make_variant(sku="SAUCE"), warehouse=make.make_warehouse(code="W1"))
    api = ApiClient(token)
    line = {"productId": "SAUCE", "quantity": 1}
    assert api.post("/reservations", {"reference": "cart-1", "lines": [line]}).status_code == 201
    assert api.post("/reservations", {"reference": "cart-2", "lines": [line | {"quantity": 99}]}).status_code == 409
    assert api.patch("/suppliers/NOBODY", {"name": "x"}).status_code in {404, 428}
    assert api.post("/reservations", body="{").status_code == 400
    assert ApiClient(f"{other}x").get("/products").status_code == 401
    assert client.get(f"/api/v1/products?access_token={other}").status_code == 401
    ApiClient(other).get("/nowhere")
    Partner.objects.update(status="suspended")
    assert api.get("/products").status_code == 403

    django_user_model.objects.create_superuser("ann", "ann@example.test", PASSWORD)
    for password in (f"{PASSWORD}x", PASSWORD):
        client.post("/admin/login/", {"username": "ann", "password": password})
    assert client.get("/admin/", headers={"Authorization": f"Basic {basic}"}).status_code == 200
    client.get("/metrics", headers={"Authorization": f"Bearer {METRICS}"}, REMOTE_ADDR="203.0.113.9")
    relay_events.delay()

    secrets = {
        "client secret": issued["clientSecret"],
        "token": token,
        "other token": other,
        "password": PASSWORD,
        "metrics token": METRICS,
    }
    return secrets, {"logs": caplog.text, "database": dump(), "tasks": "\n".join(tasks)}


def test_secrets_are_in_no_log_table_or_task(written):
    secrets, places = written
    assert where_found(secrets, places) == []


def test_the_search_finds_what_was_written_into_a_log_a_table_or_a_task(written, caplog):
    # The control: what is no secret was written to each place, and a leaked secret would be seen.
    secrets, places = written
    assert where_found({"code": "SHOP"}, {"database": places["database"]}) == ["code in database"]
    assert "relay_events" in places["tasks"]
    assert len(places["logs"]) > 100
    Partner.objects.update(contact_email=f"{secrets['token']}@example.test")
    logging.getLogger("partners").warning("sent %s", secrets["client secret"])
    found = where_found(secrets, {"logs": caplog.text, "database": dump()})
    assert found == ["client secret in logs", "token in database"]
