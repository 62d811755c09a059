"""A caller is looked up once in a second, and what was taken from it counts within that second."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from oauth2_provider.models import AccessToken

from partners.api import auth, callers
from partners.api.auth import InvalidToken, PartnerSuspended
from partners.api.callers import Callers
from partners.models import Application, Partner
from tests import make
from tests.conftest import api_of


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def processes(clock):
    """Three processes of a site, each with what it knows."""
    return [Callers(auth.find_caller, kept_seconds=1.0, clock=clock) for _ in range(3)]


@pytest.fixture
def token(db):
    return api_of(make.make_partner(code="RET-1", granted_warehouses=["W1"]), "orders:read orders:write").token


def test_a_caller_is_looked_up_once_a_second(token, processes, clock, django_assert_num_queries):
    with django_assert_num_queries(1):
        first = processes[0].find_known(token, "192.0.2.1")
        clock.now += 0.999
        assert processes[0].find_known(token, "192.0.2.1") is first
    with django_assert_num_queries(1):
        clock.now += 0.001
        assert processes[0].find_known(token, "192.0.2.1") is not first


def revoked(token: str) -> None:
    AccessToken.objects.all().delete()


def run_out(token: str) -> None:
    AccessToken.objects.update(expires=timezone.now() - timedelta(seconds=1))


def suspended(token: str) -> None:
    Partner.objects.update(status=Partner.Status.SUSPENDED)


@pytest.mark.parametrize(
    ("take", "refusal"), [(revoked, InvalidToken), (run_out, InvalidToken), (suspended, PartnerSuspended)]
)
def test_what_no_longer_opens_is_refused_within_a_second_by_every_process(token, processes, clock, take, refusal):
    for process in processes:
        process.find_known(token, "")
        clock.now += 0.2
    take(token)
    clock.now += 1
    for process in processes:
        with pytest.raises(refusal):
            process.find_known(token, "")


def test_a_scope_and_a_grant_that_were_taken_are_gone_within_a_second(token, processes, clock):
    for process in processes:
        assert process.find_known(token, "").scopes == {"orders:read", "orders:write"}
    Application.objects.update(scopes=["orders:read"], reads_per_minute=7)
    Partner.objects.update(granted_warehouses=[])
    clock.now += 1
    for process in processes:
        caller = process.find_known(token, "")
        assert caller.scopes == {"orders:read"}
        assert (caller.partner.granted_warehouses, caller.application.reads_per_minute) == ([], 7)


def test_the_second_is_counted_from_before_the_look(token, clock):
    """Else what was taken while the database was slow would live for longer."""

    def slowly(credential, address):
        found = auth.find_caller(credential, address)
        clock.now += 0.9
        return found

    known = Callers(slowly, kept_seconds=1.0, clock=clock)
    known.find_known(token, "")
    AccessToken.objects.all().delete()
    clock.now += 0.1
    with pytest.raises(InvalidToken):
        known.find_known(token, "")


def test_a_refusal_is_not_remembered_and_addresses_are_not_mixed_up(token, clock):
    seen = []

    def find(credential, address):
        seen.append((credential, address))
        return auth.find_caller(credential, address)

    known = Callers(find, kept_seconds=1.0, clock=clock)
    for address in ("192.0.2.1", "192.0.2.2"):
        known.find_known(token, address)
    for _ in range(2):
        with pytest.raises(InvalidToken):
            known.find_known("nobody's", "192.0.2.1")
    assert [address for _, address in seen] == ["192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.1"]


def test_no_more_are_kept_than_there_is_room_for(clock, monkeypatch):
    monkeypatch.setattr(callers, "KEPT_MAX", 10)
    known = Callers(lambda credential, address: credential, kept_seconds=1.0, clock=clock)  # type: ignore[arg-type,return-value]
    for number in range(25):
        clock.now += 0.05
        known.find_known(str(number), "")
        assert len(known.known) <= 10


def test_a_revoked_token_is_refused_over_http_once_the_second_is_over(token, retailer_calls, clock):
    assert retailer_calls.get("/orders").status_code == 200
    AccessToken.objects.all().delete()
    clock.now += 1
    answer = retailer_calls.get("/orders")
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")


@pytest.fixture
def retailer_calls(token, clock, monkeypatch):
    from tests.conftest import ApiClient

    monkeypatch.setattr(auth.CALLERS, "kept_seconds", 1.0)
    monkeypatch.setattr(auth.CALLERS, "clock", clock)
    return ApiClient(token)
