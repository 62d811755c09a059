"""Who may do what, over every route of the document: a route without an entry in the tables fails here."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from oauth2_provider.models import AccessToken

from partners import scopes
from partners.api.wording import named
from partners.models import ApiKey, Application, IdempotencyKey, OutboxEvent, Partner
from partners.operations import api_keys, feed
from tests import make
from tests.conftest import ApiClient, api_of
from tests.gate.asking import Held
from tests.gate.cases import OF_THE_CATALOG, READS, WRITES, noun_of, placed, reader, real, routes, unknown
from tests.gate.world import everything, taken_back

STALE = {"If-Match": '"0"'}
# Asked with POST, but nothing is written.
ASKED_BY_POST = {"/availability", "/barcodes/read", "/deliveryDates", "/prices/lookup"}
# Who may read what there is may say that it is not so.
SAID_BY_READERS = {"/feedback"}
# Imports of products also need the scope of the products.
SECOND_SCOPE = {"/imports", "/imports/{importId}/start", "/imports/{importId}/undo"}


def addresses(resolver: URLResolver | None = None, prefix: str = "") -> set[tuple[str, str]]:
    """(method, path) of every view under /api/v1, with the parameters called as in the document."""
    found = set()
    for entry in (resolver or get_resolver()).url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            found |= addresses(entry, route)
        elif isinstance(entry, URLPattern) and route.startswith("api/v1/") and hasattr(entry.callback, "view_class"):
            view = entry.callback.view_class
            path = named(re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", "/" + route.removeprefix("api/v1/")))[0]
            allowed = [name for name in view.http_method_names if name in {"get", "post", "put", "patch", "delete"}]
            found |= {(name.upper(), path) for name in allowed if hasattr(view, name)}
    return found


def test_the_tables_the_document_and_the_addresses_are_the_same():
    tabled = {("GET", path) for path in READS} | {tuple(name.split(" ", 1)) for name in WRITES}
    assert set(routes()) == tabled, "a route of the document is in neither table, or a table has one too many"
    assert set(routes()) == addresses(), "an address is not in the document"


def token_of(partner: Any, **fields: Any) -> ApiClient:
    """A client with a token that is not good."""
    client = api_of(partner)
    newest = AccessToken.objects.filter(application__partner=partner).latest("pk")
    AccessToken.objects.filter(pk=newest.pk).update(**fields)
    return client


def test_only_a_living_token_opens_anything(world):
    partner = world.alpha.supplier
    expired = token_of(partner, expires=timezone.now() - timedelta(seconds=1))
    revoked = api_of(partner)
    AccessToken.objects.filter(application__partner=partner).latest("pk").revoke()
    basic = {"Authorization": "Basic " + "a" * 20}
    before = everything()
    for method, path in routes():
        url = real(path, world.alpha) if "{" in path and "{lineId}" not in path else unknown(path)
        in_query = f"{url}?access_token={world.alpha.clients['supplier'].token}"
        for answer, code in (
            (api_of(None).request(method, url, {}), "not_authenticated"),
            (api_of(None).request(method, url, {}, headers=basic), "not_authenticated"),
            (api_of(None).request(method, in_query, {}), "not_authenticated"),
            (ApiClient("nobody-issued-it").request(method, url, {}), "invalid_token"),
            (expired.request(method, url, {}), "invalid_token"),
            (revoked.request(method, url, {}), "invalid_token"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (401, code), (method, url)
            assert answer["WWW-Authenticate"].startswith("Bearer"), (method, url)
    assert everything() == before


def test_a_staff_session_opens_nothing_of_the_api(world, staff):
    browser = Client()
    browser.force_login(staff)
    assert browser.get("/admin/").status_code == 200, "it is logged in"
    for method, path in routes():
        answer = browser.generic(method, f"/api/v1{unknown(path)}", "{}", content_type="application/json")
        assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated"), (method, path)


def test_a_suspended_partner_gets_nothing_with_a_living_token(world):
    client = world.alpha.clients["supplier"]
    type(world.alpha.supplier).objects.filter(pk=world.alpha.supplier.pk).update(status="suspended")
    for method, path in routes():
        answer = client.request(method, unknown(path), {})
        assert (answer.status_code, answer.json()["code"]) == (403, "partner_suspended"), (method, path)


def opens(client: ApiClient, method: str, path: str) -> bool:
    """Whether the token's scopes open the door; what is behind it is another matter."""
    answer = client.request(method, unknown(path), {}, headers=STALE)
    assert answer.status_code != 401, (method, path)
    if answer.status_code == 403 and answer.json()["code"] == "insufficient_scope":
        if path in SECOND_SCOPE and method == "POST" and answer.json()["requiredScope"] == "catalog:write":
            return True
        assert answer.json()["requiredScope"] == routes()[method, path]
        assert f'scope="{routes()[method, path]}"' in answer["WWW-Authenticate"]
        return False
    return True


