"""API keys: made, sent, refused, revoked; and where they may be used from."""

from __future__ import annotations

import io
import json
import re
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from partners.api import auth
from partners.models import ApiKey, Application, AuthenticationAttempt
from partners.operations import api_keys, credentials, partners
from partners.problems import InvalidInput
from tests import make
from tests.conftest import ApiClient
from tests.partners.tried import tried

INSIDE, OUTSIDE = "203.0.113.9", "198.51.100.7"


def call(key: str, *, path: str = "/inventory", address: str = INSIDE, **headers: str):
    headers = headers or {"Authorization": f"Bearer {key}"}
    return Client(REMOTE_ADDR=address).get(f"/api/v1{path}", headers=headers)


@pytest.fixture
def application(retailer) -> Application:
    return partners.issue_credentials(
        partner=retailer,
        granted_scopes=["inventory:read", "orders:read", "credentials:read", "credentials:write"],
        actor=make.TESTER,
    ).application


def make_key(application: Application, **fields) -> api_keys.NewKey:
    return api_keys.create(
        **{"application": application, "name": "ERP", "actor": make.TESTER, "at": timezone.now()} | fields
    )


def test_a_key_is_shown_once_and_kept_as_its_hash(application):
    made = make_key(application)
    assert re.fullmatch(r"bsk_[a-z0-9]{8}_[A-Za-z0-9_-]{43}", made.text)
    kept = ApiKey.objects.values().get()
    assert kept["prefix"] == made.text[:12]
    assert made.text[13:] not in str(kept) + str(ApiKey.history.values())


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
def test_a_key_opens_what_its_scopes_name_by_either_header(application, header):
    key = make_key(application, granted_scopes=["inventory:read"]).text
    sent = {header: f"Bearer {key}" if header == "Authorization" else key}
    assert call(key, **sent).status_code == 200
    refused = call(key, path="/orders", **sent)
    assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope")


def test_a_key_shrinks_with_its_application(application):
    key = make_key(application).text
    Application.objects.filter(pk=application.pk).update(scopes=["orders:read"])
    assert [call(key, path=path).status_code for path in ("/orders", "/inventory")] == [200, 403]


def test_a_key_makes_no_keys(application):
    made = make_key(application)
    assert "credentials:write" not in made.api_key.scopes
    with pytest.raises(InvalidInput):
        make_key(application, granted_scopes=["credentials:write"])
    answer = ApiClient(made.text).post("/apiKeys", {"name": "another"})
    assert (answer.status_code, ApiKey.objects.count()) == (403, 1)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda key: key[:-1],
        lambda key: key[:-1] + ("A" if key[-1] != "A" else "B"),
        lambda key: key[:12],
        lambda key: "bsk_",
        lambda key: "bsk_zzzzzzzz" + key[12:],
        lambda key: "bsk_\x00",
        lambda key: key + "x" * 5_000,
        lambda key: ApiKey.objects.get().digest,
        lambda key: "bsk_" + ApiKey.objects.get().digest,
    ],
)
def test_what_is_not_the_whole_key_is_refused(application, spoil):
    key = make_key(application).text
    assert call(key).status_code == 200
    for headers in ({"Authorization": f"Bearer {spoil(key)}"}, {"X-API-Key": spoil(key)}):
        refused = call("", **headers)
        assert (refused.status_code, refused.json()["code"]) == (401, "invalid_token")


def test_one_request_shows_one_credential_and_a_token_is_no_key(application, api, retailer):
    key, token = make_key(application).text, api(retailer).token
    both = call("", **{"Authorization": f"Bearer {token}", "X-API-Key": key})
    assert (both.status_code, both.json()["code"]) == (400, "two_credentials")
    assert call("", **{"X-API-Key": token}).status_code == 401
    assert ApiClient(None).get(f"/inventory?api_key={key}").status_code == 401


