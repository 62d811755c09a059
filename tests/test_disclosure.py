"""What a partner is not told shows nowhere: every route of the OpenAPI document, asked by who is told little."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator

from catalog.models import Variant
from partners.disclosure import Rule
from partners.models import Partner
from partners.operations import feed
from stock.models import Level, Warehouse
from stock.operations import movements
from tests import make
from tests.conftest import ApiClient, api_of
from tests.test_bad_input import example
from tests.test_routes import METHODS, TWO_WORDS, belongings  # noqa: F401  a fixture

HIDDEN = 73_519
MILLION = 1_000_000
# Said in every body that has such a field: all there is, and more than that.
SAID = {
    "productId": "SAUCE", "supplierId": "SUP-1", "warehouseLocation": "W1", "quantity": MILLION, "explain": True,
    "allOrNothing": False, "allowBackorder": True, "includeEquivalents": True, "keep": False, "channel": "",
    "sourceWarehouse": "W1", "targetWarehouse": "W2", "needBy": None, "batchNumber": "", "condition": "sellable",
    "retailPartnerId": None, "reservationId": None, "promiseId": None, "serialNumbers": [], "location": "",
    "ownerId": None, "expirationDate": None, "countedQuantity": MILLION, "requestedDeliveryDate": None, "at": None,
    "expiresInSeconds": 60, "inventoryLevel": MILLION,
}  # fmt: skip
RULES = ["capped:20", "yesNo", "exact,buffer:7"]


def disclose(partner: Partner, text: str) -> ApiClient:
    rule = Rule.parse(text)
    partner.disclosure, partner.disclosure_cap = rule.kind, rule.cap
    partner.buffer_units, partner.buffer_percent = rule.buffer_units, rule.buffer_percent
    partner.save()
    return api_of(partner)


@cache
def asked() -> list[tuple[str, str, Any]]:
    """(method, path, body) of every operation there is."""
    document = SchemaGenerator().get_schema(request=None, public=True)
    schemas = document["components"]["schemas"]
    found = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method not in METHODS:
                continue
            body = None
            if "requestBody" in operation:
                body = said(example(operation["requestBody"]["content"]["application/json"]["schema"], schemas))
            found.append((method.upper(), path.removeprefix("/api/v1"), body))
    return found


def said(body: Any) -> Any:
    if isinstance(body, list):
        return [said(row) for row in body]
    if not isinstance(body, dict):
        return body
    return {name: SAID.get(name, said(value)) for name, value in body.items()}


def hidden_numbers() -> set[str]:
    """What the book has of every place, and in all, as it would be written."""
    found: set[int] = set()
    levels = list(Level.objects.all())
    for rows in (*([level] for level in levels), levels):
        on_hand, reserved = sum(row.on_hand for row in rows), sum(row.reserved for row in rows)
        found |= {on_hand, on_hand - reserved, reserved}
    return {text for number in found if number > 9_999 and number != MILLION for text in (str(number), f"{number:,}")}


@pytest.fixture
def plenty(belongings: dict[str, str]) -> dict[str, str]:  # noqa: F811  the fixture
    """SAUCE lies in W1, and then as much more of it that there are 73,519; some lie in W2."""
    fill("W1", HIDDEN - 12_345 - Level.objects.get(variant__sku="SAUCE", condition="sellable", on_hand__gt=1).on_hand)
    fill("W2", 12_345)
    return belongings


def fill(code: str, quantity: int) -> None:
    movements.book(
        kind="receipt", variant=Variant.objects.get(sku="SAUCE"), warehouse=Warehouse.objects.get(code=code),
        quantity=quantity, actor=make.TESTER, at=timezone.now(),
    )  # fmt: skip


def named(path: str, things: dict[str, str]) -> str:
    noun = path.strip("/").split("/")[0]
    return re.sub(TWO_WORDS, things.get(noun, "x"), path)


def walk(client: ApiClient, things: dict[str, str]) -> tuple[list[str], int]:
    """The operations that told a hidden number, and how many answered at all."""
    told, answered = [], 0
    for method, path, body in asked():
        real = named(path, things)
        secrets = hidden_numbers()
        answer = client.request(method, real, body, headers={"If-Match": '"1"'})
        secrets |= hidden_numbers()
        assert answer.status_code < 500, (method, real, answer.content[:300])
        text = answer.content.decode(errors="replace") + " ".join(f"{name}: {value}" for name, value in answer.items())
        answered += answer.status_code < 300
        told += [f"{method} {real}: {number}" for number in secrets if re.search(rf"(?<!\d){number}(?!\d)", text)]
    feed.relay_events()
    for page in (client.get("/events?limit=200"), client.get("/inventory")):
        text = page.content.decode(errors="replace")
        told += [f"{page.request['PATH_INFO']}: {number}" for number in hidden_numbers() if number in text]
    return told, answered


@pytest.mark.parametrize("rule", RULES)
def test_what_is_not_disclosed_shows_in_no_answer(plenty, retailer, rule):
    told, answered = walk(disclose(retailer, rule), plenty)
    assert told == []
    assert answered > 60


@pytest.mark.parametrize(("code", "rule"), [("SUP-1", "capped:20,buffer:5%"), ("OURS", "banded")])
def test_a_supplier_and_a_channel_that_are_told_little_learn_no_more(plenty, code, rule):
    told, answered = walk(disclose(Partner.objects.get(code=code), rule), plenty)
    assert told == []
    assert answered > 30


def test_who_is_told_exactly_finds_the_numbers_by_the_same_walk(plenty, retailer):
    """Else the walk would prove nothing."""
    told, _ = walk(disclose(retailer, "exact"), plenty)
    assert len({row.split(":")[0] for row in told}) > 6


def read(client: ApiClient, things: dict[str, str]) -> dict[str, Any]:
    """All that can be read, with the headers, less what tells only of the request."""
    found = {}
    for method, path, body in asked():
        if (method == "GET" and not path.startswith("/events")) or path in {"/availability", "/deliveryDates"}:
            answer = client.request(method, named(path, things), body)
            text = re.sub(
                r'"(asOf|requestId|validUntil|shipBy|orderBy|at)":\s*("[^"]*"|null)',
                "",
                answer.content.decode(errors="replace"),
            )
            headers = {
                name: value
                for name, value in answer.items()
                if name not in {"X-Request-Id", "Content-Length", "RateLimit"}
            }
            found[f"{method} {path}"] = (answer.status_code, text, headers)
    return found


@pytest.mark.parametrize("rule", ["capped:20", "banded"])
def test_nothing_that_can_be_read_moves_with_a_change_that_is_not_told(plenty, retailer, rule):
    client = disclose(retailer, rule)
    before = read(client, plenty)
    fill("W1", 5)
    after = read(client, plenty)
    assert [path for path in before if before[path] != after[path]] == []


def test_what_can_be_read_moves_for_who_is_told(plenty, retailer):
    client = disclose(retailer, "exact")
    before = read(client, plenty)
    fill("W1", 5)
    after = read(client, plenty)
    moved = [path for path in before if before[path] != after[path]]
    assert {"GET /inventory", "GET /inventory/{supplierId}/{productId}", "POST /availability"} <= set(moved)


@pytest.mark.parametrize(("rule", "told"), [("exact", {"status": {"products": 1, "onHand": HIDDEN}}), ("yesNo", {})])
def test_an_import_tells_what_stock_feels_of_it_to_who_may_know(api, supplier, rule, told):
    variant = make.make_variant(sku="SAUCE", suppliers=[supplier])
    make.make_level(variant=variant, warehouse=make.make_warehouse(code="W1"), on_hand=HIDDEN)
    client = disclose(supplier, rule)
    items = [{"productId": "SAUCE", "status": "discontinued"}]
    made = client.post("/imports", {"kind": "catalog", "items": items}).json()
    [row] = client.get(f"/imports/{made['importId']}/rows").json()["items"]
    assert (made["effects"], row["effects"]) == (told, {"onHand": HIDDEN} if told else {})


def test_the_etag_moves_with_what_is_told(api, supplier):
    variant = make.make_variant(sku="SAUCE", suppliers=[supplier])
    make.make_level(variant=variant, warehouse=make.make_warehouse(code="W1"), on_hand=18)
    client = api(make.make_partner(disclosure="capped", disclosure_cap=20))
    tags, told = [], []
    for more in (1, 1, 1, 100):
        answer = client.get("/inventory/SUP-1/SAUCE")
        tags.append(answer["ETag"])
        told.append(answer.json()["availability"])
        fill("W1", more)
    assert told == ["18", "19", "20+", "20+"]
    assert len(set(tags)) == 3
    assert tags[2] == tags[3]


@pytest.mark.parametrize(
    ("text", "quantity", "told", "bounds"),
    [
        ("exact", 37, (37, "37"), (37, 37)),
        ("capped:20", 19, (19, "19"), (19, 19)),
        ("capped:20", 73_519, (20, "20+"), (20, None)),
        ("banded", 0, (0, "0"), (0, 0)),
        ("banded", 49, (10, "10-49"), (10, 49)),
        ("banded", 73_519, (1_000, "1000+"), (1_000, None)),
        ("yesNo", 73_519, (None, "yes"), (1, None)),
        ("yesNo", -3, (None, "no"), (0, 0)),
    ],
)
def test_a_rule_tells_a_number_and_bounds_it(text, quantity, told, bounds):
    rule = Rule.parse(text)
    said = rule.tell(quantity)
    assert (said.quantity, said.label) == told
    assert rule.bounds(quantity) == bounds


@pytest.mark.parametrize("text", ["exact", "capped:20", "banded,buffer:10", "yesNo,buffer:2.5%", "capped:9,buffer:7"])
def test_a_rule_is_written_as_it_is_read(text):
    assert str(Rule.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ["capped:0", "secret", "exact,", "exact,buffer:x", "exact,buffer:-1", "exact,buffer:101%", "exact,buffer:1.5"],
)
def test_a_rule_that_cannot_be_is_refused(text):
    with pytest.raises(ValueError, match=r"write|no disclosure|percentage|whole"):
        Rule.parse(text)
