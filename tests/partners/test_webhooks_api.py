"""/webhooks and the staff's pages: whose endpoints, which fields, what is shown once and what never."""

from __future__ import annotations

import secrets

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from partners import outbound
from partners.models import IdempotencyKey, Webhook, WebhookDelivery
from partners.operations import deliveries, feed
from partners.operations import webhooks as endpoints
from tests import make
from tests.partners.receivers import Receiver, receiving, verify

URL = "https://hooks.example.com/in"


@pytest.fixture(autouse=True)
def public_names(monkeypatch):
    """Every name leads to a public address, except those of `inside`."""
    monkeypatch.setattr(outbound, "resolve", lambda host, port: ["127.0.0.1" if "inside" in host else "93.184.216.34"])


@pytest.fixture
def client(api, retailer):
    return api(retailer)


def test_an_endpoint_is_made_with_a_secret_that_is_shown_once(client):
    key = {"Idempotency-Key": "k"}
    body = {"url": URL, "eventTypes": ["order.created"], "minIntervalSeconds": 60, "description": "ERP"}
    made = client.post("/webhooks", body, headers=key)
    assert made.status_code == 201
    assert made.json()["secret"].startswith("whsec_")
    assert (made["ETag"], made["Cache-Control"]) == ('"1"', "no-store")
    again = client.post("/webhooks", body, headers=key)
    assert (again.json(), again["Idempotent-Replayed"]) == (made.json() | {"secret": None}, "true")
    shown = client.get(made["Location"].removeprefix("/api/v1"))
    assert "secret" not in shown.json()
    assert shown.json() == {name: value for name, value in made.json().items() if name != "secret"}
    assert client.get("/webhooks").json()["items"] == [shown.json()]
    assert made.json()["secret"].encode() not in bytes(IdempotencyKey.objects.get(key="k").body)
    assert Webhook.objects.count() == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", "http://hooks.example.com/"), ("url", "https://127.0.0.1/"), ("url", "https://inside.example.com/"),
        ("url", "https://hooks.example.com:25/"), ("eventTypes", ["order.eaten"]), ("minIntervalSeconds", -1),
        ("minIntervalSeconds", 86_401), ("belowQuantity", 5), ("productIds", ["x"] * 501),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named_and_nothing_is_made(client, field, value):
    refused = client.post("/webhooks", {"url": URL, field: value})
    assert refused.status_code == 422, refused.content
    assert refused.json()["errors"][0]["field"].split("[")[0] in {field, "aboveQuantity"}
    assert not Webhook.objects.exists()
    assert client.post("/webhooks", {"url": URL}).status_code == 201


def test_thresholds_are_for_who_is_told_exact_numbers(api):
    body = {"url": URL, "belowQuantity": 5, "aboveQuantity": 10}
    refused = api(make.make_partner(disclosure="banded")).post("/webhooks", body)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "belowQuantity")
    assert not Webhook.objects.exists()
    assert api(make.make_partner()).post("/webhooks", body).status_code == 201


def test_a_partner_has_so_many_endpoints_and_no_more(client, retailer, monkeypatch):
    monkeypatch.setattr(endpoints, "ENDPOINTS_MAX", 2)
    for _ in range(2):
        assert client.post("/webhooks", {"url": URL}).status_code == 201
    refused = client.post("/webhooks", {"url": URL})
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_webhooks")
    assert Webhook.objects.count() == 2
    first = client.get("/webhooks").json()["items"][0]["webhookId"]
    assert client.request("DELETE", f"/webhooks/{first}", headers={"If-Match": '"1"'}).status_code == 204
    assert client.get(f"/webhooks/{first}").status_code == 404
    assert client.post("/webhooks", {"url": URL}).status_code == 201