def test_expired_and_revoked_keys_are_refused(application):
    at = timezone.now()
    expiring = make_key(application, expires_at=at + timedelta(days=1))
    revoked = make_key(application)
    assert [call(key.text).status_code for key in (expiring, revoked)] == [200, 200]
    ApiKey.objects.filter(pk=expiring.api_key.pk).update(created_at=at - timedelta(days=2), expires_at=at)
    api_keys.revoke(api_key=revoked.api_key, actor=make.TESTER, at=at)
    again = api_keys.revoke(api_key=revoked.api_key, actor=make.TESTER, at=at + timedelta(days=1))
    assert again.revoked_at == at
    assert [call(key.text).status_code for key in (expiring, revoked)] == [401, 401]
    outcomes = AuthenticationAttempt.objects.filter(succeeded=False).values_list("outcome", "names")
    assert set(map(str, outcomes)) == {
        str(("expired", [expiring.api_key.prefix])),
        str(("revoked", [revoked.api_key.prefix])),
    }


def test_a_key_is_used_from_its_networks_alone_whatever_the_headers_say(application):
    key = make_key(application, networks=["203.0.113.0/24", "2001:db8::/48"]).text
    for address in (INSIDE, "2001:db8::5", "::ffff:203.0.113.9"):
        assert call(key, address=address).status_code == 200, address
    for address in (OUTSIDE, "2001:db8:1::5"):
        sent = {"X-Forwarded-For": INSIDE, "X-Real-IP": INSIDE, "Forwarded": f"for={INSIDE}"}
        refused = call(key, address=address, Authorization=f"Bearer {key}", **sent)
        assert (refused.status_code, refused.json()["code"]) == (403, "address_not_allowed")
        assert refused.json()["address"] == address
    assert tried()["api_key", "address_not_allowed"] == 2


def test_the_applications_networks_bound_its_keys(application):
    key = make_key(application, networks=["198.51.100.0/24"]).text
    credentials.allow_addresses(application=application, networks=["203.0.113.0/24"], actor=make.TESTER)
    assert [call(key, address=address).status_code for address in (INSIDE, OUTSIDE)] == [403, 403]


@pytest.mark.parametrize("networks", [["203.0.113.9/24"], ["somewhere"], ["203.0.113.0/24"] * 51])
def test_what_is_no_network_is_refused_and_the_database_guards_it(application, networks):
    with pytest.raises(InvalidInput):
        make_key(application, networks=networks)
    assert ApiKey.objects.count() == 0
    key = make_key(application).api_key
    with pytest.raises(Exception, match="invalid"), transaction.atomic():
        ApiKey.objects.filter(pk=key.pk).update(allowed_networks=["somewhere"])
    with pytest.raises(IntegrityError, match="api_key_kept_as_sha256"), transaction.atomic():
        ApiKey.objects.filter(pk=key.pk).update(digest="plain")


def test_finding_the_caller_takes_one_query_and_use_is_noted_once_in_ten_minutes(
    application, api, retailer, django_assert_num_queries
):
    key, token = make_key(application).text, api(retailer).token
    assert auth.find_caller(key, INSIDE).api_key.prefix == key[:12]
    used = ApiKey.objects.get().last_used_at
    assert used is not None
    for credential in (key, token):
        with django_assert_num_queries(1):
            auth.find_caller(credential, INSIDE)
    assert ApiKey.objects.get().last_used_at == used
    ApiKey.objects.update(last_used_at=used - timedelta(minutes=11))
    auth.find_caller(key, INSIDE)
    assert ApiKey.objects.get().last_used_at > used
    assert tried() == {("api_key", "ok"): 2}


def test_a_suspended_partners_key_opens_nothing(application, retailer):
    key = make_key(application).text
    retailer.status = "suspended"
    retailer.save()
    assert call(key).json()["code"] == "partner_suspended"


