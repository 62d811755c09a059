"""Suppliers and retail partners over the API, tokens, and the feed."""

from __future__ import annotations

import base64
import io
import json

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from partners import outbox
from partners.models import Application, Feed, OutboxEvent, Partner
from partners.operations import feed
from tests import make

NEW = {"supplierId": "SUP-9", "name": "Nine Fires", "contactEmail": "nine@example.test"}


def create_partner(*arguments: str, **options: str) -> dict:
    out = io.StringIO()
    call_command("create_partner", *arguments, stdout=out, **options)
    return json.loads(out.getvalue())


def token_for(made: dict, **form: str):
    basic = base64.b64encode(f"{made['clientId']}:{made['clientSecret']}".encode()).decode()
    form = {"grant_type": "client_credentials"} | form
    return Client().post("/oauth/token", form, headers={"Authorization": f"Basic {basic}"})


@pytest.fixture
def shop(db):
    """Our own web shop, which may make partners known."""
    return make.make_partner(code="SHOP", kind="channel")


def test_create_partner_gives_a_client_that_gets_a_token_and_can_call(db):
    made = create_partner("RETAIL456", name="Retail 456", kind="retailer")
    assert made["partnerId"] == "RETAIL456"
    assert "inventory:read" in made["scopes"]
    answer = token_for(made)
    body = answer.json()
    assert (answer.status_code, body["token_type"], body["expires_in"]) == (200, "Bearer", 3600)
    assert answer["Cache-Control"] == "no-store"
    called = Client().get("/api/v1/inventory", headers={"Authorization": f"Bearer {body['access_token']}"})
    assert called.status_code == 200


def test_neither_secret_nor_token_is_kept_in_the_clear(db):
    made = create_partner("RETAIL456", name="Retail 456", kind="retailer")
    token = token_for(made).json()["access_token"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT token, client_secret FROM oauth2_provider_accesstoken, partners_application")
        kept = " ".join(str(value) for value in cursor.fetchone())
    assert token not in kept
    assert made["clientSecret"] not in kept


def test_a_token_carries_no_scope_its_client_was_not_given(db):
    made = create_partner("R", name="R", kind="retailer", scopes="inventory:read catalog:read")
    assert token_for(made, scope="inventory:read").json()["scope"] == "inventory:read"
    assert token_for(made, scope="orders:write").json()["error"] == "invalid_scope"
    token = token_for(made).json()["access_token"]
    Application.objects.update(scopes=["catalog:read"])
    called = Client().get("/api/v1/inventory", headers={"Authorization": f"Bearer {token}"})
    assert called.status_code == 403, "a scope taken away shrinks the tokens already out"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scopes": "inventory:all"}, "Unknown: inventory:all"),
        ({"warehouses": "W9"}, "no warehouse W9"),
        ({"disclosure": "capped:0"}, "capped:N"),
        ({"disclosure": "secret"}, "no disclosure"),
    ],
)
def test_create_partner_refuses_what_it_does_not_know_and_makes_nothing(db, options, said):
    with pytest.raises(CommandError, match=said):
        create_partner("R", name="R", kind="retailer", **options)
    assert (Partner.objects.count(), Application.objects.count()) == (0, 0)


def test_a_supplier_is_made_known_read_and_revised(api, shop):
    client = api(shop)
    made = client.post("/suppliers", NEW)
    assert (made.status_code, made["Location"], made["ETag"]) == (201, "/api/v1/suppliers/SUP-9", '"1"')
    sent = {"name": "Ten Fires"}
    assert client.patch("/suppliers/SUP-9", sent).status_code == 428
    assert client.patch("/suppliers/SUP-9", sent, headers={"If-Match": '"7"'}).status_code == 412
    revised = client.patch("/suppliers/SUP-9", sent, headers={"If-Match": '"1"'})
    assert (revised.status_code, revised.json()["name"], revised["ETag"]) == (200, "Ten Fires", '"2"')
    [created, changed] = Partner.history.filter(code="SUP-9").order_by("history_id")
    assert (created.actor, changed.actor, changed.name) == ("partner:SHOP", "partner:SHOP", "Ten Fires")
    assert changed.history_change_reason == "partner revised"
    assert changed.request_id == revised["X-Request-Id"]