@pytest.mark.parametrize("scope", scopes.TEXTS)
def test_each_scope_alone_opens_the_routes_that_name_it_and_no_other(world, scope):
    client = api_of(world.alpha.supplier, scope)
    assert {route for route in routes() if opens(client, *route)} == {
        route for route, needed in routes().items() if needed == scope
    }


def key_of(partner: Partner, **fields: Any) -> api_keys.NewKey:
    """A key of an application that may do everything."""
    api_of(partner)
    application = Application.objects.filter(partner=partner).latest("pk")
    return api_keys.create(application=application, name="ERP", actor=make.TESTER, at=timezone.now(), **fields)


@pytest.mark.parametrize("scope", [scope for scope in scopes.TEXTS if scope not in api_keys.NOT_FOR_KEYS])
def test_a_key_with_each_scope_alone_opens_what_a_token_with_it_does(world, scope):
    client = ApiClient(key_of(world.alpha.supplier, granted_scopes=[scope]).text)
    assert {route for route in routes() if opens(client, *route)} == {
        route for route, needed in routes().items() if needed == scope
    }


def test_a_key_that_is_not_good_opens_nothing(world):
    partner, at = world.alpha.supplier, timezone.now()
    expired, revoked = key_of(partner, expires_at=at + timedelta(days=1)), key_of(partner)
    elsewhere = key_of(partner, networks=["203.0.113.0/24"])
    ApiKey.objects.filter(pk=expired.api_key.pk).update(created_at=at - timedelta(days=2), expires_at=at)
    api_keys.revoke(api_key=revoked.api_key, actor=make.TESTER, at=at)
    assert ApiClient(key_of(partner).text).get("/products").status_code == 200
    before = everything()
    for method, path in routes():
        for key, status, code in (
            (expired, 401, "invalid_token"),
            (revoked, 401, "invalid_token"),
            (elsewhere, 403, "address_not_allowed"),
        ):
            answer = ApiClient(key.text).request(method, unknown(path), {})
            assert (answer.status_code, answer.json()["code"]) == (status, code), (method, path)
    assert everything() == before


@pytest.mark.parametrize("kind", scopes.OF_KIND)
def test_each_kind_of_partner_gets_what_its_kind_gives(world, kind):
    client = api_of(make.make_partner(kind=kind), " ".join(scopes.OF_KIND[kind]))
    assert {route for route in routes() if opens(client, *route)} == {
        route for route, needed in routes().items() if needed in scopes.OF_KIND[kind]
    }


def test_a_token_that_may_read_everything_writes_nothing(world):
    reading = " ".join(name for name in scopes.TEXTS if name.endswith(":read"))
    before = everything()
    for name, write in WRITES.items():
        method, path = name.split(" ", 1)
        if path in ASKED_BY_POST | SAID_BY_READERS:
            continue
        side = world.alpha
        partner = Partner.objects.get(code="SHOP") if write.by == "house" else getattr(side, write.by)
        sent = api_of(partner, reading).request(method, real(path, side, write.thing), write.body(side), headers=STALE)
        assert (sent.status_code, sent.json()["code"]) == (403, "insufficient_scope"), name
    changed = {name for name, content in everything().items() if content != before[name]}
    assert changed == {"partners_application", "partners_historicalapplication"}, "its own, made for this"


def headers_for(world: Any, write: Any, path: str, side: Any) -> dict[str, str]:
    """The ETag of what is changed, where the change must name it."""
    if not write.needs_match:
        return {}
    read = write.client(world, side).get(real(path, side, write.thing))
    assert read.status_code == 200, path
    return {"If-Match": read["ETag"]}


@pytest.mark.parametrize("name", WRITES)
def test_the_owner_may_and_a_stranger_finds_nothing(world, name):
    """Every stranger, with every scope and the very body the owner succeeds with: 404, and nothing changes."""
    write = WRITES[name]
    method, path = name.split(" ", 1)
    side, other = world.alpha, world.beta
    url, body, headers = real(path, side, write.thing), write.body(side), headers_for(world, write, path, side)
    if "{" in path:
        before = everything()
        for who, client in other.clients.items():
            if who == "keeper" and noun_of(path) in OF_THE_CATALOG:
                continue
            answer = Held(client).request(method, url, body, headers=headers or STALE)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (name, who, answer.content)
        assert everything() == before
    with taken_back():
        answer = Held(write.client(world, side)).request(method, url, body, headers=headers)
        assert answer.status_code in write.status, (name, answer.content)