def test_a_partner_makes_lists_and_revokes_its_own_keys(application, api, retailer, stranger):
    client = api(retailer, "inventory:read credentials:read credentials:write")
    wish = {"name": "Till 7", "scopes": ["inventory:read"], "allowedAddresses": ["203.0.113.0/24"], "expiresAt": None}
    answer = client.post("/apiKeys", wish)
    assert (answer.status_code, answer["Cache-Control"]) == (201, "no-store")
    made = answer.json()
    assert answer["Location"] == f"/api/v1/apiKeys/{made['keyId']}"
    assert call(made["apiKey"]).status_code == 200
    [listed] = client.get("/apiKeys").json()["items"]
    assert (listed["keyId"], listed["allowedAddresses"]) == (made["keyId"], ["203.0.113.0/24"])
    assert "apiKey" not in listed
    assert api(stranger).get("/apiKeys").json()["items"] == []
    assert api(stranger).post(f"/apiKeys/{made['keyId']}/revoke").status_code == 404
    assert call(made["apiKey"]).status_code == 200
    for _ in range(2):
        assert client.post(f"/apiKeys/{made['keyId']}/revoke").json()["revokedAt"]
    assert call(made["apiKey"]).status_code == 401


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "x", "scopes": ["orders:write"]}, "scopes"),
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "x", "allowedAddresses": ["10.0.0.1/8"]}, "allowedAddresses"),
        ({"name": "x", "expiresAt": "2020-01-01T00:00:00Z"}, "expiresAt"),
        ({"name": "x", "expiresAt": "2099-01-01T00:00:00Z"}, "expiresAt"),
    ],
)
def test_a_key_that_cannot_be_is_refused_by_field(application, api, retailer, wish, field):
    answer = api(retailer, "inventory:read credentials:write").post("/apiKeys", wish)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert ApiKey.objects.count() == 0


def test_live_keys_are_counted(application, monkeypatch):
    monkeypatch.setattr(api_keys, "LIVE_KEYS_MAX", 2)
    first, _ = make_key(application), make_key(application)
    with pytest.raises(api_keys.TooManyKeys):
        make_key(application)
    api_keys.revoke(api_key=first.api_key, actor=make.TESTER, at=timezone.now())
    assert make_key(application)


def test_whoever_holds_the_clients_secret_ends_a_leaked_key(application):
    key = make_key(application).text
    assert credentials.revoke(application=application, credential=key, at=timezone.now()) is True
    assert credentials.revoke(application=application, credential=key, at=timezone.now()) is False
    assert call(key).status_code == 401


def create(*arguments: str, **options) -> dict:
    out = io.StringIO()
    call_command("create_api_key", *arguments, stdout=out, **options)
    return json.loads(out.getvalue())


def test_the_command_prints_a_key_that_works(application):
    made = create("RET-1", name="ERP", scopes="inventory:read", allow="203.0.113.0/24,2001:db8::/48", days=30)
    assert (made["partnerId"], made["scopes"]) == ("RET-1", ["inventory:read"])
    assert made["allowedAddresses"] == ["203.0.113.0/24", "2001:db8::/48"]
    assert [call(made["apiKey"], address=address).status_code for address in (INSIDE, OUTSIDE)] == [200, 403]
    assert ApiKey.objects.get().made_by == "job:create_api_key"


@pytest.mark.parametrize(
    ("code", "options", "said"),
    [
        ("NOBODY", {}, "no partner"),
        ("RET-1", {"client": "x"}, "no such application"),
        ("RET-1", {"scopes": "orders:write"}, "Not for a key"),
        ("RET-1", {"allow": "x"}, "no network"),
        ("RET-1", {"days": 0}, "--days"),
    ],
)
def test_the_command_refuses_what_cannot_be_and_makes_nothing(application, code, options, said):
    with pytest.raises(CommandError, match=said):
        create(code, name="ERP", **options)
    assert ApiKey.objects.count() == 0


def test_the_command_asks_which_of_several_applications(application, retailer):
    partners.issue_credentials(partner=retailer, granted_scopes=["inventory:read"], actor=make.TESTER)
    with pytest.raises(CommandError, match="--client"):
        create("RET-1", name="ERP")
    assert create("RET-1", name="ERP", client=application.client_id)["clientId"] == application.client_id
