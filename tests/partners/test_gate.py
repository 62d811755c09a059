"""Every limit of the gate, as it is answered: a status, a code, and what helps the caller on."""

from __future__ import annotations

import gzip
import json
import logging
import re
from typing import Any

import pytest
from django.db import connection

from partners import limits
from partners.api import gate, limiting
from partners.api.parsing import BODY_BYTES_MAX
from partners.api.uploads import UPLOAD_BYTES_MAX, Upload
from partners.models import Application, IdempotencyKey
from partners.operations import partners
from partners.problems import InvalidInput
from stock.models import Reservation
from tests import make
from tests.conftest import api_of

LINE = {"productId": "SAUCE", "quantity": 1}


@pytest.fixture
def table(monkeypatch, tmp_path):
    found = limits.SharedTable(tmp_path / "limits")
    monkeypatch.setattr(limits, "counters", lambda: found)
    return found


@pytest.fixture
def client(retailer, table):
    make.make_level(variant=make.make_variant(sku="SAUCE"), warehouse=make.make_warehouse(code="W1"), on_hand=1_000)
    return api_of(retailer)


def set_limits(reads: int | None = None, writes: int | None = None) -> None:
    Application.objects.update(reads_per_minute=reads, writes_per_minute=writes)


def left(answer: Any) -> int:
    return int(re.match(r'"client";r=(\d+);t=\d+$', answer["RateLimit"])[1])


def test_each_answer_says_what_is_allowed_and_what_is_left(client):
    set_limits(reads=600, writes=50)
    answer = client.get("/products")
    assert answer["RateLimit-Policy"] == '"client";q=600;w=60'
    assert re.fullmatch(r'"client";r=599;t=(60|5\d)', answer["RateLimit"])
    answer = client.post("/reservations", {"reference": "R-1", "lines": [LINE]})
    assert (answer.status_code, answer["RateLimit-Policy"], left(answer)) == (201, '"client";q=50;w=60', 49)
    assert left(client.post("/reservations", {"reference": "R-2", "lines": []})) == 48
    assert "RateLimit" not in api_of(None).get("/products")


def test_the_default_is_the_sites_and_an_application_may_have_its_own(client, settings):
    settings.RATE_LIMIT_READS, settings.RATE_LIMIT_WRITES = 70, 30
    assert client.get("/products")["RateLimit-Policy"] == '"client";q=70;w=60'
    [application] = Application.objects.all()
    partners.set_limits(application=application, reads_per_minute=7, writes_per_minute=None, actor=make.TESTER)
    assert client.get("/products")["RateLimit-Policy"] == '"client";q=7;w=60'
    assert client.post("/reservations", {})["RateLimit-Policy"] == '"client";q=30;w=60'


@pytest.mark.parametrize(("field", "units"), [("reads", 0), ("writes", -1), ("reads", limits.LIMIT_MAX + 1)])
def test_a_limit_nobody_can_count_is_refused_and_nothing_is_changed(client, field, units):
    [application] = Application.objects.all()
    wanted = {"reads_per_minute": 5, "writes_per_minute": 5} | {f"{field}_per_minute": units}
    with pytest.raises(InvalidInput) as refused:
        partners.set_limits(application=application, actor=make.TESTER, **wanted)
    assert refused.value.data["errors"][0]["field"] == f"{field}PerMinute"
    application.refresh_from_db()
    assert (application.reads_per_minute, application.writes_per_minute) == (None, None)


def test_who_has_spent_the_minute_is_told_when_to_come_again_and_nothing_is_done(client):
    set_limits(writes=2)
    for number in range(2):
        assert client.post("/reservations", {"reference": f"R-{number}", "lines": [LINE]}).status_code == 201
    answer = client.post("/reservations", {"reference": "R-9", "lines": [LINE]}, headers={"Idempotency-Key": "k-9"})
    told = answer.json()
    assert (answer.status_code, told["code"], told["budget"], told["limit"], told["cost"]) == (
        429, "rate_limited", "writes", 2, 1,
    )  # fmt: skip
    assert 50 < told["retryAfterSeconds"] == int(answer["Retry-After"]) <= 60
    assert left(answer) == 0
    assert Reservation.objects.count() == 2
    assert not IdempotencyKey.objects.filter(key="k-9").exists()


def test_reads_and_writes_have_budgets_of_their_own(client):
    set_limits(reads=1, writes=1)
    assert client.get("/products").status_code == 200
    assert client.post("/availability", {"lines": [LINE]}).status_code == 429
    assert client.post("/reservations", {"reference": "R-1", "lines": [LINE]}).status_code == 201
    assert client.post("/reservations", {"reference": "R-2", "lines": [LINE]}).status_code == 429


