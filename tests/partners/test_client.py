"""The Python client against the real site, over real sockets."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application
from django.db import connections
from oauth2_provider.models import AccessToken

from partners import scopes
from partners.api import gate
from partners.clients.python.backstock_client import (
    Answer,
    Backstock,
    CredentialsRefused,
    MemoryStore,
    Problem,
    StandardSession,
    Unreachable,
)
from partners.clients.python.backstock_client import (
    client as module,
)
from partners.operations import feed, partners
from partners.places import Places
from stock.models import Level, Reservation
from tests import make
from tests.partners.test_keeper_processes import folder, start

__all__ = ["folder"]


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


class LiveSite:
    """The site on a port, with a hand on what happens after the n-th request to the API."""

    def __init__(self) -> None:
        self.application = get_wsgi_application()
        self.lock = threading.Lock()
        self.seen = 0
        self.after: dict[int, Any] = {}
        self.server = ThreadedWSGIServer(("127.0.0.1", 0), Quiet)
        self.server.daemon_threads = True
        self.server.set_app(self.answer)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, environ: dict[str, Any], start_response: Any) -> Any:
        with self.lock:
            self.seen += environ["PATH_INFO"].startswith("/api/")
            act = self.after.pop(self.seen, None)
        if act:
            act()
        try:
            return self.application(environ, start_response)
        finally:
            connections.close_all()


@pytest.fixture
def live(own_database: None) -> Iterator[LiveSite]:
    site = LiveSite()
    thread = threading.Thread(target=site.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        site.server.shutdown()
        thread.join()
        site.server.server_close()


@pytest.fixture
def issued(live: LiveSite) -> partners.Credentials:
    partner = make.make_partner(code="SHOP", kind="channel")
    return partners.issue_credentials(partner=partner, granted_scopes=scopes.OF_KIND["channel"], actor=make.TESTER)


@pytest.fixture
def shop(live: LiveSite, issued: partners.Credentials) -> Iterator[Backstock]:
    with Backstock(live.url, issued.client_id, issued.client_secret, store=MemoryStore()) as shop:
        yield shop


@pytest.fixture
def sauce(live: LiveSite) -> Level:
    return make.make_level(variant=make.make_variant(sku="SAUCE"), warehouse=make.make_warehouse(code="W1"), on_hand=10)


def test_the_quick_start_of_the_readme_holds(shop, sauce):
    assert shop.availability(["SAUCE"])[0]["availableQuantity"] == 10
    held = shop.reserve("cart-1", {"SAUCE": 3}, expiresInSeconds=600)
    assert (held["status"], held["lines"][0]["quantity"]) == ("open", 3)
    assert shop.reservation(held["reservationId"])["reference"] == "cart-1"
    assert shop.extend(held["reservationId"], 900)["status"] == "open"
    assert shop.commit(held["reservationId"], "order-1")["status"] == "committed"
    again = shop.reserve("cart-2", {"SAUCE": 7})
    assert shop.release(again["reservationId"])["status"] == "released"
    assert shop.availability({"SAUCE": 2})[0]["availableQuantity"] == 7


def test_a_refusal_is_a_problem_with_its_facts_and_nothing_is_held(shop, sauce):
    with pytest.raises(Problem) as raised:
        shop.reserve("cart-1", {"SAUCE": 11})
    problem = raised.value
    assert (problem.status, problem.code) == (409, "insufficient_stock")
    assert problem.data["shortages"] == [{"productId": "SAUCE", "requested": 11, "available": 10}]
    assert problem.request_id
    assert Reservation.objects.count() == 0


def test_events_come_page_by_page_and_end_at_the_newest(shop, sauce):
    for number in range(5):
        shop.release(shop.reserve(f"cart-{number}", {"SAUCE": 1})["reservationId"])
    feed.relay_events()
    events = shop.events(limit=2)
    met = [event["sequence"] for event in events]
    assert len(met) > 4
    assert met == sorted(set(met))
    assert events.after >= met[-1]
    assert list(shop.events(events.after, epoch=events.epoch)) == []
    assert [event["sequence"] for event in shop.events(met[1], epoch=events.epoch, limit=3)] == met[2:]
    with pytest.raises(Problem, match="feed_was_reset"):
        list(shop.events(events.after + 1000))


def test_wrong_credentials_are_named_and_not_repeated(live, issued):
    shop = Backstock(live.url, issued.client_id, "wrong", store=MemoryStore())
    for _ in range(3):
        with pytest.raises(CredentialsRefused, match="invalid_client"):
            shop.get("/products")


class Torn(StandardSession):
    """Sends as told, but the answers to the first API requests are lost on the way."""

    losses = 1
    keys: list[str]

    def request(self, method: str, url: str, **request: Any) -> Answer:
        answer = super().request(method, url, **request)
        if "/api/" in url:
            self.keys.append(request["headers"].get("Idempotency-Key", ""))
            if self.losses:
                self.losses -= 1
                raise ConnectionResetError("lost on the way back")
        return answer


@pytest.fixture
def torn(live, issued, monkeypatch) -> Iterator[tuple[Backstock, Torn]]:
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
    session = Torn()
    session.keys = []
    with Backstock(
        live.url, issued.client_id, issued.client_secret, store=MemoryStore(), session=lambda: session
    ) as shop:
        yield shop, session


def test_an_answer_that_was_lost_is_asked_for_again_and_nothing_happens_twice(torn, sauce):
    shop, session = torn
    held = shop.reserve("cart-1", {"SAUCE": 3})
    session.losses = 1
    assert shop.commit(held["reservationId"])["status"] == "committed"
    assert [session.keys[0] == session.keys[1], session.keys[2] == session.keys[3]] == [True, True]
    assert len(set(session.keys)) == 2
    sauce.refresh_from_db()
    assert (sauce.on_hand, sauce.reserved) == (7, 0)


def test_what_never_answers_is_given_up_after_five_tries(torn, sauce):
    shop, session = torn
    session.losses = 100
    with pytest.raises(Unreachable, match="ConnectionResetError"):
        shop.get("/products")
    assert len(session.keys) == 5


def test_four_processes_get_one_new_token_from_the_real_endpoint_when_theirs_is_revoked(
    live, issued, folder, monkeypatch
):
    # A site of one process, asked by 64 at once: whether all find a place is another test's.
    monkeypatch.setattr(gate, "READERS", Places(1_000))
    live.after = {100: AccessToken.objects.all().delete}
    told = {
        "site": live.url, "folder": folder, "how": "keeper", "threads": 16, "calls": 4,
        "path": "/api/v1/events?after=0", "client_id": issued.client_id, "client_secret": issued.client_secret,
    }  # fmt: skip
    crowds = [start(**told) for _ in range(4)]
    met = [json.loads(crowd.communicate(timeout=120)[0]) for crowd in crowds]
    assert met == [{"calls": 64, "failed": []}] * 4
    assert live.after == {}
    assert AccessToken.objects.count() == 1
    # 256 calls, those that were refused once more, and not one call to spare.
    assert live.seen > 256
