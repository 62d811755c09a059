"""People, doors and a database of their own for the tests."""

from __future__ import annotations

import itertools
import json as jsons
import secrets
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import ProgrammingError, connection, connections
from django.test import Client
from django.test.utils import setup_databases, teardown_databases
from django.utils import timezone
from oauth2_provider.models import AccessToken

from partners import scopes as all_scopes
from partners.models import Application, Partner
from tests import make


class ApiClient:
    """A partner's program: JSON in and out under /api/v1, a bearer token, a fresh key for each POST."""

    def __init__(self, token: str | None) -> None:
        self.client = Client(raise_request_exception=False)
        self.token = token

    def request(
        self, method: str, path: str, json: Any = None, *, headers: dict[str, str] | None = None, body: Any = None
    ) -> Any:
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if method == "POST":
            sent["Idempotency-Key"] = secrets.token_hex(8)
        sent |= headers or {}
        sent = {name: value for name, value in sent.items() if value is not None}
        data = body if body is not None else "" if json is None else jsons.dumps(json)
        return self.client.generic(method, f"/api/v1{path}", data, content_type="application/json", headers=sent)

    def get(self, path: str, **kwargs: Any) -> Any:
        return self.request("GET", path, **kwargs)

    def post(self, path: str, json: Any = None, **kwargs: Any) -> Any:
        return self.request("POST", path, json, **kwargs)

    def put(self, path: str, json: Any = None, **kwargs: Any) -> Any:
        return self.request("PUT", path, json, **kwargs)

    def patch(self, path: str, json: Any = None, **kwargs: Any) -> Any:
        return self.request("PATCH", path, json, **kwargs)


def api_of(partner: Partner | None, scopes: str | None = None) -> ApiClient:
    """A client of the partner with these scopes ("a b"), or with all there are; None: no token."""
    if partner is None:
        return ApiClient(None)
    granted = scopes.split() if scopes is not None else list(all_scopes.TEXTS)
    application = Application.objects.create(
        partner=partner,
        name=partner.code,
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
        scopes=granted,
    )
    token = secrets.token_urlsafe(16)
    AccessToken.objects.create(
        application=application, token=token, scope=" ".join(granted), expires=timezone.now() + timedelta(hours=1)
    )
    return ApiClient(token)


@pytest.fixture
def api(db: None) -> Callable[..., ApiClient]:
    return api_of


@pytest.fixture
def staff(db: None) -> User:
    return User.objects.create_superuser("keeper", "keeper@example.test", "keeper")


@pytest.fixture
def retailer(db: None) -> Partner:
    return make.make_partner(code="RET-1", kind="retailer")


@pytest.fixture
def supplier(db: None) -> Partner:
    return make.make_partner(code="SUP-1", kind="supplier")


@pytest.fixture
def stranger(db: None) -> Partner:
    """Another retailer, who must not see what is not theirs."""
    return make.make_partner(code="RET-2", kind="retailer")


_copies = itertools.count()


@pytest.fixture(scope="session")
def empty_test_database(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """pytest-django makes its database only for tests it knows to want one, and a copy is not known to it."""
    if connection.settings_dict["NAME"].startswith("test_"):
        yield
        return
    with django_db_blocker.unblock():
        made = setup_databases(verbosity=0, interactive=False, aliases={"default"})
    yield
    with django_db_blocker.unblock():
        teardown_databases(made, verbosity=0)


@pytest.fixture
def own_database(empty_test_database: None, django_db_blocker: Any) -> Iterator[None]:
    """A copy of the empty test database, for tests that need several real connections and commits.

    The ledger refuses TRUNCATE, so such a test cannot be cleaned up after; its database is dropped instead.
    """
    with django_db_blocker.unblock():
        original = connection.settings_dict["NAME"]
        copy = f"{original}_{next(_copies)}"
        connections.close_all()
        _administer(f'DROP DATABASE IF EXISTS "{copy}"', f'CREATE DATABASE "{copy}" TEMPLATE "{original}"')
        connection.settings_dict["NAME"] = copy
        try:
            yield
        finally:
            connections.close_all()
            connection.settings_dict["NAME"] = original
            _drop(copy)


def _drop(name: str) -> None:
    """An autovacuum worker may be in the copy, which only a superuser may end; it leaves by itself."""
    for turn in range(100):
        try:
            return _administer(f'DROP DATABASE "{name}" WITH (FORCE)')
        except ProgrammingError:
            if turn == 99:
                raise
            time.sleep(0.1)
    return None


def _administer(*statements: str) -> None:
    with connection._nodb_cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