def test_the_applications_of_one_partner_do_not_spend_one_anothers_units(client, retailer):
    other = api_of(retailer)
    set_limits(reads=1)
    assert [client.get("/products").status_code for _ in range(2)] == [200, 429]
    assert other.get("/products").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "cost"),
    [
        ("GET", "/products", None, 1),
        ("GET", "/products?limit=50", None, 1),
        ("GET", "/products?limit=51", None, 2),
        ("GET", "/products?limit=200", None, 4),
        ("GET", "/products?limit=999", None, 20),
        ("GET", "/products?limit=x", None, 1),
        ("POST", "/availability", {"lines": [LINE] * 7}, 7),
        ("POST", "/availability", {"lines": "x"}, 1),
        ("POST", "/reservations", {"reference": "R", "lines": [LINE, LINE]}, 2),
    ],
)
def test_a_batch_costs_as_much_as_its_parts(client, method, path, body, cost):
    set_limits(reads=100, writes=100)
    assert left(client.request(method, path, body)) == 100 - cost


def test_what_is_in_a_body_is_counted_however_deep():
    sales = [{"saleId": "1", "lines": [{}, {}, {}]}, {"saleId": "2", "lines": [{}], "serialNumbers": ["a", "b"]}]
    assert limiting.cost_of_body({"sales": sales}) == 6
    assert limiting.cost_of_body({"items": [1, [2, 3], {}]}) == 4
    assert limiting.cost_of_body("x") == limiting.cost_of_body({}) == limiting.cost_of_body([]) == 1
    assert limiting.cost_of_body({"file": Upload("a.csv", b" " * 50_000)}) == 3


def test_a_body_is_not_read_where_nothing_is_left(client, monkeypatch):
    set_limits(reads=1)
    client.get("/products")
    answer = client.post("/availability", body=b"{ this is not JSON")
    assert answer.status_code == 429
    set_limits(reads=2)
    answer = client.post("/availability", body=b"{ this is not JSON")
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


class Unread:
    """A body nobody may touch."""

    def read(self, *args: Any) -> bytes:
        raise AssertionError("it was read")

    readline = read