def test_an_endpoint_is_changed_from_the_version_one_has_seen(client, retailer):
    webhook, _ = make.make_webhook(partner=retailer)
    path = f"/webhooks/{webhook.webhook_id}"
    assert client.patch(path, {"status": "paused"}).status_code == 428
    paused = client.patch(path, {"status": "paused"}, headers={"If-Match": '"1"'})
    assert (paused.status_code, paused.json()["status"], paused["ETag"]) == (200, "paused", '"2"')
    stale = client.patch(path, {"url": URL + "2"}, headers={"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["currentEtag"]) == (412, '"2"')
    inside = client.patch(path, {"url": "https://inside.example.com/"}, headers={"If-Match": '"2"'})
    assert inside.status_code == 422
    assert client.get(path).json() == paused.json()
    active = client.patch(path, {"status": "active", "url": URL + "2"}, headers={"If-Match": '"2"'})
    assert (active.json()["status"], active.json()["statusReason"], active.json()["url"]) == ("active", "", URL + "2")


def test_rotating_gives_a_new_secret_and_shows_it_once(client, retailer):
    webhook, old = make.make_webhook(partner=retailer)
    key = {"Idempotency-Key": "k"}
    new = client.post(f"/webhooks/{webhook.webhook_id}/rotateSecret", headers=key).json()["secret"]
    assert new != old
    assert client.post(f"/webhooks/{webhook.webhook_id}/rotateSecret", headers=key).json()["secret"] is None
    webhook.refresh_from_db()
    assert endpoints.secrets_of(webhook=webhook, at=timezone.now()) == [new, old]


def test_a_test_says_what_the_endpoint_answered(client, retailer, settings, monkeypatch):
    settings.WEBHOOKS_TO_LOOPBACK = True
    monkeypatch.setattr(outbound, "resolve", lambda host, port: ["127.0.0.1"])
    with receiving(Receiver(lambda number, path: 204 if number == 0 else 500)) as receiver:
        webhook, secret = make.make_webhook(partner=retailer, url=receiver.url)
        path = f"/webhooks/{webhook.webhook_id}/test"
        first = client.post(path, headers={"Idempotency-Key": "k"})
        again = client.post(path, headers={"Idempotency-Key": "k"})
        soon = client.post(path)
        Webhook.objects.update(tested_at=None)
        failed = client.post(path)
    assert first.json() == {"delivered": True, "status": 204, "error": ""} | {
        "milliseconds": first.json()["milliseconds"]
    }
    assert (again.json(), again["Idempotent-Replayed"]) == (first.json(), "true")
    assert (soon.status_code, soon.json()["code"], soon["Retry-After"]) == (429, "webhook_tested_just_now", "10")
    assert (failed.json()["delivered"], failed.json()["status"], failed.json()["error"]) == (False, 500, "status")
    assert len(receiver.got) == 2
    assert receiver.got[0].event["type"] == "webhook.test"
    assert verify(secret, receiver.got[0].headers, receiver.got[0].body)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "from"), ({"from": 1, "status": "failed"}, "from"), ({"status": "failed", "to": 2}, "to"),
        ({"from": -1}, "from"), ({"from": "soon"}, "from"), ({"from": True}, "from"), ({"from": 10**17}, None),
        ({"from": 1, "to": "2026-01-01T00:00:00Z"}, "to"), ({"status": "delivered"}, "status"), ({"from": {}}, "from"),
    ],
)  # fmt: skip
def test_a_replay_says_from_where(client, retailer, body, field):
    webhook, _ = make.make_webhook(partner=retailer)
    answer = client.post(f"/webhooks/{webhook.webhook_id}/replay", body)
    if field is None:
        assert (answer.status_code, answer.json()) == (202, {"replayed": 0, "nextPosition": None})
    else:
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field), answer.content


