"""A table of hostile input: numbers, texts, shapes, encodings, smuggling, addresses and headers.

Each is refused with a problem that says why, and nothing was changed; what is odd but right is taken as it is. The
table names what is right, so that a wrong accept fails like a fault of ours does.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import connection

from partners.models import IdempotencyKey
from stock.models import Level
from tests import make
from tests.conftest import api_of
from tests.gate.world import NOT_LOOKED_AT, OURS

REFUSED = (400, 409, 413, 415, 422)
RESERVE, ORDER, SHIP_TO = "/reservations", "/orders", {"name": "A", "country": "DE", "postalCode": "1"}


@dataclass(frozen=True)
class Hostile:
    """One request of the table."""

    name: str
    method: str
    path: str
    body: bytes = b""
    headers: dict[str, str | None] = field(default_factory=dict)
    content_type: str = "application/json"
    is_right: bool = False
    statuses: tuple[int, ...] = REFUSED


def reserve(quantity: str = "1", reference: str = '"r"', more: str = "", line: str = "") -> bytes:
    """A reservation as the sender wrote it, not as a library would."""
    text = f'{{"reference": {reference}, "lines": [{{"productId": "SAUCE", "quantity": {quantity}{line}}}]{more}}}'
    return text.encode("utf-8", "surrogatepass")


def order(price: str = '"1.00"', more: str = "", line: str = "", ship_to: str = "") -> bytes:
    address = json.dumps(SHIP_TO)[:-1] + ship_to + "}"
    return (
        f'{{"externalReference": "PO", "shipTo": {address}, '
        f'"lines": [{{"productId": "SAUCE", "quantity": 1, "unitPrice": {price}{line}}}]{more}}}'
    ).encode("utf-8", "surrogatepass")


def numbers() -> Iterator[Hostile]:
    wrong = [
        "NaN", "-NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e-400", "1e3", "1E0", "1.0", "1.5", "0.1", "-0",
        "-0.0", "0", "-1", "01", "+1", "1.", ".5", "0x1", "0b1", "0o7", "1_000", "1,000", "1 000", "1/2", "1n", "1L",
        "true", "false", "null", '"1"', '" 1"', '"1 "', '"+1"', '"-1"', '"1.0"', '"1e3"', '"0x1"', '"NaN"',
        '"Infinity"', '"١"', '"１"', '"²"', '"Ⅷ"', '"1_000"', '"one"', '""', '" "', "[]", "[1]", "{}", '{"$gt": 0}',
        '{"value": 1}', "1000000000001", "2147483648000000", "9007199254740993", "9223372036854775807",
        "9223372036854775808", "18446744073709551616", "1" + "0" * 17, "1" + "0" * 18, "9" * 5_000, "-" + "9" * 5_000,
        "1" + "0" * 400, "0." + "0" * 400 + "1", "1e99999999999", "--1", "-", "undefined", "١", "１",
    ]  # fmt: skip
    for text in wrong:
        yield Hostile(f"quantity {text[:24]}", "POST", RESERVE, reserve(text))
    yield Hostile("quantity 1", "POST", RESERVE, reserve("1"), is_right=True)
    prices = [
        "NaN", '"NaN"', '"sNaN"', '"Infinity"', '"-1.00"', "-1", '"1.00001"', '"١"', '"1_000"', '"1e2"', '" 1"', "true",
        '"0x10"', "[]", "{}", '"1,50"', '"' + "9" * 40 + '"', "1e400", '"1.0.0"', '""', '"+1.00"', '"１.00"',
    ]  # fmt: skip
    for text in prices:
        yield Hostile(f"price {text[:24]}", "POST", ORDER, order(text))
    yield Hostile("price 1.00", "POST", ORDER, order('"1.00"'), is_right=True)
    for text in ("0", "-1", "1.5", '"60"', "1e9", "true", "9" * 17, "[60]"):
        yield Hostile(f"hold of {text[:20]} s", "POST", RESERVE, reserve(more=f', "expiresInSeconds": {text}'))
    for text in ('"true"', '"yes"', "1", "0", '"on"', "[]", "null", '"false"', '"t"'):
        yield Hostile(f"flag {text}", "POST", RESERVE, reserve(more=f', "allOrNothing": {text}'))
        yield Hostile(f"other flag {text}", "POST", ORDER, order(more=f', "allowSplit": {text}'))


def texts() -> Iterator[Hostile]:
    wrong = {
        "NUL": '"a\\u0000b"', "raw NUL": '"a\x00b"', "high surrogate": '"\\ud800"', "low surrogate": '"\\udfff"',
        "turned pair": '"\\udc00\\ud800"', "raw surrogate": '"\ud800"', "raw newline": '"a\nb"', "raw tab": '"a\tb"',
        "escape \\x": '"\\x41"', "half an escape": '"\\u00"', "121 letters": f'"{"x" * 121}"', "a number": "5",
        "a list": '["r"]', "an object": '{"r": 1}', "true": "true", "null": "null", "empty": '""', "blank": '"   "',
        "121 of four bytes": f'"{"😀" * 121}"', "unclosed": '"r', "single quotes": "'r'",
    }  # fmt: skip
    for name, text in wrong.items():
        yield Hostile(f"reference: {name}", "POST", RESERVE, reserve(reference=text))
    right = {
        "SQL": "'; DROP TABLE stock_level; --", "markup": "<script>alert(1)</script>", "template": "{{7*7}}${7*7}",
        "path": "../../etc/passwd", "formula": "=HYPERLINK(1)", "percent": "%00%n%s", "emoji": "👩‍🚀", "Arabic": "طلب",
        "decomposed": "e\u0301", "long ligature": "\ufdfa", "backslash": "a\\b", "LDAP": "*)(uid=*))(|(uid=*",
    }  # fmt: skip
    for name, text in right.items():
        yield Hostile(f"reference: {name}", "POST", RESERVE, reserve(reference=json.dumps(text)), is_right=True)
    for text in (
        "SAUCE\\u0000",
        "sauce",
        "ＳＡＵＣＥ",
        "SAUCE\\u200b",
        "%53AUCE",
        "x" * 65,
        "../SAUCE",
    ):
        body = reserve().replace(b'"SAUCE"', f'"{text}"'.encode())
        yield Hostile(f"product {text[:20]}", "POST", RESERVE, body, statuses=(400, 404, 422))
    for name in ("country", "postalCode"):
        for text in ('"DEU"', '"d"', '"<x>"', '"\\u0000"', "7", "[]", '"' + "x" * 500 + '"', '"ＤＥ"'):
            if name == "country" or text not in ('"DEU"', '"d"', '"<x>"', '"ＤＥ"'):
                body = order().replace(f'"{name}": '.encode(), f'"{name}": {text}, "old": '.encode())
                yield Hostile(f"{name} {text[:20]}", "POST", ORDER, body)
    for text in (
        "2026-02-30",
        "2026-13-01",
        "0000-00-00",
        "10000-01-01",
        "tomorrow",
        "١٢",
        "2026-1-1",
        "2026",
        "",
        "-1",
    ):
        more = f', "requestedDeliveryDate": {json.dumps(text)}'
        yield Hostile(f"date {text or 'empty'}", "POST", ORDER, order(more=more))
    for text in ("20260101", "1", "true", "[]", "1e3", "{}"):
        yield Hostile(f"date as {text}", "POST", ORDER, order(more=f', "requestedDeliveryDate": {text}'))


def shapes() -> Iterator[Hostile]:
    whole = reserve()
    wrong = {
        "empty": b"", "blank": b" \n ", "a list": b"[" + whole + b"]", "a text": b'"x"', "a number": b"1", "null": b"null",
        "true": b"true", "two documents": whole + whole, "rubbish behind": whole + b"x", "comma behind": whole + b",",
        "unclosed": whole[:-1], "trailing comma": whole[:-1] + b",}", "comment": b"/* x */" + whole,
        "line comment": whole + b"// x", "single quotes": whole.replace(b'"', b"'"), "bare names": b"{reference: 1}",
        "key twice": whole[:-1] + b', "reference": "s"}', "line's key twice": reserve(line=', "quantity": 2'),
        "key twice by escape": whole[:-1] + b', "\\u0072eference": "s"}', "no lines": b'{"reference": "r", "lines": []}',
        "lines are an object": b'{"reference": "r", "lines": {"productId": "SAUCE", "quantity": 1}}',
        "lines are null": b'{"reference": "r", "lines": null}', "a line is a list": b'{"reference": "r", "lines": [[]]}',
        "a line is a text": b'{"reference": "r", "lines": ["SAUCE"]}', "no reference": b'{"lines": [{}]}',
        "33 deep": b'{"a": ' * 33 + b"1" + b"}" * 33, "1,000 deep": b"[" * 1_000 + b"]" * 1_000,
        "100,000 deep": b"[" * 100_000 + b"]" * 100_000, "100,000 deep, open": b'{"a":' * 100_000,
        "100,000 keys": b"{" + b",".join(b'"k%d":1' % n for n in range(100_000)) + b"}",
        "a long key": b'{"' + b"k" * 900_000 + b'": 1}', "deep in a line": reserve(line=', "x": ' + "[" * 40 + "]" * 40),
        "XML": b"<reservation/>", "YAML": b"reference: r", "form": b"reference=r&lines=1", "JSON lines": whole + b"\n" + whole,
        "pickle": b"\x80\x04\x95", "zip": b"PK\x03\x04" + bytes(100), "HTML": b"<!DOCTYPE html>",
    }  # fmt: skip
    for name, body in wrong.items():
        yield Hostile(f"body: {name}", "POST", RESERVE, body)
    line = b'{"productId": "SAUCE", "quantity": 1}'
    for count in (501, 5_000, 20_000):
        body = b'{"reference": "r", "lines": [' + b",".join([line] * count) + b"]}"
        yield Hostile(f"{count:,} lines", "POST", RESERVE, body)
        yield Hostile(
            f"{count:,} lines asked for", "POST", "/availability", b'{"lines": [' + b",".join([line] * count) + b"]}"
        )
    yield Hostile("a million bytes and one", "POST", RESERVE, whole + b" " * 1_000_001)
    yield Hostile("nine million bytes", "POST", RESERVE, reserve(reference='"' + "x" * 9_000_000 + '"'))


def encodings() -> Iterator[Hostile]:
    text = reserve(reference='"ä"').decode()
    whole = text.encode()
    for name in ("utf-16", "utf-16-le", "utf-32", "latin-1", "utf-7", "cp037", "utf-8-sig"):
        body = text.replace("ä", "+AOQ-é" if name == "utf-7" else "ä").encode("latin-1" if name == "utf-7" else name)
        yield Hostile(f"in {name}", "POST", RESERVE, body)
    bad = {
        "overlong slash": b"\xc0\xaf", "overlong NUL": b"\xc0\x80", "lone byte": b"\xff", "cut": b"\xe2\x82",
        "beyond Unicode": b"\xf4\x90\x80\x80", "surrogate": b"\xed\xa0\x80", "CESU": b"\xed\xa0\xbd\xed\xb8\x80",
    }  # fmt: skip
    for name, piece in bad.items():
        yield Hostile(f"UTF-8: {name}", "POST", RESERVE, whole.replace("ä".encode(), piece))
    for kind in (
        "text/plain", "text/json", "application/xml", "multipart/form-data; boundary=x", "application/octet-stream",
        "application/x-www-form-urlencoded", "application/json-patch+json", "image/png", "*/*", "application/*", "json",
        "application/jsonx", "a" * 500, "application/json, text/html",
    ):  # fmt: skip
        yield Hostile(f"as {kind[:40]}", "POST", RESERVE, whole, content_type=kind)
    for charset in ("utf-16", "latin-1", "nonsense", "utf-7", "idna"):
        body, kind = whole, f"application/json; charset={charset}"
        yield Hostile(f"said to be {charset}", "POST", RESERVE, body, content_type=kind)
    packed = {"gzip": gzip.compress(whole), "deflate": zlib.compress(whole), "br": whole, "x": whole, "gzip, gzip": whole,
              "zstd": whole}  # fmt: skip
    for name, body in packed.items():
        yield Hostile(f"packed by {name}", "POST", RESERVE, body, {"Content-Encoding": name})
    bomb = gzip.compress(b" " * 50_000_000)
    yield Hostile("a gzip bomb", "POST", RESERVE, bomb, {"Content-Encoding": "gzip"})


SMUGGLED = {
    "status": '"committed"', "state": '"committed"', "version": "99", "reserved": "0", "partner": "1", "partner_id": "1",
    "partnerId": '"RET-2"', "retailPartnerId": '"RET-2"', "id": "1", "pk": "1", "public_id": '"x"', "is_staff": "true",
    "isStaff": "true", "is_superuser": "true", "createdAt": '"2020-01-01T00:00:00Z"', "created_at": '"2020-01-01"',
    "expiresAt": '"2099-01-01T00:00:00Z"', "expires_at": '"2099-01-01"', "reservationId": '"x"', "fingerprint": '"x"',
    "extensions": "-100", "actor": '"staff:1"', "application": "1", "__proto__": '{"x": 1}', "constructor": '{"x": 1}',
    "$where": '"1"', "_method": '"DELETE"', "scope": '"audit:read"', "allocations": "[]", "shortages": "[]", "": "1",
    "lines[0].quantity": "5", "lines.0.quantity": "5", "Reference": '"R"', "reference ": '"r"', "REFERENCE": '"R"',
    "idempotency_key": '"k"', "sku": '"OTHER"', "seconds": "99999", "wanted": "[]", "at": '"2020-01-01"',
}  # fmt: skip
OF_A_LINE = {
    "allocations": '[{"warehouseLocation": "W2", "quantity": 9}]', "reserved": "9", "variant": "1", "variant_id": "1",
    "sku": '"OTHER"', "warehouse": "1", "warehouse_code": '"W2"', "status": '"x"', "consumed": "9", "freed": "9",
    "level": "1", "level_id": "1", "batchNumber": '"B"', "id": "1", "components": "[]", "unit": '"case"', "price": "0",
}  # fmt: skip


def smuggling() -> Iterator[Hostile]:
    for name, value in SMUGGLED.items():
        if name not in ("reservationId",):
            yield Hostile(
                f"reserve with {name or 'nothing'}", "POST", RESERVE, reserve(more=f", {json.dumps(name)}: {value}")
            )
        if name not in ("reservationId", "retailPartnerId"):
            yield Hostile(
                f"order with {name or 'nothing'}", "POST", ORDER, order(more=f", {json.dumps(name)}: {value}")
            )
    for name, value in OF_A_LINE.items():
        yield Hostile(f"line with {name}", "POST", RESERVE, reserve(line=f", {json.dumps(name)}: {value}"))
        yield Hostile(f"order line with {name}", "POST", ORDER, order(line=f", {json.dumps(name)}: {value}"))
    for name, value in (("streett", '"x"'), ("is_admin", "true"), ("geo", '{"lat": 1}'), ("__class__", '"x"')):
        yield Hostile(f"address with {name}", "POST", ORDER, order(ship_to=f", {json.dumps(name)}: {value}"))


def addresses() -> Iterator[Hostile]:
    for text in (
        "0",
        "-1",
        "201",
        "1e2",
        "abc",
        "%D9%A1",
        "1.0",
        "",
        "999999999999999999999",
        "1;2",
        "NaN",
        "0x10",
        "+5",
    ):
        yield Hostile(f"limit {text or 'empty'}", "GET", f"/products?limit={text}")
    for text in (
        "x",
        "%00",
        "e30=",
        "eyJhIjoxfQ==",
        "A" * 5_000,
        "%F0%9F%98%80",
        "-1",
        "null",
        "[]",
        "'",
        "e30%3D%3D%3D",
    ):
        yield Hostile(f"cursor {text[:20]}", "GET", f"/products?cursor={text}")
    for name in (
        "bogus", "partner__secret", "partner", "suppliers__supplier__name__regex", "fields", "expand", "ordering", "format",
        "sku__startswith", "password", "limit__gt", "callback", "_method", "include", "updated_at__lt", "pk", "id__in",
    ):  # fmt: skip
        yield Hostile(f"filter {name}", "GET", f"/products?{name}=x")
    for path in ("/inventory?warehouse=%00", "/inventory?updatedSince=yesterday", "/inventory?updatedSince=99999999999999",
                 "/inventory?expiresBefore=2026-02-30", "/inventory?updatedSince=%FF", "/products?gtin=%00",
                 "/products?year=1e3", "/products?make=%00&model=x", "/orders?status=nonsense", "/events?after=-1",
                 "/events?after=1e9", "/events?after=%00", "/events?limit=99999", "/events?types=no.such.type",
                 "/products?attributes.=1", "/products?attributes.%00=1"):  # fmt: skip
        yield Hostile(path[:50], "GET", path)
    for path in ("/products/a%00b", "/products/..%2F..%2Fetc", "/products/" + "x" * 5_000, "/orders/1", "/orders/%FF",
                 "/orders/' OR 1=1", "/reservations/0", "/reservations/%F0%9F%98%80", "/inventory/a/b/c", "/products/SAUCE/",
                 "/products//SAUCE", "/orders/{orderId}", "/suppliers/%2e%2e", "/nothing", "/../admin/"):  # fmt: skip
        yield Hostile(f"address {path[:40]}", "GET", path, statuses=(400, 404))
    for method in ("PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "LOCK", "PROPFIND"):
        yield Hostile(f"{method} reservations", method, RESERVE, b"{}", statuses=(405,))


def headers() -> Iterator[Hostile]:
    for name, value in (
        ("none", None), ("empty", ""), ("blank", " "), ("256", "k" * 256), ("Latin", "schlüssel"), ("emoji", "🔑"),
        ("NUL", "a\x00b"), ("tab", "a\tb"), ("5,000", "k" * 5_000), ("DEL", "a\x7f"),
    ):  # fmt: skip
        yield Hostile(f"key: {name}", "POST", RESERVE, reserve(), {"Idempotency-Key": value})
    yield Hostile("key: 255", "POST", RESERVE, reserve(), {"Idempotency-Key": "k" * 255}, is_right=True)
    for name, value in (
        ("none", None), ("garbage", "garbage"), ("weak", 'W/"1"'), ("star", "*"), ("empty", ""), ("stale", '"99"'),
        ("open", '"1'), ("many", ",".join(['"9"'] * 5_000)), ("huge", '"' + "9" * 5_000 + '"'), ("NUL", '"1\x00"'),
    ):  # fmt: skip
        change = b'{"name": "Sauced"}'
        yield Hostile(
            f"If-Match: {name}", "PATCH", "/products/SAUCE", change, {"If-Match": value}, statuses=(400, 412, 428)
        )
    for name, value in (
        ("none", None), ("empty", ""), ("only the word", "Bearer"), ("two words", "Bearer a b"), ("basic", "Basic YTpi"),
        ("NUL", "Bearer a\x00b"), ("long", "Bearer " + "x" * 5_000), ("Unicode", "Bearer 🔑"), ("digest", "Digest x"),
        ("quoted", 'Bearer "x"'), ("null", "Bearer null"), ("SQL", "Bearer ' OR 1=1 --"), ("JWT", "Bearer e30.e30."),
    ):  # fmt: skip
        yield Hostile(f"Authorization: {name}", "GET", "/products", b"", {"Authorization": value}, statuses=(401,))
    for value in ("text/html", "application/xml", "image/*", "x", "application/json;q=0", "*/*;q=0"):
        yield Hostile(f"Accept {value}", "GET", "/products", b"", {"Accept": value}, statuses=(200, 406), is_right=True)
    for value in ("a\r\nX-Evil: 1", "x", "🔑" * 20, "y" * 5_000, "a\x00b"):
        yield Hostile(f"X-Request-Id {value[:8]!r}", "GET", "/products", b"", {"X-Request-Id": value}, is_right=True)
    for name in ("X-HTTP-Method-Override", "X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Host", "Forwarded"):
        yield Hostile(f"{name}", "GET", "/products", b"", {name: "DELETE"}, is_right=True)


TABLE = {
    row.name: row
    for rows in (numbers, texts, shapes, encodings, smuggling, addresses, headers)
    for row in rows()
}  # fmt: skip


def test_the_table_has_400_rows_and_more():
    assert len(TABLE) >= 400


@pytest.fixture
def shop(supplier):
    partner = make.make_partner(code="HOUSE", kind="channel")
    warehouse = make.make_warehouse(code="W1")
    make.make_level(variant=make.make_variant(sku="SAUCE", suppliers=[supplier]), warehouse=warehouse, on_hand=1_000)
    return api_of(partner)


def everything() -> dict[str, Any]:
    """What there is, as far as a request could have changed it; who tried to come in is written down anyhow."""
    tables = [
        name
        for name in connection.introspection.table_names()
        if name.split("_")[0] in OURS and name not in NOT_LOOKED_AT
    ]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(f"SELECT '{name}', count(*) FROM \"{name}\"" for name in tables))
        counts: dict[str, Any] = dict(cursor.fetchall())
    return counts | {"levels": list(Level.objects.values_list("pk", "on_hand", "reserved", "version"))}


@pytest.mark.parametrize(
    "part", [numbers, texts, shapes, encodings, smuggling, addresses, headers], ids=lambda f: f.__name__
)
def test_hostile_input_is_refused_in_words_and_changes_nothing(shop, part):
    wrong = []
    before = everything()
    for row in part():
        answer = send(shop, row)
        changed = not row.is_right and everything() != before
        if is_wrong(answer, row) or changed:
            wrong.append((row.name, answer.status_code, answer.content[:160], "changed" if changed else ""))
        if row.is_right or changed:
            before = everything()
    assert not wrong, "\n".join(map(str, wrong))
    assert not IdempotencyKey.objects.filter(status__gte=500).exists()


def send(shop, row: Hostile) -> Any:
    sent = {"Authorization": f"Bearer {shop.token}"}
    if row.method == "POST":
        sent["Idempotency-Key"] = row.name.encode().hex()[:200]
    sent |= row.headers  # type: ignore[arg-type]
    sent = {name: value for name, value in sent.items() if value is not None}
    path = f"/api/v1{row.path}"
    return shop.client.generic(row.method, path, row.body, content_type=row.content_type, headers=sent)


def is_wrong(answer: Any, row: Hostile) -> bool:
    if row.is_right:
        return answer.status_code >= 300 and answer.status_code not in row.statuses
    if answer.status_code not in row.statuses:
        return True
    if not answer.headers.get("Content-Type", "").startswith("application/problem+json"):
        return True
    told = answer.json()
    return not (told["code"] and told["title"] and told["requestId"] and "Traceback" not in answer.content.decode())
