"""Every route of the OpenAPI document: 401 without a token, 403 without the scope, 404 for strangers."""

from __future__ import annotations

import re
import uuid
from functools import cache

import pytest
from drf_spectacular.generators import SchemaGenerator

from partners import scopes
from tests import make
from tests.conftest import ApiClient, api_of

METHODS = ("get", "post", "put", "patch", "delete")


@cache
def routes() -> list[tuple[str, str, str]]:
    """(method, path below /api/v1, the scope it needs)."""
    document = SchemaGenerator().get_schema(request=None, public=True)
    return [
        (method.upper(), path.removeprefix("/api/v1"), operation["security"][0]["oauth2"][0])
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    ]


def filled(path: str, **known: str) -> str:
    """The path with its parameters replaced; what is not known names nothing that exists."""
    return re.sub(r"\{(\w+)\}", lambda found: known.get(found[1], str(uuid.uuid4())), path)


def test_the_document_names_every_route_with_one_scope_that_exists(db):
    assert len(routes()) > 30
    assert {scope for _, _, scope in routes()} <= set(scopes.TEXTS)


def test_no_route_answers_without_a_good_token(db):
    expired = ApiClient("a-token-nobody-issued")
    for method, path, _ in routes():
        for client, code in ((api_of(None), "not_authenticated"), (expired, "invalid_token")):
            answer = client.request(method, filled(path), {})
            assert (answer.status_code, answer.json()["code"]) == (401, code), (method, path)
            assert answer["WWW-Authenticate"].startswith("Bearer"), (method, path)


def test_no_route_opens_without_its_scope(retailer):
    for method, path, scope in routes():
        others = " ".join(name for name in scopes.TEXTS if name != scope)
        answer = api_of(retailer, others).request(method, filled(path), {})
        assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope"), (method, path)
        assert answer.json()["requiredScope"] == scope, (method, path)


def test_a_suspended_partner_gets_nothing(db):
    client = api_of(make.make_partner(status="suspended"))
    for method, path, _ in routes():
        answer = client.request(method, filled(path), {})
        assert (answer.status_code, answer.json()["code"]) == (403, "partner_suspended"), (method, path)


@pytest.mark.parametrize("path", ["/nothing", "/suppliers/", "/orders/x/y/z"])
def test_an_address_that_is_not_there_is_a_404(retailer, path):
    assert api_of(retailer).get(path).status_code == 404