def test_the_log_says_what_became_of_each_letter(client, retailer, django_assert_max_num_queries):
    webhook, _ = make.make_webhook(partner=retailer)
    for number in range(5):
        make.make_event(retailer, subject=f"order/{number}")
    feed.relay_events()
    deliveries.fan_out(at=timezone.now())
    WebhookDelivery.objects.filter(subject="order/1").update(state="failed", last_status=500, last_error="status")
    path = f"/webhooks/{webhook.webhook_id}/deliveries"
    rows = client.get(path).json()["items"]
    assert [row["subject"] for row in rows] == [f"order/{number}" for number in (4, 3, 2, 1, 0)]
    [failed] = client.get(path + "?status=failed").json()["items"]
    assert (failed["lastStatus"], failed["lastError"], failed["nextAttemptAt"]) == (500, "status", None)
    assert client.get(path + "?status=eaten").status_code == 400
    again = client.post(f"/webhooks/{webhook.webhook_id}/replay", {"status": "failed"})
    assert again.json() == {"replayed": 1, "nextPosition": None}
    assert client.get(path + "?status=failed").json()["items"] == []
    assert "body" not in str(rows)


def test_another_partners_endpoint_is_not_there(client, api, retailer, stranger):
    webhook, _ = make.make_webhook(partner=retailer)
    for method, below in (
        ("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/rotateSecret"), ("POST", "/test"), ("POST", "/replay"),
        ("GET", "/deliveries"),
    ):  # fmt: skip
        path = f"/webhooks/{webhook.webhook_id}{below}"
        headers = {"If-Match": '"1"', "Idempotency-Key": secrets.token_hex(4)}
        assert api(stranger).request(method, path, {}, headers=headers).status_code == 404, path
    assert api(stranger).get("/webhooks").json()["items"] == []
    assert client.get(f"/webhooks/{webhook.webhook_id}").json()["version"] == 1


def test_the_numbers_for_monitors_count_what_waits_and_who_is_stopped(client, retailer, client_of_site):
    make.make_webhook(partner=retailer)
    stopped, _ = make.make_webhook(partner=retailer)
    make.make_event(retailer)
    feed.relay_events()
    deliveries.fan_out(at=timezone.now())
    endpoints.pause(webhook=stopped, actor=make.TESTER, at=timezone.now())
    shown = client_of_site.get("/metrics", REMOTE_ADDR="127.0.0.1").content.decode()
    assert "webhook_backlog_letters 2.0" in shown
    assert "webhook_stopped_endpoints 1.0" in shown


@pytest.fixture
def client_of_site():
    return Client()


@pytest.fixture
def keeper(client_of_site, staff):
    client_of_site.force_login(staff)
    return client_of_site


def press(keeper, model, button, pk, **fields):
    return keeper.post(reverse(f"admin:partners_{model}_{button}", args=[pk]), fields | {"_form_submitted": "True"})


def test_staff_pause_resume_and_send_again_by_buttons(keeper, retailer):
    webhook, secret = make.make_webhook(partner=retailer)
    make.make_event(retailer)
    feed.relay_events()
    deliveries.fan_out(at=timezone.now())
    WebhookDelivery.objects.update(state="failed", attempts=10)
    page = keeper.get(reverse("admin:partners_webhook_change", args=[webhook.pk])).content.decode()
    assert "Health" in page
    assert secret not in page
    press(keeper, "webhook", "pause_this", webhook.pk)
    webhook.refresh_from_db()
    assert (webhook.status, webhook.status_reason) == ("paused", "Paused by staff:keeper.")
    press(keeper, "webhook", "resume_this", webhook.pk)
    webhook.refresh_from_db()
    assert webhook.status == "active"
    press(keeper, "webhookdelivery", "send_this_again", WebhookDelivery.objects.get().pk)
    assert (WebhookDelivery.objects.get().state, WebhookDelivery.objects.get().attempts) == ("pending", 0)
    WebhookDelivery.objects.update(state="failed", attempts=10)
    press(keeper, "webhook", "retry_failed", webhook.pk)
    assert WebhookDelivery.objects.get().state == "pending"
    WebhookDelivery.objects.update(state="failed", attempts=10)
    press(keeper, "webhook", "replay_this", webhook.pk, hours=2)
    assert WebhookDelivery.objects.get().state == "pending"
    listed = keeper.get(reverse("admin:partners_webhookdelivery_changelist")).content.decode()
    assert "order/1" in listed
