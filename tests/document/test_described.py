"""The document leaves nothing unsaid: every operation, parameter, field and code, and bounds for what is sent."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from partners.api import catalogue, refusals, wording
from partners.api.doors import Door
from partners.api.schema import ANY_TEXT, SOME_TEXT
from stock.api.reservations import Reservations
from tests.test_house import views

ROOT = Path(__file__).resolve().parent.parent.parent
METHODS = ("get", "post", "put", "patch", "delete")
EMPTY = re.compile(r"^(the )?(name|id|status|type|value|field)\.?$", re.IGNORECASE)
# What the contract names and others build: imports of stock, webhooks, the stream.
PROMISED = Path(__file__).with_name("contract.txt").read_text().splitlines()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path.removeprefix('/api/v1')}", operation


def silent(schema: dict[str, Any], path: str) -> Iterator[str]:
    """Every field below that says nothing, or no more than its name."""
    for name, inner in schema.get("properties", {}).items():
        if not inner.get("description") or EMPTY.match(inner["description"]):
            yield f"{path}.{name}"
        yield from silent(inner, f"{path}.{name}")
    for union in ("allOf", "oneOf", "anyOf"):
        for inner in schema.get(union, []):
            yield from silent(inner, path)
    if isinstance(schema.get("items"), dict):
        yield from silent(schema["items"], f"{path}[]")


def test_every_field_of_every_request_and_answer_says_what_it_means(document):
    unsaid = [row for name, schema in document["components"]["schemas"].items() for row in silent(schema, name)]
    for name, operation in operations(document):
        for answer in operation["responses"].values():
            for content in answer.get("content", {}).values():
                unsaid += silent(content.get("schema", {}), name)
    assert unsaid == []


def test_a_field_that_says_nothing_is_found():
    """Else the test above could pass because nothing is looked at."""
    schema = {"properties": {"lines": {"description": "Rows.", "items": {"properties": {"zork": {"type": "string"}}}}}}
    assert list(silent(schema, "Order")) == ["Order.lines[].zork"]
    wording.describe(schema, "Order")
    assert list(silent(schema, "Order")) == ["Order.lines[].zork"]


def test_every_operation_has_a_title_says_what_it_does_and_what_happens_twice(document):
    unsaid = []
    titles = [operation.get("summary", "") for _, operation in operations(document)]
    assert len(set(titles)) == len(titles)
    for name, operation in operations(document):
        said = operation.get("description", "")
        if not operation.get("summary") or len(said.split("\n\n")[0]) < 15:
            unsaid.append(name)
        if "again" not in said.lower() and "however often" not in said:
            unsaid.append(f"{name}: twice")
        unsaid += [
            f"{name}: {row['in']} {row['name']}"
            for row in operation.get("parameters", [])
            if not row.get("description")
        ]
        unsaid += [f"{name}: {status}" for status, row in operation["responses"].items() if not told(document, row)]
    assert unsaid == []


def told(document: dict[str, Any], answer: dict[str, Any]) -> bool:
    return bool(resolved(document, answer).get("description"))


def resolved(document: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    name = answer.get("$ref", "").rpartition("/")[2]
    return document["components"]["responses"][name] if name else answer


def unbounded(document: dict[str, Any], schema: dict[str, Any], path: str, seen: frozenset[str]) -> Iterator[str]:
    if name := schema.get("$ref", "").rpartition("/")[2]:
        if name not in seen:
            yield from unbounded(document, document["components"]["schemas"][name], path, seen | {name})
        return
    kinds = schema.get("type", [])
    kinds = {kinds} if isinstance(kinds, str) else set(kinds)
    if schema.get("readOnly"):
        return
    has_form = schema.get("pattern") not in {None, ANY_TEXT, SOME_TEXT}
    if "string" in kinds and not has_form and not {"maxLength", "enum", "format"} & set(schema):
        yield path
    if "integer" in kinds and "maximum" not in schema:
        yield path
    if "array" in kinds and "maxItems" not in schema:
        yield f"{path}[]"
    for union in ("allOf", "oneOf", "anyOf"):
        for inner in schema.get(union, []):
            yield from unbounded(document, inner, path, seen)
    if isinstance(schema.get("items"), dict):
        yield from unbounded(document, schema["items"], f"{path}[]", seen)
    for field, inner in schema.get("properties", {}).items():
        yield from unbounded(document, inner, f"{path}.{field}", seen)


def test_everything_that_is_sent_has_bounds(document):
    endless = []
    for name, operation in operations(document):
        for row in operation.get("parameters", []):
            endless += unbounded(document, row["schema"], f"{name} {row['name']}", frozenset())
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        endless += unbounded(document, body.get("schema", {}), name, frozenset())
    assert endless == []


# -- Refusals


def test_every_refusal_says_what_it_means_and_what_to_do():
    dumb = [
        f"{kind.__module__}.{kind.__name__}"
        for kind in catalogue.kinds()
        if not catalogue.entry_of(kind).meaning or not kind.remedy or kind.title == "This cannot be done"
    ]
    assert dumb == []
    assert all(row.meaning and row.remedy for row in catalogue.entries().values())


def test_the_catalogue_has_every_refusal_the_source_defines(document):
    """Read from the source, since what nothing imports could not be missed otherwise."""
    defined = set()
    for floor, folder in catalogue.floors():
        for file in Path(folder).rglob("*.py"):
            if not {"migrations", "management"} & set(file.parts):
                for node in ast.parse(file.read_text()).body:
                    if isinstance(node, ast.ClassDef) and any("Problem" in ast.unparse(base) for base in node.bases):
                        defined |= {
                            ast.literal_eval(line.value)
                            for line in node.body
                            if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "code"
                        }
        assert floor
    assert len(defined) > 50
    assert defined - set(document["x-problems"]) == set()


def test_what_shares_a_code_shares_its_status():
    by_code: dict[str, set[int]] = {}
    for kind in catalogue.kinds():
        by_code.setdefault(kind.code, set()).add(kind.status)
    assert {code: found for code, found in by_code.items() if len(found) > 1} == {}


@pytest.mark.parametrize(
    ("route", "method", "codes"),
    [
        ("reservations", "POST", {"insufficient_stock", "reference_reused"}),
        ("reservations/<uuid:public_id>/commit", "POST", {"reservation_expired", "held_by_order", "illegal_step"}),
        ("orders", "POST", {"insufficient_stock", "reference_reused", "promise_expired", "too_many_shipments"}),
        ("orders/<str:number>", "PATCH", {"already_shipped", "insufficient_stock"}),
        ("counts/<str:number>/lines/<str:line>/approve", "POST", {"same_person", "illegal_step"}),
        ("receipts", "POST", {"over_delivery", "delivery_note_reused"}),
        ("events", "GET", {"feed_was_reset"}),
    ],
)
def test_the_source_tells_which_refusals_a_door_answers(route, method, codes):
    [door] = [view for found, view in views() if found == f"api/v1/{route}"]
    assert codes <= {kind.code for kind in refusals.of_door(door, method)}


def test_a_door_that_does_not_promise_stock_does_not_say_that_it_lacks():
    """Else the test above could pass because everything is listed everywhere."""
    for route, view in views():
        if route in {"api/v1/suppliers", "api/v1/events", "api/v1/transfers"} and issubclass(view, Door):
            for method in ("GET", "POST"):
                assert "insufficient_stock" not in {kind.code for kind in refusals.of_door(view, method)}, route
    assert {kind.code for kind in Reservations.refusals["POST"]} == {"insufficient_stock", "reference_reused"}


# -- The contract


def test_the_document_has_what_the_contract_promised(document):
    said = {name.split("?")[0] for name, _ in operations(document)}
    missing = []
    for line in PROMISED:
        route, _, fields = line.partition(" | ")
        if route not in said:
            missing.append(route)
            continue
        operation = dict(operations(document))[route]
        known = {row["name"] for row in operation.get("parameters", [])} | set(names(document, operation))
        missing += [f"{route}: {field}" for field in fields.split() if field not in known]
    assert missing == []


def names(document: dict[str, Any], operation: dict[str, Any]) -> Iterator[str]:
    """Every field of an operation's body and answers."""
    waiting = [operation.get("requestBody", {}), *(row for code, row in operation["responses"].items() if code < "300")]
    seen: set[str] = set()
    while waiting:
        thing = waiting.pop()
        if isinstance(thing, list):
            waiting += thing
        elif isinstance(thing, dict):
            yield from thing.get("properties", {})
            name = str(thing.get("$ref", "")).rpartition("/")[2]
            if name in document["components"]["schemas"] and name not in seen:
                seen.add(name)
                waiting.append(document["components"]["schemas"][name])
            waiting += [inner for key, inner in thing.items() if key not in {"examples", "example"}]
