"""The short ways in front of Django answer as the views do: status, headers and bytes, whatever is sent."""

from __future__ import annotations

import io
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st

from partners import limits
from partners.api import fast, gate, plain
from partners.models import Application, IdempotencyKey
from stock.api import availability, reservations
from stock.models import Reservation
from tests import make
from tests.conftest import api_of

ANYTHING_NEW = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d{4}-\d\d-\d\dT[0-9:.]+Z|[0-9a-f]{32}|(?<=t=)\d+")
LATER = (timezone.now() + timedelta(days=40)).date()


class Undone(Exception):
    """Takes everything back."""


@pytest.fixture
def shop(db, monkeypatch, tmp_path):
    """Products of every kind, and clients of every kind."""
    table = limits.SharedTable(tmp_path / "limits")
    monkeypatch.setattr(limits, "counters", lambda: table)
    partner = make.make_partner(code="RET-1")
    supplier = make.make_partner(code="SUP-1", kind="supplier")
    warehouse = make.make_warehouse(code="W1")
    for sku, units in (("SAUCE", 10), ("HOT.SAUCE", 3), ("NONE", 0)):
        variant = make.make_variant(sku=sku, suppliers=[supplier] if sku == "SAUCE" else [])
        if units:
            make.make_level(variant=variant, warehouse=warehouse, on_hand=units)
    make.make_level(
        variant=make.make_variant(sku="HONEY", tracking="batch"), warehouse=warehouse, batch_number="B1",
        expires_on=LATER,
    )  # fmt: skip
    make.make_level(variant=make.make_variant(sku="SAUCE-2"), warehouse=make.make_warehouse(code="W2"))
    make.make_variant(sku="OLD", status="discontinued")
    make.make_variant(sku="FAMILY", is_parent=True)
    kit = make.make_variant(sku="KIT")
    kit.components.create(component=variant_of("SAUCE"), quantity=2)
    monkeypatch.setattr(fast, "close_old_connections", lambda: None)
    request_started.disconnect(close_old_connections)
    request_finished.disconnect(close_old_connections)
    yield {
        "retailer": partner,
        "supplier": supplier,
        "banded": make.make_partner(code="RET-2", disclosure="banded"),
        "capped": make.make_partner(code="RET-3", disclosure="capped", disclosure_cap=5),
        "yesNo": make.make_partner(code="RET-4", disclosure="yesNo"),
        "elsewhere": make.make_partner(code="RET-5", granted_warehouses=["W2"]),
        "suspended": make.make_partner(code="RET-6", status="suspended"),
    }
    request_started.connect(close_old_connections)
    request_finished.connect(close_old_connections)


def variant_of(sku: str) -> Any:
    from catalog.models import Variant

    return Variant.objects.get(sku=sku)


class Site:
    """Django behind the entrance, remembering whether it was asked."""

    def __init__(self) -> None:
        self.handler, self.asked = WSGIHandler(), 0

    def __call__(self, environ: Any, start: Any) -> Any:
        self.asked += 1
        return self.handler(environ, start)


