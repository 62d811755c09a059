"""OAuth at the gate: tokens, two secrets at once, introspection, revocation, and the documents about them."""

from __future__ import annotations

import base64
from datetime import timedelta
from urllib.parse import quote_plus

import pytest
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import AccessToken

from partners import hashers
from partners.models import Application, AuthenticationAttempt
from partners.operations import credentials, partners
from tests import make
from tests.conftest import ApiClient
from tests.partners.tried import names, tried

GRANT = {"grant_type": "client_credentials"}


def basic(client_id: str, secret: str) -> dict[str, str]:
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


def ask(client_id: str, secret: str, path: str = "/oauth/token", **form: str):
    return Client().post(path, form or GRANT, headers=basic(client_id, secret))


def token_of(made) -> str:
    return ask(made.client_id, made.client_secret).json()["access_token"]


@pytest.fixture
def made(retailer):
    return partners.issue_credentials(
        partner=retailer, granted_scopes=["inventory:read", "credentials:read", "credentials:write"], actor=make.TESTER
    )


@pytest.fixture
def other(stranger):
    return partners.issue_credentials(partner=stranger, granted_scopes=["inventory:read"], actor=make.TESTER)


def test_a_token_is_short_lived_and_never_kept_on_its_way(made):
    answer = ask(made.client_id, made.client_secret)
    assert (answer.status_code, answer["Cache-Control"], answer["Pragma"]) == (200, "no-store", "no-cache")
    body = answer.json()
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 3600)
    assert "refresh_token" not in body


def test_basic_is_form_decoded(made):
    odd = "s p%c:+é"
    Application.objects.filter(pk=made.application.pk).update(
        client_secret=hashers.RandomSecretHasher().encode(odd, "salt")
    )
    assert ask(made.client_id, odd).status_code == 200
    assert ask(made.client_id, quote_plus(odd)).status_code == 401


@pytest.mark.parametrize(
    ("headers", "form", "status", "error"),
    [
        ({}, GRANT, 401, "invalid_client"),
        ({"Authorization": "Basic !!!"}, GRANT, 401, "invalid_client"),
        ({"Authorization": "Basic"}, GRANT, 401, "invalid_client"),
        ({"Authorization": "Bearer x"}, GRANT, 401, "invalid_client"),
        (basic("no\x00body", "x"), GRANT, 401, "invalid_client"),
        (basic("nobody", "x" * 9_000), GRANT, 401, "invalid_client"),
        ({}, {"grant_type": "password", "username": "a", "password": "b"}, 400, "unsupported_grant_type"),
        ({}, {"grant_type": "urn:ietf:params:oauth:grant-type:device_code"}, 400, "unsupported_grant_type"),
        ({}, {}, 400, "invalid_request"),
    ],
)
def test_who_is_no_client_gets_an_oauth_error_and_no_token(made, headers, form, status, error):
    answer = Client(raise_request_exception=False).post("/oauth/token", form, headers=headers)
    assert (answer.status_code, answer.json()["error"], answer["Cache-Control"]) == (status, error, "no-store")
    if status == 401:
        assert answer["WWW-Authenticate"].startswith("Basic")
    assert AccessToken.objects.count() == 0


def test_the_kept_hash_is_no_secret(made):
    kept = Application.objects.get(pk=made.application.pk).client_secret
    assert made.client_secret not in kept
    for shown in (kept, kept.rpartition("$")[2]):
        assert ask(made.client_id, shown).status_code == 401
    assert ask(made.client_id, made.client_secret).status_code == 200


def test_secrets_in_the_address_are_refused(made):
    form = f"client_id={made.client_id}&client_secret={made.client_secret}"
    assert Client().post(f"/oauth/token?{form}", GRANT).status_code in {400, 401}
    body = GRANT | {"client_id": made.client_id, "client_secret": made.client_secret}
    assert Client().post("/oauth/token", body).status_code == 200, "in the body they are good"
    assert AccessToken.objects.count() == 1


def test_a_token_in_the_address_lets_nobody_in(made):
    token = token_of(made)
    assert ApiClient(None).get(f"/inventory?access_token={token}").status_code == 401
    assert ApiClient(token).get("/inventory").status_code == 200


def test_a_wider_scope_is_refused(made):
    answer = ask(made.client_id, made.client_secret, **GRANT, scope="inventory:read orders:write")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")
    assert AccessToken.objects.count() == 0