def test_a_revision_that_changes_nothing_leaves_no_trace(api, shop):
    client = api(shop)
    client.post("/suppliers", NEW)
    same = client.patch("/suppliers/SUP-9", {"name": "Nine Fires"}, headers={"If-Match": '"1"'})
    assert (same.status_code, same["ETag"], Partner.history.filter(code="SUP-9").count()) == (200, '"1"', 1)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"supplierId": ""}, "supplierId"),
        ({"supplierId": "a b"}, "supplierId"),
        ({"supplierId": "x" * 41}, "supplierId"),
        ({"name": ""}, "name"),
        ({"name": 7}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"contactEmail": "nobody"}, "contactEmail"),
        ({"gln": "4000001000006"}, "gln"),
        ({"gln": "123"}, "gln"),
        ({"status": "gone"}, "status"),
    ],
)
def test_a_supplier_that_cannot_be_is_refused_by_field(api, shop, change, field):
    answer = api(shop).post("/suppliers", NEW | change)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert Partner.objects.count() == 1


def test_a_code_is_given_once(api, shop, supplier):
    answer = api(shop).post("/suppliers", NEW | {"supplierId": "SUP-1"})
    assert (answer.status_code, answer.json()["code"]) == (409, "partner_exists")


def test_a_code_never_changes_and_a_partner_keeps_its_address(api, shop, supplier, retailer):
    before = list(Partner.objects.order_by("pk").values())
    for path, field, code in (
        ("/suppliers/SUP-1", "supplierId", "SUP-9"),
        ("/retailPartners/RET-1", "retailPartnerId", "SUP-1"),
    ):
        for method in ("PATCH", "PUT"):
            answer = api(shop).request(method, path, {field: code, "name": "Renamed"}, headers={"If-Match": '"1"'})
            assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert list(Partner.objects.order_by("pk").values()) == before
    same = api(shop).put("/suppliers/SUP-1", {"supplierId": "SUP-1", "name": "Renamed"}, headers={"If-Match": '"1"'})
    assert (same.status_code, same.json()["name"]) == (200, "Renamed")


def test_nobody_sees_partners_that_are_not_theirs_to_know(api, retailer, stranger, supplier):
    rival = make.make_partner(code="SUP-2", kind="supplier")
    assert api(rival).get("/suppliers/SUP-1").status_code == 404
    assert [row["supplierId"] for row in api(rival).get("/suppliers").json()["items"]] == ["SUP-2"]
    assert api(stranger).get("/retailPartners/RET-1").status_code == 404
    assert [row["retailPartnerId"] for row in api(stranger).get("/retailPartners").json()["items"]] == ["RET-2"]
    change = api(rival).patch("/suppliers/SUP-1", {"name": "Mine"}, headers={"If-Match": '"1"'})
    assert change.status_code == 404
    assert Partner.objects.get(code="SUP-1").name == "Sup-1"


def record(event_type: str = "order.created", **options) -> OutboxEvent:
    options = {"subject": "order/1", "payload": {}, "actor": make.TESTER, "at": timezone.now()} | options
    return outbox.record(event_type, **options)


def test_the_relay_numbers_the_feed_and_each_subject_without_a_gap(api, retailer):
    for subject in ("order/1", "order/2", "order/1"):
        record(subject=subject, addressee_ids=[retailer.pk])
    assert api(retailer).get("/events").json()["items"] == [], "nothing is in the feed before the relay"
    assert (feed.relay_events(), feed.relay_events()) == (3, 0)
    record(subject="order/1", addressee_ids=[retailer.pk])
    feed.relay_events()
    page = api(retailer).get("/events").json()
    assert [(row["sequence"], row["subject"], row["version"]) for row in page["items"]] == [
        (1, "order/1", 1), (2, "order/2", 1), (3, "order/1", 2), (4, "order/1", 3),
    ]  # fmt: skip
    assert (page["nextCursor"], page["head"]) == (4, 4)
    rest = api(retailer).get("/events?after=2&limit=1").json()
    assert ([row["sequence"] for row in rest["items"]], rest["nextCursor"]) == ([3], 3)