def call(application: Any, path: str, raw: bytes, headers: dict[str, str]) -> tuple[str, list[Any], bytes]:
    environ = {
        "REQUEST_METHOD": "POST", "PATH_INFO": path, "QUERY_STRING": "", "SCRIPT_NAME": "", "SERVER_NAME": "localhost",
        "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1", "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(raw), "wsgi.errors": io.StringIO(), "HTTP_HOST": "localhost",
        "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(raw)), "HTTP_ACCEPT": "*/*",
    } | headers  # fmt: skip
    for name in [name for name, value in environ.items() if value is None]:
        del environ[name]
    answered: list[Any] = []
    body = b"".join(application(environ, lambda status, found, *_: answered.append((status, found))))
    [(status, found)] = answered
    return status[:3], sorted((name.lower(), value) for name, value in found), body


def both(path: str, body: Any, headers: dict[str, str], *, before: Any = None) -> tuple[Any, Any, bool]:
    """Normalised answers of the short way and of the view, each from the same state; and whether the way was short."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    answers = []
    rooms = [availability.SHORT_WAY, reservations.SHORT_WAY]
    site = Site()
    for application in (fast.Entrance(site, rooms), site.handler):
        limits.counters().memory[:] = bytes(limits.TABLE_BYTES)
        try:
            block = transaction.atomic()
            block._from_testcase = True  # the doors' own transaction is the outermost, as far as they are concerned
            with block:
                if before:
                    before(application)
                site.asked = 0
                status, found, content = call(application, path, raw, headers)
                if application is not site.handler:
                    is_short = site.asked == 0
                kept = list(IdempotencyKey.objects.order_by("id").values_list("key", "fingerprint", "status", "body"))
                held = list(
                    Reservation.objects.order_by("id").values_list("reference", "fingerprint", "state", "actor")
                )
                raise Undone
        except Undone:
            pass
        answers.append(
            ANYTHING_NEW.sub(
                "~", repr((status, found, content, [(*row[:3], bytes(row[3] or b"")) for row in kept], held))
            )
        )
    return *answers, is_short


ASK, RESERVE = "/api/v1/availability", "/api/v1/reservations"
SAUCE = {"productId": "SAUCE", "quantity": 2}
NEW = {"reference": "R-1", "lines": [SAUCE]}
ASKED: list[tuple[str, Any, dict[str, Any], bool]] = [
    ("one product", {"lines": [{"productId": "SAUCE"}]}, {}, True),
    ("several", {"lines": [SAUCE, {"productId": "NONE"}, {"productId": "HONEY", "quantity": 11}]}, {}, True),
    ("the same twice", {"lines": [SAUCE, SAUCE | {"quantity": 99}]}, {}, True),
    ("explained", {"lines": [SAUCE, {"productId": "HONEY"}], "explain": True, "channel": "web"}, {}, True),
    ("a kit", {"lines": [{"productId": "KIT"}], "explain": True}, {}, True),
    ("equivalents", {"lines": [SAUCE], "includeEquivalents": True}, {}, True),
    ("letters of the world", {"lines": [{"productId": "SÜẞ\u2028x"}]}, {}, False),
    ("an archived one", {"lines": [{"productId": "OLD"}]}, {}, True),
    ("a space inside", {"lines": [{"productId": "HOT.SAUCE"}]}, {}, True),
    ("a space around", {"lines": [{"productId": " SAUCE "}]}, {}, False),
    ("a member nobody knows", {"lines": [SAUCE | {"x": [1]}], "y": {}}, {}, False),
    ("a member that is ignored", {"lines": [SAUCE], "shipTo": {"country": "DE"}}, {}, True),
    ("an own request id", {"lines": [SAUCE]}, {"HTTP_X_REQUEST_ID": "mine-0123456789"}, True),
    ("a bad request id", {"lines": [SAUCE]}, {"HTTP_X_REQUEST_ID": "no way"}, True),
    ("no accept", {"lines": [SAUCE]}, {"HTTP_ACCEPT": None}, True),
    ("accept html", {"lines": [SAUCE]}, {"HTTP_ACCEPT": "text/html"}, False),
    ("a day", {"lines": [SAUCE], "needBy": str(LATER)}, {}, False),
    ("no day", {"lines": [SAUCE], "needBy": None}, {}, False),
    ("a parent", {"lines": [{"productId": "FAMILY"}]}, {}, False),
    ("unknown", {"lines": [SAUCE, {"productId": "NOPE"}]}, {}, False),
    ("no lines", {"lines": []}, {}, False),
    ("501 lines", {"lines": [SAUCE] * 501}, {}, False),
    ("500 lines", {"lines": [SAUCE] * 500}, {}, True),
    ("a half", {"lines": [{"productId": "SAUCE", "quantity": 1.5}]}, {}, False),
    ("true", {"lines": [{"productId": "SAUCE", "quantity": True}]}, {}, False),
    ("words for yes", {"lines": [SAUCE], "explain": "yes"}, {}, False),
    ("not an object", [SAUCE], {}, False),
    ("null", None, {}, False),
    ("a key twice", b'{"lines": [], "lines": [{"productId": "SAUCE"}]}', {}, False),
    ("NaN", b'{"lines": [{"productId": "SAUCE", "quantity": NaN}]}', {}, False),
    ("2^53+1", b'{"lines": [{"productId": "SAUCE", "quantity": 9007199254740993}]}', {}, False),
    ("19 digits", b'{"lines": [{"productId": "SAUCE", "quantity": 1000000000000000000}]}', {}, False),
    ("half a pair", b'{"lines": [{"productId": "\\ud800"}]}', {}, False),
    ("NUL", b'{"lines": [{"productId": "a\\u0000"}]}', {}, False),
    ("not UTF-8", b'{"lines": "\xff"}', {}, False),
    ("not JSON", b"{", {}, False),
    ("deep", b'{"a":' * 40 + b"1" + b"}" * 40, {}, False),
    ("nothing", b"", {}, False),
    ("too large", b" " * 1_000_001, {}, False),
    ("another type", {"lines": [SAUCE]}, {"CONTENT_TYPE": "text/plain"}, False),
    ("a charset", {"lines": [SAUCE]}, {"CONTENT_TYPE": "application/json; charset=utf-8"}, False),
    ("packed", {"lines": [SAUCE]}, {"HTTP_CONTENT_ENCODING": "gzip"}, False),
    ("in chunks", {"lines": [SAUCE]}, {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": None}, False),
    ("a query", {"lines": [SAUCE]}, {"QUERY_STRING": "a=b"}, False),
    ("a cookie", {"lines": [SAUCE]}, {"HTTP_COOKIE": "sessionid=x"}, False),
    ("another host", {"lines": [SAUCE]}, {"HTTP_HOST": "evil.example"}, False),
    ("no host", {"lines": [SAUCE]}, {"HTTP_HOST": None}, False),
    ("no token", {"lines": [SAUCE]}, {"HTTP_AUTHORIZATION": None}, False),
    ("a bad token", {"lines": [SAUCE]}, {"HTTP_AUTHORIZATION": "Bearer nobody's"}, False),
    ("basic", {"lines": [SAUCE]}, {"HTTP_AUTHORIZATION": "Basic YTpi"}, False),
    ("a get", {"lines": [SAUCE]}, {"REQUEST_METHOD": "GET"}, False),
    ("a slash", {"lines": [SAUCE]}, {"PATH_INFO": ASK + "/"}, False),
]  # fmt: skip


@pytest.mark.parametrize(("body", "headers", "is_short"), [row[1:] for row in ASKED], ids=[row[0] for row in ASKED])
def test_availability_is_answered_alike(shop, body, headers, is_short):
    token = {"HTTP_AUTHORIZATION": f"Bearer {api_of(shop['retailer']).token}"}
    ours, views, was_short = both(ASK, body, token | headers)
    assert ours == views
    assert was_short is is_short


@pytest.mark.parametrize(
    ("who", "is_short"),
    [
        ("supplier", True),
        ("banded", True),
        ("capped", True),
        ("yesNo", True),
        ("elsewhere", True),
        ("suspended", False),
    ],
)
def test_everybody_is_told_what_the_view_tells_them(shop, who, is_short):
    token = {"HTTP_AUTHORIZATION": f"Bearer {api_of(shop[who]).token}"}
    ours, views, was_short = both(ASK, {"lines": [SAUCE], "explain": True}, token)
    assert (ours, was_short) == (views, is_short)
    ours, views, _ = both(ASK, {"lines": [{"productId": "HONEY"}]}, token)
    assert ours == views


RESERVED: list[tuple[str, Any, dict[str, Any], bool]] = [
    ("new", NEW, {}, True),
    ("two lines", NEW | {"lines": [SAUCE, {"productId": "HONEY", "quantity": 1}]}, {}, True),
    ("a kit", NEW | {"lines": [{"productId": "KIT", "quantity": 2}]}, {}, True),
    ("all that is said", NEW | {"expiresInSeconds": 60, "channel": "web", "allOrNothing": False}, {}, True),
    ("a part of it", NEW | {"lines": [SAUCE | {"quantity": 50}], "allOrNothing": False}, {}, True),
    ("a warehouse", NEW | {"lines": [SAUCE | {"warehouseLocation": "W1"}]}, {}, True),
    ("a warehouse there is not", NEW | {"lines": [SAUCE | {"warehouseLocation": "W9"}]}, {}, False),
    ("null for a warehouse", NEW | {"lines": [SAUCE | {"warehouseLocation": None}]}, {}, False),
    ("too much", NEW | {"lines": [SAUCE | {"quantity": 50}]}, {}, True),
    ("too long", NEW | {"expiresInSeconds": 1801}, {}, False),
    ("unknown", NEW | {"lines": [{"productId": "NOPE", "quantity": 1}]}, {}, False),
    ("archived", NEW | {"lines": [{"productId": "OLD", "quantity": 1}]}, {}, False),
    ("no reference", {"lines": [SAUCE]}, {}, False),
    ("a number for a reference", NEW | {"reference": 1}, {}, False),
    ("no key", NEW, {"HTTP_IDEMPOTENCY_KEY": None}, False),
    ("a quoted key", NEW, {"HTTP_IDEMPOTENCY_KEY": '"k-1"'}, True),
    ("a bad key", NEW, {"HTTP_IDEMPOTENCY_KEY": "k 1"}, False),
    ("a key twice", b'{"reference": "R", "reference": "S", "lines": []}', {}, False),
]


@pytest.mark.parametrize(
    ("body", "headers", "is_short"), [row[1:] for row in RESERVED], ids=[row[0] for row in RESERVED]
)
def test_a_reservation_is_answered_and_kept_alike(shop, body, headers, is_short):
    token = {"HTTP_AUTHORIZATION": f"Bearer {api_of(shop['retailer']).token}", "HTTP_IDEMPOTENCY_KEY": "k-1"}
    ours, views, was_short = both(RESERVE, body, token | headers)
    assert ours == views
    assert was_short is is_short


@pytest.mark.parametrize(
    ("again", "is_short"),
    [
        ((NEW, {}), True),
        ((NEW, {"HTTP_IDEMPOTENCY_KEY": "k-2"}), True),
        ((NEW | {"lines": [SAUCE | {"quantity": 3}]}, {}), False),
        ((NEW | {"lines": [SAUCE | {"quantity": 3}]}, {"HTTP_IDEMPOTENCY_KEY": "k-2"}), True),
    ],
    ids=["the same", "the same under another key", "another under the key", "another under the reference"],
)
def test_what_is_said_again_is_answered_alike(shop, again, is_short):
    token = {"HTTP_AUTHORIZATION": f"Bearer {api_of(shop['retailer']).token}", "HTTP_IDEMPOTENCY_KEY": "k-1"}
    first = json.dumps(NEW).encode()
    ours, views, was_short = both(
        RESERVE, again[0], token | again[1], before=lambda application: call(application, RESERVE, first, token)
    )
    assert (ours, was_short) == (views, is_short)


def test_without_the_scope_both_refuse(shop):
    token = {"HTTP_AUTHORIZATION": f"Bearer {api_of(shop['retailer'], 'orders:read').token}"}
    ours, views, was_short = both(ASK, {"lines": [SAUCE]}, token)
    assert (ours, was_short) == (views, False)
    assert "insufficient_scope" in ours


@pytest.mark.parametrize("headers", [{}, {"HTTP_X_FORWARDED_PROTO": "https"}], ids=["plain", "over TLS"])
def test_in_production_both_ask_for_tls(shop, settings, headers):
    settings.SECURE_SSL_REDIRECT, settings.SECURE_HSTS_SECONDS = True, 31_536_000
    settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = settings.SECURE_HSTS_PRELOAD = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    token = {"HTTP_AUTHORIZATION": f"Bearer {api_of(shop['retailer']).token}"}
    ours, views, was_short = both(ASK, {"lines": [SAUCE]}, token | headers)
    assert (ours, was_short) == (views, bool(headers))


def test_who_has_spent_the_minute_is_refused_alike_and_nobody_pays_twice(shop):
    """The call that is handed on to Django has paid already."""
    client = api_of(shop["retailer"])
    Application.objects.update(reads_per_minute=5)
    token = {"HTTP_AUTHORIZATION": f"Bearer {client.token}"}
    left = []
    for body in (
        {"lines": [SAUCE] * 2},
        {"lines": [SAUCE, {"productId": "NOPE"}]},
        {"lines": [SAUCE] * 2},
        {"lines": [SAUCE]},
        {"lines": [SAUCE]},
    ):
        site = Site()
        entrance = fast.Entrance(site, [availability.SHORT_WAY])
        status, headers, _ = call(entrance, ASK, json.dumps(body).encode(), token)
        found = dict(headers)
        left.append((status, re.sub("t=.*", "", found["ratelimit"]), "retry-after" in found))
    assert left == [
        ("200", '"client";r=3;', False),
        ("422", '"client";r=1;', False),
        ("429", '"client";r=1;', True),
        ("200", '"client";r=0;', False),
        ("429", '"client";r=0;', True),
    ]


def test_where_no_place_is_left_to_read_both_say_busy(shop, monkeypatch):
    token = {"HTTP_AUTHORIZATION": f"Bearer {api_of(shop['retailer']).token}"}
    monkeypatch.setattr(gate.READERS, "inside_max", 0)
    ours, views, was_short = both(ASK, {"lines": [SAUCE]}, token)
    assert (ours, was_short) == (views, False)
    assert "'503'" in ours


VALUES = st.sampled_from(
    ["SAUCE", "", " x", "x" * 65, "x" * 64, 0, 1, -1, 1.5, True, False, None, [], {}, 10**12, 10**12 + 1, "yes"]
)
LINES = st.lists(st.fixed_dictionaries({}, optional={"productId": VALUES, "quantity": VALUES}), max_size=3)


@how(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "lines": LINES | VALUES, "channel": VALUES, "explain": VALUES, "includeEquivalents": VALUES,
            "reference": VALUES, "expiresInSeconds": VALUES, "allOrNothing": VALUES, "needBy": st.none(),
        },
    )
)  # fmt: skip
def test_what_is_read_plainly_is_what_the_serializer_reads(body):
    for serializer_class, read in (
        (availability.AskedFields, availability.READ_PLAINLY),
        (reservations.WantedFields, reservations.READ_PLAINLY),
    ):
        try:
            plainly = read(body)
        except plain.Unusual:
            continue
        serializer = serializer_class(data=body)
        assert serializer.is_valid()
        assert plainly == serializer.validated_data
