"""Whatever is sent to any write of the OpenAPI document: a problem that names the field, never a 500."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator

from partners.models import IdempotencyKey, Partner
from stock import proof
from tests.conftest import api_of
from tests.test_routes import BUYING, TWO_WORDS, belongings  # noqa: F401  a fixture

BAD = [
    None, True, 0, -1, 1.5, 10**17, "", " ", "x" * 2_000, "١", "2026-13-45", "\ufffe", [], [None], [[]], {}, {"a": 1},
    ["x"] * 1_000, "'; DROP TABLE stock_level; --", "../../etc/passwd",
]  # fmt: skip
GOOD: dict[str, Any] = {
    "string": "x",
    "integer": 1,
    "boolean": True,
    "number": 1,
    "date": "2090-01-01",
    "uuid": "7f2c1d0e-0000-4000-8000-000000000000",
    "email": "a@example.test",
    "decimal": "1.00",
}


def writes() -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    """(method, path, schema of the body, all schemas) of every write with a body."""
    document = SchemaGenerator().get_schema(request=None, public=True)
    schemas = document["components"]["schemas"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method in {"post", "put", "patch"} and "requestBody" in operation:
                schema = operation["requestBody"]["content"]["application/json"]["schema"]
                yield method.upper(), path.removeprefix("/api/v1"), schema, schemas


def example(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """A body that fits the schema, as small as can be but with every field."""
    if "$ref" in schema:
        return example(schemas[schema["$ref"].rsplit("/", 1)[1]], schemas)
    for union in ("allOf", "oneOf", "anyOf"):
        if union in schema:
            return example(schema[union][0], schemas)
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "string")
    kind = next(name for name in kind if name != "null") if isinstance(kind, list) else kind
    if kind == "object":
        return {name: example(inner, schemas) for name, inner in schema.get("properties", {}).items()}
    if kind == "array":
        return [example(schema["items"], schemas)]
    return GOOD.get(schema.get("format", kind), GOOD.get(kind, "x"))


def spoiled(body: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Each place of a body, replaced by each bad value."""
    for bad in BAD:
        yield path, bad
    inner = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for name, value in inner:
        yield from spoiled(value, (*path, name))


def replaced(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    changed = copy.deepcopy(body)
    place = changed
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return changed


@pytest.mark.parametrize("number", range(4))
def test_no_body_makes_a_fault_of_ours(belongings, retailer, number):  # noqa: F811  the fixture
    seller = api_of(retailer)
    buyer = api_of(Partner.objects.get(code="OURS"))
    tried = 0
    for index, (method, path, schema, schemas) in enumerate(writes()):
        if index % 4 != number:
            continue
        noun = path.strip("/").split("/")[0]
        real = re.sub(TWO_WORDS, belongings.get(noun, "x"), path)
        body = example(schema, schemas)
        client = buyer if noun in BUYING else seller
        for place, bad in spoiled(body):
            answer = client.request(method, real, replaced(body, place, bad), headers={"If-Match": '"1"'})
            tried += 1
            assert answer.status_code < 500, (method, real, place, bad, answer.content[:300])
            if answer.status_code == 422 and answer.json()["code"] == "invalid_input":
                assert answer.json()["errors"][0]["detail"], (method, real, place, bad)
    assert tried > 500
    kept = IdempotencyKey.objects.filter(status__gte=500).count()
    assert kept == 0
    assert proof.prove_ledger().differences == []
