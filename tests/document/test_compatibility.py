"""What callers were promised: what breaks it is named, what adds to it is not."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from partners.api import compatibility
from partners.management.commands import api_document

OLD: dict[str, Any] = {
    "paths": {
        "/things/{id}": {
            "get": {
                "operationId": "getThing",
                "scopes": ["things:read"],
                "parameters": {"query kind": {"required": False, "schema": {"type": "string", "enum": ["a", "b"]}}},
                "answers": {"200": {"application/json": {"$ref": "#/components/schemas/Thing"}}},
            },
            "put": {
                "operationId": "putThing",
                "scopes": ["things:write"],
                "parameters": {},
                "isBodyRequired": True,
                "body": {"application/json": {"$ref": "#/components/schemas/Sent"}},
                "answers": {"200": {"application/json": {"$ref": "#/components/schemas/Thing"}}},
            },
        }
    },
    "schemas": {
        "Thing": {
            "type": "object",
            "required": ["id", "note"],
            "properties": {
                "id": {"type": "string"},
                "note": {"type": ["string", "null"]},
                "size": {"type": "integer"},
                "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}},
            },
        },
        "Sent": {
            "type": "object",
            "required": ["size"],
            "properties": {
                "size": {"type": "integer", "minimum": 1, "maximum": 9},
                "note": {"type": ["string", "null"], "maxLength": 40},
                "kind": {"type": "string", "enum": ["a", "b"]},
                "rows": {"type": "array", "items": {"type": "string"}},
            },
        },
    },
    "codes": {"not_found": 404},
    "events": {"thing.made": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}},
}
GET, PUT = ("paths", "/things/{id}", "get"), ("paths", "/things/{id}", "put")
THING, SENT = ("schemas", "Thing", "properties"), ("schemas", "Sent", "properties")


def changed(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """The promise with one place of it replaced; None takes it away."""
    new = copy.deepcopy(OLD)
    place = new
    for name in path[:-1]:
        place = place[name]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return new


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("paths", "/things/{id}"), None, "GET /things/{id} is gone"),
        (PUT, None, "PUT /things/{id} is gone"),
        ((*GET, "operationId"), "readThing", "operationId getThing became readThing"),
        ((*GET, "scopes"), ["audit:read"], "needs the scope audit:read"),
        ((*GET, "parameters"), {}, "query kind is gone"),
        ((*GET, "parameters", "query kind", "required"), True, "query kind is required now"),
        ((*GET, "parameters", "query kind", "schema", "enum"), ["a"], "query kind takes b no more"),
        ((*GET, "parameters", "query new"), {"required": True, "schema": {}}, "query new is required now"),
        ((*GET, "answers"), {"202": {}}, "answers 200 no more"),
        ((*THING, "size"), None, "answer 200.size is gone"),
        ((*THING, "size"), {"type": "string"}, "answer 200.size may be string now"),
        ((*THING, "size"), {"type": ["integer", "null"]}, "answer 200.size may be null now"),
        (("schemas", "Thing", "required"), ["id"], "answer 200.note may be missing now"),
        (("schemas", "Sent", "required"), ["size", "kind"], "body.kind is required now"),
        ((*SENT, "note"), None, "body.note is gone"),
        ((*SENT, "note", "type"), "string", "body.note takes null no more"),
        ((*SENT, "note", "maxLength"), 20, "body.note maxLength fell from 40 to 20"),
        ((*SENT, "note", "pattern"), "^a", "body.note has another pattern"),
        ((*SENT, "size", "minimum"), 2, "body.size minimum rose from 1 to 2"),
        ((*SENT, "size", "type"), "string", "body.size takes integer no more"),
        ((*SENT, "kind", "enum"), ["b"], "body.kind takes a no more"),
        ((*SENT, "rows", "items", "type"), "integer", "body.rows[] takes string no more"),
        ((*SENT, "rows", "maxItems"), 5, "body.rows maxItems fell from any to 5"),
        (("codes",), {}, "code not_found is gone"),
        (("codes", "not_found"), 410, "code not_found: status 404 became 410"),
        (("events",), {}, "event thing.made is gone"),
        (("events", "thing.made", "properties"), {}, "event thing.made: .id is gone"),
    ],
)
def test_what_is_taken_away_or_narrowed_is_named(path, value, named):
    found = compatibility.broken(OLD, changed(path, value))
    assert any(fault.endswith(named) for fault in found), found


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("paths", "/others"), {}),
        ((*THING, "colour"), {"type": "string"}),
        ((*SENT, "colour"), {"type": "string"}),
        ((*SENT, "size", "maximum"), 99),
        ((*SENT, "kind", "enum"), ["a", "b", "c"]),
        ((*SENT, "size", "type"), "number"),
        ((*THING, "note", "type"), "string"),
        (("schemas", "Sent", "required"), []),
        ((*GET, "parameters", "query new"), {"required": False, "schema": {}}),
        (("codes", "busy"), 503),
        (("events", "thing.lost"), {}),
        (("events", "thing.made", "properties", "size"), {"type": "integer"}),
    ],
)
def test_what_only_adds_breaks_nothing(path, value):
    assert compatibility.broken(OLD, changed(path, value)) == []


def test_the_name_of_a_part_of_a_path_is_seen_in_the_document_alone():
    renamed = copy.deepcopy(OLD)
    renamed["paths"]["/things/{thingId}"] = renamed["paths"].pop("/things/{id}")
    assert compatibility.broken(OLD, renamed) == []


def test_the_api_is_what_callers_were_promised(document):
    """Where it only adds: manage.py api_document --write. Where it breaks: keep it, or deprecate it for a year."""
    now = compatibility.promise(document)
    promised = json.loads(api_document.PROMISE.read_text())
    assert compatibility.broken(promised, now) == []
    assert api_document.written(now) == api_document.PROMISE.read_text(), "manage.py api_document --write"


def test_a_broken_document_is_caught_by_its_names(document):
    """Else the test above could pass because nothing is compared."""
    now = compatibility.promise(document)
    was = copy.deepcopy(now)
    was["schemas"]["Order"]["properties"]["colour"] = {"type": "string"}
    assert "GET /api/v1/orders/{orderId}: answer 200.colour is gone" in compatibility.broken(was, now)
