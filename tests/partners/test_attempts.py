"""What auditors find about who tried to come in, and that a flood of tries fills nothing."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections
from django.utils import timezone

from partners import tasks
from partners.models import AuthenticationAttempt
from partners.operations import attempts
from tests.conftest import ApiClient
from tests.partners.tried import tried

AT = datetime(2026, 5, 1, 12, 0, 5, tzinfo=UTC)


def record(**fields) -> None:
    attempts.record(**{"kind": "bearer", "outcome": "unknown", "address": "203.0.113.9", "at": AT} | fields)


def counts() -> list[int]:
    return list(AuthenticationAttempt.objects.order_by("id").values_list("count", flat=True))


def test_alike_refusals_of_a_minute_are_one_row_that_counts(db):
    for second in range(5):
        record(at=AT + timedelta(seconds=second), name=f"user-{second}")
    [row] = AuthenticationAttempt.objects.all()
    assert (row.count, row.at, row.last_at) == (5, AT, AT + timedelta(seconds=4))
    assert row.names == [f"user-{number}" for number in range(5)]
    record(at=AT + timedelta(minutes=1))
    record(address="203.0.113.10")
    record(outcome="expired")
    record(kind="token")
    assert counts() == [5, 1, 1, 1, 1]


def test_a_whole_ipv6_subscriber_is_one_caller(db):
    for last in range(20):
        record(address=f"2001:db8:0:1::{last + 1:x}")
    record(address="2001:db8:0:2::1")
    assert counts() == [20, 1]


def test_successes_of_different_callers_stay_apart(db):
    for name in ("a", "b", "a"):
        record(kind="token", outcome="ok", name=name)
    assert counts() == [2, 1]


def test_a_flood_from_everywhere_ends_in_one_row(db, monkeypatch):
    monkeypatch.setattr(attempts, "REFUSED_ROWS_PER_MINUTE_MAX", 10)
    for number in range(60):
        record(address=f"203.0.113.{number}")
    assert counts() == [1] * 10 + [50]
    last = AuthenticationAttempt.objects.order_by("id").last()
    assert last.address is None
    record(address="203.0.113.0")
    assert counts() == [2] + [1] * 9 + [50], "who has a row keeps it"
    record(kind="token", outcome="ok", name="a", address="203.0.113.99")
    assert AuthenticationAttempt.objects.get(succeeded=True).address == "203.0.113.99", "who is let in is never lost"
    record(address="203.0.113.99", at=AT + timedelta(minutes=1))
    assert AuthenticationAttempt.objects.order_by("id").last().address == "203.0.113.99"


def test_names_and_agents_are_cut_and_names_bounded(db):
    for number in range(30):
        record(name=f"{number}" + "x" * 500 + "\x00", user_agent="y\x00" * 500)
    [row] = AuthenticationAttempt.objects.all()
    assert (len(row.names), len(row.names[0]), len(row.user_agent)) == (attempts.NAMES_MAX, 160, 200)


def test_old_ones_go_and_so_do_refusals_beyond_the_cap(db, monkeypatch, settings):
    monkeypatch.setattr(attempts, "REFUSED_ROWS_MAX", 3)
    settings.AUTHENTICATION_ATTEMPTS_KEPT_DAYS = 30
    now = timezone.now()
    record(at=now - timedelta(days=31))
    for minute in range(6):
        record(at=now - timedelta(minutes=10 - minute))
    for minute in range(6):
        record(at=now - timedelta(minutes=10 - minute), outcome="ok", name="a")
    assert tasks.forget_authentication_attempts() == 4
    left = AuthenticationAttempt.objects.filter(succeeded=False).order_by("at")
    assert [row.at for row in left] == [now - timedelta(minutes=away) for away in (7, 6, 5)]
    assert AuthenticationAttempt.objects.filter(succeeded=True).count() == 6
    assert tasks.forget_authentication_attempts() == 0


def test_good_calls_by_token_are_not_written_down_and_refused_ones_are(api, retailer):
    client = api(retailer)
    for _ in range(3):
        assert client.get("/inventory").status_code == 200
    assert AuthenticationAttempt.objects.count() == 0
    for token in ("one", "two"):
        refused = ApiClient(token).get("/inventory", headers={"User-Agent": "probe/1"})
        assert refused.status_code == 401
    assert tried() == {("bearer", "unknown"): 2}
    row = AuthenticationAttempt.objects.earliest("id")
    assert row.address == "127.0.0.1"
    assert row.user_agent == "probe/1"
    assert row.request_id
    ApiClient(None).get("/inventory")
    assert tried() == {("bearer", "unknown"): 2}, "who shows nothing has not tried"


@pytest.mark.races
def test_a_crowd_counts_to_the_last(own_database):
    start = threading.Barrier(8)

    def crowd() -> None:
        start.wait()
        for _ in range(25):
            record()
        connections.close_all()

    threads = [threading.Thread(target=crowd) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts() == [200]