def test_an_unknown_client_costs_the_same_work_as_a_wrong_secret(made, monkeypatch):
    """Asserted as work, not as time: the same hashes are computed, whoever asks."""
    work: list[str] = []
    encode = hashers.RandomSecretHasher.encode

    def counted(self, password, salt):
        work.append("hash")
        return encode(self, password, salt)

    monkeypatch.setattr(hashers.RandomSecretHasher, "encode", counted)
    counts = []
    for client_id, secret in (("nobody", "x"), (made.client_id, "x"), (made.client_id, made.client_secret)):
        work.clear()
        found = Application.objects.filter(client_id=client_id).first()
        credentials.matching_secret(application=found, secret=secret, at=timezone.now())
        counts.append(len(work))
    assert len(set(counts)) == 1
    assert counts[0] >= 2


def test_after_a_rotation_both_secrets_are_good_for_the_overlap_and_no_longer(made):
    at = timezone.now()
    new = credentials.rotate_secret(application=made.application, actor=make.TESTER, at=at)
    assert new.earlier_until == at + timedelta(hours=24)
    for secret in (made.client_secret, new.client_secret):
        assert ask(made.client_id, secret).status_code == 200
    application = Application.objects.get(pk=made.application.pk)
    late = at + timedelta(hours=24, seconds=1)
    good = [
        credentials.matching_secret(application=application, secret=secret, at=late)
        for secret in (made.client_secret, new.client_secret)
    ]
    assert good == [None, application.client_secret]


def test_a_second_rotation_leaves_no_third_secret(made):
    first = credentials.rotate_secret(application=made.application, actor=make.TESTER, at=timezone.now())
    second = credentials.rotate_secret(application=made.application, actor=make.TESTER, at=timezone.now())
    good = [ask(made.client_id, s).status_code for s in (made.client_secret, first.client_secret, second.client_secret)]
    assert good == [401, 200, 200]


def test_a_leaked_secret_is_refused_at_once(made):
    new = credentials.rotate_secret(
        application=made.application, actor=make.TESTER, at=timezone.now(), overlap_seconds=0
    )
    assert new.earlier_until is None
    assert [ask(made.client_id, s).status_code for s in (made.client_secret, new.client_secret)] == [401, 200]


def test_a_partner_rotates_its_own_secret_and_is_shown_it_once(made):
    caller = ApiClient(token_of(made))
    answer = caller.post("/credentials/rotateSecret", {"clientSecret": made.client_secret})
    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
    new = answer.json()["clientSecret"]
    assert [ask(made.client_id, s).status_code for s in (made.client_secret, new)] == [200, 200]
    shown = caller.get("/credentials").json()
    assert shown["clientId"] == made.client_id
    assert shown["earlierSecretUntil"] == answer.json()["earlierSecretUntil"]
    assert new not in str(shown)


def test_who_lost_the_answer_asks_again_with_the_secret_it_has(made):
    caller, sent = ApiClient(token_of(made)), {"clientSecret": made.client_secret}
    lost, again = (caller.post("/credentials/rotateSecret", sent).json() for _ in range(2))
    good = [
        ask(made.client_id, s).status_code for s in (made.client_secret, lost["clientSecret"], again["clientSecret"])
    ]
    assert good == [200, 401, 200]
    assert again["earlierSecretUntil"] <= lost["earlierSecretUntil"]


def test_a_stolen_token_rotates_nothing(made):
    before = Application.objects.values().get(pk=made.application.pk)
    answer = ApiClient(token_of(made)).post("/credentials/rotateSecret", {"clientSecret": "guess"})
    assert (answer.status_code, answer.json()["code"]) == (403, "wrong_secret")
    assert Application.objects.values().get(pk=made.application.pk) == before


def test_introspection_tells_a_client_about_its_own_token_alone(made, other):
    token = token_of(made)
    found = ask(made.client_id, made.client_secret, "/oauth/introspect", token=token)
    assert found["Cache-Control"] == "no-store"
    body = found.json()
    assert (body["active"], body["client_id"], body["token_type"]) == (True, made.client_id, "Bearer")
    assert body["scope"] == "inventory:read credentials:read credentials:write"
    assert body["exp"] - body["iat"] == pytest.approx(3600, abs=2)
    nothing = {"active": False}
    assert ask(other.client_id, other.client_secret, "/oauth/introspect", token=token).json() == nothing
    assert ask(made.client_id, made.client_secret, "/oauth/introspect", token="unknown").json() == nothing
    AccessToken.objects.update(expires=timezone.now())
    assert ask(made.client_id, made.client_secret, "/oauth/introspect", token=token).json() == nothing