@pytest.mark.parametrize("path", sorted(READS))
def test_the_owner_reads_it_and_a_stranger_reads_nothing_of_it(world, path):
    side, other = world.alpha, world.beta
    url = real(path, side)
    own = Held(side.clients[reader(path)]).request("GET", url)
    assert own.status_code == 200, (url, own.content)
    for who, client in other.clients.items():
        if who == "keeper" and noun_of(path) in OF_THE_CATALOG:
            continue
        answer = Held(client).request("GET", url)
        if "{" in path:
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (url, who)
            continue
        assert answer.status_code == 200
        assert side.name.encode() not in answer.content, (url, who)
        names = [name for name in side.ids.values() if not name.isdigit()]  # a line's number is others', too
        assert not [name for name in names if f'"{name}"'.encode() in answer.content], (url, who)


def nested() -> list[tuple[str, str]]:
    return [(name, place) for name, write in WRITES.items() for place in write.foreign or {}]


@pytest.mark.parametrize(("name", "place"), nested())
def test_a_foreign_name_in_a_body_is_as_unknown_as_one_nobody_has(world, name, place):
    write = WRITES[name]
    method, path = name.split(" ", 1)
    side, other = world.alpha, world.beta
    client, url = write.client(world, side), real(path, side, write.thing)
    headers = headers_for(world, write, path, side)
    foreign = (write.foreign or {})[place](other)
    nobodys = "7f2c1d0e-0000-4000-8000-000000000000" if len(foreign) == 36 else "NOBODYS-1"
    before = everything()
    answers = []
    for value in (foreign, nobodys):
        sent = Held(client).request(method, url, placed(write.body(side), place, value), headers=headers)
        assert sent.status_code in {404, 422}, (name, place, value, sent.content)
        assert everything() == before, (name, place, value)
        said = {key: text for key, text in sent.json().items() if key not in {"requestId", "instance"}}
        answers.append(str(said).replace(value, "…"))
    assert answers[0] == answers[1], "the answer tells that it exists"


def test_the_feed_tells_nobody_of_what_is_anothers(world):
    feed.relay_events()
    told = {}
    for side, other in ((world.alpha, world.beta), (world.beta, world.alpha)):
        for who, client in side.clients.items():
            content, after = b"", 0
            while page := (found := client.get(f"/events?limit=200&after={after}").json())["items"]:
                content, after = content + str(page).encode(), found["nextCursor"]
                assert after
                if len(page) < 200:
                    break
            assert other.name.encode() not in content, (side.name, who)
            assert not [name for name in other.ids.values() if name.encode() in content and len(name) > 8]
            told[side.name, who] = content.count(b"'sequence'")
    assert min(told.values()) > 0, "nobody was told anything: it proves nothing"
    assert OutboxEvent.objects.count() > 20


def test_a_key_is_its_applications_own(world):
    """The other partner's same key is its own intent; neither gets the other's answer."""
    key = {"Idempotency-Key": "the-same-key"}
    made = {}
    for side in (world.alpha, world.beta):
        cart = {"reference": "the-same-cart", "lines": [side.line()]}
        answer = side.clients["retailer"].post("/reservations", cart, headers=key)
        assert answer.status_code == 201
        assert "Idempotent-Replayed" not in answer
        made[side.name] = answer.json()
    assert made["ALPHA"]["reservationId"] != made["BETA"]["reservationId"]
    assert b"ALPHA" not in str(made["BETA"]).encode()
    again = api_of(world.alpha.retailer).post(
        "/reservations", {"reference": "the-same-cart", "lines": [world.alpha.line()]}, headers=key
    )
    assert "Idempotent-Replayed" not in again, "another application of the same partner has keys of its own, too"
    assert IdempotencyKey.objects.filter(key="the-same-key").count() == 3


@pytest.mark.parametrize("name", ["POST /reservations", "POST /orders", "POST /inventory/{supplierId}/{productId}"])
def test_a_token_that_lost_its_scope_is_not_given_the_stored_answer(world, name):
    write = WRITES[name]
    path = name.split(" ", 1)[1]
    side = world.alpha
    partner = getattr(side, write.by)
    client, key = api_of(partner), {"Idempotency-Key": f"lost {len(path)}".replace(" ", "-")}
    url = real(path, side)
    first = client.post(url, write.body(side), headers=key)
    again = client.post(url, write.body(side), headers=key)
    assert (first.status_code, again.content, again["Idempotent-Replayed"]) == (201, first.content, "true")
    needed = routes()["POST", path]
    application = AccessToken.objects.filter(application__partner=partner).latest("pk").application
    type(application).objects.filter(pk=application.pk).update(scopes=[one for one in scopes.TEXTS if one != needed])
    refused = client.post(url, write.body(side), headers=key)
    assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope")
    assert first.json() != refused.json()
