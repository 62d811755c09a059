"""What is not a field of a body cannot be set by it, and a refusal keeps the members every refusal has."""

from __future__ import annotations

import ast
import re
from typing import Any

import pytest

from partners.problems import Problem
from tests.gate.asking import Held
from tests.gate.cases import WRITES, document, real
from tests.gate.test_authority import headers_for
from tests.gate.test_query import doors
from tests.gate.world import everything, taken_back
from tests.test_house import FLOORS, ROOT, sources

# What a caller might try to become, own or have, whatever the model behind it.
WISHES: dict[str, Any] = {
    "id": 1, "pk": 1, "partner": 1, "partner_id": 1, "partnerId": "SHOP", "partnerCode": "SHOP", "kind": "channel",
    "status": "cancelled", "state": "committed", "version": 99, "reserved": 0, "reservedQuantity": 0, "on_hand": 10**6,
    "is_staff": True, "isStaff": True, "is_superuser": True, "scopes": ["audit:read"], "granted_warehouses": None,
    "grantedWarehouses": None, "disclosure": "exact", "assortment": "all", "application": 1, "actor": "staff:1",
    "created_at": "2001-01-01T00:00:00Z", "createdAt": "2001-01-01T00:00:00Z", "number": "X-1", "placed_by": 1,
    "public_id": "7f2c1d0e-0000-4000-8000-000000000000", "shipped": 99, "shippedQuantity": 99, "priority": 9,
    "is_approved": True, "owner": 1, "supplier": 1, "unitCost": "0.01", "history": [],
}  # fmt: skip
# What is new each time: numbers we give, moments, keys of rows.
NEW = re.compile(
    r"[A-Z]{2,4}(-[0-9A-Z]{4}){3}|\d{4}-\d\d-\d\dT[\d:.]+Z|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|(?<=\"transactionId\":)\"?\d+|(?<=\"lineId\":)\"\d+|[0-9a-f]{32,64}|whsec_[\w+/=]+|(?<=\"opened\",\")\w+"
)


def own_fields(name: str) -> set[str]:
    """The members a body may have by the document."""
    method, path = name.split(" ", 1)
    operation = document()["paths"][f"/api/v1{path}"][method.lower()]
    if "requestBody" not in operation:
        return set()
    return members(operation["requestBody"]["content"]["application/json"]["schema"])


def members(schema: dict[str, Any]) -> set[str]:
    if "$ref" in schema:
        return members(document()["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]])
    found = set(schema.get("properties", ()))
    return found.union(*(members(one) for one in (*schema.get("oneOf", ()), *schema.get("allOf", ()))))


def wishes(name: str) -> dict[str, Any]:
    """Whatever the body has no field for: the list above and every field of the model behind the door."""
    rows = getattr(doors()[f"/api/v1{name.split(' ', 1)[1]}"], "queryset", None)
    of_the_model = {} if rows is None else {field.name: 1 for field in rows.model._meta.get_fields()}
    camel = {re.sub(r"_(\w)", lambda found: found[1].upper(), key): 1 for key in of_the_model}
    return {key: value for key, value in (of_the_model | camel | WISHES).items() if key not in own_fields(name)}


@pytest.mark.parametrize("name", [name for name, write in WRITES.items() if write.by != "house"])
def test_a_field_that_is_none_of_the_bodys_changes_nothing(world, name):
    """Refused by name, or as if it had not been sent."""
    write, side = WRITES[name], world.alpha
    method, path = name.split(" ", 1)
    client, url = Held(write.client(world, side)), real(path, side, write.thing)
    headers = headers_for(world, write, path, side)
    plain = write.body(side) or {}
    with taken_back():
        expected = client.request(method, url, plain, headers=headers)
    before = everything()
    with taken_back():
        answer = client.request(method, url, wishes(name) | plain, headers=headers)
        if answer.status_code == 422 != expected.status_code:
            assert answer.json()["code"] == "invalid_input"
            assert {row["field"] for row in answer.json()["errors"]} <= set(wishes(name))
            assert everything() == before
            return
    assert answer.status_code == expected.status_code, answer.content
    if answer.get("Content-Type") == "application/json":
        assert NEW.sub("…", answer.content.decode()) == NEW.sub("…", expected.content.decode())


def test_no_refusal_says_another_status_than_its_own():
    """RFC 9457's members are taken: data that is called like one of them would stand in its place."""
    taken = set(Problem("x").as_json())
    assert taken == {"type", "title", "status", "code", "detail"}
    kinds = {kind.__name__ for kind in every(Problem)} - {"Refused"}
    found = [
        f"{file.relative_to(ROOT)}:{call.lineno} {keyword.arg}"
        for file in sources(*FLOORS)
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call) and ast.unparse(call.func).rpartition(".")[2] in kinds
        for keyword in call.keywords
        if keyword.arg in taken | {"instance", "requestId"}
    ]
    assert found == []


def every(kind: type) -> set[type]:
    return {kind, *(below for one in kind.__subclasses__() for below in every(one))}