def test_revocation_ends_a_token_of_the_asking_client_alone_and_always_says_200(made, other):
    token = token_of(made)
    revoke = "/oauth/revoke"
    assert ask(other.client_id, other.client_secret, revoke, token=token).status_code == 200
    assert ApiClient(token).get("/inventory").status_code == 200, "it was not the other's to end"
    for _ in range(2):
        assert ask(made.client_id, made.client_secret, revoke, token=token).status_code == 200
    refused = ApiClient(token).get("/inventory")
    assert (refused.status_code, refused.json()["code"]) == (401, "invalid_token")


@pytest.mark.parametrize("path", ["/oauth/introspect", "/oauth/revoke"])
def test_who_is_no_client_is_told_nothing_of_tokens(made, path):
    token = token_of(made)
    for secret in ("wrong", ""):
        answer = ask(made.client_id, secret, path, token=token)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert Client().get(path).status_code == 405
    assert ask(made.client_id, made.client_secret, path).json()["error"] == "invalid_request"
    assert ApiClient(token).get("/inventory").status_code == 200


def test_a_suspended_partner_gets_no_token(made, retailer):
    retailer.status = "suspended"
    retailer.save()
    answer = ask(made.client_id, made.client_secret)
    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")
    assert AccessToken.objects.count() == 0


def test_an_application_is_used_from_its_own_networks_alone(made):
    token = token_of(made)
    credentials.allow_addresses(
        application=made.application, networks=["203.0.113.0/24", "2001:db8::/48"], actor=make.TESTER
    )
    refused = ApiClient(token).get("/inventory")
    assert (refused.status_code, refused.json()["code"]) == (403, "address_not_allowed")
    assert refused.json()["address"] == "127.0.0.1"
    assert ask(made.client_id, made.client_secret).json()["error"] == "unauthorized_client"
    headers = basic(made.client_id, made.client_secret)
    for address in ("203.0.113.9", "2001:db8::9"):
        assert Client(REMOTE_ADDR=address).post("/oauth/token", GRANT, headers=headers).status_code == 200
        answer = Client(REMOTE_ADDR=address).get("/api/v1/inventory", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200


def test_errors_at_the_resource_say_what_rfc_6750_wants(made):
    nothing = ApiClient(None).get("/inventory")["WWW-Authenticate"]
    assert nothing.startswith("Bearer")
    assert "error=" not in nothing
    assert "/.well-known/oauth-protected-resource" in nothing
    assert 'error="invalid_token"' in ApiClient("unknown").get("/inventory")["WWW-Authenticate"]
    narrow = ApiClient(token_of(made)).get("/orders")["WWW-Authenticate"]
    assert 'error="insufficient_scope"' in narrow
    assert 'scope="orders:read"' in narrow


def test_clients_find_every_address_by_the_metadata(made):
    server = Client().get("/.well-known/oauth-authorization-server").json()
    resource = Client().get("/.well-known/oauth-protected-resource").json()
    assert resource["authorization_servers"] == [server["issuer"]]
    assert resource["bearer_methods_supported"] == ["header"]
    assert server["grant_types_supported"] == ["client_credentials"]
    for name in ("token", "introspection", "revocation"):
        path = server[f"{name}_endpoint"].removeprefix(server["issuer"])
        assert ask("nobody", "x", path, token="x").status_code in {400, 401}, name


def test_every_token_and_every_refusal_is_kept_for_auditors(made):
    ask(made.client_id, made.client_secret)
    ask(made.client_id, "wrong")
    ask("nobody", "wrong")
    assert tried() == {("token", "ok"): 1, ("token", "invalid_client"): 2}
    assert names() == {made.client_id}
    assert AuthenticationAttempt.objects.get(succeeded=True).application_id == made.application.pk
    kept = str(list(AuthenticationAttempt.objects.values()))
    assert made.client_secret not in kept
    assert "wrong" not in kept.replace("wrong_", "")