BOUNDS: list[tuple[str, str, str, dict[str, Any], tuple[int, str]]] = [
    ("a body of more than 1 MB", "POST", "/availability", {"CONTENT_LENGTH": str(BODY_BYTES_MAX + 1), "wsgi.input": Unread()}, (413, "body_too_large")),
    ("a file of more than 50 MB", "POST", "/imports", {"CONTENT_LENGTH": str(UPLOAD_BYTES_MAX + 1), "wsgi.input": Unread(), "CONTENT_TYPE": "multipart/form-data; boundary=x"}, (413, "body_too_large")),
    ("gzip", "POST", "/availability", {"HTTP_CONTENT_ENCODING": "gzip", "body": gzip.compress(b"{}")}, (415, "unsupported_media_type")),
    ("gzip of a file", "POST", "/imports", {"HTTP_CONTENT_ENCODING": "gzip", "wsgi.input": Unread(), "CONTENT_TYPE": "multipart/form-data; boundary=x"}, (415, "unsupported_media_type")),
    ("two codings", "PATCH", "/suppliers/SUP-1", {"HTTP_CONTENT_ENCODING": "identity, br", "body": b"{}"}, (415, "unsupported_media_type")),
    ("no length", "POST", "/availability", {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": "", "wsgi.input": Unread()}, (411, "length_required")),
    ("another type", "POST", "/availability", {"CONTENT_TYPE": "application/xml", "body": b"<a/>"}, (415, "unsupported_media_type")),
    ("501 lines asked for", "POST", "/availability", {"json": {"lines": [LINE] * 501}}, (422, "invalid_input")),
    ("501 lines reserved", "POST", "/reservations", {"json": {"reference": "R", "lines": [LINE] * 501}}, (422, "invalid_input")),
    ("501 lines ordered", "POST", "/orders", {"json": {"externalOrderId": "O", "lines": [LINE] * 501}}, (422, "invalid_input")),
    ("501 lines moved", "POST", "/transfers", {"json": {"sourceWarehouse": "W1", "targetWarehouse": "W2", "lines": [LINE] * 501}}, (422, "invalid_input")),
    ("a page of 201", "GET", "/products?limit=201", {}, (400, "invalid_parameter")),
    ("a page of 0", "GET", "/reservations?limit=0", {}, (400, "invalid_parameter")),
    ("201 events", "GET", "/events?limit=201", {}, (400, "invalid_parameter")),
    ("a hold of more than 30 min", "POST", "/reservations", {"json": {"reference": "R", "lines": [LINE], "expiresInSeconds": 1_801}}, (422, "invalid_input")),
    ("a key of 256", "POST", "/reservations", {"json": {"reference": "R", "lines": [LINE]}, "HTTP_IDEMPOTENCY_KEY": "k" * 256}, (400, "idempotency_key_malformed")),
    ("deeper than 32", "POST", "/availability", {"body": b"[" * 34 + b"]" * 34}, (400, "malformed")),
    ("deeper than Python", "POST", "/availability", {"body": b"[" * 100_000}, (400, "malformed")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "sent", "wanted"), [row[1:] for row in BOUNDS], ids=[row[0] for row in BOUNDS]
)
def test_every_bound_is_answered_as_it_says(client, method, path, sent, wanted):
    sent = dict(sent)
    body = sent.pop("body", b"") or (json.dumps(sent.pop("json")).encode() if "json" in sent else b"")
    sent = {"CONTENT_TYPE": "application/json", "HTTP_IDEMPOTENCY_KEY": "k-1"} | sent
    answer = client.client.generic(
        method, f"/api/v1{path}", body, headers={"Authorization": f"Bearer {client.token}"}, **sent
    )
    assert (answer.status_code, answer.json()["code"]) == wanted
    assert answer["Content-Type"] == "application/problem+json"
    assert Reservation.objects.count() == IdempotencyKey.objects.count() == 0


def test_a_statement_that_takes_too_long_is_a_503_and_nothing_is_done(client, monkeypatch):
    def slow(*args: Any, **kwargs: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 20")
            cursor.execute("SELECT pg_sleep(10)")

    monkeypatch.setattr("stock.operations.reservations.at_once", lambda wish: None)
    monkeypatch.setattr("stock.operations.reservations.reserve_wish", slow)
    answer = client.post("/reservations", {"reference": "R", "lines": [LINE]})
    assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (503, "busy", "1")
    assert Reservation.objects.count() == IdempotencyKey.objects.count() == 0


def test_where_as_many_read_as_may_the_next_is_told_so_and_writing_goes_on(client, monkeypatch):
    monkeypatch.setattr(gate.READERS, "inside_max", 0)
    answer = client.get("/products")
    assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (503, "busy", "1")
    assert client.post("/reservations", {"reference": "R-1", "lines": [LINE]}).status_code == 201
    monkeypatch.undo()
    assert client.get("/products").status_code == 200
    assert (gate.READERS.reading, dict(gate.READERS.of_partner)) == (0, {})


# -- The request log


@pytest.fixture
def lines(caplog, monkeypatch):
    """What was written, as JSON."""
    logger = logging.getLogger("partners.request_log")
    monkeypatch.setattr(logger, "propagate", True)
    monkeypatch.setattr(logger, "level", logging.INFO)
    logger.manager._clear_cache()
    yield lambda: [json.loads(row.message) for row in caplog.records if row.name == logger.name]
    logger.manager._clear_cache()


def test_each_call_is_one_line_with_the_route_and_no_secret(client, lines, caplog):
    [application] = Application.objects.all()
    client.get("/reservations/7f2c1d0e-0000-4000-8000-000000000000", headers={"X-Request-Id": "mine-12345678"})
    client.post("/availability", {"lines": [LINE, LINE]})
    api_of(None).get("/products")
    client.get("/nowhere")
    found = lines()
    assert all(set(line) == {"at", "method", "route", "status", "ms", "client", "requestId", "cost"} for line in found)
    assert [(line["method"], line["route"], line["status"], line["client"], line["cost"]) for line in found] == [
        ("GET", "api/v1/reservations/<uuid:public_id>", 404, application.client_id, 1),
        ("POST", "api/v1/availability", 200, application.client_id, 2),
        ("GET", "api/v1/products", 401, None, 0),
        ("GET", "^api/", 404, None, 0),
    ]
    assert found[0]["requestId"] == "mine-12345678"
    assert client.token not in caplog.text
    assert "SAUCE" not in json.dumps(found)
    assert "7f2c1d0e" not in json.dumps(found)


def test_the_admin_writes_no_such_line(db, client, lines):
    client.client.get("/admin/login/")
    assert lines() == []