def test_events_go_to_whom_they_concern(api, retailer, stranger, supplier):
    rival = make.make_partner(code="SUP-2", kind="supplier")
    local = make.make_partner(code="LOCAL", granted_warehouses=["W2"])
    record(addressee_ids=[retailer.pk])
    record("inventory.updated", subject="inventory/W1/X", about_stock=("W1", [supplier.pk]), payload={"levels": [1]})
    feed.relay_events()

    def seen(partner):
        return [row["type"] for row in api(partner).get("/events").json()["items"]]

    assert seen(retailer) == ["order.created", "inventory.updated"]
    assert seen(stranger) == seen(supplier) == ["inventory.updated"]
    assert seen(rival) == seen(local) == []


def test_the_feed_does_not_tell_a_partner_more_than_its_disclosure(api, supplier):
    reseller = make.make_partner(code="RESELLER", disclosure="yesNo")
    payload = {"productId": "X", "warehouseLocation": "W1", "levels": [{"inventoryLevel": 137}]}
    record("inventory.updated", subject="inventory/W1/X", about_stock=("W1", [supplier.pk]), payload=payload)
    feed.relay_events()
    [event] = api(reseller).get("/events").json()["items"]
    assert event["data"] == {"productId": "X", "warehouseLocation": "W1"}


def test_a_cursor_from_before_a_restore_is_told_so(api, retailer):
    record(addressee_ids=[retailer.pk])
    feed.relay_events()
    epoch = api(retailer).get("/events").json()["epoch"]
    feed.begin_epoch()
    for query in (f"after=1&epoch={epoch}", "after=99"):
        answer = api(retailer).get(f"/events?{query}")
        assert (answer.status_code, answer.json()["code"]) == (410, "feed_was_reset")
    assert Feed.objects.get().epoch != epoch


@pytest.mark.parametrize("query", ["after=x", "after=-1", "types=nothing", "limit=0"])
def test_a_feed_parameter_that_cannot_be_used_is_a_400(api, retailer, query):
    assert api(retailer).get(f"/events?{query}").status_code == 400


def test_an_event_outside_a_transaction_is_refused():
    connection_state = outbox.transaction.get_connection
    try:
        outbox.transaction.get_connection = lambda: type("Outside", (), {"in_atomic_block": False})()
        with pytest.raises(outbox.NotInTransaction):
            record()
    finally:
        outbox.transaction.get_connection = connection_state


@pytest.mark.parametrize("value", ["\ud800", "a\x00b", True, None, 2**63, [[]], {"a": 1}])
def test_a_cursor_that_we_did_not_make_is_refused_with_a_sentence(api, retailer, value):
    cursor = base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
    answer = api(retailer).get(f"/products?cursor={cursor}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")


def test_a_cursor_nested_without_end_is_refused_with_a_sentence(api, retailer):
    cursor = base64.urlsafe_b64encode(b"[" * 5000).decode()
    assert api(retailer).get(f"/orders?cursor={cursor}").status_code == 400


def test_a_put_that_names_no_kind_keeps_it_and_a_new_one_is_a_retailer(api, shop):
    make.make_partner(code="BAZAAR", kind="marketplace")
    client = api(shop)
    tag = client.get("/retailPartners/BAZAAR")["ETag"]
    body = {"retailPartnerId": "BAZAAR", "name": "The bazaar"}
    answer = client.put("/retailPartners/BAZAAR", body, headers={"If-Match": tag})
    assert (answer.status_code, answer.json()["name"], answer.json()["kind"]) == (200, "The bazaar", "marketplace")
    said = client.put("/retailPartners/BAZAAR", body | {"kind": "retailer"}, headers={"If-Match": answer["ETag"]})
    assert (said.status_code, said.json()["kind"]) == (200, "retailer")
    made = client.post("/retailPartners", {"retailPartnerId": "NEW", "name": "New"})
    assert (made.status_code, made.json()["kind"]) == (201, "retailer")
